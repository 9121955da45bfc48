//! How the value of each setting is read and written.
//!
//! The file has integers, strings and arrays; the environment and the flags have text only. So each setting is
//! read from its text, an integer being turned into text first, and one rule holds for every source.
//!
//! A refused value fails with the remedy, and nothing but the remedy, as its message: which field it was, what
//! the value was and where it came from is known, and added, where the sources are merged.

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::chat::{Name, RoomPattern};
use crate::limits::{
    ATTEMPTS_LIMIT_MAX, CLIENTS_MAX, CORE_MAX, EXEMPT_MAX, HISTORY_KEEP_DAYS_MAX, HISTORY_KEEP_MESSAGES_MAX,
    HISTORY_ON_JOIN_MAX, LOG_BYTES_LIMIT_MAX, LOG_BYTES_LIMIT_MIN, LOG_TOTAL_BYTES_LIMIT_MAX,
    LOG_TOTAL_BYTES_LIMIT_MIN, NAME_BYTES_MAX, RATE_MAX, RESERVED_NAMES_MAX, ROOM_NAME_BYTES_MAX, ROOMS_MAX,
    SEATS_OF_NAME_MAX, SESSION_BYTES_LIMIT_MAX, SESSION_BYTES_LIMIT_MIN, SHARDS_MAX, SLASH_NICK_TRIES_MAX,
};
use crate::store::Durability;

/// How many threads share the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shards {
    /// One a core; one a core to be pinned to, where those are given.
    Auto,
    /// So many.
    Count(usize),
}

/// How many clients may be connected at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxClients {
    /// As many as the limit on open files allows.
    Auto,
    /// This many, 1 to [`CLIENTS_MAX`].
    Limit(u32),
}

/// How events are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// A line of text an event, for people.
    Text,
    /// A JSON object an event, for programs.
    Json,
}

/// Whose datagrams count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UcrpSender {
    /// Those from the IP address that the token was issued to.
    SameIp,
    /// Those from any address, for clients behind pools of them: the token is all that is asked for.
    Any,
}

/// The answer to a TCRP handshake whose text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TcrpNames {
    /// The nearest free name.
    Near,
    /// A refusal.
    Strict,
}

/// Whether a typed client's bare name resumes a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PingIdentity {
    /// It does not.
    Off,
    /// It does, if the login was made from the same IP address a short time ago.
    SameIp,
}

/// Reads a string or an integer through `parse`, which gives `None` for what `remedy` then explains.
pub(super) fn scalar<'de, D, T, P>(deserializer: D, remedy: &str, parse: P) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    P: FnOnce(&str) -> Option<T>,
{
    explained(deserializer, remedy, |text| parse(text).ok_or_else(|| remedy.to_owned()))
}

/// The same, where `parse` explains itself what it refuses; `remedy` is for values of another type.
pub(super) fn explained<'de, D, T, P>(deserializer: D, remedy: &str, parse: P) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    P: FnOnce(&str) -> Result<T, String>,
{
    deserializer.deserialize_any(Scalar { remedy, parse, value: PhantomData })
}

struct Scalar<'a, T, P> {
    remedy: &'a str,
    parse: P,
    value: PhantomData<T>,
}

impl<T, P: FnOnce(&str) -> Result<T, String>> Visitor<'_> for Scalar<'_, T, P> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.remedy)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }
}

/// A number from `min` to `max`, both allowed.
fn within<N: FromStr + PartialOrd>(text: &str, min: N, max: N) -> Option<N> {
    text.parse().ok().filter(|number| (min..=max).contains(number))
}

pub(super) fn log_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let remedy = format!("use a number of bytes from {LOG_BYTES_LIMIT_MIN} to {LOG_BYTES_LIMIT_MAX}");
    scalar(deserializer, &remedy, |text| within(text, LOG_BYTES_LIMIT_MIN, LOG_BYTES_LIMIT_MAX))
}

