//! Long answers: made in pieces as the client reads them. Each has its announced length, whatever changes in
//! between.

use std::net::IpAddr;

use parlance::chat::{CloseReason, Kept, Secret};
use parlance::engine::Settings;
use parlance::fanout::Close;
use parlance::limits::{ANSWER_BYTES_MAX, ANSWER_PIECE_BYTES, ANSWER_RESCUED_BYTES_MAX};
use parlance::wire::Dialect;
use parlance::wire::typed::{Frame, HEADER_BYTES, Reply, Request, TagSet};

use crate::world::{Client, HERE, World, hash, settings};

const TAGS: TagSet = TagSet::InUse;

/// A world without limits by session that has accounts `user00000` and so on, whose passwords are their
/// names.
pub(crate) fn world_with_accounts(count: usize, change: impl FnOnce(&mut Settings)) -> World {
    let mut settings = Settings { session_messages_limit: 0, session_bytes_limit: 0, ..settings() };
    change(&mut settings);
    let mut world = World::with(settings);
    world.checks = false;
    for index in 0..count {
        let name = name(index);
        let password = hash(&name);
        let now = world.now;
        world.engine.restore(&Kept::Account { name: name.into(), password, id: None, is_unused: false }, now);
    }
    world
}

pub(crate) fn name(index: usize) -> String {
    format!("user{index:05}")
}

/// A client that is logged in to its mailbox, whose password is its name.
pub(crate) fn logs_in(world: &mut World, from: IpAddr, name: &str) -> Client {
    let client = world.connects_from(from, Dialect::Typed);
    world.asks(client, &Request::LoginName(name));
    world.asks(client, &Request::LoginPassword(Secret(name)));
    world.settles();
    world.took_bytes(client);
    client
}

/// The entries of a list of accounts at the start of the bytes, and how many bytes it takes.
fn users(bytes: &[u8]) -> (Vec<(String, u32)>, usize) {
    let decoded = Reply::decode(TAGS, bytes);
    let Frame::Whole(Reply::Users(users)) = decoded.frame else { panic!("{:?}", decoded.frame) };
    (users.map(|user| (user.name.to_owned(), user.unread)).collect(), decoded.consumed)
}

/// The messages in a list of them.
fn contents(bytes: &[u8]) -> Vec<String> {
    let decoded = Reply::decode(TAGS, bytes);
    let Frame::Whole(Reply::Messages(messages)) = decoded.frame else { panic!("{:?}", decoded.frame) };
    assert_eq!(decoded.consumed, bytes.len());
    messages.map(|message| message.content.to_owned()).collect()
}

#[test]
fn a_list_of_accounts_agrees_with_its_count_while_accounts_are_made_and_deleted() {
    const ACCOUNTS: usize = 5000;
    let mut world = world_with_accounts(ACCOUNTS, |_| {});
    let reader = logs_in(&mut world, HERE, &name(0));
    let stranger = world.line("stranger");
    world.types(stranger, &format!("DM {} hello", name(0)));
    world.hears(stranger);
    let idle = world.held_bytes();
    world.reads_only(reader, 0);
    world.asks(reader, &Request::ListUsers);
    world.settles();
    assert!(world.held_bytes() < ANSWER_BYTES_MAX, "one piece is there");
    let mut bytes = Vec::new();
    for round in 0..200 {
        // The reader has the list before it is at an end. An account at the start of it is deleted, one at
        // the end, one in the middle; and one is made.
        if round < 10 {
            for index in [round + 1, ACCOUNTS - 1 - round, ACCOUNTS / 2 + round] {
                let owner = logs_in(&mut world, HERE, &name(index));
                world.asks(owner, &Request::DeleteAccount);
                world.vanishes(owner);
            }
            let maker = logs_in(&mut world, HERE, &format!("new{round}"));
            world.vanishes(maker);
        }
        world.reads(reader, 1000);
        world.settles();
        world.check();
        bytes.extend(world.took_bytes(reader));
        assert!(world.held_bytes() < ANSWER_BYTES_MAX, "{} bytes", world.held_bytes());
    }
    let (entries, length) = users(&bytes);
    assert_eq!(length, bytes.len(), "nothing is missing, and nothing follows");
    let expected: Vec<_> =
        (0..ACCOUNTS).map(|index| (name(index), 0)).chain([("stranger".to_owned(), 1)]).collect();
    assert!(entries == expected, "{} entries", entries.len());
    // The next list has the changes since.
    world.reads_everything(reader);
    world.asks(reader, &Request::ListUsers);
    world.settles();
    let bytes = world.took_bytes(reader);
    let (entries, _) = users(&bytes);
    assert_eq!(entries.len(), ACCOUNTS - 30 + 10 + 1);
    assert_eq!(world.held_bytes(), idle);
}

