//! What is peculiar to an engine with other shards.

use parlance::engine::Settings;
use parlance::limits::LINK_BYTES_MAX;

use crate::world::{World, settings};

#[test]
fn who_waits_for_a_shard_that_is_behind_with_its_orders_goes_on_when_it_is_not() {
    let mut world = World::with(Settings { shards: 2, ..settings() });
    let alice = world.line("alice");
    world.engine.note_on_its_way(1, LINK_BYTES_MAX);
    world.types(alice, "PING");
    world.settles();
    assert!(!world.listens_to(alice) && !world.has_work(), "it waits, and the loop sleeps");
    assert!(world.engine.waits_for_links(), "but not for ever");
    // No report comes: nothing of what was ordered need be reported.
    world.engine.note_on_its_way(1, LINK_BYTES_MAX - 1);
    assert_eq!(world.hears(alice), "PONG\n");
    assert!(world.listens_to(alice));
}
