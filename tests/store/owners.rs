//! Accounts of the same name, one after the other: a later one inherits nothing, however often and in
//! whatever pieces the changes come.

use parlance::chat::{Change, Kept, Op, OpId, PasswordHash, UnixMillis};
use parlance::store::{Reader, Store};

use crate::dealer::hash;
use crate::on_each_store;
use crate::shelf::Shelf;

on_each_store!(
    a_later_account_of_a_name_inherits_nothing,
    groups_that_come_again_give_a_later_account_nothing
);

const START: UnixMillis = UnixMillis(1_700_000_000_000);

fn id(sequence: u16) -> OpId {
    OpId::new(START, sequence, 7)
}

fn op(sequence: u16, change: Change) -> Op {
    Op::new(id(sequence), change)
}

fn made(name: &str, password: u64) -> Change {
    Change::AccountCreated { name: name.into(), password: hash(password), is_unused: true }
}

fn gone(name: &str, account: u16) -> Change {
    Change::AccountDeleted { name: name.into(), account: Some(id(account)) }
}

/// A message, from an account or from a stranger, to an account.
fn mail(
    (sender, sender_account): (&str, Option<u16>),
    (recipient, account): (&str, u16),
    content: &str,
) -> Change {
    Change::MailSent {
        sender: sender.into(),
        sender_has_account: sender_account.is_some(),
        sender_account: sender_account.map(id),
        recipient: recipient.into(),
        recipient_account: Some(id(account)),
        content: content.into(),
        key: None,
    }
}

#[derive(PartialEq, Debug, Default)]
struct Contents {
    accounts: Vec<(String, OpId, PasswordHash, bool)>,
    /// Sender, recipient, text.
    letters: Vec<(Option<OpId>, Option<OpId>, String)>,
}

fn contents(store: &mut dyn Reader) -> Contents {
    let mut contents = Contents::default();
    let visit = &mut |kept| match kept {
        Kept::Account { name, password, id, is_unused } => {
            contents.accounts.push((name.into(), id.expect("an id"), password, is_unused));
        }
        Kept::Letter(letter) => {
            let accounts = (letter.sender_account, letter.recipient_account);
            contents.letters.push((accounts.0, accounts.1, letter.content.into()));
        }
        Kept::Seat { .. } => {}
    };
    store.load(visit).expect("it loads");
    assert_eq!(store.check().expect("it is checked"), [""; 0]);
    contents
}

/// The same at once, after compaction, and after a restart.
fn assert_has(shelf: &Shelf, mut store: Box<dyn Store>, expected: &Contents) -> Box<dyn Store> {
    assert_eq!(contents(&mut *store), *expected);
    store.compact().expect("it is compacted");
    assert_eq!(contents(&mut *store), *expected, "compacted");
    if shelf.is_on_disk() {
        drop(store);
        store = shelf.open();
        assert_eq!(contents(&mut *store), *expected, "opened again");
    }
    store
}

fn account(name: &str, made_by: u16, password: u64, is_unused: bool) -> (String, OpId, PasswordHash, bool) {
    (name.to_owned(), id(made_by), hash(password), is_unused)
}

fn a_later_account_of_a_name_inherits_nothing(shelf: &Shelf) {
    let mut store = shelf.open();
    let stranger = mail(("Bob", None), ("ann", 1), "from a stranger");
    let groups = [
        vec![op(1, made("ann", 1)), op(2, stranger), op(3, made("bob", 2))],
        vec![op(4, mail(("bob", Some(3)), ("ann", 1), "from the first")), op(5, gone("BOB", 3))],
        vec![op(6, made("bob", 3)), op(7, Change::AccountUsed { name: "bob".into(), account: Some(id(3)) })],
    ];
    for group in &groups {
        store.commit(group).expect("it commits");
    }
    let letters = vec![(None, Some(id(1)), "from a stranger".to_owned())];
    let accounts = vec![account("ann", 1, 1, false), account("bob", 6, 3, true)];
    let mut store = assert_has(shelf, store, &Contents { accounts, letters });
    // Changes of the earlier account do not apply to this one.
    let late = [
        Change::PasswordChanged { name: "bob".into(), account: Some(id(3)), password: hash(9) },
        mail(("bob", Some(3)), ("ann", 1), "too late"),
        mail(("ann", Some(1)), ("bob", 3), "too late"),
        gone("bob", 3),
        Change::MailRead { reader: "bob".into(), messages: Box::new([id(2)]) },
        Change::MailDeleted { by: "bob".into(), message: id(2) },
    ];
    let late: Vec<_> = (8..).zip(late).map(|(sequence, change)| op(sequence, change)).collect();
    let before = contents(&mut *store);
    store.commit(&late).expect("it commits");
    let mut store = assert_has(shelf, store, &before);
    store
        .commit(&[op(20, Change::AccountUsed { name: "bob".into(), account: Some(id(6)) })])
        .expect("it commits");
    let mut after = before;
    after.accounts[1].3 = false;
    assert_has(shelf, store, &after);
}

fn groups_that_come_again_give_a_later_account_nothing(shelf: &Shelf) {
    let mut store = shelf.open();
    let password = Change::PasswordChanged { name: "bob".into(), account: Some(id(2)), password: hash(9) };
    let group = [
        op(1, made("ann", 1)),
        op(2, made("bob", 2)),
        op(3, password),
        op(4, mail(("ann", Some(1)), ("bob", 2), "to the first")),
        op(5, gone("bob", 2)),
        op(6, made("bob", 3)),
        op(7, mail(("ann", Some(1)), ("bob", 6), "to the second")),
    ];
    for _ in 0..3 {
        store.commit(&group).expect("it commits");
        // Also a part of it, as it is after a torn end.
        store.commit(&group[2..]).expect("it commits");
        let letters = vec![(Some(id(1)), Some(id(6)), "to the second".to_owned())];
        let accounts = vec![account("ann", 1, 1, false), account("bob", 6, 3, false)];
        store = assert_has(shelf, store, &Contents { accounts, letters });
    }
}
