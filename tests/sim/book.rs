//! What must be true, whatever happens: kept beside the server, from what clients sent and saw, and from what was handed to
//! the store.
//!
//! What was said in rooms has an order, which is that of the changes handed to the store: each member must see a part of it
//! without a hole of which it was not told. Each text has a number, so that it is known who sent it, where and to whom.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use parlance::chat::{Change, Kept, Op, OpId, PasswordHash, RoomMessage, Seat, Token};
use parlance::limits::UNUSED_ACCOUNT_DAYS;
use parlance::store::{self, Options, Reader, StoreError, StoreSpec};

use crate::client::{account_name, accounts};
use crate::guesses::Guesses;
use crate::model::Model;
use crate::owners::{Ask, Owners};
use crate::script::{ACCOUNTS, ROOMS};

/// Changes that are handed to the other store at once.
const SQLITE_GROUP: usize = 64;

/// The number of a text.
pub(crate) type Number = usize;

/// What a text was sent for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Aim {
    /// To be said in a room: one of those that its sender may be in, as far as it knows.
    Room(Vec<&'static str>),
    /// To be read by whoever has this name.
    Direct(String),
}

#[derive(Clone, Debug)]
struct Sent {
    client: usize,
    /// The stream, or none where it went out in datagrams.
    conn: Option<usize>,
    aim: Aim,
    /// How often it may arrive.
    copies: u32,
}

/// Part of what a member of a room saw, in order.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    Said(Number),
    /// It was told that it missed so many messages.
    Missed(u64),
}

/// A member's time in a room, from when it was told of it.
#[derive(Clone, Debug)]
pub(crate) struct Stay {
    pub(crate) room: &'static str,
    /// Messages that had been said there then: all behind these are for it.
    pub(crate) began: usize,
    /// It may have been shown some of what was said before, and not all of that is kept.
    pub(crate) shows_past: bool,
    pub(crate) seen: Vec<Seen>,
}

/// Something that a client was promised.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Fact {
    Account(String),
    Mail(OpId),
    Deleted(OpId),
    Seat(Token),
    /// The account of a name has this password, which no other one has.
    Password(String),
    /// The account of a name was deleted when a stream had asked for that.
    Ended(usize, String),
}

#[derive(Default)]
pub(crate) struct Book {
    sent: Vec<Sent>,
    /// All changes, in their order, that were handed to the store and not lost with the power.
    ops: Vec<Op>,
    /// So many of them are kept.
    committed: usize,
    /// The number of them at the start of the server.
    changes_at_start: usize,
    model: Model,
    facts: HashMap<Fact, usize>,
    said: HashMap<&'static str, Vec<Number>>,
    /// Where each text was said, and the how manieth it was there; the latest, of copies.
    places: HashMap<Number, Vec<(&'static str, usize)>>,
    /// Texts that somebody saw and that were not handed to the store.
    unkept: HashSet<Number>,
    /// How many those may be.
    pub(crate) unkept_max: u64,
    /// The highest number that each stream's texts in rooms have reached.
    last_said: HashMap<usize, Number>,
    /// Who saw a text that was for one.
    directs: HashMap<Number, Vec<usize>>,
    /// The numbers of letters.
    letters: HashMap<OpId, Number>,
    /// The letters of a number, each with the index of its change.
    posts: HashMap<Number, Vec<Post>>,
    /// Who may speak and read under the names of accounts.
    owners: Owners,
    /// The wrong passwords that clients were told of.
    pub(crate) guesses: Guesses,
    /// The present time.
    pub(crate) now: Duration,
    /// The next changes come from an import.
    pub(crate) is_importing: bool,
    /// The disk has failed: what was not kept may have been undone.
    pub(crate) has_disk_failed: bool,
    /// What the last message to each seat's address was, by room.
    to_seats: HashMap<(std::net::SocketAddr, &'static str), usize>,
    /// By client, how many of its texts somebody in a room has seen first, and the highest number of those.
    pub(crate) heard: HashMap<usize, (usize, Number)>,
    pub(crate) counts: Counts,
}

/// What was seen, so that a test can tell that something was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) said: u64,
    pub(crate) seen: u64,
    pub(crate) missed: u64,
    pub(crate) directs: u64,
    pub(crate) promises: u64,
    pub(crate) crashes: u64,
    pub(crate) lost_ops: u64,
    pub(crate) closed: u64,
    pub(crate) letters_compared: u64,
    /// Accounts made, passwords changed and accounts deleted by a session for itself.
    pub(crate) own_accounts: u64,
    pub(crate) own_passwords: u64,
    pub(crate) own_deletions: u64,
    /// Letters shown by the commands for mail.
    pub(crate) mail_shown: u64,
    pub(crate) cleared: u64,
    pub(crate) expired: u64,
    /// Passwords that were not looked at, because of wrong ones before.
    pub(crate) locked_out: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.said += other.said;
        self.seen += other.seen;
        self.missed += other.missed;
        self.directs += other.directs;
        self.promises += other.promises;
        self.crashes += other.crashes;
        self.lost_ops += other.lost_ops;
        self.closed += other.closed;
        self.letters_compared += other.letters_compared;
        self.own_accounts += other.own_accounts;
        self.own_passwords += other.own_passwords;
        self.own_deletions += other.own_deletions;
        self.mail_shown += other.mail_shown;
        self.cleared += other.cleared;
        self.expired += other.expired;
        self.locked_out += other.locked_out;
    }
}

