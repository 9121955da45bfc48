//! Promises: what is answered only when it is kept, what becomes of it when the store fails, and what is back after a
//! restart. The store is one in memory, which commits when the test says so.

use std::collections::{BTreeMap, BTreeSet};

use parlance::chat::{Change, HistoryRule, HistoryRules, Kept, Op, Secret};
use parlance::engine::{Engine, Random, Settings};
use parlance::limits::{
    HISTORY_ON_JOIN_MAX, OUTBOX_BYTES_HIGH, STORE_PATIENCE_SECONDS, STORE_QUEUE_OPS_MAX,
    STORE_RESERVE_DIVISOR,
};
use parlance::store::memory::MemoryStore;
use parlance::store::{Reader, Store};
use parlance::wire::Dialect;
use parlance::wire::tcrp::{Operation, Refusal, encode_request};
use parlance::wire::typed::Request;
use parlance::wire::ucrp::Message;

use crate::dice::Dice;
use crate::seats::answer;
use crate::world::{Client, HERE, World, settings};

/// A store, and the ops on their way to it.
pub(crate) struct Disk {
    pub(crate) store: MemoryStore,
    pub(crate) waiting: Vec<Op>,
}

impl Disk {
    fn new() -> Self {
        Self { store: MemoryStore::new(), waiting: Vec::new() }
    }

    /// Commits everything.
    pub(crate) fn keeps(&mut self, world: &mut World) {
        self.keeps_some(world, usize::MAX);
    }

    /// Commits so many ops.
    pub(crate) fn keeps_some(&mut self, world: &mut World, count: usize) {
        self.waiting.extend(world.engine.take_ops());
        let ops: Vec<_> = self.waiting.drain(..count.min(self.waiting.len())).collect();
        self.store.commit(&ops).expect("memory");
        if let Some(last) = ops.last() {
            world.engine.committed(last.id, ops.len(), ops.iter().map(Op::bytes).sum(), world.now);
            world.check();
        }
        self.looks_up(world);
        world.settles();
    }

    pub(crate) fn looks_up(&mut self, world: &mut World) {
        while let Some(task) = world.engine.next_past_task() {
            let messages = self.store.page(&task.room, task.page, task.count).expect("memory");
            world.engine.past_read(task.conn, task.serial, Some(&messages), world.now);
            world.check();
        }
    }

    pub(crate) fn fails(&mut self, world: &mut World) {
        self.waiting.extend(world.engine.take_ops());
        if self.waiting.is_empty() {
            // With nothing to commit, nothing fails.
            return;
        }
        world.engine.store_failed(world.now);
        world.check();
        world.settles();
    }

    /// A server that starts with what is kept.
    pub(crate) fn restarts(&mut self, rules: &HistoryRules) -> World {
        let mut world = World::with(kept_settings());
        let now = world.now;
        let mut engine = Engine::new(kept_settings(), rules.clone(), Random::guessable(9));
        let last = self.store.load(&mut |kept| engine.restore(&kept, now)).expect("memory");
        if let Some(last) = last {
            engine.restore_last(last);
        }
        let lobby = self.store.history("lobby", None, HISTORY_ON_JOIN_MAX as usize).expect("memory");
        engine.restore_lobby(&lobby);
        world.engine = engine;
        world.check();
        world
    }

    pub(crate) fn kept(&mut self) -> Vec<Kept> {
        let mut all = Vec::new();
        self.store.load(&mut |kept| all.push(kept)).expect("memory");
        all
    }
}

fn kept_settings() -> Settings {
    Settings { journal: true, promises_wait: true, ..settings() }
}

/// An empty store.
pub(crate) fn disk() -> Disk {
    Disk::new()
}

pub(crate) fn world() -> (World, Disk) {
    (World::with(kept_settings()), Disk::new())
}

/// Somebody with an account that is kept.
pub(crate) fn mail_user(world: &mut World, disk: &mut Disk, name: &str) -> Client {
    let client = world.connects(Dialect::Typed);
    world.asks(client, &Request::LoginName(name));
    world.asks(client, &Request::LoginPassword(Secret(name)));
    world.settles();
    disk.keeps(world);
    let replies = world.replies(client);
    assert!(replies.last().is_some_and(|last| last.starts_with("in: ")), "{replies:?}");
    client
}

