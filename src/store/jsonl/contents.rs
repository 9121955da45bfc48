//! What a log says: what a line after the other makes of nothing, so that it is the same after a restart.

use std::hash::{BuildHasher, RandomState};

use super::entry::Entry;
use super::rooms::Rooms;
use super::tally::Tally;
use crate::chat::{Change, Kept, Op, OpId};
use crate::state::State;

/// A line in a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// Where it begins.
    pub(super) offset: u64,
    /// How long it is, with its end.
    pub(super) bytes: u32,
}

/// What is known of accounts, mailboxes and seats: a [`Tally`] of them, or a [`State`] with all of it.
pub(super) trait People {
    /// Nobody is there.
    fn nobody() -> Self;
    /// An op, the line of which has so many bytes.
    fn apply(&mut self, op: &Op, bytes: u32);
    /// A part of what was kept, likewise.
    fn restore(&mut self, kept: &Kept, bytes: u32);
}

impl People for State {
    fn nobody() -> Self {
        // Peers choose names, and are not to know how they are hashed.
        Self::new(RandomState::new().hash_one(0))
    }

    fn apply(&mut self, op: &Op, _bytes: u32) {
        Self::apply(self, op);
    }

    fn restore(&mut self, kept: &Kept, _bytes: u32) {
        Self::restore(self, kept);
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Contents<P = Tally> {
    pub(super) people: P,
    pub(super) rooms: Rooms,
    /// The highest id.
    pub(super) last: Option<OpId>,
    /// The version of the format.
    pub(super) version: u64,
}

impl<P: People> Contents<P> {
    /// Nothing.
    pub(super) fn new() -> Self {
        Self { people: P::nobody(), rooms: Rooms::default(), last: None, version: 0 }
    }

    /// Takes in what a line says that stands at a place. The error: it cannot be.
    pub(super) fn take(&mut self, entry: Entry<'_>, place: Place) -> Result<(), String> {
        match entry {
            Entry::Format { version, last } => {
                self.version = version;
                self.last = self.last.max(last);
            }
            Entry::Op(op) => self.apply(&op, place),
            Entry::SentAndRead(op) => {
                self.apply(&op, place);
                if let Change::MailSent { recipient: reader, .. } = op.change {
                    let change = Change::MailRead { reader, messages: Box::new([op.id]) };
                    self.apply(&Op { id: op.id, at: op.at, change }, place);
                }
            }
            Entry::Kept(kept) => {
                self.people.restore(&kept, place.bytes);
                if let Kept::Letter(letter) = kept {
                    self.saw(letter.id);
                }
            }
            Entry::Said { id, at, room, sequence } => {
                self.rooms.say(room, (id, at), sequence, place)?;
                self.saw(id);
            }
            Entry::Forget { room, before } => self.rooms.forget(room, before),
            Entry::Nothing(id) => self.saw(id),
        }
        Ok(())
    }

    /// Carries out an op the line of which stands at a place.
    pub(super) fn apply(&mut self, op: &Op, place: Place) {
        self.saw(op.id);
        self.people.apply(op, place.bytes);
        match &op.change {
            Change::Said { room, .. } => {
                self.rooms
                    .say(room, (op.id, op.at), None, place)
                    .expect("without a number there is no wrong one");
            }
            Change::RoomClosed { room, made } => self.rooms.close(room, *made),
            Change::AccountCreated { .. }
            | Change::AccountUsed { .. }
            | Change::PasswordChanged { .. }
            | Change::AccountDeleted { .. }
            | Change::MailSent { .. }
            | Change::MailRead { .. }
            | Change::MailDeleted { .. }
            | Change::ConversationCleared { .. }
            | Change::RoomMade { .. }
            | Change::SeatTaken { .. }
            | Change::SeatLeft { .. } => {}
        }
    }

    fn saw(&mut self, id: OpId) {
        self.last = self.last.max(Some(id));
    }
}

impl Contents {
    /// How much of a log of this length says what is not so any more: what it would take to say the rest is known of
    /// letters, nearly of messages in rooms, and estimated of accounts and seats.
    pub(super) fn dead_bytes(&self, length: u64) -> u64 {
        length.saturating_sub(self.people.bytes() + self.rooms.bytes)
    }
}
