//! What files say, compared with what a store has: the ops that are missing there.
//!
//! Every op is carried out on a copy of the state as soon as it is planned, so that what comes later in the files is
//! compared with what came before.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use super::Report;
use super::foreign_id::{foreign_id, own_id};
use super::material::{Account, Mark, MarkKind, Material, Message, Seat, To};
use crate::chat::{
    self, Change, Folded, Kept, Name, Op, OpId, PasswordHash, RoomName, SERVER_NAME, Token, UnixMillis,
};
use crate::limits::{
    ACCOUNTS_MAX, ARCHIVE_PAGE_MESSAGES, IMPORT_AHEAD_SECONDS_MAX, IMPORT_ID_AHEAD_SECONDS_MAX,
    MAIL_KEY_BYTES_MAX, MAIL_READ_MAX, ROOMS_MAX, SEATS_MAX, SEATS_OF_NAME_MAX, TEXT_BYTES_MAX,
};
use crate::state::State;
use crate::store::{Reader, StoreError};

/// What an import does.
#[derive(Debug)]
pub struct Plan {
    /// To be committed as one group, by whoever holds the store's lock since before the plan was made.
    pub ops: Vec<Op>,
    /// What was taken and what was left.
    pub report: Report,
}

const ROOM_DELETION: &str = "a deletion in a room, whose messages go by number and age only";

/// The room that is always there, and has no host.
const LOBBY: &str = "lobby";

impl Material {
    /// Compares it with a store. `now` and `random` are for the ids of ops that have none of their own.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn plan(
        mut self,
        store: &mut dyn Reader,
        now: UnixMillis,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<Plan, StoreError> {
        let mut planner = Planner::of(store, now, random)?;
        let (gone, accounts): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.accounts).into_iter().partition(|account| account.is_gone);
        planner.accounts_gone(&mut self, &gone, &accounts);
        for account in accounts {
            planner.account(&mut self, account);
        }
        let (gone, seats): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.seats).into_iter().partition(|seat| seat.is_gone);
        planner.seats_gone(&mut self, &gone, &seats);
        for seat in seats {
            planner.seat(&mut self, store, seat)?;
        }
        let mut messages: Vec<_> = std::mem::take(&mut self.messages)
            .into_iter()
            .map(|message| Ok((planner.id(store, &message)?, message)))
            .collect::<Result<_, StoreError>>()?;
        messages.sort_by_key(|&(id, _)| id);
        for (id, message) in messages {
            planner.message(&mut self, store, id, message)?;
        }
        for mark in std::mem::take(&mut self.marks) {
            planner.mark(&mut self, &mark);
        }
        planner.finish();
        let Planner { ops, mut report, .. } = planner;
        report.left = self.report.left;
        Ok(Plan { ops, report })
    }
}

struct Planner<'a> {
    state: State,
    /// By room: who has seats in it.
    rooms: HashMap<Box<str>, Seats>,
    /// The room that each is for.
    tokens: HashMap<Token, Box<str>>,
    /// By the name that they were given to.
    seats_of_name: HashMap<Folded, Vec<Token>>,
    /// The names whose accounts are the same in the files and in the store. A seat in the files was proved
    /// for the account there, which may be another person's than the account of that name here.
    known: HashSet<Folded>,
    /// What is kept of the rooms that were asked for.
    said: HashMap<Box<str>, HashSet<OpId>>,
    /// To be marked as read, by the folded name of who read them.
    read: BTreeMap<Folded, (Box<str>, Vec<OpId>)>,
    /// To be deleted, and by whom: after the read marks, which those of them have that were read.
    deleted: Vec<(Box<str>, OpId)>,
    /// Messages that only their recipients see, by the names of the senders.
    cleared: Vec<(Box<str>, OpId)>,
    ops: Vec<Op>,
    report: Report,
    ids: Ids<'a>,
    now: UnixMillis,
}

#[derive(Default)]
struct Seats {
    host: Option<Token>,
    names: HashSet<Folded>,
}

