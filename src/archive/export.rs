//! What a store has, written out: as a log of lines, or as one object. What is said in rooms is read page by page, and
//! nothing is held that grows with the number of messages but the places of the pages.

use std::cell::RefCell;
use std::io::{self, Write};
use std::net::IpAddr;

use serde::ser::{Error as _, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::material::LOG_VERSION;
use crate::chat::{Kept, Letter, OpId, PasswordHash, RoomMessage, Seat, Token, UnixMillis};
use crate::limits::ARCHIVE_PAGE_MESSAGES;
use crate::store::{Reader, StoreError};

/// Why an export did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Where it goes.
    #[error("cannot write the export: {0}")]
    Output(#[from] io::Error),
}

impl From<serde_json::Error> for ExportError {
    fn from(error: serde_json::Error) -> Self {
        Self::Output(error.into())
    }
}

/// A message, as both formats have it.
#[derive(Serialize)]
struct MessageLine<'a> {
    id: OpId,
    timestamp: f64,
    sender: &'a str,
    /// The ids of the two accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_account: Option<OpId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_account: Option<OpId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    /// Who still sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_by: Option<&'static str>,
    /// Its number, where it is not one more than that of the message before it, or 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
}

/// All else, as a store in a log has it when it was written anew.
#[derive(Serialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
enum OperationLine<'a> {
    Format {
        version: u64,
    },
    AccountCreated {
        name: &'a str,
        /// Its id.
        #[serde(skip_serializing_if = "Option::is_none")]
        account: Option<OpId>,
        password: &'a PasswordHash,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        unused: bool,
    },
    RoomMade(SeatLine<'a>),
    SeatTaken(SeatLine<'a>),
}

#[derive(Serialize)]
struct SeatLine<'a> {
    /// Of the op that made the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<OpId>,
    room: &'a str,
    name: &'a str,
    token: Token,
    ip: IpAddr,
}

/// Seconds since 1970, as logs have them. Milliseconds stay exact.
fn seconds(at: UnixMillis) -> f64 {
    at.0 as f64 / 1000.0
}

impl<'a> MessageLine<'a> {
    fn of_letter(letter: &'a Letter) -> Self {
        Self {
            id: letter.id,
            timestamp: seconds(letter.at),
            sender: &letter.sender,
            sender_account: letter.sender_account,
            recipient_account: letter.recipient_account,
            recipient: Some(&letter.recipient),
            room: None,
            content: &letter.content,
            status: Some(if letter.unread { "unread" } else { "read" }),
            key: letter.key.as_deref(),
            seen_by: Some(match (letter.sender_sees, letter.recipient_sees) {
                (true, true) => "both",
                (true, false) => "sender",
                (false, _) => "recipient",
            }),
            sequence: None,
        }
    }

    fn of_room(room: &'a str, message: &'a RoomMessage, is_next: bool) -> Self {
        Self {
            id: message.id,
            timestamp: seconds(message.at),
            sender: &message.sender,
            sender_account: None,
            recipient_account: None,
            recipient: None,
            room: Some(room),
            content: &message.text,
            status: None,
            key: None,
            seen_by: None,
            sequence: (!is_next).then_some(message.sequence),
        }
    }
}

/// Writes a log: a line for each account, message and seat, as a store in a log has it when it was written anew. Imported into an empty store, it gives the same again, but
/// for the numbers of messages in rooms, which begin with 1.
///
/// # Errors
///
/// Those of the store and of the writer.
pub fn export_jsonl(store: &mut dyn Reader, out: &mut dyn Write) -> Result<(), ExportError> {
    let mut log = Log { out, has_begun: false };
    let mut result = Ok(());
    store.load(&mut |kept| {
        if result.is_ok() {
            result = log.kept(&kept);
        }
    })?;
    result?;
    each_room_message(store, &mut |room, message, is_next| {
        log.line(&MessageLine::of_room(room, message, is_next))
    })?;
    log.end()
}

/// A log that is written. It begins with the first thing that the store has handed out: an export that fails
/// before that is no output at all, rather than the export of an empty store.
struct Log<'a> {
    out: &'a mut dyn Write,
    has_begun: bool,
}

impl Log<'_> {
    fn kept(&mut self, kept: &Kept) -> Result<(), ExportError> {
        match kept {
            Kept::Account { name, password, id, is_unused } => {
                let (account, unused) = (*id, *is_unused);
                self.line(&OperationLine::AccountCreated { name, account, password, unused })
            }
            Kept::Letter(letter) => self.line(&MessageLine::of_letter(letter)),
            Kept::Seat { room, seat: Seat { name, token, ip }, is_host, made } => {
                let seat = SeatLine { id: *made, room, name, token: *token, ip: *ip };
                let made = OperationLine::RoomMade;
                self.line(&if *is_host { made(seat) } else { OperationLine::SeatTaken(seat) })
            }
        }
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), ExportError> {
        self.begin()?;
        self.write(value)
    }

    fn begin(&mut self) -> Result<(), ExportError> {
        if std::mem::replace(&mut self.has_begun, true) {
            return Ok(());
        }
        self.write(&OperationLine::Format { version: LOG_VERSION })
    }

    fn write(&mut self, value: &impl Serialize) -> Result<(), ExportError> {
        serde_json::to_writer(&mut *self.out, value)?;
        Ok(self.out.write_all(b"\n")?)
    }

    fn end(mut self) -> Result<(), ExportError> {
        self.begin()?;
        Ok(self.out.flush()?)
    }
}

type Visit<'a> = dyn FnMut(&str, &RoomMessage, bool) -> Result<(), ExportError> + 'a;

