//! What can wait, a step at a time: forgetting, and indexing. Each step is a transaction.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};

use super::chain;
use super::mirror::{self, Mirror, Room};
use super::row::Said;
use super::search;
use crate::chat::{HistoryRule, HistoryRules, UnixMillis, too_old};
use crate::limits::{
    STORE_AGE_SWEEP_MILLIS, STORE_AHEAD_LOOKED_MAX, STORE_FORGOTTEN_PER_STEP_MAX, STORE_FORGOTTEN_TEXT_BYTES,
    STORE_INDEXED_BYTES_PER_STEP_MAX, STORE_INDEXED_PER_STEP_MAX, STORE_LETTERS_PER_STEP_MAX,
    STORE_ROOMS_PER_STEP_MAX,
};

/// When all rooms were looked at, and with which rules.
#[derive(Debug, Default)]
pub(super) struct Swept {
    rules: Option<HistoryRules>,
    at: UnixMillis,
}

impl Swept {
    /// Has all rooms looked at if that may find anything.
    pub(super) fn note(&mut self, rules: &HistoryRules, now: UnixMillis, mirror: &mut Mirror) {
        let is_new = self.rules.as_ref() != Some(rules);
        let is_due = has_ages(rules) && now.0.abs_diff(self.at.0) >= STORE_AGE_SWEEP_MILLIS;
        if is_new {
            self.rules = Some(rules.clone());
        }
        if is_new || is_due {
            self.at = now;
            mirror.chores.look_at_all_rooms();
        }
    }
}

fn has_ages(rules: &HistoryRules) -> bool {
    rules.default.keep_days > 0 || rules.rooms.iter().any(|(_, rule)| rule.keep_days > 0)
}

/// One step.
struct Step<'a> {
    connection: &'a Connection,
    mirror: &'a mut Mirror,
    rules: &'a HistoryRules,
    now: UnixMillis,
    /// Messages that may still be forgotten in it, a long one in the index counted as several.
    budget: usize,
    /// What is to be taken out of the index, with its row.
    unindexed: Vec<(i64, Box<str>)>,
}

/// Takes one step, in a transaction that somebody else begins and ends.
pub(super) fn step(
    connection: &Connection,
    mirror: &mut Mirror,
    rules: &HistoryRules,
    now: UnixMillis,
) -> rusqlite::Result<()> {
    let mut step =
        Step { connection, mirror, rules, now, budget: STORE_FORGOTTEN_PER_STEP_MAX, unindexed: Vec::new() };
    step.forget_closed()?;
    if step.mirror.chores.letters_from.is_some() {
        step.forget_letters()?;
    } else {
        step.forget_conversations()?;
    }
    step.look_at_rooms()?;
    step.unindex()?;
    step.index()
}

