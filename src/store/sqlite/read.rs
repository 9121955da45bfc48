//! What is kept, out of the tables.

use std::collections::HashSet;

use rusqlite::Connection;

use super::row;
use crate::chat::{Kept, Letter, OpId, PasswordHash, RoomSummary, Seat, Token};
use crate::store::Sizes;

/// All but what was said in rooms, in the order that [`Kept`] documents.
pub(super) fn load(connection: &Connection, visit: &mut dyn FnMut(Kept)) -> rusqlite::Result<()> {
    let accounts = load_accounts(connection, visit)?;
    load_letters(connection, &accounts, visit)?;
    load_seats(connection, visit)
}

fn load_accounts(connection: &Connection, visit: &mut dyn FnMut(Kept)) -> rusqlite::Result<HashSet<i64>> {
    let mut ids = HashSet::new();
    let mut statement = connection.prepare("SELECT id, name, password FROM accounts ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        ids.insert(row.get(0)?);
        let password =
            row::checked(row, 2, "a password hash that is none", |text| PasswordHash::new(text).ok())?;
        visit(Kept::Account { name: row.get(1)?, password });
    }
    Ok(ids)
}

fn load_letters(
    connection: &Connection,
    accounts: &HashSet<i64>,
    visit: &mut dyn FnMut(Kept),
) -> rusqlite::Result<()> {
    // The table is in the order of ids but for rows that moved, which hardly any store has.
    let has_moved = connection.prepare("SELECT 1 FROM letters WHERE moved")?.exists([])?;
    let sql = "SELECT sender_account, recipient_account, id, sender, recipient, content, key, sender_sees,
        recipient_sees, unread, at FROM letters ORDER BY ";
    let mut statement = connection.prepare(&format!("{sql}{}", if has_moved { "id" } else { "n" }))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (sender, recipient): (Option<i64>, i64) = (row.get(0)?, row.get(1)?);
        // Those of accounts that are gone wait to be deleted.
        if !accounts.contains(&recipient) || sender.is_some_and(|sender| !accounts.contains(&sender)) {
            continue;
        }
        let id = row::id(row, 2)?;
        visit(Kept::Letter(Letter {
            id,
            at: row::at(row, 10, id)?,
            sender: row.get(3)?,
            recipient: row.get(4)?,
            content: row.get(5)?,
            key: row.get(6)?,
            sender_sees: row.get(7)?,
            recipient_sees: row.get(8)?,
            unread: row.get(9)?,
        }));
    }
    Ok(())
}

fn load_seats(connection: &Connection, visit: &mut dyn FnMut(Kept)) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT s.room, s.name, s.token, s.ip, s.is_host, k.value FROM seats AS s
            LEFT JOIN meta AS k ON k.name = 'made ' || s.token ORDER BY s.n",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let seat = Seat {
            name: row.get(1)?,
            token: row::checked(row, 2, "a token that is none", Token::parse)?,
            ip: row::checked(row, 3, "an address that is none", |text| text.parse().ok())?,
        };
        let made = row.get::<_, Option<[u8; 16]>>(5)?.map(OpId::from_bytes);
        visit(Kept::Seat { room: row.get(0)?, seat, is_host: row.get(4)?, made });
    }
    Ok(())
}

/// The rooms of which messages are kept, by name.
pub(super) fn rooms(connection: &Connection, visit: &mut dyn FnMut(RoomSummary)) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare("SELECT name, first, last FROM rooms WHERE NOT closed ORDER BY name")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (first, last): (i64, i64) = (row.get(1)?, row.get(2)?);
        visit(RoomSummary { room: row.get(0)?, first: first.cast_unsigned(), last: last.cast_unsigned() });
    }
    Ok(())
}

/// How large it is, but for the bytes of the files.
pub(super) fn sizes(connection: &Connection) -> rusqlite::Result<Sizes> {
    let count = |sql| connection.query_row(sql, [], |row| row.get(0)).map(i64::cast_unsigned);
    // Unless letters of accounts that are gone are still there, an index is all that has to be read.
    let letters =
        if connection.query_row("SELECT count(*) FROM meta WHERE name = 'letters_from'", [], |row| {
            row.get::<_, bool>(0)
        })? {
            "SELECT count(*) FROM letters WHERE recipient_account IN (SELECT id FROM accounts)
            AND (sender_account IS NULL OR sender_account IN (SELECT id FROM accounts))"
        } else {
            "SELECT count(*) FROM letters"
        };
    Ok(Sizes {
        bytes: 0,
        dead_bytes: count("SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size")?,
        accounts: count("SELECT count(*) FROM accounts")?,
        letters: count(letters)?,
        seats: count("SELECT count(*) FROM seats")?,
        room_messages: count("SELECT ifnull(sum(last - first + 1), 0) FROM rooms WHERE NOT closed")?,
    })
}
