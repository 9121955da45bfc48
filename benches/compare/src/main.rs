//! Parlance and other servers side by side, under the same load, on the same machine, in the same minutes.
//!
//! `scenario` says what they are put through, `server` how each is started; `run` does one run of one server, with the
//! generator as `process`es; `figures` reads what it measured, `results` keeps that, `statistics` makes one figure of many;
//! `table`, `plot` and `document` show it. benches/compare/README.md says how to use it.

// `println!` panics where the output is closed or full.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod document;
mod figures;
mod plot;
mod process;
mod programs;
mod results;
mod run;
mod scenario;
mod server;
mod statistics;
mod table;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::figures::Outcome;
use crate::process::Places;
use crate::results::{Machine, Measured, Results, Started};
use crate::run::{RunError, Setting};
use crate::scenario::{SCENARIOS, Scenario};
use crate::server::{Cores, Server};

/// Runs Parlance and other servers side by side, under the same load, and shows what each costs and can do.
///
/// In each round each server is started afresh, one after the other; what is compared with what is always of the same round.
/// What is missing of Debian's packages is installed. A server that fails its checks is shown as failed.
#[derive(Parser, Debug)]
#[command(version)]
struct Args {
    /// How often each server goes through each scenario; 0 to show again what is kept.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: u32,
    /// How long to measure, where something is published.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "2s")]
    duration: Duration,
    /// How long to publish before measuring.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "500ms")]
    warmup: Duration,
    /// Only these scenarios, separated by commas [default: all]
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',', value_parser = scenario_names())]
    only: Vec<String>,
    /// Only these servers, separated by commas [default: all]
    #[arg(long, value_name = "SERVER", value_delimiter = ',')]
    servers: Vec<Server>,
    /// Write the results to docs/compare.json, where those of these scenarios are replaced, and the section of
    /// docs/performance.md and its plots.
    #[arg(long)]
    write: bool,
    /// Where loadgen, parlance and examples/ are [default: they are built, with cargo build --release]
    #[arg(long, value_name = "DIRECTORY")]
    programs: Option<PathBuf>,
    /// Leave out the servers that are not installed.
    #[arg(long)]
    no_install: bool,
    /// The servers' core.
    #[arg(long, value_name = "CORE", default_value_t = 0)]
    server_core: usize,
    /// The generator's core.
    #[arg(long, value_name = "CORE", default_value_t = 1)]
    generator_core: usize,
}

fn scenario_names() -> PossibleValuesParser {
    PossibleValuesParser::new(SCENARIOS.iter().map(|scenario| scenario.name))
}

/// As a shell reports what Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;
/// 10,000 connections, and what a program has open besides.
const FILES_MIN: u64 = 10_064;

const RESULTS: &str = "docs/compare.json";
const DOCUMENT: &str = "docs/performance.md";

