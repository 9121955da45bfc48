//! The writer: the thread that owns the store, and does for the shard what [`GroupCommit`] does.
//!
//! ```text
//!   shard ── ops, look-ups ──▶ [ group ] ── commit: one transaction, one sync ──▶ committed, pages ──▶ shard
//! ```

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};

use super::group_commit::{GroupCommit, Outcome, Task};
use super::os::Cores;
use super::shard::Clock;
use crate::chat::HistoryRules;
use crate::store::Store;

/// The shard's end of it. Dropped, it waits until everything that was sent is committed, or cannot be: also where a defect
/// ends the shard, so that nobody has the store any more once the server has ended.
#[derive(Debug)]
pub(super) struct Writer {
    /// Both are there until it is dropped.
    tasks: Option<Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread, on the cores given. `tell` should do no more than pass things on.
    pub(super) fn start(
        store: Box<dyn Store>,
        rules: HistoryRules,
        cores: Option<Cores>,
        tell: impl Fn(Outcome) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, tasks) = mpsc::channel();
        let clock = Clock::new();
        let mut work = GroupCommit::new(store, rules, move || clock.now(), tell);
        let thread = thread::Builder::new().name("store".to_owned()).spawn(move || {
            if let Some(Err(error)) = cores.map(Cores::take) {
                tracing::warn!(%error, "the store's thread shares the shard's core");
            }
            loop {
                match tasks.recv_timeout(work.wake_at().saturating_sub(clock.now().monotonic)) {
                    Ok(task) => work.take(task),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return work.finish(),
                }
                while !work.is_full()
                    && let Ok(task) = tasks.try_recv()
                {
                    work.take(task);
                }
                work.go_on();
            }
        })?;
        Ok(Self { tasks: Some(sender), thread: Some(thread) })
    }

    /// Leaves a task; returns whether there is somebody to do it.
    pub(super) fn send(&self, task: Task) -> bool {
        self.tasks.as_ref().is_some_and(|tasks| tasks.send(task).is_ok())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // With this it sees that nothing follows.
        self.tasks = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the store's thread panicked; its last words are above");
        }
    }
}
