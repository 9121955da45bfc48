//! The sockets, and the loop that drives the engine with them.
//!
//! A shard is one thread with one loop (`shard.rs`). The first has the engine (`home.rs`); others are its outposts, which
//! accept, read and write, and exchange batches with it (`link.rs`). The main thread starts them and waits
//! for their end; the thread that takes signals tells the first to stop. Passwords are hashed on threads of
//! their own (`passwords.rs`), and the store has one (`writer.rs`): they leave the outcome as a message for
//! the engine's shard.

mod alarm;
mod clock_watch;
mod datagrams;
mod group_commit;
mod home;
mod link;
mod listener;
mod os;
mod passwords;
mod role;
mod shard;
mod socket_options;
mod sockets;
mod timer;
mod watchdog;
mod writer;

use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::chat::{Kept, ReservedNames};
use crate::config::{Config, MaxClients, PingIdentity, Shards, TcrpNames, UcrpSender};
use crate::engine::{Engine, LOBBY, Lanes, Random, Settings};
use crate::fanout::{Fanout, Outpost};
use crate::limits::{
    CLOCK_AHEAD_MILLIS, DESCRIPTORS_OF_SHARD, DESCRIPTORS_RESERVED, HISTORY_ON_JOIN_MAX,
    LISTENING_SOCKETS_RESERVED, REFUSED_MAX, SHARDS_MAX,
};
use crate::ready::{self, Identity, Listening, ReadyDescriptor, ReadyError, ReadyFile};
use crate::signals::{self, Watch};
use crate::store::{self, Durability, Lock, Store, StoreError, StoreSpec};
use crate::telemetry::Log;
use alarm::Alarm;
pub use group_commit::{GroupCommit, Outcome, Task};
use home::{Home, Other};
use link::link;
use passwords::Pool;
pub use passwords::{HashError, hash_password};
use role::{Away, Role};
use shard::{Clock, Handle, Message, Shard, ShardReport};
pub use shard::{Report, StoreReport, SystemCalls};
use sockets::{Opening, Sockets, listen};
pub use watchdog::Turns;
use writer::Writer;

/// Why the server did not start, or did not stay.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    /// A listener could not be made.
    #[error("cannot listen on {address} for the {dialect} dialect: {cause}; {}", sockets::remedy(cause, *address))]
    Listen {
        /// The dialect's name, which is also its flag's.
        dialect: &'static str,
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// A thread could not have open files of its own, although one could before.
    #[error(
        "a shard cannot have a table of open files of its own: {0}; one shard needs none: give `--shards 1`"
    )]
    Descriptors(io::Error),
    /// The thread could not be pinned.
    #[error(
        "cannot pin a shard to core {core}: {cause}; `nproc` tells how many there are, and `--pin` may be left out"
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

/// A running server: each shard on a thread of its own.
#[derive(Debug)]
pub struct Server {
    listening: Vec<Listening>,
    stop: Handle,
    /// Waits for the shards.
    thread: JoinHandle<Result<Report, StartupError>>,
    /// On the data directory, where the store's own is on another.
    _lock: Option<Lock>,
}

impl Server {
    /// Binds the listeners and starts the loops. `ended` is called when the first has ended, however that came.
    pub fn start(config: &Config, ended: impl FnOnce() + Send + 'static) -> Result<Self, StartupError> {
        Self::start_after(config, || {}, ended)
    }

    /// The same; `loaded` is called when everything that was kept is there, and before anything listens.
    fn start_after(
        config: &Config,
        loaded: impl FnOnce(),
        ended: impl FnOnce() + Send + 'static,
    ) -> Result<Self, StartupError> {
        let options = config.store_options();
        let spec = config.store_spec().from_root();
        let store = store::open(&spec, &options)?;
        let lock = lock_data(config, &spec)?;
        let server = Self::load_and_start(config, store, loaded, ended)?;
        Ok(Self { _lock: lock, ..server })
    }

    /// The same with a store of the caller's: for tests.
    pub fn start_with_store(
        config: &Config,
        store: Box<dyn Store>,
        ended: impl FnOnce() + Send + 'static,
    ) -> Result<Self, StartupError> {
        Self::load_and_start(config, store, || {}, ended)
    }

