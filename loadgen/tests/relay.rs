//! The program against small servers that behave or do not: what it must find, say, and exit with.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the server does to the fifth message for one of its receivers.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Nothing,
    Drop,
    Double,
    /// Sends it behind the sixth one.
    Swap,
    Corrupt,
    /// Says that it skipped it, instead.
    Announce,
    /// Closes the receiver's connection.
    Close,
    /// Refuses the receiver's login.
    Refuse,
}

/// The receiver that the fault hits: the last one, which does not publish.
const VICTIM: &str = "-000004";
const CLIENTS: &str = "5";

struct Peer {
    stream: TcpStream,
    name: String,
    received: u32,
    held: Vec<u8>,
}

impl Peer {
    fn send(&mut self, frame: &[u8], fault: Fault) {
        self.received += 1;
        let hit = self.received == 5 && self.name.ends_with(VICTIM);
        let mut out = match fault {
            Fault::Double if hit => frame.repeat(2),
            Fault::Drop if hit => Vec::new(),
            Fault::Announce if hit => b"INFO 1 messages missed\n".to_vec(),
            Fault::Corrupt if hit => String::from_utf8_lossy(frame).replace("fgh", "fgi").into_bytes(),
            Fault::Swap if hit => {
                self.held = frame.to_vec();
                return;
            }
            Fault::Close if hit => {
                self.stream.shutdown(Shutdown::Both).expect("it is open");
                return;
            }
            _ => frame.to_vec(),
        };
        out.append(&mut self.held);
        // One that has gone is no concern of the others.
        let _ = self.stream.write_all(&out);
    }
}

/// Serves the line dialect until the process ends.
fn relay(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let peers = Arc::new(Mutex::new(Vec::new()));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let peers = Arc::clone(&peers);
            thread::spawn(move || serve(&stream, fault, &peers));
        }
    });
    addr
}

fn serve(stream: &TcpStream, fault: Fault, peers: &Mutex<Vec<Peer>>) {
    let mut own = String::new();
    stream.set_nodelay(true).expect("it is open");
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        let mut peers = peers.lock().expect("no thread panics");
        if let Some(name) = line.strip_prefix("LOGIN ") {
            name.clone_into(&mut own);
            let mut stream = stream.try_clone().expect("a descriptor");
            let refused = fault == Fault::Refuse && name.ends_with(VICTIM);
            stream
                .write_all(if refused { b"ERR username-taken\n" } else { b"OK\n" })
                .expect("it has just connected");
            peers.push(Peer { stream, name: own.clone(), received: 0, held: Vec::new() });
        } else if let Some(text) = line.strip_prefix("MSG ") {
            let frame = format!("MSG {own} {text}\n");
            for peer in peers.iter_mut().filter(|peer| peer.name != own) {
                peer.send(frame.as_bytes(), fault);
            }
        }
    }
}

/// Runs the program against such a server.
fn load(fault: Fault, more: &[&str]) -> Output {
    let addr = relay(fault).to_string();
    Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["--addr", &addr, "--clients", CLIENTS])
        .args(["--warmup", "0s", "--duration", "200ms"])
        .args(more)
        .output()
        .expect("it starts")
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn assert_finds(fault: Fault, sentence: &str) {
    let output = load(fault, &["--rate", "100", "--publishers", "1"]);
    let words = words(&output);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.lines().last().is_some_and(|line| line.contains(sentence)), "{words}");
}

#[test]
fn a_server_that_behaves_passes_in_the_open_loop() {
    for more in [&["--rate", "100"][..], &["--rate", "1000", "--arrivals", "poisson", "--publishers", "3"]] {
        let output = load(Fault::Nothing, more);
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    }
}

#[test]
fn a_server_that_behaves_passes_in_the_closed_loop() {
    for window in ["1", "8"] {
        let output = load(Fault::Nothing, &["--window", window]);
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    }
}

#[test]
fn idle_clients_are_held() {
    let output = load(Fault::Nothing, &["--idle"]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
}

#[test]
fn a_message_dropped_is_lost() {
    assert_finds(Fault::Drop, "1 delivery lost");
}

#[test]
fn a_message_dropped_does_not_stop_the_closed_loop() {
    let output = load(Fault::Drop, &["--window", "2", "--publishers", "1"]);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(words(&output).contains("loadgen: 1 delivery lost."), "{}", words(&output));
}

#[test]
fn a_message_sent_twice_is_doubled() {
    assert_finds(Fault::Double, "1 delivery doubled");
}

#[test]
fn two_messages_swapped_are_out_of_order() {
    assert_finds(Fault::Swap, "1 delivery out of order");
}

#[test]
fn a_text_that_was_altered_is_corrupted() {
    assert_finds(Fault::Corrupt, "1 delivery corrupted");
}

#[test]
fn what_the_server_says_it_skipped_is_lost() {
    assert_finds(Fault::Announce, "1 message announced by the server as missed");
}

#[test]
fn a_connection_that_the_server_closes_is_reported() {
    assert_finds(Fault::Close, "1 connection cut off (first: the connection ended: closed by the server)");
}

#[test]
fn a_login_refused_is_reported_in_the_servers_words() {
    assert_finds(
        Fault::Refuse,
        "1 of 5 clients failed to connect or to log in (4 did, 0 did not try): the server said: ERR username-taken",
    );
}

#[test]
fn a_server_that_is_not_there_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound").to_string();
    drop(listener);
    let output =
        Command::new(env!("CARGO_BIN_EXE_loadgen")).args(["--addr", &addr]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains("connecting failed: Connection refused"), "{}", words(&output));
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused() {
    let output = load(Fault::Nothing, &["--room-size", "2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(words(&output).contains("the line dialect has only one room"), "{}", words(&output));
}

#[test]
fn the_files_say_what_was_measured() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = |name: &str| directory.join(format!("{}-{name}", std::process::id()));
    let (json, plot, hgrm) = (path("report.json"), path("plot.svg"), path("latency.hgrm"));
    let arguments: Vec<String> = [("--json", &json), ("--plot", &plot), ("--hgrm", &hgrm)]
        .into_iter()
        .flat_map(|(flag, path)| [flag.to_owned(), path.display().to_string()])
        .chain(["--rate", "100", "--publishers", "1"].map(str::to_owned))
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = load(Fault::Nothing, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));

    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("it was written");
    let report: serde_json::Value = serde_json::from_str(&read(&json)).expect("JSON");
    // 100 a second for 0.2 s, to all of the five but the sender.
    assert_eq!(report["check"]["delivered"], 80);
    assert_eq!(report["delivery_latency"]["count"], 80);
    assert_eq!(report["last_recipient_latency"]["count"], 20);
    assert_eq!(report["plan"]["dialect"], "line");
    assert!(report["problems"].as_array().is_some_and(Vec::is_empty));
    assert!(read(&plot).contains("</svg>"));
    assert!(read(&hgrm).contains("Total count    =           80]"));
    assert!(read(&path("latency-last-recipient.hgrm")).contains("Total count    =           20]"));
}
