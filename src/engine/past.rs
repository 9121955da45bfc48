//! The past of a room: the newest of what was said there is in memory ([`History`](super::history::History)), the rest in
//! the store. Looking it up there is a task for somebody else, and whoever asked waits meanwhile.
//!
//! Few tasks are handed out at a time; the others wait here, where the networks that they came from take
//! turns.
//!
//! A task is done behind all ops that were taken before it, so that it finds what was said until it was handed out.

use super::answers::Question;
use super::history::Entry;
use super::room::Room;
use super::{Awaited, Engine};
use crate::chat::{
    ConnId, Event, Now, OpId, Page, Problem, RoomId, RoomMessage, RoomName, UnixMillis, Usage,
};
use crate::limits::{
    HISTORY_ANSWER_BYTES_MAX, HISTORY_AT_WORK_MAX, HISTORY_COUNT_DEFAULT, HISTORY_COUNT_MAX,
    HISTORY_ON_JOIN_MAX, HISTORY_TASKS_MAX,
};
use crate::state::has_place;

const SECONDS_PER_DAY: u64 = 86_400;

/// Why a connection has a room's past looked up.
#[derive(Clone, Debug)]
pub(super) enum Past {
    /// To be shown a page of the room that it is in.
    Show {
        /// The room.
        room: RoomId,
        page: Page,
        /// The number of messages.
        count: usize,
    },
    /// To enter the room, and be shown the last of it.
    Join {
        /// The room.
        name: RoomName,
        /// [`Engine::rooms_closed`] when it was asked for: what was said in a room that was closed meanwhile is not for the
        /// next one of its name.
        rooms_closed: u64,
    },
}

/// A page of a room's history, to be looked up off the loop; answer with [`Engine::past_read`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PastTask {
    /// Who waits.
    pub conn: ConnId,
    /// Which of the connection's tasks it is.
    pub serial: u32,
    /// The room.
    pub room: Box<str>,
    /// The page.
    pub page: Page,
    /// The number of messages.
    pub count: usize,
}

/// The page that a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    Page(Page),
    /// The messages before those that it was shown last.
    Older,
}

/// Parses the argument of `/history`: `[n]`, `before [n]`, or `before|after|around <id> [n]`.
fn asked(text: &str) -> Option<(Asked, usize)> {
    let mut words = text.split_whitespace().peekable();
    let page: Option<fn(OpId) -> Page> = match words.peek() {
        Some(&"before") => Some(Page::Before),
        Some(&"after") => Some(Page::After),
        Some(&"around") => Some(Page::Around),
        _ => None,
    };
    let asked = match page {
        None => Asked::Page(Page::Newest),
        Some(page) => {
            let is_before = words.next() == Some("before");
            match words.peek().and_then(|word| OpId::parse(word)) {
                Some(id) => {
                    words.next();
                    Asked::Page(page(id))
                }
                None if is_before => Asked::Older,
                None => return None,
            }
        }
    };
    let count = words.next().map_or(Ok(HISTORY_COUNT_DEFAULT), str::parse).ok()?;
    words.next().is_none().then_some((asked, count))
}

/// The day of the message that was shown last. Its reader takes a message without a day for one of today.
struct Day(u64);

impl Day {
    fn of(at: UnixMillis) -> Self {
        Self(at.seconds().0 / SECONDS_PER_DAY)
    }

    /// Answers with the day of what is shown next, if it is another one.
    fn go_to(&mut self, at: UnixMillis, answer: &mut dyn FnMut(&Event<'_>) -> bool) {
        let day = Self::of(at);
        if day.0 != self.0 {
            answer(&Event::Day(at.seconds()));
            *self = day;
        }
    }
}

impl Engine {
    pub(super) fn ask_for_history(&mut self, id: ConnId, text: &str) {
        match asked(text) {
            Some((asked, count)) => self.ask(id, Question::History(asked, count)),
            None => self.reply(id, &Event::Error(Problem::Usage(Usage::History))),
        }
    }

