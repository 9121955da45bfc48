//! One set of names for all dialects, over real sockets: who has one, who gets it, and what proves it.

mod support;

use parlance::chat::Secret;
use parlance::wire::Dialect;
use parlance::wire::gob::Kind;
use parlance::wire::tcrp::{Operation, Refusal};
use parlance::wire::typed::{Request, TagSet};
use support::gob::GobPeer;
use support::person::{IN_ROOMS, Person};
use support::seat::{ELSEWHERE, HERE, Seat, shake};
use support::typed::{Told, TypedPeer};
use support::{Peer, TestServer, connect_from};

const JOIN: (Operation, &str) = (Operation::Join, "lobby");
const GREETING: &str = "Welcome to the chat server!\nEnter your nickname: ";

#[test]
fn a_name_that_somebody_has_is_nobody_elses_in_any_dialect() {
    for dialect in IN_ROOMS {
        let server = TestServer::start();
        let holder = Person::in_lobby(&server, dialect, "Alice");

        let mut line = server.connect(Dialect::Line);
        line.send("LOGIN aLICE\n");
        line.expect("ERR username-taken\n");
        let mut slash = server.connect(Dialect::Slash);
        slash.send("alice\n");
        slash.expect(GREETING);
        assert_eq!(slash.rest(), "Registration failed: Nickname already taken\n");
        let mut other = server.slash("other");
        other.send("/nick ALICE\n");
        other.expect("ERROR: Nickname already taken\n");
        let refused = Err(Refusal::NameTaken);
        assert_eq!(shake(&server, ELSEWHERE, JOIN, ("alice", None)), refused);
        assert_eq!(shake(&server, ELSEWHERE, (Operation::Create, "den"), ("ALICE", None)), refused);
        // Written in full width, it is the same one.
        assert_eq!(shake(&server, ELSEWHERE, JOIN, ("\u{ff21}lice", None)), refused);
        let mut gob = GobPeer::connect(&server, "alice");
        gob.send(Kind::Join, "");
        gob.expect(Kind::Text, "server", "your name here is alice~2");
        other.expect("*** alice~2 joined the room\n");
        // An account of that name would take it away from whoever has it.
        let mut typed = TypedPeer::connect(&server, TagSet::InUse);
        assert_eq!(typed.ask(Request::LoginName("alice")), Told::Known);
        assert_eq!(typed.ask(Request::LoginPassword(Secret("secret"))), Told::Failed);
        assert_eq!(typed.ask_error(Request::ListUsers), "not logged in");
        drop((holder, line, slash, other, gob, typed));
        assert_eq!(server.stop().metrics.wrong_passwords, 0, "it was none");
    }
}

#[test]
fn the_name_of_an_account_needs_its_password_in_each_dialect() {
    let server = TestServer::start();
    server.account("Alice", "se cret");

    let mut line = server.connect(Dialect::Line);
    line.send("LOGIN alice\nWHO\nLOGIN alice wrong\n");
    line.expect("ERR password-required\nERR must-login-first\nERR wrong-password\n");
    line.send("LOGIN ALICE se cret\nWHO\n");
    line.expect("OK\nUSER ALICE\n");
    // One at a time: the newer login has the name.
    let mut second = server.connect(Dialect::Line);
    second.send("LOGIN alice se cret\n");
    second.expect("OK\n");
    line.expect("ERR replaced\n");
    line.expect_end();
    second.finish();
    second.expect_end();

    let mut slash = server.connect(Dialect::Slash);
    slash.send("alice\nwrong\n");
    slash.expect(GREETING);
    slash.expect("Password: ");
    assert_eq!(slash.rest(), "Login failed: Wrong password\n");
    let mut slash = server.connect(Dialect::Slash);
    slash.send("alice\n");
    slash.expect(GREETING);
    slash.expect("Password: ");
    slash.send("se cret\n/users\n");
    slash.expect("Welcome alice! You are in #lobby\nType /help for available commands\n");
    slash.expect("*** alice joined the room\nUsers in #lobby:\n  alice (you)\n");
    slash.send("/quit\n");
    slash.expect("Goodbye!\n");
    slash.expect_end();

    let refused = Err(Refusal::WrongPassword);
    assert_eq!(shake(&server, HERE, JOIN, ("alice", None)), refused);
    assert_eq!(shake(&server, HERE, JOIN, ("alice", Some("wrong"))), refused);
    assert_eq!(shake(&server, HERE, (Operation::Create, "den"), ("aLiCe", None)), refused);
    let token = shake(&server, HERE, JOIN, ("alice", Some("se cret"))).expect("a seat");
    let seat = Seat::with(&server, HERE, "lobby", &token);
    seat.register();
    // Once more, with the password, is the same seat; without, it is none; elsewhere, it is another in its
    // place.
    assert_eq!(shake(&server, HERE, JOIN, ("Alice", Some("se cret"))), Ok(token));
    assert_eq!(shake(&server, HERE, JOIN, ("alice", None)), refused);
    let moved = shake(&server, ELSEWHERE, JOIN, ("alice", Some("se cret"))).expect("a seat");
    assert_ne!(moved, token);
    let seat = Seat::with(&server, ELSEWHERE, "lobby", &moved);
    seat.register();
    let mut witness = server.line("witness");
    seat.leave();
    witness.expect("INFO alice disconnected\n");

    let mut gob = GobPeer::connect(&server, "ALICE");
    gob.send(Kind::Join, "");
    gob.expect(Kind::Text, "server", "your name here is ALICE~2");
    let mut other = GobPeer::connect(&server, "alice");
    other.say("hi");
    other.expect(Kind::Text, "server", "your name here is alice~3");
    gob.expect(Kind::Join, "alice~3", "");
    gob.expect(Kind::Text, "alice~3", "hi");

    for tags in [TagSet::InUse, TagSet::Document] {
        let mut typed = TypedPeer::connect(&server, tags);
        assert_eq!(typed.ask(Request::LoginName("alICE")), Told::Known);
        // As it was first written.
        let told = typed.ask(Request::LoginPassword(Secret("se cret")));
        assert_eq!(told, Told::LoggedIn(vec!["Alice".to_owned()]));
    }
    drop((second, gob, other));
    assert_eq!(server.stop().metrics.wrong_passwords, 3);
}

