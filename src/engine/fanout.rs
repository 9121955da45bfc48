//! What goes out: to a room's logs, to a connection's outbox; and who is a member of what.

use super::log::{Log, Offset};
use super::outbox::Outbox;
use super::room::Room;
use super::{CloseReason, Connection, Engine, LagPolicy, Membership};
use crate::chat::{ConnId, Event, Problem, RoomId, RoomName};
use crate::limits::{
    LOG_BYTES_LIMIT_MIN, OUTBOX_BYTES_HIGH, OUTBOX_BYTES_MAX, OUTBOX_POOL_BYTES_MAX, OUTBOX_POOL_MAX,
    OUTBOX_TOTAL_BYTES_LOW, OUTBOX_TOTAL_BYTES_MAX, OWED_BYTES_BLOCKED_MAX,
};

/// What becomes of what a member has not read when it leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owed {
    /// It is still sent.
    Sent,
    /// Nobody is there to be sent it.
    Forgotten,
}

impl Engine {
    // To a room.

    /// Appends an event to the log of each dialect in the room; `skipped_by` does not get it.
    pub(super) fn publish(&mut self, room: RoomId, event: &Event<'_>, skipped_by: Option<ConnId>) {
        for index in 0..self.room(room).channels.len() {
            let mut frame = std::mem::take(&mut self.scratch);
            frame.clear();
            let channel = &self.room(room).channels[index];
            if !channel.members.is_empty() {
                channel.dialect.encode_event(event, &mut frame);
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
            && (at.room, at.channel as usize) == (room_id, index)
        {
            let member = &mut channel.members[at.member as usize];
            member.own_until = channel.log.head();
            if member.cursor == before {
                // Nothing stands between: passing over it now saves looking for it later.
                member.cursor = channel.log.head();
            }
        }
        channel.visit_all();
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
                    self.lag(member.conn);
                }
            }
            let Self { rooms, pool, .. } = self;
            rooms[room.0 as usize].channels[index].log.release(tail, pool);
        }
    }

    /// A member fell off the tail of its room's log.
    fn lag(&mut self, id: ConnId) {
        self.metrics.lagged += 1;
        let missed = self.skip_to_head(id);
        match self.settings.lag {
            LagPolicy::Skip => self.reply_missed(id, missed),
            LagPolicy::Close => self.doomed.push((id, CloseReason::Lagged)),
        }
    }

    /// Moves a member to the head of its log; the rest of a frame of which it has a part is moved to its outbox. Returns
    /// how many messages it has missed and not been told of.
    fn skip_to_head(&mut self, id: ConnId) -> u64 {
        let Some(at) = self.conn(id).membership else { return 0 };
        let mut before = self.take_outbox(id);
        let mut after = self.spare_outbox();
        let untold = before.take_missed();
        let channel = &mut self.rooms[at.room.0 as usize].channels[at.channel as usize];
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
        after.push(Offset::default(), before.bytes());
        member.cursor = log.head();
        member.own_until = log.head();
        self.metrics.missed += missed;
        self.keep_spare(before);
        self.put_outbox(id, after);
        missed + untold
    }

    /// Moves what a member is owed of its log to its outbox, in the places where it belongs, and its cursor to the head.
    fn move_owed(&mut self, id: ConnId) {
        let Some(at) = self.conn(id).membership else { return };
        let before = self.take_outbox(id);
        let mut after = self.spare_outbox();
        let channel = &mut self.rooms[at.room.0 as usize].channels[at.channel as usize];
        let member = &mut channel.members[at.member as usize];
        let log = &channel.log;

        let mut frames = log.frames_from(member.cursor).peekable();
        let mut push_frames = |until: Offset, after: &mut Outbox| {
            while let Some(frame) = frames.next_if(|frame| frame.start < until) {
                if frame.skipped_by != Some(id) {
                    let unsent = frame.start.max(member.cursor);
                    log.copy(unsent, frame.end, |bytes| after.push(Offset::default(), bytes));
                }
            }
        };
        let mut waiting = before.bytes();
        for entry in before.entries() {
            push_frames(entry.after, &mut after);
            let (bytes, rest) = waiting.split_at(entry.bytes);
            after.push(Offset::default(), bytes);
            waiting = rest;
        }
        push_frames(log.head(), &mut after);
        drop(frames);
        member.cursor = log.head();
        member.own_until = log.head();
        self.keep_spare(before);
        self.put_outbox(id, after);
    }

    // To a connection.

    /// Tells one connection something, behind everything that it was told or that its room saw before.
    pub(super) fn reply(&mut self, id: ConnId, event: &Event<'_>) {
        let mut frame = std::mem::take(&mut self.scratch);
        frame.clear();
        self.conn(id).dialect.encode_event(event, &mut frame);
        self.push_outbox(id, &frame);
        self.scratch = frame;
    }

    /// The same for any number of events that borrow the engine's own state.
    pub(super) fn reply_with(&mut self, id: ConnId, events: impl FnOnce(&Self, &mut dyn FnMut(&Event<'_>))) {
        let mut frames = std::mem::take(&mut self.scratch);
        frames.clear();
        let dialect = self.conn(id).dialect;
        events(self, &mut |event| dialect.encode_event(event, &mut frames));
        self.push_outbox(id, &frames);
        self.scratch = frames;
    }

    /// Tells a connection how many messages it missed.
    fn reply_missed(&mut self, id: ConnId, missed: u64) {
        if missed == 0 {
            return;
        }
        let mut outbox = self.take_outbox(id);
        let conn = self.conn(id);
        let mut frame = Vec::new();
        conn.dialect.encode_event(&Event::Missed(missed), &mut frame);
        outbox.push_missed(self.head_for(conn), &frame, missed);
        self.put_outbox(id, outbox);
    }

    fn push_outbox(&mut self, id: ConnId, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let conn = self.conn(id);
        let waiting = conn.outbox.as_ref().map_or(0, |outbox| outbox.len());
        // Who has less waiting than this may ask, and an answer may be of any length; what others send never is.
        let may_be_answer = waiting < OUTBOX_BYTES_HIGH;
        if conn.blocked && !may_be_answer && waiting + bytes.len() > OUTBOX_BYTES_MAX {
            return self.give_up(id, CloseReason::TooSlow);
        }
        let after = self.head_for(conn);
        let mut outbox = self.take_outbox(id);
        outbox.push(after, bytes);
        self.outbox_turn_bytes += bytes.len();
        self.put_outbox(id, outbox);
        self.shed();
    }

    /// Takes a connection's outbox out, or a spare one.
    fn take_outbox(&mut self, id: ConnId) -> Box<Outbox> {
        match self.conn_mut(id).outbox.take() {
            Some(outbox) => {
                self.outbox_total_bytes -= outbox.len();
                outbox
            }
            None => self.spare_outbox(),
        }
    }

    /// Puts an outbox in its place, and its connection in the list of those to be flushed.
    fn put_outbox(&mut self, id: ConnId, outbox: Box<Outbox>) {
        if outbox.is_empty() {
            return self.keep_spare(outbox);
        }
        self.outbox_total_bytes += outbox.len();
        self.conn_mut(id).outbox = Some(outbox);
        self.mark_dirty(id);
    }

    pub(super) fn mark_dirty(&mut self, id: ConnId) {
        let conn = self.conn_mut(id);
        if !conn.blocked && !std::mem::replace(&mut conn.queued, true) {
            self.dirty.push_back(id);
        }
    }

    fn spare_outbox(&mut self) -> Box<Outbox> {
        self.outbox_pool.pop().unwrap_or_default()
    }

    pub(super) fn keep_spare(&mut self, mut outbox: Box<Outbox>) {
        if self.outbox_pool.len() < OUTBOX_POOL_MAX && outbox.capacity() <= OUTBOX_POOL_BYTES_MAX {
            outbox.clear();
            self.outbox_pool.push(outbox);
        }
    }

    pub(super) fn forget_outbox(&mut self, id: ConnId) {
        let outbox = self.take_outbox(id);
        self.keep_spare(outbox);
    }

    /// Frees memory, where all outboxes together are too large: the connections with the most waiting for them give way.
    fn shed(&mut self) {
        if self.outbox_total_bytes <= OUTBOX_TOTAL_BYTES_MAX {
            return;
        }
        let waiting = |(slot, conn): (usize, &Connection)| {
            let bytes = conn.outbox.as_ref()?.len();
            Some((bytes, ConnId { slot: slot as u32, generation: conn.generation }))
        };
        let mut largest: Vec<_> = self.connections.iter().filter_map(waiting).collect();
        largest.sort_unstable_by_key(|&(bytes, _)| std::cmp::Reverse(bytes));
        for (_, id) in largest {
            if self.outbox_total_bytes <= OUTBOX_TOTAL_BYTES_LOW {
                return;
            }
            self.give_up(id, CloseReason::Memory);
        }
    }

    /// Forgets what waits for a connection, and writes nothing more to it: it may have half a frame. The connection
    /// itself is ended with the turn.
    fn give_up(&mut self, id: ConnId, reason: CloseReason) {
        self.forget_outbox(id);
        self.conn_mut(id).blocked = true;
        self.doomed.push((id, reason));
    }

    /// Ends the connections that were found to be too slow. Not where they were found: ending one tells its room, and
    /// that may find others.
    pub(super) fn end_doomed(&mut self) {
        while let Some((id, reason)) = self.doomed.pop() {
            let Some(conn) = self.find(id) else { continue };
            let is_closing = conn.closing.is_some();
            if reason != CloseReason::Lagged {
                self.drop_now(id, reason);
            } else if !is_closing {
                // What was said since would stand behind a gap of which it is not told.
                self.skip_to_head(id);
                self.reply(id, &Event::Error(Problem::TooSlow));
                self.close(id, reason);
            }
        }
    }

    // Rooms.

    pub(super) fn make_room(&mut self, name: RoomName) -> RoomId {
        let id = RoomId(self.rooms.insert(Room::new(name.clone())) as u32);
        self.rooms_by_name.insert(name, id);
        id
    }

    /// Rooms other than the lobby vanish with their last member.
    pub(super) fn drop_room_if_empty(&mut self, id: RoomId) {
        if id == RoomId::LOBBY || self.room(id).count() > 0 {
            return;
        }
        let mut room = self.rooms.remove(id.0 as usize);
        for channel in &mut room.channels {
            channel.trim(&mut self.pool);
        }
        // Where it waits in a list it is passed over there, or another that has its slot by then is visited once more.
        self.rooms_by_name.remove(&room.name);
    }

    /// Makes a connection, which is in no room, a member: it gets what is published from now on.
    pub(super) fn enter_room(&mut self, id: ConnId, room: RoomId) {
        let dialect = self.conn(id).dialect;
        let channel_index = self.room_mut(room).channel_of(dialect);
        let member = self.room_mut(room).channels[channel_index].insert(id) as u32;
        self.conn_mut(id).membership = Some(Membership { room, channel: channel_index as u32, member });
    }

    /// Ends a connection's membership. Returns the room that it was in.
    pub(super) fn leave_room(&mut self, id: ConnId, owed: Owed) -> Option<RoomId> {
        let conn = self.conn(id);
        let at = conn.membership?;
        let channel = &self.room(at.room).channels[at.channel as usize];
        let behind = (channel.log.head().0 - channel.members[at.member as usize].cursor.0) as usize;
        let behind_max = if conn.blocked { OWED_BYTES_BLOCKED_MAX } else { OUTBOX_BYTES_MAX };
        if behind > 0 {
            // The log may have been held for this member alone.
            self.touch(at.room);
        }
        match owed {
            Owed::Sent if behind > behind_max => {
                self.metrics.lagged += 1;
                let missed = self.skip_to_head(id);
                self.reply_missed(id, missed);
                self.move_owed(id);
            }
            Owed::Sent if behind > 0 || self.conn(id).outbox.is_some() => self.move_owed(id),
            Owed::Sent | Owed::Forgotten => {}
        }
        let moved = self.room_mut(at.room).channels[at.channel as usize].remove(at.member as usize);
        self.conn_mut(id).membership = None;
        if let Some(moved) = moved
            && let Some(moved_at) = &mut self.conn_mut(moved).membership
        {
            moved_at.member = at.member;
        }
        self.shed();
        Some(at.room)
    }
}
