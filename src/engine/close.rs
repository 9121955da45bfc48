//! How a connection ends: its session first, then what it is still owed, then its socket.

use super::membership::Owed;
use super::{CloseReason, Engine};
use crate::chat::{ConnId, Departure, Event, Name, Now, RoomId};
use crate::limits::{LINGER_SECONDS_MAX, STORE_PATIENCE_SECONDS};
use crate::wire::Transport;

/// What the driver does with a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Close {
    /// Everything is sent: close the sending side, read until the peer closes its own (a close with bytes unread would
    /// be a reset, and could take the last words with it), then report [`Engine::disconnected`].
    Linger,
    /// Time is up: drop the socket and report [`Engine::disconnected`].
    Now,
}

/// A connection that is going to be closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Closing {
    pub(super) reason: CloseReason,
    /// The driver has been told to close.
    pub(super) told: bool,
}

impl Engine {
    /// The next connection that the driver is to close.
    pub fn next_close(&mut self) -> Option<(ConnId, Close)> {
        self.closes.pop_front()
    }

    /// The socket is gone, for the reason given unless the engine had one before. Returns the one that counts.
    pub fn disconnected(&mut self, id: ConnId, reason: CloseReason, now: Now) -> CloseReason {
        self.now = now;
        let Some(conn) = self.connection(id) else { return reason };
        let reason = conn.closing.map_or(reason, |closing| closing.reason);
        self.forget_promises(id);
        self.end_session(id, Owed::Forgotten);
        let conn = self.connections.remove(id.slot as usize);
        self.seat_connections -= usize::from(conn.dialect.transport() == Transport::Datagram);
        self.deadlines.set(id.slot, now.monotonic, 0);
        self.metrics.closed[reason as usize] += 1;
        reason
    }

    /// Begins the end of a connection: its name is free and its room told; it gets what it is owed, if it reads it in
    /// time.
    pub(super) fn close(&mut self, id: ConnId, reason: CloseReason) {
        if self.conn(id).closing.is_some() {
            return;
        }
        self.end_session(id, Owed::Sent);
        let conn = self.conn_mut(id);
        conn.closing = Some(Closing { reason, told: false });
        conn.stop_listening();
        // What waits for the store is told when that has kept it, or is given up.
        let patience = if self.holds(id) { STORE_PATIENCE_SECONDS } else { 0 };
        self.deadlines.set(id.slot, self.now.monotonic, patience + LINGER_SECONDS_MAX);
        self.close_when_flushed(id);
    }

    /// Takes seats out whose end has come. Not where it came: somebody may be in the middle of telling their room.
    pub(super) fn take_vacated_out(&mut self) {
        while let Some(id) = self.vacated.pop() {
            if let Some(conn) = self.find(id) {
                let reason = conn.closing.map_or(CloseReason::Quit, |closing| closing.reason);
                self.disconnected(id, reason, self.now);
            }
        }
    }

    /// Ends a connection to which nothing more can be said.
    pub(super) fn drop_now(&mut self, id: ConnId, reason: CloseReason) {
        self.forget_promises(id);
        self.end_session(id, Owed::Forgotten);
        let conn = self.conn_mut(id);
        let reason = conn.closing.map_or(reason, |closing| closing.reason);
        conn.closing = Some(Closing { reason, told: true });
        conn.stop_listening();
        self.deadlines.set(id.slot, self.now.monotonic, 0);
        self.tell_close(id, Close::Now);
    }

    /// Has a connection closed: by the driver, if it has a socket of its own.
    pub(super) fn tell_close(&mut self, id: ConnId, close: Close) {
        if self.conn(id).dialect.transport() == Transport::Datagram {
            self.vacated.push(id);
        } else {
            self.closes.push_back((id, close));
        }
    }

    /// Tells the driver to close a closing connection to which nothing is owed any more.
    pub(super) fn close_when_flushed(&mut self, id: ConnId) {
        if !self.is_flushed(id) {
            return;
        }
        if let Some(closing) = &mut self.conn_mut(id).closing
            && !closing.told
        {
            closing.told = true;
            self.tell_close(id, Close::Linger);
            self.deadlines.set(id.slot, self.now.monotonic, LINGER_SECONDS_MAX);
        }
    }

    /// Whether nothing lies ahead of the connection.
    pub(super) fn is_flushed(&self, id: ConnId) -> bool {
        let conn = self.conn(id);
        conn.outbox.is_none()
            && !self.holds(id)
            && conn.membership.is_none_or(|at| {
                let channel = &self.room(at.room).channels[at.channel()];
                channel.members[at.member as usize].cursor == channel.log.head()
            })
    }

    fn end_session(&mut self, id: ConnId, owed: Owed) {
        let room = self.leave_room(id, owed);
        if owed == Owed::Forgotten {
            self.forget_outbox(id);
        }
        self.leave_mailbox(id);
        let Some(name) = self.conn_mut(id).name.take() else { return };
        if let Ok((_, folded)) = Name::parse(name.as_str()) {
            self.roster.release(&folded, id);
        }
        let Some(room) = room else { return };
        if self.give_up_seat(id, room) || self.room(room).closing {
            return;
        }
        if !self.stopping {
            let event = Event::Left { name: name.as_str(), departure: Departure::Disconnected };
            self.publish(room, &event, None);
        }
        self.drop_room_if_empty(room);
    }

    /// Tells everybody that the server stops, and closes every connection once it has read so.
    pub fn shutdown(&mut self, now: Now) {
        self.now = now;
        self.stopping = true;
        let rooms: Vec<_> = self.rooms.iter().map(|(key, _)| RoomId(key as u32)).collect();
        for room in rooms {
            self.publish(room, &Event::ShuttingDown, None);
        }
        let ids: Vec<_> = self.connections().collect();
        for id in ids {
            if self.conn(id).closing.is_some() {
                continue;
            }
            if self.conn(id).membership.is_none() {
                self.reply(id, &Event::ShuttingDown);
            }
            let conn = self.conn_mut(id);
            // Still a member: the notice is read from the room's log like any other frame.
            conn.closing = Some(Closing { reason: CloseReason::Shutdown, told: false });
            conn.stop_listening();
            self.deadlines.set(id.slot, now.monotonic, self.settings.drain_timeout);
            self.close_when_flushed(id);
        }
    }
}
