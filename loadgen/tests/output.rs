//! What the program prints and writes, where its output is closed or full, and what it says of a server with
//! a name.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use parlance::chat::Event;
use parlance::wire::Dialect;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{TestServer, deadline};

const PROGRAM: &str = env!("CARGO_BIN_EXE_loadgen");

/// A short run against a line server.
fn run(address: &str) -> Command {
    run_for(address, "200ms")
}

fn run_for(address: &str, duration: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args([
        "--addr",
        address,
        "--clients",
        "4",
        "--rate",
        "100",
        "--warmup",
        "0s",
        "--duration",
        duration,
    ]);
    command
}

/// A directory of this test alone.
fn directory(name: &str) -> PathBuf {
    let directory =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("output-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory");
    directory
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

#[test]
fn files_are_written_though_nobody_reads_the_report() {
    let server = TestServer::start();
    let address = server.address(Dialect::Line).to_string();
    let directory = directory("closed");
    let files = ["report.json", "latencies.hgrm", "latencies-last-recipient.hgrm", "plot.svg"];
    let files = files.map(|file| directory.join(file));
    let mut command = run(&address);
    command.arg("--json").arg(&files[0]).arg("--hgrm").arg(&files[1]).arg("--plot").arg(&files[3]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let (errors_reader, errors_writer) = std::io::pipe().expect("a pipe");
    drop(errors_reader);
    let output = command.stdout(writer).stderr(Stdio::piped()).output().expect("it runs");
    assert_eq!((output.status.code(), errors(&output).as_str()), (Some(0), ""));
    for file in &files {
        assert!(fs::metadata(file).is_ok_and(|file| file.len() > 0), "{}", file.display());
    }
    // With both closed there is nobody to tell anything, and a failure is one all the same.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let refusing = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    let status = run(&refusing.to_string()).stdout(writer).stderr(errors_writer).status().expect("it runs");
    assert_eq!(status.code(), Some(1));
    fs::remove_dir_all(directory).expect("it is there");
}

#[test]
fn a_full_disk_is_an_error_and_no_panic() {
    let server = TestServer::start();
    let address = server.address(Dialect::Line).to_string();
    let full = || File::options().write(true).open("/dev/full").expect("Linux has it");
    let directory = directory("full");
    let json = directory.join("report.json");
    let output = run(&address).arg("--json").arg(&json).stdout(full()).stderr(Stdio::piped()).output();
    let output = output.expect("it runs");
    let words = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.starts_with("loadgen: cannot write to standard output: "), "{words}");
    let report: Value = serde_json::from_slice(&fs::read(&json).expect("it is written first")).expect("JSON");
    assert_eq!(report["published"], 20);
    let output = run(&address).args(["--json", "/dev/full"]).output().expect("it runs");
    let words = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.starts_with("loadgen: /dev/full: "), "{words}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("published"),
        "the report is printed all the same"
    );
    fs::remove_dir_all(directory).expect("it is there");
    let help = Command::new(PROGRAM).arg("--help").stdout(full()).stderr(Stdio::piped()).output();
    let help = help.expect("it runs");
    let words = errors(&help);
    assert_eq!(help.status.code(), Some(1), "{words}");
    assert!(words.starts_with("loadgen: cannot write to standard output: "), "{words}");
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_the_others_are_written() {
    let server = TestServer::start();
    let address = server.address(Dialect::Line).to_string();
    let directory = directory("named");
    let flags = ["--json", "--hgrm", "--plot"];
    let files = ["report.json", "latencies.hgrm", "plot.svg"].map(|file| directory.join(file));
    for (failing, flag) in flags.iter().enumerate() {
        let bad = directory.join("missing").join(flag);
        let mut command = run(&address);
        for (index, (flag, file)) in flags.iter().zip(&files).enumerate() {
            let _ = fs::remove_file(file);
            command.arg(flag).arg(if index == failing { &bad } else { file });
        }
        let output = command.output().expect("it runs");
        let words = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(words.starts_with(&format!("loadgen: {}: ", bad.display())), "{flag}: {words}");
        for (index, file) in files.iter().enumerate() {
            let is_there = fs::metadata(file).is_ok_and(|file| file.len() > 0);
            assert_eq!(is_there, index != failing, "{flag}, {}: {words}", file.display());
        }
    }
    fs::remove_dir_all(directory).expect("it is there");
}

#[test]
fn a_soak_names_the_file_that_cannot_be_written() {
    let server = TestServer::start();
    let soak = |write: &Path| {
        let mut command = Command::new(PROGRAM);
        command.args(["soak", "--clients", "60", "--churn", "40", "--rate", "400"]);
        command.args(["--warmup", "0s", "--duration", "1s", "--compare", "500ms", "--write"]).arg(write);
        for dialect in Dialect::ALL {
            command.args(["--addr", &format!("{}={}", dialect.name(), server.address(dialect))]);
        }
        let output = command.output().expect("it runs");
        (output.status.code(), errors(&output))
    };
    let directory = directory("soak");
    let json = directory.join("soak.json");
    fs::create_dir(&json).expect("a directory");
    let (status, words) = soak(&directory);
    assert_eq!(status, Some(1), "{words}");
    assert!(words.contains(&format!("loadgen: {}: ", json.display())), "{words}");
    assert!(fs::metadata(directory.join("soak.svg")).is_ok_and(|file| file.len() > 0), "{words}");
    fs::remove_dir_all(directory).expect("it is there");

    let nowhere = Path::new("/dev/null/soak");
    let (status, words) = soak(nowhere);
    assert_eq!(status, Some(1), "{words}");
    assert!(words.starts_with(&format!("loadgen: {}: ", nowhere.display())), "{words}");
}

#[test]
fn a_server_with_a_name_is_looked_up_once_and_its_address_reported() {
    let server = TestServer::start();
    let address = server.address(Dialect::Line);
    let name = format!("localhost:{}", address.port());
    let directory = directory("name");
    let json = directory.join("report.json");
    let output = run(&name).arg("--json").arg(&json).output().expect("it runs");
    assert_eq!((output.status.code(), errors(&output).as_str()), (Some(0), ""));
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        printed.lines().next().is_some_and(|row| row.ends_with(&format!("at {name} ({address})"))),
        "{printed}"
    );
    let report: Value = serde_json::from_slice(&fs::read(&json).expect("it is written")).expect("JSON");
    assert_eq!(
        (&report["plan"]["addr"], &report["plan"]["name"]),
        (&address.to_string().into(), &name.into())
    );
    fs::remove_dir_all(directory).expect("it is there");

    // Datagrams go to the address that the handshake reached.
    let handshake = format!("localhost:{}", server.address(Dialect::Tcrp).port());
    let datagrams = format!("localhost:{}", server.address(Dialect::Ucrp).port());
    let mut command = run(&handshake);
    command.args(["--dialect", "tcrp", "--room-size", "2", "--datagrams", &datagrams]);
    let output = command.output().expect("it runs");
    assert_eq!((output.status.code(), errors(&output).as_str()), (Some(0), ""));

    for (address, status, words) in [
        ("parlance.invalid", 1, "no server is found under parlance.invalid:4000"),
        ("http://localhost", 2, "is a URL"),
        ("localhost:99999", 2, "`99999` is no port"),
    ] {
        let output = run(address).output().expect("it runs");
        let errors = errors(&output);
        assert!(output.status.code() == Some(status) && errors.contains(words), "{address}: {errors}");
    }
}

