//! Accounts: how many a network makes, what a later owner of a name inherits, and when an unused one goes.

use std::net::IpAddr;

use parlance::chat::{Change, Op, Secret};
use parlance::engine::Settings;
use parlance::limits::{UNUSED_ACCOUNT_DAYS, UNUSED_LOOK_SECONDS, UNUSED_PER_LOOK_MAX};
use parlance::wire::Dialect;
use parlance::wire::typed::Request;

use crate::world::{Client, World, settings};

const DAY: u64 = 24 * 60 * 60;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Asks for an account from an address. The answer to the password.
fn makes(world: &mut World, from: IpAddr, name: &str) -> (Client, String) {
    let client = world.connects_from(from, Dialect::Typed);
    world.asks(client, &Request::LoginName(name));
    world.asks(client, &Request::LoginPassword(Secret(name)));
    let answer = world.replies(client).pop().expect("an answer");
    (client, answer)
}

fn has_made(world: &mut World, from: IpAddr, name: &str) -> bool {
    let (client, answer) = makes(world, from, name);
    world.vanishes(client);
    answer.starts_with("in: ")
}

fn without_timeouts() -> Settings {
    Settings { login_timeout: 0, typed_idle_timeout: 0, journal: true, ..settings() }
}

/// The store keeps the changes so far. Those that are about the use of accounts.
fn keeps(world: &mut World) -> Vec<String> {
    let ops = world.engine.take_ops();
    if let Some(last) = ops.last() {
        let bytes = ops.iter().map(Op::bytes).sum();
        world.engine.committed(last.id, ops.len(), bytes, world.now);
    }
    let name = |change: Change| match change {
        Change::AccountUsed { name, .. } => Some(format!("used {name}")),
        Change::AccountDeleted { name, .. } => Some(format!("deleted {name}")),
        _ => None,
    };
    ops.into_iter().filter_map(|op| name(op.change)).collect()
}

/// Time passes, and everything that was waited for until then is done.
fn time_passes(world: &mut World, seconds: u64) -> Vec<String> {
    let mut uses = keeps(world);
    world.seconds_pass(seconds);
    world.engine.timeout(world.now);
    world.settles();
    uses.extend(keeps(world));
    uses
}

/// Names in a list, without the counts.
fn names(world: &mut World, client: Client) -> String {
    world.gets(client, &Request::ListUsers).concat()
}

#[test]
fn a_network_makes_five_accounts_at_once_and_is_told_when_it_makes_the_next() {
    let mut world = World::with(without_timeouts());
    let here = ip("192.0.2.1");
    let refused = "error: too many new accounts from your address; try again in 8640 seconds";
    for index in 0..5 {
        assert!(has_made(&mut world, here, &format!("ann{index}")));
    }
    let (client, answer) = makes(&mut world, here, "bob");
    assert_eq!(answer, refused);
    // Logging in to those that are there is another matter, and others make theirs.
    assert!(has_made(&mut world, here, "ann3"));
    assert!(has_made(&mut world, ip("192.0.2.2"), "cid"));
    assert!(has_made(&mut world, ip("2001:db8::1"), "dan"));
    time_passes(&mut world, 8640 - 1);
    assert_eq!(
        world.gets(client, &Request::LoginPassword(Secret("bob"))),
        ["error: too many new accounts from your address; try again in 1 seconds"]
    );
    time_passes(&mut world, 1);
    assert!(world.gets(client, &Request::LoginPassword(Secret("bob")))[0].starts_with("in: "));
    assert_eq!(makes(&mut world, here, "eve").1, refused);
    assert_eq!(world.metrics().accounts_refused, 3);
}

#[test]
fn passwords_that_are_hashed_at_once_make_no_more_accounts_than_others() {
    let mut world = World::with(without_timeouts());
    world.compares_at_once = false;
    let clients: Vec<_> = (0..20).map(|_| world.connects_from(ip("192.0.2.1"), Dialect::Typed)).collect();
    for (index, &client) in clients.iter().enumerate() {
        let name = format!("ann{index}");
        world.asks(client, &Request::LoginName(&name));
        world.asks(client, &Request::LoginPassword(Secret("secret")));
    }
    world.settles();
    world.compares_passwords();
    let answers: Vec<_> = clients.iter().filter_map(|&client| world.replies(client).pop()).collect();
    assert_eq!(answers.iter().filter(|answer| answer.starts_with("in: ")).count(), 5, "{answers:?}");
}

