//! Wrong passwords, counted by name and by address: too many in a minute, and none is looked at for a while.

use std::collections::HashMap;
use std::time::Duration;

use ahash::RandomState;

use super::network::Network;
use crate::limits::{ATTEMPTS_KEPT_MAX, ATTEMPTS_SECONDS};

const WINDOW: Duration = Duration::from_secs(ATTEMPTS_SECONDS);

/// Whose attempts are counted together.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Whose {
    /// A folded name.
    Name(Box<str>),
    Network(Network),
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Duration,
    wrong: u8,
}

#[derive(Debug)]
pub(super) struct Attempts {
    /// Wrong ones in a window. After as many, none is looked at until it is over.
    limit: u8,
    windows: HashMap<Whose, Window, RandomState>,
}

impl Attempts {
    pub(super) fn new(limit: u8, hasher: RandomState) -> Self {
        Self { limit, windows: HashMap::with_hasher(hasher) }
    }

    /// Whether a password may be looked at.
    pub(super) fn are_allowed(&self, folded: &str, network: Network, now: Duration) -> bool {
        [Whose::Name(folded.into()), Whose::Network(network)].iter().all(|whose| {
            self.windows.get(whose).is_none_or(|window| window.wrong < self.limit || window.is_over(now))
        })
    }

    /// Counts a wrong password.
    pub(super) fn count(&mut self, folded: &str, network: Network, now: Duration) {
        if self.windows.len() >= ATTEMPTS_KEPT_MAX {
            self.windows.retain(|_, window| !window.is_over(now));
        }
        for whose in [Whose::Name(folded.into()), Whose::Network(network)] {
            if self.windows.len() >= ATTEMPTS_KEPT_MAX && !self.windows.contains_key(&whose) {
                continue;
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
    }
}

impl Window {
    fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.began) >= WINDOW
    }
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;

    #[test]
    fn five_in_a_minute_are_too_many_for_a_name_and_for_an_address() {
        let second = Duration::from_secs;
        let [one, other] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(|ip| Network::of(IpAddr::from(ip)));
        let mut attempts = Attempts::new(5, RandomState::with_seeds(1, 2, 3, 4));
        for at in 0..4 {
            attempts.count("alice", one, second(at));
        }
        assert!(attempts.are_allowed("alice", one, second(4)));
        attempts.count("alice", one, second(10));
        assert!(!attempts.are_allowed("alice", other, second(11)), "the name");
        assert!(!attempts.are_allowed("bob", one, second(11)), "the address");
        assert!(attempts.are_allowed("bob", other, second(11)));
        assert!(!attempts.are_allowed("alice", other, second(69)));
        assert!(attempts.are_allowed("alice", one, second(70)));
    }

    #[test]
    fn what_is_kept_is_bounded_and_forgotten() {
        let mut attempts = Attempts::new(5, RandomState::with_seeds(1, 2, 3, 4));
        let ip = |index: u32| Network::of(IpAddr::from(index.to_be_bytes()));
        for index in 0..20_000 {
            attempts.count(&index.to_string(), ip(index), Duration::ZERO);
        }
        assert_eq!(attempts.windows.len(), ATTEMPTS_KEPT_MAX);
        attempts.count("late", ip(7), WINDOW);
        assert_eq!(attempts.windows.len(), 2);
    }
}
