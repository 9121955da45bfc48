//! Group commit: what is to be kept waits for more of it, and is committed in groups; what can wait is done when nothing else
//! is to be done. Whoever drives it has the clock: the thread of `writer.rs`, or a test.
//!
//! A group is all that waits, up to [`STORE_GROUP_OPS_MAX`]. It is committed at once, if somebody waits to hear that
//! something of it is kept; what was only said in rooms lingers for [`STORE_LINGER_MILLIS`]. A look-up is done behind the
//! ops that were sent before it. A group that cannot be committed is tried again, behind a pause, until it can: the shard is
//! told, and sends nothing more that would make it grow without bound.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::clock_watch::ClockWatch;
use crate::chat::{ConnId, HistoryRules, Now, Op, OpId, Page, RoomMessage};
use crate::engine::{Engine, PastTask};
use crate::limits::{
    HISTORY_ANSWER_BYTES_MAX, HISTORY_PAGE_MESSAGES, LOG_REPEAT_SECONDS, STORE_GROUP_OPS_MAX,
    STORE_IDLE_SECONDS, STORE_LINGER_MILLIS, STORE_LOOK_UPS_MAX, STORE_NAMES_SECONDS, STORE_REST_MILLIS,
    STORE_RETRY_MILLIS_MAX, STORE_RETRY_MILLIS_MIN, STORE_TIDY_DIVISOR, STORE_TIDY_MILLIS,
    STORE_UNTIDY_OPS_MAX,
};
use crate::store::{Sizes, Store, StoreError};
use crate::telemetry::Every;

const REST: Duration = Duration::from_millis(STORE_REST_MILLIS);
const LINGER: Duration = Duration::from_millis(STORE_LINGER_MILLIS);
const IDLE: Duration = Duration::from_secs(STORE_IDLE_SECONDS);
const BETWEEN_NAMES: Duration = Duration::from_secs(STORE_NAMES_SECONDS);
const BETWEEN_TIDIES: Duration = Duration::from_millis(STORE_TIDY_MILLIS);

/// What it is asked for.
#[derive(Debug)]
pub enum Task {
    /// To be committed, in this order.
    Ops(Vec<Op>),
    /// To be looked up.
    Past(PastTask),
}

/// What it tells.
#[derive(Debug)]
pub enum Outcome {
    /// So many ops are kept.
    Committed {
        /// The last of them.
        up_to: OpId,
        /// How many.
        ops: usize,
        /// Their [bytes](Op::bytes).
        bytes: usize,
    },
    /// Nothing can be committed at present.
    Failed,
    /// A room's past was looked up.
    Past {
        /// Who asked.
        conn: ConnId,
        /// Which of the connection's tasks it is.
        serial: u32,
        /// What was found, unless that failed.
        messages: Option<Vec<RoomMessage>>,
    },
    /// How large the store is.
    Sizes(Sizes),
}

impl Outcome {
    /// Tells the engine.
    pub fn tell(self, engine: &mut Engine, now: Now) {
        match self {
            Self::Committed { up_to, ops, bytes } => engine.committed(up_to, ops, bytes, now),
            Self::Failed => engine.store_failed(now),
            Self::Past { conn, serial, messages } => {
                engine.past_read(conn, serial, messages.as_deref(), now);
            }
            Self::Sizes(_) => {}
        }
    }
}

/// A store that fails, and is tried again.
#[derive(Clone, Copy, Debug)]
struct Retry {
    at: Duration,
    pause: Duration,
}

/// See the module's documentation. `C` is the clock, `T` is told of outcomes, and should do no more than pass them on.
pub struct GroupCommit<C, T> {
    store: Box<dyn Store>,
    rules: HistoryRules,
    clock: C,
    tell: T,
    /// To be committed.
    group: Vec<Op>,
    /// Somebody waits to hear of something in it.
    is_waited_for: bool,
    /// Until then a group that nobody waits for grows.
    linger_until: Duration,
    /// To be looked up once the group is committed.
    pasts: VecDeque<PastTask>,
    retry: Option<Retry>,
    failures: Every,
    clock_watch: ClockWatch,
    /// When it last had a task.
    idle_since: Duration,
    /// There is, or may be, something to do that can wait.
    is_untidy: bool,
    /// Ops since there was nothing of that.
    untidy_ops: u64,
    /// When what can wait has waited long enough.
    tidy_at: Duration,
    sizes_at: Duration,
    /// When it is to be looked whether the store's files have their names, and whether they had.
    names_at: Duration,
    is_named: bool,
}

