//! Source addresses. To one address and port of a server, one source address has some 28,000 ports; a loopback target
//! can be reached from any address of 127.0.0.0/8, so there the clients are spread over them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Clients that share a source address. Few enough that the kernel finds a free port at the first try, even among those
/// that earlier runs left in `TIME_WAIT`. (Sharing more would call for `IP_BIND_ADDRESS_NO_PORT`, which has no safe wrapper.)
const CLIENTS_PER_ADDRESS: u32 = 1000;
/// Host addresses in 127.0.0.0/8, without the first and the last.
const LOOPBACK_HOSTS: u32 = (1 << 24) - 2;

/// Where a client connects from; nothing, to leave it to the kernel. Each run starts at an address of its own.
pub(crate) fn source(target: SocketAddr, run: u16, client: usize) -> Option<SocketAddr> {
    match target.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => {
            let block = (u32::from(run) << 8).wrapping_add(client as u32 / CLIENTS_PER_ADDRESS);
            let address = u32::from(Ipv4Addr::LOCALHOST) + block % LOOPBACK_HOSTS;
            Some(SocketAddr::new(Ipv4Addr::from(address).into(), 0))
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
                assert!(ip.is_loopback() && ip != Ipv4Addr::new(127, 0, 0, 0) && !ip.is_broadcast());
                assert_ne!(ip, Ipv4Addr::new(127, 255, 255, 255));
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
