//! Line, slash and gob.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parlance::chat::{Command, Event, Problem, SERVER_NAME, Secret, UnixSeconds};
use parlance::client::{Client, ClientError, FirstBytes, Opened, Speaker};
use parlance::wire::{Dialect, name_end, words};

use super::arguments::Plan;
use super::conversation::{Ear, Farewell, Heard, Mouth, Sign, Uttered};
use super::door::Entered;
use super::screen::{Shown, day};
use super::sync_name::SyncNames;

const LINE_HELP: &str = "  /who               who is here
  /msg NAME TEXT     say something to one person
  /mail              conversations in your mailbox, with their unread messages
  /mail NAME         show the messages exchanged with a user, and mark them as read
  /mail clear NAME   delete a conversation from your mailbox
  /register PW       make an account of your name
  /password OLD NEW  change its password
  /unregister PW     delete it, with its mail
  /quit              leave
  //TEXT             say a text that starts with /";

const SLASH_HELP: &str = "  /users             who is in this room
  /msg NAME TEXT     say something to one person
  /rooms             which rooms there are
  /join ROOM         go to a room, making it if there is none
  /leave             go back to the lobby
  /nick NAME         take another name
  /history [N]       what was said last in this room
  /history before    what was said before that
  /mail              conversations in your mailbox, with their unread messages
  /mail NAME         show the messages exchanged with a user, and mark them as read
  /mail clear NAME   delete a conversation from your mailbox
  /register PW       make an account of your name
  /password OLD NEW  change its password
  /unregister PW     delete it, with its mail
  /quit              leave";

const GOB_HELP: &str = "  /msg NAME TEXT     say something to one person
  /who               who is in this room
  /join ROOM         go to a room, making it if there is none
  /leave             go back to the lobby
  /quit              leave
  //TEXT             say a text that starts with /";

pub(super) const NO_SUCH_COMMAND: &str =
    "there is no such command; /help lists them, and //TEXT says a text that starts with /";
const NO_PASSWORDS_IN_GOB: &str =
    "this program sends no passwords in gob: another server would say them in the room";
const PASSWORD_USAGE: &str = "it is /password OLD NEW";
const JOIN_USAGE: &str = "it is /join ROOM";
const ACCOUNT_USAGE: &str = "it is /register PASSWORD and /unregister PASSWORD";
pub(super) const MSG_USAGE: &str = "it is /msg NAME TEXT";

/// The messages of a room that a conversation on a terminal starts with.
const PAST_COUNT: &str = "20";
/// Time in which a server answers the question for them.
const PAST_WITHIN: Duration = Duration::from_secs(3);
/// Events that are kept until the conversation begins.
const EARLY_MAX: usize = 64;
/// How long a gob server may take to show that it is one.
const SHOW_WITHIN: Duration = Duration::from_secs(2);
/// Time in which a gob server closes the connection after the text that says why. The dialect has no words
/// for a refusal: only the close distinguishes one from a greeting.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

pub(super) fn enter(
    plan: &Plan,
    opened: Opened,
    password: Option<&str>,
    deadline: Instant,
) -> Result<Entered, ClientError> {
    let first_bytes = opened.first_bytes.clone();
    let mut client = Client::over(opened, plan.dialect)?;
    let login = match password {
        Some(password) => client.login_with(&plan.name, password, deadline),
        None => client.login(&plan.name, deadline),
    };
    match login {
        Ok(()) => {}
        Err(ClientError::PasswordWanted) => return Ok(Entered::PasswordWanted { is_new: false }),
        Err(error) => return Err(error),
    }
    if let Some(room) = &plan.room {
        join(&mut client, room, deadline)?;
    }
    let reading = Reading { sync_names: SyncNames::random(), is_careful: plan.is_careful };
    let speaker = client.speaker()?;
    let mut mouth = RoomMouth { speaker, to: plan.to.clone(), reading: reading.clone(), synced: 0, owed: 0 };
    let mut ear = RoomEar { client, reading, early: VecDeque::new(), past: None };
    if plan.dialect == Dialect::Slash && !plan.is_careful {
        mouth.speaker.send(&Command::History(PAST_COUNT))?;
        if let Some(number) = mouth.sync()? {
            ear.past = Some(Past { number, until: Instant::now() + PAST_WITHIN, day: today() });
        }
    }
    if plan.dialect.yields_names() {
        // A login has no answer there: this has one. A server that refuses the client can have closed the
        // connection by now; its reason is still to be read.
        let is_open = mouth.sync().is_ok();
        let is_synced = ear.wait_for_a_sign(Instant::now() + SHOW_WITHIN, is_open, &first_bytes)?;
        mouth.owed = u64::from(!is_synced);
    }
    Ok(Entered::In((Box::new(mouth), Box::new(ear))))
}

