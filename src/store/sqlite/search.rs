//! Words in what was said: the index, and the messages that are not in it yet.

use std::cmp::Reverse;
use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Rows};

use super::mirror;
use super::row::{Said, said};
use crate::chat::RoomMessage;
use crate::store::words::{self, Term, Words};

/// Adds a message to the index. Returns the bytes of its terms.
pub(super) fn index(connection: &Connection, n: i64, text: &str) -> rusqlite::Result<usize> {
    let sql = "INSERT INTO room_words (rowid, words) VALUES (?1, ?2)";
    let terms = words::indexed(text);
    connection.prepare_cached(sql)?.execute((n, &terms))?;
    Ok(terms.len())
}

/// Takes a message out of the index that is in it. The index has no copy of the text, and is told what it was.
pub(super) fn unindex(connection: &Connection, n: i64, text: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO room_words (room_words, rowid, words) VALUES ('delete', ?1, ?2)";
    connection.prepare_cached(sql)?.execute((n, words::indexed(text))).map(drop)
}

/// What one search has found so far.
struct Search<'a> {
    connection: &'a Connection,
    words: Words,
    count: usize,
    /// By id; None of one that is closed.
    rooms: HashMap<i64, Option<Box<str>>>,
    found: Vec<(Box<str>, RoomMessage)>,
}

/// The question to the index. No term has a quotation mark in it.
fn question(words: &Words) -> String {
    let terms = words.terms().map(|term| match term {
        Term::Whole(term) => format!("\"{term}\""),
        Term::Start(start) => format!("\"{start}\" *"),
    });
    terms.collect::<Vec<_>>().join(" ")
}

/// The newest messages that have all pieces of a search, newest first.
pub(super) fn search(
    connection: &Connection,
    words: Words,
    count: usize,
) -> rusqlite::Result<Vec<(Box<str>, RoomMessage)>> {
    if words.is_empty() || count == 0 {
        return Ok(Vec::new());
    }
    let question = question(&words);
    let indexed_to = mirror::indexed_to(connection)?;
    let mut search = Search { connection, words, count, rooms: HashMap::new(), found: Vec::new() };
    let mut tail = connection.prepare_cached(said!("WHERE m.n > ?1 ORDER BY m.n DESC"))?;
    search.look_at(tail.query([indexed_to.unwrap_or(-1)])?)?;
    if indexed_to.is_some() {
        let sql =
            said!("JOIN room_words AS w ON w.rowid = m.n WHERE w.room_words MATCH ?1 ORDER BY w.rowid DESC");
        let mut indexed = connection.prepare_cached(sql)?;
        search.look_at(indexed.query([question])?)?;
    }
    let mut found = search.found;
    found.sort_unstable_by_key(|(_, message)| Reverse(message.id));
    Ok(found)
}

impl Search<'_> {
    fn look_at(&mut self, mut rows: Rows<'_>) -> rusqlite::Result<()> {
        while self.found.len() < self.count
            && let Some(row) = rows.next()?
        {
            if !self.words.are_in(row.get_ref(6)?.as_str()?) {
                continue;
            }
            let said = Said::read(row)?;
            if let Some(room) = self.room(said.room)? {
                self.found.push((room, said.message));
            }
        }
        Ok(())
    }

    fn room(&mut self, id: i64) -> rusqlite::Result<Option<Box<str>>> {
        if let Some(room) = self.rooms.get(&id) {
            return Ok(room.clone());
        }
        let sql = "SELECT name FROM rooms WHERE id = ?1 AND NOT closed";
        let room = self.connection.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?;
        self.rooms.insert(id, room.clone());
        Ok(room)
    }
}
