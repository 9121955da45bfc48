//! Long answers: lists of accounts, of the members of a room, of rooms, of messages.
//!
//! The engine makes a long answer piece by piece. It makes the next piece when the connection has read most
//! of the previous one, and the turn's budget for answers is not used up ([`ANSWERS_TURN_BYTES_MAX`]). All
//! other commands have a separate budget: a `PING` does not wait behind lists. Networks take turns, then the
//! connections of each ([`Rounds`]).
//!
//! ```text
//!   ask ─▶ piece ─▶ outbox ─▶ (read) ─▶ Drained ─▶ ready ─▶ piece ─▶ … ─▶ the last piece ─▶ the next command
//!    └──── the budget is used up, or answers wait for the store ──▶ ready
//! ```
//!
//! A connection has one answer at a time, and waits ([`Awaited::Answer`]) until it is complete: answers come
//! in the order of their requests. A one-frame answer states its size at the start. Therefore it is a
//! snapshot. Later accounts are not in it. An entry that is deleted before its piece is made is *rescued*:
//! the engine encodes it at once and keeps it for its piece. Other events of the connection, such as new
//! mail, wait *behind* the frame. In dialects whose lists are many frames, they are sent between the frames.

use std::collections::{BTreeMap, VecDeque};

use super::past::Asked;
use super::rounds::{Lane, Rounds};
use super::{Awaited, Engine};
use crate::chat::{
    Change, CloseReason, ConnId, Event, List, ListKind, Mail, Name, OP_ID_BYTES, OpId, RoomId,
};
use crate::limits::{
    ANSWER_PIECE_BYTES, ANSWER_RESCUED_BYTES_MAX, ANSWER_STRANGERS_BYTES_MAX, ANSWERS_TOTAL_BYTES_MAX,
    ANSWERS_TURN_BYTES_MAX, OUTBOX_BYTES_MAX, USERS_LISTED_MAX,
};
use crate::state::{AccountId, Ledger, With};
use crate::wire::{Codec, Dialect, Fit};

/// A request whose answer may be long.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    /// The names of all accounts, by which a login to a mailbox is answered.
    AccountNames,
    /// All accounts, and the other senders in the mailbox.
    Accounts,
    /// Messages of a mailbox.
    Conversation {
        /// The other user's name; None: there can be no such conversation.
        with: Option<With>,
        /// The first message that is too new.
        before: Option<OpId>,
        /// At most.
        count: u32,
    },
    /// The members of its room.
    Users,
    /// The rooms.
    Rooms,
    /// A page of its room's history, of this number of messages.
    History(Asked, usize),
}

/// An answer that is not complete.
#[derive(Debug)]
pub(super) struct Answer {
    stage: Stage,
    /// The connection is in [`Answers::ready`].
    is_ready: bool,
    /// Bytes that follow the answer.
    behind: Vec<u8>,
}

#[derive(Debug)]
enum Stage {
    /// Nothing of it was made.
    Asked(Question),
    /// Some of it was.
    Made(Rest),
    /// It cannot be completed: the connection ends.
    Lost(CloseReason),
}

/// The rest of an answer.
#[derive(Debug)]
enum Rest {
    Accounts(Accounts),
    Conversation(Conversation),
    Members {
        room: RoomId,
        /// Their slots, in the order of the list. A reused slot shows its new member.
        members: VecDeque<u32>,
    },
}

/// The rest of a list of accounts.
#[derive(Debug)]
struct Accounts {
    with_unread: bool,
    reader: Option<AccountId>,
    /// The last account with a finished entry.
    made: Option<AccountId>,
    last: Option<AccountId>,
    /// Accounts that were deleted before their entries were made.
    rescued: BTreeMap<AccountId, (Box<str>, u32)>,
    rescued_bytes: usize,
    /// The entries of senders without an account.
    strangers: Vec<u8>,
    /// Bytes of the entries that follow, in all.
    bytes: usize,
}

