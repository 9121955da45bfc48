//! Segmentation offload: which datagrams of a batch are joined into one message, that the kernel takes as a whole and cuts
//! again into *segments*, a datagram each.
//!
//! It cuts at one size, so that all datagrams of a message go to one address and are of that size, but for the last,
//! which may be shorter. The size is an option of the socket, and holds for all messages of a call. What is said here is
//! pure; the calls are in `batched.rs`.

use std::io;

use arrayvec::ArrayVec;

use super::batch::Entry;
use crate::limits::{UDP_BATCH_MAX, UDP_MESSAGE_BYTES_MAX, UDP_SEGMENTS_MAX};

/// What the kernel can be asked for, as far as is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Segmentation {
    /// Bytes of a segment. More: the datagrams go by themselves.
    segment_bytes_max: usize,
}

impl Segmentation {
    /// Each datagram is a message.
    pub(super) const NONE: Self = Self { segment_bytes_max: 0 };

    /// For as long as the kernel takes it: segments of so many bytes, at most.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "there is none"))]
    pub(super) const fn up_to(segment_bytes_max: usize) -> Self {
        Self { segment_bytes_max }
    }

    /// The kernel refused a message of such segments, and then took one of its datagrams by itself.
    pub(super) fn was_refused(&mut self, segment_bytes: usize, error: &io::Error) {
        use rustix::io::Errno;
        let segment_bytes_max = match Errno::from_io_error(error) {
            // Longer than the way there allows. Segments are not fragmented; datagrams are.
            Some(Errno::INVAL | Errno::MSGSIZE) => segment_bytes.saturating_sub(1),
            // There is no such option, or the device cannot make checksums, or a sandbox forbids it.
            Some(Errno::IO | Errno::NOPROTOOPT | Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS) => 0,
            // What was in the way has gone since.
            Some(_) | None => return,
        };
        if segment_bytes_max < self.segment_bytes_max {
            self.segment_bytes_max = segment_bytes_max;
            tracing::debug!(segment_bytes, segment_bytes_max, %error, "the kernel refuses segments");
        }
    }
}

/// What the next call sends: at least one message, unless there is no datagram.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Plan {
    /// Bytes of a segment in all of its messages; 0 if each is one datagram.
    pub(super) segment_bytes: usize,
    /// Datagrams of each message.
    messages: ArrayVec<u8, UDP_BATCH_MAX>,
}

const _: () = assert!(UDP_SEGMENTS_MAX <= u8::MAX as usize);

impl Plan {
    pub(super) fn message_count(&self) -> usize {
        self.messages.len()
    }

    /// Datagrams of each message.
    pub(super) fn messages(&self) -> impl Iterator<Item = usize> {
        self.messages.clone().into_iter().map(usize::from)
    }

    /// Datagrams in the first messages.
    pub(super) fn datagrams_in(&self, messages: usize) -> usize {
        self.messages[..messages].iter().copied().map(usize::from).sum()
    }
}

/// Joins the first datagrams into the messages of one call, none skipped: as many as are of one kind, either joined with
/// segments of one size, or single. There are no more than a batch holds.
pub(super) fn plan(entries: &[Entry], segmentation: Segmentation) -> Plan {
    let mut plan = Plan { segment_bytes: 0, messages: ArrayVec::new() };
    let mut rest = entries;
    while let Some(first) = rest.first() {
        let count = joined(rest, segmentation);
        let segment_bytes = if count > 1 { first.length } else { 0 };
        if plan.messages.is_empty() {
            plan.segment_bytes = segment_bytes;
        } else if plan.segment_bytes != segment_bytes {
            break;
        }
        plan.messages.push(count as u8);
        rest = &rest[count..];
    }
    plan
}

