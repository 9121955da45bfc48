//! What goes out to one connection: its answers and direct messages, in its outbox; and what becomes of those who do not
//! read them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

use super::outbox::Outbox;
use super::{End, Fanout, Report};
use crate::chat::{CloseReason, ConnId, Event};
use crate::limits::{
    OUTBOX_BYTES_HIGH, OUTBOX_BYTES_MAX, OUTBOX_POOL_BYTES_MAX, OUTBOX_POOL_MAX, OUTBOX_TOTAL_LOW_EIGHTHS,
};
use crate::wire::{Codec, Transport};

/// What waits for the connections of one network, compared by its bytes.
#[derive(Debug)]
struct Waiting {
    bytes: usize,
    /// Smallest first.
    outboxes: Vec<(usize, ConnId)>,
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Waiting {}

impl Fanout {
    /// Tells a connection how many messages it missed.
    pub(super) fn reply_missed(&mut self, id: ConnId, missed: u64) {
        if missed == 0 {
            return;
        }
        let mut outbox = self.take_outbox(id);
        let line = self.line(id);
        let mut frame = Vec::new();
        let _ = line.dialect.encode_event(&Codec::default(), &Event::Missed(missed), &mut frame);
        outbox.push_missed(self.head_for(line), &frame, missed);
        self.put_outbox(id, outbox);
    }

    /// Sends bytes to one connection, behind everything that it or its room was sent before: whole frames, and one alone
    /// where the dialect's go out one by one. `charged`: the network that the connection is charged to.
    pub(crate) fn push(&mut self, id: ConnId, charged: Option<u64>, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let line = self.line(id);
        let waiting = line.waiting();
        // Who has less waiting than this may ask, and an answer may be of any length; what others send never is.
        let may_be_answer = waiting < OUTBOX_BYTES_HIGH;
        if line.dialect.transport() == Transport::Datagram {
            if waiting + bytes.len() > OUTBOX_BYTES_MAX {
                self.metrics.datagrams_dropped += 1;
                return;
            }
        } else if line.blocked && !may_be_answer && waiting + bytes.len() > OUTBOX_BYTES_MAX {
            return self.give_up(id, CloseReason::TooSlow);
        }
        let after = self.head_for(line);
        let mut outbox = self.take_outbox(id);
        outbox.charged = charged;
        outbox.push(after, bytes);
        self.outbox_turn_bytes += bytes.len();
        self.put_outbox(id, outbox);
        self.shed();
    }

    /// Takes a connection's outbox out, or a spare one.
    pub(super) fn take_outbox(&mut self, id: ConnId) -> Box<Outbox> {
        match self.line_mut(id).outbox.take() {
            Some(outbox) => {
                self.outbox_total_bytes -= outbox.len();
                outbox
            }
            None => self.spare_outbox(id),
        }
    }

    /// Puts an outbox in its place, and its connection in the list of those to be flushed.
    pub(super) fn put_outbox(&mut self, id: ConnId, outbox: Box<Outbox>) {
        if outbox.is_empty() {
            return self.keep_spare(outbox);
        }
        self.outbox_total_bytes += outbox.len();
        self.line_mut(id).outbox = Some(outbox);
        self.mark_dirty(id);
    }

    pub(super) fn mark_dirty(&mut self, id: ConnId) {
        let line = self.line_mut(id);
        if !line.is_held() && !std::mem::replace(&mut line.queued, true) {
            self.dirty.push_back(id);
        }
    }

    /// An empty outbox for a connection.
    pub(super) fn spare_outbox(&mut self, id: ConnId) -> Box<Outbox> {
        let mut outbox = self.outbox_pool.pop().unwrap_or_default();
        outbox.is_framed = self.settings.is_framed(self.line(id).dialect);
        outbox
    }

    pub(super) fn keep_spare(&mut self, mut outbox: Box<Outbox>) {
        if self.outbox_pool.len() < OUTBOX_POOL_MAX && outbox.capacity() <= OUTBOX_POOL_BYTES_MAX {
            outbox.clear();
            self.outbox_pool.push(outbox);
        }
    }

    pub(crate) fn forget_outbox(&mut self, id: ConnId) {
        let outbox = self.take_outbox(id);
        self.keep_spare(outbox);
    }

    /// Frees memory if all outboxes together are too large. Of the network with the most waiting, the connection
    /// with the most waiting gives way, and so on. So a network with many connections cannot have those of
    /// others closed, and a connection without limits is a network of its own.
    pub(super) fn shed(&mut self) {
        if self.outbox_total_bytes <= self.settings.outbox_total_bytes_limit {
            return;
        }
        let low = self.settings.outbox_total_bytes_limit / 8 * OUTBOX_TOTAL_LOW_EIGHTHS;
        let mut networks: BTreeMap<_, (usize, Vec<(usize, ConnId)>)> = BTreeMap::new();
        for (id, line) in self.lines.iter(self.shard) {
            let Some(outbox) = &line.outbox else { continue };
            let network = outbox.charged.map_or((1, id.to_bits()), |network| (0, network));
            let (bytes, outboxes) = networks.entry(network).or_default();
            *bytes += outbox.len();
            outboxes.push((outbox.len(), id));
        }
        let mut largest: BinaryHeap<_> = networks
            .into_values()
            .map(|(bytes, mut outboxes)| {
                outboxes.sort_unstable_by_key(|&(bytes, id)| (bytes, id.to_bits()));
                (bytes, outboxes)
            })
            .map(|(bytes, outboxes)| Waiting { bytes, outboxes })
            .collect();
        while self.outbox_total_bytes > low
            && let Some(Waiting { bytes, mut outboxes }) = largest.pop()
        {
            let Some((outbox_bytes, id)) = outboxes.pop() else { continue };
            self.give_up(id, CloseReason::Memory);
            largest.push(Waiting { bytes: bytes - outbox_bytes, outboxes });
        }
    }

    /// Forgets what waits for a connection, and writes nothing more to it: it may have half a frame. The engine ends it
    /// when it hears of that. Not here: ending one tells its room, and that may find others.
    fn give_up(&mut self, id: ConnId, reason: CloseReason) {
        self.forget_outbox(id);
        if self.line(id).dialect.transport() == Transport::Datagram {
            // Datagrams may be lost, and are.
            self.metrics.datagrams_dropped += 1;
            self.report_drained(id);
            return self.end_when_flushed(id);
        }
        // The engine, on whichever shard, will have it dropped.
        self.line_mut(id).end = End::Told;
        self.reports.push(Report::GivenUp(id, reason));
    }
}
