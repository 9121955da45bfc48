#!/usr/bin/env bash
# Versions: the crate tempfile 3.27.0, Linux. Needs cargo.
#
# Guess: a failed write through `NamedTempFile` gives the error of the system: `raw_os_error` is there, and the
# text is that of the errno.
#
# Behaviour: the error is wrapped with the path of the temporary file. `raw_os_error` is None, the error that
# `source` gives is not the system's either, and only the kind remains. A write through `as_file_mut` gives the
# system's error.
#
# Output seen (EFBIG, at a limit on the size of files):
#   through NamedTempFile: errno none, the text names the temporary file, errno of the source none
#   through its File: errno 27, the text does not name the temporary file
#
# Why it matters here: a command that replaces a user's file tells of a full disk with the name of a file that
# the user never saw, and advice that depends on the errno (quota, size, space) is lost.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "errors"
version = "0.1.0"
edition = "2021"

[dependencies]
libc = "=0.2.186"
tempfile = "=3.27.0"

[workspace]
TOML
cat > "$folder/src/main.rs" <<'RUST'
use std::error::Error;
use std::io::{self, Write};

fn errno(error: &(dyn Error + 'static)) -> Option<i32> {
    error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error)
}

fn main() {
    // SAFETY: both calls get valid arguments. No file may have a byte, and a write beyond that is an error.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::setrlimit(libc::RLIMIT_FSIZE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 });
    }
    let mut file = tempfile::NamedTempFile::new().expect("an empty file");
    let name = file.path().file_name().expect("a name").to_string_lossy().into_owned();
    let wrapped = file.write_all(b"text").expect_err("the limit");
    let plain = file.as_file_mut().write_all(b"text").expect_err("the limit");
    let shown = |errno: Option<i32>| errno.map_or("none".to_owned(), |errno| errno.to_string());
    let names = |error: &io::Error| if error.to_string().contains(&name) { "names" } else { "does not name" };
    let of_source = wrapped.source().and_then(errno);
    println!(
        "through NamedTempFile: errno {}, the text {} the temporary file, errno of the source {}",
        shown(wrapped.raw_os_error()),
        names(&wrapped),
        shown(of_source)
    );
    println!("through its File: errno {}, the text {} the temporary file", shown(plain.raw_os_error()), names(&plain));
    let as_described = (wrapped.raw_os_error(), of_source, plain.raw_os_error()) == (None, None, Some(libc::EFBIG))
        && (names(&wrapped), names(&plain)) == ("names", "does not name");
    std::process::exit(i32::from(!as_described));
}
RUST
cargo build --quiet --manifest-path "$folder/Cargo.toml"
"$folder/target/debug/errors"
