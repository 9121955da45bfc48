//! Gob.

use parlance::wire::gob::{Decoder, Frame, Kind as What, Message, encode};

use super::{Around, Client, direct_name};
use crate::script::{Act, ROOMS};
use crate::trace;

impl Client {
    fn gob(&self, kind: What, content: &str, out: &mut Vec<u8>) {
        _ = encode(&Message { kind, sender: &self.wanted, content }, out);
    }

    pub(super) fn gob_logs_in(&mut self, around: &mut Around<'_>) {
        let mut out = Vec::new();
        self.gob(What::Join, "", &mut out);
        let wanted = self.wanted.clone();
        self.may_be(&wanted);
        // There is no answer. What it says from now on comes behind it.
        self.rooms.push(ROOMS[0]);
        self.sends(&out, around);
    }

    pub(super) fn gob_acts(&mut self, act: &Act, clients: usize, around: &mut Around<'_>) {
        let mut out = Vec::new();
        match act {
            Act::Say { count, bytes } => {
                for _ in 0..*count {
                    let text = self.says(*bytes, around);
                    self.gob(What::Text, &text, &mut out);
                }
            }
            Act::Direct { to, bytes } => {
                let to = direct_name(*to, clients);
                let text = self.says_to(&to, *bytes, around);
                self.gob(What::Text, &format!("/msg {to} {text}"), &mut out);
            }
            Act::Quit => {
                self.gob(What::Leave, "", &mut out);
                self.sends(&out, around);
                return self.leaves();
            }
            _ => {}
        }
        self.sends(&out, around);
    }

    pub(super) fn gob_hears(&mut self, around: &mut Around<'_>) {
        loop {
            // As programs in use do: a decoder for each message.
            let mut decoder = Decoder::default();
            let found = decoder.decode(&self.input);
            let (consumed, kind, sender, content) = match found.frame {
                Frame::Incomplete => return,
                Frame::Whole(Message { kind, sender, content }) => {
                    (found.consumed, kind, sender.to_owned(), content.to_owned())
                }
                Frame::Refused(error) => panic!("client {} is sent {error}", self.index),
            };
            self.input.drain(..consumed);
            trace!("client {} hears: {kind:?} {sender}: {content:.80}", self.index);
            content.clone_into(&mut self.last_heard);
            if self.stay.is_none() && !(kind == What::Text && sender == "server") {
                // The first that it hears of the lobby tells that it is in.
                self.enters(ROOMS[0], around);
            }
            if kind != What::Text {
                continue;
            }
            if let Some(sender) = sender.strip_suffix(" (private)") {
                self.sees_direct(sender, &content, around);
            } else if sender == "server" {
                if let Some(count) = content.strip_suffix(" messages missed") {
                    self.misses(count.parse().expect("a count"));
                } else if content == "too fast; this was not done" {
                    self.refused += 1;
                } else if let Some(name) = content.strip_prefix("your name here is ") {
                    self.may_be(name);
                }
            } else {
                self.sees(&sender, &content, around);
            }
        }
    }
}
