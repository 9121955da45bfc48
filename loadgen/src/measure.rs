//! Latencies and counts. Bounded from the start: nothing is allocated while measuring.

use std::ops::Range;
use std::time::Duration;

use hdrhistogram::{CreationError, Histogram};

use crate::clock::{Moment, nanoseconds};

/// The longest latency that is told from a longer one.
const LATENCY_MAX: Duration = Duration::from_secs(3600);
/// Digits that a latency is exact to.
const DIGITS: u8 = 3;
/// The width of a bucket of the series over time.
pub(crate) const BUCKET: Duration = Duration::from_millis(100);
/// Buckets kept at most: a day and more. What comes later is in the totals only.
const BUCKETS_MAX: usize = 1 << 20;

/// An empty histogram of nanoseconds.
pub(crate) fn histogram() -> Result<Histogram<u64>, CreationError> {
    Histogram::new_with_bounds(1, nanoseconds(LATENCY_MAX), DIGITS)
}

/// What the receivers see, by the time at which a message should have been sent.
pub(crate) struct Latencies {
    /// From when a message should have been sent to when a recipient read it.
    pub(crate) delivery: Histogram<u64>,
    /// From when a message should have been sent to when its last recipient read it.
    pub(crate) last_recipient: Histogram<u64>,
    /// From when a message should have been sent to when its publisher read that it is kept.
    pub(crate) kept: Histogram<u64>,
    /// Only messages scheduled within it count.
    measured: Range<Moment>,
    /// Deliveries with the same time that follow one another are recorded at once.
    run: (Moment, u64),
}

impl Latencies {
    pub(crate) fn new() -> Result<Self, CreationError> {
        Ok(Self {
            delivery: histogram()?,
            last_recipient: histogram()?,
            kept: histogram()?,
            measured: Moment::NEVER..Moment::NEVER,
            run: (Moment(0), 0),
        })
    }

    /// Counts only messages scheduled within the time from now on.
    pub(crate) fn measure(&mut self, measured: Range<Moment>) {
        self.measured = measured;
    }

    /// Whether a message scheduled then counts.
    #[inline]
    pub(crate) fn measures(&self, scheduled: Moment) -> bool {
        self.measured.contains(&scheduled)
    }

    #[inline]
    pub(crate) fn delivered(&mut self, scheduled: Moment, now: Moment) {
        if self.run.0 != scheduled {
            self.finish(now);
            self.run.0 = scheduled;
        }
        self.run.1 += 1;
    }

    #[inline]
    pub(crate) fn completed(&mut self, scheduled: Moment, now: Moment) {
        if self.measures(scheduled) {
            self.last_recipient.saturating_record(now.0.saturating_sub(scheduled.0));
        }
    }

    #[inline]
    pub(crate) fn kept(&mut self, scheduled: Moment, now: Moment) {
        if self.measures(scheduled) {
            self.kept.saturating_record(now.0.saturating_sub(scheduled.0));
        }
    }

    /// Records what is counted and not yet recorded. To be called before `now` changes.
    #[inline]
    pub(crate) fn finish(&mut self, now: Moment) {
        let (scheduled, count) = self.run;
        if count > 0 && self.measures(scheduled) {
            self.delivery.saturating_record_n(now.0.saturating_sub(scheduled.0), count);
        }
        self.run.1 = 0;
    }
}

/// Deliveries over time.
pub(crate) struct Series {
    start: Moment,
    buckets: Vec<u64>,
}

impl Series {
    /// For a run that starts publishing at `start` and is expected to last so long. What comes later is not shown.
    pub(crate) fn new(start: Moment, length: Duration) -> Self {
        let buckets = length.as_nanos().div_ceil(BUCKET.as_nanos());
        let buckets = usize::try_from(buckets).unwrap_or(usize::MAX).min(BUCKETS_MAX);
        Self { start, buckets: vec![0; buckets] }
    }

    #[inline]
    pub(crate) fn add(&mut self, now: Moment, count: u64) {
        let bucket = now.since(self.start).as_nanos() / BUCKET.as_nanos();
        if let Some(bucket) = self.buckets.get_mut(bucket as usize) {
            *bucket += count;
        }
    }

    /// Deliveries in each [`BUCKET`].
    pub(crate) fn buckets(&self) -> &[u64] {
        &self.buckets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_scheduled_within_the_time_count() {
        let mut latencies = Latencies::new().expect("the bounds are sensible");
        latencies.measure(Moment(100)..Moment(200));
        for scheduled in [99, 100, 100, 199, 200] {
            latencies.delivered(Moment(scheduled), Moment(300));
            latencies.completed(Moment(scheduled), Moment(300));
        }
        latencies.finish(Moment(300));
        assert_eq!((latencies.delivery.len(), latencies.last_recipient.len()), (3, 3));
        assert_eq!((latencies.delivery.min(), latencies.delivery.max()), (101, 200));
    }

    #[test]
    fn what_comes_after_the_series_is_left_out() {
        let mut series = Series::new(Moment(1000), Duration::from_millis(250));
        series.add(Moment(1000), 1);
        series.add(Moment(1000).after(Duration::from_millis(299)), 2);
        series.add(Moment(1000).after(Duration::from_secs(9)), 4);
        assert_eq!(series.buckets(), [1, 0, 2]);
    }
}
