//! What the database looks like, and how one that an older version has written becomes one of today.
//!
//! `docs/storage.md` explains the tables. A change of them is a further step in [`STEPS`]; a step that was released never
//! changes. A new database goes through all of them.

use rusqlite::Connection;

use super::mirror;
use crate::chat::Name;
use crate::store::words;

/// "Parl": what `file` and `sqlite3` say whose database it is.
pub(super) const APPLICATION_ID: i32 = 0x5061_726c;

/// Each makes the next version: the first one makes 1 of nothing.
const STEPS: [fn(&Connection) -> rusqlite::Result<()>; 5] =
    [version_1, version_2, version_3, version_4, version_5];

/// The version that is written here.
pub(super) const VERSION: u32 = STEPS.len() as u32;

/// Rooms found by an index over all messages.
const VERSION_1: &str = "
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value ANY
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    folded TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE letters (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    content TEXT NOT NULL,
    key TEXT,
    sender_account INTEGER,
    recipient_account INTEGER NOT NULL,
    sender_sees INTEGER NOT NULL,
    recipient_sees INTEGER NOT NULL,
    unread INTEGER NOT NULL,
    moved INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX letters_moved ON letters(id) WHERE moved;

CREATE TABLE rooms (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    closed INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX rooms_name ON rooms(name) WHERE NOT closed;

CREATE TABLE room_messages (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    room INTEGER NOT NULL REFERENCES rooms(id),
    sequence INTEGER NOT NULL,
    sender TEXT NOT NULL,
    text TEXT NOT NULL,
    moved INTEGER NOT NULL,
    UNIQUE (room, sequence)
) STRICT;
CREATE UNIQUE INDEX room_messages_moved ON room_messages(id) WHERE moved;

CREATE TABLE seats (
    n INTEGER PRIMARY KEY,
    room TEXT NOT NULL,
    token TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    ip TEXT NOT NULL,
    is_host INTEGER NOT NULL
) STRICT;
CREATE INDEX seats_room ON seats(room);
";

fn version_1(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(VERSION_1)
}

/// A message in a room names the one before it, and each 64th of a room has a mark: a message costs no entry in an index.
const VERSION_2: &str = "
CREATE TABLE rooms_2 (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    oldest INTEGER NOT NULL,
    newest INTEGER NOT NULL,
    closed INTEGER NOT NULL
) STRICT;
INSERT INTO rooms_2
    SELECT r.id, r.name, r.first, r.last, o.n, l.n, r.closed FROM rooms AS r
        JOIN room_messages AS o ON o.room = r.id AND o.sequence = r.first
        JOIN room_messages AS l ON l.room = r.id AND l.sequence = r.last;

CREATE TABLE room_messages_2 (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    room INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    sender TEXT NOT NULL,
    text TEXT NOT NULL,
    moved INTEGER NOT NULL
) STRICT;
INSERT INTO room_messages_2
    SELECT n, id, room, sequence, lag(n, 1, 0) OVER (PARTITION BY room ORDER BY sequence), sender, text, moved
        FROM room_messages ORDER BY n;

DROP TABLE room_messages;
DROP TABLE rooms;
ALTER TABLE rooms_2 RENAME TO rooms;
ALTER TABLE room_messages_2 RENAME TO room_messages;
CREATE UNIQUE INDEX rooms_name ON rooms(name) WHERE NOT closed;
CREATE INDEX rooms_closed ON rooms(id) WHERE closed;
CREATE UNIQUE INDEX room_messages_moved ON room_messages(id) WHERE moved;

CREATE TABLE room_marks (
    room INTEGER NOT NULL REFERENCES rooms(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    sequence INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (room, sequence)
) STRICT, WITHOUT ROWID;
INSERT INTO room_marks SELECT room, sequence, n FROM room_messages WHERE sequence % 64 = 0;
";

/// Letters are found by the names of their two people, and conversations are counted.
const LETTERS_OF_VERSION_2: &str = "
CREATE TABLE letters_2 (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    sender_folded TEXT NOT NULL,
    recipient_folded TEXT NOT NULL,
    content TEXT NOT NULL,
    key TEXT,
    sender_account INTEGER,
    recipient_account INTEGER NOT NULL,
    sender_sees INTEGER NOT NULL,
    recipient_sees INTEGER NOT NULL,
    unread INTEGER NOT NULL,
    moved INTEGER NOT NULL,
    one TEXT NOT NULL AS (min(sender_folded, recipient_folded)) VIRTUAL,
    other TEXT NOT NULL AS (max(sender_folded, recipient_folded)) VIRTUAL
) STRICT;
INSERT INTO letters_2
    SELECT l.n, l.id, l.sender, l.recipient, ifnull(s.folded, l.sender), r.folded, l.content, l.key, l.sender_account,
            l.recipient_account, l.sender_sees, l.recipient_sees, l.unread, l.moved
        FROM letters AS l JOIN accounts AS r ON r.id = l.recipient_account
        LEFT JOIN accounts AS s ON s.id = l.sender_account
        WHERE l.sender_account IS NULL OR s.id IS NOT NULL ORDER BY l.n;
DROP TABLE letters;
ALTER TABLE letters_2 RENAME TO letters;
CREATE UNIQUE INDEX letters_moved ON letters(id) WHERE moved;
CREATE INDEX letters_between ON letters(one, other);

CREATE TABLE conversations (
    owner INTEGER NOT NULL,
    folded TEXT NOT NULL,
    account INTEGER NOT NULL,
    other TEXT NOT NULL,
    messages INTEGER NOT NULL,
    unread INTEGER NOT NULL,
    PRIMARY KEY (owner, folded, account)
) STRICT, WITHOUT ROWID;

CREATE VIEW people AS
    SELECT id, name, datetime(created / 1000, 'unixepoch') AS created FROM accounts;
CREATE VIEW mail AS
    SELECT l.one, l.other, l.n,
        lower(substr(hex(l.id), 1, 8) || '-' || substr(hex(l.id), 9, 4) || '-' || substr(hex(l.id), 13, 4)
            || '-' || substr(hex(l.id), 17, 4) || '-' || substr(hex(l.id), 21)) AS id,
        strftime('%Y-%m-%d %H:%M:%f', (l.n >> 12) / 1000.0, 'unixepoch') AS sent,
        l.sender, l.recipient, l.content, l.key, l.sender_sees, l.recipient_sees, l.unread
    FROM letters AS l JOIN accounts AS r ON r.id = l.recipient_account
    LEFT JOIN accounts AS s ON s.id = l.sender_account
    WHERE l.sender_account IS NULL OR s.id IS NOT NULL;
CREATE VIEW mailboxes AS
    SELECT o.folded AS owner, c.folded AS other, c.other AS name, c.account <> 0 AS has_account, c.messages, c.unread
    FROM accounts AS o JOIN conversations AS c ON c.owner = o.id
    LEFT JOIN accounts AS a ON a.id = c.account
    WHERE c.account = 0 OR a.id IS NOT NULL;
CREATE VIEW history AS
    SELECT r.name AS room, m.sequence,
        lower(substr(hex(m.id), 1, 8) || '-' || substr(hex(m.id), 9, 4) || '-' || substr(hex(m.id), 13, 4)
            || '-' || substr(hex(m.id), 17, 4) || '-' || substr(hex(m.id), 21)) AS id,
        strftime('%Y-%m-%d %H:%M:%f', (m.n >> 12) / 1000.0, 'unixepoch') AS said,
        m.sender, m.text, m.n
    FROM room_messages AS m JOIN rooms AS r ON r.id = m.room AND NOT r.closed;
CREATE VIEW members AS
    SELECT room, name, ip, is_host FROM seats ORDER BY n;
";

/// The conversations that the letters make: what the table of that name says, but for accounts that are gone.
/// `name` is as it was typed in the last of them.
macro_rules! conversations_of_letters {
    () => {
        "SELECT s.owner, s.folded, s.account, s.name, count(*) AS messages, sum(s.unread) AS unread, max(s.n)
            FROM (
                SELECT recipient_account AS owner, sender_folded AS folded, ifnull(sender_account, 0) AS account,
                    sender AS name, unread, n FROM letters WHERE recipient_sees
                UNION ALL
                SELECT sender_account, recipient_folded, recipient_account, recipient, 0, n FROM letters WHERE sender_sees
            ) AS s
            JOIN accounts AS o ON o.id = s.owner LEFT JOIN accounts AS a ON a.id = s.account
            WHERE s.account = 0 OR a.id IS NOT NULL
            GROUP BY s.owner, s.folded, s.account"
    };
}
pub(super) use conversations_of_letters;

fn version_2(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(VERSION_2)?;
    letters_of_version_2(connection)
}

fn letters_of_version_2(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(LETTERS_OF_VERSION_2)?;
    // Only those who have no account are not yet folded, which `SQLite` cannot do.
    let mut update = connection.prepare("UPDATE letters SET sender_folded = ?2 WHERE n = ?1")?;
    let mut strangers = connection.prepare("SELECT n, sender FROM letters WHERE sender_account IS NULL")?;
    let strangers: Vec<(i64, String)> =
        strangers.query_map([], |row| row.try_into())?.collect::<rusqlite::Result<_>>()?;
    for (n, sender) in strangers {
        if let Ok((_, folded)) = Name::parse(&sender) {
            update.execute((n, folded.as_str()))?;
        }
    }
    connection.execute_batch(concat!(
        "INSERT INTO conversations SELECT owner, folded, account, name, messages, unread FROM (",
        conversations_of_letters!(),
        ")"
    ))
}

/// A message has a time of its own where that is not the time in its id; `at` is NULL where it is.
const VERSION_3: &str = "
ALTER TABLE letters ADD COLUMN at INTEGER;
ALTER TABLE room_messages ADD COLUMN at INTEGER;

DROP VIEW mail;
CREATE VIEW mail AS
    SELECT l.one, l.other, l.n,
        lower(substr(hex(l.id), 1, 8) || '-' || substr(hex(l.id), 9, 4) || '-' || substr(hex(l.id), 13, 4)
            || '-' || substr(hex(l.id), 17, 4) || '-' || substr(hex(l.id), 21)) AS id,
        strftime('%Y-%m-%d %H:%M:%f', ifnull(l.at, l.n >> 12) / 1000.0, 'unixepoch') AS sent,
        l.sender, l.recipient, l.content, l.key, l.sender_sees, l.recipient_sees, l.unread
    FROM letters AS l JOIN accounts AS r ON r.id = l.recipient_account
    LEFT JOIN accounts AS s ON s.id = l.sender_account
    WHERE l.sender_account IS NULL OR s.id IS NOT NULL;
DROP VIEW history;
CREATE VIEW history AS
    SELECT r.name AS room, m.sequence,
        lower(substr(hex(m.id), 1, 8) || '-' || substr(hex(m.id), 9, 4) || '-' || substr(hex(m.id), 13, 4)
            || '-' || substr(hex(m.id), 17, 4) || '-' || substr(hex(m.id), 21)) AS id,
        strftime('%Y-%m-%d %H:%M:%f', ifnull(m.at, m.n >> 12) / 1000.0, 'unixepoch') AS said,
        m.sender, m.text, m.n
    FROM room_messages AS m JOIN rooms AS r ON r.id = m.room AND NOT r.closed;
";

fn version_3(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(VERSION_3)
}

/// The id that version 4 gives to an account of version 3, which did not store the id of the op that made it:
/// a UUID of version 7 with the account's time of creation, and its row in place of the random bits. No other
/// account has that row.
macro_rules! op_of_account {
    () => {
        "unhex(printf('%012x7000%016x', created, id | (-9223372036854775807 - 1)))"
    };
}

/// An account has the id of the op that made it, and a mark if nothing shows that its owner comes back. Of
/// the accounts that are there the mark is not known: they count as used.
const VERSION_4: &str = concat!(
    "ALTER TABLE accounts ADD COLUMN op BLOB NOT NULL DEFAULT x'';
     ALTER TABLE accounts ADD COLUMN unused INTEGER NOT NULL DEFAULT 0;
     UPDATE accounts SET op = ",
    op_of_account!(),
    ";
     CREATE UNIQUE INDEX accounts_op ON accounts(op);"
);

fn version_4(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(VERSION_4)
}

/// The index of words has pairs of characters of scripts without blanks, and other rules for accents and
/// case: it is made anew from the messages ([`keep_words`]). Older programs would add terms of their own.
const VERSION_5: &str = "
DROP TABLE IF EXISTS room_words;
DELETE FROM meta WHERE name = 'indexed_to';
";

fn version_5(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(VERSION_5)
}

/// Whether a database of version 2 has the letters of version 1. The first programs of version 2, of a single
/// evening, made it so.
fn has_letters_of_version_1(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(version(connection)? == 2
        && connection
            .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'view' AND name = 'conversations'")?
            .exists([])?)
}

/// Makes of such a database what version 2 is otherwise.
fn complete_version_2(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "DROP VIEW people; DROP VIEW mail; DROP VIEW conversations; DROP VIEW history; DROP VIEW members;",
    )?;
    letters_of_version_2(connection)
}

/// The oldest version that a reader understands without a conversion, with the help of [`show_as_today`].
const READABLE_VERSION_MIN: u32 = 2;

/// Whether a reader understands a database without a conversion.
pub(super) fn is_readable(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(version(connection)? >= READABLE_VERSION_MIN && !has_letters_of_version_1(connection)?)
}

/// Shows a connection that only reads a database of an older version as today's statements expect it, with
/// views in place of the tables that have changed since. It writes nothing.
pub(super) fn show_as_today(connection: &Connection, version: u32) -> rusqlite::Result<()> {
    if version == 0 {
        return Ok(());
    }
    if version < 3 {
        connection.execute_batch(
            "CREATE TEMP VIEW letters AS SELECT *, NULL AS at FROM main.letters;
             CREATE TEMP VIEW room_messages AS SELECT *, NULL AS at FROM main.room_messages;",
        )?;
    }
    if version < 4 {
        connection.execute_batch(concat!(
            "CREATE TEMP VIEW accounts AS SELECT *, ",
            op_of_account!(),
            " AS op, 0 AS unused FROM main.accounts;"
        ))?;
    }
    Ok(())
}

/// Takes those views away.
pub(super) fn show_as_it_is(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "DROP VIEW IF EXISTS temp.letters; DROP VIEW IF EXISTS temp.room_messages;
         DROP VIEW IF EXISTS temp.accounts;",
    )
}

/// The index of words. Its text is what [`words::indexed`] makes of a message: nothing but blanks ends a
/// term. It holds which messages have which term, and neither a copy of them nor where in them.
const WORDS: &str = "
CREATE VIRTUAL TABLE room_words USING fts5(
    words,
    content = '',
    detail = none,
    tokenize = \"unicode61 remove_diacritics 0 categories 'L* M* N* P* S* C*'\"
)";

/// The version of a database; 0 of an empty one.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Whether it is ours, or nobody's yet.
pub(super) fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application == APPLICATION_ID {
        return Ok(true);
    }
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables == 0 && version(connection)? == 0)
}

