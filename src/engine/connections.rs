//! The connections of all shards: those with a socket in the slots that their shard's fan-out gave them, and seats in slots
//! that they are given here.

use super::Connection;
use crate::chat::{ConnId, Folded};

#[derive(Debug, Default)]
pub(super) struct Connections {
    /// By [`ConnId::table`] and index.
    tables: Vec<Vec<Option<Connection>>>,
    count: usize,
    next_seat: u32,
    /// By shard, the indices of seats that are gone.
    vacant_seats: Vec<Vec<u32>>,
}

impl Connections {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn insert(&mut self, id: ConnId, connection: Connection) {
        if id.table() >= self.tables.len() {
            self.tables.resize_with(id.table() + 1, Vec::new);
        }
        let slots = &mut self.tables[id.table()];
        if id.index() >= slots.len() {
            slots.resize_with(id.index() + 1, || None);
        }
        debug_assert!(slots[id.index()].is_none(), "a slot has one connection at a time");
        slots[id.index()] = Some(connection);
        self.count += 1;
    }

    pub(super) fn remove(&mut self, id: ConnId) {
        let Some(slot) = self.tables.get_mut(id.table()).and_then(|slots| slots.get_mut(id.index())) else {
            return;
        };
        if slot.take().is_some() {
            self.count -= 1;
            if id.is_seat() {
                let shard = usize::from(id.shard());
                if shard >= self.vacant_seats.len() {
                    self.vacant_seats.resize_with(shard + 1, Vec::new);
                }
                self.vacant_seats[shard].push(id.index() as u32);
            }
        }
    }

    /// The id of the next seat on a shard.
    pub(super) fn new_seat(&mut self, shard: u8) -> ConnId {
        self.next_seat = self.next_seat.wrapping_add(1);
        let vacant = self.vacant_seats.get_mut(usize::from(shard)).and_then(Vec::pop);
        let index = vacant.unwrap_or_else(|| {
            let table = ConnId::new_seat(shard, 0, 0).table();
            self.tables.get(table).map_or(0, Vec::len) as u32
        });
        ConnId::new_seat(shard, index, self.next_seat)
    }

    /// Whoever has the id's slot.
    pub(super) fn get(&self, id: ConnId) -> Option<&Connection> {
        self.tables.get(id.table())?.get(id.index())?.as_ref()
    }

    /// Whoever has the id's slot.
    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        self.tables.get_mut(id.table())?.get_mut(id.index())?.as_mut()
    }

    /// What makes a connection's name the same as another.
    pub(super) fn folded_name(&self, id: ConnId) -> Option<Folded> {
        self.get(id)?.name.map(|name| name.folded())
    }

    /// All connections, in no particular order.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.tables.iter_mut().flatten().flatten()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnId, &Connection)> {
        self.tables.iter().enumerate().flat_map(|(table, slots)| {
            slots.iter().enumerate().filter_map(move |(index, slot)| {
                let conn = slot.as_ref()?;
                Some((ConnId::in_table(table, index as u32, conn.generation), conn))
            })
        })
    }
}
