//! What the kernel is asked for, counted: the system calls are the cost of a delivery.

mod support;

use parlance::config::Shards;
use parlance::wire::Dialect;
use support::{Peer, TestServer};

const MEMBERS: u64 = 100;
const MESSAGES: u64 = 50;

/// One reading by each member between two messages, so that every turn of the server has exactly one.
#[test]
fn a_message_costs_one_read_and_one_write_a_member_and_registers_nothing() {
    let server = TestServer::with(|config| config.shards = Shards::Count(1));
    let mut peers: Vec<Peer> = (0..MEMBERS).map(|index| server.line(&format!("user{index}"))).collect();
    for message in 0..MESSAGES {
        let author = (message % MEMBERS) as usize;
        peers[author].send(format!("MSG {message}\n"));
        for (index, peer) in peers.iter_mut().enumerate() {
            if index != author {
                peer.expect(&format!("MSG user{author} {message}\n"));
            }
        }
    }
    // Everybody leaves with nothing unsaid, so that what they leave is not counted.
    let report = server.stop();
    let calls = report.system_calls;
    let listeners = Dialect::ALL.len() as u64;
    assert_eq!(calls.registrations, MEMBERS + listeners, "once a connection, and never again");
    // A login is a read and an `OK`; the notice at the end is a write more, and the end of a peer a read.
    assert_eq!(calls.writes, MESSAGES * (MEMBERS - 1) + MEMBERS + MEMBERS);
    assert!(calls.reads >= MESSAGES + MEMBERS);
    assert!(calls.reads <= MESSAGES + MEMBERS + 2 * MEMBERS, "{} reads", calls.reads);
}

/// However many messages one read brings, a member gets them in one write.
#[test]
fn a_batch_of_messages_costs_one_write_a_member() {
    let server = TestServer::with(|config| config.shards = Shards::Count(1));
    let mut author = server.line("author");
    let mut peers: Vec<Peer> = (0..MEMBERS).map(|index| server.line(&format!("user{index}"))).collect();
    let batch: String = (0..64).map(|index| format!("MSG {index}\n")).collect();
    let seen: String = (0..64).map(|index| format!("MSG author {index}\n")).collect();
    for _ in 0..MESSAGES {
        author.send(&batch);
        for peer in &mut peers {
            peer.expect(&seen);
        }
    }
    let calls = server.stop().system_calls;
    assert_eq!(calls.writes, MESSAGES * MEMBERS + 2 * (MEMBERS + 1));
}
