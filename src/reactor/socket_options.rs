//! Options of listening sockets that the system may refuse, as the filters of a sandbox do.
//!
//! An option that the server is correct without is refused with a warning: one for all sockets. An option
//! that it needs is an error, which names the option.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use thiserror::Error;

/// A needed option was refused. It travels in an [`io::Error`].
#[derive(Debug, Error)]
#[error("the system refuses the socket option {name}, which {purpose}: {cause}")]
struct Refused {
    name: &'static str,
    purpose: &'static str,
    cause: io::Error,
}

/// Names the option in the error of an attempt to set it. `purpose`: its effect, as a verb and its object.
pub(super) fn needed(name: &'static str, purpose: &'static str, attempt: io::Result<()>) -> io::Result<()> {
    attempt.map_err(|cause| io::Error::other(Refused { name, purpose, cause }))
}

/// Whether an error is about a needed option.
pub(super) fn is_refused(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Refused>()).is_some()
}

/// The refused options that the server does without, by the consequence of their absence. One entry each.
#[derive(Debug, Default)]
pub(super) struct Missing(BTreeMap<&'static str, Absence>);

#[derive(Debug)]
struct Absence {
    names: BTreeSet<&'static str>,
    /// The error of the first attempt.
    cause: io::Error,
}

impl Missing {
    /// Notes the option if the attempt to set it failed. `consequence`: the effect of its absence.
    pub(super) fn note(&mut self, name: &'static str, consequence: &'static str, attempt: io::Result<()>) {
        if let Err(cause) = attempt {
            let absence = self.0.entry(consequence);
            absence.or_insert(Absence { names: BTreeSet::new(), cause }).names.insert(name);
        }
    }

    /// Warns of all of them, if there are any.
    pub(super) fn warn(&self) {
        if self.0.is_empty() {
            return;
        }
        let describe = |(consequence, Absence { names, cause }): (&&str, &Absence)| {
            let names: Vec<_> = names.iter().copied().collect();
            format!("{} ({cause}): {consequence}", names.join(", "))
        };
        let options: Vec<_> = self.0.iter().map(describe).collect();
        let options = options.join("; ");
        tracing::warn!("the system refuses socket options, and the server goes on without them: {options}");
    }
}
