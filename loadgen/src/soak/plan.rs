//! What a soak is asked for on the command line, and what of it is refused.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use thiserror::Error;

use super::crowd::CLIENTS_MIN;

use crate::dialect::Dialect;
use crate::payload::{HEADER_BYTES, PUBLISHERS_MAX, RUN_MAX};
use crate::target::{Target, TargetError};

/// What every dialect carries.
const SIZE_MAX: usize = 1024;

const EXAMPLES: &str = "\
Example:
  loadgen soak --server-pid $(pgrep -x parlance) --write docs
      5000 clients for 30 minutes, of which 100 leave and 100 come each second.

Of the clients, 12 % speak line, 3 % gob and 1 % slash, in the lobby; 44 % speak slash and 35 % tcrp, in rooms of 50; 5 % speak typed and write to each other two by two. Who leaves does so as its dialect has it, resets the connection, or closes its sending side and reads to the end; a seat (tcrp) is given up, or left without a word and taken again. It comes back half a second later, under the same name. Of --rate messages a second one in a hundred is said in the lobby, and one in ten is mail, which is deleted when it is read.

A client must receive all that is said in its room after it has read that it is in, until it prepares to leave: once, and in the order of each speaker. It leaves when it has all of that. Mail must be acknowledged, and listed until it is deleted. What is lost over UDP is counted apart, and so is what the server says that a client missed because it lagged.

Exit status:
  0    all is well
  1    the server's memory was not flat (what it holds, hashing of passwords aside, differs by more than 2 % between the two times), or has open descriptors that it had not before; or something was lost, doubled, reordered or altered, or clients were refused or cut off
  2    the command line makes no sense
  130  cut short with Ctrl-C, and all was well until then";

/// Whether a server stays as it is: many clients of all dialects, who come and go for a long time.
#[derive(Args, Debug, Clone)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Plan {
    /// How many clients are there at a time; half a second of --churn more are on their way back.
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub(super) clients: usize,
    /// So many leave each second, and as many come.
    #[arg(long, value_name = "N", default_value_t = 100.0)]
    pub(super) churn: f64,
    /// Messages a second, in all rooms together, mail included.
    #[arg(long, value_name = "N", default_value_t = 200.0)]
    pub(super) rate: f64,
    /// Bytes of a message's text, 16 to 1024.
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    pub(super) size: usize,
    /// How long to measure, such as 30m or 1h.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "30m")]
    pub(super) duration: Duration,
    /// How long people come and go before measuring.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "2m")]
    pub(super) warmup: Duration,
    /// Compare the memory in so long a time at the beginning and at the end of the duration [default: a third of it]
    #[arg(long, value_parser = humantime::parse_duration)]
    compare: Option<Duration>,
    /// Watch the memory and the descriptors of this process of this machine, the server.
    #[arg(long, value_name = "PID")]
    pub(super) server_pid: Option<i32>,
    /// Write the report with all samples to DIR/soak.json, and a plot of them to DIR/soak.svg.
    #[arg(long, value_name = "DIR")]
    pub(super) write: Option<PathBuf>,
    /// Where the server has a dialect, if not on 127.0.0.1 and its default port; ucrp is where datagrams go.
    #[arg(long = "addr", value_name = "DIALECT=HOST:PORT", value_parser = parse_address)]
    addresses: Vec<(String, String)>,
    /// The same, looked up once.
    #[arg(skip)]
    found: Vec<(String, SocketAddr)>,
    /// Where datagrams go.
    #[arg(skip = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))]
    pub(super) datagrams: SocketAddr,
}

/// What is asked for makes no sense, and what would.
#[derive(Debug, Error, PartialEq)]
pub(crate) enum PlanError {
    #[error(
        "--clients {0} is out of range: it takes at least {CLIENTS_MIN}, and at most {PUBLISHERS_MAX} with those on their way back"
    )]
    Clients(usize),
    #[error("{flag} {value} is out of range: it takes 0 to {max}")]
    Rate { flag: &'static str, value: f64, max: f64 },
    #[error("--size {0} is out of range: it takes {HEADER_BYTES} to {SIZE_MAX}")]
    Size(usize),
    #[error("--compare must be more than 0s, and at most half of --duration")]
    Compare,
    #[error("--warmup and --duration must be at most {} h together", RUN_MAX.as_secs() / 3600)]
    TooLong,
    #[error("--addr {0}=…: there is no such dialect; use line, slash, tcrp, ucrp, typed or gob")]
    Dialect(String),
    #[error("--addr {dialect}=…: {words}")]
    Address { dialect: String, words: String },
    /// The command line makes sense; the server is not found.
    #[error("{0}")]
    Server(String),
}

impl PlanError {
    fn of_target(dialect: &str, error: TargetError) -> Self {
        match error {
            TargetError::Text(words) => Self::Address { dialect: dialect.to_owned(), words },
            TargetError::Server(words) => Self::Server(words),
        }
    }
}

/// The dialects that take part.
pub(super) const DIALECTS: [Dialect; 5] =
    [Dialect::Line, Dialect::Slash, Dialect::Tcrp, Dialect::Typed, Dialect::Gob];

