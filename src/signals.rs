//! Signals: a thread takes all that a process can handle, so that none of them ends the server in silence.
//!
//! | signal | |
//! |---|---|
//! | SIGTERM, SIGINT, SIGQUIT | stop; a later one of them ends the process at once |
//! | SIGHUP, SIGPWR, SIGXCPU | stop; the sender may repeat them, and that changes nothing |
//! | all others that a program can do without | logged, and nothing else |
//!
//! Several that come at the same time count as one: `timeout` signals its process and then the whole group.
//!
//! A terminal that closes can send SIGHUP twice (the shell does, and so does the kernel when the shell ends),
//! systemd can send it right after SIGTERM (`SendSIGHUP=`), and the kernel sends SIGXCPU once a second: no
//! sign of impatience.
//!
//! Left as they are: signals of job control (SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT), those that say that the
//! program is broken (SIGSEGV and the like, SIGABRT), SIGPIPE, which the standard library ignores, and those
//! that nothing can handle.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU, SIGXFSZ,
};
use signal_hook::iterator::Signals;

use crate::limits::{LOG_REPEAT_SECONDS, STOP_REPEAT_MILLIS};
use crate::telemetry::Every;

#[cfg(target_os = "linux")]
const SIGPWR: i32 = nix::sys::signal::Signal::SIGPWR as i32;
#[cfg(target_os = "linux")]
const SIGSTKFLT: i32 = nix::sys::signal::Signal::SIGSTKFLT as i32;

/// Real-time signals of Linux. The C library has the first two or three for itself, and refuses to have them
/// handled.
#[cfg(target_os = "linux")]
const REAL_TIME: std::ops::RangeInclusive<i32> = 32..=64;

/// What a signal asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meaning {
    /// Stop; a later one ends the process at once.
    Stop,
    /// Stop; repetitions have no effect.
    StopSoftly,
    /// Nothing.
    Nothing,
}

const NAMED: &[(i32, Meaning)] = &[
    (SIGTERM, Meaning::Stop),
    (SIGINT, Meaning::Stop),
    (SIGQUIT, Meaning::Stop),
    (SIGHUP, Meaning::StopSoftly),
    (SIGXCPU, Meaning::StopSoftly),
    #[cfg(target_os = "linux")]
    (SIGPWR, Meaning::StopSoftly),
    (SIGUSR1, Meaning::Nothing),
    (SIGUSR2, Meaning::Nothing),
    (SIGALRM, Meaning::Nothing),
    (SIGVTALRM, Meaning::Nothing),
    (SIGPROF, Meaning::Nothing),
    (SIGIO, Meaning::Nothing),
    // The write fails with EFBIG, and its caller reports it.
    (SIGXFSZ, Meaning::Nothing),
    #[cfg(target_os = "linux")]
    (SIGSTKFLT, Meaning::Nothing),
];

/// The signals that end a process which does not handle them, and that it can handle: of the file size limit
/// the failed write tells. A handler may be refused for some of the real-time ones.
pub fn ending_signals() -> impl Iterator<Item = i32> {
    #[cfg(target_os = "linux")]
    let real_time = REAL_TIME;
    #[cfg(not(target_os = "linux"))]
    let real_time = std::iter::empty();
    NAMED.iter().map(|(signal, _)| *signal).filter(|&signal| signal != SIGXFSZ).chain(real_time)
}

/// Signals that stay ignored if they were ignored at the start of the process. `nohup` ignores SIGHUP, and a
/// shell script ignores SIGINT and SIGQUIT for its background commands.
const LEFT_IGNORED: [i32; 3] = [SIGHUP, SIGINT, SIGQUIT];

fn meaning(signal: i32) -> Meaning {
    NAMED.iter().find(|(named, _)| *named == signal).map_or(Meaning::Nothing, |(_, meaning)| *meaning)
}

