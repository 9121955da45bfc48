//! What the program prints. Output that is closed or full is no reason to panic, and server texts steer no
//! terminal.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use parlance::chat::visible_lines;

/// Prints to standard output. That its reader has read enough is no failure.
pub(crate) fn print(text: &impl Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let text = text.to_string();
    match stdout.write_all(visible_lines(&text).as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Says something on standard error. Where that is closed or full, the exit status has to say it all.
pub(crate) fn tell(text: &impl Display) {
    let text = text.to_string();
    let _ = writeln!(io::stderr(), "{}", visible_lines(&text));
}

/// The same of what went wrong.
pub(crate) fn complain(text: &impl Display) {
    tell(&format_args!("loadgen: {text}"));
}
