//! Slash commands, for people with `nc` or `telnet`. docs/protocols.md describes them. Times are UTC.
//!
//! What a user wrote stands behind a time and a name; a notice starts with `*** `; an answer starts with a letter or
//! two blanks. No text of a user can stand at the start of a line.

use std::time::UNIX_EPOCH;

use super::text::{self, is_mail_name, is_word, mail, push, push_lines, push_visible, split_word};
use super::{Codec, DecodeError, Decoded, Frame, Unsayable};
use crate::chat::{
    Command, Departure, Event, Mail, NameError, Phase, Problem, RoomNameError, Secret, UnixMillis,
    UnixSeconds, Usage, check_sendable,
};
use crate::limits::{SERVER_LINE_BYTES_MAX, SLASH_NAME_CHARS_MAX, SLASH_NAME_CHARS_MIN};

const GREETING: &str = "Welcome to the chat server!\nEnter your nickname: ";
/// The end of [`GREETING`].
const NICKNAME: &str = "Enter your nickname: ";
/// In front of the reason why a name cannot be had.
const REGISTRATION_FAILED: &str = "Registration failed: ";
/// In front of the reason why a password does not prove a name.
const LOGIN_FAILED: &str = "Login failed: ";
const HISTORY_USAGE: &str =
    "Usage: /history [n], /history before [n], /history before|after|around <message id> [n]";
const PASSWORD: &str = "Password: ";
/// The second line of [`Event::LoggedIn`].
const HINT: &str = "Type /help for available commands\n";
const ACCOUNT_MADE: &str = "Account created";
const PASSWORD_CHANGED: &str = "Password changed";
const ACCOUNT_ENDED: &str = "Account deleted";
/// In front of an entry of a list.
const INDENT: &str = "  ";
const NAME_HAS_ACCOUNT: &str = "Nickname has an account: log in with its password";
const MAIL: &str = "Your mail:";
const MAIL_READ: &str = "Your messages:";
const MAIL_END: &str = "End of mail";
const WAIT: &str = "messages wait: /mail";
/// In front of the name of a conversation that is to go.
const CLEAR: &str = "clear";
const HELP: &str = "Available commands:
  /nick <name> - change your nickname
  /join <room> - go to a room, making it if there is none
  /leave - return to #lobby
  /rooms - list the rooms
  /users - list who is in this room
  /msg <nick> <text> - tell somebody something in private (also /pm)
  /mail [nick] - list the mail of your account, or read that of one person (/mail clear <nick> deletes it)
  /history [n] - show the last n messages of this room (/history before [n]: those before them)
  /register <password> - make an account of your nickname
  /password <old> <new> - change the password of your account
  /unregister <password> - delete your account, with its mail
  /help - this list
  /quit - say goodbye (also /exit)
";

/// The names of this dialect: [`SLASH_NAME_CHARS_MIN`] to [`SLASH_NAME_CHARS_MAX`] ASCII letters, digits, `_` and `-`.
pub(super) fn check_name(name: &str) -> Result<(), NameError> {
    let count = name.chars().count();
    if count < usize::from(SLASH_NAME_CHARS_MIN) {
        return Err(NameError::TooShort { min: SLASH_NAME_CHARS_MIN });
    }
    if count > usize::from(SLASH_NAME_CHARS_MAX) {
        return Err(NameError::TooLong { max: SLASH_NAME_CHARS_MAX });
    }
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
        Ok(())
    } else {
        Err(NameError::Character)
    }
}

/// Understands a line sent by a client.
#[inline]
#[expect(clippy::unnecessary_wraps, reason = "the signature that all parsers of lines share")]
pub(super) fn command(phase: Phase, line: &str) -> Result<Command<'_>, DecodeError> {
    Ok(match phase {
        Phase::Login => Command::Login { name: line, password: None },
        Phase::Password => Command::Password(Secret(line)),
        Phase::Chat => match line.strip_prefix('/') {
            None => Command::Say(line),
            Some(line) => slash_command(line),
        },
    })
}

