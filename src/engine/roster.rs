//! Who holds which name. Two names are the same when they fold alike (RFC 8265), in whatever dialect they are held.
//!
//! A name is one person's: one connection has it, or the several seats of one person who is in several rooms at once.

use std::collections::HashMap;

use ahash::RandomState;
use hashbrown::HashTable;

use super::connections::Connections;
use crate::chat::ConnId;

/// By the folded name, with a hash that is seeded: peers choose the names. The names themselves are in the connections.
#[derive(Debug)]
pub(super) struct Roster {
    holders: HashTable<ConnId>,
    hasher: RandomState,
    /// The further seats of those who have several. Never empty.
    further: HashMap<Box<str>, Vec<ConnId>, RandomState>,
}

impl Roster {
    pub(super) fn new(hasher: RandomState) -> Self {
        Self { holders: HashTable::new(), hasher: hasher.clone(), further: HashMap::with_hasher(hasher) }
    }

    /// The keyed hash of a text.
    pub(super) fn hash(&self, text: &str) -> u64 {
        self.hasher.hash_one(text)
    }

    /// Who holds a name, the first of several.
    pub(super) fn holder(&self, connections: &Connections, folded: &str) -> Option<ConnId> {
        let holds = |&id: &ConnId| connections.folded_name(id).is_some_and(|name| *name == *folded);
        self.holders.find(self.hasher.hash_one(folded), holds).copied()
    }

    /// All who do.
    pub(super) fn all_holders(
        &self,
        connections: &Connections,
        folded: &str,
    ) -> impl Iterator<Item = ConnId> {
        let further = self.further.get(folded).into_iter().flatten().copied();
        self.holder(connections, folded).into_iter().chain(further)
    }

    /// Gives a name to a connection, which has it, or is to have it before anybody else is given one; whoever calls has
    /// looked that nobody else holds it, or that it is the same person.
    pub(super) fn hold(&mut self, connections: &Connections, folded: &str, conn: ConnId) {
        if self.holder(connections, folded).is_some_and(|holder| holder != conn) {
            self.further.entry(folded.into()).or_default().push(conn);
            return;
        }
        let Self { holders, hasher, .. } = self;
        // Everybody else who is in the table has a name.
        let hash =
            |&id: &ConnId| connections.folded_name(id).map_or(0, |name| hasher.hash_one(name.as_str()));
        holders.insert_unique(hasher.hash_one(folded), conn, hash);
    }

    /// Takes a name from a connection, which may have lost it already.
    pub(super) fn release(&mut self, folded: &str, conn: ConnId) {
        let first = self.holders.find_entry(self.hasher.hash_one(folded), |&holder| holder == conn);
        match (first, self.further.get_mut(folded)) {
            (Ok(mut first), Some(further)) => match further.pop() {
                Some(next) => *first.get_mut() = next,
                None => drop(first.remove()),
            },
            (Ok(first), None) => drop(first.remove()),
            (Err(_), Some(further)) => further.retain(|&other| other != conn),
            (Err(_), None) => {}
        }
        if self.further.get(folded).is_some_and(Vec::is_empty) {
            self.further.remove(folded);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.holders.len() + self.further.values().map(Vec::len).sum::<usize>()
    }
}
