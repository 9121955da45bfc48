//! Over real sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread;
use std::time::{Duration, Instant};

use super::segments::Segmentation;
use super::*;
use crate::allocations::allocations;
use crate::dice::Dice;
use crate::limits::{UCRP_DATAGRAM_BYTES_MAX, UDP_MESSAGE_BYTES_MAX, UDP_SEGMENT_BYTES_MAX};
use crate::wire::ucrp::{Datagram, DatagramError};

/// A datagram as it came.
type Came = (SocketAddr, Vec<u8>);

fn bound(ip: impl Into<IpAddr>) -> DatagramSocket {
    DatagramSocket::bind(SocketAddr::new(ip.into(), 0), Sharing::None, &mut Missing::default())
        .expect("a loopback address")
}

fn bound_v4() -> DatagramSocket {
    bound(Ipv4Addr::LOCALHOST)
}

/// None on a machine without IPv6.
fn bound_v6() -> Option<DatagramSocket> {
    DatagramSocket::bind(
        SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0),
        Sharing::None,
        &mut Missing::default(),
    )
    .ok()
}

fn nowhere() -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)
}

/// So many datagrams, by means of `receive`; and that there are no more.
fn received_by(count: usize, mut receive: impl FnMut(&mut Vec<Came>) -> io::Result<usize>) -> Vec<Came> {
    let start = Instant::now();
    let mut came = Vec::new();
    while came.len() < count {
        let before = came.len();
        let told = receive(&mut came).expect("received");
        assert_eq!(told, came.len() - before);
        assert!(start.elapsed() < Duration::from_secs(10), "{} of {count} came", came.len());
        if told == 0 {
            thread::yield_now();
        }
    }
    assert_eq!(receive(&mut came).expect("nothing is no error"), 0);
    assert_eq!(came.len(), count);
    came
}

fn received(socket: &mut DatagramSocket, buffers: &mut ReceiveBuffers, count: usize) -> Vec<Came> {
    received_by(count, |came| socket.receive(buffers, |path, bytes| came.push((path.peer, bytes.to_vec()))))
}

fn numbered(number: usize) -> [u8; 8] {
    (number as u64).to_be_bytes()
}

/// Sends a batch whose datagrams the kernel takes, all of them; returns the calls that it took.
#[track_caller]
fn send_all(sender: &mut DatagramSocket, count: usize) -> u64 {
    let sent = sender.send();
    assert!(sender.is_empty());
    assert_eq!((sent.taken, sent.refused, sent.full), (count, 0, false));
    sent.calls
}

/// The bytes alone.
fn texts(came: Vec<Came>) -> Vec<Vec<u8>> {
    came.into_iter().map(|(_, bytes)| bytes).collect()
}

#[test]
fn more_than_a_batch_arrives_whole_and_in_order_in_as_few_calls_as_there_are_batches() {
    for mut receiver in [Some(bound_v4()), bound_v6()].into_iter().flatten() {
        let mut sender = bound(receiver.address.ip());
        let mut buffers = ReceiveBuffers::new();
        let count = 2 * UDP_BATCH_MAX + 7;
        for number in 0..count {
            sender.push(receiver.address, [&b"number "[..], &numbered(number)]);
            if sender.is_full() || number == count - 1 {
                let calls = send_all(&mut sender, number % UDP_BATCH_MAX + 1);
                // One for all of them, and once one that says how long each is.
                assert_eq!(calls, 1 + u64::from(cfg!(target_os = "linux") && number < UDP_BATCH_MAX));
            }
        }
        let came = received(&mut receiver, &mut buffers, count);
        for (number, (from, bytes)) in came.iter().enumerate() {
            assert_eq!(*from, sender.address);
            assert_eq!(*bytes, [&b"number "[..], &numbered(number)].concat());
        }
    }
}

#[test]
fn a_full_batch_that_is_there_takes_one_call_and_a_short_one_is_the_last() {
    let (mut receiver, mut sender) = (bound_v4(), bound_v4());
    let mut buffers = ReceiveBuffers::new();
    // Loopback delivers before the sender returns, as a rule; on a busy machine, not always.
    let in_two_calls = (0..100).any(|_| {
        for batch in [UDP_BATCH_MAX, 1] {
            (0..batch).for_each(|number| sender.push(receiver.address, [&numbered(number)[..]]));
            send_all(&mut sender, batch);
        }
        let first = receiver.receive(&mut buffers, |_, _| {}).expect("received");
        received(&mut receiver, &mut buffers, UDP_BATCH_MAX + 1 - first);
        first == UDP_BATCH_MAX
    });
    assert!(in_two_calls);
}

