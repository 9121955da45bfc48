//! Why a connection is not taken in.

use super::{CloseReason, Problem};

/// Why a connection is not taken in: it is told, and dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The server has as many clients as it takes, or is stopping.
    ServerFull,
    /// Its address has as many connections as it may.
    AddressFull,
    /// Its address connects more often than it may.
    AddressTooFast,
}

impl Refused {
    /// What it is told.
    pub fn problem(self) -> Problem<'static> {
        match self {
            Self::ServerFull => Problem::ServerFull,
            Self::AddressFull => Problem::AddressFull,
            Self::AddressTooFast => Problem::AddressTooFast,
        }
    }

    /// What its end is counted as.
    pub fn reason(self) -> CloseReason {
        match self {
            Self::ServerFull => CloseReason::ServerFull,
            Self::AddressFull => CloseReason::AddressFull,
            Self::AddressTooFast => CloseReason::AddressTooFast,
        }
    }
}
