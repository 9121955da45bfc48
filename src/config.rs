//! What one server is told to do: every setting, its default, and where it may come from.
//!
//! A [`Config`] is put together once, before anything starts, and never changes afterwards. Sources are
//! merged in this order, the later winning: the defaults, the file (`parlance.toml` in the working
//! directory if there is one, or `--config FILE`), the environment (`RUST_LOG` and `PORT`, then `PARLANCE_…`),
//! the flags. A setting has one name everywhere: `idle-timeout` in the file, `--idle-timeout` as a
//! flag, `PARLANCE_IDLE_TIMEOUT` in the environment.
//!
//! Loading reads the file and nothing else: environment and flags are handed in ([`Sources`]). A key that
//! does not exist and a value that cannot be used are refused, never ignored; see [`ConfigError`].

mod bind;
mod endpoint;
mod error;
mod field;
mod history;
mod listener;
mod service;
mod sources;
mod summary;
mod warning;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::chat::{HistoryRule, HistoryRules};
use crate::engine::exempt_default;
use crate::fanout::LagPolicies;
use crate::limits::{
    ADDRESS_ACCOUNTS_DEFAULT, ADDRESS_CLIENTS_DEFAULT, ADDRESS_CONNECTS_DEFAULT, ADDRESS_ROOMS_DEFAULT,
    ATTEMPTS_DEFAULT, GOB_GAP_MICROS_DEFAULT, HISTORY_KEEP_MESSAGES_DEFAULT, LOG_TOTAL_BYTES_DEFAULT,
    SESSION_BYTES_DEFAULT, SESSION_MESSAGES_DEFAULT, SESSION_ROOMS_DEFAULT,
};
use crate::store::{Durability, Options, StoreSpec};
use crate::wire::{Dialect, Transport};

pub use endpoint::Endpoint;
pub use error::{ConfigError, Origin};
pub use field::{LogFormat, MaxClients, PingIdentity, Shards, TcrpNames, UcrpSender};
pub use history::HistoryRoom;
pub use listener::{Listener, ListenerRefused, ListenerSpec};
pub use sources::Sources;
pub use warning::Warning;

