//! Threads that hash passwords, so that the loop never does.
//!
//! A hash takes tens of milliseconds and megabytes by design: on the loop it would delay all clients. The
//! engine hands out few tasks at a time and keeps the others, by network. A task waits in a short queue; the
//! thread that takes it calls `done` with its outcome. Tasks may end in any order. The threads yield to the
//! shard: they have a lower priority, and run on any free core, also when the shard is pinned to one.

mod hash;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::os::{self, Cores};
use crate::chat::{ConnId, PasswordOutcome, PasswordTask};
use crate::limits::{LOG_REPEAT_SECONDS, PASSWORD_AT_WORK_MAX, PASSWORD_NICENESS, PASSWORD_THREADS_MAX};
use crate::telemetry::Every;
pub use hash::{HashError, hash_password};

/// At most [`PASSWORD_THREADS_MAX`] threads, none before the first task. A pool that is dropped ends them: what is in work
/// is finished, which nobody waits for, and what waits is dropped unanswered.
pub(super) struct Pool {
    shared: Arc<Shared>,
    queue: SyncSender<PasswordTask>,
    /// Threads started.
    threads: usize,
    /// Where they may run; `None` where the system does not say, and they share what the shard has.
    cores: Option<Cores>,
}

/// How a task is worked out; tests put something else in its place.
type Work = fn(&PasswordTask) -> Result<PasswordOutcome, HashError>;

/// What the threads share. It goes with the last of them.
struct Shared {
    /// Held by the thread that waits for a task, never by one that works.
    tasks: Mutex<Receiver<PasswordTask>>,
    stopping: AtomicBool,
    work: Work,
    done: Box<dyn Fn(ConnId, u32, PasswordOutcome) + Send + Sync>,
    started: Instant,
    failures: Mutex<Every>,
}

impl Pool {
    /// A pool without threads yet. To be called before the shard is pinned: the threads may run where the caller may.
    ///
    /// `done` is called on one of the threads, once for every task that was taken, with the task's connection and serial;
    /// it should do no more than pass them on. It may still be called when the pool is gone.
    pub(super) fn new(done: impl Fn(ConnId, u32, PasswordOutcome) + Send + Sync + 'static) -> Self {
        Self::with_work(hash::work_out, done)
    }

    fn with_work(work: Work, done: impl Fn(ConnId, u32, PasswordOutcome) + Send + Sync + 'static) -> Self {
        let (queue, tasks) = mpsc::sync_channel(PASSWORD_AT_WORK_MAX);
        let shared = Arc::new(Shared {
            tasks: Mutex::new(tasks),
            stopping: AtomicBool::new(false),
            work,
            done: Box::new(done),
            started: Instant::now(),
            failures: Mutex::new(Every::new(Duration::from_secs(LOG_REPEAT_SECONDS))),
        });
        Self { shared, queue, threads: 0, cores: Cores::allowed().ok() }
    }

    /// Leaves a task for the threads, without waiting.
    ///
    /// # Errors
    ///
    /// Gives the task back when [`PASSWORD_AT_WORK_MAX`] wait already, or when the system has no thread for
    /// the first one.
    pub(super) fn submit(&mut self, task: PasswordTask) -> Result<(), PasswordTask> {
        if self.threads < PASSWORD_THREADS_MAX {
            match self.start_thread() {
                Ok(()) => self.threads += 1,
                // The next task tries again.
                Err(error) => {
                    self.shared.complain(|suppressed| {
                        tracing::warn!(%error, suppressed, "cannot start a thread for passwords");
                    });
                    if self.threads == 0 {
                        return Err(task);
                    }
                }
            }
        }
        self.queue.try_send(task).map_err(|error| match error {
            TrySendError::Full(task) | TrySendError::Disconnected(task) => task,
        })
    }

    fn start_thread(&self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let cores = self.cores;
        // Nobody waits for its end: see `Drop`.
        thread::Builder::new().name(format!("passwords-{}", self.threads)).spawn(move || {
            for result in [cores.map_or(Ok(()), Cores::take), os::give_way(PASSWORD_NICENESS)] {
                if let Err(error) = result {
                    // It works all the same, if at the shard's expense.
                    tracing::warn!(%error, "a thread for passwords cannot step back for the shard");
                }
            }
            shared.run();
        })?;
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // The queue's end goes with the pool: whoever waits for a task ends at once, and whoever works after its task.
        self.shared.stopping.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads).finish_non_exhaustive()
    }
}

