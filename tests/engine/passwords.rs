//! Passwords: guesses at one name and at many, what the owner of an attacked name notices, and logins of one
//! address that hold up none of another.

use std::time::Duration;

use parlance::chat::{CloseReason, Secret};
use parlance::engine::Settings;
use parlance::limits::{
    ATTEMPTS_OF_NAME_MAX, ATTEMPTS_WAIT_SECONDS_MAX, PASSWORD_DELAYED_OF_NETWORK_MAX,
    PASSWORD_HASHES_PER_SECOND, PASSWORD_WRONG_HASHES,
};
use parlance::wire::Dialect;
use parlance::wire::typed::Request;

use crate::kept;
use crate::world::{Client, ELSEWHERE, World, settings};

const BUSY: [&str; 2] = ["known", "error: busy; try again later"];

/// One whose clients have all the time to log in.
fn patient() -> World {
    World::with(Settings { login_timeout: 0, ..settings() })
}

fn asks(world: &mut World, client: Client, name: &str, password: &str) {
    world.asks(client, &Request::LoginName(name));
    world.asks(client, &Request::LoginPassword(Secret(password)));
}

fn is_in(world: &mut World, client: Client) -> bool {
    world.replies(client).last().is_some_and(|last| last.starts_with("in: "))
}

/// Sends `count` wrong passwords for a name, five from each network.
fn guesses(world: &mut World, name: &str, count: u32) {
    for first in (0..count).step_by(5) {
        let [.., high, low] = first.to_be_bytes();
        let thief = world.connects_from([10, 1, high, low].into(), Dialect::Typed);
        for _ in 0..(count - first).min(5) {
            asks(world, thief, name, "guess");
            assert_eq!(world.replies(thief), ["known", "failed"]);
        }
    }
}

/// Goes to the engine's next deadline. Returns for how long.
fn waits(world: &mut World) -> Duration {
    let until = world.engine.next_deadline().expect("something has its time");
    let wait = until.saturating_sub(world.now.monotonic);
    world.now.monotonic = until;
    wait
}

#[test]
fn an_owner_logs_in_at_once_from_where_it_did_before_and_elsewhere_within_half_a_minute() {
    let mut world = patient();
    world.mail_user("alice");
    guesses(&mut world, "alice", ATTEMPTS_OF_NAME_MAX);
    let mut seconds = Vec::new();
    for number in 0..8 {
        let home = world.connects(Dialect::Typed);
        asks(&mut world, home, "alice", "alice");
        assert!(is_in(&mut world, home), "known from before");

        let away = world.connects_from([10, 2, 0, number].into(), Dialect::Typed);
        asks(&mut world, away, "alice", "alice");
        assert_eq!(world.replies(away), ["known"]);
        seconds.push(waits(&mut world).as_secs());
        assert!(is_in(&mut world, away));
        let again = world.connects_from([10, 2, 0, number].into(), Dialect::Typed);
        asks(&mut world, again, "alice", "alice");
        assert!(is_in(&mut world, again), "known by now");

        let thief = world.connects_from([10, 3, 0, number].into(), Dialect::Typed);
        asks(&mut world, thief, "alice", "guess");
        assert_eq!(world.replies(thief), ["known"]);
        waits(&mut world);
        assert_eq!(world.replies(thief), ["failed"]);
    }
    assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30, ATTEMPTS_WAIT_SECONDS_MAX]);
    let metrics = world.metrics();
    assert_eq!((metrics.attempts_delayed, metrics.attempts_refused), (16, 0));
}

#[test]
fn an_attack_on_one_name_delays_no_other() {
    let mut world = patient();
    world.mail_user("alice");
    world.mail_user("bob");
    guesses(&mut world, "alice", ATTEMPTS_OF_NAME_MAX);
    let bob = world.connects_from(ELSEWHERE, Dialect::Line);
    world.types(bob, "LOGIN bob bob");
    assert_eq!(world.hears(bob), "OK\n");
}

#[test]
fn a_peer_that_goes_while_its_password_waits_frees_its_place() {
    let mut world = patient();
    world.mail_user("alice");
    guesses(&mut world, "alice", ATTEMPTS_OF_NAME_MAX);
    let waits = |world: &mut World| {
        let client = world.connects_from([10, 2, 0, 1].into(), Dialect::Typed);
        asks(world, client, "alice", "guess");
        (client, world.replies(client))
    };
    let waiting: Vec<_> = (0..PASSWORD_DELAYED_OF_NETWORK_MAX).map(|_| waits(&mut world)).collect();
    assert!(waiting.iter().all(|(_, replies)| *replies == ["known"]));
    assert_eq!(waits(&mut world).1, BUSY);
    let other = world.connects_from([10, 2, 0, 2].into(), Dialect::Typed);
    asks(&mut world, other, "alice", "alice");
    assert_eq!(world.replies(other), ["known"], "another network has its own places");

    world.vanishes(waiting[0].0);
    assert_eq!(waits(&mut world).1, ["known"]);
    assert_eq!(waits(&mut world).1, BUSY);
    let reset = world.id(waiting[1].0);
    world.engine.peer_reset(reset, world.now);
    world.settles();
    assert_eq!(world.ended(waiting[1].0).map(|ended| ended.reason), Some(CloseReason::PeerReset));
    assert_eq!(waits(&mut world).1, ["known"]);
    assert_eq!(waits(&mut world).1, BUSY);
}

