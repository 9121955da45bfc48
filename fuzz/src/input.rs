//! An input as a script: it is asked for choices and texts, front to back, and has zeros behind its end.

/// What is left of an input.
#[derive(Clone, Copy)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// A number of two bytes.
    pub fn word(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    /// A number below a bound of at most 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    pub fn is_odd(&mut self) -> bool {
        self.below(2) == 1
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// The next bytes, as many as there are up to a count.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        self.bytes(usize::MAX)
    }

    /// A text of up to 255 bytes, or a long one of a few characters again and again: no input needs to have 4 KiB of them
    /// to get to where a text is too long.
    pub fn text(&mut self) -> String {
        let length = self.byte();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if length < 0xf0 {
            return text(self.bytes(usize::from(length)));
        }
        let bytes_max = self.word() % 10_000;
        let of = text(self.bytes(usize::from(length - 0xef)));
        of.repeat(bytes_max / of.len().max(1))
    }
}
