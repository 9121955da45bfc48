//! The messages of a room, each of which names the one before it.
//!
//! A page of a room's past is read from its end, or from a message that is known, backwards. What is oldest is found through
//! the marks: from the first mark at or behind it, back to it.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension};

use super::mirror::{self, Room};
use super::row::{self, Said, Table};
use crate::chat::{OpId, RoomMessage};

/// The newest messages of a room, or of those before one: oldest first.
pub(super) fn history(
    connection: &Connection,
    name: &str,
    before: Option<OpId>,
    count: usize,
) -> rusqlite::Result<Vec<RoomMessage>> {
    let mut messages = Vec::new();
    let Some(room) = mirror::read_room(connection, name)? else { return Ok(messages) };
    let mut next = Some(room.newest);
    if let Some(before) = before {
        let n = row::find(connection, Table::RoomMessages, before)?;
        let said = match n {
            Some(n) => Said::find(connection, n)?,
            None => None,
        };
        next = said.filter(|said| said.room == room.id).and_then(|said| before_it(&room, &said));
    }
    while let Some(n) = next
        && messages.len() < count
    {
        let said = link(connection, &room, n)?;
        next = before_it(&room, &said);
        messages.push(said.message);
    }
    messages.reverse();
    Ok(messages)
}

/// The oldest messages of a room up to its first mark, or up to its end: oldest first, at least one.
pub(super) fn oldest(connection: &Connection, room: &Room) -> rusqlite::Result<Vec<Said>> {
    let sql = "SELECT n FROM room_marks WHERE room = ?1 AND sequence >= ?2 ORDER BY sequence LIMIT 1";
    let mark =
        connection.prepare_cached(sql)?.query_row((room.id, room.first), |row| row.get(0)).optional()?;
    let mut messages = Vec::new();
    let mut next = Some(mark.unwrap_or(room.newest));
    while let Some(n) = next {
        let said = link(connection, room, n)?;
        next = before_it(room, &said);
        messages.push(said);
    }
    messages.reverse();
    Ok(messages)
}

/// The row before one in a room.
fn before_it(room: &Room, said: &Said) -> Option<i64> {
    (said.message.sequence.cast_signed() > room.first).then_some(said.previous)
}

/// The message in a row, which a room is known to have.
pub(super) fn link(connection: &Connection, room: &Room, n: i64) -> rusqlite::Result<Said> {
    Said::find(connection, n)?.filter(|said| said.room == room.id).ok_or_else(|| {
        let what = format!("room {} lacks its message in row {n}", room.name);
        rusqlite::Error::FromSqlConversionFailure(0, Type::Integer, what.into())
    })
}
