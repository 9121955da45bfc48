//! Makes the databases in this directory: by the statements in the history of the repository, and rows.

use std::fs;
use std::process::Command;

use rusqlite::{Connection, params};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::{DEN, FILES, File, MESSAGES, message, path};

/// Messages that are in the index.
const INDEXED: u32 = 60;
/// 2023-11-14T22:13:20Z, in milliseconds.
const START: i64 = 1_700_000_000_000;
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";

#[test]
#[ignore = "writes the databases in tests/store/schemas"]
fn make_the_databases() {
    for file in &FILES {
        let path = path(file);
        let _ = fs::remove_file(&path);
        let connection = Connection::open(&path).expect("it opens");
        connection.pragma_update(None, "page_size", 1024).expect("it is set");
        let source = source_at(file.commit);
        for version in 1..=file.version {
            connection.execute_batch(&constant(&source, &format!("VERSION_{version}"))).expect("it is made");
        }
        connection.execute_batch(&constant(&source, "WORDS")).expect("an index");
        connection.pragma_update(None, "application_id", 0x5061_726c).expect("it is set");
        connection.pragma_update(None, "user_version", file.version).expect("it is set");
        people(&connection, file);
        rooms(&connection, file);
        connection.execute_batch("VACUUM").expect("it is made small");
    }
}

/// The file that has the statements, as it was at a commit.
fn source_at(commit: &str) -> String {
    let file = format!("{commit}:src/store/sqlite/schema.rs");
    let shown = Command::new("git").args(["show", &file]).output().expect("git runs");
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    String::from_utf8(shown.stdout).expect("it is a text")
}

/// The text of a constant: one literal, or some in `concat!`, of which a macro may make one.
fn constant(source: &str, name: &str) -> String {
    let (_, rest) = source.split_once(&format!("const {name}: &str = ")).expect("it is there");
    literals(source, rest, ";\n")
}

fn literals(source: &str, mut rest: &str, end: &str) -> String {
    let mut text = String::new();
    loop {
        if rest.starts_with(end) {
            return text;
        } else if let Some(literal) = rest.strip_prefix('"') {
            let mut chars = literal.char_indices();
            while let Some((at, c)) = chars.next() {
                match c {
                    '"' => {
                        rest = &literal[at + 1..];
                        break;
                    }
                    '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
                    c => text.push(c),
                }
            }
        } else if let Some(after) = rest.strip_prefix("op_of_account!()") {
            let (_, definition) = source.split_once("macro_rules! op_of_account {").expect("it is there");
            text += &literals(source, definition, "}\n");
            rest = after;
        } else {
            let next = rest.chars().next().expect("it has an end");
            rest = &rest[next.len_utf8()..];
        }
    }
}

/// The row of a millisecond's only op, and its id.
fn row(millis: u32, random: u32) -> (i64, Vec<u8>) {
    let millis = START + i64::from(millis);
    let id = u128::from(millis.cast_unsigned()) << 80 | 7 << 76 | 2 << 62 | u128::from(random);
    (millis << 12, id.to_be_bytes().to_vec())
}

fn people(connection: &Connection, file: &File) {
    for (id, name) in [(1, "Alice"), (2, "Bob")] {
        let folded = name.to_lowercase();
        let (_, op) = row(id, id);
        let made = if file.version < 4 {
            let sql = "INSERT INTO accounts VALUES (?1, ?2, ?3, ?4, ?5)";
            connection.execute(sql, (id, name, folded, HASH, START + i64::from(id)))
        } else {
            let sql = "INSERT INTO accounts VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)";
            connection.execute(sql, (id, name, folded, HASH, START + i64::from(id), op))
        };
        made.expect("an account");
    }
    for (millis, sender, folded, account) in [(10, "Alice", "alice", Some(1)), (11, "Gast", "gast", None)] {
        let (n, id) = row(millis, 1);
        let columns = "n, id, sender, recipient, content, sender_account, recipient_account, sender_sees,
            recipient_sees, unread, moved";
        let sql =
            format!("INSERT INTO letters ({columns}) VALUES (?1, ?2, ?3, 'Bob', '你好', ?4, 2, ?5, 1, 1, 0)");
        let values = params![n, id, sender, account, account.is_some()];
        if file.has_conversations() {
            let sql = sql.replace("(n,", "(sender_folded, recipient_folded, n,");
            let sql = sql.replace("(?1,", "(?6, 'bob', ?1,");
            connection.execute(&sql, params![n, id, sender, account, account.is_some(), folded])
        } else {
            connection.execute(&sql, values)
        }
        .expect("a letter");
    }
    if file.has_conversations() {
        let sql = "INSERT INTO conversations VALUES
            (1, 'bob', 2, 'Bob', 1, 0), (2, 'alice', 1, 'Alice', 1, 1), (2, 'gast', 0, 'Gast', 1, 1)";
        connection.execute_batch(sql).expect("conversations");
    }
}

fn rooms(connection: &Connection, file: &File) {
    let n = |number: u32| row(100 + number, number);
    let rooms =
        [(1, "lobby", MESSAGES, n(1).0, n(MESSAGES).0), (2, "den", 1, n(MESSAGES + 1).0, n(MESSAGES + 1).0)];
    for (id, name, last, oldest, newest) in rooms {
        if file.version == 1 {
            connection.execute("INSERT INTO rooms VALUES (?1, ?2, 1, ?3, 0)", (id, name, last))
        } else {
            let sql = "INSERT INTO rooms VALUES (?1, ?2, 1, ?3, ?4, ?5, 0)";
            connection.execute(sql, (id, name, last, oldest, newest))
        }
        .expect("a room");
    }
    for number in 1..=MESSAGES + 1 {
        let (room, sequence, text) =
            if number > MESSAGES { (2, 1, DEN.into()) } else { (1, number, message(number)) };
        let (n, id) = n(number);
        let previous = if sequence == 1 { 0 } else { row(99 + sequence, 0).0 };
        if file.version == 1 {
            let sql = "INSERT INTO room_messages VALUES (?1, ?2, ?3, ?4, 'Alice', ?5, 0)";
            connection.execute(sql, (n, id, room, sequence, &text))
        } else {
            let columns = "n, id, room, sequence, previous, sender, text, moved";
            let sql =
                format!("INSERT INTO room_messages ({columns}) VALUES (?1, ?2, ?3, ?4, ?5, 'Alice', ?6, 0)");
            connection.execute(&sql, (n, id, room, sequence, previous, &text))
        }
        .expect("a message");
        if file.version > 1 && sequence % 64 == 0 {
            let sql = "INSERT INTO room_marks VALUES (?1, ?2, ?3)";
            connection.execute(sql, (room, sequence, n)).expect("a mark");
        }
        if number <= INDEXED {
            let sql = "INSERT INTO room_words (rowid, words) VALUES (?1, ?2)";
            connection.execute(sql, (n, words_of_version_4(&text))).expect("it is indexed");
        }
    }
    let sql = "INSERT INTO meta VALUES ('last_op', ?1), ('indexed_to', ?2)";
    connection.execute(sql, (n(MESSAGES + 1).1, n(INDEXED).0)).expect("notes");
}

/// The words that were indexed up to version 4.
fn words_of_version_4(text: &str) -> String {
    let plain: String = text.nfd().filter(|&c| !is_combining_mark(c)).flat_map(char::to_lowercase).collect();
    let words: Vec<_> = plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}
