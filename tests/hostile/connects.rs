//! Who connects again and again, and in thousands.

use std::collections::HashSet;

use parlance::chat::CloseReason;
use parlance::config::MaxClients;
use parlance::wire::Dialect;

use crate::bystanders::Bystanders;
use crate::child::{Child, Counts};
use crate::support::seat::ELSEWHERE;
use crate::support::{TestServer, connect_from, reset_at_the_end};

#[test]
fn thousands_come_and_go_and_leave_nothing_behind() {
    const CLIENTS: usize = 2000;
    let server = TestServer::with(|config| config.max_clients = MaxClients::Limit(CLIENTS as u32 + 1));
    let mut watcher = server.line("watcher");
    for round in 0..2 {
        let mut peers: Vec<_> = (0..CLIENTS).map(|_| server.connect(Dialect::Line)).collect();
        for (index, peer) in peers.iter_mut().enumerate() {
            // The names of the round before are free again.
            peer.send(format!("LOGIN user{index}\n"));
        }
        for peer in &mut peers {
            peer.expect("OK\n");
        }
        watcher.send("WHO\n");
        // Those of several shards come in as they come.
        let list: HashSet<_> = (0..=CLIENTS).map(|_| watcher.long_line()).collect();
        assert_eq!(list.len(), CLIENTS + 1, "round {round}");
        assert!(list.contains(&format!("USER user{}", CLIENTS - 1)), "round {round}");
        for (index, peer) in peers.into_iter().enumerate() {
            if index % 3 == 0 { peer.reset() } else { drop(peer) }
        }
        for _ in 0..CLIENTS {
            assert!(watcher.long_line().ends_with(" disconnected"));
        }
        watcher.send("WHO\n");
        watcher.expect("USER watcher\n");
    }
    watcher.finish();
    watcher.expect_end();
    let report = server.stop();
    assert_eq!(report.metrics.opened, 2 * CLIENTS as u64 + 1);
    assert_eq!(report.metrics.closed.iter().sum::<u64>(), report.metrics.opened);
}

/// Connects so often as fast as can be, and resets each connection, so that no port has to rest.
fn storm(server: &Child, connections: u64) {
    for _ in 0..connections {
        reset_at_the_end(&connect_from(ELSEWHERE, server.address(Dialect::Line)));
    }
}

/// As many as the issue asks for in a second; how long they take here is for the machine to say.
const STORM: u64 = 20_000;

/// Storms a server, and stops it when nothing of that is left; returns what it counted.
fn counts_after_a_storm(server: Child) -> Counts {
    let mut bystanders = Bystanders::new(&server);
    let (memory, sockets) = (server.resident_bytes_high(), server.sockets());
    bystanders.talk_while(|| storm(&server, STORM));
    bystanders.talk_until(|| server.is_back_to(&sockets));
    // Those that wait to be accepted are the kernel's.
    server.expect_memory(memory, 0);
    let connections = bystanders.connections();
    bystanders.leave();
    let counts = server.stop();
    assert_eq!(counts.of("connections"), STORM + connections);
    counts
}

#[test]
fn twenty_thousand_connections_from_one_address_are_taken_in_and_forgotten() {
    let counts = counts_after_a_storm(Child::start(&[]));
    counts.expect_closed(&[(CloseReason::PeerReset, STORM)]);
}

#[test]
fn of_twenty_thousand_connections_from_one_address_those_that_come_too_fast_are_dropped() {
    // Bystanders talk faster than people may, and so are exempt.
    let server = Child::start(&["--exempt", "127.0.0.1", "--address-connects", "2"]);
    let counts = counts_after_a_storm(server);
    let taken_in = STORM - counts.closed_for(CloseReason::AddressTooFast);
    // Twenty at once, and two for each second that it took, which is no hour.
    assert!((20..STORM / 10).contains(&taken_in), "{taken_in}");
    counts.expect_closed(&[
        (CloseReason::AddressTooFast, STORM - taken_in),
        (CloseReason::PeerReset, taken_in),
    ]);
}
