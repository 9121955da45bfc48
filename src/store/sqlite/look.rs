//! Connections that only read: also of a database that cannot be written to, such as one on a medium that is
//! mounted read-only.
//!
//! `SQLite` reads a database with a write-ahead log through an index of the log in a file that it shares with
//! other programs, and makes that file where it is missing (<https://www.sqlite.org/wal.html#readonly>).
//! Where it can neither open nor make that file (a read-only mount, a full disk, an exhausted quota), no
//! program writes, because a writer needs that file. Then the database is opened as immutable. If its log is
//! not empty, it is opened with an index in memory and without locks. A read is discarded if the files
//! changed during it.

use std::fmt::Write;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{failure, file, schema};
use crate::store::StoreError;

/// What files looked like when they were opened as if they did not change.
#[derive(Debug)]
pub(super) struct Still {
    files: [PathBuf; 2],
    looks: [Option<Look>; 2],
}

/// Inode, bytes, and the time of the last change: seconds and nanoseconds.
type Look = (u64, u64, i64, i64);

impl Still {
    fn now(path: &Path) -> Result<Self, StoreError> {
        let [log, _] = file::companions(path)?;
        let files = [path.to_owned(), log];
        let looks = files.each_ref().map(|file| Self::look(file));
        Ok(Self { files, looks })
    }

    fn look(path: &Path) -> Option<Look> {
        let look = |data: Metadata| (data.ino(), data.len(), data.mtime(), data.mtime_nsec());
        fs::metadata(path).ok().map(look)
    }

    /// Whether they look as they did.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.files.each_ref().map(|file| Self::look(file)) == self.looks {
            return Ok(());
        }
        let cause = "another program wrote to it while it was read; try again".into();
        Err(StoreError::Database { path: self.files[0].clone(), cause })
    }
}

/// A connection that only reads, also while another one writes.
///
/// It may write, as far as the file's mode lets it, so that it clears the write-ahead log away if it is the
/// last one to close: one that may not would leave that behind. It is told not to.
pub(super) fn look_at(path: &Path) -> Result<(Connection, Option<Still>), StoreError> {
    fs::metadata(path).map_err(StoreError::io(path))?;
    file::ensure_log_has_database(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let (connection, still) = match file::connect(path, |absolute| open_shared(absolute, flags)) {
        Ok(connection) => (connection, None),
        Err(error) if needs_a_file(&error) => {
            // Not before the attempt, which may have made an empty log.
            let still = Still::now(path)?;
            let has_log = still.looks[1].is_some_and(|(_, bytes, ..)| bytes > 0);
            let open = if has_log { open_with_log } else { open_immutable };
            // If that does not help, the first error says more.
            (file::connect(path, open).map_err(|_| failure::of(path)(error))?, Some(still))
        }
        Err(error) => return Err(failure::of(path)(error)),
    };
    file::ensure_known(path, &connection)?;
    let version = schema::version(&connection).map_err(failure::of(path))?;
    if !schema::is_readable(&connection).map_err(failure::of(path))? {
        let cause = if version == 0 {
            "it is empty: no server has made a store in it, or something emptied it".to_owned()
        } else {
            format!(
                "it has version {version}, of an older parlance; start a server with it, which converts it"
            )
        };
        return Err(StoreError::Database { path: path.into(), cause: cause.into() });
    }
    let set_up = || {
        // There may be no place for files.
        connection.pragma_update(None, "temp_store", "memory")?;
        schema::show_as_today(&connection, version)?;
        connection.pragma_update(None, "query_only", true)
    };
    set_up().map_err(failure::of(path))?;
    Ok((connection, still))
}

/// Whether a file next to the database is missing and cannot be made. A missing inode or an inode quota shows
/// as `CannotOpen`; missing space or a space quota shows when the file gets its size.
fn needs_a_file(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::DiskFull)
    ) || failure::is_of_the_index(error)
}

pub(super) fn open_shared(absolute: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(absolute, flags)
}

/// <https://www.sqlite.org/c3ref/open.html#uriimmutable>: it looks at no log.
fn open_immutable(absolute: &Path) -> rusqlite::Result<Connection> {
    let mut uri = "file:".to_owned();
    for &byte in absolute.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(byte as char);
            }
            byte => write!(uri, "%{byte:02x}").expect("a string takes all that is written"),
        }
    }
    uri += "?immutable=1";
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri, flags)
}

/// The exclusive mode has the index in memory (<https://www.sqlite.org/wal.html#noshm>); a lock that is
/// needed for it cannot be had of a file that is open for reading, and is not taken by that kind of file
/// system access.
fn open_with_log(absolute: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags_and_vfs(absolute, flags, "unix-none")?;
    connection.pragma_update_and_check(None, "locking_mode", "exclusive", |_| Ok(()))?;
    Ok(connection)
}
