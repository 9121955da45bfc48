//! A world in which a script is played: a server, clients, the network between them, a disk and a clock.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use parlance::archive::{Format, Material};
use parlance::chat::{Change, CloseReason, Kept, Now, Op, OpId, UnixMillis};
use parlance::limits::UNUSED_ACCOUNT_DAYS;
use parlance::store::{Options, Store, StoreError, jsonl};
use parlance::wire::ucrp::Delivery;

use crate::book::{Book, Counts, password_in};
use crate::client::{Around, Client, account_name, name_in};
use crate::dice::Dice;
use crate::disk::SimDisk;
use crate::net::{End, Net, Weather, take_arrived};
use crate::script::{Act, Fault, Kind, ROOMS, Script, Step, What, held_bytes_max};
use crate::server::{Found, Server, SetUp, Tap, hash};
use crate::trace;

/// 2026-01-01, in milliseconds.
const EPOCH_MILLIS: u64 = 1_767_225_600_000;
const DIRECTORY: &str = "/data";
/// Rounds without time passing, after which nobody believes that it will.
const ROUNDS_MAX: u32 = 200_000;
/// Seconds in which everything must come to rest once nothing goes wrong any more.
const REST_SECONDS_MAX: u64 = 3600;
/// Seconds in which whoever may send 8192 bytes a second has paid for all that is read in a visit.
const PAID_SECONDS_MAX: u64 = 10;

/// Days after which no account is unused: the wall clock may have been set back by some.
const MONTHS_DAYS: u64 = UNUSED_ACCOUNT_DAYS + 15;

/// Conversations that are read in an audit: fewer than a session may ask for at once.
const AUDITED_MAX: usize = 10;

/// What comes to an end by itself.
#[derive(Clone, Copy, Debug)]
enum Until {
    DiskFails,
    DiskIsSlow,
    LinksAreSlow,
    HashersAreBusy,
    /// The server is down.
    Down,
}

struct World {
    script: Script,
    clock: Rc<Cell<Now>>,
    /// What was added to the wall clock.
    set_millis: i64,
    dice: Dice,
    net: Net,
    disk: SimDisk,
    server: Option<Server>,
    /// Of servers before this one: messages that were not kept.
    unkept_before: u64,
    clients: Vec<Client>,
    book: Book,
    opened: Vec<usize>,
    untils: Vec<(Duration, Until)>,
    /// The server is stopping, to be started again with so many messages imported.
    importing: Option<usize>,
    rounds: u32,
    ticks: u64,
    /// Looks at the book.
    watch: Box<dyn FnMut(&Book)>,
}

/// What a script came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Played {
    pub(crate) counts: Counts,
    pub(crate) simulated: Duration,
}

/// Plays a script, and panics where something happens that must not.
pub(crate) fn play(script: &Script) -> Played {
    play_watched(script, |_| ())
}

/// The same, with somebody who looks at the book as often as something happens.
pub(crate) fn play_watched(script: &Script, watch: impl FnMut(&Book) + 'static) -> Played {
    let mut world = World::new(script.clone());
    world.watch = Box::new(watch);
    world.starts();
    for step in script.steps.clone() {
        let Step { after, what } = step;
        world.advance(after);
        trace!("-- {what}");
        world.does(&what);
        world.settle_opened();
    }
    world.calms();
    world.rests();
    world.agrees();
    world.rests();
    world.check_at_rest();
    world.months_pass();
    world.audits();
    world.stops_for_good();
    let counts = world.book.counts;
    Played { counts, simulated: world.now() }
}

impl World {
    fn new(script: Script) -> Self {
        let seed = script.seed;
        let kinds = script.clients.iter().enumerate();
        let clients = kinds.map(|(index, &kind)| Client::new(index, kind, seed)).collect();
        let now = Now { monotonic: Duration::from_secs(1), unix: UnixMillis(EPOCH_MILLIS) };
        trace::set_time(now.monotonic);
        Self {
            net: Net::new(seed ^ 1, script.weather, script.capacities),
            disk: SimDisk::new(seed ^ 2),
            script,
            clock: Rc::new(Cell::new(now)),
            set_millis: 0,
            dice: Dice(seed ^ 3),
            server: None,
            unkept_before: 0,
            clients,
            book: Book::default(),
            opened: Vec::new(),
            untils: Vec::new(),
            importing: None,
            rounds: 0,
            ticks: 0,
            watch: Box::new(|_| ()),
        }
    }