#[test]
fn no_text_of_a_server_steers_the_terminal() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked);
            let _ = stream.write_all("-ERR \u{1b}[2J\u{9b}31m\u{202e}no\u{7}\r\n".as_bytes());
        }
    });
    let output = run(&address).args(["--dialect", "redis"]).output().expect("it runs");
    let words = errors(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(words.contains("\u{fffd}[2J\u{fffd}31m\u{fffd}no\u{fffd}"), "{words:?}");
}

/// Starts a run that lasts longer than any test, and returns when it has begun to speak.
fn long_run(server: &TestServer, json: &Path, ignored: &str) -> Child {
    let mut witness = server.client(Dialect::Line, "witness");
    let run = run_for(&server.address(Dialect::Line).to_string(), "1h");
    let mut shell = Command::new("/bin/sh");
    // Where the tests run in the background of a shell, that ignores SIGINT.
    let script = format!(r#"trap "" {ignored}; exec env --default-signal=INT "$@""#);
    shell.args(["-c", &script, "sh"]).arg(run.get_program());
    shell.args(run.get_args()).arg("--json").arg(json);
    let child = shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    while !matches!(witness.next_event(deadline()).expect("an event"), Event::Message { .. }) {}
    child
}

#[test]
fn a_terminal_that_closes_ends_the_run_with_its_report() {
    let server = TestServer::start();
    let directory = directory("hangup");
    let json = directory.join("report.json");
    for (ignored, signals) in [
        ("USR1", &[Signal::HUP, Signal::HUP][..]),
        ("USR1", &[Signal::INT]),
        ("USR1", &[Signal::TERM]),
        // As `nohup` starts it.
        ("HUP", &[Signal::HUP, Signal::TERM]),
    ] {
        let run = long_run(&server, &json, ignored);
        for signal in signals {
            kill_process(Pid::from_child(&run), *signal).expect("it runs");
        }
        let output = run.wait_with_output().expect("it ends");
        let words = errors(&output);
        assert_eq!(output.status.code(), Some(130), "{signals:?}: {words}");
        let report = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(report.contains("until the run was cut short"), "{signals:?}: {report}");
        let written: Value = serde_json::from_slice(&fs::read(&json).expect("a file")).expect("JSON");
        assert_eq!(written["cut_short"], Value::Bool(true), "{signals:?}");
        fs::remove_file(&json).expect("it is there");
    }
    fs::remove_dir_all(directory).expect("it is there");
}
