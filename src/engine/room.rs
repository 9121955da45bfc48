//! A room: who is in it, and in which dialects and on which shards they hear it.

use std::time::Duration;

use super::history::History;
use super::network::Network;
use crate::chat::{ConnId, HistoryRule, RoomName};
use crate::wire::Dialect;

/// The members of one dialect on one shard. One without members has bytes on their way, and is gone with them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Audience {
    pub(super) dialect: Dialect,
    pub(super) shard: u8,
    members: u32,
    /// Bytes that were sent to another shard, and were not reported as read there.
    pub(super) unread: usize,
    /// The time of its last frame, on the monotonic clock.
    pub(super) told_at: Duration,
}

impl Audience {
    /// Whether there is somebody.
    pub(super) fn hears(&self) -> bool {
        self.members > 0
    }
}

/// Who made a room, as far as it counts for them: neither where they are exempt, nor of the lobby.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Maker {
    pub(super) network: Option<Network>,
    /// Unless it is a seat, whose name is counted.
    pub(super) session: Option<ConnId>,
}

#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: RoomName,
    members: Vec<ConnId>,
    /// Members without a name, who only hear.
    pub(super) unnamed: usize,
    /// Those of one dialect stand together, so that a frame is encoded once for all of them.
    pub(super) audiences: Vec<Audience>,
    pub(super) history: History,
    /// What is kept of what is said.
    pub(super) rule: HistoryRule,
    pub(super) maker: Maker,
    /// The seat with whose end the room closes.
    pub(super) host: Option<ConnId>,
    /// Its host has left, and its members are leaving.
    pub(super) closing: bool,
}

impl Room {
    pub(super) fn new(name: RoomName, rule: HistoryRule, maker: Maker) -> Self {
        Self {
            name,
            members: Vec::new(),
            unnamed: 0,
            audiences: Vec::new(),
            history: History::default(),
            rule,
            maker,
            host: None,
            closing: false,
        }
    }

    /// The members that have names.
    pub(super) fn count(&self) -> usize {
        self.members.len() - self.unnamed
    }

    pub(super) fn members(&self) -> impl Iterator<Item = ConnId> {
        self.members.iter().copied()
    }

    /// Lets a connection in. Returns its index.
    pub(super) fn insert(&mut self, conn: ConnId, dialect: Dialect) -> usize {
        let (shard, audiences) = (conn.shard(), &mut self.audiences);
        let its =
            audiences.iter_mut().find(|audience| (audience.dialect, audience.shard) == (dialect, shard));
        if let Some(audience) = its {
            audience.members += 1;
        } else {
            let behind = audiences.iter().rposition(|audience| audience.dialect == dialect);
            let at = behind.map_or(audiences.len(), |last| last + 1);
            audiences.insert(at, Audience { dialect, shard, members: 1, unread: 0, told_at: Duration::ZERO });
        }
        self.members.push(conn);
        self.members.len() - 1
    }

    /// Takes a member out; returns who stands at its index now.
    pub(super) fn remove(&mut self, index: usize, dialect: Dialect) -> Option<ConnId> {
        let conn = self.members.swap_remove(index);
        let shard = conn.shard();
        self.audiences.retain_mut(|audience| {
            let is_its = (audience.dialect, audience.shard) == (dialect, shard);
            audience.members -= u32::from(is_its);
            audience.members > 0 || audience.unread > 0
        });
        self.members.get(index).copied()
    }

    /// Another shard has read so much of what was sent there.
    pub(super) fn was_read(&mut self, dialect: Dialect, shard: u8, bytes: usize) {
        let mut audiences = self.audiences.iter_mut();
        if let Some(audience) =
            audiences.find(|audience| (audience.dialect, audience.shard) == (dialect, shard))
        {
            audience.unread = audience.unread.saturating_sub(bytes);
        }
        self.audiences.retain(|audience| audience.members > 0 || audience.unread > 0);
    }

    /// The time of the last frame for the members of one dialect on one shard, on the monotonic clock.
    pub(super) fn told_at(&self, dialect: Dialect, shard: u8) -> Option<Duration> {
        let mut audiences = self.audiences.iter();
        let its = audiences.find(|audience| (audience.dialect, audience.shard) == (dialect, shard))?;
        Some(its.told_at)
    }

    /// Bytes that the slowest of the other shards has not read.
    pub(super) fn unread(&self) -> usize {
        self.audiences
            .iter()
            .filter(|audience| audience.hears())
            .map(|audience| audience.unread)
            .max()
            .unwrap_or(0)
    }
}
