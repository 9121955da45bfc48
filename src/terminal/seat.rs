//! TCRP and UCRP.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use parlance::chat::{Event, Secret};
use parlance::client::{ClientError, Entry, Opened, Seat};
use parlance::wire::tcrp::Operation;

use super::arguments::Plan;
use super::conversation::{Ear, Farewell, Heard, Mouth, Sign, Uttered};
use super::door::Entered;
use super::rooms::{self, MSG_USAGE, NO_SUCH_COMMAND, Reading};
use super::screen::Shown;
use super::sync_name::SyncNames;

const HELP: &str = "  /msg NAME TEXT     say something to one person
  /quit              leave; if you made the room, it is closed
  //TEXT             say a text that starts with /";

/// Minimum pause after a network error, so a persistent error does not spin.
const ERROR_PAUSE: Duration = Duration::from_millis(100);
/// Silence after the handshake before a warning that datagrams may not arrive.
const SILENT_FOR: Duration = Duration::from_millis(1500);
/// Interval between repeats of the question to the server, because datagrams may be lost.
const ASK_EVERY: Duration = Duration::from_millis(500);

pub(super) fn enter(
    plan: &Plan,
    opened: Opened,
    password: Option<&str>,
    deadline: Instant,
) -> Result<Entered, ClientError> {
    let entry = Entry {
        room: plan.room.as_deref().unwrap_or_default(),
        operation: if plan.making { Operation::Create } else { Operation::Join },
        name: &plan.name,
        password: password.map(Secret),
    };
    let seat = match Seat::take_over(opened, plan.datagrams.iter().copied(), &entry, deadline) {
        Err(ClientError::PasswordWanted) => return Ok(Entered::PasswordWanted { is_new: false }),
        seat => seat?,
    };
    let reading = Reading { sync_names: SyncNames::random(), is_careful: plan.is_careful };
    let ear = SeatEar {
        seat: seat.try_clone()?,
        reading: reading.clone(),
        is_closed: false,
        is_unreachable: false,
        silence: Silence::Waiting { since: Instant::now(), asked: 0 },
    };
    let mouth = SeatMouth { seat, to: plan.to.clone(), reading, synced: 0 };
    Ok(Entered::In((Box::new(mouth), Box::new(ear))))
}

struct SeatMouth {
    seat: Seat,
    /// To whom alone everything is said.
    to: Option<String>,
    reading: Reading,
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
        match self.seat.direct(&format!("#{}", self.reading.sync_names.name(self.synced)), "?") {
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
        self.reading.is_careful
    }
}

struct SeatEar {
    seat: Seat,
    reading: Reading,
    /// The room is no more, or the seat.
    is_closed: bool,
    /// The user knows that the network does not reach the server; nothing was heard since.
    is_unreachable: bool,
    silence: Silence,
}

/// Whether datagrams of the server have come. The server sends them to where one of ours came from, so that
/// the first one shows that both ways are open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// No datagram yet, after `asked` questions to the server.
    Waiting { since: Instant, asked: u32 },
    /// None, and the user knows.
    Told,
    /// One has come.
    Over,
}

impl SeatEar {
    /// The time of the next question, or of the warning to the user.
    fn look_again_at(&self) -> Option<Instant> {
        match self.silence {
            Silence::Waiting { since, asked } => Some(since + ASK_EVERY * asked),
            Silence::Told | Silence::Over => None,
        }
    }

    /// Asks the server for a datagram, or tells the user that none has come.
    fn look_again(&mut self) -> Result<Heard, ClientError> {
        let Silence::Waiting { since, asked } = self.silence else { return Ok(Heard::default()) };
        if since.elapsed() < SILENT_FOR {
            self.silence = Silence::Waiting { since, asked: asked + 1 };
            // The mouth's numbers begin with 1.
            let question = format!("#{}", self.reading.sync_names.name(0));
            return match self.seat.direct(&question, "?") {
                Ok(()) => Ok(Heard::default()),
                Err(ClientError::Undelivered(cause)) => self.unreachable(&cause),
                Err(error) => Err(error),
            };
        }
        self.silence = Silence::Told;
        let server = self.seat.socket().peer_addr()?;
        let text = format!(
            "no datagram has come from {server} yet, so that nothing may arrive, neither there nor here. Does a \
             firewall block UDP? --ucrp ADDR says where the server takes datagrams"
        );
        Ok(Heard { shown: vec![Shown::Problem(text)], sign: Some(Sign::Silent) })
    }

    /// The network says that a datagram did not arrive. The server may keep the seat all the same, and the
    /// next datagram may arrive: the user is told, once, and the conversation goes on.
    fn unreachable(&mut self, cause: &io::Error) -> Result<Heard, ClientError> {
        thread::sleep(ERROR_PAUSE);
        if std::mem::replace(&mut self.is_unreachable, true) {
            return Ok(Heard::default());
        }
        if self.silence != Silence::Over {
            self.silence = Silence::Told;
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
        let look_again_at = self.look_again_at().filter(|at| *at < deadline);
        let event = match self.seat.next_event(look_again_at.unwrap_or(deadline)) {
            Err(ClientError::Undelivered(cause)) => return self.unreachable(&cause),
            Err(ClientError::Deadline) if look_again_at.is_some() => return self.look_again(),
            event => event?,
        };
        self.is_unreachable = false;
        let was_told = std::mem::replace(&mut self.silence, Silence::Over) == Silence::Told;
        let mut heard = match event {
            // With the room, the seat is gone.
            Event::RoomClosed(_) => {
                self.is_closed = true;
                Sign::Ending("the room was closed by its host".to_owned()).into()
            }
            event => {
                let heard = rooms::heard(&event, &self.reading);
                // A seat has no connection whose end would follow.
                self.is_closed = matches!(heard.sign, Some(Sign::Ending(_)));
                heard
            }
        };
        if was_told {
            heard.shown.insert(0, Shown::Notice("datagrams of the server arrive now".to_owned()));
            heard.sign.get_or_insert(Sign::Reached);
        }
        Ok(heard)
    }
}
