//! How much longer others wait while peers misbehave: the p99 of a room of bystanders when it is quiet, and under each kind of
//! attack, in pairs, at the same server.
//!
//! `attack` says what attackers do, `server` starts the server that they meet, and `bystanders` has `loadgen` measure those
//! who are none. docs/testing.md says how to read what this prints; `tests/hostile` holds that nobody loses a word.

// `println!` panics where the output is closed or full.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod attack;
mod bystanders;
mod server;

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};

use crate::attack::{Attack, Attackers};
use crate::bystanders::Bystanders;
use crate::server::Server;

/// The p99 of bystanders may grow by so much.
const RATIO_MAX: f64 = 2.0;

/// Measures bystanders' p99 when it is quiet and under each kind of attack, in pairs, and fails if it more than doubles.
#[derive(Parser, Debug)]
#[command(version)]
struct Args {
    /// Only these kinds of attack, separated by commas [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Attack>,
    /// How many pairs of a quiet run and one under attack; the median of their ratios counts.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pairs: usize,
    /// How long each run measures.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "3s")]
    duration: Duration,
    /// How long each runs before that. The attack begins with it.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1s")]
    warmup: Duration,
    /// Bystanders, in one room.
    #[arg(long, value_name = "N", default_value_t = 50)]
    clients: usize,
    /// What four of them together say in a second. Each may say a hundred.
    #[arg(long, value_name = "N", default_value_t = 300)]
    rate: u32,
    /// Lift the limits by address and by session, as for networks that are exempt.
    #[arg(long)]
    unlimited: bool,
    /// How many shards the server has.
    #[arg(long, value_name = "N", default_value_t = 1)]
    shards: usize,
    /// The server's core.
    #[arg(long, value_name = "CORE", default_value_t = 0)]
    server_core: usize,
    /// The core of the bystanders, and of the attackers behind them.
    #[arg(long, value_name = "CORE", default_value_t = 1)]
    generator_core: usize,
    /// Where loadgen and parlance are [default: they are built, with cargo build --release]
    #[arg(long, value_name = "DIRECTORY")]
    programs: Option<PathBuf>,
}

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            tell("the p99 of bystanders more than doubled");
            ExitCode::FAILURE
        }
        // The reader of the table has read enough.
        Err(error) if is_closed(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            tell(error);
            ExitCode::FAILURE
        }
    }
}

/// Says something on standard error. Where that is closed, the exit status has to say it all.
pub(crate) fn tell(text: impl Display) {
    let _ = writeln!(io::stderr(), "hostile: {text}");
}

fn is_closed(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Measures what is asked for; says whether all ratios are as they should be.
fn measure(args: &Args) -> Result<bool, Box<dyn Error>> {
    let programs = programs(args)?;
    let asked = |attack: &&Attack| args.only.is_empty() || args.only.contains(attack);
    let mut stdout = io::stdout();
    writeln!(
        stdout,
        "| attack | quiet p99 | p99 under attack | ratio: median (least to most) | done by attackers, a second |"
    )?;
    writeln!(stdout, "|---|---|---|---|---|")?;
    let mut is_well = true;
    for attack in Attack::value_variants().iter().filter(asked) {
        let row = pairs(args, *attack, &programs)?;
        writeln!(stdout, "{row}")?;
        is_well &= row.ratio() <= RATIO_MAX;
    }
    Ok(is_well)
}

fn programs(args: &Args) -> Result<PathBuf, Box<dyn Error>> {
    if let Some(programs) = &args.programs {
        return Ok(programs.canonicalize()?);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let build = ["build", "--release", "-p", "parlance", "-p", "loadgen"];
    if !Command::new(cargo).args(build).current_dir(root).status()?.success() {
        return Err("what is to be measured does not build".into());
    }
    // Beside the directory that this program is in, whatever that one is called.
    let own = std::env::current_exe()?;
    Ok(own.parent().and_then(Path::parent).ok_or("where am I?")?.join("release"))
}

/// What came of an attack.
struct Row {
    attack: Attack,
    /// Of each pair.
    quiet: Vec<Duration>,
    attacked: Vec<Duration>,
    done_per_second: f64,
}

impl Row {
    fn ratios(&self) -> Vec<f64> {
        self.attacked
            .iter()
            .zip(&self.quiet)
            .map(|(attacked, quiet)| attacked.as_secs_f64() / quiet.as_secs_f64())
            .collect()
    }

    fn ratio(&self) -> f64 {
        median(self.ratios())
    }
}

/// The one in the middle; of an even number, the lower of the two there.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = |latencies: &[Duration]| {
            median(latencies.iter().map(|latency| latency.as_secs_f64() * 1e6).collect())
        };
        let ratios = self.ratios();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(0.0, f64::max);
        let name = self.attack.words();
        write!(f, "| {name} | {:.0} µs | {:.0} µs | ", micros(&self.quiet), micros(&self.attacked))?;
        write!(f, "{:.2} ({least:.2} to {most:.2}) | {:.0} |", self.ratio(), self.done_per_second)
    }
}

fn pairs(args: &Args, attack: Attack, programs: &Path) -> Result<Row, Box<dyn Error>> {
    let mut row = Row { attack, quiet: Vec::new(), attacked: Vec::new(), done_per_second: 0.0 };
    let server = Server::start(programs, args, attack)?;
    let bystanders = Bystanders { programs, args, server: &server };
    let attackers = Attackers::new(&server.addresses, attack)?;
    for pair in 1..=args.pairs {
        row.quiet.push(bystanders.start()?.p99()?);
        let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
        let run = bystanders.start()?;
        let started = Instant::now();
        let p99 = thread::scope(|scope| {
            attackers.start(scope, args.generator_core, &stop, &done);
            let p99 = run.p99();
            stop.store(true, Ordering::Relaxed);
            p99
        });
        row.attacked.push(p99?);
        let seconds = started.elapsed().as_secs_f64() * args.pairs as f64;
        row.done_per_second += done.load(Ordering::Relaxed) as f64 / seconds;
        let (quiet, attacked) = (row.quiet[pair - 1], row.attacked[pair - 1]);
        tell(format_args!(
            "{}, pair {pair} of {}: {quiet:?} quiet, {attacked:?} under attack",
            attack.words(),
            args.pairs
        ));
    }
    Ok(row)
}
