//! Whole sessions of gob, over real sockets.

mod support;

use parlance::wire::gob::Kind;
use serde_json::Value;
use support::gob::{GobPeer, Struct};
use support::{TestServer, unhex};
fn vector(name: &str) -> Vec<u8> {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("vectors/gob.json")).expect("vectors");
    let found = vectors.iter().find(|vector| vector["name"] == name).unwrap_or_else(|| panic!("{name}"));
    unhex(found["hex"].as_str().expect("hex"))
}

#[test]
fn three_programs_of_either_type_id_join_talk_and_leave() {
    // Go 1.23 begins its type ids with 64, Go 1.19 with 65.
    for go in ["go1.23", "go1.19"] {
        let server = TestServer::start();
        let mut line = server.line("line");
        let mut dave = GobPeer::join(&server, "dave");
        let mut bert = GobPeer::join(&server, "bert");
        dave.expect(Kind::Join, "bert", "");
        let mut alice = GobPeer::connect(&server, "alice");
        alice.send_raw(&vector(&format!("{go}/fresh-join")));
        alice.send_raw(&vector(&format!("{go}/fresh-text")));
        for peer in [&mut dave, &mut bert] {
            peer.expect(Kind::Join, "alice", "");
            peer.expect(Kind::Text, "alice", "Hello, World!");
        }
        line.expect("MSG alice Hello, World!\n");
        // Its sender is not looked at any more: here it is `Zoë`.
        alice.send_raw(&vector(&format!("{go}/fresh-text-unicode")));
        for peer in [&mut dave, &mut bert] {
            let Struct { kind, sender, content } = peer.next();
            assert_eq!((kind, &*sender), (Kind::Text, "alice"));
            assert!(content.starts_with("こんにちは 👋 na"), "{content}");
        }
        assert!(line.line().starts_with("MSG alice こんにちは 👋 na"));
        // Others' joins, unknown kinds and empty texts say nothing.
        for name in ["fresh-join", "fresh-type-3-unknown", "fresh-type-minus-1", "fresh-type-int64-min"] {
            alice.send_raw(&vector(&format!("{go}/{name}")));
        }
        alice.send_raw(&vector(&format!("{go}/fresh-text-empty-content")));
        assert_eq!(alice.heard(), []);
        bert.say("bye");
        alice.expect(Kind::Text, "bert", "bye");
        dave.expect(Kind::Text, "bert", "bye");
        line.expect("MSG bert bye\n");
        alice.send_raw(&vector(&format!("{go}/fresh-leave")));
        alice.expect_end();
        // An end without a word is a leave too.
        bert.expect(Kind::Leave, "alice", "");
        bert.finish();
        bert.expect_end();
        dave.expect(Kind::Leave, "alice", "");
        dave.expect(Kind::Leave, "bert", "");
        assert_eq!(dave.heard(), []);
        line.expect("INFO alice disconnected\nINFO bert disconnected\n");
        let _alice = server.line("alice");
    }
}

#[test]
fn a_long_lived_encoder_is_understood_in_one_piece_and_in_many() {
    for go in ["go1.23", "go1.19"] {
        let server = TestServer::start();
        let mut dave = GobPeer::join(&server, "dave");
        let parts: Vec<_> = (1..=3).map(|part| vector(&format!("{go}/longlived-{part}-of-3"))).collect();
        let all = vector(&format!("{go}/longlived-all-3"));
        assert_eq!(all, parts.concat());
        let bytes: Vec<_> = all.iter().map(|&byte| vec![byte]).collect();
        for pieces in [vec![all], parts, bytes] {
            let mut carol = GobPeer::connect(&server, "carol");
            for piece in pieces {
                carol.send_raw(&piece);
            }
            dave.expect(Kind::Join, "carol", "");
            dave.expect(Kind::Text, "carol", "first");
            dave.expect(Kind::Leave, "carol", "");
            carol.expect_end();
        }
    }
}

#[test]
fn several_messages_in_a_read_are_several_messages() {
    let server = TestServer::start();
    let mut dave = GobPeer::join(&server, "dave");
    for name in ["two-coalesced", "mixed-ids-coalesced"] {
        let mut alice = GobPeer::connect(&server, "alice");
        alice.send_raw(&vector(name));
        dave.expect(Kind::Join, "alice", "");
        // The second one's sender is `dave` in one of them: it is alice who speaks.
        dave.expect(Kind::Text, "alice", "one");
        dave.expect(Kind::Text, "alice", "two");
        alice.send(Kind::Leave, "");
        dave.expect(Kind::Leave, "alice", "");
        alice.expect_end();
    }
    for name in ["type-id-66", "type-id-127", "type-id-128", "type-id-300", "type-id-100000", "type-name-msg"]
    {
        let mut alice = GobPeer::connect(&server, "alice");
        alice.send_raw(&vector(name));
        dave.expect(Kind::Join, "alice", "");
        let message = dave.next();
        assert_eq!((message.kind, &*message.sender), (Kind::Text, "alice"), "{name}");
        alice.finish();
        alice.expect_end();
        dave.expect(Kind::Leave, "alice", "");
    }
}

