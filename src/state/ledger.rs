//! What is kept of people: accounts and their mailboxes. It changes by [`Change`]s only, so that the same changes in the
//! same order give the same ledger.
//!
//! A message is stored once. Each of its two people who has an account sees it in the conversation with the other: the
//! recipient always, the sender if it was sent from an account. Whoever had no account then does not find it later under
//! an account of that name.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use ahash::RandomState;

use crate::chat::{self, Change, Folded, Kept, Mail, Name, Op, OpId, PasswordHash, Skeleton, UnixMillis};
use crate::limits::{
    ACCOUNTS_MAX, MAIL_BYTES_AROUND, MAIL_LISTED_BYTES_MAX, MAIL_TOTAL_BYTES_MAX, MAILBOX_BYTES_MAX,
};

/// An account, never used again after it. Later ones are higher.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct AccountId(u32);

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: Box<str>,
    folded: Folded,
    /// With whom it has, or once had, messages: where to look for them when it is deleted.
    correspondents: BTreeSet<AccountId>,
    pub(crate) password: PasswordHash,
    /// The op that made it, unless that was before the start.
    pub(crate) made_by: Option<OpId>,
    /// By the folded name of the other.
    conversations: HashMap<Box<str>, Conversation, RandomState>,
    /// What its messages are counted for.
    bytes: usize,
}

/// What one account sees of its messages with somebody. Never empty.
#[derive(Debug, Default)]
struct Conversation {
    /// The other's name, as it was typed last.
    other: Box<str>,
    /// Oldest first.
    letters: BTreeSet<OpId>,
    unread: u32,
}

#[derive(Debug)]
struct Letter {
    /// When it was sent.
    at: UnixMillis,
    sender: Box<str>,
    recipient: Box<str>,
    content: Box<str>,
    /// Who sees it: the sender's account, the recipient's. A message to oneself is seen by its recipient alone.
    seen_by: [Option<AccountId>; 2],
    /// The recipient's account, with which it goes, also if that sees it no more.
    sent_to: Option<AccountId>,
    /// What its sender calls it.
    key: Option<(AccountId, Box<str>)>,
    unread: bool,
}

const SENDER: usize = 0;
const RECIPIENT: usize = 1;

#[derive(Debug)]
pub(crate) struct Ledger {
    accounts: BTreeMap<AccountId, Account>,
    by_name: HashMap<Box<str>, AccountId, RandomState>,
    /// How many accounts have names of one skeleton, by its hash: about 24 bytes an account. The hash is keyed and of 64
    /// bits, so that two skeletons do not share one.
    skeletons: HashMap<u64, u32, RandomState>,
    letters: HashMap<OpId, Letter, RandomState>,
    /// What senders called their messages.
    by_key: HashMap<(AccountId, Box<str>), OpId, RandomState>,
    next_account: u32,
    /// What all letters are counted for.
    bytes: usize,
    hasher: RandomState,
}

fn fold(name: &str) -> Option<Folded> {
    Name::parse(name).ok().map(|(_, folded)| folded)
}

fn counted(content: &str) -> usize {
    MAIL_BYTES_AROUND + content.len()
}

impl Ledger {
    pub(crate) fn new(hasher: &RandomState) -> Self {
        Self {
            accounts: BTreeMap::new(),
            by_name: HashMap::with_hasher(hasher.clone()),
            skeletons: HashMap::with_hasher(hasher.clone()),
            letters: HashMap::with_hasher(hasher.clone()),
            by_key: HashMap::with_hasher(hasher.clone()),
            next_account: 0,
            bytes: 0,
            hasher: hasher.clone(),
        }
    }

    /// The account of a folded name.
    pub(crate) fn find(&self, folded: &str) -> Option<AccountId> {
        self.by_name.get(folded).copied()
    }

    /// An account by its id, unless it is gone.
    pub(crate) fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// Whether a name looks like that of an account.
    pub(crate) fn resembles(&self, skeleton: &Skeleton) -> bool {
        self.skeletons.contains_key(&self.hasher.hash_one(skeleton))
    }

    pub(crate) fn is_full(&self) -> bool {
        self.accounts.len() >= ACCOUNTS_MAX
    }

