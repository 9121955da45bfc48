//! Seats: people who are spoken to in datagrams.

use std::net::{IpAddr, SocketAddr};

use parlance::chat::{Change, CloseReason, Token};
use parlance::engine::Settings;
use parlance::fanout::DatagramPath;
use parlance::limits::{UCRP_CHALLENGE_SECONDS, UCRP_HISTORY_MESSAGES};
use parlance::wire::Dialect;
use parlance::wire::tcrp::{Content, Decoded, Operation, Refusal, Reply, encode_request};
use parlance::wire::ucrp::{Datagram, Delivery, Message, Query};

use crate::world::{Client, ELSEWHERE, HERE, World, settings};

/// What somebody who shook hands knows.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) room: String,
    pub(crate) token: Token,
    pub(crate) address: SocketAddr,
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::new(HERE, port)
}

/// Shakes hands, and reads the answer.
pub(crate) fn asks(
    world: &mut World,
    ip: IpAddr,
    operation: Operation,
    room: &str,
    name: &str,
) -> Result<Token, Refusal> {
    let client = shakes(world, ip, operation, room, name);
    world.settles();
    answer(world, client)
}

/// Shakes hands.
pub(crate) fn shakes(world: &mut World, ip: IpAddr, operation: Operation, room: &str, name: &str) -> Client {
    let client = world.connects_from(ip, Dialect::Tcrp);
    let mut request = Vec::new();
    encode_request(room, operation, name, None, &mut request).expect("short");
    world.sends(client, &request);
    client
}

