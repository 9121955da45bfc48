//! What peers who mean harm, or who are merely in a hurry, must not come through with.

use parlance::chat::Secret;
use parlance::engine::Settings;
use parlance::fanout::{LagPolicies, LagPolicy};
use parlance::limits::{ATTEMPTS_DEFAULT, OUTBOX_BYTES_MAX, OUTBOX_TURN_BYTES_MAX};
use parlance::wire::Dialect;
use parlance::wire::typed::{Request, TagSet};
use parlance::wire::ucrp::Message;

use crate::world::{World, settings};

fn never() -> Settings {
    Settings { login_timeout: 0, line_idle_timeout: 0, gob_idle_timeout: 0, ..settings() }
}

fn unchecked(settings: Settings) -> World {
    let mut world = World::with(settings);
    world.checks = false;
    world
}

fn typed(requests: &[Request<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for request in requests {
        request.encode(TagSet::InUse, &mut bytes).expect("short");
    }
    bytes
}

// Wake-ups.

#[test]
fn the_end_is_not_read_while_a_password_is_compared_though_an_answer_goes_out() {
    let mut world = World::new();
    world.mail_user("alice");
    world.compares_at_once = false;
    let slash = world.connects(Dialect::Slash);
    // As `printf 'alice\nalice\n' | nc` has it: the prompt is written while the password is compared.
    world.sends(slash, b"alice\nalice\n");
    assert!(!world.listens_to(slash));
    world.turn();
    world.turn();
    assert!(!world.listens_to(slash), "slash: the end would be read now");
}

#[test]
fn an_account_is_made_though_its_owner_half_closes_at_once() {
    let mut world = World::new();
    world.compares_at_once = false;
    let client = world.connects(Dialect::Typed);
    world.sends(client, &typed(&[Request::LoginName("bob"), Request::LoginPassword(Secret("bob"))]));
    world.turn();
    world.turn();
    // What the reactor does: it reads the end as soon as the engine wants input.
    if world.listens_to(client) {
        world.closes_its_side(client);
    }
    world.compares_passwords();
    world.settles();
    let other = world.connects(Dialect::Typed);
    assert_eq!(world.gets(other, &Request::LoginName("bob")), ["known"]);
}

// Time and memory.

#[test]
fn what_waits_for_a_seat_is_bounded_as_for_others() {
    let mut world = unchecked(never());
    let host = world.host("den", "host", 1);
    for _ in 0..10 {
        // What a turn of the reactor reads and writes at most.
        for _ in 0..512 {
            world.seat_sends(&host, Message::Chat(&format!("/msg {} x", "y".repeat(3900))));
        }
        world.turn_of(256);
    }
    let held = world.held_bytes();
    assert!(held <= 2 * OUTBOX_BYTES_MAX, "{held} bytes wait for one seat");
}

// Who reads is not taken for one who does not.

#[test]
fn a_gob_user_who_reads_everything_survives_direct_messages() {
    let mut world = unchecked(never());
    let alice = world.gob("alice");
    let bob = world.line("bob");
    let storm = format!("DM alice {}\n", "x".repeat(3900)).repeat(20);
    for _ in 0..20 {
        world.sends(bob, storm.as_bytes());
        world.turn();
        world.now.monotonic += settings().gob_gap;
    }
    assert_eq!(world.ended(alice), None, "she took whatever she was sent");
}

#[test]
fn datagrams_put_no_more_into_outboxes_in_a_turn_than_others_may() {
    let mut world = unchecked(never());
    let host = world.host("den", "host", 1);
    let alice = world.line("alice");
    // What a turn of the reactor reads at most.
    for _ in 0..512 {
        world.seat_sends(&host, Message::Chat(&format!("/msg alice {}", "y".repeat(3900))));
    }
    let held = world.held_bytes();
    assert!(held <= OUTBOX_BYTES_MAX, "{held} bytes in one turn, where others wait after half a MiB");
    assert_eq!(world.ended(alice), None);
}

#[test]
fn connections_that_fill_each_turn_do_not_have_what_comes_in_datagrams_dropped() {
    let mut world = unchecked(never());
    let host = world.host("den", "host", 1);
    let alice = world.line("alice");
    // Each joins with a thousand questions on its way, of which each turn answers some: half a MiB is soon reached.
    let askers: Vec<_> = (0..30).map(|number| world.slash(&format!("asker{number}"))).collect();
    for &asker in &askers {
        world.sends(asker, "/help\n".repeat(1000).as_bytes());
    }
    for number in 0..5 {
        world.turn();
        assert!(world.engine.turn_bytes() >= OUTBOX_TURN_BYTES_MAX, "they fill what they may");
        world.seat_sends(&host, Message::Chat(&format!("/msg alice {number}")));
        world.turn();
        assert!(world.took(alice).contains(&format!("DM host {number}\n")));
    }
    assert_eq!(world.refused("ucrp-people-busy"), 0);
}

#[test]
fn a_room_that_closes_closes_nobody_in_the_lobby() {
    let mut world = unchecked(Settings { lag: LagPolicies::all(LagPolicy::Close), ..never() });
    let host = world.host("den", "host", 1);
    let witness = world.line("witness");
    let reader = world.slash("reader");
    for number in 0..3000 {
        let client = world.connects(Dialect::Slash);
        world.sends(client, format!("user{number}\n/join den\n").as_bytes());
        if number % 20 == 0 {
            world.settles();
        }
    }
    world.settles();
    assert_eq!((world.ended(witness), world.ended(reader)), (None, None));
    world.seat_sends(&host, Message::Leave);
    world.settles();
    assert_eq!(world.ended(reader), None, "it reads all that it is sent");
}

// Security.

#[test]
fn guesses_at_once_are_counted_as_guesses_one_by_one() {
    let mut world = World::new();
    world.mail_user("alice");
    world.compares_at_once = false;
    for number in 0..50_u8 {
        let thief = world.connects_from([10, 0, 0, 1].into(), Dialect::Typed);
        let guess = number.to_string();
        world.sends(thief, &typed(&[Request::LoginName("alice"), Request::LoginPassword(Secret(&guess))]));
    }
    world.compares_passwords();
    let metrics = world.metrics();
    let expected = (u64::from(ATTEMPTS_DEFAULT), 50 - u64::from(ATTEMPTS_DEFAULT));
    assert_eq!((metrics.wrong_passwords, metrics.attempts_refused), expected);
}

#[test]
fn a_password_is_not_taken_for_the_name_before_the_one_that_was_refused() {
    let mut world = World::new();
    let client = world.connects(Dialect::Typed);
    assert_eq!(world.gets(client, &Request::LoginName("alice")), ["new"]);
    world.gets(client, &Request::LoginName("bob smith"));
    let replies = world.gets(client, &Request::LoginPassword(Secret("bobs")));
    assert_eq!(replies, ["error: not logged in"], "an account of another name was made with that password");
}

#[test]
fn a_login_with_a_password_makes_no_account_in_a_dialect_without_accounts_of_its_own() {
    let mut world = World::new();
    let mail = world.mail_user("alice");
    let slash = world.connects(Dialect::Slash);
    world.types(slash, "alice");
    assert!(world.hears(slash).ends_with("Password: "));
    world.gets(mail, &Request::DeleteAccount);
    world.types(slash, "whatever");
    world.settles();
    let other = world.connects(Dialect::Typed);
    assert!(world.ended(slash).is_some(), "refused");
    assert_eq!(world.gets(other, &Request::LoginName("alice")), ["new"]);
}

// The end.

#[test]
fn nothing_is_said_by_seats_after_the_server_said_that_it_stops() {
    let mut world = World::new();
    let alice = world.host("den", "alice", 1);
    world.guest("den", "bob", 2);
    world.engine.shutdown(world.now);
    world.seat_sends(&alice, Message::Chat("not over yet"));
    assert_eq!(world.seat_hears(2), ["server: server shutting down"]);
}
