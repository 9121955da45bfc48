//! The simulator: see `docs/testing.md`.

mod audit;
mod book;
mod client;
#[path = "../support/dice.rs"]
mod dice;
mod disk;
#[path = "../store/model.rs"]
#[allow(dead_code)]
mod model;
mod net;
mod run;
mod script;
mod server;
mod trace;
mod world;

use run::{explain, keep_panics, try_out};
use script::Script;

/// Seeds that went wrong once.
const FAILED: [(u64, usize); 0] = [];
/// Steps of a new script.
const STEPS: usize = 300;

#[test]
fn new_seeds() {
    keep_panics();
    let first = std::env::var("SIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
    let count = std::env::var("SIM_COUNT").ok().and_then(|count| count.parse().ok()).unwrap_or(20_u64);
    for seed in first..first + count {
        let script = Script::deal(seed, STEPS);
        match try_out(&script) {
            Ok(played) => {
                eprintln!("{seed}: {played:?}");
            }
            Err(violation) => {
                let told = explain(&script, &violation);
                eprintln!("{told}");
                panic!("{told}");
            }
        }
    }
}

#[test]
fn seeds_that_went_wrong_once() {
    for (seed, steps) in FAILED {
        let script = Script::deal(seed, steps);
        try_out(&script).unwrap_or_else(|violation| panic!("{}", explain(&script, &violation)));
    }
}
