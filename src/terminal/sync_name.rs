//! The names in the questions that check whether the server has accepted a line.

use std::hash::{BuildHasher, RandomState};
use std::process;
use std::sync::Arc;

use parlance::chat::Problem;
use parlance::wire::words;

/// The prefix of the names. A random part, which others cannot know, and a number follow it.
const PREFIX: &str = "sync-";
/// Bits of the random part: a name has at most 32 bytes, and a number takes up to 12 of them.
const RANDOM_BITS: u32 = 48;

/// Names that no user can have. The server answers a message to `#` and such a name with an error that
/// repeats the name. In slash the name is an unknown command, with the same effect. Another user cannot forge
/// an answer without the random part.
#[derive(Clone, Debug)]
pub(super) struct SyncNames {
    prefix: Arc<str>,
}

impl SyncNames {
    pub(super) fn random() -> Self {
        // Its keys come from the operating system.
        let random = RandomState::new().hash_one(process::id()) >> (u64::BITS - RANDOM_BITS);
        Self { prefix: format!("{PREFIX}{random:012x}-").into() }
    }

    pub(super) fn name(&self, number: u64) -> String {
        format!("{}{number}", self.prefix)
    }

    pub(super) fn number_in(&self, name: &str) -> Option<u64> {
        name.strip_prefix(&*self.prefix)?.parse().ok()
    }

    /// The number in the words for a recipient that does not exist.
    pub(super) fn number_in_words(&self, words_of_server: &str) -> Option<u64> {
        let name = words_of_server.split(' ').find(|word| word.starts_with('#'))?;
        let number = self.number_in(name.strip_prefix('#')?)?;
        (words_of_server == words(Problem::UserNotFound(name))).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use parlance::limits::NAME_BYTES_MAX;

    use super::*;

    #[test]
    fn only_names_of_this_conversation_have_a_number() {
        let (own, others) = (SyncNames::random(), SyncNames::random());
        let name = own.name(17);
        assert_eq!(own.number_in(&name), Some(17));
        assert_eq!(own.number_in_words(&words(Problem::UserNotFound(&format!("#{name}")))), Some(17));
        for name in ["sync-17", "sync--17", &others.name(17), "x", ""] {
            assert_eq!(own.number_in(name), None, "{name}");
            let words = words(Problem::UserNotFound(&format!("#{name}"))).into_owned();
            assert_eq!(own.number_in_words(&words), None, "{words}");
        }
        assert!(own.name(u64::from(u32::MAX)).len() < NAME_BYTES_MAX, "with the # in front of it");
    }
}