/// The text of a number: it stands in front, and filling behind it.
pub(crate) fn text_of(number: Number, bytes: usize) -> String {
    let mut text = format!("n{number}");
    if bytes > 0 {
        _ = write!(text, " {}", "x".repeat(bytes));
    }
    text
}

/// The number of a text, if it is one of ours.
pub(crate) fn number_of(text: &str) -> Option<Number> {
    text.split(' ').next()?.strip_prefix('n')?.parse().ok()
}

/// A name by which only one client goes has its number in it: `p7a`, or `p7a~2`, where it got another one like it.
pub(crate) fn owner_of(name: &str) -> Option<usize> {
    let rest = name.strip_prefix('p')?;
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if rest[digits..].is_empty() { None } else { rest[..digits].parse().ok() }
}

/// A letter.
#[derive(Clone, Copy, Debug)]
struct Post {
    /// The changes before it.
    index: usize,
    /// The accounts that it is between.
    sides: [Option<OpId>; 2],
}

/// The password in what the simulated server takes for a hash.
pub(crate) fn password_in(hash: &PasswordHash) -> &str {
    hash.as_str().strip_prefix("$argon2id$").expect("it is one of ours")
}

fn room_of(name: &str) -> &'static str {
    ROOMS.into_iter().find(|&room| room == name).unwrap_or_else(|| panic!("nobody makes a room {name}"))
}

impl Book {
    /// A client sends a password for a name, on a stream or in a handshake.
    pub(crate) fn shows(&mut self, client: usize, conn: Option<usize>, name: &str, password: &str) {
        let stored = self.model.stored_of(name);
        self.owners.shows(client, conn, name, password, stored.as_ref().map(|(id, hash)| (*id, hash)));
    }

    /// A stream asks for a change of the account of a name.
    pub(crate) fn asks(&mut self, conn: usize, name: &str, ask: Ask) {
        self.owners.asks(conn, name, ask);
    }

    /// The password of a name as its owners know it: that of its account, or the one for the next account.
    pub(crate) fn password(&self, name: &str) -> String {
        let stored = self.model.stored_of(name);
        stored.map_or_else(|| self.owners.first_password(name), |(_, hash)| password_in(&hash).to_owned())
    }

    /// Whether a name has an account.
    pub(crate) fn has_account(&self, name: &str) -> bool {
        self.model.account_name(name).is_some()
    }

    /// A password that no account has had.
    pub(crate) fn new_password(&mut self, name: &str) -> String {
        self.owners.new_password(name)
    }

    /// One that an account had before.
    pub(crate) fn old_password(&self, name: &str) -> Option<String> {
        self.owners.old_password(name)
    }

