//! Who makes rooms, and who comes and goes.

use std::net::IpAddr;
use std::ops::Range;
use std::thread;

use parlance::chat::{CloseReason, Token};
use parlance::limits::{
    PLACES_KEPT_DIVISOR, PLACES_SMALL_DIVISOR, ROOM_NAME_BYTES_MAX, ROOMS_MAX, SEATS_OF_NAME_MAX,
};
use parlance::wire::Dialect;
use parlance::wire::tcrp::{Operation, Refusal};

use crate::bystanders::Bystanders;
use crate::child::{Child, NOBODY_EXEMPT};
use crate::support::Peer;
use crate::support::seat::{Seat, shake};

/// What a room and the seat of its host may take, its name included, which stands in a few places.
const ROOM_BYTES_MAX: u64 = 2048 + 4 * ROOM_NAME_BYTES_MAX as u64;

/// The rooms that there are, of those that are listed, without the lobby.
fn listed(peer: &mut Peer) -> Vec<String> {
    peer.send("/rooms\n/msg\n");
    peer.line_where(|line| line == "Available rooms:");
    let lines =
        std::iter::from_fn(|| Some(peer.long_line()).filter(|line| !line.starts_with("ERROR: Usage")));
    let rooms = lines.filter_map(|line| Some(line.trim().strip_prefix('#')?.split(' ').next()?.to_owned()));
    rooms.filter(|room| room != "lobby").collect()
}

#[test]
fn a_million_names_of_rooms_are_answered_and_forgotten() {
    const WALKERS: usize = 4;
    const EACH: usize = 250_000;
    /// Requests on their way, so that neither side waits for the other for ever.
    const BATCH: usize = 250;
    let server = Child::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    let (memory, sockets) = (server.resident_bytes_high(), server.sockets());
    bystanders.talk_while(|| {
        thread::scope(|scope| {
            for walker in 0..WALKERS {
                let mut peer = server.slash(&format!("walker{walker}"));
                scope.spawn(move || {
                    // Each goes from a room to the next, which it makes, and the one before is gone.
                    for batch in 0..EACH / BATCH {
                        let rooms = batch * BATCH..(batch + 1) * BATCH;
                        let joins = rooms.clone().map(|room| format!("/join {walker}-{room}\n"));
                        peer.send(joins.collect::<String>());
                        for room in rooms {
                            let line = peer.line_where(|line| line.starts_with("You joined"));
                            assert_eq!(line, format!("You joined #{walker}-{room}"));
                        }
                    }
                });
            }
        });
    });
    // Sockets are closed behind what their end did.
    bystanders.talk_until(|| server.is_back_to(&sockets));
    assert_eq!(listed(&mut server.slash("watcher")), [""; 0]);
    bystanders.talk_until(|| server.is_back_to(&sockets));
    server.expect_memory(memory, WALKERS as u64 * ROOM_BYTES_MAX);
    bystanders.leave();
    server.stop().expect_closed(&[]);
}

/// A room that was made, and what its host needs to leave it.
struct Made {
    room: String,
    from: IpAddr,
    token: Token,
}

/// Has rooms made from an address, as many by each person as one may be in; returns what came of each.
fn create(server: &Child, from: [u8; 4], rooms: Range<usize>) -> Vec<Result<Made, Refusal>> {
    let from = from.into();
    let rooms = rooms.map(|number| {
        let (room, host) = (format!("room{number}"), format!("host{}", number / SEATS_OF_NAME_MAX));
        let token = shake(server, from, (Operation::Create, &room), (&host, None))?;
        Ok(Made { room, from, token })
    });
    rooms.collect()
}

