//! What is in the tables.

use super::*;

#[test]
fn the_same_ops_twice_are_the_same_as_once() {
    let mut case = Case::new();
    let mut store = case.open();
    let ops = [
        case.account("alice"),
        case.account("bob"),
        case.sent("alice", "bob", "hello"),
        case.op(Change::RoomMade { room: "den".into(), host: seat(1) }),
        case.said("den", "hi"),
    ];
    store.commit(&ops).expect("it is committed");
    let once = (loaded(&mut store), texts(&mut store, "den"));
    store.commit(&ops).expect("it is committed");
    drop(store);
    let mut store = case.open();
    store.commit(&ops[1..]).expect("it is committed");
    assert_eq!((loaded(&mut store), texts(&mut store, "den")), once);
    assert_well(&mut store);
}

#[test]
fn ids_that_share_a_time_and_come_out_of_order_are_told_apart() {
    let mut case = Case::new();
    let mut store = case.open();
    let accounts = [case.account("alice"), case.account("bob")];
    store.commit(&accounts).expect("it is committed");
    let ids: Vec<_> = [5, 3, 9, 1].iter().map(|&random| OpId::new(UnixMillis(START), 7, random)).collect();
    let next = OpId::new(UnixMillis(START), 8, 4);
    let mut state = State::new(0);
    for op in &accounts {
        state.apply(op);
    }
    for &id in ids.iter().chain([&next]) {
        let mail = case.sent("alice", "bob", &id.to_string());
        let said = case.said("lobby", &format!("word {id}"));
        let ops = [mail, said].map(|op| Op { id, ..op });
        store.commit(&ops).expect("it is committed");
        state.apply(&ops[0]);
        tidy(&mut store, &keep(100, 0), START);
    }
    for id in [ids[0], ids[2]] {
        let deleted = case.op(Change::MailDeleted { by: "alice".into(), message: id });
        store.commit(std::slice::from_ref(&deleted)).expect("it is committed");
        state.apply(&deleted);
    }
    let read = case.op(Change::MailRead { reader: "bob".into(), messages: [ids[1], next].into() });
    store.commit(std::slice::from_ref(&read)).expect("it is committed");
    state.apply(&read);
    let mut expected = Vec::new();
    state.visit(&mut |kept| expected.push(kept));
    assert_eq!(loaded(&mut store), expected);
    let before = store.history("lobby", Some(next), 2).expect("it is read");
    assert_eq!(before.iter().map(|message| message.id).collect::<Vec<_>>(), ids[2..]);
    let found = store.search("word", 100).expect("it is searched");
    assert!(found.iter().map(|(_, message)| message.id).rev().is_sorted());
    assert_eq!(found.len(), 5);
    assert_well(&mut store);
}

#[test]
fn letters_of_an_account_that_is_gone_are_gone_at_once_and_then_deleted() {
    let mut case = Case::new();
    let mut store = case.open();
    let mut ops = vec![case.account("alice"), case.account("bob"), case.account("carol")];
    for (sender, recipient) in [("alice", "bob"), ("bob", "alice"), ("bob", "carol"), ("carol", "bob")] {
        ops.push(case.sent(sender, recipient, "hello"));
    }
    let hidden = ops[3].id;
    ops.push(case.op(Change::MailDeleted { by: "bob".into(), message: hidden }));
    ops.push(case.op(Change::AccountDeleted { name: "BOB".into() }));
    ops.push(case.account("bob"));
    ops.push(case.sent("carol", "bob", "who are you?"));
    let mut state = State::new(0);
    for op in &ops {
        state.apply(op);
    }
    let mut expected = Vec::new();
    state.visit(&mut |kept| expected.push(kept));
    store.commit(&ops).expect("it is committed");
    assert_eq!(loaded(&mut store), expected);
    assert_eq!(store.sizes().expect("sizes").letters, 1);
    // What is to be deleted is remembered.
    drop(store);
    let mut store = case.open();
    tidy(&mut store, &keep(100, 0), START);
    assert_eq!(loaded(&mut store), expected);
    let count = |store: &SqliteStore| -> i64 {
        store
            .reader
            .connection
            .query_row("SELECT count(*) FROM letters", [], |row| row.get(0))
            .expect("a count")
    };
    assert_eq!(count(&store), 1);
    assert!(!store.tidy(&keep(100, 0), UnixMillis(START)).expect("it is tidied"));
}

/// What the mailboxes of everybody say, as an operator would read it.
fn mailboxes(store: &SqliteStore) -> Vec<String> {
    let sql = "SELECT owner || ' and ' || name || ': ' || messages || ', ' || unread FROM mailboxes ORDER BY owner, other, has_account";
    let mut statement = store.reader.connection.prepare(sql).expect("the view is there");
    statement.query_map([], |row| row.get(0)).expect("rows").collect::<rusqlite::Result<_>>().expect("text")
}

