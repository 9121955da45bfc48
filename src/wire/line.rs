//! The line protocol: one command a line, `LOGIN`, `MSG`, `WHO`, `DM`, `PING`, and the commands of accounts.
//! docs/protocols.md describes it.
//!
//! A server's lines start with `OK`, `ERR`, `MSG`, `DM`, `USER`, `PONG` or `INFO`; no text of a user can stand at the
//! start of a line.

use super::text::{self, is_mail_name, is_word, mail, push, push_lines, push_visible, split_word};
use super::{Codec, DecodeError, Decoded, Frame, Unsayable};
use crate::chat::{
    Command, Departure, Event, Mail, Problem, RoomNameError, Secret, UnixMillis, UnixSeconds, Usage,
    check_sendable,
};
use crate::limits::SERVER_LINE_BYTES_MAX;

const SHUTDOWN: &str = "server shutting down";
const MISSED: &str = "messages missed";
const DISCONNECTED: &str = "disconnected";
const CLOSED: &str = "closed by its host";
const INVALID_NAME: &str = "invalid-username";
/// Each line is a notice, which no client takes for an answer to something else.
const HELP: &str = "INFO LOGIN <name> [<password>] - take a name
INFO MSG <text> - say something in the room
INFO DM <name> <text> - tell one person something
INFO WHO - list who is in the room
INFO MAIL [<name>] - list your mail, or read that of one person (MAIL CLEAR <name> deletes it)
INFO REGISTER <password> - make an account of your name
INFO PASSWD <old> <new> - change the password of your account
INFO UNREGISTER <password> - delete your account, with its mail
INFO PING - ask for a PONG
INFO HELP - this list
INFO QUIT - leave
";
const WAIT: &str = "messages wait: MAIL";
/// In front of the name of a conversation that is to go.
const CLEAR: &str = "CLEAR";

/// Understands a line sent by a client.
#[inline]
#[expect(clippy::unnecessary_wraps, reason = "the signature that all parsers of lines share")]
pub(super) fn command(line: &str) -> Result<Command<'_>, DecodeError> {
    let (word, rest) = split_word(line);
    Ok(match word {
        "MSG" => Command::Say(rest),
        "DM" => {
            let (to, text) = split_word(rest);
            Command::Direct { to, text }
        }
        "PING" => Command::Ping,
        "WHO" => Command::Users,
        "MAIL" => mail(CLEAR, rest),
        "LOGIN" => {
            let (name, password) = split_word(rest);
            let password = (!password.is_empty()).then_some(Secret(password));
            Command::Login { name, password }
        }
        "REGISTER" => Command::MakeAccount(Secret(rest)),
        "PASSWD" => text::two_passwords(rest),
        "UNREGISTER" => Command::EndAccount(Secret(rest)),
        "HELP" => Command::Help,
        "QUIT" => Command::Quit,
        _ => Command::Unknown(word),
    })
}

/// Appends the line for an event, or nothing.
#[inline]
pub(super) fn encode_event(event: &Event<'_>, out: &mut Vec<u8>) {
    match *event {
        Event::Message { sender, text, at: _ } | Event::Past { sender, text, at: _ } => {
            from_somebody(out, "MSG ", sender, text);
        }
        Event::Direct { sender, text, at: _ } => from_somebody(out, "DM ", sender, text),
        Event::User { name, own: _ } => push(out, &["USER ", name, "\n"]),
        Event::LoggedIn { .. }
        | Event::AccountMade
        | Event::PasswordChanged
        | Event::AccountEnded
        | Event::MailEnd
        | Event::Goodbye => push(out, &["OK\n"]),
        Event::Help => push(out, &[HELP]),
        Event::Pong => push(out, &["PONG\n"]),
        Event::Left { name, departure: Departure::Disconnected } => {
            push(out, &["INFO ", name, " ", DISCONNECTED, "\n"]);
        }
        Event::Missed(count) => push(out, &["INFO ", &count.to_string(), " ", MISSED, "\n"]),
        Event::Account { name, unread } => push(out, &["MAIL ", name, " ", &unread.to_string(), "\n"]),
        Event::Mail(Mail { at, sender, content, .. }) => {
            from_somebody(out, &format!("FROM {} ", at.0), sender, content);
        }
        Event::MailWaits(count) => push(out, &["INFO ", &count.to_string(), " ", WAIT, "\n"]),
        Event::RoomClosed(room) => {
            push(out, &["INFO "]);
            push_visible(out, room);
            push(out, &[" ", CLOSED, "\n"]);
        }
        Event::ShuttingDown => push(out, &["INFO ", SHUTDOWN, "\n"]),
        Event::PasswordWanted => push(out, &["ERR password-required\n"]),
        Event::LoginRefused(problem) | Event::Error(problem) => encode_problem(problem, out),
        Event::Greeting
        | Event::NameWanted
        | Event::NameKnown
        | Event::Day(_)
        | Event::NameFree
        | Event::Seated(_)
        | Event::ListBegin(_)
        | Event::AccountName(_)
        | Event::MailListBegin
        | Event::ConversationBegin
        | Event::MailArrived(_)
        | Event::Kept { .. }
        | Event::DirectSent { .. }
        | Event::Joined(_)
        | Event::Left { departure: Departure::Moved, .. }
        | Event::Renamed { .. }
        | Event::YouJoined(_)
        | Event::YouReturned(_)
        | Event::YouRenamed(_)
        | Event::UsersBegin { .. }
        | Event::RoomsBegin
        | Event::Room { .. }
        | Event::RoomsOmitted(_)
        | Event::AddressChallenge(_) => {}
    }
}

