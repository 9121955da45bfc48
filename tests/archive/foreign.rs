//! Files of other programs.

use std::collections::BTreeMap;

use parlance::archive::{Counts, Format, Material, ReadError, Report};
use parlance::chat::{Change, Op, OpId, UnixMillis};
use parlance::store::memory::MemoryStore;

use super::stores::{NOW, commit, contents, import, plan, stores};

const ACCOUNTS: (&str, &[u8]) = ("accounts.json", include_bytes!("../import/accounts.json"));
const ROOMS: (&str, &[u8]) = ("rooms.json", include_bytes!("../import/rooms.json"));
const LOG: (&str, &[u8]) = ("log.jsonl", include_bytes!("../import/log.jsonl"));

/// By reason: how many, and where.
fn left(report: &Report) -> BTreeMap<&str, (u64, Vec<&str>)> {
    report
        .left
        .iter()
        .map(|(reason, left)| {
            (reason.as_str(), (left.count, left.examples.iter().map(String::as_str).collect()))
        })
        .collect()
}

fn reasons<'a>(rows: &[(&'a str, u64, &[&'a str])]) -> BTreeMap<&'a str, (u64, Vec<&'a str>)> {
    rows.iter().map(|&(reason, count, examples)| (reason, (count, examples.to_vec()))).collect()
}

#[test]
fn accounts_are_taken_in_their_order_and_once() {
    for (kind, mut store, _directory) in stores() {
        let (report, _) = import(&mut *store, &[ACCOUNTS]);
        assert_eq!(report.taken, Counts { accounts: 3, ..Counts::default() }, "{kind}");
        let expected = reasons(&[
            ("a name that names cannot be", 2, &["accounts.json two words", "accounts.json server"]),
            (
                "a password hash starts with $argon2id$, $2a$, $2b$ or $2y$",
                2,
                &["accounts.json carol", "accounts.json eve"],
            ),
            ("an account of that name is there, with another hash, which stays", 1, &["accounts.json ALICE"]),
        ]);
        assert_eq!(left(&report), expected, "{kind}");
        let before = contents(&mut *store);
        let names: Vec<_> = before.accounts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["alice", "bob", "Zoë"], "{kind}");

        let (again, ops) = import(&mut *store, &[ACCOUNTS]);
        assert_eq!((again.taken, ops), (Counts::default(), 0), "{kind}");
        assert_eq!(again.there.accounts, 3, "{kind}");
        assert_eq!(left(&again), expected, "{kind}");
        assert_eq!(contents(&mut *store), before, "{kind}");
    }
}

#[test]
fn rooms_are_taken_with_their_members_in_the_order_of_joining() {
    for (kind, mut store, _directory) in stores() {
        let (report, ops) = import(&mut *store, &[ROOMS]);
        assert_eq!((report.taken, ops), (Counts { seats: 3, ..Counts::default() }, 3), "{kind}");
        assert_eq!(
            left(&report),
            reasons(&[
                ("a member of a room whose token has no entry", 1, &["rooms.json empty"]),
                ("a room that is no object", 1, &["rooms.json list"]),
                ("a room's name that names of rooms cannot be", 1, &["rooms.json host"]),
                ("a token that is no token_ with 32 hexadecimal digits", 1, &["rooms.json short"]),
                ("a token without an address", 1, &["rooms.json nowhere"]),
                ("that name has a seat in the room", 1, &["rooms.json BOB"]),
                ("the seat of the room's host was left", 1, &["rooms.json guest"]),
            ]),
            "{kind}"
        );
        let before = contents(&mut *store);
        let seat = |name: &str, number: u8, ip: &str, is_host| {
            ("den".to_owned(), name.to_owned(), format!("token_{number:032x}"), ip.to_owned(), is_host)
        };
        let expected = [
            seat("Zoë", 1, "127.0.0.1", true),
            seat("bob", 2, "::1", false),
            seat("late", 8, "192.0.2.7", false),
        ];
        assert_eq!(before.seats, expected, "{kind}");

        let (again, ops) = import(&mut *store, &[ROOMS]);
        assert_eq!((again.taken, again.there.seats, ops), (Counts::default(), 3, 0), "{kind}");
        assert_eq!(left(&again), left(&report), "{kind}");
        assert_eq!(contents(&mut *store), before, "{kind}");
    }
}

