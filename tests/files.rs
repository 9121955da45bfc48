//! Commands at the edges of what a file system and a pipe can do: each reports the problem and loses nothing,
//! or it works.

#[path = "support/unlocked.rs"]
mod unlocked;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use parlance::chat::{Change, Op, OpId, PasswordHash, UnixMillis};
use parlance::store::{self, Durability, Options, StoreSpec};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tempfile::TempDir;
use unlocked::wait_until_unlocked;

const SQLITE: &str = "sqlite:chat.db";
const JSONL: &str = "jsonl:log";
const HASH: &str = "$2b$04$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie";

/// A directory in which the commands are started, with a store in it.
struct Place {
    directory: TempDir,
    store: &'static str,
}

impl Place {
    fn empty(store: &'static str) -> Self {
        Self { directory: tempfile::tempdir().expect("a directory"), store }
    }

    /// With an account, and a number of messages in one room.
    fn with_messages(store: &'static str, count: u64, text: &str) -> Self {
        let place = Self::empty(store);
        let id = |index| OpId::new(UnixMillis(1_700_000_000_000 + index), 0, index);
        let password = PasswordHash::new(HASH).expect("a hash");
        let mut ops =
            vec![Op::new(id(0), Change::AccountCreated { name: "ann".into(), password, is_unused: false })];
        let said = |index| Change::Said {
            room: "den".into(),
            sender: "ann".into(),
            text: format!("{text} {index}").into(),
        };
        ops.extend((1..=count).map(|index| Op::new(id(index), said(index))));
        let options = Options { durability: Durability::None, search: true };
        store::open(&place.spec(), &options).expect("nobody has it").commit(&ops).expect("committed");
        wait_until_unlocked(place.file().parent().expect("a directory"));
        place
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    fn spec(&self) -> StoreSpec {
        self.store.parse::<StoreSpec>().expect("a store").below(&self.path("data"))
    }

    /// The store's file.
    fn file(&self) -> PathBuf {
        self.path(if self.store == SQLITE { "data/chat.db" } else { "data/log/log.jsonl" })
    }

    fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parlance"));
        command.args(["--data", "data", "--store", self.store]).args(arguments);
        command.current_dir(self.directory.path()).env_clear().stdin(Stdio::null());
        command
    }

    fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Output {
        self.command(arguments).output().expect("the command starts")
    }

