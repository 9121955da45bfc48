//! Names that look alike: which are the same, which are none, and which are others, though they look alike.

use std::net::Ipv4Addr;

use parlance::chat::Secret;
use parlance::config::TcrpNames;
use parlance::wire::Dialect;
use parlance::wire::gob::Kind;
use parlance::wire::tcrp::{Operation, Refusal};
use parlance::wire::typed::{Request, TagSet};

use crate::bystanders::Bystanders;
use crate::child::{Child, NOBODY_EXEMPT};
use crate::support::gob::{GobPeer, Struct};
use crate::support::person::{IN_ROOMS, Person};
use crate::support::seat::{ELSEWHERE, shake};
use crate::support::typed::{Told, TypedPeer};
use crate::support::{Peer, TestServer, connect_from};

const GREETING: &str = "Welcome to the chat server!\nEnter your nickname: ";

/// A name, and those that are the same.
const SAME: [(&str, &[&str]); 4] = [
    // Case, and width.
    ("paypal", &["PayPal", "PAYPAL", "\u{ff50}aypal", "\u{ff30}\u{ff21}\u{ff39}\u{ff30}\u{ff21}\u{ff2c}"]),
    // Composition.
    ("zo\u{eb}", &["zoe\u{308}", "ZO\u{cb}", "ZOE\u{308}"]),
    ("\u{e5}sa", &["a\u{30a}sa", "\u{c5}SA", "A\u{30a}SA"]),
    // Case, in other scripts.
    (
        "\u{43f}\u{451}\u{442}\u{440}",
        &["\u{41f}\u{401}\u{422}\u{420}", "\u{43f}\u{435}\u{308}\u{442}\u{440}"],
    ),
];

/// What is no name: it has something in it that is not seen, or a sign in the place of a letter.
const NONE: [&str; 14] = [
    "pay\u{200b}pal",
    "pay\u{200d}pal",
    "pay\u{2060}pal",
    "pay\u{feff}pal",
    "pay\u{ad}pal",
    "pay\u{34f}pal",
    "pay\u{202e}pal",
    "paypal\u{fe0f}",
    "paypa\u{2113}",
    "\u{1d429}aypal",
    "payp\u{aa}l",
    "pay\u{a0}pal",
    // The signs of the kelvin and of the ångström.
    "\u{212a}arl",
    "\u{212b}sa",
];

/// What looks like `paypal`, and is another name: docs/protocols.md says so.
const OTHERS: [&str; 5] = [
    // Cyrillic for the a, in one place or all; Latin letters that are alike.
    "p\u{430}ypal",
    "\u{440}\u{430}\u{443}\u{440}\u{430}l",
    "paypa1",
    "paypaI\u{307}",
    "p\u{251}ypal",
];

/// Asks for a name in each dialect that can carry it, while somebody has one that is the same.
fn expect_taken(server: &TestServer, name: &str) {
    let mut line = server.connect(Dialect::Line);
    line.send(format!("LOGIN {name}\n"));
    line.expect("ERR username-taken\n");
    // Of slash, only ASCII is a name.
    let why = if name.is_ascii() {
        "Registration failed: Nickname already taken\n"
    } else {
        "Invalid nickname: Nickname can only contain letters, numbers, underscore and dash\n"
    };
    let mut slash = server.connect(Dialect::Slash);
    slash.send(format!("{name}\n"));
    slash.expect(GREETING);
    assert_eq!(slash.rest(), why, "{name}");
    assert_eq!(shake(server, ELSEWHERE, (Operation::Join, "lobby"), (name, None)), Err(Refusal::NameTaken));
    assert_eq!(shake(server, ELSEWHERE, (Operation::Create, "den"), (name, None)), Err(Refusal::NameTaken));
    let mut typed = TypedPeer::connect(server, TagSet::InUse);
    assert_eq!(typed.ask(Request::LoginName(name)), Told::Known);
    assert_eq!(typed.ask(Request::LoginPassword(Secret("secret"))), Told::Failed, "{name}");
    let mut gob = GobPeer::connect(server, name);
    gob.send(Kind::Join, "");
    gob.expect(Kind::Text, "server", &format!("your name here is {name}~2"));
    gob.send(Kind::Leave, "");
    gob.expect_end();
}

#[test]
fn a_name_that_differs_in_case_width_or_composition_is_the_same_in_all_dialects() {
    for dialect in IN_ROOMS {
        for (name, alike) in SAME {
            if dialect == Dialect::Slash && !name.is_ascii() {
                continue;
            }
            // One in which nobody is told of those before.
            let server = TestServer::start();
            let mut holder = Person::in_lobby(&server, dialect, name);
            for other in alike {
                expect_taken(&server, other);
            }
            holder.heard();
        }
    }
}

