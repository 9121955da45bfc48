//! What the servers are put through: one table, [`SCENARIOS`].

use std::time::Duration;

use crate::figures::Figure;

/// A load, the same for all servers.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What it is, in words.
    pub(crate) title: &'static str,
    pub(crate) clients: u32,
    /// Clients in a room. All in one, when it is as many as there are clients.
    pub(crate) room_size: u32,
    /// How many speak; nothing for the generator's default: four, or one in each room.
    pub(crate) publishers: Option<u32>,
    /// Bytes of a text.
    pub(crate) size: u32,
    pub(crate) traffic: Traffic,
    pub(crate) transport: Transport,
}

/// When messages are published.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Traffic {
    /// As fast as can be, with so many published and not yet delivered to everyone.
    Window(u32),
    /// So many a second, in all.
    Rate(u32),
    /// Never: everybody stays, for a second.
    Idle,
    /// Never: everybody comes and goes.
    Storm,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transport {
    Stream,
    Datagrams,
}

/// What all have in common, where they do not say otherwise.
const BASE: Scenario = Scenario {
    name: "",
    title: "",
    clients: 1000,
    room_size: 1000,
    publishers: None,
    size: 64,
    traffic: Traffic::Idle,
    transport: Transport::Stream,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "room-1000-window-64",
        title: "One room of 1000, window 64",
        traffic: Traffic::Window(64),
        ..BASE
    },
    Scenario {
        name: "room-1000-window-512",
        title: "One room of 1000, window 512",
        traffic: Traffic::Window(512),
        ..BASE
    },
    Scenario {
        name: "room-1000-paced",
        title: "One room of 1000, 50 messages/s",
        traffic: Traffic::Rate(50),
        ..BASE
    },
    Scenario {
        name: "rooms-of-10",
        title: "1000 rooms of 10, 5000 messages/s",
        clients: 10_000,
        room_size: 10,
        traffic: Traffic::Rate(5000),
        ..BASE
    },
    Scenario {
        name: "room-10000",
        title: "One room of 10,000, 5 messages/s",
        clients: 10_000,
        room_size: 10_000,
        traffic: Traffic::Rate(5),
        ..BASE
    },
    Scenario {
        name: "everyone-speaks",
        title: "One room of 100, all of whom publish, window 100",
        clients: 100,
        room_size: 100,
        publishers: Some(100),
        traffic: Traffic::Window(100),
        ..BASE
    },
    Scenario {
        name: "idle-10000",
        title: "10,000 idle clients",
        clients: 10_000,
        room_size: 10_000,
        traffic: Traffic::Idle,
        ..BASE
    },
    Scenario {
        name: "storm-10000",
        title: "10,000 clients that come all at once",
        clients: 10_000,
        room_size: 10_000,
        traffic: Traffic::Storm,
        ..BASE
    },
    Scenario {
        name: "size-16",
        title: "One room of 100, window 64, texts of 16 bytes",
        clients: 100,
        room_size: 100,
        size: 16,
        traffic: Traffic::Window(64),
        ..BASE
    },
    Scenario {
        name: "size-64",
        title: "One room of 100, window 64, texts of 64 bytes",
        clients: 100,
        room_size: 100,
        traffic: Traffic::Window(64),
        ..BASE
    },
    Scenario {
        name: "size-512",
        title: "One room of 100, window 64, texts of 512 bytes",
        clients: 100,
        room_size: 100,
        size: 512,
        traffic: Traffic::Window(64),
        ..BASE
    },
    // The longest that fits a line of 4096 bytes, which is as long as the line dialect has them.
    Scenario {
        name: "size-4091",
        title: "One room of 100, window 64, texts of 4091 bytes",
        clients: 100,
        room_size: 100,
        size: 4091,
        traffic: Traffic::Window(64),
        ..BASE
    },
    Scenario {
        name: "udp-rooms-of-10",
        title: "UDP: 1000 rooms of 10, 5000 messages/s",
        clients: 10_000,
        room_size: 10,
        traffic: Traffic::Rate(5000),
        transport: Transport::Datagrams,
        ..BASE
    },
    Scenario {
        name: "udp-room-1000",
        title: "UDP: one room of 1000, 45 messages/s",
        traffic: Traffic::Rate(45),
        transport: Transport::Datagrams,
        ..BASE
    },
];

