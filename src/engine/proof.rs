//! Proving a name: which password is looked at for whom, and what happens then. Passwords are compared off the loop; the
//! connection waits meanwhile, and whatever it sent stays where it is.

use super::{Awaited, Engine};
use crate::chat::{
    Change, CloseReason, ConnId, Event, Folded, Name, Now, PasswordHash, PasswordOutcome, PasswordTask,
    Phase, Problem, RoomName, SERVER_NAME,
};
use crate::limits::PASSWORD_BYTES_MAX;
use crate::state::AccountId;

/// A name, and what makes it the same as others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) name: Name,
    pub(super) folded: Folded,
}

/// What a connection does once its password turns out to be right.
#[derive(Clone, Debug)]
pub(super) enum Then {
    /// It is logged in, in the lobby.
    LogIn,
    /// It is logged in to its mailbox; without an account, that is made.
    OpenMailbox,
    /// It gets a seat in a room.
    Enter {
        /// Which.
        room: RoomName,
        /// Make it first.
        making: bool,
    },
}

/// A password that is being looked at.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    wanted: Wanted,
    /// None: there was no account, and one is made.
    account: Option<AccountId>,
    then: Then,
}

impl Wanted {
    /// Checks a name as a person may have it.
    pub(super) fn parse(text: &str) -> Result<Self, Problem<'static>> {
        let (name, folded) = Name::parse(text).map_err(Problem::Name)?;
        if folded == *SERVER_NAME { Err(Problem::NameTaken) } else { Ok(Self { name, folded }) }
    }
}

impl Engine {
    /// Has a password looked at, if it may be.
    pub(super) fn prove(&mut self, id: ConnId, wanted: Wanted, password: &str, then: Then) {
        let account = self.ledger.find(&wanted.folded);
        let against = account.and_then(|account| self.ledger.account(account)).map(|a| a.password.clone());
        let network = self.conn(id).network;
        let unusable = password.len() > PASSWORD_BYTES_MAX || (against.is_none() && password.is_empty());
        // Accounts are made where that is asked for, and nowhere else: this one was deleted meanwhile.
        let is_gone = against.is_none() && !matches!(then, Then::OpenMailbox);
        let problem = if is_gone {
            Some(Problem::WrongPassword)
        } else if unusable {
            Some(Problem::PasswordUnusable)
        } else if !self.attempts.are_allowed(&wanted.folded, network, self.now.monotonic) {
            Some(Problem::TooManyAttempts)
        } else if against.is_none() && self.ledger.is_full() {
            Some(Problem::TooManyAccounts)
        } else if let Some(problem) = self.new_account_problem(id).filter(|_| against.is_none()) {
            Some(problem)
        } else if against.is_none() && !self.can_keep() {
            Some(self.unkept_problem())
        } else {
            None
        };
        if let Some(problem) = problem {
            return self.refuse_login(id, problem);
        }
        let serial = self.await_something(id, Awaited::Proof(Proof { wanted, account, then }));
        self.password_tasks.push_back(PasswordTask { conn: id, serial, password: password.into(), against });
    }

    /// The next password to be looked at, off the loop; answer with [`Engine::password_compared`], or with
    /// [`Engine::password_refused`] if too many wait.
    pub fn next_password_task(&mut self) -> Option<PasswordTask> {
        self.password_tasks.pop_front()
    }

    /// What came of a [`PasswordTask`]. Who asked may be gone.
    pub fn password_compared(&mut self, id: ConnId, serial: u32, outcome: PasswordOutcome, now: Now) {
        self.now = now;
        let Some(Awaited::Proof(proof)) = self.take_awaited(id, serial) else { return };
        let Proof { wanted, account, then } = proof;
        let network = self.conn(id).network;
        match outcome {
            // Many may be compared at once; of no more than those that are allowed is it said what came of them.
            PasswordOutcome::Wrong | PasswordOutcome::Right { .. }
                if !self.attempts.are_allowed(&wanted.folded, network, self.now.monotonic) =>
            {
                self.refuse_login(id, Problem::TooManyAttempts);
            }
            PasswordOutcome::Wrong => {
                self.attempts.count(&wanted.folded, network, self.now.monotonic);
                self.metrics.wrong_passwords += 1;
                self.refuse_login(id, Problem::WrongPassword);
            }
            PasswordOutcome::Failed => self.refuse_login(id, Problem::Busy),
            // The account was deleted, and perhaps made anew, while the password was compared.
            PasswordOutcome::Right { .. } if self.ledger.find(&wanted.folded) != account => {
                self.refuse_login(id, Problem::WrongPassword);
            }
            PasswordOutcome::Right { upgraded } => {
                if let Some(password) = upgraded.filter(|_| self.can_keep()) {
                    let account = account.and_then(|id| Some(self.ledger.account(id)?.id));
                    self.commit(Change::PasswordChanged {
                        name: wanted.name.as_str().into(),
                        account,
                        password,
                    });
                }
                self.proved(id, wanted, then, false);
            }
            PasswordOutcome::Hashed(hash) => self.make_account(id, wanted, hash, then),
        }
    }

