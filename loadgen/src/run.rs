//! A run from beginning to end: connect, settle, warm up, measure, drain, list what is kept, leave.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;

use crate::check::Tally;
use crate::clock::Moment;
use crate::files;
use crate::load::{Counts, Load};
use crate::measure::Series;
use crate::payload::on_the_wire;
use crate::plan::{Plan, Traffic};
use crate::progress::Progress;
use crate::server_process::ServerProcess;

/// Without any progress for so long, what is awaited will not come.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for what may have been lost on the way: a datagram that has not come by then does not.
const PATIENCE_WITH_DATAGRAMS: Duration = Duration::from_secs(1);
/// Nothing received for so long means that the server has said all that it had to say.
const QUIET: Duration = Duration::from_millis(100);
/// A server that never becomes quiet is measured nevertheless.
const SETTLE_MAX: Duration = Duration::from_secs(60);
/// Between two looks at whether to end early, at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// After so many failures no further client is launched: the rest would fare no better.
const FAILURES_MAX: usize = 256;

/// What a run found.
pub(crate) struct Outcome {
    pub(crate) load: Load,
    /// Until all were connected.
    pub(crate) connected_after: Duration,
    /// Until all were in their rooms.
    pub(crate) ready_after: Duration,
    /// At the start and at the end of the time that is measured.
    pub(crate) measured: (Sample, Sample),
    /// The server's processor time until all were in their rooms, and had been told what there was to tell.
    pub(crate) server_cpu_entering: Option<Duration>,
    /// The server's resident bytes.
    pub(crate) resident: Option<Resident>,
    pub(crate) cut_short: bool,
}

/// Totals at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Moment,
    pub(crate) delivered: u64,
    pub(crate) bytes_received: u64,
    /// Of this process.
    pub(crate) cpu: Duration,
    pub(crate) server_cpu: Option<Duration>,
}

/// The server's resident bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resident {
    /// Before the first client connected.
    pub(crate) before: u64,
    /// With everybody connected and nothing said.
    pub(crate) connected: u64,
    /// With everybody connected and everything delivered.
    pub(crate) end: u64,
}

/// Why nothing could be measured.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    #[error("{0}")]
    TooManyFiles(String),
    #[error("--server-pid {pid}: {error}")]
    Server { pid: i32, error: procfs::ProcError },
    #[error(
        "{failed} of {clients} clients failed to connect or to log in ({ready} did, {untried} did not try): {reason}"
    )]
    Refused { clients: usize, ready: usize, failed: usize, untried: usize, reason: String },
    #[error(
        "nothing moved for {} s: {connected} of {clients} clients connected, {ready} logged in",
        PATIENCE.as_secs()
    )]
    Stalled { clients: usize, connected: usize, ready: usize },
    #[error("interrupted before anything was measured: {ready} of {clients} clients had logged in")]
    Interrupted { clients: usize, ready: usize },
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("the poll failed: {0}")]
    Poll(#[from] io::Error),
}

struct Run<'a> {
    load: Load,
    server: Option<(i32, ServerProcess)>,
    interrupted: &'a AtomicBool,
    progress: Progress,
}

/// Carries out a plan. `interrupted` ends it early.
pub(crate) fn run(plan: Plan, interrupted: &AtomicBool) -> Result<Outcome, RunError> {
    files::make_room(plan.clients).map_err(RunError::TooManyFiles)?;
    let server = match plan.server_pid {
        Some(pid) => {
            let process = ServerProcess::new(pid).map_err(|error| RunError::Server { pid, error })?;
            Some((pid, process))
        }
        None => None,
    };
    let progress = Progress::new(&plan);
    let id = fastrand::u16(..);
    let mut run = Run { load: Load::new(plan, id)?, server, interrupted, progress };

    let before = run.resident()?;
    let cpu_before = run.of_server(ServerProcess::cpu)?;
    let (connected_after, ready_after) = match run.connect() {
        Ok(after) => after,
        Err(error) => {
            run.leave()?;
            return Err(error);
        }
    };
    run.settle(SETTLE_MAX)?;
    let connected = run.resident()?;
    let cpu_connected = run.of_server(ServerProcess::cpu)?;
    let measured = run.measure()?;
    run.drain()?;
    let cut_short = run.is_interrupted();
    let end = run.resident()?;
    run.list(cut_short)?;
    run.leave()?;
    run.load.intake.tally.lost += run.load.intake.in_flight.owed();
    run.load.intake.tally.unkept += run.load.intake.not_yet_kept();
    run.progress.finish();
    let resident = match (before, connected, end) {
        (Some(before), Some(connected), Some(end)) => Some(Resident { before, connected, end }),
        _ => None,
    };
    let server_cpu_entering = cpu_connected.zip(cpu_before).map(|(to, from)| to.saturating_sub(from));
    let load = run.load;
    Ok(Outcome { load, connected_after, ready_after, measured, server_cpu_entering, resident, cut_short })
}

