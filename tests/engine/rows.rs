//! The tables of both dialects, as scenes in which two line users and two slash users share the lobby.

use parlance::chat::CloseReason;
use parlance::fanout::Close;
use parlance::wire::Dialect;

use crate::world::{Client, Ended, World};

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// Alice and Bob speak line, Carol and Dave speak slash; everybody is in the lobby, and has read who is.
fn lobby() -> (World, [Client; 4]) {
    let mut world = World::new();
    let clients = [world.line("alice"), world.line("bob"), world.slash("carol"), world.slash("dave")];
    for client in clients {
        world.hears(client);
    }
    (world, clients)
}

/// What somebody types, who hears something, and what.
type Row<'a> = (&'a [u8], &'a [(&'a str, &'a str)]);

/// Somebody types a line, and these hear these things, and nobody else hears anything.
fn scene(typist: &str, line: &[u8], heard: &[(&str, &str)]) {
    let (mut world, clients) = lobby();
    let client = |name| clients[NAMES.iter().position(|&n| n == name).expect("one of the four")];
    world.sends(client(typist), &[line, b"\n"].concat());
    for name in NAMES {
        let expected = heard.iter().find(|(who, _)| *who == name).map_or("", |(_, what)| what);
        assert_eq!(
            world.hears(client(name)),
            expected,
            "{name}, when {typist} typed {}",
            line.escape_ascii()
        );
    }
}

#[test]
fn each_line_command_is_answered_and_seen_in_both_dialects() {
    let said = "[12:34:56] alice: hi there\n";
    let rows: &[Row<'_>] = &[
        (b"MSG hi there", &[("bob", "MSG alice hi there\n"), ("carol", said), ("dave", said)]),
        (b"MSG", &[]),
        (b"MSG   ", &[]),
        (b"WHO", &[("alice", "USER alice\nUSER bob\nUSER carol\nUSER dave\n")]),
        (b"DM bob psst", &[("bob", "DM alice psst\n")]),
        (b"DM BOB psst", &[("bob", "DM alice psst\n")]),
        (b"DM carol psst", &[("carol", "[12:34:56] [Private from alice]: psst\n")]),
        (b"DM alice psst", &[("alice", "DM alice psst\n")]),
        (b"DM zoe psst", &[("alice", "ERR user-not-found zoe\n")]),
        (b"DM bob", &[("alice", "ERR invalid-dm-format\n")]),
        (b"DM", &[("alice", "ERR invalid-dm-format\n")]),
        (b"PING", &[("alice", "PONG\n")]),
        (b"anything else", &[]),
        (b"/quit", &[]),
        (b"", &[]),
        (&[b'x'; 5000], &[("alice", "ERR line-too-long\n")]),
        (b"MSG \xff", &[("alice", "ERR invalid-utf8\n")]),
        (b"LOGIN zoe", &[("alice", "ERR already-logged-in\n")]),
    ];
    for (line, heard) in rows {
        scene("alice", line, heard);
    }
}

