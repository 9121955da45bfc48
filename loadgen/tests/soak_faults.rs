//! The soak against a server behind something that loses, doubles and alters: what it must find, say, and exit with.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use parlance::wire::Dialect;
use support::TestServer;

/// Passes on what clients of line and their server say. Of what others have said, over all connections, the third message
/// is lost, the sixth comes twice and the ninth is altered.
fn faulty(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let messages = Arc::new(AtomicU32::new(0));
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let messages = Arc::clone(&messages);
            let Ok(upstream) = TcpStream::connect(server) else { return };
            let (mut from_client, mut to_server) = (clone(&client), clone(&upstream));
            thread::spawn(move || {
                let _ = std::io::copy(&mut from_client, &mut to_server);
                let _ = to_server.shutdown(Shutdown::Write);
            });
            thread::spawn(move || {
                let _ = pass_lines(BufReader::new(upstream), &client, &messages);
                let _ = client.shutdown(Shutdown::Both);
            });
        }
    });
    address
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a descriptor")
}

fn pass_lines(mut server: impl BufRead, mut client: &TcpStream, messages: &AtomicU32) -> std::io::Result<()> {
    let mut line = String::new();
    while server.read_line(&mut line)? > 0 {
        let number = if line.starts_with("MSG ") { messages.fetch_add(1, Ordering::Relaxed) + 1 } else { 0 };
        match number {
            3 => {}
            6 => client.write_all(line.repeat(2).as_bytes())?,
            9 => client.write_all(line.replace("fgh", "fgi").as_bytes())?,
            _ => client.write_all(line.as_bytes())?,
        }
        line.clear();
    }
    Ok(())
}

#[test]
fn what_is_lost_doubled_or_altered_on_the_way_is_found() {
    let server = TestServer::start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(["soak", "--clients", "60", "--churn", "0", "--rate", "400"]);
    command.args(["--warmup", "0s", "--duration", "2s"]);
    for dialect in Dialect::ALL {
        let address = server.address(dialect);
        let address = if dialect == Dialect::Line { faulty(address) } else { address };
        command.args(["--addr", &format!("{}={address}", dialect.name())]);
    }
    let output = command.output().expect("it starts");
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    // The altered one is not what was owed, which is lost.
    for found in ["2 deliveries lost", "1 delivery doubled", "1 message not as sent"] {
        assert!(words.contains(found), "{words}");
    }
}
