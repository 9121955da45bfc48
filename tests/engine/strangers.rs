//! Peers of other protocols, and clients that speak Telnet.

use parlance::chat::CloseReason;
use parlance::engine::Settings;
use parlance::fanout::Close;
use parlance::limits::{OUTBOX_BYTES_HIGH, OUTBOX_BYTES_MAX, RECEIVE_BUFFER_BYTES};
use parlance::wire::{Dialect, Foreign};

use crate::world::{Ended, World, settings};

const STREAMS: [Dialect; 5] = [Dialect::Line, Dialect::Slash, Dialect::Tcrp, Dialect::Typed, Dialect::Gob];
const STRANGER: Ended = Ended { close: Some(Close::Linger), reason: CloseReason::WrongProtocol };

const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: 127.0.0.1:4000\r\nContent-Length: 40\r\n\r\n\
    LOGIN eve\nMSG buy things\nDM alice psst\n";
const TLS: &[u8] = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03\nLOGIN eve\nMSG buy things\n";

/// The words of a dialect before its peer has sent anything.
fn greeting(dialect: Dialect) -> &'static str {
    if dialect == Dialect::Slash { "Welcome to the chat server!\nEnter your nickname: " } else { "" }
}

#[test]
fn a_stranger_is_closed_without_an_answer_and_nothing_it_sends_is_done() {
    for (bytes, cause) in [(POST, "foreign-http"), (TLS, "foreign-tls")] {
        let mut world = World::new();
        let (alice, bob) = (world.line("alice"), world.slash("bob"));
        world.hears(alice);
        for dialect in STREAMS {
            let eve = world.connects(dialect);
            world.sends(eve, bytes);
            assert_eq!(world.hears(eve), greeting(dialect), "{dialect:?}");
            assert_eq!(world.ended(eve), Some(STRANGER), "{dialect:?}");
        }
        assert_eq!((world.hears(alice), world.hears(bob)), (String::new(), String::new()));
        let metrics = world.metrics();
        assert_eq!(metrics.refused_for(cause), STREAMS.len() as u64);
        assert_eq!(metrics.closed_for(CloseReason::WrongProtocol), STREAMS.len() as u64);
        // The logins of the two who are here.
        assert_eq!(metrics.commands, 2);
    }
}

#[test]
fn a_stranger_is_recognised_wherever_its_bytes_are_cut() {
    for dialect in STREAMS {
        for cut in 0..b"POST /".len() {
            let mut world = World::new();
            let eve = world.connects(dialect);
            world.sends(eve, &POST[..cut]);
            assert_eq!((world.hears(eve).as_str(), world.ended(eve)), (greeting(dialect), None));
            world.sends(eve, &POST[cut..]);
            assert_eq!(
                (world.hears(eve).as_str(), world.ended(eve)),
                ("", Some(STRANGER)),
                "{dialect:?} {cut}"
            );
        }
        let mut world = World::new();
        let eve = world.connects(dialect);
        for byte in POST {
            world.sends(eve, &[*byte]);
        }
        assert_eq!(world.hears(eve), greeting(dialect));
        assert_eq!(world.ended(eve), Some(STRANGER), "{dialect:?}");
    }
}

/// A web page may send any bytes in the body of a POST, and a TLS handshake has random ones.
#[test]
fn a_stranger_is_recognised_where_its_bytes_look_like_telnet_commands() {
    let proxy = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".as_slice();
    for dialect in [Dialect::Line, Dialect::Slash] {
        for telnet in
            [&[IAC, 241][..], &[IAC, 244], &[IAC, DO, 6], &[IAC, 250, 24, IAC, 240], &[IAC, 236], &[IAC]]
        {
            for opening in [&b"POST / HTTP/1.1\r\n\r\n"[..], b"\xef\xbb\xbfPOST /", b"\x16\x03\x01", proxy] {
                let stream = [opening, telnet, b"\nLOGIN eve\nMSG buy things\n"].concat();
                // In one read, and with the commands in the second, third and last of several.
                for cut in [0, 1, 2, opening.len()] {
                    if dialect == Dialect::Slash && opening == proxy && (1..8).contains(&cut) {
                        // Its empty line is a nickname, and refused.
                        continue;
                    }
                    let mut world = World::new();
                    let eve = world.connects(dialect);
                    world.sends(eve, &stream[..cut]);
                    world.sends(eve, &stream[cut..]);
                    let what = format!("{dialect:?} {cut} {}", stream.escape_ascii());
                    assert_eq!(world.hears(eve), greeting(dialect), "{what}");
                    assert_eq!(world.ended(eve), Some(STRANGER), "{what}");
                    assert_eq!(world.metrics().commands, 0, "{what}");
                }
            }
        }
    }
}

