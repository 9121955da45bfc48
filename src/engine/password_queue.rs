//! Password checks on their way to the hash threads: the order of the checks, and their delays.
//!
//! ```text
//!   push ─▶ [ delayed: until its time ] ─▶ [ turns: by network ] ─ next ─▶ at work ─▶ done
//!           └──────────────── places: bounded ────────────────┘           bounded
//! ```
//!
//! Networks take turns. Each network has a bucket of hashes; a network whose bucket is empty keeps its checks
//! and waits until the bucket has filled. An exempt connection needs no bucket, and takes turns like any
//! other.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use ahash::RandomState;

use super::network::Network;
use super::rate::{Bucket, Rate};
use super::turns::Turns;
use crate::chat::PasswordTask;
use crate::limits::{
    PASSWORD_AT_WORK_MAX, PASSWORD_BUCKETS_MAX, PASSWORD_DELAYED_MAX, PASSWORD_DELAYED_OF_NETWORK_MAX,
    PASSWORD_HASHES_HELD, PASSWORD_HASHES_PER_SECOND, PASSWORD_QUEUE_MAX,
};
use crate::state::{Shares, has_place};

/// The source of a check.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Source {
    pub(super) network: Network,
    pub(super) is_exempt: bool,
}

#[derive(Debug)]
pub(super) struct PasswordQueue {
    turns: Turns<Source, PasswordTask>,
    /// Delayed checks, by due time and serial.
    delayed: BTreeMap<(Duration, u32), (Source, PasswordTask)>,
    /// Delayed checks by their sources.
    delayed_of: Shares<Source>,
    rate: Rate,
    buckets: HashMap<Network, Bucket, RandomState>,
    /// Sources with an empty bucket, by the time when it has filled. Each is here once.
    resting: BinaryHeap<Reverse<(Duration, Source)>>,
    /// Checks that were handed out and are not done.
    at_work: usize,
}

impl PasswordQueue {
    pub(super) fn new(hasher: &RandomState) -> Self {
        let rate = Rate::new(PASSWORD_HASHES_PER_SECOND, PASSWORD_HASHES_HELD);
        Self {
            turns: Turns::new(hasher.clone()),
            delayed: BTreeMap::new(),
            delayed_of: Shares::new(hasher),
            rate: rate.expect("limits::PASSWORD_HASHES_PER_SECOND is not 0"),
            buckets: HashMap::with_hasher(hasher.clone()),
            resting: BinaryHeap::new(),
            at_work: 0,
        }
    }

    /// Whether there is a place for one more check, delayed or not.
    pub(super) fn has_place(&self, source: Source, is_delayed: bool) -> bool {
        let delayed = self.delayed_of.of(source);
        let own = self.turns.len_of(source) + delayed;
        has_place(self.turns.len() + self.delayed.len(), own, PASSWORD_QUEUE_MAX)
            && (!is_delayed
                || (delayed < PASSWORD_DELAYED_OF_NETWORK_MAX
                    && has_place(self.delayed.len(), delayed, PASSWORD_DELAYED_MAX)))
    }

    /// Adds a check for which there [is a place](Self::has_place); a delayed one is handed out no sooner than
    /// `until`.
    pub(super) fn push(&mut self, source: Source, task: PasswordTask, until: Option<Duration>) {
        if let Some(until) = until {
            self.delayed_of.charge(Some(source), 1);
            self.delayed.insert((until, task.serial), (source, task));
        } else {
            self.turns.push(source, task);
        }
    }

    /// Removes a check that is not handed out yet: its connection is gone.
    pub(super) fn remove(&mut self, source: Source, serial: u32, until: Option<Duration>) {
        if let Some(until) = until
            && self.delayed.remove(&(until, serial)).is_some()
        {
            return self.delayed_of.give_back(Some(source), 1);
        }
        self.turns.remove(source, |task| task.serial == serial);
    }

    /// The next check for the threads, unless they are busy. The caller [charges](Self::charge) its source
    /// for the hash, and calls [`done`](Self::done) at the end.
    pub(super) fn next(&mut self, now: Duration) -> Option<(Source, PasswordTask)> {
        self.wake(now);
        if self.at_work >= PASSWORD_AT_WORK_MAX {
            return None;
        }
        while let Some(source) = self.turns.next_source() {
            if let Some(until) = self.owes_until(source, now) {
                self.turns.rest();
                self.resting.push(Reverse((until, source)));
                continue;
            }
            let task = self.turns.pop()?;
            self.at_work += 1;
            return Some((source, task));
        }
        None
    }

    /// A handed-out check has ended, or the threads refused it.
    pub(super) fn done(&mut self) {
        self.at_work = self.at_work.saturating_sub(1);
    }