#[test]
fn a_seat_proves_no_account() {
    for (kind, mut store, _directory) in stores() {
        let (report, _) = import(&mut *store, &[ROOMS, ACCOUNTS]);
        assert_eq!(report.taken.seats, 0, "{kind}");
        let reason = "the name has an account, and nobody proved it for this seat";
        assert_eq!(report.left[reason].examples, ["rooms.json Zoë"], "{kind}");
        assert_eq!(report.left["the seat of the room's host was left"].count, 4, "{kind}");
    }
}

#[test]
fn a_log_is_taken_with_what_happened_to_its_messages() {
    for (kind, mut store, _directory) in stores() {
        // Accounts come first, in whatever order the files are named.
        let (report, _) = import(&mut *store, &[LOG, ACCOUNTS]);
        let taken = Counts { accounts: 3, letters: 5, room_messages: 1, read: 2, ..Counts::default() };
        assert_eq!(report.taken, taken, "{kind}");
        assert_eq!(report.gone, 1, "{kind}: m4");
        let of_log: BTreeMap<_, _> =
            left(&report).into_iter().filter(|(_, (_, examples))| examples[0].starts_with("log")).collect();
        assert_eq!(
            of_log,
            reasons(&[
                ("a line that cannot be understood", 1, &["log.jsonl:17"]),
                ("a message without a time that can be understood", 1, &["log.jsonl:11 m10"]),
                ("a read mark of a message that is not there", 1, &["log.jsonl:13 unknown"]),
                ("a sender's name that names cannot be", 1, &["log.jsonl:7 m7"]),
                ("a text that is too long", 1, &["log.jsonl:8 m8"]),
                ("a time more than 100 years ahead", 1, &["log.jsonl:9 m9"]),
                ("an id that an earlier message of the file has", 1, &["log.jsonl:16 m1"]),
                ("an operation that is not known", 1, &["log.jsonl:15 rename"]),
                ("no account for nobody", 1, &["log.jsonl:6 m6"]),
            ]),
            "{kind}"
        );
        let before = contents(&mut *store);
        let letters: Vec<_> = before
            .letters
            .iter()
            .map(|letter| {
                (letter.id.at().0, &*letter.sender, &*letter.recipient, letter.sender_sees, letter.unread)
            })
            .collect();
        let second = |seconds: u64, millis: u64| (1_700_000_000 + seconds) * 1000 + millis;
        assert_eq!(
            letters,
            [
                (second(0, 250), "alice", "bob", true, true),
                (second(1, 0), "bob", "alice", true, false),
                (second(2, 500), "alice", "bob", true, false),
                (second(4, 0), "stranger", "Zoë", false, true),
                (second(9, 104), "alice", "alice", false, true),
            ],
            "{kind}"
        );
        assert_eq!(
            before.letters[4].id.to_string(),
            "018bcfe5-8b90-7abc-8def-0123456789ab",
            "{kind}: it stays"
        );
        let said = &before.rooms["lobby"];
        assert_eq!((said.len(), &*said[0].sender, &*said[0].text), (1, "guest", "said aloud"), "{kind}");

        let (again, ops) = import(&mut *store, &[LOG, ACCOUNTS]);
        assert_eq!((again.taken, ops), (Counts::default(), 0), "{kind}");
        let there = Counts { accounts: 3, letters: 5, room_messages: 1, read: 2, ..Counts::default() };
        assert_eq!(again.there, there, "{kind}");
        assert_eq!(left(&again), left(&report), "{kind}");
        assert_eq!(contents(&mut *store), before, "{kind}");
    }
}

#[test]
fn without_accounts_a_log_is_left_and_says_whose_are_missing() {
    for (kind, mut store, _directory) in stores() {
        let (report, _) = import(&mut *store, &[LOG]);
        assert_eq!(report.taken, Counts { room_messages: 1, ..Counts::default() }, "{kind}");
        for (name, count) in [("bob", 2), ("alice", 2), ("Zoë", 1), ("nobody", 1)] {
            assert_eq!(report.left[&format!("no account for {name}")].count, count, "{kind}: {name}");
        }
    }
}