#[test]
fn mailboxes_are_counted_as_they_change() {
    let mut case = Case::new();
    let mut store = case.open();
    let commit = |store: &mut SqliteStore, ops: &[Op]| {
        store.commit(ops).expect("it is committed");
        assert_well(store);
        mailboxes(store)
    };
    let stranger = |case: &mut Case, name: &str, recipient: &str| {
        case.op(Change::MailSent {
            sender: name.into(),
            sender_has_account: false,
            recipient: recipient.into(),
            content: "hi".into(),
            key: None,
        })
    };
    let ops = [
        case.account("Alice"),
        case.account("bob"),
        case.sent("alice", "bob", "one"),
        case.sent("Alice", "Bob", "two"),
        case.sent("bob", "alice", "three"),
        stranger(&mut case, "ALICE", "bob"),
    ];
    assert_eq!(
        commit(&mut store, &ops),
        ["alice and bob: 3, 1", "bob and ALICE: 1, 1", "bob and alice: 3, 2"]
    );
    let read = case.op(Change::MailRead { reader: "bob".into(), messages: [ops[2].id, ops[4].id].into() });
    assert_eq!(
        commit(&mut store, &[read]),
        ["alice and bob: 3, 1", "bob and ALICE: 1, 1", "bob and alice: 3, 1"]
    );
    // By its sender for both, by its recipient from its own view; and one that comes and goes.
    let sent = case.sent("bob", "bob", "to myself");
    let deleted = [
        case.op(Change::MailDeleted { by: "alice".into(), message: ops[3].id }),
        case.op(Change::MailDeleted { by: "alice".into(), message: ops[4].id }),
        case.op(Change::MailDeleted { by: "bob".into(), message: sent.id }),
    ];
    let group = [[sent].as_slice(), &deleted].concat();
    assert_eq!(
        commit(&mut store, &group),
        ["alice and bob: 1, 0", "bob and ALICE: 1, 1", "bob and alice: 2, 0"]
    );
    // What somebody without an account has sent stays, and is in the same conversation as what the new one sends.
    let gone = case.op(Change::AccountDeleted { name: "alice".into() });
    assert_eq!(commit(&mut store, &[gone]), ["bob and ALICE: 1, 1"]);
    let anew = [case.account("alice"), case.sent("alice", "bob", "it is me")];
    assert_eq!(
        commit(&mut store, &anew),
        ["alice and bob: 1, 0", "bob and ALICE: 1, 1", "bob and alice: 1, 1"]
    );
    tidy(&mut store, &keep(100, 0), START);
    assert_eq!(
        commit(&mut store, &[]),
        ["alice and bob: 1, 0", "bob and ALICE: 1, 1", "bob and alice: 1, 1"]
    );
    let rows: i64 = store
        .reader
        .connection
        .query_row("SELECT count(*) FROM conversations", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(rows, 3, "those of the account that is gone are gone");
    assert!(!store.tidy(&keep(100, 0), UnixMillis(START)).expect("it is tidied"));
}

#[test]
fn what_operators_ask_of_mailboxes_scans_nothing() {
    let case = Case::new();
    let store = case.open();
    let examples = include_str!("../../../../docs/storage.md");
    for title in ["-- the messages between alice and bob", "-- unread counts of bob"] {
        let (_, rest) = examples.split_once(title).expect("it is among the examples");
        let (_, query) = rest.split_once('\n').expect("a query");
        let (query, _) = query.split_once(';').expect("its end");
        let mut statement =
            store.reader.connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).expect("a query");
        let plan: Vec<String> = statement
            .query_map([], |row| row.get(3))
            .expect("a plan")
            .collect::<rusqlite::Result<_>>()
            .expect("text");
        let of_table = |start: &str| plan.iter().filter(|step| step.starts_with(start)).count();
        assert!(of_table("SEARCH") > 1, "{title}: {plan:?}");
        assert_eq!(of_table("SCAN") + of_table("USE TEMP B-TREE FOR ORDER"), 0, "{title}: {plan:?}");
    }
}

