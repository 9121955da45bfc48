//! The way in: connects and logs in, with a password if the server wants one.

use std::io::{self, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use parlance::client::{self, ClientError, Stranger};
use parlance::limits::ATTEMPTS_WAIT_SECONDS_MAX;
use parlance::wire::Dialect;

use super::arguments::Plan;
use super::conversation::{Ear, Mouth};
use super::password::{self, PasswordSource};
use super::{ChatError, mailbox, rooms, seat};

/// How long to connect, and then to log in, may take: longer than a server delays a password whose name others attack.
pub(super) const ENTER_WITHIN: Duration = Duration::from_secs(2 * ATTEMPTS_WAIT_SECONDS_MAX);

/// Delay before the user is told about a pending connection or login.
const QUIET_FOR: Duration = Duration::from_millis(1500);

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
pub(super) fn enter(plan: &Plan) -> Result<Halves, ChatError> {
    let at_hand = match (&plan.password, plan.dialect) {
        // There it is always wanted, and it is known by then whether it makes the account.
        (PasswordSource::First, Dialect::Typed) => None,
        (password, _) => password.at_hand(&plan.name)?,
    };
    let is_new = match attempt(plan, at_hand.as_deref())? {
        Entered::In(halves) => return Ok(halves),
        Entered::PasswordWanted { is_new } => is_new,
    };
    let password = password::ask(&plan.name, is_new)?;
    match attempt(plan, Some(&password))? {
        Entered::In(halves) => Ok(halves),
        Entered::PasswordWanted { .. } => Err(ChatError::PasswordWanted { name: plan.name.clone() }),
    }
}

fn attempt(plan: &Plan, password: Option<&str>) -> Result<Entered, ChatError> {
    let deadline = Instant::now() + ENTER_WITHIN;
    let (place, dialect) = (&plan.place, plan.dialect.name());
    let connecting = tell_if_slow(format!("no connection to {place} yet; still trying"));
    let stream = client::connect(&plan.addresses[..], deadline);
    drop(connecting);
    let entered = stream.and_then(|stream| {
        let _entering = tell_if_slow(format!(
            "connected to {place}, and no answer to the login in the {dialect} dialect yet; still waiting. \
             Is that the right port?"
        ));
        match plan.dialect {
            Dialect::Typed => mailbox::enter(plan, stream, password, deadline),
            Dialect::Tcrp | Dialect::Ucrp => seat::enter(plan, stream, password, deadline),
            Dialect::Line | Dialect::Slash | Dialect::Gob => rooms::enter(plan, stream, password, deadline),
        }
    });
    entered.map_err(|error| failed(plan, error))
}

fn failed(plan: &Plan, error: ClientError) -> ChatError {
    let (address, dialect) = (plan.place.to_string(), plan.dialect.name());
    match error {
        ClientError::Refused(reason) => {
            let advice = advice(&reason);
            ChatError::Refused { name: plan.name.clone(), reason, advice }
        }
        ClientError::Stranger(server) => {
            let advice = match server {
                Stranger::Dialect(spoken) if spoken != Dialect::Ucrp => {
                    let spoken = spoken.name();
                    format!("--dialect {spoken} speaks it, or another port has {dialect}")
                }
                _ => "what a Parlance server printed at its start says where it listens".to_owned(),
            };
            ChatError::Stranger { address, dialect, server, advice }
        }
        ClientError::Deadline => ChatError::Silent { address, dialect },
        cause => ChatError::Connect { address, dialect, cause },
    }
}

/// Tells the user something on standard error, unless what is returned is dropped before long.
pub(super) fn tell_if_slow(text: String) -> Option<Sender<()>> {
    let (done, is_done) = channel();
    let told = thread::Builder::new().name("patience".to_owned()).spawn(move || {
        if is_done.recv_timeout(QUIET_FOR) == Err(RecvTimeoutError::Timeout) {
            let _ = writeln!(io::stderr(), "parlance: {text}");
        }
    });
    // Without a thread nothing is told.
    told.ok().map(|_| done)
}

/// What to do about a refusal, behind the words that all dialects share for it.
fn advice(reason: &str) -> &'static str {
    if reason.contains("password") {
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
