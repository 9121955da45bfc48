//! The soak against the real server, at a small scale. One test, so that nothing else opens descriptors in this process.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;

use parlance::wire::Dialect;
use serde_json::Value;
use support::TestServer;

#[test]
fn clients_come_and_go_and_nothing_is_lost_or_left_open() {
    let server = TestServer::start();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("soak-{}", std::process::id()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(["soak", "--clients", "60", "--churn", "40", "--rate", "400"]);
    command.args(["--warmup", "500ms", "--duration", "2s", "--compare", "1s"]);
    for dialect in Dialect::ALL {
        command.args(["--addr", &format!("{}={}", dialect.name(), server.address(dialect))]);
    }
    command.args(["--server-pid", &std::process::id().to_string(), "--write"]).arg(&directory);
    let output = command.output().expect("it starts");
    let words =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let json = std::fs::read(directory.join("soak.json")).unwrap_or_else(|error| panic!("{error}: {words}"));
    let report: Value = serde_json::from_slice(&json).expect("JSON");

    // Two seconds say nothing about memory.
    let problems = report["problems"].as_array().expect("a list");
    let others: Vec<_> =
        problems.iter().filter(|problem| !problem.to_string().contains("memory changed")).collect();
    assert!(others.is_empty(), "{words}");
    assert_eq!(output.status.code(), Some(i32::from(!problems.is_empty())), "{words}");

    let count = |name: &str| report["counts"][name].as_u64().expect("a count");
    // A busy machine decides the number of turns, and nothing else: 80 clients come in, some of them leave
    // each way and come back, and each connection ends once.
    let connects = count("connects");
    assert!(connects > 80, "{words}");
    let left = ["left_politely", "left_by_reset", "left_half_closed"].map(count);
    assert!(left.iter().all(|&count| count > 0) && left.iter().sum::<u64>() == connects, "{words}");
    assert!(count("published") > 0 && count("mailed") > 0, "{words}");
    assert_eq!((count("kept"), count("deleted")), (count("mailed"), count("mailed")), "{words}");
    assert!(count("listed") > 0 && count("announcements") > 0, "{words}");
    for kind in ["streams", "datagrams", "mail"] {
        let tally = &report["deliveries"][kind];
        // On loopback, so few datagrams fit what the kernel keeps.
        assert!(tally["delivered"].as_u64() > Some(0) && tally["delivered"] == tally["owed"], "{words}");
    }
    assert_eq!(report["descriptors"]["before"], report["descriptors"]["after"]);
    assert!(report["samples"].as_array().is_some_and(|samples| !samples.is_empty()), "{words}");
    let plot = std::fs::read_to_string(directory.join("soak.svg")).expect("a plot");
    assert!(plot.starts_with("<svg") && plot.contains("Open descriptors"));
    std::fs::remove_dir_all(&directory).expect("it was written to");
    let metrics = server.stop().metrics;
    assert_eq!(metrics.lagged, 0);
}