pub(crate) fn kept<'a>(key: &'a str, recipient: &'a str) -> Request<'a> {
    Request::SendKept { recipient, content: "hi", key }
}

pub(crate) const NOTHING: [&str; 0] = [];
pub(crate) const NOT_KEPT: &str = "error: nothing can be kept at the moment; try again later";

#[test]
fn an_answer_that_promises_waits_and_those_behind_it_do_too() {
    let (mut world, mut disk) = world();
    let alice = mail_user(&mut world, &mut disk, "alice");
    let bob = mail_user(&mut world, &mut disk, "bob");
    world.asks(bob, &Request::Subscribe(true));
    assert_eq!(world.gets(alice, &kept("k1", "bob")), NOTHING);
    assert_eq!(world.gets(alice, &kept("k2", "bob")), NOTHING);
    assert_eq!(world.gets(alice, &Request::ListUsers), NOTHING, "it would overtake them");
    assert_eq!(world.replies(bob), ["alice>bob:hi", "alice>bob:hi"], "live does not wait");
    assert_eq!(world.gets(bob, &Request::ListUsers), ["{alice=2, bob=0}"], "nobody else waits");
    disk.keeps_some(&mut world, 1);
    assert_eq!(world.replies(alice), ["kept k1 36"]);
    disk.keeps(&mut world);
    assert_eq!(world.replies(alice), ["kept k2 36", "{alice=0, bob=0}"]);
    // What is kept already is said at once.
    assert_eq!(world.gets(alice, &kept("k1", "bob")), ["kept k1 36"]);
    assert_eq!(disk.kept().len(), 4, "two accounts, two messages");
}

#[test]
fn an_answer_says_of_requests_without_one_that_they_are_kept() {
    let (mut world, mut disk) = world();
    let alice = mail_user(&mut world, &mut disk, "alice");
    let bob = mail_user(&mut world, &mut disk, "bob");
    world.gets(alice, &kept("k", "bob"));
    disk.keeps(&mut world);
    assert_eq!(world.gets(bob, &Request::MarkRead("alice")), NOTHING);
    assert_eq!(world.gets(bob, &Request::ListUsers), NOTHING);
    disk.keeps(&mut world);
    assert_eq!(world.replies(bob), ["{alice=0, bob=0}"]);
    assert!(matches!(&disk.kept()[2], Kept::Letter(letter) if !letter.unread));
    // Nothing changes: nothing is waited for.
    assert_eq!(world.gets(bob, &Request::MarkRead("alice")), NOTHING);
    assert_eq!(world.gets(bob, &Request::ListUsers), ["{alice=0, bob=0}"]);
}

#[test]
fn an_account_is_there_for_whoever_made_it_when_it_is_kept() {
    let (mut world, mut disk) = world();
    let alice = world.connects(Dialect::Typed);
    world.asks(alice, &Request::LoginName("alice"));
    world.asks(alice, &Request::LoginPassword(Secret("alice")));
    assert_eq!(world.replies(alice), ["new"]);
    // Nor for whoever logs in to it meanwhile.
    let other = world.connects(Dialect::Typed);
    world.asks(other, &Request::LoginName("alice"));
    world.asks(other, &Request::LoginPassword(Secret("alice")));
    assert_eq!(world.replies(other), ["known"]);
    disk.keeps(&mut world);
    assert_eq!(world.replies(alice), ["in: alice"]);
    assert_eq!(world.replies(other), ["in: alice"]);
}

