//! What the loop asks of the operating system apart from sockets: open files, cores, priorities. Linux is the target;
//! elsewhere pinning is refused, and threads keep the priority that they have.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use super::alarm::Alarm;
#[cfg(target_os = "linux")]
use crate::limits::OPEN_FILES_ASSUMED;
use crate::limits::RANDOM_STOCK_BYTES;

/// Raises the soft limit on open files to the hard one; returns the new limit. If the system does not report
/// it, the limit is assumed to be [`OPEN_FILES_ASSUMED`].
#[cfg(target_os = "linux")]
pub(super) fn raise_open_files_limit() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    // Not rustix's, which panics where a sandbox refuses the call.
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => {
            tracing::warn!(%error, "the limit on open files is not known, and taken to be {OPEN_FILES_ASSUMED}");
            return OPEN_FILES_ASSUMED;
        }
    };
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        // What was allowed before still is.
        Err(_) => soft,
    }
}

/// Raises the soft limit on open files to the hard one; returns what it is now.
#[cfg(not(target_os = "linux"))]
pub(super) fn raise_open_files_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        // What was allowed before still is.
        Err(_) => limit.current,
    };
    current.unwrap_or(u64::MAX)
}

/// Fills slices from the operating system's randomness, of which it takes some in stock: each durable change needs 8 bytes.
/// What was handed out is not kept.
pub(super) fn random_in_stock() -> impl FnMut(&mut [u8]) + Send {
    let mut stock = [0; RANDOM_STOCK_BYTES];
    let mut used = stock.len();
    move |bytes| {
        if bytes.len() > stock.len() - used {
            random(&mut stock);
            used = 0;
        }
        // Whoever wants more than there ever is gets it fresh.
        let Some(taken) = stock.get_mut(used..used + bytes.len()) else { return random(bytes) };
        bytes.copy_from_slice(taken);
        taken.fill(0);
        used += bytes.len();
    }
}

/// Fills a slice from the operating system's randomness.
fn random(bytes: &mut [u8]) {
    use rustix::io::Errno;
    use rustix::rand::{GetRandomFlags, getrandom};
    let mut filled = 0;
    while filled < bytes.len() {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            // A sandbox that forbids the call leaves the device.
            Err(error) => {
                let device =
                    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes[filled..]));
                if device.is_err() {
                    // A token that somebody could guess is worse than no server.
                    tracing::error!(%error, "the system gives no random bytes");
                    std::process::abort();
                }
                return;
            }
        }
    }
}

/// Pins the calling thread to a core.
#[cfg(target_os = "linux")]
pub(super) fn pin(core: usize) -> io::Result<()> {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}

/// Pins the calling thread to a core.
#[cfg(not(target_os = "linux"))]
pub(super) fn pin(_core: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether a thread may have a descriptor table of its own. Container runtimes refuse it by default, as all
/// of `unshare`.
#[cfg(target_os = "linux")]
pub(super) fn try_own_descriptors() -> io::Result<()> {
    let unshare = || nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES);
    // The thread takes its table with it when it ends.
    let tried = std::thread::Builder::new().name("probe".to_owned()).spawn(unshare)?.join();
    Ok(tried.unwrap_or(Err(nix::errno::Errno::EPERM))?)
}

/// There is one table for all threads.
#[cfg(not(target_os = "linux"))]
pub(super) fn try_own_descriptors() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Gives the calling thread a descriptor table of its own, and with it a limit on open files of its own. What others open is
/// not seen here from now on, nor the other way round; of what there was, only the standard streams and the alarms stay open
/// here, so that no copy of a socket outlives the one that it is a copy of. The thread must own no other descriptor.
#[cfg(target_os = "linux")]
pub(super) fn take_own_descriptors(alarms: &[Arc<Alarm>]) -> io::Result<()> {
    let kept: Vec<_> = alarms.iter().map(|alarm| alarm.descriptor()).collect();
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES)?;
    // Without /proc the copies stay, until the server ends.
    let Ok(entries) = std::fs::read_dir("/proc/thread-self/fd") else { return Ok(()) };
    let open: Vec<std::os::fd::RawFd> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2 && !kept.contains(descriptor)) {
        // The directory's own is among them, and closed already.
        let _ = nix::unistd::close(descriptor);
    }
    Ok(())
}

/// There is one table for all threads, and nothing to be kept.
#[cfg(not(target_os = "linux"))]
pub(super) fn take_own_descriptors(_alarms: &[Arc<Alarm>]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The cores that a thread may run on. A thread inherits those of the thread that starts it, pinned or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cores(#[cfg(target_os = "linux")] rustix::thread::CpuSet);

#[cfg(target_os = "linux")]
impl Cores {
    /// Those of the calling thread.
    pub(super) fn allowed() -> io::Result<Self> {
        Ok(Self(rustix::thread::sched_getaffinity(None)?))
    }

    /// The same without some, unless none were left.
    pub(super) fn without(mut self, cores: &[usize]) -> Self {
        let all = self;
        for &core in cores {
            self.0.unset(core);
        }
        if self.0.count() == 0 { all } else { self }
    }

    /// Lets the calling thread run on them, whatever it inherited.
    pub(super) fn take(self) -> io::Result<()> {
        Ok(rustix::thread::sched_setaffinity(None, &self.0)?)
    }
}

#[cfg(not(target_os = "linux"))]
impl Cores {
    /// All: no thread is pinned.
    pub(super) fn allowed() -> io::Result<Self> {
        Ok(Self())
    }

    /// The same.
    pub(super) fn without(self, _cores: &[usize]) -> Self {
        self
    }

    /// Nothing to do.
    pub(super) fn take(self) -> io::Result<()> {
        Ok(())
    }
}

/// Adds to the nice value of the calling thread: of it alone, as Linux does, and no standard says.
#[cfg(target_os = "linux")]
pub(super) fn give_way(niceness: i32) -> io::Result<()> {
    rustix::process::nice(niceness)?;
    Ok(())
}

/// Nothing: the whole process would give way.
#[cfg(not(target_os = "linux"))]
pub(super) fn give_way(_niceness: i32) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_random_bytes_come_twice() {
        let mut fill = random_in_stock();
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            let mut bytes = [0; 16];
            fill(&mut bytes);
            assert!(seen.insert(bytes));
        }
        let mut many = vec![0; 4 * RANDOM_STOCK_BYTES];
        fill(&mut many);
        assert!(many.chunks(16).all(|chunk| seen.insert(chunk.try_into().expect("16"))));
    }
}