fn slash_command(line: &str) -> Command<'_> {
    let (word, rest) = split_word(line);
    match word {
        "nick" => Command::Rename(rest),
        "join" => Command::Join(rest.strip_prefix('#').unwrap_or(rest)),
        "leave" => Command::Leave,
        "rooms" => Command::Rooms,
        "users" => Command::Users,
        "msg" | "pm" => {
            let (to, text) = split_word(rest);
            Command::Direct { to, text }
        }
        "mail" => mail(CLEAR, rest),
        "history" => Command::History(rest),
        "register" => Command::MakeAccount(Secret(rest)),
        "password" => text::two_passwords(rest),
        "unregister" => Command::EndAccount(Secret(rest)),
        "help" => Command::Help,
        "quit" | "exit" => Command::Quit,
        _ => Command::Unknown(word),
    }
}

/// Appends the lines for an event.
#[inline]
pub(super) fn encode_event(event: &Event<'_>, out: &mut Vec<u8>) {
    match *event {
        Event::Message { sender, text, at } | Event::Past { sender, text, at } => {
            let start = out.len();
            out.reserve(sender.len() + text.len() + 14);
            out.extend_from_slice(&clock(at));
            push(out, &[sender, ": "]);
            push_lines(out, start, text);
        }
        Event::Day(at) => push(out, &["*** ", &text::date(at)[..DAY_BYTES], "\n"]),
        Event::Direct { sender, text, at } => {
            let start = out.len();
            out.extend_from_slice(&clock(at));
            push(out, &["[Private from ", sender, "]: "]);
            push_lines(out, start, text);
        }
        Event::DirectSent { to, text } => push_text(out, &["[Private to ", to, "]: "], text),
        Event::Greeting => push(out, &[GREETING]),
        Event::NameWanted => push(out, &[NICKNAME]),
        Event::PasswordWanted => push(out, &[PASSWORD]),
        Event::LoggedIn { name, room } => {
            push(out, &["Welcome ", name, "! You are in #", room, "\n", HINT]);
        }
        Event::LoginRefused(problem) => encode_problem(before_refusal(problem), problem, out),
        // The end of the session, which answers nothing.
        Event::Error(problem @ (Problem::Replaced | Problem::NameRegistered | Problem::AccountDeleted)) => {
            encode_problem("*** ", problem, out);
        }
        Event::Error(problem) => encode_problem("ERROR: ", problem, out),
        Event::Joined(name) => push(out, &["*** ", name, " joined the room\n"]),
        Event::Left { name, departure: Departure::Moved | Departure::Disconnected } => {
            push(out, &["*** ", name, " left the room\n"]);
        }
        Event::Renamed { old, new } => push(out, &["*** ", old, " is now known as ", new, "\n"]),
        Event::YouJoined(room) => push_room(out, "You joined #", room, "\n"),
        Event::YouReturned(room) => push_room(out, "You returned to #", room, "\n"),
        Event::YouRenamed(name) => push(out, &["You are now known as ", name, "\n"]),
        Event::UsersBegin { room, count: _ } => push_room(out, "Users in #", room, ":\n"),
        Event::User { name, own } => push(out, &[INDENT, name, if own { " (you)\n" } else { "\n" }]),
        Event::MailListBegin => push(out, &[MAIL, "\n"]),
        Event::Account { name, unread } => {
            push(out, &[INDENT, name, ": ", &unread.to_string(), " unread\n"]);
        }
        Event::ConversationBegin => push(out, &[MAIL_READ, "\n"]),
        Event::Mail(Mail { at, sender, content, .. }) => {
            push_text(out, &[INDENT, "[", &text::date(at.seconds()), "] ", sender, ": "], content);
        }
        Event::MailEnd => push(out, &[MAIL_END, "\n"]),
        Event::MailWaits(count) => push(out, &["*** ", &count.to_string(), " ", WAIT, "\n"]),
        Event::RoomsBegin => push(out, &["Available rooms:\n"]),
        Event::Room { name, members } => {
            push(out, &[INDENT]);
            push_room(out, "#", name, " (");
            push(out, &[&members.to_string(), " users)\n"]);
        }
        Event::RoomsOmitted(count) => push(out, &[INDENT, "… and ", &count.to_string(), " more rooms\n"]),
        Event::Help => push(out, &[HELP]),
        Event::Goodbye => push(out, &["Goodbye!\n"]),
        Event::AccountMade => push(out, &[ACCOUNT_MADE, "\n"]),
        Event::PasswordChanged => push(out, &[PASSWORD_CHANGED, "\n"]),
        Event::AccountEnded => push(out, &[ACCOUNT_ENDED, "\n"]),
        Event::Missed(count) => push(out, &["*** ", &count.to_string(), " messages missed\n"]),
        Event::RoomClosed(room) => push_room(out, "*** ", room, " was closed by its host\n"),
        Event::ShuttingDown => push(out, &["*** server shutting down\n"]),
        // People have no command for them.
        Event::Pong
        | Event::NameKnown
        | Event::NameFree
        | Event::Seated(_)
        | Event::ListBegin(_)
        | Event::AccountName(_)
        | Event::MailArrived(_)
        | Event::Kept { .. }
        | Event::AddressChallenge(_) => {}
    }
}

