//! The index of words, and what `SQLite` makes of the terms that it is given.

use std::collections::BTreeSet;

use super::*;
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
