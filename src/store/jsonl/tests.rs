//! What the tests that all stores share cannot see.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::log::Fault;
use super::store::JsonlStore;
use super::{FILE_NAME, JsonlReader, repair};
use crate::chat::{
    Change, HistoryRule, HistoryRules, Kept, Op, OpId, PasswordHash, RoomMessage, Seat, Token, UnixMillis,
};
use crate::store::{Durability, Options, Reader, Store, StoreError};

pub(super) const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// Ids, one higher than the other.
pub(super) struct Ids(pub(super) u64);

impl Ids {
    fn op(&mut self, change: Change) -> Op {
        self.0 += 1;
        Op::new(OpId::new(UnixMillis(NOW.0 + self.0 / 4096), (self.0 % 4096) as u16, self.0), change)
    }

    pub(super) fn account(&mut self, name: &str) -> Op {
        let password = PasswordHash::new("$2b$12$saltsaltsaltsaltsaltsO").expect("a hash");
        self.op(Change::AccountCreated { name: name.into(), password, is_unused: false })
    }

    pub(super) fn mail(&mut self, sender: &str, recipient: &str, content: &str) -> Op {
        let [sender, recipient, content] = [sender, recipient, content].map(Into::into);
        self.op(Change::MailSent {
            sender,
            sender_has_account: true,
            sender_account: None,
            recipient,
            recipient_account: None,
            content,
            key: None,
        })
    }

    pub(super) fn said(&mut self, room: &str, text: &str) -> Op {
        self.op(Change::Said { room: room.into(), sender: "ann".into(), text: text.into() })
    }

    fn seat(&mut self, room: &str, number: u8) -> Op {
        let seat = Seat {
            name: format!("guest{number}").into(),
            token: Token::from_random([number; 16]),
            ip: [192, 0, 2, number].into(),
        };
        self.op(if number.is_multiple_of(4) {
            Change::RoomMade { room: room.into(), host: seat }
        } else {
            Change::SeatTaken { room: room.into(), seat }
        })
    }
}

pub(super) fn fast() -> Options {
    Options { durability: Durability::None, search: true }
}

fn open(directory: &Path) -> JsonlStore {
    JsonlStore::open(directory, &fast()).expect("it opens")
}

pub(super) fn keep(keep_messages: u64) -> HistoryRules {
    HistoryRules { default: HistoryRule { keep_messages, keep_days: 0, on_join: 0 }, rooms: Vec::new() }
}

type Everything = (Vec<Kept>, Option<OpId>, Vec<(Box<str>, RoomMessage)>);

