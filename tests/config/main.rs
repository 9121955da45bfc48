//! What can be set, from where, which source wins, and what is refused with which words.

mod commands;
mod given;
mod refusals;

use std::net::SocketAddr;
use std::time::Duration;

use parlance::chat::RoomPattern;
use parlance::config::{Config, Endpoint, HistoryRoom, Listener, PingIdentity, TcrpNames, UcrpSender};
use parlance::fanout::{LagPolicies, LagPolicy};
use parlance::store::{Durability, StoreSpec};
use parlance::wire::Dialect;

use given::*;

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
    let text = include_str!("../../parlance.example.toml");
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
        ("slash-nick-tries", "1", "10", ["0", "11"]),
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
