//! The log that people can read, and may have written into: any bytes as `log.jsonl`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parlance::chat::{
    Change, HistoryRules, Kept, Now, Op, OpId, PasswordHash, RoomMessage, Seat, Token, UnixMillis,
};
use parlance::engine::{Engine, Random, Settings};
use parlance::store::{self, Durability, Options, Reader, Store, StoreError, StoreSpec};
use serde::Deserialize;

use super::scratch;

/// The highest moment that an id holds, less some: ids above those of a log are needed.
const MILLIS_MAX: u64 = (1 << 48) - 1000;

/// It loads or is refused, and the same for whoever reads and for whoever opens it. What is refused is repaired, unless it
/// was written by a newer version. A store that is open takes ops, which are there after it was opened again and after it was
/// compacted, as is all else; and what it knows is what its lines say.
pub fn run(bytes: &[u8]) {
    let directory = scratch::directory();
    let spec = StoreSpec::Jsonl(directory.path().into());
    std::fs::write(directory.path().join("log.jsonl"), bytes).expect("there is space");
    let read = everything(&mut *store::open_reader(&spec).expect("the file is there"));
    findings(&mut *store::open_reader(&spec).expect("the file is there"));

    let mut store = match (open(&spec), read) {
        (Ok(mut store), Ok(read)) => {
            assert_same(&everything(&mut *store).expect("it is open"), &read);
            store
        }
        (Err(error), Err(_)) => match repaired(&spec, &error) {
            Some(store) => store,
            None => return,
        },
        // Of nothing at all a new log is made.
        (opened, read) => panic!("opened: {:?}, read: {read:?}", opened.map(drop)),
    };
    findings(&mut *store);
    let before = everything(&mut *store).expect("it is open");
    starts(&before);
    if before.last.is_some_and(|last| last.at().0 > MILLIS_MAX) {
        return;
    }
    let ops = ops(before.last, &before.kept);
    for group in ops.chunks(3) {
        store.commit(group).expect("the disk is well");
    }
    let after = everything(&mut *store).expect("it is open");
    has_all(&after, &ops);
    findings(&mut *store);
    drop(store);

    let mut store = open(&spec).expect("it was open a moment ago");
    assert_same(&everything(&mut *store).expect("it is open"), &after);
    while store.tidy(&HistoryRules::default(), UnixMillis(0)).expect("the disk is well") {}
    let tidied = everything(&mut *store).expect("it is open");
    store.compact().expect("the disk is well");
    let compacted = everything(&mut *store).expect("it is open");
    if contradicts(bytes) {
        assert_same(&without_contents(&compacted), &without_contents(&tidied));
    } else {
        assert_same(&compacted, &tidied);
    }
    assert_eq!(findings(&mut *store), [""; 0], "a log written anew has nothing wrong in it");
    drop(store);
    let mut store = open(&spec).expect("it was open a moment ago");
    assert_same(&everything(&mut *store).expect("it is open"), &compacted);
}

/// Whether two messages of one id say different things, as nobody but a hand writes it. The first may not count, as there was
/// no such account yet, and the second does: a log that is written anew has the text of the first.
fn contradicts(log: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Message {
        id: Option<String>,
        content: Option<String>,
    }
    let mut contents = HashMap::new();
    log.split(|&byte| byte == b'\n').any(|line| {
        let Ok(Message { id: Some(id), content: Some(content) }) =
            serde_json::from_str(&String::from_utf8_lossy(line))
        else {
            return false;
        };
        *contents.entry(OpId::parse(&id)).or_insert_with(|| content.clone()) != content
    })
}

fn without_contents(of: &Everything) -> Everything {
    let mut kept = of.kept.clone();
    for kept in &mut kept {
        if let Kept::Letter(letter) = kept {
            letter.content = Box::default();
        }
    }
    Everything { kept, last: of.last, messages: of.messages.clone() }
}

fn open(spec: &StoreSpec) -> Result<Box<dyn Store>, StoreError> {
    store::open(spec, &Options { durability: Durability::None, search: true })
}

/// The store, once it was repaired.
fn repaired(spec: &StoreSpec, error: &StoreError) -> Option<Box<dyn Store>> {
    assert!(!error.to_string().is_empty());
    match store::repair(spec) {
        Ok(did) => assert!(did.iter().any(|line| line.contains("set aside")), "{did:?}"),
        Err(StoreError::Newer { .. }) => return None,
        Err(error) => panic!("it is not repaired: {error}"),
    }
    Some(open(spec).expect("it was repaired"))
}

/// Checks that two stores show the same; the first difference is shown alone.
fn assert_same(found: &Everything, expected: &Everything) {
    assert_eq!(found.last, expected.last);
    let kept = found.kept.iter().zip(&expected.kept);
    kept.for_each(|(found, expected)| assert_eq!(found, expected));
    let messages = found.messages.iter().zip(&expected.messages);
    messages.for_each(|(found, expected)| assert_eq!(found, expected));
    let counts = |of: &Everything| (of.kept.len(), of.messages.len());
    assert_eq!(counts(found), counts(expected));
}

/// All that a store shows.
#[derive(Debug)]
struct Everything {
    kept: Vec<Kept>,
    last: Option<OpId>,
    messages: Vec<(Box<str>, RoomMessage)>,
}

