//! Two servers on one data directory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use parlance::store::{self, Options, StoreSpec};
use rustix::process::Signal;

use crate::program::{Program, parlance, run};

#[test]
fn the_second_says_so_and_starts_when_the_first_is_gone() {
    for store in ["sqlite:chat.db", "jsonl:log"] {
        let directory = tempfile::tempdir().expect("a directory");
        let arguments = ["--data", "data", "--store", store];
        let first = Program::start(directory.path(), &arguments);
        let Err(ended) = Program::try_start(directory.path(), &arguments) else { panic!("both serve") };
        assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
        assert!(ended.log.contains("a server has it open"), "{}", ended.log);
        assert_eq!(first.end(Signal::KILL).code(), None);
        let second = Program::start(directory.path(), &arguments);
        assert_eq!(second.end(Signal::TERM).code(), Some(0));
    }
}

#[test]
fn another_store_in_the_same_directory_makes_no_difference() {
    let directory = tempfile::tempdir().expect("a directory");
    let with = |store| ["--data", "data", "--store", store];
    let first = Program::start(directory.path(), &with("sqlite:chat.db"));
    let Err(ended) = Program::try_start(directory.path(), &with("jsonl:log")) else { panic!("both serve") };
    assert!(ended.log.contains("a server has it open"), "{}", ended.log);
    assert_eq!(first.end(Signal::TERM).code(), Some(0));
    let first = Program::start(directory.path(), &with("jsonl:log"));
    let Err(ended) = Program::try_start(directory.path(), &with("sqlite:chat.db")) else {
        panic!("both serve")
    };
    assert!(ended.log.contains("a server has it open"), "{}", ended.log);
    assert_eq!(first.end(Signal::TERM).code(), Some(0));
}

/// The file of the second store is the first one's, by another name.
type Alias = fn(&Path, &Path);

#[test]
fn a_store_is_one_whatever_its_names_are() {
    let aliases: [(&str, Alias); 3] = [
        ("a link", |file, alias| symlink(file, alias).expect("a link")),
        ("a link to a link", |file, alias| {
            symlink(file, alias.with_extension("link")).expect("a link");
            symlink(alias.with_extension("link"), alias).expect("a link");
        }),
        ("a hard link", |file, alias| fs::hard_link(file, alias).expect("a link")),
    ];
    for (store, file) in [("sqlite:chat.db", "chat.db"), ("jsonl:log", "log/log.jsonl")] {
        for (what, make) in aliases {
            let directory = tempfile::tempdir().expect("a directory");
            let path = |data: &str| directory.path().join(data).join(file);
            let with = |data| ["--data", data, "--store", store];
            let first = Program::start(directory.path(), &with("data"));
            fs::create_dir_all(path("other").parent().expect("a directory")).expect("made");
            make(&path("data"), &path("other"));
            let Err(ended) = Program::try_start(directory.path(), &with("other")) else {
                panic!("{store}: both serve through {what}")
            };
            assert!(ended.log.contains("a server has it open"), "{store}, {what}: {}", ended.log);
            let mut commands = vec![vec!["compact"], vec!["import", "/dev/null"]];
            commands.extend(store.starts_with("jsonl").then_some(vec!["repair"]));
            for command in commands {
                let (status, said) = run(directory.path(), &[&command[..], &with("other")].concat());
                assert_eq!(status.code(), Some(1), "{store}, {what}: {command:?}: {said}");
                assert!(said.contains("a server has it open"), "{store}, {what}: {command:?}: {said}");
            }
            if store.starts_with("sqlite") && what == "a hard link" {
                // The write-ahead log is not next to this name.
                let look = run(directory.path(), &[&["history"], &with("other")[..]].concat());
                assert!(!look.0.success() && look.1.contains("through another name"), "{look:?}");
                let look = run(directory.path(), &[&["history"], &with("data")[..]].concat());
                assert!(look.0.success(), "{look:?}");
            }
            assert_eq!(first.end(Signal::KILL).code(), None);
            match Program::try_start(directory.path(), &with("other")) {
                Ok(second) => assert_eq!(second.end(Signal::TERM).code(), Some(0)),
                Err(ended) => {
                    assert!(store.starts_with("sqlite") && what == "a hard link", "{}", ended.log);
                    assert!(ended.log.contains("it has 2 names (hard links)"), "{}", ended.log);
                    assert!(ended.log.contains("remove the other names"), "{}", ended.log);
                    // With one name it is a store like any other.
                    fs::remove_file(path("other")).expect("removed");
                    let second = Program::start(directory.path(), &with("data"));
                    assert_eq!(second.end(Signal::TERM).code(), Some(0));
                }
            }
        }
    }
}

