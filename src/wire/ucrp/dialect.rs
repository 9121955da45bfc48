//! Datagrams as commands and events.

use super::{CONFIRM, Delivery, Message};
use crate::chat::{Command, Event, UnixSeconds};
use crate::wire::Fit;
use crate::wire::text::{self, Private, SERVER};

impl<'a> Message<'a> {
    /// What it asks for.
    #[inline]
    pub fn command(self) -> Command<'a> {
        match self {
            Self::Register | Self::Confirm(_) => Command::Register,
            Self::Leave => Command::Quit,
            Self::Chat(text) => text::said(text),
        }
    }
}

impl<'a> Delivery<'a> {
    /// What it tells, on the client. Which room was closed is for whoever knows in which room it is.
    #[inline]
    pub fn event(self) -> Event<'a> {
        let at = UnixSeconds::default();
        match self {
            Self::Relay { sender, text } => match Private::strip(sender) {
                Some(sender) => Event::Direct { sender, text, at },
                None => Event::Message { sender, text, at },
            },
            Self::RoomClosed => Event::RoomClosed(""),
        }
    }
}

/// Appends the datagram for an event, or nothing. What the server itself has to say comes from [`SERVER`].
#[inline]
pub(in crate::wire) fn encode_event(event: &Event<'_>, out: &mut Vec<u8>) -> Fit {
    match *event {
        Event::Message { sender, text, at: _ } => Delivery::Relay { sender, text }.encode(out),
        Event::Direct { sender, text, at: _ } => {
            Delivery::Relay { sender: &Private::of(sender), text }.encode(out)
        }
        // Not as from its sender: a client would take it for a message of now.
        Event::Past { sender, text, at } => {
            let text = format!("[{}] {sender}: {text}", text::date(at));
            Delivery::Relay { sender: SERVER, text: &text }.encode(out)
        }
        Event::RoomClosed(_) => Delivery::RoomClosed.encode(out),
        Event::AddressChallenge(number) => {
            Delivery::Relay { sender: SERVER, text: &format!("{CONFIRM}{number}") }.encode(out)
        }
        _ => match text::told(event) {
            Some(text) => Delivery::Relay { sender: SERVER, text: &text }.encode(out),
            None => Fit::Whole,
        },
    }
}
