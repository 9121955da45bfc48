//! A disk that is full: a small one in memory, in a mount namespace of its own.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use parlance::client::{ClientError, Mailbox};
use parlance::wire::Dialect;
use rustix::process::Signal;

use crate::program::{Program, deadline, parlance};

/// What the shell does in the new namespace: it says that the disk is there, and keeps it until its input ends.
const HOLD: &str = "mount -t tmpfs -o size=4m tmpfs \"$1\" && echo ready && read -r line";

/// A disk of 4 MiB, which is there for those who enter its namespace.
struct Disk {
    holder: Child,
    at: PathBuf,
}

impl Disk {
    /// None: nobody here may mount anything.
    fn mount(at: &Path) -> Option<Self> {
        let mut holder = Command::new("unshare")
            .args(["-m", "sh", "-c", HOLD, "sh"])
            .arg(at)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut said = String::new();
        BufReader::new(holder.stdout.take()?).read_line(&mut said).expect("a word, or the end");
        let disk = Self { holder, at: at.to_owned() };
        (said == "ready\n").then_some(disk)
    }

    /// A command that runs within.
    fn within(&self, command: &Command) -> Command {
        let mut within = Command::new("nsenter");
        let namespace = format!("--mount=/proc/{}/ns/mnt", self.holder.id());
        within.args([&namespace, "sh", "-c", "cd \"$0\" && exec \"$@\""]).arg(&self.at);
        within.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
        within
    }

    /// A path within, seen from outside.
    fn path(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.at.strip_prefix("/").expect("an absolute path")).join(name)
    }

    fn fill(&self) {
        let mut filler = File::create(self.path("filler")).expect("a file");
        for bytes in [1 << 16, 1] {
            while let Ok(written) = filler.write(&vec![b'x'; bytes]) {
                assert!(written > 0);
            }
        }
        let full = filler.write(b"x").expect_err("it is full");
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    }

    fn make_space(&self) {
        std::fs::remove_file(self.path("filler")).expect("it is there");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[test]
fn a_database_on_a_full_disk_refuses_and_gets_well() {
    fills_up("sqlite:chat.db");
}

#[test]
fn a_log_on_a_full_disk_refuses_and_gets_well() {
    fills_up("jsonl:log");
}

fn mailbox(server: &Program, name: &str) -> Result<Mailbox, ClientError> {
    let mut mailbox = Mailbox::connect(server.address(Dialect::Typed), deadline()).expect("it listens");
    mailbox.login(name, "secret", deadline())?;
    Ok(mailbox)
}

/// What was sent, and what of it was acknowledged.
struct Sender {
    mailbox: Mailbox,
    count: usize,
    kept: Vec<String>,
    refused: Vec<String>,
}

impl Sender {
    /// Sends a message; returns whether it is kept.
    fn send(&mut self) -> bool {
        self.count += 1;
        let text = format!("{} {}", self.count, "x".repeat(3000));
        match self.mailbox.send_kept("bob", &text, &format!("key {}", self.count), deadline()) {
            Ok(_) => self.kept.push(text),
            Err(ClientError::Failed(reason)) => {
                assert!(reason.contains("nothing can be kept"), "{reason}");
                self.refused.push(text);
                return false;
            }
            Err(other) => panic!("{other}"),
        }
        true
    }
}

/// A file may be no larger than `ulimit -f` says: past that a write is refused, and a signal comes that ends
/// a process which does not see to it.
#[test]
fn a_limit_on_the_size_of_files_refuses_and_ends_nothing() {
    for store in ["sqlite:chat.db", "jsonl:log"] {
        let directory = tempfile::tempdir().expect("a directory");
        let ports = ["line", "slash", "tcrp", "ucrp", "typed", "gob"]
            .map(|dialect| [format!("--{dialect}"), "0".into()]);
        let mut command = parlance(directory.path(), &["--data", "data", "--store", store]);
        command.args(ports.as_flattened());
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -f 1000; exec \"$0\" \"$@\""]);
        limited.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            limited.env(name, value.expect("it is set"));
        }
        limited.current_dir(directory.path()).stdin(Stdio::null());
        let started = Program::try_spawn(directory.path(), limited);
        let server = started.unwrap_or_else(|ended| panic!("{}: {}", ended.status, ended.log));
        drop(mailbox(&server, "bob").expect("a new account"));
        let mailbox = mailbox(&server, "alice").expect("a new account");
        let mut alice = Sender { mailbox, count: 0, kept: Vec::new(), refused: Vec::new() };
        while alice.send() {}
        for _ in 0..5 {
            alice.send();
        }
        holds_kept(&server, &alice);
        assert_eq!(server.end(Signal::KILL).code(), None, "it ran until then");
        let server = Program::start(directory.path(), &["--data", "data", "--store", store]);
        holds(&server, &alice);
        assert_eq!(server.end(Signal::TERM).code(), Some(0));
    }
}

