//! A store in a log that people can read.
//!
//! `log.jsonl` has a line for each op, in the order in which they were committed; `docs/storage.md` describes the format. It
//! is only ever appended to, or replaced as a whole by one that says the same in fewer lines. Memory has where the messages
//! of rooms are, and how long the lines of letters: the rest is read from the log when somebody asks for it.
//!
//! - [`line`]: a line, taken apart; `entry`: what it means; `write`: the other way.
//! - `contents`, `tally`, `rooms`: what all lines say together.
//! - `log`: appending; `scan`, `replay`: reading; `view`: showing.
//! - `compact`, [`repair`](repair()), `check`.

mod check;
mod compact;
mod contents;
mod entry;
pub(crate) mod line;
mod log;
#[cfg(test)]
mod measure;
mod repair;
mod replay;
mod rooms;
mod scan;
mod store;
mod tally;
#[cfg(test)]
mod tests;
mod view;
mod write;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, DiskFile, open_regular};
use super::{Options, Reader, Sizes, Store, StoreError};
use crate::chat::{Kept, OpId, Page, RoomMessage, RoomSummary};
use contents::Contents;
pub use repair::{Repaired, repair};
use store::JsonlStore;
use view::View;

/// What is wrong with a log without its first line, and what to do.
const EMPTY: &str = "it is empty: something emptied it, or no server has come to write to it";
const BEGIN: &str = "restore a backup, or start a server, which begins a new log";

/// The name of the log in its directory.
const FILE_NAME: &str = "log.jsonl";

pub(super) fn open(path: &Path, options: &Options) -> Result<Box<dyn Store>, StoreError> {
    Ok(Box::new(JsonlStore::open(path, options)?))
}

/// The same on a disk of the caller's, where nobody else has it open.
pub fn open_on(disk: Arc<dyn Disk>, path: &Path, options: &Options) -> Result<Box<dyn Store>, StoreError> {
    Ok(Box::new(JsonlStore::open_on(disk, path, options)?))
}

pub(super) fn open_reader(path: &Path) -> Result<Box<dyn Reader>, StoreError> {
    Ok(Box::new(JsonlReader::open(path)?))
}

/// A log to be looked at, as it is when it is looked at for the first time. It is not read before, so that a damaged one can
/// be [checked](Reader::check).
#[derive(Debug)]
struct JsonlReader {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    /// The same file, as a handle of the system.
    system_file: Arc<File>,
    /// Bytes of whole lines, and what they say.
    replayed: Option<(u64, Contents)>,
}

impl JsonlReader {
    fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE_NAME);
        let file = open_regular(File::options().read(true), &path).map_err(StoreError::io(&path))?;
        let file = Arc::new(file);
        Ok(Self { path, system_file: Arc::clone(&file), file, replayed: None })
    }

    /// Whether a server has the log open and may be writing to it. Without a server, this holds the lock for
    /// a moment.
    fn is_being_written(&self) -> bool {
        match self.system_file.try_lock_shared() {
            Ok(()) => {
                // It ends with the handle in any case.
                let _ = self.system_file.unlock();
                false
            }
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => false,
        }
    }

    fn view(&mut self) -> Result<View<'_>, StoreError> {
        let Self { path, file, replayed, .. } = self;
        if replayed.is_none() {
            if file.length().map_err(StoreError::io(&*path))? == 0 {
                let (path, line) = (path.clone(), None);
                return Err(StoreError::Damaged { path, line, what: EMPTY.to_owned(), remedy: BEGIN });
            }
            // What is torn is a line that is being written, or will be cut off by the next server.
            let found = replay::replay(path, file)?;
            *replayed = Some((found.length, found.contents));
        }
        let (length, contents) = replayed.as_ref().expect("it was just put there");
        Ok(View { path, file, length: *length, contents })
    }
}

impl Reader for JsonlReader {
    fn load(&mut self, visit: &mut dyn FnMut(Kept)) -> Result<Option<OpId>, StoreError> {
        self.view()?.load(visit)
    }

    fn rooms(&mut self, visit: &mut dyn FnMut(RoomSummary)) -> Result<(), StoreError> {
        self.view()?.rooms(visit);
        Ok(())
    }

    fn page(&mut self, room: &str, page: Page, count: usize) -> Result<Vec<RoomMessage>, StoreError> {
        self.view()?.page(room, page, count)
    }

    fn search(&mut self, text: &str, count: usize) -> Result<Vec<(Box<str>, RoomMessage)>, StoreError> {
        self.view()?.search(text, count)
    }

    fn check(&mut self) -> Result<Vec<String>, StoreError> {
        let end = self.file.length().map_err(StoreError::io(&self.path))?;
        let Self { path, file, replayed, .. } = &*self;
        match replayed {
            Some((length, contents)) => check::check(path, file, *length, Some(contents), &|| true),
            None => check::check(path, file, end, None, &|| self.is_being_written()),
        }
    }

    fn sizes(&mut self) -> Result<Sizes, StoreError> {
        Ok(self.view()?.sizes())
    }

    fn backup(&mut self, to: &Path) -> Result<(), StoreError> {
        self.view()?.backup(to)
    }
}
