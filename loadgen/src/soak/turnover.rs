//! The clients that come and go, and the loop that drives them. When to begin and to end is for [`soak`](super) to say.
//!
//! Never blocks but in the poll, and there only until the next thing is due. `coming` is how clients get in, `going` how
//! they leave, `talking` what is said meanwhile.

mod coming;
mod going;
mod talking;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind};
use std::time::Duration;

use hdrhistogram::Histogram;
use mio::{Events, Poll, Registry, Token};
use parlance::chat::Command;
use parlance::wire::{DecodeError, Frame, Unsayable};
use serde::Serialize;

use self::coming::Step;
pub(super) use self::going::REST;
use super::crowd::{Crowd, Kind};
use super::ledger::{Ledger, Listener, Tally};
use super::mail::Mail;
use super::plan::Plan;
use crate::client::{Client, ReceiveBuffer};
use crate::clock::{Clock, Moment, nanoseconds};
use crate::datagram_buffers::DatagramBuffers;
use crate::dialect::Dialect;
use crate::incoming::of_datagram;
use crate::measure::histogram;
use crate::payload::padding;
use crate::timer::Timer;

const TIMER: Token = Token(usize::MAX);
/// Readiness taken from the kernel at once.
const EVENTS_MAX: usize = 1024;
/// How often each client shows that it lives.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Between two looks at what takes too long.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// All clients, here or away.
pub(super) struct Turnover {
    pub(super) plan: Plan,
    pub(super) crowd: Crowd,
    pub(super) clock: Clock,
    pub(super) ledger: Ledger,
    pub(super) counts: Counts,
    pub(super) tallies: Tallies,
    /// From when a message was written to when a listener of a stream read it.
    pub(super) latency: Histogram<u64>,
    /// How many clients are in each state.
    present: [usize; State::COUNT],
    run: u16,
    poll: Poll,
    events: Events,
    timer: Timer,
    buffer: ReceiveBuffer,
    datagram_buffers: DatagramBuffers,
    members: Vec<Member>,
    /// By client; of others than typed, empty.
    mail: Vec<Mail>,
    /// Who comes (again), and when.
    away: BinaryHeap<Reverse<(Moment, usize)>>,
    /// Who prepares to leave, or has said so.
    leaving: Vec<usize>,
    /// Writers of mail that may be deleted.
    untidy: Vec<usize>,
    /// Whoever leaves comes again.
    comes_again: bool,
    talk: Pace,
    turn: usize,
    room_turn: usize,
    pair_turn: usize,
    churn: Pace,
    pings: Pace,
    ping_turn: usize,
    look: Pace,
    padding: Vec<u8>,
    text: Vec<u8>,
}

/// Something that is due again and again.
struct Pace {
    gap: u64,
    next: Moment,
}

impl Pace {
    /// Never, until it is started.
    fn per_second(rate: f64) -> Self {
        let gap = if rate > 0.0 { 1e9 / rate } else { 1e18 };
        #[expect(clippy::cast_sign_loss, reason = "rates are not negative")]
        Self { gap: (gap as u64).max(1), next: Moment::NEVER }
    }

    fn start(&mut self, now: Moment) {
        self.next = Moment(now.0 + self.gap);
    }

    fn stop(&mut self) {
        self.next = Moment::NEVER;
    }

    /// Whether it is due; then it is due next a gap later.
    fn take(&mut self, now: Moment) -> bool {
        let is_due = self.next <= now;
        if is_due {
            self.next.0 += self.gap;
        }
        is_due
    }
}

/// How far a client has come, and whether it goes again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Away,
    /// The connection is not there yet.
    Connecting,
    /// The name is sent.
    LoggingIn,
    /// The name is taken; not yet where it is to hear something.
    Entering,
    In,
    /// It is owed nothing new, and goes when it has what it is owed.
    Preparing,
    /// It has said that it goes, and waits for the server to close the connection.
    Closing,
}

impl State {
    const COUNT: usize = 7;
}

/// How somebody leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manner {
    /// As its dialect has it; where that has no word for it, the connection is closed.
    Politely,
    /// The connection is reset; a seat is left without a word.
    Reset,
    /// It says that it sends nothing any more, and reads to the end.
    HalfClosed,
}

