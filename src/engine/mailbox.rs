//! Mailboxes: who has one open, and what one does with it.

use std::time::Duration;

use super::Engine;
use super::holders::{NameEnd, Stays};
use super::promise::Promise;
use super::proof::Wanted;
use crate::chat::{Change, ConnId, Event, Mail, Name, OP_ID_BYTES, OpId, Phase, Problem};
use crate::limits::{MAIL_LISTED_BYTES_AROUND, MAIL_LISTED_BYTES_MAX, MAIL_READ_MAX, RESUME_SECONDS_MAX};
use crate::state::{Account, AccountId};

impl Engine {
    /// The account that a connection speaks for. Whoever holds the name of an account has proved it.
    pub(super) fn account_of(&self, id: ConnId) -> Option<AccountId> {
        self.ledger.find(&self.conn(id).name?.folded())
    }

    /// Notes whose password comes next.
    pub(super) fn identify(&mut self, id: ConnId, name: &str, answered: bool) {
        // A password behind a name that nobody can have is not for the name before.
        self.more_mut(id).wanted = None;
        let wanted = match Wanted::parse(name) {
            Ok(wanted) => wanted,
            // In use, for whoever asks: no password of theirs opens it.
            Err(Problem::NameTaken) if answered => return self.reply(id, &Event::NameKnown),
            Err(problem) if answered => return self.reply(id, &Event::Error(problem)),
            Err(_) => return,
        };
        let account = self.ledger.find(&wanted.folded);
        self.more_mut(id).wanted = Some(wanted);
        if answered {
            let is_known =
                account.is_some() || self.roster.holder(&self.connections, &wanted.folded).is_some();
            self.reply(id, &if is_known { Event::NameKnown } else { Event::NameFree });
        } else if self.settings.ping_identity
            && self.conn(id).name.is_none()
            && let Some(account) = account.filter(|&account| self.may_resume(id, account))
        {
            self.note_use(account);
            self.enter_mailbox(id, wanted);
        }
    }

    fn may_resume(&self, id: ConnId, account: AccountId) -> bool {
        self.resumable.get(&account).is_some_and(|&(network, at)| {
            let since = self.now.monotonic.saturating_sub(at);
            network == self.conn(id).network && since <= Duration::from_secs(RESUME_SECONDS_MAX)
        })
    }

    /// `is_made`: its account was made for it, a moment ago.
    pub(super) fn open_mailbox(&mut self, id: ConnId, wanted: Wanted, is_made: bool) {
        self.enter_mailbox(id, wanted);
        let Some(account) = self.ledger.find(&wanted.folded) else { return };
        let made_by = self.ledger.account(account).and_then(Account::made_by);
        let promise = Promise::Account { account, made: is_made.then(|| Box::new(wanted)) };
        self.promise_login(id, made_by, promise);
    }

    /// The connection speaks for an account from now on.
    fn enter_mailbox(&mut self, id: ConnId, wanted: Wanted) {
        let Some(account) = self.ledger.find(&wanted.folded) else { return };
        self.leave_mailbox(id);
        let Some(stored) = self.ledger.account(account) else { return };
        // As it was first typed.
        let name = Wanted::parse(&stored.name).map_or(wanted.name, |wanted| wanted.name);
        let conn = self.conn_mut(id);
        conn.name = Some(name);
        conn.phase = Phase::Chat;
        self.more_mut(id).account = Some(account);
        self.mailboxes.entry(account).or_default().push(id);
        self.note_resumable(id, account);
        self.heard(id);
    }

    /// The connection speaks for its account no more.
    pub(super) fn leave_mailbox(&mut self, id: ConnId) {
        let Some(more) = &mut self.conn_mut(id).more else { return };
        more.subscribed = false;
        let Some(account) = more.account.take() else { return };
        let conn = self.conn_mut(id);
        conn.name = None;
        conn.phase = Phase::Login;
        if let Some(open) = self.mailboxes.get_mut(&account) {
            open.retain(|&other| other != id);
            if open.is_empty() {
                self.mailboxes.remove(&account);
            }
        }
        self.note_resumable(id, account);
    }

    fn note_resumable(&mut self, id: ConnId, account: AccountId) {
        if self.settings.ping_identity && self.ledger.account(account).is_some() {
            self.resumable.insert(account, (self.conn(id).network, self.now.monotonic));
        }
    }

    pub(super) fn mark_read(&mut self, id: ConnId, sender: &str) {
        let (Some(reader), Some(with)) = (self.account_of(id), self.ledger.with(sender)) else { return };
        let Some(name) = self.conn(id).name else { return };
        let unread = self.ledger.unread_from(reader, &with);
        if unread.is_empty() {
            return self.promise_unchanged(id);
        }
        if !self.can_keep(id) {
            return self.reply(id, &Event::Error(self.unkept_problem()));
        }
        for messages in unread.chunks(MAIL_READ_MAX) {
            let read = Change::MailRead { reader: name.as_str().into(), messages: messages.into() };
            let read = self.commit_for(self.charged_to(id), read);
            self.promise_change(id, read);
        }
    }

    pub(super) fn delete_mail(&mut self, id: ConnId, mail: &str) {
        let (Some(account), Some(message)) = (self.account_of(id), OpId::parse(mail)) else { return };
        if !self.ledger.sees(account, message) {
            return self.promise_unchanged(id);
        }
        if let Some(name) = self.conn(id).name {
            if !self.can_keep(id) {
                return self.reply(id, &Event::Error(self.unkept_problem()));
            }
            let deleted = Change::MailDeleted { by: name.as_str().into(), message };
            let deleted = self.commit_for(self.charged_to(id), deleted);
            self.promise_change(id, deleted);
        }
    }

