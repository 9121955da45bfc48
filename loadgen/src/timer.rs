//! Wakes the loop at a moment: a timerfd, since the time-out of epoll is in milliseconds.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::clock::Moment;

/// A timer in the poll. Edge-triggered, so what it counts need not be read.
pub(crate) struct Timer {
    fd: OwnedFd,
    armed: Moment,
}

impl Timer {
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        registry.register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { fd, armed: Moment(0) })
    }

    /// Makes the poll return at `wake`, which is after `now`. Never, for [`Moment::NEVER`].
    pub(crate) fn arm(&mut self, now: Moment, wake: Moment) -> io::Result<()> {
        // One that is still to go off at the same moment stays.
        if self.armed == wake {
            return Ok(());
        }
        // All zero disarms it.
        let distance = if wake == Moment::NEVER { 0 } else { wake.0.saturating_sub(now.0).max(1) };
        let it_value = Timespec::try_from(Duration::from_nanos(distance)).map_err(io::Error::other)?;
        let it_interval = Timespec::default();
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
        self.armed = wake;
        Ok(())
    }
}
