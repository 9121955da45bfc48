//! Holds a conversation: what is typed is said, what is heard is shown, until one side leaves.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use parlance::client::ClientError;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::ChatError;
use super::keyboard::{Keyboard, Printer, TerminalState};
use super::screen::{Shown, Style};

/// Silence after which a sign of life is sent: servers close the silent after a minute, by default.
const STAY_AFTER: Duration = Duration::from_secs(20);
/// How long to listen at once. Any time will do.
const LISTEN_FOR: Duration = Duration::from_secs(600);
/// How long the server may take to answer what is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long a user who leaves waits for the server to say goodbye.
const FAREWELL_WITHIN: Duration = Duration::from_secs(2);

/// The half of a client that speaks.
pub(super) trait Mouth {
    /// Says a text.
    fn say(&mut self, text: &str) -> Result<Uttered, ClientError>;
    /// Does what a command wants: its first word, without `/`, and the rest.
    fn command(&mut self, word: &str, rest: &str) -> Result<Uttered, ClientError>;
    /// Sends a sign of life, and nothing else.
    fn stay(&mut self) -> Result<(), ClientError>;
    /// Leaves. Returns what shows that the server has all that was sent.
    fn leave(&mut self) -> Result<Farewell, ClientError>;
    /// The commands, for people.
    fn help(&self) -> &'static str;
    /// What stands in front of the line that is edited.
    fn prompt(&self) -> String {
        "> ".to_owned()
    }
    /// Whether nobody sees what happens, so that it has to be made sure.
    fn is_careful(&self) -> bool;
}

/// What came of something that was typed.
pub(super) enum Uttered {
    /// It was sent.
    Sent,
    /// It was sent, and [`Sign::Done`] or [`Sign::Failed`] follows.
    Asked,
    /// It cannot be, for this reason.
    Impossible(&'static str),
}

/// What shows that the server has all that was sent.
pub(super) enum Farewell {
    /// Nothing does.
    None,
    /// [`Sign::Done`].
    Done,
    /// The end of the connection.
    End,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// [`Sign::Done`] or [`Sign::Failed`].
    Answer,
    /// [`Sign::Done`]; what failed had been sent before.
    Done,
    /// The end of the connection.
    End,
}

/// The half of a client that listens.
pub(super) trait Ear: Send {
    /// What comes next.
    fn hear(&mut self, deadline: Instant) -> Result<Heard, ClientError>;
}

/// Something that was heard: to be shown, to be acted on, both or neither.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) shown: Vec<Shown>,
    pub(super) sign: Option<Sign>,
}

/// What the speaking half has to know of what was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sign {
    /// What was asked for is done.
    Done,
    /// Something could not be done.
    Failed,
    /// The server, or the room, is about to end, for this reason.
    Ending(String),
}

impl From<Shown> for Heard {
    fn from(shown: Shown) -> Self {
        Self { shown: vec![shown], sign: None }
    }
}

impl From<Sign> for Heard {
    fn from(sign: Sign) -> Self {
        Self { shown: Vec::new(), sign: Some(sign) }
    }
}

/// What the threads tell the first one.
pub(super) enum Happened {
    /// A line, with its end or without.
    Typed(String),
    /// A line that cannot be said, and why.
    Unsayable(&'static str),
    /// The user wants to go, and said so by the end of the input.
    Left,
    /// The user, or whoever started this program, wants to go.
    Signalled,
    /// Something was heard.
    Heard(Sign),
    /// Nothing more will be.
    Ended(ClientError),
    /// Input or output is no more.
    Failed(ChatError),
}

/// A conversation, on the side of the user.
pub(super) struct Conversation {
    mouth: Box<dyn Mouth>,
    style: Style,
    /// When something was last sent.
    sent_at: Instant,
    /// Why it is about to end.
    ending: Option<String>,
    /// Something could not be said.
    has_failed: bool,
    /// The keyboard reads a line.
    is_reading: bool,
}

impl Conversation {
    pub(super) fn new(mouth: Box<dyn Mouth>, style: Style) -> Self {
        Self { mouth, style, sent_at: Instant::now(), ending: None, has_failed: false, is_reading: false }
    }

