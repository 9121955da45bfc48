//! Several shards over real sockets: what is peculiar to them. (All other tests run on three shards as well, with
//! `TEST_SHARDS=3`.)

mod support;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;

use parlance::config::{Endpoint, Shards};
use parlance::reactor::{Server, StartupError};
use parlance::wire::Dialect;
use support::seat::{Datum, Seat};
use support::{TestServer, connect_from, reset_at_the_end};

fn sharded(shards: usize) -> TestServer {
    TestServer::with(|config| config.shards = Shards::Count(shards))
}

/// With so many, each of three shards has some: that one has none has a chance of one in ten million millions.
const MANY: usize = 100;

#[test]
fn what_many_say_at_once_is_heard_by_all_in_one_order() {
    const MESSAGES: usize = 50;
    let server = sharded(3);
    let mut people: Vec<_> = (0..MANY).map(|index| server.line(&format!("user{index}"))).collect();
    for number in 0..MESSAGES {
        for speaker in &mut people[..10] {
            speaker.send(format!("MSG {number}\n"));
        }
    }
    // Who does not speak hears everything; who does, all but its own.
    let heard: Vec<Vec<String>> = people[10..]
        .iter_mut()
        .map(|person| (0..10 * MESSAGES).map(|_| person.long_line()).collect())
        .collect();
    assert!(heard.iter().all(|lines| *lines == heard[0]), "one order for all");
    for (index, speaker) in people[..10].iter_mut().enumerate() {
        let own = format!("MSG user{index} ");
        let expected: Vec<_> = heard[0].iter().filter(|line| !line.starts_with(&own)).collect();
        let lines: Vec<_> = (0..9 * MESSAGES).map(|_| speaker.long_line()).collect();
        assert_eq!(lines.iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn of_many_who_ask_for_one_name_at_once_one_gets_it() {
    let server = sharded(3);
    for round in 0..20 {
        let mut people: Vec<_> = (0..MANY).map(|_| server.connect(Dialect::Line)).collect();
        for person in &mut people {
            person.send(format!("LOGIN name{round}\n"));
        }
        let answers: Vec<_> = people.iter_mut().map(|person| person.long_line()).collect();
        assert_eq!(answers.iter().filter(|answer| *answer == "OK").count(), 1, "{answers:?}");
        assert!(answers.iter().all(|answer| answer == "OK" || answer == "ERR username-taken"), "{answers:?}");
    }
}

#[test]
fn who_moves_hears_each_room_from_its_arrival_to_its_leaving_and_in_order() {
    let server = sharded(3);
    let mut people: Vec<_> = (0..12).map(|index| server.slash(&format!("user{index}"))).collect();
    for (index, person) in people.iter_mut().enumerate() {
        for round in 0..20 {
            person.send(format!("/join room{}\n{index} {round}\n/users\n", (index + round) % 3));
        }
        person.send("/rooms\n/quit\n");
    }
    for (index, person) in people.iter_mut().enumerate() {
        let heard = person.rest();
        let own: Vec<_> = heard
            .lines()
            .filter(|line| {
                line.starts_with("You joined #") || line.contains(&format!(" user{index}: {index} "))
            })
            .collect();
        assert_eq!(own.len(), 40, "{heard}");
        for round in 0..20 {
            assert!(own[2 * round].contains(&format!("#room{}", (index + round) % 3)), "{own:?}");
            assert!(own[2 * round + 1].ends_with(&format!(": {index} {round}")), "{own:?}");
        }
    }
}

#[test]
fn seats_on_all_shards_hear_all_in_one_order() {
    const SPEAKERS: usize = 10;
    let server = sharded(3);
    let seats: Vec<_> =
        (0..MANY).map(|index| Seat::join(&server, "lobby", &format!("seat{index}"))).collect();
    seats.iter().for_each(Seat::register);
    for seat in &seats[..SPEAKERS] {
        seat.say("hello");
    }
    let heard = |seat: &Seat, count: usize| (0..count).map(|_| seat.next()).collect::<Vec<_>>();
    let order = heard(&seats[MANY - 1], SPEAKERS);
    for seat in &seats[SPEAKERS..MANY - 1] {
        assert_eq!(heard(seat, SPEAKERS), order);
    }
    for (index, seat) in seats[..SPEAKERS].iter().enumerate() {
        let own = Datum::Said(format!("seat{index}"), "hello".to_owned());
        let expected: Vec<_> = order.iter().filter(|&datum| *datum != own).cloned().collect();
        assert_eq!(heard(seat, SPEAKERS - 1), expected);
    }
    seats[0].leave();
    let report = server.stop();
    assert_eq!((report.metrics.datagrams_undeliverable, report.metrics.datagrams_dropped), (0, 0));
}

#[test]
fn a_server_that_stops_tells_everybody_on_all_shards() {
    let server = sharded(3);
    let mut people: Vec<_> = (0..MANY).map(|index| server.line(&format!("user{index}"))).collect();
    let seats: Vec<_> =
        (0..MANY).map(|index| Seat::join(&server, "lobby", &format!("seat{index}"))).collect();
    seats.iter().for_each(Seat::register);
    let report = thread::scope(|scope| {
        let stopped = scope.spawn(|| server.stop());
        for person in &mut people {
            person.expect("INFO server shutting down\n");
            person.expect_end();
        }
        for seat in &seats {
            seat.expect("server", "server shutting down");
        }
        stopped.join().expect("it stops")
    });
    // A person, a handshake and a seat each.
    assert_eq!(report.metrics.opened, 3 * MANY as u64);
    assert_eq!(report.metrics.closed.iter().sum::<u64>(), 3 * MANY as u64);
}

#[test]
fn nobody_else_listens_where_several_shards_do() {
    let server = sharded(2);
    let address = server.address(Dialect::Line);
    let second = Server::start(
        &parlance::config::Config {
            line: Endpoint::Address(address).into(),
            slash: Endpoint::Off.into(),
            tcrp: Endpoint::Off.into(),
            ucrp: Endpoint::Off.into(),
            typed: Endpoint::Off.into(),
            gob: Endpoint::Off.into(),
            store: parlance::store::StoreSpec::Memory,
            shards: Shards::Count(2),
            ..Default::default()
        },
        || {},
    );
    assert!(matches!(second, Err(StartupError::Listen { .. })), "{second:?}");
    assert!(TcpListener::bind(address).is_err());
}

/// Connections that a thread holds with a table of open files, and a limit on them, of its own.
fn hold(from: IpAddr, address: SocketAddr, count: usize, done: mpsc::Receiver<()>) -> thread::JoinHandle<()> {
    let (ready, is_ready) = mpsc::channel();
    let thread = thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES).expect("a table of its own");
        let held: Vec<_> = (0..count).map(|_| connect_from(from, address)).collect();
        ready.send(()).expect("somebody waits");
        let _ = done.recv();
        // With resets: else the ports would be taken for another minute, for whoever runs this again.
        held.iter().for_each(reset_at_the_end);
    });
    is_ready.recv().expect("all are connected");
    thread
}

