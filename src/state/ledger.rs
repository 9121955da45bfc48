//! What is kept of people: accounts and their mailboxes. It changes by [`Change`]s only, so that the same changes in the
//! same order give the same ledger.
//!
//! A message is stored once. Its recipient sees it in the conversation with the sender. Its sender sees it
//! too, if it was sent from an account. Messages refer to accounts by id. The other side of a conversation is
//! an account, or the strangers (users without an account) of a name. So an account inherits nothing from
//! earlier holders of its name: a stranger's messages stay the stranger's, and an earlier account's messages
//! are deleted with it.

mod account;

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use ahash::RandomState;

pub(crate) use account::Account;
use account::Held;

use super::shares::Shares;
use crate::chat::{
    self, Change, Folded, Kept, Mail, NO_ACCOUNT, Name, Op, OpId, PasswordHash, Problem, Skeleton, UnixMillis,
};
use crate::limits::{
    MAIL_BYTES_AROUND, MAIL_LISTED_BYTES_MAX, MAIL_TOTAL_BYTES_MAX, MAILBOX_BYTES_MAX,
    MAILBOX_SENDER_BYTES_MAX, MAILBOX_STRANGERS_BYTES_MAX, MAILBOX_UNKNOWN_BYTES_MAX,
};

/// The number of an account in this ledger, never reused. Later accounts have higher numbers. It is a short
/// form of [`Account::id`], which stores and ops use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct AccountId(u32);

/// The other side of a conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum With {
    Account(AccountId),
    /// The past and present holders of this folded name without an account.
    Stranger(Folded),
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
    /// The sender's account; the message is deleted with it. None: a stranger sent it.
    sent_from: Option<AccountId>,
    /// The recipient's account, with which it goes, also if that sees it no more.
    sent_to: Option<AccountId>,
    /// The key that its sender's account gave it.
    key: Option<Box<str>>,
    unread: bool,
    /// The network that is charged for it.
    origin: Option<Origin>,
}

/// The accounts that a list holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Oldest {
    pub(crate) count: u32,
    /// Bytes of their entries.
    pub(crate) bytes: usize,
    pub(crate) last: Option<AccountId>,
    /// The list holds all accounts.
    pub(crate) is_all: bool,
}

/// Cached answers of [`Ledger::oldest`]: for the lists with and without numbers of messages.
const OLDEST_KNOWN_MAX: usize = 2;
/// The network that is charged for a message, as its bits. It is in memory only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Origin(pub(crate) u64);

const SENDER: usize = 0;
const RECIPIENT: usize = 1;

#[derive(Debug)]
pub(crate) struct Ledger {
    accounts: BTreeMap<AccountId, Account>,
    by_name: HashMap<Box<str>, AccountId, RandomState>,
    /// The number of accounts by the hash of their names' skeleton: about 24 bytes an account. The hash is
    /// keyed and has 64 bits, so two skeletons do not share one.
    skeletons: HashMap<u64, u32, RandomState>,
    letters: HashMap<OpId, Letter, RandomState>,
    /// What senders called their messages.
    by_key: HashMap<(AccountId, Box<str>), OpId, RandomState>,
    next_account: u32,
    /// The accounts that are unused, oldest first.
    unused: BTreeSet<(OpId, AccountId)>,
    /// The cached answers of [`Ledger::oldest`], by their question.
    oldest: Vec<((usize, usize), Oldest)>,
    /// What all letters are counted for.
    bytes: usize,
    /// The counted bytes of messages since the start, by origin.
    shares: Shares<Origin>,
}

fn fold(name: &str) -> Option<Folded> {
    Name::parse(name).ok().map(|(_, folded)| folded)
}