impl Step<'_> {
    fn forget_closed(&mut self) -> rusqlite::Result<()> {
        while self.mirror.chores.closed && self.budget > 0 {
            let sql =
                "SELECT id, name, first, last, oldest, newest FROM rooms WHERE closed ORDER BY id LIMIT 1";
            match self.connection.prepare_cached(sql)?.query_row([], read_room).optional()? {
                Some(mut room) => {
                    self.forget(&mut room, |_| true)?;
                }
                None => self.mirror.chores.closed = false,
            }
        }
        Ok(())
    }

    /// Letters from and to accounts that are gone.
    fn forget_letters(&mut self) -> rusqlite::Result<()> {
        let Some(from) = self.mirror.chores.letters_from else { return Ok(()) };
        let sql = "SELECT n FROM letters WHERE n > ?1 ORDER BY n LIMIT 1 OFFSET ?2";
        let limit = i64::from(STORE_LETTERS_PER_STEP_MAX) - 1;
        let to =
            self.connection.prepare_cached(sql)?.query_row((from, limit), |row| row.get(0)).optional()?;
        let sql = "DELETE FROM letters WHERE n > ?1 AND n <= ?2 AND (
                recipient_account NOT IN (SELECT id FROM accounts)
                OR sender_account NOT IN (SELECT id FROM accounts))";
        self.connection.prepare_cached(sql)?.execute((from, to.unwrap_or(i64::MAX)))?;
        self.mirror.chores.letters_from = to;
        if to.is_some() {
            return mirror::set_meta(self.connection, "letters_from", to);
        }
        // Noted until the conversations are done, too: after a restart there is nothing left to be found on the way there.
        self.mirror.chores.conversations_from = Some(0);
        Ok(())
    }

    /// Conversations of and with accounts that are gone, when nothing can change them any more: their letters are gone.
    fn forget_conversations(&mut self) -> rusqlite::Result<()> {
        let Some(from) = self.mirror.chores.conversations_from else { return Ok(()) };
        // All of an owner at a time, who has no more of them than messages fit into a mailbox.
        let sql = "SELECT owner FROM conversations WHERE owner >= ?1 ORDER BY owner LIMIT 1 OFFSET ?2";
        let limit = i64::from(STORE_LETTERS_PER_STEP_MAX) - 1;
        let to: Option<i64> =
            self.connection.prepare_cached(sql)?.query_row((from, limit), |row| row.get(0)).optional()?;
        let sql = "DELETE FROM conversations WHERE owner >= ?1 AND owner <= ?2 AND (
                owner NOT IN (SELECT id FROM accounts)
                OR account <> 0 AND account NOT IN (SELECT id FROM accounts))";
        self.connection.prepare_cached(sql)?.execute((from, to.unwrap_or(i64::MAX)))?;
        self.mirror.chores.conversations_from = to.map(|owner| owner + 1);
        if to.is_none() {
            mirror::set_meta(self.connection, "letters_from", None::<i64>)?;
        }
        Ok(())
    }

    /// The rooms that were spoken in, and then some of all if that is due.
    fn look_at_rooms(&mut self) -> rusqlite::Result<()> {
        let mut looks = STORE_ROOMS_PER_STEP_MAX;
        while looks > 0
            && let Some(&id) = self.mirror.chores.rooms.first()
        {
            looks -= 1;
            let sql = "SELECT id, name, first, last, oldest, newest FROM rooms WHERE id = ?1 AND NOT closed";
            let room = self.connection.prepare_cached(sql)?.query_row([id], read_room).optional()?;
            if let Some(room) = room
                && !self.look_at(room)?
            {
                return Ok(());
            }
            self.mirror.chores.rooms.remove(&id);
        }
        while looks > 0
            && let Some(from) = self.mirror.chores.all_rooms_from
        {
            looks -= 1;
            let sql = "SELECT id, name, first, last, oldest, newest FROM rooms
                WHERE id > ?1 AND NOT closed ORDER BY id LIMIT 1";
            let Some(room) = self.connection.prepare_cached(sql)?.query_row([from], read_room).optional()?
            else {
                let again = std::mem::take(&mut self.mirror.chores.all_rooms_again);
                self.mirror.chores.all_rooms_from = again.then_some(0);
                continue;
            };
            let id = room.id;
            if !self.look_at(room)? {
                return Ok(());
            }
            self.mirror.chores.all_rooms_from = Some(id);
        }
        Ok(())
    }

    /// Forgets of a room what is too much or too old. Returns whether nothing of that is left.
    fn look_at(&mut self, mut room: Room) -> rusqlite::Result<bool> {
        let rule = self.rules.of(&room.name);
        let oldest_kept = rule.oldest_kept(self.now);
        let HistoryRule { keep_messages, .. } = rule;
        let last = room.last;
        let is_one_too_many =
            move |said: &Said| last.cast_unsigned().saturating_sub(said.message.sequence) >= keep_messages;
        let oldest = Said::find(self.connection, room.oldest)?;
        if oldest.is_some_and(|said| {
            !is_one_too_many(&said) && said.message.at >= oldest_kept && said.message.at <= self.now
        }) {
            return Ok(true);
        }
        let too_old_to = self.too_old_to(&room, oldest_kept)?;
        let is_doomed = |said: &Said| is_one_too_many(said) || said.message.sequence <= too_old_to;
        self.forget(&mut room, is_doomed)
    }

    /// The sequence number up to which the messages of a room are too old: see [`too_old`]. It looks no
    /// further than this step can forget, and than [`STORE_AHEAD_LOOKED_MAX`] messages.
    fn too_old_to(&self, room: &Room, oldest_kept: UnixMillis) -> rusqlite::Result<u64> {
        let enough = self.budget + 1;
        let mut times = Vec::new();
        let mut rest = room.clone();
        while rest.first <= rest.last && times.len() < STORE_AHEAD_LOOKED_MAX {
            let segment = chain::oldest(self.connection, &rest)?;
            times.extend(segment.iter().map(|said| said.message.at));
            rest.first = room.first.saturating_add_unsigned(times.len() as u64);
            let is_settled = |at: &UnixMillis| (oldest_kept..=self.now).contains(at);
            let count = too_old(times.iter().copied(), oldest_kept, self.now);
            if count >= enough || times[count..].iter().any(is_settled) {
                break;
            }
        }
        let count = too_old(times.iter().copied(), oldest_kept, self.now);
        Ok(room.first.cast_unsigned() + count as u64 - 1)
    }

    /// Forgets the oldest messages of a room that are doomed, as many as this step may. Returns whether that was all.
    fn forget(&mut self, room: &mut Room, is_doomed: impl Fn(&Said) -> bool) -> rusqlite::Result<bool> {
        while room.first <= room.last {
            for said in chain::oldest(self.connection, room)? {
                room.oldest = said.n;
                let is_doomed = is_doomed(&said);
                if self.budget == 0 || !is_doomed {
                    let sql = "UPDATE rooms SET first = ?2, oldest = ?3 WHERE id = ?1";
                    self.connection.prepare_cached(sql)?.execute((room.id, room.first, room.oldest))?;
                    let sql = "DELETE FROM room_marks WHERE room = ?1 AND sequence < ?2";
                    self.connection.prepare_cached(sql)?.execute((room.id, room.first))?;
                    self.mirror.room_begins(room);
                    return Ok(!is_doomed);
                }
                self.budget -= 1;
                self.delete(said)?;
                room.first += 1;
            }
        }
        self.connection.prepare_cached("DELETE FROM rooms WHERE id = ?1")?.execute([room.id])?;
        self.mirror.room_ended(room);
        Ok(true)
    }

    fn delete(&mut self, said: Said) -> rusqlite::Result<()> {
        self.connection.prepare_cached("DELETE FROM room_messages WHERE n = ?1")?.execute([said.n])?;
        if self.mirror.indexed_to.is_some_and(|indexed_to| said.n <= indexed_to) {
            let cost = said.message.text.len() / STORE_FORGOTTEN_TEXT_BYTES;
            self.budget = self.budget.saturating_sub(cost);
            self.unindexed.push((said.n, said.message.text));
        }
        Ok(())
    }

    /// In the order of rows: the index writes a segment of its own each time that a row is before the last one.
    fn unindex(&mut self) -> rusqlite::Result<()> {
        self.unindexed.sort_unstable_by_key(|&(n, _)| n);
        for (n, text) in self.unindexed.drain(..) {
            search::unindex(self.connection, n, &text)?;
        }
        Ok(())
    }

    fn index(&mut self) -> rusqlite::Result<()> {
        let Some(from) = self.mirror.indexed_to.filter(|_| self.mirror.chores.unindexed) else {
            return Ok(());
        };
        let sql = "SELECT n, text FROM room_messages WHERE n > ?1 ORDER BY n LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query((from, STORE_INDEXED_PER_STEP_MAX))?;
        let (mut to, mut count, mut bytes) = (from, 0_u32, 0);
        while bytes < STORE_INDEXED_BYTES_PER_STEP_MAX
            && let Some(row) = rows.next()?
        {
            to = row.get(0)?;
            let text = row
                .get_ref(1)?
                .as_str()
                .map_err(|error| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, error.into()))?;
            bytes += search::index(self.connection, to, text)?;
            count += 1;
        }
        self.mirror.chores.unindexed =
            count == STORE_INDEXED_PER_STEP_MAX || bytes >= STORE_INDEXED_BYTES_PER_STEP_MAX;
        if to > from {
            self.mirror.indexed_to = Some(to);
            mirror::set_meta(self.connection, "indexed_to", Some(to))?;
        }
        Ok(())
    }
}

fn read_room(row: &Row<'_>) -> rusqlite::Result<Room> {
    Ok(Room {
        id: row.get(0)?,
        name: row.get(1)?,
        first: row.get(2)?,
        last: row.get(3)?,
        oldest: row.get(4)?,
        newest: row.get(5)?,
        is_changed: false,
        is_in_file: true,
    })
}
