//! What a run is to do: checked, with every default filled in.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::dialect::{Dialect, Rooms};

/// What a run is to do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) addr: SocketAddr,
    /// The name that this address was chosen for.
    pub(crate) server_name: Option<String>,
    /// Where datagrams go, in the dialect that has any.
    pub(crate) datagrams: SocketAddr,
    pub(crate) dialect: Dialect,
    /// Nobody is told of messages: what counts is that their publishers are told that they are kept.
    pub(crate) kept: bool,
    /// Accounts are deleted at the end, where there are any.
    pub(crate) deletes_accounts: bool,
    pub(crate) clients: usize,
    /// Clients in a room; the last room may have fewer.
    pub(crate) room_size: usize,
    pub(crate) publishers: usize,
    /// Clients that stop reading.
    pub(crate) stalled: usize,
    /// Bytes of a message's text.
    pub(crate) size: usize,
    pub(crate) traffic: Traffic,
    pub(crate) warmup: Duration,
    pub(crate) duration: Duration,
    /// Connects a second; unlimited when nothing.
    pub(crate) connect_rate: Option<f64>,
    /// Clients that are connecting or logging in at once, at most.
    pub(crate) connecting_limit: usize,
    pub(crate) server_pid: Option<i32>,
    pub(crate) busy: bool,
    pub(crate) seed: u64,
    pub(crate) json: Option<PathBuf>,
    pub(crate) plot: Option<PathBuf>,
    pub(crate) hgrm: Option<PathBuf>,
}

/// When messages are published.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Traffic {
    /// Never.
    Idle,
    /// On a schedule, whatever the server does.
    Open {
        /// Messages a second, in all.
        rate: f64,
        /// How they are spread.
        arrivals: Arrivals,
    },
    /// As the deliveries come in.
    Closed {
        /// Messages not yet delivered to everyone, at most.
        window: u32,
    },
}

/// How messages are spread over time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arrivals {
    /// At equal distances.
    Constant,
    /// Independent of each other, as people are: a Poisson process.
    Poisson,
}

impl Plan {
    /// Whether clients leave the room in which they find themselves after the login.
    pub(crate) fn joins_rooms(&self) -> bool {
        self.dialect.rooms() == Rooms::Any && self.room_size < self.clients
    }

    /// Whether messages are delivered, and their publishers are told besides that they are kept.
    pub(crate) fn delivers_and_keeps(&self) -> bool {
        self.dialect.keeps_messages() && !self.kept
    }
}

#[cfg(test)]
impl Default for Plan {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            server_name: None,
            datagrams: SocketAddr::from(([127, 0, 0, 1], 0)),
            dialect: Dialect::Line,
            kept: false,
            deletes_accounts: true,
            clients: 2,
            room_size: 2,
            publishers: 1,
            stalled: 0,
            size: 64,
            traffic: Traffic::Idle,
            warmup: Duration::ZERO,
            duration: Duration::from_secs(1),
            connect_rate: None,
            connecting_limit: 256,
            server_pid: None,
            busy: false,
            seed: 0,
            json: None,
            plot: None,
            hgrm: None,
        }
    }
}