    /// What a shell makes of a line, in which `$P` is the program with its store.
    fn shell(&self, line: &str) -> Output {
        let program = format!("{} --data data --store {}", env!("CARGO_BIN_EXE_parlance"), self.store);
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(self.directory.path()).env_clear().env("P", program);
        command.env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).output().expect("a shell")
    }

    #[track_caller]
    fn answer(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}: {arguments:?}: {output:?}", self.store);
        text(&output.stdout).to_owned()
    }

    #[track_caller]
    fn assert_well(&self, messages: u64) {
        let checked = self.answer(&["store", "check"]);
        assert!(checked.contains(&format!("messages in rooms: {messages};")), "{checked}");
    }

    /// The names in the directory, without that of the store.
    fn names(&self) -> Vec<OsString> {
        let entries = fs::read_dir(self.directory.path()).expect("listed");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        names.retain(|name| name != "data");
        names.sort();
        names
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

const LOOKS: [&[&str]; 7] = [
    &["history"],
    &["history", "--room", "den", "--json"],
    &["search", "hello"],
    &["store", "check"],
    &["export", "--format", "jsonl"],
    &["export", "--format", "json", "--out", "-"],
    &["import", "--dry-run", "accounts.json"],
];
const CHANGES: [&[&str]; 2] = [&["compact"], &["import", "accounts.json"]];
const WITHOUT_STORE: [&[&str]; 8] = [
    &["config"],
    &["check-config"],
    &["config", "--write", "new.toml"],
    &["completions", "bash"],
    &["--help"],
    &["help", "export"],
    &["chat", "--help"],
    &["--version"],
];

#[test]
fn an_output_that_is_full_is_an_error_of_every_command() {
    for store in [SQLITE, JSONL] {
        let place = Place::with_messages(store, 3, "hello");
        fs::write(place.path("accounts.json"), format!("{{\"bob\":\"{HASH}\"}}")).expect("written");
        for arguments in LOOKS.iter().chain(&CHANGES).chain(&WITHOUT_STORE) {
            let full = File::options().write(true).open("/dev/full").expect("it is there");
            let output = place.command(arguments).stdout(full).output().expect("it starts");
            assert_eq!(output.status.code(), Some(1), "{store}: {arguments:?}: {output:?}");
            let said = text(&output.stderr);
            assert!(said.contains("No space left on device"), "{store}: {arguments:?}: {said}");
            assert_eq!(
                said.contains("done, but the report"),
                CHANGES.contains(arguments),
                "{store}: {arguments:?}: {said}"
            );
        }
        assert!(place.answer(&["store", "check"]).contains("accounts: 2,"), "{store}: the import was done");
        place.assert_well(3);
    }
}

#[test]
fn a_closed_output_is_no_error() {
    for store in [SQLITE, JSONL] {
        let place = Place::with_messages(store, 2000, &"hello ".repeat(20));
        fs::write(place.path("accounts.json"), format!("{{\"bob\":\"{HASH}\"}}")).expect("written");
        for arguments in LOOKS.iter().chain(&CHANGES).chain(&WITHOUT_STORE) {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            drop(reader);
            let output = place.command(arguments).stdout(writer).output().expect("it starts");
            assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{store}: {arguments:?}");
            let _ = fs::remove_file(place.path("new.toml"));
        }
        assert!(place.answer(&["store", "check"]).contains("accounts: 2,"), "{store}: the import was done");
    }
}

/// The commands that make a file of a name.
fn makers(name: &str) -> [Vec<&str>; 3] {
    [
        vec!["backup", "--", name],
        vec!["export", "--format", "jsonl", "--out", name],
        vec!["export", "--format", "json", "--out", name],
    ]
}

#[test]
fn a_file_is_made_where_there_is_none_and_replaces_nothing() {
    for store in [SQLITE, JSONL] {
        let place = Place::with_messages(store, 3, "hello");
        fs::write(place.path("file"), "precious").expect("written");
        fs::create_dir(place.path("directory")).expect("made");
        symlink("nowhere", place.path("dangling")).expect("a link");
        symlink("file", place.path("link")).expect("a link");
        assert!(place.shell("mkfifo fifo").status.success());
        let names = place.names();
        for name in ["file", "directory", "dangling", "link", "fifo", "/dev/null", "/dev/full", "data"] {
            for arguments in makers(name) {
                let output = place.run(&arguments);
                assert_eq!(output.status.code(), Some(1), "{store}: {arguments:?}: {output:?}");
                let said = format!(
                    "parlance: cannot write `{name}`: it is there already; move it away, or name another file\n"
                );
                assert_eq!(text(&output.stderr), said, "{store}: {arguments:?}");
            }
        }
        for name in ["no/such/directory", "file/below", "/proc/x", ""] {
            for arguments in makers(name) {
                let output = place.run(&arguments);
                assert!(matches!(output.status.code(), Some(1 | 2)), "{store}: {arguments:?}: {output:?}");
                assert!(
                    !output.stderr.is_empty() && output.stdout.is_empty(),
                    "{store}: {arguments:?}: {output:?}"
                );
            }
        }
        assert_eq!(place.names(), names, "{store}: nothing is left beside");
        assert_eq!(fs::read(place.path("file")).expect("read"), b"precious");
        assert!(fs::symlink_metadata(place.path("fifo")).expect("there").file_type().is_fifo());
        place.assert_well(3);
    }
}

#[test]
fn names_are_whatever_the_system_allows() {
    for store in [SQLITE, JSONL] {
        let place = Place::with_messages(store, 3, "hello");
        let names = [&b"./-x"[..], b"a b", b"file:x?mode=memory", b"%2e", b"\xff\xfe.db", "é".as_bytes()];
        for name in names.map(OsStr::from_bytes) {
            let words = |words: &[&str]| -> Vec<OsString> {
                words.iter().map(OsString::from).chain([name.to_owned()]).collect()
            };
            for arguments in [words(&["backup"]), words(&["export", "--format", "jsonl", "--out"])] {
                let output = place.run(&arguments);
                assert_eq!(output.status.code(), Some(0), "{store}: {arguments:?}: {output:?}");
                assert!(fs::metadata(place.path(name)).expect("it is there").is_file());
                let imported = Place::empty(store);
                fs::rename(place.path(name), imported.path(name)).expect("renamed");
                if arguments[0] == "export" {
                    let output = imported.run(&words(&["import"]));
                    assert_eq!(output.status.code(), Some(0), "{store}: {name:?}: {output:?}");
                    imported.assert_well(3);
                }
            }
            assert_eq!(place.names(), [] as [OsString; 0], "{store}: {name:?}");
        }
        // A hyphen is the standard input, or output.
        let exported = place.answer(&["export", "--format", "jsonl", "--out", "-"]);
        let imported = Place::empty(store);
        let mut child = imported
            .command(&["import", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        child.stdin.take().expect("it is piped").write_all(exported.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("it ends");
        assert!(
            text(&output.stdout).starts_with("standard input: jsonl\ntaken: 1 account, 3 messages in rooms"),
            "{output:?}"
        );
        imported.assert_well(3);
        assert_eq!(place.run(&["backup", "-"]).status.code(), Some(2));
        assert_eq!(place.names(), [] as [OsString; 0]);
    }
}

#[test]
fn nothing_is_written_over_the_store() {
    for (store, files) in [
        (SQLITE, &["data/chat.db", "data/chat.db-wal", "data/chat.db-shm", "data/chat.db-journal"][..]),
        (JSONL, &["data/log/log.jsonl", "data/log/log.jsonl.new", "data/log/log.jsonl.broken"]),
    ] {
        let place = Place::with_messages(store, 3, "hello");
        for name in files
            .iter()
            .copied()
            .chain(["data/../data/log/log.jsonl.new"].into_iter().filter(|_| store == JSONL))
        {
            for arguments in makers(name) {
                let output = place.run(&arguments);
                assert_eq!(output.status.code(), Some(2), "{store}: {arguments:?}: {output:?}");
                let said = format!("parlance: `{name}` is a file of the store; name another file\n");
                assert_eq!(text(&output.stderr), said, "{store}: {arguments:?}");
            }
        }
        let file = files[0];
        let before = fs::read(place.file()).expect("read");
        for command in ["export --format jsonl", "history", "store check", "config", "search hello"] {
            let output = place.shell(&format!("$P {command} >> {file}"));
            assert_eq!(output.status.code(), Some(2), "{store}: {command}: {output:?}");
            let said = text(&output.stderr);
            assert!(said.contains("a file of the store; nothing was done; write to another file"), "{said}");
        }
        let output = place.shell(&format!("$P --line 0 2>> {file}"));
        assert_eq!(output.status.code(), Some(2), "{store}: {output:?}");
        // That is what it has to say of it.
        let after = fs::read(place.file()).expect("read");
        let said = after.strip_prefix(&before[..]).expect("nothing else was written");
        assert!(text(said).starts_with("parlance: standard error is "), "{store}: {}", text(said));
        fs::write(place.file(), &before).expect("mended");
        place.assert_well(3);

        let output = place.shell(&format!("$P export --format jsonl > {file}"));
        assert_eq!(output.status.code(), Some(2), "{store}: {output:?}");
        assert!(
            text(&output.stderr).contains("the shell has emptied it: put back what was in it"),
            "{output:?}"
        );
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_leaves_no_half_a_file() {
    for store in [SQLITE, JSONL] {
        let place = Place::with_messages(store, 2000, &"hello ".repeat(20));
        let messages = (0..3000).map(|index| {
            let text = "x".repeat(200);
            format!("{{\"id\":\"{index}\",\"timestamp\":{index},\"sender\":\"ann\",\"room\":\"old\",\"content\":\"{text}\"}}\n")
        });
        fs::write(place.path("messages.jsonl"), messages.collect::<String>()).expect("written");
        let names = place.names();
        for command in [
            "backup copy",
            "export --format jsonl --out copy",
            "export --format json --out copy",
            "import messages.jsonl",
        ] {
            // In blocks of 512 bytes.
            let output = place.shell(&format!("ulimit -f 100; exec $P {command}"));
            assert_eq!(output.status.code(), Some(1), "{store}: {command}: {output:?}");
            let said = text(&output.stderr);
            let about = if command.starts_with("import") {
                place.store.split_once(':').expect("a kind").1
            } else {
                "copy"
            };
            assert!(said.contains(about) && said.len() > 20, "{store}: {command}: {said}");
            assert!(output.stdout.is_empty(), "{store}: {command}: {output:?}");
            assert_eq!(place.names(), names, "{store}: {command}");
            place.assert_well(2000);
        }
        place.answer(&["import", "messages.jsonl"]);
        place.assert_well(5000);
        let output = place.shell("ulimit -f 0; exec $P config --write new.toml");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(place.names(), names, "{store}");
    }
}

/// The first one that the C library leaves to programs.
const REAL_TIME_MIN: i32 = 35;

/// Longer than anything takes; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_signal_leaves_no_half_a_file_and_nothing_beside_it() {
    for store in [SQLITE, JSONL] {
        let place = Place::with_messages(store, 30_000, &"hello ".repeat(20));
        for (signal, arguments) in [
            (Signal::INT.as_raw(), &["backup", "copy"][..]),
            (Signal::TERM.as_raw(), &["export", "--format", "jsonl", "--out", "copy"]),
            (Signal::HUP.as_raw(), &["export", "--format", "json", "--out", "copy"]),
            (Signal::QUIT.as_raw(), &["backup", "copy"]),
            (Signal::ALARM.as_raw(), &["backup", "copy"]),
            (Signal::USR1.as_raw(), &["backup", "copy"]),
            (Signal::USR2.as_raw(), &["backup", "copy"]),
            (Signal::XCPU.as_raw(), &["backup", "copy"]),
            (Signal::POWER.as_raw(), &["backup", "copy"]),
            (Signal::IO.as_raw(), &["export", "--format", "jsonl", "--out", "copy"]),
            (Signal::STKFLT.as_raw(), &["backup", "copy"]),
            (REAL_TIME_MIN, &["backup", "copy"]),
            (64, &["export", "--format", "json", "--out", "copy"]),
        ] {
            let deadline = Instant::now() + PATIENCE;
            // It may be too fast to be caught in the middle.
            while !is_interrupted(&place, arguments, signal) {
                assert!(Instant::now() < deadline, "{store}: {arguments:?} is never in the middle of it");
                fs::remove_file(place.path("copy")).expect("it was made");
            }
            assert_eq!(place.names(), [] as [OsString; 0], "{store}: {arguments:?}, {signal:?}");
        }
        place.assert_well(30_000);
    }
}

#[test]
fn a_signal_that_was_ignored_at_the_start_does_not_end_a_command() {
    let place = Place::with_messages(SQLITE, 30_000, &"hello ".repeat(20));
    for arguments in [&["backup", "copy"][..], &["export", "--format", "jsonl", "--out", "copy"]] {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut command = Command::new("sh");
            command.args(["-c", "trap '' HUP INT QUIT; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_parlance")]);
            command.args(["--data", "data", "--store", SQLITE]).args(arguments);
            command.current_dir(place.directory.path()).env_clear().stdin(Stdio::null());
            let signals = [Signal::HUP, Signal::INT, Signal::QUIT].map(Signal::as_raw);
            let (status, is_at_work) = interrupt(&place, command, &signals);
            assert!(status.success(), "{arguments:?}: {status}");
            assert_eq!(place.names(), ["copy"], "{arguments:?}");
            fs::remove_file(place.path("copy")).expect("it was made");
            if is_at_work {
                break;
            }
            assert!(Instant::now() < deadline, "{arguments:?} is never in the middle of it");
        }
    }
    place.assert_well(30_000);
}

/// Stops a command in the middle of its work, and ends it with a signal; whether it was still at work.
fn is_interrupted(place: &Place, arguments: &[&str], signal: i32) -> bool {
    let (status, is_at_work) = interrupt(place, place.command(arguments), &[signal]);
    if !is_at_work || status.success() {
        return false;
    }
    // As a shell reports it, where the program cannot have the default action again.
    let is_of_signal = status.signal() == Some(signal) || status.code() == Some(128 + signal);
    assert!(is_of_signal, "{signal}: {status}");
    true
}

/// Stops a command in the middle of its work, and sends signals to it. Its status, and whether it was still
/// at work.
fn interrupt(place: &Place, mut command: Command, signals: &[i32]) -> (ExitStatus, bool) {
    let mut child = command.stdout(Stdio::null()).spawn().expect("it starts");
    let pid = Pid::from_child(&child);
    while place.names().is_empty() && child.try_wait().expect("it can be waited for").is_none() {
        std::thread::yield_now();
    }
    if kill_process(pid, Signal::STOP).is_err() {
        return (child.wait().expect("it ends"), false);
    }
    let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).expect("a child").expect("it is waited for");
    if !status.stopped() {
        return (ExitStatus::from_raw(status.as_raw()), false);
    }
    assert!(!place.path("copy").exists() || place.names().len() == 1, "it has its name once it is whole");
    let is_at_work = !place.path("copy").exists();
    for signal in signals {
        // The shell knows the real-time signals, too.
        let mut kill = Command::new("sh");
        let status = kill.args(["-c", &format!("kill -{signal} {pid}")]).status().expect("a shell");
        assert!(status.success(), "{signal}");
    }
    kill_process(pid, Signal::CONT).expect("it is stopped");
    (child.wait().expect("it ends"), is_at_work)
}

#[test]
fn a_store_that_is_none_is_said_to_be_none_and_left_as_it_is() {
    let commands = LOOKS.iter().chain(&CHANGES).copied().chain([&["backup", "copy"][..]]);
    let commands: Vec<_> = commands.filter(|arguments| *arguments != ["history"]).collect();
    let garbage = "this is a text and not a store, however long it is\n".repeat(200).into_bytes();
    for store in [SQLITE, JSONL] {
        let place = Place::with_messages(store, 300, "hello");
        place.answer(&["compact"]);
        fs::write(place.path("accounts.json"), format!("{{\"bob\":\"{HASH}\"}}")).expect("written");
        let whole = fs::read(place.file()).expect("read");
        let half = if store == SQLITE { whole.len() / 2 / 4096 * 4096 } else { whole.len() / 2 };
        let mut torn = whole[..half].to_vec();
        if store == JSONL {
            // A log whose end is torn is one that a server mends; this one is broken in the middle.
            torn.extend_from_slice(b"\n{\"operation\":\"nothing\"}\n{}\n");
        }
        for (what, bytes) in [("garbage", &garbage), ("truncated", &torn)] {
            fs::write(place.file(), bytes).expect("written");
            for arguments in &commands {
                let output = place.run(arguments);
                assert_eq!(output.status.code(), Some(1), "{store}, {what}: {arguments:?}: {output:?}");
                let said = [output.stdout, output.stderr].concat();
                let said = text(&said);
                assert!(said.contains("data/"), "{store}, {what}: {arguments:?}: {said}");
                assert!(
                    fs::read(place.file()).expect("read") == *bytes,
                    "{store}, {what}: {arguments:?} changed it"
                );
                assert!(!place.path("copy").exists(), "{store}, {what}: {arguments:?}");
            }
        }
        // Nothing at all.
        fs::write(place.file(), "").expect("written");
        for arguments in commands.iter().filter(|arguments| !CHANGES.contains(arguments)) {
            let output = place.run(arguments);
            assert_eq!(output.status.code(), Some(1), "{store}: {arguments:?}: {output:?}");
            let said = [output.stdout, output.stderr].concat();
            assert!(text(&said).contains("it is empty"), "{store}: {arguments:?}: {}", text(&said));
        }
    }
}

#[test]
fn an_emptied_database_does_not_cost_the_log_beside_it() {
    let place = Place::with_messages(SQLITE, 3, "hello");
    let mut open = store::open(&place.spec(), &Options::default()).expect("nobody has it");
    let change = Change::Said { room: "den".into(), sender: "ann".into(), text: "in the log".into() };
    open.commit(&[Op::new(OpId::new(UnixMillis(1_800_000_000_000), 0, 0), change)]).expect("committed");
    let killed = Place::empty(SQLITE);
    fs::create_dir(killed.path("data")).expect("made");
    fs::write(killed.file(), "").expect("written");
    let log = killed.path("data/chat.db-wal");
    fs::copy(place.path("data/chat.db-wal"), &log).expect("copied");
    let before = fs::read(&log).expect("read");
    for arguments in
        [&["history", "--room", "den"][..], &["store", "check"], &["compact"], &["serve", "--line", "0"]]
    {
        let output = killed.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        assert!(text(&output.stderr).contains("the write-ahead log beside it is not"), "{output:?}");
        assert!(fs::read(&log).expect("it is there") == before, "{arguments:?}");
    }
}

/// The user `nobody`, who has no rights but those of everybody.
#[test]
fn a_store_that_a_user_may_not_read_is_there_all_the_same() {
    for store in [SQLITE, JSONL] {
        let place = Place::with_messages(store, 3, "hello");
        fs::write(place.path("accounts.json"), format!("{{\"bob\":\"{HASH}\"}}")).expect("written");
        // The program is perhaps where only root may look.
        fs::copy(env!("CARGO_BIN_EXE_parlance"), place.path("parlance")).expect("copied");
        let allow =
            |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
        allow(place.directory.path(), 0o755);
        let run = |arguments: &[&str]| {
            let mut command = Command::new("setpriv");
            command.args([
                "--reuid",
                "65534",
                "--clear-groups",
                "./parlance",
                "--data",
                "data",
                "--store",
                store,
            ]);
            command.args(arguments).current_dir(place.directory.path());
            let output = command.output().expect("it starts");
            (output.status.code(), [text(&output.stdout), text(&output.stderr)].concat())
        };
        if run(&["--version"]).0 != Some(0) {
            return println!("skipped: only root can become another user");
        }
        let directory = place.file().parent().expect("a directory").to_owned();
        for commands in [&LOOKS[..], &[&["compact"], &["backup", "copy"]]] {
            for arguments in commands {
                let (status, said) = run(arguments);
                assert_eq!(status, Some(1), "{store}: {arguments:?}: {said}");
                assert!(said.contains("Permission denied"), "{store}: {arguments:?}: {said}");
                assert!(!said.contains("unfinished") && !said.contains(".parlance-"), "{said}");
            }
        }
        // Who may read, may look.
        allow(&place.path("data"), 0o755);
        allow(&directory, 0o755);
        allow(&place.file(), 0o644);
        for arguments in LOOKS {
            let (status, said) = run(arguments);
            assert_eq!(status, Some(0), "{store}: {arguments:?}: {said}");
        }
        let (status, said) = run(&["backup", "copy"]);
        assert_eq!(
            (status, said),
            (Some(1), "parlance: cannot write `copy`: permission denied\n".to_owned())
        );
        let (status, said) = run(&["compact"]);
        assert!(status == Some(1) && said.contains("Permission denied"), "{said}");
        place.assert_well(3);
    }
}

#[test]
fn a_path_of_the_wrong_kind_is_named() {
    let place = Place::empty(SQLITE);
    fs::write(place.path("file"), "").expect("written");
    fs::create_dir(place.path("directory")).expect("made");
    for store in ["sqlite:directory", "jsonl:file", "sqlite:file/below", "sqlite:/dev/null"] {
        for arguments in [&["history", "--room", "den"][..], &["compact"], &["serve"]] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_parlance"));
            command.args(["--data", ".", "--store", store]).args(arguments);
            let output = command.current_dir(place.directory.path()).env_clear().output().expect("it starts");
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{store}: {arguments:?}: {said}");
            let path = store.split_once(':').expect("a kind").1.trim_end_matches("/below");
            assert!(said.contains(path), "{store}: {arguments:?}: {said}");
        }
    }
    for missing in ["nowhere", "directory", "/proc/self/mem", "file/below"] {
        let output = place.run(&["import", missing]);
        assert_eq!(output.status.code(), Some(1), "{missing}: {output:?}");
        assert!(text(&output.stderr).contains(missing), "{missing}: {output:?}");
    }
    assert!(!place.path("data").exists(), "and no store was made");
}

#[test]
fn a_file_without_anything_in_it_is_an_error() {
    for store in [SQLITE, JSONL] {
        let place = Place::with_messages(store, 3, "hello");
        for content in ["", "\n", "\n\r\n \t\n", "\u{feff}", "\u{feff}\n\n"] {
            fs::write(place.path("file"), content).expect("written");
            for (arguments, taken_for) in
                [(&["import", "file"][..], "empty"), (&["import", "--format", "jsonl", "file"], "jsonl")]
            {
                let output = place.run(arguments);
                assert_eq!(output.status.code(), Some(1), "{store}: {content:?}: {output:?}");
                let said = text(&output.stdout);
                assert_eq!(said, format!("file: {taken_for}\ntaken: nothing\n"), "{store}: {content:?}");
                assert!(text(&output.stderr).contains("nothing to import"), "{output:?}");
            }
            for format in ["rooms", "accounts"] {
                let output = place.run(&["import", "--format", format, "file"]);
                assert_eq!(output.status.code(), Some(1), "{store}: {content:?}: {output:?}");
                assert!(text(&output.stderr).contains("`file` cannot be understood"), "{output:?}");
            }
        }
        place.assert_well(3);
    }
}

#[test]
fn a_ready_file_is_no_file_of_the_store_under_any_name() {
    for (store, file) in [
        (SQLITE, "data/chat.db"),
        (SQLITE, "data/chat.db-wal"),
        (SQLITE, "data/chat.db-shm"),
        (SQLITE, "data/chat.db-journal"),
        (JSONL, "data/log/log.jsonl"),
        (JSONL, "data/log/log.jsonl.new"),
        (JSONL, "data/log/log.jsonl.broken"),
    ] {
        let place = Place::with_messages(store, 3, "hello");
        symlink(file, place.path("ready")).expect("a link");
        symlink("ready", place.path("again")).expect("a link");
        for name in ["ready", "again", file] {
            let output = place.run(&["--ready-file", name, "--line", "0"]);
            assert_eq!(output.status.code(), Some(2), "{name} to {file}: {output:?}");
            let said = format!("parlance: `{name}` is a file of the store; name another file\n");
            assert_eq!(text(&output.stderr), said);
        }
        // The other files are next to the real one.
        let (real, beside) = match store {
            SQLITE => ("elsewhere/x.db", file.replace("data/chat.db", "elsewhere/x.db")),
            _ => ("elsewhere/x.jsonl", file.replace("data/log/log.jsonl", "elsewhere/x.jsonl")),
        };
        fs::create_dir(place.path("elsewhere")).expect("made");
        fs::rename(place.file(), place.path(real)).expect("renamed");
        symlink(place.path(real), place.file()).expect("a link");
        let output = place.run(&["--ready-file", &beside, "--line", "0"]);
        assert_eq!(output.status.code(), Some(2), "{beside}: {output:?}");
        assert!(!place.path(&beside).exists() || beside == real, "{beside}");
        place.assert_well(3);
    }
}

/// Puts something in the place of a store's file.
type Make<'a> = &'a dyn Fn(&Path);

#[test]
fn what_cannot_be_a_store_is_named_and_holds_no_command() {
    let commands = LOOKS.iter().chain(&CHANGES).copied().chain([&["backup", "copy"][..], &["repair"]]);
    let commands: Vec<_> = commands.collect();
    for (store, other) in [(SQLITE, JSONL), (JSONL, SQLITE)] {
        let place = Place::with_messages(store, 3, "hello");
        place.answer(&["compact"]);
        fs::write(place.path("accounts.json"), format!("{{\"bob\":\"{HASH}\"}}")).expect("written");
        let own = fs::read(place.file()).expect("read");
        let of_other = Place::with_messages(other, 3, "hello");
        of_other.answer(&["compact"]);
        let (file, another) = (place.file(), of_other.file());
        let make_fifo = |path: &Path| {
            let status = Command::new("mkfifo").arg(path).status().expect("it starts");
            assert!(status.success());
        };
        let kinds: [(&str, Make<'_>, &str); 5] = [
            ("directory", &|path| fs::create_dir(path).expect("made"), "is a directory"),
            ("FIFO", &make_fifo, "is a device, a pipe or a socket"),
            (
                "device",
                &|path| symlink("/dev/zero", path).expect("a link"),
                "is a device, a pipe or a socket",
            ),
            ("other kind", &|path| _ = fs::copy(&another, path).expect("copied"), "name it with --store "),
            (
                "link to the other kind",
                &|path| symlink(&another, path).expect("a link"),
                "name it with --store ",
            ),
        ];
        let before = fs::read(&another).expect("read");
        for (kind, make, said) in kinds {
            fs::remove_file(&file).or_else(|_| fs::remove_dir(&file)).expect("removed");
            make(&file);
            for arguments in &commands {
                let output = place.run(arguments);
                assert_eq!(output.status.code(), Some(1), "{store}: {kind}: {arguments:?}: {output:?}");
                let error = text(&output.stderr);
                assert!(error.contains(said), "{store}: {kind}: {arguments:?}: {error}");
                assert!(output.stdout.is_empty(), "{store}: {kind}: {arguments:?}: {output:?}");
            }
        }
        assert_eq!(fs::read(&another).expect("read"), before, "{store}");
        fs::remove_file(&file).expect("removed");
        fs::write(&file, own).expect("written");
        place.assert_well(3);
    }
}
