//! What many peers do together is bounded as well: what they leave behind, what they fall behind by, what they wait for.

use parlance::chat::CloseReason;
use parlance::engine::Settings;
use parlance::limits::{INBOX_SPARE_BYTES_MAX, LINE_BYTES_MAX, LOG_BYTES_LIMIT_MIN, OWED_BYTES_BLOCKED_MAX};

use crate::world::{Client, World, settings};

/// Blocks beside the one that does not fit, unfinished lines and the like.
const SLACK: usize = 64 << 10;

fn blocked_members(world: &mut World, count: usize) -> Vec<Client> {
    let members: Vec<_> = (0..count).map(|index| world.line(&format!("member{index}"))).collect();
    for &member in &members {
        world.reads_only(member, 5);
    }
    members
}

#[test]
fn many_who_leave_while_far_behind_take_little_along() {
    const MEMBERS: usize = 200;
    let mut world = World::with(Settings { log_bytes_limit: 1 << 20, ..settings() });
    world.checks = false;
    let members = blocked_members(&mut world, MEMBERS);
    let alice = world.line("alice");
    let text = "x".repeat(1000);
    for _ in 0..900 {
        world.types(alice, &format!("MSG {text}"));
        world.turn();
    }
    let before = world.held_bytes();
    assert!(before >= 900 * 1000, "they are far behind");
    for &member in &members {
        world.closes_its_side(member);
    }
    // They learn of each other's leaving as well, until each has left.
    let after = world.held_bytes();
    assert!(after < before + MEMBERS * OWED_BYTES_BLOCKED_MAX / 4, "{before} became {after}");
    world.check();
    for &member in &members {
        world.reads_everything(member);
    }
    world.settles();
    for &member in &members {
        let heard = world.took(member);
        // A part of the first frame was sent: the rest of it, and then how many were missed.
        let (first, rest) = heard.split_once('\n').expect("a line");
        assert_eq!(first, format!("MSG alice {text}"));
        assert!(
            rest.starts_with("INFO 899 messages missed\n") || rest.contains(" messages missed\n"),
            "{rest}"
        );
        assert_eq!(world.ended(member).expect("it is closed").reason, CloseReason::PeerClosed);
    }
    assert!(world.held_bytes() <= SLACK);
}

#[test]
fn who_vanishes_while_far_behind_leaves_nothing() {
    let mut world = World::with(Settings { log_bytes_limit: 1 << 20, ..settings() });
    world.checks = false;
    let members = blocked_members(&mut world, 50);
    let alice = world.line("alice");
    let text = "x".repeat(1000);
    for _ in 0..900 {
        world.types(alice, &format!("MSG {text}"));
        world.turn();
    }
    for member in members {
        world.vanishes(member);
    }
    world.settles();
    assert!(world.held_bytes() <= SLACK);
    world.check();
}

#[test]
fn many_small_rooms_share_one_bound_on_their_logs() {
    // Each room's own bound would allow twice as much as the shared one.
    let (log_bytes_limit, log_total_bytes_limit) = (1 << 20, 8 << 20);
    let rooms = 2 * log_total_bytes_limit / log_bytes_limit;
    let mut world = World::with(Settings { log_bytes_limit, log_total_bytes_limit, ..settings() });
    world.checks = false;
    let text = "x".repeat(LINE_BYTES_MAX - 10);
    let batch = format!("{text}\n").repeat(16);
    for room in 0..rooms {
        let reader = world.slash(&format!("reader{room}"));
        let talker = world.slash(&format!("talker{room}"));
        for member in [reader, talker] {
            world.types(member, &format!("/join room{room}"));
            world.settles();
        }
        world.reads_only(reader, 0);
        for _ in 0..log_bytes_limit / batch.len() {
            world.sends(talker, batch.as_bytes());
            world.settles();
            world.took_bytes(talker);
        }
    }
    let held = world.held_bytes();
    assert!(held >= log_total_bytes_limit / 2, "{held}: the test fills it");
    assert!(held <= log_total_bytes_limit + rooms * LOG_BYTES_LIMIT_MIN + SLACK, "{held}");
    assert!(world.metrics().lagged > 0);
    world.check();
}

#[test]
fn what_many_small_frames_need_beside_their_bytes_is_counted() {
    let mut world = World::new();
    world.checks = false;
    let slow = world.line("slow");
    let alice = world.line("a");
    world.reads_only(slow, 0);
    for _ in 0..200 {
        world.sends(alice, "MSG b\n".repeat(100).as_bytes());
        world.turn();
        assert!(world.held_bytes() <= LOG_BYTES_LIMIT_MIN + SLACK);
    }
    world.check();
    world.reads_everything(slow);
    let heard = world.hears(slow);
    let got = heard.lines().filter(|line| *line == "MSG a b").count();
    let missed: usize = heard
        .lines()
        .filter_map(|line| {
            line.strip_prefix("INFO ")?.strip_suffix(" messages missed")?.parse::<usize>().ok()
        })
        .sum();
    assert!(missed > 0);
    assert_eq!(got + missed, 200 * 100);
}