    /// A stream is told that a password is right or wrong, which it sent at a time.
    pub(crate) fn is_told_of_password(
        &self,
        (client, conn): (usize, usize),
        name: &str,
        password: &str,
        (sent, is_right): (Duration, bool),
    ) {
        let whose = format!("client {client} on stream {conn}");
        let was = self.owners.was_right(conn, name, password);
        if is_right {
            assert!(was, "{whose} is let in as {name} with {password}, which was never right");
        } else {
            let has_always = self.owners.has_been_right_since(name, password, sent);
            assert!(!has_always, "{whose} is told that {password} of {name} is wrong");
        }
        let is_closed = self.guesses.is_closed_throughout(client, name, sent, self.now);
        assert!(!is_closed, "{whose} is told of a password of {name} after too many wrong ones");
    }

    /// A stream was let in with what it has sent for a name.
    pub(crate) fn is_let_in(&mut self, conn: usize, name: &str) {
        self.owners.is_let_in(conn, name);
    }

    /// A client is told that it has sent too many wrong passwords, for one that it sent at a time.
    pub(crate) fn is_locked_out(&mut self, client: usize, name: &str, sent: Duration) {
        self.counts.locked_out += 1;
        let is_closed = self.guesses.is_closed_sometime(client, name, sent, self.now);
        assert!(is_closed, "client {client} is locked out of {name}, and has not guessed");
    }

    /// A stream asks for another name.
    pub(crate) fn renames(&mut self, conn: usize) {
        self.owners.renames(conn);
    }

    /// A stream reads a letter in its mailbox.
    pub(crate) fn sees_letter_of(&mut self, conn: usize, name: &str, sender: &str, number: Number) {
        self.counts.mail_shown += 1;
        self.check_sender(number, sender);
        self.sees_mail(conn, name, number);
    }

    /// A stream is shown a letter as the owner of an account, which must be one of the two that it is between.
    pub(crate) fn sees_mail(&self, conn: usize, name: &str, number: Number) {
        let posts = self.posts.get(&number).map_or(&[][..], Vec::as_slice);
        let is_its = posts.iter().any(|post| {
            let mut sides = post.sides.iter().flatten();
            sides.any(|&account| self.owners.may_read(conn, name, account, post.index))
        });
        assert!(is_its, "stream {conn} reads text {number} as {name}: {posts:?}");
    }

    /// A handshake gets a seat, with the password if the name has an account.
    fn is_seated(&self, seat: &Seat) {
        let IpAddr::V4(ip) = seat.ip else { panic!("a seat is given to {}", seat.ip) };
        let [_, _, high, low] = ip.octets();
        let client = usize::from(high) << 8 | usize::from(low);
        if let Some(account) = self.model.account_id(&seat.name) {
            let is_proved = self.owners.has_proved_in_handshake(client, &seat.name, account);
            assert!(is_proved, "client {client} gets a seat as {}", seat.name);
        }
    }

    /// A client is about to send a text; its number.
    pub(crate) fn sends(&mut self, client: usize, conn: Option<usize>, aim: Aim) -> Number {
        self.counts.sent += 1;
        let copies = u32::from(conn.is_some());
        self.sent.push(Sent { client, conn, aim, copies });
        self.sent.len() - 1
    }

    /// So many copies of a text reach the server.
    pub(crate) fn copies(&mut self, number: Number, copies: u32) {
        self.sent[number].copies += copies;
    }

    /// How many messages were said in a room.
    pub(crate) fn count_in(&self, room: &str) -> usize {
        self.said.get(room).map_or(0, Vec::len)
    }

    fn check_sender(&self, number: Number, sender: &str) {
        let Some(sent) = self.sent.get(number) else {
            panic!("{sender} says text {number}, which nobody sent")
        };
        if let Some(owner) = owner_of(sender) {
            assert_eq!(
                owner, sent.client,
                "text {number} is said under the name of client {owner}: {sender}"
            );
        } else {
            let is_shared = ["star", "acc", "once"].iter().any(|start| sender.starts_with(start));
            assert!(is_shared, "nobody goes by the name of {sender}, who says text {number}");
        }
    }

    /// Changes were handed to the store.
    pub(crate) fn changes(&mut self, ops: Vec<Op>) {
        for op in ops {
            let last = self.ops.last().map(|op| op.id);
            assert!(last < Some(op.id), "ids rise: {last:?}, then {:?}", op.id);
            self.look_at(&op);
            self.model.apply(&op);
            self.note_password(&op);
            self.ops.push(op);
        }
        for account in (0..ACCOUNTS).map(account_name) {
            let is_together = self.is_together(&account) || self.owners.are_apart(&account);
            assert!(is_together, "{account} has seats at several addresses");
        }
    }