#[test]
fn nobody_is_renamed_to_an_account() {
    let server = TestServer::start();
    server.account("alice", "secret");
    let mut slash = server.slash("other");
    slash.send("/nick Alice\n/nick server\n/nick SERVER\n/users\n");
    slash.expect("ERROR: Nickname has an account: log in with its password\n");
    slash.expect(&"ERROR: Nickname already taken\n".repeat(2));
    slash.expect("Users in #lobby:\n  other (you)\n");
    // Whoever has proved it may write it otherwise, and lay it down.
    let mut alice = server.connect(Dialect::Slash);
    alice.send("alice\nsecret\n");
    alice.expect(GREETING);
    alice.expect("Password: Welcome alice! You are in #lobby\nType /help for available commands\n");
    alice.expect("*** alice joined the room\n");
    alice.send("/nick ALICE\n/nick free\n/nick alice\n");
    alice.expect("You are now known as ALICE\nYou are now known as free\n");
    alice.expect("ERROR: Nickname has an account: log in with its password\n");
}

#[test]
fn the_sessions_of_an_account_that_is_deleted_end_and_its_name_is_free() {
    let server = TestServer::start();
    server.account("alice", "secret");
    let mut line = server.connect(Dialect::Line);
    line.send("LOGIN alice secret\n");
    line.expect("OK\n");
    let mut typed = TypedPeer::connect(&server, TagSet::InUse);
    typed.log_in("alice", "secret");
    typed.send(Request::DeleteAccount);
    line.expect("ERR account-deleted\n");
    line.expect_end();
    assert_eq!(typed.try_log_in("alice", "another"), Told::LoggedIn(vec!["alice".to_owned()]));
    assert_eq!(typed.users(), [("alice".to_owned(), 0)]);
}

#[test]
fn the_servers_own_name_is_nobodys() {
    let server = TestServer::start();
    for name in ["server", "Server", "SERVER", "\u{ff53}erver"] {
        let mut line = server.connect(Dialect::Line);
        line.send(format!("LOGIN {name}\nLOGIN {name} secret\n"));
        line.expect("ERR username-taken\nERR username-taken\n");
        assert_eq!(shake(&server, HERE, JOIN, (name, None)), Err(Refusal::NameTaken));
        let mut typed = TypedPeer::connect(&server, TagSet::InUse);
        assert_eq!(typed.ask(Request::LoginName(name)), Told::Known);
        let told = typed.ask(Request::LoginPassword(Secret("secret")));
        assert!(matches!(told, Told::Failed | Told::Error(_)), "{told:?}");
        assert_eq!(typed.ask_error(Request::ListUsers), "not logged in");
    }
    let mut slash = server.connect(Dialect::Slash);
    slash.send("Server\n");
    slash.expect(GREETING);
    assert_eq!(slash.rest(), "Registration failed: Nickname already taken\n");
    let mut gob = GobPeer::connect(&server, "server");
    gob.send(Kind::Join, "");
    gob.expect(Kind::Text, "server", "your name here is server~2");
}

