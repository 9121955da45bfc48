//! The limits on what comes from an address and from a session, over real sockets.

mod support;

use std::net::{IpAddr, Ipv4Addr};

use parlance::chat::CloseReason;
use parlance::wire::Dialect;
use support::{Peer, TestServer, connect_from};

/// Addresses of this machine, which are exempt unless a test says otherwise.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

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
    line(&server, THERE, "three").send("MSG hi\n");
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
    let mut alice = line(&server, THERE, "alice");
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
fn the_machine_itself_is_exempt_unless_the_operator_says_otherwise() {
    let server = TestServer::with(|config| {
        config.address_clients = 1;
        config.address_connects = 1;
    });
    let peers: Vec<_> = (0..50).map(|index| line(&server, HERE, &format!("user{index}"))).collect();
    drop(peers);
}