fn name(signal: i32) -> String {
    #[cfg(target_os = "linux")]
    let name = nix::sys::signal::Signal::try_from(signal).ok().map(nix::sys::signal::Signal::as_str);
    #[cfg(not(target_os = "linux"))]
    let name = signal_hook::low_level::signal_name(signal);
    name.map_or_else(|| format!("signal {signal}"), str::to_owned)
}

/// The server's stage; it decides the effect of a stop signal.
enum Stage {
    /// Nothing listens: the process may end at once.
    Loading,
    /// Listeners open one by one. A signal is remembered.
    Opening {
        is_to_stop: bool,
    },
    Serving {
        stop: Box<dyn Fn() + Send>,
    },
}

/// What the thread that takes signals knows of the server.
#[derive(Clone)]
pub(crate) struct Watch {
    stage: Arc<Mutex<Stage>>,
}

impl Watch {
    /// Handles signals from now on, on a thread of its own. `leave` ends the process with a status.
    pub(crate) fn start(leave: impl Fn(i32) + Send + 'static) -> io::Result<Self> {
        let watch = Self { stage: Arc::new(Mutex::new(Stage::Loading)) };
        let mut signals = register()?;
        let watched = watch.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let mut thread = Thread {
                watch: watched,
                first_stop: None,
                is_stopping: false,
                notes: notes(),
                since: Instant::now(),
            };
            for signal in signals.forever() {
                if let Some(status) = thread.take(signal, Instant::now()) {
                    leave(status);
                }
            }
        })?;
        Ok(watch)
    }

    /// What the server keeps is read, and clients may be there from now on.
    pub(crate) fn opening(&self) {
        self.set(Stage::Opening { is_to_stop: false });
    }

    /// The server serves. A signal to stop that came meanwhile takes effect.
    pub(crate) fn serving(&self, stop: impl Fn() + Send + 'static) {
        if let Stage::Opening { is_to_stop: true } = self.set(Stage::Serving { stop: Box::new(stop) }) {
            self.stop();
        }
    }

    fn set(&self, stage: Stage) -> Stage {
        std::mem::replace(&mut *self.stage.lock().unwrap_or_else(PoisonError::into_inner), stage)
    }

    /// Returns whether the process may end at once.
    fn stop(&self) -> bool {
        match &mut *self.stage.lock().unwrap_or_else(PoisonError::into_inner) {
            Stage::Loading => return true,
            Stage::Opening { is_to_stop } => *is_to_stop = true,
            Stage::Serving { stop } => stop(),
        }
        false
    }
}

/// The thread's own state.
struct Thread {
    watch: Watch,
    /// The time of the first SIGTERM, SIGINT or SIGQUIT.
    first_stop: Option<Instant>,
    is_stopping: bool,
    notes: Every,
    since: Instant,
}

fn notes() -> Every {
    Every::new(Duration::from_secs(LOG_REPEAT_SECONDS))
}

impl Thread {
    /// Handles a signal. Returns the exit status if the process must end now.
    fn take(&mut self, signal: i32, now: Instant) -> Option<i32> {
        let name = name(signal);
        match meaning(signal) {
            Meaning::Nothing => {
                if let Some(suppressed) = self.notes.admit(now.saturating_duration_since(self.since)) {
                    tracing::info!(suppressed, "{name}: it has no meaning here, and the server goes on");
                }
                return None;
            }
            Meaning::StopSoftly => {}
            Meaning::Stop => {
                let first = *self.first_stop.get_or_insert(now);
                if now.saturating_duration_since(first) > Duration::from_millis(STOP_REPEAT_MILLIS) {
                    tracing::warn!("{name}: a second signal to stop, so that the server ends at once");
                    return Some(1);
                }
            }
        }
        if std::mem::replace(&mut self.is_stopping, true) {
            tracing::debug!("{name}: stopping already");
            return None;
        }
        tracing::info!("{name}: stopping");
        self.watch.stop().then_some(0)
    }
}

