//! The program in the protocols of the servers that Parlance is compared with, against small servers that speak them,
//! behave or do not: what it must count, find, say, and exit with.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Protocol {
    Redis,
    Nats,
    Irc,
    Mqtt,
}

/// What the server does to the fifth message for one of its receivers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    Nothing,
    Drop,
    Double,
    /// Sends it behind the sixth one.
    Swap,
    Corrupt,
    /// Says that it is of another room.
    Misroute,
    /// Closes the receiver's connection.
    Close,
    /// Refuses all logins.
    Refuse,
}

const ALL: [Protocol; 4] = [Protocol::Redis, Protocol::Nats, Protocol::Irc, Protocol::Mqtt];

/// What a client asks for.
enum Request {
    LogIn {
        /// The version of RESP, for Redis; the nick, for IRC.
        word: String,
    },
    Join(String),
    Pong,
    Publish {
        room: String,
        text: String,
    },
    Other,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Nats => "nats",
            Self::Irc => "irc",
            Self::Mqtt => "mqtt",
        }
    }

    /// Whether whoever says something hears it.
    fn echoes(self) -> bool {
        self != Self::Irc
    }

    /// What a connection is told before it has said anything.
    fn greeting(self) -> &'static str {
        match self {
            Self::Nats => "INFO {\"server_id\":\"relay\",\"max_payload\":1048576}\r\n",
            Self::Irc => ":relay NOTICE * :*** Looking up your hostname...\r\n",
            Self::Redis | Self::Mqtt => "",
        }
    }

    /// What it is told whose login is accepted.
    fn welcome(self, word: &str) -> String {
        match self {
            Self::Redis => {
                let header = if word == "3" { "%2" } else { "*4" };
                format!("{header}\r\n$6\r\nserver\r\n$5\r\nrelay\r\n$7\r\nmodules\r\n*0\r\n")
            }
            Self::Nats => String::new(),
            Self::Irc => format!(":relay 001 {word} :Welcome\r\n:relay 422 {word} :MOTD File is missing\r\n"),
            Self::Mqtt => "\x20\x02\0\0".to_owned(),
        }
    }

    /// What it is told whose login is refused, and how that is to be reported.
    fn refusal(self) -> (&'static str, &'static str) {
        match self {
            Self::Redis => {
                ("-NOAUTH Authentication required.\r\n", "the server said: NOAUTH Authentication required.")
            }
            Self::Nats => {
                ("-ERR 'Authorization Violation'\r\n", "the server said: 'Authorization Violation'")
            }
            Self::Irc => (
                ":relay 433 * x :Nickname is already in use\r\n",
                "the server said: :relay 433 * x :Nickname is already in use",
            ),
            Self::Mqtt => ("\x20\x02\0\x05", "the server said: not authorized"),
        }
    }

    /// What it is asked who joins, and told only when it has answered.
    fn ping(self) -> Option<&'static str> {
        match self {
            Self::Nats => Some("PING\r\n"),
            Self::Irc => Some("PING :are you there\r\n"),
            Self::Redis | Self::Mqtt => None,
        }
    }

    fn joined(self, member: &Member) -> Vec<u8> {
        let (name, room) = (&member.word, &member.room);
        match self {
            Self::Redis => {
                format!("{}3\r\n$9\r\nsubscribe\r\n${}\r\n{room}\r\n:1\r\n", member.push(), room.len())
                    .into_bytes()
            }
            Self::Nats => b"PONG\r\n".to_vec(),
            Self::Irc => format!(
                ":{name}!loadgen@127.0.0.1 JOIN #{room}\r\n:relay 353 {name} = #{room} :{name}\r\n\
                 :relay 366 {name} #{room} :End of /NAMES list.\r\n"
            )
            .into_bytes(),
            Self::Mqtt => b"\x90\x03\0\x01\0".to_vec(),
        }
    }

    fn delivery(self, sender: &str, room: &str, text: &str, receiver: &Member) -> Vec<u8> {
        match self {
            Self::Redis => format!(
                "{}3\r\n$7\r\nmessage\r\n${}\r\n{room}\r\n${}\r\n{text}\r\n",
                receiver.push(),
                room.len(),
                text.len()
            )
            .into_bytes(),
            Self::Nats => format!("MSG {room} 1 {}\r\n{text}\r\n", text.len()).into_bytes(),
            Self::Irc => format!(":{sender}!loadgen@127.0.0.1 PRIVMSG #{room} :{text}\r\n").into_bytes(),
            Self::Mqtt => {
                let rest = 2 + room.len() + text.len();
                let length = [0x30, (rest & 127) as u8 | 128, (rest >> 7) as u8, 0, room.len() as u8];
                [&length, room.as_bytes(), text.as_bytes()].concat()
            }
        }
    }

    /// Reads what a client asks for next; nothing, at the end.
    fn read(self, from: &mut impl BufRead) -> io::Result<Option<Request>> {
        if from.fill_buf()?.is_empty() {
            return Ok(None);
        }
        match self {
            Self::Redis => read_redis(from),
            Self::Nats => read_nats(from),
            Self::Irc => read_irc(from),
            Self::Mqtt => read_mqtt(from),
        }
        .map(Some)
    }
}

fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    assert!(line.ends_with("\r\n"), "{line:?}");
    line.truncate(line.len() - 2);
    Ok(line)
}

fn block(from: &mut impl BufRead, bytes: usize) -> io::Result<Vec<u8>> {
    let mut block = vec![0; bytes];
    from.read_exact(&mut block)?;
    Ok(block)
}

/// A text of a known length, in what ends as a line does.
fn text(from: &mut impl BufRead, bytes: usize) -> io::Result<String> {
    let text = String::from_utf8(block(from, bytes + 2)?).expect("text");
    Ok(text.strip_suffix("\r\n").expect("the end of a line").to_owned())
}

fn read_redis(from: &mut impl BufRead) -> io::Result<Request> {
    let count: usize = line(from)?.strip_prefix('*').expect("a list").parse().expect("a number");
    let mut words = Vec::new();
    for _ in 0..count {
        let length: usize = line(from)?.strip_prefix('$').expect("a string").parse().expect("a number");
        words.push(text(from, length)?);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Ok(match words[..] {
        ["HELLO", version] => Request::LogIn { word: version.to_owned() },
        ["SUBSCRIBE", room] => Request::Join(room.to_owned()),
        ["PUBLISH", room, text] => Request::Publish { room: room.to_owned(), text: text.to_owned() },
        _ => panic!("{words:?}"),
    })
}

fn read_nats(from: &mut impl BufRead) -> io::Result<Request> {
    let line = line(from)?;
    let words: Vec<&str> = line.split(' ').collect();
    Ok(match words[..] {
        ["CONNECT", _] => Request::LogIn { word: String::new() },
        ["SUB", room, "1"] => Request::Join(room.to_owned()),
        ["PUB", room, length] => {
            let text = text(from, length.parse().expect("a number"))?;
            Request::Publish { room: room.to_owned(), text }
        }
        ["PONG"] => Request::Pong,
        ["PING"] => Request::Other,
        _ => panic!("{line}"),
    })
}

fn read_irc(from: &mut impl BufRead) -> io::Result<Request> {
    let line = line(from)?;
    assert!(line.len() <= 510, "{line}");
    let (command, rest) = line.split_once(' ').expect("a command");
    Ok(match command {
        "NICK" => Request::LogIn { word: rest.to_owned() },
        "USER" => Request::Other,
        "JOIN" => Request::Join(rest.strip_prefix('#').expect("a channel").to_owned()),
        "PONG" => {
            assert_eq!(rest, ":are you there");
            Request::Pong
        }
        "PRIVMSG" => {
            let (room, text) = rest.split_once(" :").expect("a text");
            let room = room.strip_prefix('#').expect("a channel").to_owned();
            Request::Publish { room, text: text.to_owned() }
        }
        _ => panic!("{line}"),
    })
}

fn read_mqtt(from: &mut impl BufRead) -> io::Result<Request> {
    let kind = block(from, 1)?[0];
    let (mut length, mut shift) = (0, 0);
    loop {
        let digit = block(from, 1)?[0];
        length |= usize::from(digit & 127) << shift;
        shift += 7;
        if digit < 128 {
            break;
        }
    }
    let body = block(from, length)?;
    let string = |at: usize| {
        let end = at + 2 + usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
        (String::from_utf8(body[at + 2..end].to_vec()).expect("text"), end)
    };
    Ok(match kind {
        0x10 => {
            assert_eq!(body[..10], *b"\0\x04MQTT\x04\x02\0\0");
            Request::LogIn { word: string(10).0 }
        }
        0x82 => Request::Join(string(2).0),
        0x30 => {
            let (room, end) = string(0);
            Request::Publish { room, text: String::from_utf8(body[end..].to_vec()).expect("text") }
        }
        _ => panic!("{kind:#x}"),
    })
}

/// A client in a room.
struct Member {
    id: usize,
    stream: TcpStream,
    word: String,
    room: String,
    received: u32,
    held: Vec<u8>,
}

impl Member {
    /// What a message starts with, in the version of RESP that it asked for.
    fn push(&self) -> char {
        if self.word == "3" { '>' } else { '*' }
    }

    fn send(&mut self, bytes: &[u8]) {
        // One that has gone is no concern of the others.
        let _ = self.stream.write_all(bytes);
    }

    fn deliver(&mut self, frame: &[u8], fault: Fault) {
        self.received += 1;
        let hit = self.received == 5;
        let replace = |from: &[u8], to: &[u8]| {
            let at = frame.windows(from.len()).position(|part| part == from).expect("it is in there");
            [&frame[..at], to, &frame[at + from.len()..]].concat()
        };
        let mut out = match fault {
            Fault::Double if hit => frame.repeat(2),
            Fault::Drop if hit => Vec::new(),
            Fault::Corrupt if hit => replace(b"fgh", b"fgi"),
            Fault::Misroute if hit => replace(b"-room-000000", b"-room-000001"),
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
        self.send(&out);
    }
}

/// Everybody, and whom the fault hits: the first who receives what somebody else said.
#[derive(Default)]
struct Members {
    all: Vec<Member>,
    victim: Option<usize>,
}

/// Serves a protocol until the process ends.
fn relay(protocol: Protocol, fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let members = Arc::new(Mutex::new(Members::default()));
    thread::spawn(move || {
        for (id, stream) in listener.incoming().flatten().enumerate() {
            let members = Arc::clone(&members);
            // An error is a client that has gone.
            thread::spawn(move || serve(protocol, fault, id, &stream, &members));
        }
    });
    addr
}

fn serve(
    protocol: Protocol,
    fault: Fault,
    id: usize,
    stream: &TcpStream,
    members: &Mutex<Members>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut to = stream.try_clone()?;
    to.write_all(protocol.greeting().as_bytes())?;
    let mut from = BufReader::new(stream);
    let mut own = String::new();
    let mut waiting = None;
    while let Some(request) = protocol.read(&mut from)? {
        let mut members = members.lock().expect("no thread panics");
        match request {
            Request::LogIn { .. } if fault == Fault::Refuse => {
                to.write_all(protocol.refusal().0.as_bytes())?;
            }
            Request::LogIn { word } => {
                to.write_all(protocol.welcome(&word).as_bytes())?;
                own = word;
            }
            Request::Join(room) => {
                let stream = stream.try_clone()?;
                let member = Member { id, stream, word: own.clone(), room, received: 0, held: Vec::new() };
                match protocol.ping() {
                    Some(ping) => {
                        to.write_all(ping.as_bytes())?;
                        waiting = Some(member);
                    }
                    None => members.join(protocol, member),
                }
            }
            Request::Pong => members.join(protocol, waiting.take().expect("it was asked")),
            Request::Publish { .. } if protocol == Protocol::Redis && own != "3" => {
                to.write_all(b"-ERR Can't execute 'publish': only (P|S)SUBSCRIBE / QUIT are allowed\r\n")?;
            }
            Request::Publish { room, text } => {
                let count = members.publish(protocol, fault, (id, &own), &room, &text);
                if protocol == Protocol::Redis {
                    to.write_all(format!(":{count}\r\n").as_bytes())?;
                }
            }
            Request::Other => {}
        }
    }
    Ok(())
}

impl Members {
    fn join(&mut self, protocol: Protocol, mut member: Member) {
        member.send(&protocol.joined(&member));
        self.all.push(member);
    }

    fn publish(
        &mut self,
        protocol: Protocol,
        fault: Fault,
        (id, sender): (usize, &str),
        room: &str,
        text: &str,
    ) -> usize {
        let receives = |member: &&mut Member| member.room == room && (protocol.echoes() || member.id != id);
        let mut count = 0;
        for member in self.all.iter_mut().filter(receives) {
            count += 1;
            let is_victim = member.id != id && *self.victim.get_or_insert(member.id) == member.id;
            let frame = protocol.delivery(sender, room, text, member);
            member.deliver(&frame, if is_victim { fault } else { Fault::Nothing });
        }
        count
    }
}

/// Runs the program against such a server: its exit status, what it printed, and its report, if it made one.
fn load(protocol: Protocol, fault: Fault, more: &[&str]) -> (Option<i32>, String, Value) {
    let addr = relay(protocol, fault);
    let name = format!("peers-{}-{}.json", std::process::id(), addr.port());
    let json = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let output = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["--dialect", protocol.name(), "--addr", &addr.to_string()])
        .args(["--warmup", "0s", "--duration", "200ms"])
        .args(more)
        .arg("--json")
        .arg(&json)
        .output()
        .expect("it starts");
    let words =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let report = std::fs::read_to_string(&json).unwrap_or_default();
    (output.status.code(), words, serde_json::from_str(&report).unwrap_or_default())
}

/// Five in one room, of whom one says twenty messages.
const ONE_ROOM: [&str; 6] = ["--clients", "5", "--rate", "100", "--publishers", "1"];

#[track_caller]
fn assert_finds(fault: Fault, sentence: &str) {
    for protocol in ALL {
        let (code, words, _) = load(protocol, fault, &ONE_ROOM);
        assert_eq!(code, Some(1), "{protocol:?}: {words}");
        assert!(words.lines().last().is_some_and(|line| line.contains(sentence)), "{protocol:?}: {words}");
    }
}

#[test]
fn all_of_a_room_receive_a_message_and_whoever_says_it_where_the_protocol_has_it_so() {
    let rooms = ["--clients", "6", "--room-size", "3", "--rate", "100"];
    for (more, members) in [(&ONE_ROOM[..], 5), (&rooms, 3)] {
        for protocol in ALL {
            let (code, words, report) = load(protocol, Fault::Nothing, more);
            assert_eq!(code, Some(0), "{protocol:?}: {words}");
            let recipients = members - u64::from(!protocol.echoes());
            assert_eq!(report["published"], 20, "{protocol:?}");
            assert_eq!(report["check"]["delivered"], 20 * recipients, "{protocol:?}");
            assert_eq!(report["delivery_latency"]["count"], 20 * recipients, "{protocol:?}");
            assert_eq!(report["last_recipient_latency"]["count"], 20, "{protocol:?}");
            for nothing in ["undecodable", "unrecognized", "foreign"] {
                assert_eq!(report["check"][nothing], 0, "{protocol:?}: {nothing}");
            }
            assert_eq!(report["plan"]["dialect"], protocol.name());
        }
    }
}

#[test]
fn the_closed_loop_goes_on_with_several_publishers() {
    for protocol in ALL {
        let (code, words, report) =
            load(protocol, Fault::Nothing, &["--clients", "5", "--window", "8", "--publishers", "3"]);
        assert_eq!(code, Some(0), "{protocol:?}: {words}");
        assert!(report["check"]["delivered"].as_u64() > Some(8 * 5), "{protocol:?}: {words}");
    }
}

#[test]
fn the_longest_texts_pass() {
    for (protocol, size) in [
        (Protocol::Redis, "65536"),
        (Protocol::Nats, "65536"),
        (Protocol::Irc, "395"),
        (Protocol::Mqtt, "16000"),
    ] {
        let (code, words, _) = load(protocol, Fault::Nothing, &[&ONE_ROOM[..], &["--size", size]].concat());
        assert_eq!(code, Some(0), "{protocol:?}: {words}");
    }
}

#[test]
fn a_text_that_does_not_fit_a_line_of_irc_is_refused() {
    let (code, words, _) = load(Protocol::Irc, Fault::Nothing, &["--size", "512"]);
    assert_eq!(code, Some(2), "{words}");
    assert!(
        words.contains("--size 512 is out of range") && words.contains(" to 395 bytes in this dialect"),
        "{words}"
    );
}

#[test]
fn idle_clients_are_held() {
    for protocol in ALL {
        let (code, words, report) = load(protocol, Fault::Nothing, &["--clients", "20", "--idle"]);
        assert_eq!(code, Some(0), "{protocol:?}: {words}");
        assert_eq!(report["check"]["delivered"], 0);
    }
}

#[test]
fn a_message_dropped_is_lost() {
    assert_finds(Fault::Drop, "loadgen: 1 delivery lost.");
}

#[test]
fn a_message_sent_twice_is_doubled() {
    assert_finds(Fault::Double, "loadgen: 1 delivery doubled.");
}

#[test]
fn two_messages_swapped_are_out_of_order() {
    assert_finds(Fault::Swap, "loadgen: 1 delivery out of order.");
}

#[test]
fn a_text_or_a_room_that_was_altered_is_corrupted() {
    assert_finds(Fault::Corrupt, "1 delivery corrupted.");
    assert_finds(Fault::Misroute, "1 delivery corrupted.");
}

#[test]
fn a_connection_that_the_server_closes_is_reported() {
    assert_finds(Fault::Close, "1 connection cut off (first: the connection ended: closed by the server)");
}

#[test]
fn a_login_refused_is_reported_in_the_servers_words() {
    for protocol in ALL {
        let (code, words, _) = load(protocol, Fault::Refuse, &ONE_ROOM);
        assert_eq!(code, Some(1), "{protocol:?}: {words}");
        let sentence = format!(
            "5 of 5 clients failed to connect or to log in (0 did, 0 did not try): {}",
            protocol.refusal().1
        );
        assert!(words.contains(&sentence), "{protocol:?}: {words}");
    }
}
