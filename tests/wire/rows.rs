//! The tables of both dialects, row by row.

use parlance::chat::{
    Command, Departure, Event, NameError, Phase, Problem, RoomNameError, Secret, UnixSeconds, Usage,
};
use parlance::wire::{Codec, Dialect};

use crate::feed::{commands, shown};

/// 12:34:56 on some day.
const AT: UnixSeconds = UnixSeconds(3 * 86_400 + 45_296);

fn said(dialect: Dialect, event: Event<'_>) -> String {
    let mut out = Vec::new();
    let _ = dialect.encode_event(&Codec::default(), &event, &mut out);
    String::from_utf8(out).expect("text dialects say UTF-8")
}

#[test]
fn line_commands_are_understood() {
    let login =
        |name, password: Option<&'static str>| Command::Login { name, password: password.map(Secret) };
    for (line, command) in [
        ("LOGIN alice", login("alice", None)),
        ("LOGIN alice pass word", login("alice", Some("pass word"))),
        ("LOGIN", login("", None)),
        ("MSG hi  there", Command::Say("hi  there")),
        ("MSG   hi", Command::Say("hi")),
        ("MSG", Command::Say("")),
        ("MSG /quit", Command::Say("/quit")),
        ("WHO", Command::Users),
        ("DM bob hi there", Command::Direct { to: "bob", text: "hi there" }),
        ("DM bob", Command::Direct { to: "bob", text: "" }),
        ("DM", Command::Direct { to: "", text: "" }),
        ("PING", Command::Ping),
        ("REGISTER pass word", Command::MakeAccount(Secret("pass word"))),
        ("REGISTER", Command::MakeAccount(Secret(""))),
        ("PASSWD old new", Command::ChangePassword { old: Secret("old"), new: Secret("new") }),
        ("PASSWD old new password", Command::ChangePassword { old: Secret(""), new: Secret("") }),
        ("PASSWD old", Command::ChangePassword { old: Secret(""), new: Secret("") }),
        ("PASSWD", Command::ChangePassword { old: Secret(""), new: Secret("") }),
        ("UNREGISTER pass word", Command::EndAccount(Secret("pass word"))),
        ("HELP", Command::Help),
        ("QUIT", Command::Quit),
        ("  PING\t ", Command::Ping),
        ("msg hi", Command::Unknown("msg")),
        ("MSGhi", Command::Unknown("MSGhi")),
        ("/quit", Command::Unknown("/quit")),
        ("", Command::Unknown("")),
    ] {
        for end in ["\n", "\r\n"] {
            for phase in [Phase::Login, Phase::Chat] {
                let sent = format!("{line}{end}");
                assert_eq!(commands(Dialect::Line, phase, [sent.as_bytes()]), [shown(&command)], "{line:?}");
            }
        }
    }
}

#[test]
fn slash_commands_are_understood() {
    for (phase, line, command) in [
        (Phase::Login, "alice", Command::Login { name: "alice", password: None }),
        (Phase::Login, "/quit", Command::Login { name: "/quit", password: None }),
        (Phase::Login, "two words", Command::Login { name: "two words", password: None }),
        (Phase::Password, "pass word", Command::Password(Secret("pass word"))),
        (Phase::Chat, "hi  there", Command::Say("hi  there")),
        (Phase::Chat, "", Command::Say("")),
        (Phase::Chat, "MSG hi", Command::Say("MSG hi")),
        (Phase::Chat, "/nick bob", Command::Rename("bob")),
        (Phase::Chat, "/nick", Command::Rename("")),
        (Phase::Chat, "/join games", Command::Join("games")),
        (Phase::Chat, "/join #games", Command::Join("games")),
        (Phase::Chat, "/join", Command::Join("")),
        (Phase::Chat, "/leave", Command::Leave),
        (Phase::Chat, "/rooms", Command::Rooms),
        (Phase::Chat, "/users", Command::Users),
        (Phase::Chat, "/msg bob hi  there", Command::Direct { to: "bob", text: "hi  there" }),
        (Phase::Chat, "/pm bob hi", Command::Direct { to: "bob", text: "hi" }),
        (Phase::Chat, "/msg bob", Command::Direct { to: "bob", text: "" }),
        (Phase::Chat, "/msg", Command::Direct { to: "", text: "" }),
        (Phase::Chat, "/history", Command::History("")),
        (Phase::Chat, "/history 5", Command::History("5")),
        (Phase::Chat, "/help", Command::Help),
        (Phase::Chat, "/register pass word", Command::MakeAccount(Secret("pass word"))),
        (
            Phase::Chat,
            "/password old new",
            Command::ChangePassword { old: Secret("old"), new: Secret("new") },
        ),
        (Phase::Chat, "/password old", Command::ChangePassword { old: Secret(""), new: Secret("") }),
        (Phase::Chat, "/unregister pass word", Command::EndAccount(Secret("pass word"))),
        (Phase::Chat, "/quit", Command::Quit),
        (Phase::Chat, "/exit", Command::Quit),
        (Phase::Chat, "  /exit ", Command::Quit),
        (Phase::Chat, "/dance now", Command::Unknown("dance")),
        (Phase::Chat, "/", Command::Unknown("")),
    ] {
        for end in ["\n", "\r\n"] {
            let sent = format!("{line}{end}");
            assert_eq!(commands(Dialect::Slash, phase, [sent.as_bytes()]), [shown(&command)], "{line:?}");
        }
    }
}