/// A client, whether it is there or not.
struct Member {
    dialect: Dialect,
    name: String,
    state: State,
    /// Since when it is in its state.
    since: Moment,
    client: Option<Client>,
    listener: Listener,
    manner: Manner,
    /// It has had an account made, in the dialect that has some.
    has_account: bool,
    /// The numbers of the mail that a list must have which it has asked for.
    asked: Option<Vec<u32>>,
    /// It has asked for the last list before it leaves.
    has_looked: bool,
    /// When it says once more that it is here, in datagrams, which may be lost.
    again: Moment,
}

/// Deliveries, by what may happen to them.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Tallies {
    /// In rooms, over connections.
    pub(super) streams: Tally,
    /// In rooms, over UDP.
    pub(super) datagrams: Tally,
    /// Pushes of mail to those who are there.
    pub(super) mail: Tally,
}

impl Tallies {
    fn of(&mut self, dialect: Dialect) -> &mut Tally {
        match dialect {
            Dialect::Line | Dialect::Slash | Dialect::Gob | Dialect::Peer(_) => &mut self.streams,
            Dialect::Tcrp => &mut self.datagrams,
            Dialect::Typed => &mut self.mail,
        }
    }

    pub(super) fn all(&self) -> Tally {
        let mut all = self.streams;
        all += self.datagrams;
        all += self.mail;
        all
    }
}

/// What happened, of the whole run.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Counts {
    /// Clients that came in, and those that left, by how they did.
    pub(super) connects: u64,
    pub(super) left_politely: u64,
    pub(super) left_by_reset: u64,
    pub(super) left_half_closed: u64,
    /// Messages said in rooms, and mail written.
    pub(super) published: u64,
    pub(super) mailed: u64,
    /// Mail that its writer was told is kept.
    pub(super) kept: u64,
    /// Mail that was deleted after it was read.
    pub(super) deleted: u64,
    /// Lists of mailboxes that were compared with what must be in there, and letters that were missing or twice in one.
    pub(super) listed: u64,
    pub(super) mislisted: u64,
    /// Mail that its writer was not told is kept.
    pub(super) unkept: u64,
    /// Frames about others who come and go.
    pub(super) announcements: u64,
    /// Not as it was sent, or never sent at all.
    pub(super) corrupted: u64,
    /// Frames that cannot be read.
    pub(super) undecodable: u64,
    /// Logins that were tried again, because the name was not free yet, or the server was busy.
    pub(super) retries: u64,
    /// Clients that failed to come in, or were cut off, or were not let go.
    pub(super) errors: u64,
    pub(super) first_error: Option<String>,
    /// Messages that the server said it had skipped for somebody.
    pub(super) announced_missed: u64,
}

impl Counts {
    pub(super) fn disconnects(&self) -> u64 {
        self.left_politely + self.left_by_reset + self.left_half_closed
    }
}

impl Turnover {
    pub(super) fn new(plan: Plan, crowd: Crowd, run: u16) -> io::Result<Self> {
        let poll = Poll::new()?;
        let timer = Timer::new(poll.registry(), TIMER)?;
        let clock = Clock::start();
        let now = clock.now();
        let members = (0..crowd.len()).map(|client| Member {
            dialect: crowd.dialect(client),
            name: crowd.name(client),
            state: State::Away,
            since: now,
            client: None,
            listener: Listener::default(),
            manner: Manner::Politely,
            has_account: false,
            asked: None,
            has_looked: false,
            again: Moment::NEVER,
        });
        let mut present = [0; State::COUNT];
        present[State::Away as usize] = crowd.len();
        let frame_bytes_max = Dialect::Typed.frame_bytes_max().max(Dialect::Line.frame_bytes_max());
        let look_rate = 1.0 / LOOK_INTERVAL.as_secs_f64();
        let mut turnover = Self {
            clock,
            ledger: Ledger::new(crowd.len()),
            counts: Counts::default(),
            tallies: Tallies::default(),
            latency: histogram().map_err(io::Error::other)?,
            present,
            run,
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            timer,
            buffer: ReceiveBuffer::new(frame_bytes_max),
            datagram_buffers: DatagramBuffers::new(),
            members: members.collect(),
            mail: (0..crowd.len()).map(|_| Mail::default()).collect(),
            // Hosts first: a room can be entered when it is there.
            away: (0..crowd.len())
                .map(|client| {
                    Reverse((now.after(Duration::from_nanos(u64::from(!crowd.is_host(client)))), client))
                })
                .collect(),
            leaving: Vec::new(),
            untidy: Vec::new(),
            comes_again: true,
            talk: Pace::per_second(plan.rate),
            turn: 0,
            room_turn: 0,
            pair_turn: 0,
            churn: Pace::per_second(plan.churn),
            pings: Pace { gap: nanoseconds(PING_INTERVAL) / crowd.len() as u64, next: Moment::NEVER },
            ping_turn: 0,
            look: Pace::per_second(look_rate),
            padding: padding(plan.size),
            text: Vec::with_capacity(plan.size),
            crowd,
            plan,
        };
        turnover.pings.start(now);
        turnover.look.start(now);
        Ok(turnover)
    }

