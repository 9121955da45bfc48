//! Who holds which name. Two names are the same when they fold alike (RFC 8265), in whatever dialect they are held.
//!
//! A name is one person's: one connection has it, or the several seats of one person who is in several rooms at once.

use std::collections::HashMap;

use ahash::RandomState;

use crate::chat::ConnId;

/// Keyed by the folded name, with a hash that is seeded: peers choose the names.
#[derive(Debug)]
pub(super) struct Roster {
    holders: HashMap<Box<str>, ConnId, RandomState>,
    /// The further seats of those who have several. Never empty.
    further: HashMap<Box<str>, Vec<ConnId>, RandomState>,
}

impl Roster {
    pub(super) fn new(hasher: RandomState) -> Self {
        Self { holders: HashMap::with_hasher(hasher.clone()), further: HashMap::with_hasher(hasher) }
    }

    /// Who holds a name, the first of several.
    pub(super) fn holder(&self, folded: &str) -> Option<ConnId> {
        self.holders.get(folded).copied()
    }

    /// All who do.
    pub(super) fn all_holders(&self, folded: &str) -> impl Iterator<Item = ConnId> {
        let further = self.further.get(folded).into_iter().flatten();
        self.holders.get(folded).into_iter().chain(further).copied()
    }

    /// Gives a name to a connection; whoever calls has looked that nobody else holds it, or that it is the same person.
    pub(super) fn hold(&mut self, folded: &str, conn: ConnId) {
        if self.holders.contains_key(folded) {
            self.further.entry(folded.into()).or_default().push(conn);
        } else {
            self.holders.insert(folded.into(), conn);
        }
    }

    pub(super) fn release(&mut self, folded: &str, conn: ConnId) {
        let next = self.further.get_mut(folded).and_then(|further| {
            if self.holders.get(folded) != Some(&conn) {
                further.retain(|&other| other != conn);
                return None;
            }
            further.pop()
        });
        if let Some(next) = next {
            self.holders.insert(folded.into(), next);
        } else if self.holders.get(folded) == Some(&conn) {
            self.holders.remove(folded);
        }
        if self.further.get(folded).is_some_and(Vec::is_empty) {
            self.further.remove(folded);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.holders.len() + self.further.values().map(Vec::len).sum::<usize>()
    }
}
