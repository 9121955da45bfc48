//! What the clients say, and when: on a schedule, or as the deliveries come in.

use std::collections::VecDeque;

use super::Load;
use crate::clock::Moment;
use crate::dialect::Dialect;
use crate::payload::{Header, on_the_wire};
use crate::plan::Traffic;
use crate::schedule::Schedule;
use crate::speech::{self, To};

/// Bytes that wait for a publisher's socket. Beyond it, its messages wait on the schedule, with their times.
pub(super) const OUT_BYTES_MAX: usize = 1 << 20;

/// A publisher's messages that its socket has not yet taken.
#[derive(Default)]
pub(super) struct Unsent {
    /// Up to which byte each one goes, counted from the connection's beginning, and when it was due.
    pub(super) messages: VecDeque<(u64, Moment)>,
}

pub(super) enum Publishing {
    Off,
    Open(Schedule),
    Closed {
        window: u32,
        /// It is filled again when no more than so many are open.
        refill_at: u32,
        /// Messages that one publisher sends at once.
        portion: u32,
        turn: usize,
        end: Moment,
    },
}

impl Publishing {
    /// When something is to be said though nothing comes in.
    pub(super) fn next_due(&self) -> Moment {
        match self {
            Self::Off | Self::Closed { .. } => Moment::NEVER,
            Self::Open(schedule) => schedule.next_due(),
        }
    }

    /// A publisher is gone.
    pub(super) fn remove(&mut self, publisher: usize) {
        if let Self::Open(schedule) = self {
            schedule.remove(publisher);
        }
    }

    /// A publisher's socket takes more.
    pub(super) fn release(&mut self, publisher: usize) {
        if let Self::Open(schedule) = self {
            schedule.release(publisher);
        }
    }
}

impl Load {
    /// Publishes from now until `end`.
    pub(crate) fn start_publishing(&mut self, start: Moment, end: Moment) {
        let publishers = self.plan.publishers;
        self.publishing = match self.plan.traffic {
            Traffic::Idle => Publishing::Off,
            Traffic::Open { rate, arrivals } => {
                Publishing::Open(Schedule::new(arrivals, rate, publishers, start, end, self.plan.seed))
            }
            Traffic::Closed { window } => {
                let rooms = self.intake.roster.rooms_with_publishers() as u32;
                // Acknowledgements come in small reads, of one publisher each: to answer each with a write would cost the
                // generator, and so the server that shares its core, more than all else.
                let refill_at = if self.plan.kept { window / 2 } else { window - 1 };
                Publishing::Closed { window, refill_at, portion: window.div_ceil(rooms), turn: 0, end }
            }
        };
        // A window is refilled when something is received; nothing is until it is filled.
        self.publish(start);
    }

    /// Publishes nothing that is due from `end` on.
    pub(crate) fn stop_publishing(&mut self, at: Moment) {
        match &mut self.publishing {
            Publishing::Off => {}
            Publishing::Open(schedule) => schedule.end_at(at),
            Publishing::Closed { end, .. } => *end = at.min(*end),
        }
    }

    /// Whether everything was published and is at all its recipients, and their publishers know what is to be known.
    pub(crate) fn is_drained(&self) -> bool {
        let published = match &self.publishing {
            Publishing::Off | Publishing::Closed { .. } => true,
            Publishing::Open(schedule) => schedule.is_over(),
        };
        published
            && self.intake.in_flight.owed() == 0
            && self.intake.not_yet_kept() == 0
            && self.publishers.iter().all(|p| p.messages.is_empty())
    }

    /// Publishes in the middle of a turn, when a message is due or the window is half open.
    #[inline]
    pub(super) fn publish_early(&mut self, now: Moment) {
        let wanted = match &self.publishing {
            Publishing::Off => false,
            Publishing::Open(schedule) => schedule.next_due() <= now,
            Publishing::Closed { window, .. } => self.intake.in_flight.open() <= *window / 2,
        };
        if wanted {
            self.publish(now);
        }
    }

