//! Whole sessions of the dialects that programs speak, over real sockets.

mod support;

use std::time::{Duration, Instant};

use parlance::chat::{CloseReason, Secret};
use parlance::config::{MaxClients, PingIdentity, UcrpSender};
use parlance::store::StoreSpec;
use parlance::wire::Dialect;
use parlance::wire::gob::Kind;
use parlance::wire::tcrp::{Operation, Refusal};
use parlance::wire::typed::{Request, TagSet};
use support::gob::GobPeer;
use support::person::{AnyPeer, Heard, Person, notice, private, room};
use support::seat::{Datum, ELSEWHERE, HERE, Seat, exchange, outcome, shake};
use support::typed::{Letter, Told, TypedPeer};
use support::{Peer, TestServer, deadline};

const BOTH_SETS: [TagSet; 2] = [TagSet::InUse, TagSet::Document];

fn said(sender: &str, text: &str) -> Datum {
    Datum::Said(sender.to_owned(), text.to_owned())
}

// TCRP and UCRP.

#[test]
fn a_room_is_made_spoken_in_left_and_closed() {
    let server = TestServer::start();
    let host = Seat::create(&server, "den", "hanna");
    let bert = Seat::join(&server, "den", "bert");
    let carla = Seat::join(&server, "den", "carla");
    let mut dora = server.slash("dora");
    dora.send("/join den\n");
    dora.expect("You joined #den\n");
    let mut line = server.line("line");
    for seat in [&host, &bert, &carla] {
        seat.register();
    }

    host.say("welcome");
    host.say("“all” of you\n🦀\0");
    assert_eq!(host.heard(), [], "no echo");
    for seat in [&bert, &carla] {
        seat.expect("hanna", "welcome");
        seat.expect("hanna", "“all” of you\n🦀\0");
        assert_eq!(seat.heard(), []);
    }
    dora.expect("[HH:MM:SS] hanna: welcome\n[HH:MM:SS] hanna: “all” of you\n[HH:MM:SS] hanna: 🦀\u{fffd}\n");
    dora.send("hi\n");
    dora.expect("[HH:MM:SS] dora: hi\n");
    bert.say("hello");
    for seat in [&host, &carla] {
        seat.expect("dora", "hi");
        seat.expect("bert", "hello");
    }
    bert.expect("dora", "hi");
    dora.expect("[HH:MM:SS] bert: hello\n");

    carla.leave();
    dora.expect("*** carla left the room\n");
    host.say("who is left?");
    bert.expect("hanna", "who is left?");
    dora.expect("[HH:MM:SS] hanna: who is left?\n");
    // Her name is free, and her token nobody's.
    let mut carla_again = server.line("Carla");
    carla.say("still here?");
    assert_eq!(bert.heard(), []);

    host.leave();
    assert_eq!(bert.next(), Datum::Closed);
    dora.expect("*** den was closed by its host\nYou returned to #lobby\n");
    // The room and the names are free at once.
    let host = Seat::create(&server, "den", "Bert");
    let _hanna = server.line("hanna");
    dora.expect("*** hanna joined the room\n");
    host.register();
    // Nothing more went to those who had left.
    carla_again.send("DM dora psst\nPING\n");
    carla_again.expect("PONG\n");
    dora.expect("[HH:MM:SS] [Private from Carla]: psst\n");
    line.send("PING\n");
    // Departures of another room are none of the lobby's business.
    line.expect("PONG\n");

    let report = server.stop();
    assert_eq!(report.metrics.refused_for("ucrp-unknown-token"), 1);
    assert_eq!(report.metrics.closed_for(CloseReason::RoomClosed), 1, "bert");
    assert_eq!(report.metrics.closed_for(CloseReason::Served), 4);
}

