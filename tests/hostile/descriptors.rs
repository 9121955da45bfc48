//! Descriptors run out, and come back.

use parlance::chat::CloseReason;
use parlance::wire::Dialect;

use crate::bystanders::Bystanders;
use crate::child::Child;
use crate::support::{Peer, shards};

#[test]
fn when_descriptors_run_out_the_surplus_is_told_and_when_they_come_back_others_are_taken_in() {
    const LIMIT: u32 = 160;
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
