//! Who ends with a reset, in the middle of something.

use std::io::Write;
use std::net::TcpStream;

use parlance::chat::CloseReason;
use parlance::wire::Dialect;

use crate::bystanders::Bystanders;
use crate::child::Child;
use crate::support::{TestServer, reset_at_the_end};

#[test]
fn a_reset_in_the_middle_of_a_line_ends_that_connection_alone() {
    let server = TestServer::start();
    let mut alice = server.line("alice");
    for name in ["bob", "carol", "dave"] {
        let mut peer = server.line(name);
        peer.send("MSG half a li");
        peer.reset();
        alice.expect(&format!("INFO {name} disconnected\n"));
    }
    alice.send("WHO\n");
    alice.expect("USER alice\n");
    let report = server.stop();
    assert_eq!(report.metrics.closed_for(CloseReason::PeerReset), 3);
    assert_eq!(report.metrics.messages, 0);
}

#[test]
fn thousands_that_reset_with_half_a_frame_sent_are_gone_without_a_trace() {
    const RESETS: u64 = 4000;
    // None of them is whole, in no dialect.
    const HALVES: [(Dialect, &[u8]); 5] = [
        (Dialect::Line, b"LOGIN res"),
        (Dialect::Slash, b"res"),
        (Dialect::Tcrp, &[5, 1, 0, 0, 0, 0]),
        (Dialect::Typed, &[0, 0, 0, 0, 0, 0, 0, 1, 0]),
        (Dialect::Gob, &[40, 0, 1]),
    ];
    let server = Child::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    let (memory, sockets) = (server.resident_bytes_high(), server.sockets());
    bystanders.talk_while(|| {
        for (dialect, half) in HALVES.into_iter().cycle().take(RESETS as usize) {
            let mut stream = TcpStream::connect(server.address(dialect)).expect("the server listens");
            reset_at_the_end(&stream);
            stream.write_all(half).expect("it has the space");
        }
    });
    bystanders.talk_until(|| server.is_back_to(&sockets));
    server.expect_memory(memory, 0);
    let connections = bystanders.connections();
    bystanders.leave();
    let counts = server.stop();
    assert_eq!(counts.of("connections"), RESETS + connections);
    counts.expect_closed(&[(CloseReason::PeerReset, RESETS)]);
}