#[inline]
fn from_somebody(out: &mut Vec<u8>, word: &str, sender: &str, text: &str) {
    let start = out.len();
    out.reserve(word.len() + sender.len() + text.len() + 2);
    out.extend_from_slice(word.as_bytes());
    out.extend_from_slice(sender.as_bytes());
    out.push(b' ');
    push_lines(out, start, text);
}

fn encode_problem(problem: Problem<'_>, out: &mut Vec<u8>) {
    let word = match problem {
        Problem::NameTaken => "username-taken",
        Problem::Name(_) | Problem::NameReserved | Problem::NameLookAlike => {
            push(out, &["ERR ", INVALID_NAME, " ", &text::words(problem)]);
            return push(out, &["\n"]);
        }
        Problem::NoAccount(name) => {
            push(out, &["ERR no-account "]);
            push_visible(out, name);
            return push(out, &["\n"]);
        }
        Problem::NotRegistered => "no-account",
        Problem::NameHasAccount => "name-has-account",
        Problem::AccountExists => "account-exists",
        Problem::NoPasswordsHere | Problem::NotInSeats => "not-possible",
        Problem::WrongPassword => "wrong-password",
        Problem::TooManyAttempts => "too-many-attempts",
        Problem::Busy => "busy",
        Problem::NotKept => "not-kept",
        Problem::TooManyAccounts => "too-many-accounts",
        Problem::TooManyNewAccounts { retry_seconds } => {
            return push(out, &["ERR too-many-new-accounts ", &retry_seconds.to_string(), "\n"]);
        }
        Problem::PasswordUnusable => "invalid-password",
        Problem::RoomExists => "room-exists",
        Problem::NoSuchRoom => "no-such-room",
        Problem::NoMessages => "no-messages",
        Problem::TextTooLong => "text-too-long",
        Problem::MailboxFull => "mailbox-full",
        Problem::MailboxFullForYou => "mailbox-full-for-you",
        Problem::MailboxFullForUnknown => "mailbox-full-for-strangers",
        Problem::NoMailbox => "no-mailbox",
        Problem::AlreadyLoggedIn => "already-logged-in",
        Problem::MustLogin => "must-login-first",
        Problem::UserNotFound(name) => {
            push(out, &["ERR user-not-found "]);
            push_visible(out, name);
            return push(out, &["\n"]);
        }
        Problem::Usage(Usage::Direct) => "invalid-dm-format",
        Problem::Usage(
            Usage::Join
            | Usage::Rename
            | Usage::History
            | Usage::Login
            | Usage::MakeAccount
            | Usage::ChangePassword
            | Usage::EndAccount,
        ) => "invalid-format",
        Problem::RoomName(_) => "invalid-room",
        Problem::AlreadyInRoom => "already-in-room",
        Problem::TooManyRoomsOfSession => "too-many-own-rooms",
        Problem::TooManyRoomsOfAddress => "too-many-rooms-from-address",
        Problem::TooManyRooms => "too-many-rooms",
        Problem::TooFast => "too-fast",
        Problem::AddressTooFast => "connecting-too-fast",
        Problem::AddressFull => "too-many-connections",
        Problem::ServerFull => "server-full",
        Problem::LineTooLong => "line-too-long",
        Problem::InvalidUtf8 => "invalid-utf8",
        Problem::IdleTimeout => "idle-timeout",
        Problem::LoginTimeout => "login-timeout",
        Problem::TooSlow => "too-slow",
        Problem::Replaced => "replaced",
        Problem::NameRegistered => "name-registered",
        Problem::AccountDeleted => "account-deleted",
        // The dialect is lenient: what it does not know, it does not mention.
        Problem::UnknownCommand(_) => return,
    };
    push(out, &["ERR ", word, "\n"]);
}

