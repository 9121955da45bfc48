//! A client: what it does when a script says so, what it makes of what it is sent, and what it expects.

mod gob;
mod seat;
mod text;
mod typed;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use parlance::limits::RATE_SECONDS_HELD;
use parlance::wire::Dialect;

use crate::book::{Aim, Book, Number, Stay, text_of};
use crate::dice::Dice;
use crate::net::{End, Net};
use crate::script::{ACCOUNTS, Act, Kind, ONCE, ONCES, Other, ROOMS};
use crate::trace;

pub(crate) use seat::SeatState;
pub(crate) use text::TextState;
pub(crate) use typed::{Audit, Letter, TypedState};

/// What surrounds a client while it does something.
pub(crate) struct Around<'a> {
    pub(crate) net: &'a mut Net,
    pub(crate) book: &'a mut Book,
    pub(crate) now: Duration,
    /// The shards that a new stream may come to.
    pub(crate) shards: usize,
    /// What a session may say a second; nothing, for as much as it likes.
    pub(crate) session_messages: Option<u64>,
    /// Whoever comes into a room is shown some of what was said before.
    pub(crate) shows_past: bool,
    /// Streams that were opened, for the server.
    pub(crate) opened: &'a mut Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) index: usize,
    pub(crate) kind: Kind,
    /// What it sends lines with: see [`lines_as`].
    program: u64,
    /// Its stream, if it has one. A seat's is the handshake.
    pub(crate) conn: Option<usize>,
    /// What it was sent, and is no whole frame.
    input: Vec<u8>,
    dice: Dice,
    /// It does not read before then.
    pub(crate) stalls_until: Duration,
    /// The last time that it did not.
    dawdled_until: Duration,
    /// The name that it asked for.
    wanted: String,
    /// The name that it was told it has, unless it has asked for another one since.
    pub(crate) name: Option<String>,
    /// All names by which it may have gone.
    names: Vec<String>,
    is_logged_in: bool,
    /// It said that it goes, or closed its side: what it sent before that counts, what it sees after that need not.
    pub(crate) is_leaving: bool,
    /// Rooms that it may be in, as far as it knows: the one that it was told of, and those that it asked for since.
    rooms: Vec<&'static str>,
    pub(crate) stay: Option<Stay>,
    /// What it said on this stream.
    said: Vec<Number>,
    pings: usize,
    pongs: usize,
    /// How many passwords it has shown.
    passwords: usize,
    /// It shows right passwords only.
    pub(crate) is_careful: bool,
    pub(crate) text: TextState,
    /// When its stream was opened.
    opened_at: Duration,
    /// How often it was told on this stream that it was too fast: something that it sent was not done.
    refused: usize,
    /// The last line that it was told.
    pub(crate) last_heard: String,
    pub(crate) typed: TypedState,
    pub(crate) seat: SeatState,
}

pub(crate) fn own_name(client: usize) -> String {
    format!("p{client}a")
}

pub(crate) fn account_name(account: usize) -> String {
    format!("acc{}", account % ACCOUNTS)
}

/// The account that a client wants for itself in a room. Half of them want the one that is deleted now and
/// then.
fn shared_account(client: usize) -> String {
    account_name(if client.is_multiple_of(2) { ACCOUNTS - 1 } else { client })
}

fn once_name(account: usize) -> String {
    format!("once{}", account % ONCES)
}

/// The names of all accounts.
pub(crate) fn accounts() -> impl Iterator<Item = String> {
    (0..ACCOUNTS).map(account_name).chain((0..ONCES).map(once_name))
}

/// The name of the account that a password is for.
pub(crate) fn name_in(password: &str) -> &str {
    password.split('-').nth(1).unwrap_or_else(|| panic!("{password} is no password of an account"))
}

/// A password that no account has.
const WRONG_PASSWORD: &str = "a-guess";
/// One in this number of passwords that a client sends is wrong.
const WRONG_PASSWORD_EVERY: usize = 7;

/// A letter and digits in front of which stands the client's number.
fn name_of(client: usize, which: usize) -> String {
    match which {
        0 => own_name(client),
        1 => "star".to_owned(),
        2 => shared_account(client),
        ONCE => once_name(client),
        _ => format!("p{client}b"),
    }
}

fn direct_name(to: usize, clients: usize) -> String {
    match to.checked_sub(clients) {
        None => own_name(to),
        Some(account) => accounts().nth(account).unwrap_or_else(|| account_name(account)),
    }
}

fn other_name(other: Other) -> String {
    match other {
        Other::Account(account) => account_name(account),
        Other::Client(client) => own_name(client),
    }
}

