//! The vocabulary that every part of Parlance shares.
//!
//! Dialects turn bytes into a [`Command`] and an [`Event`] into bytes; the engine turns the one into the other.
//! Nothing here knows a socket, a clock or a dialect, and nothing here depends on another module.

mod command;
mod event;
mod id;
mod name;
mod password;
mod text;
mod time;

pub use command::{Command, Phase, Secret};
pub use event::{Departure, Event, Problem, Usage};
pub use id::{ConnId, RoomId};
pub use name::{Folded, Name, NameError, RoomName, RoomNameError};
pub use password::{PasswordHash, PasswordHashError, PasswordOutcome, PasswordTask};
pub use text::is_disruptive;
pub use time::{Now, UnixSeconds};
