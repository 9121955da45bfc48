//! What a run found, as a table and as JSON.

use std::fmt::{self, Write};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::check::Tally;
use crate::dialect::Dialect;
use crate::measure::BUCKET;
use crate::plan::{Plan, Traffic};
use crate::run::{Outcome, Resident, Sample};

/// Everything that is reported. `--json` writes it with these keys; times have their unit in their name.
#[derive(Serialize)]
pub(crate) struct Report {
    /// The version of this program.
    version: &'static str,
    /// What was asked for.
    plan: Asked,
    /// Whether Ctrl-C ended the run early.
    cut_short: bool,
    /// What was wrong; empty, when all is well.
    problems: Vec<String>,
    /// Seconds until the last client was connected.
    connected_s: f64,
    /// Seconds until the last client was in its room.
    logged_in_s: f64,
    /// Seconds that were measured.
    measured_s: f64,
    /// Messages scheduled within that time and sent.
    published: u64,
    published_per_s: f64,
    /// Messages received in that time, counted once for each recipient.
    deliveries: u64,
    deliveries_per_s: f64,
    /// All bytes received, in millions a second.
    megabytes_per_s: f64,
    /// From when a message should have been sent to when a recipient read it.
    delivery_latency: Percentiles,
    /// The same, to when its last recipient read it.
    last_recipient_latency: Percentiles,
    /// From when a message should have been sent to when its publisher read that it is kept; nothing, where that is not
    /// told.
    kept_latency: Option<Percentiles>,
    /// From when a message should have been sent to when it was handed to the kernel: what the generator itself, or a server that
    /// does not read, adds.
    schedule_lag: Percentiles,
    /// How often a publisher's socket was full.
    blocked_writes: u64,
    /// Of the whole run, warm-up included.
    check: Tally,
    /// Of all deliveries.
    lost_percent: f64,
    /// Why the first message was that the server refused to keep.
    first_refusal: Option<String>,
    /// Connections that failed or were cut off.
    connections_lost: usize,
    /// Why the first of them was.
    first_failure: Option<String>,
    /// This program's processor time.
    generator_cpu: Cpu,
    /// The server's, with `--server-pid`.
    server_cpu: Option<Cpu>,
    /// The server's until all clients were in their rooms, with `--server-pid`.
    server_cpu_entering: Option<EntryCpu>,
    /// The server's memory, with `--server-pid`.
    server_memory: Option<Memory>,
    /// Milliseconds in a bucket of the series.
    series_bucket_ms: u128,
    /// Deliveries in each bucket, from the start of the warm-up.
    series: Vec<u64>,
}

/// The plan, as far as it shapes the figures.
#[derive(Serialize)]
struct Asked {
    addr: String,
    /// The name that the address was chosen for, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    dialect: Dialect,
    /// Deliveries are acknowledgements.
    kept: bool,
    clients: usize,
    room_size: usize,
    publishers: usize,
    /// Clients that stopped reading.
    stalled: usize,
    size: usize,
    traffic: Traffic,
    warmup_s: f64,
    duration_s: f64,
    busy: bool,
    seed: u64,
}

/// A histogram's percentiles, in nanoseconds, to three digits.
#[derive(Serialize)]
pub(crate) struct Percentiles {
    count: u64,
    mean_ns: f64,
    pub(crate) p50_ns: u64,
    p90_ns: u64,
    pub(crate) p99_ns: u64,
    p99_9_ns: u64,
    p99_99_ns: u64,
    pub(crate) max_ns: u64,
}

/// Processor time, user and system, within the time measured.
#[derive(Serialize)]
struct Cpu {
    seconds: f64,
    /// 1 is a core.
    cores: f64,
    /// Nothing without deliveries.
    ns_per_delivery: Option<f64>,
}

/// Processor time, user and system, for clients to connect and log in.
#[derive(Serialize)]
struct EntryCpu {
    seconds: f64,
    ns_per_client: f64,
}

/// Resident bytes.
#[derive(Serialize)]
struct Memory {
    before_bytes: u64,
    connected_bytes: u64,
    end_bytes: u64,
    /// What each client added by being connected.
    bytes_per_client: f64,
}