#[test]
fn shards_hold_more_connections_than_one_table_of_open_files() {
    const EACH: usize = 15_000;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    if limit.is_some_and(|limit| (limit as usize) < EACH + EACH / 5) {
        // Neither the server's shards nor the threads of this test could hold so many.
        println!("skipped: the limit on open files is {limit:?}");
        return;
    }
    let server = sharded(4);
    let address = server.address(Dialect::Line);
    let holders: Vec<_> = (0..4)
        .map(|index| {
            let (done, is_done) = mpsc::channel();
            // No address has so many ports.
            (hold([127, 0, 1, index].into(), address, EACH, is_done), done)
        })
        .collect();
    // Whoever comes now comes behind them, on whichever shard.
    let names: HashSet<_> = (0..MANY).map(|index| format!("user{index}")).collect();
    let mut people: Vec<_> = names.iter().map(|name| server.line(name)).collect();
    people[0].send("WHO\n");
    let listed: HashSet<_> = (0..MANY).map(|_| people[0].long_line()).collect();
    assert_eq!(listed, names.iter().map(|name| format!("USER {name}")).collect());
    for (holder, done) in holders {
        drop(done);
        holder.join().expect("it holds them until it is told");
    }
    drop(people);
    let report = server.stop();
    assert_eq!(report.metrics.opened, (4 * EACH + MANY) as u64, "each was taken in, and none refused");
}