    /// Everybody whom an account can list, with how many messages of theirs it has not read: the accounts, oldest first,
    /// then those who wrote to it without one.
    pub(crate) fn listed_by(&self, reader: Option<AccountId>) -> impl Iterator<Item = (&str, u32)> {
        let reader = reader.and_then(|id| self.account(id));
        let accounts = self.accounts.values().map(move |account| {
            let conversation = reader.and_then(|reader| reader.conversations.get(account.folded.as_str()));
            (&*account.name, conversation.map_or(0, |conversation| conversation.unread))
        });
        let others = reader.into_iter().flat_map(|reader| {
            let strangers =
                reader.conversations.iter().filter(|(folded, _)| !self.by_name.contains_key(&***folded));
            let mut strangers: Vec<_> =
                strangers.map(|(_, conversation)| (&*conversation.other, conversation.unread)).collect();
            strangers.sort_unstable();
            strangers
        });
        accounts.chain(others)
    }

    /// The names of all accounts, oldest first.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.accounts.values().map(|account| &*account.name)
    }

    /// What was sent by an account with a key of its own.
    pub(crate) fn sent_with(&self, sender: AccountId, key: &str) -> Option<OpId> {
        self.by_key.get(&(sender, key.into())).copied()
    }

    /// Whether a message has space in the mailboxes that it would be in.
    pub(crate) fn has_space(&self, sender: Option<AccountId>, recipient: AccountId, content: &str) -> bool {
        let bytes = counted(content);
        let fits = |id| self.account(id).is_none_or(|account| account.bytes + bytes <= MAILBOX_BYTES_MAX);
        self.bytes + bytes <= MAIL_TOTAL_BYTES_MAX && fits(recipient) && sender.is_none_or(fits)
    }

    /// What an account sees of a conversation before a message, oldest first: so many of the newest, and no more than an
    /// answer holds. Each comes with its id.
    pub(crate) fn conversation(
        &self,
        reader: AccountId,
        with: &str,
        before: Option<OpId>,
        count: usize,
    ) -> impl Iterator<Item = (OpId, Mail<'_>)> {
        let conversation = self.account(reader).and_then(|account| account.conversations.get(with));
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        let mut bytes = 0;
        let fits = |id: &OpId| {
            bytes += self.letters.get(id).map_or(0, |letter| counted(&letter.content));
            bytes <= MAIL_LISTED_BYTES_MAX
        };
        let newest =
            conversation.into_iter().flat_map(|c| c.letters.range((Bound::Unbounded, end)).rev().copied());
        let shown: Vec<_> = newest.take(count).take_while(fits).collect();
        shown.into_iter().rev().filter_map(|id| Some((id, self.mail(id)?)))
    }

    /// A message, without the text of its id.
    pub(crate) fn mail(&self, id: OpId) -> Option<Mail<'_>> {
        let Letter { at, sender, recipient, content, unread, .. } = self.letters.get(&id)?;
        Some(Mail { id: "", at: *at, sender, recipient, content, unread: *unread })
    }

    /// Whether an account can delete a message: it sees it.
    pub(crate) fn sees(&self, account: AccountId, id: OpId) -> bool {
        self.letters.get(&id).is_some_and(|letter| letter.seen_by.contains(&Some(account)))
    }

    /// The messages of somebody's that an account has not read, newest first.
    pub(crate) fn unread_from(&self, reader: AccountId, sender: &str) -> Vec<OpId> {
        let conversation = self.account(reader).and_then(|account| account.conversations.get(sender));
        let is_unread = |id: &OpId| {
            self.letters
                .get(id)
                .is_some_and(|letter| letter.unread && letter.seen_by[RECIPIENT] == Some(reader))
        };
        let Some(conversation) = conversation else { return Vec::new() };
        // What is unread came since the last time: among the newest.
        let newest = conversation.letters.iter().rev().copied();
        newest.filter(is_unread).take(conversation.unread as usize).collect()
    }

    /// Takes in what was kept, as far as it is about accounts and mailboxes. A letter whose recipient or sender has no
    /// account is not seen by that one.
    pub(crate) fn restore(&mut self, kept: &Kept) {
        match kept {
            Kept::Account { name, password } => self.create(name, password, None),
            Kept::Letter(kept) => {
                let chat::Letter {
                    id,
                    at,
                    sender,
                    recipient,
                    content,
                    key,
                    sender_sees,
                    recipient_sees,
                    unread,
                } = kept;
                let (sender_id, recipient_id) = (self.id_of(sender), self.id_of(recipient));
                let sender_sees = *sender_sees && sender_id != recipient_id;
                let seen_by = [sender_id.filter(|_| sender_sees), recipient_id.filter(|_| *recipient_sees)];
                if seen_by == [None, None] {
                    return;
                }
                let letter = Letter {
                    at: *at,
                    sender: sender.clone(),
                    recipient: recipient.clone(),
                    content: content.clone(),
                    seen_by,
                    sent_to: recipient_id,
                    key: sender_id.zip(key.clone()),
                    unread: *unread,
                };
                self.send(*id, letter);
                // Also where one of the two sees it no more: it goes with their account.
                if let (Some(sender), Some(recipient), true) = (sender_id, recipient_id, sender_sees) {
                    self.acquaint(sender, recipient);
                }
            }
            Kept::Seat { .. } => {}
        }
    }

    /// Hands out all of it, in the order in which [`Ledger::restore`] takes it in.
    pub(crate) fn visit(&self, visit: &mut dyn FnMut(Kept)) {
        self.accounts_kept().for_each(&mut *visit);
        let mut ids: Vec<_> = self.letters.keys().copied().collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(|id| self.letter_kept(id)).map(Kept::Letter).for_each(visit);
    }

    /// The accounts, oldest first.
    pub(crate) fn accounts_kept(&self) -> impl ExactSizeIterator<Item = Kept> {
        let kept = |account: &Account| Kept::Account {
            name: account.name.clone(),
            password: account.password.clone(),
        };
        self.accounts.values().map(kept)
    }

    /// A message, with who sees it.
    pub(crate) fn letter_kept(&self, id: OpId) -> Option<chat::Letter> {
        let letter = self.letters.get(&id)?;
        Some(chat::Letter {
            id,
            at: letter.at,
            sender: letter.sender.clone(),
            recipient: letter.recipient.clone(),
            content: letter.content.clone(),
            key: letter.key.as_ref().map(|(_, key)| key.clone()),
            sender_sees: letter.seen_by[SENDER].is_some(),
            recipient_sees: letter.seen_by[RECIPIENT].is_some(),
            unread: letter.unread,
        })
    }

    /// Carries out an op, as far as it is about accounts and mailboxes.
    pub(crate) fn apply(&mut self, op: &Op) {
        match &op.change {
            Change::AccountCreated { name, password } => self.create(name, password, Some(op.id)),
            Change::PasswordChanged { name, password } => {
                if let Some(account) = self.id_of(name).and_then(|id| self.accounts.get_mut(&id)) {
                    account.password = password.clone();
                }
            }
            Change::AccountDeleted { name } => self.delete_account(name),
            Change::MailSent { sender, sender_has_account, recipient, content, key } => {
                let sender_id = if *sender_has_account { self.id_of(sender) } else { None };
                let Some(recipient_id) = self.id_of(recipient) else { return };
                let letter = Letter {
                    at: op.at,
                    sender: sender.clone(),
                    recipient: recipient.clone(),
                    content: content.clone(),
                    seen_by: [sender_id.filter(|&sender| sender != recipient_id), Some(recipient_id)],
                    sent_to: Some(recipient_id),
                    key: sender_id.zip(key.clone()),
                    unread: true,
                };
                self.send(op.id, letter);
            }
            Change::MailRead { reader, messages } => {
                if let Some(reader) = self.id_of(reader) {
                    for &message in messages {
                        self.mark_read(reader, message);
                    }
                }
            }
            Change::MailDeleted { by, message } => {
                if let Some(by) = self.id_of(by) {
                    self.delete_letter(by, *message);
                }
            }
            Change::Said { .. }
            | Change::RoomMade { .. }
            | Change::SeatTaken { .. }
            | Change::SeatLeft { .. }
            | Change::RoomClosed { .. } => {}
        }
    }

    fn id_of(&self, name: &str) -> Option<AccountId> {
        self.find(&fold(name)?)
    }

    fn create(&mut self, name: &str, password: &PasswordHash, made_by: Option<OpId>) {
        let Some(folded) = fold(name) else { return };
        if self.by_name.contains_key(&*folded) {
            return;
        }
        let id = AccountId(self.next_account);
        self.next_account += 1;
        self.by_name.insert(folded.as_str().into(), id);
        *self.skeletons.entry(self.hasher.hash_one(Skeleton::of(name))).or_default() += 1;
        let conversations = HashMap::with_hasher(self.hasher.clone());
        let account = Account {
            name: name.into(),
            folded,
            correspondents: BTreeSet::new(),
            password: password.clone(),
            made_by,
            conversations,
            bytes: 0,
        };
        self.accounts.insert(id, account);
    }

    /// A second message of the same id is none: a group of ops that was committed may come again.
    fn send(&mut self, id: OpId, letter: Letter) {
        if self.letters.contains_key(&id) {
            return;
        }
        let bytes = counted(&letter.content);
        let (Some(sender), Some(recipient)) = (fold(&letter.sender), fold(&letter.recipient)) else { return };
        if let Some(account) = letter.seen_by[RECIPIENT].and_then(|id| self.accounts.get_mut(&id)) {
            let conversation = account.converse(&sender, &letter.sender);
            conversation.letters.insert(id);
            conversation.unread += u32::from(letter.unread);
            account.bytes += bytes;
        }
        if let Some(account) = letter.seen_by[SENDER].and_then(|id| self.accounts.get_mut(&id)) {
            account.converse(&recipient, &letter.recipient).letters.insert(id);
            account.bytes += bytes;
        }
        if let [Some(sender), Some(recipient)] = letter.seen_by {
            self.acquaint(sender, recipient);
        }
        if let Some(key) = &letter.key {
            self.by_key.insert(key.clone(), id);
        }
        self.bytes += bytes;
        self.letters.insert(id, letter);
    }

    /// Each finds messages with the other when its account is deleted.
    fn acquaint(&mut self, one: AccountId, other: AccountId) {
        for (one, other) in [(one, other), (other, one)] {
            if let Some(account) = self.accounts.get_mut(&one) {
                account.correspondents.insert(other);
            }
        }
    }

    fn mark_read(&mut self, reader: AccountId, id: OpId) {
        if let Some(letter) = self.letters.get_mut(&id)
            && letter.seen_by[RECIPIENT] == Some(reader)
            && std::mem::take(&mut letter.unread)
            && let Some(sender) = fold(&letter.sender)
            && let Some(account) = self.accounts.get_mut(&reader)
            && let Some(conversation) = account.conversations.get_mut(&*sender)
        {
            conversation.unread -= 1;
        }
    }

    /// By its sender, for both; by its recipient, from its own view.
    fn delete_letter(&mut self, by: AccountId, id: OpId) {
        let Some(letter) = self.letters.get(&id) else { return };
        if letter.seen_by[SENDER] == Some(by) {
            self.hide(id, RECIPIENT);
            self.hide(id, SENDER);
        } else if letter.seen_by[RECIPIENT] == Some(by) {
            self.hide(id, RECIPIENT);
        }
    }

    /// Takes a message out of one of its two views; with the last one it is gone.
    fn hide(&mut self, id: OpId, whose: usize) {
        let Some(letter) = self.letters.get_mut(&id) else { return };
        if let Some(viewer) = letter.seen_by[whose].take()
            && let Some(account) = self.accounts.get_mut(&viewer)
        {
            let other = if whose == SENDER { &letter.recipient } else { &letter.sender };
            account.bytes -= counted(&letter.content);
            if let Some(folded) = fold(other)
                && let Some(conversation) = account.conversations.get_mut(&*folded)
            {
                conversation.letters.remove(&id);
                conversation.unread -= u32::from(letter.unread && whose == RECIPIENT);
                if conversation.letters.is_empty() {
                    account.conversations.remove(&*folded);
                }
            }
        }
        if letter.seen_by == [None, None] {
            if let Some(key) = &letter.key {
                self.by_key.remove(key);
            }
            self.bytes -= counted(&letter.content);
            self.letters.remove(&id);
        }
    }

    fn delete_account(&mut self, name: &str) {
        let Some(folded) = fold(name) else { return };
        let Some(id) = self.by_name.remove(&*folded) else { return };
        // Its own conversations, and what others still have of it.
        let Some(account) = self.accounts.get(&id) else { return };
        let own = account.conversations.values();
        let others = account.correspondents.iter().filter_map(|id| self.accounts.get(id));
        let of_others = others.filter_map(|account| account.conversations.get(&*folded));
        let letters: Vec<OpId> = own.chain(of_others).flat_map(|c| c.letters.iter().copied()).collect();
        for letter_id in letters {
            let Some(letter) = self.letters.get(&letter_id) else { continue };
            // What was sent to somebody of that name who had no account, or an earlier one, is not its own.
            if letter.seen_by[SENDER] == Some(id) || letter.sent_to == Some(id) {
                self.hide(letter_id, RECIPIENT);
                self.hide(letter_id, SENDER);
            }
        }
        if let Some(account) = self.accounts.remove(&id)
            && let Entry::Occupied(mut alike) =
                self.skeletons.entry(self.hasher.hash_one(Skeleton::of(&account.name)))
        {
            *alike.get_mut() -= 1;
            if *alike.get() == 0 {
                alike.remove();
            }
        }
    }

    /// Walks everything and panics where an invariant does not hold. For tests.
    pub(crate) fn check_invariants(&self) {
        assert_eq!(self.accounts.len(), self.by_name.len());
        assert_eq!(self.accounts.len(), self.skeletons.values().map(|&alike| alike as usize).sum::<usize>());
        assert!(self.accounts.values().all(|account| self.resembles(&Skeleton::of(&account.name))));
        let mut views = 0;
        for (&id, account) in &self.accounts {
            let mut bytes = 0;
            for (folded, conversation) in &account.conversations {
                assert!(!conversation.letters.is_empty(), "a conversation has messages");
                assert_eq!(fold(&conversation.other).as_deref(), Some(&**folded));
                let mut unread = 0;
                for letter in &conversation.letters {
                    let letter = &self.letters[letter];
                    assert!(letter.seen_by.contains(&Some(id)));
                    unread += u32::from(letter.unread && letter.seen_by[RECIPIENT] == Some(id));
                    bytes += counted(&letter.content);
                    views += 1;
                }
                assert_eq!(unread, conversation.unread);
            }
            assert_eq!(bytes, account.bytes);
        }
        let seen = |letter: &Letter| match letter.seen_by {
            [None, None] => panic!("somebody sees each message"),
            [Some(_), Some(_)] => 2,
            [Some(_), None] | [None, Some(_)] => 1,
        };
        assert_eq!(views, self.letters.values().map(seen).sum::<usize>());
        assert_eq!(self.bytes, self.letters.values().map(|letter| counted(&letter.content)).sum::<usize>());
        for (key, id) in &self.by_key {
            assert_eq!(self.letters[id].key.as_ref(), Some(key));
        }
    }
}

