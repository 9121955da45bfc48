//! The server: the real engine, fan-out and group commit, driven as the reactor drives them, a turn at a time, over the
//! simulated network, disk and clock.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use parlance::chat::{
    CloseReason, ConnId, HistoryRules, Kept, ListenerId, Now, Op, OpId, PasswordHash, PasswordOutcome,
    PasswordTask, Refused,
};
use parlance::engine::{Engine, Lanes, Random, Rounds, Settings};
use parlance::fanout::{Close, DatagramPath, Fanout, Gather, Orders, Outpost, Reports};
use parlance::limits::{
    ACCEPTS_PER_TURN_MAX, HISTORY_ON_JOIN_MAX, OUTBOX_TURN_BYTES_MAX, PASSWORD_HASH_BYTES_MAX,
    READ_BYTES_PER_TURN_MAX, READS_PER_TURN_MAX, READS_PER_VISIT_MAX, WRITES_PER_TURN_MAX,
};
use parlance::reactor::{GroupCommit, Outcome, Task};
use parlance::store::{Store, StoreError};

use crate::dice::Dice;
use crate::disk::SimDisk;
use crate::net::{End, Net};

/// What happened at the server's edge, for whoever watches.
#[derive(Debug)]
pub(crate) enum Tap {
    /// Changes were handed to the store.
    Ops(Vec<Op>),
    /// The store's thread said that so many more are kept.
    Committed(usize),
    /// A datagram went out to a seat.
    Datagram(SocketAddr, Vec<u8>),
    /// A connection was closed, and the engine's reason, where it is known here.
    Closed(usize, CloseReason),
    /// A connection is told that its password, for what has this hash, is wrong.
    Wrong(usize, PasswordHash),
}

/// How long the store's thread does nothing of itself, where it is lazy.
const LAZY: Duration = Duration::from_secs(60 * 60);

type Tell = Box<dyn Fn(Outcome)>;

/// A way from one shard to another.
#[derive(Debug)]
struct Way<B> {
    batches: VecDeque<(Duration, B)>,
}

impl<B> Way<B> {
    fn new() -> Self {
        Self { batches: VecDeque::new() }
    }

    fn push(&mut self, at: Duration, batch: B) {
        let last = self.batches.back().map_or(Duration::ZERO, |&(at, _)| at);
        self.batches.push_back((last.max(at), batch));
    }

    fn next_at(&self) -> Option<Duration> {
        self.batches.front().map(|&(at, _)| at)
    }

    fn pop(&mut self, now: Duration) -> Option<B> {
        pop_due(&mut self.batches, now)
    }
}

/// The first of those that come at a time, if that has come.
fn pop_due<T>(queue: &mut VecDeque<(Duration, T)>, now: Duration) -> Option<T> {
    if queue.front().is_some_and(|&(at, _)| at <= now) {
        return queue.pop_front().map(|(_, due)| due);
    }
    None
}

/// What one shard's driver knows.
#[derive(Default)]
struct Shard {
    /// Streams that wait to be accepted.
    waiting: VecDeque<usize>,
    /// Streams to be read from.
    unread: Rounds,
    writable: Vec<usize>,
    datagrams: VecDeque<(SocketAddr, Vec<u8>)>,
    dead: Vec<(usize, CloseReason)>,
    by_id: HashMap<ConnId, usize>,
    /// Its thread is busy, or was put aside, until then.
    busy_until: Duration,
    datagrams_full_until: Option<Duration>,
}

/// The store's thread.
struct Keeper {
    commit: GroupCommit<Box<dyn Fn() -> Now>, Tell>,
    tasks: VecDeque<(Duration, Task)>,
    told: Rc<RefCell<Vec<Outcome>>>,
    busy_until: Duration,
    /// It looks no sooner whether there is something to do of itself.
    sleeps_until: Duration,
}

impl Keeper {
    /// When it does something of itself.
    fn wake_at(&self) -> Duration {
        self.commit.wake_at().max(self.sleeps_until)
    }
}

