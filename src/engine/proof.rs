//! Proving a name: which password is looked at for whom, and what happens then. Passwords are compared off the loop; the
//! connection waits meanwhile, and whatever it sent stays where it is.

use std::fmt;
use std::time::Duration;

use super::holders::Stays;
use super::password_queue::Source;
use super::{Awaited, Engine};
use crate::chat::{
    Change, CloseReason, ConnId, Event, Folded, Name, Now, PasswordHash, PasswordOutcome, PasswordTask,
    Phase, Problem, RoomName, SERVER_NAME, check_password,
};
use crate::limits::{NAME_NUMBER_MAX, PASSWORD_BYTES_MAX, PASSWORD_WRONG_HASHES};
use crate::state::AccountId;
use crate::wire::Dialect;

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
    /// It has a name, and takes this one instead.
    TakeName,
    /// An account is made of its name.
    MakeAccount,
    /// Its account gets another password, which has to be hashed first.
    ChangePassword {
        /// The password.
        new: NewPassword,
    },
    /// Its account gets the password that was hashed.
    SetPassword,
    /// Its account is deleted.
    EndAccount,
    /// It gets a seat in a room.
    Enter {
        /// Which.
        room: RoomName,
        /// Make it first.
        making: bool,
    },
}

/// A password that is hashed once the old one turns out to be right. `Debug` shows none of it.
#[derive(Clone)]
pub(super) struct NewPassword(Box<str>);

impl NewPassword {
    pub(super) fn new(password: &str) -> Self {
        Self(password.into())
    }
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword(…)")
    }
}

/// A password that is being looked at.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    wanted: Wanted,
    /// None: there was no account, and one is made.
    account: Option<AccountId>,
    then: Then,
    /// The account got another password since the check was asked for.
    is_outdated: bool,
    /// The name is under attack: the password is checked no sooner (monotonic clock).
    until: Option<Duration>,
}

impl Wanted {
    /// Checks a name as a person may have it.
    pub(super) fn parse(text: &str) -> Result<Self, Problem<'static>> {
        let (name, folded) = Name::parse(text).map_err(Problem::Name)?;
        if folded == *SERVER_NAME { Err(Problem::NameTaken) } else { Ok(Self { name, folded }) }
    }
}

/// Random bits for the search of a free name.
pub(super) struct Draws(pub(super) [u8; 4 * Draws::COUNT]);

impl Draws {
    /// One for each doubling up to [`NAME_NUMBER_MAX`], and one for where a search of all begins.
    const COUNT: usize = NAME_NUMBER_MAX.ilog2() as usize;

    /// One of the numbers below a bound.
    fn below(&self, index: u32, bound: u32) -> u32 {
        let (draws, _) = self.0.as_chunks::<4>();
        let draw = u32::from_le_bytes(draws[index as usize % Self::COUNT]);
        ((u64::from(draw) * u64::from(bound)) >> 32) as u32
    }
}

/// A free name among `base`, `base~2`, `base~3` and so on. Numbers in use are mostly the lowest, so the
/// search doubles, then halves. It draws the tried numbers at random from each doubling, so no client can
/// occupy exactly those.
pub(super) fn nearest(base: &str, draws: &Draws, free: impl Fn(&str) -> Option<Wanted>) -> Option<Wanted> {
    if let Some(wanted) = free(base) {
        return Some(wanted);
    }
    let numbered = |number: u32| free(&format!("{base}~{number}"));
    let mut taken = 1;
    for doubling in 1..NAME_NUMBER_MAX.ilog2() {
        let number = (1 << doubling) + draws.below(doubling, 1 << doubling);
        if let Some(wanted) = numbered(number) {
            return Some(lowest_free(taken, (number, wanted), numbered));
        }
        taken = number;
    }
    // Most of the numbers are in use, or held to keep others out: one after another, from anywhere.
    let first = draws.below(0, NAME_NUMBER_MAX - 1);
    (0..NAME_NUMBER_MAX - 1).find_map(|step| numbered(2 + (first + step) % (NAME_NUMBER_MAX - 1)))
}

