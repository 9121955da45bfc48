//! What the engine counts, and the reasons for which a connection ends.

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
            Self::Shutdown => "shutdown",
        }
    }
}

/// Counts since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Metrics {
    /// Connections that were accepted.
    pub opened: u64,
    /// Connections that ended, by [`CloseReason`].
    pub closed: [u64; CloseReason::COUNT],
    /// Commands that were carried out, refused ones included.
    pub commands: u64,
    /// Frames that were refused in decoding.
    pub frames_refused: u64,
    /// Messages published in rooms.
    pub messages: u64,
    /// Direct messages delivered.
    pub directs: u64,
    /// Times that a member fell off the tail of its room's log.
    pub lagged: u64,
    /// Messages that such members missed.
    pub missed: u64,
    /// Calls with the id of a connection that is gone.
    pub stale_ids: u64,
}

impl Metrics {
    /// How many connections ended for a reason.
    pub fn closed_for(&self, reason: CloseReason) -> u64 {
        self.closed[reason as usize]
    }
}
