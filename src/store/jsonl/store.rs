//! The log, open to be written to.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::compact::{self, Compaction};
use super::contents::{Contents, Place};
use super::log::Log;
use super::repair::{aside_path, set_rest_aside};
use super::replay::{self, MARK, Torn};
use super::view::View;
use super::write::VERSION;
use super::{FILE_NAME, check, write};
use crate::chat::{
    Change, HistoryRules, Kept, Op, OpId, Page, RoomMessage, RoomSummary, Token, UnixMillis, too_old,
};
use crate::limits::{
    JSONL_BUFFER_BYTES_MAX, JSONL_COMPACT_BYTES_MIN, JSONL_FORGOTTEN_PER_STEP_MAX, JSONL_LINE_BYTES_MAX,
};
use crate::store::disk::{Disk, Stamp, SystemDisk};
use crate::store::{Durability, Lock, Options, Reader, Sizes, Store, StoreError, log_migration, named};

/// See the [module's documentation](super).
#[derive(Debug)]
pub(super) struct JsonlStore {
    pub(super) log: Log,
    pub(super) contents: Contents,
    /// Whether a commit is on disk when it returns.
    sync: bool,
    pub(super) compaction: Option<Compaction>,
    /// Bytes of the log below which it is not compacted by itself.
    pub(super) compact_bytes_min: u64,
    /// A log with other contents that another program wrote. It is not read again.
    refused: Option<Stamp>,
    /// The lines of a group, and where each ends.
    buffer: Vec<u8>,
    ends: Vec<usize>,
    _lock: Option<Lock>,
}

impl JsonlStore {
    /// Opens the log in a directory, and makes both if they are not there.
    pub(super) fn open(directory: &Path, options: &Options) -> Result<Self, StoreError> {
        named::make_directory(directory)?;
        let lock = Lock::take(directory)?;
        let store = Self::open_on(Arc::new(SystemDisk), directory, options)?;
        Ok(Self { _lock: Some(lock), ..store })
    }

