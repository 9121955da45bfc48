//! Where one dialect listens: nowhere, on a port of the common address, or on an address of its own.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Where one dialect listens. Port 0 means any free port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// The dialect is not spoken.
    Off,
    /// This port, on the addresses that `bind` names.
    Port(u16),
    /// This address, whatever `bind` says.
    Address(SocketAddr),
}

/// The text is neither a port, nor an address with port, nor `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use a port (0 to 65535), an address with port (127.0.0.1:4000, [::1]:4000), or off")]
pub struct EndpointRefused;

impl Endpoint {
    /// The addresses to listen on when the common ones are `bind`, each once; none when the dialect is off.
    ///
    /// `::` stands for both families, as two addresses with a socket each: peers of either family then have
    /// addresses of that family, and no option of the kernel decides which are served. An address that
    /// another one covers is left out, since the kernel would refuse it as already in use.
    pub fn resolve(self, bind: &[IpAddr]) -> Vec<SocketAddr> {
        let wanted = match self {
            Self::Off => Vec::new(),
            Self::Port(port) => bind.iter().map(|&ip| SocketAddr::new(ip, port)).collect(),
            Self::Address(address) => vec![address],
        };
        let mut addresses = Vec::new();
        for address in wanted {
            addresses.push(address);
            if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
                addresses.push(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()));
            }
        }
        let all = addresses.clone();
        let mut index = 0;
        addresses.retain(|address| {
            let is_repeated = all[..index].contains(address);
            index += 1;
            let covers =
                |other: &SocketAddr| other.ip().is_unspecified() && other.is_ipv4() == address.is_ipv4();
            !is_repeated && (address.ip().is_unspecified() || !all.iter().any(covers))
        });
        addresses
    }
}

impl FromStr for Endpoint {
    type Err = EndpointRefused;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let port = text.parse().map(Self::Port).ok();
        let address = || {
            let mut address: SocketAddr = text.parse().ok()?;
            // An IPv4 address in the notation of IPv6 is one of IPv4; one with a scope has no other notation.
            if address.ip().to_canonical().is_ipv4() {
                address.set_ip(address.ip().to_canonical());
            }
            Some(Self::Address(address))
        };
        port.or_else(address).ok_or(EndpointRefused)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => formatter.write_str("off"),
            Self::Port(port) => port.fmt(formatter),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Port(port) => serializer.serialize_u16(*port),
            Self::Off | Self::Address(_) => serializer.collect_str(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_port_an_address_or_off() {
        let v4 = SocketAddr::from(([10, 0, 0, 1], 80));
        let v6: SocketAddr = "[::1]:80".parse().expect("a literal");
        assert_eq!("off".parse(), Ok(Endpoint::Off));
        assert_eq!("0".parse(), Ok(Endpoint::Port(0)));
        assert_eq!("65535".parse(), Ok(Endpoint::Port(65535)));
        assert_eq!("10.0.0.1:80".parse(), Ok(Endpoint::Address(v4)));
        assert_eq!("[::1]:80".parse(), Ok(Endpoint::Address(v6)));
        for text in ["", "65536", "-1", "on", ":80", "10.0.0.1", "::1", "localhost:80", "4000 "] {
            assert_eq!(text.parse::<Endpoint>(), Err(EndpointRefused), "{text:?}");
        }
    }

    #[test]
    fn bind_moves_a_port_but_not_an_address() {
        let bind = [IpAddr::from([192, 168, 0, 7]), IpAddr::from(Ipv6Addr::LOCALHOST)];
        let own = SocketAddr::from(([10, 0, 0, 1], 80));
        assert_eq!(Endpoint::Off.resolve(&bind), []);
        assert_eq!(Endpoint::Port(80).resolve(&bind), bind.map(|ip| SocketAddr::new(ip, 80)));
        assert_eq!(Endpoint::Address(own).resolve(&bind), [own]);
    }

    #[test]
    fn the_wildcard_of_ipv6_stands_for_both_families_and_covered_addresses_are_left_out() {
        let rows = [
            (&["::"][..], &["[::]:80", "0.0.0.0:80"][..]),
            (&["::", "0.0.0.0"], &["[::]:80", "0.0.0.0:80"]),
            (&["0.0.0.0", "::"], &["0.0.0.0:80", "[::]:80"]),
            (&["127.0.0.1", "0.0.0.0", "::1"], &["0.0.0.0:80", "[::1]:80"]),
            (&["127.0.0.1", "::", "::1"], &["[::]:80", "0.0.0.0:80"]),
            (&["127.0.0.1", "127.0.0.1", "127.0.0.2"], &["127.0.0.1:80", "127.0.0.2:80"]),
        ];
        for (bind, expected) in rows {
            let bind: Vec<IpAddr> = bind.iter().map(|text| text.parse().expect("a literal")).collect();
            let addresses = Endpoint::Port(80).resolve(&bind);
            assert_eq!(addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{bind:?}");
        }
        let own: Endpoint = "[::]:80".parse().expect("an endpoint");
        assert_eq!(own.resolve(&[]).len(), 2);
        assert_eq!(
            "[::ffff:10.0.0.1]:80".parse(),
            Ok(Endpoint::Address(SocketAddr::from(([10, 0, 0, 1], 80))))
        );
    }
}
