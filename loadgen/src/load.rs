//! The clients and the loop that drives them: connects, receives, publishes. When to do what is for `run` to say.
//!
//! Never blocks but in the poll, and there only until the next thing is due.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::time::Duration;

use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};
use parlance::chat::{Command, Event};
use parlance::wire::Codec;

use crate::client::{Client, Phase, ReceiveBuffer};
use crate::clock::{Clock, Moment, nanoseconds};
use crate::intake::Intake;
use crate::measure::{Series, histogram};
use crate::payload::{Header, padding};
use crate::plan::{Plan, Traffic};
use crate::schedule::Schedule;
use crate::source::source;
use crate::timer::Timer;

const TIMER: Token = Token(usize::MAX);
/// Readiness taken from the kernel at once.
const EVENTS_MAX: usize = 1024;
/// Bytes that wait for a publisher's socket. Beyond it, its messages wait on the schedule, with their times.
const OUT_BYTES_MAX: usize = 1 << 20;
/// How often each client shows that it lives.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// The clients and what they do.
pub(crate) struct Load {
    pub(crate) plan: Plan,
    pub(crate) clock: Clock,
    pub(crate) intake: Intake,
    pub(crate) series: Series,
    /// How late messages were handed to the kernel, against the schedule.
    pub(crate) lag: Histogram<u64>,
    pub(crate) counts: Counts,
    run: u16,
    poll: Poll,
    events: Events,
    timer: Timer,
    buffer: ReceiveBuffer,
    /// By index; nothing where not yet connected, or gone.
    clients: Vec<Option<Client>>,
    publishers: Vec<Unsent>,
    publishing: Publishing,
    pings: Option<Pings>,
    padding: Vec<u8>,
    /// A message's text, while it is encoded.
    text: Vec<u8>,
    /// Publishers with something to send.
    dirty: Vec<usize>,
}

/// How far things have come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Clients that began to connect.
    pub(crate) launched: usize,
    pub(crate) connected: usize,
    /// Clients that are in their room.
    pub(crate) ready: usize,
    /// Clients refused, cut off, or never connected.
    pub(crate) failed: usize,
    pub(crate) first_failure: Option<String>,
    pub(crate) published: u64,
    pub(crate) bytes_received: u64,
    /// When a write found a publisher's socket full.
    pub(crate) blocked_writes: u64,
}

/// A publisher's messages that its socket has not yet taken.
#[derive(Default)]
struct Unsent {
    /// Up to which byte each one goes, counted from the connection's beginning, and when it was due.
    messages: VecDeque<(u64, Moment)>,
}

enum Publishing {
    Off,
    Open(Schedule),
    Closed {
        window: u32,
        /// Messages that one publisher sends at once.
        portion: u32,
        turn: usize,
        end: Moment,
    },
}

/// Who shows next that it lives, and when.
struct Pings {
    command: Vec<u8>,
    gap: u64,
    next: Moment,
    client: usize,
}

impl Load {
    pub(crate) fn new(plan: Plan, run: u16) -> io::Result<Self> {
        let poll = Poll::new()?;
        let timer = Timer::new(poll.registry(), TIMER)?;
        let intake = Intake::new(&plan, run).map_err(io::Error::other)?;
        let mut command = Vec::new();
        let pings = plan.dialect.wire().encode_command(&Command::Ping, &mut command).is_ok().then(|| Pings {
            command,
            gap: nanoseconds(PING_INTERVAL) / plan.clients as u64,
            next: Moment::default().after(PING_INTERVAL),
            client: 0,
        });
        Ok(Self {
            clock: Clock::start(),
            intake,
            series: Series::new(Moment::NEVER, Duration::ZERO),
            lag: histogram().map_err(io::Error::other)?,
            counts: Counts::default(),
            run,
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            timer,
            buffer: ReceiveBuffer::new(),
            clients: (0..plan.clients).map(|_| None).collect(),
            publishers: (0..plan.publishers).map(|_| Unsent::default()).collect(),
            publishing: Publishing::Off,
            pings,
            padding: padding(plan.size),
            text: Vec::with_capacity(plan.size),
            dirty: Vec::with_capacity(plan.publishers),
            plan,
        })
    }

