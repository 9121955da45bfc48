//! Nobody waits for others for longer than a bound.

use parlance::limits::ROOM_VISITS_MAX;
use parlance::wire::Dialect;

use crate::world::{Client, World};

/// So many line users in the lobby, logged in at once.
fn crowd(world: &mut World, count: usize) -> Vec<Client> {
    world.checks = false;
    let crowd: Vec<_> = (0..count)
        .map(|index| {
            let client = world.connects(Dialect::Line);
            world.types(client, &format!("LOGIN crowd{index}"));
            client
        })
        .collect();
    world.settles();
    for &client in &crowd {
        assert_eq!(world.took(client), "OK\n");
    }
    world.check();
    crowd
}

#[test]
fn of_two_rooms_neither_waits_for_more_than_its_bound_of_visits_to_the_other() {
    let mut world = World::new();
    let (carol, dave) = (world.slash("carol"), world.slash("dave"));
    world.types(carol, "/join games");
    world.types(dave, "/join games");
    let crowd = crowd(&mut world, 3 * ROOM_VISITS_MAX);
    for big_room_first in [true, false] {
        let mut lines = [(crowd[0], "MSG hi"), (carol, "hi")];
        if !big_room_first {
            lines.reverse();
        }
        for (client, line) in lines {
            world.types(client, line);
        }
        let visited: Vec<_> = std::iter::from_fn(|| world.visit()).collect();
        let first = visited.iter().position(|&client| client == carol || client == dave);
        assert!(first.is_some_and(|first| first <= ROOM_VISITS_MAX), "{first:?}");
        assert_eq!(
            visited.len(),
            2 + crowd.len() - 1,
            "everybody once, but for the author in its own dialect"
        );
        world.turn();
    }
}

#[test]
fn in_a_crowded_room_the_other_dialect_is_not_kept_waiting() {
    for crowd_comes_first in [false, true] {
        let mut world = World::new();
        let carol = if crowd_comes_first { None } else { Some(world.slash("carol")) };
        let crowd = crowd(&mut world, 3 * ROOM_VISITS_MAX);
        let carol = carol.unwrap_or_else(|| world.slash("carol"));
        world.hears(carol);
        // Each turn begins with something to be said, and is over before everybody has been visited.
        for (number, &client) in crowd.iter().enumerate().take(20) {
            world.types(client, &format!("MSG {number}"));
            world.turn_of(ROOM_VISITS_MAX);
            assert_eq!(world.took(carol), format!("[12:34:56] crowd{number}: {number}\n"));
        }
    }
}

#[test]
fn a_room_is_not_kept_waiting_by_those_who_ask() {
    let mut world = World::new();
    let crowd = crowd(&mut world, 3 * ROOM_VISITS_MAX);
    let (alice, bob) = (world.line("alice"), world.line("bob"));
    for number in 0..20 {
        for &client in &crowd {
            world.types(client, "PING");
        }
        world.types(alice, &format!("MSG {number}"));
        world.turn_of(ROOM_VISITS_MAX);
    }
    assert!(!world.took(bob).is_empty(), "it hears something in twenty turns");
}

#[test]
fn who_asks_is_not_kept_waiting_by_a_crowded_room() {
    let mut world = World::new();
    let crowd = crowd(&mut world, 3 * ROOM_VISITS_MAX);
    let alice = world.line("alice");
    for &client in &crowd[..20] {
        world.types(client, "MSG hi");
        world.types(alice, "PING");
        world.turn_of(ROOM_VISITS_MAX);
        assert!(world.took(alice).ends_with("PONG\n"));
    }
}