/// All that a store shows.
fn everything(store: &mut dyn Reader) -> Everything {
    let (mut parts, mut rooms, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    let last = store.load(&mut |kept| parts.push(kept)).expect("it loads");
    store.rooms(&mut |room| rooms.push(room)).expect("it has rooms");
    for room in rooms {
        let history = store.history(&room.room, None, usize::MAX).expect("it has history");
        assert_eq!(history.first().map(|message| message.sequence), Some(room.first));
        assert_eq!(history.last().map(|message| message.sequence), Some(room.last));
        messages.extend(history.into_iter().map(|message| (room.room.clone(), message)));
    }
    assert_eq!(store.check().expect("it can be checked"), Vec::<String>::new());
    (parts, last, messages)
}

/// A directory as somebody else finds it when this process is killed now.
fn killed(directory: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a directory");
    for entry in fs::read_dir(directory).expect("it can be read") {
        let entry = entry.expect("it can be read");
        fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("a copy");
    }
    copy
}

fn some_of_everything(ids: &mut Ids) -> Vec<Op> {
    let mut ops = vec![ids.account("ann"), ids.account("bob"), ids.account("cyd")];
    ops.push(ids.mail("ann", "bob", "a \"quoted\"\nline \u{1} \u{7f} é 🦀 \\"));
    let first = ops[3].id;
    ops.push(ids.mail("bob", "ann", ""));
    ops.push(ids.mail("bob", "bob", "to myself"));
    ops.push(ids.op(Change::MailSent {
        sender: "dan".into(),
        sender_has_account: false,
        sender_account: None,
        recipient: "ann".into(),
        recipient_account: None,
        content: "from outside".into(),
        key: None,
    }));
    ops.push(ids.op(Change::MailSent {
        sender: "cyd".into(),
        sender_has_account: true,
        sender_account: None,
        recipient: "ann".into(),
        recipient_account: None,
        content: "keyed".into(),
        key: Some("k\"1".into()),
    }));
    ops.push(ids.op(Change::MailRead { reader: "bob".into(), messages: Box::new([first]) }));
    ops.push(ids.op(Change::MailDeleted { by: "ann".into(), message: ops[4].id }));
    ops.push(ids.op(Change::PasswordChanged {
        account: None,
        name: "ann".into(),
        password: PasswordHash::new("$argon2id$x").expect("a hash"),
    }));
    ops.extend([ids.said("den", "one"), ids.said("a \"room\"", "two"), ids.said("den", "three")]);
    ops.extend([ids.seat("den", 4), ids.seat("den", 5), ids.seat("den", 6), ids.seat("hall", 8)]);
    ops.push(ids.op(Change::SeatLeft { token: Token::from_random([5; 16]) }));
    ops.push(ids.op(Change::RoomClosed { room: "hall".into(), made: None }));
    ops.push(ids.op(Change::AccountDeleted { name: "cyd".into(), account: None }));
    ops.push(ids.account("cyd"));
    ops
}

#[test]
fn it_says_the_same_after_a_restart_and_after_a_compaction() {
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path().join("a/b");
    let mut store = open(&home);
    let mut ids = Ids(0);
    let ops = some_of_everything(&mut ids);
    store.commit(&ops).expect("there is space");
    let before = everything(&mut store);
    assert_eq!(before.1, ops.last().map(|op| op.id));
    for (path, mode) in [(&home, 0o700), (&home.join(FILE_NAME), 0o600)] {
        assert_eq!(fs::metadata(path).expect("it is there").permissions().mode() & 0o777, mode);
    }
    drop(store);
    let mut store = open(&home);
    assert_eq!(everything(&mut store), before);
    let size = store.log.length();
    store.compact().expect("there is space");
    assert!(store.log.length() < size);
    assert_eq!(everything(&mut store), before);
    // What is committed after it means what it meant.
    store.commit(&[ids.said("den", "four")]).expect("there is space");
    let after = everything(&mut store);
    assert_eq!(after.2.last().map(|(_, message)| message.sequence), Some(3));
    drop(store);
    assert_eq!(everything(&mut open(&home)), after);
    assert_eq!(everything(&mut JsonlReader::open(&home).expect("it is there")), after);
}

#[test]
fn there_is_one_writer_and_any_number_of_readers() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut ids = Ids(0);
    let mut store = open(directory.path());
    store.commit(&[ids.said("den", "one")]).expect("there is space");
    assert!(matches!(JsonlStore::open(directory.path(), &fast()), Err(StoreError::Locked { .. })));
    let mut early = JsonlReader::open(directory.path()).expect("it is there");
    let seen = everything(&mut early);
    // It goes on seeing the same, whatever happens to the log.
    store.commit(&some_of_everything(&mut ids)).expect("there is space");
    store.compact().expect("there is space");
    store.commit(&[ids.op(Change::RoomClosed { room: "den".into(), made: None })]).expect("there is space");
    assert_eq!(everything(&mut early), seen);
    let mut late = JsonlReader::open(directory.path()).expect("it is there");
    assert_eq!(everything(&mut late), everything(&mut store));
    let copy = tempfile::tempdir().expect("a directory");
    let file = copy.path().join(FILE_NAME);
    late.backup(&file).expect("there is space");
    assert!(late.backup(&file).is_err(), "it is there already");
    assert_eq!(everything(&mut open(copy.path())), everything(&mut store));
    assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_line_that_was_not_written_to_its_end_is_cut_off() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut ids = Ids(0);
    let mut store = open(directory.path());
    store.commit(&[ids.account("ann"), ids.said("den", "one")]).expect("there is space");
    let before = everything(&mut store);
    let length = store.log.length() as usize;
    let last = ids.said("den", "two");
    store.commit(std::slice::from_ref(&last)).expect("there is space");
    drop(store);
    let path = directory.path().join(FILE_NAME);
    let whole = fs::read(&path).expect("it can be read");
    let torn = (length..whole.len()).map(|end| whole[..end].to_vec());
    let zeros = [&whole[..length], &[0; 100]].concat();
    let broken = [&whole[..length + 10], b"\n"].concat();
    for bytes in torn.chain([zeros, broken]) {
        fs::write(&path, &bytes).expect("there is space");
        let rest = &bytes[length..];
        let mut reader = JsonlReader::open(directory.path()).expect("it is there");
        let found = reader.check().expect("it can be read");
        assert_eq!(found.len(), usize::from(!rest.is_empty()), "{found:?}");
        assert!(found.iter().all(|line| line.contains("log.jsonl:4: ")), "{found:?}");
        reader.load(&mut |_| {}).expect("it passes it over");
        let mut store = open(directory.path());
        // A server that has the log open may be writing the rest.
        assert_eq!(everything(&mut store), before);
        let aside = fs::read(directory.path().join("log.jsonl.broken")).unwrap_or_default();
        assert!(aside.ends_with(rest), "it was set aside");
        assert!(
            rest.is_empty()
                || aside[..aside.len() - rest.len()].ends_with(b"# from line 4: not written whole\n")
        );
        store.commit(std::slice::from_ref(&last)).expect("there is space");
        drop(store);
        assert_eq!(fs::read(&path).expect("it can be read"), whole);
    }
    // The first line is no other.
    for end in 0..length {
        fs::write(&path, &whole[..end]).expect("there is space");
        let mut store = open(directory.path());
        store.commit(std::slice::from_ref(&last)).expect("there is space");
        drop(store);
        everything(&mut open(directory.path()));
    }
}

