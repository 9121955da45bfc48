//! What is said, and checked when it is heard.

use parlance::wire::typed::Messages;

use super::coming::Step;
use super::going::TRIES_MAX;
use super::{State, Turnover};
use crate::clock::Moment;
use crate::dialect::Dialect;
use crate::payload::{HEADER_BYTES, Header, on_the_wire};
use crate::soak::crowd::Kind;
use crate::speech::{self, To};

/// Of so many messages one is said in the lobby, where very many hear it.
const ONE_IN_LOBBY: usize = 100;
/// Of so many one is mail.
const ONE_MAIL: usize = 10;

impl Turnover {
    pub(in crate::soak) fn start_talking(&mut self) {
        self.talk.start(self.clock.now());
    }

    pub(in crate::soak) fn stop_talking(&mut self) {
        self.talk.stop();
    }

    /// Says what is due.
    pub(super) fn talk(&mut self, now: Moment) {
        while self.talk.take(now) {
            self.turn += 1;
            if self.turn % ONE_IN_LOBBY == 1 {
                self.speak_in(0);
            } else if self.turn % ONE_MAIL == 2 {
                self.write_mail();
            } else {
                self.speak_in_next_room();
            }
        }
    }

    /// Rooms take turns.
    fn speak_in_next_room(&mut self) {
        let rooms = self.crowd.rooms().len();
        for _ in 0..rooms {
            self.room_turn = (self.room_turn + 1) % rooms;
            if matches!(self.crowd.rooms()[self.room_turn].kind, Kind::Slash | Kind::Seats) {
                return self.speak_in(self.room_turn);
            }
        }
    }

    /// Somebody in a room says something to all who are there.
    fn speak_in(&mut self, room: usize) {
        let members = self.crowd.rooms()[room].members.clone();
        let is_in = |index: &usize| self.members[*index].state == State::In;
        let speaker = (0..TRIES_MAX).map(|_| fastrand::usize(members.clone())).find(is_in);
        let Some(speaker) = speaker else { return };
        let now = on_the_wire(self.clock.now());
        let number = self.ledger.publish(speaker);
        for index in members {
            let member = &mut self.members[index];
            if member.state == State::In && (index != speaker || member.dialect.echoes()) {
                self.ledger.owe(&mut member.listener, now, self.tallies.of(member.dialect));
            }
        }
        self.counts.published += 1;
        self.send(speaker, number, now);
    }

    /// One of a pair writes to the other, whether that one is there or not. Pairs take turns.
    fn write_mail(&mut self) {
        let rooms = self.crowd.rooms().len();
        for _ in 0..rooms {
            self.pair_turn = (self.pair_turn + 1) % rooms;
            let room = &self.crowd.rooms()[self.pair_turn];
            if room.kind != Kind::Pair {
                continue;
            }
            let writer = room.members.start + fastrand::usize(..2);
            let partner = self.crowd.partner(writer);
            let is_able = self.members[writer].state == State::In
                && self.members[partner].has_account
                && !self.mail[writer].is_full();
            if !is_able {
                continue;
            }
            let now = on_the_wire(self.clock.now());
            let number = self.ledger.publish(writer);
            self.mail[writer].write(number);
            let recipient = &mut self.members[partner];
            if recipient.state == State::In {
                self.ledger.owe(&mut recipient.listener, now, &mut self.tallies.mail);
            }
            self.counts.mailed += 1;
            return self.send(writer, number, now);
        }
    }

    fn send(&mut self, speaker: usize, number: u32, now: Moment) {
        let header =
            Header { run: self.run as u8, publisher: speaker as u16, sequence: number, scheduled: now };
        self.text.clear();
        self.text.extend_from_slice(&header.encode());
        self.text.extend_from_slice(&self.padding);
        let partner = (self.crowd.room_of(speaker).kind == Kind::Pair)
            .then(|| self.members[self.crowd.partner(speaker)].name.clone());
        let dialect = self.members[speaker].dialect;
        let Self { members, text, .. } = self;
        let Some(client) = &mut members[speaker].client else { return };
        let Ok(text) = str::from_utf8(text) else { return };
        let said = client.push(|seat, out| {
            let to = match (&partner, seat) {
                (Some(partner), _) => To::Mailbox(partner),
                (None, Some(seat)) => To::Seat(seat),
                (None, None) => To::Room(dialect),
            };
            speech::message(text, &to, out)
        });
        match said {
            Ok(()) => self.flush(speaker),
            Err(error) => self.fail(speaker, &error.to_string()),
        }
    }

    /// A text that somebody hears.
    pub(super) fn heard(&mut self, index: usize, sender: Option<&str>, text: &str) -> Step {
        if self.is_own_probe(index, sender, text) {
            return if self.members[index].state == State::Entering { Step::In } else { Step::Wait };
        }
        let Some(header) = self.header(index, sender, text) else {
            self.counts.corrupted += 1;
            return Step::Wait;
        };
        let (speaker, number) = (usize::from(header.publisher), header.sequence);
        let member = &mut self.members[index];
        if member.dialect == Dialect::Typed {
            self.mail[speaker].read(number);
            self.untidy.push(speaker);
            let name = self.members[speaker].name.clone();
            self.say(index, |out| speech::mark_read(&name, out));
        }
        let member = &mut self.members[index];
        if matches!(member.state, State::In | State::Preparing) {
            let dialect = member.dialect;
            let tally = self.tallies.of(dialect);
            let at = self.ledger.hear(&mut member.listener, number, tally);
            if let Some(at) = at
                && dialect != Dialect::Tcrp
            {
                let latency = self.clock.now().since(at);
                self.latency.saturating_record(crate::clock::nanoseconds(latency));
            }
        } else {
            self.tallies.of(member.dialect).beside += 1;
        }
        Step::Wait
    }

