//! The clients and the loop that drives them: connects, receives, publishes. When to do what is for `run` to say.
//!
//! Never blocks but in the poll, and there only until the next thing is due. `entry` is how clients come in, `publishing`
//! what they say, `epilogue` what is asked of them when all is said.

mod entry;
mod epilogue;
mod publishing;

use std::io::{self, ErrorKind};
use std::time::Duration;

use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};
use parlance::chat::Command;

use self::entry::{Entry, Heard, Step};
use self::epilogue::Epilogue;
use self::publishing::{Publishing, Unsent};
use crate::client::{Client, Phase, ReceiveBuffer};
use crate::clock::{Clock, Moment, nanoseconds};
use crate::datagram_buffers::DatagramBuffers;
use crate::intake::Intake;
use crate::measure::{Series, histogram};
use crate::payload::padding;
use crate::plan::Plan;
use crate::timer::Timer;

const TIMER: Token = Token(usize::MAX);
/// Readiness taken from the kernel at once.
const EVENTS_MAX: usize = 1024;
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
    datagram_buffers: DatagramBuffers,
    /// By index; nothing where not yet connected, or gone.
    clients: Vec<Option<Client>>,
    entry: Entry,
    epilogue: Epilogue,
    publishers: Vec<Unsent>,
    /// By client, whose mailbox is whose, in a dialect of mailboxes.
    mailboxes: Vec<String>,
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
    /// Clients that have a seat, and wait to hear the others of their room.
    pub(crate) seated: usize,
    /// Clients refused, cut off, or never connected.
    pub(crate) failed: usize,
    pub(crate) first_failure: Option<String>,
    pub(crate) published: u64,
    pub(crate) bytes_received: u64,
    /// When a write found a publisher's socket full.
    pub(crate) blocked_writes: u64,
}

