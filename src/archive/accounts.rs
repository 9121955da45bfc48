//! The accounts of a store without a running server: the ops that make, change and delete an account for the
//! operator.
//!
//! They are the same ops as the server's. When a name gains or loses an account, or its account gets another
//! password, the seats of the name end.

use super::plan::Ids;
use crate::chat::{
    Change, Folded, Kept, Name, NameError, Op, PasswordHash, ReservedNames, SERVER_NAME, Skeleton, Token,
    UnixMillis,
};
use crate::limits::ACCOUNTS_MAX;
use crate::state::State;
use crate::store::{Reader, StoreError};

/// Why an account cannot be made, changed or deleted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AccountError {
    /// The text is not a name.
    #[error("`{name}` cannot be a name: {}{}", describe(*.error), hint(.near.as_ref()))]
    Name {
        /// The text, made visible.
        name: String,
        /// Why not.
        error: NameError,
        /// A name like it, if there is one.
        near: Option<String>,
    },
    /// The server itself speaks under this name.
    #[error("the server itself speaks as `{SERVER_NAME}`: an account needs another name")]
    Server,
    /// The name has an account.
    #[error("the name {0} has an account already")]
    Exists(String),
    /// The name has no account.
    #[error("the name {0} has no account; `parlance account list` shows which have")]
    Missing(String),
    /// The name looks like another name.
    #[error(
        "{0} looks like a name that is reserved or has an account; --force makes the account all the same"
    )]
    LooksAlike(String),
    /// The store has [`ACCOUNTS_MAX`] accounts.
    #[error("the store has {ACCOUNTS_MAX} accounts, the maximum")]
    Full,
}

fn describe(error: NameError) -> String {
    match error {
        NameError::TooShort { min } => format!("it is too short, bytes needed: {min}"),
        NameError::TooLong { max } => format!("it is too long, bytes allowed: {max}"),
        NameError::Character => {
            "names are letters, digits and ASCII symbols, without blanks, and do not start with # / or :"
                .into()
        }
    }
}

fn hint(near: Option<&String>) -> String {
    near.map_or_else(String::new, |near| format!("; a name like it is {near}"))
}

/// The accounts of a store, as they are when it is read.
pub struct Accounts {
    state: State,
    seats: Vec<(Folded, Token)>,
    at: UnixMillis,
}

/// Checks that an account can have a name.
fn parse(name: &str) -> Result<(Name, Folded), AccountError> {
    let (parsed, folded) = Name::parse(name).map_err(|error| AccountError::Name {
        name: crate::chat::visible(name),
        error,
        near: Some(Name::near(name)).filter(|_| error == NameError::Character),
    })?;
    if folded == *SERVER_NAME { Err(AccountError::Server) } else { Ok((parsed, folded)) }
}

impl Accounts {
    /// Reads a store. `seed` is for the hashing of names, `now` for the ids of ops.
    ///
    /// # Errors
    ///
    /// The errors of the store.
    pub fn read(store: &mut dyn Reader, seed: u64, now: UnixMillis) -> Result<Self, StoreError> {
        let mut state = State::new(seed);
        let mut seats = Vec::new();
        let last = store.load(&mut |kept| {
            state.restore(&kept);
            if let Kept::Seat { seat, .. } = &kept
                && let Ok((_, folded)) = Name::parse(&seat.name)
            {
                seats.push((folded, seat.token));
            }
        })?;
        let at = last.map_or(now, |last| now.max(UnixMillis(last.at().0 + 1)));
        Ok(Self { state, seats, at })
    }

    /// The names of all accounts, oldest account first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.state.ledger.names()
    }

    /// Checks that a name can have a new account, reserved names included. `force` allows names that look
    /// like others.
    ///
    /// # Errors
    ///
    /// The reason why it cannot.
    pub fn check_new(&self, name: &str, reserved: &ReservedNames, force: bool) -> Result<(), AccountError> {
        let (name, folded) = parse(name)?;
        if self.state.ledger.find(&folded).is_some() {
            return Err(AccountError::Exists(name.as_str().to_owned()));
        }
        let skeleton = Skeleton::of(name.as_str());
        let is_like_reserved = reserved.resembles(&skeleton) && !reserved.contains(&folded);
        if !force && (is_like_reserved || self.state.ledger.resembles(&skeleton)) {
            return Err(AccountError::LooksAlike(name.as_str().to_owned()));
        }
        if self.state.ledger.account_count() >= ACCOUNTS_MAX { Err(AccountError::Full) } else { Ok(()) }
    }

    /// Checks that a name has an account, and returns the account's spelling of the name.
    ///
    /// # Errors
    ///
    /// The name has no account, or is not a name.
    pub fn check_there(&self, name: &str) -> Result<&str, AccountError> {
        let (name, folded) = parse(name)?;
        let account = self.state.ledger.find(&folded).and_then(|id| self.state.ledger.account(id));
        account.map(|account| &*account.name).ok_or_else(|| AccountError::Missing(name.as_str().to_owned()))
    }

    /// The ops that make an account.
    pub fn make(self, name: &str, password: PasswordHash, random: &mut dyn FnMut() -> u64) -> Vec<Op> {
        self.ops(name, Change::AccountCreated { name: name.into(), password, is_unused: false }, random)
    }

    /// The ops that give an account another password.
    pub fn change(self, name: &str, password: PasswordHash, random: &mut dyn FnMut() -> u64) -> Vec<Op> {
        self.ops(name, Change::PasswordChanged { name: name.into(), account: None, password }, random)
    }

    /// The ops that delete an account, with all messages from and to it.
    pub fn delete(self, name: &str, random: &mut dyn FnMut() -> u64) -> Vec<Op> {
        self.ops(name, Change::AccountDeleted { name: name.into(), account: None }, random)
    }

    /// The end of the seats of a name, and a change of its account.
    fn ops(self, name: &str, change: Change, random: &mut dyn FnMut() -> u64) -> Vec<Op> {
        let mut ids = Ids::from(self.at, random);
        let folded = Name::parse(name).ok().map(|(_, folded)| folded);
        let seats = self.seats.iter().filter(|(holder, _)| Some(holder) == folded.as_ref());
        let ends = seats.map(|&(_, token)| Change::SeatLeft { token });
        let changes: Vec<_> = ends.chain([change]).collect();
        changes.into_iter().map(|change| Op { id: ids.next(), at: self.at, change }).collect()
    }
}