#[test]
fn the_networks_around_share_three_times_as_many_and_exempt_ones_make_any_number() {
    for (network, bystander) in [("192.0.2.", "192.0.3.1"), ("2001:db8:1:", "2001:db8:2::1")] {
        let mut world = World::with(without_timeouts());
        let rest = if network.contains(':') { "::1" } else { "" };
        let made = (1..=20).filter(|index| {
            has_made(&mut world, ip(&format!("{network}{index}{rest}")), &format!("ann{index}"))
        });
        assert_eq!(made.count(), 15, "{network}");
        assert!(has_made(&mut world, ip(bystander), "bob"));
    }
    let mut world = World::with(without_timeouts());
    assert_eq!(
        (0..50).filter(|index| has_made(&mut world, ip("127.0.0.1"), &format!("ann{index}"))).count(),
        50
    );
    let mut world = World::with(Settings { address_accounts_limit: 0, ..without_timeouts() });
    assert_eq!(
        (0..50).filter(|index| has_made(&mut world, ip("192.0.2.1"), &format!("ann{index}"))).count(),
        50
    );
}

#[test]
fn the_mail_of_a_stranger_is_not_that_of_a_later_account_of_the_name() {
    let mut world = World::with(without_timeouts());
    let bob = world.mail_user("bob");
    let stranger = world.line("eve");
    world.types(stranger, "DM bob from a stranger");
    world.settles();
    world.vanishes(stranger);
    assert_eq!(names(&mut world, bob), "{bob=0, eve=1}");
    assert_eq!(world.gets(bob, &Request::ListMessages("eve")), ["[eve>bob:from a stranger*]"]);
    let eve = world.mail_user("EVE");
    assert_eq!(names(&mut world, bob), "{bob=0, EVE=0, eve (no account)=1}");
    assert_eq!(world.gets(bob, &Request::ListMessages("eve")), ["[]"], "that is another one");
    assert_eq!(world.gets(eve, &Request::ListMessages("bob")), ["[]"]);
    // Neither reads, nor is counted with, the other.
    assert_eq!(world.gets(eve, &Request::Send { recipient: "bob", content: "from an account" }), [""; 0]);
    world.replies(bob);
    assert_eq!(names(&mut world, bob), "{bob=0, EVE=1, eve (no account)=1}");
    assert_eq!(world.gets(bob, &Request::MarkRead("eve")), [""; 0]);
    assert_eq!(names(&mut world, bob), "{bob=0, EVE=0, eve (no account)=1}");
    assert_eq!(world.gets(bob, &Request::ListMessages("eve")), ["[EVE>bob:from an account]"]);
    let of_the_stranger = Request::ListMessages("Eve (no account)");
    assert_eq!(world.gets(bob, &of_the_stranger), ["[eve>bob:from a stranger*]"]);
    // With the account goes what it sent, and nothing else.
    assert_eq!(world.gets(eve, &Request::DeleteAccount), [""; 0]);
    assert_eq!(names(&mut world, bob), "{bob=0, eve=1}");
    assert_eq!(world.gets(bob, &Request::ListMessages("eve")), ["[eve>bob:from a stranger*]"]);
    // The next one of the name begins with nothing.
    let third = world.mail_user("eve");
    assert_eq!(names(&mut world, third), "{bob=0, eve=0}");
    assert_eq!(world.gets(third, &Request::ListMessages("bob")), ["[]"]);
    assert_eq!(world.gets(bob, &Request::MarkRead("eve (no account)")), [""; 0]);
    assert_eq!(names(&mut world, bob), "{bob=0, eve=0, eve (no account)=0}");
}

