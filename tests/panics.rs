//! A defect ends the server, and not a part of it; what was acknowledged is kept.

mod support;

use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use parlance::client::{ClientError, Mailbox};
use parlance::config::{Config, Shards};
use parlance::reactor::StartupError;
use parlance::store::StoreSpec;
use parlance::wire::Dialect;
use support::{PATIENCE, Peer, TestServer, deadline};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// No shard: one may have its place in a thread's name.
const NONE: usize = usize::MAX;

/// The shard that panics where it next writes to the log.
static DEFECTIVE: AtomicUsize = AtomicUsize::new(NONE);

/// Whoever reads the log sees what is wrong; this one makes it so, on the shard's own thread.
struct Defect;

impl Subscriber for Defect {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, _: &Event<'_>) {
        let defective = DEFECTIVE.load(Ordering::Relaxed);
        let is_here = thread::current().name() == Some(&format!("shard-{defective}"));
        if is_here
            && DEFECTIVE.compare_exchange(defective, NONE, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            panic!("a defect that a test made");
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Reads to the end of a connection.
fn is_told_of_the_end(mut peer: Peer) -> bool {
    let mut is_told = false;
    while let Some(line) = peer.line_or_end() {
        is_told |= line == "INFO server shutting down";
    }
    is_told
}

#[test]
fn a_shard_that_panics_ends_the_server_and_what_was_acknowledged_is_kept() {
    tracing::subscriber::set_global_default(Defect).expect("no other log in this process");
    for (shards, defective) in [(1, 0), (3, 0), (3, 1), (3, 2)] {
        let directory = tempfile::tempdir().expect("a directory");
        let configure = |config: &mut Config| {
            config.data = directory.path().to_owned();
            config.store = StoreSpec::Jsonl("log".into()).below(directory.path());
            config.shards = Shards::Count(shards);
        };
        let (ended, is_ended) = mpsc::channel();
        let server = TestServer::with_on_end(configure, move || ended.send(()).expect("somebody waits"));
        server.account("alice", "se cret");
        // So many that there are some on each shard.
        let bystanders: Vec<_> = (0..60).map(|index| server.line(&format!("bystander{index}"))).collect();

        DEFECTIVE.store(defective, Ordering::Relaxed);
        // Each new connection is a line of the log, on whichever shard the kernel gives it to.
        let line = server.address(Dialect::Line);
        let until = deadline();
        while DEFECTIVE.load(Ordering::Relaxed) != NONE {
            let _ = TcpStream::connect(line);
            assert!(Instant::now() < until, "the kernel leaves out one of {shards} shards");
        }
        is_ended.recv_timeout(PATIENCE).expect("whoever started it is told");
        assert!(matches!(server.join(), Err(StartupError::Failed)), "shard {defective} of {shards}");
        let told = bystanders.into_iter().map(is_told_of_the_end).filter(|is_told| *is_told).count();
        // Those of the defective shard hear nothing, and without the engine's shard there is nobody to tell anything.
        if defective == 0 {
            assert_eq!(told, 0);
        } else {
            assert!(
                (1..60).contains(&told),
                "{told} of 60 are told that shard {defective} of {shards} is gone"
            );
        }

        let server = TestServer::with(configure);
        let log_in = |password| {
            let mut mailbox =
                Mailbox::connect(server.address(Dialect::Typed), deadline()).expect("it listens");
            mailbox.login("alice", password, deadline())
        };
        assert!(matches!(log_in("another"), Err(ClientError::Refused(_))));
        log_in("se cret").expect("the account is there");
    }
}
