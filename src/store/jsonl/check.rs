//! Looking at every line of a log.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::EMPTY;
use super::contents::{Contents, People, Place};
use super::entry::{self, Entry, Wrong};
use super::line::Line;
use super::replay;
use super::scan::{Lines, Raw};
use super::tally::Tally;
use crate::chat::{Change, Kept, Op, OpId, Token};
use crate::state::State;
use crate::store::StoreError;
use crate::store::disk::DiskFile;

/// Findings beyond which they are only counted: nobody reads more.
const FINDINGS_MAX: usize = 1000;

/// The result of a kill or a power loss during a write, which was not acknowledged.
const TORN: &str = "it was not written to its end; the next start of a server sets it aside and cuts it off";

/// All of it, and what a server knows of it.
struct Both(Tally, State);

impl People for Both {
    fn nobody() -> Self {
        Self(Tally::nobody(), State::nobody())
    }

    fn apply(&mut self, op: &Op, bytes: u32) {
        self.0.apply(op, bytes);
        self.1.apply(op);
    }

    fn restore(&mut self, kept: &Kept, bytes: u32) {
        self.0.restore(kept, bytes);
        self.1.restore(kept);
    }
}

/// What the lines so far were about, whether it is there still or not.
struct Seen {
    letters: HashSet<OpId, ahash::RandomState>,
    tokens: HashSet<Token, ahash::RandomState>,
}

/// The problems in the first `length` bytes of a log, a line each. `known`: the store's view of its contents.
/// `is_being_written`: a server has it open and may have written half of its last line.
pub(super) fn check(
    path: &Path,
    file: &Arc<dyn DiskFile>,
    length: u64,
    known: Option<&Contents>,
    is_being_written: &dyn Fn() -> bool,
) -> Result<Vec<String>, StoreError> {
    let mut lines = Lines::new(Arc::clone(file), 0, length);
    let mut contents = Contents::<Both>::new();
    let mut seen = Seen { letters: HashSet::default(), tokens: HashSet::default() };
    let mut findings = Vec::new();
    let mut more = 0_u64;
    if length == 0 {
        findings.push(format!("{}: {EMPTY}", path.display()));
    }
    while let Some(raw) = lines.next().map_err(StoreError::io(path))? {
        let Some(what) = look(&raw, &mut contents, &mut seen, is_being_written) else { continue };
        if findings.len() < FINDINGS_MAX {
            findings.push(format!("{}:{}: {what}", path.display(), raw.number));
        } else {
            more += 1;
        }
    }
    if more > 0 {
        findings.push(format!("{}: and {more} lines more", path.display()));
    }
    if findings.is_empty() {
        let Both(tally, state) = &contents.people;
        let mut counts = [0; 3];
        state.visit(&mut |kept| match kept {
            Kept::Account { .. } => counts[0] += 1,
            Kept::Letter(_) => counts[1] += 1,
            Kept::Seat { .. } => counts[2] += 1,
        });
        let rooms = known.map_or(&contents.rooms, |known| &known.rooms);
        let tally = known.map_or(tally, |known| &known.people);
        if *rooms != contents.rooms || tally.counts() != counts {
            let (path, found) = (path.display(), tally.counts());
            findings.push(format!(
                "{path}: the log has {counts:?} accounts, letters and seats, and {found:?} are known, \
                 or other messages in rooms"
            ));
        }
    }
    Ok(findings)
}

/// What is wrong with a line.
fn look(
    raw: &Raw<'_>,
    contents: &mut Contents<Both>,
    seen: &mut Seen,
    is_being_written: &dyn Fn() -> bool,
) -> Option<String> {
    if !raw.is_ended {
        return match raw.number {
            1 if replay::may_be_torn_format(raw) => None,
            1 => Some(replay::no_format().what()),
            _ if is_being_written() => None,
            _ => Some(TORN.to_owned()),
        };
    }
    let mut looked = || {
        let line = entry::parse(raw.bytes.ok_or_else(replay::too_long)?)?;
        let entry = Entry::of(&line, raw.number)?;
        let is_at_its_time = is_at_its_time(&line);
        let refers = seen.refers(&entry);
        contents.take(entry, Place { offset: raw.offset, bytes: raw.length as u32 })?;
        Ok::<_, Wrong>((refers, is_at_its_time))
    };
    match looked() {
        Err(wrong) => Some(wrong.what()),
        Ok((Err(what), _)) => Some(what),
        Ok((Ok(()), false)) => Some("the time is after that of the id".to_owned()),
        Ok((Ok(()), true)) => None,
    }
}

/// Whether its time is that of its id, or before that, as it is where the clock had gone back.
fn is_at_its_time(line: &Line<'_>) -> bool {
    let id = line.id.as_deref().and_then(OpId::parse);
    let at = line.timestamp.as_ref().map(super::line::Timestamp::millis);
    id.zip(at).is_none_or(|(id, at)| at.is_some_and(|at| at.0 <= id.at().0 + 1))
}

impl Seen {
    /// Whether what an entry is about was ever there. What was there and is not any more is no finding.
    fn refers(&mut self, entry: &Entry<'_>) -> Result<(), String> {
        match entry {
            Entry::Op(op) => match &op.change {
                Change::MailSent { .. } => self.letter(op.id),
                Change::MailRead { messages, .. } => {
                    let is_there = messages.iter().any(|message| self.letters.contains(message));
                    return is_there.then_some(()).ok_or_else(|| "reads what was never there".to_owned());
                }
                Change::ConversationCleared { messages, .. } => {
                    let is_there = messages.iter().any(|message| self.letters.contains(message));
                    return is_there.then_some(()).ok_or_else(|| "clears what was never there".to_owned());
                }
                Change::MailDeleted { message, .. } if !self.letters.contains(message) => {
                    return Err(format!("deletes {message}, which was never there"));
                }
                Change::RoomMade { host: seat, .. } | Change::SeatTaken { seat, .. } => {
                    self.tokens.insert(seat.token);
                }
                Change::SeatLeft { token } if !self.tokens.contains(token) => {
                    return Err("gives up a seat that was never there".to_owned());
                }
                Change::AccountCreated { .. }
                | Change::AccountUsed { .. }
                | Change::PasswordChanged { .. }
                | Change::AccountDeleted { .. }
                | Change::MailDeleted { .. }
                | Change::Said { .. }
                | Change::SeatLeft { .. }
                | Change::RoomClosed { .. } => {}
            },
            Entry::SentAndRead(op) => self.letter(op.id),
            Entry::Kept(Kept::Letter(letter)) => self.letter(letter.id),
            Entry::Kept(Kept::Seat { seat, .. }) => {
                self.tokens.insert(seat.token);
            }
            Entry::Kept(Kept::Account { .. })
            | Entry::Format { .. }
            | Entry::Said { .. }
            | Entry::Forget { .. }
            | Entry::Nothing(_) => {}
        }
        Ok(())
    }

    fn letter(&mut self, id: OpId) {
        self.letters.insert(id);
    }
}
