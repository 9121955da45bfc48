//! Ends sessions and seats of a name: its owner has logged in again, or the name has gained or lost its
//! account.
//!
//! All holders of a name with an account have proved it. The reason: a name gains an account only here
//! ([`Engine::add_account`]), and an import ends the seats of the names that get accounts from it.

use core::net::IpAddr;

use super::Engine;
use super::proof::Wanted;
use crate::chat::{Change, CloseReason, ConnId, Event, Folded, PasswordHash, Problem};

/// The sessions or seats that stay when the others of a name end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stays {
    /// Nothing.
    Nothing,
    /// One session.
    Session(ConnId),
    /// The seats of one IP address: one user can be in several rooms.
    SeatsAt(IpAddr),
}

/// Why sessions and seats of a name end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NameEnd {
    /// The owner of the account has logged in again.
    Replaced,
    /// The name has an account now, which the session or seat has not proved.
    AccountMade,
    /// The account is deleted.
    AccountDeleted,
}

impl NameEnd {
    fn problem(self) -> Problem<'static> {
        match self {
            Self::Replaced => Problem::Replaced,
            Self::AccountMade => Problem::NameRegistered,
            Self::AccountDeleted => Problem::AccountDeleted,
        }
    }

    fn close_reason(self) -> CloseReason {
        match self {
            Self::Replaced => CloseReason::Replaced,
            Self::AccountMade => CloseReason::NameRegistered,
            Self::AccountDeleted => CloseReason::AccountDeleted,
        }
    }
}

impl Engine {
    /// Ends the sessions and seats of a name, except `stays`. Each gets the reason after its pending output,
    /// and its room sees it leave. The name is free on return. Open mailboxes stay open.
    ///
    /// A room stays open without a host when its host ends here: its guests did not cause this.
    pub(super) fn end_others_of(&mut self, folded: &Folded, stays: Stays, why: NameEnd) {
        let holders: Vec<_> = self.roster.all_holders(&self.connections, folded).collect();
        for holder in holders {
            let does_stay = match stays {
                Stays::Nothing => false,
                Stays::Session(id) => holder == id,
                Stays::SeatsAt(ip) => self.seat_ip(holder) == Some(ip),
            };
            if does_stay {
                continue;
            }
            self.dethrone(holder);
            self.reply(holder, &Event::Error(why.problem()));
            self.close(holder, why.close_reason());
        }
    }

    /// Takes the room from a host's seat that is about to end: the room stays open.
    pub(super) fn dethrone(&mut self, seat: ConnId) {
        if let Some(at) = self.conn(seat).membership
            && self.room(at.room).host == Some(seat)
        {
            self.room_mut(at.room).host = None;
        }
    }

    /// Gives a name an account, and ends the other sessions and seats of the name. The caller has checked
    /// that the name has no account, and that the store can keep a new one.
    pub(super) fn add_account(&mut self, id: ConnId, wanted: &Wanted, password: PasswordHash, stays: Stays) {
        let charged = self.charged_to(id);
        if let Some(network) = charged {
            self.new_accounts.count(network, self.now.monotonic);
        }
        self.unused.begin(self.now);
        self.end_others_of(&wanted.folded, stays, NameEnd::AccountMade);
        let name = wanted.name.as_str().into();
        self.commit_for(charged, Change::AccountCreated { name, password, is_unused: true });
        if let Some(account) = self.ledger.find(&wanted.folded) {
            self.charge_account(id, account);
        }
    }
}
