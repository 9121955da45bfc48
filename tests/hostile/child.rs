//! A server in a process of its own, whose memory and descriptors can be counted.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::process::Command;

use parlance::chat::CloseReason;
use parlance::wire::Dialect;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Program, parlance, run};
use crate::support::TestServer;

/// What a server may take beyond what a bound of its own accounts for: what the allocator keeps, the pages of the program
/// that are touched for the first time, and pools. An attack that grows without a bound takes many times as much.
const AROUND_BYTES: u64 = 24 << 20;

/// The limits hold for all networks, also for those of this machine. Each of its addresses is a network.
pub(crate) const NOBODY_EXEMPT: [&str; 2] = ["--exempt", "none"];

const ARGUMENTS: [&str; 14] = [
    "--line",
    "0",
    "--slash",
    "0",
    "--tcrp",
    "0",
    "--ucrp",
    "0",
    "--typed",
    "0",
    "--gob",
    "0",
    "--log-format",
    "json",
];

/// A server that does not outlive its test.
pub(crate) struct Child {
    program: Program,
    server: TestServer,
    directory: TempDir,
}

impl Deref for Child {
    type Target = TestServer;

    fn deref(&self) -> &TestServer {
        &self.server
    }
}

impl Child {
    /// One with these arguments beside those that all have.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with_store("memory", arguments)
    }

    /// The same with a store.
    pub(crate) fn start_with_store(store: &str, arguments: &[&str]) -> Self {
        let arguments = [&ARGUMENTS[..], &["--store", store], arguments].concat();
        Self::spawn(|directory| parlance(directory, &arguments))
    }

    /// A server with this number of accounts, `user00000` and so on, in a store on disk.
    pub(crate) fn start_with_accounts(count: usize, arguments: &[&str]) -> Self {
        Self::spawn(|directory| {
            // A hash that no password has.
            let password = format!("$2b$12${}", "a".repeat(53));
            let accounts: BTreeMap<_, _> =
                (0..count).map(|index| (format!("user{index:05}"), &password)).collect();
            let json = serde_json::to_string(&accounts).expect("texts");
            fs::write(directory.join("accounts.json"), json).expect("a file");
            let (status, said) = run(directory, &["import", "accounts.json"]);
            assert!(status.success(), "{said}");
            let own = ARGUMENTS.chunks(2).filter(|argument| argument[0] != "--store");
            let own: Vec<_> = own.flatten().copied().collect();
            parlance(directory, &[&own[..], arguments].concat())
        })
    }

    /// One that may have no more than so many files open, on each shard.
    pub(crate) fn start_with_files(limit: u32, arguments: &[&str]) -> Self {
        Self::spawn(|directory| {
            let program = parlance(directory, &[&ARGUMENTS[..], &["--store", "memory"], arguments].concat());
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]);
            shell.arg(program.get_program()).args(program.get_args()).env_clear().current_dir(directory);
            shell.envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
            shell
        })
    }

    fn spawn(command: impl FnOnce(&Path) -> Command) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let program = Program::try_spawn(directory.path(), command(directory.path()));
        let program = program.unwrap_or_else(|ended| panic!("{}: {}", ended.status, ended.log));
        let addresses = Dialect::ALL.map(|dialect| (dialect, program.address(dialect)));
        Self { program, server: TestServer::elsewhere(addresses.into()), directory }
    }

    /// Keeps it from doing anything, while the kernel goes on for it, until that is done: then it finds all at once.
    pub(crate) fn at_once<T>(&self, meanwhile: impl FnOnce() -> T) -> T {
        self.program.stop();
        let done = meanwhile();
        self.program.signal(Signal::CONT);
        done
    }

    fn path(&self, of: &str) -> String {
        format!("/proc/{}/{of}", self.program.pid().as_raw_nonzero())
    }

    /// The most memory that it ever had resident, in bytes.
    pub(crate) fn resident_bytes_high(&self) -> u64 {
        let status = fs::read_to_string(self.path("status")).expect("it runs");
        let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
        kib.and_then(|kib| kib.trim().parse::<u64>().ok()).expect("the kernel counts") << 10
    }

    /// It never had more memory than this: what it had before an attack, what the attackers may take by bounds of the
    /// server's own, and [something around that](AROUND_BYTES).
    #[track_caller]
    pub(crate) fn expect_memory(&self, before: u64, bound: u64) {
        let taken = self.resident_bytes_high() - before;
        let allowed = bound + AROUND_BYTES;
        assert!(taken <= allowed, "{taken} bytes were taken, and {allowed} may be");
    }

    /// How many sockets are in each table of descriptors: the process's, and those that shards have of their own. (What
    /// else they open is for good: a timer, with the first whom they pace.)
    pub(crate) fn sockets(&self) -> BTreeMap<String, usize> {
        let tasks = fs::read_dir(self.path("task")).expect("it runs");
        let count = |task: std::io::Result<fs::DirEntry>| {
            let task = task.ok()?.path();
            let name = fs::read_to_string(task.join("comm")).ok()?.trim().to_owned();
            let is_socket = |file: &fs::DirEntry| {
                fs::read_link(file.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
            };
            let files = fs::read_dir(task.join("fd")).ok()?.flatten();
            // The others share one of these tables, and come when they come: they have another's name at first.
            let has_a_table = name == "parlance" || name.starts_with("shard-");
            has_a_table.then(|| (name, files.filter(is_socket).count()))
        };
        tasks.filter_map(count).collect()
    }

    /// Whether it has the sockets that it had before, no fewer and no more, and nobody waits to be accepted.
    pub(crate) fn is_back_to(&self, sockets: &BTreeMap<String, usize>) -> bool {
        const LISTENS: &str = "0A";
        let waiting: u64 = self
            .kernel_queues("tcp")
            .iter()
            .filter(|(state, _)| state == LISTENS)
            .map(|(_, count)| count)
            .sum();
        waiting == 0 && self.sockets() == *sockets
    }

    /// What the kernel has of datagrams for the server that nobody has read: bytes, over all shards.
    pub(crate) fn datagram_bytes_unread(&self) -> u64 {
        self.kernel_queues("udp").iter().map(|(_, bytes)| bytes).sum()
    }

    /// Of each socket at the server's ports, its state and what it has received that was not taken: of one that listens,
    /// connections; of others, bytes.
    fn kernel_queues(&self, protocol: &str) -> Vec<(String, u64)> {
        let ports = Dialect::ALL.map(|dialect| self.address(dialect).port());
        let table = fs::read_to_string(self.path(&format!("net/{protocol}"))).expect("it runs");
        let queues = table.lines().skip(1).filter_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let [_, local, _, state, queues, ..] = words[..] else { return None };
            let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
            let received = u64::from_str_radix(queues.split_once(':')?.1, 16).ok()?;
            ports.contains(&port).then(|| (state.to_owned(), received))
        });
        queues.collect()
    }

    /// Stops it; returns what it said at its end.
    pub(crate) fn stop(self) -> Counts {
        let Self { program, server, directory } = self;
        drop(server);
        let status = program.end(Signal::TERM);
        let log = fs::read_to_string(directory.path().join("server.log")).expect("UTF-8");
        assert_eq!(status.code(), Some(0), "{log}");
        let events = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("an event a line"));
        let is_last = |fields: &Value| fields["message"] == "stopped";
        let fields = events.map(|event| event["fields"].clone()).find(is_last).expect("it stopped");
        Counts { fields, log }
    }
}

