//! The sockets, and the loop that drives the engine with them.
//!
//! A shard is one thread with one loop (`shard.rs`). The main thread starts it, waits for signals, and tells it to stop.
//! Passwords are hashed on threads of their own (`passwords.rs`), and the store has one (`writer.rs`): they leave the outcome
//! as a message for the shard.

mod datagrams;
mod listener;
mod os;
mod passwords;
mod shard;
mod timer;
mod writer;

use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::chat::Kept;
use crate::config::{Config, MaxClients, PingIdentity, UcrpSender};
use crate::engine::{Engine, LOBBY, Random, Settings};
use crate::limits::{DESCRIPTORS_RESERVED, HISTORY_ON_JOIN_MAX, LOG_TOTAL_BYTES_MAX, REFUSED_MAX};
use crate::ready::{self, Listening, ReadyError};
use crate::store::{self, Durability, Lock, Store, StoreError, StoreSpec};
use crate::wire::Transport;
use datagrams::DatagramSocket;
use listener::Listener;
use shard::{Clock, Shard};
pub use shard::{Report, StoreReport, SystemCalls};
use writer::Writer;

/// Why the server did not start, or did not stay.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    /// A listener could not be made.
    #[error("cannot listen on {address} for the {dialect} dialect: {cause}; {}", listen_remedy(cause))]
    Listen {
        /// The dialect's name, which is also its flag's.
        dialect: &'static str,
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The thread could not be pinned.
    #[error(
        "cannot pin the shard to core {core}: {cause}; `nproc` tells how many there are, and `--pin` may be left out"
    )]
    Pin {
        /// The core asked for.
        core: usize,
        /// What the system said.
        cause: io::Error,
    },
    /// The limit on open files leaves no room.
    #[error("the limit on open files is {limit}, which leaves none for clients; raise it with `ulimit -n`")]
    OpenFiles {
        /// The limit.
        limit: u64,
    },
    /// The store could not be opened, or read.
    #[error("cannot open the store: {0}")]
    Store(#[from] StoreError),
    /// The system refused something that every program needs.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
    /// Whoever waits for the server could not be told.
    #[error(transparent)]
    Ready(#[from] ReadyError),
    /// A defect: the loop ended by itself. The log has its last words.
    #[error("the server's loop failed; its last words are above")]
    Failed,
}

fn listen_remedy(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => "another program listens there: stop it, or give another port",
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: give a higher one",
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address: see `--bind`",
        _ => "give another address or port",
    }
}

/// A running server: one shard on a thread of its own.
#[derive(Debug)]
pub struct Server {
    listening: Vec<Listening>,
    stop: shard::Handle,
    thread: JoinHandle<io::Result<Report>>,
    /// On the data directory, where the store's own is on another.
    _lock: Option<Lock>,
}

impl Server {
    /// Binds the listeners and starts the loop. `ended` is called when the loop has ended, however that came.
    pub fn start(config: &Config, ended: impl FnOnce() + Send + 'static) -> Result<Self, StartupError> {
        let options = config.store_options();
        let spec = config.store_spec();
        let store = store::open(&spec, &options)?;
        let lock = lock_data(config, &spec)?;
        let server = Self::start_with_store(config, store, ended)?;
        Ok(Self { _lock: lock, ..server })
    }

    /// The same with a store of the caller's: for tests.
    pub fn start_with_store(
        config: &Config,
        mut store: Box<dyn Store>,
        ended: impl FnOnce() + Send + 'static,
    ) -> Result<Self, StartupError> {
        let settings = settings(config, os::raise_open_files_limit())?;
        let clock = Clock::new();
        let mut engine = Engine::new(settings, config.history_rules(), Random::new(os::random_in_stock()));
        restore(&mut engine, store.as_mut(), &clock)?;
        let mut listeners = Vec::new();
        let mut datagrams = None;
        let mut listening = Vec::new();
        for (dialect, address) in config.listeners() {
            let failed = |cause| StartupError::Listen { dialect: dialect.name(), address, cause };
            let address = match dialect.transport() {
                Transport::Stream | Transport::Paced => {
                    let listener = Listener::bind(dialect, address).map_err(failed)?;
                    let address = listener.address;
                    listeners.push(listener);
                    address
                }
                Transport::Datagram => {
                    datagrams.insert(DatagramSocket::bind(address).map_err(failed)?).address
                }
            };
            listening.push(Listening { dialect: dialect.name(), address });
        }
        // It has a core of its own, where there is one.
        let cores = os::Cores::allowed().ok().map(|cores| cores.without(&config.pin));
        let rules = config.history_rules();
        let (shard, stop) =
            Shard::new(engine, clock, config.drain_timeout, listeners, datagrams, move |tell| {
                Writer::start(store, rules, cores, tell)
            })?;

        let core = config.pin.first().copied();
        let (pinned, is_pinned) = mpsc::channel();
        let thread = thread::Builder::new().name("shard-0".to_owned()).spawn(move || {
            let _ended = CallOnDrop(Some(ended));
            let result = core.map_or(Ok(()), os::pin);
            let failed = result.is_err();
            // The other end waits for exactly this.
            let _ = pinned.send(result);
            if failed { Ok(Report::default()) } else { shard.run() }
        })?;
        match is_pinned.recv() {
            Ok(Ok(())) => Ok(Self { listening, stop, thread, _lock: None }),
            Ok(Err(cause)) => Err(StartupError::Pin { core: core.unwrap_or_default(), cause }),
            Err(mpsc::RecvError) => Err(StartupError::Failed),
        }
    }