#[test]
fn everybody_else_learns_of_a_room_that_its_host_closes() {
    let server = TestServer::start();
    let mut watcher = server.slash("watcher");
    let host = Seat::create(&server, "den", "hanna");
    let members: Vec<_> =
        ["m1", "m2", "m3"].into_iter().map(|name| Seat::join(&server, "den", name)).collect();
    let silent = Seat::join(&server, "den", "silent");
    for member in &members {
        member.register();
    }
    // It has not registered: it closes the room all the same.
    host.leave();
    for member in &members {
        assert_eq!(member.next(), Datum::Closed);
    }
    assert_eq!(shake(&server, HERE, (Operation::Join, "den"), ("x", None)), Err(Refusal::NoSuchRoom));
    let den = Seat::create(&server, "den", "m1");
    den.register();
    for member in &members {
        member.say("is anybody there?");
        member.leave();
    }
    silent.say("hello?");
    assert_eq!(den.heard(), []);
    watcher.send("/rooms\n");
    watcher.expect("Available rooms:\n  #lobby (1 users)\n  #den (1 users)\n");
    assert_eq!(server.stop().metrics.refused_for("ucrp-unknown-token"), 7);
}

#[test]
fn nothing_is_sent_before_the_first_datagram_and_a_new_port_moves_the_rest() {
    let server = TestServer::start();
    let host = Seat::create(&server, "den", "hanna");
    let bert = Seat::join(&server, "den", "bert");
    host.say("nobody hears this");
    host.register();
    bert.register();
    host.say("one");
    bert.expect("hanna", "one");
    // Any datagram registers, and moves the registration.
    let moved = bert.moved(&server, HERE);
    moved.say("I am here now");
    host.expect("bert", "I am here now");
    host.say("two");
    moved.expect("hanna", "two");
    assert_eq!(moved.heard(), []);
    // Had anything gone to the old port, it would come before this.
    assert_eq!(bert.heard(), []);
}

/// A host leaves its room. Whoever was in it and saw that is returned: what comes from others may overtake the datagram on its
/// way from one shard to another.
#[must_use]
fn closes(server: &TestServer, room: &str, host: &Seat) -> Peer {
    let mut witness = server.slash("witness");
    witness.send(format!("/join {room}\n"));
    witness.expect(&format!("You joined #{room}\n"));
    host.leave();
    witness.expect(&format!("*** {room} was closed by its host\nYou returned to #lobby\n"));
    witness
}

#[test]
fn a_person_may_have_seats_in_several_rooms() {
    let server = TestServer::start();
    let den = Seat::create(&server, "den", "hanna");
    let attic = Seat::create(&server, "attic", "hanna");
    let lobby = Seat::join(&server, "lobby", "Hanna");
    let bert = Seat::join(&server, "den", "bert");
    for seat in [&den, &attic, &lobby, &bert] {
        seat.register();
    }
    let mut line = server.line("line");
    lobby.say("in the lobby");
    line.expect("MSG Hanna in the lobby\n");
    let _witness = closes(&server, "attic", &attic);
    bert.say("still there?");
    den.expect("bert", "still there?");
    // The name is held until the last seat is left.
    line.send("DM hanna psst\nPING\n");
    line.expect("PONG\n");
    let private = said("line (private)", "psst");
    assert_eq!([den.heard(), lobby.heard()].concat(), [private], "one seat gets it, once");
    den.leave();
    assert_eq!(bert.next(), Datum::Closed);
    let mut other = server.connect(Dialect::Line);
    other.send("LOGIN hanna\n");
    other.expect("ERR username-taken\n");
    lobby.leave();
    line.expect("INFO Hanna disconnected\n");
    other.send("LOGIN hanna\n");
    other.expect("OK\n");
}

#[test]
fn what_is_told_to_a_person_of_several_seats_reaches_one_that_hears() {
    let server = TestServer::start();
    let silent = Seat::create(&server, "den", "hanna");
    let heard = Seat::create(&server, "attic", "hanna");
    heard.register();
    let mut line = server.line("line");
    line.send("DM hanna psst\nPING\n");
    line.expect("PONG\n");
    assert_eq!(heard.heard(), [said("line (private)", "psst")]);
    silent.register();
    let _witness = closes(&server, "attic", &heard);
    line.send("DM hanna once more\n");
    silent.expect("line (private)", "once more");
}

