//! Who counts as one address: an IPv4 address, or a /64 of IPv6.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::state::Origin;

/// An IPv4 address, or the first 64 bits of an IPv6 one: whoever has one of those addresses has all of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Network(u64);

impl Network {
    pub(super) fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            // No network has a zero in front, so that none is taken for an IPv4 address.
            IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64,
        })
    }

    /// The /24 or /48 that it is in, as the first network of it.
    pub(super) fn wide(self) -> Self {
        let host_bits = if u32::try_from(self.0).is_ok() { 8 } else { 16 };
        Self(self.0 >> host_bits << host_bits)
    }

    /// The network as a number.
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    /// The network as an origin in the ledger.
    pub(super) fn origin(self) -> Origin {
        Origin(self.0)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u32::try_from(self.0) {
            // In ::/64, only the loopback address can connect.
            Ok(0) => Ipv6Addr::LOCALHOST.fmt(f),
            Ok(bits) => Ipv4Addr::from_bits(bits).fmt(f),
            Err(_) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(self.0) << 64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_shown_as_the_address_or_the_prefix_that_it_is() {
        for (address, shown) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("::1", "::1"),
        ] {
            let address: IpAddr = address.parse().expect("an address");
            assert_eq!(Network::of(address).to_string(), shown);
        }
    }
}
