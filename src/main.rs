//! The command `parlance`: arguments, then configuration, then what was asked for.
//!
//! Exit status: 0 when it was done, 2 when the arguments or the configuration were refused, 1 when it failed.

// `println!` panics where the output is closed or full.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod cli;
mod config_file;
mod output;
mod terminal;
mod upkeep;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use parlance::StartupError;
use parlance::chat::visible_lines;
use parlance::config::{Config, ConfigError};
use parlance::ready::ReadyFile;
use parlance::telemetry::{self, TelemetryError};

use cli::Command;
use config_file::{ConfigFileError, Written};
use output::OutputError;
use terminal::ChatError;
use upkeep::UpkeepError;

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Unprintable(#[from] toml::ser::Error),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The log has said why.
    #[error(transparent)]
    Serve(StartupError),
    #[error(transparent)]
    Chat(#[from] ChatError),
    #[error(transparent)]
    Upkeep(#[from] UpkeepError),
    #[error(transparent)]
    Redirection(#[from] OutputError),
    #[error(transparent)]
    ConfigFile(#[from] ConfigFileError),
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
    /// The work is done.
    #[error("{said}; this could not be written to standard output: {cause}")]
    Unsaid { said: String, cause: io::Error },
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_)
            | Self::Redirection(_)
            | Self::ConfigFile(ConfigFileError::NotRead(_) | ConfigFileError::NotRegular(_)) => {
                ExitCode::from(2)
            }
            Self::Chat(error) => error.exit_code(),
            Self::Upkeep(error) => error.exit_code(),
            Self::Unprintable(_)
            | Self::Telemetry(_)
            | Self::Serve(_)
            | Self::ConfigFile(ConfigFileError::Unwritable { .. })
            | Self::Output(_)
            | Self::Unsaid { .. } => ExitCode::FAILURE,
        }
    }
}

fn main() -> ExitCode {
    keep_going_at_file_size_limit();
    let arguments = match cli::parse() {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has read enough: `parlance config | head -1`.
        Err(Failure::Output(cause)) if cause.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Failure::Chat(error)) if error.is_wanted() => ExitCode::SUCCESS,
        Err(Failure::Upkeep(error)) if error.is_enough() => ExitCode::SUCCESS,
        Err(failure @ Failure::Serve(_)) => failure.exit_code(),
        Err(failure) => {
            // Where standard error is closed, the exit status has to say it all.
            // What failed may quote a server, a store or a file.
            let _ = writeln!(io::stderr(), "parlance: {}", visible_lines(&failure.to_string()));
            failure.exit_code()
        }
    }
}

/// A write that makes a file larger than `ulimit -f` lets it be is to fail, rather than to end the process in
/// silence.
fn keep_going_at_file_size_limit() {
    // Where that cannot be had, it is as it was.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

fn run(arguments: cli::Arguments) -> Result<(), Failure> {
    let command = arguments.subcommand();
    match command {
        Command::Completions { shell } => {
            output::ensure_not_configuration(&arguments.sources().path())?;
            return Ok(print(&cli::completions(shell))?);
        }
        Command::Chat(arguments) => return Ok(terminal::run(&arguments)?),
        Command::Serve | Command::CheckConfig | Command::Config { .. } | Command::Upkeep(_) => {}
    }

    let sources = arguments.sources();
    let configuration = sources.path();
    // Before anything that may fail: a program that waits for this start must not take an earlier one for it.
    if matches!(command, Command::Serve)
        && let Some(path) = sources.ready_file()
    {
        ReadyFile::clear(&path);
    }
    output::ensure_not_configuration(&configuration)?;
    if let Command::Config { write: true, file } = &command {
        // Before the load, which waits for the writer of a FIFO.
        config_file::ensure_regular(file.as_deref().unwrap_or(&configuration))?;
    }
    let config = Config::load(&sources)?;
    output::ensure_not_store(&config.store_spec())?;
    match command {
        Command::Completions { .. } | Command::Chat(_) => {}
        Command::Upkeep(command) => upkeep::run(&command, &config)?,
        Command::CheckConfig => print(config.to_string().as_bytes())?,
        Command::Config { write: false, .. } => print(config.to_toml()?.as_bytes())?,
        Command::Config { write: true, file } => write_config(&config, file.as_deref(), &configuration)?,
        Command::Serve => {
            output::ensure_ready_file_is_apart(&config, &configuration)?;
            let log = telemetry::init(&config)?;
            let served = parlance::serve(&config, &log);
            if let Err(error) = &served {
                // Behind the log's other lines, and like them it holds nothing up.
                log.line(&format!("parlance: {}", visible_lines(&error.to_string())));
            }
            log.flush();
            served.map_err(Failure::Serve)?;
        }
    }
    Ok(())
}

fn write_config(config: &Config, to: Option<&Path>, read: &Path) -> Result<(), Failure> {
    let to = to.unwrap_or(read);
    let shown = to.display();
    let said = match config_file::write(&config.to_toml()?, to, read)? {
        Written::Same => format!("`{shown}` is up to date"),
        Written::New => format!("wrote `{shown}`"),
        Written::Replaced { path, kept_as } => {
            format!("wrote `{}`; the old contents are in `{}`", path.display(), kept_as.display())
        }
    };
    match print(format!("{said}\n").as_bytes()) {
        Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|cause| Failure::Unsaid { said, cause }),
    }
}

fn print(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}
