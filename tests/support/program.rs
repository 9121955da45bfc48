//! The program as a child that serves, with a data directory that outlives it.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use parlance::wire::Dialect;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// Longer than anything takes on the slowest machine; only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

const FREE_PORTS: [&str; 12] =
    ["--line", "0", "--slash", "0", "--tcrp", "0", "--ucrp", "0", "--typed", "0", "--gob", "0"];

/// A server that does not outlive its test.
pub struct Program {
    child: Child,
    _output: BufReader<ChildStdout>,
    addresses: HashMap<String, SocketAddr>,
    log: PathBuf,
}

/// A server that ended before it served.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub log: String,
}

/// The program with arguments, in a directory without a configuration.
pub fn parlance(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlance"));
    command.args(arguments).env_clear().current_dir(directory).stdin(Stdio::null());
    if let Ok(shards) = std::env::var("TEST_SHARDS") {
        command.env("PARLANCE_SHARDS", shards);
    }
    command
}

impl Program {
    /// Serves on free ports, with these arguments, in a directory. Its log is appended to a file there.
    pub fn try_start(directory: &Path, arguments: &[&str]) -> Result<Self, Ended> {
        Self::try_spawn(directory, parlance(directory, &[&FREE_PORTS[..], arguments].concat()))
    }

    /// The same of a command that becomes it.
    pub fn try_spawn(directory: &Path, mut command: Command) -> Result<Self, Ended> {
        let log = directory.join("server.log");
        let stderr = File::options().append(true).create(true).open(&log).expect("a log");
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("the program starts");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut addresses = HashMap::new();
        // The table at the start: a head, and a line a dialect.
        for index in 0..=6 {
            let mut line = String::new();
            output.read_line(&mut line).expect("the table");
            let mut words = line.split_whitespace();
            let (Some(dialect), Some(address)) = (words.next(), words.next()) else {
                let status = child.wait().expect("it ends");
                return Err(Ended { status, log: std::fs::read_to_string(log).expect("UTF-8") });
            };
            if index > 0 {
                addresses.insert(dialect.to_owned(), address.parse().expect("an address"));
            }
        }
        Ok(Self { child, _output: output, addresses, log })
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    #[track_caller]
    pub fn start(directory: &Path, arguments: &[&str]) -> Self {
        Self::try_start(directory, arguments)
            .unwrap_or_else(|ended| panic!("{}: {}", ended.status, ended.log))
    }

    pub fn address(&self, dialect: Dialect) -> SocketAddr {
        self.addresses[dialect.name()]
    }

    /// What it, and those before it in the same directory, had to say.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("UTF-8")
    }

    /// Waits until the log contains these words: a thread of its own writes the log, after the event.
    #[track_caller]
    pub fn wait_for_log(&self, words: &str) {
        let deadline = deadline();
        while !self.log().contains(words) {
            assert!(Instant::now() < deadline, "no `{words}` in the log:\n{}", self.log());
            std::thread::yield_now();
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs");
    }

    /// Has it stand still until SIGCONT, and waits until each of its threads does: a thread that runs on another
    /// core goes on for a moment.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let (_, status) =
            waitpid(Some(self.pid()), WaitOptions::UNTRACED).expect("it is ours").expect("it is waited for");
        assert!(status.stopped(), "{status:?}");
    }

    /// Ends it with a signal, and waits for that.
    pub fn end(mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.child.wait().expect("it ends")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}

/// Runs a command of the program to its end; returns whether it went well, and all that it said.
pub fn run(directory: &Path, arguments: &[&str]) -> (ExitStatus, String) {
    let output = parlance(directory, arguments).output().expect("the program starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status, String::from_utf8(text).expect("UTF-8"))
}
