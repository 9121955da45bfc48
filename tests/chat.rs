//! `parlance chat` as a program: through pipes in each dialect, and on a terminal.

mod support;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

use parlance::chat::{Command as Said, Event};
use parlance::client::{Client, Entry, Mailbox, Seat};
use parlance::wire::{Dialect, tcrp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use support::{TestServer, deadline};

fn command(server: &TestServer, dialect: Dialect, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlance"));
    command.args(["chat", "--dialect", dialect.name()]).args(arguments);
    if dialect == Dialect::Tcrp {
        command.args(["--ucrp", &server.address(Dialect::Ucrp).to_string()]);
    }
    command.arg(server.address(dialect).to_string()).env_clear().env("TERM", "xterm");
    command
}

/// A chat through pipes, which does not outlive its test.
struct Chat {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Chat {
    fn start(server: &TestServer, dialect: Dialect, arguments: &[&str]) -> Self {
        Self::spawn(command(server, dialect, arguments))
    }

    fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, input, output }
    }

    fn type_in(&mut self, text: impl AsRef<[u8]>) {
        self.input.as_mut().expect("it is open").write_all(text.as_ref()).expect("it reads");
    }

    /// Reads lines until one fits.
    #[track_caller]
    fn line_where(&mut self, fits: impl Fn(&str) -> bool) -> String {
        let mut before = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).expect("UTF-8"), 0, "the end came behind {before:?}");
            if fits(line.trim_end()) {
                return line.trim_end().to_owned();
            }
            before += &line;
        }
    }

    /// Ends the input, and waits for the end: status, standard output and standard error.
    fn end(mut self) -> (ExitStatus, String, String) {
        drop(self.input.take());
        let (mut output, mut errors) = (String::new(), String::new());
        self.output.read_to_string(&mut output).expect("UTF-8");
        self.child.stderr.take().expect("it is piped").read_to_string(&mut errors).expect("UTF-8");
        (self.child.wait().expect("it ends"), output, errors)
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says something, and leaves.
fn say(
    server: &TestServer,
    dialect: Dialect,
    arguments: &[&str],
    input: impl AsRef<[u8]>,
) -> (Option<i32>, String, String) {
    let mut chat = Chat::start(server, dialect, arguments);
    // A chat that is refused may be over before it has read.
    let _ = chat.input.as_mut().expect("it is piped").write_all(input.as_ref());
    let (status, output, errors) = chat.end();
    (status.code(), output, errors)
}

/// What is said in the room next.
#[track_caller]
fn said(client: &mut Client) -> String {
    loop {
        match client.next_event(deadline()).expect("an event") {
            Event::Message { sender, text, .. } => return format!("{sender}: {text}"),
            Event::Direct { sender, text, .. } => return format!("{sender} in private: {text}"),
            _ => {}
        }
    }
}

/// Waits until he is gone, so that the name is free.
#[track_caller]
fn bobby_leaves(witness: &mut Client) {
    while !matches!(witness.next_event(deadline()).expect("an event"), Event::Left { name: "bobby", .. }) {}
}

fn mailbox(server: &TestServer, name: &str, password: &str) -> Mailbox {
    let mut mailbox = Mailbox::connect(server.address(Dialect::Typed), deadline()).expect("it listens");
    mailbox.login(name, password, deadline()).expect("the password is right");
    mailbox
}

/// A file with a password, and its name.
fn password_file(password: &str) -> (tempfile::NamedTempFile, String) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    writeln!(file, "{password}").expect("written");
    let name = file.path().to_str().expect("UTF-8").to_owned();
    (file, name)
}

const ROOM_DIALECTS: [Dialect; 4] = [Dialect::Line, Dialect::Slash, Dialect::Tcrp, Dialect::Gob];

#[test]
fn what_comes_through_a_pipe_is_said_and_ends_it() {
    let server = TestServer::start();
    let mut alice = server.client(Dialect::Line, "alice");
    for dialect in ROOM_DIALECTS {
        let (status, _, errors) = say(&server, dialect, &["--as", "bobby"], "hi\n\nthere\r\nend");
        assert_eq!((status, errors.as_str()), (Some(0), ""), "{dialect:?}");
        assert_eq!(said(&mut alice), "bobby: hi");
        assert_eq!(said(&mut alice), "bobby: there");
        assert_eq!(said(&mut alice), "bobby: end");
        bobby_leaves(&mut alice);
        let arguments = ["--as", "bobby", "--to", "alice"];
        let (status, _, errors) = say(&server, dialect, &arguments, "psst\n");
        assert_eq!((status, errors.as_str()), (Some(0), ""), "{dialect:?}");
        assert_eq!(said(&mut alice), "bobby in private: psst");
        bobby_leaves(&mut alice);
    }
}

