//! TCRP and UCRP.

use std::io;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use parlance::chat::{Event, Secret};
use parlance::client::{ClientError, Entry, Seat};
use parlance::wire::tcrp::Operation;

use super::arguments::Plan;
use super::conversation::{Ear, Farewell, Heard, Mouth, Sign, Uttered};
use super::door::Entered;
use super::rooms::{self, MSG_USAGE, NO_SUCH_COMMAND, SYNC};
use super::screen::Shown;

const HELP: &str = "  /msg NAME TEXT     say something to one person
  /quit              leave; if you made the room, it is closed
  //TEXT             say a text that starts with /";

/// Minimum pause after a network error, so a persistent error does not spin.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

pub(super) fn enter(
    plan: &Plan,
    stream: TcpStream,
    password: Option<&str>,
    deadline: Instant,
) -> Result<Entered, ClientError> {
    let entry = Entry {
        room: plan.room.as_deref().unwrap_or_default(),
        operation: if plan.making { Operation::Create } else { Operation::Join },
        name: &plan.name,
        password: password.map(Secret),
    };
    let seat = match Seat::take_over(stream, plan.datagrams.iter().copied(), &entry, deadline) {
        Err(ClientError::PasswordWanted) => return Ok(Entered::PasswordWanted { is_new: false }),
        seat => seat?,
    };
    let is_careful = plan.is_careful;
    let ear = SeatEar { seat: seat.try_clone()?, is_careful, is_closed: false, is_unreachable: false };
    let mouth = SeatMouth { seat, to: plan.to.clone(), is_careful, synced: 0 };
    Ok(Entered::In((Box::new(mouth), Box::new(ear))))
}

struct SeatMouth {
    seat: Seat,
    /// To whom alone everything is said.
    to: Option<String>,
    is_careful: bool,
    /// The number of the last [`Mouth::sync`].
    synced: u64,
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

    fn sync(&mut self) -> Result<Option<u64>, ClientError> {
        self.synced += 1;
        match self.seat.direct(&format!("#{SYNC}{}", self.synced), "?") {
            // As if it were lost: it is sent again.
            Ok(()) | Err(ClientError::Undelivered(_)) => Ok(Some(self.synced)),
            Err(error) => Err(error),
        }
    }

    fn is_lossy(&self) -> bool {
        true
    }

    fn stay(&mut self) -> Result<(), ClientError> {
        // The seat says itself where it is, while it waits.
        Ok(())
    }

    fn leave(&mut self) -> Result<Farewell, ClientError> {
        // Nothing is answered to this datagram. That it is lost does no harm: the server gives up a silent
        // seat.
        match self.seat.leave() {
            Ok(()) | Err(ClientError::Undelivered(_)) => Ok(Farewell::None),
            Err(error) => Err(error),
        }
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
    is_careful: bool,
    /// The room is no more, or the seat.
    is_closed: bool,
    /// The user knows that the network does not reach the server; nothing was heard since.
    is_unreachable: bool,
}

impl SeatEar {
    /// The network says that a datagram did not arrive. The server may keep the seat all the same, and the
    /// next datagram may arrive: the user is told, once, and the conversation goes on.
    fn unreachable(&mut self, cause: &io::Error) -> Result<Heard, ClientError> {
        thread::sleep(ERROR_PAUSE);
        if std::mem::replace(&mut self.is_unreachable, true) {
            return Ok(Heard::default());
        }
        let server = self.seat.socket().peer_addr()?;
        let text = format!(
            "datagrams do not arrive at {server} at the moment: {cause}. --ucrp ADDR says where the \
             server takes them"
        );
        Ok(Heard { shown: vec![Shown::Problem(text)], sign: Some(Sign::Unreachable) })
    }
}

impl Ear for SeatEar {
    fn hear(&mut self, deadline: Instant) -> Result<Heard, ClientError> {
        if self.is_closed {
            return Err(ClientError::Closed);
        }
        let event = match self.seat.next_event(deadline) {
            Err(ClientError::Undelivered(cause)) => return self.unreachable(&cause),
            event => event?,
        };
        self.is_unreachable = false;
        Ok(match event {
            // With the room, the seat is gone.
            Event::RoomClosed(_) => {
                self.is_closed = true;
                Sign::Ending("the room was closed by its host".to_owned()).into()
            }
            event => {
                let heard = rooms::heard(&event, self.is_careful);
                // A seat has no connection whose end would follow.
                self.is_closed = matches!(heard.sign, Some(Sign::Ending(_)));
                heard
            }
        })
    }
}