pub(super) fn log_total_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let remedy =
        format!("use a number of bytes from {LOG_TOTAL_BYTES_LIMIT_MIN} to {LOG_TOTAL_BYTES_LIMIT_MAX}");
    scalar(deserializer, &remedy, |text| within(text, LOG_TOTAL_BYTES_LIMIT_MIN, LOG_TOTAL_BYTES_LIMIT_MAX))
}

pub(super) fn ucrp_sender<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UcrpSender, D::Error> {
    scalar(deserializer, "use same-ip or any", |text| match text {
        "same-ip" => Some(UcrpSender::SameIp),
        "any" => Some(UcrpSender::Any),
        _ => None,
    })
}

pub(super) fn tcrp_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TcrpNames, D::Error> {
    scalar(deserializer, "use near or strict", |text| match text {
        "near" => Some(TcrpNames::Near),
        "strict" => Some(TcrpNames::Strict),
        _ => None,
    })
}

pub(super) fn ping_identity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PingIdentity, D::Error> {
    scalar(deserializer, "use off or same-ip", |text| match text {
        "off" => Some(PingIdentity::Off),
        "same-ip" => Some(PingIdentity::SameIp),
        _ => None,
    })
}

pub(super) fn directory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let remedy = "use the path of a directory, which is made if it is not there";
    scalar(deserializer, remedy, |text| (!text.is_empty()).then(|| PathBuf::from(text)))
}

pub(super) fn durability<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Durability, D::Error> {
    scalar(deserializer, "use full, normal or none", |text| match text {
        "full" => Some(Durability::Full),
        "normal" => Some(Durability::Normal),
        "none" => Some(Durability::None),
        _ => None,
    })
}

pub(super) fn keep_messages<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let remedy = format!("use a number of messages, from 0 (keep nothing) to {HISTORY_KEEP_MESSAGES_MAX}");
    scalar(deserializer, &remedy, |text| within(text, 0, HISTORY_KEEP_MESSAGES_MAX))
}

pub(super) fn keep_days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let remedy = format!("use whole days, from 0 (for ever) to {HISTORY_KEEP_DAYS_MAX}");
    scalar(deserializer, &remedy, |text| within(text, 0, HISTORY_KEEP_DAYS_MAX))
}

pub(super) fn on_join<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let remedy = format!("use a number of messages, from 0 (none) to {HISTORY_ON_JOIN_MAX}");
    scalar(deserializer, &remedy, |text| within(text, 0, HISTORY_ON_JOIN_MAX))
}

pub(super) fn pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RoomPattern, D::Error> {
    let remedy =
        "use a room's name, or a pattern such as event-*, in which * stands for any characters and ? for one";
    scalar(deserializer, remedy, |text| {
        let fits = !text.is_empty() && text.len() <= ROOM_NAME_BYTES_MAX;
        fits.then(|| RoomPattern::from(text.to_owned()))
    })
}

pub(super) fn ready_fd<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let max = i32::MAX.unsigned_abs();
    let remedy = "use the number of an open descriptor, 1 or higher";
    scalar(deserializer, remedy, |text| within(text, 1, max).map(Some))
}

pub(super) fn ready_file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let remedy = "use the path of a file to write, in a directory that exists";
    scalar(deserializer, remedy, |text| {
        let path = PathBuf::from(text);
        let names_a_file = path.file_name().is_some() && !text.ends_with('/');
        names_a_file.then_some(Some(path))
    })
}

pub(super) fn log<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let remedy = "use off, error, warn, info, debug or trace, or a filter such as \
                  info,parlance::reactor=debug";
    scalar(deserializer, remedy, |text| selects_something(text).then(|| text.to_owned()))
}

/// Whether `text` is a filter that means what it says.
///
/// A bare word that is no level would be taken for the name of a module, all of which is to be logged: `inof`
/// would silence everything else without a word. So it is refused; `inof=trace` says the same on purpose.
fn selects_something(text: &str) -> bool {
    let mut directives = text.split(',').filter(|piece| !piece.is_empty()).peekable();
    let any = directives.peek().is_some();
    let meant = directives
        .all(|piece| piece.contains(['=', '[', ']', '{', '}']) || piece.parse::<LevelFilter>().is_ok());
    any && meant && EnvFilter::try_new(text).is_ok()
}