/// Moves to a room. What is said meanwhile is said where the user does not want to be.
fn join(client: &mut Client, room: &str, deadline: Instant) -> Result<(), ClientError> {
    client.send(&Command::Join(without_mark(room)))?;
    loop {
        match client.next_event(deadline)? {
            Event::YouJoined(_) | Event::Error(Problem::AlreadyInRoom) => return Ok(()),
            Event::Error(problem) => return Err(ClientError::Refused(words(problem).into_owned())),
            _ => {}
        }
    }
}

/// The name of a room without the `#` that people write before it.
fn without_mark(room: &str) -> &str {
    room.strip_prefix('#').unwrap_or(room)
}

/// The command for what was typed behind `/mail`: as in slash, where the server reads it.
fn mail_command(rest: &str) -> Command<'_> {
    match rest.split_once(char::is_whitespace) {
        _ if rest.is_empty() => Command::Mailbox,
        Some(("clear", with)) => Command::ClearMail(with.trim_start()),
        _ => Command::ReadMail(rest),
    }
}

struct RoomMouth {
    speaker: Speaker,
    /// To whom alone everything is said.
    to: Option<String>,
    reading: Reading,
    /// The number of the last [`Mouth::sync`].
    synced: u64,
    owed: u64,
}

impl Mouth for RoomMouth {
    fn say(&mut self, text: &str) -> Result<Uttered, ClientError> {
        self.speaker.send(&match &self.to {
            Some(to) => Command::Direct { to, text },
            None => Command::Say(text),
        })?;
        Ok(Uttered::Sent)
    }

    fn command(&mut self, word: &str, rest: &str) -> Result<Uttered, ClientError> {
        match (self.speaker.dialect(), word) {
            // The server knows its commands.
            (Dialect::Slash, _) => self.speaker.send_bytes(format!("/{word} {rest}\n").as_bytes())?,
            (Dialect::Line | Dialect::Gob, "who") => self.speaker.send(&Command::Users)?,
            // A gob server that is not ours would say them in the room.
            (Dialect::Gob, "login" | "register" | "unregister" | "password") => {
                return Ok(Uttered::Impossible(NO_PASSWORDS_IN_GOB));
            }
            (Dialect::Gob, "join") if rest.is_empty() => return Ok(Uttered::Impossible(JOIN_USAGE)),
            (Dialect::Gob, "join") => self.speaker.send(&Command::Join(without_mark(rest)))?,
            (Dialect::Gob, "leave") => self.speaker.send(&Command::Leave)?,
            (Dialect::Line, "mail") => self.speaker.send(&mail_command(rest))?,
            (_, "register") if !rest.is_empty() => self.speaker.send(&Command::MakeAccount(Secret(rest)))?,
            (_, "unregister") if !rest.is_empty() => self.speaker.send(&Command::EndAccount(Secret(rest)))?,
            (_, "password") => match rest.split_once(char::is_whitespace) {
                Some((old, new)) => {
                    let (old, new) = (Secret(old), Secret(new.trim_start()));
                    self.speaker.send(&Command::ChangePassword { old, new })?;
                }
                None => return Ok(Uttered::Impossible(PASSWORD_USAGE)),
            },
            (_, "register" | "unregister") => return Ok(Uttered::Impossible(ACCOUNT_USAGE)),
            (_, "msg" | "pm") => match rest.split_once(char::is_whitespace) {
                Some((to, text)) => self.speaker.send(&Command::Direct { to, text: text.trim_start() })?,
                None => return Ok(Uttered::Impossible(MSG_USAGE)),
            },
            _ => return Ok(Uttered::Impossible(NO_SUCH_COMMAND)),
        }
        Ok(Uttered::Sent)
    }

