//! Seats: memberships that are spoken to in datagrams. A handshake gives one out with its token; whoever shows the token,
//! from the address that it was given to, speaks with it. A seat is a connection without a socket of its own: a name, a
//! cursor in its room, a deadline.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::holders::{NameEnd, Stays};
use super::intake::NewConnection;
use super::network::Network;
use super::past::Asked;
use super::promise::Promise;
use super::proof::{Draws, Then, Wanted, nearest};
use super::room::Maker;
use super::{Connection, Engine};
use crate::chat;
use crate::chat::{
    Change, Command, ConnId, Entrance, Event, Folded, Name, NameError, Now, OpId, Page, Phase, Problem,
    RoomId, RoomName, SERVER_NAME, Token, UnixSeconds,
};
use crate::fanout::DatagramPath;
use crate::limits::{
    LOG_BACKLOG_DIVISOR, OUTBOX_TURN_BYTES_MAX_FOR_DATAGRAMS, SEATS_MAX, SEATS_OF_NAME_MAX,
    UCRP_CHALLENGE_BYTES, UCRP_CHALLENGE_SECONDS, UCRP_DATAGRAM_BYTES_MAX, UCRP_HISTORY_MESSAGES,
};
use crate::wire::ucrp::{Datagram, Message, Query};
use crate::wire::{DecodeError, Dialect};

/// What a seat has beyond any other connection.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    token: Token,
    /// The address that it was issued to.
    ip: IpAddr,
    /// The op that made it, unless that was before the start.
    made_by: Option<OpId>,
    /// For a host: the op that made its room, if it is known.
    room_made: Option<OpId>,
    /// The hash of the text that it was asked for with, where that is not its name. The server forgets it
    /// when it ends.
    asked: Option<u64>,
    /// It was heard, and there is an address where it is told what concerns it.
    hears: bool,
    /// When it was last told that its datagrams come too fast.
    told_at: Option<Duration>,
    /// The state of a seat whose datagrams come from another address.
    elsewhere: Option<Box<Elsewhere>>,
}

/// Another address than that of the handshake, from which a seat's datagrams come.
#[derive(Clone, Copy, Debug)]
struct Elsewhere {
    peer: SocketAddr,
    /// The number in the question.
    number: [u8; UCRP_CHALLENGE_BYTES],
    asked_at: Duration,
    /// It answered with the number: its holder receives there.
    is_proved: bool,
}

impl Seat {
    /// Whether it is to be told something that it is told once in an interval; if so, it will have been.
    pub(super) fn is_to_be_told(&mut self, now: Duration, interval: Duration) -> bool {
        let is_due = self.hears && self.told_at.is_none_or(|at| now.saturating_sub(at) >= interval);
        if is_due {
            self.told_at = Some(now);
        }
        is_due
    }
}

const CHALLENGE_INTERVAL: Duration = Duration::from_secs(UCRP_CHALLENGE_SECONDS);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why a datagram that could be read is dropped. The causes as metrics and logs name them.
const UNKNOWN_TOKEN: &str = "ucrp-unknown-token";
const OTHER_ROOM: &str = "ucrp-other-room";
const OTHER_ADDRESS: &str = "ucrp-other-address";
const ROOM_BUSY: &str = "ucrp-room-busy";
const PEOPLE_BUSY: &str = "ucrp-people-busy";
const TOO_FAST: &str = "ucrp-too-fast";

