//! The simulator, for as long as one likes: `cargo run --release --example sim -- --seconds 600`. See `docs/testing.md`.

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
mod owners;
mod run;
mod script;
mod server;
mod trace;
mod world;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use run::{Tally, explain, keep_panics, tell, try_out};
use script::Script;

/// Plays scripts dealt from seeds, one after the other, until one goes wrong or the time is up.
#[derive(Parser)]
struct Arguments {
    /// The first seed. The next ones follow it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Steps of a script.
    #[arg(long, default_value_t = 1000)]
    steps: usize,
    /// Seconds after which no other script is begun.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Scripts, at most.
    #[arg(long)]
    count: Option<u64>,
    /// Hours of simulated time, at most.
    #[arg(long)]
    hours: Option<f64>,
    /// Tells what happens in the first script, and ends.
    #[arg(long)]
    tell: bool,
    /// Goes on when a script goes wrong, and says what and where only.
    #[arg(long)]
    survey: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    keep_panics();
    if arguments.tell {
        print!("{}", tell(&Script::deal(arguments.seed, arguments.steps)));
        return ExitCode::SUCCESS;
    }
    let began = Instant::now();
    let mut tally = Tally::default();
    let mut failed = 0;
    for seed in arguments.seed.. {
        let hours = tally.simulated.as_secs_f64() / 3600.0;
        let is_over = began.elapsed() >= Duration::from_secs(arguments.seconds)
            || arguments.count.is_some_and(|count| tally.scripts >= count)
            || arguments.hours.is_some_and(|most| hours >= most);
        if is_over {
            break;
        }
        let script = Script::deal(seed, arguments.steps);
        match try_out(&script) {
            Ok(played) => tally.add(&played),
            Err(violation) if arguments.survey => {
                println!("seed {seed}: {}", violation.what);
                failed += 1;
                tally.scripts += 1;
            }
            Err(violation) => {
                println!("{}", explain(&script, &violation));
                failed += 1;
                break;
            }
        }
    }
    println!("{tally}in {:.1} s; gone wrong: {failed}", began.elapsed().as_secs_f64());
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
