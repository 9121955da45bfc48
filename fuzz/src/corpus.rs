//! Where each target begins: inputs made of the test vectors, of what the server writes itself, and of words of each format;
//! and those that stand in `seeds`, among which is every input that ever failed.

use std::path::Path;

use parlance::config::Config;
use parlance::wire::gob::{self, Kind};
use parlance::wire::{Codec, Dialect, Fit};
use serde_json::Value;

use super::jsonl;

/// Vectors, and under which key each file has its bytes.
const VECTORS: [(&str, &str, &str); 6] = [
    ("gob", "hex", include_str!("../../tests/vectors/gob.json")),
    ("gob", "hex", include_str!("../../tests/vectors/gob-extra.json")),
    ("gob", "input_hex", include_str!("../../tests/vectors/gob-experiments.json")),
    ("tcrp", "hex", include_str!("../../tests/vectors/tcrp.json")),
    ("typed", "hex", include_str!("../../tests/vectors/typed.json")),
    ("ucrp", "hex", include_str!("../../tests/vectors/ucrp.json")),
];
/// Bytes of a longer vector say nothing that a shorter one does not, and mutations of it take longer.
const VECTOR_BYTES_MAX: usize = 6000;

const LINE: &str = "LOGIN ann\nLOGIN bob pass word\nMSG hi  é🦀\nWHO\nDM bob psst\nPING\nDANCE\n\
    OK\nMSG ann hi\nDM ann psst\nUSER ann\nPONG\nINFO ann disconnected\nINFO 7 messages missed\n\
    INFO den closed by its host\nINFO server shutting down\nERR username-taken\nERR user-not-found zoe\n\
    ERR must-login-first\nERR password-required\nERR too-slow\n";
const SLASH: &str = "ann\nhello\n/nick rob\n/join #den\n/leave\n/rooms\n/users\n/msg bob psst\n/pm bob psst\n\
    /history 7\n/help\n/dance\n/quit\nWelcome to the chat server!\nEnter your nickname: Password: \
    Welcome ann! You are in #lobby\nType /help for available commands\n[12:34:56] bob: hi\n\
    [12:34:56] [Private from bob]: psst\n[Private to bob]: psst\n*** bob joined the room\n\
    *** bob left the room\n*** bob is now known as rob\n*** 7 messages missed\n\
    *** den was closed by its host\n*** server shutting down\nYou joined #den\nUsers in #den:\n  ann (you)\n\
    Available rooms:\n  #den (3 users)\n  … and 7 more rooms\nERROR: Unknown command: /x. Type /help\n\
    Registration failed: Nickname already taken\nInvalid nickname: Nickname must be at least 3 characters\n\
    Goodbye!\n";

/// A log as a person may have written it.
const LOG: &str = r#"{"operation":"format","version":1,"last":"018bcfe5-6800-7001-8000-000000000004"}
{"operation":"account-created","id":"018bcfe5-6800-7000-8000-000000000001","timestamp":1700000000.000,"name":"ann","password":"$argon2id$x"}
{"operation":"account-created","name":"bob","password":"$2b$12$saltsaltsaltsaltsaltsO"}
{"id":"018bcfe5-6800-7001-8000-000000000004","timestamp":1700000000.250,"sender":"ann","recipient":"bob","content":"hello","status":"unread","key":"k"}
{"id":"018bcfe5-6800-7001-8000-000000000005","timestamp":1700000000.250,"sender":"eve","recipient":"bob","content":"hi","status":"read","sender_has_account":false}
{"id":"018bcfe5-6800-7001-8000-000000000006","sender":"ann","recipient":"bob","content":"kept","seen_by":"both"}
{"id":"018bcfe5-6800-7002-8000-000000000007","timestamp":"2023-11-14T22:13:21","sender":"ann","room":"lobby","content":"hello, all","sequence":7}
{"operation":"read","id":"018bcfe5-6800-7003-8000-000000000008","ids":["018bcfe5-6800-7001-8000-000000000004"],"reader":"bob"}
{"operation":"delete","id":"018bcfe5-6800-7004-8000-000000000009","ids":["018bcfe5-6800-7001-8000-000000000004"],"by":"ann"}
{"operation":"room-made","id":"018bcfe5-6800-7004-8000-00000000000a","room":"den","name":"host","token":"token_0123456789abcdef0123456789abcdef","ip":"192.0.2.1"}
{"operation":"seat-taken","room":"den","name":"guest","token":"token_1123456789abcdef0123456789abcdef","ip":"::1"}
{"operation":"seat-left","id":"018bcfe5-6800-7004-8000-00000000000b","token":"token_1123456789abcdef0123456789abcdef"}
{"operation":"room-closed","id":"018bcfe5-6800-7004-8000-00000000000c","room":"den"}
{"operation":"forget","room":"lobby","before":8}
{"operation":"nothing","id":"018bcfe5-6800-7004-8000-00000000000d"}
{"operation":"password-changed","id":"018bcfe5-6800-7004-8000-00000000000e","name":"ann","password":"$argon2id$y"}
{"operation":"account-deleted","id":"018bcfe5-6800-7004-8000-00000000000f","name":"bob"}
"#;