    /// Whether the seats of a name are all at one address.
    fn is_together(&self, name: &str) -> bool {
        let mut ips = self.model.ips_of(name);
        let first = ips.next();
        ips.all(|ip| Some(ip) == first)
    }

    fn look_at(&mut self, op: &Op) {
        let index = self.ops.len();
        match &op.change {
            Change::Said { room, sender, text } => self.is_said(room_of(room), sender, text),
            Change::MailSent { sender, sender_account, recipient, recipient_account, content, .. } => {
                if let Some(number) = number_of(content) {
                    self.check_sender(number, sender);
                    let Aim::Direct(to) = &self.sent[number].aim else {
                        panic!("text {number} was for a room, and is in the mailbox of {recipient}")
                    };
                    assert_eq!(to, &**recipient, "text {number} is in somebody else's mailbox");
                    _ = self.letters.insert(op.id, number);
                    let sides = [*sender_account, *recipient_account];
                    self.posts.entry(number).or_default().push(Post { index, sides });
                }
                self.is_fact(Fact::Mail(op.id), index);
            }
            Change::AccountCreated { name, password, .. } => {
                let password = password_in(password);
                let is_asked_for = self.is_importing || self.owners.is_shown(name, password);
                assert!(is_asked_for, "{name} has an account with a password that no client sent");
                self.counts.own_accounts += u64::from(self.owners.registers(name, password));
                // A seat that was taken without the password is not the account's.
                let is_new = self.model.account_name(name).is_none();
                assert!(!is_new || !self.model.has_seat_of(name), "{name} has an account, and seats before");
                self.is_fact(Fact::Account(name.to_lowercase()), index);
                self.is_fact(Fact::Password(password.to_owned()), index);
            }
            Change::MailDeleted { message, .. } => {
                self.is_fact(Fact::Deleted(*message), index);
                // With the same key, it may be sent once more.
                if let Some(&number) = self.letters.get(message) {
                    self.sent[number].copies += 1;
                }
            }
            Change::AccountDeleted { name, account } => {
                assert!(!self.model.has_seat_of(name), "{name} has no account any more, and has seats");
                self.is_deleted(name, *account, op);
                for &conn in self.owners.who_asked(name, Ask::End) {
                    _ = self.facts.entry(Fact::Ended(conn, name.to_string())).or_insert(index);
                }
                for &number in self.letters.values() {
                    self.sent[number].copies += 1;
                }
            }
            Change::RoomMade { host: seat, .. } | Change::SeatTaken { seat, .. } => {
                self.is_seated(seat);
                self.is_fact(Fact::Seat(seat.token), index);
            }
            Change::PasswordChanged { name, account, password } => {
                self.is_password_changed(name, *account, password_in(password));
                self.is_fact(Fact::Password(password_in(password).to_owned()), index);
            }
            Change::ConversationCleared { by, messages } => self.is_cleared(by, messages),
            Change::AccountUsed { .. }
            | Change::MailRead { .. }
            | Change::SeatLeft { .. }
            | Change::RoomClosed { .. } => {}
        }
    }

    /// An account is deleted: by its owner, after 30 days without use, or because the store did not keep it.
    fn is_deleted(&mut self, name: &str, account: Option<OpId>, op: &Op) {
        let account = account.unwrap_or_else(|| panic!("{name} is deleted without its id"));
        let is_unused = self.model.is_unused(name);
        let age = op.at.0.saturating_sub(account.at().0);
        let is_over = is_unused && age > UNUSED_ACCOUNT_DAYS * 24 * 60 * 60 * 1000;
        let made = self.ops.iter().rposition(|op| op.id == account);
        // What the server found when it started was kept.
        let is_new = made.is_some_and(|made| made >= self.changes_at_start);
        let is_undone = self.has_disk_failed && is_new;
        let is_asked_for = self.owners.deletes(name, account);
        assert!(is_asked_for || is_over || is_undone, "{name} is deleted without a request");
        // The first one made it.
        let is_used = self.owners.logins(account) > 1 && !self.has_disk_failed;
        assert!(is_asked_for || !is_used, "{name} is deleted as unused, and was used");
        self.counts.expired += u64::from(is_over);
        self.counts.own_deletions += u64::from(self.owners.deleted(name, self.ops.len()));
    }

