//! Who floods the port for datagrams.

use std::net::{SocketAddr, UdpSocket};
use std::thread;

use parlance::limits::LINK_BYTES_MAX_FOR_DATAGRAMS;
use parlance::wire::Dialect;
use parlance::wire::ucrp::{Datagram, Message};

use crate::bystanders::Bystanders;
use crate::child::Child;
use crate::dice::Dice;
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
