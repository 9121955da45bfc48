//! Flushing: who is to be written to, what, and how far that came. And the end of a turn.
//!
//! What lies ahead of a connection is a sequence of *steps*: pieces of its room's log up to the place of the first entry
//! of its outbox, that entry, and so on to the head. `gather` borrows the steps as slices, `wrote` takes them off by
//! what the kernel took; both walk the same steps.

use std::ops::ControlFlow;

use super::log::{Gather, Offset};
use super::room::{Channel, Room};
use super::{Fanout, Line, Membership, Report};
use crate::chat::{ConnId, Now};
use crate::limits::{OUTBOX_BYTES_HIGH, READ_REPORT_BYTES_MIN, ROOM_VISITS_MAX};
use crate::wire::Transport;

/// One step of what lies ahead of a connection.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A piece of the log, to be sent.
    Log { from: Offset, to: Offset },
    /// A piece of the log that the member wrote itself, up to here, to be passed over.
    Own { to: Offset },
    /// So many bytes of the outbox, from where the last such step ended.
    Outbox { bytes: usize },
}

impl Line {
    /// Calls `step` for each step ahead, in order, until it breaks. Where frames go out one by one, a step is a frame: the
    /// next one is found without looking at those behind it.
    fn steps(
        &self,
        channel: Option<(&Channel, Membership)>,
        is_framed: bool,
        mut step: impl FnMut(Step) -> ControlFlow<()>,
    ) {
        let mut walk = || {
            let mut reader = channel.map(|(channel, at)| {
                let member = &channel.members[at.member as usize];
                (channel, member, member.cursor)
            });
            let mut read_to = |to: Option<Offset>, step: &mut dyn FnMut(Step) -> ControlFlow<()>| {
                let Some((channel, member, at)) = &mut reader else { return ControlFlow::Continue(()) };
                let to = to.unwrap_or(channel.log.head());
                if is_framed {
                    return frame_steps(channel, member.conn, at, to, step);
                }
                if *at < to && *at < member.own_until {
                    own_steps(channel, member.conn, at, to.min(member.own_until), step)?;
                }
                if *at < to {
                    step(Step::Log { from: *at, to })?;
                    *at = to;
                }
                ControlFlow::Continue(())
            };
            for entry in self.outbox.iter().flat_map(|outbox| outbox.entries()) {
                read_to(Some(entry.after), &mut step)?;
                step(Step::Outbox { bytes: entry.bytes })?;
            }
            read_to(None, &mut step)
        };
        // That it was broken off is known to whoever did it.
        let _: ControlFlow<()> = walk();
    }
}

/// The steps from `at` to `to`, a frame each.
fn frame_steps(
    channel: &Channel,
    conn: ConnId,
    at: &mut Offset,
    to: Offset,
    step: &mut dyn FnMut(Step) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for frame in channel.log.frames_from(*at) {
        if frame.start >= to {
            break;
        }
        if frame.skipped_by == Some(conn) {
            step(Step::Own { to: frame.end })?;
        } else {
            step(Step::Log { from: *at, to: frame.end })?;
        }
        *at = frame.end;
    }
    ControlFlow::Continue(())
}

/// The steps from `at` to `to`, where frames of the member's own are among the others'.
fn own_steps(
    channel: &Channel,
    conn: ConnId,
    at: &mut Offset,
    to: Offset,
    step: &mut dyn FnMut(Step) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for frame in channel.log.frames_from(*at) {
        if frame.start >= to {
            break;
        }
        if frame.skipped_by == Some(conn) {
            if *at < frame.start {
                step(Step::Log { from: *at, to: frame.start })?;
            }
            step(Step::Own { to: frame.end })?;
            *at = frame.end;
        }
    }
    ControlFlow::Continue(())
}

impl Fanout {
    fn channel_at(&self, line: &Line) -> Option<(&Channel, Membership)> {
        line.membership.map(|at| (self.channel(at), at))
    }

    /// The next connection that has something to be written and whose socket, as far as is known, takes it. Those with
    /// an outbox and those in a room take turns, so that neither keep the others waiting.
    pub fn next_to_flush(&mut self) -> Option<ConnId> {
        self.room_is_next = !self.room_is_next;
        if self.room_is_next {
            self.next_in_rooms().or_else(|| self.next_dirty())
        } else {
            self.next_dirty().or_else(|| self.next_in_rooms())
        }
    }