    /// Clients that are where they hear something.
    pub(super) fn inside(&self) -> usize {
        self.present[State::In as usize] + self.present[State::Preparing as usize]
    }

    /// Clients that are connecting or logging in.
    fn coming(&self) -> usize {
        [State::Connecting, State::LoggingIn, State::Entering]
            .map(|state| self.present[state as usize])
            .iter()
            .sum()
    }

    pub(super) fn away(&self) -> usize {
        self.present[State::Away as usize]
    }

    /// Whether of all clients only those are there who keep rooms open.
    pub(super) fn only_hosts_are_left(&self) -> bool {
        let is_gone = |(index, member): (usize, &Member)| {
            member.state == State::Away || (member.state == State::In && self.crowd.is_host(index))
        };
        self.members.iter().enumerate().all(is_gone)
    }

    /// What grows as long as something goes on that somebody may wait for.
    pub(super) fn progress(&self) -> [u64; 4] {
        let Counts { connects, kept, deleted, listed, .. } = self.counts;
        [connects, self.counts.disconnects(), self.tallies.all().delivered, kept + deleted + listed]
    }

    /// When all is said: what has not come will not.
    pub(super) fn give_up(&mut self) {
        for member in &mut self.members {
            self.ledger.give_up(&mut member.listener, self.tallies.of(member.dialect));
        }
        self.counts.unkept = self.counts.mailed - self.counts.kept;
    }

