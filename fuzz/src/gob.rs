//! The gob dialect.

use parlance::chat::Phase;
use parlance::limits::{GOB_FRAME_BYTES_MAX, GOB_MESSAGE_BYTES_MAX};
use parlance::wire::gob::{Decoded, Decoder, Frame, Message, encode};
use parlance::wire::{Dialect, Fit};

use super::feed::{Cuts, Step, commands, commands_in, events, same_however_cut, shown};
use super::input::Input;

/// What the definitions of a connection may take, and what is around them.
const HELD_BYTES_MAX: usize = 4096 + 256;

/// A stream means the same however it is cut, on either side; what was understood is encoded and understood as the same.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let phase = input.pick(&[Phase::Login, Phase::Chat]);
    let cuts = Cuts::of(&mut input);
    let stream = input.rest();
    same_however_cut(stream, cuts, GOB_FRAME_BYTES_MAX, || {
        commands(Dialect::Gob, phase, HELD_BYTES_MAX, |phase, command| {
            let mut said = Vec::new();
            if Dialect::Gob.encode_command(command, &mut said).is_ok() {
                assert_eq!(commands_in(Dialect::Gob, phase, &said), [shown(command)]);
            }
        })
    });
    same_however_cut(stream, cuts, GOB_FRAME_BYTES_MAX, || events(Dialect::Gob, HELD_BYTES_MAX, |_| {}));
    same_however_cut(stream, cuts, GOB_FRAME_BYTES_MAX, || {
        let mut decoder = Decoder::default();
        move |bytes| messages(&mut decoder, bytes)
    });
}

fn messages(decoder: &mut Decoder, bytes: &[u8]) -> Step {
    let Decoded { consumed, frame } = decoder.decode(bytes);
    let frame = match frame {
        Frame::Incomplete => None,
        Frame::Refused(error) => Some(format!("refused: {error:?}")),
        Frame::Whole(message) => {
            encode_again(&message);
            Some(format!("{message:?}"))
        }
    };
    (consumed, frame)
}

/// A message is encoded and decoded as the same, or is too long and cut at a character.
pub fn encode_again(message: &Message<'_>) {
    let mut out = Vec::new();
    let fit = encode(message, &mut out);
    assert!(out.len() <= GOB_MESSAGE_BYTES_MAX, "programs in use read no more at once");
    let Decoded { consumed, frame: Frame::Whole(found) } = Decoder::default().decode(&out) else {
        panic!("no message: {}", out.escape_ascii())
    };
    assert_eq!(consumed, out.len());
    assert_eq!(found.kind, message.kind);
    for (found, text) in [(found.sender, message.sender), (found.content, message.content)] {
        let is_cut = found.strip_suffix('…').is_some_and(|start| text.starts_with(start));
        assert!(found == text || (fit == Fit::Cut && is_cut));
    }
}
