//! Settings that are refused, and the words of each refusal.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use parlance::chat::HistoryRule;
use parlance::config::{Config, ConfigError, Endpoint, Listener, Origin, Sources};
use parlance::store::StoreSpec;
use parlance::wire::Dialect;

use crate::given::*;

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
            given().file("max-connections = 60"),
            "unknown key `max-connections` in parlance.toml: did you mean `max-clients`?",
        ),
        (
            given().file("keep-days = 60"),
            "unknown key `keep-days` in parlance.toml: did you mean `history-keep-days`?",
        ),
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
fn a_name_like_no_other_is_refused_without_its_value() {
    let all = "`parlance config` prints every setting, with its value";
    assert_eq!(
        given().variable("PARLANCE_PASSWORD", "hunter2").refusal(),
        format!("unknown environment variable `PARLANCE_PASSWORD`: unset it; {all}")
    );
    let refusal = given().file("xyzzy = 1").refusal();
    assert_eq!(refusal, format!("unknown key `xyzzy` in parlance.toml: remove it; {all}"));
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
