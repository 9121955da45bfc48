//! What files say, before anybody looks whether it is new: read line by line where the format has lines, within bounds.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, BufRead, Read};
use std::str::FromStr;

use serde_json::Value;
use serde_json::value::RawValue;

use super::json::{Entries, Text};
use super::line::Line;
use super::report::Report;
use super::rooms;
use crate::chat::{Folded, Name, OpId, UnixMillis};
use crate::limits::{IMPORT_BYTES_MAX, IMPORT_JSON_BYTES_MAX, IMPORT_LINE_BYTES_MAX};
use crate::text_encoding::{UTF_16, is_utf_16, without_mark};

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// Whatever it looks like.
    #[default]
    Auto,
    /// A JSON object with rooms and tokens; also what `export --format json` writes.
    Rooms,
    /// A log of messages, a JSON object a line; also what `export --format jsonl` writes.
    Jsonl,
    /// A JSON object of names and hashes of passwords.
    Accounts,
    /// Nothing: no byte, or only white space.
    Empty,
}

impl FromStr for Format {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "auto" => Ok(Self::Auto),
            "rooms" => Ok(Self::Rooms),
            "jsonl" => Ok(Self::Jsonl),
            "accounts" => Ok(Self::Accounts),
            _ => Err(()),
        }
    }
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused it.
    #[error("cannot read `{name}`: {cause}")]
    Io {
        /// The file.
        name: String,
        /// What the system said.
        cause: io::Error,
    },
    /// It is too large to be taken for what it is, or all files together are.
    #[error("`{name}` is too large: {what} of at most {max} bytes can be imported; {remedy}")]
    TooLarge {
        /// The file.
        name: String,
        /// Of what.
        what: &'static str,
        /// How many.
        max: u64,
        /// What to do.
        remedy: &'static str,
    },
    /// It is not what it was said to be.
    #[error("`{name}` cannot be understood: {message}")]
    Malformed {
        /// The file.
        name: String,
        /// Where and why.
        message: String,
    },
    /// It is a database, as `parlance backup` writes it.
    #[error(
        "`{name}` is an SQLite database: restore it instead of importing it. Stop the server, move parlance.db, \
         parlance.db-wal and parlance.db-shm out of the data directory, and copy the file there as parlance.db"
    )]
    Database {
        /// The file.
        name: String,
    },
    /// It looks like nothing that is known.
    #[error(
        "`{name}` looks like none of the formats that can be imported: say which one it is with --format rooms, \
         jsonl or accounts"
    )]
    Unknown {
        /// The file.
        name: String,
    },
}

/// Where something stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    file: u32,
    /// From 1; 0 where there are no lines.
    line: u64,
}

/// <https://www.sqlite.org/fileformat.html#magic_header_string>
const DATABASE: &[u8] = b"SQLite format 3\0";
/// Bytes needed to detect an encoding, or a database.
const START_BYTES: u64 = DATABASE.len() as u64;

/// The version of a log that is exported, and the newest that is understood: that of the store in a log.
pub(super) const LOG_VERSION: u64 = 2;

/// To whom, or where.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum To {
    Recipient(Box<str>),
    Room(Box<str>),
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) place: Place,
    pub(super) id: Box<str>,
    pub(super) at: UnixMillis,
    pub(super) sender: Box<str>,
    pub(super) to: To,
    pub(super) content: Box<str>,
    pub(super) is_read: bool,
    /// For both.
    pub(super) is_deleted: bool,
    pub(super) key: Option<Box<str>>,
    /// None where the file does not say.
    pub(super) sender_sees: Option<bool>,
    /// The file says that it was sent from an account.
    pub(super) is_from_account: bool,
    pub(super) recipient_sees: bool,
}

impl Message {
    /// It goes from the view of one of its two people.
    fn clear(&mut self, by: &str) {
        let To::Recipient(recipient) = &self.to else { return };
        if fold(recipient) == fold(by) {
            self.recipient_sees = false;
        } else if fold(&self.sender) == fold(by) {
            self.is_from_account |= self.sender_sees != Some(false);
            self.sender_sees = Some(false);
        }
        self.is_deleted |= !self.recipient_sees && self.sender_sees == Some(false);
    }
}

#[derive(Debug)]
pub(super) struct Account {
    pub(super) place: Place,
    pub(super) name: Box<str>,
    pub(super) hash: Box<str>,
    /// Its owner has not used it again.
    pub(super) is_unused: bool,
    /// It was deleted later in the file.
    pub(super) is_gone: bool,
}

