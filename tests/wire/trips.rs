//! What one end encodes the other end decodes: everything that a dialect can say.

use std::collections::HashSet;
use std::sync::LazyLock;

use parlance::chat::{
    Command, Departure, Event, Mail, NameError, Phase, Problem, RoomNameError, Secret, Token, UnixMillis,
    UnixSeconds, Usage,
};
use parlance::chat::{List, ListKind};
use parlance::wire::{Codec, Dialect, Unsayable};

use crate::feed::{LINES, commands, events, shown};

/// What a dialect's client can say, and in which phase.
pub(crate) fn sayable_commands(dialect: Dialect) -> Vec<(Phase, Command<'static>)> {
    let login = |password| Command::Login { name: "alice", password };
    // The word in front of a conversation that is to go is also a name.
    let (own, clear, clear_stranger) = match dialect {
        Dialect::Line => (
            vec![
                (Phase::Login, login(None)),
                (Phase::Login, login(Some(Secret("pass word")))),
                (Phase::Chat, Command::Say("/quit")),
                (Phase::Chat, Command::Ping),
            ],
            "CLEAR",
            "CLEAR (no account)",
        ),
        Dialect::Slash => (
            vec![
                (Phase::Login, login(None)),
                (Phase::Password, Command::Password(Secret("pass word"))),
                (Phase::Chat, Command::Say("MSG hi")),
                (Phase::Chat, Command::Rename("rob")),
                (Phase::Chat, Command::Join("games")),
                (Phase::Chat, Command::Leave),
                (Phase::Chat, Command::Rooms),
                (Phase::Chat, Command::History("")),
                (Phase::Chat, Command::History("7")),
            ],
            "clear",
            "clear (no account)",
        ),
        Dialect::Tcrp | Dialect::Ucrp | Dialect::Typed | Dialect::Gob => unreachable!("no dialect of lines"),
    };
    let of_both = [
        Command::Say("hi  é🦀"),
        Command::Say(""),
        Command::Direct { to: "bob", text: "hi  é🦀" },
        Command::Users,
        Command::MakeAccount(Secret("pass word")),
        Command::ChangePassword { old: Secret("old"), new: Secret("new") },
        Command::EndAccount(Secret("pass word")),
        Command::Help,
        Command::Quit,
        Command::Mailbox,
        Command::ReadMail("bob"),
        Command::ReadMail("bob (no account)"),
        Command::ReadMail(clear),
        Command::ReadMail(clear_stranger),
        Command::ClearMail("bob"),
        Command::ClearMail(clear),
        Command::ClearMail("bob (no account)"),
    ];
    own.into_iter().chain(of_both.map(|command| (Phase::Chat, command))).collect()
}

const DIRECT: Event<'_> = Event::Direct { sender: "bob", text: "psst  é🦀", at: UnixSeconds(0) };
const MESSAGE: Event<'_> = Event::Message { sender: "bob", text: "hi  é🦀", at: UnixSeconds(0) };

/// Without what the dialects do not carry: ids, recipients, and whether it was read.
const ANY_MAIL: Event<'_> = Event::Mail(Mail {
    id: "",
    at: UnixMillis(1_709_164_799_000),
    sender: "bob",
    recipient: "",
    content: "hi  é🦀 FROM 1 eve: hi",
    unread: false,
});
const LATER_MAIL: Event<'_> = Event::Mail(Mail {
    id: "",
    at: UnixMillis(253_402_300_799_000),
    sender: "[2026-01-01",
    recipient: "",
    content: "12:34:56] eve: hi",
    unread: false,
});

const PAST: Event<'static> =
    Event::Past { sender: "bob", text: "hi", at: UnixSeconds(1_767_139_200 + 45_296) };
const DAY: Event<'static> = Event::Day(UnixSeconds(1_767_139_200));

