//! Descriptors run out, and come back.

use std::time::Instant;

use parlance::chat::CloseReason;
use parlance::wire::Dialect;

use crate::bystanders::Bystanders;
use crate::child::Child;
use crate::support::{Peer, deadline, shards};

/// Files that a shard may have open.
const LIMIT: u32 = 160;

#[test]
fn when_descriptors_run_out_the_surplus_is_told_and_when_they_come_back_others_are_taken_in() {
    // More than all shards together have.
    let connections = shards() * LIMIT as usize + 40;
    // So that it is not this which is met first.
    let server = Child::start_with_files(LIMIT, &["--max-clients", "10000"]);
    let mut bystanders = Bystanders::new(&server);
    let sockets = server.sockets();
    let (mut taken_in, mut refused) = (0, 0);
    for _ in 0..3 {
        let held: Vec<Peer> = bystanders.talk_while(|| {
            let mut held = Vec::new();
            for _ in 0..connections {
                let mut peer = Peer::connect(server.address(Dialect::Line));
                peer.send("PING\n");
                match peer.line_or_end().as_deref() {
                    Some("PONG") => held.push(peer),
                    // With its question unread, the server's close may be a reset that overtakes its words.
                    Some("ERR server-full") | None => refused += 1,
                    Some(other) => panic!("{other}"),
                }
            }
            held
        });
        assert!(held.len() > LIMIT as usize / 2 && held.len() + 40 <= connections, "{}", held.len());
        taken_in += held.len() as u64;
        drop(held);
        bystanders.talk_until(|| server.is_back_to(&sockets));
    }
    let others = bystanders.connections();
    bystanders.leave();
    let counts = server.stop();
    assert_eq!(counts.of("surplus"), refused);
    assert_eq!(counts.of("connections"), taken_in + others);
    counts.expect_closed(&[(CloseReason::PeerClosed, taken_in + 4)]);
}

#[test]
fn surplus_that_comes_all_at_once_is_told_to_the_last_one() {
    // Some turns' worth for each shard, in which the spare descriptor is lent once.
    const AT_ONCE: usize = 100;
    // With so many refused in a row, there is no shard that has descriptors.
    const IN_A_ROW: usize = 60;
    let server = Child::start_with_files(LIMIT, &["--max-clients", "10000"]);
    let sockets = server.sockets();
    let mut held = Vec::new();
    let (mut refused, mut in_a_row) = (0, 0);
    while in_a_row < IN_A_ROW {
        assert!(held.len() < shards() * LIMIT as usize, "there is no end of descriptors");
        let mut peer = Peer::connect(server.address(Dialect::Slash));
        match peer.line_or_end().as_deref() {
            Some("Welcome to the chat server!") => {
                held.push(peer);
                in_a_row = 0;
            }
            Some("Registration failed: Server is full") => {
                refused += 1;
                in_a_row += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    let surplus: Vec<_> = server.at_once(|| (0..AT_ONCE).map(|_| server.connect(Dialect::Slash)).collect());
    for mut peer in surplus {
        assert_eq!(peer.rest(), "Registration failed: Server is full\n");
    }
    let taken_in = held.len() as u64;
    drop(held);
    let until = deadline();
    while !server.is_back_to(&sockets) {
        assert!(Instant::now() < until, "{sockets:?} before, and now {:?}", server.sockets());
        std::thread::yield_now();
    }
    server.slash("late");
    let counts = server.stop();
    assert_eq!(counts.of("surplus"), refused + AT_ONCE as u64);
    assert_eq!(counts.of("connections"), taken_in + 1);
}