pub(crate) struct Server {
    pub(crate) engine: Engine,
    outposts: Vec<Outpost>,
    orders: Vec<Way<Orders>>,
    reports: Vec<Way<Reports>>,
    shards: Vec<Shard>,
    lanes: Lanes,
    keeper: Keeper,
    outcomes: VecDeque<(Duration, Outcome)>,
    passwords: VecDeque<(Duration, PasswordTask)>,
    disk: SimDisk,
    /// It was told to stop.
    is_told_to_stop: bool,
    drain_until: Option<Duration>,
    drain_timeout: Duration,
    /// Bytes that are read at once.
    read_bytes: usize,
    dice: Dice,
    pub(crate) taps: Vec<Tap>,
    /// Microseconds that a batch from one shard to another takes at most.
    pub(crate) link_micros: usize,
    /// Microseconds that a sync takes.
    pub(crate) sync_micros: u64,
    /// The store's thread looks after its files once an hour, in days in which nothing else happens.
    is_lazy: bool,
    /// Passwords may be refused because too many wait.
    pub(crate) is_short_of_hashers: bool,
}

/// How a server is set up.
#[derive(Clone, Debug)]
pub(crate) struct SetUp {
    pub(crate) settings: Settings,
    pub(crate) on_join: u32,
    pub(crate) read_bytes: usize,
}

impl SetUp {
    /// What a session may say a second, if that is bounded.
    pub(crate) fn session_messages(&self) -> Option<u64> {
        let Settings { exempt, session_messages_limit, .. } = &self.settings;
        (exempt.is_empty() && *session_messages_limit > 0).then(|| u64::from(*session_messages_limit))
    }

    pub(crate) fn rules(&self) -> HistoryRules {
        let mut rules = HistoryRules::default();
        rules.default.on_join = self.on_join;
        // Nothing is forgotten while it is looked at.
        rules.default.keep_messages = 10_000_000;
        rules
    }
}

/// What a store had when the server started.
pub(crate) struct Found {
    pub(crate) kept: Vec<Kept>,
    pub(crate) last: Option<OpId>,
}

/// What the simulated server takes for the hash of a password: itself, with what a hash cannot have spelled out.
pub(crate) fn hash(password: &str) -> PasswordHash {
    let mut text = "$argon2id$".to_owned();
    for byte in password.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => text.push(byte.into()),
            _ => _ = write!(text, "%{byte:02x}"),
        }
    }
    // What is longer than a hash is none of the passwords that are used here.
    text.truncate(PASSWORD_HASH_BYTES_MAX);
    PasswordHash::new(&text).expect("it has no blanks")
}

/// Says that there is no place, as far as the socket takes it.
fn refuse(conn: usize, refused: Refused, net: &mut Net, now: Now) {
    let mut words = Vec::new();
    Engine::refusal(net.conns[conn].dialect, refused, &mut words);
    words.truncate(net.conns[conn].down.space());
    net.server_sends(conn, now.monotonic, &words);
}

