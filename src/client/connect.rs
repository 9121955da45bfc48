//! Connects to the first address of a server that answers, as RFC 8305 ("Happy Eyeballs") has it.
//!
//! The addresses are tried in turn, families interleaved (section 4), each attempt a little after the one
//! before it or as soon as that has failed (section 5). The first connection wins; the other attempts are
//! given up.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Socket, Type};

use super::ClientError;
use crate::limits::{CLIENT_ADDRESSES_MAX, CLIENT_ATTEMPT_DELAY_MILLIS};

const ATTEMPT_DELAY: Duration = Duration::from_millis(CLIENT_ATTEMPT_DELAY_MILLIS);

/// The attempts to connect that failed, at least one.
#[derive(Debug)]
pub struct Attempts(Vec<(SocketAddr, io::Error)>);

/// A connection that is being made.
struct Attempt {
    address: SocketAddr,
    socket: Socket,
}

/// Connects to the first of the addresses that takes a connection, of at most [`CLIENT_ADDRESSES_MAX`].
pub fn connect(addresses: impl ToSocketAddrs, deadline: Instant) -> Result<TcpStream, ClientError> {
    let addresses = interleaved(addresses.to_socket_addrs()?.take(CLIENT_ADDRESSES_MAX));
    race(addresses, deadline).map_err(ClientError::Unreachable)
}

/// The families in turn, the first one first. Within a family the order stays.
fn interleaved(addresses: impl Iterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let addresses: Vec<_> = addresses.collect();
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (VecDeque<_>, VecDeque<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv6() == first_is_v6);
    let mut families = [first, second];
    let mut turn = 0;
    let mut order = VecDeque::with_capacity(addresses.len());
    while order.len() < addresses.len() {
        order.extend(families[turn].pop_front());
        turn = 1 - turn;
    }
    order
}

fn race(mut waiting: VecDeque<SocketAddr>, deadline: Instant) -> Result<TcpStream, Attempts> {
    let mut under_way: Vec<Attempt> = Vec::new();
    let mut failed = Vec::new();
    let mut next_at = Instant::now();
    loop {
        let now = Instant::now();
        if now >= deadline || (waiting.is_empty() && under_way.is_empty()) {
            let no_answer = |attempt: Attempt| (attempt.address, io::Error::other("no answer"));
            failed.extend(under_way.into_iter().map(no_answer));
            let not_tried = |address| (address, io::Error::other("not tried, for lack of time"));
            failed.extend(waiting.into_iter().map(not_tried));
            return Err(Attempts(failed));
        }
        if (now >= next_at || under_way.is_empty())
            && let Some(address) = waiting.pop_front()
        {
            next_at = now + ATTEMPT_DELAY;
            match start(address) {
                Ok(socket) => under_way.push(Attempt { address, socket }),
                Err(error) => failed.push((address, error)),
            }
            continue;
        }
        let wake = if waiting.is_empty() { deadline } else { deadline.min(next_at) };
        let Some((index, outcome)) = first_outcome(&under_way, wake) else { continue };
        let Attempt { address, socket } = under_way.remove(index);
        match outcome.and_then(|()| socket.set_nonblocking(false)) {
            Ok(()) => return Ok(socket.into()),
            Err(error) => {
                failed.push((address, error));
                next_at = now;
            }
        }
    }
}

fn start(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        // Neither is a failure of the attempt: the poll tells how it ends.
        Err(error)
            if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error())
                && error.kind() != io::ErrorKind::Interrupted =>
        {
            Err(error)
        }
        Ok(()) | Err(_) => Ok(socket),
    }
}

/// Waits until an attempt has ended, well or not, or until a moment.
fn first_outcome(under_way: &[Attempt], wake: Instant) -> Option<(usize, io::Result<()>)> {
    let left = wake.saturating_duration_since(Instant::now());
    let timeout = Timespec::try_from(left).ok();
    let mut polled: Vec<_> =
        under_way.iter().map(|attempt| PollFd::new(&attempt.socket, PollFlags::OUT)).collect();
    // What a signal interrupts is looked at again.
    poll(&mut polled, timeout.as_ref()).ok()?;
    let index = polled.iter().position(|polled| !polled.revents().is_empty())?;
    let outcome = match under_way[index].socket.take_error() {
        Ok(None) => Ok(()),
        Ok(Some(error)) | Err(error) => Err(error),
    };
    Some((index, outcome))
}

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("there is no address"),
            // Whoever asked for one address knows it.
            [(_, error)] => write!(f, "{error}"),
            failed => {
                for (index, (address, error)) in failed.iter().enumerate() {
                    write!(f, "{}{address}: {error}", if index > 0 { "; " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn families_take_turns_and_the_first_stays_first() {
        let order = |texts: &[&str]| {
            interleaved(texts.iter().map(|text| address(text)))
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            order(&["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1"]),
            ["[::1]:1", "10.0.0.1:1", "[::2]:1", "[::3]:1"]
        );
        assert_eq!(order(&["10.0.0.1:1", "10.0.0.2:1", "[::1]:1"]), ["10.0.0.1:1", "[::1]:1", "10.0.0.2:1"]);
        assert!(order(&[]).is_empty());
    }
}
