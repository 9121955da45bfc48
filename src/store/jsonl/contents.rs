//! What a log says, without the texts of messages: those stay where they are.
//!
//! It is what a line after the other makes of nothing, so that it is the same after a restart. It knows where the lines of
//! messages are, and so how much of the log is of use: a message in a mailbox takes some 300 bytes of memory beside its
//! names, one in a room 24 to 48.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use super::entry::Entry;
use super::rooms::Rooms;
use crate::chat::{Change, Op, OpId};
use crate::state::State;

/// A line in a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// Where it begins.
    pub(super) offset: u64,
    /// How long it is, with its end.
    pub(super) bytes: u32,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Contents {
    /// Accounts, mailboxes and seats; the texts of letters are empty.
    pub(super) state: State,
    /// The lines of the letters that are in it.
    letters: HashMap<OpId, Place, ahash::RandomState>,
    /// Their bytes.
    letter_bytes: u64,
    /// What was said in rooms.
    pub(super) rooms: Rooms,
}

/// Bytes of a line that makes an account, about: a name, and a hash as it is made today.
const ACCOUNT_LINE_BYTES: u64 = 170;
/// Bytes of a line that gives somebody a seat, about.
const SEAT_LINE_BYTES: u64 = 140;

impl Contents {
    /// Nothing.
    pub(super) fn new() -> Self {
        // Peers choose names, and are not to know how they are hashed.
        let seed = RandomState::new().hash_one(0);
        Self {
            state: State::new(seed),
            letters: HashMap::default(),
            letter_bytes: 0,
            rooms: Rooms::default(),
        }
    }

    /// Takes in what a line says that stands at a place. The error: it cannot be.
    pub(super) fn take(&mut self, entry: Entry<'_>, place: Place) -> Result<(), String> {
        match entry {
            Entry::Format { last } => self.state.last = self.state.last.max(last),
            Entry::Op(op) => self.apply(&op, place),
            Entry::SentAndRead(op) => {
                self.apply(&op, place);
                if let Change::MailSent { recipient: reader, .. } = op.change {
                    let read = Change::MailRead { reader, messages: Box::new([op.id]) };
                    self.state.apply(&Op { id: op.id, change: read });
                }
            }
            Entry::Kept(kept) => {
                self.state.restore(&kept);
                if let crate::chat::Kept::Letter(letter) = kept {
                    self.saw(letter.id);
                    self.place(letter.id, place);
                }
            }
            Entry::Said { id, room, sequence } => {
                self.rooms.say(room, id, sequence, place)?;
                self.saw(id);
            }
            Entry::Forget { room, before } => self.rooms.forget(room, before),
            Entry::Nothing(id) => self.saw(id),
        }
        Ok(())
    }

    /// Carries out an op the line of which stands at a place.
    pub(super) fn apply(&mut self, op: &Op, place: Place) {
        match &op.change {
            Change::MailSent { sender, sender_has_account, recipient, content: _, key } => {
                let people: [&str; 2] = [sender, recipient];
                self.state.ledger.deliver(op.id, people, *sender_has_account, "", key.as_deref());
                self.saw(op.id);
                self.place(op.id, place);
            }
            Change::MailDeleted { message, .. } => {
                self.state.apply(op);
                if !self.state.ledger.has_letter(*message)
                    && let Some(place) = self.letters.remove(message)
                {
                    self.letter_bytes -= u64::from(place.bytes);
                }
            }
            Change::AccountDeleted { .. } => {
                self.state.apply(op);
                let Self { state, letters, letter_bytes, .. } = self;
                letters.retain(|&id, place| {
                    let stays = state.ledger.has_letter(id);
                    *letter_bytes -= if stays { 0 } else { u64::from(place.bytes) };
                    stays
                });
            }
            Change::Said { room, .. } => {
                self.rooms.say(room, op.id, None, place).expect("without a number there is no wrong one");
                self.saw(op.id);
            }
            Change::RoomClosed { room } => {
                self.state.apply(op);
                self.rooms.close(room);
            }
            Change::AccountCreated { .. }
            | Change::PasswordChanged { .. }
            | Change::MailRead { .. }
            | Change::RoomMade { .. }
            | Change::SeatTaken { .. }
            | Change::SeatLeft { .. } => self.state.apply(op),
        }
    }

    fn saw(&mut self, id: OpId) {
        self.state.last = self.state.last.max(Some(id));
    }

    /// A letter that came again stays where it was; one that nobody sees is nowhere.
    fn place(&mut self, id: OpId, place: Place) {
        if self.state.ledger.has_letter(id) && !self.letters.contains_key(&id) {
            self.letters.insert(id, place);
            self.letter_bytes += u64::from(place.bytes);
        }
    }

    /// The line of a letter.
    pub(super) fn letter(&self, id: OpId) -> Option<Place> {
        self.letters.get(&id).copied()
    }

    /// How many letters there are.
    pub(super) fn letter_count(&self) -> usize {
        self.letters.len()
    }

    /// How much of a log of this length says what is not so any more: what it would take to say the rest is known of
    /// letters, nearly of messages in rooms, and estimated of accounts and seats.
    pub(super) fn dead_bytes(&self, length: u64) -> u64 {
        let accounts = self.state.ledger.accounts_kept().len() as u64 * ACCOUNT_LINE_BYTES;
        let seats = self.state.seating.count() as u64 * SEAT_LINE_BYTES;
        length.saturating_sub(self.letter_bytes + self.rooms.bytes + accounts + seats)
    }
}