/// The bytes with zeros in the middle of the line that has a text.
fn with_hole(bytes: &[u8], text: &str) -> Vec<u8> {
    let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).expect("it is there");
    let mut bytes = bytes.to_vec();
    bytes[at..at + text.len()].fill(0);
    bytes
}

#[test]
fn of_the_last_group_what_is_behind_a_hole_is_cut_off_and_a_hole_in_an_older_one_is_damage() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut ids = Ids(0);
    let mut store = JsonlStore::open(directory.path(), &Options::default()).expect("it opens");
    store.commit(&[ids.account("ann"), ids.said("den", "first")]).expect("there is space");
    store.commit(&[ids.said("den", "older"), ids.said("den", "old")]).expect("there is space");
    let last: Vec<_> = (0..60).map(|index| ids.said("den", &format!("last {index}."))).collect();
    store.commit(&last[..7]).expect("there is space");
    let wanted = everything(&mut store);
    drop(store);
    let path = directory.path().join(FILE_NAME);
    let half = fs::read(&path).expect("it can be read");
    // The same in one group.
    let start = half.windows(7).position(|window| window == b"last 0.").expect("it is there");
    let start = half[..start].iter().rposition(|&byte| byte == b'\n').expect("a line before it") + 1;
    fs::write(&path, &half[..start]).expect("there is space");
    let mut store = JsonlStore::open(directory.path(), &Options::default()).expect("it opens");
    store.commit(&last).expect("there is space");
    drop(store);
    let whole = fs::read(&path).expect("it can be read");

    fs::write(&path, with_hole(&whole, "last 7.")).expect("there is space");
    assert_eq!(everything(&mut JsonlReader::open(directory.path()).expect("it is there")), wanted);
    let mut store = JsonlStore::open(directory.path(), &Options::default()).expect("it opens");
    assert_eq!(everything(&mut store), wanted);
    store.commit(&last[7..]).expect("there is space");
    drop(store);
    assert_eq!(fs::read(&path).expect("it can be read").len(), whole.len() + 1, "a mark more");
    let aside = fs::read(path.with_extension("jsonl.broken")).expect("it is set aside");
    assert!(aside.starts_with(b"# from line 13: ") && aside.ends_with(&whole[whole.len() - 500..]));

    for older in ["first", "older", "old\""] {
        fs::write(&path, with_hole(&whole, older)).expect("there is space");
        let opened = JsonlStore::open(directory.path(), &Options::default());
        assert!(matches!(opened, Err(StoreError::Damaged { .. })), "{older}");
    }
    // A log that was written anew was on disk as a whole.
    fs::write(&path, &whole).expect("there is space");
    let mut store = JsonlStore::open(directory.path(), &Options::default()).expect("it opens");
    store.compact().expect("there is space");
    drop(store);
    let compacted = fs::read(&path).expect("it can be read");
    fs::write(&path, with_hole(&compacted, "last 7.")).expect("there is space");
    assert!(JsonlStore::open(directory.path(), &Options::default()).is_err());
}

