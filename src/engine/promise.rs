//! Promises: answers that say that something is kept, and so wait until it is.
//!
//! An answer that promises something is *held* at its connection until its op is committed. Where answers come in the order
//! of their requests, all that the connection is answered meanwhile is held behind it; and a request that has no answer of
//! its own is held as an empty one, so that any later answer says of it too that it is kept.
//!
//! ```text
//!   held of one connection    │ 111 until op 7 │ until op 8 (no answer) │ 106 …        ─▶ outbox
//! ```
//!
//! When the store fails, what is held is told all the same, each promise as a refusal; and what was refused is undone, by
//! further ops, so that it is not there when the store is well again. What cannot be undone, a deletion or a mark of what was
//! read, is told as one that is not done yet, and is done when the store is well.

use std::collections::VecDeque;

use super::answers::Question;
use super::holders::Stays;
use super::proof::Wanted;
use super::{Awaited, Engine};
use crate::chat::{Change, CloseReason, ConnId, Event, OpId, PasswordHash, Problem};
use crate::state::AccountId;

/// What an answer promises.
#[derive(Debug)]
pub(super) enum Promise {
    /// Nothing; it stands behind one that does.
    Nothing,
    /// That the connection is logged in to an account.
    Account {
        /// Which.
        account: AccountId,
        /// It was made for this.
        made: Option<Box<Wanted>>,
    },
    /// That a message is in a mailbox: the one that was sent, unless it was there before.
    Mail(Option<OpId>),
    /// Messages are read or deleted, or an account is deleted. There is no answer.
    Change,
    /// The name of a session has an account.
    OwnAccount {
        /// The name.
        made: Box<Wanted>,
    },
    /// The account of a session has another password.
    Password {
        /// The name.
        wanted: Box<Wanted>,
        /// The hash before.
        old: PasswordHash,
        /// The hash from now on.
        new: PasswordHash,
    },
    /// The account of a session is deleted.
    OwnChange,
    /// A handshake has its seat.
    Seat {
        /// Which.
        seat: ConnId,
        /// It was made for this, or for somebody who went away before hearing of it.
        is_made: bool,
        /// The seat was there when the server began to stop. It ends with the server, and its token stays valid.
        outlasts_server: bool,
    },
}

impl Promise {
    /// Whether the answer waits in every dialect, and the connection with it.
    fn is_awaited(&self) -> bool {
        match self {
            Self::Seat { .. } | Self::OwnAccount { .. } | Self::Password { .. } | Self::OwnChange => true,
            Self::Nothing | Self::Account { .. } | Self::Mail(_) | Self::Change => false,
        }
    }
}

#[derive(Debug)]
struct Answer {
    until: OpId,
    /// Bytes of the answer.
    bytes: usize,
    promise: Promise,
}

/// The answers that are held of one connection, oldest first. Never empty.
#[derive(Debug, Default)]
pub(super) struct Held {
    answers: VecDeque<Answer>,
    /// All of them, one behind the other.
    bytes: VecDeque<u8>,
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() + self.answers.len() * size_of::<Answer>()
    }

    fn push(&mut self, until: OpId, bytes: &[u8], promise: Promise) {
        self.bytes.extend(bytes);
        self.answers.push_back(Answer { until, bytes: bytes.len(), promise });
    }
}

