//! The text of a message: a header of fixed width that says which message it is, then padding that is always the same.
//!
//! ```text
//!  0      4         8          16                32              size
//!  | run  | publisher | sequence | scheduled       | padding ... |
//! ```
//!
//! Each field is a big-endian number in base 16 with the digits `@ABCDEFGHIJKLMNO`, which are 0x40 to 0x4f: text in every
//! dialect, no blank, no command, and read eight digits at a time. The *scheduled* time is when the message should have
//! gone, in nanoseconds since the run began, so that a stall of the generator is part of what is measured.

use crate::clock::Moment;

/// Bytes of the header: the smallest message.
pub(crate) const HEADER_BYTES: usize = 32;
/// Publishers are numbered with 16 bits.
pub(crate) const PUBLISHERS_MAX: usize = 1 << 16;

/// Zero in each of eight digits.
const ZEROES: u64 = 0x4040_4040_4040_4040;

/// Which message it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    /// Which run of the generator sent it.
    pub(crate) run: u16,
    /// Index of the publisher.
    pub(crate) publisher: u16,
    /// Counts the publisher's messages, from 0.
    pub(crate) sequence: u32,
    /// When it should have been sent.
    pub(crate) scheduled: Moment,
}

impl Header {
    pub(crate) fn encode(self) -> [u8; HEADER_BYTES] {
        let who = u32::from(self.run) << 16 | u32::from(self.publisher);
        let words = [who, self.sequence, (self.scheduled.0 >> 32) as u32, self.scheduled.0 as u32];
        let mut bytes = [0; HEADER_BYTES];
        for (digits, word) in bytes.chunks_exact_mut(8).zip(words) {
            digits.copy_from_slice(&encode_word(word));
        }
        bytes
    }

    /// Nothing, when a byte is no digit.
    #[inline]
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let ([a, b, c, d], []) = bytes.as_chunks::<8>() else { return None };
        let [a, b, c, d] = [a, b, c, d].map(|digits| u64::from_be_bytes(*digits) ^ ZEROES);
        if (a | b | c | d) & 0xf0f0_f0f0_f0f0_f0f0 != 0 {
            return None;
        }
        let who = word_of(a);
        Some(Self {
            run: (who >> 16) as u16,
            publisher: who as u16,
            sequence: word_of(b),
            scheduled: Moment(u64::from(word_of(c)) << 32 | u64::from(word_of(d))),
        })
    }
}

fn encode_word(word: u32) -> [u8; 8] {
    let mut nibbles = u64::from(word);
    nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff;
    nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles | nibbles << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    (nibbles ^ ZEROES).to_be_bytes()
}

/// Joins eight nibbles, each in a byte of its own.
#[inline]
fn word_of(nibbles: u64) -> u32 {
    let mut word = nibbles;
    word = (word | word >> 4) & 0x00ff_00ff_00ff_00ff;
    word = (word | word >> 8) & 0x0000_ffff_0000_ffff;
    (word | word >> 16) as u32
}

/// The text behind the header, for a message of `size` bytes.
pub(crate) fn padding(size: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(size - HEADER_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers() -> impl Iterator<Item = Header> {
        (0..1000).map(|_| Header {
            run: fastrand::u16(..),
            publisher: fastrand::u16(..),
            sequence: fastrand::u32(..),
            scheduled: Moment(fastrand::u64(..)),
        })
    }

    #[test]
    fn a_header_survives_the_wire() {
        for header in headers() {
            assert_eq!(Header::decode(&header.encode()), Some(header));
        }
    }

    #[test]
    fn the_header_is_a_word_of_text() {
        for header in headers() {
            assert!(header.encode().iter().all(u8::is_ascii_graphic));
        }
    }

    #[test]
    fn no_bit_can_be_wrong_unseen() {
        let header = headers().next().expect("there are some");
        let bytes = header.encode();
        for bit in 0..HEADER_BYTES * 8 {
            let mut wrong = bytes;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Header::decode(&wrong), Some(header));
        }
    }

    #[test]
    fn a_byte_that_is_no_digit_is_refused() {
        let bytes = Header { run: 1, publisher: 2, sequence: 3, scheduled: Moment(4) }.encode();
        for place in 0..HEADER_BYTES {
            for byte in [b'P', b'`', b'?', b'0', b'\n', 0xc0] {
                let mut wrong = bytes;
                wrong[place] = byte;
                assert_eq!(Header::decode(&wrong), None);
            }
        }
    }
}
