//! What comes from one address: how many connections and seats, how many rooms, and how many new connections a second.
//!
//! An address is known while something is there that came from it, and until its bucket is full again. Those of which nothing
//! is there stand in a queue in the order in which they will be forgotten, so that none is looked for.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use ahash::RandomState;

use super::Settings;
use super::network::Network;
use super::rate::{Bucket, Rate};
use crate::chat::Refused;
use crate::limits::{ADDRESSES_IDLE_MAX, RATE_SECONDS_HELD};

#[derive(Debug)]
pub(super) struct Addresses {
    /// Connections and seats of one address at once; 0 means any.
    clients_limit: usize,
    /// Rooms that one address made; 0 means any.
    rooms_limit: usize,
    /// New connections of one address.
    connects: Option<Rate>,
    known: HashMap<Network, Address, RandomState>,
    /// Those of which nothing was there when they were put here, and when to look whether they can be forgotten. Never falls.
    idle: VecDeque<(Duration, Network)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Address {
    /// Connections and seats.
    clients: usize,
    /// Rooms that were made from there.
    rooms: usize,
    connects: Bucket,
    /// It stands in the queue.
    queued: bool,
}

impl Address {
    /// Nothing is there that came from it.
    fn is_idle(&self) -> bool {
        self.clients == 0 && self.rooms == 0
    }
}

impl Addresses {
    pub(super) fn new(settings: &Settings, hasher: RandomState) -> Self {
        Self {
            clients_limit: settings.address_clients_limit,
            rooms_limit: settings.address_rooms_limit,
            connects: Rate::new(settings.address_connects_limit, 1),
            known: HashMap::with_hasher(hasher),
            idle: VecDeque::new(),
        }
    }

    /// Counts a new connection in, if its address may have one more.
    pub(super) fn connected(&mut self, network: Network, now: Duration) -> Result<(), Refused> {
        self.forget_idle(now);
        let address = self.known.entry(network).or_default();
        let is_slow_enough = self.connects.is_none_or(|rate| rate.take(&mut address.connects, 1, now));
        let admitted = if !is_slow_enough {
            Err(Refused::AddressTooFast)
        } else if self.clients_limit > 0 && address.clients >= self.clients_limit {
            Err(Refused::AddressFull)
        } else {
            address.clients += 1;
            Ok(())
        };
        self.queue_if_idle(network, now);
        admitted
    }

    /// Whether a seat can be counted in.
    pub(super) fn has_space(&self, network: Network) -> bool {
        let clients = self.known.get(&network).map_or(0, |address| address.clients);
        self.clients_limit == 0 || clients < self.clients_limit
    }

    /// Counts a seat in.
    pub(super) fn seated(&mut self, network: Network) {
        self.known.entry(network).or_default().clients += 1;
    }

    /// Counts a connection or a seat out.
    pub(super) fn left(&mut self, network: Network, now: Duration) {
        if let Some(address) = self.known.get_mut(&network) {
            address.clients -= 1;
        }
        self.queue_if_idle(network, now);
    }

    /// Whether another room can be counted in.
    pub(super) fn may_make_room(&self, network: Network) -> bool {
        let rooms = self.known.get(&network).map_or(0, |address| address.rooms);
        self.rooms_limit == 0 || rooms < self.rooms_limit
    }

    /// Counts a room in.
    pub(super) fn made_room(&mut self, network: Network) {
        self.known.entry(network).or_default().rooms += 1;
    }

    /// Counts a room out. Its maker may have left long ago.
    pub(super) fn lost_room(&mut self, network: Network, now: Duration) {
        if let Some(address) = self.known.get_mut(&network) {
            address.rooms -= 1;
        }
        self.queue_if_idle(network, now);
    }

    fn queue_if_idle(&mut self, network: Network, now: Duration) {
        if let Some(address) = self.known.get_mut(&network)
            && address.is_idle()
            && !std::mem::replace(&mut address.queued, true)
        {
            self.idle.push_back((now + Duration::from_secs(RATE_SECONDS_HELD), network));
        }
    }

    /// Forgets addresses that may connect as if they never had; where very many wait for that, those that have waited the
    /// longest. Two for each that comes, so that the queue gets shorter.
    fn forget_idle(&mut self, now: Duration) {
        for _ in 0..2 {
            let are_too_many = self.idle.len() >= ADDRESSES_IDLE_MAX;
            let Some(&(at, network)) = self.idle.front() else { return };
            if at > now && !are_too_many {
                return;
            }
            self.idle.pop_front();
            let Some(address) = self.known.get_mut(&network) else { continue };
            address.queued = false;
            if !address.is_idle() {
                continue;
            }
            if are_too_many || address.connects.is_full(now) {
                self.known.remove(&network);
            } else {
                // It has been back meanwhile.
                self.queue_if_idle(network, now);
            }
        }
    }

    /// How many clients and rooms are counted; looks whether nothing is known that need not be. For tests.
    pub(super) fn check_invariants(&self) -> (usize, usize) {
        let queued = self.known.values().filter(|address| address.queued).count();
        assert_eq!(queued, self.idle.len());
        assert!(self.known.values().all(|address| address.queued || !address.is_idle()));
        assert!(self.idle.len() <= ADDRESSES_IDLE_MAX);
        self.known
            .values()
            .fold((0, 0), |(clients, rooms), address| (clients + address.clients, rooms + address.rooms))
    }
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;

    fn addresses() -> Addresses {
        let settings =
            Settings { address_clients_limit: 2, address_connects_limit: 1, ..Settings::default() };
        Addresses::new(&settings, RandomState::with_seeds(1, 2, 3, 4))
    }

    fn network(index: u32) -> Network {
        Network::of(IpAddr::from(index.to_be_bytes()))
    }

    #[test]
    fn an_address_is_forgotten_when_nothing_is_there_and_its_bucket_is_full() {
        let mut addresses = addresses();
        let second = Duration::from_secs;
        assert_eq!(addresses.connected(network(1), second(1)), Ok(()));
        addresses.left(network(1), second(2));
        // It is back, and stays.
        assert_eq!(addresses.connected(network(1), second(3)), Ok(()));
        assert_eq!(addresses.connected(network(2), second(12)), Ok(()));
        addresses.left(network(2), second(12));
        addresses.check_invariants();
        assert_eq!(addresses.known.len(), 2);
        addresses.left(network(1), second(13));
        assert_eq!(addresses.connected(network(3), second(30)), Ok(()));
        assert_eq!(addresses.check_invariants(), (1, 0));
        assert_eq!(addresses.known.len(), 1);
    }

    #[test]
    fn however_many_addresses_come_and_go_what_is_known_of_them_is_bounded() {
        let mut addresses = addresses();
        for index in 0..2 * ADDRESSES_IDLE_MAX as u32 {
            assert_eq!(addresses.connected(network(index), Duration::from_secs(1)), Ok(()));
            addresses.left(network(index), Duration::from_secs(1));
        }
        assert!(addresses.known.len() <= ADDRESSES_IDLE_MAX, "{}", addresses.known.len());
        addresses.check_invariants();
        // Those that stay are not forgotten for those that do not.
        assert_eq!(addresses.connected(network(u32::MAX), Duration::from_secs(1)), Ok(()));
        for index in 0..2 * ADDRESSES_IDLE_MAX as u32 {
            let _: Result<(), Refused> = addresses.connected(network(index), Duration::from_secs(100));
            addresses.left(network(index), Duration::from_secs(100));
        }
        assert_eq!(addresses.check_invariants(), (1, 0));
    }
}
