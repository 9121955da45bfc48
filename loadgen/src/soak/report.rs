//! What a soak found, as a table and as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::ledger::Tally;
use super::turnover::{Counts, Tallies, Turnover};
use super::watch::{Sample, Usage};
use crate::report::{Percentiles, grouped, latency, number_of};

/// By how much the memory that is held at the end may differ from that at the beginning, in percent.
const FLAT_PERCENT: f64 = 2.0;

/// Parts of each of the two times. On a busy machine passwords are hashed for some seconds without a pause, and what that
/// takes is not held.
const PARTS: u32 = 10;

/// Everything that is reported. Times have their unit in their name.
#[derive(Serialize)]
pub(super) struct Report {
    /// The version of this program.
    version: &'static str,
    clients: usize,
    churn_per_s: f64,
    rate_per_s: f64,
    size: usize,
    warmup_s: f64,
    duration_s: f64,
    compare_s: f64,
    cut_short: bool,
    /// What was wrong; empty, when all is well.
    problems: Vec<String>,
    memory: Option<Memory>,
    descriptors: Option<Descriptors>,
    /// Cores, in the mean of the duration.
    server_cores: Option<f64>,
    generator_cores: f64,
    deliveries: Tallies,
    counts: Counts,
    /// From when a message was written to when it was read, but for datagrams.
    latency: Percentiles,
    /// Datagrams that the kernel dropped for lack of room, of all programs on this machine.
    datagrams_dropped: u64,
    /// Once a second, from when people began to come and go.
    pub(super) samples: Vec<Sample>,
}

/// The server's resident bytes.
#[derive(Serialize)]
struct Memory {
    /// Before the first client came.
    before_bytes: u64,
    /// Held in the first and in the last time: the mean of the least of each tenth of it.
    first_mean_bytes: Option<f64>,
    last_mean_bytes: Option<f64>,
    /// From the first to the last.
    change_percent: Option<f64>,
    /// The same of the means of each second, in which the hashing of passwords is.
    first_mean_with_hashing_bytes: Option<f64>,
    last_mean_with_hashing_bytes: Option<f64>,
    /// Of each second the least, within the duration.
    min_bytes: u64,
    max_bytes: u64,
    /// Of all looks.
    peak_bytes: u64,
    /// When all had left.
    after_bytes: u64,
}

/// The server's open descriptors.
#[derive(Serialize)]
struct Descriptors {
    before: usize,
    /// Within the duration.
    min: usize,
    max: usize,
    after: usize,
}

/// What a report is made of.
pub(super) struct Found {
    pub(super) before: Option<Usage>,
    pub(super) after: Option<Usage>,
    pub(super) samples: Vec<Sample>,
    pub(super) server_cpu: Option<Duration>,
    pub(super) generator_cpu: Duration,
    /// How long was measured.
    pub(super) measured: Duration,
    pub(super) datagrams_dropped: u64,
    pub(super) cut_short: bool,
}

impl Report {
    pub(super) fn new(turnover: &Turnover, found: Found) -> Self {
        let plan = &turnover.plan;
        let Found {
            before,
            after,
            samples,
            server_cpu,
            generator_cpu,
            measured,
            datagrams_dropped,
            cut_short,
        } = found;
        let seconds = measured.as_secs_f64().max(1e-9);
        let mut report = Self {
            version: env!("CARGO_PKG_VERSION"),
            clients: plan.clients,
            churn_per_s: plan.churn,
            rate_per_s: plan.rate,
            size: plan.size,
            warmup_s: plan.warmup.as_secs_f64(),
            duration_s: plan.duration.as_secs_f64(),
            compare_s: plan.compare().as_secs_f64(),
            cut_short,
            problems: Vec::new(),
            memory: None,
            descriptors: None,
            server_cores: server_cpu.map(|cpu| cpu.as_secs_f64() / seconds),
            generator_cores: generator_cpu.as_secs_f64() / seconds,
            deliveries: turnover.tallies,
            counts: turnover.counts.clone(),
            latency: Percentiles::of(&turnover.latency),
            datagrams_dropped,
            samples,
        };
        if let (Some(before), Some(after)) = (before, after) {
            report.memory = Some(report.memory(before, after));
            report.descriptors = Some(report.descriptors(before, after));
        }
        report.problems = report.find_problems();
        report
    }

