//! `parlance chat` and servers that are not what it takes them for: other protocols, silence, and hostile
//! texts.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;

use parlance::chat::is_disruptive;
use parlance::config::MaxClients;
use parlance::wire::Dialect;
use parlance::wire::gob::{Kind, Message, encode};
use parlance::wire::typed::{Reply, TagSet};
use support::TestServer;
use tempfile::NamedTempFile;

const DIALECTS: [Dialect; 5] = [Dialect::Line, Dialect::Slash, Dialect::Tcrp, Dialect::Typed, Dialect::Gob];

/// A server that greets each connection, and answers once to what comes.
fn answering(greeting: impl Into<Vec<u8>>, answer: impl Into<Vec<u8>>) -> SocketAddr {
    let (greeting, answer) = (greeting.into(), answer.into());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    // It ends with the test.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = converse(stream.expect("a connection"), &greeting, &answer);
        }
    });
    address
}

fn converse(mut stream: TcpStream, greeting: &[u8], answer: &[u8]) -> std::io::Result<()> {
    stream.write_all(greeting)?;
    let mut asked = [0; 4096];
    let _ = stream.read(&mut asked)?;
    stream.write_all(answer)?;
    // Until the client has gone, so that nothing that it has not read is reset.
    stream.shutdown(std::net::Shutdown::Write)?;
    while stream.read(&mut asked)? > 0 {}
    Ok(())
}

/// A file with a password, of this process alone.
fn password_file() -> &'static Path {
    static FILE: OnceLock<NamedTempFile> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let mut file = NamedTempFile::new().expect("a file");
        writeln!(file, "secret").expect("written");
        file
    });
    file.path()
}

fn chat(dialect: Dialect, address: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlance"));
    command.args(["chat", "--dialect", dialect.name(), "--as", "bobby"]).env_clear();
    if dialect == Dialect::Typed {
        command.args(["--to", "alice"]);
    }
    if matches!(dialect, Dialect::Line | Dialect::Slash | Dialect::Typed) {
        command.arg("--password-file").arg(password_file());
    }
    command.arg(address).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn output(dialect: Dialect, address: &str) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = chat(dialect, address).output().expect("it runs");
    (status.code(), String::from_utf8([stdout, stderr].concat()).expect("UTF-8"))
}

