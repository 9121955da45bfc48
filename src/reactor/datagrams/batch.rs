//! The batch: datagrams that wait to be sent, and what becomes of them.

use std::io;
use std::net::SocketAddr;

use super::segments::{Plan, Segmentation, plan};
use crate::limits::{UCRP_DATAGRAM_BYTES_MAX, UDP_BATCH_MAX};

/// What became of a batch. Unless the socket is full, none of it is left.
#[must_use = "what is refused is counted, and who is full is waited for"]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::reactor) struct Sent {
    /// Datagrams that the kernel took.
    pub(in crate::reactor) taken: usize,
    /// Datagrams that the kernel will never take (there is no way to the address, its port is 0, a firewall is in the
    /// way), dropped one by one.
    pub(in crate::reactor) refused: usize,
    /// The kernel has no space: the rest waits for the socket to be writable.
    pub(in crate::reactor) full: bool,
    /// System calls made, where there is `sendmmsg`.
    pub(in crate::reactor) calls: u64,
}

/// A datagram in a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) to: SocketAddr,
    pub(super) length: usize,
}

/// Datagrams to be sent, oldest first, their bytes one after another: what is used of the memory is what there is to say.
#[derive(Debug)]
pub(super) struct Batch {
    /// At most [`UDP_BATCH_MAX`].
    entries: Vec<Entry>,
    /// Never more than was reserved.
    bytes: Vec<u8>,
    segmentation: Segmentation,
}

/// The first datagrams of a batch, as one system call sends them: joined into messages.
#[derive(Debug)]
pub(super) struct Parcel<'a> {
    /// As many as the messages have.
    entries: &'a [Entry],
    bytes: &'a [u8],
    plan: Plan,
}

/// Datagrams that go out by themselves, because the kernel refused them joined.
#[derive(Debug)]
struct Apart {
    /// The entry behind the last of them.
    end: usize,
    segment_bytes: usize,
    error: io::Error,
}

