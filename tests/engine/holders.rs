//! Who holds a name when its owner logs in anew, and when its account is made or deleted.

use std::net::{IpAddr, SocketAddr};

use parlance::chat::{Change, CloseReason, HistoryRule, HistoryRules, Kept, Secret, Token};
use parlance::engine::Settings;
use parlance::store::Reader;
use parlance::wire::Dialect;
use parlance::wire::tcrp::{Operation, Refusal, encode_request};
use parlance::wire::typed::Request;
use parlance::wire::ucrp::Message;

use crate::kept;
use crate::seats::{Seat, answer, asks};
use crate::world::{Client, ELSEWHERE, HERE, World, hash, settings};

const NOTHING: [&str; 0] = [];

/// Asks for a seat with a password.
fn shakes(
    world: &mut World,
    ip: IpAddr,
    (operation, room): (Operation, &str),
    name: &str,
    password: &str,
) -> Client {
    let client = world.connects_from(ip, Dialect::Tcrp);
    let mut request = Vec::new();
    encode_request(room, operation, name, Some(Secret(password)), &mut request).expect("short");
    world.sends(client, &request);
    client
}

/// Gets a seat with a password, and says where it is.
fn seated(world: &mut World, ip: IpAddr, request: (Operation, &str), name: &str, port: u16) -> Seat {
    let client = shakes(world, ip, request, name, name);
    world.settles();
    let token = answer(world, client).expect("a seat");
    let seat = Seat { room: request.1.to_owned(), token, address: SocketAddr::new(ip, port) };
    world.seat_sends(&seat, Message::Register);
    seat
}

/// Whether a token still speaks.
fn speaks(world: &mut World, seat: &Seat) -> bool {
    let before = world.refused("ucrp-unknown-token");
    world.seat_sends(seat, Message::Register);
    world.settles();
    world.refused("ucrp-unknown-token") == before
}

fn line_login(world: &mut World, name: &str, password: &str) -> Client {
    let client = world.connects_from(ELSEWHERE, Dialect::Line);
    world.types(client, &format!("LOGIN {name} {password}"));
    client
}

fn slash_login(world: &mut World, name: &str, password: &str) -> Client {
    let client = world.connects_from(ELSEWHERE, Dialect::Slash);
    world.types(client, name);
    world.types(client, password);
    client
}

fn ended(world: &World, client: Client) -> Option<CloseReason> {
    world.ended(client).map(|ended| ended.reason)
}

#[test]
fn a_proved_login_ends_the_older_session_once_and_the_room_sees_it_leave_and_come() {
    for logs_in in [line_login, slash_login] {
        let mut world = World::new();
        world.mail_user("alice");
        let ghosts = [line_login(&mut world, "alice", "alice"), slash_login(&mut world, "alice", "alice")];
        world.settles();
        assert_eq!(world.hears(ghosts[0]), "OK\nERR replaced\n");
        assert_eq!(ended(&world, ghosts[0]), Some(CloseReason::Replaced));
        let slash = world.slash("bob");
        let line = world.line("carol");
        world.hears(ghosts[1]);
        world.hears(slash);
        let owner = logs_in(&mut world, "ALICE", "alice");
        world.settles();
        assert_eq!(world.hears(ghosts[1]), "*** replaced by a new login\n");
        assert_eq!(ended(&world, ghosts[1]), Some(CloseReason::Replaced));
        assert_eq!(world.hears(slash), "*** alice left the room\n*** ALICE joined the room\n");
        assert_eq!(world.hears(line), "INFO alice disconnected\n");
        world.types(slash, "/users");
        let users = world.hears(slash);
        assert_eq!(users.to_lowercase().matches("alice").count(), 1, "{users}");
        assert!(ended(&world, owner).is_none());
        assert_eq!(world.metrics().closed_for(CloseReason::Replaced), 2);
    }
}