impl Server {
    /// Starts, as the real one does, with what a store has.
    pub(crate) fn start(
        set_up: &SetUp,
        mut store: Box<dyn Store>,
        disk: SimDisk,
        clock: &Rc<Cell<Now>>,
        seed: u64,
    ) -> Result<(Self, Found), StoreError> {
        let settings = set_up.settings.clone();
        let now = clock.get();
        let mut engine = Engine::new(settings.clone(), set_up.rules(), Random::guessable(seed));
        let mut kept = Vec::new();
        let last = store.load(&mut |part| kept.push(part))?;
        for part in &kept {
            engine.restore(part, now);
        }
        if let Some(last) = last {
            engine.restore_last(last);
        }
        engine.restore_lobby(&store.history("lobby", None, HISTORY_ON_JOIN_MAX as usize)?);
        let told = Rc::new(RefCell::new(Vec::new()));
        let tell: Tell = Box::new({
            let told = Rc::clone(&told);
            move |outcome| told.borrow_mut().push(outcome)
        });
        let clock = Rc::clone(clock);
        let commit = GroupCommit::new(store, set_up.rules(), Box::new(move || clock.get()) as _, tell);
        let outposts = (1..settings.shards)
            .map(|shard| Outpost::new(Fanout::new(shard as u8, settings.fanout())))
            .collect();
        let server = Self {
            engine,
            outposts,
            orders: (1..settings.shards).map(|_| Way::new()).collect(),
            reports: (1..settings.shards).map(|_| Way::new()).collect(),
            lanes: Lanes::new(&settings),
            shards: (0..settings.shards).map(|_| Shard::default()).collect(),
            keeper: Keeper {
                commit,
                tasks: VecDeque::new(),
                told,
                busy_until: now.monotonic,
                sleeps_until: Duration::ZERO,
            },
            outcomes: VecDeque::new(),
            passwords: VecDeque::new(),
            disk,
            is_told_to_stop: false,
            drain_until: None,
            drain_timeout: Duration::from_secs(settings.drain_timeout),
            read_bytes: set_up.read_bytes,
            dice: Dice(seed),
            taps: Vec::new(),
            link_micros: 20,
            sync_micros: 300,
            is_short_of_hashers: false,
            is_lazy: false,
        };
        Ok((server, Found { kept, last }))
    }

    /// Says whether the store's thread looks after its files once an hour only.
    pub(crate) fn set_lazy(&mut self, is_lazy: bool) {
        self.is_lazy = is_lazy;
        if !is_lazy {
            self.keeper.sleeps_until = Duration::ZERO;
        }
    }

    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    fn fanout(&self, shard: usize) -> &Fanout {
        match shard.checked_sub(1) {
            None => self.engine.fanout(),
            Some(index) => self.outposts[index].fanout(),
        }
    }

    fn fanout_mut(&mut self, shard: usize) -> &mut Fanout {
        match shard.checked_sub(1) {
            None => self.engine.fanout_mut(),
            Some(index) => self.outposts[index].fanout_mut(),
        }
    }

    fn wants_input(&self, shard: usize, id: ConnId) -> bool {
        match shard.checked_sub(1) {
            None => self.engine.wants_input(id),
            Some(index) => self.outposts[index].wants_input(id),
        }
    }

    fn is_busy(&self, shard: usize) -> bool {
        shard.checked_sub(1).is_some_and(|index| self.outposts[index].is_busy())
    }

    fn takes_datagrams(&self, shard: usize) -> bool {
        shard.checked_sub(1).is_none_or(|index| self.outposts[index].takes_datagrams())
    }

    /// Bytes held for peers.
    pub(crate) fn held_bytes(&self) -> usize {
        let outposts = self.outposts.iter().map(|outpost| outpost.fanout().held_bytes());
        self.engine.held_bytes() + outposts.sum::<usize>()
    }

    pub(crate) fn metrics(&self) -> parlance::engine::Metrics {
        let mut metrics = self.engine.metrics();
        self.outposts.iter().for_each(|outpost| metrics.add(outpost.fanout().metrics()));
        metrics
    }

    /// A connection is there for the engine, and nobody is closing it.
    pub(crate) fn is_up(&self, id: ConnId) -> bool {
        self.engine.connections().any(|other| other == id) && self.engine.closing_reason(id).is_none()
    }

    /// Bytes that wait for somebody in rooms or alone.
    pub(crate) fn fanout_bytes(&self) -> usize {
        let outposts = self.outposts.iter().map(|outpost| outpost.fanout().held_bytes());
        self.engine.fanout().held_bytes() + outposts.sum::<usize>()
    }

    /// Messages in rooms that were not kept.
    pub(crate) fn history_unkept(&self) -> u64 {
        self.engine.metrics().history_unkept
    }

    /// Nothing is to be done but what time brings.
    pub(crate) fn is_at_rest(&mut self) -> bool {
        let has_mail = self.orders.iter().any(|way| !way.batches.is_empty())
            || self.reports.iter().any(|way| !way.batches.is_empty())
            || !(self.outcomes.is_empty() && self.passwords.is_empty() && self.keeper.tasks.is_empty());
        let is_idle = !self.engine.has_work() && !self.outposts.iter().any(Outpost::has_work);
        !has_mail && is_idle && self.engine.waiting_ops().0 == 0
    }

