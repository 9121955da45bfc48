//! What can be set, from where, which source wins, and what is refused with which words.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use parlance::chat::{HistoryRule, RoomPattern};
use parlance::config::{
    Config, ConfigError, Endpoint, HistoryRoom, Listener, LogFormat, MaxClients, Origin, PingIdentity,
    Shards, Sources, TcrpNames, UcrpSender,
};
use parlance::fanout::{LagPolicies, LagPolicy};
use parlance::store::{Durability, StoreSpec};
use parlance::wire::Dialect;
use tempfile::TempDir;

/// Sources to be filled in one at a time, with a directory of their own.
struct Given {
    directory: TempDir,
    sources: Sources,
}

fn given() -> Given {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sources = Sources { directory: directory.path().to_owned(), ..Sources::default() };
    Given { directory, sources }
}

impl Given {
    fn file(self, text: &str) -> Self {
        fs::write(self.directory.path().join("parlance.toml"), text).expect("written");
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, key: &'static str, value: &str) -> Self {
        self.sources.flags.push((key, value.to_owned()));
        self
    }

    #[track_caller]
    fn config(&self) -> Config {
        Config::load(&self.sources).unwrap_or_else(|error| panic!("refused: {error}"))
    }

    /// The refusal, with the path of the directory left out.
    #[track_caller]
    fn refusal(&self) -> String {
        let error = Config::load(&self.sources).expect_err("accepted");
        let directory = format!("{}/", self.directory.path().display());
        error.to_string().replace(&directory, "")
    }
}

/// A configuration in which nothing has its default, but for what only the file has.
fn all_changed() -> Config {
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
        reserved_names: vec!["helpdesk".to_owned(), "Owner".to_owned()],
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

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().expect("a literal")).collect()
}

