//! Who never reads, or not what it asked for.

use parlance::chat::CloseReason;
use parlance::fanout::{LagPolicies, LagPolicy};
use parlance::limits::LOG_BYTES_LIMIT_MIN;
use parlance::wire::Dialect;

use crate::bystanders::Bystanders;
use crate::child::Child;
use crate::support::{Peer, TestServer};

/// More than the kernel's buffers between two sockets on loopback ever hold.
const FLOOD_BYTES: usize = 24 << 20;
const TEXT_BYTES: usize = 4000;
const MESSAGES: usize = FLOOD_BYTES / TEXT_BYTES / 32 * 32;

/// Says numbered messages of [`TEXT_BYTES`] in the lobby, at the pace at which `reader` gets them: all of them, in order.
fn flood(publisher: &mut Peer, reader: &mut Peer) {
    const BATCH: usize = 32;
    let padding = "x".repeat(TEXT_BYTES);
    for batch in 0..MESSAGES / BATCH {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        for index in numbers.clone() {
            publisher.send(format!("MSG {index} {padding}\n"));
        }
        for index in numbers {
            let line = reader.line_where(|line| !line.starts_with("***"));
            assert!(line.contains(&format!(" {index} x")), "in order, none missing: {index}, not {line:.40}");
        }
    }
}

/// The number in a line that `flood` made somebody receive.
fn number(line: &str) -> Option<usize> {
    line.strip_prefix("MSG flood ")?.split(' ').next()?.parse().ok()
}

#[test]
fn who_never_reads_skips_and_is_told_how_much_while_the_others_get_everything() {
    let server = TestServer::start();
    let mut reader = server.line("reader");
    let mut stalled = Peer::connect_narrow(server.address(Dialect::Line));
    stalled.send("LOGIN stalled\n");
    stalled.expect("OK\n");
    let mut publisher = server.line("flood");

    flood(&mut publisher, &mut reader);

    // The stalled one gets what the buffers held, then how many it missed, then what comes next.
    publisher.send("DM stalled still there?\nMSG last\n");
    reader.expect("MSG flood last\n");
    let (mut got, mut missed) = (0, 0);
    loop {
        let line = stalled.long_line();
        if let Some(index) = number(&line) {
            assert_eq!(index, got + missed, "in order, with holes only where it was told so");
            got += 1;
        } else if let Some(count) =
            line.strip_prefix("INFO ").and_then(|rest| rest.strip_suffix(" messages missed"))
        {
            missed += count.parse::<usize>().expect("a count");
        } else if line == "DM flood still there?" {
            break;
        } else {
            panic!("{line}");
        }
    }
    assert_eq!(stalled.line(), "MSG flood last");
    assert!(missed > 0, "it was lagged");
    assert_eq!(got + missed, MESSAGES);
    let report = server.stop();
    assert_eq!(report.metrics.missed, missed as u64);
}

#[test]
fn who_never_reads_is_closed_where_that_is_the_policy() {
    let server = TestServer::with(|config| config.lag = LagPolicies::all(LagPolicy::Close));
    let mut stalled = Peer::connect_narrow(server.address(Dialect::Line));
    stalled.send("LOGIN stalled\n");
    stalled.expect("OK\n");
    let mut watcher = server.slash("watcher");
    let mut publisher = server.line("flood");
    flood(&mut publisher, &mut watcher);
    publisher.expect("INFO stalled disconnected\n");
    drop(stalled);
    assert_eq!(server.stop().metrics.closed_for(CloseReason::Lagged), 1);
}

#[test]
fn of_those_who_never_read_each_dialect_has_its_own_end() {
    let server = TestServer::with(|config| {
        config.lag.set(Dialect::Line, LagPolicy::Close);
        config.log_bytes = LOG_BYTES_LIMIT_MIN;
    });
    let mut closed = Peer::connect_narrow(server.address(Dialect::Line));
    closed.send("LOGIN closed\n");
    closed.expect("OK\n");
    let mut skips = Peer::connect_narrow(server.address(Dialect::Slash));
    skips.send("skips\n");
    skips.line_where(|line| line == "*** skips joined the room");
    let mut talker = server.slash("talker");
    // It sees what it says itself, and so says no more than is passed on; until it sees who could not keep up.
    let text = "x".repeat(TEXT_BYTES);
    for number in 0.. {
        talker.send(format!("{text}\n"));
        if talker.long_line() == "*** closed left the room" {
            break;
        }
        assert!(number < MESSAGES, "it is never closed");
    }
    assert!(talker.long_line().ends_with(&text), "what it said last");
    let told = closed.rest();
    assert!(
        told.ends_with(&format!("MSG talker {text}\nERR too-slow\n")),
        "the last message is whole: {told:.80}"
    );
    // The other is told, when it reads again, and stays.
    flood(&mut server.line("flood"), &mut talker);
    let notice = skips.line_where(|line| line.ends_with(" messages missed"));
    let missed: u64 =
        notice.strip_prefix("*** ").and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("a count");
    skips.send("/users\n");
    skips.line_where(|line| line.starts_with("Users in #lobby"));
    drop((closed, skips, talker));
    let metrics = server.stop().metrics;
    assert_eq!(metrics.closed_for(CloseReason::Lagged), 1);
    assert!(missed > 0 && metrics.missed >= missed && metrics.lagged >= 2, "{metrics:?}");
}