#[test]
fn what_was_read_or_deleted_since_the_last_import_is_so_here_too() {
    let log = |rest: &str| {
        let message = |id: &str, sender: &str, recipient: &str| {
            format!(
                "{{\"id\":\"{id}\",\"timestamp\":1700000000.0,\"sender\":\"{sender}\",\"recipient\":\"{recipient}\",\
                 \"content\":\"x\",\"status\":\"unread\"}}\n"
            )
        };
        message("1", "alice", "bob") + &message("2", "alice", "bob") + &message("3", "guest", "bob") + rest
    };
    for (kind, mut store, _directory) in stores() {
        let first = log("");
        import(&mut *store, &[ACCOUNTS, ("log", first.as_bytes())]);
        let second =
            log("{\"operation\":\"read\",\"ids\":[1]}\n{\"operation\":\"delete\",\"ids\":[\"2\",\"3\"]}\n");
        let (report, ops) = import(&mut *store, &[("log", second.as_bytes())]);
        assert_eq!(report.taken, Counts { read: 1, deleted: 2, ..Counts::default() }, "{kind}");
        assert_eq!(ops, 3, "{kind}");
        let left = contents(&mut *store).letters;
        assert_eq!((left.len(), left[0].unread), (1, false), "{kind}");
        let (again, ops) = import(&mut *store, &[("log", second.as_bytes())]);
        assert_eq!((again.taken, again.gone, ops), (Counts::default(), 2, 0), "{kind}");
    }
}

#[test]
fn a_conversation_that_was_cleared_since_the_last_import_is_cleared_here_for_the_same_one() {
    let message = "{\"id\":\"1\",\"timestamp\":1700000000.0,\"sender\":\"alice\",\"recipient\":\"bob\",\
                   \"content\":\"x\",\"status\":\"unread\"}\n";
    for (by, seen) in [("alice", (false, true)), ("bob", (true, false))] {
        let cleared = format!("{{\"operation\":\"clear\",\"ids\":[\"1\"],\"by\":\"{by}\"}}\n");
        for (kind, mut store, _directory) in stores() {
            import(&mut *store, &[ACCOUNTS, ("log", message.as_bytes())]);
            let whole = format!("{message}{cleared}");
            let (_, ops) = import(&mut *store, &[("log", whole.as_bytes())]);
            let letters = contents(&mut *store).letters;
            let shown: Vec<_> = letters.iter().map(|l| (l.sender_sees, l.recipient_sees)).collect();
            assert_eq!((ops, shown), (1, vec![seen]), "{kind}, {by}");
            let (_, ops) = import(&mut *store, &[("log", whole.as_bytes())]);
            assert_eq!(ops, 0, "{kind}, {by}: once more");
        }
    }
}

#[test]
fn operations_of_our_own_logs_are_carried_out() {
    let id = OpId::new(UnixMillis(1_700_000_000_000), 0, 1);
    let token = format!("token_{:032x}", 1);
    let other = format!("token_{:032x}", 2);
    let hash = "$2b$04$x";
    let log = format!(
        r#"{{"operation":"format","version":1}}
{{"operation":"account-created","name":"alice","password":"{hash}old"}}
{{"operation":"account-created","name":"gone","password":"{hash}"}}
{{"operation":"password-changed","name":"alice","password":"{hash}new"}}
{{"id":"{id}","timestamp":1700000000,"sender":"gone","recipient":"alice","content":"x"}}
{{"id":"2","timestamp":1700000000,"sender":"alice","recipient":"alice","content":"stays","key":"k"}}
{{"operation":"account-deleted","name":"gone"}}
{{"operation":"room-made","room":"den","name":"alice","token":"{token}","ip":"::1"}}
{{"id":"3","timestamp":1700000000,"sender":"alice","room":"den","content":"said"}}
{{"operation":"room-closed","room":"den"}}
{{"operation":"room-made","room":"hall","name":"alice","token":"{token}","ip":"::1"}}
{{"operation":"seat-taken","room":"hall","name":"bob","token":"{other}","ip":"::1"}}
{{"operation":"seat-left","token":"{other}"}}
{{"operation":"forget","room":"hall","before":7}}
{{"operation":"nothing","id":"{id}"}}
"#
    );
    for (kind, mut store, _directory) in stores() {
        let (report, _) = import(&mut *store, &[("log", log.as_bytes())]);
        assert!(!report.has_left(), "{kind}: {report}");
        assert_eq!(report.taken, Counts { accounts: 1, seats: 1, letters: 1, ..Counts::default() }, "{kind}");
        let contents = contents(&mut *store);
        assert_eq!(contents.accounts, [("alice".to_owned(), format!("{hash}new"))], "{kind}");
        assert_eq!(contents.letters[0].key.as_deref(), Some("k"), "{kind}");
        assert_eq!(contents.seats[0].0, "hall", "{kind}");
        assert!(contents.rooms.is_empty(), "{kind}");
    }
}

