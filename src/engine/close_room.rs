//! A room that its host closes: everybody is told at once, its name is free at once, and its members move on, so many a
//! turn.

use super::Engine;
use crate::chat::{Change, CloseReason, ConnId, Event, RoomId, RoomName};
use crate::fanout::Owed;
use crate::limits::{LOG_BACKLOG_DIVISOR, ROOM_LEAVERS_PER_TURN_MAX, ROOMS_CLOSED_KNOWN_MAX};
use crate::wire::Transport;

impl Engine {
    /// The host has left.
    pub(super) fn close_room(&mut self, id: RoomId) {
        self.rooms_closed += 1;
        let host = self.room_mut(id).host.take();
        let made = host.and_then(|host| self.room_made(host));
        let room = self.room_mut(id);
        room.closing = true;
        let name = room.name.clone();
        self.rooms_by_name.remove(&name);
        if self.closed_lately.len() == ROOMS_CLOSED_KNOWN_MAX {
            self.closed_lately.pop_front();
        }
        self.closed_lately.push_back(name.clone());
        self.commit(Change::RoomClosed { room: name.as_str().into(), made });
        self.publish(id, &Event::RoomClosed(name.as_str()), None);
        self.closing_rooms.push_back(id);
        self.empty_closing_rooms();
    }

    /// Whether a room of this name may have been closed since the counter of closed rooms had this value.
    pub(super) fn was_closed_since(&self, name: &RoomName, rooms_closed: u64) -> bool {
        let since = (self.rooms_closed - rooms_closed) as usize;
        since > self.closed_lately.len() || self.closed_lately.iter().rev().take(since).any(|it| it == name)
    }

    /// Ends the seats in rooms that are closing, and takes the others there to the lobby, as far as a turn has time and the
    /// lobby's log space for the notices.
    pub(super) fn empty_closing_rooms(&mut self) {
        for _ in 0..ROOM_LEAVERS_PER_TURN_MAX {
            let Some(&room) = self.closing_rooms.front() else { return };
            let Some(member) = self.room(room).members().next() else {
                self.closing_rooms.pop_front();
                self.remove_room(room);
                continue;
            };
            if self.conn(member).dialect.transport() == Transport::Datagram {
                self.close(member, CloseReason::RoomClosed);
            } else if self.backlog(RoomId::LOBBY) < self.log_bytes_limit() / LOG_BACKLOG_DIVISOR {
                self.leave_room(member, Owed::Sent);
                self.arrive_in_lobby(member);
            } else {
                return;
            }
        }
    }

    fn arrive_in_lobby(&mut self, id: ConnId) {
        // Whoever is leaving for good has no name any more.
        if let Some(name) = self.conn(id).name {
            self.publish(RoomId::LOBBY, &Event::Joined(name.as_str()), None);
            self.enter_room(id, RoomId::LOBBY);
            self.reply(id, &Event::YouReturned(super::LOBBY));
        }
    }
}
