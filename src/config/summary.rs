//! What a configuration means, in words, for someone who wants to know before starting.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Config, LogFormat, MaxClients, PingIdentity, Shards, TcrpNames, UcrpSender};
use crate::chat::HistoryRule;
use crate::fanout::{LagPolicies, LagPolicy};
use crate::limits::{
    ACCOUNTS_WIDE_FACTOR, ATTEMPTS_OF_NAME_MAX, ATTEMPTS_SECONDS, ATTEMPTS_WAIT_SECONDS_MAX,
    RATE_SECONDS_HELD, RESUME_SECONDS_MAX,
};
use crate::store::{Durability, StoreSpec};
use crate::wire::{Dialect, Transport};

impl fmt::Display for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_listeners(out)?;
        self.write_timeouts(out)?;
        self.write_particulars(out)?;
        self.write_bounds(out)?;
        self.write_kept(out)?;
        self.write_process(out)?;
        self.warnings.iter().try_for_each(|warning| writeln!(out, "Warning: {warning}."))
    }
}

impl Config {
    fn write_listeners(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for dialect in Dialect::ALL {
            let name = dialect.name();
            let addresses = self.listener(dialect).addresses(&self.bind);
            let Some(first) = addresses.first() else {
                writeln!(out, "The {name} dialect is off.")?;
                continue;
            };
            let who = if addresses.iter().all(|address| address.ip().is_loopback()) {
                "for this machine only"
            } else if addresses.iter().all(SocketAddr::is_ipv4)
                && addresses.iter().any(|address| address.ip().is_unspecified())
            {
                "for everyone who can reach it with IPv4"
            } else {
                "for everyone who can reach it"
            };
            let port = match (first.port(), addresses.len()) {
                (0, 1) => " (any free port)",
                (0, _) => " (any free port, the same one on each)",
                _ => "",
            };
            let transport = match dialect.transport() {
                Transport::Stream | Transport::Paced => "",
                Transport::Datagram => " over UDP",
            };
            let addresses = listed(&addresses);
            writeln!(out, "The {name} dialect listens on {addresses}{transport}{port}, {who}.")?;
        }
        Ok(())
    }

    fn write_timeouts(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let idle = [
            (Dialect::Line, self.idle_timeout, "sends no line and is sent nothing", "is closed"),
            (Dialect::Slash, self.slash_idle_timeout, "sends no line and is sent nothing", "is closed"),
            (Dialect::Ucrp, self.ucrp_idle_timeout, "sends no datagram", "loses its seat"),
            (Dialect::Typed, self.typed_idle_timeout, "sends no request", "is closed"),
            (Dialect::Gob, self.gob_idle_timeout, "sends no message and is sent nothing", "is closed"),
        ];
        for (dialect, timeout, silent, end) in idle.into_iter().filter(|idle| self.speaks(idle.0)) {
            let name = dialect.name();
            match timeout {
                None => writeln!(out, "A {name} client may stay silent for ever.")?,
                Some(timeout) => {
                    writeln!(out, "A {name} client that {silent} for {} {end}.", Seconds(timeout))?;
                }
            }
        }
        match self.login_timeout {
            None => writeln!(out, "A connection may take for ever to log in."),
            Some(timeout) => {
                writeln!(out, "A connection that has not logged in after {} is closed.", Seconds(timeout))
            }
        }
    }

    /// What only one dialect has.
    fn write_particulars(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.speaks(Dialect::Ucrp) {
            let whence = match self.ucrp_sender {
                UcrpSender::SameIp => "only from the address that its token was given to",
                UcrpSender::Any => "from any address, as long as it shows a token",
            };
            writeln!(out, "A ucrp datagram counts {whence}.")?;
            if self.ucrp_queries {
                writeln!(out, "A ucrp client may ask who is in its room, and for the last messages there.")?;
            }
        }
        if self.speaks(Dialect::Slash) {
            let tries = Counted(self.slash_nick_tries.into(), "nickname");
            writeln!(out, "A slash client may try {tries} before its connection is closed.")?;
        }
        if self.speaks(Dialect::Tcrp) {
            match self.tcrp_names {
                TcrpNames::Near => {
                    writeln!(out, "A tcrp client whose name is not one gets the nearest free name.")?;
                }
                TcrpNames::Strict => writeln!(out, "A tcrp client whose name is not one is refused.")?,
            }
        }
        if !self.reserved_names.is_empty() {
            let names = self.reserved_names.join(", ");
            writeln!(out, "Reserved besides the names that always are: {names}.")?;
        }
        if self.speaks(Dialect::Typed) {
            match self.typed_ping_identity {
                PingIdentity::Off => writeln!(out, "A typed client logs in with a password.")?,
                PingIdentity::SameIp => writeln!(
                    out,
                    "A typed client logs in with a password, or with the bare name that its address had up to {} ago.",
                    Seconds(Duration::from_secs(RESUME_SECONDS_MAX))
                )?,
            }
        }
        if self.speaks(Dialect::Gob) {
            match self.gob_gap.as_micros() {
                0 => writeln!(out, "A gob client is sent as many messages at once as there are.")?,
                micros => writeln!(
                    out,
                    "A gob client is sent one message at a time, and the next after {}.",
                    Counted(micros, "microsecond")
                )?,
            }
        }
        Ok(())
    }