#[test]
fn what_is_refused_when_the_store_fails_is_not_there_later() {
    let (mut world, mut disk) = world();
    let alice = mail_user(&mut world, &mut disk, "alice");
    let bob = mail_user(&mut world, &mut disk, "bob");
    let carol = world.connects(Dialect::Typed);
    world.asks(carol, &Request::LoginName("carol"));
    world.asks(carol, &Request::LoginPassword(Secret("carol")));
    let host = world.connects_from(HERE, Dialect::Tcrp);
    let mut request = Vec::new();
    encode_request("den", Operation::Create, "dave", None, &mut request).expect("short");
    world.sends(host, &request);
    world.asks(alice, &kept("k", "bob"));
    world.asks(alice, &Request::Send { recipient: "bob", content: "without a key" });
    world.asks(alice, &Request::ListUsers);
    world.settles();
    assert_eq!(world.engine.seat_count(), 1);
    disk.fails(&mut world);
    assert_eq!(world.replies(alice), [NOT_KEPT, NOT_KEPT, "{alice=0, bob=0}"]);
    assert_eq!(world.replies(carol), ["new", NOT_KEPT]);
    assert_eq!(answer(&mut world, host), Err(Refusal::Busy));
    assert_eq!(world.engine.seat_count(), 0);
    // What comes now is refused at once, and chat goes on.
    assert_eq!(world.gets(alice, &kept("k", "bob")), [NOT_KEPT]);
    assert_eq!(world.gets(bob, &Request::ListUsers), ["{alice=0, bob=0}"]);
    let [erin, frank] = ["erin", "frank"].map(|name| world.line(name));
    world.types(erin, "MSG hello");
    assert_eq!(world.hears(frank), "MSG erin hello\n");
    assert_eq!(world.metrics().history_unkept, 1);
    // Well again: what is left in the end is what was never refused.
    disk.keeps(&mut world);
    let names = disk.kept().into_iter().map(|kept| match kept {
        Kept::Account { name, .. } => name.to_string(),
        other => format!("{other:?}"),
    });
    assert_eq!(names.collect::<Vec<_>>(), ["alice", "bob"]);
    assert_eq!(world.gets(alice, &kept("k", "bob")), NOTHING);
    disk.keeps(&mut world);
    assert_eq!(world.replies(alice), ["kept k 36"]);
    assert_eq!(world.metrics().promises_broken, 4);
}

#[test]
fn a_direct_message_reaches_who_is_here_even_if_it_cannot_be_kept() {
    let (mut world, mut disk) = world();
    mail_user(&mut world, &mut disk, "bob");
    let carol = mail_user(&mut world, &mut disk, "carol");
    world.closes_its_side(carol);
    let alice = world.line("alice");
    let bob = world.connects(Dialect::Line);
    world.types(bob, "LOGIN bob bob");
    assert_eq!(world.hears(bob), "OK\n");
    world.types(bob, "MSG this cannot be stored");
    assert_eq!(world.hears(alice), "MSG bob this cannot be stored\n");
    disk.fails(&mut world);
    world.types(alice, "DM bob hi");
    world.types(alice, "DM carol hi");
    assert_eq!(world.hears(bob), "DM alice hi\n");
    assert_eq!(world.hears(alice), "ERR not-kept\n");
}

#[test]
fn a_store_that_says_nothing_is_given_up() {
    let (mut world, mut disk) = world();
    let alice = mail_user(&mut world, &mut disk, "alice");
    world.asks(alice, &kept("k", "alice"));
    world.settles();
    world.seconds_pass(STORE_PATIENCE_SECONDS - 1);
    assert_eq!(world.replies(alice), NOTHING);
    let deadline = world.engine.next_deadline().expect("one");
    assert!(deadline <= world.now.monotonic + std::time::Duration::from_secs(1));
    world.seconds_pass(1);
    assert_eq!(world.replies(alice), [NOT_KEPT]);
    // It was only slow.
    disk.keeps(&mut world);
    assert_eq!(disk.kept().len(), 1, "the account; the message was refused");
    assert_eq!(world.gets(alice, &kept("k", "alice")), NOTHING);
    disk.keeps(&mut world);
    assert_eq!(world.replies(alice), ["kept k 36"]);
}

