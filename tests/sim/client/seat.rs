//! TCRP and UCRP: handshakes, and seats.

use parlance::chat::{Secret, Token};
use parlance::wire::tcrp::{Content, Decoded, Operation, Reply, encode_request};
use parlance::wire::ucrp::{Datagram, Delivery, Message};

use super::{Around, Client, direct_name, own_name, shared_account};
use crate::book::{Aim, Fact, text_of};
use crate::script::{Act, ROOMS};
use crate::trace;

/// What a client of seats knows.
#[derive(Debug, Default)]
pub(crate) struct SeatState {
    /// The room that it shakes hands for.
    asked: Option<&'static str>,
    /// Its seats, newest last.
    pub(crate) seats: Vec<(&'static str, Token)>,
    /// All rooms that it ever had a seat in.
    pub(crate) rooms: Vec<&'static str>,
}

impl SeatState {
    pub(super) fn stream_ends(&mut self) {
        self.asked = None;
    }
}

impl Client {
    /// Does what a seat does without a stream; whether that was all.
    pub(super) fn seat_acts(&mut self, act: &Act, clients: usize, around: &mut Around<'_>) -> bool {
        match act {
            Act::Shake { makes, room } => {
                if self.conn.is_none() {
                    self.shakes(*makes, ROOMS[*room], around);
                }
            }
            Act::Register => self.shows_up(Message::Register, around),
            Act::Leave => {
                self.shows_up(Message::Leave, around);
                // It may be lost on the way: then the seat is still there, and nobody sits in it.
                _ = self.seat.seats.pop();
            }
            Act::Guess => {
                let token = Token::from_random([self.dice.next() as u8; 16]);
                self.shows(ROOMS[0], token, Message::Chat("n0"), around);
            }
            Act::Say { count, bytes } => {
                for _ in 0..*count {
                    let Some(&(room, token)) = self.seat.seats.last() else { break };
                    let number = around.book.sends(self.index, None, Aim::Room(vec![room]));
                    let text = text_of(number, *bytes);
                    let copies = self.shows(room, token, Message::Chat(&text), around);
                    around.book.copies(number, copies);
                }
            }
            Act::Direct { to, bytes } => {
                let Some(&(room, token)) = self.seat.seats.last() else { return true };
                let to = direct_name(*to, clients);
                let number = around.book.sends(self.index, None, Aim::Direct(to.clone()));
                let text = format!("/msg {to} {}", text_of(number, *bytes));
                let copies = self.shows(room, token, Message::Chat(&text), around);
                around.book.copies(number, copies);
            }
            _ => return false,
        }
        true
    }

    fn shakes(&mut self, makes: bool, room: &'static str, around: &mut Around<'_>) {
        self.open(around);
        self.seat.asked = Some(room);
        let mut request = Vec::new();
        let operation = if makes { Operation::Create } else { Operation::Join };
        // Half of them go by the name of an account that others want as well, each by one name: seats of
        // several names in a room would all be told at one address.
        let is_own = self.index.is_multiple_of(2);
        let name = if is_own { own_name(self.index) } else { shared_account(self.index / 2) };
        let password = (!is_own).then(|| self.password_of(&name, None, around));
        self.may_be(&name);
        let secret = password.as_deref().map(Secret);
        encode_request(room, operation, &name, secret, &mut request).expect("short");
        self.sends(&request, around);
    }

    fn shows_up(&mut self, message: Message<'_>, around: &mut Around<'_>) {
        if let Some(&(room, token)) = self.seat.seats.last() {
            self.shows(room, token, message, around);
        }
    }

    fn shows(&mut self, room: &str, token: Token, message: Message<'_>, around: &mut Around<'_>) -> u32 {
        let mut bytes = Vec::new();
        let token = token.reveal();
        Datagram { room, token: &token, message }.encode(&mut bytes).expect("short");
        around.net.datagram(true, around.now, self.address(), &bytes)
    }

    pub(super) fn seat_hears(&mut self, around: &mut Around<'_>) {
        let Some(room) = self.seat.asked else { return };
        let Decoded::Whole { consumed, .. } = Reply::decode(&self.input) else { return };
        let Decoded::Whole { frame, .. } = Reply::decode(&self.input[consumed..]) else { return };
        let Content::Complete(token) = frame.content else { panic!("{frame:?}") };
        trace!("client {} shook hands for {room}: {}", self.index, token.is_some());
        self.seat.asked = None;
        let Some(token) = token else { return };
        around.book.is_promised(&Fact::Seat(token), &format!("client {}", self.index));
        self.seat.seats.retain(|&(other, _)| other != room);
        self.seat.seats.push((room, token));
        if !self.seat.rooms.contains(&room) {
            self.seat.rooms.push(room);
        }
        self.shows_up(Message::Register, around);
    }

    /// A datagram arrived.
    pub(crate) fn hears_datagram(&mut self, bytes: &[u8], around: &mut Around<'_>) {
        match Delivery::decode(bytes).expect("a datagram of the dialect") {
            Delivery::RoomClosed => {}
            Delivery::Relay { sender, text } => {
                trace!("client {} hears: {sender}: {text:.80}", self.index);
                if let Some(sender) = sender.strip_suffix(" (private)") {
                    around.book.sees_direct_in_datagram(self.index, &self.names, sender, text);
                } else if sender != "server" {
                    around.book.sees_in_datagram(&self.seat.rooms, sender, text);
                }
            }
        }
    }
}