#[test]
fn what_answers_at_a_wrong_port_is_named() {
    for (greeting, answer, name) in [
        (&b""[..], &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "a web server (HTTP)"),
        (b"", b"\x15\x03\x01\0\x02\x02\x46", "a server that wants TLS"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", b"", "an SSH server"),
        (b":irc.example.org NOTICE * :*** Looking up your hostname\r\n", b"", "an IRC server"),
        (b"220 mail.example.org ESMTP\r\n", b"", "a server for mail or files"),
        (b"", b"-ERR unknown command\r\n", "a server that speaks as Redis does"),
        (b"* OK [CAPABILITY IMAP4rev1] ready\r\n", b"", "a mail server (IMAP)"),
        (b"+OK POP3 ready\r\n", b"", "a mail server (POP3)"),
        (b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0", b"", "a database server (MySQL or MariaDB)"),
        (b"hello\r\nthere \x1b[2J\r\n", b"", "an unknown server"),
        (b"", b"what?\r\n", "an unknown server"),
        (b"\x30\x0c\x02\x01\0", b"\xff\xfe\xfd", "an unknown server"),
    ] {
        let address = answering(greeting, answer);
        for dialect in DIALECTS {
            let (status, words) = output(dialect, &address.to_string());
            let wanted = format!("parlance: {name}");
            assert!(status == Some(1) && words.starts_with(&wanted), "{dialect:?}: {words}");
            assert!(words.contains(&format!("answered at {address}")), "{words}");
        }
    }
}

#[test]
fn another_dialect_of_the_server_is_named_where_it_answers() {
    let server = TestServer::start();
    for (spoken, there) in [
        (Dialect::Line, Dialect::Slash),
        (Dialect::Line, Dialect::Typed),
        (Dialect::Slash, Dialect::Line),
        (Dialect::Tcrp, Dialect::Slash),
        (Dialect::Typed, Dialect::Slash),
        (Dialect::Gob, Dialect::Slash),
        (Dialect::Gob, Dialect::Typed),
    ] {
        let (status, words) = output(spoken, &server.address(there).to_string());
        let there = there.name();
        assert_eq!(status, Some(1), "{spoken:?} at {there}: {words}");
        assert!(words.contains(&format!("a server that speaks the {there} dialect answered")), "{words}");
        assert!(words.contains(&format!("--dialect {there} speaks it")), "{words}");
    }
}

/// A server that has sent something unknown, and keeps the connection, is shown while the client waits.
#[test]
fn what_an_unknown_server_sends_is_shown_safely() {
    for (sent, shown) in [
        (&b"hello \x1b[2J\xe2\x80\xaethere\r\n"[..], "`hello \u{fffd}[2J\u{fffd}there`"),
        (b"\x30\x0c\x02\x01\x01\xff", "binary data (hexadecimal 30 0c 02 01 01 ff)"),
    ] {
        for dialect in DIALECTS {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = listener.local_addr().expect("bound");
            let mut child =
                chat(dialect, &address.to_string()).stdin(Stdio::piped()).spawn().expect("it starts");
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.write_all(sent).expect("it reads");
            let mut line = String::new();
            BufReader::new(child.stderr.take().expect("it is piped")).read_line(&mut line).expect("UTF-8");
            // It waits still, or it has seen that this is none of its dialect.
            assert!(line.contains(&format!("sent {shown}")), "{dialect:?}: {line}");
            assert!(line.contains(&address.to_string()) && line.contains(dialect.name()), "{line}");
            let _ = child.kill();
            child.wait().expect("it ends");
        }
    }
}

#[test]
fn a_server_that_closes_the_connection_at_once_is_told_from_none() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    // Closed after the login came, and reset with the login unread.
    thread::spawn(move || {
        for (index, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            if index % 2 == 0 {
                let _ = stream.read(&mut [0; 4096]);
            } else {
                let _ = stream.peek(&mut [0; 1]);
            }
        }
    });
    // Slash waits for a greeting, and says nothing before it.
    for dialect in
        [Dialect::Line, Dialect::Line, Dialect::Tcrp, Dialect::Tcrp, Dialect::Typed, Dialect::Typed]
    {
        let (status, words) = output(dialect, &address.to_string());
        let wanted = format!("parlance: {address} took the connection, and closed it without an answer");
        assert!(status == Some(1) && words.starts_with(&wanted), "{dialect:?}: {words}");
    }
}

/// gob has no answer to a login, so that a conversation can begin before the server has shown what it is.
#[test]
fn a_stranger_that_answers_late_is_named_with_its_address_and_a_remedy() {
    for (answer, name) in [
        (&b"HTTP/1.1 408 Request Timeout\r\n\r\n"[..], "a web server (HTTP) answered"),
        (b"OK\nOK\n", "a server that speaks the line dialect answered"),
        (b"\x07\x07\x07\x07\x07\x07\x07\x07\x07", "an unknown server answered"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let mut child =
            chat(Dialect::Gob, &address.to_string()).stdin(Stdio::piped()).spawn().expect("it starts");
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut errors = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut line = String::new();
        while !line.contains("nothing has answered as the gob dialect does") {
            line.clear();
            assert_ne!(errors.read_line(&mut line).expect("UTF-8"), 0);
        }
        stream.write_all(answer).expect("it reads");
        let mut rest = String::new();
        errors.read_to_string(&mut rest).expect("UTF-8");
        assert_eq!(child.wait().expect("it ends").code(), Some(1), "{rest}");
        assert!(rest.contains(&format!("{name} at {address}, not the gob dialect")), "{rest}");
        assert!(rest.contains("where it listens") || rest.contains("--dialect line"), "{rest}");
    }
}

/// The program goes on waiting: a server that is busy answers late.
#[test]
fn silence_is_told_while_it_lasts() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nobody = listener.local_addr().expect("bound");
    let server = TestServer::start();
    // The gob dialect says nothing to a client that has defined no type.
    let gob = server.address(Dialect::Gob);
    let at_gob = [Dialect::Tcrp, Dialect::Typed].map(|dialect| (dialect, gob));
    for (dialect, address) in DIALECTS.map(|dialect| (dialect, nobody)).into_iter().chain(at_gob) {
        let mut child = chat(dialect, &address.to_string()).stdin(Stdio::piped()).spawn().expect("it starts");
        let mut pipe = child.stdin.take().expect("it is piped");
        pipe.write_all(b"hi\n").expect("it reads");
        let mut line = String::new();
        BufReader::new(child.stderr.take().expect("it is piped")).read_line(&mut line).expect("UTF-8");
        assert!(line.starts_with(&format!("parlance: connected to {address}, and no answer")), "{line}");
        assert!(line.contains(dialect.name()), "{line}");
        child.kill().expect("it waits still");
        child.wait().expect("it ends");
    }
}

#[test]
fn strange_addresses_and_names_are_refused_before_anything_is_connected() {
    let long = "x".repeat(300);
    for (address, words) in [
        ("", "the address is empty"),
        ("http://127.0.0.1:1", "is a URL"),
        ("127.0.0.1:99999", "`99999` is no port"),
        ("[]:4000", "`[]:4000` has no host"),
        ("example..org", "`example..org` is no name of a machine"),
        (long.as_str(), "the host name has 300 bytes"),
    ] {
        let (status, output) = output(Dialect::Line, address);
        assert!(status == Some(2) && output.contains(words), "{address}: {output}");
    }
    let address = answering("", "").to_string();
    for (arguments, words) in [
        (["--as", ""], "--as is empty: a name has 1 to 32 bytes"),
        (["--as", &long], "--as is too long, with 300 bytes: a name has 1 to 32 bytes"),
        (["--as", "bob smith"], "--as has a character that names do not have"),
        (["--as=bob", "--to="], "--to is empty"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parlance"));
        let output = command.arg("chat").args(arguments).arg(&address).env_clear().output().expect("it runs");
        let errors = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(output.status.code() == Some(2) && errors.contains(words), "{arguments:?}: {errors}");
    }
}

fn gob(kind: Kind, sender: &str, content: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let _ = encode(&Message { kind, sender, content }, &mut out);
    out
}

/// gob has no words for a refusal: the server says why in a text, and closes the connection.
#[test]
fn the_reason_for_which_a_gob_server_refuses_a_client_is_told() {
    let full = TestServer::with(|config| config.max_clients = MaxClients::Limit(1));
    let crowded = TestServer::with(|config| {
        config.exempt = Vec::new();
        config.address_clients = 1;
    });
    let _inside = [full.client(Dialect::Line, "alice"), crowded.client(Dialect::Line, "alice")];
    let greeting = gob(Kind::Text, "server", "not you");
    for (address, reason) in [
        (full.address(Dialect::Gob), "the server is full"),
        (crowded.address(Dialect::Gob), "there are too many connections from your address"),
        (answering(greeting.clone(), ""), "not you"),
        (answering("", greeting), "not you"),
    ] {
        let (status, words) = output(Dialect::Gob, &address.to_string());
        assert_eq!(
            (status, words.as_str()),
            (Some(1), &*format!("parlance: bobby is not let in: {reason}\n"))
        );
    }
}

/// A gob server that knows nothing of recipients: it greets a client after its first words, and says nothing
/// else until the client says more.
fn greeting_once(greeting: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let (mut heard, mut bytes) = (Vec::new(), [0; 4096]);
        while !heard.windows(6).any(|word| word == b"#sync-") {
            let count = stream.read(&mut bytes).expect("it speaks");
            heard.extend_from_slice(&bytes[..count]);
        }
        stream.write_all(&greeting).expect("it listens");
        // It leaves.
        assert!(stream.read(&mut bytes).expect("it speaks") > 0);
    });
    address
}

