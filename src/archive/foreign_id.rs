//! Ids of other programs, as ours: the same one each time.

use blake2::{Blake2b512, Digest};

use crate::chat::{OpId, UnixMillis};
use crate::limits::IMPORT_ID_AHEAD_SECONDS_MAX;

/// The id that a message has here, if its own can stay: a UUID of version 7 of that moment, or of a later
/// one, as ids of this program are that were given out after the clock had been ahead.
pub(super) fn own_id(text: &str, at: UnixMillis) -> Option<OpId> {
    // A time that went through a floating point number may be off by one.
    let from = at.0.saturating_sub(1);
    let to = at.0.saturating_add(IMPORT_ID_AHEAD_SECONDS_MAX * 1000);
    OpId::parse(text).filter(|id| id.is_ours() && (from..=to).contains(&id.at().0))
}

/// The id that any other message has here: a UUID of version 7 with the message's time, and with a hash of
/// the text and of who wrote it to whom in place of what is random, as programs that count have the same ids
/// as others.
pub(super) fn foreign_id(text: &str, at: UnixMillis, sender: &str, to: &str) -> OpId {
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
    fn an_id_of_the_same_kind_stays_if_it_is_not_of_an_earlier_moment() {
        let at = UnixMillis(1_700_000_000_123);
        let own = OpId::new(at, 7, 9);
        let text = own.to_string();
        let years_2 = 2 * 366 * 24 * 60 * 60 * 1000;
        for said in [at.0, at.0 + 1, at.0 - 1, at.0 - years_2] {
            assert_eq!(own_id(&text, UnixMillis(said)), Some(own), "{said}");
        }
        assert_eq!(own_id(&text, UnixMillis(at.0 + 2)), None, "made before it was said");
        assert_eq!(
            own_id(&OpId::new(UnixMillis((1 << 48) - 1), 0, 0).to_string(), at),
            None,
            "of the last of days"
        );
        assert_eq!(own_id("f47ac10b-58cc-4372-a567-0e02b2c3d479", at), None, "of another version");
    }
}