#[test]
fn no_more_rooms_are_made_than_there_may_be_and_each_goes_with_its_host() {
    const MORE: usize = 300;
    const ADDRESSES: usize = 4;
    let server = Child::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    let (memory, sockets) = (server.resident_bytes_high(), server.sockets());
    let mut watcher = server.slash("watcher");
    let (made, surplus) = bystanders.talk_while(|| {
        // From so many that no ports run out.
        let each = ROOMS_MAX / ADDRESSES;
        let made = thread::scope(|scope| {
            let server = &server;
            let create = |index| create(server, [127, 0, 1, index as u8], index * each..(index + 1) * each);
            let creating: Vec<_> = (0..ADDRESSES).map(|index| scope.spawn(move || create(index))).collect();
            creating.into_iter().flat_map(|one| one.join().expect("each was answered")).collect::<Vec<_>>()
        });
        (made, create(&server, [127, 0, 2, 1], ROOMS_MAX..ROOMS_MAX + MORE))
    });
    // The lobby is one.
    let made: Vec<_> = made.into_iter().filter_map(Result::ok).collect();
    assert_eq!(made.len(), ROOMS_MAX - 1);
    assert!(surplus.iter().all(|refused| refused.as_ref().err() == Some(&Refusal::Full)));
    watcher.send("/join another\n");
    watcher.line_where(|line| line == "ERROR: Too many rooms");
    watcher.send("/join room0\n");
    watcher.line_where(|line| line == "You joined #room0");
    watcher.send("/leave\n");
    watcher.line_where(|line| line == "You returned to #lobby");
    server.expect_memory(memory, ROOMS_MAX as u64 * ROOM_BYTES_MAX);

    bystanders.talk_while(|| {
        let mut pace = server.connect(Dialect::Line);
        for some in made.chunks(50) {
            for Made { room, from, token } in some {
                Seat::with(&server, *from, room, token).leave();
            }
            // The kernel keeps so many datagrams until they are read.
            pace.send("PING\n");
            pace.expect("PONG\n");
        }
    });
    bystanders.talk_until(|| listed(&mut watcher).is_empty());
    assert!(create(&server, [127, 0, 1, 0], 0..1)[0].is_ok(), "the names are free again");
    watcher.finish();
    watcher.rest();
    drop(watcher);
    bystanders.talk_until(|| server.is_back_to(&sockets));
    bystanders.leave();
    // With the lobby there is one less to be made.
    server.stop().expect_closed(&[(CloseReason::LoginRefused, MORE as u64 + 1)]);
}

#[test]
fn a_few_addresses_fill_no_more_than_nine_tenths_of_the_rooms_and_another_makes_its_own() {
    const GREEDY: [[u8; 4]; 3] = [[127, 7, 0, 1], [127, 7, 0, 2], [127, 7, 0, 3]];
    /// So that each person's rooms are of one address.
    const EACH: usize = 78 * SEATS_OF_NAME_MAX;
    let no_limits =
        ["--address-rooms", "0", "--address-clients", "0", "--address-connects", "0", "--session-rooms", "0"];
    let server = Child::start(&[&NOBODY_EXEMPT[..], &no_limits].concat());
    let mut bystanders = Bystanders::paced(&server);
    let sockets = server.sockets();
    let outcomes = bystanders.talk_while(|| {
        thread::scope(|scope| {
            let server = &server;
            let create =
                |index: usize| move || create(server, GREEDY[index], index * EACH..(index + 1) * EACH);
            let creating: Vec<_> = (0..GREEDY.len()).map(|index| scope.spawn(create(index))).collect();
            creating.into_iter().flat_map(|one| one.join().expect("each was answered")).collect::<Vec<_>>()
        })
    });
    let tries = outcomes.len();
    let made: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    // The lobby is one.
    assert_eq!(made.len(), ROOMS_MAX - ROOMS_MAX / PLACES_KEPT_DIVISOR - 1);
    let mut refusals = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    assert!(refusals.all(|&refusal| refusal == Refusal::Full));
    // Another address makes its part of the kept rooms, and no more.
    let number = GREEDY.len() * EACH;
    let modest = create(&server, [127, 7, 0, 4], number..number + ROOMS_MAX / PLACES_SMALL_DIVISOR + 1);
    let (last, before) = modest.split_last().expect("some");
    assert!(before.iter().all(Result::is_ok));
    assert_eq!(last.as_ref().err(), Some(&Refusal::Full));
    // The rest is still kept for other addresses.
    let number = number + EACH;
    assert_eq!(create(&server, GREEDY[0], number..number + 1)[0].as_ref().err(), Some(&Refusal::Full));
    bystanders.talk_until(|| server.is_back_to(&sockets));
    bystanders.leave();
    let counts = server.stop();
    let refused = (tries - made.len() + 2) as u64;
    assert_eq!((counts.of("rooms_refused"), counts.of("shares_refused")), (refused, refused));
    counts.expect_closed(&[(CloseReason::LoginRefused, refused)]);
}

