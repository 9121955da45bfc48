//! The file that is appended to.
//!
//! What was appended is there, or the caller is told that it is not, and then it is not: the file is cut back to what was
//! there before. Where that fails too, or a sync failed (after which the kernel says nothing reliable about what was
//! written since the last one), the log is suspect: before it takes anything more it is opened anew, measured, cut and synced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store::disk::{Disk, DiskFile, Opening, Stamp};
use crate::store::{StoreError, named};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    /// The name in the store's directory, which may be a symbolic link to the path.
    name: PathBuf,
    disk: Arc<dyn Disk>,
    file: Arc<dyn DiskFile>,
    /// The handle that has the lock on the file; the same one, unless that had to be opened anew.
    guard: Arc<dyn DiskFile>,
    /// Bytes that are committed: what may be behind them is nobody's.
    length: u64,
    /// The stamp after the last write of this log. None: it is not known.
    stamp: Option<Stamp>,
    is_suspect: bool,
    #[cfg(test)]
    pub(super) faults: std::collections::VecDeque<Fault>,
}

/// What a disk does that has had enough.
#[cfg(test)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The next write takes only so many bytes, and then there is no space.
    Full(usize),
    /// The next sync fails.
    Sync,
    /// The next cut fails.
    Cut,
}

impl Log {
    /// Opens a file to be read and written, and makes it, for its owner alone, if it is not there. `name` is
    /// its name in the store's directory, and `path` the same with all symbolic links resolved.
    pub(super) fn open(disk: Arc<dyn Disk>, path: &Path, name: &Path) -> Result<Self, StoreError> {
        let file = disk.open(path, Opening::MadeIfMissing).map_err(StoreError::io(path))?;
        if !file.lock().map_err(StoreError::io(path))? {
            return Err(StoreError::Locked { path: path.into() });
        }
        Ok(Self {
            path: path.into(),
            name: name.into(),
            disk,
            guard: Arc::clone(&file),
            file,
            length: 0,
            stamp: None,
            is_suspect: false,
            #[cfg(test)]
            faults: std::collections::VecDeque::new(),
        })
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub(super) fn file(&self) -> &Arc<dyn DiskFile> {
        &self.file
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Goes on with another file, which has its name and so many bytes.
    pub(super) fn take_over(&mut self, file: Arc<dyn DiskFile>, length: u64) {
        self.guard = Arc::clone(&file);
        (self.file, self.length, self.is_suspect) = (file, length, false);
        self.note();
    }

    /// Nothing but the first so many bytes is of use: cuts off the rest.
    pub(super) fn cut(&mut self, length: u64) -> Result<(), StoreError> {
        self.length = length;
        self.file.cut(length).and_then(|()| self.file.sync_all()).map_err(StoreError::io(&self.path))?;
        self.note();
        Ok(())
    }

    /// Whether the file has its name: see [`named`].
    pub(super) fn ensure_named(&self) -> Result<(), StoreError> {
        let id = self.guard.id().map_err(StoreError::io(&self.path))?;
        named::check(&self.path, id, self.disk.id_at(&self.path))?;
        if self.name == self.path {
            Ok(())
        } else {
            named::check(&self.name, id, self.disk.id_at(&self.name))
        }
    }

    /// Takes the file as it is now.
    pub(super) fn note(&mut self) {
        // Without a stamp the length is compared.
        self.stamp = self.file.stamp().ok();
    }

    /// Whether another program wrote to the file and left its length as it is.
    pub(super) fn is_touched(&self) -> bool {
        !self.is_suspect
            && self.stamp.is_some_and(|stamp| {
                self.file.stamp().is_ok_and(|found| found != stamp && found.bytes == self.length)
            })
    }

    /// Whether the file still has its name and the length and time that this log gave it. Another program can
    /// empty, overwrite or extend the file in place without a change of its name.
    pub(super) fn ensure_unchanged(&self) -> Result<(), StoreError> {
        self.ensure_named()?;
        // The length of a suspect log is open until `mend` has cut the file.
        if self.is_suspect {
            return Ok(());
        }
        let found = self.file.stamp().map_err(StoreError::io(&self.path))?;
        let what = if found.bytes != self.length {
            format!("it has {} bytes, and {} were committed", found.bytes, self.length)
        } else if self.stamp.is_some_and(|stamp| stamp != found) {
            "it was written to in place".to_owned()
        } else {
            return Ok(());
        };
        Err(StoreError::Changed {
            path: self.path.clone(),
            what,
            remedy: "put the old contents back into it, or restart the server, which then has what is there",
        })
    }

    /// It is not known what of this is on disk: it is looked at before the next append.
    pub(super) fn suspect(&mut self) {
        self.is_suspect = true;
    }

    /// Appends, and says where that begins. `sync`: it is on disk then.
    pub(super) fn append(&mut self, bytes: &[u8], sync: bool) -> Result<u64, StoreError> {
        self.ensure_unchanged()?;
        if self.is_suspect {
            self.mend()?;
        }
        let offset = self.length;
        if let Err(cause) = self.write(bytes, offset) {
            self.undo(sync);
            return Err(StoreError::Io { path: self.path.clone(), cause });
        }
        if sync && let Err(cause) = self.sync() {
            self.is_suspect = true;
            self.undo(sync);
            return Err(StoreError::Io { path: self.path.clone(), cause });
        }
        // It may have lost its name meanwhile.
        if let Err(error) = self.ensure_named() {
            self.undo(sync);
            return Err(error);
        }
        self.length += bytes.len() as u64;
        self.note();
        Ok(offset)
    }

    fn undo(&mut self, sync: bool) {
        let undone = self.truncate().and_then(|()| if sync { self.sync() } else { Ok(()) });
        self.is_suspect |= undone.is_err();
        self.note();
    }

    fn mend(&mut self) -> Result<(), StoreError> {
        let file = self.disk.open(&self.path, Opening::Existing).map_err(StoreError::io(&self.path))?;
        let id = file.id().map_err(StoreError::io(&self.path));
        named::check(&self.path, self.guard.id().map_err(StoreError::io(&self.path))?, Ok(id?))?;
        let found = file.length().map_err(StoreError::io(&self.path))?;
        if found < self.length {
            return Err(StoreError::Damaged {
                path: self.path.clone(),
                line: None,
                what: format!("it has {found} bytes, and {} were committed", self.length),
                remedy: "restart the server, which then has what is there; or restore a backup",
            });
        }
        self.file = file;
        let mended = self.truncate().and_then(|()| self.sync());
        mended.and_then(|()| self.disk.sync_directory_of(&self.path)).map_err(StoreError::io(&self.path))?;
        tracing::warn!(path = %self.path.display(), bytes = self.length, "The log can be written again.");
        self.is_suspect = false;
        self.note();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some(&Fault::Full(count)) = self.faults.front() {
            self.faults.pop_front();
            self.file.write_all_at(&bytes[..count.min(bytes.len())], offset)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        #[cfg(test)]
        if self.faults.front() == Some(&Fault::Sync) {
            self.faults.pop_front();
            return Err(io::Error::other("input/output error"));
        }
        self.file.sync_data()
    }

    fn truncate(&mut self) -> io::Result<()> {
        #[cfg(test)]
        if self.faults.front() == Some(&Fault::Cut) {
            self.faults.pop_front();
            return Err(io::Error::other("input/output error"));
        }
        self.file.cut(self.length)
    }
}