    pub(super) fn show_history(&mut self, id: ConnId, asked: Asked, count: usize) {
        let conn = self.conn(id);
        let Some(at) = conn.membership else { return };
        let shown =
            conn.more.as_ref().and_then(|more| more.oldest_shown).filter(|(room, _)| *room == at.room);
        let page = match (asked, shown) {
            (Asked::Page(page), _) => page,
            (Asked::Older, Some((_, oldest))) => Page::Before(oldest),
            (Asked::Older, None) => Page::Newest,
        };
        let room = self.room(at.room);
        let kept = usize::try_from(room.rule.keep_messages).unwrap_or(usize::MAX);
        let count = count.min(HISTORY_COUNT_MAX).min(kept);
        if page == Page::Newest && self.has_past(room, count) {
            return self.show_past(id, at.room, count, Day::of(self.now.unix));
        }
        if !self.settings.journal || self.journal.is_failing {
            return self.reply(id, &Event::Error(Problem::NotKept));
        }
        let name = room.name.clone();
        self.look_up(id, &name, page, count, Past::Show { room: at.room, page, count });
    }

    /// Notes the oldest message of a room that a connection was shown.
    fn note_oldest_shown(&mut self, id: ConnId, room: RoomId, oldest: Option<OpId>) {
        if let Some(oldest) = oldest {
            self.more_mut(id).oldest_shown = Some((room, oldest));
        }
    }

    /// Whether so many messages are in memory, or as many as there are.
    fn has_past(&self, room: &Room, count: usize) -> bool {
        !self.settings.journal || self.journal.is_failing || room.history.len() >= count
    }

    /// Shows a connection the newest messages of a room that are in memory. `day`: of the message before.
    fn show_past(&mut self, id: ConnId, room: RoomId, count: usize, mut day: Day) {
        let oldest = self.room(room).history.last(count).next().map(|entry| entry.id);
        self.note_oldest_shown(id, room, oldest);
        self.reply_with(id, |engine, answer| {
            let room = engine.room(room);
            let oldest = room.rule.oldest_kept(engine.now.unix);
            for Entry { at, sender, text, .. } in room.history.last(count) {
                if at >= oldest {
                    day.go_to(at, answer);
                    answer(&Event::Past { sender, text, at: at.seconds() });
                }
            }
            day.go_to(engine.now.unix, answer);
        });
    }

    /// Shows somebody who came into a room the last of what was said there.
    pub(super) fn show_arrival(&mut self, id: ConnId, room: RoomId) {
        let count = self.room(room).rule.on_join;
        let behind = self.conn_mut(id).more.as_mut().and_then(|more| more.heard_behind.take());
        // Older messages would stand behind newer ones.
        let newest = self.room(room).history.last(1).next().map(|entry| entry.id);
        let has_heard = behind.is_some_and(|behind| newest.is_some_and(|newest| newest > behind));
        if count > 0 && !has_heard {
            self.show_past(id, room, count as usize, Day::of(self.now.unix));
        }
    }

    /// Notes from which message on a connection without a name hears the lobby.
    pub(super) fn note_heard_behind(&mut self, id: ConnId) {
        let lobby = self.room(RoomId::LOBBY);
        if lobby.rule.on_join > 0 {
            let newest = lobby.history.last(1).next().map(|entry| entry.id);
            self.more_mut(id).heard_behind = Some(newest.unwrap_or(OpId::from_bytes([0; 16])));
        }
    }

    /// Whether somebody who enters a room has to wait until its past has been looked up.
    pub(super) fn must_look_up(&self, name: &RoomName) -> Option<usize> {
        let count = self.history_rules.of(name.as_str()).on_join as usize;
        let there = self.rooms_by_name.get(name).map(|&id| self.room(id));
        let has = there.is_some_and(|room| room.history.is_filled || self.has_past(room, count));
        (self.settings.journal && count > 0 && !has).then_some(HISTORY_ON_JOIN_MAX as usize)
    }

    /// Has messages looked up; whoever asked waits.
    pub(super) fn look_up(&mut self, id: ConnId, room: &RoomName, page: Page, count: usize, past: Past) {
        let network = self.conn(id).network;
        let (taken, own) = (self.past_tasks.len() + self.journal.look_ups, self.past_tasks.len_of(network));
        if !has_place(taken, own, HISTORY_TASKS_MAX) {
            return self.reply(id, &Event::Error(Problem::Busy));
        }
        let serial = self.await_something(id, Awaited::Past(past));
        self.past_tasks.push(network, PastTask { conn: id, serial, room: room.as_str().into(), page, count });
    }

