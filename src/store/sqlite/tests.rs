//! What the tests of all stores cannot see: the file.

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
        Op { id: OpId::new(UnixMillis(START + self.next), 0, self.next), change }
    }

    fn said(&mut self, room: &str, text: &str) -> Op {
        self.op(Change::Said { room: room.into(), sender: "Alice".into(), text: text.into() })
    }

    fn account(&mut self, name: &str) -> Op {
        let password = PasswordHash::new(HASH).expect("a hash");
        self.op(Change::AccountCreated { name: name.into(), password })
    }

    fn sent(&mut self, sender: &str, recipient: &str, content: &str) -> Op {
        self.op(Change::MailSent {
            sender: sender.into(),
            sender_has_account: true,
            recipient: recipient.into(),
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

#[test]
fn what_was_committed_is_there_when_the_process_ended_without_closing() {
    let mut case = Case::new();
    let mut store = case.open();
    let ops = [
        case.account("Alice"),
        case.account("bob"),
        case.sent("alice", "Bob", "hello"),
        case.said("lobby", "hi"),
    ];
    store.commit(&ops).expect("it is committed");
    // As the kernel leaves the files of a process that was killed: without a checkpoint.
    let copy = Case::new();
    std::fs::create_dir(copy.path().parent().expect("a directory")).expect("it is made");
    for end in ["", "-wal"] {
        let file = |case: &Case| format!("{}{end}", case.path().display());
        std::fs::copy(file(&case), file(&copy)).expect("it is copied");
    }
    let mut copied = copy.open();
    assert_eq!(loaded(&mut copied), loaded(&mut store));
    assert_eq!(loaded(&mut copied).len(), 3);
    assert_eq!(texts(&mut copied, "lobby"), ["hi"]);
    assert_well(&mut copied);
}

#[test]
fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mut case = Case::new();
    let mut store = case.open();
    store.commit(&[case.account("alice")]).expect("it is committed");
    let backup = case.directory.path().join("backup.db");
    store.backup(&backup).expect("it is copied");
    let mode = |path: PathBuf| path.metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(case.path().parent().expect("a directory").into()), 0o700);
    assert_eq!(mode(case.path()), 0o600);
    assert_eq!(mode(format!("{}-wal", case.path().display()).into()), 0o600);
    assert_eq!(mode(backup), 0o600);
}

#[test]
fn one_server_has_it_at_a_time() {
    let case = Case::new();
    let store = case.open();
    let error = SqliteStore::open(&case.path(), &case.options).expect_err("somebody has it");
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    drop(store);
    case.open();
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let case = Case::new();
    drop(case.open());
    let connection = Connection::open(case.path()).expect("it opens");
    connection.pragma_update(None, "user_version", 99).expect("it is set");
    drop(connection);
    let error = SqliteStore::open(&case.path(), &case.options).expect_err("it is newer");
    assert!(matches!(error, StoreError::Newer { found: 99, known: 2, .. }), "{error}");
    assert!(open_reader(&case.path()).is_err());
}

#[test]
fn what_is_no_database_of_ours_is_said_to_be_damaged() {
    let case = Case::new();
    drop(case.open());
    std::fs::write(case.path(), "not a database, but a text that is long enough to be looked at")
        .expect("written");
    let error = SqliteStore::open(&case.path(), &case.options).expect_err("it is none");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains(".recover"), "{error}");

    std::fs::remove_file(case.path()).expect("removed");
    let connection = Connection::open(case.path()).expect("it opens");
    connection.execute_batch("CREATE TABLE theirs (x)").expect("it is made");
    drop(connection);
    let error = SqliteStore::open(&case.path(), &case.options).expect_err("it is another program's");
    assert!(error.to_string().contains("another program"), "{error}");
}

#[test]
fn a_page_that_cannot_be_read_is_found() {
    let mut case = Case::new();
    let mut store = case.open();
    let ops: Vec<_> = (0..2000).map(|_| case.said("lobby", "some text that takes space")).collect();
    store.commit(&ops).expect("it is committed");
    store.compact().expect("it is compacted");
    drop(store);
    let mut bytes = std::fs::read(case.path()).expect("it is read");
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    std::fs::write(case.path(), bytes).expect("it is written");
    let mut store = case.open();
    assert!(!store.check().expect("it is checked").is_empty());
}

