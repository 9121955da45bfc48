//! Commands that only look, at stores that cannot be written to: on a read-only mount, on a full disk, and on
//! a disk without a free inode, in a mount namespace of the command's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use parlance::chat::{Change, Op, OpId, UnixMillis};
use parlance::store::{self, Options, Store, StoreSpec};

use crate::program::parlance;

/// What the shell does: it makes a directory read-only for itself, and becomes the command.
const READ_ONLY: &str = "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && ! touch \"$0/x\" 2>/dev/null && exec \"$@\"";

/// The same with a copy of the directory on a small disk that has no space left.
const FULL: &str = "mkdir \"$0.in\" && cp -a \"$0/.\" \"$0.in\" && mount -t tmpfs -o size=1m tmpfs \"$0\" && \
    cp -a \"$0.in/.\" \"$0\" && rm -r \"$0.in\" && { cat /dev/zero >\"$0/filler\" 2>/dev/null; \
    ! echo x 2>/dev/null >\"$0/x\"; } && exec \"$@\"";

/// The same with space, but without a free inode.
const NO_INODES: &str = "mkdir \"$0.in\" && cp -a \"$0/.\" \"$0.in\" && \
    mount -t tmpfs -o size=4m,nr_inodes=32 tmpfs \"$0\" && cp -a \"$0.in/.\" \"$0\" && rm -r \"$0.in\" && \
    i=0 && { while touch \"$0/$i\" 2>/dev/null; do i=$((i + 1)); done; test $i -gt 0; } && exec \"$@\"";

const DISKS: [(&str, &str); 3] = [("read-only", READ_ONLY), ("full", FULL), ("without inodes", NO_INODES)];

fn within(disk: &str, directory: &Path, command: &Command) -> Output {
    let mut within = Command::new("unshare");
    within.args(["-m", "sh", "-c", disk]).arg(directory);
    within.arg(command.get_program()).args(command.get_args());
    within.current_dir(command.get_current_dir().expect("it is set")).env_clear().output().expect("it runs")
}

/// None: nobody here may mount anything.
fn may_mount() -> Option<()> {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = Command::new("true");
    let output = within(READ_ONLY, directory.path(), command.current_dir("/"));
    if !output.status.success() {
        println!("skipped: nobody here may mount a directory (`unshare -m`)");
    }
    output.status.success().then_some(())
}

fn said(index: u64, text: &str) -> Op {
    let change = Change::Said { room: "den".into(), sender: "ann".into(), text: text.into() };
    Op::new(OpId::new(UnixMillis(1_700_000_000_000 + index), 0, index), change)
}

/// The commands on each disk, and what their output has in it where the store has these texts.
fn look(directory: &Path, data: &str, store: &str, texts: &[&str], how: &str) {
    for (name, disk) in DISKS {
        look_on(disk, directory, data, store, texts, &format!("{how}, {name}"));
    }
}

