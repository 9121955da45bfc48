//! Telling people and programs that the server listens, and where.
//!
//! People get a table on standard output. Programs get the same as one line of JSON, in a file that appears whole
//! or not at all (`ready-file`), or on a descriptor that they left open (`ready-fd`):
//!
//! ```json
//! {"pid":1234,"listeners":[{"dialect":"line","address":"127.0.0.1:4000","connect":"nc 127.0.0.1 4000"}]}
//! ```
//!
//! The report has the bound addresses, with the actual port in place of port 0. A systemd unit with
//! `Type=notify` also gets a notification.
//!
//! Nothing here delays the server: a thread of its own waits for a stalled standard output.

mod file;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;
use sd_notify::NotifyState;
use serde::Serialize;

use crate::chat::visible;
use crate::config::Config;
use crate::limits::STDOUT_WAIT_MILLIS_MAX;
use crate::store::{Durability, StoreSpec};
use crate::telemetry;

pub use file::ReadyFile;

/// One listener that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// The dialect's name.
    pub dialect: &'static str,
    /// The address that it is bound to.
    pub address: SocketAddr,
}

/// The server's version, process id and store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The number of the process.
    pub pid: u32,
    /// The data directory, from the root on.
    pub data: PathBuf,
    /// How everything is kept, as it was configured.
    pub store: StoreSpec,
    /// When a change counts as kept.
    pub durability: Durability,
}

impl Identity {
    /// The program's version.
    pub const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// This process, with the settings of a configuration.
    pub fn of(config: &Config) -> Self {
        Self {
            pid: std::process::id(),
            // It fails where there is no working directory.
            data: std::path::absolute(&config.data).unwrap_or_else(|_| config.data.clone()),
            store: config.store.clone(),
            durability: config.durability,
        }
    }

    /// The setting `durability`, as it is written.
    pub const fn durability(&self) -> &'static str {
        match self.durability {
            Durability::Full => "full",
            Durability::Normal => "normal",
            Durability::None => "none",
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "parlance {}, process {}", Self::VERSION, self.pid)?;
        if self.store == StoreSpec::Memory {
            return writeln!(out, "store       memory: nothing is kept on disk");
        }
        writeln!(out, "data        {}", visible(&self.data.display().to_string()))?;
        writeln!(out, "store       {}", visible(&self.store.to_string()))?;
        writeln!(out, "durability  {}", self.durability())
    }
}

/// Why readiness cannot be reported correctly.
#[derive(Debug, thiserror::Error)]
pub enum ReadyError {
    /// The file could not be written, or an older one not removed.
    #[error("cannot write `{}` (ready-file): {cause}; name a file in a directory that can be written to", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another server has written the file, and runs.
    #[error("`{}` (ready-file) is in use by a server that runs; give each server a file of its own", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The path names something that no server wrote.
    #[error("`{}` (ready-file) is {what}; remove it, or name another file", path.display())]
    Foreign {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The descriptor could not be written to.
    #[error(
        "cannot write to descriptor {fd} (ready-fd): {cause}; leave a pipe with a reader or a file open on \
         it, not a socket"
    )]
    Descriptor {
        /// The descriptor.
        fd: u32,
        /// What the system said.
        cause: io::Error,
    },
}

/// Prints the table on standard output, then tells the file, the descriptor, and systemd.
///
/// To be called when everything listens. A standard output that nobody reads is no error.
///
/// # Errors
///
/// When the file or the descriptor cannot be written to: a program that waits there would wait for ever.
pub fn announce(
    identity: &Identity,
    listeners: &[Listening],
    file: Option<&ReadyFile>,
    descriptor: Option<ReadyDescriptor>,
) -> Result<(), ReadyError> {
    let table = format!("{}\n{identity}", Table(listeners));
    wait_a_while("table", move || {
        if let Err((_, cause)) = telemetry::write_all(io::stdout(), table.as_bytes()) {
            tracing::debug!(%cause, "the table of listeners could not be printed");
        }
    });

    let report = report(identity.pid, listeners);
    if let Some(file) = file {
        file.write(&report)?;
    }
    if let Some(descriptor) = descriptor {
        descriptor.write(&report)?;
    }
    wait_a_while("systemd", || {
        // Nothing is sent where NOTIFY_SOCKET is not set.
        if let Err(cause) = sd_notify::notify(&[NotifyState::Ready]) {
            tracing::warn!(%cause, "systemd could not be told that the server is ready");
        }
    });
    Ok(())
}

