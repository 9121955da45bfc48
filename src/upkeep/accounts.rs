//! The commands for the accounts of a store. A password comes from the terminal or from standard input,
//! because other users can read the arguments of a process.

use std::io::{self, Write};

use parlance::archive::Accounts;
use parlance::chat::{ReservedNames, visible};
use parlance::config::Config;
use parlance::hash_password;
use parlance::store::{self, StoreSpec};

use super::arguments::AccountCommand;
use super::transfer::random;
use super::{UpkeepError, ensure_there, now, open_reader, report};
use crate::terminal::password_for_account;

/// Carries out an account command.
pub(super) fn run(spec: &StoreSpec, config: &Config, command: &AccountCommand) -> Result<(), UpkeepError> {
    match command {
        AccountCommand::List => list(spec),
        AccountCommand::Add { name, force } => add(spec, config, name, *force),
        AccountCommand::Passwd { name } => passwd(spec, config, name),
        AccountCommand::Delete { name } => delete(spec, config, name),
    }
}

fn list(spec: &StoreSpec) -> Result<(), UpkeepError> {
    let accounts = Accounts::read(&mut *open_reader(spec)?, random(), now())?;
    let mut stdout = io::stdout().lock();
    for name in accounts.names() {
        writeln!(stdout, "{}", visible(name))?;
    }
    Ok(stdout.flush()?)
}

/// Also makes a missing store, so that an administrator can have an account before the server's first start.
fn add(spec: &StoreSpec, config: &Config, name: &str, force: bool) -> Result<(), UpkeepError> {
    // Held until the end, so that the checks still hold at the commit.
    let mut store = store::open(spec, &config.store_options())?;
    let accounts = Accounts::read(&mut *store, random(), now())?;
    accounts.check_new(name, &ReservedNames::with(&config.reserved_names), force)?;
    let password = hash_password(&password_for_account(name)?)?;
    store.commit(&accounts.make(name, password, &mut random))?;
    report(&format!("made the account {}\n", visible(name)))
}

fn passwd(spec: &StoreSpec, config: &Config, name: &str) -> Result<(), UpkeepError> {
    ensure_there(spec)?;
    let mut store = store::open(spec, &config.store_options())?;
    let accounts = Accounts::read(&mut *store, random(), now())?;
    let name = accounts.check_there(name)?.to_owned();
    let password = hash_password(&password_for_account(&name)?)?;
    store.commit(&accounts.change(&name, password, &mut random))?;
    report(&format!("changed the password of {}\n", visible(&name)))
}

fn delete(spec: &StoreSpec, config: &Config, name: &str) -> Result<(), UpkeepError> {
    ensure_there(spec)?;
    let mut store = store::open(spec, &config.store_options())?;
    let accounts = Accounts::read(&mut *store, random(), now())?;
    let name = accounts.check_there(name)?.to_owned();
    store.commit(&accounts.delete(&name, &mut random))?;
    report(&format!("deleted the account {}, with its mail and seats\n", visible(&name)))
}