/// The rest of a list of messages.
#[derive(Debug)]
struct Conversation {
    reader: AccountId,
    with: With,
    /// Oldest first, each with whether it was unread when the answer began.
    letters: VecDeque<(OpId, bool)>,
    /// The entries of messages that were deleted before.
    rescued: BTreeMap<OpId, Vec<u8>>,
    rescued_bytes: usize,
    /// Bytes of the entries that follow, in all.
    bytes: usize,
}

/// The answers of all connections that are not complete.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// By the bits of their connections' ids.
    unfinished: BTreeMap<u64, Box<Answer>>,
    /// Connections for which the next piece can be made.
    ready: Rounds,
    /// Bytes of all unfinished answers, without their outboxes.
    held_bytes: usize,
}

impl Answer {
    /// Bytes of the answer, without its outbox.
    fn held_bytes(&self) -> usize {
        let rest = match &self.stage {
            Stage::Asked(_) | Stage::Lost(_) => 0,
            Stage::Made(Rest::Accounts(rest)) => rest.strangers.len() + rest.rescued_bytes,
            Stage::Made(Rest::Conversation(rest)) => {
                rest.letters.len() * size_of::<(OpId, bool)>() + rest.rescued_bytes
            }
            Stage::Made(Rest::Members { members, .. }) => members.len() * size_of::<u32>(),
        };
        self.behind.len() + rest
    }

    /// Whether the answer is in the middle of a frame, so that only its rest can follow.
    fn is_in_frame(&self) -> bool {
        match &self.stage {
            Stage::Made(Rest::Accounts(_) | Rest::Conversation(_)) | Stage::Lost(_) => true,
            Stage::Made(Rest::Members { .. }) | Stage::Asked(_) => false,
        }
    }

    fn lose(&mut self, reason: CloseReason) {
        if !matches!(self.stage, Stage::Lost(_)) {
            self.stage = Stage::Lost(reason);
        }
        self.behind = Vec::new();
    }
}

impl Answers {
    /// Whether each answer is complete.
    pub(super) fn are_complete(&self) -> bool {
        self.unfinished.is_empty()
    }

    /// Whether a connection has an answer that is not complete.
    pub(super) fn has(&self, id: ConnId) -> bool {
        !self.are_complete() && self.unfinished.contains_key(&id.to_bits())
    }

    /// Whether another piece can be made in the next turn.
    pub(super) fn are_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Bytes of all unfinished answers, without their outboxes.
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    fn put(&mut self, id: ConnId, answer: Box<Answer>) {
        self.held_bytes += answer.held_bytes();
        self.unfinished.insert(id.to_bits(), answer);
    }

    fn take(&mut self, id: ConnId) -> Option<Box<Answer>> {
        let answer = self.unfinished.remove(&id.to_bits())?;
        self.held_bytes -= answer.held_bytes();
        Some(answer)
    }

    /// Forgets the answer to a connection.
    pub(super) fn forget(&mut self, id: ConnId) {
        if !self.are_complete() {
            self.take(id);
        }
    }

    /// Changes an answer, and updates the count of held bytes.
    fn change(&mut self, id: ConnId, change: impl FnOnce(&mut Answer)) {
        let Some(answer) = self.unfinished.get_mut(&id.to_bits()) else { return };
        self.held_bytes -= answer.held_bytes();
        change(answer);
        self.held_bytes += answer.held_bytes();
    }

    /// Lets the next piece of an answer be made.
    fn note_ready(&mut self, lane: Lane, id: ConnId) {
        if let Some(answer) = self.unfinished.get_mut(&id.to_bits())
            && !std::mem::replace(&mut answer.is_ready, true)
        {
            self.ready.push(lane, id);
        }
    }

    /// Walks everything and panics where an invariant does not hold. For tests.
    pub(super) fn check_invariants(&self) {
        assert_eq!(
            self.held_bytes,
            self.unfinished.values().map(|answer| answer.held_bytes()).sum::<usize>()
        );
        let ready = self.unfinished.values().filter(|answer| answer.is_ready).count();
        // Entries of closed connections are among the others.
        assert!(ready <= self.ready.len(), "an answer that is ready has its turn");
    }
}