#[test]
fn more_than_the_queue_holds_is_refused_and_history_leaves_space() {
    let (mut world, mut disk) = world();
    world.checks = false;
    let alice = mail_user(&mut world, &mut disk, "alice");
    let talker = world.line("talker");
    let reserve = STORE_QUEUE_OPS_MAX / STORE_RESERVE_DIVISOR;
    let lines = "MSG x\n".repeat(1000);
    for _ in 0..=reserve / 1000 {
        world.sends(talker, lines.as_bytes());
        world.settles();
    }
    let (waiting, bytes) = world.engine.waiting_ops();
    assert_eq!(waiting, reserve);
    assert!(bytes > 0);
    assert!(world.metrics().history_unkept > 0);
    assert_eq!(world.gets(alice, &kept("k", "alice")), NOTHING, "it is taken");
    disk.keeps(&mut world);
    assert_eq!(world.replies(alice), ["kept k 36"]);
    assert_eq!(world.engine.waiting_ops(), (0, 0));
}

#[test]
fn whoever_has_many_answers_waiting_is_not_read_from_until_they_are_told() {
    let (mut world, mut disk) = world();
    let alice = mail_user(&mut world, &mut disk, "alice");
    let mut sent = 0;
    while world.listens_to(alice) {
        let key = format!("{sent:0100}");
        world.asks(alice, &kept(&key, "alice"));
        sent += 1;
        assert!(sent < OUTBOX_BYTES_HIGH, "it has to wait some time");
        world.settles();
    }
    let more = 10;
    for index in 0..more {
        world.asks(alice, &kept(&format!("more {index}"), "alice"));
    }
    assert_eq!(world.replies(alice), NOTHING);
    disk.keeps(&mut world);
    disk.keeps(&mut world);
    assert_eq!(world.replies(alice).len(), sent + more);
}

#[test]
fn a_token_is_told_when_its_seat_is_kept_and_given_up_when_nobody_hears_it() {
    let (mut world, mut disk) = world();
    let mut request = Vec::new();
    encode_request("den", Operation::Create, "alice", None, &mut request).expect("short");
    let gone = world.connects_from(HERE, Dialect::Tcrp);
    world.sends(gone, &request);
    world.settles();
    assert_eq!(world.took(gone), "");
    world.vanishes(gone);
    world.settles();
    assert_eq!(world.engine.seat_count(), 0);
    let host = world.connects_from(HERE, Dialect::Tcrp);
    world.sends(host, &request);
    // It has said all that it has to say, and waits.
    world.settles();
    assert_eq!(world.took(host), "");
    disk.keeps(&mut world);
    let token = answer(&mut world, host).expect("a seat");
    assert!(world.ended(host).is_some());
    let seats: Vec<_> = disk.kept();
    assert!(matches!(&seats[..], [Kept::Seat { seat, is_host: true, .. }] if seat.token == token));
}

#[test]
fn who_closes_its_side_or_is_there_at_the_end_still_hears_what_is_kept() {
    let (mut world, mut disk) = world();
    let alice = mail_user(&mut world, &mut disk, "alice");
    let bob = mail_user(&mut world, &mut disk, "bob");
    world.asks(alice, &kept("k", "bob"));
    world.closes_its_side(alice);
    world.asks(bob, &kept("k", "alice"));
    world.settles();
    world.engine.shutdown(world.now);
    world.settles();
    assert!(world.ended(alice).is_none() && world.ended(bob).is_none());
    disk.keeps(&mut world);
    assert_eq!(world.replies(alice), ["kept k 36"]);
    assert_eq!(world.replies(bob), ["kept k 36"]);
    assert!(world.ended(alice).is_some() && world.ended(bob).is_some());
}