/// Every event, and what the other end makes of it: nothing, where the dialect does not say it, and without what the
/// dialect does not carry.
pub(crate) fn all_events(dialect: Dialect) -> Vec<(Event<'static>, Option<Event<'static>>)> {
    let line = dialect == Dialect::Line;
    let left = |departure| Event::Left { name: "bob", departure };
    let mut all: Vec<_> = [DIRECT, MESSAGE, Event::PasswordWanted, Event::Missed(17), Event::ShuttingDown]
        .into_iter()
        .chain([Event::MailWaits(3), Event::Account { name: "bob", unread: 1 }, ANY_MAIL, LATER_MAIL])
        .chain([Event::Account { name: "bob (no account)", unread: 0 }])
        .chain([Event::RoomClosed("games"), Event::User { name: "bob", own: false }, Event::Help])
        .map(|event| (event, Some(event)))
        .collect();
    let only_slash = [
        Event::Greeting,
        Event::DirectSent { to: "bob", text: "psst  é🦀" },
        Event::Joined("bob"),
        Event::Renamed { old: "bob", new: "rob" },
        Event::YouJoined("games"),
        Event::YouReturned("lobby"),
        Event::YouRenamed("rob"),
        Event::RoomsBegin,
        Event::Room { name: "lobby", members: 3 },
        Event::RoomsOmitted(7),
        Event::Goodbye,
        Event::AccountMade,
        Event::PasswordChanged,
        Event::AccountEnded,
        Event::Message { sender: "bob:", text: "[Private from eve]: hi", at: UnixSeconds(0) },
    ];
    let daytime = Event::Message { sender: "bob", text: "hi", at: UnixSeconds(45_296) };
    let counted = |count| Event::UsersBegin { room: "lobby", count };
    let own = |own| Event::User { name: "bob", own };
    if line {
        all.extend(only_slash[..10].iter().map(|&event| (event, None)));
        let nobody = Event::LoggedIn { name: "", room: "" };
        // Each request is carried out: all answers are `OK`.
        all.extend(only_slash[10..14].iter().map(|&event| (event, Some(nobody))));
        all.extend([
            (Event::LoggedIn { name: "alice", room: "lobby" }, Some(nobody)),
            (daytime, Some(Event::Message { sender: "bob", text: "hi", at: UnixSeconds(0) })),
            (left(Departure::Moved), None),
            (left(Departure::Disconnected), Some(left(Departure::Disconnected))),
            (counted(3), None),
            (own(true), Some(own(false))),
            (Event::Pong, Some(Event::Pong)),
            (Event::MailEnd, Some(nobody)),
            (Event::MailListBegin, None),
            (Event::ConversationBegin, None),
            (DAY, None),
            (PAST, Some(Event::Message { sender: "bob", text: "hi", at: UnixSeconds(0) })),
            (Event::NameWanted, None),
        ]);
    } else {
        all.extend(only_slash.map(|event| (event, Some(event))));
        let alice = Event::LoggedIn { name: "alice", room: "lobby" };
        all.extend([
            (alice, Some(alice)),
            (daytime, Some(daytime)),
            (left(Departure::Moved), Some(left(Departure::Moved))),
            (left(Departure::Disconnected), Some(left(Departure::Moved))),
            (counted(3), Some(counted(0))),
            (own(true), Some(own(true))),
            (Event::Pong, None),
            (Event::MailEnd, Some(Event::MailEnd)),
            (Event::MailListBegin, Some(Event::MailListBegin)),
            (Event::ConversationBegin, Some(Event::ConversationBegin)),
            (DAY, Some(DAY)),
            (PAST, Some(Event::Message { sender: "bob", text: "hi", at: UnixSeconds(45_296) })),
            (Event::NameWanted, Some(Event::NameWanted)),
        ]);
    }
    all.extend(of_other_dialects().map(|event| (event, None)));
    all.extend(login_refusals(dialect).into_iter().chain(errors(dialect)));
    all
}

/// What the dialects of lines have no words for.
fn of_other_dialects() -> impl Iterator<Item = Event<'static>> {
    static TOKEN: LazyLock<Token> = LazyLock::new(|| Token::from_random([7; 16]));
    let mail =
        Mail { id: "1", at: UnixMillis(0), sender: "bob", recipient: "alice", content: "hi", unread: true };
    [
        Event::NameKnown,
        Event::NameFree,
        Event::Seated(&TOKEN),
        Event::ListBegin(List { kind: ListKind::Accounts, count: 1, bytes: 17 }),
        Event::AccountName("bob"),
        Event::MailArrived(mail),
        Event::Kept { key: "k", id: "1" },
        Event::AddressChallenge("0123456789abcdef"),
    ]
    .into_iter()
}