#[test]
fn both_families_share_the_buffers_in_turns() {
    let Some(mut receiver_v6) = bound_v6() else { return };
    let mut receiver_v4 = bound_v4();
    let mut buffers = ReceiveBuffers::new();
    for _ in 0..3 {
        for receiver in [&mut receiver_v4, &mut receiver_v6] {
            let mut sender = bound(receiver.address.ip());
            sender.push(receiver.address, [&b"hello"[..]]);
            assert_eq!(send_all(&mut sender, 1), 1);
            assert_eq!(received(receiver, &mut buffers, 1), [(sender.address, b"hello".to_vec())]);
        }
    }
}

#[test]
fn a_datagram_that_is_too_long_is_seen_to_be_and_its_neighbours_are_right() {
    let mut receiver = bound_v4();
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").expect("a loopback address");
    let mut buffers = ReceiveBuffers::new();
    let lengths = [
        3,
        UCRP_DATAGRAM_BYTES_MAX,
        UCRP_DATAGRAM_BYTES_MAX + 1,
        0,
        9000,
        5,
        UDP_RECEIVE_BYTES,
        UCRP_DATAGRAM_BYTES_MAX,
    ];
    for (number, length) in lengths.into_iter().enumerate() {
        // The first two bytes: no room, no token.
        let mut bytes = vec![b'a' + number as u8; length];
        bytes.iter_mut().take(2).for_each(|byte| *byte = 0);
        sender.send_to(&bytes, receiver.address).expect("sent");
    }
    for ((number, length), (_, bytes)) in
        lengths.into_iter().enumerate().zip(received(&mut receiver, &mut buffers, lengths.len()))
    {
        assert_eq!(bytes.len(), length.min(UDP_RECEIVE_BYTES));
        assert!(bytes.iter().skip(2).all(|&byte| byte == b'a' + number as u8), "number {number}");
        let decoded = Datagram::decode(&bytes);
        assert_eq!(decoded == Err(DatagramError::TooLong), length > UCRP_DATAGRAM_BYTES_MAX);
        assert_eq!(decoded.is_ok(), (2..=UCRP_DATAGRAM_BYTES_MAX).contains(&length));
    }
}

#[test]
fn the_longest_and_the_empty_datagram_are_sent_whole() {
    let (mut receiver, mut sender) = (bound_v4(), bound_v4());
    let longest = vec![7; UCRP_DATAGRAM_BYTES_MAX];
    let (front, back) = longest.split_at(1000);
    sender.push(receiver.address, [front, back]);
    sender.push(receiver.address, []);
    sender.push(receiver.address, [&b"end"[..]]);
    assert_eq!(send_all(&mut sender, 3), 1);
    let came = received(&mut receiver, &mut ReceiveBuffers::new(), 3);
    assert_eq!(texts(came), [longest, vec![], b"end".to_vec()]);
}

#[test]
#[should_panic(expected = "no encoder makes a datagram of 4097 bytes")]
fn a_datagram_too_long_to_send_is_a_defect() {
    let mut sender = bound_v4();
    sender.push(nowhere(), [&[0; UCRP_DATAGRAM_BYTES_MAX][..], &[0]]);
}

#[test]
fn nothing_sent_is_no_call() {
    assert_eq!(bound_v4().send(), Sent::default());
}

