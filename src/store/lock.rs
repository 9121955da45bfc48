//! One writer at a time.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::StoreError;

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
}
