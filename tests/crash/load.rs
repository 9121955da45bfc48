//! Clients that have a server keep things, until it is gone.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use parlance::client::{ClientError, Entry, Mailbox, Seat};
use parlance::wire::Dialect;
use parlance::wire::tcrp::Operation;
use parlance::wire::typed::{Reply, Request};

use crate::dice::Dice;
use crate::notes::{Message, Notes, PEOPLE, RECIPIENT, Room, View};
use crate::program::{Program, deadline};

/// Requests that somebody sends before reading the answers, at most.
const BURST_MAX: usize = 10;
/// Accounts made in a round: each costs a hash, and a login in each later round.
const ACCOUNTS_MAX: usize = 2;
/// Guests of a room.
const GUESTS_MAX: usize = 16;
/// How far the talker counts in a round.
const TALK_MAX: u64 = 3000;

/// What the clients share.
#[derive(Clone)]
struct Shared {
    notes: Arc<Mutex<Notes>>,
    tell: Sender<()>,
    round: u64,
}

impl Shared {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().expect("nobody panicked")
    }

    /// Something was acknowledged. Who counts may have heard enough.
    fn acknowledged(&self) {
        let _ = self.tell.send(());
    }
}

/// Sets clients to work. They end when the server does.
pub(crate) fn start(
    server: &Program,
    notes: &Arc<Mutex<Notes>>,
    round: u64,
    seed: u64,
    tell: &Sender<()>,
) -> Vec<JoinHandle<()>> {
    let shared = Shared { notes: Arc::clone(notes), tell: tell.clone(), round };
    let mut dice = Dice(seed);
    let typed = server.address(Dialect::Typed);
    let mut workers = Vec::new();
    for person in 0..PEOPLE.len() {
        let writer = Writer { shared: shared.clone(), person, dice: Dice(dice.next()), sent: 0 };
        workers.push(until_it_ends(move || writer.work(typed)));
    }
    let (tcrp, ucrp) = (server.address(Dialect::Tcrp), server.address(Dialect::Ucrp));
    let host = shared.clone();
    workers.push(until_it_ends(move || fill_room(&host, tcrp, ucrp)));
    let maker = shared.clone();
    workers.push(until_it_ends(move || make_accounts(&maker, typed)));
    let line = server.address(Dialect::Line);
    workers.push(until_it_ends(move || talk(&shared, line)));
    workers
}

/// Gives everybody an account whom others write to.
pub(crate) fn introduce(server: &Program, notes: &mut Notes) {
    for name in PEOPLE {
        let mut mailbox = Mailbox::connect(server.address(Dialect::Typed), deadline()).expect("it listens");
        mailbox.login(name, &password(name), deadline()).expect("a new account");
        notes.account(name, &password(name));
    }
}

/// A thread whose work may fail with the connection, and in no other way.
fn until_it_ends(work: impl FnOnce() -> Result<(), ClientError> + Send + 'static) -> JoinHandle<()> {
    thread::spawn(|| match work() {
        Ok(()) | Err(ClientError::Closed | ClientError::Io(_) | ClientError::Unreachable(_)) => {}
        // Of a server that was told to stop.
        Err(ClientError::Refused(reason)) if reason == "the server is full" => {}
        Err(other) => panic!("{other}"),
    })
}

pub(crate) fn password(name: &str) -> String {
    format!("the password of {name}")
}

fn make_accounts(shared: &Shared, typed: SocketAddr) -> Result<(), ClientError> {
    for index in 0..ACCOUNTS_MAX {
        let name = format!("user-{}-{index}", shared.round);
        let password = password(&name);
        Mailbox::connect(typed, deadline())?.login(&name, &password, deadline())?;
        shared.notes().account(&name, &password);
        shared.acknowledged();
    }
    Ok(())
}

fn fill_room(shared: &Shared, tcrp: SocketAddr, ucrp: SocketAddr) -> Result<(), ClientError> {
    let room = format!("room {}", shared.round);
    let take = |name: &str, operation: Operation| {
        let entry = Entry { room: &room, operation, name, password: None };
        Seat::take(tcrp, Some(ucrp), &entry, deadline()).map(|seat| (name.to_owned(), seat.token()))
    };
    let host = take(&format!("host-{}", shared.round), Operation::Create)?;
    shared.notes().rooms.push(Room { name: room.clone(), host, guests: Vec::new() });
    shared.acknowledged();
    for index in 0..GUESTS_MAX {
        let guest = take(&format!("guest-{}-{index}", shared.round), Operation::Join)?;
        shared.notes().rooms.last_mut().expect("it was made").guests.push(guest);
        shared.acknowledged();
    }
    Ok(())
}