impl Shared {
    fn run(&self) {
        while let Some(task) = self.next() {
            let outcome = self.outcome(&task);
            (self.done)(task.conn, task.serial, outcome);
        }
    }

    /// The next task, waiting for it if need be; none when the pool is gone.
    fn next(&self) -> Option<PasswordTask> {
        // Nothing panics while it is held.
        let task = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()?;
        (!self.stopping.load(Ordering::Relaxed)).then_some(task)
    }

    fn outcome(&self, task: &PasswordTask) -> PasswordOutcome {
        let conn = task.conn.to_bits();
        // Nothing that the work touches outlives a panic.
        match catch_unwind(AssertUnwindSafe(|| (self.work)(task))) {
            Ok(Ok(outcome)) => return outcome,
            Ok(Err(error)) => self.complain(|suppressed| {
                tracing::warn!(conn, %error, suppressed, "a password cannot be hashed or compared");
            }),
            Err(_) => self.complain(|suppressed| {
                tracing::error!(conn, suppressed, "hashing a password panicked; its last words are above");
            }),
        }
        PasswordOutcome::Failed
    }

    /// Anybody may fail to log in as often as they like: the log hears of it now and then.
    fn complain(&self, log: impl FnOnce(u64)) {
        let admitted =
            self.failures.lock().unwrap_or_else(PoisonError::into_inner).admit(self.started.elapsed());
        if let Some(suppressed) = admitted {
            log(suppressed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;

    use super::*;
    use crate::chat::PasswordHash;

    fn task(serial: u32) -> PasswordTask {
        PasswordTask {
            conn: ConnId { slot: 1, generation: 2 },
            serial,
            password: "hunter2".into(),
            against: None,
        }
    }

    /// No work at all.
    const NO_WORK: Work = |_| Ok(PasswordOutcome::Wrong);

    /// A pool whose threads tell that they are done, and wait to be told that they may go on.
    fn held_up(work: Work) -> (Pool, Receiver<u32>, Sender<()>) {
        let (serials, done) = mpsc::channel();
        let (go_on, held) = mpsc::channel();
        let held = Mutex::new(held);
        let pool = Pool::with_work(work, move |_, serial, _| {
            // The test may have ended.
            let _ = serials.send(serial);
            let _ = held.lock().unwrap_or_else(PoisonError::into_inner).recv();
        });
        (pool, done, go_on)
    }

    /// Waits until every thread is busy.
    fn occupy(pool: &mut Pool, done: &Receiver<u32>) {
        for serial in 0..PASSWORD_THREADS_MAX as u32 {
            assert_eq!(pool.submit(task(serial)), Ok(()));
        }
        let mut busy: Vec<_> = (0..PASSWORD_THREADS_MAX).map(|_| done.recv().expect("a thread")).collect();
        busy.sort_unstable();
        assert!(busy.into_iter().eq(0..PASSWORD_THREADS_MAX as u32));
    }

    #[test]
    fn a_password_is_hashed_and_compared() {
        let (outcomes, done) = mpsc::channel();
        let mut pool = Pool::new(move |conn, serial, outcome| {
            let _ = outcomes.send((conn, serial, outcome));
        });
        assert_eq!(pool.threads, 0, "none before it is needed");
        assert_eq!(pool.submit(task(7)), Ok(()));
        let (conn, serial, outcome) = done.recv().expect("an answer");
        assert_eq!((conn, serial), (task(7).conn, 7));
        let PasswordOutcome::Hashed(hash) = outcome else { panic!("{outcome:?}") };

        let against = |serial, password: &str, hash: &PasswordHash| PasswordTask {
            password: password.into(),
            against: Some(hash.clone()),
            ..task(serial)
        };
        let garbage = PasswordHash::new("$argon2id$garbage").expect("it starts like one");
        assert_eq!(pool.submit(against(1, "hunter2", &hash)), Ok(()));
        assert_eq!(pool.submit(against(2, "hunter3", &hash)), Ok(()));
        assert_eq!(pool.submit(against(3, "hunter2", &garbage)), Ok(()));
        let mut answers: Vec<_> = (0..3).map(|_| done.recv().expect("an answer")).collect();
        answers.sort_by_key(|&(_, serial, _)| serial);
        let answers = answers.into_iter().map(|(_, _, outcome)| outcome).collect::<Vec<_>>();
        let right = PasswordOutcome::Right { upgraded: None };
        assert_eq!(answers, [right, PasswordOutcome::Wrong, PasswordOutcome::Failed]);
        assert_eq!(pool.threads, PASSWORD_THREADS_MAX);
    }

    #[test]
    fn a_full_queue_gives_the_task_back() {
        let (mut pool, done, go_on) = held_up(NO_WORK);
        occupy(&mut pool, &done);
        for serial in 0..PASSWORD_AT_WORK_MAX as u32 {
            assert_eq!(pool.submit(task(serial)), Ok(()));
        }
        assert_eq!(pool.submit(task(4711)), Err(task(4711)));
        go_on.send(()).expect("the threads wait");
        done.recv().expect("the next task");
        assert_eq!(pool.submit(task(4711)), Ok(()), "one is less now");
        assert_eq!(pool.submit(task(4712)), Err(task(4712)));
    }

    #[test]
    fn a_pool_that_is_dropped_leaves_what_waits_and_its_threads_end() {
        let (mut pool, done, go_on) = held_up(NO_WORK);
        occupy(&mut pool, &done);
        for serial in 0..PASSWORD_AT_WORK_MAX as u32 {
            assert_eq!(pool.submit(task(serial)), Ok(()));
        }
        drop(pool);
        drop(go_on);
        // What the threads share is gone, and with it the other end: the last thread has ended.
        assert_eq!(done.recv(), Err(mpsc::RecvError), "nothing else was worked out");
    }

    #[test]
    fn threads_that_wait_end_with_the_pool() {
        let (mut pool, done, go_on) = held_up(NO_WORK);
        occupy(&mut pool, &done);
        drop(go_on);
        drop(pool);
        assert_eq!(done.recv(), Err(mpsc::RecvError));
    }

    #[test]
    fn a_panic_is_an_answer_and_the_thread_goes_on() {
        let (outcomes, done) = mpsc::channel();
        let work: Work = |task| {
            assert!(task.serial.is_multiple_of(2), "planted by a test");
            Ok(PasswordOutcome::Wrong)
        };
        let mut pool = Pool::with_work(work, move |_, serial, outcome| {
            let _ = outcomes.send((serial, outcome));
        });
        for serial in 0..10_u32 {
            assert_eq!(pool.submit(task(serial)), Ok(()));
            let failed = !serial.is_multiple_of(2);
            let expected = if failed { PasswordOutcome::Failed } else { PasswordOutcome::Wrong };
            assert_eq!(done.recv(), Ok((serial, expected)));
        }
    }

    #[test]
    fn debug_shows_nothing_that_waits() {
        let (mut pool, done, _go_on) = held_up(NO_WORK);
        occupy(&mut pool, &done);
        assert_eq!(pool.submit(task(1)), Ok(()));
        assert_eq!(format!("{pool:?}"), "Pool { threads: 2, .. }");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_threads_run_where_the_pool_was_made_and_step_back() {
        use rustix::process::getpriority_process;
        use rustix::thread::sched_getaffinity;

        let (seen, done) = mpsc::channel();
        let mut pool = Pool::with_work(NO_WORK, move |_, _, _| {
            let name = thread::current().name().map(str::to_owned);
            let _ = seen.send((name, sched_getaffinity(None), getpriority_process(None)));
        });
        let allowed = sched_getaffinity(None).expect("an affinity");
        let niceness = getpriority_process(None).expect("a priority");
        let core = (0..=crate::limits::CORE_MAX).find(|&core| allowed.is_set(core)).expect("a core");
        // As the shard does it: pinned after the pool was made, and before the first task.
        thread::scope(|scope| {
            scope.spawn(move || {
                os::pin(core).expect("the first core");
                assert_eq!(pool.submit(task(1)), Ok(()));
                let (name, cores, lower) = done.recv().expect("an answer");
                assert_eq!(name.as_deref(), Some("passwords-0"));
                assert_eq!(cores.expect("an affinity"), allowed);
                assert_eq!(lower.expect("a priority"), (niceness + PASSWORD_NICENESS).min(19));
                assert_eq!(getpriority_process(None).expect("a priority"), niceness, "of that thread only");
            });
        });
    }
}
