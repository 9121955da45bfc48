//! A program that is started, watched and ended. It does not outlive this one: not when something fails here, for which
//! [`Process`] ends it when dropped, nor when this one is killed, for which `setpriv` has the kernel end it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at whether something has come about. Seldom enough not to be measured itself.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Where things are.
#[derive(Debug)]
pub(crate) struct Places {
    /// Of the repository; all commands start there.
    pub(crate) root: PathBuf,
    /// What `target/release` stands for in commands.
    pub(crate) programs: PathBuf,
}

/// A program that runs.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

/// Why something was not waited for any longer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    Interrupted,
    TimedOut,
}

impl Places {
    /// A command's words, with `DIR` as it says there.
    fn words(&self, command: &str, directory: &Path) -> Vec<OsString> {
        let word = |word: &str| match word.strip_prefix("target/release/") {
            Some(program) => self.programs.join(program).into(),
            None if word == "DIR" => directory.into(),
            None => match word.strip_prefix("DIR/") {
                Some(file) => directory.join(file).into(),
                None => word.into(),
            },
        };
        command.split_ascii_whitespace().map(word).collect()
    }

    /// Starts a command as it is shown to people, where `DIR` is this directory. What it prints goes to the file there.
    pub(crate) fn start(&self, command: &str, directory: &Path, log: &str) -> io::Result<Process> {
        let log = directory.join(log);
        let output = File::create(&log)?;
        // What serves is not in every user's path.
        let path = [std::env::var_os("PATH").unwrap_or_default(), ":/usr/sbin:/sbin".into()];
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .args(self.words(command, directory))
            .current_dir(&self.root)
            .env("PATH", path.into_iter().collect::<OsString>())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        Ok(Process { child, log })
    }
}

impl Process {
    /// The same for whatever it is replaced by: `setpriv` and `taskset` become the program.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it printed.
    pub(crate) fn output(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn has_ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(
        &mut self,
        limit: Duration,
        interrupted: &AtomicBool,
    ) -> io::Result<Result<ExitStatus, Stopped>> {
        wait_until(limit, interrupted, || self.child.try_wait())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something has come about.
pub(crate) fn wait_until<T>(
    limit: Duration,
    interrupted: &AtomicBool,
    mut look: impl FnMut() -> io::Result<Option<T>>,
) -> io::Result<Result<T, Stopped>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look()? {
            return Ok(Ok(found));
        }
        if interrupted.load(Ordering::Relaxed) {
            return Ok(Err(Stopped::Interrupted));
        }
        if Instant::now() >= end {
            return Ok(Err(Stopped::TimedOut));
        }
        thread::sleep(LOOK_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places { root: ".".into(), programs: "elsewhere".into() }
    }

    #[test]
    fn a_command_is_started_as_it_is_shown_but_for_places() {
        let words =
            places().words("taskset -c 0 target/release/x --data DIR --json DIR/y", Path::new("here"));
        assert_eq!(words.join(" ".as_ref()), "taskset -c 0 elsewhere/x --data here --json here/y");
    }

    #[test]
    fn a_process_does_not_outlive_what_started_it() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let process = places().start("sleep 1000", directory.path(), "log").expect("it starts");
        let entry = PathBuf::from(format!("/proc/{}", process.id()));
        assert!(entry.exists());
        drop(process);
        assert!(!entry.exists());
    }

    #[test]
    fn what_a_process_says_and_how_it_ends_is_known() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let mut process = places().start("echo hello", directory.path(), "log").expect("it starts");
        let not_interrupted = AtomicBool::new(false);
        let status = process.wait(Duration::from_secs(60), &not_interrupted).expect("it is there");
        assert!(status.expect("it ends").success());
        assert_eq!(process.output(), "hello\n");
    }

    #[test]
    fn an_interruption_ends_the_waiting() {
        let stopped = wait_until(Duration::from_secs(60), &AtomicBool::new(true), || Ok(None::<()>));
        assert_eq!(stopped.expect("nothing is read"), Err(Stopped::Interrupted));
        let stopped = wait_until(Duration::ZERO, &AtomicBool::new(false), || Ok(None::<()>));
        assert_eq!(stopped.expect("nothing is read"), Err(Stopped::TimedOut));
    }
}
