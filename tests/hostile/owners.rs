//! Attacks on the history of a room by its name, on the session that holds a name, and on the seats of a
//! deleted account.

use std::net::{IpAddr, Ipv4Addr};

use parlance::chat::CloseReason;
use parlance::wire::Dialect;
use parlance::wire::tcrp::{Operation, Refusal};
use parlance::wire::typed::{Request, TagSet};

use crate::bystanders::Bystanders;
use crate::child::{Child, NOBODY_EXEMPT};
use crate::support::seat::{Datum, HERE, Seat, shake};
use crate::support::typed::TypedPeer;
use crate::support::{Peer, connect_from};

fn attacker(index: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 1, 1 + index).into()
}

fn line_login(server: &Child, from: IpAddr, name: &str, password: &str) -> (Peer, String) {
    let mut peer = Peer::of(connect_from(from, server.address(Dialect::Line)));
    peer.send(format!("LOGIN {name} {password}\n"));
    let answer = peer.line();
    (peer, answer)
}

/// The texts that a newcomer to the room is shown.
fn history(server: &Child, name: &str) -> Vec<String> {
    let mut peer = server.slash(name);
    peer.send("/join team\n/history 100\n/msg\n");
    peer.line_where(|line| line == "You joined #team");
    let lines = std::iter::from_fn(|| Some(peer.line()).filter(|line| !line.starts_with("ERROR: Usage")));
    lines.filter_map(|line| Some(line.split_once(": ")?.1.to_owned())).collect()
}

#[test]
fn whoever_makes_and_closes_rooms_of_others_names_erases_nothing_of_theirs() {
    const ATTACKERS: u8 = 8;
    const EACH: usize = 10;
    let server = Child::start(&NOBODY_EXEMPT);
    let mut bystanders = Bystanders::paced(&server);
    let plans: Vec<_> = (0..40).map(|part| format!("the plan, part {part}")).collect();
    let mut ann = server.slash("ann");
    ann.send("/join team\n");
    for plan in &plans {
        ann.send(format!("{plan}\n"));
    }
    ann.line_where(|line| line.ends_with("part 39"));
    ann.send("/quit\n");
    ann.rest();
    bystanders.talk_while(|| {
        for round in 0..EACH {
            for index in 0..ATTACKERS {
                let name = format!("a{index}-{round}");
                let made = shake(&server, attacker(index), (Operation::Create, "team"), (&name, None));
                let host = Seat::with(&server, attacker(index), "team", &made.expect("nobody is in it"));
                let guest = Seat::join_from(&server, attacker(index), "team", &format!("guest-{name}"));
                guest.register();
                host.say("ours now");
                host.leave();
                assert_eq!(guest.next(), Datum::Said(name, "ours now".to_owned()));
                assert_eq!(guest.next(), Datum::Closed);
            }
        }
    });
    assert_eq!(history(&server, "ben"), plans);
    bystanders.leave();
    server.stop();
}

#[test]
fn whoever_guesses_passwords_ends_no_session_and_the_owner_ends_each_once() {
    const LOGINS: u64 = 12;
    let server = Child::start(&NOBODY_EXEMPT);
    server.account("victim", "secret");
    let mut bystanders = Bystanders::paced(&server);
    let sockets = server.sockets();
    let (mut holder, answer) = line_login(&server, attacker(0), "victim", "secret");
    assert_eq!(answer, "OK");
    let replaced = bystanders.talk_while(|| {
        for index in 1..4 {
            let (_, answer) = line_login(&server, attacker(index), "victim", "guess");
            assert_eq!(answer, "ERR wrong-password");
        }
        let guess = shake(&server, attacker(4), (Operation::Join, "lobby"), ("victim", Some("guess")));
        assert_eq!(guess, Err(Refusal::WrongPassword));
        holder.send("PING\n");
        holder.line_where(|line| line == "PONG");
        // Two machines of the owner's that take the name from each other.
        let mut replaced = 0;
        for index in 0..LOGINS {
            let from = attacker(10 + (index % 2) as u8);
            let (peer, answer) = line_login(&server, from, "victim", "secret");
            assert_eq!(answer, "OK");
            let mut before = std::mem::replace(&mut holder, peer);
            before.line_where(|line| line == "ERR replaced");
            assert_eq!(before.rest(), "");
            replaced += 1;
        }
        replaced
    });
    drop(holder);
    bystanders.talk_until(|| server.is_back_to(&sockets));
    bystanders.leave();
    let counts = server.stop();
    assert_eq!(counts.closed_for(CloseReason::Replaced), replaced);
    assert_eq!(counts.closed_for(CloseReason::LoginRefused), 1, "the handshake");
}

#[test]
fn whoever_shares_the_address_of_a_deleted_account_gets_none_of_its_seats() {
    let server = Child::start(&NOBODY_EXEMPT);
    let mut bystanders = Bystanders::paced(&server);
    server.account("victim", "secret");
    let shared = attacker(0);
    let rooms = ["lobby", "den"];
    let guest = shake(&server, shared, (Operation::Join, rooms[0]), ("victim", Some("secret")));
    let host = shake(&server, shared, (Operation::Create, rooms[1]), ("victim", Some("secret")));
    let tokens = [guest.expect("a seat"), host.expect("a room")];
    let den = Seat::join(&server, "den", "bob");
    den.register();
    let mut owner = TypedPeer::connect(&server, TagSet::InUse);
    owner.log_in("victim", "secret");
    owner.send(Request::DeleteAccount);
    assert_eq!(owner.ask_error(Request::ListUsers), "not logged in");
    bystanders.talk_while(|| {
        for (room, old) in rooms.into_iter().zip(tokens) {
            // The old token says nothing, and the address gets a seat of its own.
            Seat::with(&server, shared, room, &old).say("as the victim");
            let new = shake(&server, shared, (Operation::Join, room), ("victim", None)).expect("it is free");
            assert!(new != old, "{room}");
            Seat::with(&server, shared, room, &new).say("as anybody");
        }
    });
    assert_eq!(den.next(), Datum::Said("victim".into(), "as anybody".into()));
    assert_eq!(
        shake(&server, HERE, (Operation::Join, "den"), ("bob", None)),
        Ok(den.token()),
        "the room is open"
    );
    bystanders.leave();
    let counts = server.stop();
    counts.expect_closed(&[(CloseReason::AccountDeleted, 2)]);
    assert_eq!(counts.refused_for("ucrp-unknown-token"), 2);
}