/// The id of an account from an earlier version of a log, which did not store it. `number`: the accounts
/// before it in that log, so each reading gives the same id. No op has this id, because no op is from the
/// year 1970.
pub(crate) fn id_without_op(number: u32) -> OpId {
    OpId::new(UnixMillis(0), 0, u64::from(number) + 1)
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
            unused: BTreeSet::new(),
            oldest: Vec::new(),
            bytes: 0,
            shares: Shares::new(hasher),
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
        self.skeletons.contains_key(&self.skeletons.hasher().hash_one(skeleton))
    }

    pub(crate) fn account_count(&self) -> usize {
        self.accounts.len()
    }

    /// The other side that a client names, by an account's name or a label of [`Ledger::strangers_of`].
    pub(crate) fn with(&self, text: &str) -> Option<With> {
        if let Some(name) = text.strip_suffix(NO_ACCOUNT).and_then(|text| text.strip_suffix(' ')) {
            return fold(name).map(With::Stranger);
        }
        let folded = fold(text)?;
        Some(self.find(&folded).map_or(With::Stranger(folded), With::Account))
    }

    /// The names of all accounts, oldest first.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.accounts.values().map(|account| &*account.name)
    }

    /// The oldest accounts that fit into a list; an entry takes this number of bytes besides its name.
    pub(crate) fn oldest(&mut self, bytes_around: usize, bytes_max: usize) -> Oldest {
        let key = (bytes_around, bytes_max);
        if let Some((_, known)) = self.oldest.iter().find(|(known_key, _)| *known_key == key) {
            return *known;
        }
        let mut oldest = Oldest { count: 0, bytes: 0, last: None, is_all: true };
        for (&id, account) in &self.accounts {
            let bytes = oldest.bytes + bytes_around + account.name.len();
            if bytes > bytes_max {
                oldest.is_all = false;
                break;
            }
            oldest = Oldest { count: oldest.count + 1, bytes, last: Some(id), is_all: true };
        }
        if self.oldest.len() == OLDEST_KNOWN_MAX {
            self.oldest.clear();
        }
        self.oldest.push((key, oldest));
        oldest
    }

    /// The accounts after one, up to and including another, oldest first.
    pub(crate) fn accounts_between(
        &self,
        above: Option<AccountId>,
        last: AccountId,
    ) -> impl Iterator<Item = (AccountId, &Account)> {
        let above = above.map_or(Bound::Unbounded, Bound::Excluded);
        self.accounts.range((above, Bound::Included(last))).map(|(&id, account)| (id, account))
    }

    /// The number of an account's messages that another account has not read.
    pub(crate) fn unread_of(&self, reader: Option<AccountId>, account: AccountId) -> u32 {
        let reader = reader.and_then(|id| self.account(id));
        let conversation = reader.and_then(|reader| reader.conversations.get(&account));
        conversation.map_or(0, |conversation| conversation.unread)
    }

    /// The senders without an account in an account's mailbox, with their numbers of unread messages. A
    /// sender whose name now has an account is marked as a stranger.
    pub(crate) fn strangers_of(&self, reader: AccountId) -> impl Iterator<Item = (Cow<'_, str>, u32)> {
        let strangers = self.account(reader).into_iter().flat_map(|reader| &reader.strangers);
        strangers.map(|(folded, conversation)| {
            let name = &*conversation.other;
            let is_marked = self.by_name.contains_key(folded);
            let shown = if is_marked { format!("{name} {NO_ACCOUNT}").into() } else { name.into() };
            (shown, conversation.unread)
        })
    }

    /// What was sent by an account with a key of its own.
    pub(crate) fn sent_with(&self, sender: AccountId, key: &str) -> Option<OpId> {
        self.by_key.get(&(sender, key.into())).copied()
    }

    /// Whether a message fits into both mailboxes, and into its origin's share of the total.
    pub(crate) fn has_space(
        &self,
        origin: Option<Origin>,
        sender: Option<AccountId>,
        recipient: AccountId,
        content: &str,
    ) -> bool {
        let bytes = counted(content);
        let fits =
            |id| self.account(id).is_none_or(|account| account.held.bytes + bytes <= MAILBOX_BYTES_MAX);
        // A message fits if its last byte fits.
        let taken = self.bytes + bytes - 1;
        self.shares.has_place(origin, taken, MAIL_TOTAL_BYTES_MAX)
            && fits(recipient)
            && sender.is_none_or(fits)
    }

    /// The bound of a mailbox that a new message of a sender would exceed.
    pub(crate) fn full_for(
        &self,
        origin: Option<Origin>,
        sender: Option<AccountId>,
        recipient: AccountId,
        content: &str,
    ) -> Option<Problem<'static>> {
        if !self.has_space(origin, sender, recipient, content) {
            return Some(Problem::MailboxFull);
        }
        let account = self.account(recipient).filter(|_| sender != Some(recipient))?;
        let bytes = counted(content);
        let conversation = sender.and_then(|sender| account.conversations.get(&sender));
        let is_known = conversation.is_some_and(|conversation| conversation.sent > 0);
        let received = conversation.map_or(0, |conversation| conversation.received);
        let Held { from_strangers, from_unknown, .. } = account.held;
        if received + bytes > MAILBOX_SENDER_BYTES_MAX {
            Some(Problem::MailboxFullForYou)
        } else if (sender.is_none() && from_strangers + bytes > MAILBOX_STRANGERS_BYTES_MAX)
            || (!is_known && from_unknown + bytes > MAILBOX_UNKNOWN_BYTES_MAX)
        {
            Some(Problem::MailboxFullForUnknown)
        } else {
            None
        }
    }

    /// The number of messages that an account has not read.
    pub(crate) fn unread(&self, reader: AccountId) -> u32 {
        self.account(reader).map_or(0, |account| account.held.unread)
    }

    /// The conversations of an account by the names that [`Ledger::with`] understands, with their unread
    /// messages: those with unread ones first.
    pub(crate) fn conversations_of(&self, reader: AccountId) -> impl Iterator<Item = (Cow<'_, str>, u32)> {
        let all = move |is_unread: bool| {
            let with_accounts = self.account(reader).into_iter().flat_map(|reader| &reader.conversations);
            let named = with_accounts
                .filter_map(|(id, c)| Some((Cow::Borrowed(&*self.account(*id)?.name), c.unread)));
            named.chain(self.strangers_of(reader)).filter(move |(_, unread)| (*unread > 0) == is_unread)
        };
        all(true).chain(all(false))
    }

    /// The messages of a conversation for one answer, oldest first, up to its size. They are the newest ones,
    /// or start at the oldest unread one if the newest ones leave it out.
    pub(crate) fn next_read(&self, reader: AccountId, with: &With) -> Vec<OpId> {
        let newest = self.conversation(reader, with, None, usize::MAX);
        let Some(&oldest_unread) = self.unread_from(reader, with).last() else { return newest };
        if newest.first().is_some_and(|&first| first <= oldest_unread) {
            return newest;
        }
        let conversation = self.account(reader).and_then(|account| account.conversation(with));
        let from = conversation.into_iter().flat_map(|c| c.letters.range(oldest_unread..).copied());
        from.take_while(self.within_answer()).collect()
    }

    /// Whether an answer still holds the next message; called for one message after the other.
    fn within_answer(&self) -> impl FnMut(&OpId) -> bool {
        let mut bytes = 0;
        move |id| {
            bytes += self.letters.get(id).map_or(0, |letter| counted(&letter.content));
            bytes <= MAIL_LISTED_BYTES_MAX
        }
    }

    /// All messages of a conversation that an account sees, oldest first.
    pub(crate) fn seen_with(&self, viewer: AccountId, with: &With) -> Vec<OpId> {
        let conversation = self.account(viewer).and_then(|account| account.conversation(with));
        conversation.into_iter().flat_map(|c| c.letters.iter().copied()).collect()
    }

    /// What an account sees of a conversation before a message, oldest first: so many of the newest, and no more than an
    /// answer holds.
    pub(crate) fn conversation(
        &self,
        reader: AccountId,
        with: &With,
        before: Option<OpId>,
        count: usize,
    ) -> Vec<OpId> {
        let conversation = self.account(reader).and_then(|account| account.conversation(with));
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        let newest =
            conversation.into_iter().flat_map(|c| c.letters.range((Bound::Unbounded, end)).rev().copied());
        let mut shown: Vec<_> = newest.take(count).take_while(self.within_answer()).collect();
        shown.reverse();
        shown
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

    /// The messages of a conversation that an account has not read, newest first.
    pub(crate) fn unread_from(&self, reader: AccountId, with: &With) -> Vec<OpId> {
        let conversation = self.account(reader).and_then(|account| account.conversation(with));
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

    /// The accounts that are unused, oldest first.
    pub(crate) fn unused(&self) -> impl Iterator<Item = (OpId, AccountId)> {
        self.unused.iter().copied()
    }

    /// Whether an account was never used again after its first login.
    pub(crate) fn is_unused(&self, id: AccountId) -> bool {
        self.account(id).is_some_and(|account| account.is_unused)
    }

    /// Restores the accounts and messages of the store, and ignores the other parts. A message of a deleted
    /// account is dropped.
    pub(crate) fn restore(&mut self, kept: &Kept) {
        match kept {
            Kept::Account { name, password, id, is_unused } => {
                let id = id.unwrap_or_else(|| id_without_op(self.next_account));
                self.create(name, password, id, *is_unused, true);
            }
            Kept::Letter(letter) => self.restore_letter(letter),
            Kept::Seat { .. } => {}
        }
    }

    fn restore_letter(&mut self, kept: &chat::Letter) {
        let recipient_id = self.find_as(&kept.recipient, kept.recipient_account);
        let sender_id = match (kept.sender_account, kept.recipient_account) {
            (Some(_), _) => self.find_as(&kept.sender, kept.sender_account),
            (None, Some(_)) => None,
            // From an earlier version: a sender with an account sees it, except in a message to oneself.
            (None, None) => self
                .find_as(&kept.sender, None)
                .filter(|&sender| kept.sender_sees || Some(sender) == recipient_id || kept.key.is_some()),
        };
        let is_gone = (kept.sender_account.is_some() && sender_id.is_none())
            || (kept.recipient_account.is_some() && recipient_id.is_none());
        let sender_sees = kept.sender_sees && sender_id != recipient_id;
        let seen_by = [sender_id.filter(|_| sender_sees), recipient_id.filter(|_| kept.recipient_sees)];
        if is_gone || seen_by == [None, None] {
            return;
        }
        let letter = Letter {
            at: kept.at,
            sender: kept.sender.clone(),
            recipient: kept.recipient.clone(),
            content: kept.content.clone(),
            seen_by,
            sent_from: sender_id,
            sent_to: recipient_id,
            key: kept.key.clone().filter(|_| sender_id.is_some()),
            unread: kept.unread,
            origin: None,
        };
        self.send(kept.id, letter);
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
            id: Some(account.id),
            is_unused: account.is_unused,
        };
        self.accounts.values().map(kept)
    }

    /// A message, with who sees it.
    pub(crate) fn letter_kept(&self, id: OpId) -> Option<chat::Letter> {
        let letter = self.letters.get(&id)?;
        let id_of = |account: Option<AccountId>| account.and_then(|id| Some(self.account(id)?.id));
        Some(chat::Letter {
            id,
            at: letter.at,
            sender: letter.sender.clone(),
            sender_account: id_of(letter.sent_from),
            recipient: letter.recipient.clone(),
            recipient_account: id_of(letter.sent_to),
            content: letter.content.clone(),
            key: letter.key.clone(),
            sender_sees: letter.seen_by[SENDER].is_some(),
            recipient_sees: letter.seen_by[RECIPIENT].is_some(),
            unread: letter.unread,
        })
    }

    /// Carries out an op, as far as it is about accounts and mailboxes.
    pub(crate) fn apply(&mut self, op: &Op) {
        self.apply_for(op, None);
    }

    /// Applies an op, and charges an origin for it.
    pub(crate) fn apply_for(&mut self, op: &Op, origin: Option<Origin>) {
        match &op.change {
            Change::AccountCreated { name, password, is_unused } => {
                self.create(name, password, op.id, *is_unused, false);
            }
            Change::AccountUsed { name, account } => {
                if let Some(id) = self.find_as(name, *account) {
                    self.note_use(id);
                }
            }
            Change::PasswordChanged { name, account, password } => {
                let id = self.find_as(name, *account);
                if let Some(account) = id.and_then(|id| self.accounts.get_mut(&id)) {
                    account.password = password.clone();
                }
            }
            Change::AccountDeleted { name, account } => {
                if let Some(id) = self.find_as(name, *account) {
                    self.delete_account(id);
                }
            }
            Change::MailSent { sender, recipient, content, key, .. } => {
                let accounts = op.change.mail_accounts(|name, id| self.find_as(name, id));
                let Some((sender_id, recipient_id)) = accounts else { return };
                let letter = Letter {
                    at: op.at,
                    sender: sender.clone(),
                    recipient: recipient.clone(),
                    content: content.clone(),
                    seen_by: [sender_id.filter(|&sender| sender != recipient_id), Some(recipient_id)],
                    sent_from: sender_id,
                    sent_to: Some(recipient_id),
                    key: key.clone().filter(|_| sender_id.is_some()),
                    unread: true,
                    origin,
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
            Change::ConversationCleared { by, messages } => {
                if let Some(by) = self.id_of(by) {
                    for &message in messages {
                        self.hide_from(by, message);
                    }
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

    /// The account of a name, if it has the given id or none is given.
    fn find_as(&self, name: &str, id: Option<OpId>) -> Option<AccountId> {
        let found = self.id_of(name)?;
        let is_meant = id.is_none_or(|id| self.account(found).is_some_and(|account| account.id == id));
        is_meant.then_some(found)
    }

    fn create(&mut self, name: &str, password: &PasswordHash, id: OpId, is_unused: bool, is_restored: bool) {
        let Some(folded) = fold(name) else { return };
        if self.by_name.contains_key(&*folded) {
            return;
        }
        let number = AccountId(self.next_account);
        self.next_account += 1;
        // A newer account does not change a full list.
        self.oldest.retain(|(_, oldest)| !oldest.is_all);
        self.by_name.insert(folded.as_str().into(), number);
        if is_unused {
            self.unused.insert((id, number));
        }
        let skeleton = self.skeletons.hasher().hash_one(Skeleton::of(name));
        *self.skeletons.entry(skeleton).or_default() += 1;
        let account = Account {
            name: name.into(),
            folded,
            id,
            is_restored,
            is_unused,
            correspondents: BTreeSet::new(),
            password: password.clone(),
            conversations: BTreeMap::new(),
            strangers: BTreeMap::new(),
            held: Held::default(),
        };
        self.accounts.insert(number, account);
    }

    /// The account stays from now on.
    fn note_use(&mut self, id: AccountId) {
        if let Some(account) = self.accounts.get_mut(&id)
            && std::mem::take(&mut account.is_unused)
        {
            self.unused.remove(&(account.id, id));
        }
    }

    /// A second message of the same id is none: a group of ops that was committed may come again.
    fn send(&mut self, id: OpId, letter: Letter) {
        if self.letters.contains_key(&id) {
            return;
        }
        let bytes = counted(&letter.content);
        let (Some(sender), Some(recipient)) = (fold(&letter.sender), fold(&letter.recipient)) else { return };
        for account in [letter.sent_from, letter.sent_to].into_iter().flatten() {
            self.note_use(account);
        }
        let from = letter.sent_from.map_or(With::Stranger(sender), With::Account);
        let to = letter.sent_to.map_or(With::Stranger(recipient), With::Account);
        if let Some(account) = letter.seen_by[RECIPIENT].and_then(|id| self.accounts.get_mut(&id)) {
            account.converse(&from, &letter.sender, |conversation| {
                conversation.letters.insert(id);
                conversation.unread += u32::from(letter.unread);
                *conversation.bytes_of(letter.is_to_oneself()) += bytes;
            });
        }
        if let Some(account) = letter.seen_by[SENDER].and_then(|id| self.accounts.get_mut(&id)) {
            account.converse(&to, &letter.recipient, |conversation| {
                conversation.letters.insert(id);
                conversation.sent += bytes;
            });
        }
        // Also if one of the two has deleted it from its view: it is deleted with that account.
        if let (Some(sender), Some(recipient)) = (letter.sent_from, letter.sent_to)
            && sender != recipient
        {
            self.acquaint(sender, recipient);
        }
        if let (Some(sender), Some(key)) = (letter.sent_from, &letter.key) {
            self.by_key.insert((sender, key.clone()), id);
        }
        self.bytes += bytes;
        self.shares.charge(letter.origin, bytes);
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
            && let Some(with) = letter.other(RECIPIENT)
            && let Some(account) = self.accounts.get_mut(&reader)
        {
            account.change(&with, |conversation| conversation.unread -= 1);
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

    /// Only from the view of one side.
    fn hide_from(&mut self, viewer: AccountId, id: OpId) {
        for whose in [SENDER, RECIPIENT] {
            if self.letters.get(&id).is_some_and(|letter| letter.seen_by[whose] == Some(viewer)) {
                self.hide(id, whose);
            }
        }
    }

    /// Takes a message out of one of its two views; with the last one it is gone.
    fn hide(&mut self, id: OpId, whose: usize) {
        let Some(letter) = self.letters.get_mut(&id) else { return };
        if let Some(viewer) = letter.seen_by[whose].take()
            && let Some(account) = self.accounts.get_mut(&viewer)
            && let Some(with) = letter.other(whose)
        {
            let is_own = whose == SENDER || letter.is_to_oneself();
            account.change(&with, |conversation| {
                conversation.letters.remove(&id);
                conversation.unread -= u32::from(letter.unread && whose == RECIPIENT);
                *conversation.bytes_of(is_own) -= counted(&letter.content);
            });
        }
        if letter.seen_by == [None, None] {
            if let (Some(sender), Some(key)) = (letter.sent_from, &letter.key) {
                self.by_key.remove(&(sender, key.clone()));
            }
            let bytes = counted(&letter.content);
            self.bytes -= bytes;
            self.shares.give_back(letter.origin, bytes);
            self.letters.remove(&id);
        }
    }

    fn delete_account(&mut self, id: AccountId) {
        self.note_use(id);
        // Its own conversations, and what others still have of it.
        let Some(account) = self.accounts.get(&id) else { return };
        self.by_name.remove(&*account.folded);
        let own = account.conversations.values().chain(account.strangers.values());
        let others = account.correspondents.iter().filter_map(|other| self.accounts.get(other));
        let of_others = others.filter_map(|account| account.conversations.get(&id));
        let letters: Vec<OpId> = own.chain(of_others).flat_map(|c| c.letters.iter().copied()).collect();
        for letter_id in letters {
            self.hide(letter_id, RECIPIENT);
            self.hide(letter_id, SENDER);
        }
        self.oldest.clear();
        if let Some(account) = self.accounts.remove(&id) {
            let skeleton = self.skeletons.hasher().hash_one(Skeleton::of(&account.name));
            if let Entry::Occupied(mut alike) = self.skeletons.entry(skeleton) {
                *alike.get_mut() -= 1;
                if *alike.get() == 0 {
                    alike.remove();
                }
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
            let mut held = Held::default();
            assert_eq!(account.is_unused, self.unused.contains(&(account.id, id)));
            let with_accounts = account.conversations.iter().map(|(&with, c)| (With::Account(with), c));
            let stranger = |folded: &str| With::Stranger(fold(folded).expect("it was a name"));
            let with_strangers = account.strangers.iter().map(|(folded, c)| (stranger(folded), c));
            for (with, conversation) in with_accounts.chain(with_strangers) {
                assert!(!conversation.letters.is_empty(), "a conversation has messages");
                let named = match with {
                    With::Account(other) => self.accounts[&other].folded,
                    With::Stranger(folded) => folded,
                };
                assert_eq!(fold(&conversation.other), Some(named));
                let (mut unread, mut received, mut sent) = (0, 0, 0);
                for letter in &conversation.letters {
                    let letter = &self.letters[letter];
                    let side = if letter.seen_by[RECIPIENT] == Some(id) { RECIPIENT } else { SENDER };
                    assert!(letter.seen_by[side] == Some(id) && letter.other(side) == Some(with));
                    unread += u32::from(letter.unread && letter.seen_by[RECIPIENT] == Some(id));
                    let is_own = letter.sent_from == Some(id);
                    *(if is_own { &mut sent } else { &mut received }) += counted(&letter.content);
                    views += 1;
                }
                let found = (conversation.unread, conversation.received, conversation.sent);
                assert_eq!((unread, received, sent), found);
                held.replace(Held::default(), Held::of(&with, conversation));
            }
            assert_eq!(held, account.held);
        }
        let seen = |letter: &Letter| match letter.seen_by {
            [None, None] => panic!("somebody sees each message"),
            [Some(_), Some(_)] => 2,
            [Some(_), None] | [None, Some(_)] => 1,
        };
        assert_eq!(views, self.letters.values().map(seen).sum::<usize>());
        assert_eq!(self.bytes, self.letters.values().map(|letter| counted(&letter.content)).sum::<usize>());
        let parts = self.letters.values().map(|letter| (letter.origin, counted(&letter.content)));
        self.shares.check_invariants(parts);
        for (key, id) in &self.by_key {
            let letter = &self.letters[id];
            assert_eq!(letter.sent_from.zip(letter.key.clone()).as_ref(), Some(key));
        }
    }
}

impl Letter {
    /// Whether its sender and its recipient are the same account.
    fn is_to_oneself(&self) -> bool {
        self.sent_from.is_some() && self.sent_from == self.sent_to
    }

    /// The other side of the conversation, seen from one of its two accounts.
    fn other(&self, whose: usize) -> Option<With> {
        let (account, name) =
            if whose == SENDER { (self.sent_to, &self.recipient) } else { (self.sent_from, &self.sender) };
        account.map(With::Account).or_else(|| fold(name).map(With::Stranger))
    }
}

#[cfg(test)]
mod tests;