#[test]
fn a_room_that_a_person_made_is_anybodys_and_has_no_host() {
    let server = TestServer::start();
    let mut dora = server.slash("dora");
    dora.send("/join den\n");
    dora.expect("You joined #den\n");
    assert_eq!(shake(&server, HERE, (Operation::Create, "den"), ("bert", None)), Err(Refusal::RoomExists));
    let bert = Seat::join(&server, "den", "bert");
    dora.expect("*** bert joined the room\n");
    bert.register();
    bert.say("hi");
    dora.expect("[HH:MM:SS] bert: hi\n");
    dora.send("/leave\n");
    dora.expect("You returned to #lobby\n");
    // Bert is in there still, and with the last one it is gone.
    assert_eq!(bert.heard(), []);
    dora.send("/rooms\n");
    dora.expect("Available rooms:\n  #lobby (1 users)\n  #den (1 users)\n");
    bert.leave();
    // The datagram may come from another shard, and later than what comes over a connection.
    let deadline = deadline();
    while let Err(refusal) = shake(&server, HERE, (Operation::Create, "den"), ("bert", None)) {
        assert_eq!(refusal, Refusal::RoomExists);
        assert!(Instant::now() < deadline, "it is there still");
    }
}

#[test]
fn who_does_not_fit_is_told_so_in_each_dialect() {
    let server = TestServer::with(|config| config.max_clients = MaxClients::Limit(1));
    let mut line = server.line("line");
    let mut typed = TypedPeer::connect(&server, TagSet::InUse);
    assert_eq!(typed.next(), Told::Error("the server is full".to_owned()));
    typed.expect_end();
    let mut gob = GobPeer::connect(&server, "gob");
    gob.expect(Kind::Text, "server", "the server is full");
    gob.expect_end();
    // Before it is known what was asked for.
    assert_eq!(outcome(&exchange(&server, HERE, &[]), "", 0), Err(Refusal::Full));
    line.send("PING\n");
    line.expect("PONG\n");
}

#[test]
fn seats_are_no_connections() {
    // The ends of some handshakes, on several shards, may be seen later than the beginning of the next.
    let server = TestServer::with(|config| config.max_clients = MaxClients::Limit(10));
    let seats: Vec<_> = (0..20).map(|index| Seat::join(&server, "lobby", &format!("seat{index}"))).collect();
    let mut line = server.line("line");
    seats[0].register();
    seats[0].say("all in one");
    line.expect("MSG seat0 all in one\n");
}

#[test]
fn another_address_may_speak_where_that_is_allowed() {
    let server = TestServer::with(|config| config.ucrp_sender = UcrpSender::Any);
    let host = Seat::create(&server, "den", "hanna");
    let bert = Seat::join(&server, "den", "bert");
    host.register();
    let moved = bert.moved(&server, ELSEWHERE);
    moved.register_elsewhere();
    moved.say("from elsewhere");
    host.expect("bert", "from elsewhere");
    host.say("welcome");
    moved.expect("hanna", "welcome");
}

#[test]
fn a_seat_is_told_what_it_did_wrong_and_hears_of_nothing_else() {
    let server = TestServer::start();
    let seat = Seat::join(&server, "lobby", "ursula");
    seat.register();
    seat.say("/msg nobody hi");
    seat.expect("server", "there is no nobody here");
    seat.say("/msg ursula to myself");
    seat.expect("ursula (private)", "to myself");
    seat.say("/unknown");
    seat.say("");
    let mut line = server.line("line");
    let mut slash = server.slash("slash");
    slash.send("/nick renamed\n");
    slash.expect("You are now known as renamed\n");
    line.send("MSG over\nPING\n");
    line.expect("PONG\n");
    drop(line);
    slash.expect("[HH:MM:SS] line: over\n*** line left the room\n");
    assert_eq!(seat.heard(), [said("server", "slash is now known as renamed"), said("line", "over")]);
}

#[test]
fn a_host_that_is_not_heard_of_has_left() {
    let server = TestServer::with(|config| config.ucrp_idle_timeout = Some(Duration::from_secs(1)));
    let _host = Seat::create(&server, "den", "hanna");
    let mut dora = server.slash("dora");
    dora.send("/join den\n");
    dora.expect("You joined #den\n");
    dora.expect("*** den was closed by its host\nYou returned to #lobby\n");
    let _hanna = server.line("hanna");
}

// Typed.

fn contents(letters: &[Letter]) -> Vec<(&str, &str, bool)> {
    letters.iter().map(|letter| (&*letter.sender, &*letter.content, letter.unread)).collect()
}

