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

    pub(super) fn wake_at(&mut self, _wake: Duration, _now: Duration) -> io::Result<bool> {
        Ok(false)
    }

    pub(super) fn went_off(&mut self) {}
}

/// A timer in the readiness queue. It is edge-triggered, so that what it counts need not be read.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(super) struct Timer {
    /// Nothing where a sandbox refuses timers: pauses last until the next millisecond.
    fd: Option<std::os::fd::OwnedFd>,
    /// When it goes off.
    armed: Option<Duration>,
}

#[cfg(target_os = "linux")]
impl Timer {
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        use std::os::fd::AsRawFd;

        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = match timerfd_create(TimerfdClockId::Monotonic, flags) {
            Ok(fd) => fd,
            Err(error) => {
                tracing::warn!(%error, "the system refuses a timer: pauses take a millisecond longer at most");
                return Ok(Self { fd: None, armed: None });
            }
        };
        registry.register(&mut mio::unix::SourceFd(&fd.as_raw_fd()), token, mio::Interest::READABLE)?;
        Ok(Self { fd: Some(fd), armed: None })
    }

    /// Has a wait end at a moment, seen from now on the same clock; returns whether it can. What was set before is
    /// forgotten.
    pub(super) fn wake_at(&mut self, wake: Duration, now: Duration) -> io::Result<bool> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let Some(fd) = &self.fd else { return Ok(false) };
        if self.armed == Some(wake) {
            return Ok(true);
        }
        // All zero would disarm it.
        let distance = wake.saturating_sub(now).max(Duration::from_nanos(1));
        let it_value = Timespec::try_from(distance).map_err(io::Error::other)?;
        let it_interval = Timespec::default();
        timerfd_settime(fd, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
        self.armed = Some(wake);
        Ok(true)
    }

    /// The kernel said so: whoever still waits sets it again.
    pub(super) fn went_off(&mut self) {
        self.armed = None;
    }
}
