//! Stores that fail, stall or fill up, and what a server does meanwhile: it refuses what it cannot keep, says so, goes on with
//! everything else, and is well again when the store is. Real loss of permissions is not among them: tests run as root.

#[path = "../support/program.rs"]
mod program;
#[path = "../support/mod.rs"]
mod support;

mod faulty;
mod full_disk;
mod injected;
mod read_only;
mod removed;
mod slow;
mod two_servers;
