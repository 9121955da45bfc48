//! A soak from beginning to end: whether a server that many come to and go from for a long time stays as it is.
//!
//! All come in, then come and go, first unobserved and then observed; at the end all mail is read and deleted, all leave,
//! and the server must have as many open descriptors as before. `turnover` is the loop with the clients, `crowd` who they
//! are, `ledger` and `mail` what they are owed, `watch` what the server is seen to use.

mod crowd;
mod ledger;
mod mail;
mod plan;
mod plot;
mod report;
mod turnover;
mod watch;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use procfs::ProcError;
use rustix::time::{ClockId, clock_gettime};

pub(crate) use self::plan::{Plan, PlanError};

use self::crowd::{CLIENTS_MIN, Crowd};
use self::report::{Found, Report};
use self::turnover::Turnover;
use self::watch::{Sample, Usage, Watch};
use crate::clock::Moment;
use crate::run::RunError;
use crate::server_process::{ServerProcess, datagrams_dropped};
use crate::{Ended, files, screen, wrote};

/// Without any progress for so long, what is awaited will not come.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at whether to end early, at most.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How long the few stay who come before all others.
const VISIT: Duration = Duration::from_secs(1);
/// A server that has had as many descriptors for so long is done with closing those of who has left.
const REST: Duration = Duration::from_secs(1);
/// Samples of which one is printed.
const PRINTED_EVERY: usize = 60;

/// Carries out a soak, prints what it found, and says how it ended.
pub(crate) fn run(plan: &Plan, interrupted: &AtomicBool) -> Result<ExitCode, RunError> {
    if let Some(directory) = &plan.write {
        let failed = |error| RunError::File { path: directory.clone(), error };
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let report = Soak::new(plan, interrupted)?.run()?;
    // Files first: the reader of the output may be gone, and its disk may be full.
    let is_written = plan.write.as_ref().is_none_or(|directory| write_files(directory, &report));
    let is_cut_short = interrupted.load(Ordering::Relaxed);
    let problem = report.problem();
    let ending = match problem {
        None if !is_cut_short => "\nAll that was owed was delivered, once and in order.\n",
        _ => "",
    };
    let ended = Ended { problem, is_written, is_cut_short };
    Ok(ended.print(&format_args!("{report}{ending}")))
}

/// Writes both files. Returns whether each was written.
fn write_files(directory: &Path, report: &Report) -> bool {
    let (json, svg) = (directory.join("soak.json"), directory.join("soak.svg"));
    let is_json_written = wrote(&json, write_json(&json, report));
    wrote(&svg, plot::draw(report, &svg)) && is_json_written
}

fn write_json(path: &Path, report: &Report) -> Result<(), Box<dyn Error>> {
    Ok(fs::write(path, serde_json::to_vec(report)?)?)
}

struct Soak<'a> {
    turnover: Turnover,
    watch: Watch,
    pid: i32,
    interrupted: &'a AtomicBool,
}

impl<'a> Soak<'a> {
    fn new(plan: &Plan, interrupted: &'a AtomicBool) -> Result<Self, RunError> {
        files::make_room(plan.names()).map_err(RunError::TooManyFiles)?;
        let pid = plan.server_pid.unwrap_or_default();
        let server = plan.server_pid.map(ServerProcess::new).transpose();
        let server = server.map_err(|error| RunError::Server { pid, error })?;
        let turnover = turnover(plan, CLIENTS_MIN)?;
        Ok(Self { turnover, watch: Watch::new(server), pid, interrupted })
    }

    fn run(mut self) -> Result<Report, RunError> {
        let plan = self.turnover.plan.clone();
        self.visit()?;
        if self.is_interrupted() {
            return Err(RunError::Interrupted { clients: plan.clients, ready: 0 });
        }
        let before = self.usage_at_rest(|_| true)?;
        let dropped_before = datagrams_dropped().unwrap_or_default();

        self.turnover = turnover(&plan, plan.names())?;
        self.wait(|turnover| turnover.inside() >= turnover.crowd.len())?;
        screen::tell(&format_args!("{} clients are in", self.turnover.inside()));
        let start = self.turnover.clock.now();
        self.watch.start(start);
        self.turnover.start_talking();
        self.turnover.start_churn();
        let from = start.after(plan.warmup);
        self.go_on_until(from)?;
        let first = self.cpu()?;
        self.go_on_until(from.after(plan.duration))?;
        let last = self.cpu()?;
        self.watch.stop();
        let cut_short = self.is_interrupted();
        self.all_leave()?;
        let after =
            self.usage_at_rest(|descriptors| before.is_none_or(|before| before.descriptors == descriptors))?;
        let found = Found {
            before,
            after,
            samples: std::mem::take(&mut self.watch.samples),
            server_cpu: last.server.zip(first.server).map(|(last, first)| last.saturating_sub(first)),
            generator_cpu: last.own.saturating_sub(first.own),
            measured: last.at.since(first.at),
            datagrams_dropped: datagrams_dropped().unwrap_or_default().saturating_sub(dropped_before),
            cut_short,
        };
        Ok(Report::new(&self.turnover, found))
    }

