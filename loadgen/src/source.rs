//! Source addresses. To one address and port of a server, one source address has some 28,000 ports; a loopback target
//! can be reached from any address of 127.0.0.0/8, so there the clients are spread over many.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;

/// Clients that share a source address. Few enough that the kernel finds a free port at the first try, even among those
/// that earlier runs left in `TIME_WAIT`. (Sharing more would call for `IP_BIND_ADDRESS_NO_PORT`, which has no safe wrapper.)
const CLIENTS_PER_ADDRESS: u32 = 1000;
/// The last three numbers of an address, each of three digits: an IRC server has its sender's address in each message, and
/// those of one length are checked faster (see [`shape`](crate::shape)).
const NUMBERS: Range<u32> = 100..255;

/// Where a client connects from; nothing, to leave it to the kernel. Each run starts at an address of its own.
pub(crate) fn source(target: SocketAddr, run: u16, client: usize) -> Option<SocketAddr> {
    of_block(target, run, client as u32 / CLIENTS_PER_ADDRESS)
}

/// The same, with an address for each client that no other one of the run has. A seat is found again by its address; and
/// what is still sent to a port that somebody left must not reach somebody else.
pub(crate) fn own_source(target: SocketAddr, run: u16, client: usize) -> Option<SocketAddr> {
    of_block(target, run, client as u32)
}

fn of_block(target: SocketAddr, run: u16, block: u32) -> Option<SocketAddr> {
    match target.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => {
            let block = (u32::from(run) << 8).wrapping_add(block);
            let count = NUMBERS.end - NUMBERS.start;
            let number = |place: u32| (NUMBERS.start + block / count.pow(place) % count) as u8;
            Some(SocketAddr::new(Ipv4Addr::new(127, number(2), number(1), number(0)).into(), 0))
        }
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_is_a_loopback_host_and_few_clients_share_it() {
        let target = SocketAddr::from(([127, 0, 0, 1], 4000));
        for run in [0, 1, 0x7fff, 0xffff] {
            let sources: Vec<_> = (0..60_000).filter_map(|client| source(target, run, client)).collect();
            assert_eq!(sources.len(), 60_000);
            for address in &sources {
                let IpAddr::V4(ip) = address.ip() else { panic!("{address}") };
                assert!(
                    ip.is_loopback() && ip.octets()[1..].iter().all(|number| (100..255).contains(number))
                );
            }
            let shared = sources.chunk_by(|a, b| a == b).map(<[_]>::len).max();
            assert_eq!(shared, Some(1000));
        }
    }

    #[test]
    fn elsewhere_the_kernel_chooses() {
        assert_eq!(source(SocketAddr::from(([192, 0, 2, 1], 4000)), 1, 1), None);
    }
}