/// How many of the first datagrams make one message.
fn joined(entries: &[Entry], segmentation: Segmentation) -> usize {
    let Some((first, others)) = entries.split_first() else { return 0 };
    let size = first.length;
    if size == 0 || size > segmentation.segment_bytes_max {
        return 1;
    }
    let (mut count, mut bytes) = (1, size);
    for entry in others.iter().take(UDP_SEGMENTS_MAX - 1) {
        bytes += entry.length;
        // An empty datagram would not be one: there is nothing to cut.
        if entry.to != first.to || !(1..=size).contains(&entry.length) || bytes > UDP_MESSAGE_BYTES_MAX {
            break;
        }
        count += 1;
        if entry.length < size {
            break;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::dice::Dice;
    use crate::limits::UDP_SEGMENT_BYTES_MAX;

    fn entry((port, length): (u16, usize)) -> Entry {
        Entry { to: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), length }
    }

    /// Whether the kernel makes exactly these datagrams of one message: what is said of it in one sentence.
    fn may_be_joined(entries: &[Entry], segment_bytes_max: usize) -> bool {
        let size = entries[0].length;
        let bytes: usize = entries.iter().map(|entry| entry.length).sum();
        let cut: Vec<_> = (0..bytes).step_by(size.max(1)).map(|start| size.min(bytes - start)).collect();
        entries.iter().all(|entry| entry.to == entries[0].to)
            && entries.iter().map(|entry| entry.length).eq(cut)
            && size <= segment_bytes_max
            && entries.len() <= UDP_SEGMENTS_MAX
            && bytes <= UDP_MESSAGE_BYTES_MAX
    }

    /// Looks at what is planned for entries, call by call, until all are sent.
    fn check(entries: &[Entry], segment_bytes_max: usize) {
        let mut rest = entries;
        while !rest.is_empty() {
            let planned = plan(rest, Segmentation::up_to(segment_bytes_max));
            let size = planned.segment_bytes;
            for count in planned.messages() {
                let longest =
                    (2..=rest.len()).rev().find(|&more| may_be_joined(&rest[..more], segment_bytes_max));
                assert_eq!(count, longest.unwrap_or(1), "{rest:?}");
                assert_eq!(size, if count > 1 { rest[0].length } else { 0 });
                rest = &rest[count..];
            }
            assert!(planned.message_count() > 0);
            if let Some(next) = plan(rest, Segmentation::up_to(segment_bytes_max)).messages().next() {
                assert_ne!(size, if next > 1 { rest[0].length } else { 0 }, "it belongs to the same call");
            }
        }
    }

    #[test]
    fn every_short_sequence_is_joined_as_far_as_it_may_be_and_no_further() {
        const KINDS: usize = 8;
        for count in 0..=5 {
            for mut code in 0..KINDS.pow(count) {
                let entries: Vec<_> = (0..count)
                    .map(|_| {
                        let kind = code % KINDS;
                        code /= KINDS;
                        entry((9 + (kind / 4) as u16, kind % 4))
                    })
                    .collect();
                for segment_bytes_max in [0, 1, 2, 3] {
                    check(&entries, segment_bytes_max);
                }
            }
        }
    }

    #[test]
    fn long_sequences_are_joined_up_to_what_a_message_holds() {
        let mut dice = Dice(3);
        for _ in 0..300 {
            let (mut port, mut length) = (9, 70);
            let entries: Vec<_> = (0..dice.below(UDP_BATCH_MAX + 1))
                .map(|_| {
                    if dice.below(30) == 0 {
                        port = 9 + dice.below(2) as u16;
                    }
                    if dice.below(30) == 0 {
                        length = [0, 1, 69, 70, 1000, UDP_SEGMENT_BYTES_MAX, UDP_SEGMENT_BYTES_MAX + 1]
                            [dice.below(7)];
                    }
                    entry((port, length))
                })
                .collect();
            check(&entries, UDP_SEGMENT_BYTES_MAX);
        }
    }

    #[test]
    fn nothing_is_planned_as_nothing() {
        assert_eq!(plan(&[], Segmentation::up_to(9)), Plan { segment_bytes: 0, messages: ArrayVec::new() });
    }
}
