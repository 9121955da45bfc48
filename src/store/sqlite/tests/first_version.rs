//! A file that the first version has written.

use super::*;

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
    let views = "SELECT (SELECT count(*) FROM people), (SELECT count(*) FROM mail), (SELECT sum(unread) FROM mailboxes),
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
        Kept::Seat { room, seat, is_host, made: _ } => {
            format!("{room}: {} {} {} {is_host}", seat.name, seat.ip, seat.token.reveal())
        }
    }
}