#[test]
fn a_reader_sees_what_is_committed_while_a_server_writes() {
    let mut case = Case::new();
    let error = open_reader(&case.path()).err().expect("it is not there");
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert!(!case.path().exists());

    let mut store = case.open();
    let mut reader = open_reader(&case.path()).expect("it opens");
    for round in 1..=3 {
        store.commit(&[case.said("lobby", "again")]).expect("it is committed");
        assert_eq!(texts(&mut *reader, "lobby").len(), round);
        assert_eq!(found(&mut *reader, "AGAIN").len(), round);
        tidy(&mut store, &keep(100, 0), START);
        assert_eq!(found(&mut *reader, "AGAIN").len(), round);
    }
    assert_eq!(reader.check().expect("it is checked"), Vec::<String>::new());
    let backup = case.directory.path().join("backup.db");
    reader.backup(&backup).expect("it is copied");
    assert!(reader.backup(&backup).is_err(), "it is there already");
    drop(store);
    assert_eq!(texts(&mut *reader, "lobby").len(), 3);
    let mut copy = open_reader(&backup).expect("it opens");
    assert_eq!(texts(&mut *copy, "lobby").len(), 3);
    assert_eq!(found(&mut *copy, "again").len(), 3);
}

#[test]
fn a_group_that_does_not_fit_leaves_nothing_and_can_be_committed_later() {
    let mut case = Case::new();
    let mut store = case.open();
    let first = [case.account("alice"), case.said("lobby", "first")];
    store.commit(&first).expect("it is committed");
    let connection = &store.reader.connection;
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).expect("a count");
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).expect("it is set");

    let mut group = vec![case.account("bob"), case.sent("alice", "bob", "hello"), case.said("new", "second")];
    group.extend((0..1000).map(|_| case.said("lobby", "more than there is space for, by far and away")));
    let error = store.commit(&group).expect_err("the disk is full");
    assert!(matches!(&error, StoreError::Io { .. }), "{error}");
    assert!(error.to_string().contains("make space"), "{error}");
    assert_eq!(texts(&mut store, "lobby"), ["first"]);
    assert_eq!(loaded(&mut store).len(), 1);

    let connection = &store.reader.connection;
    connection.pragma_update_and_check(None, "max_page_count", 1 << 20, |_| Ok(())).expect("it is set");
    store.commit(&group).expect("there is space");
    assert_eq!(summaries(&mut store), [("lobby".to_owned(), 1, 1001), ("new".to_owned(), 1, 1)]);
    assert_eq!(loaded(&mut store).len(), 3);
    assert_well(&mut store);
}

#[test]
fn the_same_ops_twice_are_the_same_as_once() {
    let mut case = Case::new();
    let mut store = case.open();
    let ops = [
        case.account("alice"),
        case.account("bob"),
        case.sent("alice", "bob", "hello"),
        case.op(Change::RoomMade { room: "den".into(), host: seat(1) }),
        case.said("den", "hi"),
    ];
    store.commit(&ops).expect("it is committed");
    let once = (loaded(&mut store), texts(&mut store, "den"));
    store.commit(&ops).expect("it is committed");
    drop(store);
    let mut store = case.open();
    store.commit(&ops[1..]).expect("it is committed");
    assert_eq!((loaded(&mut store), texts(&mut store, "den")), once);
    assert_well(&mut store);
}

