//! What the engine counts, and the reasons for which a connection ends.

use std::collections::BTreeMap;

/// Why a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseReason {
    /// The peer closed it.
    PeerClosed,
    /// The peer reset it, or the kernel gave it up.
    PeerReset,
    /// The peer asked for it.
    Quit,
    /// Its dialect ends a connection whose login is refused.
    LoginRefused,
    /// No login came in time.
    LoginTimeout,
    /// Nothing was heard in time.
    IdleTimeout,
    /// It fell behind its room's log, and the policy is to close those.
    Lagged,
    /// It does not read what others send to it alone.
    TooSlow,
    /// It had the most waiting for it when all outboxes together were too large.
    Memory,
    /// The server has as many clients as it takes.
    ServerFull,
    /// It sent what nothing can be understood behind.
    Malformed,
    /// A handshake: it has its answer.
    Served,
    /// Its room was closed by its host.
    RoomClosed,
    /// A seat that the store could not keep.
    NotKept,
    /// The server stopped.
    Shutdown,
}

impl CloseReason {
    /// How many there are.
    pub const COUNT: usize = Self::Shutdown as usize + 1;

    /// The name used in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::PeerClosed => "peer-closed",
            Self::PeerReset => "peer-reset",
            Self::Quit => "quit",
            Self::LoginRefused => "login-refused",
            Self::LoginTimeout => "login-timeout",
            Self::IdleTimeout => "idle-timeout",
            Self::Lagged => "lagged",
            Self::TooSlow => "too-slow",
            Self::Memory => "memory",
            Self::ServerFull => "server-full",
            Self::Malformed => "malformed",
            Self::Served => "served",
            Self::RoomClosed => "room-closed",
            Self::NotKept => "not-kept",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Counts since the start.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metrics {
    /// Connections that were accepted, and seats that were given out.
    pub opened: u64,
    /// Connections and seats that ended, by [`CloseReason`].
    pub closed: [u64; CloseReason::COUNT],
    /// Commands that were carried out, refused ones included.
    pub commands: u64,
    /// Frames and datagrams that were refused, by cause. There are as many causes as the code has.
    pub refused: BTreeMap<&'static str, u64>,
    /// Datagrams that came in, refused ones included.
    pub datagrams: u64,
    /// Datagrams for the server that the kernel dropped, because more came than could wait. Those that came to be seen are in
    /// [`Metrics::datagrams`]. It is known once another one has come.
    pub datagrams_lost: u64,
    /// Datagrams that were made for seats; those that the kernel refused are among them.
    pub datagrams_sent: u64,
    /// Messages that a member who is spoken to in datagrams did not get, oldest first, because the socket was full.
    pub datagrams_dropped: u64,
    /// Datagrams for which the kernel knew no way.
    pub datagrams_undeliverable: u64,
    /// Texts that were cut because a dialect's frame does not hold them.
    pub cut: u64,
    /// Passwords that were not the account's.
    pub wrong_passwords: u64,
    /// Messages published in rooms.
    pub messages: u64,
    /// Direct messages delivered.
    pub directs: u64,
    /// Times that a member fell off the tail of its room's log.
    pub lagged: u64,
    /// Messages that such members missed.
    pub missed: u64,
    /// Changes that the store has committed.
    pub ops_committed: u64,
    /// Times that the store began to fail.
    pub store_failures: u64,
    /// Promises that were refused when it did.
    pub promises_broken: u64,
    /// Messages in rooms that were not kept, because the store failed or was behind.
    pub history_unkept: u64,
    /// Calls with the id of a connection that is gone.
    pub stale_ids: u64,
}

impl Metrics {
    pub(super) fn count_refused(&mut self, cause: &'static str) {
        *self.refused.entry(cause).or_default() += 1;
    }

    /// How many frames and datagrams were refused for a cause.
    pub fn refused_for(&self, cause: &str) -> u64 {
        self.refused.get(cause).copied().unwrap_or(0)
    }

    /// How many connections ended for a reason.
    pub fn closed_for(&self, reason: CloseReason) -> u64 {
        self.closed[reason as usize]
    }
}
