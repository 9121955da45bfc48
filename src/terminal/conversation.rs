//! Holds a conversation: what is typed is said, what is heard is shown, until one side leaves.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use parlance::client::{ClientError, Pace};
use parlance::limits::CLIENT_MESSAGES_PER_SECOND;
use parlance::signals::stays_ignored;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::ChatError;
use super::above::{Above, EditorState};
use super::door::Contact;
use super::keyboard::{Keyboard, TerminalState};
use super::screen::{Shown, Style};

/// Silence after which a sign of life is sent: servers close the silent after a minute, by default.
const STAY_AFTER: Duration = Duration::from_secs(20);
/// How long to listen at once. Any time will do.
const LISTEN_FOR: Duration = Duration::from_secs(600);
/// How long the server may take to answer what is waited for. A session that has sent more bytes than it may
/// is not read from for a while, so that an answer can be late.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// A server that has not answered the first [`Mouth::sync`] by then does not know the dialect's errors: it is
/// not asked again.
const SYNC_WITHIN: Duration = Duration::from_secs(3);
/// How long to wait after a refusal for being too fast, at first and at most: each refusal of the same
/// message doubles it.
const REST_MIN: Duration = Duration::from_millis(100);
const REST_MAX: Duration = Duration::from_secs(2);
/// A message that is refused for so long is given up.
const REFUSED_FOR: Duration = Duration::from_secs(120);
/// A datagram that is not answered for so long is sent again.
const DATAGRAM_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How long a user who leaves waits for the server to say goodbye.
const FAREWELL_WITHIN: Duration = Duration::from_secs(2);

/// Limit for the editor to end its line. An editor that takes longer prints nothing: it waits for a key, and
/// so misses the signal, or for a stopped terminal.
const LINE_ENDS_WITHIN: Duration = Duration::from_millis(500);

/// The half of a client that speaks.
pub(super) trait Mouth {
    /// Says a text.
    fn say(&mut self, text: &str) -> Result<Uttered, ClientError>;
    /// Does what a command wants: its first word, without `/`, and the rest.
    fn command(&mut self, word: &str, rest: &str) -> Result<Uttered, ClientError>;
    /// Sends a request whose answer, [`Sign::Synced`] with this number, follows the answers to everything
    /// sent before. Numbers rise. Returns `None` where every message is acknowledged.
    fn sync(&mut self) -> Result<Option<u64>, ClientError> {
        Ok(None)
    }
    /// Counts the sync requests sent before the conversation whose answers are still to come.
    fn owed(&self) -> u64 {
        0
    }
    /// The last message is settled and will not be resent.
    fn done(&mut self) {}
    /// Whether what is sent, and what is answered, may be lost on the way.
    fn is_lossy(&self) -> bool {
        false
    }
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
    /// Something was not done because it came too fast.
    TooFast,
    /// All that was sent before a [`Mouth::sync`] was answered, as far as it has an answer.
    Synced(u64),
    /// The network does not reach the server with datagrams.
    Unreachable,
    /// No datagram of the server has come.
    Silent,
    /// One has come after all.
    Reached,
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

/// What came of an utterance.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The server has taken it, or has refused it for good and said why.
    Over,
    /// Not done, because it came too fast.
    TooFast,
}

/// Whether the server answers [`Mouth::sync`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Syncs {
    /// Nobody has asked yet.
    Unknown,
    Answered,
    Unanswered,
}