/// Ids above all that were given out.
pub(super) struct Ids<'a> {
    at: UnixMillis,
    sequence: u16,
    random: &'a mut dyn FnMut() -> u64,
}

impl<'a> Ids<'a> {
    /// 12 bits are there for it.
    const SEQUENCE_MAX: u16 = 0xfff;

    /// The first is of this time, which lies behind all ids that were given out.
    pub(super) fn from(at: UnixMillis, random: &'a mut dyn FnMut() -> u64) -> Self {
        Self { at, sequence: 0, random }
    }

    pub(super) fn next(&mut self) -> OpId {
        let id = OpId::new(self.at, self.sequence, (self.random)());
        if self.sequence == Self::SEQUENCE_MAX {
            (self.at, self.sequence) = (UnixMillis(self.at.0 + 1), 0);
        } else {
            self.sequence += 1;
        }
        id
    }
}

impl<'a> Planner<'a> {
    fn of(
        store: &mut dyn Reader,
        now: UnixMillis,
        random: &'a mut dyn FnMut() -> u64,
    ) -> Result<Self, StoreError> {
        let mut planner = Self {
            state: State::new(random()),
            rooms: HashMap::new(),
            tokens: HashMap::new(),
            seats_of_name: HashMap::new(),
            known: HashSet::new(),
            said: HashMap::new(),
            read: BTreeMap::new(),
            deleted: Vec::new(),
            cleared: Vec::new(),
            ops: Vec::new(),
            report: Report::default(),
            ids: Ids::from(now, random),
            now,
        };
        let last = store.load(&mut |kept| {
            planner.state.restore(&kept);
            if let Kept::Seat { room, seat, is_host, made: _ } = kept
                && let Ok((_, folded)) = Name::parse(&seat.name)
            {
                planner.note_seat(&room, seat.token, folded, is_host);
            }
        })?;
        if let Some(last) = last {
            planner.ids.at = now.max(UnixMillis(last.at().0 + 1));
        }
        Ok(planner)
    }

    fn note_seat(&mut self, room: &str, token: Token, folded: Folded, is_host: bool) {
        let seats = self.rooms.entry(room.into()).or_default();
        seats.names.insert(folded);
        if is_host {
            seats.host = Some(token);
        }
        self.tokens.insert(token, room.into());
        self.seats_of_name.entry(folded).or_default().push(token);
    }

    /// A name gains an account: the seats that were given to it before end, as no password was asked for
    /// them. A room goes on without its host.
    fn end_seats_of(&mut self, folded: &Folded) {
        for token in self.seats_of_name.remove(folded).unwrap_or_default() {
            let Some(room) = self.tokens.remove(&token) else { continue };
            if let Some(seats) = self.rooms.get_mut(&room) {
                seats.names.remove(folded);
                seats.host = seats.host.filter(|&host| host != token);
                if seats.names.is_empty() {
                    self.rooms.remove(&room);
                }
            }
            let id = self.ids.next();
            self.push(id, self.now, Change::SeatLeft { token });
            self.report.ended_seats += 1;
        }
    }

    /// The id that a message has here.
    fn id(&mut self, store: &mut dyn Reader, message: &Message) -> Result<OpId, StoreError> {
        let (To::Recipient(to) | To::Room(to)) = &message.to;
        let foreign = || foreign_id(&message.id, message.at, &message.sender, to);
        let Some(own) = own_id(&message.id, message.at) else { return Ok(foreign()) };
        if own.at().0 <= message.at.0 + 1 {
            return Ok(own);
        }
        // Earlier versions gave another id to a message whose own is later than its time, and may have
        // imported it.
        let foreign = foreign();
        let is_there = self.is_there(store, foreign, &message.to)?;
        Ok(if is_there { foreign } else { own })
    }

    fn is_there(&mut self, store: &mut dyn Reader, id: OpId, to: &To) -> Result<bool, StoreError> {
        match to {
            To::Recipient(_) => Ok(self.state.ledger.mail(id).is_some()),
            To::Room(room) => Ok(self.said_in(store, room)?.contains(&id)),
        }
    }