    /// Starts connecting the next client.
    pub(crate) fn launch(&mut self) {
        let index = self.counts.launched;
        self.counts.launched += 1;
        let publisher = self
            .intake
            .roster
            .publishers()
            .binary_search_by_key(&(index as u32), |speaker| speaker.client)
            .ok();
        let connected = Client::connect(self.plan.addr, source(self.plan.addr, self.run, index), publisher)
            .and_then(|mut client| {
                client.register(self.poll.registry(), Token(index))?;
                Ok(client)
            });
        match connected {
            Ok(client) => self.clients[index] = Some(client),
            Err(error) => self.fail(index, &format!("connecting failed: {error}")),
        }
    }

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
                Publishing::Closed { window, portion: window.div_ceil(rooms), turn: 0, end }
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

    /// Whether everything was published and is at all its recipients.
    pub(crate) fn is_drained(&self) -> bool {
        let published = match &self.publishing {
            Publishing::Off | Publishing::Closed { .. } => true,
            Publishing::Open(schedule) => schedule.is_over(),
        };
        published
            && self.intake.in_flight.owed() == 0
            && self.publishers.iter().all(|p| p.messages.is_empty())
    }

    /// One turn of the loop: waits until something happens, at most until `wake`, and handles it.
    pub(crate) fn turn(&mut self, wake: Moment) -> io::Result<()> {
        let now = self.clock.now();
        let wake = wake.min(self.next_due());
        let timeout = if self.plan.busy || wake <= now {
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
            if event.is_readable() || event.is_read_closed() {
                let now = self.receive(index, event.is_read_closed());
                self.publish_early(now);
            }
        }
        self.events = events;
        let now = self.clock.now();
        self.publish(now);
        self.ping(now);
        match polled {
            // A signal: whoever waits for it looks after each turn.
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    /// When there is something to do though nothing comes in.
    fn next_due(&self) -> Moment {
        let message = match &self.publishing {
            Publishing::Off | Publishing::Closed { .. } => Moment::NEVER,
            Publishing::Open(schedule) => schedule.next_due(),
        };
        message.min(self.pings.as_ref().map_or(Moment::NEVER, |pings| pings.next))
    }

    fn fail(&mut self, index: usize, reason: &str) {
        if let Some(client) = self.clients[index].take() {
            if client.phase == Phase::Ready {
                self.counts.ready -= 1;
            }
            if let Some(publisher) = client.publisher {
                self.publishers[publisher].messages.clear();
                if let Publishing::Open(schedule) = &mut self.publishing {
                    schedule.remove(publisher);
                }
            }
        }
        self.intake.lose(index);
        self.counts.failed += 1;
        self.counts.first_failure.get_or_insert_with(|| reason.to_owned());
    }

    /// A client can write, and if it was connecting, it has connected or failed to.
    fn writable(&mut self, index: usize) {
        let Some(client) = &mut self.clients[index] else { return };
        if client.phase == Phase::Connecting {
            if let Err(error) = client.connect_error() {
                return self.fail(index, &format!("connecting failed: {error}"));
            }
            client.phase = Phase::LoggingIn;
            self.counts.connected += 1;
            self.log_in(index);
        }
        let Some(client) = &mut self.clients[index] else { return };
        client.unblock();
        if client.waiting() > 0 {
            self.flush(index);
        }
    }

    /// Writes the login, and the way to the room behind it.
    fn log_in(&mut self, index: usize) {
        let Some(client) = &mut self.clients[index] else { return };
        let wire = self.plan.dialect.wire();
        let name = self.intake.roster.name(index);
        let mut said = wire.encode_command(&Command::Login { name: &name, password: None }, client.out());
        if self.plan.joins_rooms() {
            let room = self.intake.roster.room_name(index);
            said = said.and_then(|()| wire.encode_command(&Command::Join(&room), client.out()));
        }
        if let Err(error) = said {
            self.fail(index, &error.to_string());
        }
    }

    /// Reads all that a client has received. A short read means that the socket is empty, unless the server has hung up:
    /// then the end is to be read as well. Gives the time of the last read.
    #[inline]
    fn receive(&mut self, index: usize, hung_up: bool) -> Moment {
        while let Some(client) = &mut self.clients[index] {
            let received = match client.receive(&mut self.buffer) {
                Ok(Some(received)) => received,
                Ok(None) => break,
                Err(error) => {
                    self.fail(index, &format!("the connection ended: {error}"));
                    break;
                }
            };
            let now = self.clock.now();
            self.counts.bytes_received += received.count as u64;
            let delivered = self.intake.tally.delivered;
            let mut rest = received.bytes;
            let outcome = loop {
                let taken = self.intake.take(index, &mut client.codec, rest, now);
                rest = &rest[taken.consumed..];
                let Some(event) = taken.event else { break client.keep(rest).map_err(|e| e.to_string()) };
                let ready = client.phase == Phase::Ready;
                if let Err(reason) = handle_event(&self.plan, client, &event) {
                    break Err(reason);
                }
                if !ready && client.phase == Phase::Ready {
                    self.counts.ready += 1;
                }
            };
            self.series.add(now, self.intake.tally.delivered - delivered);
            let is_last = received.is_last;
            if let Err(reason) = outcome {
                self.fail(index, &reason);
                return now;
            }
            if is_last && !hung_up {
                return now;
            }
        }
        self.clock.now()
    }

    /// Publishes in the middle of a turn, when a message is due or the window is half open.
    #[inline]
    fn publish_early(&mut self, now: Moment) {
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
    fn publish(&mut self, now: Moment) {
        let mut publishing = std::mem::replace(&mut self.publishing, Publishing::Off);
        match &mut publishing {
            Publishing::Off => {}
            Publishing::Open(schedule) => self.publish_due(schedule, now),
            Publishing::Closed { window, portion, turn, end } => {
                if now < *end {
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
        let header = Header { run: self.run, publisher: publisher as u16, sequence, scheduled };
        self.text.clear();
        self.text.extend_from_slice(&header.encode());
        self.text.extend_from_slice(&self.padding);
        let said = str::from_utf8(&self.text).map_err(|error| error.to_string()).and_then(|text| {
            let wire = self.plan.dialect.wire();
            wire.encode_command(&Command::Say(text), client.out()).map_err(|error| error.to_string())
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

    /// Writes what a client has to send, and notes how late its messages left.
    fn flush(&mut self, index: usize) {
        let Some(client) = &mut self.clients[index] else { return };
        let now = self.clock.now();
        if let Err(error) = client.flush() {
            return self.fail(index, &format!("the connection ended: {error}"));
        }
        let Some(publisher) = client.publisher else { return };
        let (taken, waiting) = (client.taken(), client.waiting());
        if waiting > 0 {
            self.counts.blocked_writes += 1;
        }
        let messages = &mut self.publishers[publisher].messages;
        while let Some((end, due)) = messages.front()
            && *end <= taken
        {
            if self.intake.latencies.measures(*due) {
                self.lag.saturating_record(now.0.saturating_sub(due.0));
            }
            messages.pop_front();
        }
        if waiting < OUT_BYTES_MAX
            && let Publishing::Open(schedule) = &mut self.publishing
        {
            schedule.release(publisher);
        }
    }

    /// Shows for those whose time has come that they live.
    fn ping(&mut self, now: Moment) {
        while let Some(pings) = &mut self.pings
            && pings.next <= now
        {
            let index = pings.client;
            pings.client = (index + 1) % self.clients.len();
            pings.next.0 += pings.gap.max(1);
            if let Some(client) = &mut self.clients[index]
                && client.phase == Phase::Ready
            {
                client.out().extend_from_slice(&pings.command);
                self.flush(index);
            }
        }
    }
}

/// Handles what concerns a client itself. An error says why it takes no further part.
fn handle_event(plan: &Plan, client: &mut Client, event: &Event<'_>) -> Result<(), String> {
    match (event, client.phase) {
        (Event::LoggedIn { .. }, Phase::LoggingIn) => {
            // A message as the server sends it: the text, and a time, a name and the like in front.
            client.reserve(plan.size + 64);
            client.phase = if plan.joins_rooms() { Phase::Joining } else { Phase::Ready };
            Ok(())
        }
        (Event::YouJoined(_), Phase::Joining) => {
            client.phase = Phase::Ready;
            Ok(())
        }
        _ => {
            let mut words = Vec::new();
            let _ = plan.dialect.wire().encode_event(&Codec::default(), event, &mut words);
            Err(format!("the server said: {}", String::from_utf8_lossy(&words).trim()))
        }
    }
}
