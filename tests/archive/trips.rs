//! What is exported gives the same again.

use std::path::Path;

use parlance::archive::{Format, Material, export_json, export_jsonl};
use parlance::chat::{
    Change, HistoryRule, HistoryRules, Kept, Op, OpId, Page, PasswordHash, RoomMessage, RoomSummary, Seat,
    Token, UnixMillis,
};
use parlance::store::memory::MemoryStore;
use parlance::store::{self, Options, Reader, Sizes, Store, StoreError, StoreSpec};

use super::stores::{Contents, NOW, contents, import, stores};

/// A store with everything in it that can be.
fn fill(store: &mut dyn Store) {
    let hash = |text: &str| PasswordHash::new(text).expect("a hash");
    let account = |name: &str| Change::AccountCreated {
        name: name.into(),
        password: hash("$2b$04$x"),
        is_unused: false,
    };
    let mail = |sender: &str, sender_has_account, recipient: &str, content: &str, key: Option<&str>| {
        let (sender, recipient) = (sender.into(), recipient.into());
        let (content, key) = (content.into(), key.map(Into::into));
        Change::MailSent {
            sender,
            sender_has_account,
            sender_account: None,
            recipient,
            recipient_account: None,
            content,
            key,
        }
    };
    let seat = |name: &str, number| Seat {
        name: name.into(),
        token: Token::from_random([number; 16]),
        ip: "192.0.2.1".parse().expect("an address"),
    };
    let said = |room: &str, text: String| Change::Said {
        room: room.into(),
        sender: "\"quoted\"".into(),
        text: text.into(),
    };
    let mut changes = vec![
        account("Zoë"),
        account("alice"),
        account("bob"),
        mail("alice", true, "bob", "unread\nand \"two\" lines", Some("key")),
        mail("alice", true, "bob", "read", None),
        mail("stranger", false, "bob", "", None),
        mail("Alice", true, "alice", "to oneself", Some("own")),
        mail("bob", true, "Zoë", "deleted by its recipient, unread", None),
        mail("bob", true, "Zoë", "deleted by its recipient, read", None),
        mail("bob", true, "Zoë", "deleted by its sender", None),
        mail("bob", true, "Zoë", "cleared by its sender", Some("cleared")),
        mail("bob", true, "Zoë", "cleared by its recipient", None),
        mail("Zoë", true, "bob", "cleared by both", None),
        Change::RoomMade { room: "den".into(), host: seat("alice", 1) },
        Change::SeatTaken { room: "lobby".into(), seat: seat("\"quoted\"", 2) },
        Change::SeatTaken { room: "den".into(), seat: seat("bob", 3) },
    ];
    changes.extend((0..2500).map(|index| said("lobby", format!("{index} \u{1b}[2J ë"))));
    changes.push(said("den", "once".to_owned()));
    // Before the seventh change the clock was ten years ahead for a moment.
    let at = |index: usize| UnixMillis(1_700_000_000_000 + index as u64 / 3);
    let ahead = |index| if index < 6 { 0 } else { 10 * 365 * 24 * 60 * 60 * 1000 };
    let id = |index: usize| OpId::new(UnixMillis(at(index).0 + ahead(index)), index as u16 % 3, 7);
    let mut more = vec![
        Change::MailRead { reader: "bob".into(), messages: [id(4)].into() },
        Change::MailRead { reader: "Zoë".into(), messages: [id(8)].into() },
    ];
    more.extend(
        [(7, "Zoë"), (8, "Zoë"), (9, "bob")]
            .map(|(index, by)| Change::MailDeleted { by: by.into(), message: id(index) }),
    );
    more.extend([("bob", [10, 12]), ("Zoë", [11, 12])].map(|(by, messages)| Change::ConversationCleared {
        by: by.into(),
        messages: messages.map(id).into(),
    }));
    changes.extend(more);
    let ops: Vec<_> = changes
        .into_iter()
        .enumerate()
        .map(|(index, change)| Op { id: id(index), at: at(index), change })
        .collect();
    store.commit(&ops).expect("committed");
}

fn filled() -> Vec<(&'static str, Box<dyn Store>, tempfile::TempDir)> {
    let mut stores = stores();
    for (_, store, _) in &mut stores {
        fill(&mut **store);
    }
    stores
}

fn exported(store: &mut dyn Store, is_json: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let result = if is_json { export_json(store, NOW, &mut out) } else { export_jsonl(store, &mut out) };
    result.expect("exported");
    out
}

