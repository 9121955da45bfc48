//! How clients come in: connected, logged in, and sure to hear what is said where they are.
//!
//! | dialect | what a client says | it is in when |
//! |---|---|---|
//! | line, slash | its name, and the room | the server says so |
//! | gob | that it joins, and something to itself | that comes back |
//! | tcrp | a request over TCP, then by datagram where it is, and something to itself | that comes back |
//! | typed | name, password, "tell me of what arrives", "list" | the list is there |

use std::cmp::Reverse;
use std::time::Duration;

use mio::Token as PollToken;
use parlance::chat::{Event, Problem, Token};
use parlance::wire::ucrp::Message;
use parlance::wire::{Codec, Unsayable, name_end};

use super::{Member, State, Turnover};
use crate::client::Client;
use crate::clock::Moment;
use crate::dialect::Dialect;
use crate::incoming::{Answer, Incoming};
use crate::peer::Login;
use crate::soak::crowd::Kind;
use crate::source::own_source;
use crate::speech::{self, PROBE, Seat};

/// Clients that come in at once, and those of them that have the server hash a password.
const COMING_MAX: usize = 256;
const COMING_TYPED_MAX: usize = 64;
/// After which time somebody who cannot come yet tries again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// After which time somebody whose name is not free yet, or for whom the server is too busy, comes again.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// After which time a seat that does not hear itself says once more where it is.
const REGISTER_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// After which time without success coming in has failed; a busy server takes a while.
const COMING_TAKES_MAX: Duration = Duration::from_secs(30);
/// What the sender of a message for one person ends with, where nothing else says that it is one.
const PRIVATE_MARK: &str = " (private)";
/// What a server says to somebody in gob who gets another name than it wanted.
const OTHER_NAME: &str = "your name here is ";

/// What follows from what was heard.
pub(super) enum Step {
    Wait,
    /// It is where it is to be.
    In,
    /// To go over to datagrams.
    Sit(Token),
    /// To come again.
    Retry,
    /// What was asked before leaving is answered.
    Listed,
    Fail(String),
    /// It has lost its name to another client, and stays away: two that took it from each other would never
    /// end.
    Lose(String),
}

impl Turnover {
    /// Has those come whose time it is.
    pub(super) fn go_on_coming(&mut self, now: Moment) {
        while let Some(&Reverse((at, index))) = self.away.peek()
            && at <= now
        {
            self.away.pop();
            if self.may_come(index) {
                self.come(index);
            } else {
                self.away.push(Reverse((now.after(AGAIN_AFTER), index)));
            }
        }
        // Nobody answers that a seat is registered, and a datagram may be lost.
        if self.look.next <= now {
            self.hurry(now);
        }
    }

    /// Whether there is a place for one more on the way in, and a room where it wants to go.
    fn may_come(&self, index: usize) -> bool {
        if self.coming() >= COMING_MAX {
            return false;
        }
        let room = self.crowd.room_of(index);
        match room.kind {
            Kind::Seats if !self.crowd.is_host(index) => self.members[room.members.start].state == State::In,
            Kind::Pair => self.typed_coming() < COMING_TYPED_MAX,
            Kind::Lobby | Kind::Slash | Kind::Seats => true,
        }
    }

    fn typed_coming(&self) -> usize {
        let is_coming = |state| matches!(state, State::Connecting | State::LoggingIn | State::Entering);
        let typed = self.members.iter().rev().take_while(|member| member.dialect == Dialect::Typed);
        typed.filter(|member| is_coming(member.state)).count()
    }

    fn come(&mut self, index: usize) {
        self.set(index, State::Connecting);
        let target = self.plan.address(self.members[index].dialect);
        let source = own_source(target, self.run, index);
        let connected = Client::connect(target, source, Some(index)).and_then(|mut client| {
            client.register(self.registry(), PollToken(index))?;
            Ok(client)
        });
        match connected {
            Ok(client) => self.members[index].client = Some(client),
            Err(error) => self.fail(index, &format!("connecting failed: {error}")),
        }
    }

