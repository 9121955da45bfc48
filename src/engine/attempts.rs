//! Wrong passwords, and the networks whose password was right.
//!
//! - By name and network: after too many in a minute, no password of that network for that name is checked
//!   for a minute.
//! - By name, over all networks: after very many in an hour, each further check of the name waits. A network
//!   that proved the name in the last weeks does not wait: its owner logs in while others guess.
//!
//! Only a right password writes a proof, so no guess removes the proof of another. All of this is in memory
//! only.

use std::collections::HashMap;
use std::time::Duration;

use ahash::RandomState;

use super::network::Network;
use crate::chat::Folded;
use crate::limits::{
    ATTEMPTS_KEPT_MAX, ATTEMPTS_NAMES_MAX, ATTEMPTS_OF_NAME_MAX, ATTEMPTS_OF_NAME_PARTS,
    ATTEMPTS_OF_NAME_SECONDS, ATTEMPTS_SECONDS, ATTEMPTS_WAIT_SECONDS_MAX, PROOF_SECONDS, PROOFS_MAX,
    PROOFS_OF_NAME_MAX,
};

const WINDOW: Duration = Duration::from_secs(ATTEMPTS_SECONDS);
const PART_SECONDS: u64 = ATTEMPTS_OF_NAME_SECONDS / ATTEMPTS_OF_NAME_PARTS as u64;

/// Wrong passwords for a name from one network.
#[derive(Clone, Copy, Debug)]
struct Window {
    began: Duration,
    wrong: u8,
}

/// Wrong passwords for a name from all networks, by part of the last hour.
#[derive(Clone, Copy, Debug, Default)]
struct Hour {
    /// By the part's number, modulo the number of parts.
    wrong: [u32; ATTEMPTS_OF_NAME_PARTS],
    /// The number of the newest part since the clock began.
    newest: u64,
}

/// A network whose password for a name was right.
#[derive(Clone, Copy, Debug)]
struct Proof {
    network: Network,
    /// When, in seconds of the monotonic clock.
    at: u32,
}

#[derive(Debug)]
pub(super) struct Attempts {
    /// Most wrong passwords in a window. Beyond it, no password is checked until the window ends.
    limit: u8,
    windows: HashMap<(Folded, Network), Window, RandomState>,
    /// By the folded name.
    names: HashMap<Box<str>, Hour, RandomState>,
    /// By the folded name; of each, the least recent one first.
    proofs: HashMap<Box<str>, Vec<Proof>, RandomState>,
    /// Proofs of all names.
    proof_count: usize,
}

impl Attempts {
    pub(super) fn new(limit: u8, hasher: &RandomState) -> Self {
        Self {
            limit,
            windows: HashMap::with_hasher(hasher.clone()),
            names: HashMap::with_hasher(hasher.clone()),
            proofs: HashMap::with_hasher(hasher.clone()),
            proof_count: 0,
        }
    }

    /// Whether a password for a name may be checked.
    pub(super) fn are_allowed(&self, name: &Folded, network: Network, now: Duration) -> bool {
        let window = self.windows.get(&(*name, network));
        window.is_none_or(|window| window.wrong < self.limit || window.is_over(now))
    }

