//! Promises at their edges: who goes away, who asks again, who is told behind whom, and what a store that fails leaves.

use parlance::chat::{HistoryRule, HistoryRules, Kept, Secret};
use parlance::store::Reader;
use parlance::wire::Dialect;
use parlance::wire::tcrp::{Operation, Refusal, encode_request};
use parlance::wire::typed::Request;
use parlance::wire::ucrp::Message;

use crate::kept::{NOTHING, kept, mail_user, world};
use crate::seats::answer;
use crate::world::{Client, HERE, World};

const BUSY: &str = "error: busy; try again later";

fn shakes(world: &mut World, operation: Operation, name: &str) -> Client {
    let client = world.connects_from(HERE, Dialect::Tcrp);
    let mut request = Vec::new();
    encode_request("den", operation, name, None, &mut request).expect("short");
    world.sends(client, &request);
    world.settles();
    client
}

#[test]
fn a_token_that_somebody_else_asked_for_again_is_theirs_when_the_first_goes_away() {
    let (mut world, mut disk) = world();
    let host = shakes(&mut world, Operation::Create, "host");
    disk.keeps(&mut world);
    answer(&mut world, host).expect("a seat");
    let first = shakes(&mut world, Operation::Join, "guest");
    let second = shakes(&mut world, Operation::Join, "guest");
    world.vanishes(first);
    disk.keeps(&mut world);
    disk.keeps(&mut world);
    let token = answer(&mut world, second).expect("a seat");
    let kept = disk.kept();
    assert!(
        kept.iter().any(|kept| matches!(kept, Kept::Seat { seat, .. } if seat.token == token)),
        "acknowledged token is nobody's: {kept:?}"
    );
}

#[test]
fn a_token_is_told_that_was_promised_when_the_server_began_to_stop() {
    let (mut world, mut disk) = world();
    let client = shakes(&mut world, Operation::Create, "dave");
    world.settles();
    world.engine.shutdown(world.now);
    // The seat itself ends with the server, before the store has the op.
    world.settles();
    assert_eq!(world.engine.seat_count(), 0);
    disk.keeps(&mut world);
    world.settles();
    let token = answer(&mut world, client).expect("a token");
    let kept = disk.kept();
    assert!(
        kept.iter().any(|kept| matches!(kept, Kept::Seat { seat, .. } if seat.token == token)),
        "{kept:?}"
    );
}

#[test]
fn undoing_an_account_leaves_the_connection_in_another_one_that_it_is_in() {
    let (mut world, mut disk) = world();
    let bob0 = mail_user(&mut world, &mut disk, "bob");
    world.closes_its_side(bob0);
    let conn = world.connects(Dialect::Typed);
    world.asks(conn, &Request::LoginName("alice"));
    world.asks(conn, &Request::LoginPassword(Secret("alice")));
    world.settles();
    world.asks(conn, &Request::LoginName("bob"));
    world.asks(conn, &Request::LoginPassword(Secret("bob")));
    world.settles();
    disk.fails(&mut world);
    let replies = world.replies(conn);
    assert_eq!(replies.last().map(String::as_str), Some("in: bob"));
    let then = world.gets(conn, &Request::ListUsers);
    assert!(then[0].starts_with('{'), "told in, and is not: {then:?}");
}

#[test]
fn what_cannot_be_understood_is_refused_behind_what_is_held() {
    let (mut world, mut disk) = world();
    let alice = mail_user(&mut world, &mut disk, "alice");
    world.asks(alice, &kept("k", "alice"));
    world.sends(alice, &[0xff; 64]);
    world.settles();
    let early = world.replies(alice);
    disk.keeps(&mut world);
    let late = world.replies(alice);
    assert_eq!(early, NOTHING, "late {late:?}");
}

#[test]
fn what_waits_since_before_the_store_failed_is_refused_at_once() {
    let (mut world, mut disk) = world();
    let alice = mail_user(&mut world, &mut disk, "alice");
    world.asks(alice, &kept("k", "alice"));
    world.settles();
    world.vanishes(alice);
    disk.fails(&mut world);
    let alice = world.connects(Dialect::Typed);
    world.asks(alice, &Request::LoginName("alice"));
    world.asks(alice, &Request::LoginPassword(Secret("alice")));
    assert_eq!(world.replies(alice).len(), 2);
    world.asks(alice, &kept("k", "alice"));
    world.asks(alice, &Request::ListUsers);
    for _ in 0..100 {
        world.seconds_pass(10);
        disk.fails(&mut world);
    }
    assert_ne!(world.replies(alice), NOTHING);
}