    /// Opens the log on a disk of the caller's, where nobody else has it open, and makes it if it is not there.
    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        directory: &Path,
        options: &Options,
    ) -> Result<Self, StoreError> {
        let name = directory.join(FILE_NAME);
        let path = disk.resolve(&name).map_err(StoreError::io(&name))?;
        let is_there = disk.id_at(&path).is_ok();
        let mut log = Log::open(disk, &path, &name)?;
        // Only with the lock: another process may be writing it.
        let left_over = compact::new_path(&path);
        log.disk().remove(&left_over).map_err(StoreError::io(&left_over))?;
        let replay::Replayed { mut contents, length, torn } = replay::replay(&path, log.file())?;
        if let Some(Torn { line, bytes }) = torn {
            set_torn_aside(&log, line, length..length + bytes)?;
        }
        log.cut(length)?;
        if length == 0 {
            if is_there {
                tracing::warn!(path = %path.display(), "The log is empty. A new one begins in it.");
            }
            let mut first = Vec::new();
            write::format(&mut first, None);
            log.append(&first, true)?;
            contents = Contents::new();
            contents.version = VERSION;
        }
        log.disk().sync_directory_of(&path).map_err(StoreError::io(directory))?;
        Ok(Self {
            log,
            contents,
            sync: options.durability == Durability::Full,
            compaction: None,
            compact_bytes_min: JSONL_COMPACT_BYTES_MIN,
            refused: None,
            buffer: Vec::new(),
            ends: Vec::new(),
            _lock: None,
        })
    }

    fn view(&self) -> View<'_> {
        View {
            path: self.log.path(),
            file: self.log.file(),
            length: self.log.length(),
            contents: &self.contents,
        }
    }

    /// Writes the lines of a group into the buffer.
    fn write_lines(&mut self, ops: &[Op]) -> Result<(), StoreError> {
        self.buffer.clear();
        self.buffer.shrink_to(JSONL_BUFFER_BYTES_MAX);
        self.ends.clear();
        if self.sync {
            self.buffer.push(MARK);
        }
        let mut group = Group { ops, made: None };
        for (index, op) in ops.iter().enumerate() {
            let start = self.ends.last().copied().unwrap_or(0);
            if group.refers(index, &self.contents) {
                write::op(&mut self.buffer, op);
            } else {
                write::nothing(&mut self.buffer, op.id, op.at);
            }
            if self.buffer.len() - start > JSONL_LINE_BYTES_MAX {
                return Err(StoreError::Unsupported(
                    "a change takes a line that is longer than a log may have",
                ));
            }
            self.ends.push(self.buffer.len());
        }
        Ok(())
    }

    /// Forgets what is too much or too old, and has the log say so, so that a room that has nothing left begins anew after
    /// a restart as well. Whether there is more.
    fn forget(&mut self, rules: &HistoryRules, now: UnixMillis) -> Result<bool, StoreError> {
        let mut budget = JSONL_FORGOTTEN_PER_STEP_MAX;
        let mut forgotten = Vec::new();
        self.buffer.clear();
        if self.sync {
            self.buffer.push(MARK);
        }
        for (name, room) in self.contents.rooms.iter() {
            let rule = rules.of(name);
            let oldest = rule.oldest_kept(now);
            let too_many = (room.messages.len() as u64).saturating_sub(rule.keep_messages);
            let rest = room.messages.iter().skip(too_many as usize).take(budget as usize);
            let too_old = too_old(rest.map(|said| room.at(said.id)), oldest, now) as u64;
            let count = (too_many + too_old).min(budget);
            if count > 0 {
                budget -= count;
                write::forget(&mut self.buffer, name, room.first + count);
                forgotten.push((Box::<str>::from(name), room.first + count));
            }
            if budget == 0 {
                break;
            }
        }
        if !forgotten.is_empty() {
            // The next group relies on all before it being on disk.
            self.log.append(&self.buffer, self.sync)?;
        }
        for (room, before) in forgotten {
            self.contents.rooms.forget(&room, before);
        }
        Ok(budget == 0)
    }

    /// Checks that the log has its name and its contents. A log with a new time is read again: it is valid if
    /// its contents are the old ones.
    fn ensure_unchanged(&mut self) -> Result<(), StoreError> {
        self.log.ensure_named()?;
        if self.log.is_touched() {
            let stamp = self.log.file().stamp().ok();
            if self.refused.is_none() || self.refused != stamp {
                self.refused = stamp;
                if self.has_same_contents() {
                    self.log.note();
                    self.refused = None;
                    tracing::warn!(
                        path = %self.log.path().display(),
                        "Another program wrote to the log, which has the same contents as before."
                    );
                }
            }
        }
        self.log.ensure_unchanged()
    }

    /// Whether the log in the file makes the rooms, mailboxes and seats that are known.
    fn has_same_contents(&self) -> bool {
        replay::replay(self.log.path(), self.log.file()).is_ok_and(|found| {
            let replay::Replayed { contents, length, torn } = found;
            length == self.log.length()
                && torn.is_none()
                && contents.last == self.contents.last
                && contents.rooms == self.contents.rooms
                && contents.people.counts() == self.contents.people.counts()
        })
    }

    fn is_mostly_dead(&self) -> bool {
        let length = self.log.length();
        length >= self.compact_bytes_min && self.contents.dead_bytes(length) > length / 2
    }

    /// Takes a step of a compaction. Whether it is over.
    fn step(&mut self, compaction: &mut Option<Compaction>) -> Result<bool, StoreError> {
        let mut under_way = match compaction.take() {
            Some(under_way) => under_way,
            None => Compaction::new(&self.log)?,
        };
        if !under_way.step(self.log.length())? {
            *compaction = Some(under_way);
            return Ok(false);
        }
        // Another file that has the name now is not to be replaced, nor is a changed one.
        self.log.ensure_unchanged()?;
        let (file, length, contents) = under_way.finish()?;
        let path = self.log.path().to_owned();
        let before = self.log.length();
        self.log.take_over(file, length);
        let version_before = self.contents.version;
        self.contents = contents;
        // Until then the old log may come back with the power.
        self.log
            .disk()
            .clone()
            .sync_directory_of(&path)
            .inspect_err(|_| self.log.suspect())
            .map_err(StoreError::io(&path))?;
        log_migration(&path, version_before, self.contents.version);
        tracing::info!(path = %path.display(), before, bytes = length, "The log was compacted.");
        Ok(true)
    }
}

/// Keeps the end of a log that is about to be cut off, since it need not be of a group without an
/// acknowledgement: a disk loses bytes later, and an editor the last line end. A torn first line is written
/// again as it was.
fn set_torn_aside(log: &Log, line: u64, rest: Range<u64>) -> Result<(), StoreError> {
    let (path, bytes) = (log.path().display(), rest.end - rest.start);
    if line == 1 {
        tracing::warn!(%path, bytes, "The first line of the log was not written whole. It is written again.");
        return Ok(());
    }
    let aside = aside_path(log.path());
    set_rest_aside(&**log.disk(), &**log.file(), line, rest, &aside).map_err(StoreError::io(&aside))?;
    let aside = aside.display();
    tracing::warn!(
        %path, line, bytes, %aside,
        "The end of the log was not written whole. From this line on it is set aside and cut off."
    );
    Ok(())
}

/// A group of ops, and which of them make what: worked out when it is first asked for.
struct Group<'a> {
    ops: &'a [Op],
    made: Option<Made>,
}

/// The index of the first op that makes a letter or a seat.
#[derive(Default)]
struct Made {
    letters: HashMap<OpId, usize, ahash::RandomState>,
    tokens: HashMap<Token, usize, ahash::RandomState>,
}

