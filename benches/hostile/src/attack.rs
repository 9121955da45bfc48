//! The kinds of attack, from threads that have the core only while the bystanders beside them do not want it.

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use parlance::client::{ClientError, Mailbox};
use parlance::wire::Dialect;
use parlance::wire::ucrp::{Datagram, Message};
use rustix::thread::{CpuSet, gettid, sched_setaffinity};
use socket2::{Domain, SockRef, Socket, Type};

use crate::server::Addresses;

/// Connections that those who connect ask for in a second, some each millisecond.
const CONNECTS_PER_SECOND: u32 = 20_000;
/// How long an attacker waits for anything before it looks whether it is to stop.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Accounts whose passwords are tried.
const VICTIMS: usize = 4;
/// The dialects that are spoken over connections.
const STREAMS: [Dialect; 5] = [Dialect::Line, Dialect::Slash, Dialect::Tcrp, Dialect::Typed, Dialect::Gob];

/// A kind of attack.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Attack {
    /// 600 connections that never speak.
    Silent,
    /// 200 connections that send a byte now and then.
    Trickle,
    /// 20 members of a room that never read, and one who says 4000 bytes at a time to them.
    NeverRead,
    /// Connections that are reset with half a line sent.
    Resets,
    /// Connections from one address.
    Connects,
    /// Connections until no descriptors are left, and more.
    Descriptors,
    /// Frames that announce 2^63 bytes, and some of what they announce.
    Announcements,
    /// Wrong passwords, from many addresses.
    Passwords,
    /// Datagrams with random tokens.
    Datagrams,
    /// One who publishes in another room, as fast as it can.
    Publisher,
    /// One who makes rooms, as fast as it can.
    Rooms,
    /// Ten who come to a room and leave it, as fast as they can.
    Hoppers,
}

impl Attack {
    /// As the table calls it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Silent => "600 connections that never speak",
            Self::Trickle => "200 connections that send a byte now and then",
            Self::NeverRead => "20 members that never read a room of long messages",
            Self::Resets => "connections reset with half a line sent",
            Self::Connects => "connections from one address",
            Self::Descriptors => "connections until no descriptors are left",
            Self::Announcements => "frames that announce 2^63 bytes",
            Self::Passwords => "wrong passwords",
            Self::Datagrams => "datagrams with random tokens",
            Self::Publisher => "one who publishes in another room",
            Self::Rooms => "one who makes rooms",
            Self::Hoppers => "ten who come to a room and leave it",
        }
    }

    /// How many files the server may have open, where that is what is attacked. The bystanders have theirs first.
    pub(crate) fn open_files(self) -> Option<u32> {
        (self == Self::Descriptors).then_some(400)
    }
}

/// Attackers of one kind.
pub(crate) struct Attackers<'a> {
    addresses: &'a Addresses,
    attack: Attack,
}

/// Holds those who connect to so many a second.
struct Pace {
    due: Instant,
    left: u32,
}

impl Pace {
    fn new() -> Self {
        Self { due: Instant::now(), left: 0 }
    }

    /// Waits until one more may. What was missed is not made up for.
    fn wait(&mut self) {
        if self.left == 0 {
            let now = Instant::now();
            thread::sleep(self.due.saturating_duration_since(now));
            self.due = self.due.max(now) + Duration::from_millis(1);
            self.left = CONNECTS_PER_SECOND / 1000;
        }
        self.left -= 1;
    }
}

/// What a thread of attackers works with.
#[derive(Clone, Copy)]
struct Work<'a> {
    addresses: &'a Addresses,
    stop: &'a AtomicBool,
    /// What was done, whatever that is.
    done: &'a AtomicU64,
}

impl<'a> Attackers<'a> {
    /// Has everything made that they need.
    pub(crate) fn new(addresses: &'a Addresses, attack: Attack) -> Result<Self, ClientError> {
        if attack == Attack::Passwords {
            let deadline = Instant::now() + Duration::from_secs(60);
            for victim in 0..VICTIMS {
                let mut mailbox = Mailbox::connect(addresses.of(Dialect::Typed), deadline)?;
                mailbox.login(&format!("victim{victim}"), "secret", deadline)?;
            }
        }
        Ok(Self { addresses, attack })
    }

