//! Sessions of one network that ask for long lists, again and again, and do not read them.

use parlance::chat::CloseReason;
use parlance::limits::ANSWER_BYTES_MAX;
use parlance::wire::typed::{Request, TagSet};

use crate::bystanders::Bystanders;
use crate::child::{Child, NOBODY_EXEMPT};
use crate::support::seat::ELSEWHERE;
use crate::support::typed::{Told, TypedPeer};

/// More than a list holds: each one is as long as a reply may be, a MiB.
const ACCOUNTS: usize = 46_000;
const SESSIONS: u64 = 50;
/// Lists that each session asks for, within its limits. No buffer of the kernel holds as many.
const LISTS: usize = 100;

#[test]
fn fifty_sessions_of_a_network_that_ask_for_long_lists_and_do_not_read_hold_nobody_up() {
    let server = Child::start_with_accounts(ACCOUNTS, &NOBODY_EXEMPT);
    let mut bystanders = Bystanders::paced(&server);
    let (memory, sockets) = (server.resident_bytes_high(), server.sockets());
    server.account("eve", "secret");
    let mut sessions: Vec<_> = bystanders.talk_while(|| {
        let log_in = |_| {
            let mut session = TypedPeer::connect_from(&server, ELSEWHERE, TagSet::InUse);
            let told = session.try_log_in("eve", "secret");
            assert!(matches!(told, Told::LoggedIn(_)), "{told:?}");
            session
        };
        (0..SESSIONS).map(log_in).collect()
    });
    for session in &mut sessions {
        for _ in 0..LISTS {
            session.send(Request::ListUsers);
        }
    }
    // The lists stay unfinished, because no client reads them.
    for _ in 0..20 {
        bystanders.go_round();
    }
    server.expect_memory(memory, SESSIONS * ANSWER_BYTES_MAX as u64);
    // They read: each list is whole.
    let list = sessions[0].next();
    let Told::Users(users) = &list else { panic!("{list:?}") };
    assert!(users.len() < ACCOUNTS && users.len() > ACCOUNTS / 2, "{} accounts", users.len());
    for session in &mut sessions[1..5] {
        assert!(session.next() == list, "all are told the same");
    }
    bystanders.go_round();
    for session in sessions {
        session.reset();
    }
    bystanders.talk_until(|| server.is_back_to(&sockets));
    bystanders.leave();
    server.stop().expect_closed(&[(CloseReason::PeerReset, SESSIONS)]);
}
