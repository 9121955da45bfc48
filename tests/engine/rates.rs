//! What one session may send a second: messages, of which more are refused, and bytes, of which more are read later.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use parlance::chat::{CloseReason, Secret};
use parlance::engine::Settings;
use parlance::limits::{LINE_BYTES_MAX, RECEIVE_BUFFER_BYTES, SESSION_BYTES_LIMIT_MIN};
use parlance::wire::Dialect;
use parlance::wire::gob::Kind;
use parlance::wire::tcrp::Operation;
use parlance::wire::typed::Request;
use parlance::wire::ucrp::Message;

use crate::pace::shown;
use crate::seats::{Seat, asks};
use crate::world::{Client, World, settings};

const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn at_most(messages: u32, bytes: u32) -> Settings {
    Settings { session_messages_limit: messages, session_bytes_limit: bytes, ..settings() }
}

impl World {
    /// Somebody whom no exemption holds, logged in, who has read what was said about it.
    fn far(&mut self, dialect: Dialect, name: &str) -> Client {
        let client = self.connects_from(FAR, dialect);
        match dialect {
            Dialect::Line => self.types(client, &format!("LOGIN {name}")),
            Dialect::Slash => self.types(client, name),
            Dialect::Gob => self.gob_says(client, Kind::Join, name, ""),
            Dialect::Tcrp | Dialect::Ucrp | Dialect::Typed => panic!("not by a name alone"),
        }
        self.settles();
        self.took_bytes(client);
        client
    }
}

#[test]
fn messages_beyond_the_rate_are_refused_one_by_one_and_not_carried_out() {
    let mut world = World::with(at_most(2, 0));
    let reader = world.line("reader");
    let speaker = world.far(Dialect::Line, "speaker");
    // Ten seconds' worth at once, of which the login was one.
    for number in 0..30 {
        world.types(speaker, &format!("MSG {number}"));
    }
    let said: String = (0..19).map(|number| format!("MSG speaker {number}\n")).collect();
    assert_eq!(world.hears(reader), said);
    assert_eq!(world.hears(speaker), "ERR too-fast\n".repeat(11));
    assert_eq!(world.metrics().refused_for("too-fast"), 11);
    assert!(world.listens_to(speaker));
    // Who was refused has not paid for it.
    world.seconds_pass(1);
    world.types(speaker, "PING\nPING\nPING");
    assert_eq!(world.hears(speaker), "PONG\nPONG\nERR too-fast\n");
    world.seconds_pass(20);
    world.types(speaker, &"PING\n".repeat(21));
    assert_eq!(world.hears(speaker).matches("PONG").count(), 20);
    assert_eq!(world.ended(speaker), None);
}

#[test]
fn each_dialect_has_words_for_it() {
    let mut world = World::with(at_most(1, 0));
    let line = world.far(Dialect::Line, "line");
    world.sends(line, "PING\n".repeat(10).as_bytes());
    assert!(world.hears(line).ends_with("PONG\nERR too-fast\n"));
    let slash = world.far(Dialect::Slash, "slash");
    world.sends(slash, "/msg\n".repeat(10).as_bytes());
    assert!(world.hears(slash).ends_with("ERROR: Too fast, this was not done\n"));
    let gob = world.far(Dialect::Gob, "gob");
    for _ in 0..10 {
        world.gob_says(gob, Kind::Text, "", "/msg nobody x");
    }
    world.settles();
    let heard = shown(&world.took_bytes(gob));
    assert_eq!(heard.last().map(String::as_str), Some("server: too fast; this was not done"));
    assert_eq!(heard.len(), 10);
    let typed = world.connects_from(FAR, Dialect::Typed);
    for _ in 0..10 {
        assert_eq!(world.gets(typed, &Request::LoginName("typed")), ["new"]);
    }
    assert_eq!(world.gets(typed, &Request::LoginName("typed")), ["error: too fast; this was not done"]);
    assert_eq!(world.metrics().refused_for("too-fast"), 4);
}

#[test]
fn who_asks_for_nothing_is_answered_nothing_and_who_wants_to_go_goes() {
    let mut world = World::with(at_most(1, 0));
    let typed = world.connects_from(FAR, Dialect::Typed);
    for _ in 0..20 {
        assert_eq!(world.gets(typed, &Request::Ping(None)), [""; 0]);
    }
    assert_eq!(world.metrics().refused_for("too-fast"), 10);
    let slash = world.far(Dialect::Slash, "slash");
    world.types(slash, &"/msg\n".repeat(20));
    world.took(slash);
    world.types(slash, "/quit");
    assert!(world.hears(slash).ends_with("Goodbye!\n"));
    assert_eq!(world.ended(slash).map(|ended| ended.reason), Some(CloseReason::Quit));
}

