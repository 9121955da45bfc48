//! Everybody sees things in the order in which they happened, at every place where a write may be cut.

use parlance::chat::CloseReason;
use parlance::fanout::Close;

use crate::world::{Client, Ended, World, with_users_sorted};

/// Plays a scene once with a socket that takes everything, and then for each number of bytes after which the socket is
/// full until the scene is over: what the client gets is the same. Likewise when it reads a byte a turn.
fn same_at_every_cut(
    dialect: impl Fn(&mut World) -> Client,
    scene: impl Fn(&mut World, Client),
    expected: &str,
) {
    let play = |space: usize| {
        let mut world = World::new();
        let reader = dialect(&mut world);
        world.hears(reader);
        world.reads_only(reader, space);
        scene(&mut world, reader);
        (world, reader)
    };
    let (mut world, reader) = play(usize::MAX);
    assert_eq!(with_users_sorted(&world.hears(reader)), expected);
    for cut in 0..=expected.len() {
        let (mut world, reader) = play(cut);
        world.settles();
        world.reads_everything(reader);
        assert_eq!(
            with_users_sorted(&world.hears(reader)),
            expected,
            "the socket was full after {cut} bytes"
        );
    }
    let (mut world, reader) = play(1);
    for _ in 0..=expected.len() {
        world.settles();
        world.reads(reader, 1);
    }
    assert_eq!(with_users_sorted(&world.hears(reader)), expected, "a byte a turn");
}

#[test]
fn who_says_something_and_asks_for_the_rooms_sees_its_echo_before_the_list() {
    let expected = "[12:34:56] carol: hi\nAvailable rooms:\n  #lobby (1 users)\n[12:34:56] carol: bye\n";
    let carol = |world: &mut World| world.slash("carol");
    same_at_every_cut(carol, |world, carol| world.sends(carol, b"hi\n/rooms\nbye\n"), expected);
    let in_three_turns = |world: &mut World, carol| {
        for line in ["hi", "/rooms", "bye"] {
            world.types(carol, line);
            world.turn();
        }
    };
    same_at_every_cut(carol, in_three_turns, expected);
}

#[test]
fn a_partly_sent_frame_is_finished_before_anything_else() {
    let expected =
        "MSG alice hello\nPONG\nMSG alice world\nDM alice psst\nUSER alice\nUSER bob\nMSG alice !\n";
    let scene = |turns: bool| {
        move |world: &mut World, bob: Client| {
            let alice = world.line("alice");
            let turn = |world: &mut World| {
                if turns {
                    world.turn();
                }
            };
            let lines = [
                (alice, "MSG hello"),
                (bob, "PING"),
                (alice, "MSG world"),
                (alice, "DM bob psst"),
                (bob, "WHO"),
            ];
            for (client, line) in lines {
                world.types(client, line);
                turn(world);
            }
            world.types(alice, "MSG !");
        }
    };
    same_at_every_cut(|world| world.line("bob"), scene(true), expected);
    same_at_every_cut(|world| world.line("bob"), scene(false), expected);
}

#[test]
fn a_partly_sent_answer_is_finished_before_what_the_room_says_next() {
    let expected = "USER alice\nUSER bob\nMSG alice one\nPONG\nPONG\nMSG alice two\n";
    let scene = |world: &mut World, bob: Client| {
        let alice = world.line("alice");
        world.types(bob, "WHO");
        world.turn();
        world.types(alice, "MSG one");
        world.turn();
        world.sends(bob, b"PING\nPING\n");
        world.types(alice, "MSG two");
    };
    same_at_every_cut(|world| world.line("bob"), scene, expected);
}

#[test]
fn joining_starts_at_the_head() {
    let mut world = World::new();
    let alice = world.line("alice");
    let slow = world.line("slow");
    world.reads_only(slow, 0);
    world.types(alice, "MSG before");
    let bob = world.line("bob");
    let carol = world.slash("carol");
    world.types(alice, "MSG after");
    assert_eq!(world.hears(bob), "MSG alice after\n");
    assert_eq!(world.hears(carol), "[12:34:56] alice: after\n");
    world.reads_everything(slow);
    assert_eq!(world.hears(slow), "MSG alice before\nMSG alice after\n");
}

