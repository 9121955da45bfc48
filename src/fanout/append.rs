//! What goes out to a room: a frame into the log of a dialect, and what becomes of members who fall behind it.

use super::log::{Frame, Log, Offset};
use super::pool::BlockPool;
use super::room::Room;
use super::{Fanout, LagPolicy, Membership, Report};
use crate::chat::{ConnId, RoomId};
use crate::limits::LOG_BYTES_LIMIT_MIN;
use crate::wire::Dialect;

impl Fanout {
    /// Appends a frame to the log of a dialect in a room, if anybody here reads it; `skipped_by` does not get it.
    pub(crate) fn append(
        &mut self,
        room_id: RoomId,
        dialect: Dialect,
        frame: &[u8],
        skipped_by: Option<ConnId>,
    ) {
        let is_read = |room: &Room| {
            let index = room.channels.iter().position(|channel| channel.dialect == dialect)?;
            (!room.channels[index].members.is_empty()).then_some(index)
        };
        let Some(index) = self.find_room(room_id).and_then(is_read) else {
            // The engine counts what it sent until it hears that it was read.
            return self.report_read(room_id, dialect, frame.len());
        };
        self.make_space(room_id, index, frame.len());
        let here = skipped_by.filter(|id| id.shard() == self.shard);
        // It may be gone: another shard said so before this one could.
        let author = here.and_then(|id| self.find(id)?.membership);
        let Some(room) = self.rooms[room_id.0 as usize].as_deref_mut() else { return };
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

    /// Tells an engine on another shard that bytes of a log are read, or of no interest.
    pub(super) fn report_read(&mut self, room: RoomId, dialect: Dialect, bytes: usize) {
        if self.is_outpost() && bytes > 0 {
            self.reports.push(Report::Read { room, dialect, bytes });
        }
    }

    /// Has a room's logs looked at when the turn ends.
    pub(super) fn touch(&mut self, room: RoomId) {
        if !std::mem::replace(&mut self.room_mut(room).touched, true) {
            self.touched_rooms.push(room);
        }
    }

    /// Bytes of blocks that a log may hold at present.
    pub(crate) fn log_bytes_limit(&self) -> usize {
        if self.is_short() { LOG_BYTES_LIMIT_MIN } else { self.settings.log_bytes_limit }
    }

    /// Whether all logs together are too large.
    pub(super) fn is_short(&self) -> bool {
        self.pool.taken_bytes() > self.settings.log_total_bytes_limit
    }

    /// Bytes that a member of a room who is not blocked may be behind here.
    pub(crate) fn backlog(&self, room: RoomId) -> usize {
        self.find_room(room).map_or(0, Room::backlog)
    }

    /// A room, and the pool that its logs' blocks come from.
    pub(super) fn with_pool(&mut self, room: RoomId, act: impl FnOnce(&mut Room, &mut BlockPool)) {
        let Self { rooms, pool, .. } = self;
        if let Some(room) = rooms.get_mut(room.0 as usize).and_then(Option::as_deref_mut) {
            act(room, pool);
        }
    }

    /// Makes sure that a frame fits into the log's bound, and all logs into theirs: where nobody reads gives way first, then
    /// members of this room that are too far behind.
    fn make_space(&mut self, room: RoomId, index: usize, frame_bytes: usize) {
        let growth = self.room(room).channels[index].log.growth(frame_bytes);
        if growth > 0 && self.would_be_short(growth) {
            self.make_way(growth);
        }
        // As publishers know it: they are made to wait before anybody falls behind for it.
        let limit = self.log_bytes_limit();
        let fits = |log: &Log| {
            log.held() == 0 || log.growth(frame_bytes) == 0 || log.held() + log.growth(frame_bytes) <= limit
        };
        if fits(&self.room(room).channels[index].log) {
            return;
        }
        self.with_pool(room, |room, pool| room.channels[index].trim(pool));
        loop {
            let log = &self.room(room).channels[index].log;
            if fits(log) {
                return;
            }
            let tail = log.next_tail();
            for at in 0..self.room(room).channels[index].members.len() {
                let member = self.room(room).channels[index].members[at];
                if member.cursor < tail {
                    self.fall_behind(member.conn, tail);
                }
            }
            self.with_pool(room, |room, pool| room.channels[index].log.release(tail, pool));
        }
    }

    /// A member to whom no datagrams can be sent loses the oldest, up to a frame's start.
    pub(super) fn drop_oldest(&mut self, at: Membership, tail: Offset) {
        let channel = self.channel_mut(at);
        let member = &mut channel.members[at.member as usize];
        let log = &channel.log;
        let mut lost = log.frame_count_from(member.cursor) - log.frame_count_from(tail);
        if member.cursor < member.own_until {
            let is_own = |frame: &Frame| frame.skipped_by == Some(member.conn);
            let dropped = log.frames_from(member.cursor).take_while(|frame| frame.start < tail);
            lost -= dropped.filter(is_own).count() as u64;
        }
        member.cursor = tail;
        self.metrics.datagrams_dropped += lost;
    }

    /// A member fell off the tail of its room's log.
    pub(super) fn lag(&mut self, id: ConnId) {
        self.metrics.lagged += 1;
        let missed = self.skip_to_head(id);
        match self.settings.lag.of(self.line(id).dialect) {
            LagPolicy::Skip => self.reply_missed(id, missed),
            LagPolicy::Close => {
                self.line_mut(id).muted = true;
                self.reports.push(Report::Lagged(id));
            }
        }
    }

    /// Moves a member to the head of its log; the rest of a frame of which it has a part is moved to its outbox. Returns
    /// how many messages it has missed and not been told of.
    pub(crate) fn skip_to_head(&mut self, id: ConnId) -> u64 {
        let line = self.line_mut(id);
        line.muted = false;
        let Some(at) = line.membership else { return 0 };
        let mut before = self.take_outbox(id);
        let mut after = self.spare_outbox(id);
        let untold = before.take_missed();
        let channel = self.channel_mut(at);
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
        // The log may have been held for this member alone, which may be gone before anybody reads on.
        self.touch(at.room);
        self.metrics.missed += missed;
        self.keep_spare(before);
        self.put_outbox(id, after);
        missed + untold
    }
}
