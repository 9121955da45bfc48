//! Which store, and what committed means: as an operator writes it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::named::resolve;

/// Which store: `sqlite:FILE`, `jsonl:DIR` or `memory`. Paths that do not start with `/` are below the data directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreSpec {
    /// One database file.
    Sqlite(PathBuf),
    /// A directory with a log that people can read.
    Jsonl(PathBuf),
    /// Nothing on disk: what is kept is gone with the process.
    Memory,
}

impl StoreSpec {
    /// The same store with its path below a directory, unless that is absolute.
    #[must_use]
    pub fn below(self, directory: &Path) -> Self {
        match self {
            Self::Sqlite(path) => Self::Sqlite(directory.join(path)),
            // Without a dot at its end, which no directory can be made with.
            Self::Jsonl(path) => Self::Jsonl(directory.join(path).components().collect()),
            Self::Memory => Self::Memory,
        }
    }

    /// The same store with a path from the root on. The system follows a relative path from the working
    /// directory even after a rename of it, and the next start would look elsewhere.
    #[must_use]
    pub fn from_root(self) -> Self {
        // It fails where there is no working directory; then nothing can be opened either.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        match self {
            Self::Sqlite(path) => Self::Sqlite(absolute(path)),
            Self::Jsonl(path) => Self::Jsonl(absolute(path)),
            Self::Memory => Self::Memory,
        }
    }

    /// The names of the files that a store has, or may have: nothing else is to be written there.
    pub fn files(&self) -> Vec<PathBuf> {
        let beside = |path: &Path, suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        match self {
            Self::Sqlite(path) => {
                // The other files are next to the database itself, not next to a link to it.
                let path = resolve(path).unwrap_or_else(|_| path.clone());
                ["", "-wal", "-shm", "-journal"].map(|suffix| beside(&path, suffix)).into()
            }
            Self::Jsonl(path) => {
                let log = path.join("log.jsonl");
                let log = resolve(&log).unwrap_or(log);
                let beside = ["jsonl.new", "jsonl.broken"].map(|extension| log.with_extension(extension));
                [log].into_iter().chain(beside).collect()
            }
            Self::Memory => Vec::new(),
        }
    }

    /// The directory that a store's lock is on.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => path.parent(),
            Self::Jsonl(path) => Some(path),
            Self::Memory => None,
        }
    }
}

impl FromStr for StoreSpec {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("jsonl", path)) if !path.is_empty() => Ok(Self::Jsonl(path.into())),
            None if text == "memory" => Ok(Self::Memory),
            Some(_) | None => Err(()),
        }
    }
}

impl fmt::Display for StoreSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Jsonl(path) => write!(f, "jsonl:{}", path.display()),
            Self::Memory => f.write_str("memory"),
        }
    }
}

/// What is true of something when its sender is told that it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// It is on disk: it survives the loss of power.
    #[default]
    Full,
    /// The operating system has it: it survives the end of the process, not that of the machine.
    Normal,
    /// It is on its way: whoever asks is answered at once.
    None,
}