/// Reads the answer to a handshake.
pub(crate) fn answer(world: &mut World, client: Client) -> Result<Token, Refusal> {
    let bytes = world.took_bytes(client);
    let Decoded::Whole { frame: compliance, consumed } = Reply::decode(&bytes) else { panic!("{bytes:?}") };
    let Decoded::Whole { frame: complete, .. } = Reply::decode(&bytes[consumed..]) else {
        panic!("{bytes:?}")
    };
    match (compliance.content, complete.content) {
        (Content::Accepted, Content::Complete(Some(token))) => Ok(token),
        (Content::Refused(Some(refusal)), Content::Complete(None)) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

impl World {
    pub(crate) fn seated(&mut self, operation: Operation, room: &str, name: &str, port: u16) -> Seat {
        let token = asks(self, HERE, operation, room, name).expect("a seat");
        let seat = Seat { room: room.to_owned(), token, address: address(port) };
        self.seat_sends(&seat, Message::Register);
        seat
    }

    pub(crate) fn host(&mut self, room: &str, name: &str, port: u16) -> Seat {
        self.seated(Operation::Create, room, name, port)
    }

    pub(crate) fn guest(&mut self, room: &str, name: &str, port: u16) -> Seat {
        self.seated(Operation::Join, room, name, port)
    }

    pub(crate) fn seat_sends(&mut self, seat: &Seat, message: Message<'_>) {
        self.seat_sends_from(seat, seat.address, message);
    }

    /// Returns how many bytes that were.
    pub(crate) fn seat_sends_from(&mut self, seat: &Seat, from: SocketAddr, message: Message<'_>) -> usize {
        let mut bytes = Vec::new();
        let token = seat.token.reveal();
        Datagram { room: &seat.room, token: &token, message }.encode(&mut bytes).expect("short");
        self.datagram(from, &bytes);
        bytes.len()
    }

    /// What came to a port.
    pub(crate) fn seat_hears(&mut self, port: u16) -> Vec<String> {
        self.settles();
        let (its, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.datagrams).into_iter().partition(|(to, _)| *to == address(port));
        self.datagrams = others;
        let shown = |bytes: &[u8]| match Delivery::decode(bytes).expect("a server's datagram") {
            Delivery::Relay { sender, text } => format!("{sender}: {text}"),
            Delivery::RoomClosed => "closed".to_owned(),
        };
        its.iter().map(|(_, bytes)| shown(bytes)).collect()
    }

    pub(crate) fn refused(&self, cause: &str) -> u64 {
        self.engine.metrics().refused_for(cause)
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn what_a_seat_is_sent_takes_the_way_of_its_last_datagram_back() {
    let mut world = World::new();
    let ann = world.host("den", "ann", 1);
    let bob = world.guest("den", "bob", 2);
    let local = |last: u8| Some(IpAddr::from([10, 0, 0, last]));
    let register = |world: &mut World, local, port| {
        let mut bytes = Vec::new();
        let token = bob.token.reveal();
        Datagram { room: "den", token: &token, message: Message::Register }
            .encode(&mut bytes)
            .expect("short");
        world.datagram_on(DatagramPath { peer: address(port), local }, &bytes);
        world.settles();
        world.paths.clear();
        world.seat_sends(&ann, Message::Chat("hi"));
        world.settles();
        std::mem::take(&mut world.paths)
    };
    let path = |port, local| vec![DatagramPath { peer: address(port), local }];
    assert_eq!(register(&mut world, local(1), 2), path(2, local(1)));
    assert_eq!(register(&mut world, local(2), 2), path(2, local(2)));
    // The system does not always tell; the last that was told holds for the same peer.
    assert_eq!(register(&mut world, None, 2), path(2, local(2)));
    assert_eq!(register(&mut world, None, 3), path(3, None));
    assert_eq!(register(&mut world, local(1), 3), path(3, local(1)));
}

#[test]
fn a_room_of_seats_talks_and_closes_with_its_host() {
    let mut world = World::new();
    let alice = world.host("den", "alice", 1);
    let bob = world.guest("den", "bob", 2);
    let slash = world.slash("carol");
    world.types(slash, "/join den");
    world.hears(slash);
    world.seat_sends(&alice, Message::Chat("hi"));
    assert_eq!(world.seat_hears(2), ["alice: hi"]);
    assert_eq!(world.seat_hears(1), NOTHING, "no echo");
    assert_eq!(world.hears(slash), "[12:34:56] alice: hi\n");
    world.types(slash, "hello");
    assert_eq!(world.seat_hears(1), ["carol: hello"]);
    assert_eq!(world.seat_hears(2), ["carol: hello"]);
    world.seat_sends(&alice, Message::Chat("bye"));
    world.seat_sends(&alice, Message::Leave);
    assert_eq!(world.seat_hears(2), ["alice: bye", "closed"], "what was said before is still sent");
    assert_eq!(world.seat_hears(1), NOTHING);
    let heard = world.hears(slash);
    assert!(heard.ends_with("*** den was closed by its host\nYou returned to #lobby\n"), "{heard}");
    assert_eq!((world.engine.seat_count(), world.engine.connection_count()), (0, 1));
    world.seat_sends(&bob, Message::Chat("anybody?"));
    assert_eq!(world.refused("ucrp-unknown-token"), 1);
    // The names are free, and so is the room.
    world.host("den", "bob", 3);
    assert_eq!(world.metrics().closed_for(CloseReason::RoomClosed), 1);
}

#[test]
fn a_member_leaves_alone_and_its_name_is_free() {
    let mut world = World::new();
    let alice = world.host("den", "alice", 1);
    let bob = world.guest("den", "bob", 2);
    world.seat_sends(&bob, Message::Leave);
    world.seat_sends(&alice, Message::Chat("still here?"));
    assert_eq!(world.seat_hears(1), NOTHING);
    assert_eq!(world.seat_hears(2), NOTHING);
    world.guest("den", "Bob", 3);
    world.seat_sends(&alice, Message::Chat("welcome back"));
    assert_eq!(world.seat_hears(3), ["alice: welcome back"]);
}

#[test]
fn every_refusal_has_its_word() {
    let mut world = World::new();
    world.line("dave");
    world.host("den", "alice", 1);
    for (operation, room, name, word) in [
        (Operation::Create, "den", "bob", Refusal::RoomExists),
        (Operation::Create, "lobby", "bob", Refusal::RoomExists),
        (Operation::Join, "nowhere", "bob", Refusal::NoSuchRoom),
        (Operation::Join, "den", "DAVE", Refusal::NameTaken),
        (Operation::Join, "den", "server", Refusal::NameTaken),
        (Operation::Join, "den", "root", Refusal::BadName),
        (Operation::Join, "den", "", Refusal::BadName),
        (Operation::Create, "", "bob", Refusal::BadRoom),
        (Operation::Create, "a\nb", "bob", Refusal::BadRoom),
        (Operation::Create, "a", &"x".repeat(33), Refusal::TooLong),
    ] {
        assert_eq!(asks(&mut world, HERE, operation, room, name), Err(word), "{room} {name}");
    }
    assert_eq!(world.engine.seat_count(), 1);
    assert_eq!(world.engine.connection_count(), 1, "each connection was closed");
}

#[test]
fn a_text_that_is_not_a_name_gets_the_nearest_free_one_and_is_told_so() {
    let mut world = World::new();
    world.line("Eve_Smith");
    world.host("den", "alice", 1);
    let john = world.guest("den", "John Smith", 2);
    assert_eq!(world.seat_hears(1), ["server: your name here is John_Smith"; 0]);
    assert_eq!(world.seat_hears(2), ["server: your name here is John_Smith"]);
    world.seat_sends(&john, Message::Chat("hi"));
    assert_eq!(world.seat_hears(1), ["John_Smith: hi"]);
    // The same text in the same room from the same address is the same person; another text is not.
    assert_eq!(asks(&mut world, HERE, Operation::Join, "den", "John Smith"), Ok(john.token));
    let other = world.guest("den", "John,Smith", 3);
    assert_ne!(other.token, john.token, "a comma is allowed in a name");
    let other = world.guest("den", "John\tSmith", 4);
    assert_eq!(world.seat_hears(4), ["server: your name here is John_Smith~2"]);
    assert_ne!(other.token, john.token);
    let elsewhere = asks(&mut world, ELSEWHERE, Operation::Join, "den", "John Smith").expect("a seat");
    assert!(elsewhere != john.token && elsewhere != other.token);
    // What a session holds is not free.
    world.guest("den", "Eve Smith", 5);
    assert_eq!(world.seat_hears(5), ["server: your name here is Eve_Smith~2"]);

    let mut strict = World::with(Settings { seats_yield_names: false, ..settings() });
    strict.host("den", "alice", 1);
    for name in ["b ob", "a\0b", "#alice"] {
        assert_eq!(asks(&mut strict, HERE, Operation::Join, "den", name), Err(Refusal::BadName));
    }
}

#[test]
fn a_seat_takes_no_passwords_and_stays_in_its_room() {
    let mut world = World::new();
    world.host("den", "alice", 1);
    let bob = world.guest("den", "bob", 2);
    for (text, answer) in [
        ("/login alice secret", "datagrams"),
        ("/register secret", "datagrams"),
        ("/password old new", "datagrams"),
        ("/unregister secret", "datagrams"),
        ("/join lobby", "a token is for one room"),
        ("/leave", "a token is for one room"),
        ("/who", "in den: 2"),
    ] {
        world.seat_sends(&bob, Message::Chat(text));
        let heard = world.seat_hears(2);
        assert!(heard.len() == 1 && heard[0].contains(answer), "{text}: {heard:?}");
        assert_eq!(world.seat_hears(1), NOTHING, "{text} is not said");
    }
}

#[test]
fn who_joins_again_gets_its_token_at_its_own_address_only() {
    let mut world = World::new();
    let alice = world.host("den", "alice", 1);
    assert_eq!(asks(&mut world, HERE, Operation::Join, "den", "ALICE"), Ok(alice.token));
    assert_eq!(asks(&mut world, ELSEWHERE, Operation::Join, "den", "alice"), Err(Refusal::NameTaken));
    assert_eq!(world.engine.seat_count(), 1);
}

#[test]
fn one_person_has_seats_in_several_rooms() {
    let mut world = World::new();
    world.host("den", "alice", 1);
    let second = world.host("attic", "alice", 2);
    assert_eq!(asks(&mut world, ELSEWHERE, Operation::Create, "cellar", "alice"), Err(Refusal::NameTaken));
    let line = world.connects(Dialect::Line);
    world.types(line, "LOGIN alice");
    assert_eq!(world.hears(line), "ERR username-taken\n");
    // The first room closes; the other is still hers.
    let first = asks(&mut world, HERE, Operation::Join, "den", "alice").expect("her own");
    world.seat_sends(&Seat { room: "den".into(), token: first, address: address(1) }, Message::Leave);
    let bob = world.guest("attic", "bob", 3);
    world.seat_sends(&bob, Message::Chat("hi"));
    assert_eq!(world.seat_hears(2), ["bob: hi"]);
    world.seat_sends(&bob, Message::Chat("/msg alice psst"));
    assert_eq!(world.seat_hears(2), ["bob (private): psst"]);
    world.seat_sends(&second, Message::Leave);
    world.types(line, "LOGIN alice");
    assert_eq!(world.hears(line), "OK\n");
}

#[test]
fn a_datagram_counts_with_the_room_and_the_address_of_its_token() {
    let mut world = World::new();
    let alice = world.host("den", "alice", 1);
    let bob = world.guest("den", "bob", 2);
    let stranger = SocketAddr::new(ELSEWHERE, 2);
    world.seat_sends_from(&bob, stranger, Message::Chat("forged"));
    world.seat_sends_from(&bob, stranger, Message::Register);
    world.seat_sends_from(&bob, stranger, Message::Leave);
    let other_room = Seat { room: "attic".into(), ..bob.clone() };
    world.seat_sends(&other_room, Message::Chat("forged"));
    world.seat_sends(&other_room, Message::Leave);
    let guessed = Seat { token: Token::from_random([1; 16]), ..bob.clone() };
    world.seat_sends(&guessed, Message::Leave);
    world.datagram(address(2), b"\xff");
    world.datagram(address(2), b"");
    assert_eq!(world.seat_hears(1), NOTHING);
    assert_eq!(world.refused("ucrp-other-address"), 3);
    assert_eq!(world.refused("ucrp-other-room"), 2);
    assert_eq!(world.refused("ucrp-unknown-token"), 1);
    assert_eq!(world.refused("ucrp-past-end"), 2);
    // From another port of the same address, it counts, and moves the registration.
    world.seat_sends_from(&bob, address(5), Message::Chat("moved"));
    assert_eq!(world.seat_hears(1), ["bob: moved"]);
    world.seat_sends(&alice, Message::Chat("hi"));
    assert_eq!(world.seat_hears(5), ["alice: hi"]);
    assert!(world.datagrams.is_empty(), "nothing was answered");
}

#[test]
fn nothing_is_sent_to_who_was_not_heard() {
    let mut world = World::new();
    let alice = world.host("den", "alice", 1);
    let token = asks(&mut world, HERE, Operation::Join, "den", "bob").expect("a seat");
    world.seat_sends(&alice, Message::Chat("/msg bob psst"));
    assert_eq!(world.seat_hears(1), ["server: there is no bob here"]);
    for _ in 0..100 {
        world.seat_sends(&alice, Message::Chat(&"x".repeat(4000)));
    }
    world.settles();
    assert_eq!(world.held_bytes(), 0, "nothing is kept for it");
    let bob = Seat { room: "den".into(), token, address: address(2) };
    world.seat_sends(&bob, Message::Register);
    assert_eq!(world.seat_hears(2), NOTHING);
    world.seat_sends(&alice, Message::Chat("hi"));
    assert_eq!(world.seat_hears(2), ["alice: hi"]);
}

/// What went to an address, and the number that it was asked for last.
fn sent_to(world: &mut World, victim: SocketAddr) -> (Vec<Vec<u8>>, Option<String>) {
    world.settles();
    let (its, others): (Vec<_>, Vec<_>) =
        std::mem::take(&mut world.datagrams).into_iter().partition(|(to, _)| *to == victim);
    world.datagrams = others;
    let asked =
        its.iter().rev().find_map(|(_, bytes)| Some(Delivery::decode(bytes).ok()?.challenge()?.to_owned()));
    (its.into_iter().map(|(_, bytes)| bytes).collect(), asked)
}

/// RFC 9000, section 8.1: three times what came from there, however many seats are said to be there.
#[test]
fn an_unproved_address_is_sent_at_most_three_times_what_came_from_it() {
    let mut world = World::with(Settings { seats_keep_address: false, ..settings() });
    let alice = world.host("den", "alice", 1);
    let seats = ["bob", "carl", "dora"].map(|name| world.guest("den", name, 2));
    world.settles();
    let victim = SocketAddr::new(ELSEWHERE, 9);
    let mut received = 0;
    for seat in &seats {
        received += world.seat_sends_from(seat, victim, Message::Register);
    }
    for text in ["short", &"x".repeat(4000), "short again"] {
        for _ in 0..100 {
            world.seat_sends(&alice, Message::Chat(text));
            world.settles();
        }
    }
    let (datagrams, asked) = sent_to(&mut world, victim);
    let sent: usize = datagrams.iter().map(Vec::len).sum();
    assert!((2 * received..=3 * received).contains(&sent), "{sent} of {received}");
    assert!(asked.is_some(), "each datagram of a seat that is elsewhere is asked for a proof");
    assert_eq!(world.held_bytes(), 0, "nothing is kept for it");
    world.seat_sends(&alice, Message::Chat("/msg bob psst"));
    assert_eq!(world.seat_hears(1), ["server: there is no bob here"], "nor is it sent anything for itself");
}

#[test]
fn an_address_that_answers_is_sent_everything() {
    let mut world = World::with(Settings { seats_keep_address: false, ..settings() });
    let alice = world.host("den", "alice", 1);
    let bob = world.guest("den", "bob", 2);
    world.settles();
    let moved = SocketAddr::new(ELSEWHERE, 9);
    world.seat_sends_from(&bob, moved, Message::Register);
    let (_, asked) = sent_to(&mut world, moved);
    let number = asked.expect("a question");
    let text = "x".repeat(4000);
    let hears_all = |world: &mut World| {
        let sent = (0..10).map(|_| {
            world.seat_sends(&alice, Message::Chat(&text));
            sent_to(world, moved).0.len()
        });
        sent.sum::<usize>() == 10
    };
    let wrong = "0123456789abcdef";
    assert_ne!(number, wrong);
    world.seat_sends_from(&bob, moved, Message::Confirm(wrong));
    assert!(!hears_all(&mut world), "another number proves nothing");
    world.seat_sends_from(&bob, SocketAddr::new(ELSEWHERE, 10), Message::Confirm(&number));
    world.seat_sends_from(&bob, moved, Message::Register);
    let (_, asked) = sent_to(&mut world, moved);
    assert!(!hears_all(&mut world), "nor does the number from another address");
    let number = asked.expect("it is asked anew");
    // A question may be lost: it comes again, and not with each datagram.
    world.seat_sends_from(&bob, moved, Message::Register);
    assert_eq!(sent_to(&mut world, moved).1, None);
    world.seconds_pass(UCRP_CHALLENGE_SECONDS);
    world.seat_sends_from(&bob, moved, Message::Register);
    assert_eq!(sent_to(&mut world, moved).1.as_ref(), Some(&number));
    world.seat_sends_from(&bob, moved, Message::Confirm(&number));
    assert!(hears_all(&mut world));
    world.seat_sends_from(&bob, moved, Message::Chat("hi"));
    assert_eq!(world.seat_hears(1), ["bob: hi"], "the answers were no messages");
    assert!(hears_all(&mut world), "the address stays proved");
}

#[test]
fn a_full_socket_keeps_what_its_log_holds_and_drops_the_oldest() {
    let mut world = World::new();
    let alice = world.host("den", "alice", 1);
    world.guest("den", "bob", 2);
    world.takes_datagrams(false);
    let texts: Vec<_> = (0..100).map(|index| format!("{index} {}", "x".repeat(3000))).collect();
    for text in &texts {
        // A turn each, so that none is dropped at once because the room is busy.
        world.seat_sends(&alice, Message::Chat(text));
        world.settles();
    }
    assert!(world.datagrams.is_empty());
    world.takes_datagrams(true);
    let heard = world.seat_hears(2);
    let dropped = world.metrics().datagrams_dropped + world.refused("ucrp-room-busy");
    assert!(dropped > 0 && !heard.is_empty(), "{dropped} dropped, {} heard", heard.len());
    assert_eq!(heard.len() as u64 + dropped, 100, "each is heard or counted");
    let last: Vec<_> = texts[100 - heard.len()..].iter().map(|text| format!("alice: {text}")).collect();
    assert_eq!(heard, last, "the newest are kept, in order");
}

#[test]
fn who_is_silent_for_a_day_leaves_and_a_hosts_room_closes() {
    let mut world = World::new();
    let alice = world.host("den", "alice", 1);
    world.guest("den", "bob", 2);
    world.seconds_pass(80_000);
    world.seat_sends(&alice, Message::Register);
    world.seconds_pass(7000);
    world.turn();
    world.settles();
    assert_eq!(world.engine.seat_count(), 1, "bob left");
    world.guest("den", "carol", 3);
    world.seconds_pass(80_000);
    world.settles();
    assert_eq!(world.seat_hears(3), ["closed"]);
    assert_eq!(world.engine.seat_count(), 0);
    assert_eq!(world.metrics().closed_for(CloseReason::IdleTimeout), 2);
}

#[test]
fn rooms_and_seats_are_ops() {
    let mut world = World::with(Settings { journal: true, ..settings() });
    let alice = world.host("den", "alice", 1);
    let bob = world.guest("den", "bob", 2);
    world.guest("den", "carol", 3);
    world.seat_sends(&bob, Message::Chat("hi"));
    world.seat_sends(&bob, Message::Leave);
    world.seat_sends(&alice, Message::Leave);
    world.settles();
    let mut changes = Vec::new();
    let mut ids = Vec::new();
    for op in world.engine.take_ops() {
        ids.push(op.id);
        changes.push(match op.change {
            Change::RoomMade { room, host } => format!("{room} made by {}", host.name),
            Change::SeatTaken { room, seat } => format!("{} in {room}", seat.name),
            Change::Said { room, sender, text } => format!("{sender} in {room}: {text}"),
            Change::SeatLeft { token } => format!("left: {}", token == bob.token),
            Change::RoomClosed { room, .. } => format!("{room} closed"),
            other => format!("{other:?}"),
        });
    }
    let expected =
        ["den made by alice", "bob in den", "carol in den", "bob in den: hi", "left: true", "den closed"];
    assert_eq!(changes, expected);
    assert!(ids.is_sorted());
}

#[test]
fn a_host_that_is_told_of_the_servers_end_keeps_its_room() {
    let mut world = World::with(Settings { journal: true, ..settings() });
    world.host("den", "alice", 1);
    world.guest("den", "bob", 2);
    world.engine.take_ops();
    world.engine.shutdown(world.now);
    world.settles();
    assert!(world.engine.is_empty());
    assert_eq!(world.engine.take_ops(), []);
    assert_eq!(world.seat_hears(2), ["server: server shutting down"]);
}

#[test]
fn a_seat_asks_who_is_there_and_for_the_last_messages() {
    let mut world = World::with(Settings { seats_may_query: true, ..settings() });
    let host = world.host("den", "host", 1);
    let token = asks(&mut world, HERE, Operation::Join, "den", "guest").expect("a seat");
    let guest = Seat { room: "den".to_owned(), token, address: address(2) };
    // The first datagram of an address may be forged: it is answered nothing.
    for query in [Query::Who, Query::History] {
        world.seat_sends(&guest, Message::Chat(query.text()));
    }
    assert_eq!(world.seat_hears(2), NOTHING);
    world.seat_sends(&guest, Message::Register);
    for number in 0..UCRP_HISTORY_MESSAGES + 5 {
        world.seat_sends(&host, Message::Chat(&number.to_string()));
    }
    world.seat_hears(2);
    world.seat_sends(&guest, Message::Chat(Query::Who.text()));
    assert_eq!(world.seat_hears(2), ["server: in den: host guest"]);
    world.seat_sends(&guest, Message::Chat(Query::History.text()));
    let expected: Vec<_> = (5..UCRP_HISTORY_MESSAGES + 5)
        .map(|number| format!("server: [1970-01-01 12:34:56] host: {number}"))
        .collect();
    assert_eq!(world.seat_hears(2), expected);
    // A text that has more in it is one; and nobody else heard the queries.
    world.seat_sends(&guest, Message::Chat("__WHO__ "));
    assert_eq!(world.seat_hears(1), ["guest: __WHO__ "]);
}

#[test]
fn queries_are_texts_where_they_are_not_answered() {
    let mut world = World::new();
    let _host = world.host("den", "host", 1);
    let guest = world.guest("den", "guest", 2);
    world.seat_sends(&guest, Message::Chat(Query::Who.text()));
    assert_eq!(world.seat_hears(1), ["guest: __WHO__"]);
    assert_eq!(world.seat_hears(2), NOTHING);
}

#[test]
fn the_answers_to_queries_count_against_the_bound_of_an_unproved_address() {
    let anywhere = Settings { seats_may_query: true, seats_keep_address: false, ..settings() };
    let mut world = World::with(anywhere);
    let host = world.host("den", "host", 1);
    let guest = world.guest("den", "guest", 2);
    for number in 0..UCRP_HISTORY_MESSAGES {
        world.seat_sends(&host, Message::Chat(&format!("{number} {}", "x".repeat(30))));
    }
    let from = SocketAddr::new(ELSEWHERE, 9);
    let query = Message::Chat(Query::History.text());
    // The first datagram of the address is dropped, the last one is behind an earlier one.
    let sent: usize = [query, Message::Register, Message::Register, query]
        .into_iter()
        .map(|message| world.seat_sends_from(&guest, from, message))
        .sum();
    world.settles();
    let told: usize =
        world.datagrams.iter().filter(|(to, _)| *to == from).map(|(_, bytes)| bytes.len()).sum();
    assert!(told > 0 && told <= 3 * sent, "{told} bytes for {sent}");
}
