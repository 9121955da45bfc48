//! How clients come in: connected, logged in, in their rooms, and sure to hear what is said there.
//!
//! | dialect | what a client says | it is in when |
//! |---|---|---|
//! | line, slash | its name, and the room | the server says so |
//! | gob | that it joins, and something to itself | that comes back |
//! | typed | name, password, "tell me of what arrives", "list" | the list is there |
//! | the same, where only acknowledgements count | name, password | the server says so |
//! | tcrp | a request over TCP, then by datagram where it is | somebody in its room was heard |
//! | a peer's | its login and, when it is let in, that it joins | the server says so |
//!
//! A datagram may be lost, and that a client is registered is answered by nobody. So two of each room speak until all of
//! it have heard one of them.

use std::collections::VecDeque;
use std::time::Duration;

use mio::Token as PollToken;
use parlance::chat::Token;
use parlance::wire::ucrp::Message;
use parlance::wire::{Codec, Unsayable};

use super::Load;
use crate::client::{Client, Phase};
use crate::clock::Moment;
use crate::dialect::Dialect;
use crate::errand::Errand;
use crate::incoming::Answer;
use crate::intake::Intake;
use crate::peer::Login;
use crate::plan::Plan;
use crate::roster::Roster;
use crate::source::source;
use crate::speech::{self, PROBE, Seat};

/// After which time a login is tried again that the server was too busy for.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// After which time a room that is not known to hear is spoken to again.
const PROBE_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// Members of a room that say once more where they are, at once; as few for the same reason.
const REGISTERED_MAX: usize = 64;
/// Rooms that are probed at once: few enough that what is sent fits what the kernel keeps for a socket.
const PROBED_ROOMS_MAX: usize = 16;

/// Who is on the way in.
pub(super) struct Entry {
    /// Who is to log in again, and when.
    retries: VecDeque<(Moment, usize)>,
    /// By room; none in other dialects.
    rooms: Vec<Room>,
    /// Rooms that are not known to hear.
    deaf: Errand,
}

/// A room whose members take seats in it.
#[derive(Clone, Copy)]
struct Room {
    /// Members that have no seat yet, and may get one.
    unseated: usize,
    /// Members that have one, and have not heard anybody.
    deaf: usize,
    was_probed: bool,
}

/// What follows from an answer.
pub(super) enum Step {
    Wait,
    Ready,
    /// To log in again, later.
    Retry,
    /// To go over to datagrams.
    Sit(Token),
    /// What it was asked at the end is answered.
    Done,
    /// It takes no further part.
    Fail(String),
}

/// What concerns a client itself of the datagrams that came at once.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) probe: bool,
    pub(super) room_closed: bool,
    /// What the server says, which nobody expects.
    pub(super) words: Option<String>,
}

impl Heard {
    pub(super) fn note(&mut self, answer: &Answer<'_>) {
        match answer {
            Answer::Probe => self.probe = true,
            Answer::RoomClosed => self.room_closed = true,
            Answer::Said(words) => {
                self.words.get_or_insert_with(|| format!("the server said: {words}"));
            }
            _ => {}
        }
    }
}

impl Entry {
    pub(super) fn new(plan: &Plan, roster: &Roster) -> Self {
        let rooms = if plan.dialect == Dialect::Tcrp { roster.room_count() } else { 0 };
        Self {
            retries: VecDeque::new(),
            rooms: (0..rooms)
                .map(|room| Room { unseated: roster.members(room).len(), deaf: 0, was_probed: false })
                .collect(),
            deaf: Errand::new(PROBED_ROOMS_MAX, Some(PROBE_AGAIN_AFTER)),
        }
    }

    pub(super) fn next_due(&self) -> Moment {
        let retry = self.retries.front().map_or(Moment::NEVER, |(at, _)| *at);
        retry.min(self.deaf.next_due())
    }

    pub(super) fn retry_later(&mut self, client: usize, now: Moment) {
        self.retries.push_back((now.after(RETRY_AFTER), client));
    }
}

impl Load {
    /// Whether the next client can be launched: a room is there only when its host has made it.
    pub(crate) fn may_launch(&self) -> bool {
        let roster = &self.intake.roster;
        if self.plan.dialect != Dialect::Tcrp || self.counts.launched < roster.room_count() {
            return true;
        }
        let next = roster.after_hosts(self.counts.launched);
        let host = roster.members(roster.room_of(next)).start;
        // One that has failed is told to whoever comes, by the server.
        self.clients[host].as_ref().is_none_or(Client::has_datagrams)
    }