#[test]
fn changes_name_accounts_by_the_op_that_made_them() {
    let mut world = World::with(without_timeouts());
    let made = |world: &mut World| {
        let ops = world.engine.take_ops();
        ops.iter().find(|op| matches!(op.change, Change::AccountCreated { .. })).expect("one").id
    };
    let ann = world.mail_user("ann");
    let first = made(&mut world);
    world.mail_user("bob");
    let bob = made(&mut world);
    world.asks(ann, &Request::Send { recipient: "bob", content: "hello" });
    world.asks(ann, &Request::DeleteAccount);
    world.replies(ann);
    let changes: Vec<_> = world.engine.take_ops().into_iter().map(|op| op.change).collect();
    let [Change::MailSent { sender_account, recipient_account, .. }, Change::AccountDeleted { account, .. }] =
        &changes[..]
    else {
        panic!("{changes:?}")
    };
    assert_eq!((*sender_account, *recipient_account, *account), (Some(first), Some(bob), Some(first)));
    world.mail_user("ann");
    assert!(made(&mut world) > bob, "the next one of the name has another id");
}

#[test]
fn an_account_that_is_never_used_again_goes_after_thirty_days_and_others_never() {
    let mut world = World::with(without_timeouts());
    let stays = world.mail_user("stays");
    for name in ["unused", "writes", "returns", "gets"] {
        let client = world.mail_user(name);
        if name == "writes" {
            world.asks(client, &Request::Send { recipient: "gets", content: "too early: nobody is there" });
            world.asks(client, &Request::Send { recipient: "stays", content: "hello" });
        }
        world.replies(client);
        world.vanishes(client);
    }
    let stranger = world.line("stranger");
    world.types(stranger, "DM gets hello");
    world.settles();
    world.vanishes(stranger);
    assert_eq!(keeps(&mut world), [""; 0]);
    for _ in 0..2 {
        let client = world.mail_user("returns");
        world.vanishes(client);
    }
    assert_eq!(keeps(&mut world), ["used returns"], "once, not at each login");
    assert_eq!(time_passes(&mut world, UNUSED_ACCOUNT_DAYS * DAY - 1), [""; 0]);
    assert_eq!(time_passes(&mut world, UNUSED_LOOK_SECONDS), ["deleted unused"]);
    assert_eq!(world.metrics().accounts_expired, 1);
    assert_eq!(time_passes(&mut world, 100 * DAY), [""; 0]);
    assert_eq!(names(&mut world, stays), "{stays=0, writes=1, returns=0, gets=0}");
    // Nothing is left to be looked at.
    world.vanishes(stays);
    assert_eq!(world.engine.next_deadline(), None);
}

#[test]
fn an_account_whose_first_session_lasts_is_used() {
    let mut world = World::with(without_timeouts());
    let ann = world.mail_user("ann");
    assert_eq!(time_passes(&mut world, (UNUSED_ACCOUNT_DAYS + 1) * DAY), ["used ann"]);
    assert_eq!(names(&mut world, ann), "{ann=0}");
}

#[test]
fn a_clock_that_jumps_ahead_deletes_no_account() {
    let mut world = World::with(without_timeouts());
    let ann = world.mail_user("ann");
    world.vanishes(ann);
    let ahead = 400 * DAY * 1000;
    let hours = |world: &mut World, count: u64| -> Vec<String> {
        (0..count).flat_map(|_| time_passes(world, UNUSED_LOOK_SECONDS)).collect()
    };
    time_passes(&mut world, 10 * DAY);
    world.now.unix.0 += ahead;
    assert_eq!(hours(&mut world, 23), [""; 0], "it is wrong for less than a day");
    world.now.unix.0 -= ahead;
    assert_eq!(hours(&mut world, 48), [""; 0]);
    world.now.unix.0 += ahead;
    assert_eq!(hours(&mut world, 26), ["deleted ann"], "one that stays is believed in the end");
}

#[test]
fn of_many_unused_accounts_some_go_each_second() {
    let mut world = World::with(Settings { address_accounts_limit: 0, ..without_timeouts() });
    world.checks = false;
    let count = UNUSED_PER_LOOK_MAX * 2 + 10;
    for index in 0..count {
        assert!(has_made(&mut world, ip("127.0.0.1"), &format!("ann{index}")));
    }
    keeps(&mut world);
    world.seconds_pass((UNUSED_ACCOUNT_DAYS + 1) * DAY);
    for expected in [UNUSED_PER_LOOK_MAX, UNUSED_PER_LOOK_MAX, 10] {
        world.engine.timeout(world.now);
        assert_eq!(keeps(&mut world).len(), expected);
        world.seconds_pass(1);
    }
}
