//! The program at its start and its end, where its surroundings stand still, take files away, or send odd
//! signals.
#![cfg(target_os = "linux")]

#[path = "support/program.rs"]
mod program;
mod support;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread;

use parlance::limits::{DESCRIPTORS_OF_SHARD, DESCRIPTORS_RESERVED, REFUSED_MAX};
use parlance::wire::Dialect;
use seccompiler::{SeccompAction, SeccompFilter};
use support::Peer;

/// The program as a child, which tells where it listens through a descriptor of its own, so that both of its
/// standard streams are the test's.
struct Served {
    child: Child,
    addresses: HashMap<String, SocketAddr>,
    log: Option<BufReader<ChildStderr>>,
}

const FREE_PORTS: &str = "--line 0 --slash 0 --tcrp 0 --ucrp 0 --typed 0 --gob 0";

/// What is around the program.
struct Around<'a> {
    directory: &'a Path,
    /// Commands of a shell that becomes the program.
    before: &'a str,
    arguments: &'a str,
    /// System calls that the kernel refuses it, as the profile of a container does.
    refused: &'a [i64],
    stdout: Stdio,
    stderr: Stdio,
}

impl<'a> Around<'a> {
    fn of(directory: &'a Path, arguments: &'a str) -> Self {
        Self { directory, before: "", arguments, refused: &[], stdout: devnull(), stderr: Stdio::piped() }
    }

    /// Starts the program. It serves when this returns.
    fn serve(self) -> Served {
        let script = format!(
            "{} exec \"$0\" --ready-fd 3 {FREE_PORTS} {} 3>&1 1>&0 0</dev/null",
            self.before, self.arguments
        );
        // Signals that the test itself ignores, in the background of a script, would stay ignored.
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP,INT,QUIT", "sh", "-c", &script, env!("CARGO_BIN_EXE_parlance")]);
        command
            .env_clear()
            .envs(std::env::var("TEST_SHARDS").map(|shards| ("PARLANCE_SHARDS", shards)))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(self.directory)
            .stdin(self.stdout)
            .stdout(Stdio::piped())
            .stderr(self.stderr);
        // What is refused to a thread is refused to the program that it starts.
        let mut child = thread::scope(|scope| {
            let spawn = scope.spawn(move || {
                refuse(self.refused);
                command.spawn().expect("the shell starts")
            });
            spawn.join().expect("a child")
        });
        let mut report = String::new();
        let mut ready = BufReader::new(child.stdout.take().expect("it is piped"));
        ready.read_line(&mut report).expect("a report");
        let log = child.stderr.take().map(BufReader::new);
        let mut served = Served { child, addresses: HashMap::new(), log };
        let Ok(report) = serde_json::from_str::<serde_json::Value>(&report) else {
            panic!("{report:?} from a server that says {}", served.rest_of_log());
        };
        for row in report["listeners"].as_array().expect("rows") {
            let text = |key: &str| row[key].as_str().expect("a text").to_owned();
            served.addresses.insert(text("dialect"), text("address").parse().expect("an address"));
        }
        served
    }
}

/// Has the kernel refuse system calls to the calling thread, for good.
fn refuse(calls: &[i64]) {
    if calls.is_empty() {
        return;
    }
    let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
    let refusal = SeccompAction::Errno(nix::libc::EPERM as u32);
    let architecture = std::env::consts::ARCH.try_into().expect("one with a filter");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, architecture).expect("a filter");
    let program: seccompiler::BpfProgram = filter.try_into().expect("a small filter");
    seccompiler::apply_filter(&program).expect("the kernel has filters");
}

impl Served {
    fn line(&self, name: &str) -> Peer {
        let mut peer = Peer::connect(self.addresses["line"]);
        peer.send(format!("LOGIN {name}\n"));
        peer.expect("OK\n");
        peer
    }