    fn load_and_start(
        config: &Config,
        mut store: Box<dyn Store>,
        loaded: impl FnOnce(),
        ended: impl FnOnce() + Send + 'static,
    ) -> Result<Self, StartupError> {
        let shards = shards(config);
        let tables = DescriptorTables::of(shards);
        let settings = settings(config, shards, tables, os::raise_open_files_limit())?;
        let clock = Clock::new();
        let mut engine =
            Engine::new(settings.clone(), config.history_rules(), Random::new(os::random_in_stock()));
        restore(&mut engine, store.as_mut(), &clock)?;
        loaded();

        let alarms =
            (0..settings.shards).map(|_| Alarm::new().map(Arc::new)).collect::<io::Result<Vec<_>>>()?;
        let (sender, messages) = mpsc::channel();
        let stop = Handle { messages: sender, alarm: Arc::clone(&alarms[0]) };
        // It has a core of its own, where there is one.
        let cores = os::Cores::allowed().ok().map(|cores| cores.without(&config.pin));
        let stored = stop.clone();
        let tell = Box::new(move |outcome| stored.send(Message::Stored(outcome)));
        let writer = Writer::start(store, config.history_rules(), cores, tell)?;
        let (others, aways): (Vec<_>, Vec<_>) = alarms[1..]
            .iter()
            .enumerate()
            .map(|(index, alarm)| {
                let (orders, received_orders) = link(Arc::clone(alarm));
                let (reports, received_reports) = link(Arc::clone(&alarms[0]));
                let fanout = Fanout::new(index as u8 + 1, settings.fanout());
                let away = Away { outpost: Outpost::new(fanout), reports, orders: received_orders };
                (Other { orders, reports: received_reports }, away)
            })
            .unzip();

        let start = |shard: usize| Start {
            shard,
            core: config.pin.get(shard).copied(),
            is_shared: settings.shards > 1,
            tables,
            alarms: alarms.clone(),
            clock,
            drain_timeout: config.drain_timeout,
            lanes: Lanes::new(&settings),
        };
        let compared = stop.clone();
        // Here, where no thread is pinned: its threads run where this one may.
        let passwords = Pool::new(move |id, serial, outcome| {
            compared.send(Message::PasswordCompared(id, serial, outcome));
        });
        let make_home =
            move || (Role::Home(Box::new(Home::new(engine, passwords, writer, others, messages))), ());
        let openings = sockets::openings(config);
        let (home, openings) = start(0).spawn(openings, make_home, |role, system_calls, turns| {
            let Role::Home(home) = role else { return Report::default() };
            let (engine, store) = home.finish();
            Report { metrics: engine.metrics(), system_calls, turns, store }
        })?;
        let mut outposts = Vec::new();
        let mut failed = None;
        for (index, away) in aways.into_iter().enumerate() {
            match spawn_outpost(&start(index + 1), &openings, &stop, away) {
                Ok(thread) => outposts.push(thread),
                Err(error) => {
                    failed = Some(error);
                    stop.stop();
                    break;
                }
            }
        }
        // On a thread that sees the descriptors that `ended` may have to do with.
        let thread = thread::Builder::new().name("shards".to_owned()).spawn(move || {
            let home = {
                let _ended = CallOnDrop(Some(ended));
                home.join()
            };
            // Those whose engine is gone end as well.
            let outposts: Vec<_> = outposts.into_iter().map(JoinHandle::join).collect();
            // They are closed where they were made.
            drop(alarms);
            let mut report = home.map_err(|_| StartupError::Failed)??;
            for outpost in outposts {
                report.add(&outpost.map_err(|_| StartupError::Failed)??);
            }
            Ok(report)
        })?;
        let listening = sockets::listening(&openings);
        let server = Self { listening, stop, thread, _lock: None };
        match failed {
            None => Ok(server),
            Some(error) => {
                // Why it did not start is what to say.
                let _ = server.join();
                Err(error)
            }
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
        self.thread.join().map_err(|_| StartupError::Failed)?
    }
}

/// Starts a further shard, which listens where the first one does.
fn spawn_outpost(
    start: &Start,
    openings: &[Opening],
    stop: &Handle,
    away: Away,
) -> Result<JoinHandle<io::Result<ShardReport>>, StartupError> {
    let stop = stop.clone();
    let make = move || {
        // One that ended while the others go on would leave its clients alone.
        (Role::Away(Box::new(away)), CallOnDrop(Some(move || stop.stop())))
    };
    let (thread, _) = start.spawn(openings.to_vec(), make, |role, system_calls, turns| ShardReport {
        metrics: role.fanout().metrics().clone(),
        system_calls,
        turns,
    })?;
    Ok(thread)
}

/// How a shard's thread begins.
struct Start {
    shard: usize,
    core: Option<usize>,
    /// Other shards listen on the same addresses.
    is_shared: bool,
    tables: DescriptorTables,
    alarms: Vec<Arc<Alarm>>,
    clock: Clock,
    drain_timeout: std::time::Duration,
    /// The lanes of connections with unread input.
    lanes: Lanes,
}

impl Start {
    /// Starts the thread. It has its listeners when this returns, with the addresses really bound. `make` and `report` are
    /// called on it; what `make` gives beside the role is dropped when the thread ends.
    fn spawn<T: Send + 'static, G>(
        &self,
        openings: Vec<Opening>,
        make: impl FnOnce() -> (Role, G) + Send + 'static,
        report: impl FnOnce(Role, SystemCalls, Turns) -> T + Send + 'static,
    ) -> Result<(JoinHandle<io::Result<T>>, Vec<Opening>), StartupError> {
        let Self { shard, core, is_shared, tables, ref alarms, clock, drain_timeout, ref lanes } = *self;
        let (alarms, lanes) = (alarms.clone(), lanes.clone());
        let (started, is_started) = mpsc::channel::<Result<Vec<Opening>, StartupError>>();
        let thread = thread::Builder::new().name(format!("shard-{shard}")).spawn(move || {
            let prepare = || -> Result<_, StartupError> {
                core.map_or(Ok(()), os::pin)
                    .map_err(|cause| StartupError::Pin { core: core.unwrap_or_default(), cause })?;
                if tables == DescriptorTables::OneEach {
                    signals::leave_to_others()?;
                    os::take_own_descriptors(&alarms).map_err(StartupError::Descriptors)?;
                }
                let is_first = shard == 0;
                let Sockets { listeners, datagrams, openings } = listen(&openings, is_shared, is_first)?;
                let alarm = Arc::clone(&alarms[shard]);
                let (role, guard) = make();
                let shard = Shard::new(role, alarm, clock, drain_timeout, lanes, listeners, datagrams)?;
                Ok((shard, guard, openings))
            };
            // The other end waits for exactly this.
            let (mut shard, _guard) = match prepare() {
                Ok((shard, guard, openings)) => {
                    let _ = started.send(Ok(openings));
                    (shard, guard)
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                    return Err(io::ErrorKind::Other.into());
                }
            };
            shard.run()?;
            let (role, system_calls, turns) = shard.into_parts();
            Ok(report(role, system_calls, turns))
        })?;
        match is_started.recv() {
            Ok(openings) => Ok((thread, openings?)),
            Err(mpsc::RecvError) => Err(StartupError::Failed),
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
        let ahead_millis = last.at().0.saturating_sub(now.unix.0);
        if ahead_millis > CLOCK_AHEAD_MILLIS {
            let by = humantime::format_duration(Duration::from_millis(ahead_millis));
            tracing::warn!(
                %by,
                "the store's last change is in the future: the clock was ahead, or is behind now; \
                 ids continue from it, times follow the clock"
            );
        }
    }
    engine.restore_lobby(&store.history(LOBBY, None, HISTORY_ON_JOIN_MAX as usize)?);
    let millis = clock.now().monotonic.saturating_sub(now.monotonic).as_millis() as u64;
    tracing::info!(accounts, letters, seats, millis, "what was kept is back");
    Ok(())
}

fn shards(config: &Config) -> usize {
    match config.shards {
        Shards::Count(count) => count,
        Shards::Auto if !config.pin.is_empty() => config.pin.len(),
        Shards::Auto => thread::available_parallelism().map_or(1, usize::from).min(SHARDS_MAX),
    }
}

/// The sharing of descriptor tables, and so of the limit on open files, between shards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum DescriptorTables {
    /// All threads.
    OneForAll,
    /// Each of several shards has one for itself.
    OneEach,
}

