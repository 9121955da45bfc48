//! The stores: committing groups of ops, and finding what was said among much that was said.
//!
//! Throughput counts ops; how long a group takes is what somebody waits for an acknowledgement, at least. A store is in a
//! temporary directory: `TMPDIR=DIR` says on which disk, and on one that is memory (`tmpfs`) nothing is made durable.
//! What a commit leaves to be done later ([`Store::tidy`]) is not part of it.
//!
//! `STORE_MESSAGES=1000000` has so many messages in the rooms that are read, in up to 1000 rooms (100,000 by default). With
//! `--test` there are few, unless asked for.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parlance::chat::{Change, HistoryRule, HistoryRules, Op, OpId, PasswordHash, UnixMillis};
use parlance::store::{self, Durability, Options, Store, StoreSpec};
use tempfile::TempDir;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const ACCOUNTS: u64 = 1000;
const TEXT_BYTES: usize = 64;
/// Words that texts are made of, from 1: the first is the most common one, the n-th comes about 1/n times as often.
const WORDS: f64 = 20_000.0;
/// In four of ten messages, and in one of some 12,000: there are about eight words in a message.
const COMMON: &str = "word1";
const RARE: &str = "word10000";
/// In none.
const MISSING: &str = "nothing";
const GROUPS: [usize; 3] = [1, 100, 1000];
/// A store that has so many ops makes way for a fresh one, so that each run has as many as the one before.
const OPS_MAX: usize = 200_000;
const MESSAGES_DEFAULT: u64 = 100_000;
const MESSAGES_TESTED: u64 = 1000;
const MESSAGES_MAX: u64 = 1_000_000;
const ROOMS_MAX: u64 = 1000;
/// Ops in a group, while a store is filled.
const FILL_GROUP: u64 = 1000;
/// Messages of a room that are asked for at once.
const PAGE: usize = 50;

/// The stores, below a directory.
fn specs() -> [(&'static str, StoreSpec); 3] {
    [
        ("memory", StoreSpec::Memory),
        ("jsonl", StoreSpec::Jsonl("log".into())),
        ("sqlite", StoreSpec::Sqlite("chat.db".into())),
    ]
}

type MakeOp = fn(&mut Source) -> Op;

/// What gives ops their ids, and the same random numbers each time (xorshift64).
struct Source {
    ids: u64,
    state: u64,
}

impl Source {
    fn new() -> Self {
        Self { ids: 0, state: 1 }
    }

    fn op(&mut self, change: Change) -> Op {
        self.ids += 1;
        // 16 in a millisecond.
        Op::new(OpId::new(UnixMillis(NOW.0 + self.ids / 16), (self.ids % 16) as u16, self.ids), change)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % end
    }

    fn person(&mut self) -> Box<str> {
        name(self.below(ACCOUNTS))
    }

    fn text(&mut self) -> Box<str> {
        let mut text = String::new();
        while text.len() < TEXT_BYTES {
            let exponent = self.below(1 << 32) as f64 / (1_u64 << 32) as f64;
            // Writing to a string cannot fail.
            let _ = write!(text, "word{} ", WORDS.powf(exponent).floor());
        }
        text.truncate(TEXT_BYTES);
        text.into()
    }

    fn mail(&mut self) -> Op {
        let change = Change::MailSent {
            sender: self.person(),
            sender_has_account: true,
            sender_account: None,
            recipient: self.person(),
            recipient_account: None,
            content: self.text(),
            key: Some(format!("{:032x}", self.ids).into()),
        };
        self.op(change)
    }

    fn said(&mut self, rooms: u64) -> Op {
        let change = Change::Said { room: room(self.below(rooms)), sender: self.person(), text: self.text() };
        self.op(change)
    }
}

fn name(account: u64) -> Box<str> {
    format!("user{account}").into()
}

fn room(number: u64) -> Box<str> {
    format!("room{number}").into()
}

/// A store in a directory of its own, with accounts, and the source of what comes after them.
struct Shelf {
    /// Nothing while it is closed.
    store: Option<Box<dyn Store>>,
    source: Source,
    ops: usize,
    spec: StoreSpec,
    options: Options,
    _directory: TempDir,
}

impl Shelf {
    fn new(spec: &StoreSpec, durability: Durability) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut shelf = Self {
            store: None,
            source: Source::new(),
            ops: 0,
            spec: spec.clone().below(directory.path()),
            options: Options { durability, search: true },
            _directory: directory,
        };
        let password =
            PasswordHash::new("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA").expect("a hash");
        let create = |account| Change::AccountCreated {
            name: name(account),
            password: password.clone(),
            is_unused: false,
        };
        let accounts: Vec<Op> = (0..ACCOUNTS).map(|account| shelf.source.op(create(account))).collect();
        shelf.commit(&accounts);
        shelf
    }

    /// The store, which is opened if it is closed.
    fn open(&mut self) -> &mut dyn Store {
        let Self { store, spec, options, .. } = self;
        &mut **store.get_or_insert_with(|| store::open(spec, options).expect("a store"))
    }

    /// How long it took.
    fn commit(&mut self, group: &[Op]) -> Duration {
        self.ops += group.len();
        let store = self.open();
        let start = Instant::now();
        store.commit(group).expect("the disk has space");
        start.elapsed()
    }

    /// Has so much said in rooms, and a tenth of it written into mailboxes; all that can wait is done.
    fn fill(&mut self, messages: u64, rooms: u64) {
        for first in (0..messages).step_by(FILL_GROUP as usize) {
            let count = FILL_GROUP.min(messages - first);
            let mut group: Vec<Op> = (0..count).map(|_| self.source.said(rooms)).collect();
            group.extend((0..count / 10).map(|_| self.source.mail()));
            self.commit(&group);
        }
        let rule = HistoryRule { keep_messages: u64::MAX, keep_days: 0, on_join: 0 };
        let rules = HistoryRules { default: rule, rooms: Vec::new() };
        while self.open().tidy(&rules, NOW).expect("it can be tidied") {}
    }

    /// How long opening and loading takes: what a server does before it listens.
    fn reopen(&mut self) -> Duration {
        self.store = None;
        let start = Instant::now();
        self.open().load(&mut |kept| drop(black_box(kept))).expect("it can be read");
        start.elapsed()
    }
}