/// Halves the way from a number in use to a free one.
fn lowest_free(mut taken: u32, free: (u32, Wanted), numbered: impl Fn(u32) -> Option<Wanted>) -> Wanted {
    let (mut number, mut found) = free;
    while number - taken > 1 {
        let middle = taken + (number - taken) / 2;
        match numbered(middle) {
            None => taken = middle,
            Some(wanted) => (number, found) = (middle, wanted),
        }
    }
    found
}

impl Engine {
    /// Has a password looked at, if it may be.
    pub(super) fn prove(&mut self, id: ConnId, wanted: Wanted, password: &str, then: Then) {
        let account = self.ledger.find(&wanted.folded);
        let against = account.and_then(|account| self.ledger.account(account)).map(|a| a.password.clone());
        let source = self.source_of(id);
        // Without an account the password makes one. An older account's password may be any text.
        let unusable = match against {
            Some(_) => password.len() > PASSWORD_BYTES_MAX,
            None => check_password(password).is_err(),
        };
        // Accounts are made where that is asked for, and nowhere else: this one was deleted meanwhile.
        let is_gone = against.is_none() && !matches!(then, Then::OpenMailbox | Then::MakeAccount);
        let problem = if is_gone {
            Some(Problem::WrongPassword)
        } else if unusable {
            Some(Problem::PasswordUnusable)
        } else if !self.may_try(&wanted, source) {
            Some(Problem::TooManyAttempts)
        } else if against.is_none() {
            self.check_new_account(id, &wanted).err()
        } else {
            None
        };
        if let Some(problem) = problem {
            return self.refuse_login(id, problem);
        }
        let wait = against
            .as_ref()
            .and_then(|_| self.attempts.wait(&wanted.folded, source.network, self.now.monotonic));
        if !self.passwords.has_place(source, wait.is_some()) {
            return self.refuse_login(id, Problem::Busy);
        }
        self.metrics.attempts_delayed += u64::from(wait.is_some());
        let until = wait.map(|wait| self.now.monotonic + wait);
        let serial = self
            .await_something(id, Awaited::Proof(Proof { wanted, account, then, is_outdated: false, until }));
        let task = PasswordTask { conn: id, serial, password: password.into(), against };
        self.passwords.push(source, task, until);
    }

    /// The old password was right: has the new one hashed.
    fn hash_new_password(&mut self, id: ConnId, wanted: Wanted, NewPassword(password): NewPassword) {
        let source = self.source_of(id);
        if !self.passwords.has_place(source, false) {
            return self.refuse_login(id, Problem::Busy);
        }
        let account = self.ledger.find(&wanted.folded);
        let proof = Proof { wanted, account, then: Then::SetPassword, is_outdated: false, until: None };
        let serial = self.await_something(id, Awaited::Proof(proof));
        self.passwords.push(source, PasswordTask { conn: id, serial, password, against: None }, None);
    }

    /// The source to which a connection's checks count.
    fn source_of(&self, id: ConnId) -> Source {
        let conn = self.conn(id);
        Source { network: conn.network, is_exempt: conn.is_exempt }
    }

    /// Whether a password for a name may be checked.
    fn may_try(&self, wanted: &Wanted, source: Source) -> bool {
        self.attempts.are_allowed(&wanted.folded, source.network, self.now.monotonic)
    }

    /// The next password to check off the loop, while few are in work. Answer with
    /// [`Engine::password_compared`], or with [`Engine::password_refused`] if it cannot be checked.
    pub fn next_password_task(&mut self) -> Option<PasswordTask> {
        while let Some((source, task)) = self.passwords.next(self.now.monotonic) {
            let PasswordTask { conn, serial, .. } = task;
            if self.is_worth_a_hash(conn, source) {
                self.passwords.charge(source, 1, self.now.monotonic);
                return Some(task);
            }
            self.passwords.done();
            if self.take_awaited(conn, serial).is_some() {
                self.refuse_login(conn, Problem::TooManyAttempts);
            }
        }
        None
    }

