//! The typed dialect: a mailbox.

use std::collections::{HashMap, HashSet};

use parlance::chat::{OpId, Secret};
use parlance::wire::typed::{Frame, Message, Reply, Request, TagSet};

use super::{Around, Client, account_name, accounts, direct_name, name_of, other_name};
use crate::book::{Aim, Fact, number_of, text_of};
use crate::owners::Ask;
use crate::script::{Act, ONCE};
use crate::trace;

/// What a client of a mailbox knows.
#[derive(Debug, Default)]
pub(crate) struct TypedState {
    pub(crate) account: String,
    tags_a: bool,
    /// What was sent and is to be answered, by the type of the answer; and how many answers there were.
    wanted: HashMap<u64, u64>,
    answers: HashMap<u64, u64>,
    errors: u64,
    /// The keys of messages that were sent once, with what they said.
    keys: Vec<(String, String, String)>,
    /// The accounts and keys that messages were sent with.
    used: HashSet<(String, String)>,
    /// The id that each key of an account was acknowledged with.
    ids: HashMap<(String, String), OpId>,
    /// Requests so far on this stream, and the deletions among them.
    requests: usize,
    deletions: Vec<(usize, String)>,
    /// The place of the last request with a key.
    sent_at: HashMap<String, usize>,
    /// Ids of messages that it has seen.
    seen: Vec<String>,
    /// It is there to look at everything, once: what it was shown.
    pub(crate) audit: Option<Audit>,
}

/// What an account is shown of its mailbox.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// Unread messages by their senders.
    pub(crate) unread: Vec<(String, u32)>,
    /// Conversations, in the order in which they were asked for.
    pub(crate) conversations: Vec<Vec<Letter>>,
}

/// A message of a mailbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Letter {
    pub(crate) id: String,
    pub(crate) sender: String,
    pub(crate) recipient: String,
    pub(crate) content: String,
    pub(crate) unread: bool,
}

impl TypedState {
    pub(super) fn stream_ends(&mut self) {
        self.wanted.clear();
        self.answers.clear();
        self.errors = 0;
        self.requests = 0;
        self.deletions.clear();
        self.sent_at.clear();
    }

    /// Each request was answered, or an error was.
    pub(super) fn check_at_rest(&self, client: usize) {
        let missing: u64 = self
            .wanted
            .iter()
            .map(|(kind, count)| count.saturating_sub(self.answers.get(kind).copied().unwrap_or(0)))
            .sum();
        assert!(
            missing <= self.errors,
            "client {client} waits for {missing} answers of {:?}, had {:?} and {} errors",
            self.wanted,
            self.answers,
            self.errors
        );
    }

    fn tags(&self) -> TagSet {
        if self.tags_a { TagSet::Document } else { TagSet::InUse }
    }
}

impl From<Message<'_>> for Letter {
    fn from(Message { id, sender, recipient, content, unread, .. }: Message<'_>) -> Self {
        Self {
            id: id.to_owned(),
            sender: sender.to_owned(),
            recipient: recipient.to_owned(),
            content: content.to_owned(),
            unread,
        }
    }
}

impl Client {
    /// Logs in to an account and asks for all that it is shown.
    pub(crate) fn audits(&mut self, account: &str, around: &mut Around<'_>) {
        self.open(around);
        self.typed.audit = Some(Audit::default());
        account.clone_into(&mut self.typed.account);
        self.may_be(account);
        self.typed_proves(account, around);
        self.asks(Request::ListUsers, around);
        for other in Self::audited() {
            self.asks(Request::ListMessages(&other), around);
        }
    }

    /// The conversations that an audit asks for: with each account, and with the strangers of its name.
    pub(crate) fn audited() -> impl Iterator<Item = String> {
        accounts().flat_map(|name| [format!("{name} (no account)"), name])
    }

    fn typed_proves(&mut self, account: &str, around: &mut Around<'_>) {
        let password = self.password_of(account, self.conn, around);
        self.asks(Request::LoginName(account), around);
        self.asks(Request::LoginPassword(Secret(&password)), around);
    }

