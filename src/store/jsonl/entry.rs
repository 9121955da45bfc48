//! What a line of a log that was written here means.

use super::line::{Line, Text, Timestamp};
use super::write::{VERSION, VERSION_MIN};
use crate::chat::{Change, Kept, Letter, Op, OpId, PasswordHash, Seat, Token, UnixMillis};

/// What a line does to what is there. No message has its text with it, unless somebody [asks](Entry::with_text): that
/// stays in the log.
#[derive(Debug)]
pub(super) enum Entry<'a> {
    /// The first line.
    Format {
        /// The version that the log has.
        version: u64,
        /// The highest id that was there when the log was written anew.
        last: Option<OpId>,
    },
    /// An op other than what is below.
    Op(Op),
    /// An op that sent a message, which somebody marked as read by hand.
    SentAndRead(Op),
    /// A part of what was kept when the log was written anew.
    Kept(Kept),
    /// A message was said in a room.
    Said {
        id: OpId,
        at: UnixMillis,
        room: &'a str,
        /// Its number, if it is not the next one.
        sequence: Option<u64>,
    },
    /// Messages of a room were forgotten.
    Forget {
        room: &'a str,
        /// The number of the first that was not.
        before: u64,
    },
    /// An op that changed nothing.
    Nothing(OpId),
}

/// Why a line is not understood.
#[derive(Debug)]
pub(super) enum Wrong {
    /// It is not JSON, as what is left of a line that was not written to its end.
    Torn(String),
    /// It is, and makes no sense.
    Meaning(String),
    /// The log has a newer version.
    Newer(u64),
}

impl Wrong {
    /// What is wrong, in words.
    pub(super) fn what(self) -> String {
        match self {
            Self::Torn(what) | Self::Meaning(what) => what,
            Self::Newer(version) => format!("version {version} of the format"),
        }
    }
}

impl From<String> for Wrong {
    fn from(what: String) -> Self {
        Self::Meaning(what)
    }
}

/// Takes a line apart. `number` is 1 for the first.
pub(super) fn parse(bytes: &[u8]) -> Result<Line<'_>, Wrong> {
    Line::parse(bytes).map_err(Wrong::Torn)
}

fn want<'b>(value: Option<&'b Text<'_>>, key: &str) -> Result<&'b str, String> {
    value.map(|text| &**text).ok_or_else(|| format!("no {key:?}"))
}

fn id_of(text: &str) -> Result<OpId, String> {
    OpId::parse(text).ok_or_else(|| format!("{text:?} is no id"))
}

/// When it was made: the line's time, but never later than the time in the id, which only a hand writes.
fn at_of(line: &Line<'_>, id: OpId) -> UnixMillis {
    line.timestamp.as_ref().and_then(Timestamp::millis).map_or(id.at(), |at| at.min(id.at()))
}

impl<'a> Entry<'a> {
    /// What a line means. `number` is its own, 1 for the first.
    pub(super) fn of(line: &'a Line<'_>, number: u64) -> Result<Self, Wrong> {
        let operation = line.operation.as_deref();
        if (number == 1) != (operation == Some("format")) {
            let what =
                if number == 1 { "the line that names the format is missing" } else { "a second beginning" };
            return Err(Wrong::Meaning(what.to_owned()));
        }
        let Some(operation) = operation else { return Ok(Self::message(line)?) };
        if operation == "format" {
            return match line.version.ok_or_else(|| "no \"version\"".to_owned())? {
                version @ VERSION_MIN..=VERSION => {
                    Ok(Self::Format { version, last: line.last.as_deref().map(id_of).transpose()? })
                }
                0 => Err(Wrong::Meaning("there is no version 0".to_owned())),
                newer => Err(Wrong::Newer(newer)),
            };
        }
        Ok(Self::operation(line, operation)?)
    }

    /// The same, with the text of the message.
    pub(super) fn with_text(mut self, line: &Line<'_>) -> Self {
        let text = line.content.as_deref().map(Into::into).unwrap_or_default();
        match &mut self {
            Self::Op(Op { change: Change::MailSent { content, .. }, .. })
            | Self::SentAndRead(Op { change: Change::MailSent { content, .. }, .. })
            | Self::Kept(Kept::Letter(Letter { content, .. })) => *content = text,
            Self::Format { .. }
            | Self::Op(_)
            | Self::SentAndRead(_)
            | Self::Kept(_)
            | Self::Said { .. }
            | Self::Forget { .. }
            | Self::Nothing(_) => {}
        }
        self
    }

