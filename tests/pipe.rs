//! `parlance chat` in a pipe: what a file says arrives whole, or it is told what did not.

mod support;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parlance::chat::Event;
use parlance::client::{Client, Mailbox};
use parlance::config::Config;
use parlance::wire::Dialect;
use support::{TestServer, deadline};

fn chat(server: &TestServer, dialect: Dialect, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlance"));
    command.args(["chat", "--dialect", dialect.name(), "--as", "bobby"]).args(arguments).env_clear();
    if dialect == Dialect::Tcrp {
        command.args(["--ucrp", &server.address(Dialect::Ucrp).to_string()]);
    }
    command.arg(server.address(dialect).to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a chat with this input to its end.
fn run(mut command: Command, input: impl AsRef<[u8]> + Send + 'static) -> Output {
    let mut child = command.spawn().expect("the program starts");
    let mut pipe = child.stdin.take().expect("it is piped");
    // A chat that ends early does not read it all.
    let writer = thread::spawn(move || pipe.write_all(input.as_ref()));
    let output = child.wait_with_output().expect("it ends");
    let _ = writer.join();
    output
}

#[track_caller]
fn assert_well(output: &Output) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*errors), (Some(0), ""));
}

/// What the next of them says in the room, when the others are ignored.
#[track_caller]
fn said(client: &mut Client) -> String {
    loop {
        if let Event::Message { sender: "bobby", text, .. } = client.next_event(deadline()).expect("an event")
        {
            return text.to_owned();
        }
    }
}

fn with_limit(messages: u32) -> TestServer {
    TestServer::with(|config: &mut Config| {
        config.exempt = Vec::new();
        config.session_messages = messages;
    })
}

fn rows(count: usize) -> String {
    (0..count).map(|index| format!("row {index}\n")).collect()
}

/// A server takes ten times as many messages at once as a second: here 40, and then 4 a second.
#[test]
fn a_file_arrives_whole_and_in_order_whatever_the_limit_of_the_server_is() {
    const ROWS: usize = 30;
    thread::scope(|scope| {
        for dialect in [Dialect::Line, Dialect::Slash, Dialect::Gob] {
            scope.spawn(move || {
                let server = with_limit(4);
                let mut alice = server.client(Dialect::Line, "alice");
                assert_well(&run(chat(&server, dialect, &[]), rows(ROWS)));
                let heard: Vec<_> = (0..ROWS).map(|_| said(&mut alice)).collect();
                assert_eq!(heard, rows(ROWS).lines().collect::<Vec<_>>(), "{dialect:?}");
                let next = alice.next_event(deadline()).expect("an event");
                assert!(matches!(next, Event::Left { name: "bobby", .. }), "nothing twice: {next:?}");
            });
        }
    });
}

#[test]
fn a_mailbox_gets_each_line_once_whatever_the_limit_of_the_server_is() {
    const ROWS: usize = 50;
    let server = with_limit(4);
    let mut alice = Mailbox::connect(server.address(Dialect::Typed), deadline()).expect("it listens");
    alice.login("alice", "secret", deadline()).expect("a new name");
    let mut password = tempfile::NamedTempFile::new().expect("a file");
    writeln!(password, "hunter2").expect("written");
    let path = password.path().to_str().expect("UTF-8");
    let arguments = ["--to", "alice", "--password-file", path];
    assert_well(&run(chat(&server, Dialect::Typed, &arguments), rows(ROWS)));
    let letters = alice.list("bobby", deadline()).expect("a list");
    let texts: Vec<_> = letters.into_iter().map(|letter| letter.content).collect();
    assert_eq!(texts, rows(ROWS).lines().collect::<Vec<_>>());
}

#[test]
fn datagrams_come_at_a_pace_that_loses_none() {
    const ROWS: usize = 60;
    let server = TestServer::start();
    let mut alice = server.client(Dialect::Line, "alice");
    assert_well(&run(chat(&server, Dialect::Tcrp, &[]), rows(ROWS)));
    for index in 0..ROWS {
        assert_eq!(said(&mut alice), format!("row {index}"));
    }
}

/// Of a datagram that came too fast nobody knows, so that it is told.
#[test]
fn a_datagram_that_may_be_refused_is_a_failure() {
    let server = with_limit(1);
    let output = run(chat(&server, Dialect::Tcrp, &[]), rows(10));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("a message may be lost"), "{errors}");
    assert!(errors.ends_with("not everything was said; why stands above\n"), "{errors}");
}