#[test]
fn a_room_full_of_those_who_lag_is_told_exact_counts() {
    const MEMBERS: usize = 300;
    const MESSAGES: usize = 20_000;
    let mut world = World::new();
    world.checks = false;
    let members = blocked_members(&mut world, MEMBERS);
    let alice = world.line("alice");
    // Some have spoken themselves, and are not told of their own messages.
    for (index, &member) in members.iter().enumerate() {
        for _ in 0..index % 3 {
            world.types(member, "MSG mine");
        }
    }
    world.turn();
    for _ in 0..MESSAGES / 100 {
        world.sends(alice, "MSG b\n".repeat(100).as_bytes());
        world.turn();
    }
    let spoken: usize = (0..MEMBERS).map(|index| index % 3).sum();
    world.check();
    for (index, &member) in members.iter().enumerate() {
        world.reads_everything(member);
        let heard = world.hears(member);
        let got = heard.lines().filter(|line| line.starts_with("MSG ")).count();
        let missed: usize = heard
            .lines()
            .filter_map(|line| {
                line.strip_prefix("INFO ")?.strip_suffix(" messages missed")?.parse::<usize>().ok()
            })
            .sum();
        assert_eq!(got + missed, MESSAGES + spoken - index % 3, "member {index}");
    }
}

#[test]
fn an_inbox_gives_back_what_it_does_not_need() {
    const CLIENTS: usize = 100;
    let mut world = World::new();
    world.checks = false;
    for index in 0..CLIENTS {
        let client = world.line(&format!("client{index}"));
        // A line in two parts, with a great many empty ones behind it, and the start of another.
        world.sends(client, b"P");
        world.sends(client, format!("ING{}P", "\n".repeat(15_000)).as_bytes());
        assert_eq!(world.hears(client), "PONG\n");
    }
    assert!(world.held_bytes() <= CLIENTS * INBOX_SPARE_BYTES_MAX);
}

#[test]
fn publishers_that_wait_together_all_go_on() {
    const PUBLISHERS: usize = 100;
    const MESSAGES: usize = 200;
    let mut world = World::new();
    world.checks = false;
    let publishers: Vec<_> = (0..PUBLISHERS).map(|index| world.slash(&format!("talker{index}"))).collect();
    let reader = world.line("reader");
    for &publisher in &publishers {
        world.sends(publisher, "a text of some length\n".repeat(MESSAGES).as_bytes());
    }
    let mut turns = 0;
    while world.has_work() {
        world.turn_of(64);
        turns += 1;
        assert!(turns < 100_000, "it comes to rest");
    }
    world.check();
    assert_eq!(world.took(reader).lines().count(), PUBLISHERS * MESSAGES);
    assert_eq!(world.metrics().missed, 0);
}

#[test]
fn rooms_that_come_and_go_in_one_turn_leave_the_others_their_messages() {
    let mut world = World::new();
    let alice = world.slash("alice");
    let bob = world.slash("bob");
    world.types(bob, "/join den");
    world.hears(alice);
    world.hears(bob);
    // Rooms are made, spoken in, left and made again in the same slots before anything is flushed.
    world.sends(alice, "/join one\nhi\n/join two\nhi\n/join three\nhi\n/join den\nhere\n".as_bytes());
    let heard = world.hears(bob);
    assert!(heard.ends_with("alice: here\n"), "{heard}");
    assert!(heard.starts_with("*** alice joined the room\n"), "{heard}");
    let heard = world.hears(alice);
    assert_eq!(heard.matches("alice: hi\n").count(), 3, "{heard}");
    world.types(alice, "/rooms");
    assert_eq!(world.hears(alice), "Available rooms:\n  #lobby (0 users)\n  #den (2 users)\n");
}

#[test]
fn whatever_a_turns_budget_what_everybody_has_read_is_given_back() {
    for budget in 1..8 {
        let mut world = World::new();
        let members: Vec<_> = (0..5).map(|index| world.line(&format!("member{index}"))).collect();
        for round in 0..20 {
            // Some are visited for their answers, and read the room on that occasion.
            world.types(members[round % 5], "MSG hi");
            world.types(members[(round * 3 + 1) % 5], "PING");
            while world.has_work() {
                world.turn_of(budget);
            }
            assert_eq!(world.held_bytes(), 0, "budget {budget}, round {round}");
        }
    }
}