    /// Tells a connection that has proved its name about unread mail.
    pub(super) fn tell_waiting_mail(&mut self, id: ConnId) {
        if self.find(id).is_none() {
            return;
        }
        let count = self.account_of(id).map_or(0, |account| self.ledger.unread(account));
        if count > 0 {
            self.reply(id, &Event::MailWaits(count));
        }
    }

    /// Lists the conversations of the connection's account.
    pub(super) fn list_mail(&mut self, id: ConnId) {
        let Some(reader) = self.account_of(id) else {
            return self.reply(id, &Event::Error(Problem::NoMailbox));
        };
        self.reply_with(id, |engine, answer| {
            answer(&Event::MailListBegin);
            let mut bytes = 0;
            for (name, unread) in engine.ledger.conversations_of(reader) {
                bytes += MAIL_LISTED_BYTES_AROUND + name.len();
                if bytes > MAIL_LISTED_BYTES_MAX {
                    break;
                }
                answer(&Event::Account { name: &name, unread });
            }
            answer(&Event::MailEnd);
        });
    }

    /// Shows a conversation of the connection's account. Its messages are read then. Unread ones that the
    /// answer does not hold stay unread, and come with the next answer.
    pub(super) fn read_mail(&mut self, id: ConnId, with: &str) {
        let (Some(reader), Some(name)) = (self.account_of(id), self.conn(id).name) else {
            return self.reply(id, &Event::Error(Problem::NoMailbox));
        };
        let Some(other) = self.ledger.with(with) else {
            return self.reply(id, &Event::Error(Problem::UserNotFound(with)));
        };
        let shown = self.ledger.next_read(reader, &other);
        self.reply_with(id, |engine, answer| {
            answer(&Event::ConversationBegin);
            for &mail_id in &shown {
                if let Some(mail) = engine.ledger.mail(mail_id) {
                    answer(&Event::Mail(Mail { id: mail_id.text(&mut [0; OP_ID_BYTES]), ..mail }));
                }
            }
        });
        let mut read = self.ledger.unread_from(reader, &other);
        let before = read.len();
        read.retain(|id| shown.binary_search(id).is_ok());
        if !read.is_empty() && !self.can_keep(id) {
            return self.reply(id, &Event::Error(self.unkept_problem()));
        }
        for messages in read.chunks(MAIL_READ_MAX) {
            let change = Change::MailRead { reader: name.as_str().into(), messages: messages.into() };
            self.commit_for(self.charged_to(id), change);
        }
        let unread = u32::try_from(before - read.len()).unwrap_or(u32::MAX);
        if unread > 0 {
            self.reply(id, &Event::MailWaits(unread));
        }
        self.reply(id, &Event::MailEnd);
    }

    /// Deletes a conversation from the mailbox of the connection's account.
    pub(super) fn clear_mail(&mut self, id: ConnId, with: &str) {
        let (Some(viewer), Some(name)) = (self.account_of(id), self.conn(id).name) else {
            return self.reply(id, &Event::Error(Problem::NoMailbox));
        };
        let Some(other) = self.ledger.with(with) else {
            return self.reply(id, &Event::Error(Problem::UserNotFound(with)));
        };
        let seen = self.ledger.seen_with(viewer, &other);
        if !seen.is_empty() && !self.can_keep(id) {
            return self.reply(id, &Event::Error(self.unkept_problem()));
        }
        if seen.is_empty() {
            self.promise_unchanged(id);
        }
        for messages in seen.chunks(MAIL_READ_MAX) {
            let by = name.as_str().into();
            let cleared = Change::ConversationCleared { by, messages: messages.into() };
            let cleared = self.commit_for(self.charged_to(id), cleared);
            self.promise_change(id, cleared);
        }
        self.reply(id, &Event::MailEnd);
    }

    /// Deletes the account whose mailbox a connection has open.
    pub(super) fn delete_account(&mut self, id: ConnId) {
        let (Some(account), Some(name)) = (self.account_of(id), self.conn(id).name) else { return };
        if !self.can_keep(id) {
            return self.reply(id, &Event::Error(self.unkept_problem()));
        }
        let deleted = self.end_account(account, name, Stays::Nothing);
        self.promise_change(id, deleted);
    }

    /// Deletes an account. It logs out the connections that have its mailbox open, and ends the sessions and
    /// seats of its name, except `stays`. They held the name by the account's password; the name is now free.
    pub(super) fn end_account(&mut self, account: AccountId, name: Name, stays: Stays) -> OpId {
        let folded = name.folded();
        self.end_others_of(&folded, stays, NameEnd::AccountDeleted);
        self.log_mailboxes_out(account);
        self.give_account_back(account);
        self.attempts.forget(&folded);
        let stored = self.ledger.account(account).map(|account| account.id);
        self.commit(Change::AccountDeleted { name: name.as_str().into(), account: stored })
    }

    /// Logs out the connections that have the mailbox of an account open.
    pub(super) fn log_mailboxes_out(&mut self, account: AccountId) {
        for open in self.mailboxes.remove(&account).unwrap_or_default() {
            self.leave_mailbox(open);
            self.deadlines.set(open, self.now.monotonic, self.settings.login_timeout);
        }
        self.resumable.remove(&account);
    }

    pub(super) fn subscribe(&mut self, id: ConnId, on: bool) {
        self.more_mut(id).subscribed = on;
    }
}