    /// Whether a connection still waits for its password check, and earlier wrong passwords do not block it.
    fn is_worth_a_hash(&self, id: ConnId, source: Source) -> bool {
        let conn = self.connections.get(id).filter(|conn| conn.generation == id.generation);
        let awaited = conn.and_then(|conn| conn.more.as_ref()).and_then(|more| more.awaited.as_ref());
        let Some((_, Awaited::Proof(proof))) = awaited else { return false };
        proof.account.is_none() || self.may_try(&proof.wanted, source)
    }

    /// An account has another password: checks of the old one, in work or waiting, prove nothing. Rare, so that it
    /// looks at all connections.
    pub(super) fn outdate_proofs(&mut self, account: AccountId) {
        for conn in self.connections.values_mut().filter(|conn| conn.awaiting) {
            let awaited = conn.more.as_mut().and_then(|more| more.awaited.as_mut());
            if let Some((_, Awaited::Proof(proof))) = awaited
                && proof.account == Some(account)
            {
                proof.is_outdated = true;
            }
        }
    }

    /// Drops the waiting task of a connection that ends, unless the task has started.
    pub(super) fn forget_task(&mut self, id: ConnId) {
        if !self.conn(id).awaiting {
            return;
        }
        let source = self.source_of(id);
        let awaited = self.conn(id).more.as_ref().and_then(|more| more.awaited.as_ref());
        match awaited {
            Some(&(serial, Awaited::Proof(Proof { until, .. }))) => {
                self.passwords.remove(source, serial, until);
            }
            Some(&(serial, Awaited::Past(_))) => {
                self.past_tasks.remove(source.network, |task| task.serial == serial);
            }
            Some((_, Awaited::Store | Awaited::Answer)) | None => {}
        }
    }

    /// What came of a [`PasswordTask`]. Who asked may be gone.
    pub fn password_compared(&mut self, id: ConnId, serial: u32, outcome: PasswordOutcome, now: Now) {
        self.now = now;
        self.passwords.done();
        let Some(Awaited::Proof(proof)) = self.take_awaited(id, serial) else { return };
        let Proof { wanted, account, then, is_outdated, .. } = proof;
        let source = self.source_of(id);
        match outcome {
            // Many may be compared at once; of no more than those that are allowed is it said what came of them.
            PasswordOutcome::Wrong | PasswordOutcome::Right { .. } if !self.may_try(&wanted, source) => {
                self.refuse_login(id, Problem::TooManyAttempts);
            }
            PasswordOutcome::Wrong => {
                self.attempts.count(&wanted.folded, source.network, self.now.monotonic);
                self.passwords.charge(source, PASSWORD_WRONG_HASHES - 1, self.now.monotonic);
                self.metrics.wrong_passwords += 1;
                self.refuse_login(id, Problem::WrongPassword);
            }
            PasswordOutcome::Failed => self.refuse_login(id, Problem::Busy),
            // While the old password was compared, the account was deleted, and perhaps made anew, or got another
            // one.
            PasswordOutcome::Right { .. } if is_outdated || self.ledger.find(&wanted.folded) != account => {
                self.refuse_login(id, Problem::WrongPassword);
            }
            PasswordOutcome::Right { upgraded } => {
                if let Some(password) = upgraded.filter(|_| self.can_keep(id)) {
                    let account = account.and_then(|id| Some(self.ledger.account(id)?.id));
                    let name = wanted.name.as_str().into();
                    let changed = Change::PasswordChanged { name, account, password };
                    self.commit_for(self.charged_to(id), changed);
                }
                self.proved(id, wanted, then, false);
            }
            PasswordOutcome::Hashed(hash) => match then {
                Then::SetPassword => self.set_password(id, wanted, account, hash),
                then => self.make_account(id, wanted, hash, then),
            },
        }
    }