/// 0 where there is no bound.
pub(super) fn address_clients<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let remedy = format!("use a number of connections, from 0 (any) to {CLIENTS_MAX}");
    scalar(deserializer, &remedy, |text| within(text, 0, CLIENTS_MAX))
}

/// So many a second, 0 where there is no bound.
pub(super) fn a_second<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let remedy = format!("use a number a second, from 0 (any) to {RATE_MAX}");
    scalar(deserializer, &remedy, |text| within(text, 0, RATE_MAX))
}

/// 0 where there is no bound but that on all accounts.
pub(super) fn a_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let remedy = format!("use a number a day, from 0 (any) to {RATE_MAX}");
    scalar(deserializer, &remedy, |text| within(text, 0, RATE_MAX))
}

/// 0 where there is no bound but that on all rooms.
pub(super) fn address_rooms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let remedy = format!("use a number of rooms, from 0 (any) to {ROOMS_MAX}");
    scalar(deserializer, &remedy, |text| within(text, 0, ROOMS_MAX as u32))
}

/// 0 where there is no bound but that on the seats of a name.
pub(super) fn session_rooms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let remedy = format!("use a number of rooms, from 0 (any) to {SEATS_OF_NAME_MAX}");
    scalar(deserializer, &remedy, |text| within(text, 0, SEATS_OF_NAME_MAX as u32))
}

/// 0 where there is no bound.
pub(super) fn session_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let remedy = format!(
        "use a number of bytes a second, from {SESSION_BYTES_LIMIT_MIN} to {SESSION_BYTES_LIMIT_MAX}, or 0 (any)"
    );
    scalar(deserializer, &remedy, |text| match text {
        "0" => Some(0),
        number => within(number, SESSION_BYTES_LIMIT_MIN, SESSION_BYTES_LIMIT_MAX),
    })
}

pub(super) fn slash_nick_tries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let remedy = format!("use a number of nicknames, from 1 to {SLASH_NICK_TRIES_MAX}");
    scalar(deserializer, &remedy, |text| within(text, 1, SLASH_NICK_TRIES_MAX))
}

pub(super) fn password_attempts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let remedy = format!("use a number of wrong passwords a minute, from 1 to {ATTEMPTS_LIMIT_MAX}");
    scalar(deserializer, &remedy, |text| within(text, 1, ATTEMPTS_LIMIT_MAX))
}

pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let Networks(networks) = Networks::deserialize(deserializer)?;
    if networks.len() > EXEMPT_MAX {
        return Err(de::Error::custom(format!("give at most {EXEMPT_MAX} networks")));
    }
    Ok(networks)
}

/// Networks: text with commas, or an array of such texts; `none`, where there are none and a text has to say so.
struct Networks(Vec<IpNet>);

struct NetworksVisitor;

impl<'de> Visitor<'de> for NetworksVisitor {
    type Value = Networks;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("use networks, such as 192.0.2.0/24 and 2001:db8::/32, addresses, or none")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Networks, E> {
        if text == "none" {
            return Ok(Networks(Vec::new()));
        }
        let networks: Option<_> = text.split(',').map(|network| self::network(network.trim())).collect();
        networks.map(Networks).ok_or_else(|| E::invalid_type(de::Unexpected::Str(text), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Networks, A::Error> {
        let mut networks = Vec::new();
        while let Some(Networks(more)) = sequence.next_element()? {
            networks.extend(more);
        }
        Ok(Networks(networks))
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NetworksVisitor)
    }
}

/// One network, without the bits behind its prefix; an address is the network of itself.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let network = text.parse().ok().map(|network: IpNet| network.trunc());
    network.or_else(|| text.parse().ok().map(|address: IpAddr| IpNet::from(address)))
}

pub(super) fn reserved_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let ReservedTexts(names) = ReservedTexts::deserialize(deserializer)?;
    if names.len() > RESERVED_NAMES_MAX {
        return Err(de::Error::custom(format!("give at most {RESERVED_NAMES_MAX} names")));
    }
    Ok(names)
}

