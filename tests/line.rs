//! The line dialect over real sockets, row by row of docs/protocols.md.

mod support;

use parlance::wire::Dialect;
use support::TestServer;

#[test]
fn login_gives_a_name_once_and_to_one() {
    let server = TestServer::start();
    let mut alice = server.connect(Dialect::Line);
    alice.send("LOGIN\nLOGIN #alice\nLOGIN a\u{7}b\n");
    alice.expect("ERR invalid-username the name is too short, bytes needed: 1\n");
    for _ in 0..2 {
        alice.expect(
            "ERR invalid-username names are 1 to 32 bytes of letters, digits and ASCII symbols, without blanks, \
             and do not start with # / or :\n",
        );
    }
    alice.send(format!("LOGIN {}\nLOGIN alice\n", "x".repeat(33)));
    alice.expect("ERR invalid-username the name is too long, bytes allowed: 32\nOK\n");
    alice.send("LOGIN alice\nLOGIN other\n");
    alice.expect("ERR already-logged-in\nERR already-logged-in\n");

    let mut other = server.connect(Dialect::Line);
    other.send("LOGIN alice\nLOGIN ALICE\nLOGIN Bob secret\nLOGIN Bob\nWHO\n");
    other.expect("ERR username-taken\nERR username-taken\nERR no-account Bob\nOK\nUSER alice\nUSER Bob\n");
    // Nobody is told of a login.
    alice.send("PING\n");
    alice.expect("PONG\n");
}

#[test]
fn before_the_login_only_ping_is_answered() {
    let server = TestServer::start();
    let mut peer = server.connect(Dialect::Line);
    peer.send("MSG hello\nWHO\nDM bob hi\nwhatever\n\nPING\n");
    peer.expect(&"ERR must-login-first\n".repeat(5));
    peer.expect("PONG\n");
}

#[test]
fn an_account_is_made_changed_and_deleted() {
    let server = TestServer::start();
    let mut alice = server.line("alice");
    alice.send("REGISTER\nREGISTER open sesame\nREGISTER again\nPASSWD open sesame new\nPING\n");
    alice.expect("ERR invalid-format\nOK\nERR account-exists\nERR invalid-format\nPONG\n");
    let mut other = server.connect(Dialect::Line);
    other.send("LOGIN alice\nLOGIN alice wrong\nLOGIN alice open sesame\n");
    other.expect("ERR password-required\nERR wrong-password\nOK\n");
    alice.expect("ERR replaced\n");
    alice.expect_end();
    other.send("UNREGISTER wrong\nUNREGISTER open sesame\nUNREGISTER open sesame\nREGISTER one\n");
    other.expect("ERR wrong-password\nOK\nERR no-account\nOK\n");
    other.send("PASSWD two three\nPASSWD one two\nWHO\nQUIT\n");
    other.expect("ERR wrong-password\nOK\nUSER alice\nOK\n");
    other.expect_end();
    let mut late = server.connect(Dialect::Line);
    late.send("LOGIN alice one\nLOGIN alice two\n");
    late.expect("ERR wrong-password\nOK\n");
}

#[test]
fn the_help_is_a_notice_for_each_command() {
    let server = TestServer::start();
    let mut peer = server.connect(Dialect::Line);
    peer.send("HELP\nPING\n");
    let mut commands = Vec::new();
    loop {
        let line = peer.line();
        if line == "PONG" {
            break;
        }
        let rest = line.strip_prefix("INFO ").expect("a notice");
        commands.push(rest.split(' ').next().expect("a word").to_owned());
    }
    let all =
        ["LOGIN", "MSG", "DM", "WHO", "MAIL", "REGISTER", "PASSWD", "UNREGISTER", "PING", "HELP", "QUIT"];
    assert_eq!(commands, all);
}

#[test]
fn a_message_reaches_everyone_but_its_sender() {
    let server = TestServer::start();
    let mut alice = server.line("alice");
    let mut bob = server.line("bob");
    let mut carol = server.line("carol");
    alice.send("MSG hello there\r\nMSG\nMSG   \n  MSG \t spaced  out \t\nPING\n");
    alice.expect("PONG\n");
    for peer in [&mut bob, &mut carol] {
        peer.expect("MSG alice hello there\nMSG alice spaced  out\n");
        peer.send("PING\n");
        peer.expect("PONG\n");
    }
}

#[test]
fn who_lists_everyone_in_the_lobby() {
    let server = TestServer::start();
    let mut alice = server.line("alice");
    let _bob = server.line("Bob");
    let mut carol = server.slash("carol");
    alice.send("WHO\nPING\n");
    alice.expect("USER alice\nUSER Bob\nUSER carol\nPONG\n");
    carol.send("/join elsewhere\n");
    carol.expect("You joined #elsewhere\n");
    alice.send("WHO\nPING\n");
    alice.expect("USER alice\nUSER Bob\nPONG\n");
}

#[test]
fn a_direct_message_reaches_one() {
    let server = TestServer::start();
    let mut alice = server.line("alice");
    let mut bob = server.line("bob");
    let mut carol = server.line("carol");
    alice.send("DM BOB psst\nDM dave hi\nDM\nDM bob\nDM bob   \nDM \u{1b}x hi\nPING\n");
    alice.expect("ERR user-not-found dave\nERR invalid-dm-format\nERR invalid-dm-format\n");
    alice.expect("ERR invalid-dm-format\nERR user-not-found \u{fffd}x\nPONG\n");
    bob.expect("DM alice psst\n");
    carol.send("PING\n");
    carol.expect("PONG\n");
    alice.send("DM alice to myself\n");
    alice.expect("DM alice to myself\n");
}

