//! The systemd unit of docs/operations.md, and its configuration, checked against the program without
//! systemd. `tests/peers/systemd_unit` runs it.

use std::path::Path;
use std::time::Duration;

use parlance::config::{Config, Sources};
use parlance::limits::STDERR_FLUSH_MILLIS_MAX;

const DOCUMENT: &str = include_str!("../docs/operations.md");

/// The code block that starts with a comment.
fn block(first_line: &str) -> &'static str {
    let start = format!("\n# {first_line}\n");
    let (_, from) = DOCUMENT.split_once(&start).unwrap_or_else(|| panic!("no block for {first_line}"));
    from.split_once("\n```").expect("the block ends").0
}

/// The values of a directive of the unit, in their order.
fn values(name: &str) -> Vec<&'static str> {
    let lines = block("/etc/systemd/system/parlance.service").lines();
    lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

fn value(name: &str) -> &'static str {
    let values = values(name);
    assert_eq!(values.len(), 1, "{name}: {values:?}");
    values[0]
}

#[test]
fn the_unit_gives_the_server_a_place_and_the_configuration_names_it() {
    assert_eq!(value("DynamicUser"), "yes");
    assert_eq!(value("ProtectSystem"), "strict");
    let place = value("StateDirectory");
    // For a configuration without `data`.
    assert_eq!(value("WorkingDirectory"), format!("%S/{place}"));

    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("parlance.toml");
    std::fs::write(&file, block("/etc/parlance/parlance.toml")).expect("written");
    let config = Config::load(&Sources { file: Some(file), ..Sources::default() }).expect("it is accepted");
    assert_eq!(config.data, Path::new("/var/lib").join(place));
}

#[test]
fn the_unit_starts_the_server_with_its_configuration() {
    let start = value("ExecStart").split(' ').collect::<Vec<_>>();
    assert_eq!(start, ["/usr/local/bin/parlance", "--config", "/etc/parlance/parlance.toml"]);
    // systemd is told, which takes a socket of its own family.
    assert_eq!(value("Type"), "notify");
    let mut families: Vec<_> = value("RestrictAddressFamilies").split(' ').collect();
    families.sort_unstable();
    assert_eq!(families, ["AF_INET", "AF_INET6", "AF_UNIX"]);
    // A call that is refused is an error then, which the server copes with, and not its end.
    assert_eq!(values("SystemCallFilter").is_empty(), values("SystemCallErrorNumber").is_empty());
}

#[test]
fn the_unit_lets_the_server_stop_and_starts_no_bad_configuration_twice() {
    let seconds = value("TimeoutStopSec").parse().expect("seconds");
    // Clients that were told are waited for, two seconds at most, and so is the log.
    let needed = Config::default().drain_timeout
        + Duration::from_secs(2)
        + Duration::from_millis(STDERR_FLUSH_MILLIS_MAX);
    assert!(Duration::from_secs(seconds) > needed, "{seconds} s, and {needed:?} may be needed");
    assert_eq!(value("Restart"), "on-failure");
    assert_eq!(value("RestartPreventExitStatus"), "2");
    assert_eq!(values("ExecReload"), [""; 0], "settings are not reloaded");
    assert_eq!(values("KillSignal"), [""; 0], "SIGTERM is the default");
}
