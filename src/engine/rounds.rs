//! Connections that wait for their turn: first the networks take turns, then the connections of each.
//!
//! A connection has a *lane*, the hash of its network. So a network gets one visit a round, whatever the
//! number of its connections. A push or a pop costs no look-up, and the memory does not depend on the number
//! of networks. Two networks share a lane by chance, one in [`LANES`] (stochastic fair queueing); peers do
//! not know the seed of the hash, so no network can choose the lane of another. An exempt connection has
//! turns of its own, because an exempt address may be a proxy for many people. If all connections are exempt,
//! the rounds are one queue.
//!
//! ```text
//! turns:  lane 5 ─▶ x ─▶ lane 37       lane 5:   a1 a2 a3 a4 …
//!                                      lane 37:  c1 c2            pop: a1 x c1 a2 c2 a3 a4 …
//! ```

use core::net::IpAddr;
use std::collections::VecDeque;

use ahash::RandomState;

use super::Settings;
use super::network::Network;
use crate::chat::{ConnId, ListenerId};
use crate::limits::LANES;

/// The queue of a network's connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lane(u16);

impl Lane {
    /// The lane of a connection with turns of its own.
    const NONE: Self = Self(LANES as u16);
}

const _: () = assert!(LANES.is_power_of_two() && LANES < 1 << 16);

/// The holder of the next turn.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Lane(Lane),
    Connection(ConnId),
}

/// Connections in the order of their turns. Invariant: `turns` holds each lane that is not empty, once.
#[derive(Debug)]
pub struct Rounds {
    lanes: Box<[VecDeque<ConnId>]>,
    turns: VecDeque<Turn>,
    len: usize,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { lanes: (0..LANES).map(|_| VecDeque::new()).collect(), turns: VecDeque::new(), len: 0 }
    }
}

impl Rounds {
    /// Puts a connection behind the others of its lane.
    pub fn push(&mut self, lane: Lane, id: ConnId) {
        self.len += 1;
        let Some(waiting) = self.lanes.get_mut(usize::from(lane.0)) else {
            return self.turns.push_back(Turn::Connection(id));
        };
        if waiting.is_empty() {
            self.turns.push_back(Turn::Lane(lane));
        }
        waiting.push_back(id);
    }

    /// Takes the first connection of the next lane. The lane's next turn comes after all other lanes.
    pub fn pop(&mut self) -> Option<ConnId> {
        let turn = self.turns.pop_front()?;
        self.len -= 1;
        let lane = match turn {
            Turn::Connection(id) => return Some(id),
            Turn::Lane(lane) => lane,
        };
        let waiting = &mut self.lanes[usize::from(lane.0)];
        let id = waiting.pop_front();
        if !waiting.is_empty() {
            self.turns.push_back(Turn::Lane(lane));
        }
        id
    }

    /// The number of connections that wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no connection waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Finds the lane of a connection.
#[derive(Clone, Debug)]
pub(super) struct Hasher(RandomState);

impl Hasher {
    pub(super) fn new(seed: u64) -> Self {
        Self(RandomState::with_seeds(seed, seed ^ 9, !seed, 9))
    }

    pub(super) fn lane(&self, network: Network, is_exempt: bool) -> Lane {
        if is_exempt { Lane::NONE } else { Lane((self.0.hash_one(network) as usize % LANES) as u16) }
    }
}

/// The same for the shard that reads from the connections, which may not be the engine's.
#[derive(Clone, Debug)]
pub struct Lanes {
    settings: Settings,
    hasher: Hasher,
}

impl Lanes {
    /// The lanes by an engine's settings.
    pub fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone(), hasher: Hasher::new(settings.seed) }
    }

    /// The lane of a connection that a listener accepted from an address.
    pub fn lane(&self, ip: IpAddr, listener: ListenerId) -> Lane {
        self.hasher.lane(Network::of(ip), self.settings.exempts(ip, listener))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn(index: u32) -> ConnId {
        ConnId::new(0, index, 1)
    }

    #[test]
    fn each_lane_has_one_visit_a_round_whatever_its_number_of_connections() {
        let mut rounds = Rounds::default();
        for index in 0..5 {
            rounds.push(Lane(7), conn(index));
        }
        rounds.push(Lane(3), conn(10));
        rounds.push(Lane(9), conn(20));
        rounds.push(Lane(9), conn(21));
        assert_eq!(rounds.len(), 8);
        let mut order = Vec::new();
        while let Some(id) = rounds.pop() {
            order.push(id.index());
            if order.len() == 2 {
                // A new lane waits for one visit to each other lane.
                rounds.push(Lane(3), conn(11));
            }
        }
        assert_eq!(order, [0, 10, 20, 1, 11, 21, 2, 3, 4]);
        assert!(rounds.is_empty());
    }

    #[test]
    fn a_network_has_one_lane_and_an_exempt_connection_has_turns_of_its_own() {
        let lanes = Lanes::new(&Settings::default());
        let lane = |address: &str| lanes.lane(address.parse().expect("an address"), ListenerId(0));
        assert_eq!(lane("192.0.2.1"), lane("::ffff:192.0.2.1"));
        assert_eq!(lane("2001:db8::1"), lane("2001:db8::2"));
        let others = (0..100).map(|index| lane(&format!("198.51.100.{index}")));
        let different = others.filter(|&other| other != lane("192.0.2.1")).count();
        assert!(different > 97, "{different} of 100 networks have another lane");
        let mut rounds = Rounds::default();
        for index in 0..3 {
            rounds.push(lane("192.0.2.1"), conn(index));
            rounds.push(lane("127.0.0.1"), conn(10 + index));
        }
        let order: Vec<_> = std::iter::from_fn(|| rounds.pop()).map(ConnId::index).collect();
        assert_eq!(order, [0, 10, 11, 12, 1, 2]);
    }
}
