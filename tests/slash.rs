//! The slash dialect over real sockets, row by row of docs/protocols.md.

mod support;

use parlance::wire::Dialect;
use support::TestServer;

const PROMPT: &str = "Welcome to the chat server!\nEnter your nickname: ";

#[test]
fn a_bad_nickname_is_explained_and_closed() {
    let server = TestServer::start();
    let characters = "Nickname can only contain letters, numbers, underscore and dash";
    for (nickname, reason) in [
        ("ab", "Nickname must be at least 3 characters"),
        ("", "Nickname must be at least 3 characters"),
        ("abcdefghijklmnopqrstu", "Nickname must be at most 20 characters"),
        ("a b c", characters),
        ("zoë", characters),
        ("/quit", characters),
    ] {
        let mut peer = server.connect(Dialect::Slash);
        peer.send(format!("{nickname}\nsome more\n"));
        peer.expect(PROMPT);
        assert_eq!(peer.rest(), format!("Invalid nickname: {reason}\n"));
    }
}

#[test]
fn a_taken_nickname_is_refused_and_closed() {
    let server = TestServer::start();
    let _alice = server.line("Alice");
    let mut peer = server.connect(Dialect::Slash);
    peer.send("alice\n");
    peer.expect(PROMPT);
    assert_eq!(peer.rest(), "Registration failed: Nickname already taken\n");
}

#[test]
fn another_nickname_can_be_tried_where_the_settings_allow_it() {
    let server = TestServer::with(|config| config.slash_nick_tries = 3);
    server.account("alice", "secret");
    let again = "Enter your nickname: ";
    let mut bob = server.connect(Dialect::Slash);
    bob.send(b"a\n\xff\nbobby\n");
    bob.expect(PROMPT);
    bob.expect("Invalid nickname: Nickname must be at least 3 characters\n");
    bob.expect(again);
    bob.expect("Registration failed: Invalid UTF-8\n");
    bob.expect(again);
    bob.expect("Welcome bobby! You are in #lobby\n");
    // After a wrong password the next line is a nickname, and the third refusal is the last.
    let mut eve = server.connect(Dialect::Slash);
    eve.send("alice\nwrong\nbobby\nalice\nwrong\ncarol\n");
    eve.expect(PROMPT);
    eve.expect("Password: Login failed: Wrong password\n");
    eve.expect(again);
    eve.expect("Registration failed: Nickname already taken\n");
    eve.expect(again);
    assert_eq!(eve.rest(), "Password: Login failed: Wrong password\n");
}

#[test]
fn a_full_server_says_so() {
    let server = TestServer::with(|config| config.max_clients = parlance::config::MaxClients::Limit(2));
    let alice = server.slash("alice");
    let _bob = server.line("bob");
    let mut carol = server.connect(Dialect::Slash);
    assert_eq!(carol.rest(), "Registration failed: Server is full\n");
    let mut dave = server.connect(Dialect::Line);
    assert_eq!(dave.rest(), "ERR server-full\n");
    // Both have gone, but for their own ends of it.
    drop((alice, carol, dave));
    loop {
        let mut erin = server.connect(Dialect::Line);
        erin.send("LOGIN erin\n");
        match erin.line().as_str() {
            "OK" => break,
            "ERR server-full" => {}
            other => panic!("{other}"),
        }
    }
}

#[test]
fn everyone_in_the_room_sees_who_comes_and_what_is_said() {
    let server = TestServer::start();
    let mut alice = server.slash("alice");
    let mut bob = server.slash("bobby");
    alice.expect("*** bobby joined the room\n");
    alice.send("hello\r\n\n  /not a command? yes it is\n");
    for peer in [&mut alice, &mut bob] {
        peer.expect("[HH:MM:SS] alice: hello\n");
    }
    alice.expect("ERROR: Unknown command: /not. Type /help for available commands\n");
    bob.send("and\tback\n");
    for peer in [&mut alice, &mut bob] {
        peer.expect("[HH:MM:SS] bobby: and\tback\n");
    }
}

