//! Where a password comes from. It is never shown, and stands in no list of processes.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use parlance::chat::check_password;
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

/// Bytes in front of and behind a password in its file: a byte order mark, CR LF, and one more that shows it
/// to be too long.
const BYTES_AROUND: usize = 6;

fn first_line(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take((PASSWORD_BYTES_MAX + BYTES_AROUND) as u64).read_to_end(&mut bytes)?;
    password_in(&bytes).map(str::to_owned).map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))
}

/// The first line at the start of a file, without a byte order mark and a line end of either kind. What
/// stands in further lines does not matter.
fn password_in(bytes: &[u8]) -> Result<&str, String> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("it is UTF-16; save it as UTF-8".to_owned());
    }
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    if line.len() > PASSWORD_BYTES_MAX {
        return Err(format!(
            "its first line has more than {PASSWORD_BYTES_MAX} bytes, which no password has"
        ));
    }
    match str::from_utf8(line) {
        Ok("") => Err("its first line is empty".to_owned()),
        Ok(line) => Ok(line),
        Err(_) => Err("its first line is not UTF-8".to_owned()),
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
    check_password(&password)?;
    let again = read("The same once more: ")?;
    if password == again { Ok(password) } else { Err(ChatError::PasswordsDiffer) }
}

/// The password of an account of a store: asked for twice on a terminal, otherwise the first line of standard
/// input.
pub(crate) fn for_account(name: &str) -> Result<String, ChatError> {
    if !io::stdin().is_terminal() {
        let mut bytes = Vec::new();
        let mut input = io::stdin().lock().take((PASSWORD_BYTES_MAX + BYTES_AROUND) as u64);
        input.read_to_end(&mut bytes).map_err(ChatError::Input)?;
        let password = password_in(&bytes).map_err(ChatError::PasswordInput)?;
        check_password(password)?;
        return Ok(password.to_owned());
    }
    let password = read(&format!("New password for {name}: "))?;
    check_password(&password)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_password_whatever_wrote_the_file() {
        let longest = "é".repeat(PASSWORD_BYTES_MAX / 2);
        for (file, password) in [
            ("open sesame", "open sesame"),
            ("open sesame\n", "open sesame"),
            ("open sesame\r\nmore\r\n", "open sesame"),
            ("\u{feff}open sesame\r\n", "open sesame"),
            (" blanks stay \n", " blanks stay "),
            (&format!("\u{feff}{longest}\r\n"), &longest),
        ] {
            assert_eq!(password_in(file.as_bytes()), Ok(password), "{file:?}");
        }
        assert_eq!(password_in(b"right\n\xff\xff"), Ok("right"), "only the first line counts");
        let error = |bytes: &[u8]| password_in(bytes).expect_err("no password");
        assert!(
            error(b"").contains("empty")
                && error(b"\nx").contains("empty")
                && error(b"\r\n").contains("empty")
        );
        assert!(error(b"\xff\xfeo\0p\0").contains("UTF-16"));
        assert!(error(b"\xffx\n").contains("not UTF-8"));
        assert!(error(&[b'x'; PASSWORD_BYTES_MAX + 1]).contains("more than 1024 bytes"));
    }
}
