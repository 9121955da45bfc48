//! Carries out commands: one function a command, each saying what happened as events.

use super::answers::Question;
use super::holders::{NameEnd, Stays};
use super::past::Past;
use super::proof::{Draws, Then, Wanted, nearest};
use super::room::Maker;
use super::{Engine, history};
use crate::chat::{
    CloseReason, Command, ConnId, Departure, Event, Name, OpId, Page, Phase, Problem, RoomId, RoomMessage,
    RoomName, Secret, Usage,
};
use crate::fanout::Owed;
use crate::limits::{ROOMS_LISTED_BYTES_MAX, ROOMS_LISTED_MAX};

impl Engine {
    pub(super) fn execute(&mut self, id: ConnId, command: Command<'_>) {
        match (self.conn(id).phase, command) {
            (_, Command::Nothing) => {}
            (_, Command::Ping) => self.reply(id, &Event::Pong),
            (_, Command::Quit) => {
                self.reply(id, &Event::Goodbye);
                self.close(id, CloseReason::Quit);
            }
            (_, Command::Identify { name, answered }) => self.identify(id, name, answered),
            (_, Command::Password(Secret(password))) => self.password(id, password),
            (_, Command::Help) => self.reply(id, &Event::Help),
            (Phase::Chat, Command::Login { name, password }) if self.conn(id).dialect.yields_names() => {
                self.log_in_as(id, name, password);
            }
            (Phase::Chat, Command::Login { .. } | Command::SayAs { .. } | Command::Enter(_)) => {
                self.reply(id, &Event::Error(Problem::AlreadyLoggedIn));
            }
            (Phase::Login | Phase::Password, Command::Login { name, password }) => {
                self.login(id, name, password);
            }
            (Phase::Login | Phase::Password, Command::SayAs { name, to, text }) => {
                self.login(id, name, None);
                match to {
                    Some(to) => self.direct(id, to, text),
                    None => self.say(id, text),
                }
            }
            (Phase::Login | Phase::Password, Command::Enter(entrance)) => self.enter(id, &entrance),
            (Phase::Login | Phase::Password, _) => self.reply(id, &Event::Error(Problem::MustLogin)),
            (Phase::Chat, command) => self.execute_in_chat(id, &command),
        }
    }

    fn execute_in_chat(&mut self, id: ConnId, command: &Command<'_>) {
        match *command {
            Command::Say(text) => self.say(id, text),
            Command::Direct { to, text } => self.direct(id, to, text),
            Command::Rename(name) => self.rename(id, name),
            Command::Join(room) => self.join(id, room),
            Command::Leave => self.return_to_lobby(id),
            Command::Rooms => self.ask(id, Question::Rooms),
            Command::Users => self.ask(id, Question::Users),
            Command::History(count) => self.ask_for_history(id, count),
            Command::Send { to, text, key } => self.send(id, to, text, key),
            Command::Conversation { with, before, count } => {
                let before = before.map(OpId::parse);
                // No message is before one that cannot exist.
                let is_empty = before == Some(None);
                let with = self.ledger.with(with).filter(|_| !is_empty);
                let before = before.flatten();
                self.ask(id, Question::Conversation { with, before, count });
            }
            Command::MarkRead(sender) => self.mark_read(id, sender),
            Command::DeleteMail(mail) => self.delete_mail(id, mail),
            Command::Mailbox => self.list_mail(id),
            Command::ReadMail(with) => self.read_mail(id, with),
            Command::ClearMail(with) => self.clear_mail(id, with),
            Command::Accounts => self.ask(id, Question::Accounts),
            Command::DeleteAccount => self.delete_account(id),
            Command::MakeAccount(Secret(password)) => self.make_own_account(id, password),
            Command::ChangePassword { old: Secret(old), new: Secret(new) } => {
                self.change_password(id, old, new);
            }
            Command::EndAccount(Secret(password)) => self.end_own_account(id, password),
            Command::Subscribe(on) => self.subscribe(id, on),
            Command::Unknown(word) => self.reply(id, &Event::Error(Problem::UnknownCommand(word))),
            // That the datagram came was all.
            Command::Register => {}
            Command::Nothing
            | Command::Ping
            | Command::Quit
            | Command::Help
            | Command::Identify { .. }
            | Command::Login { .. }
            | Command::SayAs { .. }
            | Command::Enter(_)
            | Command::Password(_) => unreachable!("`execute` took these out"),
        }
    }