impl Percentiles {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            count: histogram.len(),
            mean_ns: histogram.mean(),
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p99_9_ns: at(0.999),
            p99_99_ns: at(0.9999),
            max_ns: histogram.max(),
        }
    }

    /// The columns of the table, in [`Percentiles::COLUMNS`]' order.
    fn columns(&self) -> [u64; 6] {
        [self.p50_ns, self.p90_ns, self.p99_ns, self.p99_9_ns, self.p99_99_ns, self.max_ns]
    }

    const COLUMNS: [&str; 6] = ["p50", "p90", "p99", "p99.9", "p99.99", "max"];
}

impl Cpu {
    fn of(used: Duration, measured: f64, deliveries: u64) -> Self {
        let seconds = used.as_secs_f64();
        let ns_per_delivery = (deliveries > 0).then(|| used.as_nanos() as f64 / deliveries as f64);
        Self { seconds, cores: seconds / measured, ns_per_delivery }
    }

    /// For the table: of each delivery, as that is called.
    fn words(&self, each: &str) -> String {
        let per_delivery =
            self.ns_per_delivery.map_or(String::new(), |nanoseconds| format!(", {nanoseconds:.1} ns {each}"));
        format!("{:.3} s, {:.1} % of a core{per_delivery}", self.seconds, self.cores * 100.0)
    }
}

impl Memory {
    fn of(resident: Resident, clients: usize) -> Self {
        let Resident { before, connected, end } = resident;
        Self {
            before_bytes: before,
            connected_bytes: connected,
            end_bytes: end,
            bytes_per_client: (connected as f64 - before as f64) / clients as f64,
        }
    }
}

impl Report {
    pub(crate) fn new(outcome: &Outcome) -> Self {
        let load = &outcome.load;
        let plan = &load.plan;
        let (from, to): (Sample, Sample) = outcome.measured;
        // A run that is cut short during its warm-up measured nothing, which takes no time.
        let seconds = to.at.since(from.at).as_secs_f64().max(1e-9);
        let published = load.lag.len();
        let deliveries = to.delivered - from.delivered;
        let server_cpu = from.server_cpu.zip(to.server_cpu).map(|(from, to)| to.saturating_sub(from));
        let plan_asked = Asked::of(plan);
        let counted = Counted::of(&plan_asked);
        let found = Found {
            tally: load.intake.tally,
            counted,
            may_lose: plan.dialect.may_lose(),
            first_refusal: load.intake.first_refusal.as_deref(),
            connections_lost: load.counts.failed,
            first_failure: load.counts.first_failure.as_deref(),
        };
        let mut problems = found.problems();
        if plan.traffic != Traffic::Idle && !outcome.cut_short && load.intake.latencies.delivery.is_empty() {
            let what = counted.participle();
            problems.push(format!("nothing was {what} that was scheduled within the duration"));
        }
        let latencies = &load.intake.latencies;
        let kept = if plan.kept { &latencies.delivery } else { &latencies.kept };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            plan: plan_asked,
            cut_short: outcome.cut_short,
            problems,
            connected_s: outcome.connected_after.as_secs_f64(),
            logged_in_s: outcome.ready_after.as_secs_f64(),
            measured_s: seconds,
            published,
            published_per_s: published as f64 / seconds,
            deliveries,
            deliveries_per_s: deliveries as f64 / seconds,
            megabytes_per_s: (to.bytes_received - from.bytes_received) as f64 / seconds / 1e6,
            delivery_latency: Percentiles::of(&latencies.delivery),
            last_recipient_latency: Percentiles::of(&latencies.last_recipient),
            kept_latency: plan.dialect.keeps_messages().then(|| Percentiles::of(kept)),
            schedule_lag: Percentiles::of(&load.lag),
            blocked_writes: load.counts.blocked_writes,
            check: load.intake.tally,
            lost_percent: load.intake.tally.lost_percent(),
            first_refusal: load.intake.first_refusal.clone(),
            connections_lost: load.counts.failed,
            first_failure: load.counts.first_failure.clone(),
            generator_cpu: Cpu::of(to.cpu.saturating_sub(from.cpu), seconds, deliveries),
            server_cpu: server_cpu.map(|used| Cpu::of(used, seconds, deliveries)),
            server_cpu_entering: outcome.server_cpu_entering.map(|used| EntryCpu {
                seconds: used.as_secs_f64(),
                ns_per_client: used.as_nanos() as f64 / plan.clients as f64,
            }),
            server_memory: outcome.resident.map(|resident| Memory::of(resident, plan.clients)),
            series_bucket_ms: BUCKET.as_millis(),
            series: load.series.buckets().to_vec(),
        }
    }

    /// What was wrong, in one sentence; nothing, when all is well.
    pub(crate) fn problem(&self) -> Option<String> {
        (!self.problems.is_empty()).then(|| format!("{}.", self.problems.join("; ")))
    }

    /// What a run without a problem has shown.
    pub(crate) fn success(&self) -> String {
        match self.plan.traffic {
            Traffic::Idle => "No connection was lost".to_owned(),
            // What may be lost on the way is no problem, and not to be overlooked.
            _ if !self.check.is_clean(false) => format!(
                "Nothing was doubled or corrupted; {} lost ({:.4} %), {} reordered",
                number_of(self.check.lost, "delivery was", "deliveries were"),
                self.lost_percent,
                grouped(self.check.reordered)
            ),
            Traffic::Open { .. } | Traffic::Closed { .. } if self.plan.kept => {
                "Each message was acknowledged, once and in order".to_owned()
            }
            Traffic::Open { .. } | Traffic::Closed { .. } => {
                "Nothing was lost, doubled, reordered or corrupted".to_owned()
            }
        }
    }

    /// The title of the plot.
    pub(crate) fn title(&self) -> String {
        let Asked { dialect, kept, clients, publishers, size, traffic, .. } = &self.plan;
        let name = dialect.name();
        let kept = if *kept { " (acknowledgements)" } else { "" };
        format!(
            "{name}{kept}, {clients} clients, {publishers} publishers, {size} bytes, {}",
            traffic_words(traffic)
        )
    }
}

