//! What ops mean, told as plainly as possible: lists, and loops over all of them. From the documentation of
//! `parlance::chat` (`op.rs`, `kept.rs`, `retention.rs`) and of the store's traits, not from their code.

use parlance::chat::{
    Change, HistoryRules, Kept, Letter, Op, OpId, Page, PasswordHash, RoomMessage, RoomSummary, Token,
    UnixMillis,
};

/// Which of the accounts that ever were.
type Which = usize;

#[derive(Clone)]
struct Account {
    which: Which,
    /// That of the op that made it.
    id: OpId,
    name: Box<str>,
    password: PasswordHash,
    is_unused: bool,
}

#[derive(Clone)]
struct Sent {
    from: Option<Which>,
    to: Which,
    letter: Letter,
}

/// All that is kept.
#[derive(Clone, Default)]
pub(crate) struct Model {
    accounts_ever: usize,
    /// Oldest first.
    accounts: Vec<Account>,
    /// Oldest first.
    letters: Vec<Sent>,
    /// In the order of joining. Each is a [`Kept::Seat`].
    seats: Vec<Kept>,
    /// In the order in which they were said.
    said: Vec<(Box<str>, RoomMessage)>,
    pub(crate) last: Option<OpId>,
}

/// Names are the same without regard to case; those in the tests differ in nothing else.
fn is_same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

fn seat_of(kept: &Kept) -> (&str, Token, bool) {
    match kept {
        Kept::Seat { room, seat, is_host, .. } => (room, seat.token, *is_host),
        Kept::Account { .. } | Kept::Letter(_) => panic!("seats only"),
    }
}

impl Model {
    fn find(&self, name: &str) -> Option<Which> {
        self.accounts.iter().find(|account| is_same(&account.name, name)).map(|account| account.which)
    }

    /// The account of a name, if it has the id that is meant.
    fn find_as(&self, name: &str, id: Option<OpId>) -> Option<Which> {
        self.find(name).filter(|&which| id.is_none_or(|id| self.id_of(which) == id))
    }

    fn id_of(&self, which: Which) -> OpId {
        self.accounts.iter().find(|account| account.which == which).expect("it is there").id
    }

    fn note_use(&mut self, which: Which) {
        for account in self.accounts.iter_mut().filter(|account| account.which == which) {
            account.is_unused = false;
        }
    }

    /// The id of the account of a name.
    pub(crate) fn account_id(&self, name: &str) -> Option<OpId> {
        self.find(name).map(|which| self.id_of(which))
    }