    /// An account has another password: its owner has asked for that, or one that was not kept is undone.
    fn is_password_changed(&mut self, name: &str, account: Option<OpId>, password: &str) {
        let account = account.unwrap_or_else(|| panic!("{name} has a new password without its id"));
        assert_eq!(self.model.account_id(name), Some(account), "{name} has a new password");
        if self.owners.changes_password(name, account, password, self.ops.len()) {
            self.counts.own_passwords += 1;
            assert!(
                !self.model.has_seat_of(name),
                "{name} has a new password, and seats that had the old one"
            );
        } else {
            let was_its = self.owners.had(name, password);
            assert!(was_its && self.has_disk_failed, "{name} has the password {password} without a request");
        }
    }

    /// An account has lost its view of letters: its owner has asked for that, and they are of that conversation.
    fn is_cleared(&mut self, by: &str, messages: &[OpId]) {
        self.counts.cleared += 1;
        let account = self.model.account_id(by).unwrap_or_else(|| panic!("{by} has no mailbox to clear"));
        for &message in messages {
            let others = self.model.others_of(message, account);
            let others = others.unwrap_or_else(|| panic!("{by} does not see {message:?}, which it clears"));
            let is_asked_for = self.owners.clears(by, account, &others);
            assert!(is_asked_for, "{by} clears {message:?} with {others} without a request");
        }
    }

    /// Who has shown a password of an account has proved it.
    fn note_password(&mut self, op: &Op) {
        let (name, is_gone) = match &op.change {
            Change::AccountCreated { name, .. } | Change::PasswordChanged { name, .. } => (name, false),
            Change::AccountDeleted { name, .. } => (name, true),
            _ => return,
        };
        let stored = self.model.stored_of(name).filter(|_| !is_gone);
        self.owners.stores(name, stored.as_ref().map(|(id, hash)| (*id, hash)), self.now);
    }

    /// The first change that made it so: an answer may be older than the last one.
    fn is_fact(&mut self, fact: Fact, index: usize) {
        _ = self.facts.entry(fact).or_insert(index);
    }

    fn is_said(&mut self, room: &'static str, sender: &str, text: &str) {
        let Some(number) = number_of(text) else {
            // It was imported.
            return self.said.entry(room).or_default().push(usize::MAX);
        };
        self.check_sender(number, sender);
        let Sent { conn, aim, copies, .. } = &self.sent[number];
        match aim {
            Aim::Room(rooms) => {
                assert!(rooms.contains(&room), "text {number} was for {rooms:?}, and is said in {room}");
            }
            Aim::Direct(to) => panic!("text {number} was for {to} alone, and is said in {room}"),
        }
        if sender.starts_with("acc") {
            let account = self.model.account_id(sender);
            match *conn {
                Some(conn) => {
                    let is_elsewhere = account.is_some() && self.model.has_seat_of(sender);
                    assert!(!is_elsewhere, "{sender} speaks on stream {conn}, and has seats");
                    self.owners.speaks(conn, sender, account);
                }
                None => assert!(self.model.has_seat_of(sender), "{sender} speaks without a seat"),
            }
        }
        if let Some(conn) = *conn {
            let last = self.last_said.insert(conn, number);
            assert!(last < Some(number), "of one stream, text {number} is said behind {last:?}");
        }
        let said = self.said.entry(room).or_default();
        said.push(number);
        let places = self.places.entry(number).or_default();
        places.push((room, said.len() - 1));
        assert!(places.len() <= *copies as usize, "text {number} is said {} times", places.len());
        self.counts.said += 1;
    }

    /// So many more of the changes are kept.
    pub(crate) fn commits(&mut self, count: usize) {
        self.committed += count;
        assert!(self.committed <= self.ops.len(), "more is kept than was changed");
    }

    /// A client was told that something is kept.
    pub(crate) fn is_promised(&mut self, fact: &Fact, to: &str) {
        self.counts.promises += 1;
        let index = self.facts.get(fact);
        let index = index.unwrap_or_else(|| panic!("{to} is promised {fact:?}, which is not there"));
        assert!(
            *index < self.committed,
            "{to} is promised {fact:?}, change {index}, when {} are kept",
            self.committed
        );
    }

