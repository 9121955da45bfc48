//! How ids and messages stand in the tables.
//!
//! The number of a row is the time and the sequence in the id of the op that it comes from: 60 bits, which rise as ids do.
//! So the table itself is in the order of ids, a new row goes to its end, and an id is found without an index. Where another
//! id has that number already (they differ in what is random), the row has the next free one and is marked as moved; those,
//! and only those, are in an index.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::chat::{Folded, OpId, RoomMessage, UnixMillis};

/// A table of which the rows are numbered so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Table {
    Letters,
    RoomMessages,
}

/// The number that an id's row has, unless it is taken.
pub(super) fn number(id: OpId) -> i64 {
    let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = id.to_bytes();
    let high = u64::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
    // 48 bits of time, 4 that say which kind of UUID it is, 12 of sequence.
    (high >> 16 << 12 | high & 0xfff).cast_signed()
}

/// The number of the row that an id has.
pub(super) fn find(connection: &Connection, table: Table, id: OpId) -> rusqlite::Result<Option<i64>> {
    let sql = match table {
        Table::Letters => {
            "SELECT n FROM letters WHERE n = ?1 AND id = ?2
                UNION ALL SELECT n FROM letters WHERE moved AND id = ?2"
        }
        Table::RoomMessages => {
            "SELECT n FROM room_messages WHERE n = ?1 AND id = ?2
                UNION ALL SELECT n FROM room_messages WHERE moved AND id = ?2"
        }
    };
    connection.prepare_cached(sql)?.query_row((number(id), id.to_bytes()), |row| row.get(0)).optional()
}

/// The first number from there on that no row has.
pub(super) fn free(connection: &Connection, table: Table, from: i64) -> rusqlite::Result<i64> {
    let sql = match table {
        Table::Letters => "SELECT n FROM letters WHERE n >= ?1 ORDER BY n",
        Table::RoomMessages => "SELECT n FROM room_messages WHERE n >= ?1 ORDER BY n",
    };
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([from])?;
    let mut free = from;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(0)? != free {
            break;
        }
        free += 1;
    }
    Ok(free)
}

/// The highest number of a row, 0 if there is none.
pub(super) fn highest(connection: &Connection, table: Table) -> rusqlite::Result<i64> {
    let sql = match table {
        Table::Letters => "SELECT ifnull(max(n), 0) FROM letters",
        Table::RoomMessages => "SELECT ifnull(max(n), 0) FROM room_messages",
    };
    connection.query_row(sql, [], |row| row.get(0))
}

/// An id in a column.
pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<OpId> {
    row.get(column).map(OpId::from_bytes)
}

/// The time of an op in a column, which is empty where it is the time in the id.
pub(super) fn at(row: &Row<'_>, column: usize, id: OpId) -> rusqlite::Result<UnixMillis> {
    let at: Option<i64> = row.get(column)?;
    Ok(at.map_or(id.at(), |at| UnixMillis(at.cast_unsigned())))
}

/// The inverse of [`at`].
pub(super) fn at_column(id: OpId, at: UnixMillis) -> Option<i64> {
    (at != id.at()).then_some(at.0.cast_signed())
}

/// A folded name in a column.
pub(super) fn folded(row: &Row<'_>, column: usize) -> rusqlite::Result<Folded> {
    checked(row, column, "a name that is too long", |text| Folded::from(text).ok())
}

/// What a column says, checked by whoever knows what may stand there.
pub(super) fn checked<T>(
    row: &Row<'_>,
    column: usize,
    what: &str,
    check: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    check(row.get_ref(column)?.as_str()?)
        .ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into()))
}

/// What one row says of a message in a room.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) n: i64,
    pub(super) room: i64,
    /// The row of the message before it in the room, if that is still there.
    pub(super) previous: i64,
    pub(super) message: RoomMessage,
}

/// The columns that [`Said::read`] reads, of `room_messages AS m`.
macro_rules! said {
    ($rest:literal) => {
        concat!(
            "SELECT m.n, m.id, m.room, m.sequence, m.previous, m.sender, m.text, m.at FROM room_messages AS m ",
            $rest
        )
    };
}
pub(super) use said;

impl Said {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let id = id(row, 1)?;
        let message = RoomMessage {
            id,
            at: at(row, 7, id)?,
            sequence: row.get::<_, i64>(3)?.cast_unsigned(),
            sender: row.get(5)?,
            text: row.get(6)?,
        };
        Ok(Self { n: row.get(0)?, room: row.get(2)?, previous: row.get(4)?, message })
    }

    pub(super) fn find(connection: &Connection, n: i64) -> rusqlite::Result<Option<Self>> {
        connection.prepare_cached(said!("WHERE m.n = ?1"))?.query_row([n], Self::read).optional()
    }
}