#[test]
fn an_export_imported_into_an_empty_store_is_the_same_state() {
    for (kind, mut store, _directory) in filled() {
        let expected = contents(&mut *store);
        assert_eq!(expected.letters.len(), 8, "{kind}");
        for is_json in [false, true] {
            let bytes = exported(&mut *store, is_json);
            for (target, mut empty, _directory) in stores() {
                let trip = format!("{kind} to {target}, json: {is_json}");
                let format = Material::new().read("x", &bytes[..], Format::Auto).expect("read");
                assert_eq!(format, if is_json { Format::Rooms } else { Format::Jsonl }, "{trip}");
                let (report, _) = import(&mut *empty, &[("x", &bytes)]);
                assert!(!report.has_left(), "{trip}: {report}");
                let mut arrived = contents(&mut *empty);
                if is_json {
                    // Room by room: within one, the order is the same.
                    arrived.seats.sort_by_key(|seat| seat.2.clone());
                }
                assert!(arrived == expected, "{trip}: {}", difference(&arrived, &expected));
                let (again, ops) = import(&mut *empty, &[("x", &bytes)]);
                assert_eq!(ops, 0, "{trip}: {again}");
            }
        }
    }
}

/// The first thing that differs.
fn difference(arrived: &Contents, expected: &Contents) -> String {
    if arrived.letters != expected.letters {
        return format!("{:?} {:?}", arrived.letters, expected.letters);
    }
    format!("{:?} {:?}\n{:?} {:?}", arrived.accounts, expected.accounts, arrived.seats, expected.seats)
}

#[test]
fn numbers_of_messages_begin_anew_where_the_oldest_are_gone() {
    for (kind, mut store, _directory) in filled() {
        let rule = HistoryRule { keep_messages: 1700, keep_days: 0, on_join: 0 };
        let rules = HistoryRules { default: rule, rooms: Vec::new() };
        while store.tidy(&rules, NOW).expect("tidied") {}
        let bytes = exported(&mut *store, false);
        let text = String::from_utf8(bytes.clone()).expect("UTF-8");
        assert_eq!(text.matches("\"sequence\":").count(), 1, "{kind}: of the oldest that is there");
        assert!(text.contains("\"sequence\":801}"), "{kind}");
        let (_, mut empty, _directory) = stores().remove(0);
        import(&mut *empty, &[("x", &bytes)]);
        let (before, after) = (contents(&mut *store), contents(&mut *empty));
        let ids =
            |contents: &Contents| contents.rooms["lobby"].iter().map(|said| said.id).collect::<Vec<_>>();
        assert_eq!(ids(&after), ids(&before), "{kind}");
        assert_eq!(after.rooms["lobby"][0].sequence, 1, "{kind}");
    }
}

#[test]
fn what_was_said_while_the_clock_was_ahead_goes_across_as_it_was_said() {
    const YEAR: u64 = 366 * 24 * 60 * 60 * 1000;
    for (kind, mut store, _directory) in stores() {
        let hash = PasswordHash::new("$2b$04$x").expect("a hash");
        let said = |text: &str| Change::Said { room: "den".into(), sender: "ann".into(), text: text.into() };
        let mail = |content: &str| Change::MailSent {
            sender: "ann".into(),
            sender_has_account: true,
            sender_account: None,
            recipient: "ann".into(),
            recipient_account: None,
            content: content.into(),
            key: None,
        };
        let changes = [
            (0, Change::AccountCreated { name: "ann".into(), password: hash, is_unused: false }),
            (2 * YEAR, said("two years ahead")),
            (2 * YEAR, mail("two years ahead")),
            (0, said("set right")),
            (0, mail("set right")),
            (90 * YEAR, said("ninety years ahead")),
            (90 * YEAR, mail("ninety years ahead")),
            (0, said("set right again")),
        ];
        let mut last = 0;
        let ops: Vec<_> = (0..)
            .zip(changes)
            .map(|(index, (ahead, change))| {
                let at = NOW.0 + ahead + index;
                last = at.max(last + 1);
                Op { id: OpId::new(UnixMillis(last), 0, index), at: UnixMillis(at), change }
            })
            .collect();
        store.commit(&ops).expect("committed");
        let expected = contents(&mut *store);
        assert_eq!((expected.rooms["den"].len(), expected.letters.len()), (4, 3), "{kind}");
        for is_json in [false, true] {
            let bytes = exported(&mut *store, is_json);
            for (target, mut empty, _directory) in stores() {
                let trip = format!("{kind} to {target}, json: {is_json}");
                let (report, _) = import(&mut *empty, &[("x", &bytes)]);
                assert!(!report.has_left(), "{trip}: {report}");
                assert!(contents(&mut *empty) == expected, "{trip}");
                let (again, ops) = import(&mut *empty, &[("x", &bytes)]);
                assert_eq!((ops, again.left_count()), (0, 0), "{trip}: {again}");
            }
        }
    }
}

/// A store of which nothing can be read, or no room.
struct Unreadable(MemoryStore, bool);

impl Reader for Unreadable {
    fn load(&mut self, visit: &mut dyn FnMut(Kept)) -> Result<Option<OpId>, StoreError> {
        if self.1 { self.0.load(visit) } else { Err(unreadable()) }
    }

    fn rooms(&mut self, _visit: &mut dyn FnMut(RoomSummary)) -> Result<(), StoreError> {
        Err(unreadable())
    }

    fn page(&mut self, _room: &str, _page: Page, _count: usize) -> Result<Vec<RoomMessage>, StoreError> {
        Err(unreadable())
    }