#[test]
fn the_two_text_dialects_share_the_lobby() {
    let server = TestServer::start();
    let mut alice = server.line("alice");
    let mut bob = server.slash("bobby");
    alice.send("MSG from the line\n");
    bob.expect("[HH:MM:SS] alice: from the line\n");
    bob.send("from the slash\n");
    bob.expect("[HH:MM:SS] bobby: from the slash\n");
    alice.expect("MSG bobby from the slash\n");
    alice.send("DM bobby psst\n");
    bob.expect("[HH:MM:SS] [Private from alice]: psst\n");
    bob.send("/msg ALICE psst yourself\n/pm alice again\n");
    bob.expect("[Private to alice]: psst yourself\n[Private to alice]: again\n");
    alice.expect("DM bobby psst yourself\nDM bobby again\n");
    let _carol = server.line("carol");
    bob.expect("*** carol joined the room\n");
}

#[test]
fn a_nickname_can_be_changed() {
    let server = TestServer::start();
    let mut alice = server.slash("alice");
    let mut bob = server.slash("bobby");
    alice.expect("*** bobby joined the room\n");
    bob.send("/nick\n/nick x\n/nick ALICE\n/nick Bobby\n/nick robert\nhi\n");
    bob.expect("ERROR: Usage: /nick <name>\nERROR: Nickname must be at least 3 characters\n");
    bob.expect("ERROR: Nickname already taken\nYou are now known as Bobby\nYou are now known as robert\n");
    bob.expect("[HH:MM:SS] robert: hi\n");
    alice.expect("*** bobby is now known as Bobby\n*** Bobby is now known as robert\n");
    alice.expect("[HH:MM:SS] robert: hi\n");
    let _bobby = server.slash("bobby");
}

#[test]
fn rooms_are_made_by_joining_and_go_with_their_last_member() {
    let server = TestServer::start();
    let mut alice = server.slash("alice");
    let mut bob = server.slash("bobby");
    alice.expect("*** bobby joined the room\n");

    alice.send("/join\n/join den\n/join #den\n/rooms\n/users\n");
    alice.expect("ERROR: Usage: /join <room_name>\nYou joined #den\nERROR: Already in that room\n");
    alice.expect("Available rooms:\n  #lobby (1 users)\n  #den (1 users)\nUsers in #den:\n  alice (you)\n");
    bob.expect("*** alice left the room\n");

    bob.send("/join #den\nhi\n/users\n");
    bob.expect("You joined #den\n[HH:MM:SS] bobby: hi\nUsers in #den:\n  alice\n  bobby (you)\n");
    alice.expect("*** bobby joined the room\n[HH:MM:SS] bobby: hi\n");

    bob.send("/leave\n/leave\n");
    bob.expect("You returned to #lobby\nERROR: Already in that room\n");
    alice.expect("*** bobby left the room\n");
    alice.send("/leave\n/rooms\n");
    alice.expect("You returned to #lobby\nAvailable rooms:\n  #lobby (2 users)\n");
    bob.expect("*** alice joined the room\n");

    bob.send(format!("/join a\u{1b}b\n/join {}\n/join \u{202e}\u{7}\n", "x".repeat(256)));
    bob.expect("ERROR: Room name can not contain control characters\nERROR: Room name is too long\n");
    bob.expect("ERROR: Room name can not contain control characters\n");
}

#[test]
fn a_private_message_needs_somebody_and_something() {
    let server = TestServer::start();
    let mut alice = server.slash("alice");
    alice.send("/msg\n/msg bobby\n/pm bobby hi\n/msg alice hi me\n");
    alice.expect(
        "ERROR: Usage: /msg <nick> <text>\nERROR: Usage: /msg <nick> <text>\nERROR: User not found\n",
    );
    alice.expect("[HH:MM:SS] [Private from alice]: hi me\n[Private to alice]: hi me\n");
}