    fn operation(line: &'a Line<'_>, operation: &str) -> Result<Self, String> {
        let name = || want(line.name.as_ref(), "name").map(Into::into);
        let room = || want(line.room.as_ref(), "room");
        let password = || {
            PasswordHash::new(want(line.password.as_ref(), "password")?).map_err(|error| error.to_string())
        };
        let account = || line.account.as_deref().map(id_of).transpose();
        let token = || Token::parse(want(line.token.as_ref(), "token")?).ok_or_else(|| "no token".to_owned());
        let seat = || {
            let ip = want(line.ip.as_ref(), "ip")?.parse().map_err(|_| "no address".to_owned())?;
            Ok::<_, String>(Seat { name: name()?, token: token()?, ip })
        };
        // What was kept when the log was written anew has no id.
        let id = line.id.as_deref().map(id_of).transpose()?;
        let op_or = |change: Change, kept: Kept| match id {
            Some(id) => Self::Op(Op { id, at: at_of(line, id), change }),
            None => Self::Kept(kept),
        };
        let op = |change: Change| {
            let id = id.ok_or_else(|| "no \"id\"".to_owned())?;
            Ok(Self::Op(Op { id, at: at_of(line, id), change }))
        };
        match operation {
            "account-created" => {
                let (name, password): (Box<str>, _) = (name()?, password()?);
                let is_unused = line.unused.unwrap_or(false);
                let change =
                    Change::AccountCreated { name: name.clone(), password: password.clone(), is_unused };
                Ok(op_or(change, Kept::Account { name, password, id: account()?, is_unused }))
            }
            "account-used" => op(Change::AccountUsed { name: name()?, account: account()? }),
            "password-changed" => {
                let (name, account, password) = (name()?, account()?, password()?);
                op(Change::PasswordChanged { name, account, password })
            }
            "account-deleted" => op(Change::AccountDeleted { name: name()?, account: account()? }),
            "read" => {
                let reader = want(line.reader.as_ref(), "reader")?.into();
                op(Change::MailRead { reader, messages: Self::ids(line)? })
            }
            "delete" => match *Self::ids(line)? {
                [message] => op(Change::MailDeleted { by: want(line.by.as_ref(), "by")?.into(), message }),
                _ => Err("other than one id".to_owned()),
            },
            "clear" => {
                let by = want(line.by.as_ref(), "by")?.into();
                op(Change::ConversationCleared { by, messages: Self::ids(line)? })
            }
            "room-made" => {
                let (room, host): (Box<str>, _) = (room()?.into(), seat()?);
                let change = Change::RoomMade { room: room.clone(), host: host.clone() };
                Ok(op_or(change, Kept::Seat { room, seat: host, is_host: true, made: None }))
            }
            "seat-taken" => {
                let (room, seat): (Box<str>, _) = (room()?.into(), seat()?);
                let change = Change::SeatTaken { room: room.clone(), seat: seat.clone() };
                Ok(op_or(change, Kept::Seat { room, seat, is_host: false, made: None }))
            }
            "seat-left" => op(Change::SeatLeft { token: token()? }),
            "room-closed" => {
                let made = line.made.as_deref().map(id_of).transpose()?;
                op(Change::RoomClosed { room: room()?.into(), made })
            }
            "forget" => {
                let before = line.before.ok_or_else(|| "no \"before\"".to_owned())?;
                Ok(Self::Forget { room: room()?, before })
            }
            "nothing" => Ok(Self::Nothing(id.ok_or_else(|| "no \"id\"".to_owned())?)),
            unknown => Err(format!("{unknown:?} is no operation that is known")),
        }
    }

    fn ids(line: &Line<'_>) -> Result<Box<[OpId]>, String> {
        line.ids.as_ref().ok_or_else(|| "no \"ids\"".to_owned())?.iter().map(|id| id_of(id)).collect()
    }

    fn message(line: &'a Line<'_>) -> Result<Self, String> {
        let id = id_of(want(line.id.as_ref(), "id")?)?;
        let at = at_of(line, id);
        let sender = want(line.sender.as_ref(), "sender")?;
        want(line.content.as_ref(), "content")?;
        let recipient = match (&line.recipient, &line.room) {
            (Some(recipient), None) => recipient,
            (None, Some(room)) => return Ok(Self::Said { id, at, room, sequence: line.sequence }),
            (Some(_), Some(_)) | (None, None) => {
                return Err("neither or both of \"recipient\" and \"room\"".to_owned());
            }
        };
        let unread = match line.status.as_deref() {
            None | Some("unread") => true,
            Some("read") => false,
            Some(other) => return Err(format!("{other:?} is no status")),
        };
        let (sender, recipient): (Box<str>, Box<str>) = (sender.into(), (**recipient).into());
        let sender_account = line.sender_account.as_deref().map(id_of).transpose()?;
        let recipient_account = line.recipient_account.as_deref().map(id_of).transpose()?;
        let (content, key) = (Box::default(), line.key.as_deref().map(Into::into));
        let (sender_sees, recipient_sees) = match line.seen_by.as_deref() {
            None => {
                let sender_has_account = line.sender_has_account.unwrap_or(true);
                let change = Change::MailSent {
                    sender,
                    sender_has_account,
                    sender_account,
                    recipient,
                    recipient_account,
                    content,
                    key,
                };
                let op = Op { id, at, change };
                return Ok(if unread { Self::Op(op) } else { Self::SentAndRead(op) });
            }
            Some("sender") => (true, false),
            Some("recipient") => (false, true),
            Some("both") => (true, true),
            Some(other) => return Err(format!("{other:?} cannot see it")),
        };
        Ok(Self::Kept(Kept::Letter(Letter {
            id,
            at,
            sender,
            sender_account,
            recipient,
            recipient_account,
            content,
            key,
            sender_sees,
            recipient_sees,
            unread,
        })))
    }
}
