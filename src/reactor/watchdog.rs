//! The watchdog: how long a turn of the loop took, and with what. A long one has everybody wait.

use std::time::Duration;

use crate::limits::{LOG_REPEAT_SECONDS, TURN_MILLIS_MAX};
use crate::telemetry::Every;

/// What a turn does, in its order. The first is not part of its length: nobody waits for a loop that sleeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Wait,
    Messages,
    Datagrams,
    Read,
    PassOn,
    Flush,
    Accept,
    End,
}

const STEPS: [(Step, &str); 8] = [
    (Step::Wait, "waiting"),
    (Step::Messages, "messages of other threads"),
    (Step::Datagrams, "reading datagrams"),
    (Step::Read, "reading"),
    (Step::PassOn, "passing on"),
    (Step::Flush, "writing"),
    (Step::Accept, "accepting"),
    (Step::End, "the end of the turn"),
];

/// Turns of one loop.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// When the last step ended, on the monotonic clock.
    at: Duration,
    took: [Duration; STEPS.len()],
    turns: Turns,
    warnings: Every,
}

/// How long turns took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Turns {
    /// Those that took longer than [`TURN_MILLIS_MAX`].
    pub long: u64,
    /// The longest.
    pub longest: Duration,
}

impl Turns {
    /// Adds those of another loop.
    pub(super) fn add(&mut self, other: &Self) {
        self.long += other.long;
        self.longest = self.longest.max(other.longest);
    }
}

/// A turn that was too long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct LongTurn {
    pub(super) took: Duration,
    /// Its steps, the longest first, of those that took a part worth telling.
    pub(super) steps: Vec<(&'static str, Duration)>,
    /// Others like it since one was told.
    pub(super) suppressed: u64,
}

impl Watchdog {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            at: now,
            took: [Duration::ZERO; STEPS.len()],
            turns: Turns::default(),
            warnings: Every::new(Duration::from_secs(LOG_REPEAT_SECONDS)),
        }
    }

    /// A step has ended.
    pub(super) fn did(&mut self, step: Step, now: Duration) {
        self.took[step as usize] += now.saturating_sub(self.at);
        self.at = now;
    }

    /// A turn has ended, with its last step. Returns it, if it is to be told of.
    pub(super) fn turned(&mut self) -> Option<LongTurn> {
        let took = std::mem::take(&mut self.took);
        let [_wait, work @ ..] = &took;
        let length = work.iter().sum();
        self.turns.longest = self.turns.longest.max(length);
        if length <= Duration::from_millis(TURN_MILLIS_MAX) {
            return None;
        }
        self.turns.long += 1;
        let suppressed = self.warnings.admit(self.at)?;
        let mut steps: Vec<_> = STEPS
            .iter()
            .map(|&(step, name)| (name, took[step as usize], step))
            .filter(|&(_, took, step)| step != Step::Wait && took >= length / 20)
            .map(|(name, took, _)| (name, took))
            .collect();
        steps.sort_by_key(|&(_, took)| std::cmp::Reverse(took));
        Some(LongTurn { took: length, steps, suppressed })
    }

    pub(super) fn turns(&self) -> Turns {
        self.turns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_long_turn_is_told_of_with_what_took_the_time_and_others_are_counted() {
        let mut watchdog = Watchdog::new(millis(0));
        // Sleeping is no work.
        watchdog.did(Step::Wait, millis(5000));
        watchdog.did(Step::Read, millis(5000 + TURN_MILLIS_MAX));
        assert_eq!(watchdog.turned(), None, "not longer than it may be");
        let mut now = 6000;
        for (index, suppressed) in [(0, Some(0)), (1, None), (2, None), (20, Some(2))] {
            now = 6000 + 1000 * index;
            watchdog.did(Step::Wait, millis(now));
            watchdog.did(Step::Accept, millis(now + 1));
            watchdog.did(Step::Read, millis(now + 41));
            watchdog.did(Step::Flush, millis(now + 171));
            let expected = suppressed.map(|suppressed| LongTurn {
                took: millis(171),
                steps: vec![("writing", millis(130)), ("reading", millis(40))],
                suppressed,
            });
            assert_eq!(watchdog.turned(), expected);
        }
        assert_eq!(watchdog.turns(), Turns { long: 4, longest: millis(171) });
        watchdog.did(Step::Wait, millis(now + 1000));
        assert_eq!(watchdog.turned(), None, "a new turn begins with nothing");
    }

    #[test]
    fn steps_are_in_their_places() {
        for (index, (step, _)) in STEPS.into_iter().enumerate() {
            assert_eq!(step as usize, index);
        }
    }
}