#[test]
fn a_server_that_finds_the_log_locked_leaves_the_draft_of_the_other_as_it_is() {
    let [directory, other] = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    let store = open(directory.path());
    let draft = directory.path().join("log.jsonl.new");
    fs::write(&draft, "half").expect("there is space");
    // Another directory, whose lock is free.
    std::os::unix::fs::symlink(directory.path().join(FILE_NAME), other.path().join(FILE_NAME))
        .expect("a link");
    let error = JsonlStore::open(other.path(), &fast()).expect_err("it is locked");
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert_eq!(fs::read_to_string(&draft).expect("it is there"), "half");
    drop(store);
    open(other.path());
    assert!(!draft.exists());
}

#[test]
fn a_broken_line_in_the_middle_is_named_and_set_aside_when_asked() {
    for broken in [
        "{\"id\":",
        "",
        "\u{0}\u{0}",
        "{\"operation\":\"dance\",\"id\":\"1\"}",
        "{\"id\":\"1\"}",
        &"x".repeat(3 << 20),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(FILE_NAME);
        let mut ids = Ids(0);
        let mut store = open(directory.path());
        store.commit(&[ids.account("ann"), ids.said("den", "one")]).expect("there is space");
        store.commit(&[ids.said("den", "two")]).expect("there is space");
        let before = everything(&mut store);
        drop(store);
        let text = fs::read_to_string(&path).expect("it is text");
        let mut lines: Vec<_> = text.lines().collect();
        lines.insert(3, broken);
        let damaged = lines.join("\n") + "\n";
        fs::write(&path, &damaged).expect("there is space");
        let error = JsonlStore::open(directory.path(), &fast()).expect_err("it is damaged");
        assert!(matches!(error, StoreError::Damaged { line: Some(4), .. }), "{error}");
        assert!(error.to_string().contains("parlance repair"), "{error}");
        let mut reader = JsonlReader::open(directory.path()).expect("it is there");
        assert!(reader.load(&mut |_| {}).is_err());
        let findings = reader.check().expect("it can be looked at");
        assert!(findings.len() == 1 && findings[0].contains(".jsonl:4: "), "{findings:?}");
        let repaired = repair(directory.path()).expect("it can be repaired");
        assert_eq!((repaired.lines, repaired.set_aside), (4, 1));
        let aside = fs::read_to_string(&repaired.aside).expect("it is there");
        assert!(aside.starts_with("# line 4: ") && aside.ends_with(&format!("\n{broken}\n")));
        assert_eq!(fs::read_to_string(&path).expect("it is there"), text);
        assert_eq!(everything(&mut open(directory.path())), before);
        assert_eq!(repair(directory.path()).expect("it is whole").set_aside, 0);
        assert!(!path.with_extension("jsonl.new").exists());
    }
}

#[test]
fn a_first_line_that_is_broken_is_written_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut ids = Ids(0);
    let mut store = open(directory.path());
    store.commit(&[ids.said("den", "one")]).expect("there is space");
    let before = everything(&mut store);
    drop(store);
    let path = directory.path().join(FILE_NAME);
    let whole = fs::read_to_string(&path).expect("it is text");
    fs::write(&path, format!("x{whole}")).expect("there is space");
    assert!(JsonlStore::open(directory.path(), &fast()).is_err());
    assert_eq!(repair(directory.path()).expect("it can be repaired").set_aside, 1);
    assert_eq!(everything(&mut open(directory.path())), before);
    let without = whole.split_once('\n').expect("two lines").1;
    fs::write(&path, without).expect("there is space");
    let error = JsonlStore::open(directory.path(), &fast()).expect_err("another program's log");
    assert!(error.to_string().contains("format"), "{error}");
}

