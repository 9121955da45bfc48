//! Who tries passwords, as many as it can.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;

use parlance::limits::{ATTEMPTS_DEFAULT, PASSWORD_MEMORY_KIB, PASSWORD_THREADS_MAX};
use parlance::wire::Dialect;
use parlance::wire::tcrp::{Operation, Refusal};
use parlance::wire::typed::TagSet;

use crate::bystanders::Bystanders;
use crate::child::Child;
use crate::support::seat::{HERE, shake};
use crate::support::typed::{Told, TypedPeer};
use crate::support::{Peer, connect_from};

const ACCOUNTS: usize = 3;
/// Of each dialect, from as many addresses.
const ATTACKERS: u8 = 10;
const TRIES: usize = 50;

/// What an attacker was told.
#[derive(Clone, Copy, Default)]
struct Answers {
    wrong: u64,
    not_looked_at: u64,
}

fn victim(index: usize) -> String {
    format!("victim{}", index % ACCOUNTS)
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

#[test]
fn of_a_storm_of_wrong_passwords_few_are_looked_at_and_nobody_else_waits() {
    let server = Child::start(&[]);
    for index in 0..ACCOUNTS {
        server.account(&victim(index), "secret");
    }
    server.account("calm", "secret");
    let mut bystanders = Bystanders::new(&server);
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
    // For each name so many, however many addresses they came from.
    assert_eq!(answers.wrong, u64::from(ATTEMPTS_DEFAULT) * ACCOUNTS as u64);
    // Who is none of the victims logs in, from where nobody guessed.
    let mut calm = server.connect(Dialect::Line);
    calm.send("LOGIN calm secret\n");
    calm.expect("OK\n");
    drop(calm);
    assert!(shake(&server, HERE, (Operation::Join, "lobby"), ("victim0", Some("secret"))).is_err());
    bystanders.talk_until(|| server.is_back_to(&sockets));
    server.expect_memory(memory, (PASSWORD_THREADS_MAX as u64 * u64::from(PASSWORD_MEMORY_KIB)) << 10);
    bystanders.leave();
    let counts = server.stop();
    assert_eq!(counts.of("wrong_passwords"), answers.wrong);
    assert_eq!(counts.of("attempts_refused"), answers.not_looked_at + 1);
}