#[test]
fn a_log_behind_a_link_is_written_anew_where_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let [real, link] = ["disk/real.jsonl", "data/log/log.jsonl"].map(|name| directory.path().join(name));
    for path in [&real, &link] {
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
    }
    // It is not there yet.
    symlink("../../disk/real.jsonl", &link).expect("a link");
    let with = |command: &'static str| [command, "--data", "data", "--store", "jsonl:log"];
    let server = Program::start(directory.path(), &with("serve"));
    assert_eq!(server.end(Signal::TERM).code(), Some(0));
    let (status, said) = run(directory.path(), &with("compact"));
    assert!(status.success(), "{said}");
    assert!(link.is_symlink() && real.is_file());
    assert_eq!(fs::read_dir(directory.path().join("data/log")).expect("listed").count(), 1);
}

#[test]
fn a_data_directory_is_one_whatever_its_names_are() {
    let directory = tempfile::tempdir().expect("a directory");
    let absolute = directory.path().join("data");
    symlink("data", directory.path().join("link")).expect("a link");
    let first = Program::start(directory.path(), &["--data", "data"]);
    for name in ["./data/../data", "link", absolute.to_str().expect("UTF-8")] {
        let Err(ended) = Program::try_start(directory.path(), &["--data", name]) else {
            panic!("{name}: both serve")
        };
        assert!(ended.log.contains("a server has it open"), "{name}: {}", ended.log);
    }
    assert_eq!(first.end(Signal::TERM).code(), Some(0));
}

/// Runs a command of the program in a namespace of its own in which a path is mounted over another. None: no
/// mounts are allowed here.
fn with_mount(directory: &Path, [from, to]: [&str; 2], arguments: &[&str]) -> Option<Output> {
    let command = parlance(directory, arguments);
    let mount = "mount --bind \"$0\" \"$1\" || exit 77; shift; exec \"$@\"";
    let mut within = Command::new("unshare");
    within.args(["-m", "sh", "-c", mount, from, to]).arg(command.get_program()).args(arguments);
    let output = within.current_dir(directory).env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    let output = output.output().expect("it starts");
    let may_mount = output.status.code() != Some(77) && !output.stderr.starts_with(b"unshare:");
    if !may_mount {
        println!("skipped: a mount is not allowed here (`unshare -m`)");
    }
    may_mount.then_some(output)
}

fn make_database(path: &Path) {
    drop(store::open(&StoreSpec::Sqlite(path.into()), &Options::default()).expect("a store"));
}

#[test]
fn a_database_that_is_a_mount_of_its_own_is_refused_and_a_mounted_directory_is_not() {
    let directory = tempfile::tempdir().expect("a directory");
    for data in ["disk", "data", "whole"] {
        fs::create_dir(directory.path().join(data)).expect("made");
    }
    let with = |data| ["compact", "--data", data, "--store", "sqlite:chat.db"];
    make_database(&directory.path().join("disk/chat.db"));
    fs::write(directory.path().join("data/chat.db"), "").expect("written");
    let Some(output) = with_mount(directory.path(), ["disk/chat.db", "data/chat.db"], &with("data")) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("a bind mount of a single file") && said.contains("mount the directory"), "{said}");
    for mounts in [["disk", "whole"], ["disk", "disk"]] {
        let output = with_mount(directory.path(), mounts, &with(mounts[1])).expect("it was allowed before");
        assert!(output.status.success(), "{output:?}");
    }
    symlink("disk", directory.path().join("link")).expect("a link");
    let (status, said) = run(directory.path(), &with("link"));
    assert!(status.success(), "{said}");
}

/// Makes a file of another kind.
type Kind = fn(&Path);

#[test]
fn another_kind_of_file_in_the_place_of_a_store_is_refused_at_once() {
    let kinds: [(&str, Kind); 4] = [
        ("a FIFO", |path| {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).expect("made");
        }),
        ("a socket", |path| drop(std::os::unix::net::UnixListener::bind(path).expect("bound"))),
        ("a device", |path| symlink("/dev/zero", path).expect("a link")),
        ("a directory", |path| fs::create_dir(path).expect("made")),
    ];
    for (store, file) in
        [("sqlite:chat.db", "chat.db"), ("sqlite:chat.db", "chat.db-wal"), ("jsonl:log", "log/log.jsonl")]
    {
        for (what, make) in kinds {
            let directory = tempfile::tempdir().expect("a directory");
            let with = |command: &[&'static str]| [command, &["--data", "data", "--store", store]].concat();
            if file.ends_with("-wal") {
                make_database(&directory.path().join("data/chat.db"));
            }
            let path = directory.path().join("data").join(file);
            fs::create_dir_all(path.parent().expect("a directory")).expect("made");
            make(&path);
            let mut commands: Vec<&[&str]> = vec![
                &["history"],
                &["search", "x"],
                &["store", "check"],
                &["backup", "copy"],
                &["export", "--format", "jsonl"],
                &["compact"],
                &["import", "/dev/null"],
                &["serve", "--line", "0"],
            ];
            if store.starts_with("jsonl") {
                commands.push(&["repair"]);
            }
            for command in commands {
                let (status, said) = run(directory.path(), &with(command));
                assert_eq!(status.code(), Some(1), "{file} is {what}: {command:?}: {said}");
                assert!(said.contains("a store is a regular file"), "{file} is {what}: {command:?}: {said}");
            }
        }
    }
}
