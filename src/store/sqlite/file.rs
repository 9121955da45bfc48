//! The file, and connections to it.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql};

use super::look::open_shared;
use super::{failure, schema};
use crate::limits::{STORE_BUSY_MILLIS_MAX, STORE_CACHE_KIB, STORE_WAL_PAGES_MAX};
use crate::store::lock::{self, FileLock};
use crate::store::{Durability, Lock, Options, StoreError, disk, log_migration, named};

/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS_KEPT: usize = 64;

/// The two locks that keep other servers out: the directory's, which older versions take, and the file's,
/// which holds for every name of the file.
#[derive(Debug)]
pub(super) struct Locks {
    pub(super) file: FileLock,
    _directory: Lock,
}

/// Creates the file and its directory if they are missing, for their owner only: they hold hashes and tokens.
/// The lock holder is the only writer. Drop the locks after the last connection.
pub(super) fn make(path: &Path) -> Result<Locks, StoreError> {
    ensure_regular(path)?;
    let directory = directory(path);
    named::make_directory(&directory)?;
    let lock = Lock::take(&directory)?;
    let is_new = !path.try_exists().map_err(StoreError::io(path))?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = FileLock::take(path, || disk::open_regular(&mut options, path))?;
    if is_new {
        sync(&real_directory(path)?)?;
    }
    ensure_log_has_database(path)?;
    let metadata = fs::metadata(path).map_err(StoreError::io(path))?;
    if metadata.len() == 0 && !is_new {
        tracing::warn!(path = %path.display(), "The database is an empty file. A new store begins in it.");
    }
    ensure_one_name(path, metadata.nlink())?;
    Ok(Locks { file, _directory: lock })
}

/// Refuses an empty database beside a log that is not empty: something emptied it, and `SQLite` would throw
/// the log away, in which much of what was kept may be.
pub(super) fn ensure_log_has_database(path: &Path) -> Result<(), StoreError> {
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let [log, _] = companions(path)?;
    if bytes(path) > 0 || bytes(&log) == 0 {
        return Ok(());
    }
    Err(StoreError::Damaged {
        path: path.into(),
        line: None,
        what: "it is empty, and the write-ahead log beside it is not".to_owned(),
        remedy: "something emptied it: restore a backup, and keep the log, in which the last changes are",
    })
}

/// Refuses other kinds of files under the names of the database and its companions, for which `SQLite` waits.
pub(super) fn ensure_regular(path: &Path) -> Result<(), StoreError> {
    let [log, index] = companions(path)?;
    for path in [path, &log, &index] {
        match disk::ensure_regular(path) {
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => {}
            regular => regular.map_err(StoreError::io(path))?,
        }
    }
    Ok(())
}

/// Refuses a database under another name or mount, without its write-ahead log: `SQLite` keeps the log next
/// to the path that it opened. A start under another name would miss the log's changes and overwrite them.
fn ensure_one_name(path: &Path, links: u64) -> Result<(), StoreError> {
    if links > 1 {
        return Err(StoreError::Aliased {
            path: path.into(),
            what: format!(
                "it has {links} names (hard links), and the write-ahead log, a part of the database, is next \
                 to one of them only"
            ),
            remedy: "remove the other names (`find DIR -samefile FILE` lists them), or use a copy made by \
                     `parlance backup`",
        });
    }
    let real = named::resolve(path).map_err(StoreError::io(path))?;
    if is_mount(&real) {
        return Err(StoreError::Aliased {
            path: path.into(),
            what:
                "it is a bind mount of a single file, and the write-ahead log, a part of the database, would \
                   stand outside of the mount"
                    .to_owned(),
            remedy: "mount the directory that holds the database instead",
        });
    }
    Ok(())
}