#[test]
fn what_the_replaced_one_is_owed_comes_before_its_end() {
    let mut world = World::new();
    world.mail_user("alice");
    let ghost = line_login(&mut world, "alice", "alice");
    let bob = world.line("bob");
    world.hears(ghost);
    world.reads_only(ghost, 0);
    world.types(bob, "MSG one");
    world.types(bob, "DM alice two");
    world.settles();
    let owner = line_login(&mut world, "alice", "alice");
    world.settles();
    world.types(bob, "MSG three");
    assert_eq!(world.hears(owner), "OK\nINFO 1 messages wait: MAIL\nMSG bob three\n");
    world.reads_everything(ghost);
    assert_eq!(world.hears(ghost), "MSG bob one\nDM bob two\nERR replaced\n");
    world.types(bob, "DM alice four");
    assert_eq!(world.hears(owner), "DM bob four\n");
}

#[test]
fn a_login_that_is_not_proved_ends_nothing() {
    let mut world = World::new();
    world.mail_user("alice");
    let holder = line_login(&mut world, "alice", "alice");
    world.hears(holder);
    let without = world.connects(Dialect::Line);
    world.types(without, "LOGIN alice");
    assert_eq!(world.hears(without), "ERR password-required\n");
    let wrong = line_login(&mut world, "alice", "wrong");
    assert_eq!(world.hears(wrong), "ERR wrong-password\n");
    let wrong = slash_login(&mut world, "alice", "wrong");
    assert!(world.hears(wrong).ends_with("Login failed: Wrong password\n"));
    let wrong = shakes(&mut world, ELSEWHERE, (Operation::Join, "lobby"), "alice", "wrong");
    world.settles();
    assert_eq!(answer(&mut world, wrong), Err(Refusal::WrongPassword));
    let without = asks(&mut world, ELSEWHERE, Operation::Join, "lobby", "alice");
    assert_eq!(without, Err(Refusal::WrongPassword));
    // Nor does it if no session can prove the name.
    world.line("bob");
    let other = world.connects(Dialect::Line);
    world.types(other, "LOGIN bob bob");
    world.types(other, "LOGIN bob");
    assert_eq!(world.hears(other), "ERR no-account bob\nERR username-taken\n");
    let stranger = world.connects(Dialect::Typed);
    assert_eq!(world.gets(stranger, &Request::LoginName("bob")), ["known"]);
    assert_eq!(world.gets(stranger, &Request::LoginPassword(Secret("bob"))), ["failed"]);
    assert_eq!(world.hears(holder), "");
    assert_eq!(ended(&world, holder), None);
}

#[test]
fn mailboxes_that_are_open_stay_open() {
    let mut world = World::new();
    let boxes = [world.mail_user("alice"), world.mail_user("alice")];
    for _ in 0..2 {
        let session = line_login(&mut world, "alice", "alice");
        assert_eq!(world.hears(session), "OK\n");
        for mailbox in boxes {
            assert_eq!(world.gets(mailbox, &Request::ListUsers), ["{alice=0}"]);
        }
        // A mailbox is no session in a room, and ends none.
        world.mail_user("alice");
        assert_eq!(world.hears(session), "");
    }
}

#[test]
fn seats_of_the_owner_at_one_address_stay_together_and_those_elsewhere_end() {
    let mut world = World::new();
    world.mail_user("alice");
    let bob = world.host("den", "bob", 1);
    let old = [
        seated(&mut world, HERE, (Operation::Join, "den"), "alice", 2),
        seated(&mut world, HERE, (Operation::Join, "lobby"), "alice", 2),
    ];
    assert!(old.iter().all(|seat| speaks(&mut world, seat)), "one person is in two rooms");
    let again = seated(&mut world, HERE, (Operation::Join, "den"), "alice", 2);
    assert_eq!(again.token, old[0].token);
    world.seat_hears(2);
    let new = seated(&mut world, ELSEWHERE, (Operation::Join, "den"), "alice", 3);
    assert_eq!(world.seat_hears(2), ["server: replaced by a new login"; 2]);
    assert!(!old.iter().any(|seat| speaks(&mut world, seat)), "their tokens are nobody's");
    assert!(speaks(&mut world, &new));
    assert_eq!(world.engine.seat_count(), 2);
    // The old address gets no token without the password.
    let refused = asks(&mut world, HERE, Operation::Join, "den", "alice");
    assert_eq!(refused, Err(Refusal::WrongPassword));
    world.seat_sends(&bob, Message::Chat("/msg alice psst"));
    world.settles();
    let to_new = world.datagrams.iter().filter(|(to, _)| to.ip() == ELSEWHERE).count();
    assert_eq!(to_new, 1);
    // A session ends it, and the other way round.
    let line = line_login(&mut world, "alice", "alice");
    assert_eq!(world.hears(line), "OK\nINFO 1 messages wait: MAIL\n");
    assert!(!speaks(&mut world, &new));
    let newest = seated(&mut world, HERE, (Operation::Join, "lobby"), "alice", 2);
    assert_eq!(world.hears(line), "ERR replaced\n");
    assert!(speaks(&mut world, &newest));
}

