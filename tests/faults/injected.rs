//! Commits that fail.

use std::io;

use parlance::chat::Secret;
use parlance::wire::Dialect;
use parlance::wire::tcrp::{Operation, Refusal};
use parlance::wire::typed::{Request, TagSet};

use crate::faulty::{Faults, faulty_store};
use crate::support::seat::{HERE, Seat, shake};
use crate::support::typed::{Told, TypedPeer};
use crate::support::{Peer, TestServer, deadline};

pub(crate) const NOT_KEPT: &str = "nothing can be kept at the moment; try again later";

pub(crate) fn send_kept<'a>(recipient: &'a str, key: &'a str) -> Request<'a> {
    Request::SendKept { recipient, content: key, key }
}

/// A server whose store is well, and somebody with an account.
pub(crate) fn served() -> (TestServer, Faults) {
    let (store, faults) = faulty_store();
    (TestServer::with_store(store, |_| {}), faults)
}

pub(crate) fn typed(server: &TestServer, name: &str) -> TypedPeer {
    let mut peer = TypedPeer::connect(server, TagSet::InUse);
    peer.log_in(name, &format!("{name}'s"));
    peer
}

/// Somebody of a new name, who has asked for an account.
fn asks_for_account(server: &TestServer, name: &str) -> TypedPeer {
    let mut peer = TypedPeer::connect(server, TagSet::InUse);
    assert_eq!(peer.ask(Request::LoginName(name)), Told::New);
    peer.send(Request::LoginPassword(Secret("secret")));
    peer
}

/// Asks until it is kept again. What is kept then includes all that was asked for before.
#[track_caller]
pub(crate) fn is_well_again(peer: &mut TypedPeer, recipient: &str, key: &str) {
    let until = deadline();
    loop {
        match peer.ask(send_kept(recipient, key)) {
            Told::Kept(sent, _) if sent == key => return,
            Told::Error(reason) if reason == NOT_KEPT || reason.contains("busy") => {}
            other => panic!("{other:?}"),
        }
        assert!(std::time::Instant::now() < until, "it does not get well");
    }
}

/// Says something in the lobby, and waits until somebody else has heard it.
fn chat(from: &mut Peer, to: &mut Peer, text: &str) {
    from.send(format!("MSG {text}\n"));
    to.expect(&format!("MSG erin {text}\n"));
}

#[test]
fn while_nothing_can_be_kept_it_is_refused_and_chat_goes_on() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::PermissionDenied, io::ErrorKind::Other] {
        let (server, faults) = served();
        let mut alice = typed(&server, "alice");
        let mut bob = typed(&server, "bob");
        let mut erin = server.line("erin");
        let mut frank = server.line("frank");
        assert!(matches!(alice.ask(send_kept("bob", "before")), Told::Kept(..)));
        chat(&mut erin, &mut frank, "before");
        // Whoever is promised something waits for all that was said until then.
        assert!(matches!(alice.ask(send_kept("bob", "before 2")), Told::Kept(..)));

        faults.fails(kind);
        assert_eq!(alice.ask_error(send_kept("bob", "during")), NOT_KEPT);
        let unkept = 20;
        for index in 0..unkept {
            chat(&mut erin, &mut frank, &format!("during {index}"));
            assert_eq!(alice.ask_error(send_kept("bob", "during")), NOT_KEPT);
        }
        assert_eq!(asks_for_account(&server, "carol").next(), Told::Error(NOT_KEPT.to_owned()));
        for (operation, room) in [(Operation::Create, "den"), (Operation::Join, "lobby")] {
            assert_eq!(shake(&server, HERE, (operation, room), ("dave", None)), Err(Refusal::Busy));
        }
        // Requests without an answer have one now.
        bob.send(Request::MarkRead("alice"));
        assert_eq!(bob.next(), Told::Error(NOT_KEPT.to_owned()));
        let letters = bob.conversation("alice");
        bob.send(Request::DeleteMessage(&letters[0].id));
        assert_eq!(bob.next(), Told::Error(NOT_KEPT.to_owned()));
        bob.send(Request::DeleteAccount);
        assert_eq!(bob.next(), Told::Error(NOT_KEPT.to_owned()));
        alice.send(Request::Send { recipient: "bob", content: "during" });
        assert_eq!(alice.next(), Told::Error(NOT_KEPT.to_owned()));
        // What needs no store works, and shows what was promised.
        assert_eq!(typed(&server, "alice").users(), [("alice".to_owned(), 0), ("bob".to_owned(), 0)]);
        assert_eq!(bob.users(), [("alice".to_owned(), 2), ("bob".to_owned(), 0)]);
        assert_eq!(letters.len(), 2);
        // What is sent again was sent before the fault.
        assert!(matches!(alice.ask(send_kept("bob", "before")), Told::Kept(_, id) if id == letters[0].id));

        faults.ends();
        is_well_again(&mut alice, "bob", "after");
        let kept = ["alice", "bob", "alice>bob: before", "alice>bob: before 2", "alice>bob: after"];
        assert_eq!(faults.summary(), kept, "{kind}");
        typed(&server, "carol");
        let host = Seat::create(&server, "den", "dave");
        let guest = Seat::join(&server, "den", "gina");
        host.register();
        guest.say("hi");
        host.expect("gina", "hi");
        chat(&mut erin, &mut frank, "after");
        bob.send(Request::MarkRead("alice"));
        assert_eq!(bob.users()[0], ("alice".to_owned(), 0));
        assert_eq!(faults.summary()[..3], ["alice", "bob", "carol"]);
        assert_eq!(faults.summary()[6..], ["dave in den", "gina in den"]);
        assert_eq!(faults.said(), ["before", "after"], "{kind}");
        let metrics = server.stop().metrics;
        assert_eq!((metrics.history_unkept, metrics.store_failures), (unkept, 1));
    }
}

