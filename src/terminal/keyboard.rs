//! Lines as they are typed, on a terminal with an editor and a history, or as they come.

use std::io::{self, BufRead, BufReader, Read, Stdin};
use std::sync::mpsc::{Receiver, Sender};

use parlance::chat::without_mark;
use parlance::limits::TYPED_REQUEST_BYTES_MAX;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor};

use super::ChatError;
use super::above::{Above, EditorState};
use super::conversation::Happened;

/// Bytes of a line that somebody could say in some dialect; of a longer one no more is kept.
const LINE_BYTES_MAX: usize = TYPED_REQUEST_BYTES_MAX;

/// Where lines come from.
pub(super) enum Keyboard {
    /// A terminal.
    Editor(Box<Editor<(), MemHistory>>, EditorState),
    /// Anything else; whether its first line was read, in front of which a byte order mark may stand.
    Lines(BufReader<Stdin>, bool),
}

impl Keyboard {
    /// The editor of the terminal, and what prints above it; or lines as they come, where the terminal has no cursor.
    pub(super) fn editor() -> Result<(Self, Option<Above>), ChatError> {
        // What is pasted is said line by line, as if it had been typed.
        let config = Config::builder().auto_add_history(false).bracketed_paste(false).build();
        let history = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, history)?;
        match editor.create_external_printer() {
            Ok(printer) => {
                let state = EditorState::new();
                let above = Above::new(Box::new(printer), state.clone());
                Ok((Self::Editor(Box::new(editor), state), Some(above)))
            }
            Err(_) => Ok((Self::lines(), None)),
        }
    }

    pub(super) fn lines() -> Self {
        Self::Lines(BufReader::new(io::stdin()), false)
    }

    /// Reads a line for each prompt, and tells each, until there are no more. An editor goes on after the
    /// end: something can still wait to be printed above a line.
    pub(super) fn read(mut self, prompts: &Receiver<String>, tell: &Sender<Happened>) {
        while let Ok(prompt) = prompts.recv() {
            let happened = self.next(&prompt);
            let is_last = match happened {
                Happened::Left => matches!(self, Self::Lines(..)),
                ref happened => matches!(happened, Happened::Failed(_)),
            };
            if tell.send(happened).is_err() || is_last {
                return;
            }
        }
    }

    fn next(&mut self, prompt: &str) -> Happened {
        match self {
            Self::Editor(editor, state) => match state.during(prompt, |prompt| editor.readline(prompt)) {
                Ok(line) => {
                    if !has_password(&line) {
                        // It is in memory only, where there is space for it.
                        let _ = editor.add_history_entry(&line);
                    }
                    Happened::Typed(line)
                }
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => Happened::Left,
                Err(error) => Happened::Failed(error.into()),
            },
            Self::Lines(input, is_begun) => match next_line(input) {
                Ok(Some(Ok(line))) if !std::mem::replace(is_begun, true) => {
                    Happened::Typed(without_mark(&line).to_owned())
                }
                Ok(Some(Ok(line))) => Happened::Typed(line),
                Ok(Some(Err(problem))) => Happened::Unsayable(problem),
                Ok(None) => Happened::Left,
                Err(error) => Happened::Failed(ChatError::Input(error)),
            },
        }
    }
}

/// Whether a line is a command with a password in it, which the history of the editor is not to show again.
fn has_password(line: &str) -> bool {
    let word = line.split_whitespace().next().unwrap_or_default();
    ["/login", "/register", "/password", "/unregister"].contains(&word)
}

/// The next line without its end, or why it is none that can be said.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<Result<String, &'static str>>> {
    let mut line = Vec::new();
    input.by_ref().take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.len() > LINE_BYTES_MAX && line.last() != Some(&b'\n') {
        input.skip_until(b'\n')?;
        return Ok(Some(Err("a line is too long, and was not said")));
    }
    Ok(Some(match String::from_utf8(line) {
        Ok(line) => Ok(line),
        Err(_) => Err("a line is not UTF-8, and was not said"),
    }))
}

/// The terminal as it was: whoever edits a line changes it, and may not be there any more to change it back.
pub(super) struct TerminalState(Termios);

impl TerminalState {
    /// Nothing, where standard input is no terminal.
    pub(super) fn now() -> Option<Self> {
        tcgetattr(io::stdin()).ok().map(Self)
    }
}

impl Drop for TerminalState {
    fn drop(&mut self) {
        // Without a terminal there is nothing to be put right.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_passwords_are_told_from_others() {
        for line in ["/register a", " /password a b", "/unregister a", "/login bob a", "/register"] {
            assert!(has_password(line), "{line}");
        }
        for line in ["", "hi", "/who", "/registers", "//register a", "register a"] {
            assert!(!has_password(line), "{line}");
        }
    }

    #[test]
    fn lines_end_and_are_bounded() {
        let long = "x".repeat(3 * LINE_BYTES_MAX);
        let fits = "y".repeat(LINE_BYTES_MAX - 1);
        let input = format!("one\r\n\n{long}\n{fits}\nlast");
        let mut input = input.as_bytes();
        let mut next = || next_line(&mut input).expect("a slice can be read");
        assert_eq!(next(), Some(Ok("one\r\n".to_owned())));
        assert_eq!(next(), Some(Ok("\n".to_owned())));
        assert!(matches!(next(), Some(Err(_))));
        assert_eq!(next(), Some(Ok(fits + "\n")));
        assert_eq!(next(), Some(Ok("last".to_owned())));
        assert_eq!(next(), None);
        assert!(matches!(next_line(&mut &b"\xff\nx"[..]).expect("read"), Some(Err(_))));
    }
}
