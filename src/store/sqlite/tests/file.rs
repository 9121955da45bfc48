//! The file: whose it is, what becomes of it when something goes wrong, and who else may look at it.

use super::*;

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
    assert!(matches!(error, StoreError::Newer { found: 99, known: 5, .. }), "{error}");
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
fn a_reader_leaves_nothing_behind() {
    let mut case = Case::new();
    let mut store = case.open();
    store.commit(&[case.said("lobby", "hi")]).expect("it is committed");
    let backup = case.path().with_file_name("backup.db");
    store.backup(&backup).expect("it is copied");
    drop(store);
    for path in [case.path(), backup] {
        let mut reader = open_reader(&path).expect("it opens");
        assert_eq!(texts(&mut *reader, "lobby"), ["hi"]);
    }
    let directory = case.path().with_file_name("");
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .expect("it is read")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["backup.db", "parlance.db"]);
}

#[test]
fn a_connection_that_broke_is_replaced() {
    let mut case = Case::new();
    let mut store = case.open();
    store.commit(&[case.account("alice")]).expect("it is committed");
    // As after an error of the disk in the middle of a transaction.
    store.reader.connection.execute_batch("BEGIN; DELETE FROM accounts").expect("it is begun");
    (store.mirror, store.is_broken) = (None, true);
    store.commit(&[case.account("bob")]).expect("it is committed");
    assert_eq!(loaded(&mut store).len(), 2);
    tidy(&mut store, &keep(100, 0), START);
    let synchronous: i64 =
        store.reader.connection.pragma_query_value(None, "synchronous", |row| row.get(0)).expect("a value");
    assert_eq!(synchronous, 0, "as it was asked for");
}

#[test]
fn checkpoints_are_no_changes_by_another_program() {
    let mut case = Case::new();
    case.options.search = false;
    let mut store = case.open();
    let other = Connection::open(case.path()).expect("it opens");
    let text = "x".repeat(1 << 20);
    // The log is full, and is moved, some 64 messages after it began.
    for number in 0..180 {
        match number {
            // A reader that stays lets a checkpoint move a part.
            10 => other.execute_batch("BEGIN; SELECT count(*) FROM rooms").expect("it reads"),
            100 => other.execute_batch("COMMIT").expect("it ends"),
            150 => other.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("it is moved"),
            _ => {}
        }
        let op = case.said("den", &text);
        store.commit(&[op]).expect("no alarm");
        store.ensure_named().expect("no alarm");
    }
    assert!(std::fs::metadata(case.path()).expect("it is there").len() > 150 << 20, "nothing was moved");
    store.compact().expect("no alarm");
    tidy(&mut store, &keep(1, 0), START);
    store.ensure_named().expect("no alarm");
    assert_well(&mut store);
}
