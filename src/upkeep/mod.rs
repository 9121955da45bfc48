//! The commands that look at a store or look after it, beside the server.
//!
//! Those that only look, and `backup`, work while a server has the store open; those that change it want it for themselves.
//! What was asked for goes to standard output, nothing else does.

mod accounts;
mod arguments;
mod log;
mod new_file;
mod pages;
mod place;
mod transfer;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use parlance::HashError;
use parlance::archive::{AccountError, ExportError, ReadError};
use parlance::chat::{UnixMillis, visible};
use parlance::config::Config;
use parlance::store::{self, Reader, Sizes, StoreError, StoreSpec};

use self::place::PlaceError;
use crate::output::OutputError;
use crate::terminal::ChatError;
pub(crate) use arguments::{StoreCommand, UpkeepCommand};

/// The exit status of an import that left entries out.
const STATUS_LEFT: u8 = 3;

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpkeepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "there is no store `{0}`: say which one with --data and --store, or start a server, which makes it"
    )]
    NotThere(StoreSpec),
    #[error("a store in memory is its server's alone: name one on disk with --store")]
    InMemory,
    #[error("`{}` is no id of a message: take one from `parlance history --json`", visible(.0))]
    NoId(String),
    #[error("{0} found")]
    Problems(Count),
    #[error("not everything can be imported: {count} left out; the report above says what, and why")]
    Left { count: u64 },
    #[error("nothing to import: the files hold no account, seat or message")]
    Nothing,
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("cannot read `{}`: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("cannot write `{}`: {}", path.display(), unwritable(cause))]
    Unwritable { path: PathBuf, cause: io::Error },
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Password(#[from] ChatError),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error(transparent)]
    Redirection(#[from] OutputError),
    #[error("a backup is made in a file: name one (`./-` is a file of that name)")]
    NoStream,
    #[error("done, but the report cannot be written to standard output: {0}")]
    Unreported(io::Error),
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

impl UpkeepError {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::NoId(_) | Self::NoStream | Self::Redirection(_) => ExitCode::from(2),
            Self::Left { .. } => ExitCode::from(STATUS_LEFT),
            Self::Store(_)
            | Self::NotThere(_)
            | Self::InMemory
            | Self::Nothing
            | Self::Problems(_)
            | Self::Read(_)
            | Self::Unreadable { .. }
            | Self::Unwritable { .. }
            | Self::Place(_)
            | Self::Export(_)
            | Self::Account(_)
            | Self::Password(_)
            | Self::Hash(_)
            | Self::Unreported(_)
            | Self::Output(_) => ExitCode::FAILURE,
        }
    }

    /// Whoever reads has read enough: `parlance history --room lobby | head -1`.
    pub(crate) fn is_enough(&self) -> bool {
        match self {
            Self::Output(cause) | Self::Unreported(cause) | Self::Export(ExportError::Output(cause)) => {
                cause.kind() == io::ErrorKind::BrokenPipe
            }
            _ => false,
        }
    }
}

fn unwritable(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::AlreadyExists => "it is there already; move it away, or name another file".to_owned(),
        _ => cause.to_string(),
    }
}

/// A number of problems.
#[derive(Debug)]
pub(crate) struct Count(usize);

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} problem{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

/// Does what a command says.
pub(crate) fn run(command: &UpkeepCommand, config: &Config) -> Result<(), UpkeepError> {
    let spec = config.store_spec();
    if spec == StoreSpec::Memory {
        return Err(UpkeepError::InMemory);
    }
    place::ensure_fits(&spec)?;
    log::init();
    match command {
        UpkeepCommand::History(arguments) => pages::history(&mut *open_reader(&spec)?, arguments),
        UpkeepCommand::Search(arguments) => pages::search(&mut *open_reader(&spec)?, arguments),
        UpkeepCommand::Store { command: StoreCommand::Check } => check(&spec),
        UpkeepCommand::Account { command } => accounts::run(&spec, config, command),
        UpkeepCommand::Compact => compact(&spec, config),
        UpkeepCommand::Backup { file } => transfer::backup(&spec, &mut *open_reader(&spec)?, file),
        UpkeepCommand::Repair => repair(&spec),
        UpkeepCommand::Import(arguments) => transfer::import(&spec, config, arguments),
        UpkeepCommand::Export(arguments) => transfer::export(&spec, &mut *open_reader(&spec)?, arguments),
    }
}

/// Opens a store that is there, to look at it.
fn open_reader(spec: &StoreSpec) -> Result<Box<dyn Reader>, UpkeepError> {
    ensure_there(spec)?;
    Ok(store::open_reader(spec)?)
}

fn place(spec: &StoreSpec) -> Option<&Path> {
    match spec {
        StoreSpec::Sqlite(path) | StoreSpec::Jsonl(path) => Some(path),
        StoreSpec::Memory => None,
    }
}

fn ensure_there(spec: &StoreSpec) -> Result<(), UpkeepError> {
    if is_there(spec)? { Ok(()) } else { Err(UpkeepError::NotThere(spec.clone())) }
}

/// Whether there is a store, as far as the system lets this user know.
fn is_there(spec: &StoreSpec) -> Result<bool, UpkeepError> {
    let path = place(spec).ok_or(UpkeepError::InMemory)?;
    path.try_exists().map_err(|cause| StoreError::Io { path: path.into(), cause }.into())
}

fn check(spec: &StoreSpec) -> Result<(), UpkeepError> {
    let mut reader = open_reader(spec)?;
    let problems = reader.check()?;
    let mut stdout = io::stdout().lock();
    for problem in &problems {
        writeln!(stdout, "{}", visible(problem))?;
    }
    if !problems.is_empty() {
        stdout.flush()?;
        return Err(UpkeepError::Problems(Count(problems.len())));
    }
    let Sizes { bytes, dead_bytes, accounts, letters, seats, room_messages } = reader.sizes()?;
    writeln!(
        stdout,
        "{spec}: all is well; accounts: {accounts}, messages in mailboxes: {letters}, seats: {seats}, \
         messages in rooms: {room_messages}; {bytes} bytes, of which a compaction would free {dead_bytes}"
    )?;
    Ok(stdout.flush()?)
}

fn compact(spec: &StoreSpec, config: &Config) -> Result<(), UpkeepError> {
    ensure_there(spec)?;
    let mut store = store::open(spec, &config.store_options())?;
    let before = store.sizes()?.bytes;
    store.compact()?;
    let after = store.sizes()?.bytes;
    report(&format!("{spec}: {after} bytes, {before} before\n"))
}

fn repair(spec: &StoreSpec) -> Result<(), UpkeepError> {
    ensure_there(spec)?;
    let lines = store::repair(spec)?;
    report(&lines.iter().map(|line| visible(line) + "\n").collect::<String>())
}

/// Says what was done, once it is done.
fn report(text: &str) -> Result<(), UpkeepError> {
    print(text).map_err(UpkeepError::Unreported)
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(since.as_millis() as u64)
}