    /// Ops that the store has not committed, as the engine counts them.
    pub(crate) fn waiting_ops(&self) -> (usize, usize) {
        self.engine.waiting_ops()
    }

    pub(crate) fn check_invariants(&self) {
        self.engine.check_invariants();
        self.outposts.iter().for_each(|outpost| outpost.fanout().check_invariants());
    }

    /// A shard's thread does nothing until then.
    pub(crate) fn puts_aside(&mut self, shard: usize, until: Duration) {
        let shard = shard % self.shards.len();
        self.shards[shard].busy_until = self.shards[shard].busy_until.max(until);
    }

    /// No thread is put aside any more, and the sockets for datagrams have space.
    pub(crate) fn calms(&mut self, now: Duration) {
        for shard in &mut self.shards {
            shard.busy_until = shard.busy_until.min(now);
            shard.datagrams_full_until = shard.datagrams_full_until.map(|until| until.min(now));
        }
    }

    /// The sockets for datagrams take nothing until then.
    pub(crate) fn datagrams_are_full(&mut self, until: Duration) {
        for shard in 0..self.shards.len() {
            self.shards[shard].datagrams_full_until = Some(until);
            self.fanout_mut(shard).datagrams_full();
        }
    }

    /// A stream wants to be accepted.
    pub(crate) fn connects(&mut self, conn: usize, net: &mut Net) {
        // A client may have counted on more shards than there are.
        let shard = net.conns[conn].shard % self.shards.len();
        net.conns[conn].shard = shard;
        self.shards[shard].waiting.push_back(conn);
    }

    /// Bytes, or an end, came for the server's end of a stream.
    pub(crate) fn arrives(&mut self, conn: usize, net: &mut Net) {
        self.queue_read(conn, net);
    }

    pub(crate) fn datagram(&mut self, from: SocketAddr, bytes: Vec<u8>, shard: usize) {
        self.shards[shard].datagrams.push_back((from, bytes));
    }

    /// A client took something off a stream.
    pub(crate) fn has_space(&mut self, conn: usize, net: &mut Net) {
        if std::mem::take(&mut net.conns[conn].is_blocked) {
            self.shards[net.conns[conn].shard].writable.push(conn);
        }
    }

    fn queue_read(&mut self, conn: usize, net: &mut Net) {
        let Some(id) = net.conns[conn].id else { return };
        let shard = net.conns[conn].shard;
        let is_wanted = self.wants_input(shard, id);
        let conn_state = &mut net.conns[conn];
        let has_news = conn_state.up.has_arrived() > 0 || conn_state.up.end != End::Open;
        if conn_state.is_open
            && is_wanted
            && has_news
            && !conn_state.has_ended
            && !std::mem::replace(&mut conn_state.is_queued, true)
        {
            let lane = self.lanes.lane(conn_state.ip, ListenerId(0));
            self.shards[shard].unread.push(lane, id);
        }
    }

    /// Has it stop.
    pub(crate) fn stops(&mut self) {
        self.is_told_to_stop = true;
    }

    /// Whether it has stopped.
    pub(crate) fn is_done(&self, now: Duration) -> bool {
        let is_empty = self.engine.is_empty()
            && self.outposts.iter().all(|outpost| outpost.fanout().is_empty())
            && self.orders.iter().all(|way| way.batches.is_empty());
        self.drain_until.is_some_and(|until| is_empty || now >= until)
    }

    /// Ends: what was handed to the store is committed, if that works.
    pub(crate) fn finish(&mut self, now: Now) {
        self.hand_out_ops(now);
        while let Some((_, task)) = self.keeper.tasks.pop_front() {
            self.keeper.commit.take(task);
        }
        self.keeper.commit.finish();
        for outcome in self.keeper.told.take() {
            if let Outcome::Committed { ops, .. } = outcome
                && !self.disk.has_lost_power()
            {
                self.taps.push(Tap::Committed(ops));
            }
        }
    }

