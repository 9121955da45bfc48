//! Floods of datagrams, and datagrams with a forged sender.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;

use parlance::limits::{LINK_BYTES_MAX_FOR_DATAGRAMS, UCRP_UNPROVED_FACTOR};
use parlance::wire::Dialect;
use parlance::wire::tcrp::Operation;
use parlance::wire::ucrp::{Datagram, Message};

use crate::bystanders::Bystanders;
use crate::child::{Child, NOBODY_EXEMPT};
use crate::dice::Dice;
use crate::support::seat::{ELSEWHERE, Seat, shake};
use crate::support::shards;

const FLOODERS: u8 = 4;
const EACH: u64 = 25_000;
/// The kernel tells what it dropped with what comes later: the first time, with the second one.
const AFTERWARDS: u64 = 3;

/// Sends datagrams that would do something if their tokens, which nobody has, were somebody's.
fn flood(socket: &UdpSocket, dice: &mut Dice, count: u64) {
    let mut datagram = Vec::new();
    for _ in 0..count {
        datagram.clear();
        let token = format!("token_{:016x}{:016x}", dice.next(), dice.next());
        let messages = [Message::Register, Message::Chat("who reads this?"), Message::Leave];
        let message = messages[dice.below(messages.len())];
        Datagram { room: "lobby", token: &token, message }.encode(&mut datagram).expect("it fits");
        socket.send(&datagram).expect("whether it is read or not");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_flood_of_datagrams_with_random_tokens_is_counted_to_the_last_and_does_nothing() {
    let server = Child::start(&[]);
    // Of datagrams that come with a flood, the kernel drops some, whoever sent them.
    let mut bystanders = Bystanders::of_whom_datagrams_only_listen(&server);
    let (memory, sockets) = (server.resident_bytes_high(), server.sockets());
    let mut flooders: Vec<_> = (0..FLOODERS)
        .map(|index| {
            let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 1, index], 0))).expect("a port");
            socket.connect(server.address(Dialect::Ucrp)).expect("an address");
            (socket, Dice(index.into()))
        })
        .collect();
    bystanders.talk_while(|| {
        thread::scope(|scope| {
            for (socket, dice) in &mut flooders {
                scope.spawn(|| flood(socket, dice, EACH));
            }
        });
    });
    for _ in 0..AFTERWARDS {
        bystanders.talk_until(|| server.datagram_bytes_unread() == 0);
        for (socket, dice) in &mut flooders {
            flood(socket, dice, 1);
        }
    }
    bystanders.talk_until(|| server.datagram_bytes_unread() == 0);
    bystanders.go_round();
    assert_eq!(server.sockets(), sockets);
    server.expect_memory(memory, (shards() * LINK_BYTES_MAX_FOR_DATAGRAMS) as u64);
    bystanders.leave();
    let counts = server.stop();
    let (refused, lost) = (counts.refused_for("ucrp-unknown-token"), counts.of("datagrams_lost"));
    assert_eq!(refused + lost, u64::from(FLOODERS) * (EACH + AFTERWARDS), "{refused} read, {lost} lost");
    assert_eq!(counts.refused().len(), 1, "{:?}", counts.refused());
    counts.expect_closed(&[]);
}

/// RFC 9000, section 8.1. The sender of a datagram is forged by having the victim's socket send it.
#[test]
fn a_forged_sender_has_little_sent_to_its_victim_and_nothing_kept_from_others() {
    const SEATS: usize = 8;
    // As much as a session may say at once.
    const SAID: usize = 150;
    const RAIDERS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 5, 0, 1));
    let server = Child::start(&[&NOBODY_EXEMPT[..], &["--ucrp-sender", "any"]].concat());
    let mut bystanders = Bystanders::paced(&server);
    let made = shake(&server, RAIDERS, (Operation::Create, "raid"), ("raider", None));
    let host = Seat::with(&server, RAIDERS, "raid", &made.expect("a new room"));
    host.register();
    let victim = UdpSocket::bind((ELSEWHERE, 0)).expect("a port");
    victim.connect(server.address(Dialect::Ucrp)).expect("an address");
    let mut forged = 0;
    for index in 0..SEATS {
        let token = Seat::join_from(&server, RAIDERS, "raid", &format!("raider{index}")).token().reveal();
        let mut datagram = Vec::new();
        Datagram { room: "raid", token: &token, message: Message::Register }
            .encode(&mut datagram)
            .expect("it fits");
        forged += victim.send(&datagram).expect("sent");
    }
    bystanders.talk_while(|| {
        for index in 0..SAID {
            // Now and then a datagram fits into the rest of the allowance.
            let text = if index % 8 == 0 { "short".to_owned() } else { "x".repeat(4000) };
            host.say(&text);
            host.heard();
        }
    });
    bystanders.go_round();
    bystanders.leave();
    server.stop().expect_closed(&[]);
    // All that came is there: the server has ended.
    victim.set_nonblocking(true).expect("set");
    let mut buffer = [0; 4097];
    let sent: usize = std::iter::from_fn(|| victim.recv(&mut buffer).ok()).sum();
    assert!(sent > 0, "it is asked for a proof");
    assert!(sent <= UCRP_UNPROVED_FACTOR as usize * forged, "{sent} for {forged}");
}
