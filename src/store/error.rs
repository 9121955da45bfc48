//! Why a store did not do what it was asked to.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use crate::limits::SEARCH_BYTES_MAX;

/// Why a store did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused something.
    #[error("{}: {cause}{}", path.display(), remedy(path, cause))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Somebody else has it open.
    #[error("{}: a server has it open; stop that one, or give this one another directory with --data", path.display())]
    Locked {
        /// The directory that is locked.
        path: PathBuf,
    },
    /// A file of it lost its name while it was open.
    #[error("{}: {}", path.display(), moved(*is_replaced))]
    Moved {
        /// The name.
        path: PathBuf,
        /// Another file has the name.
        is_replaced: bool,
    },
    /// Another program wrote to a file of it while it was open.
    #[error("{}: the file was changed by another program: {what}; {remedy}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// The change.
        what: String,
        /// The way to go on.
        remedy: &'static str,
    },
    /// The database has another name or mount without a write-ahead log next to it.
    #[error("{}: {what}; {remedy}", path.display())]
    Aliased {
        /// The file.
        path: PathBuf,
        /// The danger.
        what: String,
        /// The way to go on.
        remedy: &'static str,
    },
    /// Something in it makes no sense, and it does not mend that by itself.
    #[error("{}: {what}; {remedy}", place(path, *line))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1, where there are lines.
        line: Option<u64>,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A newer version has written it.
    #[error("{}: it has version {found}, and this program knows up to {known}: use a newer parlance", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The newest that is known here.
        known: u64,
    },
    /// The database refused something.
    #[error("{}: {cause}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What it said.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The text of a search is too long.
    #[error(
        "the text to search for has {bytes} bytes; at most {SEARCH_BYTES_MAX} are allowed: use fewer words"
    )]
    SearchTooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// This store cannot do that.
    #[error("{0}")]
    Unsupported(&'static str),
}

fn place(path: &Path, line: Option<u64>) -> String {
    match line {
        Some(line) => format!("{}:{line}", path.display()),
        None => path.display().to_string(),
    }
}

fn moved(is_replaced: bool) -> &'static str {
    if is_replaced {
        "another file has this name now; put the first one back, or stop the server before another store takes its place"
    } else {
        "the file is gone; put it back, or restart the server, which then begins with an empty store"
    }
}

fn remedy(path: &Path, cause: &io::Error) -> Cow<'static, str> {
    let remedy = match cause.kind() {
        io::ErrorKind::NotADirectory => {
            let file = path.ancestors().find(|path| path.is_file()).unwrap_or(path);
            return format!("; `{}` is a file, and --data takes a directory", file.display()).into();
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make space on that disk",
        io::ErrorKind::ReadOnlyFilesystem => {
            "; mount it for writing, or give the user that runs parlance the rights there"
        }
        io::ErrorKind::PermissionDenied => {
            "; give the user that runs parlance the rights that it needs there"
        }
        _ => "",
    };
    remedy.into()
}

impl StoreError {
    /// For `map_err`: an error of the system, about a path.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::Io { path, cause }
    }
}