#[test]
fn each_slash_command_is_answered_and_seen_in_both_dialects() {
    let said = "[12:34:56] carol: hi there\n";
    let users = "Users in #lobby:\n  alice\n  bob\n  carol (you)\n  dave\n";
    let left = "*** carol left the room\n";
    let rows: &[Row<'_>] = &[
        (
            b"hi there",
            &[
                ("alice", "MSG carol hi there\n"),
                ("bob", "MSG carol hi there\n"),
                ("carol", said),
                ("dave", said),
            ],
        ),
        (b"", &[]),
        (
            b"/nick zoe",
            &[("carol", "You are now known as zoe\n"), ("dave", "*** carol is now known as zoe\n")],
        ),
        (
            b"/nick Carol",
            &[("carol", "You are now known as Carol\n"), ("dave", "*** carol is now known as Carol\n")],
        ),
        (b"/nick alice", &[("carol", "ERROR: Nickname already taken\n")]),
        (b"/nick ab", &[("carol", "ERROR: Nickname must be at least 3 characters\n")]),
        (b"/nick", &[("carol", "ERROR: Usage: /nick <name>\n")]),
        (b"/join games", &[("carol", "You joined #games\n"), ("dave", left)]),
        (b"/join lobby", &[("carol", "ERROR: Already in that room\n")]),
        (b"/join", &[("carol", "ERROR: Usage: /join <room_name>\n")]),
        (b"/join a\x1bb", &[("carol", "ERROR: Room name can not contain control characters\n")]),
        (b"/rooms", &[("carol", "Available rooms:\n  #lobby (4 users)\n")]),
        (b"/users", &[("carol", users)]),
        (
            b"/msg dave psst",
            &[("carol", "[Private to dave]: psst\n"), ("dave", "[12:34:56] [Private from carol]: psst\n")],
        ),
        (b"/pm Alice psst", &[("carol", "[Private to alice]: psst\n"), ("alice", "DM carol psst\n")]),
        (b"/msg zoe psst", &[("carol", "ERROR: User not found\n")]),
        (b"/msg dave", &[("carol", "ERROR: Usage: /msg <nick> <text>\n")]),
        (b"/history", &[]),
        (
            b"/history x",
            &[(
                "carol",
                "ERROR: Usage: /history [n], /history before [n], /history before|after|around <message id> [n]\n",
            )],
        ),
        (
            b"/quit",
            &[
                ("carol", "Goodbye!\n"),
                ("alice", "INFO carol disconnected\n"),
                ("bob", "INFO carol disconnected\n"),
                ("dave", left),
            ],
        ),
        (b"/dance", &[("carol", "ERROR: Unknown command: /dance. Type /help for available commands\n")]),
        (&[b'x'; 5000], &[("carol", "ERROR: Line too long\n")]),
        (b"\xff", &[("carol", "ERROR: Invalid UTF-8\n")]),
    ];
    for (line, heard) in rows {
        scene("carol", line, heard);
    }
}

const NOT_A_NAME: &str = "ERR invalid-username names are 1 to 32 bytes of letters, digits and ASCII symbols, \
                          without blanks, and do not start with # / or :\n";

#[test]
fn each_login_is_answered() {
    let long = "x".repeat(33);
    let too_long = format!("LOGIN {long}");
    for (line, answer) in [
        ("LOGIN zoe", "OK\n"),
        ("LOGIN zoe secret", "ERR no-account zoe\n"),
        ("LOGIN John Smith", "ERR no-account John\n"),
        ("LOGIN root", "ERR invalid-username the name is reserved\n"),
        ("LOGIN Admin", "ERR invalid-username the name is reserved\n"),
        ("LOGIN root secret", "ERR no-account root\n"),
        ("REGISTER secret", "ERR must-login-first\n"),
        ("PASSWD a b", "ERR must-login-first\n"),
        ("UNREGISTER secret", "ERR must-login-first\n"),
        ("LOGIN ZOË", "OK\n"),
        ("LOGIN Alice", "ERR username-taken\n"),
        ("LOGIN CAROL", "ERR username-taken\n"),
        ("LOGIN", "ERR invalid-username the name is too short, bytes needed: 1\n"),
        ("LOGIN #zoe", NOT_A_NAME),
        (&too_long, "ERR invalid-username the name is too long, bytes allowed: 32\n"),
        ("MSG hi", "ERR must-login-first\n"),
        ("WHO", "ERR must-login-first\n"),
        ("anything", "ERR must-login-first\n"),
        ("PING", "PONG\n"),
    ] {
        let (mut world, _) = lobby();
        let zoe = world.connects(Dialect::Line);
        assert_eq!(world.hears(zoe), "", "a line server does not speak first");
        world.types(zoe, line);
        assert_eq!(world.hears(zoe), answer, "{line}");
        assert_eq!(world.ended(zoe), None, "{line}");
    }
}

#[test]
fn each_nickname_is_answered_and_a_bad_one_is_the_end() {
    for (line, answer) in [
        ("ab", "Invalid nickname: Nickname must be at least 3 characters\n"),
        ("xxxxxxxxxxxxxxxxxxxxx", "Invalid nickname: Nickname must be at most 20 characters\n"),
        ("a b c", "Invalid nickname: Nickname can only contain letters, numbers, underscore and dash\n"),
        ("Dave", "Registration failed: Nickname already taken\n"),
        ("ALICE", "Registration failed: Nickname already taken\n"),
    ] {
        let (mut world, _) = lobby();
        let zoe = world.connects(Dialect::Slash);
        assert_eq!(world.hears(zoe), "Welcome to the chat server!\nEnter your nickname: ");
        world.types(zoe, line);
        assert_eq!(world.hears(zoe), answer, "{line}");
        let refused = Ended { close: Some(Close::Linger), reason: CloseReason::LoginRefused };
        assert_eq!(world.ended(zoe), Some(refused), "{line}");
    }
}

