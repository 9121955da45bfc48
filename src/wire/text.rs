//! What dialects share: words, text that stays on its line, and the words for what the server itself has to
//! say.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use arrayvec::ArrayString;

use super::{DecodeError, Unsayable};
use crate::chat::{
    Command, Event, NO_ACCOUNT, NameError, Phase, Problem, RoomNameError, Secret, UnixSeconds, Usage,
    check_password, is_disruptive,
};
use crate::limits::{NAME_BYTES_MAX, TEXT_LINES_MAX};

/// Who speaks where a dialect has no other way for the server to say something. No user can have the name.
pub(super) const SERVER: &str = crate::chat::SERVER_NAME;
/// What a direct message starts with in the dialects that have texts only.
pub(super) const PRIVATE_COMMAND: &str = "/msg ";
/// Behind the sender of a direct message, in the dialects that have nothing else to tell it by. Names have no blanks.
const PRIVATE_MARK: &str = " (private)";

/// Behind these stands the number of bytes.
const NAME_TOO_SHORT: &str = "the name is too short, bytes needed: ";
const NAME_TOO_LONG: &str = "the name is too long, bytes allowed: ";
const NAME_CHARACTERS: &str = "names are 1 to 32 bytes of letters, digits and ASCII symbols, \
    without blanks, and do not start with # / or :";
const _: () = assert!(NAME_BYTES_MAX == 32, "as the words say");
const NAME_RESERVED: &str = "the name is reserved";
const NAME_LOOK_ALIKE: &str = "the name looks like one that is reserved or has an account";

/// In front of the name that a session has.
pub(crate) const YOUR_NAME: &str = "your name here is ";

/// Answers to the commands of accounts.
pub(super) const ACCOUNT_MADE: &str = "account created";
pub(super) const PASSWORD_CHANGED: &str = "password changed";
pub(super) const ACCOUNT_ENDED: &str = "account deleted";

/// The texts for a session that ends because of its name.
pub(super) const REPLACED: &str = "replaced by a new login";
pub(super) const NAME_REGISTERED: &str = "the name has an account now";
pub(super) const ACCOUNT_DELETED: &str = "the account was deleted";

/// Understands a text in a dialect that has texts only: it is said in the room, or is a direct message.
#[inline]
pub(super) fn said(text: &str) -> Command<'_> {
    if text.starts_with('/') { command(text).unwrap_or(Command::Say(text)) } else { Command::Say(text) }
}

/// The command that a text starting with `/` stands for. Other such texts are said in the room.
fn command(text: &str) -> Option<Command<'_>> {
    let (word, rest) = split_word(text);
    Some(match word {
        "/msg" | "/pm" if text.len() > word.len() => {
            let (to, text) = split_word(rest);
            Command::Direct { to, text }
        }
        "/login" => {
            let (name, password) = split_word(rest);
            Command::Login { name, password: Some(Secret(password)) }
        }
        "/register" => Command::MakeAccount(Secret(rest)),
        "/password" => two_passwords(rest),
        "/unregister" => Command::EndAccount(Secret(rest)),
        "/who" if rest.is_empty() => Command::Users,
        "/join" => Command::Join(rest.strip_prefix('#').unwrap_or(rest)),
        "/leave" if rest.is_empty() => Command::Leave,
        _ => return None,
    })
}

/// The old password and the new one. A blank separates the two, so that neither can have one; with more or
/// fewer words, both are empty, which the engine answers with the usage.
pub(super) fn two_passwords(text: &str) -> Command<'_> {
    let (old, new) = match split_word(text) {
        (old, new) if is_word(new) => (old, new),
        _ => ("", ""),
    };
    Command::ChangePassword { old: Secret(old), new: Secret(new) }
}

/// Appends a command of an account as the texts and the slash commands have it.
pub(super) fn push_account_command(command: &Command<'_>, out: &mut Vec<u8>) -> Result<(), Unsayable> {
    let (word, first, second) = match *command {
        Command::MakeAccount(Secret(password)) if check_password(password).is_ok() => {
            ("/register ", password, None)
        }
        Command::EndAccount(Secret(password)) if check_password(password).is_ok() => {
            ("/unregister ", password, None)
        }
        Command::ChangePassword { old: Secret(old), new: Secret(new) } if is_word(old) && is_word(new) => {
            ("/password ", old, Some(new))
        }
        _ => return Err(Unsayable),
    };
    push(out, &[word]);
    push_visible(out, first);
    if let Some(second) = second {
        push(out, &[" "]);
        push_visible(out, second);
    }
    Ok(())
}

/// Understands what follows the command for mail. `clear` is the word in front of a name whose conversation
/// is to go; alone, it is a name like others.
pub(super) fn mail<'a>(clear: &str, rest: &'a str) -> Command<'a> {
    match split_word(rest) {
        ("", _) => Command::Mailbox,
        (word, with) if word == clear && !with.is_empty() && with != NO_ACCOUNT => Command::ClearMail(with),
        _ => Command::ReadMail(rest),
    }
}