#[test]
fn a_gob_server_that_greets_and_answers_no_question_is_one() {
    for (greeting, shown) in [
        (gob(Kind::Join, "carol", ""), "*** carol joined\n"),
        (gob(Kind::Text, "carol", "hi"), "carol: hi\n"),
        (gob(Kind::Text, "server", "welcome"), "*** welcome\n"),
    ] {
        let address = greeting_once(greeting);
        assert_eq!(output(Dialect::Gob, &address.to_string()), (Some(0), shown.to_owned()));
    }
}

/// A title, a cleared screen, a C1 control, a forged line, and texts whose order is turned round.
const EVIL: &str = "\u{1b}]0;pwn\u{7}\u{1b}[2Jx\u{9b}31m\rroot\u{202e}a\u{200f}b\u{61c}c\u{2028}d";

fn typed(replies: &[Reply<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for reply in replies {
        reply.encode(TagSet::default(), &mut out).expect("short");
    }
    out
}

fn tcrp(reason: &str) -> Vec<u8> {
    let frame = |state: u8, payload: String| {
        let mut out = vec![5, 2, state];
        out.extend([0; 21]);
        out.extend((payload.len() as u64).to_be_bytes());
        out.extend(b"lobby");
        out.extend(payload.into_bytes());
        out
    };
    let refused = serde_json::json!({"success": 0, "reason": reason}).to_string();
    [frame(1, refused), frame(2, r#"{"token": ""}"#.to_owned())].concat()
}

/// The same in a name, which has no white space.
const NAME: &str = "al\u{1b}[2J\u{9b}31m\u{202e}i\u{200f}c\u{61c}e\u{7}";

#[test]
fn no_text_of_a_server_steers_the_terminal() {
    let greeting = "Welcome to the chat server!\nEnter your nickname: ";
    let welcome = "Welcome bobby! You are in #lobby\nType /help for available commands\n";
    for (dialect, greeting, answer) in [
        (Dialect::Line, "", format!("OK\nMSG {NAME} {EVIL}\nDM {NAME} {EVIL}\nUSER {NAME}\n").into_bytes()),
        (
            Dialect::Line,
            "",
            format!("OK\nINFO {NAME} disconnected\nINFO {EVIL} closed by its host\n").into_bytes(),
        ),
        (Dialect::Line, "", format!("OK\nERR user-not-found {NAME}\nERR {EVIL}\n{EVIL}\n").into_bytes()),
        (Dialect::Slash, greeting, format!("Registration failed: {EVIL}\n").into_bytes()),
        (
            Dialect::Slash,
            greeting,
            format!("{welcome}[10:00:00] {NAME}: {EVIL}\n*** {NAME} joined the room\n").into_bytes(),
        ),
        (
            Dialect::Slash,
            greeting,
            format!("{welcome}You joined #{NAME}\nUsers in #{NAME}:\n  {NAME}\n").into_bytes(),
        ),
        (
            Dialect::Slash,
            greeting,
            format!("{welcome}ERROR: Unknown command: /{NAME}. Type x\n[Private to {NAME}]: x\n")
                .into_bytes(),
        ),
        (Dialect::Typed, "", typed(&[Reply::Error(EVIL)])),
        (Dialect::Typed, "", typed(&[Reply::NameKnown, Reply::Error(EVIL)])),
        (Dialect::Tcrp, "", tcrp(EVIL)),
    ] {
        let address = answering(greeting, answer.clone());
        let Output { stdout, stderr, .. } = chat(dialect, &address.to_string()).output().expect("it runs");
        let shown = String::from_utf8([stdout, stderr].concat()).expect("UTF-8");
        assert!(!shown.is_empty(), "{dialect:?}: {}", answer.escape_ascii());
        let found = shown.chars().find(|c| *c != '\n' && is_disruptive(*c));
        assert_eq!(found, None, "{dialect:?}: {shown:?}");
        assert!(!shown.lines().any(|line| line.starts_with("root")), "{dialect:?}: {shown:?}");
    }
}
