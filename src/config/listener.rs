//! One use of a dialect: where it listens, and what holds for those who connect there.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::endpoint::{Endpoint, EndpointRefused};
use super::field;
use crate::limits::EXEMPT_MAX;
use crate::wire::Dialect;

/// The value of a dialect's setting: an endpoint, with options behind it, such as `4000,exempt=none`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSpec {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// The networks that are exempt from limits here, in place of the general `exempt`; at most
    /// [`EXEMPT_MAX`].
    pub exempt: Option<Vec<IpNet>>,
}

/// A listener as the server opens it. Its place in [`Config::listeners`](super::Config::listeners) is its
/// [`ListenerId`](crate::chat::ListenerId).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The dialect that is spoken there.
    pub dialect: Dialect,
    /// The addresses, each once: a socket for each. At least one.
    pub addresses: Vec<SocketAddr>,
    /// The networks that are exempt from limits here, in place of the general `exempt`.
    pub exempt: Option<Vec<IpNet>>,
}

/// Why the text is no listener, in words that end with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenerRefused {
    /// The part before the first comma is not an endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointRefused),
    /// An option is unknown, or cannot have this value.
    #[error(
        "behind the port or address, use exempt=NETWORK, once for each network, or exempt=none, \
         such as 4000,exempt=10.0.0.0/8"
    )]
    Option,
    /// A listener that is off has no options.
    #[error("a dialect that is off takes no options: use off alone")]
    OptionOfNothing,
    /// Too many networks.
    #[error("use exempt= at most {EXEMPT_MAX} times")]
    TooManyNetworks,
}

impl ListenerSpec {
    /// The addresses to listen on when the common ones are `bind`; none when the dialect is off.
    pub fn addresses(&self, bind: &[IpAddr]) -> Vec<SocketAddr> {
        self.endpoint.resolve(bind)
    }
}

impl From<Endpoint> for ListenerSpec {
    fn from(endpoint: Endpoint) -> Self {
        Self { endpoint, exempt: None }
    }
}

impl FromStr for ListenerSpec {
    type Err = ListenerRefused;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (endpoint, options) = match text.split_once(',') {
            Some((endpoint, options)) => (endpoint.trim_end(), Some(options)),
            None => (text, None),
        };
        let mut listener = Self::from(endpoint.parse::<Endpoint>()?);
        let Some(options) = options else { return Ok(listener) };
        if listener.endpoint == Endpoint::Off {
            return Err(ListenerRefused::OptionOfNothing);
        }
        let (mut networks, mut is_none) = (Vec::new(), false);
        for option in options.split(',') {
            match option.trim().split_once('=') {
                Some(("exempt", "none")) => is_none = true,
                Some(("exempt", network)) => {
                    networks.push(field::network(network).ok_or(ListenerRefused::Option)?);
                }
                Some(_) | None => return Err(ListenerRefused::Option),
            }
        }
        if is_none && !networks.is_empty() {
            return Err(ListenerRefused::Option);
        }
        if networks.len() > EXEMPT_MAX {
            return Err(ListenerRefused::TooManyNetworks);
        }
        listener.exempt = Some(networks);
        Ok(listener)
    }
}

impl fmt::Display for ListenerSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(out)?;
        match self.exempt.as_deref() {
            None => Ok(()),
            Some([]) => out.write_str(",exempt=none"),
            Some(networks) => networks.iter().try_for_each(|network| write!(out, ",exempt={network}")),
        }
    }
}

impl Serialize for ListenerSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self { endpoint, exempt: None } => endpoint.serialize(serializer),
            Self { exempt: Some(_), .. } => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for ListenerSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let remedy = EndpointRefused.to_string();
        field::explained(deserializer, &remedy, |text| {
            text.parse().map_err(|refused: ListenerRefused| refused.to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| field::network(text).expect("a network")).collect()
    }

    #[test]
    fn options_stand_behind_the_endpoint_and_are_written_as_they_were_read() {
        let rows = [
            ("4000", Endpoint::Port(4000), None),
            ("off", Endpoint::Off, None),
            ("4000,exempt=none", Endpoint::Port(4000), Some(networks(&[]))),
            (
                "[::1]:5,exempt=10.0.0.0/8,exempt=2001:db8::/32",
                Endpoint::Address("[::1]:5".parse().expect("a literal")),
                Some(networks(&["10.0.0.0/8", "2001:db8::/32"])),
            ),
        ];
        for (text, endpoint, exempt) in rows {
            let listener: ListenerSpec = text.parse().expect("a listener");
            assert_eq!(listener, ListenerSpec { endpoint, exempt }, "{text}");
            assert_eq!(listener.to_string(), text);
        }
        let spaced: ListenerSpec = "4000 , exempt=10.1.2.3/8".parse().expect("a listener");
        assert_eq!(spaced.to_string(), "4000,exempt=10.0.0.0/8");
    }

    #[test]
    fn what_is_refused_is_refused_for_the_part_that_is_wrong() {
        let many = format!("1{}", ",exempt=10.0.0.1".repeat(EXEMPT_MAX + 1));
        let rows = [
            ("x,exempt=none", ListenerRefused::Endpoint(EndpointRefused)),
            (",exempt=none", ListenerRefused::Endpoint(EndpointRefused)),
            ("1,", ListenerRefused::Option),
            ("1,none", ListenerRefused::Option),
            ("1,exempt=", ListenerRefused::Option),
            ("1,exempt=x", ListenerRefused::Option),
            ("1,exempt=none,exempt=::1", ListenerRefused::Option),
            ("1,exempt=::1,10.0.0.0/8", ListenerRefused::Option),
            ("1,exemt=none", ListenerRefused::Option),
            ("off,exempt=none", ListenerRefused::OptionOfNothing),
            (&many, ListenerRefused::TooManyNetworks),
        ];
        for (text, refused) in rows {
            assert_eq!(text.parse::<ListenerSpec>(), Err(refused), "{text:?}");
        }
    }
}
