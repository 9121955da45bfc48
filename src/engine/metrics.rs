//! What the engine counts.

use std::collections::BTreeMap;

use crate::chat::CloseReason;
use crate::fanout;

/// Counts since the start.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metrics {
    /// Connections that were accepted, and seats that were given out.
    pub opened: u64,
    /// Connections and seats that ended, by [`CloseReason`].
    pub closed: [u64; CloseReason::COUNT],
    /// Commands that were carried out, refused ones included.
    pub commands: u64,
    /// Frames and datagrams that were refused, by cause. There are as many causes as the code has.
    pub refused: BTreeMap<&'static str, u64>,
    /// Datagrams that came in, refused ones included.
    pub datagrams: u64,
    /// Datagrams for the server that the kernel dropped, because more came than could wait. Those that came to be seen are in
    /// [`Metrics::datagrams`]. It is known once another one has come.
    pub datagrams_lost: u64,
    /// Datagrams that were made for seats; those that the kernel refused are among them.
    pub datagrams_sent: u64,
    /// Messages that a member who is spoken to in datagrams did not get, oldest first, because the socket was full.
    pub datagrams_dropped: u64,
    /// Datagrams for which the kernel knew no way.
    pub datagrams_undeliverable: u64,
    /// Texts that were cut because a dialect's frame does not hold them.
    pub cut: u64,
    /// Passwords that were not the account's.
    pub wrong_passwords: u64,
    /// Logins that were refused because too many passwords were wrong before, for the name and from the
    /// network.
    pub attempts_refused: u64,
    /// Logins that had to wait because very many passwords were wrong before, for the name and from all
    /// networks.
    pub attempts_delayed: u64,
    /// Accounts that were refused because their network had reached its limit.
    pub accounts_refused: u64,
    /// Accounts that were deleted because they were not used after they were made.
    pub accounts_expired: u64,
    /// Times that a connection was not read from for a while, because it had sent more than it may.
    pub rested: u64,
    /// Rooms, and seats of a name in further rooms, that were refused because there were as many as may be.
    pub rooms_refused: u64,
    /// Connections, rooms, seats, accounts and messages that were refused because the rest of their total is
    /// kept for networks with a small share.
    pub shares_refused: u64,
    /// Messages published in rooms.
    pub messages: u64,
    /// Direct messages delivered.
    pub directs: u64,
    /// Times that a round came to a member who was behind in its room. Most are a write; one who is blocked is come to once
    /// until it can be written to.
    pub visits: u64,
    /// Times that a member fell off the tail of its room's log.
    pub lagged: u64,
    /// Times that a log was emptied of what nobody read there, since all logs together were too large.
    pub gave_way: u64,
    /// Messages that such members missed.
    pub missed: u64,
    /// Changes that the store has committed.
    pub ops_committed: u64,
    /// Times that the store began to fail.
    pub store_failures: u64,
    /// Promises that were refused when it did.
    pub promises_broken: u64,
    /// Messages in rooms that were not kept, because the store failed or was behind.
    pub history_unkept: u64,
    /// Calls with the id of a connection that is gone.
    pub stale_ids: u64,
}

impl Metrics {
    /// Adds what the fan-out of a shard counted.
    pub fn add(&mut self, other: &fanout::Metrics) {
        self.datagrams_sent += other.datagrams_sent;
        self.datagrams_dropped += other.datagrams_dropped;
        self.datagrams_undeliverable += other.datagrams_undeliverable;
        self.lagged += other.lagged;
        self.missed += other.missed;
        self.gave_way += other.gave_way;
        self.visits += other.visits;
        self.stale_ids += other.stale_ids;
    }

    pub(super) fn count_refused(&mut self, cause: &'static str) {
        *self.refused.entry(cause).or_default() += 1;
    }

    /// How many frames and datagrams were refused for a cause.
    pub fn refused_for(&self, cause: &str) -> u64 {
        self.refused.get(cause).copied().unwrap_or(0)
    }

    /// How many connections and seats ended for each reason, of those that there were.
    pub fn closed_by_reason(&self) -> BTreeMap<&'static str, u64> {
        let counts = CloseReason::ALL.map(|reason| (reason.name(), self.closed_for(reason)));
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// How many connections ended for a reason.
    pub fn closed_for(&self, reason: CloseReason) -> u64 {
        self.closed[reason as usize]
    }
}