    fn search(&mut self, _text: &str, _count: usize) -> Result<Vec<(Box<str>, RoomMessage)>, StoreError> {
        Err(unreadable())
    }

    fn check(&mut self) -> Result<Vec<String>, StoreError> {
        Err(unreadable())
    }

    fn sizes(&mut self) -> Result<Sizes, StoreError> {
        Err(unreadable())
    }

    fn backup(&mut self, _to: &Path) -> Result<(), StoreError> {
        Err(unreadable())
    }
}

fn unreadable() -> StoreError {
    StoreError::Io { path: "x".into(), cause: std::io::Error::other("a bad sector") }
}

#[test]
fn an_export_of_a_store_that_cannot_be_read_is_no_output() {
    for has_seats in [false, true] {
        let mut store = Unreadable(MemoryStore::new(), has_seats);
        let mut out = Vec::new();
        let error = export_jsonl(&mut store, &mut out).expect_err("it cannot be read");
        assert!(error.to_string().contains("a bad sector"), "{error}");
        assert_eq!(out, b"");
    }
    let mut out = Vec::new();
    export_json(&mut Unreadable(MemoryStore::new(), false), NOW, &mut out).expect_err("it cannot be read");
    assert_eq!(out, b"");
    export_jsonl(&mut MemoryStore::new(), &mut out).expect("exported");
    assert_eq!(out, b"{\"operation\":\"format\",\"version\":2}\n", "an empty store has an export");
}

#[test]
fn both_exports_are_what_they_are_called() {
    let (_, mut store, _directory) = filled().remove(0);
    let log = String::from_utf8(exported(&mut *store, false)).expect("UTF-8");
    for line in log.lines() {
        assert!(line.starts_with('{'), "{line}");
        serde_json::from_str::<serde_json::Value>(line).expect("JSON");
        assert!(!line.contains('\u{1b}'), "{line}");
    }
    let object = exported(&mut *store, true);
    let object: serde_json::Value = serde_json::from_slice(&object).expect("JSON");
    assert_eq!(object["accounts"]["Zoë"], "$2b$04$x");
    let host = format!("token_{}", "01".repeat(16));
    assert_eq!(object["rooms"]["den"]["host_token"], host.as_str());
    assert_eq!(object["rooms"]["den"]["members"][0], host.as_str());
    assert!(object["rooms"]["den"]["created_at"].is_f64(), "a number, as datetime.fromtimestamp takes it");
    assert_eq!(object["tokens"][&host]["username"], "\"alice\"");
    assert_eq!(object["tokens"][&host]["room_name"], "den");
    assert_eq!(object["tokens"][&host]["is_host"], true);
    assert!(object["tokens"][&host]["address"].is_array());
    assert_eq!(object["messages"].as_array().map(Vec::len), Some(2509));
}

#[test]
fn a_full_disk_ends_an_export_with_its_own_words() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (_, mut store, _directory) = filled().remove(0);
    for space in [0, 100, 1000, 5000, 100_000] {
        for error in [
            export_json(&mut *store, NOW, &mut Full(space)).expect_err("it is full"),
            export_jsonl(&mut *store, &mut Full(space)).expect_err("it is full"),
        ] {
            assert_eq!(error.to_string(), "cannot write the export: no storage space", "{space}");
        }
    }
}

#[test]
fn an_exported_log_is_the_log_of_a_store_and_the_other_way_round() {
    for (kind, mut store, _directory) in filled() {
        let expected = contents(&mut *store);
        let directory = tempfile::tempdir().expect("a directory");
        let log = directory.path().join("log.jsonl");
        std::fs::write(&log, exported(&mut *store, false)).expect("written");
        let spec = StoreSpec::Jsonl(directory.path().to_owned());
        let mut opened = store::open(&spec, &Options::default()).expect("a log");
        assert_eq!(opened.check().expect("checked"), [""; 0], "{kind}");
        assert!(contents(&mut *opened) == expected, "{kind}");
        fill(&mut *opened);
        opened.compact().expect("compacted");
        drop(opened);

        let bytes = std::fs::read(&log).expect("a log");
        let (_, mut empty, _directory) = stores().remove(0);
        let (report, _) = import(&mut *empty, &[("log.jsonl", &bytes)]);
        assert!(!report.has_left(), "{kind}: {report}");
        assert!(contents(&mut *empty) == expected, "{kind}");
    }
}

#[test]
fn a_log_that_was_never_written_anew_can_be_imported() {
    let directory = tempfile::tempdir().expect("a directory");
    let spec = StoreSpec::Jsonl(directory.path().to_owned());
    let mut store = store::open(&spec, &Options::default()).expect("a new store");
    fill(&mut *store);
    let expected = contents(&mut *store);
    drop(store);
    let bytes = std::fs::read(directory.path().join("log.jsonl")).expect("a log");
    for (kind, mut empty, _directory) in stores() {
        let (report, _) = import(&mut *empty, &[("log.jsonl", &bytes)]);
        assert!(!report.has_left(), "{kind}: {report}");
        assert!(contents(&mut *empty) == expected, "{kind}");
    }
}
