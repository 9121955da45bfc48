//! What a connection sent that has not been taken in: the start of a frame, or frames that wait while it is throttled.

use crate::limits::INBOX_SPARE_BYTES_MAX;

/// Most are empty most of the time, and then one costs a pointer.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "the vector's own three words would be in every connection")]
pub(super) struct Inbox(Option<Box<Vec<u8>>>);

impl Inbox {
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|bytes| bytes.is_empty())
    }

    pub(super) fn capacity(&self) -> usize {
        self.0.as_ref().map_or(0, |bytes| bytes.capacity())
    }

    /// Appends bytes. The first ones reserve exactly what they take: most of them are few, and wait long.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Some(kept) => kept.extend_from_slice(bytes),
            None if bytes.is_empty() => {}
            None => self.0 = Some(Box::new(bytes.to_vec())),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |bytes| bytes)
    }

    /// For text that is appended, or taken back. To be followed by [`Inbox::consume`], which gives unused
    /// memory back.
    pub(super) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        self.0.get_or_insert_default()
    }

    /// Forgets the first bytes; with the last of them, the memory is given back.
    pub(super) fn consume(mut self, count: usize) -> Self {
        let Some(bytes) = &mut self.0 else { return self };
        if count >= bytes.len() {
            return Self::default();
        }
        bytes.drain(..count);
        if bytes.capacity() > INBOX_SPARE_BYTES_MAX {
            bytes.shrink_to_fit();
        }
        self
    }
}
