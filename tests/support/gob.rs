//! A client of the gob dialect, as those in use are: each message is read by a fresh decoder.

use std::io::{Read, Write};
use std::net::TcpStream;

use parlance::wire::Dialect;
use parlance::wire::Fit;
use parlance::wire::gob::{Decoded, Decoder, Frame, Kind, Message, encode};

use super::seat::HERE;
use super::{TestServer, connect_from};

/// A message that outlives its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Struct {
    pub kind: Kind,
    pub sender: String,
    pub content: String,
}

impl Struct {
    pub fn new(kind: Kind, sender: &str, content: &str) -> Self {
        Self { kind, sender: sender.to_owned(), content: content.to_owned() }
    }

    pub fn text(sender: &str, content: &str) -> Self {
        Self::new(Kind::Text, sender, content)
    }
}

pub struct GobPeer {
    stream: TcpStream,
    bytes: Vec<u8>,
    /// What it puts into each message as the sender.
    pub sender: String,
}

impl GobPeer {
    /// One that has sent nothing.
    pub fn connect(server: &TestServer, sender: &str) -> Self {
        let stream = connect_from(HERE, server.address(Dialect::Gob));
        Self { stream, bytes: Vec::new(), sender: sender.to_owned() }
    }

    /// One that has joined under a free name.
    #[track_caller]
    pub fn join(server: &TestServer, name: &str) -> Self {
        let mut peer = Self::connect(server, name);
        peer.send(Kind::Join, "");
        assert_eq!(peer.heard(), [], "the name is free");
        peer
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server reads");
    }

    pub fn send(&mut self, kind: Kind, content: &str) {
        let mut out = Vec::new();
        let message = Message { kind, sender: &self.sender, content };
        assert_eq!(encode(&message, &mut out), Fit::Whole, "a client's message fits");
        self.send_raw(&out);
    }

    pub fn say(&mut self, text: &str) {
        self.send(Kind::Text, text);
    }

    /// The next message, or nothing at the end of the connection. Each has its definition with it: a decoder that has
    /// seen nothing reads it.
    #[track_caller]
    pub fn next_or_end(&mut self) -> Option<Struct> {
        loop {
            let Decoded { consumed, frame } = Decoder::default().decode(&self.bytes);
            match frame {
                Frame::Whole(Message { kind, sender, content }) => {
                    assert!(consumed <= 4096, "clients read no more at once");
                    let message = Struct::new(kind, sender, content);
                    self.bytes.drain(..consumed);
                    return Some(message);
                }
                Frame::Incomplete => {}
                Frame::Refused(error) => panic!("{error}"),
            }
            let mut buffer = [0; 1 << 14];
            let length = self.stream.read(&mut buffer).expect("a message, or the end");
            if length == 0 {
                assert!(self.bytes.is_empty(), "the end is not in the middle of a message");
                return None;
            }
            self.bytes.extend_from_slice(&buffer[..length]);
        }
    }

    #[track_caller]
    pub fn next(&mut self) -> Struct {
        self.next_or_end().expect("a message")
    }

    #[track_caller]
    pub fn expect(&mut self, kind: Kind, sender: &str, content: &str) {
        assert_eq!(self.next(), Struct::new(kind, sender, content));
    }

    /// All that was sent here up to now, of somebody who has joined: the server answers a question, behind everything
    /// else.
    #[track_caller]
    pub fn heard(&mut self) -> Vec<Struct> {
        self.say("/msg ");
        let last = Struct::text("server", "usage: /msg <name> <text>");
        std::iter::from_fn(|| Some(self.next()).filter(|message| *message != last)).collect()
    }

    #[track_caller]
    pub fn expect_end(&mut self) {
        assert_eq!(self.next_or_end(), None);
    }

    pub fn finish(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Write).expect("it was open");
    }
}