#[test]
fn a_token_is_given_again_to_the_address_that_it_was_given_to() {
    let server = TestServer::start();
    let token = shake(&server, HERE, (Operation::Create, "den"), ("hanna", None)).expect("a new room");
    let join = (Operation::Join, "den");
    assert_eq!(shake(&server, HERE, join, ("hanna", None)), Ok(token));
    assert_eq!(shake(&server, HERE, join, ("HANNA", None)), Ok(token));
    assert_eq!(shake(&server, ELSEWHERE, join, ("hanna", None)), Err(Refusal::NameTaken));
    // Another room is another token, of the same person: not somebody else from elsewhere.
    let lobby = shake(&server, HERE, JOIN, ("hanna", None)).expect("a second seat");
    assert!(lobby != token);
    assert_eq!(shake(&server, ELSEWHERE, JOIN, ("hanna", None)), Err(Refusal::NameTaken));
    // It is one seat: who has it is still the host.
    let bert = Seat::join_from(&server, ELSEWHERE, "den", "bert");
    bert.register();
    Seat::with(&server, HERE, "den", &token).leave();
    assert_eq!(bert.next(), support::seat::Datum::Closed);
    // The token of a seat that was left is nobody's: the next one is another.
    let again = shake(&server, HERE, (Operation::Create, "den"), ("hanna", None)).expect("a new room");
    assert!(again != token);
    // A connection of another dialect is no seat, even from here.
    let _line = server.line("linus");
    assert_eq!(shake(&server, HERE, join, ("linus", None)), Err(Refusal::NameTaken));
}

#[test]
fn five_wrong_passwords_close_a_name_in_all_dialects_for_the_address_that_they_came_from() {
    let server = TestServer::start();
    server.account("alice", "secret");
    server.account("bob", "secret");
    // From elsewhere, so that this address is not counted.
    let mut typed = TypedPeer::connect_from(&server, ELSEWHERE, TagSet::InUse);
    for _ in 0..3 {
        assert_eq!(typed.try_log_in("Alice", "wrong"), Told::Failed);
    }
    assert_eq!(shake(&server, ELSEWHERE, JOIN, ("alice", Some("wrong"))), Err(Refusal::WrongPassword));
    assert_eq!(typed.try_log_in("ALICE", "wrong"), Told::Failed);
    // The connection stays, and is told that it is not looked at.
    for password in ["wrong", "secret"] {
        let told = typed.try_log_in("alice", password);
        assert_eq!(told, Told::Error("too many wrong passwords; try again later".to_owned()));
    }
    // The right one does not help either, in any dialect.
    let mut line = Peer::of(connect_from(ELSEWHERE, server.address(Dialect::Line)));
    line.send("LOGIN alice secret\n");
    line.expect("ERR too-many-attempts\n");
    let mut slash = Peer::of(connect_from(ELSEWHERE, server.address(Dialect::Slash)));
    slash.send("alice\nsecret\n");
    slash.expect(GREETING);
    assert_eq!(slash.rest(), "Password: Login failed: Too many wrong passwords, try again later\n");
    assert_eq!(shake(&server, ELSEWHERE, JOIN, ("alice", Some("secret"))), Err(Refusal::Busy));
    // The same address has other names, and the name is open to other addresses.
    line.send("LOGIN bob secret\n");
    line.expect("OK\n");
    assert!(shake(&server, HERE, JOIN, ("alice", Some("secret"))).is_ok());
    drop((typed, line, slash));
    assert_eq!(server.stop().metrics.wrong_passwords, 5);
}

#[test]
fn no_more_than_five_are_looked_at_though_they_come_at_once() {
    let server = TestServer::start();
    server.account("alice", "secret");
    let mut peers: Vec<_> =
        (0..20).map(|_| TypedPeer::connect_from(&server, ELSEWHERE, TagSet::InUse)).collect();
    for (index, peer) in peers.iter_mut().enumerate() {
        assert_eq!(peer.ask(Request::LoginName("alice")), Told::Known);
        peer.send(Request::LoginPassword(Secret(&format!("guess {index}"))));
    }
    let told: Vec<_> = peers.iter_mut().map(TypedPeer::next).collect();
    let count = |wanted: &Told| told.iter().filter(|told| *told == wanted).count();
    let refused = Told::Error("too many wrong passwords; try again later".to_owned());
    assert_eq!((count(&Told::Failed), count(&refused)), (5, 15));
}