    pub(crate) fn apply(&mut self, op: &Op) {
        self.last = self.last.max(Some(op.id));
        match &op.change {
            Change::AccountCreated { name, password, is_unused } => {
                if self.find(name).is_none() {
                    let which = self.accounts_ever;
                    self.accounts_ever += 1;
                    let (name, password) = (name.clone(), password.clone());
                    let is_unused = *is_unused;
                    self.accounts.push(Account { which, id: op.id, name, password, is_unused });
                }
            }
            Change::AccountUsed { name, account } => {
                if let Some(which) = self.find_as(name, *account) {
                    self.note_use(which);
                }
            }
            Change::PasswordChanged { name, account: meant, password } => {
                let which = self.find_as(name, *meant);
                for account in &mut self.accounts {
                    if Some(account.which) == which {
                        account.password = password.clone();
                    }
                }
            }
            Change::AccountDeleted { name, account } => {
                let Some(which) = self.find_as(name, *account) else { return };
                self.accounts.retain(|account| account.which != which);
                self.letters.retain(|sent| sent.from != Some(which) && sent.to != which);
            }
            Change::MailSent { .. } => self.send(op),
            Change::MailRead { reader, messages } => {
                let Some(reader) = self.find(reader) else { return };
                for Sent { to, letter, .. } in &mut self.letters {
                    if *to == reader && letter.recipient_sees && messages.contains(&letter.id) {
                        letter.unread = false;
                    }
                }
            }
            Change::MailDeleted { by, message } => {
                let Some(by) = self.find(by) else { return };
                for Sent { from, to, letter } in &mut self.letters {
                    if letter.id != *message {
                        continue;
                    }
                    if letter.sender_sees && *from == Some(by) {
                        (letter.sender_sees, letter.recipient_sees) = (false, false);
                    } else if *to == by {
                        letter.recipient_sees = false;
                    }
                }
                self.letters.retain(|Sent { letter, .. }| letter.sender_sees || letter.recipient_sees);
            }
            Change::ConversationCleared { by, messages } => {
                let Some(by) = self.find(by) else { return };
                for Sent { from, to, letter } in &mut self.letters {
                    if messages.contains(&letter.id) {
                        letter.sender_sees &= *from != Some(by);
                        letter.recipient_sees &= *to != by;
                    }
                }
                self.letters.retain(|Sent { letter, .. }| letter.sender_sees || letter.recipient_sees);
            }
            Change::Said { room, sender, text } => {
                let before = self.messages(room).pop();
                let message = RoomMessage {
                    id: op.id,
                    at: op.at,
                    sequence: before.map_or(1, |before| before.sequence + 1),
                    sender: sender.clone(),
                    text: text.clone(),
                };
                self.said.push((room.clone(), message));
            }
            Change::RoomMade { room, host: seat } | Change::SeatTaken { room, seat } => {
                let is_host = matches!(op.change, Change::RoomMade { .. });
                let made = match self.host(room) {
                    Some(_) => self.made(room),
                    None => Some(op.id),
                };
                let made = made.filter(|_| is_host);
                if self.seats.iter().all(|kept| seat_of(kept).1 != seat.token) {
                    self.seats.push(Kept::Seat { room: room.clone(), seat: seat.clone(), is_host, made });
                }
            }
            Change::SeatLeft { token } => self.seats.retain(|kept| seat_of(kept).1 != *token),
            Change::RoomClosed { room, made } => {
                self.seats.retain(|kept| seat_of(kept).0 != &**room);
                let messages = self.messages(room);
                let is_older = |message: &&RoomMessage| made.is_some_and(|made| message.id < made);
                let has_older = messages.first().as_ref().is_some_and(is_older);
                let last = messages.iter().rfind(is_older).filter(|_| has_older).map(|last| last.sequence);
                self.said.retain(|(said_in, message)| said_in != room || Some(message.sequence) <= last);
            }
        }
    }

    fn send(&mut self, op: &Op) {
        let Change::MailSent {
            sender,
            sender_has_account,
            sender_account,
            recipient,
            recipient_account,
            content,
            key,
        } = &op.change
        else {
            return;
        };
        let from = if *sender_has_account { self.find_as(sender, *sender_account) } else { None };
        if *sender_has_account && sender_account.is_some() && from.is_none() {
            return;
        }
        let Some(to) = self.find_as(recipient, *recipient_account) else { return };
        for account in from.into_iter().chain([to]) {
            self.note_use(account);
        }
        let letter = Letter {
            id: op.id,
            at: op.at,
            sender: sender.clone(),
            sender_account: from.map(|from| self.id_of(from)),
            recipient: recipient.clone(),
            recipient_account: Some(self.id_of(to)),
            content: content.clone(),
            key: if from.is_some() { key.clone() } else { None },
            sender_sees: from.is_some_and(|from| from != to),
            recipient_sees: true,
            unread: true,
        };
        self.letters.push(Sent { from, to, letter });
    }

    /// What the rules say is forgotten.
    pub(crate) fn forget(&mut self, rules: &HistoryRules, now: UnixMillis) {
        for summary in self.rooms() {
            let rule = rules.of(&summary.room);
            let messages = self.messages(&summary.room);
            let mut forgotten = messages.len().saturating_sub(rule.keep_messages as usize);
            for (index, message) in messages.iter().enumerate().skip(forgotten) {
                match message.at {
                    at if at < rule.oldest_kept(now) => forgotten = index + 1,
                    // As old as the next one.
                    at if at > now => {}
                    _ => break,
                }
            }
            let last = forgotten.checked_sub(1).map(|last| messages[last].sequence);
            self.said.retain(|(room, message)| *room != summary.room || Some(message.sequence) > last);
        }
    }