#[test]
fn a_byte_order_mark_and_either_line_end_are_no_part_of_a_text() {
    let server = TestServer::start();
    let mut alice = server.client(Dialect::Line, "alice");
    let _account = server.client(Dialect::Line, "carol");
    // The program drops the mark in front of its input. A later one belongs to the text; slash has nothing in
    // front of a text, so that there the server drops it as the start of a line.
    for (dialect, second) in [
        (Dialect::Line, "\u{feff}two"),
        (Dialect::Slash, "two"),
        (Dialect::Tcrp, "\u{feff}two"),
        (Dialect::Gob, "\u{feff}two"),
    ] {
        assert_well(&run(chat(&server, dialect, &[]), "\u{feff}one\r\n\u{feff}two\nthree"));
        assert_eq!([said(&mut alice), said(&mut alice), said(&mut alice)], ["one", second, "three"]);
        while !matches!(alice.next_event(deadline()).expect("an event"), Event::Left { .. }) {}
    }
    let mut mailbox = Mailbox::connect(server.address(Dialect::Typed), deadline()).expect("it listens");
    mailbox.login("bobby", "open sesame", deadline()).expect("a new name");
    drop(mailbox);
    let mut password = tempfile::NamedTempFile::new().expect("a file");
    write!(password, "\u{feff}open sesame\r\n").expect("written");
    let path = password.path().to_str().expect("UTF-8");
    assert_well(&run(chat(&server, Dialect::Line, &["--password-file", path]), "in\n"));
    assert_eq!(said(&mut alice), "in");
}

#[test]
fn what_cannot_be_printed_is_a_failure_unless_its_reader_has_read_enough() {
    let directory = tempfile::tempdir().expect("a directory");
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["chat", "--help"],
        &["config"],
        &["check-config"],
        &["completions", "bash"],
    ] {
        let command = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_parlance"));
            command.args(arguments).env_clear().current_dir(&directory).stderr(Stdio::null());
            command
        };
        let full = File::options().write(true).open("/dev/full").expect("Linux has it");
        assert_eq!(command().stdout(full).status().expect("it runs").code(), Some(1), "{arguments:?}");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        assert_eq!(command().stdout(writer).status().expect("it runs").code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn closed_output_ends_nothing_and_full_output_is_a_failure() {
    let server = TestServer::start();
    let mut alice = server.client(Dialect::Line, "alice");
    let mut command = chat(&server, Dialect::Slash, &[]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    command.stdout(writer);
    assert_well(&run(command, rows(20)));
    for index in 0..20 {
        assert_eq!(said(&mut alice), format!("row {index}"));
    }
    let mut command = chat(&server, Dialect::Slash, &[]);
    command.stdout(File::options().write(true).open("/dev/full").expect("Linux has it"));
    let output = run(command, rows(20));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.starts_with("parlance: cannot write to standard output: "), "{errors}");
}

/// A line server that refuses some of the commands behind the login, and answers late: for the first ones
/// whether each is refused, and how long its answer comes behind the one before. Returns its address, and
/// what was said there in the end.
fn scripted(script: &'static [(bool, u64)]) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let mut answers = stream.try_clone().expect("a descriptor");
        let (answer, answered) = channel::<(u64, String)>();
        let way = thread::spawn(move || {
            for (millis, line) in answered {
                // The latency of a network, which is what this is about.
                thread::sleep(Duration::from_millis(millis));
                let _ = answers.write_all(line.as_bytes());
            }
        });
        let mut said = Vec::new();
        let mut script = script.iter();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let (is_refused, millis) =
                if word == "LOGIN" { (false, 0) } else { *script.next().unwrap_or(&(false, 0)) };
            let words = match word {
                "LOGIN" => "OK\n".to_owned(),
                _ if is_refused => "ERR too-fast\n".to_owned(),
                "PING" => "PONG\n".to_owned(),
                "DM" => format!("ERR user-not-found {}\n", rest.split(' ').next().unwrap_or_default()),
                "MSG" => {
                    said.push(rest.to_owned());
                    continue;
                }
                other => panic!("{other}"),
            };
            answer.send((millis, words)).expect("it listens");
        }
        drop(answer);
        way.join().expect("it ends");
        said
    });
    (address, server)
}

/// The client asks after 100 ms once more whether a line was taken. The answer to that comes when the line
/// was said again.
#[test]
fn each_line_is_said_once_however_late_a_refusal_comes() {
    for script in [
        // The line is refused, the question is not; it is asked again, which is refused very late.
        &[(true, 0), (false, 300), (true, 300)][..],
        // The line is taken, the question refused, asked again and refused again.
        &[(false, 0), (true, 0), (true, 300)],
        // Both are refused twice.
        &[(true, 0), (true, 0), (true, 300), (true, 0)],
    ] {
        let (address, server) = scripted(script);
        let mut command = Command::new(env!("CARGO_BIN_EXE_parlance"));
        command.args(["chat", "--as", "bobby", &address.to_string()]).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        assert_well(&run(command, rows(4)));
        assert_eq!(server.join().expect("it ends"), rows(4).lines().collect::<Vec<_>>(), "{script:?}");
    }
}