    /// The header of a message as one of the same room, or the other one of a pair, has sent it.
    fn header(&self, index: usize, sender: Option<&str>, text: &str) -> Option<Header> {
        let (header, padding) = text.as_bytes().split_first_chunk::<HEADER_BYTES>()?;
        let header = Header::decode(header)?;
        let speaker = self.crowd.client_of(sender?)?;
        let room = self.crowd.room_of(index);
        // Who goes to another room passes through the lobby.
        let passes = room.kind == Kind::Slash
            && self.members[index].state == State::Entering
            && self.crowd.rooms()[0].members.contains(&speaker);
        let is_there = room.members.contains(&speaker) || passes;
        let is_right = header.run == self.run as u8
            && usize::from(header.publisher) == speaker
            && header.sequence < self.ledger.next();
        (is_there && is_right && padding == self.padding).then_some(header)
    }

    /// A writer is told that its mail is kept.
    pub(super) fn letter_is_kept(&mut self, index: usize, key: &str, id: &str) {
        let header = key.as_bytes().try_into().ok().and_then(Header::decode);
        let is_kept = header.is_some_and(|header| {
            usize::from(header.publisher) == index && self.mail[index].keep(header.sequence, id)
        });
        if is_kept {
            self.counts.kept += 1;
            self.untidy.push(index);
        } else {
            self.counts.corrupted += 1;
        }
    }

    /// Asks to be told of mail, and for what has come meanwhile.
    pub(super) fn enter_mailbox(&mut self, index: usize) -> Step {
        let partner = self.members[self.crowd.partner(index)].name.clone();
        self.say(index, |out| speech::subscribe(&partner, out));
        self.members[index].asked = Some(self.kept_between(index));
        Step::Wait
    }

    pub(super) fn ask_for_mail(&mut self, index: usize) {
        let partner = self.members[self.crowd.partner(index)].name.clone();
        self.say(index, |out| speech::list(&partner, out));
        self.members[index].asked = Some(self.kept_between(index));
    }

    /// The mail that a mailbox must list which is asked for that now, unless it is deleted meanwhile.
    fn kept_between(&self, index: usize) -> Vec<u32> {
        let partner = self.crowd.partner(index);
        [index, partner].into_iter().flat_map(|writer| self.mail[writer].kept()).collect()
    }

    /// A mailbox lists what is in there. All that must be is, and each once; what is being deleted may still be.
    pub(super) fn mailbox_is_listed(&mut self, index: usize, messages: Messages<'_>) -> Step {
        let Some(asked) = self.members[index].asked.take() else {
            return Step::Fail("the server listed a mailbox that nobody asked for".to_owned());
        };
        let partner = self.crowd.partner(index);
        let mut listed = Vec::new();
        for message in messages {
            let Some(header) = self.header(index, Some(message.sender), message.content) else {
                self.counts.corrupted += 1;
                continue;
            };
            listed.push(header.sequence);
            if usize::from(header.publisher) == partner {
                self.mail[partner].read(header.sequence);
            }
        }
        let count = listed.len();
        listed.sort_unstable();
        listed.dedup();
        let must = asked
            .into_iter()
            .filter(|number| [index, partner].iter().any(|writer| self.mail[*writer].contains(*number)));
        let missing = must.filter(|number| listed.binary_search(number).is_err()).count();
        self.counts.listed += 1;
        self.counts.mislisted += (missing + count - listed.len()) as u64;
        self.untidy.extend([index, partner]);
        if !listed.is_empty() {
            let name = self.members[partner].name.clone();
            self.say(index, |out| speech::mark_read(&name, out));
        }
        if self.members[index].state == State::Entering { Step::In } else { Step::Wait }
    }

    /// Has the mail deleted that was read.
    pub(super) fn tidy_up(&mut self) {
        while let Some(index) = self.untidy.pop() {
            // One that is away does so when it has come.
            if !matches!(self.members[index].state, State::In | State::Preparing) {
                continue;
            }
            for id in self.mail[index].take_read() {
                self.counts.deleted += 1;
                self.say(index, |out| speech::delete_message(&id, out));
            }
            self.flush(index);
        }
    }

    /// Whether all mail is written, kept, read and deleted.
    pub(in crate::soak) fn is_mail_done(&self) -> bool {
        self.mail.iter().all(super::Mail::is_empty)
    }

    /// Asks all mailboxes for what they hold: nothing, when all is deleted.
    pub(in crate::soak) fn ask_for_all_mail(&mut self) {
        for index in 0..self.members.len() {
            if self.members[index].dialect == Dialect::Typed && self.members[index].state == State::In {
                self.ask_for_mail(index);
                self.flush(index);
            }
        }
    }

    /// Mailboxes that were asked for what they hold, and have not answered.
    pub(in crate::soak) fn asked(&self) -> usize {
        self.members.iter().filter(|member| member.asked.is_some()).count()
    }
}