fn login_refusals(dialect: Dialect) -> Vec<(Event<'static>, Option<Event<'static>>)> {
    [
        Problem::NameTaken,
        Problem::WrongPassword,
        Problem::ServerFull,
        Problem::AddressFull,
        Problem::AddressTooFast,
        Problem::TooManyAttempts,
        Problem::Busy,
        Problem::TooManyAccounts,
        Problem::TooManyNewAccounts { retry_seconds: 8640 },
        Problem::PasswordUnusable,
        Problem::Name(NameError::Character),
        Problem::Name(NameError::TooShort { min: 3 }),
        Problem::Name(NameError::TooLong { max: 20 }),
        Problem::NameReserved,
        Problem::NameLookAlike,
        Problem::NoAccount("zoe"),
    ]
    .map(|problem| {
        let heard = match problem {
            // Slash never gives a password with a name.
            Problem::NoAccount(_) if dialect == Dialect::Slash => Problem::NoAccount(""),
            problem => problem,
        };
        (Event::LoginRefused(problem), Some(Event::LoginRefused(heard)))
    })
    .into()
}

fn errors(dialect: Dialect) -> Vec<(Event<'static>, Option<Event<'static>>)> {
    [
        Problem::AlreadyLoggedIn,
        Problem::MustLogin,
        Problem::UserNotFound("zoe"),
        Problem::AlreadyInRoom,
        Problem::TooManyRooms,
        Problem::TooManyRoomsOfAddress,
        Problem::TooManyRoomsOfSession,
        Problem::RoomExists,
        Problem::NoSuchRoom,
        Problem::NoMessages,
        Problem::TextTooLong,
        Problem::MailboxFull,
        Problem::MailboxFullForYou,
        Problem::MailboxFullForUnknown,
        Problem::NoMailbox,
        Problem::UnknownCommand("dance"),
        Problem::Usage(Usage::Direct),
        Problem::Usage(Usage::Join),
        Problem::Usage(Usage::Rename),
        Problem::Usage(Usage::History),
        Problem::Usage(Usage::Login),
        Problem::Usage(Usage::MakeAccount),
        Problem::Usage(Usage::ChangePassword),
        Problem::Usage(Usage::EndAccount),
        Problem::AccountExists,
        Problem::NameHasAccount,
        Problem::NotRegistered,
        Problem::NoPasswordsHere,
        Problem::NotInSeats,
        Problem::RoomName(RoomNameError::Empty),
        Problem::RoomName(RoomNameError::TooLong),
        Problem::RoomName(RoomNameError::Character),
        Problem::LineTooLong,
        Problem::InvalidUtf8,
        Problem::IdleTimeout,
        Problem::Replaced,
        Problem::NameRegistered,
        Problem::AccountDeleted,
        Problem::LoginTimeout,
        Problem::TooSlow,
        Problem::TooFast,
    ]
    .map(|problem| {
        let heard = match (dialect, problem) {
            (Dialect::Line, Problem::UnknownCommand(_)) => None,
            (Dialect::Line, Problem::RoomName(_)) => Some(Problem::RoomName(RoomNameError::Character)),
            (Dialect::Line, Problem::Usage(Usage::Direct)) => Some(problem),
            (Dialect::Line, Problem::Usage(_)) => Some(Problem::Usage(Usage::Join)),
            (Dialect::Line, Problem::NoPasswordsHere) => Some(Problem::NotInSeats),
            (Dialect::Slash, Problem::UserNotFound(_)) => Some(Problem::UserNotFound("")),
            (_, problem) => Some(problem),
        };
        (Event::Error(problem), heard.map(Event::Error))
    })
    .into()
}

/// A number for each kind of event, so that the compiler asks for a new one here, and the test for it in the table.
fn kind(event: &Event<'_>) -> usize {
    match event {
        Event::Greeting => 0,
        Event::LoggedIn { .. } => 1,
        Event::PasswordWanted => 2,
        Event::LoginRefused(_) => 3,
        Event::Error(_) => 4,
        Event::Message { .. } => 5,
        Event::Direct { .. } => 6,
        Event::DirectSent { .. } => 7,
        Event::Joined(_) => 8,
        Event::Left { .. } => 9,
        Event::Renamed { .. } => 10,
        Event::YouJoined(_) => 11,
        Event::YouReturned(_) => 12,
        Event::YouRenamed(_) => 13,
        Event::UsersBegin { .. } => 14,
        Event::User { .. } => 15,
        Event::RoomsBegin => 16,
        Event::Room { .. } => 17,
        Event::RoomsOmitted(_) => 18,
        Event::Help => 19,
        Event::Pong => 20,
        Event::Goodbye => 21,
        Event::Missed(_) => 22,
        Event::RoomClosed(_) => 23,
        Event::ShuttingDown => 24,
        Event::NameKnown => 25,
        Event::NameFree => 26,
        Event::Seated(_) => 27,
        Event::ListBegin(_) => 28,
        Event::Account { .. } => 29,
        Event::AccountName(_) => 30,
        Event::Mail(_) => 31,
        Event::MailArrived(_) => 32,
        Event::Kept { .. } => 33,
        Event::AddressChallenge(_) => 34,
        Event::AccountMade => 35,
        Event::PasswordChanged => 36,
        Event::AccountEnded => 37,
        Event::MailEnd => 38,
        Event::MailWaits(_) => 39,
        Event::MailListBegin => 40,
        Event::ConversationBegin => 41,
        Event::Day(_) => 42,
        Event::NameWanted => 43,
        Event::Past { .. } => 44,
    }
}
const KINDS: usize = 45;