#[derive(Debug)]
pub(super) struct Seat {
    pub(super) place: Place,
    pub(super) room: Box<str>,
    pub(super) name: Box<str>,
    pub(super) token: Box<str>,
    pub(super) ip: Box<str>,
    pub(super) is_host: bool,
    /// The op that made the host's room, where the file says so.
    pub(super) made: Option<OpId>,
    /// It was given up later in the file.
    pub(super) is_gone: bool,
    /// This program wrote it, so that the name was proved where it has an account.
    pub(super) is_proved: bool,
}

/// A read mark or a deletion of a message that is not in the file.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) place: Place,
    pub(super) id: Box<str>,
    pub(super) kind: MarkKind,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum MarkKind {
    Read,
    /// None: for both.
    Deleted(Option<Box<str>>),
    /// From the view of this account alone.
    Cleared(Box<str>),
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Material {
    names: Vec<String>,
    pub(super) accounts: Vec<Account>,
    pub(super) seats: Vec<Seat>,
    pub(super) messages: Vec<Message>,
    pub(super) marks: Vec<Mark>,
    /// Rooms whose host's seat was left: nobody else gets in.
    pub(super) without_host: HashSet<Box<str>>,
    pub(super) report: Report,
    /// Bytes of all files so far.
    bytes: u64,
    /// The file that is read has bytes that are not UTF-8, and U+FFFD in their places.
    is_mended: bool,
}

/// Where what the file that is being read has said so far is in the lists.
#[derive(Default)]
struct Index {
    /// The time of the last message.
    last_at: UnixMillis,
    /// By their ids there.
    messages: HashMap<Box<str>, usize, ahash::RandomState>,
    /// By folded name.
    accounts: HashMap<Box<str>, usize, ahash::RandomState>,
    tokens: HashMap<Box<str>, usize, ahash::RandomState>,
    rooms: HashMap<Box<str>, InRoom, ahash::RandomState>,
    /// Seats by the name that they were given to.
    seats: HashMap<Folded, Vec<usize>, ahash::RandomState>,
}

#[derive(Default)]
struct InRoom {
    seats: Vec<usize>,
    messages: Vec<usize>,
}

impl Material {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one more file, and says what it was taken for.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not of the format. What stands in it and makes no sense is no error: it is left, and
    /// reported.
    pub fn read(&mut self, name: &str, mut file: impl BufRead, format: Format) -> Result<Format, ReadError> {
        let place = Place { file: self.names.len() as u32, line: 0 };
        self.names.push(name.to_owned());
        let failed = |cause| ReadError::Io { name: name.to_owned(), cause };
        let mut start = Vec::new();
        file.by_ref().take(START_BYTES).read_to_end(&mut start).map_err(failed)?;
        if is_utf_16(&start) {
            return Err(ReadError::Malformed { name: name.to_owned(), message: UTF_16.to_owned() });
        }
        if start == DATABASE {
            return Err(ReadError::Database { name: name.to_owned() });
        }
        let mut file = without_mark(&start).chain(file);
        if format == Format::Jsonl {
            self.read_log(place, &mut file)?;
            return Ok(format);
        }
        let mut start = Vec::new();
        if format == Format::Auto {
            // The first line of a log is an object of its own.
            file.by_ref().take(IMPORT_LINE_BYTES_MAX).read_until(b'\n', &mut start).map_err(failed)?;
            if is_line_of_a_log(&start) {
                self.read_log(place, &mut start.as_slice().chain(file))?;
                return Ok(Format::Jsonl);
            }
        }
        let max = IMPORT_JSON_BYTES_MAX;
        file.by_ref().take(max + 1 - start.len() as u64).read_to_end(&mut start).map_err(failed)?;
        let is_too_large = start.len() as u64 > max;
        if format == Format::Auto && !is_too_large && start.trim_ascii().is_empty() {
            self.count(place, start.len() as u64)?;
            return Ok(Format::Empty);
        }
        let text = String::from_utf8_lossy(&start);
        let is_object = !is_too_large && serde_json::from_str::<Entries<'_>>(&text).is_ok();
        // A file whose first line is malformed or empty.
        if format == Format::Auto && !is_object && start.split(|&byte| byte == b'\n').any(is_line_of_a_log) {
            self.read_log(place, &mut start.as_slice().chain(file))?;
            return Ok(Format::Jsonl);
        }
        if is_too_large {
            let remedy = "use a log, a line a message, for more";
            return Err(ReadError::TooLarge { name: name.to_owned(), what: "an object", max, remedy });
        }
        self.count(place, start.len() as u64)?;
        self.is_mended = matches!(text, Cow::Owned(_));
        self.read_object(place, &text, format)
    }

    fn read_object(&mut self, place: Place, text: &str, format: Format) -> Result<Format, ReadError> {
        let name = || self.name(place).to_owned();
        let entries = match serde_json::from_str::<Entries<'_>>(text) {
            Ok(entries) => entries,
            Err(_) if format == Format::Auto => return Err(ReadError::Unknown { name: name() }),
            Err(error) => return Err(ReadError::Malformed { name: name(), message: error.to_string() }),
        };
        let format = match format {
            Format::Auto if is_of_accounts(&entries) => Format::Accounts,
            Format::Auto => Format::Rooms,
            Format::Rooms | Format::Jsonl | Format::Accounts | Format::Empty => format,
        };
        if format == Format::Accounts {
            self.take_accounts(place, entries);
        } else if entries.0.iter().any(|(key, value)| Part::of(key).is_some_and(|part| part.may_be(value))) {
            self.take_object(place, entries);
        } else {
            let message = "there are no rooms and no tokens in it".to_owned();
            return Err(ReadError::Malformed { name: name(), message });
        }
        Ok(format)
    }

    /// A file with everything in one object.
    fn take_object(&mut self, place: Place, Entries(parts): Entries<'_>) {
        let is_own = parts.iter().any(|(key, _)| Part::of(key) == Some(Part::Accounts));
        let (mut rooms, mut tokens) = (Vec::new(), Vec::new());
        let mut messages = Vec::new();
        for (key, part) in parts {
            match Part::of(&key) {
                Some(Part::Accounts) => match serde_json::from_str(part.get()) {
                    Ok(accounts) => self.take_accounts(place, accounts),
                    Err(_) => self.leave("accounts that are no object", place, ""),
                },
                Some(Part::Rooms) => rooms.extend(self.values(place, "rooms that are no object", part)),
                Some(Part::Tokens) => tokens.extend(self.values(place, "tokens that are no object", part)),
                Some(Part::Messages) => match serde_json::from_str::<Vec<&RawValue>>(part.get()) {
                    Ok(some) => messages.extend(some),
                    Err(_) => self.leave("messages that are no array", place, ""),
                },
                Some(Part::SavedAt) | None => {}
            }
        }
        rooms::take(self, place, rooms, &tokens, is_own);
        let mut index = Index::default();
        for (number, message) in (1..).zip(messages) {
            match self.is_whole(message).then(|| Line::parse(message.get())).flatten() {
                Some(line) => self.take_line(place, line, &mut index),
                None => {
                    self.leave("a message that cannot be understood", place, &format!("message {number}"));
                }
            }
        }
    }

    /// Whether no byte of the value was replaced: the input needed no repair, or the value has no U+FFFD.
    fn is_whole(&self, value: &RawValue) -> bool {
        !self.is_mended || !value.get().contains(char::REPLACEMENT_CHARACTER)
    }

    /// The values in an object.
    fn values(&mut self, place: Place, reason: &str, object: &RawValue) -> Vec<(String, Value)> {
        let Ok(Entries(entries)) = serde_json::from_str(object.get()) else {
            self.leave(reason, place, "");
            return Vec::new();
        };
        let mut values = Vec::new();
        for (key, raw) in entries {
            match serde_json::from_str(raw.get()) {
                Ok(value) if self.is_whole(raw) => values.push((key, value)),
                // The key may be a token.
                Ok(_) | Err(_) => self.leave("an entry that cannot be understood", place, ""),
            }
        }
        values
    }

    fn take_accounts(&mut self, place: Place, Entries(accounts): Entries<'_>) {
        for (name, hash) in accounts {
            match serde_json::from_str::<Box<str>>(hash.get()) {
                Ok(hash) => {
                    let name = name.into();
                    self.accounts.push(Account { place, name, hash, is_unused: false, is_gone: false });
                }
                Err(_) => self.leave("a password's hash that is no text", place, &name),
            }
        }
    }

    fn read_log(&mut self, place: Place, file: &mut dyn BufRead) -> Result<(), ReadError> {
        let failed = |this: &Self, cause| ReadError::Io { name: this.name(place).to_owned(), cause };
        let mut index = Index::default();
        let mut bytes = Vec::new();
        for number in 1.. {
            let place = Place { line: number, ..place };
            bytes.clear();
            let mut limited = (&mut *file).take(IMPORT_LINE_BYTES_MAX);
            let length = limited.read_until(b'\n', &mut bytes).map_err(|cause| failed(self, cause))?;
            if length == 0 {
                break;
            }
            self.count(place, length as u64)?;
            if length as u64 == IMPORT_LINE_BYTES_MAX && !bytes.ends_with(b"\n") {
                let skipped = skip_line(file).map_err(|cause| failed(self, cause))?;
                self.count(place, skipped)?;
                self.leave("a line that is too long", place, "");
                continue;
            }
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            match std::str::from_utf8(&bytes).ok().and_then(Line::parse) {
                Some(line) => self.take_line(place, line, &mut index),
                None => self.leave("a line that cannot be understood", place, ""),
            }
        }
        Ok(())
    }

    fn count(&mut self, place: Place, bytes: u64) -> Result<(), ReadError> {
        self.bytes += bytes;
        if self.bytes > IMPORT_BYTES_MAX {
            let remedy = "import the files one by one, or in parts";
            let name = self.name(place).to_owned();
            return Err(ReadError::TooLarge { name, what: "files", max: IMPORT_BYTES_MAX, remedy });
        }
        Ok(())
    }

    fn take_line(&mut self, place: Place, line: Line<'_>, index: &mut Index) {
        let operation = line.operation.as_ref().map(|text| text.0.clone());
        match operation.as_deref() {
            None | Some("new" | "message" | "send") => self.take_message(place, line, index),
            Some("read") => self.take_marks(place, &line, &MarkKind::Read, index),
            Some("delete") => {
                let by = line.by.as_ref().map(|name| Box::from(&*name.0));
                self.take_marks(place, &line, &MarkKind::Deleted(by), index);
            }
            Some("clear") => match &line.by {
                Some(by) => {
                    let by = Box::from(&*by.0);
                    self.take_marks(place, &line, &MarkKind::Cleared(by), index);
                }
                None => self.leave("a cleared conversation without the name of who cleared it", place, ""),
            },
            Some("account-created" | "password-changed") => self.take_account(place, line, index),
            Some("account-used") => {
                let at = line.name.and_then(|name| index.accounts.get(&*fold(&name.0)).copied());
                if let Some(account) = at.and_then(|at| self.accounts.get_mut(at)) {
                    account.is_unused = false;
                }
            }
            Some("account-deleted") => match line.name {
                Some(name) => self.drop_account(place, &name.0, index),
                None => self.leave("an account without a name or a password's hash", place, ""),
            },
            Some(operation @ ("room-made" | "seat-taken")) => {
                match (line.room, line.name, line.token, line.ip) {
                    (Some(room), Some(name), Some(token), Some(ip)) => self.take_seat(
                        Seat {
                            place,
                            room: boxed(room),
                            name: boxed(name),
                            token: boxed(token),
                            ip: boxed(ip),
                            is_host: operation == "room-made",
                            made: line.id.and_then(|id| OpId::parse(&id.0)).filter(|id| id.is_ours()),
                            is_gone: false,
                            is_proved: true,
                        },
                        index,
                    ),
                    _ => self.leave("a seat without a room, a name, a token or an address", place, ""),
                }
            }
            Some("seat-left") => match line.token.and_then(|token| index.tokens.remove(&*token.0)) {
                Some(at) => self.seats[at].is_gone = true,
                None => self.leave("the end of a seat that the file does not have", place, ""),
            },
            Some("room-closed") => {
                let made = line.made.and_then(|id| OpId::parse(&id.0));
                self.drop_room(place, line.room.as_ref().map_or("", |text| &text.0), made, index);
            }
            Some("format") if line.version > Some(LOG_VERSION) => {
                self.leave("a log of a newer version: what is new in it is not known", place, "");
            }
            // What was forgotten is what a room had too many of: whoever keeps it now decides that anew.
            Some("format" | "forget" | "nothing") => {}
            Some(other) => self.leave("an operation that is not known", place, other),
        }
    }

    fn take_seat(&mut self, seat: Seat, index: &mut Index) {
        index.tokens.insert(seat.token.clone(), self.seats.len());
        index.rooms.entry(seat.room.clone()).or_default().seats.push(self.seats.len());
        if let Ok((_, folded)) = Name::parse(&seat.name) {
            index.seats.entry(folded).or_default().push(self.seats.len());
        }
        self.seats.push(seat);
    }

    /// A name gains an account. The seats that were given to it before are not the account's: no password was
    /// asked for them. A line of a changed password says no more than that there is an account.
    fn distrust_seats(&mut self, name: &str, index: &mut Index) {
        if index.accounts.contains_key(&fold(name)) {
            return;
        }
        let Ok((_, folded)) = Name::parse(name) else { return };
        for at in index.seats.remove(&folded).unwrap_or_default() {
            self.seats[at].is_proved = false;
        }
    }

    fn take_account(&mut self, place: Place, line: Line<'_>, index: &mut Index) {
        let (Some(name), Some(hash)) = (line.name.map(boxed), line.password.map(boxed)) else {
            return self.leave("an account without a name or a password's hash", place, "");
        };
        self.distrust_seats(&name, index);
        let folded = fold(&name);
        if let Some(account) = index.accounts.get(&folded).and_then(|&at| self.accounts.get_mut(at)) {
            account.hash = hash;
        } else {
            index.accounts.insert(folded, self.accounts.len());
            let is_unused = line.unused.unwrap_or(false);
            self.accounts.push(Account { place, name, hash, is_unused, is_gone: false });
        }
    }

    /// Drops an account with its seats and all messages from and to it. Messages from a stranger of its name
    /// stay. This is rare enough to scan all messages.
    fn drop_account(&mut self, place: Place, name: &str, index: &mut Index) {
        let gone = fold(name);
        match index.accounts.remove(&gone) {
            Some(at) => self.accounts[at].is_gone = true,
            None => self.leave("the end of an account that the file does not have", place, name),
        }
        if let Ok((_, folded)) = Name::parse(name) {
            for at in index.seats.remove(&folded).unwrap_or_default() {
                self.seats[at].is_gone = true;
            }
        }
        for message in self.messages.iter_mut().filter(|message| message.place.file == place.file) {
            if let To::Recipient(recipient) = &message.to {
                let is_from_account = message.is_from_account || message.sender_sees != Some(false);
                let is_sender = is_from_account && fold(&message.sender) == gone;
                message.is_deleted |= is_sender || fold(recipient) == gone;
            }
        }
    }

    /// Drops a room with its seats and its messages since it was made: see
    /// [`Change::RoomClosed`](crate::chat::Change::RoomClosed).
    fn drop_room(&mut self, place: Place, room: &str, made: Option<OpId>, index: &mut Index) {
        let Some(InRoom { seats, messages }) = index.rooms.get_mut(room) else {
            return self.leave("the end of a room that the file does not have", place, room);
        };
        for at in seats.drain(..) {
            self.seats[at].is_gone = true;
        }
        let is_older = |&at: &usize| {
            made.is_some_and(|made| OpId::parse(&self.messages[at].id).is_some_and(|id| id < made))
        };
        let has_older = messages.first().is_some_and(is_older);
        let kept = if has_older { messages.iter().rposition(is_older).map_or(0, |last| last + 1) } else { 0 };
        for at in messages.drain(kept..) {
            self.messages[at].is_deleted = true;
        }
    }

    fn take_message(&mut self, place: Place, line: Line<'_>, index: &mut Index) {
        let Line { id, timestamp, sender, recipient, room, content, status, .. } = line;
        let to = match (recipient, room) {
            (_, Some(room)) => Some(To::Room(boxed(room))),
            (Some(recipient), None) => Some(To::Recipient(boxed(recipient))),
            (None, None) => None,
        };
        let (Some(id), Some(sender), Some(to), Some(content)) = (id, sender, to, content) else {
            return self.leave("a message without an id, a sender, a recipient or a text", place, "");
        };
        let at = match timestamp {
            Some(moment) => moment.0,
            // Older programs wrote none. The order of the lines stays, and another import of the file has the
            // same times, and so the same ids.
            None => Some(UnixMillis(index.last_at.0.saturating_add(1))),
        };
        let Some(at) = at else {
            return self.leave("a message without a time that can be understood", place, &id.0);
        };
        let status = status.as_ref().map(|text| &*text.0);
        let seen_by = line.seen_by.map(|text| text.0);
        let message = Message {
            place,
            id: boxed(id),
            at,
            sender: boxed(sender),
            to,
            content: boxed(content),
            is_read: status == Some("read"),
            is_deleted: status == Some("deleted"),
            key: line.key.map(boxed),
            sender_sees: match seen_by.as_deref() {
                Some("recipient") => Some(false),
                Some(_) => Some(true),
                None => line.sender_has_account,
            },
            is_from_account: line.sender_account.is_some(),
            recipient_sees: seen_by.as_deref() != Some("sender"),
        };
        match index.messages.get(&message.id).map(|&at| &mut self.messages[at]) {
            None => {
                index.last_at = message.at;
                index.messages.insert(message.id.clone(), self.messages.len());
                if let To::Room(room) = &message.to {
                    index.rooms.entry(room.clone()).or_default().messages.push(self.messages.len());
                }
                self.messages.push(message);
            }
            // The same once more, as logs have it in which a change of the status is a line of its own.
            Some(first)
                if first.sender == message.sender
                    && first.to == message.to
                    && first.content == message.content =>
            {
                first.is_read |= message.is_read;
                first.is_deleted |= message.is_deleted;
                first.recipient_sees &= message.recipient_sees;
            }
            Some(_) => self.leave("an id that an earlier message of the file has", place, &message.id),
        }
    }

    fn take_marks(&mut self, place: Place, line: &Line<'_>, kind: &MarkKind, index: &Index) {
        let Some(ids) = &line.ids else {
            return self.leave("a read mark or a deletion without ids", place, "");
        };
        for Text(id) in ids {
            let Some(message) = index.messages.get(&**id).map(|&at| &mut self.messages[at]) else {
                self.marks.push(Mark { place, id: (&**id).into(), kind: kind.clone() });
                continue;
            };
            match kind {
                MarkKind::Read => message.is_read = true,
                MarkKind::Deleted(Some(by)) if *by != message.sender => message.recipient_sees = false,
                MarkKind::Deleted(_) => message.is_deleted = true,
                MarkKind::Cleared(by) => message.clear(by),
            }
        }
    }

    pub(super) fn leave(&mut self, reason: &str, place: Place, what: &str) {
        let example = self.example(place, what);
        self.report.leave(reason, example);
    }

    /// Where something stands, and what it is called there: never a token, a hash or a text.
    pub(super) fn example(&self, place: Place, what: &str) -> String {
        const SHOWN_CHARS_MAX: usize = 60;
        let line = if place.line > 0 { format!(":{}", place.line) } else { String::new() };
        let shown: String = what.chars().take(SHOWN_CHARS_MAX).collect();
        let space = if shown.is_empty() { "" } else { " " };
        format!("{}{line}{space}{shown}", self.name(place))
    }

    fn name(&self, place: Place) -> &str {
        self.names.get(place.file as usize).map_or("", String::as_str)
    }
}

