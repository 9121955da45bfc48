//! Datagrams, many a system call: received into buffers that were reserved once, sent from a batch that was.
//!
//! On Linux a full batch of [`UDP_BATCH_MAX`] costs one `recvmmsg` or one `sendmmsg`; elsewhere (`plain.rs`) one call a
//! datagram. Neither allocates.

#[cfg(target_os = "linux")]
mod batched;
#[cfg(any(test, not(target_os = "linux")))]
mod plain;

use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;
use socket2::{Domain, Protocol, Socket, Type};

#[cfg(target_os = "linux")]
use self::batched as kernel;
#[cfg(not(target_os = "linux"))]
use self::plain as kernel;
use crate::limits::{UCRP_DATAGRAM_BYTES_MAX, UDP_BATCH_MAX, UDP_KERNEL_BUFFER_BYTES, UDP_RECEIVE_BYTES};

/// A place for each datagram of a batch.
type Buffers = [[u8; UDP_RECEIVE_BYTES]; UDP_BATCH_MAX];

/// What datagrams are received into; all sockets of a thread may share it. It stays on the thread that made it: there are
/// pointers in it.
pub(super) struct ReceiveBuffers {
    buffers: Box<Buffers>,
    headers: kernel::Headers,
}

impl ReceiveBuffers {
    pub(super) fn new() -> Self {
        // Made in its place: it is larger than a stack should be asked to hold.
        let Ok(buffers) = vec![[0; UDP_RECEIVE_BYTES]; UDP_BATCH_MAX].into_boxed_slice().try_into() else {
            unreachable!("it is exactly as long");
        };
        Self { buffers, headers: kernel::Headers::new() }
    }
}

/// A UDP socket, and the batch of datagrams to be sent from it.
#[derive(Debug)]
pub(super) struct DatagramSocket {
    /// Where it is bound, with the port that was really given.
    pub(super) address: SocketAddr,
    /// To be registered as readable; and anew, as writable too, only while [`Sent::full`] says so: the kernel tells of
    /// space with each datagram that it is done with, which would wake the loop after every batch.
    pub(super) socket: UdpSocket,
    batch: Batch,
}

impl DatagramSocket {
    /// Binds a socket that blocks nobody. An address in use is an error, even if its other user would share.
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            // The two families are bound one by one, as they are configured.
            socket.set_only_v6(true)?;
        }
        // Linux gives what it allows; others refuse if it is less. Either way there are buffers.
        let _ = socket.set_recv_buffer_size(UDP_KERNEL_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(UDP_KERNEL_BUFFER_BYTES);
        if let Ok(allowed) = socket.recv_buffer_size()
            && allowed < UDP_KERNEL_BUFFER_BYTES
        {
            tracing::info!(
                %address,
                asked = UDP_KERNEL_BUFFER_BYTES,
                allowed,
                "the kernel allows fewer bytes of datagrams to wait than asked for, so that some may be lost when many \
                 come at once; on Linux, `sysctl net.core.rmem_max` raises that"
            );
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from_std(socket.into());
        Ok(Self { address: socket.local_addr()?, socket, batch: Batch::new() })
    }

    /// Receives up to [`UDP_BATCH_MAX`] datagrams with one system call, hands each out with its sender's address, and
    /// returns how many there were. Fewer than [`UDP_BATCH_MAX`]: there are no more, and the kernel will tell of the next.
    /// A datagram longer than [`UCRP_DATAGRAM_BYTES_MAX`] is handed out longer than that, but perhaps cut.
    ///
    /// Errors: what the system said. That nothing is there is none.
    pub(super) fn receive(
        &self,
        buffers: &mut ReceiveBuffers,
        mut each: impl FnMut(SocketAddr, &[u8]),
    ) -> io::Result<usize> {
        let ReceiveBuffers { buffers, headers } = buffers;
        loop {
            match headers.receive(&self.socket, self.address, buffers, &mut each) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                result => return result,
            }
        }
    }

    /// Puts a datagram into the batch, which must not be full: its pieces one after another, at most
    /// [`UCRP_DATAGRAM_BYTES_MAX`] bytes together.
    pub(super) fn push<'a>(&mut self, to: SocketAddr, pieces: impl IntoIterator<Item = &'a [u8]>) {
        self.batch.push(to, pieces);
    }

    /// Whether the batch takes no more.
    pub(super) fn is_full(&self) -> bool {
        self.batch.is_full()
    }

    /// Whether nothing waits to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.entries.is_empty()
    }

    /// Sends the batch, with one system call unless the kernel refuses some of it: a datagram refused costs two calls more
    /// at most, one that stops short of it and one that says why. What a full socket does not take stays, in its order.
    pub(super) fn send(&mut self) -> Sent {
        let Self { socket, batch, .. } = self;
        batch.send(|pending| kernel::send(socket, pending))
    }
}

