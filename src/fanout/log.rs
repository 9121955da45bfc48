//! The log of one dialect in one room: encoded frames, appended once, read by every member at its own cursor.
//!
//! ```text
//!            tail                                             head
//!             │  block 0        block 1        block 2         │
//!             ▼┌─────────────┐ ┌─────────────┐ ┌────────       ▼
//!   (given    ││f0 │f1  │f2  │ │f3 │f4 │f5   │ │f6  │f7 │      (free)
//!    back)     └─────────────┘ └─────────────┘ └────────
//!                    ▲               ▲                         ▲▲▲▲
//!              a blocked member   one not yet           all the others:
//!              (mid-frame)        visited in this turn  they have everything
//! ```
//!
//! Invariant: `tail <= cursor <= head` for every member; a cursor stands inside a frame only while that frame is partly
//! sent. Offsets count bytes since the log was made and are never reused.

use std::collections::VecDeque;
use std::io::IoSlice;

use arrayvec::ArrayVec;

use super::pool::{Block, BlockPool};
use crate::chat::ConnId;
use crate::limits::{LOG_BLOCK_BYTES, WRITE_SLICES_MAX};

/// A position in a log: bytes since its beginning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Offset(pub(super) u64);

/// What one write is made of, borrowed from the log and the outbox.
pub type Gather<'a> = ArrayVec<IoSlice<'a>, WRITE_SLICES_MAX>;

#[derive(Debug, Default)]
pub(super) struct Log {
    blocks: VecDeque<Block>,
    tail: Offset,
    head: Offset,
    /// Frames since the log was made.
    frame_count: u64,
    /// Bytes of all blocks, full or not.
    held: usize,
    /// Bytes of the batch that was given back last: the next one will need about as much.
    batch_bytes: usize,
}

impl Log {
    pub(super) fn head(&self) -> Offset {
        self.head
    }

    pub(super) fn tail(&self) -> Offset {
        self.tail
    }

    /// Bytes of frames.
    pub(super) fn len(&self) -> usize {
        (self.head.0 - self.tail.0) as usize
    }

    /// Bytes of blocks, which is what the log's bound is a bound on. The marks take as much again at most.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Bytes of blocks that a frame of so many bytes would add.
    pub(super) fn growth(&self, frame_bytes: usize) -> usize {
        match self.blocks.back() {
            Some(block) if block.has_space(frame_bytes) => 0,
            _ => BlockPool::size_for(self.next_block_bytes(frame_bytes)),
        }
    }

    /// A log that grows takes larger blocks: at least as much as it holds already.
    fn next_block_bytes(&self, frame_bytes: usize) -> usize {
        self.batch_bytes.max(self.len() + frame_bytes)
    }

    /// Appends a frame of at most [`FRAME_BYTES_MAX`](crate::limits::FRAME_BYTES_MAX) bytes.
    pub(super) fn append(&mut self, frame: &[u8], skipped_by: Option<ConnId>, pool: &mut BlockPool) {
        if !self.blocks.back().is_some_and(|block| block.has_space(frame.len())) {
            let block = pool.take(self.next_block_bytes(frame.len()), self.frame_count);
            self.held += block.size();
            self.blocks.push_back(block);
        }
        if let Some(block) = self.blocks.back_mut() {
            block.push(frame, skipped_by);
        }
        self.head.0 += frame.len() as u64;
        self.frame_count += 1;
    }

    /// Gives back the blocks that end at or before `offset`.
    pub(super) fn release(&mut self, offset: Offset, pool: &mut BlockPool) {
        if offset == self.head {
            self.batch_bytes = self.len().min(LOG_BLOCK_BYTES[LOG_BLOCK_BYTES.len() - 1]);
        }
        while let Some(block) = self.blocks.front() {
            let end = Offset(self.tail.0 + block.bytes.len() as u64);
            if end > offset {
                break;
            }
            self.tail = end;
            if let Some(block) = self.blocks.pop_front() {
                self.held -= block.size();
                pool.give(block);
            }
        }
    }

    /// Where the tail is after the oldest block is given back.
    pub(super) fn next_tail(&self) -> Offset {
        self.blocks.front().map_or(self.tail, |block| Offset(self.tail.0 + block.bytes.len() as u64))
    }