    /// Sends a signal by its name or number.
    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("sh").args(["-c", "kill -$0 $1", signal, &pid]).status();
        assert!(status.expect("a shell").success(), "{signal}");
    }

    /// Reads the log up to a line that has these words.
    fn log_line(&mut self, words: &str) -> String {
        let log = self.log.as_mut().expect("it is piped");
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert_ne!(log.read_line(&mut line).expect("UTF-8"), 0, "no {words} in the log");
        }
        line
    }

    fn rest_of_log(&mut self) -> String {
        let mut rest = String::new();
        if let Some(mut log) = self.log.take() {
            log.read_to_string(&mut rest).expect("UTF-8");
        }
        rest
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }

    /// Repeats a signal until the program ends: one that comes with the first has no effect.
    fn end_at_once(&mut self, signal: &str) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            self.signal(signal);
        }
    }

    fn is_there(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn devnull() -> Stdio {
    fs::File::options().read(true).write(true).open("/dev/null").expect("it is there").into()
}

/// A pipe that takes nothing more, since its reader stands still.
fn stalled() -> (PipeReader, PipeWriter) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    rustix::io::ioctl_fionbio(&writer, true).expect("a pipe");
    while rustix::io::write(&writer, &[b'x'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).expect("a pipe");
    (reader, writer)
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory without a configuration")
}

const GOODBYE: &str = "INFO server shutting down\n";

#[test]
fn readers_that_stand_still_hold_up_neither_chat_nor_the_end() {
    let directory = directory();
    for signals in [1, 2] {
        let (_reader, stalled) = stalled();
        let again = stalled.try_clone().expect("a descriptor");
        let mut around = Around::of(directory.path(), "--store memory --log debug --drain-timeout 60");
        around.stdout = OwnedFd::from(stalled).into();
        around.stderr = OwnedFd::from(again).into();
        let mut served = around.serve();
        let (mut alice, mut bob) = (served.line("alice"), served.line("bob"));
        // Bob is in the room.
        bob.send("PING\n");
        bob.expect("PONG\n");
        for index in 0..100 {
            // Each is two lines of the log.
            drop(TcpStream::connect(served.addresses["line"]).expect("it listens"));
            alice.send(format!("MSG {index}\n"));
            bob.expect(&format!("MSG alice {index}\n"));
        }
        served.signal("TERM");
        assert_eq!(bob.rest(), GOODBYE);
        assert_eq!(alice.rest(), GOODBYE);
        if signals == 1 {
            drop((alice, bob));
            assert_eq!(served.wait().code(), Some(0));
        } else {
            // Alice and Bob do not leave, and are waited for.
            assert_eq!(served.end_at_once("TERM").code(), Some(1));
        }
    }
}

#[test]
fn a_table_that_nobody_reads_is_printed_when_somebody_does() {
    let directory = directory();
    let (mut reader, stalled) = stalled();
    let mut around = Around::of(directory.path(), "--store memory");
    around.stdout = OwnedFd::from(stalled).into();
    let mut served = around.serve();
    served.log_line("ready");
    let mut printed = String::new();
    let mut buffer = [0; 4096];
    while !printed.contains("nothing is kept on disk\n") {
        let count = reader.read(&mut buffer).expect("more");
        assert_ne!(count, 0, "{}", printed.trim_start_matches('x'));
        printed.push_str(std::str::from_utf8(&buffer[..count]).expect("UTF-8"));
    }
    assert!(printed.trim_start_matches('x').starts_with("dialect  address"));
    served.signal("TERM");
    assert_eq!(served.wait().code(), Some(0));
}

#[test]
fn a_signal_to_stop_says_goodbye_whichever_it_is() {
    let directory = directory();
    for signal in ["TERM", "INT", "QUIT", "HUP", "PWR", "XCPU"] {
        let mut served = Around::of(directory.path(), "").serve();
        let mut alice = served.line("alice");
        alice.send(format!("MSG told before {signal}\nPING\n"));
        alice.expect("PONG\n");
        served.signal(signal);
        assert_eq!(alice.rest(), GOODBYE, "{signal}");
        drop(alice);
        assert_eq!(served.wait().code(), Some(0), "{signal}");
        let log = served.rest_of_log();
        assert!(log.contains(&format!("SIG{signal}: stopping")), "{log}");
        let (status, history) = program::run(directory.path(), &["history", "--room", "lobby"]);
        assert!(status.success() && history.contains(&format!("told before {signal}")), "{history}");
    }
}

#[test]
fn a_signal_that_its_sender_repeats_is_no_second_one() {
    let directory = directory();
    let arguments = "--store memory --log debug --drain-timeout 60";
    let mut served = Around::of(directory.path(), arguments).serve();
    // It is told, and stays: the server waits for it.
    let mut alice = served.line("alice");
    let mut stalled = Peer::connect_narrow(served.addresses["line"]);
    stalled.send("LOGIN stalled\n");
    stalled.expect("OK\n");
    for _ in 0..6000 {
        alice.send(format!("MSG {}\n", "x".repeat(4000)));
    }
    alice.send("PING\n");
    alice.expect("PONG\n");
    served.signal("HUP");
    served.log_line("SIGHUP: stopping");
    for signal in ["HUP", "XCPU", "PWR", "TERM", "HUP"] {
        served.signal(signal);
        served.log_line(&format!("SIG{signal}: stopping already"));
    }
    assert!(served.is_there());
    assert_eq!(served.end_at_once("INT").code(), Some(1));
    served.log_line("SIGINT: a second signal to stop");
    drop(stalled);
}

#[test]
fn two_signals_at_once_are_one() {
    for pair in [["TERM", "TERM"], ["TERM", "INT"]] {
        let directory = directory();
        let mut served = Around::of(directory.path(), "--store memory --drain-timeout 60").serve();
        let mut alice = served.line("alice");
        let pid = served.child.id();
        let script = pair.map(|signal| format!("kill -{signal} {pid};")).concat();
        assert!(Command::new("sh").args(["-c", &script]).status().expect("a shell").success());
        assert_eq!(alice.rest(), GOODBYE, "{pair:?}");
        drop(alice);
        assert_eq!(served.wait().code(), Some(0), "{pair:?}");
    }
}

#[test]
fn a_signal_without_a_meaning_is_logged_and_ends_nothing() {
    let directory = directory();
    let mut served = Around::of(directory.path(), "--store memory").serve();
    let mut alice = served.line("alice");
    served.signal("USR1");
    let line = served.log_line("SIGUSR1");
    assert!(line.contains("the server goes on"), "{line}");
    let real_time = [34, 35, 50, 64].map(|signal: i32| signal.to_string());
    let named =
        ["USR2", "ALRM", "VTALRM", "PROF", "IO", "16", "XFSZ", "PIPE", "CHLD", "WINCH", "URG", "CONT"];
    for signal in named.iter().copied().chain(real_time.iter().map(String::as_str)) {
        served.signal(signal);
        alice.send("PING\n");
        alice.expect("PONG\n");
    }
    assert!(served.is_there());
    served.signal("TERM");
    assert_eq!(alice.rest(), GOODBYE);
    drop(alice);
    assert_eq!(served.wait().code(), Some(0));
}

#[test]
fn what_was_ignored_at_the_start_stays_ignored() {
    let directory = directory();
    let mut around = Around::of(directory.path(), "--store memory");
    around.before = "trap '' HUP INT QUIT TERM;";
    let mut served = around.serve();
    for signal in ["INT", "QUIT", "HUP"] {
        served.log_line(&format!("SIG{signal} stays ignored"));
        served.signal(signal);
    }
    let mut alice = served.line("alice");
    // There has to be a way to stop it.
    served.signal("TERM");
    assert_eq!(alice.rest(), GOODBYE);
    drop(alice);
    assert_eq!(served.wait().code(), Some(0));
    let log = served.rest_of_log();
    assert_eq!(log.matches(": stopping").count(), 1, "{log}");
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_no_end() {
    let directory = directory();
    let mut around = Around::of(directory.path(), "");
    // In blocks of 512 bytes.
    around.before = "ulimit -f 600;";
    let mut served = around.serve();
    let mut alice = served.line("alice");
    let text = "x".repeat(4000);
    for round in 0..200 {
        alice.send(format!("MSG {round} {text}\nPING\n"));
        alice.expect("PONG\n");
    }
    served.log_line("ERROR");
    assert!(served.is_there());
    alice.send("PING\n");
    alice.expect("PONG\n");
    served.signal("TERM");
    assert_eq!(alice.rest(), GOODBYE);
    drop(alice);
    let status = served.wait();
    assert!(status.code().is_some(), "{status}");
    // What a command writes is bounded as well.
    let script = "ulimit -f 8; exec \"$0\" backup copy.db";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_parlance")])
        .current_dir(directory.path())
        .env_clear()
        .output()
        .expect("a shell");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!output.stderr.is_empty());
}

#[test]
fn the_start_says_which_server_it_is_and_where_it_keeps_what_it_keeps() {
    let directory = directory();
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut around = Around::of(directory.path(), "--durability normal");
    around.stdout = OwnedFd::from(writer).into();
    let mut served = around.serve();
    let pid = served.child.id();
    let data = directory.path().canonicalize().expect("it is there").join("parlance-data");
    let (data, version) = (data.display(), env!("CARGO_PKG_VERSION"));
    let line = served.log_line("starting");
    let expected =
        format!("version={version} pid={pid} data={data} store=sqlite:parlance.db durability=normal\n");
    assert!(line.ends_with(&expected), "{line}");
    let line = served.log_line("ready");
    assert!(line.ends_with(" INFO parlance::reactor: ready listeners=6\n"), "{line}");
    served.signal("TERM");
    assert_eq!(served.wait().code(), Some(0));
    let log = served.rest_of_log();
    let last = log.lines().last().expect("a line");
    assert!(
        last.contains("log_lines_lost=0 ")
            || last.contains("log_lines_lost=0\n")
            || last.ends_with("log_lines_lost=0"),
        "{last}"
    );
    let mut printed = String::new();
    reader.read_to_string(&mut printed).expect("UTF-8");
    let (table, identity) = printed.split_once("\n\n").expect("two paragraphs");
    assert_eq!(table.lines().count(), 7);
    assert_eq!(
        identity,
        format!(
            "parlance {version}, process {pid}\ndata        {data}\nstore       sqlite:parlance.db\ndurability  normal\n"
        )
    );
}

#[test]
fn systemd_is_told_when_everything_listens() {
    let directory = directory();
    let socket = UnixDatagram::bind(directory.path().join("notify")).expect("a socket");
    let mut around = Around::of(directory.path(), "--store memory");
    let before = format!("export NOTIFY_SOCKET={}/notify;", directory.path().display());
    around.before = &before;
    let mut served = around.serve();
    let mut told = [0; 64];
    let length = socket.recv(&mut told).expect("a datagram");
    assert_eq!(told[..length].trim_ascii(), b"READY=1");
    served.line("alice");
    served.signal("TERM");
    assert_eq!(served.wait().code(), Some(0));
}

/// What an earlier server left, which was killed.
const LEFT: &str = "{\"pid\":4711,\"listeners\":[]}\n";

#[test]
fn a_ready_file_is_there_while_its_server_is_ready_and_at_no_other_time() {
    let directory = directory();
    let ready = directory.path().join("ready.json");
    // A start that fails.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    fs::write(&ready, LEFT).expect("written");
    let (status, said) = program::run(directory.path(), &["--line", &port, "--ready-file", "ready.json"]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(!ready.exists());
    // A configuration that is refused, wherever it names the file.
    let named = [
        ("line = 4000\n", "--line 99999 --ready-file ready.json"),
        ("ready-file = \"ready.json\"\n", "--line 99999"),
        ("ready-file = \"ready.json\"\nunheard-of = 1\n", ""),
    ];
    for (file, arguments) in named {
        fs::write(&ready, LEFT).expect("written");
        fs::write(directory.path().join("parlance.toml"), file).expect("written");
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        let (status, said) = program::run(directory.path(), &arguments);
        assert_eq!(status.code(), Some(2), "{said}");
        assert!(!ready.exists(), "{arguments:?} {file}");
    }
    fs::remove_file(directory.path().join("parlance.toml")).expect("removed");
    // Ends of both kinds.
    for is_at_once in [false, true] {
        fs::write(&ready, LEFT).expect("written");
        let arguments = "--store memory --drain-timeout 60 --ready-file ready.json";
        let mut served = Around::of(directory.path(), arguments).serve();
        let report: serde_json::Value =
            serde_json::from_slice(&fs::read(&ready).expect("it is there")).expect("JSON");
        assert_eq!(report["pid"], served.child.id());
        let mut alice = served.line("alice");
        served.signal("TERM");
        assert_eq!(alice.rest(), GOODBYE);
        let status = if is_at_once {
            served.end_at_once("INT")
        } else {
            drop(alice);
            served.wait()
        };
        assert_eq!(status.code(), Some(i32::from(is_at_once)));
        assert!(!ready.exists(), "{is_at_once}");
    }
}

#[test]
fn a_ready_file_is_gone_when_clients_are_told_that_the_server_stops() {
    let directory = directory();
    let arguments = "--store memory --drain-timeout 60 --ready-file ready.json";
    let mut served = Around::of(directory.path(), arguments).serve();
    let mut alice = served.line("alice");
    assert!(directory.path().join("ready.json").exists());
    served.signal("TERM");
    alice.expect(GOODBYE);
    assert!(!directory.path().join("ready.json").exists());
    drop(alice);
    assert_eq!(served.wait().code(), Some(0));
}

#[test]
fn a_start_whose_output_is_refused_leaves_no_ready_file_of_an_earlier_one() {
    let directory = directory();
    let ready = directory.path().join("ready.json");
    fs::create_dir(directory.path().join("parlance-data")).expect("created");
    for output in ["parlance.toml", "parlance-data/parlance.db"] {
        fs::write(&ready, LEFT).expect("written");
        let file = fs::File::create(directory.path().join(output)).expect("created");
        let arguments = ["--ready-file", "ready.json"];
        let mut command = program::parlance(directory.path(), &arguments);
        let refused = command.stdout(file).output().expect("the program starts");
        assert_eq!(refused.status.code(), Some(2), "{output}: {refused:?}");
        assert!(!ready.exists(), "{output}");
        fs::remove_file(directory.path().join(output)).expect("it was made");
    }
}

#[test]
fn a_ready_file_belongs_to_one_server() {
    let directory = directory();
    let ready = directory.path().join("ready.json");
    let first = Around::of(directory.path(), "--store memory --ready-file ready.json").serve();
    let report = fs::read_to_string(&ready).expect("it is there");
    let (status, said) = program::run(directory.path(), &["--store", "memory", "--ready-file", "ready.json"]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("in use by a server that runs"), "{said}");
    assert_eq!(fs::read_to_string(&ready).expect("it is there"), report);
    drop(first);
    // It was killed.
    assert!(ready.exists());
    let second = Around::of(directory.path(), "--store memory --ready-file ready.json").serve();
    assert_ne!(fs::read_to_string(&ready).expect("it is there"), report);
    drop(second);
}

#[test]
fn a_descriptor_without_a_reader_is_an_error_and_no_wait() {
    let directory = directory();
    let script = format!("exec \"$0\" --store memory --ready-fd 3 {FREE_PORTS} 3>&0");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_parlance")])
        .env_clear()
        .current_dir(directory.path())
        .stdin(OwnedFd::from(writer))
        .output()
        .expect("a shell");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(said.contains("ready-fd") && said.contains("with a reader"), "{said}");
}

#[test]
fn a_descriptor_that_is_not_open_is_an_error_and_never_a_file_of_the_store() {
    // The server's own first descriptors have these numbers later.
    for fd in 3..10 {
        let directory = directory();
        let script = format!("exec \"$0\" --ready-fd {fd} {FREE_PORTS} 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-");
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_parlance")])
            .env_clear()
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .output()
            .expect("a shell");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(1), "{fd}: {said}");
        assert!(said.contains(&format!("descriptor {fd} (ready-fd): it is not open")), "{said}");
        assert!(!directory.path().join("parlance-data").exists(), "{fd}: a store was begun");
    }
}

/// Descriptors that three shards leave of one table.
fn left_by_three_shards(open_files: u64) -> u64 {
    let of_further_shards = 2 * (Dialect::ALL.len() as u64 + DESCRIPTORS_OF_SHARD);
    open_files - DESCRIPTORS_RESERVED - REFUSED_MAX as u64 - of_further_shards
}

#[test]
fn where_a_table_a_shard_is_refused_all_shards_share_one_and_its_limit() {
    const OPEN_FILES: u64 = 220;
    let directory = directory();
    let mut around = Around::of(directory.path(), "--store memory --shards 3 --log debug");
    around.before = "ulimit -n 220;";
    around.refused = &[nix::libc::SYS_unshare];
    let mut served = around.serve();
    let line = served.log_line("WARN");
    assert!(line.contains("all shards share one") && line.contains("not permitted"), "{line}");
    let allowed = left_by_three_shards(OPEN_FILES);
    let line = served.log_line("the limit on open files allows");
    assert!(line.contains(&format!("allows {allowed} clients open_files={OPEN_FILES}")), "{line}");
    // As many as are promised are served, on all shards, and the next one is told.
    let mut peers: Vec<_> = (0..allowed).map(|index| served.line(&format!("user{index}"))).collect();
    let mut one_more = Peer::connect(served.addresses["line"]);
    assert_eq!(one_more.line_or_end().as_deref(), Some("ERR server-full"));
    let (speaker, hearers) = peers.split_first_mut().expect("there are some");
    speaker.send("MSG hello\n");
    for hearer in hearers {
        hearer.line_where(|line| line == "MSG user0 hello");
    }
    served.signal("TERM");
    drop(peers);
    assert_eq!(served.wait().code(), Some(0));
    let log = served.rest_of_log();
    assert!(!log.contains("accepting pauses") && !log.contains("no descriptors are left"), "{log}");
}

#[test]
fn more_clients_than_one_table_holds_are_told_whatever_was_allowed() {
    const OPEN_FILES: u64 = 200;
    let directory = directory();
    let mut around = Around::of(directory.path(), "--store memory --shards 3 --max-clients 1000");
    around.before = "ulimit -n 200;";
    around.refused = &[nix::libc::SYS_unshare];
    let mut served = around.serve();
    let allowed = left_by_three_shards(OPEN_FILES);
    let mut kept: Vec<_> = (0..allowed).map(|index| served.line(&format!("user{index}"))).collect();
    for _ in 0..2 * OPEN_FILES {
        let mut peer = Peer::connect(served.addresses["line"]);
        // With a PING unread, the server's close would be a reset that overtakes its words.
        assert_eq!(peer.line_or_end().as_deref(), Some("ERR server-full"));
    }
    for peer in &mut kept {
        peer.send("PING\n");
        peer.expect("PONG\n");
    }
    served.signal("TERM");
    drop(kept);
    assert_eq!(served.wait().code(), Some(0));
}

/// What the profiles of containers and sandboxes refuse, and a server can do without.
#[test]
fn what_a_sandbox_refuses_and_a_server_can_do_without_costs_a_warning() {
    use nix::libc;
    let directory = directory();
    let refused = [
        libc::SYS_unshare,
        libc::SYS_sched_setaffinity,
        libc::SYS_sched_getaffinity,
        libc::SYS_setpriority,
        libc::SYS_getpriority,
        libc::SYS_getrandom,
        libc::SYS_prlimit64,
        libc::SYS_timerfd_create,
        libc::SYS_prctl,
    ];
    let mut around = Around::of(directory.path(), "--shards 2");
    around.refused = &refused;
    let mut served = around.serve();
    let (mut alice, mut bob) = (served.line("alice"), served.line("bob"));
    bob.send("PING\n");
    bob.expect("PONG\n");
    alice.send("MSG hello\n");
    bob.expect("MSG alice hello\n");
    served.signal("TERM");
    drop((alice, bob));
    assert_eq!(served.wait().code(), Some(0));
}
