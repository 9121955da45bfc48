//! `parlance account`, on a store that no server has open, and what a server makes of it.

#[path = "support/program.rs"]
mod program;
mod support;

#[path = "support/unlocked.rs"]
mod unlocked;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::{fs, str};

use parlance::chat::{Change, Kept, Op, OpId, Seat, Token, UnixMillis};
use parlance::store::{self, Options, StoreSpec};
use parlance::wire::Dialect;
use program::Program;
use rustix::process::Signal;
use support::Peer;
use tempfile::TempDir;
use unlocked::wait_until_unlocked;

const STORES: [&str; 2] = ["sqlite:parlance.db", "jsonl:log"];

struct Place {
    directory: TempDir,
    store: &'static str,
}

impl Place {
    fn with(store: &'static str) -> Self {
        Self { directory: tempfile::tempdir().expect("a directory"), store }
    }

    fn spec(&self) -> StoreSpec {
        let data = self.directory.path().join("parlance-data");
        match self.store {
            "jsonl:log" => StoreSpec::Jsonl(data.join("log")),
            _ => StoreSpec::Sqlite(data.join("parlance.db")),
        }
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        self.command(&[&["account"], arguments].concat(), input)
    }

    fn command(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_parlance"))
            .args(["--store", self.store])
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        // A command that needs no password does not read it.
        let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
        child.wait_with_output().expect("it ends")
    }

    #[track_caller]
    fn answer(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        str::from_utf8(&output.stdout).expect("UTF-8").to_owned()
    }

    #[track_caller]
    fn refusal(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        str::from_utf8(&output.stderr).expect("UTF-8").to_owned()
    }

    fn serve(&self) -> Program {
        Program::start(self.directory.path(), &["--store", self.store])
    }

    fn kept(&self) -> Vec<Kept> {
        let mut all = Vec::new();
        let mut reader = store::open_reader(&self.spec()).expect("it is there");
        reader.load(&mut |kept| all.push(kept)).expect("it is whole");
        all
    }
}

fn logs_in(server: &Program, name: &str, password: &str) -> String {
    let mut peer = Peer::connect(server.address(Dialect::Line));
    peer.send(format!("LOGIN {name} {password}\n"));
    peer.line()
}

#[test]
fn an_account_is_made_changed_listed_and_deleted_in_both_stores() {
    for store in STORES {
        let place = Place::with(store);
        assert_eq!(place.answer(&["add", "Admin"], "open sesame\n"), "made the account Admin\n");
        assert_eq!(place.answer(&["add", "alice"], "secret\r\nmore\n"), "made the account alice\n");
        assert_eq!(place.answer(&["list"], ""), "Admin\nalice\n");
        let server = place.serve();
        assert_eq!(logs_in(&server, "admin", "open sesame"), "OK");
        assert_eq!(logs_in(&server, "alice", "secret"), "OK");
        // A server holds the store: the others are refused, and say why.
        for arguments in [&["add", "bob"][..], &["passwd", "alice"], &["delete", "alice"]] {
            let refusal = place.refusal(arguments, "x\n");
            assert!(refusal.contains("a server has it open"), "{refusal}");
        }
        assert_eq!(place.answer(&["list"], ""), "Admin\nalice\n");
        server.end(Signal::TERM);

        assert_eq!(place.answer(&["passwd", "ALICE"], "new"), "changed the password of alice\n");
        assert_eq!(
            place.answer(&["delete", "ADMIN"], ""),
            "deleted the account Admin, with its mail and seats\n"
        );
        let server = place.serve();
        assert_eq!(logs_in(&server, "alice", "secret"), "ERR wrong-password");
        assert_eq!(logs_in(&server, "alice", "new"), "OK");
        assert_eq!(logs_in(&server, "admin", "open sesame"), "ERR no-account admin");
        server.end(Signal::TERM);
    }
}