fn main() -> ExitCode {
    match compare(&Args::parse()) {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => EXIT_INTERRUPTED.into(),
        // The reader of the tables has read enough.
        Err(error) if is_closed(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            tell(format_args!("compare: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Says something on standard error. Where that is closed, the exit status has to say it all.
pub(crate) fn tell(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn is_closed(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Shows a table. With `--write` the files are what is asked for, and a reader that has read enough ends
/// nothing.
fn show(args: &Args, text: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if args.write && error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Does what is asked for; says whether it was interrupted.
fn compare(args: &Args) -> Result<bool, Box<dyn Error>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let places = places(args)?;
    let servers: Vec<Server> = Server::value_variants()
        .iter()
        .copied()
        .filter(|server| args.servers.is_empty() || args.servers.contains(server))
        .collect();
    let kept = places.root.join(RESULTS);
    let mut results = Results::read(&kept)?;
    let mut shown = Results::default();
    if args.rounds > 0 {
        prepare(args, &places, &servers)?;
    }
    let setting = Setting {
        places: &places,
        cores: Cores { server: args.server_core, generator: args.generator_core },
        warmup: args.warmup,
        duration: args.duration,
        interrupted: &interrupted,
    };
    let is_asked =
        |scenario: &&Scenario| args.only.is_empty() || args.only.iter().any(|name| name == scenario.name);
    for scenario in SCENARIOS.iter().filter(is_asked) {
        let measured = if args.rounds == 0 {
            let Some(measured) = results.get(scenario.name) else { continue };
            measured.clone()
        } else {
            match measure(&setting, scenario, &servers, args.rounds) {
                Ok(Some(measured)) => measured,
                Ok(None) => continue,
                Err(RunError::Interrupted) => break,
                Err(RunError::Io(error)) => return Err(error.into()),
            }
        };
        let table = format!("{}\n\n{}\n", scenario.title, table::table(scenario, &measured));
        shown.insert(scenario.name, measured.clone());
        results.insert(scenario.name, measured);
        if args.write {
            // What takes half an hour is kept as it comes, before it is shown.
            fs::write(&kept, results.to_json()?)?;
        }
        show(args, &table)?;
    }
    if args.write {
        write(&results, &places.root)?;
    } else {
        show(args, &table::commands(&shown))?;
    }
    Ok(interrupted.load(Ordering::Relaxed))
}

fn places(args: &Args) -> Result<Places, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let programs = match &args.programs {
        Some(directory) => directory.canonicalize()?,
        // Beside the directory that this program is in, whatever that one is called.
        None => {
            std::env::current_exe()?.parent().and_then(Path::parent).ok_or("where am I?")?.join("release")
        }
    };
    Ok(Places { root, programs })
}

/// Sees to it that everything is there.
fn prepare(args: &Args, places: &Places, servers: &[Server]) -> Result<(), Box<dyn Error>> {
    // Not rustix's `getrlimit`, which panics where a sandbox refuses the call.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)
        .map_err(|error| format!("the system does not tell the limit of open files: {error}"))?;
    if hard < FILES_MIN {
        return Err(format!("10,000 clients need a hard limit of {FILES_MIN} open files (ulimit -Hn)").into());
    }
    // Not all servers raise it themselves.
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    if args.programs.is_none() {
        programs::build(places)?;
    }
    if !args.no_install {
        programs::install(places, servers);
    }
    Ok(())
}

/// All rounds of a scenario, each with all servers in turn. Nothing, when none of them takes part.
fn measure(
    setting: &Setting<'_>,
    scenario: &Scenario,
    servers: &[Server],
    rounds: u32,
) -> Result<Option<Measured>, RunError> {
    let servers: Vec<Server> = servers.iter().copied().filter(|server| server.takes_part(scenario)).collect();
    if servers.is_empty() {
        return Ok(None);
    }
    let mut done = Vec::new();
    for round in 1..=rounds {
        let mut outcomes = BTreeMap::new();
        for &server in &servers {
            let outcome = setting.run(scenario, server)?;
            tell(format_args!(
                "{}, round {round} of {rounds}, {}: {}",
                scenario.name,
                server.title(),
                words(scenario, &outcome)
            ));
            outcomes.insert(server, outcome);
        }
        done.push(outcomes);
    }
    let started = |server: Server| Started {
        command: server.command(scenario, setting.cores),
        dialect: server.dialect(scenario).unwrap_or_default().to_owned(),
        version: programs::version(server),
    };
    Ok(Some(Measured {
        machine: Machine::this(&setting.places.root),
        generator: setting.generator_command(scenario),
        servers: servers.iter().map(|server| (*server, started(*server))).collect(),
        rounds: done,
    }))
}

/// A run in a line.
fn words(scenario: &Scenario, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Measured(figures) => {
            let figures = scenario.columns().iter().filter_map(|figure| {
                Some(format!("{} {}", figure.words(figure.of(figures)?), figure.title()))
            });
            figures.collect::<Vec<_>>().join(", ")
        }
        Outcome::Failed(reason) => format!("failed: {reason}"),
        Outcome::Cannot(reason) => format!("cannot: {reason}"),
    }
}

/// Writes the document's section and its plots.
fn write(results: &Results, root: &Path) -> Result<(), Box<dyn Error>> {
    let path = root.join(DOCUMENT);
    let plots = plot::draw(results, &root.join("docs"))?;
    let document = fs::read_to_string(&path)?;
    let document = document::replace(&document, &table::section(results, &plots))
        .map_err(|error| format!("{DOCUMENT}: {error}"))?;
    fs::write(path, document)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_makes_sense() {
        Args::command().debug_assert();
        let args = Args::parse_from([
            "compare",
            "--only",
            "size-64,rooms-of-10",
            "--servers",
            "floor,parlance-kept",
        ]);
        assert_eq!(args.only, ["size-64", "rooms-of-10"]);
        assert_eq!(args.servers, [Server::Floor, Server::ParlanceKept]);
        assert!(Args::try_parse_from(["compare", "--only", "none"]).is_err());
    }

    #[test]
    fn the_document_has_its_markers() {
        let document = include_str!("../../../docs/performance.md");
        assert!(document::replace(document, "").is_ok());
    }
}
