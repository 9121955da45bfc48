//! A log, read from its beginning to its end, and what it says.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::contents::{Contents, People, Place};
use super::entry::{self, Entry, Wrong};
use super::scan::{Lines, Raw};
use super::write::{self, VERSION, VERSION_MIN};
use crate::limits::{JSONL_LINE_BYTES_MAX, STORE_GROUP_OPS_MAX};
use crate::store::StoreError;
use crate::store::disk::DiskFile;

/// What was found.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) contents: Contents,
    /// Bytes of whole lines.
    pub(super) length: u64,
    /// What stands behind them: what was not written whole.
    pub(super) torn: Option<Torn>,
}

/// What was not written whole: the beginning of a line, or a line and all behind it.
#[derive(Debug)]
pub(super) struct Torn {
    /// The number of the first line, from 1.
    pub(super) line: u64,
    pub(super) bytes: u64,
}

const REMEDY: &str = "run `parlance repair`, which sets the line aside";

/// In front of the first line of each group of a log that is synced: a blank, which JSON does not mind. Everything before it
/// was on disk when it was written. So a line that is damaged before such a mark was on disk once; one that has none behind
/// it is of the last group, which may not have been.
pub(super) const MARK: u8 = b' ';

/// Reads a log to the end that it has now. It takes one pass, and the memory of what is left of it.
pub(super) fn replay(path: &Path, file: &Arc<dyn DiskFile>) -> Result<Replayed, StoreError> {
    let end = file.length().map_err(StoreError::io(path))?;
    let mut lines = Lines::new(Arc::clone(file), 0, end);
    let mut contents = Contents::new();
    let mut marked = None;
    loop {
        let length = lines.offset();
        let Some(raw) = lines.next().map_err(StoreError::io(path))? else {
            return Ok(Replayed { contents, length, torn: None });
        };
        if raw.bytes.is_some_and(|bytes| bytes.first() == Some(&MARK)) {
            marked = Some(raw.number);
        }
        match take(&raw, &mut contents) {
            Ok(()) => {}
            Err(Wrong::Torn(_)) if raw.number == 1 && !may_be_torn_format(&raw) => {
                return Err(error(path, raw.number, no_format()));
            }
            Err(Wrong::Torn(_)) if !raw.is_ended || raw.offset + raw.length == end => {
                let torn = Some(Torn { line: raw.number, bytes: raw.length });
                return Ok(Replayed { contents, length, torn });
            }
            Err(wrong) => {
                let line = raw.number;
                let has_hole = raw.bytes.is_some_and(|bytes| bytes.contains(&0));
                let lines_max = marked.map_or(0, |marked| marked + STORE_GROUP_OPS_MAX as u64);
                if has_hole && is_of_last_group(&mut lines, lines_max).map_err(StoreError::io(path))? {
                    let torn = Some(Torn { line, bytes: end - length });
                    return Ok(Replayed { contents, length, torn });
                }
                return Err(error(path, line, wrong));
            }
        }
    }
}

/// Whether a line in which bytes are missing is of a group that was being written when the power went: a file system writes
/// the pages of a file back in an order of its own, and what it had not come to reads as zeros. No group began behind it,
/// and there are not more lines than a group has.
fn is_of_last_group(rest: &mut Lines, lines_max: u64) -> io::Result<bool> {
    while let Some(raw) = rest.next()? {
        if raw.number >= lines_max || raw.bytes.is_some_and(|bytes| bytes.first() == Some(&MARK)) {
            return Ok(false);
        }
    }
    Ok(lines_max > 0)
}

/// Whether a first line can be the rest of a format line that was not written whole: each byte is that of the
/// format line or, where the disk never got it, zero. Another file, which a cut would destroy, is not.
pub(super) fn may_be_torn_format(raw: &Raw<'_>) -> bool {
    let bytes = raw.bytes.unwrap_or_default();
    let is_of_format = |(found, wanted): (&u8, &u8)| *found == 0 || found == wanted;
    (VERSION_MIN..=VERSION).any(|version| {
        let mut format = Vec::new();
        write::format_of(version, &mut format, None);
        raw.length <= format.len() as u64 && bytes.iter().zip(&format).all(is_of_format)
    })
}

/// The first line is not the beginning of a log.
pub(super) fn no_format() -> Wrong {
    Wrong::Meaning("the line that names the format is missing".to_owned())
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
