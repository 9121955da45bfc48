//! What is fuzzed, in stable Rust: a target takes bytes that anybody may have made, and panics where something that must
//! hold does not. `README.md` says what each holds.
//!
//! `fuzz_targets` wraps each for libFuzzer. `tests/fuzz` of the server has these very files in it, and runs them without
//! one; so nothing here may use what only a nightly toolchain or this workspace has.

#![allow(unreachable_pub, reason = "a crate here, a module of a test there")]
#![allow(clippy::must_use_candidate, reason = "the rule of the server's workspace")]

pub mod config;
pub mod corpus;
pub mod engine;
mod feed;
pub mod gob;
mod input;
pub mod jsonl;
pub mod line;
mod lines;
mod scratch;
pub mod slash;
pub mod tcrp;
pub mod trips;
pub mod typed;
pub mod ucrp;

/// A target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which its corpus and its seeds have as well.
    pub name: &'static str,
    /// What is done with an input.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 10] = [
    Target { name: "line", run: line::run },
    Target { name: "slash", run: slash::run },
    Target { name: "tcrp", run: tcrp::run },
    Target { name: "ucrp", run: ucrp::run },
    Target { name: "typed", run: typed::run },
    Target { name: "gob", run: gob::run },
    Target { name: "trips", run: trips::run },
    Target { name: "engine", run: engine::run },
    Target { name: "jsonl", run: jsonl::run },
    Target { name: "config", run: config::run },
];
