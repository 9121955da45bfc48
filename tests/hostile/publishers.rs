//! Who publishes as fast as it can.

use std::net::IpAddr;
use std::thread;

use parlance::wire::Dialect;

use crate::bystanders::Bystanders;
use crate::child::Child;
use crate::support::seat::{ELSEWHERE, HERE};
use crate::support::{Peer, connect_from};

/// What the log of a room takes in one dialect, if nothing else is configured, and what waits for the publisher itself.
const LOG_BYTES: u64 = 2 << 20;

/// Somebody of slash in the room `den`, which is not the bystanders'.
fn in_den(server: &Child, from: IpAddr, name: &str) -> Peer {
    let mut peer = Peer::of(connect_from(from, server.address(Dialect::Slash)));
    peer.send(format!("{name}\n/join den\n"));
    peer.line_where(|line| line == "You joined #den");
    peer
}

/// Sends numbered lines in one go, and at last asks to leave.
fn publish(peer: &mut Peer, count: usize) {
    const BATCH: usize = 100;
    for batch in 0..count / BATCH {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        peer.send(numbers.map(|number| format!("{number}\n")).collect::<String>());
    }
    peer.send("/quit\n");
}

/// The number in a line that [`publish`] made somebody in the same room read.
fn number(line: &str) -> Option<usize> {
    line.split_once("] fast: ")?.1.parse().ok()
}

/// The numbers that somebody reads until the publisher leaves.
fn numbers(reader: &mut Peer) -> Vec<usize> {
    let lines =
        std::iter::from_fn(|| Some(reader.long_line()).filter(|line| line != "*** fast left the room"));
    lines.filter_map(|line| number(&line)).collect()
}

#[test]
fn one_who_publishes_as_fast_as_it_can_is_made_to_wait_for_those_who_read() {
    const MESSAGES: usize = 30_000;
    let server = Child::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    let (memory, sockets) = (server.resident_bytes_high(), server.sockets());
    let (mut reader, mut fast) = (in_den(&server, HERE, "reader"), in_den(&server, HERE, "fast"));
    bystanders.talk_while(|| {
        let mut sender = fast.clone_to_send();
        thread::scope(|scope| {
            scope.spawn(|| publish(&mut sender, MESSAGES));
            // It reads what it says itself, as each of the room does.
            let own = scope.spawn(|| {
                std::iter::from_fn(|| Some(fast.long_line()).filter(|line| line != "Goodbye!"))
                    .filter_map(|line| number(&line))
                    .collect::<Vec<_>>()
            });
            assert!(numbers(&mut reader).into_iter().eq(0..MESSAGES), "each once and in order");
            assert!(own.join().expect("it reads").into_iter().eq(0..MESSAGES));
        });
    });
    drop((reader, fast));
    bystanders.talk_until(|| server.is_back_to(&sockets));
    server.expect_memory(memory, LOG_BYTES);
    let rounds = bystanders.rounds();
    bystanders.leave();
    let counts = server.stop();
    assert_eq!(counts.of("messages"), MESSAGES as u64 + rounds);
    assert_eq!((counts.of("lagged"), counts.of("missed")), (0, 0));
    counts.expect_closed(&[]);
}