#[test]
fn a_thousand_lines_arrive_in_order() {
    let server = TestServer::start();
    let mut alice = server.client(Dialect::Slash, "alice");
    // Datagrams are lost when many come at once.
    for dialect in [Dialect::Line, Dialect::Slash, Dialect::Gob] {
        let lines: String = (0..1000).map(|index| format!("{index}\n")).collect();
        let (status, ..) = say(&server, dialect, &["--as", "bobby"], lines);
        assert_eq!(status, Some(0), "{dialect:?}");
        for index in 0..1000 {
            assert_eq!(said(&mut alice), format!("bobby: {index}"));
        }
        bobby_leaves(&mut alice);
    }
}

#[test]
fn what_others_say_is_printed_and_steers_nothing() {
    let server = TestServer::start();
    let mut gob = server.client(Dialect::Gob, "mallory");
    for dialect in ROOM_DIALECTS {
        let mut chat = Chat::start(&server, dialect, &["--as", "bobby"]);
        chat.type_in("hi\n");
        // By now it is there.
        while said(&mut gob) != "bobby: hi" {}
        gob.say("one\nalice: two\u{1b}[2J\u{202e}").expect("sent");
        let is_of_lines = matches!(dialect, Dialect::Line | Dialect::Slash);
        if is_of_lines {
            // The server shows each line as a message of its own.
            chat.line_where(|line| line.ends_with("mallory: one"));
        }
        gob.direct("bobby", "psst").expect("sent");
        let line = chat.line_where(|line| line.contains("two"));
        let line = line.rsplit_once("] ").map_or(line.as_str(), |(_, line)| line);
        let said = if is_of_lines { "" } else { "one ⏎ " };
        assert_eq!(line, format!("mallory: {said}alice: two\u{fffd}[2J\u{fffd}"));
        chat.line_where(|line| line == "[private] mallory: psst");
        let (status, _, errors) = chat.end();
        assert_eq!((status.code(), errors.as_str()), (Some(0), ""), "{dialect:?}");
        bobby_leaves(&mut gob);
    }
}

#[test]
fn commands_are_understood_and_a_second_slash_says_a_first_one() {
    let server = TestServer::start();
    let mut alice = server.client(Dialect::Gob, "alice");
    let mut chat = Chat::start(&server, Dialect::Line, &["--as", "bobby"]);
    chat.type_in("/who\n//shrug\n/msg alice psst\n");
    chat.line_where(|line| line == "  alice");
    assert_eq!(said(&mut alice), "bobby: /shrug");
    assert_eq!(said(&mut alice), "bobby in private: psst");
    chat.type_in("/quit\n");
    let (status, ..) = chat.end();
    assert_eq!(status.code(), Some(0));
    let (status, output, _) = say(&server, Dialect::Slash, &["--as", "carol"], "/users\n/nick caroline\n");
    assert_eq!(status, Some(0));
    assert!(
        output.contains("\n  carol (you)\n") && output.contains("*** you are now known as caroline\n"),
        "{output}"
    );
    // Each has a name of its own: one that has said farewell in a datagram may still have its.
    for (dialect, name) in ROOM_DIALECTS.into_iter().zip(["daisy", "delia", "diana", "dora", "dulcie"]) {
        let (status, output, _) = say(&server, dialect, &["--as", name], "/help\n");
        assert_eq!(status, Some(0));
        assert!(output.contains("  /msg NAME TEXT"), "{output}");
    }
}

#[test]
fn what_cannot_be_said_is_a_failure_and_the_rest_is_said() {
    let server = TestServer::start();
    let mut alice = server.client(Dialect::Gob, "alice");
    let long = "x".repeat(1 << 20);
    for (dialect, input, complaint) in [
        (Dialect::Line, "/dance\nhi\n".into(), "no such command"),
        (Dialect::Line, "/msg nobody x\nhi\n".into(), "there is no nobody here"),
        (Dialect::Slash, "/msg nobody x\nhi\n".into(), "nobody of that name"),
        (Dialect::Slash, "//x\nhi\n".into(), "cannot say"),
        (Dialect::Gob, format!("{long}\nhi\n").into_bytes(), "too long"),
        (Dialect::Line, b"\xff\nhi\n".to_vec(), "not UTF-8"),
        (Dialect::Tcrp, "/msg alone\nhi\n".into(), "/msg NAME TEXT"),
    ] {
        let (status, _, errors) = say(&server, dialect, &["--as", "bobby"], input);
        assert_eq!(status, Some(1), "{errors}");
        assert!(errors.contains(complaint) && errors.ends_with("why stands above\n"), "{errors}");
        assert_eq!(said(&mut alice), "bobby: hi");
        bobby_leaves(&mut alice);
    }
}

