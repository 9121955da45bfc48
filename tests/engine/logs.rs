//! All logs together are too large: the room that was least recently read gives way, and no other pays for it.

use std::time::Duration;

use parlance::engine::Settings;
use parlance::fanout::{LagPolicies, LagPolicy};
use parlance::limits::{LOG_BYTES_LIMIT_MIN, LOG_STILL_MILLIS};
use parlance::wire::Dialect;

use crate::world::{Client, World, settings, shards};

const LOG: usize = 1 << 20;
const TOTAL: usize = 1 << 20;
const TEXT: usize = 2000;

fn little() -> Settings {
    Settings { log_bytes_limit: LOG, log_total_bytes_limit: TOTAL, slash_idle_timeout: 0, ..settings() }
}

/// A speaker and a reader of a room, both on one shard.
struct Room {
    speaker: Client,
    reader: Client,
    said: usize,
}

fn slash_on(world: &mut World, shard: usize, name: &str) -> Client {
    loop {
        let client = world.connects(Dialect::Slash);
        if usize::from(world.id(client).shard()) == shard {
            world.types(client, name);
            return client;
        }
        world.vanishes(client);
    }
}

impl Room {
    fn new(world: &mut World, shard: usize, name: &str) -> Self {
        let [speaker, reader] = ["says", "reads"].map(|what| {
            let client = slash_on(world, shard, &format!("{what}-{name}"));
            world.types(client, &format!("/join {name}"));
            client
        });
        world.settles();
        for client in [speaker, reader] {
            world.took(client);
        }
        Self { speaker, reader, said: 0 }
    }

    /// So many bytes, which everybody reads who does.
    fn says(&mut self, world: &mut World, bytes: usize) {
        for _ in 0..bytes / TEXT {
            world.types(self.speaker, &format!("{} {}", self.said, "x".repeat(TEXT)));
            self.said += 1;
            world.settles();
        }
        world.took(self.speaker);
    }

    fn stalls(&self, world: &mut World) {
        world.reads_only(self.reader, 10);
    }

    /// How many messages the reader missed, which reads again: it gets all others.
    fn missed(&self, world: &mut World) -> usize {
        world.reads_everything(self.reader);
        let heard = world.hears(self.reader);
        let count =
            |line: &str| line.strip_prefix("*** ")?.strip_suffix(" messages missed")?.parse::<usize>().ok();
        let missed: usize = heard.lines().filter_map(count).sum();
        let got = heard.lines().filter(|line| line.contains("] says-")).count();
        assert_eq!(got + missed, self.said, "{missed} missed");
        missed
    }
}

fn a_second_passes(world: &mut World) {
    world.now.monotonic += Duration::from_secs(1);
    world.settles();
}

#[test]
fn the_room_that_was_least_recently_read_gives_way_first() {
    for shard in 0..shards() {
        let mut world = World::with(little());
        world.checks = false;
        let mut rooms: Vec<_> =
            ["one", "two", "three", "four"].map(|name| Room::new(&mut world, shard, name)).into();
        for room in &mut rooms[..3] {
            room.stalls(&mut world);
            room.says(&mut world, TOTAL / 4);
            a_second_passes(&mut world);
        }
        // Of these, the first is read a little once more.
        world.reads(rooms[0].reader, 100 << 10);
        a_second_passes(&mut world);
        world.check();
        assert_eq!(world.metrics().gave_way, 0);
        rooms[3].stalls(&mut world);
        rooms[3].says(&mut world, TOTAL / 2);
        world.check();
        assert_eq!(world.metrics().gave_way, 1, "one was enough");
        let missed: Vec<_> = rooms.iter().map(|room| room.missed(&mut world)).collect();
        assert!(missed[1] > 0 && missed[0] + missed[2] + missed[3] == 0, "{missed:?}");
        assert_eq!(world.metrics().missed, missed[1] as u64);
        assert_eq!(world.held_bytes(), 0);
    }
}