impl Engine {
    /// Answers a question, now or when its turn comes. The connection waits until the answer is complete.
    pub(super) fn ask(&mut self, id: ConnId, question: Question) {
        let stage = Stage::Asked(question);
        let mut answer = Answer { stage, is_ready: false, behind: Vec::new() };
        if !self.holds(id) && !self.are_answers_full() && self.make_piece(id, &mut answer) {
            return;
        }
        self.await_something(id, Awaited::Answer);
        self.wait_with_answer(id, Box::new(answer));
    }

    /// Has a login answered by the list of accounts, once nothing is held before it.
    pub(super) fn ask_behind_promise(&mut self, id: ConnId) {
        let stage = Stage::Asked(Question::AccountNames);
        self.await_something(id, Awaited::Answer);
        self.answers.put(id, Box::new(Answer { stage, is_ready: false, behind: Vec::new() }));
    }

    /// Whether the answers have used up their budget of this turn.
    fn are_answers_full(&self) -> bool {
        self.fanouts.answers_turn_bytes() >= ANSWERS_TURN_BYTES_MAX
    }

    /// Keeps an answer until another piece of it can be made.
    fn wait_with_answer(&mut self, id: ConnId, answer: Box<Answer>) {
        let is_asked = matches!(answer.stage, Stage::Asked(_));
        self.answers.put(id, answer);
        if !is_asked {
            // It goes on when most of this piece is read.
            self.watch(id);
        } else if !self.holds(id) {
            self.answer_is_ready(id);
        }
    }

    /// Another piece of a connection's answer can be made, if it has an unfinished one.
    pub(super) fn answer_is_ready(&mut self, id: ConnId) {
        if self.answers.has(id) {
            let lane = self.lane(id);
            self.answers.note_ready(lane, id);
        }
    }

    /// Makes the next pieces, up to the budget of a turn.
    pub(super) fn go_on_answering(&mut self) {
        self.shed_answers();
        while !self.are_answers_full() {
            if self.fanouts.are_busy() {
                self.is_waited_for_links |= self.answers.are_ready();
                return;
            }
            let Some(id) = self.answers.ready.pop() else { return };
            self.go_on_with_answer(id);
        }
    }

    fn go_on_with_answer(&mut self, id: ConnId) {
        let Some(mut answer) = self.answers.take(id) else { return };
        answer.is_ready = false;
        if self.find(id).is_none() {
            return;
        }
        if let Stage::Lost(reason) = answer.stage {
            return self.drop_now(id, reason);
        }
        if !self.make_piece(id, &mut answer) {
            return self.wait_with_answer(id, answer);
        }
        self.push_outbox(id, &answer.behind);
        let awaited = self.conn(id).more.as_ref().and_then(|more| more.awaited.as_ref());
        // The answer may have become a look-up.
        if matches!(awaited, Some((_, Awaited::Answer))) {
            self.stop_awaiting(id);
        }
        self.close_when_flushed(id);
    }

    /// Makes the next piece of an answer; returns whether that was the last one.
    fn make_piece(&mut self, id: ConnId, answer: &mut Answer) -> bool {
        let before = self.fanouts.all_turn_bytes();
        let mut piece = Piece::new(self.conn(id).dialect, std::mem::take(&mut self.scratch));
        if let Stage::Asked(question) = answer.stage {
            let Some(rest) = self.begin_answer(id, question, &mut piece) else {
                self.scratch = piece.bytes;
                self.charge_answers(before);
                return true;
            };
            answer.stage = Stage::Made(rest);
        }
        let is_done = match &mut answer.stage {
            Stage::Made(Rest::Accounts(rest)) => rest.make(&self.conn(id).codec, &self.ledger, &mut piece),
            Stage::Made(Rest::Conversation(rest)) => {
                rest.make(&self.conn(id).codec, &self.ledger, &mut piece)
            }
            Stage::Made(Rest::Members { room, members }) => self.list_members(id, *room, members, &mut piece),
            Stage::Asked(_) | Stage::Lost(_) => true,
        };
        self.metrics.cut += piece.cut;
        self.push_frames(id, &piece.bytes, &piece.ends);
        self.scratch = piece.bytes;
        self.charge_answers(before);
        is_done
    }

