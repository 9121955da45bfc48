//! The log: events of `tracing`, written to standard error, for people or for programs.
//!
//! Standard output carries requested output (tables, TOML), and standard error carries the log. One thread
//! writes the log, and no other thread waits for it. If its reader is gone (`parlance 2>&1 | head`) or
//! stalled (Ctrl-S, a hung collector), lines are dropped and counted. The log never stops the server.

mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::panic::{self, PanicHookInfo};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{Config, LogFormat};
use queue::Queue;
pub(crate) use queue::write_all;

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read; [`Config::load`] lets no such filter through.
    #[error("`log` cannot be `{filter}`: {cause}; use a level such as info")]
    Filter {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        cause: ParseError,
    },
    /// The thread that writes the log could not be started.
    #[error("cannot start a thread for the log: {0}; allow this user, or this container, more threads")]
    Thread(io::Error),
    /// The process logs already.
    #[error("the log is set up already: set it up once a process ({0})")]
    Taken(#[from] TryInitError),
}

/// The log of this process.
#[derive(Debug, Clone)]
#[must_use = "lines that still wait when the process ends are lost, unless `flush` waits for them"]
pub struct Log {
    queue: Queue,
}

impl Log {
    /// Writes one line that is no event, behind those that were logged before.
    pub fn line(&self, line: &str) {
        // The queue counts what it cannot take.
        let _ = self.queue.clone().write_all(format!("{line}\n").as_bytes());
    }

    /// Waits until everything logged so far is written, for two seconds at most. Returns whether it is.
    pub fn flush(&self) -> bool {
        self.queue.flush()
    }

    /// Lines that were lost, because standard error took no more.
    pub fn lost_lines(&self) -> u64 {
        self.queue.lost_lines()
    }
}

/// Sends the events of this process to standard error, as `config` says, and the messages of panics with
/// them. To be called once.
///
/// Text has colours on a terminal only, and not when `NO_COLOR` is set (<https://no-color.org>).
///
/// # Errors
///
/// When the filter cannot be read, or the process logs already.
pub fn init(config: &Config) -> Result<Log, TelemetryError> {
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|cause| TelemetryError::Filter { filter: config.log.clone(), cause })?;
    let queue = Queue::start().map_err(TelemetryError::Thread)?;
    // Without `log_internal_errors(false)` an event that cannot be written is reported with `eprintln!`, which
    // waits for standard error, and panics when that is a closed pipe.
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(queue.clone())
        .log_internal_errors(false);
    match config.log_format {
        LogFormat::Text => subscriber
            .with_ansi(coloured(io::stderr().is_terminal(), std::env::var_os("NO_COLOR").as_deref()))
            .finish()
            .try_init()?,
        LogFormat::Json => subscriber.json().finish().try_init()?,
    }
    let log = Log { queue };
    let of_panics = log.clone();
    panic::set_hook(Box::new(move |panic| log_panic(&of_panics, panic)));
    Ok(log)
}

/// The standard library's own hook would wait for standard error.
fn log_panic(log: &Log, panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let message = payload(panic).unwrap_or("no message");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    // With RUST_BACKTRACE, as in every program.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!(thread, place, backtrace, "panicked: {message}");
    } else {
        log.line(&format!("parlance: thread {thread} panicked at {place}: {message}"));
    }
}

/// What a panic says: a literal, or a text that was made.
fn payload<'a>(panic: &'a PanicHookInfo<'_>) -> Option<&'a str> {
    let payload = panic.payload();
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

fn coloured(terminal: bool, no_color: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty)
}

/// Lets an error that repeats be logged once an interval, with the number of times it was not.
///
/// It has no clock: the caller says what time it is, as the time since any fixed moment. Bounded: two numbers.
#[derive(Debug, Clone)]
pub struct Every {
    interval: Duration,
    logged_at: Option<Duration>,
    suppressed_count: u64,
}

impl Every {
    /// At most one log line each `interval`; the first at once.
    pub const fn new(interval: Duration) -> Self {
        Self { interval, logged_at: None, suppressed_count: 0 }
    }

    /// Whether what happened at `now` is to be logged: `Some` with the number of times that it happened
    /// unlogged since the last line, or `None` to keep quiet.
    ///
    /// A `now` before the last one counts as the last one.
    pub fn admit(&mut self, now: Duration) -> Option<u64> {
        let quiet = self.logged_at.is_some_and(|logged_at| now.saturating_sub(logged_at) < self.interval);
        if quiet {
            self.suppressed_count = self.suppressed_count.saturating_add(1);
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.suppressed_count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_is_logged_at_once_whatever_the_time() {
        assert_eq!(Every::new(seconds(10)).admit(Duration::ZERO), Some(0));
        assert_eq!(Every::new(seconds(10)).admit(seconds(7)), Some(0));
    }

    #[test]
    fn repetitions_within_the_interval_are_counted_and_told_with_the_next() {
        let mut every = Every::new(seconds(10));
        assert_eq!(every.admit(seconds(5)), Some(0));
        assert_eq!(every.admit(seconds(5)), None);
        assert_eq!(every.admit(seconds(14)), None);
        assert_eq!(every.admit(seconds(15)), Some(2));
        assert_eq!(every.admit(seconds(16)), None);
        assert_eq!(every.admit(seconds(100)), Some(1));
        assert_eq!(every.admit(seconds(200)), Some(0));
    }

    #[test]
    fn a_clock_that_steps_back_keeps_quiet() {
        let mut every = Every::new(seconds(10));
        assert_eq!(every.admit(seconds(50)), Some(0));
        assert_eq!(every.admit(seconds(1)), None);
        assert_eq!(every.admit(seconds(60)), Some(1));
    }

    #[test]
    fn colours_need_a_terminal_and_no_objection() {
        assert!(coloured(true, None));
        assert!(coloured(true, Some(OsStr::new(""))));
        assert!(!coloured(true, Some(OsStr::new("1"))));
        assert!(!coloured(false, None));
    }
}