#[test]
fn a_file_whose_only_line_is_no_torn_beginning_is_left_as_it_is_until_it_is_repaired() {
    let log = "{\"operation\":\"format\",\"version\":1}\n{\"operation\":\"nothing\",\"id\":\"1\"}\n";
    let cr = log.replace('\n', "\r");
    let huge = "[1, 2, 3]".repeat(1 << 19);
    for foreign in [&cr, "{\"mine\": true}", "x", "notes\n", "{\"operation\":\"format\"}", &huge] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(FILE_NAME);
        fs::write(&path, foreign).expect("there is space");
        let start: String = foreign.chars().take(40).collect();
        let error = JsonlStore::open(directory.path(), &fast()).expect_err("it is no log");
        assert!(matches!(error, StoreError::Damaged { line: Some(1), .. }), "{start}: {error}");
        assert!(fs::read_to_string(&path).expect("it is there") == foreign, "{start}");
        let mut reader = JsonlReader::open(directory.path()).expect("it is there");
        assert_eq!(reader.check().expect("it can be read").len(), 1, "{start}");
        let repaired = repair(directory.path()).expect("it can be repaired");
        let aside = fs::read_to_string(&repaired.aside).expect("it is there");
        assert!(repaired.set_aside == 1 && aside.contains(foreign), "{start}");
        open(directory.path());
    }
    // The power went while the first line was written.
    for torn in
        ["", "{\"operation\":\"for", "{\"operation\":\0\0\0\0", "\0\0\0\0", log.lines().next().expect("one")]
    {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join(FILE_NAME), torn).expect("there is space");
        open(directory.path());
        assert_eq!(fs::read_to_string(directory.path().join(FILE_NAME)).expect("read").lines().count(), 1);
    }
}

#[test]
fn an_empty_log_is_not_said_to_be_well_by_a_repair() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join(FILE_NAME), "").expect("there is space");
    let error = repair(directory.path()).expect_err("there is nothing to repair").to_string();
    assert!(error.contains("it is empty") && error.contains("restore a backup"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
}

#[test]
fn a_newer_log_is_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(FILE_NAME);
    let text = "{\"operation\":\"format\",\"version\":3}\n{\"operation\":\"dance\"}\n";
    fs::write(&path, text).expect("there is space");
    let error = JsonlStore::open(directory.path(), &fast()).expect_err("it is newer");
    assert!(matches!(error, StoreError::Newer { found: 3, known: 2, .. }), "{error}");
    assert!(matches!(repair(directory.path()), Err(StoreError::Newer { .. })));
    assert_eq!(fs::read_to_string(&path).expect("it is there"), text);
}

#[test]
fn of_a_group_that_failed_nothing_is_there() {
    let faults: [&[Fault]; 5] = [
        &[Fault::Full(0)],
        &[Fault::Full(200)],
        &[Fault::Full(200), Fault::Cut],
        &[Fault::Sync],
        &[Fault::Sync, Fault::Cut],
    ];
    for fault in faults {
        let directory = tempfile::tempdir().expect("a directory");
        let mut ids = Ids(0);
        let mut store = JsonlStore::open(directory.path(), &Options::default()).expect("it opens");
        store
            .commit(&[ids.account("ann"), ids.account("bob"), ids.said("den", "one")])
            .expect("there is space");
        let before = everything(&mut store);
        let group = [ids.mail("ann", "bob", "hello"), ids.said("den", "two"), ids.said("den", "three")];
        store.log.faults.extend(fault);
        assert!(matches!(store.commit(&group), Err(StoreError::Io { .. })), "{fault:?}");
        assert_eq!(everything(&mut store), before, "{fault:?}");
        if !fault.contains(&Fault::Cut) {
            assert_eq!(everything(&mut open(killed(directory.path()).path())), before, "{fault:?}");
        }
        // The same group goes in later, once.
        assert!(store.log.faults.is_empty(), "{fault:?}");
        store.commit(&group).expect("there is space again");
        let after = everything(&mut store);
        assert_eq!((after.0.len(), after.2.len()), (3, 3), "{fault:?}");
        drop(store);
        assert_eq!(everything(&mut open(directory.path())), after, "{fault:?}");
    }
}

#[test]
fn a_group_that_comes_again_is_there_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut ids = Ids(0);
    let mut store = open(directory.path());
    store.commit(&[ids.account("ann"), ids.account("bob")]).expect("there is space");
    let group = [ids.said("den", "one"), ids.mail("ann", "bob", "hello"), ids.said("den", "two")];
    store.commit(&group).expect("there is space");
    let before = everything(&mut store);
    store.commit(&group).expect("there is space");
    assert_eq!(everything(&mut store), before);
    drop(store);
    let mut store = open(directory.path());
    assert_eq!(everything(&mut store), before);
    store.compact().expect("there is space");
    assert_eq!(everything(&mut store), before);
}