/// What became of a batch. Unless the socket is full, none of it is left.
#[must_use = "what is refused is counted, and who is full is waited for"]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Sent {
    /// Datagrams that the kernel took.
    pub(super) taken: usize,
    /// Datagrams that the kernel will never take (there is no way to the address, its port is 0, a firewall is in the
    /// way), dropped one by one.
    pub(super) refused: usize,
    /// The kernel has no space: the rest waits for the socket to be writable.
    pub(super) full: bool,
    /// System calls made, where there is `sendmmsg`.
    pub(super) calls: u64,
}

/// A datagram in a batch.
#[derive(Clone, Copy, Debug)]
struct Entry {
    to: SocketAddr,
    length: usize,
}

/// Datagrams to be sent, oldest first, their bytes one after another: what is used of the memory is what there is to say.
#[derive(Debug)]
struct Batch {
    /// At most [`UDP_BATCH_MAX`].
    entries: Vec<Entry>,
    /// Never more than was reserved.
    bytes: Vec<u8>,
}

impl Batch {
    fn new() -> Self {
        Self {
            entries: Vec::with_capacity(UDP_BATCH_MAX),
            bytes: Vec::with_capacity(UDP_BATCH_MAX * UCRP_DATAGRAM_BYTES_MAX),
        }
    }

    fn is_full(&self) -> bool {
        self.entries.len() == UDP_BATCH_MAX
    }

    fn push<'a>(&mut self, to: SocketAddr, pieces: impl IntoIterator<Item = &'a [u8]>) {
        assert!(!self.is_full(), "whoever pushes looks first");
        let start = self.bytes.len();
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
        let length = self.bytes.len() - start;
        assert!(length <= UCRP_DATAGRAM_BYTES_MAX, "no encoder makes a datagram of {length} bytes");
        self.entries.push(Entry { to, length });
    }

    /// Sends by means of `call`, which sends the first datagrams of those it is given and returns how many, or why not
    /// even the first one: as `sendmmsg` does.
    fn send(&mut self, mut call: impl FnMut(Pending<'_>) -> io::Result<usize>) -> Sent {
        let mut sent = Sent::default();
        let (mut done, mut start) = (0, 0);
        while done < self.entries.len() {
            let pending = Pending { entries: &self.entries[done..], bytes: &self.bytes[start..] };
            sent.calls += 1;
            let gone = match call(pending) {
                Ok(count) => {
                    sent.taken += count;
                    count
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_full(&error) => 0,
                Err(error) => {
                    tracing::debug!(to = %pending.entries[0].to, %error, "the kernel refuses a datagram");
                    sent.refused += 1;
                    1
                }
            };
            if gone == 0 {
                sent.full = true;
                break;
            }
            start += pending.entries[..gone].iter().map(|entry| entry.length).sum::<usize>();
            done += gone;
        }
        self.entries.drain(..done);
        self.bytes.drain(..start);
        sent
    }
}

/// Whether the socket, or the kernel, has no space at the moment. Any other error is of the one datagram.
fn is_full(error: &io::Error) -> bool {
    use rustix::io::Errno;
    error.kind() == io::ErrorKind::WouldBlock
        || matches!(Errno::from_io_error(error), Some(Errno::NOBUFS | Errno::NOMEM))
}

/// The datagrams of a batch that have not been sent.
#[derive(Clone, Copy, Debug)]
struct Pending<'a> {
    entries: &'a [Entry],
    bytes: &'a [u8],
}

