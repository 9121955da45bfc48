//! Structs as commands and events.

use super::{Decoder, Kind, Message, encode};
use crate::chat::{Command, Departure, Event, Phase, Secret, UnixSeconds};
use crate::wire::text::{self, Private, SERVER};
use crate::wire::{DecodeError, Decoded, Fit, Frame, Unsayable};

/// Decodes the first command in `bytes`, on the server. A first text joins, and the text of a join is said.
#[inline]
pub(in crate::wire) fn decode_command<'a>(
    decoder: &mut Decoder,
    phase: Phase,
    bytes: &'a [u8],
) -> Decoded<Command<'a>> {
    decoder.decode(bytes).map(|Message { kind, sender, content }| match (kind, phase) {
        (Kind::Text, Phase::Chat) => text::said(content),
        (Kind::Join, Phase::Chat) if !content.is_empty() => text::said(content),
        (Kind::Text | Kind::Join, Phase::Login | Phase::Password) => match text::said(content) {
            Command::Direct { to, text } => Command::SayAs { name: sender, to: Some(to), text },
            Command::Say("") if kind == Kind::Join => Command::Login { name: sender, password: None },
            Command::Say(text) => Command::SayAs { name: sender, to: None, text },
            // A login takes another name than the sender's; the others need one first. None is said in the
            // room.
            command => command,
        },
        (Kind::Leave, _) => Command::Quit,
        (Kind::Join, Phase::Chat) | (Kind::Other(_), _) => Command::Nothing,
    })
}

/// Appends the struct for an event, or nothing. What the server itself has to say is a text from [`SERVER`].
#[inline]
pub(in crate::wire) fn encode_event(event: &Event<'_>, out: &mut Vec<u8>) -> Fit {
    let (kind, sender, content) = match *event {
        Event::Message { sender, text, at: _ } | Event::Past { sender, text, at: _ } => {
            (Kind::Text, sender, text)
        }
        Event::Direct { sender, text, at: _ } => {
            return encode(&Message { kind: Kind::Text, sender: &Private::of(sender), content: text }, out);
        }
        Event::Joined(name) => (Kind::Join, name, ""),
        Event::User { name, own: _ } => (Kind::Text, SERVER, name),
        Event::Left { name, departure: Departure::Moved | Departure::Disconnected } => {
            (Kind::Leave, name, "")
        }
        _ => {
            return match text::told(event) {
                Some(text) => encode(&Message { kind: Kind::Text, sender: SERVER, content: &text }, out),
                None => Fit::Whole,
            };
        }
    };
    encode(&Message { kind, sender, content }, out)
}

/// Appends why a message was dropped, as a text from [`SERVER`].
pub(in crate::wire) fn encode_refusal(error: DecodeError, out: &mut Vec<u8>) {
    let content = error.to_string();
    // The reasons are short.
    let _: Fit = encode(&Message { kind: Kind::Text, sender: SERVER, content: &content }, out);
}

/// Appends a command as a client sends it. A text that would be taken for a direct message is not sayable.
pub(in crate::wire) fn encode_command(command: &Command<'_>, out: &mut Vec<u8>) -> Result<(), Unsayable> {
    let private;
    let (kind, sender, content) = match *command {
        Command::Login { name, password: None } => (Kind::Join, name, ""),
        Command::SayAs { name, to: None, text } if matches!(text::said(text), Command::Say(_)) => {
            (Kind::Text, name, text)
        }
        Command::Say(text) if matches!(text::said(text), Command::Say(_)) => (Kind::Text, "", text),
        Command::SayAs { name, to: Some(to), text } if text::is_word(to) => {
            private = format!("{}{to} {text}", text::PRIVATE_COMMAND);
            (Kind::Text, name, private.as_str())
        }
        Command::Direct { to, text } if text::is_word(to) => {
            private = format!("{}{to} {text}", text::PRIVATE_COMMAND);
            (Kind::Text, "", private.as_str())
        }
        Command::Quit => (Kind::Leave, "", ""),
        Command::Login { name, password: Some(Secret(password)) }
            if text::is_word(name) && !password.is_empty() && password.trim_ascii_start() == password =>
        {
            private = format!("/login {name} {password}");
            (Kind::Text, name, private.as_str())
        }
        Command::MakeAccount(_) | Command::ChangePassword { .. } | Command::EndAccount(_) => {
            let mut bytes = Vec::new();
            text::push_account_command(command, &mut bytes)?;
            private = String::from_utf8(bytes).map_err(|_| Unsayable)?;
            (Kind::Text, "", private.as_str())
        }
        Command::Users => (Kind::Text, "", "/who"),
        Command::Join(room) if room.trim_ascii() == room => {
            private = format!("/join #{room}");
            (Kind::Text, "", private.as_str())
        }
        Command::Leave => (Kind::Text, "", "/leave"),
        _ => return Err(Unsayable),
    };
    match encode(&Message { kind, sender, content }, out) {
        Fit::Whole => Ok(()),
        Fit::Cut => Err(Unsayable),
    }
}

/// Decodes the first event in `bytes`, on the client.
#[inline]
pub(in crate::wire) fn decode_event<'a>(decoder: &mut Decoder, bytes: &'a [u8]) -> Decoded<Event<'a>> {
    let at = UnixSeconds::default();
    let found = decoder.decode(bytes).map(|Message { kind, sender, content }| match kind {
        Kind::Text => match Private::strip(sender) {
            Some(sender) => Some(Event::Direct { sender, text: content, at }),
            None => Some(Event::Message { sender, text: content, at }),
        },
        Kind::Join => Some(Event::Joined(sender)),
        Kind::Leave => Some(Event::Left { name: sender, departure: Departure::Disconnected }),
        Kind::Other(_) => None,
    });
    let frame = match found.frame {
        Frame::Whole(Some(event)) => Frame::Whole(event),
        Frame::Whole(None) => Frame::Refused(DecodeError::Unrecognized),
        Frame::Incomplete => Frame::Incomplete,
        Frame::Refused(error) => Frame::Refused(error),
    };
    Decoded { consumed: found.consumed, frame }
}

impl<'a> super::Decoded<'a> {
    #[inline]
    fn map<T>(self, map: impl FnOnce(Message<'a>) -> T) -> Decoded<T> {
        let frame = match self.frame {
            super::Frame::Incomplete => Frame::Incomplete,
            super::Frame::Whole(message) => Frame::Whole(map(message)),
            super::Frame::Refused(error) => Frame::Refused(DecodeError::Gob(error)),
        };
        Decoded { consumed: self.consumed, frame }
    }
}