/// Does something that may stand still, on a thread of its own; waits for it for [`STDOUT_WAIT_MILLIS_MAX`] at most.
fn wait_a_while(what: &'static str, act: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let spawned = thread::Builder::new().name(what.to_owned()).spawn(move || {
        act();
        let _ = done.send(());
    });
    if let Err(cause) = spawned {
        return tracing::warn!(%cause, "cannot start a thread: {what}");
    }
    if is_done.recv_timeout(Duration::from_millis(STDOUT_WAIT_MILLIS_MAX)) == Err(RecvTimeoutError::Timeout) {
        tracing::debug!("the start goes on without waiting any longer: {what}");
    }
}

/// The listeners as a table for people, one a line, under a head line.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a>(pub &'a [Listening]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self
            .0
            .iter()
            .map(|listening| {
                let address = listening.address.to_string();
                (listening.dialect, address, connect(listening.dialect, listening.address))
            })
            .collect();
        let dialect_width = width("dialect", rows.iter().map(|row| row.0));
        let address_width = width("address", rows.iter().map(|row| row.1.as_str()));
        let mut line = |dialect: &str, address: &str, connect: &str| {
            writeln!(out, "{dialect:dialect_width$}  {address:address_width$}  {connect}")
        };
        line("dialect", "address", "connect with")?;
        for (dialect, address, connect) in &rows {
            line(dialect, address, connect)?;
        }
        Ok(())
    }
}

fn width<'a>(head: &str, cells: impl Iterator<Item = &'a str>) -> usize {
    cells.map(str::len).fold(head.len(), usize::max)
}

/// The command that connects to `address` from this machine: `nc` for the dialects that people type, the client for
/// the others.
fn connect(dialect: &str, address: SocketAddr) -> String {
    match dialect {
        "tcrp" | "typed" | "gob" => {
            format!("parlance chat --dialect {dialect} --as NAME {}", reachable(address))
        }
        "ucrp" => "UDP, with a token from tcrp".to_owned(),
        _ => netcat(address),
    }
}

/// An address that stands for all of them cannot be connected to: the loopback address stands in for it.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    address
}

fn netcat(address: SocketAddr) -> String {
    let port = address.port();
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            format!("nc {}%{} {port}", v6.ip(), v6.scope_id())
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => format!("nc {} {port}", reachable(address).ip()),
    }
}

/// The listeners as a line of JSON, with its newline.
fn report(pid: u32, listeners: &[Listening]) -> String {
    #[derive(Serialize)]
    struct Report {
        pid: u32,
        listeners: Vec<Row>,
    }
    #[derive(Serialize)]
    struct Row {
        dialect: &'static str,
        address: SocketAddr,
        connect: String,
    }

    let rows = listeners.iter().map(|listening| Row {
        dialect: listening.dialect,
        address: listening.address,
        connect: connect(listening.dialect, listening.address),
    });
    let report = Report { pid, listeners: rows.collect() };
    let json = serde_json::to_string(&report).expect("numbers and strings, under string keys");
    json + "\n"
}

/// The descriptor that a launcher left open for the report (`ready-fd`).
///
/// It is opened anew through `/dev/fd`, since taking over a number is unsafe. The number itself therefore
/// stays open: a reader reads up to the newline, not up to the end. A file is appended to. A pipe that is
/// full or has no reader is an error, not a wait.
#[derive(Debug)]
pub struct ReadyDescriptor {
    fd: u32,
    file: File,
}

