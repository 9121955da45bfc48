//! What a shard does with what comes in: it has the engine, or is an outpost of the shard that has it.

use core::net::IpAddr;
use std::time::Duration;

use super::home::Home;
use super::link;
use crate::chat::{CloseReason, ConnId, ListenerId, Now, Refused};
use crate::fanout::{DatagramPath, Fanout, Orders, Outpost, Reports};
use crate::wire::Dialect;

/// An outpost, with its ways to the engine's shard and back.
#[derive(Debug)]
pub(super) struct Away {
    pub(super) outpost: Outpost,
    pub(super) reports: link::Sender<Reports>,
    pub(super) orders: link::Receiver<Orders>,
}

#[derive(Debug)]
pub(super) enum Role {
    Home(Box<Home>),
    Away(Box<Away>),
}

impl Role {
    pub(super) fn fanout(&self) -> &Fanout {
        match self {
            Self::Home(home) => home.engine.fanout(),
            Self::Away(away) => away.outpost.fanout(),
        }
    }

    #[inline]
    pub(super) fn fanout_mut(&mut self) -> &mut Fanout {
        match self {
            Self::Home(home) => home.engine.fanout_mut(),
            Self::Away(away) => away.outpost.fanout_mut(),
        }
    }

    pub(super) fn connected(
        &mut self,
        dialect: Dialect,
        ip: IpAddr,
        listener: ListenerId,
        now: Now,
    ) -> Result<ConnId, Refused> {
        match self {
            Self::Home(home) => home.engine.connected(dialect, ip, listener, now),
            Self::Away(away) => away.outpost.connected(dialect, ip, listener),
        }
    }

    pub(super) fn received(&mut self, id: ConnId, bytes: &[u8], now: Now) {
        match self {
            Self::Home(home) => home.engine.received(id, bytes, now),
            Self::Away(away) => away.outpost.received(id, bytes),
        }
    }

    pub(super) fn datagram(&mut self, path: DatagramPath, bytes: &[u8], now: Now) {
        match self {
            Self::Home(home) => home.engine.datagram(path, bytes, now),
            Self::Away(away) => away.outpost.datagram(path, bytes),
        }
    }

    pub(super) fn datagrams_lost(&mut self, count: u64) {
        match self {
            Self::Home(home) => home.engine.datagrams_lost(count),
            Self::Away(away) => away.outpost.datagrams_lost(count),
        }
    }

    pub(super) fn peer_closed(&mut self, id: ConnId, now: Now) {
        match self {
            Self::Home(home) => home.engine.peer_closed(id, now),
            Self::Away(away) => away.outpost.peer_closed(id),
        }
    }

    pub(super) fn peer_reset(&mut self, id: ConnId, now: Now) {
        match self {
            Self::Home(home) => home.engine.peer_reset(id, now),
            Self::Away(away) => away.outpost.peer_reset(id),
        }
    }

    /// Returns the reason that counts, as far as it is known here.
    pub(super) fn disconnected(&mut self, id: ConnId, reason: CloseReason, now: Now) -> CloseReason {
        match self {
            Self::Home(home) => home.engine.disconnected(id, reason, now),
            Self::Away(away) => {
                away.outpost.disconnected(id, reason);
                reason
            }
        }
    }

    pub(super) fn wants_input(&self, id: ConnId) -> bool {
        match self {
            Self::Home(home) => home.engine.wants_input(id),
            Self::Away(away) => away.outpost.wants_input(id),
        }
    }

    /// Whether datagrams are taken in; else they wait in the kernel.
    pub(super) fn takes_datagrams(&self) -> bool {
        match self {
            Self::Home(_) => true,
            Self::Away(away) => away.outpost.takes_datagrams(),
        }
    }

    /// Bytes put into outboxes since the last turn ended.
    pub(super) fn turn_bytes(&self) -> usize {
        match self {
            Self::Home(home) => home.engine.turn_bytes(),
            Self::Away(away) => away.outpost.fanout().turn_bytes(),
        }
    }

    /// Whether nobody is to be read from for now.
    pub(super) fn is_busy(&self) -> bool {
        match self {
            Self::Home(_) => false,
            Self::Away(away) => away.outpost.is_busy(),
        }
    }

    pub(super) fn next_resumed(&mut self) -> Option<ConnId> {
        match self {
            Self::Home(home) => home.engine.next_resumed(),
            Self::Away(away) => away.outpost.next_resumed(),
        }
    }

    /// A connection that was not taken in, which is to be told why and dropped.
    pub(super) fn next_refused(&mut self) -> Option<(ConnId, Refused)> {
        match self {
            Self::Home(_) => None,
            Self::Away(away) => away.outpost.next_refused(),
        }
    }

    pub(super) fn timeout(&mut self, now: Now) {
        match self {
            Self::Home(home) => home.engine.timeout(now),
            Self::Away(away) => away.outpost.timeout(now),
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        match self {
            Self::Home(home) => home.engine.next_deadline(),
            Self::Away(_) => None,
        }
    }

    pub(super) fn has_work(&mut self) -> bool {
        match self {
            Self::Home(home) => home.engine.has_work(),
            Self::Away(away) => away.outpost.has_work(),
        }
    }

    pub(super) fn end_turn(&mut self, now: Now) {
        match self {
            Self::Home(home) => home.engine.end_turn(now),
            Self::Away(away) => away.outpost.end_turn(now),
        }
    }

    /// Whether there is neither a connection nor a seat.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Home(home) => home.engine.is_empty(),
            Self::Away(away) => away.outpost.fanout().is_empty(),
        }
    }

    /// Whether another thread left something that was not taken in.
    pub(super) fn has_mail(&mut self) -> bool {
        match self {
            Self::Home(home) => home.has_mail(),
            Self::Away(away) => {
                !away.orders.is_empty() || (away.orders.is_closed() && !away.outpost.is_stopping())
            }
        }
    }

    /// Takes in what other threads left. Returns whether the server is to stop.
    pub(super) fn take_messages(&mut self, now: Now) -> bool {
        match self {
            Self::Home(home) => home.take_messages(now),
            Self::Away(away) => {
                let Away { outpost, orders, .. } = &mut **away;
                orders.receive(usize::MAX, |orders| outpost.carry_out(orders, now));
                if orders.is_closed() {
                    outpost.stop();
                }
                outpost.is_stopping()
            }
        }
    }

    /// Passes on what is for other shards. Returns whether some of it has to wait for space.
    pub(super) fn pass_on(&mut self) -> bool {
        match self {
            Self::Home(home) => home.send_orders(),
            Self::Away(away) => {
                let Away { outpost, reports, .. } = &mut **away;
                let on_its_way = reports.send(outpost.reports_mut());
                outpost.note_on_its_way(on_its_way);
                !outpost.reports_mut().is_empty()
            }
        }
    }

    /// Whether the engine is gone: nothing more can come of anything.
    pub(super) fn is_orphaned(&self) -> bool {
        match self {
            Self::Home(_) => false,
            Self::Away(away) => away.orders.is_closed(),
        }
    }

    /// Whether somebody waits for what is on its way to become less, of which nobody tells.
    pub(super) fn waits_for_links(&self) -> bool {
        match self {
            Self::Home(home) => home.engine.waits_for_links(),
            Self::Away(away) => away.outpost.is_busy(),
        }
    }

    /// The engine's shard has things to do that others have not.
    pub(super) fn home(&mut self) -> Option<&mut Home> {
        match self {
            Self::Home(home) => Some(home),
            Self::Away(_) => None,
        }
    }
}
