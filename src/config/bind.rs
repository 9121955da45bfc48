//! The addresses to listen on: one as text, several with commas or as an array.

use std::fmt;
use std::net::IpAddr;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

use crate::limits::BIND_MAX;

pub(super) fn serialize<S: Serializer>(bind: &[IpAddr], serializer: S) -> Result<S::Ok, S::Error> {
    match bind {
        [one] => one.serialize(serializer),
        several => several.serialize(serializer),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpAddr>, D::Error> {
    let Addresses(addresses) = Addresses::deserialize(deserializer)?;
    match addresses.len() {
        0 => Err(de::Error::custom("give at least one address")),
        1..=BIND_MAX => Ok(addresses),
        _ => Err(de::Error::custom(format!("give at most {BIND_MAX} addresses"))),
    }
}

struct Addresses(Vec<IpAddr>);

struct AddressesVisitor;

impl<'de> Visitor<'de> for AddressesVisitor {
    type Value = Addresses;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(
            "use IP addresses, not names: 127.0.0.1 for this machine only (127.0.0.1,::1 for localhost in both \
             families), :: for everyone, 0.0.0.0 for everyone with IPv4; an address of one interface stands with \
             its dialect (--line [fe80::1%2]:4000)",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Addresses, E> {
        let address = |text: &str| text.trim().parse().map(|ip: IpAddr| ip.to_canonical());
        let addresses: Result<Vec<_>, _> = text.split(',').map(address).collect();
        addresses.map(Addresses).map_err(|_| E::invalid_type(de::Unexpected::Str(text), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Addresses, A::Error> {
        let mut addresses = Vec::new();
        while let Some(Addresses(more)) = sequence.next_element()? {
            addresses.extend(more);
        }
        Ok(Addresses(addresses))
    }
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AddressesVisitor)
    }
}
