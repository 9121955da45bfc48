//! Files of the store that are removed, replaced or renamed while a server has them open.

use std::fs;
use std::path::Path;

use parlance::client::{ClientError, Mailbox};
use parlance::wire::Dialect;
use rustix::process::Signal;

use crate::program::{Program, deadline, run};

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