/// Names: text with commas, or an array of such texts; `none`, where there are none and a text has to say so.
struct ReservedTexts(Vec<String>);

struct ReservedTextsVisitor;

impl<'de> Visitor<'de> for ReservedTextsVisitor {
    type Value = ReservedTexts;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "use names of 1 to {NAME_BYTES_MAX} bytes without blanks, such as helpdesk,owner, or none"
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ReservedTexts, E> {
        if text == "none" {
            return Ok(ReservedTexts(Vec::new()));
        }
        let name = |name: &str| Name::parse(name.trim()).ok().map(|(name, _)| name.as_str().to_owned());
        let names: Option<_> = text.split(',').map(name).collect();
        names.map(ReservedTexts).ok_or_else(|| E::invalid_type(de::Unexpected::Str(text), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<ReservedTexts, A::Error> {
        let mut names = Vec::new();
        while let Some(ReservedTexts(more)) = sequence.next_element()? {
            names.extend(more);
        }
        Ok(ReservedTexts(names))
    }
}

impl<'de> Deserialize<'de> for ReservedTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReservedTextsVisitor)
    }
}

pub(super) fn pin<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<usize>, D::Error> {
    let Cores(cores) = Cores::deserialize(deserializer)?;
    if cores.len() > SHARDS_MAX {
        return Err(de::Error::custom(format!(
            "give one core a shard, of which there are at most {SHARDS_MAX}"
        )));
    }
    Ok(cores)
}

/// Core numbers: an integer, text with commas, or an array of either.
struct Cores(Vec<usize>);

struct CoresVisitor;

impl CoresVisitor {
    fn remedy() -> String {
        format!("use the number of a core a shard, 0 to {CORE_MAX}")
    }
}

impl<'de> Visitor<'de> for CoresVisitor {
    type Value = Cores;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&Self::remedy())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Cores, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Cores, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Cores, E> {
        text.split(',')
            .map(|core| within(core.trim(), 0, CORE_MAX))
            .collect::<Option<_>>()
            .map(Cores)
            .ok_or_else(|| E::custom(Self::remedy()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Cores, A::Error> {
        let mut cores = Vec::new();
        while let Some(Cores(more)) = sequence.next_element()? {
            cores.extend(more);
        }
        Ok(Cores(cores))
    }
}

impl<'de> Deserialize<'de> for Cores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CoresVisitor)
    }
}

/// Which store, as [`StoreSpec`](crate::store::StoreSpec) spells it.
pub(super) mod store {
    use serde::{Deserializer, Serializer};

    use crate::store::StoreSpec;

    pub(in crate::config) fn serialize<S: Serializer>(
        store: &StoreSpec,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(store)
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<StoreSpec, D::Error> {
        super::scalar(deserializer, "use sqlite:FILE, jsonl:DIRECTORY or memory", |text| text.parse().ok())
    }
}

/// A policy for all dialects, then others for some of them: `close`, `line=close`, `close,slash=skip`.
pub(super) mod lag {
    use serde::{Deserializer, Serializer};

