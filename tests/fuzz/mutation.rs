//! What becomes of an input: a few of the changes that break decoders.

use crate::dice::Dice;

/// Bytes of an input, at most: longer ones take longer, and find nothing else.
const BYTES_MAX: usize = 16 << 10;
/// Changes of one input, at most.
const CHANGES_MAX: usize = 4;
/// Lengths and numbers at their ends, in one to eight bytes, as the formats have them.
const EXTREMES: [&[u8]; 12] = [
    b"\0",
    b"\x01",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff",
    b"\0\0\0\0",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\x80\0\0\0\0\0\0\0",
    b"\xf8\xff\xff\xff\xff\xff\xff\xff\xff",
    b"18446744073709551615",
];

/// One of the inputs, changed.
pub(crate) fn mutated(corpus: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = corpus[dice.below(corpus.len())].clone();
    for _ in 0..=dice.below(CHANGES_MAX) {
        change(&mut bytes, corpus, dice);
        bytes.truncate(BYTES_MAX);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(bytes.len() + 1);
    let end = at + dice.below(bytes.len() - at + 1);
    match dice.below(8) {
        // A bit.
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
        // Any byte.
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = dice.below(256) as u8;
            }
        }
        // The end is not there.
        2 => bytes.truncate(at),
        // A part is not there.
        3 => drop(bytes.drain(at..end)),
        // A part is there twice.
        4 => {
            let part = bytes[at..end].to_vec();
            bytes.splice(end..end, part);
        }
        // A number is as small or as large as it can be: in place of what was there, or before it.
        5 | 6 => {
            let extreme = EXTREMES[dice.below(EXTREMES.len())];
            let end = if dice.below(2) == 0 { at } else { bytes.len().min(at + extreme.len()) };
            bytes.splice(at..end, extreme.iter().copied());
        }
        // The end is that of another one.
        _ => {
            let other = &corpus[dice.below(corpus.len())];
            bytes.truncate(at);
            bytes.extend_from_slice(&other[dice.below(other.len() + 1)..]);
        }
    }
}
