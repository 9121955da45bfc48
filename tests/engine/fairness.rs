//! Nobody waits for others for longer than a bound.

use std::net::{IpAddr, Ipv4Addr};

use parlance::engine::Settings;
use parlance::limits::{
    ANSWER_PIECE_BYTES, ANSWERS_TURN_BYTES_MAX, LOG_BACKLOG_DIVISOR, LOG_BYTES_LIMIT_MIN,
    OUTBOX_TURN_BYTES_MAX, ROOM_VISITS_MAX,
};
use parlance::wire::Dialect;
use parlance::wire::typed::Request;

use crate::answers::{logs_in, name, world_with_accounts};
use crate::world::{Client, HERE, World, settings};

/// A network whose sessions ask for much.
const GREEDY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Another one.
const MODEST: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

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

/// Sessions of one network, each in a mailbox of its own.
fn greedy(world: &mut World, count: usize) -> Vec<Client> {
    (0..count).map(|index| logs_in(world, GREEDY, &name(index))).collect()
}

#[test]
fn a_short_answer_does_not_wait_for_long_ones() {
    const ACCOUNTS: usize = 20_000;
    let mut world = world_with_accounts(ACCOUNTS, |settings| settings.exempt.clear());
    let bob = world.connects_from(MODEST, Dialect::Line);
    world.types(bob, "LOGIN bob");
    assert_eq!(world.hears(bob), "OK\n");
    let greedy = greedy(&mut world, 50);
    for turn in 0..20 {
        // Far more than a turn may make.
        for &client in &greedy {
            world.asks(client, &Request::ListUsers);
        }
        world.types(bob, "PING");
        world.types(bob, "DM bob to myself");
        world.turn();
        let heard = world.took(bob);
        assert!(heard.starts_with("PONG\n") && heard.contains("to myself"), "turn {turn}: {heard:?}");
        let others: usize = greedy.iter().map(|&client| world.took_bytes(client).len()).sum();
        // The rest of the previous turn, and the work of this one.
        assert!(others <= 2 * (ANSWERS_TURN_BYTES_MAX + ANSWER_PIECE_BYTES), "turn {turn}: {others} bytes");
        assert!(turn < 2 || others > 0, "the long answers go on");
    }
}

#[test]
fn a_long_answer_waits_for_one_piece_of_each_other_network_at_most() {
    const ACCOUNTS: usize = 20_000;
    let mut world = world_with_accounts(ACCOUNTS, |settings| settings.exempt.clear());
    let bob = logs_in(&mut world, MODEST, &name(ACCOUNTS - 1));
    let greedy = greedy(&mut world, 50);
    let asks = |world: &mut World| {
        for &client in &greedy {
            world.asks(client, &Request::ListUsers);
            world.took_bytes(client);
        }
    };
    for _ in 0..10 {
        asks(&mut world);
        world.turn();
    }
    world.took_bytes(bob);
    world.asks(bob, &Request::ListUsers);
    let expected = 12 + 5 + ACCOUNTS * (5 + 9 + 9);
    let (mut got, mut turns) = (0, 0);
    while got < expected {
        asks(&mut world);
        world.turn();
        got += world.took_bytes(bob).len();
        turns += 1;
        assert!(turns < 1000, "{got} bytes of {expected}");
    }
    assert_eq!(got, expected);
    // In rounds of sessions, each of its pieces would wait for 50 others, a dozen turns. One on another shard
    // waits a turn to hear that a piece was read.
    let pieces = expected.div_ceil(ANSWER_PIECE_BYTES);
    assert!(turns <= 3 * pieces + 3, "{turns} turns for {pieces} pieces");
}

#[test]
fn a_session_waits_for_one_other_of_each_network_whatever_their_number() {
    let mut world = World::with(Settings { exempt: Vec::new(), session_messages_limit: 0, ..settings() });
    world.checks = false;
    let slash = |world: &mut World, from, name: &str| {
        let client = world.connects_from(from, Dialect::Slash);
        world.types(client, name);
        world.hears(client);
        client
    };
    let bob = slash(&mut world, MODEST, "bob");
    let greedy: Vec<_> = (0..50).map(|index| slash(&mut world, GREEDY, &format!("greedy{index}"))).collect();
    for &client in greedy.iter().chain([&bob]) {
        world.hears(client);
    }
    // Their answers take what a turn may have many times over.
    for &client in &greedy {
        world.sends(client, "/help\n".repeat(2000).as_bytes());
    }
    assert!(world.engine.turn_bytes() >= OUTBOX_TURN_BYTES_MAX);
    world.types(bob, "/nick robert");
    let mut turns = 0;
    while !world.took(bob).contains("robert") {
        world.turn();
        turns += 1;
        assert!(turns <= 3, "it waits for a turn of the other network, not for all its sessions");
    }
}

#[test]
fn all_sessions_of_a_network_have_their_turn() {
    const ACCOUNTS: usize = 5000;
    let mut world = world_with_accounts(ACCOUNTS, |settings| settings.exempt.clear());
    let greedy = greedy(&mut world, 20);
    for &client in &greedy {
        world.asks(client, &Request::ListUsers);
    }
    world.settles();
    for &client in &greedy {
        assert_eq!(world.took_bytes(client).len(), 12 + 5 + ACCOUNTS * (5 + 9 + 9));
    }
    let dave = world.connects_from(HERE, Dialect::Line);
    world.types(dave, "LOGIN dave");
    assert_eq!(world.hears(dave), "OK\n");
}
