//! A member that does not read: it skips and is told how many messages it missed, or it is closed. Others never notice.

use parlance::chat::CloseReason;
use parlance::engine::Settings;
use parlance::fanout::{Close, LagPolicies, LagPolicy};
use parlance::limits::LOG_BYTES_LIMIT_MIN;
use parlance::wire::Dialect;
use parlance::wire::ucrp::Message;

use crate::pace::shown;
use crate::world::{Client, Ended, World, settings, shards};

/// A message of about a thousand bytes.
fn long(number: usize) -> String {
    format!("{number} {}", "x".repeat(990))
}

/// So many messages of a thousand bytes; the readers among the others keep up.
fn says(world: &mut World, client: Client, numbers: std::ops::Range<usize>) {
    for number in numbers {
        world.types(client, &format!("MSG {}", long(number)));
        world.turn();
    }
}

/// Checks that a line user saw the messages from alice of a range, in order, but for gaps of which it was told; returns
/// how many those were.
fn gaps(heard: &str, numbers: std::ops::Range<usize>) -> usize {
    let mut next = numbers.start;
    let mut gaps = 0;
    for line in heard.lines() {
        if let Some(missed) =
            line.strip_prefix("INFO ").and_then(|rest| rest.strip_suffix(" messages missed"))
        {
            next += missed.parse::<usize>().expect("a number");
            gaps += 1;
        } else {
            assert_eq!(line, format!("MSG alice {}", long(next)), "after {gaps} gaps");
            next += 1;
        }
    }
    assert_eq!(next, numbers.end);
    gaps
}

fn one_gap(heard: &str, numbers: std::ops::Range<usize>) {
    assert_eq!(gaps(heard, numbers), 1);
}

#[test]
fn who_never_reads_skips_and_is_told_how_many_it_missed_and_the_others_get_everything() {
    for cut in [0, 1, 500, 1003, 1004, 2500] {
        let mut world = World::new();
        let [alice, bob, slow] = ["alice", "bob", "slow"].map(|name| world.line(name));
        let carol = world.slash("carol");
        world.reads_only(slow, cut);
        says(&mut world, alice, 0..100);
        assert_eq!(world.metrics().lagged, 1, "once at this length");
        let everything: Vec<_> = (0..100).map(|number| format!("MSG alice {}", long(number))).collect();
        assert_eq!(world.hears(bob).lines().collect::<Vec<_>>(), everything);
        assert_eq!(world.hears(carol).lines().count(), 100);
        world.reads_everything(slow);
        let heard = world.hears(slow);
        one_gap(&heard, 0..100);
        let told = 100 - heard.lines().filter(|line| line.starts_with("MSG")).count();
        assert_eq!(world.metrics().missed, told as u64);
    }
}

#[test]
fn who_is_lagged_several_times_is_told_once_with_the_sum() {
    for cut in [0, 1, 1003, 1004, 5000] {
        let mut world = World::new();
        let [alice, slow] = ["alice", "slow"].map(|name| world.line(name));
        world.reads_only(slow, cut);
        says(&mut world, alice, 0..1000);
        assert!(world.metrics().lagged > 5);
        world.reads_everything(slow);
        one_gap(&world.hears(slow), 0..1000);
    }
}

#[test]
fn a_notice_of_which_a_part_is_sent_is_finished_and_what_is_missed_then_gets_another() {
    let notice = "INFO 64 messages missed\n".len();
    for sent in 0..=notice {
        let mut world = World::new();
        let [alice, slow] = ["alice", "slow"].map(|name| world.line(name));
        world.reads_only(slow, 0);
        says(&mut world, alice, 0..100);
        world.reads(slow, sent);
        says(&mut world, alice, 100..300);
        world.reads_everything(slow);
        let heard = world.hears(slow);
        assert!(heard.starts_with("INFO "));
        assert_eq!(gaps(&heard, 0..300), if sent == 0 { 1 } else { 2 }, "{sent} bytes of it were sent");
    }
}

#[test]
fn own_messages_are_not_counted_as_missed() {
    let mut world = World::new();
    let [alice, slow] = ["alice", "slow"].map(|name| world.line(name));
    world.reads_only(slow, 0);
    for number in 0..300 {
        world.types(alice, &format!("MSG {}", long(number)));
        world.types(slow, "MSG mine");
        world.turn();
    }
    world.reads_everything(slow);
    one_gap(&world.hears(slow), 0..300);
}