/// Counts in the lobby. Nobody is promised that this is kept.
fn talk(shared: &Shared, line: SocketAddr) -> Result<(), ClientError> {
    let mut stream = TcpStream::connect(line)?;
    stream.set_read_timeout(Some(crate::program::PATIENCE))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    stream.write_all(b"LOGIN talker\n")?;
    let end = shared.notes().talked + TALK_MAX;
    loop {
        let next = {
            let talked = &mut shared.notes().talked;
            *talked += 1;
            *talked
        };
        stream.write_all(format!("MSG {next}\nPING\n").as_bytes())?;
        let mut answer = String::new();
        while answer != "PONG\n" {
            answer.clear();
            if answers.read_line(&mut answer)? == 0 || next == end {
                return Ok(());
            }
        }
    }
}

/// Somebody who sends, reads and deletes.
struct Writer {
    shared: Shared,
    person: usize,
    dice: Dice,
    sent: usize,
}

/// What an answer acknowledges.
enum Pending {
    Kept(String),
    /// What was asked for before.
    Users(Vec<Effect>),
}

enum Effect {
    Read(Vec<String>),
    Deleted(String),
}

impl Writer {
    fn work(mut self, typed: SocketAddr) -> Result<(), ClientError> {
        let mut mailbox = Mailbox::connect(typed, deadline())?;
        let name = PEOPLE[self.person];
        mailbox.login(name, &password(name), deadline())?;
        self.shared.acknowledged();
        loop {
            let mut pending = VecDeque::new();
            let mut effects = Vec::new();
            for _ in 0..=self.dice.below(BURST_MAX) {
                match self.dice.below(10) {
                    0..6 => self.send(&mut mailbox, &mut pending)?,
                    6 => self.read(&mut mailbox, &mut effects)?,
                    7 => self.delete(&mut mailbox, &mut effects)?,
                    _ => {
                        mailbox.request(&Request::ListUsers)?;
                        pending.push_back(Pending::Users(std::mem::take(&mut effects)));
                    }
                }
            }
            mailbox.request(&Request::ListUsers)?;
            pending.push_back(Pending::Users(effects));
            for pending in pending {
                self.hear(&mut mailbox, pending)?;
            }
        }
    }

    fn other(&mut self) -> usize {
        (self.person + 1 + self.dice.below(PEOPLE.len() - 1)) % PEOPLE.len()
    }

    fn send(&mut self, mailbox: &mut Mailbox, pending: &mut VecDeque<Pending>) -> Result<(), ClientError> {
        let (from, to) = (self.person, self.other());
        let key = format!("{}-{}-{}", PEOPLE[from], self.shared.round, self.sent);
        self.sent += 1;
        let length = if self.dice.below(20) == 0 { 3000 } else { self.dice.below(100) };
        let content = format!("{key}: {}", "x".repeat(length));
        let views = [View::There; 2];
        let message = Message { from, to, content: content.clone(), id: None, is_read: false, views };
        self.shared.notes().messages.insert(key.clone(), message);
        mailbox.request(&Request::SendKept { recipient: PEOPLE[to], content: &content, key: &key })?;
        pending.push_back(Pending::Kept(key));
        Ok(())
    }

    fn read(&mut self, mailbox: &mut Mailbox, effects: &mut Vec<Effect>) -> Result<(), ClientError> {
        let from = self.other();
        // What came later may be read too.
        let mut notes = self.shared.notes();
        let mut there = notes.acknowledged(from, self.person);
        // Nobody reads what they have deleted.
        there.retain(|key| notes.message(key).views[RECIPIENT] == View::There);
        drop(notes);
        mailbox.mark_read(PEOPLE[from])?;
        effects.push(Effect::Read(there));
        Ok(())
    }

    fn delete(&mut self, mailbox: &mut Mailbox, effects: &mut Vec<Effect>) -> Result<(), ClientError> {
        let (person, other) = (self.person, self.other());
        let mut notes = self.shared.notes();
        let (from, to) = if self.dice.below(2) == 0 { (person, other) } else { (other, person) };
        let there = notes.acknowledged(from, to);
        if there.is_empty() {
            return Ok(());
        }
        let key = &there[self.dice.below(there.len())];
        let message = notes.message(key);
        message.delete(person, View::Unknown);
        let id = message.id.clone().expect("it was acknowledged");
        drop(notes);
        mailbox.delete_message(&id)?;
        effects.push(Effect::Deleted(key.clone()));
        Ok(())
    }

    fn hear(&self, mailbox: &mut Mailbox, pending: Pending) -> Result<(), ClientError> {
        match (mailbox.next_reply(deadline())?, pending) {
            (Reply::Kept { key, id }, Pending::Kept(sent)) => {
                assert_eq!(key, sent, "answers come in order");
                self.shared.notes().message(key).id = Some(id.to_owned());
            }
            (Reply::Users(_), Pending::Users(effects)) => {
                let mut notes = self.shared.notes();
                for effect in effects {
                    match effect {
                        Effect::Read(keys) => keys.iter().for_each(|key| notes.message(key).is_read = true),
                        Effect::Deleted(key) => notes.message(&key).delete(self.person, View::Gone),
                    }
                }
            }
            (other, _) => panic!("{other:?}"),
        }
        self.shared.acknowledged();
        Ok(())
    }
}
