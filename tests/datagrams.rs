//! Many datagrams: sent joined, and lost before they are read.

#[path = "support/program.rs"]
mod program;
mod support;

use std::net::UdpSocket;

use parlance::chat::Event;
use parlance::client::{Entry, Seat as ClientSeat};
use parlance::config::{Shards, UcrpSender};
use parlance::limits::{UCRP_UNPROVED_FACTOR, UDP_BATCH_MAX};
use parlance::wire::Dialect;
use parlance::wire::Fit;
use parlance::wire::tcrp::Operation;
use parlance::wire::ucrp::Delivery;
use program::{Program, parlance};
use rustix::process::Signal;
use support::seat::{ELSEWHERE, Seat};
use support::{Peer, TestServer, deadline};

const SEATS: usize = 4;

/// Seats in the lobby, of which everybody knows where they are.
fn seats(server: &TestServer) -> Vec<Seat> {
    let seats: Vec<_> =
        (0..SEATS).map(|index| Seat::join(server, "lobby", &format!("seat{index}"))).collect();
    seats.iter().for_each(Seat::register);
    seats
}

/// Says texts in one breath, and has each seat hear them, one by one.
#[track_caller]
fn say(author: &mut Peer, seats: &[Seat], texts: &[String]) {
    author.send(texts.iter().map(|text| format!("MSG {text}\n")).collect::<String>());
    for seat in seats {
        for text in texts {
            seat.expect("author", text);
        }
    }
}

/// However many datagrams of equal size each is owed, one call sends them all.
#[test]
#[cfg(target_os = "linux")]
fn a_batch_of_equal_messages_costs_one_call_for_all_seats_together() {
    const ROUNDS: u64 = 50;
    // With several, seats are on all of them.
    let server = TestServer::with(|config| config.shards = Shards::Count(1));
    let mut author = server.line("author");
    let seats = seats(&server);
    let texts: Vec<_> = (0..16).map(|index| format!("text {index:2}.")).collect();
    for _ in 0..ROUNDS {
        say(&mut author, &seats, &texts);
    }
    let report = server.stop();
    assert_eq!(report.metrics.datagrams_undeliverable, 0);
    // An answer for each when it came, and one batch at the end; before the first round, and behind the last, the kernel is told
    // how long a datagram is.
    assert_eq!(report.system_calls.datagram_writes, SEATS as u64 + 1 + ROUNDS + 1 + 1);
}

#[test]
fn messages_of_any_size_arrive_one_by_one_and_in_order() {
    let server = TestServer::start();
    let mut author = server.line("author");
    let seats = seats(&server);
    for lengths in [
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        [9, 9, 9, 8, 8, 8, 9, 9, 7, 1],
        [1, 2, 3, 4, 5, 5, 4, 3, 2, 1],
        [1400, 1400, 1400, 1500, 1500, 1500, 2000, 2000, 1, 1],
        [3000, 3000, 3000, 3000, 3000, 70, 70, 70, 70, 3000],
    ] {
        // No two are the same.
        let texts: Vec<_> = (b'a'..)
            .zip(lengths)
            .map(|(letter, length)| char::from(letter).to_string().repeat(length))
            .collect();
        say(&mut author, &seats, &texts);
    }
    drop(author);
    assert_eq!(server.stop().metrics.datagrams_undeliverable, 0);
}

/// More than one message holds, and more than a visit brings.
#[test]
fn a_seat_that_is_owed_hundreds_gets_them_in_order() {
    let server = TestServer::start();
    let mut author = server.line("author");
    let seats = seats(&server);
    let texts: Vec<_> = (0..150).map(|index| format!("{index:03}{}", "x".repeat(70))).collect();
    say(&mut author, &seats, &texts);
    drop(author);
    server.stop();
}

/// Whatever the number of datagrams in a visit, the traffic to a forged address is bounded to the byte.
#[test]
fn an_address_that_is_not_that_of_the_handshake_gets_no_more_than_is_allowed_unproved() {
    let server = TestServer::with(|config| config.ucrp_sender = UcrpSender::Any);
    let mut author = server.line("author");
    let seat = Seat::join(&server, "lobby", "ursula").moved(&server, ELSEWHERE);
    let text = "x".repeat(20);
    let came = seat.register_elsewhere();
    author.send(format!("MSG {text}\n").repeat(100));
    author.send("PING\n");
    author.expect("PONG\n");
    let length = |sender, text| {
        let mut datagram = Vec::new();
        assert_eq!(Delivery::Relay { sender, text }.encode(&mut datagram), Fit::Whole);
        datagram.len()
    };
    let asked = length("server", "__CONFIRM__ 0123456789abcdef");
    let allowed = (UCRP_UNPROVED_FACTOR as usize * came - asked) / length("author", &text);
    assert!((1..100).contains(&allowed));
    drop(author);
    assert_eq!(server.stop().metrics.datagrams_sent, 1 + allowed as u64);
}

