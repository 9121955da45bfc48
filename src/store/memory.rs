//! A store that is gone with its process: for tests, and for servers that are to keep nothing on disk.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use super::words::Words;
use super::{Reader, Sizes, Store, StoreError};
use crate::chat::{
    Change, HistoryRules, Kept, Op, OpId, Page, RoomMessage, RoomSummary, UnixMillis, too_old,
};
use crate::state::State;

/// See the module's documentation.
#[derive(Debug)]
pub struct MemoryStore {
    state: State,
    /// None is empty.
    rooms: BTreeMap<Box<str>, VecDeque<RoomMessage>>,
    /// Bytes of names and texts in rooms.
    bytes: u64,
}

/// Messages forgotten in one step.
const FORGOTTEN_PER_STEP_MAX: usize = 10_000;

impl MemoryStore {
    /// An empty one.
    pub fn new() -> Self {
        Self { state: State::new(0), rooms: BTreeMap::new(), bytes: 0 }
    }

    /// A second message of the same id is none: a group of ops that was committed may come again.
    fn say(&mut self, id: OpId, at: UnixMillis, room: &str, sender: &str, text: &str) {
        let newest_first = self.rooms.get(room).into_iter().flat_map(|messages| messages.iter().rev());
        if newest_first.map(|message| message.id).take_while(|&there| there >= id).any(|there| there == id) {
            return;
        }
        let message = RoomMessage { id, at, sequence: 1, sender: sender.into(), text: text.into() };
        self.bytes += size(&message);
        match self.rooms.get_mut(room) {
            Some(messages) => {
                let sequence = messages.back().map_or(1, |last| last.sequence + 1);
                messages.push_back(RoomMessage { sequence, ..message });
            }
            None => {
                self.rooms.insert(room.into(), VecDeque::from([message]));
            }
        }
    }

    /// A room is closed: see [`Change::RoomClosed`].
    fn close(&mut self, room: &str, made: Option<OpId>) {
        let Some(messages) = self.rooms.get_mut(room) else { return };
        let is_older = |message: &RoomMessage| made.is_some_and(|made| message.id < made);
        let has_older = messages.front().is_some_and(is_older);
        let kept = if has_older { messages.iter().rposition(is_older).map_or(0, |last| last + 1) } else { 0 };
        self.bytes -= messages.drain(kept..).map(|message| size(&message)).sum::<u64>();
        if messages.is_empty() {
            self.rooms.remove(room);
        }
    }
}

fn size(message: &RoomMessage) -> u64 {
    (size_of::<RoomMessage>() + message.sender.len() + message.text.len()) as u64
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader for MemoryStore {
    fn load(&mut self, visit: &mut dyn FnMut(Kept)) -> Result<Option<OpId>, StoreError> {
        self.state.visit(visit);
        Ok(self.state.last)
    }

    fn rooms(&mut self, visit: &mut dyn FnMut(RoomSummary)) -> Result<(), StoreError> {
        for (room, messages) in &self.rooms {
            if let (Some(first), Some(last)) = (messages.front(), messages.back()) {
                visit(RoomSummary { room: room.clone(), first: first.sequence, last: last.sequence });
            }
        }
        Ok(())
    }

    fn page(&mut self, room: &str, page: Page, count: usize) -> Result<Vec<RoomMessage>, StoreError> {
        let Some(messages) = self.rooms.get(room) else { return Ok(Vec::new()) };
        let position = |id| messages.iter().position(|message| message.id == id);
        Ok(messages.range(page.range(messages.len(), count, position)).cloned().collect())
    }

    fn search(&mut self, text: &str, count: usize) -> Result<Vec<(Box<str>, RoomMessage)>, StoreError> {
        let words = Words::of(text)?;
        let mut found = Vec::new();
        for (room, messages) in &self.rooms {
            let matching = messages.iter().rev().filter(|message| words.are_in(&message.text));
            found.extend(matching.take(count).map(|message| (room.clone(), message.clone())));
        }
        found.sort_unstable_by_key(|(_, message)| std::cmp::Reverse(message.id));
        found.truncate(count);
        Ok(found)
    }

    fn check(&mut self) -> Result<Vec<String>, StoreError> {
        self.state.ledger.check_invariants();
        Ok(Vec::new())
    }

    fn sizes(&mut self) -> Result<Sizes, StoreError> {
        let mut sizes = Sizes { bytes: self.bytes, ..Sizes::default() };
        self.state.visit(&mut |kept| match kept {
            Kept::Account { .. } => sizes.accounts += 1,
            Kept::Letter(letter) => {
                sizes.letters += 1;
                sizes.bytes += letter.content.len() as u64;
            }
            Kept::Seat { .. } => sizes.seats += 1,
        });
        sizes.room_messages = self.rooms.values().map(|messages| messages.len() as u64).sum();
        Ok(sizes)
    }

    fn backup(&mut self, _to: &Path) -> Result<(), StoreError> {
        Err(StoreError::Unsupported("a store in memory has no copy on disk"))
    }
}

impl Store for MemoryStore {
    fn commit(&mut self, ops: &[Op]) -> Result<(), StoreError> {
        for op in ops {
            self.state.apply(op);
            match &op.change {
                Change::Said { room, sender, text } => self.say(op.id, op.at, room, sender, text),
                Change::RoomClosed { room, made } => self.close(room, *made),
                Change::AccountCreated { .. }
                | Change::AccountUsed { .. }
                | Change::PasswordChanged { .. }
                | Change::AccountDeleted { .. }
                | Change::MailSent { .. }
                | Change::MailRead { .. }
                | Change::MailDeleted { .. }
                | Change::ConversationCleared { .. }
                | Change::RoomMade { .. }
                | Change::SeatTaken { .. }
                | Change::SeatLeft { .. } => {}
            }
        }
        Ok(())
    }

    fn tidy(&mut self, rules: &HistoryRules, now: UnixMillis) -> Result<bool, StoreError> {
        let mut budget = FORGOTTEN_PER_STEP_MAX;
        let Self { rooms, bytes, .. } = self;
        rooms.retain(|room, messages| {
            let rule = rules.of(room);
            let too_many = (messages.len() as u64).saturating_sub(rule.keep_messages) as usize;
            let rest = messages.iter().skip(too_many).take(budget);
            let too_old = too_old(rest.map(|message| message.at), rule.oldest_kept(now), now);
            let count = (too_many + too_old).min(budget);
            budget -= count;
            *bytes -= messages.drain(..count).map(|message| size(&message)).sum::<u64>();
            !messages.is_empty()
        });
        Ok(budget == 0)
    }

    fn compact(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
