//! A line user does not see what it said itself, whatever stands around it and wherever a write is cut.

use crate::world::{Client, World, with_users_sorted};

const EXPECTED: &str =
    "MSG alice 1\nMSG carol 2\nPONG\nMSG alice 3\nUSER alice\nUSER bob\nUSER carol\nMSG carol 4\n";

fn play(world: &mut World, bob: Client, turn_after_each: bool) {
    let alice = world.line("alice");
    let carol = world.slash("carol");
    for (client, line) in [
        (bob, "MSG own first"),
        (alice, "MSG 1"),
        (bob, "MSG own"),
        (bob, "MSG own again"),
        (carol, "2"),
        (bob, "PING"),
        (bob, "MSG own behind an answer"),
        (alice, "MSG 3"),
        (bob, "WHO"),
        (bob, "MSG own between"),
        (carol, "4"),
        (bob, "MSG own last"),
    ] {
        world.types(client, line);
        if turn_after_each {
            world.turn();
        }
    }
}

#[test]
fn own_frames_are_passed_over_at_every_cut() {
    for turn_after_each in [false, true] {
        for cut in 0..=EXPECTED.len() {
            let mut world = World::new();
            let bob = world.line("bob");
            world.reads_only(bob, cut);
            play(&mut world, bob, turn_after_each);
            world.settles();
            world.reads_everything(bob);
            assert_eq!(
                with_users_sorted(&world.hears(bob)),
                EXPECTED,
                "the socket was full after {cut} bytes"
            );
        }
    }
}

#[test]
fn own_frames_are_passed_over_by_who_reads_a_few_bytes_a_turn() {
    for bytes in 1..20 {
        let mut world = World::new();
        let bob = world.line("bob");
        world.reads_only(bob, 0);
        play(&mut world, bob, true);
        for _ in 0..=EXPECTED.len() / bytes {
            world.settles();
            world.reads(bob, bytes);
        }
        assert_eq!(with_users_sorted(&world.hears(bob)), EXPECTED, "{bytes} bytes a turn");
    }
}

#[test]
fn own_frames_are_passed_over_by_who_disconnects_while_it_is_owed_something() {
    for cut in 0..EXPECTED.len() {
        let mut world = World::new();
        let bob = world.line("bob");
        world.reads_only(bob, cut);
        play(&mut world, bob, true);
        world.closes_its_side(bob);
        world.settles();
        world.reads_everything(bob);
        assert_eq!(with_users_sorted(&world.hears(bob)), EXPECTED, "the socket was full after {cut} bytes");
    }
}

#[test]
fn the_others_get_what_the_author_does_not() {
    let mut world = World::new();
    let bob = world.line("bob");
    let dave = world.line("dave");
    play(&mut world, bob, false);
    let heard = world.hears(dave);
    assert_eq!(heard.lines().filter(|line| line.starts_with("MSG bob own")).count(), 6, "{heard}");
}

#[test]
fn who_alone_has_something_to_say_is_written_nothing() {
    let mut world = World::new();
    let bob = world.line("bob");
    let before = world.writes;
    for _ in 0..10 {
        world.types(bob, "MSG to nobody");
        world.settles();
    }
    assert_eq!(world.writes, before);
    assert_eq!(world.held_bytes(), 0);
}

#[test]
fn who_renames_itself_sees_the_answer_and_not_the_notice() {
    let mut world = World::new();
    let carol = world.slash("carol");
    world.reads_only(carol, 5);
    world.types(carol, "/nick zoe");
    world.types(carol, "hi");
    world.settles();
    world.reads_everything(carol);
    assert_eq!(world.hears(carol), "You are now known as zoe\n[12:34:56] zoe: hi\n");
}