#[test]
fn mailboxes_are_written_to_read_and_emptied() {
    for tags in BOTH_SETS {
        let server = TestServer::start();
        let mut anna = TypedPeer::connect(&server, tags);
        for request in [
            Request::Send { recipient: "bob", content: "hi" },
            Request::MarkRead("bob"),
            Request::ListMessages("bob"),
            Request::ListUsers,
            Request::DeleteMessage("x"),
            Request::DeleteAccount,
            Request::Subscribe(true),
            Request::History { other: "bob", before: None, count: 1 },
            Request::SendKept { recipient: "bob", content: "hi", key: "k" },
            Request::LoginPassword(Secret("too early")),
        ] {
            assert_eq!(anna.ask_error(request), "not logged in", "{request:?}");
        }
        assert_eq!(anna.ask(Request::LoginName("anna")), Told::New);
        let told = anna.ask(Request::LoginPassword(Secret("anna's")));
        assert_eq!(told, Told::LoggedIn(vec!["anna".to_owned()]));
        let mut bob = TypedPeer::connect(&server, tags);
        assert_eq!(bob.log_in("bob", "bob's"), ["anna", "bob"]);
        drop(bob);

        // Bob is away. His case does not matter; nobody gets an error.
        for content in ["one", "", "three\n🦀\0"] {
            anna.send(Request::Send { recipient: "BOB", content });
        }
        assert_eq!(
            anna.ask_error(Request::Send { recipient: "nobody", content: "hi" }),
            "there is no nobody here"
        );
        assert_eq!(
            contents(&anna.conversation("bob")),
            [("anna", "one", true), ("anna", "", true), ("anna", "three\n🦀\0", true)]
        );
        assert_eq!(anna.users(), [("anna".to_owned(), 0), ("bob".to_owned(), 0)]);

        // A wrong password is told, and the connection stays.
        let mut bob = TypedPeer::connect(&server, tags);
        assert_eq!(bob.ask(Request::LoginName("Bob")), Told::Known);
        assert_eq!(bob.ask(Request::LoginPassword(Secret("anna's"))), Told::Failed);
        assert_eq!(bob.ask_error(Request::ListUsers), "not logged in");
        let told = bob.ask(Request::LoginPassword(Secret("bob's")));
        assert_eq!(told, Told::LoggedIn(vec!["anna".to_owned(), "bob".to_owned()]));
        assert_eq!(bob.users(), [("anna".to_owned(), 3), ("bob".to_owned(), 0)]);
        let letters = bob.conversation("Anna");
        assert_eq!(letters, anna.conversation("bob"));
        assert!(letters.is_sorted_by_key(|letter| letter.at_millis));
        assert!(letters.iter().all(|letter| letter.recipient == "bob"));
        bob.send(Request::MarkRead("ANNA"));
        assert_eq!(bob.users(), [("anna".to_owned(), 0), ("bob".to_owned(), 0)]);
        bob.send(Request::Send { recipient: "anna", content: "four" });
        let all = bob.conversation("anna");
        assert_eq!(
            contents(&all),
            [
                ("anna", "one", false),
                ("anna", "", false),
                ("anna", "three\n🦀\0", false),
                ("bob", "four", true)
            ]
        );
        assert_eq!(anna.users(), [("anna".to_owned(), 0), ("bob".to_owned(), 1)]);

        // By its sender for both, by its recipient for itself; nobody else's, nothing unknown.
        anna.send(Request::DeleteMessage(&all[0].id));
        bob.send(Request::DeleteMessage(&all[1].id));
        bob.send(Request::DeleteMessage("no such id"));
        let mut carl = TypedPeer::connect(&server, tags);
        carl.log_in("carl", "carl's");
        carl.send(Request::DeleteMessage(&all[2].id));
        assert_eq!(carl.conversation("anna"), []);
        assert_eq!(anna.heard(), []);
        assert_eq!(
            contents(&bob.conversation("anna")),
            [("anna", "three\n🦀\0", false), ("bob", "four", true)]
        );
        assert_eq!(
            contents(&anna.conversation("bob")),
            [("anna", "", false), ("anna", "three\n🦀\0", false), ("bob", "four", true)]
        );

        // To oneself: listed once.
        anna.send(Request::Send { recipient: "anna", content: "note" });
        assert_eq!(contents(&anna.conversation("anna")), [("anna", "note", true)]);
        assert_eq!(anna.users()[0], ("anna".to_owned(), 1));

        // The account goes, with its messages; the connection is logged out, and so is another of the same account.
        let mut bob_too = TypedPeer::connect(&server, tags);
        bob_too.log_in("bob", "bob's");
        bob.send(Request::DeleteAccount);
        assert_eq!(bob.ask_error(Request::ListUsers), "not logged in");
        assert_eq!(bob_too.ask_error(Request::ListUsers), "not logged in");
        assert_eq!(anna.conversation("bob"), []);
        assert_eq!(anna.users(), [("anna".to_owned(), 1), ("carl".to_owned(), 0)]);
        let error = anna.ask_error(Request::Send { recipient: "bob", content: "hi" });
        assert_eq!(error, "there is no bob here");
        // The name is free, for a new account or for none.
        let mut line = server.line("bob");
        line.send("PING\n");
        line.expect("PONG\n");
        drop(line);
        anna.finish();
        anna.expect_end();
    }
}