impl Kind {
    fn dialect(self) -> Dialect {
        match self {
            Self::Line => Dialect::Line,
            Self::Slash => Dialect::Slash,
            Self::Gob => Dialect::Gob,
            Self::Typed => Dialect::Typed,
            Self::Seat => Dialect::Tcrp,
        }
    }
}

impl Client {
    pub(crate) fn new(index: usize, kind: Kind, seed: u64) -> Self {
        Self {
            index,
            kind,
            // The same for all, so that each takes as many bytes for a line.
            program: seed,
            conn: None,
            input: Vec::new(),
            dice: Dice(seed ^ (index as u64) << 32),
            stalls_until: Duration::ZERO,
            dawdled_until: Duration::ZERO,
            wanted: String::new(),
            name: None,
            names: Vec::new(),
            is_logged_in: false,
            is_leaving: false,
            rooms: Vec::new(),
            stay: None,
            said: Vec::new(),
            pings: 0,
            pongs: 0,
            passwords: 0,
            is_careful: false,
            text: TextState::default(),
            opened_at: Duration::ZERO,
            refused: 0,
            last_heard: String::new(),
            typed: TypedState::default(),
            seat: SeatState::default(),
        }
    }

    pub(crate) fn ip(&self) -> IpAddr {
        Ipv4Addr::new(10, 0, (self.index >> 8) as u8, self.index as u8).into()
    }