    use crate::fanout::{LagPolicies, LagPolicy};
    use crate::wire::Dialect;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    pub(in crate::config) fn serialize<S: Serializer>(
        policies: &LagPolicies,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let word = |policy| match policy {
            LagPolicy::Skip => "skip",
            LagPolicy::Close => "close",
        };
        let mut uniform = [LagPolicy::Skip, LagPolicy::Close].into_iter();
        if let Some(policy) = uniform.find(|&policy| LagPolicies::all(policy) == *policies) {
            return serializer.serialize_str(word(policy));
        }
        let part = |dialect: Dialect| format!("{}={}", dialect.name(), word(policies.of(dialect)));
        serializer.serialize_str(&LagPolicies::dialects().map(part).collect::<Vec<_>>().join(","))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<LagPolicies, D::Error> {
        let dialects: Vec<_> = LagPolicies::dialects().map(Dialect::name).collect();
        let remedy = format!(
            "use skip or close; behind it, others for some of {}, such as close,slash=skip",
            dialects.join(", ")
        );
        super::scalar(deserializer, &remedy, parse)
    }

    fn parse(text: &str) -> Option<LagPolicies> {
        let policy = |word: &str| match word.trim() {
            "skip" => Some(LagPolicy::Skip),
            "close" => Some(LagPolicy::Close),
            _ => None,
        };
        let (mut policies, mut named) = (LagPolicies::default(), Vec::new());
        for (index, part) in text.split(',').enumerate() {
            match part.split_once('=') {
                None if index == 0 => policies = LagPolicies::all(policy(part)?),
                None => return None,
                Some((name, word)) => {
                    let dialect = LagPolicies::dialects().find(|dialect| dialect.name() == name.trim())?;
                    if named.contains(&dialect) {
                        return None;
                    }
                    named.push(dialect);
                    policies.set(dialect, policy(word)?);
                }
            }
        }
        Some(policies)
    }
}

/// `on` or `off`.
pub(super) mod switch {
    use serde::{Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    pub(in crate::config) fn serialize<S: Serializer>(
        is_on: &bool,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if *is_on { "on" } else { "off" })
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<bool, D::Error> {
        super::scalar(deserializer, "use on or off", |text| match text {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        })
    }
}

/// Whole microseconds between two writes, 0 for none.
pub(super) mod gap {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    use crate::limits::GOB_GAP_MICROS_MAX;

    pub(in crate::config) fn serialize<S: Serializer>(
        gap: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(gap.as_micros() as u64)
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let remedy = format!("use whole microseconds, from 0 (no pause) to {GOB_GAP_MICROS_MAX} (a second)");
        super::scalar(deserializer, &remedy, |text| {
            super::within(text, 0, GOB_GAP_MICROS_MAX).map(Duration::from_micros)
        })
    }
}

/// Whole seconds after which something happens, 0 for never.
pub(super) mod timeout {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    use crate::limits::TIMEOUT_SECONDS_MAX;

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(in crate::config) fn serialize<S: Serializer>(
        timeout: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(timeout.map_or(0, |timeout| timeout.as_secs()))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let days = TIMEOUT_SECONDS_MAX / (24 * 60 * 60);
        let remedy = format!("use whole seconds, from 0 (never) to {TIMEOUT_SECONDS_MAX} ({days} days)");
        super::scalar(deserializer, &remedy, |text| {
            let seconds = super::within(text, 0, TIMEOUT_SECONDS_MAX)?;
            Some((seconds > 0).then(|| Duration::from_secs(seconds)))
        })
    }
}

/// Whole seconds to flush at shutdown, 0 for at once.
pub(super) mod drain {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    use crate::limits::DRAIN_SECONDS_MAX;

    pub(in crate::config) fn serialize<S: Serializer>(
        drain: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(drain.as_secs())
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let remedy = format!("use whole seconds, from 0 (at once) to {DRAIN_SECONDS_MAX}");
        super::scalar(deserializer, &remedy, |text| {
            super::within(text, 0, DRAIN_SECONDS_MAX).map(Duration::from_secs)
        })
    }
}

impl Serialize for MaxClients {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Limit(limit) => serializer.serialize_u32(*limit),
        }
    }
}

impl<'de> Deserialize<'de> for MaxClients {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let remedy = format!("use a number from 1 to {CLIENTS_MAX}, or auto");
        scalar(deserializer, &remedy, |text| match text {
            "auto" => Some(Self::Auto),
            number => within(number, 1, CLIENTS_MAX).map(Self::Limit),
        })
    }
}

impl Serialize for Shards {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Count(count) => serializer.serialize_u64(*count as u64),
        }
    }
}

impl<'de> Deserialize<'de> for Shards {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let remedy = format!("use a number from 1 to {SHARDS_MAX}, or auto for one a core");
        scalar(deserializer, &remedy, |text| match text {
            "auto" => Some(Self::Auto),
            number => within(number, 1, SHARDS_MAX).map(Self::Count),
        })
    }
}

impl<'de> Deserialize<'de> for LogFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar(deserializer, "use text or json", |text| match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        })
    }
}
