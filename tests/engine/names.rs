//! One namespace: a name is one person's, in whatever dialect and case.

use parlance::wire::Dialect;

use crate::world::World;

#[test]
fn a_name_is_taken_across_dialects_without_regard_to_case() {
    let mut world = World::new();
    world.line("Alice");
    world.slash("Carol");
    for (index, name) in ["alice", "ALICE", "\u{ff21}lice", "carol"].into_iter().enumerate() {
        let late = world.connects(Dialect::Line);
        world.types(late, &format!("LOGIN {name}"));
        assert_eq!(world.hears(late), "ERR username-taken\n", "{name}");
        world.types(late, &format!("LOGIN another{index}"));
        assert_eq!(world.hears(late), "OK\n", "a line user may try again");
    }
    for name in ["aLiCe", "CAROL"] {
        let late = world.connects(Dialect::Slash);
        world.hears(late);
        world.types(late, name);
        assert_eq!(world.hears(late), "Registration failed: Nickname already taken\n");
    }
}

#[test]
fn a_name_is_free_once_its_holder_has_left_however_it_did() {
    let leavings: [fn(&mut World, crate::world::Client); 3] =
        [World::vanishes, World::closes_its_side, |world, client| world.types(client, "/quit")];
    for leaves in leavings {
        let mut world = World::new();
        let first = world.slash("Carol");
        // It is owed something, and gone all the same.
        world.reads_only(first, 0);
        world.types(first, "/help");
        world.settles();
        leaves(&mut world, first);
        world.line("carol");
    }
}

#[test]
fn a_name_is_free_once_its_holder_has_another() {
    let mut world = World::new();
    let carol = world.slash("carol");
    world.types(carol, "/nick dave");
    world.settles();
    let late = world.line("carol");
    assert_eq!(world.hears(carol), "You are now known as dave\n*** carol joined the room\n");
    world.types(late, "DM DAVE hi");
    assert_eq!(world.hears(carol), "[12:34:56] [Private from carol]: hi\n");
    world.types(carol, "/nick carol");
    assert_eq!(world.hears(carol), "ERROR: Nickname already taken\n");
    world.types(carol, "/nick DAVE");
    assert_eq!(world.hears(carol), "You are now known as DAVE\n", "its own name in another case");
}

#[test]
fn a_refused_login_holds_no_name() {
    let mut world = World::new();
    let first = world.connects(Dialect::Slash);
    world.types(first, "no such name");
    world.settles();
    let second = world.connects(Dialect::Line);
    world.types(second, "LOGIN #x");
    world.types(second, "MSG hi");
    assert_eq!(
        world.hears(second),
        "ERR invalid-username names are 1 to 32 bytes of letters, digits and ASCII symbols, without blanks, and \
         do not start with # / or :\nERR must-login-first\n"
    );
    world.types(second, "LOGIN x");
    world.types(second, "LOGIN y");
    assert_eq!(world.hears(second), "OK\nERR already-logged-in\n");
    world.line("y");
}