    /// Starts connecting the next client.
    pub(crate) fn launch(&mut self) {
        let place = self.counts.launched;
        self.counts.launched += 1;
        let index = match self.plan.dialect {
            Dialect::Tcrp => self.intake.roster.after_hosts(place),
            Dialect::Line | Dialect::Slash | Dialect::Typed | Dialect::Gob | Dialect::Peer(_) => place,
        };
        let publisher = self.intake.roster.publisher(index);
        let connected = Client::connect(self.plan.addr, source(self.plan.addr, self.run, index), publisher)
            .and_then(|mut client| {
                client.register(self.poll.registry(), PollToken(index))?;
                Ok(client)
            });
        match connected {
            Ok(client) => self.clients[index] = Some(client),
            Err(error) => self.fail(index, &format!("connecting failed: {error}")),
        }
    }

    /// Writes the login, and the way to the room behind it.
    pub(super) fn log_in(&mut self, index: usize) {
        let Some(client) = &mut self.clients[index] else { return };
        let roster = &self.intake.roster;
        let name = roster.name(index);
        let (dialect, login) =
            (self.plan.dialect, Login { name: &name, publishes: client.publisher.is_some() });
        let said = client.push(|_, out| match dialect {
            Dialect::Line | Dialect::Slash | Dialect::Gob => {
                speech::login(dialect, &login, out)?;
                if self.plan.joins_rooms() {
                    speech::join(dialect, &roster.room_name(index), out)
                } else {
                    Ok(())
                }
            }
            Dialect::Peer(_) => speech::login(dialect, &login, out),
            Dialect::Typed => speech::identify(&name, out),
            Dialect::Tcrp => {
                let is_host = roster.members(roster.room_of(index)).start == index;
                speech::handshake(&roster.room_name(index), is_host, &name, out)
            }
        });
        if let Err(error) = said {
            self.fail(index, &error.to_string());
        }
    }

    /// Goes over to datagrams with the token that the handshake gave.
    pub(super) fn sit(&mut self, index: usize, token: Token) {
        let Some(client) = &mut self.clients[index] else { return };
        let seat = Seat { room: self.intake.roster.room_name(index), token: token.reveal() };
        let registered = client
            .sit(self.plan.datagrams, seat)
            .and_then(|()| client.register(self.poll.registry(), PollToken(index)));
        if let Err(error) = registered {
            return self.fail(index, &format!("no socket for datagrams: {error}"));
        }
        client.phase = Phase::Joining;
        self.counts.seated += 1;
        self.count_in_room(index, |room| {
            room.unseated -= 1;
            room.deaf += 1;
        });
        self.send_datagram(index, Message::Register);
    }

    /// A client takes no further part: in its room nobody waits for it.
    pub(super) fn excuse(&mut self, index: usize, phase: Option<Phase>) {
        if self.plan.dialect != Dialect::Tcrp {
            return;
        }
        match phase {
            None | Some(Phase::Connecting | Phase::LoggingIn) => {
                self.count_in_room(index, |room| room.unseated -= 1);
            }
            Some(Phase::Joining) => {
                self.counts.seated -= 1;
                self.count_in_room(index, |room| room.deaf -= 1);
            }
            Some(Phase::Ready | Phase::Leaving) => {}
        }
    }

    /// Counts what happened to a member of a room. When all are seated, all are to hear something.
    fn count_in_room(&mut self, index: usize, count: impl FnOnce(&mut Room)) {
        let id = self.intake.roster.room_of(index);
        let Some(room) = self.entry.rooms.get_mut(id) else { return };
        count(room);
        match *room {
            Room { unseated: 0, deaf: 0, .. } => drop(self.entry.deaf.close(id)),
            Room { unseated: 0, was_probed: false, .. } => self.entry.deaf.add(id),
            Room { .. } => {}
        }
    }

    /// A client has heard somebody of its room.
    pub(super) fn hears(&mut self, index: usize) {
        if let Some(client) = &mut self.clients[index]
            && client.phase == Phase::Joining
        {
            client.phase = Phase::Ready;
            self.counts.ready += 1;
            self.counts.seated -= 1;
            self.count_in_room(index, |room| room.deaf -= 1);
        }
    }

    /// Logs in again who was to, and speaks in the rooms that have not heard.
    pub(super) fn go_on_entering(&mut self, now: Moment) {
        while let Some(&(at, index)) = self.entry.retries.front()
            && at <= now
        {
            self.entry.retries.pop_front();
            self.log_in(index);
            self.flush(index);
        }
        while let Some(room) = self.entry.deaf.next(now) {
            self.probe(room);
        }
    }

