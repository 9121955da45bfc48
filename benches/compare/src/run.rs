//! One run: a server is started, the generator put on it, and both are gone again.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::figures::{self, Outcome};
use crate::process::{Places, Process, Stopped, wait_until};
use crate::programs;
use crate::scenario::{Scenario, Transport};
use crate::server::{Cores, Server};

/// How long a server may take to listen.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long the generator may take beyond the time that it is to publish: for connects, and for what is owed at the end.
const EXTRA_LIMIT: Duration = Duration::from_secs(120);
/// The generator's exit status for a command line that makes no sense, such as a text that does not fit the dialect.
const EXIT_NO_SENSE: i32 = 2;

/// What all runs have in common.
pub(crate) struct Setting<'a> {
    pub(crate) places: &'a Places,
    pub(crate) cores: Cores,
    pub(crate) warmup: Duration,
    pub(crate) duration: Duration,
    pub(crate) interrupted: &'a AtomicBool,
}

/// Why there is no outcome.
#[derive(Debug)]
pub(crate) enum RunError {
    Interrupted,
    Io(io::Error),
}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Setting<'_> {
    /// The generator's command for any server: what is in capitals differs.
    pub(crate) fn generator_command(&self, scenario: &Scenario) -> String {
        let datagrams = match scenario.transport {
            Transport::Stream => "",
            Transport::Datagrams => " --datagrams 127.0.0.1:PORT",
        };
        format!(
            "taskset -c {} target/release/loadgen --dialect DIALECT --addr 127.0.0.1:PORT{datagrams} {} --server-pid PID --json DIR/report.json",
            self.cores.generator,
            scenario.arguments(self.warmup, self.duration)
        )
    }

    /// One run.
    pub(crate) fn run(&self, scenario: &Scenario, server: Server) -> Result<Outcome, RunError> {
        let dialect = match server.dialect(scenario) {
            Ok(dialect) => dialect,
            Err(reason) => return Ok(Outcome::Cannot(reason.to_owned())),
        };
        if !programs::is_installed(server) {
            return Ok(Outcome::Cannot("is not installed".to_owned()));
        }
        let directory = tempfile::tempdir()?;
        let command = server.command(scenario, self.cores);
        if !server.has_generator() {
            let mut process = self.places.start(&command, directory.path(), "server.log")?;
            return self.outcome(&mut process, |output| figures::of_sendto(output).ok());
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()));
        if let Err(error) = TcpListener::bind(address) {
            return Ok(Outcome::Failed(format!("{address} is not free: {error}")));
        }
        let mut process = self.places.start(&command, directory.path(), "server.log")?;
        if let Some(failed) = self.await_listening(&mut process, address)? {
            return Ok(failed);
        }
        let generator = self
            .generator_command(scenario)
            .replace("DIALECT", dialect)
            .replace("PORT", &server.port().to_string())
            .replace("PID", &process.id().to_string());
        self.generate(&generator, directory.path(), &mut process)
    }

    /// Waits until a server takes connections. Says why it does not.
    fn await_listening(
        &self,
        process: &mut Process,
        address: SocketAddr,
    ) -> Result<Option<Outcome>, RunError> {
        let listens = wait_until(START_LIMIT, self.interrupted, || {
            if process.has_ended()?.is_some() {
                return Ok(Some(false));
            }
            Ok(TcpStream::connect(address).is_ok().then_some(true))
        })?;
        match listens {
            Ok(true) => Ok(None),
            Ok(false) => {
                Ok(Some(Outcome::Failed(format!("the server ended: {}", last_line(&process.output())))))
            }
            Err(Stopped::Interrupted) => Err(RunError::Interrupted),
            Err(Stopped::TimedOut) => Ok(Some(Outcome::Failed("the server does not listen".to_owned()))),
        }
    }

    fn generate(&self, command: &str, directory: &Path, server: &mut Process) -> Result<Outcome, RunError> {
        let mut generator = self.places.start(command, directory, "generator.log")?;
        let outcome = self.outcome(&mut generator, |_| {
            let report = fs::read_to_string(directory.join("report.json")).ok()?;
            figures::of_generator(&report).ok()
        })?;
        // Whose fault it is that connections were cut off is clear then.
        match server.has_ended()? {
            Some(status) => {
                Ok(Outcome::Failed(format!("the server ended ({status}): {}", last_line(&server.output()))))
            }
            None => Ok(outcome),
        }
    }

    /// Waits for what measures, and reads what it found.
    fn outcome(
        &self,
        process: &mut Process,
        read: impl FnOnce(&str) -> Option<Outcome>,
    ) -> Result<Outcome, RunError> {
        let limit = self.warmup + self.duration + EXTRA_LIMIT;
        let status = match process.wait(limit, self.interrupted)? {
            Ok(status) => status,
            Err(Stopped::Interrupted) => return Err(RunError::Interrupted),
            Err(Stopped::TimedOut) => {
                return Ok(Outcome::Failed(format!("was not done after {} s", limit.as_secs())));
            }
        };
        let output = process.output();
        Ok(judge(status, read(&output), &output))
    }
}

/// What a program's exit status makes of what it reported.
fn judge(status: ExitStatus, reported: Option<Outcome>, output: &str) -> Outcome {
    match (status.code(), reported) {
        (Some(0), Some(outcome)) => outcome,
        (Some(0), None) => Outcome::Failed("the generator reported nothing that can be read".to_owned()),
        (Some(EXIT_NO_SENSE), _) => Outcome::Cannot(complaint(output)),
        (_, Some(failed @ Outcome::Failed(_))) => failed,
        (Some(_), _) => Outcome::Failed(complaint(output)),
        (None, _) => {
            Outcome::Failed(format!("the generator was ended by signal {}", status.signal().unwrap_or(0)))
        }
    }
}

/// What a program complains of: the line that says so, or the last one.
fn complaint(output: &str) -> String {
    let prefixed = output
        .lines()
        .find_map(|line| line.strip_prefix("error: ").or_else(|| line.strip_prefix("loadgen: ")));
    prefixed.map_or_else(|| last_line(output), str::to_owned)
}

fn last_line(output: &str) -> String {
    output.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figures;

    fn status(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn only_a_run_that_ends_well_has_figures() {
        let measured = || Some(Outcome::Measured(Figures::default()));
        assert_eq!(judge(status(0), measured(), ""), Outcome::Measured(Figures::default()));
        let failed = |words: &str| Outcome::Failed(words.to_owned());
        assert_eq!(judge(status(1), measured(), "table\nloadgen: it is odd.\n"), failed("it is odd."));
        assert_eq!(judge(status(1), Some(failed("1 lost")), "loadgen: 1 lost."), failed("1 lost"));
        assert_eq!(judge(status(101), None, "thread panicked\n"), failed("thread panicked"));
        assert_eq!(judge(ExitStatus::from_raw(9), None, ""), failed("the generator was ended by signal 9"));
        assert!(matches!(judge(status(0), None, ""), Outcome::Failed(_)));
    }

    #[test]
    fn what_the_generator_refuses_cannot_be_done() {
        let refusal = "error: --size 512 is out of range: a message takes 32 to 400 bytes in this dialect\n\nUsage: …\n";
        let Outcome::Cannot(reason) = judge(status(2), None, refusal) else { panic!("it is refused") };
        assert_eq!(reason, "--size 512 is out of range: a message takes 32 to 400 bytes in this dialect");
    }
}
