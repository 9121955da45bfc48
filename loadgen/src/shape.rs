//! The shape that the run's messages have on the wire, learnt from those that the dialect's own decoder read.
//!
//! All messages of a run are of one size and all names too, so every message of one publisher is the same bytes but for
//! its header. Comparing with them finds the end of the frame and checks the rest in a few nanoseconds; what differs in any
//! byte is left to the decoder, so the shape can be wrong about nothing.
//!
//! ```text
//!  frame:  | head (a publisher's) | header | tail (padding, end of the frame) |
//!           "MSG L1f2e-000007 "     payload  "abcdef...\n"
//! ```

use crate::payload::{HEADER_BYTES, Header};

/// A longer head (no dialect whose messages have a shape has one) is not learnt.
const HEAD_BYTES_MAX: usize = 96;

/// What was learnt.
pub(crate) struct Shape {
    /// Bytes of a frame; more than there can be until something is learnt.
    frame_bytes: usize,
    head_bytes: usize,
    /// By publisher; empty where not learnt.
    heads: Vec<[u8; HEAD_BYTES_MAX]>,
    tail: Vec<u8>,
}

impl Shape {
    pub(crate) fn new(publishers: usize) -> Self {
        Self {
            frame_bytes: usize::MAX,
            head_bytes: 0,
            heads: vec![[0; HEAD_BYTES_MAX]; publishers],
            tail: Vec::with_capacity(4096),
        }
    }

    /// Bytes of a frame that was recognized.
    #[inline]
    pub(crate) fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }

    /// The header of the message that `bytes` start with, when it has the known shape in every byte.
    #[inline]
    pub(crate) fn recognize(&self, bytes: &[u8]) -> Option<Header> {
        let frame = bytes.get(..self.frame_bytes)?;
        let (head, rest) = frame.split_at_checked(self.head_bytes)?;
        let (header, tail) = rest.split_first_chunk::<HEADER_BYTES>()?;
        let header = Header::decode(header)?;
        let known = self.heads.get(usize::from(header.publisher))?;
        (known.get(..head.len())? == head && self.tail == tail).then_some(header)
    }

    /// Learns from a whole and correct frame in which the text starts at `text_at`.
    pub(crate) fn learn(&mut self, frame: &[u8], text_at: usize, publisher: usize) {
        let Some((head, rest)) = frame.split_at_checked(text_at) else { return };
        let Some(tail) = rest.get(HEADER_BYTES..) else { return };
        if head.len() > HEAD_BYTES_MAX {
            return;
        }
        if self.frame_bytes != frame.len() || self.head_bytes != text_at || self.tail != tail {
            self.heads.fill([0; HEAD_BYTES_MAX]);
            self.frame_bytes = frame.len();
            self.head_bytes = text_at;
            self.tail.clear();
            self.tail.extend_from_slice(tail);
        }
        self.heads[publisher][..text_at].copy_from_slice(head);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;

    fn frame(publisher: u16, sequence: u32) -> Vec<u8> {
        let header = Header { run: 9, publisher, sequence, scheduled: Moment(77) };
        [format!("MSG name-{publisher} ").as_bytes(), &header.encode(), b"abc\n"].concat()
    }

    #[test]
    fn a_learnt_publisher_is_recognized_and_no_other() {
        let mut shape = Shape::new(2);
        assert_eq!(shape.recognize(&frame(1, 0)), None);
        shape.learn(&frame(1, 0), 11, 1);
        let two = [frame(1, 5), frame(1, 6)].concat();
        assert_eq!(shape.recognize(&two).map(|header| header.sequence), Some(5));
        assert_eq!(shape.recognize(&two[shape.frame_bytes()..]).map(|header| header.sequence), Some(6));
        assert_eq!(shape.recognize(&frame(0, 5)), None);
        assert_eq!(shape.recognize(&frame(7, 5)), None, "no such publisher");
    }

    #[test]
    fn a_frame_that_is_cut_short_or_differs_in_a_byte_is_not_recognized() {
        let mut shape = Shape::new(2);
        let whole = frame(1, 5);
        shape.learn(&whole, 11, 1);
        for cut in 0..whole.len() {
            assert_eq!(shape.recognize(&whole[..cut]), None);
        }
        let header = 11..11 + HEADER_BYTES;
        for place in (0..whole.len()).filter(|place| !header.contains(place)) {
            let mut wrong = whole.clone();
            wrong[place] ^= 1;
            assert_eq!(shape.recognize(&wrong), None);
        }
    }
}