    /// The ids of all that is kept of a room.
    fn said_in(&mut self, store: &mut dyn Reader, room: &str) -> Result<&mut HashSet<OpId>, StoreError> {
        if !self.said.contains_key(room) {
            self.said.insert(room.into(), ids_in(store, room)?);
        }
        Ok(self.said.get_mut(room).expect("it was just put there"))
    }

    fn push(&mut self, id: OpId, at: UnixMillis, change: Change) {
        let op = Op { id, at, change };
        self.state.apply(&op);
        self.ops.push(op);
    }

    /// Reports accounts that the files delete, and that an earlier import has brought here: they stay.
    fn accounts_gone(&self, material: &mut Material, gone: &[Account], kept: &[Account]) {
        let kept: HashSet<_> = kept.iter().filter_map(|account| folded(&account.name)).collect();
        for Account { place, name, .. } in gone {
            let is_here = folded(name)
                .is_some_and(|name| !kept.contains(&name) && self.state.ledger.find(&name).is_some());
            if is_here {
                material.leave("a deletion of an account, which stays here", *place, name);
            }
        }
    }

    /// Counts ended seats in the same way.
    fn seats_gone(&self, material: &mut Material, gone: &[Seat], kept: &[Seat]) {
        let kept: HashSet<_> = kept.iter().filter_map(|seat| Token::parse(&seat.token)).collect();
        for Seat { place, name, token, .. } in gone {
            let is_here = Token::parse(token)
                .is_some_and(|token| !kept.contains(&token) && self.tokens.contains_key(&token));
            if is_here {
                material.leave("the end of a seat, which stays here", *place, name);
            }
        }
    }

    fn account(&mut self, material: &mut Material, account: Account) {
        let Account { place, name, hash, is_unused, is_gone: _ } = account;
        let leave = |material: &mut Material, reason: &str| material.leave(reason, place, &name);
        let Some(folded) = folded(&name) else { return leave(material, "a name that names cannot be") };
        let password = match PasswordHash::new(&hash) {
            Ok(password) => password,
            Err(error) => return leave(material, &error.to_string()),
        };
        if let Some(there) = self.state.ledger.find(&folded) {
            let is_same = self.state.ledger.account(there).is_some_and(|there| there.password == password);
            if is_same {
                self.report.there.accounts += 1;
                self.known.insert(folded);
                return;
            }
            return leave(material, "an account of that name is there, with another hash, which stays");
        }
        if self.state.ledger.account_count() >= ACCOUNTS_MAX {
            return leave(material, "there are as many accounts as can be");
        }
        self.end_seats_of(&folded);
        self.known.insert(folded);
        let id = self.ids.next();
        self.push(id, self.now, Change::AccountCreated { name, password, is_unused });
        self.report.taken.accounts += 1;
    }

    fn seat(
        &mut self,
        material: &mut Material,
        store: &mut dyn Reader,
        seat: Seat,
    ) -> Result<(), StoreError> {
        let Seat { place, room, name, token, ip, is_host, made, is_proved, is_gone: _ } = seat;
        let reason = match (RoomName::parse(&room), folded(&name), Token::parse(&token), ip.parse::<IpAddr>())
        {
            (Err(_), ..) => "a room's name that names of rooms cannot be",
            (_, None, ..) => "a name that names cannot be",
            (_, _, None, _) => "a token that is no token_ with 32 hexadecimal digits",
            (.., Err(_)) => "an address that is none",
            (Ok(_), Some(folded), Some(token), Ok(ip)) => {
                if self.tokens.get(&token) == Some(&room) {
                    self.report.there.seats += 1;
                    return Ok(());
                }
                if let Some(reason) = self.why_no_seat(material, &room, &folded, token, is_host, is_proved) {
                    reason
                } else {
                    self.note_seat(&room, token, folded, is_host);
                    let (id, at) = self.id_of_seat(store, &room, made)?;
                    let seat = chat::Seat { name, token, ip };
                    let change = if is_host {
                        Change::RoomMade { room, host: seat }
                    } else {
                        Change::SeatTaken { room, seat }
                    };
                    self.push(id, at, change);
                    self.report.taken.seats += 1;
                    return Ok(());
                }
            }
        };
        if is_host {
            material.without_host.insert(room);
        }
        material.leave(reason, place, &name);
        Ok(())
    }

