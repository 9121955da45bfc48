//! A store in one database file, with what `SQLite`'s write-ahead log needs beside it.
//!
//! One connection writes, and holds the lock of the directory; others only read, each transaction what was committed when it
//! began. `docs/storage.md` says what the tables are, for whoever looks at them with `sqlite3`.

mod chain;
mod check;
mod counts;
mod failure;
mod file;
mod intact;
mod look;
mod mirror;
mod read;
mod row;
mod schema;
mod search;
#[cfg(test)]
mod tests;
mod tidy;
mod write;

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::named::Named;
use super::words::Words;
use super::{Durability, Options, Reader, Sizes, Store, StoreError};
use crate::chat::{HistoryRules, Kept, Op, OpId, Page, RoomMessage, RoomSummary, UnixMillis};
use intact::Intact;
use look::Still;
use mirror::Mirror;
use tidy::Swept;

/// A connection that looks at the file.
#[derive(Debug)]
struct SqliteReader {
    path: PathBuf,
    connection: Connection,
    may_write: bool,
    /// The files as they looked when they were opened as files that do not change.
    still: Option<Still>,
}

/// The connection that writes.
#[derive(Debug)]
struct SqliteStore {
    reader: SqliteReader,
    options: Options,
    /// None after an error, until the file was read again.
    mirror: Option<Mirror>,
    /// The connection is not to be used any more.
    is_broken: bool,
    swept: Swept,
    /// The database, and the files beside it that the connection has open.
    database: Named,
    companions: [Named; 2],
    /// None while there is no connection to the files.
    intact: Option<Intact>,
    /// Last, as it is to be dropped after the connection.
    _locks: file::Locks,
}

pub(super) fn open(path: &Path, options: &Options) -> Result<Box<dyn Store>, StoreError> {
    Ok(Box::new(SqliteStore::open(path, options)?))
}

pub(super) fn open_reader(path: &Path) -> Result<Box<dyn Reader>, StoreError> {
    file::ensure_regular(path)?;
    file::ensure_log_is_here(path)?;
    let (connection, still) = look::look_at(path)?;
    Ok(Box::new(SqliteReader { path: path.into(), connection, may_write: false, still }))
}

impl SqliteReader {
    fn ensure_still(&self) -> Result<(), StoreError> {
        self.still.as_ref().map_or(Ok(()), Still::check)
    }

    /// Asks the file something, all of which sees the same state.
    fn ask<T>(&self, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let ask = || {
            let transaction = self.connection.unchecked_transaction()?;
            ask(&transaction)
        };
        let answer = ask().map_err(failure::of(&self.path));
        self.ensure_still()?;
        answer
    }
}

impl Reader for SqliteReader {
    fn load(&mut self, visit: &mut dyn FnMut(Kept)) -> Result<Option<OpId>, StoreError> {
        self.ask(|connection| {
            read::load(connection, visit)?;
            mirror::last_op(connection)
        })
    }

    fn rooms(&mut self, visit: &mut dyn FnMut(RoomSummary)) -> Result<(), StoreError> {
        self.ask(|connection| read::rooms(connection, visit))
    }

    fn page(&mut self, room: &str, page: Page, count: usize) -> Result<Vec<RoomMessage>, StoreError> {
        self.ask(|connection| chain::page(connection, room, page, count))
    }

    fn search(&mut self, text: &str, count: usize) -> Result<Vec<(Box<str>, RoomMessage)>, StoreError> {
        let words = Words::of(text)?;
        self.ask(|connection| search::search(connection, words, count))
    }

    fn check(&mut self) -> Result<Vec<String>, StoreError> {
        self.ask(|connection| check::check(connection, self.may_write))
    }

    fn sizes(&mut self) -> Result<Sizes, StoreError> {
        let sizes = self.ask(read::sizes)?;
        Ok(Sizes { bytes: file::bytes(&self.path), ..sizes })
    }

    fn backup(&mut self, to: &Path) -> Result<(), StoreError> {
        file::copy(&self.connection, &self.path, to)?;
        self.ensure_still()
    }
}

impl SqliteStore {
    fn open(path: &Path, options: &Options) -> Result<Self, StoreError> {
        let locks = file::make(path)?;
        let database = Named { path: path.into(), id: locks.file.id() };
        let connection = file::write_to(path, options)?;
        let companions = Self::companions_of(path)?;
        let intact = Some(Intact::now(path, &connection)?);
        let mut store = Self {
            reader: SqliteReader { path: path.into(), connection, may_write: true, still: None },
            options: options.clone(),
            mirror: None,
            is_broken: false,
            swept: Swept::default(),
            database,
            companions,
            intact,
            _locks: locks,
        };
        store.mend()?;
        Ok(store)
    }

    fn companions_of(path: &Path) -> Result<[Named; 2], StoreError> {
        let [log, index] = file::companions(path)?;
        Ok([Named::now(log)?, Named::now(index)?])
    }

    /// Whether all files have their names. A write-ahead log that has lost its own is still open: what was
    /// committed to it is moved into the database, and another log is begun.
    fn ensure_all_named(&mut self) -> Result<(), StoreError> {
        self.database.check()?;
        let Some(lost) = self.companions.iter().find_map(|named| named.check().err()) else { return Ok(()) };
        self.ensure_intact()?;
        let SqliteReader { path, connection, .. } = &mut self.reader;
        if !self.is_broken {
            let moved = file::checkpoint(connection).map_err(failure::of(path));
            let renewed = self.intact.as_mut().map_or(Ok(()), |intact| intact.renew(connection));
            if !moved? {
                return Err(lost);
            }
            renewed?;
        }
        let path = path.display();
        tracing::warn!(%path, %lost, "What was committed is in the database now, and a new log is begun.");
        (self.mirror, self.is_broken) = (None, true);
        self.mend()
    }

