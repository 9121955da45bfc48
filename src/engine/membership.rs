//! Who is a member of what: rooms that are made and vanish, coming in and leaving; and what is said to all in a room.

use super::room::{Maker, Room};
use super::{Engine, Membership};
use crate::chat::{ConnId, Event, Now, Problem, RoomId, RoomName};
use crate::fanout::Owed;
use crate::limits::ROOMS_MAX;
use crate::wire::{Codec, Fit};

impl Engine {
    /// Whether a connection may make another room. `is_exempt`: no limit holds the room's maker, which is
    /// the connection, or the seat that a handshake asks for.
    pub(super) fn may_make_room(&mut self, id: ConnId, is_exempt: bool) -> Result<(), Problem<'static>> {
        let may = self.check_new_room(id, is_exempt);
        if may == Err(Problem::TooManyRooms) {
            self.count_share_refused(self.rooms.len(), ROOMS_MAX);
        }
        may.inspect_err(|_| self.metrics.rooms_refused += 1)
    }

    fn check_new_room(&self, id: ConnId, is_exempt: bool) -> Result<(), Problem<'static>> {
        let charged = (!is_exempt).then_some(self.conn(id).network);
        if !self.has_room_place(charged) {
            return Err(Problem::TooManyRooms);
        }
        if is_exempt {
            return Ok(());
        }
        let conn = self.conn(id);
        if !self.addresses.may_make_room(conn.network) {
            return Err(Problem::TooManyRoomsOfAddress);
        }
        let (made, limit) =
            (conn.more.as_ref().map_or(0, |more| more.rooms_made), self.settings.session_rooms_limit);
        if limit > 0 && made as usize >= limit {
            return Err(Problem::TooManyRoomsOfSession);
        }
        Ok(())
    }

    pub(super) fn make_room(&mut self, name: RoomName, maker: Maker) -> RoomId {
        let rule = self.history_rules.of(name.as_str());
        let id = RoomId(self.rooms.insert(Room::new(name.clone(), rule, maker)) as u32);
        if let Some(network) = maker.network {
            self.addresses.made_room(network);
        }
        self.totals.rooms.charge(maker.network, 1);
        if let Some(session) = maker.session {
            self.more_mut(session).rooms_made += 1;
        }
        self.rooms_by_name.insert(name, id);
        id
    }

    /// Rooms other than the lobby vanish with their last member.
    pub(super) fn drop_room_if_empty(&mut self, id: RoomId) {
        let room = self.room(id);
        // One that is closing is looked after until it is empty.
        if id == RoomId::LOBBY || room.count() > 0 || room.closing {
            return;
        }
        self.rooms_by_name.remove(&self.rooms[id.0 as usize].name);
        self.remove_room(id);
    }

    /// A room is gone, and counts for nobody any more.
    pub(super) fn remove_room(&mut self, id: RoomId) {
        let Maker { network, session } = self.rooms.remove(id.0 as usize).maker;
        if let Some(network) = network {
            self.addresses.lost_room(network, self.now.monotonic);
        }
        self.totals.rooms.give_back(network, 1);
        if let Some(more) = session.and_then(|session| self.find(session)?.more.as_mut()) {
            more.rooms_made -= 1;
        }
    }

    /// Makes a connection, which is in no room, a member: it gets what is published from now on.
    pub(super) fn enter_room(&mut self, id: ConnId, room: RoomId) {
        let conn = self.conn(id);
        let (dialect, is_unnamed) = (conn.dialect, conn.name.is_none());
        let there = self.room_mut(room);
        there.unnamed += usize::from(is_unnamed);
        let member = there.insert(id, dialect);
        self.conn_mut(id).membership = Some(Membership::new(room, member));
        self.fanouts.enter(id, room);
    }

    /// Ends a connection's membership. Returns the room that it was in.
    pub(super) fn leave_room(&mut self, id: ConnId, owed: Owed) -> Option<RoomId> {
        let conn = self.conn_mut(id);
        let (dialect, is_unnamed) = (conn.dialect, conn.name.is_none());
        let at = conn.membership.take()?;
        let room = self.room_mut(at.room);
        room.unnamed -= usize::from(is_unnamed);
        let moved = room.remove(at.member(), dialect);
        if let Some(moved) = moved
            && let Some(moved_at) = &mut self.conn_mut(moved).membership
        {
            moved_at.member_after = at.member_after;
        }
        self.fanouts.leave(id, owed);
        Some(at.room)
    }

    /// Tells everybody in a room something; `skipped_by` does not get it.
    pub(super) fn publish(&mut self, room: RoomId, event: &Event<'_>, skipped_by: Option<ConnId>) {
        let mut frame = std::mem::take(&mut self.scratch);
        let Self { rooms, fanouts, metrics, now: Now { monotonic: now, .. }, .. } = self;
        let mut encoded = None;
        let audiences = rooms[room.0 as usize].audiences.iter_mut();
        for audience in audiences.filter(|audience| audience.hears()) {
            let (dialect, shard) = (audience.dialect, audience.shard);
            if encoded.replace(dialect) != Some(dialect) {
                frame.clear();
                let fit = dialect.encode_event(&Codec::default(), event, &mut frame);
                metrics.cut += u64::from(fit == Fit::Cut);
            }
            if !frame.is_empty() {
                audience.unread += if shard == 0 { 0 } else { frame.len() };
                audience.told_at = *now;
                fanouts.append(shard, room, dialect, &frame, skipped_by);
            }
        }
        self.scratch = frame;
    }

    /// Bytes that a member who is not blocked may be behind.
    pub(super) fn backlog(&self, room: RoomId) -> usize {
        self.fanouts.own.backlog(room).max(self.room(room).unread())
    }
}
