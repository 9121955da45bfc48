//! The grammar of these commands, and the words of their `--help`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use parlance::archive::Format;
use parlance::limits::{HISTORY_COUNT_DEFAULT, HISTORY_SHOWN_MAX};

const IMPORT_HELP: &str = "\
Formats, of which each file may have another:
  accounts  a JSON object of names and hashes of passwords (bcrypt or argon2id)
  rooms     a JSON object with `rooms`, `tokens` and `saved_at`; also what export --format json writes
  jsonl     a log of messages, a JSON object a line; also what export --format jsonl writes

All files are looked at before anything is written, accounts first, and what is new is committed as a whole or not at \
all. The same file twice changes nothing the second time. It says what it took, and what it left, and why. The server \
must not run meanwhile; with --dry-run it may, as nothing is written.";

const PASSWORD_HELP: &str = "\
The password is asked for on the terminal; elsewhere it is the first line of standard input. It never stands in the \
arguments, which every user of the machine can read.";

const ACCOUNT_HELP: &str = "\
Examples:
  parlance account add alice                    asks for the password
  parlance account add admin < password.txt     reads it from the first line
  parlance account list";

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum UpkeepCommand {
    /// Print what was said in a room, oldest first; without --room, the rooms of which something is kept
    History(HistoryArguments),
    /// Print the messages in rooms that have all the words of a text, newest first
    Search(SearchArguments),
    /// Look into the store
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Make, change, delete and list accounts; except for list, no server may have the store open
    #[command(after_help = ACCOUNT_HELP)]
    Account {
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// Make the store as small as it can be; no server may have it open
    Compact,
    /// Copy the store into one file, which must not exist; a server may have it open
    Backup {
        /// The file, which has that name once it is whole
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Mend a store that is damaged in the middle, leaving out what cannot be read (for jsonl)
    Repair,
    /// Take in what other programs left; no server may have the store open
    #[command(after_help = IMPORT_HELP)]
    Import(ImportArguments),
    /// Write everything out; a server may have the store open
    Export(ExportArguments),
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum AccountCommand {
    /// Make an account, and a missing store. Reserved names such as admin are allowed
    #[command(after_help = PASSWORD_HELP)]
    Add {
        /// The name
        name: String,

        /// Also where the name looks like one that is reserved or has an account
        #[arg(long)]
        force: bool,
    },
    /// Give an account another password. Its seats end
    #[command(after_help = PASSWORD_HELP)]
    Passwd {
        /// The name
        name: String,
    },
    /// Delete an account, with all messages from and to it, and its seats
    Delete {
        /// The name
        name: String,
    },
    /// Print the names that have an account, oldest first; a server may have the store open
    List,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum StoreCommand {
    /// Read everything and print what is wrong, or that all is well and how much there is; a server may have it open
    Check,
}

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct HistoryArguments {
    /// The room
    #[arg(long, value_name = "ROOM")]
    pub(super) room: Option<String>,

    /// The messages before the one with this id, to look further back
    #[arg(long, value_name = "ID", requires = "room", group = "page")]
    pub(super) before: Option<String>,

    /// The messages after the one with this id
    #[arg(long, value_name = "ID", requires = "room", group = "page")]
    pub(super) after: Option<String>,

    /// The message with this id, between those before and after it
    #[arg(long, value_name = "ID", requires = "room", group = "page")]
    pub(super) around: Option<String>,

    /// The number of messages
    #[arg(long, value_name = "N", default_value_t = HISTORY_COUNT_DEFAULT as u64, requires = "room",
          value_parser = clap::value_parser!(u64).range(1..=HISTORY_SHOWN_MAX))]
    pub(super) limit: u64,

    /// A JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct SearchArguments {
    /// The words, in any order, without regard to case and accents; Chinese, Japanese, Thai and the like: any
    /// part of a sentence
    #[arg(value_name = "TEXT")]
    pub(super) text: String,

    /// How many, the newest
    #[arg(long, value_name = "N", default_value_t = HISTORY_COUNT_DEFAULT as u64,
          value_parser = clap::value_parser!(u64).range(1..=HISTORY_SHOWN_MAX))]
    pub(super) limit: u64,

    /// A JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct ImportArguments {
    /// The files; `-` is standard input
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub(super) files: Vec<PathBuf>,

    /// What they are; auto is whatever each looks like
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "auto")]
    pub(super) format: ImportFormat,

    /// Say what would be taken and left, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct ExportArguments {
    /// A log, a JSON object a line (jsonl), or one JSON object (json)
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(super) format: ExportFormat,

    /// Write to this file, which must not exist, in place of standard output (`-`); only its owner can read
    /// it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ImportFormat {
    Auto,
    Rooms,
    Jsonl,
    Accounts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ExportFormat {
    Jsonl,
    Json,
}

impl From<ImportFormat> for Format {
    fn from(format: ImportFormat) -> Self {
        match format {
            ImportFormat::Auto => Self::Auto,
            ImportFormat::Rooms => Self::Rooms,
            ImportFormat::Jsonl => Self::Jsonl,
            ImportFormat::Accounts => Self::Accounts,
        }
    }
}
