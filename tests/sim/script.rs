//! What happens: who takes part, what each does and when, and what goes wrong. Dealt from a seed, and nothing else.
//!
//! Each step stands for itself: one that makes no sense where it comes, because another was left out, does nothing. So a
//! script can be shrunk.

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;
use parlance::engine::Settings;
use parlance::fanout::{LagPolicies, LagPolicy};
use parlance::limits::{LOG_BYTES_LIMIT_MIN, SHARD_BYTES_MIN, UNUSED_ACCOUNT_DAYS};

use crate::dice::Dice;
use crate::disk::Failing;
use crate::net::{NARROW, Weather};
use crate::server::SetUp;

/// What a client speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Line,
    Slash,
    Gob,
    Typed,
    /// TCRP, and then UCRP.
    Seat,
}

/// Rooms that slash users go to; behind them those that TCRP makes.
pub(crate) const ROOMS: [&str; 6] = ["lobby", "attic", "cellar", "den0", "den1", "den2"];
/// Those that TCRP makes begin here.
pub(crate) const DENS: usize = 3;
/// Accounts that the typed clients share.
pub(crate) const ACCOUNTS: usize = 4;
/// Accounts that are made, and then seldom used.
pub(crate) const ONCES: usize = 3;
/// The choice of a name that is one of those.
pub(crate) const ONCE: usize = 4;

/// What a client does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    /// Connects and logs in, with a name of its own, one that others want as well, or that of an account.
    Connect {
        name: usize,
    },
    /// Says so many messages of so many bytes, in one write.
    Say {
        count: usize,
        bytes: usize,
    },
    Join(usize),
    Leave,
    Rename(usize),
    /// Writes to a client, or into an account's mailbox.
    Direct {
        to: usize,
        bytes: usize,
    },
    /// Asks who is there, for rooms, for a sign of life, for the accounts.
    Ask,
    Quit,
    /// Closes its sending side.
    HalfClose,
    Reset,
    /// Does not read for so many milliseconds.
    Stall(usize),
    /// Sends bytes that are no request.
    Garbage(usize),
    /// Typed: a message with a key, or the last one once more.
    Send {
        to: usize,
        bytes: usize,
        again: bool,
    },
    /// Typed: marks what came from an account as read.
    Read(usize),
    /// Typed: deletes one of the messages that it has seen.
    Delete(usize),
    List(usize),
    Subscribe(bool),
    DeleteAccount,
    /// Seats: shakes hands to make a room or to join it.
    Shake {
        makes: bool,
        room: usize,
    },
    Register,
    /// Seats: shows a token that nobody has.
    Guess,
    /// Line and slash, under the name of an account: makes it, gives it another password, deletes it.
    MakeAccount,
    ChangePassword,
    EndAccount,
    /// Lists the mail, or reads that of one.
    Mail,
    ReadMail(Other),
    /// These, and typed: clears the conversation with one.
    ClearMail(Other),
    /// Line, without a name: sends a number of wrong passwords of an account, and then the right one.
    GuessPasswords {
        account: usize,
        count: usize,
    },
}

/// The other side of a conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Other {
    Account(usize),
    /// A client, which is a stranger.
    Client(usize),
}

/// What goes wrong, or is done to the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The power goes: at once, or when the store made so many more changes to the disk.
    Crash(Option<u32>),
    /// The process is killed; what it wrote is in the kernel's hands.
    Kill,
    /// It is stopped and started, and meanwhile so many messages are imported.
    Restart {
        imported: usize,
    },
    /// The wall clock is set by so many milliseconds.
    ClockIsSet(i64),
    DiskFails(Failing, Duration),
    /// Each sync takes so long, for a while.
    DiskIsSlow {
        sync: Duration,
        lasts: Duration,
    },
    /// A shard's thread is put aside.
    ShardStalls(usize, Duration),
    /// What shards have for each other is late, for a while.
    LinksAreSlow(Duration),
    DatagramsAreFull(Duration),
    /// The network becomes worse or better.
    Weather {
        delay_micros: usize,
        lost_percent: usize,
    },
    /// More passwords wait than may, for a while.
    HashersAreBusy(Duration),
    /// Days pass without an act of a client.
    DaysPass(u64),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum What {
    Act(usize, Act),
    Fault(Fault),
}

