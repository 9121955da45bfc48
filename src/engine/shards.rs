//! What the shards report, the own one and the others; and the turn's end, when the engine looks at it.

use super::Engine;
use crate::chat::CloseReason;
use crate::chat::{ConnId, Event, Now, Problem, RoomId};
use crate::fanout::{Order, Orders, Report, Reports};
use crate::limits::LOG_BACKLOG_DIVISOR;

impl Engine {
    /// Takes in what another shard reports.
    pub fn take_reports(&mut self, shard: u8, reports: &Reports, now: Now) {
        self.now = now;
        for (report, bytes) in reports.iter() {
            self.take_report(shard, report, bytes);
        }
        // One of them may be what somebody waited for.
        self.look_at_those_who_wait_for_shards();
    }

    /// Takes in what the own fan-out found.
    pub(super) fn take_own_reports(&mut self) {
        while !self.fanouts.own.reports_mut().is_empty() {
            let spare = std::mem::take(&mut self.spare_reports);
            let mut reports = std::mem::replace(self.fanouts.own.reports_mut(), spare);
            for (report, bytes) in reports.iter() {
                self.take_report(0, report, bytes);
            }
            reports.clear();
            self.spare_reports = reports;
        }
    }

    fn take_report(&mut self, shard: u8, report: Report, bytes: &[u8]) {
        match report {
            Report::Drained(id) => {
                if let Some(conn) = self.find(id) {
                    conn.watched = false;
                    conn.unread.drained();
                    if conn.throttled {
                        self.let_wait(id);
                    }
                    // What was sent since may have been read as well.
                    self.watch_unread(id);
                }
            }
            Report::Ended(id) => self.is_sent(id),
            Report::GivenUp(id, reason) => {
                if self.find(id).is_some() {
                    self.drop_now(id, reason);
                }
            }
            Report::Lagged(id) => self.close_lagged(id),
            Report::Read { room, dialect, bytes } => {
                if let Some(room) = self.rooms.get_mut(room.0 as usize) {
                    room.was_read(dialect, shard, bytes);
                }
            }
            Report::Short(is_short) => self.fanouts.note_short(shard, is_short),
            Report::Hears { seat, hears } => self.note_hears(seat, hears),
            Report::Datagram { path, .. } => self.datagram(path, bytes, self.now),
            Report::DatagramsLost(count) => self.datagrams_lost(count),
            Report::Connected(id, dialect, ip, listener) => match self.admit(ip, listener) {
                Ok(()) => self.greet(id, dialect, ip, listener),
                Err(refused) => self.fanouts.tell(shard, Order::Refuse(id, refused)),
            },
            Report::Received { from, .. } => {
                // One that was refused is on its way out.
                if self.find(from).is_some() {
                    self.received(from, bytes, self.now);
                    if self.wants_input(from) {
                        self.fanouts.tell(shard, Order::ReadOn(from));
                    }
                }
            }
            Report::PeerClosed(id) => {
                if self.find(id).is_some() {
                    self.peer_closed(id, self.now);
                }
            }
            Report::PeerReset(id) => {
                if self.find(id).is_some() {
                    self.peer_reset(id, self.now);
                }
            }
            Report::Disconnected(id, reason) => {
                if self.find(id).is_some() {
                    self.disconnected(id, reason, self.now);
                }
            }
        }
    }

    fn close_lagged(&mut self, id: ConnId) {
        let Some(conn) = self.find(id) else { return };
        let is_closing = conn.closing.is_some();
        // What was said since would stand behind a gap of which it is not told.
        self.fanouts.skip_to_head(id);
        if !is_closing {
            self.reply(id, &Event::Error(Problem::TooSlow));
            self.close(id, CloseReason::Lagged);
        }
    }

    /// A connection is to be read from again.
    pub(super) fn read_on(&mut self, id: ConnId) {
        match id.shard() {
            0 => self.resumed.push(id),
            shard => self.fanouts.tell(shard, Order::ReadOn(id)),
        }
    }

    /// Has a throttled connection looked at when another shard has reported something.
    pub(super) fn let_wait_for_shards(&mut self, id: ConnId) {
        if !std::mem::replace(&mut self.conn_mut(id).waiting, true) {
            self.waiting_for_shards.push(id);
        }
    }

    fn let_wait_again(&mut self, id: ConnId) {
        if let Some(conn) = self.find(id) {
            conn.waiting = false;
            self.let_wait(id);
        }
    }

    /// The orders for another shard since they were last taken. Whoever takes them leaves an empty batch in their place.
    pub fn orders_mut(&mut self, shard: u8) -> &mut Orders {
        self.fanouts.orders_mut(shard)
    }

    /// So many bytes of orders for a shard are on their way. While they are too many, nobody is listened to.
    pub fn note_on_its_way(&mut self, shard: u8, bytes: usize) {
        self.fanouts.note_on_its_way(shard, bytes);
        // No report need follow on what they waited for.
        if self.is_waited_for_links && !self.fanouts.are_busy() {
            self.look_at_those_who_wait_for_shards();
        }
    }

    /// Whether somebody waits for fewer bytes to be on their way, which [`Engine::note_on_its_way`] tells.
    pub fn waits_for_links(&self) -> bool {
        self.is_waited_for_links
    }

    fn look_at_those_who_wait_for_shards(&mut self) {
        self.is_waited_for_links = false;
        for id in std::mem::take(&mut self.waiting_for_shards) {
            self.let_wait_again(id);
        }
    }

    /// Whether another turn has something to do even if nothing happens until then.
    pub fn has_work(&mut self) -> bool {
        // What the lobby of another shard has to read first, that shard will report.
        let waits = self.room(RoomId::LOBBY).unread() >= self.log_bytes_limit() / LOG_BACKLOG_DIVISOR;
        let is_closing_rooms = !self.closing_rooms.is_empty() && !waits;
        let is_done = self.vacated.is_empty() && !is_closing_rooms && self.waiting.is_empty();
        let own = &mut self.fanouts.own;
        !is_done || !own.reports_mut().is_empty() || own.has_work()
    }

    /// When [`Engine::timeout`] has somebody to wake, on the monotonic clock, if ever: a matter of microseconds.
    pub fn next_wake(&self) -> Option<std::time::Duration> {
        self.fanouts.own.next_wake()
    }

    /// Ends the turn, after flushing: gives back what everybody has read, ends who is too slow, and lets those go on who
    /// waited for this.
    pub fn end_turn(&mut self, now: Now) {
        self.now = now;
        self.fanouts.end_turn(now);
        self.empty_closing_rooms();
        self.take_own_reports();
        self.resume_waiting();
        self.take_own_reports();
        self.take_vacated_out();
    }
}
