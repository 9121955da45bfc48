//! Ids of other programs, as ours: the same one each time.

use blake2::{Blake2b512, Digest};

use crate::chat::{OpId, UnixMillis};

/// The id that a message has here. An id of this kind for that moment stays as it is; any other text becomes a UUID of
/// version 7 with the message's time, and with a hash of the text and of who wrote it to whom in place of what is
/// random, as programs that count have the same ids as others.
pub(super) fn foreign_id(text: &str, at: UnixMillis, sender: &str, to: &str) -> OpId {
    // A time that went through a floating point number may be off by one.
    if let Some(id) = OpId::parse(text).filter(|id| id.is_ours() && id.at().0.abs_diff(at.0) <= 1) {
        return id;
    }
    let mut hash = Blake2b512::new();
    for part in [text, sender, to] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hash: [u8; 64] = hash.finalize().into();
    let [s1, s0, random @ ..] = hash;
    let (random, _) = random.split_at(8);
    let random = random.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
    OpId::new(at, u16::from_be_bytes([s1, s0]), random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_same_each_time_and_of_its_moment() {
        let at = UnixMillis(1_700_000_000_123);
        let id = foreign_id("m-1", at, "alice", "bob");
        // Never to change: files that were imported before would come twice.
        assert_eq!(id.to_string(), "018bcfe5-687b-7bea-87c9-22fe908819c9");
        assert_eq!(id.at(), at);
        assert!(id.is_ours());
        for other in [
            foreign_id("m-2", at, "alice", "bob"),
            foreign_id("m-1", at, "alic", "ebob"),
            foreign_id("m-1", at, "bob", "alice"),
            foreign_id("m-1", UnixMillis(at.0 + 1), "alice", "bob"),
        ] {
            assert_ne!(other, id);
        }
    }

    #[test]
    fn an_id_of_the_same_kind_and_moment_stays() {
        let at = UnixMillis(1_700_000_000_123);
        let own = OpId::new(at, 7, 9);
        let text = own.to_string();
        assert_eq!(foreign_id(&text, at, "a", "b"), own);
        assert_eq!(foreign_id(&text, UnixMillis(at.0 + 1), "a", "b"), own);
        assert_ne!(foreign_id(&text, UnixMillis(at.0 + 2), "a", "b"), own, "of another moment");
        let random = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
        assert_ne!(foreign_id(random, at, "a", "b").to_string(), random, "of another version");
    }
}
