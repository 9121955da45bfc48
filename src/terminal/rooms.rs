//! Line, slash and gob.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use parlance::chat::{Command, Event, Problem, SERVER_NAME, UnixSeconds};
use parlance::client::{Client, ClientError, Speaker};
use parlance::wire::{Dialect, words};

use super::arguments::Plan;
use super::conversation::{Ear, Farewell, Heard, Mouth, Sign, Uttered};
use super::door::Entered;
use super::screen::Shown;

const LINE_HELP: &str = "  /who               who is here
  /msg NAME TEXT     say something to one person
  /quit              leave
  //TEXT             say a text that starts with /";

const SLASH_HELP: &str = "  /users             who is in this room
  /msg NAME TEXT     say something to one person
  /rooms             which rooms there are
  /join ROOM         go to a room, making it if there is none
  /leave             go back to the lobby
  /nick NAME         take another name
  /history [N]       what was said last in this room
  /quit              leave";

const GOB_HELP: &str = "  /msg NAME TEXT     say something to one person
  /quit              leave
  //TEXT             say a text that starts with /";

pub(super) const NO_SUCH_COMMAND: &str =
    "there is no such command; /help lists them, and //TEXT says a text that starts with /";
pub(super) const MSG_USAGE: &str = "it is /msg NAME TEXT";

/// The name that nobody can have, with a number behind it: a message to it is answered with an error that
/// repeats the name. In slash it is a command that there is not, with the same effect.
pub(super) const SYNC: &str = "sync-";
/// Events that are kept until the conversation begins.
const EARLY_MAX: usize = 64;
/// How long a gob server may take to show that it is one.
const SHOW_WITHIN: Duration = Duration::from_secs(2);
/// Time in which a gob server closes the connection after the text that says why. The dialect has no words for
/// a refusal: only the close distinguishes one from a greeting.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

pub(super) fn enter(
    plan: &Plan,
    stream: TcpStream,
    password: Option<&str>,
    deadline: Instant,
) -> Result<Entered, ClientError> {
    let mut client = Client::over(stream, plan.dialect)?;
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
    let is_careful = plan.is_careful;
    let speaker = client.speaker()?;
    let mut mouth = RoomMouth { speaker, to: plan.to.clone(), is_careful, synced: 0, owed: 0 };
    let mut ear = RoomEar { client, is_careful, early: VecDeque::new() };
    if plan.dialect.yields_names() {
        // A login has no answer there: this has one. A server that refuses the client can have closed the
        // connection by now; its reason is still to be read.
        let is_open = mouth.sync().is_ok();
        let is_synced = ear.wait_for_a_sign(Instant::now() + SHOW_WITHIN, is_open)?;
        mouth.owed = u64::from(!is_synced);
    }
    Ok(Entered::In((Box::new(mouth), Box::new(ear))))
}

/// Moves to a room. What is said meanwhile is said where the user does not want to be.
fn join(client: &mut Client, room: &str, deadline: Instant) -> Result<(), ClientError> {
    client.send(&Command::Join(room.strip_prefix('#').unwrap_or(room)))?;
    loop {
        match client.next_event(deadline)? {
            Event::YouJoined(_) | Event::Error(Problem::AlreadyInRoom) => return Ok(()),
            Event::Error(problem) => return Err(ClientError::Refused(words(problem).into_owned())),
            _ => {}
        }
    }
}

struct RoomMouth {
    speaker: Speaker,
    /// To whom alone everything is said.
    to: Option<String>,
    is_careful: bool,
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
            (Dialect::Line, "who") => self.speaker.send(&Command::Users)?,
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
        let name = format!("{SYNC}{}", self.synced);
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
        self.is_careful
    }
}

struct RoomEar {
    client: Client,
    is_careful: bool,
    /// What was heard before the conversation began.
    early: VecDeque<Heard>,
}