/// Something happens so long after what happened before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    pub(crate) after: Duration,
    pub(crate) what: What,
}

#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) set_up: SetUp,
    pub(crate) clients: Vec<Kind>,
    pub(crate) weather: Weather,
    /// See [`Net::new`](crate::net::Net::new).
    pub(crate) capacities: &'static [usize],
    pub(crate) steps: Vec<Step>,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Act(client, act) => write!(f, "client {client}: {act:?}"),
            Self::Fault(fault) => write!(f, "fault: {fault:?}"),
        }
    }
}

pub(crate) fn pick<T: Copy>(dice: &mut Dice, from: &[T]) -> T {
    from[dice.below(from.len())]
}

impl Script {
    /// The script of a seed, with a number of steps. A part of them is about accounts.
    pub(crate) fn deal(seed: u64, steps: usize) -> Self {
        let mut script = Self::deal_without_accounts(seed, steps - steps / 8);
        let mut dice = Dice(seed ^ 5);
        if dice.below(3) == 0 {
            let fault = Fault::DaysPass(1 + dice.below(2 * UNUSED_ACCOUNT_DAYS as usize) as u64);
            script.insert(&mut dice, vec![What::Fault(fault)]);
        }
        while script.steps.len() < steps {
            if let Some(race) = deal_race(&mut dice, &script.clients).filter(|_| dice.below(3) == 0) {
                let at = script.clients.len() + dice.below(script.steps.len() - script.clients.len() + 1);
                drop(script.steps.splice(at..at, race));
            } else {
                let acts = deal_account_acts(&mut dice, &script.clients);
                script.insert(&mut dice, acts);
            }
        }
        script
    }

    /// Puts something in that happens one behind the other, with what else happens between.
    fn insert(&mut self, dice: &mut Dice, whats: Vec<What>) {
        let mut at = self.clients.len() + dice.below(self.steps.len() - self.clients.len() + 1);
        for what in whats {
            let after = Duration::from_micros(dice.below(1_000_000) as u64);
            self.steps.insert(at.min(self.steps.len()), Step { after, what });
            at += 1 + dice.below(3);
        }
    }

    /// The script of a seed as it was before accounts had commands.
    pub(crate) fn deal_without_accounts(seed: u64, steps: usize) -> Self {
        let mut dice = Dice(seed);
        let set_up = deal_set_up(&mut dice, seed);
        // One of each, and some more.
        let kinds = [Kind::Slash, Kind::Line, Kind::Gob, Kind::Typed, Kind::Seat];
        let more = 1 + dice.below(10);
        let clients: Vec<_> = kinds.into_iter().chain((0..more).map(|_| pick(&mut dice, &kinds))).collect();
        let weather = deal_weather(&mut dice);
        let calms = dice.below(4) == 0;
        let mut script = Self { seed, set_up, clients, weather, capacities: NARROW, steps: Vec::new() };
        for client in 0..script.clients.len() {
            script.push(&mut dice, What::Act(client, Act::Connect { name: 0 }));
        }
        while script.steps.len() < steps {
            // Some scripts have no faults, so that what goes wrong there is not their doing.
            let what = if !calms && dice.below(20) == 0 {
                What::Fault(deal_fault(&mut dice))
            } else {
                let client = dice.below(script.clients.len());
                What::Act(client, deal_act(&mut dice, script.clients[client], script.clients.len()))
            };
            script.push(&mut dice, what);
        }
        script
    }

    fn push(&mut self, dice: &mut Dice, what: What) {
        let after = match dice.below(20) {
            0..12 => Duration::from_micros(dice.below(20_000) as u64),
            12..18 => Duration::from_micros(dice.below(2_000_000) as u64),
            _ => Duration::from_millis(dice.below(60_000) as u64),
        };
        self.steps.push(Step { after, what });
    }
}