impl Counts {
    /// Clients that are connecting or logging in.
    pub(crate) fn connecting(&self) -> usize {
        self.launched.saturating_sub(self.ready + self.seated + self.failed)
    }
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
        let mailboxes = if plan.dialect.keeps_messages() { plan.clients } else { 0 };
        let mailboxes = (0..mailboxes).map(|client| intake.roster.name(client)).collect();
        let mut command = Vec::new();
        let pings = plan.dialect.encode_command(&Command::Ping, &mut command).is_ok().then(|| Pings {
            command,
            gap: nanoseconds(PING_INTERVAL) / plan.clients as u64,
            next: Moment::default().after(PING_INTERVAL),
            client: 0,
        });
        Ok(Self {
            clock: Clock::start(),
            series: Series::new(Moment::NEVER, Duration::ZERO),
            lag: histogram().map_err(io::Error::other)?,
            counts: Counts::default(),
            run,
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            timer,
            buffer: ReceiveBuffer::new(plan.dialect.frame_bytes_max()),
            datagram_buffers: DatagramBuffers::new(),
            clients: (0..plan.clients).map(|_| None).collect(),
            entry: Entry::new(&plan, &intake.roster),
            epilogue: Epilogue::new(),
            publishers: (0..plan.publishers).map(|_| Unsent::default()).collect(),
            mailboxes,
            publishing: Publishing::Off,
            pings,
            padding: padding(plan.size),
            text: Vec::with_capacity(plan.size),
            dirty: Vec::with_capacity(plan.publishers),
            intake,
            plan,
        })
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
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                let hung_up = event.is_read_closed() || event.is_error();
                let now = self.receive(index, hung_up);
                self.publish_early(now);
            }
        }
        self.events = events;
        let now = self.clock.now();
        self.publish(now);
        self.ping(now);
        self.go_on_entering(now);
        self.go_on_ending(now);
        match polled {
            // A signal: whoever waits for it looks after each turn.
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    /// When there is something to do though nothing comes in.
    fn next_due(&self) -> Moment {
        let ping = self.pings.as_ref().map_or(Moment::NEVER, |pings| pings.next);
        self.publishing.next_due().min(ping).min(self.entry.next_due()).min(self.epilogue.next_due())
    }

    fn fail(&mut self, index: usize, reason: &str) {
        let client = self.clients[index].take();
        if let Some(client) = &client {
            if client.phase == Phase::Ready {
                self.counts.ready -= 1;
            }
            if let Some(publisher) = client.publisher {
                self.publishers[publisher].messages.clear();
                self.publishing.remove(publisher);
            }
        }
        if !client.as_ref().is_some_and(|client| client.is_stalled) {
            self.intake.lose(index);
        }
        self.counts.failed += 1;
        self.counts.first_failure.get_or_insert_with(|| reason.to_owned());
        self.excuse(index, client.map(|client| client.phase));
        self.epilogue.close(index);
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

    /// Reads all that a client has received. A short read means that the socket is empty, unless the server has hung up:
    /// then the end is to be read as well. Gives the time of the last read.
    #[inline]
    fn receive(&mut self, index: usize, hung_up: bool) -> Moment {
        if self.clients[index].as_ref().is_some_and(Client::has_datagrams) {
            return self.receive_datagrams(index);
        }
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
            let step = loop {
                let taken = self.intake.take(index, &mut client.codec, rest, now);
                rest = &rest[taken.consumed..];
                let Some(answer) = taken.answer else {
                    match client.keep(rest, self.plan.dialect.frame_bytes_max()) {
                        Ok(()) => break Step::Wait,
                        Err(error) => break Step::Fail(error.to_string()),
                    }
                };
                match entry::step(&self.plan, &mut self.intake, index, client, answer) {
                    Step::Wait => {}
                    step @ (Step::Sit(_) | Step::Fail(_)) => break step,
                    Step::Ready => {
                        self.counts.ready += 1;
                        if self.intake.roster.stalls(index) {
                            // It is owed nothing of what is said from now on.
                            self.intake.lose(index);
                            if let Err(error) = client.stall(self.poll.registry()) {
                                break Step::Fail(error.to_string());
                            }
                        }
                    }
                    Step::Retry => self.entry.retry_later(index, now),
                    Step::Done => self.epilogue.close(index),
                }
            };
            let has_words = client.waiting() > 0;
            self.series.add(now, self.intake.tally.delivered - delivered);
            let is_last = received.is_last;
            match step {
                Step::Fail(reason) => {
                    self.fail(index, &reason);
                    return now;
                }
                Step::Sit(token) => {
                    self.sit(index, token);
                    return now;
                }
                _ if has_words => self.flush(index),
                _ => {}
            }
            if is_last && !hung_up {
                return now;
            }
        }
        self.clock.now()
    }

    /// The same of a client that is spoken to in datagrams.
    #[inline]
    fn receive_datagrams(&mut self, index: usize) -> Moment {
        loop {
            let Self { clients, intake, counts, datagram_buffers, clock, .. } = self;
            let Some(client) = &mut clients[index] else { return clock.now() };
            let delivered = intake.tally.delivered;
            let mut heard = Heard::default();
            let mut read_at = None;
            let received = client.receive_datagrams(datagram_buffers, |bytes| {
                // Not before the call, which brought them.
                let now = *read_at.get_or_insert_with(|| clock.now());
                counts.bytes_received += bytes.len() as u64;
                if let Some(answer) = intake.take_datagram(index, bytes, now) {
                    heard.note(&answer);
                }
            });
            let now = read_at.unwrap_or_else(|| clock.now());
            intake.finish(now);
            self.series.add(now, self.intake.tally.delivered - delivered);
            if heard.probe {
                self.hears(index);
            }
            if heard.room_closed && !self.room_closed(index) {
                heard.words.get_or_insert_with(|| "the server closed the room".to_owned());
            }
            if let Some(reason) = heard.words {
                self.fail(index, &reason);
                return now;
            }
            match received {
                Ok(true) => {}
                Ok(false) => return now,
                Err(error) => {
                    self.fail(index, &format!("the server takes no datagrams: {error}"));
                    return now;
                }
            }
        }
    }

    /// Writes what a client has to send, and notes how late its messages left.
    fn flush(&mut self, index: usize) {
        let Some(client) = &mut self.clients[index] else { return };
        let now = self.clock.now();
        let flushed = client.flush().and_then(|()| client.watch(self.poll.registry(), Token(index)));
        if let Err(error) = flushed {
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
        if waiting < publishing::OUT_BYTES_MAX {
            self.publishing.release(publisher);
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
                // Bytes can be appended to whatever there is.
                let _ = client.push(|_, out| {
                    out.extend_from_slice(&pings.command);
                    Ok(())
                });
                self.flush(index);
            }
        }
    }
}
