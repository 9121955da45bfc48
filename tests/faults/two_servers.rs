//! Two servers on one data directory.

use rustix::process::Signal;

use crate::program::Program;

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