/// Whether a name, which may be marked as that of people without an account, is read back as it is.
pub(super) fn is_mail_name(name: &str) -> bool {
    match split_word(name) {
        (name, "") => is_word(name),
        (name, mark) => is_word(name) && mark == NO_ACCOUNT,
    }
}

/// The sender of a direct message, marked as that.
pub(super) struct Private(ArrayString<{ NAME_BYTES_MAX + PRIVATE_MARK.len() }>);

impl Private {
    pub(super) fn of(sender: &str) -> Self {
        let mut marked = ArrayString::new();
        // Names fit; another text would stay as it is.
        if marked.try_push_str(sender).is_ok() && marked.try_push_str(PRIVATE_MARK).is_err() {
            marked.clear();
        }
        Self(marked)
    }

    pub(super) fn strip(sender: &str) -> Option<&str> {
        sender.strip_suffix(PRIVATE_MARK)
    }
}

impl std::ops::Deref for Private {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// What [`SERVER`] says of an event that a dialect has no frame for; nothing, where that is better.
pub(super) fn told<'a>(event: &Event<'a>) -> Option<Cow<'a, str>> {
    Some(match *event {
        Event::YouRenamed(name) => format!("{YOUR_NAME}{name}").into(),
        Event::Renamed { old, new } => format!("{old} is now known as {new}").into(),
        Event::Missed(count) => format!("{count} messages missed").into(),
        Event::ShuttingDown => "server shutting down".into(),
        Event::AccountMade => ACCOUNT_MADE.into(),
        Event::PasswordChanged => PASSWORD_CHANGED.into(),
        Event::AccountEnded => ACCOUNT_ENDED.into(),
        Event::YouJoined(room) | Event::YouReturned(room) => format!("you are in {room}").into(),
        Event::UsersBegin { room, count } => format!("in {room}: {count}").into(),
        Event::LoginRefused(problem) | Event::Error(problem) => words(problem),
        _ => return None,
    })
}

/// A problem in words, for the dialects that have no word of their own for each, and for people who use a client.
pub fn words(problem: Problem<'_>) -> Cow<'_, str> {
    match problem {
        Problem::NameTaken => "the name is taken",
        Problem::Name(NameError::TooShort { min }) => return format!("{NAME_TOO_SHORT}{min}").into(),
        Problem::Name(NameError::TooLong { max }) => return format!("{NAME_TOO_LONG}{max}").into(),
        Problem::Name(NameError::Character) => NAME_CHARACTERS,
        Problem::NameReserved => NAME_RESERVED,
        Problem::NameLookAlike => NAME_LOOK_ALIKE,
        Problem::NameHasAccount => "the name has an account: only a login with its password takes it",
        Problem::NoAccount(name) => return format!("there is no account {name}").into(),
        Problem::AccountExists => "the name has an account already",
        Problem::NotRegistered => "your name has no account",
        Problem::NoPasswordsHere => {
            "this is not possible in datagrams: the network could read the password; use another dialect"
        }
        Problem::NotInSeats => "this is not possible here: a token is for one room",
        Problem::WrongPassword => "wrong password",
        Problem::TooManyAttempts => "too many wrong passwords; try again later",
        Problem::Busy => "busy; try again later",
        Problem::NotKept => "nothing can be kept at the moment; try again later",
        Problem::TooManyAccounts => "there are too many accounts",
        Problem::TooManyNewAccounts { retry_seconds } => {
            return format!("too many new accounts from your address; try again in {retry_seconds} seconds")
                .into();
        }
        Problem::PasswordUnusable => "this can not be a password",
        Problem::AlreadyLoggedIn => "already logged in",
        Problem::MustLogin => "not logged in",
        Problem::UserNotFound(name) => return format!("there is no {name} here").into(),
        Problem::RoomName(RoomNameError::Empty) => "the room has no name",
        Problem::RoomName(RoomNameError::TooLong) => "the room's name is too long",
        Problem::RoomName(RoomNameError::Character) => {
            "the room's name has a character that names do not have"
        }
        Problem::AlreadyInRoom => "already in that room",
        Problem::TooManyRoomsOfSession => "you have too many rooms",
        Problem::TooManyRoomsOfAddress => "too many rooms were made from your address",
        Problem::TooManyRooms => "there are too many rooms",
        Problem::RoomExists => "there is such a room already",
        Problem::NoSuchRoom => "there is no such room",
        Problem::NoMessages => "there are no messages there",
        Problem::TextTooLong => "the text is too long",
        Problem::MailboxFull => "the mailbox is full",
        Problem::MailboxFullForYou => "the mailbox is full for you: it holds as much from you as it may",
        Problem::MailboxFullForUnknown => "the mailbox is full for people that its owner has not written to",
        Problem::NoMailbox => "only accounts have a mailbox",
        Problem::TooFast => "too fast; this was not done",
        Problem::AddressTooFast => "your address connects too often; try again later",
        Problem::AddressFull => "there are too many connections from your address",
        Problem::ServerFull => "the server is full",
        Problem::UnknownCommand(_) => "unknown command",
        Problem::Usage(Usage::Direct) => "usage: /msg <name> <text>",
        Problem::Usage(Usage::Join) => "usage: /join <room>",
        Problem::Usage(Usage::Rename) => "usage: /nick <name>",
        Problem::Usage(Usage::History) => "usage: /history [n], or /history before [n]",
        Problem::Usage(Usage::Login) => "usage: /login <name> <password>",
        Problem::Usage(Usage::MakeAccount) => "usage: /register <password>",
        Problem::Usage(Usage::ChangePassword) => "usage: /password <old> <new>, two passwords without blanks",
        Problem::Usage(Usage::EndAccount) => "usage: /unregister <password>",
        Problem::LineTooLong => "the line is too long",
        Problem::InvalidUtf8 => "the text is not UTF-8",
        Problem::IdleTimeout => "nothing was heard for too long",
        Problem::LoginTimeout => "no name was given for too long",
        Problem::TooSlow => "too slow",
        Problem::Replaced => REPLACED,
        Problem::NameRegistered => NAME_REGISTERED,
        Problem::AccountDeleted => ACCOUNT_DELETED,
    }
    .into()
}

/// Why a name was refused, from the words for it; earlier servers give none.
pub(super) fn name_problem(words: &str) -> Problem<'static> {
    let number = |prefix| words.strip_prefix(prefix).and_then(|number| number.parse().ok());
    if let Some(min) = number(NAME_TOO_SHORT) {
        return Problem::Name(NameError::TooShort { min });
    }
    if let Some(max) = number(NAME_TOO_LONG) {
        return Problem::Name(NameError::TooLong { max });
    }
    match words {
        NAME_RESERVED => Problem::NameReserved,
        NAME_LOOK_ALIKE => Problem::NameLookAlike,
        _ => Problem::Name(NameError::Character),
    }
}