impl<C, T> fmt::Debug for GroupCommit<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, pasts, retry, .. } = self;
        f.debug_struct("GroupCommit")
            .field("group", &group.len())
            .field("pasts", &pasts.len())
            .field("retry", retry)
            .finish_non_exhaustive()
    }
}

impl<C: Fn() -> Now, T: Fn(Outcome)> GroupCommit<C, T> {
    /// One with nothing to do but to tidy.
    pub fn new(store: Box<dyn Store>, rules: HistoryRules, clock: C, tell: T) -> Self {
        let began = clock();
        let now = began.monotonic;
        Self {
            store,
            rules,
            clock,
            tell,
            group: Vec::new(),
            is_waited_for: false,
            linger_until: now,
            pasts: VecDeque::new(),
            retry: None,
            failures: Every::new(Duration::from_secs(LOG_REPEAT_SECONDS)),
            clock_watch: ClockWatch::new(began),
            idle_since: now,
            is_untidy: true,
            untidy_ops: 0,
            tidy_at: now,
            sizes_at: now,
            names_at: now + BETWEEN_NAMES,
            is_named: true,
        }
    }

    fn now(&self) -> Duration {
        (self.clock)().monotonic
    }

    /// Takes a task.
    pub fn take(&mut self, task: Task) {
        let now = self.now();
        self.idle_since = now;
        match task {
            Task::Ops(mut ops) => {
                if self.group.is_empty() {
                    self.linger_until = now + LINGER;
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

    /// Whether a group is as large as one should be: what else there is waits where it is.
    pub fn is_full(&self) -> bool {
        self.group.len() >= STORE_GROUP_OPS_MAX
    }

    /// When it wants to [go on](Self::go_on), even if no task comes until then. A time that is past: at once.
    pub fn wake_at(&self) -> Duration {
        match (self.retry, self.group.is_empty()) {
            (Some(_), _) | (_, true) if !self.pasts.is_empty() => Duration::ZERO,
            (_, true) if self.is_untidy => (self.idle_since + REST).min(self.names_at),
            (_, true) => self.tidy_at.min(self.names_at),
            (Some(retry), false) => retry.at,
            (None, false) if self.is_waited_for || self.is_full() => Duration::ZERO,
            (None, false) => self.linger_until,
        }
    }

    /// Does what is due.
    pub fn go_on(&mut self) {
        self.clock_watch.look((self.clock)());
        if self.is_due() {
            self.commit();
        }
        if self.group.is_empty() || self.retry.is_some() {
            self.look_up();
        }
        self.is_waited_for &= !self.group.is_empty() || !self.pasts.is_empty();
        self.look_after_names();
        self.tidy();
    }

    /// Commits what there is, if it can be. Nothing comes after it.
    pub fn finish(&mut self) {
        if !self.group.is_empty() {
            self.commit();
        }
        let lost = self.group.len();
        if lost > 0 {
            tracing::error!(lost, "the server ends, and the store could not keep the last changes");
        }
    }

    fn is_due(&self) -> bool {
        let now = self.now();
        let is_due = match self.retry {
            Some(retry) => now >= retry.at,
            None => self.is_waited_for || self.is_full() || now >= self.linger_until,
        };
        is_due && !self.group.is_empty()
    }

    fn commit(&mut self) {
        while !self.group.is_empty() {
            let count = self.group.len().min(STORE_GROUP_OPS_MAX);
            let ops = &self.group[..count];
            if let Err(error) = self.store.commit(ops) {
                return self.failed(&error);
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
            self.tidy_at = self.tidy_at.min(self.now() + BETWEEN_TIDIES);
        }
    }

    fn failed(&mut self, error: &StoreError) {
        let pause = match self.retry {
            None => Duration::from_millis(STORE_RETRY_MILLIS_MIN),
            Some(retry) => (retry.pause * 2).min(Duration::from_millis(STORE_RETRY_MILLIS_MAX)),
        };
        self.retry = Some(Retry { at: self.now() + pause, pause });
        self.complain("the store cannot keep anything; it is tried again", error);
        (self.tell)(Outcome::Failed);
    }

    fn complain(&mut self, what: &str, error: &StoreError) {
        let now = self.now();
        if let Some(suppressed) = self.failures.admit(now) {
            tracing::error!(%error, waiting = self.group.len(), suppressed, "{what}");
        }
    }

    /// Looks whether the store is still where it should be, also when there is nothing to commit.
    fn look_after_names(&mut self) {
        let now = self.now();
        if now < self.names_at {
            return;
        }
        self.names_at = now + BETWEEN_NAMES;
        if self.retry.is_some() {
            // That says it, too.
            return;
        }
        match self.store.ensure_named() {
            Ok(()) if !std::mem::replace(&mut self.is_named, true) => {
                tracing::info!("the store is well again");
            }
            Ok(()) => {}
            Err(error) => {
                self.is_named = false;
                self.complain("the store cannot keep anything; it is tried again", &error);
            }
        }
    }

    /// Looks up some of what is to be looked up; then whoever waits for a commit has a turn.
    fn look_up(&mut self) {
        for _ in 0..STORE_LOOK_UPS_MAX {
            let Some(PastTask { conn, serial, room, page, count }) = self.pasts.pop_front() else { return };
            let messages = match self.page(&room, page, count) {
                Ok(messages) => Some(messages),
                Err(error) => {
                    self.complain("the store cannot be read", &error);
                    None
                }
            };
            (self.tell)(Outcome::Past { conn, serial, messages });
        }
    }

    /// A page of a room's history, oldest first: up to `count` messages, and no more than an answer holds plus
    /// one read.
    fn page(&mut self, room: &str, page: Page, count: usize) -> Result<Vec<RoomMessage>, StoreError> {
        let (mut messages, mut bytes, mut next): (Vec<RoomMessage>, _, _) = (Vec::new(), 0, page);
        while messages.len() < count && bytes <= HISTORY_ANSWER_BYTES_MAX {
            let wanted = HISTORY_PAGE_MESSAGES.min(count - messages.len());
            let mut read = self.store.page(room, next, wanted)?;
            bytes += read.iter().map(|message| message.sender.len() + message.text.len()).sum::<usize>();
            let is_all = read.len() < wanted;
            match page {
                Page::Newest | Page::Before(_) => {
                    read.append(&mut messages);
                    messages = read;
                }
                Page::After(_) | Page::Around(_) => messages.append(&mut read),
            }
            next = match (page, messages.first(), messages.last()) {
                (Page::Newest | Page::Before(_), Some(first), _) => Page::Before(first.id),
                (Page::After(_), _, Some(last)) => Page::After(last.id),
                // One read of it is enough: more of both sides is asked for by another id.
                _ => break,
            };
            if is_all {
                break;
            }
        }
        Ok(messages)
    }

    /// Does a step of what can wait: when no task comes, and now and then in any case.
    fn tidy(&mut self) {
        let began = (self.clock)();
        let is_idle = self.group.is_empty() && self.pasts.is_empty();
        let is_resting = is_idle && began.monotonic >= self.idle_since + REST;
        let is_time = began.monotonic >= self.tidy_at || (is_resting && self.is_untidy);
        if self.retry.is_some() || !is_time {
            return;
        }
        let tidied = self.store.tidy(&self.rules, self.clock_watch.age_time(began));
        let now = self.now();
        let pause = match tidied {
            Ok(true) if self.untidy_ops > STORE_UNTIDY_OPS_MAX => {
                now.saturating_sub(began.monotonic) * (STORE_TIDY_DIVISOR - 1)
            }
            Ok(true) => BETWEEN_TIDIES,
            Ok(false) => {
                self.untidy_ops = 0;
                IDLE
            }
            Err(error) => {
                self.complain("the store cannot be tidied", &error);
                // As if it were done, so that it is not tried without a pause.
                self.is_untidy = false;
                self.tidy_at = self.now() + BETWEEN_TIDIES;
                return;
            }
        };
        self.is_untidy = matches!(tidied, Ok(true));
        self.tidy_at = now + pause;
        if !self.is_untidy && now >= self.sizes_at {
            self.sizes_at = now + IDLE;
            if let Ok(sizes) = self.store.sizes() {
                (self.tell)(Outcome::Sizes(sizes));
            }
        }
    }
}