    /// Writes the login, and the way to the room behind it.
    pub(super) fn log_in(&mut self, index: usize) {
        let Self { members, crowd, .. } = self;
        let member = &mut members[index];
        let Some(client) = &mut member.client else { return };
        let name = member.name.as_str();
        let said = client.push(|_, out| match member.dialect {
            dialect @ (Dialect::Line | Dialect::Slash | Dialect::Gob | Dialect::Peer(_)) => {
                speech::login(dialect, &Login { name, publishes: true }, out)?;
                match crowd.room_of(index).kind {
                    Kind::Slash => speech::join(dialect, &crowd.room_name(index), out),
                    Kind::Lobby | Kind::Seats | Kind::Pair => Ok(()),
                }
            }
            Dialect::Typed => speech::identify(name, out),
            Dialect::Tcrp => speech::handshake(&crowd.room_name(index), crowd.is_host(index), name, out),
        });
        match said {
            Ok(()) => self.flush(index),
            Err(error) => self.fail(index, &error.to_string()),
        }
    }

    /// Handles what somebody hears.
    pub(super) fn handle(&mut self, index: usize, incoming: Incoming<'_>) -> Step {
        let answer = match incoming {
            Incoming::Message { sender, text, .. } => return self.heard(index, sender, text),
            Incoming::Missed(count) => {
                self.counts.announced_missed += count;
                self.members[index].listener.announce_missed(count);
                return Step::Wait;
            }
            Incoming::Kept { key, id } => {
                self.letter_is_kept(index, key, id);
                return Step::Wait;
            }
            Incoming::Aside => {
                self.counts.announcements += 1;
                return Step::Wait;
            }
            Incoming::Answer(answer) => answer,
        };
        let member = &mut self.members[index];
        match (answer, member.state) {
            (Answer::LoggedIn, State::LoggingIn) if member.dialect == Dialect::Typed => {
                member.has_account = true;
                self.set(index, State::Entering);
                self.enter_mailbox(index)
            }
            (Answer::LoggedIn, State::LoggingIn) => match self.crowd.room_of(index).kind {
                Kind::Slash => {
                    self.set(index, State::Entering);
                    Step::Wait
                }
                Kind::Lobby | Kind::Seats | Kind::Pair => Step::In,
            },
            (Answer::Joined, State::Entering) => Step::In,
            (Answer::Private(sender), State::LoggingIn) if sender == member.name => Step::In,
            (Answer::Private(_), _) | (_, State::Closing | State::Away) => Step::Wait,
            (Answer::Named { .. }, State::LoggingIn) => {
                self.say(index, speech::password);
                Step::Wait
            }
            (Answer::Seated(token), State::LoggingIn) => Step::Sit(token),
            (Answer::Listed(messages), State::Entering | State::In | State::Preparing) => {
                self.mailbox_is_listed(index, messages)
            }
            (Answer::RoomClosed, _) if !self.comes_again => Step::Wait,
            // The account is gone, and its name free.
            (Answer::Named { is_new: true }, State::Preparing) if !self.comes_again => Step::Listed,
            (answer, State::LoggingIn) if is_to_come_again(&answer) => Step::Retry,
            (answer, _) => {
                let words = words(self.members[index].dialect, &answer);
                if is_name_end(&answer) { Step::Lose(words) } else { Step::Fail(words) }
            }
        }
    }

    /// Does what follows. Whether the client goes on.
    pub(super) fn follow(&mut self, index: usize, step: Step) -> bool {
        match step {
            Step::Wait => {}
            Step::In => self.is_in(index),
            Step::Sit(token) => {
                self.sit(index, token);
                return false;
            }
            Step::Retry => {
                self.counts.retries += 1;
                self.drop_client(index, RETRY_AFTER);
                return false;
            }
            Step::Listed => self.members[index].asked = None,
            Step::Fail(reason) => {
                self.fail(index, &reason);
                return false;
            }
            Step::Lose(reason) => {
                self.lose(index, &reason);
                return false;
            }
        }
        self.members[index].client.is_some()
    }

    /// From now on it is owed what is said where it is.
    fn is_in(&mut self, index: usize) {
        self.set(index, State::In);
        self.members[index].again = Moment::NEVER;
        self.members[index].listener.enter(self.ledger.next());
        self.counts.connects += 1;
    }