impl DescriptorTables {
    /// Several shards have one each, where the system allows that.
    fn of(shards: usize) -> Self {
        if shards == 1 {
            return Self::OneForAll;
        }
        match os::try_own_descriptors() {
            Ok(()) => Self::OneEach,
            Err(error) => {
                tracing::warn!(
                    %error,
                    "the system refuses each shard a table of open files of its own, as containers do (unshare): \
                     all shards share one, and its limit"
                );
                Self::OneForAll
            }
        }
    }

    /// How many clients the limit on open files leaves descriptors for.
    fn clients(self, open_files: u64, shards: usize, listening_sockets: usize) -> usize {
        let further_sockets = listening_sockets.saturating_sub(LISTENING_SOCKETS_RESERVED);
        let reserved = DESCRIPTORS_RESERVED + (REFUSED_MAX + further_sockets) as u64;
        let of_further_shards = (shards as u64 - 1) * (listening_sockets as u64 + DESCRIPTORS_OF_SHARD);
        let (reserved, tables) = match self {
            Self::OneForAll => (reserved + of_further_shards, 1),
            Self::OneEach => (reserved, shards),
        };
        usize::try_from(open_files.saturating_sub(reserved)).unwrap_or(usize::MAX).saturating_mul(tables)
    }
}

fn settings(
    config: &Config,
    shards: usize,
    tables: DescriptorTables,
    open_files: u64,
) -> Result<Settings, StartupError> {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(exemptions) = config.exemptions() {
        tracing::info!("{exemptions}");
    }
    let sockets = config.listeners().iter().map(|listener| listener.addresses.len()).sum();
    let allowed = tables.clients(open_files, shards, sockets);
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
    // Shards that share a table can take each other's spare descriptor. So a surplus client is refused
    // earlier.
    let is_shared = tables == DescriptorTables::OneForAll && shards > 1;
    let clients_limit = if is_shared { clients_limit.min(allowed) } else { clients_limit };
    let seconds = |timeout: Option<std::time::Duration>| timeout.map_or(0, |timeout| timeout.as_secs());
    Ok(Settings {
        clients_limit,
        exempt: config.exempt.clone(),
        listener_exempt: config.listeners().into_iter().map(|listener| listener.exempt).collect(),
        seat_exempt: config.ucrp.exempt.clone(),
        address_clients_limit: config.address_clients as usize,
        address_connects_limit: config.address_connects,
        address_accounts_limit: config.address_accounts,
        address_rooms_limit: config.address_rooms as usize,
        session_rooms_limit: config.session_rooms as usize,
        session_messages_limit: config.session_messages,
        session_bytes_limit: config.session_bytes,
        password_attempts_limit: config.password_attempts,
        login_timeout: seconds(config.login_timeout),
        line_idle_timeout: seconds(config.idle_timeout),
        slash_idle_timeout: seconds(config.slash_idle_timeout),
        ucrp_idle_timeout: seconds(config.ucrp_idle_timeout),
        typed_idle_timeout: seconds(config.typed_idle_timeout),
        gob_idle_timeout: seconds(config.gob_idle_timeout),
        gob_gap: config.gob_gap,
        seats_may_query: config.ucrp_queries,
        seats_keep_address: config.ucrp_sender == UcrpSender::SameIp,
        reserved_names: ReservedNames::with(&config.reserved_names),
        slash_nick_tries: config.slash_nick_tries,
        seats_yield_names: config.tcrp_names == TcrpNames::Near,
        ping_identity: config.typed_ping_identity == PingIdentity::SameIp,
        journal: true,
        promises_wait: config.durability != Durability::None,
        drain_timeout: config.drain_timeout.as_secs(),
        lag: config.lag,
        log_bytes_limit: config.log_bytes,
        log_total_bytes_limit: config.log_total_bytes,
        shards,
        // The standard library's own seed, which it takes from the operating system.
        seed: std::hash::RandomState::new().build_hasher().finish(),
    })
}

