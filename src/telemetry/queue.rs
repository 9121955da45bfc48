//! The log's queue: lines wait here for one thread, which alone waits for standard error.
//!
//! ```text
//!   any thread ── a line ──▶ [ at most STDERR_QUEUE_LINES_MAX ] ──▶ the thread `log` ──▶ standard error
//!                  └─ no space: counted as lost
//! ```
//!
//! Lines keep their order. A reader that stands still costs the lines that find the queue full, and nothing
//! else: no other thread waits, and the process can end.

use std::cell::RefCell;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder};
use tracing_subscriber::fmt::MakeWriter;

use super::Every;
use crate::limits::{
    LOG_REPEAT_SECONDS, STDERR_FLUSH_MILLIS_MAX, STDERR_LINE_BYTES_MAX, STDERR_QUEUE_LINES_MAX,
    STDERR_WRITE_BYTES,
};

thread_local! {
    /// On the thread `log`: the line that it logs itself. It is written in its place, and not behind the
    /// queue.
    static OWN_LINE: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// The end of the queue that takes lines. Each line comes in one `write`.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    lines: NonBlocking,
    counts: Arc<Counts>,
}

/// Counters of queued, written and lost lines. Every line is written, failed, refused by the queue, or still
/// queued.
#[derive(Debug, Default)]
struct Counts {
    /// Lines given to the queue, those that it refused included.
    given: AtomicU64,
    /// Lines that the thread is done with: written or failed.
    done: Mutex<u64>,
    /// Signalled when `done` grows.
    is_done: Condvar,
    /// Lines that standard error did not take: it is closed, or its disk is full.
    failed: AtomicU64,
}

