//! A log, read from its beginning to its end, and what it says.

use std::path::Path;
use std::sync::Arc;

use super::contents::{Contents, People, Place};
use super::entry::{self, Entry, Wrong};
use super::scan::{Lines, Raw};
use super::write::VERSION;
use crate::limits::JSONL_LINE_BYTES_MAX;
use crate::store::StoreError;
use crate::store::disk::DiskFile;

/// What was found.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) contents: Contents,
    /// Bytes of whole lines.
    pub(super) length: u64,
    /// What stands behind them: a line that was not written to its end.
    pub(super) torn: Option<Torn>,
}

/// The beginning of a line that was not written to its end.
#[derive(Debug)]
pub(super) struct Torn {
    /// Its number, from 1.
    pub(super) line: u64,
    pub(super) bytes: u64,
}

const REMEDY: &str = "run `parlance repair`, which sets the line aside";

/// Reads a log to the end that it has now. It takes one pass, and the memory of what is left of it.
pub(super) fn replay(path: &Path, file: &Arc<dyn DiskFile>) -> Result<Replayed, StoreError> {
    let end = file.length().map_err(StoreError::io(path))?;
    let mut lines = Lines::new(Arc::clone(file), 0, end);
    let mut contents = Contents::new();
    loop {
        let length = lines.offset();
        let Some(raw) = lines.next().map_err(StoreError::io(path))? else {
            return Ok(Replayed { contents, length, torn: None });
        };
        match take(&raw, &mut contents) {
            Ok(()) => {}
            Err(Wrong::Torn(_)) if !raw.is_ended || raw.offset + raw.length == end => {
                let torn = Some(Torn { line: raw.number, bytes: raw.length });
                return Ok(Replayed { contents, length, torn });
            }
            Err(wrong) => return Err(error(path, raw.number, wrong)),
        }
    }
}

/// Takes in a line. A line without an end is torn, whatever it says.
pub(super) fn take<P: People>(raw: &Raw<'_>, contents: &mut Contents<P>) -> Result<(), Wrong> {
    if !raw.is_ended {
        return Err(Wrong::Torn("it has no end".to_owned()));
    }
    let bytes = raw.bytes.ok_or_else(too_long)?;
    let line = entry::parse(bytes)?;
    let place = Place { offset: raw.offset, bytes: raw.length as u32 };
    Ok(contents.take(Entry::of(&line, raw.number)?, place)?)
}

/// The line is longer than any.
pub(super) fn too_long() -> Wrong {
    Wrong::Torn(format!("it has more than {JSONL_LINE_BYTES_MAX} bytes"))
}

/// A line that cannot be understood, as an error of the store.
pub(super) fn error(path: &Path, line: u64, wrong: Wrong) -> StoreError {
    match wrong {
        Wrong::Newer(found) => StoreError::Newer { path: path.into(), found, known: VERSION },
        Wrong::Torn(what) | Wrong::Meaning(what) => {
            StoreError::Damaged { path: path.into(), line: Some(line), what, remedy: REMEDY }
        }
    }
}