#[test]
fn two_gaps_with_something_between_are_two_notices_in_their_places() {
    let mut world = World::new();
    let [alice, slow] = ["alice", "slow"].map(|name| world.line(name));
    world.reads_only(slow, 0);
    says(&mut world, alice, 0..100);
    world.types(alice, "DM slow psst");
    says(&mut world, alice, 100..200);
    world.reads_everything(slow);
    let heard = world.hears(slow);
    let (first, rest) = heard.split_once(" messages missed\n").expect("a notice");
    let (between, rest) = rest.split_once("DM alice psst\n").expect("the direct message");
    assert_eq!(between, "", "what follows the first gap fell into the second");
    let first: usize = first.strip_prefix("INFO ").and_then(|n| n.parse().ok()).expect("a number");
    one_gap(rest, first..200);
}

#[test]
fn a_slash_user_is_told_too() {
    let mut world = World::new();
    let alice = world.line("alice");
    let carol = world.slash("carol");
    world.reads_only(carol, 100);
    says(&mut world, alice, 0..200);
    world.reads_everything(carol);
    let heard = world.hears(carol);
    let mut lines = heard.lines();
    assert_eq!(lines.next(), Some(&*format!("[12:34:56] alice: {}", long(0))), "what was begun is finished");
    let notice = lines.next().expect("a notice");
    let missed = notice.strip_prefix("*** ").and_then(|rest| rest.strip_suffix(" messages missed"));
    let missed: usize = missed.and_then(|missed| missed.parse().ok()).expect(notice);
    assert_eq!(lines.clone().count(), 199 - missed);
    for (line, number) in lines.zip(1 + missed..) {
        assert_eq!(line, format!("[12:34:56] alice: {}", long(number)));
    }
}

#[test]
fn by_policy_who_never_reads_is_closed_and_told_why() {
    for reads_in_time in [true, false] {
        let lag = LagPolicies::all(LagPolicy::Close);
        let mut world = World::with(Settings { lag, ..settings() });
        let [alice, bob, slow] = ["alice", "bob", "slow"].map(|name| world.line(name));
        world.reads_only(slow, 1);
        says(&mut world, alice, 0..100);
        let heard = world.hears(bob);
        assert_eq!(heard.lines().filter(|line| line.starts_with("MSG")).count(), 100);
        assert!(heard.contains("INFO slow disconnected\n"));
        if reads_in_time {
            world.reads_everything(slow);
            assert_eq!(world.hears(slow), format!("MSG alice {}\nERR too-slow\n", long(0)));
        } else {
            world.seconds_pass(4);
            assert_eq!(world.hears(slow), "M");
        }
        let close = if reads_in_time { Close::Linger } else { Close::Now };
        let lagged = Ended { close: Some(close), reason: CloseReason::Lagged };
        assert_eq!(world.ended(slow), Some(lagged));
        assert_eq!(world.metrics().closed_for(CloseReason::Lagged), 1);
    }
}

#[test]
fn each_dialect_has_its_policy_and_says_it_in_its_own_words() {
    let closes = [Dialect::Line, Dialect::Slash, Dialect::Gob];
    for closed in closes {
        let mut lag = LagPolicies::all(LagPolicy::Skip);
        lag.set(closed, LagPolicy::Close);
        let mut world = World::with(Settings { lag, ..settings() });
        let alice = world.line("alice");
        let slow = [world.line("slow1"), world.slash("slow2"), world.gob("slow3")];
        for client in slow {
            world.hears(client);
            world.reads_only(client, 0);
        }
        says(&mut world, alice, 0..100);
        assert_eq!(world.metrics().lagged, 3);
        for (client, dialect) in slow.into_iter().zip(closes) {
            world.reads_everything(client);
            world.settles();
            let bytes = world.took_bytes(client);
            let heard = match dialect {
                Dialect::Gob => shown(&bytes).join("\n"),
                _ => String::from_utf8(bytes).expect("text"),
            };
            let words = |dialect| match dialect {
                Dialect::Line => ["ERR too-slow\n", "INFO "],
                Dialect::Slash => ["ERROR: Too slow\n", "*** "],
                _ => ["server: too slow", "server: "],
            };
            let [too_slow, notice] = words(dialect);
            if dialect == closed {
                assert!(heard.ends_with(too_slow), "{dialect:?}: {heard}");
                assert_eq!(world.ended(client).map(|ended| ended.reason), Some(CloseReason::Lagged));
            } else {
                let is_told = |line: &str| line.starts_with(notice) && line.ends_with(" messages missed");
                assert_eq!(heard.lines().filter(|line| is_told(line)).count(), 1, "{dialect:?}: {heard}");
                assert!(world.ended(client).is_none());
            }
        }
        assert_eq!(world.metrics().closed_for(CloseReason::Lagged), 1);
    }
}