/// The reason for which a session ends because of its name, if these are the words for it.
pub fn name_end(words: &str) -> Option<Problem<'static>> {
    match words {
        REPLACED => Some(Problem::Replaced),
        NAME_REGISTERED => Some(Problem::NameRegistered),
        ACCOUNT_DELETED => Some(Problem::AccountDeleted),
        _ => None,
    }
}

/// What a line that was refused is answered.
pub(super) fn refusal(phase: Phase, error: DecodeError) -> Event<'static> {
    let problem = match error {
        DecodeError::LineTooLong | DecodeError::SubnegotiationTooLong => Problem::LineTooLong,
        // Servers recognize every line; only its text can be wrong.
        _ => Problem::InvalidUtf8,
    };
    match phase {
        Phase::Login | Phase::Password => Event::LoginRefused(problem),
        Phase::Chat => Event::Error(problem),
    }
}

/// Splits a line into its first word and the rest, which is trimmed at its start.
#[inline]
pub(super) fn split_word(line: &str) -> (&str, &str) {
    match line.bytes().position(|byte| byte.is_ascii_whitespace()) {
        Some(end) => (&line[..end], line[end..].trim_ascii_start()),
        None => (line, ""),
    }
}

/// Whether a text is read back as the one word that it is: not empty, and without white space.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.bytes().any(|byte| byte.is_ascii_whitespace())
}

