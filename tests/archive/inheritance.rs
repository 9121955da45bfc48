//! Names that had several owners: what a later one has after an export and an import.

use parlance::archive::{Plan, export_jsonl};
use parlance::chat::{Change, Kept, Op, OpId, PasswordHash, UnixMillis};
use parlance::store::{Reader, Store};

use crate::stores::{import, plan, stores};

fn account(name: &str, is_unused: bool) -> Change {
    let password = PasswordHash::new("$2b$04$x").expect("a hash");
    Change::AccountCreated { name: name.into(), password, is_unused }
}

fn mail(sender: &str, sender_has_account: bool, recipient: &str, content: &str) -> Change {
    Change::MailSent {
        sender: sender.into(),
        sender_has_account,
        sender_account: None,
        recipient: recipient.into(),
        recipient_account: None,
        content: content.into(),
        key: None,
    }
}

fn gone(name: &str) -> Change {
    Change::AccountDeleted { name: name.into(), account: None }
}

fn commit(store: &mut dyn Store, at: u64, changes: impl IntoIterator<Item = Change>) {
    let id = |sequence| OpId::new(UnixMillis(1_700_000_000_000 + at), sequence, 7);
    let ops: Vec<_> = (0..).zip(changes).map(|(sequence, change)| Op::new(id(sequence), change)).collect();
    store.commit(&ops).expect("it commits");
}

/// Each with something that is so, or not.
type Marked = Vec<(String, bool)>;

/// The accounts with whether they are unused, and the letters with whether an account sent them. And the ids.
fn contents(store: &mut dyn Reader) -> (Marked, Marked, Vec<OpId>) {
    let (mut accounts, mut letters, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    let visit = &mut |kept| match kept {
        Kept::Account { name, id, is_unused, .. } => {
            accounts.push((String::from(name), is_unused));
            ids.push(id.expect("each has one"));
        }
        Kept::Letter(letter) => letters.push((letter.content.into(), letter.sender_account.is_some())),
        Kept::Seat { .. } => {}
    };
    store.load(visit).expect("it loads");
    (accounts, letters, ids)
}

#[test]
fn an_account_inherits_nothing_over_an_export_and_an_import() {
    for (kind, mut store, _directory) in stores() {
        let changes = [
            account("ann", false),
            mail("bob", false, "ann", "from a stranger"),
            account("bob", false),
            mail("bob", true, "ann", "from the first"),
            mail("ann", true, "bob", "to the first"),
            gone("BOB"),
            account("bob", true),
        ];
        commit(&mut *store, 0, changes);
        let accounts = vec![("ann".to_owned(), false), ("bob".to_owned(), true)];
        let letters = vec![("from a stranger".to_owned(), false)];
        let (there, sent, ids) = contents(&mut *store);
        assert_eq!((&there, &sent), (&accounts, &letters), "{kind}");
        let mut log = Vec::new();
        export_jsonl(&mut *store, &mut log).expect("exported");
        for (other, mut copy, _directory) in stores() {
            import(&mut *copy, &[("log.jsonl", &log)]);
            let (there, sent, others) = contents(&mut *copy);
            assert_eq!((there, sent), (accounts.clone(), letters.clone()), "{kind} to {other}");
            assert!(others.iter().all(|id| !ids.contains(id)), "an id is never used again: {others:?}");
            // The one of the name after that has nothing either, and the same file brings nothing.
            commit(&mut *copy, 200_000_000_000, [gone("bob"), account("bob", false)]);
            let Plan { ops, .. } = plan(&mut *copy, &[("log.jsonl", &log)]);
            assert_eq!(ops, [], "{kind} to {other}");
        }
    }
}

/// A log as it was written, not as it is exported: with the deletions in it.
#[test]
fn of_a_log_with_deletions_an_account_gets_nothing_that_was_its_predecessors() {
    let log = r#"{"operation":"format","version":1}
{"operation":"account-created","id":"018bcfe5-6800-7000-8000-000000000001","timestamp":1700000000.000,"name":"ann","password":"$2b$04$x"}
{"operation":"account-created","id":"018bcfe5-6800-7001-8000-000000000001","timestamp":1700000000.000,"name":"Bob","password":"$2b$04$x"}
{"id":"018bcfe5-6800-7002-8000-000000000001","timestamp":1700000000.000,"sender":"BOB","recipient":"ann","content":"from the first"}
{"id":"018bcfe5-6800-7003-8000-000000000001","timestamp":1700000000.000,"sender":"ann","recipient":"Bob","content":"to the first"}
{"id":"018bcfe5-6800-7004-8000-000000000001","timestamp":1700000000.000,"sender":"bob","recipient":"ann","content":"from a stranger","sender_has_account":false}
{"operation":"account-deleted","id":"018bcfe5-6800-7005-8000-000000000001","timestamp":1700000000.000,"name":"bob"}
{"operation":"account-created","id":"018bcfe5-6800-7006-8000-000000000001","timestamp":1700000000.000,"name":"bob","password":"$2b$04$y","unused":true}
{"operation":"account-used","id":"018bcfe5-6800-7007-8000-000000000001","timestamp":1700000000.000,"name":"BOB","account":"018bcfe5-6800-7006-8000-000000000001"}
"#;
    for (kind, mut store, _directory) in stores() {
        let (report, _) = import(&mut *store, &[("log.jsonl", log.as_bytes())]);
        assert!(report.left.is_empty(), "{kind}: {report:?}");
        let (accounts, letters, _) = contents(&mut *store);
        assert_eq!(accounts, [("ann".to_owned(), false), ("bob".to_owned(), false)], "{kind}");
        assert_eq!(letters, [("from a stranger".to_owned(), false)], "{kind}");
    }
}
