//! Bytes in and out of a socket, none of them without a deadline. Knows no dialect.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::ClientError;
use super::first_bytes::{FirstBytes, Opened};
use crate::limits::{CLIENT_READ_BYTES, CLIENT_SEND_SECONDS_MAX};
use crate::wire::Dialect;

/// A stream, and what was received on it. How much may be received before it is done with is for its owner to bound.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// What was received; `buffer[..done]` is done with.
    buffer: Vec<u8>,
    done: usize,
    /// What the server is to speak, until enough has come to tell.
    expected: Option<Dialect>,
    /// The first bytes that came, until the server has proved to be the expected one.
    first: FirstBytes,
    is_trusted: bool,
}

impl Connection {
    /// Takes over a stream on which nothing was sent yet.
    pub(super) fn new(opened: impl Into<Opened>, dialect: Dialect) -> Result<Self, ClientError> {
        let Opened { stream, first_bytes: first } = opened.into();
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(Duration::from_secs(CLIENT_SEND_SECONDS_MAX)))?;
        let expected = Some(dialect);
        Ok(Self { stream, buffer: Vec::new(), done: 0, expected, first, is_trusted: false })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    pub(super) fn send(&self, bytes: &[u8]) -> Result<(), ClientError> {
        send(&self.stream, bytes)
    }

    /// What was received and is not done with.
    pub(super) fn received(&self) -> &[u8] {
        &self.buffer[self.done..]
    }

    /// So many bytes more are done with.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.done += bytes;
    }

    /// The next so many bytes, which are done with from now on.
    pub(super) fn take(&mut self, bytes: usize) -> &[u8] {
        let start = self.done;
        self.done += bytes;
        &self.buffer[start..self.done]
    }

    /// Reads what is there, or waits for it.
    pub(super) fn receive(&mut self, deadline: Instant) -> Result<(), ClientError> {
        self.buffer.drain(..self.done);
        self.done = 0;
        self.stream.set_read_timeout(Some(until(deadline)?))?;
        let end = self.buffer.len();
        self.buffer.resize(end + CLIENT_READ_BYTES, 0);
        let result = self.stream.read(&mut self.buffer[end..]);
        self.buffer.truncate(end + result.as_ref().copied().unwrap_or(0));
        match result {
            Ok(0) => Err(ClientError::Closed),
            Ok(_) => self.recognize(end),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks at the first bytes, of which those from here on are new: another dialect, or another kind of
    /// server, is an error.
    fn recognize(&mut self, new: usize) -> Result<(), ClientError> {
        let Some(dialect) = self.expected else { return Ok(()) };
        let (stranger, is_open) = self.first.add(&self.buffer[new..], dialect);
        if !is_open {
            self.expected = None;
        }
        stranger.map_or(Ok(()), |stranger| Err(ClientError::Stranger(stranger)))
    }

    /// The server is the one that was expected: what comes from now on is not looked at.
    pub(super) fn trust(&mut self) {
        self.expected = None;
        if !std::mem::replace(&mut self.is_trusted, true) {
            self.first.expected();
        }
    }
}

pub(super) fn send(mut stream: &TcpStream, bytes: &[u8]) -> Result<(), ClientError> {
    Ok(stream.write_all(bytes)?)
}

/// The time left, which is never zero: a socket takes zero for no deadline.
pub(super) fn until(deadline: Instant) -> Result<Duration, ClientError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ClientError::Deadline) } else { Ok(left) }
}
