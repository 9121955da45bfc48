//! Typed.

use std::net::Shutdown;
use std::process;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use parlance::chat::{Problem, UnixSeconds};
use parlance::client::{ClientError, Letter, Mailbox, MailboxSpeaker, Opened};
use parlance::wire::typed::{Reply, Request, TagSet};
use parlance::wire::words;

use super::arguments::Plan;
use super::conversation::{Ear, Farewell, Heard, Mouth, Sign, Uttered};
use super::door::Entered;
use super::rooms::{NO_SUCH_COMMAND, Reading, listed_account};
use super::screen::Shown;
use super::sync_name::SyncNames;

const HELP: &str = "  /to NAME           write to somebody, from now on
  /users             who has an account, and whose messages you have not read
  /list NAME         the messages exchanged with a user, with their ids
  /read NAME         you have read all messages from somebody
  /delete ID         delete a message: yours for both, another's for you
  /clear NAME        delete all messages exchanged with a user, for you
  /quit              leave
  //TEXT             write a text that starts with /";

pub(super) fn enter(
    plan: &Plan,
    opened: Opened,
    password: Option<&str>,
    deadline: Instant,
) -> Result<Entered, ClientError> {
    let mut mailbox = Mailbox::over(opened, TagSet::default())?;
    let is_known = mailbox.identify(&plan.name, deadline)?;
    let Some(password) = password else { return Ok(Entered::PasswordWanted { is_new: !is_known }) };
    mailbox.prove(password, deadline)?;
    mailbox.subscribe(true)?;
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let reading = Reading { sync_names: SyncNames::random(), is_careful: plan.is_careful };
    let mouth = MailboxMouth {
        speaker: mailbox.speaker()?,
        to: plan.to.clone(),
        key: format!("parlance-chat-{started}-{}", process::id()),
        done: 0,
        synced: 0,
        reading: reading.clone(),
    };
    let ear = MailboxEar { mailbox, reading };
    Ok(Entered::In((Box::new(mouth), Box::new(ear))))
}

struct MailboxMouth {
    speaker: MailboxSpeaker,
    to: Option<String>,
    /// With a number behind it, what a message is called: no other chat of this account calls one so.
    key: String,
    done: u64,
    /// The number of the last [`Mouth::sync`].
    synced: u64,
    reading: Reading,
}

impl Mouth for MailboxMouth {
    fn say(&mut self, text: &str) -> Result<Uttered, ClientError> {
        let Some(to) = &self.to else {
            return Ok(Uttered::Impossible("to whom? /to NAME, or --to NAME at the start"));
        };
        if !self.reading.is_careful {
            // Without a key it reaches those as well who are here and have no account.
            self.speaker.request(&Request::Send { recipient: to, content: text })?;
            return Ok(Uttered::Sent);
        }
        // The same one until the server has taken or refused it: so nothing is said twice.
        let key = format!("{}-{}", self.key, self.done + 1);
        self.speaker.request(&Request::SendKept { recipient: to, content: text, key: &key })?;
        Ok(Uttered::Asked)
    }

    fn command(&mut self, word: &str, rest: &str) -> Result<Uttered, ClientError> {
        let (request, uttered) = match (word, rest) {
            ("to" | "list" | "read" | "clear", "") => {
                return Ok(Uttered::Impossible("the name is missing"));
            }
            ("delete", "") => return Ok(Uttered::Impossible("which one? /list NAME shows the ids")),
            ("to", name) => {
                self.to = Some(name.to_owned());
                return Ok(Uttered::Sent);
            }
            ("users", _) => (Request::ListUsers, Uttered::Asked),
            ("list", name) => (Request::ListMessages(name), Uttered::Asked),
            ("read", name) => (Request::MarkRead(name), Uttered::Sent),
            ("clear", name) => (Request::Clear(name), Uttered::Sent),
            ("delete", id) => (Request::DeleteMessage(id), Uttered::Sent),
            _ => return Ok(Uttered::Impossible(NO_SUCH_COMMAND)),
        };
        self.speaker.request(&request)?;
        Ok(uttered)
    }

    fn sync(&mut self) -> Result<Option<u64>, ClientError> {
        self.synced += 1;
        let nobody = format!("#{}", self.reading.sync_names.name(self.synced));
        self.speaker.request(&Request::Send { recipient: &nobody, content: "?" })?;
        Ok(Some(self.synced))
    }

    fn done(&mut self) {
        self.done += 1;
    }

    fn stay(&mut self) -> Result<(), ClientError> {
        self.speaker.request(&Request::Ping(None))
    }

    fn leave(&mut self) -> Result<Farewell, ClientError> {
        // There is no word for it. The server reads all that came before the end, and ends then.
        self.speaker.stream().shutdown(Shutdown::Write)?;
        Ok(Farewell::End)
    }

    fn help(&self) -> &'static str {
        HELP
    }

    fn prompt(&self) -> String {
        self.to.as_ref().map_or_else(|| "> ".to_owned(), |to| format!("to {to}> "))
    }

    fn is_careful(&self) -> bool {
        self.reading.is_careful
    }
}

struct MailboxEar {
    mailbox: Mailbox,
    reading: Reading,
}

impl Ear for MailboxEar {
    fn hear(&mut self, deadline: Instant) -> Result<Heard, ClientError> {
        Ok(match self.mailbox.next_reply(deadline)? {
            Reply::Message(message) => {
                let Letter { sender, content: text, .. } = message.into();
                Shown::Said { at: UnixSeconds(0), sender, text }.into()
            }
            Reply::Messages(messages) => {
                let mut shown: Vec<_> = messages.map(|message| Shown::Listed(message.into())).collect();
                if shown.is_empty() {
                    shown.push(Shown::Answer("no messages".to_owned()));
                }
                Heard { shown, sign: Some(Sign::Done) }
            }
            Reply::Users(users) => {
                let listed = users.map(|user| Shown::Answer(listed_account(user.name, user.unread)));
                Heard { shown: listed.collect(), sign: Some(Sign::Done) }
            }
            Reply::Error(reason) if self.reading.is_careful && reason == words(Problem::TooFast) => {
                Sign::TooFast.into()
            }
            Reply::Error(reason) => {
                if let Some(number) = self.reading.sync_names.number_in_words(reason) {
                    return Ok(Sign::Synced(number).into());
                }
                Heard { shown: vec![Shown::Problem(reason.to_owned())], sign: Some(Sign::Failed) }
            }
            Reply::Kept { .. } => Sign::Done.into(),
            Reply::NameKnown | Reply::NameNew | Reply::LoggedIn(_) | Reply::LoginFailed => Heard::default(),
        })
    }
}
