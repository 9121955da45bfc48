//! What happens to a member that fell behind its room's log: what an operator decides, for each dialect.

use crate::wire::{Dialect, Transport};

/// What happens to a member that fell behind its room's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LagPolicy {
    /// It skips to the head and is told how many messages it missed.
    Skip,
    /// It is told that it is too slow, and closed.
    Close,
}

/// The policy for each dialect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LagPolicies([LagPolicy; Dialect::ALL.len()]);

impl LagPolicies {
    /// One policy for all.
    pub fn all(policy: LagPolicy) -> Self {
        let mut policies = Self::default();
        Self::dialects().for_each(|dialect| policies.set(dialect, policy));
        policies
    }

    /// The dialects whose members can fall behind: they read the log of a room, over a connection that may stand still.
    pub fn dialects() -> impl Iterator<Item = Dialect> + Clone {
        let lags = |dialect: &Dialect| dialect.has_rooms() && dialect.transport() != Transport::Datagram;
        Dialect::ALL.into_iter().filter(lags)
    }

    /// The policy for a dialect's members.
    pub fn of(self, dialect: Dialect) -> LagPolicy {
        self.0[dialect as usize]
    }

    /// Changes it, for one of [`LagPolicies::dialects`].
    pub fn set(&mut self, dialect: Dialect, policy: LagPolicy) {
        self.0[dialect as usize] = policy;
    }
}

impl Default for LagPolicies {
    /// What suits each: where the dialect can say that messages are missing, and people or programs go on behind the gap,
    /// it is to skip.
    #[expect(clippy::match_same_arms, reason = "each has a reason of its own")]
    fn default() -> Self {
        let mut policies = Self([LagPolicy::Skip; Dialect::ALL.len()]);
        for dialect in Dialect::ALL {
            let policy = match dialect {
                // They have a line for the gap, which people read and programs can tell from a message.
                Dialect::Line | Dialect::Slash => LagPolicy::Skip,
                // It is the server's own pause that makes it fall behind. Closed for that, it would come back to the same.
                Dialect::Gob => LagPolicy::Skip,
                // Nobody there falls behind: there are no rooms, or datagrams that are lost instead.
                Dialect::Tcrp | Dialect::Ucrp | Dialect::Typed => LagPolicy::Skip,
            };
            policies.set(dialect, policy);
        }
        policies
    }
}