    /// Has them begin, on this core. They go on until they are to stop.
    pub(crate) fn start<'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        core: usize,
        stop: &'scope AtomicBool,
        done: &'scope AtomicU64,
    ) where
        'a: 'scope,
    {
        let work = Work { addresses: self.addresses, stop, done };
        let attack = self.attack;
        scope.spawn(move || {
            if let Err(error) = behind_others(core) {
                crate::tell(format_args!(
                    "bystanders seem to wait longer than they do: attackers are not behind them: {error}"
                ));
            }
            match attack {
                Attack::Silent => work.hold(600, |_| {}),
                Attack::Trickle => work.hold(200, Work::trickle),
                Attack::NeverRead => work.stall(20),
                Attack::Resets => work.connect(&[1, 2, 3, 4], b"LOGIN res"),
                Attack::Connects => work.connect(&[1], b""),
                Attack::Descriptors => work.hold(1000, |_| {}),
                Attack::Announcements => work.announce(),
                Attack::Passwords => work.guess(),
                Attack::Datagrams => work.flood(),
                Attack::Publisher => work.publish(),
                Attack::Rooms => work.walk("walker", |number| format!("/join room{number}\n")),
                Attack::Hoppers => work.hop(10),
            }
        });
    }
}

/// Puts this thread behind whatever else the core has to do. Niceness is not enough: even the nicest thread may finish its
/// slice of some milliseconds before a bystander who wakes has the core, and that would be measured.
fn behind_others(core: usize) -> Result<(), Box<dyn Error>> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores)?;
    let thread = gettid().as_raw_nonzero().to_string();
    let status = Command::new("chrt").args(["--idle", "--pid", "0", &thread]).status()?;
    if status.success() { Ok(()) } else { Err("chrt --idle fails".into()) }
}

/// A connection from one of the attackers' addresses, which leaves no port behind; nothing, if it fails.
fn connect(from: u8, to: SocketAddr) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
    socket.set_linger(Some(Duration::ZERO)).ok()?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 1, from), 0)).into()).ok()?;
    socket.connect(&to.into()).ok()?;
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(LOOK_INTERVAL)).ok()?;
    stream.set_write_timeout(Some(LOOK_INTERVAL)).ok()?;
    Some(stream)
}