/// Everything that can be set. `Serialize` writes what [`Config::load`] reads back as the same value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The addresses that dialects with only a port listen on: 1 to [`BIND_MAX`](crate::limits::BIND_MAX).
    /// `::` stands for every address of both families.
    #[serde(with = "bind")]
    pub bind: Vec<IpAddr>,

    /// Where the line dialect listens.
    pub line: ListenerSpec,

    /// Where the slash dialect listens.
    pub slash: ListenerSpec,

    /// Where the TCRP handshake listens.
    pub tcrp: ListenerSpec,

    /// Where the datagrams of UCRP come in, over UDP.
    pub ucrp: ListenerSpec,

    /// Where the typed dialect listens.
    pub typed: ListenerSpec,

    /// Where the gob dialect listens.
    pub gob: ListenerSpec,

    /// How long a line client may stay without sending a line or being sent anything; `None` for ever.
    #[serde(with = "field::timeout")]
    pub idle_timeout: Option<Duration>,

    /// How long a slash client may stay without sending a line or being sent anything; `None` for ever.
    #[serde(with = "field::timeout")]
    pub slash_idle_timeout: Option<Duration>,

    /// How long somebody with a UCRP token may stay without sending a datagram; `None` for ever.
    #[serde(with = "field::timeout")]
    pub ucrp_idle_timeout: Option<Duration>,

    /// How long a typed client may stay without sending a request; `None` for ever.
    #[serde(with = "field::timeout")]
    pub typed_idle_timeout: Option<Duration>,

    /// How long a gob client may stay without sending a message or being sent anything; `None` for ever.
    #[serde(with = "field::timeout")]
    pub gob_idle_timeout: Option<Duration>,

    /// How long a connection may take to log in; `None` for ever.
    #[serde(with = "field::timeout")]
    pub login_timeout: Option<Duration>,

    /// Whose datagrams count: those from the address of the handshake, or from any.
    #[serde(deserialize_with = "field::ucrp_sender")]
    pub ucrp_sender: UcrpSender,

    /// Whether UCRP clients may ask who is there and for the last messages.
    #[serde(with = "field::switch")]
    pub ucrp_queries: bool,

    /// Names that are reserved besides those that always are.
    #[serde(deserialize_with = "field::reserved_names")]
    pub reserved_names: Vec<String>,

    /// The nicknames that a slash connection may try before it is closed.
    #[serde(deserialize_with = "field::slash_nick_tries")]
    pub slash_nick_tries: u8,

    /// The answer to a TCRP handshake whose text is not a name.
    #[serde(deserialize_with = "field::tcrp_names")]
    pub tcrp_names: TcrpNames,

    /// Whether a typed client's bare name resumes its login.
    #[serde(deserialize_with = "field::ping_identity")]
    pub typed_ping_identity: PingIdentity,

    /// The pause between two writes to a gob client; zero for none.
    #[serde(with = "field::gap")]
    pub gob_gap: Duration,

    /// How many clients may be connected at once.
    pub max_clients: MaxClients,

    /// The networks that limits by address and by session do not hold.
    #[serde(deserialize_with = "field::networks")]
    pub exempt: Vec<IpNet>,

    /// How many connections and seats an address may have at once; 0 for any.
    #[serde(deserialize_with = "field::address_clients")]
    pub address_clients: u32,

    /// How often an address may connect a second; 0 for any.
    #[serde(deserialize_with = "field::a_second")]
    pub address_connects: u32,

    /// Accounts that an address may make a day; 0 for any number.
    #[serde(deserialize_with = "field::a_day")]
    pub address_accounts: u32,

    /// How many rooms may be there at once that an address made; 0 for any.
    #[serde(deserialize_with = "field::address_rooms")]
    pub address_rooms: u32,

    /// How many rooms a person may be in or have made at once; 0 for any.
    #[serde(deserialize_with = "field::session_rooms")]
    pub session_rooms: u32,

    /// How many messages a session may send a second; 0 for any.
    #[serde(deserialize_with = "field::a_second")]
    pub session_messages: u32,

    /// How many bytes a session may send a second; 0 for any.
    #[serde(deserialize_with = "field::session_bytes")]
    pub session_bytes: u32,

    /// The number of wrong passwords in a minute for one name from one address.
    #[serde(deserialize_with = "field::password_attempts")]
    pub password_attempts: u8,

    /// What happens to a member that cannot keep up with its room, by its dialect.
    #[serde(with = "field::lag")]
    pub lag: LagPolicies,

    /// How many bytes of its latest frames a room keeps for slow members, for each dialect.
    #[serde(deserialize_with = "field::log_bytes")]
    pub log_bytes: usize,

    /// How many bytes all rooms together keep of them; the room that was least recently read gives way.
    #[serde(deserialize_with = "field::log_total_bytes")]
    pub log_total_bytes: usize,

    /// The directory in which everything is kept.
    #[serde(deserialize_with = "field::directory")]
    pub data: PathBuf,

    /// Which store, its path as it was written; see [`Config::store_spec`].
    #[serde(with = "field::store")]
    pub store: StoreSpec,

    /// What is true of something when its sender is told that it is kept.
    #[serde(deserialize_with = "field::durability")]
    pub durability: Durability,

    /// Whether an index of what was said in rooms is kept, for searching.
    #[serde(with = "field::switch")]
    pub search: bool,

    /// How many messages of a room are kept, the newest; 0 for none.
    #[serde(deserialize_with = "field::keep_messages")]
    pub history_keep_messages: u64,

    /// For how many days they are kept; 0 for ever.
    #[serde(deserialize_with = "field::keep_days")]
    pub history_keep_days: u32,

    /// How many of them are shown to whoever joins.
    #[serde(deserialize_with = "field::on_join")]
    pub history_on_join: u32,

    /// How long clients have at shutdown to receive what they are owed.
    #[serde(with = "field::drain")]
    pub drain_timeout: Duration,

    /// How many threads share the connections.
    pub shards: Shards,

    /// The cores to run on, one a shard; empty leaves it to the kernel.
    #[serde(deserialize_with = "field::pin")]
    pub pin: Vec<usize>,

    /// Which events are logged: a level, or a filter as `tracing_subscriber::EnvFilter` reads it.
    #[serde(deserialize_with = "field::log")]
    pub log: String,

    /// How events are logged.
    pub log_format: LogFormat,

    /// The open descriptor that is told, as JSON, once everything listens.
    #[serde(deserialize_with = "field::ready_fd", skip_serializing_if = "Option::is_none")]
    pub ready_fd: Option<u32>,

    /// The file that is written, as JSON, once everything listens.
    #[serde(deserialize_with = "field::ready_file", skip_serializing_if = "Option::is_none")]
    pub ready_file: Option<PathBuf>,

    /// What holds for rooms of some names in place of `history-…`: the first that matches counts. In the file only.
    // Last, as TOML has its tables behind its values.
    #[serde(deserialize_with = "history::rooms", skip_serializing_if = "Vec::is_empty")]
    pub history_rooms: Vec<HistoryRoom>,

    /// What was found when the sources were read, that is no error. It comes from no source by itself.
    #[serde(skip)]
    pub warnings: Vec<Warning>,
}