#[test]
fn a_name_with_something_in_it_that_is_not_seen_is_none_in_all_dialects() {
    let server = TestServer::start();
    let strict = TestServer::with(|config| config.tcrp_names = TcrpNames::Strict);
    let mut holder = server.line("paypal");
    for name in NONE {
        let mut line = server.connect(Dialect::Line);
        line.send(format!("LOGIN {name}\n"));
        assert!(line.line().starts_with("ERR invalid-username names are 1 to 32 bytes"), "{name:?}");
        let mut slash = server.connect(Dialect::Slash);
        slash.send(format!("{name}\n"));
        slash.expect(GREETING);
        assert!(slash.rest().starts_with("Invalid nickname: "), "{name:?}");
        // Nor here: the answer to its first datagram has the name.
        assert!(shake(&server, ELSEWHERE, (Operation::Join, "lobby"), (name, None)).is_ok(), "{name:?}");
        let strict_answer = shake(&strict, ELSEWHERE, (Operation::Join, "lobby"), (name, None));
        assert_eq!(strict_answer, Err(Refusal::BadName));
        let mut typed = TypedPeer::connect(&server, TagSet::InUse);
        typed.ask_error(Request::LoginName(name));
        // Nobody can be refused here: it gets a name in which that is seen.
        let mut gob = GobPeer::connect(&server, name);
        gob.send(Kind::Join, "");
        let told = gob.next();
        assert!(told.content.starts_with("your name here is ") && told.content.contains('_'), "{told:?}");
        gob.send(Kind::Leave, "");
        gob.expect_end();
    }
    holder.send("PING\n");
    holder.read_until("PONG\n");
}

#[test]
fn a_name_of_letters_that_only_look_alike_is_another() {
    let server = TestServer::start();
    let mut holder = server.line("paypal");
    for (index, name) in OTHERS.into_iter().enumerate() {
        let mut line = server.line(name);
        line.send(format!("MSG it is {index}\n"));
        holder.line_where(|line| line == format!("MSG {name} it is {index}"));
        line.send("DM paypal who am I?\nPING\n");
        line.read_until("PONG\n");
        // Who it is from is another name than one's own, for a program at least.
        holder.line_where(|line| line == format!("DM {name} who am I?"));
    }
}

const LOOK_ALIKE: &str = "the name looks like one that is reserved or has an account";

#[test]
fn nobody_makes_an_account_whose_name_looks_like_another_in_any_dialect() {
    let server = TestServer::start();
    server.account("paypal", "secret");
    let mut bystander = server.line("calm");
    let alike = OTHERS.into_iter().take(3).chain(["PAYPA1", "adm1n", "rn0derator", "r00t"]);
    for (index, name) in alike.enumerate() {
        // As a stranger's, the name is one like any other.
        let mut line = server.line(name);
        line.send("REGISTER secret\nPING\n");
        line.expect(&format!("ERR invalid-username {LOOK_ALIKE}\nPONG\n"));
        drop(line);
        let mut typed = TypedPeer::connect(&server, TagSet::InUse);
        let made = format!("nobody{}", char::from(b'a' + index as u8));
        for (name, is_refused) in [(name, true), (made.as_str(), false)] {
            match typed.try_log_in(name, "secret") {
                Told::Error(reason) => assert!(is_refused && reason == LOOK_ALIKE, "{name}: {reason}"),
                Told::Failed if is_refused => {}
                told => assert!(!is_refused, "{name}: {told:?}"),
            }
        }
    }
    bystander.send("PING\n");
    bystander.read_until("PONG\n");
}

/// Names that an attacker holds: those that a search from the lowest number tries first, in steps that double.
const RUNGS: u32 = 17;
/// Addresses of the attacker, each with its own names beside those.
const ADDRESSES: u8 = 4;
/// Names that each address holds, one behind the other.
const HELD: u32 = 40;

#[test]
fn held_numbers_behind_a_name_lock_no_gob_guest_out() {
    let server = Child::start(&NOBODY_EXEMPT);
    let mut bystanders = Bystanders::paced(&server);
    let sockets = server.sockets();
    let holds = |from: u8, number: u32| {
        let from = Ipv4Addr::new(127, 8, 0, from).into();
        let mut peer = Peer::of(connect_from(from, server.address(Dialect::Line)));
        let name = if number == 1 { "guest".to_owned() } else { format!("guest~{number}") };
        peer.send(format!("LOGIN {name}\n"));
        peer.expect("OK\n");
        peer
    };
    let held: Vec<_> = bystanders.talk_while(|| {
        let lowest = (1..=u32::from(ADDRESSES) * HELD).map(|number| (1 + (number % 4) as u8, number));
        let rungs = (8..RUNGS).map(|rung| (5, 1 << rung));
        lowest.chain(rungs).map(|(from, number)| holds(from, number)).collect()
    });
    let guests: Vec<_> = bystanders.talk_while(|| {
        let guest = |_| {
            let mut gob = GobPeer::connect(&server, "guest");
            gob.send(Kind::Join, "");
            // It hears the lobby, too.
            let is_told = |told: &Struct| told.content.starts_with("your name here is guest~");
            while !is_told(&gob.next()) {}
            gob
        };
        (0..10).map(guest).collect()
    });
    for mut gob in guests {
        gob.send(Kind::Leave, "");
        while gob.next_or_end().is_some() {}
    }
    for mut peer in held {
        peer.finish();
        peer.rest();
    }
    bystanders.talk_until(|| server.is_back_to(&sockets));
    bystanders.leave();
    server.stop().expect_closed(&[]);
}