#[test]
fn a_password_is_never_shown() {
    let login = Command::Login { name: "alice", password: Some(Secret("hunter2")) };
    let hunter = Secret("hunter2");
    for command in [
        login,
        Command::Password(hunter),
        Command::MakeAccount(hunter),
        Command::ChangePassword { old: hunter, new: hunter },
        Command::EndAccount(hunter),
    ] {
        assert!(!format!("{command:?}").contains("hunter2"));
    }
}

#[test]
fn line_events_are_said_byte_for_byte() {
    let refused = Event::LoginRefused;
    for (event, line) in [
        (Event::LoggedIn { name: "alice", room: "lobby" }, "OK\n"),
        (refused(Problem::NameTaken), "ERR username-taken\n"),
        (
            refused(Problem::Name(NameError::TooShort { min: 1 })),
            "ERR invalid-username the name is too short, bytes needed: 1\n",
        ),
        (
            refused(Problem::Name(NameError::TooLong { max: 32 })),
            "ERR invalid-username the name is too long, bytes allowed: 32\n",
        ),
        (
            refused(Problem::Name(NameError::Character)),
            "ERR invalid-username names are 1 to 32 bytes of letters, digits and ASCII symbols, without blanks, \
             and do not start with # / or :\n",
        ),
        (refused(Problem::NameReserved), "ERR invalid-username the name is reserved\n"),
        (
            refused(Problem::NameLookAlike),
            "ERR invalid-username the name looks like one that is reserved or has an account\n",
        ),
        (refused(Problem::NoAccount("zoe")), "ERR no-account zoe\n"),
        (Event::Error(Problem::NotRegistered), "ERR no-account\n"),
        (Event::Error(Problem::AccountExists), "ERR account-exists\n"),
        (Event::AccountMade, "OK\n"),
        (Event::PasswordChanged, "OK\n"),
        (Event::AccountEnded, "OK\n"),
        (Event::Goodbye, "OK\n"),
        (refused(Problem::WrongPassword), "ERR wrong-password\n"),
        (refused(Problem::ServerFull), "ERR server-full\n"),
        (Event::PasswordWanted, "ERR password-required\n"),
        (Event::Message { sender: "alice", text: "hi there", at: AT }, "MSG alice hi there\n"),
        (Event::User { name: "alice", own: true }, "USER alice\n"),
        (Event::User { name: "bob", own: false }, "USER bob\n"),
        (Event::Direct { sender: "alice", text: "psst", at: AT }, "DM alice psst\n"),
        (Event::Direct { sender: "alice", text: "a\n\nERR b\n", at: AT }, "DM alice a\nDM alice ERR b\n"),
        (Event::Message { sender: "alice", text: "a\rINFO b", at: AT }, "MSG alice a\nMSG alice INFO b\n"),
        (Event::Error(Problem::UserNotFound("zoe")), "ERR user-not-found zoe\n"),
        (Event::Error(Problem::Usage(Usage::Direct)), "ERR invalid-dm-format\n"),
        (Event::Pong, "PONG\n"),
        (Event::Error(Problem::MustLogin), "ERR must-login-first\n"),
        (Event::Error(Problem::LineTooLong), "ERR line-too-long\n"),
        (Event::Error(Problem::InvalidUtf8), "ERR invalid-utf8\n"),
        (Event::Error(Problem::AlreadyLoggedIn), "ERR already-logged-in\n"),
        (Event::Left { name: "bob", departure: Departure::Disconnected }, "INFO bob disconnected\n"),
        (Event::Error(Problem::IdleTimeout), "ERR idle-timeout\n"),
        (Event::Error(Problem::Replaced), "ERR replaced\n"),
        (Event::Error(Problem::NameRegistered), "ERR name-registered\n"),
        (Event::Error(Problem::AccountDeleted), "ERR account-deleted\n"),
        (Event::Error(Problem::LoginTimeout), "ERR login-timeout\n"),
        (Event::Error(Problem::TooSlow), "ERR too-slow\n"),
        (Event::ShuttingDown, "INFO server shutting down\n"),
        (Event::Missed(17), "INFO 17 messages missed\n"),
        (Event::RoomClosed("games"), "INFO games closed by its host\n"),
    ] {
        assert_eq!(said(Dialect::Line, event), line, "{event:?}");
    }
}

