//! Sources of settings, and configurations to compare with.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use parlance::chat::RoomPattern;
use parlance::config::{
    Config, Endpoint, HistoryRoom, LogFormat, MaxClients, PingIdentity, Shards, Sources, TcrpNames,
    UcrpSender,
};
use parlance::fanout::{LagPolicies, LagPolicy};
use parlance::store::{Durability, StoreSpec};
use tempfile::TempDir;

/// Sources to be filled in one at a time, with a directory of their own.
pub(crate) struct Given {
    pub(crate) directory: TempDir,
    pub(crate) sources: Sources,
}

pub(crate) fn given() -> Given {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sources = Sources { directory: directory.path().to_owned(), ..Sources::default() };
    Given { directory, sources }
}

impl Given {
    pub(crate) fn file(self, text: &str) -> Self {
        fs::write(self.directory.path().join("parlance.toml"), text).expect("written");
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.push((name.into(), value.into()));
        self
    }

    pub(crate) fn flag(mut self, key: &'static str, value: &str) -> Self {
        self.sources.flags.push((key, value.to_owned()));
        self
    }

    #[track_caller]
    pub(crate) fn config(&self) -> Config {
        Config::load(&self.sources).unwrap_or_else(|error| panic!("refused: {error}"))
    }

    /// The refusal, with the path of the directory left out.
    #[track_caller]
    pub(crate) fn refusal(&self) -> String {
        let error = Config::load(&self.sources).expect_err("accepted");
        let directory = format!("{}/", self.directory.path().display());
        error.to_string().replace(&directory, "")
    }
}

/// A configuration in which nothing has its default, but for what only the file has.
pub(crate) fn all_changed() -> Config {
    Config {
        bind: ips(&["::1", "10.0.0.7"]),
        line: Endpoint::Address(SocketAddr::from(([10, 1, 2, 3], 99))).into(),
        slash: Endpoint::Off.into(),
        tcrp: Endpoint::Port(9191).into(),
        ucrp: "9192,exempt=10.0.0.0/8,exempt=::1/128".parse().expect("a listener"),
        typed: "5050,exempt=none".parse().expect("a listener"),
        gob: Endpoint::Off.into(),
        idle_timeout: None,
        slash_idle_timeout: Some(Duration::from_secs(2_592_000)),
        ucrp_idle_timeout: None,
        typed_idle_timeout: Some(Duration::from_secs(7)),
        gob_idle_timeout: Some(Duration::from_secs(8)),
        login_timeout: Some(Duration::from_secs(1)),
        ucrp_sender: UcrpSender::Any,
        ucrp_queries: true,
        reserved_names: vec!["helpdesk".to_owned(), "Owner".to_owned()],
        slash_nick_tries: 7,
        tcrp_names: TcrpNames::Strict,
        typed_ping_identity: PingIdentity::SameIp,
        gob_gap: Duration::ZERO,
        max_clients: MaxClients::Limit(1_000_000),
        exempt: vec!["192.0.2.0/24".parse().expect("a network"), "2001:db8::/32".parse().expect("a network")],
        address_clients: 1,
        address_connects: 2,
        address_accounts: 6,
        address_rooms: 4,
        session_rooms: 5,
        session_messages: 3,
        session_bytes: 1024,
        password_attempts: 100,
        lag: LagPolicies::all(LagPolicy::Close),
        log_bytes: 65536,
        log_total_bytes: 1_048_576,
        data: PathBuf::from("/var/lib/parlance"),
        store: StoreSpec::Jsonl(PathBuf::from("a log")),
        durability: Durability::Normal,
        search: false,
        history_keep_messages: 7,
        history_keep_days: 30,
        history_on_join: 20,
        drain_timeout: Duration::ZERO,
        shards: Shards::Auto,
        pin: vec![1, 2],
        log: "warn,parlance::reactor=debug".to_owned(),
        log_format: LogFormat::Json,
        ready_fd: Some(3),
        ready_file: Some(PathBuf::from("a \"quoted\" name.json")),
        history_rooms: Vec::new(),
        warnings: Vec::new(),
    }
}

pub(crate) fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().expect("a literal")).collect()
}

/// The same, with that too.
pub(crate) fn all_changed_in_the_file() -> Config {
    let pattern = |text: &str| RoomPattern::from(text.to_owned());
    let some = HistoryRoom {
        pattern: pattern("event-*"),
        keep_messages: Some(0),
        keep_days: Some(36_500),
        on_join: Some(100),
    };
    let none = HistoryRoom { pattern: pattern("a ? b"), keep_messages: None, keep_days: None, on_join: None };
    Config { history_rooms: vec![some, none], ..all_changed() }
}

/// Runs the command in a directory and environment of its own.
pub(crate) fn parlance(given: &Given, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parlance"))
        .args(arguments)
        .current_dir(given.directory.path())
        .env_clear()
        .envs(given.sources.environment.iter().cloned())
        .output()
        .expect("the command starts")
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}