#[test]
fn the_name_of_a_deleted_account_is_anybodys() {
    let server = TestServer::start();
    let mut bob = TypedPeer::connect(&server, TagSet::InUse);
    bob.log_in("bob", "one");
    let mut anna = TypedPeer::connect(&server, TagSet::InUse);
    anna.log_in("anna", "anna's");
    anna.send(Request::Send { recipient: "bob", content: "secret" });
    assert_eq!(anna.heard(), []);
    bob.send(Request::DeleteAccount);
    // On the same connection, with another password: nothing of the old one is there.
    assert_eq!(bob.ask(Request::LoginName("bob")), Told::New);
    let told = bob.ask(Request::LoginPassword(Secret("two")));
    assert_eq!(told, Told::LoggedIn(vec!["anna".to_owned(), "bob".to_owned()]));
    assert_eq!(bob.conversation("anna"), []);
    assert_eq!(bob.users(), [("anna".to_owned(), 0), ("bob".to_owned(), 0)]);
}

#[test]
fn subscribers_are_told_of_each_message_and_others_are_not() {
    for tags in BOTH_SETS {
        let server = TestServer::start();
        let mut anna = TypedPeer::connect(&server, tags);
        anna.log_in("anna", "anna's");
        let [mut bob, mut bob_too, mut unsubscribed] = [true, true, false].map(|subscribes| {
            let mut bob = TypedPeer::connect(&server, tags);
            bob.log_in("bob", "bob's");
            bob.send(Request::Subscribe(subscribes));
            assert_eq!(bob.heard(), []);
            bob
        });
        let Told::Kept(key, id) =
            anna.ask(Request::SendKept { recipient: "bob", content: "kept", key: "k1" })
        else {
            panic!("not kept");
        };
        assert_eq!(key, "k1");
        // Once more: the same id, and nobody sees it twice.
        let again = anna.ask(Request::SendKept { recipient: "bob", content: "kept", key: "k1" });
        assert_eq!(again, Told::Kept(key, id.clone()));
        let other = anna.ask(Request::SendKept { recipient: "bob", content: "kept", key: "k2" });
        assert!(matches!(&other, Told::Kept(key, other) if key == "k2" && *other != id));
        let error = anna.ask_error(Request::SendKept { recipient: "nobody", content: "hi", key: "k3" });
        assert_eq!(error, "there is no nobody here");
        for bob in [&mut bob, &mut bob_too] {
            let heard = bob.heard();
            assert_eq!(heard.len(), 2);
            let Told::Arrived(letter) = &heard[0] else { panic!("{heard:?}") };
            assert_eq!((&*letter.id, &*letter.sender, &*letter.content), (&*id, "anna", "kept"));
            assert!(letter.unread && letter.recipient == "bob");
        }
        assert_eq!(unsubscribed.heard(), []);
        assert_eq!(bob.conversation("anna").len(), 2);

        bob.send(Request::Subscribe(false));
        assert_eq!(bob.heard(), []);
        anna.send(Request::Send { recipient: "bob", content: "three" });
        assert_eq!(anna.heard(), []);
        assert_eq!(bob.heard(), []);
        assert_eq!(bob_too.heard().len(), 1);

        // The history, a part at a time.
        let mut page =
            |before: Option<&str>, count| match bob.ask(Request::History { other: "anna", before, count }) {
                Told::Messages(letters) => letters,
                other => panic!("{other:?}"),
            };
        let newest = page(None, 2);
        assert_eq!(contents(&newest), [("anna", "kept", true), ("anna", "three", true)]);
        let rest = page(Some(&newest[0].id), 2);
        assert_eq!(rest.iter().map(|letter| &*letter.id).collect::<Vec<_>>(), [&*id]);
        assert_eq!(page(Some(&id), 2), []);
        assert_eq!(page(Some("no such id"), 2), []);
        assert_eq!(page(None, 0), []);
    }
}

