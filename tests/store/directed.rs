//! What chance would seldom find.

use parlance::chat::{Change, HistoryRule, HistoryRules, Kept, Op, OpId, PasswordHash, Seat, UnixMillis};
use parlance::limits::{
    MAIL_KEY_BYTES_MAX, MAIL_READ_MAX, NAME_BYTES_MAX, PASSWORD_HASH_BYTES_MAX, ROOM_NAME_BYTES_MAX,
    TEXT_BYTES_MAX,
};
use parlance::store::{self, Store, StoreError};

use crate::compare::{compare, load};
use crate::dealer::{Dealer, hash, token};
use crate::model::Model;
use crate::on_each_store;
use crate::shelf::Shelf;

on_each_store!(
    an_empty_group_is_nothing,
    an_op_that_comes_again_changes_nothing,
    ops_about_nothing_are_no_errors,
    the_longest_of_everything_is_kept,
    any_text_is_kept_as_it_is,
    a_cleared_conversation_goes_from_one_view_alone,
    a_message_goes_with_its_recipient_who_sees_it_no_more,
    a_room_that_is_made_again_begins_anew,
    a_room_that_closes_takes_what_was_said_since_it_was_made,
    a_room_whose_host_has_a_new_seat_is_as_old_as_it_was,
    a_room_without_messages_begins_anew,
    what_a_clock_that_was_ahead_has_marked_goes_with_what_follows,
    there_is_one_writer,
    a_reader_makes_nothing,
    a_copy_overwrites_nothing,
);

/// A store, and the model that it is held to.
struct Pair<'a> {
    shelf: &'a Shelf,
    store: Option<Box<dyn Store>>,
    model: Model,
    dealer: Dealer,
}

impl<'a> Pair<'a> {
    fn new(shelf: &'a Shelf) -> Self {
        Self { shelf, store: Some(shelf.open()), model: Model::default(), dealer: Dealer::new(1) }
    }

    fn store(&mut self) -> &mut dyn Store {
        self.store.as_deref_mut().expect("it is open")
    }

    fn deal(&mut self, changes: impl IntoIterator<Item = Change>) -> Vec<Op> {
        changes.into_iter().map(|change| self.dealer.op(change)).collect()
    }

    #[track_caller]
    fn commit(&mut self, ops: &[Op]) {
        for op in ops {
            self.model.apply(op);
        }
        self.store().commit(ops).expect("it commits");
    }

    #[track_caller]
    fn commit_each(&mut self, changes: impl IntoIterator<Item = Change>) -> Vec<Op> {
        let ops = self.deal(changes);
        self.commit(&ops);
        ops
    }

    fn reopen(&mut self) {
        if self.shelf.is_on_disk() {
            self.store = None;
            self.store = Some(self.shelf.open());
        }
    }

    /// As it is, compacted, and opened again.
    #[track_caller]
    fn compare(&mut self) {
        let store = self.store.as_deref_mut().expect("it is open");
        compare(store, &self.model, &mut self.dealer, "as it is");
        store.compact().expect("it compacts");
        compare(store, &self.model, &mut self.dealer, "compacted");
        self.reopen();
        let store = self.store.as_deref_mut().expect("it is open");
        compare(store, &self.model, &mut self.dealer, "opened again");
    }
}

fn account(name: &str) -> Change {
    Change::AccountCreated { name: name.into(), password: hash(1), is_unused: false }
}

fn mail(sender: &str, recipient: &str, content: &str, key: Option<&str>) -> Change {
    Change::MailSent {
        sender: sender.into(),
        sender_has_account: true,
        sender_account: None,
        recipient: recipient.into(),
        recipient_account: None,
        content: content.into(),
        key: key.map(Into::into),
    }
}

fn said(room: &str, text: &str) -> Change {
    Change::Said { room: room.into(), sender: "alice".into(), text: text.into() }
}

fn seat(name: &str, number: u64) -> Seat {
    Seat { name: name.into(), token: token(number), ip: [127, 0, 0, 1].into() }
}

