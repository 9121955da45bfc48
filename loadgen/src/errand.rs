//! Something that many are to be asked, so many at a time, until each has answered; where an answer can be lost, again
//! and again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::clock::Moment;

/// Whom to ask, and when. Who they are is for the owner to say.
pub(crate) struct Errand {
    limit: usize,
    /// After which time to ask again; never, when nothing can be lost.
    repeat: Option<Duration>,
    /// Who has not answered, and whether it was asked.
    open: HashMap<usize, bool>,
    /// How many of them were.
    awaited: usize,
    /// Who has not been asked; some may have answered all the same.
    unasked: VecDeque<usize>,
    /// When to ask again, oldest first; some have answered.
    asked: VecDeque<(Moment, usize)>,
}

impl Errand {
    pub(crate) fn new(limit: usize, repeat: Option<Duration>) -> Self {
        Self {
            limit,
            repeat,
            open: HashMap::new(),
            awaited: 0,
            unasked: VecDeque::new(),
            asked: VecDeque::new(),
        }
    }

    pub(crate) fn add(&mut self, who: usize) {
        if self.open.insert(who, false).is_none() {
            self.unasked.push_back(who);
        }
    }

    /// Who has not answered.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// This one has answered, or never will. Whether that was awaited.
    pub(crate) fn close(&mut self, who: usize) -> bool {
        let was_asked = self.open.remove(&who);
        self.awaited -= usize::from(was_asked == Some(true));
        was_asked.is_some()
    }

    /// Somebody to be asked now.
    pub(crate) fn next(&mut self, now: Moment) -> Option<usize> {
        self.forget_closed();
        let who = match self.asked.front() {
            Some(&(again, who)) if again <= now => {
                self.asked.pop_front();
                who
            }
            _ if self.awaited < self.limit => {
                let who = self.unasked.pop_front()?;
                self.open.insert(who, true);
                self.awaited += 1;
                who
            }
            _ => return None,
        };
        self.asked.push_back((self.repeat.map_or(Moment::NEVER, |repeat| now.after(repeat)), who));
        Some(who)
    }

    /// When somebody is to be asked though nothing is answered.
    pub(crate) fn next_due(&self) -> Moment {
        if self.awaited < self.limit && self.open.len() > self.awaited {
            return Moment::default();
        }
        self.asked.front().map_or(Moment::NEVER, |(again, _)| *again)
    }

    fn forget_closed(&mut self) {
        while self.asked.front().is_some_and(|(_, who)| !self.open.contains_key(who)) {
            self.asked.pop_front();
        }
        while self.unasked.front().is_some_and(|who| !self.open.contains_key(who)) {
            self.unasked.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn all(errand: &mut Errand, now: Moment) -> Vec<usize> {
        std::iter::from_fn(|| errand.next(now)).collect()
    }

    #[test]
    fn so_many_are_asked_at_a_time_and_each_once() {
        let mut errand = Errand::new(2, None);
        (0..4).for_each(|who| errand.add(who));
        assert_eq!(all(&mut errand, Moment(1)), [0, 1]);
        assert_eq!(errand.next_due(), Moment::NEVER);
        assert!(errand.close(1) && !errand.close(1));
        assert!(errand.close(2), "before it was asked");
        assert_eq!(errand.next_due(), Moment(0));
        assert_eq!(all(&mut errand, Moment(2)), [3]);
        assert_eq!(errand.open(), 2);
    }

    #[test]
    fn who_does_not_answer_is_asked_again() {
        let mut errand = Errand::new(9, Some(SECOND));
        (0..3).for_each(|who| errand.add(who));
        let start = Moment(7);
        assert_eq!(all(&mut errand, start), [0, 1, 2]);
        assert_eq!(errand.next_due(), start.after(SECOND));
        errand.close(0);
        errand.close(1);
        assert!(all(&mut errand, start).is_empty());
        assert_eq!(all(&mut errand, start.after(SECOND)), [2]);
        assert_eq!(errand.next_due(), start.after(2 * SECOND));
    }
}