    fn sync(&mut self) -> Result<Option<u64>, ClientError> {
        self.synced += 1;
        let name = self.reading.sync_names.name(self.synced);
        match self.speaker.dialect() {
            Dialect::Slash => self.speaker.send_bytes(format!("/{name}\n").as_bytes())?,
            _ => self.speaker.send(&Command::Direct { to: &format!("#{name}"), text: "?" })?,
        }
        Ok(Some(self.synced))
    }

    fn owed(&self) -> u64 {
        self.owed
    }

    fn stay(&mut self) -> Result<(), ClientError> {
        // Every dialect ignores an empty text, and counts it as a sign of life.
        self.speaker.send(&Command::Say(""))
    }

    fn leave(&mut self) -> Result<Farewell, ClientError> {
        match self.speaker.dialect() {
            Dialect::Line => self.speaker.send(&Command::Ping).map(|()| Farewell::Done),
            _ => self.speaker.send(&Command::Quit).map(|()| Farewell::End),
        }
    }

    fn help(&self) -> &'static str {
        match self.speaker.dialect() {
            Dialect::Slash => SLASH_HELP,
            Dialect::Gob => GOB_HELP,
            _ => LINE_HELP,
        }
    }

    fn prompt(&self) -> String {
        self.to.as_ref().map_or_else(|| "> ".to_owned(), |to| format!("to {to}> "))
    }

    fn is_careful(&self) -> bool {
        self.reading.is_careful
    }
}

struct RoomEar {
    client: Client,
    reading: Reading,
    /// What was heard before the conversation began.
    early: VecDeque<Heard>,
    /// The messages that come now are of the past.
    past: Option<Past>,
}

/// The answer to the question for the last messages of the room.
struct Past {
    /// The number of the [`Mouth::sync`] behind the question.
    number: u64,
    /// A server that does not answer it by then never does.
    until: Instant,
    /// The start of the day of the next message.
    day: UnixSeconds,
}

impl Past {
    /// What an event means before the end of the answer; nothing at its end.
    fn heard(&mut self, event: &Event<'_>, reading: &Reading) -> Option<Heard> {
        match *event {
            Event::Day(day) => self.day = day,
            Event::Message { sender, text, at } if sender != SERVER_NAME => {
                let at = UnixSeconds(self.day.0 + at.0);
                return Some(Shown::Past { at, sender: sender.to_owned(), text: text.to_owned() }.into());
            }
            // A server without a history.
            Event::Error(Problem::NotKept | Problem::UnknownCommand("history" | "/history")) => {}
            _ => {
                let heard = heard(event, reading);
                return match heard.sign {
                    Some(Sign::Synced(number)) if number == self.number => None,
                    _ => Some(heard),
                };
            }
        }
        Some(Heard::default())
    }
}

/// The start of the day, in UTC.
fn today() -> UnixSeconds {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    UnixSeconds(now - now % 86_400)
}

