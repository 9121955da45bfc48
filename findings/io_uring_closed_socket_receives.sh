#!/usr/bin/env bash
# Versions: Linux 6.18, the crate io-uring 0.7.10. Needs cargo and a kernel that allows io_uring.
#
# Guess: close() of a socket ends a receive that waits for it in a ring (with ECANCELED or EBADF), and the peer
# sees the end of the stream, as with epoll.
#
# Behaviour: the waiting receive holds the socket. The peer sees no end, its writes are taken, and what it
# writes after the close completes the receive. Only then the socket closes. shutdown() before the close ends
# both at once: the peer sees the end, and the receive completes with 0.
#
# Output seen:
#   close: the peer sees no end; a later write of 5 bytes completes the receive with 5; then the peer sees the end
#   shutdown and close: the peer sees the end; the receive completed with 0
#
# Why it matters here: an engine on io_uring that only drops a session's socket leaves the connection open for
# as long as the peer is silent: the peer never learns that it was closed, the descriptor is gone from every
# count, and the buffer must not be freed. It has to shut the socket down, or cancel the receive.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "closed"
version = "0.1.0"
edition = "2021"

[dependencies]
io-uring = "=0.7.10"

[workspace]
TOML
cat > "$folder/src/main.rs" <<'RUST'
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use io_uring::{IoUring, opcode, types};

/// Whether the peer sees the end of the stream within half a second.
fn sees_end(peer: &mut TcpStream) -> bool {
    peer.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
    loop {
        match peer.read(&mut [0; 8]) {
            Ok(count) => return count == 0,
            // The ring interrupts calls of its thread.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

/// Closes a socket for which a receive waits. Returns whether the peer sees that, what came of the receive, and
/// whether the peer sees the end afterwards.
fn close(with_shutdown: bool) -> (bool, i32, bool) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let socket = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    let (mut peer, _) = listener.accept().expect("accepted");
    let mut ring = IoUring::new(8).expect("io_uring is allowed");
    let mut buffer = [0_u8; 64];
    let receive = opcode::Recv::new(types::Fd(socket.as_raw_fd()), buffer.as_mut_ptr(), 64).build();
    // SAFETY: the buffer outlives the request, which is waited for below.
    unsafe { ring.submission().push(&receive).expect("there is space") };
    ring.submit().expect("submitted");
    if with_shutdown {
        socket.shutdown(Shutdown::Both).expect("shut down");
    }
    drop(socket);
    let at_once = sees_end(&mut peer);
    if !at_once {
        peer.write_all(b"hello").expect("it is taken");
    }
    ring.submit_and_wait(1).expect("the receive is done");
    let result = ring.completion().next().expect("the receive is done").result();
    (at_once, result, sees_end(&mut peer))
}

fn main() {
    let words = |sees: bool| if sees { "the end" } else { "no end" };
    let (at_once, result, later) = close(false);
    println!(
        "close: the peer sees {}; a later write of 5 bytes completes the receive with {result}; then the peer sees {}",
        words(at_once),
        words(later)
    );
    let closed = (at_once, result, later) == (false, 5, true);
    let (at_once, result, later) = close(true);
    println!("shutdown and close: the peer sees {}; the receive completed with {result}", words(at_once));
    let shut = (at_once, result, later) == (true, 0, true);
    std::process::exit(i32::from(!(closed && shut)));
}
RUST
cargo run --quiet --manifest-path "$folder/Cargo.toml"
