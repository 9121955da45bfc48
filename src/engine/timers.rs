//! One deadline a connection, in a dense array that is swept when the earliest of them may have come.
//!
//! A line moves its connection's deadline by one store; nothing is sorted. Deadlines are whole seconds of the monotonic
//! clock, rounded up, so that nobody is closed early and everybody within a second.

use std::time::Duration;

const NEVER: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Deadlines {
    by_slot: Vec<u32>,
    /// No deadline is before it.
    earliest: u32,
}

impl Deadlines {
    pub(super) fn new() -> Self {
        Self { by_slot: Vec::new(), earliest: NEVER }
    }

    /// Sets a slot's deadline to so many seconds from now; 0 means never.
    #[inline]
    pub(super) fn set(&mut self, slot: u32, now: Duration, seconds: u64) {
        let at = if seconds == 0 {
            NEVER
        } else {
            u32::try_from(now.as_secs() + u64::from(now.subsec_nanos() > 0) + seconds).unwrap_or(NEVER)
        };
        let slot = slot as usize;
        if slot >= self.by_slot.len() {
            self.by_slot.resize(slot + 1, NEVER);
        }
        self.by_slot[slot] = at;
        self.earliest = self.earliest.min(at);
    }

    /// When to look again, if ever.
    pub(super) fn next(&self) -> Option<Duration> {
        (self.earliest != NEVER).then(|| Duration::from_secs(u64::from(self.earliest)))
    }

    /// Appends the slots whose deadline has come, and clears those deadlines.
    pub(super) fn sweep(&mut self, now: Duration, expired: &mut Vec<u32>) {
        let now = u32::try_from(now.as_secs()).unwrap_or(NEVER - 1);
        if now < self.earliest {
            return;
        }
        self.earliest = NEVER;
        for (slot, at) in self.by_slot.iter_mut().enumerate() {
            if *at <= now {
                *at = NEVER;
                expired.push(slot as u32);
            } else {
                self.earliest = self.earliest.min(*at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_comes_once_never_early_and_within_a_second() {
        let ms = Duration::from_millis;
        let mut deadlines = Deadlines::new();
        deadlines.set(3, ms(1500), 10);
        deadlines.set(1, ms(0), 0);
        deadlines.set(0, ms(0), 5);
        deadlines.set(0, ms(4000), 20);
        assert_eq!(deadlines.next(), Some(ms(5000)));
        let mut expired = Vec::new();
        deadlines.sweep(ms(11_499), &mut expired);
        assert!(expired.is_empty());
        deadlines.sweep(ms(12_000), &mut expired);
        assert_eq!(expired, [3]);
        assert_eq!(deadlines.next(), Some(ms(24_000)));
        deadlines.sweep(ms(24_000), &mut expired);
        assert_eq!(expired, [3, 0]);
        assert_eq!(deadlines.next(), None);
    }
}
