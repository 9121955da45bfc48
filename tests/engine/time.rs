//! Deadlines, on a clock that the tests move.

use parlance::chat::CloseReason;
use parlance::engine::Settings;
use parlance::fanout::Close;
use parlance::wire::Dialect;

use crate::world::{Ended, World, settings};

fn told(reason: CloseReason) -> Ended {
    Ended { close: Some(Close::Linger), reason }
}

#[test]
fn who_says_nothing_for_the_idle_timeout_is_told_and_closed() {
    let mut world = World::new();
    let (alice, carol) = (world.line("alice"), world.slash("carol"));
    world.seconds_pass(60);
    assert_eq!(world.hears(alice), "", "not a moment early");
    world.seconds_pass(1);
    assert_eq!(world.hears(alice), "ERR idle-timeout\n");
    assert_eq!(world.ended(alice), Some(told(CloseReason::IdleTimeout)));
    assert_eq!(world.hears(carol), "*** alice left the room\n");
    world.seconds_pass(599);
    assert_eq!(world.hears(carol), "", "she was sent that line");
    world.seconds_pass(2);
    assert_eq!(world.hears(carol), "ERROR: Idle timeout\n");
    assert_eq!(world.ended(carol), Some(told(CloseReason::IdleTimeout)));
}

#[test]
fn any_line_keeps_a_connection_alive() {
    for line in ["PING", "MSG hi", "nonsense", "", "MSG \u{1}", "LOGIN again"] {
        let mut world = World::new();
        let alice = world.line("alice");
        for _ in 0..5 {
            world.seconds_pass(55);
            world.types(alice, line);
            world.settles();
        }
        assert_eq!(world.ended(alice), None, "{line}");
        world.took(alice);
        world.seconds_pass(61);
        assert_eq!(world.hears(alice), "ERR idle-timeout\n", "{line}");
    }
}

#[test]
fn a_part_of_a_line_keeps_nobody_alive() {
    let mut world = World::new();
    let alice = world.line("alice");
    for _ in 0..61 {
        world.seconds_pass(1);
        world.sends(alice, b"x");
        world.settles();
    }
    assert_eq!(world.hears(alice), "ERR idle-timeout\n");
}

/// A dead peer does not acknowledge it, and the kernel ends its connection.
#[test]
fn who_is_sent_something_stays_for_the_idle_timeout_after_it() {
    let mut world = World::new();
    let (alice, carol) = (world.line("alice"), world.slash("carol"));
    for _ in 0..5 {
        world.seconds_pass(55);
        world.types(carol, "hi");
        world.settles();
    }
    assert_eq!(world.ended(alice), None, "a message of the room");
    for _ in 0..5 {
        world.seconds_pass(55);
        world.types(carol, "/msg alice hi");
        world.settles();
    }
    assert_eq!(world.ended(alice), None, "a direct message");
    // What her dialect does not tell is nothing that she is sent.
    world.seconds_pass(55);
    world.types(carol, "/nick caroline");
    world.hears(alice);
    world.seconds_pass(5);
    assert_eq!(world.hears(alice), "", "not a moment early");
    world.seconds_pass(1);
    assert_eq!(world.hears(alice), "ERR idle-timeout\n");
    assert_eq!(world.ended(alice), Some(told(CloseReason::IdleTimeout)));
}

#[test]
fn who_does_not_log_in_is_told_and_closed_whatever_else_it_says() {
    for (dialect, words) in
        [(Dialect::Line, "ERR login-timeout\n"), (Dialect::Slash, "ERROR: Login timeout\n")]
    {
        let mut world = World::new();
        let late = world.connects(dialect);
        world.hears(late);
        for _ in 0..30 {
            world.seconds_pass(1);
            world.sends(late, if dialect == Dialect::Line { b"PING\n" } else { b"x" });
            world.settles();
            assert_eq!(world.ended(late), None);
        }
        world.took(late);
        world.seconds_pass(1);
        assert_eq!(world.hears(late), words);
        assert_eq!(world.ended(late), Some(told(CloseReason::LoginTimeout)));
    }
}

#[test]
fn a_timeout_of_zero_never_comes() {
    let never = Settings { login_timeout: 0, line_idle_timeout: 0, slash_idle_timeout: 0, ..settings() };
    let mut world = World::with(never);
    let clients = [world.line("alice"), world.slash("carol"), world.connects(Dialect::Line)];
    assert_eq!(world.engine.next_deadline(), None);
    for _ in 0..10 {
        world.seconds_pass(1 << 30);
        world.settles();
    }
    for client in clients {
        assert_eq!(world.ended(client), None);
    }
}

#[test]
fn the_next_deadline_is_when_something_is_to_be_done() {
    let mut world = World::new();
    let alice = world.line("alice");
    while world.ended(alice).is_none() {
        let deadline = world.engine.next_deadline().expect("somebody is there");
        assert!(deadline > world.now.monotonic, "it lies ahead");
        world.now.monotonic = deadline;
        world.settles();
    }
    assert_eq!(world.ended(alice), Some(told(CloseReason::IdleTimeout)));
    world.now.monotonic += std::time::Duration::from_secs(3600);
    world.settles();
    assert_eq!(world.engine.next_deadline(), None, "nobody is there");
}

#[test]
fn who_has_a_slot_after_another_has_a_deadline_of_its_own() {
    let mut world = World::new();
    world.is_spread = false;
    let alice = world.line("alice");
    world.seconds_pass(50);
    world.vanishes(alice);
    let bob = world.line("bob");
    assert_eq!(world.id(alice).slot, world.id(bob).slot);
    world.seconds_pass(50);
    world.settles();
    assert_eq!(world.ended(bob), None);
}

#[test]
fn a_gob_connection_without_a_name_hears_for_the_login_timeout() {
    let mut world = World::new();
    let (quiet, alice) = (world.connects(Dialect::Gob), world.line("alice"));
    world.types(alice, "MSG hi");
    world.seconds_pass(30);
    assert_eq!(world.ended(quiet), None, "not a moment early");
    assert!(!world.took_bytes(quiet).is_empty());
    world.types(alice, "MSG hi");
    world.seconds_pass(1);
    world.settles();
    assert_eq!(world.ended(quiet), Some(told(CloseReason::LoginTimeout)));
}