    fn asks(&mut self, request: Request<'_>, around: &mut Around<'_>) {
        let answer = match request {
            Request::LoginName(_) => Some(101),
            Request::LoginPassword(_) => Some(103),
            Request::ListMessages(_) | Request::History { .. } => Some(105),
            Request::ListUsers => Some(106),
            Request::SendKept { .. } => Some(111),
            _ => None,
        };
        if let Some(answer) = answer {
            *self.typed.wanted.entry(answer).or_default() += 1;
        }
        self.typed.requests += 1;
        let mut out = Vec::new();
        request.encode(self.typed.tags(), &mut out).expect("it fits");
        self.sends(&out, around);
    }

    pub(super) fn typed_logs_in(&mut self, which: usize, around: &mut Around<'_>) {
        self.typed.account =
            if which == ONCE { name_of(self.index, ONCE) } else { account_name(self.index + which) };
        self.typed.tags_a = self.dice.below(2) == 0;
        let account = self.typed.account.clone();
        self.may_be(&account);
        self.typed_proves(&account, around);
    }

    pub(super) fn typed_acts(&mut self, act: &Act, clients: usize, around: &mut Around<'_>) {
        match act {
            Act::Connect { name } => {
                // Another account on the same stream, or the same one again.
                let account = account_name(self.index + name);
                if account == self.typed.account {
                    self.typed_proves(&account, around);
                }
            }
            Act::Send { to, bytes, again } => {
                let to = account_name(*to);
                let is_new = !again || self.typed.keys.is_empty();
                if is_new {
                    let number = around.book.sends(self.index, self.conn, Aim::Direct(to.clone()));
                    let key = format!("key-{number}");
                    self.typed.keys.push((key, to, text_of(number, *bytes)));
                }
                let (key, to, text) = self.typed.keys.last().cloned().expect("one was put there");
                let is_first_of_account = self.typed.used.insert((self.typed.account.clone(), key.clone()));
                if let (false, true, Some(number)) = (is_new, is_first_of_account, number_of(&text)) {
                    // A key is its account's: under another one it is another letter.
                    around.book.copies(number, 1);
                }
                _ = self.typed.sent_at.insert(key.clone(), self.typed.requests);
                self.asks(Request::SendKept { recipient: &to, content: &text, key: &key }, around);
            }
            Act::Direct { to, bytes } => {
                let to = direct_name(*to, clients);
                let text = self.says_to(&to, *bytes, around);
                self.asks(Request::Send { recipient: &to, content: &text }, around);
            }
            Act::Read(from) => self.asks(Request::MarkRead(&account_name(*from)), around),
            Act::Delete(which) => {
                if self.typed.seen.is_empty() {
                    return;
                }
                let id = self.typed.seen[which % self.typed.seen.len()].clone();
                self.typed.deletions.push((self.typed.requests, id.clone()));
                self.asks(Request::DeleteMessage(&id), around);
            }
            Act::List(with) => self.asks(Request::ListMessages(&account_name(*with)), around),
            Act::ClearMail(other) => {
                let with = other_name(*other);
                self.asks_book(Ask::Clear(with.clone()), around);
                self.asks(Request::Clear(&with), around);
            }
            Act::Ask => self.asks(Request::ListUsers, around),
            Act::Subscribe(on) => self.asks(Request::Subscribe(*on), around),
            // One of them alone, so that the others' messages grow old.
            Act::DeleteAccount if self.typed.account.ends_with('3') => {
                self.asks_book(Ask::End, around);
                self.asks(Request::DeleteAccount, around);
            }
            Act::Quit => {
                if let Some(conn) = self.conn {
                    around.net.client_ends(conn, around.now);
                }
                self.leaves();
            }
            _ => {}
        }
    }

    fn asks_book(&mut self, ask: Ask, around: &mut Around<'_>) {
        if let Some(conn) = self.conn {
            around.book.asks(conn, &self.typed.account, ask);
        }
    }

    pub(super) fn typed_hears(&mut self, around: &mut Around<'_>) {
        let mut input = std::mem::take(&mut self.input);
        let mut done = 0;
        loop {
            let mut decoded = Reply::decode(self.typed.tags(), &input[done..]);
            if matches!(decoded.frame, Frame::Refused(_)) {
                // Before it has said anything, it is spoken to as programs in use are.
                decoded = Reply::decode(TagSet::InUse, &input[done..]);
                assert!(matches!(decoded.frame, Frame::Whole(Reply::Error(_))), "{decoded:?}");
            }
            match decoded.frame {
                Frame::Incomplete => break,
                Frame::Whole(reply) => {
                    trace!("client {} hears: {:.100}", self.index, format!("{reply:?}"));
                    self.typed_hears_reply(reply, around);
                }
                other => panic!("client {} is sent {other:?}", self.index),
            }
            done += decoded.consumed;
        }
        input.drain(..done);
        self.input = input;
    }