fn an_empty_group_is_nothing(shelf: &Shelf) {
    let mut pair = Pair::new(shelf);
    pair.commit(&[]);
    pair.compare();
    assert_eq!(load(pair.store()), (Vec::new(), None));
}

fn an_op_that_comes_again_changes_nothing(shelf: &Shelf) {
    let mut pair = Pair::new(shelf);
    let ops = pair.commit_each([
        account("alice"),
        account("bob"),
        mail("alice", "bob", "hello", Some("key")),
        mail("mallory", "bob", "hi", None),
        said("den", "one"),
        Change::RoomMade { room: "den".into(), host: seat("alice", 1) },
        Change::SeatTaken { room: "den".into(), seat: seat("bob", 2) },
        said("den", "two"),
    ]);
    pair.store().commit(&ops).expect("they are there");
    pair.compare();
    let messages = Box::new([ops[2].id]);
    pair.commit_each([Change::MailRead { reader: "bob".into(), messages }]);
    pair.store().commit(&[&ops[..], &ops[..]].concat()).expect("they are there");
    pair.compare();
}

fn ops_about_nothing_are_no_errors(shelf: &Shelf) {
    let mut pair = Pair::new(shelf);
    let nobody = pair.dealer.id();
    let nothings = [
        Change::PasswordChanged { account: None, name: "nobody".into(), password: hash(2) },
        Change::AccountDeleted { name: "nobody".into(), account: None },
        mail("alice", "nobody", "hello", Some("key")),
        Change::MailRead { reader: "nobody".into(), messages: Box::new([nobody]) },
        Change::MailRead { reader: "alice".into(), messages: Box::new([]) },
        Change::MailRead { reader: "alice".into(), messages: Box::new([nobody, nobody]) },
        Change::MailDeleted { by: "nobody".into(), message: nobody },
        Change::MailDeleted { by: "alice".into(), message: nobody },
        Change::ConversationCleared { by: "nobody".into(), messages: Box::new([nobody]) },
        Change::ConversationCleared { by: "alice".into(), messages: Box::new([]) },
        Change::ConversationCleared { by: "alice".into(), messages: Box::new([nobody, nobody]) },
        Change::SeatLeft { token: token(5) },
        Change::RoomClosed { room: "nowhere".into(), made: None },
    ];
    pair.commit_each(nothings.clone());
    pair.compare();
    pair.commit_each([account("alice")]);
    pair.commit_each(nothings);
    pair.compare();
}

fn the_longest_of_everything_is_kept(shelf: &Shelf) {
    let mut pair = Pair::new(shelf);
    let longest = |with: &str, bytes: usize| with.repeat(bytes / with.len());
    let [alice, bob] = ["ä", "bö"].map(|name| longest(name, NAME_BYTES_MAX - 1));
    let room = longest("комната", ROOM_NAME_BYTES_MAX);
    let password = format!("$2b${}", longest("x", PASSWORD_HASH_BYTES_MAX - 4));
    let password = PasswordHash::new(&password).expect("not too long");
    for name in [&alice, &bob] {
        let password = password.clone();
        pair.commit_each([Change::AccountCreated { name: name.as_str().into(), password, is_unused: false }]);
    }
    // Those that a format may have to escape, and those that take most bytes.
    for with in ["\u{1}", "\"", "\\", "\u{7f}", "🎉", "é", "x", "\u{2028}"] {
        let key = longest(with, MAIL_KEY_BYTES_MAX);
        let text = longest(with, TEXT_BYTES_MAX);
        pair.commit_each([
            mail(&alice, &bob, &text, Some(&key)),
            said(&room, &text),
            Change::Said { room: "lobby".into(), sender: bob.as_str().into(), text: text.into() },
        ]);
    }
    let sent = (0..MAIL_READ_MAX).map(|_| mail(&bob, &alice, "", None));
    let sent = pair.commit_each(sent);
    let messages = sent.iter().map(|op| op.id).collect();
    pair.commit_each([
        Change::MailRead { reader: alice.as_str().into(), messages },
        Change::RoomMade { room: room.as_str().into(), host: seat(&alice, 1) },
    ]);
    assert_eq!(pair.store().history(&room, None, 100).expect("history"), pair.model.messages(&room));
    pair.compare();
}