#[test]
fn who_is_not_let_in_is_told_what_to_do() {
    let server = TestServer::start();
    let _alice = server.client(Dialect::Line, "alice");
    for dialect in [Dialect::Line, Dialect::Slash, Dialect::Tcrp] {
        let (status, output, errors) = say(&server, dialect, &["--as", "alice"], "hi\n");
        assert_eq!((status, output.as_str()), (Some(1), ""));
        assert_eq!(
            errors, "parlance: alice is not let in: the name is taken. Choose another with --as\n",
            "{dialect:?}"
        );
    }
    let (status, output, _) = say(&server, Dialect::Gob, &["--as", "alice"], "hi\n");
    assert_eq!((status, output.as_str()), (Some(0), "*** your name here is alice~2\n"));

    let _bob = mailbox(&server, "bobby", "open sesame");
    let (_file, right) = password_file("open sesame");
    let (_file, wrong) = password_file("guess");
    for dialect in [Dialect::Line, Dialect::Slash, Dialect::Tcrp, Dialect::Typed] {
        let (status, _, errors) = say(&server, dialect, &["--as", "bobby"], "");
        assert_eq!(status, Some(1));
        assert!(errors.contains("a password for bobby is wanted"), "{dialect:?}: {errors}");
    }
    for dialect in [Dialect::Line, Dialect::Slash, Dialect::Tcrp, Dialect::Typed] {
        let (status, _, errors) = say(&server, dialect, &["--as", "bobby", "--password-file", &wrong], "");
        assert_eq!(status, Some(1));
        assert!(errors.contains("wrong password"), "{dialect:?}: {errors}");
    }
    // The name's own account opens its mailbox, whoever holds the name in a room.
    let (status, _, errors) = say(&server, Dialect::Typed, &["--as", "bobby", "--password-file", &right], "");
    assert_eq!((status, errors.as_str()), (Some(0), ""));
    let (status, _, errors) =
        say(&server, Dialect::Line, &["--as", "bobby", "--password-file", &right], "hi\n");
    assert_eq!((status, errors.as_str()), (Some(0), ""));

    let (status, _, errors) =
        say(&server, Dialect::Line, &["--as", "carol", "--password-file", "/nowhere"], "");
    assert_eq!(status, Some(1));
    assert!(errors.contains("/nowhere"), "{errors}");
    let (status, _, errors) = say(&server, Dialect::Tcrp, &["--as", "carol", "--room", "den"], "");
    assert_eq!(status, Some(1));
    assert!(errors.ends_with("no such room. --create makes it\n"), "{errors}");
}

#[test]
fn without_a_server_it_is_said_where_one_was_looked_for() {
    let server = TestServer::start();
    let mut command = command(&server, Dialect::Line, &["--as", "alice"]);
    let address = server.address(Dialect::Line).to_string();
    server.stop();
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let errors = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        errors.contains(&format!("cannot connect to {address}")) && errors.contains("Is a server running"),
        "{errors}"
    );
}

#[test]
fn flags_that_do_not_fit_the_dialect_are_refused() {
    let server = TestServer::start();
    for (dialect, arguments, complaint) in [
        (Dialect::Line, &["--room", "den"][..], "--room is for"),
        (Dialect::Gob, &["--room", "den"], "--room is for"),
        (Dialect::Typed, &["--room", "den"], "--room is for"),
        (Dialect::Slash, &["--room", "den", "--create"], "--create is for"),
        (Dialect::Tcrp, &["--create"], "--create needs"),
        (Dialect::Line, &["--ucrp", "9091"], "--ucrp is for"),
        (Dialect::Gob, &["--password"], "no passwords"),
        (Dialect::Slash, &["--room", "den", "--to", "alice"], "cannot be used with"),
    ] {
        let (status, _, errors) = say(&server, dialect, &[&["--as", "bobby"], arguments].concat(), "");
        assert_eq!(status, Some(2), "{errors}");
        assert!(errors.contains(complaint), "{errors}");
    }
}

