//! Where the output of a command goes: never into a file that the command reads.
//!
//! `parlance config > parlance.toml` is a trap. The shell opens and empties the file before the command
//! starts, which then reads nothing. The loss cannot be undone here; it can be told, and what follows from it
//! prevented.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use parlance::config::Config;
use parlance::store::{StoreSpec, resolve};

/// Why a command refuses its output.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error("{stream} is `{}`, {what}; {}; {remedy}", path.display(), state(*bytes))]
    IsInput { stream: &'static str, path: PathBuf, what: &'static str, bytes: u64, remedy: &'static str },
    #[error("`{}` is {what}; name another file", path.display())]
    IsOurs { path: PathBuf, what: &'static str },
}

/// An error without the name of the temporary file that it is about.
pub(crate) fn of_the_system(error: &io::Error) -> io::Error {
    io::Error::from(error.kind())
}

fn state(bytes: u64) -> &'static str {
    if bytes == 0 { "the shell has emptied it: put back what was in it" } else { "nothing was done" }
}

const CONFIGURATION: &str = "the configuration file that is read";
const STORE: &str = "a file of the store";

/// Refuses a standard output, or standard error, that is the configuration file.
pub(crate) fn ensure_not_configuration(path: &Path) -> Result<(), OutputError> {
    ensure_not(path, CONFIGURATION, "to write the configuration down, use `parlance config --write`")
}

/// Refuses a standard output, or standard error, that is a file of the store.
pub(crate) fn ensure_not_store(spec: &StoreSpec) -> Result<(), OutputError> {
    spec.files().iter().try_for_each(|path| ensure_not(path, STORE, "write to another file"))
}

/// Refuses a ready file that would replace the configuration file or a file of the store.
pub(crate) fn ensure_ready_file_is_apart(config: &Config, configuration: &Path) -> Result<(), OutputError> {
    let Some(ready) = &config.ready_file else { return Ok(()) };
    if is_same_name(ready, configuration) {
        return Err(OutputError::IsOurs { path: ready.clone(), what: CONFIGURATION });
    }
    ensure_not_of_store(ready, &config.store_spec())
}

/// Refuses the name of a file of the store, also where there is no such file at present.
pub(crate) fn ensure_not_of_store(path: &Path, spec: &StoreSpec) -> Result<(), OutputError> {
    if spec.files().iter().any(|file| is_same_name(path, file)) {
        return Err(OutputError::IsOurs { path: path.into(), what: STORE });
    }
    Ok(())
}

fn ensure_not(path: &Path, what: &'static str, remedy: &'static str) -> Result<(), OutputError> {
    let Ok(wanted) = fs::metadata(path) else { return Ok(()) };
    let (stdout, stderr) = (io::stdout(), io::stderr());
    for (stream, fd) in [("standard output", stdout.as_fd()), ("standard error", stderr.as_fd())] {
        if let Ok(found) = metadata(fd)
            && found.is_file()
            && (found.dev(), found.ino()) == (wanted.dev(), wanted.ino())
        {
            let (path, bytes) = (path.to_owned(), found.len());
            return Err(OutputError::IsInput { stream, path, what, bytes, remedy });
        }
    }
    Ok(())
}

fn metadata(fd: BorrowedFd<'_>) -> io::Result<Metadata> {
    File::from(fd.try_clone_to_owned()?).metadata()
}

/// Whether two paths name the same file or the same directory entry, also through symbolic links to nothing.
fn is_same_name(one: &Path, other: &Path) -> bool {
    // A loop of links names no file at all.
    let real = |path: &Path| resolve(path).unwrap_or_else(|_| path.to_owned());
    let (one, other) = (&*real(one), &*real(other));
    let id = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    if let (Some(one), Some(other)) = (id(one), id(other)) {
        return one == other;
    }
    let directory = |path: &Path| match path.parent() {
        Some(directory) if directory != Path::new("") => id(directory),
        Some(_) | None => id(Path::new(".")),
    };
    one.file_name() == other.file_name() && directory(one).is_some() && directory(one) == directory(other)
}
