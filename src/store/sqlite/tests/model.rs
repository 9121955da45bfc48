//! Anything that may happen, beside the store in memory.

use std::collections::BTreeMap;

use super::*;
use crate::chat::Name;
use crate::store::memory::MemoryStore;

/// A generator that gives the same numbers for the same seed (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

const PEOPLE: [&str; 6] = ["alice", "Alice", "bob", "Zoë", "carol", "no name"];
const ROOMS: [&str; 4] = ["lobby", "den", "short", "Den"];
const WORDS: [&str; 5] = ["hello", "wörld", "Hello", "again", "42"];

fn change(numbers: &mut Numbers, ids: &[OpId]) -> Change {
    let (name, other, room) = (numbers.of(&PEOPLE), numbers.of(&PEOPLE), numbers.of(&ROOMS));
    let a_seat = |numbers: &mut Numbers| seat(numbers.below(20) as u8);
    match numbers.below(40) {
        0..3 => Change::AccountCreated {
            name: name.into(),
            password: PasswordHash::new(HASH).expect("a hash"),
            is_unused: false,
        },
        3 => Change::AccountDeleted { name: name.into(), account: None },
        4 => Change::PasswordChanged {
            account: None,
            name: name.into(),
            password: PasswordHash::new(&format!("{HASH}{}", numbers.below(9))).expect("a hash"),
        },
        5..14 => Change::MailSent {
            sender: name.into(),
            sender_has_account: numbers.below(3) > 0,
            sender_account: None,
            recipient: other.into(),
            recipient_account: None,
            content: numbers.of(&WORDS).into(),
            key: (numbers.below(4) == 0).then(|| ids.len().to_string().into()),
        },
        14..17 if !ids.is_empty() => {
            let messages = (0..8).map(|_| numbers.of(ids)).collect();
            Change::MailRead { reader: name.into(), messages }
        }
        17 if !ids.is_empty() => {
            let messages = [numbers.of(ids), numbers.of(ids)].into();
            Change::ConversationCleared { by: name.into(), messages }
        }
        18..20 if !ids.is_empty() => Change::MailDeleted { by: name.into(), message: numbers.of(ids) },
        20 => Change::RoomMade { room: room.into(), host: a_seat(numbers) },
        21 | 22 => Change::SeatTaken { room: room.into(), seat: a_seat(numbers) },
        23 => Change::SeatLeft { token: a_seat(numbers).token },
        24 if numbers.below(8) == 0 => {
            let made = (!ids.is_empty() && numbers.below(3) > 0).then(|| numbers.of(ids));
            Change::RoomClosed { room: room.into(), made }
        }
        _ => {
            let text = format!("{} {}", numbers.of(&WORDS), numbers.of(&WORDS));
            Change::Said { room: room.into(), sender: name.into(), text: text.into() }
        }
    }
}

/// What the table says of conversations whose people are there, and what the letters do, told without its help.
fn assert_counted(store: &mut SqliteStore) {
    let mut wanted: BTreeMap<(String, String), (i64, i64)> = BTreeMap::new();
    let fold = |name: &str| Name::parse(name).expect("a name").1.to_string();
    for kept in loaded(store) {
        let Kept::Letter(letter) = kept else { continue };
        let (sender, recipient) = (fold(&letter.sender), fold(&letter.recipient));
        let mut see = |owner: &str, other: &str, unread: bool| {
            let counts = wanted.entry((owner.to_owned(), other.to_owned())).or_default();
            *counts = (counts.0 + 1, counts.1 + i64::from(unread));
        };
        if letter.recipient_sees {
            see(&recipient, &sender, letter.unread);
        }
        if letter.sender_sees {
            see(&sender, &recipient, false);
        }
    }
    let mut statement = store
        .reader
        .connection
        .prepare("SELECT owner, other, sum(messages), sum(unread) FROM mailboxes GROUP BY owner, other")
        .expect("the view is there");
    let counted = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?))));
    let counted: rusqlite::Result<BTreeMap<_, _>> = counted.expect("rows").collect();
    assert_eq!(counted.expect("counts"), wanted);
}

#[track_caller]
fn assert_same(store: &mut SqliteStore, model: &mut MemoryStore, numbers: &mut Numbers, ids: &[OpId]) {
    assert_eq!(loaded(store), loaded(model));
    assert_counted(store);
    assert_eq!(summaries(store), summaries(model));
    for room in ROOMS {
        let before = (numbers.below(2) == 0).then(|| numbers.of(ids));
        let count = 1 + numbers.below(300);
        let page = |reader: &mut dyn Reader| reader.history(room, before, count).expect("it is read");
        assert_eq!(page(store), page(model));
    }
    for words in ["hello", "WORLD hello", "again 42", "hell"] {
        let count = 1 + numbers.below(300);
        let page = |reader: &mut dyn Reader| reader.search(words, count).expect("it is searched");
        assert_eq!(page(store), page(model));
    }
}

/// Groups of ops, and what an operator may do in between.
fn run(seed: u64) {
    let mut case = Case::new();
    let mut numbers = Numbers(seed);
    let (mut store, mut model) = (case.open(), MemoryStore::new());
    let mut rules = keep(150, 0);
    rules.rooms.push((
        RoomPattern::from("short".to_owned()),
        HistoryRule { keep_messages: 3, keep_days: 0, on_join: 0 },
    ));
    let mut ids = Vec::new();
    for _ in 0..60 {
        let group: Vec<_> = (0..=numbers.below(120))
            .map(|_| {
                let change = change(&mut numbers, &ids);
                let op = case.op(change);
                ids.push(op.id);
                op
            })
            .collect();
        store.commit(&group).expect("it is committed");
        model.commit(&group).expect("it is committed");
        match numbers.below(6) {
            0 => {
                tidy(&mut store, &rules, START);
                while model.tidy(&rules, UnixMillis(START)).expect("it is tidied") {}
            }
            1 => {
                drop(store);
                case.options.search = numbers.below(4) > 0;
                store = case.open();
            }
            2 => store.compact().expect("it is compacted"),
            _ => {}
        }
        assert_same(&mut store, &mut model, &mut numbers, &ids);
        assert_well(&mut store);
    }
}

#[test]
fn whatever_happens_it_keeps_what_the_store_in_memory_keeps() {
    for seed in 1..=3 {
        run(seed);
    }
}