/// The words in front of the reason for a refused login.
fn before_refusal(problem: Problem<'_>) -> &'static str {
    match problem {
        Problem::Name(_) => "Invalid nickname: ",
        Problem::WrongPassword | Problem::PasswordUnusable | Problem::TooManyAttempts | Problem::Busy => {
            LOGIN_FAILED
        }
        _ => REGISTRATION_FAILED,
    }
}

/// Appends a text of a user, in lines that all start alike.
#[inline]
fn push_text(out: &mut Vec<u8>, before: &[&str], text: &str) {
    let start = out.len();
    push(out, before);
    push_lines(out, start, text);
}

/// The time of the day, as `[HH:MM:SS] `.
#[inline]
fn clock(at: UnixSeconds) -> [u8; 11] {
    let second = (at.0 % 86_400) as u32;
    let tens = |number: u32| b'0' + (number / 10) as u8;
    let ones = |number: u32| b'0' + (number % 10) as u8;
    let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
    [b'[', tens(h), ones(h), b':', tens(m), ones(m), b':', tens(s), ones(s), b']', b' ']
}

const DAY_BYTES: usize = "2026-12-31".len();
/// The inverse of [`text::date`].
fn parse_date(text: &str) -> Option<UnixMillis> {
    let text = format!("{}Z", text.replacen(' ', "T", 1));
    let at = humantime::parse_rfc3339(&text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(UnixMillis(at.as_secs() * 1000))
}

/// Appends the name of a room, which may be older than the rules for names.
fn push_room(out: &mut Vec<u8>, before: &str, room: &str, behind: &str) {
    push(out, &[before]);
    push_visible(out, room);
    push(out, &[behind]);
}

/// The text in front of the seconds until the next account.
const NEW_ACCOUNTS: &str = "Too many new accounts from your address, try again in ";

fn encode_problem(what: &str, problem: Problem<'_>, out: &mut Vec<u8>) {
    let text = match problem {
        Problem::NameTaken => "Nickname already taken",
        Problem::NameHasAccount => NAME_HAS_ACCOUNT,
        Problem::Name(NameError::TooShort { min }) => {
            let min = min.to_string();
            return push(out, &[what, "Nickname must be at least ", &min, " characters\n"]);
        }
        Problem::Name(NameError::TooLong { max }) => {
            let max = max.to_string();
            return push(out, &[what, "Nickname must be at most ", &max, " characters\n"]);
        }
        Problem::Name(NameError::Character) => {
            "Nickname can only contain letters, numbers, underscore and dash"
        }
        Problem::WrongPassword => "Wrong password",
        Problem::TooManyAttempts => "Too many wrong passwords, try again later",
        Problem::Busy => "Server is busy, try again later",
        Problem::NotKept => "Nothing can be kept at the moment, try again later",
        Problem::TooManyAccounts => "Too many accounts",
        Problem::TooManyNewAccounts { retry_seconds } => {
            let seconds = retry_seconds.to_string();
            return push(out, &[what, NEW_ACCOUNTS, &seconds, " seconds\n"]);
        }
        Problem::PasswordUnusable => "Invalid password",
        Problem::RoomExists => "Room already exists",
        Problem::NoSuchRoom => "No such room",
        Problem::TextTooLong => "Text too long",
        Problem::MailboxFull => "Mailbox is full",
        Problem::MailboxFullForYou => "Mailbox is full for you",
        Problem::MailboxFullForUnknown => "Mailbox is full for people its owner has not written to",
        Problem::NoMailbox => "Only accounts have a mailbox",
        Problem::AlreadyLoggedIn => "Already logged in",
        Problem::MustLogin => "Enter a nickname first",
        Problem::UserNotFound(_) => "User not found",
        Problem::RoomName(RoomNameError::Empty) => "Room name is empty",
        Problem::RoomName(RoomNameError::TooLong) => "Room name is too long",
        Problem::RoomName(RoomNameError::Character) => "Room name can not contain control characters",
        Problem::AlreadyInRoom => "Already in that room",
        Problem::TooManyRoomsOfSession => "You have too many rooms",
        Problem::TooManyRoomsOfAddress => "Too many rooms were made from your address",
        Problem::TooManyRooms => "Too many rooms",
        Problem::TooFast => "Too fast, this was not done",
        Problem::AddressTooFast => "Your address connects too often, try again later",
        Problem::AddressFull => "Too many connections from your address",
        Problem::ServerFull => "Server is full",
        Problem::UnknownCommand(word) => {
            push(out, &[what, "Unknown command: /"]);
            push_visible(out, word);
            return push(out, &[". Type /help for available commands\n"]);
        }
        Problem::Usage(Usage::Direct) => "Usage: /msg <nick> <text>",
        Problem::Usage(Usage::Join) => "Usage: /join <room_name>",
        Problem::Usage(Usage::Rename) => "Usage: /nick <name>",
        Problem::Usage(Usage::History) => HISTORY_USAGE,
        Problem::NoMessages => "No messages there",
        Problem::Usage(Usage::Login) => "Usage: /login <nick> <password>",
        Problem::Usage(Usage::MakeAccount) => "Usage: /register <password>",
        Problem::Usage(Usage::ChangePassword) => "Usage: /password <old> <new>",
        Problem::Usage(Usage::EndAccount) => "Usage: /unregister <password>",
        Problem::NameReserved => "Nickname is reserved",
        Problem::NameLookAlike => "Nickname looks like one that is reserved or has an account",
        Problem::NoAccount(_) => "No such account",
        Problem::AccountExists => "Account already exists",
        Problem::NotRegistered => "You have no account",
        Problem::NoPasswordsHere => "No passwords here",
        Problem::NotInSeats => "Not possible here",
        Problem::LineTooLong => "Line too long",
        Problem::InvalidUtf8 => "Invalid UTF-8",
        Problem::IdleTimeout => "Idle timeout",
        Problem::LoginTimeout => "Login timeout",
        Problem::TooSlow => "Too slow",
        Problem::Replaced => text::REPLACED,
        Problem::NameRegistered => text::NAME_REGISTERED,
        Problem::AccountDeleted => text::ACCOUNT_DELETED,
    };
    push(out, &[what, text, "\n"]);
}

/// Appends a command as a client sends it. A text that starts with `/` would be a command: it is not sayable.
pub(super) fn encode_command(command: &Command<'_>, out: &mut Vec<u8>) -> Result<(), Unsayable> {
    let (word, argument) = match *command {
        Command::Login { name, password: None } => ("", name),
        Command::Password(Secret(password)) if check_sendable(password).is_ok() => ("", password),
        Command::Say(text) if !text.trim_ascii_start().starts_with('/') => ("", text),
        Command::Direct { to, text } if is_word(to) => {
            push(out, &["/msg "]);
            push_visible(out, to);
            (" ", text)
        }
        Command::Rename(name) => ("/nick ", name),
        // The first `#` is taken for the prefix that people write, the room's own follow.
        Command::Join(room) if !room.is_empty() && room.trim_ascii() == room => ("/join #", room),
        Command::Leave => ("/leave", ""),
        Command::Rooms => ("/rooms", ""),
        Command::Users => ("/users", ""),
        Command::History(count) => ("/history ", count),
        Command::Mailbox => ("/mail", ""),
        Command::ReadMail(with) if is_mail_name(with) => ("/mail ", with),
        Command::ClearMail(with) if is_mail_name(with) => ("/mail clear ", with),
        Command::Help => ("/help", ""),
        Command::Quit => ("/quit", ""),
        Command::MakeAccount(_) | Command::ChangePassword { .. } | Command::EndAccount(_) => {
            text::push_account_command(command, out)?;
            ("", "")
        }
        Command::Login { password: Some(_), .. }
        | Command::Password(_)
        | Command::Identify { .. }
        | Command::Enter(_)
        | Command::Register
        | Command::SayAs { .. }
        | Command::Send { .. }
        | Command::Conversation { .. }
        | Command::MarkRead(_)
        | Command::DeleteMail(_)
        | Command::ReadMail(_)
        | Command::ClearMail(_)
        | Command::Accounts
        | Command::DeleteAccount
        | Command::Subscribe(_)
        | Command::Nothing
        | Command::Say(_)
        | Command::Direct { .. }
        | Command::Join(_)
        | Command::Ping
        | Command::Unknown(_) => {
            return Err(Unsayable);
        }
    };
    push(out, &[word]);
    push_visible(out, argument);
    push(out, &["\n"]);
    Ok(())
}

/// Decodes the first event that a server sent. Events of several lines, and prompts that no line end follows, are
/// recognized by their fixed texts.
pub(super) fn decode_event<'a>(codec: &mut Codec, bytes: &'a [u8]) -> Decoded<Event<'a>> {
    // The rest of a line that is being dropped starts like nothing in particular.
    let fixed: &[_] = match bytes.first() {
        Some(b'W' | b'E' | b'P' | b'A' | b'T') if !codec.is_skipping() => &[
            (GREETING, Frame::Whole(Event::Greeting)),
            (NICKNAME, Frame::Whole(Event::NameWanted)),
            (PASSWORD, Frame::Whole(Event::PasswordWanted)),
            (HELP, Frame::Whole(Event::Help)),
            // Part of an event that was told with its first line.
            (HINT, Frame::Incomplete),
        ],
        _ => &[],
    };
    for &(text, frame) in fixed {
        if bytes.starts_with(text.as_bytes()) {
            return Decoded { consumed: text.len(), frame };
        }
        if text.as_bytes().starts_with(bytes) {
            return Decoded { consumed: 0, frame: Frame::Incomplete };
        }
    }
    // The blanks tell a name in a list, which may look like anything, from a line of the server's own.
    if bytes.starts_with(INDENT.as_bytes()) {
        return codec
            .event_line(SERVER_LINE_BYTES_MAX, bytes, |line| listed(line).ok_or(DecodeError::Unrecognized));
    }
    codec.event_line(SERVER_LINE_BYTES_MAX, bytes, event)
}