/// Appends a command as a client sends it.
pub(super) fn encode_command(command: &Command<'_>, out: &mut Vec<u8>) -> Result<(), Unsayable> {
    match *command {
        Command::Login { name, password }
            if password.is_none_or(|Secret(password)| check_sendable(password).is_ok()) =>
        {
            push(out, &["LOGIN "]);
            push_visible(out, name);
            if let Some(Secret(password)) = password {
                push(out, &[" "]);
                push_visible(out, password);
            }
        }
        Command::Say(text) => {
            push(out, &["MSG "]);
            push_visible(out, text);
        }
        Command::Direct { to, text } if is_word(to) => {
            push(out, &["DM "]);
            push_visible(out, to);
            push(out, &[" "]);
            push_visible(out, text);
        }
        Command::Users => push(out, &["WHO"]),
        Command::Ping => push(out, &["PING"]),
        Command::MakeAccount(Secret(password)) if check_sendable(password).is_ok() => {
            push(out, &["REGISTER "]);
            push_visible(out, password);
        }
        Command::ChangePassword { old: Secret(old), new: Secret(new) } if is_word(old) && is_word(new) => {
            push(out, &["PASSWD "]);
            push_visible(out, old);
            push(out, &[" "]);
            push_visible(out, new);
        }
        Command::EndAccount(Secret(password)) if check_sendable(password).is_ok() => {
            push(out, &["UNREGISTER "]);
            push_visible(out, password);
        }
        Command::Help => push(out, &["HELP"]),
        Command::Quit => push(out, &["QUIT"]),
        Command::Mailbox => push(out, &["MAIL"]),
        Command::ReadMail(with) if is_mail_name(with) => {
            push(out, &["MAIL "]);
            push_visible(out, with);
        }
        Command::ClearMail(with) if is_mail_name(with) => {
            push(out, &["MAIL ", CLEAR, " "]);
            push_visible(out, with);
        }
        Command::Login { .. }
        | Command::MakeAccount(_)
        | Command::EndAccount(_)
        | Command::Direct { .. }
        | Command::ReadMail(_)
        | Command::ClearMail(_)
        | Command::Password(_)
        | Command::Identify { .. }
        | Command::Enter(_)
        | Command::Register
        | Command::SayAs { .. }
        | Command::Send { .. }
        | Command::Conversation { .. }
        | Command::MarkRead(_)
        | Command::DeleteMail(_)
        | Command::Accounts
        | Command::DeleteAccount
        | Command::Subscribe(_)
        | Command::Nothing
        | Command::Rename(_)
        | Command::Join(_)
        | Command::Leave
        | Command::Rooms
        | Command::History(_)
        | Command::ChangePassword { .. }
        | Command::Unknown(_) => return Err(Unsayable),
    }
    push(out, &["\n"]);
    Ok(())
}

/// Decodes the first event that a server sent. The one of several lines is recognized by its fixed text.
#[inline]
pub(super) fn decode_event<'a>(codec: &mut Codec, bytes: &'a [u8]) -> Decoded<Event<'a>> {
    if bytes.first() == Some(&b'I') && !codec.is_skipping() {
        if bytes.starts_with(HELP.as_bytes()) {
            return Decoded { consumed: HELP.len(), frame: Frame::Whole(Event::Help) };
        }
        if HELP.as_bytes().starts_with(bytes) {
            return Decoded { consumed: 0, frame: Frame::Incomplete };
        }
    }
    codec.event_line(SERVER_LINE_BYTES_MAX, bytes, event)
}

/// Understands a line sent by a server.
#[inline]
fn event(line: &str) -> Result<Event<'_>, DecodeError> {
    let (word, rest) = split_word(line);
    let at = UnixSeconds::default();
    Ok(match word {
        "MSG" => {
            let (sender, text) = split_word(rest);
            Event::Message { sender, text, at }
        }
        "DM" => {
            let (sender, text) = split_word(rest);
            Event::Direct { sender, text, at }
        }
        "USER" => Event::User { name: rest, own: false },
        "OK" => Event::LoggedIn { name: "", room: "" },
        "PONG" => Event::Pong,
        "MAIL" => {
            let (name, unread) = rest.rsplit_once(' ').ok_or(DecodeError::Unrecognized)?;
            let unread = unread.parse().map_err(|_| DecodeError::Unrecognized)?;
            Event::Account { name, unread }
        }
        "FROM" => {
            let (at, rest) = split_word(rest);
            let at = UnixMillis(at.parse().map_err(|_| DecodeError::Unrecognized)?);
            let (sender, content) = split_word(rest);
            Event::Mail(Mail { id: "", at, sender, recipient: "", content, unread: false })
        }
        "INFO" => notice(rest)?,
        "ERR" => problem(rest)?,
        _ => return Err(DecodeError::Unrecognized),
    })
}

