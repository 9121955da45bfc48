//! Writing a log anew, without what is dead in it, in steps between which commits go on.
//!
//! ```text
//! log.jsonl      |  lines up to where it was when this began  |  lines that came since  |
//!                      │ what is left of them                      │ as they are
//! log.jsonl.new  |  accounts, seats  |  messages in their order  |  ...
//! ```
//!
//! The first part of the old log is read again, into a state of its own: what is left of it does not depend on what is
//! committed meanwhile. What came since is copied, and means on top of what is left what it meant on top of all. What is
//! written is taken in as well, line by line, as it will be after a restart: in the end that becomes what the store knows.
//!
//! Until the new log is complete, on disk and has the old one's name, the old one counts; a new one that is left over is
//! removed when the store is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec;

use super::contents::{Contents, Place};
use super::entry::{self, Entry, Wrong};
use super::line::Line;
use super::log::Log;
use super::replay;
use super::scan::Lines;
use super::write;
use crate::chat::{Kept, OpId};
use crate::limits::{JSONL_STEP_BYTES, JSONL_STEP_PARTS, JSONL_UNSYNCED_BYTES_MAX};
use crate::state::State;
use crate::store::StoreError;
use crate::store::disk::{Disk, DiskFile, Opening};

/// A log that is being written anew.
#[derive(Debug)]
pub(super) struct Compaction {
    path: PathBuf,
    old: Arc<dyn DiskFile>,
    /// Where the lines begin that came since.
    until: u64,
    phase: Phase,
    /// What the lines up to `until` say, or those that have been read of them.
    left: Contents<State>,
    new: Draft,
}

#[derive(Debug)]
enum Phase {
    /// The first part is read to know what is left of it.
    Read(Lines),
    /// Accounts and seats are written.
    Parts(vec::IntoIter<Kept>),
    /// The first part is read again, and its messages are written that are left.
    Messages(Lines),
    /// What came since is copied.
    Rest(Lines),
}

/// The new log, as long as it has another name. It is removed unless it is taken over.
#[derive(Debug)]
struct Draft {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    file: Arc<dyn DiskFile>,
    contents: Contents,
    /// Lines, and bytes that they have.
    lines: u64,
    length: u64,
    /// The end of it, which is yet to be written to the file.
    waiting: Vec<u8>,
    unsynced_bytes: u64,
    is_taken: bool,
}

impl Compaction {
    /// Begins to write a log anew.
    pub(super) fn new(log: &Log) -> Result<Self, StoreError> {
        let (path, old, until) = (log.path(), log.file(), log.length());
        let lines = Lines::new(Arc::clone(old), 0, until);
        Ok(Self {
            path: path.into(),
            old: Arc::clone(old),
            until,
            phase: Phase::Read(lines),
            left: Contents::new(),
            new: Draft::new(log.disk(), &new_path(path))?,
        })
    }

    /// Goes on for some ms. `length`: how many bytes the old log has now. Whether all of them are in the new one.
    pub(super) fn step(&mut self, length: u64) -> Result<bool, StoreError> {
        let Self { path, old, until, phase, left, new } = self;
        let path = &**path;
        match phase {
            Phase::Read(lines) => {
                let is_over = each(path, lines, |raw| replay::take(&raw, left))?;
                if is_over {
                    let mut parts: Vec<_> = left.people.ledger.accounts_kept().collect();
                    left.people.seating.visit(&mut |kept| parts.push(kept));
                    *phase = Phase::Parts(parts.into_iter());
                    new.add(|out| write::format(out, left.last)).map_err(|wrong| new.error(wrong))?;
                }
            }
            Phase::Parts(parts) => {
                for kept in parts.by_ref().take(JSONL_STEP_PARTS) {
                    new.add(|out| write::kept(out, &kept)).map_err(|wrong| new.error(wrong))?;
                }
                if parts.len() == 0 {
                    *phase = Phase::Messages(Lines::new(Arc::clone(old), 0, *until));
                }
            }
            Phase::Messages(lines) => {
                let is_over = each(path, lines, |raw| {
                    let line = entry::parse(raw.bytes.ok_or_else(replay::too_long)?)?;
                    new.message(&line, raw.offset, left)
                })?;
                if is_over {
                    let lines = std::mem::replace(lines, Lines::new(Arc::clone(old), 0, 0));
                    *phase = Phase::Rest(lines);
                    // It is all in the new one.
                    *left = Contents::new();
                }
            }
            Phase::Rest(lines) => {
                lines.extend_to(length);
                let is_over = each(path, lines, |raw| {
                    let bytes = raw.bytes.ok_or_else(replay::too_long)?;
                    new.add(|out| {
                        out.extend_from_slice(bytes);
                        out.push(b'\n');
                    })
                })?;
                new.flush()?;
                return Ok(is_over);
            }
        }
        new.flush()?;
        Ok(false)
    }

