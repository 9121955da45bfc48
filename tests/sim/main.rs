//! The simulator: see `docs/testing.md`.

mod audit;
mod book;
mod client;
#[path = "../support/dice.rs"]
mod dice;
mod disk;
mod guesses;
#[path = "../store/model.rs"]
#[expect(dead_code, reason = "the stores' own tests use all of it")]
mod model;
mod net;
mod overload;
mod owners;
mod run;
mod script;
mod server;
mod trace;
mod world;

use std::process::Command;

use run::{Tally, Violation, explain, keep_panics, try_out};
use script::Script;

/// Seeds that went wrong once, and the steps of their scripts.
const FAILED_BEFORE_ACCOUNTS: [(u64, usize); 6] = [
    (58_215_462_258_146, 300),
    (151_255_261_166_177, 300),
    (151_255_261_166_271, 300),
    (100_065, 1000),
    (40, 1000),
    // A copy of a datagram that was not kept came before the one that was: the book took it for a hole.
    (5_364_252_489_579, 300),
];
/// The same since accounts have commands.
const FAILED: [(u64, usize); 2] = [
    // A check of the old password went through after a change of it.
    (9, 300),
    (26, 300),
];
/// Steps of a new script.
const STEPS: usize = 300;
/// New scripts of each of the tests that play some, so that they run beside each other.
const SCRIPTS_EACH: u64 = 100;

/// The first of the new seeds: another one for each commit.
fn first_seed() -> u64 {
    if let Some(seed) = std::env::var("SIM_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return seed;
    }
    let asked =
        Command::new("git").args(["rev-parse", "HEAD"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let hash = asked.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    // Without a repository there is no news either.
    hash.get(..12).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(1)
}

/// What is the same with however many shards there are is not played again for each.
fn is_played_elsewhere() -> bool {
    std::env::var("TEST_SHARDS").is_ok_and(|shards| shards != "1")
}

/// Says what went wrong. Panics are not printed by themselves here.
fn fail(script: &Script, violation: &Violation) -> ! {
    let told = explain(script, violation);
    eprintln!("{told}");
    panic!("{told}");
}

/// Plays the nth part of the new scripts.
fn play_new(part: u64) {
    if is_played_elsewhere() {
        return;
    }
    keep_panics();
    let mut tally = Tally::default();
    let first = first_seed().wrapping_add(part * SCRIPTS_EACH);
    for seed in first..first + SCRIPTS_EACH {
        let script = Script::deal(seed, STEPS);
        match try_out(&script) {
            Ok(played) => tally.add(&played),
            Err(violation) => fail(&script, &violation),
        }
    }
    let book::Counts { said, seen, missed, directs, promises, crashes, lost_ops, letters_compared, .. } =
        tally.counts;
    let book::Counts {
        own_accounts,
        own_passwords,
        own_deletions,
        mail_shown,
        cleared,
        expired,
        locked_out,
        ..
    } = tally.counts;
    // The dice bring everything about.
    let are_all = [said, seen, missed, directs, promises, crashes, lost_ops, letters_compared];
    let of_accounts = [own_accounts, own_passwords, own_deletions, mail_shown, cleared, expired, locked_out];
    let is_too_little = are_all.into_iter().any(|count| count <= 50) || of_accounts.contains(&0);
    if is_too_little {
        eprintln!("too little came about: {tally}");
        panic!("too little came about: {tally}");
    }
}

#[test]
fn new_scripts_1() {
    play_new(0);
}

#[test]
fn new_scripts_2() {
    play_new(1);
}

#[test]
fn new_scripts_3() {
    play_new(2);
}

#[test]
fn scripts_that_went_wrong_once() {
    if is_played_elsewhere() {
        return;
    }
    keep_panics();
    let before = FAILED_BEFORE_ACCOUNTS.map(|(seed, steps)| Script::deal_without_accounts(seed, steps));
    for script in before.into_iter().chain(FAILED.map(|(seed, steps)| Script::deal(seed, steps))) {
        if let Err(violation) = try_out(&script) {
            fail(&script, &violation);
        }
    }
}

#[test]
fn the_same_script_comes_to_the_same() {
    if is_played_elsewhere() {
        return;
    }
    let script = Script::deal(7, STEPS);
    let [first, second] = [run::tell(&script), run::tell(&script)];
    assert!(first == second, "the traces differ");
    assert!(first.lines().count() > 1000);
}
