#!/usr/bin/env bash
# Versions: the crate rustyline 19.0.0 (feature derive), Linux. Needs cargo and python3.
#
# Guess: texts given to rustyline's `ExternalPrinter` appear in the order of the calls, and `print` has printed
# its text when it returns Ok.
#
# Behaviour: during a line the text goes into a queue, which the editor looks at while it waits for a key. A
# text that is in the queue when the line ends stays there until the next line is edited. Between two lines
# `print` writes to the terminal at once, so a later text comes first. If no other line follows, the queued
# text never appears. Both calls return Ok.
#
# Output seen:
#   after the line: second
#   during the next line: first
#   given to the last line, at the end of the program: nothing
#
# Why it matters here: a chat client that prints others' messages above the line being edited shows them out of
# order around the Enter key, and loses the last one before it ends. It has to know when a text was taken.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "printer"
version = "0.1.0"
edition = "2021"

[dependencies]
rustyline = { version = "=19.0.0", features = ["derive"] }

[workspace]
TOML
cat > "$folder/src/main.rs" <<'RUST'
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Completer, Editor, ExternalPrinter, Helper, Highlighter, Hinter};

/// Asked when Enter was pressed, while the line is still being edited. It lets the other thread print, and waits
/// until that has been done.
#[derive(Completer, Helper, Highlighter, Hinter)]
struct AtEnter(Sender<&'static str>, Receiver<()>);

impl Validator for AtEnter {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        if context.input() != "wait" {
            let text = if context.input() == "last" { "never" } else { "first" };
            self.0.send(text).expect("the printer is there");
            self.1.recv().expect("the printer is there");
        }
        Ok(ValidationResult::Valid(None))
    }
}

fn main() {
    let mut editor = Editor::<AtEnter, _>::new().expect("a terminal");
    let mut printer = editor.create_external_printer().expect("a terminal");
    let ((texts, to_print), (printed, is_printed)) = (channel::<&str>(), channel());
    editor.set_helper(Some(AtEnter(texts.clone(), is_printed)));
    let (between, between_done) = channel();
    thread::spawn(move || {
        for text in to_print {
            printer.print(format!("[{text}]\n")).expect("it returns Ok");
            let done = if text == "second" { between.send(()) } else { printed.send(()) };
            done.expect("the editor is there");
        }
    });
    editor.readline("1> ").expect("a line");
    texts.send("second").expect("the printer is there");
    between_done.recv().expect("it was printed");
    println!("[between]");
    editor.readline("2> ").expect("a line");
    editor.readline("3> ").expect("a line");
    println!("[end]");
}
RUST
cargo build --quiet --manifest-path "$folder/Cargo.toml"
cat > "$folder/compare.py" <<'P'
import os, pty, re, select, sys

child, terminal = pty.fork()
if child == 0:
    os.environ["TERM"] = "xterm"
    os.execv(sys.argv[1], sys.argv[1:])
shown = b""


def read_until(text):
    global shown
    while text not in shown:
        if not select.select([terminal], [], [], 20)[0]:
            sys.exit(f"{text} did not come: {shown}")
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            return


read_until(b"1> ")
os.write(terminal, b"one\r")
read_until(b"2> ")
read_until(b"[first]")
os.write(terminal, b"wait\r")
read_until(b"3> ")
os.write(terminal, b"last\r")
read_until(b"[end]")
os.waitpid(child, 0)
order = re.findall(rb"\[(first|second|between|never|end)\]", shown)
between = order.index(b"between")
print("after the line:", b" ".join(order[:between]).decode())
print("during the next line:", b" ".join(order[between + 1:order.index(b"end")]).decode())
print("given to the last line, at the end of the program:", "shown" if b"never" in order else "nothing")
sys.exit(order != [b"second", b"between", b"first", b"end"])
P
python3 "$folder/compare.py" "$folder/target/debug/printer"
