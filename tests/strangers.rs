//! Browsers, scanners and other clients at the wrong port, over real sockets: they are closed without an
//! answer, and the log says once what they are. And clients that are right, and send what few do.

#[path = "support/program.rs"]
mod program;
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use parlance::chat::CloseReason;
use parlance::wire::Dialect;
use program::Program;
use rustix::process::Signal;
use support::TestServer;

const STREAMS: [Dialect; 5] = [Dialect::Line, Dialect::Slash, Dialect::Tcrp, Dialect::Typed, Dialect::Gob];

const POST: &str = "POST / HTTP/1.1\r\nHost: 127.0.0.1:4000\r\nContent-Type: text/plain\r\nContent-Length: 41\r\n\r\n\
    LOGIN eve\nMSG buy things\nDM alice psst\r\n";

/// Sends bytes and reads to the end of the connection. The peer never closes its own side.
fn exchange(address: std::net::SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.write_all(bytes).expect("the server reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the server closes, and does not reset");
    answer
}

#[test]
fn a_web_page_says_nothing_in_the_lobby() {
    let server = TestServer::start();
    let mut alice = server.line("alice");
    for dialect in STREAMS {
        let answer = exchange(server.address(dialect), POST.as_bytes());
        let greeting: &[u8] = match dialect {
            Dialect::Slash => b"Welcome to the chat server!\nEnter your nickname: ",
            _ => b"",
        };
        assert_eq!(answer, greeting, "{dialect:?}");
    }
    let mut bob = server.line("bob");
    bob.send("MSG hello\n");
    alice.expect("MSG bob hello\n");
    drop((alice, bob));
    let metrics = server.stop().metrics;
    assert_eq!(metrics.closed_for(CloseReason::WrongProtocol), STREAMS.len() as u64);
    assert_eq!(metrics.refused_for("foreign-http"), STREAMS.len() as u64);
}

#[test]
fn a_client_with_a_byte_order_mark_is_understood_in_two_reads() {
    let server = TestServer::start();
    let mut alice = server.line("alice");
    let mut bob = server.connect(Dialect::Line);
    bob.send(b"\xef\xbb");
    alice.send("PING\n");
    alice.expect("PONG\n");
    bob.send(b"\xbfLOGIN bob\r\n");
    bob.expect("OK\n");
    bob.send("\u{feff}MSG hello\r\n");
    alice.expect("MSG bob hello\n");
}

#[test]
fn the_log_says_once_what_strangers_look_like() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = Program::start(directory.path(), &["--store", "memory"]);
    for _ in 0..20 {
        exchange(program.address(Dialect::Line), POST.as_bytes());
        exchange(program.address(Dialect::Gob), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    }
    exchange(program.address(Dialect::Typed), b"SSH-2.0-OpenSSH_9.2\r\n");
    let mut irc = TcpStream::connect(program.address(Dialect::Line)).expect("the server listens");
    irc.write_all(b"NICK eve\r\nPING\r\n").expect("the server reads");
    let mut answer = [0; 26];
    irc.read_exact(&mut answer).expect("the dialect answers");
    assert_eq!(&answer, b"ERR must-login-first\nPONG\n");
    drop(irc);
    program.end(Signal::TERM);
    let log = std::fs::read_to_string(directory.path().join("server.log")).expect("UTF-8");
    for looks in ["HTTP", "TLS", "SSH", "IRC"] {
        let lines: Vec<_> =
            log.lines().filter(|line| line.contains(&format!("looks_like=\"{looks}\""))).collect();
        assert_eq!(lines.len(), 1, "{looks}:\n{log}");
        assert!(lines[0].contains("INFO") && lines[0].contains("from=127.0.0.1"), "{log}");
    }
}

/// A read ends at urgent data, however much there is behind it. A Telnet client sends some with an interrupt.
#[cfg(target_os = "linux")]
#[test]
fn what_follows_urgent_data_is_read_at_once() {
    use rustix::net::{SendFlags, send, sockopt::set_tcp_cork};
    let server = TestServer::start();
    let mut alice = server.line("alice");
    let stream = TcpStream::connect(server.address(Dialect::Line)).expect("the server listens");
    // In one segment, so that the kernel tells of it once.
    set_tcp_cork(&stream, true).expect("Linux");
    let interrupt = b"LOGIN bob\r\nMSG half\xff\xf4\xff\xfd\x06\xff\xf2";
    assert_eq!(send(&stream, interrupt, SendFlags::OOB), Ok(interrupt.len()));
    let rest = b"MSG still here\r\n";
    assert_eq!(send(&stream, rest, SendFlags::empty()), Ok(rest.len()));
    set_tcp_cork(&stream, false).expect("Linux");
    alice.expect("MSG bob still here\n");
}
