//! Who counts as one address: an IPv4 address, or a /64 of IPv6.

use core::net::IpAddr;

/// An IPv4 address, or the first 64 bits of an IPv6 one: whoever has one of those addresses has all of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Network(u64);

impl Network {
    pub(super) fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            // No network has a zero in front, so that none is taken for an IPv4 address.
            IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64,
        })
    }
}