#[test]
fn rooms_are_joined_made_and_closed() {
    let server = TestServer::start();
    let mut alice = server.client(Dialect::Slash, "alice");
    alice.send(&parlance::chat::Command::Join("rust")).expect("sent");
    while alice.next_event(deadline()).expect("an event") != Event::YouJoined("rust") {}
    let (status, ..) = say(&server, Dialect::Slash, &["--as", "bobby", "--room", "#rust"], "hi\n");
    assert_eq!(status, Some(0));
    assert_eq!(said(&mut alice), "bobby: hi");

    let mut host = Chat::start(&server, Dialect::Tcrp, &["--as", "carol", "--room", "den", "--create"]);
    let entry = Entry { room: "den", operation: tcrp::Operation::Join, name: "dave", password: None };
    // It is joined as soon as it is there.
    let mut dave = loop {
        let (handshake, datagrams) = (server.address(Dialect::Tcrp), server.address(Dialect::Ucrp));
        match Seat::take(handshake, Some(datagrams), &entry, deadline()) {
            Ok(seat) => break seat,
            Err(error) => assert!(error.to_string().contains("no such room"), "{error}"),
        }
    };
    // Who has said something has said where to send to, and the answer shows that this is known.
    dave.direct("nobody", "are you there?").expect("sent");
    assert!(matches!(dave.next_event(deadline()), Ok(Event::Message { sender: "server", .. })));
    host.type_in("come in\n");
    while !matches!(dave.next_event(deadline()).expect("an event"), Event::Message { sender: "carol", .. }) {}
    let mut member = Chat::start(&server, Dialect::Tcrp, &["--as", "erin", "--room", "den"]);
    member.type_in("I am here\n");
    host.line_where(|line| line == "erin: I am here");
    host.type_in("welcome\n");
    member.line_where(|line| line == "carol: welcome");
    let (status, ..) = host.end();
    assert_eq!(status.code(), Some(0));
    // Its input is still open: the room is what ended.
    let status = member.child.wait().expect("it ends");
    let (_, _, errors) = member.end();
    assert_eq!((status.code(), errors.as_str()), (Some(1), "parlance: the room was closed by its host\n"));
}

#[test]
fn a_mailbox_is_written_to_and_read() {
    let server = TestServer::start();
    let mut alice = mailbox(&server, "alice", "secret");
    let (_file, password) = password_file("hunter2");
    let bob = ["--as", "bobby", "--password-file", &password];
    let (status, output, errors) =
        say(&server, Dialect::Typed, &[&bob[..], &["--to", "alice"]].concat(), "one\ntwo\n");
    assert_eq!((status, output.as_str(), errors.as_str()), (Some(0), "", ""));
    let letters = alice.list("bobby", deadline()).expect("a list");
    assert_eq!(letters.iter().map(|letter| letter.content.as_str()).collect::<Vec<_>>(), ["one", "two"]);

    let id = alice.send_kept("bobby", "three\nmallory: x", "key", deadline()).expect("it is kept");
    let (status, output, _) =
        say(&server, Dialect::Typed, &bob, "/users\n/list alice\n/read alice\n/users\n");
    assert_eq!(status, Some(0));
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines[..2], ["  alice (1 unread)", "  bobby"], "{output}");
    assert_eq!(lines[3], "    bobby to alice: one", "{output}");
    assert!(lines[6].contains(&id) && lines[6].ends_with("(unread)"), "{output}");
    assert_eq!(lines[7..], ["    alice to bobby: three ⏎ mallory: x", "  alice", "  bobby"], "{output}");

    let input = format!("/delete {id}\n/list alice\n/to carol\nx\n");
    let (status, output, errors) = say(&server, Dialect::Typed, &bob, input);
    assert_eq!(status, Some(1));
    assert!(!output.contains("three") && errors.contains("there is no carol here"), "{output}{errors}");
    let (status, _, errors) = say(&server, Dialect::Typed, &bob, "x\n");
    assert_eq!(status, Some(1));
    assert!(errors.contains("to whom?"), "{errors}");

    let mut chat = Chat::start(&server, Dialect::Typed, &bob);
    chat.type_in("/users\n");
    chat.line_where(|line| line == "  bobby");
    alice.send("bobby", "four").expect("sent");
    chat.line_where(|line| line == "alice: four");
    assert_eq!(chat.end().0.code(), Some(0));
}