#[test]
fn a_host_who_comes_from_another_address_is_the_host_of_its_room() {
    let mut world = World::with(Settings { journal: true, ..settings() });
    world.mail_user("alice");
    let old = seated(&mut world, HERE, (Operation::Create, "den"), "alice", 1);
    let made = world.engine.take_ops().pop().expect("the room is made").id;
    world.guest("den", "bob", 2);
    let slash = world.slash("carol");
    world.types(slash, "/join den");
    world.hears(slash);
    let new = seated(&mut world, ELSEWHERE, (Operation::Join, "den"), "alice", 3);
    assert!(!speaks(&mut world, &old) && speaks(&mut world, &new));
    assert_eq!(world.hears(slash), "*** alice left the room\n*** alice joined the room\n");
    assert_eq!(world.seat_hears(2), NOTHING, "the room is not closed");
    world.engine.take_ops();
    world.seat_sends(&new, Message::Leave);
    assert_eq!(world.seat_hears(2), ["closed"]);
    let ops = world.engine.take_ops();
    let closed = ops.iter().find_map(|op| match op.change {
        Change::RoomClosed { made, .. } => Some(made),
        _ => None,
    });
    assert_eq!(closed, Some(Some(made)), "what was said since it was first made goes");
}

#[test]
fn the_room_of_a_host_that_is_replaced_elsewhere_stays_for_its_guests() {
    let mut world = World::with(Settings { journal: true, ..settings() });
    world.mail_user("alice");
    seated(&mut world, HERE, (Operation::Create, "den"), "alice", 1);
    let bob = world.guest("den", "bob", 2);
    let carol = world.guest("den", "carol", 3);
    line_login(&mut world, "alice", "alice");
    world.settles();
    world.seat_sends(&carol, Message::Chat("still here"));
    assert_eq!(world.seat_hears(2), ["carol: still here"]);
    let is_closed = |change: &Change| matches!(change, Change::RoomClosed { .. });
    assert!(!world.engine.take_ops().iter().any(|op| is_closed(&op.change)));
    // It goes as other rooms do.
    world.seat_sends(&bob, Message::Leave);
    world.seat_sends(&carol, Message::Leave);
    world.settles();
    world.host("den", "dave", 4);
}

#[test]
fn of_logins_whose_passwords_are_compared_at_once_the_last_one_has_the_name() {
    let mut world = World::new();
    world.mail_user("alice");
    world.compares_at_once = false;
    let both = [line_login(&mut world, "alice", "alice"), line_login(&mut world, "alice", "alice")];
    // Of the same address: those of several are compared in turn.
    let seat = shakes(&mut world, ELSEWHERE, (Operation::Join, "lobby"), "alice", "alice");
    world.compares_passwords();
    world.settles();
    assert_eq!(both.map(|client| world.hears(client)), ["OK\nERR replaced\n"; 2]);
    assert!(answer(&mut world, seat).is_ok());
    assert_eq!(world.engine.seat_count(), 1);
    let bob = world.slash("bob");
    world.types(bob, "/users");
    let users = world.hears(bob);
    assert_eq!(users.matches("alice").count(), 1, "{users}");
}

#[test]
fn whoever_is_replaced_while_it_waits_for_a_look_up_is_gone_when_that_comes_back() {
    let (mut world, mut disk) = kept::world();
    kept::mail_user(&mut world, &mut disk, "alice");
    let ghost = slash_login(&mut world, "alice", "alice");
    world.types(ghost, "something");
    world.types(ghost, "/history 10");
    world.settles();
    let task = world.engine.next_past_task().expect("it is looked up");
    let owner = line_login(&mut world, "alice", "alice");
    world.settles();
    assert_eq!(world.hears(owner), "OK\n");
    world.engine.past_read(task.conn, task.serial, Some(&[]), world.now);
    world.settles();
    assert!(world.hears(ghost).ends_with("*** replaced by a new login\n"));
    assert_eq!(ended(&world, ghost), Some(CloseReason::Replaced));
}

