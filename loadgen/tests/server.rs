//! The program against the real server, in each dialect: what it counts, and what it leaves behind.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use parlance::chat::{self, Event, Secret};
use parlance::client::Client;
use parlance::wire::Dialect;
use parlance::wire::typed::{self, Reply, Request, TagSet};
use serde_json::Value;
use support::{TestServer, deadline};

/// Runs the program in a dialect against a server, and returns its report.
fn load(server: &TestServer, dialect: Dialect, more: &[&str]) -> Value {
    load_until(0, server, dialect, more)
}

/// The same, where it ends with this exit status.
fn load_until(status: i32, server: &TestServer, dialect: Dialect, more: &[&str]) -> Value {
    let (code, words, report) = outcome(server, dialect, more);
    assert_eq!(code, Some(status), "{words}");
    report
}

/// Runs the program, and returns its exit status, what it printed, and its report.
fn outcome(server: &TestServer, dialect: Dialect, more: &[&str]) -> (Option<i32>, String, Value) {
    let address = server.address(dialect).to_string();
    let datagrams = server.address(Dialect::Ucrp).to_string();
    let name = format!("{}-{}.json", std::process::id(), server.address(dialect).port());
    let json = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(["--dialect", dialect.name(), "--addr", &address, "--warmup", "0s", "--duration", "200ms"]);
    if dialect == Dialect::Tcrp {
        command.args(["--datagrams", &datagrams]);
    }
    let output = command.args(more).arg("--json").arg(&json).output().expect("it starts");
    let words =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let report = std::fs::read_to_string(&json).unwrap_or_else(|error| panic!("{error}: {words}"));
    let report = serde_json::from_str(&report).expect("JSON");
    (output.status.code(), words, report)
}

fn assert_delivered(report: &Value, published: u64, delivered: u64) {
    assert_eq!(report["published"], published);
    let check = &report["check"];
    for fault in
        ["doubled", "corrupted", "undecodable", "unkept", "refused", "mislisted", "unrecognized", "foreign"]
    {
        assert_eq!(check[fault], 0, "{fault}");
    }
    assert_eq!(check["delivered"], delivered);
    assert_eq!(report["delivery_latency"]["count"], delivered);
    assert_eq!(report["last_recipient_latency"]["count"], published);
}

const TWENTY: [&str; 4] = ["--rate", "100", "--publishers", "2"];

#[test]
fn in_the_dialects_with_rooms_all_others_of_the_room_receive_a_message() {
    let server = TestServer::start();
    let rooms = [&TWENTY[..], &["--clients", "6", "--room-size", "3"]].concat();
    let one_room = [&TWENTY[..], &["--clients", "5"]].concat();
    assert_delivered(&load(&server, Dialect::Line, &one_room), 20, 20 * 4);
    // Who speaks hears itself.
    assert_delivered(&load(&server, Dialect::Slash, &rooms), 20, 20 * 3);
    assert_delivered(&load(&server, Dialect::Gob, &one_room), 20, 20 * 4);
    assert_delivered(&load(&server, Dialect::Tcrp, &rooms), 20, 20 * 2);
}

#[test]
fn who_stops_reading_is_owed_nothing_and_lags_while_the_others_receive_all() {
    let server = TestServer::with(|config| config.log_bytes = 2 << 20);
    // More than the log and the kernel keep for who does not read; and the log keeps 50 ms of it, for those who do read.
    let much = ["--rate", "10000", "--size", "4000", "--publishers", "2", "--clients", "9", "--stalled", "4"];
    let report = load(&server, Dialect::Line, &much);
    assert_delivered(&report, 2000, 2000 * 4);
    assert!(report["plan"]["stalled"] == 4 && server.stop().metrics.lagged >= 4);
}

#[test]
fn the_longest_texts_pass() {
    let server = TestServer::start();
    for (dialect, size) in [(Dialect::Gob, "4019"), (Dialect::Tcrp, "4039"), (Dialect::Typed, "4096")] {
        let report = load(&server, dialect, &["--rate", "50", "--clients", "2", "--size", size]);
        // Both speak where they share a room; of two who write to each other, one.
        assert_delivered(&report, 10, 10);
    }
}

#[test]
fn the_closed_loop_ends_well_where_nothing_may_be_lost() {
    let server = TestServer::start();
    for dialect in [Dialect::Gob, Dialect::Typed] {
        let report = load(&server, dialect, &["--window", "4", "--clients", "4"]);
        assert_eq!(report["check"]["lost"], 0);
        assert!(report["check"]["delivered"].as_u64() > Some(0));
    }
}

fn rooms(client: &mut Client) -> Vec<String> {
    client.send(&chat::Command::Rooms).expect("the server reads");
    client.send(&chat::Command::Help).expect("the server reads");
    let mut rooms = Vec::new();
    loop {
        match client.next_event(deadline()).expect("an answer") {
            Event::Room { name, .. } => rooms.push(name.to_owned()),
            Event::Help => return rooms,
            _ => {}
        }
    }
}

