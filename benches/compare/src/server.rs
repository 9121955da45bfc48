//! The servers that are compared: how each is started, and what is spoken with it.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::scenario::{Scenario, Traffic, Transport};

/// A server, or what stands in for the least that one can do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[value(rename_all = "kebab-case")]
pub(crate) enum Server {
    /// The least that a chat server can do: the unit of measure.
    Floor,
    /// Parlance, which keeps nothing, as the others do.
    Parlance,
    /// Parlance as it is without a flag: what is said is kept in a database.
    ParlanceKept,
    /// Redis, pub/sub.
    Redis,
    /// NATS, nothing kept.
    Nats,
    /// `InspIRCd`.
    Inspircd,
    /// Mosquitto (MQTT), quality of service 0.
    Mosquitto,
    /// The server that one would write with tokio: a task a client, a broadcast channel a room.
    Tokio,
    /// For datagrams the least is a loop of `sendto`, without a server around it.
    Sendto,
}

/// Which core is whose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cores {
    pub(crate) server: usize,
    pub(crate) generator: usize,
}

/// Datagrams that the loop of `sendto` sends for a second of Parlance's.
const DATAGRAMS: u32 = 45_000;

impl Server {
    /// As the tables call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Parlance => "Parlance",
            Self::ParlanceKept => "Parlance, history kept",
            Self::Redis => "Redis pub/sub",
            Self::Nats => "NATS",
            Self::Inspircd => "InspIRCd",
            Self::Mosquitto => "Mosquitto",
            Self::Tokio => "tokio, a task a client",
            Self::Sendto => "`sendto` loop",
        }
    }

    /// The package of Debian's that it is in, if it is in one.
    pub(crate) fn package(self) -> Option<&'static str> {
        match self {
            Self::Redis => Some("redis-server"),
            Self::Nats => Some("nats-server"),
            Self::Inspircd => Some("inspircd"),
            Self::Mosquitto => Some("mosquitto"),
            Self::Floor | Self::Parlance | Self::ParlanceKept | Self::Tokio | Self::Sendto => None,
        }
    }

    /// Where it listens, on 127.0.0.1; the files in `peers/` say the same.
    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Floor => 21_000,
            Self::Parlance => 21_001,
            Self::ParlanceKept => 21_002,
            Self::Redis => 21_003,
            Self::Nats => 21_004,
            Self::Inspircd => 21_005,
            Self::Mosquitto => 21_006,
            Self::Tokio => 21_007,
            Self::Sendto => 0,
        }
    }

    /// Whether it is a program that the generator is pointed at.
    pub(crate) fn has_generator(self) -> bool {
        self != Self::Sendto
    }

    /// The dialect in which the generator speaks to it in a scenario, or why it has none for it.
    pub(crate) fn dialect(self, scenario: &Scenario) -> Result<&'static str, &'static str> {
        if scenario.transport == Transport::Datagrams {
            return match self {
                Self::Parlance => Ok("tcrp"),
                Self::Sendto => Ok(""),
                _ => Err("has no datagrams"),
            };
        }
        match self {
            Self::Floor | Self::Parlance | Self::ParlanceKept | Self::Tokio if scenario.has_rooms() => {
                Ok("slash")
            }
            Self::Floor | Self::Parlance | Self::ParlanceKept | Self::Tokio => Ok("line"),
            Self::Redis => Ok("redis"),
            Self::Nats => Ok("nats"),
            Self::Inspircd => Ok("irc"),
            Self::Mosquitto => Ok("mqtt"),
            Self::Sendto => Err("has only datagrams"),
        }
    }

    /// Whether it belongs into a scenario's table. What has nothing to do with it is not worth a row.
    pub(crate) fn takes_part(self, scenario: &Scenario) -> bool {
        let is_of_datagrams = matches!(self, Self::Parlance | Self::Sendto);
        match scenario.transport {
            Transport::Datagrams => is_of_datagrams,
            Transport::Stream => self != Self::Sendto,
        }
    }

    /// What all are measured by in a scenario.
    pub(crate) fn unit(scenario: &Scenario) -> Self {
        match scenario.transport {
            Transport::Datagrams => Self::Sendto,
            Transport::Stream => Self::Floor,
        }
    }

    /// How it is started, from the root of the repository; `DIR` is an empty directory.
    pub(crate) fn command(self, scenario: &Scenario, cores: Cores) -> String {
        let port = self.port();
        let rooms = if scenario.has_rooms() { " --rooms" } else { "" };
        let program = match self {
            Self::Floor => format!("target/release/examples/floor --addr 127.0.0.1:{port}{rooms}"),
            Self::Tokio => format!("target/release/examples/tokio_broadcast --addr 127.0.0.1:{port}{rooms}"),
            Self::Parlance => {
                let listeners = self.listeners(scenario);
                format!(
                    "{PARLANCE} --pin {} --store memory --history-keep-messages 0 {listeners}",
                    cores.server
                )
            }
            Self::ParlanceKept => {
                let listeners = self.listeners(scenario);
                format!("{PARLANCE} --pin {} --data DIR {listeners}", cores.server)
            }
            Self::Redis => "redis-server benches/compare/peers/redis.conf".to_owned(),
            Self::Nats => "nats-server -c benches/compare/peers/nats.conf".to_owned(),
            Self::Inspircd => {
                "inspircd --runasroot --nofork --nopid --config benches/compare/peers/inspircd.conf"
                    .to_owned()
            }
            Self::Mosquitto => "mosquitto -c benches/compare/peers/mosquitto.conf".to_owned(),
            Self::Sendto => return sendto(scenario, cores),
        };
        format!("taskset -c {} {program}", cores.server)
    }

    /// Parlance's endpoints: the one that the scenario needs.
    fn listeners(self, scenario: &Scenario) -> String {
        let dialect = self.dialect(scenario).unwrap_or_default();
        let mut listeners = Vec::new();
        for other in ["line", "slash", "tcrp", "ucrp", "typed", "gob"] {
            let endpoint = match (dialect, other) {
                _ if dialect == other => format!("127.0.0.1:{}", self.port()),
                ("tcrp", "ucrp") => format!("127.0.0.1:{}", self.port()),
                _ => "off".to_owned(),
            };
            listeners.push(format!("--{other} {endpoint}"));
        }
        listeners.join(" ")
    }

    /// What prints its version, where it is not of this repository.
    pub(crate) fn version_command(self) -> Option<[&'static str; 2]> {
        match self {
            Self::Redis => Some(["redis-server", "--version"]),
            Self::Nats => Some(["nats-server", "--version"]),
            Self::Inspircd => Some(["inspircd", "--version"]),
            // It has no flag for it alone, but says it above its help.
            Self::Mosquitto => Some(["mosquitto", "-h"]),
            Self::Floor | Self::Parlance | Self::ParlanceKept | Self::Tokio | Self::Sendto => None,
        }
    }
}