#[test]
fn mail_waits_for_its_owner_and_is_read_and_cleared() {
    let server = TestServer::start();
    server.account("alice", "secret");
    let mut bob = server.slash("bobby");
    bob.send("/mail\n/mail bobby\n/mail clear bobby\n/msg alice one\n/msg alice two\u{7}\n");
    bob.expect(&"ERROR: Only accounts have a mailbox\n".repeat(3));
    bob.expect("[Private to alice]: one\n[Private to alice]: two\u{fffd}\n");
    let mut alice = server.connect(Dialect::Slash);
    alice.send("alice\nsecret\n");
    alice.read_until("*** 2 messages wait: /mail\n");
    alice.send("/mail\n/mail bobby\n/mail\n");
    alice.expect("Your mail:\n  bobby: 2 unread\nEnd of mail\nYour messages:\n");
    for text in ["one", "two\u{fffd}"] {
        let line = alice.line();
        let date = line.strip_prefix("  [").and_then(|rest| rest.strip_suffix(&format!("] bobby: {text}")));
        let Some(date) = date else { panic!("{line:?}") };
        assert!(date.starts_with("20") && date.len() == "2026-12-31 12:34:56".len(), "{line:?}");
    }
    alice.expect("End of mail\nYour mail:\n  bobby: 0 unread\nEnd of mail\n");
    alice.send("/mail clear bobby\n/mail\n/mail nobody\n/mail two words\n");
    alice.expect("End of mail\nYour mail:\nEnd of mail\nYour messages:\nEnd of mail\n");
    alice.expect("ERROR: User not found\n");
    // Nothing waits any more.
    drop(alice);
    bob.read_until("*** alice left the room\n");
    let mut alice = server.connect(Dialect::Slash);
    alice.send("alice\nsecret\n/users\n");
    assert!(!alice.read_until("  alice (you)\n").contains("wait"));
}

#[test]
fn history_shows_the_last_messages_of_the_room() {
    let server = TestServer::start();
    let mut alice = server.line("alice");
    for index in 0..30 {
        alice.send(format!("MSG text {index}\n"));
    }
    alice.send("PING\n");
    alice.expect("PONG\n");
    let mut bob = server.slash("bobby");
    bob.send("/history 2\n");
    bob.expect("[HH:MM:SS] alice: text 28\n[HH:MM:SS] alice: text 29\n");
    bob.send("/history\n");
    for index in 10..30 {
        bob.expect(&format!("[HH:MM:SS] alice: text {index}\n"));
    }
    bob.send("/history many\n/history 0\n/history -1\n/join den\n/history\n/leave\n");
    let usage =
        "ERROR: Usage: /history [n], /history before [n], /history before|after|around <message id> [n]\n";
    bob.expect(&usage.repeat(2));
    bob.expect("You joined #den\nYou returned to #lobby\n");
}

#[test]
fn help_has_a_line_a_command() {
    let server = TestServer::start();
    let mut alice = server.slash("alice");
    alice.send("/help\n/users\n");
    let help = alice.read_until("Users in #lobby:\n  alice (you)\n");
    for command in
        ["/nick", "/join", "/leave", "/rooms", "/users", "/msg", "/mail", "/history", "/help", "/quit"]
    {
        assert_eq!(help.matches(&format!("\n  {command} ")).count(), 1, "{command} in {help}");
    }
}

#[test]
fn quit_says_goodbye_and_closes() {
    let server = TestServer::start();
    let mut alice = server.slash("alice");
    let mut bob = server.slash("bobby");
    alice.expect("*** bobby joined the room\n");
    bob.send("/quit\nnever seen\n");
    assert_eq!(bob.rest(), "Goodbye!\n");
    alice.expect("*** bobby left the room\n");
    alice.send("/exit\n");
    assert_eq!(alice.rest(), "Goodbye!\n");
}

#[test]
fn bad_lines_are_explained() {
    let server = TestServer::start();
    let mut alice = server.slash("alice");
    alice.send(b"\xff\n");
    alice.send(format!("{}\nfine\n", "x".repeat(5000)));
    alice.expect("ERROR: Invalid UTF-8\nERROR: Line too long\n[HH:MM:SS] alice: fine\n");
    let mut peer = server.connect(Dialect::Slash);
    peer.send(b"\xff\n");
    peer.expect(PROMPT);
    assert_eq!(peer.rest(), "Registration failed: Invalid UTF-8\n");
}
