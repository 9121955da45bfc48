//! What the stores cost, in a directory of their own: committing groups of ops, with the disk's sync and without; and a store
//! that is filled: a page of a room's past, a search, opening and loading.
//!
//! `PARLANCE_BENCH_MESSAGES=1000000 cargo bench --bench store` fills it with a million messages, a thousand a room; by default
//! there are ten thousand. Where the directory is, `TMPDIR` says.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{
    BatchSize, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use parlance::chat::{Change, HistoryRule, HistoryRules, Op, OpId, PasswordHash, UnixMillis};
use parlance::store::{self, Durability, Options, Store, StoreSpec};
use tempfile::TempDir;

const ACCOUNTS: u64 = 64;
const ROOM_MESSAGES: u64 = 1000;
/// Words that messages are made of; those with low numbers come often.
const WORDS: u64 = 20_000;
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const STORES: [&str; 3] = ["memory", "jsonl:log", "sqlite:parlance.db"];

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
        Op { id: OpId::new(UnixMillis(NOW.0 + self.ids / 16), (self.ids % 16) as u16, self.ids), change }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % end
    }

    fn person(&mut self) -> Box<str> {
        format!("user{}", self.below(ACCOUNTS)).into()
    }

    /// 64 bytes.
    fn text(&mut self) -> Box<str> {
        let mut text = String::new();
        while text.len() < 64 {
            text.push_str("word");
            text.push_str(&(self.below(WORDS) * self.below(WORDS) / WORDS).to_string());
            text.push(' ');
        }
        text.truncate(64);
        text.into()
    }

    fn mail(&mut self) -> Op {
        let change = Change::MailSent {
            sender: self.person(),
            sender_has_account: true,
            recipient: self.person(),
            content: self.text(),
            key: None,
        };
        self.op(change)
    }

    fn said(&mut self, room: Box<str>) -> Op {
        let change = Change::Said { room, sender: self.person(), text: self.text() };
        self.op(change)
    }

    fn accounts(&mut self) -> Vec<Op> {
        let password =
            PasswordHash::new("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA").expect("argon2id");
        let account = |number| Change::AccountCreated {
            name: format!("user{number}").into(),
            password: password.clone(),
        };
        (0..ACCOUNTS).map(|number| self.op(account(number))).collect()
    }
}

/// A store in a directory that goes with it.
fn open(spec: &str, durability: Durability) -> (TempDir, StoreSpec, Options, Box<dyn Store>) {
    let directory = tempfile::tempdir().expect("a directory");
    let spec = spec.parse::<StoreSpec>().expect("a constant").below(directory.path());
    let options = Options { durability, search: true };
    let store = store::open(&spec, &options).expect("a new store");
    (directory, spec, options, store)
}

fn commits(criterion: &mut Criterion) {
    for (kind, is_mail) in [("mail", true), ("room", false)] {
        let mut group = criterion.benchmark_group(format!("commit-{kind}"));
        group.sampling_mode(SamplingMode::Flat).sample_size(10);
        for spec in STORES {
            for (durability, name) in [(Durability::Full, "full"), (Durability::Normal, "normal")] {
                if spec == "memory" && durability == Durability::Normal {
                    continue;
                }
                for size in [1_u64, 100, 1000] {
                    let (_directory, _, _, mut store) = open(spec, durability);
                    let mut source = Source::new();
                    store.commit(&source.accounts()).expect("space");
                    group.throughput(Throughput::Elements(size));
                    let store_name = spec.split(':').next().unwrap_or_default();
                    let id = BenchmarkId::new(format!("{store_name}-{name}"), size);
                    group.bench_function(id, |bencher| {
                        bencher.iter_custom(|iterations| {
                            let mut elapsed = Duration::ZERO;
                            for _ in 0..iterations {
                                let ops: Vec<_> =
                                    (0..size)
                                        .map(|_| {
                                            if is_mail { source.mail() } else { source.said("lobby".into()) }
                                        })
                                        .collect();
                                let start = Instant::now();
                                store.commit(&ops).expect("space");
                                elapsed += start.elapsed();
                            }
                            elapsed
                        });
                    });
                }
            }
        }
        group.finish();
    }
}

fn filled(criterion: &mut Criterion) {
    let messages = std::env::var("PARLANCE_BENCH_MESSAGES").ok().and_then(|count| count.parse().ok());
    let messages: u64 = messages.unwrap_or(10_000);
    let rooms = (messages / ROOM_MESSAGES).max(1);
    let keep = HistoryRule { keep_messages: u64::MAX, ..HistoryRule::default() };
    let rules = HistoryRules { default: keep, rooms: Vec::new() };
    for spec in ["jsonl:log", "sqlite:parlance.db"] {
        let (_directory, spec, options, mut store) = open(spec, Durability::Normal);
        let mut source = Source::new();
        let mut said = 0;
        while said < messages {
            let count = (messages - said).min(1000);
            let ops: Vec<_> = (0..count)
                .map(|_| {
                    let room = source.below(rooms);
                    source.said(format!("room{room}").into())
                })
                .collect();
            store.commit(&ops).expect("space");
            said += count;
        }
        while store.tidy(&rules, NOW).expect("space") {}
        let name = spec.to_string();
        let name = name.split(':').next().unwrap_or_default();
        let mut group = criterion.benchmark_group(format!("{messages}-{name}"));
        group.sample_size(10);
        group.bench_function("history-50", |bencher| {
            bencher.iter_batched(
                || format!("room{}", source.below(rooms)),
                |room| black_box(store.history(&room, None, 50).expect("a page")),
                BatchSize::SmallInput,
            );
        });
        for (what, words) in [("rare", "word19000"), ("common", "word1"), ("two", "word1 word7")] {
            group.bench_function(format!("search-{what}"), |bencher| {
                bencher.iter(|| black_box(store.search(words, 20).expect("a search")));
            });
        }
        drop(store);
        group.bench_function("open-and-load", |bencher| {
            bencher.iter(|| {
                let mut store = store::open(&spec, &options).expect("it is there");
                store.load(&mut |kept| drop(black_box(kept))).expect("it is well")
            });
        });
        group.finish();
    }
}

criterion_group!(benches, commits, filled);
criterion_main!(benches);
