//! The connections of a shard, each in its slot: those with a socket in slots that are given out here, and seats in slots
//! that the engine gives out, on whichever shard it is.

use slab::Slab;

use super::Line;
use crate::chat::ConnId;

#[derive(Debug, Default)]
pub(super) struct Lines {
    sockets: Slab<Line>,
    seats: Vec<Option<Line>>,
    seat_count: usize,
}

impl Lines {
    pub(super) fn is_empty(&self) -> bool {
        self.sockets.is_empty() && self.seat_count == 0
    }

    /// Takes in a connection with a socket. Returns its index.
    pub(super) fn insert(&mut self, line: Line) -> usize {
        self.sockets.insert(line)
    }

    /// Takes in a seat.
    pub(super) fn insert_seat(&mut self, id: ConnId, line: Line) {
        debug_assert!(id.is_seat());
        if id.index() >= self.seats.len() {
            self.seats.resize_with(id.index() + 1, || None);
        }
        let before = self.seats[id.index()].replace(line);
        debug_assert!(before.is_none(), "a slot has one seat at a time");
        self.seat_count += 1;
    }

    pub(super) fn remove(&mut self, id: ConnId) {
        if !id.is_seat() {
            self.sockets.remove(id.index());
        } else if let Some(slot) = self.seats.get_mut(id.index()) {
            self.seat_count -= usize::from(slot.take().is_some());
        }
    }

    /// Whoever has the id's slot.
    #[inline]
    pub(super) fn get(&self, id: ConnId) -> Option<&Line> {
        if id.is_seat() { self.seats.get(id.index())?.as_ref() } else { self.sockets.get(id.index()) }
    }

    /// Whoever has the id's slot.
    #[inline]
    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Line> {
        if id.is_seat() { self.seats.get_mut(id.index())?.as_mut() } else { self.sockets.get_mut(id.index()) }
    }

    /// All of a shard, whose these are.
    pub(super) fn iter(&self, shard: u8) -> impl Iterator<Item = (ConnId, &Line)> {
        let sockets = self.sockets.iter().map(move |(index, line)| {
            let id = ConnId::new(shard, index as u32, line.generation);
            (id, line)
        });
        let seats = self.seats.iter().enumerate().filter_map(move |(index, line)| {
            let line = line.as_ref()?;
            Some((ConnId::new_seat(shard, index as u32, line.generation), line))
        });
        sockets.chain(seats)
    }
}