#[test]
fn ids_that_share_a_time_and_come_out_of_order_are_told_apart() {
    let mut case = Case::new();
    let mut store = case.open();
    let accounts = [case.account("alice"), case.account("bob")];
    store.commit(&accounts).expect("it is committed");
    let ids: Vec<_> = [5, 3, 9, 1].iter().map(|&random| OpId::new(UnixMillis(START), 7, random)).collect();
    let next = OpId::new(UnixMillis(START), 8, 4);
    let mut state = State::new(0);
    accounts.iter().for_each(|op| state.apply(op));
    for &id in ids.iter().chain([&next]) {
        let mail = case.sent("alice", "bob", &id.to_string());
        let said = case.said("lobby", &format!("word {id}"));
        let ops = [mail, said].map(|op| Op { id, ..op });
        store.commit(&ops).expect("it is committed");
        state.apply(&ops[0]);
        tidy(&mut store, &keep(100, 0), START);
    }
    for id in [ids[0], ids[2]] {
        let deleted = case.op(Change::MailDeleted { by: "alice".into(), message: id });
        store.commit(std::slice::from_ref(&deleted)).expect("it is committed");
        state.apply(&deleted);
    }
    let read = case.op(Change::MailRead { reader: "bob".into(), messages: [ids[1], next].into() });
    store.commit(std::slice::from_ref(&read)).expect("it is committed");
    state.apply(&read);
    let mut expected = Vec::new();
    state.visit(&mut |kept| expected.push(kept));
    assert_eq!(loaded(&mut store), expected);
    let before = store.history("lobby", Some(next), 2).expect("it is read");
    assert_eq!(before.iter().map(|message| message.id).collect::<Vec<_>>(), ids[2..]);
    let found = store.search("word", 100).expect("it is searched");
    assert!(found.iter().map(|(_, message)| message.id).rev().is_sorted());
    assert_eq!(found.len(), 5);
    assert_well(&mut store);
}

#[test]
fn letters_of_an_account_that_is_gone_are_gone_at_once_and_then_deleted() {
    let mut case = Case::new();
    let mut store = case.open();
    let mut ops = vec![case.account("alice"), case.account("bob"), case.account("carol")];
    for (sender, recipient) in [("alice", "bob"), ("bob", "alice"), ("bob", "carol"), ("carol", "bob")] {
        ops.push(case.sent(sender, recipient, "hello"));
    }
    let hidden = ops[3].id;
    ops.push(case.op(Change::MailDeleted { by: "bob".into(), message: hidden }));
    ops.push(case.op(Change::AccountDeleted { name: "BOB".into() }));
    ops.push(case.account("bob"));
    ops.push(case.sent("carol", "bob", "who are you?"));
    let mut state = State::new(0);
    ops.iter().for_each(|op| state.apply(op));
    let mut expected = Vec::new();
    state.visit(&mut |kept| expected.push(kept));
    store.commit(&ops).expect("it is committed");
    assert_eq!(loaded(&mut store), expected);
    assert_eq!(store.sizes().expect("sizes").letters, 1);
    // What is to be deleted is remembered.
    drop(store);
    let mut store = case.open();
    tidy(&mut store, &keep(100, 0), START);
    assert_eq!(loaded(&mut store), expected);
    let count = |store: &SqliteStore| -> i64 {
        store
            .reader
            .connection
            .query_row("SELECT count(*) FROM letters", [], |row| row.get(0))
            .expect("a count")
    };
    assert_eq!(count(&store), 1);
    assert!(!store.tidy(&keep(100, 0), UnixMillis(START)).expect("it is tidied"));
}

#[test]
fn messages_are_found_before_and_after_they_are_indexed() {
    let mut case = Case::new();
    let mut store = case.open();
    let first = [
        case.said("a", "Zoë said \"hello\" AND went"),
        case.said("b", "हिन्दी में hello"),
        case.said("a", "other"),
    ];
    store.commit(&first).expect("it is committed");
    let look = |store: &mut SqliteStore| {
        ["zoe HELLO", "hello", "hell", "and", "\"hello\" OR other", "हिन्दी", "NEAR(hello", "*", ""]
            .map(|text| found(store, text))
    };
    let before = look(&mut store);
    assert_eq!(before[0], ["a: Zoë said \"hello\" AND went"]);
    assert_eq!(before[1].len(), 2);
    assert_eq!(before[2], Vec::<String>::new());
    assert_eq!(before[5].len(), 1);
    tidy(&mut store, &keep(100, 0), START);
    assert_eq!(store.mirror.as_ref().and_then(|mirror| mirror.indexed_to), Some(row::number(first[2].id)));
    assert_eq!(look(&mut store), before);
    store.commit(&[case.said("b", "hello again")]).expect("it is committed");
    assert_eq!(found(&mut store, "hello")[..2], ["b: hello again", "b: हिन्दी में hello"]);
    assert_eq!(found(&mut store, "hello").len(), 3);

    // Without an index the same is found, and with it again.
    for search in [false, true] {
        drop(store);
        case.options.search = search;
        store = case.open();
        tidy(&mut store, &keep(100, 0), START);
        assert_eq!(schema::has_words(&store.reader.connection).expect("known"), search);
        assert_eq!(found(&mut store, "hello").len(), 3);
        assert_well(&mut store);
    }
}

