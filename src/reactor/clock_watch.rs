//! Jumps of the wall clock: a clock that was wrong and is set, or a machine that slept.
//!
//! The monotonic clock does not jump, so the difference of the two is constant but for a slow drift. A jump
//! is logged. A forward jump does not expire history until the clock has held for [`CLOCK_BELIEF_SECONDS`].

use std::time::Duration;

use crate::chat::{Now, UnixMillis};
use crate::limits::{CLOCK_BELIEF_SECONDS, CLOCK_DRIFT_DIVISOR, CLOCK_JUMP_MILLIS, LOG_REPEAT_SECONDS};
use crate::telemetry::Every;

/// What the wall clock did between two looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Jump {
    /// Milliseconds by which it is ahead of where it should be; negative: behind.
    pub(super) by_millis: i64,
}

/// A forward jump that is yet to be believed.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    until: Duration,
    by_millis: u64,
}

/// Compares the wall clock with the monotonic clock and logs jumps.
#[derive(Debug)]
pub(super) struct ClockWatch {
    last: Now,
    doubt: Option<Doubt>,
    log: Every,
}

impl ClockWatch {
    pub(super) fn new(now: Now) -> Self {
        Self { last: now, doubt: None, log: Every::new(Duration::from_secs(LOG_REPEAT_SECONDS)) }
    }

    /// Looks at the clocks, and logs a jump.
    pub(super) fn look(&mut self, now: Now) {
        let Some(Jump { by_millis }) = self.note(now) else { return };
        let Some(suppressed) = self.log.admit(now.monotonic) else { return };
        let by = humantime::format_duration(Duration::from_millis(by_millis.unsigned_abs()));
        if by_millis > 0 {
            tracing::warn!(%by, suppressed, "the clock jumped forward: it was set, or the machine slept");
        } else {
            tracing::warn!(%by, suppressed, "the clock was set back: ids go on rising, times follow the clock");
        }
    }

    fn note(&mut self, now: Now) -> Option<Jump> {
        let elapsed = now.monotonic.saturating_sub(self.last.monotonic).as_millis() as u64;
        let expected = self.last.unix.0.saturating_add(elapsed);
        self.last = now;
        let threshold = CLOCK_JUMP_MILLIS + elapsed / CLOCK_DRIFT_DIVISOR;
        if now.unix.0.abs_diff(expected) <= threshold {
            return None;
        }
        let by_millis = now.unix.0.cast_signed().wrapping_sub(expected.cast_signed());
        let doubted = self.doubt(now).map_or(0, |doubt| doubt.by_millis);
        let doubted = doubted.saturating_add_signed(by_millis);
        let until = now.monotonic + Duration::from_secs(CLOCK_BELIEF_SECONDS);
        self.doubt = (doubted > 0).then_some(Doubt { until, by_millis: doubted });
        Some(Jump { by_millis })
    }

    fn doubt(&self, now: Now) -> Option<Doubt> {
        self.doubt.filter(|doubt| now.monotonic < doubt.until)
    }

    /// The time by which history is old: the wall clock, without a forward jump that is yet to be believed.
    pub(super) fn age_time(&self, now: Now) -> UnixMillis {
        UnixMillis(now.unix.0.saturating_sub(self.doubt(now).map_or(0, |doubt| doubt.by_millis)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_700_000_000_000;
    const YEARS_2: u64 = 730 * 24 * 60 * 60 * 1000;

    fn now(seconds: u64, unix: u64) -> Now {
        Now { monotonic: Duration::from_secs(seconds), unix: UnixMillis(unix) }
    }

    #[test]
    fn a_jump_is_told_in_both_directions_and_a_drift_is_none() {
        let mut watch = ClockWatch::new(now(0, START));
        assert_eq!(watch.note(now(10, START + 10_400)), None);
        assert_eq!(watch.note(now(100_010, START + 100_010_000 + 40_000)), None, "slewed for a day");
        let there = START + 100_050_000;
        assert_eq!(
            watch.note(now(100_011, there + YEARS_2)),
            Some(Jump { by_millis: YEARS_2.cast_signed() - 1000 })
        );
        assert_eq!(watch.note(now(100_012, there + YEARS_2 + 1000)), None);
        assert_eq!(watch.note(now(100_013, there)), Some(Jump { by_millis: -YEARS_2.cast_signed() - 2000 }));
    }

    #[test]
    fn history_does_not_grow_old_by_a_jump_that_is_taken_back() {
        let mut watch = ClockWatch::new(now(0, START));
        watch.note(now(1, START + 1000 + YEARS_2));
        assert_eq!(watch.age_time(now(2, START + 2000 + YEARS_2)), UnixMillis(START + 2000));
        watch.note(now(3, START + 3000));
        assert_eq!(watch.age_time(now(3, START + 3000)), UnixMillis(START + 3000));
        // One that stays is believed in the end.
        watch.note(now(4, START + 4000 + YEARS_2));
        let later = 4 + CLOCK_BELIEF_SECONDS;
        let unix = START + later * 1000 + YEARS_2;
        assert_eq!(watch.age_time(now(later, unix)), UnixMillis(unix));
    }
}