fn event(line: &str) -> Result<Event<'_>, DecodeError> {
    let parsed = match line.as_bytes().first() {
        Some(b'[') => said(line),
        Some(b'*') => line.strip_prefix("*** ").and_then(notice),
        _ => answer(line),
    };
    parsed.ok_or(DecodeError::Unrecognized)
}

/// A name ends where the first blank comes: names have no blanks, and may have anything else that stands around them.
fn said(line: &str) -> Option<Event<'_>> {
    if let Some(rest) = line.strip_prefix("[Private to ") {
        let (to, text) = split_word(rest);
        return Some(Event::DirectSent { to: to.strip_suffix("]:")?, text });
    }
    // A time always takes as many bytes: no need to look for its end.
    let (time, rest) = line.strip_prefix('[')?.split_at_checked("12:34:56".len())?;
    let (at, rest) = (parse_clock(time)?, rest.strip_prefix("] ")?);
    if let Some(rest) = rest.strip_prefix("[Private from ") {
        let (sender, text) = split_word(rest);
        return Some(Event::Direct { sender: sender.strip_suffix("]:")?, text, at });
    }
    let (sender, text) = split_word(rest);
    Some(Event::Message { sender: sender.strip_suffix(':')?, text, at })
}

fn parse_clock(time: &str) -> Option<UnixSeconds> {
    let &[h1, h0, b':', m1, m0, b':', s1, s0] = time.as_bytes() else { return None };
    let two = |tens: u8, ones: u8| {
        (tens.is_ascii_digit() && ones.is_ascii_digit())
            .then(|| u64::from(tens - b'0') * 10 + u64::from(ones - b'0'))
    };
    let (h, m, s) = (two(h1, h0)?, two(m1, m0)?, two(s1, s0)?);
    (h < 24 && m < 60 && s < 60).then_some(UnixSeconds(h * 3600 + m * 60 + s))
}

