//! Who is owed which message, and what became of it. Pure: numbers and the time go in, counts come out.
//!
//! A listener is owed what is said in its room from when it has read that it is in until it prepares to leave: what was
//! written to the server within that time, by a client of this program. It goes only when it has all of that. What was
//! written before or after may reach it as well, or not, depending on which of two connections the server reads first.
//!
//! Messages are numbered in the order in which they were written, whoever says them, so that a listener's time in its room
//! is a range of numbers, and what one speaker says has increasing ones.

use std::collections::VecDeque;
use std::ops::AddAssign;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Moment;

/// What is so long on the way in datagrams does not come.
pub(super) const DATAGRAM_PATIENCE: Duration = Duration::from_secs(5);
/// How long a datagram that was given up is remembered, to tell one that comes late from one that comes twice.
const LATE_MAX: Duration = Duration::from_secs(15);

/// What was owed, and what came. All counts are of deliveries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub(super) struct Tally {
    pub(super) owed: u64,
    /// Received once, in the order of its speaker.
    pub(super) delivered: u64,
    /// Owed, and never received.
    pub(super) lost: u64,
    /// Owed, not received, and announced by the server as missed, because the listener lagged.
    pub(super) lagged: u64,
    /// Received once more.
    pub(super) doubled: u64,
    /// Received after a later one of the same speaker.
    pub(super) reordered: u64,
    /// Received though not owed: written just before the listener was in, or just before it left.
    pub(super) beside: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.owed += other.owed;
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.lagged += other.lagged;
        self.doubled += other.doubled;
        self.reordered += other.reordered;
        self.beside += other.beside;
    }
}

/// All messages that somebody is still without.
pub(super) struct Ledger {
    /// From `first` on, without gaps.
    messages: VecDeque<Message>,
    first: u32,
    /// By speaker: messages that somebody is still without.
    unsettled: Vec<u32>,
    owed: u64,
}

struct Message {
    speaker: u32,
    /// Listeners that are without it.
    open: u32,
}

/// What a client is owed while it is where it is.
#[derive(Default)]
pub(super) struct Listener {
    owed: VecDeque<Owed>,
    /// It is owed the messages of these numbers, and no others.
    since: u32,
    until: u32,
    /// Messages that the server said it had skipped, and that are not yet found missing.
    announced: u64,
    /// Numbers of messages that it received and was not owed.
    beside: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Owed {
    number: u32,
    speaker: u32,
    at: Moment,
    /// A later one of the same speaker came first.
    is_overtaken: bool,
    /// It counts as lost.
    is_given_up: bool,
}

impl Ledger {
    pub(super) fn new(clients: usize) -> Self {
        Self { messages: VecDeque::new(), first: 0, unsettled: vec![0; clients], owed: 0 }
    }

    /// The number of the message that is said next.
    pub(super) fn next(&self) -> u32 {
        self.first + self.messages.len() as u32
    }

    /// Deliveries that are outstanding.
    pub(super) fn owed(&self) -> u64 {
        self.owed
    }

    /// Messages of a speaker that somebody is still without.
    pub(super) fn unsettled(&self, speaker: usize) -> u32 {
        self.unsettled[speaker]
    }

    /// Somebody says something. [`Self::owe`] follows for all who are to hear it.
    pub(super) fn publish(&mut self, speaker: usize) -> u32 {
        while self.messages.front().is_some_and(|message| message.open == 0) {
            self.messages.pop_front();
            self.first += 1;
        }
        let number = self.next();
        self.messages.push_back(Message { speaker: speaker as u32, open: 0 });
        number
    }

    /// The message that was said last is owed to a listener.
    pub(super) fn owe(&mut self, listener: &mut Listener, now: Moment, tally: &mut Tally) {
        let number = self.next() - 1;
        let Some(message) = self.messages.back_mut() else { return };
        if message.open == 0 {
            self.unsettled[message.speaker as usize] += 1;
        }
        message.open += 1;
        self.owed += 1;
        tally.owed += 1;
        let speaker = message.speaker;
        listener.owed.push_back(Owed { number, speaker, at: now, is_overtaken: false, is_given_up: false });
    }

    /// A listener received a message. When it was said, if it was owed.
    pub(super) fn hear(&mut self, listener: &mut Listener, number: u32, tally: &mut Tally) -> Option<Moment> {
        let Some(place) = listener.owed.iter().position(|owed| owed.number == number) else {
            if listener.is_owed(number) || listener.beside.contains(&number) {
                tally.doubled += 1;
            } else {
                tally.beside += 1;
                listener.beside.push(number);
            }
            return None;
        };
        let owed = listener.owed.remove(place)?;
        for earlier in listener.owed.iter_mut().take(place) {
            earlier.is_overtaken |= earlier.speaker == owed.speaker;
        }
        if owed.is_given_up {
            tally.lost -= 1;
            tally.reordered += 1;
            return Some(owed.at);
        }
        if owed.is_overtaken {
            tally.reordered += 1;
        } else {
            tally.delivered += 1;
        }
        self.settle(number);
        Some(owed.at)
    }

    /// A listener is not waited for any longer: all that it is still without is lost, unless the server said so.
    pub(super) fn give_up(&mut self, listener: &mut Listener, tally: &mut Tally) {
        for owed in std::mem::take(&mut listener.owed) {
            if !owed.is_given_up {
                self.settle(owed.number);
                listener.count_lost(tally);
            }
        }
    }

