//! The shard that the engine is on: what goes from the engine to other threads, and comes back. Passwords, the store, and
//! the other shards.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::group_commit::{Outcome, Task};
use super::link;
use super::passwords::Pool;
use super::shard::{Message, StoreReport};
use super::writer::Writer;
use crate::chat::{Now, RoomMessage};
use crate::engine::{Engine, Stranger};
use crate::fanout::{Orders, Reports};
use crate::limits::{LOG_REPEAT_SECONDS, READ_BYTES_PER_TURN_MAX, UNUSED_ACCOUNT_DAYS};
use crate::telemetry::Every;
use crate::wire::Foreign;

/// The ways to another shard and back.
#[derive(Debug)]
pub(super) struct Other {
    pub(super) orders: link::Sender<Orders>,
    pub(super) reports: link::Receiver<Reports>,
}

#[derive(Debug)]
pub(super) struct Home {
    pub(super) engine: Engine,
    passwords: Pool,
    writer: Writer,
    store: StoreReport,
    /// From the second shard on.
    others: Vec<Other>,
    messages: Receiver<Message>,
    /// One that was found when the shard was about to sleep.
    found: Option<Message>,
    /// For each protocol, with the number of strangers since the last line.
    stranger_logs: [(Every, u64); Foreign::COUNT],
}

impl Home {
    pub(super) fn new(
        engine: Engine,
        passwords: Pool,
        writer: Writer,
        others: Vec<Other>,
        messages: Receiver<Message>,
    ) -> Self {
        Self {
            engine,
            passwords,
            writer,
            store: StoreReport::default(),
            others,
            messages,
            found: None,
            stranger_logs: [const { (Every::new(Duration::from_secs(LOG_REPEAT_SECONDS)), 0) };
                Foreign::COUNT],
        }
    }

    /// Whether somebody left something that was not taken in.
    pub(super) fn has_mail(&mut self) -> bool {
        if self.found.is_none() {
            self.found = self.messages.try_recv().ok();
        }
        self.found.is_some() || self.others.iter().any(|other| !other.reports.is_empty())
    }

    /// Takes in what other threads left. Returns whether one of them says that the server is to stop.
    pub(super) fn take_messages(&mut self, now: Now) -> bool {
        let mut stops = false;
        while let Some(message) = self.found.take().or_else(|| self.messages.try_recv().ok()) {
            match message {
                Message::PasswordCompared(id, serial, outcome) => {
                    self.engine.password_compared(id, serial, outcome, now);
                }
                Message::Stored(outcome) => self.take_outcome(outcome, now),
                Message::Stop => stops = true,
            }
        }
        for (index, other) in self.others.iter_mut().enumerate() {
            other.reports.receive(READ_BYTES_PER_TURN_MAX, |reports| {
                self.engine.take_reports(index as u8 + 1, reports, now);
            });
        }
        stops
    }

    fn take_outcome(&mut self, outcome: Outcome, now: Now) {
        self.store.note(&outcome);
        outcome.tell(&mut self.engine, now);
    }

    /// Sends the other shards their orders. Returns whether one has to wait for space.
    pub(super) fn send_orders(&mut self) -> bool {
        let mut is_full = false;
        for (index, other) in self.others.iter_mut().enumerate() {
            let shard = index as u8 + 1;
            let orders = self.engine.orders_mut(shard);
            let on_its_way = other.orders.send(orders);
            is_full |= !orders.is_empty();
            self.engine.note_on_its_way(shard, on_its_way);
        }
        is_full
    }

    /// Sends the store what is to be kept, and then what is to be looked up behind it.
    pub(super) fn hand_out_ops(&mut self, now: Now) {
        let ops = self.engine.take_ops();
        if !ops.is_empty() {
            let (waiting_ops, waiting_bytes) = self.engine.waiting_ops();
            (self.store.queue_ops, self.store.queue_bytes) = (waiting_ops, waiting_bytes);
            self.store.queue_ops_high = self.store.queue_ops_high.max(waiting_ops);
            if !self.writer.send(Task::Ops(ops)) {
                // Its thread is gone, and has said why.
                self.engine.store_failed(now);
            }
        }
        while let Some(task) = self.engine.next_past_task() {
            let (conn, serial) = (task.conn, task.serial);
            if !self.writer.send(Task::Past(task)) {
                self.engine.past_read(conn, serial, None::<&[RoomMessage]>, now);
            }
        }
    }

    /// See [`Engine::timeout`]. Logs the accounts that it deleted.
    pub(super) fn timeout(&mut self, now: Now) {
        let before = self.engine.accounts_expired();
        self.engine.timeout(now);
        let accounts = self.engine.accounts_expired() - before;
        if accounts > 0 {
            tracing::info!(accounts, "deleted accounts that were not used for {UNUSED_ACCOUNT_DAYS} days");
        }
    }

    /// Logs connections of other protocols.
    pub(super) fn log_strangers(&mut self, now: Now) {
        while let Some(stranger) = self.engine.next_stranger() {
            let Stranger { foreign, dialect, count, .. } = stranger;
            let (every, unlogged) = &mut self.stranger_logs[foreign as usize];
            *unlogged = unlogged.saturating_add(count);
            if every.admit(now.monotonic).is_none() {
                continue;
            }
            let suppressed = std::mem::take(unlogged) - 1;
            let outcome =
                if foreign.refused(dialect).is_some() { "it is closed" } else { "the dialect answers it" };
            tracing::info!(
                from = %stranger.network(),
                dialect = dialect.name(),
                looks_like = foreign.name(),
                suppressed,
                "a connection speaks another protocol: {outcome}"
            );
        }
    }

    pub(super) fn hand_out_passwords(&mut self) {
        while let Some(task) = self.engine.next_password_task() {
            if let Err(task) = self.passwords.submit(task) {
                self.engine.password_refused(&task);
            }
        }
    }

    /// Waits until the store has all that it was given. Returns what it had, and what waited for it.
    pub(super) fn finish(self) -> (Engine, StoreReport) {
        let Self { engine, writer, messages, mut store, .. } = self;
        drop(writer);
        for message in messages.try_iter() {
            if let Message::Stored(outcome) = message {
                store.note(&outcome);
            }
        }
        (engine, store)
    }
}
