//! Tasks that wait to be handed out, in a queue for each source. The sources take turns, one task each, so
//! that a source with many tasks delays another by one task a turn.
//!
//! A resting source keeps its tasks and has no turns until it is woken. The number of places is bounded. The
//! last tenth of them is kept for sources that hold less than 1 % ([`has_place`](crate::state::has_place)).

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use ahash::RandomState;

#[derive(Debug)]
pub(super) struct Turns<K, T> {
    /// The sources that have tasks or rest.
    lanes: HashMap<K, Lane<T>, RandomState>,
    /// The sources with a turn, the next one first. Each has a task, and is here once.
    ring: VecDeque<K>,
    /// Tasks of all sources.
    len: usize,
}

#[derive(Debug)]
struct Lane<T> {
    tasks: VecDeque<T>,
    /// It is not in the ring.
    rests: bool,
}

impl<K: Copy + Eq + Hash, T> Turns<K, T> {
    pub(super) fn new(hasher: RandomState) -> Self {
        Self { lanes: HashMap::with_hasher(hasher), ring: VecDeque::new(), len: 0 }
    }

    /// Tasks of all sources.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Tasks of one source.
    pub(super) fn len_of(&self, source: K) -> usize {
        self.lanes.get(&source).map_or(0, |lane| lane.tasks.len())
    }

    /// Adds a task behind the other tasks of its source. The caller bounds their number.
    pub(super) fn push(&mut self, source: K, task: T) {
        let lane = self.lanes.entry(source).or_insert_with(|| {
            self.ring.push_back(source);
            Lane { tasks: VecDeque::new(), rests: false }
        });
        lane.tasks.push_back(task);
        self.len += 1;
    }

    /// The source with the current turn.
    pub(super) fn next_source(&self) -> Option<K> {
        self.ring.front().copied()
    }

    /// The first task of the current source. The source moves to the end of the ring.
    pub(super) fn pop(&mut self) -> Option<T> {
        let source = self.ring.pop_front()?;
        let lane = self.lanes.get_mut(&source)?;
        let task = lane.tasks.pop_front()?;
        self.len -= 1;
        if lane.tasks.is_empty() {
            self.lanes.remove(&source);
        } else {
            self.ring.push_back(source);
        }
        Some(task)
    }

    /// Puts the current source to rest until it is [woken](Self::wake).
    pub(super) fn rest(&mut self) {
        if let Some(source) = self.ring.pop_front()
            && let Some(lane) = self.lanes.get_mut(&source)
        {
            lane.rests = true;
        }
    }

    /// Wakes a resting source: it has turns again, if it still has tasks.
    pub(super) fn wake(&mut self, source: K) {
        let Some(lane) = self.lanes.get_mut(&source) else { return };
        if !std::mem::replace(&mut lane.rests, false) {
            return;
        }
        if lane.tasks.is_empty() {
            self.lanes.remove(&source);
        } else {
            self.ring.push_back(source);
        }
    }

    /// Takes a task out before its turn.
    pub(super) fn remove(&mut self, source: K, is_it: impl FnMut(&T) -> bool) -> Option<T> {
        let lane = self.lanes.get_mut(&source)?;
        let index = lane.tasks.iter().position(is_it)?;
        let task = lane.tasks.remove(index)?;
        self.len -= 1;
        // A resting source stays here, so that it is woken once.
        if lane.tasks.is_empty() && !lane.rests {
            self.lanes.remove(&source);
            self.ring.retain(|&other| other != source);
        }
        Some(task)
    }

    /// Takes all tasks out.
    pub(super) fn clear(&mut self) {
        self.lanes.clear();
        self.ring.clear();
        self.len = 0;
    }

    /// Walks everything and panics where an invariant does not hold. For tests.
    pub(super) fn check_invariants(&self) {
        assert_eq!(self.len, self.lanes.values().map(|lane| lane.tasks.len()).sum::<usize>());
        assert!(self.lanes.values().all(|lane| lane.rests || !lane.tasks.is_empty()));
        assert_eq!(self.ring.len(), self.lanes.values().filter(|lane| !lane.rests).count());
        assert!(self.ring.iter().all(|source| self.lanes.get(source).is_some_and(|lane| !lane.rests)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns() -> Turns<char, u32> {
        Turns::new(RandomState::with_seeds(1, 2, 3, 4))
    }

    fn popped(turns: &mut Turns<char, u32>, count: usize) -> Vec<u32> {
        let tasks = std::iter::from_fn(|| {
            let task = turns.pop();
            turns.check_invariants();
            task
        });
        tasks.take(count).collect()
    }

    #[test]
    fn sources_take_turns_and_each_keeps_its_order() {
        let mut turns = turns();
        for task in 0..100 {
            turns.push('a', task);
        }
        turns.push('b', 100);
        turns.push('b', 101);
        turns.push('c', 200);
        assert_eq!(popped(&mut turns, 7), [0, 100, 200, 1, 101, 2, 3]);
        turns.push('c', 201);
        assert_eq!(popped(&mut turns, 3), [4, 201, 5]);
        assert_eq!((turns.len(), turns.len_of('a'), turns.len_of('b')), (94, 94, 0));
    }

    #[test]
    fn a_source_that_rests_keeps_its_tasks_and_is_woken_once() {
        let mut turns = turns();
        turns.push('a', 0);
        turns.push('a', 1);
        turns.push('b', 2);
        turns.rest();
        turns.push('a', 3);
        assert_eq!(popped(&mut turns, 9), [2]);
        assert_eq!(turns.len(), 3);
        turns.wake('a');
        turns.wake('a');
        assert_eq!(popped(&mut turns, 9), [0, 1, 3]);
        turns.wake('a');
        assert_eq!(turns.next_source(), None);
    }

    #[test]
    fn a_task_that_is_taken_out_leaves_the_others_where_they_are() {
        let mut turns = turns();
        for task in 0..3 {
            turns.push('a', task);
        }
        turns.push('b', 9);
        assert_eq!(turns.remove('a', |&task| task == 1), Some(1));
        assert_eq!(turns.remove('a', |&task| task == 1), None);
        assert_eq!(turns.remove('b', |_| true), Some(9));
        turns.check_invariants();
        // The last task of a resting source.
        turns.push('c', 5);
        assert_eq!(turns.pop(), Some(0));
        turns.rest();
        assert_eq!(turns.remove('c', |_| true), Some(5));
        turns.check_invariants();
        turns.push('c', 6);
        assert_eq!(popped(&mut turns, 9), [2]);
        turns.wake('c');
        assert_eq!(popped(&mut turns, 9), [6]);
    }
}
