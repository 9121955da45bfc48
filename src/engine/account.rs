//! The account commands in the dialects with rooms: make an account of the session's own name, change its
//! password, delete it, and take the name of an account by its password.
//!
//! Each command compares or hashes a password off the loop, under the same limits as a login. It is answered
//! once its op is kept. Until then the session reads no further command.

use super::Engine;
use super::holders::{NameEnd, Stays};
use super::promise::Promise;
use super::proof::{NewPassword, Then, Wanted};
use crate::chat::{Change, ConnId, Event, PasswordHash, Problem, Secret, Skeleton, Usage, check_password};
use crate::state::{Account, AccountId};

impl Engine {
    /// The name of a session.
    fn own_name(&self, id: ConnId) -> Option<Wanted> {
        let name = self.conn(id).name?;
        Some(Wanted { name, folded: name.folded() })
    }

    /// The reason why a name cannot have a new account. A name with an account keeps it.
    pub(super) fn account_obstacle(&self, wanted: &Wanted) -> Option<Problem<'static>> {
        let reserved = &self.settings.reserved_names;
        if reserved.contains(&wanted.folded) {
            return Some(Problem::NameReserved);
        }
        let skeleton = Skeleton::of(wanted.name.as_str());
        (reserved.resembles(&skeleton) || self.ledger.resembles(&skeleton)).then_some(Problem::NameLookAlike)
    }

    /// Makes an account of the session's name.
    pub(super) fn make_own_account(&mut self, id: ConnId, password: &str) {
        if password.is_empty() {
            return self.reply(id, &Event::Error(Problem::Usage(Usage::MakeAccount)));
        }
        let Some(wanted) = self.own_name(id) else { return };
        if self.ledger.find(&wanted.folded).is_some() {
            return self.reply(id, &Event::Error(Problem::AccountExists));
        }
        self.prove(id, wanted, password, Then::MakeAccount);
    }

    /// Gives the account of the session's name another password, if the old one is right.
    pub(super) fn change_password(&mut self, id: ConnId, old: &str, new: &str) {
        if old.is_empty() || new.is_empty() {
            return self.reply(id, &Event::Error(Problem::Usage(Usage::ChangePassword)));
        }
        let Some(wanted) = self.own_name(id) else { return };
        if self.ledger.find(&wanted.folded).is_none() {
            return self.reply(id, &Event::Error(Problem::NotRegistered));
        }
        if check_password(new).is_err() {
            return self.reply(id, &Event::Error(Problem::PasswordUnusable));
        }
        self.prove(id, wanted, old, Then::ChangePassword { new: NewPassword::new(new) });
    }

    /// Deletes the account of the session's name, if the password is right.
    pub(super) fn end_own_account(&mut self, id: ConnId, password: &str) {
        if password.is_empty() {
            return self.reply(id, &Event::Error(Problem::Usage(Usage::EndAccount)));
        }
        let Some(wanted) = self.own_name(id) else { return };
        if self.ledger.find(&wanted.folded).is_none() {
            return self.reply(id, &Event::Error(Problem::NotRegistered));
        }
        self.prove(id, wanted, password, Then::EndAccount);
    }

    /// Gives a session with a name the name of an account, if the password is right.
    pub(super) fn log_in_as(&mut self, id: ConnId, name: &str, password: Option<Secret<'_>>) {
        let Some(Secret(password)) = password.filter(|Secret(password)| !password.is_empty()) else {
            return self.reply(id, &Event::Error(Problem::Usage(Usage::Login)));
        };
        let wanted = match self.wanted_name(id, name) {
            Ok(wanted) => wanted,
            Err(problem) => return self.reply(id, &Event::Error(problem)),
        };
        if self.ledger.find(&wanted.folded).is_none() {
            return self.reply(id, &Event::Error(Problem::NoAccount(wanted.name.as_str())));
        }
        self.prove(id, wanted, password, Then::TakeName);
    }

    /// Renames the session after the right password for an account.
    pub(super) fn take_proved_name(&mut self, id: ConnId, wanted: Wanted) {
        self.end_others_of(&wanted.folded, Stays::Session(id), NameEnd::Replaced);
        self.change_name(id, wanted);
        self.tell_waiting_mail(id);
    }

    /// Promises the answer for the new account of the session's name.
    pub(super) fn promise_own_account(&mut self, id: ConnId, wanted: Wanted) {
        let account = self.ledger.find(&wanted.folded).and_then(|account| self.ledger.account(account));
        let made_by = account.and_then(Account::made_by);
        let promise = Promise::OwnAccount { made: Box::new(wanted) };
        self.promise(id, made_by, promise, |_, answer| {
            answer(&Event::AccountMade);
        });
    }

    /// Sets the hashed new password after the right old one.
    pub(super) fn set_password(
        &mut self,
        id: ConnId,
        wanted: Wanted,
        account: Option<AccountId>,
        new: PasswordHash,
    ) {
        // The account may be gone or replaced since the comparison.
        let found = self.ledger.find(&wanted.folded).filter(|&found| Some(found) == account);
        let Some((account, old)) =
            found.and_then(|found| Some((found, self.ledger.account(found)?.password.clone())))
        else {
            return self.refuse_login(id, Problem::WrongPassword);
        };
        if !self.can_keep(id) {
            return self.refuse_login(id, self.unkept_problem());
        }
        // Others may know the old password: their sessions and seats end, and the proofs of all networks are
        // forgotten.
        self.end_others_of(&wanted.folded, Stays::Session(id), NameEnd::Replaced);
        self.log_mailboxes_out(account);
        self.outdate_proofs(account);
        self.attempts.forget(&wanted.folded);
        self.attempts.prove(&wanted.folded, self.conn(id).network, self.now.monotonic);
        let name = wanted.name.as_str().into();
        let stored = self.ledger.account(account).map(|account| account.id);
        let change = Change::PasswordChanged { name, account: stored, password: new.clone() };
        let changed = self.commit_for(self.charged_to(id), change);
        let promise = Promise::Password { wanted: Box::new(wanted), old, new };
        self.promise(id, Some(changed), promise, |_, answer| {
            answer(&Event::PasswordChanged);
        });
    }

    /// Undoes a password change that the store did not keep, unless a later change replaced it.
    pub(super) fn undo_password(&mut self, wanted: &Wanted, old: PasswordHash, new: &PasswordHash) {
        let Some(found) = self.ledger.find(&wanted.folded) else { return };
        let stored = self.ledger.account(found).filter(|account| account.password == *new);
        if let Some(stored) = stored.map(|account| account.id) {
            self.outdate_proofs(found);
            let name = wanted.name.as_str().into();
            self.commit(Change::PasswordChanged { name, account: Some(stored), password: old });
        }
    }

    /// Deletes the account of the session's name after the right password. The session goes on as a
    /// stranger's.
    pub(super) fn end_proved_account(&mut self, id: ConnId, wanted: Wanted) {
        let Some(account) = self.ledger.find(&wanted.folded) else { return };
        if !self.can_keep(id) {
            return self.refuse_login(id, self.unkept_problem());
        }
        // A stranger cannot have a reserved name.
        let is_reserved = self.settings.reserved_names.contains(&wanted.folded);
        let stays = if is_reserved { Stays::Nothing } else { Stays::Session(id) };
        let ended = self.end_account(account, wanted.name, stays);
        if !is_reserved {
            self.promise(id, Some(ended), Promise::OwnChange, |_, answer| {
                answer(&Event::AccountEnded);
            });
        }
    }
}