const TABLES: &str = "line = \"127.0.0.1:4000\"\nslash = \"off\"\nlag = \"close,slash=skip\"\npin = [0, 1]\n\
    shards = \"auto\"\nstore = \"jsonl:log\"\nlog = \"parlance=debug,info\"\nready-fd = 3\n\
    [[history-rooms]]\nmatch = \"event-*\"\nkeep-messages = 0\n\
    [[history-rooms]]\nmatch = \"a*a*?b\"\nkeep-days = 30\non-join = 5\n";
const VARIABLES: &str =
    "bind = \"::1\"\0RUST_LOG=debug\0PORT=0\0PARLANCE_MAX_CLIENTS=auto\0PARLANCE_PIN=0,1\0PARLANCE_SHARDS=2";

/// The inputs that a target begins with. Each is short.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let mut inputs = made(target);
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join(SEEDS).join(target);
    let mut files: Vec<_> =
        std::fs::read_dir(seeds).into_iter().flatten().flatten().map(|file| file.path()).collect();
    files.sort();
    inputs.extend(files.into_iter().map(|file| std::fs::read(file).expect("a seed")));
    inputs
}

/// Where the seeds are, from the package that has this file in it: this one, or the server.
const SEEDS: &str = if is_here() { "seeds" } else { "fuzz/seeds" };

const fn is_here() -> bool {
    matches!(env!("CARGO_PKG_NAME").as_bytes(), b"parlance-fuzz")
}

fn made(target: &str) -> Vec<Vec<u8>> {
    match target {
        "line" => [in_phases(LINE, vec![b'x'; 5000]), between_lines()].concat(),
        "slash" => [in_phases(SLASH, help()), between_lines()].concat(),
        "tcrp" => in_cuts(&[], &vectors("tcrp")),
        "typed" => [0, 1].iter().flat_map(|&tags| in_cuts(&[tags], &vectors("typed"))).collect(),
        "gob" => [0, 1].iter().flat_map(|&phase| in_cuts(&[phase], &vectors("gob"))).collect(),
        // What is there of a handshake is as good as any other bytes.
        "ucrp" => vectors("ucrp").into_iter().chain(vectors("tcrp")).collect(),
        "trips" => (0..10)
            .map(|kind| [&[kind, 0, 3][..], b"a\nb", &[1, 2, 200, 0xf1, 40, 0, b'x', b'y', 7]].concat())
            .collect(),
        "engine" => scripts(),
        "jsonl" => jsonl::logs().into_iter().chain([LOG.into(), LOG[..LOG.len() / 2].into()]).collect(),
        "config" => {
            let default = Config::default().to_toml().expect("its paths are texts");
            let example = include_str!("../../parlance.example.toml");
            [example, &default, TABLES, VARIABLES].map(|text| text.as_bytes().to_vec()).into()
        }
        _ => Vec::new(),
    }
}

/// Whole, and byte by byte.
fn in_cuts(front: &[u8], streams: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let cut = |cuts: u8| streams.iter().map(move |stream| [front, &[cuts, 7], stream].concat());
    [4, 0].into_iter().flat_map(cut).collect()
}

