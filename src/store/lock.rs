//! One writer at a time.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::StoreError;
use super::named::FileId;

/// The exclusive use of a directory, for as long as it lives: an advisory lock of the kernel on the directory itself
/// (`flock`), which ends with the process however that ends, and leaves nothing behind.
#[derive(Debug)]
pub struct Lock {
    _directory: File,
}

impl Lock {
    /// Takes it, or says that somebody else has it.
    pub fn take(directory: &Path) -> Result<Self, StoreError> {
        let file = File::open(directory).map_err(StoreError::io(directory))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _directory: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: directory.into() }),
            Err(TryLockError::Error(cause)) => Err(StoreError::Io { path: directory.into(), cause }),
        }
    }
}

/// The exclusive use of a database file, whatever names it has: through a symbolic link, a hard link, or
/// another mount of its file system. An advisory lock of the kernel on the file itself (`flock`, which has
/// nothing to do with the locks of `SQLite`), for as long as it lives.
///
/// Closing any descriptor of a file drops the process's `fcntl` locks on it, including those of `SQLite`. So
/// drop this after the last connection, and do not open the file a second time in this process.
#[derive(Debug)]
pub(super) struct FileLock {
    _file: File,
    id: FileId,
}

/// The files that this process has.
static HELD: Mutex<Vec<FileId>> = Mutex::new(Vec::new());

impl FileLock {
    /// Opens a file with `open` and takes it, or says that it is taken. `path` is for the error.
    pub(super) fn take(
        path: &Path,
        open: impl FnOnce() -> std::io::Result<File>,
    ) -> Result<Self, StoreError> {
        let real = || path.canonicalize().unwrap_or_else(|_| PathBuf::from(path));
        let locked = || StoreError::Locked { path: real() };
        // For the whole of this, so that two threads do not both open it.
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if FileId::at(path).is_ok_and(|id| held.contains(&id)) {
            return Err(locked());
        }
        let file = open().map_err(StoreError::io(path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked()),
            Err(TryLockError::Error(cause)) => return Err(StoreError::Io { path: path.into(), cause }),
        }
        let id = FileId::of(&file.metadata().map_err(StoreError::io(path))?);
        held.push(id);
        Ok(Self { _file: file, id })
    }

    /// Which file it is.
    pub(super) fn id(&self) -> FileId {
        self.id
    }
}

/// Whether another process has the lock on a file. It opens and closes the file: see [`FileLock`].
pub(super) fn is_held_elsewhere(path: &Path) -> Result<bool, StoreError> {
    let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    if FileId::at(path).is_ok_and(|id| held.contains(&id)) {
        return Ok(false);
    }
    let file = File::open(path).map_err(StoreError::io(path))?;
    Ok(matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

impl Drop for FileLock {
    fn drop(&mut self) {
        HELD.lock().unwrap_or_else(PoisonError::into_inner).retain(|&id| id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_at_a_time_and_nothing_stays_behind() {
        let directory = tempfile::tempdir().expect("a directory");
        let lock = Lock::take(directory.path()).expect("nobody has it");
        let error = Lock::take(directory.path()).expect_err("somebody has it");
        assert!(error.to_string().contains("a server has it open"), "{error}");
        drop(lock);
        assert!(Lock::take(directory.path()).is_ok());
        assert_eq!(std::fs::read_dir(directory.path()).expect("it can be read").count(), 0);
    }

    #[test]
    fn a_file_is_one_whatever_its_names() {
        let directory = tempfile::tempdir().expect("a directory");
        let [path, linked, hard] = ["file", "linked", "hard"].map(|name| directory.path().join(name));
        std::fs::write(&path, "").expect("written");
        std::os::unix::fs::symlink(&path, &linked).expect("a link");
        std::fs::hard_link(&path, &hard).expect("a link");
        let take = |path: &Path| FileLock::take(path, || File::options().write(true).open(path));
        let lock = take(&linked).expect("it is free");
        for other in [&path, &linked, &hard] {
            assert!(take(other).is_err(), "{}", other.display());
        }
        // What another process sees.
        assert!(File::open(&hard).expect("it is there").try_lock().is_err());
        drop(lock);
        assert!(take(&hard).is_ok());
    }
}
