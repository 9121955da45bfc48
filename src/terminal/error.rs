//! Why a chat ended otherwise than by leaving, in words that say what to do.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use parlance::chat::PasswordError;
use parlance::client::{AddressError, ClientError};
use thiserror::Error;

/// Why a chat ended otherwise than by leaving.
#[derive(Debug, Error)]
pub(crate) enum ChatError {
    #[error("{0}")]
    Arguments(String),
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("{server} answered at {address}, not the {dialect} dialect: {advice}")]
    Stranger { address: String, dialect: &'static str, server: String, advice: String },
    #[error(
        "{address} took the connection, and nothing answered as the {dialect} dialect does: is {dialect} \
         spoken on that port? (What the server printed at its start says so.)"
    )]
    Silent { address: String, dialect: &'static str },
    #[error(
        "{address} took the connection, and closed it without an answer: is {dialect} spoken on that port? \
         (What the server printed at its start says so.)"
    )]
    ClosedAtOnce { address: String, dialect: &'static str },
    #[error(
        "cannot connect to {address}: {cause}. Is a server running there, and is that where it speaks {dialect}? \
         (What it printed at its start says so.)"
    )]
    Connect { address: String, dialect: &'static str, cause: ClientError },
    #[error("{name} is not let in: {reason}{advice}")]
    Refused { name: String, reason: String, advice: &'static str },
    #[error(
        "a password for {name} is wanted, and there is no terminal to ask on: --password-file FILE reads it"
    )]
    PasswordWanted { name: String },
    #[error("cannot read the password in {}: {cause}", path.display())]
    PasswordFile { path: PathBuf, cause: io::Error },
    /// It cannot be made, or the dialect cannot send it.
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("standard input has no password: {0}")]
    PasswordInput(String),
    #[error("the two passwords are not the same")]
    PasswordsDiffer,
    #[error("{0}")]
    Ended(String),
    #[error("the server did not confirm that it has everything")]
    Unconfirmed,
    #[error("not everything was said; why stands above")]
    NotAllSaid,
    #[error("cannot use the terminal: {0}")]
    Terminal(#[from] rustyline::error::ReadlineError),
    #[error("the server has refused messages as too fast for {} s", seconds)]
    TooFast { seconds: u64 },
    #[error("cannot read standard input: {0}")]
    Input(io::Error),
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    #[error("cannot start a thread or watch for signals: {0}")]
    System(io::Error),
    /// Before anything was said. Not a failure.
    #[error("no password was given")]
    Left,
}

impl ChatError {
    /// Whether it ended because somebody wanted it to: the user, or whoever read the output and has read enough.
    pub(crate) fn is_wanted(&self) -> bool {
        match self {
            Self::Left => true,
            Self::Output(cause) => cause.kind() == io::ErrorKind::BrokenPipe,
            _ => false,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Arguments(_) => ExitCode::from(2),
            Self::Address(error) if error.is_of_text() => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}