impl Work<'_> {
    fn goes_on(self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn did(self, count: usize) {
        self.done.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Holds so many connections, from ten addresses, to all dialects, and tries again where it was refused.
    fn hold(self, count: usize, mut meanwhile: impl FnMut(&mut [Option<TcpStream>])) {
        let mut pace = Pace::new();
        let mut held: Vec<Option<TcpStream>> = (0..count).map(|_| None).collect();
        while self.goes_on() {
            for (index, stream) in held.iter_mut().enumerate() {
                let is_open = stream.as_mut().is_some_and(|stream| {
                    let _ = stream.set_nonblocking(true);
                    let end = stream.read(&mut [0; 256]);
                    matches!(end, Ok(1..)) || end.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
                });
                if !is_open {
                    pace.wait();
                    *stream = connect(1 + (index % 10) as u8, self.addresses.of(STREAMS[index % 5]));
                    self.did(1);
                }
            }
            meanwhile(&mut held);
            thread::sleep(LOOK_INTERVAL / 5);
        }
    }

    /// A byte from each.
    fn trickle(held: &mut [Option<TcpStream>]) {
        for stream in held.iter_mut().flatten() {
            let _ = stream.write(b"x");
        }
    }

    /// Connects, sends that, and resets.
    fn connect(self, from: &[u8], bytes: &[u8]) {
        let mut pace = Pace::new();
        for from in from.iter().cycle().take_while(|_| self.goes_on()) {
            pace.wait();
            if let Some(mut stream) = connect(*from, self.addresses.of(Dialect::Line)) {
                let _ = stream.write(bytes);
                self.did(1);
            }
        }
    }

    fn announce(self) {
        let typed = [&1_u64.to_be_bytes()[..], &u32::MAX.to_be_bytes()].concat();
        let gob = [&[0xf8][..], &(1_u64 << 63).to_be_bytes()].concat();
        let mut tcrp = vec![5, 1, 0];
        tcrp.extend([0; 21]);
        tcrp.extend((1_u64 << 63).to_be_bytes());
        let junk = vec![b'x'; 1 << 16];
        let all = [(Dialect::Tcrp, tcrp), (Dialect::Typed, typed), (Dialect::Gob, gob)];
        let mut pace = Pace::new();
        for (index, (dialect, start)) in all.iter().cycle().enumerate().take_while(|_| self.goes_on()) {
            pace.wait();
            if let Some(mut stream) = connect(1 + (index % 10) as u8, self.addresses.of(*dialect)) {
                let _ = stream.write_all(start).and_then(|()| stream.write_all(&junk));
                self.did(1);
            }
        }
    }

    /// Fifty guesses at once on each connection, answers read, and so on.
    fn guess(self) {
        const AT_ONCE: usize = 50;
        let mut streams: Vec<_> =
            (1..=20).filter_map(|from| connect(from, self.addresses.of(Dialect::Line))).collect();
        let guesses: String =
            (0..AT_ONCE).map(|index| format!("LOGIN victim{} guess\n", index % VICTIMS)).collect();
        let mut owed = vec![0; streams.len()];
        while self.goes_on() {
            for (stream, owed) in streams.iter_mut().zip(&mut owed) {
                if *owed == 0 && stream.write_all(guesses.as_bytes()).is_ok() {
                    *owed = AT_ONCE;
                }
                let _ = stream.set_nonblocking(true);
                let answered = lines_read(stream);
                let _ = stream.set_nonblocking(false);
                *owed = owed.saturating_sub(answered);
                self.did(answered);
            }
        }
    }

    fn flood(self) {
        let Ok(socket) = UdpSocket::bind((Ipv4Addr::new(127, 0, 1, 1), 0)) else { return };
        let to = self.addresses.of(Dialect::Ucrp);
        let mut datagram = Vec::new();
        while self.goes_on() {
            datagram.clear();
            let token = format!("token_{:032x}", fastrand::u128(..));
            let message = Message::Chat("who reads this?");
            if (Datagram { room: "lobby", token: &token, message }).encode(&mut datagram).is_ok() {
                let _ = socket.send_to(&datagram, to);
            }
            self.did(1);
        }
    }

    /// Somebody of slash.
    fn slash(self, from: u8, name: &str) -> Option<TcpStream> {
        let mut stream = connect(from, self.addresses.of(Dialect::Slash))?;
        // Many of the runs before may be there still.
        let name = format!("{name}-{}", fastrand::u32(..));
        stream.write_all(format!("{name}\n").as_bytes()).ok()?;
        Some(stream)
    }

    /// Sends one request after another, each as soon as there is space for it, and reads what comes.
    fn walk(self, name: &str, request: impl Fn(u64) -> String) {
        let Some(mut stream) = self.slash(1, name) else { return };
        let Ok(mut reading) = stream.try_clone() else { return };
        thread::scope(|scope| {
            scope.spawn(move || {
                while self.goes_on() {
                    self.did(lines_read(&mut reading));
                }
            });
            let mut number = 0;
            while self.goes_on() {
                let batch: String = (number..number + 50).map(&request).collect();
                number += 50;
                let mut rest = batch.as_bytes();
                while !rest.is_empty() && self.goes_on() {
                    rest = &rest[stream.write(rest).unwrap_or(0)..];
                }
            }
        });
    }

    fn publish(self) {
        self.walk(
            "fast",
            |number| if number == 0 { "/join den\n".to_owned() } else { format!("{number}\n") },
        );
    }

    fn hop(self, count: u8) {
        thread::scope(|scope| {
            for index in 0..count {
                scope.spawn(move || {
                    let rooms = ["/join den\n", "/join attic\n"];
                    self.walk(&format!("hopper{index}"), |number| rooms[number as usize % 2].to_owned());
                });
            }
        });
    }

    /// Members that never read, and one who talks to them.
    fn stall(self, count: u8) {
        let join = |index| {
            let mut stream = self.slash(1 + index, "stalled")?;
            let _ = SockRef::from(&stream).set_recv_buffer_size(1);
            stream.write_all(b"/join den\n").ok()?;
            Some(stream)
        };
        let stalled: Vec<_> = (0..count).filter_map(join).collect();
        let text = "x".repeat(4000);
        self.walk(
            "talker",
            |number| if number == 0 { "/join den\n".to_owned() } else { format!("{text}\n") },
        );
        drop(stalled);
    }
}

/// Reads what there is, or waits a little for it; returns how many lines ended in it.
fn lines_read(stream: &mut TcpStream) -> usize {
    let mut buffer = [0; 1 << 14];
    let length = stream.read(&mut buffer).unwrap_or(0);
    memchr::memchr_iter(b'\n', &buffer[..length]).count()
}
