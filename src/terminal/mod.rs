//! `parlance chat`: a terminal, or a pipe, as a client of any dialect.
//!
//! Three threads: one hears what comes ([`conversation::Ear`]) and prints it, one reads what is typed ([`keyboard`]), and
//! the first one says it ([`conversation::Mouth`]), and decides when it is over.

mod above;
mod arguments;
mod conversation;
mod door;
mod error;
mod keyboard;
mod mailbox;
mod password;
mod rooms;
mod screen;
mod seat;
mod sync_name;

use std::io::{self, IsTerminal};

pub(crate) use arguments::ChatArguments;
pub(crate) use error::ChatError;
pub(crate) use password::for_account as password_for_account;
pub(crate) use screen::date;

use conversation::Conversation;
use keyboard::Keyboard;
use screen::Style;

/// Talks until the user leaves.
pub(crate) fn run(arguments: &ChatArguments) -> Result<(), ChatError> {
    let mut plan = arguments.plan()?;
    let is_interactive = io::stdin().is_terminal() && io::stdout().is_terminal();
    let (keyboard, printer) = if is_interactive { Keyboard::editor()? } else { (Keyboard::lines(), None) };
    // A terminal that cannot be edited on is read like a pipe.
    plan.is_careful = printer.is_none();
    let ((mouth, ear), contact) = door::enter(&plan)?;
    Conversation::new(mouth, Style::of_process(), contact).hold(ear, keyboard, printer)
}