    pub(crate) fn kept(&self) -> Vec<Kept> {
        let accounts = self.accounts.iter().map(|account| Kept::Account {
            name: account.name.clone(),
            password: account.password.clone(),
            id: Some(account.id),
            is_unused: account.is_unused,
        });
        let letters = self.letters.iter().map(|sent| Kept::Letter(sent.letter.clone()));
        accounts.chain(letters).chain(self.seats.iter().cloned()).collect()
    }

    /// How many accounts, letters and seats there are, and messages in rooms.
    pub(crate) fn counts(&self) -> [u64; 4] {
        [self.accounts.len(), self.letters.len(), self.seats.len(), self.said.len()].map(|count| count as u64)
    }

    pub(crate) fn messages(&self, room: &str) -> Vec<RoomMessage> {
        let of_room = self.said.iter().filter(|(said_in, _)| &**said_in == room);
        of_room.map(|(_, message)| message.clone()).collect()
    }

    pub(crate) fn rooms(&self) -> Vec<RoomSummary> {
        let mut names: Vec<_> = self.said.iter().map(|(room, _)| room.clone()).collect();
        names.sort();
        names.dedup();
        let summary = |room: Box<str>| {
            let messages = self.messages(&room);
            let (first, last) = (messages[0].sequence, messages[messages.len() - 1].sequence);
            RoomSummary { room, first, last }
        };
        names.into_iter().map(summary).collect()
    }

    pub(crate) fn page(&self, room: &str, page: Page, count: usize) -> Vec<RoomMessage> {
        let mut before = self.messages(room);
        let mut behind = Vec::new();
        // The messages from the one with the id on go to the second list.
        if let Page::Before(id) | Page::After(id) | Page::Around(id) = page {
            let Some(position) = before.iter().position(|message| message.id == id) else { return behind };
            behind = before.split_off(position);
        }
        let (wanted, wanted_behind) = match page {
            Page::Newest | Page::Before(_) => (count, 0),
            Page::After(_) => {
                behind.remove(0);
                (0, count)
            }
            Page::Around(_) => (count / 2, count - count / 2),
        };
        behind.truncate(wanted_behind);
        let mut all = before.split_off(before.len().saturating_sub(wanted));
        all.append(&mut behind);
        all
    }

    pub(crate) fn search(&self, text: &str, count: usize) -> Vec<(Box<str>, RoomMessage)> {
        let wanted = pieces(text);
        let has_all = |text: &str| {
            let there = pieces(text);
            wanted.iter().all(|wanted| has(&there, wanted))
        };
        let found =
            self.said.iter().rev().filter(|(_, message)| !wanted.is_empty() && has_all(&message.text));
        found.take(count).cloned().collect()
    }

    /// The ids of all messages in mailboxes.
    pub(crate) fn letter_ids(&self) -> Vec<OpId> {
        self.letters.iter().map(|sent| sent.letter.id).collect()
    }

    /// Whether an account calls a message so already.
    pub(crate) fn has_key(&self, sender: &str, key: &str) -> bool {
        let sender = self.find(sender);
        self.letters.iter().any(|sent| sent.from == sender && sent.letter.key.as_deref() == Some(key))
    }

    /// A name as somebody typed it for their account.
    pub(crate) fn account_name(&self, name: &str) -> Option<&str> {
        self.accounts.iter().find(|account| is_same(&account.name, name)).map(|account| &*account.name)
    }

    pub(crate) fn tokens(&self) -> Vec<Token> {
        self.seats.iter().map(|kept| seat_of(kept).1).collect()
    }

    /// Whether a name has a seat in any room.
    pub(crate) fn has_seat_of(&self, name: &str) -> bool {
        self.ips_of(name).next().is_some()
    }