    /// A [`PasswordTask`] was not taken.
    pub fn password_refused(&mut self, task: &PasswordTask) {
        if self.take_awaited(task.conn, task.serial).is_some() {
            self.refuse_login(task.conn, Problem::Busy);
        }
    }

    fn make_account(&mut self, id: ConnId, wanted: Wanted, password: PasswordHash, then: Then) {
        // Somebody may have been faster, with the account or with the name.
        if self.ledger.find(&wanted.folded).is_some()
            || self.roster.holder(&self.connections, &wanted.folded).is_some()
        {
            return self.refuse_login(id, Problem::NameTaken);
        }
        if self.ledger.is_full() {
            return self.refuse_login(id, Problem::TooManyAccounts);
        }
        // Its network may have made others while the password was hashed.
        if let Some(problem) = self.new_account_problem(id) {
            return self.refuse_login(id, problem);
        }
        if !self.can_keep() {
            return self.refuse_login(id, self.unkept_problem());
        }
        let conn = self.conn(id);
        if !conn.is_exempt {
            self.new_accounts.count(conn.network, self.now.monotonic);
        }
        let name = wanted.name.as_str().into();
        self.unused.begin(self.now);
        self.commit(Change::AccountCreated { name, password, is_unused: true });
        self.proved(id, wanted, then, true);
    }

    /// The limit of its network that keeps a connection from making an account.
    fn new_account_problem(&mut self, id: ConnId) -> Option<Problem<'static>> {
        let conn = self.conn(id);
        if conn.is_exempt {
            return None;
        }
        let now = self.now.monotonic;
        let until = self.new_accounts.refused_until(conn.network, now)?;
        let wait = until.saturating_sub(now);
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Some(Problem::TooManyNewAccounts { retry_seconds: u32::try_from(seconds).unwrap_or(u32::MAX) })
    }

    fn proved(&mut self, id: ConnId, wanted: Wanted, then: Then, is_made: bool) {
        if let Some(account) = self.ledger.find(&wanted.folded).filter(|_| !is_made) {
            self.note_use(account);
        }
        match then {
            Then::LogIn => {
                self.log_in(id, wanted, None);
                self.tell_waiting_mail(id);
            }
            Then::OpenMailbox => self.open_mailbox(id, wanted, is_made),
            Then::Enter { room, making } => self.take_seat(id, room, making, wanted),
        }
    }

    /// A password came for the name that was noted.
    pub(super) fn password(&mut self, id: ConnId, password: &str) {
        let wanted = self.conn(id).more.as_ref().and_then(|more| more.wanted);
        let is_logged_in = self.conn(id).phase == Phase::Chat;
        let Some(wanted) = wanted else {
            let problem = if is_logged_in { Problem::AlreadyLoggedIn } else { Problem::MustLogin };
            return self.reply(id, &Event::Error(problem));
        };
        if self.conn(id).dialect.has_rooms() {
            if is_logged_in {
                return self.reply(id, &Event::Error(Problem::AlreadyLoggedIn));
            }
            return self.prove(id, wanted, password, Then::LogIn);
        }
        // A name without an account is whoever holds it now.
        if self.ledger.find(&wanted.folded).is_none()
            && self.roster.holder(&self.connections, &wanted.folded).is_some()
        {
            return self.refuse_login(id, Problem::NameTaken);
        }
        self.prove(id, wanted, password, Then::OpenMailbox);
    }

    pub(super) fn refuse_login(&mut self, id: ConnId, problem: Problem<'_>) {
        self.metrics.attempts_refused += u64::from(problem == Problem::TooManyAttempts);
        self.metrics.accounts_refused += u64::from(matches!(problem, Problem::TooManyNewAccounts { .. }));
        self.reply(id, &Event::LoginRefused(problem));
        if self.conn(id).dialect.closes_on_refused_login() {
            self.close(id, CloseReason::LoginRefused);
        }
    }
}
