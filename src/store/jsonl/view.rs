//! What a log shows.

use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use super::contents::{Contents, Place};
use super::entry::{self, Entry, Wrong};
use super::line::{Line, Text};
use super::replay;
use super::rooms::Room;
use super::scan::{Blocks, Lines, Raw, read_at};
use crate::chat::{Kept, OpId, Page, RoomMessage, RoomSummary};
use crate::limits::{JSONL_PAGE_BYTES, JSONL_SCAN_BYTES};
use crate::state::State;
use crate::store::disk::{Disk, DiskFile, SystemDisk, owned_file};
use crate::store::words::Words;
use crate::store::{Sizes, StoreError};

/// A log and what it says.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) path: &'a Path,
    pub(super) file: &'a Arc<dyn DiskFile>,
    /// Bytes of it that count.
    pub(super) length: u64,
    pub(super) contents: &'a Contents,
}

impl View<'_> {
    /// See [`Reader::load`](crate::store::Reader::load).
    pub(super) fn load(&self, visit: &mut dyn FnMut(Kept)) -> Result<Option<OpId>, StoreError> {
        let mut lines = Lines::new(Arc::clone(self.file), 0, self.length);
        let mut contents = Contents::<State>::new();
        while let Some(raw) = lines.next().map_err(StoreError::io(self.path))? {
            let number = raw.number;
            take_with_text(&raw, &mut contents).map_err(|wrong| replay::error(self.path, number, wrong))?;
        }
        contents.people.visit(visit);
        Ok(self.contents.last)
    }

    /// Looks at the line that begins at an offset. It was understood once; but disks forget.
    fn line<T>(
        &self,
        offset: u64,
        blocks: &mut Blocks,
        look: impl FnOnce(&Line<'_>) -> Option<T>,
    ) -> Result<T, StoreError> {
        let line = blocks.line(offset).map_err(StoreError::io(self.path))?;
        Line::parse(line).ok().as_ref().and_then(look).ok_or_else(|| StoreError::Damaged {
            path: self.path.into(),
            line: None,
            what: format!("the line that begins at byte {offset} is not what it was"),
            remedy: "stop the server and run `parlance repair`, which sets the line aside",
        })
    }

    fn message(&self, room: &Room, index: usize, blocks: &mut Blocks) -> Result<RoomMessage, StoreError> {
        let said = room.messages[index];
        let text = |text: &Option<Text<'_>>| text.as_deref().map(Into::into);
        let look = |line: &Line<'_>| Some((text(&line.sender)?, text(&line.content)?));
        let (sender, text) = self.line(said.offset, blocks, look)?;
        Ok(RoomMessage {
            id: said.id,
            at: room.at(said.id),
            sequence: room.first + index as u64,
            sender,
            text,
        })
    }

    /// See [`Reader::rooms`](crate::store::Reader::rooms).
    pub(super) fn rooms(&self, visit: &mut dyn FnMut(RoomSummary)) {
        self.contents.rooms.summaries().for_each(visit);
    }

    /// See [`Reader::page`](crate::store::Reader::page).
    pub(super) fn page(&self, room: &str, page: Page, count: usize) -> Result<Vec<RoomMessage>, StoreError> {
        let Some(room) = self.contents.rooms.find(room) else { return Ok(Vec::new()) };
        let indices = page.range(room.messages.len(), count, |id| room.position(id));
        let mut blocks = Blocks::new(Arc::clone(self.file), JSONL_PAGE_BYTES);
        indices.map(|index| self.message(room, index, &mut blocks)).collect()
    }

    /// See [`Reader::search`](crate::store::Reader::search). It takes the newest message of all rooms, then the next, and
    /// so on.
    pub(super) fn search(
        &self,
        text: &str,
        count: usize,
    ) -> Result<Vec<(Box<str>, RoomMessage)>, StoreError> {
        let words = Words::of(text)?;
        let mut found = Vec::new();
        if count == 0 || words.is_empty() {
            return Ok(found);
        }
        let rooms: Vec<_> = self.contents.rooms.iter().collect();
        let newest = rooms.iter().enumerate().filter_map(|(number, (_, room))| {
            let index = room.messages.len().checked_sub(1)?;
            Some((room.messages[index].id, number, index))
        });
        let mut newest: BinaryHeap<_> = newest.collect();
        let mut blocks = Blocks::new(Arc::clone(self.file), JSONL_SCAN_BYTES);
        while let Some((_, number, index)) = newest.pop() {
            let (name, room) = rooms[number];
            let message = self.message(room, index, &mut blocks)?;
            if words.are_in(&message.text) {
                found.push((name.into(), message));
                if found.len() == count {
                    break;
                }
            }
            if let Some(index) = index.checked_sub(1) {
                newest.push((room.messages[index].id, number, index));
            }
        }
        Ok(found)
    }

    /// See [`Reader::sizes`](crate::store::Reader::sizes).
    pub(super) fn sizes(&self) -> Sizes {
        let contents = self.contents;
        let [accounts, letters, seats] = contents.people.counts().map(|count| count as u64);
        Sizes {
            bytes: self.length,
            dead_bytes: contents.dead_bytes(self.length),
            accounts,
            letters,
            seats,
            room_messages: contents.rooms.messages,
        }
    }

    /// See [`Reader::backup`](crate::store::Reader::backup). The copy is a log as well.
    pub(super) fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let mut target = owned_file().create_new(true).open(to).map_err(StoreError::io(to))?;
        let copied = self
            .copy_to(&mut target)
            .and_then(|()| SystemDisk.sync_directory_of(to))
            .map_err(StoreError::io(to));
        if copied.is_err() {
            // It did not exist before, and half of a copy is none.
            let _ = std::fs::remove_file(to);
        }
        copied
    }

    fn copy_to(&self, target: &mut File) -> io::Result<()> {
        let mut buffer = vec![0; JSONL_SCAN_BYTES];
        let mut at = 0;
        while at < self.length {
            let wanted = (self.length - at).min(JSONL_SCAN_BYTES as u64) as usize;
            let count = read_at(&**self.file, &mut buffer[..wanted], at)?;
            if count < wanted {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            target.write_all(&buffer[..count])?;
            at += count as u64;
        }
        target.sync_all()
    }
}

/// Takes in a line, and what it says. What was said in rooms is known already.
fn take_with_text(raw: &Raw<'_>, contents: &mut Contents<State>) -> Result<(), Wrong> {
    let line = entry::parse(raw.bytes.ok_or_else(replay::too_long)?)?;
    if line.operation.is_none() && line.room.is_some() {
        return Ok(());
    }
    let place = Place { offset: raw.offset, bytes: raw.length as u32 };
    Ok(contents.take(Entry::of(&line, raw.number)?.with_text(&line), place)?)
}