#[test]
fn messages_are_found_before_and_after_they_are_indexed() {
    let mut case = Case::new();
    let mut store = case.open();
    let first = [
        case.said("a", "Zoë said \"hello\" AND went"),
        case.said("b", "हिन्दी में hello"),
        case.said("a", "other"),
    ];
    store.commit(&first).expect("it is committed");
    let look = |store: &mut SqliteStore| {
        ["zoe HELLO", "hello", "hell", "and", "\"hello\" OR other", "हिन्दी", "NEAR(hello", "*", ""]
            .map(|text| found(store, text))
    };
    let before = look(&mut store);
    assert_eq!(before[0], ["a: Zoë said \"hello\" AND went"]);
    assert_eq!(before[1].len(), 2);
    assert_eq!(before[2], Vec::<String>::new());
    assert_eq!(before[5].len(), 1);
    tidy(&mut store, &keep(100, 0), START);
    assert_eq!(store.mirror.as_ref().and_then(|mirror| mirror.indexed_to), Some(row::number(first[2].id)));
    assert_eq!(look(&mut store), before);
    store.commit(&[case.said("b", "hello again")]).expect("it is committed");
    assert_eq!(found(&mut store, "hello")[..2], ["b: hello again", "b: हिन्दी में hello"]);
    assert_eq!(found(&mut store, "hello").len(), 3);

    // Without an index the same is found, and with it again.
    for search in [false, true] {
        drop(store);
        case.options.search = search;
        store = case.open();
        tidy(&mut store, &keep(100, 0), START);
        assert_eq!(schema::has_words(&store.reader.connection).expect("known"), search);
        assert_eq!(found(&mut store, "hello").len(), 3);
        assert_well(&mut store);
    }
}

#[test]
fn a_room_that_was_closed_is_out_of_sight_at_once_and_its_name_is_free() {
    let mut case = Case::new();
    let mut store = case.open();
    let mut ops: Vec<_> = (0..3000).map(|number| case.said("den", &format!("old {number}"))).collect();
    ops.push(case.op(Change::SeatTaken { room: "den".into(), seat: seat(1) }));
    store.commit(&ops).expect("it is committed");
    tidy(&mut store, &keep(10_000, 0), START);
    let ops = [case.op(Change::RoomClosed { room: "den".into(), made: None }), case.said("den", "new")];
    store.commit(&ops).expect("it is committed");
    let check = |store: &mut SqliteStore| {
        assert_eq!(texts(store, "den"), ["new"]);
        assert_eq!(summaries(store), [("den".to_owned(), 1, 1)]);
        assert_eq!(found(store, "old"), Vec::<String>::new());
        assert_eq!(found(store, "new"), ["den: new"]);
        assert_eq!(loaded(store), []);
        assert_eq!(store.sizes().expect("sizes").room_messages, 1);
        assert_well(store);
    };
    check(&mut store);
    // Step by step, also when a process ends in between.
    let mut steps = 1;
    while store.tidy(&keep(10_000, 0), UnixMillis(START)).expect("it is tidied") {
        check(&mut store);
        drop(store);
        store = case.open();
        steps += 1;
    }
    assert!(steps > 2, "{steps}");
    check(&mut store);
    let sql = "SELECT (SELECT count(*) FROM room_messages) + (SELECT count(*) FROM rooms) + (SELECT count(*) FROM room_words)";
    let left: i64 = store.reader.connection.query_row(sql, [], |row| row.get(0)).expect("a count");
    assert_eq!(left, 3);
}

#[test]
fn messages_that_are_too_many_or_too_old_go() {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    let mut case = Case::new();
    let mut store = case.open();
    let ops: Vec<_> =
        (1..=300).map(|number| case.said(["a", "b"][number % 2], &number.to_string())).collect();
    store.commit(&ops).expect("it is committed");
    let mut rules = keep(100, 0);
    let rule = HistoryRule { keep_messages: 1000, keep_days: 1, on_join: 0 };
    rules.rooms.push((RoomPattern::from("b".to_owned()), rule));
    tidy(&mut store, &rules, START);
    assert_eq!(summaries(&mut store), [("a".to_owned(), 51, 150), ("b".to_owned(), 1, 150)]);
    assert_well(&mut store);
    tidy(&mut store, &rules, START + DAY + 101);
    assert_eq!(texts(&mut store, "b").first().map(String::as_str), Some("101"));
    assert_well(&mut store);
    // Nothing is left: it begins anew.
    tidy(&mut store, &rules, START + 2 * DAY);
    assert_eq!(summaries(&mut store), [("a".to_owned(), 51, 150)]);
    store.commit(&[case.said("b", "anew"), case.said("a", "more")]).expect("it is committed");
    tidy(&mut store, &rules, START);
    assert_eq!(summaries(&mut store), [("a".to_owned(), 52, 151), ("b".to_owned(), 1, 1)]);
    assert_eq!(texts(&mut store, "a").len(), 100);
    assert_well(&mut store);
    store.compact().expect("it is compacted");
    assert_eq!(texts(&mut store, "a").len(), 100);
}