/// A conversation, on the side of the user.
pub(super) struct Conversation {
    mouth: Box<dyn Mouth>,
    style: Style,
    contact: Contact,
    /// Asks for lines, each with its prompt.
    prompt: Sender<String>,
    /// The keyboard's side of it, until there is one.
    prompts: Option<Receiver<String>>,
    /// The editor, where there is one.
    editor: Option<EditorState>,
    progress: Progress,
    pace: Pace,
    syncs: Syncs,
    /// Questions of [`Mouth::sync`] whose answer, or refusal, was not needed any more and is still to come.
    owed: u64,
    /// When something was last sent.
    sent_at: Instant,
    /// Why it is about to end.
    ending: Option<String>,
    /// Something could not be said.
    has_failed: bool,
    /// The network said that datagrams do not arrive, and nothing has shown otherwise since.
    is_unreachable: bool,
    /// The ear has reported no datagram of the server.
    is_silent: bool,
    /// The user wants to go: by when at the latest.
    leave_by: Option<Instant>,
    /// The keyboard reads a line.
    is_reading: bool,
}

impl Conversation {
    pub(super) fn new(mouth: Box<dyn Mouth>, style: Style, contact: Contact) -> Self {
        // Datagrams that come all at once are lost: there the pace counts from the first one on.
        let pace =
            if mouth.is_lossy() { Pace::new(CLIENT_MESSAGES_PER_SECOND / 2, 16) } else { Pace::default() };
        let owed = mouth.owed();
        let (prompt, prompts) = channel();
        Self {
            mouth,
            style,
            contact,
            prompt,
            prompts: Some(prompts),
            editor: None,
            progress: Progress::default(),
            pace,
            syncs: Syncs::Unknown,
            owed,
            sent_at: Instant::now(),
            ending: None,
            has_failed: false,
            is_unreachable: false,
            is_silent: false,
            leave_by: None,
            is_reading: false,
        }
    }

