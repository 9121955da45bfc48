//! What a run measured: read from what the generator reports, and written as people read it.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// What is known of a run that went well. A key's unit is at its end.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) deliveries_per_s: f64,
    /// The server's processor time, user and system, a delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_ns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50_ns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_9_ns: Option<f64>,
    /// What a client that is connected adds to the server's resident memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_bytes: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connected_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logged_in_s: Option<f64>,
    /// The server's processor time for a client that connects and logs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entry_cpu_ns: Option<f64>,
    pub(crate) lost_percent: f64,
    /// Cores in use while it was measured; 1 is all that there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_cores: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generator_cores: Option<f64>,
    /// What the generator itself was late by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) schedule_lag_p99_ns: Option<f64>,
}

/// How a run ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// Everything arrived as it should.
    Measured(Figures),
    /// Something was lost, doubled or out of order, or the server or the generator ended early. No figure of it counts.
    Failed(String),
    /// The server can not do it, or is not there.
    Cannot(String),
}

/// One of the [`Figures`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Figure {
    Deliveries,
    Cpu,
    P50,
    P99,
    P999,
    Memory,
    Connected,
    LoggedIn,
    EntryCpu,
    IdleCpu,
    Lost,
}

impl Figure {
    /// The head of its column.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Deliveries => "deliveries/s",
            Self::Cpu => "CPU a delivery",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Memory => "memory a client",
            Self::Connected => "all connected",
            Self::LoggedIn => "all logged in",
            Self::EntryCpu => "CPU a client",
            Self::IdleCpu => "CPU while idle",
            Self::Lost => "lost",
        }
    }

    pub(crate) fn of(self, figures: &Figures) -> Option<f64> {
        match self {
            Self::Deliveries => Some(figures.deliveries_per_s),
            Self::Cpu => figures.cpu_ns,
            Self::P50 => figures.p50_ns,
            Self::P99 => figures.p99_ns,
            Self::P999 => figures.p99_9_ns,
            Self::Memory => figures.memory_bytes,
            Self::Connected => figures.connected_s,
            Self::LoggedIn => figures.logged_in_s,
            Self::EntryCpu => figures.entry_cpu_ns,
            Self::IdleCpu => figures.server_cores,
            Self::Lost => Some(figures.lost_percent),
        }
    }

    /// What a value is divided by to be read, and the unit that it has then.
    fn scale(self, value: f64) -> (f64, &'static str) {
        match self {
            Self::Deliveries if value >= 1e6 => (1e6, " M"),
            Self::Deliveries if value >= 1e4 => (1e3, " k"),
            Self::Deliveries => (1.0, ""),
            Self::Cpu | Self::P50 | Self::P99 | Self::P999 | Self::EntryCpu => match value {
                1e9.. => (1e9, " s"),
                1e6.. => (1e6, " ms"),
                1e3.. => (1e3, " µs"),
                _ => (1.0, " ns"),
            },
            Self::Memory if value >= 1e6 => (1e6, " MB"),
            Self::Memory if value >= 1e3 => (1e3, " kB"),
            Self::Memory => (1.0, " B"),
            Self::Connected | Self::LoggedIn if value < 1.0 => (1e-3, " ms"),
            Self::Connected | Self::LoggedIn => (1.0, " s"),
            Self::IdleCpu => (0.01, " %"),
            Self::Lost => (1.0, " %"),
        }
    }

    /// A value with its unit.
    pub(crate) fn words(self, value: f64) -> String {
        let (divisor, unit) = self.scale(value);
        format!("{}{unit}", digits(value / divisor))
    }

    /// A median with its unit, and between what it is the middle.
    pub(crate) fn words_with_spread(self, median: f64, least: f64, most: f64) -> String {
        let (divisor, _) = self.scale(median);
        let mut words = self.words(median);
        // Writing to a string cannot fail.
        let _ = write!(words, " ({} to {})", digits(least / divisor), digits(most / divisor));
        words
    }
}

