//! What the server's process is seen to use.
//!
//! Hashing a password takes 19 MiB for some 30 ms, and longer on a busy machine. So its memory is looked at ten times a
//! second: the least of these is closer to what it holds than their mean, which is what it takes.

use std::time::Duration;

use procfs::ProcResult;
use serde::Serialize;

use crate::clock::Moment;
use crate::server_process::ServerProcess;

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Between two samples.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// What the process uses at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Usage {
    pub(super) resident_bytes: u64,
    pub(super) descriptors: usize,
}

/// Of one second.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Sample {
    /// Since people began to come and go.
    pub(super) seconds: f64,
    /// The least of its looks at the memory; nothing, when no process is watched.
    #[serde(flatten)]
    pub(super) usage: Option<Usage>,
    pub(super) resident_mean_bytes: f64,
    pub(super) resident_max_bytes: u64,
    /// Who was where they hear something.
    pub(super) clients: usize,
    /// Deliveries so far.
    pub(super) delivered: u64,
}

/// Looks at the server.
pub(super) struct Watch {
    server: Option<ServerProcess>,
    start: Moment,
    next: Moment,
    next_sample: Moment,
    /// The resident bytes that the looks of this sample saw.
    looks: Vec<u64>,
    pub(super) samples: Vec<Sample>,
}

impl Watch {
    pub(super) fn new(server: Option<ServerProcess>) -> Self {
        let never = Moment::NEVER;
        Self { server, start: never, next: never, next_sample: never, looks: Vec::new(), samples: Vec::new() }
    }

    pub(super) fn usage(&self) -> ProcResult<Option<Usage>> {
        let Some(server) = &self.server else { return Ok(None) };
        Ok(Some(Usage { resident_bytes: server.resident_bytes()?, descriptors: server.descriptors()? }))
    }

    /// The processor time that the server has used.
    pub(super) fn cpu(&self) -> ProcResult<Option<Duration>> {
        self.server.as_ref().map(ServerProcess::cpu).transpose()
    }

    /// From now on samples are due.
    pub(super) fn start(&mut self, now: Moment) {
        self.start = now;
        self.next = now.after(LOOK_INTERVAL);
        self.next_sample = now.after(SAMPLE_INTERVAL);
    }

    pub(super) fn stop(&mut self) {
        self.next = Moment::NEVER;
    }

    pub(super) fn next_due(&self) -> Moment {
        self.next
    }

    /// Looks if it is time to. Whether that made a sample.
    pub(super) fn look(&mut self, now: Moment, clients: usize, delivered: u64) -> ProcResult<bool> {
        if now < self.next {
            return Ok(false);
        }
        // One that was missed is not made up for.
        while self.next <= now {
            self.next = self.next.after(LOOK_INTERVAL);
        }
        let resident = self.server.as_ref().map(ServerProcess::resident_bytes).transpose()?;
        self.looks.push(resident.unwrap_or_default());
        if now < self.next_sample {
            return Ok(false);
        }
        while self.next_sample <= now {
            self.next_sample = self.next_sample.after(SAMPLE_INTERVAL);
        }
        let looks = std::mem::take(&mut self.looks);
        let least = looks.iter().copied().min().unwrap_or_default();
        self.samples.push(Sample {
            seconds: now.since(self.start).as_secs_f64(),
            usage: self
                .usage()?
                .map(|usage| Usage { resident_bytes: least.min(usage.resident_bytes), ..usage }),
            resident_mean_bytes: looks.iter().sum::<u64>() as f64 / looks.len() as f64,
            resident_max_bytes: looks.iter().copied().max().unwrap_or_default(),
            clients,
            delivered,
        });
        Ok(true)
    }
}