pub(crate) fn deal_set_up(dice: &mut Dice, seed: u64) -> SetUp {
    let policy = pick(dice, &[LagPolicy::Skip, LagPolicy::Skip, LagPolicy::Close]);
    let settings = Settings {
        clients_limit: pick(dice, &[10_000, 10_000, 10_000, 12]),
        // Mostly longer than anybody is silent, so that connections live.
        login_timeout: pick(dice, &[0, 60]),
        line_idle_timeout: pick(dice, &[0, 60, 600]),
        slash_idle_timeout: pick(dice, &[0, 600]),
        ucrp_idle_timeout: pick(dice, &[0, 600]),
        typed_idle_timeout: pick(dice, &[0, 600]),
        gob_idle_timeout: pick(dice, &[0, 600]),
        journal: true,
        promises_wait: true,
        drain_timeout: 3,
        lag: LagPolicies::all(policy),
        log_bytes_limit: pick(dice, &[LOG_BYTES_LIMIT_MIN, 1 << 20]),
        log_total_bytes_limit: pick(dice, &[256 << 10, 64 << 20]),
        seed,
        // Mostly all of them may be as fast, and as many, as they like.
        exempt: vec![],
        shards: pick(dice, &[1, 2, 3]),
        ..Settings::default()
    };
    let mut set_up =
        SetUp { settings, on_join: pick(dice, &[0, 0, 3]), read_bytes: pick(dice, &[16 << 10, 512, 61]) };
    limit(&mut set_up.settings, seed);
    set_up
}

/// The network that all clients are in.
pub(crate) fn everybody() -> Vec<IpNet> {
    vec!["10.0.0.0/8".parse().expect("a network")]
}

/// In some scripts nobody is exempt from the limits, which are narrow. The dice of the rest know nothing of it.
fn limit(settings: &mut Settings, seed: u64) {
    let mut dice = Dice(seed ^ 4);
    if dice.below(4) > 0 {
        settings.exempt = everybody();
        return;
    }
    settings.address_clients_limit = pick(&mut dice, &[1, 2, 256]);
    settings.address_connects_limit = pick(&mut dice, &[0, 1, 20]);
    settings.address_accounts_limit = pick(&mut dice, &[0, 2, 10]);
    settings.address_rooms_limit = pick(&mut dice, &[1, 64]);
    settings.session_rooms_limit = pick(&mut dice, &[1, 2, 32]);
    settings.session_messages_limit = pick(&mut dice, &[0, 2, 10]);
    settings.session_bytes_limit = pick(&mut dice, &[0, 8192, 65536]);
}

fn deal_weather(dice: &mut Dice) -> Weather {
    Weather {
        delay_micros: pick(dice, &[200, 20_000, 400_000, 3_000_000]),
        lost_percent: pick(dice, &[0, 2, 20]),
    }
}

fn deal_duration(dice: &mut Dice, max_millis: usize) -> Duration {
    let bound = if dice.below(4) == 0 { max_millis } else { max_millis / 50 };
    Duration::from_millis(1 + dice.below(bound + 1) as u64)
}

fn deal_fault(dice: &mut Dice) -> Fault {
    match dice.below(20) {
        0 => [Fault::Crash(None), Fault::Kill][dice.below(2)].clone(),
        1 | 2 => Fault::Crash(Some(dice.below(6) as u32)),
        3 => Fault::Restart { imported: if dice.below(2) == 0 { dice.below(50) } else { 0 } },
        4 | 5 => Fault::ClockIsSet(pick(dice, &[-3_600_000, -1000, -1, 1, 1000, 86_400_000])),
        6..9 => {
            let failing = pick(dice, &[Failing::Full, Failing::Sync, Failing::All]);
            Fault::DiskFails(failing, deal_duration(dice, 60_000))
        }
        9 | 10 => {
            Fault::DiskIsSlow { sync: deal_duration(dice, 20_000), lasts: deal_duration(dice, 120_000) }
        }
        11..13 => Fault::ShardStalls(dice.below(3), deal_duration(dice, 5_000)),
        13..15 => Fault::LinksAreSlow(deal_duration(dice, 60_000)),
        15 | 16 => Fault::DatagramsAreFull(deal_duration(dice, 60_000)),
        17 => Fault::HashersAreBusy(deal_duration(dice, 60_000)),
        _ => {
            let Weather { delay_micros, lost_percent } = deal_weather(dice);
            Fault::Weather { delay_micros, lost_percent }
        }
    }
}

