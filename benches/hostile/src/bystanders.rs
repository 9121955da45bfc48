//! Those who have nothing to do with it, as `loadgen` has them: a room in which some speak at a fixed pace, and each message
//! is checked.

use std::error::Error;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use parlance::wire::Dialect;
use tempfile::TempDir;

use crate::Args;
use crate::server::Server;

/// How long they have to come: a hundred of them take a tenth of it.
const COMING: Duration = Duration::from_millis(300);

pub(crate) struct Bystanders<'a> {
    pub(crate) programs: &'a Path,
    pub(crate) args: &'a Args,
    pub(crate) server: &'a Server,
}

/// A run that has begun.
pub(crate) struct Run {
    loadgen: Child,
    directory: TempDir,
}

impl Bystanders<'_> {
    /// Has them come and begin to talk.
    pub(crate) fn start(&self) -> io::Result<Run> {
        let Args { generator_core, clients, rate, duration, warmup, .. } = self.args;
        let directory = tempfile::tempdir()?;
        let address = self.server.addresses.of(Dialect::Line);
        let loadgen = Command::new("taskset")
            .args(["-c", &generator_core.to_string()])
            .arg(self.programs.join("loadgen"))
            .args(["--addr", &address.to_string(), "--clients", &clients.to_string()])
            .args(["--rate", &rate.to_string()])
            .args(["--duration", &format!("{}ms", duration.as_millis())])
            .args(["--warmup", &format!("{}ms", (COMING + *warmup).as_millis())])
            .arg("--json")
            .arg(directory.path().join("report.json"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        // Who comes when nothing is left is refused, and is no bystander.
        thread::sleep(COMING);
        Ok(Run { loadgen, directory })
    }
}

impl Run {
    /// The p99 of their deliveries, if nothing was lost and nobody was closed.
    pub(crate) fn p99(self) -> Result<Duration, Box<dyn Error>> {
        let output = self.loadgen.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("bystanders were harmed: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let report = std::fs::read(self.directory.path().join("report.json"))?;
        let report: serde_json::Value = serde_json::from_slice(&report)?;
        let nanos = report["delivery_latency"]["p99_ns"].as_u64().ok_or("loadgen reports a p99")?;
        Ok(Duration::from_nanos(nanos))
    }
}
