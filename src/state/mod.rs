//! What ops mean: accounts, mailboxes and seats as they are when the ops have been carried out. Pure.
//!
//! The same ops in the same order give the same state. The engine keeps a [`Ledger`] for those who ask; the stores that
//! are logs keep a [`State`], to know what is left of what they wrote.

mod ledger;
mod seating;
mod shares;

use ahash::RandomState;

pub(crate) use ledger::{Account, AccountId, Ledger, Origin, With, id_without_op};
pub(crate) use seating::Seating;
pub(crate) use shares::{Shares, has_place};

use crate::chat::{Kept, Op, OpId};

/// All that is kept but what was said in rooms.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) ledger: Ledger,
    pub(crate) seating: Seating,
    /// The highest id of an op that was carried out.
    pub(crate) last: Option<OpId>,
}

impl State {
    /// Nothing. `seed` is for the hashing of names that peers choose.
    pub(crate) fn new(seed: u64) -> Self {
        let hasher = RandomState::with_seeds(seed, !seed, seed.rotate_left(32), 0);
        Self { ledger: Ledger::new(&hasher), seating: Seating::new(&hasher), last: None }
    }

    /// Carries out an op.
    pub(crate) fn apply(&mut self, op: &Op) {
        self.ledger.apply(op);
        self.seating.apply(op);
        self.last = self.last.max(Some(op.id));
    }

    /// Takes in a part of what was kept.
    pub(crate) fn restore(&mut self, kept: &Kept) {
        self.ledger.restore(kept);
        self.seating.restore(kept);
    }

    /// Hands out all of it, in the order that [`Kept`] documents.
    pub(crate) fn visit(&self, visit: &mut dyn FnMut(Kept)) {
        self.ledger.visit(visit);
        self.seating.visit(visit);
    }
}