#[test]
fn a_message_that_is_deleted_is_unread_no_more() {
    let server = TestServer::start();
    server.account("bob", "bob's");
    let mut anna = TypedPeer::connect(&server, TagSet::InUse);
    anna.log_in("anna", "anna's");
    let mut bob = TypedPeer::connect(&server, TagSet::Document);
    bob.log_in("bob", "bob's");
    for content in ["one", "two", "three"] {
        anna.send(Request::Send { recipient: "bob", content });
    }
    let letters = anna.conversation("bob");
    anna.send(Request::DeleteMessage(&letters[0].id));
    assert_eq!(anna.heard(), []);
    bob.send(Request::DeleteMessage(&letters[1].id));
    assert_eq!(bob.users()[1], ("anna".to_owned(), 1));
    assert_eq!(contents(&bob.conversation("anna")), [("anna", "three", true)]);
    // What the recipient does not see any more, its sender still does, and can delete.
    assert_eq!(contents(&anna.conversation("bob")), [("anna", "two", true), ("anna", "three", true)]);
    anna.send(Request::DeleteMessage(&letters[1].id));
    assert_eq!(contents(&anna.conversation("bob")), [("anna", "three", true)]);
}

#[test]
fn a_key_is_remembered_from_one_connection_to_the_next() {
    let server = TestServer::start();
    server.account("bob", "bob's");
    let kept = Request::SendKept { recipient: "bob", content: "kept", key: "k" };
    let [first, second] = [TagSet::InUse, TagSet::Document].map(|tags| {
        let mut anna = TypedPeer::connect(&server, tags);
        anna.log_in("anna", "anna's");
        anna.ask(kept)
    });
    assert_eq!(first, second);
    let mut bob = TypedPeer::connect(&server, TagSet::InUse);
    bob.log_in("bob", "bob's");
    assert_eq!(bob.conversation("anna").len(), 1);
    // It is that sender's key, and nobody else's.
    let Told::Kept(_, others) = bob.ask(kept) else { panic!("not kept") };
    assert_ne!(Told::Kept("k".to_owned(), others), first);
}

#[test]
fn a_long_conversation_is_listed_from_its_end_and_read_page_by_page() {
    const MESSAGES: usize = 300;
    let server = TestServer::start();
    let mut anna = TypedPeer::connect(&server, TagSet::InUse);
    anna.log_in("anna", "anna's");
    let padding = "x".repeat(4000);
    for number in 0..MESSAGES {
        anna.send(Request::Send { recipient: "anna", content: &format!("{number} {padding}") });
    }
    let mut letters = anna.conversation("anna");
    assert!((100..MESSAGES).contains(&letters.len()), "{}", letters.len());
    while letters.len() < MESSAGES {
        let first = letters[0].id.clone();
        let request = Request::History { other: "anna", before: Some(&first), count: u32::MAX };
        let Told::Messages(mut page) = anna.ask(request) else { panic!("no messages") };
        assert!(!page.is_empty());
        page.append(&mut letters);
        letters = page;
    }
    for (number, letter) in letters.iter().enumerate() {
        assert!(letter.content.starts_with(&format!("{number} x")), "in order, none missing, none twice");
    }
}

#[test]
fn a_ping_with_a_name_and_a_password_is_a_login() {
    for tags in BOTH_SETS {
        let server = TestServer::start();
        server.account("anna", "anna's");
        let mut anna = TypedPeer::connect(&server, tags);
        anna.send(Request::Ping(None));
        anna.send(Request::Ping(Some("anna")));
        // The name alone proves nothing.
        assert_eq!(anna.ask_error(Request::ListUsers), "not logged in");
        let told = anna.ask(Request::LoginPassword(Secret("anna's")));
        assert_eq!(told, Told::LoggedIn(vec!["anna".to_owned()]));
        anna.send(Request::Ping(Some("anna")));
        anna.send(Request::Ping(None));
        assert_eq!(anna.users(), [("anna".to_owned(), 0)]);
    }
}

