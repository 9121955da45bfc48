//! What a peer can make grow is bounded, and what happens at the bound is what `limits.rs` says.

use parlance::chat::CloseReason;
use parlance::engine::Settings;
use parlance::fanout::Close;
use parlance::limits::{
    LINE_BYTES_MAX, LOG_BYTES_LIMIT_MIN, OUTBOX_BYTES_HIGH, OUTBOX_BYTES_MAX, OUTBOX_TOTAL_BYTES_MAX,
};
use parlance::wire::Dialect;

use crate::world::{ELSEWHERE, Ended, World, settings};

/// What one read, one answer and an unfinished line may add to a bound that is looked at before a command.
const SLACK: usize = 64 << 10;

#[test]
fn a_flood_of_direct_messages_closes_only_the_one_who_does_not_read_them() {
    let mut world = World::new();
    let [alice, bob, slow] = ["alice", "bob", "slow"].map(|name| world.line(name));
    let carol = world.slash("carol");
    world.reads_only(slow, 10);
    let psst = "x".repeat(4000);
    for _ in 0..300 {
        world.types(alice, &format!("DM slow {psst}"));
        world.types(alice, &format!("DM bob {psst}"));
        world.turn();
        assert!(world.held_bytes() <= OUTBOX_BYTES_MAX + SLACK);
    }
    let too_slow = Ended { close: Some(Close::Now), reason: CloseReason::TooSlow };
    assert_eq!(world.ended(slow), Some(too_slow));
    let heard = world.hears(bob);
    assert_eq!(heard.matches("DM alice").count(), 300);
    assert!(heard.contains("INFO slow disconnected\n"));
    assert_eq!(world.hears(carol), "*** slow left the room\n");
    assert!(world.hears(alice).starts_with("INFO slow disconnected\nERR user-not-found slow\n"));
    for client in [alice, bob, carol] {
        assert_eq!(world.ended(client), None);
    }
}

#[test]
fn who_asks_without_reading_is_not_read_from_until_it_reads_and_then_nothing_is_lost() {
    let mut world = World::new();
    let bob = world.line("bob");
    world.reads_only(bob, 7);
    let mut expected = String::new();
    for number in 0..10_000 {
        world.types(bob, &format!("DM nobody{number} x"));
        expected.push_str("ERR user-not-found nobody");
        expected.push_str(&number.to_string());
        expected.push('\n');
        if number % 10 == 0 {
            world.types(bob, "WHO");
            expected.push_str("USER bob\n");
            world.turn();
            assert!(world.held_bytes() <= OUTBOX_BYTES_HIGH + SLACK);
        }
    }
    world.settles();
    assert!(!world.listens_to(bob));
    let mut heard = String::new();
    while heard.len() < expected.len() {
        world.reads(bob, 9000);
        let more = world.hears(bob);
        assert!(!more.is_empty(), "it goes on where it reads");
        heard.push_str(&more);
    }
    assert_eq!(heard, expected);
    assert!(world.listens_to(bob));
}

#[test]
fn the_rooms_messages_go_on_for_one_that_is_not_read_from() {
    let mut world = World::new();
    let [alice, bob] = ["alice", "bob"].map(|name| world.line(name));
    world.reads_only(bob, 0);
    for _ in 0..10_000 {
        world.types(bob, "WHO");
    }
    world.types(alice, "MSG hi");
    world.settles();
    world.reads_everything(bob);
    let heard = world.hears(bob);
    assert_eq!(heard.matches("MSG alice hi\n").count(), 1);
    assert_eq!(heard.matches("USER bob\n").count(), 10_000);
}

