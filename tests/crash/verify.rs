//! Holds a server that has started again to the notes.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use parlance::chat::Token;
use parlance::client::{ClientError, Letter, Mailbox, Seat};
use parlance::wire::Dialect;
use parlance::wire::ucrp::{self, Delivery};

use crate::dice::Dice;
use crate::load::password;
use crate::notes::{Message, Notes, PEOPLE, RECIPIENT, Room, SENDER, View};
use crate::program::{Program, deadline};

/// Messages a page.
const PAGE: u32 = 300;
/// Datagrams may be lost: after so long they are sent again.
const DATAGRAM_PATIENCE: Duration = Duration::from_secs(1);

pub(crate) fn verify(server: &Program, notes: &mut Notes, dice: &mut Dice) {
    let typed = server.address(Dialect::Typed);
    for (name, password) in &notes.accounts {
        let mut mailbox = Mailbox::connect(typed, deadline()).expect("it listens");
        let names = mailbox.login(name, password, deadline()).expect("it was acknowledged");
        assert_eq!(names.iter().filter(|listed| *listed == name).count(), 1, "{name} in {names:?}");
    }
    let mut mailboxes = PEOPLE.map(|name| {
        let mut mailbox = Mailbox::connect(typed, deadline()).expect("it listens");
        mailbox.login(name, &password(name), deadline()).expect("an account");
        mailbox
    });
    for (person, mailbox) in mailboxes.iter_mut().enumerate() {
        verify_mailbox(mailbox, person, notes);
    }
    send_again(&mut mailboxes, notes);
    for (person, mailbox) in mailboxes.iter_mut().enumerate() {
        verify_mailbox(mailbox, person, notes);
    }
    let mut rooms = std::mem::take(&mut notes.rooms);
    rooms.retain(|room| verify_room(server, room, dice.below(2) == 0));
    notes.rooms = rooms;
}

/// All messages with somebody, by content.
fn conversation(mailbox: &mut Mailbox, with: &str) -> HashMap<String, Letter> {
    let mut all = HashMap::new();
    let mut before: Option<String> = None;
    loop {
        let page = mailbox.history(with, before.as_deref(), PAGE, deadline()).expect("a page");
        let Some(oldest) = page.first() else { return all };
        before = Some(oldest.id.clone());
        assert!(page.is_sorted_by_key(|letter| letter.id.clone()));
        for letter in page {
            if let Some(twice) = all.insert(letter.content.clone(), letter) {
                panic!("it is there twice: {twice:?}");
            }
        }
    }
}

#[track_caller]
fn verify_mailbox(mailbox: &mut Mailbox, person: usize, notes: &mut Notes) {
    let others = (0..PEOPLE.len()).filter(|&other| other != person);
    for other in others {
        let mut there = conversation(mailbox, PEOPLE[other]);
        for message in notes.messages.values_mut() {
            let side = match (message.from, message.to) {
                pair if pair == (person, other) => SENDER,
                pair if pair == (other, person) => RECIPIENT,
                _ => continue,
            };
            verify_message(message, side, there.remove(&message.content));
        }
        assert!(there.is_empty(), "nobody sent this: {there:?}");
    }
}

fn verify_message(message: &mut Message, side: usize, there: Option<Letter>) {
    match (message.views[side], &there) {
        (View::There, None) => assert!(message.id.is_none(), "it is lost: {message:?}"),
        (View::Gone, Some(_)) => panic!("it was deleted: {message:?}, {there:?}"),
        (View::There | View::Unknown, Some(_)) | (View::Unknown | View::Gone, None) => {}
    }
    // Whether it was deleted is known now.
    if message.views[side] == View::Unknown {
        message.views[side] = if there.is_some() { View::There } else { View::Gone };
    }
    if let Some(letter) = there {
        assert!(message.id.as_ref().is_none_or(|id| *id == letter.id), "{message:?}, {letter:?}");
        assert!(!(message.is_read && letter.unread), "it was read: {message:?}");
        assert_eq!(letter.sender, PEOPLE[message.from]);
        assert_eq!(letter.recipient, PEOPLE[message.to]);
    }
}

/// Who does not know whether something was sent sends it again, with the same key; and so does who forgot that it was.
fn send_again(mailboxes: &mut [Mailbox], notes: &mut Notes) {
    for (key, message) in &mut notes.messages {
        // With its deletion its key is free.
        if message.views[SENDER] != View::There {
            continue;
        }
        let mailbox = &mut mailboxes[message.from];
        let id =
            mailbox.send_kept(PEOPLE[message.to], &message.content, key, deadline()).expect("it is kept");
        let first = message.id.get_or_insert_with(|| id.clone());
        assert_eq!(*first, id, "it was sent twice");
    }
}

fn open(server: &Program, room: &str, token: Token) -> Seat {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(server.address(Dialect::Ucrp)).expect("an address");
    Seat::open(socket, room, token).expect("a seat")
}

/// Whether one seat's datagram comes to all the others; with the host's leaving, whether the room ends with it. Returns whether
/// it is still there.
fn verify_room(server: &Program, room: &Room, closes: bool) -> bool {
    let Room { name, host: (host_name, host), guests } = room;
    let mut host = open(server, name, *host);
    let mut guests: Vec<_> =
        guests.iter().map(|(guest, token)| (guest, open(server, name, *token))).collect();
    for (guest_name, guest) in &mut guests {
        carries(&mut host, guest, host_name);
        carries(guest, &mut host, guest_name);
    }
    if !closes || guests.is_empty() {
        return true;
    }
    for (_, guest) in &mut guests {
        host.leave().expect("it is sent");
        hears(guest, || host.leave().expect("it is sent"), |delivery| *delivery == Delivery::RoomClosed);
    }
    false
}

/// What one says comes to another.
fn carries(from: &mut Seat, to: &mut Seat, sender: &str) {
    let text = format!("{sender} is there");
    let whereabouts = to.try_clone().expect("a descriptor");
    let mut say = || {
        whereabouts.send(ucrp::Message::Register).expect("it is sent");
        from.say(&text).expect("it is sent");
    };
    say();
    hears(to, say, |delivery| *delivery == Delivery::Relay { sender, text: &text });
}

fn hears(seat: &mut Seat, mut again: impl FnMut(), fits: impl Fn(&Delivery<'_>) -> bool) {
    let until = deadline();
    while Instant::now() < until {
        match seat.next_delivery(Instant::now() + DATAGRAM_PATIENCE) {
            Ok(delivery) if fits(&delivery) => return,
            Ok(_) => {}
            Err(ClientError::Deadline) => again(),
            Err(other) => panic!("{other}"),
        }
    }
    panic!("nothing that is waited for");
}
