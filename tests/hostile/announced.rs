//! Who announces more than anybody has: it is refused from what announces it. Who announces as much as may be is kept what came
//! of it, and no more.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use parlance::chat::CloseReason;
use parlance::limits::{FRAME_BYTES_MAX, RECEIVE_BUFFER_BYTES};
use parlance::wire::Dialect;

use crate::bystanders::Bystanders;
use crate::child::Child;
use crate::support::PATIENCE;

/// What follows each announcement, unread as it should be.
const JUNK_BYTES: usize = 1 << 20;

/// A header of TCRP with a length of 2^63, in its 29 bytes.
fn tcrp_header() -> Vec<u8> {
    let mut header = vec![5, 1, 0];
    header.extend([0; 29]);
    header[3 + 28 - 63 / 8] = 1 << (63 % 8);
    header
}

/// Connections that have sent that, and nothing more.
fn announcing(server: &Child, dialect: Dialect, start: &[u8], count: u64) -> Vec<TcpStream> {
    let announce = |_| {
        let mut stream = TcpStream::connect(server.address(dialect)).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(start).expect("it has the space");
        stream
    };
    (0..count).map(announce).collect()
}

/// Goes on until the server wants no more of it, and waits for the end. (With bytes unread, that may be a reset.)
fn pour(stream: &mut TcpStream) {
    let junk = vec![b'x'; RECEIVE_BUFFER_BYTES];
    let _ = (0..JUNK_BYTES / junk.len()).try_for_each(|_| stream.write_all(&junk));
    let end = stream.read_to_end(&mut Vec::new());
    assert!(!end.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "the server closes");
}

#[test]
fn frames_that_announce_exabytes_are_refused_and_nothing_is_reserved_for_them() {
    const EACH: u64 = 50;
    let server = Child::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    let (memory, sockets) = (server.resident_bytes_high(), server.sockets());
    // Lengths of typed have four bytes.
    let typed = [&1_u64.to_be_bytes()[..], &u32::MAX.to_be_bytes()].concat();
    let gob = [&[0xf8][..], &(1_u64 << 63).to_be_bytes()].concat();
    let announcements = [
        (Dialect::Tcrp, tcrp_header(), "tcrp-payload-too-long"),
        (Dialect::Typed, typed, "typed-payload-too-long"),
        (Dialect::Gob, gob, "gob-length-out-of-range"),
    ];
    bystanders.talk_while(|| {
        for (dialect, start, _) in &announcements {
            for mut stream in announcing(&server, *dialect, start, EACH) {
                pour(&mut stream);
            }
        }
    });
    bystanders.talk_until(|| server.is_back_to(&sockets));
    server.expect_memory(memory, 3 * EACH * RECEIVE_BUFFER_BYTES as u64);
    bystanders.leave();
    let counts = server.stop();
    for (_, _, cause) in &announcements {
        assert_eq!(counts.refused_for(cause), EACH, "{cause}");
    }
    assert_eq!(counts.refused().len(), announcements.len(), "{:?}", counts.refused());
    counts.expect_closed(&[(CloseReason::Malformed, 3 * EACH)]);
}

#[test]
fn a_line_without_an_end_is_told_once_and_not_kept() {
    const EACH: u64 = 40;
    let server = Child::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    let (memory, sockets) = (server.resident_bytes_high(), server.sockets());
    bystanders.talk_while(|| {
        let mut lines = announcing(&server, Dialect::Line, b"", EACH);
        let junk = vec![b'x'; RECEIVE_BUFFER_BYTES];
        // All of them at once, a piece at a time.
        for _ in 0..JUNK_BYTES / junk.len() {
            for line in &mut lines {
                line.write_all(&junk).expect("the server reads");
            }
        }
        for mut line in lines {
            line.write_all(b"\nPING\n").expect("the server reads");
            line.shutdown(std::net::Shutdown::Write).expect("it was open");
            let mut answers = String::new();
            line.read_to_string(&mut answers).expect("the server closes, and does not reset");
            assert_eq!(answers, "ERR line-too-long\nPONG\n");
        }
    });
    bystanders.talk_until(|| server.is_back_to(&sockets));
    server.expect_memory(memory, EACH * RECEIVE_BUFFER_BYTES as u64);
    bystanders.leave();
    let counts = server.stop();
    assert_eq!(counts.refused_for("line-too-long"), EACH);
    counts.expect_closed(&[]);
}

#[test]
fn frames_as_long_as_may_be_that_lack_their_last_byte_are_kept_and_no_more() {
    const EACH: u64 = 300;
    let server = Child::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    let (memory, sockets) = (server.resident_bytes_high(), server.sockets());
    let with_length = |start: &[u8], length: usize| {
        let mut frame = start.to_vec();
        frame.resize(start.len() + length - 1, b'x');
        frame
    };
    // A name of 255 bytes counts beside the payload of 8 KiB.
    let tcrp = with_length(&[&[255, 1, 0][..], &[0; 27], &8192_u16.to_be_bytes()].concat(), 255 + 8192);
    let typed = with_length(&[&1_u64.to_be_bytes()[..], &8192_u32.to_be_bytes()].concat(), 8192);
    let gob = with_length(&[0xfe, 0x10, 0x00], 4096);
    let line = with_length(b"", 4096);
    let frames = [(Dialect::Tcrp, tcrp), (Dialect::Typed, typed), (Dialect::Gob, gob), (Dialect::Line, line)];
    let mut held: Vec<_> = bystanders.talk_while(|| {
        frames.iter().flat_map(|(dialect, frame)| announcing(&server, *dialect, frame, EACH)).collect()
    });
    // All of it was read then, and is held.
    bystanders.go_round();
    server.expect_memory(memory, frames.len() as u64 * EACH * FRAME_BYTES_MAX as u64);
    // Those of gob hear the lobby: a socket that is closed with something unread resets the connection.
    for stream in &mut held {
        stream.shutdown(Shutdown::Write).expect("it is open");
        stream.set_read_timeout(Some(crate::support::PATIENCE)).expect("a timeout");
        stream.read_to_end(&mut Vec::new()).expect("the server closes, and does not reset");
    }
    drop(held);
    bystanders.talk_until(|| server.is_back_to(&sockets));
    bystanders.leave();
    let counts = server.stop();
    assert!(counts.refused().is_empty(), "{:?}", counts.refused());
    counts.expect_closed(&[(CloseReason::PeerClosed, frames.len() as u64 * EACH + 4)]);
}
