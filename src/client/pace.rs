//! How fast a client may send without being refused: a server takes so many messages of a session at once,
//! and so many a second (docs/protocols.md, "Limits").

use std::time::{Duration, Instant};

use crate::limits::{CLIENT_MESSAGES_AT_ONCE, CLIENT_MESSAGES_PER_SECOND};

/// A token bucket on the client's side, well below what a server takes by default.
///
/// ```
/// # use std::time::Instant;
/// # use parlance::client::Pace;
/// let mut pace = Pace::default();
/// // Before each message:
/// std::thread::sleep(pace.delay(Instant::now()));
/// ```
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    /// How far [`Pace::full_at`] may lie ahead.
    held: Duration,
    /// When the bucket is full again.
    full_at: Instant,
}

impl Pace {
    /// So many messages a second, of which so many come at once after a pause. Zero counts as one.
    pub fn new(per_second: u32, at_once: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, held: interval * at_once.max(1), full_at: Instant::now() }
    }

    /// Takes a message from the bucket. Returns how long to wait before it is sent.
    pub fn delay(&mut self, now: Instant) -> Duration {
        self.full_at = self.full_at.max(now) + self.interval;
        self.full_at.saturating_duration_since(now + self.held)
    }

    /// The server refused a message: half as fast from now on, and nothing at once.
    pub fn slow_down(&mut self, now: Instant) {
        self.interval = (self.interval * 2).min(Duration::from_secs(1));
        self.held = self.interval;
        self.full_at = now + self.interval * 2;
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new(CLIENT_MESSAGES_PER_SECOND, CLIENT_MESSAGES_AT_ONCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moments are made up: nothing waits here.
    #[test]
    fn it_stays_below_what_a_server_takes() {
        let mut pace = Pace::new(10, 20);
        let start = Instant::now() + Duration::from_secs(1);
        let mut now = start;
        for index in 0..120 {
            now += pace.delay(now);
            assert!(index >= 20 || now == start, "so many come at once");
        }
        assert_eq!(now - start, Duration::from_secs(10));
        pace.slow_down(now);
        assert!(pace.delay(now) > Duration::from_millis(300), "half as fast, and nothing at once");
    }
}