/// What a server counted.
pub(crate) struct Counts {
    fields: Value,
    /// All that it said.
    pub(crate) log: String,
}

impl Counts {
    #[track_caller]
    pub(crate) fn of(&self, name: &str) -> u64 {
        self.fields[name].as_u64().unwrap_or_else(|| panic!("no {name} in {}", self.fields))
    }

    /// A count of several kinds.
    #[track_caller]
    fn table(&self, name: &str) -> BTreeMap<String, u64> {
        let text = self.fields[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.fields));
        serde_json::from_str(text).expect("names and counts")
    }

    /// Frames and datagrams that were refused, by cause.
    pub(crate) fn refused(&self) -> BTreeMap<String, u64> {
        self.table("refused")
    }

    pub(crate) fn refused_for(&self, cause: &str) -> u64 {
        self.refused().get(cause).copied().unwrap_or(0)
    }

    pub(crate) fn closed_for(&self, reason: CloseReason) -> u64 {
        self.table("closed").get(reason.name()).copied().unwrap_or(0)
    }

    /// Connections and seats that ended for these reasons, and for no others, but for what is the end of each peer that goes.
    #[track_caller]
    pub(crate) fn expect_closed(&self, expected: &[(CloseReason, u64)]) {
        let usual = [CloseReason::PeerClosed, CloseReason::Quit, CloseReason::Served, CloseReason::Shutdown];
        let mut closed = self.table("closed");
        for reason in usual.iter().filter(|usual| expected.iter().all(|(reason, _)| reason != *usual)) {
            closed.remove(reason.name());
        }
        let expected = expected.iter().filter(|(_, count)| *count > 0);
        let expected = expected.map(|(reason, count)| (reason.name().to_owned(), *count));
        assert_eq!(closed, expected.collect(), "{}", self.log);
    }
}