    /// The delay before a password for a name is checked, if any.
    pub(super) fn wait(&self, name: &Folded, network: Network, now: Duration) -> Option<Duration> {
        let wrong = self.names.get(name.as_str())?.wrong(now);
        let doublings = wrong.checked_sub(ATTEMPTS_OF_NAME_MAX)?;
        let seconds = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX).min(ATTEMPTS_WAIT_SECONDS_MAX);
        (!self.has_proved(name, network, now)).then_some(Duration::from_secs(seconds))
    }

    fn has_proved(&self, name: &Folded, network: Network, now: Duration) -> bool {
        let mut proofs = self.proofs.get(name.as_str()).into_iter().flat_map(|proofs| proofs.iter());
        proofs.any(|proof| proof.network == network && proof.holds(now))
    }

    /// Counts a wrong password.
    pub(super) fn count(&mut self, name: &Folded, network: Network, now: Duration) {
        self.count_of_network(name, network, now);
        if self.names.len() >= ATTEMPTS_NAMES_MAX && !self.names.contains_key(name.as_str()) {
            self.forget_least_wrong(now);
        }
        self.names.entry(name.as_str().into()).or_default().count(now);
    }

    fn count_of_network(&mut self, name: &Folded, network: Network, now: Duration) {
        if self.windows.len() >= ATTEMPTS_KEPT_MAX {
            self.windows.retain(|_, window| !window.is_over(now));
        }
        let whose = (*name, network);
        if self.windows.len() >= ATTEMPTS_KEPT_MAX && !self.windows.contains_key(&whose) {
            return;
        }
        let window = self.windows.entry(whose).or_insert(Window { began: now, wrong: 0 });
        if window.is_over(now) {
            *window = Window { began: now, wrong: 0 };
        }
        window.wrong = window.wrong.saturating_add(1);
        if window.wrong == self.limit {
            // From the last one on, so that the wait is a whole one.
            window.began = now;
        }
    }

    /// Forgets the names with the fewest wrong passwords.
    fn forget_least_wrong(&mut self, now: Duration) {
        let least = self.names.values().map(|hour| hour.wrong(now)).min().unwrap_or(0);
        self.names.retain(|_, hour| hour.wrong(now) > least);
    }

    /// Notes a network whose password for a name was right.
    pub(super) fn prove(&mut self, name: &Folded, network: Network, now: Duration) {
        let proofs = self.proofs.entry(name.as_str().into()).or_default();
        let known = proofs.iter().position(|proof| proof.network == network);
        let outdated = known.or_else(|| (proofs.len() >= PROOFS_OF_NAME_MAX).then_some(0));
        if let Some(index) = outdated {
            proofs.remove(index);
            self.proof_count -= 1;
        }
        proofs.push(Proof { network, at: seconds(now) });
        self.proof_count += 1;
        if self.proof_count > PROOFS_MAX {
            self.forget_proofs(now);
        }
    }

    /// Forgets old proofs. If that is not enough, each name with several proofs loses the least recent one.
    /// There are more places than accounts, so some name has several, and no name loses its last.
    fn forget_proofs(&mut self, now: Duration) {
        self.proofs.retain(|_, proofs| {
            proofs.retain(|proof| proof.holds(now));
            !proofs.is_empty()
        });
        self.proof_count = self.proofs.values().map(Vec::len).sum();
        if self.proof_count > PROOFS_MAX {
            for proofs in self.proofs.values_mut().filter(|proofs| proofs.len() > 1) {
                proofs.remove(0);
                self.proof_count -= 1;
            }
        }
    }

    /// Forgets a name whose account is gone: its next owner starts without counts and proofs.
    pub(super) fn forget(&mut self, name: &Folded) {
        self.names.remove(name.as_str());
        self.proof_count -= self.proofs.remove(name.as_str()).map_or(0, |proofs| proofs.len());
    }

    /// Walks everything and panics where an invariant does not hold. For tests.
    pub(super) fn check_invariants(&self) {
        assert_eq!(self.proof_count, self.proofs.values().map(Vec::len).sum::<usize>());
        assert!(self.proof_count <= PROOFS_MAX && self.names.len() <= ATTEMPTS_NAMES_MAX);
        assert!(self.windows.len() <= ATTEMPTS_KEPT_MAX);
    }
}

impl Window {
    fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.began) >= WINDOW
    }
}

impl Hour {
    fn part(now: Duration) -> u64 {
        now.as_secs() / PART_SECONDS
    }

    fn index(part: u64) -> usize {
        part as usize % ATTEMPTS_OF_NAME_PARTS
    }

    fn count(&mut self, now: Duration) {
        let part = Self::part(now);
        let passed = part.saturating_sub(self.newest).min(ATTEMPTS_OF_NAME_PARTS as u64);
        for part in part + 1 - passed..=part {
            self.wrong[Self::index(part)] = 0;
        }
        self.newest = part;
        let wrong = &mut self.wrong[Self::index(part)];
        *wrong = wrong.saturating_add(1);
    }

    /// Wrong passwords in the current part and in the earlier parts of the same hour.
    fn wrong(&self, now: Duration) -> u32 {
        let part = Self::part(now);
        let oldest = (part + 1).saturating_sub(ATTEMPTS_OF_NAME_PARTS as u64);
        let kept = self.newest.saturating_sub(ATTEMPTS_OF_NAME_PARTS as u64 - 1);
        let counts = (oldest.max(kept)..=self.newest).map(|part| self.wrong[Self::index(part)]);
        counts.fold(0, u32::saturating_add)
    }
}

impl Proof {
    fn holds(&self, now: Duration) -> bool {
        u64::from(seconds(now).saturating_sub(self.at)) <= PROOF_SECONDS
    }
}