fn any_text_is_kept_as_it_is(shelf: &Shelf) {
    let mut pair = Pair::new(shelf);
    pair.commit_each([account("alice"), account("bob")]);
    let texts = [
        "",
        " ",
        "\n",
        "two\nlines",
        "two\r\nlines\r",
        "\0",
        "hello\0world",
        "\t\u{b}\u{c}\u{1b}[31m\u{7f}\u{85}\u{9b}",
        "\u{2028}\u{2029}\u{202e}\u{feff}",
        "👩‍👩‍👧‍👦🏳️‍🌈 \u{10ffff}",
        "e\u{301} is not \u{e9}",
        "{\"op\":\"delete\"}\n{\"id\":",
        "\\u0041 \\n \\\\ \"",
        "'; DROP TABLE letters; --",
        "%s %d ?1 :a @b $c",
        "NULL",
        "12345678901234567890",
        "1e400",
        "x'00'",
    ];
    for text in texts {
        pair.commit_each([
            mail("alice", "bob", text, Some(text)),
            mail("mallory", "alice", text, None),
            said("den", text),
        ]);
        if text.trim() == text && !text.is_empty() && !text.chars().any(char::is_control) {
            pair.commit_each([
                said(text, text),
                Change::RoomMade { room: text.into(), host: seat("alice", text.len() as u64) },
            ]);
            assert_eq!(
                pair.store().history(text, None, 9).expect("history"),
                pair.model.messages(text),
                "{text:?}"
            );
        }
    }
    pair.compare();
}

fn a_cleared_conversation_goes_from_one_view_alone(shelf: &Shelf) {
    let mut pair = Pair::new(shelf);
    pair.commit_each([account("alice"), account("bob")]);
    let sent = pair.commit_each([
        mail("alice", "bob", "hello", Some("key")),
        mail("bob", "alice", "hi", None),
        mail("alice", "alice", "note", None),
    ]);
    let clear = |by: &str, messages: &[usize]| Change::ConversationCleared {
        by: by.into(),
        messages: messages.iter().map(|&index| sent[index].id).collect(),
    };
    pair.commit_each([clear("alice", &[0, 1, 1, 2]), clear("carol", &[0])]);
    let (all, _) = load(pair.store());
    let seen = all.iter().filter_map(|kept| match kept {
        Kept::Letter(letter) => Some((letter.sender_sees, letter.recipient_sees)),
        Kept::Account { .. } | Kept::Seat { .. } => None,
    });
    assert_eq!(seen.collect::<Vec<_>>(), [(false, true), (true, false)]);
    pair.compare();
    pair.commit_each([clear("bob", &[0, 1])]);
    let (all, _) = load(pair.store());
    assert!(all.iter().all(|kept| !matches!(kept, Kept::Letter(_))));
    pair.compare();
}

fn a_message_goes_with_its_recipient_who_sees_it_no_more(shelf: &Shelf) {
    let mut pair = Pair::new(shelf);
    for after_restart in [false, true] {
        pair.commit_each([account("alice"), account("bob")]);
        let sent = pair.commit_each([mail("alice", "bob", "hello", None), mail("bob", "alice", "hi", None)]);
        pair.commit_each([
            Change::MailDeleted { by: "bob".into(), message: sent[0].id },
            Change::MailDeleted { by: "alice".into(), message: sent[1].id },
        ]);
        let (all, _) = load(pair.store());
        let seen = all.iter().filter_map(|kept| match kept {
            Kept::Letter(letter) => Some((letter.sender_sees, letter.recipient_sees)),
            Kept::Account { .. } | Kept::Seat { .. } => None,
        });
        assert_eq!(seen.collect::<Vec<_>>(), [(true, false), (true, false)]);
        if after_restart {
            pair.compare();
        }
        pair.commit_each([Change::AccountDeleted { name: "bob".into(), account: None }]);
        pair.compare();
        pair.commit_each([account("bob")]);
        pair.compare();
        pair.commit_each(
            ["alice", "bob"].map(|name| Change::AccountDeleted { name: name.into(), account: None }),
        );
    }
}

