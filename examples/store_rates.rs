//! How fast a store is that has a million messages in a thousand rooms: `cargo run --release --example store_rates --
//! sqlite:DIR/parlance.db` with a directory that is not there yet.

use std::hint::black_box;
use std::time::{Duration, Instant};

use parlance::chat::{Change, HistoryRule, HistoryRules, Op, OpId, PasswordHash, UnixMillis};
use parlance::store::{self, Options, Store, StoreError, StoreSpec};

const ACCOUNTS: u64 = 10_000;
const ROOMS: u64 = 1000;
const GROUP: u64 = 1000;
/// Words that messages are made of; those with low numbers come often.
const WORDS: u64 = 20_000;
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// What gives ops their ids, and the same random numbers each time (xorshift64).
struct Source {
    ids: u64,
    state: u64,
}

impl Source {
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
}

fn keep(keep_messages: u64) -> HistoryRules {
    HistoryRules { default: HistoryRule { keep_messages, keep_days: 0, on_join: 0 }, rooms: Vec::new() }
}

/// Commits groups of ops, of which only the commits count.
fn commit(
    store: &mut dyn Store,
    source: &mut Source,
    what: &str,
    groups: u64,
    change: &mut dyn FnMut(&mut Source) -> Change,
) -> Result<(), StoreError> {
    let (mut total, mut worst) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..groups {
        let group: Vec<_> = (0..GROUP)
            .map(|_| {
                let change = change(source);
                source.op(change)
            })
            .collect();
        let start = Instant::now();
        store.commit(&group)?;
        total += start.elapsed();
        worst = worst.max(start.elapsed());
    }
    println!("{what}: {:.0} ops/s, worst group {worst:.1?}", (groups * GROUP) as f64 / total.as_secs_f64());
    Ok(())
}

fn tidy(store: &mut dyn Store, what: &str, rules: &HistoryRules) -> Result<(), StoreError> {
    let (mut steps, mut worst, begin) = (0, Duration::ZERO, Instant::now());
    let mut more = true;
    while more {
        let start = Instant::now();
        more = store.tidy(rules, NOW)?;
        worst = worst.max(start.elapsed());
        steps += 1;
    }
    println!("{what}: {steps} steps, mean {:.1?}, worst {worst:.1?}", begin.elapsed() / steps);
    Ok(())
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = run();
    println!("{what}: {:.2?}", start.elapsed());
    done
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spec: StoreSpec =
        std::env::args().nth(1).and_then(|spec| spec.parse().ok()).ok_or("say which store")?;
    let options = Options::default();
    let mut store = store::open(&spec, &options)?;
    let mut source = Source { ids: 0, state: 1 };
    let password = PasswordHash::new("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA")?;
    let mut accounts = (0..ACCOUNTS).map(|number| format!("user{number}"));
    commit(&mut *store, &mut source, "AccountCreated", ACCOUNTS / GROUP, &mut |_| Change::AccountCreated {
        name: accounts.next().unwrap_or_default().into(),
        password: password.clone(),
    })?;
    commit(&mut *store, &mut source, "MailSent", 200, &mut |source| Change::MailSent {
        sender: source.person(),
        sender_has_account: true,
        recipient: source.person(),
        content: source.text(),
        key: None,
    })?;
    commit(&mut *store, &mut source, "MailSent between 64", 200, &mut |source| Change::MailSent {
        sender: format!("user{}", source.below(64)).into(),
        sender_has_account: true,
        recipient: format!("user{}", source.below(64)).into(),
        content: source.text(),
        key: None,
    })?;
    commit(&mut *store, &mut source, "Said in one room", 200, &mut |source| Change::Said {
        room: "lobby".into(),
        sender: source.person(),
        text: source.text(),
    })?;
    commit(&mut *store, &mut source, "Said in many rooms", 1000, &mut |source| Change::Said {
        room: format!("room{}", source.below(ROOMS)).into(),
        sender: source.person(),
        text: source.text(),
    })?;
    tidy(&mut *store, "index", &keep(u64::MAX))?;
    drop(store);

    let mut store = timed("open", || store::open(&spec, &options))?;
    timed("load", || store.load(&mut |kept| drop(black_box(kept))))?;
    timed("rooms", || store.rooms(&mut |room| drop(black_box(room))))?;
    let page = timed("newest 50 of a room", || store.history("room500", None, 50))?;
    timed("50 before them", || store.history("room500", Some(page[0].id), 50))?;
    for words in ["word1", "word1 word2", "word10000", "word19000 word18000", "missing"] {
        let found = timed(&format!("search {words}"), || store.search(words, 50))?;
        println!("  found {}", found.len());
    }
    println!("{:?}", store.sizes()?);
    println!("problems: {:?}", timed("check", || store.check())?);
    tidy(&mut *store, "forget half", &keep(500))?;
    timed("compact", || store.compact())?;
    println!("{:?}", store.sizes()?);
    Ok(())
}