fn notice(rest: &str) -> Option<Event<'_>> {
    if rest == "server shutting down" {
        return Some(Event::ShuttingDown);
    }
    if let Some(problem) = text::name_end(rest) {
        return Some(Event::Error(problem));
    }
    if let Some(room) = rest.strip_suffix(" was closed by its host") {
        return Some(Event::RoomClosed(room));
    }
    let (first, words) = split_word(rest);
    match words {
        "" => parse_date(&format!("{first} 00:00:00")).map(|at| Event::Day(at.seconds())),
        "joined the room" => Some(Event::Joined(first)),
        "left the room" => Some(Event::Left { name: first, departure: Departure::Moved }),
        WAIT => first.parse().ok().map(Event::MailWaits),
        "messages missed" => first.parse().ok().map(Event::Missed),
        _ => {
            let new = words.strip_prefix("is now known as ")?;
            Some(Event::Renamed { old: first, new })
        }
    }
}

fn answer(line: &str) -> Option<Event<'_>> {
    let after = |prefix| line.strip_prefix(prefix);
    if let Some(rest) = after("Welcome ") {
        let (name, room) = rest.split_once("! You are in #")?;
        Some(Event::LoggedIn { name, room })
    } else if let Some(room) = after("You joined #") {
        Some(Event::YouJoined(room))
    } else if let Some(room) = after("You returned to #") {
        Some(Event::YouReturned(room))
    } else if let Some(name) = after("You are now known as ") {
        Some(Event::YouRenamed(name))
    } else if let Some(problem) = after("ERROR: ") {
        parse_problem(problem).map(Event::Error)
    } else if let Some(problem) =
        after("Invalid nickname: ").or(after(REGISTRATION_FAILED)).or(after(LOGIN_FAILED))
    {
        parse_problem(problem).map(Event::LoginRefused)
    } else if let Some(room) = after("Users in #").and_then(|room| room.strip_suffix(':')) {
        Some(Event::UsersBegin { room, count: 0 })
    } else {
        match line {
            "Available rooms:" => Some(Event::RoomsBegin),
            MAIL => Some(Event::MailListBegin),
            MAIL_READ => Some(Event::ConversationBegin),
            MAIL_END => Some(Event::MailEnd),
            "Goodbye!" => Some(Event::Goodbye),
            ACCOUNT_MADE => Some(Event::AccountMade),
            PASSWORD_CHANGED => Some(Event::PasswordChanged),
            ACCOUNT_ENDED => Some(Event::AccountEnded),
            _ => None,
        }
    }
}

