//! When a client may not try a name: five wrong passwords in 60 s close the name for the client's network for 60 s, and
//! for no other.

use std::collections::HashMap;
use std::time::Duration;

use parlance::limits::{ATTEMPTS_DEFAULT, ATTEMPTS_SECONDS};

const SECONDS: Duration = Duration::from_secs(ATTEMPTS_SECONDS);

/// The wrong passwords of one client for one name. Each client is a network of its own.
#[derive(Debug, Default)]
struct Wrong {
    /// The time of the first of those that count.
    began: Duration,
    count: u8,
    /// From when until when the name was closed for it.
    closed: Vec<(Duration, Duration)>,
}

/// All wrong passwords, by client and name.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    wrong: HashMap<(usize, String), Wrong>,
}

impl Guesses {
    /// A client is told that a password for a name is wrong.
    pub(crate) fn is_wrong(&mut self, client: usize, name: &str, now: Duration) {
        let wrong = self.wrong.entry((client, name.to_owned())).or_default();
        if now.saturating_sub(wrong.began) >= SECONDS {
            (wrong.began, wrong.count) = (now, 0);
        }
        assert!(wrong.count < ATTEMPTS_DEFAULT, "client {client} has more guesses of {name}");
        wrong.count += 1;
        if wrong.count == ATTEMPTS_DEFAULT {
            wrong.began = now;
            wrong.closed.push((now, now + SECONDS));
        }
    }

    /// A server that starts knows of no guess.
    pub(crate) fn restarts(&mut self, now: Duration) {
        for wrong in self.wrong.values_mut() {
            wrong.count = 0;
            if let Some((_, until)) = wrong.closed.last_mut() {
                *until = now.min(*until);
            }
        }
    }

    fn closed(&self, client: usize, name: &str) -> &[(Duration, Duration)] {
        self.wrong.get(&(client, name.to_owned())).map_or(&[], |wrong| &wrong.closed)
    }

    /// Whether a name was closed for a client at each moment from one time to another.
    pub(crate) fn is_closed_throughout(
        &self,
        client: usize,
        name: &str,
        from: Duration,
        to: Duration,
    ) -> bool {
        self.closed(client, name).iter().any(|&(began, until)| began <= from && to < until)
    }

    /// The same at some moment.
    pub(crate) fn is_closed_sometime(&self, client: usize, name: &str, from: Duration, to: Duration) -> bool {
        self.closed(client, name).iter().any(|&(began, until)| began <= to && from < until)
    }
}