/// Serves until a signal says to stop; a second signal ends the process at once, with status 1.
pub fn serve(config: &Config, log: &Log) -> Result<(), StartupError> {
    // First: what the server opens itself has no number yet that `ready-fd` could name.
    let ready_descriptor = config.ready_fd.map(ReadyDescriptor::open).transpose()?;
    let ready_file = config.ready_file.as_deref().map(ReadyFile::claim).transpose()?.map(Arc::new);
    let (ready_file_at_end, ready_file_at_stop) = (ready_file.clone(), ready_file.clone());
    let log_at_end = log.clone();
    let watch = Watch::start(move |status| {
        if let Some(file) = &ready_file_at_end {
            file.remove();
        }
        log_at_end.flush();
        std::process::exit(status)
    })?;
    let identity = Identity::of(config);
    let is_kept = identity.store != StoreSpec::Memory;
    tracing::info!(
        version = %Identity::VERSION,
        pid = identity.pid,
        data = is_kept.then(|| tracing::field::display(identity.data.display())),
        store = %identity.store,
        durability = is_kept.then(|| tracing::field::display(identity.durability())),
        "starting"
    );
    let server = Server::start_after(config, || watch.opening(), || {})?;
    let stop = server.stop.clone();
    watch.serving(move || {
        // A server that drains takes no client.
        if let Some(file) = &ready_file_at_stop {
            file.remove();
        }
        stop.stop();
    });
    let announced = ready::announce(&identity, server.listening(), ready_file.as_deref(), ready_descriptor);
    match &announced {
        Ok(()) => tracing::info!(listeners = server.listening().len(), "ready"),
        // Clients may be there already.
        Err(_) => server.stop(),
    }
    let joined = server.join();
    if let Some(file) = &ready_file {
        file.remove();
    }
    announced?;
    let report = joined?;
    tracing::info!(
        connections = report.metrics.opened,
        closed = ?report.metrics.closed_by_reason(),
        surplus = report.system_calls.surplus,
        messages = report.metrics.messages,
        directs = report.metrics.directs,
        lagged = report.metrics.lagged,
        missed = report.metrics.missed,
        gave_way = report.metrics.gave_way,
        rooms_refused = report.metrics.rooms_refused,
        shares_refused = report.metrics.shares_refused,
        rested = report.metrics.rested,
        wrong_passwords = report.metrics.wrong_passwords,
        attempts_refused = report.metrics.attempts_refused,
        attempts_delayed = report.metrics.attempts_delayed,
        accounts_refused = report.metrics.accounts_refused,
        accounts_expired = report.metrics.accounts_expired,
        refused = ?report.metrics.refused,
        datagrams_lost = report.metrics.datagrams_lost,
        datagrams_dropped = report.metrics.datagrams_dropped,
        cut = report.metrics.cut,
        kept = report.metrics.ops_committed,
        history_unkept = report.metrics.history_unkept,
        promises_broken = report.metrics.promises_broken,
        long_turns = report.turns.long,
        longest_turn = ?report.turns.longest,
        log_lines_lost = log.lost_lines(),
        "stopped"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_on_open_files_leaves_clients_what_listeners_and_shards_do_not_take() {
        use DescriptorTables::{OneEach, OneForAll};
        assert_eq!(OneForAll.clients(20_000, 1, 6), 19_872);
        // Two addresses: four sockets more than are reserved.
        assert_eq!(OneForAll.clients(20_000, 1, 12), 19_868);
        assert_eq!(OneEach.clients(20_000, 2, 6), 2 * 19_872);
        // The second shard's sockets, and its own open files, are in the same table.
        assert_eq!(OneForAll.clients(20_000, 2, 6), 19_872 - 6 - 8);
        assert_eq!(OneForAll.clients(100, 1, 6), 0);
    }
}
