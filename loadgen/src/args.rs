//! The command line, and what of it is refused.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use parlance::limits::{
    MAIL_BYTES_AROUND, MAIL_TOTAL_BYTES_MAX, MAILBOX_BYTES_MAX, MAILBOX_SENDER_BYTES_MAX,
    MAILBOX_UNKNOWN_BYTES_MAX,
};
use thiserror::Error;

use crate::dialect::{Dialect, Rooms};
use crate::payload::{HEADER_BYTES, PUBLISHERS_MAX, RUN_MAX};
use crate::plan::{Arrivals, Plan, Traffic};
use crate::roster::Roster;
use crate::soak;
use crate::target::{Target, TargetError};

/// Cells of four bytes, one for each pair of a client and a publisher that it hears: 1 GiB.
const CELLS_MAX: usize = 1 << 28;
/// Clients' names have six digits.
const CLIENTS_MAX: usize = 1_000_000;
/// What is published when nothing else is asked for, in messages a second.
const RATE_DEFAULT: f64 = 20.0;
/// Publishers when everyone is in one room.
const PUBLISHERS_DEFAULT: usize = 4;
/// Publishers where only acknowledgements count: enough that all mailboxes together are full as soon as theirs are.
const KEPT_PUBLISHERS_DEFAULT: usize = 64;

const EXAMPLES: &str = "\
Examples:
  loadgen --clients 10000 --rate 20 --duration 10s
      10,000 clients in one room; 20 messages a second go to all of them.
  loadgen --clients 1000 --window 64 --server-pid $(pgrep parlance)
      As fast as the server can with 64 messages in flight; shows its CPU a delivery.
  loadgen --dialect slash --clients 10000 --room-size 10 --rate 5000 --arrivals poisson
      1000 rooms of 10, each with one publisher, messages at random times.
  loadgen --dialect tcrp --clients 10000 --room-size 10 --rate 5000 --server-pid $(pgrep parlance)
      The same over UDP. What is lost on the way is counted, and no fault.
  loadgen --dialect typed --clients 1000 --rate 2000
      500 pairs; in each, one writes to the other's mailbox, who is told of it. Logins take 15 to 30 s.
  loadgen --dialect typed --kept --clients 64 --window 4096 --duration 5s
      As fast as the server acknowledges direct messages as kept. The accounts stay for the next run.
  loadgen --dialect gob --clients 100 --rate 200
      One room. The server pauses between what it sends to a client, which is part of what is measured.
  loadgen --clients 10000 --idle --server-pid $(pgrep parlance)
      What an idle client costs the server.
  loadgen --dialect redis --clients 10000 --room-size 10 --rate 5000 --server-pid $(pgrep redis-server)
      The same as with slash, of Redis. So with nats, irc and mqtt, and the servers that speak these.

Latency counts from when a message should have been sent to when a recipient has read it, so that a stall of the \
server or of this program is seen in full. Every message is checked on arrival: nothing lost, doubled, reordered or \
altered.

Over UDP (tcrp), what is lost or comes late on the way is reported, and no fault; doubled or altered is. There is no --window: nobody knows when a datagram will never come. In a dialect of mailboxes (typed), each publisher must be told that its messages are kept, and each mailbox must list them at the end. Accounts and rooms made for a run are deleted after it.

With --kept, nobody is told of the messages, which go to all clients in turn: what counts as a delivery is that the publisher is told that its message is kept, once for each and in the order in which they were sent. What the server refuses is counted as such. Mailboxes hold 16 MiB each and 512 MiB in all, a message as its text and 256 bytes in the sender's and in the recipient's: 1.6 million messages of 64 bytes, with 64 clients or more. As the accounts stay, that is for all runs on a server together: give --delete-accounts, or a fresh server, when messages are refused because a mailbox is full.

The dialects redis, nats, irc and mqtt are of other servers, so that Parlance can be compared with them: their channels, subjects or topics are the rooms. Whoever says something hears it as well, but for irc. The servers' own limits on senders that are fast, and on recipients that are slow, must be lifted: docs/loadgen.md says which.

Where Parlance's dialect has a PING, each client sends one every 20 s, so that the server does not close it as idle. \
Without --busy the program sleeps until the next message is due, and wakes some 0.1 ms late; the schedule lag says \
by how much.

