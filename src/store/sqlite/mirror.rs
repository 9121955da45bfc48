//! What a writer keeps in memory of the file, so that committing an op asks it nothing: the accounts, the rooms that were
//! lately spoken in, and where the tables end.
//!
//! It says what the file will say when the transaction is committed. When one fails, the mirror is thrown away, and read
//! again from the file.

use std::collections::{BTreeSet, HashMap};

use ahash::RandomState;
use rusqlite::{Connection, OptionalExtension};

use super::row::{self, Table};
use super::schema;
use crate::chat::OpId;
use crate::limits::{STORE_ROOMS_CACHED_MAX, STORE_ROOMS_PER_STEP_MAX};

/// A row of `rooms`, of one that is not closed.
#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    pub(super) id: i64,
    pub(super) name: Box<str>,
    /// The sequence number of its oldest message.
    pub(super) first: i64,
    /// That of its newest; 0 if it has none.
    pub(super) last: i64,
    /// The row of its oldest message.
    pub(super) oldest: i64,
    /// That of its newest.
    pub(super) newest: i64,
    /// Whether the file has yet to be told.
    pub(super) is_changed: bool,
    /// Whether the file has a row of it.
    pub(super) is_in_file: bool,
}

/// A row of `accounts`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) row: i64,
    /// The id by which ops name it.
    pub(super) op: OpId,
    pub(super) is_unused: bool,
}

/// What of the file waits for [`tidy`](super::tidy).
#[derive(Debug, Default)]
pub(super) struct Chores {
    /// Rooms that were spoken in since they were looked at for messages that are too many.
    pub(super) rooms: BTreeSet<i64>,
    /// How far the look at all rooms has come; None: none is going on.
    pub(super) all_rooms_from: Option<i64>,
    /// All rooms are to be looked at once more when that is done.
    pub(super) all_rooms_again: bool,
    /// There are, or may be, closed rooms of which messages are left.
    pub(super) closed: bool,
    /// How far the look at all letters has come, for those of accounts that are gone; None: none is going on.
    pub(super) letters_from: Option<i64>,
    /// The same of conversations, which come after the letters: the owner whose are next.
    pub(super) conversations_from: Option<i64>,
    /// There are, or may be, messages that are not indexed.
    pub(super) unindexed: bool,
}

impl Chores {
    /// Has all rooms looked at, also those that a look which is going on has passed.
    pub(super) fn look_at_all_rooms(&mut self) {
        match self.all_rooms_from {
            None => self.all_rooms_from = Some(0),
            Some(_) => self.all_rooms_again = true,
        }
    }

    /// Whether there is anything to do.
    pub(super) fn are_there(&self) -> bool {
        let Self {
            rooms,
            all_rooms_from,
            all_rooms_again,
            closed,
            letters_from,
            conversations_from,
            unindexed,
        } = self;
        !rooms.is_empty()
            || all_rooms_from.is_some()
            || *all_rooms_again
            || *closed
            || letters_from.is_some()
            || conversations_from.is_some()
            || *unindexed
    }
}

#[derive(Debug)]
pub(super) struct Mirror {
    /// By folded name.
    pub(super) accounts: HashMap<Box<str>, Account, RandomState>,
    /// Indices into `rooms`, by name.
    by_name: HashMap<Box<str>, usize, RandomState>,
    rooms: Vec<Room>,
    /// Indices of the rooms that are changed.
    changed: Vec<usize>,
    next_room: i64,
    /// The highest numbers of rows: what is above is free.
    pub(super) letters_end: i64,
    pub(super) room_messages_end: i64,
    /// The highest id that was committed.
    pub(super) last: Option<OpId>,
    /// The messages with numbers up to this are in the index of words; None: there is no index.
    pub(super) indexed_to: Option<i64>,
    pub(super) chores: Chores,
}

