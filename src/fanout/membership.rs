//! Who is a member of what here: coming in, and leaving with what is still owed.

use std::num::NonZeroU8;

use super::log::Offset;
use super::outbox::Outbox;
use super::{Fanout, Membership};
use crate::chat::{ConnId, RoomId};
use crate::limits::{OUTBOX_BYTES_MAX, OWED_BYTES_BLOCKED_MAX};
use crate::wire::Transport;

/// What becomes of what a member has not read when it leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owed {
    /// It is still sent.
    Sent,
    /// Nobody is there to be sent it.
    Forgotten,
}

impl Fanout {
    /// Makes a connection, which is in no room, a member: it gets what is published from now on.
    pub(crate) fn enter(&mut self, id: ConnId, room: RoomId) {
        let dialect = self.line(id).dialect;
        let slot = room.0 as usize;
        if slot >= self.rooms.len() {
            self.rooms.resize_with(slot + 1, || None);
        }
        let channel_index = self.rooms[slot].get_or_insert_default().channel_of(dialect);
        let places = self.room_mut(room).channels[channel_index].insert(id);
        let channel_after = u8::try_from(channel_index + 1).ok().and_then(NonZeroU8::new);
        let channel_after = channel_after.expect("a room has a channel for each dialect at most");
        let at = Membership { room, channel_after, member: places[0] as u32 };
        self.line_mut(id).membership = Some(at);
        self.note_places(at, places);
    }

    /// Tells members of a channel where they stand since some have changed places.
    pub(super) fn note_places(&mut self, at: Membership, places: [usize; 2]) {
        for index in places {
            let member = self.channel(at).members.get(index).copied();
            if let Some(member) = member
                && let Some(membership) = &mut self.line_mut(member.conn).membership
            {
                membership.member = index as u32;
            }
        }
    }

    /// Ends a connection's membership, if it has one.
    pub(crate) fn leave(&mut self, id: ConnId, mut owed: Owed) {
        if self.line(id).dialect.transport() == Transport::Datagram && owed == Owed::Sent {
            owed = self.reduce_owed(id);
        }
        let line = self.line(id);
        let Some(at) = line.membership else { return };
        let channel = self.channel(at);
        let behind = (channel.log.head().0 - channel.members[at.member as usize].cursor.0) as usize;
        let behind_max = if line.blocked { OWED_BYTES_BLOCKED_MAX } else { OUTBOX_BYTES_MAX };
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
            Owed::Sent if behind > 0 || self.line(id).outbox.is_some() => self.move_owed(id),
            Owed::Sent | Owed::Forgotten => {}
        }
        let places = self.channel_mut(at).remove(at.member as usize);
        self.line_mut(id).membership = None;
        self.note_places(at, places);
        let channel = self.channel_mut(at);
        if channel.members.is_empty() {
            let (dialect, unread) = (channel.dialect, channel.take_unreported());
            self.report_read(at.room, dialect, unread);
        }
        if self.room(at.room).count() == 0 {
            // Where it waits in a list it is passed over there, or another that has its slot by then is visited once more.
            self.with_pool(at.room, |room, pool| {
                room.channels.iter_mut().for_each(|channel| channel.trim(pool));
            });
            let Self { rooms, held, .. } = self;
            if let Some(room) = rooms[at.room.0 as usize].take() {
                room.channels.into_iter().for_each(|mut channel| held.forget(&mut channel));
            }
        }
        self.shed();
    }

    /// What a seat is owed when it leaves is the newest, and nothing if there is nowhere to send it.
    fn reduce_owed(&mut self, id: ConnId) -> Owed {
        if self.path_of(id).is_none() {
            self.forget_outbox(id);
            return Owed::Forgotten;
        }
        if let Some(at) = self.line(id).membership {
            let channel = self.channel(at);
            let head = channel.log.head();
            let from = Offset(head.0.saturating_sub(OWED_BYTES_BLOCKED_MAX as u64));
            if channel.members[at.member as usize].cursor < from {
                let kept = channel.log.frames_from(from).find(|frame| frame.start >= from);
                self.drop_oldest(at, kept.map_or(head, |frame| frame.start));
            }
        }
        Owed::Sent
    }

    /// Moves what a member is owed of its log to its outbox, in the places where it belongs, and its cursor to the head.
    fn move_owed(&mut self, id: ConnId) {
        let Some(at) = self.line(id).membership else { return };
        let before = self.take_outbox(id);
        let mut after = self.spare_outbox(id);
        let is_framed = after.is_framed;
        let channel = self.channel_mut(at);
        let member = &mut channel.members[at.member as usize];
        let log = &channel.log;
        if before.is_empty() && !is_framed && member.cursor >= member.own_until {
            // Mostly: nothing lies between, and where frames end makes no difference. When a whole room leaves, each is owed
            // that the others did.
            log.copy(member.cursor, log.head(), |bytes| after.push(Offset::default(), bytes));
            member.cursor = log.head();
            return self.put_owed(id, before, after);
        }

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
        self.put_owed(id, before, after);
    }

    fn put_owed(&mut self, id: ConnId, before: Box<Outbox>, after: Box<Outbox>) {
        self.keep_spare(before);
        // It was copied: whoever leaves next waits for the next turn, if that is too much.
        self.outbox_turn_bytes += after.len();
        self.put_outbox(id, after);
    }
}
