//! Who is there, and how long the lines of their letters are: what it takes to know how much of a log is dead.
//!
//! It follows the rules of [`State`](crate::state::State), with numbers for names and without what letters say, for a tenth
//! of the memory and the time; a check compares the two. A letter takes 47 to 94 bytes, as the table is full or
//! has just grown.

use std::collections::HashMap;

use ahash::RandomState;

use super::contents::People;
use crate::chat::{Change, Folded, Kept, Letter, Name, Op, OpId, Token};
use crate::state::Seating;

/// An account, never used again after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Number(u32);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Tally {
    accounts: HashMap<Box<str>, Number, RandomState>,
    next: u32,
    letters: HashMap<OpId, Counted, RandomState>,
    /// Bytes of their lines.
    letter_bytes: u64,
    seating: Seating,
}

/// A letter that somebody sees.
#[derive(Clone, Copy, Debug)]
struct Counted {
    /// The sender's account, if it sees it.
    sender: Option<Number>,
    /// The recipient's account.
    recipient: Option<Number>,
    recipient_sees: bool,
    /// Of its line.
    bytes: u32,
}

/// Bytes of a line that makes an account, about: a name, and a hash as it is made today.
const ACCOUNT_LINE_BYTES: u64 = 170;
/// Bytes of a line that gives somebody a seat, about.
const SEAT_LINE_BYTES: u64 = 140;

fn fold(name: &str) -> Option<Folded> {
    Name::parse(name).ok().map(|(_, folded)| folded)
}

impl Tally {
    fn find(&self, name: &str) -> Option<Number> {
        self.accounts.get(&*fold(name)?).copied()
    }

    fn create(&mut self, name: &str) {
        let Some(folded) = fold(name) else { return };
        if !self.accounts.contains_key(&*folded) {
            self.accounts.insert(folded.as_str().into(), Number(self.next));
            self.next += 1;
        }
    }

    /// One of an id that is there already is none. Neither is one between names that are none, which callers leave out.
    fn count(&mut self, id: OpId, letter: Counted) {
        self.letters.entry(id).or_insert_with(|| {
            self.letter_bytes += u64::from(letter.bytes);
            letter
        });
    }

    fn delete_letter(&mut self, by: &str, id: OpId) {
        let Some(by) = self.find(by) else { return };
        let Some(letter) = self.letters.get_mut(&id) else { return };
        let is_sender = letter.sender == Some(by);
        if !is_sender && letter.recipient == Some(by) {
            letter.recipient_sees = false;
        }
        if is_sender || (letter.sender.is_none() && !letter.recipient_sees) {
            self.letter_bytes -= u64::from(letter.bytes);
            self.letters.remove(&id);
        }
    }

    fn delete_account(&mut self, name: &str) {
        let Some(folded) = fold(name) else { return };
        let Some(number) = self.accounts.remove(&*folded) else { return };
        let Self { letters, letter_bytes, .. } = self;
        letters.retain(|_, letter| {
            let goes = letter.sender == Some(number) || letter.recipient == Some(number);
            *letter_bytes -= if goes { u64::from(letter.bytes) } else { 0 };
            !goes
        });
    }

    pub(super) fn has_letter(&self, id: OpId) -> bool {
        self.letters.contains_key(&id)
    }

    pub(super) fn has_seat(&self, token: Token) -> bool {
        self.seating.has(token)
    }

    /// Accounts, letters and seats.
    pub(super) fn counts(&self) -> [usize; 3] {
        [self.accounts.len(), self.letters.len(), self.seating.count()]
    }

    /// Bytes that it takes to say all this in a log: known of letters, estimated of the rest.
    pub(super) fn bytes(&self) -> u64 {
        let [accounts, _, seats] = self.counts().map(|count| count as u64);
        self.letter_bytes + accounts * ACCOUNT_LINE_BYTES + seats * SEAT_LINE_BYTES
    }
}

impl People for Tally {
    fn nobody() -> Self {
        // Keys of its own, as peers choose names.
        let hasher = RandomState::new();
        Self {
            accounts: HashMap::with_hasher(hasher.clone()),
            next: 0,
            letters: HashMap::with_hasher(hasher.clone()),
            letter_bytes: 0,
            seating: Seating::new(&hasher),
        }
    }

    fn apply(&mut self, op: &Op, bytes: u32) {
        match &op.change {
            Change::AccountCreated { name, .. } => self.create(name),
            Change::AccountDeleted { name } => self.delete_account(name),
            Change::MailSent { sender, sender_has_account, recipient, .. } => {
                let Some(recipient) = self.find(recipient) else { return };
                let account = if *sender_has_account { self.find(sender) } else { None };
                if account.is_none() && fold(sender).is_none() {
                    return;
                }
                // What somebody writes to himself he sees as its recipient.
                let sender = account.filter(|&sender| sender != recipient);
                let recipient = Some(recipient);
                self.count(op.id, Counted { sender, recipient, recipient_sees: true, bytes });
            }
            Change::MailDeleted { by, message } => self.delete_letter(by, *message),
            Change::RoomMade { .. }
            | Change::SeatTaken { .. }
            | Change::SeatLeft { .. }
            | Change::RoomClosed { .. } => self.seating.apply(op),
            Change::PasswordChanged { .. } | Change::MailRead { .. } | Change::Said { .. } => {}
        }
    }

    fn restore(&mut self, kept: &Kept, bytes: u32) {
        match kept {
            Kept::Account { name, .. } => self.create(name),
            Kept::Letter(Letter { id, sender, recipient, sender_sees, recipient_sees, .. }) => {
                if fold(sender).is_none() || fold(recipient).is_none() {
                    return;
                }
                let recipient = self.find(recipient);
                // As above.
                let sender =
                    self.find(sender).filter(|_| *sender_sees).filter(|&sender| Some(sender) != recipient);
                let recipient_sees = *recipient_sees && recipient.is_some();
                if sender.is_some() || recipient_sees {
                    self.count(*id, Counted { sender, recipient, recipient_sees, bytes });
                }
            }
            Kept::Seat { .. } => self.seating.restore(kept),
        }
    }
}