fn a_room_that_is_made_again_begins_anew(shelf: &Shelf) {
    let mut pair = Pair::new(shelf);
    let made = |number| Change::RoomMade { room: "den".into(), host: seat("alice", number) };
    // As earlier versions closed a room.
    let closed = || Change::RoomClosed { room: "den".into(), made: None };
    let before = pair.commit_each([made(1), said("den", "hello world"), said("den", "hello again")]);
    pair.commit_each([closed(), made(2), said("den", "hello new")]);
    pair.compare();
    let found = pair.store().search("hello", 10).expect("a search");
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].1.sequence, &*found[0].1.text), (1, "hello new"));
    assert_eq!(pair.store().history("den", Some(before[2].id), 10).expect("history"), []);
    // The host's old token is nobody's.
    pair.commit_each([Change::SeatLeft { token: token(1) }]);
    pair.commit_each([closed(), closed()]);
    pair.compare();
}

/// Other people have spoken in a room of that name before it was made, more than there is between two marks.
fn a_room_that_closes_takes_what_was_said_since_it_was_made(shelf: &Shelf) {
    let mut pair = Pair::new(shelf);
    for before in [0, 1, 64, 130] {
        for since in [0, 1, 130] {
            let texts =
                |whose: &'static str, count| (0..count).map(move |n| said("den", &format!("{whose} {n}")));
            pair.commit_each(texts("before", before));
            let made =
                pair.commit_each([Change::RoomMade { room: "den".into(), host: seat("alice", 1) }])[0].id;
            pair.commit_each([Change::SeatTaken { room: "den".into(), seat: seat("bob", 2) }]);
            pair.commit_each(texts("since", since));
            // The stores have to know it after a restart, and after they were written anew.
            pair.compare();
            pair.store().compact().expect("there is space");
            assert_eq!(pair.model.made("den"), Some(made));
            pair.compare();
            pair.commit_each([Change::RoomClosed { room: "den".into(), made: Some(made) }]);
            pair.compare();
            assert_eq!(pair.store().search("since", 10).expect("a search"), []);
            assert_eq!(pair.store().search("before", 999).expect("a search").len(), before);
            pair.commit_each(texts("after", 3));
            pair.compare();
            let rules = HistoryRules::default();
            let now = pair.dealer.now();
            while pair.store().tidy(&rules, now).expect("it is tidied") {}
            pair.model.forget(&rules, now);
            pair.compare();
            pair.commit_each([Change::RoomClosed { room: "den".into(), made: None }]);
        }
    }
}

/// A host that gets another seat in its room makes it once more; the room stays as old as it is.
fn a_room_whose_host_has_a_new_seat_is_as_old_as_it_was(shelf: &Shelf) {
    let mut pair = Pair::new(shelf);
    let makes = |number| Change::RoomMade { room: "den".into(), host: seat("alice", number) };
    let made = pair.commit_each([said("den", "before"), makes(1), said("den", "since")])[1].id;
    pair.commit_each([makes(2), Change::SeatLeft { token: token(1) }, said("den", "since")]);
    pair.compare();
    assert_eq!(pair.model.made("den"), Some(made));
    pair.commit_each([makes(3), Change::SeatLeft { token: token(2) }]);
    pair.compare();
    assert!(pair.model.has_seat_of("Alice"));
    pair.commit_each([Change::RoomClosed { room: "den".into(), made: Some(made) }]);
    pair.compare();
    assert!(!pair.model.has_seat_of("alice"));
    assert_eq!(pair.store().history("den", None, 9).expect("history").len(), 1);
}

fn a_room_without_messages_begins_anew(shelf: &Shelf) {
    let mut pair = Pair::new(shelf);
    let rules = |keep_messages| HistoryRules {
        default: HistoryRule { keep_messages, keep_days: 0, on_join: 0 },
        rooms: Vec::new(),
    };
    for keep_messages in [2, 1, 0, 1] {
        pair.commit_each(["one", "two", "three"].map(|text| said("den", text)));
        let (rules, now) = (rules(keep_messages), pair.dealer.now());
        while pair.store().tidy(&rules, now).expect("it is tidied") {}
        pair.model.forget(&rules, now);
        pair.compare();
    }
    assert_eq!(pair.store().history("den", None, 9).expect("history")[0].sequence, 3);
}

