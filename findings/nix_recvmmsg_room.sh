#!/usr/bin/env bash
# Versions: the crate nix 0.31.3 and 0.32.0, Linux 6.18. Needs cargo.
#
# Behaviour: `recvmmsg` does not restore the room for control messages of a `MultiHeaders` that is used again. Linux
# leaves in each header how much of its room it used, and nix passes that on as the room for the next message. After a
# datagram that came with little or nothing, a later one that comes with more is reported as truncated (`cmsgs()` is
# ENOBUFS), however much was preallocated. `recvmsg`, which takes a buffer with each call, has its whole room each time.
#
# Output seen:
#     before: Ok, 0 control messages
#     after, the same headers: Err(ENOBUFS)
#     after, new headers: Ok, 1 control messages
#
# Why it matters here: with IP_PKTINFO each datagram brings one control message, and from the first loss on a second one
# (SO_RXQ_OVFL). Without a remedy a socket would know neither the address that was spoken to nor the losses from then on.
# One `MultiHeaders` for several sockets would lose them again and again. So each socket has its own, and gets a new one
# when the room was too small.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/src/main.rs" <<'RUST'
use std::io::IoSliceMut;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::sockopt::Ipv4PacketInfo;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, setsockopt};

fn headers() -> MultiHeaders<SockaddrIn> {
    MultiHeaders::preallocate(1, Some(nix::cmsg_space!(nix::libc::in_pktinfo)))
}

/// Receives one datagram, which is there; how many control messages came with it.
fn receive(socket: &UdpSocket, headers: &mut MultiHeaders<SockaddrIn>) -> Result<usize, Errno> {
    let mut buffer = [0; 16];
    let mut slices = [[IoSliceMut::new(&mut buffer)]];
    let mut messages = recvmmsg(socket.as_raw_fd(), headers, slices.iter_mut(), MsgFlags::empty(), None)?;
    let message = messages.next().expect("one datagram");
    let count = message.cmsgs()?.count();
    Ok(count)
}

fn main() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let send = || socket.send_to(b"x", socket.local_addr().expect("bound")).expect("sent");
    let shown = |result: Result<usize, Errno>| match result {
        Ok(count) => format!("Ok, {count} control messages"),
        Err(error) => format!("Err({error:?})"),
    };
    let mut used = headers();
    send();
    let before = receive(&socket, &mut used);
    println!("before: {}", shown(before));
    setsockopt(&socket, Ipv4PacketInfo, &true).expect("it is there");
    send();
    let after = receive(&socket, &mut used);
    println!("after, the same headers: {}", shown(after));
    send();
    let renewed = receive(&socket, &mut headers());
    println!("after, new headers: {}", shown(renewed));
    let is_as_described = (before, after, renewed) == (Ok(0), Err(Errno::ENOBUFS), Ok(1));
    std::process::exit(i32::from(!is_as_described));
}
RUST
for version in 0.31.3 0.32.0; do
    cat > "$folder/Cargo.toml" <<TOML
[package]
name = "room"
version = "0.1.0"
edition = "2021"

[dependencies]
nix = { version = "=$version", features = ["net", "socket", "uio"] }

[workspace]
TOML
    echo "nix $version"
    cargo run --quiet --manifest-path "$folder/Cargo.toml"
done