Exit status:
  0    all is well
  1    something was lost (but see tcrp), doubled, reordered, altered or refused, clients were
       refused or cut off, there is no server under that name, or the output or the disk is full
  2    the command line makes no sense
  130  cut short with Ctrl-C, and all was well until then";

/// An honest load generator for Parlance: connects many clients, lets some of them speak, and checks and times what all
/// the others receive.
#[derive(Parser, Debug)]
#[command(version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) mode: Option<Mode>,
    /// Server to connect to: a host, a port or both; of the addresses of a name the first that answers is
    /// taken for all clients [default: 127.0.0.1, port 4000 for line, 7000 for slash, 9090 for tcrp, 5000 for
    /// typed, 8080 for gob, 6379 for redis, 4222 for nats, 6667 for irc, 1883 for mqtt]
    #[arg(long, value_name = "HOST:PORT")]
    addr: Option<String>,
    /// Where the server's datagrams go, for tcrp [default: the address of --addr, port 9091]
    #[arg(long, value_name = "HOST:PORT")]
    datagrams: Option<String>,
    /// What to speak.
    #[arg(long, value_enum, default_value_t = Dialect::Line)]
    dialect: Dialect,
    /// For typed: measure that messages are acknowledged as kept, and nothing else; nobody is told of them.
    #[arg(long)]
    kept: bool,
    /// With --kept: delete the accounts at the end, with all that they keep [default: they stay, and are used again]
    #[arg(long, requires = "kept")]
    delete_accounts: bool,
    /// How many clients to connect.
    #[arg(long, value_name = "N", default_value_t = 100)]
    clients: usize,
    /// Clients in a room; the last room may have fewer [default: everyone in one room; for typed always 2]
    #[arg(long, value_name = "N")]
    room_size: Option<usize>,
    /// How many of the clients speak, spread evenly over them [default: 4; with rooms one in each; with --kept all, up to 64]
    #[arg(long, value_name = "N")]
    publishers: Option<usize>,
    /// So many of the clients stop reading once they are in the room, and are owed nothing; none of them speaks.
    #[arg(long, value_name = "N", default_value_t = 0)]
    stalled: usize,
    /// Bytes of a message's text, at least 16.
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    size: usize,
    /// Open loop: publish so many messages a second in all, whatever the server does [default: 20]
    #[arg(long, value_name = "N", conflicts_with_all = ["window", "idle"])]
    rate: Option<f64>,
    /// How the messages of --rate are spread over time.
    #[arg(long, value_enum, default_value_t = Arrivals::Constant, conflicts_with_all = ["window", "idle"])]
    arrivals: Arrivals,
    /// Closed loop: keep so many messages published and not yet delivered to everyone (with --kept: not yet acknowledged).
    #[arg(long, value_name = "N", conflicts_with = "idle")]
    window: Option<u32>,
    /// Publish nothing: connect, log in, and hold for the duration.
    #[arg(long)]
    idle: bool,
    /// How long to measure, such as 10s, 500ms or 2m.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "10s")]
    duration: Duration,
    /// How long to publish before measuring.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1s")]
    warmup: Duration,
    /// Connect at most so many clients a second [default: unlimited]
    #[arg(long, value_name = "N")]
    connect_rate: Option<f64>,
    /// Have at most so many clients connecting or logging in at once [default: 256, for typed 100, for irc 2000, for mqtt 64]
    #[arg(long, value_name = "N")]
    connecting: Option<usize>,
    /// Report the CPU and the memory of this process of this machine, the server.
    #[arg(long, value_name = "PID")]
    server_pid: Option<i32>,
    /// Never sleep: the most exact schedule, for a whole core.
    #[arg(long)]
    busy: bool,
    /// Seed of --arrivals poisson.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Write everything that is reported, and more, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw latency by percentile and deliveries over time.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Write latencies (ms) in the text form of HDR histograms: of deliveries to FILE, of last recipients beside it.
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
}

/// What is done in place of a run in one dialect.
#[derive(Subcommand, Debug)]
pub(crate) enum Mode {
    /// Many clients of all dialects come and go for a long time: does the server stay as it is?
    Soak(Box<soak::Plan>),
}