    /// Talks until somebody leaves.
    pub(super) fn hold(
        mut self,
        ear: Box<dyn Ear>,
        keyboard: Keyboard,
        above: Option<Above>,
    ) -> Result<(), ChatError> {
        self.editor = above.as_ref().map(Above::editor);
        let is_edited = above.is_some();
        let terminal = if is_edited { TerminalState::now() } else { None };
        let (tell, told) = channel();
        let screen = Screen {
            above,
            style: self.style,
            is_careful: self.mouth.is_careful(),
            is_shown: true,
            progress: self.progress.clone(),
        };
        let heard = tell.clone();
        start("ear", move || listen(ear, screen, &heard))?;
        let typed = tell.clone();
        if let Some(prompts) = self.prompts.take() {
            start("keyboard", move || keyboard.read(&prompts, &typed))?;
        }
        let handled = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| !stays_ignored(signal));
        let mut signals = Signals::new(handled).map_err(ChatError::System)?;
        start("signals", move || {
            for _ in signals.forever() {
                // Nobody is told who is gone.
                let _ = tell.send(Happened::Signalled);
            }
        })?;
        let result = self.talk(&told);
        let has_ended = self.editor.as_ref().is_none_or(|editor| editor.end(LINE_ENDS_WITHIN));
        drop(terminal);
        if !has_ended {
            // Below what was being edited.
            let _ = writeln!(io::stdout());
        }
        result
    }

    fn talk(&mut self, told: &Receiver<Happened>) -> Result<(), ChatError> {
        self.next_line();
        loop {
            let left = STAY_AFTER.saturating_sub(self.sent_at.elapsed());
            let happened = told.recv_timeout(left);
            if let Ok(Happened::Typed(_) | Happened::Unsayable(_) | Happened::Left) = happened {
                self.is_reading = false;
            }
            match happened {
                Ok(Happened::Typed(line)) => {
                    let is_over = self.is_over(&line, told);
                    if is_over.is_err() && self.leave_by.is_some() {
                        // A seat would stay otherwise. What is wrong is told all the same.
                        let _ = self.mouth.leave();
                    }
                    if is_over? || self.leave_by.is_some() {
                        return self.leave(told);
                    }
                    self.next_line();
                }
                Ok(Happened::Unsayable(problem)) => {
                    self.complain(problem.to_owned())?;
                    self.next_line();
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

    fn next_line(&mut self) {
        // The keyboard is gone once it has told so.
        self.is_reading = self.prompt.send(self.mouth.prompt()).is_ok();
    }

    /// Starts a line if a text waits to be printed above one, even though no line is needed.
    fn show_the_rest(&mut self) {
        if !self.is_reading && self.editor.as_ref().is_some_and(EditorState::is_owed) {
            self.is_reading = self.prompt.send(String::new()).is_ok();
        }
    }

    /// The editor returned a line that the conversation no longer needs.
    fn line_ended(&mut self) {
        self.is_reading = false;
        self.show_the_rest();
    }

    /// Does what a line wants; whether that is to leave.
    fn is_over(&mut self, line: &str, told: &Receiver<Happened>) -> Result<bool, ChatError> {
        let line = line.trim_end_matches(['\r', '\n']);
        if line.trim().is_empty() {
            return Ok(false);
        }
        if let Some((word, _)) = command_of(line) {
            match word {
                "quit" | "exit" => return Ok(true),
                "help" => {
                    self.show(&Shown::Answer(self.mouth.help().to_owned()))?;
                    return Ok(false);
                }
                _ => {}
            }
        }
        self.utter(line, told)?;
        Ok(false)
    }

    /// Says a line, or does what its command wants; again, as long as the server says that it came too fast.
    /// One line at a time is on its way where nobody sees what happens: so none is said before the one that
    /// was refused.
    fn utter(&mut self, line: &str, told: &Receiver<Happened>) -> Result<(), ChatError> {
        let give_up = Instant::now() + REFUSED_FOR;
        let mut rest = REST_MIN;
        if self.keep_pace(told)? {
            return self.give_up();
        }
        loop {
            let uttered = match command_of(line) {
                Some((word, rest)) => self.mouth.command(word, rest),
                None => self.mouth.say(line.strip_prefix('/').unwrap_or(line)),
            };
            self.sent_at = Instant::now();
            let outcome = match uttered {
                Ok(Uttered::Asked) if self.mouth.is_careful() => self.wait_for_answer(told),
                Ok(Uttered::Sent) if self.mouth.is_careful() => self.wait_for_sync(told),
                Ok(Uttered::Asked | Uttered::Sent) => return Ok(()),
                Ok(Uttered::Impossible(reason)) => return self.complain(reason.to_owned()),
                Err(
                    error @ (ClientError::Unsayable(_)
                    | ClientError::TooLong(_)
                    | ClientError::Undelivered(_)),
                ) => return self.complain(error.to_string()),
                Err(error) => return self.sent(Err(error), told),
            };
            match outcome? {
                Outcome::Over => {
                    self.mouth.done();
                    return Ok(());
                }
                Outcome::TooFast if Instant::now() >= give_up => {
                    return Err(ChatError::TooFast { seconds: REFUSED_FOR.as_secs() });
                }
                Outcome::TooFast if self.rest(rest, told)? => return self.give_up(),
                Outcome::TooFast => {}
            }
            rest = (rest * 2).min(REST_MAX);
        }
    }

    /// A user wants to go before a line could be said.
    fn give_up(&mut self) -> Result<(), ChatError> {
        self.complain("the last line was not said".to_owned())
    }

    /// Waits before the next message, where the server would refuse it. Where each one is answered, the
    /// answers set the pace. Whether the user wants to go meanwhile.
    fn keep_pace(&mut self, told: &Receiver<Happened>) -> Result<bool, ChatError> {
        if self.mouth.is_careful() && !self.mouth.is_lossy() && self.syncs != Syncs::Unanswered {
            return Ok(false);
        }
        let delay = self.pace.delay(Instant::now());
        if delay.is_zero() { Ok(false) } else { self.rest(delay, told) }
    }

    /// Pauses. Returns whether the user asked to leave.
    fn rest(&mut self, length: Duration, told: &Receiver<Happened>) -> Result<bool, ChatError> {
        let end = Instant::now() + length;
        loop {
            match told.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Happened::Heard(sign)) => self.note(sign),
                Ok(Happened::Ended(error)) => return Err(self.ended(&error)),
                Ok(Happened::Failed(error)) => return Err(error),
                Ok(Happened::Signalled) => {
                    self.leave_by.get_or_insert_with(|| Instant::now() + FAREWELL_WITHIN);
                    return Ok(true);
                }
                Err(RecvTimeoutError::Disconnected) => return Err(ChatError::Unconfirmed),
                Ok(Happened::Typed(_) | Happened::Unsayable(_) | Happened::Left) => self.line_ended(),
                Err(RecvTimeoutError::Timeout) => return Ok(false),
            }
        }
    }

    /// Waits for the one answer to what was said.
    fn wait_for_answer(&mut self, told: &Receiver<Happened>) -> Result<Outcome, ChatError> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            match self.next_sign(told, deadline)? {
                Some(sign @ (Sign::Done | Sign::Failed)) => {
                    self.note(sign);
                    return Ok(Outcome::Over);
                }
                Some(Sign::TooFast) if self.owed == 0 => return Ok(Outcome::TooFast),
                Some(sign) => self.note(sign),
                None => return Err(ChatError::Unconfirmed),
            }
        }
    }

    /// Asks whether what was said was taken, which only an error says otherwise, and waits for the answer.
    ///
    /// The sync request can be refused too. Refusals arrive in request order: those before answer `n` belong
    /// to earlier syncs, and one more belongs to the message.
    fn wait_for_sync(&mut self, told: &Receiver<Happened>) -> Result<Outcome, ChatError> {
        if self.syncs == Syncs::Unanswered {
            return Ok(Outcome::Over);
        }
        let Some(first) = self.ask_for_sync(told)? else { return Ok(Outcome::Over) };
        let is_lossy = self.mouth.is_lossy();
        let asked_at = Instant::now();
        let within = if self.syncs == Syncs::Unknown { SYNC_WITHIN } else { ANSWER_WITHIN };
        let mut deadline = asked_at + within;
        let (mut last, mut refused) = (first, 0);
        let mut again_at = is_lossy.then(|| asked_at + DATAGRAM_AGAIN_AFTER);
        loop {
            let until = again_at.map_or(deadline, |at| at.min(deadline));
            match self.next_sign(told, until)? {
                Some(Sign::Synced(number)) if number >= first => {
                    (self.syncs, self.is_unreachable, self.is_silent) = (Syncs::Answered, false, false);
                    if is_lossy {
                        return self.judge_datagram(number == first && refused == 0);
                    }
                    self.owed = last.saturating_sub(number);
                    let is_refused = refused > number - first;
                    return Ok(if is_refused { Outcome::TooFast } else { Outcome::Over });
                }
                Some(Sign::TooFast) if self.owed == 0 || is_lossy => {
                    refused += 1;
                    // A server that has limits knows the answer.
                    deadline = deadline.max(Instant::now() + ANSWER_WITHIN);
                    if is_lossy {
                        self.pace.slow_down(Instant::now());
                    } else if refused > last - first + 1 {
                        return Ok(Outcome::TooFast);
                    }
                    again_at = Some(Instant::now() + if is_lossy { REST_MAX } else { REST_MIN });
                }
                Some(sign) => self.note(sign),
                None if Instant::now() >= deadline
                    && self.syncs == Syncs::Unknown
                    && !self.is_unreachable
                    && refused == 0 =>
                {
                    self.syncs = Syncs::Unanswered;
                    if is_lossy {
                        let text = "the server does not answer; whether datagrams arrive is not known";
                        // A server that has sent something may be one that answers no such question.
                        self.has_failed |= self.is_silent;
                        self.show(&Shown::Warning(text.to_owned()))?;
                    }
                    return Ok(Outcome::Over);
                }
                None if Instant::now() >= deadline => return Err(ChatError::Unconfirmed),
                None => {
                    last = self.ask_for_sync(told)?.unwrap_or(last);
                    again_at = is_lossy.then(|| Instant::now() + DATAGRAM_AGAIN_AFTER);
                }
            }
        }
    }

    /// If the sync was lost, the message's fate is unknown. It is not resent, because it may have arrived.
    fn judge_datagram(&mut self, has_arrived: bool) -> Result<Outcome, ChatError> {
        if !has_arrived {
            self.complain("a message may be lost: the server did not confirm that it came".to_owned())?;
        }
        Ok(Outcome::Over)
    }

    fn ask_for_sync(&mut self, told: &Receiver<Happened>) -> Result<Option<u64>, ChatError> {
        match self.mouth.sync() {
            Ok(number) => Ok(number),
            Err(error) => self.sent(Err(error), told).map(|()| None),
        }
    }

    /// The next sign, or nothing until a moment. A user who wants to go waits a little for what is on its
    /// way; one who wants to go twice wants to go now.
    fn next_sign(&mut self, told: &Receiver<Happened>, until: Instant) -> Result<Option<Sign>, ChatError> {
        loop {
            let until = self.leave_by.map_or(until, |leave_by| leave_by.min(until));
            match told.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Happened::Heard(sign)) => return Ok(Some(sign)),
                Ok(Happened::Ended(error)) => return Err(self.ended(&error)),
                Ok(Happened::Failed(error)) => return Err(error),
                // Nobody is asked for a line meanwhile.
                Ok(Happened::Typed(_) | Happened::Unsayable(_) | Happened::Left) => self.line_ended(),
                Ok(Happened::Signalled) if self.leave_by.is_none() => {
                    self.leave_by = Some(Instant::now() + FAREWELL_WITHIN);
                }
                Ok(Happened::Signalled) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(ChatError::Unconfirmed);
                }
                Err(RecvTimeoutError::Timeout) if self.leave_by.is_some() => {
                    return Err(ChatError::Unconfirmed);
                }
                Err(RecvTimeoutError::Timeout) => return Ok(None),
            }
        }
    }

    /// Looks at what came of sending. If the server is gone, it may have said why.
    fn sent(&mut self, result: Result<(), ClientError>, told: &Receiver<Happened>) -> Result<(), ChatError> {
        self.sent_at = Instant::now();
        let Err(error) = result else { return Ok(()) };
        self.show_the_rest();
        let mut shown = self.progress.shown();
        loop {
            match told.recv_timeout(FAREWELL_WITHIN) {
                Ok(Happened::Heard(sign)) => self.note(sign),
                Ok(Happened::Typed(_) | Happened::Unsayable(_) | Happened::Left) => self.line_ended(),
                Ok(Happened::Ended(error @ ClientError::Stranger(_))) => return Err(self.ended(&error)),
                // The ear is still showing earlier messages.
                Err(RecvTimeoutError::Timeout)
                    if self.progress.is_showing() || self.progress.shown() != shown =>
                {
                    shown = self.progress.shown();
                }
                Ok(Happened::Ended(_) | Happened::Failed(_) | Happened::Signalled) | Err(_) => break,
            }
        }
        Err(self.ended(&error))
    }

    fn leave(&mut self, told: &Receiver<Happened>) -> Result<(), ChatError> {
        self.show_the_rest();
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
                    let (is_it, is_refused) =
                        (sign == Sign::Done && awaited == Awaited::Done, sign == Sign::TooFast);
                    self.note(sign);
                    if is_it {
                        return Ok(());
                    }
                    if is_refused && awaited == Awaited::Done {
                        // The question whether the server has everything came too fast itself.
                        self.rest(REST_MIN, told)?;
                        self.mouth
                            .leave()
                            .or_else(|error| self.sent(Err(error), told).map(|()| Farewell::Done))?;
                    }
                }
                Ok(Happened::Ended(error @ ClientError::Closed)) if awaited == Awaited::End => {
                    return self.contact.stranger(&error).map_or(Ok(()), Err);
                }
                Ok(Happened::Ended(error)) => return Err(self.ended(&error)),
                Ok(Happened::Failed(error)) => return Err(error),
                // Nobody is asked for a line meanwhile, and who wants to go twice wants to go now.
                Ok(Happened::Typed(_) | Happened::Unsayable(_) | Happened::Left) => self.line_ended(),
                Ok(Happened::Signalled) | Err(_) => return Err(ChatError::Unconfirmed),
            }
        }
    }

    fn note(&mut self, sign: Sign) {
        match sign {
            Sign::Done => {}
            Sign::TooFast | Sign::Synced(_) => self.owed = self.owed.saturating_sub(1),
            Sign::Unreachable => self.is_unreachable = true,
            Sign::Silent => self.is_silent = true,
            Sign::Reached => self.is_silent = false,
            Sign::Failed => self.has_failed = true,
            Sign::Ending(reason) => self.ending = Some(reason),
        }
    }

    fn ended(&mut self, error: &ClientError) -> ChatError {
        if let Some(reason) = self.ending.take() {
            return ChatError::Ended(reason);
        }
        self.contact.stranger(error).unwrap_or_else(|| ChatError::Ended(error.to_string()))
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

/// The command in a line, and what stands behind it. What starts with `//` is a text.
fn command_of(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix('/').filter(|rest| !rest.starts_with('/'))?;
    let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    Some((word, rest.trim()))
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), ChatError> {
    // It ends with the program, or is of no use without the others.
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map(drop).map_err(ChatError::System)
}

/// The ear's progress: the last message that it has started to show, and the last that it has shown.
#[derive(Clone, Default)]
struct Progress(Arc<(AtomicU64, AtomicU64)>);

impl Progress {
    fn shown(&self) -> u64 {
        self.0.1.load(Ordering::SeqCst)
    }

    fn is_showing(&self) -> bool {
        self.0.0.load(Ordering::SeqCst) != self.shown()
    }

    fn during<T>(&self, show: impl FnOnce() -> T) -> T {
        self.0.0.fetch_add(1, Ordering::SeqCst);
        let result = show();
        self.0.1.fetch_add(1, Ordering::SeqCst);
        result
    }
}

/// The output of the ear.
struct Screen {
    above: Option<Above>,
    style: Style,
    is_careful: bool,
    /// Whether there is a reader.
    is_shown: bool,
    progress: Progress,
}

impl Screen {
    /// Shows a message. In a pipe, a closed output ends only the showing: the remaining input is still said.
    fn show(&mut self, shown: &Shown) -> Result<(), ChatError> {
        if !self.is_shown && !matches!(shown, Shown::Problem(_) | Shown::Warning(_)) {
            return Ok(());
        }
        let Self { above, style, .. } = self;
        let result = self.progress.during(|| match above {
            Some(above) => above.print(style.render(shown)),
            None => style.print(shown, false).map_err(ChatError::Output),
        });
        match result {
            Err(error) if self.is_careful && error.is_wanted() => {
                self.is_shown = false;
                Ok(())
            }
            result => result,
        }
    }
}

/// Shows the received events and reports their signs until the connection ends. On return all received events
/// are shown.
fn listen(mut ear: Box<dyn Ear>, mut screen: Screen, tell: &Sender<Happened>) {
    loop {
        let Heard { shown, sign } = match ear.hear(Instant::now() + LISTEN_FOR) {
            Ok(heard) => heard,
            Err(ClientError::Deadline) => continue,
            Err(error) => {
                let _ = tell.send(Happened::Ended(error));
                return;
            }
        };
        if let Err(error) = shown.iter().try_for_each(|shown| screen.show(shown)) {
            let _ = tell.send(Happened::Failed(error));
            return;
        }
        if let Some(sign) = sign
            && tell.send(Happened::Heard(sign)).is_err()
        {
            return;
        }
    }
}