impl Account {
    /// The conversation with somebody, whose name was typed so.
    fn converse(&mut self, folded: &str, other: &str) -> &mut Conversation {
        // Most are there already: no copy of the name for them.
        if !self.conversations.contains_key(folded) {
            self.conversations.insert(folded.into(), Conversation::default());
        }
        let conversation = self.conversations.get_mut(folded).expect("it was just put there");
        if &*conversation.other != other {
            conversation.other = other.into();
        }
        conversation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_comes_again_is_there_once() {
        let mut ledger = Ledger::new(&RandomState::with_seeds(1, 2, 3, 4));
        let password = PasswordHash::new("$2b$12$x").expect("a hash");
        let id = |sequence| OpId::new(UnixMillis(1), sequence, 0);
        for (sequence, name) in [(0, "ann"), (1, "bob")] {
            let change = Change::AccountCreated { name: name.into(), password: password.clone() };
            ledger.apply(&Op::new(id(sequence), change));
        }
        let change = Change::MailSent {
            sender: "ann".into(),
            sender_has_account: true,
            recipient: "bob".into(),
            content: "hello".into(),
            key: Some("1".into()),
        };
        let op = Op::new(id(2), change);
        ledger.apply(&op);
        let read = Change::MailRead { reader: "bob".into(), messages: Box::new([op.id]) };
        ledger.apply(&Op::new(id(3), read));
        ledger.apply(&op);
        ledger.check_invariants();
        let mut letters = Vec::new();
        ledger.visit(&mut |kept| letters.extend(matches!(kept, Kept::Letter(_)).then_some(kept)));
        let [Kept::Letter(letter)] = &letters[..] else { panic!("one letter: {letters:?}") };
        assert!(!letter.unread, "and it stays read");
    }
    #[test]
    fn a_message_to_oneself_is_seen_by_its_recipient_alone_whatever_was_kept() {
        let mut ledger = Ledger::new(&RandomState::with_seeds(1, 2, 3, 4));
        let password = PasswordHash::new("$2b$12$x").expect("a hash");
        ledger.restore(&Kept::Account { name: "ann".into(), password });
        let id = OpId::new(UnixMillis(1), 0, 0);
        ledger.restore(&Kept::Letter(chat::Letter {
            id,
            at: id.at(),
            sender: "ann".into(),
            recipient: "Ann".into(),
            content: "hello".into(),
            key: None,
            sender_sees: true,
            recipient_sees: true,
            unread: true,
        }));
        ledger.check_invariants();
        ledger.apply(&Op::new(id, Change::MailDeleted { by: "ann".into(), message: id }));
        ledger.check_invariants();
        assert!(ledger.letters.is_empty());
    }
}
