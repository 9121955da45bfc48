//! Totals of the whole server: one network fills its nine tenths of each and is refused, another network
//! still gets in, and returned places are free again. `World::check` compares the count of each network with
//! its actual parts.

use std::net::{IpAddr, Ipv4Addr};

use parlance::chat::{CloseReason, HistoryRules, Kept, PasswordHash, Refused, Secret, Token};
use parlance::engine::{Engine, Random, Settings};
use parlance::limits::{
    ACCOUNTS_MAX, HELD_TOTAL_BYTES_MAX, HISTORY_TASKS_MAX, LINE_BYTES_MAX, OUTBOX_BYTES_HIGH,
    OUTBOX_TOTAL_BYTES_MAX, PLACES_KEPT_DIVISOR, PLACES_SMALL_DIVISOR, REFUSED_MAX, ROOMS_MAX, SEATS_MAX,
    STORE_QUEUE_OPS_MAX, STORE_RESERVE_DIVISOR,
};
use parlance::wire::Dialect;
use parlance::wire::tcrp::{Operation, Refusal};
use parlance::wire::typed::Request;
use parlance::wire::ucrp::Message;

use crate::kept;
use crate::seats::{Seat, asks};
use crate::world::{Client, HERE, World, settings};

/// The network that takes all it can.
const GREEDY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const MODEST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

/// What one network can take of a total.
const fn share(total: usize) -> usize {
    total - total / PLACES_KEPT_DIVISOR
}

/// Nothing bounds a network but its shares.
fn open() -> Settings {
    Settings {
        address_accounts_limit: 0,
        address_clients_limit: 0,
        address_rooms_limit: 0,
        address_connects_limit: 0,
        session_rooms_limit: 0,
        session_messages_limit: 0,
        session_bytes_limit: 0,
        login_timeout: 0,
        line_idle_timeout: 0,
        slash_idle_timeout: 0,
        ..settings()
    }
}

fn keeping() -> Settings {
    Settings { journal: true, promises_wait: true, ..open() }
}

/// One whose invariants are looked at when the test says so.
fn large(settings: Settings) -> World {
    let mut world = World::with(settings);
    world.checks = false;
    world
}

/// Connections of a network until one is refused, which is not among them.
fn fills(world: &mut World, from: IpAddr) -> Vec<Client> {
    let mut admitted = Vec::new();
    loop {
        let client = world.connects_from(from, Dialect::Line);
        if world.hears(client) == "ERR server-full\n" {
            let ended = world.ended(client).map(|ended| ended.reason);
            assert_eq!(ended, Some(CloseReason::ServerFull));
            return admitted;
        }
        admitted.push(client);
    }
}

#[test]
fn connections() {
    const LIMIT: usize = 400;
    let mut world = large(Settings { clients_limit: LIMIT, ..open() });
    let greedy = fills(&mut world, GREEDY);
    assert_eq!(greedy.len(), share(LIMIT));
    let modest = fills(&mut world, MODEST);
    assert_eq!(modest.len(), LIMIT / PLACES_SMALL_DIVISOR);
    assert_eq!(world.metrics().shares_refused, 2);
    // An exempt one is held to the total alone.
    let exempt = fills(&mut world, HERE);
    assert_eq!(exempt.len(), LIMIT - greedy.len() - modest.len());
    assert_eq!(world.metrics().shares_refused, 2, "that one was refused by the total");
    world.check();
    for client in greedy.into_iter().chain(modest).chain(exempt) {
        world.vanishes(client);
    }
    world.check();
    assert_eq!(world.engine.connection_count(), 0);
    assert_eq!(fills(&mut world, GREEDY).len(), share(LIMIT));
}

#[test]
fn connections_that_are_being_refused_take_no_place() {
    const LIMIT: usize = 100;
    let mut world = World::with(Settings { clients_limit: LIMIT, ..open() });
    fills(&mut world, GREEDY);
    // They do not read the refusal.
    let connects = |world: &mut World, from| world.tries_to_connect(from, Dialect::Line);
    for _ in 0..REFUSED_MAX {
        let client = connects(&mut world, GREEDY).expect("it is told");
        world.reads_only(client, 0);
    }
    assert_eq!(connects(&mut world, GREEDY), Err(Refused::ServerFull));
    for last in 1..=(LIMIT / PLACES_KEPT_DIVISOR) as u8 {
        let client = connects(&mut world, [10, 0, 0, last].into()).expect("there is a place");
        world.types(client, &format!("LOGIN modest{last}"));
        assert!(world.hears(client).starts_with("OK\n"));
    }
    assert_eq!(connects(&mut world, MODEST), Err(Refused::ServerFull));
}

/// A seat that was kept.
fn kept_seat(room: &str, name: &str, number: u32, is_host: bool) -> Kept {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    let seat = parlance::chat::Seat { name: name.into(), token: Token::from_random(bytes), ip: GREEDY };
    Kept::Seat { room: room.into(), seat, is_host, made: None }
}