/// No file of the working directory's has a say.
const PARLANCE: &str = "target/release/parlance --config /dev/null --log warn";

/// As many datagrams, of the same size, to as many sockets, in the same bursts and as many bursts a second.
fn sendto(scenario: &Scenario, cores: Cores) -> String {
    /// A length, a name of twelve letters, and the text.
    const AROUND: u32 = 1 + 12;
    let Traffic::Rate(messages) = scenario.traffic else { return String::new() };
    let burst = scenario.room_size - 1;
    format!(
        "target/release/examples/sendto_floor --json --size {} --receivers {} --burst {burst} --rate {} --datagrams {} \
         --pin {} --pin-receivers {}",
        scenario.size + AROUND,
        scenario.clients,
        messages * burst,
        DATAGRAMS * 2,
        cores.server,
        cores.generator
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::SCENARIOS;

    const CORES: Cores = Cores { server: 0, generator: 1 };

    #[test]
    fn the_files_have_the_ports_of_the_table() {
        let files = [
            (Server::Redis, include_str!("../peers/redis.conf")),
            (Server::Nats, include_str!("../peers/nats.conf")),
            (Server::Inspircd, include_str!("../peers/inspircd.conf")),
            (Server::Mosquitto, include_str!("../peers/mosquitto.conf")),
        ];
        for (server, file) in files {
            assert!(file.contains(&server.port().to_string()), "{server:?}");
            assert!(file.contains("127.0.0.1"), "{server:?}");
        }
    }

    #[test]
    fn whoever_takes_part_has_a_dialect_and_so_has_the_unit() {
        for scenario in SCENARIOS {
            for server in Server::value_variants() {
                assert_eq!(server.dialect(scenario).is_ok(), server.takes_part(scenario));
            }
            assert!(Server::unit(scenario).takes_part(scenario) && Server::Parlance.takes_part(scenario));
        }
    }

    #[test]
    fn parlance_listens_where_it_is_spoken_to_and_nowhere_else() {
        let rooms = Scenario::named("rooms-of-10").expect("it is in the table");
        let command = Server::Parlance.command(rooms, CORES);
        assert!(command.contains("--line off --slash 127.0.0.1:21001 --tcrp off --ucrp off"), "{command}");
        let datagrams = Scenario::named("udp-room-1000").expect("it is in the table");
        let command = Server::Parlance.command(datagrams, CORES);
        assert!(command.contains("--tcrp 127.0.0.1:21001 --ucrp 127.0.0.1:21001"), "{command}");
    }
}
