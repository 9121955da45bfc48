//! What a store logs while a command has it open, as lines of the command on standard error: a migration, and
//! warnings. The server's log of routine work is left out.

use std::fmt;
use std::io;

use parlance::store::MIGRATION_LOG_TARGET;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Sends those events to standard error from now on.
pub(super) fn init() {
    let filter = EnvFilter::new(format!("{},{MIGRATION_LOG_TARGET}={}", Level::WARN, Level::INFO));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(io::stderr)
        // An event that cannot be written does not stop the command.
        .log_internal_errors(false)
        .event_format(CommandLine)
        .finish();
    // A process that logs already keeps its log.
    let _ = subscriber.try_init();
}

/// An event as a command reports something: without a time, a level and a target.
struct CommandLine;

impl<S, N> FormatEvent<S, N> for CommandLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "parlance: ")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