    /// Counts the bytes put into outboxes since then as answers.
    pub(super) fn charge_answers(&mut self, all_turn_bytes_before: usize) {
        let bytes = self.fanouts.all_turn_bytes() - all_turn_bytes_before;
        self.fanouts.count_answers(bytes);
    }

    /// Begins an answer: its frame, where it is one. None: the answer is made, or comes later.
    fn begin_answer(&mut self, id: ConnId, question: Question, piece: &mut Piece) -> Option<Rest> {
        match question {
            Question::AccountNames => Some(self.begin_accounts(id, false, piece)),
            Question::Accounts => Some(self.begin_accounts(id, true, piece)),
            Question::Conversation { with, before, count } => {
                Some(self.begin_conversation(id, with, before, count, piece))
            }
            Question::Users => {
                let (_, room) = self.place(id)?;
                let named = self.room(room).members().filter(|&id| self.conn(id).name.is_some());
                let members = named.take(USERS_LISTED_MAX).map(|id| id.slot).collect();
                let (codec, room_name) = (&self.conn(id).codec, &self.room(room).name);
                let count = self.room(room).count() as u32;
                piece.tell(codec, &Event::UsersBegin { room: room_name.as_str(), count });
                Some(Rest::Members { room, members })
            }
            // These two are never longer than an answer may be: they are made at once.
            Question::Rooms => {
                self.list_rooms(id);
                None
            }
            Question::History(asked, count) => {
                self.show_history(id, asked, count);
                None
            }
        }
    }

    fn begin_accounts(&mut self, id: ConnId, with_unread: bool, piece: &mut Piece) -> Rest {
        let conn = self.connections.get(id).expect("an id that the engine holds is not stale");
        let (dialect, codec) = (conn.dialect, &conn.codec);
        let bytes_max = dialect.list_bytes_max();
        let oldest =
            self.ledger.oldest(dialect.entry_bytes(codec, &account_entry(with_unread, "", 0)), bytes_max);
        let (mut count, mut bytes, mut is_all) = (oldest.count, oldest.bytes, oldest.is_all);
        let reader = self.account_of(id).filter(|_| with_unread);
        let mut strangers = Vec::new();
        if let Some(reader) = reader.filter(|_| is_all) {
            for (name, unread) in self.ledger.strangers_of(reader) {
                let stranger = account_entry(with_unread, &name, unread);
                let entry_bytes = dialect.entry_bytes(codec, &stranger);
                is_all = bytes + entry_bytes <= bytes_max
                    && strangers.len() + entry_bytes <= ANSWER_STRANGERS_BYTES_MAX;
                if !is_all {
                    break;
                }
                (count, bytes) = (count + 1, bytes + entry_bytes);
                let _ = dialect.encode_event(codec, &stranger, &mut strangers);
            }
        }
        piece.cut += u64::from(!is_all);
        let kind = if with_unread { ListKind::Accounts } else { ListKind::AccountNames };
        piece.tell(codec, &Event::ListBegin(List { kind, count, bytes }));
        let (rescued, rescued_bytes) = (BTreeMap::new(), 0);
        let (made, last) = (None, oldest.last);
        Rest::Accounts(Accounts { with_unread, reader, made, last, rescued, rescued_bytes, strangers, bytes })
    }

    fn begin_conversation(
        &self,
        id: ConnId,
        with: Option<With>,
        before: Option<OpId>,
        count: u32,
        piece: &mut Piece,
    ) -> Rest {
        let conn = self.conn(id);
        let (dialect, codec) = (conn.dialect, &conn.codec);
        let begin = |piece: &mut Piece, count, bytes| {
            piece.tell(codec, &Event::ListBegin(List { kind: ListKind::Mail, count, bytes }));
        };
        let (Some(reader), Some(with)) = (self.account_of(id), with) else {
            begin(piece, 0, 0);
            return Rest::Accounts(Accounts::empty());
        };
        let letters = self.ledger.conversation(reader, &with, before, count as usize);
        let mut bytes = 0;
        let letters: VecDeque<_> = letters
            .into_iter()
            .filter_map(|letter| {
                let mail = self.ledger.mail(letter)?;
                let unread = mail.unread;
                bytes += with_mail(letter, mail, |entry| dialect.entry_bytes(codec, entry));
                Some((letter, unread))
            })
            .collect();
        begin(piece, letters.len() as u32, bytes);
        let (rescued, rescued_bytes) = (BTreeMap::new(), 0);
        Rest::Conversation(Conversation { reader, with, letters, rescued, rescued_bytes, bytes })
    }

