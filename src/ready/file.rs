//! The ready file: there while its server is ready, and at no other time.
//!
//! It appears whole, by a rename. Its server keeps it open and locked, so that another server can tell a file
//! that is in use from one that was left by a process that was killed. A start removes an older file before
//! anything that may fail. A server removes its own when it begins to stop, unless another file is in its
//! place.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ReadyError;
use crate::store::resolve;

/// What each report begins with.
const BEGINNING: &[u8] = b"{\"pid\":";

/// The ready file of this process. Dropped, it is removed.
#[derive(Debug)]
pub struct ReadyFile {
    /// The file itself, where its name is a symbolic link.
    path: PathBuf,
    stage: Mutex<Stage>,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    NotReady,
    /// It is there: open, and locked.
    Ready(File),
    /// The server stops, or has stopped.
    Over,
}

impl ReadyFile {
    /// Takes a path for this server, and removes what an earlier one left there.
    ///
    /// # Errors
    ///
    /// When a server that runs has written the file, when it is no ready file, or when it cannot be removed.
    pub fn claim(path: &Path) -> Result<Self, ReadyError> {
        let is_left = is_left(path)?;
        // A waiting program follows the link, so the target of the link must go.
        let file = resolve(path).map_err(|cause| failed(path, cause))?;
        if is_left {
            fs::remove_file(&file).map_err(|cause| failed(&file, cause))?;
        }
        Ok(Self { path: file, stage: Mutex::default() })
    }

    /// Removes the report of an earlier server, so that a program that waits for this start does not take it
    /// for a new one. Everything else stays, an empty file too: it may be another file of the server's.
    pub fn clear(path: &Path) {
        let is_empty = fs::metadata(path).is_ok_and(|found| found.len() == 0);
        if !is_empty {
            // The start reports its own failure, and claims the file again.
            let _ = Self::claim(path);
        }
    }

    /// Puts a report in place, unless the server stops already.
    pub(super) fn write(&self, report: &str) -> Result<(), ReadyError> {
        if matches!(*self.stage(), Stage::Over) {
            return Ok(());
        }
        // Another server may have begun since, with the same file.
        is_left(&self.path)?;
        let file = put(&self.path, report).map_err(|cause| failed(&self.path, cause))?;
        let mut stage = self.stage();
        if matches!(*stage, Stage::Over) {
            drop(stage);
            self.remove_if_same(&file);
        } else {
            *stage = Stage::Ready(file);
        }
        Ok(())
    }

    /// Removes the file, if it is there and this server's. It is not written after that.
    pub fn remove(&self) {
        let stage = std::mem::replace(&mut *self.stage(), Stage::Over);
        if let Stage::Ready(file) = stage {
            self.remove_if_same(&file);
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove_if_same(&self, file: &File) {
        let removed = is_same(file, &self.path)
            .and_then(|is_same| if is_same { fs::remove_file(&self.path) } else { Ok(()) });
        match removed {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %cause, "the ready file cannot be removed");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        self.remove();
    }
}

fn failed(path: &Path, cause: io::Error) -> ReadyError {
    ReadyError::File { path: path.to_owned(), cause }
}

fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    let (ours, there) = (file.metadata()?, fs::symlink_metadata(path)?);
    Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino()))
}

/// Whether a file is there that an earlier server left. An empty one counts, as `mktemp` makes it.
fn is_left(path: &Path) -> Result<bool, ReadyError> {
    let foreign = |what| ReadyError::Foreign { path: path.to_owned(), what };
    match fs::metadata(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(cause) => return Err(failed(path, cause)),
        Ok(found) if !found.is_file() => return Err(foreign("no regular file")),
        Ok(_) => {}
    }
    let file = File::open(path).map_err(|cause| failed(path, cause))?;
    let mut beginning = Vec::new();
    (&file).take(BEGINNING.len() as u64).read_to_end(&mut beginning).map_err(|cause| failed(path, cause))?;
    if !beginning.is_empty() && beginning != BEGINNING {
        return Err(foreign("a file with something else in it"));
    }
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(ReadyError::InUse { path: path.to_owned() }),
        // A file system without locks cannot tell: a file that is there is taken to be left.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(true),
    }
}