fn everything(store: &mut dyn Reader) -> Result<Everything, StoreError> {
    let (mut kept, mut rooms, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    let last = store.load(&mut |part| kept.push(part))?;
    store.rooms(&mut |room| rooms.push(room))?;
    for room in rooms {
        let history = store.history(&room.room, None, usize::MAX)?;
        assert_eq!(history.first().map(|message| message.sequence), Some(room.first));
        assert_eq!(history.last().map(|message| message.sequence), Some(room.last));
        if let [.., newest] = &history[..] {
            let older = store.history(&room.room, Some(newest.id), 2)?;
            assert!(history.ends_with(std::slice::from_ref(newest)) && older.len() <= 2);
        }
        messages.extend(history.into_iter().map(|message| (room.room.clone(), message)));
    }
    let sizes = store.sizes()?;
    assert_eq!(sizes.room_messages, messages.len() as u64);
    let of = |is: fn(&Kept) -> bool| kept.iter().filter(|kept| is(kept)).count() as u64;
    assert_eq!(sizes.accounts, of(|kept| matches!(kept, Kept::Account { .. })));
    assert_eq!(sizes.letters, of(|kept| matches!(kept, Kept::Letter(_))));
    assert_eq!(sizes.seats, of(|kept| matches!(kept, Kept::Seat { .. })));
    let found = store.search("hello", usize::MAX)?;
    assert!(found.len() <= messages.len());
    Ok(Everything { kept, last, messages })
}

/// A server starts with whatever a store shows.
fn starts(shown: &Everything) {
    let now = Now { monotonic: Duration::from_secs(1), unix: UnixMillis(1_700_000_000_000) };
    let mut engine = Engine::new(Settings::default(), HistoryRules::default(), Random::guessable(7));
    shown.kept.iter().for_each(|kept| engine.restore(kept, now));
    engine.check_invariants();
    if let Some(last) = shown.last {
        engine.restore_last(last);
    }
    engine.end_turn(now);
    engine.check_invariants();
}

/// What is wrong with lines may be anything; but the store may not know something else than they say.
fn findings(store: &mut dyn Reader) -> Vec<String> {
    let findings = store.check().expect("the disk is well");
    assert!(!findings.iter().any(|finding| finding.contains("are known")), "{findings:?}");
    findings
}

/// Ops above the last one: some of what is there goes, and some of everything comes.
fn ops(last: Option<OpId>, kept: &[Kept]) -> Vec<Op> {
    let at = UnixMillis(last.map_or(0, |last| last.at().0) + 1);
    let password = PasswordHash::new("$argon2id$x").expect("a hash");
    let mail = |content: &str| Change::MailSent {
        sender: "fuzz-ann".into(),
        sender_has_account: true,
        sender_account: None,
        recipient_account: None,
        recipient: "fuzz-bob".into(),
        content: content.into(),
        key: Some("key".into()),
    };
    let seat = |number| Seat {
        name: "fuzz-guest".into(),
        token: Token::from_random([number; 16]),
        ip: [192, 0, 2, 1].into(),
    };
    let said =
        |room: &str| Change::Said { room: room.into(), sender: "ann".into(), text: "hello\n\u{1}\"".into() };
    let gone = kept.iter().rev().take(3).map(|kept| match kept {
        Kept::Account { name, id, .. } => Change::AccountDeleted { name: name.clone(), account: *id },
        Kept::Letter(letter) => Change::MailDeleted { by: letter.recipient.clone(), message: letter.id },
        Kept::Seat { seat, .. } => Change::SeatLeft { token: seat.token },
    });
    let new = [
        Change::AccountCreated { name: "fuzz-ann".into(), password: password.clone(), is_unused: true },
        Change::AccountUsed { name: "fuzz-ann".into(), account: None },
        Change::AccountCreated { name: "fuzz-bob".into(), password, is_unused: true },
        mail("first"),
        mail("second"),
        Change::RoomMade { room: "fuzz-den".into(), host: seat(0xfe) },
        Change::SeatTaken { room: "fuzz-den".into(), seat: seat(0xfd) },
        said("lobby"),
        said("fuzz-den"),
    ];
    let of = |(index, change)| Op::new(OpId::new(at, index as u16, 7), change);
    gone.chain(new).enumerate().map(of).collect()
}

/// What was committed is there.
fn has_all(after: &Everything, ops: &[Op]) {
    assert_eq!(after.last, ops.last().map(|op| op.id));
    for Op { id, change, .. } in ops {
        let is_there = match change {
            Change::Said { room, text, .. } => after
                .messages
                .iter()
                .any(|(of, message)| of == room && message.id == *id && message.text == *text),
            Change::MailSent { content, .. } => after.kept.iter().any(
                |kept| matches!(kept, Kept::Letter(letter) if letter.id == *id && letter.content == *content),
            ),
            _ => true,
        };
        assert!(is_there, "{change:?}");
    }
}

/// A log with some of everything in it, as a store writes it; and the same once it was compacted. For the corpus.
pub fn logs() -> Vec<Vec<u8>> {
    let directory = scratch::directory();
    let spec = StoreSpec::Jsonl(directory.path().into());
    let log: PathBuf = Path::new(directory.path()).join("log.jsonl");
    let mut store = open(&spec).expect("there is space");
    let mut logs = vec![read(&log)];
    let mut last = None;
    for _ in 0..3 {
        let mut kept = Vec::new();
        store.load(&mut |part| kept.push(part)).expect("it is open");
        let mut ops = ops(last, &kept);
        let id = ops.last().expect("there are some").id;
        let messages: Vec<_> = ops.iter().map(|op| op.id).collect();
        let change = Change::MailRead { reader: "fuzz-bob".into(), messages: messages.into() };
        ops.push(Op::new(OpId::new(UnixMillis(id.at().0 + 1), 0, 7), change));
        last = ops.last().map(|op| op.id);
        store.commit(&ops).expect("there is space");
        logs.push(read(&log));
    }
    store.compact().expect("there is space");
    logs.push(read(&log));
    logs
}

fn read(log: &Path) -> Vec<u8> {
    std::fs::read(log).expect("it is there")
}
