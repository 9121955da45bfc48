//! Nobody waits for others for longer than a bound.

use parlance::engine::Settings;
use parlance::limits::{LOG_BACKLOG_DIVISOR, LOG_BYTES_LIMIT_MIN, ROOM_VISITS_MAX};
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
fn each_round_begins_with_the_next_member_so_that_nobody_is_always_the_last() {
    let mut world = World::new();
    // Each shard has rounds of its own.
    world.is_spread = false;
    let slash = |world: &mut World, index| world.slash(&format!("member{index}"));
    let members: Vec<_> = (0..7).map(|index| slash(&mut world, index)).collect();
    world.settles();
    let round = |world: &mut World| {
        world.types(members[0], "hi");
        let round: Vec<_> = std::iter::from_fn(|| world.visit()).collect();
        world.turn();
        round
    };
    let first = round(&mut world)[0];
    let began = members.iter().position(|&member| member == first).expect("one of them");
    for turn in 1..100 {
        let visited = round(&mut world);
        let expected = members.iter().cycle().skip((began + turn) % members.len()).take(members.len());
        assert!(visited.iter().eq(expected), "round {turn}: {visited:?}");
    }
}

#[test]
fn who_is_visited_in_rounds_that_turns_interrupt_is_visited_as_often_as_the_others() {
    const MEMBERS: usize = 50;
    let mut world = World::new();
    // Each shard has rounds of its own.
    world.is_spread = false;
    let members = crowd(&mut world, MEMBERS);
    let (author, others) = (members[0], &members[1..]);
    let mut visits = vec![0; others.len()];
    for turn in 0..1000 {
        // Each turn has something new for everybody, and is over before everybody was visited.
        world.types(author, "MSG hi");
        for _ in 0..8 {
            let visited = world.visit().expect("somebody is behind");
            visits[others.iter().position(|&other| other == visited).expect("not the author")] += 1;
        }
        world.turn_of(0);
        let (least, most) = (visits.iter().min(), visits.iter().max());
        assert!(most <= least.map(|least| least + 1).as_ref(), "turn {turn}: {visits:?}");
    }
}

#[test]
fn a_small_room_hears_its_message_before_the_round_of_a_giant_one_is_over() {
    let mut world = World::new();
    // Each shard has rounds of its own.
    world.is_spread = false;
    let (carol, dave) = (world.slash("carol"), world.slash("dave"));
    world.types(carol, "/join games");
    world.types(dave, "/join games");
    let crowd = crowd(&mut world, 20 * ROOM_VISITS_MAX);
    world.hears(dave);
    for slice in 0..10 {
        // The giant room is in the middle of its round when something is said in the small one, and all ask for something.
        world.types(crowd[0], "MSG hi");
        for _ in 0..slice * ROOM_VISITS_MAX / 3 {
            world.visit();
        }
        for &client in &crowd {
            world.types(client, "PING");
        }
        world.types(carol, "hi");
        let mut writes = 0;
        while world.took(dave).is_empty() {
            assert!(world.visit().is_some());
            writes += 1;
        }
        // A slice of the giant room, the other one of the small room, and an answer with each.
        assert!(writes <= 2 * (ROOM_VISITS_MAX + 2), "{writes} others came first");
        world.settles();
        for client in [carol, dave] {
            world.took(client);
        }
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

#[test]
fn those_who_wait_for_a_room_to_be_read_speak_one_after_the_other() {
    const SPEAKERS: usize = 8;
    const TEXT: usize = 200;
    let mut world = World::with(Settings { log_bytes_limit: LOG_BYTES_LIMIT_MIN, ..Settings::default() });
    world.is_spread = false;
    let reader = world.line("reader");
    let speakers = crowd(&mut world, SPEAKERS);
    world.took(reader);
    // Of each far more than the room may be behind: of what waits, a turn takes what one has.
    for (index, &speaker) in speakers.iter().enumerate() {
        let line = format!("MSG {index} {}\n", "x".repeat(TEXT));
        world.sends(speaker, line.repeat(1000).as_bytes());
    }
    let share = LOG_BYTES_LIMIT_MIN / LOG_BACKLOG_DIVISOR / TEXT;
    let mut heard = [0; SPEAKERS];
    for _ in 0..4 * SPEAKERS {
        world.turn();
        for line in world.took(reader).lines() {
            let index = line.split(' ').nth(2).and_then(|index| index.parse::<usize>().ok());
            heard[index.expect("a speaker's")] += 1;
        }
        let (least, most) = (heard.iter().min(), heard.iter().max());
        assert!(least.zip(most).is_some_and(|(least, most)| most - least <= 2 * share), "{heard:?}");
    }
    assert!(heard.iter().all(|&count| (1..1000).contains(&count)), "{heard:?}");
}
