//! What a configuration means, in words, for someone who wants to know before starting.

use std::fmt;
use std::time::Duration;

use super::{Config, LogFormat, MaxClients};
use crate::engine::LagPolicy;

impl fmt::Display for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_listeners(out)?;
        self.write_timeouts(out)?;
        self.write_bounds(out)?;
        self.write_process(out)
    }
}

impl Config {
    fn write_listeners(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (dialect, endpoint) in self.endpoints() {
            match endpoint.resolve(self.bind) {
                None => writeln!(out, "The {dialect} dialect is off.")?,
                Some(address) => {
                    let who = if address.ip().is_loopback() {
                        "for this machine only"
                    } else {
                        "for everyone who can reach it"
                    };
                    let port = if address.port() == 0 { " (any free port)" } else { "" };
                    writeln!(out, "The {dialect} dialect listens on {address}{port}, {who}.")?;
                }
            }
        }
        Ok(())
    }

    fn write_timeouts(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let idle = [("line", self.idle_timeout), ("slash", self.slash_idle_timeout)];
        for (dialect, timeout) in idle {
            match timeout {
                None => writeln!(out, "A {dialect} client may stay silent for ever.")?,
                Some(timeout) => writeln!(
                    out,
                    "A {dialect} client that sends no line for {} is closed.",
                    Seconds(timeout)
                )?,
            }
        }
        match self.login_timeout {
            None => writeln!(out, "A connection may take for ever to log in."),
            Some(timeout) => {
                writeln!(out, "A connection that has not logged in after {} is closed.", Seconds(timeout))
            }
        }
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
        writeln!(
            out,
            "A room keeps its latest {} bytes for slow members, for each dialect.",
            self.log_bytes
        )?;
        match self.lag {
            LagPolicy::Skip => writeln!(
                out,
                "A member that falls further behind skips to the latest message and is told how many it missed."
            ),
            LagPolicy::Close => writeln!(out, "A member that falls further behind is closed."),
        }
    }

    fn write_process(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "At shutdown, clients have up to {} to receive what they are owed.",
            Seconds(self.drain_timeout)
        )?;
        match self.pin.first() {
            None => writeln!(out, "The kernel chooses the core.")?,
            Some(core) => writeln!(out, "The server runs on core {core}.")?,
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

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            1 => out.write_str("1 second"),
            seconds => write!(out, "{seconds} seconds"),
        }
    }
}