/// A conversation and something beside it in each phase, and each of its lines alone, which is tried faster.
fn in_phases(conversation: &str, beside: Vec<u8>) -> Vec<Vec<u8>> {
    let streams = [conversation.into(), beside];
    let of_phase = |phase: u8| in_cuts(&[phase], &streams);
    let lines = conversation.split_inclusive('\n').map(|line| [b"\x02\x04\x07", line.as_bytes()].concat());
    (0..3).flat_map(of_phase).chain(lines).collect()
}

/// Telnet, byte order marks and the ends of lines that clients send.
fn between_lines() -> Vec<Vec<u8>> {
    let streams = [
        &b"\xff\xfb\x1f\xff\xfb\x20\xff\xfd\x01\xff\xfd\x03PING\r\0MSG a\r\0\nMSG b\r\0\r\n\xff\xec"[..],
        b"MSG half\xff\xf4\xff\xfd\x06\xff\xf2MSG a\r\n\xff\xf4\xff\xfd\x06\xffMSG b\r\n\xff\xf4\xf2MSG c\r\r\n",
        b"MSG h\xc3\xa9\xff\xf7\xff\xf6\xff\xf1\xff\xfa\x18\0xterm\xff\xff\xff\xf0\n\xff\xf8\xff\xfe\x06\r",
        b"\xef\xbb\xbfLOGIN ann\r\n\xef\xbb\xbfMSG \xef\xbb\xbf\n",
        b"\xff\xfeL\0O\0G\0\n\0",
    ];
    (0..3).flat_map(|phase| in_cuts(&[phase], &streams.map(<[u8]>::to_vec))).collect()
}

fn help() -> Vec<u8> {
    let mut out = Vec::new();
    let _ = Dialect::Slash.encode_event(&Codec::default(), &parlance::chat::Event::Help, &mut out);
    out
}

fn vectors(dialect: &str) -> Vec<Vec<u8>> {
    let of_dialect = VECTORS.into_iter().filter(|(of, ..)| *of == dialect);
    let all = of_dialect.flat_map(|(_, key, json)| {
        let values: Vec<Value> = serde_json::from_str(json).expect("vectors");
        values.into_iter().map(move |value| unhex(value[key].as_str().expect("hex")))
    });
    all.filter(|bytes| bytes.len() <= VECTOR_BYTES_MAX).collect()
}

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).expect("hex"), 16).expect("hex")).collect()
}

/// Scripts for the engine, a shard more each: everybody connects, and says one thing of each kind; and bytes of a Go
/// program among them.
fn scripts() -> Vec<Vec<u8>> {
    let mut of_go = Vec::new();
    let _: Fit = gob::encode(&gob::Message { kind: Kind::Text, sender: "go", content: "hi" }, &mut of_go);
    (0..12_u8)
        .map(|number| {
            let mut script =
                vec![number % 3, number / 3 % 2, [0, 8, 24, 64, 96, 128, 224][usize::from(number) % 7]];
            for dialect in 0..5 {
                script.extend([0, dialect, 0, 0, dialect, 0]);
            }
            for kind in 0..14 {
                for peer in 0..10 {
                    // Who, of which name, in which room, with which password, what, and a short text and key.
                    script.extend([
                        4,
                        peer,
                        (peer + kind) % 8,
                        kind % 5,
                        kind % 3,
                        kind,
                        2,
                        b'h',
                        b'i',
                        1,
                        b'k',
                        0,
                    ]);
                }
                script.extend([
                    24,
                    3,
                    27,
                    kind,
                    19,
                    0,
                    kind,
                    kind,
                    kind % 5,
                    1,
                    b'x',
                    kind,
                    22,
                    kind,
                    0,
                    kind,
                ]);
            }
            script.extend([16, 255, 63]);
            script.extend(&of_go[..63]);
            script.extend([
                18, 0, 0, 1, 0, 5, 0xf8, 12, 0, b'l', b'o', b'n', b'g', b' ', b'x', b'y', b'z', b'.', 63,
            ]);
            script.extend([28, 27, 8, 29, 26, 1, 0, 31, number, 21, 1, 1, 21, 2, 0]);
            script
        })
        .collect()
}
