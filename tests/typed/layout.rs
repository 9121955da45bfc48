//! Messages as nearly all of them are laid out, and as few are: what a client makes of them is held against what the
//! tokens of the payload say, which are read without a thought of messages.

use parlance::limits::TYPED_REPLY_BYTES_MAX;
use parlance::wire::typed::{
    DecodeError, Decoded, Frame, HEADER_BYTES, Message, MessagesFrame, Reader, Reply, TagSet, Token,
    UnixMillis,
};

use crate::costs::allocations;
use crate::dice::Dice;
use crate::shapes::frame;
use crate::trips::{TAG_SETS, reply_frame};

const MESSAGE: u64 = 110;
const MESSAGES: u64 = 105;

/// What a payload says, from its tokens.
fn meant(tags: TagSet, message_type: u64, payload: &[u8]) -> Result<Vec<Message<'_>>, DecodeError> {
    if payload.is_empty() {
        return Err(DecodeError::PayloadMissing);
    }
    let tokens = Reader::new(tags, payload).collect::<Result<Vec<_>, _>>()?;
    let mut tokens = tokens.into_iter();
    if message_type == MESSAGE {
        return message(tags, &mut tokens).map(|message| vec![message]);
    }
    let Some(Token::List(count)) = tokens.next() else { return Err(DecodeError::WrongKind) };
    (0..count).map(|_| message(tags, &mut tokens)).collect()
}

fn message<'a>(
    tags: TagSet,
    tokens: &mut impl Iterator<Item = Token<'a>>,
) -> Result<Message<'a>, DecodeError> {
    let start = (tags, tokens.next());
    let ((TagSet::Document, Some(Token::Dict(pairs))) | (TagSet::InUse, Some(Token::ChatMessage(pairs)))) =
        start
    else {
        return Err(DecodeError::WrongKind);
    };
    let (mut texts, mut at) = ([None; 5], None);
    for _ in 0..pairs {
        let Some(Token::String(key)) = tokens.next() else { panic!("the reader checks keys") };
        if key == "timestamp" {
            at = Some(UnixMillis(match (tags, tokens.next()) {
                (TagSet::Document, Some(Token::Int(millis))) => u64::try_from(millis).unwrap_or(0),
                (TagSet::InUse, Some(Token::Float(seconds))) => saturated((seconds * 1000.0).round()),
                (TagSet::InUse, Some(Token::Int(seconds))) => {
                    u64::try_from(seconds).unwrap_or(0).saturating_mul(1000)
                }
                _ => return Err(DecodeError::WrongKind),
            }));
        } else if let Some(known) =
            ["id", "sender", "recipient", "content", "status"].iter().position(|known| *known == key)
        {
            let Some(Token::String(text)) = tokens.next() else { return Err(DecodeError::WrongKind) };
            texts[known] = Some(text);
        } else {
            skip(tokens);
        }
    }
    let unread = match texts[4] {
        Some("unread") => true,
        Some("read") => false,
        Some(_) => return Err(DecodeError::WrongKind),
        None => return Err(DecodeError::NotChatMessage),
    };
    match (texts, at) {
        ([Some(id), Some(sender), Some(recipient), Some(content), _], Some(at)) => {
            Ok(Message { id, at, sender, recipient, content, unread })
        }
        _ => Err(DecodeError::NotChatMessage),
    }
}

#[expect(clippy::cast_sign_loss, reason = "the cast saturates")]
fn saturated(number: f64) -> u64 {
    number as u64
}

fn skip<'a>(tokens: &mut impl Iterator<Item = Token<'a>>) {
    let mut left = 1;
    while left > 0 {
        left -= 1;
        left += match tokens.next().expect("the reader counts") {
            Token::List(count) => count,
            Token::Dict(pairs) | Token::ChatMessage(pairs) => 2 * pairs,
            Token::Int(_) | Token::Float(_) | Token::String(_) => 0,
        };
    }
}

