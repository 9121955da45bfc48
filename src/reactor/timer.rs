//! Wakes the loop to the microsecond, for pauses that are shorter than the millisecond of the readiness queue's own timeout.

use std::io;
use std::time::Duration;

use mio::{Registry, Token};

/// Where there is no such timer: pauses last until the next millisecond.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(super) struct Timer;

#[cfg(not(target_os = "linux"))]
impl Timer {
    pub(super) fn new(_registry: &Registry, _token: Token) -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) fn wake_in(&mut self, _distance: Duration) -> io::Result<bool> {
        Ok(false)
    }
}

/// A timer in the readiness queue. It is edge-triggered, so that what it counts need not be read.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(super) struct Timer {
    fd: std::os::fd::OwnedFd,
}

#[cfg(target_os = "linux")]
impl Timer {
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        use std::os::fd::AsRawFd;

        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        registry.register(&mut mio::unix::SourceFd(&fd.as_raw_fd()), token, mio::Interest::READABLE)?;
        Ok(Self { fd })
    }

    /// Has the next wait end then at the latest; returns whether it can. What was set before is forgotten.
    pub(super) fn wake_in(&mut self, distance: Duration) -> io::Result<bool> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        // All zero would disarm it.
        let distance = distance.max(Duration::from_nanos(1));
        let it_value = Timespec::try_from(distance).map_err(io::Error::other)?;
        let it_interval = Timespec::default();
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
        Ok(true)
    }
}