#[test]
fn a_mailbox_is_read_and_cleared_in_line_and_slash() {
    let server = TestServer::start();
    for (dialect, name) in [(Dialect::Line, "bobby"), (Dialect::Slash, "carol")] {
        let (_file, password) = password_file("hunter2");
        let arguments = ["--as", name, "--password-file", &password];
        let mut own = mailbox(&server, name, "hunter2");
        let mut alice = mailbox(&server, &format!("alice-{name}"), "secret");
        for (key, text) in [("1", "one"), ("2", "two\u{1b}[2J")] {
            alice.send_kept(name, text, key, deadline()).expect("it is kept");
        }
        let script = format!("/mail\n/mail alice-{name}\n/mail\n/mail clear alice-{name}\n/mail\n");
        let (status, output, errors) = say(&server, dialect, &arguments, script);
        assert_eq!((status, errors.as_str()), (Some(0), ""), "{output}");
        let sender = format!("alice-{name}");
        let lines: Vec<_> = output.lines().filter(|line| !line.contains("joined")).collect();
        assert!(lines.contains(&"*** unread messages: 2; /mail lists them"), "{output}");
        let account = |unread: &str| format!("  {sender}{unread}");
        // Each answer ends with its own line.
        let start = lines.iter().position(|line| *line == account(" (2 unread)")).expect("the list");
        let listed: Vec<_> = lines[start..]
            .iter()
            .filter(|line| !line.ends_with(':'))
            .map(|line| match line.strip_prefix("  20").and_then(|line| line.split_once("Z ")) {
                Some((_, said)) => said.to_owned(),
                None => (*line).to_owned(),
            })
            .collect();
        let expected = [
            &account(" (2 unread)"),
            "*** done",
            &format!("{sender}: one"),
            &format!("{sender}: two\u{fffd}[2J"),
            "*** done",
            &account(""),
            "*** done",
            "*** done",
            "*** done",
        ];
        assert_eq!(listed, expected, "{output}");
        assert_eq!(own.list(&sender, deadline()).expect("a list"), [], "it is cleared");
    }
}

#[test]
fn a_gob_chat_goes_to_a_room_and_back() {
    let server = TestServer::start();
    let mut alice = server.client(Dialect::Slash, "alice");
    alice.send(&Said::Join("attic")).expect("sent");
    while !matches!(alice.next_event(deadline()).expect("an event"), Event::YouJoined("attic")) {}
    let mut chat = Chat::start(&server, Dialect::Gob, &["--as", "bobby"]);
    chat.type_in("/join #attic\nhi\n/leave\n");
    assert_eq!(said(&mut alice), "bobby: hi");
    while !matches!(alice.next_event(deadline()).expect("an event"), Event::Left { name: "bobby", .. }) {}
    chat.type_in("/join\n/login bobby secret\n");
    let (status, _, errors) = chat.end();
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("it is /join ROOM") && errors.contains("no passwords in gob"), "{errors}");
}

#[test]
fn a_signal_is_a_way_to_leave() {
    let server = TestServer::start();
    let mut alice = server.client(Dialect::Line, "alice");
    for signal in [Signal::INT, Signal::TERM] {
        let chat = command(&server, Dialect::Slash, &["--as", "bobby"]);
        // Where the tests run in the background of a shell, that ignores SIGINT.
        let mut program = Command::new("env");
        program.arg("--default-signal=INT").arg(chat.get_program()).args(chat.get_args());
        let mut chat = Chat::spawn(program);
        chat.type_in("hi\n");
        assert_eq!(said(&mut alice), "bobby: hi");
        chat.line_where(|line| line.ends_with("bobby: hi"));
        kill_process(Pid::from_child(&chat.child), signal).expect("it runs");
        assert_eq!(chat.child.wait().expect("it ends").code(), Some(0), "{signal:?}");
        bobby_leaves(&mut alice);
    }
}

/// `nohup` starts a program with SIGHUP ignored, and a script starts one in the background with SIGINT
/// ignored.
#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let server = TestServer::start();
    let mut alice = server.client(Dialect::Line, "alice");
    let chat = command(&server, Dialect::Line, &["--as", "bobby"]);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", r#"trap "" HUP INT; exec "$@""#, "sh"]).arg(chat.get_program()).args(chat.get_args());
    let mut chat = Chat::spawn(shell);
    chat.type_in("hi\n");
    assert_eq!(said(&mut alice), "bobby: hi");
    let pid = Pid::from_child(&chat.child);
    for signal in [Signal::HUP, Signal::INT] {
        kill_process(pid, signal).expect("it runs");
        chat.type_in("still here\n");
        assert_eq!(said(&mut alice), "bobby: still here", "{signal:?}");
    }
    kill_process(pid, Signal::TERM).expect("it runs");
    assert_eq!(chat.child.wait().expect("it ends").code(), Some(0));
    bobby_leaves(&mut alice);
}

#[test]
fn the_end_of_the_server_is_told() {
    let server = TestServer::start();
    let mut alice = server.client(Dialect::Line, "alice");
    let mut chat = Chat::start(&server, Dialect::Line, &["--as", "bobby"]);
    chat.type_in("hi\n");
    assert_eq!(said(&mut alice), "bobby: hi");
    server.stop();
    let status = chat.child.wait().expect("it ends");
    let (_, _, errors) = chat.end();
    assert_eq!((status.code(), errors.as_str()), (Some(1), "parlance: the server shuts down\n"));
}

