//! Attackers guess passwords at their full rate, and one address sends right passwords at its full rate.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parlance::chat::Secret;
use parlance::limits::{ATTEMPTS_DEFAULT, ATTEMPTS_OF_NAME_MAX, PASSWORD_MEMORY_KIB, PASSWORD_THREADS_MAX};
use parlance::wire::Dialect;
use parlance::wire::tcrp::{Operation, Refusal};
use parlance::wire::typed::{Request, TagSet};

use crate::bystanders::Bystanders;
use crate::child::{Child, NOBODY_EXEMPT};
use crate::support::seat::{HERE, shake};
use crate::support::typed::{Told, TypedPeer};
use crate::support::{Peer, connect_from};

const ACCOUNTS: usize = 3;
/// Of each dialect, from as many addresses: so few that no name is taken to be attacked.
const ATTACKERS: u8 = 1;
const TRIES: usize = 50;

/// What an attacker was told.
#[derive(Clone, Copy, Default)]
struct Answers {
    wrong: u64,
    not_looked_at: u64,
}

/// Whom a try is for: one after the other, so that the tries for each follow soon after each other.
fn victim(index: usize) -> String {
    format!("victim{}", index * ACCOUNTS / TRIES)
}

fn by_line(server: &Child, from: IpAddr) -> Answers {
    let mut peer = Peer::of(connect_from(from, server.address(Dialect::Line)));
    let mut answers = Answers::default();
    // All at once: the server looks at one after the other.
    peer.send((0..TRIES).map(|index| format!("LOGIN {} guess\n", victim(index))).collect::<String>());
    for _ in 0..TRIES {
        match peer.line().as_str() {
            "ERR wrong-password" => answers.wrong += 1,
            "ERR too-many-attempts" => answers.not_looked_at += 1,
            other => panic!("{other}"),
        }
    }
    answers
}

fn by_handshake(server: &Child, from: IpAddr) -> Answers {
    let mut answers = Answers::default();
    for index in 0..TRIES {
        match shake(server, from, (Operation::Join, "lobby"), (&victim(index), Some("guess"))) {
            Err(Refusal::WrongPassword) => answers.wrong += 1,
            Err(Refusal::Busy) => answers.not_looked_at += 1,
            other => panic!("{other:?}"),
        }
    }
    answers
}