#[test]
fn what_the_kernel_refuses_goes_alone_wherever_it_stands() {
    let mut receiver = bound_v4();
    let mut buffers = ReceiveBuffers::new();
    // Port 0, the other family, and a broadcast that was not asked for.
    let refused = [
        nowhere(),
        SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 9),
        SocketAddr::new(Ipv4Addr::BROADCAST.into(), 9),
    ];
    for places in
        [&[0][..], &[4], &[9], &[0, 1, 2], &[4, 5], &[8, 9], &[0, 3, 9], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]
    {
        let mut sender = bound_v4();
        for number in 0..10 {
            let to = if places.contains(&number) { refused[number % 3] } else { receiver.address };
            sender.push(to, [&numbered(number)[..]]);
        }
        let sent = sender.send();
        assert!(sender.is_empty());
        assert_eq!((sent.taken, sent.refused, sent.full), (10 - places.len(), places.len(), false));
        // Before and behind each: what is joined, and a call from the one kind to the other.
        assert!(sent.calls <= 2 + 4 * places.len() as u64, "{} calls", sent.calls);
        let came = received(&mut receiver, &mut buffers, sent.taken);
        let expected = (0..10).filter(|number| !places.contains(number)).map(numbered);
        assert!(texts(came).into_iter().eq(expected.map(Vec::from)));
    }
}

#[test]
fn a_port_that_is_closed_costs_the_others_nothing() {
    let (mut receiver, mut sender) = (bound_v4(), bound_v4());
    let mut buffers = ReceiveBuffers::new();
    let closed = bound_v4().address;
    for round in 0..3 {
        for to in [closed, receiver.address, closed, receiver.address] {
            sender.push(to, [&numbered(round)[..]]);
        }
        // Whether it is told that the port is closed or not: a socket for all has nothing to do with it.
        send_all(&mut sender, 4);
        assert_eq!(received(&mut receiver, &mut buffers, 2).len(), 2);
        assert_eq!(sender.receive(&mut buffers, |_, _| {}).expect("no error either"), 0);
    }
}

#[test]
fn the_plain_way_does_the_same() {
    for receiver in [Some(bound_v4()), bound_v6()].into_iter().flatten() {
        let mut sender = bound(receiver.address.ip());
        sender.batch = Batch::new(Segmentation::NONE);
        let count = UDP_BATCH_MAX;
        for number in 0..count {
            let port = if number % 10 == 5 { 0 } else { receiver.address.port() };
            sender.push(SocketAddr::new(receiver.address.ip(), port), [&numbered(number)[..]]);
        }
        let DatagramSocket { socket, batch, .. } = &mut sender;
        let sent = batch.send(|parcel| plain::send(socket, parcel));
        assert_eq!((sent.taken, sent.refused, sent.full), (count - 6, 6, false));

        let mut buffers = ReceiveBuffers::new();
        let came = received_by(count - 6, |came| {
            let each = |from, _, bytes: &[u8]| came.push((from, bytes.to_vec()));
            let DatagramSocket { socket, address, .. } = &receiver;
            let overflow = &mut Overflow::default();
            match plain::Headers::new(*address).receive(socket, &mut buffers.0, overflow, each) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
                result => result,
            }
        });
        let expected = (0..count).filter(|number| number % 10 != 5);
        assert!(came.into_iter().eq(expected.map(|number| (sender.address, numbered(number).to_vec()))));
    }
}

#[test]
fn a_batch_allocates_nothing_either_way() {
    for mut receiver in [Some(bound_v4()), bound_v6()].into_iter().flatten() {
        let mut sender = bound(receiver.address.ip());
        let mut buffers = ReceiveBuffers::new();
        let refused = SocketAddr::new(receiver.address.ip(), 0);
        let before = allocations();
        let mut count = 0;
        for round in 0..100 {
            while !sender.is_full() {
                sender.push(receiver.address, [&b"number "[..], &numbered(round)]);
                if !sender.is_full() && round % 10 == 0 {
                    sender.push(refused, [&b"nobody gets this"[..]]);
                }
            }
            let mut left = sender.send().taken;
            let start = Instant::now();
            while left > 0 && start.elapsed() < Duration::from_secs(10) {
                let came = receiver.receive(&mut buffers, |_, bytes| count += bytes.len());
                left -= came.expect("received");
            }
        }
        assert_eq!(allocations() - before, 0);
        assert_eq!(count, 15 * (90 * UDP_BATCH_MAX + 10 * UDP_BATCH_MAX / 2));
    }
}

