//! One deadline a connection, in a dense array that is swept when the earliest of them may have come.
//!
//! A line moves its connection's deadline by one store; nothing is sorted. Deadlines are whole seconds of the monotonic
//! clock, rounded up, so that nobody is closed early and everybody within a second.

use std::time::Duration;

use crate::chat::ConnId;

const NEVER: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Deadlines {
    /// By [`ConnId::table`] and index.
    tables: Vec<Vec<u32>>,
    /// No deadline is before it.
    earliest: u32,
}

impl Deadlines {
    pub(super) fn new() -> Self {
        Self { tables: Vec::new(), earliest: NEVER }
    }

    /// Sets a slot's deadline to so many seconds from now; 0 means never.
    #[inline]
    pub(super) fn set(&mut self, id: ConnId, now: Duration, seconds: u64) {
        let at = if seconds == 0 {
            NEVER
        } else {
            u32::try_from(now.as_secs() + u64::from(now.subsec_nanos() > 0) + seconds).unwrap_or(NEVER)
        };
        if id.table() >= self.tables.len() {
            self.tables.resize_with(id.table() + 1, Vec::new);
        }
        let deadlines = &mut self.tables[id.table()];
        if id.index() >= deadlines.len() {
            deadlines.resize(id.index() + 1, NEVER);
        }
        deadlines[id.index()] = at;
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
        for (table, deadlines) in self.tables.iter_mut().enumerate() {
            for (index, at) in deadlines.iter_mut().enumerate() {
                if *at <= now {
                    *at = NEVER;
                    expired.push(ConnId::in_table(table, index as u32, 0).slot);
                } else {
                    self.earliest = self.earliest.min(*at);
                }
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
        deadlines.set(ConnId::new(0, 3, 0), ms(1500), 10);
        deadlines.set(ConnId::new(0, 1, 0), ms(0), 0);
        deadlines.set(ConnId::new(0, 0, 0), ms(0), 5);
        deadlines.set(ConnId::new(0, 0, 0), ms(4000), 20);
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