/// Three digits, fewer of what is small.
pub(crate) fn digits(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        0.1.. => format!("{value:.2}"),
        0.01.. => format!("{value:.3}"),
        0.0001.. => format!("{value:.4}"),
        _ => "0".to_owned(),
    }
}

/// As much of the generator's report as is read here.
#[derive(Deserialize)]
struct Report {
    problems: Vec<String>,
    connected_s: f64,
    logged_in_s: f64,
    deliveries: u64,
    deliveries_per_s: f64,
    delivery_latency: Percentiles,
    schedule_lag: Percentiles,
    lost_percent: f64,
    generator_cpu: Cpu,
    server_cpu: Option<Cpu>,
    server_cpu_entering: Option<EntryCpu>,
    server_memory: Option<Memory>,
}

#[derive(Deserialize)]
struct Percentiles {
    count: u64,
    p50_ns: f64,
    p99_ns: f64,
    p99_9_ns: f64,
}

#[derive(Deserialize)]
struct Cpu {
    cores: f64,
    ns_per_delivery: Option<f64>,
}

#[derive(Deserialize)]
struct EntryCpu {
    ns_per_client: f64,
}

#[derive(Deserialize)]
struct Memory {
    bytes_per_client: f64,
}

/// What the generator says in its JSON report.
pub(crate) fn of_generator(json: &str) -> Result<Outcome, serde_json::Error> {
    let report: Report = serde_json::from_str(json)?;
    if !report.problems.is_empty() {
        return Ok(Outcome::Failed(report.problems.join("; ")));
    }
    let percentile = |value| (report.delivery_latency.count > 0).then_some(value);
    Ok(Outcome::Measured(Figures {
        deliveries_per_s: report.deliveries_per_s,
        cpu_ns: report
            .server_cpu
            .as_ref()
            .filter(|_| report.deliveries > 0)
            .and_then(|cpu| cpu.ns_per_delivery),
        p50_ns: percentile(report.delivery_latency.p50_ns),
        p99_ns: percentile(report.delivery_latency.p99_ns),
        p99_9_ns: percentile(report.delivery_latency.p99_9_ns),
        memory_bytes: report.server_memory.map(|memory| memory.bytes_per_client),
        connected_s: Some(report.connected_s),
        logged_in_s: Some(report.logged_in_s),
        entry_cpu_ns: report.server_cpu_entering.map(|cpu| cpu.ns_per_client),
        lost_percent: report.lost_percent,
        server_cores: report.server_cpu.map(|cpu| cpu.cores),
        generator_cores: Some(report.generator_cpu.cores),
        schedule_lag_p99_ns: (report.schedule_lag.count > 0).then_some(report.schedule_lag.p99_ns),
    }))
}

/// What the loop of `sendto` prints.
#[derive(Deserialize)]
struct Burst {
    sent: u64,
    received: u64,
    per_second: f64,
    cpu_ns: f64,
}