/// Whether a file belongs to another mount than its directory. An old kernel does not know.
#[cfg(target_os = "linux")]
fn is_mount(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
    let mount = |path: &Path| {
        let found = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok()?;
        (found.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(found.stx_mnt_id)
    };
    mount(path).zip(mount(&directory(path))).is_some_and(|(file, directory)| file != directory)
}

#[cfg(not(target_os = "linux"))]
fn is_mount(_: &Path) -> bool {
    false
}

/// Refuses to look at a database that a server has open through another name or mount, since the write-ahead
/// log is not here. Only a file with other names is opened for this: the end of a look at a file drops the
/// locks that `SQLite` has on it in this process.
pub(super) fn ensure_log_is_here(path: &Path) -> Result<(), StoreError> {
    let metadata = fs::metadata(path).map_err(StoreError::io(path))?;
    let real = named::resolve(path).map_err(StoreError::io(path))?;
    let [log, _] = companions(path)?;
    if (metadata.nlink() == 1 && !is_mount(&real)) || log.exists() || !lock::is_held_elsewhere(path)? {
        return Ok(());
    }
    Err(StoreError::Aliased {
        path: path.into(),
        what: "a server has it open through another name or mount, with its write-ahead log there".to_owned(),
        remedy: "use the server's name for it",
    })
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

/// A connection that writes, to a database of today's version: an older one is converted, and the log says so.
pub(super) fn write_to(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = connect(path, |absolute| open_shared(absolute, flags)).map_err(failure::of(path))?;
    ensure_known(path, &connection)?;
    let set_up = || {
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "cache_size", -i64::from(STORE_CACHE_KIB))?;
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        connection.pragma_update_and_check(None, "wal_autocheckpoint", STORE_WAL_PAGES_MAX, |_| Ok(()))?;
        let bytes = i64::from(STORE_WAL_PAGES_MAX) * 4096;
        connection.pragma_update_and_check(None, "journal_size_limit", bytes, |_| Ok(()))?;
        set_synchronous(&connection, options.durability)?;
        let from = schema::migrate(&connection)?;
        schema::keep_words(&connection, options.search)?;
        Ok(from)
    };
    let from = set_up().map_err(failure::of(path))?;
    log_migration(path, from.into(), schema::VERSION.into());
    Ok(connection)
}

/// Opens a connection with `open`, which gets an absolute path, and reads from it, so that a missing file is
/// noticed here. Absolute, as `SQLite` takes what starts with `file:` for a URI.
pub(super) fn connect(
    path: &Path,
    open: impl FnOnce(&Path) -> rusqlite::Result<Connection>,
) -> rusqlite::Result<Connection> {
    let absolute = std::path::absolute(path).map_err(|_| rusqlite::Error::InvalidPath(path.into()))?;
    let connection = open(&absolute)?;
    connection.busy_timeout(Duration::from_millis(STORE_BUSY_MILLIS_MAX))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    schema::version(&connection)?;
    Ok(connection)
}

/// Refuses the database of another program, and of a newer version of this one.
pub(super) fn ensure_known(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    if !schema::is_ours(connection).map_err(failure::of(path))? {
        return Err(failure::damaged(path, "it is the database of another program".to_owned()));
    }
    let found = schema::version(connection).map_err(failure::of(path))?;
    if found > schema::VERSION {
        let (found, known) = (u64::from(found), u64::from(schema::VERSION));
        return Err(StoreError::Newer { path: path.into(), found, known });
    }
    Ok(())
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
        .map_err(|error| failure::of(if failure::is_of_a_write(&error) { to } else { path })(error))
        .and_then(|()| file.sync_all().map_err(StoreError::io(to)))
        .and_then(|()| sync(&directory(to)));
    if copied.is_err() {
        // Half a copy is of no use, and the error is what counts.
        let _ = fs::remove_file(to);
    }
    copied
}

/// A path as it is, which need not be UTF-8: `SQLite` hands it to the system as it came.
struct RawText<'a>(&'a OsStr);

impl ToSql for RawText<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0.as_bytes())))
    }
}

fn copy_into(connection: &Connection, to: &Path) -> rusqlite::Result<()> {
    // It writes to nothing but the copy, which a connection that is told to write nothing does not know.
    let query_only: bool = connection.pragma_query_value(None, "query_only", |row| row.get(0))?;
    connection.pragma_update(None, "query_only", false)?;
    // It copies indices as well, which views cannot have.
    schema::show_as_it_is(connection)?;
    let copied = connection.execute("VACUUM INTO ?1", [RawText(to.as_os_str())]);
    schema::show_as_today(connection, schema::version(connection)?)?;
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
