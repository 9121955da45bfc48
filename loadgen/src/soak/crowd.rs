//! Who is who in a soak: of which dialect each client is, and in which room.
//!
//! ```text
//!  room 0, the lobby: line, gob, slash | rooms of slash | rooms of seats (tcrp) | pairs (typed)
//! ```
//!
//! A client's number is its place in this order. Names and rooms are the same whenever it comes again: the server must not
//! have to keep more because people come and go.

use std::ops::Range;

use crate::dialect::Dialect;

/// The part of each dialect in percent, slash without those in the lobby. Few are told of who comes into the lobby, as each
/// of slash passes through it: one that comes or goes is a frame for each of slash and gob there.
const LINE: usize = 12;
const GOB: usize = 3;
const SLASH_IN_LOBBY: usize = 1;
const TCRP: usize = 35;
/// Each that comes has the server hash a password.
const TYPED: usize = 5;
/// Members of a room.
const ROOM_SIZE: usize = 50;

/// As many as it takes for each dialect to have its part.
pub(super) const CLIENTS_MIN: usize = 24;

/// All clients, and where they belong.
pub(super) struct Crowd {
    run: u16,
    rooms: Vec<Room>,
    /// By client.
    room_of: Vec<u32>,
}

/// Those who hear each other; of typed, two who write to each other.
pub(super) struct Room {
    pub(super) kind: Kind,
    pub(super) members: Range<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Lobby,
    Slash,
    Seats,
    Pair,
}

impl Crowd {
    /// So many clients, of which each dialect has its part: at least two, and a whole number of pairs.
    pub(super) fn new(clients: usize, run: u16) -> Self {
        let part = |percent: usize| (clients * percent / 100).max(2);
        let pairs = part(TYPED) / 2;
        let lobby = part(LINE) + part(GOB) + part(SLASH_IN_LOBBY);
        let seats = part(TCRP);
        let slash = clients - lobby - seats - 2 * pairs;
        let mut rooms = vec![Room { kind: Kind::Lobby, members: 0..lobby }];
        for (kind, count, size) in
            [(Kind::Slash, slash, ROOM_SIZE), (Kind::Seats, seats, ROOM_SIZE), (Kind::Pair, 2 * pairs, 2)]
        {
            let start = rooms.last().map_or(0, |room| room.members.end);
            let end = start + count;
            rooms.extend(
                (start..end)
                    .step_by(size)
                    .map(|first| Room { kind, members: first..(first + size).min(end) }),
            );
        }
        let room_of =
            (0_u32..).zip(&rooms).flat_map(|(index, room)| room.members.clone().map(move |_| index));
        let room_of = room_of.collect();
        Self { run, rooms, room_of }
    }

    pub(super) fn len(&self) -> usize {
        self.room_of.len()
    }

    pub(super) fn rooms(&self) -> &[Room] {
        &self.rooms
    }

    pub(super) fn room_of(&self, client: usize) -> &Room {
        &self.rooms[self.room_of[client] as usize]
    }

    pub(super) fn dialect(&self, client: usize) -> Dialect {
        let Room { kind, members } = self.room_of(client);
        match kind {
            Kind::Lobby => {
                // Those of slash and gob at its end, as far as their parts go.
                let place = client - members.start;
                let percent = LINE + GOB + SLASH_IN_LOBBY;
                let end = |percents: usize| (members.len() * percents / percent).min(members.len() - 2);
                match place {
                    _ if place < end(LINE).min(members.len() - 4) => Dialect::Line,
                    _ if place < end(LINE + GOB) => Dialect::Gob,
                    _ => Dialect::Slash,
                }
            }
            Kind::Slash => Dialect::Slash,
            Kind::Seats => Dialect::Tcrp,
            Kind::Pair => Dialect::Typed,
        }
    }

    /// Whether it made its room, which is closed when it goes.
    pub(super) fn is_host(&self, client: usize) -> bool {
        let room = self.room_of(client);
        room.kind == Kind::Seats && room.members.start == client
    }

    /// The other one of a pair.
    pub(super) fn partner(&self, client: usize) -> usize {
        let first = self.room_of(client).members.start;
        if client == first { first + 1 } else { first }
    }

    /// As long as that of every other: no name is the beginning of another one.
    pub(super) fn name(&self, client: usize) -> String {
        format!("L{:04x}-{client:06}", self.run)
    }

    pub(super) fn room_name(&self, client: usize) -> String {
        format!("L{:04x}-room-{:06}", self.run, self.room_of[client])
    }

    /// The client of a name, when it is one of this crowd's.
    pub(super) fn client_of(&self, name: &str) -> Option<usize> {
        let number = name.rsplit_once('-')?.1.parse().ok()?;
        (number < self.len() && self.name(number) == name).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn each_client_has_a_room_and_all_dialects_take_part() {
        for clients in [24, 25, 100, 5000, 5051] {
            let crowd = Crowd::new(clients, 7);
            assert_eq!(crowd.len(), clients);
            let mut dialects = HashMap::new();
            for client in 0..crowd.len() {
                assert!(crowd.room_of(client).members.contains(&client));
                assert_eq!(crowd.client_of(&crowd.name(client)), Some(client));
                *dialects.entry(crowd.dialect(client).name()).or_insert(0) += 1;
            }
            assert!(dialects.len() == 5 && dialects.values().all(|&count| count >= 2), "{dialects:?}");
            assert!(crowd.rooms().iter().all(|room| room.kind != Kind::Pair || room.members.len() == 2));
        }
    }

    #[test]
    fn of_five_thousand_each_dialect_has_its_part() {
        let crowd = Crowd::new(5000, 7);
        let count = |dialect| (0..5000).filter(|&client| crowd.dialect(client) == dialect).count();
        let counts = [Dialect::Line, Dialect::Slash, Dialect::Tcrp, Dialect::Typed, Dialect::Gob].map(count);
        assert_eq!(counts, [600, 2250, 1750, 250, 150]);
        assert_eq!(crowd.rooms()[0].members, 0..800);
    }

    #[test]
    fn rooms_of_seats_have_a_host_and_partners_are_mutual() {
        let crowd = Crowd::new(500, 7);
        let hosts = (0..500).filter(|&client| crowd.is_host(client)).count();
        let rooms = crowd.rooms().iter().filter(|room| room.kind == Kind::Seats).count();
        assert_eq!(hosts, rooms);
        for client in 0..500 {
            let room = crowd.room_of(client);
            assert!(!crowd.is_host(client) || crowd.dialect(client) == Dialect::Tcrp);
            if room.kind == Kind::Pair {
                let partner = crowd.partner(client);
                assert!(partner != client && crowd.partner(partner) == client);
            }
        }
    }

    #[test]
    fn strangers_are_nobody_here() {
        let crowd = Crowd::new(100, 7);
        for name in ["server", "L0007-000100", "L0008-000001", "L0007-1", "L0007-000001~2"] {
            assert_eq!(crowd.client_of(name), None, "{name}");
        }
    }
}