impl Mirror {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut accounts = HashMap::default();
        let mut statement = connection.prepare("SELECT folded, id, op, unused FROM accounts")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let account = Account { row: row.get(1)?, op: row::id(row, 2)?, is_unused: row.get(3)? };
            accounts.insert(row.get(0)?, account);
        }
        let highest_room: i64 =
            connection.query_row("SELECT ifnull(max(id), 0) FROM rooms", [], |row| row.get(0))?;
        let indexed_to = indexed_to(connection)?;
        Ok(Self {
            accounts,
            by_name: HashMap::default(),
            rooms: Vec::new(),
            changed: Vec::new(),
            next_room: highest_room + 1,
            letters_end: row::highest(connection, Table::Letters)?,
            room_messages_end: row::highest(connection, Table::RoomMessages)?,
            last: last_op(connection)?,
            indexed_to,
            chores: Chores {
                rooms: BTreeSet::new(),
                all_rooms_from: Some(0),
                all_rooms_again: false,
                closed: true,
                letters_from: meta(connection, "letters_from")?,
                conversations_from: None,
                unindexed: indexed_to.is_some(),
            },
        })
    }

    /// A room, as an index that is good for this group: the one in memory, the one in the file, or a new one.
    pub(super) fn room(&mut self, connection: &Connection, name: &str) -> rusqlite::Result<usize> {
        if let Some(&index) = self.by_name.get(name) {
            return Ok(index);
        }
        let room = if let Some(room) = read_room(connection, name)? {
            room
        } else {
            Room { id: self.new_room_id(), name: name.into(), first: 1, ..Room::default() }
        };
        let index = self.rooms.len();
        self.rooms.push(room);
        self.by_name.insert(name.into(), index);
        Ok(index)
    }

    pub(super) fn new_room_id(&mut self) -> i64 {
        self.next_room += 1;
        self.next_room - 1
    }

    /// A room, by its index.
    pub(super) fn at(&self, index: usize) -> &Room {
        &self.rooms[index]
    }

    /// A room that is to be changed.
    pub(super) fn change(&mut self, index: usize) -> &mut Room {
        let room = &mut self.rooms[index];
        if !room.is_changed {
            room.is_changed = true;
            self.changed.push(index);
        }
        room
    }

    /// What was changed since the last call. Also the moment at which rooms are forgotten if they are too many.
    pub(super) fn take_changed(
        &mut self,
        mut visit: impl FnMut(&mut Room) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        for index in self.changed.drain(..) {
            let room = &mut self.rooms[index];
            if std::mem::take(&mut room.is_changed) {
                visit(room)?;
                self.chores.rooms.insert(room.id);
            }
        }
        if self.rooms.len() > STORE_ROOMS_CACHED_MAX {
            self.by_name.clear();
            self.rooms.clear();
        }
        if self.chores.rooms.len() > 2 * STORE_ROOMS_PER_STEP_MAX {
            self.chores.rooms.clear();
            self.chores.look_at_all_rooms();
        }
        Ok(())
    }

    /// Forgets a room, as it is when all its messages are gone. Hands out what was known.
    pub(super) fn forget_room(&mut self, name: &str) -> Option<Room> {
        let index = self.by_name.remove(name)?;
        // Its place in the list stays, so that other indices stay good.
        Some(std::mem::take(&mut self.rooms[index]))
    }

    /// Takes note that a room begins later.
    pub(super) fn room_begins(&mut self, begun: &Room) {
        if let Some(&index) = self.by_name.get(&begun.name)
            && self.rooms[index].id == begun.id
        {
            (self.rooms[index].first, self.rooms[index].oldest) = (begun.first, begun.oldest);
        }
    }

    /// Takes note that a room is empty, and no longer in the file.
    pub(super) fn room_ended(&mut self, ended: &Room) {
        if let Some(&index) = self.by_name.get(&ended.name)
            && self.rooms[index].id == ended.id
        {
            self.forget_room(&ended.name);
        }
    }
}

/// The room of that name which is not closed.
pub(super) fn read_room(connection: &Connection, name: &str) -> rusqlite::Result<Option<Room>> {
    let sql = "SELECT id, first, last, oldest, newest FROM rooms WHERE name = ?1 AND NOT closed";
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Room {
            id: row.get(0)?,
            name: name.into(),
            first: row.get(1)?,
            last: row.get(2)?,
            oldest: row.get(3)?,
            newest: row.get(4)?,
            is_changed: false,
            is_in_file: true,
        })
    };
    connection.prepare_cached(sql)?.query_row([name], read).optional()
}

/// A value that is noted, if there is one.
pub(super) fn meta<T: rusqlite::types::FromSql>(
    connection: &Connection,
    name: &str,
) -> rusqlite::Result<Option<T>> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// Notes a value; None: there is none any more.
pub(super) fn set_meta<T: rusqlite::ToSql>(
    connection: &Connection,
    name: &str,
    value: Option<T>,
) -> rusqlite::Result<()> {
    let Some(value) = value else {
        connection.prepare_cached("DELETE FROM meta WHERE name = ?1")?.execute([name])?;
        return Ok(());
    };
    connection
        .prepare_cached("INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value")?
        .execute((name, value))?;
    Ok(())
}

/// The prefix in `meta` of the op that made the room of a host's token.
const MADE: &str = "made ";

/// Takes out what [`set_made`] has noted for the hosts of a room.
pub(super) const FORGET_MADE_OF_ROOM: &str =
    "DELETE FROM meta WHERE name IN (SELECT 'made ' || token FROM seats WHERE room = ?1 AND is_host)";

/// The op that made the room of a host's token, if it is known.
pub(super) fn made(connection: &Connection, token: &str) -> rusqlite::Result<Option<OpId>> {
    Ok(meta(connection, &format!("{MADE}{token}"))?.map(OpId::from_bytes))
}

/// Notes it, or takes the note out.
pub(super) fn set_made(connection: &Connection, token: &str, made: Option<OpId>) -> rusqlite::Result<()> {
    set_meta(connection, &format!("{MADE}{token}"), made.map(OpId::to_bytes))
}

/// The highest id that was committed.
pub(super) fn last_op(connection: &Connection) -> rusqlite::Result<Option<OpId>> {
    Ok(meta(connection, "last_op")?.map(OpId::from_bytes))
}

/// The messages with numbers up to this are in the index of words; None: there is no index.
pub(super) fn indexed_to(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    if !schema::has_words_of_today(connection)? {
        return Ok(None);
    }
    Ok(Some(meta(connection, "indexed_to")?.unwrap_or(-1)))
}
