//! Two servers on one data directory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::process::Signal;

use crate::program::{Program, run};

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
            assert_eq!(first.end(Signal::KILL).code(), None);
            let second = Program::start(directory.path(), &with("other"));
            assert_eq!(second.end(Signal::TERM).code(), Some(0));
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