/// Bytes of a text: mostly of one that people type, now and then of a long one.
fn deal_bytes(dice: &mut Dice) -> usize {
    if dice.below(5) == 0 { dice.below(3500) } else { dice.below(60) }
}

fn deal_act(dice: &mut Dice, kind: Kind, clients: usize) -> Act {
    let say = |dice: &mut Dice| {
        let count = if dice.below(30) == 0 { 40 + dice.below(200) } else { 1 + dice.below(3) };
        Act::Say { count, bytes: deal_bytes(dice) }
    };
    match (kind, dice.below(100)) {
        (_, 0..6) => Act::Connect { name: if dice.below(3) == 0 { 1 + dice.below(3) } else { 0 } },
        (_, 6) => Act::Reset,
        (_, 7) => Act::HalfClose,
        (_, 8..11) => {
            let most = pick(dice, &[500, 20_000, 300_000]);
            Act::Stall(dice.below(most))
        }
        (_, 11) => Act::Garbage(1 + dice.below(200)),
        (_, 12) => Act::Quit,
        (_, 13..18) => Act::Ask,
        (Kind::Typed, 18..50) => {
            Act::Send { to: dice.below(ACCOUNTS), bytes: deal_bytes(dice), again: dice.below(4) == 0 }
        }
        (Kind::Typed, 50..58) => Act::Direct { to: dice.below(clients + ACCOUNTS), bytes: deal_bytes(dice) },
        (Kind::Typed, 58..68) => Act::Read(dice.below(ACCOUNTS)),
        (Kind::Typed, 68..80) => Act::Delete(dice.below(100)),
        (Kind::Typed, 80..92) => Act::List(dice.below(ACCOUNTS)),
        (Kind::Typed, 92..97) => Act::Subscribe(dice.below(3) > 0),
        (Kind::Typed, 97) => Act::DeleteAccount,
        (Kind::Typed, _) => Act::Connect { name: dice.below(ACCOUNTS) },
        (Kind::Seat, 18..30) => {
            let makes = dice.below(2) == 0;
            let room = if makes { DENS + dice.below(ROOMS.len() - DENS) } else { dice.below(ROOMS.len()) };
            Act::Shake { makes, room }
        }
        (Kind::Seat, 30..45) => Act::Register,
        (Kind::Seat, 46..50) => Act::Guess,
        (Kind::Slash, 18..28) => Act::Join(dice.below(ROOMS.len())),
        (Kind::Slash, 28..31) | (Kind::Seat, 45) => Act::Leave,
        (Kind::Slash, 31..36) => Act::Rename(dice.below(4)),
        (_, 50..60) => Act::Direct { to: dice.below(clients + ACCOUNTS), bytes: deal_bytes(dice) },
        _ => say(dice),
    }
}

fn deal_other(dice: &mut Dice, clients: usize) -> Other {
    if dice.below(2) == 0 { Other::Account(dice.below(ACCOUNTS)) } else { Other::Client(dice.below(clients)) }
}