impl Asked {
    fn of(plan: &Plan) -> Self {
        Self {
            addr: plan.addr.to_string(),
            name: plan.server_name.clone(),
            dialect: plan.dialect,
            kept: plan.kept,
            clients: plan.clients,
            room_size: plan.room_size,
            publishers: plan.publishers,
            stalled: plan.stalled,
            size: plan.size,
            traffic: plan.traffic,
            warmup_s: plan.warmup.as_secs_f64(),
            duration_s: plan.duration.as_secs_f64(),
            busy: plan.busy,
            seed: plan.seed,
        }
    }
}

/// What a delivery is.
#[derive(Clone, Copy)]
enum Counted {
    /// A message that a recipient received.
    Deliveries,
    /// A message of which its publisher was told that it is kept.
    Acknowledgements,
}

impl Counted {
    fn of(asked: &Asked) -> Self {
        if asked.kept { Self::Acknowledgements } else { Self::Deliveries }
    }

    /// One of them, and more.
    fn nouns(self) -> (&'static str, &'static str) {
        match self {
            Self::Deliveries => ("delivery", "deliveries"),
            Self::Acknowledgements => ("acknowledgement", "acknowledgements"),
        }
    }

    /// What it takes is said so.
    fn each(self) -> &'static str {
        match self {
            Self::Deliveries => "a delivery",
            Self::Acknowledgements => "a message",
        }
    }

    fn participle(self) -> &'static str {
        match self {
            Self::Deliveries => "delivered",
            Self::Acknowledgements => "acknowledged",
        }
    }
}

/// What the problems follow from.
struct Found<'a> {
    tally: Tally,
    counted: Counted,
    may_lose: bool,
    first_refusal: Option<&'a str>,
    connections_lost: usize,
    first_failure: Option<&'a str>,
}

