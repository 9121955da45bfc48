//! What goes out to one connection: its answers and direct messages.

use super::Engine;
use super::network::Network;
use crate::chat::{ConnId, Event};
use crate::limits::OUTBOX_BYTES_HIGH;
use crate::wire::{Fit, Transport};

impl Engine {
    /// Tells one connection something, behind everything that it was told or that its room saw before.
    pub(super) fn reply(&mut self, id: ConnId, event: &Event<'_>) {
        self.reply_with(id, |_, answer| {
            answer(event);
        });
    }

    /// The same for any number of events that borrow the engine's own state. Each is told whether it fitted.
    pub(super) fn reply_with(
        &mut self,
        id: ConnId,
        events: impl FnOnce(&Self, &mut dyn FnMut(&Event<'_>) -> bool),
    ) {
        let mut ends = Vec::new();
        let frames = self.encode_events(id, &mut ends, events);
        if self.holds(id) {
            self.hold_frames(id, &frames, &ends);
        } else {
            self.push_frames(id, &frames, &ends);
        }
        self.scratch = frames;
    }

    /// Tells a connection what it has not asked for: that does not wait for the store, as its answers may.
    pub(super) fn tell_with(
        &mut self,
        id: ConnId,
        events: impl FnOnce(&Self, &mut dyn FnMut(&Event<'_>) -> bool),
    ) {
        let mut ends = Vec::new();
        let frames = self.encode_events(id, &mut ends, events);
        self.push_frames(id, &frames, &ends);
        self.scratch = frames;
    }

    /// Encodes events for a connection into the scratch buffer, which is to be put back; and, where each frame is sent alone,
    /// where each ends.
    pub(super) fn encode_events(
        &mut self,
        id: ConnId,
        ends: &mut Vec<usize>,
        events: impl FnOnce(&Self, &mut dyn FnMut(&Event<'_>) -> bool),
    ) -> Vec<u8> {
        let mut frames = std::mem::take(&mut self.scratch);
        frames.clear();
        let mut cut = 0;
        let conn = self.conn(id);
        let is_framed = self.fanouts.own.is_framed(conn.dialect);
        events(self, &mut |event| {
            let fit = conn.dialect.encode_event(&conn.codec, event, &mut frames);
            cut += u64::from(fit == Fit::Cut);
            if is_framed {
                ends.push(frames.len());
            }
            fit == Fit::Whole
        });
        self.metrics.cut += cut;
        frames
    }

    pub(super) fn push_frames(&mut self, id: ConnId, frames: &[u8], ends: &[usize]) {
        if !self.fanouts.own.is_framed(self.conn(id).dialect) {
            return self.push_outbox(id, frames);
        }
        let mut start = 0;
        for &end in ends {
            self.push_outbox(id, &frames[start..end]);
            start = end;
        }
    }

    /// Sends frames to a connection, one alone where its dialect's go out one by one.
    pub(super) fn push_outbox(&mut self, id: ConnId, bytes: &[u8]) {
        if bytes.is_empty() || (!self.answers.are_complete() && self.put_behind_answer(id, bytes)) {
            return;
        }
        let charged = self.charged_to(id).map(Network::bits);
        self.fanouts.push(id, charged, bytes);
        if id.shard() > 0 {
            let conn = self.conn_mut(id);
            conn.unread.sent(bytes.len());
            self.watch_unread(id);
        }
    }

    /// Watches a connection on another shard that may have much to read: early enough that whoever reads all the time
    /// never seems not to.
    pub(super) fn watch_unread(&mut self, id: ConnId) {
        if id.shard() > 0 && self.conn(id).unread.bytes() >= OUTBOX_BYTES_HIGH / 2 {
            self.watch(id);
        }
    }

    /// Has its fan-out tell when a connection has read most of what waits for it.
    pub(super) fn watch(&mut self, id: ConnId) {
        let conn = self.conn_mut(id);
        if !std::mem::replace(&mut conn.watched, true) {
            conn.unread.watched();
            self.fanouts.watch(id);
        }
    }

    /// Whether a connection has so much to read that it gets no more answers before. If so, [`Report::Drained`] tells when it
    /// has less.
    ///
    /// [`Report::Drained`]: crate::fanout::Report::Drained
    pub(super) fn has_unread_answers(&mut self, id: ConnId) -> bool {
        let bytes = match id.shard() {
            0 => self.fanouts.own.waiting(id),
            _ => self.conn(id).unread.bytes(),
        };
        let has = bytes >= OUTBOX_BYTES_HIGH;
        if has {
            self.watch(id);
        }
        has
    }

    /// Whether so much waits for somebody who takes a frame at a time that others have to wait before they send more: it
    /// reads all it is sent, and is not to be closed for what they do.
    pub(super) fn has_enough_to_pace(&mut self, id: ConnId) -> bool {
        self.conn(id).dialect.transport() == Transport::Paced && self.has_unread_answers(id)
    }
}

/// What was sent to a connection on another shard and may wait there. How much does is not known here: what was sent since it
/// last told that it is little is as much at most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unread {
    bytes: u32,
    /// Those of them that were sent since it is to tell.
    since_watched: u32,
}

impl Unread {
    fn bytes(self) -> usize {
        self.bytes as usize
    }

    fn sent(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
        self.since_watched = self.since_watched.saturating_add(bytes);
    }

    fn watched(&mut self) {
        self.since_watched = 0;
    }

    /// It has told.
    pub(super) fn drained(&mut self) {
        self.bytes = self.since_watched;
    }
}
