//! New accounts, counted by network and by the wider network around it, so that no single network makes all
//! of them.
//!
//! Each network has a bucket that holds half a day's accounts. A new account takes one from the bucket of its
//! network and one from that of the /24 (of IPv6, the /48) around it. The buckets are in memory only: a peer
//! cannot restart the server.
//!
//! The memory is bounded by [`ACCOUNT_NETWORKS_MAX`]. A network that finds no place there shares one bucket
//! with all others without a place, so that a full memory raises no limit.

use std::collections::HashMap;
use std::time::Duration;

use ahash::RandomState;

use super::network::Network;
use super::rate::{Bucket, Rate};
use crate::limits::{ACCOUNT_NETWORKS_MAX, ACCOUNT_NETWORKS_SWEEP_SECONDS, ACCOUNTS_WIDE_FACTOR};

#[derive(Debug)]
pub(super) struct NewAccounts {
    /// None: any number.
    rates: Option<Rates>,
    networks: Table,
    wide: Table,
    /// The bucket shared by the networks without a place in a table.
    shared: Bucket,
}

#[derive(Clone, Copy, Debug)]
struct Rates {
    network: Rate,
    wide: Rate,
}

/// Networks whose buckets are not full.
#[derive(Debug)]
struct Table {
    buckets: HashMap<Network, Bucket, RandomState>,
    /// The time of the last search of the full table for refilled buckets.
    swept_at: Option<Duration>,
}

impl NewAccounts {
    /// `a_day`: accounts of one network a day; 0 means any number.
    pub(super) fn new(a_day: u32, hasher: &RandomState) -> Self {
        let rate = |a_day: u32| Rate::a_day(a_day, a_day.div_ceil(2));
        let rates = rate(a_day).zip(rate(a_day.saturating_mul(ACCOUNTS_WIDE_FACTOR)));
        let table = || Table { buckets: HashMap::with_hasher(hasher.clone()), swept_at: None };
        Self {
            rates: rates.map(|(network, wide)| Rates { network, wide }),
            networks: table(),
            wide: table(),
            shared: Bucket::default(),
        }
    }

    /// The time until which a network may not make an account, if it may not now.
    pub(super) fn refused_until(&mut self, network: Network, now: Duration) -> Option<Duration> {
        let rates = self.rates?;
        let refused = |bucket: Option<Bucket>, rate: Rate| match bucket {
            Some(bucket) => rate.lacks_until(bucket, 1, now),
            None => rates.wide.lacks_until(self.shared, 1, now),
        };
        let of_network = refused(self.networks.bucket(network, now), rates.network);
        let of_wide = refused(self.wide.bucket(network.wide(), now), rates.wide);
        of_network.max(of_wide)
    }

    /// Counts a new account.
    pub(super) fn count(&mut self, network: Network, now: Duration) {
        let Some(rates) = self.rates else { return };
        let mut shares = false;
        for (table, key, rate) in
            [(&mut self.networks, network, rates.network), (&mut self.wide, network.wide(), rates.wide)]
        {
            if let Some(mut bucket) = table.bucket(key, now) {
                rate.owe(&mut bucket, 1, now);
                table.buckets.insert(key, bucket);
            } else {
                shares = true;
            }
        }
        if shares {
            rates.wide.owe(&mut self.shared, 1, now);
        }
    }
}

impl Table {
    /// The bucket of a network: a full one for an unknown network; None if the table has no place.
    fn bucket(&mut self, network: Network, now: Duration) -> Option<Bucket> {
        if let Some(bucket) = self.buckets.get(&network) {
            return Some(*bucket);
        }
        if self.buckets.len() >= ACCOUNT_NETWORKS_MAX {
            let sweep_seconds = Duration::from_secs(ACCOUNT_NETWORKS_SWEEP_SECONDS);
            if self.swept_at.is_none_or(|at| now.saturating_sub(at) >= sweep_seconds) {
                self.swept_at = Some(now);
                self.buckets.retain(|_, bucket| !bucket.is_full(now));
            }
        }
        (self.buckets.len() < ACCOUNT_NETWORKS_MAX).then(Bucket::default)
    }
}

#[cfg(test)]
mod tests {
    use core::net::{IpAddr, Ipv6Addr};

    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn accounts() -> NewAccounts {
        NewAccounts::new(10, &RandomState::with_seeds(1, 2, 3, 4))
    }

    fn v4(bytes: [u8; 4]) -> Network {
        Network::of(IpAddr::from(bytes))
    }

    fn v6(network: u64) -> Network {
        Network::of(Ipv6Addr::from_bits(u128::from(network) << 64 | 1).into())
    }

    /// Makes accounts until the limit.
    fn make(accounts: &mut NewAccounts, network: Network, now: Duration) -> usize {
        (0..1000)
            .take_while(|_| {
                let may = accounts.refused_until(network, now).is_none();
                if may {
                    accounts.count(network, now);
                }
                may
            })
            .count()
    }

    #[test]
    fn a_network_makes_five_at_once_and_then_ten_a_day() {
        let mut accounts = accounts();
        let network = v4([192, 0, 2, 1]);
        assert_eq!(make(&mut accounts, network, HOUR), 5);
        let until = accounts.refused_until(network, HOUR).expect("it is refused");
        assert_eq!(until, HOUR + HOUR * 24 / 10, "and told when");
        assert_eq!(make(&mut accounts, network, HOUR + HOUR * 2), 0);
        assert_eq!(make(&mut accounts, network, until), 1);
        let made: usize = (1..=240).map(|hour| make(&mut accounts, network, until + HOUR * hour)).sum();
        assert_eq!(made, 100, "in ten days");
    }

    #[test]
    fn the_networks_around_share_thirty_a_day() {
        for (network, bystander) in [
            ((|index| v4([192, 0, 2, index])) as fn(u8) -> Network, v4([192, 0, 3, 1])),
            (|index| v6(0x2001_0db8_0001_0000 | u64::from(index)), v6(0x2001_0db8_0002_0000)),
        ] {
            let mut accounts = accounts();
            let made: usize = (1..=100).map(|index| make(&mut accounts, network(index), HOUR)).sum();
            assert_eq!(made, 15);
            assert_eq!(make(&mut accounts, bystander, HOUR), 5);
        }
    }

    #[test]
    fn a_full_memory_raises_no_limit_and_is_freed_by_time() {
        let mut accounts = accounts();
        let network = |index: u64| v6((0x2000_0000 + index) << 32);
        for index in 0..ACCOUNT_NETWORKS_MAX as u64 {
            assert_eq!(make(&mut accounts, network(index), HOUR), 5);
        }
        let more: usize = (0..100).map(|index| make(&mut accounts, network(1 << 20 | index), HOUR)).sum();
        assert_eq!(more, 15, "all that have no place share one bucket");
        assert_eq!(accounts.networks.buckets.len(), ACCOUNT_NETWORKS_MAX);
        assert_eq!(make(&mut accounts, network(7), HOUR), 0, "those that are known stay counted");
        assert_eq!(make(&mut accounts, network(1 << 21), HOUR * 14), 5);
        assert_eq!((accounts.networks.buckets.len(), accounts.wide.buckets.len()), (1, 1));
    }

    #[test]
    fn no_limit_counts_nothing() {
        let mut accounts = NewAccounts::new(0, &RandomState::with_seeds(1, 2, 3, 4));
        assert_eq!(make(&mut accounts, v4([192, 0, 2, 1]), HOUR), 1000);
        assert!(accounts.networks.buckets.is_empty());
    }
}