impl Engine {
    /// Tells a connection something that is true when an op is committed: then, or now if it is. None: it was before the
    /// start.
    pub(super) fn promise(
        &mut self,
        id: ConnId,
        until: Option<OpId>,
        promise: Promise,
        events: impl FnOnce(&Self, &mut dyn FnMut(&Event<'_>) -> bool),
    ) {
        let until = until.filter(|&until| !self.is_committed(until));
        let waits = promise.is_awaited() || self.conn(id).dialect.answers_when_kept();
        let (Some(until), true) = (until, waits) else {
            self.reply_with(id, events);
            return self.told(id, &promise);
        };
        if self.journal.is_failing {
            // It waits for what was there before the store failed; nobody knows for how long.
            return self.refuse_promise(id, &promise);
        }
        if promise.is_awaited() {
            self.await_something(id, Awaited::Store);
        }
        let mut ends = Vec::new();
        let bytes = self.encode_events(id, &mut ends, events);
        self.hold(id, until, &bytes, promise);
        self.scratch = bytes;
    }

    /// Has a login to a mailbox answered when the op is committed that made its account: then, or now if it
    /// is. None: it was before the start.
    pub(super) fn promise_login(&mut self, id: ConnId, until: Option<OpId>, promise: Promise) {
        let until = until.filter(|&until| !self.is_committed(until));
        let (Some(until), true) = (until, self.conn(id).dialect.answers_when_kept()) else {
            return self.ask(id, Question::AccountNames);
        };
        if self.journal.is_failing {
            return self.refuse_promise(id, &promise);
        }
        self.ask_behind_promise(id);
        self.hold(id, until, &[], promise);
    }

    /// A request that has no answer is carried out by an op: no later answer overtakes that.
    pub(super) fn promise_change(&mut self, id: ConnId, until: OpId) {
        if !self.conn(id).dialect.answers_when_kept() || self.is_committed(until) {
            return;
        }
        if self.journal.is_failing {
            return self.refuse_promise(id, &Promise::Change);
        }
        self.hold(id, until, &[], Promise::Change);
    }

    /// A request found nothing to change: what it asked for may have been done by an op that is not committed yet.
    pub(super) fn promise_unchanged(&mut self, id: ConnId) {
        if let Some(last) = self.journal.last_given() {
            self.promise_change(id, last);
        }
    }

    /// Whether answers of a connection are held.
    pub(super) fn holds(&self, id: ConnId) -> bool {
        self.conn(id).more.as_ref().is_some_and(|more| more.held.is_some())
    }

    /// Holds an answer behind those that are held.
    pub(super) fn hold_behind(&mut self, id: ConnId, bytes: &[u8]) {
        let held = self.conn(id).more.as_ref().and_then(|more| more.held.as_ref());
        if let Some(until) = held.and_then(|held| held.answers.back()).map(|answer| answer.until) {
            self.hold(id, until, bytes, Promise::Nothing);
        }
    }

    /// Holds answers behind those that are held, each frame as one where the dialect's go out one by one:
    /// `ends` says where each ends.
    pub(super) fn hold_frames(&mut self, id: ConnId, frames: &[u8], ends: &[usize]) {
        if !self.fanouts.own.is_framed(self.conn(id).dialect) {
            return self.hold_behind(id, frames);
        }
        let mut start = 0;
        for &end in ends {
            self.hold_behind(id, &frames[start..end]);
            start = end;
        }
    }

    fn hold(&mut self, id: ConnId, until: OpId, bytes: &[u8], promise: Promise) {
        let held = self.more_mut(id).held.get_or_insert_default();
        let before = held.answers.back().map(|answer| answer.until);
        // What follows is not told before.
        let until = before.map_or(until, |before| before.max(until));
        held.push(until, bytes, promise);
        let added = bytes.len() + size_of::<Answer>();
        self.charge_held(id, added);
        if before != Some(until) {
            // Nearly always the last: only what was promised before is promised again with an earlier op.
            let behind = self.promised.iter().rev().take_while(|&&(other, _)| other > until).count();
            self.promised.insert(self.promised.len() - behind, (until, id));
        }
    }

    /// Tells what was promised with ops that are committed.
    pub(super) fn keep_promises(&mut self) {
        while let Some(&(until, id)) = self.promised.front()
            && self.is_committed(until)
        {
            self.promised.pop_front();
            if self.find(id).is_some() {
                self.release(id);
            }
        }
    }

    /// Sends what need not be held any more of a connection.
    fn release(&mut self, id: ConnId) {
        let Some(mut held) = self.more_mut(id).held.take() else { return };
        let before = held.len();
        let mut bytes = 0;
        let mut ends = Vec::new();
        let mut kept = None;
        while let Some(answer) = held.answers.front()
            && self.is_committed(answer.until)
        {
            bytes += answer.bytes;
            ends.push(bytes);
            kept = held.answers.pop_front().map(|answer| answer.promise).filter(Promise::is_awaited).or(kept);
        }
        let told: Vec<u8> = held.bytes.drain(..bytes).collect();
        let is_empty = held.answers.is_empty();
        self.give_held_back(id, before - held.len());
        if !is_empty {
            self.more_mut(id).held = Some(held);
        }
        match kept {
            Some(Promise::Seat { seat, outlasts_server: false, .. }) if !self.is_seated(seat) => {
                self.refuse_lost_seat(id);
            }
            kept => {
                self.push_frames(id, &told, &ends);
                if let Some(promise) = kept {
                    self.told(id, &promise);
                }
            }
        }
        // It may have waited for this alone.
        if self.conn(id).throttled {
            self.let_wait(id);
        }
        if is_empty {
            self.answer_is_ready(id);
            self.close_when_flushed(id);
        }
    }

    /// The server begins to stop: the end of a seat is no loss of its token from now on.
    pub(super) fn keep_seats_beyond_stop(&mut self) {
        for index in 0..self.promised.len() {
            let (_, id) = self.promised[index];
            let held = self.find(id).and_then(|conn| conn.more.as_mut()?.held.take());
            let Some(mut held) = held else { continue };
            for answer in &mut held.answers {
                if let Promise::Seat { seat, outlasts_server, .. } = &mut answer.promise {
                    *outlasts_server = self.is_seated(*seat);
                }
            }
            self.more_mut(id).held = Some(held);
        }
    }

    /// A seat has ended before its handshake was answered, for example through a newer login under the name.
    /// Its token is invalid.
    fn refuse_lost_seat(&mut self, handshake: ConnId) {
        self.stop_awaiting(handshake);
        self.refuse_login(handshake, Problem::NameTaken);
    }

    /// An answer is on its way to its connection.
    fn told(&mut self, id: ConnId, promise: &Promise) {
        if promise.is_awaited() {
            self.stop_awaiting(id);
        }
        if matches!(promise, Promise::Seat { .. }) {
            // A handshake has its answer, and ends with it.
            self.close(id, CloseReason::Served);
        }
    }

    /// Refuses all that is promised and not told.
    pub(super) fn break_promises(&mut self) {
        for (_, id) in std::mem::take(&mut self.promised) {
            if self.find(id).is_some() {
                self.break_promises_of(id);
            }
        }
        self.refuse_pasts();
    }

    fn break_promises_of(&mut self, id: ConnId) {
        let Some(mut held) = self.more_mut(id).held.take() else { return };
        self.give_held_back(id, held.len());
        for Answer { bytes, promise, .. } in std::mem::take(&mut held.answers) {
            let told: Vec<u8> = held.bytes.drain(..bytes).collect();
            match promise {
                Promise::Nothing => self.push_outbox(id, &told),
                promise => self.refuse_promise(id, &promise),
            }
        }
        if self.conn(id).throttled {
            self.let_wait(id);
        }
        self.answer_is_ready(id);
        self.close_when_flushed(id);
    }

    /// Tells a connection that a promise is not kept, and undoes what was to be promised. A change cannot be undone: it
    /// is told as one that is not done yet.
    fn refuse_promise(&mut self, id: ConnId, promise: &Promise) {
        self.metrics.promises_broken += 1;
        match promise {
            Promise::Nothing => {}
            Promise::Account { account, made } => {
                if let Some(wanted) = made {
                    self.undo_account(wanted);
                }
                if self.answers.has(id) {
                    self.answers.forget(id);
                    self.stop_awaiting(id);
                }
                // It may have logged in to another meanwhile.
                if self.conn(id).more.as_ref().is_some_and(|more| more.account == Some(*account)) {
                    self.leave_mailbox(id);
                    self.deadlines.set(id, self.now.monotonic, self.settings.login_timeout);
                }
                self.reply(id, &Event::LoginRefused(Problem::NotKept));
            }
            Promise::Mail(sent) => {
                if let Some(sent) = sent {
                    self.undo_mail(*sent);
                }
                self.reply(id, &Event::Error(Problem::NotKept));
            }
            Promise::Change => self.reply(id, &Event::Error(Problem::Busy)),
            Promise::OwnAccount { made } => {
                if let Some(account) = self.ledger.find(&made.folded) {
                    self.end_account(account, made.name, Stays::Session(id));
                }
                self.stop_awaiting(id);
                self.reply(id, &Event::Error(Problem::NotKept));
            }
            Promise::Password { wanted, old, new } => {
                self.undo_password(wanted, old.clone(), new);
                self.stop_awaiting(id);
                self.reply(id, &Event::Error(Problem::NotKept));
            }
            Promise::OwnChange => {
                self.stop_awaiting(id);
                self.reply(id, &Event::Error(Problem::Busy));
            }
            Promise::Seat { seat, is_made, .. } => {
                if *is_made {
                    self.undo_seat(*seat);
                }
                self.stop_awaiting(id);
                self.refuse_login(id, Problem::NotKept);
            }
        }
    }

    /// A connection ends before it was told everything.
    pub(super) fn forget_promises(&mut self, id: ConnId) {
        let Some(held) = self.conn_mut(id).more.as_mut().and_then(|more| more.held.take()) else { return };
        self.give_held_back(id, held.len());
        for answer in held.answers {
            // A seat of which nobody knows the token would stay for as long as it may be silent.
            if let Promise::Seat { seat, is_made: true, .. } = answer.promise
                && !self.hand_seat_over(id, seat)
            {
                self.undo_seat(seat);
            }
        }
    }

    /// Somebody else waits for the token of the same seat, having asked for it again: then the seat is that one's. Returns
    /// whether there is somebody.
    fn hand_seat_over(&mut self, from: ConnId, seat: ConnId) -> bool {
        for index in 0..self.promised.len() {
            let (_, id) = self.promised[index];
            if id == from || self.find(id).is_none() {
                continue;
            }
            let Some(held) = &mut self.more_mut(id).held else { continue };
            for answer in &mut held.answers {
                if let Promise::Seat { seat: other, is_made, .. } = &mut answer.promise
                    && *other == seat
                {
                    *is_made = true;
                    return true;
                }
            }
        }
        false
    }

    fn undo_account(&mut self, Wanted { name, folded }: &Wanted) {
        if let Some(account) = self.ledger.find(folded) {
            self.end_account(account, *name, Stays::Nothing);
        }
    }

    fn undo_mail(&mut self, mail: OpId) {
        if let Some(sender) = self.ledger.mail(mail).map(|mail| Box::from(mail.sender)) {
            self.commit(Change::MailDeleted { by: sender, message: mail });
        }
    }

    /// Gives a seat up of which nobody was told. A room that it was to be the host of goes on without one as long as
    /// somebody is in it: nobody closed it, and its past stays.
    fn undo_seat(&mut self, seat: ConnId) {
        if self.find(seat).is_none() {
            return;
        }
        self.dethrone(seat);
        self.close(seat, CloseReason::NotKept);
    }
}