/// How long a server is idle, and how long it is looked at after a storm.
const IDLE: Duration = Duration::from_secs(1);
const AFTER_A_STORM: Duration = Duration::from_millis(100);

impl Scenario {
    #[cfg(test)]
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    pub(crate) fn has_rooms(&self) -> bool {
        self.room_size < self.clients
    }

    /// The generator's arguments, but for whom it speaks to, and in which dialect.
    pub(crate) fn arguments(&self, warmup: Duration, duration: Duration) -> String {
        let (warmup, duration) = match self.traffic {
            Traffic::Window(_) | Traffic::Rate(_) => (warmup, duration),
            Traffic::Idle => (Duration::ZERO, IDLE),
            Traffic::Storm => (Duration::ZERO, AFTER_A_STORM),
        };
        let mut arguments = vec![format!("--clients {}", self.clients)];
        if self.has_rooms() {
            arguments.push(format!("--room-size {}", self.room_size));
        }
        if let Some(publishers) = self.publishers {
            arguments.push(format!("--publishers {publishers}"));
        }
        arguments.push(match self.traffic {
            Traffic::Window(window) => format!("--size {} --window {window}", self.size),
            Traffic::Rate(rate) => format!("--size {} --rate {rate}", self.size),
            Traffic::Idle | Traffic::Storm => "--idle".to_owned(),
        });
        let of = |duration| humantime::format_duration(duration).to_string().replace(' ', "");
        arguments.push(format!("--warmup {} --duration {}", of(warmup), of(duration)));
        arguments.join(" ")
    }

    /// What its table shows.
    pub(crate) fn columns(&self) -> &'static [Figure] {
        use Figure::{Connected, Cpu, Deliveries, EntryCpu, IdleCpu, LoggedIn, Lost, Memory, P50, P99, P999};
        match (self.transport, self.traffic) {
            // How long a full window takes says nothing but how full it is.
            (_, Traffic::Window(_)) => &[Deliveries, Cpu, Memory, LoggedIn],
            (Transport::Stream, Traffic::Rate(_)) => &[Deliveries, Cpu, P50, P99, P999, Memory, LoggedIn],
            (Transport::Datagrams, Traffic::Rate(_)) => &[Deliveries, Cpu, P50, P99, P999, Lost],
            (_, Traffic::Idle) => &[Memory, IdleCpu, LoggedIn],
            (_, Traffic::Storm) => &[Connected, LoggedIn, EntryCpu],
        }
    }

    /// In what Parlance is compared with each of the others. The first is what matters most, and is compared with the
    /// floor's by each of them.
    pub(crate) fn compared(&self) -> &'static [Figure] {
        match (self.transport, self.traffic) {
            (_, Traffic::Window(_)) => &[Figure::Cpu, Figure::Deliveries],
            (Transport::Stream, Traffic::Rate(_)) => &[Figure::Cpu, Figure::P99],
            (Transport::Datagrams, Traffic::Rate(_)) => &[Figure::Cpu],
            (_, Traffic::Idle) => &[Figure::Memory],
            (_, Traffic::Storm) => &[Figure::EntryCpu, Figure::LoggedIn],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for (place, scenario) in SCENARIOS.iter().enumerate() {
            let first = SCENARIOS.iter().position(|other| other.name == scenario.name);
            assert_eq!(first, Some(place), "{}", scenario.name);
            assert!(Scenario::named(scenario.name).is_some());
        }
        assert!(Scenario::named("none").is_none());
    }

    #[test]
    fn what_is_compared_is_shown() {
        for scenario in SCENARIOS {
            assert!(scenario.compared().iter().all(|figure| scenario.columns().contains(figure)));
        }
    }

    #[test]
    fn a_scenario_says_what_the_generator_is_to_do() {
        let arguments = |name| {
            let scenario = Scenario::named(name).expect("it is in the table");
            scenario.arguments(Duration::from_millis(500), Duration::from_secs(2))
        };
        assert_eq!(
            arguments("rooms-of-10"),
            "--clients 10000 --room-size 10 --size 64 --rate 5000 --warmup 500ms --duration 2s"
        );
        assert_eq!(
            arguments("everyone-speaks"),
            "--clients 100 --publishers 100 --size 64 --window 100 --warmup 500ms --duration 2s"
        );
        assert_eq!(arguments("idle-10000"), "--clients 10000 --idle --warmup 0s --duration 1s");
    }
}
