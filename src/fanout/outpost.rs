//! A shard whose engine is elsewhere: what comes in is reported to it, and what it orders is carried out.
//!
//! From each connection one read at a time is on its way to the engine. The next one is not read before the engine says that
//! it has dealt with it, or is to be read from again: so a connection that has to wait there waits here.

use core::net::IpAddr;

use super::{DatagramPath, Fanout, Order, Orders, Reports};
use crate::chat::{CloseReason, ConnId, ListenerId, Now, Refused};
use crate::fanout::{Owed, Report};
use crate::limits::{LINK_BYTES_MAX, LINK_BYTES_MAX_FOR_DATAGRAMS};
use crate::wire::Dialect;

/// See the module's documentation. A driver uses it as it uses an engine.
#[derive(Debug)]
pub struct Outpost {
    fanout: Fanout,
    /// Connections that are to be read from again.
    resumed: Vec<ConnId>,
    /// Connections that the engine did not take in.
    refused: Vec<(ConnId, Refused)>,
    /// Bytes of reports that were taken, and are on their way.
    on_its_way: usize,
    stopping: bool,
}

impl Outpost {
    /// One with nobody in it.
    pub fn new(fanout: Fanout) -> Self {
        Self { fanout, resumed: Vec::new(), refused: Vec::new(), on_its_way: 0, stopping: false }
    }

    /// Its fan-out.
    pub fn fanout(&self) -> &Fanout {
        &self.fanout
    }

    /// Its fan-out.
    pub fn fanout_mut(&mut self) -> &mut Fanout {
        &mut self.fanout
    }

    /// Takes a new connection in; the engine may refuse it yet.
    pub fn connected(
        &mut self,
        dialect: Dialect,
        ip: IpAddr,
        listener: ListenerId,
    ) -> Result<ConnId, Refused> {
        if self.stopping {
            return Err(Refused::ServerFull);
        }
        let id = self.fanout.open(dialect);
        self.fanout.reports.push(Report::Connected(id, dialect, ip, listener));
        Ok(id)
    }

    /// Takes bytes in, as they came.
    pub fn received(&mut self, id: ConnId, bytes: &[u8]) {
        if let Some(line) = self.fanout.known(id) {
            line.is_read = true;
            self.fanout.reports.received(id, bytes);
        }
    }

    /// Takes a datagram in, as it came.
    pub fn datagram(&mut self, path: DatagramPath, bytes: &[u8]) {
        self.fanout.reports.datagram(path, bytes);
    }

    /// The kernel dropped so many datagrams before anybody here saw them.
    pub fn datagrams_lost(&mut self, count: u64) {
        if count > 0 {
            self.fanout.reports.push(Report::DatagramsLost(count));
        }
    }

    /// The peer sends nothing more.
    pub fn peer_closed(&mut self, id: ConnId) {
        if self.fanout.known(id).is_some() {
            self.fanout.reports.push(Report::PeerClosed(id));
        }
    }

    /// The peer reset a connection that is not being read from.
    pub fn peer_reset(&mut self, id: ConnId) {
        if self.fanout.known(id).is_some() {
            self.fanout.reports.push(Report::PeerReset(id));
        }
    }

    /// The socket is gone.
    pub fn disconnected(&mut self, id: ConnId, reason: CloseReason) {
        if self.fanout.known(id).is_some() {
            self.fanout.leave(id, Owed::Forgotten);
            self.fanout.remove(id);
            self.fanout.reports.push(Report::Disconnected(id, reason));
        }
    }

    /// Whether the connection's socket is to be read from. If not, [`Outpost::next_resumed`] tells when it is again.
    pub fn wants_input(&self, id: ConnId) -> bool {
        let line = self.fanout.lines.get(id);
        line.is_some_and(|line| line.generation == id.generation && !line.is_read)
    }

    /// Whether so much is on its way that nobody is to be read from.
    pub fn is_busy(&self) -> bool {
        self.unread() >= LINK_BYTES_MAX
    }

    /// Whether so little is on its way that datagrams are taken in.
    pub fn takes_datagrams(&self) -> bool {
        self.unread() < LINK_BYTES_MAX_FOR_DATAGRAMS
    }

    /// Bytes of reports that the engine has not read.
    fn unread(&self) -> usize {
        self.on_its_way + self.fanout.reports.size()
    }

    /// A connection that is to be read from again.
    pub fn next_resumed(&mut self) -> Option<ConnId> {
        self.resumed.pop()
    }

    /// A connection that was not taken in, to be told why and dropped.
    pub fn next_refused(&mut self) -> Option<(ConnId, Refused)> {
        self.refused.pop()
    }

    /// Takes nobody in any more.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Whether nobody is taken in any more.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Carries out the engine's orders.
    pub fn carry_out(&mut self, orders: &Orders, now: Now) {
        for (order, bytes) in orders.iter() {
            // Whoever is being closed is read from until its peer has closed as well.
            if let Order::ReadOn(id) | Order::End(id) | Order::Drop(id) = order
                && let Some(line) = self.fanout.find(id)
                && std::mem::replace(&mut line.is_read, false)
            {
                self.resumed.push(id);
            }
            match self.fanout.carry_out(order, bytes, now) {
                Some(Order::Refuse(id, refused)) => self.refused.push((id, refused)),
                Some(Order::Stop) => self.stopping = true,
                _ => {}
            }
        }
    }

    /// The reports since they were last taken. Whoever takes them leaves an empty batch in their place.
    pub fn reports_mut(&mut self) -> &mut Reports {
        &mut self.fanout.reports
    }

    /// So many bytes of reports are on their way.
    pub fn note_on_its_way(&mut self, bytes: usize) {
        self.on_its_way = bytes;
    }

    /// Whether another turn has something to do even if nothing happens until then.
    pub fn has_work(&self) -> bool {
        self.fanout.has_work()
    }

    /// Deals with what is due.
    pub fn timeout(&mut self, now: Now) {
        self.fanout.end_rests(now);
    }

    /// Ends the turn, after flushing.
    pub fn end_turn(&mut self, now: Now) {
        self.fanout.end_turn(now);
    }
}