    /// Appends the bytes of `[from, to)` to a write, as far as it has slices left; returns where it stopped.
    pub(super) fn gather<'a>(&'a self, from: Offset, to: Offset, out: &mut Gather<'a>) -> Offset {
        let mut at = from;
        for (start, block) in self.blocks_from(from) {
            if at >= to || out.is_full() {
                break;
            }
            let end = to.0.min(start.0 + block.bytes.len() as u64);
            out.push(IoSlice::new(&block.bytes[(at.0 - start.0) as usize..(end - start.0) as usize]));
            at = Offset(end);
        }
        at
    }

    /// Hands the bytes of `[from, to)` to `each`, in pieces.
    pub(super) fn copy(&self, from: Offset, to: Offset, mut each: impl FnMut(&[u8])) {
        let mut at = from;
        while at < to {
            let mut slices = Gather::new();
            at = self.gather(at, to, &mut slices);
            slices.iter().for_each(|slice| each(slice));
        }
    }

    /// How many frames start at or after `from`.
    pub(super) fn frame_count_from(&self, from: Offset) -> u64 {
        let Some((start, block)) = self.blocks_from(from).next() else { return 0 };
        let before = block.marks.partition_point(|mark| start.0 + u64::from(mark.start) < from.0);
        self.frame_count - block.frames_before - before as u64
    }

    /// The frames from the one that contains `from` to the head.
    pub(super) fn frames_from(&self, from: Offset) -> impl Iterator<Item = Frame> + '_ {
        self.blocks_from(from).flat_map(move |(start, block)| {
            let offset_in_block = from.0.saturating_sub(start.0) as u32;
            let first = block.marks.partition_point(|mark| mark.start <= offset_in_block).saturating_sub(1);
            block.marks.iter().enumerate().skip(first).map(move |(index, mark)| {
                let end = block.marks.get(index + 1).map_or(block.bytes.len(), |next| next.start as usize);
                Frame {
                    start: Offset(start.0 + u64::from(mark.start)),
                    end: Offset(start.0 + end as u64),
                    skipped_by: mark.skipped_by,
                }
            })
        })
    }

    /// The blocks from the one that contains `from`, each with its start. Readers are mostly near the head.
    fn blocks_from(&self, from: Offset) -> impl Iterator<Item = (Offset, &Block)> + '_ {
        let mut end = self.head;
        let mut first = self.blocks.len();
        while first > 0 && end > from {
            first -= 1;
            end.0 -= self.blocks[first].bytes.len() as u64;
        }
        let mut start = end;
        self.blocks.range(first..).map(move |block| {
            let this = start;
            start.0 += block.bytes.len() as u64;
            (this, block)
        })
    }
}

/// A frame in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    pub(super) start: Offset,
    pub(super) end: Offset,
    pub(super) skipped_by: Option<ConnId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(log: &Log, from: u64, to: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at = Offset(from);
        while at < Offset(to) {
            let mut slices = Gather::new();
            at = log.gather(at, Offset(to), &mut slices);
            for slice in &slices {
                out.extend_from_slice(slice);
            }
        }
        out
    }

    #[test]
    fn every_range_reads_as_it_was_written_and_release_keeps_the_rest() {
        let mut pool = BlockPool::default();
        let mut log = Log::default();
        let mut all = Vec::new();
        for index in 0..3000_u32 {
            let frame = format!("frame {index} {}\n", "x".repeat((index % 97) as usize));
            log.append(frame.as_bytes(), None, &mut pool);
            all.extend_from_slice(frame.as_bytes());
        }
        let head = all.len() as u64;
        assert_eq!(log.head(), Offset(head));
        for (from, to) in [(0, head), (1, 2), (1000, 30_000), (head - 1, head), (head, head)] {
            assert_eq!(bytes(&log, from, to), &all[from as usize..to as usize], "{from}..{to}");
        }
        log.release(Offset(head / 2), &mut pool);
        assert!(log.tail() <= Offset(head / 2) && log.tail() > Offset(head / 2 - 17_000));
        assert_eq!(bytes(&log, head / 2, head), &all[head as usize / 2..]);
        log.release(Offset(head), &mut pool);
        assert_eq!((log.len(), log.blocks.len(), log.tail()), (0, 0, Offset(head)));
    }

    #[test]
    fn frames_are_found_from_any_offset() {
        // Each is looked for from each: too much for an interpreter.
        const FRAMES: usize = if cfg!(miri) { 50 } else { 500 };
        let mut pool = BlockPool::default();
        let mut log = Log::default();
        let mut starts = Vec::new();
        for index in 0..FRAMES {
            starts.push(log.head().0);
            log.append(&vec![b'a'; 1 + index % 41], None, &mut pool);
        }
        starts.push(log.head().0);
        for index in 0..FRAMES {
            for from in [starts[index], starts[index + 1] - 1] {
                let found: Vec<_> = log.frames_from(Offset(from)).map(|frame| frame.start.0).collect();
                assert_eq!(found, &starts[index..FRAMES], "from {from}");
                let whole = starts[..FRAMES].iter().filter(|&&start| start >= from).count() as u64;
                assert_eq!(log.frame_count_from(Offset(from)), whole, "from {from}");
            }
        }
        assert_eq!(log.frames_from(log.head()).count(), 0);
        assert_eq!(log.frame_count_from(log.head()), 0);
    }

    #[test]
    fn what_is_held_counts_blocks_and_grows_as_foretold() {
        let mut pool = BlockPool::default();
        let mut log = Log::default();
        for _ in 0..10_000 {
            let foretold = log.held() + log.growth(3);
            log.append(b"a\n\n", None, &mut pool);
            assert_eq!(log.held(), foretold);
            assert_eq!(log.held(), pool.taken_bytes());
        }
        let marks: usize =
            log.blocks.iter().map(|block| block.marks.len() * size_of::<crate::fanout::pool::Mark>()).sum();
        assert!(marks <= log.held(), "the marks take no more than the blocks are counted for");
        log.release(log.head(), &mut pool);
        assert_eq!((log.held(), pool.taken_bytes()), (0, 0));
    }

    #[test]
    fn a_steady_batch_settles_on_one_block() {
        let mut pool = BlockPool::default();
        let mut log = Log::default();
        for _ in 0..3 {
            for _ in 0..64 {
                log.append(&[b'x'; 80], None, &mut pool);
            }
            log.release(log.head(), &mut pool);
        }
        for _ in 0..64 {
            log.append(&[b'x'; 80], None, &mut pool);
        }
        assert_eq!(log.blocks.len(), 1);
    }
}