impl ReadyDescriptor {
    /// Opens it. To be called before the server opens anything: a number that the launcher did not leave open
    /// would later be a socket or a file of the store.
    ///
    /// # Errors
    ///
    /// If the descriptor is not open, or cannot be written to.
    pub fn open(fd: u32) -> Result<Self, ReadyError> {
        let mut options = OpenOptions::new();
        options.append(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let file = options.open(format!("/dev/fd/{fd}")).map_err(|cause| {
            let is_closed = cause.kind() == io::ErrorKind::NotFound;
            let cause = if is_closed { io::Error::new(cause.kind(), "it is not open") } else { cause };
            ReadyError::Descriptor { fd, cause }
        })?;
        Ok(Self { fd, file })
    }

    fn write(mut self, report: &str) -> Result<(), ReadyError> {
        let written = self.file.write_all(report.as_bytes());
        written.map_err(|cause| ReadyError::Descriptor { fd: self.fd, cause })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsRawFd;

    use super::*;

    fn listening(dialect: &'static str, address: &str) -> Listening {
        Listening { dialect, address: address.parse().expect("a literal") }
    }

    #[test]
    fn the_table_lines_up_and_names_a_command_for_each_address() {
        let listeners = [
            listening("line", "127.0.0.1:4000"),
            listening("slash", "0.0.0.0:7000"),
            listening("six", "[2001:db8::7]:80"),
            listening("any", "[::]:9"),
            listening("link", "[fe80::1%3]:9"),
            listening("ucrp", "127.0.0.1:9091"),
            listening("gob", "0.0.0.0:8080"),
        ];
        assert_eq!(
            Table(&listeners).to_string(),
            "dialect  address           connect with\n\
             line     127.0.0.1:4000    nc 127.0.0.1 4000\n\
             slash    0.0.0.0:7000      nc 127.0.0.1 7000\n\
             six      [2001:db8::7]:80  nc 2001:db8::7 80\n\
             any      [::]:9            nc ::1 9\n\
             link     [fe80::1%3]:9     nc fe80::1%3 9\n\
             ucrp     127.0.0.1:9091    UDP, with a token from tcrp\n\
             gob      0.0.0.0:8080      parlance chat --dialect gob --as NAME 127.0.0.1:8080\n"
        );
    }

    #[test]
    fn the_report_is_one_line_of_json() {
        assert_eq!(
            report(7, &[listening("line", "127.0.0.1:4000")]),
            "{\"pid\":7,\"listeners\":[{\"dialect\":\"line\",\"address\":\"127.0.0.1:4000\",\
             \"connect\":\"nc 127.0.0.1 4000\"}]}\n"
        );
    }

    #[test]
    fn a_pipe_is_told_through_its_number() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let fd = u32::try_from(writer.as_raw_fd()).expect("descriptors are not negative");
        ReadyDescriptor::open(fd).and_then(|descriptor| descriptor.write("{}\n")).expect("written");
        drop(writer);
        let mut told = String::new();
        reader.read_to_string(&mut told).expect("read");
        assert_eq!(told, "{}\n");
    }

    #[test]
    fn a_pipe_without_a_reader_is_an_error_and_no_wait() {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let fd = u32::try_from(writer.as_raw_fd()).expect("descriptors are not negative");
        assert!(ReadyDescriptor::open(fd).and_then(|descriptor| descriptor.write("{}\n")).is_err());
    }

    #[test]
    fn the_identity_says_where_everything_is_kept() {
        let config = Config { data: "/srv/chat".into(), ..Config::default() };
        let identity = Identity { pid: 7, ..Identity::of(&config) };
        let version = Identity::VERSION;
        assert_eq!(
            identity.to_string(),
            format!(
                "parlance {version}, process 7\ndata        /srv/chat\n\
                 store       sqlite:parlance.db\ndurability  full\n"
            )
        );
        let memory = Identity { store: StoreSpec::Memory, ..identity };
        assert_eq!(
            memory.to_string(),
            format!("parlance {version}, process 7\nstore       memory: nothing is kept on disk\n")
        );
        let odd = Identity {
            data: "/srv/a\nb\u{1b}[2Jc".into(),
            store: StoreSpec::Sqlite("d\ne".into()),
            ..Identity::of(&config)
        };
        let shown = odd.to_string();
        assert_eq!(shown.lines().count(), 4, "{shown:?}");
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        let relative = Identity::of(&Config { data: "below".into(), ..Config::default() });
        assert!(relative.data.is_absolute(), "{}", relative.data.display());
    }
}
