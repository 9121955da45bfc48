//! The connections of all shards, each in the slot that its shard's fan-out gave it.

use super::Connection;
use crate::chat::{ConnId, Folded};

#[derive(Debug)]
pub(super) struct Connections {
    by_shard: Vec<Vec<Option<Connection>>>,
    count: usize,
}

impl Connections {
    pub(super) fn new(shards: usize) -> Self {
        Self { by_shard: (0..shards).map(|_| Vec::new()).collect(), count: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn insert(&mut self, id: ConnId, connection: Connection) {
        let slots = &mut self.by_shard[usize::from(id.shard())];
        if id.index() >= slots.len() {
            slots.resize_with(id.index() + 1, || None);
        }
        debug_assert!(slots[id.index()].is_none(), "a slot has one connection at a time");
        slots[id.index()] = Some(connection);
        self.count += 1;
    }

    pub(super) fn remove(&mut self, id: ConnId) {
        if let Some(slot) = self.by_shard[usize::from(id.shard())].get_mut(id.index()) {
            self.count -= usize::from(slot.take().is_some());
        }
    }

    /// Whoever has the id's slot.
    pub(super) fn get(&self, id: ConnId) -> Option<&Connection> {
        self.by_shard.get(usize::from(id.shard()))?.get(id.index())?.as_ref()
    }

    /// Whoever has the id's slot.
    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        self.by_shard.get_mut(usize::from(id.shard()))?.get_mut(id.index())?.as_mut()
    }

    /// What makes a connection's name the same as another.
    pub(super) fn folded_name(&self, id: ConnId) -> Option<Folded> {
        self.get(id)?.name.map(|name| name.folded())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnId, &Connection)> {
        self.by_shard.iter().enumerate().flat_map(|(shard, slots)| {
            slots.iter().enumerate().filter_map(move |(index, slot)| {
                let conn = slot.as_ref()?;
                Some((ConnId::new(shard as u8, index as u32, conn.generation), conn))
            })
        })
    }
}