#[test]
fn who_does_not_read_private_messages_is_closed_and_nobody_else() {
    let server = TestServer::start();
    let mut stalled = Peer::connect_narrow(server.address(Dialect::Line));
    stalled.send("LOGIN stalled\n");
    stalled.expect("OK\n");
    let mut sender = server.line("sender");
    let padding = "x".repeat(TEXT_BYTES);
    for _ in 0..MESSAGES {
        sender.send(format!("DM stalled {padding}\n"));
    }
    sender.send("PING\n");
    // Once it is gone, the rest has no recipient.
    let told = sender.read_until("PONG\n");
    assert_eq!(told.matches("INFO stalled disconnected\n").count(), 1);
    assert!(
        told.lines()
            .all(|line| matches!(line, "INFO stalled disconnected" | "ERR user-not-found stalled" | "PONG"))
    );
    drop(stalled);
    assert_eq!(server.stop().metrics.closed_for(CloseReason::TooSlow), 1);
}

#[test]
fn who_asks_without_reading_is_not_read_from_and_gets_every_answer_later() {
    const QUESTIONS: usize = 100_000;
    let server = TestServer::start();
    let mut asker = server.slash("asker");
    let mut other = asker.clone_to_send();
    let asking = std::thread::spawn(move || {
        for _ in 0..QUESTIONS / 100 {
            other.send("/help\n".repeat(100));
        }
        other.send("/quit\n");
    });
    // Another is served meanwhile.
    let mut alice = server.line("alice");
    alice.send("PING\n");
    alice.expect("PONG\n");
    let mut answers = 0;
    loop {
        match asker.long_line().as_str() {
            "Available commands:" => answers += 1,
            "Goodbye!" => break,
            line => assert!(line.starts_with("  /") || line.starts_with("*** alice"), "{line}"),
        }
    }
    assert_eq!(answers, QUESTIONS);
    asking.join().expect("everything was sent");
}

#[test]
fn twenty_who_never_read_cost_the_room_its_log_once() {
    const STALLED: u64 = 20;
    let server = Child::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    let sockets = server.sockets();
    let in_den = |mut peer: Peer, name: &str| {
        peer.send(format!("{name}\n/join den\n"));
        peer.line_where(|line| line == "You joined #den");
        peer
    };
    let stalled: Vec<_> = (0..STALLED)
        .map(|index| {
            let peer = Peer::connect_narrow(server.address(Dialect::Slash));
            in_den(peer, &format!("stalled{index}"))
        })
        .collect();
    let memory = server.resident_bytes_high();
    let mut talker = in_den(server.connect(Dialect::Slash), "talker");
    bystanders.talk_while(|| {
        let text = "x".repeat(TEXT_BYTES);
        for number in 0..MESSAGES {
            talker.send(format!("{number} {text}\n"));
            // It reads what it says, and so says no more than is passed on.
            let line = talker.long_line();
            assert!(line.contains(&format!("] talker: {number} x")), "in order, none missing: {line:.40}");
        }
    });
    // The log of the room, in one dialect, and as much of what waits in the kernel's place.
    server.expect_memory(memory, 2 << 20);
    talker.finish();
    talker.rest();
    drop(talker);
    for peer in stalled {
        peer.reset();
    }
    bystanders.talk_until(|| server.is_back_to(&sockets));
    bystanders.leave();
    let counts = server.stop();
    assert!(counts.of("lagged") >= STALLED && counts.of("missed") > STALLED, "{}", counts.log);
    counts.expect_closed(&[(CloseReason::PeerReset, STALLED)]);
}