#[test]
fn what_the_line_dialect_has_no_words_for_is_left_out() {
    for event in [
        Event::Greeting,
        Event::Day(UnixSeconds(0)),
        Event::NameWanted,
        Event::DirectSent { to: "bob", text: "psst" },
        Event::Joined("bob"),
        Event::Left { name: "bob", departure: Departure::Moved },
        Event::Renamed { old: "bob", new: "rob" },
        Event::YouJoined("games"),
        Event::YouReturned("lobby"),
        Event::YouRenamed("rob"),
        Event::UsersBegin { room: "lobby", count: 3 },
        Event::RoomsBegin,
        Event::Room { name: "lobby", members: 3 },
        Event::RoomsOmitted(7),
        Event::Error(Problem::UnknownCommand("dance")),
    ] {
        assert_eq!(said(Dialect::Line, event), "", "{event:?}");
    }
}

#[test]
fn slash_events_are_said_byte_for_byte() {
    for (event, lines) in [
        (Event::Greeting, "Welcome to the chat server!\nEnter your nickname: "),
        (Event::NameWanted, "Enter your nickname: "),
        (Event::PasswordWanted, "Password: "),
        (
            Event::LoggedIn { name: "alice", room: "lobby" },
            "Welcome alice! You are in #lobby\nType /help for available commands\n",
        ),
        (Event::Joined("alice"), "*** alice joined the room\n"),
        (Event::Left { name: "alice", departure: Departure::Moved }, "*** alice left the room\n"),
        (Event::Left { name: "alice", departure: Departure::Disconnected }, "*** alice left the room\n"),
        (Event::Message { sender: "alice", text: "hi there", at: AT }, "[12:34:56] alice: hi there\n"),
        (
            Event::Message { sender: "alice", text: "hi\r\n\n[12:00:00] bob: no\n", at: AT },
            "[12:34:56] alice: hi\n[12:34:56] alice: [12:00:00] bob: no\n",
        ),
        (Event::Day(UnixSeconds(1_767_225_599)), "*** 2025-12-31\n"),
        (Event::YouRenamed("bob"), "You are now known as bob\n"),
        (Event::Renamed { old: "alice", new: "bob" }, "*** alice is now known as bob\n"),
        (Event::YouJoined("games"), "You joined #games\n"),
        (Event::YouReturned("lobby"), "You returned to #lobby\n"),
        (Event::RoomsBegin, "Available rooms:\n"),
        (Event::Room { name: "lobby", members: 3 }, "  #lobby (3 users)\n"),
        (Event::RoomsOmitted(7), "  … and 7 more rooms\n"),
        (Event::UsersBegin { room: "lobby", count: 2 }, "Users in #lobby:\n"),
        (Event::User { name: "alice", own: true }, "  alice (you)\n"),
        (Event::User { name: "bob", own: false }, "  bob\n"),
        (Event::DirectSent { to: "bob", text: "psst" }, "[Private to bob]: psst\n"),
        (Event::Direct { sender: "bob", text: "psst", at: AT }, "[12:34:56] [Private from bob]: psst\n"),
        (Event::DirectSent { to: "bob", text: "a\rb" }, "[Private to bob]: a\n[Private to bob]: b\n"),
        (
            Event::Direct { sender: "bob", text: "a\nb", at: AT },
            "[12:34:56] [Private from bob]: a\n[12:34:56] [Private from bob]: b\n",
        ),
        (Event::Goodbye, "Goodbye!\n"),
        (Event::AccountMade, "Account created\n"),
        (Event::PasswordChanged, "Password changed\n"),
        (Event::AccountEnded, "Account deleted\n"),
        (Event::RoomClosed("games"), "*** games was closed by its host\n"),
        (Event::Error(Problem::Replaced), "*** replaced by a new login\n"),
        (Event::Error(Problem::NameRegistered), "*** the name has an account now\n"),
        (Event::Error(Problem::AccountDeleted), "*** the account was deleted\n"),
        (Event::ShuttingDown, "*** server shutting down\n"),
        (Event::Missed(17), "*** 17 messages missed\n"),
        (Event::Pong, ""),
    ] {
        assert_eq!(said(Dialect::Slash, event), lines, "{event:?}");
    }
}

