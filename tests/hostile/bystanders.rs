//! People who have nothing to do with it: one of each dialect, who talk all the time, and get every word of each other's
//! once and in order, whatever others do meanwhile.

use std::panic::resume_unwind;
use std::thread;
use std::time::Instant;

use parlance::client::Pace;
use parlance::wire::Dialect;
use parlance::wire::typed::{Request, TagSet};

use crate::support::TestServer;
use crate::support::person::{AnyPeer, Heard, IN_ROOMS, Person, private, room};

/// What their names begin with, and nobody else's.
const PREFIX: &str = "by-";

pub(crate) struct Bystanders {
    /// In the lobby.
    people: Vec<Person>,
    /// Of those, how many speak.
    speakers: usize,
    /// Who has a mailbox, and is told of each letter.
    typed: Person,
    rounds: usize,
    /// They talk as fast as a client may by default. None: as fast as they can.
    pace: Option<Pace>,
}

impl Bystanders {
    /// One of each dialect.
    pub(crate) fn new(server: &TestServer) -> Self {
        Self::of(server, &IN_ROOMS, IN_ROOMS.len())
    }

    /// The same, held to the default limits of sessions: they talk as fast as those allow.
    pub(crate) fn paced(server: &TestServer) -> Self {
        Self { pace: Some(Pace::default()), ..Self::new(server) }
    }

    /// The same, where datagrams are lost on the way to the server: who would send them only listens.
    pub(crate) fn of_whom_datagrams_only_listen(server: &TestServer) -> Self {
        let dialects = [Dialect::Line, Dialect::Slash, Dialect::Gob, Dialect::Ucrp];
        Self::of(server, &dialects, dialects.len() - 1)
    }

    /// Those of some dialects, and a typed one.
    pub(crate) fn only(server: &TestServer, dialects: &[Dialect]) -> Self {
        Self::of(server, dialects, dialects.len())
    }

    fn of(server: &TestServer, dialects: &[Dialect], speakers: usize) -> Self {
        let in_lobby =
            |dialect: &Dialect| Person::in_lobby(server, *dialect, &format!("{PREFIX}{}", dialect.name()));
        let people: Vec<_> = dialects.iter().map(in_lobby).collect();
        let typed = Person::with_mailbox(server, TagSet::InUse, &format!("{PREFIX}typed"), "secret");
        let mut bystanders = Self { people, speakers, typed, rounds: 0, pace: None };
        // Of each other's arrival they have heard then, and of nothing since.
        for person in bystanders.people.iter_mut().chain([&mut bystanders.typed]) {
            person.heard();
        }
        bystanders.go_round();
        bystanders
    }

    /// How many connections and seats they take, handshakes included.
    pub(crate) fn connections(&self) -> u64 {
        let handshakes = self.people.iter().filter(|person| person.name.ends_with("ucrp")).count();
        (self.people.len() + handshakes + 1) as u64
    }

    /// How often they have talked: each time, somebody says one thing in the lobby.
    pub(crate) fn rounds(&self) -> u64 {
        self.rounds as u64
    }

    /// One of them says something to all, and to the one with the mailbox, who writes to one of them. All hear exactly that,
    /// though strangers may be heard in between.
    #[track_caller]
    pub(crate) fn round(&mut self) {
        if let Some(pace) = &mut self.pace {
            // The one with the mailbox says one thing in each round, and the others less.
            thread::sleep(pace.delay(Instant::now()));
        }
        let speaker = self.rounds % self.speakers;
        let listener = self.rounds % self.people.len();
        let text = format!("round {}", self.rounds);
        self.rounds += 1;
        let [from, to] = [speaker, listener].map(|index| self.people[index].name.clone());
        let typed = self.typed.name.clone();
        self.people[speaker].say(&text);
        self.people[speaker].tell(&typed, &text);
        for person in &mut self.people {
            if person.name == from {
                for expected in [person.echo(&text), person.sent(&typed, &text)].concat() {
                    expect(person, &expected);
                }
            } else {
                expect(person, &room(&from, &text));
            }
        }
        expect(&mut self.typed, &private(&from, &text));
        // The speakers have no account, and so a small share of the mailbox.
        if let (true, AnyPeer::Typed(peer)) = (self.rounds.is_multiple_of(1000), &mut self.typed.peer) {
            for person in &self.people {
                peer.send(Request::Clear(&person.name));
            }
        }
        self.typed.tell(&to, &text);
        expect(&mut self.people[listener], &private(&typed, &text));
    }

    /// Each of them speaks once.
    #[track_caller]
    pub(crate) fn go_round(&mut self) {
        for _ in 0..self.people.len() {
            self.round();
        }
    }

    /// They talk until an attack is over, and once more each: they are all there still, and hear each other.
    #[track_caller]
    pub(crate) fn talk_while<T: Send>(&mut self, attack: impl FnOnce() -> T + Send) -> T {
        let outcome = thread::scope(|scope| {
            let attack = scope.spawn(attack);
            while !attack.is_finished() {
                self.round();
            }
            attack.join().unwrap_or_else(|panic| resume_unwind(panic))
        });
        self.go_round();
        outcome
    }

    /// They go, one after the other, each with all read that was sent to it: none of them was closed before.
    #[track_caller]
    pub(crate) fn leave(self) {
        let is_seat = |person: &Person| matches!(person.peer, AnyPeer::Seat(_));
        let (seats, mut others): (Vec<_>, Vec<_>) = self.people.into_iter().partition(is_seat);
        for Person { name, peer, .. } in seats {
            if let AnyPeer::Seat(seat) = peer {
                seat.leave();
            }
            // A seat has no end that it could wait for. A server that stops before it reads this would refuse it.
            let is_told = |heard: &Heard| matches!(heard, Heard::Notice(words) if words.contains(&name));
            std::iter::repeat_with(|| others[0].next()).find(is_told);
        }
        for person in others.into_iter().chain([self.typed]) {
            match person.peer {
                AnyPeer::Line(mut peer) | AnyPeer::Slash(mut peer) => {
                    peer.finish();
                    peer.rest();
                }
                // They have left.
                AnyPeer::Seat(_) => {}
                AnyPeer::Gob(mut peer) => {
                    peer.finish();
                    while peer.next_or_end().is_some() {}
                }
                AnyPeer::Typed(mut peer) => {
                    peer.finish();
                    while peer.next_or_end().is_some() {}
                }
            }
        }
    }

    /// They talk until something is so, which must come to be. Each time that they do, the server takes turns.
    #[track_caller]
    pub(crate) fn talk_until(&mut self, mut is_so: impl FnMut() -> bool) {
        let deadline = crate::support::deadline();
        while !is_so() {
            assert!(std::time::Instant::now() < deadline, "it never came to be");
            self.round();
        }
    }
}

/// Waits until somebody hears something of a bystander or of the server, which must be this.
#[track_caller]
fn expect(person: &mut Person, expected: &Heard) {
    let heard = std::iter::repeat_with(|| person.next()).find(|heard| !is_of_strangers(heard));
    assert_eq!(heard.as_ref(), Some(expected), "{}", person.name);
}

/// What somebody hears of those who are none of the bystanders. That messages were missed is no such thing.
fn is_of_strangers(heard: &Heard) -> bool {
    match heard {
        Heard::Room(sender, _) | Heard::Private(sender, _) => !sender.starts_with(PREFIX),
        Heard::Notice(words) => !words.contains(PREFIX) && !words.contains("missed"),
    }
}