/// The reason comes after the pending messages. The chat does not log in again: that would take the name from
/// its owner.
#[test]
fn a_chat_that_a_newer_login_replaces_says_so_and_stays_away() {
    let server = TestServer::start();
    let mut alice = server.client(Dialect::Line, "alice");
    let (_file, password) = password_file("bobby's");
    let mut mailbox = mailbox(&server, "bobby", "bobby's");
    let as_bobby = |more: &[&'static str]| -> Vec<String> {
        ["--as", "bobby", "--password-file", &password].iter().chain(more).map(|&text| text.into()).collect()
    };
    for (dialect, more) in
        [(Dialect::Line, &[][..]), (Dialect::Slash, &[]), (Dialect::Tcrp, &["--room", "lobby"])]
    {
        let arguments = as_bobby(more);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let mut chat = Chat::start(&server, dialect, &arguments);
        chat.type_in("hi\n");
        assert_eq!(said(&mut alice), "bobby: hi");
        let mut owner =
            Client::connect(Dialect::Line, server.address(Dialect::Line), deadline()).expect("it listens");
        owner.login_with("bobby", "bobby's", deadline()).expect("the password is right");
        let status = chat.child.wait().expect("it ends");
        let (_, _, errors) = chat.end();
        let why = "parlance: the server closed the connection: replaced by a new login\n";
        assert_eq!((status.code(), errors.as_str()), (Some(1), why), "{}", dialect.name());
        // It has not logged in again: the owner gets the message.
        alice.send(&Said::Direct { to: "bobby", text: "who is it?" }).expect("sent");
        assert_eq!(said(&mut owner), "alice in private: who is it?");
    }
    let mut chat = Chat::start(&server, Dialect::Line, &["--as", "bobby", "--password-file", &password]);
    chat.type_in("hi\n");
    assert_eq!(said(&mut alice), "bobby: hi");
    mailbox.delete_account().expect("sent");
    let status = chat.child.wait().expect("it ends");
    let (_, _, errors) = chat.end();
    let why = "parlance: the server closed the connection: the account was deleted\n";
    assert_eq!((status.code(), errors.as_str()), (Some(1), why));
}

/// A chat on a terminal.
struct TerminalChat {
    child: Child,
    terminal: File,
    modes_before: LocalModes,
    seen: String,
}

impl TerminalChat {
    fn start(server: &TestServer, dialect: Dialect, arguments: &[&str]) -> Self {
        Self::spawn(command(server, dialect, arguments))
    }

    fn spawn(mut command: Command) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&terminal).expect("it is ours");
        unlockpt(&terminal).expect("it is ours");
        let name = ptsname(&terminal, Vec::new()).expect("it has a name");
        let name = name.to_str().expect("UTF-8");
        let open = || -> OwnedFd {
            File::options().read(true).write(true).open(name).expect("the other side").into()
        };
        let modes_before = tcgetattr(&terminal).expect("a terminal").local_modes;
        let child = command.stdin(open()).stdout(open()).stderr(open()).spawn().expect("it starts");
        Self { child, terminal: terminal.into(), modes_before, seen: String::new() }
    }

    fn modes(&self) -> LocalModes {
        tcgetattr(&self.terminal).expect("a terminal").local_modes
    }

    fn type_in(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).expect("it is open");
    }

    /// Reads until a text has appeared; returns all since the last call.
    #[track_caller]
    fn wait_for(&mut self, text: &str) -> String {
        let mut buffer = [0; 1024];
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let patience = Timespec { tv_sec: 60, tv_nsec: 0 };
            let mut waiting = [PollFd::new(&self.terminal, PollFlags::IN)];
            let ready = poll(&mut waiting, Some(&patience)).expect("a terminal can be waited for");
            assert_ne!(ready, 0, "nothing comes, and not {text:?}: {:?}", self.seen);
            let length = self.terminal.read(&mut buffer).unwrap_or(0);
            assert_ne!(length, 0, "the end came before {text:?}: {:?}", self.seen);
            self.seen += &String::from_utf8_lossy(&buffer[..length]);
        }
    }
}

impl Drop for TerminalChat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn on_a_terminal_messages_come_above_the_line_that_is_edited() {
    let server = TestServer::start();
    let mut alice = server.client(Dialect::Line, "alice");
    let mut chat = TerminalChat::start(&server, Dialect::Line, &["--as", "bobby"]);
    chat.wait_for("> ");
    chat.type_in("half");
    chat.wait_for("half");
    alice.say("hello\u{1b}").expect("sent");
    let shown = chat.wait_for("> half");
    assert!(shown.contains("alice\u{1b}[0m: hello\u{fffd}\r\n"), "{shown:?}");
    chat.type_in(" a line\r");
    assert_eq!(said(&mut alice), "bobby: half a line");
    chat.wait_for("> ");
    // The history has it.
    chat.type_in("\u{1b}[A\r");
    assert_eq!(said(&mut alice), "bobby: half a line");
    // In front of the prompt, or above it: behind it, the next key is the editor's.
    alice.say("enough").expect("sent");
    chat.wait_for("enough");
    chat.wait_for("> ");
    chat.type_in("\u{3}");
    assert_eq!(chat.child.wait().expect("it ends").code(), Some(0));
    bobby_leaves(&mut alice);
}