/// What is asked for makes no sense, and what would.
#[derive(Debug, Error, PartialEq)]
pub(crate) enum PlanError {
    #[error("--clients {0} is out of range: it takes at least 1 and at most {CLIENTS_MAX}")]
    Clients(usize),
    #[error(
        "{0} clients have nobody to talk to: --clients and --room-size must be at least 2, or give --idle"
    )]
    Alone(usize),
    #[error(
        "the {0} dialect has only one room, so --room-size can only be --clients; rooms need --dialect slash or tcrp"
    )]
    OneRoom(&'static str),
    #[error("the typed dialect has no rooms, only mailboxes, for clients two by two: leave out --room-size")]
    NoRooms,
    #[error("--clients {0} is odd, and the clients of the typed dialect write to each other two by two")]
    Odd(usize),
    #[error(
        "--window needs every message delivered, or it stands still, and datagrams may be lost: give --rate"
    )]
    Window,
    #[error("only --dialect typed keeps messages and says so: --kept needs it")]
    Kept,
    #[error("only --dialect tcrp has datagrams")]
    Datagrams,
    #[error("{flag}: {words}")]
    Address { flag: &'static str, words: String },
    /// The command line makes sense; the server is not found.
    #[error("{0}")]
    Server(String),
    #[error(
        "so many messages do not fit the server's mailboxes: {bytes:.0} bytes in {what}, which holds {max}; give a lower \
         --rate, a shorter --duration, smaller messages, or more --clients"
    )]
    Mailbox { bytes: f64, what: &'static str, max: usize },
    #[error("--room-size {0} is out of range: it takes at least 1 and at most --clients")]
    RoomSize(usize),
    #[error(
        "--publishers {0} is out of range: it takes at least 1 and at most --clients, and {PUBLISHERS_MAX}"
    )]
    Publishers(usize),
    #[error("--stalled {0} is out of range: publishers read, and at least two clients do")]
    Stalled(usize),
    #[error("--stalled needs everybody in one room, on connections that can stand still: line, slash or gob")]
    StalledRooms,
    #[error("--size {size} is out of range: a message takes {HEADER_BYTES} to {max} bytes in this dialect")]
    Size { size: usize, max: usize },
    #[error("{flag} {value} is out of range: it must be more than 0 and at most 1e9")]
    Rate { flag: &'static str, value: f64 },
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    #[error("--duration must be more than 0s")]
    Duration,
    #[error("--warmup and --duration must be at most {} h together", RUN_MAX.as_secs() / 3600)]
    TooLong,
    #[error(
        "checking {0} pairs of client and publisher takes too much memory: at most {CELLS_MAX}, so give fewer \
         --publishers or smaller rooms"
    )]
    Cells(usize),
}

impl PlanError {
    fn of_target(flag: &'static str, error: TargetError) -> Self {
        match error {
            TargetError::Text(words) => Self::Address { flag, words },
            TargetError::Server(words) => Self::Server(words),
        }
    }
}

/// The same address, the zone of a link-local one included, with another port.
fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