#[test]
fn a_full_list_has_the_oldest_accounts_and_says_so_in_its_counts() {
    // An entry takes 24 bytes of the MiB that a reply has.
    const ACCOUNTS: usize = 50_000;
    let mut world = world_with_accounts(ACCOUNTS, |_| {});
    let reader = logs_in(&mut world, HERE, &name(7));
    let cut = world.metrics().cut;
    world.asks(reader, &Request::ListUsers);
    world.settles();
    let bytes = world.took_bytes(reader);
    let (entries, length) = users(&bytes);
    assert_eq!(length, bytes.len());
    assert_eq!(entries.len(), ((1 << 20) - 5) / 23);
    assert!(entries.iter().enumerate().all(|(index, (user, _))| *user == name(index)));
    assert_eq!(world.metrics().cut, cut + 1);
    // A place that becomes free is the next one's.
    let owner = logs_in(&mut world, HERE, &name(100));
    world.asks(owner, &Request::DeleteAccount);
    world.asks(reader, &Request::ListUsers);
    world.settles();
    let bytes = world.took_bytes(reader);
    let (then, _) = users(&bytes);
    assert_eq!(then.len(), entries.len());
    assert_eq!(then.last().map(|(user, _)| user.clone()), Some(name(entries.len())));
}

/// Alice lists messages of bob and does not read; the first piece is made. Returns both, and the ids.
fn lists_a_conversation(world: &mut World, messages: usize) -> (Client, Client, Vec<String>) {
    let alice = logs_in(world, HERE, &name(0));
    let bob = logs_in(world, HERE, &name(1));
    for index in 0..messages {
        let content = format!("{index:06}{}", "x".repeat(1994));
        world.asks(bob, &Request::Send { recipient: &name(0), content: &content });
    }
    world.asks(bob, &Request::ListMessages(&name(0)));
    world.settles();
    let bytes = world.took_bytes(bob);
    let Frame::Whole(Reply::Messages(listed)) = Reply::decode(TAGS, &bytes).frame else { panic!("a list") };
    let ids = listed.map(|message| message.id.to_owned()).collect();
    world.reads_only(alice, 0);
    world.asks(alice, &Request::ListMessages(&name(1)));
    world.settles();
    (alice, bob, ids)
}

#[test]
fn a_list_of_messages_has_those_that_are_read_or_deleted_before_they_are_sent() {
    const MESSAGES: usize = 150;
    let mut world = world_with_accounts(2, |_| {});
    let (alice, bob, ids) = lists_a_conversation(&mut world, MESSAGES);
    assert!(world.held_bytes() < 2 * ANSWER_PIECE_BYTES);
    for id in &ids[MESSAGES - 20..] {
        world.asks(bob, &Request::DeleteMessage(id));
    }
    let other = logs_in(&mut world, HERE, &name(0));
    world.asks(other, &Request::MarkRead(&name(1)));
    world.settles();
    world.check();
    world.reads_everything(alice);
    world.settles();
    let bytes = world.took_bytes(alice);
    let contents = contents(&bytes);
    assert_eq!(contents.len(), MESSAGES);
    let is_whole = |(index, content): (usize, &String)| content.starts_with(&format!("{index:06}x"));
    assert!(contents.iter().enumerate().all(is_whole), "all, in order");
    assert_eq!(world.ended(alice), None);
}

#[test]
fn a_connection_is_closed_whose_list_would_keep_too_much_of_what_is_deleted() {
    const MESSAGES: usize = 150;
    let mut world = world_with_accounts(2, |_| {});
    let (alice, bob, ids) = lists_a_conversation(&mut world, MESSAGES);
    let mut deleted = 0;
    while world.ended(alice).is_none() {
        world.asks(bob, &Request::DeleteMessage(&ids[MESSAGES - 1 - deleted]));
        world.settles();
        world.check();
        assert!(world.held_bytes() < ANSWER_BYTES_MAX);
        deleted += 1;
    }
    let ended = world.ended(alice).map(|ended| (ended.close, ended.reason));
    assert_eq!(ended, Some((Some(Close::Now), CloseReason::TooSlow)));
    let bounds = ANSWER_RESCUED_BYTES_MAX / 2500..=ANSWER_RESCUED_BYTES_MAX / 2000 + 1;
    assert!(bounds.contains(&deleted), "{deleted} deleted");
    assert!(world.held_bytes() < 1000, "nothing is left of the answer");
    // Its owner can ask again.
    let alice = logs_in(&mut world, HERE, &name(0));
    world.asks(alice, &Request::ListMessages(&name(1)));
    world.settles();
    let bytes = world.took_bytes(alice);
    assert_eq!(contents(&bytes).len(), MESSAGES - deleted);
}