impl Found<'_> {
    /// What was wrong, in words.
    fn problems(&self) -> Vec<String> {
        let Self { tally, may_lose, connections_lost, .. } = *self;
        let unless_may_lose = |count: u64| if may_lose { 0 } else { count };
        let announced_missed = unless_may_lose(tally.announced_missed);
        let deliveries = [
            (unless_may_lose(tally.lost), "lost"),
            (tally.doubled, "doubled"),
            (unless_may_lose(tally.reordered), "out of order"),
            (tally.corrupted, "corrupted"),
        ];
        let (one, more) = self.counted.nouns();
        let mut problems: Vec<String> = deliveries
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", number_of(count, one, more)))
            .collect();
        let others = [
            (announced_missed, "message", "messages", "announced by the server as missed"),
            (tally.undecodable, "frame", "frames", "too long, not UTF-8 or malformed"),
            (tally.unkept, "message", "messages", "not acknowledged as kept"),
            (tally.mislisted, "mailbox", "mailboxes", "did not list what is in there"),
        ];
        for (count, one, more, what) in others {
            if count > 0 {
                problems.push(format!("{} {what}", number_of(count, one, more)));
            }
        }
        let with_firsts = [
            (tally.refused, "message", "messages", "refused", self.first_refusal),
            (connections_lost as u64, "connection", "connections", "cut off", self.first_failure),
        ];
        for (count, one, more, what, first) in with_firsts {
            if count > 0 {
                let (number, first) = (number_of(count, one, more), first.unwrap_or("unknown"));
                problems.push(format!("{number} {what} (first: {first})"));
            }
        }
        debug_assert_eq!(problems.is_empty(), tally.is_clean(may_lose) && connections_lost == 0);
        problems
    }
}

pub(crate) fn number_of(count: u64, one: &str, more: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { more })
}

fn traffic_words(traffic: &Traffic) -> String {
    match traffic {
        Traffic::Idle => "idle".to_owned(),
        Traffic::Open { rate, arrivals } => {
            format!("{rate} messages/s, {arrivals:?} arrivals").to_lowercase()
        }
        Traffic::Closed { window } => format!("closed window {window}"),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = &self.plan;
        let mut row = |name: &str, value: String| writeln!(f, "{name:<16} {value}");
        let server = match &plan.name {
            Some(name) => format!("{name} ({})", plan.addr),
            None => plan.addr.clone(),
        };
        row("run", format!("{} at {server}", self.title()))?;
        if plan.room_size < plan.clients && !plan.kept {
            row("rooms", format!("of {}", plan.room_size))?;
        }
        if plan.stalled > 0 {
            row("stalled", format!("{} clients that do not read", grouped(plan.stalled as u64)))?;
        }
        row("connected", format!("{:.3} s; all logged in: {:.3} s", self.connected_s, self.logged_in_s))?;
        let cut_short = if self.cut_short { " (cut short)" } else { "" };
        row("measured", format!("{:.3} s{cut_short}", self.measured_s))?;
        if plan.traffic != Traffic::Idle {
            let (published, deliveries) = (grouped(self.published), grouped(self.deliveries));
            row("published", format!("{published:>15}  {:>15}/s", rate(self.published_per_s)))?;
            let counted = if plan.kept { "acknowledged" } else { "deliveries" };
            row(counted, format!("{deliveries:>15}  {:>15}/s", rate(self.deliveries_per_s)))?;
            row("received", format!("{:>15.1}  MB/s", self.megabytes_per_s))?;
            if plan.dialect.may_lose() {
                let Tally { lost, reordered, announced_missed, .. } = self.check;
                let announced = match announced_missed {
                    0 => String::new(),
                    count => format!("; {} announced as missed", grouped(count)),
                };
                let (lost, reordered) = (grouped(lost), grouped(reordered));
                row(
                    "lost",
                    format!("{lost:>15}  {:>15.4} %; {reordered} reordered{announced}", self.lost_percent),
                )?;
            }
        }
        let each = Counted::of(plan).each();
        row("generator CPU", self.generator_cpu.words(each))?;
        if let Some(cpu) = &self.server_cpu {
            row("server CPU", cpu.words(each))?;
        }
        if let Some(memory) = &self.server_memory {
            row("server memory", memory.to_string())?;
        }
        if plan.traffic != Traffic::Idle {
            f.write_str(&self.latency_table())?;
        }
        Ok(())
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        write!(
            f,
            "{:.2} MB before, {:.2} MB connected ({:.0} bytes a client), {:.2} MB at the end",
            megabytes(self.before_bytes),
            megabytes(self.connected_bytes),
            self.bytes_per_client,
            megabytes(self.end_bytes)
        )
    }
}

