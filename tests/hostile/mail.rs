//! A network that fills the mailbox of one person, without accounts and with new ones.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;

use parlance::limits::{MAIL_BYTES_AROUND, MAILBOX_BYTES_MAX, MAILBOX_UNKNOWN_BYTES_MAX, TEXT_BYTES_MAX};
use parlance::wire::Dialect;
use parlance::wire::typed::{Request, TagSet};

use crate::bystanders::Bystanders;
use crate::child::{Child, NOBODY_EXEMPT};
use crate::support::typed::{Told, TypedPeer};
use crate::support::{Peer, connect_from};

const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 1, 0, 1));
/// Sessions without an account, and messages of each: the limit of a session at once. Together they exceed
/// the share of strangers.
const SESSIONS: usize = 16;
const EACH: usize = 60;
/// New accounts, and messages of each.
const ACCOUNTS: usize = 5;
/// Messages that a friend sends during the attack.
const FRIENDLY: usize = 40;

fn person(server: &Child, host: u8, name: &str) -> TypedPeer {
    let mut peer = TypedPeer::connect_from(server, Ipv4Addr::new(127, 2, 0, host).into(), TagSet::InUse);
    peer.log_in(name, "secret");
    peer
}

/// Returns the number of refusals.
fn stranger_floods(server: &Child, name: &str) -> usize {
    let mut peer = Peer::of(connect_from(ATTACKER, server.address(Dialect::Line)));
    peer.send(format!("LOGIN {name}\n"));
    peer.line_where(|line| line == "OK");
    let text = "y".repeat(TEXT_BYTES_MAX - 10);
    peer.send(format!("DM ann {text}\n").repeat(EACH) + "PING\n");
    let mut refused = 0;
    loop {
        let line = peer.long_line();
        refused += usize::from(line == "ERR mailbox-full-for-strangers");
        if line == "PONG" {
            return refused;
        }
    }
}

/// Returns the number of messages that an account was told are kept.
fn account_floods(server: &Child, name: &str) -> usize {
    let mut peer = TypedPeer::connect_from(server, ATTACKER, TagSet::InUse);
    peer.log_in(name, "secret");
    let content = "y".repeat(TEXT_BYTES_MAX);
    let kept = |index: usize| {
        let told =
            peer.ask(Request::SendKept { recipient: "ann", content: &content, key: &index.to_string() });
        matches!(told, Told::Kept { .. })
    };
    (0..EACH).map(kept).filter(|&is_kept| is_kept).count()
}

#[test]
fn strangers_and_new_accounts_take_their_shares_and_no_friend_is_refused() {
    let server = Child::start(&NOBODY_EXEMPT);
    let mut bystanders = Bystanders::paced(&server);
    let mut ann = person(&server, 1, "ann");
    let mut friend = person(&server, 2, "friend");
    let mut newcomer = person(&server, 3, "newcomer");
    ann.send(Request::Send { recipient: "friend", content: "hello" });
    assert_eq!(ann.heard(), []);
    let kept = bystanders.talk_while(|| {
        thread::scope(|scope| {
            let server = &server;
            let accounts: Vec<_> = (0..ACCOUNTS)
                .map(|index| scope.spawn(move || account_floods(server, &format!("new{index}"))))
                .collect();
            let strangers: Vec<_> = (0..SESSIONS)
                .map(|index| scope.spawn(move || stranger_floods(server, &format!("s{index}"))))
                .collect();
            for index in 0..FRIENDLY {
                let key = index.to_string();
                let told = friend.ask(Request::SendKept { recipient: "ann", content: "hi", key: &key });
                assert!(matches!(told, Told::Kept { .. }), "{told:?}");
            }
            let refused = strangers.into_iter().map(|one| one.join().expect("each was answered"));
            let refused: usize = refused.sum();
            let taken = SESSIONS * EACH - refused;
            let bytes = taken * (TEXT_BYTES_MAX - 10 + MAIL_BYTES_AROUND);
            assert!(refused > 0 && bytes <= MAILBOX_BYTES_MAX / 8, "{taken} taken");
            let kept = accounts.into_iter().map(|one| one.join().expect("each was answered"));
            taken + kept.sum::<usize>()
        })
    });
    assert!(kept * (TEXT_BYTES_MAX - 10 + MAIL_BYTES_AROUND) <= MAILBOX_UNKNOWN_BYTES_MAX);
    // Of other networks, also without having been written to.
    let told = newcomer.ask(Request::SendKept { recipient: "ann", content: "hi", key: "k" });
    assert!(matches!(told, Told::Kept { .. }), "{told:?}");
    assert_eq!(ann.conversation("friend").len(), FRIENDLY + 1);
    assert_eq!(ann.conversation("newcomer").len(), 1);
    // The owner makes room with one request a sender.
    for index in 0..SESSIONS {
        ann.send(Request::Clear(&format!("s{index}")));
    }
    let strangers = ann.users().into_iter().filter(|(name, unread)| name.starts_with('s') && *unread > 0);
    assert_eq!(strangers.count(), 0);
    assert_eq!(stranger_floods(&server, "s0"), 0);
    bystanders.leave();
    server.stop().expect_closed(&[]);
}