    /// Whether the settings of a dialect mean anything.
    fn speaks(&self, dialect: Dialect) -> bool {
        self.is_on(dialect)
    }

    fn write_bounds(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max_clients {
            MaxClients::Auto => {
                writeln!(out, "As many clients are served at once as the limit on open files allows.")?;
            }
            MaxClients::Limit(limit) => {
                writeln!(out, "At most {limit} clients are served at once.")?;
            }
        }
        self.write_limits(out)?;
        self.write_attempts(out)?;
        writeln!(
            out,
            "A room keeps its latest {} bytes for slow members, for each dialect; all rooms together keep {}, for which the \
             room gives way that was least recently read.",
            self.log_bytes, self.log_total_bytes
        )?;
        let mut dialects = LagPolicies::dialects().filter(|&dialect| self.speaks(dialect));
        let first = dialects.clone().map(|dialect| self.lag.of(dialect)).next();
        if dialects.clone().all(|dialect| Some(self.lag.of(dialect)) == first) {
            return first.map_or(Ok(()), |policy| writeln!(out, "A member that {}.", Lag(policy)));
        }
        dialects.try_for_each(|dialect| {
            writeln!(out, "A {} member that {}.", dialect.name(), Lag(self.lag.of(dialect)))
        })
    }

    /// What an address may do.
    fn write_limits(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients = AtMost(self.address_clients.into(), "connection or seat", "connections and seats");
        write!(out, "An address (of IPv6, a /64) may hold {clients}, and connect ")?;
        write_rate(out, self.address_connects, "time", "times")?;
        let rooms = |count: u32| AtMost(count.into(), "room", "rooms");
        write!(
            out,
            ".\n{}\nOf one address {} may be there that it made, and a person may be in, or have made, {}.\nA session may send ",
            NewAccounts(self.address_accounts),
            rooms(self.address_rooms),
            rooms(self.session_rooms)
        )?;
        write_rate(out, self.session_messages, "message", "messages")?;
        write!(out, ", and ")?;
        write_rate(out, self.session_bytes, "byte", "bytes")?;
        writeln!(out, ".")?;
        match &self.exempt[..] {
            [] => writeln!(out, "No address is exempt from that.")?,
            exempt => writeln!(out, "Clients from {} are exempt from that.", listed(exempt))?,
        }
        for dialect in Dialect::ALL {
            let Some(exempt) = &self.listener(dialect).exempt else { continue };
            if *exempt == self.exempt {
                continue;
            }
            let name = dialect.name();
            match &exempt[..] {
                [] => writeln!(out, "On the {name} listener no address is exempt from that.")?,
                exempt => {
                    writeln!(out, "On the {name} listener only clients from {} are exempt.", listed(exempt))?;
                }
            }
        }
        Ok(())
    }