    /// The listeners, with the addresses really bound.
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// Asks the server to stop: it takes nobody in, tells everybody, flushes for as long as it is allowed to.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// Waits until the server has stopped.
    pub fn join(self) -> Result<Report, StartupError> {
        match self.thread.join() {
            Ok(report) => Ok(report?),
            Err(_) => Err(StartupError::Failed),
        }
    }
}

struct CallOnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for CallOnDrop<F> {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call();
        }
    }
}

/// One server at a time has the data directory, also one with a store elsewhere in it.
fn lock_data(config: &Config, spec: &StoreSpec) -> Result<Option<Lock>, StoreError> {
    let Some(locked) = spec.directory().and_then(|directory| directory.canonicalize().ok()) else {
        return Ok(None);
    };
    match config.data.canonicalize() {
        Ok(data) if data != locked => Lock::take(&data).map(Some),
        // What is not there has nothing in it.
        Ok(_) | Err(_) => Ok(None),
    }
}

/// Has an engine know all that a store kept.
fn restore(engine: &mut Engine, store: &mut dyn Store, clock: &Clock) -> Result<(), StoreError> {
    let now = clock.now();
    let (mut accounts, mut letters, mut seats) = (0_u64, 0_u64, 0_u64);
    let last = store.load(&mut |kept| {
        match &kept {
            Kept::Account { .. } => accounts += 1,
            Kept::Letter(_) => letters += 1,
            Kept::Seat { .. } => seats += 1,
        }
        engine.restore(&kept, now);
    })?;
    if let Some(last) = last {
        engine.restore_last(last);
    }
    engine.restore_lobby(&store.history(LOBBY, None, HISTORY_ON_JOIN_MAX as usize)?);
    let millis = clock.now().monotonic.saturating_sub(now.monotonic).as_millis() as u64;
    tracing::info!(accounts, letters, seats, millis, "what was kept is back");
    Ok(())
}

fn settings(config: &Config, open_files: u64) -> Result<Settings, StartupError> {
    let reserved = DESCRIPTORS_RESERVED + REFUSED_MAX as u64;
    let allowed = usize::try_from(open_files.saturating_sub(reserved)).unwrap_or(usize::MAX);
    if allowed == 0 {
        return Err(StartupError::OpenFiles { limit: open_files });
    }
    let clients_limit = match config.max_clients {
        MaxClients::Auto => allowed.min(crate::limits::CLIENTS_MAX as usize),
        MaxClients::Limit(limit) => limit as usize,
    };
    tracing::info!(open_files, clients_limit, "the limit on open files allows {allowed} clients");
    if clients_limit > allowed {
        tracing::warn!(
            open_files,
            clients_limit,
            "more clients are allowed than the limit on open files holds; raise it with `ulimit -n`"
        );
    }
    let seconds = |timeout: Option<std::time::Duration>| timeout.map_or(0, |timeout| timeout.as_secs());
    Ok(Settings {
        clients_limit,
        login_timeout: seconds(config.login_timeout),
        line_idle_timeout: seconds(config.idle_timeout),
        slash_idle_timeout: seconds(config.slash_idle_timeout),
        ucrp_idle_timeout: seconds(config.ucrp_idle_timeout),
        typed_idle_timeout: seconds(config.typed_idle_timeout),
        gob_idle_timeout: seconds(config.gob_idle_timeout),
        gob_gap: config.gob_gap,
        seats_keep_address: config.ucrp_sender == UcrpSender::SameIp,
        ping_identity: config.typed_ping_identity == PingIdentity::SameIp,
        journal: true,
        promises_wait: config.durability != Durability::None,
        drain_timeout: config.drain_timeout.as_secs(),
        lag: config.lag,
        log_bytes_limit: config.log_bytes,
        log_total_bytes_limit: LOG_TOTAL_BYTES_MAX,
        // The standard library's own seed, which it takes from the operating system.
        seed: std::hash::RandomState::new().build_hasher().finish(),
    })
}

/// Serves until a signal says to stop; a second signal ends the process at once, with status 1.
pub fn serve(config: &Config) -> Result<(), StartupError> {
    // Before anybody is told that the server is ready: a signal may follow at once.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let no_more_signals = signals.handle();
    let server = Server::start(config, move || no_more_signals.close())?;
    ready::announce(config, server.listening())?;
    let mut stopping = false;
    for signal in signals.forever() {
        if stopping {
            tracing::warn!("a second signal: stopping at once");
            std::process::exit(1);
        }
        stopping = true;
        let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
        tracing::info!("{name}: stopping");
        server.stop();
    }
    let report = server.join()?;
    tracing::info!(
        connections = report.metrics.opened,
        messages = report.metrics.messages,
        directs = report.metrics.directs,
        missed = report.metrics.missed,
        refused = ?report.metrics.refused,
        datagrams_lost = report.metrics.datagrams_lost,
        datagrams_dropped = report.metrics.datagrams_dropped,
        cut = report.metrics.cut,
        kept = report.metrics.ops_committed,
        history_unkept = report.metrics.history_unkept,
        promises_broken = report.metrics.promises_broken,
        "stopped"
    );
    Ok(())
}
