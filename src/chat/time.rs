//! Time, as the pure modules see it: handed in, never read.

use std::time::Duration;

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct UnixSeconds(pub u64);

/// The two clocks at one moment. Whoever drives the engine reads them once a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Since an arbitrary start; never goes back. Deadlines are measured on it.
    pub monotonic: Duration,
    /// The wall clock, which may jump. People read it.
    pub unix: UnixSeconds,
}
