//! A file that a command makes: it has its name once all of it is on disk, and replaces nothing.
//!
//! Until then it is in a directory of its own beside that name, which goes with the command: when it fails,
//! and when a signal ends it. Only a kill, or the loss of power, leaves the directory behind.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use parlance::signals::{ending_signals, is_ignored};
use parlance::store::StoreError;
use signal_hook::iterator::Signals;
use signal_hook::low_level;
use tempfile::{Builder, TempPath};

use super::UpkeepError;
use crate::output::of_the_system;

/// Added to the number of a signal, it is the exit status that a shell reports for a process that the signal
/// ended.
const STATUS_OF_SIGNAL: i32 = 128;

/// Makes a file with `write`, which gets the name that it has until it is whole.
pub(super) fn make(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), UpkeepError>,
) -> Result<(), UpkeepError> {
    let unwritable = |cause| UpkeepError::Unwritable { path: path.into(), cause };
    if fs::symlink_metadata(path).is_ok() {
        return Err(unwritable(rustix::io::Errno::EXIST.into()));
    }
    let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let to_remove = remove_on_signal().map_err(unwritable)?;
    let beside = {
        let mut to_remove = to_remove.lock().unwrap_or_else(PoisonError::into_inner);
        // For its owner alone: the file has hashes of passwords in it.
        let made = Builder::new().prefix(".parlance-").tempdir_in(directory);
        let beside = made.map_err(|error| unwritable(of_the_system(&error)))?;
        *to_remove = Some(beside.path().to_owned());
        beside
    };
    let unfinished = beside.path().join("unfinished");
    write(&unfinished).map_err(|error| renamed(error, &unfinished, path))?;
    let whole = TempPath::try_from_path(unfinished).map_err(unwritable)?;
    whole.persist_noclobber(path).map_err(|error| unwritable(error.error))?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(unwritable)
}

/// An error that is about the file by the name that people know.
fn renamed(error: UpkeepError, unfinished: &Path, path: &Path) -> UpkeepError {
    match error {
        UpkeepError::Store(StoreError::Io { path: about, cause }) if about == unfinished => {
            UpkeepError::Unwritable { path: path.into(), cause }
        }
        UpkeepError::Store(StoreError::Database { path: about, cause }) if about == unfinished => {
            UpkeepError::Unwritable { path: path.into(), cause: io::Error::other(cause) }
        }
        UpkeepError::Unwritable { cause, .. } => UpkeepError::Unwritable { path: path.into(), cause },
        other => other,
    }
}

/// Where the directory is noted that a signal is to remove.
fn remove_on_signal() -> io::Result<Arc<Mutex<Option<PathBuf>>>> {
    /// The command may make a file in it meanwhile.
    const ATTEMPTS: usize = 3;
    let to_remove = Arc::new(Mutex::new(None::<PathBuf>));
    let noted = Arc::clone(&to_remove);
    // A handler would undo the ignored signals of `nohup` or of a background command in a shell.
    let mut signals = Signals::new::<[i32; 0], _>([])?;
    for signal in ending_signals().filter(|&signal| !is_ignored(signal)) {
        // The C library refuses a handler for real-time signals that it uses itself.
        let _ = signals.add_signal(signal);
    }
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // Held until the end, so that none is made any more.
            let directory = noted.lock().unwrap_or_else(PoisonError::into_inner);
            let remove = |directory: &PathBuf| (0..ATTEMPTS).any(|_| fs::remove_dir_all(directory).is_ok());
            // What cannot be removed is all the same not what was asked for: it has another name.
            let _ = directory.as_ref().map(remove);
            let _ = low_level::emulate_default_handler(signal);
            // It knows no default action of SIGPWR, SIGIO, SIGSTKFLT and the real-time signals.
            low_level::exit(STATUS_OF_SIGNAL + signal);
        }
    })?;
    Ok(to_remove)
}
