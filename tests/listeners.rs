//! Listeners: several addresses, both families, and limits of their own; and datagrams that leave from the
//! address that was spoken to.

#[path = "support/program.rs"]
mod program;
mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use parlance::chat::{CloseReason, TokenText};
use parlance::config::{ListenerSpec, Shards};
use parlance::limits::UDP_SOURCES_MAX;
use parlance::wire::Dialect;
use parlance::wire::tcrp::Operation;
use parlance::wire::ucrp::{Datagram, Delivery, Message};
use program::{Program, parlance};
use rustix::process::Signal;
use support::seat::{exchange_at, outcome, request};
use support::{PATIENCE, Peer, TestServer, connect_from};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const ANY_V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ANY_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Another address of this machine, which no interface is given: all of 127.0.0.0/8 are.
fn other(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

/// Whether this machine has IPv6. Tests of both families say nothing where it has not.
fn has_v6() -> bool {
    UdpSocket::bind((V6, 0)).is_ok()
}

fn bound(bind: &[IpAddr]) -> TestServer {
    let bind = bind.to_vec();
    TestServer::with(|config| config.bind = bind)
}

/// Logs in at an address of the server.
fn line(server: &TestServer, at: IpAddr, name: &str) -> Peer {
    let port = server.address(Dialect::Line).port();
    let mut peer = Peer::connect(SocketAddr::new(at, port));
    peer.send(format!("LOGIN {name}\n"));
    peer.expect("OK\n");
    peer
}

/// A seat in the lobby whose socket hears only the address that it speaks to, as those of most clients do.
struct Seat {
    socket: UdpSocket,
    token: TokenText,
}

impl Seat {
    /// Shakes hands at an address of the server, and registers there.
    fn at(server: &TestServer, at: IpAddr, name: &str) -> Self {
        let from = if at.is_ipv4() { V4 } else { V6 };
        let tcrp = SocketAddr::new(at, server.address(Dialect::Tcrp).port());
        let join = request((Operation::Join, "lobby"), (name, None));
        let token =
            outcome(&exchange_at(tcrp, from, &join), "lobby", Operation::Join.byte()).expect("a seat");
        let socket = UdpSocket::bind((from, 0)).expect("a port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let seat = Self { socket, token: token.reveal() };
        seat.moves_to(server, at);
        seat
    }

    /// Speaks to another address of the server from now on.
    fn moves_to(&self, server: &TestServer, at: IpAddr) {
        self.socket.connect((at, server.address(Dialect::Ucrp).port())).expect("it is there");
        self.send(Message::Register);
        self.knows_that_it_is_heard();
    }

    fn send(&self, message: Message<'_>) {
        let mut out = Vec::new();
        Datagram { room: "lobby", token: &self.token, message }.encode(&mut out).expect("it fits");
        self.socket.send(&out).expect("the server is there");
    }

    /// The next datagram from the address that it speaks to: who said what.
    #[track_caller]
    fn next(&self) -> (String, String) {
        let mut buffer = [0; 4097];
        let length = self.socket.recv(&mut buffer).expect("a datagram from the address that was spoken to");
        let Ok(Delivery::Relay { sender, text }) = Delivery::decode(&buffer[..length]) else {
            panic!("{:?}", &buffer[..length]);
        };
        (sender.to_owned(), text.to_owned())
    }

    #[track_caller]
    fn expect(&self, sender: &str, text: &str) {
        assert_eq!(self.next(), (sender.to_owned(), text.to_owned()));
    }

    /// The answer to a question comes behind everything before.
    #[track_caller]
    fn knows_that_it_is_heard(&self) {
        self.send(Message::Chat("/msg "));
        self.expect("server", "usage: /msg <name> <text>");
    }
}

#[test]
fn the_wildcard_of_ipv6_serves_both_families_in_every_dialect_on_one_port() {
    if !has_v6() {
        return;
    }
    for bind in [&[ANY_V6][..], &[ANY_V6, ANY_V4], &[V6, V4]] {
        let server = bound(bind);
        let mut alice = line(&server, V6, "alice");
        let mut bob = line(&server, V4, "bob");
        bob.send("MSG hi\n");
        alice.expect("MSG bob hi\n");
        let (six, four) = (Seat::at(&server, V6, "six"), Seat::at(&server, V4, "four"));
        bob.send("MSG all\n");
        six.expect("bob", "all");
        four.expect("bob", "all");
        for dialect in [Dialect::Slash, Dialect::Tcrp, Dialect::Typed, Dialect::Gob] {
            for at in [V6, V4] {
                Peer::connect(SocketAddr::new(at, server.address(dialect).port()));
            }
        }
        drop((alice, bob));
    }
}

#[test]
fn the_table_has_a_row_for_each_address_with_one_port_for_a_dialect() {
    let server = bound(&[other(2), V4, other(2)]);
    let rows = server.listening();
    assert_eq!(rows.len(), 2 * Dialect::ALL.len());
    for pair in rows.chunks(2) {
        assert_eq!(pair[0].dialect, pair[1].dialect);
        assert_eq!([pair[0].address.ip(), pair[1].address.ip()], [other(2), V4]);
        assert_eq!(pair[0].address.port(), pair[1].address.port());
    }
    // The other addresses are not listened on.
    let port = server.address(Dialect::Line).port();
    assert!(std::net::TcpStream::connect((other(3), port)).is_err());
}

/// A peer of IPv4 is one, whatever the listener: exempt as one, and counted as one.
#[test]
fn peers_of_either_family_are_counted_by_their_own_addresses() {
    if !has_v6() {
        return;
    }
    let server = TestServer::with(|config| {
        config.bind = vec![ANY_V6];
        config.exempt = vec!["127.0.0.1/32".parse().expect("a network")];
        config.address_clients = 1;
    });
    let exempt: Vec<_> = (0..3).map(|index| line(&server, V4, &format!("exempt{index}"))).collect();
    let one = line(&server, V6, "six");
    let at = |ip| SocketAddr::new(ip, server.address(Dialect::Line).port());
    assert_eq!(Peer::connect(at(V6)).rest(), "ERR too-many-connections\n");
    // Who is logged in has been taken in, whichever shard it came to.
    let mut two = Peer::of(connect_from(other(9), at(V4)));
    two.send("LOGIN four\n");
    two.expect("OK\n");
    assert_eq!(Peer::of(connect_from(other(9), at(V4))).rest(), "ERR too-many-connections\n");
    drop((exempt, one, two));
    assert_eq!(server.stop().metrics.closed_for(CloseReason::AddressFull), 2);
}

#[test]
fn a_listener_exempts_the_networks_of_its_own_option() {
    let listener = |text: &str| -> ListenerSpec { text.parse().expect("a listener") };
    let server = TestServer::with(|config| {
        config.line = listener("0,exempt=none");
        config.slash = listener("0,exempt=127.0.0.0/8");
        config.exempt = Vec::new();
        config.address_clients = 1;
    });
    let one = line(&server, V4, "one");
    assert_eq!(server.connect(Dialect::Line).rest(), "ERR too-many-connections\n");
    let exempt: Vec<_> = (0..3).map(|index| server.slash(&format!("exempt{index}"))).collect();
    drop((one, exempt));
    assert_eq!(server.stop().metrics.closed_for(CloseReason::AddressFull), 1);
}

#[test]
fn an_answer_leaves_from_the_address_that_was_spoken_to() {
    let mut binds = vec![(ANY_V4, V4)];
    if has_v6() {
        binds.push((ANY_V6, V6));
    }
    for (bind, writer) in binds {
        let server = bound(&[bind]);
        let mut author = line(&server, writer, "author");
        let seats: Vec<_> =
            (1..=5).map(|last| Seat::at(&server, other(last), &format!("seat{last}"))).collect();
        let six = (bind == ANY_V6).then(|| Seat::at(&server, V6, "six"));
        for text in ["one", "two", "three"] {
            author.send(format!("MSG {text}\n"));
            seats.iter().chain(&six).for_each(|seat| seat.expect("author", text));
        }
        // It goes by the last datagram, and not by the handshake.
        seats[0].moves_to(&server, other(200));
        author.send("MSG four\n");
        seats.iter().chain(&six).for_each(|seat| seat.expect("author", "four"));
        drop((author, seats, six));
        assert_eq!(server.stop().metrics.datagrams_undeliverable, 0);
    }
}

/// What a server sends that listens on all addresses takes as many calls as that of one which listens on one.
#[test]
#[cfg(target_os = "linux")]
fn a_batch_from_an_address_of_several_costs_one_call() {
    const SEATS: u64 = 4;
    const ROUNDS: u64 = 50;
    let server = TestServer::with(|config| {
        config.shards = Shards::Count(1);
        config.bind = vec![ANY_V4];
    });
    let mut author = line(&server, V4, "author");
    let seats: Vec<_> =
        (0..SEATS).map(|index| Seat::at(&server, other(2), &format!("seat{index}"))).collect();
    let texts: Vec<_> = (0..16).map(|index| format!("text {index:2}.")).collect();
    for _ in 0..ROUNDS {
        author.send(texts.iter().map(|text| format!("MSG {text}\n")).collect::<String>());
        for seat in &seats {
            for text in &texts {
                seat.expect("author", text);
            }
        }
    }
    drop(author);
    let report = server.stop();
    // An answer for each when it came, and one batch at the end; before the first round, and after the last,
    // the size of a datagram is set in the kernel.
    assert_eq!(report.system_calls.datagram_writes, SEATS + 1 + ROUNDS + 1 + 1);
    // The listeners, the author, the handshakes, and the one socket that sends.
    assert_eq!(report.system_calls.registrations, Dialect::ALL.len() as u64 + 1 + SEATS + 1);
}

/// More addresses than there may be sockets: what leaves from the others is not lost, though it may come from
/// another.
#[test]
fn sockets_that_answer_from_one_address_are_bounded() {
    let server = TestServer::with(|config| {
        config.shards = Shards::Count(1);
        config.bind = vec![ANY_V4];
        config.session_messages = 0;
    });
    let mut author = line(&server, V4, "author");
    let seat = Seat::at(&server, V4, "seat");
    for index in 0..2 * UDP_SOURCES_MAX as u8 {
        let at = IpAddr::from([127, 0, 1, index]);
        seat.socket.connect((at, server.address(Dialect::Ucrp).port())).expect("it is there");
        seat.send(Message::Chat("/msg "));
        if usize::from(index) + 1 < UDP_SOURCES_MAX {
            seat.expect("server", "usage: /msg <name> <text>");
        }
    }
    // Sockets that are not used for a while give way; until then the address of the machine's own choice has
    // to do.
    seat.socket.connect((V4, server.address(Dialect::Ucrp).port())).expect("it is there");
    seat.send(Message::Chat("/msg author back"));
    author.expect("DM seat back\n");
    author.send("MSG still here\n");
    // Answers from before may come in between.
    while seat.next() != ("author".to_owned(), "still here".to_owned()) {}
    drop(author);
    assert!(
        server.stop().system_calls.registrations <= Dialect::ALL.len() as u64 + 2 + UDP_SOURCES_MAX as u64
    );
}

#[test]
fn at_the_start_it_is_said_who_is_exempt_and_which_variables_are_passed_over() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let arguments =
        ["--store", "memory", "--line", "0,exempt=none", "--slash", "0", "--tcrp", "0", "--ucrp", "0"];
    let mut command = parlance(directory.path(), &[&arguments[..], &["--typed", "0", "--gob", "0"]].concat());
    command.env("PARLANCE_PORT", "tcp://10.0.0.1:4000").env("PARLANCE_SERVICE_HOST", "10.0.0.1");
    let program = Program::try_spawn(directory.path(), command).expect("it starts");
    assert!(program.end(Signal::TERM).success());
    let log = std::fs::read_to_string(directory.path().join("server.log")).expect("UTF-8");
    let lines = |start: &str| log.lines().filter(|line| line.contains(start)).count();
    assert_eq!(
        lines("127.0.0.0/8 and ::1/128 on slash, tcrp, ucrp, typed, gob; behind a proxy "),
        1,
        "{log}"
    );
    assert_eq!(lines("passed over 2 environment variables of a service"), 1, "{log}");
}

/// Runs a closure on a thread, to which the kernel refuses to set some options of sockets: each a level and,
/// if given, a name. The programs that it starts inherit that.
#[cfg(target_os = "linux")]
fn without<R: Send>(options: &[(i32, Option<i32>)], run: impl FnOnce() -> R + Send) -> R {
    use nix::libc;
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule,
    };
    let is = |argument, value: i32| {
        SeccompCondition::new(
            argument,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::Eq,
            value.unsigned_abs().into(),
        )
        .expect("one of six arguments")
    };
    let rule = |&(level, name): &(i32, Option<i32>)| {
        let conditions = std::iter::once(is(1, level)).chain(name.map(|name| is(2, name)));
        SeccompRule::new(conditions.collect()).expect("there are conditions")
    };
    let rules = [(libc::SYS_setsockopt, options.iter().map(rule).collect())].into();
    let refusal = SeccompAction::Errno(libc::EPERM as u32);
    let architecture = std::env::consts::ARCH.try_into().expect("one with a filter");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, architecture).expect("a filter");
    let filter: BpfProgram = filter.try_into().expect("a small filter");
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            seccompiler::apply_filter(&filter).expect("the kernel has filters");
            run()
        });
        thread.join().expect("it ends")
    })
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_goes_on_without_options_that_a_sandbox_refuses_and_warns_once() {
    use nix::libc;
    let directory = tempfile::tempdir().expect("a directory");
    let refused = [
        (libc::IPPROTO_TCP, None),
        (libc::SOL_SOCKET, Some(libc::SO_KEEPALIVE)),
        (libc::SOL_SOCKET, Some(libc::SO_REUSEADDR)),
        (libc::SOL_SOCKET, Some(libc::SO_REUSEPORT)),
        (libc::SOL_IP, Some(libc::IP_PKTINFO)),
    ];
    let arguments = ["--store", "memory", "--shards", "1", "--bind", "0.0.0.0"];
    let server = without(&refused, || Program::start(directory.path(), &arguments));
    let mut address = server.address(Dialect::Line);
    address.set_ip(V4);
    let mut peer = Peer::connect(address);
    peer.send("LOGIN alice\nPING\n");
    peer.expect("OK\nPONG\n");
    drop(peer);
    server.wait_for_log("the system refuses socket options");
    assert_eq!(server.log().matches("the system refuses socket options").count(), 1);
    for option in
        ["SO_KEEPALIVE", "SO_REUSEADDR", "SO_REUSEPORT", "TCP_NODELAY", "TCP_USER_TIMEOUT", "IP_PKTINFO"]
    {
        assert_eq!(server.log().matches(option).count(), 1, "{option}");
    }
    assert_eq!(server.end(Signal::TERM).code(), Some(0));
}

#[test]
#[cfg(target_os = "linux")]
fn an_option_that_the_server_needs_is_named_in_the_error() {
    use nix::libc;
    let mut needed = vec![("SO_REUSEPORT", (libc::SOL_SOCKET, libc::SO_REUSEPORT), "127.0.0.1")];
    if has_v6() {
        needed.push(("IPV6_V6ONLY", (libc::SOL_IPV6, libc::IPV6_V6ONLY), "::1"));
    }
    for (name, (level, option), bind) in needed {
        let directory = tempfile::tempdir().expect("a directory");
        let arguments = ["--store", "memory", "--shards", "2", "--bind", bind];
        let started =
            without(&[(level, Some(option))], || Program::try_start(directory.path(), &arguments).map(drop));
        let ended = started.expect_err("it does not start");
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.log.contains(&format!("refuses the socket option {name}")), "{ended:?}");
        assert!(ended.log.contains("allow it in the sandbox"), "{ended:?}");
    }
}
