//! Feeds a decoder as a connection does: in pieces, keeping what is not consumed for the next one.

#[path = "../support/cuts.rs"]
mod cuts;

use cuts::cuts;
use parlance::chat::Secret;
use parlance::wire::typed::{Decoded, Decoder, Frame, Reply, Request, TagSet};

/// What a decoder makes of the pieces of a stream, each frame as text, up to a refusal.
fn feed<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
    mut decode: impl FnMut(&[u8]) -> (usize, Frame<String>),
) -> Vec<String> {
    let mut frames = Vec::new();
    let mut buffer = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while !buffer.is_empty() {
            let (consumed, frame) = decode(&buffer);
            assert!(consumed <= buffer.len(), "a decoder takes what is there");
            match frame {
                Frame::Incomplete if consumed == 0 => break,
                Frame::Incomplete => panic!("dropped {consumed} bytes"),
                Frame::Whole(frame) => frames.push(frame),
                Frame::Ignored(message_type) => frames.push(format!("ignored: {message_type}")),
                Frame::Refused(error) => {
                    assert_eq!(consumed, buffer.len(), "nothing behind a refusal is read");
                    frames.push(format!("refused: {error}"));
                    return frames;
                }
            }
            assert!(consumed > 0, "a frame is made of bytes");
            buffer.drain(..consumed);
        }
    }
    if !buffer.is_empty() {
        frames.push(format!("left: {} bytes", buffer.len()));
    }
    frames
}

fn owned<T>(decoded: Decoded<T>, shown: impl FnOnce(T) -> String) -> (usize, Frame<String>) {
    let frame = match decoded.frame {
        Frame::Incomplete => Frame::Incomplete,
        Frame::Whole(frame) => Frame::Whole(shown(frame)),
        Frame::Ignored(message_type) => Frame::Ignored(message_type),
        Frame::Refused(error) => Frame::Refused(error),
    };
    (decoded.consumed, frame)
}

/// A request as text, passwords included.
pub(crate) fn shown(request: Request<'_>) -> String {
    match request {
        Request::LoginPassword(Secret(password)) => format!("LoginPassword {password:?}"),
        other => format!("{other:?}"),
    }
}

/// A reply as text, with the entries of its list.
fn shown_reply(reply: Reply<'_>) -> String {
    match reply {
        Reply::LoggedIn(names) => format!("LoggedIn {:?}", names.collect::<Vec<_>>()),
        Reply::Messages(messages) => format!("Messages {:?}", messages.collect::<Vec<_>>()),
        Reply::Users(users) => format!("Users {:?}", users.collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}

/// The requests in a stream.
pub(crate) fn requests<'p>(mut decoder: Decoder, pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<String> {
    feed(pieces, |bytes| owned(decoder.decode(bytes), shown))
}

/// The replies in a stream.
pub(crate) fn replies<'p>(tags: TagSet, pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<String> {
    feed(pieces, |bytes| owned(Reply::decode(tags, bytes), shown_reply))
}

/// Every way to cut the bytes that is worth a test: byte by byte, and in two at every place.
pub(crate) fn segmentations(bytes: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let in_two = cuts(bytes.len()).map(|at| vec![&bytes[..at], &bytes[at..]]);
    in_two.chain([bytes.chunks(1).collect()])
}
