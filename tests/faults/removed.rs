//! Files of the store that are removed, replaced or renamed while a server has them open.

use std::fs;
use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::Path;

use parlance::client::{ClientError, Mailbox};
use parlance::wire::Dialect;
use rustix::process::Signal;

use crate::program::{Program, deadline, parlance, run};

const STORES: [(&str, &str); 2] = [("sqlite:chat.db", "chat.db"), ("jsonl:log", "log/log.jsonl")];

/// Alice, who writes to herself, and what came of that.
struct Alice {
    mailbox: Mailbox,
    count: usize,
    kept: Vec<String>,
    refused: Vec<String>,
}

impl Alice {
    fn login(server: &Program) -> Mailbox {
        let mut mailbox = Mailbox::connect(server.address(Dialect::Typed), deadline()).expect("it listens");
        mailbox.login("alice", "secret", deadline()).expect("her account");
        mailbox
    }

    fn new(server: &Program) -> Self {
        Self { mailbox: Self::login(server), count: 0, kept: Vec::new(), refused: Vec::new() }
    }

    /// Sends one more; whether it is kept.
    fn send(&mut self) -> bool {
        self.count += 1;
        let text = format!("message {}", self.count);
        match self.mailbox.send_kept("alice", &text, &text, deadline()) {
            Ok(_) => self.kept.push(text),
            Err(ClientError::Failed(reason)) => {
                assert!(reason.contains("nothing can be kept"), "{reason}");
                self.refused.push(text);
                return false;
            }
            Err(other) => panic!("{other}"),
        }
        true
    }

    fn send_until_kept(&mut self) {
        while !self.send() {}
    }

    /// What was acknowledged is there after a restart, and nothing that was refused.
    fn holds(&self, server: &Program) {
        let there = Self::login(server).history("alice", None, 1000, deadline()).expect("a page");
        let there: Vec<_> = there.into_iter().map(|letter| letter.content).collect();
        assert_eq!(there, self.kept, "refused: {:?}", self.refused);
    }
}

fn start(directory: &Path, store: &str) -> Program {
    Program::start(directory, &["--data", "data", "--store", store])
}

#[test]
fn what_is_gone_with_its_directory_is_not_said_to_be_kept() {
    for (store, _) in STORES {
        let directory = tempfile::tempdir().expect("a directory");
        let server = start(directory.path(), store);
        let mut alice = Alice::new(&server);
        assert!(alice.send(), "{store}");
        fs::remove_dir_all(directory.path().join("data")).expect("removed");
        for _ in 0..3 {
            assert!(!alice.send(), "{store}");
        }
        server.wait_for_log("the file is gone; put it back");
        // It did not begin another store by itself, either.
        assert_eq!(server.end(Signal::TERM).code(), Some(0));
        assert!(!directory.path().join("data").exists());
    }
}

#[test]
fn a_store_that_took_the_place_of_another_is_left_as_it_is() {
    for (store, file) in STORES {
        let directory = tempfile::tempdir().expect("a directory");
        let server = start(directory.path(), store);
        let mut alice = Alice::new(&server);
        assert!(alice.send());
        let path = directory.path().join("data").join(file);
        let other = directory.path().join("other");
        fs::copy(&path, &other).expect("copied");
        let before = fs::read(&other).expect("read");
        fs::rename(&other, &path).expect("put in place");
        for _ in 0..3 {
            assert!(!alice.send(), "{store}");
        }
        server.wait_for_log("another file has this name now");
        assert_eq!(server.end(Signal::TERM).code(), Some(0));
        assert!(fs::read(&path).expect("it is there") == before, "{store}: it was written to");
    }
}

#[test]
fn a_log_that_was_changed_in_place_takes_nothing_until_it_has_its_length_again() {
    for change in ["empty", "shorter", "longer"] {
        let directory = tempfile::tempdir().expect("a directory");
        let server = start(directory.path(), "jsonl:log");
        let mut alice = Alice::new(&server);
        assert!(alice.send());
        let path = directory.path().join("data/log/log.jsonl");
        let before = fs::read(&path).expect("read");
        let changed = match change {
            "empty" => Vec::new(),
            "shorter" => before[..before.len() - 1].to_vec(),
            _ => [&before[..], b"{}\n"].concat(),
        };
        fs::write(&path, &changed).expect("written in place");
        for _ in 0..3 {
            assert!(!alice.send(), "{change}");
        }
        server.wait_for_log("the file was changed by another program");
        assert!(fs::read(&path).expect("read") == changed, "it was written to");
        fs::write(&path, &before).expect("written in place");
        alice.send_until_kept();
        assert!(alice.send());
        server.wait_for_log("the store is well again");
        assert_eq!(server.end(Signal::KILL).code(), None);
        alice.holds(&start(directory.path(), "jsonl:log"));
    }
}

