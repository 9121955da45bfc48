//! Parlance.

pub mod config;
pub mod ready;
pub mod telemetry;

use config::Config;

/// PLACEHOLDER, to be replaced by the reactor's: why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    /// There is no reactor yet.
    #[error("this build has no reactor: build one that has")]
    NoReactor,
}

/// PLACEHOLDER, to be replaced by the reactor's: serves until told to stop.
///
/// # Errors
///
/// Always, until then.
pub fn serve(_config: &Config) -> Result<(), StartupError> {
    Err(StartupError::NoReactor)
}
