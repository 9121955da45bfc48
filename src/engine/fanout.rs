//! What goes out to a room: frames into the log of each dialect, and what becomes of members who fall behind it.

use super::log::{Frame, Log, Offset};
use super::{CloseReason, Engine, LagPolicy, Membership};
use crate::chat::{ConnId, Event, RoomId};
use crate::limits::LOG_BYTES_LIMIT_MIN;
use crate::wire::{Codec, Fit, Transport};

impl Engine {
    /// Appends an event to the log of each dialect in the room; `skipped_by` does not get it.
    pub(super) fn publish(&mut self, room: RoomId, event: &Event<'_>, skipped_by: Option<ConnId>) {
        for index in 0..self.room(room).channels.len() {
            let mut frame = std::mem::take(&mut self.scratch);
            frame.clear();
            let channel = &self.room(room).channels[index];
            if !channel.members.is_empty() {
                let fit = channel.dialect.encode_event(&Codec::default(), event, &mut frame);
                self.metrics.cut += u64::from(fit == Fit::Cut);
            }
            if !frame.is_empty() {
                self.append(room, index, &frame, skipped_by);
            }
            self.scratch = frame;
        }
    }

    fn append(&mut self, room_id: RoomId, index: usize, frame: &[u8], skipped_by: Option<ConnId>) {
        self.make_space(room_id, index, frame.len());
        let author = skipped_by.and_then(|id| self.conn(id).membership);
        let room = &mut self.rooms[room_id.0 as usize];
        let channel = &mut room.channels[index];
        let before = channel.log.head();
        channel.log.append(frame, skipped_by, &mut self.pool);
        if let Some(at) = author
            && (at.room, at.channel()) == (room_id, index)
        {
            let member = &mut channel.members[at.member as usize];
            member.own_until = channel.log.head();
            if member.cursor == before {
                // Nothing stands between: passing over it now saves looking for it later.
                member.cursor = channel.log.head();
            }
        }
        channel.visit_all(before);
        if !std::mem::replace(&mut room.dirty, true) {
            self.dirty_rooms.push_back(room_id);
        }
        self.touch(room_id);
    }

    /// Has a room's logs looked at when the turn ends.
    pub(super) fn touch(&mut self, room: RoomId) {
        if !std::mem::replace(&mut self.room_mut(room).touched, true) {
            self.touched_rooms.push(room);
        }
    }

    /// Bytes of blocks that a log may hold at present.
    pub(super) fn log_bytes_limit(&self) -> usize {
        if self.pool.taken_bytes() > self.settings.log_total_bytes_limit {
            LOG_BYTES_LIMIT_MIN
        } else {
            self.settings.log_bytes_limit
        }
    }

    /// Makes sure that a frame fits into the log's bound: members that are too far behind are lagged.
    fn make_space(&mut self, room: RoomId, index: usize, frame_bytes: usize) {
        let limit = self.log_bytes_limit();
        let fits = |log: &Log| {
            log.held() == 0 || log.growth(frame_bytes) == 0 || log.held() + log.growth(frame_bytes) <= limit
        };
        if fits(&self.room(room).channels[index].log) {
            return;
        }
        let Self { rooms, pool, .. } = self;
        rooms[room.0 as usize].channels[index].trim(pool);
        loop {
            let log = &self.room(room).channels[index].log;
            if fits(log) {
                return;
            }
            let tail = log.next_tail();
            for at in 0..self.room(room).channels[index].members.len() {
                let member = self.room(room).channels[index].members[at];
                if member.cursor < tail {
                    match self.room(room).channels[index].dialect.transport() {
                        Transport::Stream | Transport::Paced => self.lag(member.conn),
                        Transport::Datagram => {
                            if let Some(at) = self.conn(member.conn).membership {
                                self.drop_oldest(at, tail);
                            }
                        }
                    }
                }
            }
            let Self { rooms, pool, .. } = self;
            rooms[room.0 as usize].channels[index].log.release(tail, pool);
        }
    }

    /// A member to whom no datagrams can be sent loses the oldest, up to a frame's start.
    pub(super) fn drop_oldest(&mut self, at: Membership, tail: Offset) {
        let channel = &mut self.rooms[at.room.0 as usize].channels[at.channel()];
        let member = &mut channel.members[at.member as usize];
        let log = &channel.log;
        let mut lost = log.frame_count_from(member.cursor) - log.frame_count_from(tail);
        if member.cursor < member.own_until {
            let is_own = |frame: &Frame| frame.skipped_by == Some(member.conn);
            let dropped = log.frames_from(member.cursor).take_while(|frame| frame.start < tail);
            lost -= dropped.filter(is_own).count() as u64;
        }
        self.metrics.datagrams_dropped += lost;
        member.cursor = tail;
    }

    /// A member fell off the tail of its room's log.
    fn lag(&mut self, id: ConnId) {
        self.metrics.lagged += 1;
        let missed = self.skip_to_head(id);
        match self.settings.lag.of(self.conn(id).dialect) {
            LagPolicy::Skip => self.reply_missed(id, missed),
            LagPolicy::Close => self.doomed.push((id, CloseReason::Lagged)),
        }
    }

    /// Moves a member to the head of its log; the rest of a frame of which it has a part is moved to its outbox. Returns
    /// how many messages it has missed and not been told of.
    pub(super) fn skip_to_head(&mut self, id: ConnId) -> u64 {
        let Some(at) = self.conn(id).membership else { return 0 };
        let mut before = self.take_outbox(id);
        let mut after = self.spare_outbox(id);
        let untold = before.take_missed();
        let channel = &mut self.rooms[at.room.0 as usize].channels[at.channel()];
        let member = &mut channel.members[at.member as usize];
        let log = &channel.log;
        let own = if member.cursor < member.own_until {
            let ahead = log.frames_from(member.cursor).take_while(|frame| frame.start < member.own_until);
            ahead.filter(|frame| frame.start >= member.cursor && frame.skipped_by == Some(id)).count() as u64
        } else {
            0
        };
        let missed = log.frame_count_from(member.cursor) - own;
        let partly_sent = log.frames_from(member.cursor).next().filter(|frame| frame.start < member.cursor);
        if let Some(frame) = partly_sent {
            log.copy(member.cursor, frame.end, |bytes| after.push(Offset::default(), bytes));
        }
        after.push_all(&before);
        member.cursor = log.head();
        member.own_until = log.head();
        self.metrics.missed += missed;
        self.keep_spare(before);
        self.put_outbox(id, after);
        missed + untold
    }
}
