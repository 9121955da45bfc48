//! Blocks of the room logs, and the pool that they come from and go back to.
//!
//! A block holds whole frames: their bytes, and for each frame a mark. No frame spans two blocks.

use crate::chat::ConnId;
use crate::limits::{LOG_BLOCK_BYTES, LOG_FRAME_BYTES_MIN, LOG_POOL_BYTES_MAX};

/// A frame in a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// Where it starts, in bytes from the block's start. It ends where the next one starts.
    pub(super) start: u32,
    /// The connection that does not get it, because it wrote it.
    pub(super) skipped_by: Option<ConnId>,
}

/// A piece of a log. `bytes` never grows beyond the capacity of its size class.
#[derive(Debug)]
pub(super) struct Block {
    /// Which of [`LOG_BLOCK_BYTES`].
    class: usize,
    /// How many frames the log had before this block's first.
    pub(super) frames_before: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) marks: Vec<Mark>,
}

impl Block {
    /// What the block takes of its log's bound, however full it is.
    pub(super) fn size(&self) -> usize {
        LOG_BLOCK_BYTES[self.class]
    }

    /// Whether a frame of so many bytes fits behind those that are there. Marks are bounded as well: many small frames
    /// fill a block before its bytes do.
    pub(super) fn has_space(&self, bytes: usize) -> bool {
        self.bytes.len() + bytes <= self.size() && self.marks.len() < self.size() / LOG_FRAME_BYTES_MIN
    }

    pub(super) fn push(&mut self, frame: &[u8], skipped_by: Option<ConnId>) {
        self.marks.push(Mark { start: self.bytes.len() as u32, skipped_by });
        self.bytes.extend_from_slice(frame);
    }
}

/// Blocks in no log, by size class: at most [`LOG_POOL_BYTES_MAX`] of each.
#[derive(Debug, Default)]
pub(super) struct BlockPool {
    free: [Vec<Block>; LOG_BLOCK_BYTES.len()],
    taken_bytes: usize,
}

/// The size class of a block that is to hold so many bytes: the smallest that does, or the largest.
fn class_for(bytes: usize) -> usize {
    LOG_BLOCK_BYTES.iter().position(|&size| size >= bytes).unwrap_or(LOG_BLOCK_BYTES.len() - 1)
}

impl BlockPool {
    /// The size of the block that [`BlockPool::take`] gives for so many bytes.
    pub(super) fn size_for(bytes: usize) -> usize {
        LOG_BLOCK_BYTES[class_for(bytes)]
    }

    /// An empty block of the smallest class that holds so many bytes; of the largest, where none does.
    pub(super) fn take(&mut self, bytes: usize, frames_before: u64) -> Block {
        let class = class_for(bytes);
        self.taken_bytes += LOG_BLOCK_BYTES[class];
        let mut block = self.free[class].pop().unwrap_or_else(|| Block {
            class,
            frames_before,
            bytes: Vec::with_capacity(LOG_BLOCK_BYTES[class]),
            marks: Vec::new(),
        });
        block.frames_before = frames_before;
        block
    }

    /// Bytes of the blocks that are in logs.
    pub(super) fn taken_bytes(&self) -> usize {
        self.taken_bytes
    }

    pub(super) fn give(&mut self, mut block: Block) {
        self.taken_bytes -= block.size();
        let free = &mut self.free[block.class];
        if free.len() < LOG_POOL_BYTES_MAX / LOG_BLOCK_BYTES[block.class] {
            block.bytes.clear();
            block.marks.clear();
            free.push(block);
        }
    }
}
