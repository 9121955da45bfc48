//! Not tests: they print how fast the store is, and how much memory it takes. One at a time, each in a process of its own:
//!
//! ```text
//! PARLANCE_BENCH_DIR=. cargo test --release --lib jsonl::measure::rooms -- --ignored --nocapture
//! ```

use std::fs;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;

use super::store::JsonlStore;
use super::tests::{Ids, NOW, fast, keep};
use crate::chat::Op;
use crate::store::{Options, Reader, Store};

const GROUP: usize = 1000;
const COUNT: usize = 1_000_000;

fn directory() -> TempDir {
    let home = std::env::var_os("PARLANCE_BENCH_DIR").unwrap_or_else(|| std::env::temp_dir().into());
    tempfile::tempdir_in(home).expect("a directory")
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("it is there");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("a line");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec.cast_unsigned() as u32)
}

/// What something took, on the clock and of a core.
fn time<T>(what: &str, count: usize, run: impl FnOnce() -> T) -> T {
    let (start, start_of_core) = (Instant::now(), processor_time());
    let done = run();
    show(what, count, start.elapsed(), processor_time().saturating_sub(start_of_core));
    done
}

fn show(what: &str, count: usize, elapsed: Duration, of_core: Duration) {
    let rate = count as f64 / of_core.as_secs_f64();
    println!("{what}: {elapsed:.2?}, {of_core:.2?} of a core: {rate:.0} a second of it");
}

fn commit(store: &mut JsonlStore, what: &str, make: &mut dyn FnMut(usize) -> Op) {
    let before = resident_kib();
    let (mut elapsed, mut of_core) = (Duration::ZERO, Duration::ZERO);
    for group in 0..COUNT / GROUP {
        let ops: Vec<_> = (0..GROUP).map(|index| make(group * GROUP + index)).collect();
        let (start, start_of_core) = (Instant::now(), processor_time());
        store.commit(&ops).expect("there is space");
        elapsed += start.elapsed();
        of_core += processor_time().saturating_sub(start_of_core);
    }
    show(what, COUNT, elapsed, of_core);
    println!("memory: {} bytes each", (resident_kib() - before) * 1024 / COUNT as u64);
}

#[test]
#[ignore = "measures"]
fn mail() {
    let directory = directory();
    let mut ids = Ids(0);
    let mut store = JsonlStore::open(directory.path(), &fast()).expect("it opens");
    let people: Vec<_> = (0..1000).map(|number| format!("person{number}")).collect();
    store.commit(&people.iter().map(|name| ids.account(name)).collect::<Vec<_>>()).expect("there is space");
    let text = "x".repeat(64);
    commit(&mut store, "commit of mail", &mut |index| {
        ids.mail(&people[index % 1000], &people[(index / 1000 * 7 + index) % 1000], &text)
    });
    println!("{:?}", store.sizes().expect("it is known"));
    drop(store);
    let open = || JsonlStore::open(directory.path(), &fast()).expect("it opens");
    let mut store = time("open", COUNT, open);
    time("load", COUNT, || store.load(&mut |_| {}).expect("it loads"));
    time("compaction", COUNT, || store.compact().expect("there is space"));
}

#[test]
#[ignore = "measures"]
fn rooms() {
    let directory = directory();
    let mut ids = Ids(0);
    let mut store = JsonlStore::open(directory.path(), &fast()).expect("it opens");
    let text = "x".repeat(64);
    commit(&mut store, "commit of room messages", &mut |index| {
        ids.said(&format!("room{}", index % 1000), &text)
    });
    println!("{:?}", store.sizes().expect("it is known"));
    drop(store);
    let open = || JsonlStore::open(directory.path(), &fast()).expect("it opens");
    let mut store = time("open", COUNT, open);
    time("load", COUNT, || store.load(&mut |_| {}).expect("it loads"));
    time("1000 pages of 50", 50_000, || {
        for room in 0..1000 {
            assert_eq!(store.history(&format!("room{room}"), None, 50).expect("it is there").len(), 50);
        }
    });
    time("search of all", COUNT, || store.search("y", 10).expect("it is there"));
    store.compact_bytes_min = 0;
    let (mut longest, mut longest_of_core) = (Duration::ZERO, Duration::ZERO);
    time("forgetting and compaction", COUNT, || {
        loop {
            let (start, start_of_core) = (Instant::now(), processor_time());
            let more = store.tidy(&keep(400), NOW).expect("there is space");
            longest = longest.max(start.elapsed());
            longest_of_core = longest_of_core.max(processor_time().saturating_sub(start_of_core));
            if !more {
                break;
            }
        }
    });
    println!("the longest step: {longest:.2?}, {longest_of_core:.2?} of a core");
    println!("{:?}", store.sizes().expect("it is known"));
}

#[test]
#[ignore = "measures"]
fn synced() {
    let mut ids = Ids(0);
    for size in [1, 100, 1000] {
        let directory = directory();
        let mut store = JsonlStore::open(directory.path(), &Options::default()).expect("it opens");
        let text = "x".repeat(64);
        let groups: Vec<Vec<_>> =
            (0..200).map(|_| (0..size).map(|_| ids.said("den", &text)).collect()).collect();
        time(&format!("200 groups of {size}, synced"), 200, || {
            for group in &groups {
                store.commit(group).expect("there is space");
            }
        });
    }
}