/// Writes `report` to a temporary file and renames it to `path`, so that a reader never sees a part of it.
/// Returns the locked file.
fn put(path: &Path, report: &str) -> io::Result<File> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);

    // A process of this number may have died while it wrote; in a container it is always number 1.
    match fs::remove_file(&temporary) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        Ok(()) | Err(_) => {}
    }
    let written = OpenOptions::new().write(true).create_new(true).open(&temporary).and_then(|mut file| {
        file.write_all(report.as_bytes())?;
        match file.try_lock() {
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::ResourceBusy.into()),
        }
        fs::rename(&temporary, path)?;
        Ok(file)
    });
    if written.is_err() {
        // The first failure is the one to report; this is only tidying up after it.
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "{\"pid\":1,\"listeners\":[]}\n";

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("listed");
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
    }

    #[test]
    fn a_file_that_was_left_goes_at_the_start_and_the_own_one_at_the_end() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("ready.json");
        for left in ["", "{\"pid\":4711,\"listeners\":[]}\n"] {
            fs::write(&path, left).expect("written");
            let file = ReadyFile::claim(&path).expect("nobody has it");
            assert_eq!(names(directory.path()), [""; 0], "before the server is ready");
            file.write(REPORT).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("read"), REPORT);
            assert_eq!(names(directory.path()), ["ready.json"]);
            drop(file);
            assert_eq!(names(directory.path()), [""; 0]);
        }
    }

    #[test]
    fn a_symbolic_link_stays_and_the_file_behind_it_comes_and_goes() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let [link, target] = ["link", "ready.json"].map(|name| directory.path().join(name));
        std::os::unix::fs::symlink("ready.json", &link).expect("linked");
        fs::write(&target, "{\"pid\":4711,\"listeners\":[]}\n").expect("written");
        let file = ReadyFile::claim(&link).expect("nobody has it");
        assert_eq!(names(directory.path()), ["link"]);
        file.write(REPORT).expect("written");
        assert_eq!(fs::read_to_string(&target).expect("read"), REPORT);
        assert!(matches!(ReadyFile::claim(&link), Err(ReadyError::InUse { .. })));
        drop(file);
        assert_eq!(names(directory.path()), ["link"]);
    }

    #[test]
    fn a_server_that_stops_before_it_is_ready_writes_no_file() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = ReadyFile::claim(&directory.path().join("ready.json")).expect("nobody has it");
        file.remove();
        file.write(REPORT).expect("there is nothing to do");
        assert_eq!(names(directory.path()), [""; 0]);
    }

    #[test]
    fn only_a_report_is_cleared() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("ready.json");
        for (content, is_there) in [("{\"pid\":4711}\n", false), ("", true), ("line = 4000\n", true)] {
            fs::write(&path, content).expect("written");
            ReadyFile::clear(&path);
            assert_eq!(path.exists(), is_there, "{content:?}");
        }
    }

    #[test]
    fn a_server_that_runs_keeps_its_file() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("ready.json");
        let first = ReadyFile::claim(&path).expect("nobody has it");
        let second = ReadyFile::claim(&path).expect("nobody is ready");
        first.write(REPORT).expect("written");
        assert!(matches!(ReadyFile::claim(&path), Err(ReadyError::InUse { .. })));
        assert!(matches!(second.write("{\"pid\":2}"), Err(ReadyError::InUse { .. })));
        drop(second);
        assert_eq!(fs::read_to_string(&path).expect("read"), REPORT);
        first.remove();
        ReadyFile::claim(&path).expect("it is free again");
    }

    #[test]
    fn a_file_that_took_the_place_of_the_own_one_stays() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("ready.json");
        let file = ReadyFile::claim(&path).expect("nobody has it");
        file.write(REPORT).expect("written");
        fs::remove_file(&path).expect("removed");
        fs::write(&path, "another's").expect("written");
        drop(file);
        assert_eq!(fs::read_to_string(&path).expect("read"), "another's");
    }

    #[test]
    fn what_is_no_ready_file_is_neither_removed_nor_replaced() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("parlance.toml");
        fs::write(&path, "line = 4000\n").expect("written");
        let refused = ReadyFile::claim(&path).expect_err("it is a configuration");
        assert!(refused.to_string().contains("something else in it"), "{refused}");
        assert_eq!(fs::read_to_string(&path).expect("read"), "line = 4000\n");
        for path in [directory.path(), Path::new("/dev/null")] {
            let refused = ReadyFile::claim(path).expect_err("it is no file");
            assert!(refused.to_string().contains("no regular file"), "{refused}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_put_in_place_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let occupied = directory.path().join("occupied");
        fs::create_dir(&occupied).expect("created");
        assert!(put(&occupied, REPORT).is_err());
        assert_eq!(names(directory.path()), ["occupied"]);
    }
}
