//! Who holds which name. Two names are the same when they fold alike (RFC 8265), in whatever dialect they are held.

use std::collections::HashMap;

use ahash::RandomState;

use crate::chat::ConnId;

/// Keyed by the folded name, with a hash that is seeded: peers choose the names.
#[derive(Debug)]
pub(super) struct Roster {
    holders: HashMap<Box<str>, ConnId, RandomState>,
}

impl Roster {
    pub(super) fn new(hasher: RandomState) -> Self {
        Self { holders: HashMap::with_hasher(hasher) }
    }

    pub(super) fn holder(&self, folded: &str) -> Option<ConnId> {
        self.holders.get(folded).copied()
    }

    /// Gives a name to a connection, which has looked that nobody else holds it.
    pub(super) fn hold(&mut self, folded: &str, conn: ConnId) {
        self.holders.insert(folded.into(), conn);
    }

    pub(super) fn release(&mut self, folded: &str) {
        self.holders.remove(folded);
    }

    pub(super) fn len(&self) -> usize {
        self.holders.len()
    }
}