    fn write_attempts(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "After {} for a name from one address within {ATTEMPTS_SECONDS} seconds, no more are checked for \
             {ATTEMPTS_SECONDS} seconds.\n\
             From {ATTEMPTS_OF_NAME_MAX} wrong passwords for a name in an hour on, each check of it waits up to \
             {ATTEMPTS_WAIT_SECONDS_MAX} seconds, except from addresses that proved it.",
            Counted(self.password_attempts.into(), "wrong password")
        )
    }

    fn write_kept(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.store_spec() {
            StoreSpec::Memory => {
                writeln!(
                    out,
                    "Nothing is kept on disk: accounts, messages and rooms are gone when the server stops."
                )?;
            }
            StoreSpec::Sqlite(file) => {
                writeln!(out, "Accounts, messages and rooms are kept in the database `{}`.", file.display())?;
            }
            StoreSpec::Jsonl(directory) => writeln!(
                out,
                "Accounts, messages and rooms are kept in a log that people can read, in `{}`.",
                directory.display()
            )?,
        }
        if self.store != StoreSpec::Memory {
            let when = match self.durability {
                Durability::Full => "once it is on disk",
                Durability::Normal => "once the operating system has it: a loss of power may lose it",
                Durability::None => "before it is written: the end of the server may lose it",
            };
            writeln!(out, "What is to be kept is acknowledged {when}.")?;
            if !self.search {
                writeln!(out, "There is no index for searching: a search reads everything.")?;
            }
        }
        let rules = self.history_rules();
        for (pattern, rule) in &rules.rooms {
            writeln!(out, "Of rooms called `{}`, {}.", String::from(pattern.clone()), History(*rule))?;
        }
        let others = if rules.rooms.is_empty() { "each room" } else { "each other room" };
        writeln!(out, "Of {others}, {}.", History(rules.default))
    }

    fn write_process(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "At shutdown, clients have up to {} to receive what they are owed.",
            Seconds(self.drain_timeout)
        )?;
        match (self.shards, &self.pin[..]) {
            (Shards::Count(1), []) => writeln!(out, "The kernel chooses the core.")?,
            (_, [core]) => writeln!(out, "The server runs on core {core}.")?,
            (Shards::Count(count), []) => {
                writeln!(out, "{count} shards share the connections; the kernel chooses the cores.")?;
            }
            (Shards::Auto, []) => {
                writeln!(out, "Shards, one a core, share the connections; the kernel chooses the cores.")?;
            }
            (_, cores) => {
                let cores: Vec<_> = cores.iter().map(ToString::to_string).collect();
                writeln!(
                    out,
                    "A shard on each of the cores {} has its part of the connections.",
                    cores.join(", ")
                )?;
            }
        }
        let format = match self.log_format {
            LogFormat::Text => "text",
            LogFormat::Json => "JSON",
        };
        writeln!(out, "The log goes to standard error as {format}, filtered by `{}`.", self.log)?;
        if let Some(fd) = self.ready_fd {
            writeln!(out, "Once everything listens, descriptor {fd} is told.")?;
        }
        if let Some(path) = &self.ready_file {
            writeln!(out, "Once everything listens, `{}` is written.", path.display())?;
        }
        Ok(())
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(items: &[impl fmt::Display]) -> String {
    let texts: Vec<_> = items.iter().map(ToString::to_string).collect();
    match texts.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

struct Lag(LagPolicy);

impl fmt::Display for Lag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.0 {
            LagPolicy::Skip => {
                "falls further behind skips to the latest message and is told how many it missed"
            }
            LagPolicy::Close => "falls further behind is told so, and closed",
        })
    }
}

struct History(HistoryRule);

impl fmt::Display for History {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HistoryRule { keep_messages, keep_days, on_join } = self.0;
        if keep_messages == 0 {
            return out.write_str("nothing that is said is kept");
        }
        write!(out, "the latest {} are kept", Counted(keep_messages.into(), "message"))?;
        match keep_days {
            0 => {}
            days => write!(out, " for {}", Counted(days.into(), "day"))?,
        }
        match on_join {
            0 => out.write_str(", and none is shown to new members"),
            count => write!(out, ", and the last {count} shown to new members"),
        }
    }
}

/// Writes how much may come a second.
fn write_rate(
    out: &mut fmt::Formatter<'_>,
    a_second: u32,
    one: &'static str,
    many: &'static str,
) -> fmt::Result {
    match a_second {
        0 => write!(out, "any number of {many} a second"),
        count => {
            let at_once = u64::from(count) * RATE_SECONDS_HELD;
            write!(out, "{} a second, {at_once} of them at once", AtMost(count.into(), one, many))
        }
    }
}

/// How many there may be, where 0 is any number.
struct AtMost(u64, &'static str, &'static str);

impl fmt::Display for AtMost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(0, _, many) => write!(out, "any number of {many}"),
            Self(1, one, _) => write!(out, "1 {one}"),
            Self(count, _, many) => write!(out, "{count} {many}"),
        }
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Counted(self.0.as_secs().into(), "second").fmt(out)
    }
}

struct Counted(u128, &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, unit) = self;
        write!(out, "{count} {unit}{}", if *count == 1 { "" } else { "s" })
    }
}

/// The accounts that a network may make a day.
struct NewAccounts(u32);

impl fmt::Display for NewAccounts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(a_day) = *self;
        if a_day == 0 {
            return write!(out, "An address may make any number of accounts.");
        }
        write!(
            out,
            "An address may make {} a day, {} at once; a /24 (of IPv6, a /48) may make {}.",
            AtMost(a_day.into(), "account", "accounts"),
            a_day.div_ceil(2),
            a_day.saturating_mul(ACCOUNTS_WIDE_FACTOR)
        )
    }
}
