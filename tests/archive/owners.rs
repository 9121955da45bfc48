//! Whose a seat is after an import, and how old its room.

use parlance::chat::{Change, Kept, Op, OpId, PasswordHash, Seat, Token, UnixMillis};
use parlance::store::Store;

use super::stores::{NOW, contents, import, stores};

const HASH: &str = "$2b$04$x";
const OTHER_HASH: &str = "$2b$04$y";

fn id(number: u64) -> OpId {
    OpId::new(UnixMillis(1_700_000_000_000 + number), 0, 7)
}

fn token(number: u8) -> Token {
    Token::from_random([number; 16])
}

fn account(name: &str, hash: &str) -> Change {
    Change::AccountCreated {
        name: name.into(),
        password: PasswordHash::new(hash).expect("a hash"),
        is_unused: false,
    }
}

fn seat(name: &str, number: u8) -> Seat {
    Seat { name: name.into(), token: token(number), ip: [192, 0, 2, 1].into() }
}

fn made(room: &str, name: &str, number: u8) -> Change {
    Change::RoomMade { room: room.into(), host: seat(name, number) }
}

fn taken(room: &str, name: &str, number: u8) -> Change {
    Change::SeatTaken { room: room.into(), seat: seat(name, number) }
}

fn said(room: &str, text: &str) -> Change {
    Change::Said { room: room.into(), sender: "ann".into(), text: text.into() }
}

/// Commits changes, each a millisecond after the one before.
fn commit(store: &mut dyn Store, first: u64, changes: impl IntoIterator<Item = Change>) -> Vec<Op> {
    let ops: Vec<_> = (first..).zip(changes).map(|(number, change)| Op::new(id(number), change)).collect();
    store.commit(&ops).expect("committed");
    ops
}

/// The names of those who have seats, by room.
fn seated(store: &mut dyn Store) -> Vec<(String, String)> {
    let mut seats: Vec<_> = contents(store).seats.into_iter().map(|seat| (seat.0, seat.1)).collect();
    seats.sort();
    seats
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(room, name)| (room.to_owned(), name.to_owned())).collect()
}

fn texts(store: &mut dyn Store, room: &str) -> Vec<String> {
    let history = store.history(room, None, 99).expect("read");
    history.into_iter().map(|message| message.text.into()).collect()
}

fn exported(changes: Vec<Change>) -> Vec<u8> {
    let (_, mut store, _directory) = stores().remove(0);
    commit(&mut *store, 1, changes);
    let mut out = Vec::new();
    parlance::archive::export_jsonl(&mut *store, &mut out).expect("exported");
    out
}