impl Plan {
    /// Checks the arguments and fills in what was left out.
    pub(crate) fn check(mut self) -> Result<Self, PlanError> {
        if self.clients < CLIENTS_MIN || self.names() > PUBLISHERS_MAX {
            return Err(PlanError::Clients(self.clients));
        }
        for (flag, value, max) in [("--churn", self.churn, 10_000.0), ("--rate", self.rate, 100_000.0)] {
            if !(0.0..=max).contains(&value) {
                return Err(PlanError::Rate { flag, value, max });
            }
        }
        if !(HEADER_BYTES..=SIZE_MAX).contains(&self.size) {
            return Err(PlanError::Size(self.size));
        }
        if self.compare().is_zero() || self.compare() > self.duration / 2 {
            return Err(PlanError::Compare);
        }
        if self.warmup.saturating_add(self.duration) > RUN_MAX {
            return Err(PlanError::TooLong);
        }
        let is_known = |name: &str| name == "ucrp" || DIALECTS.iter().any(|dialect| dialect.name() == name);
        if let Some((name, _)) = self.addresses.iter().find(|(name, _)| !is_known(name)) {
            return Err(PlanError::Dialect(name.clone()));
        }
        self.find_servers()?;
        Ok(self)
    }

    fn find_servers(&mut self) -> Result<(), PlanError> {
        for dialect in DIALECTS {
            if let Some(text) = self.given(dialect.name()) {
                let target = Target::find(text, dialect.default_port());
                let target = target.map_err(|error| PlanError::of_target(dialect.name(), error))?;
                self.found.push((dialect.name().to_owned(), target.address));
            }
        }
        let port = Dialect::Tcrp.default_datagram_port().unwrap_or_default();
        let mut handshake = self.address(Dialect::Tcrp);
        self.datagrams = if let Some(text) = self.given("ucrp") {
            let found = Target::of_datagrams(text, port, handshake.ip());
            found.map_err(|error| PlanError::of_target("ucrp", error))?
        } else {
            handshake.set_port(port);
            handshake
        };
        Ok(())
    }

    fn given(&self, name: &str) -> Option<&str> {
        self.addresses.iter().rev().find(|(of, _)| of == name).map(|(_, text)| text.as_str())
    }

    /// How many clients there are with those who are on their way back.
    pub(super) fn names(&self) -> usize {
        #[expect(clippy::cast_sign_loss, reason = "a rate that is negative is refused")]
        let resting = (self.churn * super::turnover::REST.as_secs_f64()).ceil() as usize;
        self.clients.saturating_add(resting)
    }

    /// How long each of the two times is that are compared.
    pub(super) fn compare(&self) -> Duration {
        self.compare.unwrap_or(self.duration / 3)
    }

    pub(super) fn address(&self, dialect: Dialect) -> SocketAddr {
        let default = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), dialect.default_port());
        self.named(dialect.name()).unwrap_or(default)
    }

    fn named(&self, name: &str) -> Option<SocketAddr> {
        self.found.iter().find(|(of, _)| of == name).map(|(_, address)| *address)
    }
}

fn parse_address(text: &str) -> Result<(String, String), String> {
    let (dialect, address) =
        text.split_once('=').ok_or("a dialect and an address, as in line=127.0.0.1:4000")?;
    Ok((dialect.to_owned(), address.to_owned()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use clap::{Command, FromArgMatches};

    pub(in crate::soak) fn plan(line: &str) -> Result<Plan, PlanError> {
        let words = std::iter::once("soak").chain(line.split_whitespace());
        let matches = Plan::augment_args(Command::new("soak")).try_get_matches_from(words).expect(line);
        Plan::from_arg_matches(&matches).expect(line).check()
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let plan = plan("--addr tcrp=127.0.0.7:1 --addr gob=127.0.0.8:2").expect("it is enough");
        assert_eq!((plan.names(), plan.compare()), (5050, Duration::from_secs(600)));
        assert_eq!(plan.address(Dialect::Line), SocketAddr::from(([127, 0, 0, 1], 4000)));
        assert_eq!(plan.address(Dialect::Gob), SocketAddr::from(([127, 0, 0, 8], 2)));
        assert_eq!(plan.datagrams, SocketAddr::from(([127, 0, 0, 7], 9091)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!(plan("--clients 23").err(), Some(PlanError::Clients(23)));
        assert_eq!(plan("--clients 65500").err(), Some(PlanError::Clients(65500)));
        let rate = |flag, value, max| Some(PlanError::Rate { flag, value, max });
        assert_eq!(plan("--churn=-1").err(), rate("--churn", -1.0, 10_000.0));
        assert_eq!(plan("--rate 1e6").err(), rate("--rate", 1e6, 100_000.0));
        assert_eq!(plan("--size 15").err(), Some(PlanError::Size(15)));
        assert_eq!(plan("--duration 3m --compare 2m").err(), Some(PlanError::Compare));
        assert_eq!(plan("--duration 18h").err(), Some(PlanError::TooLong));
        assert_eq!(plan("--addr irc=127.0.0.1:1").err(), Some(PlanError::Dialect("irc".to_owned())));
    }
}