/// The clock is two years ahead, then right. What is said before and after ages as what it is.
fn what_a_clock_that_was_ahead_has_marked_goes_with_what_follows(shelf: &Shelf) {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    let mut pair = Pair::new(shelf);
    let now = pair.dealer.now();
    let ahead = UnixMillis(now.0 + 730 * DAY);
    let mut sequence = 0;
    let mut said_at = |pair: &mut Pair<'_>, at: u64, text: &str| {
        sequence += 1;
        let id = OpId::new(ahead, sequence, 0);
        let ops = [
            Op { id, at: UnixMillis(at), change: said("den", text) },
            Op {
                id: OpId::new(ahead, sequence, 1 << 40),
                at: UnixMillis(at),
                change: mail("bob", "alice", text, None),
            },
        ];
        pair.commit(&ops);
    };
    pair.commit_each([account("alice")]);
    for _ in 0..200 {
        said_at(&mut pair, ahead.0, "too early");
    }
    said_at(&mut pair, now.0, "now");
    said_at(&mut pair, now.0 + 2 * DAY, "two days later");
    said_at(&mut pair, ahead.0, "too early again");
    pair.compare();
    let times = |pair: &mut Pair<'_>| -> Vec<u64> {
        let messages = pair.store().history("den", None, usize::MAX).expect("history");
        messages.iter().map(|message| message.at.0).collect()
    };
    assert_eq!(times(&mut pair)[199..], [ahead.0, now.0, now.0 + 2 * DAY, ahead.0]);
    let rules = HistoryRules {
        default: HistoryRule { keep_messages: 1000, keep_days: 1, on_join: 0 },
        rooms: Vec::new(),
    };
    for (later, left) in
        [(0, 203), (DAY, 203), (DAY + 1, 2), (3 * DAY, 2), (3 * DAY + 1, 1), (700 * DAY, 1), (800 * DAY, 0)]
    {
        let now = UnixMillis(now.0 + later);
        while pair.store().tidy(&rules, now).expect("it is tidied") {}
        pair.model.forget(&rules, now);
        pair.compare();
        assert_eq!(times(&mut pair).len(), left, "{later} ms later");
    }
}

fn there_is_one_writer(shelf: &Shelf) {
    if !shelf.is_on_disk() {
        return;
    }
    let first = shelf.open();
    match shelf.try_open() {
        Err(StoreError::Locked { .. }) => {}
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("two write"),
    }
    let _looks = shelf.reader();
    drop(first);
    drop(shelf.open());
}

fn a_reader_makes_nothing(shelf: &Shelf) {
    assert!(store::open_reader(&shelf.spec).is_err());
    assert_eq!(std::fs::read_dir(shelf.directory()).expect("a directory").count(), 0);
}

fn a_copy_overwrites_nothing(shelf: &Shelf) {
    let mut pair = Pair::new(shelf);
    pair.commit_each([account("alice"), said("den", "hello")]);
    if !shelf.is_on_disk() {
        assert!(pair.store().backup(&shelf.copy_path()).is_err());
        return;
    }
    let path = shelf.copy_path();
    std::fs::write(&path, "something else").expect("a file");
    assert!(pair.store().backup(&path).is_err());
    assert_eq!(std::fs::read(&path).expect("it is there"), b"something else");
    // Of a reader, and into a directory that is not there.
    let path = shelf.copy_path();
    shelf.reader().backup(&path).expect("a copy");
    let mut copy = store::open(&shelf.copy_spec(&path), &shelf.options).expect("a store");
    compare(copy.as_mut(), &pair.model, &mut pair.dealer, "a copy");
    assert!(pair.store().backup(&shelf.directory().join("nowhere/copy")).is_err());
    pair.compare();
}
