#!/usr/bin/env bash
# Versions: Linux 6.18, the crate io-uring 0.7.10. Needs cargo and a kernel that allows io_uring.
#
# Guess: in a chain of linked requests (IOSQE_IO_LINK) a request that does less than it was asked breaks the
# chain, as a short read of a file does. So two linked sends put their bytes into a stream without a gap.
# Second guess: on a socket with O_NONBLOCK the flag MSG_WAITALL has no effect on a send, as in send(2).
#
# Behaviour: a short IORING_OP_SEND completes with the smaller count, and the chain goes on: the next send
# follows in the middle of the first text. No request fails. With MSG_WAITALL the ring sends the rest itself
# and waits for the peer, on a nonblocking socket as well.
#
# Output seen (the counts of the short send vary):
#   without a flag: the first send is short, the second sends 4; the second text follows the cut
#   without a flag, nonblocking: the first send is short, the second sends 4; the second text follows the cut
#   MSG_WAITALL: the first send is whole, the second sends 4; the second text is at the end
#   MSG_WAITALL, nonblocking: the first send is whole, the second sends 4; the second text is at the end
#
# Why it matters here: a fan-out that links the frames of one socket would, for a peer that reads slowly,
# splice one frame into another, and every completion would look well. Sends of one socket need MSG_WAITALL,
# or one send at a time.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "linked"
version = "0.1.0"
edition = "2021"

[dependencies]
io-uring = "=0.7.10"
libc = "=0.2.177"

[workspace]
TOML
cat > "$folder/src/main.rs" <<'RUST'
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;

use io_uring::squeue::Flags;
use io_uring::{IoUring, opcode, types};

const FIRST: usize = 16 << 20;

/// Sends two linked texts to a peer that begins to read when the first send has come as far as it can. Returns
/// how much each send did, and where the second text begins in the stream.
fn send_two(flags: i32, nonblocking: bool) -> (i32, i32, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let sender = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    let (mut receiver, _) = listener.accept().expect("accepted");
    sender.set_nonblocking(nonblocking).expect("set");
    let mut ring = IoUring::new(8).expect("io_uring is allowed");
    let (first, second) = (vec![b'x'; FIRST], *b"yyyy");
    for (index, text, link) in [(0, &first[..], Flags::IO_LINK), (1, &second[..], Flags::empty())] {
        let send = opcode::Send::new(types::Fd(sender.as_raw_fd()), text.as_ptr(), text.len() as u32);
        let entry = send.flags(flags).build().user_data(index).flags(link);
        // SAFETY: both texts outlive the ring's requests, all of which are waited for below.
        unsafe { ring.submission().push(&entry).expect("there is space") };
    }
    ring.submit().expect("submitted");
    let reader = thread::spawn(move || {
        let mut stream = Vec::new();
        receiver.read_to_end(&mut stream).expect("it ends");
        stream
    });
    let mut results = [0; 2];
    for _ in 0..2 {
        ring.submit_and_wait(1).expect("one is done");
        let done = ring.completion().next().expect("one is done");
        results[done.user_data() as usize] = done.result();
    }
    drop((ring, sender));
    let stream = reader.join().expect("read");
    let at = stream.iter().position(|&byte| byte == b'y').expect("the second text");
    (results[0], results[1], at)
}

fn main() {
    let mut as_described = true;
    for (name, flags, is_whole) in [("without a flag", 0, false), ("MSG_WAITALL", libc::MSG_WAITALL, true)] {
        for nonblocking in [false, true] {
            let (first, second, at) = send_two(flags, nonblocking);
            let length = if first as usize == FIRST { "whole" } else { "short" };
            let place = if at == FIRST { "is at the end" } else { "follows the cut" };
            let suffix = if nonblocking { ", nonblocking" } else { "" };
            println!("{name}{suffix}: the first send is {length}, the second sends {second}; the second text {place}");
            as_described &= second == 4 && at == first as usize && (first as usize == FIRST) == is_whole;
        }
    }
    std::process::exit(i32::from(!as_described));
}
RUST
cargo run --quiet --manifest-path "$folder/Cargo.toml"
