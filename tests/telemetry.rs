//! What reaches standard error. The log belongs to the whole process, so each case runs in one of its own: this
//! test program starts itself anew, asking for the one test that logs.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use parlance::config::{Config, Sources};
use parlance::limits::{STDERR_LINE_BYTES_MAX, STDERR_QUEUE_LINES_MAX};
use parlance::telemetry::{self, Log};

const CHILD_VARIABLE: &str = "TELEMETRY_TEST_FLAGS";
/// What the child does.
const TASK_VARIABLE: &str = "TELEMETRY_TEST_TASK";
/// More lines than fit into the queue and whatever the kernel holds.
const FLOOD: usize = 2 * STDERR_QUEUE_LINES_MAX;

/// Not a test on its own: logs, as the flags in the environment say, when it is started by the others.
#[test]
#[ignore = "started by the other tests"]
fn child() {
    let Ok(flags) = std::env::var(CHILD_VARIABLE) else {
        return; // By hand, with `cargo test -- --include-ignored`.
    };
    let flag =
        |key| Some((key, flags.split(' ').find_map(|f| f.strip_prefix(key)?.strip_prefix('='))?.to_owned()));
    let sources = Sources {
        flags: ["log", "log-format"].into_iter().filter_map(flag).collect(),
        directory: "/nowhere".into(),
        ..Sources::default()
    };
    let log = telemetry::init(&Config::load(&sources).expect("accepted")).expect("the first to log");
    assert!(telemetry::init(&Config::default()).is_err(), "taken already");
    match std::env::var(TASK_VARIABLE).as_deref() {
        Err(_) => {
            tracing::info!(port = 4000, "listening");
            tracing::debug!("detail");
        }
        Ok("long") => tracing::info!("{}", "x".repeat(2 * STDERR_LINE_BYTES_MAX)),
        Ok("panic") => {
            let panicked = std::thread::Builder::new().name("doomed".to_owned()).spawn(|| panic!("planted"));
            panicked.expect("a thread").join().expect_err("it panics");
            tracing::info!("behind it");
        }
        Ok("flood") => flood(&log),
        Ok(other) => panic!("{other}"),
    }
    log.flush();
}

/// Logs more than fits while nobody reads, says so, and goes on when it is told to.
fn flood(log: &Log) {
    for line in 0..FLOOD {
        tracing::info!(line, "flood");
    }
    assert!(!log.flush(), "nobody reads");
    assert!(log.lost_lines() > 0);
    // The test's own output goes to /dev/null.
    let mut control =
        UnixStream::connect(std::env::var("TELEMETRY_TEST_CONTROL").expect("a socket")).expect("it listens");
    control.write_all(b"?").expect("it reads");
    control.read_exact(&mut [0]).expect("an answer");
    // What the queue still has goes first.
    while !log.flush() {}
    tracing::info!("the last line");
    while !log.flush() {}
    control.write_all(&log.lost_lines().to_le_bytes()).expect("it reads");
}

fn task(task: &str, flags: &str) -> Command {
    let mut command = command(flags);
    command.env(TASK_VARIABLE, task);
    command
}

fn command(flags: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args(["--exact", "child", "--ignored", "--nocapture", "--quiet"])
        .env(CHILD_VARIABLE, flags)
        .env_remove("RUST_BACKTRACE")
        .stdout(Stdio::null());
    command
}

fn logged(flags: &str) -> String {
    logged_by(command(flags))
}

fn logged_by(mut command: Command) -> String {
    let output = command.stderr(Stdio::piped()).output().expect("started");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[test]
fn text_has_one_line_an_event_and_no_colours_off_a_terminal() {
    let log = logged("log=info");
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.ends_with(" INFO telemetry: listening port=4000\n"), "{log}");
    assert!(!log.contains('\x1b'), "{log}");
}

#[test]
fn the_filter_says_what_is_logged() {
    assert_eq!(logged("log=debug").lines().count(), 2);
    assert_eq!(logged("log=warn"), "");
    assert_eq!(logged("log=off,telemetry=info").lines().count(), 1);
}

#[test]
fn json_has_one_object_an_event() {
    let log = logged("log=info log-format=json");
    let event: serde_json::Value = serde_json::from_str(&log).expect("one object");
    assert_eq!(event["level"], "INFO");
    assert_eq!(event["fields"]["message"], "listening");
    assert_eq!(event["fields"]["port"], 4000);
}

#[test]
fn a_log_that_nobody_reads_takes_nothing_down() {
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let status = command("log=debug").stderr(writer).status().expect("started");
    assert!(status.success(), "{status}");
}

