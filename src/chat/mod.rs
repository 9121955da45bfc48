//! The vocabulary that every part of Parlance shares.
//!
//! Dialects turn bytes into a [`Command`] and an [`Event`] into bytes; the engine turns the one into the other.
//! Nothing here knows a socket, a clock or a dialect, and nothing here depends on another module.

mod close_reason;
mod command;
mod event;
mod id;
mod kept;
mod mail;
mod name;
mod op;
mod password;
mod refused;
mod reserved;
mod retention;
mod skeleton;
mod text;
mod time;
mod token;

pub use close_reason::CloseReason;
pub use command::{Command, Entrance, Phase, Secret};
pub use event::{Departure, Event, List, ListKind, Problem, Usage};
pub use id::{ConnId, ListenerId, OP_ID_BYTES, OpId, RoomId};
pub use kept::{Kept, Letter, Page, RoomMessage, RoomSummary};
pub use mail::{Mail, NO_ACCOUNT};
pub use name::{Folded, Name, NameError, RoomName, RoomNameError, SERVER_NAME};
pub use op::{Change, Op, Seat};
pub(crate) use password::check_sendable;
pub use password::{
    PasswordError, PasswordHash, PasswordHashError, PasswordOutcome, PasswordTask, check_password,
};
pub use refused::Refused;
pub use reserved::{RESERVED_NAMES, ReservedNames};
pub use retention::{HistoryRule, HistoryRules, RoomPattern, too_old};
pub use skeleton::Skeleton;
pub use text::{is_disruptive, visible, visible_lines, visible_name, without_mark};
pub use time::{Now, UnixMillis, UnixSeconds};
pub use token::{TOKEN_TEXT_BYTES, Token, TokenText};
