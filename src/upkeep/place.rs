//! Checks the file of a store before the store is opened. A FIFO would block a command for ever, and `SQLite`
//! gives the same error for a directory, a device and a broken disk.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;

use parlance::store::{StoreError, StoreSpec};

/// The reason why a file cannot be a store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error("`{}` is {what}, and a store is a regular file; name another store with --store", path.display())]
    NotRegular { path: PathBuf, what: &'static str },
    #[error("`{}` is {what}; name it with --store {kind}", path.display())]
    OtherKind { path: PathBuf, what: &'static str, kind: &'static str },
}

/// <https://www.sqlite.org/fileformat.html#magic_header_string>
const DATABASE: &[u8] = b"SQLite format 3\0";
const LOG: &[u8] = b"{\"operation\":\"format\"";

/// Refuses a file that no store of that kind can be, also behind a symbolic link. A missing file is not an
/// error.
pub(super) fn ensure_fits(spec: &StoreSpec) -> Result<(), super::UpkeepError> {
    let Some(path) = spec.files().into_iter().next() else { return Ok(()) };
    let failed = |cause| StoreError::Io { path: path.clone(), cause };
    let metadata = match fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(failed(cause).into()),
    };
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a directory" } else { "a device, a pipe or a socket" };
        return Err(PlaceError::NotRegular { path, what }.into());
    }
    let mut beginning = Vec::new();
    let file = File::open(&path).map_err(failed)?;
    file.take(LOG.len() as u64).read_to_end(&mut beginning).map_err(failed)?;
    match spec {
        StoreSpec::Sqlite(_) if beginning.starts_with(LOG) => Err(PlaceError::OtherKind {
            path,
            what: "a log of messages, and no database",
            kind: "jsonl:DIR, where the log is DIR/log.jsonl",
        }
        .into()),
        StoreSpec::Jsonl(_) if beginning.starts_with(DATABASE) => {
            let what = "an SQLite database, and no log of messages";
            Err(PlaceError::OtherKind { path, what, kind: "sqlite:FILE" }.into())
        }
        StoreSpec::Sqlite(_) | StoreSpec::Jsonl(_) | StoreSpec::Memory => Ok(()),
    }
}
