//! The totals of the whole server, of which networks have [shares](Shares): connections, seats, rooms,
//! accounts, and answers that wait for the store. (The total of waiting ops is in `journal.rs`, that of mail
//! in the ledger, those of password checks and look-ups in their queues.)
//!
//! An exempt connection is charged to no network, and may use the kept tenth, because the operator trusts it.

use std::collections::HashMap;

use ahash::RandomState;

use super::Engine;
use super::network::Network;
use crate::chat::{ConnId, Problem};
use crate::limits::{ACCOUNTS_MAX, HELD_TOTAL_BYTES_MAX, ROOMS_MAX, SEATS_MAX};
use crate::state::{AccountId, Shares};

#[derive(Debug)]
pub(super) struct Totals {
    /// Without refused ones.
    connections: Shares<Network>,
    /// Refused connections that still get the notice that the server is full.
    pub(super) refused_connections: usize,
    pub(super) seats: Shares<Network>,
    /// By their makers.
    pub(super) rooms: Shares<Network>,
    /// Networks of the accounts that were made since the start.
    accounts: Shares<Network>,
    /// The network of each charged account. No larger than the number of accounts.
    account_networks: HashMap<AccountId, Network, RandomState>,
    /// Bytes.
    held: Shares<Network>,
    /// Bytes of all held answers.
    pub(super) held_bytes: usize,
}

impl Totals {
    pub(super) fn new(hasher: &RandomState) -> Self {
        let shares = || Shares::new(hasher);
        Self {
            connections: shares(),
            refused_connections: 0,
            seats: shares(),
            rooms: shares(),
            accounts: shares(),
            account_networks: HashMap::with_hasher(hasher.clone()),
            held: shares(),
            held_bytes: 0,
        }
    }
}

impl Engine {
    /// The network to charge for a connection; None if the connection is exempt.
    pub(super) fn charged_to(&self, id: ConnId) -> Option<Network> {
        let conn = self.conn(id);
        (!conn.is_exempt).then_some(conn.network)
    }

    /// Counts a refusal at `taken` of `max` if the share, and not the total, was the reason.
    pub(super) fn count_share_refused(&mut self, taken: usize, max: usize) {
        self.metrics.shares_refused += u64::from(taken < max);
    }

    /// Connections, without the refused ones.
    fn admitted_count(&self) -> usize {
        self.connection_count() - self.totals.refused_connections
    }

    /// Whether there is a place for another connection.
    pub(super) fn has_connection_place(&self, charged: Option<Network>) -> bool {
        let limit = self.settings.clients_limit;
        self.totals.connections.has_place(charged, self.admitted_count(), limit)
    }

    /// Adds a connection, before it is inserted. Returns whether to refuse it; refused ones are counted
    /// apart.
    pub(super) fn count_connection_in(&mut self, charged: Option<Network>) -> bool {
        let is_refused = !self.has_connection_place(charged);
        if is_refused {
            self.count_share_refused(self.admitted_count(), self.settings.clients_limit);
            self.totals.refused_connections += 1;
        } else {
            self.totals.connections.charge(charged, 1);
        }
        is_refused
    }

    /// Removes a connection.
    pub(super) fn count_connection_out(&mut self, charged: Option<Network>, was_refused: bool) {
        if was_refused {
            self.totals.refused_connections -= 1;
        } else {
            self.totals.connections.give_back(charged, 1);
        }
    }

    /// Whether there is a place for another room.
    pub(super) fn has_room_place(&self, charged: Option<Network>) -> bool {
        self.totals.rooms.has_place(charged, self.rooms.len(), ROOMS_MAX)
    }

    /// Whether there is a place for another seat.
    pub(super) fn has_seat_place(&self, charged: Option<Network>) -> bool {
        self.totals.seats.has_place(charged, self.seats.len(), SEATS_MAX)
    }

    /// Whether a connection may make an account.
    pub(super) fn check_account_place(&mut self, id: ConnId) -> Result<(), Problem<'static>> {
        let taken = self.ledger.account_count();
        if self.totals.accounts.has_place(self.charged_to(id), taken, ACCOUNTS_MAX) {
            return Ok(());
        }
        self.count_share_refused(taken, ACCOUNTS_MAX);
        Err(Problem::TooManyAccounts)
    }

    /// Charges an account that a connection just made.
    pub(super) fn charge_account(&mut self, id: ConnId, account: AccountId) {
        if let Some(network) = self.charged_to(id) {
            self.totals.account_networks.insert(account, network);
            self.totals.accounts.charge(Some(network), 1);
        }
    }

    /// An account ends.
    pub(super) fn give_account_back(&mut self, account: AccountId) {
        let network = self.totals.account_networks.remove(&account);
        self.totals.accounts.give_back(network, 1);
    }

    /// Whether a connection may hold more answers for the store.
    pub(super) fn may_hold_more(&self, id: ConnId) -> bool {
        let Self { totals, .. } = self;
        totals.held.has_place(self.charged_to(id), totals.held_bytes, HELD_TOTAL_BYTES_MAX)
    }

    /// Charges bytes of a connection that now wait for the store.
    pub(super) fn charge_held(&mut self, id: ConnId, bytes: usize) {
        self.totals.held_bytes += bytes;
        self.totals.held.charge(self.charged_to(id), bytes);
    }

    /// Gives back bytes of a connection that no longer wait.
    pub(super) fn give_held_back(&mut self, id: ConnId, bytes: usize) {
        self.totals.held_bytes -= bytes;
        self.totals.held.give_back(self.charged_to(id), bytes);
    }

    /// Panics if a count differs from the actual number. For tests.
    pub(super) fn check_totals(&self) {
        let Totals {
            connections,
            refused_connections,
            seats,
            rooms,
            accounts,
            account_networks,
            held,
            held_bytes,
        } = &self.totals;
        let of = |id| self.charged_to(id);
        let with_socket = || self.connections().filter(|id| !id.is_seat());
        let is_refused = |&id: &ConnId| self.is_refused_as_full(id);
        connections.check_invariants(with_socket().filter(|id| !is_refused(id)).map(|id| (of(id), 1)));
        assert_eq!(*refused_connections, with_socket().filter(is_refused).count());
        assert!(self.admitted_count() <= self.settings.clients_limit);
        seats.check_invariants(self.seats.values().map(|&id| (of(id), 1)));
        rooms.check_invariants(self.rooms.iter().map(|(_, room)| (room.maker.network, 1)));
        accounts.check_invariants(account_networks.values().map(|&network| (Some(network), 1)));
        assert!(account_networks.keys().all(|&account| self.ledger.account(account).is_some()));
        let held_of = |id| self.conn(id).more.as_ref()?.held.as_ref().map(|held| held.len());
        held.check_invariants(self.connections().filter_map(|id| Some((of(id), held_of(id)?))));
        assert_eq!(*held_bytes, self.connections().filter_map(held_of).sum::<usize>());
    }
}
