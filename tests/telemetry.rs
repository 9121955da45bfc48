//! What reaches standard error. The log belongs to the whole process, so each case runs in one of its own: this
//! test program starts itself anew, asking for the one test that logs.

use std::io;
use std::process::{Command, Stdio};

use parlance::config::{Config, Sources};
use parlance::telemetry;

const CHILD_VARIABLE: &str = "TELEMETRY_TEST_FLAGS";

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
    telemetry::init(&Config::load(&sources).expect("accepted")).expect("the first to log");
    assert!(telemetry::init(&Config::default()).is_err(), "taken already");
    tracing::info!(port = 4000, "listening");
    tracing::debug!("detail");
}

fn command(flags: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args(["--exact", "child", "--ignored", "--nocapture", "--quiet"])
        .env(CHILD_VARIABLE, flags)
        .stdout(Stdio::null());
    command
}

fn logged(flags: &str) -> String {
    let output = command(flags).stderr(Stdio::piped()).output().expect("started");
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