/// The reason why a seat cannot send a command: its datagrams are not encrypted, or it belongs to one room.
fn impossible(command: &Command<'_>) -> Option<Problem<'static>> {
    match command {
        Command::Login { .. }
        | Command::MakeAccount(_)
        | Command::ChangePassword { .. }
        | Command::EndAccount(_) => Some(Problem::NoPasswordsHere),
        Command::Join(_) | Command::Leave => Some(Problem::NotInSeats),
        _ => None,
    }
}

impl Engine {
    /// A handshake asks for a seat.
    pub(super) fn enter(&mut self, id: ConnId, entrance: &Entrance<'_>) {
        let Entrance { room, making, name, password } = entrance;
        let draws = Draws(self.random.bytes());
        let checked = RoomName::parse(room)
            .map_err(Problem::RoomName)
            .and_then(|room| Ok((self.seat_name(id, &room, name, &draws)?, room)))
            .and_then(|(wanted, room)| {
                self.check_entrance(id, &room, *making, &wanted.folded)?;
                Ok((room, wanted))
            });
        let (room, wanted) = match checked {
            Ok(checked) => checked,
            Err(problem) => return self.refuse_login(id, problem),
        };
        if self.ledger.find(&wanted.folded).is_none() {
            // As in the other dialects: the client believes that the name is its own.
            if password.is_some() {
                return self.refuse_login(id, Problem::NoAccount(wanted.name.as_str()));
            }
            if self.settings.reserved_names.contains(&wanted.folded) {
                return self.refuse_login(id, Problem::NameReserved);
            }
            let asked = (**name != *wanted.name.as_str()).then(|| (room.clone(), self.roster.hash(name)));
            self.take_seat(id, room, *making, wanted, false);
            if let Some((room, asked)) = asked {
                self.note_asked(&room, &wanted, asked);
            }
            return;
        }
        match password {
            Some(password) => self.prove(id, wanted, password, Then::Enter { room, making: *making }),
            None => self.refuse_login(id, Problem::WrongPassword),
        }
    }

    /// The name that a handshake gets: the one that it asks for, or the nearest free one where that is not a
    /// name.
    fn seat_name(
        &self,
        id: ConnId,
        room: &RoomName,
        asked: &str,
        draws: &Draws,
    ) -> Result<Wanted, Problem<'static>> {
        match Wanted::parse(asked) {
            Err(problem @ Problem::Name(NameError::Character)) if self.settings.seats_yield_names => {
                let ip = self.conn(id).more.as_ref().and_then(|more| more.ip);
                let there = self.rooms_by_name.get(room).copied();
                let text = self.roster.hash(asked);
                let is_free = |wanted: &Wanted| {
                    self.is_for_strangers(wanted)
                        && self.roster.all_holders(&self.connections, &wanted.folded).all(|holder| {
                            let is_here = self.conn(holder).membership.map(|at| at.room) == there;
                            self.seat(holder).is_some_and(|seat| {
                                // The same text in the same room counts as the same user.
                                Some(seat.ip) == ip && (!is_here || seat.asked == Some(text))
                            })
                        })
                };
                let free = |text: &str| Wanted::parse(text).ok().filter(is_free);
                nearest(&Name::near(asked), draws, free).ok_or(problem)
            }
            parsed => parsed,
        }
    }

    /// Notes the text that the seat of a name in a room was asked for with, which is not its name.
    fn note_asked(&mut self, room: &RoomName, wanted: &Wanted, asked: u64) {
        let there = self.rooms_by_name.get(room).copied();
        let is_here = |&id: &ConnId| self.conn(id).membership.map(|at| at.room) == there;
        let seat = self.roster.all_holders(&self.connections, &wanted.folded).find(is_here);
        if let Some(seat) = seat.and_then(|id| self.seat_mut(id)) {
            seat.asked = Some(asked);
        }
    }

    /// Whether the handshake can have a seat: the name's existing seat in the room, or a new one. If the name
    /// has an account, the handshake proves it, and other sessions and seats of the name are no obstacle.
    fn check_entrance(
        &mut self,
        id: ConnId,
        room: &RoomName,
        making: bool,
        folded: &Folded,
    ) -> Result<Option<ConnId>, Problem<'static>> {
        let there = self.rooms_by_name.get(room).copied();
        let ip = self.conn(id).more.as_ref().and_then(|more| more.ip);
        let is_exempt = ip.is_some_and(|ip| self.settings.exempts_seats(ip));
        match (there, making) {
            (Some(_), true) => return Err(Problem::RoomExists),
            (None, false) => return Err(Problem::NoSuchRoom),
            (None, true) => self.may_make_room(id, is_exempt)?,
            (Some(_), false) => {}
        }
        let has_account = self.ledger.find(folded).is_some();
        let mut count = 0;
        let mut own = None;
        for holder in self.roster.all_holders(&self.connections, folded) {
            let conn = self.conn(holder);
            if self.seat(holder).is_none_or(|seat| Some(seat.ip) != ip) {
                if has_account {
                    continue;
                }
                return Err(Problem::NameTaken);
            }
            if conn.membership.is_some_and(|at| Some(at.room) == there) {
                own = Some(holder);
            }
            count += 1;
        }
        let limit = match self.settings.session_rooms_limit {
            limit if limit > 0 && !is_exempt => limit.min(SEATS_OF_NAME_MAX),
            _ => SEATS_OF_NAME_MAX,
        };
        if own.is_none() && count >= limit {
            self.metrics.rooms_refused += 1;
            return Err(Problem::TooManyRoomsOfSession);
        }
        let charged = (!is_exempt).then_some(self.conn(id).network);
        if own.is_none() && !self.has_seat_place(charged) {
            self.count_share_refused(self.seats.len(), SEATS_MAX);
            return Err(Problem::ServerFull);
        }
        let conn = self.conn(id);
        if own.is_none() && !is_exempt && !self.addresses.has_space(conn.network) {
            return Err(Problem::AddressFull);
        }
        Ok(own)
    }

    /// Gives a handshake its seat, and ends the handshake. A proved handshake ends the other sessions and
    /// seats of the name.
    pub(super) fn take_seat(
        &mut self,
        id: ConnId,
        room: RoomName,
        making: bool,
        wanted: Wanted,
        is_proved: bool,
    ) {
        // Once more: a password may have been compared meanwhile.
        let own = match self.check_entrance(id, &room, making, &wanted.folded) {
            Err(problem) => return self.refuse_login(id, problem),
            Ok(own) => own,
        };
        if own.is_none() && !self.can_keep(id) {
            return self.refuse_login(id, self.unkept_problem());
        }
        let seat = own.unwrap_or_else(|| self.make_seat(id, room, making, wanted));
        let Some(&Seat { token, ip, made_by, .. }) = self.seat(seat) else { return };
        if is_proved {
            self.end_others_of(&wanted.folded, Stays::SeatsAt(ip), NameEnd::Replaced);
        }
        // Behind the end of a seat of that name in the same room.
        if own.is_none()
            && let Some(at) = self.conn(seat).membership
        {
            self.publish(at.room, &Event::Joined(wanted.name.as_str()), Some(seat));
        }
        let promise = Promise::Seat { seat, is_made: own.is_none(), outlasts_server: false };
        self.promise(id, made_by, promise, |_, answer| {
            answer(&Event::Seated(&token));
        });
    }

    fn make_seat(&mut self, handshake: ConnId, room: RoomName, making: bool, wanted: Wanted) -> ConnId {
        let token = Token::from_random(self.random.bytes());
        // Every handshake has its address.
        let ip = self.more_mut(handshake).ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let &Connection { network, .. } = self.conn(handshake);
        let is_exempt = self.settings.exempts_seats(ip);
        let kept = chat::Seat { name: wanted.name.as_str().into(), token, ip };
        let room_text: Box<str> = room.as_str().into();
        let new = NewConnection {
            dialect: Dialect::Ucrp,
            network,
            is_exempt,
            phase: Phase::Chat,
            name: Some(wanted.name),
        };
        // The owner has come to another address, and is the host that it was.
        let before = self.host_of_name(&room, &wanted.folded);
        let is_host = making || before.is_some();
        let room_made = before.and_then(|before| self.room_made(before));
        // Handshakes come to all shards, and so the seats are on all.
        let id = self.insert_seat(handshake.shard(), new, &wanted.folded, &kept, room, is_host);
        let made_by = self.commit_for(
            self.charged_to(handshake),
            if is_host {
                Change::RoomMade { room: room_text, host: kept }
            } else {
                Change::SeatTaken { room: room_text, seat: kept }
            },
        );
        if let Some(seat) = self.seat_mut(id) {
            seat.made_by = Some(made_by);
            seat.room_made = if making { Some(made_by) } else { room_made };
        }
        id
    }

    /// The host of a room, if it holds this name.
    fn host_of_name(&self, room: &RoomName, folded: &Folded) -> Option<ConnId> {
        let host = self.room(*self.rooms_by_name.get(room)?).host?;
        self.roster.all_holders(&self.connections, folded).find(|&holder| holder == host)
    }

    fn insert_seat(
        &mut self,
        shard: u8,
        new: NewConnection,
        folded: &Folded,
        kept: &chat::Seat,
        room: RoomName,
        is_host: bool,
    ) -> ConnId {
        let &chat::Seat { token, ip, .. } = kept;
        let id = self.connections.new_seat(shard);
        self.fanouts.open_seat(id);
        if !new.is_exempt {
            self.addresses.seated(new.network);
        }
        self.insert(id, new);
        self.more_mut(id).seat = Some(Seat {
            token,
            ip,
            asked: None,
            made_by: None,
            room_made: None,
            hears: false,
            told_at: None,
            elsewhere: None,
        });
        let network = (!new.is_exempt).then_some(new.network);
        self.seats.insert(token, id);
        self.totals.seats.charge(network, 1);
        self.roster.hold(&self.connections, folded, id);
        let there = self.rooms_by_name.get(&room).copied();
        // A host is restored before its guests. The maker of a room that has no host is not known.
        let maker = Maker { network: network.filter(|_| is_host), session: None };
        let room_id = there.unwrap_or_else(|| self.make_room(room, maker));
        if is_host {
            self.room_mut(room_id).host = Some(id);
        }
        self.enter_room(id, room_id);
        self.heard(id);
        id
    }

    /// A seat that was kept is there again: silent until its first datagram.
    pub(super) fn restore_seat(&mut self, room: &str, seat: &chat::Seat, is_host: bool, made: Option<OpId>) {
        // What was kept was checked before it was.
        let (Ok(room), Ok(wanted)) = (RoomName::restored(room), Wanted::parse(&seat.name)) else { return };
        if !self.seats.contains_key(&seat.token) {
            let shard = (self.seats.len() % self.settings.shards) as u8;
            let new = NewConnection {
                dialect: Dialect::Ucrp,
                network: Network::of(seat.ip),
                is_exempt: self.settings.exempts_seats(seat.ip),
                phase: Phase::Chat,
                name: Some(wanted.name),
            };
            let id = self.insert_seat(shard, new, &wanted.folded, seat, room, is_host);
            if let Some(seat) = self.seat_mut(id) {
                seat.room_made = made;
            }
        }
    }

    /// Whether a seat is told what is said to it: one that was never heard has nowhere to be told anything.
    pub(super) fn seat_hears(&self, id: ConnId) -> bool {
        self.seat(id).is_some_and(|seat| seat.hears)
    }

    /// Whether a seat is told what is said to it has changed where that is sent.
    pub(super) fn note_hears(&mut self, id: ConnId, hears: bool) {
        if self.find(id).is_some()
            && let Some(seat) = self.seat_mut(id)
        {
            seat.hears = hears;
        }
    }

    /// Whether a seat is there, and not about to end.
    pub(super) fn is_seated(&mut self, id: ConnId) -> bool {
        self.find(id).is_some_and(|conn| conn.closing.is_none())
    }

    /// The address that a seat was issued to; None of a session.
    pub(super) fn seat_ip(&self, id: ConnId) -> Option<IpAddr> {
        Some(self.seat(id)?.ip)
    }

    /// The op that made the room of a host, where that is known.
    pub(super) fn room_made(&self, host: ConnId) -> Option<OpId> {
        self.seat(host)?.room_made
    }

    fn seat(&self, id: ConnId) -> Option<&Seat> {
        self.conn(id).more.as_ref()?.seat.as_ref()
    }

    pub(super) fn seat_mut(&mut self, id: ConnId) -> Option<&mut Seat> {
        self.conn_mut(id).more.as_mut()?.seat.as_mut()
    }

    /// Takes a datagram in. Nothing is ever answered to one that does not count.
    pub fn datagram(&mut self, path: DatagramPath, bytes: &[u8], now: Now) {
        self.now = now;
        self.metrics.datagrams += 1;
        if let Err(cause) = self.take_datagram(path, bytes) {
            self.metrics.count_refused(cause);
        }
    }

    /// The kernel dropped so many datagrams before anybody here saw them: more came than could wait.
    pub fn datagrams_lost(&mut self, count: u64) {
        self.metrics.datagrams_lost += count;
    }

    fn take_datagram(&mut self, path: DatagramPath, bytes: &[u8]) -> Result<(), &'static str> {
        let datagram = Datagram::decode(bytes).map_err(|error| DecodeError::Ucrp(error).cause())?;
        let token = Token::parse(datagram.token).ok_or(UNKNOWN_TOKEN)?;
        let id = self.seats.get(&token).copied().ok_or(UNKNOWN_TOKEN)?;
        let conn = self.conn(id);
        // A seat that ends is nobody's any more.
        let membership = conn.membership.filter(|_| conn.closing.is_none());
        let room =
            membership.map(|at| self.room(at.room)).filter(|room| !room.closing).ok_or(UNKNOWN_TOKEN)?;
        if room.name.as_str() != datagram.room {
            return Err(OTHER_ROOM);
        }
        let ip = path.peer.ip().to_canonical();
        if self.settings.seats_keep_address && self.seat(id).is_none_or(|seat| seat.ip != ip) {
            return Err(OTHER_ADDRESS);
        }
        let query = datagram.message.query().filter(|_| self.settings.seats_may_query);
        // An address that has sent nothing yet may be forged.
        if query.is_some() && !self.is_address_known(id, path.peer) {
            return Err(OTHER_ADDRESS);
        }
        let command = if query.is_some() { Command::Nothing } else { datagram.message.command() };
        if !matches!(command, Command::Quit) && self.is_datagram_too_fast(id, bytes.len()) {
            return Err(TOO_FAST);
        }
        // Nobody can be made to wait here: what would have others lag is dropped.
        let are_shards_busy = self.fanouts.are_busy();
        let is_behind =
            |at: super::Membership| self.backlog(at.room) >= self.log_bytes_limit() / LOG_BACKLOG_DIVISOR;
        let is_busy = are_shards_busy || membership.is_some_and(is_behind);
        if is_busy && matches!(command, Command::Say(_)) {
            return Err(ROOM_BUSY);
        }
        let is_turn_full = self.turn_bytes() >= OUTBOX_TURN_BYTES_MAX_FOR_DATAGRAMS;
        let are_busy = are_shards_busy || self.has_unread_answers(id) || is_turn_full;
        // Of a shard that is behind with its orders, not even the address.
        let is_to_be_dropped = match command {
            _ if query.is_some() => are_busy || self.conn(id).awaiting,
            Command::Direct { .. } | Command::Users => are_busy,
            _ if impossible(&command).is_some() => are_busy,
            Command::Quit => false,
            _ => are_shards_busy,
        };
        if is_to_be_dropped {
            return Err(PEOPLE_BUSY);
        }
        let is_proved = self.is_address_proved(id, path.peer, &datagram.message);
        self.fanouts.heard_from(id, path, is_proved, bytes.len());
        let is_renamed = self.seat_mut(id).is_some_and(|seat| {
            let hears = std::mem::replace(&mut seat.hears, true);
            !hears && seat.asked.is_some()
        });
        self.heard(id);
        if is_renamed && let Some(name) = self.conn(id).name {
            // The answer to the handshake has no place for it.
            self.reply(id, &Event::YouRenamed(name.as_str()));
        }
        self.metrics.commands += 1;
        if !is_proved {
            self.ask_for_proof(id, path.peer);
        }
        match query {
            Some(Query::Who) => self.tell_members(id),
            Some(Query::History) => {
                self.show_history(id, Asked::Page(Page::Newest), UCRP_HISTORY_MESSAGES);
            }
            None => {}
        }
        // A query has been answered: its command is nothing to carry out.
        match impossible(&command) {
            Some(problem) => self.reply(id, &Event::Error(problem)),
            None => self.execute(id, command),
        }
        Ok(())
    }

    /// Whether a datagram of a seat that counted came from an address before.
    fn is_address_known(&self, id: ConnId, peer: SocketAddr) -> bool {
        let Some(seat) = self.seat(id).filter(|seat| seat.hears) else { return false };
        let elsewhere = seat.elsewhere.as_deref();
        elsewhere.map_or(seat.ip == peer.ip().to_canonical(), |elsewhere| elsewhere.peer == peer)
    }

    /// Tells a seat who is in its room, in one text.
    fn tell_members(&mut self, id: ConnId) {
        let Some(at) = self.conn(id).membership else { return };
        let room = self.room(at.room);
        let mut text = format!("in {}:", room.name.as_str());
        let names = room.members().filter_map(|member| self.conn(member).name);
        for name in names {
            // What is longer is cut when it is encoded.
            if text.len() > UCRP_DATAGRAM_BYTES_MAX {
                break;
            }
            text.push(' ');
            text.push_str(name.as_str());
        }
        self.reply(id, &Event::Message { sender: SERVER_NAME, text: &text, at: UnixSeconds::default() });
    }

    /// Whether the holder of a seat receives at the source of a datagram: the handshake came from that IP
    /// address, or the address has answered the question.
    fn is_address_proved(&mut self, id: ConnId, peer: SocketAddr, message: &Message<'_>) -> bool {
        let Some(seat) = self.seat_mut(id) else { return false };
        if seat.ip == peer.ip().to_canonical() {
            seat.elsewhere = None;
            return true;
        }
        let Some(elsewhere) = seat.elsewhere.as_mut().filter(|elsewhere| elsewhere.peer == peer) else {
            return false;
        };
        if let Message::Confirm(number) = *message {
            elsewhere.is_proved |= number == hex(&elsewhere.number).as_str();
        }
        elsewhere.is_proved
    }

    /// Asks the address of a seat to show that its holder receives there.
    fn ask_for_proof(&mut self, id: ConnId, peer: SocketAddr) {
        let (now, number) = (self.now.monotonic, self.random.bytes());
        let Some(seat) = self.seat_mut(id) else { return };
        let mut elsewhere = Elsewhere { peer, number, asked_at: now, is_proved: false };
        if let Some(known) = seat.elsewhere.as_deref().filter(|known| known.peer == peer) {
            if now.saturating_sub(known.asked_at) < CHALLENGE_INTERVAL {
                return;
            }
            // An answer to an earlier question may be on its way.
            elsewhere.number = known.number;
        }
        seat.elsewhere = Some(Box::new(elsewhere));
        self.reply(id, &Event::AddressChallenge(&hex(&elsewhere.number)));
    }

    /// A seat, if it is one, is given up: its token is nobody's. Returns whether its room closed with it.
    pub(super) fn give_up_seat(&mut self, id: ConnId, room: RoomId) -> bool {
        let Some(token) = self.seat(id).map(|seat| seat.token) else { return false };
        self.seats.remove(&token);
        self.totals.seats.give_back(self.charged_to(id), 1);
        // At the end of the server, it is kept; and a room that closes has said so for all.
        if self.stopping || self.room(room).closing {
            return false;
        }
        if self.room(room).host == Some(id) {
            self.close_room(room);
            return true;
        }
        self.commit(Change::SeatLeft { token });
        false
    }

    /// Seats at present.
    pub fn seat_count(&self) -> usize {
        self.seats.len()
    }
}
