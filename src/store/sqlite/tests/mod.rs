//! What the tests of all stores cannot see.

mod content;
mod file;
mod first_version;
mod model;
mod second_version;
mod third_version;
mod words;

use std::net::Ipv4Addr;
use std::path::PathBuf;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::chat::{Change, HistoryRule, PasswordHash, RoomPattern, Seat, Token};
use crate::state::State;
use crate::store::Durability;

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";
/// 2023-11-14T22:13:20Z.
const START: u64 = 1_700_000_000_000;

/// A directory with a store, and ops for it.
struct Case {
    directory: TempDir,
    options: Options,
    next: u64,
}

impl Case {
    fn new() -> Self {
        let options = Options { durability: Durability::None, search: true };
        Self { directory: tempfile::tempdir().expect("a directory"), options, next: 0 }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("data").join("parlance.db")
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path(), &self.options).expect("it opens")
    }

    fn op(&mut self, change: Change) -> Op {
        self.next += 1;
        Op::new(OpId::new(UnixMillis(START + self.next), 0, self.next), change)
    }

    fn said(&mut self, room: &str, text: &str) -> Op {
        self.op(Change::Said { room: room.into(), sender: "Alice".into(), text: text.into() })
    }

    fn account(&mut self, name: &str) -> Op {
        let password = PasswordHash::new(HASH).expect("a hash");
        self.op(Change::AccountCreated { name: name.into(), password, is_unused: false })
    }

    fn sent(&mut self, sender: &str, recipient: &str, content: &str) -> Op {
        self.op(Change::MailSent {
            sender: sender.into(),
            sender_has_account: true,
            sender_account: None,
            recipient: recipient.into(),
            recipient_account: None,
            content: content.into(),
            key: None,
        })
    }
}

fn seat(byte: u8) -> Seat {
    Seat { name: "Alice".into(), token: Token::from_random([byte; 16]), ip: Ipv4Addr::LOCALHOST.into() }
}

fn keep(keep_messages: u64, keep_days: u32) -> HistoryRules {
    HistoryRules { default: HistoryRule { keep_messages, keep_days, on_join: 0 }, rooms: Vec::new() }
}

fn loaded(store: &mut dyn Reader) -> Vec<Kept> {
    let mut kept = Vec::new();
    store.load(&mut |part| kept.push(part)).expect("it loads");
    kept
}

fn texts(store: &mut dyn Reader, room: &str) -> Vec<String> {
    let history = store.history(room, None, usize::MAX).expect("it is read");
    history.into_iter().map(|message| String::from(message.text)).collect()
}

fn found(store: &mut dyn Reader, text: &str) -> Vec<String> {
    let found = store.search(text, 100).expect("it is searched");
    found.into_iter().map(|(room, message)| format!("{room}: {}", message.text)).collect()
}

fn summaries(store: &mut dyn Reader) -> Vec<(String, u64, u64)> {
    let mut rooms = Vec::new();
    store.rooms(&mut |room| rooms.push((room.room.into(), room.first, room.last))).expect("they are read");
    rooms
}

fn tidy(store: &mut SqliteStore, rules: &HistoryRules, now: u64) {
    while store.tidy(rules, UnixMillis(now)).expect("it is tidied") {}
}

#[track_caller]
fn assert_well(store: &mut SqliteStore) {
    assert_eq!(store.check().expect("it is checked"), Vec::<String>::new());
}