fn register() -> io::Result<Signals> {
    let (left, handled): (Vec<_>, Vec<_>) =
        NAMED.iter().map(|(signal, _)| *signal).partition(|&signal| stays_ignored(signal));
    for signal in left {
        tracing::info!("{} stays ignored, as it was when the process was started", name(signal));
    }
    let signals = Signals::new(handled)?;
    #[cfg(target_os = "linux")]
    for signal in REAL_TIME {
        // The C library's own are refused.
        let _ = signals.add_signal(signal);
    }
    Ok(signals)
}

/// Whether this process ignores the signal, and is not to handle it: `nohup` and shells start programs in
/// this state on purpose. To be asked before a handler is registered.
pub fn stays_ignored(signal: i32) -> bool {
    LEFT_IGNORED.contains(&signal) && is_ignored(signal)
}

/// The signals that this process ignores, a bit each, the first for signal 1. None where the system does not
/// say.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Whether this process ignores a signal; asked at the start, whether it was started so.
#[must_use]
pub fn is_ignored(signal: i32) -> bool {
    is_in(ignored(), signal)
}

/// Whether a signal is in a mask.
fn is_in(mask: u64, signal: i32) -> bool {
    u32::try_from(signal - 1).ok().and_then(|bit| mask.checked_shr(bit)).is_some_and(|mask| mask & 1 == 1)
}

/// Blocks these signals on the calling thread, whose descriptor table may lack the handler's pipe.
#[cfg(target_os = "linux")]
pub(crate) fn leave_to_others() -> io::Result<()> {
    use nix::sys::signal::{SigSet, Signal};
    let mut signals = SigSet::all();
    // A fault is of the thread that makes it; blocked, it would end the process without a word.
    for fault in [
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGILL,
        Signal::SIGFPE,
        Signal::SIGTRAP,
        Signal::SIGSYS,
        Signal::SIGABRT,
    ] {
        signals.remove(fault);
    }
    Ok(signals.thread_block()?)
}

/// Nothing: all threads have all descriptors.
#[cfg(not(target_os = "linux"))]
pub(crate) fn leave_to_others() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const REPEAT: Duration = Duration::from_millis(STOP_REPEAT_MILLIS);
    const LATER: Duration = Duration::from_millis(STOP_REPEAT_MILLIS + 1);

    fn thread() -> Thread {
        let watch = Watch { stage: Arc::new(Mutex::new(Stage::Loading)) };
        Thread { watch, first_stop: None, is_stopping: false, notes: notes(), since: Instant::now() }
    }

    /// A server that counts how often it is told to stop.
    fn serving(thread: &Thread) -> Arc<AtomicUsize> {
        let told = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&told);
        thread.watch.serving(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        told
    }

    #[test]
    fn while_the_store_is_read_a_signal_to_stop_ends_the_process() {
        for signal in [SIGTERM, SIGHUP, SIGXCPU] {
            let mut thread = thread();
            assert_eq!(thread.take(SIGUSR1, Instant::now()), None);
            assert_eq!(thread.take(signal, Instant::now()), Some(0));
        }
    }

    #[test]
    fn a_signal_that_comes_while_listeners_open_stops_the_server_once_it_serves() {
        let mut thread = thread();
        thread.watch.opening();
        let first = Instant::now();
        assert_eq!(thread.take(SIGTERM, first), None);
        assert_eq!(serving(&thread).load(Ordering::Relaxed), 1);
        assert_eq!(thread.take(SIGTERM, first + LATER), Some(1));
    }

    #[test]
    fn a_server_is_told_once_and_only_an_impatient_signal_ends_it_at_once() {
        let mut thread = thread();
        thread.watch.opening();
        let told = serving(&thread);
        let first = Instant::now();
        for signal in [SIGUSR2, SIGHUP, SIGHUP, SIGXCPU, SIGTERM, SIGHUP, 40] {
            assert_eq!(thread.take(signal, first), None, "{signal}");
        }
        assert_eq!(told.load(Ordering::Relaxed), 1);
        assert_eq!(thread.take(SIGINT, first + REPEAT), None, "it comes with the first");
        assert_eq!(thread.take(SIGHUP, first + LATER), None);
        assert_eq!(thread.take(SIGQUIT, first + LATER), Some(1));
    }
}