    /// The id of the op that gives a seat, and its time. A room keeps its id from the file, so that its close
    /// deletes its messages. It gets a new id if the store has later messages under its name, which belong to
    /// another room.
    fn id_of_seat(
        &mut self,
        store: &mut dyn Reader,
        room: &str,
        made: Option<OpId>,
    ) -> Result<(OpId, UnixMillis), StoreError> {
        // The bound for ids of messages ahead of the clock.
        let latest = UnixMillis(self.now.0 + IMPORT_ID_AHEAD_SECONDS_MAX * 1000);
        if let Some(made) = made.filter(|made| made.at() <= latest)
            && self.said_in(store, room)?.iter().all(|&said| said < made)
        {
            return Ok((made, made.at().min(self.now)));
        }
        Ok((self.ids.next(), self.now))
    }

    fn why_no_seat(
        &self,
        material: &Material,
        room: &str,
        folded: &Folded,
        token: Token,
        is_host: bool,
        is_proved: bool,
    ) -> Option<&'static str> {
        let seats = self.rooms.get(room);
        let of_name = self.seats_of_name.get(folded).map_or(0, Vec::len);
        if self.tokens.contains_key(&token) {
            Some("a token that is for another room")
        } else if is_host && room == LOBBY {
            Some("the lobby has no host")
        } else if is_host && seats.is_some() {
            Some("a room of that name is there")
        } else if !is_host && material.without_host.contains(room) {
            Some("the seat of the room's host was left")
        } else if seats.is_some_and(|seats| seats.names.contains(folded)) {
            Some("that name has a seat in the room")
        } else if self.state.ledger.find(folded).is_some() && !(is_proved && self.known.contains(folded)) {
            Some("the name has an account, and nobody proved it for this seat")
        } else if self.tokens.len() >= SEATS_MAX || (seats.is_none() && self.rooms.len() >= ROOMS_MAX) {
            Some("there are as many seats or rooms as can be")
        } else if of_name >= SEATS_OF_NAME_MAX {
            Some("that name has as many seats as one may have")
        } else {
            None
        }
    }

    fn message(
        &mut self,
        material: &mut Material,
        store: &mut dyn Reader,
        id: OpId,
        message: Message,
    ) -> Result<(), StoreError> {
        let place = message.place;
        let ahead = UnixMillis(self.now.0 + IMPORT_AHEAD_SECONDS_MAX * 1000);
        let reason = if folded(&message.sender).is_none() {
            "a sender's name that names cannot be"
        } else if message.content.len() > TEXT_BYTES_MAX {
            "a text that is too long"
        } else if message.at > ahead && !self.is_there(store, id, &message.to)? {
            "a time more than 100 years ahead"
        } else {
            match message.to {
                To::Recipient(_) => self.letter(material, id, message),
                To::Room(_) => self.said(material, store, id, message)?,
            }
            return Ok(());
        };
        material.leave(reason, place, &message.id);
        Ok(())
    }

    fn said(
        &mut self,
        material: &mut Material,
        store: &mut dyn Reader,
        id: OpId,
        message: Message,
    ) -> Result<(), StoreError> {
        let Message { place, id: foreign, sender, to: To::Recipient(room) | To::Room(room), content, .. } =
            message;
        if RoomName::parse(&room).is_err() {
            material.leave("a room's name that names of rooms cannot be", place, &foreign);
            return Ok(());
        }
        let is_new = self.said_in(store, &room)?.insert(id);
        match (is_new, message.is_deleted) {
            (true, false) => {
                self.push(id, message.at, Change::Said { room, sender, text: content });
                self.report.taken.room_messages += 1;
            }
            (true, true) => self.report.gone += 1,
            (false, false) => self.report.there.room_messages += 1,
            (false, true) => {
                material.leave(ROOM_DELETION, place, &foreign);
            }
        }
        Ok(())
    }

    fn letter(&mut self, material: &mut Material, id: OpId, message: Message) {
        let Message {
            place, id: foreign, sender, to: To::Recipient(recipient) | To::Room(recipient), ..
        } = message;
        let ledger = &self.state.ledger;
        if let Some(there) = ledger.mail(id) {
            if *there.sender != *sender || *there.recipient != *recipient {
                return material.leave("an id that another message has", place, &foreign);
            }
            if message.is_deleted {
                return self.delete(id, None);
            }
            self.report.there.letters += 1;
        } else {
            if message.is_deleted {
                self.report.gone += 1;
                return;
            }
            let sender_folded = folded(&sender);
            let sender_account = sender_folded.and_then(|folded| ledger.find(&folded));
            // A message to oneself is seen by its recipient alone, and was sent by the account all the same.
            let is_to_oneself = sender_folded == folded(&recipient);
            let is_hidden = message.sender_sees == Some(false);
            let sender_account =
                sender_account.filter(|_| is_to_oneself || message.is_from_account || !is_hidden);
            let key = message.key.filter(|key| !key.is_empty());
            let account = folded(&recipient).and_then(|folded| ledger.find(&folded));
            let Some(account) = account else {
                return material.leave(&format!("no account for {recipient}"), place, &foreign);
            };
            if !ledger.has_space(None, sender_account, account, &message.content) {
                return material.leave(
                    &format!("the mailbox of {recipient} or {sender} is full"),
                    place,
                    &foreign,
                );
            }
            if key.as_ref().is_some_and(|key| key.len() > MAIL_KEY_BYTES_MAX) {
                return material.leave("a key that is too long", place, &foreign);
            }
            let sent =
                sender_account.zip(key.as_ref()).and_then(|(sender, key)| ledger.sent_with(sender, key));
            if sent.is_some() {
                return material.leave("another message of that sender has its key", place, &foreign);
            }
            let id_of = |account| ledger.account(account).map(|account| account.id);
            let change = Change::MailSent {
                sender,
                sender_has_account: sender_account.is_some(),
                sender_account: sender_account.and_then(id_of),
                recipient,
                recipient_account: id_of(account),
                content: message.content,
                key,
            };
            self.push(id, message.at, change);
            self.report.taken.letters += 1;
        }
        if message.is_read {
            self.mark_read(id);
        }
        if !message.recipient_sees {
            self.hide(id);
        }
        if message.is_from_account && message.sender_sees == Some(false) {
            self.hide_from_sender(id);
        }
    }

    /// A read mark or a deletion of a message that came with an earlier import.
    fn mark(&mut self, material: &mut Material, mark: &Mark) {
        let Mark { place, id, kind } = mark;
        let Some(id) = OpId::parse(id).filter(|&id| self.state.ledger.mail(id).is_some()) else {
            return match kind {
                MarkKind::Read => material.leave("a read mark of a message that is not there", *place, id),
                MarkKind::Deleted(_) | MarkKind::Cleared(_) => self.report.gone += 1,
            };
        };
        match kind {
            MarkKind::Read => self.mark_read(id),
            MarkKind::Deleted(by) => self.delete(id, by.as_deref()),
            MarkKind::Cleared(by) => self.clear(id, by),
        }
    }

    fn mark_read(&mut self, id: OpId) {
        let Some(mail) = self.state.ledger.mail(id) else { return };
        let Some(reader) = folded(mail.recipient) else { return };
        let sees = self.state.ledger.find(&reader).is_some_and(|account| self.state.ledger.sees(account, id));
        if mail.unread && sees {
            self.read.entry(reader).or_insert_with(|| (mail.recipient.into(), Vec::new())).1.push(id);
        } else {
            self.report.there.read += 1;
        }
    }

    /// Deletes a message that is there: for both, unless it is its recipient who deleted it.
    fn delete(&mut self, id: OpId, by: Option<&str>) {
        let Some(mail) = self.state.ledger.mail(id) else { return };
        let sees = |name: &str| {
            let account = folded(name).and_then(|folded| self.state.ledger.find(&folded));
            account.is_some_and(|account| self.state.ledger.sees(account, id))
        };
        let is_own = by.is_none_or(|by| folded(by) == folded(mail.sender));
        if is_own && sees(mail.sender) {
            self.deleted.push((mail.sender.into(), id));
        } else {
            self.hide(id);
        }
    }

    /// Takes a message from its sender's view. One to oneself is in the recipient's view alone.
    fn hide_from_sender(&mut self, id: OpId) {
        let Some(mail) = self.state.ledger.mail(id) else { return };
        let (sender, recipient) = (folded(mail.sender), folded(mail.recipient));
        let account =
            sender.filter(|_| sender != recipient).and_then(|folded| self.state.ledger.find(&folded));
        if account.is_some_and(|account| self.state.ledger.sees(account, id)) {
            self.cleared.push((mail.sender.into(), id));
        }
    }

    /// Takes a message from the view of one of its two people.
    fn clear(&mut self, id: OpId, by: &str) {
        let account = folded(by).and_then(|folded| self.state.ledger.find(&folded));
        if account.is_some_and(|account| self.state.ledger.sees(account, id)) {
            self.cleared.push((by.into(), id));
            self.report.taken.deleted += 1;
        } else {
            self.report.there.deleted += 1;
        }
    }

    /// Takes a message from its recipient's view.
    fn hide(&mut self, id: OpId) {
        let Some(mail) = self.state.ledger.mail(id) else { return };
        let account = folded(mail.recipient).and_then(|folded| self.state.ledger.find(&folded));
        if account.is_some_and(|account| self.state.ledger.sees(account, id)) {
            self.deleted.push((mail.recipient.into(), id));
        } else {
            self.report.there.deleted += 1;
        }
    }

    /// The ops that are best made of many at once, and those that have to come last.
    fn finish(&mut self) {
        for (reader, mut messages) in std::mem::take(&mut self.read).into_values() {
            messages.sort_unstable();
            messages.dedup();
            self.report.taken.read += messages.len() as u64;
            for some in messages.chunks(MAIL_READ_MAX) {
                let id = self.ids.next();
                self.push(id, self.now, Change::MailRead { reader: reader.clone(), messages: some.into() });
            }
        }
        for (by, message) in std::mem::take(&mut self.cleared) {
            let id = self.ids.next();
            self.push(id, self.now, Change::ConversationCleared { by, messages: [message].into() });
        }
        let mut seen = HashSet::new();
        for (by, message) in std::mem::take(&mut self.deleted) {
            if seen.insert((by.clone(), message)) {
                let id = self.ids.next();
                self.push(id, self.now, Change::MailDeleted { by, message });
                self.report.taken.deleted += 1;
            }
        }
    }
}

/// What tells a name apart from others, unless it is none or the server's own.
fn folded(name: &str) -> Option<Folded> {
    Name::parse(name).ok().map(|(_, folded)| folded).filter(|folded| folded != SERVER_NAME)
}

/// The ids of all that is kept of a room.
fn ids_in(store: &mut dyn Reader, room: &str) -> Result<HashSet<OpId>, StoreError> {
    let mut ids = HashSet::new();
    let mut before = None;
    loop {
        let page = store.history(room, before, ARCHIVE_PAGE_MESSAGES)?;
        let Some(first) = page.first() else { return Ok(ids) };
        before = Some(first.id);
        ids.extend(page.iter().map(|message| message.id));
    }
}
