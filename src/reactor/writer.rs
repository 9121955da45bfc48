//! The writer: the thread that owns the store. It commits in groups, looks up what was said, and does what can wait when
//! nothing else waits.
//!
//! ```text
//!   shard ── ops, look-ups ──▶ [ group ] ── commit: one transaction, one sync ──▶ committed, pages ──▶ shard
//! ```
//!
//! A group is all that waits, up to [`STORE_GROUP_OPS_MAX`]. It is committed at once, if somebody waits to hear that
//! something of it is kept; what was only said in rooms lingers for [`STORE_LINGER_MILLIS`]. A look-up is done behind the
//! ops that were sent before it. A group that cannot be committed is tried again, behind a pause, until it can: the shard is
//! told, and sends nothing more that would make it grow without bound.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use super::os::Cores;
use crate::chat::{ConnId, HistoryRules, Op, OpId, RoomMessage, UnixMillis};
use crate::engine::PastTask;
use crate::limits::{
    LOG_REPEAT_SECONDS, STORE_GROUP_OPS_MAX, STORE_IDLE_SECONDS, STORE_LINGER_MILLIS, STORE_LOOK_UPS_MAX,
    STORE_REST_MILLIS, STORE_RETRY_MILLIS_MAX, STORE_RETRY_MILLIS_MIN, STORE_TIDY_DIVISOR, STORE_TIDY_MILLIS,
    STORE_UNTIDY_OPS_MAX,
};
use crate::store::{Sizes, Store, StoreError};
use crate::telemetry::Every;

/// What the shard asks for.
#[derive(Debug)]
pub(super) enum Task {
    /// To be committed, in this order.
    Ops(Vec<Op>),
    /// To be looked up.
    Past(PastTask),
}

/// What the shard is told.
#[derive(Debug)]
pub(super) enum Outcome {
    /// So many ops, of so many bytes, up to this one, are kept.
    Committed { up_to: OpId, ops: usize, bytes: usize },
    /// Nothing can be committed at present.
    Failed,
    /// What was looked up, unless that failed.
    Past { conn: ConnId, serial: u32, messages: Option<Vec<RoomMessage>> },
    /// How large the store is.
    Sizes(Sizes),
}

/// The shard's end of it.
#[derive(Debug)]
pub(super) struct Writer {
    tasks: Sender<Task>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts the thread, on the cores given. `tell` should do no more than pass things on.
    pub(super) fn start(
        store: Box<dyn Store>,
        rules: HistoryRules,
        cores: Option<Cores>,
        tell: impl Fn(Outcome) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, tasks) = mpsc::channel();
        let now = Instant::now();
        let mut work = Work {
            store,
            rules,
            tasks,
            tell,
            group: Vec::new(),
            is_waited_for: false,
            linger_until: now,
            pasts: VecDeque::new(),
            retry: None,
            failures: Every::new(Duration::from_secs(LOG_REPEAT_SECONDS)),
            started: now,
            is_resting: false,
            is_untidy: true,
            untidy_ops: 0,
            tidy_at: now,
            sizes_at: now,
        };
        let thread = thread::Builder::new().name("store".to_owned()).spawn(move || {
            if let Some(Err(error)) = cores.map(Cores::take) {
                tracing::warn!(%error, "the store's thread shares the shard's core");
            }
            work.run();
        })?;
        Ok(Self { tasks: sender, thread })
    }

    /// Leaves a task; returns whether there is somebody to do it.
    pub(super) fn send(&self, task: Task) -> bool {
        self.tasks.send(task).is_ok()
    }

    /// Waits until everything that was sent is committed, or cannot be.
    pub(super) fn finish(self) {
        drop(self.tasks);
        if self.thread.join().is_err() {
            tracing::error!("the store's thread panicked; its last words are above");
        }
    }
}

/// A store that fails, and is tried again.
#[derive(Clone, Copy, Debug)]
struct Retry {
    at: Instant,
    pause: Duration,
}

struct Work<T> {
    store: Box<dyn Store>,
    rules: HistoryRules,
    tasks: Receiver<Task>,
    tell: T,
    /// To be committed.
    group: Vec<Op>,
    /// Somebody waits to hear of something in it.
    is_waited_for: bool,
    /// Until then a group that nobody waits for grows.
    linger_until: Instant,
    /// To be looked up once the group is committed.
    pasts: VecDeque<PastTask>,
    retry: Option<Retry>,
    failures: Every,
    started: Instant,
    /// No task came for a while.
    is_resting: bool,
    /// There is, or may be, something to do that can wait.
    is_untidy: bool,
    /// Ops since there was nothing of that.
    untidy_ops: u64,
    /// When what can wait has waited long enough.
    tidy_at: Instant,
    sizes_at: Instant,
}

impl<T: Fn(Outcome)> Work<T> {
    fn run(&mut self) {
        while self.gather() {
            let now = Instant::now();
            if self.is_due(now) {
                self.commit(now);
            }
            if self.group.is_empty() || self.retry.is_some() {
                self.look_up();
            }
            self.is_waited_for &= !self.group.is_empty() || !self.pasts.is_empty();
            self.tidy(now);
        }
        if !self.group.is_empty() {
            self.commit(Instant::now());
        }
        let lost = self.group.len();
        if lost > 0 {
            tracing::error!(lost, "the server ends, and the store could not keep the last changes");
        }
    }