impl Queue {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system refuses threads.
    pub(super) fn start() -> io::Result<Self> {
        // The library panics then; this asks first.
        let probe = std::thread::Builder::new().name("log".to_owned()).spawn(|| {})?;
        let _ = probe.join();
        let counts = Arc::new(Counts::default());
        let refused = Arc::new(std::sync::OnceLock::new());
        let writer = Writer {
            output: io::stderr(),
            buffer: Vec::with_capacity(STDERR_WRITE_BYTES + STDERR_LINE_BYTES_MAX),
            buffered_lines: 0,
            passed_lines: 0,
            is_torn: false,
            loss: Loss::new(Arc::clone(&refused), Arc::clone(&counts)),
            counts: Arc::clone(&counts),
        };
        let (lines, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(STDERR_QUEUE_LINES_MAX)
            .thread_name("log")
            .finish(writer);
        let _ = refused.set(lines.error_counter());
        // The guard would flush when it is dropped, but where the queue is full it says so on standard output
        // first, which may stand still as well, or be closed. `flush` is used in its place, and the thread
        // ends with the process.
        std::mem::forget(guard);
        Ok(Self { lines, counts })
    }

    /// Lines that nobody will read: refused by the full queue, or by standard error.
    pub(super) fn lost_lines(&self) -> u64 {
        let refused = self.lines.error_counter().dropped_lines() as u64;
        refused.saturating_add(self.counts.failed.load(Ordering::Relaxed))
    }

    /// Waits until the lines given are done with, [`STDERR_FLUSH_MILLIS_MAX`] at most. Returns whether they
    /// are.
    pub(super) fn flush(&self) -> bool {
        let give_up = Instant::now() + Duration::from_millis(STDERR_FLUSH_MILLIS_MAX);
        let refused = self.lines.error_counter();
        let given = || self.counts.given.load(Ordering::Acquire);
        let mut done = self.counts.done.lock().unwrap_or_else(PoisonError::into_inner);
        while *done + (refused.dropped_lines() as u64) < given() {
            let left = give_up.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            (done, _) = self.counts.is_done.wait_timeout(done, left).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let is_own = OWN_LINE.with_borrow_mut(|own| own.as_mut().map(|own| own.extend_from_slice(line)));
        if is_own.is_some() {
            return Ok(line.len());
        }
        self.counts.given.fetch_add(1, Ordering::Release);
        if line.len() <= STDERR_LINE_BYTES_MAX {
            self.lines.write_all(line)?;
        } else {
            const END: &[u8] = b" [cut]\n";
            let mut cut = line[..STDERR_LINE_BYTES_MAX - END.len()].to_vec();
            cut.extend_from_slice(END);
            self.lines.write_all(&cut)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The thread's end. `write` takes one line; `flush` comes when the queue is empty. Neither fails: a line
/// that cannot be written is counted.
#[derive(Debug)]
struct Writer<W> {
    output: W,
    /// Whole lines, not yet written. At most [`STDERR_WRITE_BYTES`] and one line.
    buffer: Vec<u8>,
    buffered_lines: u64,
    /// Lines that went through the buffer since the queue was last empty.
    passed_lines: u64,
    /// The last write ended within a line.
    is_torn: bool,
    loss: Loss,
    counts: Arc<Counts>,
}

impl<W: AsFd> Writer<W> {
    fn drain(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        if let Err((written, _)) = write_all(&self.output, &self.buffer) {
            self.is_torn = written > 0 && self.buffer[written - 1] != b'\n';
            let kept = memchr::memchr_iter(b'\n', &self.buffer[..written]).count() as u64;
            let failed = self.buffered_lines.saturating_sub(kept);
            self.counts.failed.fetch_add(failed, Ordering::Relaxed);
        }
        self.buffer.clear();
        self.passed_lines += std::mem::take(&mut self.buffered_lines);
    }

    /// Puts a line in the buffer that says how many are missing.
    fn report(&mut self) {
        OWN_LINE.set(Some(Vec::new()));
        self.loss.report();
        self.buffer.extend(OWN_LINE.take().unwrap_or_default());
    }

    /// Tells those who wait in [`Queue::flush`].
    fn tell(&mut self) {
        let mut done = self.counts.done.lock().unwrap_or_else(PoisonError::into_inner);
        *done += std::mem::take(&mut self.passed_lines);
        self.counts.is_done.notify_all();
    }
}

impl<W: AsFd> Write for Writer<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if std::mem::take(&mut self.is_torn) {
            self.buffer.push(b'\n');
        }
        self.buffer.extend_from_slice(line);
        self.buffered_lines += 1;
        if self.buffer.len() >= STDERR_WRITE_BYTES {
            self.drain();
        }
        if self.loss.line_passed() {
            self.report();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // The queue is empty: all lines queued before the loss are in the buffer. Lines lost during this
        // write are reported after it.
        if self.loss.is_new() {
            self.report();
        }
        self.drain();
        self.tell();
        Ok(())
    }
}

/// Writes all of `bytes`, however long it takes. On an error, returns the number of written bytes and the
/// cause. It also waits for a non-blocking descriptor: another program may have set the mode on the shared
/// file.
pub(crate) fn write_all(output: impl AsFd, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < bytes.len() {
        let result = match rustix::io::write(&output, &bytes[written..]) {
            Ok(0) => Err(Errno::NOSPC),
            Ok(count) => {
                written += count;
                Ok(())
            }
            Err(Errno::AGAIN) => poll(&mut [PollFd::new(&output, PollFlags::OUT)], None).map(drop),
            Err(error) => Err(error),
        };
        match result {
            Ok(()) | Err(Errno::INTR) => {}
            Err(error) => return Err((written, error.into())),
        }
    }
    Ok(())
}

/// Says in the log that lines of it were lost, where they are missing: behind the lines that were in the
/// queue then.
#[derive(Debug)]
struct Loss {
    refused: Arc<std::sync::OnceLock<ErrorCounter>>,
    counts: Arc<Counts>,
    reported: u64,
    /// Lines that were passed on since a loss was first seen.
    passed: usize,
    reports: Every,
    since: Instant,
}

impl Loss {
    fn new(refused: Arc<std::sync::OnceLock<ErrorCounter>>, counts: Arc<Counts>) -> Self {
        let reports = Every::new(Duration::from_secs(LOG_REPEAT_SECONDS));
        Self { refused, counts, reported: 0, passed: 0, reports, since: Instant::now() }
    }

    fn lost(&self) -> u64 {
        let refused = self.refused.get().map_or(0, ErrorCounter::dropped_lines) as u64;
        refused.saturating_add(self.counts.failed.load(Ordering::Relaxed))
    }

    fn is_new(&self) -> bool {
        self.lost() > self.reported
    }

    /// Notes that a line was passed on. Returns whether every line queued before the loss has passed. This
    /// also holds for a queue that never empties.
    fn line_passed(&mut self) -> bool {
        self.passed = if self.is_new() { self.passed + 1 } else { 0 };
        self.passed > STDERR_QUEUE_LINES_MAX
    }

    fn report(&mut self) {
        let lost = self.lost();
        if self.reports.admit(self.since.elapsed()).is_some() {
            let lines = lost - self.reported;
            self.reported = lost;
            tracing::warn!(lines, "lines of the log were lost here: standard error took no more");
        }
    }
}