/// What a client makes of the payload, wherever it lies in memory, and whether it is a message at all.
#[track_caller]
fn check(tags: TagSet, message_type: u64, payload: &[u8], in_front: usize) -> bool {
    const BEHIND: [u8; 20] = [0xff; 20];
    let bytes = [&vec![0xff; in_front][..], &frame(message_type, payload), &BEHIND].concat();
    let mut decoded = None;
    let cost = allocations(|| decoded = Some(Reply::decode(tags, &bytes[in_front..])));
    let Decoded { consumed, frame } = decoded.expect("decoded");
    let made = match frame {
        Frame::Whole(Reply::Message(message)) => Ok(vec![message]),
        Frame::Whole(Reply::Messages(messages)) => {
            let count = messages.size_hint().0;
            let messages: Vec<_> = messages.collect();
            assert_eq!(messages.len(), count);
            Ok(messages)
        }
        Frame::Refused(error) => Err(error),
        other => panic!("{other:?}"),
    };
    assert_eq!(made, meant(tags, message_type, payload), "{tags:?} {message_type} {payload:x?}");
    let behind = if made.is_ok() { BEHIND.len() } else { 0 };
    assert_eq!((consumed, cost), (bytes.len() - in_front - behind, 0));
    made.is_ok()
}

/// The payloads of a message and of a list of such.
fn payloads(tags: TagSet, messages: &[Message<'_>]) -> [(u64, Vec<u8>); 2] {
    let mut list = Vec::new();
    let mut listed = MessagesFrame::begin(tags, &mut list);
    for message in messages {
        listed.push(message).expect("it fits");
    }
    let single = reply_frame(&Reply::Message(messages[0]), tags);
    [(MESSAGE, single[HEADER_BYTES..].to_vec()), (MESSAGES, list[HEADER_BYTES..].to_vec())]
}

/// Texts of one, two, three and four bytes a character; the second status is that of the first without a prefix.
const SHORT: [Message<'_>; 2] = [
    Message {
        id: "7",
        at: UnixMillis(1_700_000_000_250),
        sender: "zoë",
        recipient: "山",
        content: "hi 👋",
        unread: true,
    },
    Message { id: "é", at: UnixMillis(0), sender: "", recipient: "b", content: "", unread: false },
];

#[test]
fn every_byte_may_be_any_other() {
    for tags in TAG_SETS {
        for (message_type, payload) in payloads(tags, &SHORT) {
            assert!(check(tags, message_type, &payload, 0));
            for at in 0..payload.len() {
                let mut changed = payload.clone();
                for byte in 0..=u8::MAX {
                    changed[at] = byte;
                    check(tags, message_type, &changed, at % 8);
                }
            }
        }
    }
}

#[test]
fn a_message_may_end_anywhere_and_lack_or_repeat_any_byte() {
    for tags in TAG_SETS {
        for (message_type, payload) in payloads(tags, &SHORT) {
            for at in 0..payload.len() {
                assert!(!check(tags, message_type, &payload[..at], at % 8));
                let (before, after) = payload.split_at(at);
                check(tags, message_type, &[before, &after[1..]].concat(), at % 8);
                check(tags, message_type, &[before, &after[..1], after].concat(), at % 8);
            }
        }
    }
}

impl Dice {
    /// A text of any length that an implementation might treat apart, of ASCII or not.
    fn text(&mut self) -> String {
        let bytes = match self.below(8) {
            0 => 0,
            1..=3 => self.below(20),
            4..=5 => self.below(80),
            6 => 120 + self.below(20),
            _ => self.below(1000),
        };
        let alphabet = [&["x"][..], &["a", "\0", "~", "\u{7f}"], &["a", "é", "山", "👋"]][self.below(3)];
        let mut text = String::new();
        while text.len() < bytes {
            text.push_str(alphabet[self.below(alphabet.len())]);
        }
        text
    }

    /// The number of a timestamp.
    fn number(&mut self) -> u64 {
        let seconds = self.below(1 << 32) as f64;
        match self.below(6) {
            0 => self.next(),
            // Halves of a millisecond, and their neighbours.
            1 => ((seconds + 0.5) / 1000.0).to_bits() + self.below(3) as u64 - 1,
            2 => (0.0005_f64).to_bits() + self.below(3) as u64 - 1,
            // Where all numbers are whole, or all even, or an integer ends.
            3 => ((1_u64 << (48 + self.below(16))) as f64 / 500.0).to_bits() + self.below(5) as u64 - 2,
            4 => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, -0.0004, f64::MIN_POSITIVE]
                [self.below(6)]
            .to_bits(),
            _ => (seconds / 1000.0).to_bits(),
        }
    }

    /// A string as an object.
    fn string(&mut self, tags: TagSet) -> Vec<u8> {
        let text = self.text();
        string(tags, text.as_bytes())
    }

    /// A chat message as an object: mostly with the six keys in their order.
    fn message(&mut self, tags: TagSet) -> Vec<u8> {
        const KEYS: [&str; 6] = ["id", "timestamp", "sender", "recipient", "content", "status"];
        let mut keys = KEYS.to_vec();
        for _ in 0..self.below(8).saturating_sub(4) {
            let (one, other) = (self.below(keys.len()), self.below(keys.len()));
            match self.below(4) {
                0 => keys.swap(one, other),
                1 => keys.insert(one, keys[other]),
                2 => keys.insert(one, "Sender"),
                _ => drop(keys.remove(one)),
            }
        }
        let (dict, float) = match tags {
            TagSet::Document => (&[3][..], 0),
            TagSet::InUse => (&[5, 4][..], 1),
        };
        let mut message = [dict, &(keys.len() as u32).to_be_bytes()].concat();
        for key in keys {
            message.extend(string(tags, key.as_bytes()));
            match key {
                "timestamp" => {
                    message.push(if self.below(8) == 0 { 0 } else { float });
                    message.extend(self.number().to_be_bytes());
                }
                "status" => message.extend(string(tags, [&b"unread"[..], b"read"][self.below(2)])),
                _ => message.extend(self.string(tags)),
            }
        }
        message
    }
}