#[test]
fn who_speaks_without_joining_joins_with_the_name_on_the_message() {
    let server = TestServer::start();
    let mut dave = GobPeer::join(&server, "dave");
    let mut alice = GobPeer::connect(&server, "alice");
    alice.say("hello");
    dave.expect(Kind::Join, "alice", "");
    dave.expect(Kind::Text, "alice", "hello");
    alice.sender = "mallory".to_owned();
    alice.say("it is still me");
    dave.expect(Kind::Text, "alice", "it is still me");
    assert_eq!(alice.heard(), []);
    // A name that nobody can have becomes one that somebody can.
    let mut odd = GobPeer::connect(&server, "a\tb");
    odd.say("hi");
    let told = odd.next();
    assert_eq!(told, Struct::text("server", "your name here is a_b"));
    dave.expect(Kind::Join, "a_b", "");
    dave.expect(Kind::Text, "a_b", "hi");
    let mut nameless = GobPeer::connect(&server, "");
    nameless.send(Kind::Join, "");
    nameless.expect(Kind::Text, "server", "your name here is guest");
}

#[test]
fn a_direct_message_is_one_though_it_is_the_first_thing_said() {
    let server = TestServer::start();
    let mut line = server.line("line");
    let mut dave = GobPeer::join(&server, "dave");
    let mut alice = GobPeer::connect(&server, "alice");
    alice.say("/msg dave secret");
    dave.expect(Kind::Join, "alice", "");
    dave.expect(Kind::Text, "alice (private)", "secret");
    line.send("PING\n");
    line.expect("PONG\n");
    assert_eq!(alice.heard(), []);
}

#[test]
fn each_message_is_a_write_of_its_own() {
    let server = TestServer::start();
    let mut dave = GobPeer::join(&server, "dave");
    let mut line = server.line("line");
    line.send("MSG hi\n".repeat(100) + "PING\n");
    line.expect("PONG\n");
    dave.expect(Kind::Join, "line", "");
    for _ in 0..100 {
        dave.expect(Kind::Text, "line", "hi");
    }
    drop(line);
    dave.expect(Kind::Leave, "line", "");
    // Gone before the server stops, of which it would be told.
    dave.finish();
    dave.expect_end();
    // To dave: the answer to his question, a join, a leave, and what was said; to line: `OK` and `PONG`.
    assert_eq!(server.stop().system_calls.writes, 103 + 2);
}

#[test]
fn many_messages_keep_their_order_though_each_has_a_write_of_its_own() {
    let server = TestServer::start();
    let mut dave = GobPeer::join(&server, "dave");
    let mut line = server.line("line");
    dave.expect(Kind::Join, "line", "");
    for number in 0..300 {
        line.send(format!("MSG {number}\n"));
        if number % 50 == 0 {
            line.send(format!("DM dave {number}\n"));
        }
    }
    for number in 0..300 {
        dave.expect(Kind::Text, "line", &number.to_string());
        if number % 50 == 0 {
            dave.expect(Kind::Text, "line (private)", &number.to_string());
        }
    }
    drop(line);
    dave.expect(Kind::Leave, "line", "");
}

#[test]
fn a_gob_connection_hears_the_lobby_before_it_joins() {
    let server = TestServer::start();
    let mut alice = server.line("alice");
    let mut quiet = GobPeer::connect(&server, "bob");
    // The answer shows that it is there; nobody else is told of it.
    quiet.say("/who");
    quiet.expect(Kind::Text, "server", "not logged in");
    alice.send("MSG one\n");
    quiet.expect(Kind::Text, "alice", "one");
    alice.send("WHO\nDM bob psst\nPING\n");
    alice.expect("USER alice\nERR user-not-found bob\nPONG\n");
    // The text of a join is said, as the one of a text that joins.
    quiet.send(Kind::Join, "hello");
    alice.expect("MSG bob hello\n");
    alice.send("WHO\n");
    alice.expect("USER alice\nUSER bob\n");
    quiet.send(Kind::Join, "again");
    alice.expect("MSG bob again\n");
    alice.send("MSG two\n");
    quiet.expect(Kind::Text, "alice", "two");
    // One that leaves without a name leaves nothing behind.
    drop(GobPeer::connect(&server, "carol"));
    drop(quiet);
    alice.expect("INFO bob disconnected\n");
    alice.send("MSG three\nWHO\n");
    alice.expect("USER alice\n");
}