#[test]
fn a_room_that_was_closed_is_out_of_sight_at_once_and_its_name_is_free() {
    let mut case = Case::new();
    let mut store = case.open();
    let mut ops: Vec<_> = (0..3000).map(|number| case.said("den", &format!("old {number}"))).collect();
    ops.push(case.op(Change::SeatTaken { room: "den".into(), seat: seat(1) }));
    store.commit(&ops).expect("it is committed");
    tidy(&mut store, &keep(10_000, 0), START);
    let ops = [case.op(Change::RoomClosed { room: "den".into() }), case.said("den", "new")];
    store.commit(&ops).expect("it is committed");
    let check = |store: &mut SqliteStore| {
        assert_eq!(texts(store, "den"), ["new"]);
        assert_eq!(summaries(store), [("den".to_owned(), 1, 1)]);
        assert_eq!(found(store, "old"), Vec::<String>::new());
        assert_eq!(found(store, "new"), ["den: new"]);
        assert_eq!(loaded(store), []);
        assert_eq!(store.sizes().expect("sizes").room_messages, 1);
        assert_well(store);
    };
    check(&mut store);
    // Step by step, also when a process ends in between.
    let mut steps = 1;
    while store.tidy(&keep(10_000, 0), UnixMillis(START)).expect("it is tidied") {
        check(&mut store);
        drop(store);
        store = case.open();
        steps += 1;
    }
    assert!(steps > 2, "{steps}");
    check(&mut store);
    let sql = "SELECT (SELECT count(*) FROM room_messages) + (SELECT count(*) FROM rooms) + (SELECT count(*) FROM room_words)";
    let left: i64 = store.reader.connection.query_row(sql, [], |row| row.get(0)).expect("a count");
    assert_eq!(left, 3);
}

#[test]
fn messages_that_are_too_many_or_too_old_go() {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    let mut case = Case::new();
    let mut store = case.open();
    let ops: Vec<_> =
        (1..=300).map(|number| case.said(["a", "b"][number % 2], &number.to_string())).collect();
    store.commit(&ops).expect("it is committed");
    let mut rules = keep(100, 0);
    let rule = HistoryRule { keep_messages: 1000, keep_days: 1, on_join: 0 };
    rules.rooms.push((RoomPattern::from("b".to_owned()), rule));
    tidy(&mut store, &rules, START);
    assert_eq!(summaries(&mut store), [("a".to_owned(), 51, 150), ("b".to_owned(), 1, 150)]);
    assert_well(&mut store);
    tidy(&mut store, &rules, START + DAY + 101);
    assert_eq!(texts(&mut store, "b").first().map(String::as_str), Some("101"));
    assert_well(&mut store);
    // Nothing is left: it begins anew.
    tidy(&mut store, &rules, START + 2 * DAY);
    assert_eq!(summaries(&mut store), [("a".to_owned(), 51, 150)]);
    store.commit(&[case.said("b", "anew"), case.said("a", "more")]).expect("it is committed");
    tidy(&mut store, &rules, START);
    assert_eq!(summaries(&mut store), [("a".to_owned(), 52, 151), ("b".to_owned(), 1, 1)]);
    assert_eq!(texts(&mut store, "a").len(), 100);
    assert_well(&mut store);
    store.compact().expect("it is compacted");
    assert_eq!(texts(&mut store, "a").len(), 100);
}

/// The file that the test below opens. Made once: versions that were released do not change.
fn first_version() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/store/v1.db")
}