impl Run<'_> {
    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// How long what does not come is waited for.
    fn patience(&self) -> Duration {
        if self.load.plan.dialect.may_lose() { PATIENCE_WITH_DATAGRAMS } else { PATIENCE }
    }

    /// A turn of the loop, and of the progress bar.
    fn turn(&mut self, wake: Moment) -> io::Result<()> {
        // A signal that comes just before the poll does not end it.
        let look_again = self.load.clock.now().after(LOOK_INTERVAL);
        self.load.turn(wake.min(self.progress.next_update()).min(look_again))?;
        self.progress.update(&self.load);
        Ok(())
    }

    /// Connects everybody and sees them into their rooms. Says how long each took.
    fn connect(&mut self) -> Result<(Duration, Duration), RunError> {
        let clients = self.load.plan.clients;
        let start = self.load.clock.now();
        let mut connected_at = start;
        let mut moved = (start, 0, 0);
        loop {
            let now = self.load.clock.now();
            let next_launch = self.launch(start, now);
            let Counts { launched, connected, ready, seated, failed, .. } = self.load.counts;
            // Who goes from its seat into its room moves as well.
            let progress = 2 * (ready + failed) + seated;
            if (moved.1, moved.2) != (connected, progress) {
                if moved.1 != connected {
                    connected_at = now;
                }
                moved = (now, connected, progress);
            }
            if ready == clients {
                return Ok((connected_at.since(start), now.since(start)));
            }
            if failed > 0 && ready + failed >= launched && (failed >= FAILURES_MAX || launched == clients) {
                let reason = self.load.counts.first_failure.clone().unwrap_or_default();
                let untried = clients - launched;
                return Err(RunError::Refused { clients, ready, failed, untried, reason });
            }
            if self.is_interrupted() {
                return Err(RunError::Interrupted { clients, ready });
            }
            let give_up = moved.0.after(PATIENCE);
            if now >= give_up && launched > ready + failed {
                return Err(RunError::Stalled { clients, connected, ready });
            }
            self.turn(give_up.min(next_launch))?;
        }
    }

    /// Launches the clients whose time has come. Says when the next one's does.
    fn launch(&mut self, start: Moment, now: Moment) -> Moment {
        loop {
            let Counts { launched, failed, .. } = self.load.counts;
            // Over either bound, the next readiness brings this back.
            if launched == self.load.plan.clients
                || failed >= FAILURES_MAX
                || self.load.counts.connecting() >= self.load.plan.connecting_limit
                || !self.load.may_launch()
            {
                return Moment::NEVER;
            }
            if let Some(rate) = self.load.plan.connect_rate {
                let due = start.after(Duration::from_secs_f64(launched as f64 / rate));
                if due > now {
                    return due;
                }
            }
            self.load.launch();
        }
    }

    /// Waits until nothing is received any more.
    fn settle(&mut self, wait_max: Duration) -> Result<(), RunError> {
        let start = self.load.clock.now();
        let mut heard = (start, self.load.counts.bytes_received);
        loop {
            let now = self.load.clock.now();
            if self.load.counts.bytes_received != heard.1 {
                heard = (now, self.load.counts.bytes_received);
            }
            let quiet_at = heard.0.after(QUIET);
            if now >= quiet_at || now.since(start) >= wait_max || self.is_interrupted() {
                return Ok(());
            }
            self.turn(quiet_at)?;
        }
    }

    /// Publishes for the warm-up and for the duration. Gives the totals at the beginning and the end of the latter.
    fn measure(&mut self) -> Result<(Sample, Sample), RunError> {
        let (warmup, duration) = (self.load.plan.warmup, self.load.plan.duration);
        // What is scheduled then is measured, as a payload tells the time.
        let start = on_the_wire(self.load.clock.now());
        let from = on_the_wire(start.after(warmup));
        let to = from.after(duration);
        self.load.intake.latencies.measure(from..to);
        self.load.series = Series::new(start, warmup + duration);
        self.load.start_publishing(start, to);
        self.publish_until(from)?;
        let first = self.sample()?;
        self.publish_until(to)?;
        if self.is_interrupted() {
            self.load.stop_publishing(self.load.clock.now());
        }
        Ok((first, self.sample()?))
    }

    fn publish_until(&mut self, end: Moment) -> Result<(), RunError> {
        while self.load.clock.now() < end
            && !self.is_interrupted()
            && self.load.counts.failed < self.load.plan.clients
        {
            self.turn(end)?;
        }
        Ok(())
    }

    /// Waits for what is owed, and then a little for what is not.
    fn drain(&mut self) -> Result<(), RunError> {
        let patience = self.patience();
        let mut moved = (self.load.clock.now(), 0);
        while !self.load.is_drained() {
            let now = self.load.clock.now();
            let Tally { delivered, refused, .. } = self.load.intake.tally;
            let progress = self.load.counts.published + delivered + refused;
            if progress != moved.1 {
                moved = (now, progress);
            }
            let give_up = moved.0.after(patience);
            if now >= give_up || self.load.counts.failed == self.load.plan.clients {
                break;
            }
            self.turn(give_up)?;
        }
        self.settle(PATIENCE)
    }

    /// Has the mailboxes listed, where there are any. One that does not answer is as wrong as one that lists too little.
    fn list(&mut self, cut_short: bool) -> Result<(), RunError> {
        if !cut_short && self.load.plan.traffic != Traffic::Idle {
            self.load.begin_listing();
            self.load.intake.tally.mislisted += self.await_answers()?;
        }
        Ok(())
    }

    /// Has everybody leave. Who does not say so is left.
    fn leave(&mut self) -> Result<(), RunError> {
        self.load.begin_leaving();
        self.await_answers()?;
        Ok(())
    }

    /// Waits until all have answered who were asked, and says how many have not.
    fn await_answers(&mut self) -> Result<u64, RunError> {
        let mut moved = (self.load.clock.now(), 0);
        loop {
            let now = self.load.clock.now();
            let unanswered = self.load.unanswered();
            if unanswered != moved.1 {
                moved = (now, unanswered);
            }
            let give_up = moved.0.after(self.patience());
            if unanswered == 0 || now >= give_up {
                return Ok(unanswered as u64);
            }
            self.turn(give_up)?;
        }
    }

    fn sample(&self) -> Result<Sample, RunError> {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Ok(Sample {
            at: self.load.clock.now(),
            delivered: self.load.intake.tally.delivered,
            bytes_received: self.load.counts.bytes_received,
            cpu: Duration::try_from(cpu).unwrap_or_default(),
            server_cpu: self.of_server(ServerProcess::cpu)?,
        })
    }

    fn resident(&self) -> Result<Option<u64>, RunError> {
        self.of_server(ServerProcess::resident_bytes)
    }

    fn of_server<T>(
        &self,
        ask: impl Fn(&ServerProcess) -> procfs::ProcResult<T>,
    ) -> Result<Option<T>, RunError> {
        let Some((pid, process)) = &self.server else { return Ok(None) };
        match ask(process) {
            Ok(answer) => Ok(Some(answer)),
            // It has gone away, which its connections tell as well.
            Err(procfs::ProcError::NotFound(_)) => Ok(None),
            Err(error) => Err(RunError::Server { pid: *pid, error }),
        }
    }
}
