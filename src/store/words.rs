//! What a search looks for, in the stores that look at every message: as the index of the other finds it.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The words of a search: runs of letters and digits, without regard to case and accents.
#[derive(Debug)]
pub(super) struct Words(Vec<String>);

fn words(text: &str) -> Vec<String> {
    let plain: String = text.nfd().filter(|&c| !is_combining_mark(c)).flat_map(char::to_lowercase).collect();
    plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

impl Words {
    /// Those of a text.
    pub(super) fn of(text: &str) -> Self {
        Self(words(text))
    }

    /// They, in the order in which they stand.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether a text has all of them, and there is at least one.
    pub(super) fn are_in(&self, text: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let there = words(text);
        self.0.iter().all(|word| there.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_words_are_wanted_as_whole_ones() {
        let text = "Zoë said: Hello, WORLD-42!";
        for found in ["zoe", "hello world", "42 zoë", "HELLO"] {
            assert!(Words::of(found).are_in(text), "{found}");
        }
        for missed in ["", "!?", "hell", "hello moon", "worlds"] {
            assert!(!Words::of(missed).are_in(text), "{missed}");
        }
        assert_eq!(Words::of("a \"b\" OR c*").iter().collect::<Vec<_>>(), ["a", "b", "or", "c"]);
    }
}
