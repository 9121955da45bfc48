//! Shares of a total: how much of it each network holds, and whether a network may take more.
//!
//! ```text
//!   0 ├───────────────── for every network ─────────────────┤─ kept ─┤ max
//!                                                          9/10
//! ```
//!
//! The last tenth of a total is kept for networks with less than a hundredth of it, so a few networks cannot
//! fill it for all. The owner of the parts has the total itself. A table has the counts of the networks that
//! hold parts. A part without a network (exempt, or restored without an address) counts in the total alone,
//! and only the total bounds it.
//!
//! A table has no more entries than its total has parts, so that it needs no bound of its own.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;

use ahash::RandomState;

use crate::limits::{PLACES_KEPT_DIVISOR, PLACES_SMALL_DIVISOR};

/// Whether a holder of `own` parts gets another one if `taken` of `max` are taken. A holder of no parts
/// always counts as small.
pub(crate) fn has_place(taken: usize, own: usize, max: usize) -> bool {
    !is_kept(taken, max) || (taken < max && own < (max / PLACES_SMALL_DIVISOR).max(1))
}

/// Whether only the kept tenth is left.
fn is_kept(taken: usize, max: usize) -> bool {
    taken >= max - max / PLACES_KEPT_DIVISOR
}

/// The parts of one total that each network `K` holds.
#[derive(Debug)]
pub(crate) struct Shares<K> {
    /// Never 0.
    held: HashMap<K, usize, RandomState>,
}

impl<K: Copy + Eq + Hash + Debug> Shares<K> {
    pub(crate) fn new(hasher: &RandomState) -> Self {
        Self { held: HashMap::with_hasher(hasher.clone()) }
    }

    /// The parts of a network.
    pub(crate) fn of(&self, network: K) -> usize {
        self.held.get(&network).copied().unwrap_or(0)
    }

    /// Whether a network may take more if `taken` of `max` are taken. None: only the total bounds it.
    pub(crate) fn has_place(&self, network: Option<K>, taken: usize, max: usize) -> bool {
        // Nearly always decided without a look at the table.
        !is_kept(taken, max) || has_place(taken, network.map_or(0, |network| self.of(network)), max)
    }

    /// Charges an amount to a network.
    pub(crate) fn charge(&mut self, network: Option<K>, amount: usize) {
        if let Some(network) = network.filter(|_| amount > 0) {
            *self.held.entry(network).or_default() += amount;
        }
    }

    /// Gives back an amount that a network was [charged](Self::charge).
    pub(crate) fn give_back(&mut self, network: Option<K>, amount: usize) {
        let Some(network) = network else { return };
        if let Some(held) = self.held.get_mut(&network) {
            debug_assert!(*held >= amount, "what is given back was charged");
            *held = held.saturating_sub(amount);
            if *held == 0 {
                self.held.remove(&network);
            }
        }
    }

    /// Panics unless each count is the sum of its network's parts. For tests.
    pub(crate) fn check_invariants(&self, parts: impl Iterator<Item = (Option<K>, usize)>) {
        let mut sums: HashMap<K, usize> = HashMap::new();
        for (network, amount) in parts {
            if let Some(network) = network.filter(|_| amount > 0) {
                *sums.entry(network).or_default() += amount;
            }
        }
        assert_eq!(self.held.len(), sums.len(), "{:?} for {sums:?}", self.held);
        for (network, sum) in sums {
            assert_eq!(self.of(network), sum, "of {network:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares() -> Shares<u32> {
        Shares::new(&RandomState::with_seeds(1, 2, 3, 4))
    }

    #[test]
    fn the_last_tenth_of_the_places_is_for_sources_with_less_than_a_hundredth() {
        assert!(has_place(899, 899, 1000));
        assert!(!has_place(900, 10, 1000));
        assert!(has_place(900, 9, 1000));
        assert!(has_place(999, 0, 1000));
        assert!(!has_place(1000, 0, 1000));
    }

    #[test]
    fn a_small_total_keeps_its_last_place_for_those_who_hold_nothing() {
        assert!(has_place(9, 0, 10));
        assert!(!has_place(9, 1, 10));
        assert!(!has_place(10, 0, 10));
        // A total below ten keeps nothing.
        assert!(has_place(1, 1, 2));
        assert!(!has_place(0, 0, 0));
    }

    #[test]
    fn one_network_leaves_a_tenth_and_a_few_leave_some_of_that() {
        let mut shares = shares();
        let mut taken = 0;
        let mut fills = |shares: &mut Shares<u32>, network| {
            let before = taken;
            while shares.has_place(Some(network), taken, 1000) {
                shares.charge(Some(network), 1);
                taken += 1;
            }
            taken - before
        };
        assert_eq!(fills(&mut shares, 0), 900);
        let others: Vec<_> = (1..=11).map(|network| fills(&mut shares, network)).collect();
        assert_eq!(others, [10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 0]);
        let parts = (0..=10).map(|network| (Some(network), if network == 0 { 900 } else { 10 }));
        shares.check_invariants(parts);
    }

    #[test]
    fn what_is_charged_to_no_network_counts_for_none() {
        let mut shares = shares();
        shares.charge(None, 950);
        assert!(shares.has_place(None, 950, 1000));
        assert!(!shares.has_place(None, 1000, 1000));
        assert!(shares.has_place(Some(1), 950, 1000));
        shares.check_invariants([(None, 950)].into_iter());
    }

    #[test]
    fn a_network_that_gave_all_back_is_forgotten() {
        let mut shares = shares();
        shares.charge(Some(1), 5);
        shares.charge(Some(2), 0);
        shares.give_back(Some(1), 2);
        assert_eq!(shares.of(1), 3);
        shares.give_back(Some(1), 3);
        shares.check_invariants(std::iter::empty());
    }
}