#[test]
fn names_are_checked_as_the_server_checks_them() {
    let place = Place::with(STORES[0]);
    place.answer(&["add", "alice"], "secret\n");
    for (arguments, words) in [
        (&["add", "John Smith"][..], "a name like it is John_Smith"),
        (&["add", ""], "too short"),
        (&["add", &"x".repeat(33)], "bytes allowed: 32"),
        (&["add", "ALICE"], "has an account already"),
        (&["add", "a1ice"], "looks like a name"),
        (&["add", "adm1n"], "looks like a name"),
        (&["add", "server"], "the server itself"),
        (&["passwd", "bob"], "has no account"),
        (&["delete", "bob"], "has no account"),
    ] {
        let refusal = place.refusal(arguments, "secret\n");
        assert!(refusal.contains(words), "{arguments:?}: {refusal}");
        assert!(!refusal.contains("secret"), "{refusal}");
    }
    place.answer(&["add", "a1ice", "--force"], "secret\n");
    assert!(place.refusal(&["add", "bob"], "").contains("empty"));
    assert!(place.refusal(&["add", "bob"], &"x".repeat(1025)).contains("1024"));
    assert_eq!(place.answer(&["list"], ""), "alice\na1ice\n");
    // Nothing takes a password from the arguments.
    assert_eq!(place.run(&["add", "bob", "secret"], "").status.code(), Some(2));
    // A store that cannot be written is listed.
    let data = place.directory.path().join("parlance-data");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o555)).expect("ours");
    assert_eq!(place.answer(&["list"], ""), "alice\na1ice\n");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("ours");
    let nowhere = Place::with(STORES[1]);
    for arguments in [&["passwd", "bob"][..], &["delete", "bob"], &["list"]] {
        assert!(nowhere.refusal(arguments, "x\n").contains("there is no store"));
    }
}

#[test]
fn a_password_that_some_dialect_cannot_send_is_refused_with_the_reason() {
    let place = Place::with(STORES[0]);
    place.answer(&["add", "alice"], "correct horse\n");
    for (password, words) in [
        ("", "standard input has no password: its first line is empty"),
        ("\n", "standard input has no password: its first line is empty"),
        (" secret\n", "begin or end with white space"),
        ("secret \n", "begin or end with white space"),
        ("\tsecret\n", "begin or end with white space"),
        (" \n", "begin or end with white space"),
        ("\u{feff}\u{feff}secret\n", "byte order mark"),
        ("se\u{1b}cret\n", "control characters"),
        ("se\u{202e}cret\n", "control characters"),
        ("se\rcret\n", "control characters"),
    ] {
        for arguments in [["add", "bob"], ["passwd", "alice"]] {
            let refusal = place.refusal(&arguments, password);
            assert!(refusal.contains(words), "{arguments:?}, {password:?}: {refusal}");
            assert!(!refusal.contains("cannot read"), "{refusal}");
        }
    }
    assert_eq!(place.answer(&["list"], ""), "alice\n");
    let server = place.serve();
    assert_eq!(logs_in(&server, "alice", "correct horse"), "OK");
    server.end(Signal::TERM);
}

#[test]
fn a_store_of_an_earlier_version_is_migrated_and_said_to_be() {
    const V1: &[u8] = include_bytes!("store/v1.db");
    const V3: &[u8] = include_bytes!("store/v3.db");
    let with = |database: &[u8]| {
        let place = Place::with(STORES[0]);
        let StoreSpec::Sqlite(path) = place.spec() else { panic!("a database") };
        fs::create_dir(path.parent().expect("a directory")).expect("made");
        fs::write(path, database).expect("written");
        place
    };
    let errors = |output: &Output| str::from_utf8(&output.stderr).expect("UTF-8").to_owned();
    for (database, version) in [(V1, 1), (V3, 3)] {
        let migrated = format!("parlance-data/parlance.db from version {version} to version 5\n");
        // A command that only looks changes nothing.
        let place = with(database);
        let looked = place.run(&["list"], "");
        assert_eq!(looked.status.success(), version > 1, "{looked:?}");
        assert_eq!(errors(&looked).contains("start a server with it, which converts it"), version == 1);
        assert!(!errors(&looked).contains("migrated"), "{looked:?}");
        let added = place.run(&["add", "zoe"], "secret\n");
        assert!(added.status.success(), "{added:?}");
        assert_eq!(errors(&added), format!("parlance: migrated {migrated}"));
        assert_eq!(errors(&place.run(&["delete", "zoe"], "")), "");

        let place = with(database);
        for _ in 0..2 {
            place.serve().end(Signal::TERM);
        }
        let log = fs::read_to_string(place.directory.path().join("server.log")).expect("UTF-8");
        assert_eq!(log.matches("migrated").count(), 1, "the log of both runs: {log}");
        assert!(log.contains(&migrated), "{log}");
    }
}