    /// Waits for something to do, and takes what there is. False: the shard is gone.
    fn gather(&mut self) -> bool {
        let now = Instant::now();
        let until = match (self.retry, self.group.is_empty()) {
            (Some(_), _) | (_, true) if !self.pasts.is_empty() => now,
            (_, true) if !self.is_untidy => self.tidy_at,
            (_, true) if self.is_resting => now,
            (_, true) => now + Duration::from_millis(STORE_REST_MILLIS),
            (Some(retry), false) => retry.at,
            (None, false) if self.is_due(now) => now,
            (None, false) => self.linger_until,
        };
        match self.tasks.recv_timeout(until.saturating_duration_since(now)) {
            Ok(task) => self.take(task),
            Err(RecvTimeoutError::Timeout) => {
                self.is_resting = self.group.is_empty() && self.pasts.is_empty();
                return true;
            }
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        self.is_resting = false;
        while self.group.len() < STORE_GROUP_OPS_MAX {
            let Ok(task) = self.tasks.try_recv() else { break };
            self.take(task);
        }
        true
    }

    fn take(&mut self, task: Task) {
        match task {
            Task::Ops(mut ops) => {
                if self.group.is_empty() {
                    self.linger_until = Instant::now() + Duration::from_millis(STORE_LINGER_MILLIS);
                }
                self.is_waited_for |= ops.iter().any(Op::is_promised);
                self.group.append(&mut ops);
            }
            Task::Past(past) => {
                self.is_waited_for = true;
                self.pasts.push_back(past);
            }
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let is_due = match self.retry {
            Some(retry) => now >= retry.at,
            None => self.is_waited_for || self.group.len() >= STORE_GROUP_OPS_MAX || now >= self.linger_until,
        };
        is_due && !self.group.is_empty()
    }

    fn commit(&mut self, now: Instant) {
        while !self.group.is_empty() {
            let count = self.group.len().min(STORE_GROUP_OPS_MAX);
            let ops = &self.group[..count];
            if let Err(error) = self.store.commit(ops) {
                return self.failed(now, &error);
            }
            let bytes = ops.iter().map(Op::bytes).sum();
            if let Some(last) = ops.last() {
                (self.tell)(Outcome::Committed { up_to: last.id, ops: count, bytes });
            }
            self.group.drain(..count);
            if self.retry.take().is_some() {
                tracing::info!("the store is well again");
            }
            // What was committed may have to be indexed, or something else forgotten.
            self.untidy_ops += count as u64;
            self.is_untidy = true;
            self.tidy_at = self.tidy_at.min(now + Duration::from_millis(STORE_TIDY_MILLIS));
        }
    }

    fn failed(&mut self, now: Instant, error: &StoreError) {
        let pause = match self.retry {
            None => Duration::from_millis(STORE_RETRY_MILLIS_MIN),
            Some(retry) => (retry.pause * 2).min(Duration::from_millis(STORE_RETRY_MILLIS_MAX)),
        };
        self.retry = Some(Retry { at: now + pause, pause });
        self.complain("the store cannot keep anything; it is tried again", error);
        (self.tell)(Outcome::Failed);
    }

    fn complain(&mut self, what: &str, error: &StoreError) {
        if let Some(suppressed) = self.failures.admit(self.started.elapsed()) {
            tracing::error!(%error, waiting = self.group.len(), suppressed, "{what}");
        }
    }

    /// Looks up some of what is to be looked up; then whoever waits for a commit has a turn.
    fn look_up(&mut self) {
        for _ in 0..STORE_LOOK_UPS_MAX {
            let Some(PastTask { conn, serial, room, count }) = self.pasts.pop_front() else { return };
            let messages = match self.store.history(&room, None, count) {
                Ok(messages) => Some(messages),
                Err(error) => {
                    self.complain("the store cannot be read", &error);
                    None
                }
            };
            (self.tell)(Outcome::Past { conn, serial, messages });
        }
    }

    /// Does a step of what can wait: when no task comes, and now and then in any case.
    fn tidy(&mut self, now: Instant) {
        if self.retry.is_some() || !(self.is_resting || now >= self.tidy_at) {
            return;
        }
        let began = Instant::now();
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let tidied = self.store.tidy(&self.rules, UnixMillis(unix.as_millis() as u64));
        let pause = match tidied {
            Ok(true) if self.untidy_ops > STORE_UNTIDY_OPS_MAX => began.elapsed() * (STORE_TIDY_DIVISOR - 1),
            Ok(true) => Duration::from_millis(STORE_TIDY_MILLIS),
            Ok(false) => {
                self.untidy_ops = 0;
                Duration::from_secs(STORE_IDLE_SECONDS)
            }
            Err(error) => {
                self.complain("the store cannot be tidied", &error);
                // As if it were done, so that it is not tried without a pause.
                self.is_untidy = false;
                self.tidy_at = Instant::now() + Duration::from_millis(STORE_TIDY_MILLIS);
                return;
            }
        };
        self.is_untidy = matches!(tidied, Ok(true));
        self.tidy_at = Instant::now() + pause;
        if !self.is_untidy && now >= self.sizes_at {
            self.sizes_at = now + Duration::from_secs(STORE_IDLE_SECONDS);
            if let Ok(sizes) = self.store.sizes() {
                (self.tell)(Outcome::Sizes(sizes));
            }
        }
    }
}