    fn typed_hears_reply(&mut self, reply: Reply<'_>, around: &mut Around<'_>) {
        let kind = match reply {
            Reply::Error(_) => {
                self.typed.errors += 1;
                // One of those that have no answer may not be done.
                self.typed.deletions.clear();
                return;
            }
            Reply::NameKnown | Reply::NameNew => 101,
            Reply::LoggedIn(names) => {
                let account = self.typed.account.clone();
                let is_listed = names.into_iter().any(|name| name.eq_ignore_ascii_case(&account));
                assert!(is_listed, "client {} logged in to {account}, which is not listed", self.index);
                if let Some(conn) = self.conn {
                    around.book.is_let_in(conn, &account);
                }
                around.book.is_promised(&Fact::Account(account), &format!("client {}", self.index));
                103
            }
            Reply::LoginFailed => 103,
            Reply::Messages(messages) => {
                let mut letters = Vec::new();
                for message in messages {
                    letters.push(Letter::from(message));
                    self.sees_letter(message, around);
                }
                if let Some(audit) = &mut self.typed.audit {
                    audit.conversations.push(letters);
                }
                105
            }
            Reply::Users(users) => {
                if let Some(audit) = &mut self.typed.audit {
                    audit.unread = users.map(|user| (user.name.to_owned(), user.unread)).collect();
                }
                106
            }
            Reply::Message(message) => return self.sees_letter(message, around),
            Reply::Kept { key, id } => {
                self.is_kept(key, id, around);
                111
            }
        };
        *self.typed.answers.entry(kind).or_default() += 1;
        let (wanted, answers) = (self.typed.wanted.get(&kind), self.typed.answers.get(&kind));
        assert!(answers <= wanted, "client {} gets an answer {kind} that it did not ask for", self.index);
    }

    fn sees_letter(&mut self, message: Message<'_>, around: &mut Around<'_>) {
        let Message { id, sender, recipient, content, .. } = message;
        let account = &self.typed.account;
        let is_its = [sender, recipient].iter().any(|name| name.eq_ignore_ascii_case(account));
        assert!(is_its, "client {} of {account} sees a letter from {sender} to {recipient}", self.index);
        let op = OpId::parse(id).unwrap_or_else(|| panic!("{id} is no id"));
        assert!(around.book.has(&Fact::Mail(op)), "letter {id} was never handed to the store");
        if let Some(number) = number_of(content) {
            around.book.check_letter(number, sender, recipient);
            if let Some(conn) = self.conn {
                around.book.sees_mail(conn, account, number);
            }
        }
        if self.typed.seen.len() < 1000 && !self.typed.seen.iter().any(|seen| seen == id) {
            self.typed.seen.push(id.to_owned());
        }
    }

    fn is_kept(&mut self, key: &str, id: &str, around: &mut Around<'_>) {
        let whose = format!("client {}", self.index);
        let is_own = self.typed.keys.iter().any(|(own, ..)| own == key);
        assert!(is_own, "{whose} is told of a key that it did not use: {key}");
        let op = OpId::parse(id).unwrap_or_else(|| panic!("{id} is no id"));
        around.book.is_promised(&Fact::Mail(op), &whose);
        // The key is its account's, of which it has had several.
        let of_account = (self.typed.account.clone(), key.to_owned());
        if let Some(before) = self.typed.ids.insert(of_account, op)
            && before != op
        {
            assert!(!around.book.has_letter(before), "{whose} has sent {key} once, and it is there twice");
        }
        // What it asked before that is kept as well, if it was done.
        let at = self.typed.sent_at.get(key).copied().unwrap_or(0);
        for (when, deleted) in &self.typed.deletions {
            let fact = OpId::parse(deleted).map(Fact::Deleted);
            if let Some(fact) = fact.filter(|fact| *when < at && around.book.has(fact)) {
                around.book.is_promised(&fact, &whose);
            }
        }
    }
}