#[test]
fn a_store_that_has_its_name_again_goes_on() {
    for (store, _) in STORES {
        let directory = tempfile::tempdir().expect("a directory");
        let server = start(directory.path(), store);
        let mut alice = Alice::new(&server);
        assert!(alice.send());
        let [data, away] = ["data", "away"].map(|name| directory.path().join(name));
        fs::rename(&data, &away).expect("renamed");
        assert!(!alice.send(), "{store}: a renamed store is not where the next start looks for it");
        assert!(!alice.send());
        fs::rename(&away, &data).expect("renamed");
        alice.send_until_kept();
        assert!(alice.send());
        server.wait_for_log("the store is well again");
        assert_eq!(server.end(Signal::KILL).code(), None);
        alice.holds(&start(directory.path(), store));
    }
}

#[test]
fn a_store_with_a_relative_path_is_gone_with_a_rename_of_the_working_directory() {
    for (store, _) in STORES {
        let directory = tempfile::tempdir().expect("a directory");
        let [work, away] = ["work", "away"].map(|name| directory.path().join(name));
        fs::create_dir(&work).expect("created");
        let server = start(&work, store);
        let mut alice = Alice::new(&server);
        assert!(alice.send());
        fs::rename(&work, &away).expect("renamed");
        for _ in 0..3 {
            assert!(!alice.send(), "{store}: a renamed store is not where the next start looks for it");
        }
        assert!(!work.exists(), "{store}: another store was begun");
        fs::rename(&away, &work).expect("renamed");
        alice.send_until_kept();
        assert!(alice.send());
        server.wait_for_log("the store is well again");
        assert_eq!(server.end(Signal::KILL).code(), None);
        alice.holds(&start(&work, store));
    }
}

#[test]
fn a_write_ahead_log_that_was_removed_loses_nothing_that_was_acknowledged() {
    for lost in [&["chat.db-wal"][..], &["chat.db-shm"], &["chat.db-wal", "chat.db-shm"]] {
        let directory = tempfile::tempdir().expect("a directory");
        let server = start(directory.path(), "sqlite:chat.db");
        let mut alice = Alice::new(&server);
        for _ in 0..5 {
            assert!(alice.send());
        }
        for name in lost {
            fs::remove_file(directory.path().join("data").join(name)).expect("it was there");
        }
        for _ in 0..5 {
            alice.send_until_kept();
        }
        server.wait_for_log("a new log is begun");
        for name in lost {
            assert!(directory.path().join("data").join(name).exists(), "{name}");
        }
        assert_eq!(server.end(Signal::KILL).code(), None);
        let (status, said) =
            run(directory.path(), &["--data", "data", "--store", "sqlite:chat.db", "store", "check"]);
        assert!(status.success(), "{said}");
        alice.holds(&start(directory.path(), "sqlite:chat.db"));
    }
}

#[test]
fn a_database_that_was_changed_in_place_is_not_said_to_keep_anything() {
    for (what, name) in
        [("older", "chat.db"), ("empty", "chat.db"), ("empty", "chat.db-wal"), ("older", "chat.db-wal")]
    {
        let directory = tempfile::tempdir().expect("a directory");
        let server = start(directory.path(), "sqlite:chat.db");
        let mut alice = Alice::new(&server);
        for _ in 0..3 {
            assert!(alice.send());
        }
        let path = directory.path().join("data").join(name);
        let older = fs::read(&path).expect("read");
        for _ in 0..3 {
            assert!(alice.send());
        }
        // The first inode stays.
        let changed = if what == "older" { &older[..] } else { &[] };
        fs::write(&path, changed).expect("written in place");
        for _ in 0..3 {
            assert!(!alice.send(), "{name}, {what}");
        }
        server.wait_for_log("the file was changed by another program");
        let found = fs::read(&path).expect("read");
        assert!(found == changed, "{name}, {what}: it was written to");
        assert_eq!(server.end(Signal::TERM).code(), Some(0));
        assert!(fs::read(&path).expect("read") == changed, "{name}, {what}: it was written to at the end");
    }
}

