//! How connections end, and the server.

use parlance::chat::{CloseReason, ConnId, ListenerId, Refused};
use parlance::engine::{Engine, Settings};
use parlance::fanout::Close;
use parlance::limits::{OUTBOX_TURN_BYTES_MAX, REFUSED_MAX};
use parlance::wire::Dialect;

use crate::world::{Ended, HERE, World, settings};

#[test]
fn a_full_server_tells_whoever_comes_and_closes_it() {
    let mut world = World::with(Settings { clients_limit: 2, ..settings() });
    let alice = world.line("alice");
    let bob = world.line("bob");
    for (dialect, words) in
        [(Dialect::Line, "ERR server-full\n"), (Dialect::Slash, "Registration failed: Server is full\n")]
    {
        let late = world.connects(dialect);
        world.types(late, "LOGIN late");
        assert_eq!(world.hears(late), words);
        let full = Ended { close: Some(Close::Linger), reason: CloseReason::ServerFull };
        assert_eq!(world.ended(late), Some(full));
    }
    world.vanishes(alice);
    let carol = world.slash("carol");
    assert_eq!(world.hears(bob), "INFO alice disconnected\n");
    assert_eq!(world.ended(carol), None);
}

#[test]
fn beyond_a_full_server_only_so_many_wait_to_be_told() {
    let mut world = World::with(Settings { clients_limit: 1, ..settings() });
    let alice = world.line("alice");
    let waiting: Vec<_> = (0..REFUSED_MAX).map(|_| world.connects(Dialect::Line)).collect();
    let refused = world.engine.connected(Dialect::Line, HERE, ListenerId(0), world.now);
    assert_eq!(refused, Err(Refused::ServerFull));
    let mut words = Vec::new();
    Engine::refusal(Dialect::Line, Refused::ServerFull, &mut words);
    assert_eq!(words, b"ERR server-full\n");
    for client in waiting {
        assert_eq!(world.hears(client), "ERR server-full\n");
    }
    assert_eq!(world.ended(alice), None);
    assert_eq!(world.engine.connection_count(), 1);
}

#[test]
fn at_shutdown_everybody_is_told_in_its_dialect_and_closed() {
    let mut world = World::new();
    let (alice, carol) = (world.line("alice"), world.slash("carol"));
    let (unnamed_line, unnamed_slash) = (world.connects(Dialect::Line), world.connects(Dialect::Slash));
    let dave = world.slash("dave");
    world.types(dave, "/join games");
    for client in [alice, carol, dave, unnamed_slash] {
        world.hears(client);
    }
    world.engine.shutdown(world.now);
    let refused = world.engine.connected(Dialect::Line, HERE, ListenerId(0), world.now);
    assert_eq!(refused, Err(Refused::ServerFull));
    for (client, words) in [
        (alice, "INFO server shutting down\n"),
        (unnamed_line, "INFO server shutting down\n"),
        (carol, "*** server shutting down\n"),
        (unnamed_slash, "*** server shutting down\n"),
        (dave, "*** server shutting down\n"),
    ] {
        assert_eq!(world.hears(client), words);
        let shutdown = Ended { close: Some(Close::Linger), reason: CloseReason::Shutdown };
        assert_eq!(world.ended(client), Some(shutdown));
    }
    assert_eq!(world.engine.connection_count(), 0);
}

#[test]
fn at_shutdown_who_breaks_off_keeps_nobody_from_the_notice() {
    for visits in 0..10 {
        let mut world = World::new();
        let mut clients: Vec<_> = (0..10).map(|index| world.line(&format!("reader{index}"))).collect();
        world.engine.shutdown(world.now);
        let visited: Vec<_> = (0..visits).filter_map(|_| world.visit()).collect();
        let broken = visited.last().copied().unwrap_or(clients[0]);
        world.vanishes(broken);
        clients.retain(|&client| client != broken);
        for client in clients {
            assert_eq!(world.hears(client), "INFO server shutting down\n", "after {visits} visits");
        }
    }
}

#[test]
fn at_shutdown_who_does_not_read_is_dropped_when_the_time_to_drain_is_over() {
    let mut world = World::new();
    let slow = world.line("slow");
    world.reads_only(slow, 4);
    world.engine.shutdown(world.now);
    world.seconds_pass(4);
    assert_eq!(world.hears(slow), "INFO");
    assert_eq!(world.ended(slow), None);
    world.seconds_pass(2);
    world.settles();
    assert_eq!(world.ended(slow), Some(Ended { close: Some(Close::Now), reason: CloseReason::Shutdown }));
}