impl Group<'_> {
    /// Whether what an op is about was there when the group began, or is made by the group before it. If not, it changes
    /// nothing; a log without such ops has no references into nothing.
    fn refers(&mut self, index: usize, contents: &Contents) -> bool {
        let ops = self.ops;
        let people = &contents.people;
        let mut has_letter = |id: OpId| {
            people.has_letter(id) || self.made().letters.get(&id).is_some_and(|&made| made < index)
        };
        match &ops[index].change {
            Change::MailRead { messages, .. } | Change::ConversationCleared { messages, .. } => {
                messages.iter().any(|&message| has_letter(message))
            }
            Change::MailDeleted { message, .. } => has_letter(*message),
            Change::SeatLeft { token } => {
                people.has_seat(*token) || self.made().tokens.get(token).is_some_and(|&made| made < index)
            }
            Change::AccountCreated { .. }
            | Change::AccountUsed { .. }
            | Change::PasswordChanged { .. }
            | Change::AccountDeleted { .. }
            | Change::MailSent { .. }
            | Change::Said { .. }
            | Change::RoomMade { .. }
            | Change::SeatTaken { .. }
            | Change::RoomClosed { .. } => true,
        }
    }

    fn made(&mut self) -> &Made {
        self.made.get_or_insert_with(|| {
            let mut made = Made::default();
            for (index, op) in self.ops.iter().enumerate() {
                match &op.change {
                    Change::MailSent { .. } => {
                        made.letters.entry(op.id).or_insert(index);
                    }
                    Change::RoomMade { host: seat, .. } | Change::SeatTaken { seat, .. } => {
                        made.tokens.entry(seat.token).or_insert(index);
                    }
                    Change::AccountCreated { .. }
                    | Change::AccountUsed { .. }
                    | Change::PasswordChanged { .. }
                    | Change::AccountDeleted { .. }
                    | Change::MailRead { .. }
                    | Change::MailDeleted { .. }
                    | Change::ConversationCleared { .. }
                    | Change::Said { .. }
                    | Change::SeatLeft { .. }
                    | Change::RoomClosed { .. } => {}
                }
            }
            made
        })
    }
}

impl Reader for JsonlStore {
    fn load(&mut self, visit: &mut dyn FnMut(Kept)) -> Result<Option<OpId>, StoreError> {
        self.view().load(visit)
    }

    fn rooms(&mut self, visit: &mut dyn FnMut(RoomSummary)) -> Result<(), StoreError> {
        self.view().rooms(visit);
        Ok(())
    }

    fn page(&mut self, room: &str, page: Page, count: usize) -> Result<Vec<RoomMessage>, StoreError> {
        self.view().page(room, page, count)
    }

    fn search(&mut self, text: &str, count: usize) -> Result<Vec<(Box<str>, RoomMessage)>, StoreError> {
        self.view().search(text, count)
    }

    fn check(&mut self) -> Result<Vec<String>, StoreError> {
        check::check(self.log.path(), self.log.file(), self.log.length(), Some(&self.contents), &|| true)
    }

    fn sizes(&mut self) -> Result<Sizes, StoreError> {
        Ok(self.view().sizes())
    }

    fn backup(&mut self, to: &Path) -> Result<(), StoreError> {
        self.view().backup(to)
    }
}

impl Store for JsonlStore {
    fn commit(&mut self, ops: &[Op]) -> Result<(), StoreError> {
        if ops.is_empty() {
            return Ok(());
        }
        self.ensure_unchanged()?;
        self.write_lines(ops)?;
        let mut start = self.log.append(&self.buffer, self.sync)?;
        let group = start;
        for (op, &end) in ops.iter().zip(&self.ends) {
            let end = group + end as u64;
            self.contents.apply(op, Place { offset: start, bytes: (end - start) as u32 });
            start = end;
        }
        Ok(())
    }

    fn tidy(&mut self, rules: &HistoryRules, now: UnixMillis) -> Result<bool, StoreError> {
        self.ensure_unchanged()?;
        if self.forget(rules, now)? {
            return Ok(true);
        }
        // A log of an earlier version is written anew, with the ids of accounts, as soon as there is time.
        if self.compaction.is_none() && !self.is_mostly_dead() && self.contents.version == VERSION {
            return Ok(false);
        }
        let mut compaction = self.compaction.take();
        let stepped = self.step(&mut compaction);
        self.compaction = compaction;
        if stepped.is_err() {
            // Not at once again: the disk is full, or worse.
            self.compact_bytes_min = self.log.length() + JSONL_COMPACT_BYTES_MIN;
        }
        Ok(!stepped?)
    }

    fn ensure_named(&mut self) -> Result<(), StoreError> {
        self.ensure_unchanged()
    }

    fn compact(&mut self) -> Result<(), StoreError> {
        // One that is under way would leave what died since it began.
        self.compaction = None;
        let mut compaction = None;
        while !self.step(&mut compaction)? {}
        Ok(())
    }
}
