//! Who has a seat in which room, as far as that is kept. It changes by ops only.
//!
//! The engine has its own view of seats, with their connections; this one is for stores.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ahash::RandomState;

use crate::chat::{Change, Kept, Op, OpId, Seat, Token};

/// The rooms that have seats, and the seats by token.
#[derive(Debug)]
pub(crate) struct Seating {
    /// By the number that each got when it was taken, which gives the order.
    seats: BTreeMap<u64, Seated>,
    by_token: HashMap<Token, u64, RandomState>,
    /// No room in it is empty.
    by_room: HashMap<Box<str>, BTreeSet<u64>, RandomState>,
    next: u64,
}

#[derive(Debug)]
struct Seated {
    room: Box<str>,
    seat: Seat,
    is_host: bool,
    /// The op that made the room, of a host.
    made: Option<OpId>,
}

impl Seating {
    pub(crate) fn new(hasher: &RandomState) -> Self {
        Self {
            seats: BTreeMap::new(),
            by_token: HashMap::with_hasher(hasher.clone()),
            by_room: HashMap::with_hasher(hasher.clone()),
            next: 0,
        }
    }

    fn take(&mut self, room: &str, seat: &Seat, is_host: bool, made: Option<OpId>) {
        if self.by_token.contains_key(&seat.token) {
            return;
        }
        self.by_token.insert(seat.token, self.next);
        self.by_room.entry(room.into()).or_default().insert(self.next);
        self.seats.insert(self.next, Seated { room: room.into(), seat: seat.clone(), is_host, made });
        self.next += 1;
    }

    /// The seat of a room's host.
    fn host(&self, room: &str) -> Option<&Seated> {
        // A host is nearly always the first in its room.
        let mut seats = self.by_room.get(room)?.iter().filter_map(|number| self.seats.get(number));
        seats.find(|seated| seated.is_host)
    }

    fn leave(&mut self, token: Token) {
        let Some(number) = self.by_token.remove(&token) else { return };
        let Some(Seated { room, .. }) = self.seats.remove(&number) else { return };
        if let Some(numbers) = self.by_room.get_mut(&room) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_room.remove(&room);
            }
        }
    }

    /// How many seats there are.
    pub(crate) fn count(&self) -> usize {
        self.seats.len()
    }

    /// Whether somebody has the seat of a token.
    pub(crate) fn has(&self, token: Token) -> bool {
        self.by_token.contains_key(&token)
    }

    /// Carries out an op, as far as it is about seats.
    pub(crate) fn apply(&mut self, op: &Op) {
        match &op.change {
            // A host that gets another seat in its room: the room is as old as it was.
            Change::RoomMade { room, host } => {
                let made = self.host(room).map_or(Some(op.id), |host| host.made);
                self.take(room, host, true, made);
            }
            Change::SeatTaken { room, seat } => self.take(room, seat, false, None),
            Change::SeatLeft { token } => self.leave(*token),
            Change::RoomClosed { room, .. } => {
                for number in self.by_room.remove(room).unwrap_or_default() {
                    if let Some(seated) = self.seats.remove(&number) {
                        self.by_token.remove(&seated.seat.token);
                    }
                }
            }
            Change::AccountCreated { .. }
            | Change::AccountUsed { .. }
            | Change::PasswordChanged { .. }
            | Change::AccountDeleted { .. }
            | Change::MailSent { .. }
            | Change::MailRead { .. }
            | Change::MailDeleted { .. }
            | Change::ConversationCleared { .. }
            | Change::Said { .. } => {}
        }
    }

    /// Takes in what was kept, as far as it is about seats.
    pub(crate) fn restore(&mut self, kept: &Kept) {
        match kept {
            Kept::Seat { room, seat, is_host, made } => self.take(room, seat, *is_host, *made),
            Kept::Account { .. } | Kept::Letter(_) => {}
        }
    }

    /// Hands out all of it, in the order in which the seats were taken.
    pub(crate) fn visit(&self, visit: &mut dyn FnMut(Kept)) {
        for Seated { room, seat, is_host, made } in self.seats.values() {
            visit(Kept::Seat { room: room.clone(), seat: seat.clone(), is_host: *is_host, made: *made });
        }
    }
}