fn by_mailbox(server: &Child, from: IpAddr) -> Answers {
    let mut peer = TypedPeer::connect_from(server, from, TagSet::InUse);
    let mut answers = Answers::default();
    for index in 0..TRIES {
        match peer.try_log_in(&victim(index), "guess") {
            Told::Failed => answers.wrong += 1,
            Told::Error(reason) if reason == "too many wrong passwords; try again later" => {
                answers.not_looked_at += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    answers
}

const _: () = assert!(3 * ATTACKERS as u32 * ATTEMPTS_DEFAULT as u32 <= ATTEMPTS_OF_NAME_MAX);

/// Logs in with the right password, in line, and leaves.
fn logs_in(server: &Child, from: IpAddr, name: &str) {
    let mut peer = Peer::of(connect_from(from, server.address(Dialect::Line)));
    peer.send(format!("LOGIN {name} secret\n"));
    peer.expect("OK\n");
    peer.finish();
    peer.rest();
}

#[test]
fn of_a_storm_of_wrong_passwords_few_are_looked_at_and_nobody_else_waits() {
    let server = Child::start(&NOBODY_EXEMPT);
    for index in 0..ACCOUNTS {
        server.account(&format!("victim{index}"), "secret");
    }
    server.account("calm", "secret");
    let mut bystanders = Bystanders::paced(&server);
    let (memory, sockets) = (server.resident_bytes_high(), server.sockets());
    // From addresses that are nobody else's.
    let attacks: [fn(&Child, IpAddr) -> Answers; 3] = [by_line, by_handshake, by_mailbox];
    let answers = bystanders.talk_while(|| {
        thread::scope(|scope| {
            let server = &server;
            let mut attackers = Vec::new();
            for (kind, attack) in (1..).zip(attacks) {
                for index in 1..=ATTACKERS {
                    let from = Ipv4Addr::new(127, 0, kind, index).into();
                    attackers.push(scope.spawn(move || attack(server, from)));
                }
            }
            let answers = attackers.into_iter().map(|attacker| attacker.join().expect("each was answered"));
            answers.fold(Answers::default(), |sum, one| Answers {
                wrong: sum.wrong + one.wrong,
                not_looked_at: sum.not_looked_at + one.not_looked_at,
            })
        })
    });
    let tries = attacks.len() as u64 * u64::from(ATTACKERS) * TRIES as u64;
    assert_eq!(answers.wrong + answers.not_looked_at, tries);
    // Each address has its five for each name.
    let pairs = attacks.len() as u64 * u64::from(ATTACKERS) * ACCOUNTS as u64;
    assert_eq!(answers.wrong, u64::from(ATTEMPTS_DEFAULT) * pairs);
    // Everybody else logs in: the victims too, from where they made their account and from elsewhere.
    bystanders.talk_while(|| {
        for name in ["calm", "victim0", "victim1"] {
            for from in [HERE, Ipv4Addr::new(127, 0, 9, 9).into()] {
                logs_in(&server, from, name);
            }
        }
    });
    bystanders.talk_until(|| server.is_back_to(&sockets));
    server.expect_memory(memory, (PASSWORD_THREADS_MAX as u64 * u64::from(PASSWORD_MEMORY_KIB)) << 10);
    bystanders.leave();
    let counts = server.stop();
    assert_eq!(counts.of("wrong_passwords"), answers.wrong);
    assert_eq!(counts.of("attempts_refused"), answers.not_looked_at);
    assert_eq!(counts.of("attempts_delayed"), 0);
}

#[test]
fn while_a_name_is_attacked_from_many_addresses_its_owner_logs_in() {
    let server = Child::start(&NOBODY_EXEMPT);
    let (home, away) = (Ipv4Addr::new(127, 2, 0, 1).into(), Ipv4Addr::new(127, 2, 0, 2).into());
    server.account("victim", "secret");
    logs_in(&server, home, "victim");
    let mut bystanders = Bystanders::paced(&server);
    let networks = ATTEMPTS_OF_NAME_MAX / u32::from(ATTEMPTS_DEFAULT);
    for index in 1..=networks as u8 {
        let mut peer = Peer::of(connect_from([127, 1, 0, index].into(), server.address(Dialect::Line)));
        for _ in 0..ATTEMPTS_DEFAULT {
            peer.send("LOGIN victim guess\n");
            peer.expect("ERR wrong-password\n");
        }
        peer.send("LOGIN victim guess\n");
        peer.expect("ERR too-many-attempts\n");
        bystanders.go_round();
    }
    // From now on guesses wait, and the owner only where it never was.
    let mut last = Peer::of(connect_from([127, 1, 1, 1].into(), server.address(Dialect::Line)));
    last.send("LOGIN victim guess\n");
    logs_in(&server, home, "victim");
    last.expect("ERR wrong-password\n");
    logs_in(&server, away, "victim");
    logs_in(&server, away, "victim");
    bystanders.go_round();
    bystanders.leave();
    let counts = server.stop();
    assert_eq!(counts.of("attempts_delayed"), 2);
    assert_eq!(counts.of("attempts_refused"), u64::from(networks));
    assert_eq!(counts.of("wrong_passwords"), u64::from(ATTEMPTS_OF_NAME_MAX) + 1);
}

/// Connections of one address, each of which logs in to the same account again and again.
const SESSIONS: usize = 60;
const LOGINS: usize = 10;

/// Counts the answers to right passwords.
fn logs_in_again_and_again(mut peer: TypedPeer, answered: &AtomicUsize) {
    for _ in 0..LOGINS {
        peer.send(Request::LoginName("eve"));
        peer.send(Request::LoginPassword(Secret("secret")));
    }
    while let Some(told) = peer.next_or_end() {
        if matches!(told, Told::LoggedIn(_)) {
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn right_passwords_of_one_address_hold_up_nobody_elses() {
    let server = Child::start(&NOBODY_EXEMPT);
    for name in ["eve", "ann", "bob", "cem"] {
        server.account(name, "secret");
    }
    let mut bystanders = Bystanders::paced(&server);
    let answered = AtomicUsize::new(0);
    let counts = thread::scope(|scope| {
        for _ in 0..SESSIONS {
            let eve = TypedPeer::connect_from(&server, [127, 2, 0, 1].into(), TagSet::InUse);
            scope.spawn(|| logs_in_again_and_again(eve, &answered));
        }
        let answers = || answered.load(Ordering::Relaxed);
        bystanders.talk_until(|| answers() >= 10);
        for (from, name) in (2..).zip(["ann", "bob", "cem"]) {
            let before = answers();
            logs_in(&server, [127, 2, 0, from].into(), name);
            let meanwhile = answers() - before;
            assert!(meanwhile < SESSIONS / 2, "{name} logged in behind {meanwhile} others");
        }
        // All that is left waits for its address, and ends with the server.
        assert!(answers() < SESSIONS * LOGINS);
        bystanders.go_round();
        bystanders.leave();
        server.stop()
    });
    assert_eq!(counts.of("attempts_refused") + counts.of("wrong_passwords"), 0);
}

/// Guesses at the password of an account from a session that is logged in to it, such as an unattended
/// terminal.
#[test]
fn guesses_by_the_commands_of_accounts_are_held_to_the_same_limits() {
    let server = Child::start(&NOBODY_EXEMPT);
    server.account("victim", "secret");
    let mut bystanders = Bystanders::paced(&server);
    for (index, command) in (1..).zip(["PASSWD guess new", "UNREGISTER guess"]) {
        let mut peer = Peer::of(connect_from([127, 3, 0, index].into(), server.address(Dialect::Line)));
        peer.send("LOGIN victim secret\n");
        peer.expect("OK\n");
        peer.send(format!("{command}\n").repeat(TRIES));
        for tried in 0..TRIES {
            let is_looked_at = tried < usize::from(ATTEMPTS_DEFAULT);
            peer.expect(if is_looked_at { "ERR wrong-password\n" } else { "ERR too-many-attempts\n" });
        }
        bystanders.go_round();
    }
    logs_in(&server, HERE, "victim");
    bystanders.leave();
    let counts = server.stop();
    assert_eq!(counts.of("wrong_passwords"), 2 * u64::from(ATTEMPTS_DEFAULT));
    assert_eq!(counts.of("attempts_refused"), 2 * (TRIES as u64 - u64::from(ATTEMPTS_DEFAULT)));
}
