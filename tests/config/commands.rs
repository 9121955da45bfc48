//! The commands `config` and `check-config`, and how every command takes its settings.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use parlance::config::{Config, Endpoint};
use parlance::fanout::{LagPolicies, LagPolicy};

use crate::given::*;

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
         A line client that sends no line and is sent nothing for 60 seconds is closed.\n\
         A ucrp client that sends no datagram for 86400 seconds loses its seat.\n\
         A typed client that sends no request for 86400 seconds is closed.\n\
         A gob client that sends no message and is sent nothing for 86400 seconds is closed.\n\
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
        (&["--slash-nick-tries", "3"], "A slash client may try 3 nicknames before its connection is closed."),
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

/// Flags, and a line of `check-config` that they change.
const WORDS: &[(&[&str], &str)] = &[
    (
        &["--ucrp", "0"],
        "The ucrp dialect listens on 127.0.0.1:0 over UDP (any free port), for this machine only.",
    ),
    (
        &["--slash-idle-timeout", "5"],
        "A slash client that sends no line and is sent nothing for 5 seconds is closed.",
    ),
    (&["--ucrp-idle-timeout", "1"], "A ucrp client that sends no datagram for 1 second loses its seat."),
    (&["--ucrp-idle-timeout", "0"], "A ucrp client may stay silent for ever."),
    (&["--typed-idle-timeout", "7"], "A typed client that sends no request for 7 seconds is closed."),
    (&["--gob-idle-timeout", "0"], "A gob client may stay silent for ever."),
    (&["--ucrp-sender", "any"], "A ucrp datagram counts from any address, as long as it shows a token."),
    (
        &["--typed-ping-identity", "same-ip"],
        "A typed client logs in with a password, or with the bare name that its address had up to 600 seconds ago.",
    ),
    (&["--gob-gap", "1"], "A gob client is sent one message at a time, and the next after 1 microsecond."),
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
    (&["--ucrp-queries", "on"], "A ucrp client may ask who is in its room, and for the last messages there."),
    (&["--search", "off"], "There is no index for searching: a search reads everything."),
    (&["--history-keep-messages", "0"], "Of each room, nothing that is said is kept."),
    (
        &["--history-keep-days", "1", "--history-on-join", "20"],
        "Of each room, the latest 10000 messages are kept for 1 day, and the last 20 shown to new members.",
    ),
];

#[test]
fn the_command_check_config_tells_the_dialects_apart() {
    let words = |flags: &[&str]| {
        let output = parlance(&given(), &[&["check-config"], flags].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        text(&output.stdout).to_owned()
    };
    for (flags, expected) in WORDS.iter().copied() {
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
