#!/usr/bin/env bash
# Versions: Linux 6.18, the crate io-uring 0.7.10. Needs cargo and a kernel that allows io_uring.
#
# Guess: epoll_wait returns EINTR for a signal handler (or a stop and a continue) and for nothing else; and a
# ring with IORING_SETUP_COOP_TASKRUN, whose manual says that it avoids interrupting the task, leaves it alone.
#
# Behaviour: in a program without any signal handler, each completion of a ring interrupts an epoll_wait (or a
# read with SO_RCVTIMEO) of the thread that submitted the request: EINTR. COOP_TASKRUN changes nothing about
# that. IORING_SETUP_DEFER_TASKRUN does. But closing any ring interrupts the thread once more, some
# milliseconds later, in all three modes.
#
# Output seen (milliseconds vary):
#   plain: while a receive completes: interrupted; idle: not interrupted; after the ring was closed: interrupted
#   COOP_TASKRUN: while a receive completes: interrupted; idle: not interrupted; after the ring was closed: interrupted
#   DEFER_TASKRUN: while a receive completes: not interrupted; idle: not interrupted; after the ring was closed: interrupted
#
# Why it matters here: a loop that takes EINTR for a signal, or a bounded wait that starts anew after EINTR, is
# wrong in a thread that also has a ring. A start that probes for io_uring and then runs on epoll sees one such
# EINTR, from a ring that is gone.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "interrupts"
version = "0.1.0"
edition = "2021"

[dependencies]
io-uring = "=0.7.10"
libc = "=0.2.177"

[workspace]
TOML
cat > "$folder/src/main.rs" <<'RUST'
use std::io::{Error, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use io_uring::{IoUring, opcode, types};

/// Whether an epoll_wait of half a second for nothing is interrupted.
fn is_interrupted() -> bool {
    // SAFETY: the descriptor is new, the array has space for one event.
    unsafe {
        let epoll = libc::epoll_create1(0);
        let mut events = [libc::epoll_event { events: 0, u64: 0 }];
        let count = libc::epoll_wait(epoll, events.as_mut_ptr(), 1, 500);
        let interrupted = count < 0 && Error::last_os_error().kind() == ErrorKind::Interrupted;
        libc::close(epoll);
        interrupted
    }
}

/// Whether the wait is interrupted while a receive completes, while the ring is idle, after it was closed.
fn observe(mode: &str) -> [bool; 3] {
    let mut builder = IoUring::builder();
    match mode {
        "COOP_TASKRUN" => drop(builder.setup_coop_taskrun()),
        "DEFER_TASKRUN" => drop(builder.setup_single_issuer().setup_defer_taskrun()),
        _ => {}
    }
    let mut ring: IoUring = builder.build(8).expect("io_uring is allowed");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let socket = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    let (mut peer, _) = listener.accept().expect("accepted");
    let mut buffer = [0_u8; 64];
    let receive = opcode::Recv::new(types::Fd(socket.as_raw_fd()), buffer.as_mut_ptr(), 64).build();
    // SAFETY: the buffer outlives the request, which completes while the first wait lasts.
    unsafe { ring.submission().push(&receive).expect("there is space") };
    ring.submit().expect("submitted");
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        peer.write_all(b"hello").expect("written");
        peer
    });
    let completing = is_interrupted();
    let _peer = writer.join().expect("written");
    ring.submit_and_wait(1).expect("the receive is done");
    let idle = is_interrupted();
    drop(ring);
    [completing, idle, is_interrupted()]
}

fn main() {
    let mut as_described = true;
    for (mode, expected) in [
        ("plain", [true, false, true]),
        ("COOP_TASKRUN", [true, false, true]),
        ("DEFER_TASKRUN", [false, false, true]),
    ] {
        let seen = observe(mode);
        let [completing, idle, closed] = seen.map(|is| if is { "interrupted" } else { "not interrupted" });
        println!("{mode}: while a receive completes: {completing}; idle: {idle}; after the ring was closed: {closed}");
        as_described &= seen == expected;
    }
    std::process::exit(i32::from(!as_described));
}
RUST
cargo run --quiet --manifest-path "$folder/Cargo.toml"