/// An entry of a list. Its indentation was trimmed with the line.
fn listed(line: &str) -> Option<Event<'_>> {
    if let Some(rest) = line.strip_prefix('#') {
        let (name, members) = rest.strip_suffix(" users)")?.rsplit_once(" (")?;
        return Some(Event::Room { name, members: members.parse().ok()? });
    }
    // The name of a user has no blank, and may start as a date does.
    if let Some((date, rest)) = line.strip_prefix('[').and_then(|rest| rest.split_once("] "))
        && let Some(at) = parse_date(date)
    {
        let (sender, content) = split_word(rest);
        let sender = sender.strip_suffix(':')?;
        return Some(Event::Mail(Mail { id: "", at, sender, recipient: "", content, unread: false }));
    }
    if let Some(rest) = line.strip_suffix(" unread") {
        let (name, unread) = rest.rsplit_once(": ")?;
        return Some(Event::Account { name, unread: unread.parse().ok()? });
    }
    if let Some(count) = line.strip_prefix("… and ") {
        return count.strip_suffix(" more rooms")?.parse().ok().map(Event::RoomsOmitted);
    }
    match split_word(line) {
        (name, "") if !name.is_empty() => Some(Event::User { name, own: false }),
        (name, "(you)") => Some(Event::User { name, own: true }),
        _ => None,
    }
}