    /// Lists members of a room that are still there; returns whether those were the last ones.
    fn list_members(&self, id: ConnId, room: RoomId, members: &mut VecDeque<u32>, piece: &mut Piece) -> bool {
        let codec = &self.conn(id).codec;
        while !piece.is_full() {
            let Some(slot) = members.pop_front() else { return true };
            if let Some(conn) = self.connections.get(ConnId { slot, generation: 0 })
                && conn.membership.is_some_and(|at| at.room == room)
                && let Some(name) = &conn.name
            {
                piece.tell(codec, &Event::User { name: name.as_str(), own: slot == id.slot });
            }
        }
        members.is_empty()
    }

    /// Keeps bytes for a connection until the frame of its answer is whole. Returns false if the connection
    /// is not in the middle of a frame.
    pub(super) fn put_behind_answer(&mut self, id: ConnId, bytes: &[u8]) -> bool {
        let answer = self.answers.unfinished.get(&id.to_bits());
        if !answer.is_some_and(|answer| answer.is_in_frame()) {
            return false;
        }
        self.answers.change(id, |answer| {
            if answer.behind.len() + bytes.len() > OUTBOX_BYTES_MAX {
                answer.lose(CloseReason::TooSlow);
            } else if !matches!(answer.stage, Stage::Lost(_)) {
                answer.behind.extend_from_slice(bytes);
            }
        });
        self.end_lost(id);
        true
    }

    /// A connection is being closed. The engine drops an answer that it has not started, ends a list of many
    /// frames here, and completes a frame that it has started. A promised login still gets its answer.
    pub(super) fn cut_answer_short(&mut self, id: ConnId) {
        let Some(answer) = self.answers.unfinished.get(&id.to_bits()) else { return };
        let is_promised = matches!(answer.stage, Stage::Asked(Question::AccountNames));
        if !answer.is_in_frame() && !is_promised {
            self.answers.forget(id);
        }
    }

    /// Ends a connection whose answer is lost.
    fn end_lost(&mut self, id: ConnId) {
        let answer = self.answers.unfinished.get(&id.to_bits());
        if answer.is_some_and(|answer| matches!(answer.stage, Stage::Lost(_))) {
            self.answer_is_ready(id);
        }
    }

    /// Before a change is applied: makes the entries that it would delete from answers.
    pub(super) fn rescue(&mut self, change: &Change) {
        if self.answers.are_complete() {
            return;
        }
        match change {
            Change::AccountDeleted { name, .. } => {
                let account = Name::parse(name).ok().and_then(|(_, folded)| self.ledger.find(&folded));
                if let Some(account) = account {
                    self.rescue_account(account);
                }
            }
            Change::MailDeleted { message, .. } => self.rescue_letter(*message),
            Change::ConversationCleared { messages, .. } => {
                messages.iter().for_each(|&message| self.rescue_letter(message));
            }
            Change::AccountCreated { .. }
            | Change::AccountUsed { .. }
            | Change::PasswordChanged { .. }
            | Change::MailSent { .. }
            | Change::MailRead { .. }
            | Change::Said { .. }
            | Change::RoomMade { .. }
            | Change::SeatTaken { .. }
            | Change::SeatLeft { .. }
            | Change::RoomClosed { .. } => {}
        }
    }

    fn rescue_account(&mut self, id: AccountId) {
        self.rescue_in_each(|rest, ledger, dialect, codec| match rest {
            Rest::Accounts(rest) => rest.rescue(id, ledger),
            Rest::Conversation(rest) if rest.reader == id || rest.with == With::Account(id) => {
                rest.rescue_all(ledger, dialect, codec);
            }
            Rest::Conversation(_) | Rest::Members { .. } => {}
        });
    }

