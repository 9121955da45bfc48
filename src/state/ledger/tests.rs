use super::*;

#[test]
fn a_message_that_comes_again_is_there_once() {
    let mut ledger = Ledger::new(&RandomState::with_seeds(1, 2, 3, 4));
    let password = PasswordHash::new("$2b$12$x").expect("a hash");
    let id = |sequence| OpId::new(UnixMillis(1), sequence, 0);
    for (sequence, name) in [(0, "ann"), (1, "bob")] {
        let change =
            Change::AccountCreated { name: name.into(), password: password.clone(), is_unused: false };
        ledger.apply(&Op::new(id(sequence), change));
    }
    let change = Change::MailSent {
        sender: "ann".into(),
        sender_has_account: true,
        sender_account: None,
        recipient: "bob".into(),
        recipient_account: None,
        content: "hello".into(),
        key: Some("1".into()),
    };
    let op = Op::new(id(2), change);
    ledger.apply(&op);
    let read = Change::MailRead { reader: "bob".into(), messages: Box::new([op.id]) };
    ledger.apply(&Op::new(id(3), read));
    ledger.apply(&op);
    ledger.check_invariants();
    let mut letters = Vec::new();
    ledger.visit(&mut |kept| letters.extend(matches!(kept, Kept::Letter(_)).then_some(kept)));
    let [Kept::Letter(letter)] = &letters[..] else { panic!("one letter: {letters:?}") };
    assert!(!letter.unread, "and it stays read");
}

#[test]
fn an_origin_has_its_share_of_all_mail_until_its_messages_are_gone() {
    let mut ledger = Ledger::new(&RandomState::with_seeds(1, 2, 3, 4));
    let password = PasswordHash::new("$2b$12$x").expect("a hash");
    let id = |sequence| OpId::new(UnixMillis(1), sequence, 0);
    let created = Change::AccountCreated { name: "ann".into(), password, is_unused: false };
    ledger.apply(&Op::new(id(0), created));
    let ann = ledger.find("ann").expect("an account");
    let [greedy, modest] = [1, 2].map(|bits| Some(Origin(bits)));
    // More than a hundredth of all mail, of one origin.
    let content = "x".repeat(8 << 10);
    let messages = MAIL_TOTAL_BYTES_MAX / 100 / content.len() + 1;
    for sequence in 1..=messages as u16 {
        let change = Change::MailSent {
            sender: "eve".into(),
            sender_has_account: false,
            sender_account: None,
            recipient: "ann".into(),
            recipient_account: None,
            content: content.as_str().into(),
            key: None,
        };
        ledger.apply_for(&Op::new(id(sequence), change), greedy);
    }
    ledger.check_invariants();
    // Other origins have used everything but the kept tenth.
    let of_others = MAIL_TOTAL_BYTES_MAX - MAIL_TOTAL_BYTES_MAX / 10 - ledger.bytes;
    ledger.bytes += of_others;
    assert!(!ledger.has_space(greedy, None, ann, "hi"));
    assert!(ledger.has_space(modest, None, ann, "hi"));
    assert!(ledger.has_space(None, None, ann, "hi"));
    ledger.bytes = MAIL_TOTAL_BYTES_MAX - counted("hi") + 1;
    assert!(!ledger.has_space(modest, None, ann, "hi"), "it does not fit");
    ledger.bytes -= 1;
    assert!(ledger.has_space(modest, None, ann, "hi"), "it fits");
    ledger.bytes = MAIL_TOTAL_BYTES_MAX - MAIL_TOTAL_BYTES_MAX / 10;
    for sequence in 1..=messages as u16 {
        let change = Change::MailDeleted { by: "ann".into(), message: id(sequence) };
        ledger.apply(&Op::new(id(1000 + sequence), change));
    }
    assert_eq!(ledger.shares.of(Origin(1)), 0);
    ledger.bytes = MAIL_TOTAL_BYTES_MAX - MAIL_TOTAL_BYTES_MAX / 10;
    assert!(ledger.has_space(greedy, None, ann, "hi"), "it has a small share again");
}

#[test]
fn a_message_to_oneself_is_seen_by_its_recipient_alone_whatever_was_kept() {
    let mut ledger = Ledger::new(&RandomState::with_seeds(1, 2, 3, 4));
    let password = PasswordHash::new("$2b$12$x").expect("a hash");
    let account = Kept::Account { name: "ann".into(), password, id: None, is_unused: false };
    ledger.restore(&account);
    let id = OpId::new(UnixMillis(1), 0, 0);
    ledger.restore(&Kept::Letter(chat::Letter {
        id,
        at: id.at(),
        sender: "ann".into(),
        sender_account: None,
        recipient: "Ann".into(),
        recipient_account: None,
        content: "hello".into(),
        key: None,
        sender_sees: true,
        recipient_sees: true,
        unread: true,
    }));
    ledger.check_invariants();
    ledger.apply(&Op::new(id, Change::MailDeleted { by: "ann".into(), message: id }));
    ledger.check_invariants();
    assert!(ledger.letters.is_empty());
}