impl<'a> Pending<'a> {
    fn iter(self) -> impl Iterator<Item = (SocketAddr, &'a [u8])> {
        let mut rest = self.bytes;
        self.entries.iter().map(move |entry| {
            let (bytes, behind) = rest.split_at(entry.length);
            rest = behind;
            (entry.to, bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::allocations::allocations;
    use crate::dice::Dice;
    use crate::wire::ucrp::{Datagram, DatagramError};

    /// A datagram as it came.
    type Came = (SocketAddr, Vec<u8>);

    fn bound(ip: impl Into<IpAddr>) -> DatagramSocket {
        DatagramSocket::bind(SocketAddr::new(ip.into(), 0)).expect("a loopback address")
    }

    fn bound_v4() -> DatagramSocket {
        bound(Ipv4Addr::LOCALHOST)
    }

    /// None on a machine without IPv6.
    fn bound_v6() -> Option<DatagramSocket> {
        DatagramSocket::bind(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0)).ok()
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

    fn received(socket: &DatagramSocket, buffers: &mut ReceiveBuffers, count: usize) -> Vec<Came> {
        received_by(count, |came| socket.receive(buffers, |from, bytes| came.push((from, bytes.to_vec()))))
    }

    fn numbered(number: usize) -> [u8; 8] {
        (number as u64).to_be_bytes()
    }

    fn all_sent(count: usize) -> Sent {
        Sent { taken: count, refused: 0, full: false, calls: 1 }
    }

    #[test]
    fn more_than_a_batch_arrives_whole_and_in_order_in_as_few_calls_as_there_are_batches() {
        for receiver in [Some(bound_v4()), bound_v6()].into_iter().flatten() {
            let mut sender = bound(receiver.address.ip());
            let mut buffers = ReceiveBuffers::new();
            let count = 2 * UDP_BATCH_MAX + 7;
            for number in 0..count {
                sender.push(receiver.address, [&b"number "[..], &numbered(number)]);
                if sender.is_full() || number == count - 1 {
                    let batch = number % UDP_BATCH_MAX + 1;
                    assert_eq!(sender.send(), all_sent(batch));
                    assert!(sender.is_empty());
                }
            }
            let came = received(&receiver, &mut buffers, count);
            for (number, (from, bytes)) in came.iter().enumerate() {
                assert_eq!(*from, sender.address);
                assert_eq!(*bytes, [&b"number "[..], &numbered(number)].concat());
            }
        }
    }

    #[test]
    fn a_full_batch_that_is_there_takes_one_call_and_a_short_one_is_the_last() {
        let (receiver, mut sender) = (bound_v4(), bound_v4());
        let mut buffers = ReceiveBuffers::new();
        // Loopback delivers before the sender returns, as a rule; on a busy machine, not always.
        let in_two_calls = (0..100).any(|_| {
            for batch in [UDP_BATCH_MAX, 1] {
                (0..batch).for_each(|number| sender.push(receiver.address, [&numbered(number)[..]]));
                assert_eq!(sender.send(), all_sent(batch));
            }
            let first = receiver.receive(&mut buffers, |_, _| {}).expect("received");
            received(&receiver, &mut buffers, UDP_BATCH_MAX + 1 - first);
            first == UDP_BATCH_MAX
        });
        assert!(in_two_calls);
    }

    #[test]
    fn both_families_share_the_buffers_in_turns() {
        let Some(receiver_v6) = bound_v6() else { return };
        let receiver_v4 = bound_v4();
        let mut buffers = ReceiveBuffers::new();
        for _ in 0..3 {
            for receiver in [&receiver_v4, &receiver_v6] {
                let mut sender = bound(receiver.address.ip());
                sender.push(receiver.address, [&b"hello"[..]]);
                assert_eq!(sender.send(), all_sent(1));
                assert_eq!(received(receiver, &mut buffers, 1), [(sender.address, b"hello".to_vec())]);
            }
        }
    }

    #[test]
    fn a_datagram_that_is_too_long_is_seen_to_be_and_its_neighbours_are_right() {
        let receiver = bound_v4();
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
            lengths.into_iter().enumerate().zip(received(&receiver, &mut buffers, lengths.len()))
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
        let (receiver, mut sender) = (bound_v4(), bound_v4());
        let longest = vec![7; UCRP_DATAGRAM_BYTES_MAX];
        let (front, back) = longest.split_at(1000);
        sender.push(receiver.address, [front, back]);
        sender.push(receiver.address, []);
        sender.push(receiver.address, [&b"end"[..]]);
        assert_eq!(sender.send(), all_sent(3));
        let came = received(&receiver, &mut ReceiveBuffers::new(), 3);
        assert_eq!(
            came.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>(),
            [longest, vec![], b"end".to_vec()]
        );
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
        let receiver = bound_v4();
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
            assert!(sent.calls <= 1 + 2 * places.len() as u64, "{} calls", sent.calls);
            let came = received(&receiver, &mut buffers, sent.taken);
            let expected = (0..10).filter(|number| !places.contains(number)).map(numbered);
            assert!(came.into_iter().map(|(_, bytes)| bytes).eq(expected.map(Vec::from)));
        }
    }

    #[test]
    fn a_port_that_is_closed_costs_the_others_nothing() {
        let (receiver, mut sender) = (bound_v4(), bound_v4());
        let mut buffers = ReceiveBuffers::new();
        let closed = bound_v4().address;
        for round in 0..3 {
            for to in [closed, receiver.address, closed, receiver.address] {
                sender.push(to, [&numbered(round)[..]]);
            }
            // Whether it is told that the port is closed or not: a socket for all has nothing to do with it.
            assert_eq!(sender.send(), all_sent(4));
            assert_eq!(received(&receiver, &mut buffers, 2).len(), 2);
            assert_eq!(sender.receive(&mut buffers, |_, _| {}).expect("no error either"), 0);
        }
    }

    /// A kernel that takes so many datagrams, refuses those to port 0, and is interrupted when asked to be.
    #[derive(Default)]
    struct Kernel {
        space: usize,
        full: Option<rustix::io::Errno>,
        interrupted: usize,
        took: Vec<u8>,
    }

    impl Kernel {
        fn call(&mut self, pending: Pending<'_>) -> io::Result<usize> {
            use rustix::io::Errno;
            if self.interrupted > 0 {
                self.interrupted -= 1;
                return Err(Errno::INTR.into());
            }
            let mut count = 0;
            for (to, bytes) in pending.iter() {
                let error = if self.space == 0 {
                    self.full.unwrap_or(Errno::AGAIN)
                } else if to.port() == 0 {
                    Errno::INVAL
                } else {
                    self.took.extend_from_slice(bytes);
                    self.space -= 1;
                    count += 1;
                    continue;
                };
                return if count == 0 { Err(error.into()) } else { Ok(count) };
            }
            Ok(count)
        }
    }

    fn somewhere() -> SocketAddr {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 9)
    }

    #[test]
    fn a_full_socket_keeps_the_rest_and_it_goes_first() {
        use rustix::io::Errno;
        for full in [Errno::AGAIN, Errno::NOBUFS, Errno::NOMEM] {
            let mut batch = Batch::new();
            for letter in [b"a", b"b", b"c", b"d"] {
                batch.push(somewhere(), [&letter[..]]);
            }
            let mut kernel = Kernel { space: 0, full: Some(full), ..Kernel::default() };
            let nothing = Sent { full: true, calls: 1, ..Sent::default() };
            assert_eq!(batch.send(|pending| kernel.call(pending)), nothing);
            kernel.space = 3;
            let three = Sent { taken: 3, full: true, calls: 2, ..Sent::default() };
            assert_eq!(batch.send(|pending| kernel.call(pending)), three);
            batch.push(somewhere(), [&b"e"[..]]);
            kernel.space = 9;
            assert_eq!(batch.send(|pending| kernel.call(pending)), all_sent(2));
            assert_eq!(kernel.took, b"abcde");
            assert!(batch.entries.is_empty() && batch.bytes.is_empty());
        }
    }

    #[test]
    fn a_rest_counts_against_the_batch() {
        let mut batch = Batch::new();
        let mut kernel = Kernel { space: 10, ..Kernel::default() };
        while !batch.is_full() {
            batch.push(somewhere(), [&b"x"[..]]);
        }
        assert_eq!(batch.send(|pending| kernel.call(pending)).taken, 10);
        let mut pushed = 0;
        while !batch.is_full() {
            batch.push(somewhere(), [&b"y"[..]]);
            pushed += 1;
        }
        assert_eq!(pushed, 10);
    }

    #[test]
    fn an_interrupted_call_is_made_again() {
        let mut batch = Batch::new();
        let mut kernel = Kernel { space: 9, interrupted: 3, ..Kernel::default() };
        batch.push(somewhere(), [&b"x"[..]]);
        let sent = Sent { taken: 1, calls: 4, ..Sent::default() };
        assert_eq!(batch.send(|pending| kernel.call(pending)), sent);
    }

    #[test]
    fn whatever_happens_each_is_sent_or_refused_once_and_in_order() {
        let mut dice = Dice(1);
        let (mut batch, mut kernel) = (Batch::new(), Kernel::default());
        let (mut expected, mut refused_expected, mut refused) = (Vec::new(), 0, 0);
        for round in 0..2000_u32 {
            for _ in 0..dice.below(20) {
                if batch.is_full() {
                    break;
                }
                let bytes = round.to_be_bytes();
                let bytes = &bytes[..dice.below(5)];
                if dice.below(4) == 0 {
                    batch.push(nowhere(), [bytes]);
                    refused_expected += 1;
                } else {
                    batch.push(somewhere(), [bytes]);
                    expected.extend_from_slice(bytes);
                }
            }
            kernel.space = dice.below(20);
            kernel.interrupted = dice.below(2);
            refused += batch.send(|pending| kernel.call(pending)).refused;
        }
        kernel.space = UDP_BATCH_MAX;
        refused += batch.send(|pending| kernel.call(pending)).refused;
        assert_eq!(refused, refused_expected);
        assert_eq!(kernel.took, expected);
    }

    #[test]
    fn the_plain_way_does_the_same() {
        for receiver in [Some(bound_v4()), bound_v6()].into_iter().flatten() {
            let mut sender = bound(receiver.address.ip());
            let count = UDP_BATCH_MAX;
            for number in 0..count {
                let port = if number % 10 == 5 { 0 } else { receiver.address.port() };
                sender.push(SocketAddr::new(receiver.address.ip(), port), [&numbered(number)[..]]);
            }
            let DatagramSocket { socket, batch, .. } = &mut sender;
            let sent = batch.send(|pending| plain::send(socket, pending));
            assert_eq!((sent.taken, sent.refused, sent.full), (count - 6, 6, false));

            let mut buffers = ReceiveBuffers::new();
            let came = received_by(count - 6, |came| {
                let each = |from, bytes: &[u8]| came.push((from, bytes.to_vec()));
                let DatagramSocket { socket, address, .. } = &receiver;
                match plain::Headers::new().receive(socket, *address, &mut buffers.buffers, each) {
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
        for receiver in [Some(bound_v4()), bound_v6()].into_iter().flatten() {
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
    fn a_socket_goes_to_the_thread_of_its_shard() {
        fn is_send(_: &impl Send) {}
        is_send(&bound_v4());
    }

    #[test]
    fn an_address_in_use_is_an_error() {
        let socket = bound_v4();
        let error = DatagramSocket::bind(socket.address).expect_err("it is taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