#[test]
fn what_was_kept_is_back_and_a_token_goes_on_talking() {
    let (mut world, mut disk) = world();
    let alice = mail_user(&mut world, &mut disk, "alice");
    mail_user(&mut world, &mut disk, "bob");
    world.asks(alice, &kept("k", "bob"));
    let mut seats = Vec::new();
    for (operation, name, port) in [(Operation::Create, "host", 1), (Operation::Join, "guest", 2)] {
        let client = world.connects_from(HERE, Dialect::Tcrp);
        let mut request = Vec::new();
        encode_request("den", operation, name, None, &mut request).expect("short");
        world.sends(client, &request);
        world.settles();
        disk.keeps(&mut world);
        let token = answer(&mut world, client).expect("a seat");
        let address = std::net::SocketAddr::new(HERE, port);
        seats.push(crate::seats::Seat { room: "den".to_owned(), token, address });
    }
    let talker = world.line("talker");
    world.types(talker, "MSG before");
    world.settles();
    disk.keeps(&mut world);

    let rules = HistoryRules {
        default: HistoryRule { on_join: 5, ..HistoryRule::default() },
        ..HistoryRules::default()
    };
    let mut world = disk.restarts(&rules);
    let bob = world.connects(Dialect::Typed);
    world.asks(bob, &Request::LoginName("bob"));
    world.asks(bob, &Request::LoginPassword(Secret("bob")));
    assert_eq!(world.replies(bob), ["known", "in: alice bob"]);
    assert_eq!(world.gets(bob, &Request::ListUsers), ["{alice=1, bob=0}"]);
    let [host, guest] = &seats[..] else { panic!() };
    world.seat_sends(host, Message::Chat("still here"));
    assert_eq!(world.seat_hears(2), NOTHING, "it has to say where it is");
    world.seat_sends(guest, Message::Register);
    world.seat_sends(host, Message::Chat("hi"));
    assert_eq!(world.seat_hears(2), ["host: hi"]);
    let carol = world.connects(Dialect::Line);
    world.types(carol, "LOGIN carol");
    assert_eq!(world.hears(carol), "OK\nMSG talker before\n");
    // The host is the host.
    world.seat_sends(host, Message::Leave);
    assert_eq!(world.seat_hears(2), ["closed"]);
}

#[test]
fn a_rooms_past_is_looked_up_where_memory_does_not_have_it() {
    let (mut world, mut disk) = world();
    let alice = world.slash("alice");
    world.types(alice, "/join den");
    for index in 0..1500 {
        world.types(alice, &format!("message number {index} of many, long enough to fill memory"));
    }
    world.hears(alice);
    disk.keeps(&mut world);
    world.types(alice, "/history 1000");
    world.types(alice, "/users");
    assert_eq!(world.hears(alice), "", "it is being looked up");
    disk.keeps(&mut world);
    let heard = world.hears(alice);
    assert!(heard.contains("message number 500 of") && heard.contains("message number 1499 of"));
    assert!(!heard.contains("message number 499 of"));
    assert!(
        heard.ends_with("Users in #den:\n  alice (you)\n"),
        "and then comes what was asked for behind it"
    );
    // The last ones are in memory.
    world.types(alice, "/history 2");
    assert_eq!(world.hears(alice).lines().count(), 2);

    let rules = HistoryRules {
        default: HistoryRule { on_join: 2, ..HistoryRule::default() },
        ..HistoryRules::default()
    };
    let mut world = disk.restarts(&rules);
    let bob = world.slash("bob");
    world.types(bob, "/join den");
    world.types(bob, "/users");
    assert_eq!(world.hears(bob), "");
    disk.keeps(&mut world);
    let heard = world.hears(bob);
    let lines: Vec<_> = heard.lines().collect();
    assert_eq!(lines[0], "You joined #den");
    assert!(lines[1].contains("number 1498 ") && lines[2].contains("number 1499 "), "{heard}");
    assert_eq!(lines[3..], ["Users in #den:", "  bob (you)"]);
    // The next one need not wait.
    let carol = world.slash("carol");
    world.types(carol, "/join den");
    assert_eq!(world.hears(carol).lines().count(), 3);
    // Whoever waits for it when the store is gone comes in all the same.
    world.types(carol, "hi");
    world.hears(carol);
    world.types(carol, "/join elsewhere");
    disk.fails(&mut world);
    assert_eq!(world.hears(carol), "You joined #elsewhere\n");
}