    /// The same of the datagrams that have been on the way for too long.
    pub(super) fn give_up_datagrams(&mut self, listener: &mut Listener, now: Moment, tally: &mut Tally) {
        while listener.owed.front().is_some_and(|owed| owed.is_given_up && now.since(owed.at) > LATE_MAX) {
            listener.owed.pop_front();
        }
        let mut count = 0;
        for owed in &mut listener.owed {
            if now.since(owed.at) <= DATAGRAM_PATIENCE {
                break;
            }
            if !std::mem::replace(&mut owed.is_given_up, true) {
                self.settle(owed.number);
                count += 1;
            }
        }
        (0..count).for_each(|_| listener.count_lost(tally));
    }

    fn settle(&mut self, number: u32) {
        // It is there, as somebody was without it.
        let Some(message) = self.messages.get_mut((number - self.first) as usize) else { return };
        message.open -= 1;
        self.owed -= 1;
        if message.open == 0 {
            self.unsettled[message.speaker as usize] -= 1;
        }
    }
}

impl Listener {
    /// It is in, and hears what is said from this number on.
    pub(super) fn enter(&mut self, next: u32) {
        *self = Self { since: next, until: u32::MAX, ..Self::default() };
    }

    /// It prepares to leave, and is owed nothing that is said from this number on.
    pub(super) fn prepare_to_leave(&mut self, next: u32) {
        self.until = next;
    }

    /// The server has skipped so many messages.
    pub(super) fn announce_missed(&mut self, count: u64) {
        self.announced += count;
    }

    /// Whether it has all that it is owed, or will not get it.
    pub(super) fn is_settled(&self) -> bool {
        self.owed.iter().all(|owed| owed.is_given_up)
    }

    fn is_owed(&self, number: u32) -> bool {
        (self.since..self.until).contains(&number)
    }

    fn count_lost(&mut self, tally: &mut Tally) {
        match self.announced.checked_sub(1) {
            Some(rest) => {
                self.announced = rest;
                tally.lagged += 1;
            }
            None => tally.lost += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A listener that is in, and a ledger with so many messages of two speakers in turn, all owed to it.
    fn with_messages(count: usize) -> (Ledger, Listener, Tally) {
        let (mut ledger, mut listener, mut tally) = (Ledger::new(2), Listener::default(), Tally::default());
        listener.enter(ledger.next());
        for message in 0..count {
            ledger.publish(message % 2);
            ledger.owe(&mut listener, Moment(0), &mut tally);
        }
        (ledger, listener, tally)
    }

    fn hear(ledger: &mut Ledger, listener: &mut Listener, tally: &mut Tally, numbers: &[u32]) {
        for number in numbers {
            ledger.hear(listener, *number, tally);
        }
    }

    #[test]
    fn what_is_owed_and_heard_once_is_delivered() {
        let (mut ledger, mut listener, mut tally) = with_messages(4);
        assert_eq!((ledger.owed(), ledger.unsettled(0)), (4, 2));
        // The server may have read one speaker before the other.
        hear(&mut ledger, &mut listener, &mut tally, &[1, 0, 3, 2]);
        assert_eq!(tally, Tally { owed: 4, delivered: 4, ..Tally::default() });
        assert_eq!((ledger.owed(), ledger.unsettled(0), listener.is_settled()), (0, 0, true));
    }

    #[test]
    fn each_fault_is_told_from_the_others() {
        let (mut ledger, mut listener, mut tally) = with_messages(6);
        hear(&mut ledger, &mut listener, &mut tally, &[2, 0, 1, 1]);
        assert!(!listener.is_settled());
        ledger.give_up(&mut listener, &mut tally);
        let expected = Tally { owed: 6, delivered: 2, reordered: 1, doubled: 1, lost: 3, ..Tally::default() };
        assert_eq!((tally, ledger.owed()), (expected, 0));
    }

    #[test]
    fn what_the_server_announced_as_missed_is_not_lost_but_lagged() {
        let (mut ledger, mut listener, mut tally) = with_messages(3);
        listener.announce_missed(2);
        ledger.give_up(&mut listener, &mut tally);
        assert_eq!((tally.lagged, tally.lost), (2, 1));
    }

    #[test]
    fn nothing_is_owed_outside_of_the_time_in_the_room() {
        let (mut ledger, _, mut tally) = with_messages(2);
        let mut late = Listener::default();
        late.enter(ledger.next());
        late.prepare_to_leave(ledger.next());
        let number = ledger.publish(0);
        hear(&mut ledger, &mut late, &mut tally, &[1, number, number]);
        assert_eq!((tally.beside, tally.doubled, late.is_settled()), (2, 1, true));
    }

    #[test]
    fn a_datagram_that_comes_after_all_was_not_lost() {
        let (mut ledger, mut listener, mut tally) = with_messages(2);
        let later = Moment(0).after(DATAGRAM_PATIENCE + Duration::from_millis(1));
        ledger.give_up_datagrams(&mut listener, later, &mut tally);
        assert_eq!((tally.lost, ledger.owed(), listener.is_settled()), (2, 0, true));
        hear(&mut ledger, &mut listener, &mut tally, &[1]);
        assert_eq!((tally.lost, tally.reordered), (1, 1));
        let much_later = Moment(0).after(LATE_MAX + Duration::from_secs(1));
        ledger.give_up_datagrams(&mut listener, much_later, &mut tally);
        assert_eq!((tally.lost, listener.owed.len()), (1, 0));
    }

    #[test]
    fn messages_that_all_have_are_forgotten() {
        let (mut ledger, mut listener, mut tally) = with_messages(0);
        for _ in 0..1000 {
            let number = ledger.publish(0);
            ledger.owe(&mut listener, Moment(0), &mut tally);
            ledger.hear(&mut listener, number, &mut tally);
        }
        assert!(ledger.messages.len() <= 1);
        assert_eq!(ledger.next(), 1000);
    }
}
