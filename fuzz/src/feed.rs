//! Feeds a decoder as a connection does: in pieces, keeping what is not consumed for the next one. What it makes of a
//! stream must not depend on the pieces.

use parlance::chat::{Command, Entrance, Event, Phase, Secret};
use parlance::limits::LINE_BYTES_MAX;
use parlance::wire::{Codec, Decoded, Dialect, Frame};

use super::input::Input;

/// How long the pieces are, at most: of some streams each byte comes by itself, and some come whole.
const PIECE_BYTES_MAX: [usize; 5] = [1, 3, 17, 300, 5000];

/// How a stream is cut, as an input says.
#[derive(Clone, Copy)]
pub struct Cuts {
    bytes_max: usize,
    state: u64,
}

impl Cuts {
    pub fn of(input: &mut Input<'_>) -> Self {
        Self { bytes_max: input.pick(&PIECE_BYTES_MAX), state: input.byte().into() }
    }

    fn next(&mut self) -> usize {
        // The multiplier of Knuth's MMIX.
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        1 + (self.state >> 33) as usize % self.bytes_max
    }

    fn of_stream(mut self, mut stream: &[u8]) -> impl Iterator<Item = &[u8]> {
        std::iter::from_fn(move || {
            let (piece, rest) = stream.split_at(self.next().min(stream.len()));
            stream = rest;
            (!piece.is_empty()).then_some(piece)
        })
    }
}

/// What one call of a decoder took, and what that was as text; nothing, where it was no whole frame.
pub type Step = (usize, Option<String>);

/// What a decoder made of a stream.
#[derive(PartialEq, Eq, Debug)]
struct Seen {
    frames: Vec<String>,
    /// Bytes of a frame whose end did not come.
    left: usize,
}

fn feed<'p>(
    pieces: impl Iterator<Item = &'p [u8]>,
    kept_bytes_max: usize,
    mut decode: impl FnMut(&[u8]) -> Step,
) -> Seen {
    let (mut frames, mut buffer) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        let mut start = 0;
        while start < buffer.len() {
            let unread = &buffer[start..];
            let (consumed, frame) = decode(unread);
            assert!(consumed <= unread.len(), "a decoder takes what is there");
            if consumed == 0 {
                assert_eq!(frame, None, "a frame is made of bytes");
                assert!(unread.len() <= kept_bytes_max, "{} bytes are to be kept", unread.len());
                break;
            }
            frames.extend(frame);
            start += consumed;
        }
        buffer.drain(..start);
    }
    Seen { frames, left: buffer.len() }
}

/// Checks that a decoder makes the same of a stream, whole and cut, and returns what it makes of it. It may ask for so many
/// bytes to be kept.
pub fn same_however_cut<D: FnMut(&[u8]) -> Step>(
    stream: &[u8],
    cuts: Cuts,
    kept_bytes_max: usize,
    decoder: impl Fn() -> D,
) -> Vec<String> {
    let whole = feed(std::iter::once(stream), kept_bytes_max, decoder());
    let cut = feed(cuts.of_stream(stream), kept_bytes_max, decoder());
    assert_eq!(whole, cut, "whole and in pieces of at most {}", cuts.bytes_max);
    whole.frames
}

/// A decoder whose refusals end the stream: nothing behind one is looked at. Its steps say whether they are one.
pub fn to_the_end(mut decode: impl FnMut(&[u8]) -> (Step, bool)) -> impl FnMut(&[u8]) -> Step {
    let mut is_over = false;
    move |bytes| {
        if is_over {
            return (bytes.len(), None);
        }
        let step;
        (step, is_over) = decode(bytes);
        step
    }
}

fn step<T>(decoded: Decoded<T>, shown: impl FnOnce(T) -> String) -> Step {
    let frame = match decoded.frame {
        Frame::Incomplete => None,
        Frame::Whole(frame) => Some(shown(frame)),
        Frame::Refused(error) => {
            assert!(!error.cause().is_empty() && !error.to_string().is_empty());
            Some(format!("refused: {error:?}"))
        }
    };
    (decoded.consumed, frame)
}

/// A command as text, passwords included.
pub fn shown(command: &Command<'_>) -> String {
    match command {
        Command::Login { name, password: Some(Secret(password)) } => {
            format!("Login {name:?} with {password:?}")
        }
        Command::Password(Secret(password)) => format!("Password {password:?}"),
        Command::Enter(entrance) => {
            let Entrance { room, making, name, password } = &**entrance;
            format!("Enter {room:?} {making} {name:?} with {password:?}")
        }
        other => format!("{other:?}"),
    }
}