    /// One turn of the loop: waits until something happens, at most until `wake`, and handles it.
    pub(super) fn turn(&mut self, wake: Moment) -> io::Result<()> {
        let now = self.clock.now();
        let wake = wake.min(self.next_due());
        let timeout = if wake <= now {
            Some(Duration::ZERO)
        } else {
            self.timer.arm(now, wake)?;
            None
        };
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let polled = self.poll.poll(&mut events, timeout);
        for event in &events {
            if event.token() == TIMER {
                continue;
            }
            let index = event.token().0;
            if event.is_writable() || event.is_error() {
                self.writable(index);
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                self.receive(index);
            }
        }
        self.events = events;
        let now = self.clock.now();
        self.talk(now);
        self.tidy_up();
        self.churn(now);
        self.go_on_coming(now);
        self.go_on_leaving(now);
        self.ping(now);
        if self.look.take(now) {
            self.look_after_datagrams(now);
        }
        match polled {
            // A signal: whoever waits for it looks after each turn.
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    /// When there is something to do though nothing comes in.
    fn next_due(&self) -> Moment {
        let away = self.away.peek().map_or(Moment::NEVER, |Reverse((at, _))| *at);
        [self.talk.next, self.churn.next, self.pings.next, self.look.next].into_iter().fold(away, Moment::min)
    }

    fn set(&mut self, index: usize, state: State) {
        let member = &mut self.members[index];
        self.present[member.state as usize] -= 1;
        self.present[state as usize] += 1;
        member.state = state;
        member.since = self.clock.now();
    }

    /// A client can write, and if it was connecting, it has connected or failed to.
    fn writable(&mut self, index: usize) {
        let member = &mut self.members[index];
        let Some(client) = &mut member.client else { return };
        if member.state == State::Connecting {
            if let Err(error) = client.connect_error() {
                return self.fail(index, &format!("connecting failed: {error}"));
            }
            client.unblock();
            self.set(index, State::LoggingIn);
            return self.log_in(index);
        }
        client.unblock();
        self.flush(index);
    }

    /// Reads all that a client has received.
    fn receive(&mut self, index: usize) {
        if self.members[index].client.as_ref().is_some_and(Client::has_datagrams) {
            return self.receive_datagrams(index);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(client) = &mut self.members[index].client {
            match client.receive(&mut buffer) {
                Ok(Some(received)) => {
                    if !self.take(index, received.bytes) {
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    self.ended(index, &error);
                    break;
                }
            }
        }
        self.buffer = buffer;
        self.flush(index);
    }

    /// Takes in what a client received over its connection. Whether it goes on with it.
    fn take(&mut self, index: usize, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            let member = &mut self.members[index];
            let Some(client) = &mut member.client else { return false };
            let decoded = member.dialect.decode(&mut client.codec, rest);
            rest = &rest[decoded.consumed..];
            let step = match decoded.frame {
                Frame::Incomplete if decoded.consumed == 0 => break,
                Frame::Incomplete | Frame::Refused(DecodeError::Unrecognized) => Step::Wait,
                Frame::Refused(_) => {
                    self.counts.undecodable += 1;
                    Step::Wait
                }
                Frame::Whole(incoming) => self.handle(index, incoming),
            };
            if !self.follow(index, step) {
                return false;
            }
        }
        let member = &mut self.members[index];
        let Some(client) = &mut member.client else { return false };
        match client.keep(rest, member.dialect.frame_bytes_max()) {
            Ok(()) => true,
            Err(error) => {
                self.fail(index, &error.to_string());
                false
            }
        }
    }

    /// The same of a client that is spoken to in datagrams.
    fn receive_datagrams(&mut self, index: usize) {
        loop {
            let Self { members, datagram_buffers, .. } = self;
            let Some(client) = &mut members[index].client else { break };
            let mut datagrams: Vec<Vec<u8>> = Vec::new();
            let received = client.receive_datagrams(datagram_buffers, |bytes| datagrams.push(bytes.to_vec()));
            let goes_on = datagrams.iter().all(|bytes| {
                let Ok(incoming) = of_datagram(bytes) else {
                    self.counts.undecodable += 1;
                    return true;
                };
                let step = self.handle(index, incoming);
                self.follow(index, step)
            });
            match received {
                Ok(true) if goes_on => {}
                Ok(_) => break,
                Err(error) => {
                    self.fail(index, &format!("the server takes no datagrams: {error}"));
                    break;
                }
            }
        }
    }

    /// Writes what a client has to send.
    fn flush(&mut self, index: usize) {
        let Self { members, poll, .. } = self;
        let Some(client) = &mut members[index].client else { return };
        let flushed = client.flush().and_then(|()| client.watch(poll.registry(), Token(index)));
        if let Err(error) = flushed {
            self.ended(index, &error);
        }
    }

    /// Appends something to what a client has to send.
    fn say(&mut self, index: usize, encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Unsayable>) {
        let Some(client) = &mut self.members[index].client else { return };
        if let Err(error) = client.push(|_, out| encode(out)) {
            self.fail(index, &error.to_string());
        }
    }

    fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Shows for those whose time has come that they live.
    fn ping(&mut self, now: Moment) {
        while self.pings.take(now) {
            let index = self.ping_turn;
            self.ping_turn = (index + 1) % self.members.len();
            let Member { dialect, state: State::In, .. } = self.members[index] else { continue };
            let mut command = Vec::new();
            if dialect.encode_command(&Command::Ping, &mut command).is_ok() {
                self.say(index, |out| {
                    out.extend_from_slice(&command);
                    Ok(())
                });
                self.flush(index);
            }
        }
    }

    /// Gives up the datagrams that are on the way for too long.
    fn look_after_datagrams(&mut self, now: Moment) {
        for (index, member) in self.members.iter_mut().enumerate() {
            if member.dialect == Dialect::Tcrp && self.crowd.room_of(index).kind == Kind::Seats {
                self.ledger.give_up_datagrams(&mut member.listener, now, &mut self.tallies.datagrams);
            }
        }
    }
}
