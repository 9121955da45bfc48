//! The client library against a server, a dialect at a time.

mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use parlance::chat::{Departure, Event, Problem, Secret, Token};
use parlance::client::{Client, ClientError, Entry, Mailbox, Seat, Stranger, Unread, connect};
use parlance::wire::typed::TagSet;
use parlance::wire::{Dialect, tcrp, typed, ucrp};
use socket2::{Domain, Socket, Type};
use support::{TestServer, deadline};

/// A deadline that a test waits for.
fn soon() -> Instant {
    Instant::now() + Duration::from_millis(20)
}

/// The next event that is no notice of somebody's coming, as a text.
#[track_caller]
fn said(client: &mut Client) -> String {
    loop {
        match client.next_event(deadline()).expect("an event") {
            Event::Joined(_) | Event::Left { .. } => {}
            Event::Message { sender, text, .. } => return format!("{sender}: {text}"),
            Event::Direct { sender, text, .. } => return format!("{sender} in private: {text}"),
            Event::DirectSent { to, text } => return format!("to {to}: {text}"),
            other => return format!("{other:?}"),
        }
    }
}

#[track_caller]
fn heard(seat: &mut Seat) -> String {
    match seat.next_event(deadline()).expect("an event") {
        Event::Message { sender, text, .. } => format!("{sender}: {text}"),
        Event::Direct { sender, text, .. } => format!("{sender} in private: {text}"),
        other => format!("{other:?}"),
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ClientError>) -> String {
    match result.expect_err("a refusal") {
        ClientError::Refused(reason) | ClientError::Failed(reason) => reason,
        other => panic!("{other:?}"),
    }
}

fn mailbox(server: &TestServer, name: &str, password: &str) -> Mailbox {
    let mut mailbox = Mailbox::connect(server.address(Dialect::Typed), deadline()).expect("it listens");
    mailbox.login(name, password, deadline()).expect("the password is right");
    mailbox
}

fn entry<'a>(room: &'a str, operation: tcrp::Operation, name: &'a str) -> Entry<'a> {
    Entry { room, operation, name, password: None }
}

fn take(server: &TestServer, entry: &Entry<'_>) -> Result<Seat, ClientError> {
    Seat::take(server.address(Dialect::Tcrp), Some(server.address(Dialect::Ucrp)), entry, deadline())
}

#[test]
fn streams_talk_to_each_other() {
    let server = TestServer::start();
    let mut line = server.client(Dialect::Line, "alice");
    let mut slash = server.client(Dialect::Slash, "bobby");
    let mut gob = server.client(Dialect::Gob, "carol");
    line.say("hello").expect("sent");
    assert_eq!(said(&mut slash), "alice: hello");
    assert_eq!(said(&mut gob), "alice: hello");
    gob.say("good day").expect("sent");
    assert_eq!(said(&mut line), "carol: good day");
    assert_eq!(said(&mut slash), "carol: good day");
    slash.direct("carol", "psst").expect("sent");
    assert_eq!(said(&mut slash), "to carol: psst");
    assert_eq!(said(&mut gob), "bobby in private: psst");
    gob.direct("alice", "psst").expect("sent");
    assert_eq!(said(&mut line), "carol in private: psst");
    line.direct("bobby", "psst").expect("sent");
    assert_eq!(said(&mut slash), "alice in private: psst");
    // Another thread's handle is the same connection.
    let speaker = slash.speaker().expect("a descriptor");
    assert_eq!(speaker.dialect(), Dialect::Slash);
    speaker.send(&parlance::chat::Command::Quit).expect("sent");
    assert_eq!(said(&mut slash), "Goodbye");
    assert!(matches!(slash.next_event(deadline()), Err(ClientError::Closed)));
    let gone = line.next_event(deadline()).expect("an event");
    assert_eq!(gone, Event::Left { name: "bobby", departure: Departure::Disconnected });
}

#[test]
fn a_name_is_refused_in_words_or_changed() {
    let server = TestServer::start();
    let _alice = server.client(Dialect::Line, "alice");
    for dialect in [Dialect::Line, Dialect::Slash] {
        let mut other = Client::connect(dialect, server.address(dialect), deadline()).expect("it listens");
        assert_eq!(refused(other.login("Alice", deadline())), "the name is taken");
    }
    let mut gob =
        Client::connect(Dialect::Gob, server.address(Dialect::Gob), deadline()).expect("it listens");
    gob.login("alice", deadline()).expect("sent");
    assert_eq!(said(&mut gob), "server: your name here is alice~2");
}

#[test]
fn a_name_with_an_account_takes_its_password() {
    let server = TestServer::start();
    drop(mailbox(&server, "alice", "open sesame"));
    for dialect in [Dialect::Line, Dialect::Slash] {
        let connect = || Client::connect(dialect, server.address(dialect), deadline()).expect("it listens");
        let wanted = connect().login("alice", deadline());
        assert!(matches!(wanted, Err(ClientError::PasswordWanted)), "{dialect:?}: {wanted:?}");
        assert_eq!(refused(connect().login_with("alice", "guess", deadline())), "wrong password");
        let mut alice = connect();
        alice.login_with("alice", "open sesame", deadline()).expect("the password is right");
        drop(alice);
        wait_until_free(&server, "alice", "open sesame");
    }
    let entry = entry("lobby", tcrp::Operation::Join, "alice");
    assert!(matches!(take(&server, &entry), Err(ClientError::PasswordWanted)));
    let guess = Entry { password: Some(Secret("guess")), ..entry };
    assert_eq!(refused(take(&server, &guess)), "wrong password");
    take(&server, &Entry { password: Some(Secret("open sesame")), ..entry }).expect("the password is right");
}

#[test]
fn a_password_for_a_name_without_an_account_is_refused_in_words() {
    let server = TestServer::start();
    for dialect in [Dialect::Line, Dialect::Slash, Dialect::Gob] {
        let mut client = Client::connect(dialect, server.address(dialect), deadline()).expect("it listens");
        let refusal = refused(client.login_with("carol", "secret", deadline()));
        assert_eq!(refusal, "there is no account carol", "{dialect:?}");
    }
    let secret = Some(Secret("secret"));
    for operation in [tcrp::Operation::Join, tcrp::Operation::Create] {
        let room = if operation == tcrp::Operation::Join { "lobby" } else { "den" };
        let entry = Entry { password: secret, ..entry(room, operation, "carol") };
        assert_eq!(refused(take(&server, &entry)), "there is no account carol");
    }
    let entry = Entry { password: secret, ..entry("lobby", tcrp::Operation::Join, "root") };
    assert_eq!(refused(take(&server, &entry)), "there is no account root");
}

#[test]
fn in_gob_a_login_with_a_password_is_answered() {
    let server = TestServer::start();
    drop(mailbox(&server, "Alice", "open sesame"));
    let connect =
        || Client::connect(Dialect::Gob, server.address(Dialect::Gob), deadline()).expect("it listens");
    assert_eq!(refused(connect().login_with("alice", "guess", deadline())), "wrong password");
    let mut alice = connect();
    alice.login_with("alice", "open sesame", deadline()).expect("the password is right");
    alice.say("hi").expect("sent");
    let mut bob = server.client(Dialect::Line, "bob");
    alice.say("hello").expect("sent");
    while said(&mut bob) != "alice: hello" {}
}

#[test]
fn a_password_that_lines_cannot_carry_is_not_sent() {
    let server = TestServer::start();
    for dialect in [Dialect::Line, Dialect::Slash] {
        drop(mailbox(&server, "alice", "open sesame"));
        for password in [" open sesame", "open sesame ", "open\nsesame", "\u{feff}open sesame"] {
            let mut client =
                Client::connect(dialect, server.address(dialect), deadline()).expect("it listens");
            let error = client.login_with("alice", password, deadline()).expect_err("no words for it");
            assert!(matches!(error, ClientError::Unsayable(_)), "{dialect:?}, {password:?}: {error:?}");
        }
    }
}

/// Waits until the server has seen that the name's holder is gone.
fn wait_until_free(server: &TestServer, name: &str, password: &str) {
    loop {
        let mut client =
            Client::connect(Dialect::Slash, server.address(Dialect::Slash), deadline()).expect("it listens");
        match client.login_with(name, password, deadline()) {
            Ok(()) => {
                client.send(&parlance::chat::Command::Quit).expect("sent");
                // The server closes when the name is free.
                while client.next_event(deadline()).is_ok() {}
                return;
            }
            Err(ClientError::Refused(reason)) => assert_eq!(reason, "the name is taken"),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_deadline_is_kept() {
    let server = TestServer::start();
    let mut line = server.client(Dialect::Line, "alice");
    assert!(matches!(line.next_event(soon()), Err(ClientError::Deadline)));
    let mut seat = take(&server, &entry("lobby", tcrp::Operation::Join, "bob")).expect("a seat");
    assert!(matches!(seat.next_delivery(soon()), Err(ClientError::Deadline)));
    let mut mailbox = mailbox(&server, "carol", "secret");
    assert!(matches!(mailbox.next_letter(soon()), Err(ClientError::Deadline)));
    // It listens, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("bound");
    let mut client = Client::connect(Dialect::Line, address, deadline()).expect("the kernel takes it");
    assert!(matches!(client.login("alice", soon()), Err(ClientError::Deadline)));
    let entry = entry("lobby", tcrp::Operation::Join, "bob");
    assert!(matches!(Seat::take(address, None, &entry, soon()), Err(ClientError::Deadline)));
    let mut mailbox = Mailbox::connect(address, deadline()).expect("the kernel takes it");
    assert!(matches!(mailbox.login("carol", "secret", soon()), Err(ClientError::Deadline)));
    drop(silent);
    assert!(matches!(Client::connect(Dialect::Line, address, deadline()), Err(ClientError::Unreachable(_))));
}

#[test]
fn seats_talk_until_their_host_leaves() {
    use tcrp::Operation::{Create, Join};
    let server = TestServer::start();
    assert_eq!(refused(take(&server, &entry("den", Join, "bob"))), "there is no such room");
    let mut host = take(&server, &entry("den", Create, "alice")).expect("the room is made");
    assert_eq!(refused(take(&server, &entry("den", Create, "bob"))), "there is such a room already");
    assert_eq!(refused(take(&server, &entry("den", Join, ""))), "the name is not one");
    let mut bob = take(&server, &entry("den", Join, "bob")).expect("the room is there");
    assert_eq!((bob.room(), host.room()), ("den", "den"));

    talk(&mut host, &mut bob);
    bob.direct("alice", "psst").expect("sent");
    assert_eq!(heard(&mut host), "bob in private: psst");
    for unsayable in ["__LEAVE__", "__REGISTER__", "/msg alice x"] {
        assert!(matches!(bob.say(unsayable), Err(ClientError::Unsayable(_))), "{unsayable}");
    }
    assert!(matches!(bob.direct("two words", "x"), Err(ClientError::Unsayable(_))));

    // The same seat on another socket, as after a change of the network.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(server.address(Dialect::Ucrp)).expect("an address");
    let mut moved = Seat::open(socket, "den", bob.token()).expect("sent");
    talk(&mut host, &mut moved);

    host.leave().expect("sent");
    assert_eq!(heard(&mut moved), r#"RoomClosed("")"#);
    assert_eq!(refused(take(&server, &entry("den", Join, "carol"))), "there is no such room");
}

/// Two say something to each other. Until the server knows where the other one is, it is said again.
fn talk(one: &mut Seat, other: &mut Seat) {
    let mut attempts = 0..100;
    loop {
        assert!(attempts.next().is_some(), "nothing arrives");
        one.say("hello").expect("sent");
        match other.next_delivery(Instant::now() + Duration::from_millis(500)) {
            Ok(delivery) => {
                assert_eq!(delivery, ucrp::Delivery::Relay { sender: "alice", text: "hello" });
                break;
            }
            Err(ClientError::Deadline) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    other.say("hello yourself").expect("sent");
    assert_eq!(heard(one), "bob: hello yourself");
}

#[test]
fn a_seat_hears_other_dialects() {
    let server = TestServer::start();
    let mut alice = server.client(Dialect::Line, "alice");
    let mut seat = take(&server, &entry("lobby", tcrp::Operation::Join, "bob")).expect("a seat");
    let mut again = seat.try_clone().expect("a descriptor");
    again.say("hello").expect("sent");
    assert_eq!(said(&mut alice), "bob: hello");
    alice.say("hello bob").expect("sent");
    assert_eq!(heard(&mut seat), "alice: hello bob");
    alice.direct("bob", "psst").expect("sent");
    assert_eq!(heard(&mut seat), "alice in private: psst");
    seat.leave().expect("sent");
    assert_eq!(
        alice.next_event(deadline()).expect("an event"),
        Event::Left { name: "bob", departure: Departure::Disconnected }
    );
}

#[test]
fn a_mailbox_does_all_that_it_can_in_both_tag_sets() {
    for tags in [TagSet::InUse, TagSet::Document] {
        let server = TestServer::start();
        let address = server.address(Dialect::Typed);
        let mut alice = Mailbox::connect_with(tags, address, deadline()).expect("it listens");
        assert!(!alice.identify("alice", deadline()).expect("an answer"), "nobody has the name");
        assert_eq!(alice.prove("secret", deadline()).expect("an account"), ["alice"]);
        let mut bob = mailbox(&server, "bob", "hunter2");
        assert!(alice.identify("bob", deadline()).expect("an answer"), "somebody has the name");
        let wrong = refused(alice.prove("guess", deadline()));
        assert!(wrong.starts_with("wrong password"), "{wrong}");

        bob.subscribe(true).expect("sent");
        bob.users(deadline()).expect("it is subscribed by now");
        alice.send("bob", "one").expect("sent");
        let id = alice.send_kept("bob", "two", "key", deadline()).expect("it is kept");
        assert_eq!(alice.send_kept("bob", "two", "key", deadline()).expect("the same"), id);
        assert_eq!(refused(alice.send_kept("carol", "x", "other", deadline())), "there is no carol here");

        // What comes while something else is waited for is not lost.
        let unread = bob.users(deadline()).expect("a list");
        let expected = [("alice", 2), ("bob", 0)].map(|(name, count)| Unread { name: name.into(), count });
        assert_eq!(unread, expected);
        let letters = [(); 2].map(|()| bob.next_letter(deadline()).expect("a message"));
        assert_eq!(letters.each_ref().map(|letter| letter.content.as_str()), ["one", "two"]);
        assert_eq!((letters[1].id.as_str(), letters[1].sender.as_str()), (id.as_str(), "alice"));
        assert!(letters[1].unread && letters[1].recipient == "bob" && letters[1].at.0 > 0);

        let listed = bob.list("alice", deadline()).expect("a list");
        assert_eq!(listed, letters);
        assert_eq!(bob.history("alice", None, 1, deadline()).expect("a list"), letters[1..]);
        assert_eq!(bob.history("alice", Some(&id), 9, deadline()).expect("a list"), letters[..1]);
        bob.mark_read("alice").expect("sent");
        assert_eq!(bob.users(deadline()).expect("a list")[0].count, 0);
        alice.delete_message(&id).expect("sent");
        assert_eq!(alice.list("bob", deadline()).expect("a list").len(), 1);
        assert_eq!(bob.list("alice", deadline()).expect("a list").len(), 1);
        bob.subscribe(false).expect("sent");
        bob.users(deadline()).expect("it is not subscribed any more");
        alice.send("bob", "three").expect("sent");
        alice.delete_account().expect("sent");
        assert_eq!(refused(alice.users(deadline())), "not logged in");
        let names: Vec<_> =
            bob.users(deadline()).expect("a list").into_iter().map(|user| user.name).collect();
        assert_eq!(names, ["bob"]);
        assert!(matches!(bob.next_letter(soon()), Err(ClientError::Deadline)));
    }
}

#[test]
fn a_text_that_is_too_long_is_not_sent() {
    let server = TestServer::start();
    let mut alice = mailbox(&server, "alice", "secret");
    let text = "x".repeat(parlance::limits::TYPED_REQUEST_BYTES_MAX);
    let error = alice.send("alice", &text).expect_err("too long");
    assert!(matches!(error, ClientError::TooLong(typed::TooLong)), "{error:?}");
    let error = refused(alice.send_kept("alice", &text[..5000], "key", deadline()));
    assert_eq!(error, parlance::wire::words(Problem::TextTooLong));
}

/// A listener whose queue is full: the kernel drops whatever else comes. And what fills it.
fn swallowing(address: &str) -> (SocketAddr, Vec<Socket>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    listener.bind(&address.parse::<SocketAddr>().expect("an address").into()).expect("a free port");
    listener.listen(0).expect("it listens");
    let address = listener.local_addr().expect("bound").as_socket().expect("of IP");
    let mut held = vec![listener];
    // As many as the queue takes. More are neither taken nor refused.
    for _ in 0..16 {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        filler.set_nonblocking(true).expect("a socket");
        let _ = filler.connect(&address.into());
        held.push(filler);
    }
    (address, held)
}

#[test]
fn the_first_address_that_answers_is_taken() {
    let server = TestServer::start();
    let there = server.address(Dialect::Line);
    let (silent, _held) = swallowing("127.0.0.1:0");
    let refusing = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    for before in [&[][..], &[refusing], &[silent], &[silent, refusing, silent]] {
        let addresses = [before, &[there]].concat();
        let stream = connect(&addresses[..], deadline()).expect("one answers");
        assert_eq!(stream.peer_addr().expect("connected"), there);
    }
    let mut alice =
        Client::connect(Dialect::Line, &[refusing, silent, there][..], deadline()).expect("one answers");
    alice.login("alice", deadline()).expect("the stream blocks as any other");
}

#[test]
fn each_address_that_does_not_answer_is_told() {
    let (silent, _held) = swallowing("127.0.0.1:0");
    let refusing = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    let error = connect(&[refusing, silent][..], Instant::now() + Duration::from_millis(500))
        .expect_err("none answers");
    let words = error.to_string();
    assert!(words.contains(&format!("{refusing}: Connection refused")), "{words}");
    assert!(words.contains(&format!("{silent}: no answer")), "{words}");
    let nothing: [SocketAddr; 0] = [];
    assert_eq!(
        connect(&nothing[..], deadline()).expect_err("nothing to try").to_string(),
        "there is no address"
    );
}

#[test]
fn a_stranger_is_named_whatever_pieces_its_words_come_in() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut client = Client::connect(Dialect::Line, listener.local_addr().expect("bound"), deadline())
        .expect("it listens");
    let (mut stranger, _): (TcpStream, _) = listener.accept().expect("a connection");
    stranger.set_nodelay(true).expect("a socket");
    std::thread::spawn(move || {
        for byte in b"HTTP/1.1 400 Bad Request\r\n\r\n" {
            stranger.write_all(&[*byte]).expect("it reads");
        }
        stranger
    });
    let error = client.login("alice", deadline()).expect_err("no such dialect");
    assert!(matches!(error, ClientError::Stranger(Stranger::Http)), "{error:?}");
}

/// What the network says of one datagram does not end a seat that the server keeps.
#[test]
fn a_seat_outlives_a_port_that_is_closed_for_a_while() {
    let there = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = there.local_addr().expect("bound");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(address).expect("connected");
    let mut seat = Seat::open(socket, "den", Token::from_random([7; 16])).expect("a seat");
    drop(there);
    // The kernel tells the first one's fate before it sends the second.
    for _ in 0..3 {
        assert!(matches!(seat.say("lost"), Ok(()) | Err(ClientError::Undelivered(_))));
    }
    let waited = seat.next_delivery(deadline());
    assert!(matches!(waited, Err(ClientError::Undelivered(_))), "{waited:?}");
    let there = UdpSocket::bind(address).expect("free again");
    // This one is sent though the kernel still has an error to tell.
    seat.say("heard").expect("it is sent");
    let mut datagram = [0; 512];
    there.set_read_timeout(Some(support::PATIENCE)).expect("a socket");
    let length = there.recv(&mut datagram).expect("it came");
    assert!(datagram[..length].ends_with(b"heard"));
}
