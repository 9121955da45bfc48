//! Playing scripts: catching what goes wrong, making the script small that shows it, and telling a person.

use std::fmt::{self, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use crate::book::Counts;
use crate::script::Script;
use crate::trace;
use crate::world::{Played, play};

/// Where the panic was, and what it said.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

/// Something that must not happen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Violation {
    pub(crate) what: String,
}

/// What many scripts came to.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Tally {
    pub(crate) scripts: u64,
    pub(crate) simulated: Duration,
    pub(crate) counts: Counts,
}

impl Tally {
    pub(crate) fn add(&mut self, played: &Played) {
        self.scripts += 1;
        self.simulated += played.simulated;
        self.counts.add(&played.counts);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scripts, simulated, counts } = self;
        writeln!(f, "{scripts} scripts, {:.1} simulated hours", simulated.as_secs_f64() / 3600.0)?;
        writeln!(f, "{counts:?}")
    }
}

/// Has panics kept rather than printed.
pub(crate) fn keep_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let payload = info.payload();
        let words = payload.downcast_ref::<&str>().copied();
        let words = words.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let what = words.unwrap_or("a panic without words");
        *LAST_PANIC.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = format!("{what} ({place})");
    }));
}

/// Plays a script.
pub(crate) fn try_out(script: &Script) -> Result<Played, Violation> {
    panic::catch_unwind(AssertUnwindSafe(|| play(script))).map_err(|_| {
        let what = LAST_PANIC.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        Violation { what }
    })
}

/// The oracle that found it: where it stands in the source.
fn place(violation: &Violation) -> &str {
    violation.what.rsplit_once(" (").map_or("", |(_, place)| place)
}

/// Leaves out as many steps as can be without that what goes wrong is another thing: halves, quarters, and so on, for so
/// many attempts at most (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002).
pub(crate) fn shrink(script: &Script, violation: &Violation, attempts_max: usize) -> (Script, Violation) {
    let mut smallest = script.clone();
    let mut found = violation.clone();
    let mut attempts = 0;
    let mut size = script.steps.len().div_ceil(2);
    while size > 0 && attempts < attempts_max {
        let mut at = 0;
        let mut is_smaller = false;
        while at < smallest.steps.len() && attempts < attempts_max {
            let mut candidate = smallest.clone();
            let end = (at + size).min(candidate.steps.len());
            candidate.steps.drain(at..end);
            attempts += 1;
            match try_out(&candidate) {
                Err(violation) if place(&violation) == place(&found) => {
                    (smallest, found, is_smaller) = (candidate, violation, true);
                }
                Ok(_) | Err(_) => at = end,
            }
        }
        if !is_smaller || size > smallest.steps.len() {
            size /= 2;
        }
    }
    (smallest, found)
}

/// What happens in a script, line by line, up to where it goes wrong.
pub(crate) fn tell(script: &Script) -> String {
    trace::begin();
    let outcome = try_out(script);
    let mut told = String::new();
    _ = writeln!(told, "seed {}", script.seed);
    _ = writeln!(told, "{:?}", script.set_up);
    _ = writeln!(told, "clients {:?}, {:?}", script.clients, script.weather);
    for line in trace::take() {
        _ = writeln!(told, "{line}");
    }
    match outcome {
        Ok(played) => _ = writeln!(told, "{played:?}"),
        Err(violation) => _ = writeln!(told, "VIOLATION: {}", violation.what),
    }
    told
}

/// Shrinks a script that goes wrong and writes down what happens in it. Returns what to tell.
pub(crate) fn explain(script: &Script, violation: &Violation) -> String {
    let (smallest, found) = shrink(script, violation, 400);
    let path =
        PathBuf::from(std::env::temp_dir().to_str().unwrap_or(".")).join(format!("sim-{}.txt", script.seed));
    let written = std::fs::write(&path, tell(&smallest));
    format!(
        "seed {}, {} steps: {}\nin {} steps: {}\nwhat happens in those: {} ({written:?})",
        script.seed,
        script.steps.len(),
        violation.what,
        smallest.steps.len(),
        found.what,
        path.display()
    )
}