    fn rescue_letter(&mut self, id: OpId) {
        self.rescue_in_each(|rest, ledger, dialect, codec| {
            if let Rest::Conversation(rest) = rest {
                rest.rescue(id, ledger, dialect, codec);
            }
        });
    }

    fn rescue_in_each(&mut self, rescue: impl Fn(&mut Rest, &Ledger, Dialect, &Codec)) {
        let mut lost = Vec::new();
        let Self { answers, connections, ledger, .. } = self;
        for (&bits, answer) in &mut answers.unfinished {
            let id = ConnId::from_bits(bits);
            let before = answer.held_bytes();
            if let (Stage::Made(rest), Some(conn)) = (&mut answer.stage, connections.get(id)) {
                rescue(rest, ledger, conn.dialect, &conn.codec);
                if rest.rescued_bytes() > ANSWER_RESCUED_BYTES_MAX {
                    answer.lose(CloseReason::TooSlow);
                    lost.push(id);
                }
            }
            answers.held_bytes = answers.held_bytes - before + answer.held_bytes();
        }
        for id in lost {
            self.end_lost(id);
        }
    }

    /// Ends the connections with the largest answers if the total is too large.
    fn shed_answers(&mut self) {
        while self.answers.held_bytes > ANSWERS_TOTAL_BYTES_MAX {
            let kept = self.answers.unfinished.iter().map(|(&bits, answer)| (answer.held_bytes(), bits));
            let Some((_, bits)) = kept.max() else { return };
            let id = ConnId::from_bits(bits);
            self.answers.change(id, |answer| answer.lose(CloseReason::Memory));
            self.end_lost(id);
        }
    }
}

fn account_entry(with_unread: bool, name: &str, unread: u32) -> Event<'_> {
    if with_unread { Event::Account { name, unread } } else { Event::AccountName(name) }
}

/// Shows a message as an entry.
fn with_mail<T>(id: OpId, mail: Mail<'_>, show: impl FnOnce(&Event<'_>) -> T) -> T {
    show(&Event::Mail(Mail { id: id.text(&mut [0; OP_ID_BYTES]), ..mail }))
}

impl Rest {
    fn rescued_bytes(&self) -> usize {
        match self {
            Self::Accounts(rest) => rest.rescued_bytes,
            Self::Conversation(rest) => rest.rescued_bytes,
            Self::Members { .. } => 0,
        }
    }
}

impl Accounts {
    /// The rest of a list without entries.
    fn empty() -> Self {
        Self {
            with_unread: false,
            reader: None,
            made: None,
            last: None,
            rescued: BTreeMap::new(),
            rescued_bytes: 0,
            strangers: Vec::new(),
            bytes: 0,
        }
    }

    /// Adds entries to a piece; returns whether those were the last ones.
    fn make(&mut self, codec: &Codec, ledger: &Ledger, piece: &mut Piece) -> bool {
        if let Some(last) = self.last {
            let mut live = ledger.accounts_between(self.made, last).peekable();
            while !piece.is_full() {
                let rescued = self.rescued.first_key_value().map(|(&id, _)| id);
                match (live.peek().map(|&(id, _)| id), rescued) {
                    (None, None) => break,
                    (id, Some(gone)) if id.is_none_or(|id| gone < id) => {
                        let Some((name, unread)) = self.rescued.remove(&gone) else { break };
                        piece.tell(codec, &account_entry(self.with_unread, &name, unread));
                        self.rescued_bytes -= rescued_account_bytes(&name);
                        self.made = Some(gone);
                    }
                    _ => {
                        let Some((id, account)) = live.next() else { break };
                        let unread = if self.with_unread { ledger.unread_of(self.reader, id) } else { 0 };
                        piece.tell(codec, &account_entry(self.with_unread, &account.name, unread));
                        self.made = Some(id);
                    }
                }
            }
        }
        if self.made == self.last && !piece.is_full() {
            piece.bytes.append(&mut self.strangers);
        }
        self.bytes = piece.count_off(self.bytes);
        let is_done = self.made == self.last && self.strangers.is_empty();
        debug_assert!(!is_done || self.bytes == 0, "a list is as long as it says");
        is_done
    }

