//! Who is there, and how long the lines of their letters are: what it takes to know how much of a log is dead.
//!
//! It follows the rules of [`State`](crate::state::State), with numbers for names and without what letters say, for a tenth
//! of the memory and the time; a check compares the two. A letter takes 47 to 94 bytes, as the table is full or
//! has just grown.

use std::collections::HashMap;

use ahash::RandomState;

use super::contents::People;
use crate::chat::{Change, Folded, Kept, Letter, Name, Op, OpId, Token};
use crate::state::{Seating, id_without_op};

/// An account, never used again after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Number(u32);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Tally {
    /// By folded name, with the id that ops and letters name it by.
    accounts: HashMap<Box<str>, (Number, OpId), RandomState>,
    next: u32,
    letters: HashMap<OpId, Counted, RandomState>,
    /// Bytes of their lines.
    letter_bytes: u64,
    seating: Seating,
}

/// A letter that somebody sees.
#[derive(Clone, Copy, Debug)]
struct Counted {
    /// The sender's account.
    sender: Option<Number>,
    sender_sees: bool,
    /// The recipient's account.
    recipient: Option<Number>,
    recipient_sees: bool,
    /// Of its line.
    bytes: u32,
}

/// Bytes of a line that makes an account, about: a name, and a hash as it is made today.
const ACCOUNT_LINE_BYTES: u64 = 220;
/// Bytes of a line that gives somebody a seat, about.
const SEAT_LINE_BYTES: u64 = 140;

fn fold(name: &str) -> Option<Folded> {
    Name::parse(name).ok().map(|(_, folded)| folded)
}

impl Tally {
    fn find(&self, name: &str) -> Option<Number> {
        self.find_as(name, None)
    }

    /// The account of a name, if it has the given id or none is given.
    fn find_as(&self, name: &str, id: Option<OpId>) -> Option<Number> {
        let &(number, there) = self.accounts.get(&*fold(name)?)?;
        id.is_none_or(|id| id == there).then_some(number)
    }

    fn create(&mut self, name: &str, id: Option<OpId>) {
        let Some(folded) = fold(name) else { return };
        if !self.accounts.contains_key(&*folded) {
            let id = id.unwrap_or_else(|| id_without_op(self.next));
            self.accounts.insert(folded.as_str().into(), (Number(self.next), id));
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

    /// `for_both`: its sender deletes it from the recipient's view, too.
    fn delete_letter(&mut self, by: &str, id: OpId, for_both: bool) {
        let Some(by) = self.find(by) else { return };
        let Some(letter) = self.letters.get_mut(&id) else { return };
        let is_sender = letter.sender_sees && letter.sender == Some(by);
        if is_sender {
            letter.sender_sees = false;
            letter.recipient_sees &= !for_both;
        } else if letter.recipient == Some(by) {
            letter.recipient_sees = false;
        }
        if !letter.sender_sees && !letter.recipient_sees {
            self.letter_bytes -= u64::from(letter.bytes);
            self.letters.remove(&id);
        }
    }

    fn delete_account(&mut self, name: &str, id: Option<OpId>) {
        let (Some(folded), Some(number)) = (fold(name), self.find_as(name, id)) else { return };
        self.accounts.remove(&*folded);
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
            Change::AccountCreated { name, .. } => self.create(name, Some(op.id)),
            Change::AccountDeleted { name, account } => self.delete_account(name, *account),
            Change::MailSent { sender, .. } => {
                let accounts = op.change.mail_accounts(|name, id| self.find_as(name, id));
                let Some((account, recipient)) = accounts else { return };
                if account.is_none() && fold(sender).is_none() {
                    return;
                }
                // What somebody writes to himself he sees as its recipient.
                let sender_sees = account.is_some_and(|sender| sender != recipient);
                let recipient = Some(recipient);
                let letter = Counted { sender: account, sender_sees, recipient, recipient_sees: true, bytes };
                self.count(op.id, letter);
            }
            Change::MailDeleted { by, message } => self.delete_letter(by, *message, true),
            Change::ConversationCleared { by, messages } => {
                messages.iter().for_each(|&message| self.delete_letter(by, message, false));
            }
            Change::RoomMade { .. }
            | Change::SeatTaken { .. }
            | Change::SeatLeft { .. }
            | Change::RoomClosed { .. } => self.seating.apply(op),
            Change::AccountUsed { .. }
            | Change::PasswordChanged { .. }
            | Change::MailRead { .. }
            | Change::Said { .. } => {}
        }
    }

    fn restore(&mut self, kept: &Kept, bytes: u32) {
        match kept {
            Kept::Account { name, id, .. } => self.create(name, *id),
            Kept::Letter(Letter {
                id,
                sender,
                sender_account,
                recipient,
                recipient_account,
                key,
                sender_sees,
                recipient_sees,
                ..
            }) => {
                if fold(sender).is_none() || fold(recipient).is_none() {
                    return;
                }
                let account = self.find_as(sender, *sender_account);
                let recipient = self.find_as(recipient, *recipient_account);
                let is_gone = (sender_account.is_some() && account.is_none())
                    || (recipient_account.is_some() && recipient.is_none());
                // One that was kept without ids does not say whether its sender had an account.
                let is_old = sender_account.is_none() && recipient_account.is_none();
                let had_account = |account| *sender_sees || Some(account) == recipient || key.is_some();
                let sender = account
                    .filter(|&account| if is_old { had_account(account) } else { sender_account.is_some() });
                let sender_sees = *sender_sees && sender.is_some() && sender != recipient;
                let recipient_sees = *recipient_sees && recipient.is_some();
                if !is_gone && (sender_sees || recipient_sees) {
                    self.count(*id, Counted { sender, sender_sees, recipient, recipient_sees, bytes });
                }
            }
            Kept::Seat { .. } => self.seating.restore(kept),
        }
    }
}