#[test]
fn many_may_log_in_at_once_with_the_right_ones() {
    let server = TestServer::start();
    let names: Vec<_> = (0..8).map(|index| format!("user{index}")).collect();
    let mut peers: Vec<_> = names.iter().map(|_| TypedPeer::connect(&server, TagSet::InUse)).collect();
    for (peer, name) in peers.iter_mut().zip(&names) {
        peer.send(Request::LoginName(name));
        peer.send(Request::LoginPassword(Secret(name)));
        // What it asks for behind them waits for what comes of them.
        peer.send(Request::ListMessages("nobody"));
    }
    for peer in &mut peers {
        assert_eq!(peer.next(), Told::New);
        assert!(matches!(peer.next(), Told::LoggedIn(_)));
        assert_eq!(peer.next(), Told::Messages(vec![]));
    }
    let listed = peers[0].users();
    assert_eq!(listed.len(), names.len());
}

#[test]
fn one_of_those_who_make_the_same_account_at_once_gets_it() {
    let server = TestServer::start();
    let mut peers: Vec<_> = (0..3).map(|_| TypedPeer::connect(&server, TagSet::InUse)).collect();
    for peer in &mut peers {
        assert_eq!(peer.ask(Request::LoginName("alice")), Told::New);
    }
    for (index, peer) in peers.iter_mut().enumerate() {
        peer.send(Request::LoginPassword(Secret(&format!("secret {index}"))));
    }
    let told: Vec<_> = peers.iter_mut().map(TypedPeer::next).collect();
    let in_index = told.iter().position(|told| matches!(told, Told::LoggedIn(_))).expect("one of them");
    assert_eq!(told.iter().filter(|told| **told == Told::Failed).count(), 2, "{told:?}");
    let mut late = TypedPeer::connect(&server, TagSet::InUse);
    assert_eq!(late.log_in("alice", &format!("secret {in_index}")), ["alice"]);
}

#[test]
fn whoever_goes_while_a_password_is_looked_at_leaves_nothing_behind() {
    let server = TestServer::start();
    server.account("alice", "secret");
    for _ in 0..3 {
        let mut line = server.connect(Dialect::Line);
        line.send("LOGIN alice secret\n");
        line.reset();
    }
    // Their passwords were handed in before this one, and what came of them is forgotten, or let go of again.
    loop {
        let mut line = server.connect(Dialect::Line);
        line.send("LOGIN alice secret\n");
        match line.line().as_str() {
            "OK" => break,
            "ERR username-taken" => {}
            other => panic!("{other}"),
        }
    }
}

#[test]
fn names_are_as_long_as_they_may_be_and_no_longer() {
    let server = TestServer::start();
    let longest = "n".repeat(32);
    let longer = "n".repeat(33);
    let mut line = server.connect(Dialect::Line);
    line.send(format!("LOGIN {longer}\n"));
    line.expect("ERR invalid-username the name is too long, bytes allowed: 32\n");
    assert_eq!(shake(&server, HERE, JOIN, (&longer, None)), Err(Refusal::TooLong));
    let mut typed = TypedPeer::connect(&server, TagSet::InUse);
    assert_eq!(typed.ask_error(Request::LoginName(&longer)), "the name is too long, bytes allowed: 32");
    // With one that is taken, a number has to fit behind it.
    let _seat = Seat::join(&server, "lobby", &longest);
    for (number, name) in [(2, &longest), (3, &longer)] {
        let mut gob = GobPeer::connect(&server, name);
        gob.send(Kind::Join, "");
        let told = gob.next();
        assert_eq!((told.kind, &*told.sender), (Kind::Text, "server"));
        let name = told.content.strip_prefix("your name here is ").expect("a name");
        assert!(name.len() <= 32 && name.starts_with("nnnnnnnn"), "{number}: {name}");
    }
}

#[test]
fn a_password_that_can_be_none_makes_no_account() {
    let server = TestServer::start();
    let mut typed = TypedPeer::connect(&server, TagSet::InUse);
    for password in ["", &"x".repeat(1025)] {
        let told = typed.try_log_in("alice", password);
        assert_eq!(told, Told::Error("this can not be a password".to_owned()));
    }
    assert_eq!(typed.log_in("alice", &"x".repeat(1024)), ["alice"]);
}
