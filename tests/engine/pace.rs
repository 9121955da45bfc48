//! A paced dialect: a frame a write, and a pause between two.

use std::time::Duration;

use parlance::engine::Settings;
use parlance::wire::Dialect;
use parlance::wire::gob::{Decoder, Frame, Kind, Message, encode};

use crate::world::{Client, World, settings};

impl World {
    pub(crate) fn gob_says(&mut self, client: Client, kind: Kind, sender: &str, content: &str) {
        let mut bytes = Vec::new();
        let _ = encode(&Message { kind, sender, content }, &mut bytes);
        self.sends(client, &bytes);
    }

    pub(crate) fn gob(&mut self, name: &str) -> Client {
        let client = self.connects(Dialect::Gob);
        self.gob_says(client, Kind::Join, name, "");
        self.settles();
        client
    }
}

/// What a program in use makes of what it read: a fresh decoder a read.
pub(crate) fn shown(bytes: &[u8]) -> Vec<String> {
    let mut shown = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut decoder = Decoder::default();
        let found = decoder.decode(rest);
        let Frame::Whole(Message { kind, sender, content }) = found.frame else { panic!("{found:?}") };
        shown.push(match kind {
            Kind::Text => format!("{sender}: {content}"),
            Kind::Join => format!("+{sender}"),
            Kind::Leave => format!("-{sender}"),
            Kind::Other(number) => format!("{number}?"),
        });
        rest = &rest[found.consumed..];
    }
    shown
}

#[test]
fn each_frame_has_a_write_of_its_own_and_the_next_one_waits() {
    let mut world = World::new();
    let alice = world.gob("alice");
    let bob = world.line("bob");
    world.took_bytes(alice);
    for text in ["one", "two", "three"] {
        world.types(bob, &format!("MSG {text}"));
    }
    let gap = settings().gob_gap;
    for text in ["one", "two", "three"] {
        world.turn();
        assert_eq!(shown(&world.took_bytes(alice)), [format!("bob: {text}")]);
        // Not before its time, however many turns there are.
        let wake = world.engine.next_wake().expect("it rests");
        assert_eq!(wake, world.now.monotonic + gap);
        world.now.monotonic += gap / 2;
        world.turn();
        assert_eq!(shown(&world.took_bytes(alice)), [""; 0]);
        world.now.monotonic = wake;
    }
    world.turn();
    assert_eq!(shown(&world.took_bytes(alice)), [""; 0]);
    assert!(!world.has_work() && world.engine.next_wake().is_none());
}

#[test]
fn answers_and_direct_messages_are_paced_too() {
    let mut world = World::new();
    let alice = world.gob("alice");
    let bob = world.line("bob");
    world.took_bytes(alice);
    world.types(bob, "DM alice psst");
    world.types(bob, "MSG hi");
    world.gob_says(alice, Kind::Text, "", "/msg nobody x");
    world.turn();
    assert_eq!(shown(&world.took_bytes(alice)), ["bob (private): psst"]);
    world.settles();
    assert_eq!(shown(&world.took_bytes(alice)), ["bob: hi", "server: there is no nobody here"]);
}

#[test]
fn a_frame_that_is_partly_taken_is_finished_before_the_pause() {
    let mut world = World::new();
    let alice = world.gob("alice");
    let bob = world.line("bob");
    world.took_bytes(alice);
    world.reads_only(alice, 10);
    world.types(bob, "MSG one");
    world.types(bob, "MSG two");
    world.settles();
    let mut bytes = world.took_bytes(alice);
    assert_eq!(bytes.len(), 10);
    world.reads_everything(alice);
    world.turn();
    bytes.extend(world.took_bytes(alice));
    assert_eq!(shown(&bytes), ["bob: one"]);
    world.settles();
    assert_eq!(shown(&world.took_bytes(alice)), ["bob: two"]);
}

