//! How much may come a second: token buckets that are filled when they are looked at.
//!
//! A bucket is one number, the moment at which it will be full again (the generic cell rate algorithm). What is taken moves
//! that moment on, and time does the rest: nothing is swept, no error adds up to more than a nanosecond each, and a bucket that is full needs no
//! looking after.
//!
//! ```text
//!        now         full_at        now + capacity
//!   ──────┼─────────────┼──────────────────┼──────▶  nanoseconds of the monotonic clock
//!         │◀── missing ▶│◀──── it holds ──▶│         full_at beyond the right edge: more was taken than it held
//! ```

use std::time::Duration;

use crate::limits::RATE_SECONDS_HELD;

const NANOS: u64 = 1_000_000_000;
const DAY_SECONDS: u64 = 24 * 60 * 60;

/// What may be taken from a bucket, and how much it holds at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// The amount that `period` nanoseconds bring.
    amount: u64,
    period: u64,
    /// Nanoseconds in which an empty bucket fills.
    capacity: u64,
}

/// One that is filled at a [`Rate`], which is not kept with it. A new one is full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    /// When it is full, in nanoseconds of the monotonic clock.
    full_at: u64,
}

impl Rate {
    /// So much a second, and what [`RATE_SECONDS_HELD`] seconds bring at once, but no less than `least`. Nothing a second: as
    /// much as comes.
    pub(super) fn new(per_second: u32, least: usize) -> Option<Self> {
        let rate = Self { amount: u64::from(per_second), period: NANOS, capacity: 0 };
        let capacity = |rate: Self| (RATE_SECONDS_HELD * NANOS).max(rate.nanos(least));
        (per_second > 0).then(|| Self { capacity: capacity(rate), ..rate })
    }

    /// `amount` a day, and `burst` of it at once. None if `amount` is 0: no limit.
    pub(super) fn a_day(amount: u32, burst: u32) -> Option<Self> {
        let rate = Self { amount: u64::from(amount), period: DAY_SECONDS * NANOS, capacity: 0 };
        (amount > 0).then(|| Self { capacity: rate.nanos(burst as usize), ..rate })
    }

    /// How long it takes to fill in an amount. It loses less than a nanosecond each time: what ten seconds bring is held.
    fn nanos(self, amount: usize) -> u64 {
        (amount as u64).saturating_mul(self.period) / self.amount
    }

    /// The time at which the bucket will hold an amount, if it does not yet.
    pub(super) fn lacks_until(self, bucket: Bucket, amount: usize, now: Duration) -> Option<Duration> {
        let full_at = bucket.full_at.max(nanos(now)).saturating_add(self.nanos(amount));
        let until = Duration::from_nanos(full_at.saturating_sub(self.capacity));
        (until > now).then_some(until)
    }

    /// Takes an amount, if the bucket holds as much.
    pub(super) fn take(self, bucket: &mut Bucket, amount: usize, now: Duration) -> bool {
        let now = nanos(now);
        let full_at = bucket.full_at.max(now).saturating_add(self.nanos(amount));
        let holds = full_at - now <= self.capacity;
        if holds {
            bucket.full_at = full_at;
        }
        holds
    }

    /// Takes an amount that has come already, even if the bucket holds less.
    pub(super) fn owe(self, bucket: &mut Bucket, amount: usize, now: Duration) {
        bucket.full_at = bucket.full_at.max(nanos(now)).saturating_add(self.nanos(amount));
    }

    /// When nothing is owed any more, if something is.
    pub(super) fn owes_until(self, bucket: Bucket, now: Duration) -> Option<Duration> {
        let until = Duration::from_nanos(bucket.full_at.saturating_sub(self.capacity));
        (until > now).then_some(until)
    }
}

impl Bucket {
    /// Whether it is as good as a new one.
    pub(super) fn is_full(self, now: Duration) -> bool {
        self.full_at <= nanos(now)
    }
}

/// Five hundred years of them fit.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn ten_seconds_worth_comes_at_once_and_then_what_the_rate_allows() {
        let rate = Rate::new(3, 1).expect("a rate");
        let mut bucket = Bucket::default();
        let mut now = Duration::from_secs(1_000_000);
        let mut taken = |now| (0..100).take_while(|_| rate.take(&mut bucket, 1, now)).count();
        assert_eq!(taken(now), 30);
        for _ in 0..1000 {
            now += SECOND;
            assert_eq!(taken(now), 3, "no more and no less, however long");
        }
        now += 5 * SECOND;
        assert_eq!(taken(now), 15);
        now += 1000 * SECOND;
        assert_eq!(taken(now), 30, "no more than it holds");
    }

    #[test]
    fn what_is_owed_is_paid_at_the_rate() {
        let rate = Rate::new(1000, 1).expect("a rate");
        let mut bucket = Bucket::default();
        let now = 7 * SECOND;
        rate.owe(&mut bucket, 10_000, now);
        assert_eq!(rate.owes_until(bucket, now), None, "it held as much");
        rate.owe(&mut bucket, 500, now);
        let until = rate.owes_until(bucket, now).expect("something is owed");
        assert_eq!(until, now + SECOND / 2);
        assert_eq!(rate.owes_until(bucket, until), None);
        assert!(!rate.take(&mut bucket, 1, until) && rate.take(&mut bucket, 1, until + SECOND / 1000));
        assert!(!bucket.is_full(until + 10 * SECOND) && bucket.is_full(until + 11 * SECOND));
    }

    #[test]
    fn a_bucket_holds_the_least_that_it_is_asked_for_and_no_amount_overflows() {
        let rate = Rate::new(1, 5000).expect("a rate");
        let mut bucket = Bucket::default();
        assert!(rate.take(&mut bucket, 5000, SECOND) && !rate.take(&mut bucket, 1, SECOND));
        rate.owe(&mut bucket, usize::MAX, SECOND);
        rate.owe(&mut bucket, usize::MAX, SECOND);
        assert!(rate.owes_until(bucket, SECOND).is_some() && !rate.take(&mut bucket, 1, SECOND));
        assert!(Rate::new(0, 1).is_none());
    }
}