/// A decoder of commands: what the server does with a stream that begins in a phase. `look` sees each command, and the phase
/// that it was said in. Its codec may keep so many bytes.
pub fn commands(
    dialect: Dialect,
    mut phase: Phase,
    held_bytes_max: usize,
    mut look: impl FnMut(Phase, &Command<'_>),
) -> impl FnMut(&[u8]) -> Step {
    let mut codec = Codec::default();
    move |bytes| {
        let said_in = phase;
        let decoded = dialect.decode_command(&mut codec, phase, bytes);
        assert!(codec.held_bytes() <= held_bytes_max, "{} bytes are held", codec.held_bytes());
        if let Frame::Refused(error) = decoded.frame {
            let mut out = Vec::new();
            dialect.encode_refusal(&codec, phase, error, &mut out);
            assert!(out.is_empty() == dialect.is_silent_to(&codec), "who is refused is told");
        }
        step(decoded, |command| {
            look(said_in, &command);
            match command {
                Command::Login { .. } | Command::Password(_) | Command::SayAs { .. } => phase = Phase::Chat,
                _ => {}
            }
            shown(&command)
        })
    }
}

/// What a server makes of a stream of a dialect of lines, with Telnet between the lines, in pieces; and what
/// it answers to that, but for "are you there", which is answered once a piece.
#[derive(PartialEq, Eq, Debug, Default)]
struct Conversation {
    frames: Vec<String>,
    answers: Vec<u8>,
    is_over: bool,
}

fn conversation<'p>(dialect: Dialect, phase: Phase, pieces: impl Iterator<Item = &'p [u8]>) -> Conversation {
    let (mut codec, mut text, mut seen) = (Codec::default(), Vec::new(), Conversation::default());
    let mut has_begun = false;
    for piece in pieces {
        let mut answers = Vec::new();
        if codec.has_telnet(piece) {
            match codec.take_telnet(!has_begun && text.is_empty(), piece, &mut text, &mut answers) {
                Ok(has_commands) => has_begun |= has_commands,
                Err(error) => {
                    assert!(error.ends_connection());
                    seen.is_over = true;
                    return seen;
                }
            }
            assert!(
                answers.len() <= piece.len() + ARE_YOU_THERE.len(),
                "answers are no longer than what asks"
            );
            seen.answers.extend_from_slice(answers.strip_suffix(ARE_YOU_THERE).unwrap_or(&answers));
        } else {
            text.extend_from_slice(piece);
        }
        let mut start = 0;
        while start < text.len() {
            let (consumed, frame) =
                step(dialect.decode_command(&mut codec, phase, &text[start..]), |c| shown(&c));
            if consumed == 0 {
                break;
            }
            has_begun = true;
            seen.frames.extend(frame);
            start += consumed;
        }
        text.drain(..start);
        assert!(text.len() < LINE_BYTES_MAX, "{} bytes are to be kept", text.len());
    }
    seen
}

const ARE_YOU_THERE: &[u8] = b"[Yes]\r\n";

/// Checks that a stream with Telnet in it says the same, whole and cut. Where a line is too long, that
/// depends on what was erased of it before it was looked at.
pub fn same_telnet_however_cut(dialect: Dialect, phase: Phase, stream: &[u8], cuts: Cuts) {
    let whole = conversation(dialect, phase, std::iter::once(stream));
    let cut = conversation(dialect, phase, cuts.of_stream(stream));
    let is_too_long = |seen: &Conversation| seen.frames.iter().any(|frame| frame.contains("LineTooLong"));
    assert!(whole.is_over == cut.is_over && whole.answers == cut.answers);
    if !whole.is_over && !is_too_long(&whole) && !is_too_long(&cut) {
        assert_eq!(whole, cut, "whole and in pieces of at most {}", cuts.bytes_max);
    }
}

/// A decoder of events: what a client does with a stream. `look` sees each event.
pub fn events(
    dialect: Dialect,
    held_bytes_max: usize,
    mut look: impl FnMut(&Event<'_>),
) -> impl FnMut(&[u8]) -> Step {
    let mut codec = Codec::default();
    move |bytes| {
        let decoded = dialect.decode_event(&mut codec, bytes);
        assert!(codec.held_bytes() <= held_bytes_max, "{} bytes are held", codec.held_bytes());
        step(decoded, |event| {
            look(&event);
            format!("{event:?}")
        })
    }
}

/// The commands in a stream that comes whole, as text.
pub fn commands_in(dialect: Dialect, phase: Phase, stream: &[u8]) -> Vec<String> {
    let decode = commands(dialect, phase, usize::MAX, |_, _| {});
    let Seen { frames, left } = feed(std::iter::once(stream), usize::MAX, decode);
    assert_eq!(left, 0, "what is encoded is whole: {}", stream.escape_ascii());
    frames
}

/// The events in a stream that comes whole, as text.
pub fn events_in(dialect: Dialect, stream: &[u8]) -> Vec<String> {
    let decode = events(dialect, usize::MAX, |_| {});
    let Seen { frames, left } = feed(std::iter::once(stream), usize::MAX, decode);
    assert_eq!(left, 0, "what is encoded is whole: {}", stream.escape_ascii());
    frames
}

/// The one event that an event becomes when it is encoded and decoded, encoded once more.
pub fn reencoded_event(dialect: Dialect, stream: &[u8]) -> Vec<u8> {
    let mut again = Vec::new();
    let decode = events(dialect, usize::MAX, |event| {
        let _ = dialect.encode_event(&Codec::default(), event, &mut again);
    });
    feed(std::iter::once(stream), usize::MAX, decode);
    again
}

/// The same for a command.
pub fn reencoded_command(dialect: Dialect, phase: Phase, stream: &[u8]) -> Vec<u8> {
    let mut again = Vec::new();
    let decode = commands(dialect, phase, usize::MAX, |_, command| {
        dialect.encode_command(command, &mut again).expect("it was said before");
    });
    feed(std::iter::once(stream), usize::MAX, decode);
    again
}
