//! Who is who: the clients' names and rooms, which of them publish, and who must receive what.

use std::ops::Range;

use crate::plan::Plan;

/// Bytes of a client's name: the same for all, so that all messages have the same shape.
pub(crate) const NAME_BYTES: usize = 12;
/// Bytes of a room's name: the same for all, for the same reason. There can be as many rooms as clients.
pub(crate) const ROOM_NAME_BYTES: usize = "L0000-room-999999".len();

/// What names start with where accounts stay; that of no run, whose numbers have other digits.
const KEPT_PREFIX: &str = "Lkept-";

/// Everybody in the run, by index of client and by index of publisher.
///
/// Where only acknowledgements count, everybody is in a room of its own, and a publisher hears itself: of its message it
/// is told that it is kept, and nobody else is told anything.
pub(crate) struct Roster {
    name_prefix: String,
    run: u16,
    kept: bool,
    echoes: bool,
    room_size: usize,
    clients: usize,
    stalled: usize,
    publishers: Vec<Publisher>,
    rooms: Vec<Room>,
}

/// A client that speaks.
#[derive(Clone, Copy)]
pub(crate) struct Publisher {
    /// Its index as a client.
    pub(crate) client: u32,
    room: u32,
    /// Its column in its room's table.
    column: u32,
}

#[derive(Clone, Copy)]
struct Room {
    /// Of them are connected.
    members: u32,
    /// How many of its members publish: the columns of its table.
    publishers: u32,
    /// Where its table starts.
    first_cell: usize,
}

impl Roster {
    pub(crate) fn new(plan: &Plan, run: u16) -> Self {
        let room_count = plan.clients.div_ceil(plan.room_size);
        let mut rooms: Vec<Room> = (0..room_count)
            .map(|room| {
                let members = plan.room_size.min(plan.clients - room * plan.room_size);
                Room { members: members as u32, publishers: 0, first_cell: 0 }
            })
            .collect();
        let publishers = (0..plan.publishers)
            .map(|index| {
                let client = index * plan.clients / plan.publishers;
                let room = client / plan.room_size;
                let column = rooms[room].publishers;
                rooms[room].publishers += 1;
                Publisher { client: client as u32, room: room as u32, column }
            })
            .collect();
        let mut cells = 0;
        for room in &mut rooms {
            room.first_cell = cells;
            cells += room.members as usize * room.publishers as usize;
        }
        let echoes = plan.kept || plan.dialect.echoes();
        // Accounts that stay are found again by the next run.
        let name_prefix = if plan.kept { KEPT_PREFIX.to_owned() } else { format!("L{run:04x}-") };
        Self {
            name_prefix,
            run,
            kept: plan.kept,
            echoes,
            room_size: plan.room_size,
            clients: plan.clients,
            stalled: plan.stalled,
            publishers,
            rooms,
        }
    }

    /// What all names of the run start with; no other run's do, unless its accounts stay.
    pub(crate) fn name_prefix(&self) -> &str {
        &self.name_prefix
    }

    /// The name of a client, of [`NAME_BYTES`].
    pub(crate) fn name(&self, client: usize) -> String {
        format!("{}{client:06}", self.name_prefix)
    }

    /// The name of a client's room, of [`ROOM_NAME_BYTES`].
    pub(crate) fn room_name(&self, client: usize) -> String {
        format!("L{:04x}-room-{:06}", self.run, self.room_of(client))
    }

    pub(crate) fn room_of(&self, client: usize) -> usize {
        client / self.room_size
    }

    /// The clients of a room. The first one is its host.
    pub(crate) fn members(&self, room: usize) -> Range<usize> {
        let first = room * self.room_size;
        first..(first + self.room_size).min(self.clients)
    }

    pub(crate) fn room_count(&self) -> usize {
        self.rooms.len()
    }

    /// The other one, where clients are two by two.
    pub(crate) fn partner(client: usize) -> usize {
        client ^ 1
    }

    /// To whose mailbox a message goes: to the other one of a pair or, where only acknowledgements count, to all others
    /// in turn.
    #[inline]
    pub(crate) fn addressee(&self, publisher: usize, sequence: u32) -> usize {
        let client = self.publishers[publisher].client as usize;
        if self.kept {
            let others = self.clients - 1;
            return (client + 1 + sequence as usize % others) % self.clients;
        }
        Self::partner(client)
    }

    /// Who comes at a place of the order in which hosts are first.
    pub(crate) fn after_hosts(&self, place: usize) -> usize {
        match place.checked_sub(self.rooms.len()) {
            None => place * self.room_size,
            Some(place) => {
                let others = self.room_size - 1;
                place / others * self.room_size + 1 + place % others
            }
        }
    }

    /// A client's index as a publisher.
    pub(crate) fn publisher(&self, client: usize) -> Option<usize> {
        self.publishers.binary_search_by_key(&(client as u32), |speaker| speaker.client).ok()
    }

    /// Whether a client stops reading once it is in: some of those that do not publish, spread evenly over them.
    pub(crate) fn stalls(&self, client: usize) -> bool {
        let by_client = |speaker: &Publisher| speaker.client.cmp(&(client as u32));
        let Err(before) = self.publishers.binary_search_by(by_client) else { return false };
        let (place, others) = (client - before, self.clients - self.publishers.len());
        (place + 1) * self.stalled / others > place * self.stalled / others
    }

    pub(crate) fn publishers(&self) -> &[Publisher] {
        &self.publishers
    }

    /// In how many rooms somebody speaks.
    pub(crate) fn rooms_with_publishers(&self) -> usize {
        self.rooms.iter().filter(|room| room.publishers > 0).count()
    }