#[test]
fn from_one_address_no_more_rooms_are_made_than_it_may() {
    const TRIES: usize = 2000;
    const ALLOWED: usize = 10;
    let limits = ["--address-rooms", "10", "--address-connects", "0"];
    let server = Child::start(&[&NOBODY_EXEMPT[..], &limits].concat());
    let mut bystanders = Bystanders::paced(&server);
    let (memory, sockets) = (server.resident_bytes_high(), server.sockets());
    // Each by somebody else.
    let make = |address, number| {
        let number = number * SEATS_OF_NAME_MAX;
        create(&server, [127, 0, 0, address], number..number + 1)
    };
    let outcomes =
        bystanders.talk_while(|| (0..TRIES).flat_map(|number| make(2, number)).collect::<Vec<_>>());
    assert!(outcomes[..ALLOWED].iter().all(Result::is_ok));
    assert!(outcomes[ALLOWED..].iter().all(|outcome| outcome.as_ref().err() == Some(&Refusal::TooMany)));
    // From elsewhere one more can be made.
    assert!(make(3, TRIES)[0].is_ok());
    bystanders.talk_until(|| server.is_back_to(&sockets));
    server.expect_memory(memory, ALLOWED as u64 * ROOM_BYTES_MAX);
    bystanders.leave();
    let counts = server.stop();
    assert_eq!(counts.of("rooms_refused"), (TRIES - ALLOWED) as u64);
    counts.expect_closed(&[(CloseReason::LoginRefused, (TRIES - ALLOWED) as u64)]);
}

#[test]
fn of_ten_thousand_joins_and_leaves_each_is_told_and_none_in_another_room() {
    const HOPPERS: usize = 10;
    const EACH: usize = 1000;
    const BATCH: usize = 50;
    let server = Child::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    let (memory, sockets) = (server.resident_bytes_high(), server.sockets());
    let mut watcher = server.slash("watcher");
    watcher.send("/join den\n");
    watcher.line_where(|line| line == "You joined #den");
    bystanders.talk_while(|| {
        thread::scope(|scope| {
            for hopper in 0..HOPPERS {
                let mut peer = server.slash(&format!("hopper{hopper}"));
                scope.spawn(move || {
                    for _ in 0..EACH / BATCH {
                        peer.send("/join den\n/join attic\n".repeat(BATCH));
                        for _ in 0..BATCH {
                            peer.line_where(|line| line == "You joined #den");
                            peer.line_where(|line| line == "You joined #attic");
                        }
                    }
                    peer.finish();
                    peer.rest();
                });
            }
            // Each comes, goes, and comes again, as often as it did.
            let mut comings = [0; HOPPERS];
            for _ in 0..2 * HOPPERS * EACH {
                let line = watcher.long_line();
                let told = line.strip_prefix("*** hopper").and_then(|told| told.split_once(' '));
                let (hopper, what) = told.unwrap_or_else(|| panic!("{line}"));
                let count: &mut usize = &mut comings[hopper.parse::<usize>().expect("a number")];
                assert_eq!(what, ["joined the room", "left the room"][*count % 2]);
                *count += 1;
            }
            assert_eq!(comings, [2 * EACH; HOPPERS]);
        });
    });
    assert_eq!(listed(&mut watcher), ["den"]);
    watcher.finish();
    watcher.rest();
    drop(watcher);
    bystanders.talk_until(|| server.is_back_to(&sockets));
    server.expect_memory(memory, 4 << 20);
    bystanders.leave();
    let counts = server.stop();
    assert_eq!(counts.of("lagged"), 0);
    counts.expect_closed(&[]);
}