#[test]
fn a_busy_room_that_is_read_does_not_pay_for_those_that_are_not() {
    for shard in 0..shards() {
        let mut world = World::with(little());
        world.checks = false;
        let mut busy = Room::new(&mut world, shard, "busy");
        let mut stalled: Vec<_> =
            (0..8).map(|index| Room::new(&mut world, shard, &format!("stalled{index}"))).collect();
        for room in &mut stalled {
            room.stalls(&mut world);
        }
        for _ in 0..10 {
            for room in &mut stalled {
                room.says(&mut world, TOTAL / 8);
            }
            a_second_passes(&mut world);
            // Who stands still for a moment only, in a room where much is said, misses nothing of it.
            world.reads_only(busy.reader, 10);
            busy.says(&mut world, 3 * LOG_BYTES_LIMIT_MIN);
            world.reads_everything(busy.reader);
            world.settles();
        }
        assert!(world.held_bytes() <= 2 * TOTAL, "{}", world.held_bytes());
        assert!(world.metrics().gave_way > 10);
        assert_eq!(busy.missed(&mut world), 0);
        let missed: usize = stalled.iter().map(|room| room.missed(&mut world)).sum();
        assert!(missed > 0);
        assert_eq!(world.metrics().missed, missed as u64);
    }
}

#[test]
fn in_a_room_that_gives_way_those_who_read_lose_nothing() {
    let mut world = World::with(little());
    world.checks = false;
    world.is_spread = false;
    let mut mixed = Room::new(&mut world, 0, "mixed");
    let other = slash_on(&mut world, 0, "other");
    world.types(other, "/join mixed");
    world.hears(other);
    mixed.stalls(&mut world);
    mixed.says(&mut world, TOTAL / 2);
    a_second_passes(&mut world);
    let mut next = Room::new(&mut world, 0, "next");
    next.stalls(&mut world);
    next.says(&mut world, TOTAL / 2 - (96 << 10));
    assert_eq!(world.metrics().gave_way, 0);
    // What is said in one turn, before anybody there has had their turn.
    for room in [&mut mixed, &mut next] {
        for _ in 0..(96 << 10) / TEXT {
            world.types(room.speaker, &format!("{} {}", room.said, "x".repeat(TEXT)));
            room.said += 1;
        }
    }
    assert_eq!(world.metrics().gave_way, 1);
    assert_eq!(world.hears(other).lines().count(), mixed.said);
    assert!(mixed.missed(&mut world) > 0);
    assert_eq!(next.missed(&mut world), 0);
}

#[test]
fn by_policy_whoever_stands_still_where_a_room_gives_way_is_closed() {
    let lag = LagPolicies::all(LagPolicy::Close);
    let mut world = World::with(Settings { lag, ..little() });
    world.is_spread = false;
    world.checks = false;
    let mut one = Room::new(&mut world, 0, "one");
    one.stalls(&mut world);
    one.says(&mut world, TOTAL / 2);
    a_second_passes(&mut world);
    let mut two = Room::new(&mut world, 0, "two");
    two.stalls(&mut world);
    two.says(&mut world, TOTAL / 2 + (64 << 10));
    world.reads_everything(one.reader);
    let heard = world.hears(one.reader);
    assert!(heard.ends_with("ERROR: Too slow\n"), "{heard:.100}");
    assert!(world.ended(one.reader).is_some() && world.ended(two.reader).is_none());
    world.check();
}

#[test]
fn until_nobody_stands_still_for_long_logs_are_held_to_little() {
    let mut world = World::with(little());
    world.is_spread = false;
    world.checks = false;
    let mut rooms: Vec<_> = (0..8).map(|index| Room::new(&mut world, 0, &format!("room{index}"))).collect();
    // All within a moment: nobody is known to stand still.
    for room in &mut rooms {
        room.stalls(&mut world);
        room.says(&mut world, TOTAL / 4);
    }
    assert_eq!(world.metrics().gave_way, 0);
    assert!(world.held_bytes() <= TOTAL + rooms.len() * LOG_BYTES_LIMIT_MIN);
    assert!(world.metrics().lagged > 0);
    // Then they are.
    world.now.monotonic += Duration::from_millis(LOG_STILL_MILLIS);
    world.settles();
    rooms[7].says(&mut world, LOG_BYTES_LIMIT_MIN);
    assert!(world.metrics().gave_way > 0 && world.held_bytes() <= TOTAL);
    world.check();
    for room in &rooms {
        room.missed(&mut world);
    }
}

#[test]
fn rooms_that_vanish_leave_no_place_behind() {
    let mut world = World::with(little());
    for index in 0..20 {
        let mut room = Room::new(&mut world, index % shards(), &format!("room{index}"));
        room.stalls(&mut world);
        room.says(&mut world, 10 * TEXT);
        world.vanishes(room.speaker);
        world.vanishes(room.reader);
        world.settles();
    }
    assert_eq!(world.held_bytes(), 0);
    world.check();
}