    /// Talks until somebody leaves.
    pub(super) fn hold(
        mut self,
        ear: Box<dyn Ear>,
        keyboard: Keyboard,
        printer: Option<Printer>,
    ) -> Result<(), ChatError> {
        let is_edited = printer.is_some();
        let terminal = if is_edited { TerminalState::now() } else { None };
        let (tell, told) = channel();
        let (prompt, prompts) = channel();
        let style = self.style;
        let heard = tell.clone();
        start("ear", move || listen(ear, printer, style, &heard))?;
        let typed = tell.clone();
        start("keyboard", move || keyboard.read(&prompts, &typed))?;
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(ChatError::System)?;
        start("signals", move || {
            for _ in signals.forever() {
                // Nobody is told who is gone.
                let _ = tell.send(Happened::Signalled);
            }
        })?;
        let result = self.talk(&told, &prompt);
        drop(terminal);
        if is_edited && self.is_reading {
            // Below what was being edited.
            let _ = writeln!(io::stdout());
        }
        result
    }

    fn talk(&mut self, told: &Receiver<Happened>, prompt: &Sender<String>) -> Result<(), ChatError> {
        self.next_line(prompt);
        loop {
            let left = STAY_AFTER.saturating_sub(self.sent_at.elapsed());
            let happened = told.recv_timeout(left);
            if let Ok(Happened::Typed(_) | Happened::Unsayable(_) | Happened::Left) = happened {
                self.is_reading = false;
            }
            match happened {
                Ok(Happened::Typed(line)) => {
                    if self.is_over(&line, told)? {
                        return self.leave(told);
                    }
                    self.next_line(prompt);
                }
                Ok(Happened::Unsayable(problem)) => {
                    self.complain(problem.to_owned())?;
                    self.next_line(prompt);
                }
                Ok(Happened::Left | Happened::Signalled) => return self.leave(told),
                Ok(Happened::Heard(sign)) => self.note(sign),
                Ok(Happened::Ended(error)) => return Err(self.ended(&error)),
                Ok(Happened::Failed(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => {
                    let stayed = self.mouth.stay();
                    self.sent(stayed, told)?;
                }
                Err(RecvTimeoutError::Disconnected) => return Err(ChatError::Ended("no more input".into())),
            }
        }
    }

    fn next_line(&mut self, prompt: &Sender<String>) {
        // The keyboard is gone once it has told so.
        self.is_reading = prompt.send(self.mouth.prompt()).is_ok();
    }

    /// Does what a line wants; whether that is to leave.
    fn is_over(&mut self, line: &str, told: &Receiver<Happened>) -> Result<bool, ChatError> {
        let line = line.trim_end_matches(['\r', '\n']);
        let uttered = match line.strip_prefix('/') {
            _ if line.trim().is_empty() => return Ok(false),
            Some(rest) if !rest.starts_with('/') => {
                let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                match word {
                    "quit" | "exit" => return Ok(true),
                    "help" => {
                        self.show(&Shown::Answer(self.mouth.help().to_owned()))?;
                        return Ok(false);
                    }
                    _ => self.mouth.command(word, rest.trim()),
                }
            }
            Some(text) => self.mouth.say(text),
            None => self.mouth.say(line),
        };
        match uttered {
            Ok(Uttered::Asked) if self.mouth.is_careful() => {
                self.sent_at = Instant::now();
                self.wait(told, ANSWER_WITHIN, Awaited::Answer)?;
            }
            Ok(Uttered::Asked | Uttered::Sent) => self.sent_at = Instant::now(),
            Ok(Uttered::Impossible(reason)) => self.complain(reason.to_owned())?,
            Err(error @ (ClientError::Unsayable(_) | ClientError::TooLong(_))) => {
                self.complain(error.to_string())?;
            }
            Err(error) => self.sent(Err(error), told)?,
        }
        Ok(false)
    }

    /// Looks at what came of sending. If the server is gone, it may have said why.
    fn sent(&mut self, result: Result<(), ClientError>, told: &Receiver<Happened>) -> Result<(), ChatError> {
        self.sent_at = Instant::now();
        let Err(error) = result else { return Ok(()) };
        let deadline = Instant::now() + FAREWELL_WITHIN;
        while let Ok(happened) = told.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            match happened {
                Happened::Heard(sign) => self.note(sign),
                Happened::Ended(_) => break,
                _ => {}
            }
        }
        Err(self.ended(&error))
    }

    fn leave(&mut self, told: &Receiver<Happened>) -> Result<(), ChatError> {
        let is_careful = self.mouth.is_careful();
        let within = if is_careful { ANSWER_WITHIN } else { FAREWELL_WITHIN };
        let left = match self.mouth.leave() {
            Ok(Farewell::None) => Ok(()),
            Ok(Farewell::Done) => self.wait(told, within, Awaited::Done),
            Ok(Farewell::End) => self.wait(told, within, Awaited::End),
            Err(error) => self.sent(Err(error), told),
        };
        // Who leaves has left, whatever the server says; but what was to be handed over may not have been.
        match left {
            _ if !is_careful => Ok(()),
            Ok(()) if self.has_failed => Err(ChatError::NotAllSaid),
            left => left,
        }
    }

    /// Waits for the server to show that it has what was sent.
    fn wait(
        &mut self,
        told: &Receiver<Happened>,
        within: Duration,
        awaited: Awaited,
    ) -> Result<(), ChatError> {
        let deadline = Instant::now() + within;
        loop {
            match told.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Happened::Heard(sign)) => {
                    let is_it = match sign {
                        Sign::Done => awaited != Awaited::End,
                        Sign::Failed => awaited == Awaited::Answer,
                        Sign::Ending(_) => false,
                    };
                    self.note(sign);
                    if is_it {
                        return Ok(());
                    }
                }
                Ok(Happened::Ended(ClientError::Closed)) if awaited == Awaited::End => return Ok(()),
                Ok(Happened::Ended(error)) => return Err(self.ended(&error)),
                Ok(Happened::Failed(error)) => return Err(error),
                // Nobody is asked for a line meanwhile, and who wants to go twice wants to go now.
                Ok(Happened::Typed(_) | Happened::Unsayable(_) | Happened::Left) => {}
                Ok(Happened::Signalled) | Err(_) => return Err(ChatError::Unconfirmed),
            }
        }
    }