#[test]
fn one_who_publishes_in_the_room_of_all_as_fast_as_it_can_keeps_nobody_from_being_heard() {
    const MESSAGES: usize = 20_000;
    let server = Child::start(&[]);
    // What a gob client can be told in a second is bounded by its pace, and datagrams that nobody reads are lost: what these
    // two miss in such a room is no fault.
    let mut bystanders = Bystanders::only(&server, &[Dialect::Line, Dialect::Slash]);
    let (memory, sockets) = (server.resident_bytes_high(), server.sockets());
    let mut reader = server.line("reader");
    bystanders.talk_while(|| {
        let mut fast = server.line("fast");
        let mut sender = fast.clone_to_send();
        thread::scope(|scope| {
            scope.spawn(move || {
                for batch in 0..MESSAGES / 100 {
                    let numbers = batch * 100..(batch + 1) * 100;
                    sender.send(numbers.map(|number| format!("MSG {number}\n")).collect::<String>());
                }
                sender.finish();
            });
            let mut expected = 0..MESSAGES;
            loop {
                let line = reader.long_line();
                if line == "INFO fast disconnected" {
                    break;
                }
                if let Some(number) = line.strip_prefix("MSG fast ") {
                    assert_eq!(number.parse().ok(), expected.next(), "each once and in order");
                }
            }
            assert_eq!(expected.next(), None);
            // What others say waits for it as for everybody.
            fast.rest();
        });
    });
    reader.finish();
    reader.rest();
    drop(reader);
    bystanders.talk_until(|| server.is_back_to(&sockets));
    server.expect_memory(memory, 2 * LOG_BYTES);
    let rounds = bystanders.rounds();
    bystanders.leave();
    let counts = server.stop();
    assert_eq!(counts.of("messages"), MESSAGES as u64 + rounds);
    assert_eq!((counts.of("lagged"), counts.of("missed")), (0, 0));
    counts.expect_closed(&[]);
}

#[test]
fn of_one_who_publishes_faster_than_it_may_the_surplus_is_refused() {
    const MESSAGES: usize = 20_000;
    let server = Child::start(&["--exempt", "127.0.0.1", "--session-messages", "50", "--session-bytes", "0"]);
    let mut bystanders = Bystanders::new(&server);
    let sockets = server.sockets();
    let (mut reader, mut fast) = (in_den(&server, HERE, "reader"), in_den(&server, ELSEWHERE, "fast"));
    let refused = bystanders.talk_while(|| {
        let mut sender = fast.clone_to_send();
        thread::scope(|scope| {
            // Its farewell may be one too many as well.
            scope.spawn(move || {
                publish(&mut sender, MESSAGES);
                sender.finish();
            });
            let answers = fast.rest();
            let said: Vec<_> = answers.lines().filter_map(number).collect();
            let refused =
                answers.lines().filter(|line| *line == "ERROR: Too fast, this was not done").count();
            assert_eq!(numbers(&mut reader), said, "what was carried out is said to all");
            assert!(said.is_sorted() && said[..100] == *(0..100).collect::<Vec<_>>());
            let was_farewell_said = answers.ends_with("Goodbye!\n");
            assert_eq!(said.len() + refused, MESSAGES + usize::from(!was_farewell_said), "{answers:.300}");
            refused
        })
    });
    assert!(refused > MESSAGES / 2, "{refused}");
    drop((reader, fast));
    bystanders.talk_until(|| server.is_back_to(&sockets));
    bystanders.leave();
    let counts = server.stop();
    assert_eq!(counts.refused_for("too-fast"), refused as u64);
    counts.expect_closed(&[]);
}

#[test]
fn one_who_sends_more_bytes_than_it_may_is_read_later_and_nothing_is_lost() {
    const MESSAGES: usize = 200;
    // As much as may come at once, and a second's worth more.
    const TEXT_BYTES: usize = 11 * 16384 / MESSAGES;
    let server =
        Child::start(&["--exempt", "127.0.0.1", "--session-messages", "0", "--session-bytes", "16384"]);
    let mut bystanders = Bystanders::new(&server);
    let sockets = server.sockets();
    let (mut reader, mut fast) = (in_den(&server, HERE, "reader"), in_den(&server, ELSEWHERE, "fast"));
    bystanders.talk_while(|| {
        let padding = "0".repeat(TEXT_BYTES);
        fast.send((0..MESSAGES).map(|number| format!("{padding}{number}\n")).collect::<String>() + "/quit\n");
        assert!(numbers(&mut reader).into_iter().eq(0..MESSAGES), "each once and in order");
    });
    fast.rest();
    drop((reader, fast));
    bystanders.talk_until(|| server.is_back_to(&sockets));
    bystanders.leave();
    let counts = server.stop();
    assert!(counts.of("rested") > 0);
    assert!(counts.refused().is_empty(), "{:?}", counts.refused());
    counts.expect_closed(&[]);
}
