//! A directory for the files of one input.

use std::path::Path;

use tempfile::TempDir;

/// In memory where the system offers that: a disk would be most of the time.
const IN_MEMORY: &str = "/dev/shm";

/// An empty directory, which is gone with what is returned.
pub fn directory() -> TempDir {
    let in_memory = Path::new(IN_MEMORY).is_dir().then(|| tempfile::tempdir_in(IN_MEMORY));
    in_memory.and_then(Result::ok).unwrap_or_else(|| tempfile::tempdir().expect("a directory for files"))
}
