//! How a connection ends: its session first, then what it is still owed, then its socket.

use super::Engine;
use crate::chat::{CloseReason, ConnId, Departure, Event, Now, RoomId};
use crate::fanout::Owed;
use crate::limits::{LINGER_SECONDS_MAX, STORE_PATIENCE_SECONDS};
use crate::wire::Transport;

/// A connection that is going to be closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Closing {
    pub(super) reason: CloseReason,
    /// Everything is sent, and its socket is being closed.
    pub(super) told: bool,
}

impl Engine {
    /// The socket is gone, for the reason given unless the engine had one before. Returns the one that counts.
    pub fn disconnected(&mut self, id: ConnId, reason: CloseReason, now: Now) -> CloseReason {
        self.now = now;
        let Some(conn) = self.connection(id) else { return reason };
        let reason = conn.closing.map_or(reason, |closing| closing.reason);
        self.forget_promises(id);
        self.forget_task(id);
        self.answers.forget(id);
        self.end_session(id, Owed::Forgotten);
        let (charged, was_refused) = (self.charged_to(id), self.is_refused_as_full(id));
        let conn = self.conn(id);
        let is_seat = conn.dialect.transport() == Transport::Datagram;
        if !conn.is_exempt {
            self.addresses.left(conn.network, now.monotonic);
        }
        if is_seat {
            self.seat_connections -= 1;
        } else {
            self.count_connection_out(charged, was_refused);
        }
        self.connections.remove(id);
        self.fanouts.remove(id);
        self.deadlines.set(id, now.monotonic, 0);
        self.metrics.closed[reason as usize] += 1;
        reason
    }

    /// Why a connection is being closed, if it is.
    pub fn closing_reason(&self, id: ConnId) -> Option<CloseReason> {
        self.connections.get(id)?.closing.map(|closing| closing.reason)
    }

    /// Whether a connection had no place from the start.
    pub(super) fn is_refused_as_full(&self, id: ConnId) -> bool {
        self.closing_reason(id) == Some(CloseReason::ServerFull)
    }

    /// Begins the end of a connection: its name is free and its room told; it gets what it is owed, if it reads it in
    /// time.
    pub(super) fn close(&mut self, id: ConnId, reason: CloseReason) {
        if self.conn(id).closing.is_some() {
            return;
        }
        self.forget_task(id);
        self.end_session(id, Owed::Sent);
        let conn = self.conn_mut(id);
        conn.closing = Some(Closing { reason, told: false });
        conn.stop_listening();
        self.cut_answer_short(id);
        // What waits for the store is told when that has kept it, or is given up.
        let patience = if self.holds(id) { STORE_PATIENCE_SECONDS } else { 0 };
        self.deadlines.set(id, self.now.monotonic, patience + LINGER_SECONDS_MAX);
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
        self.forget_task(id);
        self.answers.forget(id);
        self.end_session(id, Owed::Forgotten);
        let conn = self.conn_mut(id);
        let reason = conn.closing.map_or(reason, |closing| closing.reason);
        conn.closing = Some(Closing { reason, told: true });
        conn.stop_listening();
        self.deadlines.set(id, self.now.monotonic, 0);
        self.drop_socket(id);
    }

    /// Has a connection's socket dropped, if it has one of its own.
    pub(super) fn drop_socket(&mut self, id: ConnId) {
        self.fanouts.drop_now(id);
        if self.conn(id).dialect.transport() == Transport::Datagram {
            self.vacated.push(id);
        }
    }

    /// Has a closing connection's socket closed when everything is sent, once nothing is held back and no
    /// frame is unfinished.
    pub(super) fn close_when_flushed(&mut self, id: ConnId) {
        let is_closing = self.conn(id).closing.is_some_and(|closing| !closing.told);
        if is_closing && !self.holds(id) && !self.answers.has(id) {
            self.fanouts.end(id);
        }
    }

    /// Everything is sent to a connection that is closing.
    pub(super) fn is_sent(&mut self, id: ConnId) {
        let Some(conn) = self.find(id) else { return };
        let Some(closing) = &mut conn.closing else { return };
        closing.told = true;
        if conn.dialect.transport() == Transport::Datagram {
            self.vacated.push(id);
        } else {
            self.deadlines.set(id, self.now.monotonic, LINGER_SECONDS_MAX);
        }
    }

    fn end_session(&mut self, id: ConnId, owed: Owed) {
        let room = self.leave_room(id, owed);
        if owed == Owed::Forgotten {
            self.fanouts.forget_outbox(id);
        }
        self.leave_mailbox(id);
        let Some(name) = self.conn_mut(id).name.take() else { return };
        self.roster.release(&name.folded(), id);
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
        self.keep_seats_beyond_stop();
        let rooms: Vec<_> = self.rooms.iter().map(|(key, _)| RoomId(key as u32)).collect();
        for room in rooms {
            self.publish(room, &Event::ShuttingDown, None);
        }
        let ids: Vec<_> = self.connections().collect();
        for id in ids {
            if self.conn(id).closing.is_some() {
                continue;
            }
            let conn = self.conn(id);
            if conn.membership.is_none() && !conn.dialect.is_silent_to(&conn.codec) {
                self.reply(id, &Event::ShuttingDown);
            }
            let conn = self.conn_mut(id);
            // Still a member: the notice is read from the room's log like any other frame.
            conn.closing = Some(Closing { reason: CloseReason::Shutdown, told: false });
            conn.stop_listening();
            self.cut_answer_short(id);
            self.deadlines.set(id, now.monotonic, self.settings.drain_timeout);
            self.close_when_flushed(id);
        }
        self.fanouts.stop_others();
    }
}
