//! How clients leave, and who does.

use std::cmp::Reverse;
use std::io;
use std::time::Duration;

use parlance::chat::Command;
use parlance::wire::ucrp::Message;

use super::{Manner, Member, State, Turnover};
use crate::clock::Moment;
use crate::dialect::Dialect;
use crate::soak::crowd::Kind;
use crate::speech;

/// How long somebody who has left is away: longer than the server takes to notice, so that the name is free again.
pub(in crate::soak) const REST: Duration = Duration::from_millis(500);
/// After which time what somebody who prepares to leave is owed is lost, and what it waits for does not come.
const PREPARING_TAKES_MAX: Duration = Duration::from_secs(10);
/// After which time a server that has been told that somebody goes should have closed the connection.
const CLOSING_TAKES_MAX: Duration = Duration::from_secs(10);
/// So often somebody is looked for who can leave, or speak.
pub(super) const TRIES_MAX: usize = 64;

impl Turnover {
    /// From now on people leave and come again.
    pub(in crate::soak) fn start_churn(&mut self) {
        self.churn.start(self.clock.now());
    }

    pub(in crate::soak) fn stop_churn(&mut self) {
        self.churn.stop();
    }

    /// Has those prepare to leave whose time it is: anybody, but for those who keep rooms open.
    pub(super) fn churn(&mut self, now: Moment) {
        while self.churn.take(now) {
            let pick = (0..TRIES_MAX)
                .map(|_| fastrand::usize(..self.members.len()))
                .find(|&index| self.members[index].state == State::In && !self.crowd.is_host(index));
            if let Some(index) = pick {
                self.prepare_to_leave(index);
            }
        }
    }

    /// Nobody comes any more. All prepare to leave; mailboxes and rooms go with them.
    pub(in crate::soak) fn begin_leaving(&mut self) {
        self.comes_again = false;
        self.away.clear();
        for index in 0..self.members.len() {
            match self.members[index].state {
                State::In if !self.crowd.is_host(index) => self.prepare_to_leave(index),
                // A host waits for its guests.
                State::In | State::Away | State::Preparing | State::Closing => {}
                State::Connecting | State::LoggingIn | State::Entering => self.drop_client(index, REST),
            }
        }
    }

    /// Has the hosts leave, who are all that is left, and with them their rooms.
    pub(in crate::soak) fn close_rooms(&mut self) {
        for index in 0..self.members.len() {
            if self.members[index].state == State::In {
                self.prepare_to_leave(index);
            }
        }
    }

    fn prepare_to_leave(&mut self, index: usize) {
        self.set(index, State::Preparing);
        let next = self.ledger.next();
        let member = &mut self.members[index];
        member.listener.prepare_to_leave(next);
        member.has_looked = false;
        member.manner = match member.dialect {
            // At the end nothing is left behind.
            Dialect::Tcrp if !self.comes_again => Manner::Politely,
            Dialect::Tcrp if fastrand::bool() => Manner::Reset,
            Dialect::Tcrp => Manner::Politely,
            Dialect::Line | Dialect::Slash | Dialect::Gob | Dialect::Typed | Dialect::Peer(_) => {
                [Manner::Politely, Manner::Reset, Manner::HalfClosed][fastrand::usize(..3)]
            }
        };
        self.leaving.push(index);
    }

    /// Sees those off who have all that they are owed.
    pub(super) fn go_on_leaving(&mut self, now: Moment) {
        let mut leaving = std::mem::take(&mut self.leaving);
        leaving.retain(|&index| {
            let Member { state, since, .. } = self.members[index];
            match state {
                State::Preparing if self.is_ready_to_leave(index) => {
                    if self.is_done_with_mail(index) {
                        self.leave(index);
                    }
                }
                State::Preparing if now.since(since) > PREPARING_TAKES_MAX => {
                    self.error("somebody who was to leave did not get all that it waited for");
                    self.leave(index);
                }
                State::Closing if now.since(since) > CLOSING_TAKES_MAX => {
                    self.fail(index, "the server did not close the connection of somebody who left");
                }
                State::Preparing | State::Closing => {}
                State::Away | State::Connecting | State::LoggingIn | State::Entering | State::In => {
                    return false;
                }
            }
            matches!(self.members[index].state, State::Preparing | State::Closing)
        });
        // Whoever failed while this went on.
        leaving.append(&mut self.leaving);
        self.leaving = leaving;
    }

