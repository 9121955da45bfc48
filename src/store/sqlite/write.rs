//! Ops into the tables: what [`Ledger`](crate::state::Ledger) and [`Seating`](crate::state::Seating) do in memory.
//!
//! Messages to people and in rooms are a statement each. All else that they change (the counts of conversations, where a room
//! ends, which op was the last one) is written once a group. What takes long is only noted: the messages of a closed room, and the letters of an account
//! that is gone, are out of sight at once, and [`tidy`](super::tidy) deletes them.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use super::chain;
use super::counts::Counts;
use super::mirror::{self, Account, Mirror, Room};
use super::row::{self, Said, Table};
use super::search;
use crate::chat::{Change, Folded, Name, Op, OpId, Seat, UnixMillis};
use crate::limits::STORE_MARK_MESSAGES;

/// A group of ops in a transaction that somebody else begins and ends.
struct Group<'a> {
    connection: &'a Connection,
    mirror: &'a mut Mirror,
    send: CachedStatement<'a>,
    say: CachedStatement<'a>,
    counts: Counts,
}

/// Carries out a group of ops.
pub(super) fn write(connection: &Connection, mirror: &mut Mirror, ops: &[Op]) -> rusqlite::Result<()> {
    let send = connection.prepare_cached(
        "INSERT INTO letters (n, id, sender, recipient, sender_folded, recipient_folded, content, key, sender_account,
            recipient_account, sender_sees, recipient_sees, unread, moved, at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 1, 1, ?12, ?13)",
    )?;
    let say = connection.prepare_cached(
        "INSERT INTO room_messages (n, id, room, sequence, previous, sender, text, moved, at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let last = mirror.last;
    let mut group = Group { connection, mirror: &mut *mirror, send, say, counts: Counts::default() };
    for op in ops {
        group.apply(op)?;
    }
    let counts = std::mem::take(&mut group.counts);
    drop(group);
    counts.write(connection)?;
    mirror.take_changed(|room| write_room(connection, room))?;
    if mirror.last > last {
        mirror::set_meta(connection, "last_op", mirror.last.map(OpId::to_bytes))?;
    }
    Ok(())
}

fn write_room(connection: &Connection, room: &mut Room) -> rusqlite::Result<()> {
    if std::mem::replace(&mut room.is_in_file, true) {
        let sql = "UPDATE rooms SET first = ?2, last = ?3, oldest = ?4, newest = ?5 WHERE id = ?1";
        connection.prepare_cached(sql)?.execute((
            room.id,
            room.first,
            room.last,
            room.oldest,
            room.newest,
        ))?;
    } else {
        let sql = "INSERT INTO rooms (id, name, first, last, oldest, newest, closed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)";
        let row = (room.id, &room.name, room.first, room.last, room.oldest, room.newest);
        connection.prepare_cached(sql)?.execute(row)?;
    }
    Ok(())
}

fn fold(name: &str) -> Option<Folded> {
    Name::parse(name).ok().map(|(_, folded)| folded)
}