    /// What was changed, and not handed to the store when the process was killed.
    pub(crate) fn unseen_ops(&mut self) -> Vec<Op> {
        self.engine.take_ops()
    }

    /// When a shard has something to do, if nothing else happens.
    fn wants_turn_at(&mut self, shard: usize, now: Duration) -> Option<Duration> {
        let is_busy = self.is_busy(shard);
        let takes_datagrams = self.takes_datagrams(shard);
        let state = &self.shards[shard];
        let has_news = !state.writable.is_empty()
            || !state.dead.is_empty()
            || (shard == 0 && self.is_told_to_stop && self.drain_until.is_none())
            || (!state.waiting.is_empty() && !is_busy)
            || (!state.datagrams.is_empty() && takes_datagrams)
            || (!state.unread.is_empty() && !is_busy);
        let full_until = state.datagrams_full_until;
        let busy_until = state.busy_until;
        let has_work = match shard.checked_sub(1) {
            None => self.engine.has_work(),
            Some(index) => self.outposts[index].has_work(),
        };
        if has_news || has_work {
            return Some(busy_until.max(now));
        }
        let wake = self.fanout(shard).next_wake();
        let retry = Some(now + Duration::from_millis(1));
        let own = match shard.checked_sub(1) {
            None => [
                self.engine.next_deadline(),
                self.outcomes.front().map(|&(at, _)| at),
                self.passwords.iter().map(|&(at, _)| at).min(),
                self.reports.iter().filter_map(Way::next_at).min(),
                retry.filter(|_| self.engine.waits_for_links()),
            ],
            Some(index) => [self.orders[index].next_at(), retry.filter(|_| is_busy), None, None, None],
        };
        own.into_iter().chain([wake, full_until]).flatten().min().map(|at| at.max(busy_until))
    }

    /// When it has something to do, if nothing else happens.
    pub(crate) fn next_at(&mut self, now: Duration) -> Option<Duration> {
        let shards = (0..self.shards.len()).filter_map(|shard| self.wants_turn_at(shard, now)).min();
        let task = self.keeper.tasks.front().map(|&(at, _)| at);
        let store = task.into_iter().chain([self.keeper.wake_at()]).min();
        let store = store.map(|at| at.max(self.keeper.busy_until));
        shards.into_iter().chain(store).chain(self.drain_until).min()
    }

    /// Does what is due.
    pub(crate) fn go_on(&mut self, net: &mut Net, now: Now) {
        self.keep(now.monotonic);
        for shard in 0..self.shards.len() {
            if self.wants_turn_at(shard, now.monotonic).is_some_and(|at| at <= now.monotonic) {
                self.turn(shard, net, now);
                let micros = 5 + self.dice.below(60) as u64;
                self.shards[shard].busy_until = now.monotonic + Duration::from_micros(micros);
            }
        }
    }

    /// The store's thread.
    fn keep(&mut self, now: Duration) {
        let wake_at = self.keeper.wake_at();
        let Keeper { commit, tasks, told, busy_until, sleeps_until } = &mut self.keeper;
        if *busy_until > now {
            return;
        }
        let mut has_news = false;
        while !commit.is_full()
            && let Some(task) = pop_due(tasks, now)
        {
            commit.take(task);
            has_news = true;
        }
        if !has_news && wake_at > now {
            return;
        }
        *sleeps_until = if self.is_lazy && !has_news { now + LAZY } else { Duration::ZERO };
        commit.go_on();
        let micros = 10 + u64::from(self.disk.take_syncs()) * self.sync_micros;
        *busy_until = now + Duration::from_micros(micros);
        for outcome in told.borrow_mut().drain(..) {
            // With the power gone, this never happened.
            if let Outcome::Committed { ops, .. } = outcome
                && !self.disk.has_lost_power()
            {
                self.taps.push(Tap::Committed(ops));
            }
            self.outcomes.push_back((*busy_until, outcome));
        }
    }

