//! The end of what people hold under a name: because its owner has logged in anew, or because the name gains
//! or loses its account.
//!
//! Where a name has an account, all who hold it have proved it. This holds because a name gains an account
//! only here ([`Engine::add_account`]), and because an import ends the seats of the names that it gives
//! accounts to.

use core::net::IpAddr;

use super::Engine;
use super::proof::Wanted;
use crate::chat::{Change, CloseReason, ConnId, Event, Folded, PasswordHash, Problem};

/// What stays when the sessions and seats of a name end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stays {
    /// Nothing.
    Nothing,
    /// One session.
    Session(ConnId),
    /// The seats that were given to one address: one person is in several rooms.
    SeatsAt(IpAddr),
}

/// Why sessions and seats of a name end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NameEnd {
    /// The owner of the account has logged in anew.
    Replaced,
    /// The name has an account now, and they have not proved it.
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
    /// Ends the sessions and seats that hold a name, but for what stays. Each is told why, behind all that it
    /// is owed; its room sees it leave; the name is free when this returns. Mailboxes that are open stay
    /// open.
    ///
    /// A room stays open when its host ends here, without a host: its other members did not ask for this.
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

    /// A seat that is about to end is not the host of its room any more: the room stays open.
    pub(super) fn dethrone(&mut self, seat: ConnId) {
        if let Some(at) = self.conn(seat).membership
            && self.room(at.room).host == Some(seat)
        {
            self.room_mut(at.room).host = None;
        }
    }

    /// Gives a name an account, and ends what others hold under the name. The caller has checked that the
    /// name has no account, and that it can be kept.
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