#[test]
fn a_handshake_whose_seat_is_replaced_before_it_is_kept_is_told_no_token() {
    let (mut world, mut disk) = kept::world();
    kept::mail_user(&mut world, &mut disk, "alice");
    let seat = shakes(&mut world, HERE, (Operation::Join, "lobby"), "alice", "alice");
    world.settles();
    let owner = line_login(&mut world, "alice", "alice");
    assert_eq!(world.hears(owner), "OK\n");
    disk.keeps(&mut world);
    assert_eq!(answer(&mut world, seat), Err(Refusal::NameTaken));
    assert!(world.ended(seat).is_some());
    assert_eq!(world.engine.seat_count(), 0);
    assert_eq!(disk.kept().iter().filter(|kept| matches!(kept, Kept::Seat { .. })).count(), 0);
}

#[test]
fn an_account_that_is_deleted_takes_its_sessions_and_seats_along() {
    let mut world = World::with(Settings { journal: true, ..settings() });
    let mail = world.mail_user("alice");
    let hosted = seated(&mut world, HERE, (Operation::Create, "den"), "alice", 1);
    let seat = seated(&mut world, HERE, (Operation::Join, "lobby"), "alice", 1);
    let bob = world.guest("den", "bob", 2);
    world.seat_hears(1);
    world.engine.take_ops();
    world.gets(mail, &Request::DeleteAccount);
    assert_eq!(world.seat_hears(1), ["server: the account was deleted"; 2]);
    assert!(!speaks(&mut world, &hosted) && !speaks(&mut world, &seat));
    let ops = world.engine.take_ops();
    let changes: Vec<_> = ops.iter().map(|op| &op.change).collect();
    assert!(
        matches!(
            changes[..],
            [Change::SeatLeft { .. }, Change::SeatLeft { .. }, Change::AccountDeleted { .. }]
        ),
        "{changes:?}"
    );
    // Another user at the same address gets a seat of its own.
    let token = asks(&mut world, HERE, Operation::Join, "den", "alice").expect("the name is free");
    assert!(token != hosted.token && token != seat.token);
    assert!(speaks(&mut world, &bob), "the others in the room stay");

    let mail = world.mail_user("dora");
    let session = slash_login(&mut world, "dora", "dora");
    world.hears(session);
    world.gets(mail, &Request::DeleteAccount);
    assert_eq!(world.hears(session), "*** the account was deleted\n");
    assert_eq!(ended(&world, session), Some(CloseReason::AccountDeleted));
    world.line("dora");
}

#[test]
fn an_account_that_could_not_be_kept_leaves_no_session_behind() {
    let (mut world, mut disk) = kept::world();
    let maker = world.connects(Dialect::Typed);
    world.asks(maker, &Request::LoginName("alice"));
    world.asks(maker, &Request::LoginPassword(Secret("alice")));
    world.settles();
    let session = line_login(&mut world, "alice", "alice");
    assert_eq!(world.hears(session), "OK\n");
    disk.fails(&mut world);
    world.settles();
    assert_eq!(world.hears(session), "ERR account-deleted\n");
    world.line("alice");
    disk.keeps(&mut world);
    assert_eq!(disk.kept(), []);
}

#[test]
fn a_seat_from_before_the_account_goes_to_its_owner() {
    // As an earlier version may have left it.
    let mut world = World::new();
    let token = Token::from_random([9; 16]);
    let seat = parlance::chat::Seat { name: "zoe".into(), token, ip: HERE };
    let password = hash("zoe");
    for part in [
        Kept::Account { name: "zoe".into(), password, id: None, is_unused: false },
        Kept::Seat { room: "lobby".into(), seat, is_host: false, made: None },
    ] {
        world.engine.restore(&part, world.now);
    }
    let stranger = Seat { room: "lobby".to_owned(), token, address: SocketAddr::new(HERE, 1) };
    let owner = line_login(&mut world, "zoe", "zoe");
    assert_eq!(world.hears(owner), "OK\n");
    assert!(!speaks(&mut world, &stranger));
}