    /// Whether the files have the contents that were committed: see [`intact`].
    fn ensure_intact(&mut self) -> Result<(), StoreError> {
        self.look_at_files(Intact::check)
    }

    fn look_at_files(
        &mut self,
        look: fn(&mut Intact, &Connection) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Some(intact) = &mut self.intact else { return Ok(()) };
        let looked = look(intact, &self.reader.connection);
        let is_changed = matches!(looked, Err(StoreError::Changed { .. }));
        // The close of the last connection moves the log into the database, even into one that an operator
        // has put there.
        let config = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        let set = self.reader.connection.set_db_config(config, is_changed);
        looked.and(set.map(drop).map_err(failure::of(&self.reader.path)))
    }

    /// Brings the connection and the mirror back to what the file says, if they are not there.
    fn mend(&mut self) -> Result<(), StoreError> {
        if self.mirror.is_some() {
            return Ok(());
        }
        let connection = &self.reader.connection;
        if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
            self.is_broken = true;
        }
        if self.is_broken {
            self.database.check()?;
            // A changed log would lose its commits without an error.
            if let Err(error @ StoreError::Changed { .. }) = self.ensure_intact() {
                return Err(error);
            }
            self.intact = None;
            let SqliteReader { path, connection, .. } = &mut self.reader;
            // The old one is closed first: they would share the index of the log.
            *connection = Connection::open_in_memory().map_err(failure::of(path))?;
            *connection = file::write_to(path, &self.options)?;
            self.companions = Self::companions_of(path)?;
            self.intact = Some(Intact::now(path, connection)?);
            self.is_broken = false;
        }
        let SqliteReader { path, connection, .. } = &self.reader;
        self.mirror = Some(Mirror::read(connection).map_err(failure::of(path))?);
        Ok(())
    }

    fn set_synchronous(&self, durability: Durability) -> Result<(), StoreError> {
        file::set_synchronous(&self.reader.connection, durability).map_err(failure::of(&self.reader.path))
    }

    /// Changes the file and the mirror: both, or neither.
    fn change<T>(
        &mut self,
        change: impl FnOnce(&Connection, &mut Mirror) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.mend()?;
        self.ensure_intact()?;
        let SqliteReader { path, connection, .. } = &self.reader;
        // Taken, so that whatever ends this early leaves none.
        let mut mirror = self.mirror.take();
        let run = || {
            // `mend` has left one.
            let mirror = mirror.as_mut().ok_or(rusqlite::Error::InvalidQuery)?;
            connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            let changed = change(connection, mirror)?;
            connection.prepare_cached("COMMIT")?.execute([])?;
            Ok(changed)
        };
        match run() {
            Ok(changed) => {
                self.mirror = mirror;
                self.look_at_files(Intact::check_committed)?;
                Ok(changed)
            }
            Err(error) => {
                self.is_broken = !failure::leaves_connection_well(&error);
                let error = failure::of(path)(error);
                // What cannot be mended now is tried again before the next change.
                if let Err(error) = self.mend() {
                    tracing::debug!(%error, "the store is not well yet");
                }
                Err(error)
            }
        }
    }
}

impl Store for SqliteStore {
    fn commit(&mut self, ops: &[Op]) -> Result<(), StoreError> {
        if ops.is_empty() {
            return Ok(());
        }
        self.ensure_all_named()?;
        self.change(|connection, mirror| write::write(connection, mirror, ops))?;
        // They may have lost their names meanwhile.
        self.ensure_all_named()
    }

    fn ensure_named(&mut self) -> Result<(), StoreError> {
        self.ensure_all_named()?;
        self.ensure_intact()
    }

    fn tidy(&mut self, rules: &HistoryRules, now: UnixMillis) -> Result<bool, StoreError> {
        self.mend()?;
        if let Some(mirror) = &mut self.mirror {
            self.swept.note(rules, now, mirror);
            if !mirror.chores.are_there() {
                return Ok(false);
            }
        }
        // What is lost of a step is done again: the disk need not be waited for.
        let durability = self.options.durability;
        if durability == Durability::Full {
            self.set_synchronous(Durability::Normal)?;
        }
        let stepped = self.change(|connection, mirror| {
            tidy::step(connection, mirror, rules, now)?;
            Ok(mirror.chores.are_there())
        });
        let restored = self.set_synchronous(durability);
        if restored.is_err() {
            // A new connection is as durable as it should be.
            (self.mirror, self.is_broken) = (None, true);
        }
        stepped.and_then(|more| restored.map(|()| more))
    }

    fn compact(&mut self) -> Result<(), StoreError> {
        self.mend()?;
        self.ensure_intact()?;
        let SqliteReader { path, connection, .. } = &self.reader;
        let compacted = file::compact(connection).map_err(failure::of_a_compaction(path));
        // It has checkpoints of its own, even if it fails.
        let renewed = self.intact.as_mut().map_or(Ok(()), |intact| intact.renew(connection));
        compacted.and(renewed)
    }
}

macro_rules! delegate {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $returned:ty;)*) => {
        impl Reader for SqliteStore {
            $(fn $name(&mut self, $($argument: $kind),*) -> Result<$returned, StoreError> {
                self.mend()?;
                self.reader.$name($($argument),*)
            })*
        }
    };
}

delegate! {
    load(visit: &mut dyn FnMut(Kept)) -> Option<OpId>;
    rooms(visit: &mut dyn FnMut(RoomSummary)) -> ();
    page(room: &str, page: Page, count: usize) -> Vec<RoomMessage>;
    search(text: &str, count: usize) -> Vec<(Box<str>, RoomMessage)>;
    check() -> Vec<String>;
    sizes() -> Sizes;
    backup(to: &Path) -> ();
}
