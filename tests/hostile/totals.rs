//! One address takes all that it can of a total: it is refused, and people at other addresses lose nothing.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;

use parlance::chat::{CloseReason, Token};
use parlance::limits::{HISTORY_TASKS_MAX, PLACES_KEPT_DIVISOR, PLACES_SMALL_DIVISOR, SEATS_MAX};
use parlance::wire::Dialect;
use parlance::wire::tcrp::{Operation, Refusal};

use crate::bystanders::Bystanders;
use crate::child::{Child, NOBODY_EXEMPT};
use crate::support::seat::shake;
use crate::support::{Peer, connect_from, shards};

/// With the default limits of addresses, no single one could come near these totals.
const MANY_OF_ADDRESS: [&str; 4] = ["--address-clients", "0", "--address-connects", "0"];

fn greedy() -> IpAddr {
    [127, 6, 0, 1].into()
}

fn modest(number: u8) -> IpAddr {
    [127, 6, 1, number].into()
}

/// What one address can take of a total.
const fn share(total: usize) -> usize {
    total - total / PLACES_KEPT_DIVISOR
}

#[test]
fn connections_of_one_address_leave_some_for_others() {
    const LIMIT: usize = 150;
    const TRIES: usize = 190;
    let server = Child::start(&[&NOBODY_EXEMPT[..], &["--max-clients", "150"]].concat());
    let mut bystanders = Bystanders::paced(&server);
    let sockets = server.sockets();
    // Handshakes of bystanders are over.
    let others = bystanders.connections() as usize - 1;
    let connects = |from| {
        let mut peer = Peer::of(connect_from(from, server.address(Dialect::Line)));
        peer.send("PING\n");
        match peer.line_or_end().as_deref() {
            Some("PONG") => Some(peer),
            // With its question unread, the server's close may be a reset that overtakes its words.
            Some("ERR server-full") | None => None,
            Some(other) => panic!("{other}"),
        }
    };
    let held: Vec<_> =
        bystanders.talk_while(|| (0..TRIES).filter_map(|_| connects(greedy())).collect::<Vec<_>>());
    assert!(held.len() <= share(LIMIT) && held.len() + others >= share(LIMIT), "{}", held.len());
    let mut people: Vec<_> =
        (1..=5).map(|number| connects(modest(number)).expect("there is a place")).collect();
    for peer in &mut people {
        peer.send("PING\n");
        peer.expect("PONG\n");
    }
    bystanders.go_round();
    let refused = (TRIES - held.len()) as u64;
    drop((held, people));
    bystanders.talk_until(|| server.is_back_to(&sockets));
    bystanders.leave();
    let counts = server.stop();
    assert_eq!(counts.of("shares_refused"), refused);
    assert_eq!(counts.closed_for(CloseReason::ServerFull), refused);
}

#[test]
fn seats_of_one_address_leave_some_for_others() {
    const FREE: usize = 20;
    // The handshakes would take minutes, so most of its seats come from the store.
    let directory = tempfile::tempdir().expect("a directory");
    let mut log = String::from("{\"operation\":\"format\",\"version\":1}\n");
    for number in 0..share(SEATS_MAX) - FREE {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let (token, ip) = (Token::from_random(bytes), greedy());
        let _ = writeln!(
            log,
            r#"{{"operation":"seat-taken","room":"room{}","name":"seat{number}","token":"{}","ip":"{ip}"}}"#,
            number / 1000,
            &*token.reveal(),
        );
    }
    fs::write(directory.path().join("log.jsonl"), log).expect("a file");
    let store = format!("jsonl:{}", directory.path().display());
    let server = Child::start_with_store(&store, &[&NOBODY_EXEMPT[..], &MANY_OF_ADDRESS].concat());
    let mut bystanders = Bystanders::paced(&server);
    let joins = |from, name: &str| shake(&server, from, (Operation::Join, "lobby"), (name, None));
    let outcomes: Vec<_> = bystanders
        .talk_while(|| (0..2 * FREE).map(|number| joins(greedy(), &format!("late{number}"))).collect());
    // One of the bystanders has a seat.
    let expected = FREE - 1;
    assert!(outcomes[..expected].iter().all(Result::is_ok));
    assert!(outcomes[expected..].iter().all(|outcome| outcome.as_ref().err() == Some(&Refusal::Full)));
    for number in 1..=FREE as u8 {
        assert!(joins(modest(number), &format!("modest{number}")).is_ok());
    }
    bystanders.go_round();
    bystanders.leave();
    let counts = server.stop();
    let refused = (2 * FREE - expected) as u64;
    assert_eq!(counts.of("shares_refused"), refused);
    counts.expect_closed(&[(CloseReason::LoginRefused, refused)]);
}

#[test]
fn look_ups_of_one_address_leave_some_for_others() {
    const GREEDY: usize = HISTORY_TASKS_MAX + 40;
    let people = HISTORY_TASKS_MAX / PLACES_SMALL_DIVISOR;
    let server = Child::start(&[&NOBODY_EXEMPT[..], &MANY_OF_ADDRESS].concat());
    let mut bystanders = Bystanders::paced(&server);
    let enters = |from, name: &str| {
        let mut peer = Peer::of(connect_from(from, server.address(Dialect::Slash)));
        peer.send(format!("{name}\n"));
        peer.line_where(|line| line == "You are in #lobby" || line.contains(name));
        peer
    };
    let mut crowd: Vec<_> = (0..GREEDY).map(|number| enters(greedy(), &format!("greedy{number}"))).collect();
    let mut others: Vec<_> =
        (0..people).map(|number| enters(modest(1), &format!("modest{number}"))).collect();
    bystanders.go_round();
    // They all ask in the same moment, the others last. Behind the answer, each has an error.
    server.at_once(|| {
        for peer in crowd.iter_mut().chain(&mut others) {
            peer.send("/history 1000\n/msg\n");
        }
    });
    let is_answered = |peer: &mut Peer| {
        let error = peer.line_where(|line| line.starts_with("ERROR: "));
        assert!(
            error == "ERROR: Server is busy, try again later" || error.starts_with("ERROR: Usage"),
            "{error}"
        );
        error.starts_with("ERROR: Usage")
    };
    let answered = crowd.iter_mut().filter_map(|peer| is_answered(peer).then_some(())).count();
    // Networks take turns: the others have had their places by then.
    assert!(answered + people >= share(HISTORY_TASKS_MAX), "{answered}");
    // On one shard all come in one turn.
    assert!(answered < GREEDY || shards() > 1);
    assert!(others.iter_mut().all(is_answered));
    bystanders.go_round();
    for peer in crowd.iter_mut().chain(&mut others) {
        peer.finish();
    }
    bystanders.leave();
    server.stop().expect_closed(&[]);
}