    /// Whether somebody sees a letter.
    pub(crate) fn has_letter(&self, letter: OpId) -> bool {
        self.model.letter_ids().contains(&letter)
    }

    /// Whether a change was made.
    pub(crate) fn has(&self, fact: &Fact) -> bool {
        self.facts.contains_key(fact)
    }

    /// The server starts with what a store had: a part of the changes from the first on, among which are all that were kept.
    pub(crate) fn restarts(&mut self, kept: &[Kept], last: Option<OpId>) {
        self.is_cut(last);
        let wanted = self.model.kept();
        let differs = kept.iter().zip(&wanted).position(|(one, other)| one != other);
        if let Some(at) = differs.or((kept.len() != wanted.len()).then_some(kept.len().min(wanted.len()))) {
            panic!("after a restart {:?} is there for {:?}", kept.get(at), wanted.get(at));
        }
    }

    /// Of the changes, only those up to one are there.
    pub(crate) fn is_cut(&mut self, last: Option<OpId>) {
        let survived = match last {
            None => 0,
            Some(last) => self.ops.iter().rposition(|op| op.id <= last).map_or(0, |index| index + 1),
        };
        assert!(
            survived >= self.committed,
            "{} changes were kept, and {survived} are there after a restart",
            self.committed
        );
        self.counts.lost_ops += (self.ops.len() - survived) as u64;
        self.ops.truncate(survived);
        self.committed = survived;
        self.changes_at_start = survived;
        self.facts.retain(|_, index| *index < survived);
        self.model = Model::default();
        self.ops.iter().for_each(|op| self.model.apply(op));
        // A new seat may be kept without the end of the old one.
        let apart = (0..ACCOUNTS).map(account_name).filter(|account| !self.is_together(account));
        let apart: Vec<_> = apart.collect();
        self.owners.restarts(apart);
        self.guesses.restarts(self.now);
        for name in accounts() {
            let stored = self.model.stored_of(&name);
            self.owners.stores(&name, stored.as_ref().map(|(id, hash)| (*id, hash)), self.now);
        }
        assert_eq!(last, self.model.last, "the last id that was given out");
    }

    /// The same for what a store has of rooms, before the server takes it over.
    pub(crate) fn compare_at_start(&mut self, store: &mut dyn Reader) -> Result<(), StoreError> {
        let last = store.load(&mut |_| {})?;
        self.is_cut(last);
        self.compare_rooms(store);
        Ok(())
    }

    /// What a store has of rooms is what was kept of them.
    pub(crate) fn compare_rooms(&self, store: &mut dyn Reader) {
        for room in ROOMS {
            let history = store.history(room, None, usize::MAX).expect("the disk is well");
            let wanted: Vec<RoomMessage> = self.model.messages(room);
            assert_eq!(history.len(), wanted.len(), "messages of {room}");
            for (one, other) in history.iter().zip(&wanted) {
                assert_eq!(one, other, "in {room}");
            }
        }
    }

    /// The other store makes the same of the same changes, also when it is opened again.
    pub(crate) fn compare_in_sqlite(&mut self) {
        let directory = tempfile::tempdir().expect("a directory");
        let spec = StoreSpec::Sqlite(directory.path().join("chat.db"));
        let open = || store::open(&spec, &Options::default()).expect("a store");
        let mut store = open();
        for ops in self.ops.chunks(SQLITE_GROUP) {
            store.commit(ops).expect("the disk is well");
        }
        drop(store);
        let mut store = open();
        let mut kept = Vec::new();
        let last = store.load(&mut |part| kept.push(part)).expect("the disk is well");
        self.restarts(&kept, last);
        self.compare_rooms(&mut *store);
    }

    /// What the mailboxes must be.
    pub(crate) fn kept(&self) -> Vec<Kept> {
        self.model.kept()
    }

