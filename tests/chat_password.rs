//! Passwords that `parlance chat` is given and that open nothing: what it says, and that nothing is said in the
//! room.

mod support;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use parlance::client::Mailbox;
use parlance::wire::Dialect;
use support::{TestServer, deadline};
use tempfile::NamedTempFile;

const WITH_PASSWORDS_IN_ROOMS: [Dialect; 3] = [Dialect::Line, Dialect::Slash, Dialect::Tcrp];

fn chat(server: &TestServer, dialect: Dialect, spoken: &str, password: &str) -> Output {
    let mut file = NamedTempFile::new().expect("a file");
    writeln!(file, "{password}").expect("written");
    let mut child = Command::new(env!("CARGO_BIN_EXE_parlance"))
        .args(["chat", "--as", "carol", "--dialect", spoken, "--password-file"])
        .arg(file.path())
        .args(
            ["--ucrp", &server.address(Dialect::Ucrp).to_string()]
                .iter()
                .filter(|_| dialect == Dialect::Tcrp),
        )
        .arg(server.address(dialect).to_string())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A chat that is refused may have ended before it reads.
    let _ = child.stdin.take().expect("it is piped").write_all(b"hi\n");
    child.wait_with_output().expect("it ends")
}

#[track_caller]
fn assert_refused(output: &Output, error: &str) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), error);
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[test]
fn a_password_for_a_name_without_an_account_lets_nobody_in() {
    let server = TestServer::start();
    for dialect in WITH_PASSWORDS_IN_ROOMS {
        assert_refused(
            &chat(&server, dialect, dialect.name(), "secret"),
            "parlance: carol is not let in: there is no account carol. Without a password you are let in as a \
             stranger; in line and slash, /register makes an account\n",
        );
    }
    assert_eq!(server.stop().metrics.messages, 0);
}

#[test]
fn a_password_that_lines_cannot_carry_is_refused_before_it_is_sent() {
    let server = TestServer::start();
    for dialect in [Dialect::Line, Dialect::Slash] {
        assert_refused(
            &chat(&server, dialect, dialect.name(), "secret "),
            "parlance: a password cannot begin or end with white space, or begin with a byte order mark: line and \
             slash cannot send it\n",
        );
    }
}

#[test]
fn ucrp_names_the_dialect_of_its_handshake() {
    let server = TestServer::start();
    let mut mailbox = Mailbox::connect(server.address(Dialect::Typed), deadline()).expect("it listens");
    mailbox.login("carol", "secret", deadline()).expect("a new account");
    let output = chat(&server, Dialect::Tcrp, "ucrp", "secret");
    assert!(output.status.success(), "{output:?}");
}
