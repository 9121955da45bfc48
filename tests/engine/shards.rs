//! What is peculiar to an engine with other shards.

use std::net::SocketAddr;

use parlance::engine::Settings;
use parlance::limits::{LINK_BYTES_MAX, LOG_BACKLOG_DIVISOR, LOG_BYTES_LIMIT_MIN, OUTBOX_BYTES_HIGH};
use parlance::wire::ucrp::Message;

use crate::world::{ELSEWHERE, World, settings};

#[test]
fn who_waits_for_a_shard_that_is_behind_with_its_orders_goes_on_when_it_is_not() {
    let mut world = World::with(Settings { shards: 2, ..settings() });
    let alice = world.line("alice");
    world.engine.note_on_its_way(1, LINK_BYTES_MAX);
    world.types(alice, "PING");
    world.settles();
    assert!(!world.listens_to(alice) && !world.has_work(), "it waits, and the loop sleeps");
    assert!(world.engine.waits_for_links(), "but not for ever");
    // No report comes: nothing of what was ordered need be reported.
    world.engine.note_on_its_way(1, LINK_BYTES_MAX - 1);
    assert_eq!(world.hears(alice), "PONG\n");
    assert!(world.listens_to(alice));
}

#[test]
fn seats_are_on_the_shards_of_their_handshakes_and_are_heard_wherever_their_datagrams_come() {
    const SHARDS: usize = 3;
    let mut world = World::with(Settings { shards: SHARDS, ..settings() });
    let host = world.host("den", "host", 1000);
    let ports = 1001..1000 + 2 * SHARDS as u16;
    let guests: Vec<_> =
        ports.map(|port| (port, world.guest("den", &format!("guest{port}"), port))).collect();
    for shard in 0..SHARDS {
        assert_eq!(world.seats_on(shard), 2);
    }
    for (speaker, guest) in &guests {
        world.seat_sends(guest, Message::Chat("hello"));
        for (port, _) in guests.iter().filter(|(port, _)| port != speaker) {
            assert_eq!(world.seat_hears(*port), [format!("guest{speaker}: hello")]);
        }
        assert_eq!(world.seat_hears(*speaker), [""; 0]);
    }
    // A place that one has left is another's, who is not taken for it.
    let (left, guest) = &guests[1];
    world.seat_sends(guest, Message::Leave);
    world.settles();
    let late = [(2001, "late1"), (2002, "late2"), (2003, "late3")];
    let late: Vec<_> = late.map(|(port, name)| world.guest("den", name, port)).into();
    assert_eq!((0..SHARDS).map(|shard| world.seats_on(shard)).sum::<usize>(), 2 * SHARDS + 2);
    world.datagrams.clear();
    world.seat_sends(&late[0], Message::Chat("hi"));
    assert_eq!(world.seat_hears(*left), [""; 0]);
    assert_eq!(world.seat_hears(2002), ["late1: hi"]);
    assert_eq!(world.seat_hears(2003), ["late1: hi"]);
    // With the host all are gone.
    world.seat_sends(&host, Message::Leave);
    assert_eq!(world.seat_hears(2003), ["closed"]);
    assert!((0..SHARDS).all(|shard| world.seats_on(shard) == 0));
    assert_eq!((world.engine.seat_count(), world.held_bytes()), (0, 0));
}