impl Args {
    /// Checks the arguments against each other and fills in what was left out.
    pub(crate) fn plan(self) -> Result<Plan, PlanError> {
        let clients = self.clients;
        if clients == 0 || clients > CLIENTS_MAX {
            return Err(PlanError::Clients(clients));
        }
        if self.kept && !self.dialect.keeps_messages() {
            return Err(PlanError::Kept);
        }
        let room_size = self.room_size(clients)?;
        let heard_by = if self.kept { clients } else { room_size };
        if heard_by == 1 && !self.idle {
            return Err(PlanError::Alone(heard_by));
        }
        let publishers_default = match clients.div_ceil(room_size) {
            1 => PUBLISHERS_DEFAULT,
            _ if self.kept => KEPT_PUBLISHERS_DEFAULT,
            rooms => rooms,
        };
        let publishers = self.publishers.unwrap_or(publishers_default.min(clients).min(PUBLISHERS_MAX));
        if publishers == 0 || publishers > clients.min(PUBLISHERS_MAX) {
            return Err(PlanError::Publishers(publishers));
        }
        if self.stalled > clients.saturating_sub(publishers.max(2)) {
            return Err(PlanError::Stalled(self.stalled));
        }
        let can_stall = room_size == clients && !self.dialect.may_lose() && !self.dialect.keeps_messages();
        if self.stalled > 0 && !can_stall {
            return Err(PlanError::StalledRooms);
        }
        let size_max = self.dialect.text_bytes_max();
        if !(HEADER_BYTES..=size_max).contains(&self.size) {
            return Err(PlanError::Size { size: self.size, max: size_max });
        }
        let connecting_limit = self.connecting.unwrap_or(self.dialect.connecting_default());
        if connecting_limit == 0 {
            return Err(PlanError::Zero("--connecting"));
        }
        let datagram_port = self.dialect.default_datagram_port();
        if self.datagrams.is_some() && datagram_port.is_none() {
            return Err(PlanError::Datagrams);
        }
        if self.duration.is_zero() {
            return Err(PlanError::Duration);
        }
        if self.warmup.saturating_add(self.duration) > RUN_MAX {
            return Err(PlanError::TooLong);
        }
        let Target { address: addr, name: server_name } = match &self.addr {
            Some(text) => Target::find(text, self.dialect.default_port())
                .map_err(|error| PlanError::of_target("--addr", error))?,
            None => Target::at(SocketAddr::from(([127, 0, 0, 1], self.dialect.default_port()))),
        };
        let datagram_port = datagram_port.unwrap_or_default();
        let datagrams = match &self.datagrams {
            Some(text) => Target::of_datagrams(text, datagram_port, addr.ip())
                .map_err(|error| PlanError::of_target("--datagrams", error))?,
            None => with_port(addr, datagram_port),
        };
        let plan = Plan {
            addr,
            server_name,
            datagrams,
            dialect: self.dialect,
            kept: self.kept,
            deletes_accounts: self.delete_accounts || !self.kept,
            clients,
            room_size,
            publishers,
            stalled: self.stalled,
            size: self.size,
            traffic: self.traffic()?,
            warmup: self.warmup,
            duration: self.duration,
            connect_rate: self.connect_rate.map(|rate| positive("--connect-rate", rate)).transpose()?,
            connecting_limit,
            server_pid: self.server_pid,
            busy: self.busy,
            seed: self.seed,
            json: self.json,
            plot: self.plot,
            hgrm: self.hgrm,
        };
        let cells = Roster::new(&plan, 0).cells();
        if cells > CELLS_MAX {
            return Err(PlanError::Cells(cells));
        }
        check_mailboxes(&plan)?;
        Ok(plan)
    }

    fn room_size(&self, clients: usize) -> Result<usize, PlanError> {
        let room_size = self.room_size.unwrap_or(clients);
        if room_size == 0 || room_size > clients {
            return Err(PlanError::RoomSize(room_size));
        }
        match self.dialect.rooms() {
            Rooms::Any => Ok(room_size),
            Rooms::One if room_size == clients => Ok(clients),
            Rooms::One => Err(PlanError::OneRoom(self.dialect.name())),
            Rooms::Pairs if self.room_size.is_some_and(|size| self.kept || size != 2) => {
                Err(PlanError::NoRooms)
            }
            Rooms::Pairs if self.kept || clients == 1 => Ok(1),
            Rooms::Pairs if !clients.is_multiple_of(2) => Err(PlanError::Odd(clients)),
            Rooms::Pairs => Ok(2),
        }
    }

    fn traffic(&self) -> Result<Traffic, PlanError> {
        if self.idle {
            return Ok(Traffic::Idle);
        }
        match self.window {
            Some(_) if self.dialect.may_lose() => Err(PlanError::Window),
            Some(0) => Err(PlanError::Zero("--window")),
            Some(window) => Ok(Traffic::Closed { window }),
            None => {
                let rate = positive("--rate", self.rate.unwrap_or(RATE_DEFAULT))?;
                Ok(Traffic::Open { rate, arrivals: self.arrivals })
            }
        }
    }
}

