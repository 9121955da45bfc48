//! Setting broken lines aside.
//!
//! They go into a file of their own, each behind a line with its number and what is wrong with it, before the log is
//! replaced by one without them. So a kill at any moment loses nothing: at worst lines are set aside twice.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compact::new_path;
use super::contents::{Contents, Place};
use super::entry::{self, Entry, Wrong};
use super::scan::{Lines, Raw, read_at};
use super::tally::Tally;
use super::{BEGIN, EMPTY, FILE_NAME, replay, write};
use crate::limits::JSONL_SCAN_BYTES;
use crate::store::disk::{Disk, DiskFile, Opening, SystemDisk, open_regular, owned_file};
use crate::store::{Lock, StoreError};

/// What a repair did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Repaired {
    /// Lines that were understood, and stay.
    pub lines: u64,
    /// Lines that were not, and were set aside. None: nothing was changed.
    pub set_aside: u64,
    /// Where they are.
    pub aside: PathBuf,
}

/// Sets aside the lines of the log in a directory that are not understood.
///
/// # Errors
///
/// When a server has it open, when it cannot be read or written, or was written by a newer version.
pub fn repair(directory: &Path) -> Result<Repaired, StoreError> {
    let _lock = Lock::take(directory)?;
    let path = directory.join(FILE_NAME);
    let path = SystemDisk.resolve(&path).map_err(StoreError::io(&path))?;
    // A server may have it through another name.
    let file = SystemDisk.open(&path, Opening::Existing).map_err(StoreError::io(&path))?;
    if !file.lock().map_err(StoreError::io(&path))? {
        return Err(StoreError::Locked { path });
    }
    let aside = aside_path(&path);
    let new = new_path(&path);
    let repaired = rewrite(&path, &new, &aside);
    match &repaired {
        Ok(Repaired { set_aside, .. }) if *set_aside > 0 => {
            SystemDisk.rename(&new, &path).map_err(StoreError::io(&path))?;
            SystemDisk.sync_directory_of(&path).map_err(StoreError::io(directory))?;
        }
        Ok(_) | Err(_) => SystemDisk.remove(&new).map_err(StoreError::io(&new))?,
    }
    repaired
}

fn rewrite(path: &Path, new: &Path, aside_path: &Path) -> Result<Repaired, StoreError> {
    let file: Arc<dyn DiskFile> = Arc::new(File::open(path).map_err(StoreError::io(path))?);
    let end = file.length().map_err(StoreError::io(path))?;
    if end == 0 {
        let (path, line) = (path.into(), None);
        return Err(StoreError::Damaged { path, line, what: EMPTY.to_owned(), remedy: BEGIN });
    }
    let mut options = owned_file();
    options.create(true).truncate(true);
    let target = open_regular(&mut options, new).map_err(StoreError::io(new))?;
    let mut target = BufWriter::with_capacity(JSONL_SCAN_BYTES, target);
    let mut aside = None;
    let mut contents = Contents::<Tally>::new();
    let mut repaired = Repaired { lines: 0, set_aside: 0, aside: aside_path.into() };
    let mut lines = Lines::new(Arc::clone(&file), 0, end);
    while let Some(raw) = lines.next().map_err(StoreError::io(path))? {
        if repaired.lines == 0 && raw.number > 1 {
            // The first line was set aside.
            begin(&mut target, &mut contents).map_err(StoreError::io(new))?;
            repaired.lines = 1;
        }
        // What was a first line is one only in front.
        match replay::take(&raw, &mut contents) {
            Ok(()) => {
                let bytes = raw.bytes.unwrap_or_default();
                target
                    .write_all(bytes)
                    .and_then(|()| target.write_all(b"\n"))
                    .map_err(StoreError::io(new))?;
                repaired.lines += 1;
            }
            Err(Wrong::Newer(found)) => return Err(replay::error(path, raw.number, Wrong::Newer(found))),
            Err(wrong) => {
                let aside = match &mut aside {
                    Some(aside) => aside,
                    None => aside.insert(open_aside(aside_path)?),
                };
                set_aside(&*file, &raw, &wrong.what(), aside).map_err(StoreError::io(aside_path))?;
                repaired.set_aside += 1;
            }
        }
    }
    if repaired.lines == 0 && repaired.set_aside > 0 {
        begin(&mut target, &mut contents).map_err(StoreError::io(new))?;
        repaired.lines = 1;
    }
    if let Some(mut aside) = aside {
        let synced = aside.flush().and_then(|()| aside.get_ref().sync_all());
        synced.and_then(|()| SystemDisk.sync_directory_of(aside_path)).map_err(StoreError::io(aside_path))?;
    }
    target.flush().and_then(|()| target.get_ref().sync_all()).map_err(StoreError::io(new))?;
    Ok(repaired)
}

/// Writes a first line.
fn begin(target: &mut impl Write, contents: &mut Contents) -> io::Result<()> {
    let mut line = Vec::new();
    write::format(&mut line, None);
    let parsed = entry::parse(&line).and_then(|line| {
        contents.take(Entry::of(&line, 1)?, Place { offset: 0, bytes: 0 })?;
        Ok(())
    });
    parsed.map_err(|wrong| io::Error::other(wrong.what()))?;
    target.write_all(&line)
}

/// Where what is not understood goes, of a log.
pub(super) fn aside_path(log: &Path) -> PathBuf {
    log.with_extension("jsonl.broken")
}

/// Copies the end of a log behind what was set aside before. It is on disk then.
pub(super) fn set_rest_aside(
    disk: &dyn Disk,
    log: &dyn DiskFile,
    line: u64,
    rest: Range<u64>,
    aside_path: &Path,
) -> io::Result<()> {
    let aside = disk.open(aside_path, Opening::MadeIfMissing)?;
    let words = format!("# from line {line}: not written whole\n");
    let mut to = aside.length()?;
    aside.write_all_at(words.as_bytes(), to)?;
    to += words.len() as u64;
    let mut buffer = vec![0; JSONL_SCAN_BYTES];
    let mut from = rest.start;
    while from < rest.end {
        let wanted = (rest.end - from).min(JSONL_SCAN_BYTES as u64) as usize;
        let count = read_at(log, &mut buffer[..wanted], from)?;
        if count < wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        aside.write_all_at(&buffer[..count], to)?;
        from += count as u64;
        to += count as u64;
    }
    aside.sync_all()?;
    disk.sync_directory_of(aside_path)
}

fn open_aside(path: &Path) -> Result<BufWriter<File>, StoreError> {
    let mut options = File::options();
    options.append(true).create(true).mode(0o600);
    Ok(BufWriter::new(open_regular(&mut options, path).map_err(StoreError::io(path))?))
}

/// Copies a line as it is, whatever its length.
fn set_aside(file: &dyn DiskFile, raw: &Raw<'_>, what: &str, aside: &mut impl Write) -> io::Result<()> {
    writeln!(aside, "# line {}: {what}", raw.number)?;
    let mut buffer = vec![0; JSONL_SCAN_BYTES.min(raw.length as usize)];
    let mut at = raw.offset;
    let end = raw.offset + raw.length;
    while at < end {
        let count = buffer.len().min((end - at) as usize);
        if read_at(file, &mut buffer[..count], at)? < count {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        aside.write_all(&buffer[..count])?;
        at += count as u64;
    }
    if raw.is_ended { Ok(()) } else { aside.write_all(b"\n") }
}
