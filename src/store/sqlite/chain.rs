//! The messages of a room, each of which names the one before it.
//!
//! A page of a room's past is read from its end, or from a message that is known, backwards. What is oldest is found through
//! the marks: from the first mark at or behind it, back to it.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension};

use super::mirror::{self, Room};
use super::row::{self, Said, Table};
use crate::chat::{Page, RoomMessage};

/// A page of a room's history, oldest first.
pub(super) fn page(
    connection: &Connection,
    name: &str,
    page: Page,
    count: usize,
) -> rusqlite::Result<Vec<RoomMessage>> {
    let Some(room) = mirror::read_room(connection, name)? else { return Ok(Vec::new()) };
    let at = match page {
        Page::Newest => None,
        Page::Before(id) | Page::After(id) | Page::Around(id) => {
            let n = row::find(connection, Table::RoomMessages, id)?;
            let said = n.map(|n| Said::find(connection, n)).transpose()?.flatten();
            let is_there =
                |said: &Said| said.room == room.id && said.message.sequence.cast_signed() >= room.first;
            match said.filter(is_there) {
                Some(said) => Some(said),
                None => return Ok(Vec::new()),
            }
        }
    };
    // Numbers are without holes: the first of the room is at index 0.
    let first = room.first.cast_unsigned();
    let index = |said: &Said| said.message.sequence.saturating_sub(first) as usize;
    let newest = link(connection, &room, room.newest)?;
    let indices = page.range(index(&newest) + 1, count, |_| at.as_ref().map(index));
    let Some(last) = indices.end.checked_sub(1).filter(|_| !indices.is_empty()) else {
        return Ok(Vec::new());
    };
    let mut next = match (&at, page) {
        (Some(said), Page::Before(_)) => before_it(&room, said),
        (_, Page::Newest) => Some(room.newest),
        _ => Some(mark_from(connection, &room, first + last as u64)?.unwrap_or(room.newest)),
    };
    let mut messages = Vec::new();
    while let Some(n) = next
        && messages.len() < indices.len()
    {
        let said = link(connection, &room, n)?;
        next = before_it(&room, &said);
        if index(&said) <= last {
            messages.push(said.message);
        }
    }
    messages.reverse();
    Ok(messages)
}

/// The row of the first mark of a room at or behind a number.
fn mark_from(connection: &Connection, room: &Room, sequence: u64) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT n FROM room_marks WHERE room = ?1 AND sequence >= ?2 ORDER BY sequence LIMIT 1";
    connection.prepare_cached(sql)?.query_row((room.id, sequence.cast_signed()), |row| row.get(0)).optional()
}

/// The oldest messages of a room up to its first mark, or up to its end: oldest first, at least one.
pub(super) fn oldest(connection: &Connection, room: &Room) -> rusqlite::Result<Vec<Said>> {
    let mark = mark_from(connection, room, room.first.cast_unsigned())?;
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