/// A part of a file with everything in one object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// Only this program writes them beside the rooms.
    Accounts,
    Rooms,
    Tokens,
    Messages,
    SavedAt,
}

impl Part {
    fn of(key: &str) -> Option<Self> {
        Some(match key {
            "accounts" => Self::Accounts,
            "rooms" => Self::Rooms,
            "tokens" => Self::Tokens,
            "messages" => Self::Messages,
            "saved_at" => Self::SavedAt,
            _ => return None,
        })
    }

    /// Whether a value can be that.
    fn may_be(self, value: &RawValue) -> bool {
        value.get().starts_with(['{', '[']) || self == Self::SavedAt
    }
}

/// Whether an object looks like names with hashes: no known part, and an entry that is a text, or no entry. A
/// malformed entry does not change the result.
fn is_of_accounts(Entries(entries): &Entries<'_>) -> bool {
    let is_text = |value: &RawValue| value.get().starts_with('"');
    let has_part = entries.iter().any(|(key, value)| Part::of(key).is_some() && !is_text(value));
    !has_part && (entries.is_empty() || entries.iter().any(|(_, value)| is_text(value)))
}

fn is_line_of_a_log(line: &[u8]) -> bool {
    std::str::from_utf8(line).ok().and_then(Line::parse).is_some_and(|line| line.is_of_a_log())
}

fn boxed(Text(text): Text<'_>) -> Box<str> {
    text.into()
}

/// The key for the comparison of names; a text that is not a name is its own key.
fn fold(name: &str) -> Box<str> {
    Name::parse(name).map_or_else(|_| name.into(), |(_, folded)| folded.as_str().into())
}

/// Skips to behind the end of the line; returns how many bytes that were.
fn skip_line(file: &mut dyn BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let bytes = file.fill_buf()?;
        let end = memchr::memchr(b'\n', bytes);
        let length = end.map_or(bytes.len(), |at| at + 1);
        file.consume(length);
        skipped += length as u64;
        if length == 0 || end.is_some() {
            return Ok(skipped);
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Rooms => "rooms",
            Self::Jsonl => "jsonl",
            Self::Accounts => "accounts",
            Self::Empty => "empty",
        })
    }
}
