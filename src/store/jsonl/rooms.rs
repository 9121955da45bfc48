//! Where in a log the messages of the rooms are.
//!
//! Of each message there is its id and where its line begins: 24 bytes, and up to as much again where a room's queue has
//! just grown. Never its text.

use std::collections::{BTreeMap, VecDeque};

use super::contents::Place;
use crate::chat::{OpId, RoomSummary, UnixMillis};

/// The rooms of which messages are kept.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Rooms {
    /// None is empty.
    by_name: BTreeMap<Box<str>, Room>,
    /// Messages in all of them.
    pub(super) messages: u64,
    /// Bytes of their lines; of single ones only the average is known.
    pub(super) bytes: u64,
}

/// The messages of a room that are kept: numbered without holes.
#[derive(Debug, PartialEq)]
pub(super) struct Room {
    /// The times of messages that are not those in their ids: of hardly any, unless the clock was ahead.
    times: BTreeMap<OpId, UnixMillis>,
    /// The number of the first.
    pub(super) first: u64,
    /// In the order in which they were said.
    pub(super) messages: VecDeque<Said>,
    /// Whether their ids rise, as they do unless somebody else wrote them.
    is_sorted: bool,
    /// The highest id that was ever said, so that one above it needs no search.
    newest: OpId,
    bytes: u64,
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) id: OpId,
    /// Where its line begins.
    pub(super) offset: u64,
}

impl Room {
    /// When a message was said.
    pub(super) fn at(&self, id: OpId) -> UnixMillis {
        self.times.get(&id).copied().unwrap_or(id.at())
    }

    /// Where a message stands among those that are there.
    pub(super) fn position(&self, id: OpId) -> Option<usize> {
        if self.is_sorted {
            self.messages.binary_search_by_key(&id, |said| said.id).ok()
        } else {
            self.messages.iter().position(|said| said.id == id)
        }
    }

    /// The number after that of the last.
    pub(super) fn next(&self) -> u64 {
        self.first + self.messages.len() as u64
    }
}

impl Rooms {
    /// A message was said. One of an id that is there already is none. The error: it says that it has a number which it
    /// cannot have.
    pub(super) fn say(
        &mut self,
        room: &str,
        (id, at): (OpId, UnixMillis),
        sequence: Option<u64>,
        place: Place,
    ) -> Result<(), String> {
        let bytes = u64::from(place.bytes);
        let said = Said { id, offset: place.offset };
        let time = (at != id.at()).then_some((id, at));
        if let Some(room) = self.by_name.get_mut(room) {
            // The last one is not the newest where somebody else wrote them.
            let is_newest = room.newest < id;
            if !is_newest && room.position(id).is_some() {
                return Ok(());
            }
            if let Some(sequence) = sequence
                && sequence != room.next()
            {
                return Err(format!("it has the number {sequence}, where {} is next", room.next()));
            }
            room.is_sorted &= is_newest;
            room.newest = room.newest.max(id);
            room.messages.push_back(said);
            room.bytes += bytes;
            room.times.extend(time);
        } else {
            let first = sequence.unwrap_or(1);
            if first == 0 || first > u64::MAX / 2 {
                return Err(format!("no message has the number {first}"));
            }
            let messages = VecDeque::from([said]);
            let times = time.into_iter().collect();
            let room_there = Room { times, first, messages, is_sorted: true, newest: id, bytes };
            self.by_name.insert(room.into(), room_there);
        }
        self.messages += 1;
        self.bytes += bytes;
        Ok(())
    }

    /// Forgets the messages of a room before a number.
    pub(super) fn forget(&mut self, name: &str, before: u64) {
        let Some(room) = self.by_name.get_mut(name) else { return };
        let count = before.saturating_sub(room.first).min(room.messages.len() as u64);
        let left = room.messages.len() as u64 - count;
        if left == 0 {
            return self.remove(name);
        }
        // How long each was is not known: they count as the average.
        let average = room.bytes / room.messages.len() as u64;
        for said in room.messages.drain(..count as usize) {
            if !room.times.is_empty() {
                room.times.remove(&said.id);
            }
        }
        if room.messages.len() < room.messages.capacity() / 4 {
            room.messages.shrink_to_fit();
        }
        room.first += count;
        room.bytes -= average * count;
        self.messages -= count;
        self.bytes -= average * count;
    }

    /// A room is closed: see [`Change::RoomClosed`](crate::chat::Change::RoomClosed).
    pub(super) fn close(&mut self, name: &str, made: Option<OpId>) {
        let Some(room) = self.by_name.get_mut(name) else { return };
        let is_older = |said: &Said| made.is_some_and(|made| said.id < made);
        if !room.messages.front().is_some_and(is_older) {
            return self.remove(name);
        }
        let average = room.bytes / room.messages.len() as u64;
        let kept = room.messages.iter().rposition(is_older).map_or(0, |last| last + 1);
        let count = (room.messages.len() - kept) as u64;
        for said in room.messages.drain(kept..) {
            room.times.remove(&said.id);
        }
        room.bytes -= average * count;
        self.messages -= count;
        self.bytes -= average * count;
    }

    fn remove(&mut self, name: &str) {
        if let Some(room) = self.by_name.remove(name) {
            self.messages -= room.messages.len() as u64;
            self.bytes -= room.bytes;
        }
    }

    /// A room, unless nothing is kept of it.
    pub(super) fn find(&self, name: &str) -> Option<&Room> {
        self.by_name.get(name)
    }

    /// All rooms, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Room)> {
        self.by_name.iter().map(|(name, room)| (&**name, room))
    }

    /// The same, as a summary.
    pub(super) fn summaries(&self) -> impl Iterator<Item = RoomSummary> {
        self.by_name.iter().map(|(name, room)| RoomSummary {
            room: name.clone(),
            first: room.first,
            last: room.next() - 1,
        })
    }
}
