//! Stores: what is kept, kept.
//!
//! A [`Store`] commits [`Op`]s, in the order in which they come, a group at a time: all of a group or nothing. What it has
//! committed it hands back as [`Kept`] state when the server starts, and what was said in rooms as pages. A [`Reader`] is the
//! part of that which changes nothing, for commands that look at a store, also at one that a server has open.
//!
//! - [`memory`]: gone with the process.
//! - [`jsonl`]: a log that people can read, a line an op.
//! - [`sqlite`]: one database file; the default.
//!
//! All three pass the same tests, `tests/store`. Nothing here runs a thread: that is the reactor's `writer.rs`.

pub mod disk;
mod error;
pub mod jsonl;
mod lock;
pub mod memory;
mod named;
mod spec;
pub mod sqlite;
mod words;

use std::path::Path;

pub use error::StoreError;
pub use lock::Lock;
pub use named::resolve;
pub use spec::{Durability, StoreSpec};

use crate::chat::{HistoryRules, Kept, Op, OpId, Page, RoomMessage, RoomSummary, UnixMillis};

/// What a store shows, without changing it.
pub trait Reader: Send {
    /// Hands out all that is kept but what was said in rooms, in the order that [`Kept`] documents. Returns the highest
    /// id of an op that was ever committed, as far as it is known: ids given out later are above it.
    fn load(&mut self, visit: &mut dyn FnMut(Kept)) -> Result<Option<OpId>, StoreError>;

    /// Hands out the rooms of which messages are kept, by name.
    fn rooms(&mut self, visit: &mut dyn FnMut(RoomSummary)) -> Result<(), StoreError>;

    /// A page of a room's history: up to `count` messages, oldest first. None at a message that is not there.
    fn page(&mut self, room: &str, page: Page, count: usize) -> Result<Vec<RoomMessage>, StoreError>;

    /// The newest `count` messages of a room, or of those before one: see [`Reader::page`].
    fn history(
        &mut self,
        room: &str,
        before: Option<OpId>,
        count: usize,
    ) -> Result<Vec<RoomMessage>, StoreError> {
        self.page(room, before.map_or(Page::Newest, Page::Before), count)
    }

    /// The newest `count` messages said in rooms that have all the words of `text`, newest first, each with
    /// its room. Case and accents make no difference. A word (letters and digits) is found as a whole. A run
    /// of a script without blanks between words, or of emoji, is found within a run. A text without words
    /// finds nothing. All stores answer alike.
    ///
    /// # Errors
    ///
    /// [`StoreError::SearchTooLong`] for a text of more than
    /// [`SEARCH_BYTES_MAX`](crate::limits::SEARCH_BYTES_MAX) bytes.
    fn search(&mut self, text: &str, count: usize) -> Result<Vec<(Box<str>, RoomMessage)>, StoreError>;

    /// Looks at everything, and says what is wrong, a line each: references into nothing, sequences with holes, counts
    /// that do not add up, lines or pages that cannot be read. Empty: all is well.
    fn check(&mut self) -> Result<Vec<String>, StoreError>;

    /// How large it is.
    fn sizes(&mut self) -> Result<Sizes, StoreError>;

    /// Makes a consistent copy, as one file that does not exist yet: of what was committed when it began, or a little
    /// later.
    fn backup(&mut self, to: &Path) -> Result<(), StoreError>;
}

/// A store that is open to be written to. There is one at a time: it holds a [`Lock`].
pub trait Store: Reader {
    /// Commits a group of ops, all or nothing; as durable as the store was opened for when it returns. Ops that change
    /// nothing (an account that is there already, a message that is not) are no errors.
    ///
    /// # Errors
    ///
    /// Nothing of the group is kept, and the same group can be committed later. The store mends itself if it can.
    fn commit(&mut self, ops: &[Op]) -> Result<(), StoreError>;

    /// Takes one bounded step (some ms) of what can wait: forgetting messages that are too many or too old, indexing new
    /// ones, compacting a log that is mostly dead. Returns whether there is more to do at once.
    fn tidy(&mut self, rules: &HistoryRules, now: UnixMillis) -> Result<bool, StoreError>;

    /// Whether the files of it have the names under which the next start looks for them. It mends what it
    /// can.
    fn ensure_named(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Makes it as small as it can be. Takes its time.
    fn compact(&mut self) -> Result<(), StoreError>;
}

/// How large a store is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sizes {
    /// Bytes on disk, or in memory where it has no disk.
    pub bytes: u64,
    /// Those of them that a compaction would free, as far as it is known.
    pub dead_bytes: u64,
    /// Accounts.
    pub accounts: u64,
    /// Messages in mailboxes.
    pub letters: u64,
    /// Seats in rooms.
    pub seats: u64,
    /// Messages that were said in rooms.
    pub room_messages: u64,
}

/// How a store is opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// What committed means.
    pub durability: Durability,
    /// Whether an index for [`Reader::search`] is kept. Without one it looks at every message.
    pub search: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { durability: Durability::Full, search: true }
    }
}

/// The target of the log's line for a store that was converted to today's version.
pub const MIGRATION_LOG_TARGET: &str = "parlance::store::migration";

/// Logs that a file of an earlier version has today's version now. A new file had none.
fn log_migration(path: &Path, from: u64, to: u64) {
    if from != 0 && from != to {
        tracing::info!(
            target: MIGRATION_LOG_TARGET,
            "migrated {} from version {from} to version {to}",
            path.display()
        );
    }
}

/// Opens a store to be written to, and makes it if it is not there.
///
/// # Errors
///
/// When somebody else has it open, when it cannot be read or written, when it is damaged in a way that it does not mend by
/// itself, or was written by a newer version. The error says what to do.
pub fn open(spec: &StoreSpec, options: &Options) -> Result<Box<dyn Store>, StoreError> {
    match spec {
        StoreSpec::Memory => Ok(Box::new(memory::MemoryStore::new())),
        StoreSpec::Sqlite(file) => sqlite::open(file, options),
        StoreSpec::Jsonl(directory) => jsonl::open(directory, options),
    }
}

/// Mends a store that is damaged in a way that it does not mend by itself when it is opened, and leaves out what cannot be
/// read. Returns what it did, a line each.
///
/// # Errors
///
/// When somebody has it open, when it cannot be read or written, and for stores that know no such thing.
pub fn repair(spec: &StoreSpec) -> Result<Vec<String>, StoreError> {
    match spec {
        StoreSpec::Memory => Err(StoreError::Unsupported("a store in memory is its server's alone")),
        StoreSpec::Sqlite(_) => Err(StoreError::Unsupported(
            "a database mends itself when it is opened; if `parlance store check` finds something all the same, restore a backup",
        )),
        StoreSpec::Jsonl(directory) => {
            let jsonl::Repaired { lines, set_aside, aside } = jsonl::repair(directory)?;
            Ok(vec![match set_aside {
                0 => format!("lines: {lines}; all of them are understood, and nothing was changed"),
                _ => format!(
                    "lines: {lines}; set aside, as they are not understood: {set_aside}, in {}",
                    aside.display()
                ),
            }])
        }
    }
}

/// Opens a store to be looked at, also while a server has it open.
///
/// # Errors
///
/// When it is not there, or cannot be read.
pub fn open_reader(spec: &StoreSpec) -> Result<Box<dyn Reader>, StoreError> {
    match spec {
        StoreSpec::Memory => Err(StoreError::Unsupported("a store in memory is its server's alone")),
        StoreSpec::Sqlite(file) => sqlite::open_reader(file),
        StoreSpec::Jsonl(directory) => jsonl::open_reader(directory),
    }
}