#[test]
fn a_bare_ping_resumes_a_login_from_the_same_address_where_that_is_allowed() {
    let server = TestServer::with(|config| config.typed_ping_identity = PingIdentity::SameIp);
    let mut anna = TypedPeer::connect(&server, TagSet::InUse);
    // Nobody was logged in yet, and there is no account.
    anna.send(Request::Ping(Some("anna")));
    assert_eq!(anna.ask_error(Request::ListUsers), "not logged in");
    anna.log_in("anna", "anna's");
    drop(anna);
    let mut elsewhere = TypedPeer::connect_from(&server, ELSEWHERE, TagSet::InUse);
    elsewhere.send(Request::Ping(Some("anna")));
    assert_eq!(elsewhere.ask_error(Request::ListUsers), "not logged in");
    let mut anna = TypedPeer::connect(&server, TagSet::InUse);
    anna.send(Request::Ping(Some("ANNA")));
    assert_eq!(anna.users(), [("anna".to_owned(), 0)]);
    // Once the account is gone, so is that.
    anna.send(Request::DeleteAccount);
    assert_eq!(anna.ask_error(Request::ListUsers), "not logged in");
    anna.send(Request::Ping(Some("anna")));
    assert_eq!(anna.ask_error(Request::ListUsers), "not logged in");
}

#[test]
fn types_that_nobody_knows_are_ignored() {
    let server = TestServer::start();
    let mut anna = TypedPeer::connect(&server, TagSet::Document);
    anna.log_in("anna", "anna's");
    for message_type in [0_u64, 14, 99, 103, u64::MAX] {
        let payload = b"\xff\xff whatever";
        let length = payload.len() as u32;
        anna.send_raw(&[&message_type.to_be_bytes()[..], &length.to_be_bytes(), payload].concat());
    }
    assert_eq!(anna.heard(), []);
}

#[test]
fn the_tag_set_is_that_of_the_first_payload() {
    let server = TestServer::start();
    server.account("anna", "anna's");
    // Requests without a payload show none, and an int is the same in both.
    let mut anna = TypedPeer::connect(&server, TagSet::Document);
    anna.send(Request::Ping(None));
    anna.log_in("anna", "anna's");
    anna.send(Request::Send { recipient: "anna", content: "hi" });
    assert_eq!(contents(&anna.conversation("anna")), [("anna", "hi", true)]);
}

#[test]
fn a_name_that_is_none_is_not_logged_in_with_the_one_before() {
    let server = TestServer::start();
    server.account("anna", "anna's");
    let mut peer = TypedPeer::connect(&server, TagSet::InUse);
    for name in ["", "#x", "server"] {
        assert_eq!(peer.ask(Request::LoginName("anna")), Told::Known);
        let told = peer.ask(Request::LoginName(name));
        assert!(matches!(told, Told::Known | Told::Error(_)), "{told:?}");
        let told = peer.ask(Request::LoginPassword(Secret("anna's")));
        assert!(matches!(told, Told::Error(_) | Told::Failed), "{name}: {told:?}");
    }
}

#[test]
fn what_was_asked_before_the_end_is_answered_though_a_password_is_looked_at() {
    let server = TestServer::start();
    server.account("anna", "anna's");
    let mut line = server.connect(Dialect::Line);
    line.send("LOGIN anna anna's\nPING\n");
    line.finish();
    assert_eq!(line.rest(), "OK\nPONG\n");
    let mut typed = TypedPeer::connect(&server, TagSet::InUse);
    typed.send(Request::LoginName("anna"));
    typed.send(Request::LoginPassword(Secret("anna's")));
    typed.finish();
    assert_eq!(typed.next(), Told::Known);
    assert_eq!(typed.next(), Told::LoggedIn(vec!["anna".to_owned()]));
    typed.expect_end();
}

#[test]
fn the_answer_to_a_handshake_is_one_write() {
    let server = TestServer::start();
    shake(&server, HERE, (Operation::Create, "den"), ("hanna", None)).expect("a new room");
    shake(&server, HERE, (Operation::Create, "den"), ("bert", None)).expect_err("it is there");
    let writes = server.stop().system_calls.writes;
    assert_eq!(writes, 2);
}

