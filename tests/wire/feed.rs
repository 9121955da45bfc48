//! Feeds a codec as a connection does: in pieces, keeping what is not consumed for the next one.

#[path = "../support/cuts.rs"]
mod cuts;

pub(crate) use cuts::cuts;
use parlance::chat::{Command, Phase, Secret};
use parlance::wire::{Codec, Decoded, Dialect, Frame};

/// The dialects of lines.
pub(crate) const LINES: [Dialect; 2] = [Dialect::Line, Dialect::Slash];

/// What a codec makes of the pieces of a stream, each frame as text.
fn feed<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
    mut decode: impl FnMut(&[u8]) -> Decoded<String>,
) -> Vec<String> {
    let mut frames = Vec::new();
    let mut buffer = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while !buffer.is_empty() {
            let Decoded { consumed, frame } = decode(&buffer);
            assert!(consumed <= buffer.len(), "a codec takes what is there");
            match frame {
                Frame::Incomplete if consumed == 0 => break,
                Frame::Incomplete => {}
                Frame::Whole(frame) => frames.push(frame),
                Frame::Refused(error) => frames.push(format!("refused: {error}")),
            }
            assert!(consumed > 0, "a frame is made of bytes");
            buffer.drain(..consumed);
        }
    }
    frames
}

fn owned<T>(decoded: Decoded<T>, shown: impl FnOnce(T) -> String) -> Decoded<String> {
    let frame = match decoded.frame {
        Frame::Incomplete => Frame::Incomplete,
        Frame::Whole(frame) => Frame::Whole(shown(frame)),
        Frame::Refused(error) => Frame::Refused(error),
    };
    Decoded { consumed: decoded.consumed, frame }
}

/// A command as text, passwords included.
pub(crate) fn shown(command: &Command<'_>) -> String {
    match command {
        Command::Login { name, password: Some(Secret(password)) } => {
            format!("Login {name:?} with {password:?}")
        }
        Command::Password(Secret(password)) => format!("Password {password:?}"),
        Command::MakeAccount(Secret(password)) => format!("MakeAccount {password:?}"),
        Command::ChangePassword { old: Secret(old), new: Secret(new) } => {
            format!("ChangePassword {old:?} {new:?}")
        }
        Command::EndAccount(Secret(password)) => format!("EndAccount {password:?}"),
        other => format!("{other:?}"),
    }
}

/// The commands in a stream that starts in a phase; after a login comes the chat.
pub(crate) fn commands<'p>(
    dialect: Dialect,
    mut phase: Phase,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> Vec<String> {
    let mut codec = Codec::default();
    feed(pieces, |bytes| {
        let found = dialect.decode_command(&mut codec, phase, bytes);
        if matches!(found.frame, Frame::Whole(Command::Login { .. } | Command::Password(_))) {
            phase = Phase::Chat;
        }
        owned(found, |command| shown(&command))
    })
}

/// The events in a stream.
pub(crate) fn events<'p>(dialect: Dialect, pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<String> {
    let mut codec = Codec::default();
    feed(pieces, |bytes| owned(dialect.decode_event(&mut codec, bytes), |event| format!("{event:?}")))
}

/// Checks that a stream decodes to the same, however it is cut: whole, byte by byte, and at each point in two.
pub(crate) fn same_in_any_pieces(
    stream: &[u8],
    decode: impl Fn(&mut dyn Iterator<Item = &[u8]>) -> Vec<String>,
) {
    let whole = decode(&mut std::iter::once(stream));
    assert_eq!(decode(&mut stream.chunks(1)), whole, "byte by byte: {}", stream.escape_ascii());
    for cut in cuts(stream.len()) {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(decode(&mut [head, tail].into_iter()), whole, "cut at {cut}: {}", stream.escape_ascii());
    }
}