    /// Gives the new log the old one's name. What the old one has must all be in it. The name is on disk only when its
    /// directory has been synced.
    pub(super) fn finish(mut self) -> Result<(Arc<dyn DiskFile>, u64, Contents), StoreError> {
        let new = &mut self.new;
        new.flush()?;
        new.file.sync_all().map_err(StoreError::io(&new.path))?;
        new.disk.rename(&new.path, &self.path).map_err(StoreError::io(&self.path))?;
        new.is_taken = true;
        let contents = std::mem::replace(&mut new.contents, Contents::new());
        Ok((Arc::clone(&new.file), new.length, contents))
    }
}

/// Does something with each of the next lines. Whether these were all.
fn each(
    path: &Path,
    lines: &mut Lines,
    mut take: impl FnMut(super::scan::Raw<'_>) -> Result<(), Wrong>,
) -> Result<bool, StoreError> {
    let end = lines.offset() + JSONL_STEP_BYTES as u64;
    while lines.offset() < end {
        let Some(raw) = lines.next().map_err(StoreError::io(path))? else { return Ok(true) };
        let number = raw.number;
        take(raw).map_err(|wrong| replay::error(path, number, wrong))?;
    }
    Ok(false)
}

impl Draft {
    fn new(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self, StoreError> {
        let file = disk.open(path, Opening::Emptied).map_err(StoreError::io(path))?;
        // Before it has the name that another server looks for.
        if !file.lock().map_err(StoreError::io(path))? {
            return Err(StoreError::Locked { path: path.into() });
        }
        Ok(Self {
            path: path.into(),
            disk: Arc::clone(disk),
            file,
            contents: Contents::new(),
            lines: 0,
            length: 0,
            waiting: Vec::new(),
            unsynced_bytes: 0,
            is_taken: false,
        })
    }

    /// A line of the old log, if it is a message that is left.
    fn message(&mut self, line: &Line<'_>, offset: u64, left: &Contents<State>) -> Result<(), Wrong> {
        let (None, Some(id), Some(content)) = (&line.operation, line.id.as_deref(), line.content.as_deref())
        else {
            return Ok(());
        };
        let Some(id) = OpId::parse(id) else { return Ok(()) };
        if let Some(name) = line.room.as_deref() {
            let Some(room) = left.rooms.find(name) else { return Ok(()) };
            let Some(index) = room.position(id) else { return Ok(()) };
            let (Some(sender), true) = (&line.sender, room.messages[index].offset == offset) else {
                return Ok(());
            };
            let sequence = Some(room.first).filter(|&first| index == 0 && first > 1);
            let at = room.at(id);
            self.add(|out| write::said(out, (id, at), name, sender, content, sequence))
        } else if let Some(mut letter) = left.people.ledger.letter_kept(id)
            && !self.contents.people.has_letter(id)
        {
            letter.content = content.into();
            self.add(|out| write::kept(out, &Kept::Letter(letter)))
        } else {
            Ok(())
        }
    }

    /// Adds a line, and takes in what it says.
    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Wrong> {
        let start = self.waiting.len();
        write(&mut self.waiting);
        self.lines += 1;
        let bytes = self.waiting.len() - start;
        let place = Place { offset: self.length, bytes: bytes as u32 };
        self.length += bytes as u64;
        let line = entry::parse(&self.waiting[start..])?;
        Ok(self.contents.take(Entry::of(&line, self.lines)?, place)?)
    }

    /// Something is wrong with the line that was just added.
    fn error(&self, wrong: Wrong) -> StoreError {
        replay::error(&self.path, self.lines, wrong)
    }

    /// Writes what waits, and syncs what is written if that is much.
    fn flush(&mut self) -> Result<(), StoreError> {
        let bytes = self.waiting.len() as u64;
        let written = self.file.write_all_at(&self.waiting, self.length - bytes).and_then(|()| {
            self.unsynced_bytes += bytes;
            if self.unsynced_bytes > JSONL_UNSYNCED_BYTES_MAX {
                self.unsynced_bytes = 0;
                self.file.sync_data()?;
            }
            Ok(())
        });
        self.waiting.clear();
        written.map_err(StoreError::io(&self.path))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_taken
            && let Err(error) = self.disk.remove(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "Half of a new log is left over.");
        }
    }
}

/// The name of a log that is being written anew.
pub(super) fn new_path(path: &Path) -> PathBuf {
    path.with_extension("jsonl.new")
}
