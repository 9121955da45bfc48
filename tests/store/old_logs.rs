//! Logs that version 1 has written, which knew accounts by their names.

use parlance::chat::{Change, HistoryRules, Kept, Op, OpId, UnixMillis};
use parlance::store::{self, Options, Reader, StoreSpec};

use crate::dealer::hash;

/// What a compaction left, and what came behind it.
const LOG: &str = r#"{"operation":"format","version":1,"last":"018bcfe5-6800-7001-8000-000000000004"}
{"operation":"account-created","name":"ann","password":"$argon2id$ann"}
{"operation":"account-created","name":"bob","password":"$argon2id$bob"}
{"id":"018bcfe5-6800-7001-8000-000000000001","timestamp":1700000000.000,"sender":"cyd","recipient":"bob","content":"from a stranger","status":"unread","seen_by":"recipient"}
{"id":"018bcfe5-6800-7001-8000-000000000002","timestamp":1700000000.000,"sender":"ann","recipient":"bob","content":"from ann","status":"unread","seen_by":"both"}
{"id":"018bcfe5-6800-7001-8000-000000000003","timestamp":1700000000.000,"sender":"bob","recipient":"Bob","content":"to himself","status":"read","key":"k","seen_by":"recipient"}
{"operation":"account-created","id":"018bcfe5-6801-7000-8000-000000000005","timestamp":1700000000.001,"name":"cyd","password":"$argon2id$cyd"}
{"id":"018bcfe5-6801-7001-8000-000000000006","timestamp":1700000000.001,"sender":"cyd","recipient":"bob","content":"from an account","status":"unread"}
{"id":"018bcfe5-6801-7002-8000-000000000007","timestamp":1700000000.001,"sender":"ann","recipient":"bob","content":"from somebody of that name","status":"unread","sender_has_account":false}
"#;

fn loaded(reader: &mut dyn Reader) -> Vec<Kept> {
    let mut kept = Vec::new();
    reader.load(&mut |part| kept.push(part)).expect("it loads");
    assert_eq!(reader.check().expect("it is checked"), [""; 0]);
    kept
}

fn ids(kept: &[Kept]) -> Vec<OpId> {
    let id = |part: &Kept| match part {
        Kept::Account { id, is_unused, .. } => {
            assert!(!is_unused, "what is not known counts as used");
            *id
        }
        Kept::Letter(_) | Kept::Seat { .. } => None,
    };
    kept.iter().filter_map(id).collect()
}

/// The senders of the letters, and their texts.
fn senders(kept: &[Kept]) -> Vec<(Option<OpId>, &str)> {
    fn letter(part: &Kept) -> Option<(Option<OpId>, &str)> {
        match part {
            Kept::Letter(letter) => Some((letter.sender_account, &*letter.content)),
            Kept::Account { .. } | Kept::Seat { .. } => None,
        }
    }
    kept.iter().filter_map(letter).collect()
}

#[test]
fn a_log_of_the_first_version_is_read_with_the_same_ids_each_time_and_written_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    let spec = StoreSpec::Jsonl(directory.path().to_owned());
    let path = directory.path().join("log.jsonl");
    std::fs::write(&path, LOG).expect("written");
    let before = loaded(&mut *store::open_reader(&spec).expect("it can be read"));
    assert_eq!(std::fs::read_to_string(&path).expect("read"), LOG, "a reader writes nothing");
    let [ann, bob, cyd] = ids(&before)[..] else { panic!("{before:?}") };
    assert!(ann < bob && bob < cyd);
    assert_eq!(cyd.to_string(), "018bcfe5-6801-7000-8000-000000000005", "that of its op");
    let expected = [
        (None, "from a stranger"),
        (Some(ann), "from ann"),
        (Some(bob), "to himself"),
        (Some(cyd), "from an account"),
        (None, "from somebody of that name"),
    ];
    assert_eq!(senders(&before), expected);
    let mut store = store::open(&spec, &Options::default()).expect("it opens");
    assert_eq!(loaded(&mut *store), before);
    // Something new behind the old, before there was time to write it anew.
    let now = UnixMillis(1_700_000_001_000);
    let id = |sequence| OpId::new(now, sequence, 0);
    let group = [
        Op::new(id(0), Change::AccountDeleted { name: "ann".into(), account: Some(ann) }),
        Op::new(id(1), Change::AccountCreated { name: "ann".into(), password: hash(1), is_unused: false }),
    ];
    store.commit(&group).expect("it commits");
    drop(store);
    let mut store = store::open(&spec, &Options::default()).expect("it opens");
    let changed = loaded(&mut *store);
    assert_eq!(ids(&changed), [bob, cyd, id(1)]);
    assert_eq!(senders(&changed), [expected[0], expected[2], expected[3], expected[4]]);
    while store.tidy(&HistoryRules::none(), now).expect("it is tidied") {}
    let log = std::fs::read_to_string(&path).expect("read");
    assert!(log.starts_with("{\"operation\":\"format\",\"version\":2,"), "{log}");
    assert_eq!(loaded(&mut *store), changed);
    drop(store);
    assert_eq!(loaded(&mut *store::open(&spec, &Options::default()).expect("it opens")), changed);
}