    /// One turn of a shard's loop: see `src/reactor/shard.rs`.
    fn turn(&mut self, shard: usize, net: &mut Net, now: Now) {
        self.take_messages(shard, now);
        self.take_events(shard, net, now);
        self.read_datagrams(shard, now);
        self.read(shard, net, now);
        match shard.checked_sub(1) {
            None => self.engine.timeout(now),
            Some(index) => self.outposts[index].timeout(now),
        }
        self.pass_on(shard, now);
        if shard == 0 {
            self.hand_out_ops(now);
        }
        self.flush(shard, net, now);
        self.accept(shard, net, now);
        match shard.checked_sub(1) {
            None => {
                self.engine.end_turn(now);
                self.hand_out_passwords(now);
                self.hand_out_ops(now);
            }
            Some(index) => self.outposts[index].end_turn(now),
        }
        self.reap(shard, net, now);
        self.pass_on(shard, now);
    }

    fn take_messages(&mut self, shard: usize, now: Now) {
        if let Some(index) = shard.checked_sub(1) {
            while let Some(orders) = self.orders[index].pop(now.monotonic) {
                self.outposts[index].carry_out(&orders, now);
            }
            return;
        }
        while let Some(outcome) = pop_due(&mut self.outcomes, now.monotonic) {
            outcome.tell(&mut self.engine, now);
        }
        let (due, rest) =
            std::mem::take(&mut self.passwords).into_iter().partition(|&(at, _)| at <= now.monotonic);
        self.passwords = rest;
        for (_, task) in due {
            self.compare(task, now);
        }
        for index in 0..self.reports.len() {
            while let Some(reports) = self.reports[index].pop(now.monotonic) {
                self.engine.take_reports(index as u8 + 1, &reports, now);
            }
        }
        if self.is_told_to_stop && self.drain_until.is_none() {
            self.engine.shutdown(now);
            self.drain_until = Some(now.monotonic + self.drain_timeout);
        }
    }

    /// A hash is the password in clear.
    fn compare(&mut self, PasswordTask { conn, serial, password, against }: PasswordTask, now: Now) {
        let hash = hash(&password);
        let outcome = match &against {
            None => PasswordOutcome::Hashed(hash),
            Some(against) if *against == hash => PasswordOutcome::Right { upgraded: None },
            Some(_) => PasswordOutcome::Wrong,
        };
        let place = self.shards.iter().find_map(|shard| shard.by_id.get(&conn).copied());
        let before = self.engine.metrics().wrong_passwords;
        self.engine.password_compared(conn, serial, outcome, now);
        if self.engine.metrics().wrong_passwords > before
            && let Some((place, against)) = place.zip(against)
        {
            self.taps.push(Tap::Wrong(place, against));
        }
    }

    fn take_events(&mut self, shard: usize, net: &Net, now: Now) {
        for conn in std::mem::take(&mut self.shards[shard].writable) {
            if let Some(id) = net.conns[conn].id.filter(|_| net.conns[conn].is_open) {
                self.fanout_mut(shard).writable(id);
            }
        }
        if self.shards[shard].datagrams_full_until.is_some_and(|until| until <= now.monotonic) {
            self.shards[shard].datagrams_full_until = None;
            self.fanout_mut(shard).datagrams_writable();
        }
    }