fn fills_up(store: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().join("disk");
    std::fs::create_dir(&at).expect("a directory");
    let Some(disk) = Disk::mount(&at) else {
        return println!("skipped: nobody here may mount a disk (`unshare -m`)");
    };
    let ports =
        ["line", "slash", "tcrp", "ucrp", "typed", "gob"].map(|dialect| [format!("--{dialect}"), "0".into()]);
    let stored = ["--data", "data", "--store", store];
    let mut command = parlance(directory.path(), &stored);
    command.args(ports.as_flattened());
    let start = || {
        let started = Program::try_spawn(directory.path(), disk.within(&command));
        started.unwrap_or_else(|ended| panic!("{}: {}", ended.status, ended.log))
    };

    let server = start();
    let mut bob = mailbox(&server, "bob").expect("a new account");
    let mailbox_of_alice = mailbox(&server, "alice").expect("a new account");
    let mut alice = Sender { mailbox: mailbox_of_alice, count: 0, kept: Vec::new(), refused: Vec::new() };
    for _ in 0..10 {
        assert!(alice.send());
    }
    disk.fill();
    // What the store has reserved it can still use.
    while alice.send() {}
    for _ in 0..10 {
        alice.send();
    }
    match mailbox(&server, "carol") {
        Ok(_) => {}
        Err(ClientError::Refused(reason)) => assert!(reason.contains("nothing can be kept"), "{reason}"),
        Err(other) => panic!("{other}"),
    }
    // What needs no space works.
    mailbox(&server, "alice").expect("an account");
    bob.users(deadline()).expect("a list");
    server.wait_for_log("make space on that disk");
    // While the server runs, and the disk is full, one can look at what it keeps.
    for arguments in [&["store", "check"][..], &["history"], &["export", "--format", "jsonl"]] {
        let look = parlance(directory.path(), &[arguments, &stored[..]].concat());
        let output = disk.within(&look).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    disk.make_space();
    while !alice.send() {}
    for _ in 0..10 {
        assert!(alice.send());
    }
    holds(&server, &alice);
    assert_eq!(server.end(Signal::KILL).code(), None);
    let check = parlance(directory.path(), &[&["store", "check"], &stored[..]].concat());
    let output = disk.within(&check).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    let server = start();
    holds(&server, &alice);
    assert_eq!(server.end(Signal::TERM).code(), Some(0));
}

/// What was acknowledged is there.
fn holds_kept(server: &Program, alice: &Sender) {
    let mut bob = mailbox(server, "bob").expect("an account");
    let newest = bob.history("alice", None, 1, deadline()).expect("a page");
    assert_eq!(newest.last().map(|letter| &letter.content), alice.kept.last());
}

/// What was acknowledged is there, and what was refused is not.
fn holds(server: &Program, alice: &Sender) {
    let mut bob = mailbox(server, "bob").expect("an account");
    let mut there = Vec::new();
    let mut before: Option<String> = None;
    loop {
        let page = bob.history("alice", before.as_deref(), 100, deadline()).expect("a page");
        let Some(oldest) = page.first() else { break };
        before = Some(oldest.id.clone());
        there.splice(0..0, page.into_iter().map(|letter| letter.content));
    }
    let refused = alice.refused.iter().filter(|text| there.contains(text)).count();
    assert_eq!(refused, 0, "refused messages are there");
    assert!(there == alice.kept, "{} are there, {} were acknowledged", there.len(), alice.kept.len());
}
