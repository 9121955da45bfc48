//! Time, as the pure modules see it: handed in, never read.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct UnixSeconds(pub u64);

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// Without the part of a second.
    pub fn seconds(self) -> UnixSeconds {
        UnixSeconds(self.0 / 1000)
    }
}

/// The two clocks at one moment. Whoever drives the engine reads them once a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Since an arbitrary start; never goes back. Deadlines are measured on it.
    pub monotonic: Duration,
    /// The wall clock, which may jump. People read it.
    pub unix: UnixMillis,
}