/// Hands out what was said in rooms, a room after the other, oldest first, with whether its number is the one to be
/// expected.
fn each_room_message(store: &mut dyn Reader, visit: &mut Visit<'_>) -> Result<(), ExportError> {
    let mut rooms = Vec::new();
    store.rooms(&mut |summary| rooms.push(summary.room))?;
    for room in rooms {
        // Pages are asked for by what comes behind them, so that the way to the oldest one goes through all.
        let newest = store.history(&room, None, ARCHIVE_PAGE_MESSAGES)?;
        let mut ends = Vec::new();
        let mut first = newest.first().map(|message| message.id);
        while let Some(end) = first {
            ends.push(end);
            first = store.history(&room, Some(end), ARCHIVE_PAGE_MESSAGES)?.first().map(|message| message.id);
        }
        let mut next = 1;
        let mut visit_page = |page: Vec<RoomMessage>| {
            page.iter().try_for_each(|message| {
                let is_next = message.sequence == next;
                next = message.sequence + 1;
                visit(&room, message, is_next)
            })
        };
        for end in ends.into_iter().rev() {
            visit_page(store.history(&room, Some(end), ARCHIVE_PAGE_MESSAGES)?)?;
        }
        visit_page(newest)?;
    }
    Ok(())
}

/// Writes one object, for people and for programs that want it whole: accounts, rooms, tokens and messages.
///
/// # Errors
///
/// Those of the store and of the writer.
pub fn export_json(
    store: &mut dyn Reader,
    saved_at: UnixMillis,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    let mut accounts = Vec::new();
    let mut seats = Vec::new();
    store.load(&mut |kept| match kept {
        Kept::Account { name, password, .. } => accounts.push((name, password)),
        Kept::Letter(_) => {}
        Kept::Seat { room, seat, is_host, made } => seats.push((room, seat, is_host, made)),
    })?;
    let messages = Messages { store: RefCell::new(store), failed: RefCell::new(None) };
    let archive = Archive { accounts: &accounts, seats: &seats, saved_at, messages: &messages };
    let written = serde_json::to_writer_pretty(&mut *out, &archive);
    if let Some(error) = messages.failed.take() {
        return Err(error);
    }
    written?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// The object.
struct Archive<'a> {
    accounts: &'a [(Box<str>, PasswordHash)],
    seats: &'a [(Box<str>, Seat, bool, Option<OpId>)],
    saved_at: UnixMillis,
    messages: &'a Messages<'a>,
}

/// Its messages, read from the store while they are written.
struct Messages<'a> {
    store: RefCell<&'a mut dyn Reader>,
    /// Why the store did not go on: the writer's errors have no space for it.
    failed: RefCell<Option<ExportError>>,
}

/// A room, with the keys of the program that had these files first: it reads them all.
#[derive(Serialize)]
struct Room<'a> {
    host_token: Option<Token>,
    members: Vec<&'a Token>,
    /// Seconds since 1970; of a room without a host, the time of the export.
    created_at: f64,
}

/// A token, in the same way: the name is a JSON text in a text.
#[derive(Serialize)]
struct Entry<'a> {
    username: String,
    #[serde(rename = "room_name")]
    room: &'a str,
    is_host: bool,
    address: (IpAddr, u16),
    /// For a host: the id of the op that made the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    made: Option<OpId>,
}

impl Serialize for Archive<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rooms: Vec<(&str, Room<'_>)> = Vec::new();
        let mut at: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
        let mut tokens = Vec::new();
        for (room, seat, is_host, made) in self.seats {
            let index = *at.entry(room).or_insert_with(|| {
                let created_at = seconds(self.saved_at);
                rooms.push((room, Room { host_token: None, members: Vec::new(), created_at }));
                rooms.len() - 1
            });
            let entry = &mut rooms[index].1;
            entry.members.push(&seat.token);
            if *is_host {
                entry.host_token = Some(seat.token);
                entry.created_at = made.map_or(entry.created_at, |made| seconds(made.at()));
            }
            let username = serde_json::to_string(&seat.name).map_err(S::Error::custom)?;
            let (is_host, address, made) = (*is_host, (seat.ip, 0), *made);
            tokens.push((&seat.token, Entry { username, room, is_host, address, made }));
        }
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("saved_at", &seconds(self.saved_at))?;
        object.serialize_entry("accounts", &Ordered(self.accounts))?;
        object.serialize_entry("rooms", &Ordered(&rooms))?;
        object.serialize_entry("tokens", &Ordered(&tokens))?;
        object.serialize_entry("messages", self.messages)?;
        object.end()
    }
}

/// An object, in this order.
struct Ordered<'a, K, V>(&'a [(K, V)]);

impl<K: Serialize, V: Serialize> Serialize for Ordered<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let mut store = self.store.borrow_mut();
        let mut result = Ok(());
        let loaded = store.load(&mut |kept| {
            if let (Kept::Letter(letter), true) = (&kept, result.is_ok()) {
                result = list.serialize_element(&MessageLine::of_letter(letter));
            }
        });
        result?;
        let mut unwritten = None;
        let said = loaded.map_err(ExportError::from).and_then(|_| {
            each_room_message(&mut **store, &mut |room, message, is_next| {
                list.serialize_element(&MessageLine::of_room(room, message, is_next)).map_err(|error| {
                    unwritten = Some(error);
                    ExportError::Output(io::ErrorKind::Other.into())
                })
            })
        });
        // What the writer said is told by the writer itself.
        if let Some(error) = unwritten {
            return Err(error);
        }
        if let Err(error) = said {
            let shown = S::Error::custom(&error);
            *self.failed.borrow_mut() = Some(error);
            return Err(shown);
        }
        list.end()
    }
}
