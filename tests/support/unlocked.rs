//! Waits until a store that this process has closed is free. A process that another thread starts has all
//! descriptors of this one until it runs its program, and the store's locks with them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Waits until nobody has a lock (`flock`) on a directory or a file in it.
#[track_caller]
pub(crate) fn wait_until_unlocked(directory: &Path) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let entries =
        fs::read_dir(directory).expect("it is there").map(|entry| entry.expect("it can be read").path());
    let inodes: Vec<_> = entries
        .chain([directory.to_owned()])
        .filter_map(|path| Some(format!(":{} ", fs::metadata(path).ok()?.ino())))
        .collect();
    let is_locked = || {
        let locks = fs::read_to_string("/proc/locks").expect("the kernel lists its locks");
        let mut locks = locks.lines().filter(|line| line.contains("FLOCK"));
        locks.any(|line| inodes.iter().any(|inode| line.contains(inode)))
    };
    while is_locked() {
        assert!(Instant::now() < deadline, "a lock in {} stays", directory.display());
        thread::yield_now();
    }
}