impl Report {
    fn latency_table(&self) -> String {
        let mut table = format!("\n{:<16}", "latency");
        let cells = Percentiles::COLUMNS.map(|column| format!(" {column:>10}"));
        table.extend(cells);
        table.push('\n');
        let delivered = !self.plan.kept;
        let rows = [
            ("delivery", delivered.then_some(&self.delivery_latency)),
            ("last recipient", delivered.then_some(&self.last_recipient_latency)),
            ("kept", self.kept_latency.as_ref()),
            ("schedule lag", Some(&self.schedule_lag)),
        ];
        for (name, percentiles) in rows {
            let Some(percentiles) = percentiles else { continue };
            // Writing to a string cannot fail.
            let _ = write!(table, "{name:<16}");
            table.extend(percentiles.columns().map(|nanoseconds| format!(" {:>10}", latency(nanoseconds))));
            table.push('\n');
        }
        table
    }
}

/// A latency with its unit, to four digits.
pub(crate) fn latency(nanoseconds: u64) -> String {
    let value = nanoseconds as f64;
    match nanoseconds {
        0..1_000 => format!("{value} ns"),
        1_000..1_000_000 => format!("{:.1} us", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} ms", value / 1e6),
        1_000_000_000.. => format!("{:.2} s", value / 1e9),
    }
}

fn rate(per_second: f64) -> String {
    if per_second < 100.0 {
        return format!("{per_second:.1}");
    }
    #[expect(clippy::cast_sign_loss, reason = "rates are positive")]
    grouped(per_second.round() as u64)
}

/// Digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        assert_eq!([7, 999, 1000, 1_234_567].map(grouped), ["7", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [999, 1500, 2_340_000, 3_000_000_000].map(latency),
            ["999 ns", "1.5 us", "2.34 ms", "3.00 s"]
        );
        assert_eq!([19.96, 8_100_000.4].map(rate), ["20.0", "8,100,000"]);
    }

    fn found(tally: Tally) -> Found<'static> {
        Found {
            tally,
            counted: Counted::Deliveries,
            may_lose: false,
            first_refusal: None,
            connections_lost: 0,
            first_failure: None,
        }
    }

    #[test]
    fn each_fault_has_its_words() {
        assert!(found(Tally { delivered: 5, foreign: 1, ..Tally::default() }).problems().is_empty());
        let tally = Tally { lost: 1, doubled: 2, reordered: 3, corrupted: 4, ..Tally::default() };
        let words =
            "1 delivery lost; 2 deliveries doubled; 3 deliveries out of order; 4 deliveries corrupted";
        assert_eq!(found(tally).problems().join("; "), words);
        let words = "2 deliveries doubled; 4 deliveries corrupted";
        let may_lose = Found { may_lose: true, ..found(tally) };
        assert_eq!(may_lose.problems().join("; "), words, "where messages may be lost on the way");
        let tally = Tally { unkept: 1, mislisted: 2, ..Tally::default() };
        let words = "1 message not acknowledged as kept; 2 mailboxes did not list what is in there";
        assert_eq!(found(tally).problems().join("; "), words);
        let cut_off = Found { connections_lost: 1, first_failure: Some("reset"), ..found(Tally::default()) };
        assert_eq!(cut_off.problems(), ["1 connection cut off (first: reset)"]);
        let refused = Found {
            counted: Counted::Acknowledgements,
            first_refusal: Some("full"),
            ..found(Tally { lost: 1, refused: 2, ..Tally::default() })
        };
        assert_eq!(refused.problems(), ["1 acknowledgement lost", "2 messages refused (first: full)"]);
    }
}
