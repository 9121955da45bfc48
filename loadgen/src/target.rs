//! Where the server is: a name is looked up once, and one of its addresses chosen, before any client
//! connects.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use parlance::client::{AddressError, Place, connect, nearest_address};
use thiserror::Error;

/// How long the addresses of a name have to take a connection.
const CHOOSE_WITHIN: Duration = Duration::from_secs(10);

/// Why there is no server to connect to.
#[derive(Debug, Error, PartialEq)]
pub(crate) enum TargetError {
    /// The text names no place.
    #[error("{0}")]
    Text(String),
    /// The name has no address, or none that answers.
    #[error("{0}")]
    Server(String),
}

/// One address, and the text that it was chosen for, if that was a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) name: Option<String>,
}

impl Target {
    /// An address that was given as such.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address, name: None }
    }

    /// Reads a host, a port or both. Of the several addresses of a name, the first that takes a connection is
    /// chosen, as RFC 8305 has it: all clients then connect to this one, and the name is not looked up again.
    pub(crate) fn find(text: &str, default_port: u16) -> Result<Self, TargetError> {
        let (place, addresses) = resolved(text, default_port)?;
        let address = if let [address] = addresses[..] {
            address
        } else {
            let failed = |error| TargetError::Server(format!("cannot connect to {place}: {error}"));
            let stream = connect(&addresses[..], Instant::now() + CHOOSE_WITHIN).map_err(failed)?;
            stream.peer_addr().map_err(|error| TargetError::Server(format!("{place}: {error}")))?
        };
        let name = place.host.parse::<IpAddr>().is_err().then(|| place.to_string());
        Ok(Self { address, name })
    }

    /// The address for datagrams that is most like the one that was chosen: nothing is answered to a
    /// datagram, so that it cannot be tried.
    pub(crate) fn of_datagrams(
        text: &str,
        default_port: u16,
        chosen: IpAddr,
    ) -> Result<SocketAddr, TargetError> {
        let (place, addresses) = resolved(text, default_port)?;
        let nothing = || TargetError::Server(format!("no server is found under {place}"));
        nearest_address(addresses, chosen).ok_or_else(nothing)
    }
}

fn resolved(text: &str, default_port: u16) -> Result<(Place, Vec<SocketAddr>), TargetError> {
    let error = |error: AddressError| {
        let words = error.to_string();
        if error.is_of_text() { TargetError::Text(words) } else { TargetError::Server(words) }
    };
    let place = Place::parse(text, default_port).map_err(error)?;
    let addresses = place.resolve().map_err(error)?;
    Ok((place, addresses))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_name_becomes_the_address_that_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let text = format!("localhost:{}", address.port());
        let target = Target::find(&text, 1).expect("it listens");
        assert_eq!((target.address, target.name.as_deref()), (address, Some(text.as_str())));
        let datagrams = Target::of_datagrams("localhost:7", 1, address.ip()).expect("an address");
        assert_eq!(datagrams, SocketAddr::from(([127, 0, 0, 1], 7)));
    }

    #[test]
    fn a_number_is_taken_as_it_is() {
        let address = SocketAddr::from(([192, 0, 2, 1], 4000));
        assert_eq!(Target::find("192.0.2.1", 4000), Ok(Target::at(address)));
        assert_eq!(Target::find("192.0.2.1:4000", 1), Ok(Target::at(address)));
        assert!(matches!(Target::find("http://192.0.2.1", 1), Err(TargetError::Text(_))));
    }
}