    /// A few of each dialect come and go: some things a server opens with the first one who needs them, and keeps. Whoever
    /// cannot come has the soak end before it begins.
    fn visit(&mut self) -> Result<(), RunError> {
        self.wait(|turnover| turnover.inside() >= turnover.crowd.len() || turnover.counts.errors > 0)?;
        let clients = self.turnover.crowd.len();
        let ready = self.turnover.inside();
        if ready < clients {
            let errors = usize::try_from(self.turnover.counts.errors).unwrap_or(usize::MAX);
            let reason = self.turnover.counts.first_error.clone().unwrap_or_default();
            let failed = errors.min(clients - ready);
            return Err(RunError::Refused {
                clients,
                ready,
                failed,
                untried: clients - ready - failed,
                reason,
            });
        }
        self.turnover.start_churn();
        self.go_on_until(self.turnover.clock.now().after(VISIT))?;
        self.all_leave()
    }

    /// All who are on their way come in, all mail is read and deleted, and all leave.
    fn all_leave(&mut self) -> Result<(), RunError> {
        self.turnover.stop_churn();
        self.turnover.stop_talking();
        self.wait(|turnover| turnover.inside() >= turnover.crowd.len())?;
        self.wait(|turnover| turnover.ledger.owed() == 0 && turnover.is_mail_done())?;
        self.turnover.give_up();
        self.turnover.ask_for_all_mail();
        self.wait(|turnover| turnover.asked() == 0)?;
        self.turnover.begin_leaving();
        self.wait(Turnover::only_hosts_are_left)?;
        self.turnover.close_rooms();
        self.wait(|turnover| turnover.away() == turnover.crowd.len())
    }

    /// What the server uses when nobody is there any more, which it notices of each at its own pace: as soon as it has had as
    /// many descriptors for a while, and so many as are expected, or will not have.
    fn usage_at_rest(&mut self, is_expected: impl Fn(usize) -> bool) -> Result<Option<Usage>, RunError> {
        let give_up = self.turnover.clock.now().after(PATIENCE);
        let mut since = (self.turnover.clock.now(), self.of_server(self.watch.usage())?);
        loop {
            let now = self.turnover.clock.now();
            let usage = self.of_server(self.watch.usage())?;
            let descriptors = |usage: Option<Usage>| usage.map(|usage| usage.descriptors);
            if descriptors(usage) != descriptors(since.1) {
                since = (now, usage);
            }
            let is_at_rest = now.since(since.0) >= REST && descriptors(usage).is_none_or(&is_expected);
            if usage.is_none() || is_at_rest || now >= give_up {
                return Ok(usage);
            }
            self.turn(give_up)?;
        }
    }

    fn cpu(&self) -> Result<Cpu, RunError> {
        let own = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default();
        Ok(Cpu { at: self.turnover.clock.now(), own, server: self.of_server(self.watch.cpu())? })
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// A turn of the loop, and a look at the server when it is due.
    fn turn(&mut self, wake: Moment) -> Result<(), RunError> {
        let look_again = self.turnover.clock.now().after(LOOK_INTERVAL);
        self.turnover.turn(wake.min(self.watch.next_due()).min(look_again))?;
        let now = self.turnover.clock.now();
        let (inside, delivered) = (self.turnover.inside(), self.turnover.tallies.all().delivered);
        let looked = self.watch.look(now, inside, delivered);
        if self.of_server(looked)? && self.watch.samples.len().is_multiple_of(PRINTED_EVERY) {
            self.print_sample();
        }
        Ok(())
    }

    fn print_sample(&self) {
        let Some(Sample { seconds, usage, clients, delivered, .. }) = self.watch.samples.last() else {
            return;
        };
        let usage = usage.map_or(String::new(), |usage| {
            format!("{:.2} MB, {} descriptors, ", usage.resident_bytes as f64 / 1e6, usage.descriptors)
        });
        let counts = &self.turnover.counts;
        let tally = self.turnover.tallies.all();
        // Where it cannot be printed, the report at the end cannot, which says so.
        let _ = screen::print(&format_args!(
            "{:>4.0} min  {usage}{clients} clients, {} connects, {delivered} delivered, {} lost, {} errors\n",
            seconds / 60.0,
            counts.connects,
            tally.lost,
            counts.errors
        ));
    }

    fn go_on_until(&mut self, end: Moment) -> Result<(), RunError> {
        while self.turnover.clock.now() < end && !self.is_interrupted() {
            self.turn(end)?;
        }
        Ok(())
    }

    /// Goes on until something is so, or nothing has moved for too long: what is missing then is found by the counts.
    fn wait(&mut self, is_so: impl Fn(&Turnover) -> bool) -> Result<(), RunError> {
        let mut moved = (self.turnover.clock.now(), self.turnover.progress());
        while !is_so(&self.turnover) {
            let now = self.turnover.clock.now();
            let progress = self.turnover.progress();
            if progress != moved.1 {
                moved = (now, progress);
            }
            let give_up = moved.0.after(PATIENCE);
            if now >= give_up {
                return Ok(());
            }
            self.turn(give_up)?;
        }
        Ok(())
    }

    fn of_server<T>(&self, asked: procfs::ProcResult<T>) -> Result<T, RunError> {
        asked.map_err(|error: ProcError| RunError::Server { pid: self.pid, error })
    }
}

/// Processor time used until a moment.
struct Cpu {
    at: Moment,
    own: Duration,
    server: Option<Duration>,
}

/// So many clients, all of whom are away.
fn turnover(plan: &Plan, clients: usize) -> Result<Turnover, RunError> {
    let run = fastrand::u16(..);
    Ok(Turnover::new(plan.clone(), Crowd::new(clients, run), run)?)
}