    /// The two times that are compared, in seconds, and what the process held in each: the mean of the least of its parts.
    pub(super) fn compared(&self) -> [(f64, f64, Option<f64>); 2] {
        self.times().map(|(from, to)| {
            let length = (to - from) / f64::from(PARTS);
            let starts = (0..PARTS).map(|part| from + f64::from(part) * length);
            (from, to, mean(starts.filter_map(|start| self.held(start, start + length))))
        })
    }

    /// The least that the process used between two times.
    fn held(&self, from: f64, to: f64) -> Option<f64> {
        let resident = |sample: &Sample| sample.usage.map(|usage| usage.resident_bytes);
        self.samples(from, to).filter_map(resident).min().map(|bytes| bytes as f64)
    }

    fn times(&self) -> [(f64, f64); 2] {
        let (start, end) = (self.warmup_s, self.warmup_s + self.duration_s);
        [(start, start + self.compare_s), (end - self.compare_s, end)]
    }

    /// The samples between two times, the later one included.
    fn samples(&self, from: f64, to: f64) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.seconds > from && sample.seconds <= to)
    }

    fn measured(&self) -> impl Iterator<Item = (&Sample, Usage)> {
        let samples = self.samples(self.warmup_s, self.warmup_s + self.duration_s);
        samples.filter_map(|sample| Some((sample, sample.usage?)))
    }

    fn memory(&self, before: Usage, after: Usage) -> Memory {
        let [(_, _, first), (_, _, last)] = self.compared();
        let [first_with_hashing, last_with_hashing] = self
            .times()
            .map(|(from, to)| mean(self.samples(from, to).map(|sample| sample.resident_mean_bytes)));
        let bytes = || self.measured().map(|(_, usage)| usage.resident_bytes);
        Memory {
            first_mean_with_hashing_bytes: first_with_hashing,
            last_mean_with_hashing_bytes: last_with_hashing,
            peak_bytes: self.measured().map(|(sample, _)| sample.resident_max_bytes).max().unwrap_or(0),
            before_bytes: before.resident_bytes,
            first_mean_bytes: first,
            last_mean_bytes: last,
            change_percent: first.zip(last).map(|(first, last)| (last / first - 1.0) * 100.0),
            min_bytes: bytes().min().unwrap_or(0),
            max_bytes: bytes().max().unwrap_or(0),
            after_bytes: after.resident_bytes,
        }
    }

    fn descriptors(&self, before: Usage, after: Usage) -> Descriptors {
        let descriptors = || self.measured().map(|(_, usage)| usage.descriptors);
        Descriptors {
            before: before.descriptors,
            min: descriptors().min().unwrap_or(0),
            max: descriptors().max().unwrap_or(0),
            after: after.descriptors,
        }
    }

    fn find_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(change) = self.memory.as_ref().and_then(|memory| memory.change_percent)
            && change.abs() > FLAT_PERCENT
            && !self.cut_short
        {
            problems.push(format!("the server's memory changed by {change:+.2} %"));
        }
        if let Some(Descriptors { before, after, .. }) = self.descriptors
            && after != before
        {
            problems.push(format!("the server had {before} open descriptors before, and has {after} after"));
        }
        let Tallies { streams, datagrams, mail } = self.deliveries;
        let deliveries = [
            (streams.lost + mail.lost, "lost"),
            (streams.doubled + mail.doubled + datagrams.doubled, "doubled"),
            (streams.reordered + mail.reordered, "out of order"),
        ];
        for (count, what) in deliveries {
            if count > 0 {
                problems.push(format!("{} {what}", number_of(count, "delivery", "deliveries")));
            }
        }
        let Counts { corrupted, undecodable, unkept, mislisted, errors, .. } = self.counts;
        let others = [
            (corrupted, "message", "messages", "not as sent"),
            (undecodable, "frame", "frames", "that cannot be read"),
            (unkept, "letter", "letters", "not acknowledged as kept"),
            (mislisted, "letter", "letters", "missing in a mailbox, or twice"),
        ];
        for (count, one, more, what) in others {
            if count > 0 {
                problems.push(format!("{} {what}", number_of(count, one, more)));
            }
        }
        if errors > 0 {
            let first = self.counts.first_error.as_deref().unwrap_or("unknown");
            let what = number_of(errors, "client was", "clients were");
            problems.push(format!("{what} refused, cut off or not let go (first: {first})"));
        }
        let delivered = self.deliveries.all().delivered;
        if delivered == 0 && self.rate_per_s > 0.0 && !self.cut_short {
            problems.push("nothing was delivered".to_owned());
        }
        problems
    }

    /// What was wrong, in one sentence; nothing, when all is well.
    pub(super) fn problem(&self) -> Option<String> {
        (!self.problems.is_empty()).then(|| format!("{}.", self.problems.join("; ")))
    }

    /// The title of the plot.
    pub(super) fn title(&self) -> String {
        format!(
            "{} clients of all dialects, {} leave and come a second, {} messages/s",
            self.clients, self.churn_per_s, self.rate_per_s
        )
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(f, "{name:<16} {value}");
        let time = |seconds| humantime::format_duration(Duration::from_secs_f64(seconds));
        row("run", self.title())?;
        row("measured", format!("{} after {} of warm-up", time(self.duration_s), time(self.warmup_s)))?;
        if let Some(memory) = &self.memory {
            row("memory held", memory.words(&time(self.compare_s).to_string()))?;
            if let (Some(first), Some(last)) =
                (memory.first_mean_with_hashing_bytes, memory.last_mean_with_hashing_bytes)
            {
                let [first, last, peak] = [first, last, memory.peak_bytes as f64].map(megabytes);
                row("with hashing", format!("{first} in the first, {last} in the last; at most {peak}"))?;
            }
        }
        if let Some(Descriptors { before, min, max, after }) = self.descriptors {
            row("descriptors", format!("{before} before, {min} to {max} meanwhile, {after} after"))?;
        }
        let counts = &self.counts;
        row("connects", grouped(counts.connects))?;
        row(
            "disconnects",
            format!(
                "{} ({} politely, {} by reset or without a word, {} half-closed)",
                grouped(counts.disconnects()),
                grouped(counts.left_politely),
                grouped(counts.left_by_reset),
                grouped(counts.left_half_closed)
            ),
        )?;
        row("errors", format!("{}; {} logins tried again", grouped(counts.errors), grouped(counts.retries)))?;
        row(
            "published",
            format!("{} in rooms, {} letters", grouped(counts.published), grouped(counts.mailed)),
        )?;
        let Tallies { streams, datagrams, mail } = &self.deliveries;
        for (name, tally) in
            [("over streams", streams), ("over datagrams", datagrams), ("letters told of", mail)]
        {
            row(name, tally.to_string())?;
        }
        row(
            "letters",
            format!(
                "{} kept, {} not; {} deleted; {} lists, {} missing or twice in them",
                grouped(counts.kept),
                grouped(counts.unkept),
                grouped(counts.deleted),
                grouped(counts.listed),
                grouped(counts.mislisted)
            ),
        )?;
        row("announcements", format!("{} of others who come and go", grouped(counts.announcements)))?;
        row("lagging", format!("{} messages skipped, as the server said", grouped(counts.announced_missed)))?;
        row(
            "kernel dropped",
            format!("{} datagrams, on the whole machine", grouped(self.datagrams_dropped)),
        )?;
        row(
            "latency",
            format!(
                "p50 {}, p99 {}, max {}",
                latency(self.latency.p50_ns),
                latency(self.latency.p99_ns),
                latency(self.latency.max_ns)
            ),
        )?;
        let server =
            self.server_cores.map_or(String::new(), |cores| format!("{cores:.2} cores of the server, "));
        row("CPU", format!("{server}{:.2} of this program", self.generator_cores))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owed, delivered, lost, lagged, doubled, reordered, beside } = *self;
        write!(
            f,
            "{} of {} delivered, {lost} lost, {doubled} doubled, {reordered} out of order, {lagged} missed by lagging; \
             {} besides, to who came or left",
            grouped(delivered),
            grouped(owed),
            grouped(beside)
        )
    }
}