#[test]
fn a_login_to_an_account_that_may_never_be_kept_is_refused_at_once() {
    let (mut world, mut disk) = world();
    let alice = world.connects(Dialect::Typed);
    world.asks(alice, &Request::LoginName("alice"));
    world.asks(alice, &Request::LoginPassword(Secret("alice")));
    world.settles();
    world.vanishes(alice);
    disk.fails(&mut world);
    let alice = world.connects(Dialect::Typed);
    world.asks(alice, &Request::LoginName("alice"));
    world.asks(alice, &Request::LoginPassword(Secret("alice")));
    for _ in 0..100 {
        world.seconds_pass(10);
        disk.fails(&mut world);
    }
    assert_eq!(world.replies(alice).len(), 2);
}

#[test]
fn who_closed_its_side_is_told_even_if_the_disk_is_slow() {
    let (mut world, mut disk) = world();
    let alice = mail_user(&mut world, &mut disk, "alice");
    world.asks(alice, &kept("k", "alice"));
    world.settles();
    world.closes_its_side(alice);
    world.seconds_pass(3);
    world.settles();
    if world.ended(alice).is_none() {
        disk.keeps(&mut world);
    }
    assert_eq!(world.replies(alice), ["kept k 36"]);
}

#[test]
fn a_room_that_is_refused_takes_no_history_along() {
    let (mut world, mut disk) = world();
    let alice = world.slash("alice");
    world.types(alice, "/join den");
    world.types(alice, "precious");
    world.types(alice, "/leave");
    world.hears(alice);
    disk.keeps(&mut world);
    assert_eq!(disk.store.history("den", None, 9).expect("memory").len(), 1);
    let host = shakes(&mut world, Operation::Create, "host");
    disk.fails(&mut world);
    assert_eq!(answer(&mut world, host), Err(Refusal::Busy));
    disk.keeps(&mut world);
    assert_eq!(disk.store.history("den", None, 9).expect("memory").len(), 1);
}

#[test]
fn a_deletion_that_is_not_done_yet_is_told_as_such_and_done_later() {
    let (mut world, mut disk) = world();
    let alice = mail_user(&mut world, &mut disk, "alice");
    world.asks(alice, &Request::DeleteAccount);
    world.settles();
    disk.fails(&mut world);
    assert_eq!(world.replies(alice), [BUSY]);
    disk.keeps(&mut world);
    assert_eq!(disk.kept(), []);
}

#[test]
fn what_was_said_in_a_closed_room_is_not_shown_in_the_next_one() {
    let (_, mut disk) = world();
    let rules = HistoryRules {
        default: HistoryRule { on_join: 5, ..HistoryRule::default() },
        ..HistoryRules::default()
    };
    let mut world = disk.restarts(&rules);
    let host = shakes(&mut world, Operation::Create, "host");
    disk.keeps(&mut world);
    let token = answer(&mut world, host).expect("a seat");
    let address = std::net::SocketAddr::new(HERE, 1);
    let host = crate::seats::Seat { room: "den".to_owned(), token, address };
    world.seat_sends(&host, Message::Chat("secret"));
    world.settles();
    disk.keeps(&mut world);
    let mut world = disk.restarts(&rules);
    let bob = world.slash("bob");
    world.types(bob, "/join den");
    world.settles();
    // The store has looked it up; the shard has not heard yet.
    let task = world.engine.next_past_task().expect("one");
    let messages = disk.store.page(&task.room, task.page, task.count).expect("memory");
    world.seat_sends(&host, Message::Leave);
    world.settles();
    world.engine.past_read(task.conn, task.serial, Some(&messages), world.now);
    let heard = world.hears(bob);
    assert!(!heard.contains("secret"), "{heard}");
}

#[test]
fn history_has_what_the_store_could_not_keep() {
    let (mut world, mut disk) = world();
    let alice = world.slash("alice");
    world.types(alice, "old");
    disk.keeps(&mut world);
    world.types(alice, "new");
    world.hears(alice);
    disk.fails(&mut world);
    world.types(alice, "newest");
    world.hears(alice);
    world.types(alice, "/history");
    disk.waiting.extend(world.engine.take_ops());
    disk.looks_up(&mut world);
    let heard = world.hears(alice);
    assert!(heard.contains("new"), "{heard}");
}