    /// Publishes what is due, or what the window allows: one write a publisher.
    pub(super) fn publish(&mut self, now: Moment) {
        let mut publishing = std::mem::replace(&mut self.publishing, Publishing::Off);
        match &mut publishing {
            Publishing::Off => {}
            Publishing::Open(schedule) => self.publish_due(schedule, now),
            Publishing::Closed { window, refill_at, portion, turn, end } => {
                if now < *end && self.intake.in_flight.open() <= *refill_at {
                    self.fill_window(*window, *portion, turn, now);
                }
            }
        }
        self.publishing = publishing;
        while let Some(publisher) = self.dirty.pop() {
            self.flush(self.intake.roster.publishers()[publisher].client as usize);
        }
    }

    fn publish_due(&mut self, schedule: &mut Schedule, now: Moment) {
        while let Some((due, publisher)) = schedule.take_due(now) {
            let client = self.intake.roster.publishers()[publisher].client as usize;
            match &self.clients[client] {
                // It is gone, and takes no further part.
                None => {}
                Some(client) if client.waiting() >= OUT_BYTES_MAX => schedule.hold(publisher, due),
                Some(_) => {
                    self.say(publisher, due);
                    schedule.advance(publisher);
                }
            }
        }
    }

    /// Publishers take turns; one that is gone or whose socket is full misses its own.
    fn fill_window(&mut self, window: u32, portion: u32, turn: &mut usize, now: Moment) {
        let publishers = self.plan.publishers;
        let mut passed_over = 0;
        while passed_over < publishers && self.intake.in_flight.open() < window {
            let publisher = *turn;
            *turn = (*turn + 1) % publishers;
            let client = self.intake.roster.publishers()[publisher].client as usize;
            let ready = self.clients[client].as_ref().is_some_and(|client| client.waiting() == 0);
            if !ready || self.intake.roster.recipients(publisher) == 0 {
                passed_over += 1;
                continue;
            }
            passed_over = 0;
            for _ in 0..portion.min(window - self.intake.in_flight.open()) {
                self.say(publisher, now);
            }
        }
    }

    /// Appends a publisher's next message to what it has to send.
    fn say(&mut self, publisher: usize, scheduled: Moment) {
        let index = self.intake.roster.publishers()[publisher].client as usize;
        let Some(client) = &mut self.clients[index] else { return };
        let sequence = self.intake.in_flight.next(publisher);
        let scheduled = on_the_wire(scheduled);
        let header = Header { run: self.run as u8, publisher: publisher as u16, sequence, scheduled };
        self.text.clear();
        self.text.extend_from_slice(&header.encode());
        self.text.extend_from_slice(&self.padding);
        let mailbox = self.mailboxes.get(self.intake.roster.addressee(publisher, sequence));
        let said = str::from_utf8(&self.text).map_err(|error| error.to_string()).and_then(|text| {
            let said = client.push(|seat, out| {
                let to = match (self.plan.dialect, seat, mailbox) {
                    (Dialect::Peer(peer), ..) => {
                        To::Channel(peer, &self.intake.rooms[self.intake.roster.room_of(index)])
                    }
                    (_, Some(seat), _) => To::Seat(seat),
                    (_, None, Some(mailbox)) => To::Mailbox(mailbox),
                    (dialect, None, None) => To::Room(dialect),
                };
                speech::message(text, &to, out)
            });
            said.map_err(|error| error.to_string())
        });
        if let Err(reason) = said {
            return self.fail(index, &reason);
        }
        self.publishers[publisher].messages.push_back((client.appended(), scheduled));
        self.intake.in_flight.publish(publisher, scheduled, self.intake.roster.recipients(publisher));
        self.counts.published += 1;
        if self.dirty.last() != Some(&publisher) {
            self.dirty.push(publisher);
        }
    }
}
