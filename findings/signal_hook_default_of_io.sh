#!/usr/bin/env bash
# Versions: the crate signal-hook 0.4.6, Linux. Needs cargo.
#
# Guess: after its own work, a handler can have the default action of any signal carried out by
# `signal_hook::low_level::emulate_default_handler`.
#
# Behaviour: on Linux the default action of SIGIO, SIGPWR, SIGSTKFLT and of the real-time signals is to end the
# process (signal(7)). The function takes SIGIO for a signal that is ignored by default: it returns Ok and the
# process goes on. It refuses the other three with an error, as unknown.
#
# Output seen:
#   SIGIO: by default it ends the process, emulated: Ok, the process goes on
#   SIGPWR: by default it ends the process, emulated: an error
#   SIGSTKFLT: by default it ends the process, emulated: an error
#   SIGRTMIN: by default it ends the process, emulated: an error
#
# Why it matters here: a command that removes its half-written file on a signal and then ends as the signal has
# it would go on after SIGIO, with its file gone, and report success.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "defaults"
version = "0.1.0"
edition = "2021"

[dependencies]
libc = "=0.2.177"
signal-hook = "=0.4.6"

[workspace]
TOML
cat > "$folder/src/main.rs" <<'RUST'
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use signal_hook::low_level::emulate_default_handler;

/// Sends this process a signal, or has its default emulated.
fn child(kind: &str, signal: i32) {
    if kind == "raise" {
        // SAFETY: the call has no preconditions.
        unsafe { libc::raise(signal) };
        std::process::exit(0);
    }
    std::process::exit(if emulate_default_handler(signal).is_ok() { 10 } else { 11 });
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, kind, signal] = &arguments[..] {
        child(kind, signal.parse().expect("a number"));
    }
    let program = std::env::current_exe().expect("a path");
    let run = |kind: &str, signal: i32| {
        Command::new(&program).args([kind, &*signal.to_string()]).status().expect("it runs")
    };
    let mut as_described = true;
    for (name, signal, emulated) in [
        ("SIGIO", libc::SIGIO, 10),
        ("SIGPWR", libc::SIGPWR, 11),
        ("SIGSTKFLT", libc::SIGSTKFLT, 11),
        ("SIGRTMIN", libc::SIGRTMIN(), 11),
    ] {
        let ends = run("raise", signal).signal() == Some(signal);
        let status = run("emulate", signal);
        let by_default = if ends { "ends the process" } else { "does not end the process" };
        let shown = match status.code() {
            Some(10) => "Ok, the process goes on",
            Some(11) => "an error",
            _ => "the process ends",
        };
        println!("{name}: by default it {by_default}, emulated: {shown}");
        as_described &= ends && status.code() == Some(emulated);
    }
    std::process::exit(i32::from(!as_described));
}
RUST
cargo run --quiet --manifest-path "$folder/Cargo.toml"