    /// Whether it has what it is owed, and everybody has what it said.
    fn is_ready_to_leave(&self, index: usize) -> bool {
        self.members[index].listener.is_settled()
            && self.ledger.unsettled(index) == 0
            && (self.crowd.room_of(index).kind != Kind::Pair || self.mail[index].is_kept())
    }

    fn leave(&mut self, index: usize) {
        let Self { members, ledger, tallies, .. } = self;
        let member = &mut members[index];
        ledger.give_up(&mut member.listener, tallies.of(member.dialect));
        if member.dialect == Dialect::Tcrp {
            if member.manner == Manner::Politely {
                self.send_datagram(index, Message::Leave);
            }
            return self.has_left(index);
        }
        let dialect = member.dialect;
        let Some(client) = &mut member.client else { return };
        match member.manner {
            Manner::Reset => {
                let _ = client.reset_when_dropped();
                self.has_left(index);
            }
            Manner::HalfClosed => match client.half_close() {
                Ok(()) => self.set(index, State::Closing),
                Err(error) => self.ended(index, &error),
            },
            Manner::Politely => {
                let mut words = Vec::new();
                if dialect.encode_command(&Command::Quit, &mut words).is_err() || words.is_empty() {
                    return self.has_left(index);
                }
                self.set(index, State::Closing);
                self.say(index, |out| {
                    out.extend_from_slice(&words);
                    Ok(())
                });
                self.flush(index);
            }
        }
    }

    fn has_left(&mut self, index: usize) {
        match self.members[index].manner {
            Manner::Politely => self.counts.left_politely += 1,
            Manner::Reset => self.counts.left_by_reset += 1,
            Manner::HalfClosed => self.counts.left_half_closed += 1,
        }
        self.drop_client(index, REST);
    }

    /// The connection is at its end, as it should be or not.
    pub(super) fn ended(&mut self, index: usize, error: &io::Error) {
        match self.members[index].state {
            State::Closing => self.has_left(index),
            // The server closes as soon as it has refused a login.
            State::Away => {}
            State::Connecting | State::LoggingIn | State::Entering | State::In | State::Preparing => {
                self.fail(index, &format!("the connection ended: {error}"));
            }
        }
    }

    /// Something went wrong with somebody, who comes again.
    pub(super) fn fail(&mut self, index: usize, reason: &str) {
        if self.note_failure(index, reason) {
            self.drop_client(index, REST);
        }
    }

    /// The same for a client that does not come again.
    pub(super) fn lose(&mut self, index: usize, reason: &str) {
        if self.note_failure(index, reason) {
            self.drop_for_good(index);
        }
    }

    /// Whether it was there until now.
    fn note_failure(&mut self, index: usize, reason: &str) -> bool {
        let member = &self.members[index];
        if member.state == State::Away {
            return false;
        }
        let words = format!("{}, {:?}: {reason}", member.dialect.name(), member.state);
        self.error(&words);
        let Self { members, ledger, tallies, .. } = self;
        let member = &mut members[index];
        ledger.give_up(&mut member.listener, tallies.of(member.dialect));
        true
    }

    fn error(&mut self, reason: &str) {
        self.counts.errors += 1;
        self.counts.first_error.get_or_insert_with(|| reason.to_owned());
    }

    /// It is gone, and comes again after a time.
    pub(super) fn drop_client(&mut self, index: usize, rest: Duration) {
        self.drop_for_good(index);
        if self.comes_again {
            let back = self.members[index].since.after(rest);
            self.away.push(Reverse((back, index)));
        }
    }

    fn drop_for_good(&mut self, index: usize) {
        self.set(index, State::Away);
        let member = &mut self.members[index];
        member.client = None;
        member.asked = None;
        member.again = Moment::NEVER;
    }

    /// Whether somebody of a pair has looked into its mailbox once more, and at the end deleted its account; it is asked
    /// to. All others are done.
    fn is_done_with_mail(&mut self, index: usize) -> bool {
        if self.crowd.room_of(index).kind != Kind::Pair {
            return true;
        }
        let member = &mut self.members[index];
        if member.asked.is_some() {
            return false;
        }
        if std::mem::replace(&mut member.has_looked, true) {
            return true;
        }
        if self.comes_again {
            self.ask_for_mail(index);
        } else {
            self.members[index].asked = Some(Vec::new());
            let name = self.members[index].name.clone();
            self.say(index, |out| speech::delete_account(&name, out));
        }
        self.flush(index);
        false
    }
}
