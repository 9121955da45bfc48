//! What may come from one address: connections and seats at once, and new connections a second.

use std::net::IpAddr;

use parlance::chat::{CloseReason, ListenerId, Refused};
use parlance::engine::{Engine, Settings};
use parlance::wire::Dialect;
use parlance::wire::tcrp::{Operation, Refusal};
use parlance::wire::typed::{Frame, Reply, TagSet};

use crate::pace::shown;
use crate::seats::asks;
use crate::world::{HERE, World, settings};

const FAR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

fn at_most(clients: usize, connects: u32) -> Settings {
    Settings { address_clients_limit: clients, address_connects_limit: connects, ..settings() }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn an_address_has_so_many_connections_at_once_and_others_have_theirs() {
    let mut world = World::with(at_most(3, 0));
    let clients: Vec<_> = (0..3).map(|_| world.connects_from(FAR, Dialect::Line)).collect();
    for _ in 0..10 {
        assert_eq!(world.tries_to_connect(FAR, Dialect::Slash), Err(Refused::AddressFull));
    }
    world.connects_from(ELSEWHERE, Dialect::Line);
    assert_eq!(world.metrics().closed_for(CloseReason::AddressFull), 10);
    // Who goes makes space for one.
    world.vanishes(clients[1]);
    world.connects_from(FAR, Dialect::Gob);
    assert_eq!(world.tries_to_connect(FAR, Dialect::Typed), Err(Refused::AddressFull));
    assert_eq!(world.metrics().opened, 5 + 11, "whoever was refused came");
    assert_eq!(world.engine.connection_count(), 4, "and nothing is left of it");
}

#[test]
fn a_64_of_ipv6_is_one_address_and_so_is_an_ipv4_one_in_ipv6() {
    let mut world = World::with(at_most(1, 0));
    world.connects_from(ip("2001:db8:1:2::1"), Dialect::Line);
    let same = world.tries_to_connect(ip("2001:db8:1:2:ffff::9"), Dialect::Line);
    assert_eq!(same, Err(Refused::AddressFull));
    world.connects_from(ip("2001:db8:1:3::1"), Dialect::Line);
    world.connects_from(FAR, Dialect::Line);
    let same = world.tries_to_connect(ip("::ffff:192.0.2.1"), Dialect::Line);
    assert_eq!(same, Err(Refused::AddressFull));
}

#[test]
fn seats_count_as_connections_do() {
    let mut world = World::with(at_most(3, 0));
    // The handshake is a connection itself, as long as it lasts.
    let token = asks(&mut world, FAR, Operation::Create, "den", "ann").expect("a seat");
    asks(&mut world, FAR, Operation::Join, "den", "bob").expect("a seat");
    assert_eq!(asks(&mut world, FAR, Operation::Join, "den", "cid"), Err(Refusal::TooMany));
    let again = asks(&mut world, FAR, Operation::Create, "cellar", "ann");
    assert_eq!(again, Err(Refusal::TooMany));
    // Who has a seat gets no other one, and can ask for its token.
    assert_eq!(asks(&mut world, FAR, Operation::Join, "den", "ann"), Ok(token));
    asks(&mut world, ELSEWHERE, Operation::Join, "den", "dan").expect("a seat");
    world.connects_from(FAR, Dialect::Line);
    assert_eq!(world.tries_to_connect(FAR, Dialect::Line), Err(Refused::AddressFull));
}

#[test]
fn an_address_connects_so_often_a_second_and_ten_seconds_worth_at_once() {
    let mut world = World::with(at_most(0, 2));
    let admitted = |world: &mut World, from| {
        let tries = (0..50).filter(|_| {
            let tried = world.tries_to_connect(from, Dialect::Line);
            assert!(matches!(tried, Ok(_) | Err(Refused::AddressTooFast)), "{tried:?}");
            tried.is_ok()
        });
        tries.count()
    };
    assert_eq!(admitted(&mut world, FAR), 20);
    assert_eq!(admitted(&mut world, ELSEWHERE), 20, "each for itself");
    assert_eq!(world.metrics().closed_for(CloseReason::AddressTooFast), 60);
    world.seconds_pass(3);
    assert_eq!(admitted(&mut world, FAR), 6, "who was refused paid nothing");
    world.seconds_pass(60);
    assert_eq!(admitted(&mut world, FAR), 20);
}

#[test]
fn coming_and_going_does_not_make_an_address_a_new_one() {
    let mut world = World::with(at_most(0, 1));
    for _ in 0..10 {
        let client = world.connects_from(FAR, Dialect::Line);
        world.vanishes(client);
    }
    assert_eq!(world.tries_to_connect(FAR, Dialect::Line), Err(Refused::AddressTooFast));
}

#[test]
fn exempt_networks_connect_as_often_as_they_like() {
    let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|network| network.parse().expect("a network"));
    let mut world = World::with(Settings { exempt: networks.into(), ..at_most(1, 1) });
    for from in ["10.1.2.3", "2001:db8:7::1", "::ffff:10.1.2.3"] {
        for _ in 0..30 {
            world.connects_from(ip(from), Dialect::Line);
        }
    }
    world.connects_from(HERE, Dialect::Line);
    assert_eq!(
        world.tries_to_connect(HERE, Dialect::Line),
        Err(Refused::AddressFull),
        "it is not in the list"
    );
}

