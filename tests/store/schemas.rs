//! Stores of earlier versions: each is read or refused as it is, converted, and searched by today's rules.

#[path = "schemas/make.rs"]
mod make;

use std::fs;
use std::path::{Path, PathBuf};

use parlance::chat::{Change, HistoryRules, Kept, Op, OpId, UnixMillis};
use parlance::store::{self, Options, Reader, StoreSpec};

/// A database in `schemas/`: see the README there.
struct File {
    name: &'static str,
    /// The commit that has its statements.
    commit: &'static str,
    version: u32,
    /// Whether a reader refuses it, as only a server converts it.
    is_refused: bool,
}

const FILES: [File; 6] = [
    File { name: "v1", commit: "d1da070", version: 1, is_refused: true },
    File { name: "v2-first", commit: "d1da070", version: 2, is_refused: true },
    File { name: "v2-second", commit: "c3758b6", version: 2, is_refused: true },
    File { name: "v2", commit: "870d264", version: 2, is_refused: false },
    File { name: "v3", commit: "5139e1d", version: 3, is_refused: false },
    File { name: "v4", commit: "65d811c", version: 4, is_refused: false },
];

impl File {
    fn has_conversations(&self) -> bool {
        !self.is_refused
    }
}

fn path(file: &File) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/store/schemas/{}.db", file.name))
}

/// Messages of the lobby.
const MESSAGES: u32 = 70;
const WEATHER: &str = "今天天气很好，我们去公园吧";
const ODYSSEUS: &str = "ὁ ΟΔΥΣΣΕΎΣ";
const LION: &str = "Café zum Löwen";
const TOWER: &str = "明日は東京タワーに行きます";
const ROCKET: &str = "the build 🚀 is out";
/// The message of the den.
const DEN: &str = "天空";

/// The message of a number in the lobby. Those up to 60 are in the index.
fn message(number: u32) -> String {
    match number {
        3 => WEATHER.into(),
        5 => ODYSSEUS.into(),
        7 => LION.into(),
        65 => TOWER.into(),
        68 => ROCKET.into(),
        number => format!("message {number}"),
    }
}

/// Searches, with the texts that they find, newest first.
const SEARCHES: [(&str, &[&str]); 11] = [
    ("天气", &[WEATHER]),
    ("天", &[DEN, WEATHER]),
    ("气今", &[]),
    ("東京", &[TOWER]),
    ("🚀", &[ROCKET]),
    ("οδυσσευς", &[ODYSSEUS]),
    ("CAFE lowen", &[LION]),
    ("caf", &[]),
    ("message 12", &["message 12"]),
    ("67 message", &["message 67"]),
    ("message 71", &[]),
];

#[track_caller]
fn search_all(reader: &mut dyn Reader, when: &str) {
    for (text, expected) in SEARCHES {
        let found = reader.search(text, 100).expect("a search");
        let texts: Vec<_> = found.iter().map(|(_, message)| &*message.text).collect();
        assert_eq!(texts, expected, "{when}: {text}");
    }
    assert_eq!(reader.search("message", 100).expect("a search").len(), MESSAGES as usize - 5, "{when}");
    assert_eq!(reader.check().expect("a check"), [""; 0], "{when}");
}

/// How many accounts and letters there are.
fn counts(reader: &mut dyn Reader) -> (usize, usize) {
    let (mut accounts, mut letters) = (0, 0);
    let count = &mut |kept| match kept {
        Kept::Account { .. } => accounts += 1,
        Kept::Letter(letter) => letters += usize::from(&*letter.content == "你好"),
        Kept::Seat { .. } => {}
    };
    reader.load(count).expect("it loads");
    (accounts, letters)
}

#[test]
fn a_database_of_each_earlier_schema_is_converted_and_searched() {
    for file in &FILES {
        let directory = tempfile::tempdir().expect("a directory");
        let copy = directory.path().join("chat.db");
        fs::copy(path(file), &copy).expect("copied");
        let spec = StoreSpec::Sqlite(copy.clone());
        let before = fs::read(&copy).expect("it is read");
        match store::open_reader(&spec) {
            Ok(mut reader) => {
                assert!(!file.is_refused, "{}", file.name);
                search_all(&mut *reader, &format!("{}, as it is", file.name));
            }
            Err(error) => {
                assert!(file.is_refused, "{}: {error}", file.name);
                assert!(error.to_string().contains("start a server with it"), "{error}");
            }
        }
        assert!(fs::read(&copy).expect("it is read") == before, "{}: a reader writes nothing", file.name);
        let mut store = store::open(&spec, &Options::default()).expect("it opens");
        search_all(&mut *store, &format!("{}, converted", file.name));
        assert_eq!(counts(&mut *store), (2, 2), "{}", file.name);
        while store.tidy(&HistoryRules::default(), UnixMillis(1_700_000_001_000)).expect("it is tidied") {}
        search_all(&mut *store, &format!("{}, indexed", file.name));
        drop(store);
        search_all(&mut *store::open_reader(&spec).expect("a reader"), &format!("{}, read", file.name));
        let mut store = store::open(&spec, &Options::default()).expect("it opens");
        search_all(&mut *store, &format!("{}, opened again", file.name));
        forget(&mut *store);
    }
}

/// Closes the lobby: its messages leave the index, term by term.
fn forget(store: &mut dyn store::Store) {
    let id = OpId::new(UnixMillis(1_700_000_002_000), 0, 0);
    store
        .commit(&[Op::new(id, Change::RoomClosed { room: "lobby".into(), made: None })])
        .expect("it commits");
    while store.tidy(&HistoryRules::default(), UnixMillis(1_700_000_002_000)).expect("it is tidied") {}
    for (text, expected) in [("天", &[DEN][..]), ("message", &[]), ("東京", &[])] {
        let found = store.search(text, 100).expect("a search");
        assert_eq!(found.iter().map(|(_, message)| &*message.text).collect::<Vec<_>>(), expected);
    }
    assert_eq!(store.check().expect("a check"), [""; 0]);
}

/// A log of a version, with the messages of the databases.
fn log(version: u32) -> String {
    let mut log = format!("{{\"operation\":\"format\",\"version\":{version}}}\n");
    let mut say = |number: u32, room: &str, text: &str| {
        let line = format!(
            "{{\"id\":\"018bcfe5-68{number:02x}-7000-8000-000000000001\",\"timestamp\":1700000000.000,\
             \"sender\":\"Alice\",\"room\":\"{room}\",\"content\":\"{text}\"}}\n"
        );
        log.push_str(&line);
    };
    for number in 1..=MESSAGES {
        say(number, "lobby", &message(number));
    }
    say(MESSAGES + 1, "den", DEN);
    log
}

#[test]
fn a_log_of_each_version_is_searched() {
    for version in [1, 2] {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("log.jsonl"), log(version)).expect("written");
        let spec = StoreSpec::Jsonl(directory.path().into());
        search_all(&mut *store::open_reader(&spec).expect("a reader"), &format!("version {version}"));
        let mut store = store::open(&spec, &Options::default()).expect("it opens");
        search_all(&mut *store, &format!("version {version}, opened"));
        while store.tidy(&HistoryRules::default(), UnixMillis(1_700_000_001_000)).expect("it is tidied") {}
        search_all(&mut *store, &format!("version {version}, tidied"));
        forget(&mut *store);
    }
}