#[test]
fn on_a_terminal_a_room_is_shown_with_its_last_messages() {
    let server = TestServer::start();
    let mut alice = server.client(Dialect::Slash, "alice");
    for number in 0..25 {
        alice.say(&format!("number {number}.")).expect("sent");
        while said(&mut alice) != format!("alice: number {number}.") {}
    }
    let mut chat = TerminalChat::start(&server, Dialect::Slash, &["--as", "bobby"]);
    let shown = chat.wait_for("number 24.");
    assert!(!shown.contains("number 4.") && shown.contains("number 5."), "twenty: {shown:?}");
    let line = shown.lines().find(|line| line.contains("number 5.")).expect("it is there");
    // Dimmed as a whole, with its day.
    let (before, _) = line.split_once("] alice: number 5.").expect("its form");
    let (_, at) = before.split_once("\u{1b}[2m[").expect("dimmed");
    assert!(at.len() == "2026-12-31 12:34:56".len() && at.starts_with("20"), "{line:?}");
    chat.wait_for("> ");
    alice.say("now").expect("sent");
    let shown = chat.wait_for("now");
    assert!(shown.contains("alice\u{1b}[0m: now"), "{shown:?}");
    chat.type_in("hi\r");
    while said(&mut alice) != "bobby: hi" {}
}

#[test]
fn on_a_terminal_a_password_is_asked_for_and_not_shown() {
    let server = TestServer::start();
    for (new_or_not, prompt) in
        [(true, "A password makes the account bobby: "), (false, "Password for bobby: ")]
    {
        let mut chat = TerminalChat::start(&server, Dialect::Typed, &["--as", "bobby"]);
        chat.wait_for(prompt);
        chat.type_in("open sesame\r");
        let mut seen = String::new();
        if new_or_not {
            seen += &chat.wait_for("The same once more: ");
            chat.type_in("open sesame\r");
        }
        seen += &chat.wait_for("> ");
        chat.type_in("/users\r");
        seen += &chat.wait_for("  bobby");
        assert!(seen.contains("***********") && !seen.contains("sesame"), "{seen:?}");
        chat.wait_for("> ");
        chat.type_in("\u{4}");
        assert_eq!(chat.child.wait().expect("it ends").code(), Some(0));
    }
    // A wrong one is asked for again.
    for dialect in [Dialect::Line, Dialect::Slash, Dialect::Tcrp, Dialect::Typed] {
        let name = format!("own-{}", dialect.name());
        server.account(&name, "open sesame");
        let mut chat = TerminalChat::start(&server, dialect, &["--as", &name]);
        for _ in 0..2 {
            chat.wait_for(&format!("Password for {name}: "));
            chat.type_in("wrong\r");
            chat.wait_for("; try again");
        }
        chat.wait_for(&format!("Password for {name}: "));
        if dialect == Dialect::Line {
            // Three are enough.
            chat.type_in("wrong\r");
            chat.wait_for("wrong password");
            assert_eq!(chat.child.wait().expect("it ends").code(), Some(1));
        } else {
            chat.type_in("open sesame\r");
            chat.wait_for("> ");
            chat.type_in("\u{4}");
            assert_eq!(chat.child.wait().expect("it ends").code(), Some(0), "{dialect:?}");
        }
    }
    // Who is asked can still think better of it.
    let mut chat = TerminalChat::start(&server, Dialect::Slash, &["--as", "bobby"]);
    chat.wait_for("Password for bobby: ");
    chat.type_in("\u{3}");
    assert_eq!(chat.child.wait().expect("it ends").code(), Some(0));
}

/// A line server that lets one client in, and then sends many lines at once and closes the connection.
/// Returns its address, and what has it do so.
fn sends_and_closes(lines: usize) -> (String, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let (go, is_to_go) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let _ = stream.read(&mut [0; 64]).expect("a login");
        stream.write_all(b"OK\n").expect("it reads");
        let _ = is_to_go.recv();
        let lines: String = (0..lines).map(|index| format!("MSG alice number {index}.\n")).collect();
        stream.write_all((lines + "INFO carol disconnected\n").as_bytes()).expect("it reads");
        stream.shutdown(Shutdown::Write).expect("it is open");
        // What the client says is read, so that nothing is reset.
        while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
    });
    (address, go)
}

fn line_chat(address: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlance"));
    command.args(["chat", "--as", "bobby", address]).env_clear().env("TERM", "xterm");
    command
}