fn look_on(disk: &str, directory: &Path, data: &str, store: &str, texts: &[&str], how: &str) {
    let there = |name: &str| directory.join(name);
    let data_path = there(data);
    let names = || {
        let entries =
            fs::read_dir(&data_path).expect("listed").map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    };
    let before = names();
    let copy = there("copy");
    let run = |arguments: &[&str]| {
        let command = parlance(directory, &[&["--data", data, "--store", store], arguments].concat());
        let output = within(disk, &data_path, &command);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
        assert!(output.status.success(), "{store}, {how}: {arguments:?}: {text}");
        text
    };
    for arguments in [
        &["history", "--room", "den"][..],
        &["search", "hello"],
        &["export", "--format", "jsonl"],
        &["export", "--format", "json"],
    ] {
        let shown = run(arguments);
        for text in texts {
            assert!(shown.contains(text), "{store}, {how}: {arguments:?}: {shown}");
        }
    }
    let checked = run(&["store", "check"]);
    assert!(checked.contains(&format!("messages in rooms: {};", texts.len())), "{store}, {how}: {checked}");
    fs::write(there("accounts.json"), r#"{"zoe":"$2b$04$x"}"#).expect("written");
    run(&["import", "--dry-run", "--format", "accounts", "accounts.json"]);
    run(&["backup", copy.to_str().expect("UTF-8")]);
    assert_eq!(names(), before, "{store}, {how}");

    let spec = if store.starts_with("sqlite:") {
        StoreSpec::Sqlite(copy.clone())
    } else {
        let log = there("copied");
        fs::create_dir_all(&log).expect("made");
        fs::rename(&copy, log.join("log.jsonl")).expect("renamed");
        StoreSpec::Jsonl(log)
    };
    let history = store::open_reader(&spec).expect("a copy").history("den", None, 9).expect("read");
    let copied: Vec<_> = history.iter().map(|message| &*message.text).collect();
    assert_eq!(copied, texts, "{store}, {how}");
    let _ = fs::remove_file(&copy);
}

/// A name in which a URI would find something.
const NAME: &str = "d %41?a=b#é";

fn open(directory: &Path, store: &str) -> (Box<dyn Store>, PathBuf) {
    let data = directory.join(NAME);
    let spec = store.parse::<StoreSpec>().expect("a store").below(&data);
    (store::open(&spec, &Options::default()).expect("nobody has it"), data)
}

#[test]
fn commands_that_look_work_on_a_store_that_was_closed() {
    let Some(()) = may_mount() else { return };
    for store in ["sqlite:chat.db", "jsonl:."] {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut open, _) = open(directory.path(), store);
        open.commit(&[said(1, "hello 1"), said(2, "hello 2")]).expect("committed");
        drop(open);
        look(directory.path(), NAME, store, &["hello 1", "hello 2"], "closed");
    }
}

#[test]
fn they_see_what_stands_in_the_log_of_a_server_that_was_killed() {
    let Some(()) = may_mount() else { return };
    for left in [&["chat.db", "chat.db-wal", "chat.db-shm"][..], &["chat.db", "chat.db-wal"]] {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut open, data) = open(directory.path(), "sqlite:chat.db");
        open.commit(&[said(1, "hello 1")]).expect("committed");
        let killed = directory.path().join("killed");
        fs::create_dir(&killed).expect("made");
        // As it is at that moment; no commit is under way.
        for name in left {
            fs::copy(data.join(name), killed.join(name)).expect("copied");
        }
        assert!(fs::metadata(killed.join("chat.db-wal")).expect("there").len() > 0);
        look(directory.path(), "killed", "sqlite:chat.db", &["hello 1"], &left.join(" "));
    }
}

#[test]
fn they_see_what_a_server_writes_that_may() {
    let Some(()) = may_mount() else { return };
    for store in ["sqlite:chat.db", "jsonl:."] {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut open, _) = open(directory.path(), store);
        open.commit(&[said(1, "hello 1")]).expect("committed");
        // A copy on another disk would not be open.
        look_on(READ_ONLY, directory.path(), NAME, store, &["hello 1"], "open");
        open.commit(&[said(2, "hello 2")]).expect("committed");
        look_on(READ_ONLY, directory.path(), NAME, store, &["hello 1", "hello 2"], "open still");
    }
}

#[test]
fn a_database_of_an_earlier_version_is_read_where_it_cannot_be_converted() {
    let Some(()) = may_mount() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    fs::create_dir(&data).expect("made");
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/v2.db"), data.join("chat.db"))
        .expect("copied");
    let command =
        parlance(directory.path(), &["--data", "data", "--store", "sqlite:chat.db", "search", "message 120"]);
    for (name, disk) in DISKS {
        let output = within(disk, &data, &command);
        let shown = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
        assert!(output.status.success() && shown.contains("message 120"), "{name}: {shown}");
    }
}

#[test]
fn a_command_that_changes_a_store_says_what_the_disk_lacks() {
    let Some(()) = may_mount() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let (open, data) = open(directory.path(), "sqlite:chat.db");
    drop(open);
    let command = parlance(directory.path(), &["--data", NAME, "--store", "sqlite:chat.db", "compact"]);
    for (disk, lacks) in [(FULL, "the space on that disk"), (NO_INODES, "the free inodes of that disk")] {
        let output = within(disk, &data, &command);
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(lacks), "{lacks}: {said}");
    }
}
