//! A file that the second version has written: what version 2 made of that of the first.

use super::*;

fn copy_of_second_version(case: &Case) -> PathBuf {
    let path = case.path();
    std::fs::create_dir(path.parent().expect("a directory")).expect("it is made");
    std::fs::copy(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/store/v2.db"), &path)
        .expect("copied");
    path
}

/// All that a reader shows.
fn shown(reader: &mut dyn Reader) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut histories = Vec::new();
    for (room, first, last) in summaries(reader) {
        let history = reader.history(&room, None, usize::MAX).expect("it is read");
        histories.push((room, first, last, history));
    }
    let problems = reader.check().expect("it is checked");
    assert_eq!(problems, Vec::<String>::new());
    (loaded(reader), histories, found(reader, "message 120"), texts(reader, "den"))
}

#[test]
fn a_file_of_the_second_version_is_read_as_it_is_and_converted() {
    let case = Case::new();
    let path = copy_of_second_version(&case);
    let before = std::fs::read(&path).expect("it is read");
    let mut reader = open_reader(&path).expect("it can be read");
    let old = shown(&mut *reader);
    let copy = case.directory.path().join("copy.db");
    reader.backup(&copy).expect("it is copied");
    assert_eq!(shown(&mut *reader), old, "after the copy");
    drop(reader);
    assert!(std::fs::read(&path).expect("it is read") == before, "and nothing is written");
    assert_eq!(shown(&mut *open_reader(&copy).expect("a copy of the same version")), old);

    let mut store = case.open();
    assert_eq!(schema::version(&store.reader.connection).expect("one"), schema::VERSION);
    assert_eq!(shown(&mut store), old, "converted");
    let columns = "SELECT count(at) FROM (SELECT at FROM letters UNION ALL SELECT at FROM room_messages)";
    let times: i64 =
        store.reader.connection.query_row(columns, [], |row| row.get(0)).expect("they are there");
    assert_eq!(times, 0, "all have the time of their id");
    let mut reader = open_reader(&path).expect("it opens");
    assert_eq!(shown(&mut *reader), old, "a reader beside the server");
}

#[test]
fn the_views_have_the_times_of_messages_that_are_not_those_of_their_ids() {
    let mut case = Case::new();
    let mut store = case.open();
    let account = case.account("Alice");
    let ahead = |op: Op| Op { at: UnixMillis(START), ..op };
    let said = ahead(case.said("den", "now"));
    let sent = ahead(case.sent("Alice", "Alice", "to myself"));
    store.commit(&[account, said, sent]).expect("it is committed");
    let views = "SELECT (SELECT said FROM history), (SELECT sent FROM mail)";
    let times: (String, String) =
        store.reader.connection.query_row(views, [], |row| row.try_into()).expect("the views are there");
    let start = "2023-11-14 22:13:20.000".to_owned();
    assert_eq!(times, (start.clone(), start));
}