    /// The addresses of the seats of a name.
    pub(crate) fn ips_of(&self, name: &str) -> impl Iterator<Item = std::net::IpAddr> {
        self.seats.iter().filter_map(move |kept| match kept {
            Kept::Seat { seat, .. } if is_same(&seat.name, name) => Some(seat.ip),
            Kept::Seat { .. } | Kept::Account { .. } | Kept::Letter(_) => None,
        })
    }

    /// The seat of a room's host.
    fn host(&self, room: &str) -> Option<&Kept> {
        let is_its =
            |kept: &&Kept| matches!(kept, Kept::Seat { room: other, is_host: true, .. } if &**other == room);
        self.seats.iter().find(is_its)
    }

    /// The op that made a room that has a host.
    pub(crate) fn made(&self, room: &str) -> Option<OpId> {
        match self.host(room)? {
            Kept::Seat { made, .. } => *made,
            Kept::Account { .. } | Kept::Letter(_) => None,
        }
    }

    pub(crate) fn has_seats_in(&self, room: &str) -> bool {
        self.seats.iter().any(|kept| seat_of(kept).0 == room)
    }

    /// The ids of all messages in rooms.
    pub(crate) fn said_ids(&self) -> Vec<OpId> {
        self.said.iter().map(|(_, message)| message.id).collect()
    }
}

/// What the simulator asks besides.
#[allow(dead_code, reason = "the stores' own tests use none of it")]
impl Model {
    /// The id and the password of the account of a name.
    pub(crate) fn stored_of(&self, name: &str) -> Option<(OpId, PasswordHash)> {
        let account = self.accounts.iter().find(|account| is_same(&account.name, name))?;
        Some((account.id, account.password.clone()))
    }

    /// Whether the account of a name was not used again.
    pub(crate) fn is_unused(&self, name: &str) -> bool {
        self.accounts.iter().any(|account| is_same(&account.name, name) && account.is_unused)
    }

    /// The other side of a letter that an account sees: its name, marked where that is a stranger's.
    pub(crate) fn others_of(&self, letter: OpId, account: OpId) -> Option<String> {
        let Letter {
            sender, sender_account, recipient, recipient_account, sender_sees, recipient_sees, ..
        } = &self.letters.iter().find(|sent| sent.letter.id == letter)?.letter;
        if *recipient_sees && *recipient_account == Some(account) {
            let mark = if sender_account.is_none() { " (no account)" } else { "" };
            return Some(format!("{sender}{mark}"));
        }
        (*sender_sees && *sender_account == Some(account)).then(|| recipient.to_string())
    }
}

/// A word, or a run of characters that have no blanks between words.
enum Piece {
    Word(String),
    Run(String),
}

/// Those of a text, for the characters and accents that the tests write.
fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut is_open = false;
    for c in text.to_lowercase().chars() {
        let c = match c {
            'é' | 'è' | 'ë' => 'e',
            'ï' => 'i',
            'ό' => 'ο',
            'ς' => 'σ',
            '\u{301}' | '\u{308}' => continue,
            c => c,
        };
        let is_of_run = matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{e00}'..='\u{e7f}' | '🎉');
        match pieces.last_mut().filter(|_| is_open) {
            Some(Piece::Run(run)) if is_of_run => run.push(c),
            Some(Piece::Word(word)) if !is_of_run && c.is_alphanumeric() => word.push(c),
            _ if is_of_run => pieces.push(Piece::Run(c.into())),
            _ if c.is_alphanumeric() => pieces.push(Piece::Word(c.into())),
            _ => {}
        }
        is_open = is_of_run || c.is_alphanumeric();
    }
    pieces
}

/// Whether a text has a word as a whole, or a run within a run.
fn has(there: &[Piece], wanted: &Piece) -> bool {
    there.iter().any(|piece| match (piece, wanted) {
        (Piece::Word(word), Piece::Word(wanted)) => word == wanted,
        (Piece::Run(run), Piece::Run(wanted)) => run.contains(wanted),
        (Piece::Word(_), Piece::Run(_)) | (Piece::Run(_), Piece::Word(_)) => false,
    })
}
