//! Randomness, handed in.

use std::fmt;

type Fill = dyn FnMut(&mut [u8]) + Send;

/// Where bytes come from that nobody can guess: the operating system.
pub struct Random(Box<Fill>);

impl Random {
    /// From a function that fills a slice.
    pub fn new(fill: impl FnMut(&mut [u8]) + Send + 'static) -> Self {
        Self(Box::new(fill))
    }

    /// The same ones each time, for tests and simulation: whoever knows the seed can guess them. (`SplitMix64`.)
    pub fn guessable(seed: u64) -> Self {
        let mut state = seed;
        Self::new(move |bytes| {
            for chunk in bytes.chunks_mut(8) {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut word = state;
                word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                chunk.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes()[..chunk.len()]);
            }
        })
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.0)(&mut bytes);
        bytes
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random(…)")
    }
}