impl Batch {
    /// One whose datagrams are joined as far as that may be.
    pub(super) fn new(segmentation: Segmentation) -> Self {
        Self {
            entries: Vec::with_capacity(UDP_BATCH_MAX),
            bytes: Vec::with_capacity(UDP_BATCH_MAX * UCRP_DATAGRAM_BYTES_MAX),
            segmentation,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() == UDP_BATCH_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn push<'a>(&mut self, to: SocketAddr, pieces: impl IntoIterator<Item = &'a [u8]>) {
        assert!(!self.is_full(), "whoever pushes looks first");
        let start = self.bytes.len();
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
        let length = self.bytes.len() - start;
        assert!(length <= UCRP_DATAGRAM_BYTES_MAX, "no encoder makes a datagram of {length} bytes");
        self.entries.push(Entry { to, length });
    }

    /// Sends by means of `call`, which sends the first messages of those it is given and returns how many, or why not
    /// even the first one: as `sendmmsg` does. What is refused joined goes once more, each datagram by itself: so none is
    /// lost because it was joined, and it comes out which of the two was the reason.
    pub(super) fn send(&mut self, mut call: impl FnMut(&Parcel<'_>) -> io::Result<usize>) -> Sent {
        let mut sent = Sent::default();
        let (mut done, mut start) = (0, 0);
        let mut apart = None::<Apart>;
        while done < self.entries.len() {
            if apart.as_ref().is_some_and(|apart| apart.end == done) {
                apart = None;
            }
            let plan = match &apart {
                Some(apart) => plan(&self.entries[done..apart.end], Segmentation::NONE),
                None => plan(&self.entries[done..], self.segmentation),
            };
            let parcel = Parcel::new(&self.entries[done..], &self.bytes[start..], plan);
            sent.calls += 1;
            let gone = match call(&parcel) {
                Ok(count) => {
                    if let Some(Apart { segment_bytes, error, .. }) = apart.as_mut().filter(|_| count > 0) {
                        self.segmentation.was_refused(*segment_bytes, error);
                    }
                    let gone = parcel.plan.datagrams_in(count);
                    sent.taken += gone;
                    gone
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_full(&error) => 0,
                Err(error) if parcel.segment_bytes() > 0 => {
                    let end = done + parcel.plan.datagrams_in(1);
                    apart = Some(Apart { end, segment_bytes: parcel.segment_bytes(), error });
                    continue;
                }
                Err(error) => {
                    tracing::debug!(to = %parcel.entries[0].to, %error, "the kernel refuses a datagram");
                    sent.refused += 1;
                    1
                }
            };
            if gone == 0 {
                sent.full = true;
                break;
            }
            start += parcel.entries[..gone].iter().map(|entry| entry.length).sum::<usize>();
            done += gone;
        }
        self.entries.drain(..done);
        self.bytes.drain(..start);
        sent
    }
}

/// Whether the socket, or the kernel, has no space at the moment. Any other error is of the one message.
fn is_full(error: &io::Error) -> bool {
    use rustix::io::Errno;
    error.kind() == io::ErrorKind::WouldBlock
        || matches!(Errno::from_io_error(error), Some(Errno::NOBUFS | Errno::NOMEM))
}

impl<'a> Parcel<'a> {
    fn new(entries: &'a [Entry], bytes: &'a [u8], plan: Plan) -> Self {
        let entries = &entries[..plan.datagrams_in(plan.message_count())];
        let length = entries.iter().map(|entry| entry.length).sum();
        Self { entries, bytes: &bytes[..length], plan }
    }

    /// Bytes of each datagram in a message, but for its last one, which may be shorter; 0 if each message is one datagram.
    pub(super) fn segment_bytes(&self) -> usize {
        self.plan.segment_bytes
    }

    /// Where each message goes, and its bytes.
    pub(super) fn messages(&self) -> impl Iterator<Item = (SocketAddr, &'a [u8])> {
        let (mut entries, mut bytes) = (self.entries, self.bytes);
        self.plan.messages().filter_map(move |count| {
            let (message, entries_behind) = entries.split_at(count);
            let (message_bytes, bytes_behind) =
                bytes.split_at(message.iter().map(|entry| entry.length).sum());
            (entries, bytes) = (entries_behind, bytes_behind);
            // No message is without a datagram.
            message.first().map(|first| (first.to, message_bytes))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rustix::io::Errno;

    use super::*;
    use crate::dice::Dice;
    use crate::limits::UDP_SEGMENT_BYTES_MAX;

    const SEGMENTATION: Segmentation = Segmentation::up_to(UDP_SEGMENT_BYTES_MAX);

    /// A kernel that takes so many datagrams, refuses those to port 0, is interrupted when asked to be, and cuts no
    /// longer segments than it can.
    #[derive(Default)]
    struct Kernel {
        space: usize,
        full: Option<Errno>,
        interrupted: usize,
        /// Longer segments than so many bytes are refused for this reason.
        segments: Option<(usize, Errno)>,
        took: Vec<Vec<u8>>,
        messages: usize,
    }

    impl Kernel {
        fn call(&mut self, parcel: &Parcel<'_>) -> io::Result<usize> {
            if self.interrupted > 0 {
                self.interrupted -= 1;
                return Err(Errno::INTR.into());
            }
            let segment_bytes = parcel.segment_bytes();
            let mut count = 0;
            for (to, bytes) in parcel.messages() {
                let whole = std::slice::from_ref(&bytes);
                let cut: Vec<_> = match segment_bytes {
                    0 => whole.to_vec(),
                    _ => bytes.chunks(segment_bytes).collect(),
                };
                let error = match self.segments {
                    _ if self.space < cut.len() => self.full.unwrap_or(Errno::AGAIN),
                    _ if to.port() == 0 => Errno::INVAL,
                    Some((max, error)) if segment_bytes > max => error,
                    Some(_) | None => {
                        self.took.extend(cut.iter().map(|&datagram| datagram.to_vec()));
                        self.space -= cut.len();
                        self.messages += 1;
                        count += 1;
                        continue;
                    }
                };
                return if count == 0 { Err(error.into()) } else { Ok(count) };
            }
            Ok(count)
        }
    }

    fn nowhere() -> SocketAddr {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)
    }

    fn somewhere() -> SocketAddr {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 9)
    }

    #[test]
    fn a_full_socket_keeps_the_rest_and_it_goes_first() {
        for full in [Errno::AGAIN, Errno::NOBUFS, Errno::NOMEM] {
            let mut batch = Batch::new(SEGMENTATION);
            // None is joined to one that is shorter.
            for text in ["a", "bb", "ccc", "dddd"] {
                batch.push(somewhere(), [text.as_bytes()]);
            }
            let mut kernel = Kernel { space: 0, full: Some(full), ..Kernel::default() };
            let nothing = Sent { full: true, calls: 1, ..Sent::default() };
            assert_eq!(batch.send(|parcel| kernel.call(parcel)), nothing);
            kernel.space = 3;
            let three = Sent { taken: 3, full: true, calls: 2, ..Sent::default() };
            assert_eq!(batch.send(|parcel| kernel.call(parcel)), three);
            batch.push(somewhere(), [&b"e"[..]]);
            batch.push(somewhere(), [&b"ff"[..]]);
            kernel.space = 9;
            // The rest and the next are joined, what is behind them is not.
            let others = Sent { taken: 3, calls: 2, ..Sent::default() };
            assert_eq!(batch.send(|parcel| kernel.call(parcel)), others);
            assert_eq!(kernel.took.concat(), b"abbcccddddeff");
            assert!(batch.is_empty() && batch.bytes.is_empty());
        }
    }

    #[test]
    fn a_rest_counts_against_the_batch() {
        let mut batch = Batch::new(Segmentation::NONE);
        let mut kernel = Kernel { space: 10, ..Kernel::default() };
        while !batch.is_full() {
            batch.push(somewhere(), [&b"x"[..]]);
        }
        assert_eq!(batch.send(|parcel| kernel.call(parcel)).taken, 10);
        let mut pushed = 0;
        while !batch.is_full() {
            batch.push(somewhere(), [&b"y"[..]]);
            pushed += 1;
        }
        assert_eq!(pushed, 10);
    }

    #[test]
    fn an_interrupted_call_is_made_again() {
        let mut batch = Batch::new(SEGMENTATION);
        let mut kernel = Kernel { space: 9, interrupted: 3, ..Kernel::default() };
        batch.push(somewhere(), [&b"x"[..]]);
        let sent = Sent { taken: 1, calls: 4, ..Sent::default() };
        assert_eq!(batch.send(|parcel| kernel.call(parcel)), sent);
    }

    #[test]
    fn whatever_happens_each_is_sent_or_refused_once_and_in_order() {
        let mut dice = Dice(1);
        let (mut batch, mut kernel) = (Batch::new(SEGMENTATION), Kernel::default());
        let (mut expected, mut refused_expected, mut refused) = (Vec::new(), 0, 0);
        for round in 0..4000_u32 {
            for _ in 0..dice.below(20) {
                if batch.is_full() {
                    break;
                }
                let bytes = [expected.len().to_be_bytes(), expected.len().to_be_bytes()].concat();
                let bytes = &bytes[4..][..dice.below(3) * 6];
                if dice.below(4) == 0 {
                    batch.push(nowhere(), [bytes]);
                    refused_expected += 1;
                } else {
                    batch.push(somewhere(), [bytes]);
                    expected.push(bytes.to_vec());
                }
            }
            if round % 100 == 0 {
                batch.segmentation = SEGMENTATION;
            }
            let error = [Errno::INVAL, Errno::MSGSIZE, Errno::IO, Errno::NETUNREACH][dice.below(4)];
            kernel.segments = (dice.below(20) == 0).then(|| (dice.below(12), error));
            kernel.space = dice.below(UDP_BATCH_MAX);
            kernel.interrupted = dice.below(2);
            refused += batch.send(|parcel| kernel.call(parcel)).refused;
        }
        kernel.space = UDP_BATCH_MAX;
        refused += batch.send(|parcel| kernel.call(parcel)).refused;
        assert_eq!(refused, refused_expected);
        assert!(kernel.messages < expected.len(), "some were joined");
        assert_eq!(kernel.took, expected);
    }

    /// Pushes datagrams of so many bytes, and sends them.
    fn send_lengths(batch: &mut Batch, kernel: &mut Kernel, lengths: &[usize]) -> Sent {
        for &length in lengths {
            batch.push(somewhere(), [&vec![b'x'; length][..]]);
        }
        batch.send(|parcel| kernel.call(parcel))
    }

    fn refusing(max: usize, error: Errno) -> Kernel {
        Kernel { space: 1000, segments: Some((max, error)), ..Kernel::default() }
    }

    #[test]
    fn what_is_refused_joined_goes_apart_and_is_never_joined_again() {
        for error in [Errno::IO, Errno::NOPROTOOPT, Errno::OPNOTSUPP, Errno::PERM] {
            let (mut batch, mut kernel) = (Batch::new(SEGMENTATION), refusing(0, error));
            let sent = send_lengths(&mut batch, &mut kernel, &[9; 8]);
            // One refused, and one for all, apart.
            assert_eq!(sent, Sent { taken: 8, calls: 2, ..Sent::default() });
            assert_eq!(batch.segmentation, Segmentation::NONE);
            let sent = send_lengths(&mut batch, &mut kernel, &[9; 8]);
            assert_eq!(sent, Sent { taken: 8, calls: 1, ..Sent::default() });
            assert_eq!(kernel.took, vec![vec![b'x'; 9]; 16]);
            assert_eq!(kernel.messages, 16);
        }
    }

    #[test]
    fn segments_too_long_for_a_way_go_apart_and_shorter_ones_are_joined_as_before() {
        for error in [Errno::INVAL, Errno::MSGSIZE] {
            let (mut batch, mut kernel) = (Batch::new(SEGMENTATION), refusing(1200, error));
            let sent = send_lengths(&mut batch, &mut kernel, &[70, 70, 1300, 1300]);
            // The joined ones; those refused; those again, apart.
            assert_eq!(sent, Sent { taken: 4, calls: 3, ..Sent::default() });
            assert_eq!(kernel.messages, 3);
            assert_eq!(batch.segmentation, Segmentation::up_to(1299));
            let sent = send_lengths(&mut batch, &mut kernel, &[1300, 1300]);
            assert_eq!((sent.taken, sent.calls), (2, 1));
            let sent = send_lengths(&mut batch, &mut kernel, &[1200, 1200]);
            assert_eq!((sent.taken, sent.calls), (2, 1));
            assert_eq!(kernel.messages, 6);
        }
    }

    #[test]
    fn an_address_that_nothing_goes_to_says_nothing_about_segments() {
        let (mut batch, mut kernel) = (Batch::new(SEGMENTATION), Kernel { space: 9, ..Kernel::default() });
        for to in [nowhere(), somewhere()] {
            (0..3).for_each(|_| batch.push(to, [&b"x"[..]]));
        }
        let sent = batch.send(|parcel| kernel.call(parcel));
        assert_eq!((sent.taken, sent.refused, sent.full), (3, 3, false));
        assert_eq!(batch.segmentation, SEGMENTATION);
        assert_eq!(kernel.messages, 1);
    }

    #[test]
    fn what_has_gone_meanwhile_says_nothing_about_segments_either() {
        let mut batch = Batch::new(SEGMENTATION);
        (0..3).for_each(|_| batch.push(somewhere(), [&b"x"[..]]));
        let (mut kernel, mut is_unreachable) = (Kernel { space: 9, ..Kernel::default() }, true);
        let sent = batch.send(|parcel| {
            let error = std::mem::take(&mut is_unreachable).then(|| Errno::NETUNREACH.into());
            error.map_or_else(|| kernel.call(parcel), Err)
        });
        assert_eq!((sent.taken, sent.refused, sent.full), (3, 0, false));
        assert_eq!(batch.segmentation, SEGMENTATION);
    }

    #[test]
    fn a_socket_that_is_full_in_the_middle_of_those_apart_keeps_the_rest() {
        let (mut batch, mut kernel) = (Batch::new(SEGMENTATION), Kernel { space: 2, ..Kernel::default() });
        let mut calls = 0;
        (0..6).for_each(|number| batch.push(somewhere(), [&[number][..]]));
        let sent = batch.send(|parcel| {
            calls += 1;
            match calls {
                1 => Err(Errno::IO.into()),
                2 => kernel.call(parcel),
                _ => Err(Errno::AGAIN.into()),
            }
        });
        assert_eq!((sent.taken, sent.refused, sent.full), (2, 0, true));
        assert_eq!(batch.segmentation, Segmentation::NONE);
        kernel.space = 9;
        assert_eq!(batch.send(|parcel| kernel.call(parcel)).taken, 4);
        assert_eq!(kernel.took, (0..6).map(|number| vec![number]).collect::<Vec<_>>());
    }
}