/// The same, with that too.
fn all_changed_in_the_file() -> Config {
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

// Which source wins.

#[test]
fn nothing_given_is_the_defaults() {
    let config = given().config();
    assert_eq!(config, Config::default());
    let listeners = [
        (Dialect::Line, 4000),
        (Dialect::Slash, 7000),
        (Dialect::Tcrp, 9090),
        (Dialect::Ucrp, 9091),
        (Dialect::Typed, 5000),
        (Dialect::Gob, 8080),
    ];
    let local = |(dialect, port)| {
        let addresses = vec![SocketAddr::from(([127, 0, 0, 1], port))];
        Listener { dialect, addresses, exempt: None }
    };
    assert_eq!(config.listeners(), listeners.map(local));
}

#[test]
fn a_flag_wins_over_the_environment_which_wins_over_the_file() {
    let file = given().file("idle-timeout = 1");
    assert_eq!(file.config().idle_timeout, Some(Duration::from_secs(1)));
    let variable = file.variable("PARLANCE_IDLE_TIMEOUT", "2");
    assert_eq!(variable.config().idle_timeout, Some(Duration::from_secs(2)));
    let flag = variable.flag("idle-timeout", "3");
    assert_eq!(flag.config().idle_timeout, Some(Duration::from_secs(3)));
}

#[test]
fn settings_of_different_sources_add_up() {
    let config =
        given().file("line = 1\nslash = 2").variable("PARLANCE_BIND", "::1").flag("lag", "close").config();
    assert_eq!(config.line.endpoint, Endpoint::Port(1));
    assert_eq!(config.slash.endpoint, Endpoint::Port(2));
    assert_eq!(config.bind, ips(&["::1"]));
    assert_eq!(config.lag, LagPolicies::all(LagPolicy::Close));
}

#[test]
fn what_happens_to_who_lags_is_one_policy_and_others_for_some_dialects() {
    let [line, slash, gob] = [Dialect::Line, Dialect::Slash, Dialect::Gob];
    for (text, closed) in [
        ("skip", &[][..]),
        ("close", &[line, slash, gob]),
        ("gob=close", &[gob]),
        ("gob=close, line = close", &[line, gob]),
        ("close,slash=skip", &[line, gob]),
        ("skip,slash=close", &[slash]),
        ("line=skip,slash=close,gob=skip", &[slash]),
    ] {
        let config = given().flag("lag", text).config();
        for dialect in LagPolicies::dialects() {
            let expected = if closed.contains(&dialect) { LagPolicy::Close } else { LagPolicy::Skip };
            assert_eq!(config.lag.of(dialect), expected, "{text}: {}", dialect.name());
        }
        let written: Config = toml::from_str(&config.to_toml().expect("TOML")).expect("as it was written");
        assert_eq!(written, config, "{text}");
    }
    for text in [
        "",
        "close,",
        "line=skip,close",
        "slash=close,slash=skip",
        "ucrp=close",
        "line=",
        "typed=skip",
        "=skip",
    ] {
        assert!(Config::load(&given().flag("lag", text).sources).is_err(), "{text:?}");
    }
}

#[test]
fn port_and_rust_log_stand_between_the_file_and_our_own_variables() {
    let customary =
        given().file("line = 1\nlog = \"off\"").variable("PORT", "2").variable("RUST_LOG", "warn");
    assert_eq!(customary.config().line.endpoint, Endpoint::Port(2));
    assert_eq!(customary.config().log, "warn");
    let own = customary.variable("PARLANCE_LINE", "3").variable("PARLANCE_LOG", "debug");
    assert_eq!(own.config().line.endpoint, Endpoint::Port(3));
    assert_eq!(own.config().log, "debug");
    let flags = own.flag("line", "4").flag("log", "trace");
    assert_eq!(flags.config().line.endpoint, Endpoint::Port(4));
    assert_eq!(flags.config().log, "trace");
}

#[test]
fn an_overridden_customary_variable_may_say_anything() {
    let config = given().variable("PORT", "tcp://10.0.0.1:80").variable("PARLANCE_LINE", "3").config();
    assert_eq!(config.line.endpoint, Endpoint::Port(3));
}

#[test]
fn variables_that_are_empty_or_of_others_do_not_count() {
    let given = given()
        .variable("PORT", "")
        .variable("PARLANCE_LINE", "")
        .variable("LINE", "9")
        .variable("PARLANCELINE", "9")
        .variable("XPARLANCE_LINE", "9");
    assert_eq!(given.config(), Config::default());
}

#[test]
fn every_setting_can_come_from_the_file() {
    let text = all_changed_in_the_file().to_toml().expect("TOML");
    assert_eq!(given().file(&text).config(), all_changed_in_the_file());
}

#[test]
fn every_setting_can_come_from_the_environment_and_from_flags_as_text() {
    let table = toml::Table::try_from(all_changed()).expect("a table");
    let mut variables = given();
    let mut flags = given();
    for key in Config::KEYS {
        let text = match table.get(key) {
            Some(toml::Value::String(text)) => text.clone(),
            Some(toml::Value::Array(array)) => {
                let text = |value: &toml::Value| value.as_str().map_or(value.to_string(), str::to_owned);
                array.iter().map(text).collect::<Vec<_>>().join(",")
            }
            Some(other) => other.to_string(),
            None => panic!("{key} is not printed"),
        };
        let name = format!("PARLANCE_{}", key.to_uppercase().replace('-', "_"));
        variables = variables.variable(&name, &text);
        flags = flags.flag(key, &text);
    }
    assert_eq!(variables.config(), all_changed());
    assert_eq!(flags.config(), all_changed());
}

#[test]
fn the_list_of_keys_is_that_of_the_settings() {
    let table = toml::Table::try_from(all_changed_in_the_file()).expect("a table");
    let mut printed: Vec<_> = table.keys().map(String::as_str).collect();
    let mut keys = [&Config::KEYS[..], &Config::FILE_KEYS[..]].concat();
    printed.sort_unstable();
    keys.sort_unstable();
    assert_eq!(printed, keys);
}

#[test]
fn what_is_printed_gives_the_same_configuration_when_it_is_read() {
    for config in [Config::default(), all_changed(), all_changed_in_the_file()] {
        let text = config.to_toml().expect("TOML");
        assert_eq!(given().file(&text).config(), config, "{text}");
    }
}

#[test]
fn the_example_is_the_defaults_and_shows_every_key() {
    let text = include_str!("../parlance.example.toml");
    assert_eq!(given().file(text).config(), Config::default());
    for key in Config::KEYS {
        let shown = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{key} = "));
        assert!(text.lines().any(shown), "{key} is not shown");
    }
    // The table at the end, without the signs that make it a comment.
    let at = text.find("# [[history-rooms]]").expect("it is shown");
    let uncommented = format!("{}{}", &text[..at], text[at..].replace("# ", ""));
    let pattern = RoomPattern::from("event-*".to_owned());
    let room = HistoryRoom { pattern, keep_messages: Some(100), keep_days: Some(7), on_join: Some(20) };
    assert_eq!(
        given().file(&uncommented).config(),
        Config { history_rooms: vec![room], ..Config::default() }
    );
}

// The values of each setting.

#[test]
fn every_form_of_a_value_is_read() {
    let line = |text: &str| given().file(&format!("line = {text}")).config().line.endpoint;
    let address = Endpoint::Address("[::1]:5".parse().expect("a literal"));
    assert_eq!(line("5"), Endpoint::Port(5));
    assert_eq!(line("\"5\""), Endpoint::Port(5));
    assert_eq!(line("\"off\""), Endpoint::Off);
    assert_eq!(line("\"[::1]:5\""), address);

    let pin = |text: &str| given().file(&format!("pin = {text}")).config().pin;
    assert_eq!(pin("[]"), Vec::<usize>::new());
    assert_eq!(pin("1"), [1]);
    assert_eq!(pin("[0, 1]\nshards = 2"), [0, 1]);
    assert_eq!(pin("\"0,1\"\nshards = \"auto\""), [0, 1]);
    assert_eq!(pin("[1]"), [1]);
    assert_eq!(pin("\"1\""), [1]);

    let gap = |text: &str| given().file(&format!("gob-gap = {text}")).config().gob_gap;
    assert_eq!(gap("0"), Duration::ZERO);
    assert_eq!(gap("1"), Duration::from_micros(1));
    assert_eq!(gap("\"1\""), Duration::from_micros(1));

    let store = |text: &str| given().flag("store", text).config().store;
    assert_eq!(store("memory"), StoreSpec::Memory);
    assert_eq!(store("sqlite:a:b"), StoreSpec::Sqlite("a:b".into()));
    assert_eq!(store("jsonl:/x"), StoreSpec::Jsonl("/x".into()));
    let durability = |text: &str| given().flag("durability", text).config().durability;
    assert_eq!(durability("full"), Durability::Full);
    assert_eq!(durability("none"), Durability::None);
    assert!(given().flag("search", "on").config().search);

    let exempt = |text: &str| {
        let networks = given().file(&format!("exempt = {text}")).config().exempt;
        networks.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(exempt("[]"), [""; 0]);
    assert_eq!(exempt("\"none\""), [""; 0]);
    assert_eq!(exempt("[\"10.0.0.0/8\", \"::1\"]"), ["10.0.0.0/8", "::1/128"]);
    assert_eq!(exempt("\"10.1.2.3, 10.1.2.3/8\""), ["10.1.2.3/32", "10.0.0.0/8"]);

    let sender = |text: &str| given().flag("ucrp-sender", text).config().ucrp_sender;
    assert_eq!(sender("same-ip"), UcrpSender::SameIp);
    assert_eq!(sender("any"), UcrpSender::Any);
    let names = |text: &str| given().flag("tcrp-names", text).config().tcrp_names;
    assert_eq!(names("near"), TcrpNames::Near);
    assert_eq!(names("strict"), TcrpNames::Strict);
    let reserved = |text: &str| given().file(&format!("reserved-names = {text}")).config().reserved_names;
    assert_eq!(reserved("[]"), [""; 0]);
    assert_eq!(reserved("\"none\""), [""; 0]);
    assert_eq!(reserved("[\"helpdesk\", \"Owner\"]"), ["helpdesk", "Owner"]);
    assert_eq!(reserved("\"helpdesk, Owner\""), ["helpdesk", "Owner"]);
    let identity = |text: &str| given().flag("typed-ping-identity", text).config().typed_ping_identity;
    assert_eq!(identity("off"), PingIdentity::Off);
    assert_eq!(identity("same-ip"), PingIdentity::SameIp);
}

#[test]
fn bounds_are_allowed_and_what_lies_beyond_them_is_refused() {
    let bounds = [
        ("line", "0", "65535", ["-1", "65536"]),
        ("slash", "0", "65535", ["-1", "65536"]),
        ("tcrp", "0", "65535", ["-1", "65536"]),
        ("ucrp", "0", "65535", ["-1", "65536"]),
        ("typed", "0", "65535", ["-1", "65536"]),
        ("gob", "0", "65535", ["-1", "65536"]),
        ("idle-timeout", "0", "2592000", ["-1", "2592001"]),
        ("slash-idle-timeout", "0", "2592000", ["-1", "2592001"]),
        ("ucrp-idle-timeout", "0", "2592000", ["-1", "2592001"]),
        ("typed-idle-timeout", "0", "2592000", ["-1", "2592001"]),
        ("gob-idle-timeout", "0", "2592000", ["-1", "2592001"]),
        ("login-timeout", "0", "2592000", ["-1", "2592001"]),
        ("gob-gap", "0", "1000000", ["-1", "1000001"]),
        ("max-clients", "1", "1000000", ["0", "1000001"]),
        ("address-clients", "0", "1000000", ["-1", "1000001"]),
        ("address-connects", "0", "1000000", ["-1", "1000001"]),
        ("address-accounts", "0", "1000000", ["-1", "1000001"]),
        ("address-rooms", "0", "16384", ["-1", "16385"]),
        ("session-rooms", "0", "64", ["-1", "65"]),
        ("session-messages", "0", "1000000", ["-1", "1000001"]),
        ("session-bytes", "1024", "536870912", ["1023", "536870913"]),
        ("session-bytes", "0", "0", ["-1", "1"]),
        ("password-attempts", "1", "100", ["0", "101"]),
        ("log-bytes", "65536", "1073741824", ["65535", "1073741825"]),
        ("log-total-bytes", "1048576", "1099511627776", ["1048575", "1099511627777"]),
        ("history-keep-messages", "0", "10000000", ["-1", "10000001"]),
        ("history-keep-days", "0", "36500", ["-1", "36501"]),
        ("history-on-join", "0", "100", ["-1", "101"]),
        ("drain-timeout", "0", "60", ["-1", "61"]),
        ("pin", "0", "1023", ["-1", "1024"]),
        ("shards", "1", "64", ["0", "65"]),
        ("ready-fd", "1", "2147483647", ["0", "2147483648"]),
    ];
    for (key, min, max, beyond) in bounds {
        given().file(&format!("{key} = {min}")).config();
        given().file(&format!("{key} = {max}")).config();
        for value in beyond {
            let refusal = given().file(&format!("{key} = {value}")).refusal();
            let start = format!("`{key}` cannot be `{value}` (parlance.toml): use ");
            assert!(refusal.starts_with(&start), "{refusal}");
        }
    }
}

#[test]
fn bind_takes_one_address_or_several() {
    let bind = |text: &str| given().file(&format!("bind = {text}")).config().bind;
    assert_eq!(bind("\"::1\""), ips(&["::1"]));
    assert_eq!(bind("\"127.0.0.1, ::1\""), ips(&["127.0.0.1", "::1"]));
    assert_eq!(bind("[\"127.0.0.1\", \"::1\"]"), ips(&["127.0.0.1", "::1"]));
    // In the notation of IPv6, it is an address of IPv4.
    assert_eq!(bind("\"::ffff:127.0.0.1\""), ips(&["127.0.0.1"]));
    let many = |count: u8| (0..count).map(|index| format!("10.0.0.{index}")).collect::<Vec<_>>().join(",");
    assert_eq!(given().variable("PARLANCE_BIND", &many(16)).config().bind.len(), 16);
    for (value, remedy) in [
        (many(17), "give at most 16 addresses"),
        ("eth0".to_owned(), "use IP addresses, not names: "),
        ("127.0.0.1,".to_owned(), "use IP addresses, not names: "),
        ("fe80::1%2".to_owned(), "use IP addresses, not names: "),
        ("127.0.0.1:4000".to_owned(), "use IP addresses, not names: "),
    ] {
        let refusal = given().flag("bind", &value).refusal();
        assert!(refusal.contains(&format!(" (flag --bind): {remedy}")), "{refusal}");
    }
    let refusal = given().file("bind = []").refusal();
    assert_eq!(refusal, "`bind` cannot be `[]` (parlance.toml): give at least one address");
}

#[test]
fn a_dialect_listens_on_every_address_of_bind_and_on_both_families_of_the_wildcard() {
    let line = |bind: &str| given().flag("bind", bind).config().listeners()[0].addresses.clone();
    let addresses =
        |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a literal")).collect::<Vec<_>>();
    let both: Vec<SocketAddr> = addresses(&["[::]:4000", "0.0.0.0:4000"]);
    assert_eq!(line("::"), both);
    assert_eq!(line("::,0.0.0.0"), both);
    assert_eq!(line("::,127.0.0.1,::1"), both, "those are among them");
    assert_eq!(line("10.0.0.1,::1,10.0.0.1"), addresses(&["10.0.0.1:4000", "[::1]:4000"]));
    let own = given().flag("bind", "127.0.0.1").flag("line", "[::]:4000").config();
    assert_eq!(own.listeners()[0].addresses, both);
}

#[test]
fn networks_that_are_exempt_at_a_listener_stand_behind_its_endpoint() {
    let listener = |text: &str| given().file(&format!("line = {text}")).config().line;
    assert_eq!(listener("4000").exempt, None);
    assert_eq!(listener("\"4000,exempt=none\"").exempt, Some(Vec::new()));
    let some = listener("\"[::1]:4000,exempt=10.1.2.3/8,exempt=::1\"").exempt.expect("it has its own");
    assert_eq!(some.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "::1/128"]);
    let endpoint = "use a port (0 to 65535), an address with port (127.0.0.1:4000, [::1]:4000), or off";
    let options = "behind the port or address, use exempt=NETWORK, once for each network, or exempt=none, \
                   such as 4000,exempt=10.0.0.0/8";
    for (value, remedy) in [
        ("x,exempt=none", endpoint),
        ("4000,exempt=all", options),
        ("4000,tls", options),
        ("off,exempt=none", "a dialect that is off takes no options: use off alone"),
    ] {
        let refusal = given().flag("line", value).refusal();
        assert_eq!(refusal, format!("`line` cannot be `{value}` (flag --line): {remedy}"));
    }
}

/// What Kubernetes gives a pod for a service called `parlance`, and for one called `parlance-line`.
const OF_SERVICES: [(&str, &str); 9] = [
    ("PARLANCE_SERVICE_HOST", "10.96.0.7"),
    ("PARLANCE_SERVICE_PORT", "4000"),
    ("PARLANCE_SERVICE_PORT_LINE", "4000"),
    ("PARLANCE_PORT", "tcp://10.96.0.7:4000"),
    ("PARLANCE_PORT_4000_TCP", "tcp://10.96.0.7:4000"),
    ("PARLANCE_PORT_4000_TCP_PROTO", "tcp"),
    ("PARLANCE_PORT_4000_TCP_ADDR", "10.96.0.7"),
    ("PARLANCE_LINE_SERVICE_HOST", "10.96.0.8"),
    ("PARLANCE_LINE_PORT", "tcp://10.96.0.8:4000"),
];

#[test]
fn variables_of_a_service_or_a_container_link_are_passed_over_with_one_warning() {
    let of_services = || OF_SERVICES.iter().fold(given(), |given, (name, value)| given.variable(name, value));
    let config = of_services().variable("PARLANCE_LINE", "4444").config();
    assert_eq!(config.line.endpoint, Endpoint::Port(4444), "a setting is one all the same");
    let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    let start = "passed over 9 environment variables of a service or a container link: PARLANCE_LINE_PORT, \
                 PARLANCE_LINE_SERVICE_HOST, PARLANCE_PORT and 6 more; ";
    assert!(warning.starts_with(start), "{warning}");
    let output = parlance(&of_services(), &["check-config"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).contains(&format!("Warning: {start}")), "{output:?}");

    let link = given().variable("PARLANCE_NAME", "/web/parlance").variable("PARLANCE_ENV_LANG", "C.UTF-8");
    let warning = link.config().warnings[0].to_string();
    assert!(warning.contains(" 2 environment variables "), "{warning}");
    assert_eq!(given().config().warnings, []);
}

#[test]
fn unknown_variables_are_refused_beside_those_of_a_service() {
    let of_services = || OF_SERVICES.iter().fold(given(), |given, (name, value)| given.variable(name, value));
    for (name, value, expected) in [
        ("PARLANCE_IDLE_TIMOUT", "60", "`PARLANCE_IDLE_TIMOUT`: did you mean `PARLANCE_IDLE_TIMEOUT`?"),
        ("PARLANCE_BIN", "10.0.0.1", "`PARLANCE_BIN`: did you mean `PARLANCE_BIND`?"),
        ("PARLANCE_NAME", "parlance", "`PARLANCE_NAME`: "),
    ] {
        let refusal = of_services().variable(name, value).refusal();
        assert!(refusal.starts_with(&format!("unknown environment variable {expected}")), "{refusal}");
    }
    // A bare port is meant for the server.
    assert_eq!(
        given().variable("PARLANCE_PORT", "4000").refusal(),
        "unknown environment variable `PARLANCE_PORT`: did you mean `PARLANCE_LINE`?"
    );
}

#[test]
fn a_filter_of_events_is_a_level_or_says_for_which_module() {
    for filter in ["off", "INFO", "warn,mio=trace", "parlance::reactor=debug", "[span{a=1}]=info"] {
        assert_eq!(given().flag("log", filter).config().log, filter);
    }
    for filter in ["", ",", "inof", "info,verbose", "parlance=loud", "a=b=c"] {
        assert_eq!(
            given().flag("log", filter).refusal(),
            format!(
                "`log` cannot be `{filter}` (flag --log): use off, error, warn, info, debug or trace, \
                 or a filter such as info,parlance::reactor=debug"
            )
        );
    }
}

// The words of a refusal: the setting, the value, where it came from, and what to do.

#[test]
fn there_is_a_core_for_each_shard_or_none() {
    let refusals = [
        (
            given().file("pin = [0, 1]"),
            "2 cores for 1 shard (`pin` (parlance.toml) and `shards` (default)): give one core a shard, or none, or \
             `shards = \"auto\"`"
                .to_owned(),
        ),
        (
            given().flag("pin", "0").flag("shards", "2"),
            "1 core for 2 shards (`pin` (flag --pin) and `shards` (flag --shards)): give one core a shard, or none, or `shards = \"auto\"`".to_owned(),
        ),
    ];
    for (given, expected) in refusals {
        assert_eq!(given.refusal(), expected);
    }
}

#[test]
fn a_refused_value_is_told_with_its_origin_and_the_remedy() {
    let endpoint = "use a port (0 to 65535), an address with port (127.0.0.1:4000, [::1]:4000), or off";
    let timeout = "use whole seconds, from 0 (never) to 2592000 (30 days)";
    let rows = [
        (
            given().file("line = \"on\""),
            format!("`line` cannot be `on` (parlance.toml): {endpoint}"),
        ),
        (
            given().file("line = false"),
            format!("`line` cannot be `false` (parlance.toml): {endpoint}"),
        ),
        (
            given().file("[line]\nport = 4000"),
            format!("`line` cannot be a table (parlance.toml): {endpoint}"),
        ),
        (
            given().variable("PORT", "http"),
            format!("`line` cannot be `http` (environment variable PORT): {endpoint}"),
        ),
        (
            given().file("line = 5").variable("PARLANCE_LINE", "localhost:5"),
            format!("`line` cannot be `localhost:5` (environment variable PARLANCE_LINE): {endpoint}"),
        ),
        (
            given().flag("idle-timeout", "60s"),
            format!("`idle-timeout` cannot be `60s` (flag --idle-timeout): {timeout}"),
        ),
        (
            given().file("idle-timeout = 1.5"),
            format!("`idle-timeout` cannot be `1.5` (parlance.toml): {timeout}"),
        ),
        (
            given().file("ucrp = \"udp\""),
            format!("`ucrp` cannot be `udp` (parlance.toml): {endpoint}"),
        ),
        (
            given().variable("PARLANCE_UCRP_IDLE_TIMEOUT", "1d"),
            format!(
                "`ucrp-idle-timeout` cannot be `1d` (environment variable PARLANCE_UCRP_IDLE_TIMEOUT): {timeout}"
            ),
        ),
        (
            given().variable("PARLANCE_UCRP_SENDER", "all"),
            "`ucrp-sender` cannot be `all` (environment variable PARLANCE_UCRP_SENDER): use same-ip or any"
                .to_owned(),
        ),
        (
            given().file("typed-ping-identity = true"),
            "`typed-ping-identity` cannot be `true` (parlance.toml): use off or same-ip".to_owned(),
        ),
        (
            given().flag("gob-gap", "0.2ms"),
            "`gob-gap` cannot be `0.2ms` (flag --gob-gap): use whole microseconds, \
             from 0 (no pause) to 1000000 (a second)"
                .to_owned(),
        ),
        (
            given().flag("bind", "localhost"),
            "`bind` cannot be `localhost` (flag --bind): use IP addresses, not names: 127.0.0.1 for this machine only \
             (127.0.0.1,::1 for localhost in both families), :: for everyone, 0.0.0.0 for everyone with IPv4; \
             an address of one interface stands with its dialect (--line [fe80::1%2]:4000)"
                .to_owned(),
        ),
        (
            given().file("pin = [\"x\"]"),
            "`pin` cannot be `[\"x\"]` (parlance.toml): use the number of a core a shard, 0 to 1023".to_owned(),
        ),
        (
            given().variable("PARLANCE_LAG", "drop"),
            "`lag` cannot be `drop` (environment variable PARLANCE_LAG): use skip or close; behind it, others for some of \
             line, slash, gob, such as close,slash=skip"
                .to_owned(),
        ),
        (
            given().variable("PARLANCE_LOG_FORMAT", "a\nb"),
            "`log-format` cannot be `a\\nb` (environment variable PARLANCE_LOG_FORMAT): use text or json"
                .to_owned(),
        ),
        (
            given().flag("max-clients", "many"),
            "`max-clients` cannot be `many` (flag --max-clients): use a number from 1 to 1000000, or auto"
                .to_owned(),
        ),
        (
            given().flag("ready-file", "there/"),
            "`ready-file` cannot be `there/` (flag --ready-file): use the path of a file to write, \
             in a directory that exists"
                .to_owned(),
        ),
    ];
    for (given, expected) in rows {
        assert_eq!(given.refusal(), expected);
    }
}

// What is kept.

#[test]
fn a_store_is_below_the_data_directory_unless_it_says_otherwise() {
    assert_eq!(given().config().store_spec(), StoreSpec::Sqlite("parlance-data/parlance.db".into()));
    let data = || given().flag("data", "/srv/chat");
    assert_eq!(data().config().store_spec(), StoreSpec::Sqlite("/srv/chat/parlance.db".into()));
    let spec = |store: &str| data().flag("store", store).config().store_spec();
    assert_eq!(spec("jsonl:log"), StoreSpec::Jsonl("/srv/chat/log".into()));
    assert_eq!(spec("sqlite:/elsewhere/x.db"), StoreSpec::Sqlite("/elsewhere/x.db".into()));
    assert_eq!(spec("memory"), StoreSpec::Memory);
}

#[test]
fn a_refused_value_of_what_is_kept_is_told_with_the_remedy() {
    let rows = [
        (
            given().flag("data", ""),
            "`data` cannot be `` (flag --data): use the path of a directory, which is made if it is not there"
                .to_owned(),
        ),
        (
            given().variable("PARLANCE_STORE", "postgres:x"),
            "`store` cannot be `postgres:x` (environment variable PARLANCE_STORE): \
             use sqlite:FILE, jsonl:DIRECTORY or memory"
                .to_owned(),
        ),
        (
            given().flag("store", "sqlite:"),
            "`store` cannot be `sqlite:` (flag --store): use sqlite:FILE, jsonl:DIRECTORY or memory".to_owned(),
        ),
        (
            given().file("durability = \"off\""),
            "`durability` cannot be `off` (parlance.toml): use full, normal or none".to_owned(),
        ),
        (
            given().file("search = true"),
            "`search` cannot be `true` (parlance.toml): use on or off".to_owned(),
        ),
    ];
    for (given, expected) in rows {
        assert_eq!(given.refusal(), expected);
    }
}

#[test]
fn rules_for_rooms_take_what_they_leave_out_from_the_general_one() {
    let text = "history-keep-messages = 5\nhistory-keep-days = 6\n\
                [[history-rooms]]\nmatch = \"event-*\"\nkeep-messages = 1\n\
                [[history-rooms]]\nmatch = \"event-?\"\non-join = 2\nkeep-days = \"0\"\n";
    let rules = given().file(text).flag("history-on-join", "7").config().history_rules();
    let rule = |keep_messages, keep_days, on_join| HistoryRule { keep_messages, keep_days, on_join };
    assert_eq!(rules.default, rule(5, 6, 7));
    assert_eq!(rules.of("lobby"), rule(5, 6, 7));
    assert_eq!(rules.of("event-1"), rule(1, 6, 7), "the first that matches");
    assert_eq!(rules.rooms[1].1, rule(5, 0, 2));
}

#[test]
fn a_rule_for_rooms_that_makes_no_sense_is_refused_with_its_place() {
    let table =
        |rest: &str| given().file(&format!("[[history-rooms]]\nmatch = \"a\"\n[[history-rooms]]\n{rest}\n"));
    let rows = [
        (
            "match = \"b\"\nkeep-messages = -1",
            "`history-rooms[1].keep-messages` cannot be `-1` (parlance.toml): \
             use a number of messages, from 0 (keep nothing) to 10000000",
        ),
        (
            "match = \"b\"\non-join = 101",
            "`history-rooms[1].on-join` cannot be `101` (parlance.toml): \
             use a number of messages, from 0 (none) to 100",
        ),
        (
            "match = \"b\"\nkeep-days = \"x\"",
            "`history-rooms[1].keep-days` cannot be `x` (parlance.toml): use whole days, from 0 (for ever) to 36500",
        ),
        (
            "match = \"\"",
            "`history-rooms[1].match` cannot be `` (parlance.toml): use a room's name, or a pattern such as \
             event-*, in which * stands for any characters and ? for one",
        ),
        ("keep-days = 1", "`history-rooms[1]` cannot be a table (parlance.toml): give it `match`"),
        (
            "match = \"b\"\nkeep = 1",
            "`history-rooms[1]` cannot be a table (parlance.toml): there is no `keep` in it: \
             use match, keep-messages, keep-days, on-join",
        ),
    ];
    for (rest, expected) in rows {
        assert_eq!(table(rest).refusal(), expected);
    }
    let many = "[[history-rooms]]\nmatch = \"a\"\n".repeat(101);
    let refusal = given().file(&many).refusal();
    assert!(
        refusal.ends_with(": use at most 100 tables: `*` in `match` stands for any characters"),
        "{refusal}"
    );
    let refusal = given().file("history-rooms = \"a\"").refusal();
    assert!(refusal.starts_with("`history-rooms` cannot be `a` (parlance.toml): "), "{refusal}");
}

#[test]
fn rules_for_rooms_come_from_the_file_only() {
    assert_eq!(
        given().variable("PARLANCE_HISTORY_ROOMS", "event-*").refusal(),
        "`history-rooms` cannot be set by environment variable PARLANCE_HISTORY_ROOMS: \
         write it into the configuration file, as [[history-rooms]] tables"
    );
    let output = parlance(&given(), &["check-config", "--history-rooms", "event-*"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(
        text(&output.stderr),
        "parlance: `history-rooms` cannot be set by flag --history-rooms: \
         write it into the configuration file, as [[history-rooms]] tables\n"
    );
}

#[test]
fn a_long_value_is_cut_short_in_the_refusal() {
    let refusal = given().flag("bind", &"é".repeat(1000)).refusal();
    assert!(refusal.contains(&format!("`{}…`", "é".repeat(80))), "{refusal}");
}

#[test]
fn a_misspelt_name_is_refused_with_the_one_that_was_meant() {
    let rows = [
        (
            given().file("idle-timout = 60"),
            "unknown key `idle-timout` in parlance.toml: did you mean `idle-timeout`?",
        ),
        (
            given().file("idle_timeout = 60"),
            "unknown key `idle_timeout` in parlance.toml: did you mean `idle-timeout`?",
        ),
        (given().file("port = 60"), "unknown key `port` in parlance.toml: did you mean `line`?"),
        (
            given().variable("PARLANCE_IDLE_TIMOUT", "60"),
            "unknown environment variable `PARLANCE_IDLE_TIMOUT`: did you mean `PARLANCE_IDLE_TIMEOUT`?",
        ),
        (
            given().variable("PARLANCE_Line", "60"),
            "unknown environment variable `PARLANCE_Line`: did you mean `PARLANCE_LINE`?",
        ),
    ];
    for (given, expected) in rows {
        assert_eq!(given.refusal(), expected);
    }
}

#[test]
fn a_name_like_no_other_is_refused_with_the_list_but_without_its_value() {
    let refusal = given().variable("PARLANCE_PASSWORD", "hunter2").refusal();
    let start = "unknown environment variable `PARLANCE_PASSWORD`: remove it, or use one of PARLANCE_BIND, \
                 PARLANCE_LINE, ";
    assert!(refusal.starts_with(start), "{refusal}");
    assert!(!refusal.contains("hunter2"), "{refusal}");
}

#[test]
fn an_unknown_key_is_refused_even_where_the_file_is_overridden() {
    let given = given().file("lien = 1").flag("line", "2");
    assert_eq!(given.refusal(), "unknown key `lien` in parlance.toml: did you mean `line`?");
}

#[test]
fn a_variable_of_ours_that_is_not_text_is_refused() {
    let mut given = given();
    let value = OsString::from_vec(vec![0xff]);
    given.sources.environment.push(("PARLANCE_READY_FILE".into(), value));
    assert_eq!(
        given.refusal(),
        "environment variable PARLANCE_READY_FILE is not valid UTF-8: set it to plain text, or unset it"
    );
}

#[test]
fn a_server_that_nobody_could_reach_is_refused() {
    let given = given()
        .file("line = \"off\"\ntcrp = \"off\"\nucrp = \"off\"\ngob = \"off\"")
        .variable("PARLANCE_TYPED", "off")
        .flag("slash", "off");
    assert_eq!(
        given.refusal(),
        "`line` (parlance.toml), `slash` (flag --slash), `tcrp` (parlance.toml), `ucrp` (parlance.toml), \
         `typed` (environment variable PARLANCE_TYPED) and `gob` (parlance.toml) are all off, \
         so nobody could connect: give one of them a port, such as --line 4000"
    );
}

#[test]
fn any_dialect_may_be_the_only_one_but_for_the_two_that_need_each_other() {
    let only = |dialects: &[Dialect]| {
        let others = Dialect::ALL.into_iter().filter(|dialect| !dialects.contains(dialect));
        others.fold(given(), |given, other| given.flag(other.name(), "off"))
    };
    for dialects in [
        &[Dialect::Line][..],
        &[Dialect::Slash],
        &[Dialect::Tcrp, Dialect::Ucrp],
        &[Dialect::Typed],
        &[Dialect::Gob],
    ] {
        let listeners = only(dialects).config().listeners();
        assert!(
            listeners.iter().map(|listener| listener.dialect).eq(dialects.iter().copied()),
            "{listeners:?}"
        );
    }
    for half in [Dialect::Tcrp, Dialect::Ucrp] {
        let refusal = only(&[half]).refusal();
        assert!(refusal.starts_with(&format!("`{}` (default) is on and ", half.name())), "{refusal}");
    }
}

#[test]
fn tcrp_without_ucrp_and_ucrp_without_tcrp_are_refused() {
    assert_eq!(
        given().flag("ucrp", "off").refusal(),
        "`tcrp` (default) is on and `ucrp` (flag --ucrp) is off, so nobody who shakes hands could talk: \
         give both a port, or off"
    );
    assert_eq!(
        given().file("tcrp = \"off\"").variable("PARLANCE_UCRP", "0").refusal(),
        "`ucrp` (environment variable PARLANCE_UCRP) is on and `tcrp` (parlance.toml) is off, \
         so nobody could get a token to talk with: give both a port, or off"
    );
}

#[test]
fn two_dialects_on_one_address_are_refused() {
    assert_eq!(
        given().flag("slash", "4000").refusal(),
        "`line` (default) and `slash` (flag --slash) would both listen on 127.0.0.1:4000: \
         give `line` another port, such as --line 4001, or switch it off, with --line off; \
         or give `slash` another port"
    );
    for (bind, slash) in [
        ("0.0.0.0", "127.0.0.1:4000"),
        ("127.0.0.1", "0.0.0.0:4000"),
        ("127.0.0.1", "[::]:4000"),
        ("::1,127.0.0.1", "127.0.0.1:4000"),
        ("::", "[::1]:4000"),
        ("::", "127.0.0.1:4000"),
    ] {
        let refusal = given().flag("bind", bind).flag("slash", slash).refusal();
        assert!(refusal.contains("would both listen on"), "{refusal}");
    }
    assert_eq!(
        given().variable("PORT", "8080").refusal(),
        "`line` (environment variable PORT) and `gob` (default) would both listen on 127.0.0.1:8080: \
         give `gob` another port, such as --gob 8081, or switch it off, with --gob off; \
         or give `line` another port"
    );
    assert_eq!(
        given().variable("PORT", "65535").variable("PARLANCE_GOB", "65535").refusal(),
        "`line` (environment variable PORT) and `gob` (environment variable PARLANCE_GOB) would both listen on \
         127.0.0.1:65535: give `gob` another port, such as PARLANCE_GOB=1024, or switch it off, with PARLANCE_GOB=off; \
         or give `line` another port"
    );
    assert_eq!(
        given().variable("PORT", "8080").file("gob = 8080").refusal(),
        "`line` (environment variable PORT) and `gob` (parlance.toml) would both listen on 127.0.0.1:8080: \
         give `gob` another port, such as `gob = 8081`, or switch it off, with `gob = \"off\"`; \
         or give `line` another port"
    );
    for (line, slash) in [("0", "0"), ("4000", "127.0.0.2:4000"), ("4000", "[::1]:4000")] {
        given().flag("line", line).flag("slash", slash).config();
    }
}

#[test]
fn a_port_of_tcp_and_the_same_one_of_udp_are_two() {
    let shared = given().flag("ucrp", "9090").config();
    for dialect in [Dialect::Tcrp, Dialect::Ucrp] {
        let addresses = vec![SocketAddr::from(([127, 0, 0, 1], 9090))];
        assert!(shared.listeners().contains(&Listener { dialect, addresses, exempt: None }));
    }
    for taken_by_tcp in ["4000", "0.0.0.0:5000", "127.0.0.1:8080"] {
        given().flag("ucrp", taken_by_tcp).config();
    }
    assert_eq!(
        given().flag("ucrp", "9090").flag("typed", "9090").refusal(),
        "`tcrp` (default) and `typed` (flag --typed) would both listen on 127.0.0.1:9090: \
         give `tcrp` another port, such as --tcrp 9091, or switch it off, with --tcrp off; \
         or give `typed` another port"
    );
}

// The file.

#[test]
fn a_file_that_is_named_is_read_instead_of_the_one_that_is_there() {
    let mut given = given().file("line = 1");
    let other = given.directory.path().join("other.toml");
    fs::write(&other, "slash = 2").expect("written");
    let named_by_variable = given.variable("PARLANCE_CONFIG", "nowhere.toml");
    given = Given {
        sources: Sources { file: Some(other), ..named_by_variable.sources },
        directory: named_by_variable.directory,
    };
    assert_eq!(given.config().line.endpoint, Endpoint::Port(4000));
    assert_eq!(given.config().slash.endpoint, Endpoint::Port(2));
}

#[test]
fn a_file_that_is_named_must_exist() {
    let mut given = given();
    given.sources.file = Some(PathBuf::from("/nowhere/p.toml"));
    assert_eq!(
        given.refusal(),
        "cannot read the configuration file `/nowhere/p.toml` (flag --config): \
         No such file or directory (os error 2); name a TOML file that can be read, or leave the flag out"
    );
}

#[test]
fn a_file_that_is_there_must_be_readable() {
    let given = given();
    fs::create_dir(given.directory.path().join("parlance.toml")).expect("created");
    assert_eq!(
        given.refusal(),
        "cannot read the configuration file `parlance.toml` (found in the working directory): \
         Is a directory (os error 21); make it a readable text file, move it away, or name another file with --config"
    );
}

#[test]
fn a_variable_may_name_the_file() {
    let given = given().variable("PARLANCE_CONFIG", "/nowhere/p.toml");
    let error = Config::load(&given.sources).expect_err("accepted");
    let ConfigError::Unreadable { path, named_by, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(path, Path::new("/nowhere/p.toml"));
    assert_eq!(named_by, Origin::Environment("PARLANCE_CONFIG".to_owned()));
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_the_place() {
    let refusal = given().file("line = 1\nslash 2\n").refusal();
    assert!(refusal.starts_with("`parlance.toml` is not valid TOML: "), "{refusal}");
    assert!(refusal.contains("line 2"), "{refusal}");
}

// The command.

/// Runs the command in a directory and environment of its own.
fn parlance(given: &Given, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parlance"))
        .args(arguments)
        .current_dir(given.directory.path())
        .env_clear()
        .envs(given.sources.environment.iter().cloned())
        .output()
        .expect("the command starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn the_command_config_prints_the_merged_configuration() {
    let given = given().file("line = 1\npin = 0").variable("PARLANCE_SLASH", "2");
    let output = parlance(&given, &["config", "--lag", "close", "--port", "3"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let config: Config = toml::from_str(text(&output.stdout)).expect("TOML");
    let expected = Config {
        line: Endpoint::Port(3).into(),
        slash: Endpoint::Port(2).into(),
        lag: LagPolicies::all(LagPolicy::Close),
        pin: vec![0],
        ..Config::default()
    };
    assert_eq!(config, expected);
}

#[test]
fn the_command_check_config_says_it_in_words() {
    let given = given().file("slash = \"off\"\nbind = \"0.0.0.0\"\nlogin-timeout = 1");
    let output = parlance(&given, &["check-config"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        text(&output.stdout),
        "The line dialect listens on 0.0.0.0:4000, for everyone who can reach it with IPv4.\n\
         The slash dialect is off.\n\
         The tcrp dialect listens on 0.0.0.0:9090, for everyone who can reach it with IPv4.\n\
         The ucrp dialect listens on 0.0.0.0:9091 over UDP, for everyone who can reach it with IPv4.\n\
         The typed dialect listens on 0.0.0.0:5000, for everyone who can reach it with IPv4.\n\
         The gob dialect listens on 0.0.0.0:8080, for everyone who can reach it with IPv4.\n\
         A line client that sends no line for 60 seconds is closed.\n\
         A ucrp client that sends no datagram for 86400 seconds loses its seat.\n\
         A typed client that sends no request for 86400 seconds is closed.\n\
         A gob client that sends no message for 86400 seconds is closed.\n\
         A connection that has not logged in after 1 second is closed.\n\
         A ucrp datagram counts only from the address that its token was given to.\n\
         A tcrp client whose name is not one gets the nearest free name.\n\
         A typed client logs in with a password.\n\
         A gob client is sent one message at a time, and the next after 200 microseconds.\n\
         As many clients are served at once as the limit on open files allows.\n\
         An address (of IPv6, a /64) may hold 256 connections and seats, and connect 20 times a second, 200 of them at once.\n\
         An address may make 10 accounts a day, 5 at once; a /24 (of IPv6, a /48) may make 30.\n\
         Of one address 64 rooms may be there that it made, and a person may be in, or have made, 32 rooms.\n\
         A session may send 100 messages a second, 1000 of them at once, and 65536 bytes a second, 655360 of them at once.\n\
         Clients from 127.0.0.0/8 and ::1/128 are exempt from that.\n\
         After 5 wrong passwords for a name from one address within 60 seconds, no more are checked for 60 seconds.\n\
         From 100 wrong passwords for a name in an hour on, each check of it waits up to 30 seconds, except from \
         addresses that proved it.\n\
         A room keeps its latest 1048576 bytes for slow members, for each dialect; all rooms together keep 536870912, for which the room gives way that was least recently read.\n\
         A member that falls further behind skips to the latest message and is told how many it missed.\n\
         Accounts, messages and rooms are kept in the database `parlance-data/parlance.db`.\n\
         What is to be kept is acknowledged once it is on disk.\n\
         Of each room, the latest 10000 messages are kept, and none is shown to new members.\n\
         At shutdown, clients have up to 3 seconds to receive what they are owed.\n\
         The kernel chooses the core.\n\
         The log goes to standard error as text, filtered by `info`.\n"
    );
}

#[test]
fn the_command_check_config_reports_equal_exemptions_once() {
    for (general, line) in [("none", "4000,exempt=none"), ("10.0.0.0/8", "4000,exempt=10.0.0.0/8")] {
        let output = parlance(&given(), &["check-config", "--exempt", general, "--line", line]);
        let said = text(&output.stdout);
        assert_eq!(said.matches("exempt").count(), 1, "{said}");
        assert!(!said.contains("On the line listener"), "{said}");
    }
}

#[test]
fn the_rules_for_names_are_settings() {
    let rows = [
        (
            given().flag("tcrp-names", "any"),
            "`tcrp-names` cannot be `any` (flag --tcrp-names): use near or strict".to_owned(),
        ),
        (
            given().flag("reserved-names", "John Smith"),
            "`reserved-names` cannot be `John Smith` (flag --reserved-names): use names of 1 to 32 bytes without \
             blanks, such as helpdesk,owner, or none"
                .to_owned(),
        ),
    ];
    for (given, expected) in rows {
        assert_eq!(given.refusal(), expected);
    }
    let rows = [
        (&["--tcrp-names", "strict"][..], "A tcrp client whose name is not one is refused."),
        (
            &["--reserved-names", "helpdesk,owner"],
            "Reserved besides the names that always are: helpdesk, owner.",
        ),
    ];
    for (flags, expected) in rows {
        let output = parlance(&given(), &[&["check-config"], flags].concat());
        let words = text(&output.stdout);
        assert!(words.lines().any(|line| line == expected), "{flags:?}: {words}");
    }
}

#[test]
fn the_command_check_config_tells_the_dialects_apart() {
    let words = |flags: &[&str]| {
        let output = parlance(&given(), &[&["check-config"], flags].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        text(&output.stdout).to_owned()
    };
    let rows = [
        (
            &["--ucrp", "0"][..],
            "The ucrp dialect listens on 127.0.0.1:0 over UDP (any free port), for this machine only.",
        ),
        (&["--slash-idle-timeout", "5"], "A slash client that sends no line for 5 seconds is closed."),
        (&["--ucrp-idle-timeout", "1"], "A ucrp client that sends no datagram for 1 second loses its seat."),
        (&["--ucrp-idle-timeout", "0"], "A ucrp client may stay silent for ever."),
        (&["--typed-idle-timeout", "7"], "A typed client that sends no request for 7 seconds is closed."),
        (&["--gob-idle-timeout", "0"], "A gob client may stay silent for ever."),
        (&["--ucrp-sender", "any"], "A ucrp datagram counts from any address, as long as it shows a token."),
        (
            &["--typed-ping-identity", "same-ip"],
            "A typed client logs in with a password, or with the bare name that its address had up to 600 seconds ago.",
        ),
        (
            &["--gob-gap", "1"],
            "A gob client is sent one message at a time, and the next after 1 microsecond.",
        ),
        (&["--gob-gap", "0"], "A gob client is sent as many messages at once as there are."),
        (
            &["--address-clients", "0", "--address-connects", "0"],
            "An address (of IPv6, a /64) may hold any number of connections and seats, and connect any number of times a second.",
        ),
        (
            &["--address-clients", "1", "--address-connects", "1"],
            "An address (of IPv6, a /64) may hold 1 connection or seat, and connect 1 time a second, 10 of them at once.",
        ),
        (
            &["--session-messages", "1", "--session-bytes", "0"],
            "A session may send 1 message a second, 10 of them at once, and any number of bytes a second.",
        ),
        (
            &["--password-attempts", "1"],
            "After 1 wrong password for a name from one address within 60 seconds, no more are checked for 60 seconds.",
        ),
        (
            &["--address-rooms", "1", "--session-rooms", "0"],
            "Of one address 1 room may be there that it made, and a person may be in, or have made, any number of rooms.",
        ),
        (
            &["--bind", "::"],
            "The line dialect listens on [::]:4000 and 0.0.0.0:4000, for everyone who can reach it.",
        ),
        (
            &["--bind", "127.0.0.1", "--bind", "::1", "--line", "0"],
            "The line dialect listens on 127.0.0.1:0 and [::1]:0 (any free port, the same one on each), for this machine only.",
        ),
        (&["--line", "4000,exempt=none"], "On the line listener no address is exempt from that."),
        (
            &["--ucrp", "9091,exempt=10.0.0.0/8,exempt=::1"],
            "On the ucrp listener only clients from 10.0.0.0/8 and ::1/128 are exempt.",
        ),
        (&["--exempt", "none"], "No address is exempt from that."),
        (&["--exempt", "10.0.0.0/8"], "Clients from 10.0.0.0/8 are exempt from that."),
        (&["--lag", "close"], "A member that falls further behind is told so, and closed."),
        (&["--lag", "gob=close"], "A gob member that falls further behind is told so, and closed."),
        (
            &["--lag", "gob=close", "--gob", "off"],
            "A member that falls further behind skips to the latest message and is told how many it missed.",
        ),
        (
            &["--store", "memory"],
            "Nothing is kept on disk: accounts, messages and rooms are gone when the server stops.",
        ),
        (
            &["--data", "/srv", "--store", "jsonl:log"],
            "Accounts, messages and rooms are kept in a log that people can read, in `/srv/log`.",
        ),
        (
            &["--durability", "normal"],
            "What is to be kept is acknowledged once the operating system has it: a loss of power may lose it.",
        ),
        (&["--shards", "3"], "3 shards share the connections; the kernel chooses the cores."),
        (
            &["--shards", "auto", "--pin", "0,1"],
            "A shard on each of the cores 0, 1 has its part of the connections.",
        ),
        (&["--search", "off"], "There is no index for searching: a search reads everything."),
        (&["--history-keep-messages", "0"], "Of each room, nothing that is said is kept."),
        (
            &["--history-keep-days", "1", "--history-on-join", "20"],
            "Of each room, the latest 10000 messages are kept for 1 day, and the last 20 shown to new members.",
        ),
    ];
    for (flags, expected) in rows {
        let words = words(flags);
        assert!(words.lines().any(|line| line == expected), "{flags:?}: {words}");
    }
    // What a dialect that is off would do is nothing to know.
    let words = words(&["--tcrp", "off", "--ucrp", "off", "--typed", "off", "--gob", "off"]);
    for name in ["tcrp", "ucrp", "typed", "gob"] {
        let lines: Vec<_> = words.lines().filter(|line| line.contains(&format!(" {name} "))).collect();
        assert_eq!(lines, [format!("The {name} dialect is off.")]);
    }
}

#[test]
fn the_command_check_config_says_how_many_accounts_an_address_makes() {
    for (count, expected) in [
        ("0", "An address may make any number of accounts."),
        ("7", "An address may make 7 accounts a day, 4 at once; a /24 (of IPv6, a /48) may make 21."),
    ] {
        let output = parlance(&given(), &["check-config", "--address-accounts", count]);
        let words = text(&output.stdout);
        assert!(words.lines().any(|line| line == expected), "{words}");
    }
}

#[test]
fn a_refused_configuration_exits_with_2_for_every_command_that_needs_it() {
    let given = given().file("idle-timout = 60");
    for arguments in [&["check-config"][..], &["config"], &["serve"], &[]] {
        let output = parlance(&given, arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert_eq!(text(&output.stdout), "");
        assert_eq!(
            text(&output.stderr),
            "parlance: unknown key `idle-timout` in parlance.toml: did you mean `idle-timeout`?\n"
        );
    }
}

#[test]
fn a_misspelt_flag_exits_with_2_and_names_the_one_that_was_meant() {
    let output = parlance(&given(), &["--idle-timout", "60"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("'--idle-timeout'"), "{output:?}");
}

#[test]
fn help_version_and_completions_need_no_configuration() {
    let given = given().file("nonsense");
    for (arguments, expected) in [
        (&["--help"][..], "Examples:"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["completions", "bash"], "--slash-idle-timeout"),
        (&["completions", "bash"], "--typed-ping-identity"),
        (&["completions", "fish"], "slash-idle-timeout"),
    ] {
        let output = parlance(&given, arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(text(&output.stdout).contains(expected), "{output:?}");
    }
}

#[test]
fn a_file_that_windows_programs_wrote_is_read_or_said_to_be_what_it_is() {
    let config = given().file("\u{feff}line = 4444\r\nslash = 7777\r\n").config();
    assert_eq!((config.line, config.slash), (Endpoint::Port(4444).into(), Endpoint::Port(7777).into()));
    let utf_16: Vec<u8> = "\u{feff}line = 4444\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, said) in [(utf_16, "it is UTF-16"), (b"log = \"\xe9\"".to_vec(), "invalid utf-8 sequence")] {
        let given = given();
        fs::write(given.directory.path().join("parlance.toml"), bytes).expect("written");
        let refusal = given.refusal();
        assert!(
            refusal.starts_with("`parlance.toml` is not valid TOML") && refusal.contains(said),
            "{refusal}"
        );
        assert!(refusal.ends_with("save it as UTF-8"), "{refusal}");
    }
}

/// The command, with its output in a file that a shell opens.
fn redirected(given: &Given, command: &str) -> Output {
    Command::new("sh")
        .args(["-c", &format!("\"$0\" {command}"), env!("CARGO_BIN_EXE_parlance")])
        .current_dir(given.directory.path())
        .env_clear()
        .output()
        .expect("a shell")
}

#[test]
fn the_configuration_is_not_written_into_the_file_that_it_is_read_from() {
    let emptied = "`parlance.toml`, the configuration file that is read; the shell has emptied it: put back what was in it; \
                   to write the configuration down, use `parlance config --write`\n";
    for (command, stream) in [
        ("config > parlance.toml", "standard output"),
        ("config --config parlance.toml > ./parlance.toml", "standard output"),
        ("check-config > parlance.toml", "standard output"),
        ("completions bash > parlance.toml", "standard output"),
        ("history > parlance.toml", "standard output"),
        ("serve 2> parlance.toml >/dev/null", "standard error"),
    ] {
        let given = given().file("line = 4444\n");
        let output = redirected(&given, command);
        assert_eq!(output.status.code(), Some(2), "{command}: {output:?}");
        let said = if stream == "standard output" {
            text(&output.stderr).to_owned()
        } else {
            fs::read_to_string(given.directory.path().join("parlance.toml")).expect("read")
        };
        let said = said.replace("./parlance", "parlance");
        assert_eq!(said, format!("parlance: {stream} is {emptied}"), "{command}");
    }
    // Through a link, and where nothing is lost.
    let given = given().file("line = 4444\n");
    std::os::unix::fs::symlink("parlance.toml", given.directory.path().join("link")).expect("a link");
    let output = redirected(&given, "config >> link");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("; nothing was done; "), "{output:?}");
    assert_eq!(given.config().line, Endpoint::Port(4444).into());
    // Another file may be written to.
    let output = redirected(&given, "config > other.toml && \"$0\" config --config other.toml > third.toml");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let written = fs::read_to_string(given.directory.path().join("third.toml")).expect("written");
    assert!(written.contains("\nline = 4444\n"), "{written}");
}

#[test]
fn the_configuration_is_written_to_its_file() {
    let given = given();
    let path = |name: &str| given.directory.path().join(name);
    let run = |arguments: &[&str]| {
        let output = parlance(&given, arguments);
        (output.status.code(), [text(&output.stdout), text(&output.stderr)].concat())
    };
    assert_eq!(
        run(&["config", "--write", "--line", "4444"]),
        (Some(0), "wrote `parlance.toml`\n".to_owned())
    );
    assert_eq!(given.config(), Config { line: Endpoint::Port(4444).into(), ..Config::default() });
    assert_eq!(run(&["config", "--write"]).1, "`parlance.toml` is up to date\n");
    fs::write(path("parlance.toml"), "# mine\nline = 4445\n").expect("written");
    let (status, said) = run(&["config", "--write", "parlance.toml", "--gob", "off"]);
    assert!(
        status == Some(0)
            && said.starts_with("wrote `/")
            && said.contains("/parlance.toml`; the old contents are in `/")
            && said.ends_with("/parlance.toml.bak`\n"),
        "{said}"
    );
    assert_eq!(
        given.config(),
        Config { line: Endpoint::Port(4445).into(), gob: Endpoint::Off.into(), ..Config::default() }
    );
    assert_eq!(fs::read_to_string(path("parlance.toml.bak")).expect("kept"), "# mine\nline = 4445\n");

    fs::write(path("other.toml"), "precious = true").expect("written");
    let (status, said) = run(&["config", "--write", "other.toml"]);
    assert!(status == Some(2) && said.contains("is not the configuration file"), "{said}");
    assert_eq!(fs::read_to_string(path("other.toml")).expect("read"), "precious = true");
    for unwritable in ["no/such/file", ".", "/dev/null/x"] {
        let (status, said) = run(&["config", "--write", unwritable]);
        assert!(matches!(status, Some(1 | 2)) && said.contains(unwritable), "{said}");
    }
    // The message of a write that was done reaches its reader in one way or the other.
    fs::write(path("parlance.toml"), "line = 4447 # mine\n").expect("written");
    let output = redirected(&given, "config --write --gob off > /dev/full");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = text(&output.stderr);
    assert!(
        said.starts_with("parlance: wrote `/") && said.contains(".toml.bak.2`; this could not"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(path("parlance.toml.bak.2")).expect("kept"), "line = 4447 # mine\n");
    // An empty file leaves no copy.
    fs::write(path("parlance.toml"), "").expect("written");
    assert_eq!(run(&["config", "--write"]).1, "wrote `parlance.toml`\n");
    assert_eq!(fs::read_to_string(path("parlance.toml.bak")).expect("kept"), "# mine\nline = 4445\n");
    let mut names: Vec<_> = fs::read_dir(given.directory.path())
        .expect("listed")
        .map(|entry| entry.expect("one").file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["other.toml", "parlance.toml", "parlance.toml.bak", "parlance.toml.bak.2"]);
}

/// Runs `config --write` with `arguments`; it is refused, and `name` keeps its type.
#[track_caller]
fn not_written(given: &Given, name: &str, arguments: &[&str]) {
    let path = given.directory.path().join(name);
    let type_before = fs::metadata(&path).expect("it is there").file_type();
    let output = parlance(given, &[&["config", "--write"], arguments].concat());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = format!("parlance: cannot write `{name}`: it is not a regular file; name a file\n");
    assert_eq!(text(&output.stderr), said);
    assert_eq!(fs::metadata(&path).expect("it is still there").file_type(), type_before);
}

#[test]
fn a_device_or_a_fifo_is_not_replaced_by_the_configuration() {
    let given = given();
    let make = |command: &str| {
        let made = Command::new("sh").args(["-c", command]).current_dir(given.directory.path()).output();
        made.expect("a shell").status.success()
    };
    assert!(make("mkfifo fifo && ln -s fifo link"));
    for name in ["fifo", "link"] {
        not_written(&given, name, &["--config", name]);
        not_written(&given, name, &["--config", name, name]);
        not_written(&given, name, &[name]);
    }
    // Only root makes a device, and not in each container. Its number is that of /dev/null.
    if make("mknod device c 1 3") {
        not_written(&given, "device", &["--config", "device"]);
        not_written(&given, "device", &["device"]);
    }
    assert!(!fs::read_dir(given.directory.path()).expect("listed").any(|entry| {
        let name = entry.expect("one").file_name();
        !["fifo", "link", "device"].iter().any(|known| name == *known)
    }));
}

#[test]
fn a_ready_file_replaces_neither_the_configuration_nor_the_store() {
    let given = given().file("line = 0\n");
    for (ready, what) in [
        ("parlance.toml", "the configuration file that is read"),
        ("./parlance.toml", "the configuration file that is read"),
        ("data/parlance.db-wal", "a file of the store"),
        ("data/parlance.db", "a file of the store"),
    ] {
        fs::create_dir_all(given.directory.path().join("data")).expect("made");
        let output = parlance(&given, &["--data", "data", "--ready-file", ready]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let expected = format!("parlance: `{ready}` is {what}; name another file\n");
        assert_eq!(text(&output.stderr), expected);
    }
    assert_eq!(given.config().line, Endpoint::Port(0).into());
}

#[test]
fn a_configuration_from_a_pipe_is_read_once() {
    let given = given();
    let mut child = Command::new(env!("CARGO_BIN_EXE_parlance"))
        .args(["--config", "/dev/stdin"])
        .env_clear()
        .current_dir(given.directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("it is piped").write_all(b"store = \"nothing\"\n").expect("written");
    // A second look would find the pipe empty, and the server would start with its defaults.
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("`store` cannot be `nothing`"), "{output:?}");
}