    /// Somebody saw a text that was said in a room.
    pub(crate) fn sees(&mut self, stay: &mut Stay, sender: &str, text: &str) {
        let Some(number) = number_of(text) else { return };
        self.check_sender(number, sender);
        self.counts.seen += 1;
        let (count, last) = self.heard.entry(self.sent[number].client).or_default();
        if *count == 0 || number > *last {
            (*count, *last) = (*count + 1, number);
        }
        if !self.places.contains_key(&number) {
            self.sees_unkept(number, stay.room);
        }
        stay.seen.push(Seen::Said(number));
    }

    fn sees_unkept(&mut self, number: Number, room: &'static str) {
        let Aim::Room(rooms) = &self.sent[number].aim else { panic!("text {number} was for one alone") };
        assert!(rooms.contains(&room), "text {number} was for {rooms:?}, and is seen in {room}");
        _ = self.unkept.insert(number);
        let count = self.unkept.len() as u64;
        assert!(count <= self.unkept_max, "text {number} is seen, was not kept, and nobody said so");
    }

    /// Of a text that was said more than once, one was not kept; else something is wrong.
    fn is_unkept_copy(&mut self, number: Number, what: &str) {
        let has_copies = self.sent[number].copies > 1;
        let is_new = self.unkept.insert(number);
        assert!(has_copies && (!is_new || self.unkept.len() as u64 <= self.unkept_max), "{what}");
    }

    /// Whether somebody was told of a text of a room, kept or not.
    pub(crate) fn is_told(&self, number: Number) -> bool {
        self.is_in_a_room(number) || self.unkept.contains(&number)
    }

    /// Whether a text was said in a room.
    pub(crate) fn is_in_a_room(&self, number: Number) -> bool {
        self.places.contains_key(&number)
    }

    /// A text must have been said in a room, kept or not.
    pub(crate) fn must_be_said(&mut self, number: Number, whose: usize) {
        if !self.places.contains_key(&number) && self.unkept.insert(number) {
            let count = self.unkept.len() as u64;
            assert!(count <= self.unkept_max, "client {whose} said text {number}, which nobody was told of");
        }
    }

    /// Somebody saw a text that was for one alone. `names`: by which that client went, lately.
    pub(crate) fn sees_direct(&mut self, client: usize, names: &[String], sender: &str, text: &str) {
        let Some(number) = number_of(text) else { return };
        self.check_sender(number, sender);
        let Sent { aim, copies, .. } = &self.sent[number];
        let Aim::Direct(to) = aim else { panic!("text {number} was for a room, and came as for one alone") };
        assert!(
            names.iter().any(|name| name.eq_ignore_ascii_case(to)),
            "text {number} was for {to}, and client {client} got it, who went by {names:?}"
        );
        let seen = self.directs.entry(number).or_default();
        seen.push(client);
        assert!(seen.len() <= *copies as usize, "text {number}, for one alone, came {} times", seen.len());
        self.counts.directs += 1;
    }

    /// The same in a datagram, which the network may have doubled.
    pub(crate) fn sees_direct_in_datagram(
        &mut self,
        client: usize,
        names: &[String],
        sender: &str,
        text: &str,
    ) {
        let Some(number) = number_of(text) else { return };
        _ = self.directs.remove(&number);
        self.sees_direct(client, names, sender, text);
    }