fn megabytes(bytes: f64) -> String {
    format!("{:.2} MB", bytes / 1e6)
}

impl Memory {
    fn words(&self, compare: &str) -> String {
        let compared = match (self.first_mean_bytes, self.last_mean_bytes, self.change_percent) {
            (Some(first), Some(last), Some(change)) => format!(
                "{} in the first {compare}, {} in the last ({change:+.2} %); ",
                megabytes(first),
                megabytes(last)
            ),
            _ => String::new(),
        };
        format!(
            "{compared}of each second the least: {} to {}; {} before, {} after",
            megabytes(self.min_bytes as f64),
            megabytes(self.max_bytes as f64),
            megabytes(self.before_bytes as f64),
            megabytes(self.after_bytes as f64)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::crowd::{CLIENTS_MIN, Crowd};
    use crate::soak::plan::tests::plan;

    /// A report on a process that holds so many bytes after so many seconds, and has so many descriptors in the end.
    fn report(resident: impl Fn(u32) -> u32, descriptors_after: usize) -> Report {
        let plan = plan("--warmup 10s --duration 90s").expect("it is enough");
        let mut turnover = Turnover::new(plan, Crowd::new(CLIENTS_MIN, 1), 1).expect("a poll");
        turnover.tallies.streams = Tally { owed: 1, delivered: 1, ..Tally::default() };
        let sample = |second| Sample {
            seconds: f64::from(second),
            usage: Some(Usage { resident_bytes: u64::from(resident(second)), descriptors: 40 }),
            resident_mean_bytes: f64::from(resident(second)),
            resident_max_bytes: u64::from(resident(second)),
            clients: CLIENTS_MIN,
            delivered: u64::from(second),
        };
        let usage = |descriptors| Some(Usage { resident_bytes: 1_000_000, descriptors });
        let found = Found {
            before: usage(20),
            after: usage(descriptors_after),
            samples: (1..=100).map(sample).collect(),
            server_cpu: None,
            generator_cpu: Duration::ZERO,
            measured: Duration::from_secs(90),
            datagrams_dropped: 0,
            cut_short: false,
        };
        Report::new(&turnover, found)
    }

    #[test]
    fn memory_that_grows_only_while_nobody_measures_is_flat() {
        let report = report(|second| if second <= 10 { 1 } else { 10_000_000 }, 20);
        assert_eq!(report.problem(), None);
        let memory = report.memory.expect("it was watched");
        assert_eq!((memory.min_bytes, memory.change_percent), (10_000_000, Some(0.0)));
    }

    #[test]
    fn memory_that_grows_or_shrinks_by_more_than_two_percent_is_not_flat() {
        // From the first third to the last by so much, seen from 10 MB about the middle of the first.
        let at = |change: i32| {
            let bytes = |second: u32| 10_000_000 + change * (second.cast_signed() * 2 - 49) / 120;
            report(|second| u32::try_from(bytes(second)).expect("it is positive"), 20).problem()
        };
        assert_eq!((at(190_000), at(-190_000)), (None, None));
        assert_eq!(at(210_000).as_deref(), Some("the server's memory changed by +2.10 %."));
        assert_eq!(at(-210_000).as_deref(), Some("the server's memory changed by -2.10 %."));
    }

    #[test]
    fn what_hashing_takes_for_some_seconds_is_not_held() {
        let report = report(|second| if second % 3 < 2 { 50_000_000 } else { 10_000_000 }, 20);
        assert_eq!(report.problem(), None);
        let memory = report.memory.expect("it was watched");
        assert_eq!((memory.first_mean_bytes, memory.last_mean_bytes), (Some(1e7), Some(1e7)));
    }

    #[test]
    fn a_descriptor_that_stays_open_is_a_problem() {
        let words = "the server had 20 open descriptors before, and has 21 after.";
        assert_eq!(report(|_| 1, 21).problem().as_deref(), Some(words));
    }

    #[test]
    fn datagrams_may_be_lost_and_nothing_else_may() {
        let mut report = report(|_| 1, 20);
        let faults = Tally { lost: 1, reordered: 1, lagged: 1, ..Tally::default() };
        report.deliveries.datagrams = faults;
        assert!(report.find_problems().is_empty());
        report.deliveries.streams = faults;
        assert_eq!(
            report.find_problems(),
            ["1 delivery lost", "1 delivery out of order", "nothing was delivered"]
        );
        report.deliveries.datagrams.doubled = 2;
        assert_eq!(report.find_problems()[1], "2 deliveries doubled");
    }
}
