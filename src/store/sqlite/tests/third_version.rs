//! A file that the third version has written: what version 3 made of that of the first.

use super::*;

/// The accounts of a store, with their ids, and the accounts that its letters are of.
type Accounts = (Vec<(String, OpId, bool)>, Vec<(Option<OpId>, Option<OpId>)>);

fn accounts(reader: &mut dyn Reader) -> Accounts {
    let mut accounts = Accounts::default();
    for kept in loaded(reader) {
        match kept {
            Kept::Account { name, id, is_unused, .. } => {
                accounts.0.push((name.into(), id.expect("it has one"), is_unused));
            }
            Kept::Letter(letter) => accounts.1.push((letter.sender_account, letter.recipient_account)),
            Kept::Seat { .. } => {}
        }
    }
    accounts
}

fn copy_of(version: u8, case: &Case) -> PathBuf {
    let path = case.path();
    std::fs::create_dir(path.parent().expect("a directory")).expect("it is made");
    let file = format!("tests/store/v{version}.db");
    std::fs::copy(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file), &path).expect("copied");
    path
}

#[test]
fn accounts_of_each_earlier_version_get_the_same_ids_and_count_as_used() {
    let id = |millis, row| OpId::new(UnixMillis(START + millis), 0, row);
    let [alice, bob, carol] = [id(0, 1), id(1, 2), id(2, 4)];
    let named =
        [("Alice", alice), ("Bob", bob), ("carol", carol)].map(|(name, id)| (name.to_owned(), id, false));
    let between = |sender, recipient| (sender, Some(recipient));
    let letters = [
        between(Some(alice), bob),
        between(Some(bob), alice),
        between(Some(alice), carol),
        between(None, bob),
        between(None, bob),
    ];
    let expected = (named.to_vec(), letters.to_vec());
    for version in [1, 2, 3] {
        let case = Case::new();
        let path = copy_of(version, &case);
        if version > 1 {
            let before = std::fs::read(&path).expect("it is read");
            assert_eq!(accounts(&mut *open_reader(&path).expect("it can be read")), expected, "as it is");
            assert!(std::fs::read(&path).expect("it is read") == before, "and nothing is written");
        }
        let mut store = case.open();
        assert_eq!(accounts(&mut store), expected, "version {version}");
        assert_well(&mut store);
        drop(store);
        assert_eq!(accounts(&mut case.open()), expected, "version {version}, opened again");
    }
}

#[test]
fn an_account_of_a_later_owner_inherits_nothing_from_a_file_of_the_third_version() {
    let case = Case::new();
    copy_of(3, &case);
    let mut store = case.open();
    let later = UnixMillis(START + 1_000_000);
    let id = OpId::new(later, 0, 9);
    let made = |sequence, name: &str| {
        let password = PasswordHash::new(HASH).expect("a hash");
        let change = Change::AccountCreated { name: name.into(), password, is_unused: true };
        Op::new(OpId::new(later, sequence, 9), change)
    };
    let gone = Change::AccountDeleted { name: "alice".into(), account: None };
    let group = [made(0, "guest"), Op::new(OpId::new(later, 1, 9), gone), made(2, "alice")];
    store.commit(&group).expect("it is committed");
    // Once more, as after an error that came too late.
    store.commit(&group).expect("it is committed");
    let (names, letters) = accounts(&mut store);
    assert_eq!(
        names[2..],
        [("guest".to_owned(), id, true), ("alice".to_owned(), OpId::new(later, 2, 9), true)]
    );
    assert_eq!(letters.len(), 2, "those of the guest who had no account: {letters:?}");
    assert!(letters.iter().all(|(sender, _)| sender.is_none()));
    assert_well(&mut store);
}