#[test]
fn a_reset_ends_no_connection_whose_words_are_still_to_be_read() {
    let mut world = World::new();
    let alice = world.line("alice");
    let id = world.id(alice);
    world.engine.peer_reset(id, world.now);
    world.settles();
    world.types(alice, "PING");
    assert_eq!(world.hears(alice), "PONG\n");
}

#[test]
fn who_has_the_name_after_its_account_was_deleted_does_not_wait_for_what_was_before() {
    let mut world = patient();
    let mail = world.mail_user("alice");
    guesses(&mut world, "alice", ATTEMPTS_OF_NAME_MAX);
    world.gets(mail, &Request::DeleteAccount);
    world.mail_user("alice");
    let away = world.connects_from(ELSEWHERE, Dialect::Typed);
    asks(&mut world, away, "alice", "alice");
    assert!(is_in(&mut world, away));
}

/// The password of a client is the second one that the engine hands out. It is refused, as the others are.
fn is_checked_second(world: &mut World, client: Client) {
    world.settles();
    let tasks: Vec<_> = std::iter::from_fn(|| world.engine.next_password_task()).collect();
    assert_eq!(tasks[1].conn, world.id(client));
    for task in &tasks {
        world.engine.password_refused(task);
    }
    world.compares_passwords();
}

#[test]
fn a_login_waits_for_one_of_another_address_and_not_for_all_of_them() {
    let mut world = World::new();
    world.mail_user("eve");
    world.mail_user("ann");
    world.compares_at_once = false;
    for _ in 0..80 {
        let eve = world.connects_from([10, 0, 0, 1].into(), Dialect::Typed);
        asks(&mut world, eve, "eve", "eve");
    }
    let ann = world.connects_from([10, 0, 0, 2].into(), Dialect::Line);
    world.types(ann, "LOGIN ann ann");
    is_checked_second(&mut world, ann);
}

#[test]
fn new_accounts_of_one_address_wait_behind_each_other_and_hold_up_no_other() {
    let mut world = World::new();
    world.compares_at_once = false;
    for number in 0..80 {
        let eve = world.connects_from([10, 0, 0, 1].into(), Dialect::Typed);
        asks(&mut world, eve, &format!("eve{number}"), "x");
    }
    let ann = world.connects_from([10, 0, 0, 2].into(), Dialect::Typed);
    asks(&mut world, ann, "ann", "x");
    is_checked_second(&mut world, ann);
}

#[test]
fn a_school_behind_one_address_logs_in_and_nobody_of_it_is_refused() {
    let mut world = World::with(Settings {
        address_clients_limit: 0,
        address_connects_limit: 0,
        line_idle_timeout: 0,
        ..settings()
    });
    world.checks = false;
    let names: Vec<_> = (0..300).map(|number| format!("pupil{number}")).collect();
    for name in &names {
        world.mail_user(name);
    }
    let school = [10, 9, 0, 1].into();
    let began = world.now.monotonic;
    let pupils: Vec<_> = names.iter().map(|_| world.connects_from(school, Dialect::Line)).collect();
    for (&pupil, name) in pupils.iter().zip(&names) {
        world.types(pupil, &format!("LOGIN {name} {name}"));
    }
    let mut waiting = pupils.clone();
    loop {
        world.settles();
        waiting.retain(|&pupil| !world.took(pupil).starts_with("OK\n"));
        if waiting.is_empty() {
            break;
        }
        waits(&mut world);
    }
    assert!(pupils.iter().all(|&pupil| world.ended(pupil).is_none()));
    let took = world.now.monotonic.saturating_sub(began).as_secs();
    assert!(took > settings().login_timeout, "the wait does not count as theirs: {took} s");
    assert_eq!(world.metrics().attempts_refused, 0);
}

#[test]
fn guesses_from_one_address_at_many_names_are_bounded_by_the_hour() {
    let mut world = patient();
    world.checks = false;
    let names: Vec<_> = (0..100).map(|number| format!("user{number}")).collect();
    for name in &names {
        world.mail_user(name);
    }
    let thief = world.connects_from([10, 0, 0, 1].into(), Dialect::Typed);
    let began = world.now.monotonic;
    let mut wrong = 0;
    for name in names.iter().cycle() {
        asks(&mut world, thief, name, "guess");
        let mut replies = world.replies(thief);
        while replies.last().is_none_or(|last| last != "failed") {
            waits(&mut world);
            replies.extend(world.replies(thief));
        }
        if world.now.monotonic.saturating_sub(began) > Duration::from_secs(3600) {
            break;
        }
        wrong += 1;
    }
    let an_hour = 3600 * PASSWORD_HASHES_PER_SECOND as usize / PASSWORD_WRONG_HASHES;
    assert!((an_hour..an_hour + 10).contains(&wrong), "{wrong}");
}

#[test]
fn a_look_up_waits_for_one_of_another_address_and_not_for_all_of_them() {
    let (mut world, _disk) = kept::world();
    for number in 0..80 {
        let eve = world.slash(&format!("eve{number}"));
        world.types(eve, "/history 50");
    }
    let ann = world.connects_from(ELSEWHERE, Dialect::Slash);
    world.types(ann, "ann");
    world.types(ann, "/history 50");
    world.settles();
    let tasks: Vec<_> = std::iter::from_fn(|| world.engine.next_past_task()).collect();
    assert_eq!(tasks[1].conn, world.id(ann));
    assert!(tasks.len() < 80, "the store is asked for few at a time");
    for task in &tasks {
        world.engine.past_read(task.conn, task.serial, Some(&[]), world.now);
    }
    assert_eq!(std::iter::from_fn(|| world.engine.next_past_task()).count(), tasks.len());
}