/// Whether all lines were shown, whole and in order. The editor's own prompt stands between them.
#[track_caller]
fn assert_all_shown(shown: &str, lines: usize) {
    let mut rest = shown;
    for index in 0..lines {
        let wanted = format!("number {index}.");
        let at = rest.find(&wanted).unwrap_or_else(|| panic!("{wanted} is missing in {shown:?}"));
        rest = &rest[at + wanted.len()..];
        assert!(!rest.contains(&wanted), "{wanted} stands there twice: {shown:?}");
    }
    assert!(rest.contains("*** carol left"), "{rest:?}");
}

#[test]
fn all_that_came_before_the_end_is_shown_on_a_terminal() {
    const LINES: usize = 20;
    // While a line is edited, and while lines are entered all the time. Often, because a line that is in the
    // editor's queue at the end is seldom there for long.
    let entering = "one\rtwo\rthree\rfour\rfive\rsix\rseven\r";
    for keys in ["half a line", entering, "\r\r\r\r\r\r\r\r\r\r\r\r"].repeat(10) {
        let (address, go) = sends_and_closes(LINES);
        let mut chat = TerminalChat::spawn(line_chat(&address));
        chat.wait_for("> ");
        go.send(()).expect("the server waits");
        chat.type_in(keys);
        let shown = chat.wait_for("parlance: the server closed the connection");
        assert_all_shown(&shown, LINES);
        assert_eq!(chat.child.wait().expect("it ends").code(), Some(1), "{keys:?}");
    }
}

#[test]
fn all_that_came_before_the_end_is_shown_in_a_pipe() {
    const LINES: usize = 5000;
    let (address, go) = sends_and_closes(LINES);
    let mut chat = Chat::spawn(line_chat(&address));
    go.send(()).expect("the server waits");
    // The end is seen when the next line is said, and by then the output is full.
    chat.line_where(|line| line == "alice: number 0.");
    chat.type_in("hi\n");
    chat.type_in("hi\n");
    let mut rest = String::new();
    let _ = chat.output.read_to_string(&mut rest).expect("UTF-8");
    let wanted: String = (1..LINES).map(|index| format!("alice: number {index}.\n")).collect();
    assert_eq!(rest, wanted + "*** carol left\n");
    let (status, _, errors) = chat.end();
    assert_eq!((status.code(), errors.as_str()), (Some(1), "parlance: the server closed the connection\n"));
}

/// What a firewall does that drops datagrams.
#[test]
fn a_seat_to_which_no_datagram_comes_says_so() {
    let server = TestServer::start();
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let datagrams = silent.local_addr().expect("bound").to_string();
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parlance"));
        command.args(["chat", "--dialect", "tcrp", "--ucrp", &datagrams]).env_clear().env("TERM", "xterm");
        command
    };
    let address = server.address(Dialect::Tcrp).to_string();
    let wanted = format!("no datagram has come from {datagrams} yet");
    let mut command = start();
    command.args(["--as", "bobby", &address]);
    let mut chat = TerminalChat::spawn(command);
    chat.wait_for(&wanted);
    chat.wait_for("--ucrp ADDR says where the server takes datagrams");

    let mut command = start();
    command.args(["--as", "carol", &address]);
    let mut chat = Chat::spawn(command);
    chat.type_in("hi\nthere\n");
    let (status, _, errors) = chat.end();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains(&wanted) && errors.contains("not everything was said"), "{errors}");
}

#[test]
fn a_text_that_looks_like_an_answer_to_the_client_is_a_text() {
    let server = TestServer::start();
    let mut alice = server.client(Dialect::Slash, "alice");
    for dialect in ROOM_DIALECTS {
        let mut chat = Chat::start(&server, dialect, &["--as", "bobby"]);
        chat.type_in("hi\n");
        while said(&mut alice) != "bobby: hi" {}
        alice.say("there is no #sync-2 here").expect("sent");
        chat.line_where(|line| line.ends_with("alice: there is no #sync-2 here"));
        let (status, _, errors) = chat.end();
        assert_eq!((status.code(), errors.as_str()), (Some(0), ""), "{dialect:?}");
        bobby_leaves(&mut alice);
    }
}

#[test]
fn a_terminal_is_left_as_it_was() {
    let server = TestServer::start();
    let mut chat = TerminalChat::start(&server, Dialect::Slash, &["--as", "bobby"]);
    chat.wait_for("> ");
    assert_ne!(chat.modes(), chat.modes_before);
    server.stop();
    chat.wait_for("parlance: the server shuts down");
    assert_eq!(chat.child.wait().expect("it ends").code(), Some(1));
    assert_eq!(chat.modes(), chat.modes_before);
}