#[test]
fn without_a_gap_frames_go_out_together() {
    let mut world = World::with(Settings { gob_gap: Duration::ZERO, ..settings() });
    let alice = world.gob("alice");
    let bob = world.line("bob");
    world.took_bytes(alice);
    world.types(bob, "MSG one");
    world.types(bob, "MSG two");
    let before = world.writes;
    world.settles();
    assert_eq!(shown(&world.took_bytes(alice)), ["bob: one", "bob: two"]);
    assert_eq!(world.writes, before + 1);
}

#[test]
fn who_cannot_have_its_name_gets_one_like_it_and_is_told() {
    let mut world = World::new();
    world.line("alice");
    for (asked, got) in [
        ("alice", "alice~2"),
        ("Alice", "Alice~3"),
        ("server", "server~2"),
        ("John Smith", "John_Smith"),
        ("", "guest"),
        ("\u{202e}", "_"),
        (&"x".repeat(40), &"x".repeat(26)),
    ] {
        let client = world.gob(asked);
        let heard = shown(&world.took_bytes(client));
        assert_eq!(heard, [format!("server: your name here is {got}")], "{asked}");
    }
}

#[test]
fn a_hundred_of_one_name_have_a_hundred_names() {
    let mut world = World::new();
    let gobs: Vec<_> = (0..100).map(|_| world.gob("same")).collect();
    let line = world.line("line");
    world.types(line, "WHO");
    let heard = world.hears(line);
    let mut names: Vec<_> = heard.lines().filter_map(|line| line.strip_prefix("USER same")).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 100);
    assert!(names.contains(&"") && names.contains(&"~2") && names.contains(&"~100"), "{names:?}");
    // One that is given back is had again.
    world.vanishes(gobs[1]);
    world.gob("same");
    world.types(line, "WHO");
    assert!(world.hears(line).contains("USER same~2\n"));
}

#[test]
fn names_that_are_held_on_purpose_keep_nobody_out() {
    let mut world = World::new();
    let held = (1..=16).map(|power| format!("guest~{}", 1_u32 << power)).chain(["guest".to_owned()]);
    for name in held {
        world.line(&name);
    }
    for asked in ["", "guest", "Guest"] {
        let client = world.gob(asked);
        let heard = shown(&world.took_bytes(client));
        let [told] = &heard[..] else { panic!("{heard:?}") };
        let number =
            told.to_lowercase().strip_prefix("server: your name here is guest~").map(str::parse::<u32>);
        let number = number.expect(told).expect(told);
        assert!(!number.is_power_of_two(), "{told}");
    }
}

#[test]
fn who_takes_a_frame_at_a_time_is_not_closed_for_what_others_send() {
    const BURST: usize = 30_000;
    let mut world = World::new();
    world.checks = false;
    let alice = world.gob("alice");
    let bob = world.line("bob");
    world.took_bytes(alice);
    for index in 0..BURST {
        world.types(bob, &format!("DM alice {index}"));
        if index % 100 == 0 {
            world.turn();
        }
    }
    let mut busy = world.hears(bob).lines().inspect(|&line| assert_eq!(line, "ERR busy")).count();
    let arrived = shown(&world.took_bytes(alice)).len();
    busy += world.hears(bob).lines().count();
    assert_eq!(arrived + busy, BURST, "each arrives, or its sender is told");
    assert!(arrived > 100 && busy > 100 && world.ended(alice).is_none());
}

#[test]
fn texts_carry_the_sessions_own_name_and_the_first_one_joins() {
    let mut world = World::new();
    let bob = world.line("bob");
    let alice = world.connects(Dialect::Gob);
    world.gob_says(alice, Kind::Text, "alice", "hi");
    world.gob_says(alice, Kind::Text, "bob", "I am bob");
    world.gob_says(alice, Kind::Other(7), "bob", "");
    world.gob_says(alice, Kind::Leave, "bob", "");
    assert_eq!(world.hears(bob), "MSG alice hi\nMSG alice I am bob\nINFO alice disconnected\n");
}