#[test]
fn commands_that_look_and_other_programs_that_use_sqlite_raise_no_alarm() {
    for (store, file) in STORES {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("accounts.json"), r#"{"zoe":"$2b$04$x"}"#).expect("written");
        let server = start(directory.path(), store);
        let mut alice = Alice::new(&server);
        assert!(alice.send());
        let stored = ["--data", "data", "--store", store];
        for round in 0..3 {
            let copy = format!("copy{round}");
            let out = format!("out{round}");
            let commands: [&[&str]; 6] = [
                &["backup", &copy],
                &["history"],
                &["search", "message"],
                &["export", "--format", "jsonl", "--out", &out],
                &["store", "check"],
                &["import", "accounts.json", "--dry-run"],
            ];
            let mut running: Vec<_> = commands
                .iter()
                .map(|command| {
                    let mut command = parlance(directory.path(), &[command, &stored[..]].concat());
                    let output =
                        File::options().append(true).create(true).open(directory.path().join("said"));
                    let output = output.expect("a file");
                    command.stdout(output.try_clone().expect("a handle")).stderr(output);
                    command.spawn().expect("it starts")
                })
                .collect();
            while !running.is_empty() {
                assert!(alice.send(), "{store}");
                running.retain_mut(|child| match child.try_wait().expect("it runs") {
                    Some(status) => {
                        let said = fs::read_to_string(directory.path().join("said")).expect("UTF-8");
                        assert!(status.success(), "{store}: {said}");
                        false
                    }
                    None => true,
                });
            }
            if store.starts_with("sqlite") {
                // What a tool for replicas does.
                let database =
                    rusqlite::Connection::open(directory.path().join("data").join(file)).expect("opened");
                for mode in ["PASSIVE", "FULL", "RESTART", "TRUNCATE"] {
                    database
                        .query_row(&format!("PRAGMA wal_checkpoint({mode})"), (), |_| Ok(()))
                        .expect("moved");
                    assert!(alice.send(), "{mode}");
                }
            }
        }
        assert!(!server.log().contains("cannot keep"), "{}", server.log());
        assert_eq!(server.end(Signal::KILL).code(), None);
        alice.holds(&start(directory.path(), store));
    }
}

#[test]
fn a_log_that_was_overwritten_in_its_length_takes_nothing_until_its_contents_are_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = start(directory.path(), "jsonl:log");
    let mut alice = Alice::new(&server);
    assert!(alice.send());
    let path = directory.path().join("data/log/log.jsonl");
    let before = fs::read(&path).expect("read");
    // The last line is another one, of the same length.
    let end = before.len() - 1;
    let last = before[..end].iter().rposition(|&byte| byte == b'\n').expect("a line") + 1;
    let blanks = vec![b' '; end - last - 2];
    let changed = [&before[..last], &blanks, b"{}\n"].concat();
    assert_eq!(changed.len(), before.len());
    fs::write(&path, &changed).expect("written in place");
    for _ in 0..3 {
        assert!(!alice.send());
    }
    server.wait_for_log("the file was changed by another program: it was written to in place");
    assert!(fs::read(&path).expect("read") == changed, "it was written to");
    fs::write(&path, &before).expect("written in place");
    alice.send_until_kept();
    server.wait_for_log("the same contents as before");
    // A new time alone is no change.
    File::options()
        .write(true)
        .open(&path)
        .expect("opened")
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .expect("touched");
    assert!(alice.send());
    assert_eq!(server.end(Signal::KILL).code(), None);
    alice.holds(&start(directory.path(), "jsonl:log"));
}

#[test]
fn a_link_that_points_to_another_file_counts_as_a_replaced_store() {
    for (store, file) in STORES {
        let directory = tempfile::tempdir().expect("a directory");
        let link = directory.path().join("data").join(file);
        fs::create_dir_all(link.parent().expect("a directory")).expect("made");
        fs::create_dir(directory.path().join("disk")).expect("made");
        let [real, other] = ["disk/real", "disk/other"].map(|name| directory.path().join(name));
        symlink(&real, &link).expect("a link");
        let server = start(directory.path(), store);
        let mut alice = Alice::new(&server);
        assert!(alice.send());
        fs::copy(&real, &other).expect("copied");
        let turn_to = |target: &Path| {
            let new = directory.path().join("new");
            symlink(target, &new).expect("a link");
            fs::rename(&new, &link).expect("renamed");
        };
        turn_to(&other);
        for _ in 0..3 {
            assert!(!alice.send(), "{store}");
        }
        server.wait_for_log("another file has this name now");
        turn_to(&real);
        alice.send_until_kept();
        assert_eq!(server.end(Signal::KILL).code(), None);
        alice.holds(&start(directory.path(), store));
    }
}