#[test]
fn what_refers_to_nothing_leaves_no_reference_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut ids = Ids(0);
    let mut store = open(directory.path());
    let nobody = ids.account("nobody").id;
    store.commit(&[ids.account("ann"), ids.account("bob")]).expect("there is space");
    let mail = ids.mail("ann", "bob", "hello");
    let delete = |message| Change::MailDeleted { by: "ann".into(), message };
    let gone = Token::from_random([9; 16]);
    let group = [
        ids.op(Change::MailRead { reader: "bob".into(), messages: Box::new([nobody, mail.id]) }),
        mail.clone(),
        ids.op(delete(mail.id)),
        ids.op(delete(mail.id)),
        ids.op(Change::SeatLeft { token: gone }),
    ];
    store.commit(&group).expect("no errors");
    let again = ids.op(delete(mail.id));
    store
        .commit(&[again, ids.op(Change::MailRead { reader: "bob".into(), messages: Box::new([mail.id]) })])
        .expect("no errors");
    let (parts, last, _) = everything(&mut store);
    assert_eq!((parts.len(), last.map(OpId::at)), (2, Some(NOW)));
    drop(store);
    // A reference that somebody else wrote is found.
    let path = directory.path().join(FILE_NAME);
    let mut text = fs::read_to_string(&path).expect("it is text");
    let line =
        format!("{{\"operation\":\"delete\",\"id\":\"{nobody}\",\"ids\":[\"{nobody}\"],\"by\":\"ann\"}}\n");
    text.push_str(&line);
    fs::write(&path, text).expect("there is space");
    let findings = open(directory.path()).check().expect("it can be checked");
    assert!(findings.len() == 1 && findings[0].contains("never there"), "{findings:?}");
}

#[test]
fn what_was_forgotten_stays_so_and_numbers_stay() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut ids = Ids(0);
    let mut store = open(directory.path());
    let ops: Vec<_> = (0..50).map(|number| ids.said("den", &format!("number {number}"))).collect();
    store.commit(&ops).expect("there is space");
    while store.tidy(&keep(10), NOW).expect("there is space") {}
    let before = everything(&mut store);
    assert_eq!((before.2.len(), before.2[0].1.sequence), (10, 41));
    assert_eq!(store.search("NUMBER 7", 10).expect("it can be read"), Vec::new());
    let found = store.search("number", 3).expect("it can be read");
    assert_eq!(found.iter().map(|(_, message)| message.sequence).collect::<Vec<_>>(), [50, 49, 48]);
    drop(store);
    let mut store = open(directory.path());
    assert_eq!(everything(&mut store), before);
    store.compact().expect("there is space");
    assert_eq!(everything(&mut store), before);
    while store.tidy(&keep(0), NOW).expect("there is space") {}
    store.commit(&[ids.said("den", "a new beginning")]).expect("there is space");
    drop(store);
    let (_, _, messages) = everything(&mut open(directory.path()));
    assert_eq!(messages.iter().map(|(_, message)| message.sequence).collect::<Vec<_>>(), [1]);
}

#[test]
fn whatever_is_appended_begins_with_a_mark_where_it_is_synced() {
    for (durability, marks) in [(Durability::Full, 4), (Durability::None, 0)] {
        let directory = tempfile::tempdir().expect("a directory");
        let mut ids = Ids(0);
        let options = Options { durability, ..Options::default() };
        let mut store = JsonlStore::open(directory.path(), &options).expect("it opens");
        let mut rules = HistoryRules::default();
        rules.default.keep_messages = 1;
        for _ in 0..2 {
            store.commit(&[ids.said("den", "one"), ids.said("den", "two")]).expect("there is space");
            assert!(!store.tidy(&rules, UnixMillis(0)).expect("there is space"));
        }
        let log = fs::read_to_string(directory.path().join(FILE_NAME)).expect("it is text");
        assert_eq!(log.lines().filter(|line| line.starts_with(' ')).count(), marks, "{log}");
        assert_eq!(log.lines().count(), 1 + 2 * 3, "two groups of two, and what was forgotten behind each");
    }
}