    fn next_dirty(&mut self) -> Option<ConnId> {
        while let Some(id) = self.dirty.pop_front() {
            let Some(line) = self.find(id) else { continue };
            line.queued = false;
            // Its room may have been visited meanwhile.
            if !line.is_held() && !self.is_flushed(id) && self.prepare(id) {
                return Some(id);
            }
        }
        None
    }

    fn next_in_rooms(&mut self) -> Option<ConnId> {
        while let Some(id) = self.dirty_rooms.front().copied() {
            if self.visits_left == 0 {
                self.visits_left = ROOM_VISITS_MAX;
                self.dirty_rooms.rotate_left(1);
                continue;
            }
            // It may be gone.
            if let Some(member) = self.find_room_mut(id).and_then(Room::next_behind) {
                self.visits_left -= 1;
                self.metrics.visits += 1;
                let line = self.line(member);
                if line.blocked {
                    self.park(member);
                } else if !line.is_held() && self.prepare(member) {
                    return Some(member);
                }
            } else {
                if let Some(room) = self.find_room_mut(id) {
                    room.dirty = false;
                    // What the whole round has read can be given back, even if its end moved nobody.
                    self.touch(id);
                }
                self.dirty_rooms.pop_front();
                self.visits_left = ROOM_VISITS_MAX;
            }
        }
        None
    }

    /// Spares rounds a blocked member that one has come to, until its socket has room again.
    fn park(&mut self, id: ConnId) {
        if let Some(at) = self.line(id).membership {
            let places = self.channel_mut(at).park(at.member as usize);
            self.note_places(at, places);
        }
    }

    fn unpark(&mut self, id: ConnId) {
        let Some(at) = self.line(id).membership else { return };
        let channel = self.channel_mut(at);
        if channel.is_parked(at.member as usize) {
            let places = channel.unpark(at.member as usize);
            self.note_places(at, places);
        }
    }

    fn prepare(&mut self, id: ConnId) -> bool {
        self.line(id).dialect.transport() != Transport::Datagram || self.prepare_seat(id)
    }

    /// Whether there are rooms whose members have not all been visited since something was said.
    pub fn is_behind(&self) -> bool {
        !self.dirty_rooms.is_empty()
    }

    /// Whether another turn has something to do even if nothing happens until then.
    pub(crate) fn has_work(&self) -> bool {
        !(self.dirty.is_empty() && self.dirty_rooms.is_empty() && self.touched_rooms.is_empty())
    }