/// As an older program wrote them: no time, no line with a format, and nobody named who read or deleted.
#[test]
fn messages_without_a_time_are_taken_once_and_in_their_order() {
    let lines: String = (0..40)
        .map(|number| {
            format!(r#"{{"id":"m{number}","sender":"alice","recipient":"bob","content":"{number}","status":"unread"}}"#)
                + "\n"
        })
        .collect();
    let log = format!(
        "{lines}{}\n{}\n{}\n",
        r#"{"operation":"read","ids":["m0","m1"]}"#,
        r#"{"operation":"delete","ids":["m2"]}"#,
        r#"{"id":"m3","sender":"alice","recipient":"bob","content":"3","status":"read"}"#,
    );
    let accounts: &[u8] = br#"{"alice":"$2b$04$x","bob":"$2b$04$x"}"#;
    for (kind, mut store, _directory) in stores() {
        let files = [("accounts", accounts), ("log", log.as_bytes())];
        let (report, _) = import(&mut *store, &files);
        let taken = Counts { accounts: 2, letters: 39, read: 3, ..Counts::default() };
        assert_eq!((report.taken, report.gone), (taken, 1), "{kind}: {report}");
        assert!(!report.has_left(), "{kind}: {report}");
        let before = contents(&mut *store);
        let texts: Vec<_> = before.letters.iter().map(|letter| &*letter.content).collect();
        let expected: Vec<_> =
            (0..40).filter(|number| *number != 2).map(|number| number.to_string()).collect();
        assert_eq!(texts, expected, "{kind}");
        let (again, ops) = import(&mut *store, &files);
        assert_eq!((again.taken, ops), (Counts::default(), 0), "{kind}: {again}");
        assert_eq!(again.there.letters, 39, "{kind}");
        assert_eq!(contents(&mut *store), before, "{kind}");
    }
}

#[test]
fn ids_of_ops_without_one_are_above_all_that_were_given_out() {
    for (kind, mut store, _directory) in stores() {
        let later = OpId::new(UnixMillis(NOW.0 + 5000), 7, 1);
        let said = Change::Said { room: "lobby".into(), sender: "a".into(), text: "x".into() };
        commit(&mut *store, &[Op::new(later, said)]);
        let ops = plan(&mut *store, &[ACCOUNTS]).ops;
        assert!(ops.iter().all(|op| op.id > later), "{kind}");
        assert!(ops.is_sorted_by(|one, other| one.id < other.id), "{kind}");
    }
}

#[test]
fn a_file_is_taken_for_what_it_looks_like() {
    let read = |bytes: &[u8], format| Material::new().read("file", bytes, format);
    for (bytes, format) in [
        (ACCOUNTS.1, Format::Accounts),
        (ROOMS.1, Format::Rooms),
        (LOG.1, Format::Jsonl),
        (b"", Format::Empty),
        (b"\n\r\n \n", Format::Empty),
        (b"{}", Format::Accounts),
        (b"{\"rooms\":{}}", Format::Rooms),
        (b"{\"operation\":\"read\",\"ids\":[]}", Format::Jsonl),
    ] {
        assert_eq!(read(bytes, Format::Auto).expect("read"), format);
    }
    for nonsense in [&b"nonsense"[..], b"[]", b"\xff", b"{\"rooms\":"] {
        assert!(matches!(read(nonsense, Format::Auto), Err(ReadError::Unknown { .. })), "{nonsense:?}");
    }
    for wrong in [&b"{\"rooms\":7}"[..], b"{\"a\":{}}", b"7"] {
        let error = read(wrong, Format::Rooms).expect_err("no rooms");
        assert!(error.to_string().starts_with("`file` cannot be understood: "), "{error}");
    }
}

#[test]
fn a_line_that_is_too_long_is_skipped_and_the_next_one_is_read() {
    let mut log = LOG.1[..=LOG.1.iter().position(|&byte| byte == b'\n').expect("a line")].to_vec();
    log.extend(std::iter::repeat_n(b'x', 3 << 20));
    log.push(b'\n');
    log.extend(b"{\"id\":\"r\",\"timestamp\":1,\"sender\":\"a\",\"room\":\"lobby\",\"content\":\"x\"}");
    for (kind, mut store, _directory) in stores() {
        let (report, _) = import(&mut *store, &[ACCOUNTS, ("log", &log)]);
        assert_eq!(report.left["a line that is too long"].examples, ["log:2"], "{kind}");
        assert_eq!((report.taken.letters, report.taken.room_messages), (1, 1), "{kind}");
    }
}

/// What a file has that is read, by its format.
fn taken_of(bytes: &[u8], format: Format) -> (Format, Counts, Report) {
    let mut store = MemoryStore::new();
    let mut material = Material::new();
    let format = material.read("file", bytes, format).expect("a file");
    let mut random = || 7;
    let plan = material.plan(&mut store, NOW, &mut random).expect("a plan");
    (format, plan.report.taken, plan.report)
}

fn said(number: u64) -> String {
    format!(
        r#"{{"id":"{number}","timestamp":{},"sender":"ann","room":"old","content":"text"}}"#,
        1_700_000_000 + number
    )
}

const HASH: &str = "$2b$04$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie";

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_no_text() {
    let log = (0..3).map(|number| said(number) + "\r\n").collect::<String>();
    let accounts = format!("{{\r\n\"ann\": \"{HASH}\"\r\n}}\r\n");
    let object = format!("{{\"messages\": [{},\r\n{}]}}", said(1), said(2));
    for mark in ["", "\u{feff}"] {
        for format in [Format::Auto, Format::Jsonl] {
            let (found, taken, report) = taken_of(format!("{mark}{log}").as_bytes(), format);
            assert_eq!(
                (found, taken.room_messages, report.has_left()),
                (Format::Jsonl, 3, false),
                "{report}"
            );
        }
        for format in [Format::Auto, Format::Accounts] {
            let (found, taken, report) = taken_of(format!("{mark}{accounts}").as_bytes(), format);
            assert_eq!((found, taken.accounts, report.has_left()), (Format::Accounts, 1, false), "{report}");
        }
        for format in [Format::Auto, Format::Rooms] {
            let (found, taken, report) = taken_of(format!("{mark}{object}").as_bytes(), format);
            assert_eq!(
                (found, taken.room_messages, report.has_left()),
                (Format::Rooms, 2, false),
                "{report}"
            );
        }
    }
}

#[test]
fn utf_16_is_said_to_be_that() {
    let text = said(1);
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in
        [little.clone(), big.clone(), [&b"\xff\xfe"[..], &little].concat(), [&b"\xfe\xff"[..], &big].concat()]
    {
        for format in [Format::Auto, Format::Jsonl, Format::Accounts, Format::Rooms] {
            match Material::new().read("file", &*bytes, format) {
                Err(ReadError::Malformed { message, .. }) => {
                    assert!(message.contains("save it as UTF-8"), "{message}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Each of these is strange somewhere, and has two messages, accounts or seats that are not.
#[test]
fn one_strange_entry_never_refuses_a_file() {
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let strange: [&[u8]; 11] = [
        b"null",
        b"[]",
        b"7e999",
        br#""\ud800""#,
        br#"{"id":{}}"#,
        br#"{"id":"1","id":"2"}"#,
        br#"{"id":"1","sender":"\udfff"}"#,
        b"{\"id\":\"1\",\"sender\":\"\xff\xfe\"}",
        br#"{"ids":"1"}"#,
        br#"{"timestamp":[]}"#,
        nested.as_bytes(),
    ];
    let not_json: [&[u8]; 6] = [b"{", b"# a comment", b"\xff\xfe\xfd", b"{\"id\":NaN}", b"", b"\0\0\0"];
    for entry in strange.iter().chain(&not_json) {
        for place in 0..3 {
            let mut lines = vec![said(1).into_bytes(), said(2).into_bytes()];
            lines.insert(place, entry.to_vec());
            if is_utf_16(&lines[0]) {
                continue;
            }
            let (found, taken, report) = taken_of(&lines.join(&b'\n'), Format::Auto);
            assert_eq!((found, taken.room_messages), (Format::Jsonl, 2), "{entry:?} at {place}: {report}");
            assert_eq!(report.has_left(), !entry.is_empty(), "{entry:?} at {place}: {report}");
        }
    }
    for entry in strange {
        for place in 0..3 {
            let mut entries = vec![said(1).into_bytes(), said(2).into_bytes()];
            entries.insert(place, entry.to_vec());
            let file = [&b"{\"messages\":[\n"[..], &entries.join(&b",\n"[..]), b"\n]}"].concat();
            let (found, taken, report) = taken_of(&file, Format::Auto);
            assert_eq!((found, taken.room_messages), (Format::Rooms, 2), "{entry:?} at {place}: {report}");
            let left = report.left.get("a message that cannot be understood");
            let left = left.or(report.left.get("a message without an id, a sender, a recipient or a text"));
            assert_eq!(left.map(|left| left.count), Some(1), "{entry:?} at {place}: {report}");

            let mut entries =
                ["ann", "bob"].map(|name| format!("\"{name}\":\"{HASH}\"").into_bytes()).to_vec();
            entries.insert(place, [&b"\"eve\":"[..], entry].concat());
            let file = [&b"{"[..], &entries.join(&b',')[..], b"}"].concat();
            let (found, taken, report) = taken_of(&file, Format::Auto);
            assert_eq!((found, taken.accounts), (Format::Accounts, 2), "{entry:?} at {place}: {report}");
            assert!(report.has_left(), "{entry:?} at {place}");
        }
        let tokens = "\"token_00000000000000000000000000000001\":{\"username\":\"ann\",\"room\":\"den\",\"ip\":\"::1\",\"is_host\":true}";
        for parts in [
            [&b"{\"rooms\":{\"x\":"[..], entry, b"},\"tokens\":{", tokens.as_bytes(), b"}}"].concat(),
            [&b"{\"rooms\":{},\"tokens\":{\"y\":"[..], entry, b",", tokens.as_bytes(), b"}}"].concat(),
            [
                &b"{\"rooms\":"[..],
                entry,
                b",\"accounts\":",
                entry,
                b",\"messages\":",
                entry,
                b",\"tokens\":{",
                tokens.as_bytes(),
                b"}}",
            ]
            .concat(),
        ] {
            let (found, taken, report) = taken_of(&parts, Format::Auto);
            assert_eq!(
                (found, taken.seats),
                (Format::Rooms, 1),
                "{}: {report}",
                String::from_utf8_lossy(&parts)
            );
        }
    }
}

fn is_utf_16(start: &[u8]) -> bool {
    start.starts_with(b"\xff\xfe") || start.contains(&0)
}

#[test]
fn a_text_with_the_replacement_character_in_it_is_a_text() {
    let file = format!("{{\"messages\":[{}]}}", said(1).replace("text", "a \u{fffd} b"));
    let (_, taken, report) = taken_of(file.as_bytes(), Format::Auto);
    assert_eq!((taken.room_messages, report.has_left()), (1, false), "{report}");
}

#[test]
fn nothing_is_passed_over_in_silence() {
    let seat = |token: u8, name: &str, room: &str| {
        format!("\"token_{token:032x}\":{{\"username\":\"{name}\",\"room\":\"{room}\",\"ip\":\"::1\"}}")
    };
    let token = |token: u8| format!("\"token_{token:032x}\"");
    let mail = |id: &str, to: &str| {
        format!(
            "{{\"id\":\"{id}\",\"timestamp\":1700000000,\"sender\":\"ann\",\"recipient\":\"{to}\",\"content\":\"x\"}}"
        )
    };
    let (ann, bob) = (seat(1, "ann", "den"), seat(2, "bob", "den"));
    for (file, reason) in [
        (
            format!("{}\n{}", mail("1", "ann"), mail("1", "bob")),
            "an id that an earlier message of the file has",
        ),
        (r#"{"operation":"read","id":"1"}"#.to_owned(), "a read mark or a deletion without ids"),
        (r#"{"operation":"delete","ids":null}"#.to_owned(), "a read mark or a deletion without ids"),
        (
            r#"{"operation":"seat-left","token":"x"}"#.to_owned(),
            "the end of a seat that the file does not have",
        ),
        (
            r#"{"operation":"room-closed","room":"x"}"#.to_owned(),
            "the end of a room that the file does not have",
        ),
        (
            r#"{"operation":"account-deleted","name":"x"}"#.to_owned(),
            "the end of an account that the file does not have",
        ),
        (
            format!("{{\"rooms\":{{\"den\":{{\"members\":[{},7]}}}},\"tokens\":{{{ann}}}}}", token(1)),
            "a member of a room that is no text",
        ),
        (
            format!("{{\"rooms\":{{\"den\":{{\"host\":{},\"members\":7}}}},\"tokens\":{{{ann}}}}}", token(1)),
            "members of a room that are no array",
        ),
        (
            format!(
                "{{\"rooms\":{{\"den\":{{\"host\":{0}}},\"two\":{{\"host\":{0}}}}},\"tokens\":{{{ann}}}}}",
                token(1)
            ),
            "a token that is for another room",
        ),
        (
            format!("{{\"rooms\":{{}},\"tokens\":{{{bob},{ann},{}}}}}", seat(1, "eve", "den")),
            "a token that has a later entry",
        ),
    ] {
        let (_, _, report) = taken_of(file.as_bytes(), Format::Auto);
        assert_eq!(report.left.get(reason).map(|left| left.count), Some(1), "{file}: {report}");
    }
}

#[test]
fn what_a_log_gave_up_since_stays_and_is_reported() {
    let token = format!("token_{:032x}", 1);
    let account = format!("{{\"operation\":\"account-created\",\"name\":\"ann\",\"password\":\"{HASH}\"}}\n");
    let seat = format!(
        "{{\"operation\":\"seat-taken\",\"room\":\"lobby\",\"name\":\"ann\",\"token\":\"{token}\",\"ip\":\"::1\"}}\n"
    );
    let account_gone = "{\"operation\":\"account-deleted\",\"name\":\"ann\"}\n";
    let seat_gone = format!("{{\"operation\":\"seat-left\",\"token\":\"{token}\"}}\n");
    let before = [&*account, &*seat].concat();
    let after = [&*before, &*seat_gone, account_gone].concat();
    let anew = [&*after, &*account, &*seat].concat();
    for (kind, mut store, _directory) in stores() {
        let (report, _) = import(&mut *store, &[("log", after.as_bytes())]);
        assert_eq!((report.taken, report.has_left()), (Counts::default(), false), "{kind}: {report}");
        let (report, _) = import(&mut *store, &[("log", before.as_bytes())]);
        let both = Counts { accounts: 1, seats: 1, ..Counts::default() };
        assert_eq!((report.taken, report.has_left()), (both, false), "{kind}: {report}");
        let (report, ops) = import(&mut *store, &[("log", after.as_bytes())]);
        let expected = reasons(&[
            ("a deletion of an account, which stays here", 1, &["log:1 ann"]),
            ("the end of a seat, which stays here", 1, &["log:2 ann"]),
        ]);
        assert_eq!((left(&report), ops), (expected, 0), "{kind}");
        let (report, ops) = import(&mut *store, &[("log", anew.as_bytes())]);
        assert_eq!((ops, report.has_left()), (0, false), "{kind}: {report}");
    }
}