/// Whether what is to be kept can be. A closed loop is as fast as the server, so that nobody knows.
fn check_mailboxes(plan: &Plan) -> Result<(), PlanError> {
    let Traffic::Open { rate, .. } = plan.traffic else { return Ok(()) };
    if !plan.dialect.keeps_messages() {
        return Ok(());
    }
    let seconds = (plan.warmup + plan.duration).as_secs_f64();
    let total = rate * seconds * (plan.size + MAIL_BYTES_AROUND) as f64;
    // What is said is in both mailboxes. It goes to all in turn; or of a pair, one publishes or both do.
    let sent = total / plan.publishers as f64;
    let received = match plan.kept {
        true => total / plan.clients as f64,
        false if plan.publishers > plan.clients / 2 => sent,
        false => 0.0,
    };
    let of_mailbox = sent + received;
    // From one publisher to one recipient.
    let recipients = if plan.kept { (plan.clients - 1).max(1) } else { 1 };
    let of_sender = sent / recipients as f64;
    // A client that publishes nothing has written to no account.
    let of_unknown = if plan.kept && plan.publishers < plan.clients { received } else { 0.0 };
    let checks = [
        (total, "all mailboxes", MAIL_TOTAL_BYTES_MAX),
        (of_mailbox, "one mailbox", MAILBOX_BYTES_MAX),
        (of_sender, "one sender's share of a mailbox", MAILBOX_SENDER_BYTES_MAX),
        (of_unknown, "the share of a mailbox for people unknown to its owner", MAILBOX_UNKNOWN_BYTES_MAX),
    ];
    match checks.into_iter().find(|(bytes, _, max)| *bytes > *max as f64) {
        Some((bytes, what, max)) => Err(PlanError::Mailbox { bytes, what, max }),
        None => Ok(()),
    }
}

