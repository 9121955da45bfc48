//! A way from one shard to another: batches, one a turn at most, through a bounded queue without locks.
//!
//! Empty batches go the other way, so that a steady flow allocates nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rtrb::{Consumer, Producer, PushError, RingBuffer};

use super::alarm::Alarm;
use crate::fanout::{Orders, Reports};
use crate::limits::{LINK_BATCHES_MAX, LINK_SPARE_BYTES_MAX, LINK_SPARES_MAX};

/// What goes over a link.
pub(super) trait Batch: Default {
    fn is_empty(&self) -> bool;
    /// What it takes of the bound on what is on its way.
    fn size(&self) -> usize;
    fn clear(&mut self);
}

impl Batch for Orders {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn size(&self) -> usize {
        self.size()
    }

    fn clear(&mut self) {
        self.clear();
    }
}

impl Batch for Reports {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn size(&self) -> usize {
        self.size()
    }

    fn clear(&mut self) {
        self.clear();
    }
}

#[derive(Debug)]
pub(super) struct Sender<B> {
    batches: Producer<B>,
    spares: Consumer<B>,
    on_its_way: Arc<AtomicUsize>,
    /// Of the other end. Dropped last: whoever wakes finds the link closed.
    alarm: RingsAtTheEnd,
}

/// Rings when it is dropped, for nobody is left to send anything.
#[derive(Debug)]
struct RingsAtTheEnd(Arc<Alarm>);

impl Drop for RingsAtTheEnd {
    fn drop(&mut self) {
        self.0.ring();
    }
}

#[derive(Debug)]
pub(super) struct Receiver<B> {
    batches: Consumer<B>,
    spares: Producer<B>,
    on_its_way: Arc<AtomicUsize>,
}

/// Makes a link to the shard that has the alarm.
pub(super) fn link<B: Batch>(alarm: Arc<Alarm>) -> (Sender<B>, Receiver<B>) {
    let (batches, received) = RingBuffer::new(LINK_BATCHES_MAX);
    let (given_back, spares) = RingBuffer::new(LINK_SPARES_MAX);
    let on_its_way = Arc::new(AtomicUsize::new(0));
    let sender = Sender { batches, spares, on_its_way: Arc::clone(&on_its_way), alarm: RingsAtTheEnd(alarm) };
    (sender, Receiver { batches: received, spares: given_back, on_its_way })
}

impl<B: Batch> Sender<B> {
    /// Sends a batch, unless it is empty, and leaves an empty one in its place. Returns how many bytes are on their way; the
    /// batch stays where it is while there is no space for it.
    pub(super) fn send(&mut self, batch: &mut B) -> usize {
        if !batch.is_empty() && !self.batches.is_full() {
            let spare = self.spares.pop().unwrap_or_default();
            let full = std::mem::replace(batch, spare);
            self.on_its_way.fetch_add(full.size(), Ordering::Relaxed);
            match self.batches.push(full) {
                Ok(()) => self.alarm.0.ring(),
                Err(PushError::Full(full)) => *batch = full,
            }
        }
        self.on_its_way.load(Ordering::Relaxed)
    }
}

impl<B: Batch> Receiver<B> {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether the other end is gone, and all that it sent was received.
    pub(super) fn is_closed(&self) -> bool {
        self.batches.is_abandoned() && self.batches.is_empty()
    }

    /// Hands out the batches that are there, but not those that come meanwhile, nor more once they had so many bytes.
    pub(super) fn receive(&mut self, bytes_max: usize, mut each: impl FnMut(&B)) {
        let mut bytes = 0;
        for _ in 0..self.batches.slots() {
            if bytes >= bytes_max {
                break;
            }
            let Ok(mut batch) = self.batches.pop() else { break };
            each(&batch);
            let size = batch.size();
            bytes += size;
            self.on_its_way.fetch_sub(size, Ordering::Relaxed);
            let is_large = size > LINK_SPARE_BYTES_MAX;
            batch.clear();
            if !is_large {
                // Where there are enough, one less is no loss.
                let _ = self.spares.push(batch);
            }
        }
    }
}