impl RoomEar {
    /// Waits until the server has shown that it speaks the dialect, and returns whether it has answered
    /// [`Mouth::sync`]. Any event shows it, because another server may not answer. One that sends nothing is
    /// left to the user. A text of the server can be the reason for a refusal: the end of the connection may
    /// follow it. Once the connection is closed (`is_open` is false), all events are read up to its end.
    fn wait_for_a_sign(
        &mut self,
        mut deadline: Instant,
        is_open: bool,
        first_bytes: &FirstBytes,
    ) -> Result<bool, ClientError> {
        let mut last_text = None;
        loop {
            match self.client.next_event(deadline) {
                Ok(event) => {
                    let heard = heard(&event, &self.reading);
                    // A refusal as too fast answers the sync, too: nothing else was said yet.
                    if matches!(heard.sign, Some(Sign::Synced(_) | Sign::TooFast)) {
                        return Ok(true);
                    }
                    let text = server_text(&event);
                    let is_text = text.is_some();
                    last_text = text.or(last_text);
                    self.early.push_back(heard);
                    if (is_open && !is_text) || self.early.len() >= EARLY_MAX {
                        return Ok(false);
                    }
                    deadline = deadline.min(Instant::now() + CLOSE_WITHIN);
                }
                Err(ClientError::Deadline) => {
                    if self.early.is_empty() {
                        let sent = first_bytes.describe().map(|sent| format!(" (it sent {sent})"));
                        let sent = sent.unwrap_or_default();
                        let text = format!(
                            "nothing has answered as the gob dialect does{sent}; is that the right port?"
                        );
                        self.early.push_back(Shown::Warning(text).into());
                    }
                    return Ok(false);
                }
                Err(error @ (ClientError::Closed | ClientError::Io(_))) => {
                    return match last_text {
                        Some(text) => Err(ClientError::Refused(text)),
                        None if self.early.is_empty() => Err(error),
                        // The conversation shows the early messages, and ends.
                        None => Ok(false),
                    };
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The text of a message from the server itself.
fn server_text(event: &Event<'_>) -> Option<String> {
    match *event {
        Event::Message { sender: SERVER_NAME, text, .. } => Some(text.to_owned()),
        _ => None,
    }
}

impl Ear for RoomEar {
    fn hear(&mut self, deadline: Instant) -> Result<Heard, ClientError> {
        if let Some(early) = self.early.pop_front() {
            return Ok(early);
        }
        let Self { client, reading, past, .. } = self;
        let event = client.next_event(deadline)?;
        past.take_if(|past| Instant::now() >= past.until);
        if let Some(of_past) = past {
            let Some(heard) = of_past.heard(&event, reading) else {
                *past = None;
                return Ok(Heard::default());
            };
            return Ok(heard);
        }
        Ok(heard(&event, reading))
    }
}

/// The settings by which an ear reads events.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) sync_names: SyncNames,
    pub(super) is_careful: bool,
}

/// What the answer to a [`Mouth::sync`] says, or that something came too fast. In the dialects that have no
/// errors it is a text of the server. A user who sees what happens is shown what came too fast; otherwise it
/// is said again.
fn sign_of(event: &Event<'_>, reading: &Reading) -> Option<Sign> {
    let Reading { sync_names, is_careful } = reading;
    match *event {
        Event::Error(Problem::TooFast) if *is_careful => Some(Sign::TooFast),
        Event::Error(Problem::UserNotFound(name)) => {
            sync_names.number_in(name.strip_prefix('#')?).map(Sign::Synced)
        }
        Event::Error(Problem::UnknownCommand(word)) => sync_names.number_in(word).map(Sign::Synced),
        Event::Message { sender: SERVER_NAME, text, .. } => {
            if *is_careful && text == words(Problem::TooFast) {
                return Some(Sign::TooFast);
            }
            sync_names.number_in_words(text).map(Sign::Synced)
        }
        _ => None,
    }
}

/// What an event means to people.
pub(super) fn heard(event: &Event<'_>, reading: &Reading) -> Heard {
    if let Some(sign) = sign_of(event, reading) {
        return sign.into();
    }
    let shown = match *event {
        // Only the server has that name. In the text dialects, its text is the only sign that this session
        // ends.
        Event::Message { sender: SERVER_NAME, text, .. } => match name_end(text) {
            Some(problem) => return closed_for(problem),
            None => Shown::Notice(text.to_owned()),
        },
        Event::Message { sender, text, at } | Event::Past { sender, text, at } => said(sender, text, at),
        Event::Day(at) => Shown::Notice(day(at)),
        Event::Direct { sender, text, .. } => {
            Shown::Private { sender: sender.to_owned(), text: text.to_owned() }
        }
        Event::DirectSent { to, text } => Shown::Sent { to: to.to_owned(), text: text.to_owned() },
        Event::Joined(name) => Shown::Notice(format!("{name} joined")),
        Event::Left { name, .. } => Shown::Notice(format!("{name} left")),
        Event::Renamed { old, new } => Shown::Notice(format!("{old} is now known as {new}")),
        Event::YouJoined(room) => Shown::Notice(format!("you are in #{room}")),
        Event::YouReturned(room) => Shown::Notice(format!("you are back in #{room}")),
        Event::AccountMade => Shown::Notice("the account is made".to_owned()),
        Event::PasswordChanged => Shown::Notice("the password is changed".to_owned()),
        Event::AccountEnded => Shown::Notice("the account is deleted".to_owned()),
        // In line, the answer to a command of an account or a mailbox.
        Event::LoggedIn { name: "", .. } | Event::MailEnd => Shown::Notice("done".to_owned()),
        Event::MailListBegin => Shown::Answer("conversations in your mailbox:".to_owned()),
        Event::Account { name, unread } => Shown::Answer(listed_account(name, unread)),
        Event::ConversationBegin => Shown::Answer("messages, all of them read now:".to_owned()),
        Event::Mail(mail) | Event::MailArrived(mail) => Shown::Listed(mail.into()),
        Event::YouRenamed(name) => Shown::Notice(format!("you are now known as {name}")),
        Event::UsersBegin { room, .. } => Shown::Answer(format!("in #{room}:")),
        Event::User { name, own } => Shown::Answer(format!("  {name}{}", if own { " (you)" } else { "" })),
        Event::RoomsBegin => Shown::Answer("rooms:".to_owned()),
        Event::Room { name, members } => Shown::Answer(format!("  #{name} ({members})")),
        Event::RoomsOmitted(count) => Shown::Answer(format!("  and {count} more")),
        Event::Missed(count) => Shown::Notice(format!("{count} messages missed")),
        Event::MailWaits(count) => Shown::Notice(format!("unread messages: {count}; /mail lists them")),
        Event::RoomClosed(room) => Shown::Notice(format!("{room} was closed by its host")),
        Event::Error(
            problem @ (Problem::IdleTimeout
            | Problem::LoginTimeout
            | Problem::TooSlow
            | Problem::Replaced
            | Problem::NameRegistered
            | Problem::AccountDeleted),
        ) => return closed_for(problem),
        Event::ShuttingDown => return Sign::Ending("the server shuts down".to_owned()).into(),
        Event::Error(problem) | Event::LoginRefused(problem) => {
            let reason = match problem {
                // Slash does not say who.
                Problem::UserNotFound("") => "there is nobody of that name here".into(),
                problem => words(problem),
            };
            return Heard { shown: vec![Shown::Problem(reason.into_owned())], sign: Some(Sign::Failed) };
        }
        Event::Pong => return Sign::Done.into(),
        Event::Greeting
        | Event::NameWanted
        | Event::LoggedIn { .. }
        | Event::PasswordWanted
        | Event::NameKnown
        | Event::NameFree
        | Event::Seated(_)
        | Event::ListBegin(_)
        | Event::AccountName(_)
        | Event::Kept { .. }
        | Event::Help
        | Event::Goodbye
        | Event::AddressChallenge(_) => return Heard::default(),
    };
    shown.into()
}

/// An account in a list, with the number of its unread messages.
pub(super) fn listed_account(name: &str, unread: u32) -> String {
    match unread {
        0 => format!("  {name}"),
        _ => format!("  {name} ({unread} unread)"),
    }
}

fn closed_for(problem: Problem<'_>) -> Heard {
    Sign::Ending(format!("the server closed the connection: {}", words(problem))).into()
}

fn said(sender: &str, text: &str, at: UnixSeconds) -> Shown {
    Shown::Said { at, sender: sender.to_owned(), text: text.to_owned() }
}
