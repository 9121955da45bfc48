//! The typed dialect, in both of its tag sets.

use parlance::chat::{Phase, Secret};
use parlance::limits::{TYPED_REPLY_BYTES_MAX, TYPED_REQUEST_BYTES_MAX};
use parlance::wire::Dialect;
use parlance::wire::typed::{Decoded, Decoder, Frame, HEADER_BYTES, Message, Reader, Reply, Request, TagSet};

use super::feed::{Cuts, Step, commands, same_however_cut, to_the_end};
use super::input::Input;

const HELD_BYTES_MAX: usize = 128;
/// Milliseconds that a float of seconds holds exactly: until far beyond the year 9999.
const EXACT_MILLIS_MAX: u64 = 1 << 50;

/// A stream means the same however it is cut, on either side; what was understood is encoded and understood as the same, and
/// is an object that reads without an error. A reader of any bytes comes to an end.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let tags = input.pick(&[TagSet::Document, TagSet::InUse]);
    let cuts = Cuts::of(&mut input);
    let stream = input.rest();
    same_however_cut(stream, cuts, HEADER_BYTES + TYPED_REQUEST_BYTES_MAX, || {
        commands(Dialect::Typed, Phase::Login, HELD_BYTES_MAX, |_, _| {})
    });
    same_however_cut(stream, cuts, HEADER_BYTES + TYPED_REQUEST_BYTES_MAX, || {
        let mut decoder = Decoder::default();
        move |bytes| requests(&mut decoder, bytes)
    });
    same_however_cut(stream, cuts, HEADER_BYTES + TYPED_REPLY_BYTES_MAX, || {
        to_the_end(move |bytes| replies(tags, bytes))
    });
    let tokens = Reader::new(tags, stream).count();
    assert!(tokens <= stream.len() + 1, "each but a last error takes a byte at least: {tokens}");
    let is_whole = Reader::new(tags, stream).all(|token| token.is_ok());
    assert_eq!(Reader::check(tags, stream).is_ok(), is_whole);
}

fn step<T>(decoded: Decoded<T>, whole: impl FnOnce(T) -> String) -> Step {
    let frame = match decoded.frame {
        Frame::Incomplete => None,
        Frame::Whole(frame) => Some(whole(frame)),
        Frame::Ignored(message_type) => Some(format!("ignored: {message_type}")),
        Frame::Refused(error) => Some(format!("refused: {error}")),
    };
    (decoded.consumed, frame)
}

/// A request as text, passwords included.
pub fn shown(request: &Request<'_>) -> String {
    match request {
        Request::LoginPassword(Secret(password)) => format!("LoginPassword {password:?}"),
        other => format!("{other:?}"),
    }
}

fn requests(decoder: &mut Decoder, bytes: &[u8]) -> Step {
    let found = decoder.decode(bytes);
    let (tags, consumed) = (decoder.tags(), found.consumed);
    step(found, |request| {
        let payload = &bytes[HEADER_BYTES..consumed];
        let is_read = !matches!(request, Request::ListUsers | Request::DeleteAccount);
        if is_read && !payload.is_empty() {
            assert_eq!(Reader::check(tags, payload), Ok(()), "{request:?}");
        }
        let mut again = Vec::new();
        request.encode(tags, &mut again).expect("it was said");
        assert_eq!(request_in(tags, &again), shown(&request));
        shown(&request)
    })
}

/// The one request that bytes are, as text. A decoder that has seen nothing sees which set it is in, if it is in one.
pub fn request_in(tags: TagSet, bytes: &[u8]) -> String {
    let mut decoder = Decoder::default();
    let Decoded { consumed, frame: Frame::Whole(request) } = decoder.decode(bytes) else {
        panic!("no request: {}", bytes.escape_ascii())
    };
    assert_eq!(consumed, bytes.len());
    let shows = !matches!(
        request,
        Request::ListUsers | Request::DeleteAccount | Request::Ping(None) | Request::Subscribe(_)
    );
    assert!(!shows || decoder.tags() == tags);
    shown(&request)
}

fn replies(tags: TagSet, bytes: &[u8]) -> (Step, bool) {
    let decoded = Reply::decode(tags, bytes);
    let is_refused = matches!(decoded.frame, Frame::Refused(_));
    let consumed = decoded.consumed;
    let step = step(decoded, |reply| {
        let is_read = !matches!(reply, Reply::NameKnown | Reply::NameNew | Reply::LoginFailed);
        if is_read {
            assert_eq!(Reader::check(tags, &bytes[HEADER_BYTES..consumed]), Ok(()), "{reply:?}");
        }
        let mut again = Vec::new();
        // What came laid out otherwise is no shorter than we would make it.
        reply.encode(tags, &mut again).expect("it was told");
        if is_exact(&reply) {
            assert_eq!(reply_in(tags, &again), shown_reply(&reply));
        }
        shown_reply(&reply)
    });
    (step, is_refused)
}

/// Whether all its times are held exactly.
fn is_exact(reply: &Reply<'_>) -> bool {
    let is_exact = |message: &Message<'_>| message.at.0 <= EXACT_MILLIS_MAX;
    match reply {
        Reply::Message(message) => is_exact(message),
        Reply::Messages(messages) => messages.clone().all(|message| is_exact(&message)),
        Reply::Error(_)
        | Reply::NameKnown
        | Reply::NameNew
        | Reply::LoggedIn(_)
        | Reply::LoginFailed
        | Reply::Users(_)
        | Reply::Kept { .. } => true,
    }
}

/// A reply as text, with the entries of its list.
pub fn shown_reply(reply: &Reply<'_>) -> String {
    match reply {
        Reply::LoggedIn(names) => format!("LoggedIn {:?}", names.clone().collect::<Vec<_>>()),
        Reply::Messages(messages) => format!("Messages {:?}", messages.clone().collect::<Vec<_>>()),
        Reply::Users(users) => format!("Users {:?}", users.clone().collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}

/// The one reply that bytes are, as text.
pub fn reply_in(tags: TagSet, bytes: &[u8]) -> String {
    let Decoded { consumed, frame: Frame::Whole(reply) } = Reply::decode(tags, bytes) else {
        panic!("no reply: {}", bytes.escape_ascii())
    };
    assert_eq!(consumed, bytes.len());
    shown_reply(&reply)
}