#[test]
fn a_publisher_faster_than_its_room_is_flushed_waits_and_readers_lose_nothing() {
    for visits in [1, 3, 7] {
        let mut world = World::new();
        let alice = world.line("alice");
        let readers: Vec<_> = (0..20).map(|index| world.line(&format!("reader{index}"))).collect();
        let carol = world.slash("carol");
        let mut waited = false;
        let text = "x".repeat(990);
        for number in 0..600 {
            world.types(alice, &format!("MSG {number} {text}"));
            // Four messages of a thousand bytes for each member that is visited.
            if number % (4 * visits) == 0 {
                world.turn_of(visits);
            }
            waited |= !world.listens_to(alice);
            assert!(world.held_bytes() <= 2 * LOG_BYTES_LIMIT_MIN + SLACK);
        }
        assert!(waited, "{visits} visits a turn");
        while world.has_work() {
            world.turn_of(visits);
        }
        for reader in readers {
            let heard = world.took(reader);
            assert!(heard.lines().enumerate().all(|(n, line)| line.starts_with(&format!("MSG alice {n} "))));
            assert_eq!(heard.lines().count(), 600);
        }
        assert_eq!(world.took(carol).lines().count(), 600);
        assert_eq!(world.metrics().lagged, 0);
    }
}

#[test]
fn a_publisher_as_fast_as_its_room_is_flushed_never_waits() {
    let mut world = World::new();
    let alice = world.line("alice");
    for index in 0..20 {
        world.line(&format!("reader{index}"));
    }
    let text = "x".repeat(990);
    // Everybody is visited within seven turns, and there is always somebody to be visited.
    for _ in 0..600 {
        world.types(alice, &format!("MSG {text}"));
        world.turn_of(3);
        assert!(world.listens_to(alice) && world.has_work());
    }
}

#[test]
fn readers_lose_nothing_while_others_come_and_go() {
    let mut world = World::new();
    let alice = world.line("alice");
    let readers: Vec<_> = (0..10).map(|index| world.line(&format!("reader{index}"))).collect();
    let mut guests: Vec<_> = (0..10).map(|index| world.line(&format!("guest{index}"))).collect();
    let text = "x".repeat(990);
    for number in 0..600 {
        world.types(alice, &format!("MSG {number} {text}"));
        world.turn_of(2);
        if number % 3 == 0 {
            let guest = guests.remove(number % guests.len());
            world.vanishes(guest);
            let guest = world.connects(Dialect::Line);
            world.types(guest, &format!("LOGIN late{number}"));
            guests.push(guest);
        }
    }
    while world.has_work() {
        world.turn_of(2);
    }
    for reader in readers {
        let heard = world.took(reader);
        let messages = heard.lines().filter(|line| line.starts_with("MSG"));
        assert!(messages.clone().enumerate().all(|(n, line)| line.starts_with(&format!("MSG alice {n} "))));
        assert_eq!(messages.count(), 600);
    }
    assert_eq!(world.metrics().lagged, 0);
}

#[test]
fn of_an_endless_line_nothing_is_kept() {
    let mut world = World::new();
    let bob = world.line("bob");
    for _ in 0..1000 {
        world.sends(bob, &[b'x'; 1000]);
        assert!(world.held_bytes() <= 2 * LINE_BYTES_MAX);
    }
    world.sends(bob, b"\nPING\n");
    assert_eq!(world.hears(bob), "ERR line-too-long\nPONG\n");
    assert_eq!(world.held_bytes(), 0);
}

#[test]
fn an_idle_connection_holds_nothing() {
    let mut world = World::new();
    let bob = world.line("bob");
    let carol = world.slash("carol");
    for byte in b"MSG hi\n" {
        world.sends(bob, &[*byte]);
    }
    assert_eq!(world.hears(carol), "[12:34:56] bob: hi\n");
    assert_eq!(world.held_bytes(), 0);
}

#[test]
fn an_answer_larger_than_an_outbox_is_given_to_one_whose_socket_is_full() {
    let crowd = 28_000;
    let mut world = World::with(Settings { clients_limit: 2 * crowd, ..settings() });
    world.checks = false;
    let alice = world.line("alice");
    let bob = world.line("bob");
    for index in 0..crowd {
        let client = world.connects(Dialect::Line);
        world.types(client, &format!("LOGIN {index:0>32}"));
    }
    world.settles();
    world.reads_only(bob, 3);
    world.types(alice, "MSG hi");
    world.settles();
    world.types(bob, "WHO");
    world.settles();
    assert_eq!(world.ended(bob), None);
    world.reads_everything(bob);
    let heard = world.hears(bob);
    assert!(heard.len() > OUTBOX_BYTES_MAX && heard.starts_with("MSG alice hi\nUSER alice\nUSER bob\n"));
    assert_eq!(heard.lines().count(), 1 + 2 + crowd);
}