    fn now(&self) -> Duration {
        self.clock.get().monotonic
    }

    fn sets_clock(&mut self, monotonic: Duration) {
        let unix = (EPOCH_MILLIS + monotonic.as_millis() as u64).saturating_add_signed(self.set_millis);
        self.clock.set(Now { monotonic, unix: UnixMillis(unix) });
        trace::set_time(monotonic);
        self.book.now = monotonic;
    }

    fn open_store(&self) -> Result<Box<dyn Store>, StoreError> {
        jsonl::open_on(std::sync::Arc::new(self.disk.clone()), Path::new(DIRECTORY), &Options::default())
    }

    fn is_disk_failing(&self) -> bool {
        self.untils.iter().any(|(_, until)| matches!(until, Until::DiskFails))
    }

    /// Starts the server, and looks at what it found.
    fn starts(&mut self) {
        let seed = self.dice.next();
        let started = self.open_store().and_then(|mut store| {
            self.book.compare_at_start(&mut *store)?;
            Server::start(&self.script.set_up, store, self.disk.clone(), &self.clock, seed)
        });
        match started {
            Ok((server, Found { kept, last })) => {
                trace!("the server starts: {} parts, last {last:?}", kept.len());
                self.book.restarts(&kept, last);
                self.server = Some(server);
                self.untils.retain(|(_, until)| !matches!(until, Until::LinksAreSlow));
            }
            Err(error) => {
                assert!(self.is_disk_failing(), "the server does not start: {error}");
                trace!("the server does not start: {error}");
                self.untils.push((self.now() + Duration::from_secs(1), Until::Down));
            }
        }
    }