fn positive(flag: &'static str, value: f64) -> Result<f64, PlanError> {
    if value > 0.0 && value <= 1e9 { Ok(value) } else { Err(PlanError::Rate { flag, value }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(line: &str) -> Result<Plan, PlanError> {
        let words = std::iter::once("loadgen").chain(line.split_whitespace());
        Args::try_parse_from(words).expect(line).plan()
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let plan = plan("--clients 10000").expect("it is enough");
        assert_eq!(plan.addr, SocketAddr::from(([127, 0, 0, 1], 4000)));
        assert_eq!((plan.room_size, plan.publishers), (10_000, 4));
        assert_eq!(plan.traffic, Traffic::Open { rate: 20.0, arrivals: Arrivals::Constant });
    }

    #[test]
    fn with_rooms_each_has_a_publisher() {
        let plan = plan("--dialect slash --clients 95 --room-size 10").expect("it is enough");
        assert_eq!((plan.addr.port(), plan.publishers), (7000, 10));
    }

    #[test]
    fn each_dialect_has_its_rooms_and_ports() {
        let tcrp = plan("--dialect tcrp --clients 10000 --room-size 10 --rate 5000").expect("it is enough");
        assert_eq!((tcrp.addr.port(), tcrp.datagrams.port(), tcrp.publishers), (9090, 9091, 1000));
        assert_eq!(
            plan("--addr 127.0.0.7").expect("it is enough").addr,
            SocketAddr::from(([127, 0, 0, 7], 4000))
        );
        let elsewhere =
            plan("--dialect tcrp --addr 127.0.0.7:5 --datagrams 127.0.0.7:6").expect("it is enough");
        assert_eq!((elsewhere.datagrams, elsewhere.room_size), (SocketAddr::from(([127, 0, 0, 7], 6)), 100));
        let typed = plan("--dialect typed --clients 100").expect("it is enough");
        let Plan { room_size, publishers, connecting_limit, .. } = typed;
        assert_eq!((typed.addr.port(), room_size, publishers, connecting_limit), (5000, 2, 50, 100));
        let Plan { room_size, publishers, kept, deletes_accounts, .. } =
            plan("--dialect typed --kept --clients 9").expect("it is enough");
        assert_eq!((room_size, publishers, kept, deletes_accounts), (1, 9, true, false));
        let gob = plan("--dialect gob --size 4019").expect("it is enough");
        assert_eq!((gob.addr.port(), gob.room_size, gob.publishers), (8080, 100, 4));
        assert_eq!(plan("--dialect gob --size 4020").err(), Some(PlanError::Size { size: 4020, max: 4019 }));
        let peers = [("redis", 6379), ("nats", 4222), ("irc", 6667), ("mqtt", 1883)];
        for (name, port) in peers {
            let peer = plan(&format!("--dialect {name} --room-size 10")).expect("it is enough");
            assert_eq!((peer.dialect.name(), peer.addr.port(), peer.publishers), (name, port, 10));
        }
        assert_eq!(plan("--dialect irc --size 400").err(), Some(PlanError::Size { size: 400, max: 395 }));
    }

    #[test]
    fn what_mailboxes_do_not_hold_is_refused() {
        // 11 s of 320 bytes.
        let fits = |line: &str| !matches!(plan(line), Err(PlanError::Mailbox { .. }));
        assert!(fits("--dialect typed --clients 1000 --rate 150000"));
        assert!(!fits("--dialect typed --clients 1000 --rate 155000"), "in all");
        assert!(fits("--dialect typed --clients 2 --publishers 1 --rate 590"));
        assert!(!fits("--dialect typed --clients 2 --publishers 1 --rate 600"), "from one sender");
        assert!(fits("--dialect typed --clients 2 --rate 1180"), "from two");
        assert!(fits("--dialect line --clients 2 --rate 5000"));
        assert!(fits("--dialect typed --kept --clients 64 --publishers 4 --rate 17000"), "in a publisher's");
        assert!(
            !fits("--dialect typed --kept --clients 64 --publishers 4 --rate 19000"),
            "and from the others"
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!(plan("--clients 0").err(), Some(PlanError::Clients(0)));
        assert_eq!(plan("--clients 1").err(), Some(PlanError::Alone(1)));
        assert_eq!(plan("--room-size 10").err(), Some(PlanError::OneRoom("line")));
        assert_eq!(plan("--dialect gob --room-size 10").err(), Some(PlanError::OneRoom("gob")));
        assert_eq!(plan("--dialect typed --room-size 10").err(), Some(PlanError::NoRooms));
        assert_eq!(plan("--dialect typed --clients 9").err(), Some(PlanError::Odd(9)));
        assert_eq!(plan("--dialect tcrp --window 9").err(), Some(PlanError::Window));
        assert_eq!(plan("--kept").err(), Some(PlanError::Kept));
        assert_eq!(plan("--dialect typed --kept --clients 1").err(), Some(PlanError::Alone(1)));
        assert_eq!(plan("--dialect typed --kept --room-size 2").err(), Some(PlanError::NoRooms));
        assert_eq!(plan("--datagrams 127.0.0.1:1").err(), Some(PlanError::Datagrams));
        for line in [
            "--addr http://127.0.0.1:1",
            "--addr 127.0.0.1:99999",
            "--dialect tcrp --datagrams ::1:2:3:4:5:6:7:8:9",
        ] {
            assert!(matches!(plan(line).err(), Some(PlanError::Address { .. })), "{line}");
        }
        assert_eq!(plan("--dialect slash --room-size 101").err(), Some(PlanError::RoomSize(101)));
        assert_eq!(plan("--publishers 101").err(), Some(PlanError::Publishers(101)));
        assert_eq!(plan("--stalled 97").err(), Some(PlanError::Stalled(97)));
        assert_eq!(plan("--publishers 1 --stalled 99").err(), Some(PlanError::Stalled(99)));
        for line in ["--dialect slash --room-size 10", "--dialect tcrp", "--dialect typed --clients 4"] {
            assert_eq!(plan(&format!("{line} --stalled 1")).err(), Some(PlanError::StalledRooms), "{line}");
        }
        assert_eq!(plan("--size 15").err(), Some(PlanError::Size { size: 15, max: 4091 }));
        assert_eq!(plan("--size 4092").err(), Some(PlanError::Size { size: 4092, max: 4091 }));
        assert_eq!(plan("--rate 0").err(), Some(PlanError::Rate { flag: "--rate", value: 0.0 }));
        assert_eq!(plan("--window 0").err(), Some(PlanError::Zero("--window")));
        assert_eq!(plan("--duration 0s").err(), Some(PlanError::Duration));
        assert_eq!(plan("--duration 18h").err(), Some(PlanError::TooLong));
        let cells = plan("--clients 60000 --publishers 60000").err();
        assert_eq!(cells, Some(PlanError::Cells(3_600_000_000)));
    }

    #[test]
    fn one_kind_of_traffic_excludes_the_others() {
        for line in
            ["--rate 1 --window 1", "--rate 1 --idle", "--window 1 --idle", "--window 1 --arrivals poisson"]
        {
            let words = std::iter::once("loadgen").chain(line.split_whitespace());
            assert!(Args::try_parse_from(words).is_err(), "{line}");
        }
    }
}