#[test]
fn those_who_wait_when_it_begins_to_fail_are_refused() {
    let (server, faults) = served();
    let mut alice = typed(&server, "alice");
    let mut bob = typed(&server, "bob");
    bob.send(Request::Subscribe(true));
    assert_eq!(bob.heard(), []);
    faults.stalls();
    alice.send(send_kept("bob", "one"));
    alice.send(send_kept("bob", "two"));
    // Requests behind a list wait for it.
    alice.send(Request::ListUsers);
    faults.is_met();
    let mut carol = asks_for_account(&server, "carol");
    let shaken = std::thread::scope(|scope| {
        let shaken = scope.spawn(|| shake(&server, HERE, (Operation::Create, "den"), ("dave", None)));
        // By then both are there, for everybody but themselves.
        let mut other = TypedPeer::connect(&server, TagSet::InUse);
        while other.ask(Request::LoginName("carol")) == Told::New {}
        while other.ask(Request::LoginName("dave")) == Told::New {}
        for _ in 0..2 {
            assert!(matches!(bob.next(), Told::Arrived(_)));
        }
        faults.fails(io::ErrorKind::StorageFull);
        shaken.join().expect("it is answered")
    });
    assert_eq!(shaken, Err(Refusal::Busy));
    assert_eq!(carol.next(), Told::Error(NOT_KEPT.to_owned()));
    assert_eq!(alice.next(), Told::Error(NOT_KEPT.to_owned()));
    assert_eq!(alice.next(), Told::Error(NOT_KEPT.to_owned()));
    assert!(matches!(alice.next(), Told::Users(_)));
    assert_eq!(bob.conversation("alice"), [], "what was refused is not there");
    assert_eq!(faults.summary(), ["alice", "bob"]);

    faults.ends();
    is_well_again(&mut alice, "bob", "one");
    assert_eq!(faults.summary(), ["alice", "bob", "alice>bob: one"], "with the key of before");
    let listed = carol.try_log_in("carol", "another");
    assert_eq!(listed, Told::LoggedIn(["alice", "bob", "carol"].map(ToOwned::to_owned).into()));
    Seat::create(&server, "den", "dave").register();
    assert_eq!(server.stop().metrics.promises_broken, 4);
}

#[test]
fn a_store_that_fails_again_and_again_refuses_and_keeps_in_turn() {
    let (server, faults) = served();
    let mut alice = typed(&server, "alice");
    typed(&server, "bob");
    let mut wanted = vec!["alice".to_owned(), "bob".to_owned()];
    for round in 0..5 {
        faults.fails(io::ErrorKind::Other);
        for attempt in 0..10 {
            assert_eq!(alice.ask_error(send_kept("bob", &format!("lost {round} {attempt}"))), NOT_KEPT);
        }
        faults.is_met();
        faults.ends();
        let key = format!("kept {round}");
        is_well_again(&mut alice, "bob", &key);
        wanted.push(format!("alice>bob: {key}"));
        assert_eq!(faults.summary(), wanted);
    }
    drop(alice);
    assert_eq!(server.stop().metrics.store_failures, 5);
}

#[test]
fn the_end_of_a_server_whose_store_fails_is_an_end() {
    let (server, faults) = served();
    let mut alice = typed(&server, "alice");
    typed(&server, "bob");
    let line = server.connect(Dialect::Line);
    faults.fails(io::ErrorKind::StorageFull);
    assert_eq!(alice.ask_error(send_kept("bob", "lost")), NOT_KEPT);
    server.stop();
    assert_eq!(faults.summary(), ["alice", "bob"]);
    drop(line);
}