#[test]
fn a_listener_may_exempt_others_than_the_rest_do() {
    let network = |text: &str| text.parse().expect("a network");
    let listener_exempt = vec![None, Some(vec![]), Some(vec![network("10.0.0.0/8")])];
    let mut world = World::with(Settings { listener_exempt, ..at_most(1, 100) });
    let mut connect = |from: &str, listener| {
        world.listener = ListenerId(listener);
        world.tries_to_connect(ip(from), Dialect::Line).is_ok()
    };
    for (listener, from, expected) in [
        (0, "127.0.0.1", [true, true]),
        (1, "127.0.0.1", [true, false]),
        (2, "10.0.0.1", [true, true]),
        (2, "127.0.0.2", [true, false]),
        // Those that nothing is said of are like the rest.
        (3, "127.0.0.3", [true, true]),
    ] {
        assert_eq!([connect(from, listener), connect(from, listener)], expected, "{listener}, {from}");
    }
}

#[test]
fn seats_are_exempt_where_their_datagrams_come_in_and_not_their_handshakes() {
    let handshake = Settings { listener_exempt: vec![Some(vec![])], ..at_most(2, 0) };
    let mut world = World::with(handshake.clone());
    for name in ["ann", "bob", "cid"] {
        asks(&mut world, HERE, Operation::Join, "lobby", name).expect("an exempt seat");
    }
    assert_eq!(world.engine.seat_count(), 3);

    let mut world =
        World::with(Settings { seat_exempt: Some(vec![]), address_rooms_limit: 1, ..at_most(2, 0) });
    asks(&mut world, HERE, Operation::Create, "den", "ann").expect("a seat");
    let second = asks(&mut world, HERE, Operation::Create, "cellar", "bob");
    assert_eq!(second, Err(Refusal::TooMany), "one room");
    asks(&mut world, HERE, Operation::Join, "den", "bob").expect("a seat");
    assert_eq!(asks(&mut world, HERE, Operation::Join, "den", "cid"), Err(Refusal::TooMany), "two seats");
}

#[test]
fn by_default_the_machine_itself_is_exempt() {
    let mut world = World::with(at_most(1, 1));
    for from in ["127.0.0.1", "127.9.9.9", "::1"] {
        for _ in 0..30 {
            world.connects_from(ip(from), Dialect::Line);
        }
    }
}

#[test]
fn each_dialect_has_words_for_it() {
    let said = |dialect, refused| {
        let mut words = Vec::new();
        Engine::refusal(dialect, refused, &mut words);
        words
    };
    for (refused, line, slash, words, word) in [
        (
            Refused::AddressFull,
            "ERR too-many-connections\n",
            "Registration failed: Too many connections from your address\n",
            "there are too many connections from your address",
            "too-many",
        ),
        (
            Refused::AddressTooFast,
            "ERR connecting-too-fast\n",
            "Registration failed: Your address connects too often, try again later\n",
            "your address connects too often; try again later",
            "too-fast",
        ),
    ] {
        assert_eq!(said(Dialect::Line, refused), line.as_bytes());
        assert_eq!(said(Dialect::Slash, refused), slash.as_bytes());
        assert_eq!(shown(&said(Dialect::Gob, refused)), [format!("server: {words}")]);
        let frame = said(Dialect::Typed, refused);
        let decoded = Reply::decode(TagSet::InUse, &frame);
        assert!(matches!(decoded.frame, Frame::Whole(Reply::Error(text)) if text == words), "{decoded:?}");
        let answer = String::from_utf8_lossy(&said(Dialect::Tcrp, refused)).into_owned();
        assert!(answer.contains(&format!("\"reason\": \"{word}\"")), "{answer}");
    }
}