#[test]
fn a_log_of_an_earlier_version_is_migrated_when_it_is_written_anew() {
    let place = Place::with(STORES[1]);
    place.answer(&["add", "alice"], "secret\n");
    let StoreSpec::Jsonl(directory) = place.spec() else { panic!("a log") };
    let mut files = fs::read_dir(&directory).expect("a directory").map(|entry| entry.expect("a file").path());
    let log = files.find(|path| path.extension().is_some_and(|end| end == "jsonl")).expect("a log");
    let text = fs::read_to_string(&log).expect("UTF-8");
    fs::write(&log, text.replacen("\"version\":2", "\"version\":1", 1)).expect("written");
    assert_eq!(place.answer(&["list"], ""), "alice\n");
    let compacted = place.command(&["compact"], "");
    assert!(compacted.status.success(), "{compacted:?}");
    let errors = String::from_utf8_lossy(&compacted.stderr);
    assert!(errors.starts_with("parlance: migrated "), "{errors}");
    assert!(errors.ends_with(" from version 1 to version 2\n"), "{errors}");
    assert!(place.command(&["compact"], "").stderr.is_empty());
}

#[test]
fn what_a_name_holds_ends_with_its_account_and_other_things_stay() {
    for store in STORES {
        let place = Place::with(store);
        place.answer(&["add", "alice"], "secret\n");
        place.answer(&["add", "bob"], "secret\n");
        let seat = |name: &str, byte| Seat {
            name: name.into(),
            token: Token::from_random([byte; 16]),
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let mail = |sender: &str, recipient: &str| Change::MailSent {
            sender: sender.into(),
            sender_has_account: true,
            sender_account: None,
            recipient_account: None,
            recipient: recipient.into(),
            content: "hello".into(),
            key: None,
        };
        let changes = [
            Change::RoomMade { room: "den".into(), host: seat("alice", 1) },
            Change::SeatTaken { room: "den".into(), seat: seat("bob", 2) },
            Change::SeatTaken { room: "den".into(), seat: seat("carol", 3) },
            mail("alice", "bob"),
            mail("bob", "alice"),
            mail("bob", "bob"),
        ];
        // Behind what the commands made, as ids rise.
        let later = UnixMillis(4_000_000_000_000);
        let op = |(index, change)| Op::new(OpId::new(later, index, 0), change);
        let ops: Vec<_> = (0..).zip(changes).map(op).collect();
        let mut open = store::open(&place.spec(), &Options::default()).expect("nobody has it open");
        open.commit(&ops).expect("committed");
        drop(open);
        wait_until_unlocked(place.spec().files()[0].parent().expect("a directory"));
        // A name that gains an account loses the seats that were taken without one.
        place.answer(&["add", "Carol"], "secret\n");
        place.answer(&["delete", "alice"], "");
        let kept = place.kept();
        let seat_of = |kept: &Kept| match kept {
            Kept::Seat { seat, .. } => Some(seat.name.to_string()),
            _ => None,
        };
        let seats: Vec<_> = kept.iter().filter_map(seat_of).collect();
        assert_eq!(seats, ["bob"]);
        let letters = kept.iter().filter(|kept| matches!(kept, Kept::Letter(_))).count();
        assert_eq!(letters, 1, "the one from bob to bob");
    }
}
