//! Datagrams as commands and events.

use super::{Delivery, Message};
use crate::chat::{Command, Event};
use crate::wire::Fit;
use crate::wire::text::{self, Private, SERVER};

impl<'a> Message<'a> {
    /// What it asks for.
    #[inline]
    pub fn command(self) -> Command<'a> {
        match self {
            Self::Register => Command::Register,
            Self::Leave => Command::Quit,
            Self::Chat(text) => text::said(text),
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
        Event::RoomClosed(_) => Delivery::RoomClosed.encode(out),
        _ => match text::told(event) {
            Some(text) => Delivery::Relay { sender: SERVER, text: &text }.encode(out),
            None => Fit::Whole,
        },
    }
}