    /// Goes over to datagrams with the token that the handshake gave.
    fn sit(&mut self, index: usize, token: Token) {
        let seat = Seat { room: self.crowd.room_name(index), token: token.reveal() };
        let target = self.plan.datagrams;
        let Self { members, poll, .. } = self;
        let Some(client) = &mut members[index].client else { return };
        let registered =
            client.sit(target, seat).and_then(|()| client.register(poll.registry(), PollToken(index)));
        if let Err(error) = registered {
            return self.fail(index, &format!("no socket for datagrams: {error}"));
        }
        self.set(index, State::Entering);
        self.register(index);
    }

    /// Says where a seat is, and something to itself.
    fn register(&mut self, index: usize) {
        let member = &mut self.members[index];
        member.again = self.clock.now().after(REGISTER_AGAIN_AFTER);
        let probe = format!("/msg {} {PROBE}", member.name);
        for message in [Message::Register, Message::Chat(&probe)] {
            self.send_datagram(index, message);
        }
    }

    pub(super) fn send_datagram(&mut self, index: usize, message: Message<'_>) {
        let Some(client) = &mut self.members[index].client else { return };
        let said = client.push(|seat, out| speech::datagram(seat.ok_or(Unsayable)?, message, out));
        match said {
            Ok(()) => self.flush(index),
            Err(error) => self.fail(index, &error.to_string()),
        }
    }

    /// Whether a datagram's text is what a seat said to itself, as which it is marked.
    pub(super) fn is_own_probe(&self, index: usize, sender: Option<&str>, text: &str) -> bool {
        text == PROBE
            && sender.and_then(|sender| sender.strip_suffix(PRIVATE_MARK)) == Some(&self.members[index].name)
    }

    /// Repeats what may have been lost, and gives up who takes too long.
    fn hurry(&mut self, now: Moment) {
        for index in 0..self.members.len() {
            let Member { state, since, again, .. } = &self.members[index];
            let is_coming = matches!(state, State::Connecting | State::LoggingIn | State::Entering);
            if is_coming && now.since(*since) > COMING_TAKES_MAX {
                self.fail(index, &format!("coming in took more than {} s", COMING_TAKES_MAX.as_secs()));
            } else if *state == State::Entering && *again <= now {
                self.register(index);
            }
        }
    }
}

/// Whether somebody's name is not free yet, or the server too busy for now.
fn is_to_come_again(answer: &Answer<'_>) -> bool {
    match answer {
        Answer::Busy(_) => true,
        Answer::Said(words) => ["name-taken", "busy"].contains(words) || words.starts_with(OTHER_NAME),
        Answer::Event(Event::LoginRefused(problem) | Event::Error(problem)) => {
            matches!(problem, Problem::NameTaken | Problem::Busy)
        }
        _ => false,
    }
}

/// Whether the server ends a session because of its name: a newer login has replaced it, or the account is
/// gone.
fn is_name_end(answer: &Answer<'_>) -> bool {
    match answer {
        Answer::Said(words) => name_end(words).is_some(),
        Answer::Event(Event::Error(problem)) => {
            matches!(problem, Problem::Replaced | Problem::NameRegistered | Problem::AccountDeleted)
        }
        _ => false,
    }
}

/// Why a client takes no further part, whom nobody expected to be told this.
fn words(dialect: Dialect, answer: &Answer<'_>) -> String {
    let said = match answer {
        Answer::Event(event) => {
            let mut words = Vec::new();
            if let Some(wire) = dialect.wire() {
                let _ = wire.encode_event(&Codec::default(), event, &mut words);
            }
            String::from_utf8_lossy(&words).trim().to_owned()
        }
        Answer::Said(words) | Answer::Busy(words) => (*words).to_owned(),
        Answer::Unreadable(error) => return format!("the server sent what cannot be read: {error}"),
        Answer::RoomClosed => return "the server closed the room".to_owned(),
        _ => return "the server answered what was not asked".to_owned(),
    };
    format!("the server said: {said}")
}
