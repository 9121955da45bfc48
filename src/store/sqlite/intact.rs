//! Detects another program that writes to the files of an open database without `SQLite`.
//!
//! `cp old.db parlance.db` and `: > parlance.db-wal` leave the names and the inodes as they are. Later
//! commits are lost at the next start. Two rules hold while all programs use `SQLite`:
//!
//! - The write-ahead log is as long as its index says. It begins with a header, and its last frame has the
//!   salts of that header.
//! - Only a checkpoint writes to the database. A checkpoint raises the count of frames that were moved; a log
//!   that begins again has other salts. Without either, the length and the modification time stay.
//!
//! The state of the log comes from `PRAGMA wal_checkpoint(NOOP)`, which reads the index and writes nothing.
//! Readers of the database break neither rule.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::{failure, file};
use crate::limits::{STORE_BUSY_MILLIS_MAX, STORE_LOOK_MILLIS, STORE_WAL_PAGES_MAX};
use crate::store::StoreError;
use crate::store::disk::Stamp;

/// Bytes of the log's header, and of the header of a frame
/// (<https://www.sqlite.org/fileformat2.html#walformat>).
const LOG_HEADER_BYTES: u64 = 32;
const FRAME_HEADER_BYTES: u64 = 24;
/// The first bytes of a log; the last bit is the byte order of its checksums.
const LOG_MAGIC: u32 = 0x377f_0682;
const LOOK_INTERVAL: Duration = Duration::from_millis(STORE_LOOK_MILLIS);

const RESTORE: &str = "stop the server, move the database and the -wal and -shm files beside it away, \
                       and put the old database or a backup there";

const RESTORE_LOG: &str = "put the old contents back into it, restore a backup, or restart the server, \
                           which then has what is in the database without them";

/// The log, as its index and its header describe it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Log {
    frames: u64,
    /// Frames that a checkpoint has moved into the database.
    moved: u64,
    salts: [u8; 8],
}

impl Log {
    /// Whether a checkpoint may have written to the database between two looks.
    fn is_as_moved_as(&self, other: &Self) -> bool {
        (self.moved, self.salts) == (other.moved, other.salts)
    }
}

/// The state of an open database's files at the last look.
#[derive(Debug)]
pub(super) struct Intact {
    path: PathBuf,
    log_path: PathBuf,
    log_file: File,
    page_bytes: u64,
    log: Log,
    database: Stamp,
    /// Another program changed the database. No further look waits for it.
    refused: Option<Stamp>,
}

impl Intact {
    /// The files of a new connection.
    pub(super) fn now(path: &Path, connection: &Connection) -> Result<Self, StoreError> {
        let [log_path, _] = file::companions(path)?;
        let log_file = File::open(&log_path).map_err(StoreError::io(&log_path))?;
        let page_bytes: i64 =
            connection.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(failure::of(path))?;
        let page_bytes = page_bytes.cast_unsigned();
        let log = read_log(path, &log_path, &log_file, page_bytes, connection)?;
        let database = stamp(path)?;
        Ok(Self { path: path.into(), log_path, log_file, page_bytes, log, database, refused: None })
    }

    /// Whether only `SQLite` has written to the files since the last look.
    pub(super) fn check(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let deadline = Instant::now() + Duration::from_millis(STORE_BUSY_MILLIS_MAX);
        loop {
            let database = stamp(&self.path)?;
            let log = self.read_log(connection)?;
            if database == self.database || !log.is_as_moved_as(&self.log) {
                (self.database, self.log, self.refused) = (database, log, None);
                return Ok(());
            }
            // Another program may be in the middle of a checkpoint, which counts its frames at the end.
            if self.refused.is_some() || Instant::now() >= deadline {
                self.refused = Some(database);
                return Err(self.changed(database));
            }
            thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Like [`Self::check`], after a commit of this connection, which may have tried a checkpoint. A
    /// checkpoint that fails midway has written to the database without a new count.
    pub(super) fn check_committed(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if self.read_log(connection)?.frames >= u64::from(STORE_WAL_PAGES_MAX) {
            return self.renew(connection);
        }
        self.check(connection)
    }

    /// Accepts the files as they are, after a checkpoint of this connection that may have failed midway.
    pub(super) fn renew(&mut self, connection: &Connection) -> Result<(), StoreError> {
        (self.log, self.database, self.refused) = (self.read_log(connection)?, stamp(&self.path)?, None);
        Ok(())
    }

    fn read_log(&self, connection: &Connection) -> Result<Log, StoreError> {
        read_log(&self.path, &self.log_path, &self.log_file, self.page_bytes, connection)
    }

    fn changed(&self, found: Stamp) -> StoreError {
        let what = if found.bytes == self.database.bytes {
            "it was written to in place".to_owned()
        } else {
            format!("it has {} bytes, and had {}", found.bytes, self.database.bytes)
        };
        StoreError::Changed { path: self.path.clone(), what, remedy: RESTORE }
    }
}

fn stamp(path: &Path) -> Result<Stamp, StoreError> {
    fs::metadata(path).map(|metadata| Stamp::of(&metadata)).map_err(StoreError::io(path))
}

/// The number of frames in the log, and of moved frames, from its index.
fn count_frames(path: &Path, connection: &Connection) -> Result<(u64, u64), StoreError> {
    let count = || {
        connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?.query_row([], |row| {
            let (_, frames, moved): (i64, i64, i64) = row.try_into()?;
            Ok((u64::try_from(frames).unwrap_or(0), u64::try_from(moved).unwrap_or(0)))
        })
    };
    count().map_err(failure::of(path))
}

fn read_log(
    path: &Path,
    log_path: &Path,
    log_file: &File,
    page_bytes: u64,
    connection: &Connection,
) -> Result<Log, StoreError> {
    let mut counted = count_frames(path, connection)?;
    loop {
        let (frames, moved) = counted;
        if frames == 0 {
            return Ok(Log { frames, moved, salts: [0; 8] });
        }
        let salts = read_salts(log_file, frames, page_bytes);
        let salts = match salts {
            Ok(Some(salts)) => return Ok(Log { frames, moved, salts }),
            Ok(None) => None,
            Err(cause) => Some(cause),
        };
        // Another program may have restarted the log since.
        let before = std::mem::replace(&mut counted, count_frames(path, connection)?);
        if counted != before {
            continue;
        }
        return Err(match salts {
            Some(cause) => StoreError::Io { path: log_path.into(), cause },
            None => StoreError::Changed {
                path: log_path.into(),
                what: format!("{frames} pages were committed to it, and it does not have them"),
                remedy: RESTORE_LOG,
            },
        });
    }
}

/// The salts of a log, which its last frame repeats. None: the log is not whole.
fn read_salts(log: &File, frames: u64, page_bytes: u64) -> std::io::Result<Option<[u8; 8]>> {
    let frame_bytes = FRAME_HEADER_BYTES + page_bytes;
    let last = LOG_HEADER_BYTES + (frames - 1) * frame_bytes;
    if log.metadata()?.len() < last + frame_bytes {
        return Ok(None);
    }
    let (mut header, mut frame) = ([0; LOG_HEADER_BYTES as usize], [0; FRAME_HEADER_BYTES as usize]);
    for (bytes, offset) in [(&mut header[..], 0), (&mut frame[..], last)] {
        match log.read_exact_at(bytes, offset) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
    }
    let magic = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
    let mut salts = [0; 8];
    salts.copy_from_slice(&header[16..24]);
    Ok((magic & !1 == LOG_MAGIC && frame[8..16] == salts).then_some(salts))
}
