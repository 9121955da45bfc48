//! The way in: connects and logs in, with a password if the server wants one.

use std::io::{self, ErrorKind, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use parlance::chat::Problem;
use parlance::chat::check_password;
use parlance::client::{self, ClientError, FirstBytes, Opened, Stranger};
use parlance::limits::ATTEMPTS_WAIT_SECONDS_MAX;
use parlance::wire::{Dialect, words};

use super::arguments::Plan;
use super::conversation::{Ear, Mouth};
use super::password::{self, PasswordSource};
use super::{ChatError, mailbox, rooms, seat};

/// Limit for the connection, and then for the login: longer than the server's delay for a password of an
/// attacked name.
pub(super) const ENTER_WITHIN: Duration = Duration::from_secs(2 * ATTEMPTS_WAIT_SECONDS_MAX);

/// Delay before a notice to the user about a pending connection or login.
const QUIET_FOR: Duration = Duration::from_millis(1500);

/// Passwords that a user is asked for, in all. A server refuses further ones of a name for a minute after five.
const PASSWORD_TRIES: u32 = 3;

/// The two halves of a client that is let in.
pub(super) type Halves = (Box<dyn Mouth>, Box<dyn Ear>);

/// What came of an attempt to enter.
pub(super) enum Entered {
    /// It is let in.
    In(Halves),
    /// Not without a password.
    PasswordWanted {
        /// Whether the password makes the account.
        is_new: bool,
    },
}

/// Enters. The connection on which a password turned out to be wanted is not kept while the user thinks of it: the server
/// may have closed it by then.
pub(super) fn enter(plan: &Plan) -> Result<(Halves, Contact), ChatError> {
    let at_hand = match (&plan.password, plan.dialect) {
        // There it is always wanted, and it is known by then whether it makes the account.
        (PasswordSource::First, Dialect::Typed) => None,
        (password, _) => password.at_hand(&plan.name)?,
    };
    let mut is_asked = matches!(plan.password, PasswordSource::First) && at_hand.is_some();
    let mut password = at_hand;
    let mut tries_left = PASSWORD_TRIES;
    loop {
        let contact = Contact::new(plan);
        let is_new = match attempt(plan, &contact, password.as_deref()) {
            Ok(Entered::In(halves)) => return Ok((halves, contact)),
            Ok(Entered::PasswordWanted { is_new }) if password.is_none() => is_new,
            Ok(Entered::PasswordWanted { .. }) => {
                return Err(ChatError::PasswordWanted { name: plan.name.clone() });
            }
            Err(ChatError::Refused { reason, .. }) if is_asked && tries_left > 0 && is_wrong(&reason) => {
                // Standard error may be closed: the question that follows says as much.
                let _ = writeln!(io::stderr(), "parlance: {reason}; try again");
                false
            }
            Err(error) => return Err(error),
        };
        password = Some(password::ask(&plan.name, is_new)?);
        (is_asked, tries_left) = (true, tries_left.saturating_sub(1));
    }
}

/// Whether a refusal is about the password that was given. Typed has more words for it.
fn is_wrong(reason: &str) -> bool {
    reason.starts_with(&*words(Problem::WrongPassword))
}

/// The client's target and its first bytes, for the texts of errors.
pub(super) struct Contact {
    address: String,
    dialect: Dialect,
    first_bytes: FirstBytes,
}

impl Contact {
    fn new(plan: &Plan) -> Self {
        let first_bytes = FirstBytes::default();
        Self { address: plan.place.to_string(), dialect: plan.dialect, first_bytes }
    }

    /// The error that names a server of another kind, or shows the first bytes of an unknown one.
    pub(super) fn stranger(&self, error: &ClientError) -> Option<ChatError> {
        let (address, dialect) = (self.address.clone(), self.dialect.name());
        let (server, advice) = match error {
            ClientError::Stranger(server) => (server.to_string(), advice_at_stranger(*server, dialect)),
            ClientError::Io(_) | ClientError::Closed | ClientError::Deadline | ClientError::Decode(_) => {
                let sent = self.first_bytes.describe()?;
                let advice = format!("it sent {sent}. W{}", &WHERE_IT_LISTENS[1..]);
                ("an unknown server".to_owned(), advice)
            }
            ClientError::Unreachable(_)
            | ClientError::Undelivered(_)
            | ClientError::Unsayable(_)
            | ClientError::TooLong(_)
            | ClientError::Refused(_)
            | ClientError::PasswordWanted
            | ClientError::Failed(_) => return None,
        };
        Some(ChatError::Stranger { address, dialect, server, advice })
    }
}

const WHERE_IT_LISTENS: &str = "what a Parlance server printed at its start says where it listens";

fn advice_at_stranger(server: Stranger, dialect: &str) -> String {
    match server {
        Stranger::Dialect(spoken) if spoken != Dialect::Ucrp => {
            let spoken = spoken.name();
            format!("--dialect {spoken} speaks it, or another port has {dialect}")
        }
        _ => WHERE_IT_LISTENS.to_owned(),
    }
}

fn attempt(plan: &Plan, contact: &Contact, password: Option<&str>) -> Result<Entered, ChatError> {
    if let Some(password) = password
        && matches!(plan.dialect, Dialect::Line | Dialect::Slash)
    {
        check_password(password)?;
    }
    let deadline = Instant::now() + ENTER_WITHIN;
    let (place, dialect) = (plan.place.to_string(), plan.dialect.name());
    let not_yet = format!("no connection to {place} yet; still trying");
    let connecting = tell_if_slow(|| not_yet);
    let stream = client::connect(&plan.addresses[..], deadline);
    drop(connecting);
    let entered = stream.and_then(|stream| {
        let first_bytes = contact.first_bytes.clone();
        let _entering = tell_if_slow(move || {
            let so_far = match first_bytes.describe() {
                Some(sent) => format!("{place} sent {sent}, and no answer"),
                None => format!("connected to {place}, and no answer"),
            };
            format!(
                "{so_far} to the login in the {dialect} dialect yet; still waiting. Is that the right port?"
            )
        });
        let opened = Opened { stream, first_bytes: contact.first_bytes.clone() };
        match plan.dialect {
            Dialect::Typed => mailbox::enter(plan, opened, password, deadline),
            Dialect::Tcrp | Dialect::Ucrp => seat::enter(plan, opened, password, deadline),
            Dialect::Line | Dialect::Slash | Dialect::Gob => rooms::enter(plan, opened, password, deadline),
        }
    });
    entered.map_err(|error| failed(plan, contact, error))
}

fn failed(plan: &Plan, contact: &Contact, error: ClientError) -> ChatError {
    if let Some(stranger) = contact.stranger(&error) {
        return stranger;
    }
    let (address, dialect) = (plan.place.to_string(), plan.dialect.name());
    match error {
        ClientError::Refused(reason) => {
            let advice = advice(&reason);
            ChatError::Refused { name: plan.name.clone(), reason, advice }
        }
        ClientError::Deadline => ChatError::Silent { address, dialect },
        ClientError::Closed => ChatError::ClosedAtOnce { address, dialect },
        ClientError::Io(cause)
            if matches!(cause.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) =>
        {
            ChatError::ClosedAtOnce { address, dialect }
        }
        cause => ChatError::Connect { address, dialect, cause },
    }
}

/// Tells the user something on standard error, unless what is returned is dropped before long.
pub(super) fn tell_if_slow(text: impl FnOnce() -> String + Send + 'static) -> Option<Sender<()>> {
    let (done, is_done) = channel();
    let told = thread::Builder::new().name("patience".to_owned()).spawn(move || {
        if is_done.recv_timeout(QUIET_FOR) == Err(RecvTimeoutError::Timeout) {
            let _ = writeln!(io::stderr(), "parlance: {}", text());
        }
    });
    // Without a thread nothing is told.
    told.ok().map(|_| done)
}

/// The start of the words for a password whose name has no account.
const NO_ACCOUNT: &str = "there is no account ";

/// What to do about a refusal, behind the words that all dialects share for it.
fn advice(reason: &str) -> &'static str {
    if reason.starts_with(NO_ACCOUNT) {
        ". Without a password you are let in as a stranger; in line and slash, /register makes an account"
    } else if reason.contains("password") {
        ". --password asks for it, --password-file FILE reads it"
    } else if reason.contains("such a room already") {
        ". Without --create you join it"
    } else if reason.contains("no such room") {
        ". --create makes it"
    } else if reason.contains("name") && !reason.contains("room's name") {
        ". Choose another with --as"
    } else {
        ""
    }
}