    fn accept(&mut self, shard: usize, net: &mut Net, now: Now) {
        if self.is_busy(shard) {
            return;
        }
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            let Some(conn) = self.shards[shard].waiting.pop_front() else { break };
            net.conns[conn].is_waiting = false;
            let (dialect, ip) = (net.conns[conn].dialect, net.conns[conn].ip);
            let id = match shard.checked_sub(1) {
                _ if self.drain_until.is_some() => Err(Refused::ServerFull),
                None => self.engine.connected(dialect, ip, ListenerId(0), now),
                Some(index) => self.outposts[index].connected(dialect, ip, ListenerId(0)),
            };
            let id = match id {
                Ok(id) => id,
                Err(refused) => {
                    refuse(conn, refused, net, now);
                    net.server_drops(conn, now.monotonic);
                    continue;
                }
            };
            net.conns[conn].id = Some(id);
            net.conns[conn].is_open = true;
            _ = self.shards[shard].by_id.insert(id, conn);
            self.queue_read(conn, net);
        }
    }

    fn read_datagrams(&mut self, shard: usize, now: Now) {
        for _ in 0..64 {
            if !self.takes_datagrams(shard) {
                return;
            }
            let Some((from, bytes)) = self.shards[shard].datagrams.pop_front() else { return };
            let path = DatagramPath { peer: from, local: None };
            match shard.checked_sub(1) {
                None => self.engine.datagram(path, &bytes, now),
                Some(index) => self.outposts[index].datagram(path, &bytes),
            }
        }
    }

    fn turn_bytes(&self, shard: usize) -> usize {
        // What is put into outboxes on other shards is bounded by what they are sent.
        if shard == 0 { self.engine.turn_bytes() } else { 0 }
    }

    fn read(&mut self, shard: usize, net: &mut Net, now: Now) {
        let mut bytes = 0;
        let before = self.turn_bytes(shard);
        for _ in 0..self.shards[shard].unread.len().min(READS_PER_TURN_MAX) {
            let has_caused = self.turn_bytes(shard) - before;
            let has_enough = bytes >= READ_BYTES_PER_TURN_MAX || has_caused >= OUTBOX_TURN_BYTES_MAX;
            if has_enough || self.is_busy(shard) {
                break;
            }
            let Some(id) = self.shards[shard].unread.pop() else { break };
            // It may be gone.
            let Some(&conn) = self.shards[shard].by_id.get(&id) else { continue };
            net.conns[conn].is_queued = false;
            if net.conns[conn].id != Some(id) || !net.conns[conn].is_open {
                continue;
            }
            for _ in 0..READS_PER_VISIT_MAX {
                if !self.wants_input(shard, id) {
                    break;
                }
                let read = self.read_once(shard, conn, id, net, now);
                bytes += read;
                if read < self.read_bytes {
                    break;
                }
            }
            self.queue_read(conn, net);
        }
    }

    fn read_once(&mut self, shard: usize, conn: usize, id: ConnId, net: &mut Net, now: Now) -> usize {
        let state = &mut net.conns[conn];
        if state.up.end == End::Reset {
            state.has_ended = true;
            self.shards[shard].dead.push((conn, CloseReason::PeerReset));
            return 0;
        }
        let bytes = state.up.read(self.read_bytes);
        match (bytes.is_empty(), shard.checked_sub(1)) {
            (true, _) if state.up.end == End::Open => {}
            (true, outpost) => {
                state.has_ended = true;
                match outpost {
                    None => self.engine.peer_closed(id, now),
                    Some(index) => self.outposts[index].peer_closed(id),
                }
            }
            (false, None) => self.engine.received(id, &bytes, now),
            (false, Some(index)) => self.outposts[index].received(id, &bytes),
        }
        bytes.len()
    }

    fn pass_on(&mut self, shard: usize, now: Now) {
        let range = match shard.checked_sub(1) {
            None => 0..self.outposts.len(),
            Some(index) => index..index + 1,
        };
        for index in range {
            let delay = Duration::from_micros(1 + self.dice.below(self.link_micros) as u64);
            let at = now.monotonic + delay;
            if shard == 0 {
                let orders = self.engine.orders_mut(index as u8 + 1);
                if !orders.is_empty() {
                    self.orders[index].push(at, std::mem::take(orders));
                }
                let size = self.orders[index].batches.iter().map(|(_, orders)| orders.size()).sum();
                self.engine.note_on_its_way(index as u8 + 1, size);
            } else {
                let reports = self.outposts[index].reports_mut();
                if !reports.is_empty() {
                    self.reports[index].push(at, std::mem::take(reports));
                }
                let size = self.reports[index].batches.iter().map(|(_, reports)| reports.size()).sum();
                self.outposts[index].note_on_its_way(size);
            }
        }
    }

    fn hand_out_ops(&mut self, now: Now) {
        let at = now.monotonic + Duration::from_micros(1 + self.dice.below(50) as u64);
        let ops = self.engine.take_ops();
        if !ops.is_empty() {
            self.taps.push(Tap::Ops(ops.clone()));
            self.keeper.tasks.push_back((at, Task::Ops(ops)));
        }
        while let Some(task) = self.engine.next_past_task() {
            self.keeper.tasks.push_back((at, Task::Past(task)));
        }
    }

    fn hand_out_passwords(&mut self, now: Now) {
        while let Some(task) = self.engine.next_password_task() {
            if self.is_short_of_hashers && self.dice.below(10) == 0 {
                self.engine.password_refused(&task);
                continue;
            }
            let at = now.monotonic + Duration::from_micros(500 + self.dice.below(60_000) as u64);
            self.passwords.push_back((at, task));
        }
    }

    fn flush(&mut self, shard: usize, net: &mut Net, now: Now) {
        for _ in 0..WRITES_PER_TURN_MAX {
            let Some(id) = self.fanout_mut(shard).next_to_flush() else { return };
            if let Some(DatagramPath { peer: to, .. }) = self.fanout(shard).path_of(id) {
                let datagram = self.gathered(shard, id);
                self.fanout_mut(shard).wrote(id, datagram.len(), datagram.len());
                if !datagram.is_empty() {
                    _ = net.datagram(false, now.monotonic, to, &datagram);
                    self.taps.push(Tap::Datagram(to, datagram));
                }
                continue;
            }
            let Some(&conn) = self.shards[shard].by_id.get(&id) else { continue };
            let offered = self.gathered(shard, id);
            let state = &net.conns[conn];
            if state.up.end == End::Reset {
                self.shards[shard].dead.push((conn, CloseReason::PeerReset));
                continue;
            }
            let taken = offered.len().min(state.down.space());
            net.conns[conn].is_blocked = taken < offered.len();
            if taken > 0 {
                net.server_sends(conn, now.monotonic, &offered[..taken]);
            }
            self.fanout_mut(shard).wrote(id, taken, offered.len());
        }
    }

    fn gathered(&self, shard: usize, id: ConnId) -> Vec<u8> {
        let mut slices = Gather::new();
        self.fanout(shard).gather(id, &mut slices);
        slices.iter().flat_map(|slice| slice.to_vec()).collect()
    }

    fn reap(&mut self, shard: usize, net: &mut Net, now: Now) {
        if let Some(index) = shard.checked_sub(1) {
            while let Some((id, refused)) = self.outposts[index].next_refused() {
                if let Some(&conn) = self.shards[shard].by_id.get(&id) {
                    refuse(conn, refused, net, now);
                    self.shards[shard].dead.push((conn, CloseReason::ServerFull));
                }
            }
        }
        while let Some((id, close)) = self.fanout_mut(shard).next_close() {
            let Some(&conn) = self.shards[shard].by_id.get(&id) else { continue };
            if close == Close::Now || net.conns[conn].has_ended {
                self.shards[shard].dead.push((conn, CloseReason::PeerClosed));
            } else {
                net.server_ends(conn, now.monotonic);
                self.queue_read(conn, net);
            }
        }
        while let Some((conn, reason)) = self.shards[shard].dead.pop() {
            let Some(id) = net.conns[conn].id else { continue };
            if self.shards[shard].by_id.remove(&id).is_none() {
                continue;
            }
            let reason = match shard.checked_sub(1) {
                None => self.engine.disconnected(id, reason, now),
                Some(index) => {
                    self.outposts[index].disconnected(id, reason);
                    self.engine.closing_reason(id).unwrap_or(reason)
                }
            };
            net.server_drops(conn, now.monotonic);
            self.taps.push(Tap::Closed(conn, reason));
        }
        loop {
            let resumed = match shard.checked_sub(1) {
                None => self.engine.next_resumed(),
                Some(index) => self.outposts[index].next_resumed(),
            };
            let Some(id) = resumed else { break };
            if let Some(&conn) = self.shards[shard].by_id.get(&id) {
                self.queue_read(conn, net);
            }
        }
    }
}