    /// Has two of a room say something: each hears the other, and all the others hear both. Those who have not heard
    /// them the last time say once more where they are.
    fn probe(&mut self, room: usize) {
        let there: Vec<usize> =
            self.intake.roster.members(room).filter(|&index| self.clients[index].is_some()).collect();
        if let [alone] = there[..] {
            // Nobody can say that it is heard.
            return self.hears(alone);
        }
        if std::mem::replace(&mut self.entry.rooms[room].was_probed, true) {
            let is_deaf = |client: &Client| client.phase == Phase::Joining;
            let deaf: Vec<usize> = there
                .iter()
                .copied()
                .filter(|&index| self.clients[index].as_ref().is_some_and(is_deaf))
                .take(REGISTERED_MAX)
                .collect();
            for index in deaf {
                self.send_datagram(index, Message::Register);
            }
        }
        for index in there.into_iter().take(2) {
            self.send_datagram(index, Message::Chat(PROBE));
        }
    }

    pub(super) fn send_datagram(&mut self, index: usize, message: Message<'_>) {
        let Some(client) = &mut self.clients[index] else { return };
        let said = client.push(|seat, out| speech::datagram(seat.ok_or(Unsayable)?, message, out));
        match said {
            Ok(()) => self.flush(index),
            Err(error) => self.fail(index, &error.to_string()),
        }
    }
}

/// Handles what concerns a client itself.
pub(super) fn step(
    plan: &Plan,
    intake: &mut Intake,
    index: usize,
    client: &mut Client,
    answer: Answer<'_>,
) -> Step {
    let roster = &intake.roster;
    let say = |said: Result<(), Unsayable>| match said {
        Ok(()) => Step::Wait,
        Err(error) => Step::Fail(error.to_string()),
    };
    match (answer, client.phase) {
        (Answer::LoggedIn, Phase::LoggingIn) => {
            // A message as the server sends it, with what stands around the text.
            client.reserve(plan.size + plan.dialect.bytes_around());
            if plan.dialect == Dialect::Typed && !plan.kept {
                client.phase = Phase::Joining;
                let partner = roster.name(Roster::partner(index));
                return say(client.push(|_, out| speech::subscribe(&partner, out)));
            }
            if matches!(plan.dialect, Dialect::Peer(_)) {
                client.phase = Phase::Joining;
                let room = roster.room_name(index);
                return say(client.push(|_, out| speech::join(plan.dialect, &room, out)));
            }
            if plan.joins_rooms() {
                client.phase = Phase::Joining;
                return Step::Wait;
            }
            client.phase = Phase::Ready;
            Step::Ready
        }
        (Answer::Private(sender), Phase::LoggingIn) if sender == roster.name(index) => {
            client.reserve(plan.size + plan.dialect.bytes_around());
            client.phase = Phase::Ready;
            Step::Ready
        }
        (Answer::Private(_), _) => Step::Wait,
        (Answer::Ping(token), _) => say(client.push(|_, out| speech::pong(plan.dialect, token, out))),
        (Answer::Joined, Phase::Joining) => {
            client.phase = Phase::Ready;
            Step::Ready
        }
        (Answer::Named { .. }, Phase::LoggingIn) => say(client.push(|_, out| speech::password(out))),
        (Answer::Busy(_), Phase::LoggingIn) => Step::Retry,
        (Answer::Seated(token), Phase::LoggingIn) => Step::Sit(token),
        (Answer::Listed(messages), Phase::Joining) if messages.size_hint().0 == 0 => {
            client.phase = Phase::Ready;
            Step::Ready
        }
        (Answer::Listed(messages), Phase::Ready) => {
            intake.listed(index, messages);
            Step::Done
        }
        (Answer::Named { is_new: true }, Phase::Leaving) => Step::Done,
        (Answer::Said(reason) | Answer::Busy(reason), Phase::Ready)
            if plan.kept && intake.awaits_acknowledgement(index) =>
        {
            intake.refuse(index, reason);
            Step::Wait
        }
        (answer, _) => Step::Fail(words(plan, &answer)),
    }
}

/// Why a client takes no further part, whom nobody expected to be told this.
fn words(plan: &Plan, answer: &Answer<'_>) -> String {
    let said = match answer {
        Answer::Event(event) => {
            let mut words = Vec::new();
            if let Some(wire) = plan.dialect.wire() {
                let _ = wire.encode_event(&Codec::default(), event, &mut words);
            }
            String::from_utf8_lossy(&words).trim().to_owned()
        }
        Answer::Said(words) | Answer::Busy(words) => (*words).to_owned(),
        Answer::Unreadable(error) => return format!("the server sent what cannot be read: {error}"),
        Answer::RoomClosed => return "the server closed the room".to_owned(),
        Answer::Listed(_) => return "its mailbox was not empty".to_owned(),
        Answer::LoggedIn
        | Answer::Joined
        | Answer::Seated(_)
        | Answer::Probe
        | Answer::Private(_)
        | Answer::Ping(_)
        | Answer::Named { .. } => return "the server answered what was not asked".to_owned(),
    };
    format!("the server said: {said}")
}