#[test]
fn history_goes_back_page_by_page_and_around_a_message() {
    let (mut world, mut disk) = world();
    let alice = world.slash("alice");
    let lines = |numbers: std::ops::Range<usize>| -> String {
        numbers.map(|number| format!("[12:34:56] alice: {number}\n")).collect()
    };
    for number in 0..100 {
        world.types(alice, &number.to_string());
    }
    disk.keeps(&mut world);
    world.hears(alice);
    let mut asks = |world: &mut World, text: &str| {
        world.types(alice, text);
        disk.keeps(world);
        world.hears(alice)
    };
    assert_eq!(asks(&mut world, "/history before 3"), lines(97..100), "nothing was shown before");
    assert_eq!(asks(&mut world, "/history"), lines(80..100));
    assert_eq!(asks(&mut world, "/history before"), lines(60..80));
    assert_eq!(asks(&mut world, "/history before 50"), lines(10..60));
    assert_eq!(asks(&mut world, "/history before"), lines(0..10));
    assert_eq!(asks(&mut world, "/history before"), "ERROR: No messages there\n");
    assert_eq!(asks(&mut world, "/history 2"), lines(98..100), "from memory");
    assert_eq!(asks(&mut world, "/history before 2"), lines(96..98));

    let all = disk.store.history("lobby", None, 100).expect("memory");
    let id = all[50].id;
    let mut asks = |world: &mut World, text: &str| {
        world.types(alice, text);
        disk.keeps(world);
        world.hears(alice)
    };
    assert_eq!(asks(&mut world, &format!("/history after {id} 3")), lines(51..54));
    assert_eq!(asks(&mut world, &format!("/history before {id} 3")), lines(47..50));
    assert_eq!(asks(&mut world, &format!("/history around {id} 4")), lines(48..52));
    assert_eq!(asks(&mut world, &format!("/history around {id}")), lines(40..60));
    let unknown = parlance::chat::OpId::new(parlance::chat::UnixMillis(1), 2, 3);
    assert_eq!(asks(&mut world, &format!("/history after {unknown}")), "ERROR: No messages there\n");
    for wrong in ["after", "around 3", "before x", "before 3 4", "sideways", "3 4"] {
        assert!(asks(&mut world, &format!("/history {wrong}")).starts_with("ERROR: Usage"), "{wrong}");
    }
}

#[test]
fn the_day_is_told_of_messages_of_other_days() {
    let (mut world, mut disk) = world();
    let alice = world.slash("alice");
    world.types(alice, "one");
    world.hears(alice);
    disk.keeps(&mut world);
    world.types(alice, "/history");
    disk.keeps(&mut world);
    assert_eq!(world.hears(alice), "[12:34:56] alice: one\n", "all of it is of today");
    world.now.unix.0 += 86_400_000;
    let [before, today] = ["*** 1970-01-01\n", "*** 1970-01-02\n"];
    world.types(alice, "/history");
    disk.keeps(&mut world);
    assert_eq!(world.hears(alice), format!("{before}[12:34:56] alice: one\n{today}"));
    world.types(alice, "two");
    disk.keeps(&mut world);
    world.hears(alice);
    let both = format!("{before}[12:34:56] alice: one\n{today}[12:34:56] alice: two\n");
    world.types(alice, "/history");
    disk.keeps(&mut world);
    assert_eq!(world.hears(alice), both);
    world.types(alice, "/history 1");
    assert_eq!(world.hears(alice), "[12:34:56] alice: two\n", "from memory");

    // The same from the store, and on the way into a room.
    let now = world.now;
    let rule = HistoryRule { on_join: 9, ..HistoryRule::default() };
    let mut world = disk.restarts(&HistoryRules { default: rule, ..HistoryRules::default() });
    world.now = now;
    let bob = world.connects(Dialect::Slash);
    world.types(bob, "bobby");
    disk.keeps(&mut world);
    let heard = world.hears(bob);
    assert!(heard.contains(&both), "{heard}");
    let line = world.connects(Dialect::Line);
    world.types(line, "LOGIN carol");
    disk.keeps(&mut world);
    assert_eq!(world.hears(line), "OK\nMSG alice one\nMSG alice two\n", "no time, and so no day");
}

#[test]
fn nothing_is_kept_of_a_room_whose_rule_says_so() {
    let (_, mut disk) = world();
    let none = HistoryRule { keep_messages: 0, ..HistoryRule::default() };
    let rules = HistoryRules { default: none, ..HistoryRules::default() };
    let mut world = disk.restarts(&rules);
    let alice = world.slash("alice");
    world.types(alice, "hello");
    world.types(alice, "/history");
    assert_eq!(world.hears(alice), "[12:34:56] alice: hello\n");
    assert_eq!(world.engine.take_ops(), []);
}