#[test]
fn an_account_ends_the_seats_that_were_taken_under_its_name_before() {
    let accounts = format!(r#"{{"zoe":"{HASH}","ann":"{HASH}"}}"#);
    for (kind, mut store, _directory) in stores() {
        let changes = [
            account("ann", HASH),
            taken("lobby", "ann", 1),
            taken("lobby", "Zoe", 2),
            made("den", "ZOE", 3),
            taken("den", "bob", 4),
            said("den", "hello"),
        ];
        commit(&mut *store, 1, changes);
        let (report, _) = import(&mut *store, &[("accounts.json", accounts.as_bytes())]);
        assert_eq!((report.taken.accounts, report.there.accounts, report.ended_seats), (1, 1, 2), "{kind}");
        assert!(report.to_string().contains("seats ended, because their names have accounts now: 2"));
        // The departed host's room stays, with its guests and their messages.
        assert_eq!(seated(&mut *store), pairs(&[("den", "bob"), ("lobby", "ann")]), "{kind}");
        assert_eq!(texts(&mut *store, "den"), ["hello"], "{kind}");
        let (again, ops) = import(&mut *store, &[("accounts.json", accounts.as_bytes())]);
        assert_eq!((again.ended_seats, ops), (0, 0), "{kind}");
    }
}

#[test]
fn a_seat_is_taken_for_the_account_that_it_was_proved_for_and_no_other() {
    // On the other server ann has an account, bob has none.
    let other = exported(vec![account("ann", HASH), taken("lobby", "ann", 1), taken("lobby", "bob", 2)]);
    for (kind, mut store, _directory) in stores() {
        let (report, _) = import(&mut *store, &[("x", &other)]);
        assert_eq!(report.taken.seats, 2, "{kind}: the same accounts");
    }
    for (kind, mut store, _directory) in stores() {
        commit(&mut *store, 1, [account("ann", OTHER_HASH), account("bob", HASH)]);
        let (report, _) = import(&mut *store, &[("x", &other)]);
        assert_eq!(report.taken.seats, 0, "{kind}: ann and bob are other people here");
        let reason = "the name has an account, and nobody proved it for this seat";
        assert_eq!(report.left[reason].count, 2, "{kind}");
    }
}

#[test]
fn a_log_tells_which_seats_are_from_before_the_account() {
    let line = |operation: &str, rest: &str| format!("{{\"operation\":\"{operation}\",{rest}}}\n");
    let seat = |name: &str, number: u8| {
        let token = token(number).reveal();
        let rest = format!(r#""room":"lobby","name":"{name}","token":"{}","ip":"192.0.2.1""#, token.as_str());
        line("seat-taken", &rest)
    };
    let account = |name: &str| line("account-created", &format!(r#""name":"{name}","password":"{HASH}""#));
    let deleted = line("account-deleted", r#""name":"carol""#);
    let log = [
        seat("zoe", 1),
        account("Zoe"),
        account("ann"),
        seat("ann", 2),
        line("password-changed", &format!(r#""name":"ann","password":"{OTHER_HASH}""#)),
        account("carol"),
        seat("Carol", 3),
        deleted,
    ];
    for (kind, mut store, _directory) in stores() {
        let (report, _) = import(&mut *store, &[("log.jsonl", log.concat().as_bytes())]);
        assert_eq!(report.taken.accounts, 2, "{kind}");
        assert_eq!(seated(&mut *store), pairs(&[("lobby", "ann")]), "{kind}: {report}");
    }
}

#[test]
fn a_room_that_closes_after_an_import_takes_what_it_took_before() {
    let changes = vec![said("den", "before"), made("den", "hanna", 1), said("den", "since")];
    let log = exported(changes);
    let close = |store: &mut dyn Store| {
        let mut room_made = None;
        store
            .load(&mut |kept| {
                if let Kept::Seat { made, .. } = kept {
                    room_made = made;
                }
            })
            .expect("loaded");
        let op = Op::new(OpId::new(NOW, 9, 0), Change::RoomClosed { room: "den".into(), made: room_made });
        store.commit(&[op]).expect("committed");
    };
    for (kind, mut store, _directory) in stores() {
        import(&mut *store, &[("x", &log)]);
        close(&mut *store);
        assert_eq!(texts(&mut *store, "den"), ["before"], "{kind}");
    }
    // What others have said here since then was not said in that room.
    for (kind, mut store, _directory) in stores() {
        commit(&mut *store, 100, [said("den", "ours")]);
        import(&mut *store, &[("x", &log)]);
        close(&mut *store);
        assert!(texts(&mut *store, "den").contains(&"ours".to_owned()), "{kind}");
        assert_eq!(store.check().expect("checked"), [""; 0], "{kind}");
    }
}

#[test]
fn a_log_with_a_closed_room_has_what_was_said_before_it() {
    let (_, mut store, directory) = stores().remove(2);
    let changes = [said("den", "before"), made("den", "hanna", 1), said("den", "since")];
    let made = commit(&mut *store, 1, changes)[1].id;
    commit(&mut *store, 10, [Change::RoomClosed { room: "den".into(), made: Some(made) }]);
    let log = std::fs::read(directory.path().join("kept/log.jsonl")).expect("a log");
    for (kind, mut store, _directory) in stores() {
        let (report, _) = import(&mut *store, &[("log.jsonl", &log)]);
        assert_eq!((report.taken.room_messages, report.gone, report.taken.seats), (1, 1, 0), "{kind}");
        assert_eq!(texts(&mut *store, "den"), ["before"], "{kind}");
    }
}
