//! The text of a message: a header of fixed width that says which message it is, then padding that is always the same.
//!
//! ```text
//!  0     (16 bits + 32 bits)   8   (8 bits + 40 bits)    16              size
//!  | publisher, sequence       | run, scheduled          | padding ... |
//! ```
//!
//! Each half is a big-endian number in base 64 with the digits `?` to `~`, which are 0x3f to 0x7e: text in every dialect, no
//! blank, no command, and read eight digits at a time. The *scheduled* time is when the message should have gone, since the
//! run began, so that a stall of the generator is part of what is measured. Its unit is 64 ns, so that it lasts for
//! [`RUN_MAX`].

use std::time::Duration;

use crate::clock::Moment;

/// Bytes of the header: the smallest message.
pub(crate) const HEADER_BYTES: usize = 16;
/// Publishers are numbered with 16 bits.
pub(crate) const PUBLISHERS_MAX: usize = 1 << 16;
/// What 40 bits of 64 ns hold is 19.5 hours, of which the rest is for connects, and for what is owed at the end.
pub(crate) const RUN_MAX: Duration = Duration::from_secs(18 * 3600);

/// Zero in each of eight digits.
const ZEROES: u64 = 0x3f3f_3f3f_3f3f_3f3f;
/// One in each of eight bytes.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The scheduled time's unit, as the logarithm of its nanoseconds.
const UNIT_BITS: u32 = 6;
const SEQUENCE_BITS: u32 = 32;
const SCHEDULED_BITS: u32 = 40;

/// Which message it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    /// Which run of the generator sent it, as far as a byte tells; the names of its clients tell more.
    pub(crate) run: u8,
    /// Index of the publisher.
    pub(crate) publisher: u16,
    /// Counts the publisher's messages, from 0.
    pub(crate) sequence: u32,
    /// When it should have been sent, as [`on_the_wire`] has it.
    pub(crate) scheduled: Moment,
}

/// A moment as a header carries it, without what its unit does not tell.
pub(crate) fn on_the_wire(moment: Moment) -> Moment {
    Moment(moment.0 >> UNIT_BITS << UNIT_BITS)
}

impl Header {
    pub(crate) fn encode(self) -> [u8; HEADER_BYTES] {
        let time = (self.scheduled.0 >> UNIT_BITS) & ((1 << SCHEDULED_BITS) - 1);
        let which = u64::from(self.publisher) << SEQUENCE_BITS | u64::from(self.sequence);
        let when = u64::from(self.run) << SCHEDULED_BITS | time;
        let mut bytes = [0; HEADER_BYTES];
        for (digits, number) in bytes.chunks_exact_mut(8).zip([which, when]) {
            digits.copy_from_slice(&encode_number(number));
        }
        bytes
    }

    /// Nothing, when a byte is no digit.
    #[inline]
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let ([which, when], []) = bytes.as_chunks::<8>() else { return None };
        // A digit is one less than 0x40 to 0x7f. Where 0xff carries into the next byte, it leaves a zero, which is none.
        let [which, when] = [which, when].map(|digits| u64::from_be_bytes(*digits).wrapping_add(ONES));
        let is_none = |digits: u64| (digits ^ 0x4040_4040_4040_4040) & 0xc0c0_c0c0_c0c0_c0c0;
        if is_none(which) | is_none(when) != 0 {
            return None;
        }
        let [which, when] = [which, when].map(number_of);
        Some(Self {
            run: (when >> SCHEDULED_BITS) as u8,
            publisher: (which >> SEQUENCE_BITS) as u16,
            sequence: which as u32,
            scheduled: Moment((when & ((1 << SCHEDULED_BITS) - 1)) << UNIT_BITS),
        })
    }
}

/// Spreads 48 bits over eight digits.
fn encode_number(number: u64) -> [u8; 8] {
    let mut digits = number;
    digits = (digits & 0x0000_ffff_ff00_0000) << 8 | digits & 0x0000_0000_00ff_ffff;
    digits = (digits & 0x00ff_f000_00ff_f000) << 4 | digits & 0x0000_0fff_0000_0fff;
    digits = (digits & 0x0fc0_0fc0_0fc0_0fc0) << 2 | digits & 0x003f_003f_003f_003f;
    (digits + ZEROES).to_be_bytes()
}

/// Joins the lower six bits of eight bytes.
#[inline]
fn number_of(digits: u64) -> u64 {
    let mut number = digits & 0x3f3f_3f3f_3f3f_3f3f;
    number = (number >> 2) & 0x0fc0_0fc0_0fc0_0fc0 | number & 0x003f_003f_003f_003f;
    number = (number >> 4) & 0x00ff_f000_00ff_f000 | number & 0x0000_0fff_0000_0fff;
    (number >> 8) & 0x0000_ffff_ff00_0000 | number & 0x0000_0000_00ff_ffff
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
            run: fastrand::u8(..),
            publisher: fastrand::u16(..),
            sequence: fastrand::u32(..),
            scheduled: Moment(fastrand::u64(..1 << (SCHEDULED_BITS + UNIT_BITS))),
        })
    }

    #[test]
    fn a_header_survives_the_wire() {
        for header in headers() {
            let scheduled = on_the_wire(header.scheduled);
            assert!(header.scheduled.since(scheduled) < Duration::from_nanos(64));
            assert_eq!(Header::decode(&header.encode()), Some(Header { scheduled, ..header }));
        }
    }

    #[test]
    fn a_run_of_the_longest_duration_has_its_times() {
        let latest = on_the_wire(Moment(0).after(RUN_MAX).after(Duration::from_secs(3600)));
        let header = Header { run: 255, publisher: u16::MAX, sequence: u32::MAX, scheduled: latest };
        assert_eq!(Header::decode(&header.encode()), Some(header));
    }

    #[test]
    fn the_header_is_a_word_of_text() {
        for header in headers() {
            assert!(header.encode().iter().all(u8::is_ascii_graphic));
        }
    }

    #[test]
    fn no_bit_can_be_wrong_unseen() {
        let bytes = headers().next().expect("there are some").encode();
        let header = Header::decode(&bytes);
        assert!(header.is_some());
        for bit in 0..HEADER_BYTES * 8 {
            let mut wrong = bytes;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Header::decode(&wrong), header);
        }
    }

    #[test]
    fn a_byte_that_is_no_digit_is_refused() {
        let bytes = Header { run: 1, publisher: 2, sequence: 3, scheduled: Moment(4) }.encode();
        for place in 0..HEADER_BYTES {
            for byte in [b'>', b'0', b' ', b'\n', 0, 0x7f, 0x80, 0xbf, 0xc0, 0xff] {
                let mut wrong = bytes;
                wrong[place] = byte;
                assert_eq!(Header::decode(&wrong), None);
            }
        }
    }
}
