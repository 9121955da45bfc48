//! The index of words, and what `SQLite` makes of the terms that it is given.

use std::collections::BTreeSet;

use super::*;
use crate::limits::{
    STORE_FORGOTTEN_PER_STEP_MAX, STORE_FORGOTTEN_TEXT_BYTES, STORE_INDEXED_BYTES_PER_STEP_MAX,
    TEXT_BYTES_MAX,
};
use crate::store::words;

#[test]
fn the_index_has_the_terms_that_it_is_given() {
    let case = Case::new();
    let store = case.open();
    let connection = &store.reader.connection;
    let vocabulary = "CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, room_words, row); BEGIN";
    connection.execute_batch(vocabulary).expect("it is made");
    // Of blocks of thousands that are all alike, a few.
    let is_tried = |&c: &u32| match c {
        0x3400..=0xd7ff | 0xe000..=0xf8ff | 0x1_7000..=0x1_8cff | 0x2_0000..=0x10_ffff => c % 101 == 0,
        _ => true,
    };
    let all: Vec<char> = (0..=0x10_ffff).filter(is_tried).filter_map(char::from_u32).collect();
    let mut given = BTreeSet::new();
    for (n, some) in (1..).zip(all.chunks(256)) {
        let text: String = some.iter().map(|c| format!("x{c}y 天{c} ")).collect();
        given.extend(words::indexed(&text).split(' ').map(str::to_owned));
        search::index(connection, n, &text).expect("it is indexed");
    }
    let mut terms = connection.prepare("SELECT term FROM terms").expect("a question");
    let terms: BTreeSet<String> =
        terms.query_map([], |row| row.get(0)).expect("rows").map(|term| term.expect("a term")).collect();
    assert!(terms == given, "{:?}", terms.symmetric_difference(&given).take(10).collect::<Vec<_>>());
}

fn indexed(store: &SqliteStore) -> usize {
    let sql = "SELECT count(*) FROM room_words_docsize";
    let count: i64 = store.reader.connection.query_row(sql, [], |row| row.get(0)).expect("a count");
    usize::try_from(count).expect("it is small")
}

#[test]
fn an_index_of_other_rules_is_not_asked_and_made_anew() {
    let mut case = Case::new();
    let mut store = case.open();
    store.commit(&[case.said("den", "天气"), case.said("den", "Straße")]).expect("it is committed");
    tidy(&mut store, &keep(100, 0), START);
    assert_eq!(indexed(&store), 2);
    drop(store);
    // A program with other rules, and an index that finds nothing by today's.
    let connection = Connection::open(case.path()).expect("it opens");
    let change = "UPDATE meta SET value = 'other rules' WHERE name = 'words';
        INSERT INTO room_words (room_words) VALUES ('delete-all');";
    connection.execute_batch(change).expect("it is changed");
    drop(connection);

    let mut reader = open_reader(&case.path()).expect("it can be read");
    assert_eq!(found(&mut *reader, "天"), ["den: 天气"]);
    assert_eq!(reader.check().expect("a check"), Vec::<String>::new());
    drop(reader);
    let mut store = case.open();
    assert_eq!(found(&mut store, "strasse"), ["den: Straße"]);
    tidy(&mut store, &keep(100, 0), START);
    assert_eq!(indexed(&store), 2);
    assert_eq!(found(&mut store, "天"), ["den: 天气"]);
    assert_well(&mut store);
    drop(store);
    let mut store = case.open();
    assert_eq!(indexed(&store), 2, "and not again");
    assert_well(&mut store);
}

#[test]
fn long_messages_take_more_steps_of_tidying() {
    const MESSAGES: usize = 100;
    let mut case = Case::new();
    let mut store = case.open();
    let text: String = (0..TEXT_BYTES_MAX as u32 / 3).filter_map(|at| char::from_u32(0x4e00 + at)).collect();
    let ops: Vec<_> = (0..MESSAGES).map(|_| case.said("den", &text)).collect();
    store.commit(&ops).expect("it is committed");
    let steps = |store: &mut SqliteStore| {
        let mut steps = 1;
        while store.tidy(&keep(1000, 0), UnixMillis(START)).expect("it is tidied") {
            steps += 1;
        }
        steps
    };
    let terms = words::indexed(&text).len();
    let wanted = MESSAGES * terms / (STORE_INDEXED_BYTES_PER_STEP_MAX + terms);
    assert!(wanted > 5 && steps(&mut store) >= wanted, "{wanted}");
    assert_eq!(indexed(&store), MESSAGES);
    let closed = case.op(Change::RoomClosed { room: "den".into(), made: None });
    store.commit(&[closed]).expect("it is committed");
    let wanted = MESSAGES * (TEXT_BYTES_MAX / STORE_FORGOTTEN_TEXT_BYTES) / STORE_FORGOTTEN_PER_STEP_MAX;
    assert!(wanted > 4 && steps(&mut store) >= wanted, "{wanted}");
    assert_eq!(indexed(&store), 0);
    assert_well(&mut store);
}