fn string(tags: TagSet, text: &[u8]) -> Vec<u8> {
    let tag = match tags {
        TagSet::Document => 1,
        TagSet::InUse => 2,
    };
    [&[tag][..], &(text.len() as u32).to_be_bytes(), text].concat()
}

#[test]
fn any_message_means_what_its_tokens_say_and_so_does_what_becomes_of_it() {
    const ROUNDS: usize = 20_000;
    let (mut sound, mut broken_sound) = (0, 0);
    for seed in 0..ROUNDS as u64 {
        let mut dice = Dice(seed);
        let tags = TAG_SETS[dice.below(2)];
        let count = dice.below(4);
        let (message_type, mut payload) = if dice.below(2) == 0 {
            (MESSAGE, dice.message(tags))
        } else {
            let list = string(tags, &[])[0] + 1;
            let messages: Vec<_> = (0..count).flat_map(|_| dice.message(tags)).collect();
            (MESSAGES, [&[list, 0, 0, 0, count as u8][..], &messages].concat())
        };
        assert!(payload.len() < TYPED_REPLY_BYTES_MAX);
        let in_front = dice.below(16);
        sound += usize::from(check(tags, message_type, &payload, in_front));
        dice.mutate(&mut payload);
        broken_sound += usize::from(check(tags, message_type, &payload, in_front));
    }
    assert!(sound > ROUNDS / 2 && sound < ROUNDS, "{sound} were messages");
    assert!(broken_sound > ROUNDS / 8 && broken_sound < sound, "{broken_sound} still were");
}

#[test]
fn a_text_is_utf_8_by_itself_whatever_is_around_it() {
    // What a text must be so that the last byte of its count and its first bytes are a character: as long as a byte that
    // starts one, and that without this byte. And what is cut within a character, or is none.
    let of_length = |bytes: usize, start: &[u8]| {
        let mut text = start.to_vec();
        text.resize(bytes, b'x');
        text
    };
    let texts = [
        of_length(0xc3, &[0xa9]),
        of_length(0xe5, &[0xb1, 0xb1]),
        of_length(0xf0, &[0x9f, 0x91, 0x8b]),
        of_length(0x1c3, &[0xa9]),
        [&[b'x'; 20][..], &[0xc3]].concat(),
        [&[b'x'; 200][..], &[0xe5, 0xb1]].concat(),
        vec![0xa9],
        vec![0xff],
    ];
    for tags in TAG_SETS {
        for in_front in 0..16 {
            for text in &texts {
                let around = payloads(tags, &SHORT);
                for key in ["id", "sender", "recipient", "content"] {
                    for (message_type, payload) in &around {
                        let key = string(tags, key.as_bytes());
                        let at = payload.windows(key.len()).position(|window| window == key).expect("there");
                        let (before, after) = payload.split_at(at + key.len());
                        let bytes = u32::from_be_bytes(after[1..5].try_into().expect("four")) as usize;
                        let changed = [before, &string(tags, text), &after[5 + bytes..]].concat();
                        assert!(!check(tags, *message_type, &changed, in_front), "{text:x?}");
                        let sound = vec![b'x'; text.len()];
                        let changed = [before, &string(tags, &sound), &after[5 + bytes..]].concat();
                        assert!(check(tags, *message_type, &changed, in_front));
                    }
                }
            }
        }
    }
}