pub(crate) fn of_sendto(json: &str) -> Result<Outcome, serde_json::Error> {
    let burst: Burst = serde_json::from_str(json)?;
    let lost = burst.sent.saturating_sub(burst.received);
    Ok(Outcome::Measured(Figures {
        deliveries_per_s: burst.per_second,
        cpu_ns: Some(burst.cpu_ns),
        lost_percent: 100.0 * lost as f64 / burst.sent.max(1) as f64,
        ..Figures::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the generator writes it, shortened.
    const REPORT: &str = r#"{
      "version": "0.1.0",
      "plan": {"dialect": "line", "clients": 1000},
      "problems": [],
      "connected_s": 0.02, "logged_in_s": 0.03,
      "deliveries": 100, "deliveries_per_s": 50.5,
      "delivery_latency": {"count": 100, "mean_ns": 1.5, "p50_ns": 1000, "p99_ns": 2000, "p99_9_ns": 3000, "max_ns": 4000},
      "schedule_lag": {"count": 1, "mean_ns": 1.5, "p50_ns": 1, "p99_ns": 7, "p99_9_ns": 8, "max_ns": 9},
      "lost_percent": 0.0,
      "generator_cpu": {"seconds": 1.0, "cores": 0.5, "ns_per_delivery": 10.0},
      "server_cpu": {"seconds": 1.0, "cores": 0.25, "ns_per_delivery": 12.5},
      "server_cpu_entering": {"seconds": 1.0, "ns_per_client": 20000.0},
      "server_memory": {"before_bytes": 1, "connected_bytes": 2, "end_bytes": 3, "bytes_per_client": 242.5}
    }"#;

    #[test]
    fn a_report_is_read() {
        let expected = Figures {
            deliveries_per_s: 50.5,
            cpu_ns: Some(12.5),
            p50_ns: Some(1000.0),
            p99_ns: Some(2000.0),
            p99_9_ns: Some(3000.0),
            memory_bytes: Some(242.5),
            connected_s: Some(0.02),
            logged_in_s: Some(0.03),
            entry_cpu_ns: Some(20_000.0),
            lost_percent: 0.0,
            server_cores: Some(0.25),
            generator_cores: Some(0.5),
            schedule_lag_p99_ns: Some(7.0),
        };
        assert_eq!(of_generator(REPORT).expect("it is JSON"), Outcome::Measured(expected));
    }

    #[test]
    fn a_report_with_problems_has_no_figures() {
        let report =
            REPORT.replace(r#""problems": []"#, r#""problems": ["1 delivery lost", "2 deliveries doubled"]"#);
        let failed = Outcome::Failed("1 delivery lost; 2 deliveries doubled".to_owned());
        assert_eq!(of_generator(&report).expect("it is JSON"), failed);
    }

    #[test]
    fn what_is_no_report_is_an_error() {
        assert!(of_generator("{}").is_err());
        assert!(of_sendto("").is_err());
    }

    #[test]
    fn the_loop_of_sendto_is_read() {
        let outcome = of_sendto(r#"{"sent": 200, "received": 199, "per_second": 45000.0, "cpu_ns": 4120.0}"#);
        let Ok(Outcome::Measured(figures)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((figures.cpu_ns, figures.lost_percent), (Some(4120.0), 0.5));
    }

    #[test]
    fn an_outcome_survives_its_file() {
        let outcomes = [
            of_generator(REPORT).expect("it is JSON"),
            Outcome::Failed("2 lost".to_owned()),
            Outcome::Cannot("has no datagrams".to_owned()),
        ];
        for outcome in outcomes {
            let text = serde_json::to_string(&outcome).expect("it can be written");
            assert_eq!(serde_json::from_str::<Outcome>(&text).expect("it can be read"), outcome);
        }
    }

    #[test]
    fn figures_are_readable() {
        assert_eq!(Figure::Deliveries.words(28_519_390.0), "28.5 M");
        assert_eq!(Figure::Deliveries.words(49_890.0), "49.9 k");
        assert_eq!(Figure::Cpu.words(22.04), "22.0 ns");
        assert_eq!(Figure::Cpu.words(12_856.3), "12.9 µs");
        assert_eq!(Figure::P99.words(5_550_000.0), "5.55 ms");
        assert_eq!(Figure::Memory.words(242.0), "242 B");
        assert_eq!(Figure::Memory.words(14_676.0), "14.7 kB");
        assert_eq!(Figure::IdleCpu.words(0.0123), "1.23 %");
        assert_eq!(Figure::Lost.words(0.0), "0 %");
        assert_eq!(Figure::LoggedIn.words(0.0312), "31.2 ms");
        assert_eq!(Figure::Memory.words(2572.0), "2.57 kB");
        assert_eq!(Figure::Cpu.words_with_spread(998.0, 950.0, 1020.0), "998 ns (950 to 1020)");
    }
}