#[test]
fn every_kind_of_event_is_in_the_table() {
    for dialect in LINES {
        let kinds: HashSet<_> = all_events(dialect).iter().map(|(event, _)| kind(event)).collect();
        assert_eq!(kinds.len(), KINDS, "{dialect:?}");
    }
}

#[test]
fn what_a_client_says_is_what_the_server_understands() {
    for dialect in LINES {
        for (phase, command) in sayable_commands(dialect) {
            let mut out = Vec::new();
            dialect.encode_command(&command, &mut out).expect("sayable");
            assert_eq!(commands(dialect, phase, [&out[..]]), [shown(&command)], "{dialect:?}");
        }
    }
}

#[test]
fn what_a_dialect_cannot_say_is_refused_and_leaves_no_bytes() {
    let line = [
        Command::Password(Secret("x")),
        Command::Rename("bob"),
        Command::Join("games"),
        Command::Leave,
        Command::Rooms,
        Command::History(""),
        Command::ChangePassword { old: Secret("a"), new: Secret("b c") },
        Command::Unknown("dance"),
    ];
    let slash = [
        Command::Login { name: "alice", password: Some(Secret("x")) },
        Command::Say("/quit"),
        Command::Say("  /quit"),
        Command::Ping,
        Command::ChangePassword { old: Secret("a b"), new: Secret("c") },
        Command::MakeAccount(Secret("")),
        Command::Unknown("dance"),
    ];
    for (dialect, unsayable) in [(Dialect::Line, &line[..]), (Dialect::Slash, &slash[..])] {
        for command in unsayable {
            let mut out = Vec::new();
            assert_eq!(dialect.encode_command(command, &mut out), Err(Unsayable), "{command:?}");
            assert!(out.is_empty(), "{command:?}");
        }
    }
}

#[test]
fn what_a_server_says_is_what_the_client_understands() {
    for dialect in LINES {
        for (event, heard) in all_events(dialect) {
            let mut out = Vec::new();
            let _ = dialect.encode_event(&Codec::default(), &event, &mut out);
            let heard: Vec<_> = heard.iter().map(|event| format!("{event:?}")).collect();
            assert_eq!(events(dialect, [&out[..]]), heard, "{event:?} as {dialect:?}");
        }
    }
}

#[test]
fn no_name_that_somebody_may_have_is_taken_for_something_else() {
    for name in
        ["[x", "***", "*", "Goodbye!", "a]:b", "x]:", "a:b:", "(you)", "5", "server", "Type", "ERROR:"]
    {
        assert!(parlance::chat::Name::parse(name).is_ok(), "{name}");
        for dialect in LINES {
            let at = UnixSeconds(0);
            let of_slash = [
                Event::DirectSent { to: name, text: "hi" },
                Event::Joined(name),
                Event::Left { name, departure: Departure::Moved },
                Event::Renamed { old: name, new: "bob" },
                Event::Renamed { old: "bob", new: name },
                Event::User { name, own: true },
            ];
            let of_line = [Event::Left { name, departure: Departure::Disconnected }];
            let of_both = [
                Event::Message { sender: name, text: "hi", at },
                Event::Message { sender: name, text: "*** bob: hi", at },
                Event::Direct { sender: name, text: "hi", at },
                Event::User { name, own: false },
            ];
            let of_one = if dialect == Dialect::Line { &of_line[..] } else { &of_slash };
            for event in of_both.iter().chain(of_one) {
                let mut out = Vec::new();
                let _ = dialect.encode_event(&Codec::default(), event, &mut out);
                let said = String::from_utf8_lossy(&out);
                assert_eq!(events(dialect, [&out[..]]), [format!("{event:?}")], "{said}");
            }
        }
    }
}