fn notice(rest: &str) -> Result<Event<'_>, DecodeError> {
    if rest == SHUTDOWN {
        return Ok(Event::ShuttingDown);
    }
    if let Some(room) = rest.strip_suffix(CLOSED) {
        return Ok(Event::RoomClosed(room.trim_ascii_end()));
    }
    match split_word(rest) {
        (name, DISCONNECTED) => Ok(Event::Left { name, departure: Departure::Disconnected }),
        (count, WAIT) => count.parse().map(Event::MailWaits).map_err(|_| DecodeError::Unrecognized),
        (count, MISSED) => count.parse().map(Event::Missed).map_err(|_| DecodeError::Unrecognized),
        _ => Err(DecodeError::Unrecognized),
    }
}

fn problem(rest: &str) -> Result<Event<'_>, DecodeError> {
    let (word, argument) = split_word(rest);
    // Where the server's reason is finer than the word, the client gets the mildest one that has this word.
    Ok(match word {
        "username-taken" => Event::LoginRefused(Problem::NameTaken),
        INVALID_NAME => Event::LoginRefused(text::name_problem(argument)),
        "no-account" if argument.is_empty() => Event::Error(Problem::NotRegistered),
        "no-account" => Event::LoginRefused(Problem::NoAccount(argument)),
        "account-exists" => Event::Error(Problem::AccountExists),
        "not-possible" => Event::Error(Problem::NotInSeats),
        "wrong-password" => Event::LoginRefused(Problem::WrongPassword),
        "server-full" => Event::LoginRefused(Problem::ServerFull),
        "too-many-connections" => Event::LoginRefused(Problem::AddressFull),
        "connecting-too-fast" => Event::LoginRefused(Problem::AddressTooFast),
        "too-fast" => Event::Error(Problem::TooFast),
        "too-many-attempts" => Event::LoginRefused(Problem::TooManyAttempts),
        "busy" => Event::LoginRefused(Problem::Busy),
        "not-kept" => Event::Error(Problem::NotKept),
        "too-many-accounts" => Event::LoginRefused(Problem::TooManyAccounts),
        "too-many-new-accounts" => {
            let retry_seconds = argument.parse().map_err(|_| DecodeError::Unrecognized)?;
            Event::LoginRefused(Problem::TooManyNewAccounts { retry_seconds })
        }
        "invalid-password" => Event::LoginRefused(Problem::PasswordUnusable),
        "room-exists" => Event::Error(Problem::RoomExists),
        "no-such-room" => Event::Error(Problem::NoSuchRoom),
        "no-messages" => Event::Error(Problem::NoMessages),
        "text-too-long" => Event::Error(Problem::TextTooLong),
        "mailbox-full" => Event::Error(Problem::MailboxFull),
        "mailbox-full-for-you" => Event::Error(Problem::MailboxFullForYou),
        "mailbox-full-for-strangers" => Event::Error(Problem::MailboxFullForUnknown),
        "no-mailbox" => Event::Error(Problem::NoMailbox),
        "password-required" => Event::PasswordWanted,
        "already-logged-in" => Event::Error(Problem::AlreadyLoggedIn),
        "must-login-first" => Event::Error(Problem::MustLogin),
        "user-not-found" => Event::Error(Problem::UserNotFound(argument)),
        "invalid-dm-format" => Event::Error(Problem::Usage(Usage::Direct)),
        "invalid-format" => Event::Error(Problem::Usage(Usage::Join)),
        "name-has-account" => Event::Error(Problem::NameHasAccount),
        "invalid-room" => Event::Error(Problem::RoomName(RoomNameError::Character)),
        "already-in-room" => Event::Error(Problem::AlreadyInRoom),
        "too-many-rooms" => Event::Error(Problem::TooManyRooms),
        "too-many-rooms-from-address" => Event::Error(Problem::TooManyRoomsOfAddress),
        "too-many-own-rooms" => Event::Error(Problem::TooManyRoomsOfSession),
        "line-too-long" => Event::Error(Problem::LineTooLong),
        "invalid-utf8" => Event::Error(Problem::InvalidUtf8),
        "idle-timeout" => Event::Error(Problem::IdleTimeout),
        "login-timeout" => Event::Error(Problem::LoginTimeout),
        "too-slow" => Event::Error(Problem::TooSlow),
        "replaced" => Event::Error(Problem::Replaced),
        "name-registered" => Event::Error(Problem::NameRegistered),
        "account-deleted" => Event::Error(Problem::AccountDeleted),
        _ => return Err(DecodeError::Unrecognized),
    })
}
