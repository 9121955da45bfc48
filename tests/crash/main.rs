//! The server killed at any moment: what was acknowledged is there when it starts again, and nothing is there twice.
//!
//! A child serves, several clients at once have it keep things and note what it acknowledges, and it is killed as soon as a
//! random number of acknowledgements have come. The next one, on the same data, is held to the notes, and then killed too.
//! `PARLANCE_CRASH_ROUNDS` says how often; `PARLANCE_CRASH_SEED` where the dice start.

#[path = "../support/dice.rs"]
mod dice;
#[path = "../support/program.rs"]
mod program;

mod load;
mod notes;
mod verify;

use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use parlance::store::{Reader, StoreSpec, open_reader};
use rustix::process::Signal;

use dice::Dice;
use notes::Notes;
use program::Program;

const ROUNDS: u64 = 10;
/// Acknowledgements in a round, at most.
const ACKNOWLEDGED_MAX: usize = 300;

#[test]
fn what_a_database_acknowledged_survives_kills() {
    rounds("sqlite:chat.db");
}

#[test]
fn what_a_log_acknowledged_survives_kills() {
    rounds("jsonl:log");
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn rounds(store: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut dice = Dice(setting("PARLANCE_CRASH_SEED", 1));
    let notes = Arc::new(Mutex::new(Notes::default()));
    let data = directory.path().join("data");
    let stored = ["--data", "data", "--store", store];
    let options = ["--durability", "full", "--ucrp-idle-timeout", "0", "--login-timeout", "0"];
    let mut server = Program::start(directory.path(), &[&stored[..], &options].concat());
    load::introduce(&server, &mut notes.lock().expect("nobody panicked"));
    let rounds = setting("PARLANCE_CRASH_ROUNDS", ROUNDS);
    for round in 0..rounds {
        let (tell, acknowledged) = mpsc::channel();
        let load = load::start(&server, &notes, round, dice.next(), &tell);
        drop(tell);
        let wanted = dice.below(ACKNOWLEDGED_MAX);
        for _ in 0..wanted {
            acknowledged.recv_timeout(program::PATIENCE).expect("the server acknowledges something");
        }
        // Now and then it ends well; the same holds.
        let signal = if round + 1 == rounds { Signal::TERM } else { Signal::KILL };
        let status = server.end(signal);
        assert_eq!(status.code(), (signal == Signal::TERM).then_some(0));
        for worker in load {
            worker.join().expect("a client that is content");
        }
        looks_well(directory.path(), &data, store);
        server = Program::start(directory.path(), &[&stored[..], &options].concat());
        let mut notes = notes.lock().expect("nobody panicked");
        println!("{store}, round {round}, {wanted} acknowledged: {}", notes.summary());
        verify::verify(&server, &mut notes, &mut dice);
    }
    assert_eq!(server.end(Signal::TERM).code(), Some(0));
    looks_well(directory.path(), &data, store);
}

/// Whoever looks at the store before a server mends it finds nothing wrong, and what was said in order.
fn looks_well(directory: &Path, data: &Path, store: &str) {
    let arguments = ["store", "check", "--data", "data", "--store", store];
    let (status, said) = program::run(directory, &arguments);
    // A kill may come in the middle of a write, which is not acknowledged then.
    let is_torn = said.contains("it was not written to its end") && said.contains(" 1 problem found");
    assert!(status.success() || is_torn, "{said}");
    let spec: StoreSpec = store.parse().expect("a store");
    let mut reader = open_reader(&spec.below(data)).expect("a store");
    in_order(reader.as_mut());
}

/// The talker counts: no number comes twice, or before a lower one.
fn in_order(reader: &mut dyn Reader) {
    let said = reader.history("lobby", None, usize::MAX).expect("history");
    for pair in said.windows(2) {
        assert_eq!(pair[0].sequence + 1, pair[1].sequence);
        let number = |text: &str| text.parse::<u64>().expect("a number");
        assert!(number(&pair[0].text) < number(&pair[1].text), "{pair:?}");
    }
}