    /// Borrows what is to be written to a connection, as slices for one `writev`; the next frame alone, where each wants a
    /// write or a datagram of its own. None: call [`Fanout::wrote`] all the same, with nothing written.
    pub fn gather<'a>(&'a self, id: ConnId, out: &mut Gather<'a>) {
        let line = self.line(id);
        let channel = self.channel_at(line);
        let mut waiting = line.outbox.as_ref().map_or(&[][..], |outbox| outbox.bytes());
        let is_framed = self.settings.is_framed(line.dialect);
        line.steps(channel, is_framed, |step| {
            match step {
                Step::Own { .. } => return ControlFlow::Continue(()),
                Step::Log { from, to } => {
                    if let Some((channel, _)) = channel
                        && channel.log.gather(from, to, out) < to
                    {
                        return ControlFlow::Break(());
                    }
                }
                Step::Outbox { bytes } => {
                    if out.is_full() {
                        return ControlFlow::Break(());
                    }
                    let (entry, rest) = waiting.split_at(bytes);
                    out.push(std::io::IoSlice::new(entry));
                    waiting = rest;
                }
            }
            if is_framed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }

    /// Of the bytes gathered, the kernel took so many; fewer than were offered mean that it has no room for more until
    /// it says [`Fanout::writable`].
    pub fn wrote(&mut self, id: ConnId, taken: usize, offered: usize) {
        let Some(line) = self.known(id) else { return };
        line.blocked = taken < offered;
        let transport = line.dialect.transport();
        if transport == Transport::Datagram && taken > 0 {
            self.sent_datagram(id, taken);
        } else if transport == Transport::Paced
            && taken > 0
            && taken == offered
            && !self.settings.gob_gap.is_zero()
        {
            self.rest(id);
        }
        let more = self.advance(id, taken);
        if more {
            self.mark_dirty(id);
        }
        self.report_drained(id);
        self.end_when_flushed(id);
    }

    /// Tells the engine that a connection has read most of what waited for it, if it wants to know.
    pub(super) fn report_drained(&mut self, id: ConnId) {
        let line = self.line_mut(id);
        if line.watched && line.waiting() < OUTBOX_BYTES_HIGH / 2 {
            line.watched = false;
            self.reports.push(Report::Drained(id));
        }
    }

    /// Takes `taken` bytes off what lies ahead; returns whether anything is left.
    fn advance(&mut self, id: ConnId, mut taken: usize) -> bool {
        let line = self.line(id);
        let channel = self.channel_at(line);
        // Nearly always nothing but others' frames lie ahead: no need to walk.
        if let (None, Some((channel, at))) = (&line.outbox, channel) {
            let member = channel.members[at.member as usize];
            if member.cursor >= member.own_until {
                let cursor = Offset(member.cursor.0 + taken as u64);
                let more = cursor < channel.log.head();
                self.move_cursor(at, cursor);
                return more;
            }
        }
        let mut cursor = channel.map(|(channel, at)| channel.members[at.member as usize].cursor);
        let mut outbox_bytes = 0;
        let mut more = false;
        line.steps(channel, self.settings.is_framed(line.dialect), |step| {
            match step {
                Step::Own { to } => cursor = Some(to),
                Step::Log { from, to } => {
                    let length = (to.0 - from.0) as usize;
                    let sent = length.min(taken);
                    cursor = Some(Offset(from.0 + sent as u64));
                    taken -= sent;
                    more = sent < length;
                }
                Step::Outbox { bytes } => {
                    let sent = bytes.min(taken);
                    outbox_bytes += sent;
                    taken -= sent;
                    more = sent < bytes;
                }
            }
            if more { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if let (Some(cursor), Some(at)) = (cursor, line.membership) {
            self.move_cursor(at, cursor);
        }
        if outbox_bytes > 0 {
            self.advance_outbox(id, outbox_bytes);
        }
        more
    }

    fn move_cursor(&mut self, at: Membership, cursor: Offset) {
        self.channel_mut(at).members[at.member as usize].cursor = cursor;
        self.touch(at.room);
    }

    fn advance_outbox(&mut self, id: ConnId, mut bytes: usize) {
        self.outbox_total_bytes -= bytes;
        let Some(mut outbox) = self.line_mut(id).outbox.take() else { return };
        while let Some(entry) = outbox.front()
            && bytes > 0
        {
            let sent = entry.bytes.min(bytes);
            outbox.advance(sent);
            bytes -= sent;
        }
        if outbox.is_empty() {
            self.keep_spare(outbox);
        } else {
            self.line_mut(id).outbox = Some(outbox);
        }
    }

    /// The socket has room again.
    pub fn writable(&mut self, id: ConnId) {
        if let Some(line) = self.known(id)
            && std::mem::replace(&mut line.blocked, false)
        {
            self.unpark(id);
            self.mark_dirty(id);
        }
    }

    /// Ends the turn, after flushing: gives back what everybody has read, and tells an engine on another shard how far that
    /// is.
    pub(crate) fn end_turn(&mut self, now: Now) {
        self.now = now;
        self.outbox_turn_bytes = 0;
        let is_outpost = self.is_outpost();
        let Self { rooms, pool, held, touched_rooms, reports, .. } = self;
        for id in touched_rooms.drain(..) {
            // It may be gone.
            let Some(room) = rooms.get_mut(id.0 as usize).and_then(Option::as_deref_mut) else { continue };
            room.touched = false;
            for (index, channel) in room.channels.iter_mut().enumerate() {
                channel.trim_when_due(pool);
                held.note(id, index, channel, now.monotonic);
                if is_outpost && let Some(bytes) = channel.take_read(READ_REPORT_BYTES_MIN) {
                    reports.push(Report::Read { room: id, dialect: channel.dialect, bytes });
                }
            }
        }
        self.begin_rests(now);
        let is_short = self.is_short();
        if is_outpost && is_short != self.was_short {
            self.was_short = is_short;
            self.reports.push(Report::Short(is_short));
        }
    }
}