#[test]
fn a_newcomer_keeps_nobody_from_what_was_just_said() {
    for spoken_before in 0..4 {
        let mut world = World::new();
        let (carol, dave) = (world.slash("carol"), world.slash("dave"));
        world.types(carol, "/join games");
        for _ in 0..spoken_before {
            world.types(carol, "hi");
            world.settles();
        }
        world.hears(carol);
        world.types(dave, "/join games");
        assert_eq!(world.hears(carol), "*** dave joined the room\n", "after {spoken_before} messages");
    }
}

#[test]
fn who_moves_still_gets_what_was_said_before_and_nothing_that_is_said_after() {
    let expected = "*** alice joined the room\n*** dave joined the room\n[12:34:56] alice: one\n\
        [12:34:56] alice: two\nYou joined #games\n*** dave joined the room\n[12:34:56] dave: three\n\
        You returned to #lobby\n[12:34:56] alice: four\n";
    let scene = |world: &mut World, carol: Client| {
        let alice = world.line("alice");
        let dave = world.slash("dave");
        world.types(alice, "MSG one");
        world.turn();
        world.sends(alice, b"MSG two\n");
        world.types(carol, "/join games");
        world.types(alice, "MSG not heard");
        world.turn();
        world.types(dave, "/join games");
        world.types(dave, "three");
        world.types(carol, "/leave");
        world.types(dave, "not heard");
        world.types(alice, "MSG four");
    };
    same_at_every_cut(|world| world.slash("carol"), scene, expected);
}

#[test]
fn who_quits_still_gets_what_was_said_before() {
    let expected = "*** alice joined the room\n[12:34:56] alice: one\n[12:34:56] carol: two\nGoodbye!\n";
    let scene = |world: &mut World, carol: Client| {
        let alice = world.line("alice");
        world.types(alice, "MSG one");
        world.turn();
        world.sends(carol, b"two\n/quit\nnot said\n");
        world.types(alice, "MSG not heard");
        world.settles();
        assert_eq!(world.took(alice), "MSG carol two\nINFO carol disconnected\n");
    };
    same_at_every_cut(|world| world.slash("carol"), scene, expected);
}

#[test]
fn who_closes_its_side_still_gets_its_answers_and_what_was_said_before() {
    let expected = "MSG alice one\nUSER alice\nUSER bob\nERR user-not-found zoe\n";
    let scene = |world: &mut World, bob: Client| {
        let alice = world.line("alice");
        world.types(alice, "MSG one");
        world.sends(bob, b"WHO\nDM zoe hi\n");
        world.closes_its_side(bob);
        world.types(alice, "MSG not heard");
    };
    same_at_every_cut(|world| world.line("bob"), scene, expected);
}

#[test]
fn who_is_closed_for_its_silence_still_gets_what_was_said_before() {
    let expected = "MSG alice one\nPONG\nMSG alice two\nERR idle-timeout\n";
    let scene = |world: &mut World, bob: Client| {
        let alice = world.line("alice");
        world.types(alice, "MSG one");
        world.types(bob, "PING");
        world.types(alice, "MSG two");
        world.turn();
        world.seconds_pass(59);
        world.types(alice, "PING");
        world.seconds_pass(2);
        world.turn();
        world.types(alice, "MSG not heard");
    };
    same_at_every_cut(|world| world.line("bob"), scene, expected);
}

#[test]
fn at_shutdown_everybody_gets_the_notice_behind_what_it_was_owed() {
    let scene = |world: &mut World, reader: Client| {
        let alice = world.line("alice");
        world.types(alice, "MSG one");
        world.turn();
        world.types(alice, "DM reader psst");
        world.types(alice, "MSG two");
        world.engine.shutdown(world.now);
        world.check();
        world.types(alice, "MSG not heard");
        world.types(reader, "PING");
    };
    let line = "MSG alice one\nDM alice psst\nMSG alice two\nINFO server shutting down\n";
    same_at_every_cut(|world| world.line("reader"), scene, line);
    let slash = "*** alice joined the room\n[12:34:56] alice: one\n[12:34:56] [Private from alice]: psst\n\
        [12:34:56] alice: two\n*** server shutting down\n";
    same_at_every_cut(|world| world.slash("reader"), scene, slash);
}

#[test]
fn a_connection_closes_only_when_everything_is_read() {
    let mut world = World::new();
    let carol = world.slash("carol");
    world.reads_only(carol, 3);
    world.sends(carol, b"hello\n/quit\n");
    world.settles();
    assert_eq!(world.ended(carol), None);
    world.reads_everything(carol);
    world.settles();
    assert_eq!(world.ended(carol), Some(Ended { close: Some(Close::Linger), reason: CloseReason::Quit }));
}