#[test]
fn everybody_is_told_that_the_server_stops() {
    let server = TestServer::start();
    let mut gob = GobPeer::join(&server, "gob");
    let seat = Seat::join(&server, "lobby", "seat");
    let mut typed = TypedPeer::connect(&server, TagSet::InUse);
    typed.log_in("typed", "typed's");
    seat.register();
    let mut line = Person::in_lobby(&server, Dialect::Line, "line");
    assert_eq!(line.heard(), []);
    gob.expect(Kind::Join, "seat", "");
    gob.expect(Kind::Join, "line", "");
    let stopping = std::thread::spawn(|| server.stop());
    seat.expect("server", "server shutting down");
    gob.expect(Kind::Text, "server", "server shutting down");
    gob.expect_end();
    typed.expect_end();
    let AnyPeer::Line(peer) = &mut line.peer else { unreachable!("it is one") };
    peer.expect("INFO server shutting down\n");
    drop((gob, typed, line));
    stopping.join().expect("it stopped");
}

// The owner of a name.

/// The notice to the older of two sessions.
fn replaced(dialect: Dialect) -> Heard {
    match dialect {
        Dialect::Line => notice("ERR replaced"),
        Dialect::Slash => notice("*** replaced by a new login"),
        _ => notice("replaced by a new login"),
    }
}

#[test]
fn the_right_password_gets_a_name_back_from_any_dialect_in_any_dialect() {
    let dialects = [Dialect::Line, Dialect::Slash, Dialect::Ucrp];
    let server = TestServer::start();
    server.account("ann", "secret");
    let mut witness = server.slash("witness");
    for old in dialects {
        for new in dialects.into_iter().filter(|&new| (old, new) != (Dialect::Ucrp, Dialect::Ucrp)) {
            let mut ghost = Person::proved_in_lobby(&server, old, "ann", "secret");
            witness.line_where(|line| line == "*** ann joined the room");
            witness.send("before\n");
            witness.line_where(|line| line.ends_with("before"));
            let mut owner = Person::proved_in_lobby(&server, new, "ann", "secret");
            // The earlier messages, and then the end.
            while ghost.next() != room("witness", "before") {}
            assert_eq!(ghost.next(), replaced(old), "{old:?} {new:?}");
            witness.expect("*** ann left the room\n*** ann joined the room\n");
            witness.send("/msg ann psst\n");
            witness.expect("[Private to ann]: psst\n");
            while owner.next() != private("witness", "psst") {}
            // The next message finds no recipient.
            drop(ghost);
            match &mut owner.peer {
                AnyPeer::Seat(seat) => seat.leave(),
                AnyPeer::Line(_) | AnyPeer::Slash(_) | AnyPeer::Gob(_) | AnyPeer::Typed(_) => drop(owner),
            }
            witness.expect("*** ann left the room\n");
        }
    }
    let report = server.stop();
    assert_eq!(report.metrics.closed_for(CloseReason::Replaced), 8);
}

#[test]
fn a_host_that_comes_from_another_address_is_the_host_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let specs =
        [StoreSpec::Sqlite(directory.path().join("a.db")), StoreSpec::Jsonl(directory.path().join("log"))];
    for spec in specs {
        let start = || TestServer::with(|config| config.store = spec.clone());
        let server = start();
        server.account("ann", "secret");
        let shake = |from, operation| {
            shake(&server, from, (operation, "den"), ("ann", Some("secret"))).expect("the password is right")
        };
        let old = shake(HERE, Operation::Create);
        let bob = Seat::join(&server, "den", "bob");
        let new = shake(ELSEWHERE, Operation::Join);
        assert!(old != new);
        server.stop();
        let server = start();
        let bob = bob.moved(&server, HERE);
        bob.register();
        Seat::with(&server, HERE, "den", &old).say("I am ann");
        let ann = Seat::with(&server, ELSEWHERE, "den", &new);
        ann.say("I am");
        assert_eq!(bob.next(), said("ann", "I am"));
        ann.leave();
        assert_eq!(bob.next(), Datum::Closed);
        server.stop();
    }
}
