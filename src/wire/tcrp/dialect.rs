//! The handshake as commands and events: a request is one command, and what came of it one answer.

use super::{Echo, FrameError, Refusal, Request, encode_answer};
use crate::chat::{Command, Entrance, Event, NameError, Problem, RoomNameError};
use crate::wire::{Codec, DecodeError, Decoded, Frame, Memory};

/// What was asked for, as far as the answer repeats it: the answer may come long after the request.
#[derive(Debug, Default)]
pub(in crate::wire) struct Asked {
    room: Box<str>,
    operation: u8,
}

impl Asked {
    fn new(echo: Echo<'_>) -> Self {
        Self { room: echo.room().into(), operation: echo.operation() }
    }

    pub(in crate::wire) fn held_bytes(&self) -> usize {
        self.room.len()
    }
}

/// One request a connection: what follows it is skipped.
pub(in crate::wire) fn decode_command<'a>(codec: &mut Codec, bytes: &'a [u8]) -> Decoded<Command<'a>> {
    if codec.0.is_some() {
        return Decoded { consumed: bytes.len(), frame: Frame::Incomplete };
    }
    let (asked, consumed, result) = match Request::decode(bytes) {
        super::Decoded::Incomplete { .. } => return Decoded { consumed: 0, frame: Frame::Incomplete },
        super::Decoded::Whole { frame, consumed } => (frame.echo(), consumed, entrance(&frame)),
        super::Decoded::Refused(refused) => (refused.echo, bytes.len(), Err(refused.error)),
    };
    codec.0 = Some(Box::new(Memory::Tcrp(Asked::new(asked))));
    let frame = match result {
        Ok(entrance) => Frame::Whole(Command::Enter(Box::new(entrance))),
        Err(error) => Frame::Refused(DecodeError::Tcrp(error)),
    };
    Decoded { consumed, frame }
}

fn entrance<'a>(request: &Request<'a>) -> Result<Entrance<'a>, FrameError> {
    let credentials = request.credentials()?;
    Ok(Entrance {
        room: request.room,
        making: request.operation == super::Operation::Create,
        name: credentials.username,
        password: credentials.password,
    })
}

fn answer(codec: &Codec, encode: impl FnOnce(Echo<'_>)) {
    let nothing = Asked::default();
    let asked = match codec.0.as_deref() {
        Some(Memory::Tcrp(asked)) => asked,
        // Answered before it asked: the server is full.
        _ => &nothing,
    };
    encode(Echo { room: &asked.room, operation: asked.operation });
}

/// Appends the answer: to a seat, or to a refusal. The dialect has no words for anything else.
pub(in crate::wire) fn encode_event(codec: &Codec, event: &Event<'_>, out: &mut Vec<u8>) {
    match *event {
        Event::Seated(token) => answer(codec, |echo| encode_answer(echo, Ok(token), out)),
        Event::LoginRefused(problem) => answer(codec, |echo| encode_answer(echo, Err(refusal(problem)), out)),
        _ => {}
    }
}

/// Appends the answer to what was no request.
pub(in crate::wire) fn encode_refusal(codec: &Codec, error: DecodeError, out: &mut Vec<u8>) {
    if let DecodeError::Tcrp(error) = error {
        answer(codec, |echo| encode_answer(echo, Err(error.refusal()), out));
    }
}

/// The word that comes nearest.
fn refusal(problem: Problem<'_>) -> Refusal {
    match problem {
        Problem::NameTaken | Problem::Replaced | Problem::NameRegistered | Problem::AccountDeleted => {
            Refusal::NameTaken
        }
        Problem::Name(NameError::TooLong { .. }) | Problem::RoomName(RoomNameError::TooLong) => {
            Refusal::TooLong
        }
        Problem::Name(NameError::TooShort { .. } | NameError::Character)
        | Problem::NameReserved
        | Problem::NameLookAlike => Refusal::BadName,
        Problem::RoomName(RoomNameError::Empty | RoomNameError::Character) => Refusal::BadRoom,
        Problem::RoomExists => Refusal::RoomExists,
        Problem::NoSuchRoom => Refusal::NoSuchRoom,
        Problem::WrongPassword | Problem::PasswordUnusable | Problem::NameHasAccount => {
            Refusal::WrongPassword
        }
        Problem::NoAccount(_) => Refusal::NoAccount,
        Problem::TooManyRooms
        | Problem::ServerFull
        | Problem::TooManyAccounts
        | Problem::MailboxFull
        | Problem::MailboxFullForYou
        | Problem::MailboxFullForUnknown => Refusal::Full,
        Problem::AddressFull
        | Problem::TooManyRoomsOfAddress
        | Problem::TooManyRoomsOfSession
        | Problem::TooManyNewAccounts { .. } => Refusal::TooMany,
        Problem::AddressTooFast | Problem::TooFast => Refusal::TooFast,
        Problem::TooManyAttempts
        | Problem::Busy
        | Problem::NotKept
        | Problem::AlreadyLoggedIn
        | Problem::MustLogin
        | Problem::AccountExists
        | Problem::NotRegistered
        | Problem::NoPasswordsHere
        | Problem::NotInSeats
        | Problem::NoMailbox
        | Problem::UserNotFound(_)
        | Problem::AlreadyInRoom
        | Problem::NoMessages
        | Problem::TextTooLong
        | Problem::UnknownCommand(_)
        | Problem::Usage(_)
        | Problem::LineTooLong
        | Problem::InvalidUtf8
        | Problem::IdleTimeout
        | Problem::LoginTimeout
        | Problem::TooSlow => Refusal::Busy,
    }
}