/// A client whose address changed goes on, if the operator allows that.
#[test]
fn a_client_that_moved_answers_for_its_new_address_and_is_told_everything() {
    let server = TestServer::with(|config| config.ucrp_sender = UcrpSender::Any);
    let mut author = server.line("author");
    let token = Seat::join(&server, "lobby", "ursula").token();
    let socket = UdpSocket::bind((ELSEWHERE, 0)).expect("a port");
    socket.connect(server.address(Dialect::Ucrp)).expect("an address");
    let mut seat = ClientSeat::open(socket, "lobby", token).expect("a seat");
    // The question for a proof stands in front of the answer, and the proof in front of what comes next.
    for _ in 0..2 {
        seat.direct("nobody", "are you there?").expect("sent");
        let event = seat.next_event(deadline()).expect("an answer");
        assert!(matches!(event, Event::Message { sender: "server", .. }), "{event:?}");
    }
    let texts: Vec<_> = (0..50).map(|index| format!("{index}{}", "x".repeat(1000))).collect();
    author.send(texts.iter().map(|text| format!("MSG {text}\n")).collect::<String>());
    for text in &texts {
        let event = seat.next_event(deadline()).expect("a message");
        assert!(matches!(event, Event::Message { text: told, .. } if told == text), "{event:?}");
    }
}

/// Each socket that has datagrams gives one batch a turn. So a flood on one, with a word behind it, is read
/// later than a word on another that came last of all.
#[test]
fn a_flood_on_one_socket_does_not_delay_the_datagrams_of_another() {
    // Several batches, and far from what the kernel's buffer holds.
    const FLOOD: usize = 4 * UDP_BATCH_MAX;
    for flooded in [0, 1] {
        let directory = tempfile::tempdir().expect("a directory");
        // Several shards have a socket each on an address, and a thread each.
        let arguments = "--store memory --shards 1 --bind 127.0.0.1,127.0.0.2 \
                         --line 0 --tcrp 0 --ucrp 0 --slash off --typed off --gob off";
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        let program = Program::try_spawn(directory.path(), parlance(directory.path(), &arguments));
        let program = program.expect("it serves");
        let mut listener = Peer::connect(program.address(Dialect::Line));
        listener.send("LOGIN listener\n");
        listener.expect("OK\n");
        let seat = |index: u8, name| {
            let at = |dialect| {
                let mut address = program.address(dialect);
                address.set_ip([127, 0, 0, 1 + index].into());
                address
            };
            let entry = Entry { room: "lobby", operation: Operation::Join, name, password: None };
            let seat = ClientSeat::take(at(Dialect::Tcrp), Some(at(Dialect::Ucrp)), &entry, deadline());
            (seat.expect("a seat"), at(Dialect::Ucrp))
        };
        let ((mut behind, flooded_at), (mut last, _)) = (seat(flooded, "behind"), seat(1 - flooded, "last"));
        let stranger = UdpSocket::bind("127.0.0.1:0").expect("a port");

        program.stop();
        for _ in 0..FLOOD {
            stranger.send_to(b"no token", flooded_at).expect("whether it is read or not");
        }
        behind.say("behind the flood").expect("sent");
        last.say("beside the flood").expect("sent");
        program.signal(Signal::CONT);
        listener.expect("MSG last beside the flood\nMSG behind behind the flood\n");
        drop((listener, behind, last));
        assert_eq!(program.end(Signal::TERM).code(), Some(0));
    }
}

/// A server that stands still reads nothing: what does not fit into the kernel's buffer is lost, and counted when it goes on.
#[test]
#[cfg(target_os = "linux")]
fn what_comes_while_the_server_stands_still_is_read_or_counted_as_lost() {
    // More than the buffer holds, whatever the kernel allows.
    const SENT: u64 = 4000;
    let directory = tempfile::tempdir().expect("a directory");
    // With several, the buffers of the others are not full, and the seat may be heard through one of those.
    let program = Program::start(directory.path(), &["--store", "memory", "--shards", "1"]);
    let mut line = Peer::connect(program.address(Dialect::Line));
    let entry = Entry { room: "lobby", operation: Operation::Join, name: "ursula", password: None };
    let ucrp = program.address(Dialect::Ucrp);
    let mut seat =
        ClientSeat::take(program.address(Dialect::Tcrp), Some(ucrp), &entry, deadline()).expect("a seat");
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a port");

    program.stop();
    for _ in 0..SENT {
        stranger.send_to(&[0; 4000], ucrp).expect("whether it is read or not");
    }
    program.signal(Signal::CONT);
    // Each takes a turn, in which it reads some of them.
    for _ in 0..=SENT / 64 {
        line.send("PING\n");
        line.expect("PONG\n");
    }
    // What was lost is told with what comes later, the first of which makes the room for it.
    for _ in 0..2 {
        seat.direct("nobody", "are you there?").expect("sent");
        let Delivery::Relay { sender, .. } = seat.next_delivery(deadline()).expect("an answer") else {
            panic!("the room is open")
        };
        assert_eq!(sender, "server");
    }
    drop(line);
    assert_eq!(program.end(Signal::TERM).code(), Some(0));

    let log = std::fs::read_to_string(directory.path().join("server.log")).expect("UTF-8");
    let counted = |name: &str| -> u64 {
        let (_, rest) = log.rsplit_once(name).unwrap_or_else(|| panic!("no {name} in {log}"));
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    };
    assert!(log.contains("datagrams came faster than they were read, and were lost"), "{log}");
    let (lost, read) = (counted("datagrams_lost="), counted("\"ucrp-unknown-token\": "));
    assert!(lost > 0 && read > 0, "{lost} lost, {read} read");
    assert_eq!(lost + read, SENT);
}
