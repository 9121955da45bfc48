//! A store in memory that fails, or stalls, when it is told to.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use parlance::chat::{HistoryRules, Kept, Op, OpId, Page, RoomMessage, RoomSummary, UnixMillis};
use parlance::store::memory::MemoryStore;
use parlance::store::{Reader, Sizes, Store, StoreError};

use crate::support::PATIENCE;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    None,
    /// Commits fail like this.
    Fails(io::ErrorKind),
    /// Commits do not return.
    Stalls,
}

#[derive(Debug)]
struct State {
    store: MemoryStore,
    fault: Fault,
    /// A commit has met the fault.
    is_met: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked")
    }
}

/// The test's end: what the store does next, and what it has. Without it all is well.
pub(crate) struct Faults(Arc<Shared>);

/// The server's end.
pub(crate) struct FaultyStore(Arc<Shared>);

/// A store that is well, for now.
pub(crate) fn faulty_store() -> (Box<FaultyStore>, Faults) {
    let state = State { store: MemoryStore::new(), fault: Fault::None, is_met: false };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
    (Box::new(FaultyStore(Arc::clone(&shared))), Faults(shared))
}

impl Faults {
    fn set(&self, fault: Fault) {
        let mut state = self.0.state();
        state.fault = fault;
        state.is_met = false;
        self.0.changed.notify_all();
    }

    pub(crate) fn fails(&self, kind: io::ErrorKind) {
        self.set(Fault::Fails(kind));
    }

    pub(crate) fn stalls(&self) {
        self.set(Fault::Stalls);
    }

    pub(crate) fn ends(&self) {
        self.set(Fault::None);
    }

    /// Waits until a commit has met the fault.
    #[track_caller]
    pub(crate) fn is_met(&self) {
        let state = self.0.state();
        let waited = self.0.changed.wait_timeout_while(state, PATIENCE, |state| !state.is_met);
        assert!(waited.expect("nobody panicked").0.is_met, "nothing is committed");
    }

    /// All that is kept, but what was said.
    pub(crate) fn kept(&self) -> Vec<Kept> {
        let mut all = Vec::new();
        self.0.state().store.load(&mut |kept| all.push(kept)).expect("memory");
        all
    }

    /// The names of accounts, the texts of letters and the names in seats.
    pub(crate) fn summary(&self) -> Vec<String> {
        let short = |kept| match kept {
            Kept::Account { name, .. } => format!("{name}"),
            Kept::Letter(letter) => format!("{}>{}: {}", letter.sender, letter.recipient, letter.content),
            Kept::Seat { room, seat, .. } => format!("{} in {room}", seat.name),
        };
        self.kept().into_iter().map(short).collect()
    }

    /// What was said in the lobby, and is kept.
    pub(crate) fn said(&self) -> Vec<String> {
        let messages = self.0.state().store.history("lobby", None, usize::MAX).expect("memory");
        messages.into_iter().map(|message| message.text.into()).collect()
    }
}

/// A server that stops can commit what waits.
impl Drop for Faults {
    fn drop(&mut self) {
        self.ends();
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

impl Reader for FaultyStore {
    fn load(&mut self, visit: &mut dyn FnMut(Kept)) -> Result<Option<OpId>, StoreError> {
        self.0.state().store.load(visit)
    }

    fn rooms(&mut self, visit: &mut dyn FnMut(RoomSummary)) -> Result<(), StoreError> {
        self.0.state().store.rooms(visit)
    }

    fn page(&mut self, room: &str, page: Page, count: usize) -> Result<Vec<RoomMessage>, StoreError> {
        self.0.state().store.page(room, page, count)
    }

    fn search(&mut self, text: &str, count: usize) -> Result<Vec<(Box<str>, RoomMessage)>, StoreError> {
        self.0.state().store.search(text, count)
    }

    fn check(&mut self) -> Result<Vec<String>, StoreError> {
        self.0.state().store.check()
    }

    fn sizes(&mut self) -> Result<Sizes, StoreError> {
        self.0.state().store.sizes()
    }

    fn backup(&mut self, to: &Path) -> Result<(), StoreError> {
        self.0.state().store.backup(to)
    }
}

impl Store for FaultyStore {
    fn commit(&mut self, ops: &[Op]) -> Result<(), StoreError> {
        let mut state = self.0.state();
        loop {
            match state.fault {
                Fault::None => return state.store.commit(ops),
                Fault::Fails(kind) => {
                    state.is_met = true;
                    self.0.changed.notify_all();
                    return Err(StoreError::Io { path: "disk".into(), cause: kind.into() });
                }
                Fault::Stalls => {
                    state.is_met = true;
                    self.0.changed.notify_all();
                    state = self.0.changed.wait(state).expect("nobody panicked");
                }
            }
        }
    }

    fn tidy(&mut self, rules: &HistoryRules, now: UnixMillis) -> Result<bool, StoreError> {
        self.0.state().store.tidy(rules, now)
    }

    fn compact(&mut self) -> Result<(), StoreError> {
        self.0.state().store.compact()
    }
}
