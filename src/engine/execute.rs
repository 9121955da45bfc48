//! Carries out commands: one function a command, each saying what happened as events.

use super::membership::Owed;
use super::{CloseReason, Engine, history};
use crate::chat::{
    Command, ConnId, Departure, Event, Folded, Name, NameError, Phase, Problem, RoomId, RoomName, Usage,
};
use crate::limits::{HISTORY_COUNT_DEFAULT, ROOMS_LISTED_MAX, ROOMS_MAX};

impl Engine {
    pub(super) fn execute(&mut self, id: ConnId, command: Command<'_>) {
        match (self.conn(id).phase, command) {
            (_, Command::Ping) => self.reply(id, &Event::Pong),
            (Phase::Chat, Command::Login { .. } | Command::Password(_)) => {
                self.reply(id, &Event::Error(Problem::AlreadyLoggedIn));
            }
            // No name has an account, so that no password is ever asked for or compared.
            (Phase::Login | Phase::Password, Command::Login { name, password: _ }) => self.login(id, name),
            (Phase::Login | Phase::Password, _) => self.reply(id, &Event::Error(Problem::MustLogin)),
            (Phase::Chat, command) => self.execute_in_chat(id, command),
        }
    }

    fn execute_in_chat(&mut self, id: ConnId, command: Command<'_>) {
        match command {
            Command::Say(text) => self.say(id, text),
            Command::Direct { to, text } => self.direct(id, to, text),
            Command::Rename(name) => self.rename(id, name),
            Command::Join(room) => self.join(id, room),
            Command::Leave => self.return_to_lobby(id),
            Command::Rooms => self.list_rooms(id),
            Command::Users => self.list_users(id),
            Command::History(count) => self.show_history(id, count),
            Command::Help => self.reply(id, &Event::Help),
            Command::Quit => {
                self.reply(id, &Event::Goodbye);
                self.close(id, CloseReason::Quit);
            }
            Command::Unknown(word) => self.reply(id, &Event::Error(Problem::UnknownCommand(word))),
            Command::Ping | Command::Login { .. } | Command::Password(_) => {
                unreachable!("`execute` took these out")
            }
        }
    }