fn parse_problem(text: &str) -> Option<Problem<'_>> {
    let number = |text: &str| text.split(' ').next().and_then(|number| number.parse().ok());
    Some(match text {
        "Nickname already taken" => Problem::NameTaken,
        NAME_HAS_ACCOUNT => Problem::NameHasAccount,
        "Wrong password" => Problem::WrongPassword,
        "Too many wrong passwords, try again later" => Problem::TooManyAttempts,
        "Server is busy, try again later" => Problem::Busy,
        "Nothing can be kept at the moment, try again later" => Problem::NotKept,
        "Too many accounts" => Problem::TooManyAccounts,
        "Invalid password" => Problem::PasswordUnusable,
        "Room already exists" => Problem::RoomExists,
        "No such room" => Problem::NoSuchRoom,
        "Text too long" => Problem::TextTooLong,
        "Mailbox is full" => Problem::MailboxFull,
        "Mailbox is full for you" => Problem::MailboxFullForYou,
        "Mailbox is full for people its owner has not written to" => Problem::MailboxFullForUnknown,
        "Only accounts have a mailbox" => Problem::NoMailbox,
        "Already logged in" => Problem::AlreadyLoggedIn,
        "Enter a nickname first" => Problem::MustLogin,
        "User not found" => Problem::UserNotFound(""),
        "Already in that room" => Problem::AlreadyInRoom,
        "Too many rooms" => Problem::TooManyRooms,
        "Too many rooms were made from your address" => Problem::TooManyRoomsOfAddress,
        "You have too many rooms" => Problem::TooManyRoomsOfSession,
        "Server is full" => Problem::ServerFull,
        "Too many connections from your address" => Problem::AddressFull,
        "Your address connects too often, try again later" => Problem::AddressTooFast,
        "Too fast, this was not done" => Problem::TooFast,
        "Line too long" => Problem::LineTooLong,
        "Invalid UTF-8" => Problem::InvalidUtf8,
        "Idle timeout" => Problem::IdleTimeout,
        "Login timeout" => Problem::LoginTimeout,
        "Too slow" => Problem::TooSlow,
        "Usage: /msg <nick> <text>" => Problem::Usage(Usage::Direct),
        "Usage: /join <room_name>" => Problem::Usage(Usage::Join),
        "Usage: /nick <name>" => Problem::Usage(Usage::Rename),
        HISTORY_USAGE => Problem::Usage(Usage::History),
        "No messages there" => Problem::NoMessages,
        "Usage: /login <nick> <password>" => Problem::Usage(Usage::Login),
        "Usage: /register <password>" => Problem::Usage(Usage::MakeAccount),
        "Usage: /password <old> <new>" => Problem::Usage(Usage::ChangePassword),
        "Usage: /unregister <password>" => Problem::Usage(Usage::EndAccount),
        "Nickname is reserved" => Problem::NameReserved,
        "Nickname looks like one that is reserved or has an account" => Problem::NameLookAlike,
        "No such account" => Problem::NoAccount(""),
        "Account already exists" => Problem::AccountExists,
        "You have no account" => Problem::NotRegistered,
        "No passwords here" => Problem::NoPasswordsHere,
        "Not possible here" => Problem::NotInSeats,
        "Room name is empty" => Problem::RoomName(RoomNameError::Empty),
        "Room name is too long" => Problem::RoomName(RoomNameError::TooLong),
        "Room name can not contain control characters" => Problem::RoomName(RoomNameError::Character),
        "Nickname can only contain letters, numbers, underscore and dash" => {
            Problem::Name(NameError::Character)
        }
        _ => {
            if let Some(min) = text.strip_prefix("Nickname must be at least ").and_then(number) {
                Problem::Name(NameError::TooShort { min })
            } else if let Some(max) = text.strip_prefix("Nickname must be at most ").and_then(number) {
                Problem::Name(NameError::TooLong { max })
            } else if let Some(rest) = text.strip_prefix(NEW_ACCOUNTS) {
                let retry_seconds = rest.strip_suffix(" seconds")?.parse().ok()?;
                Problem::TooManyNewAccounts { retry_seconds }
            } else {
                let (word, _) = text.strip_prefix("Unknown command: /")?.split_once(". Type")?;
                Problem::UnknownCommand(word)
            }
        }
    })
}