#[test]
fn strangers_are_counted_for_the_log_by_protocol() {
    let mut world = World::new();
    for _ in 0..100 {
        let eve = world.connects(Dialect::Gob);
        world.sends(eve, POST);
    }
    let irc = world.connects(Dialect::Line);
    world.sends(irc, b"NICK eve\r\nUSER eve 0 * :Eve\r\n");
    // The dialect answers it as before.
    assert_eq!(world.hears(irc), "ERR must-login-first\nERR must-login-first\n");
    assert_eq!(world.ended(irc), None);
    for dialect in [Dialect::Tcrp, Dialect::Typed, Dialect::Gob] {
        let irc = world.connects(dialect);
        world.sends(irc, b"NICK eve\r\nUSER eve 0 * :Eve\r\n");
        assert_eq!((world.hears(irc).as_str(), world.ended(irc)), ("", Some(STRANGER)), "{dialect:?}");
    }
    let mut seen = Vec::new();
    while let Some(stranger) = world.engine.next_stranger() {
        seen.push((stranger.foreign, stranger.dialect, stranger.count, stranger.network().to_string()));
    }
    let here = "127.0.0.1".to_owned();
    let expected = [(Foreign::Http, Dialect::Gob, 100, here.clone()), (Foreign::Irc, Dialect::Gob, 4, here)];
    assert_eq!(seen, expected);
    assert!(world.engine.next_stranger().is_none());
}

#[test]
fn a_silent_gob_listener_tells_a_stranger_nothing_of_its_own() {
    let mut world = World::new();
    let (silent, garbage) = (world.connects(Dialect::Gob), world.connects(Dialect::Gob));
    world.sends(garbage, b"\x03abc\x03abc\x00");
    world.settles();
    assert!(world.metrics().refused_for("gob-unknown-type") + world.metrics().refused_for("gob-empty") > 0);
    world.seconds_pass(31);
    world.settles();
    assert_eq!((world.took(silent), world.took(garbage)), (String::new(), String::new()));
    for stranger in [silent, garbage] {
        assert_eq!(world.ended(stranger).map(|ended| ended.reason), Some(CloseReason::LoginTimeout));
    }
}

#[test]
fn what_follows_the_first_bytes_is_the_dialects_own() {
    let mut world = World::new();
    let alice = world.line("alice");
    world.types(alice, "POST / HTTP/1.1");
    world.types(alice, "PING");
    assert_eq!((world.hears(alice).as_str(), world.ended(alice)), ("PONG\n", None));
}

const IAC: u8 = 255;
const DO: u8 = 253;
const TIMING_MARK: [u8; 3] = [IAC, DO, 6];

#[test]
fn telnet_is_answered_and_reaches_no_other_member() {
    let mut world = World::new();
    let alice = world.line("alice");
    let bob = world.connects(Dialect::Slash);
    world.hears(bob);
    world.sends(bob, &[b"bo", &[IAC, 251, 31, IAC, DO, 1][..], b"b\r\0"].concat());
    world.settles();
    let heard = world.took_bytes(bob);
    assert!(heard.starts_with(&[IAC, 254, 31, IAC, 252, 1]), "{}", heard.escape_ascii());
    assert!(heard.ends_with(b"*** bob joined the room\n"), "{}", heard.escape_ascii());
    world.sends(bob, &[b"half", &[IAC, 244][..], &TIMING_MARK, b"still here\r\0\n"].concat());
    world.settles();
    assert_eq!(world.took_bytes(bob), b"\xff\xfb\x06[12:34:56] bob: still here\n");
    assert_eq!(world.hears(alice), "MSG bob still here\n");
}

#[test]
fn a_telnet_keepalive_is_a_sign_of_life() {
    let mut world = World::new();
    let alice = world.slash("alice");
    for _ in 0..5 {
        world.seconds_pass(500);
        world.sends(alice, &[IAC, 241]);
    }
    assert_eq!(world.ended(alice), None);
    world.seconds_pass(601);
    world.settles();
    assert_eq!(world.ended(alice).map(|ended| ended.reason), Some(CloseReason::IdleTimeout));
}

#[test]
fn a_client_that_says_that_its_input_ends_is_closed_behind_its_answers() {
    let mut world = World::new();
    let alice = world.line("alice");
    world.sends(alice, &[&b"PING\r\0\nWHO\n"[..], &[IAC, 236]].concat());
    assert_eq!(world.hears(alice), "PONG\nUSER alice\n");
    assert_eq!(world.ended(alice).map(|ended| ended.reason), Some(CloseReason::PeerClosed));
}

#[test]
fn a_client_that_asks_and_does_not_read_is_not_read_from() {
    let mut world = World::with(Settings { exempt: Vec::new(), session_bytes_limit: 0, ..settings() });
    let alice = world.line("alice");
    world.reads_only(alice, 0);
    let asked = TIMING_MARK.repeat(RECEIVE_BUFFER_BYTES / 3);
    let mut rounds = 0;
    while world.listens_to(alice) {
        world.sends(alice, &asked);
        world.turn();
        rounds += 1;
        assert!(rounds < 100, "it is read from for ever");
    }
    assert!(world.held_bytes() <= OUTBOX_BYTES_HIGH + 3 * RECEIVE_BUFFER_BYTES, "{}", world.held_bytes());
    assert!(world.held_bytes() < OUTBOX_BYTES_MAX);
    world.reads_everything(alice);
    world.settles();
    assert!(world.listens_to(alice));
    world.took_bytes(alice);
    world.types(alice, "PING");
    assert_eq!(world.hears(alice), "PONG\n");
}

#[test]
fn a_subnegotiation_without_an_end_closes_the_connection() {
    let mut world = World::new();
    let alice = world.line("alice");
    world.sends(alice, &[&[IAC, 250][..], &[b'x'; 5000]].concat());
    assert_eq!(world.hears(alice), "ERR line-too-long\n");
    assert_eq!(world.ended(alice).map(|ended| ended.reason), Some(CloseReason::Malformed));
    assert_eq!(world.metrics().refused_for("telnet-subnegotiation-too-long"), 1);
}