/// The lines of a flood in a log, and the number of lines that it says are missing, which stands behind them.
fn flood_lines(log: &str) -> (usize, u64) {
    let mut lines = log.lines();
    let mut count = 0;
    let mut line = lines.next().expect("a line");
    while line.contains("flood") {
        assert!(line.ends_with(&format!(" flood line={count}")), "{line}");
        count += 1;
        line = lines.next().expect("a line more");
    }
    assert!(
        line.contains("WARN") && line.contains("lines of the log were lost here"),
        "{count}: {line}\n{:?}",
        lines.collect::<Vec<_>>()
    );
    let (_, missing) = line.rsplit_once("lines=").expect("a number");
    assert!(lines.next().expect("a line more").ends_with("the last line"));
    assert_eq!(lines.next(), None);
    (count, missing.parse().expect("a number"))
}

#[test]
fn a_reader_that_stands_still_holds_nothing_up_and_what_is_missing_is_counted_in_its_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("control");
    let control = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let mut child = ChildGuard(
        task("flood", "log=info")
            .env("TELEMETRY_TEST_CONTROL", &path)
            .stderr(writer)
            .spawn()
            .expect("started"),
    );
    let (mut control, _) = control.accept().expect("it comes so far");
    control.read_exact(&mut [0]).expect("it has logged everything, and was not held up");
    control.write_all(b"!").expect("it waits");
    control.shutdown(Shutdown::Write).expect("a connection");
    let mut log = String::new();
    reader.read_to_string(&mut log).expect("UTF-8");
    let mut lost = [0; 8];
    control.read_exact(&mut lost).expect("a number");
    assert!(child.0.wait().expect("it ends").success());
    let (written, missing) = flood_lines(&log);
    assert!(written >= STDERR_QUEUE_LINES_MAX, "{written}");
    assert_eq!(written as u64 + missing, FLOOD as u64);
    assert_eq!(u64::from_le_bytes(lost), missing);
}

/// A child that does not outlive its test.
struct ChildGuard(Child);

impl Drop for ChildGuard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_reader_that_does_not_come_does_not_keep_the_process() {
    let (reader, writer) = io::pipe().expect("a pipe");
    rustix::io::ioctl_fionbio(&writer, true).expect("a pipe");
    while rustix::io::write(&writer, &[b'x'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).expect("a pipe");
    let status = command("log=debug").stderr(writer).status().expect("started");
    assert!(status.success(), "{status}");
    drop(reader);
}

#[test]
fn a_standard_error_that_does_not_block_gets_everything() {
    let (mut reader, writer) = UnixStream::pair().expect("sockets");
    writer.set_nonblocking(true).expect("a socket");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("control");
    let control = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    let mut child = ChildGuard(
        task("flood", "log=info")
            .env("TELEMETRY_TEST_CONTROL", &path)
            .stderr(std::os::fd::OwnedFd::from(writer))
            .spawn()
            .expect("started"),
    );
    let (mut control, _) = control.accept().expect("it comes so far");
    control.read_exact(&mut [0]).expect("it has logged everything");
    control.write_all(b"!").expect("it waits");
    let mut log = String::new();
    reader.read_to_string(&mut log).expect("UTF-8");
    let mut lost = [0; 8];
    control.read_exact(&mut lost).expect("a number");
    assert!(child.0.wait().expect("it ends").success());
    let (written, missing) = flood_lines(&log);
    assert_eq!((written as u64 + missing, missing), (FLOOD as u64, u64::from_le_bytes(lost)));
}

#[test]
fn a_long_line_is_cut() {
    let log = logged_by(task("long", "log=info"));
    assert_eq!(log.len(), STDERR_LINE_BYTES_MAX);
    assert!(log.ends_with("xxx [cut]\n"), "{}", &log[log.len() - 20..]);
}

#[test]
fn a_panic_is_an_event_like_any_other() {
    let log = logged_by(task("panic", "log=info"));
    let (first, second) = log.trim_end().split_once('\n').expect("two lines");
    assert!(first.contains("ERROR") && first.contains("panicked: planted thread=\"doomed\""), "{first}");
    assert!(first.contains("tests/telemetry.rs:"), "{first}");
    assert!(second.ends_with("behind it"), "{second}");
    let log = logged_by(task("panic", "log=info log-format=json"));
    for line in log.lines() {
        let _: serde_json::Value = serde_json::from_str(line).expect("an object");
    }
}

#[test]
fn a_panic_is_told_where_nothing_is_logged() {
    let log = logged_by(task("panic", "log=off"));
    assert!(log.starts_with("parlance: thread doomed panicked at tests/telemetry.rs:"), "{log}");
    assert!(log.ends_with(": planted\n"), "{log}");
}