/// Takes all steps that are missing, each as a whole. Returns the version before them.
pub(super) fn migrate(connection: &Connection) -> rusqlite::Result<u32> {
    if has_letters_of_version_1(connection)? {
        let transaction = connection.unchecked_transaction()?;
        complete_version_2(&transaction)?;
        transaction.commit()?;
    }
    let from = version(connection)?;
    for (version, step) in (1..).zip(STEPS).skip(from as usize) {
        let transaction = connection.unchecked_transaction()?;
        step(&transaction)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(from)
}

/// Whether there is an index of words.
pub(super) fn has_words(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'room_words'")?
        .exists([])
}

/// Whether there is an index of words that today's [`words::rules`] made. Another one finds other messages.
pub(super) fn has_words_of_today(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(has_words(connection)?
        && mirror::meta::<String>(connection, "words")?.is_some_and(|rules| rules == words::rules()))
}

/// Makes an empty index of words, or takes it away. The index of other rules is replaced by an empty one.
pub(super) fn keep_words(connection: &Connection, wanted: bool) -> rusqlite::Result<()> {
    if if wanted { has_words_of_today(connection)? } else { !has_words(connection)? } {
        return Ok(());
    }
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch("DROP TABLE IF EXISTS room_words")?;
    mirror::set_meta(&transaction, "indexed_to", None::<i64>)?;
    if wanted {
        transaction.execute_batch(WORDS)?;
    }
    mirror::set_meta(&transaction, "words", wanted.then(words::rules))?;
    transaction.commit()
}

/// The version 1 of a database, for tests of what becomes of one.
#[cfg(test)]
pub(super) fn first_version(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(VERSION_1)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", 1)
}