    /// A [`PasswordTask`] was not taken.
    pub fn password_refused(&mut self, task: &PasswordTask) {
        self.passwords.done();
        if self.take_awaited(task.conn, task.serial).is_some() {
            self.refuse_login(task.conn, Problem::Busy);
        }
    }

    fn make_account(&mut self, id: ConnId, wanted: Wanted, password: PasswordHash, then: Then) {
        // Somebody may have been faster, with the account or with the name.
        let is_own = matches!(then, Then::MakeAccount);
        if self.ledger.find(&wanted.folded).is_some() {
            let problem = if is_own { Problem::AccountExists } else { Problem::NameTaken };
            return self.refuse_login(id, problem);
        }
        let holder = self.roster.holder(&self.connections, &wanted.folded);
        if holder.is_some_and(|holder| !is_own || holder != id) {
            return self.refuse_login(id, Problem::NameTaken);
        }
        // Others may have been made while the password was hashed.
        if let Err(problem) = self.check_new_account(id, &wanted) {
            return self.refuse_login(id, problem);
        }
        let stays = if is_own { Stays::Session(id) } else { Stays::Nothing };
        self.add_account(id, &wanted, password, stays);
        self.proved(id, wanted, then, true);
    }

    /// Checks that a connection may make an account of a name that has none.
    fn check_new_account(&mut self, id: ConnId, wanted: &Wanted) -> Result<(), Problem<'static>> {
        if let Some(obstacle) = self.account_obstacle(wanted) {
            return Err(obstacle);
        }
        self.check_account_place(id)?;
        if let Some(problem) = self.new_account_problem(id) {
            return Err(problem);
        }
        if self.can_keep(id) { Ok(()) } else { Err(self.unkept_problem()) }
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
        self.attempts.prove(&wanted.folded, self.conn(id).network, self.now.monotonic);
        if let Some(account) = self.ledger.find(&wanted.folded).filter(|_| !is_made) {
            self.note_use(account);
        }
        match then {
            Then::LogIn => {
                self.log_in_again(id, wanted);
                self.tell_waiting_mail(id);
            }
            Then::OpenMailbox => self.open_mailbox(id, wanted, is_made),
            Then::TakeName => self.take_proved_name(id, wanted),
            Then::MakeAccount => self.promise_own_account(id, wanted),
            Then::ChangePassword { new } => self.hash_new_password(id, wanted, new),
            Then::EndAccount => self.end_proved_account(id, wanted),
            // This task hashed a password and compared none.
            Then::SetPassword => {}
            Then::Enter { room, making } => self.take_seat(id, room, making, wanted, true),
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
        let conn = self.conn(id);
        if conn.phase == Phase::Chat && conn.dialect.has_rooms() {
            // It asked for something about an account, and stays logged in.
            return self.reply(id, &Event::Error(problem));
        }
        self.reply(id, &Event::LoginRefused(problem));
        let is_of_server = matches!(
            problem,
            Problem::ServerFull | Problem::Busy | Problem::NotKept | Problem::TooManyAttempts
        );
        self.login_is_refused(id, is_of_server);
    }

    /// A login was refused, and the peer was told. Where its dialect closes the connection then, it has as
    /// many tries as the settings say, unless another name would be refused as well (`is_final`).
    pub(super) fn login_is_refused(&mut self, id: ConnId, is_final: bool) {
        let dialect = self.conn(id).dialect;
        if !dialect.closes_on_refused_login() {
            return;
        }
        let tries = if dialect == Dialect::Slash { self.settings.slash_nick_tries } else { 1 };
        if tries > 1 && !is_final {
            let more = self.more_mut(id);
            more.logins_refused += 1;
            more.wanted = None;
            if more.logins_refused < tries {
                self.conn_mut(id).phase = Phase::Login;
                return self.reply(id, &Event::NameWanted);
            }
        }
        self.close(id, CloseReason::LoginRefused);
    }
}