    /// The name, if it is one that the connection's dialect allows.
    pub(super) fn wanted_name(&self, id: ConnId, text: &str) -> Result<Wanted, Problem<'static>> {
        self.conn(id).dialect.check_name(text).map_err(Problem::Name)?;
        Wanted::parse(text)
    }

    /// The same, if no other session or seat holds the name.
    fn free_name(&self, id: ConnId, text: &str) -> Result<Wanted, Problem<'static>> {
        let wanted = self.wanted_name(id, text)?;
        match self.roster.holder(&self.connections, &wanted.folded) {
            Some(holder) if holder != id => Err(Problem::NameTaken),
            _ => Ok(wanted),
        }
    }

    fn login(&mut self, id: ConnId, text: &str, password: Option<Secret<'_>>) {
        let dialect = self.conn(id).dialect;
        if password == Some(Secret("")) {
            return self.refuse_login(id, Problem::Usage(Usage::Login));
        }
        if dialect.yields_names() && password.is_none() {
            return match self.nearest_free_name(id, text) {
                Some(wanted) => self.log_in(id, wanted, text != wanted.name.as_str()),
                None => self.refuse_login(id, Problem::NameTaken),
            };
        }
        let wanted = match self.wanted_name(id, text) {
            Ok(wanted) => wanted,
            Err(problem) => return self.refuse_login(id, problem),
        };
        if self.ledger.find(&wanted.folded).is_none() {
            // Names have no blanks: what follows one was meant as a password, or as a part of the name.
            if password.is_some() {
                return self.refuse_login(id, Problem::NoAccount(wanted.name.as_str()));
            }
            if self.settings.reserved_names.contains(&wanted.folded) {
                return self.refuse_login(id, Problem::NameReserved);
            }
            return self.log_in(id, wanted, false);
        }
        // The password decides, also where the name is held: the owner may have left a session behind.
        if let Some(Secret(password)) = password {
            return self.prove(id, wanted, password, Then::LogIn);
        }
        if dialect.asks_for_passwords() {
            self.more_mut(id).wanted = Some(wanted);
            self.conn_mut(id).phase = Phase::Password;
        }
        self.reply(id, &Event::PasswordWanted);
    }

    /// A free name like this one, for a login that can prove nothing.
    fn nearest_free_name(&mut self, id: ConnId, text: &str) -> Option<Wanted> {
        let draws = Draws(self.random.bytes());
        let free = |text: &str| self.free_name(id, text).ok().filter(|wanted| self.is_for_strangers(wanted));
        free(text).or_else(|| nearest(&Name::near(text), &draws, free))
    }

    /// Whether a session without a password may have a name.
    pub(super) fn is_for_strangers(&self, wanted: &Wanted) -> bool {
        self.ledger.find(&wanted.folded).is_none() && !self.settings.reserved_names.contains(&wanted.folded)
    }

    /// Logs in the owner of an account, and ends the older sessions and seats of the name.
    pub(super) fn log_in_again(&mut self, id: ConnId, wanted: Wanted) {
        self.end_others_of(&wanted.folded, Stays::Session(id), NameEnd::Replaced);
        // A dialect that yields names has no other answer to a login with a password.
        let tells_name = self.conn(id).dialect.yields_names();
        self.log_in(id, wanted, tells_name);
    }

    /// Lets a session in, in the lobby. `tells_name`: it is told its name, because that is not what it asked
    /// for, or because the dialect has no other answer.
    pub(super) fn log_in(&mut self, id: ConnId, wanted: Wanted, tells_name: bool) {
        // It may have been taken while a password was compared.
        if self.roster.holder(&self.connections, &wanted.folded).is_some_and(|holder| holder != id) {
            return self.refuse_login(id, Problem::NameTaken);
        }
        let Wanted { name, folded } = wanted;
        self.roster.hold(&self.connections, &folded, id);
        let conn = self.conn_mut(id);
        let has_heard = conn.membership.is_some();
        conn.name = Some(name);
        conn.phase = Phase::Chat;
        if let Some(more) = &mut conn.more {
            more.wanted = None;
        }
        let skipped_by = (!conn.dialect.sees_itself_join()).then_some(id);
        self.heard(id);
        if has_heard {
            self.room_mut(RoomId::LOBBY).unnamed -= 1;
        } else {
            self.enter_room(id, RoomId::LOBBY);
        }
        self.reply(id, &Event::LoggedIn { name: name.as_str(), room: super::LOBBY });
        if tells_name {
            self.reply(id, &Event::YouRenamed(name.as_str()));
        }
        self.show_arrival(id, RoomId::LOBBY);
        self.publish(RoomId::LOBBY, &Event::Joined(name.as_str()), skipped_by);
    }

    /// The name and the room of a connection that is logged in.
    pub(super) fn place(&self, id: ConnId) -> Option<(Name, RoomId)> {
        let conn = self.conn(id);
        Some((conn.name?, conn.membership?.room))
    }

    fn say(&mut self, id: ConnId, text: &str) {
        if text.is_empty() {
            return;
        }
        let Some((name, room)) = self.place(id) else { return };
        let at = self.now.unix;
        let sender = name.as_str();
        self.metrics.messages += 1;
        // A closing room has lost its name: messages stored under the name belong to another room.
        if self.room(room).rule.keep_messages > 0 && !self.room(room).closing {
            let id = self.keep_said(id, room, sender, text);
            self.room_mut(room).history.push(history::Entry { id, at, sender, text });
        }
        let skipped_by = (!self.conn(id).dialect.echoes()).then_some(id);
        self.publish(room, &Event::Message { sender, text, at: at.seconds() }, skipped_by);
    }

    fn rename(&mut self, id: ConnId, text: &str) {
        if text.is_empty() {
            return self.reply(id, &Event::Error(Problem::Usage(Usage::Rename)));
        }
        // A name with an account has to be proved, for which there is no time here.
        let wanted = match self.free_name(id, text) {
            Ok(free) if self.ledger.find(&free.folded).is_none() => {
                if self.settings.reserved_names.contains(&free.folded) {
                    return self.reply(id, &Event::Error(Problem::NameReserved));
                }
                free
            }
            Ok(own) if self.roster.holder(&self.connections, &own.folded) == Some(id) => own,
            Ok(_) => return self.reply(id, &Event::Error(Problem::NameHasAccount)),
            Err(problem) => return self.reply(id, &Event::Error(problem)),
        };
        self.change_name(id, wanted);
    }

    /// Gives a session another name, which no other session holds.
    pub(super) fn change_name(&mut self, id: ConnId, wanted: Wanted) {
        let Some((old, room)) = self.place(id) else { return };
        let Wanted { name: new, folded } = wanted;
        self.roster.release(&old.folded(), id);
        self.roster.hold(&self.connections, &folded, id);
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
        if there.is_none()
            && let Err(problem) = self.may_make_room(id, self.conn(id).is_exempt)
        {
            return self.reply(id, &Event::Error(problem));
        }
        match self.must_look_up(&name) {
            Some(count) => {
                let past = Past::Join { name: name.clone(), rooms_closed: self.rooms_closed };
                self.look_up(id, &name, Page::Newest, count, past);
            }
            None => self.enter_named(id, name, None),
        }
    }

    /// Enters a room, of which some of the past may have been looked up meanwhile.
    pub(super) fn enter_named(&mut self, id: ConnId, name: RoomName, past: Option<&[RoomMessage]>) {
        let there = self.rooms_by_name.get(&name).copied();
        if there.is_none()
            && let Err(problem) = self.may_make_room(id, self.conn(id).is_exempt)
        {
            return self.reply(id, &Event::Error(problem));
        }
        let text = name.as_str().to_owned();
        let conn = self.conn(id);
        let network = (!conn.is_exempt).then_some(conn.network);
        let maker = Maker { network, session: network.map(|_| id) };
        let to = there.unwrap_or_else(|| self.make_room(name, maker));
        if let Some(past) = past {
            self.room_mut(to).history.fill(past);
        }
        self.move_to(id, to);
        self.reply(id, &Event::YouJoined(&text));
        self.show_arrival(id, to);
    }

    fn return_to_lobby(&mut self, id: ConnId) {
        if self.conn(id).membership.is_some_and(|at| at.room == RoomId::LOBBY) {
            return self.reply(id, &Event::Error(Problem::AlreadyInRoom));
        }
        self.move_to(id, RoomId::LOBBY);
        self.reply(id, &Event::YouReturned(super::LOBBY));
        self.show_arrival(id, RoomId::LOBBY);
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

    pub(super) fn list_rooms(&mut self, id: ConnId) {
        self.reply_with(id, |engine, answer| {
            answer(&Event::RoomsBegin);
            let (mut listed, mut bytes) = (0, 0);
            for (_, room) in engine.rooms.iter().take(ROOMS_LISTED_MAX) {
                bytes += room.name.as_str().len();
                if bytes > ROOMS_LISTED_BYTES_MAX {
                    break;
                }
                answer(&Event::Room { name: room.name.as_str(), members: room.count() as u32 });
                listed += 1;
            }
            let omitted = engine.rooms.len() - listed;
            if omitted > 0 {
                answer(&Event::RoomsOmitted(omitted as u32));
            }
        });
    }
}