#[test]
fn rooms() {
    let mut world = large(open());
    // Restored rooms count for the addresses of their hosts; the lobby counts for none.
    let restored = share(ROOMS_MAX) - 100;
    for number in 0..restored as u32 {
        let kept = kept_seat(&format!("room{number}"), &format!("host{number}"), number, true);
        world.engine.restore(&kept, world.now);
    }
    world.settles();
    world.check();
    let makes = |world: &mut World, from, number| {
        let (room, name) = (format!("new{number}"), format!("person{number}"));
        let token = asks(world, from, Operation::Create, &room, &name)?;
        Ok(Seat { room, token, address: (from, 1).into() })
    };
    let mut made = Vec::new();
    let refusal = loop {
        match makes(&mut world, GREEDY, made.len()) {
            Ok(seat) => made.push(seat),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!((refusal, restored + made.len() + 1), (Refusal::Full, share(ROOMS_MAX)));
    let slash = |world: &mut World, from, name: &str| {
        let client = world.connects_from(from, Dialect::Slash);
        world.types(client, name);
        world.types(client, &format!("/join room-of-{name}"));
        world.hears(client)
    };
    assert!(slash(&mut world, GREEDY, "greedy").ends_with("ERROR: Too many rooms\n"));
    assert!(slash(&mut world, MODEST, "modest").ends_with("You joined #room-of-modest\n"));
    makes(&mut world, MODEST, 999_999).expect("it has a small share");
    assert_eq!((world.metrics().rooms_refused, world.metrics().shares_refused), (2, 2));
    world.check();
    // What it gives up, it can make anew.
    for seat in &made[..5] {
        world.seat_sends_from(seat, seat.address, Message::Leave);
    }
    world.settles();
    let again = (0..6).filter(|number| makes(&mut world, GREEDY, 2_000_000 + number).is_ok()).count();
    assert_eq!(again, 3, "the other network made two");
    world.check();
}

#[test]
fn seats() {
    let mut world = large(open());
    asks(&mut world, HERE, Operation::Create, "den", "host").expect("a seat");
    let restored = share(SEATS_MAX) - 11;
    for number in 0..restored as u32 {
        let kept = kept_seat(&format!("room{}", number / 1000), &format!("name{number}"), number, false);
        world.engine.restore(&kept, world.now);
    }
    world.settles();
    let joins = |world: &mut World, from, name: &str| asks(world, from, Operation::Join, "den", name);
    for number in 0..10 {
        joins(&mut world, GREEDY, &format!("greedy{number}")).expect("a seat");
    }
    assert_eq!(joins(&mut world, GREEDY, "late"), Err(Refusal::Full));
    assert_eq!(world.metrics().shares_refused, 1);
    let token = joins(&mut world, MODEST, "modest").expect("a seat");
    assert_eq!(joins(&mut world, MODEST, "modest"), Ok(token), "it has one already");
    world.check();
    assert_eq!(world.engine.seat_count(), share(SEATS_MAX) + 1);
}

/// Logs a new connection in to an account, which is made if there is none; passes the time that its network
/// has to wait.
fn typed(world: &mut World, from: IpAddr, name: &str) -> (Client, Vec<String>) {
    let client = world.connects_from(from, Dialect::Typed);
    world.asks(client, &Request::LoginName(name));
    world.asks(client, &Request::LoginPassword(Secret(name)));
    let mut replies = world.replies(client);
    while replies.len() < 2 {
        world.seconds_pass(1);
        world.engine.timeout(world.now);
        replies.extend(world.replies(client));
    }
    (client, replies)
}

#[test]
fn accounts() {
    let mut world = large(open());
    let small = ACCOUNTS_MAX / PLACES_SMALL_DIVISOR;
    for number in 0..small {
        let (client, replies) = typed(&mut world, GREEDY, &format!("greedy{number}"));
        assert!(replies[1].starts_with("in: "), "{replies:?}");
        if number > 0 {
            world.vanishes(client);
        }
    }
    let others = share(ACCOUNTS_MAX) - small;
    let password = PasswordHash::new("$2b$12$x").expect("a hash");
    for number in 0..others {
        let kept = Kept::Account {
            name: format!("kept{number}").into(),
            password: password.clone(),
            id: None,
            is_unused: false,
        };
        world.engine.restore(&kept, world.now);
    }
    let full = ["new", "error: there are too many accounts"];
    assert_eq!(typed(&mut world, GREEDY, "late").1, full);
    assert_eq!(world.metrics().shares_refused, 1);
    let (_, replies) = typed(&mut world, MODEST, "modest");
    assert!(replies[1].starts_with("in: "), "{replies:?}");
    world.check();
    // With two accounts fewer, there is a place that is not kept.
    for name in ["greedy0", "greedy1"] {
        let (client, _) = typed(&mut world, GREEDY, name);
        world.gets(client, &Request::DeleteAccount);
    }
    world.check();
    let (_, replies) = typed(&mut world, GREEDY, "late");
    assert!(replies[1].starts_with("in: "), "{replies:?}");
}

#[test]
fn messages_in_mailboxes_are_charged_to_their_networks_until_they_are_deleted() {
    let mut world = World::with(open());
    let (greedy, _) = typed(&mut world, GREEDY, "greedy");
    let (modest, _) = typed(&mut world, MODEST, "modest");
    let line = world.connects_from(GREEDY, Dialect::Line);
    world.types(line, "LOGIN stranger");
    for number in 0..5 {
        world.types(line, &format!("DM modest {number}"));
        assert_eq!(world.gets(greedy, &Request::Send { recipient: "modest", content: "hi" }), [""; 0]);
        assert_eq!(world.gets(modest, &Request::Send { recipient: "greedy", content: "hi" }), [""; 0]);
    }
    // Each deletes an account with what it sent and got; the stranger's messages go with the recipient's.
    world.gets(greedy, &Request::DeleteAccount);
    world.check();
    world.gets(modest, &Request::DeleteAccount);
    world.check();
}

#[test]
fn look_ups() {
    let mut world = large(keeping());
    let asks = |world: &mut World, from, name: &str| {
        let client = world.connects_from(from, Dialect::Slash);
        world.types(client, name);
        world.hears(client);
        world.types(client, "/history 50");
        (client, world.hears(client))
    };
    let busy = "ERROR: Server is busy, try again later\n";
    let mut waiting = Vec::new();
    let answer = loop {
        let (client, answer) = asks(&mut world, GREEDY, &format!("greedy{}", waiting.len()));
        if !answer.is_empty() {
            break answer;
        }
        waiting.push(client);
    };
    assert_eq!((answer.as_str(), waiting.len()), (busy, share(HISTORY_TASKS_MAX)));
    let (modest, answer) = asks(&mut world, MODEST, "modest");
    assert_eq!(answer, "", "it waits");
    world.check();
    // Those that go give their places back, and the other one is answered.
    for client in waiting {
        world.vanishes(client);
    }
    world.hears(modest);
    let task = world.engine.next_past_task().expect("a look-up");
    assert_eq!(task.conn, world.id(modest));
    world.engine.past_read(task.conn, task.serial, Some(&[]), world.now);
    assert_eq!(world.engine.next_past_task(), None);
    let (_, answer) = asks(&mut world, GREEDY, "again");
    assert_eq!(answer, "");
    world.check();
}

#[test]
fn ops_that_wait_for_the_store() {
    let mut world = large(keeping());
    let mut disk = kept::disk();
    let of_chat = STORE_QUEUE_OPS_MAX / STORE_RESERVE_DIVISOR;
    let line = |world: &mut World, from, name: &str| {
        let client = world.connects_from(from, Dialect::Line);
        world.types(client, &format!("LOGIN {name}"));
        assert!(world.hears(client).starts_with("OK\n"));
        client
    };
    let greedy = line(&mut world, GREEDY, "greedy");
    let lines = "MSG x\n".repeat(1000);
    while world.metrics().history_unkept == 0 {
        world.sends(greedy, lines.as_bytes());
        world.settles();
        world.took(greedy);
    }
    assert_eq!(world.engine.waiting_ops().0, share(of_chat));
    let unkept = world.metrics().history_unkept;
    let modest = line(&mut world, MODEST, "modest");
    for _ in 0..100 {
        world.types(modest, "MSG y");
    }
    assert_eq!(world.engine.waiting_ops().0, share(of_chat) + 100);
    assert_eq!(world.metrics().history_unkept, unkept, "all of that is kept");
    world.check();
    disk.keeps_some(&mut world, 1000);
    disk.keeps(&mut world);
    assert_eq!(world.engine.waiting_ops(), (0, 0));
    world.sends(greedy, lines.as_bytes());
    world.settles();
    assert_eq!(world.metrics().history_unkept, unkept);
    world.check();
}

#[test]
fn answers_that_wait_for_the_store() {
    let mut world = large(keeping());
    let mut disk = kept::disk();
    // Behind an acknowledgement, refusals with the name that was asked for fill what one connection may hold.
    let unknown = "x".repeat(LINE_BYTES_MAX);
    let refusals = OUTBOX_BYTES_HIGH / unknown.len();
    let connections = share(HELD_TOTAL_BYTES_MAX).div_ceil(refusals * unknown.len());
    // The accounts are kept, so that logins are answered at once. All log in before anything waits: logins
    // take time, and the store is not to seem to have failed.
    for (from, name) in [(GREEDY, "greedy"), (MODEST, "modest"), (HERE, "exempt")] {
        let client = world.connects_from(from, Dialect::Typed);
        world.asks(client, &Request::LoginName(name));
        world.asks(client, &Request::LoginPassword(Secret(name)));
        world.settles();
        disk.keeps(&mut world);
        world.vanishes(client);
    }
    let logs_in = |world: &mut World, from, name| {
        let (client, replies) = typed(world, from, name);
        assert_eq!(replies, ["known", "in: greedy modest exempt"]);
        client
    };
    let [early, late] = [0; 2].map(|_| logs_in(&mut world, GREEDY, "greedy"));
    let modest = logs_in(&mut world, MODEST, "modest");
    let exempt = logs_in(&mut world, HERE, "exempt");
    // The accounts are used from now on.
    disk.keeps(&mut world);
    let greedy: Vec<_> = (0..connections).map(|_| logs_in(&mut world, GREEDY, "greedy")).collect();
    // One answer is held in any case. The next request is carried out only where the network has a share.
    let sends_two = |world: &mut World, client, keys: [&str; 2]| {
        let before = world.engine.waiting_ops().0;
        for key in keys {
            world.asks(client, &kept::kept(key, "modest"));
        }
        world.settles();
        (world.engine.waiting_ops().0 - before, world.listens_to(client))
    };
    let fills = |world: &mut World, clients: &[Client]| {
        for &client in clients {
            world.asks(client, &kept::kept("", "modest"));
            for _ in 0..refusals {
                world.asks(client, &kept::kept("", &unknown));
            }
        }
        world.settles();
    };
    let most = connections * 3 / 4;
    fills(&mut world, &greedy[..most]);
    assert_eq!(sends_two(&mut world, early, ["0", ""]), (2, true), "there is some left");
    fills(&mut world, &greedy[most..]);
    assert_eq!(sends_two(&mut world, late, ["1", "2"]), (1, false));
    assert_eq!(sends_two(&mut world, modest, ["1", "2"]), (2, true));
    assert_eq!(sends_two(&mut world, exempt, ["1", "2"]), (2, true));
    assert_eq!(world.took(greedy[0]), "", "nothing is answered yet");
    world.check();
    // What is kept, or was for a connection that is gone, is held no more.
    world.vanishes(greedy[1]);
    disk.keeps(&mut world);
    disk.keeps(&mut world);
    for client in [late, modest, exempt] {
        assert_eq!(world.replies(client), ["kept 1 36", "kept 2 36"]);
    }
    assert_eq!(world.replies(greedy[0]).len(), 1 + refusals);
    assert_eq!(sends_two(&mut world, late, ["3", "4"]), (2, true));
    world.check();
}

#[test]
fn of_outboxes_those_with_the_most_are_closed_and_no_one_who_holds_little() {
    // With several shards each has its part, and its own victims.
    let mut world = large(open());
    world.is_spread = false;
    let line = |world: &mut World, from, name: String| {
        let client = world.connects_from(from, Dialect::Line);
        world.types(client, &format!("LOGIN {name}"));
        world.hears(client);
        client
    };
    let sender = line(&mut world, HERE, "sender".into());
    let modest = line(&mut world, MODEST, "modest".into());
    world.reads_only(modest, 0);
    let text = "x".repeat(LINE_BYTES_MAX - 100);
    let tells = |world: &mut World, to: &str, times: usize| {
        for _ in 0..times {
            world.types(sender, &format!("DM {to} {text}"));
            world.settles();
        }
        world.took(sender);
    };
    tells(&mut world, "modest", 20);
    let before = world.held_bytes();
    let mut greedy = Vec::new();
    while greedy.iter().all(|&client| world.ended(client).is_none()) {
        let name = format!("greedy{}", greedy.len());
        greedy.push(line(&mut world, GREEDY, name.clone()));
        world.reads_only(greedy[greedy.len() - 1], 0);
        tells(&mut world, &name, 200);
        assert!(world.held_bytes() <= OUTBOX_TOTAL_BYTES_MAX + before);
    }
    assert_eq!(world.ended(modest), None);
    world.reads_everything(modest);
    assert_eq!(world.hears(modest).matches("DM sender ").count(), 20);
    world.check();
}

#[test]
fn what_was_restored_without_an_address_counts_for_no_network() {
    let mut world = World::with(open());
    let now = world.now;
    let mut engine = Engine::new(open(), HistoryRules::default(), Random::guessable(9));
    let password = PasswordHash::new("$2b$12$x").expect("a hash");
    engine.restore(&Kept::Account { name: "ann".into(), password, id: None, is_unused: false }, now);
    // Its host was given up, and its guest stayed.
    engine.restore(&kept_seat("den", "guest", 1, false), now);
    world.engine = engine;
    world.check();
    assert_eq!(world.engine.seat_count(), 1);
}