#[test]
fn nobody_waits_for_the_past_while_the_store_fails() {
    let (mut world, mut disk) = world();
    let alice = world.slash("alice");
    world.types(alice, "one");
    world.hears(alice);
    disk.fails(&mut world);
    world.types(alice, "/history");
    world.types(alice, "/users");
    for _ in 0..100 {
        world.seconds_pass(5);
        world.settles();
    }
    assert_ne!(world.hears(alice), "");
}

#[test]
fn a_change_that_is_asked_for_again_is_not_said_to_be_kept_before_it_is() {
    let (mut world, mut disk) = world();
    let alice = mail_user(&mut world, &mut disk, "alice");
    let bob = mail_user(&mut world, &mut disk, "bob");
    world.gets(alice, &kept("k", "bob"));
    disk.keeps(&mut world);
    world.asks(bob, &Request::MarkRead("alice"));
    world.settles();
    disk.fails(&mut world);
    assert_eq!(world.replies(bob), [BUSY]);
    assert_eq!(world.gets(bob, &Request::MarkRead("alice")), [BUSY]);
    disk.keeps(&mut world);
    assert_eq!(world.gets(bob, &Request::MarkRead("alice")), NOTHING);
    assert_eq!(world.gets(bob, &Request::ListUsers), ["{alice=0, bob=0}"]);
}

#[test]
fn nor_if_another_connection_asked_for_it() {
    let (mut world, mut disk) = world();
    let alice = mail_user(&mut world, &mut disk, "alice");
    let bob = mail_user(&mut world, &mut disk, "bob");
    let bob2 = mail_user(&mut world, &mut disk, "bob");
    world.gets(alice, &kept("k", "bob"));
    disk.keeps(&mut world);
    world.asks(bob, &Request::MarkRead("alice"));
    world.asks(bob2, &Request::MarkRead("alice"));
    assert_eq!(world.gets(bob2, &Request::ListUsers), NOTHING);
}

#[test]
fn that_there_is_no_past_is_looked_up_once() {
    let (_, mut disk) = world();
    let rules = HistoryRules {
        default: HistoryRule { on_join: 5, ..HistoryRule::default() },
        ..HistoryRules::default()
    };
    let mut world = disk.restarts(&rules);
    let mut tasks = 0;
    for index in 0..10 {
        let c = world.slash(&format!("user{index}"));
        world.types(c, "/join den");
        while let Some(task) = world.engine.next_past_task() {
            tasks += 1;
            world.engine.past_read(task.conn, task.serial, Some(&[]), world.now);
        }
        world.hears(c);
    }
    assert_eq!(tasks, 1);
}

#[test]
fn what_is_kept_is_told_whatever_others_wait_for() {
    let (mut world, mut disk) = world();
    let alice = mail_user(&mut world, &mut disk, "alice");
    let carol = world.connects(Dialect::Typed);
    world.asks(carol, &Request::LoginName("carol"));
    world.asks(carol, &Request::LoginPassword(Secret("carol")));
    world.settles();
    world.asks(alice, &kept("k", "alice"));
    let other = world.connects(Dialect::Typed);
    world.asks(other, &Request::LoginName("carol"));
    world.asks(other, &Request::LoginPassword(Secret("carol")));
    world.settles();
    disk.keeps_some(&mut world, 1);
    assert_eq!(world.replies(carol).len(), 2);
    assert_eq!(world.replies(other).len(), 2, "carol is kept");
}

#[test]
fn who_is_refused_has_to_log_in_in_time() {
    let (mut world, mut disk) = world();
    let alice = world.connects(Dialect::Typed);
    world.asks(alice, &Request::LoginName("alice"));
    world.asks(alice, &Request::LoginPassword(Secret("alice")));
    world.settles();
    world.vanishes(alice);
    let other = world.connects(Dialect::Typed);
    world.asks(other, &Request::LoginName("alice"));
    world.asks(other, &Request::LoginPassword(Secret("alice")));
    world.settles();
    disk.fails(&mut world);
    disk.keeps(&mut world);
    world.seconds_pass(100);
    world.settles();
    assert!(world.ended(other).is_some());
}
