//! The file, and connections to it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{failure, schema};
use crate::limits::{STORE_BUSY_MILLIS_MAX, STORE_CACHE_KIB, STORE_WAL_PAGES_MAX};
use crate::store::lock::FileLock;
use crate::store::{Durability, Lock, Options, StoreError, named};

/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS_KEPT: usize = 64;

/// What keeps other servers away: from the directory, as older versions have it, and from the file, whatever its names.
#[derive(Debug)]
pub(super) struct Locks {
    pub(super) file: FileLock,
    _directory: Lock,
}

/// Makes the file and its directory where they are missing, for nobody but their owner: there are hashes and tokens in it.
/// Whoever has the locks is the only one that writes. Not to be dropped before the last connection.
pub(super) fn make(path: &Path) -> Result<Locks, StoreError> {
    let directory = directory(path);
    DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(StoreError::io(&directory))?;
    let lock = Lock::take(&directory)?;
    let is_new = !path.try_exists().map_err(StoreError::io(path))?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = FileLock::take(path, || options.open(path))?;
    if is_new {
        sync(&real_directory(path)?)?;
    }
    let links = fs::metadata(path).map_err(StoreError::io(path))?.nlink();
    if links > 1 {
        let path = path.display();
        tracing::warn!(%path, links, "The database has other names (hard links). What is written here is not whole there.");
    }
    Ok(Locks { file, _directory: lock })
}

fn real_directory(path: &Path) -> Result<PathBuf, StoreError> {
    Ok(directory(&named::resolve(path).map_err(StoreError::io(path))?))
}

/// The write-ahead log of a database and its index, which stand beside the file itself.
pub(super) fn companions(path: &Path) -> Result<[PathBuf; 2], StoreError> {
    let real = named::resolve(path).map_err(StoreError::io(path))?;
    Ok(["-wal", "-shm"].map(|suffix| {
        let mut name = real.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    }))
}

/// Moves all that was committed from the write-ahead log into the database.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |row| {
        let (busy, logged, moved): (bool, i64, i64) = row.try_into()?;
        Ok(!busy && logged == moved)
    })
}

/// A connection that writes, to a database of today's version.
pub(super) fn write_to(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = connect(path, flags)?;
    let set_up = || {
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "cache_size", -i64::from(STORE_CACHE_KIB))?;
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        connection.pragma_update_and_check(None, "wal_autocheckpoint", STORE_WAL_PAGES_MAX, |_| Ok(()))?;
        let bytes = i64::from(STORE_WAL_PAGES_MAX) * 4096;
        connection.pragma_update_and_check(None, "journal_size_limit", bytes, |_| Ok(()))?;
        set_synchronous(&connection, options.durability)?;
        schema::migrate(&connection)?;
        schema::keep_words(&connection, options.search)
    };
    set_up().map_err(failure::of(path))?;
    Ok(connection)
}

/// A connection that only reads, also while another one writes.
///
/// It may write, as far as the file's mode lets it, so that it clears the write-ahead log away if it is the last one to
/// close: one that may not would leave that behind. It is told not to.
pub(super) fn look_at(path: &Path) -> Result<Connection, StoreError> {
    fs::metadata(path).map_err(StoreError::io(path))?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.pragma_update(None, "query_only", true).map_err(failure::of(path))?;
    let version = schema::version(&connection).map_err(failure::of(path))?;
    if version < schema::VERSION {
        let cause = format!(
            "it has version {version}, of an older parlance; start a server with it, which converts it"
        );
        return Err(StoreError::Database { path: path.into(), cause: cause.into() });
    }
    Ok(connection)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    // Absolute, as SQLite takes what starts with `file:` for a URI.
    let absolute = std::path::absolute(path).map_err(StoreError::io(path))?;
    let connection = Connection::open_with_flags(absolute, flags).map_err(failure::of(path))?;
    connection.busy_timeout(Duration::from_millis(STORE_BUSY_MILLIS_MAX)).map_err(failure::of(path))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    if !schema::is_ours(&connection).map_err(failure::of(path))? {
        return Err(failure::damaged(path, "it is the database of another program".to_owned()));
    }
    let found = schema::version(&connection).map_err(failure::of(path))?;
    if found > schema::VERSION {
        let (found, known) = (u64::from(found), u64::from(schema::VERSION));
        return Err(StoreError::Newer { path: path.into(), found, known });
    }
    Ok(connection)
}

/// What is true of a transaction when it is committed.
pub(super) fn set_synchronous(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    let value = match durability {
        Durability::Full => "full",
        Durability::Normal => "normal",
        Durability::None => "off",
    };
    connection.pragma_update(None, "synchronous", value)
}

/// Bytes of the database and of its write-ahead log.
pub(super) fn bytes(path: &Path) -> u64 {
    let log = companions(path).map(|[log, _]| log);
    [Some(path.to_owned()), log.ok()]
        .iter()
        .flatten()
        .filter_map(|file| fs::metadata(file).ok())
        .map(|file| file.len())
        .sum()
}

/// Writes a copy to a file that is not there yet.
pub(super) fn copy(connection: &Connection, path: &Path, to: &Path) -> Result<(), StoreError> {
    // Made here, so that there is no moment at which others may read it. SQLite takes an empty file for none.
    let file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(StoreError::io(to))?;
    let absolute = std::path::absolute(to).map_err(StoreError::io(to))?;
    let copied = copy_into(connection, &absolute)
        .map_err(failure::of(path))
        .and_then(|()| file.sync_all().map_err(StoreError::io(to)))
        .and_then(|()| sync(&directory(to)));
    if copied.is_err() {
        // Half a copy is of no use, and the error is what counts.
        let _ = fs::remove_file(to);
    }
    copied
}

fn copy_into(connection: &Connection, to: &Path) -> rusqlite::Result<()> {
    // It writes to nothing but the copy, which a connection that is told to write nothing does not know.
    let query_only: bool = connection.pragma_query_value(None, "query_only", |row| row.get(0))?;
    connection.pragma_update(None, "query_only", false)?;
    let copied = connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]);
    connection.pragma_update(None, "query_only", query_only)?;
    copied.map(drop)
}

/// Makes it as small as it can be.
pub(super) fn compact(connection: &Connection) -> rusqlite::Result<()> {
    if schema::has_words(connection)? {
        connection.execute("INSERT INTO room_words (room_words) VALUES ('optimize')", [])?;
    }
    connection.execute_batch("VACUUM")?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(directory) if directory != Path::new("") => directory.into(),
        Some(_) | None => PathBuf::from("."),
    }
}

fn sync(directory: &Path) -> Result<(), StoreError> {
    File::open(directory).and_then(|file| file.sync_all()).map_err(StoreError::io(directory))
}
