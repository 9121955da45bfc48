//! Where a password comes from. It is never shown, and stands in no list of processes.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use parlance::limits::PASSWORD_BYTES_MAX;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Behavior, ColorMode, Config, Editor, Helper};

use super::ChatError;

/// Where the password comes from.
#[derive(Debug)]
pub(super) enum PasswordSource {
    /// The user is asked when the server wants one.
    WhenWanted,
    /// The user is asked first.
    First,
    /// The first line of a file.
    File(PathBuf),
}

impl PasswordSource {
    /// The password, where it is there before the server wants one.
    pub(super) fn at_hand(&self, name: &str) -> Result<Option<String>, ChatError> {
        match self {
            Self::WhenWanted => Ok(None),
            Self::First => ask(name, false).map(Some),
            Self::File(path) => {
                let failed = |cause| ChatError::PasswordFile { path: path.clone(), cause };
                first_line(path).map_err(failed).map(Some)
            }
        }
    }
}

fn first_line(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    // With its line end, and a byte that shows it to be too long.
    File::open(path)?.take(PASSWORD_BYTES_MAX as u64 + 3).read_to_string(&mut text)?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "its first line is empty")),
    }
}

/// Asks for a password, twice for one that makes an account: nobody sees what was typed.
pub(super) fn ask(name: &str, is_new: bool) -> Result<String, ChatError> {
    if !io::stdin().is_terminal() {
        return Err(ChatError::PasswordWanted { name: name.to_owned() });
    }
    if !is_new {
        return read(&format!("Password for {name}: "));
    }
    let password = read(&format!("A password makes the account {name}: "))?;
    let again = read("The same once more: ")?;
    if password == again { Ok(password) } else { Err(ChatError::PasswordsDiffer) }
}

fn read(prompt: &str) -> Result<String, ChatError> {
    // On the terminal, wherever standard output goes.
    let config = Config::builder()
        .behavior(Behavior::PreferTerm)
        .color_mode(ColorMode::Forced)
        .bracketed_paste(false)
        .auto_add_history(false)
        .build();
    let history = MemHistory::with_config(&config);
    let mut editor = Editor::with_history(config, history)?;
    editor.set_helper(Some(Mask));
    match editor.readline(prompt) {
        Ok(password) => Ok(password),
        Err(ReadlineError::Eof | ReadlineError::Interrupted) => Err(ChatError::Left),
        Err(error) => Err(error.into()),
    }
}

/// Shows a star for each character.
struct Mask;

impl Highlighter for Mask {
    fn highlight<'l>(&self, line: &'l str, _position: usize) -> Cow<'l, str> {
        Cow::Owned("*".repeat(line.chars().count()))
    }

    fn highlight_char(&self, _line: &str, _position: usize, kind: CmdKind) -> bool {
        // As "coloured", which keeps the editor from echoing what is typed itself.
        kind != CmdKind::MoveCursor
    }
}

impl Completer for Mask {
    type Candidate = String;
}

impl Hinter for Mask {
    type Hint = String;
}

impl Validator for Mask {}
impl Helper for Mask {}
