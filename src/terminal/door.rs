//! The way in: connects and logs in, with a password if the server wants one.

use std::time::{Duration, Instant};

use parlance::client::ClientError;
use parlance::wire::Dialect;

use super::arguments::Plan;
use super::conversation::{Ear, Mouth};
use super::password::{self, PasswordSource};
use super::{ChatError, mailbox, rooms, seat};

/// How long to connect, and then to log in, may take.
pub(super) const ENTER_WITHIN: Duration = Duration::from_secs(30);

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
    let entered = match plan.dialect {
        Dialect::Typed => mailbox::enter(plan, password, deadline),
        Dialect::Tcrp | Dialect::Ucrp => seat::enter(plan, password, deadline),
        Dialect::Line | Dialect::Slash | Dialect::Gob => rooms::enter(plan, password, deadline),
    };
    entered.map_err(|error| match error {
        ClientError::Refused(reason) => {
            let advice = advice(&reason);
            ChatError::Refused { name: plan.name.clone(), reason, advice }
        }
        cause => ChatError::Connect {
            address: plan.addresses.first().map(ToString::to_string).unwrap_or_default(),
            dialect: plan.dialect.name(),
            cause,
        },
    })
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