#[test]
fn requests_wait_for_the_answer_before_them_and_new_mail_for_the_end_of_its_frame() {
    const ACCOUNTS: usize = 10_000;
    let mut world = world_with_accounts(ACCOUNTS, |_| {});
    let (alice, bob) = (logs_in(&mut world, HERE, &name(0)), logs_in(&mut world, HERE, &name(1)));
    world.asks(alice, &Request::Subscribe(true));
    world.reads_only(alice, 0);
    world.asks(alice, &Request::ListUsers);
    world.asks(alice, &Request::ListMessages(&name(1)));
    world.asks(alice, &Request::LoginName("somebody"));
    world.settles();
    world.asks(bob, &Request::Send { recipient: &name(0), content: "hi" });
    world.settles();
    assert!(!world.listens_to(alice));
    world.reads_everything(alice);
    world.settles();
    let bytes = world.took_bytes(alice);
    let (entries, length) = users(&bytes);
    assert_eq!(entries.len(), ACCOUNTS);
    let mut rest = &bytes[length..];
    let mut kinds = Vec::new();
    while !rest.is_empty() {
        kinds.push(u64::from_be_bytes(*rest.first_chunk().expect("a header")));
        let payload = u32::from_be_bytes(*rest[8..].first_chunk().expect("a header")) as usize;
        rest = &rest[HEADER_BYTES + payload..];
    }
    assert_eq!(kinds, [110, 105, 102], "the mail, and the answers in the order of their requests");
    assert!(world.listens_to(alice));
}

#[test]
fn a_message_of_the_room_comes_between_two_lines_of_a_long_list() {
    const CROWD: usize = 3000;
    let mut world = World::with(Settings { clients_limit: 2 * CROWD, ..settings() });
    world.checks = false;
    let (alice, bob) = (world.line("alice"), world.line("bob"));
    for index in 0..CROWD {
        let client = world.connects(Dialect::Line);
        world.types(client, &format!("LOGIN {index:0>32}"));
    }
    world.settles();
    world.reads_only(alice, 0);
    world.types(alice, "WHO");
    world.types(alice, "PING");
    world.settles();
    world.types(bob, "MSG meanwhile");
    world.types(bob, "DM alice psst");
    world.settles();
    assert!(world.held_bytes() < ANSWER_BYTES_MAX);
    world.reads_everything(alice);
    let heard = world.hears(alice);
    let of = |start: &str| heard.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((of("USER "), heard.lines().count()), (CROWD + 2, CROWD + 5));
    assert!(heard.contains("\nMSG bob meanwhile\n") && heard.contains("\nDM bob psst\n"));
    assert!(heard.ends_with("\nPONG\n"), "answers are in the order of their requests");
}

#[test]
fn a_server_that_stops_completes_the_frame_that_was_begun() {
    let mut world = world_with_accounts(10_000, |_| {});
    let alice = logs_in(&mut world, HERE, &name(0));
    world.reads_only(alice, 0);
    world.asks(alice, &Request::ListUsers);
    world.asks(alice, &Request::ListUsers);
    world.settles();
    let now = world.now;
    world.engine.shutdown(now);
    world.settles();
    assert_eq!(world.ended(alice), None, "it is owed the rest");
    world.reads_everything(alice);
    world.settles();
    let bytes = world.took_bytes(alice);
    let (entries, length) = users(&bytes);
    assert_eq!((entries.len(), length), (10_000, bytes.len()), "what was not begun is not made");
    assert_eq!(world.ended(alice).map(|ended| ended.reason), Some(CloseReason::Shutdown));
    assert_eq!(world.held_bytes(), 0);
}

#[test]
fn nothing_is_left_of_an_answer_whose_connection_breaks_or_whose_account_is_deleted() {
    let mut world = world_with_accounts(10_000, |_| {});
    let (alice, other) = (logs_in(&mut world, HERE, &name(0)), logs_in(&mut world, HERE, &name(0)));
    let bob = logs_in(&mut world, HERE, &name(1));
    let idle = world.held_bytes();
    for client in [alice, bob] {
        world.reads_only(client, 0);
        world.asks(client, &Request::ListUsers);
    }
    world.settles();
    world.vanishes(bob);
    world.settles();
    world.check();
    world.asks(other, &Request::DeleteAccount);
    world.settles();
    world.check();
    // Its mailbox is closed, and the frame is whole.
    world.reads_everything(alice);
    world.settles();
    let bytes = world.took_bytes(alice);
    let (entries, length) = users(&bytes);
    assert_eq!((entries.len(), length), (10_000, bytes.len()));
    assert!(world.held_bytes() < idle);
}
