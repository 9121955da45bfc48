//! Readers beside a writer, in another thread: whoever looks finds the store well, whatever the writer does just then.

use std::thread;

use parlance::chat::{Change, Kept, Op};
use parlance::store::{Reader, StoreError, StoreSpec, open_reader};

use crate::dealer::{Dealer, hash};
use crate::on_each_store;
use crate::shelf::Shelf;

on_each_store!(whoever_looks_finds_it_well);

const GROUPS: usize = 200;
const COMPACTED_EACH: usize = 25;

/// A letter, something said, another letter, and something said again.
fn group(dealer: &mut Dealer, number: usize) -> Vec<Op> {
    let text: Box<str> = format!("hello {number} {}", "x".repeat(2000)).into();
    let letter = Change::MailSent {
        sender: "alice".into(),
        sender_has_account: true,
        sender_account: None,
        recipient: "alice".into(),
        recipient_account: None,
        content: text.clone(),
        key: None,
    };
    let said = Change::Said { room: "den".into(), sender: "alice".into(), text };
    [letter.clone(), said.clone(), letter, said].map(|change| dealer.op(change)).into()
}

/// How many letters a reader finds. `whole_groups`: it never finds a part of one. (A log is written line by line, and read up
/// to the last whole one.)
fn look(reader: &mut dyn Reader, whole_groups: bool) -> Result<usize, StoreError> {
    assert_eq!(reader.check()?, [""; 0]);
    let mut letters = 0;
    reader.load(&mut |kept| letters += usize::from(matches!(kept, Kept::Letter(_))))?;
    let said = reader.history("den", None, usize::MAX)?;
    let found = reader.search("HELLO", usize::MAX)?;
    // Asked later, it may know more.
    assert!(found.len() >= said.len() && said.len() + 1 >= letters);
    assert!(said.windows(2).all(|pair| pair[0].sequence + 1 == pair[1].sequence));
    if whole_groups {
        assert_eq!((letters % 2, said.len() % 2, found.len() % 2), (0, 0, 0), "half a group");
    }
    Ok(letters)
}

fn whoever_looks_finds_it_well(shelf: &Shelf) {
    if !shelf.is_on_disk() {
        return;
    }
    let mut store = shelf.open();
    let mut dealer = Dealer::new(1);
    let account = Change::AccountCreated { name: "alice".into(), password: hash(1), is_unused: false };
    store.commit(&[dealer.op(account)]).expect("it commits");
    let writer = thread::spawn(move || {
        for number in 1..=GROUPS {
            store.commit(&group(&mut dealer, number)).expect("it commits");
            if number % COMPACTED_EACH == 0 {
                store.compact().expect("it compacts");
            }
        }
    });
    let (mut before, mut looks) = (0, 0);
    loop {
        let is_done = writer.is_finished();
        let mut reader = open_reader(&shelf.spec).expect("it is there");
        let now = look(reader.as_mut(), matches!(shelf.spec, StoreSpec::Sqlite(_))).expect("it can be read");
        assert!(now >= before, "{now} letters, where {before} were");
        (before, looks) = (now, looks + 1);
        if is_done {
            break;
        }
    }
    writer.join().expect("it wrote");
    assert_eq!(before, 2 * GROUPS, "after {looks} looks");
}
