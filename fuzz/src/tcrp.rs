//! The TCRP handshake.

use parlance::chat::{Phase, Token};
use parlance::limits::{TCRP_FRAME_BYTES_MAX, TCRP_ROOM_BYTES_MAX};
use parlance::wire::Dialect;
use parlance::wire::tcrp::{Content, Decoded, Reply, Request, encode_answer, encode_request};

use super::feed::{Cuts, Step, commands, same_however_cut, to_the_end};
use super::input::Input;

/// A codec remembers what the answer repeats.
const HELD_BYTES_MAX: usize = 128 + TCRP_ROOM_BYTES_MAX;

/// A stream means the same however it is cut, on either side; a header asks for no more than a frame may have; what was
/// understood is encoded as the same bytes, or for answers, as the same meaning.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let cuts = Cuts::of(&mut input);
    let stream = input.rest();
    same_however_cut(stream, cuts, TCRP_FRAME_BYTES_MAX, || {
        commands(Dialect::Tcrp, Phase::Login, HELD_BYTES_MAX, |_, _| {})
    });
    same_however_cut(stream, cuts, TCRP_FRAME_BYTES_MAX, || to_the_end(requests));
    same_however_cut(stream, cuts, TCRP_FRAME_BYTES_MAX, || to_the_end(replies));
}

fn step<T, E>(bytes: &[u8], decoded: Decoded<T, E>, whole: impl FnOnce(T, usize) -> String) -> (Step, bool)
where
    E: std::fmt::Debug,
{
    match decoded {
        Decoded::Incomplete { bytes_min } => {
            assert!(bytes_min > bytes.len(), "it asks for more than there is");
            assert!(bytes_min <= TCRP_FRAME_BYTES_MAX, "it asks for {bytes_min} bytes");
            ((0, None), false)
        }
        Decoded::Whole { frame, consumed } => ((consumed, Some(whole(frame, consumed))), false),
        Decoded::Refused(error) => ((bytes.len(), Some(format!("refused: {error:?}"))), true),
    }
}

fn requests(bytes: &[u8]) -> (Step, bool) {
    step(bytes, Request::decode(bytes), |request, consumed| {
        let mut again = Vec::new();
        request.encode(&mut again).expect("it was said");
        assert_eq!(again, &bytes[..consumed]);
        let Ok(credentials) = request.credentials() else { return format!("{request:?} of nobody") };
        let (name, password) = (&*credentials.username, credentials.password());
        let mut spelled = Vec::new();
        // JSON may spell it longer than it came.
        if encode_request(request.room, request.operation, name, password, &mut spelled).is_ok() {
            let Decoded::Whole { frame, consumed } = Request::decode(&spelled) else {
                panic!("a request is one: {}", spelled.escape_ascii())
            };
            assert_eq!(consumed, spelled.len());
            assert_eq!(frame.echo(), request.echo());
            let found = frame.credentials().expect("they were spelled here");
            assert_eq!(found, credentials);
            assert_eq!(found.password(), password);
        }
        format!("{request:?} {credentials:?} {:?}", password.map(|password| password.0))
    })
}

fn replies(bytes: &[u8]) -> (Step, bool) {
    step(bytes, Reply::decode(bytes), |reply, _| {
        let outcome = match &reply.content {
            Content::Accepted => Ok(&Token::from_random([7; 16])),
            Content::Complete(Some(token)) => Ok(token),
            Content::Refused(Some(refusal)) => Err(*refusal),
            Content::Refused(None) | Content::Complete(None) => return format!("{reply:?}"),
        };
        let mut answer = Vec::new();
        encode_answer(reply.echo, outcome, &mut answer);
        let Decoded::Whole { frame: compliance, consumed } = Reply::decode(&answer) else {
            panic!("an answer begins with a frame")
        };
        let Decoded::Whole { frame: complete, consumed: rest } = Reply::decode(&answer[consumed..]) else {
            panic!("an answer ends with a frame")
        };
        assert_eq!(consumed + rest, answer.len());
        assert_eq!([compliance.echo, complete.echo], [reply.echo; 2]);
        let contents = match outcome {
            Ok(token) => [Content::Accepted, Content::Complete(Some(*token))],
            Err(refusal) => [Content::Refused(Some(refusal)), Content::Complete(None)],
        };
        assert_eq!([compliance.content, complete.content], contents);
        format!("{reply:?}")
    })
}
