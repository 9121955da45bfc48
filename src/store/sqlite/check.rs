//! Looking at everything.

use rusqlite::Connection;

use super::failure;
use super::mirror;
use super::schema::conversations_of_letters;

/// What is wrong where a query finds rows, each with what to say of it.
const PROBLEMS: [&str; 10] = [
    "SELECT 'room ' || r.name || ': it is said to have messages ' || r.first || ' to ' || r.last || ', and has '
            || count(m.n) || ' from ' || ifnull(min(m.sequence), 'none') || ' to ' || ifnull(max(m.sequence), 'none')
        FROM rooms AS r LEFT JOIN room_messages AS m ON m.room = r.id GROUP BY r.id
        HAVING count(m.n) <> r.last - r.first + 1 OR min(m.sequence) <> r.first OR max(m.sequence) <> r.last
            OR count(DISTINCT m.sequence) <> count(m.n)",
    "SELECT 'room_messages ' || m.n || ': there is no room ' || m.room
        FROM room_messages AS m LEFT JOIN rooms AS r ON r.id = m.room WHERE r.id IS NULL",
    "SELECT 'room ' || r.name || ': message ' || m.sequence || ' does not follow row ' || m.previous
        FROM room_messages AS m JOIN rooms AS r ON r.id = m.room LEFT JOIN room_messages AS p ON p.n = m.previous
        WHERE m.sequence > r.first AND (p.n IS NULL OR p.room <> m.room OR p.sequence <> m.sequence - 1)",
    "SELECT 'room ' || r.name || ': row ' || e.n || ' is not the end that it is said to be' FROM rooms AS r
        JOIN (SELECT id, oldest AS n, first AS sequence FROM rooms UNION ALL SELECT id, newest, last FROM rooms) AS e
            ON e.id = r.id
        LEFT JOIN room_messages AS m ON m.n = e.n
        WHERE m.n IS NULL OR m.room <> r.id OR m.sequence <> e.sequence",
    "SELECT 'room_marks ' || k.room || ', ' || k.sequence || ': row ' || k.n || ' is not that message'
        FROM room_marks AS k LEFT JOIN room_messages AS m ON m.n = k.n
        WHERE m.n IS NULL OR m.room <> k.room OR m.sequence <> k.sequence",
    "SELECT 'room_messages ' || m.n || ': it has no mark' FROM room_messages AS m
        LEFT JOIN room_marks AS k ON k.room = m.room AND k.sequence = m.sequence
        WHERE m.sequence % 64 = 0 AND k.n IS NULL",
    "SELECT 'letters ' || n || ': nobody sees it' FROM letters WHERE NOT sender_sees AND NOT recipient_sees",
    "SELECT 'letters ' || n || ': it is seen by a sender without an account'
        FROM letters WHERE sender_sees AND sender_account IS NULL",
    concat!(
        "SELECT 'conversations ' || w.owner || ', ' || w.folded || ', ' || w.account || ': it is said to have '
            || ifnull(c.messages || ' messages, ' || c.unread, 'no messages, 0') || ' unread, and has ' || w.messages
            || ', ' || w.unread FROM (",
        conversations_of_letters!(),
        ") AS w LEFT JOIN conversations AS c ON c.owner = w.owner AND c.folded = w.folded AND c.account = w.account
            WHERE c.messages IS NOT w.messages OR c.unread IS NOT w.unread"
    ),
    concat!(
        "SELECT 'conversations ' || c.owner || ', ' || c.folded || ', ' || c.account || ': it has no messages'
            FROM conversations AS c JOIN accounts AS o ON o.id = c.owner LEFT JOIN accounts AS a ON a.id = c.account
            LEFT JOIN (",
        conversations_of_letters!(),
        ") AS w ON c.owner = w.owner AND c.folded = w.folded AND c.account = w.account
            WHERE (c.account = 0 OR a.id IS NOT NULL) AND w.owner IS NULL"
    ),
];

/// The same of the index of words, which has the messages up to `?1`.
const PROBLEMS_OF_WORDS: [&str; 2] = [
    "SELECT 'room_words: message ' || m.n || ' is not in it' FROM room_messages AS m
        LEFT JOIN room_words_docsize AS w ON w.id = m.n WHERE m.n <= ?1 AND w.id IS NULL",
    "SELECT 'room_words: it has a message ' || w.id || ' that is not there' FROM room_words_docsize AS w
        LEFT JOIN room_messages AS m ON m.n = w.id WHERE m.n IS NULL",
];

/// What is wrong, a line each.
pub(super) fn check(connection: &Connection, may_write: bool) -> rusqlite::Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut ask = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| {
        let lines = lines(connection, sql, parameters);
        match lines {
            Ok(lines) => problems.extend(lines),
            // A page that cannot be read is what was looked for.
            Err(error) if failure::is_damage(&error) => problems.push(error.to_string()),
            Err(error) => return Err(error),
        }
        Ok(())
    };
    ask("SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'", &[])?;
    ask(
        "SELECT \"table\" || ' ' || ifnull(rowid, '') || ': it refers to no row of ' || parent FROM pragma_foreign_key_check",
        &[],
    )?;
    for sql in PROBLEMS {
        ask(sql, &[])?;
    }
    if let Some(indexed_to) = mirror::indexed_to(connection)? {
        for sql in PROBLEMS_OF_WORDS {
            let parameters: &[&dyn rusqlite::ToSql] = if sql.contains("?1") { &[&indexed_to] } else { &[] };
            ask(sql, parameters)?;
        }
        if may_write {
            ask("INSERT INTO room_words (room_words) VALUES ('integrity-check')", &[])?;
        }
    }
    Ok(problems)
}

fn lines(
    connection: &Connection,
    sql: &str,
    parameters: &[&dyn rusqlite::ToSql],
) -> rusqlite::Result<Vec<String>> {
    connection.prepare(sql)?.query_map(parameters, |row| row.get(0))?.collect()
}