/// What a client does with an account, one thing after the other.
fn deal_account_acts(dice: &mut Dice, clients: &[Kind]) -> Vec<What> {
    let client = dice.below(clients.len());
    let mut acts = Vec::new();
    match clients[client] {
        Kind::Line | Kind::Slash => {
            acts.push(Act::Reset);
            if clients[client] == Kind::Line && dice.below(3) == 0 {
                let (account, count) = (dice.below(ACCOUNTS), 4 + dice.below(5));
                acts.push(Act::GuessPasswords { account, count });
                return acts.into_iter().map(|act| What::Act(client, act)).collect();
            }
            acts.push(Act::Connect { name: 2 });
            for _ in 0..3 + dice.below(4) {
                acts.push(match dice.below(14) {
                    0..2 => Act::MakeAccount,
                    2 | 3 => Act::ChangePassword,
                    4 => Act::EndAccount,
                    5 | 6 => Act::Mail,
                    7 | 8 => Act::ReadMail(deal_other(dice, clients.len())),
                    9 | 10 => Act::ClearMail(deal_other(dice, clients.len())),
                    11 => Act::Direct { to: dice.below(clients.len() + ACCOUNTS + ONCES), bytes: 10 },
                    _ => Act::Say { count: 1, bytes: 10 },
                });
            }
        }
        Kind::Typed if dice.below(2) == 0 => {
            acts.extend([Act::Reset, Act::Connect { name: ONCE }, Act::Quit, Act::Connect { name: 0 }]);
        }
        Kind::Typed => acts.push(Act::ClearMail(deal_other(dice, clients.len()))),
        Kind::Gob | Kind::Seat => {
            let to = dice.below(clients.len() + ACCOUNTS + ONCES);
            acts.push(Act::Direct { to, bytes: deal_bytes(dice) });
        }
    }
    acts.into_iter().map(|act| What::Act(client, act)).collect()
}

/// One who has an account changes its password or deletes it, while another one logs in to it.
fn deal_race(dice: &mut Dice, clients: &[Kind]) -> Option<Vec<Step>> {
    let is_text = |client: &usize| matches!(clients[*client], Kind::Line | Kind::Slash);
    let owners: Vec<_> = (0..clients.len()).filter(is_text).collect();
    let owner = pick(dice, &owners);
    // Those want the same account.
    let others: Vec<_> =
        owners.into_iter().filter(|&other| other != owner && (other + owner).is_multiple_of(2)).collect();
    let &other = others.get(dice.below(others.len().max(1)))?;
    let change = if dice.below(4) == 0 { Act::EndAccount } else { Act::ChangePassword };
    let acts = [
        (owner, Act::Reset, 0),
        (other, Act::Reset, 0),
        (owner, Act::Connect { name: 2 }, 10),
        (owner, Act::MakeAccount, 2000),
        (owner, change, 2000),
        (other, Act::Connect { name: 2 }, dice.below(100)),
        (other, Act::Say { count: 1, bytes: 10 }, 1000),
    ];
    let step = |(client, act, millis)| Step {
        after: Duration::from_millis(millis as u64),
        what: What::Act(client, act),
    };
    Some(acts.into_iter().map(step).collect())
}

/// Bytes that a server with these settings may hold for so many peers: the sum of the limits.
pub(crate) fn held_bytes_max(settings: &Settings, peers: usize) -> usize {
    use parlance::limits::{
        GOB_FRAME_BYTES_MAX, HELD_TOTAL_BYTES_MAX, OUTBOX_TOTAL_BYTES_MAX, RECEIVE_BUFFER_BYTES,
        TYPED_REQUEST_BYTES_MAX,
    };
    let shards = settings.shards;
    let logs = settings.log_total_bytes_limit.max(shards * SHARD_BYTES_MIN.min(settings.log_total_bytes_limit))
        // Each log may hold the least that one may, whatever the total.
        + shards * ROOMS.len() * 3 * (LOG_BYTES_LIMIT_MIN + (16 << 10));
    let outboxes = OUTBOX_TOTAL_BYTES_MAX.max(shards * SHARD_BYTES_MIN);
    let inboxes = peers * (2 * RECEIVE_BUFFER_BYTES + GOB_FRAME_BYTES_MAX + TYPED_REQUEST_BYTES_MAX);
    logs + outboxes + inboxes + HELD_TOTAL_BYTES_MAX
}
