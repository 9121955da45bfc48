//! How many rooms one address may have made, and how many one person may be in or have made.

use std::net::{IpAddr, Ipv4Addr};

use parlance::engine::Settings;
use parlance::limits::SEATS_OF_NAME_MAX;
use parlance::wire::Dialect;
use parlance::wire::tcrp::{Operation, Refusal};

use crate::seats::asks;
use crate::world::{Client, HERE, World, settings};

const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

const OF_ADDRESS: &str = "ERROR: Too many rooms were made from your address\n";
const OF_SESSION: &str = "ERROR: You have too many rooms\n";

fn at_most(address: usize, session: usize) -> Settings {
    Settings { address_rooms_limit: address, session_rooms_limit: session, ..settings() }
}

fn slash(world: &mut World, from: IpAddr, name: &str) -> Client {
    let client = world.connects_from(from, Dialect::Slash);
    world.types(client, name);
    world.hears(client);
    client
}

/// What somebody hears who joins a room, which others may see before.
fn joins(world: &mut World, client: Client, room: &str) -> String {
    world.hears(client);
    world.types(client, &format!("/join {room}"));
    world.hears(client)
}

#[test]
fn an_address_makes_so_many_rooms_and_each_that_is_gone_makes_space() {
    let mut world = World::with(at_most(2, 0));
    let [ann, bob, cid] = ["ann", "bob", "cid"].map(|name| slash(&mut world, FAR, name));
    assert_eq!(joins(&mut world, ann, "one"), "You joined #one\n");
    assert_eq!(joins(&mut world, bob, "two"), "You joined #two\n");
    assert_eq!(joins(&mut world, cid, "three"), OF_ADDRESS);
    assert_eq!(world.metrics().rooms_refused, 1);
    // One that is there is nobody's to refuse, and others make their own.
    assert_eq!(joins(&mut world, cid, "two"), "You joined #two\n");
    let dan = slash(&mut world, ELSEWHERE, "dan");
    assert_eq!(joins(&mut world, dan, "three"), "You joined #three\n");
    // It counts for who made it as long as somebody is there.
    world.vanishes(bob);
    assert_eq!(joins(&mut world, cid, "four"), OF_ADDRESS);
    world.types(cid, "/leave");
    assert_eq!(joins(&mut world, cid, "four"), "You joined #four\n");
    world.vanishes(ann);
    world.vanishes(cid);
    let eve = slash(&mut world, FAR, "eve");
    assert_eq!(joins(&mut world, eve, "five"), "You joined #five\n");
}

#[test]
fn seats_of_an_address_make_rooms_as_others_do_and_those_that_close_are_gone() {
    let mut world = World::with(at_most(2, 0));
    let token = asks(&mut world, FAR, Operation::Create, "one", "ann").expect("a room");
    let bob = slash(&mut world, FAR, "bob");
    assert_eq!(joins(&mut world, bob, "two"), "You joined #two\n");
    assert_eq!(asks(&mut world, FAR, Operation::Create, "three", "cid"), Err(Refusal::TooMany));
    assert_eq!(world.metrics().rooms_refused, 1);
    let seat = crate::seats::Seat { room: "one".to_owned(), token, address: (FAR, 7).into() };
    world.seat_sends(&seat, parlance::wire::ucrp::Message::Leave);
    world.settles();
    asks(&mut world, FAR, Operation::Create, "three", "cid").expect("a room");
}

#[test]
fn a_session_has_made_so_many_rooms_that_are_there() {
    let mut world = World::with(at_most(0, 2));
    let ann = slash(&mut world, FAR, "ann");
    let others = ["bob", "cid", "dan"].map(|name| slash(&mut world, FAR, name));
    for (room, other) in [("one", others[0]), ("two", others[1])] {
        assert_eq!(joins(&mut world, ann, room), format!("You joined #{room}\n"));
        joins(&mut world, other, room);
    }
    assert_eq!(joins(&mut world, ann, "three"), OF_SESSION);
    assert_eq!(joins(&mut world, others[2], "three"), "You joined #three\n", "that is another's");
    assert_eq!(joins(&mut world, ann, "three"), "You joined #three\n");
    world.vanishes(others[0]);
    assert_eq!(joins(&mut world, ann, "four"), "You joined #four\n");
    world.vanishes(ann);
    world.vanishes(others[1]);
    let ann = slash(&mut world, FAR, "ann");
    assert_eq!(joins(&mut world, ann, "five"), "You joined #five\n", "another session");
}

#[test]
fn a_name_has_seats_in_so_many_rooms() {
    let mut world = World::with(at_most(0, 2));
    for room in ["one", "two", "three"] {
        world.host(room, &format!("host-of-{room}"), 1);
    }
    for room in ["one", "two"] {
        asks(&mut world, FAR, Operation::Join, room, "ann").expect("a seat");
    }
    for (operation, room) in [(Operation::Join, "three"), (Operation::Create, "four")] {
        assert_eq!(asks(&mut world, FAR, operation, room, "ann"), Err(Refusal::TooMany));
    }
    asks(&mut world, FAR, Operation::Join, "two", "ann").expect("the same seat");
    asks(&mut world, FAR, Operation::Join, "three", "bob").expect("a seat");
    // Whoever is exempt has as many as anybody can have.
    for index in 0..SEATS_OF_NAME_MAX {
        asks(&mut world, HERE, Operation::Create, &format!("room{index}"), "many").expect("a seat");
    }
    assert_eq!(asks(&mut world, HERE, Operation::Create, "more", "many"), Err(Refusal::TooMany));
}

#[test]
fn who_is_exempt_makes_rooms_as_it_likes() {
    let mut world = World::with(at_most(1, 1));
    let clients = ["ann", "bob", "cid"].map(|name| world.slash(name));
    for (index, client) in clients.into_iter().enumerate() {
        assert!(
            joins(&mut world, client, &format!("room{index}"))
                .ends_with(&format!("You joined #room{index}\n"))
        );
    }
}