#[test]
fn who_sends_bytes_faster_than_it_may_is_read_from_later_and_nothing_is_lost() {
    const RATE: usize = 4096;
    let mut world = World::with(at_most(0, RATE as u32));
    let reader = world.line("reader");
    let speaker = world.far(Dialect::Line, "speaker");
    let text = "x".repeat(1000);
    for number in 0..100 {
        world.types(speaker, &format!("MSG {number} {text}"));
        world.turn();
    }
    let said = |world: &mut World| world.hears(reader).lines().count();
    let at_once = said(&mut world);
    let line = "MSG 00 ".len() + text.len() + 1;
    assert!((1..=2).contains(&(10 * RATE / line + 1 - at_once)), "{at_once} at once");
    assert!(!world.listens_to(speaker), "it waits in its socket");
    let rested = world.metrics().rested;
    assert!(rested > 0);
    // The loop sleeps until then, whatever else happens.
    world.types(reader, "PING");
    assert_eq!(world.hears(reader), "PONG\n");
    assert!(!world.has_work() && !world.listens_to(speaker));
    assert_eq!(world.metrics().rested, rested);
    let mut heard = at_once;
    while heard < 100 {
        let until = world.engine.next_deadline().expect("it is looked at again");
        assert!(until > world.now.monotonic, "no sooner than it helps");
        let rests = until.saturating_sub(world.now.monotonic);
        assert!(rests <= Duration::from_secs(RECEIVE_BUFFER_BYTES as u64 / RATE as u64 + 1), "{rests:?}");
        world.now.monotonic = until;
        world.settles();
        heard += said(&mut world);
    }
    assert_eq!(heard, 100, "and none of it twice");
    // What came beyond the bucket was paid for at the rate.
    let beyond = (100 * line - 10 * RATE) as f64 / RATE as f64;
    let passed = world.now.monotonic.saturating_sub(Duration::from_millis(1500)).as_secs_f64();
    assert!((beyond - 2.0..beyond + 4.1).contains(&passed), "{passed} s, {beyond} s");
    assert!(world.listens_to(speaker));
    assert_eq!(world.metrics().refused_for("too-fast"), 0);
}

#[test]
fn one_that_rests_is_closed_like_any_other_and_its_place_is_not_woken_for_it() {
    let mut world = World::with(at_most(0, SESSION_BYTES_LIMIT_MIN));
    world.is_spread = false;
    let speaker = world.far(Dialect::Line, "speaker");
    for _ in 0..40 {
        world.types(speaker, &format!("MSG {}", "x".repeat(1000)));
    }
    world.settles();
    assert!(!world.listens_to(speaker));
    world.vanishes(speaker);
    let other = world.far(Dialect::Line, "other");
    assert_eq!(world.id(other).slot, world.id(speaker).slot);
    world.seconds_pass(30);
    world.types(other, "PING");
    assert_eq!(world.hears(other), "PONG\n");
}

#[test]
fn the_longest_line_is_not_held_back_by_the_lowest_rate() {
    let mut world = World::with(at_most(0, SESSION_BYTES_LIMIT_MIN));
    let reader = world.line("reader");
    let speaker = world.far(Dialect::Line, "speaker");
    let text = "x".repeat(LINE_BYTES_MAX - "MSG \n".len());
    world.types(speaker, &format!("MSG {text}"));
    assert_eq!(world.hears(reader), format!("MSG speaker {text}\n"));
}

#[test]
fn datagrams_beyond_either_rate_are_dropped_and_their_sender_is_told_once_a_second() {
    for (limits, text) in
        [(at_most(2, 0), "hi".to_owned()), (at_most(0, SESSION_BYTES_LIMIT_MIN), "x".repeat(900))]
    {
        let mut world = World::with(limits);
        world.host("den", "host", 1);
        let token = asks(&mut world, FAR, Operation::Join, "den", "bob").expect("a seat");
        let bob = Seat { room: "den".to_owned(), token, address: SocketAddr::new(FAR, 2) };
        world.seat_sends(&bob, Message::Register);
        for _ in 0..100 {
            world.seat_sends(&bob, Message::Chat(&text));
        }
        let heard = world.seat_hears(1).len();
        assert!((16..=20).contains(&heard), "{heard}");
        assert_eq!(world.refused("ucrp-too-fast"), 100 - heard as u64);
        let told = |world: &mut World| {
            let error = |(to, bytes): &&(SocketAddr, Vec<u8>)| {
                *to == bob.address && bytes.ends_with(b"servertoo fast; this was not done")
            };
            let count = world.datagrams.iter().filter(error).count();
            world.datagrams.clear();
            count
        };
        assert_eq!(told(&mut world), 1);
        world.seconds_pass(1);
        for _ in 0..100 {
            world.seat_sends(&bob, Message::Chat(&text));
        }
        let heard = world.seat_hears(1).len();
        assert!((1..=2).contains(&heard), "{heard}");
        assert_eq!(told(&mut world), 1);
        // It can go all the same.
        world.seat_sends(&bob, Message::Leave);
        world.settles();
        assert_eq!(world.engine.seat_count(), 1);
    }
}

#[test]
fn who_is_exempt_sends_as_fast_as_it_likes() {
    let mut world = World::with(at_most(1, SESSION_BYTES_LIMIT_MIN));
    let reader = world.line("reader");
    let speaker = world.line("speaker");
    let host = world.host("den", "host", 1);
    world.guest("den", "bob", 2);
    for _ in 0..50 {
        world.types(speaker, &format!("MSG {}", "x".repeat(1000)));
        world.seat_sends(&host, Message::Chat("hi"));
        world.turn();
    }
    assert_eq!(world.hears(reader).lines().count(), 50);
    assert_eq!(world.seat_hears(2).len(), 50);
}

#[test]
fn as_many_passwords_may_be_wrong_as_the_operator_says() {
    for limit in [1, 7] {
        let mut world = World::with(Settings { password_attempts_limit: limit, ..settings() });
        world.mail_user("alice");
        let thief = world.connects(Dialect::Typed);
        for _ in 0..limit {
            world.gets(thief, &Request::LoginName("alice"));
            assert_eq!(world.gets(thief, &Request::LoginPassword(Secret("guess"))), ["failed"]);
        }
        world.gets(thief, &Request::LoginName("alice"));
        let refused = ["error: too many wrong passwords; try again later"];
        assert_eq!(world.gets(thief, &Request::LoginPassword(Secret("guess"))), refused);
        let metrics = world.metrics();
        assert_eq!((metrics.wrong_passwords, metrics.attempts_refused), (u64::from(limit), 1));
    }
}
