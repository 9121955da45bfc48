//! What the database's errors mean to whoever runs the server.

use std::io;
use std::path::Path;

use rusqlite::{Error, ErrorCode, ffi};

use crate::store::StoreError;

/// What to do about a file that is damaged.
pub(super) const RESTORE: &str =
    "restore a backup, or stop the server and see what `sqlite3 FILE .recover` still reads";

/// For `map_err`: what the database said, about its file.
pub(super) fn of(path: &Path) -> impl Fn(Error) -> StoreError {
    move |error| {
        let io = |kind| StoreError::Io { path: path.into(), cause: io::Error::new(kind, error.to_string()) };
        let database =
            |remedy| StoreError::Database { path: path.into(), cause: format!("{error}; {remedy}").into() };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => io(io::ErrorKind::StorageFull),
            Some(ErrorCode::ReadOnly) => io(io::ErrorKind::ReadOnlyFilesystem),
            Some(ErrorCode::PermissionDenied) => io(io::ErrorKind::PermissionDenied),
            // `SQLite` gives the same code for missing rights and for a disk without a free inode.
            Some(ErrorCode::CannotOpen) => database(
                "give the user that runs parlance the rights that it needs there; if it has them, \
                 look at the free space and the free inodes of that disk, and at quotas",
            ),
            // A file at the `ulimit -f` limit counts as a full disk.
            Some(ErrorCode::SystemIoFailure) if is_of_a_write(&error) || is_of_the_index(&error) => database(
                "look at the space on that disk, at quotas and limits on the size of files, and at what the system's log says",
            ),
            Some(ErrorCode::SystemIoFailure) => {
                database("look at that disk, and at what the system's log says of it")
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                database("another program writes to it: close that one")
            }
            Some(ErrorCode::OutOfMemory) => io(io::ErrorKind::OutOfMemory),
            _ if is_damage(&error) => damaged(path, error.to_string()),
            _ => StoreError::Database { path: path.into(), cause: error.into() },
        }
    }
}

/// The same of a compaction, which first writes the database to a temporary file.
pub(super) fn of_a_compaction(path: &Path) -> impl Fn(Error) -> StoreError {
    move |error| {
        if error.sqlite_error_code() != Some(ErrorCode::DiskFull) {
            return of(path)(error);
        }
        let remedy =
            "make space on that disk, and in the directory for temporary files (SQLITE_TMPDIR, or /var/tmp)";
        StoreError::Database { path: path.into(), cause: format!("{error}; {remedy}").into() }
    }
}

/// A file that makes no sense.
pub(super) fn damaged(path: &Path, what: String) -> StoreError {
    StoreError::Damaged { path: path.into(), line: None, what, remedy: RESTORE }
}

/// Whether the file makes no sense, rather than the disk or the question.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || matches!(
            error,
            Error::FromSqlConversionFailure(..)
                | Error::IntegralValueOutOfRange(..)
                | Error::InvalidColumnType(..)
                | Error::Utf8Error(..)
        )
}

/// Whether something could not be written, of a statement that writes to one file and reads others.
pub(super) fn is_of_a_write(error: &Error) -> bool {
    // <https://www.sqlite.org/rescode.html>: `SQLITE_IOERR_WRITE`, `_FSYNC`, `_DIR_FSYNC` and `_TRUNCATE`.
    const WRITES: [i32; 4] = [778, 1034, 1290, 1546];
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || error.sqlite_error().is_some_and(|error| WRITES.contains(&error.extended_code))
}

/// Whether the index of the write-ahead log, a file next to the database, cannot be opened, resized, mapped
/// or locked. A full disk or an exhausted quota shows up there first.
pub(super) fn is_of_the_index(error: &Error) -> bool {
    const INDEX: [i32; 4] = [
        ffi::SQLITE_IOERR_SHMOPEN,
        ffi::SQLITE_IOERR_SHMSIZE,
        ffi::SQLITE_IOERR_SHMMAP,
        ffi::SQLITE_IOERR_SHMLOCK,
    ];
    error.sqlite_error().is_some_and(|error| INDEX.contains(&error.extended_code))
}

/// Whether a connection may be used again after a failed transaction was rolled back, rather than opened anew.
pub(super) fn leaves_connection_well(error: &Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::ReadOnly)
    )
}
