//! What clients asked for, and what of it was acknowledged.

use std::collections::BTreeMap;

use parlance::chat::Token;

/// Those who write to each other.
pub(crate) const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

/// What is known of a message in one of its two views.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum View {
    There,
    /// Somebody asked for its deletion, and has not heard of it.
    Unknown,
    Gone,
}

pub(crate) const SENDER: usize = 0;
pub(crate) const RECIPIENT: usize = 1;

#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Indices of [`PEOPLE`].
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// No other has the same.
    pub(crate) content: String,
    /// Its id, if it was acknowledged.
    pub(crate) id: Option<String>,
    /// It was acknowledged that its recipient has read it.
    pub(crate) is_read: bool,
    pub(crate) views: [View; 2],
}

impl Message {
    /// Somebody asks for its deletion, or has heard of it.
    pub(crate) fn delete(&mut self, by: usize, view: View) {
        let hidden = if by == self.from { &mut self.views[..] } else { &mut self.views[RECIPIENT..] };
        for hidden in hidden {
            if *hidden != View::Gone {
                *hidden = view;
            }
        }
    }
}

/// A room, with those in it whose tokens were acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) host: (String, Token),
    pub(crate) guests: Vec<(String, Token)>,
}

#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Acknowledged: names and passwords.
    pub(crate) accounts: Vec<(String, String)>,
    /// By key.
    pub(crate) messages: BTreeMap<String, Message>,
    pub(crate) rooms: Vec<Room>,
    /// How far the talker has counted.
    pub(crate) talked: u64,
}

impl Notes {
    pub(crate) fn account(&mut self, name: &str, password: &str) {
        if !self.accounts.iter().any(|(known, _)| known == name) {
            self.accounts.push((name.to_owned(), password.to_owned()));
        }
    }

    /// The keys of acknowledged messages from one to another.
    pub(crate) fn acknowledged(&self, from: usize, to: usize) -> Vec<String> {
        let fits = |message: &Message| message.from == from && message.to == to && message.id.is_some();
        self.messages.iter().filter(|(_, message)| fits(message)).map(|(key, _)| key.clone()).collect()
    }

    pub(crate) fn message(&mut self, key: &str) -> &mut Message {
        self.messages.get_mut(key).expect("it was noted")
    }

    pub(crate) fn summary(&self) -> String {
        let kept = self.messages.values().filter(|message| message.id.is_some()).count();
        let read = self.messages.values().filter(|message| message.is_read).count();
        let gone = self.messages.values().filter(|message| message.views[SENDER] == View::Gone).count();
        let seats: usize = self.rooms.iter().map(|room| room.guests.len() + 1).sum();
        format!(
            "{} accounts, {kept} of {} messages ({read} read, {gone} deleted), {seats} seats, counted to {}",
            self.accounts.len(),
            self.messages.len(),
            self.talked
        )
    }
}