impl Config {
    /// The name of every setting that can come from anywhere, as the file has it, in the order of the fields.
    pub const KEYS: [&str; 47] = [
        "bind",
        "line",
        "slash",
        "tcrp",
        "ucrp",
        "typed",
        "gob",
        "idle-timeout",
        "slash-idle-timeout",
        "ucrp-idle-timeout",
        "typed-idle-timeout",
        "gob-idle-timeout",
        "login-timeout",
        "ucrp-sender",
        "ucrp-queries",
        "reserved-names",
        "slash-nick-tries",
        "tcrp-names",
        "typed-ping-identity",
        "gob-gap",
        "max-clients",
        "exempt",
        "address-clients",
        "address-connects",
        "address-accounts",
        "address-rooms",
        "session-rooms",
        "session-messages",
        "session-bytes",
        "password-attempts",
        "lag",
        "log-bytes",
        "log-total-bytes",
        "data",
        "store",
        "durability",
        "search",
        "history-keep-messages",
        "history-keep-days",
        "history-on-join",
        "drain-timeout",
        "shards",
        "pin",
        "log",
        "log-format",
        "ready-fd",
        "ready-file",
    ];

    /// The name of every setting that is more than one value, and can come from the file only.
    pub const FILE_KEYS: [&str; 1] = ["history-rooms"];

    /// Merges `sources` over the defaults. The only thing that it touches is the configuration file.
    ///
    /// # Errors
    ///
    /// The first thing found that cannot be used, with its name, its origin and the remedy.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let layers = sources.layers()?;
        let mut config: Self = layers.merge()?;