/// Appends pieces one behind the other, with one reservation.
#[inline]
pub(super) fn push(out: &mut Vec<u8>, pieces: &[&str]) {
    out.reserve(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// Date and time, as `YYYY-MM-DD HH:MM:SS`.
pub(super) fn date(at: UnixSeconds) -> String {
    // A year has four digits.
    let at = Duration::from_secs(at.0.min(253_402_300_799));
    let mut date = humantime::format_rfc3339_seconds(UNIX_EPOCH + at).to_string();
    date.truncate(DATE_BYTES);
    date.replace('T', " ")
}

const DATE_BYTES: usize = "2026-12-31 12:34:56".len();

/// Appends a text of another user in one line: [disruptive](is_disruptive) characters become U+FFFD.
#[inline]
pub(super) fn push_visible(out: &mut Vec<u8>, text: &str) {
    if may_disrupt(text) {
        push_replaced(out, text);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Appends a text of another user, and a line end, behind the prefix that starts at `start` in `out`. Each
/// line of the text gets a copy of the prefix, so no line looks like one of the server; empty lines are left
/// out. Line ends behind the first [`TEXT_LINES_MAX`] lines become U+23CE, and the other
/// [disruptive](is_disruptive) characters U+FFFD.
#[inline]
pub(super) fn push_lines(out: &mut Vec<u8>, start: usize, text: &str) {
    if may_disrupt(text) {
        push_prefixed(out, start, text);
    } else {
        out.extend_from_slice(text.as_bytes());
        out.push(b'\n');
    }
}

/// Whether a text may have a [disruptive](is_disruptive) character. No text has one without this.
#[inline]
fn may_disrupt(text: &str) -> bool {
    // In UTF-8, C1 controls start with C2, the Arabic letter mark with D8, separators and the other
    // bidirectional controls with E2.
    let suspect = |byte: u8| (byte < 0x20 && byte != b'\t') || matches!(byte, 0x7f | 0xc2 | 0xd8 | 0xe2);
    // Without a branch a byte, so that it runs a vector at a time.
    text.bytes().fold(false, |found, byte| found | suspect(byte))
}

#[cold]
fn push_prefixed(out: &mut Vec<u8>, start: usize, text: &str) {
    let prefix = start..out.len();
    let mut lines = text.split(['\n', '\r']).filter(|line| !line.is_empty());
    push_replaced(out, lines.next().unwrap_or_default());
    for line in lines.by_ref().take(TEXT_LINES_MAX - 1) {
        out.push(b'\n');
        out.extend_from_within(prefix.clone());
        push_replaced(out, line);
    }
    for line in lines {
        push(out, &["\u{23ce}"]);
        push_replaced(out, line);
    }
    out.push(b'\n');
}

#[cold]
fn push_replaced(out: &mut Vec<u8>, text: &str) {
    let mut utf8 = [0; 4];
    for c in text.chars() {
        let shown = if is_disruptive(c) { char::REPLACEMENT_CHARACTER } else { c };
        out.extend_from_slice(shown.encode_utf8(&mut utf8).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::TEXT_BYTES_MAX;

    #[test]
    fn each_line_of_a_text_has_the_prefix() {
        let shown = |text: &str| {
            let mut out = b"before\nann: ".to_vec();
            push_lines(&mut out, "before\n".len(), text);
            String::from_utf8(out).expect("UTF-8").split_off("before\n".len())
        };
        for (text, lines) in [
            ("one", "ann: one\n"),
            ("", "ann: \n"),
            ("\r\n", "ann: \n"),
            ("one\n", "ann: one\n"),
            ("\r\none\r\n\ntwo\rthree\u{1b}", "ann: one\nann: two\nann: three\u{fffd}\n"),
            ("é ¢ one\u{2028}two", "ann: é ¢ one\u{fffd}two\n"),
        ] {
            assert_eq!(shown(text), lines, "{text:?}");
        }
        // The longest text that is kept stays within the bound of a frame, whatever it is made of.
        for unit in ["\n", "a\n", "\u{1}", "\u{1}\r", "x"] {
            let text = unit.repeat(TEXT_BYTES_MAX / unit.len());
            let shown = shown(&text);
            let lines = shown.lines().count();
            let expected = if unit == "a\n" || unit == "\u{1}\r" { TEXT_LINES_MAX } else { 1 };
            assert_eq!(lines, expected, "{unit:?}");
            let prefixes = lines * "ann: ".len();
            assert!(shown.len() - prefixes - lines <= 3 * TEXT_BYTES_MAX, "{unit:?}: {}", shown.len());
            assert!(shown.lines().all(|line| line.starts_with("ann: ")));
        }
    }

    #[test]
    fn controls_are_replaced_and_nothing_else_is() {
        for (text, shown) in [
            ("plain\ttext é ¢ £ 🦀", "plain\ttext é ¢ £ 🦀"),
            ("a\nb\rc\0d\u{1b}[31m", "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}[31m"),
            ("a\u{7f}b\u{85}c\u{9b}d", "a\u{fffd}b\u{fffd}c\u{fffd}d"),
            ("مرحبا\u{61c}a\u{200e}b\u{200f}", "مرحبا\u{fffd}a\u{fffd}b\u{fffd}"),
            ("“a” – b\u{2028}c\u{2029}d\u{202e}e\u{2066}f", "“a” – b\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f"),
            ("", ""),
        ] {
            let mut out = Vec::new();
            push_visible(&mut out, text);
            assert_eq!(String::from_utf8_lossy(&out), shown);
        }
    }

    #[test]
    fn words_are_split_at_white_space() {
        assert_eq!(split_word("DM bob  hi there"), ("DM", "bob  hi there"));
        assert_eq!(split_word("DM\tbob"), ("DM", "bob"));
        assert_eq!(split_word("DM"), ("DM", ""));
        assert_eq!(split_word(""), ("", ""));
    }
}
