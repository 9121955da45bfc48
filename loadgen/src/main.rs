//! The load generator: connects many clients to a server, lets some speak, and checks and times what the others receive.
//!
//! One thread, one loop. `args` makes a `plan` of the command line; `run` carries it out in phases; `load` is the loop with
//! the clients; `speech` is what they say in each `dialect`, `incoming` what they hear, and `peer` both of the servers that
//! Parlance is compared with; `intake` checks what they receive; `report`, `plot` and `hgrm` say what was found.
//! `soak` is another kind of run, with a loop of its own: clients of all dialects come and go for a long time.

// `println!` panics where the output is closed or full.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod check;
mod client;
mod clock;
mod datagram_buffers;
mod dialect;
mod errand;
mod files;
mod hgrm;
mod in_flight;
mod incoming;
mod intake;
mod load;
mod mailbox;
mod measure;
mod payload;
mod peer;
mod plan;
mod plot;
mod progress;
mod report;
mod roster;
mod run;
mod schedule;
mod screen;
mod server_process;
mod shape;
mod soak;
mod source;
mod speech;
mod target;
mod timer;

use std::error::Error;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use hdrhistogram::Histogram;
use parlance::signals::stays_ignored;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::args::{Args, Mode, PlanError};
use crate::plot::Plot;
use crate::report::Report;
use crate::run::{Outcome, RunError};

/// As a shell reports what Ctrl-C ended.
const EXIT_CUT_SHORT: u8 = 130;

fn main() -> ExitCode {
    let mut args = Args::try_parse().unwrap_or_else(|error| end(&error));
    if let Some(Mode::Soak(plan)) = args.mode.take() {
        return soak(*plan);
    }
    let plan = match args.plan() {
        Ok(plan) => plan,
        Err(PlanError::Server(error)) => {
            screen::complain(&error);
            return ExitCode::FAILURE;
        }
        Err(error) => refuse(&error),
    };
    let outcome = watch_for_interruption().map_err(RunError::from).and_then(|flag| run::run(plan, &flag));
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => return failed(&error),
    };
    let report = Report::new(&outcome);
    // Files first: the reader of the output may be gone, and its disk may be full.
    let is_written = write_files(&outcome, &report);
    let ending = match report.problem() {
        Some(_) => String::new(),
        None if outcome.cut_short => format!("\n{}, until the run was cut short.\n", report.success()),
        None => format!("\n{}.\n", report.success()),
    };
    let ended = Ended { problem: report.problem(), is_written, is_cut_short: outcome.cut_short };
    ended.print(&format_args!("{report}{ending}"))
}

/// How a run ended, for the exit status.
pub(crate) struct Ended {
    pub(crate) problem: Option<String>,
    pub(crate) is_written: bool,
    pub(crate) is_cut_short: bool,
}

impl Ended {
    /// Prints the report, and behind it what went wrong.
    pub(crate) fn print(self, report: &impl Display) -> ExitCode {
        let printed = screen::print(report);
        if let Err(error) = &printed {
            screen::complain(&format_args!("cannot write to standard output: {error}"));
        }
        if let Some(problem) = &self.problem {
            screen::complain(problem);
        }
        if self.problem.is_some() || !self.is_written || printed.is_err() {
            ExitCode::FAILURE
        } else if self.is_cut_short {
            EXIT_CUT_SHORT.into()
        } else {
            ExitCode::SUCCESS
        }
    }
}

/// Ends the process as `clap::Error::exit` does, except that help on a full disk is a failure. That its
/// reader has read enough is none.
fn end(error: &clap::Error) -> ! {
    let code = match error.print() {
        Err(cause) if !error.use_stderr() && cause.kind() != io::ErrorKind::BrokenPipe => {
            screen::complain(&format_args!("cannot write to standard output: {cause}"));
            1
        }
        Ok(()) | Err(_) => error.exit_code(),
    };
    std::process::exit(code)
}

/// The command line makes no sense.
fn refuse(error: &impl Display) -> ! {
    Args::command().error(ErrorKind::ValueValidation, error).exit()
}

fn soak(plan: soak::Plan) -> ExitCode {
    let plan = match plan.check() {
        Ok(plan) => plan,
        Err(soak::PlanError::Server(error)) => {
            screen::complain(&error);
            return ExitCode::FAILURE;
        }
        Err(error) => refuse(&error),
    };
    let ended = watch_for_interruption().map_err(RunError::from).and_then(|flag| soak::run(&plan, &flag));
    ended.unwrap_or_else(|error| failed(&error))
}

/// Nothing was found out, and why.
fn failed(error: &RunError) -> ExitCode {
    screen::complain(error);
    let interrupted = matches!(error, RunError::Interrupted { .. });
    if interrupted { EXIT_CUT_SHORT.into() } else { ExitCode::FAILURE }
}

/// The flag is up after the first SIGINT, SIGTERM or SIGHUP. A second SIGINT or SIGTERM ends the process; a
/// terminal that closes can send SIGHUP twice. A signal that was ignored at the start stays ignored.
fn watch_for_interruption() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| !stays_ignored(signal)) {
        if signal != SIGHUP {
            let shut_down = signal_hook::flag::register_conditional_shutdown;
            shut_down(signal, EXIT_CUT_SHORT.into(), Arc::clone(&flag))?;
        }
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

/// Writes all files. Returns whether each was written; what went wrong with one stands on standard error.
fn write_files(outcome: &Outcome, report: &Report) -> bool {
    let load = &outcome.load;
    let latencies = &load.intake.latencies;
    let mut is_written = true;
    if let Some(path) = &load.plan.json {
        is_written &= wrote(path, write_json(path, report));
    }
    if let Some(path) = &load.plan.hgrm {
        is_written &= wrote(path, write_hgrm(path, &latencies.delivery));
        let path = beside(path, "-last-recipient");
        is_written &= wrote(&path, write_hgrm(&path, &latencies.last_recipient));
    }
    if let Some(path) = &load.plan.plot {
        let plot = Plot {
            title: report.title(),
            delivery: &latencies.delivery,
            last_recipient: &latencies.last_recipient,
            series: load.series.buckets(),
            warmup: load.plan.warmup,
        };
        is_written &= wrote(path, plot.draw(path));
    }
    is_written
}

/// Returns whether a file was written. A failure goes to standard error, with the file's name.
pub(crate) fn wrote(path: &Path, result: Result<(), Box<dyn Error>>) -> bool {
    match result {
        Ok(()) => true,
        Err(error) => {
            screen::complain(&format_args!("{}: {error}", path.display()));
            false
        }
    }
}

fn write_json(path: &Path, report: &Report) -> Result<(), Box<dyn Error>> {
    let mut file = create(path)?;
    serde_json::to_writer_pretty(&mut file, report)?;
    Ok(file.flush()?)
}

fn write_hgrm(path: &Path, histogram: &Histogram<u64>) -> Result<(), Box<dyn Error>> {
    let mut file = create(path)?;
    hgrm::write(histogram, &mut file)?;
    Ok(file.flush()?)
}

fn create(path: &Path) -> io::Result<BufWriter<File>> {
    File::create(path).map(BufWriter::new)
}

/// `a/b.hgrm` and `-x` are `a/b-x.hgrm`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.file_stem().unwrap_or_default());
    name.push(suffix);
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}
