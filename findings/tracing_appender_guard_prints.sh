#!/usr/bin/env bash
# The crate tracing-appender 0.2.5, Rust 1.89 or later.
#
# In words: dropping the `WorkerGuard` of a non-blocking writer is bounded in time by its documentation (100 ms to hand
# over the shutdown message, one second for the flush). Where the queue is full because the log's reader stands still,
# the drop first writes "Failed to send shutdown signal to logging worker" with `println!`: to *standard output*, although
# the program logs to another place. So a program whose standard output is data gets a line of text in it; one whose
# standard output is the same stopped terminal as its log waits there without a bound; and one whose standard output is
# closed panics in the drop.
#
# Seen: exit status 0, and the line `Failed to send shutdown signal to logging worker. Error: Shutdown` on standard
# output of a program that prints nothing.
#
# Why it matters here: a server that is told to stop has to end although its log stands still. So Parlance never drops
# the guard, and bounds the flush itself (src/telemetry/queue.rs).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "guard"
version = "0.0.0"
edition = "2021"

[dependencies]
tracing-appender = "=0.2.5"
TOML
cat >src/main.rs <<'RUST'
use std::io::Write;
use std::sync::mpsc::{channel, Receiver, Sender};

/// A place for the log whose reader stands still.
struct Stalled {
    entered: Sender<()>,
    reader: Receiver<()>,
}

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.entered.send(());
        let _ = self.reader.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn main() {
    let (entered, is_stalled) = channel();
    let (_reads, reader) = channel();
    let (mut log, guard) = tracing_appender::non_blocking::NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(2)
        .finish(Stalled { entered, reader });
    log.write_all(b"the line that nobody reads\n").unwrap();
    is_stalled.recv().unwrap();
    for _ in 0..10 {
        log.write_all(b"a line of the log\n").unwrap();
    }
    drop(guard);
}
RUST
cargo build --quiet 2>/dev/null
printed=$(cargo run --quiet)
if [[ $printed == *'Failed to send shutdown signal'* ]]; then
    echo "as described: standard output got: $printed"
else
    echo "changed: standard output got: '$printed'"
    exit 1
fi