    /// How many cells a table has with one for each pair of a client and a publisher of its room.
    pub(crate) fn cells(&self) -> usize {
        self.rooms.last().map_or(0, |room| {
            let members = self.clients - (self.rooms.len() - 1) * self.room_size;
            room.first_cell + members * room.publishers as usize
        })
    }

    /// The cell of a client and a publisher that it hears; nothing, when it must not hear it.
    #[inline]
    pub(crate) fn cell(&self, client: usize, publisher: usize) -> Option<usize> {
        let speaker = self.publishers.get(publisher)?;
        let room = speaker.room as usize;
        // Below the room's first client this wraps, and so is too large as well.
        let row = client.wrapping_sub(room * self.room_size);
        if row >= self.room_size || (!self.echoes && speaker.client as usize == client) {
            return None;
        }
        let room = &self.rooms[room];
        Some(room.first_cell + row * room.publishers as usize + speaker.column as usize)
    }

    /// How many clients must receive what a publisher says now.
    pub(crate) fn recipients(&self, publisher: usize) -> u32 {
        let speaker = &self.publishers[publisher];
        self.rooms[speaker.room as usize].members - u32::from(!self.echoes)
    }

    /// A client has left; it is owed nothing more.
    pub(crate) fn remove(&mut self, client: usize) {
        self.rooms[client / self.room_size].members -= 1;
    }

    /// The publishers that a client hears.
    pub(crate) fn heard_by(&self, client: usize) -> impl Iterator<Item = (usize, usize)> {
        (0..self.publishers.len()).filter_map(move |index| Some((index, self.cell(client, index)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    fn roster(dialect: Dialect, clients: usize, room_size: usize, publishers: usize) -> Roster {
        Roster::new(&Plan { dialect, clients, room_size, publishers, ..Plan::default() }, 0xbeef)
    }

    #[test]
    fn each_pair_in_a_room_has_a_cell_of_its_own() {
        let roster = roster(Dialect::Slash, 95, 10, 25);
        let mut cells: Vec<usize> = (0..95)
            .flat_map(|client| roster.heard_by(client).map(|(_, cell)| cell).collect::<Vec<_>>())
            .collect();
        cells.sort_unstable();
        assert_eq!(cells, (0..roster.cells()).collect::<Vec<_>>());
        for publisher in 0..25 {
            let hearing = (0..95).filter(|&client| roster.cell(client, publisher).is_some()).count();
            assert_eq!(hearing, roster.recipients(publisher) as usize);
        }
    }

    #[test]
    fn as_many_stall_as_are_to_and_no_publisher() {
        for (clients, publishers, stalled) in [(2000, 4, 1000), (100, 10, 90), (7, 3, 1), (5, 2, 0)] {
            let plan = Plan { clients, room_size: clients, publishers, stalled, ..Plan::default() };
            let roster = Roster::new(&plan, 1);
            let count = (0..clients).filter(|&client| roster.stalls(client)).count();
            assert_eq!(count, stalled, "of {clients}");
            assert!(roster.publishers().iter().all(|speaker| !roster.stalls(speaker.client as usize)));
        }
    }

    #[test]
    fn nobody_hears_itself_where_the_dialect_does_not_echo() {
        let roster = roster(Dialect::Line, 10, 10, 2);
        assert_eq!(roster.publishers()[1].client, 5);
        assert_eq!(roster.cell(5, 1), None);
        assert!(roster.cell(5, 0).is_some());
        assert_eq!(roster.recipients(1), 9);
    }

    #[test]
    fn hosts_come_first_and_everybody_once() {
        for (clients, room_size) in [(95, 10), (10, 10), (3, 1), (9, 2)] {
            let roster = roster(Dialect::Tcrp, clients, room_size, 1);
            let mut order: Vec<usize> = (0..clients).map(|place| roster.after_hosts(place)).collect();
            let rooms = roster.room_count();
            let hosts: Vec<usize> = (0..rooms).map(|room| roster.members(room).start).collect();
            assert_eq!(order[..rooms], hosts);
            order.sort_unstable();
            assert!(order.into_iter().eq(0..clients));
        }
    }

    #[test]
    fn acknowledgements_come_to_the_publisher_alone_and_messages_go_to_all_others() {
        let plan = Plan {
            dialect: Dialect::Typed,
            kept: true,
            clients: 5,
            room_size: 1,
            publishers: 2,
            ..Plan::default()
        };
        let [roster, next_run] = [1, 2].map(|run| Roster::new(&plan, run));
        assert_eq!((roster.cells(), roster.recipients(1)), (2, 1));
        assert_eq!((roster.publishers()[1].client, roster.cell(2, 1)), (2, Some(1)));
        assert_eq!(roster.cell(3, 1), None);
        let addressees = |sequences: Range<u32>| sequences.map(|sequence| roster.addressee(1, sequence));
        assert!(addressees(0..8).eq([3, 4, 0, 1, 3, 4, 0, 1]));
        assert_eq!(roster.name(4), next_run.name(4), "the account of the run before");
        assert_eq!(roster.name(4).len(), NAME_BYTES);
    }

    #[test]
    fn names_suit_the_dialects() {
        let roster = roster(Dialect::Slash, 10, 10, 2);
        for client in [0, 999_999] {
            let name = roster.name(client);
            assert_eq!(name.len(), NAME_BYTES);
            assert!(name.starts_with(roster.name_prefix()));
            assert_eq!(parlance::wire::Dialect::Slash.check_name(&name), Ok(()));
            assert_eq!(roster.room_name(client).len(), ROOM_NAME_BYTES);
        }
    }
}