#[test]
#[ignore = "writes tests/store/v1.db"]
fn make_a_file_of_the_first_version() {
    let path = first_version();
    let _ = std::fs::remove_file(&path);
    let connection = Connection::open(&path).expect("it opens");
    connection.pragma_update(None, "page_size", 1024).expect("it is set");
    schema::first_version(&connection).expect("it is made");
    let rows = std::fs::read_to_string(path.with_extension("sql")).expect("it is read");
    connection.execute_batch(&rows).expect("it is filled");
    connection.execute_batch("VACUUM").expect("it is made small");
}

#[test]
fn a_file_of_the_first_version_is_converted() {
    let case = Case::new();
    std::fs::create_dir(case.path().parent().expect("a directory")).expect("it is made");
    std::fs::copy(first_version(), case.path()).expect("it is copied");
    let error = open_reader(&case.path()).err().expect("it is too old to be read");
    assert!(error.to_string().contains("start a server with it"), "{error}");

    let mut store = case.open();
    let mut kept = Vec::new();
    let last = store.load(&mut |part| kept.push(part)).expect("it loads");
    assert_eq!(last.expect("one").to_string(), "018bcfe5-6816-7000-8000-000000000002");
    let shown: Vec<_> = kept.iter().map(show).collect();
    let expected = [
        "Alice $argon2id",
        "Bob $argon2id",
        "carol $2b$12$sa",
        "018bcfe5-680a-7000-8000-000000000001 Alice to Bob: unread, Some(\"key 1\"), true true true",
        "018bcfe5-680a-7001-8000-000000000002 bob to alice: read, None, true true false",
        "018bcfe5-680a-7002-8000-000000000003 Alice to carol: deleted, None, true false false",
        "018bcfe5-680a-7003-8000-000000000004 guest to Bob: from nobody, None, false true true",
        "018bcfe5-680a-7003-8000-000000000005 guest to Bob: moved, None, false true true",
        "den: Alice 127.0.0.1 token_000102030405060708090a0b0c0d0e0f true",
        "den: Bob 2001:db8::1 token_101112131415161718191a1b1c1d1e1f false",
    ];
    assert_eq!(shown, expected);
    assert_eq!(summaries(&mut store), [("den".to_owned(), 1, 1), ("lobby".to_owned(), 51, 150)]);
    let lobby = store.history("lobby", None, usize::MAX).expect("it is read");
    assert_eq!(
        lobby.iter().map(|message| message.sequence).collect::<Vec<_>>(),
        (51..=150).collect::<Vec<_>>()
    );
    let before = store.history("lobby", Some(lobby[10].id), 2).expect("it is read");
    assert_eq!(before, lobby[8..10]);
    assert_eq!(texts(&mut store, "den"), ["new"]);
    tidy(&mut store, &keep(60, 0), START);
    assert_eq!(summaries(&mut store), [("den".to_owned(), 1, 1), ("lobby".to_owned(), 91, 150)]);
    assert_eq!(found(&mut store, "message 120"), ["lobby: message 120"]);
    assert_well(&mut store);
    let views = "SELECT (SELECT count(*) FROM people), (SELECT count(*) FROM mail), (SELECT sum(unread) FROM conversations),
        (SELECT count(*) FROM history), (SELECT min(id || ' ' || said) FROM history), (SELECT count(*) FROM members)";
    let row: (i64, i64, i64, i64, String, i64) =
        store.reader.connection.query_row(views, [], |row| row.try_into()).expect("the views are there");
    let first = "018bcfe5-6814-705b-8000-00000000005b 2023-11-14 22:13:20.020".to_owned();
    assert_eq!(row, (3, 5, 3, 61, first, 2));
}

fn show(kept: &Kept) -> String {
    match kept {
        Kept::Account { name, password } => {
            format!("{name} {}", &password.as_str()[..9])
        }
        Kept::Letter(letter) => {
            let crate::chat::Letter { id, sender, recipient, content, key, .. } = letter;
            let flags = [letter.sender_sees, letter.recipient_sees, letter.unread]
                .map(|flag| flag.to_string())
                .join(" ");
            format!("{id} {sender} to {recipient}: {content}, {key:?}, {flags}")
        }
        Kept::Seat { room, seat, is_host } => {
            format!("{room}: {} {} {} {is_host}", seat.name, seat.ip, seat.token.reveal())
        }
    }
}