fn shows_past() -> HistoryRules {
    HistoryRules { default: HistoryRule { on_join: 50, ..HistoryRule::default() }, ..HistoryRules::default() }
}

/// A stranger makes a room whose name others have used, and says something there.
fn takes_room_over(world: &mut World, disk: &mut kept::Disk) -> Seat {
    let client = crate::seats::shakes(world, ELSEWHERE, Operation::Create, "team", "stranger");
    world.settles();
    disk.keeps(world);
    let token = answer(world, client).expect("nobody is in the room");
    let seat = Seat { room: "team".to_owned(), token, address: SocketAddr::new(ELSEWHERE, 1) };
    world.seat_sends(&seat, Message::Chat("of the stranger"));
    world.settles();
    disk.keeps(world);
    seat
}

fn talks_in_team(world: &mut World, disk: &mut kept::Disk, text: &str) -> String {
    let ann = world.slash("ann");
    world.types(ann, "/join team");
    disk.keeps(world);
    world.types(ann, text);
    disk.keeps(world);
    world.types(ann, "/quit");
    world.hears(ann)
}

#[test]
fn a_room_that_closes_takes_what_was_said_since_it_was_made_and_no_more() {
    for restarts in [false, true] {
        let (_, mut disk) = kept::world();
        let mut world = disk.restarts(&shows_past());
        talks_in_team(&mut world, &mut disk, "the plan");
        let stranger = takes_room_over(&mut world, &mut disk);
        let there = disk.store.history("team", None, 9).expect("memory");
        assert_eq!(there.len(), 2);
        if restarts {
            world = disk.restarts(&shows_past());
        }
        let heard = talks_in_team(&mut world, &mut disk, "who is this?");
        assert!(heard.contains("the plan") && heard.contains("of the stranger"), "{heard}");
        world.seat_sends(&stranger, Message::Leave);
        world.settles();
        disk.keeps(&mut world);
        let heard = talks_in_team(&mut world, &mut disk, "next");
        assert!(heard.contains("the plan"), "{heard}");
        assert!(!heard.contains("of the stranger") && !heard.contains("who is this?"), "{heard}");
        let texts = disk.store.history("team", None, 9).expect("memory");
        let texts: Vec<_> = texts.iter().map(|message| (message.sequence, &*message.text)).collect();
        assert_eq!(texts, [(1, "the plan"), (2, "next")]);
    }
}

#[test]
fn what_is_said_in_a_room_that_is_closing_is_kept_for_no_other_room() {
    let (mut world, mut disk) = kept::world();
    let stranger = takes_room_over(&mut world, &mut disk);
    // More than leave in a turn.
    let people: Vec<_> = (0..600)
        .map(|index| {
            let client = world.connects(Dialect::Slash);
            world.checks = false;
            world.types(client, &format!("p{index}"));
            world.types(client, "/join team");
            client
        })
        .collect();
    world.settles();
    world.seat_sends(&stranger, Message::Leave);
    for &client in &people {
        world.types(client, "to the old room");
    }
    world.settles();
    disk.keeps(&mut world);
    assert_eq!(disk.store.history("team", None, 9).expect("memory"), []);
}

#[test]
fn rooms_that_others_close_hide_no_history_from_a_newcomer() {
    let (_, mut disk) = kept::world();
    let mut world = disk.restarts(&shows_past());
    talks_in_team(&mut world, &mut disk, "the plan");
    let client = crate::seats::shakes(&mut world, ELSEWHERE, Operation::Create, "other", "stranger");
    world.settles();
    disk.keeps(&mut world);
    let token = answer(&mut world, client).expect("a room");
    let stranger = Seat { room: "other".to_owned(), token, address: SocketAddr::new(ELSEWHERE, 1) };
    let ben = world.slash("ben");
    world.types(ben, "/join team");
    world.settles();
    let task = world.engine.next_past_task().expect("it is looked up");
    let messages = disk.store.page(&task.room, task.page, task.count).expect("memory");
    world.seat_sends(&stranger, Message::Leave);
    world.settles();
    world.engine.past_read(task.conn, task.serial, Some(&messages), world.now);
    let heard = world.hears(ben);
    assert!(heard.contains("the plan"), "{heard}");
}
