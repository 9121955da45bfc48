//! What is shown of what was heard, as lines that others cannot make look like something else.
//!
//! A line that somebody said starts with that one's name and a colon: names have no blanks, so that its first word ends
//! with a colon, and the first word of no other line does.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style as Look};
use parlance::chat::{UnixMillis, UnixSeconds, visible, visible_name};
use parlance::client::Letter;

/// Something to show.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Somebody said something in the room, or wrote to this user's mailbox.
    Said {
        /// When, where it is known.
        at: UnixSeconds,
        sender: String,
        text: String,
    },
    /// Somebody said something in the room before this user came.
    Past {
        /// When.
        at: UnixSeconds,
        sender: String,
        text: String,
    },
    /// Somebody said something to this user alone.
    Private { sender: String, text: String },
    /// This user's message to somebody went out.
    Sent { to: String, text: String },
    /// Something happened.
    Notice(String),
    /// Something went wrong.
    Problem(String),
    /// Something may be wrong, and the conversation goes on.
    Warning(String),
    /// An answer, which may have several lines; none of them from anybody else.
    Answer(String),
    /// A message in a list. Line and slash tell neither its id nor its recipient: both are empty.
    Listed(Letter),
}

/// How it is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    has_colours: bool,
}

impl Style {
    /// Colours if standard output is a terminal, unless the user wants none (<https://no-color.org>).
    pub(super) fn of_process() -> Self {
        let is_set = |name, value: Option<&str>| {
            std::env::var_os(name).is_some_and(|set| value.map_or(!set.is_empty(), |value| set == value))
        };
        let has_colours =
            io::stdout().is_terminal() && !is_set("NO_COLOR", None) && !is_set("TERM", Some("dumb"));
        Self { has_colours }
    }

    /// The line, with its end.
    pub(super) fn render(self, shown: &Shown) -> String {
        let name = |name: &str| self.painted(AnsiColor::Cyan.on_default().bold(), &visible_name(name));
        let faint = |text: &str| self.painted(Look::new().dimmed(), text);
        match shown {
            Shown::Said { at: UnixSeconds(0), sender, text } => {
                format!("{}: {}\n", name(sender), visible(text))
            }
            Shown::Said { at, sender, text } => {
                format!("{} {}: {}\n", faint(&clock(*at)), name(sender), visible(text))
            }
            Shown::Past { at: UnixSeconds(at), sender, text } => {
                let at = date(UnixMillis(at.saturating_mul(1000))).replace('T', " ");
                let (at, sender) = (at.trim_end_matches('Z'), visible_name(sender));
                faint(&format!("[{at}] {sender}: {}", visible(text))) + "\n"
            }
            Shown::Private { sender, text } => {
                let mark = self.painted(AnsiColor::Magenta.on_default(), "[private]");
                format!("{mark} {}: {}\n", name(sender), visible(text))
            }
            Shown::Sent { to, text } => {
                let mark = self.painted(AnsiColor::Magenta.on_default(), "->");
                format!("{mark} {}: {}\n", name(to), visible(text))
            }
            Shown::Notice(text) => faint(&format!("*** {}", visible(text))) + "\n",
            Shown::Problem(text) | Shown::Warning(text) => {
                self.painted(AnsiColor::Red.on_default(), &format!("! {}", visible(text))) + "\n"
            }
            Shown::Answer(text) => text.lines().map(|line| visible(line) + "\n").collect(),
            Shown::Listed(Letter { id, at, sender, recipient: _, content, unread: _ }) if id.is_empty() => {
                format!("  {} {}: {}\n", faint(&date(*at)), name(sender), visible(content))
            }
            Shown::Listed(Letter { id, at, sender, recipient, content, unread }) => {
                let (at, id) = (faint(&date(*at)), faint(&visible(id)));
                let mark = if *unread { " (unread)" } else { "" };
                let (sender, recipient) = (name(sender), name(recipient));
                format!("  {at} {id}{mark}\n    {sender} to {recipient}: {}\n", visible(content))
            }
        }
    }

    /// Writes it to standard output, for when no line is being edited. Where nobody watches, what went wrong goes to
    /// standard error, as the rest of what a program has to say.
    pub(super) fn print(self, shown: &Shown, is_watched: bool) -> io::Result<()> {
        match shown {
            Shown::Problem(text) | Shown::Warning(text) if !is_watched => {
                // Where standard error is closed or full, the exit status has to say it all.
                let _ = writeln!(io::stderr(), "parlance: {}", visible(text));
                Ok(())
            }
            _ => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(self.render(shown).as_bytes())?;
                stdout.flush()
            }
        }
    }

    fn painted(self, look: Look, text: &str) -> String {
        if self.has_colours { format!("{look}{text}{look:#}") } else { text.to_owned() }
    }
}

/// The time of the day, in UTC as the dialects have it.
fn clock(UnixSeconds(at): UnixSeconds) -> String {
    let second = at % 86_400;
    format!("[{:02}:{:02}:{:02}]", second / 3600, second / 60 % 60, second % 60)
}

/// The date of a day, in UTC.
pub(super) fn day(UnixSeconds(at): UnixSeconds) -> String {
    date(UnixMillis(at.saturating_mul(1000)))[.."2026-12-31".len()].to_owned()
}

/// Date and time, in UTC.
pub(crate) fn date(UnixMillis(at): UnixMillis) -> String {
    // Later than the year 9999 is nothing that can be written.
    let at = std::time::Duration::from_millis(at.min(253_402_300_799_000));
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style { has_colours: false };

    fn said(sender: &str, text: &str) -> Shown {
        Shown::Said { at: UnixSeconds(0), sender: sender.into(), text: text.into() }
    }

    #[test]
    fn nobody_steers_the_terminal_or_looks_like_somebody_else() {
        for (text, shown) in [
            ("hi", "bob: hi\n"),
            ("hi\n", "bob: hi\n"),
            ("hi\nalice: bye\r\nx", "bob: hi ⏎ alice: bye ⏎ x\n"),
            (
                "a\u{1b}[2Jb\rc\u{9b}d\u{202e}e\u{2028}f",
                "bob: a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f\n",
            ),
            ("tab\there", "bob: tab\there\n"),
        ] {
            assert_eq!(PLAIN.render(&said("bob", text)), shown);
        }
        assert_eq!(PLAIN.render(&said("b\u{1b}ob\n", "x")), "b\u{fffd}ob: x\n");
        for shown in [
            Shown::Private { sender: "bob".into(), text: "x\ny".into() },
            Shown::Sent { to: "bob".into(), text: "x".into() },
            Shown::Notice("bob joined".into()),
            Shown::Problem("no".into()),
        ] {
            let line = PLAIN.render(&shown);
            assert_eq!(line.lines().count(), 1, "{line}");
            assert!(!line.split(' ').next().is_some_and(|word| word.ends_with(':')), "{line}");
        }
    }

    #[test]
    fn colours_end_with_their_line() {
        let line = Style { has_colours: true }.render(&said("bob", "x"));
        assert!(line.contains("\u{1b}[0m: x\n"), "{line:?}");
    }

    #[test]
    fn times_are_told_where_they_are_known() {
        let shown = Shown::Said { at: UnixSeconds(86_400 + 3661), sender: "bob".into(), text: "x".into() };
        assert_eq!(PLAIN.render(&shown), "[01:01:01] bob: x\n");
        assert_eq!(date(UnixMillis(1_700_000_000_000)), "2023-11-14T22:13:20Z");
        assert_eq!(date(UnixMillis(u64::MAX)), "9999-12-31T23:59:59Z");
    }
}