#[test]
fn any_number_of_members_that_never_read_cost_one_log() {
    let mut world = World::new();
    let alice = world.line("alice");
    for index in 0..40 {
        let slow = world.line(&format!("slow{index}"));
        world.reads_only(slow, index * 100);
    }
    for number in 0..300 {
        says(&mut world, alice, number..number + 1);
        // The log, on each shard, and for each of the forty the rest of a frame and a notice.
        assert!(world.held_bytes() <= shards() * LOG_BYTES_LIMIT_MIN + 40 * 1100, "after {number}");
    }
}

#[test]
fn who_stands_still_costs_a_round_no_visit() {
    const READERS: usize = 1000;
    const STALLED: usize = READERS;
    const TURNS: usize = 100;
    let mut world = World::new();
    world.checks = false;
    let author = world.line("alice");
    // In between each other, as they come.
    let mut clients = Vec::new();
    for index in 0..READERS {
        clients.push(world.line(&format!("reader{index}")));
        let stalled = world.line(&format!("stalled{index}"));
        world.reads_only(stalled, 1);
        clients.push(stalled);
    }
    let turn = |world: &mut World, number: usize| {
        let visits = world.metrics().visits;
        world.types(author, &format!("MSG {}", long(number)));
        let written: Vec<_> = std::iter::from_fn(|| world.visit()).collect();
        world.turn();
        (world.metrics().visits - visits, written.len())
    };
    // The first round finds that they take no more, and the second that they have not been writable since.
    assert_eq!(turn(&mut world, 0), ((READERS + STALLED) as u64, READERS + STALLED));
    assert_eq!(turn(&mut world, 1), ((READERS + STALLED) as u64, READERS));
    for number in 2..TURNS {
        assert_eq!(turn(&mut world, number), (READERS as u64, READERS), "turn {number}");
    }
    assert!(world.metrics().lagged as usize >= STALLED, "they lag meanwhile, and cost no more for it");
    world.check();
    // Whoever reads again is visited again.
    for &client in clients.iter().skip(1).step_by(2) {
        world.reads_everything(client);
    }
    world.settles();
    world.check();
    assert_eq!(turn(&mut world, TURNS), ((READERS + STALLED) as u64, READERS + STALLED));
    for &client in clients.iter().skip(1).step_by(2) {
        one_gap(&world.hears(client), 0..TURNS + 1);
    }
}

#[test]
fn what_everybody_has_read_is_given_back() {
    let mut world = World::new();
    let [alice, slow] = ["alice", "slow"].map(|name| world.line(name));
    let carol = world.slash("carol");
    world.reads_only(slow, 0);
    says(&mut world, alice, 0..50);
    assert!(world.held_bytes() >= 50_000);
    world.reads_everything(slow);
    world.settles();
    assert_eq!(world.held_bytes(), 0);
    world.hears(carol);
}

#[test]
fn what_only_one_who_left_had_not_read_is_given_back() {
    let leavings: [fn(&mut World, Client); 2] =
        [World::vanishes, |world, carol| world.types(carol, "/join games")];
    for leaves in leavings {
        let mut world = World::new();
        let alice = world.line("alice");
        let carol = world.slash("carol");
        world.reads_only(carol, 0);
        says(&mut world, alice, 0..50);
        leaves(&mut world, carol);
        world.reads_everything(carol);
        world.settles();
        assert_eq!(world.held_bytes(), 0);
    }
}

#[test]
fn what_only_one_who_is_closed_for_it_had_not_read_is_given_back() {
    let mut world = World::with(Settings { lag: LagPolicies::all(LagPolicy::Close), ..settings() });
    // Nobody else hears that it leaves: in datagrams there are no words for that.
    let seat = world.guest("lobby", "seat", 1);
    let slow = world.line("slow");
    world.reads_only(slow, 0);
    let mut number = 0;
    while world.metrics().lagged == 0 {
        world.seat_sends(&seat, Message::Chat(&long(number)));
        world.turn();
        number += 1;
        assert!(number < 200);
    }
    world.vanishes(slow);
    world.settles();
    assert_eq!(world.held_bytes(), 0, "nobody reads the log of its dialect any more");
}

#[test]
fn the_last_one_to_leave_leaves_nothing_behind() {
    let mut world = World::new();
    let [alice, bob] = ["alice", "bob"].map(|name| world.line(name));
    world.reads_only(bob, 0);
    says(&mut world, alice, 0..50);
    world.vanishes(alice);
    world.settles();
    world.vanishes(bob);
    world.settles();
    assert_eq!((world.held_bytes(), world.engine.connection_count()), (0, 0));
}