#[test]
fn slash_refusals_say_what_is_wrong_with_the_nickname() {
    for (problem, line) in [
        (
            Problem::Name(NameError::TooShort { min: 3 }),
            "Invalid nickname: Nickname must be at least 3 characters\n",
        ),
        (
            Problem::Name(NameError::TooLong { max: 20 }),
            "Invalid nickname: Nickname must be at most 20 characters\n",
        ),
        (
            Problem::Name(NameError::Character),
            "Invalid nickname: Nickname can only contain letters, numbers, underscore and dash\n",
        ),
        (Problem::NameTaken, "Registration failed: Nickname already taken\n"),
        (Problem::ServerFull, "Registration failed: Server is full\n"),
        (Problem::NameReserved, "Registration failed: Nickname is reserved\n"),
        (Problem::WrongPassword, "Login failed: Wrong password\n"),
    ] {
        assert_eq!(said(Dialect::Slash, Event::LoginRefused(problem)), line);
    }
}

#[test]
fn slash_errors_are_said_byte_for_byte() {
    for (problem, line) in [
        (Problem::AlreadyInRoom, "ERROR: Already in that room\n"),
        (Problem::UserNotFound("zoe"), "ERROR: User not found\n"),
        (
            Problem::UnknownCommand("dance"),
            "ERROR: Unknown command: /dance. Type /help for available commands\n",
        ),
        (Problem::Usage(Usage::Join), "ERROR: Usage: /join <room_name>\n"),
        (Problem::Usage(Usage::Direct), "ERROR: Usage: /msg <nick> <text>\n"),
        (Problem::Usage(Usage::Rename), "ERROR: Usage: /nick <name>\n"),
        (Problem::NoMessages, "ERROR: No messages there\n"),
        (
            Problem::Usage(Usage::History),
            "ERROR: Usage: /history [n], /history before [n], /history before|after|around <message id> [n]\n",
        ),
        (Problem::Usage(Usage::MakeAccount), "ERROR: Usage: /register <password>\n"),
        (Problem::Usage(Usage::ChangePassword), "ERROR: Usage: /password <old> <new>\n"),
        (Problem::Usage(Usage::EndAccount), "ERROR: Usage: /unregister <password>\n"),
        (Problem::AccountExists, "ERROR: Account already exists\n"),
        (Problem::NotRegistered, "ERROR: You have no account\n"),
        (Problem::WrongPassword, "ERROR: Wrong password\n"),
        (Problem::RoomName(RoomNameError::TooLong), "ERROR: Room name is too long\n"),
        (Problem::TooManyRooms, "ERROR: Too many rooms\n"),
        (Problem::LineTooLong, "ERROR: Line too long\n"),
        (Problem::InvalidUtf8, "ERROR: Invalid UTF-8\n"),
        (Problem::IdleTimeout, "ERROR: Idle timeout\n"),
        (Problem::LoginTimeout, "ERROR: Login timeout\n"),
        (Problem::TooSlow, "ERROR: Too slow\n"),
    ] {
        assert_eq!(said(Dialect::Slash, Event::Error(problem)), line);
    }
}

#[test]
fn the_help_has_a_line_for_each_command() {
    let help = said(Dialect::Slash, Event::Help);
    for word in [
        "nick",
        "join",
        "leave",
        "rooms",
        "users",
        "msg",
        "history",
        "register",
        "password",
        "unregister",
        "help",
        "quit",
    ] {
        let lines = help.lines().filter(|line| line.trim_start().starts_with(&format!("/{word}"))).count();
        assert_eq!(lines, 1, "/{word} in {help}");
    }
    assert!(help.contains("/pm") && help.contains("/exit"), "{help}");
}

#[test]
fn slash_nicknames_are_3_to_20_letters_digits_underscores_and_dashes() {
    let long = "x".repeat(20);
    for name in ["bob", "B-0_b", &long] {
        assert_eq!(Dialect::Slash.check_name(name), Ok(()), "{name}");
    }
    let too_long = "x".repeat(21);
    for (name, error) in [
        ("", NameError::TooShort { min: 3 }),
        ("ab", NameError::TooShort { min: 3 }),
        ("é1", NameError::TooShort { min: 3 }),
        (&too_long, NameError::TooLong { max: 20 }),
        ("zoë", NameError::Character),
        ("a b", NameError::Character),
        ("a.b", NameError::Character),
        ("#ab", NameError::Character),
    ] {
        assert_eq!(Dialect::Slash.check_name(name), Err(error), "{name}");
    }
    assert_eq!(Dialect::Line.check_name("é"), Ok(()));
}