/// Messages in the rooms that are read, and how many rooms.
fn messages() -> (u64, u64) {
    let default =
        if std::env::args().any(|word| word == "--test") { MESSAGES_TESTED } else { MESSAGES_DEFAULT };
    let messages = match std::env::var("STORE_MESSAGES") {
        Ok(text) => text.parse().expect("STORE_MESSAGES is a number"),
        Err(_) => default,
    };
    assert!((1..=MESSAGES_MAX).contains(&messages), "STORE_MESSAGES is from 1 to {MESSAGES_MAX}");
    (messages, (messages / (2 * PAGE as u64)).clamp(1, ROOMS_MAX))
}

fn commit(criterion: &mut Criterion) {
    let changes: [(&str, MakeOp); 2] =
        [("MailSent", Source::mail), ("Said", |source| source.said(ROOMS_MAX))];
    for (change, op) in changes {
        for (durability, word) in [(Durability::Full, "full"), (Durability::Normal, "normal")] {
            let mut group = criterion.benchmark_group(format!("commit/{change}/{word}"));
            for (store, spec) in specs() {
                // It has no disk, on which there were more than one way to be.
                if spec == StoreSpec::Memory && durability != Durability::Full {
                    continue;
                }
                for count in GROUPS {
                    commit_groups(&mut group, BenchmarkId::new(store, count), &spec, durability, count, op);
                }
            }
            group.finish();
        }
    }
}

fn commit_groups(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    spec: &StoreSpec,
    durability: Durability,
    count: usize,
    op: MakeOp,
) {
    group.throughput(Throughput::Elements(count as u64));
    group.bench_function(id, |bencher| {
        let mut shelf = Shelf::new(spec, durability);
        bencher.iter_custom(|groups| {
            let mut taken = Duration::ZERO;
            for _ in 0..groups {
                if shelf.ops > OPS_MAX {
                    shelf = Shelf::new(spec, durability);
                }
                let group: Vec<Op> = (0..count).map(|_| op(&mut shelf.source)).collect();
                taken += shelf.commit(&group);
            }
            taken
        });
    });
}

fn read(criterion: &mut Criterion) {
    let (messages, rooms) = messages();
    for (store, spec) in specs() {
        // Filled by the first bench that is run of it.
        let filled: RefCell<Option<Shelf>> = RefCell::new(None);
        let with = |bench: &mut dyn FnMut(&mut Shelf)| {
            bench(filled.borrow_mut().get_or_insert_with(|| {
                // How durable it is makes no difference when it is read.
                let mut shelf = Shelf::new(&spec, Durability::Normal);
                shelf.fill(messages, rooms);
                shelf
            }));
        };
        let mut group = criterion.benchmark_group(format!("{messages}_messages/{store}"));
        for page in ["newest", "older"] {
            group.bench_function(BenchmarkId::new("history", page), |bencher| {
                with(&mut |shelf| {
                    let firsts = firsts(shelf.open(), rooms);
                    let mut turn = firsts.iter().cycle();
                    bencher.iter(|| {
                        let (room, first) = turn.next().expect("there is a room");
                        let before = (page == "older").then_some(*first);
                        black_box(shelf.open().history(room, before, PAGE).expect("it can be read"))
                    });
                });
            });
        }
        for (frequency, word) in [("common", COMMON), ("rare", RARE), ("missing", MISSING)] {
            group.bench_function(BenchmarkId::new("search", frequency), |bencher| {
                with(&mut |shelf| {
                    bencher.iter(|| black_box(shelf.open().search(word, PAGE).expect("it can be searched")));
                });
            });
        }
        // What is in memory is gone when it is closed.
        if spec != StoreSpec::Memory {
            group.bench_function("open_and_load", |bencher| {
                with(&mut |shelf| {
                    bencher.iter_custom(|times| (0..times).map(|_| shelf.reopen()).sum());
                });
            });
        }
        group.finish();
    }
}

/// The rooms, each with the first message of its newest page.
fn firsts(store: &mut dyn Store, rooms: u64) -> Vec<(Box<str>, OpId)> {
    let mut first = |room: Box<str>| {
        let page = store.history(&room, None, PAGE).expect("it can be read");
        Some((room, page.first()?.id))
    };
    (0..rooms).filter_map(|number| first(room(number))).collect()
}

/// Few samples: each takes as long as a disk.
fn configuration() -> Criterion {
    Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3))
}

criterion_group! { name = stores; config = configuration(); targets = commit, read }
criterion_main!(stores);