    /// The next messages to be looked up, behind the ops that were [taken](Engine::take_ops) before, as long
    /// as few are.
    pub fn next_past_task(&mut self) -> Option<PastTask> {
        if self.journal.look_ups >= HISTORY_AT_WORK_MAX {
            return None;
        }
        let task = self.past_tasks.pop()?;
        self.journal.look_up_begins(self.now.monotonic);
        Some(task)
    }

    /// What came of a [`PastTask`]: the messages, oldest first, or nothing if the store could not say. Who asked may be gone.
    pub fn past_read(&mut self, id: ConnId, serial: u32, messages: Option<&[RoomMessage]>, now: Now) {
        self.now = now;
        self.journal.look_up_ends(now.monotonic, messages.is_some());
        self.past_is_known(id, serial, messages);
    }

    fn past_is_known(&mut self, id: ConnId, serial: u32, messages: Option<&[RoomMessage]>) {
        let Some(Awaited::Past(past)) = self.take_awaited(id, serial) else { return };
        match (past, messages) {
            (Past::Show { page, .. }, Some([])) if page != Page::Newest => {
                self.reply(id, &Event::Error(Problem::NoMessages));
            }
            (Past::Show { room, page, count }, Some(messages)) => {
                let before = self.fanouts.all_turn_bytes();
                self.show_messages(id, room, page, count, messages);
                self.charge_answers(before);
            }
            (Past::Show { .. }, None) => self.reply(id, &Event::Error(Problem::NotKept)),
            // A room can be entered without its past.
            (Past::Join { name, rooms_closed }, messages) => {
                let is_stale = self.was_closed_since(&name, rooms_closed);
                self.enter_named(id, name, messages.filter(|_| !is_stale));
            }
        }
    }

    /// Shows a page of the store; behind the newest one, the messages that the store does not have yet, or
    /// could not keep.
    fn show_messages(
        &mut self,
        id: ConnId,
        room: RoomId,
        page: Page,
        count: usize,
        messages: &[RoomMessage],
    ) {
        let is_there = self.conn(id).membership.is_some_and(|at| at.room == room);
        let last = messages.last().map(|message| message.id);
        let newer = if is_there && page == Page::Newest {
            let entries = self.room(room).history.last(count);
            entries.filter(|entry| last.is_none_or(|last| entry.id > last)).count()
        } else {
            0
        };
        let messages = &messages[messages.len() - messages.len().min(count - newer.min(count))..];
        let mut bytes = 0;
        let fits = |message: &&RoomMessage| {
            bytes += message.sender.len() + message.text.len();
            bytes <= HISTORY_ANSWER_BYTES_MAX
        };
        let messages = if matches!(page, Page::After(_)) {
            &messages[..messages.iter().take_while(fits).count()]
        } else {
            &messages[messages.len() - messages.iter().rev().take_while(fits).count()..]
        };
        let mut day = Day::of(self.now.unix);
        self.reply_with(id, |_, answer| {
            for RoomMessage { at, sender, text, .. } in messages {
                day.go_to(*at, answer);
                answer(&Event::Past { sender, text, at: at.seconds() });
            }
        });
        self.show_past(id, room, newer, day);
        self.note_oldest_shown(id, room, messages.first().map(|message| message.id));
    }

    /// Tells whoever waits for a room's past that it cannot be looked up.
    pub(super) fn refuse_pasts(&mut self) {
        self.past_tasks.clear();
        let waits = |id: ConnId| {
            let (serial, awaited) = self.conn(id).more.as_ref()?.awaited.as_ref()?;
            matches!(awaited, Awaited::Past(_)).then_some((id, *serial))
        };
        let waiting: Vec<_> = self.connections().filter_map(waits).collect();
        for (id, serial) in waiting {
            // Should it be looked up all the same, it comes too late.
            self.past_is_known(id, serial, None);
        }
    }
}
