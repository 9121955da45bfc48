//! The fuzz targets without a fuzzer: each over what it begins with, and some thousand mutations of that, the same in each
//! run. `fuzz/README.md` says what the targets hold, and how libFuzzer runs them for longer.

#[path = "../support/dice.rs"]
mod dice;
mod mutation;
#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use dice::Dice;
use mutation::mutated;
use targets::{TARGETS, Target, corpus};

/// Runs a target over its corpus, and over so many mutations. An input that fails is shown: it belongs to `fuzz/seeds`.
fn runs(name: &str, mutations: usize) {
    let target = TARGETS.into_iter().find(|target| target.name == name).expect("there is such a target");
    let corpus = corpus::of(name);
    assert!(!corpus.is_empty(), "a target begins with something");
    for input in &corpus {
        run(target, input);
    }
    let mut dice = Dice(7);
    for _ in 0..mutations {
        run(target, &mutated(&corpus, &mut dice));
    }
}

fn run(target: Target, input: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    if let Err(panic) = outcome {
        let hex = input.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        eprintln!("The target {} fails with these {} bytes:\n{hex}", target.name, input.len());
        resume_unwind(panic);
    }
}

#[test]
fn line() {
    runs("line", 3000);
}

#[test]
fn slash() {
    runs("slash", 3000);
}

#[test]
fn tcrp() {
    runs("tcrp", 3000);
}

#[test]
fn ucrp() {
    runs("ucrp", 5000);
}

#[test]
fn typed() {
    runs("typed", 3000);
}

#[test]
fn gob() {
    runs("gob", 3000);
}

#[test]
fn trips() {
    runs("trips", 3000);
}

#[test]
fn engine() {
    runs("engine", 150);
}

#[test]
fn jsonl() {
    runs("jsonl", 400);
}

#[test]
fn config() {
    runs("config", 500);
}