        let origin_of = |dialect: Dialect| (dialect.name(), layers.origin(dialect.name()));
        if config.listeners().is_empty() {
            return Err(ConfigError::NothingListens { origins: Dialect::ALL.map(origin_of).to_vec() });
        }
        // A handshake gives out the tokens, and datagrams are what they are for.
        let pair = [
            (Dialect::Tcrp, Dialect::Ucrp, "nobody who shakes hands could talk"),
            (Dialect::Ucrp, Dialect::Tcrp, "nobody could get a token to talk with"),
        ];
        for (on, off, consequence) in pair {
            if config.is_on(on) && !config.is_on(off) {
                return Err(ConfigError::HalfOff { on: origin_of(on), off: origin_of(off), consequence });
            }
        }
        if let Shards::Count(count) = config.shards
            && !config.pin.is_empty()
            && config.pin.len() != count
        {
            return Err(ConfigError::Pins {
                cores: config.pin.len(),
                shards: count,
                origins: ["pin", "shards"].map(|key| (key, layers.origin(key))).to_vec(),
            });
        }
        if let Some((first, second, address)) = config.clash() {
            let origins = Box::new([first, second].map(origin_of));
            return Err(ConfigError::SameAddress { address, origins });
        }
        if !layers.of_services.is_empty() {
            config.warnings.push(Warning::OfServices { variables: layers.of_services });
        }
        Ok(config)
    }

    /// The first two dialects that would listen on one address, and that address.
    fn clash(&self) -> Option<(Dialect, Dialect, SocketAddr)> {
        let of_listener = |listener: Listener| {
            let Listener { dialect, addresses, .. } = listener;
            addresses.into_iter().map(move |address| (dialect, address))
        };
        let all: Vec<_> = self.listeners().into_iter().flat_map(of_listener).collect();
        // The ports of TCP and those of UDP are not the same ones.
        let is_udp = |dialect: Dialect| dialect.transport() == Transport::Datagram;
        all.iter().enumerate().find_map(|(index, &(second, address))| {
            let taken = all[..index].iter().find(|&&(first, other)| {
                first != second && is_udp(first) == is_udp(second) && overlap(other, address)
            });
            taken.map(|&(first, _)| (first, second, address))
        })
    }

    /// What a dialect's setting says, whose key is the dialect's name.
    pub fn listener(&self, dialect: Dialect) -> &ListenerSpec {
        match dialect {
            Dialect::Line => &self.line,
            Dialect::Slash => &self.slash,
            Dialect::Tcrp => &self.tcrp,
            Dialect::Ucrp => &self.ucrp,
            Dialect::Typed => &self.typed,
            Dialect::Gob => &self.gob,
        }
    }

    /// Whether a dialect is spoken.
    fn is_on(&self, dialect: Dialect) -> bool {
        self.listener(dialect).endpoint != Endpoint::Off
    }

    /// The listeners of the dialects that are on.
    pub fn listeners(&self) -> Vec<Listener> {
        let listener = |dialect: Dialect| {
            let spec = self.listener(dialect);
            Listener { dialect, addresses: spec.addresses(&self.bind), exempt: spec.exempt.clone() }
        };
        let is_on = |listener: &Listener| !listener.addresses.is_empty();
        Dialect::ALL.into_iter().map(listener).filter(is_on).collect()
    }

    /// Which store, and where: a path that does not start with `/` is below the directory `data`.
    pub fn store_spec(&self) -> StoreSpec {
        self.store.clone().below(&self.data)
    }

    /// How it is opened.
    pub fn store_options(&self) -> Options {
        Options { durability: self.durability, search: self.search }
    }

    /// How much is kept of which room.
    pub fn history_rules(&self) -> HistoryRules {
        let default = HistoryRule {
            keep_messages: self.history_keep_messages,
            keep_days: self.history_keep_days,
            on_join: self.history_on_join,
        };
        let own = |room: &HistoryRoom| (room.pattern.clone(), room.rule(default));
        HistoryRules { default, rooms: self.history_rooms.iter().map(own).collect() }
    }

    /// The configuration as the text of a `parlance.toml`.
    ///
    /// # Errors
    ///
    /// Only when a path in it is not UTF-8, which no source can make it.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            line: Endpoint::Port(4000).into(),
            slash: Endpoint::Port(7000).into(),
            tcrp: Endpoint::Port(9090).into(),
            ucrp: Endpoint::Port(9091).into(),
            typed: Endpoint::Port(5000).into(),
            gob: Endpoint::Port(8080).into(),
            idle_timeout: Some(Duration::from_secs(60)),
            slash_idle_timeout: Some(Duration::from_secs(3600)),
            ucrp_idle_timeout: Some(Duration::from_secs(24 * 60 * 60)),
            typed_idle_timeout: Some(Duration::from_secs(24 * 60 * 60)),
            gob_idle_timeout: Some(Duration::from_secs(24 * 60 * 60)),
            login_timeout: Some(Duration::from_secs(60)),
            ucrp_sender: UcrpSender::SameIp,
            ucrp_queries: false,
            reserved_names: Vec::new(),
            slash_nick_tries: 1,
            tcrp_names: TcrpNames::Near,
            typed_ping_identity: PingIdentity::Off,
            gob_gap: Duration::from_micros(GOB_GAP_MICROS_DEFAULT),
            max_clients: MaxClients::Auto,
            exempt: exempt_default(),
            address_clients: ADDRESS_CLIENTS_DEFAULT as u32,
            address_connects: ADDRESS_CONNECTS_DEFAULT,
            address_accounts: ADDRESS_ACCOUNTS_DEFAULT,
            address_rooms: ADDRESS_ROOMS_DEFAULT as u32,
            session_rooms: SESSION_ROOMS_DEFAULT as u32,
            session_messages: SESSION_MESSAGES_DEFAULT,
            session_bytes: SESSION_BYTES_DEFAULT,
            password_attempts: ATTEMPTS_DEFAULT,
            lag: LagPolicies::default(),
            log_bytes: 1024 * 1024,
            log_total_bytes: LOG_TOTAL_BYTES_DEFAULT,
            data: PathBuf::from("parlance-data"),
            store: StoreSpec::Sqlite(PathBuf::from("parlance.db")),
            durability: Durability::Full,
            search: true,
            history_keep_messages: HISTORY_KEEP_MESSAGES_DEFAULT,
            history_keep_days: 0,
            history_on_join: 0,
            drain_timeout: Duration::from_secs(3),
            shards: Shards::Count(1),
            pin: Vec::new(),
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            ready_fd: None,
            ready_file: None,
            history_rooms: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// Whether the kernel would refuse the second of these as already in use.
///
/// Port 0 asks for any free port, so it meets nothing; `0.0.0.0` meets every IPv4 address, `::` every IPv6 one.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && one.is_ipv4() == other.is_ipv4() && (any || one == other)
}