    /// A text of a room came to somebody who has seats in some rooms.
    pub(crate) fn sees_in_datagram(&mut self, rooms: &[&'static str], sender: &str, text: &str) {
        let Some(number) = number_of(text) else { return };
        self.check_sender(number, sender);
        let places = self.places.get(&number);
        let is_there = places.is_some_and(|places| places.iter().any(|(room, _)| rooms.contains(room)));
        assert!(is_there || self.unkept.contains(&number), "text {number} came to a seat in {rooms:?}");
        self.counts.seen += 1;
    }

    /// Somebody sees a letter.
    pub(crate) fn check_letter(&self, number: Number, sender: &str, recipient: &str) {
        self.check_sender(number, sender);
        let aim = &self.sent[number].aim;
        assert_eq!(*aim, Aim::Direct(recipient.to_owned()), "text {number} is in a letter to {recipient}");
    }

    /// Holds a member's time in a room against what was said there. `is_over`: it need not have seen the end.
    pub(crate) fn check_stay(&mut self, conn: usize, echoes: bool, stay: &Stay, is_over: bool) {
        let said = self.said.get(stay.room).map_or(&[][..], Vec::as_slice);
        let is_own = |number: Number| number != usize::MAX && !echoes && self.sent[number].conn == Some(conn);
        let holes = |from: usize, to: usize| -> Vec<Number> {
            said.get(from..to).unwrap_or(&[]).iter().copied().filter(|&number| !is_own(number)).collect()
        };
        let from = |next: Option<usize>| match next {
            Some(next) if stay.shows_past => next.max(stay.began),
            Some(next) => next,
            None => stay.began,
        };
        let whose = format!("stream {conn} in {}", stay.room);
        let mut next = None;
        let mut missed = 0;
        let mut unkept = Vec::new();
        for (index, seen) in stay.seen.iter().enumerate() {
            let number = match *seen {
                Seen::Missed(count) => {
                    missed += count;
                    self.counts.missed += count;
                    continue;
                }
                Seen::Said(number) => number,
            };
            let Some(places) = self.places.get(&number) else { continue };
            let place = places.iter().filter(|(room, _)| *room == stay.room).map(|&(_, index)| index);
            // Of copies, the first that is not behind; at the beginning, the last that it may have come in before, as
            // long as there are as many from there on as it saw.
            let is_it = |seen: &&Seen| matches!(**seen, Seen::Said(other) if other == number);
            let times = stay.seen.iter().filter(is_it).count();
            let first_of_last = place.clone().rev().nth(times.saturating_sub(1)).unwrap_or(0);
            let at = if let Some(next) = next {
                place.clone().find(|&at| at >= next)
            } else {
                let mut before = place.clone().filter(|&at| at <= stay.began && at <= first_of_last);
                before.next_back().or(place.clone().next())
            };
            let Some(at) = at else {
                let elsewhere = if place.count() == 0 { "was never said there" } else { "came too late" };
                unkept.push((number, format!("{whose}: text {number} {elsewhere}")));
                continue;
            };
            let hole = holes(from(next), at);
            let count = hole.len() as u64;
            // Of copies, one that was not kept may come before the one that was. Then more are seen from here
            // on than were kept from here on.
            let seen_from_here = stay.seen[index..].iter().filter(is_it).count();
            let kept_from_here = place.clone().filter(|&at| next.is_none_or(|next| at >= next)).count();
            if count > missed && seen_from_here > kept_from_here {
                unkept.push((number, format!("{whose}: text {number} came before {hole:?}")));
                continue;
            }
            assert!(count <= missed, "{whose}: {hole:?} are missing before text {number}, told of {missed}");
            missed -= count;
            next = Some(at + 1);
        }
        if !is_over {
            let hole = holes(from(next), said.len());
            assert!(hole.len() as u64 <= missed, "{whose}: {hole:?} are missing at the end");
        }
        for (number, what) in unkept {
            self.is_unkept_copy(number, &what);
        }
    }

    /// A text of a room went out to the address of seats in some rooms.
    pub(crate) fn goes_to_seat(
        &mut self,
        address: std::net::SocketAddr,
        rooms: &[&'static str],
        sender: &str,
        text: &str,
    ) {
        let Some(number) = number_of(text) else { return };
        self.check_sender(number, sender);
        let places = self.places.get(&number).map_or(&[][..], Vec::as_slice);
        if places.is_empty() {
            _ = self.unkept.insert(number);
            assert!(
                self.unkept.len() as u64 <= self.unkept_max,
                "text {number} went to a seat, and was not said"
            );
            return;
        }
        let mut lasts = places.iter().filter(|(room, _)| rooms.contains(room)).peekable();
        assert!(lasts.peek().is_some(), "text {number} went to a seat in {rooms:?}");
        let is_next = lasts.any(|&(room, at)| {
            let last = self.to_seats.get(&(address, room));
            let is_next = last.is_none_or(|&last| at > last);
            if is_next {
                _ = self.to_seats.insert((address, room), at);
            }
            is_next
        });
        if !is_next {
            self.is_unkept_copy(number, &format!("text {number} went to {address} twice, or too late"));
        }
    }

    /// The address of seats belongs to other seats now, or to the same ones again.
    pub(crate) fn forgets_seats(&mut self) {
        self.to_seats.clear();
    }
}
