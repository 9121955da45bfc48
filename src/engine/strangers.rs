//! Strangers: connections that speak another protocol. Their first bytes show it, before anything is
//! answered.

use core::fmt;

use super::network::Network;
use super::{Connection, Engine};
use crate::chat::ConnId;
use crate::wire::{Dialect, Foreign, Opening};

/// Strangers of one protocol since the driver last asked.
#[derive(Clone, Copy, Debug)]
pub struct Stranger {
    /// The protocol.
    pub foreign: Foreign,
    /// The dialect that the last one connected to.
    pub dialect: Dialect,
    /// The number of them.
    pub count: u64,
    network: Network,
}

impl Stranger {
    /// Where the last one came from: an IPv4 address, or a /64 of IPv6.
    pub fn network(&self) -> impl fmt::Display {
        self.network
    }
}

/// Strangers that the driver has not asked for. One entry a protocol, so that a flood takes no memory.
#[derive(Debug, Default)]
pub(super) struct Strangers([Option<Stranger>; Foreign::COUNT]);

/// The outcome of a look at the first bytes of a connection.
pub(super) enum Opened {
    /// More bytes must come.
    Unclear,
    /// They are another protocol's, and the connection is being closed.
    Closed,
    /// The dialect takes them.
    Own,
}

impl Strangers {
    fn note(&mut self, foreign: Foreign, conn: &Connection) {
        let entry = &mut self.0[foreign as usize];
        let count = entry.map_or(1, |noted| noted.count.saturating_add(1));
        *entry = Some(Stranger { foreign, dialect: conn.dialect, count, network: conn.network });
    }
}

impl Engine {
    /// Looks at the first bytes of a connection.
    #[cold]
    pub(super) fn open(&mut self, id: ConnId, bytes: &[u8]) -> Opened {
        let dialect = self.conn(id).dialect;
        let foreign = match dialect.opening(bytes) {
            Opening::Unclear => return Opened::Unclear,
            Opening::Foreign(foreign) => Some(foreign),
            Opening::Own => None,
        };
        self.conn_mut(id).has_opened = true;
        let Some(foreign) = foreign else { return Opened::Own };
        self.strangers.note(foreign, self.connections.get(id).expect("it was found"));
        let Some(error) = foreign.refused(dialect) else { return Opened::Own };
        self.metrics.count_refused(error.cause());
        self.refuse(id, error);
        Opened::Closed
    }

    /// The next entry for the log.
    pub fn next_stranger(&mut self) -> Option<Stranger> {
        self.strangers.0.iter_mut().find_map(Option::take)
    }
}
