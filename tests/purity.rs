//! Where the boundaries run: what is pure stays pure, and imports point one way. Reads the source tree.

use std::fs;
use std::path::{Path, PathBuf};

/// A top-level module, and the modules that it may use; a pure one touches no socket, file, thread or clock.
struct Layer {
    name: &'static str,
    uses: &'static [&'static str],
    pure: bool,
}

const LAYERS: [Layer; 8] = [
    Layer { name: "chat", uses: &["chat", "limits"], pure: true },
    Layer { name: "wire", uses: &["chat", "wire", "limits"], pure: true },
    Layer { name: "state", uses: &["chat", "state", "limits"], pure: true },
    Layer { name: "fanout", uses: &["chat", "wire", "fanout", "limits"], pure: true },
    Layer { name: "engine", uses: &["chat", "wire", "state", "fanout", "engine", "limits"], pure: true },
    Layer { name: "store", uses: &["chat", "state", "store", "text_encoding", "limits"], pure: false },
    Layer {
        name: "archive",
        uses: &["chat", "state", "store", "archive", "text_encoding", "limits"],
        pure: false,
    },
    Layer { name: "client", uses: &["chat", "wire", "client", "limits"], pure: false },
];

/// Paths, without their blanks, that are sockets, files, threads or clocks. A group behind `std` could hide one.
const IMPURE_PATHS: [&str; 9] = [
    "std::net",
    "std::fs",
    "std::thread",
    "std::os",
    "std::env",
    "std::process",
    "std::{",
    "Instant::now",
    "SystemTime::now",
];
/// Words that are.
const IMPURE_WORDS: [&str; 9] =
    ["mio", "libc", "rustix", "socket2", "File", "TcpStream", "UdpSocket", "Instant", "SystemTime"];

/// Rust without its comments and the contents of its strings and characters.
fn code(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if c == '"' {
            string_length(rest)
        } else if let Some(length) = character_length(rest) {
            length
        } else {
            code.push(c);
            c.len_utf8()
        };
        rest = &rest[skipped..];
    }
    code
}

/// The length of the string literal at the start, quotation marks included.
fn string_length(rest: &str) -> usize {
    let mut escaped = false;
    let end = rest.char_indices().skip(1).find(|&(_, c)| {
        let is_end = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        is_end
    });
    end.map_or(rest.len(), |(at, _)| at + 1)
}

/// The length of the character literal at the start, if there is one: `'a` alone is a lifetime.
fn character_length(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    if let Some(escape) = inside.strip_prefix('\\') {
        return Some(2 + escape.chars().next()?.len_utf8() + escape.get(1..)?.find('\'')? + 1);
    }
    let length = inside.chars().next()?.len_utf8();
    inside[length..].starts_with('\'').then_some(length + 2)
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// What is wrong with a file of a layer; `is_root` where `super` is the crate.
fn violations(layer: &Layer, source: &str, is_root: bool) -> Vec<String> {
    let code = code(source);
    let dense: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let mut found = Vec::new();
    for (at, path) in dense.match_indices("crate::") {
        let target = &dense[at + path.len()..];
        let name = words(target).next().unwrap_or_default();
        if !target.starts_with(name) || !layer.uses.contains(&name) {
            found.push(format!(
                "uses crate::{}",
                &target[..target.find([';', '(', ',']).unwrap_or(target.len())]
            ));
        }
    }
    let above = if is_root { "super::" } else { "super::super::" };
    // A test module in the root file is one level deeper, and says `super::*` of it.
    let climbs = dense.matches(above).count() - if is_root { dense.matches("super::*").count() } else { 0 };
    if climbs > 0 {
        found.push(format!("climbs out of itself by {above}"));
    }
    if layer.pure {
        found.extend(
            IMPURE_PATHS.iter().filter(|path| dense.contains(**path)).map(|path| format!("names {path}")),
        );
        found.extend(
            words(&code).filter(|word| IMPURE_WORDS.contains(word)).map(|word| format!("names {word}")),
        );
    }
    found
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The Rust files under a directory, or the file of that name.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("a readable directory").path());
    paths
        .flat_map(|path| files(&path))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("source is UTF-8")
}

#[test]
fn the_pure_modules_name_no_socket_file_thread_or_clock_and_imports_point_one_way() {
    for layer in &LAYERS {
        let mut files = files(&source_root().join(layer.name));
        files.extend(self::files(&source_root().join(layer.name).with_extension("rs")));
        assert!(!files.is_empty() || !layer.pure, "src/{} is there", layer.name);
        for path in files {
            let is_root = path.ends_with(format!("{}/mod.rs", layer.name))
                || path.ends_with(format!("src/{}.rs", layer.name));
            let found = violations(layer, &read(&path), is_root);
            assert!(found.is_empty(), "{}: {found:?}", path.display());
        }
    }
}

#[test]
fn the_limits_use_nothing() {
    let limits = Layer { name: "limits", uses: &["limits"], pure: true };
    let found = violations(&limits, &read(&source_root().join("limits.rs")), true);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn nothing_is_unsafe() {
    for path in files(&source_root()) {
        let code = code(&read(&path));
        assert!(!words(&code).any(|word| word == "unsafe"), "{}", path.display());
    }
}

#[test]
fn the_check_finds_what_is_planted() {
    let [chat, wire, _, _, engine, _, _, client] = &LAYERS;
    for (layer, is_root, source) in [
        (engine, false, "use std::net::SocketAddr;"),
        (engine, false, "use std::{fmt, net::SocketAddr};"),
        (engine, false, "fn f() { std :: fs :: read(\"x\"); }"),
        (engine, false, "let now = std::time::Instant::now();"),
        (engine, false, "let c = '\"'; use std::time::SystemTime; let d = '\"';"),
        (wire, false, "fn f<'a>(file: &'a File) {}"),
        (wire, false, "use mio::Token;"),
        (wire, false, "use crate::engine::Engine;"),
        (wire, false, "use crate::{chat, engine};"),
        (wire, false, "use super::super::engine::Engine;"),
        (wire, true, "use super::engine::Engine;"),
        (chat, false, "use crate::wire::Dialect;"),
        (chat, true, "pub use crate\n    ::config::Config;"),
        (client, false, "use crate::reactor::serve;"),
    ] {
        assert!(!violations(layer, source, is_root).is_empty(), "{source}");
    }
    for (layer, is_root, source) in [
        (engine, false, "// std::net, mio and File\nlet text = \"std::net \\\" mio\"; use std::io::IoSlice;"),
        (engine, false, "use super::log::Log; use crate::wire::Dialect; use crate::limits::LINE_BYTES_MAX;"),
        (wire, true, "#[cfg(test)] mod tests { use super::*; }"),
        (client, false, "use std::net::TcpStream; use std::time::Instant;"),
    ] {
        assert_eq!(violations(layer, source, is_root), [""; 0], "{source}");
    }
    assert!(words(&code("fn f() { unsafe { g() } } // safe")).any(|word| word == "unsafe"));
    assert!(!words(&code("// unsafe\nlet x = \"unsafe\";")).any(|word| word == "unsafe"));
}
