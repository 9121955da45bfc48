//! The configuration: a file, and variables of the environment behind it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use parlance::chat::RoomPattern;
use parlance::config::{Config, Sources};

use super::scratch;

/// Names of rooms that patterns are held against.
const ROOMS: [&str; 6] = ["lobby", "event-1", "event-", "é", "", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"];

/// The text of a file, and behind a zero each `NAME=VALUE`: it is a configuration, which is the same after it was written
/// and read again, or an error that names something. A pattern for rooms matches what it should.
pub fn run(bytes: &[u8]) {
    let mut parts = bytes.split(|&byte| byte == 0);
    let text = parts.next().unwrap_or_default();
    let environment = parts.map(|part| {
        let at = part.iter().position(|&byte| byte == b'=').unwrap_or(part.len());
        let os = |bytes: &[u8]| OsString::from(std::ffi::OsStr::from_bytes(bytes));
        (os(&part[..at]), os(part.get(at + 1..).unwrap_or_default()))
    });
    // Whichever file it names is not ours to read.
    let environment = environment.filter(|(name, _)| name != "PARLANCE_CONFIG").collect();
    let directory = scratch::directory();
    match load(directory.path(), text, environment) {
        Err(error) => assert!(error.contains(['`', '_', '-']), "it names nothing: {error}"),
        Ok(config) => {
            assert!(!config.to_string().is_empty());
            let written = config.to_toml().expect("paths are texts");
            let again = load(directory.path(), written.as_bytes(), Vec::new());
            assert_eq!(again.as_ref(), Ok(&config), "{written}");
            let rules = config.history_rules();
            for room in ROOMS {
                let own = rules.rooms.iter().find(|(pattern, _)| is_match(pattern, room));
                assert_eq!(rules.of(room), own.map_or(rules.default, |(_, rule)| *rule), "{room}");
            }
        }
    }
}

fn load(directory: &Path, text: &[u8], environment: Vec<(OsString, OsString)>) -> Result<Config, String> {
    let file = directory.join("parlance.toml");
    std::fs::write(&file, text).expect("there is space");
    let sources = Sources { file: Some(file), directory: directory.into(), environment, flags: Vec::new() };
    Config::load(&sources).map_err(|error| error.to_string())
}

/// Whether a pattern matches, worked out from the end, character by character.
fn is_match(pattern: &RoomPattern, room: &str) -> bool {
    let pattern: Vec<char> = String::from(pattern.clone()).chars().collect();
    let room: Vec<char> = room.chars().collect();
    // Whether what is left of the pattern matches what is left of the room, by where that begins.
    let mut matches: Vec<bool> = (0..=room.len()).map(|at| at == room.len()).collect();
    for c in pattern.into_iter().rev() {
        let behind = matches;
        matches = vec![false; room.len() + 1];
        for at in (0..=room.len()).rev() {
            matches[at] = match c {
                '*' => behind[at] || (at < room.len() && matches[at + 1]),
                '?' => at < room.len() && behind[at + 1],
                c => at < room.len() && room[at] == c && behind[at + 1],
            };
        }
    }
    matches[0]
}
