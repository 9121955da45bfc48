//! When each publisher's next message is due, in the open loop.
//!
//! Every publisher has its own times, so that one whose socket is full holds up no other. Together they are the rate that
//! was asked for: constant spacing is dealt out in turns, and Poisson processes add up to one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::clock::Moment;
use crate::plan::Arrivals;

/// The times at which messages are due, from the start to the end.
pub(crate) struct Schedule {
    arrivals: Arrivals,
    start: Moment,
    /// Nothing is due from then on.
    end: Moment,
    /// Nanoseconds between two messages of all publishers together.
    period: f64,
    publishers: Vec<Publisher>,
    /// The next message of each publisher that is neither held nor at its end.
    due: BinaryHeap<Reverse<(Moment, usize)>>,
    random: fastrand::Rng,
}

#[derive(Clone, Copy)]
struct Publisher {
    /// Messages so far.
    count: u64,
    /// Nanoseconds from the start to its latest message, of Poisson arrivals.
    elapsed: f64,
    /// Its next message, when that must wait for its socket.
    held: Option<Moment>,
}

impl Schedule {
    /// `rate` messages a second in all.
    pub(crate) fn new(
        arrivals: Arrivals,
        rate: f64,
        publishers: usize,
        start: Moment,
        end: Moment,
        seed: u64,
    ) -> Self {
        let mut schedule = Self {
            arrivals,
            start,
            end,
            period: 1e9 / rate,
            publishers: vec![Publisher { count: 0, elapsed: 0.0, held: None }; publishers],
            due: BinaryHeap::with_capacity(publishers),
            random: fastrand::Rng::with_seed(seed),
        };
        for publisher in 0..publishers {
            schedule.advance(publisher);
        }
        schedule
    }

    /// When the next message is due, or [`Moment::NEVER`].
    #[inline]
    pub(crate) fn next_due(&self) -> Moment {
        match self.due.peek() {
            Some(Reverse((due, _))) if *due < self.end => *due,
            Some(_) | None => Moment::NEVER,
        }
    }

    /// Whether everything that was due has been taken.
    pub(crate) fn is_over(&self) -> bool {
        self.next_due() == Moment::NEVER && self.publishers.iter().all(|publisher| publisher.held.is_none())
    }

    /// Takes a message that is due: its time and its publisher, who is then to [`advance`](Self::advance) or to
    /// [`hold`](Self::hold) it.
    pub(crate) fn take_due(&mut self, now: Moment) -> Option<(Moment, usize)> {
        let due = self.next_due();
        if due > now || due == Moment::NEVER {
            return None;
        }
        self.due.pop().map(|Reverse(message)| message)
    }

    /// Goes on to the publisher's next message.
    pub(crate) fn advance(&mut self, index: usize) {
        let count = self.publishers.len() as f64;
        let publisher = &mut self.publishers[index];
        let after_start = match self.arrivals {
            Arrivals::Constant => (publisher.count as f64 * count + index as f64) * self.period,
            Arrivals::Poisson => {
                // The logarithm of a number above 0, and at most 1.
                publisher.elapsed -= (1.0 - self.random.f64()).ln() * self.period * count;
                publisher.elapsed
            }
        };
        publisher.count += 1;
        #[expect(clippy::cast_sign_loss, reason = "times after the start")]
        let due = Moment(self.start.0.saturating_add(after_start as u64));
        if due < self.end {
            self.due.push(Reverse((due, index)));
        }
    }

    /// The message waits until the publisher's socket takes more.
    pub(crate) fn hold(&mut self, index: usize, due: Moment) {
        self.publishers[index].held = Some(due);
    }

    /// The publisher's socket takes more.
    pub(crate) fn release(&mut self, index: usize) {
        if let Some(due) = self.publishers[index].held.take() {
            self.due.push(Reverse((due, index)));
        }
    }

    /// The publisher is gone, and so are its messages.
    pub(crate) fn remove(&mut self, index: usize) {
        self.publishers[index].held = None;
        self.due.retain(|Reverse((_, publisher))| *publisher != index);
    }

    /// Ends the schedule early.
    pub(crate) fn end_at(&mut self, end: Moment) {
        self.end = self.end.min(end);
        for publisher in &mut self.publishers {
            publisher.held = publisher.held.filter(|due| *due < end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment(1_000_000);

    fn take_all(mut schedule: Schedule, now: Moment) -> Vec<(Moment, usize)> {
        std::iter::from_fn(|| {
            let message = schedule.take_due(now)?;
            schedule.advance(message.1);
            Some(message)
        })
        .collect()
    }

    fn seconds(count: u64) -> Moment {
        Moment(START.0 + count * 1_000_000_000)
    }

    #[test]
    fn constant_arrivals_are_equally_spaced_and_dealt_out_in_turns() {
        let schedule = Schedule::new(Arrivals::Constant, 1000.0, 3, START, seconds(1), 0);
        let messages = take_all(schedule, Moment::NEVER);
        assert_eq!(messages.len(), 1000);
        for (index, (due, publisher)) in messages.into_iter().enumerate() {
            assert_eq!((due.0 - START.0, publisher), (index as u64 * 1_000_000, index % 3));
        }
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_vary_as_such() {
        let schedule = Schedule::new(Arrivals::Poisson, 1000.0, 7, START, seconds(100), 42);
        let messages = take_all(schedule, Moment::NEVER);
        // Standard deviation of the count: 316. Of a Poisson process's gaps: their mean.
        assert!((98_000..102_000).contains(&messages.len()), "{}", messages.len());
        let gaps: Vec<f64> =
            messages.windows(2).map(|pair| pair[1].0.since(pair[0].0).as_secs_f64() * 1000.0).collect();
        let variance = gaps.iter().map(|gap| (gap - 1.0).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((0.9..1.1).contains(&variance), "{variance}");
    }

    #[test]
    fn nothing_is_taken_before_it_is_due() {
        let mut schedule = Schedule::new(Arrivals::Constant, 10.0, 1, START, seconds(1), 0);
        assert_eq!(schedule.take_due(Moment(START.0 - 1)), None);
        assert_eq!(schedule.take_due(START), Some((START, 0)));
        schedule.advance(0);
        assert_eq!(schedule.take_due(START), None);
        assert_eq!(schedule.next_due(), Moment(START.0 + 100_000_000));
    }

    #[test]
    fn a_schedule_ended_early_has_nothing_due() {
        let mut schedule = Schedule::new(Arrivals::Constant, 10.0, 2, START, seconds(1), 0);
        schedule.end_at(START);
        assert!(schedule.is_over());
        assert_eq!((schedule.next_due(), schedule.take_due(seconds(2))), (Moment::NEVER, None));
    }

    #[test]
    fn a_message_held_keeps_its_time() {
        let mut schedule = Schedule::new(Arrivals::Constant, 10.0, 2, START, seconds(1), 0);
        let (due, publisher) = schedule.take_due(START).expect("the first one");
        schedule.hold(publisher, due);
        schedule.end_at(Moment(START.0 + 1));
        assert!(!schedule.is_over());
        schedule.release(publisher);
        assert_eq!(schedule.take_due(seconds(2)), Some((due, publisher)));
        schedule.advance(publisher);
        assert!(schedule.is_over());
    }
}