    fn around<'a>(
        net: &'a mut Net,
        book: &'a mut Book,
        opened: &'a mut Vec<usize>,
        now: Duration,
        set_up: &SetUp,
    ) -> Around<'a> {
        let SetUp { settings, on_join, .. } = set_up;
        Around {
            net,
            book,
            now,
            shards: settings.shards,
            session_messages: set_up.session_messages(),
            shows_past: *on_join > 0,
            opened,
        }
    }

    fn with_client<T>(&mut self, client: usize, act: impl FnOnce(&mut Client, &mut Around<'_>) -> T) -> T {
        let now = self.now();
        let Self { net, book, opened, clients, script, .. } = self;
        act(&mut clients[client], &mut Self::around(net, book, opened, now, &script.set_up))
    }

    fn does(&mut self, what: &What) {
        match what {
            What::Act(client, act) => {
                let clients = self.script.clients.len();
                self.with_client(*client, |client, around| client.acts(act, clients, around));
            }
            What::Fault(fault) => self.goes_wrong(fault),
        }
    }

    fn lasts(&mut self, lasts: Duration, until: Until) {
        self.untils.push((self.now() + lasts, until));
    }

    fn goes_wrong(&mut self, fault: &Fault) {
        // The server takes a store for one that fails, too, if that takes too long.
        let is_of_disk =
            matches!(fault, Fault::DiskFails(..) | Fault::DiskIsSlow { .. } | Fault::Crash(Some(_)));
        self.book.has_disk_failed |= is_of_disk;
        match *fault {
            Fault::Crash(None) => self.crashes(true),
            Fault::Crash(Some(changes)) => self.disk.will_lose_power(changes),
            Fault::Kill => self.crashes(false),
            Fault::Restart { imported } => {
                if let Some(server) = &mut self.server {
                    self.importing = Some(imported);
                    server.stops();
                }
            }
            Fault::ClockIsSet(millis) => {
                self.set_millis = (self.set_millis + millis).max(-1_000_000_000);
                self.sets_clock(self.now());
            }
            Fault::DaysPass(days) => self.days_pass(days),
            Fault::DiskFails(failing, lasts) => {
                self.disk.fails(Some(failing));
                self.lasts(lasts, Until::DiskFails);
            }
            Fault::DiskIsSlow { sync, lasts } => {
                if let Some(server) = &mut self.server {
                    server.sync_micros = sync.as_micros() as u64;
                    self.lasts(lasts, Until::DiskIsSlow);
                }
            }
            Fault::ShardStalls(shard, lasts) => {
                let until = self.now() + lasts;
                if let Some(server) = &mut self.server {
                    server.puts_aside(shard, until);
                }
            }
            Fault::LinksAreSlow(lasts) => {
                if let Some(server) = &mut self.server {
                    server.link_micros = 300_000;
                    self.lasts(lasts, Until::LinksAreSlow);
                }
            }
            Fault::DatagramsAreFull(lasts) => {
                let until = self.now() + lasts;
                if let Some(server) = &mut self.server {
                    server.datagrams_are_full(until);
                }
            }
            Fault::Weather { delay_micros, lost_percent } => {
                self.net.weather = Weather { delay_micros, lost_percent };
            }
            Fault::HashersAreBusy(lasts) => {
                if let Some(server) = &mut self.server {
                    server.is_short_of_hashers = true;
                    self.lasts(lasts, Until::HashersAreBusy);
                }
            }
        }
    }

    fn is_over(&mut self, until: Until) {
        match (until, &mut self.server) {
            (Until::DiskFails, _) => self.disk.fails(None),
            (Until::Down, None) => self.starts(),
            (Until::DiskIsSlow, Some(server)) => server.sync_micros = 300,
            (Until::LinksAreSlow, Some(server)) => server.link_micros = 20,
            (Until::HashersAreBusy, Some(server)) => server.is_short_of_hashers = false,
            (Until::Down, Some(_))
            | (Until::DiskIsSlow | Until::LinksAreSlow | Until::HashersAreBusy, None) => {}
        }
    }

    /// The server is gone at once; with the power, what was not synced is as well.
    fn crashes(&mut self, with_the_power: bool) {
        let Some(mut server) = self.server.take() else { return };
        trace!("-- the server crashes, {}", if with_the_power { "with the power" } else { "killed" });
        self.book.counts.crashes += 1;
        self.importing = None;
        self.take_taps(&mut server);
        // Some may have been seen.
        self.book.changes(server.unseen_ops());
        self.is_gone(&server);
        if with_the_power {
            self.disk.loses_power();
            self.untils.retain(|(_, until)| !matches!(until, Until::DiskFails));
        }
        let millis = 100 + self.dice.below(5000) as u64;
        self.lasts(Duration::from_millis(millis), Until::Down);
    }

    /// A server is gone, with its ends of all streams.
    fn is_gone(&mut self, server: &Server) {
        self.unkept_before += server.metrics().history_unkept;
        self.book.forgets_seats();
        let now = self.now();
        for conn in self.net.live.clone() {
            if self.net.conns[conn].is_open || self.net.conns[conn].is_waiting {
                (self.net.conns[conn].is_open, self.net.conns[conn].is_waiting) = (false, false);
                self.net.server_resets(conn, now);
            }
        }
    }

    /// What is waiting to be accepted is told the server; without one nobody listens.
    fn settle_opened(&mut self) {
        for conn in std::mem::take(&mut self.opened) {
            if let Some(server) = &mut self.server {
                server.connects(conn, &mut self.net);
            } else {
                self.net.conns[conn].is_waiting = false;
                let now = self.clock.get().monotonic;
                self.net.server_resets(conn, now);
            }
        }
    }

    fn next_at(&mut self) -> Option<Duration> {
        let now = self.now();
        let stalls = self.clients.iter().filter(|client| client.stalls_until > now && client.conn.is_some());
        let stalls = stalls.map(|client| client.stalls_until).min();
        let untils = self.untils.iter().map(|&(at, _)| at).min();
        let server = self.server.as_mut().and_then(|server| server.next_at(now));
        [self.net.next_at(), server, stalls, untils].into_iter().flatten().min()
    }

    /// Time passes, and what is due in it happens.
    fn advance(&mut self, time: Duration) {
        let until = self.now() + time;
        while let Some(at) = self.next_at()
            && at <= until
        {
            if at > self.now() {
                self.rounds = 0;
                self.sets_clock(at);
            }
            self.rounds += 1;
            assert!(self.rounds < ROUNDS_MAX, "time does not pass");
            self.tick();
        }
        self.sets_clock(until);
    }

    fn tick(&mut self) {
        self.ticks += 1;
        let now = self.now();
        let mut due: Vec<Until> = Vec::new();
        self.untils.retain(|&(at, until)| {
            if at <= now {
                due.push(until);
            }
            at > now
        });
        // A server that starts at this moment finds the rest of it over.
        due.sort_by_key(|until| matches!(until, Until::Down));
        for until in due {
            self.is_over(until);
        }
        self.delivers(now);
        self.settle_opened();
        if let Some(mut server) = self.server.take() {
            server.go_on(&mut self.net, self.clock.get());
            self.book.unkept_max = self.unkept_before + server.history_unkept();
            self.take_taps(&mut server);
            (self.watch)(&self.book);
            let is_done = server.is_done(now);
            if self.ticks.is_multiple_of(64) {
                server.check_invariants();
                let peers = self.net.live.len() + 64;
                let most = held_bytes_max(&self.script.set_up.settings, peers);
                assert!(server.held_bytes() <= most, "{} bytes are held for {peers}", server.held_bytes());
            }
            self.server = Some(server);
            if self.disk.has_lost_power() {
                self.crashes(true);
            } else if is_done {
                self.is_stopped();
            }
        }
        if self.ticks.is_multiple_of(256) {
            self.net.forget();
        }
    }

    /// The server has come to its end by itself.
    fn is_stopped(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        server.finish(self.clock.get());
        self.take_taps(&mut server);
        self.is_gone(&server);
        drop(server);
        trace!("the server has stopped");
        if self.disk.has_lost_power() {
            self.disk.loses_power();
        }
        if let Some(imported) = self.importing.take() {
            self.imports(imported);
            self.lasts(Duration::from_millis(200), Until::Down);
        }
    }

    /// While no server has the store open, somebody imports messages into it.
    fn imports(&mut self, count: usize) {
        let Ok(mut store) = self.open_store() else { return };
        let Ok(last) = store.load(&mut |_| {}) else { return };
        // What was handed over and not kept is not there.
        self.book.is_cut(last);
        let at = self.clock.get().unix.0.max(last.map_or(0, |last| last.at().0)) + 1;
        let Some(mut ops) = self.imported_accounts(&mut *store, UnixMillis(at), count) else { return };
        let first = at.max(ops.last().map_or(0, |op| op.id.at().0 + 1));
        ops.extend((0..count).map(|index| {
            let (room, sender) = (ROOMS[index % 3].into(), "imported".into());
            let change = Change::Said { room, sender, text: format!("imported {index}").into() };
            Op::new(OpId::new(UnixMillis(first + index as u64), 0, self.dice.next()), change)
        }));
        let count = ops.len();
        let is_kept = !ops.is_empty() && store.commit(&ops).is_ok();
        drop(store);
        if is_kept {
            self.book.is_importing = true;
            self.book.changes(ops);
            self.book.is_importing = false;
        }
        if self.disk.has_lost_power() {
            self.disk.loses_power();
        } else if is_kept {
            self.book.commits(count);
        }
    }

    /// What an import of accounts comes to: one for ten messages.
    fn imported_accounts(&mut self, store: &mut dyn Store, at: UnixMillis, count: usize) -> Option<Vec<Op>> {
        let names = (0..count.div_ceil(10)).map(account_name);
        let accounts: serde_json::Map<_, _> = names
            .map(|name| {
                let password = hash(&self.book.password(&name));
                (name, password.as_str().to_owned().into())
            })
            .collect();
        let text = serde_json::to_string(&accounts).expect("texts");
        let mut material = Material::new();
        material.read("accounts.json", text.as_bytes(), Format::Accounts).expect("it is an object");
        let dice = &mut self.dice;
        Some(material.plan(store, at, &mut || dice.next()).ok()?.ops)
    }

    fn take_taps(&mut self, server: &mut Server) {
        for tap in std::mem::take(&mut server.taps) {
            match tap {
                Tap::Ops(ops) => self.book.changes(ops),
                Tap::Committed(count) => self.book.commits(count),
                Tap::Datagram(to, bytes) => {
                    let owner = self.clients.iter().find(|client| client.address() == to);
                    let owner = owner.unwrap_or_else(|| panic!("a datagram goes to {to}, where nobody is"));
                    if let Ok(Delivery::Relay { sender, text }) = Delivery::decode(&bytes)
                        && sender != "server"
                        && !sender.ends_with(" (private)")
                    {
                        self.book.goes_to_seat(to, &owner.seat.rooms, sender, text);
                    }
                }
                Tap::Closed(conn, reason) => self.is_closed(conn, reason),
                Tap::Wrong(conn, against) => {
                    let name = name_in(password_in(&against)).to_owned();
                    self.book.guesses.is_wrong(self.net.conns[conn].client, &name, self.now());
                }
            }
        }
    }

    /// A connection that its client neither ended nor broke has another reason to be closed.
    fn is_closed(&mut self, conn: usize, reason: CloseReason) {
        trace!("stream {conn} is closed: {}", reason.name());
        self.book.counts.closed += 1;
        let state = &self.net.conns[conn];
        let client = &self.clients[state.client];
        let is_its_doing = client.conn != Some(conn) || client.is_leaving || state.up.end != End::Open;
        let is_peers = matches!(reason, CloseReason::PeerClosed | CloseReason::PeerReset);
        assert!(is_its_doing || !is_peers, "stream {conn} is closed for {}", reason.name());
    }

    fn delivers(&mut self, now: Duration) {
        for conn in self.net.live.clone() {
            if self.net.conns[conn].up.deliver(now)
                && let Some(server) = &mut self.server
            {
                server.arrives(conn, &mut self.net);
            }
            self.net.conns[conn].down.deliver(now);
        }
        for client in 0..self.clients.len() {
            let Some(conn) = self.clients[client].conn else { continue };
            let down = &self.net.conns[conn].down;
            if down.has_arrived() > 0 || down.end != End::Open {
                self.reads(client, conn);
            }
        }
        for datagram in take_arrived(&mut self.net.to_server, now) {
            if let Some(server) = &mut self.server {
                let shard = self.dice.below(server.shards());
                server.datagram(datagram.peer, datagram.bytes, shard);
            }
        }
        for datagram in take_arrived(&mut self.net.to_clients, now) {
            let client = self.clients.iter().position(|client| client.address() == datagram.peer);
            if let Some(client) = client {
                self.with_client(client, |client, around| client.hears_datagram(&datagram.bytes, around));
            }
        }
    }

    fn reads(&mut self, client: usize, conn: usize) {
        let had_name = self.clients[client].name.clone();
        while self.with_client(client, Client::reads) {
            if let Some(server) = &mut self.server {
                server.has_space(conn, &mut self.net);
            }
        }
        if self.clients[client].name != had_name {
            self.check_names(client);
        }
    }

    fn is_up(&self, client: &Client) -> bool {
        let Some(conn) = client.conn.map(|conn| &self.net.conns[conn]) else { return false };
        let server = self.server.as_ref();
        conn.is_open && conn.id.is_some_and(|id| server.is_some_and(|server| server.is_up(id)))
    }

    /// A client was told that it has a name: nobody else has.
    fn check_names(&self, client: usize) {
        let Some(name) = &self.clients[client].name else { return };
        for other in &self.clients {
            let is_same = other.name.as_ref().is_some_and(|other| other.eq_ignore_ascii_case(name));
            let are_both_up = self.is_up(other) && self.is_up(&self.clients[client]);
            assert!(
                !is_same || other.index == client || !are_both_up,
                "clients {client} and {} both have the name {name}",
                other.index
            );
        }
    }

    /// Nothing goes wrong any more, and nobody dawdles.
    fn calms(&mut self) {
        trace!("-- all is calm");
        self.net.weather = Weather::CALM;
        let now = self.now();
        for (at, _) in &mut self.untils {
            *at = now;
        }
        for client in &mut self.clients {
            client.stalls_until = Duration::ZERO;
            client.is_careful = true;
        }
        self.disk.does_not_lose_power();
        if let Some(server) = &mut self.server {
            server.calms(now);
        }
        self.advance(Duration::from_secs(15));
        for client in 0..self.clients.len() {
            let clients = self.script.clients.len();
            let act = match self.clients[client].kind {
                Kind::Seat => Act::Shake { makes: false, room: 0 },
                Kind::Line | Kind::Slash | Kind::Gob | Kind::Typed => Act::Connect { name: 0 },
            };
            self.with_client(client, |client, around| client.acts(&act, clients, around));
            self.settle_opened();
        }
    }

    /// Waits until nothing is left to be done.
    fn rests(&mut self) {
        // A session that has sent more than it may is read from again when it has paid for that: until then all is quiet.
        let quiet_wanted = if self.script.set_up.settings.exempt.is_empty() { PAID_SECONDS_MAX } else { 1 };
        let mut quiet = 0;
        for _ in 0..REST_SECONDS_MAX {
            self.advance(Duration::from_secs(1));
            let is_quiet = self.net.next_at().is_none() && self.opened.is_empty();
            let is_done = self.server.as_mut().is_some_and(Server::is_at_rest);
            let conns = self.net.live.iter().map(|&conn| &self.net.conns[conn]);
            let is_read = conns.filter(|conn| conn.is_open).all(|conn| conn.up.has_arrived() == 0);
            quiet = if is_quiet && is_done && is_read { quiet + 1 } else { 0 };
            if quiet >= quiet_wanted {
                return;
            }
        }
        let server = self.server.as_mut();
        panic!(
            "it does not come to rest: net {:?}, now {:?}, server {:?}",
            self.net.next_at(),
            self.clock.get().monotonic,
            server.map(|server| (server.held_bytes(), server.waiting_ops(), server.is_at_rest()))
        );
    }

    /// Everybody says something, which everybody must see.
    fn agrees(&mut self) {
        trace!("-- everybody says something");
        for client in 0..self.clients.len() {
            let clients = self.script.clients.len();
            for act in [Act::Say { count: 2, bytes: 10 }, Act::Ask] {
                self.with_client(client, |client, around| client.acts(&act, clients, around));
            }
        }
    }

    fn check_at_rest(&mut self) {
        for client in 0..self.clients.len() {
            self.with_client(client, Client::check_at_rest);
        }
        let server = self.server.as_ref().expect("it is up");
        server.check_invariants();
        assert_eq!(server.fanout_bytes(), 0, "everything is delivered");
        assert_eq!(server.waiting_ops().0, 0, "everything is kept");
    }

    /// Days pass without an act of a client.
    fn days_pass(&mut self, days: u64) {
        for _ in 0..days {
            // It may have been started anew.
            self.server.iter_mut().for_each(|server| server.set_lazy(true));
            self.advance(Duration::from_secs(24 * 60 * 60));
        }
        self.server.iter_mut().for_each(|server| server.set_lazy(false));
    }

    /// Enough time passes to end all accounts without use. The book checks each deletion, so that the others stay.
    fn months_pass(&mut self) {
        trace!("-- months pass");
        self.days_pass(MONTHS_DAYS);
        let old = self.clock.get().unix.0 - (UNUSED_ACCOUNT_DAYS + 1) * 24 * 60 * 60 * 1000;
        for part in self.book.kept() {
            if let Kept::Account { name, id: Some(id), is_unused: true, .. } = part {
                assert!(id.at().0 > old, "{name} is there after months without use");
            }
        }
    }

    /// All accounts are shown what a plain model has of them.
    fn audits(&mut self) {
        let kept = self.book.kept();
        let accounts = kept.iter().filter_map(|part| match part {
            Kept::Account { name, .. } => Some(name.to_string()),
            Kept::Letter(_) | Kept::Seat { .. } => None,
        });
        for (index, account) in accounts.collect::<Vec<_>>().into_iter().enumerate() {
            let kept = self.book.kept();
            let auditor = self.new_auditor(Kind::Typed);
            self.with_client(auditor, |client, around| client.audits(&account, around));
            self.settle_opened();
            self.rests();
            let audit = self.clients[auditor].typed.audit.take().expect("it was put there");
            if self.clients[auditor].conn.is_none() {
                // The server is full.
                continue;
            }
            let names: Vec<_> = Client::audited().collect();
            self.book.counts.letters_compared += crate::audit::check(&account, &audit, &kept, &names);
            self.with_client(auditor, |client, around| client.acts(&Act::Reset, 0, around));
            self.advance(Duration::from_secs(1));
            // The other half of the scripts has the other half of the accounts read theirs.
            if (self.script.seed + index as u64).is_multiple_of(2) {
                self.audits_in_line(&account);
            }
        }
    }

    /// One who stands behind the clients of the script.
    fn new_auditor(&mut self, kind: Kind) -> usize {
        let auditor = self.clients.len();
        self.clients.push(Client::new(auditor, kind, self.script.seed));
        self.clients[auditor].is_careful = true;
        auditor
    }

    /// An account reads its mail in line, and clears some of it.
    fn audits_in_line(&mut self, account: &str) {
        let auditor = self.new_auditor(Kind::Line);
        let kept = self.book.kept();
        self.with_client(auditor, |client, around| client.audits_in_line(account, around));
        self.settle_opened();
        self.rests();
        let lines = self.clients[auditor].text.heard.take().unwrap_or_default();
        // The server may be full.
        let Some(told) = crate::audit::told(&lines) else { return };
        crate::audit::check_list(account, &told, &kept);
        let names: Vec<_> = told.list.into_iter().map(|(name, _)| name).take(AUDITED_MAX).collect();
        if !names.is_empty() {
            self.with_client(auditor, |client, around| client.audits_conversations(&names, around));
            self.rests();
            let lines = self.clients[auditor].text.heard.take().unwrap_or_default();
            self.book.counts.letters_compared += crate::audit::check_read(account, &names, &lines, &kept);
            // What was cleared is not there.
            let last = lines.split(|line| line == "OK").nth(names.len() + 1).unwrap_or_default();
            assert!(!last.iter().any(|line| line.starts_with("FROM ")), "{account} has {last:?}");
        }
        self.with_client(auditor, |client, around| client.acts(&Act::Reset, 0, around));
        self.advance(Duration::from_secs(1));
    }

    fn stops_for_good(&mut self) {
        self.importing = None;
        if let Some(server) = &mut self.server {
            server.stops();
        }
        self.advance(Duration::from_secs(30));
        assert!(self.server.is_none(), "the server does not stop");
        let mut store = self.open_store().unwrap_or_else(|error| panic!("{error}"));
        let mut kept = Vec::new();
        let last = store.load(&mut |part| kept.push(part)).expect("the disk is well");
        self.book.restarts(&kept, last);
        self.book.compare_rooms(&mut *store);
        let findings = store.check().expect("the disk is well");
        assert!(findings.is_empty(), "the store is damaged: {findings:?}");
        // Its disk is a real one, so that it is slower.
        if self.script.seed.is_multiple_of(8) {
            self.book.compare_in_sqlite();
        }
    }
}
