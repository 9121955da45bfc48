//! What was found, kept in a file of JSON: a line for each scenario, so that a run of some replaces theirs alone.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::figures::{Figure, Outcome};
use crate::scenario::SCENARIOS;
use crate::server::Server;
use crate::statistics::ratio;

/// By the scenarios' names.
#[derive(Default, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results(BTreeMap<String, Measured>);

/// A scenario's rounds, all of one session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) machine: Machine,
    /// The generator's command; what is in capitals differs from server to server.
    pub(crate) generator: String,
    pub(crate) servers: BTreeMap<Server, Started>,
    pub(crate) rounds: Vec<BTreeMap<Server, Outcome>>,
}

/// How a server was started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) command: String,
    /// What was spoken with it.
    pub(crate) dialect: String,
    /// Its own word for it; nothing for what is of this repository.
    pub(crate) version: Option<String>,
}

/// Where and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) day: String,
    pub(crate) commit: String,
}

impl Measured {
    /// A server's figure, round by round; nothing in a round in which it has none.
    pub(crate) fn rounds_of(&self, server: Server, figure: Figure) -> impl Iterator<Item = Option<f64>> {
        self.rounds.iter().map(move |round| match round.get(&server) {
            Some(Outcome::Measured(figures)) => figure.of(figures),
            Some(Outcome::Failed(_) | Outcome::Cannot(_)) | None => None,
        })
    }

    /// A server's figure in all rounds that have it.
    pub(crate) fn values(&self, server: Server, figure: Figure) -> Vec<f64> {
        self.rounds_of(server, figure).flatten().collect()
    }

    /// How a figure of one server is to that of another.
    pub(crate) fn ratio(&self, of: Server, to: Server, figure: Figure) -> Option<f64> {
        ratio(self.rounds_of(of, figure).zip(self.rounds_of(to, figure)))
    }
}

impl Machine {
    pub(crate) fn this(root: &Path) -> Self {
        let git = |arguments: &[&str]| {
            let output = Command::new("git").args(arguments).current_dir(root).output().ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
        let is_changed =
            git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|files| !files.is_empty());
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let day = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        Self {
            processor: model.map_or("unknown", |(_, name)| name.trim()).to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            day: day.get(..10).unwrap_or_default().to_owned(),
            commit: if is_changed { commit + ", changed" } else { commit },
        }
    }
}

impl Results {
    /// Nothing, when there is no file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        match fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// Replaces what is known of a scenario, and nothing else.
    pub(crate) fn insert(&mut self, scenario: &str, measured: Measured) {
        self.0.insert(scenario.to_owned(), measured);
    }

    pub(crate) fn get(&self, scenario: &str) -> Option<&Measured> {
        self.0.get(scenario)
    }

    /// In the order of the scenarios' table. What is not there any more is left out.
    pub(crate) fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut text = String::from("{");
        let known = SCENARIOS.iter().filter_map(|scenario| Some((scenario.name, self.get(scenario.name)?)));
        for (place, (name, measured)) in known.enumerate() {
            let comma = if place == 0 { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}\n\"{name}\": {}", serde_json::to_string(measured)?);
        }
        text.push_str("\n}\n");
        Ok(text)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::figures::Figures;

    fn figures(cpu_ns: f64) -> Outcome {
        Outcome::Measured(Figures { cpu_ns: Some(cpu_ns), deliveries_per_s: 1e6, ..Figures::default() })
    }

    /// Three rounds of which the second was slow, and in the third the peer failed.
    pub(crate) fn measured() -> Measured {
        let started = |dialect: &str| Started {
            command: format!("serve {dialect}"),
            dialect: dialect.to_owned(),
            version: None,
        };
        let rounds = [
            [figures(10.0), figures(12.0), figures(40.0)],
            [figures(20.0), figures(26.0), figures(52.0)],
            [figures(10.0), figures(11.0), Outcome::Failed("3 deliveries lost".to_owned())],
        ];
        let servers = [Server::Floor, Server::Parlance, Server::Redis];
        Measured {
            machine: Machine {
                processor: "P".to_owned(),
                cores: 2,
                kernel: "6".to_owned(),
                day: "2026-01-02".to_owned(),
                commit: "abc".to_owned(),
            },
            generator: "loadgen --dialect DIALECT --clients 3".to_owned(),
            servers: servers.iter().map(|server| (*server, started("line"))).collect(),
            rounds: rounds.into_iter().map(|outcomes| servers.into_iter().zip(outcomes).collect()).collect(),
        }
    }

    #[test]
    fn ratios_are_of_rounds_in_which_both_went_well() {
        let measured = measured();
        assert_eq!(measured.ratio(Server::Parlance, Server::Floor, Figure::Cpu), Some(1.2));
        assert_eq!(measured.ratio(Server::Parlance, Server::Redis, Figure::Cpu), Some(0.4));
        assert_eq!(measured.ratio(Server::Parlance, Server::Nats, Figure::Cpu), None);
        assert_eq!(measured.values(Server::Redis, Figure::Cpu), [40.0, 52.0]);
    }

    #[test]
    fn a_run_of_one_scenario_replaces_that_alone() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let path = directory.path().join("results.json");
        let mut results = Results::read(&path).expect("no file is no error");
        results.insert("size-64", measured());
        results.insert("rooms-of-10", measured());
        fs::write(&path, results.to_json().expect("it can be written")).expect("there is room for a file");

        let mut again = Results::read(&path).expect("it can be read");
        assert_eq!(again, results);
        let mut other = measured();
        other.rounds.truncate(1);
        again.insert("size-64", other.clone());
        assert_eq!(again.get("size-64"), Some(&other));
        assert_eq!(again.get("rooms-of-10"), Some(&measured()));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_taken_for_none() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let path = directory.path().join("results.json");
        fs::write(&path, "{").expect("there is room for a file");
        assert!(Results::read(&path).is_err());
    }
}