    /// Keeps the entry of an account that is about to be deleted.
    fn rescue(&mut self, id: AccountId, ledger: &Ledger) {
        let is_ahead = self.made < Some(id) && Some(id) <= self.last;
        if let (true, Some(account)) = (is_ahead, ledger.account(id)) {
            let unread = if self.with_unread { ledger.unread_of(self.reader, id) } else { 0 };
            self.rescued_bytes += rescued_account_bytes(&account.name);
            self.rescued.insert(id, (account.name.clone(), unread));
        }
    }
}

fn rescued_account_bytes(name: &str) -> usize {
    size_of::<(AccountId, Box<str>, u32)>() + name.len()
}

impl Conversation {
    /// Adds entries to a piece; returns whether those were the last ones.
    fn make(&mut self, codec: &Codec, ledger: &Ledger, piece: &mut Piece) -> bool {
        while !piece.is_full() {
            let Some((id, unread)) = self.letters.pop_front() else { break };
            if let Some(entry) = self.rescued.remove(&id) {
                self.rescued_bytes -= rescued_letter_bytes(&entry);
                piece.bytes.extend_from_slice(&entry);
            } else if let Some(mail) = ledger.mail(id) {
                with_mail(id, Mail { unread, ..mail }, |entry| piece.tell(codec, entry));
            }
        }
        self.bytes = piece.count_off(self.bytes);
        debug_assert!(!self.letters.is_empty() || self.bytes == 0, "a list is as long as it says");
        self.letters.is_empty()
    }

    /// Keeps the entry of a message that is about to be deleted.
    fn rescue(&mut self, id: OpId, ledger: &Ledger, dialect: Dialect, codec: &Codec) {
        if let Ok(index) = self.letters.binary_search_by_key(&id, |&(id, _)| id) {
            self.rescue_at(index, ledger, dialect, codec);
        }
    }

    /// Keeps the entries of all messages that follow.
    fn rescue_all(&mut self, ledger: &Ledger, dialect: Dialect, codec: &Codec) {
        for index in 0..self.letters.len() {
            if self.rescued_bytes > ANSWER_RESCUED_BYTES_MAX {
                return;
            }
            self.rescue_at(index, ledger, dialect, codec);
        }
    }

    fn rescue_at(&mut self, index: usize, ledger: &Ledger, dialect: Dialect, codec: &Codec) {
        let (id, unread) = self.letters[index];
        let Some(mail) = ledger.mail(id).filter(|_| !self.rescued.contains_key(&id)) else { return };
        let mut bytes = Vec::new();
        let _ =
            with_mail(id, Mail { unread, ..mail }, |entry| dialect.encode_event(codec, entry, &mut bytes));
        self.rescued_bytes += rescued_letter_bytes(&bytes);
        self.rescued.insert(id, bytes);
    }
}

fn rescued_letter_bytes(entry: &[u8]) -> usize {
    size_of::<(OpId, Vec<u8>)>() + entry.len()
}

/// The part of an answer that is made at once.
#[derive(Debug)]
struct Piece {
    dialect: Dialect,
    bytes: Vec<u8>,
    /// The end of each frame.
    ends: Vec<usize>,
    /// Bytes at the start that are the head of a list.
    head: usize,
    /// Texts that were cut.
    cut: u64,
}

impl Piece {
    fn new(dialect: Dialect, mut scratch: Vec<u8>) -> Self {
        scratch.clear();
        Self { dialect, bytes: scratch, ends: Vec::new(), head: 0, cut: 0 }
    }

    fn tell(&mut self, codec: &Codec, event: &Event<'_>) {
        let fit = self.dialect.encode_event(codec, event, &mut self.bytes);
        self.cut += u64::from(fit == Fit::Cut);
        if matches!(event, Event::ListBegin(_)) {
            self.head = self.bytes.len();
        }
        if self.dialect.transport() != crate::wire::Transport::Stream {
            self.ends.push(self.bytes.len());
        }
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= ANSWER_PIECE_BYTES
    }

    /// Takes the entries of the piece off the bytes that were announced.
    fn count_off(&self, announced: usize) -> usize {
        announced.saturating_sub(self.bytes.len() - self.head)
    }
}