#[test]
fn who_quits_and_does_not_read_is_dropped_after_two_seconds() {
    let mut world = World::new();
    let carol = world.slash("carol");
    world.reads_only(carol, 3);
    world.types(carol, "/quit");
    world.seconds_pass(1);
    assert_eq!(world.hears(carol), "Goo");
    assert_eq!(world.ended(carol), None);
    world.seconds_pass(2);
    world.settles();
    assert_eq!(world.ended(carol), Some(Ended { close: Some(Close::Now), reason: CloseReason::Quit }));
}

#[test]
fn an_id_of_a_connection_that_is_gone_is_counted_and_ignored() {
    let mut world = World::new();
    world.is_spread = false;
    let bob = world.line("bob");
    let gone = world.line("gone");
    let stale = world.id(gone);
    world.vanishes(gone);
    let carol = world.slash("carol");
    assert_eq!(world.id(carol).slot, stale.slot, "somebody else has the slot");
    world.hears(bob);
    let nobody = ConnId { slot: 999, generation: 0 };
    let before = world.metrics().clone();
    for id in [stale, nobody] {
        let now = world.now;
        world.engine.received(id, b"/quit\n", now);
        world.engine.fanout_mut().writable(id);
        world.engine.fanout_mut().wrote(id, 0, 10);
        world.engine.peer_closed(id, now);
        world.engine.disconnected(id, CloseReason::PeerReset, now);
        assert!(!world.wants_input(id));
        world.check();
    }
    assert_eq!(world.metrics().stale_ids, before.stale_ids + 10);
    assert_eq!(world.metrics().closed, before.closed);
    assert_eq!(world.hears(bob), "");
    world.types(carol, "still here");
    assert_eq!(world.hears(bob), "MSG carol still here\n");
}

#[test]
fn each_end_is_counted_under_its_reason() {
    let mut world = World::new();
    let (alice, bob, carol) = (world.line("alice"), world.line("bob"), world.slash("carol"));
    world.vanishes(alice);
    world.closes_its_side(bob);
    world.types(carol, "/quit");
    world.settles();
    for (client, reason) in
        [(alice, CloseReason::PeerReset), (bob, CloseReason::PeerClosed), (carol, CloseReason::Quit)]
    {
        assert_eq!(world.ended(client).map(|ended| ended.reason), Some(reason));
        assert_eq!(world.metrics().closed_for(reason), 1);
    }
    assert_eq!(world.metrics().closed.iter().sum::<u64>(), world.metrics().opened);
}

#[test]
fn empty_rooms_vanish_and_the_lobby_stays() {
    let mut world = World::new();
    let (carol, dave) = (world.slash("carol"), world.slash("dave"));
    world.hears(carol);
    world.types(carol, "/join games");
    world.types(dave, "/join games");
    world.types(carol, "remember");
    world.types(dave, "/rooms");
    let heard = world.hears(dave);
    assert!(heard.ends_with("Available rooms:\n  #lobby (0 users)\n  #games (2 users)\n"), "{heard}");
    world.types(carol, "/leave");
    world.types(dave, "/join other");
    world.types(dave, "/rooms");
    let heard = world.hears(dave);
    assert!(heard.ends_with("#lobby (1 users)\n  #other (1 users)\n"), "{heard}");
    world.types(dave, "/join games");
    world.hears(dave);
    world.types(dave, "/history");
    assert_eq!(world.hears(dave), "", "another room of that name");
    world.vanishes(dave);
    world.hears(carol);
    world.types(carol, "/rooms");
    assert_eq!(world.hears(carol), "Available rooms:\n  #lobby (1 users)\n");
}

/// Each is owed that those before it left: as much in all as the square of how many do.
#[test]
fn when_a_whole_room_leaves_at_once_the_turn_is_full_before_all_have_and_each_hears_of_those_before() {
    const PEOPLE: usize = 400;
    let mut world = World::new();
    world.is_spread = false;
    world.checks = false;
    let people: Vec<_> = (0..PEOPLE).map(|index| world.slash(&format!("user{index}"))).collect();
    for &person in &people {
        world.hears(person);
    }
    let mut left = 0;
    while left < PEOPLE {
        let before = left;
        while left < PEOPLE && world.engine.turn_bytes() < OUTBOX_TURN_BYTES_MAX {
            world.closes_its_side(people[left]);
            left += 1;
        }
        assert!(left < PEOPLE || before > 0, "they have to wait for the next turn");
        world.turn();
        assert!(world.engine.turn_bytes() < OUTBOX_TURN_BYTES_MAX);
    }
    world.settles();
    for (index, &person) in people.iter().enumerate() {
        let heard = world.took(person);
        assert_eq!(heard.lines().filter(|line| line.ends_with(" left the room")).count(), index, "{heard}");
    }
    assert_eq!(world.held_bytes(), 0);
}