#[test]
fn a_shard_whose_logs_are_too_large_together_has_publishers_wait_earlier() {
    const LOG: usize = 1 << 20;
    // So little is not divided between the two.
    const TOTAL: usize = 4 << 20;
    let with_little =
        Settings { shards: 2, log_bytes_limit: LOG, log_total_bytes_limit: TOTAL, ..settings() };
    let mut world = World::with(with_little);
    world.checks = false;
    world.is_spread = false;
    let speaker = world.slash("speaker");
    world.is_spread = true;
    // Clients connect to both in turn: the first of these to the other one.
    let mut others = Vec::new();
    for index in 0.. {
        let client = world.slash(&format!("user{index}"));
        if world.id(client).shard() == 1 {
            others.push(client);
        }
        if others.len() == 2 * LOG_BACKLOG_DIVISOR * (TOTAL / LOG + 1) + 1 {
            break;
        }
    }
    let text = "x".repeat(3000);
    // How much the speaker can say in a room before it has to wait for who reads there.
    let said_until_it_waits = |world: &mut World| {
        let mut bytes = 0;
        while world.listens_to(speaker) {
            world.types(speaker, &text);
            bytes += text.len();
        }
        world.settles();
        assert!(world.listens_to(speaker));
        bytes
    };
    let reader = others.pop().expect("there are some");
    for client in [speaker, reader] {
        world.types(client, "/join of-readers");
        world.hears(client);
    }
    let before = said_until_it_waits(&mut world);
    assert!(before >= LOG / LOG_BACKLOG_DIVISOR, "{before}");
    // So much waits for those who have not had their turn that it is short. (Who stood still would give way.)
    let others = others.chunks_exact(2).enumerate().map(|(index, pair)| {
        for &client in pair {
            world.types(client, &format!("/join room{index}"));
            world.hears(client);
        }
        pair[0]
    });
    let others: Vec<_> = others.collect();
    for &client in &others {
        for _ in 0..LOG / LOG_BACKLOG_DIVISOR / text.len() - 2 {
            if world.held_bytes() <= TOTAL {
                world.types(client, &text);
            }
        }
    }
    world.turn_of(0);
    assert!(world.held_bytes() > TOTAL);
    let lagged = world.metrics().lagged;
    let after = said_until_it_waits(&mut world);
    assert!(after <= 2 * LOG_BYTES_LIMIT_MIN / LOG_BACKLOG_DIVISOR, "{after}");
    // When there is space again, it is as before.
    world.settles();
    let again = said_until_it_waits(&mut world);
    assert!(again > before / 2, "{again}");
    assert_eq!(world.metrics().lagged, lagged, "since it is known to be short, nobody falls behind");
}

#[test]
fn a_seat_that_has_been_sent_everything_is_listened_to_at_once() {
    let mut world = World::with(Settings { shards: 2, ..settings() });
    let seats = [world.host("den", "ann", 1), world.guest("den", "bob", 2)];
    let names = ["ann", "bob"];
    let psst = |to: usize, text: &str| format!("/msg {} {text}", names[to]);
    world.takes_datagrams(false);
    let text = "x".repeat(3900);
    for _ in 0..2 * OUTBOX_BYTES_HIGH / text.len() {
        world.seat_sends(&seats[0], Message::Chat(&psst(1, &text)));
    }
    world.settles();
    world.takes_datagrams(true);
    world.settles();
    world.datagrams.clear();
    let before = world.refused("ucrp-people-busy");
    for (from, to) in [(1, 0), (0, 1)] {
        world.seat_sends(&seats[from], Message::Chat(&psst(to, "hi")));
        let heard = world.seat_hears(seats[to].address.port());
        assert_eq!(heard, [format!("{} (private): hi", names[from])]);
    }
    assert_eq!(world.refused("ucrp-people-busy"), before);
}

/// What its shard says of the time before it was heard again may come when the engine knows that it was.
#[test]
fn a_seat_that_was_heard_again_is_told_what_is_said_to_it() {
    let mut world = World::with(Settings { shards: 2, seats_keep_address: false, ..settings() });
    let ann = world.host("den", "ann", 1);
    let bob = world.guest("den", "bob", 2);
    // Its datagrams come in on the engine's shard, and what is sent there goes from the other one.
    let victim = SocketAddr::new(ELSEWHERE, 8);
    world.seat_sends_from(&bob, victim, Message::Register);
    let text = "x".repeat(4000);
    world.settles();
    // It is more than may be sent there.
    world.seat_sends(&ann, Message::Chat(&text));
    world.are_apart = true;
    world.turn();
    world.seat_sends_from(&bob, victim, Message::Register);
    world.are_apart = false;
    world.settles();
    world.datagrams.clear();
    world.seat_sends(&ann, Message::Chat("/msg bob psst"));
    world.settles();
    assert_eq!(world.datagrams.iter().filter(|(to, _)| *to == victim).count(), 1);
}