#[test]
fn mail_waits_for_its_owner_and_is_read_and_cleared() {
    let server = TestServer::start();
    server.account("ann", "secret");
    server.account("clear", "secret");
    let mut bob = server.line("bob");
    bob.send("MAIL\nMAIL bob\nMAIL CLEAR bob\nDM ann first\nDM ann a\u{2028}INFO b\nPING\n");
    bob.expect(&"ERR no-mailbox\n".repeat(3));
    bob.expect("PONG\n");
    let mut clear = server.connect(Dialect::Line);
    clear.send("LOGIN clear secret\nDM ann third\nPING\n");
    clear.expect("OK\nPONG\n");

    let mut ann = server.connect(Dialect::Line);
    ann.send("LOGIN ann secret\nMAIL\nMAIL bob\n");
    ann.expect("OK\nINFO 3 messages wait: MAIL\nMAIL clear 1\nMAIL bob 2\nOK\n");
    for text in ["first", "a\u{fffd}INFO b"] {
        let line = ann.line();
        let at = line.strip_prefix("FROM ").and_then(|rest| rest.strip_suffix(&format!(" bob {text}")));
        assert!(at.is_some_and(|at| at.parse::<u64>().is_ok()), "{line:?}");
    }
    // A name is read back, also one that looks like the word for something else.
    ann.send("MAIL\nMAIL CLEAR\n");
    ann.expect("OK\nMAIL clear 1\nMAIL bob 0\nOK\n");
    assert!(ann.line().ends_with(" clear third"));
    ann.send("MAIL CLEAR CLEAR\nMAIL\nMAIL CLEAR bob\nMAIL\nMAIL bob\nMAIL two words\n");
    ann.expect("OK\nOK\nMAIL bob 0\nOK\nOK\nOK\nOK\nERR user-not-found two words\n");
    ann.finish();
    bob.expect("INFO ann disconnected\n");
    let mut ann = server.connect(Dialect::Line);
    ann.send("LOGIN ann secret\nPING\n");
    ann.expect("OK\nPONG\n");
}

#[test]
fn what_is_unknown_is_passed_over_after_the_login() {
    let server = TestServer::start();
    let mut alice = server.line("alice");
    alice.send("HELLO\nmsg lower case\n\n/help\nPING\n");
    alice.expect("PONG\n");
}

#[test]
fn a_line_of_4096_bytes_is_taken_and_a_longer_one_skipped() {
    let server = TestServer::start();
    let mut alice = server.line("alice");
    let mut bob = server.line("bob");
    let text = "x".repeat(4096 - "MSG \n".len());
    alice.send(format!("MSG {text}\nMSG {text}y\nMSG {text}{text}{text}\nPING\n"));
    alice.expect("ERR line-too-long\nERR line-too-long\nPONG\n");
    bob.expect(&format!("MSG alice {text}\n"));
    alice.send("MSG next\n");
    bob.expect("MSG alice next\n");
}

#[test]
fn what_is_not_utf8_reaches_nobody() {
    let server = TestServer::start();
    let mut alice = server.line("alice");
    let mut bob = server.line("bob");
    alice.send(b"MSG \xc3(\nMSG fine \xf0\x9f\xa6\x80\nPING\n");
    alice.expect("ERR invalid-utf8\nPONG\n");
    bob.expect("MSG alice fine \u{1f980}\n");
}

#[test]
fn everyone_learns_of_a_departure_however_it_happened() {
    let server = TestServer::start();
    let mut alice = server.line("alice");
    let mut bob = server.line("bob");
    let carol = server.line("carol");
    let mut dave = server.slash("dave");
    bob.finish();
    alice.expect("INFO bob disconnected\n");
    bob.expect_end();
    carol.reset();
    alice.expect("INFO carol disconnected\n");
    dave.expect("*** bob left the room\n*** carol left the room\n");
    dave.send("/quit\n");
    dave.expect("Goodbye!\n");
    alice.expect("INFO dave disconnected\n");
    // The names are free again.
    let _bob = server.line("bob");
    let _carol = server.line("carol");
}

#[test]
fn what_was_asked_before_the_end_is_answered() {
    let server = TestServer::start();
    let mut alice = server.connect(Dialect::Line);
    alice.send("LOGIN alice\nWHO\nPING\n");
    alice.finish();
    assert_eq!(alice.rest(), "OK\nUSER alice\nPONG\n");
}

#[test]
fn a_line_may_arrive_in_any_pieces() {
    let server = TestServer::start();
    let mut alice = server.connect(Dialect::Line);
    for byte in b"LOGIN alice\r\nMSG hi\nPING\n" {
        alice.send([*byte]);
    }
    alice.expect("OK\nPONG\n");
    let mut bob = server.line("bob");
    for piece in ["MSG o", "ne\nMSG two\nMS", "G three\n"] {
        alice.send(piece);
    }
    bob.expect("MSG alice one\nMSG alice two\nMSG alice three\n");
}