/// A hundred years of them fit.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;
    use crate::limits::ACCOUNTS_MAX;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(ATTEMPTS_OF_NAME_SECONDS);

    fn attempts() -> Attempts {
        Attempts::new(5, &RandomState::with_seeds(1, 2, 3, 4))
    }

    fn network(index: u32) -> Network {
        Network::of(IpAddr::from(index.to_be_bytes()))
    }

    fn name(text: &str) -> Folded {
        Folded::from(text).expect("a short name")
    }

    #[test]
    fn five_in_a_minute_are_too_many_for_a_name_from_one_network() {
        let [alice, bob] = ["alice", "bob"].map(name);
        let [one, other] = [1, 2].map(network);
        let mut attempts = attempts();
        for at in 0..4 {
            attempts.count(&alice, one, SECOND * at);
        }
        assert!(attempts.are_allowed(&alice, one, SECOND * 4));
        attempts.count(&alice, one, SECOND * 10);
        assert!(!attempts.are_allowed(&alice, one, SECOND * 11));
        assert!(attempts.are_allowed(&alice, other, SECOND * 11), "the name from elsewhere");
        assert!(attempts.are_allowed(&bob, one, SECOND * 11), "another name");
        assert!(!attempts.are_allowed(&alice, one, SECOND * 69));
        assert!(attempts.are_allowed(&alice, one, SECOND * 70));
    }

    #[test]
    fn from_a_hundred_wrong_in_an_hour_on_a_name_waits_longer_and_longer_up_to_a_bound() {
        let alice = name("alice");
        let mut attempts = attempts();
        let mut waits = Vec::new();
        for index in 0..ATTEMPTS_OF_NAME_MAX + 50 {
            attempts.count(&alice, network(index), SECOND);
            waits.extend(attempts.wait(&alice, network(9999), SECOND).map(|wait| wait.as_secs()));
            assert_eq!(waits.is_empty(), index + 1 < ATTEMPTS_OF_NAME_MAX);
        }
        assert_eq!(waits[..6], [1, 2, 4, 8, 16, 30]);
        assert!(waits[6..].iter().all(|&wait| wait == ATTEMPTS_WAIT_SECONDS_MAX));
        assert_eq!(attempts.wait(&name("bob"), network(9999), SECOND), None);
        assert_eq!(attempts.wait(&alice, network(9999), HOUR + SECOND), None, "an hour later");
    }

    #[test]
    fn wrong_ones_are_forgotten_as_they_get_older_than_an_hour() {
        let alice = name("alice");
        let mut attempts = attempts();
        let part = SECOND * PART_SECONDS as u32;
        // Ten in each part.
        for index in 0..240 {
            let at = part * (index / 10);
            attempts.count(&alice, network(index), at);
            let counted = attempts.names["alice"].wrong(at);
            assert_eq!(counted, (index + 1).min(110 + index % 10 + 1), "at {at:?}");
        }
        let last = part * 23;
        assert_eq!(attempts.names["alice"].wrong(last), 120);
        assert_eq!(attempts.names["alice"].wrong(last + part * 2), 100);
        assert_eq!(attempts.names["alice"].wrong(last + part * 12), 0);
    }

    #[test]
    fn a_network_that_proved_a_name_does_not_wait_for_thirty_days() {
        let alice = name("alice");
        let mut attempts = attempts();
        attempts.prove(&alice, network(7), SECOND);
        let later = SECOND * PROOF_SECONDS as u32 + SECOND;
        for (now, waits) in [(SECOND * 2, false), (later, false), (later + SECOND, true)] {
            for index in 0..200 {
                attempts.count(&alice, network(1000 + index), now);
            }
            assert_eq!(attempts.wait(&alice, network(7), now).is_some(), waits, "{now:?}");
            assert!(attempts.wait(&alice, network(8), now).is_some());
        }
        attempts.forget(&alice);
        assert_eq!(attempts.wait(&alice, network(8), later + SECOND), None, "another owner begins anew");
        attempts.check_invariants();
    }

    #[test]
    fn of_a_names_networks_the_least_recent_is_forgotten_first() {
        let alice = name("alice");
        let mut attempts = attempts();
        for index in 0..PROOFS_OF_NAME_MAX as u32 {
            attempts.prove(&alice, network(index), SECOND * index);
        }
        attempts.prove(&alice, network(0), SECOND * 100);
        attempts.prove(&alice, network(100), SECOND * 101);
        let proved = |index| attempts.has_proved(&alice, network(index), SECOND * 102);
        assert!(proved(0) && !proved(1) && proved(2) && proved(100));
        attempts.check_invariants();
    }

    #[test]
    fn who_logs_in_to_many_accounts_from_many_networks_takes_no_name_its_last_proof() {
        let mut attempts = attempts();
        let alice = name("alice");
        attempts.prove(&alice, network(1), SECOND);
        // One name for each account, and more networks of each than the memory holds.
        for index in 0..ACCOUNTS_MAX as u32 - 1 {
            let own = name(&index.to_string());
            for other in 0..3 {
                attempts.prove(&own, network(index + other), SECOND * 2);
            }
            assert!(attempts.proof_count <= PROOFS_MAX);
        }
        attempts.check_invariants();
        assert!(attempts.has_proved(&alice, network(1), SECOND * 3));
    }

    #[test]
    fn what_is_kept_is_bounded_and_hides_no_attack() {
        let mut attempts = attempts();
        let alice = name("alice");
        for index in 0..ATTEMPTS_OF_NAME_MAX {
            attempts.count(&alice, network(index), Duration::ZERO);
        }
        for index in 0..ATTEMPTS_KEPT_MAX.max(ATTEMPTS_NAMES_MAX) as u32 + 100 {
            attempts.count(&name(&index.to_string()), network(index), Duration::ZERO);
        }
        attempts.check_invariants();
        assert_eq!(attempts.windows.len(), ATTEMPTS_KEPT_MAX);
        assert!(attempts.wait(&alice, network(9999), Duration::ZERO).is_some());
        attempts.count(&name("late"), network(7), WINDOW);
        assert_eq!(attempts.windows.len(), 1);
    }
}
