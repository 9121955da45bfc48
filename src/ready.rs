//! Telling people and programs that the server listens, and where.
//!
//! People get a table on standard output. Programs get the same as one line of JSON, in a file that appears whole
//! or not at all (`ready-file`), or on a descriptor that they left open (`ready-fd`):
//!
//! ```json
//! {"pid":1234,"listeners":[{"dialect":"line","address":"127.0.0.1:4000","connect":"nc 127.0.0.1 4000"}]}
//! ```
//!
//! Addresses are the ones really bound: where port 0 was asked for, this is how to learn which it became.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::Config;

/// One listener that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// The dialect's name.
    pub dialect: &'static str,
    /// The address that it is bound to.
    pub address: SocketAddr,
}

/// Why a program that waits for the server could not be told.
#[derive(Debug, thiserror::Error)]
pub enum ReadyError {
    /// The file could not be written.
    #[error("cannot write `{}` (ready-file): {cause}; name a file in a directory that can be written to", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The descriptor could not be written to.
    #[error(
        "cannot write to descriptor {fd} (ready-fd): {cause}; leave a pipe or a file open on it, not a socket"
    )]
    Descriptor {
        /// The descriptor.
        fd: u32,
        /// What the system said.
        cause: io::Error,
    },
}

/// Prints the table on standard output, then tells the file and the descriptor that `config` names.
///
/// To be called when everything listens. A standard output that nobody reads is no error.
///
/// # Errors
///
/// When the file or the descriptor cannot be written to: whoever waits there would wait for ever.
pub fn announce(config: &Config, listeners: &[Listening]) -> Result<(), ReadyError> {
    let mut stdout = io::stdout().lock();
    let table = write!(stdout, "{}", Table(listeners));
    if let Err(cause) = table.and_then(|()| stdout.flush()) {
        tracing::debug!(%cause, "the table of listeners could not be printed");
    }

    let report = report(std::process::id(), listeners);
    if let Some(path) = &config.ready_file {
        write_file(path, &report).map_err(|cause| ReadyError::File { path: path.clone(), cause })?;
    }
    if let Some(fd) = config.ready_fd {
        write_descriptor(fd, &report).map_err(|cause| ReadyError::Descriptor { fd, cause })?;
    }
    Ok(())
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

/// Writes `report` beside `path` and renames it, so that whoever sees the file sees all of it.
fn write_file(path: &Path, report: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);

    // A process of this number may have died while it wrote; in a container it is always number 1.
    match fs::remove_file(&temporary) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        Ok(()) | Err(_) => {}
    }
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&temporary)
        .and_then(|mut file| file.write_all(report.as_bytes()))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first failure is the one to report; this is only tidying up after it.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Writes `report` to an open descriptor of this process.
///
/// It is opened anew through `/dev/fd`, since taking over a number is unsafe. The number itself therefore stays
/// open: whoever reads there reads up to the newline, not up to the end. What is there already is appended to.
fn write_descriptor(fd: u32, report: &str) -> io::Result<()> {
    OpenOptions::new().append(true).open(format!("/dev/fd/{fd}"))?.write_all(report.as_bytes())
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
    fn the_file_replaces_an_older_one_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("ready.json");
        fs::write(&path, "older and longer than what follows").expect("written");
        write_file(&path, "{}\n").expect("written");
        assert_eq!(fs::read_to_string(&path).expect("read"), "{}\n");
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_put_in_place_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let occupied = directory.path().join("occupied");
        fs::create_dir(&occupied).expect("created");
        assert!(write_file(&occupied, "{}\n").is_err());
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_pipe_is_told_through_its_number() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let fd = u32::try_from(writer.as_raw_fd()).expect("descriptors are not negative");
        write_descriptor(fd, "{}\n").expect("written");
        drop(writer);
        let mut told = String::new();
        reader.read_to_string(&mut told).expect("read");
        assert_eq!(told, "{}\n");
    }
}
