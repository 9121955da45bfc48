//! The commands that look at a store or look after it, as they are started.

#[path = "support/unlocked.rs"]
mod unlocked;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use parlance::chat::{Change, Op, OpId, UnixMillis};
use parlance::store::{self, Options, Store, StoreSpec};
use tempfile::TempDir;
use unlocked::wait_until_unlocked;

/// A directory in which the commands are started, with a store in it.
struct Place(TempDir);

const DAY: u64 = 1_700_000_000_000;

fn id(index: u64) -> OpId {
    OpId::new(UnixMillis(DAY + index * 1000), 0, index)
}

impl Place {
    fn empty() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    /// With three messages in one room, and one in another.
    fn with_messages() -> Self {
        let place = Self::empty();
        let said = |index, room: &str, sender: &str, text: &str| {
            let (room, sender, text) = (room.into(), sender.into(), text.into());
            Op::new(id(index), Change::Said { room, sender, text })
        };
        let ops = [
            said(1, "lobby", "alice", "hello"),
            said(2, "lobby", "bob", "hello\nalice: \u{1b}[2Jforged"),
            said(3, "a room", "Zoë", "Hello there"),
            said(4, "lobby", "alice", "bye"),
        ];
        place.open().commit(&ops).expect("committed");
        wait_until_unlocked(&place.0.path().join("parlance-data"));
        place
    }

    fn spec(&self) -> StoreSpec {
        StoreSpec::Sqlite(self.0.path().join("parlance-data/parlance.db"))
    }

    fn open(&self) -> Box<dyn Store> {
        store::open(&self.spec(), &Options::default()).expect("nobody has it open")
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_parlance"))
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .output()
            .expect("the command starts")
    }

    #[track_caller]
    fn answer(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
        text(&output.stdout).to_owned()
    }

    /// The report of an import that leaves something out, which its status and standard error tell.
    #[track_caller]
    fn partly(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {output:?}");
        let report = text(&output.stdout);
        let left: u64 = report
            .lines()
            .filter_map(|line| line.strip_prefix("left: ")?.split(':').next()?.parse::<u64>().ok())
            .sum();
        let said = format!(
            "parlance: not everything can be imported: {left} left out; the report above says what, and why\n"
        );
        assert_eq!(text(&output.stderr), said, "{arguments:?}: {report}");
        report.to_owned()
    }