#[test]
fn a_newcomer_is_welcomed_and_the_room_sees_it_the_newcomer_included() {
    let (mut world, [alice, _, carol, _]) = lobby();
    let zoe = world.connects(Dialect::Slash);
    world.hears(zoe);
    world.types(zoe, "zoe\r");
    let welcome =
        "Welcome zoe! You are in #lobby\nType /help for available commands\n*** zoe joined the room\n";
    assert_eq!(world.hears(zoe), welcome);
    assert_eq!(world.hears(carol), "*** zoe joined the room\n");
    assert_eq!(world.hears(alice), "");
}

#[test]
fn whoever_leaves_is_seen_to_leave_in_both_dialects_however_it_happened() {
    for how in [World::vanishes, World::closes_its_side] {
        let (mut world, [alice, bob, carol, dave]) = lobby();
        how(&mut world, alice);
        assert_eq!(world.hears(bob), "INFO alice disconnected\n");
        assert_eq!(world.hears(carol), "*** alice left the room\n");
        how(&mut world, carol);
        assert_eq!(world.hears(bob), "INFO carol disconnected\n");
        assert_eq!(world.hears(dave), "*** alice left the room\n*** carol left the room\n");
    }
}

#[test]
fn a_move_is_seen_in_both_rooms_and_text_stays_in_its_own() {
    let (mut world, [alice, _, carol, dave]) = lobby();
    world.types(carol, "/join games");
    assert_eq!(world.hears(dave), "*** carol left the room\n");
    world.types(dave, "/join #games");
    assert_eq!(world.hears(dave), "You joined #games\n");
    assert_eq!(world.hears(carol), "You joined #games\n*** dave joined the room\n");
    world.types(carol, "only here");
    assert_eq!(world.hears(dave), "[12:34:56] carol: only here\n");
    world.types(carol, "/rooms");
    assert_eq!(
        world.hears(carol),
        "[12:34:56] carol: only here\nAvailable rooms:\n  #lobby (2 users)\n  #games (2 users)\n"
    );
    world.types(carol, "/leave");
    assert_eq!(world.hears(carol), "You returned to #lobby\n");
    assert_eq!(world.hears(dave), "*** carol left the room\n");
    world.types(carol, "/leave");
    assert_eq!(world.hears(carol), "ERROR: Already in that room\n");
    assert_eq!(world.hears(alice), "", "moving is no disconnection, and games is another room");
}

#[test]
fn history_has_the_last_messages_of_both_dialects_with_their_times() {
    let (mut world, [alice, _, carol, _]) = lobby();
    for index in 0..25 {
        world.types(if index % 2 == 0 { alice } else { carol }, &format!("MSG {index}"));
        world.seconds_pass(1);
    }
    world.hears(carol);
    world.types(carol, "/history 2");
    // What Carol typed is her text, word and all.
    assert_eq!(world.hears(carol), "[12:35:19] carol: MSG 23\n[12:35:20] alice: 24\n");
    world.types(carol, "/history");
    assert_eq!(world.hears(carol).lines().count(), 20);
    world.types(carol, "/history 1000");
    assert_eq!(world.hears(carol).lines().count(), 25);
}

#[test]
fn the_help_is_shown() {
    let (mut world, [_, _, carol, _]) = lobby();
    world.types(carol, "/help");
    let help = world.hears(carol);
    assert!(help.starts_with("Available commands:\n") && help.lines().count() == 14, "{help}");
}

#[test]
fn no_text_of_a_user_makes_a_second_line_for_another() {
    let (mut world, [alice, bob, carol, dave]) = lobby();
    world.types(alice, "MSG one\u{85}MSG eve two\x1b[2J");
    assert_eq!(world.hears(bob), "MSG alice one\u{fffd}MSG eve two\u{fffd}[2J\n");
    assert_eq!(world.hears(dave), "[12:34:56] alice: one\u{fffd}MSG eve two\u{fffd}[2J\n");
    // A CR ends the line, and what follows is a line of the same user.
    world.types(alice, "MSG one\rMSG two");
    assert_eq!(world.hears(bob), "MSG alice one\nMSG alice two\n");
    world.types(carol, "/msg bob one\u{85}two\0");
    assert_eq!(world.hears(bob), "DM carol one\u{fffd}two\u{fffd}\n");
}
