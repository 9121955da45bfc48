//! Where the threads of the program run.
#![cfg(target_os = "linux")]

#[path = "support/program.rs"]
mod program;

use std::collections::HashMap;
use std::fs;

use parlance::client::Mailbox;
use parlance::wire::Dialect;
use program::{Program, deadline};
use rustix::process::Pid;

/// The cores that each thread of a process may run on, as the kernel writes them, by the thread's name.
fn cores(process: Pid) -> HashMap<String, String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let of = |path: std::path::PathBuf| {
        let name = fs::read_to_string(path.join("comm")).ok()?;
        let status = fs::read_to_string(path.join("status")).ok()?;
        let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        Some((name.trim().to_owned(), cores.trim().to_owned()))
    };
    tasks.filter_map(|task| of(task.expect("a thread").path())).collect()
}

#[test]
fn only_the_shard_is_pinned_and_passwords_are_hashed_wherever_the_program_may_run() {
    let allowed = rustix::thread::sched_getaffinity(None).expect("an affinity");
    let core = (0..=parlance::limits::CORE_MAX).find(|&core| allowed.is_set(core)).expect("a core");
    let directory = tempfile::tempdir().expect("a directory");
    let pin = core.to_string();
    let program = Program::start(directory.path(), &["--store", "memory", "--shards", "1", "--pin", &pin]);
    // The first task starts the thread.
    let mut mailbox = Mailbox::connect(program.address(Dialect::Typed), deadline()).expect("a connection");
    mailbox.login("alice", "se cret", deadline()).expect("a new account");
    let cores = cores(program.pid());
    assert_eq!(cores["shard-0"], pin);
    assert_eq!(cores["passwords-0"], cores["parlance"]);
    // Where there is another core, the store leaves the shard its own.
    assert_eq!(cores["store"] == pin, allowed.count() == 1, "{cores:?}");
}