#[test]
fn rooms_for_datagrams_are_closed_at_the_end() {
    let server = TestServer::start();
    let report = load(&server, Dialect::Tcrp, &["--clients", "7", "--room-size", "3", "--rate", "100"]);
    // Of the three rooms, the last has one member, whom nobody can tell that it is heard.
    assert_delivered(&report, 20, 20 * 2);
    assert_eq!((&report["check"]["lost"], &report["lost_percent"]), (&Value::from(0), &Value::from(0.0)));

    // Nobody is told of the end of the last one: what is asked over a connection may overtake the datagram.
    let mut client = server.client(Dialect::Slash, "somebody");
    let deadline = deadline();
    while rooms(&mut client) != ["lobby"] {
        assert!(Instant::now() < deadline, "they are there still");
    }
}

#[test]
fn mailboxes_are_listed_and_accounts_deleted_at_the_end() {
    let server = TestServer::start();
    let report = load(&server, Dialect::Typed, &["--clients", "6", "--publishers", "6", "--rate", "120"]);
    assert_delivered(&report, 24, 24);
    assert_eq!(report["kept_latency"]["count"], 24);
    assert_eq!(names_of_accounts(&server), ["somebody"]);
}

#[test]
fn acknowledgements_are_counted_and_the_next_run_finds_its_accounts_again() {
    let server = TestServer::start();
    let clients = ["--kept", "--clients", "5", "--publishers", "2"];
    for more in [&["--rate", "100"][..], &["--rate", "100", "--delete-accounts"]] {
        assert_delivered(&load(&server, Dialect::Typed, &[&clients[..], more].concat()), 20, 20);
        if !more.contains(&"--delete-accounts") {
            let accounts: Vec<String> = (0..5).map(|client| format!("Lkept-{client:06}")).collect();
            let mut there = names_of_accounts(&server);
            there.sort_unstable();
            assert_eq!(there[..5], accounts);
        }
    }
    assert_eq!(names_of_accounts(&server), ["somebody"]);
}

#[test]
fn acknowledgements_refill_the_closed_window() {
    let server = TestServer::start();
    for window in ["1", "64"] {
        let report = load(&server, Dialect::Typed, &["--kept", "--clients", "3", "--window", window]);
        let check = &report["check"];
        for fault in ["lost", "doubled", "reordered", "corrupted", "refused", "unkept"] {
            assert_eq!(check[fault], 0, "{fault}");
        }
        assert!(check["delivered"].as_u64() > Some(window.parse().expect("a number")));
        assert_eq!(report["kept_latency"], report["delivery_latency"]);
    }
}

#[test]
fn what_a_full_mailbox_does_not_take_is_refused() {
    let server = TestServer::start();
    // A message takes 4352 bytes of a sender's 2 MiB.
    let arguments = ["--kept", "--clients", "2", "--size", "4096", "--window", "256"];
    let mut refused = 0;
    // As many runs as it takes to fill it, however fast this machine is.
    while refused == 0 {
        let (_, _, report) = outcome(&server, Dialect::Typed, &arguments);
        refused = report["check"]["refused"].as_u64().expect("a count");
        assert_eq!(
            (&report["check"]["lost"], &report["connections_lost"]),
            (&Value::from(0), &Value::from(0))
        );
    }
    let report = load_until(
        1,
        &server,
        Dialect::Typed,
        &["--kept", "--clients", "2", "--rate", "100", "--size", "4096"],
    );
    assert_eq!((&report["published"], &report["check"]["refused"]), (&Value::from(20), &Value::from(20)));
    assert_eq!(
        report["problems"][0],
        "20 messages refused (first: the mailbox is full for you: it holds as much from you as it may)"
    );
}

#[test]
fn idle_clients_are_held_in_every_dialect_and_leave() {
    let server = TestServer::start();
    for dialect in [Dialect::Gob, Dialect::Typed, Dialect::Tcrp] {
        let report = load(&server, dialect, &["--clients", "4", "--idle"]);
        assert_eq!((&report["connections_lost"], &report["published"]), (&Value::from(0), &Value::from(0)));
    }
    load(&server, Dialect::Tcrp, &["--clients", "3", "--room-size", "1", "--idle"]);
    assert_eq!(names_of_accounts(&server), ["somebody"]);
}

/// Makes an account, and returns the names that it is then shown.
fn names_of_accounts(server: &TestServer) -> Vec<String> {
    let mut stream = TcpStream::connect(server.address(Dialect::Typed)).expect("the server listens");
    let tags = TagSet::InUse;
    let mut said = Vec::new();
    for request in [Request::LoginName("somebody"), Request::LoginPassword(Secret("secret"))] {
        request.encode(tags, &mut said).expect("it is short");
    }
    stream.write_all(&said).expect("the server reads");
    let mut heard = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).expect("an answer");
        assert_ne!(count, 0, "the server closed");
        heard.extend_from_slice(&buffer[..count]);
        loop {
            let typed::Decoded { consumed, frame } = Reply::decode(tags, &heard);
            match frame {
                typed::Frame::Whole(Reply::LoggedIn(names)) => return names.map(str::to_owned).collect(),
                typed::Frame::Incomplete => break,
                _ => drop(heard.drain(..consumed)),
            }
        }
    }
}