/// Messages that are older than the last one come when they are imported, and groups come again.
#[test]
fn a_message_is_there_once_in_whatever_order_they_were_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut ids = Ids(0);
    let [older, newer] = ["older", "newer"].map(|text| ids.said("den", text));
    let mut store = open(directory.path());
    store.commit(&[newer.clone(), older.clone()]).expect("there is space");
    store.commit(&[newer, older]).expect("there is space");
    let before = everything(&mut store);
    let texts: Vec<_> = before.2.iter().map(|(_, message)| &*message.text).collect();
    assert_eq!(texts, ["newer", "older"]);
    store.compact().expect("there is space");
    assert_eq!(everything(&mut store), before);
}

/// A log in a directory, as somebody wrote it by hand.
fn written(lines: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let log = [r#"{"operation":"format","version":1}"#].iter().chain(lines).map(|line| format!("{line}\n"));
    fs::write(directory.path().join(FILE_NAME), log.collect::<String>()).expect("there is space");
    directory
}

const ANN: &str = r#"{"operation":"account-created","name":"ann","password":"$argon2id$x"}"#;
const BOB: &str = r#"{"operation":"account-created","name":"bob","password":"$argon2id$x"}"#;

/// The tally counts what the state has: `everything` has them compared.
#[test]
fn letters_between_names_that_are_none_are_left_out() {
    for letter in [
        r#"{"id":"018bcfe5-6800-7001-8000-000000000004","sender":"ann","recipient":"b b","content":"","seen_by":"both"}"#,
        r#"{"id":"018bcfe5-6800-7001-8000-000000000004","sender":"b b","recipient":"ann","content":"","seen_by":"both"}"#,
        r#"{"id":"018bcfe5-6800-7001-8000-000000000004","sender":"b b","recipient":"ann","content":""}"#,
    ] {
        let directory = written(&[ANN, letter]);
        let mut store = open(directory.path());
        assert_eq!(store.sizes().expect("it is known").letters, 0, "{letter}");
        assert_eq!(everything(&mut store).0.len(), 1, "{letter}");
    }
}

/// An account is lost with the line that made it; what was sent to it is its sender's, whoever has the name later.
#[test]
fn an_account_that_is_deleted_takes_along_what_was_sent_to_it_alone() {
    let directory = written(&[
        ANN,
        r#"{"id":"018bcfe5-6800-7001-8000-000000000004","sender":"ann","recipient":"bob","content":"to the first","seen_by":"both"}"#,
        BOB,
        r#"{"id":"018bcfe5-6800-7001-8000-000000000005","sender":"ann","recipient":"bob","content":"to the second"}"#,
        r#"{"operation":"account-deleted","id":"018bcfe5-6800-7001-8000-000000000006","name":"bob"}"#,
    ]);
    let mut store = open(directory.path());
    let before = everything(&mut store);
    let [_, Kept::Letter(letter)] = &before.0[..] else { panic!("one letter: {before:?}") };
    assert_eq!(&*letter.content, "to the first");
    assert_eq!(store.sizes().expect("it is known").letters, 1);
    store.compact().expect("there is space");
    assert_eq!(everything(&mut store), before);
}

/// Whatever is committed between the steps of a compaction, and whenever the process is killed, all that was committed is
/// there, and nothing that was deleted comes back.
#[test]
fn a_log_that_is_mostly_dead_is_compacted_while_it_is_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut ids = Ids(0);
    let mut store = open(directory.path());
    store.commit(&some_of_everything(&mut ids)).expect("there is space");
    let text = "x".repeat(500);
    let mut mails = Vec::new();
    for round in 0..8 {
        let rooms =
            ["den", "hall", "attic"].map(|room| (0..300).map(|_| ids.said(room, &text)).collect::<Vec<_>>());
        store.commit(&rooms.concat()).expect("there is space");
        let group: Vec<_> = (0..100).map(|_| ids.mail("ann", "bob", &text)).collect();
        store.commit(&group).expect("there is space");
        mails.extend(group.iter().map(|op| op.id));
        assert!(!store.tidy(&keep(20), NOW).expect("there is space"), "round {round}: it is not large yet");
    }
    for &message in &mails[..700] {
        store.commit(&[ids.op(Change::MailDeleted { by: "ann".into(), message })]).expect("there is space");
    }
    let sizes = store.sizes().expect("it is known");
    assert!(sizes.dead_bytes > sizes.bytes / 2, "{sizes:?}");
    store.compact_bytes_min = 1 << 20;
    let mut alive = mails.split_off(700);
    let (mut steps, mut number) = (0, 0);
    while store.tidy(&keep(20), NOW).expect("there is space") {
        steps += 1;
        number += 4;
        let deleted = alive.swap_remove(3);
        let mut group = vec![
            ids.op(Change::MailDeleted { by: "ann".into(), message: deleted }),
            ids.op(Change::MailRead { reader: "bob".into(), messages: Box::new([alive[0]]) }),
            ids.mail("bob", "ann", &format!("step {steps}")),
            ids.said("den", &format!("step {steps}")),
            ids.seat("cellar", 100 + number),
            ids.seat("attic", 101 + number),
        ];
        match steps % 4 {
            0 => group.push(ids.op(Change::RoomClosed { room: "attic".into(), made: None })),
            1 => group.push(ids.op(Change::AccountDeleted { name: "cyd".into(), account: None })),
            2 => group.push(ids.account("cyd")),
            _ => group.push(ids.op(Change::RoomClosed { room: "cellar".into(), made: None })),
        }
        store.commit(&group).expect("there is space");
        let now = everything(&mut store);
        let copy = killed(directory.path());
        assert_eq!(everything(&mut open(copy.path())), now, "after step {steps}");
        assert!(!copy.path().join("log.jsonl.new").exists(), "what is left over goes");
    }
    assert!(steps >= 8, "it took steps: {steps}");
    let sizes = store.sizes().expect("it is known");
    assert!(sizes.dead_bytes * 2 < sizes.bytes && sizes.bytes < 1 << 20, "{sizes:?}");
    let now = everything(&mut store);
    assert!(!directory.path().join("log.jsonl.new").exists());
    drop(store);
    assert_eq!(everything(&mut open(directory.path())), now);
}