impl Group<'_> {
    fn apply(&mut self, op: &Op) -> rusqlite::Result<()> {
        self.mirror.last = self.mirror.last.max(Some(op.id));
        match &op.change {
            Change::AccountCreated { name, password, is_unused } => {
                self.create((op.id, op.at), name, password.as_str(), *is_unused)
            }
            Change::AccountUsed { name, account } => self.note_use(name, *account),
            Change::PasswordChanged { name, account, password } => {
                let Some(account) = self.account_as(name, *account) else { return Ok(()) };
                self.run("UPDATE accounts SET password = ?2 WHERE id = ?1", (account, password.as_str()))
            }
            Change::AccountDeleted { name, account } => self.delete_account(name, *account),
            Change::MailSent { sender, recipient, content, key, .. } => {
                let accounts = op.change.mail_accounts(|name, id| self.account_as(name, id));
                let Some((from, to)) = accounts else { return Ok(()) };
                if from.is_some() {
                    self.note_use(sender, None)?;
                }
                self.note_use(recipient, None)?;
                let key = key.as_deref();
                self.send((op.id, op.at), (sender, from), (recipient, to), content, key)
            }
            Change::MailRead { reader, messages } => self.read(reader, messages),
            Change::MailDeleted { by, message } => self.delete_letter(by, *message),
            Change::ConversationCleared { by, messages } => {
                messages.iter().try_for_each(|&message| self.hide_from(by, message))
            }
            Change::Said { room, sender, text } => self.say((op.id, op.at), room, sender, text),
            Change::RoomMade { room, host } => self.make_room(op.id, room, host),
            Change::SeatTaken { room, seat } => self.take_seat(room, seat, false).map(drop),
            Change::SeatLeft { token } => {
                let token = token.reveal();
                mirror::set_made(self.connection, token.as_str(), None)?;
                self.run("DELETE FROM seats WHERE token = ?1", [token.as_str()])
            }
            Change::RoomClosed { room, made } => self.close_room(room, *made),
        }
    }

    fn run(&self, sql: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute(parameters).map(drop)
    }

    fn account(&self, name: &str) -> Option<i64> {
        self.account_as(name, None)
    }

    /// The account of a name, if it has the given id or none is given.
    fn account_as(&self, name: &str, id: Option<OpId>) -> Option<i64> {
        let account = self.mirror.accounts.get(fold(name)?.as_str())?;
        id.is_none_or(|id| id == account.op).then_some(account.row)
    }

    /// The account stays from now on.
    fn note_use(&mut self, name: &str, id: Option<OpId>) -> rusqlite::Result<()> {
        let Some(folded) = fold(name) else { return Ok(()) };
        let Some(account) = self.mirror.accounts.get_mut(folded.as_str()) else { return Ok(()) };
        if id.is_some_and(|id| id != account.op) || !std::mem::take(&mut account.is_unused) {
            return Ok(());
        }
        let row = account.row;
        self.run("UPDATE accounts SET unused = 0 WHERE id = ?1", [row])
    }

    /// The row for what an op adds to a table, and whether it is another one than its id says; None if it is there already.
    fn place(&mut self, table: Table, id: OpId) -> rusqlite::Result<Option<(i64, bool)>> {
        let number = row::number(id);
        let end = match table {
            Table::Letters => &mut self.mirror.letters_end,
            Table::RoomMessages => &mut self.mirror.room_messages_end,
        };
        // A row is where its id says or behind that: what is behind all rows is not there.
        if number > *end {
            *end = number;
            return Ok(Some((number, false)));
        }
        if row::find(self.connection, table, id)?.is_some() {
            return Ok(None);
        }
        let free = row::free(self.connection, table, number)?;
        *end = free.max(*end);
        Ok(Some((free, free != number)))
    }

    fn create(
        &mut self,
        (id, at): (OpId, UnixMillis),
        name: &str,
        password: &str,
        is_unused: bool,
    ) -> rusqlite::Result<()> {
        let Some(folded) = fold(name) else { return Ok(()) };
        if self.mirror.accounts.contains_key(folded.as_str()) {
            return Ok(());
        }
        let sql = "INSERT INTO accounts (name, folded, password, created, op, unused)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let created = at.0.cast_signed();
        let values = (name, folded.as_str(), password, created, id.to_bytes(), is_unused);
        let row = self.connection.prepare_cached(sql)?.insert(values)?;
        self.mirror.accounts.insert(folded.as_str().into(), Account { row, op: id, is_unused });
        Ok(())
    }

    fn delete_account(&mut self, name: &str, id: Option<OpId>) -> rusqlite::Result<()> {
        let (Some(folded), Some(row)) = (fold(name), self.account_as(name, id)) else { return Ok(()) };
        let removed = self.mirror.accounts.remove(folded.as_str());
        self.run("DELETE FROM accounts WHERE id = ?1", [row])?;
        if removed.is_some_and(|account| account.is_unused) {
            // It never had letters.
            return Ok(());
        }
        self.mirror.chores.letters_from = Some(-1);
        self.mirror.chores.conversations_from = None;
        mirror::set_meta(self.connection, "letters_from", Some(-1))
    }

    fn send(
        &mut self,
        (id, at): (OpId, UnixMillis),
        (sender, sender_account): (&str, Option<i64>),
        (recipient, recipient_account): (&str, i64),
        content: &str,
        key: Option<&str>,
    ) -> rusqlite::Result<()> {
        let (Some(sender_folded), Some(recipient_folded)) = (fold(sender), fold(recipient)) else {
            return Ok(());
        };
        let Some((n, moved)) = self.place(Table::Letters, id)? else { return Ok(()) };
        // A message to oneself is seen by its recipient alone.
        let sender_sees = sender_account.filter(|&sender| sender != recipient_account);
        let key = key.filter(|_| sender_account.is_some());
        self.send.execute(params![
            n,
            id.to_bytes(),
            sender,
            recipient,
            sender_folded.as_str(),
            recipient_folded.as_str(),
            content,
            key,
            sender_account,
            recipient_account,
            sender_sees.is_some(),
            moved,
            row::at_column(id, at)
        ])?;
        self.counts.sent(recipient_account, sender_folded, sender_account, sender, 1);
        if let Some(sender) = sender_sees {
            self.counts.sent(sender, recipient_folded, Some(recipient_account), recipient, 0);
        }
        Ok(())
    }

    fn read(&mut self, reader: &str, messages: &[OpId]) -> rusqlite::Result<()> {
        let Some(reader) = self.account(reader) else { return Ok(()) };
        for &message in messages {
            let Some(n) = row::find(self.connection, Table::Letters, message)? else { continue };
            let sql = "UPDATE letters SET unread = 0
                WHERE n = ?1 AND recipient_account = ?2 AND recipient_sees AND unread
                RETURNING sender_folded, sender_account";
            let read = |row: &Row<'_>| Ok((row::folded(row, 0)?, row.get(1)?));
            let mut statement = self.connection.prepare_cached(sql)?;
            if let Some((sender, account)) = statement.query_row((n, reader), read).optional()? {
                self.counts.read(reader, sender, account);
            }
        }
        Ok(())
    }

    /// By its sender, for both; by its recipient, from its own view.
    fn delete_letter(&mut self, by: &str, message: OpId) -> rusqlite::Result<()> {
        self.delete_views(by, message, true)
    }

    /// Only from the view of one side.
    fn hide_from(&mut self, by: &str, message: OpId) -> rusqlite::Result<()> {
        self.delete_views(by, message, false)
    }

    /// `for_both`: its sender deletes it from the recipient's view, too.
    fn delete_views(&mut self, by: &str, message: OpId, for_both: bool) -> rusqlite::Result<()> {
        let Some(by) = self.account(by) else { return Ok(()) };
        let Some(n) = row::find(self.connection, Table::Letters, message)? else { return Ok(()) };
        let sql = "SELECT sender_folded, sender_account, recipient_folded, recipient_account, sender_sees, recipient_sees,
                unread FROM letters WHERE n = ?1";
        let views = |row: &Row<'_>| {
            let sender = (row::folded(row, 0)?, row.get::<_, Option<i64>>(1)?);
            let recipient = (row::folded(row, 2)?, row.get::<_, i64>(3)?);
            Ok((sender, recipient, row.get::<_, bool>(4)?, row.get::<_, bool>(5)?, row.get::<_, i64>(6)?))
        };
        let ((sender, sender_account), (recipient, recipient_account), sender_sees, recipient_sees, unread) =
            self.connection.prepare_cached(sql)?.query_row([n], views)?;
        let by_sender = sender_sees && sender_account == Some(by);
        if !(by_sender || recipient_sees && recipient_account == by) {
            return Ok(());
        }
        if recipient_sees && (for_both || !by_sender) {
            self.counts.hidden(recipient_account, sender, sender_account, unread);
        }
        if by_sender {
            self.counts.hidden(by, recipient, Some(recipient_account), 0);
        }
        if by_sender && recipient_sees && !for_both {
            self.run("UPDATE letters SET sender_sees = 0 WHERE n = ?1", [n])
        } else if by_sender || !sender_sees {
            self.run("DELETE FROM letters WHERE n = ?1", [n])
        } else {
            self.run("UPDATE letters SET recipient_sees = 0 WHERE n = ?1", [n])
        }
    }

    fn say(
        &mut self,
        (id, at): (OpId, UnixMillis),
        room: &str,
        sender: &str,
        text: &str,
    ) -> rusqlite::Result<()> {
        let Some((n, moved)) = self.place(Table::RoomMessages, id)? else { return Ok(()) };
        let index = self.mirror.room(self.connection, room)?;
        let room = self.mirror.change(index);
        let (sequence, previous) = (room.last + 1, room.newest);
        (room.last, room.newest) = (sequence, n);
        if sequence == room.first {
            room.oldest = n;
        }
        let room = room.id;
        let at = row::at_column(id, at);
        self.say.execute(params![n, id.to_bytes(), room, sequence, previous, sender, text, moved, at])?;
        if sequence.cast_unsigned().is_multiple_of(STORE_MARK_MESSAGES) {
            self.run("INSERT INTO room_marks (room, sequence, n) VALUES (?1, ?2, ?3)", (room, sequence, n))?;
        }
        match self.mirror.indexed_to {
            // It comes late: the index has got past it.
            Some(indexed_to) if n <= indexed_to => {
                search::index(self.connection, n, text)?;
            }
            Some(_) => self.mirror.chores.unindexed = true,
            None => {}
        }
        Ok(())
    }

    /// Whether it was not there before.
    fn take_seat(&mut self, room: &str, seat: &Seat, is_host: bool) -> rusqlite::Result<bool> {
        let sql = "INSERT INTO seats (room, token, name, ip, is_host) VALUES (?1, ?2, ?3, ?4, ?5)
                ON CONFLICT (token) DO NOTHING";
        let (token, ip) = (seat.token.reveal(), seat.ip.to_string());
        let row = (room, token.as_str(), &seat.name, ip, is_host);
        Ok(self.connection.prepare_cached(sql)?.execute(row)? > 0)
    }

    fn make_room(&mut self, id: OpId, room: &str, host: &Seat) -> rusqlite::Result<()> {
        // A host that gets another seat in its room: the room is as old as it was.
        let sql = "SELECT token FROM seats WHERE room = ?1 AND is_host ORDER BY n LIMIT 1";
        let before: Option<String> =
            self.connection.prepare_cached(sql)?.query_row([room], |row| row.get(0)).optional()?;
        let made = match before {
            Some(before) => mirror::made(self.connection, &before)?,
            None => Some(id),
        };
        if self.take_seat(room, host, true)? {
            mirror::set_made(self.connection, host.token.reveal().as_str(), made)?;
        }
        Ok(())
    }

    fn close_room(&mut self, name: &str, made: Option<OpId>) -> rusqlite::Result<()> {
        self.run(mirror::FORGET_MADE_OF_ROOM, [name])?;
        self.run("DELETE FROM seats WHERE room = ?1", [name])?;
        if let Some(made) = made
            && self.close_since(name, made)?
        {
            return Ok(());
        }
        if let Some(mut room) = self.mirror.forget_room(name).filter(|room| room.is_changed) {
            write_room(self.connection, &mut room)?;
        }
        self.mirror.chores.closed = true;
        self.run("UPDATE rooms SET closed = 1 WHERE name = ?1 AND NOT closed", [name])
    }

    /// Closes the newest messages of a room, back to the last one from before `made`. They become a closed
    /// room of their own, which [`tidy`](super::tidy) deletes. That takes a statement for each message, the
    /// same number as for writing them. Returns false, without a change, if the room has no messages from
    /// before.
    fn close_since(&mut self, name: &str, made: OpId) -> rusqlite::Result<bool> {
        let index = self.mirror.room(self.connection, name)?;
        let room = self.mirror.at(index).clone();
        let is_older = |said: &Said| said.message.id < made;
        if room.last < room.first || !is_older(&chain::link(self.connection, &room, room.oldest)?) {
            return Ok(false);
        }
        let mut last = chain::link(self.connection, &room, room.newest)?;
        let closed = self.mirror.new_room_id();
        let mut oldest = 0;
        while !is_older(&last) {
            self.run("UPDATE room_messages SET room = ?2 WHERE n = ?1", (last.n, closed))?;
            oldest = last.n;
            // The oldest one is older: there is one before this.
            last = chain::link(self.connection, &room, last.previous)?;
        }
        if oldest == 0 {
            return Ok(true);
        }
        let kept = last.message.sequence.cast_signed();
        self.run(
            "INSERT INTO rooms (id, name, first, last, oldest, newest, closed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1)",
            (closed, name, kept + 1, room.last, oldest, room.newest),
        )?;
        let moved = "UPDATE room_marks SET room = ?3 WHERE room = ?1 AND sequence > ?2";
        self.run(moved, (room.id, kept, closed))?;
        let room = self.mirror.change(index);
        (room.last, room.newest) = (kept, last.n);
        self.mirror.chores.closed = true;
        Ok(true)
    }
}
