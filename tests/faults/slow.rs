//! Commits that take long.

use parlance::chat::Secret;
use parlance::limits::{STORE_QUEUE_BYTES_MAX, STORE_RESERVE_DIVISOR, TEXT_BYTES_MAX};
use parlance::wire::tcrp::{Operation, Refusal};
use parlance::wire::typed::{Request, TagSet};

use crate::injected::{is_well_again, send_kept, served, typed};
use crate::support::seat::{HERE, shake};
use crate::support::typed::{Told, TypedPeer};

const BUSY: &str = "busy; try again later";

#[test]
fn acknowledgements_wait_and_come_in_order() {
    const COUNT: usize = 50;
    let (server, faults) = served();
    let mut alice = typed(&server, "alice");
    let mut bob = typed(&server, "bob");
    bob.send(Request::Subscribe(true));
    assert_eq!(bob.heard(), []);
    let [mut erin, mut frank] = ["erin", "frank"].map(|name| server.line(name));
    faults.stalls();
    let keys: Vec<_> = (0..COUNT).map(|index| format!("key {index}")).collect();
    for key in &keys {
        alice.send(send_kept("bob", key));
    }
    alice.send(Request::ListUsers);
    faults.is_met();
    for key in &keys {
        assert!(matches!(bob.next(), Told::Arrived(letter) if letter.content == *key), "live does not wait");
    }
    erin.send("MSG hi\n");
    frank.expect("MSG erin hi\n");
    assert_eq!(bob.users(), [("alice".to_owned(), COUNT as u32), ("bob".to_owned(), 0)], "nobody else waits");
    assert!(alice.has_heard_nothing());
    assert_eq!(faults.summary(), ["alice", "bob"]);
    faults.ends();
    for key in &keys {
        assert!(matches!(alice.next(), Told::Kept(sent, _) if sent == *key));
    }
    assert!(matches!(alice.next(), Told::Users(_)));
    assert_eq!(faults.kept().len(), 2 + COUNT);
    assert_eq!(server.stop().metrics.promises_broken, 0);
}

#[test]
fn more_than_may_wait_is_refused() {
    /// Requests of one connection: the number that the server reads from an unanswered connection, and that
    /// fits into one sender's share of a mailbox.
    const REQUESTS: usize = 400;
    let (server, faults) = served();
    let mut alice = typed(&server, "alice");
    // As long as a line can carry it.
    let text = "x".repeat(TEXT_BYTES_MAX - 100);
    let chat_bytes = STORE_QUEUE_BYTES_MAX / STORE_RESERVE_DIVISOR;
    let mail_bytes = STORE_QUEUE_BYTES_MAX - chat_bytes;
    let names: Vec<_> =
        (0..=mail_bytes / text.len() / REQUESTS).map(|index| format!("user{index}")).collect();
    let mut senders: Vec<_> = names.iter().map(|name| typed(&server, name)).collect();
    let mut erin = server.line("erin");
    faults.stalls();
    // What is said may fill a part of the queue; what is said beyond that is not kept.
    let said = chat_bytes / text.len() + REQUESTS;
    for _ in 0..said {
        erin.send(format!("MSG {text}\n"));
    }
    erin.send("PING\n");
    erin.expect("PONG\n");
    faults.is_met();
    // Mail fills the rest.
    for (index, sender) in senders.iter_mut().enumerate() {
        let recipient = &names[(index + 1) % names.len()];
        for _ in 0..REQUESTS {
            sender.send(Request::Send { recipient, content: &text });
        }
    }
    // Their answers wait. Somebody whose dialect promises nothing hears at once that it was too much.
    while {
        erin.send("DM user0 hi\nPING\n");
        erin.line() == "PONG"
    } {}
    erin.expect("PONG\n");
    assert_eq!(alice.ask_error(send_kept("alice", "too much")), BUSY);
    assert_eq!(shake(&server, HERE, (Operation::Create, "den"), ("dave", None)), Err(Refusal::Busy));
    let mut newcomer = TypedPeer::connect(&server, TagSet::InUse);
    assert_eq!(newcomer.ask(Request::LoginName("newcomer")), Told::New);
    assert_eq!(newcomer.ask_error(Request::LoginPassword(Secret("secret"))), BUSY);
    faults.ends();
    is_well_again(&mut alice, "alice", "after");
    let kept = faults.said().len();
    assert!(kept < said && kept > said / 2, "{kept} of {said}");
    drop((senders, newcomer));
    let metrics = server.stop().metrics;
    assert_eq!(metrics.history_unkept, (said - kept) as u64);
    assert_eq!(metrics.store_failures, 0, "it was slow, and did not fail");
}