    /// Where its datagrams come from.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip(), 5000)
    }

    fn echoes(&self) -> bool {
        self.kind == Kind::Slash
    }

    /// Does what the script says, if it can.
    pub(crate) fn acts(&mut self, act: &Act, clients: usize, around: &mut Around<'_>) {
        if let Act::Stall(millis) = act {
            self.stalls_until = around.now + Duration::from_millis(*millis as u64);
            self.dawdled_until = self.stalls_until;
            return;
        }
        if self.kind == Kind::Seat && self.seat_acts(act, clients, around) {
            return;
        }
        let Some(conn) = self.conn else {
            match act {
                Act::Connect { name } => self.connects(*name, around),
                Act::GuessPasswords { account, count } => self.guesses(*account, *count, around),
                _ => {}
            }
            return;
        };
        match act {
            Act::Reset => {
                around.net.client_resets(conn, around.now);
                self.is_leaving = true;
                self.ends(around);
            }
            _ if self.is_leaving => {}
            Act::HalfClose => {
                around.net.client_ends(conn, around.now);
                self.leaves();
            }
            Act::Garbage(bytes) => self.sends_garbage(*bytes, around),
            _ => match self.kind {
                Kind::Line | Kind::Slash => self.text_acts(act, clients, around),
                Kind::Gob => self.gob_acts(act, clients, around),
                Kind::Typed => self.typed_acts(act, clients, around),
                Kind::Seat => {}
            },
        }
    }

    /// It goes: it need not see what comes now.
    fn leaves(&mut self) {
        self.is_leaving = true;
        self.name = None;
    }

    fn open(&mut self, around: &mut Around<'_>) -> usize {
        let shard = self.dice.below(around.shards);
        let conn = around.net.connect(self.index, self.ip(), self.kind.dialect(), shard);
        around.opened.push(conn);
        self.conn = Some(conn);
        self.is_leaving = false;
        self.opened_at = around.now;
        conn
    }

    fn connects(&mut self, which: usize, around: &mut Around<'_>) {
        self.open(around);
        self.wanted = name_of(self.index, which);
        match self.kind {
            Kind::Line | Kind::Slash => self.text_logs_in(around),
            Kind::Gob => self.gob_logs_in(around),
            Kind::Typed => self.typed_logs_in(which, around),
            Kind::Seat => {}
        }
    }

    fn sends(&mut self, bytes: &[u8], around: &mut Around<'_>) {
        let bytes = match self.kind {
            Kind::Line | Kind::Slash => &lines_as(self.program, bytes)[..],
            Kind::Gob | Kind::Typed | Kind::Seat => bytes,
        };
        if let Some(conn) = self.conn.filter(|_| !self.is_leaving) {
            around.net.client_sends(conn, around.now, bytes);
        }
    }

    /// Bytes that nobody takes for something that was said.
    fn sends_garbage(&mut self, count: usize, around: &mut Around<'_>) {
        let mut bytes: Vec<u8> = (0..count).map(|_| self.dice.next() as u8).collect();
        if self.kind == Kind::Slash && !self.is_logged_in {
            // It may be taken for the password.
            self.text.is_unsure();
        }
        match self.kind {
            Kind::Line => bytes.insert(0, b'?'),
            Kind::Slash => bytes.insert(0, b'/'),
            // Their streams end with it.
            Kind::Gob | Kind::Typed | Kind::Seat => bytes.insert(0, 0xf0),
        }
        if matches!(self.kind, Kind::Line | Kind::Slash) {
            bytes.retain(|byte| *byte != b'\n' && *byte < 0x80 && *byte != b'\r');
            // Not a command that means something.
            bytes.insert(1, b'?');
            bytes.push(b'\n');
        }
        self.sends(&bytes, around);
        if let (Kind::Gob | Kind::Typed, Some(conn)) = (self.kind, self.conn) {
            around.net.client_ends(conn, around.now);
            self.leaves();
        }
    }

    /// The number and the text of something that it is about to say in its room.
    fn says(&mut self, bytes: usize, around: &mut Around<'_>) -> String {
        let mut rooms = self.rooms.clone();
        // A host may have closed it.
        rooms.push(ROOMS[0]);
        let number = around.book.sends(self.index, self.conn, Aim::Room(rooms));
        self.said.push(number);
        text_of(number, bytes)
    }

    /// The same for one alone.
    fn says_to(&mut self, to: &str, bytes: usize, around: &mut Around<'_>) -> String {
        let number = around.book.sends(self.index, self.conn, Aim::Direct(to.to_owned()));
        text_of(number, bytes)
    }

    /// The password that it shows for a name, mostly the right one, on a stream or in a handshake.
    fn password_of(&mut self, name: &str, conn: Option<usize>, around: &mut Around<'_>) -> String {
        self.passwords += 1;
        let is_wrong = self.passwords.is_multiple_of(WRONG_PASSWORD_EVERY) && !self.is_careful;
        let password = match around.book.old_password(name) {
            _ if !is_wrong => around.book.password(name),
            // It was right once.
            Some(old) if self.passwords.is_multiple_of(2) => old,
            _ => WRONG_PASSWORD.to_owned(),
        };
        around.book.shows(self.index, conn, name, &password);
        password
    }

    fn is_told_name(&mut self, name: &str) {
        self.name = Some(name.to_owned());
        self.may_be(name);
    }

    fn may_be(&mut self, name: &str) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }

    /// It was told that it is in a room.
    fn enters(&mut self, room: &str, around: &mut Around<'_>) {
        self.leaves_room(around);
        let room = ROOMS.into_iter().find(|&known| known == room);
        let room = room.unwrap_or_else(|| panic!("client {} is in a room that nobody makes", self.index));
        let asked_for = self.rooms.iter().position(|&asked| asked == room);
        // What it asked for after that may come true yet.
        self.rooms.drain(..asked_for.unwrap_or(0));
        if asked_for.is_none() {
            self.rooms.insert(0, room);
        }
        let began = around.book.count_in(room);
        self.stay = Some(Stay { room, began, shows_past: around.shows_past, seen: Vec::new() });
    }

    fn leaves_room(&mut self, around: &mut Around<'_>) {
        if let (Some(stay), Some(conn)) = (self.stay.take(), self.conn) {
            around.book.check_stay(conn, self.echoes(), &stay, true);
        }
    }

    fn sees(&mut self, sender: &str, text: &str, around: &mut Around<'_>) {
        let Some(stay) = &mut self.stay else {
            panic!("client {} is in no room, and sees {text} of {sender}", self.index)
        };
        around.book.sees(stay, sender, text);
    }

    fn sees_direct(&mut self, sender: &str, text: &str, around: &mut Around<'_>) {
        around.book.sees_direct(self.index, &self.names, sender, text);
    }

    fn misses(&mut self, count: u64) {
        if let Some(stay) = &mut self.stay {
            stay.seen.push(crate::book::Seen::Missed(count));
        }
    }

    /// Reads what has arrived, if it reads at all. Whether it read something.
    pub(crate) fn reads(&mut self, around: &mut Around<'_>) -> bool {
        let Some(conn) = self.conn else { return false };
        if around.now < self.stalls_until {
            return false;
        }
        // Not more than comes at once: so others' pieces come between.
        let bytes = around.net.conns[conn].down.read(16 << 10);
        let is_news = !bytes.is_empty();
        if is_news {
            self.input.extend_from_slice(&bytes);
            match self.kind {
                Kind::Line | Kind::Slash => self.text_hears(around),
                Kind::Gob => self.gob_hears(around),
                Kind::Typed => self.typed_hears(around),
                Kind::Seat => self.seat_hears(around),
            }
        }
        let down = &around.net.conns[conn].down;
        if down.has_arrived() == 0 && down.end != End::Open {
            let how = down.end;
            trace!("client {}: its stream {conn} ends: {how:?}", self.index);
            if how == End::Ended && !self.is_leaving {
                self.check_last_words(around);
            }
            around.net.client_ends(conn, around.now);
            self.ends(around);
        }
        is_news
    }

    /// The server closed a stream which its client did not: it has said why, where it could.
    fn check_last_words(&self, around: &Around<'_>) {
        let is_explained = match self.kind {
            Kind::Line => {
                ["ERR ", "INFO server shutting down"].iter().any(|why| self.last_heard.starts_with(why))
            }
            Kind::Slash => {
                let whys = [
                    "ERROR: ",
                    "*** replaced by a new login",
                    "*** the account was deleted",
                    "Registration failed",
                    "Login failed",
                    "Invalid nickname",
                    "*** server shutting down",
                ];
                whys.iter().any(|why| self.last_heard.starts_with(why))
            }
            // Gob may have said it in a frame that is cut by the reset that garbage brings; the others have no words.
            Kind::Gob | Kind::Typed | Kind::Seat => true,
        };
        // A few bytes of space may not have been enough for the words, where nobody was let in.
        let is_refused = self.conn.is_some_and(|conn| around.net.conns[conn].id.is_none());
        // Nobody waits for ever for it to read them.
        let is_slow = around.now < self.dawdled_until + Duration::from_secs(30)
            || around.net.weather.delay_micros > 20_000;
        assert!(
            is_explained || is_refused || is_slow || !self.input.is_empty(),
            "client {} is closed without a reason; it heard last {:?}",
            self.index,
            self.last_heard
        );
    }

    /// Its stream is gone.
    pub(crate) fn ends(&mut self, around: &mut Around<'_>) {
        self.leaves_room(around);
        self.check_rate(around);
        if let Some(conn) = self.conn.take() {
            around.net.conns[conn].is_held = false;
        }
        self.input.clear();
        self.name = None;
        self.is_logged_in = false;
        self.rooms.clear();
        self.said.clear();
        (self.pings, self.pongs, self.refused) = (0, 0, 0);
        self.last_heard.clear();
        self.text.stream_ends();
        self.typed.stream_ends();
        self.seat.stream_ends();
    }

    /// No more of what it said was done than a session may say, in the time that its stream is there.
    fn check_rate(&self, around: &Around<'_>) {
        let Some(a_second) = around.session_messages else { return };
        let seconds = RATE_SECONDS_HELD + around.now.saturating_sub(self.opened_at).as_secs() + 1;
        let done = self.said.iter().filter(|&&number| around.book.is_in_a_room(number)).count() as u64;
        assert!(done <= a_second * seconds, "client {} said {done} in {seconds} s", self.index);
    }

    /// At the end, when all is quiet: it has seen and been answered everything.
    pub(crate) fn check_at_rest(&mut self, around: &mut Around<'_>) {
        let Some(conn) = self.conn.filter(|_| !self.is_leaving) else { return };
        let index = self.index;
        if let Some(stay) = &self.stay {
            around.book.check_stay(conn, self.kind == Kind::Slash, stay, false);
        }
        self.check_rate(around);
        let mut excused = self.refused;
        for &number in &self.said {
            if excused > 0 && !around.book.is_told(number) {
                excused -= 1;
            } else {
                around.book.must_be_said(number, index);
            }
        }
        let unanswered = self.pings - self.pongs;
        assert!(unanswered <= excused, "client {index} waits for {unanswered} signs of life");
        self.text.check_at_rest(index);
        self.typed.check_at_rest(index);
    }
}

/// Lines as different programs send them: with their own ends, behind byte order marks, and with Telnet
/// between them.
fn lines_as(program: u64, bytes: &[u8]) -> Vec<u8> {
    let (front, end): (&[u8], &[u8]) = match program % 8 {
        0..3 => (b"", b"\n"),
        3 => (b"\xef\xbb\xbf", b"\r\n"),
        4 => (b"", b"\r"),
        5 => (b"\xff\xf1", b"\r\0"),
        6 => (b"half a line\xff\xf4\xff\xf2", b"\r\0\r\n"),
        _ => (b"\xff\xfa\x18\0a\nb\xff\xf0\xff\xfe\x01", b"\r\n"),
    };
    let mut lines = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        lines.extend_from_slice(front);
        lines.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        lines.extend_from_slice(if line.ends_with(b"\n") { end } else { b"" });
    }
    lines
}
