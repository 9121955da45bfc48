//! What is asked of the clients when all is said: what their mailboxes hold, and that they go.
//!
//! Seats and accounts outlive the connections that made them: left behind, those of many runs would fill the server.

use std::time::Duration;

use parlance::wire::Unsayable;
use parlance::wire::ucrp::Message;

use super::Load;
use crate::client::{Client, Phase};
use crate::clock::Moment;
use crate::dialect::Dialect;
use crate::errand::Errand;
use crate::roster::Roster;
use crate::speech;

/// Clients that are asked at once: lists are long.
const ASKED_MAX: usize = 64;
/// Rooms that are closed at once: few enough that what is sent fits what the kernel keeps for a socket.
const CLOSED_ROOMS_MAX: usize = 64;
/// After which time a host whose room has not heard that it is closed says so again.
const LEAVE_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What is going on at the end.
pub(super) struct Epilogue {
    state: State,
    /// Clients who have yet to answer; where rooms are closed, their hosts.
    errand: Errand,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not yet begun.
    Off,
    Listing,
    Leaving,
}

impl Epilogue {
    pub(super) fn new() -> Self {
        Self { state: State::Off, errand: Errand::new(0, None) }
    }

    pub(super) fn next_due(&self) -> Moment {
        self.errand.next_due()
    }

    /// This client has answered, or never will.
    pub(super) fn close(&mut self, client: usize) {
        self.errand.close(client);
    }
}

impl Load {
    /// Asks for what the mailboxes hold, where that can be told from what was said.
    pub(crate) fn begin_listing(&mut self) {
        if self.plan.delivers_and_keeps() {
            self.begin(State::Listing, Errand::new(ASKED_MAX, None), |_, _| true);
        }
    }

    /// Has everybody leave who would stay otherwise.
    pub(crate) fn begin_leaving(&mut self) {
        match self.plan.dialect {
            Dialect::Line | Dialect::Slash | Dialect::Gob | Dialect::Peer(_) => {}
            Dialect::Typed if !self.plan.deletes_accounts => {}
            Dialect::Typed => self.begin(State::Leaving, Errand::new(ASKED_MAX, None), |_, _| true),
            Dialect::Tcrp => {
                let errand = Errand::new(CLOSED_ROOMS_MAX, Some(LEAVE_AGAIN_AFTER));
                let is_host =
                    |roster: &Roster, client| roster.members(roster.room_of(client)).start == client;
                self.begin(State::Leaving, errand, is_host);
            }
        }
    }

    fn begin(&mut self, state: State, errand: Errand, asks: impl Fn(&Roster, usize) -> bool) {
        self.epilogue = Epilogue { state, errand };
        for (index, client) in self.clients.iter().enumerate() {
            // Others have nothing that they would leave behind.
            let is_in = |client: &Client| matches!(client.phase, Phase::Joining | Phase::Ready);
            if client.as_ref().is_some_and(is_in) && asks(&self.intake.roster, index) {
                self.epilogue.errand.add(index);
            }
        }
    }

    /// Who has yet to answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.epilogue.errand.open()
    }

    /// Asks those whose turn it is.
    pub(super) fn go_on_ending(&mut self, now: Moment) {
        while let Some(index) = self.epilogue.errand.next(now) {
            match (self.epilogue.state, self.plan.dialect) {
                (State::Listing, _) => {
                    let partner = self.intake.roster.name(Roster::partner(index));
                    self.ask(index, Phase::Ready, |out| speech::list(&partner, out));
                }
                (State::Leaving, Dialect::Tcrp) => self.close_room(index),
                (State::Leaving, _) => {
                    let name = self.intake.roster.name(index);
                    self.ask(index, Phase::Leaving, |out| speech::delete_account(&name, out));
                }
                (State::Off, _) => {}
            }
        }
    }

    fn ask(
        &mut self,
        index: usize,
        phase: Phase,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Unsayable>,
    ) {
        let Some(client) = &mut self.clients[index] else { return };
        client.phase = phase;
        match client.push(|_, out| encode(out)) {
            Ok(()) => self.flush(index),
            Err(error) => self.fail(index, &error.to_string()),
        }
    }

    /// The host leaves, and with it goes the room: everybody in it is told.
    fn close_room(&mut self, host: usize) {
        self.send_datagram(host, Message::Leave);
        let members = self.intake.roster.members(self.intake.roster.room_of(host));
        if members.filter(|&member| self.clients[member].is_some()).count() < 2 {
            // Nobody else is there to be told.
            self.epilogue.close(host);
        }
    }

    /// A client is told that its room is closed. Whether it was to be.
    pub(super) fn room_closed(&mut self, index: usize) -> bool {
        let roster = &self.intake.roster;
        self.epilogue.close(roster.members(roster.room_of(index)).start);
        self.epilogue.state == State::Leaving
    }
}