    #[track_caller]
    fn refusal(&self, status: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {output:?}");
        text(&output.stderr).to_owned()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

fn sample(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import").join(name).display().to_string()
}

#[test]
fn history_is_a_page_of_a_room_oldest_first() {
    let place = Place::with_messages();
    assert_eq!(place.answer(&["history"]), "a room: messages 1 to 1\nlobby: messages 1 to 3\n");
    let lines = [
        "2023-11-14 22:13:21Z  alice: hello\n",
        "2023-11-14 22:13:22Z  bob: hello ⏎ alice: \u{fffd}[2Jforged\n",
        "2023-11-14 22:13:24Z  alice: bye\n",
    ];
    assert_eq!(place.answer(&["history", "--room", "lobby"]), lines.concat());
    assert_eq!(place.answer(&["history", "--room", "lobby", "--limit", "2"]), lines[1..].concat());
    let before = id(4).to_string();
    let page = ["history", "--room", "lobby", "--before", &before, "--limit", "1"];
    assert_eq!(place.answer(&page), lines[1]);
    assert_eq!(place.answer(&["history", "--room", "nowhere"]), "");
    let refusal = place.refusal(2, &["history", "--room", "lobby", "--before", "x"]);
    assert_eq!(refusal, "parlance: `x` is no id of a message: take one from `parlance history --json`\n");
    place.refusal(2, &["history", "--room", "lobby", "--limit", "0"]);
    place.refusal(2, &["history", "--before", &before]);
}

#[test]
fn a_search_finds_words_newest_first() {
    let place = Place::with_messages();
    assert_eq!(
        place.answer(&["search", "HELLO"]),
        "2023-11-14 22:13:23Z  [a room] Zoë: Hello there\n\
         2023-11-14 22:13:22Z  [lobby] bob: hello ⏎ alice: \u{fffd}[2Jforged\n\
         2023-11-14 22:13:21Z  [lobby] alice: hello\n"
    );
    assert_eq!(place.answer(&["search", "hello", "--limit", "1"]).lines().count(), 1);
    assert_eq!(place.answer(&["search", "nothing"]), "");
    assert_eq!(place.answer(&["search", "\"* OR ("]), "");
    assert_eq!(
        place.refusal(1, &["search", &"x".repeat(5000)]),
        "parlance: the text to search for has 5000 bytes; at most 4096 are allowed: use fewer words\n"
    );
}

#[test]
fn as_json_each_line_is_an_object() {
    let place = Place::with_messages();
    let expected = format!(
        "{{\"id\":\"{}\",\"sequence\":1,\"timestamp\":1700000003.0,\"room\":\"a room\",\"sender\":\"Zoë\",\
         \"content\":\"Hello there\"}}\n",
        id(3)
    );
    assert_eq!(place.answer(&["history", "--room", "a room", "--json"]), expected);
    assert_eq!(place.answer(&["search", "there", "--json"]), expected);
    assert_eq!(
        place.answer(&["history", "--json"]),
        "{\"room\":\"a room\",\"first\":1,\"last\":1}\n{\"room\":\"lobby\",\"first\":1,\"last\":3}\n"
    );
}

#[test]
fn what_only_looks_works_while_a_server_has_the_store_open_and_what_writes_does_not() {
    let place = Place::with_messages();
    let _server = place.open();
    for arguments in
        [&["history"][..], &["search", "hello"], &["store", "check"], &["export", "--format", "jsonl"]]
    {
        assert!(!place.answer(arguments).is_empty(), "{arguments:?}");
    }
    place.answer(&["backup", "copy.db"]);
    place.partly(&["import", &sample("accounts.json"), "--dry-run"]);
    for arguments in [&["compact"][..], &["import", &sample("accounts.json")]] {
        let refusal = place.refusal(1, arguments);
        assert!(refusal.contains("a server has it open; stop that one"), "{refusal}");
    }
}

#[test]
fn a_check_says_how_much_there_is() {
    let place = Place::with_messages();
    let answer = place.answer(&["store", "check"]);
    let start = "sqlite:parlance-data/parlance.db: all is well; accounts: 0, messages in mailboxes: 0, seats: 0, \
                 messages in rooms: 4; ";
    assert!(answer.starts_with(start), "{answer}");
    assert!(place.answer(&["compact"]).starts_with("sqlite:parlance-data/parlance.db: "));
}

#[test]
fn a_check_prints_what_is_wrong_and_fails() {
    let place = Place::with_messages();
    let database = rusqlite::Connection::open(place.path("parlance-data/parlance.db")).expect("a database");
    database.execute("DELETE FROM room_messages WHERE sequence = 2", ()).expect("deleted");
    drop(database);
    let output = place.run(&["store", "check"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let problems = text(&output.stdout).lines().count();
    assert!(problems > 0, "{output:?}");
    assert!(text(&output.stderr).ends_with(" found\n"), "{output:?}");
}

#[test]
fn a_backup_is_a_store_of_its_own() {
    let place = Place::with_messages();
    place.answer(&["backup", "copy.db"]);
    let copy = place.path("copy.db");
    let store = format!("sqlite:{copy}");
    assert_eq!(place.answer(&["--store", &store, "history"]), place.answer(&["history"]));
    let before = fs::read(&copy).expect("it is there");
    let refusal = place.refusal(1, &["backup", "copy.db"]);
    assert!(refusal.contains("copy.db") && refusal.contains("it is there already"), "{refusal}");
    assert_eq!(fs::read(&copy).expect("it is there"), before);
    let refusal = place.refusal(1, &["import", "copy.db"]);
    assert!(refusal.contains("SQLite database: restore it instead"), "{refusal}");
    // The data directory is a file.
    for command in [&["--data", "copy.db", "history"][..], &["--data", "copy.db", "import", "copy.db"]] {
        let refusal = place.refusal(1, command);
        assert!(refusal.contains("copy.db"), "{refusal}");
    }
}

#[test]
fn an_import_says_what_it_took_and_what_it_left() {
    let place = Place::empty();
    let files = ["log.jsonl", "rooms.json", "accounts.json"].map(sample);
    let [log, rooms, accounts] = files.each_ref().map(String::as_str);
    let dry = place.partly(&["import", "--dry-run", log, accounts]);
    assert!(
        dry.contains("\na dry run: nothing is written\ntaken: 3 accounts, 5 messages in mailboxes, "),
        "{dry}"
    );
    assert!(!place.0.path().join("parlance-data").exists());

    let answer = place.partly(&["import", log, accounts]);
    let expected = format!(
        "{log}: jsonl\n{accounts}: accounts\n\
         taken: 3 accounts, 5 messages in mailboxes, 1 message in rooms, 2 read marks\n\
         deleted before, so not taken: 1\n"
    );
    assert!(answer.starts_with(&expected), "{answer}");
    assert!(answer.contains(&format!("\nleft: 1: no account for nobody ({log}:6 m6)\n")), "{answer}");
    let again = place.partly(&["import", log, accounts]);
    assert!(again.contains("\ntaken: nothing\nthere already: 3 accounts, "), "{again}");

    let rooms = place.partly(&["import", "--format", "rooms", rooms]);
    assert!(rooms.contains("nobody proved it"), "{rooms}");
    let refusal = place.refusal(1, &["import", "nowhere.json"]);
    assert!(refusal.starts_with("parlance: cannot read `nowhere.json`: No such file"), "{refusal}");
    let refusal = place.refusal(1, &["import", accounts, "--format", "rooms"]);
    assert!(refusal.ends_with("cannot be understood: there are no rooms and no tokens in it\n"), "{refusal}");
}

#[test]
fn an_export_goes_to_standard_output_or_to_a_file_of_its_owner() {
    let place = Place::with_messages();
    for format in ["jsonl", "json"] {
        let shown = place.answer(&["export", "--format", format]);
        let name = format!("export.{format}");
        assert_eq!(place.answer(&["export", "--format", format, "--out", &name]), "");
        let path = place.path(&name);
        let written = fs::read_to_string(&path).expect("written");
        if format == "jsonl" {
            assert_eq!(written, shown);
        }
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        let refusal = place.refusal(1, &["export", "--format", format, "--out", &name]);
        assert!(refusal.contains("move it away, or name another file"), "{refusal}");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), written);

        let elsewhere = Place::empty();
        elsewhere.answer(&["import", &path]);
        assert_eq!(
            elsewhere.answer(&["history", "--room", "lobby"]),
            place.answer(&["history", "--room", "lobby"])
        );
    }
}

#[test]
fn a_store_that_is_not_there_is_not_made_by_looking() {
    let place = Place::empty();
    for arguments in
        [&["history"][..], &["search", "x"], &["store", "check"], &["compact"], &["repair"], &["backup", "x"]]
    {
        let refusal = place.refusal(1, arguments);
        let expected = "parlance: there is no store `sqlite:parlance-data/parlance.db`: say which one with --data and \
                        --store, or start a server, which makes it\n";
        assert_eq!(refusal, expected, "{arguments:?}");
        let refusal = place.refusal(1, &[&["--store", "memory"], arguments].concat());
        assert!(refusal.contains("a store in memory is its server's alone"), "{refusal}");
    }
    assert_eq!(fs::read_dir(place.0.path()).expect("a directory").count(), 0);
}

#[test]
fn a_database_needs_no_repair() {
    let place = Place::with_messages();
    let refusal = place.refusal(1, &["repair"]);
    assert!(refusal.contains("a database mends itself when it is opened"), "{refusal}");
}

#[test]
fn a_log_is_repaired() {
    let place = Place::empty();
    let jsonl = |arguments: &[&'static str]| [&["--store", "jsonl:log"], arguments].concat();
    let (accounts, messages) = (sample("accounts.json"), sample("log.jsonl"));
    place.partly(&[&jsonl(&["import"])[..], &[&accounts, &messages]].concat());
    let answer = place.answer(&jsonl(&["repair"]));
    assert!(answer.ends_with("all of them are understood, and nothing was changed\n"), "{answer}");

    let log = place.path("parlance-data/log/log.jsonl");
    let mut lines = fs::read(&log).expect("a log");
    let second = lines.iter().position(|&byte| byte == b'\n').expect("a line") + 1;
    lines[second] = b'x';
    fs::write(&log, &lines).expect("written");
    place.refusal(1, &jsonl(&["compact"]));
    let output = place.run(&jsonl(&["store", "check"]));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let answer = place.answer(&jsonl(&["repair"]));
    assert!(answer.contains("not understood: 1, in parlance-data/log/log.jsonl.broken"), "{answer}");
    place.answer(&jsonl(&["compact"]));
    assert!(place.answer(&jsonl(&["store", "check"])).contains("accounts: 2, "));
}

#[test]
fn the_help_of_these_commands_is_about_stores() {
    let place = Place::empty();
    for command in [
        &["history"][..],
        &["search"],
        &["store", "check"],
        &["compact"],
        &["backup"],
        &["repair"],
        &["import"],
        &["export"],
    ] {
        let help = place.answer(&[command, &["--help"]].concat());
        assert!(help.contains("--data") && help.contains("--store"), "{help}");
        assert!(!help.contains("--idle-timeout") && !help.contains("--durability"), "{help}");
    }
}
