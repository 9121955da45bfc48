//! TCRP and UCRP.

use std::io::ErrorKind;
use std::time::Instant;

use parlance::chat::{Event, Secret};
use parlance::client::{ClientError, Entry, Seat};
use parlance::wire::tcrp::Operation;

use super::arguments::Plan;
use super::conversation::{Ear, Farewell, Heard, Mouth, Sign, Uttered};
use super::door::Entered;
use super::rooms::{self, MSG_USAGE, NO_SUCH_COMMAND};

const HELP: &str = "  /msg NAME TEXT     say something to one person
  /quit              leave; if you made the room, it is closed
  //TEXT             say a text that starts with /";

pub(super) fn enter(plan: &Plan, password: Option<&str>, deadline: Instant) -> Result<Entered, ClientError> {
    let entry = Entry {
        room: plan.room.as_deref().unwrap_or_default(),
        operation: if plan.making { Operation::Create } else { Operation::Join },
        name: &plan.name,
        password: password.map(Secret),
    };
    let seat = match Seat::take(&plan.addresses[..], plan.datagrams, &entry, deadline) {
        Err(ClientError::PasswordWanted) => return Ok(Entered::PasswordWanted { is_new: false }),
        seat => seat?,
    };
    let ear = SeatEar { seat: seat.try_clone()?, is_closed: false };
    let mouth = SeatMouth { seat, to: plan.to.clone(), is_careful: plan.is_careful };
    Ok(Entered::In((Box::new(mouth), Box::new(ear))))
}

struct SeatMouth {
    seat: Seat,
    /// To whom alone everything is said.
    to: Option<String>,
    is_careful: bool,
}

impl Mouth for SeatMouth {
    fn say(&mut self, text: &str) -> Result<Uttered, ClientError> {
        match &self.to {
            Some(to) => self.seat.direct(to, text)?,
            None => self.seat.say(text)?,
        }
        Ok(Uttered::Sent)
    }

    fn command(&mut self, word: &str, rest: &str) -> Result<Uttered, ClientError> {
        if !matches!(word, "msg" | "pm") {
            return Ok(Uttered::Impossible(NO_SUCH_COMMAND));
        }
        let Some((to, text)) = rest.split_once(char::is_whitespace) else {
            return Ok(Uttered::Impossible(MSG_USAGE));
        };
        self.seat.direct(to, text.trim_start())?;
        Ok(Uttered::Sent)
    }

    fn stay(&mut self) -> Result<(), ClientError> {
        // The seat says itself where it is, while it waits.
        Ok(())
    }

    fn leave(&mut self) -> Result<Farewell, ClientError> {
        // Nothing is answered to a datagram.
        self.seat.leave().map(|()| Farewell::None)
    }

    fn help(&self) -> &'static str {
        HELP
    }

    fn prompt(&self) -> String {
        self.to.as_ref().map_or_else(|| format!("{}> ", self.seat.room()), |to| format!("to {to}> "))
    }

    fn is_careful(&self) -> bool {
        self.is_careful
    }
}

struct SeatEar {
    seat: Seat,
    /// The room is no more.
    is_closed: bool,
}

impl Ear for SeatEar {
    fn hear(&mut self, deadline: Instant) -> Result<Heard, ClientError> {
        if self.is_closed {
            return Err(ClientError::Closed);
        }
        let server = self.seat.socket().peer_addr()?;
        let event = match self.seat.next_event(deadline) {
            Err(ClientError::Io(cause)) if cause.kind() == ErrorKind::ConnectionRefused => {
                self.is_closed = true;
                let reason =
                    format!("nobody takes datagrams at {server}; --ucrp ADDR says where the server does");
                return Ok(Sign::Ending(reason).into());
            }
            event => event?,
        };
        Ok(match event {
            // With the room, the seat is gone.
            Event::RoomClosed(_) => {
                self.is_closed = true;
                Sign::Ending("the room was closed by its host".to_owned()).into()
            }
            event => rooms::heard(&event),
        })
    }
}