#[test]
fn an_address_in_use_is_an_error() {
    let socket = bound_v4();
    let error = DatagramSocket::bind(socket.address, Sharing::None, &mut Missing::default())
        .expect_err("it is taken");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

/// A text of so many bytes.
fn filled(letter: u8, length: usize) -> Vec<u8> {
    vec![letter; length]
}

#[test]
#[cfg(target_os = "linux")]
fn what_is_joined_arrives_as_it_was_pushed_and_takes_one_call() {
    for mut receiver in [Some(bound_v4()), bound_v6()].into_iter().flatten() {
        let mut sender = bound(receiver.address.ip());
        let mut buffers = ReceiveBuffers::new();
        for (round, last) in [70, 1, 69, 70].into_iter().enumerate() {
            let pushed: Vec<_> =
                (b'a'..=b'p').map(|letter| filled(letter, if letter == b'p' { last } else { 70 })).collect();
            for text in &pushed {
                sender.push(receiver.address, [&text[..]]);
            }
            assert_eq!(send_all(&mut sender, 16), 1 + u64::from(round == 0), "a call for the size, once");
            let came = received(&mut receiver, &mut buffers, 16);
            assert!(came.iter().all(|(from, _)| *from == sender.address));
            assert_eq!(texts(came), pushed);
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_room_of_which_each_is_owed_the_same_takes_one_call() {
    let mut sender = bound_v4();
    let mut buffers = ReceiveBuffers::new();
    let mut receivers: Vec<_> = (0..9).map(|_| bound_v4()).collect();
    for round in 0..3 {
        for receiver in &receivers {
            (0..7).for_each(|number| sender.push(receiver.address, [&numbered(number)[..]]));
        }
        assert_eq!(send_all(&mut sender, 63), 1 + u64::from(round == 0));
        for receiver in &mut receivers {
            let came = received(receiver, &mut buffers, 7);
            assert!(texts(came).into_iter().eq((0..7).map(|number| numbered(number).to_vec())));
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn no_message_is_longer_than_a_packet_and_no_segment_longer_than_most_ways_allow() {
    let (mut receiver, mut sender) = (bound_v4(), bound_v4());
    let mut buffers = ReceiveBuffers::new();
    const { assert!(UDP_BATCH_MAX * UDP_SEGMENT_BYTES_MAX > UDP_MESSAGE_BYTES_MAX) };
    // Two messages in one call; and each by itself, in one call as well.
    for (length, calls) in [(UDP_SEGMENT_BYTES_MAX, 2), (UDP_SEGMENT_BYTES_MAX + 1, 2)] {
        let pushed: Vec<_> = (0..UDP_BATCH_MAX).map(|number| filled(number as u8, length)).collect();
        for text in &pushed {
            sender.push(receiver.address, [&text[..]]);
        }
        assert_eq!(send_all(&mut sender, UDP_BATCH_MAX), calls, "with one for the size");
        assert_eq!(texts(received(&mut receiver, &mut buffers, UDP_BATCH_MAX)), pushed);
    }
}

#[test]
fn whatever_the_sizes_and_addresses_each_gets_its_own_in_order() {
    let mut dice = Dice(7);
    let mut sender = bound_v4();
    let mut buffers = ReceiveBuffers::new();
    let mut receivers = [bound_v4(), bound_v4(), bound_v4()];
    for round in 0..200 {
        let mut expected = [vec![], vec![], vec![]];
        let count = 1 + dice.below(UDP_BATCH_MAX);
        let (mut to, mut length) = (0, 1);
        for number in 0..count {
            if dice.below(4) == 0 {
                to = dice.below(3);
            }
            if dice.below(4) == 0 {
                length = [0, 1, 2, 70, 71, 72, 700, UDP_SEGMENT_BYTES_MAX, 1473, 4096][dice.below(10)];
            }
            let text = filled(number as u8, length);
            sender.push(receivers[to].address, [&text[..]]);
            expected[to].push(text);
        }
        send_all(&mut sender, count);
        for (receiver, expected) in receivers.iter_mut().zip(expected) {
            let came = received(receiver, &mut buffers, expected.len());
            assert_eq!(texts(came), expected, "round {round}");
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn what_the_kernel_drops_is_counted() {
    for mut receiver in [Some(bound_v4()), bound_v6()].into_iter().flatten() {
        let sender = std::net::UdpSocket::bind((receiver.address.ip(), 0)).expect("a loopback address");
        // The kernel makes it as small as it may be.
        socket2::SockRef::from(&receiver.socket).set_recv_buffer_size(0).expect("any size");
        let mut buffers = ReceiveBuffers::new();
        let (mut sent, mut came, mut lost) = (0, 0, 0);
        let start = Instant::now();
        for _ in 0..3 {
            let lost_before = lost;
            for _ in 0..1000 {
                sender.send_to(b"hello", receiver.address).expect("sent");
                sent += 1;
            }
            while came + lost < sent || lost == lost_before {
                let count = receiver.receive(&mut buffers, |_, _| {}).expect("received");
                came += count as u64;
                lost += receiver.take_overflow();
                if count == 0 {
                    // What was lost is told with what comes after it.
                    sender.send_to(b"lost any?", receiver.address).expect("sent");
                    sent += 1;
                    thread::yield_now();
                }
                assert!(start.elapsed() < Duration::from_secs(10), "{sent} sent, {came} came, {lost} lost");
            }
            assert_eq!(came + lost, sent, "none is counted twice");
            assert!(lost - lost_before > 500, "the buffer holds a few");
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_socket_on_all_addresses_tells_which_was_spoken_to_also_after_a_loss() {
    let bind =
        |ip: IpAddr| DatagramSocket::bind(SocketAddr::new(ip, 0), Sharing::None, &mut Missing::default());
    let mut families = vec![(Ipv4Addr::UNSPECIFIED.into(), IpAddr::from([127, 0, 0, 2]))];
    if bound_v6().is_some() {
        families.push((Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::LOCALHOST.into()));
    }
    for (any, local) in families {
        let mut receiver = bind(any).expect("all addresses");
        let to = SocketAddr::new(local, receiver.address.port());
        let sender = std::net::UdpSocket::bind((any, 0)).expect("any address");
        socket2::SockRef::from(&receiver.socket).set_recv_buffer_size(0).expect("any size");
        let mut buffers = ReceiveBuffers::new();
        let mut told = |receiver: &mut DatagramSocket| {
            let mut locals = Vec::new();
            receiver.receive(&mut buffers, |path, _| locals.push(path.local)).expect("received");
            locals
        };
        // As a rule the datagram is there when the sender returns; on a busy machine, not always.
        let start = Instant::now();
        let mut told_next = |receiver: &mut DatagramSocket, text: &[u8]| {
            sender.send_to(text, to).expect("sent");
            loop {
                let locals = told(receiver);
                if !locals.is_empty() {
                    return locals;
                }
                assert!(start.elapsed() < Duration::from_secs(10), "nothing came");
                thread::yield_now();
            }
        };
        assert_eq!(told_next(&mut receiver, b"hello"), [Some(local)]);
        // The first loss takes more room for what the kernel tells than there was before it.
        for _ in 0..1000 {
            sender.send_to(b"hello", to).expect("sent");
        }
        let mut lost = 0;
        while lost == 0 {
            told_next(&mut receiver, b"lost any?");
            lost += receiver.take_overflow();
        }
        let locals = told_next(&mut receiver, b"hello");
        assert!(locals.iter().all(|told| *told == Some(local)), "{locals:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_socket_that_only_sends_receives_nothing() {
    let bind =
        |ip: IpAddr| DatagramSocket::bind(SocketAddr::new(ip, 0), Sharing::None, &mut Missing::default());
    let mut receiver = bind(Ipv4Addr::UNSPECIFIED.into()).expect("all addresses");
    let local = SocketAddr::from(([127, 0, 0, 2], receiver.address.port()));
    let mut source = DatagramSocket::bind_to_send(local).expect("it shares the port");
    let mut buffers = ReceiveBuffers::new();
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("a loopback address");
    peer.connect(local).expect("an address");
    peer.send(b"hello").expect("sent");
    let to = peer.local_addr().expect("it is bound");
    assert_eq!(received(&mut receiver, &mut buffers, 1), [(to, b"hello".to_vec())]);
    source.push(to, [&b"hello yourself"[..]]);
    send_all(&mut source, 1);
    let mut answer = [0; 20];
    assert_eq!(peer.recv(&mut answer).expect("from where it spoke to"), 14);
    assert_eq!(source.receive(&mut buffers, |_, _| {}).expect("nothing is no error"), 0);
    // Another server gets neither.
    assert!(bind(local.ip()).is_ok(), "another port");
    assert!(DatagramSocket::bind(local, Sharing::None, &mut Missing::default()).is_err());
    assert!(DatagramSocket::bind(receiver.address, Sharing::None, &mut Missing::default()).is_err());
}