impl RoomEar {
    /// Waits until the server has shown that it speaks the dialect, and returns whether it has answered
    /// [`Mouth::sync`]. Any event shows it, because another server may not answer. One that sends nothing is
    /// left to the user. A text of the server can be the reason for a refusal: the end of the connection may
    /// follow it. Once the connection is closed (`is_open` is false), all events are read up to its end.
    fn wait_for_a_sign(&mut self, mut deadline: Instant, is_open: bool) -> Result<bool, ClientError> {
        let mut last_text = None;
        loop {
            match self.client.next_event(deadline) {
                Ok(event) => {
                    let heard = heard(&event, self.is_careful);
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
                        let text = "nothing has answered as the gob dialect does; is that the right port?";
                        self.early.push_back(Shown::Warning(text.to_owned()).into());
                    }
                    return Ok(false);
                }
                Err(error @ (ClientError::Closed | ClientError::Io(_))) => {
                    return match last_text {
                        Some(text) => Err(ClientError::Refused(text)),
                        None if self.early.is_empty() => Err(error),
                        // The conversation shows what came, and ends.
                        None => Ok(false),
                    };
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// What the server itself says, in words.
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
        let is_careful = self.is_careful;
        self.client.next_event(deadline).map(|event| heard(&event, is_careful))
    }
}

/// The number of a [`Mouth::sync`], in the words for a recipient that there is not.
pub(super) fn sync_in(words_of_server: &str) -> Option<u64> {
    let name = words_of_server.split(' ').find(|word| word.starts_with('#'))?;
    let number = name.strip_prefix('#')?.strip_prefix(SYNC)?.parse().ok()?;
    (words_of_server == words(Problem::UserNotFound(name))).then_some(number)
}

/// What the answer to a [`Mouth::sync`] says, or that something came too fast. In the dialects that have no
/// errors it is a text of the server. A user who sees what happens is shown what came too fast; otherwise it
/// is said again.
fn sign_of(event: &Event<'_>, is_careful: bool) -> Option<Sign> {
    let number = |name: &str| name.strip_prefix(SYNC)?.parse().ok();
    match *event {
        Event::Error(Problem::TooFast) if is_careful => Some(Sign::TooFast),
        Event::Error(Problem::UserNotFound(name)) => number(name.strip_prefix('#')?).map(Sign::Synced),
        Event::Error(Problem::UnknownCommand(word)) => number(word).map(Sign::Synced),
        Event::Message { sender: SERVER_NAME, text, .. } => {
            if is_careful && text == words(Problem::TooFast) {
                return Some(Sign::TooFast);
            }
            sync_in(text).map(Sign::Synced)
        }
        _ => None,
    }
}

/// What an event means to people.
pub(super) fn heard(event: &Event<'_>, is_careful: bool) -> Heard {
    if let Some(sign) = sign_of(event, is_careful) {
        return sign.into();
    }
    let shown = match *event {
        // Nobody else can have the name.
        Event::Message { sender: SERVER_NAME, text, .. } => Shown::Notice(text.to_owned()),
        Event::Message { sender, text, at } => said(sender, text, at),
        Event::Direct { sender, text, .. } => {
            Shown::Private { sender: sender.to_owned(), text: text.to_owned() }
        }
        Event::DirectSent { to, text } => Shown::Sent { to: to.to_owned(), text: text.to_owned() },
        Event::Joined(name) => Shown::Notice(format!("{name} joined")),
        Event::Left { name, .. } => Shown::Notice(format!("{name} left")),
        Event::Renamed { old, new } => Shown::Notice(format!("{old} is now known as {new}")),
        Event::YouJoined(room) => Shown::Notice(format!("you are in #{room}")),
        Event::YouReturned(room) => Shown::Notice(format!("you are back in #{room}")),
        Event::YouRenamed(name) => Shown::Notice(format!("you are now known as {name}")),
        Event::UsersBegin { room, .. } => Shown::Answer(format!("in #{room}:")),
        Event::User { name, own } => Shown::Answer(format!("  {name}{}", if own { " (you)" } else { "" })),
        Event::RoomsBegin => Shown::Answer("rooms:".to_owned()),
        Event::Room { name, members } => Shown::Answer(format!("  #{name} ({members})")),
        Event::RoomsOmitted(count) => Shown::Answer(format!("  and {count} more")),
        Event::Missed(count) => Shown::Notice(format!("{count} messages missed")),
        Event::MailWaits(count) => Shown::Notice(format!("{count} messages wait in the mailbox")),
        Event::RoomClosed(room) => Shown::Notice(format!("{room} was closed by its host")),
        Event::Error(problem @ (Problem::IdleTimeout | Problem::LoginTimeout | Problem::TooSlow)) => {
            return Sign::Ending(format!("the server closed the connection: {}", words(problem))).into();
        }
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
        _ => return Heard::default(),
    };
    shown.into()
}

fn said(sender: &str, text: &str, at: UnixSeconds) -> Shown {
    Shown::Said { at, sender: sender.to_owned(), text: text.to_owned() }
}
