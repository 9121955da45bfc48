//! Deletes accounts that were never used again after [`UNUSED_ACCOUNT_DAYS`]. Other accounts stay.
//!
//! A second login, or a message from or to an account, is its first use. It is stored once, by
//! [`Change::AccountUsed`] or by the message. Rooms and seats need no rule, because they need a login of
//! their own.
//!
//! The wall clock, which may be wrong, gives the age of an account. So an account goes only when that clock
//! has run in step with the monotonic one for [`UNUSED_CLOCK_SECONDS`]. A jump in either direction restarts
//! that time.

use std::time::Duration;

use super::Engine;
use super::holders::Stays;
use crate::chat::{Change, Name, Now, UnixMillis};
use crate::limits::{
    CLOCK_DRIFT_DIVISOR, CLOCK_JUMP_MILLIS, UNUSED_ACCOUNT_DAYS, UNUSED_CLOCK_SECONDS, UNUSED_LOOK_SECONDS,
    UNUSED_PER_LOOK_MAX,
};
use crate::state::AccountId;

const AGE_MILLIS: u64 = UNUSED_ACCOUNT_DAYS * 24 * 60 * 60 * 1000;

/// The schedule of the search for unused accounts.
#[derive(Debug, Default)]
pub(super) struct Unused {
    /// Both clocks at the first reading of the wall clock, or at its last jump.
    even_since: Option<Now>,
    next_look: Duration,
}

impl Unused {
    /// Notes that an unused account exists.
    pub(super) fn begin(&mut self, now: Now) {
        if self.even_since.is_none() {
            self.restart(now);
        }
    }

    fn restart(&mut self, now: Now) {
        self.even_since = Some(now);
        self.next_look = now.monotonic + Duration::from_secs(UNUSED_CLOCK_SECONDS);
    }

    /// Whether the wall clock has not jumped since the first comparison of the two.
    fn is_even(&self, now: Now) -> bool {
        self.even_since.is_some_and(|since| {
            let elapsed = now.monotonic.saturating_sub(since.monotonic).as_millis() as u64;
            let expected = since.unix.0.saturating_add(elapsed);
            now.unix.0.abs_diff(expected) <= CLOCK_JUMP_MILLIS + elapsed / CLOCK_DRIFT_DIVISOR
        })
    }
}

impl Engine {
    /// Notes the use of an account. The first use is stored.
    pub(super) fn note_use(&mut self, account: AccountId) {
        if self.ledger.is_unused(account) && self.can_keep_for(None) {
            self.commit_use(account);
        }
    }

    fn commit_use(&mut self, account: AccountId) {
        if let Some(stored) = self.ledger.account(account) {
            let change = Change::AccountUsed { name: stored.name.clone(), account: Some(stored.id) };
            self.commit(change);
        }
    }

    /// The time of the next [`Engine::end_unused`], if there is work for it.
    pub(super) fn unused_deadline(&self) -> Option<Duration> {
        self.ledger.unused().next().map(|_| self.unused.next_look)
    }

    /// Deletes a bounded number of overdue accounts.
    pub(super) fn end_unused(&mut self) {
        let now = self.now;
        if self.unused_deadline().is_none_or(|at| now.monotonic < at) {
            return;
        }
        if !self.unused.is_even(now) {
            return self.unused.restart(now);
        }
        let made_before = UnixMillis(now.unix.0.saturating_sub(AGE_MILLIS));
        let old = self.ledger.unused().take_while(|(id, _)| id.at() < made_before);
        let old: Vec<_> = old.take(UNUSED_PER_LOOK_MAX).map(|(_, account)| account).collect();
        let is_more = old.len() == UNUSED_PER_LOOK_MAX;
        for account in old {
            if !self.can_keep_for(None) {
                break;
            }
            self.end_if_unused(account);
        }
        let pause = if is_more { 1 } else { UNUSED_LOOK_SECONDS };
        self.unused.next_look = now.monotonic + Duration::from_secs(pause);
    }

    fn end_if_unused(&mut self, account: AccountId) {
        let Some(stored) = self.ledger.account(account) else { return };
        let Ok((name, folded)) = Name::parse(&stored.name) else { return };
        let is_here =
            self.mailboxes.contains_key(&account) || self.roster.holder(&self.connections, &folded).is_some();
        if is_here {
            // A session of that length proves use as well as a second login does.
            return self.commit_use(account);
        }
        self.end_account(account, name, Stays::Nothing);
        self.metrics.accounts_expired += 1;
    }
}
