//! Why a client could not do what it was asked to.

use std::io;

use thiserror::Error;

use super::connect::Attempts;
use super::stranger::Stranger;
use crate::wire::{DecodeError, Unsayable, typed};

/// Why a client could not do what it was asked to.
///
/// The words of a refusal or a failure are the server's: a program that shows them on a terminal passes them
/// through [`visible`](crate::chat::visible) first.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(io::Error),
    /// No address of the server took a connection.
    #[error("{0}")]
    Unreachable(Attempts),
    /// Something else answered.
    #[error("{0} answered")]
    Stranger(Stranger),
    /// A datagram did not arrive, or the network says so of one. The next one may arrive.
    #[error("the datagram did not arrive: {0}")]
    Undelivered(io::Error),
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// Nothing came, or the server took nothing, before the deadline.
    #[error("nothing came before the deadline")]
    Deadline,
    /// The server sent what is no frame of the dialect.
    #[error("the server sent what cannot be read: {0}")]
    Decode(#[from] DecodeError),
    /// The dialect has no words for it.
    #[error(transparent)]
    Unsayable(#[from] Unsayable),
    /// The frame would be longer than the dialect allows.
    #[error("this is longer than the dialect allows")]
    TooLong(#[from] typed::TooLong),
    /// The server does not let this name in; what it said.
    #[error("the login was refused: {0}")]
    Refused(String),
    /// The name has an account, whose password was not given.
    #[error("the login was refused: a password is required")]
    PasswordWanted,
    /// The server could not do what it was asked to; what it said.
    #[error("the server could not do it: {0}")]
    Failed(String),
}

/// A timeout of a socket is a deadline. A network that gave the connection up (`ETIMEDOUT`) is not.
impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock => Self::Deadline,
            io::ErrorKind::TimedOut if error.raw_os_error().is_none() => Self::Deadline,
            _ => Self::Io(error),
        }
    }
}
