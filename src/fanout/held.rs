//! Which log gives way when all of them together are too large: that of the room that was least recently read.
//!
//! A log that holds something from one turn to the next holds it for whoever is slowest there. The logs that do stand in the
//! order in which their tails last moved, so that the one whose slowest reader has stood still the longest is the first. A
//! log that is read to its end within the turn, as those of busy rooms are, never comes here.

use std::collections::BTreeMap;
use std::time::Duration;

use super::log::Offset;
use super::room::{Channel, Member};
use super::{End, Fanout};
use crate::chat::{ConnId, RoomId};
use crate::limits::LOG_STILL_MILLIS;
use crate::wire::Transport;

/// When a log's tail last moved, and a number that makes it unique.
pub(super) type Standing = (Duration, u64);

/// The logs that hold something, by when their tails last moved.
#[derive(Debug, Default)]
pub(super) struct Held {
    logs: BTreeMap<Standing, (RoomId, usize)>,
    serial: u64,
}

impl Held {
    /// Notes where a log stands: at the end of a turn in which something may have changed there.
    pub(super) fn note(&mut self, room: RoomId, index: usize, channel: &mut Channel, now: Duration) {
        let is_empty = channel.log.held() == 0;
        if channel.standing.is_some() && !is_empty && channel.log.tail() == channel.stood_at {
            return;
        }
        self.forget(channel);
        if !is_empty {
            self.serial += 1;
            let standing = (now, self.serial);
            self.logs.insert(standing, (room, index));
            (channel.standing, channel.stood_at) = (Some(standing), channel.log.tail());
        }
    }

    /// A log is gone, or will be noted again.
    pub(super) fn forget(&mut self, channel: &mut Channel) {
        if let Some(standing) = channel.standing.take() {
            self.logs.remove(&standing);
        }
    }

    /// The log whose tail has not moved for the longest, if that is long enough.
    fn stillest(&self, now: Duration) -> Option<(RoomId, usize)> {
        let (&(since, _), &log) = self.logs.first_key_value()?;
        (now.saturating_sub(since) >= Duration::from_millis(LOG_STILL_MILLIS)).then_some(log)
    }

    pub(super) fn len(&self) -> usize {
        self.logs.len()
    }

    /// What stands there.
    pub(super) fn get(&self, standing: Standing) -> Option<(RoomId, usize)> {
        self.logs.get(&standing).copied()
    }
}

impl Fanout {
    /// Whether all logs together would be too large if one grew by so much.
    pub(super) fn would_be_short(&self, growth: usize) -> bool {
        self.pool.taken_bytes() + growth > self.settings.log_total_bytes_limit
    }

    /// Makes space for a log to grow, as far as there are others that nobody reads. Each is come to once in
    /// [`LOG_STILL_MILLIS`] at most: it has given way then, or is noted as if it had been read.
    pub(super) fn make_way(&mut self, growth: usize) {
        while self.would_be_short(growth)
            && let Some((room, index)) = self.held.stillest(self.now.monotonic)
        {
            self.give_way(room, index);
        }
    }

    /// Everybody who stands still in a log is lagged, so that it holds only what those have yet to read who do.
    fn give_way(&mut self, room: RoomId, index: usize) {
        let before = self.pool.taken_bytes();
        let head = self.room(room).channels[index].log.head();
        for at in 0..self.room(room).channels[index].members.len() {
            let member = self.room(room).channels[index].members[at];
            if member.cursor < head && self.stands_still(member) {
                self.fall_behind(member.conn, head);
            }
        }
        let Self { rooms, pool, held, now, .. } = self;
        if let Some(its) = rooms.get_mut(room.0 as usize).and_then(Option::as_deref_mut) {
            let channel = &mut its.channels[index];
            channel.trim(pool);
            held.forget(channel);
            held.note(room, index, channel, now.monotonic);
        }
        self.metrics.gave_way += u64::from(self.pool.taken_bytes() < before);
    }

    /// Whether a member does not read, or is not waited for while it reads: those who are written to as soon as they have
    /// their turn are.
    fn stands_still(&self, member: Member) -> bool {
        let line = self.line(member.conn);
        match line.dialect.transport() {
            Transport::Stream => line.blocked || line.end == End::Told,
            Transport::Paced => true,
            Transport::Datagram => self.datagrams.are_full,
        }
    }

    /// A member falls off the tail of its log: it is lagged, or loses datagrams up to there.
    pub(super) fn fall_behind(&mut self, id: ConnId, tail: Offset) {
        match self.line(id).dialect.transport() {
            Transport::Stream | Transport::Paced => self.lag(id),
            Transport::Datagram => {
                if let Some(at) = self.line(id).membership {
                    self.drop_oldest(at, tail);
                }
            }
        }
    }
}