    fn note(&mut self, sign: Sign) {
        match sign {
            Sign::Done => {}
            Sign::Failed => self.has_failed = true,
            Sign::Ending(reason) => self.ending = Some(reason),
        }
    }

    fn ended(&mut self, error: &ClientError) -> ChatError {
        ChatError::Ended(self.ending.take().unwrap_or_else(|| error.to_string()))
    }

    fn complain(&mut self, reason: String) -> Result<(), ChatError> {
        self.has_failed = true;
        self.show(&Shown::Problem(reason))
    }

    /// Shows something of this program's own, while no line is being edited.
    fn show(&self, shown: &Shown) -> Result<(), ChatError> {
        self.style.print(shown, !self.mouth.is_careful()).map_err(ChatError::Output)
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), ChatError> {
    // It ends with the program, or is of no use without the others.
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map(drop).map_err(ChatError::System)
}

/// Shows what is heard, and tells what has to be known of it, until there is nothing more to hear.
fn listen(mut ear: Box<dyn Ear>, mut printer: Option<Printer>, style: Style, tell: &Sender<Happened>) {
    loop {
        let Heard { shown, sign } = match ear.hear(Instant::now() + LISTEN_FOR) {
            Ok(heard) => heard,
            Err(ClientError::Deadline) => continue,
            Err(error) => {
                let _ = tell.send(Happened::Ended(error));
                return;
            }
        };
        for shown in &shown {
            let result = match &mut printer {
                Some(printer) => printer.print(style.render(shown)).map_err(ChatError::Terminal),
                None => style.print(shown, false).map_err(ChatError::Output),
            };
            if let Err(error) = result {
                let _ = tell.send(Happened::Failed(error));
                return;
            }
        }
        if let Some(sign) = sign
            && tell.send(Happened::Heard(sign)).is_err()
        {
            return;
        }
    }
}
