//! The server's process as the kernel accounts for it.

use std::time::Duration;

use procfs::process::{MMapExtension, Process};
use procfs::{ProcError, ProcResult};

/// The server's process, on this machine.
pub(crate) struct ServerProcess {
    process: Process,
}

impl ServerProcess {
    pub(crate) fn new(pid: i32) -> ProcResult<Self> {
        let process = Process::new(pid)?;
        process.stat()?;
        Ok(Self { process })
    }

    /// User and system time of all its threads that live, to the nanosecond where the kernel keeps that, else to its tick.
    pub(crate) fn cpu(&self) -> ProcResult<Duration> {
        self.cpu_by_schedstat().or_else(|_| self.cpu_by_ticks())
    }

    fn cpu_by_schedstat(&self) -> ProcResult<Duration> {
        let mut total = 0;
        for task in self.process.tasks()? {
            match task.and_then(|task| task.schedstat()) {
                Ok(statistics) => total += statistics.sum_exec_runtime,
                // A thread that ended just now.
                Err(ProcError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Duration::from_nanos(total))
    }

    fn cpu_by_ticks(&self) -> ProcResult<Duration> {
        let statistics = self.process.stat()?;
        let ticks = statistics.utime + statistics.stime;
        Ok(Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64))
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> ProcResult<usize> {
        self.process.fd_count()
    }

    /// Resident memory, in bytes. The kernel's exact sum where it may be read, else its estimate.
    pub(crate) fn resident_bytes(&self) -> ProcResult<u64> {
        let exact = self.process.smaps_rollup().ok().and_then(|rollup| {
            let MMapExtension { map, .. } = &rollup.memory_map_rollup.0.first()?.extension;
            map.get("Rss").copied()
        });
        match exact {
            Some(bytes) => Ok(bytes),
            None => Ok(self.process.statm()?.resident * procfs::page_size()),
        }
    }
}

/// Datagrams that the kernel dropped on this machine because a socket's buffer was full, of all programs together.
pub(crate) fn datagrams_dropped() -> ProcResult<u64> {
    Ok(procfs::net::snmp()?.udp_rcvbuf_errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_time_that_are_used_are_seen() {
        let pid = i32::try_from(std::process::id()).expect("a process id");
        let process = ServerProcess::new(pid).expect("this process");
        let (cpu, resident) = (process.cpu().expect("time"), process.resident_bytes().expect("memory"));
        let memory = vec![1_u8; 32 << 20];
        assert!(memory.iter().map(|byte| u64::from(*byte)).sum::<u64>() > 0);
        assert!(process.resident_bytes().expect("memory") > resident + (16 << 20));
        while process.cpu().expect("time") == cpu {}
    }
}
