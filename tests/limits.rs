//! The limits on what comes from an address and from a session, over real sockets.

mod support;

use std::net::IpAddr;

use parlance::chat::CloseReason;
use parlance::wire::Dialect;
use parlance::wire::tcrp::{Operation, Refusal};
use support::seat::{ELSEWHERE, HERE, shake};
use support::{Peer, TestServer, connect_from};

fn peer(server: &TestServer, from: IpAddr, dialect: Dialect) -> Peer {
    Peer::of(connect_from(from, server.address(dialect)))
}

/// Who is logged in has been taken in, whichever shard it came to.
fn line(server: &TestServer, from: IpAddr, name: &str) -> Peer {
    let mut peer = peer(server, from, Dialect::Line);
    peer.send(format!("LOGIN {name}\n"));
    peer.expect("OK\n");
    peer
}

#[test]
fn one_connection_too_many_from_an_address_is_told_and_closed() {
    let server = TestServer::with(|config| {
        config.exempt = Vec::new();
        config.address_clients = 2;
    });
    let (mut one, _two) = (line(&server, HERE, "one"), line(&server, HERE, "two"));
    for (dialect, words) in [
        (Dialect::Line, "ERR too-many-connections\n"),
        (Dialect::Slash, "Registration failed: Too many connections from your address\n"),
    ] {
        assert_eq!(peer(&server, HERE, dialect).rest(), words);
    }
    // Others are none of its business.
    line(&server, ELSEWHERE, "three").send("MSG hi\n");
    one.expect("MSG three hi\n");
    assert_eq!(server.stop().metrics.closed_for(CloseReason::AddressFull), 2);
}

#[test]
fn an_address_that_connects_too_often_is_told_and_others_are_served_meanwhile() {
    const TRIES: usize = 1000;
    let server = TestServer::with(|config| {
        config.exempt = Vec::new();
        config.address_connects = 1;
    });
    let mut alice = line(&server, ELSEWHERE, "alice");
    let mut refused = 0;
    for index in 0..TRIES {
        let mut peer = peer(&server, HERE, Dialect::Line);
        // The first ten come in, and now and then one later.
        if peer.line_or_end_after("PING\n") == Some("ERR connecting-too-fast".to_owned()) {
            refused += 1;
        }
        if index % 100 == 0 {
            alice.send("PING\n");
            alice.expect("PONG\n");
        }
    }
    assert!(refused > TRIES / 2, "{refused}");
    let report = server.stop();
    assert!(report.metrics.closed_for(CloseReason::AddressTooFast) >= refused as u64);
}

#[test]
fn messages_that_come_too_fast_are_refused_and_bytes_that_do_are_read_later() {
    const MESSAGES: usize = 40;
    let server = TestServer::with(|config| {
        config.exempt = Vec::new();
        config.session_messages = 1;
        config.session_bytes = 0;
    });
    let mut fast = line(&server, HERE, "fast");
    fast.send("PING\n".repeat(MESSAGES));
    let answers: Vec<_> = (0..MESSAGES).map(|_| fast.long_line()).collect();
    let refused = answers.iter().filter(|answer| *answer == "ERR too-fast").count();
    assert!(refused >= MESSAGES / 2, "{answers:?}");
    assert_eq!(server.stop().metrics.refused_for("too-fast"), refused as u64);

    let server = TestServer::with(|config| {
        config.exempt = Vec::new();
        config.session_messages = 0;
        config.session_bytes = 1 << 14;
    });
    let mut fast = line(&server, HERE, "fast");
    let mut alice = line(&server, ELSEWHERE, "alice");
    // A second more than the bucket holds.
    let text = "x".repeat(1000);
    let mut sender = fast.clone_to_send();
    let sending = std::thread::spawn(move || {
        for _ in 0..(11 << 14) / 1000 {
            sender.send(format!("MSG {text}\n"));
        }
        sender.send("PING\n");
    });
    for _ in 0..(11 << 14) / 1000 {
        assert!(alice.long_line().starts_with("MSG fast x"), "nothing is lost");
    }
    fast.expect("PONG\n");
    sending.join().expect("everything was sent");
    assert!(server.stop().metrics.rested > 0);
}

#[test]
fn one_room_too_many_is_refused() {
    let server = TestServer::with(|config| {
        config.exempt = Vec::new();
        config.address_rooms = 1;
        config.session_rooms = 1;
    });
    let mut ann = peer(&server, HERE, Dialect::Slash);
    ann.send("ann\n/join one\n");
    ann.line_where(|line| line == "You joined #one");
    let mut bob = peer(&server, HERE, Dialect::Slash);
    bob.send("bob\n/join two\n");
    bob.line_where(|line| line == "ERROR: Too many rooms were made from your address");
    let create = |from, room| shake(&server, from, (Operation::Create, room), ("cid", None));
    assert_eq!(create(HERE, "three"), Err(Refusal::TooMany));
    create(ELSEWHERE, "three").expect("another address");
    assert_eq!(create(ELSEWHERE, "four"), Err(Refusal::TooMany));
    assert_eq!(server.stop().metrics.rooms_refused, 3);
}

#[test]
fn the_machine_itself_is_exempt_unless_the_operator_says_otherwise() {
    let server = TestServer::with(|config| {
        config.address_clients = 1;
        config.address_connects = 1;
    });
    let peers: Vec<_> = (0..50).map(|index| line(&server, HERE, &format!("user{index}"))).collect();
    drop(peers);
}
