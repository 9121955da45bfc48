//! The reasons for which a connection ends.

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
    /// Its address has as many connections as it may.
    AddressFull,
    /// Its address connects more often than it may.
    AddressTooFast,
    /// It sent what nothing can be understood behind.
    Malformed,
    /// It speaks another protocol, as HTTP.
    WrongProtocol,
    /// A handshake: it has its answer.
    Served,
    /// Its room was closed by its host.
    RoomClosed,
    /// A seat that the store could not keep.
    NotKept,
    /// The owner of its name has logged in again.
    Replaced,
    /// Its name has an account now, which it has not proved.
    NameRegistered,
    /// The account of its name was deleted.
    AccountDeleted,
    /// The server stopped.
    Shutdown,
}

impl CloseReason {
    /// How many there are.
    pub const COUNT: usize = Self::Shutdown as usize + 1;

    /// All of them, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::PeerClosed,
        Self::PeerReset,
        Self::Quit,
        Self::LoginRefused,
        Self::LoginTimeout,
        Self::IdleTimeout,
        Self::Lagged,
        Self::TooSlow,
        Self::Memory,
        Self::ServerFull,
        Self::AddressFull,
        Self::AddressTooFast,
        Self::Malformed,
        Self::WrongProtocol,
        Self::Served,
        Self::RoomClosed,
        Self::NotKept,
        Self::Replaced,
        Self::NameRegistered,
        Self::AccountDeleted,
        Self::Shutdown,
    ];

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
            Self::AddressFull => "address-full",
            Self::AddressTooFast => "address-too-fast",
            Self::Malformed => "malformed",
            Self::WrongProtocol => "wrong-protocol",
            Self::Served => "served",
            Self::RoomClosed => "room-closed",
            Self::NotKept => "not-kept",
            Self::Replaced => "replaced",
            Self::NameRegistered => "name-registered",
            Self::AccountDeleted => "account-deleted",
            Self::Shutdown => "shutdown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_listed_in_its_place() {
        for (index, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{}", reason.name());
        }
    }
}
