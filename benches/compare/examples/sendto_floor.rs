//! The floor of a datagram: what the kernel takes to send one by plain `sendto`, as the unit of measure for a server that
//! sends many at once, and does more.
//!
//! One thread sends to sockets in turn, another reads them. What counts is the sender's processor time, which on loopback
//! has the datagram's whole way in it, up to the receiving socket.
//!
//! With `--segments` the same with segmentation offload: so many datagrams of equal size to one address with each call.

use std::hint::black_box;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use mio::{Events, Interest, Poll, Token};
use nix::sys::socket::sockopt::UdpGsoSegment;
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use socket2::{Domain, Protocol, Socket, Type};

/// The processor time that plain `sendto` takes a datagram.
#[derive(Parser)]
struct Args {
    /// Datagrams to send.
    #[arg(long, default_value_t = 1_000_000)]
    datagrams: u64,
    /// Bytes of each.
    #[arg(long, default_value_t = 100)]
    size: u16,
    /// Sockets that they are sent to in turn.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    receivers: u16,
    /// Datagrams to one address with one call (`UDP_SEGMENT`); 1 for plain datagrams.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    segments: u64,
    /// With `--segments`: tell the kernel the size before each call, as whoever sends different sizes must.
    #[arg(long)]
    tell_size: bool,
    /// Datagrams a second, in bursts; 0 for as many as can be.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// Datagrams of a burst: 9 are a message to a room of ten.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u64).range(1..))]
    burst: u64,
    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,
    /// The core that sends.
    #[arg(long)]
    pin: Option<usize>,
    /// The core that reads.
    #[arg(long)]
    pin_receivers: Option<usize>,
    /// The address of all sockets.
    #[arg(long, default_value = "127.0.0.1")]
    ip: IpAddr,
}

/// More than what waits for a reader that keeps up.
const BUFFER_BYTES: usize = 4 << 20;
/// How long the reader waits for the last ones, once the sender is done.
const LAST: Duration = Duration::from_millis(100);

fn main() -> io::Result<()> {
    let args = Args::parse();
    let any_port = SocketAddr::new(args.ip, 0);
    let mut sockets = Vec::new();
    for _ in 0..args.receivers {
        let socket = Socket::new(Domain::for_address(any_port), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_recv_buffer_size(BUFFER_BYTES)?;
        socket.set_nonblocking(true)?;
        socket.bind(&any_port.into())?;
        sockets.push(mio::net::UdpSocket::from_std(socket.into()));
    }
    let addresses = sockets.iter().map(mio::net::UdpSocket::local_addr).collect::<io::Result<Vec<_>>>()?;
    let is_sent = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| read(sockets, args.pin_receivers, &is_sent));
        let sent = send(&args, &addresses);
        is_sent.store(true, Ordering::Relaxed);
        let received = reader.join().expect("the reader does not panic")?;
        let Sent { elapsed, in_all, in_bursts } = sent?;
        let per_datagram = |time: Duration| time.as_nanos() as f64 / args.datagrams.max(1) as f64;
        let per_second = args.datagrams as f64 / elapsed.as_secs_f64();
        if args.json {
            writeln!(
                io::stdout(),
                "{{\"sent\": {}, \"received\": {received}, \"per_second\": {per_second:.1}, \"cpu_ns\": {:.1}}}",
                args.datagrams,
                per_datagram(in_all)
            )?;
            return Ok(());
        }
        let Args { datagrams, size, segments, .. } = args;
        let mut stdout = io::stdout();
        writeln!(stdout, "{datagrams} datagrams of {size} bytes, {segments} a call, {received} received")?;
        writeln!(stdout, "{per_second:.0} a second")?;
        writeln!(stdout, "{:.0} ns of processor time a datagram", per_datagram(in_all))?;
        if let Some(in_bursts) = in_bursts {
            writeln!(stdout, "{:.0} ns of it in the bursts, the rest between them", per_datagram(in_bursts))?;
        }
        Ok(())
    })
}

/// What sending took.
struct Sent {
    elapsed: Duration,
    /// The thread's processor time, user and system.
    in_all: Duration,
    /// That of it which is not for sleeping, if there was any.
    in_bursts: Option<Duration>,
}

fn send(args: &Args, addresses: &[SocketAddr]) -> io::Result<Sent> {
    pin(args.pin)?;
    let socket = UdpSocket::bind((args.ip, 0))?;
    let datagrams = vec![b'x'; usize::from(args.size) * args.segments as usize];
    let tell_size = || nix::sys::socket::setsockopt(&socket, UdpGsoSegment, &i32::from(args.size));
    if args.segments > 1 {
        tell_size()?;
    }
    let mut to = addresses.iter().cycle();
    let mut send = |mut count: u64| -> io::Result<()> {
        for address in to.by_ref() {
            if count == 0 {
                break;
            }
            let together = count.min(args.segments);
            if args.tell_size {
                tell_size()?;
            }
            socket.send_to(black_box(&datagrams[..usize::from(args.size) * together as usize]), address)?;
            count -= together;
        }
        Ok(())
    };
    let (start, used) = (Instant::now(), thread_time());
    let mut in_bursts = None;
    if args.rate == 0 {
        send(args.datagrams)?;
    } else {
        let mut bursts = Duration::ZERO;
        let mut done = 0;
        while done < args.datagrams {
            let due = start + Duration::from_secs_f64(done as f64 / args.rate as f64);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let count = args.burst.min(args.datagrams - done);
            let before = thread_time();
            send(count)?;
            bursts += thread_time().saturating_sub(before);
            done += count;
        }
        in_bursts = Some(bursts);
    }
    Ok(Sent { elapsed: start.elapsed(), in_all: thread_time().saturating_sub(used), in_bursts })
}

/// Reads until nothing has come for a while after all was sent; returns how many datagrams came.
fn read(mut sockets: Vec<mio::net::UdpSocket>, core: Option<usize>, is_sent: &AtomicBool) -> io::Result<u64> {
    pin(core)?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(sockets.len());
    for (index, socket) in sockets.iter_mut().enumerate() {
        poll.registry().register(socket, Token(index), Interest::READABLE)?;
    }
    let mut buffer = vec![0; 1 << 16];
    let mut received = 0;
    loop {
        let was_sent = is_sent.load(Ordering::Relaxed);
        match poll.poll(&mut events, Some(LAST)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        }
        if was_sent && events.is_empty() {
            return Ok(received);
        }
        for event in &events {
            while sockets[event.token().0].recv(&mut buffer).is_ok() {
                received += 1;
            }
        }
    }
}

fn pin(core: Option<usize>) -> io::Result<()> {
    let Some(core) = core else { return Ok(()) };
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}

/// The processor time that the calling thread has taken, user and system.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec.cast_unsigned() as u32)
}