    /// The name, if it is one that the connection's dialect allows and nobody else holds.
    fn free_name(&self, id: ConnId, text: &str) -> Result<(Name, Folded), Problem<'static>> {
        let checked = self.conn(id).dialect.check_name(text).and_then(|()| Name::parse(text));
        let (name, folded) = checked.map_err(|error: NameError| Problem::Name(error))?;
        match self.roster.holder(&folded) {
            Some(holder) if holder != id => Err(Problem::NameTaken),
            _ => Ok((name, folded)),
        }
    }

    fn login(&mut self, id: ConnId, text: &str) {
        let (name, folded) = match self.free_name(id, text) {
            Ok(free) => free,
            Err(problem) => return self.refuse_login(id, problem),
        };
        self.roster.hold(&folded, id);
        let conn = self.conn_mut(id);
        conn.name = Some(name);
        conn.phase = Phase::Chat;
        self.heard(id);
        self.enter_room(id, RoomId::LOBBY);
        self.reply(id, &Event::LoggedIn { name: name.as_str(), room: super::LOBBY });
        self.publish(RoomId::LOBBY, &Event::Joined(name.as_str()), None);
    }

    pub(super) fn refuse_login(&mut self, id: ConnId, problem: Problem<'_>) {
        self.reply(id, &Event::LoginRefused(problem));
        if self.conn(id).dialect.closes_on_refused_login() {
            self.close(id, CloseReason::LoginRefused);
        }
    }

    /// The name and the room of a connection that is logged in.
    fn seat(&self, id: ConnId) -> Option<(Name, RoomId)> {
        let conn = self.conn(id);
        Some((conn.name?, conn.membership?.room))
    }

    fn say(&mut self, id: ConnId, text: &str) {
        if text.is_empty() {
            return;
        }
        let Some((name, room)) = self.seat(id) else { return };
        let at = self.now.unix;
        let sender = name.as_str();
        self.metrics.messages += 1;
        self.room_mut(room).history.push(history::Entry { at, sender, text });
        let skipped_by = (!self.conn(id).dialect.echoes()).then_some(id);
        self.publish(room, &Event::Message { sender, text, at }, skipped_by);
    }

    fn direct(&mut self, id: ConnId, to: &str, text: &str) {
        if to.is_empty() || text.is_empty() {
            return self.reply(id, &Event::Error(Problem::Usage(Usage::Direct)));
        }
        let Some((name, _)) = self.seat(id) else { return };
        let holder = Name::parse(to).ok().and_then(|(_, folded)| self.roster.holder(&folded));
        let Some(recipient) = holder else {
            return self.reply(id, &Event::Error(Problem::UserNotFound(to)));
        };
        self.metrics.directs += 1;
        let recipient_name = self.conn(recipient).name;
        let at = self.now.unix;
        self.reply(recipient, &Event::Direct { sender: name.as_str(), text, at });
        let to = recipient_name.as_ref().map_or(to, Name::as_str);
        self.reply(id, &Event::DirectSent { to, text });
    }

    fn rename(&mut self, id: ConnId, text: &str) {
        if text.is_empty() {
            return self.reply(id, &Event::Error(Problem::Usage(Usage::Rename)));
        }
        let Some((old, room)) = self.seat(id) else { return };
        let (new, folded) = match self.free_name(id, text) {
            Ok(free) => free,
            Err(problem) => return self.reply(id, &Event::Error(problem)),
        };
        if let Ok((_, old_folded)) = Name::parse(old.as_str()) {
            self.roster.release(&old_folded);
        }
        self.roster.hold(&folded, id);
        self.conn_mut(id).name = Some(new);
        self.reply(id, &Event::YouRenamed(new.as_str()));
        self.publish(room, &Event::Renamed { old: old.as_str(), new: new.as_str() }, Some(id));
    }

    fn join(&mut self, id: ConnId, text: &str) {
        if text.is_empty() {
            return self.reply(id, &Event::Error(Problem::Usage(Usage::Join)));
        }
        let name = match RoomName::parse(text) {
            Ok(name) => name,
            Err(error) => return self.reply(id, &Event::Error(Problem::RoomName(error))),
        };
        let there = self.rooms_by_name.get(&name).copied();
        if there.is_some() && there == self.conn(id).membership.map(|at| at.room) {
            return self.reply(id, &Event::Error(Problem::AlreadyInRoom));
        }
        if there.is_none() && self.rooms.len() >= ROOMS_MAX {
            return self.reply(id, &Event::Error(Problem::TooManyRooms));
        }
        let to = there.unwrap_or_else(|| self.make_room(name));
        self.move_to(id, to);
        self.reply(id, &Event::YouJoined(text));
    }

    fn return_to_lobby(&mut self, id: ConnId) {
        if self.conn(id).membership.is_some_and(|at| at.room == RoomId::LOBBY) {
            return self.reply(id, &Event::Error(Problem::AlreadyInRoom));
        }
        self.move_to(id, RoomId::LOBBY);
        self.reply(id, &Event::YouReturned(super::LOBBY));
    }

    /// Leaves the room and enters another; tells the others in both, and not the connection itself.
    fn move_to(&mut self, id: ConnId, to: RoomId) {
        let Some(name) = self.conn(id).name else { return };
        if let Some(from) = self.leave_room(id, Owed::Sent) {
            let event = Event::Left { name: name.as_str(), departure: Departure::Moved };
            self.publish(from, &event, None);
            self.drop_room_if_empty(from);
        }
        self.publish(to, &Event::Joined(name.as_str()), None);
        self.enter_room(id, to);
    }

    fn list_rooms(&mut self, id: ConnId) {
        self.reply_with(id, |engine, answer| {
            answer(&Event::RoomsBegin);
            for (_, room) in engine.rooms.iter().take(ROOMS_LISTED_MAX) {
                answer(&Event::Room { name: room.name.as_str(), members: room.count() as u32 });
            }
            let omitted = engine.rooms.len().saturating_sub(ROOMS_LISTED_MAX);
            if omitted > 0 {
                answer(&Event::RoomsOmitted(omitted as u32));
            }
        });
    }

    fn list_users(&mut self, id: ConnId) {
        self.reply_with(id, |engine, answer| {
            let Some((_, room)) = engine.seat(id) else { return };
            let room = engine.room(room);
            answer(&Event::UsersBegin { room: room.name.as_str(), count: room.count() as u32 });
            for member in room.members() {
                if let Some(name) = &engine.conn(member.conn).name {
                    answer(&Event::User { name: name.as_str(), own: member.conn == id });
                }
            }
        });
    }

    fn show_history(&mut self, id: ConnId, count: &str) {
        let count = if count.is_empty() { Ok(HISTORY_COUNT_DEFAULT) } else { count.parse() };
        let Ok(count) = count else {
            return self.reply(id, &Event::Error(Problem::Usage(Usage::History)));
        };
        self.reply_with(id, |engine, answer| {
            let Some((_, room)) = engine.seat(id) else { return };
            for history::Entry { at, sender, text } in engine.room(room).history.last(count) {
                answer(&Event::Message { sender, text, at });
            }
        });
    }
}
