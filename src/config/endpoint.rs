//! Where one dialect listens: nowhere, on a port of the common address, or on an address of its own.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::field;

/// Where one dialect listens. Port 0 means any free port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// The dialect is not spoken.
    Off,
    /// This port, on the address that `bind` names.
    Port(u16),
    /// This address, whatever `bind` says.
    Address(SocketAddr),
}

/// The text is neither a port, nor an address with port, nor `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use a port (0 to 65535), an address with port (127.0.0.1:4000, [::1]:4000), or off")]
pub struct EndpointRefused;

impl Endpoint {
    /// The address to listen on when the common address is `bind`; `None` when the dialect is off.
    pub fn resolve(self, bind: IpAddr) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::Port(port) => Some(SocketAddr::new(bind, port)),
            Self::Address(address) => Some(address),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointRefused;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let port = text.parse().map(Self::Port).ok();
        port.or_else(|| text.parse().map(Self::Address).ok()).ok_or(EndpointRefused)
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

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        field::scalar(deserializer, &EndpointRefused.to_string(), |text| text.parse().ok())
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
        let bind = IpAddr::from([192, 168, 0, 7]);
        let own = SocketAddr::from(([10, 0, 0, 1], 80));
        assert_eq!(Endpoint::Off.resolve(bind), None);
        assert_eq!(Endpoint::Port(80).resolve(bind), Some(SocketAddr::new(bind, 80)));
        assert_eq!(Endpoint::Address(own).resolve(bind), Some(own));
    }
}