/// Each of them has less waiting than the one of another network, and they are many.
#[test]
fn of_outboxes_that_are_too_large_together_those_of_the_network_with_the_most_give_way() {
    let mut world = World::with(Settings {
        exempt: Vec::new(),
        address_clients_limit: 0,
        address_connects_limit: 0,
        session_messages_limit: 0,
        session_bytes_limit: 0,
        ..settings()
    });
    world.checks = false;
    let [alice, honest] = ["alice", "honest"].map(|name| world.line(name));
    let crowd: Vec<_> = (0..300)
        .map(|index| {
            let client = world.connects_from(ELSEWHERE, Dialect::Line);
            world.types(client, &format!("LOGIN slow{index}"));
            client
        })
        .collect();
    world.settles();
    for &client in crowd.iter().chain([&honest]) {
        world.reads_only(client, 10);
    }
    let psst = "\u{1}".repeat(4000);
    // More than any of the crowd will have.
    for _ in 0..OUTBOX_BYTES_MAX / (3 * psst.len()) - 1 {
        world.types(alice, &format!("DM honest {psst}"));
        world.settles();
    }
    let mut next = 0;
    while world.metrics().closed_for(CloseReason::Memory) == 0 {
        world.types(alice, &format!("DM slow{} {psst}", next % crowd.len()));
        world.settles();
        next += 1;
    }
    assert_eq!(world.ended(honest), None);
    let gone = crowd.iter().filter(|&&client| world.ended(client).is_some()).count();
    assert!(gone > 0 && gone < 100, "{gone} gave way");
    assert!(world.held_bytes() <= OUTBOX_TOTAL_BYTES_MAX);
    world.check();
}

#[test]
fn when_all_outboxes_are_too_large_together_the_largest_gives_way_and_no_frame_stands_behind_half_of_one() {
    let mut world = World::new();
    world.checks = false;
    let [alice, bob] = ["alice", "bob"].map(|name| world.line(name));
    let slow: Vec<_> = (0..300).map(|index| world.line(&format!("slow{index}"))).collect();
    for &client in &slow {
        world.reads_only(client, 10);
    }
    // A control character takes three bytes in the outbox.
    let psst = "\u{1}".repeat(4000);
    let fill = |world: &mut World, until: usize| {
        let mut next = 0;
        while world.held_bytes() < until {
            world.types(alice, &format!("DM slow{} {psst}", next % slow.len()));
            world.settles();
            next += 1;
        }
        next
    };
    let mut next = fill(&mut world, OUTBOX_TOTAL_BYTES_MAX - (100 << 10));
    assert_eq!(world.metrics().closed_for(CloseReason::Memory), 0);
    // All of them are in the middle of a frame, and may be written to again, when it becomes too much.
    for &client in &slow {
        world.reads(client, 100);
    }
    for _ in 0..20 {
        world.types(alice, &format!("DM slow{} {psst}", next % slow.len()));
        next += 1;
    }
    world.types(bob, "MSG hi");
    world.settles();
    let gone: Vec<_> = slow.iter().copied().filter(|&client| world.ended(client).is_some()).collect();
    assert!(!gone.is_empty() && gone.len() < 100, "{} gave way", gone.len());
    for client in gone {
        let memory = Ended { close: Some(Close::Now), reason: CloseReason::Memory };
        assert_eq!(world.ended(client), Some(memory));
        assert!(!world.took_bytes(client).contains(&b'\n'), "half a frame, and nothing behind it");
    }
    assert!(world.held_bytes() <= OUTBOX_TOTAL_BYTES_MAX);
    world.check();
}