/// Random people send, read, delete and shake hands while the store commits when it likes, and fails. In the end all that
/// was acknowledged is in the store once, and nothing that was refused.
#[test]
fn in_the_end_the_store_has_what_was_acknowledged_and_nothing_that_was_refused() {
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let (mut world, mut disk) = world();
        let names = ["alice", "bob", "carol"];
        let mut clients = names.map(|name| mail_user(&mut world, &mut disk, name));
        let mut acknowledged = BTreeSet::new();
        let mut refused = BTreeSet::new();
        // What each waits to hear of, oldest first.
        let mut asked: [Vec<String>; 3] = Default::default();
        for step in 0..300 {
            let who = dice.below(names.len());
            let mut has_failed = false;
            match dice.below(12) {
                0..6 => {
                    let key = format!("{who} {step}");
                    world.asks(clients[who], &kept(&key, names[dice.below(names.len())]));
                    asked[who].push(key);
                }
                6 => world.asks(clients[who], &Request::MarkRead(names[dice.below(names.len())])),
                7 => disk.keeps_some(&mut world, dice.below(5)),
                8 => disk.keeps(&mut world),
                9 if dice.below(4) == 0 => {
                    disk.fails(&mut world);
                    has_failed = true;
                }
                10 if dice.below(10) == 0 => {
                    world.vanishes(clients[who]);
                    // It will never hear what became of what it asked for.
                    asked[who].clear();
                    disk.keeps(&mut world);
                    clients[who] = mail_user(&mut world, &mut disk, names[who]);
                }
                _ => world.settles(),
            }
            for (client, asked) in clients.iter().zip(&mut asked) {
                for reply in world.replies(*client) {
                    if let Some(rest) = reply.strip_prefix("kept ") {
                        let key = rest.rsplit_once(' ').expect("an id").0.to_owned();
                        assert_eq!(asked.remove(0), key, "in order, seed {seed}");
                        acknowledged.insert(key);
                    } else {
                        // Marks of what was read are not undone, and are done later.
                        assert!(reply == NOT_KEPT || reply == "error: busy; try again later", "{reply}");
                        has_failed = true;
                    }
                }
            }
            if has_failed {
                refused.extend(asked.iter_mut().flat_map(std::mem::take));
            }
        }
        disk.keeps(&mut world);
        for (client, asked) in clients.iter().zip(&mut asked) {
            acknowledged.extend(asked.drain(..));
            world.replies(*client);
        }
        let mut stored: BTreeMap<String, usize> = BTreeMap::new();
        for kept in disk.kept() {
            if let Kept::Letter(letter) = kept {
                *stored.entry(letter.key.expect("all have one").to_string()).or_default() += 1;
            }
        }
        for key in &acknowledged {
            assert_eq!(stored.get(key), Some(&1), "{key} seed {seed}");
        }
        assert!(stored.values().all(|&count| count == 1), "seed {seed}");
        for key in &refused {
            assert_eq!(stored.get(key), None, "{key} seed {seed}");
        }
        assert!(acknowledged.len() > 20, "seed {seed}: {}", acknowledged.len());
        // And the engine has the same as the store.
        let mut again = disk.restarts(&HistoryRules::default());
        for (who, name) in names.iter().enumerate() {
            let list = world.gets(clients[who], &Request::ListUsers);
            let restored = again.connects(Dialect::Typed);
            again.asks(restored, &Request::LoginName(name));
            again.asks(restored, &Request::LoginPassword(Secret(name)));
            again.replies(restored);
            assert_eq!(again.gets(restored, &Request::ListUsers), list, "seed {seed}");
        }
    }
}

#[test]
fn ops_of_the_dialects_without_promises_are_stored_as_well() {
    let (mut world, mut disk) = world();
    mail_user(&mut world, &mut disk, "bob");
    let alice = world.slash("alice");
    world.types(alice, "/msg bob hi");
    assert!(world.hears(alice).contains("[Private to bob]: hi"), "nobody promised anything");
    let changes: Vec<_> = world.engine.take_ops().into_iter().map(|op| op.change).collect();
    assert!(matches!(&changes[..], [Change::MailSent { sender_has_account: false, .. }]), "{changes:?}");
}