/// What is known of letters and seats without their texts is what the state says, whatever happens: a check compares them.
#[test]
fn the_tally_adds_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut ids, mut dice) = (Ids(0), 7_u64);
    let mut store = open(directory.path());
    let (mut letters, names) = (Vec::new(), ["ann", "Bob", "bob", "cyd", "dan"]);
    for round in 0..2000 {
        let mut roll = |sides: usize| {
            // Knuth's multiplier; the upper bits are the good ones.
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (dice >> 33) as usize % sides
        };
        let [one, other] = [names[roll(5)], names[roll(5)]];
        let letter = if letters.is_empty() { None } else { Some(letters[roll(letters.len())]) };
        let op = match (roll(12), letter) {
            (0 | 1, _) => ids.account(one),
            (2, _) if roll(4) == 0 => ids.op(Change::AccountDeleted { name: one.into(), account: None }),
            (3, Some(message)) => {
                ids.op(Change::ConversationCleared { by: one.into(), messages: Box::new([message]) })
            }
            (4..6, Some(message)) => ids.op(Change::MailDeleted { by: one.into(), message }),
            (6, Some(message)) => {
                ids.op(Change::MailRead { reader: one.into(), messages: Box::new([message]) })
            }
            (7, _) => ids.seat(other, roll(40) as u8),
            (8, _) => ids.op(Change::SeatLeft { token: Token::from_random([roll(40) as u8; 16]) }),
            (9, _) if roll(8) == 0 => ids.op(Change::RoomClosed { room: one.into(), made: None }),
            _ => {
                let mut op = ids.mail(one, other, "hello");
                if let Change::MailSent { sender_has_account, .. } = &mut op.change {
                    *sender_has_account = roll(4) > 0;
                }
                letters.push(op.id);
                op
            }
        };
        store.commit(&[op]).expect("there is space");
        if round % 100 == 99 {
            let before = everything(&mut store);
            store.compact().expect("there is space");
            assert_eq!(everything(&mut store), before);
            let sizes = store.sizes().expect("it is known");
            assert_eq!(sizes.accounts + sizes.letters + sizes.seats, before.0.len() as u64);
        }
    }
    assert!(store.sizes().expect("it is known").letters > 10, "some are left");
}
