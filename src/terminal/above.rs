//! Prints above the edited line, and keeps track of the printed text.
//!
//! rustyline queues a text that comes while it edits, and takes it when no key waits. A text can be in that
//! queue when the line ends; the next line shows it. So a text counts as printed when the editor has taken
//! the one behind it within the same line: it prints a text before it takes the next. Its queue holds one
//! text, so that the hand-over of a third one shows that. When the editor leaves raw mode at the end of a line,
//! a later text passes the queue by. So the terminal must still be raw after the hand-over.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{LocalModes, tcgetattr};
use rustyline::{ExternalPrinter, Prompt};

use super::ChatError;

/// A text that changes nothing: up a row, and down again. The text before it made the row above.
const NOTHING: &str = "\x1b[A\n";
/// Time in which the editor ends a line. After it, the editor is asked again.
const END_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// The state of the editor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// No line is being edited.
    Away,
    /// A line begins: the terminal may still be as it was.
    Starting,
    /// A line is being edited, or has just ended.
    Editing,
}

struct State {
    stage: Stage,
    /// The number of the line.
    line: u64,
    /// A text was handed over, and is not known to be printed.
    is_owed: bool,
    /// No other line begins.
    is_over: bool,
}

/// The threads' view of the editor. A clone shares it.
#[derive(Clone)]
pub(super) struct EditorState(Arc<(Mutex<State>, Condvar)>);

impl EditorState {
    pub(super) fn new() -> Self {
        let state = State { stage: Stage::Away, line: 0, is_owed: false, is_over: false };
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, stage: Stage) {
        let mut locked = self.lock();
        if locked.stage == stage {
            return;
        }
        if stage == Stage::Starting && locked.is_over {
            drop(locked);
            loop {
                thread::park();
            }
        }
        locked.stage = stage;
        locked.line += u64::from(stage == Stage::Starting);
        drop(locked);
        self.0.1.notify_all();
    }

    /// Edits a line. Once the editing is over, this does not return.
    pub(super) fn during<T>(&self, prompt: &str, edit: impl FnOnce(&LinePrompt<'_>) -> T) -> T {
        self.enter(Stage::Starting);
        let line = edit(&LinePrompt { text: prompt, editor: self });
        self.enter(Stage::Away);
        line
    }

    /// Ends the line that is being edited, so that it stays where it is and nothing is printed into the words
    /// behind it. Returns whether it has ended: a terminal that was stopped prevents it.
    pub(super) fn end(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let mut state = self.lock();
        state.is_over = true;
        while state.stage != Stage::Away {
            if Instant::now() >= deadline {
                return false;
            }
            drop(state);
            // The editor has a handler of its own, which ends the line. In front of the line and behind it
            // the conversation's is there.
            let _ = kill_process(getpid(), Signal::INT);
            let (lock, changed) = &*self.0;
            let locked = lock.lock().unwrap_or_else(PoisonError::into_inner);
            let is_on = |state: &mut State| state.stage != Stage::Away;
            let waited = changed.wait_timeout_while(locked, END_AGAIN_AFTER, is_on);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Whether a text waits for a line to be printed above.
    pub(super) fn is_owed(&self) -> bool {
        self.lock().is_owed
    }
}

/// A prompt, which the editor asks for its text when it has the terminal.
pub(super) struct LinePrompt<'a> {
    text: &'a str,
    editor: &'a EditorState,
}

impl Prompt for LinePrompt<'_> {
    fn raw(&self) -> &str {
        self.editor.enter(Stage::Editing);
        self.text
    }
}

/// Prints above the line, or where no line is being edited.
pub(super) struct Above {
    printer: Box<dyn ExternalPrinter + Send>,
    editor: EditorState,
}

impl Above {
    pub(super) fn new(printer: Box<dyn ExternalPrinter + Send>, editor: EditorState) -> Self {
        Self { printer, editor }
    }

    pub(super) fn editor(&self) -> EditorState {
        self.editor.clone()
    }

    /// Prints whole lines. They are printed when this returns.
    pub(super) fn print(&mut self, text: String) -> Result<(), ChatError> {
        let mut text = Some(text);
        let mut state = self.editor.lock();
        loop {
            match (state.stage, &text) {
                // No line can start here, because starting a line takes the lock.
                (Stage::Away, Some(text)) => return write(text).map_err(ChatError::Output),
                (Stage::Away, None) | (Stage::Starting, _) => state = self.editor.wait(state),
                (Stage::Editing, _) => {
                    state.is_owed = true;
                    let line = state.line;
                    drop(state);
                    for text in [text.take(), Some(NOTHING.to_owned()), Some(NOTHING.to_owned())] {
                        text.map_or(Ok(()), |text| self.printer.print(text))?;
                    }
                    state = self.editor.lock();
                    if (state.stage, state.line) != (Stage::Editing, line) {
                        continue;
                    }
                    if is_raw() {
                        state.is_owed = false;
                        return Ok(());
                    }
                    // The line has ended, and its stage ends next; or the program was stopped, and goes on.
                    let (_, changed) = &*self.editor.0;
                    let waited = changed.wait_timeout(state, END_AGAIN_AFTER);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }
}

/// Whether the editor has the terminal. It makes the terminal raw before it takes texts into its queue, and takes
/// none after the terminal is as it was.
fn is_raw() -> bool {
    tcgetattr(io::stdin()).is_ok_and(|modes| !modes.local_modes.contains(LocalModes::ICANON))
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