    /// The time at which a source's empty bucket has filled.
    fn owes_until(&self, source: Source, now: Duration) -> Option<Duration> {
        let bucket = self.buckets.get(&source.network).filter(|_| !source.is_exempt)?;
        self.rate.owes_until(*bucket, now)
    }

    /// Takes hashes from the bucket of a source: one for a check, and the rest of
    /// [`PASSWORD_WRONG_HASHES`](crate::limits::PASSWORD_WRONG_HASHES) for a wrong password.
    pub(super) fn charge(&mut self, source: Source, hashes: usize, now: Duration) {
        if source.is_exempt {
            return;
        }
        if self.buckets.len() >= PASSWORD_BUCKETS_MAX {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        if self.buckets.len() < PASSWORD_BUCKETS_MAX || self.buckets.contains_key(&source.network) {
            self.rate.owe(self.buckets.entry(source.network).or_default(), hashes, now);
        }
    }

    /// Gives turns to the delayed checks that are due.
    pub(super) fn wake(&mut self, now: Duration) {
        while let Some(entry) = self.delayed.first_entry()
            && entry.key().0 <= now
        {
            let (source, task) = entry.remove();
            self.delayed_of.give_back(Some(source), 1);
            self.turns.push(source, task);
        }
        while let Some(&Reverse((until, source))) = self.resting.peek()
            && until <= now
        {
            self.resting.pop();
            self.turns.wake(source);
        }
    }

    /// The due time of the next delayed check.
    pub(super) fn next_at(&self) -> Option<Duration> {
        let delayed = self.delayed.first_key_value().map(|(&(until, _), _)| until);
        let resting = self.resting.peek().map(|&Reverse((until, _))| until);
        delayed.into_iter().chain(resting).min()
    }

    /// The number of waiting checks. Walks everything and panics where an invariant does not hold. For tests.
    pub(super) fn check_invariants(&self) -> usize {
        self.turns.check_invariants();
        self.delayed_of.check_invariants(self.delayed.values().map(|&(source, _)| (Some(source), 1)));
        assert!(self.turns.len() + self.delayed.len() <= PASSWORD_QUEUE_MAX);
        assert!(self.delayed.len() <= PASSWORD_DELAYED_MAX);
        assert!(self.at_work <= PASSWORD_AT_WORK_MAX);
        self.turns.len() + self.delayed.len()
    }
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;
    use crate::chat::ConnId;
    use crate::limits::PASSWORD_WRONG_HASHES;

    const SECOND: Duration = Duration::from_secs(1);

    fn source(index: u32) -> Source {
        Source { network: Network::of(IpAddr::from(index.to_be_bytes())), is_exempt: false }
    }

    fn task(serial: u32) -> PasswordTask {
        let conn = ConnId { slot: serial, generation: 0 };
        PasswordTask { conn, serial, password: "x".into(), against: None }
    }

    fn queue() -> PasswordQueue {
        PasswordQueue::new(&RandomState::with_seeds(1, 2, 3, 4))
    }

    /// Checks that are handed out when each is done at once.
    fn handed_out(queue: &mut PasswordQueue, now: Duration) -> Vec<u32> {
        std::iter::from_fn(|| checked(queue, now, 1)).collect()
    }

    /// Hands out the next check and ends it at once, charged this number of hashes.
    fn checked(queue: &mut PasswordQueue, now: Duration, hashes: usize) -> Option<u32> {
        let (source, task) = queue.next(now)?;
        queue.check_invariants();
        queue.charge(source, hashes, now);
        queue.done();
        Some(task.serial)
    }

    #[test]
    fn few_checks_are_at_work_at_once() {
        let mut queue = queue();
        for serial in 0..20 {
            queue.push(source(1), task(serial), None);
        }
        let at_work = std::iter::from_fn(|| queue.next(SECOND)).count();
        assert_eq!(at_work, PASSWORD_AT_WORK_MAX);
        queue.push(source(2), task(100), None);
        queue.done();
        queue.done();
        let next: Vec<_> = std::iter::from_fn(|| queue.next(SECOND)).map(|(_, task)| task.serial).collect();
        assert_eq!(next, [4, 100], "the other network is next but one");
    }

    #[test]
    fn a_network_has_so_many_hashes_at_once_and_so_many_a_second_and_loses_no_check() {
        let mut queue = queue();
        let count = 250;
        for serial in 0..count {
            assert!(queue.has_place(source(1), false));
            queue.push(source(1), task(serial), None);
        }
        let mut now = SECOND;
        let mut done = handed_out(&mut queue, now);
        // The bucket gives the hash that empties it, and one on credit.
        assert_eq!(done.len(), PASSWORD_HASHES_HELD + 1);
        queue.push(source(2), task(1000), None);
        assert_eq!(handed_out(&mut queue, now), [1000], "another network has its own bucket");
        while let Some(at) = queue.next_at() {
            assert!(at > now, "no sooner than it helps");
            now = at;
            done.extend(handed_out(&mut queue, now));
        }
        assert!(done.into_iter().eq(0..count));
        let hashes_later = count as usize - PASSWORD_HASHES_HELD - 1;
        let seconds = hashes_later as u64 / u64::from(PASSWORD_HASHES_PER_SECOND);
        assert!(now.as_secs().abs_diff(1 + seconds) <= 1, "{now:?}");
        assert_eq!(queue.check_invariants(), 0);
    }

    #[test]
    fn a_wrong_password_costs_more_than_a_right_one() {
        let mut queue = queue();
        let mut wrong = 0;
        for serial in 0..1000 {
            queue.push(source(1), task(serial), None);
        }
        while checked(&mut queue, SECOND, PASSWORD_WRONG_HASHES).is_some() {
            wrong += 1;
        }
        assert_eq!(wrong, PASSWORD_HASHES_HELD / PASSWORD_WRONG_HASHES + 1);
        // An hour of guessing.
        let mut now = SECOND;
        while let Some(at) = queue.next_at().filter(|at| *at < 3600 * SECOND) {
            now = at;
            while checked(&mut queue, now, PASSWORD_WRONG_HASHES).is_some() {
                wrong += 1;
            }
        }
        let an_hour = 3600 * PASSWORD_HASHES_PER_SECOND as usize / PASSWORD_WRONG_HASHES;
        assert!((an_hour..an_hour + 10).contains(&wrong), "{wrong} until {now:?}");
    }

    #[test]
    fn an_exempt_source_needs_no_bucket_but_takes_turns() {
        let mut queue = queue();
        let exempt = Source { is_exempt: true, ..source(1) };
        for serial in 0..1000 {
            queue.push(exempt, task(serial), None);
        }
        queue.push(source(2), task(5000), None);
        queue.push(source(1), task(5001), None);
        let done = handed_out(&mut queue, SECOND);
        assert_eq!(done.len(), 1002);
        assert_eq!(done[..4], [0, 5000, 5001, 1]);
    }

    #[test]
    fn a_delayed_check_is_handed_out_when_its_time_has_come_and_not_before() {
        let mut queue = queue();
        queue.push(source(1), task(1), Some(9 * SECOND));
        queue.push(source(1), task(2), Some(5 * SECOND));
        queue.push(source(1), task(3), None);
        assert_eq!(handed_out(&mut queue, SECOND), [3]);
        assert_eq!(queue.next_at(), Some(5 * SECOND));
        assert_eq!(handed_out(&mut queue, 5 * SECOND), [2]);
        queue.remove(source(1), 1, Some(9 * SECOND));
        assert_eq!((queue.check_invariants(), queue.next_at()), (0, None));
    }

    #[test]
    fn a_check_that_is_taken_out_frees_its_place() {
        let mut queue = queue();
        for serial in 0..PASSWORD_DELAYED_OF_NETWORK_MAX as u32 {
            assert!(queue.has_place(source(1), true));
            queue.push(source(1), task(serial), Some(9 * SECOND));
        }
        assert!(!queue.has_place(source(1), true) && queue.has_place(source(1), false));
        assert!(queue.has_place(source(2), true));
        queue.remove(source(1), 0, Some(9 * SECOND));
        assert!(queue.has_place(source(1), true));
        // Its delay is over, but its turn has not come.
        queue.wake(9 * SECOND);
        queue.remove(source(1), 1, Some(9 * SECOND));
        assert_eq!(queue.check_invariants(), PASSWORD_DELAYED_OF_NETWORK_MAX - 2);
    }

    #[test]
    fn one_network_leaves_a_tenth_of_the_places_to_others() {
        let mut queue = queue();
        let mut serial = 0;
        while queue.has_place(source(1), false) {
            queue.push(source(1), task(serial), None);
            serial += 1;
        }
        assert_eq!(serial as usize, PASSWORD_QUEUE_MAX - PASSWORD_QUEUE_MAX / 10);
        let mut of_other = 0;
        while queue.has_place(source(2), false) {
            queue.push(source(2), task(serial), None);
            (serial, of_other) = (serial + 1, of_other + 1);
        }
        assert_eq!(of_other, PASSWORD_QUEUE_MAX / 100);
        let mut network = 3;
        while queue.has_place(source(network), false) {
            queue.push(source(network), task(serial), None);
            (serial, network) = (serial + 1, network + 1);
        }
        assert_eq!(serial as usize, PASSWORD_QUEUE_MAX);
        assert_eq!(queue.check_invariants(), PASSWORD_QUEUE_MAX);
    }
}
