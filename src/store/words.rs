//! The words of a text, by which a search finds it: the same rules for all stores.
//!
//! A text is first *folded*: decomposed (NFKD), without accents and invisible characters, in folded case,
//! and composed again (NFC). Then it is cut into *pieces* at everything but letters, digits, marks and emoji.
//! A piece is either a *word*, or a *run* of a script that has no blanks between words, or of emoji. A search
//! finds a word as a whole, and a run anywhere within a run, also a single character of one.
//!
//! The index has a term for each word and a term for each character of a run: the character and the one
//! behind it, or the last one alone. So a run is in a text only if all its pairs are in the index, and a
//! single character begins a term wherever it stands. The index has no positions. Its answers are compared
//! with the texts.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};
use unicode_properties::UnicodeEmoji;
use unicode_script::{Script, UnicodeScript};

use super::StoreError;
use crate::limits::{SEARCH_BYTES_MAX, SEARCH_TERMS_MAX};

/// The version of the rules in this file, which changes with them, and the versions of Unicode in the tables
/// that they use. An index that other rules made is made anew.
pub(super) fn rules() -> String {
    const RULES: u32 = 1;
    let letters = char::UNICODE_VERSION.0;
    let normalization = unicode_normalization::UNICODE_VERSION.0;
    let case = caseless::UNICODE_VERSION.0;
    let scripts = unicode_script::UNICODE_VERSION.0;
    let emoji = unicode_properties::UNICODE_VERSION.0;
    format!("{RULES}; Unicode {letters}, {normalization}, {case}, {scripts}, {emoji}")
}

/// The role of a character in a folded text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// Part of a word.
    Word,
    /// Part of a run.
    Run,
    /// A mark of no script: part of the piece in front of it.
    Mark,
    /// Between two pieces.
    Gap,
}

/// No character below this one is part of a run: Thai is the first of these scripts.
const RUNS_BEGIN: char = '\u{e00}';
/// No emoji is below this one, except for digits, `#`, `*`, `©` and `®`, which are no emoji by themselves.
const EMOJI_BEGIN: char = '\u{203c}';

impl Class {
    fn of(c: char) -> Self {
        if c >= EMOJI_BEGIN && c.is_emoji_char() {
            return Self::Run;
        }
        if !c.is_alphanumeric() && !is_combining_mark(c) {
            return Self::Gap;
        }
        if c < RUNS_BEGIN {
            return Self::Word;
        }
        match c.script() {
            Script::Inherited => Self::Mark,
            _ if has_no_blanks(c) => Self::Run,
            _ => Self::Word,
        }
    }
}

/// Whether a letter, digit or mark belongs to a script that is written without blanks between words. Korean
/// has blanks, between words with their endings: a word is found without its ending.
fn has_no_blanks(c: char) -> bool {
    match c.script() {
        Script::Han
        | Script::Hiragana
        | Script::Katakana
        | Script::Bopomofo
        | Script::Hangul
        | Script::Yi
        | Script::Thai
        | Script::Lao
        | Script::Khmer
        | Script::Myanmar
        | Script::Tai_Le
        | Script::New_Tai_Lue
        | Script::Tai_Tham
        | Script::Tai_Viet
        | Script::Javanese
        | Script::Balinese => true,
        // Letters that Han and kana share: signs of length and repetition, and two abbreviations.
        Script::Common => matches!(c, 'ー' | '〱'..='〵' | '〆' | '〼'),
        _ => false,
    }
}

/// Whether folding drops a character.
fn is_dropped(c: char) -> bool {
    is_accent(c) || is_invisible(c) || c == ARABIC_TATWEEL
}

/// The line that stretches an Arabic word, and is no letter of it.
const ARABIC_TATWEEL: char = '\u{640}';

/// Whether a mark is an accent of a letter, or a point of Hebrew or Arabic. The marks of Unicode that are
/// vowels, tones, or the absence of a vowel have other combining classes, or are of scripts without blanks.
/// The marks of voice of kana (class 8) make other letters.
fn is_accent(c: char) -> bool {
    match canonical_combining_class(c) {
        0 => is_enclosing(c),
        1 | 7 | 10..=36 | 202..=240 => c < RUNS_BEGIN || !has_no_blanks(c),
        _ => false,
    }
}

/// Marks around a character (`General_Category=Me`), such as a key around a digit.
fn is_enclosing(c: char) -> bool {
    matches!(
        c,
        '\u{488}'..='\u{489}'
            | '\u{1abe}'
            | '\u{20dd}'..='\u{20e0}'
            | '\u{20e2}'..='\u{20e4}'
            | '\u{a670}'..='\u{a672}'
    )
}

/// Characters of `Default_Ignorable_Code_Point`: they are not shown, such as joiners, variation selectors,
/// and the places where a line may end within a word.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The pieces of a text, one blank between two.
struct Folded {
    pieces: String,
    /// The kind of the piece that the next character may continue.
    open: Option<Class>,
}

impl Folded {
    fn new(text: &str) -> Self {
        let mut folded = Self { pieces: String::with_capacity(text.len()), open: None };
        for chunk in text.split_ascii_whitespace() {
            // Nothing is composed across a blank: each chunk stands for itself.
            if chunk.is_ascii() {
                folded.take_ascii(chunk);
            } else {
                folded.take(chunk);
            }
            folded.open = None;
        }
        folded
    }

    /// As [`take`](Self::take), for the texts that are most.
    fn take_ascii(&mut self, chunk: &str) {
        for byte in chunk.bytes() {
            if byte.is_ascii_alphanumeric() {
                self.push(char::from(byte.to_ascii_lowercase()), Class::Word);
            } else {
                self.open = None;
            }
        }
    }

    fn take(&mut self, chunk: &str) {
        for c in chunk.nfkd().filter(|&c| !is_dropped(c)).default_case_fold().nfc() {
            match Class::of(c) {
                Class::Gap => self.open = None,
                Class::Mark => self.push(c, self.open.unwrap_or(Class::Word)),
                class @ (Class::Word | Class::Run) => self.push(c, class),
            }
        }
    }

    fn push(&mut self, c: char, class: Class) {
        if self.open != Some(class) {
            if !self.pieces.is_empty() {
                self.pieces.push(' ');
            }
            self.open = Some(class);
        }
        self.pieces.push(c);
    }

    fn pieces(&self) -> impl Iterator<Item = &str> {
        self.pieces.split(' ').filter(|piece| !piece.is_empty())
    }
}

/// Whether a piece is a run: its first character says so.
fn is_run(piece: &str) -> bool {
    piece.starts_with(|c| c >= RUNS_BEGIN && Class::of(c) == Class::Run)
}

/// For each character of a run: itself and the one behind it, or the last one alone.
fn pairs(run: &str) -> impl Iterator<Item = &str> {
    run.char_indices().map(|(at, c)| {
        let next = run[at + c.len_utf8()..].chars().next();
        &run[at..at + c.len_utf8() + next.map_or(0, char::len_utf8)]
    })
}

/// The terms of a text in the index, one blank between two. Nothing but blanks is between terms.
pub(super) fn indexed(text: &str) -> String {
    let folded = Folded::new(text);
    if folded.pieces.is_ascii() {
        return folded.pieces;
    }
    let mut terms = String::with_capacity(2 * folded.pieces.len());
    for piece in folded.pieces() {
        let (whole, pairs) = if is_run(piece) { (None, Some(pairs(piece))) } else { (Some(piece), None) };
        for term in whole.into_iter().chain(pairs.into_iter().flatten()) {
            if !terms.is_empty() {
                terms.push(' ');
            }
            terms.push_str(term);
        }
    }
    terms
}

/// What a message must have in the index to be compared with a search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Term<'a> {
    /// This term.
    Whole(&'a str),
    /// A term that begins with this.
    Start(&'a str),
}

/// The pieces that a search wants.
#[derive(Debug)]
pub(super) struct Words(Vec<Box<str>>);

impl Words {
    /// Those of the text of a search.
    ///
    /// # Errors
    ///
    /// When the text is longer than [`SEARCH_BYTES_MAX`].
    pub(super) fn of(text: &str) -> Result<Self, StoreError> {
        if text.len() > SEARCH_BYTES_MAX {
            return Err(StoreError::SearchTooLong { bytes: text.len() });
        }
        let mut pieces: Vec<Box<str>> = Folded::new(text).pieces().map(Box::from).collect();
        pieces.sort_unstable();
        pieces.dedup();
        Ok(Self(pieces))
    }

    /// Whether there are none, so that nothing is found.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Terms that a text which has all of them has in the index: enough of them to find few other texts.
    pub(super) fn terms(&self) -> impl Iterator<Item = Term<'_>> {
        let terms = self.0.iter().flat_map(|piece| {
            let single = piece.chars().nth(1).is_none();
            let (one, pairs) = match is_run(piece) {
                false => (Some(Term::Whole(piece)), None),
                true if single => (Some(Term::Start(piece)), None),
                // The last character alone ends a run, and need not do so where this one stands.
                true => (None, Some(pairs(piece).filter(|pair| pair.chars().nth(1).is_some()))),
            };
            one.into_iter().chain(pairs.into_iter().flatten().map(Term::Whole))
        });
        terms.take(SEARCH_TERMS_MAX)
    }

    /// Whether a text has all of them, and there is at least one.
    pub(super) fn are_in(&self, text: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        let folded = Folded::new(text);
        self.0.iter().all(|wanted| {
            if is_run(wanted) {
                folded.pieces.contains(&**wanted)
            } else {
                folded.pieces().any(|piece| piece == &**wanted)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Words {
        Words::of(text).expect("it is short")
    }

    #[test]
    fn all_words_are_wanted_as_whole_ones() {
        let text = "Zoë said: Hello, WORLD-42!";
        for found in ["zoe", "hello world", "42 zoë", "HELLO"] {
            assert!(words(found).are_in(text), "{found}");
        }
        for missed in ["", "!?", "hell", "hello moon", "worlds"] {
            assert!(!words(missed).are_in(text), "{missed}");
        }
    }

    #[test]
    fn the_index_has_words_and_each_character_of_a_run_with_the_next() {
        for (text, terms) in [
            ("", ""),
            ("\"a\"\tOR b_C*  ", "a or b c"),
            ("今天", "今天 天"),
            ("好 OK好吧ok!", "好 ok 好吧 吧 ok"),
            ("ｶﾞｽ", "ガス ス"),
            ("한국어", "한국 국어 어"),
            ("👍🏽👩\u{200d}👧", "👍🏽 🏽👩 👩👧 👧"),
            ("ΟΔΥΣΣΕΎΣ Straße ﬁ", "οδυσσευσ strasse fi"),
        ] {
            assert_eq!(indexed(text), terms, "{text:?}");
        }
    }

    #[test]
    fn a_run_is_looked_up_by_its_pairs_and_a_single_character_by_its_beginning() {
        use Term::{Start, Whole};
        let terms = |text| words(text).terms().map(|term| format!("{term:?}")).collect::<Vec<_>>();
        let shown = |terms: &[Term<'_>]| terms.iter().map(|term| format!("{term:?}")).collect::<Vec<_>>();
        assert_eq!(terms("今天天气 b b"), shown(&[Whole("b"), Whole("今天"), Whole("天天"), Whole("天气")]));
        assert_eq!(terms("天 a"), shown(&[Whole("a"), Start("天")]));
        let many: String = (0..1000).map(|number| format!("{number} ")).collect();
        assert_eq!(words(&many).terms().count(), SEARCH_TERMS_MAX);
    }

    #[test]
    fn folding_what_is_folded_changes_nothing() {
        // The context decides what is composed, so that each character is tried alone and between others.
        for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
            let once = Folded::new(&format!("{c} a{c}b 天{c}か")).pieces;
            if !once.is_ascii() {
                assert_eq!(Folded::new(&once).pieces, once, "U+{:04X}", c as u32);
            }
        }
    }

    #[test]
    fn ascii_is_folded_as_any_other_text() {
        for first in 0..=127_u8 {
            for second in 0..=127_u8 {
                let text = String::from_utf8(vec![b'A', first, second, b'z']).expect("ASCII");
                let mut folded = Folded { pieces: String::new(), open: None };
                for chunk in text.split_ascii_whitespace() {
                    folded.take(chunk);
                    folded.open = None;
                }
                assert_eq!(Folded::new(&text).pieces, folded.pieces, "{text:?}");
            }
        }
    }

    #[test]
    fn a_text_is_found_by_each_part_of_it() {
        let text = "今天天气很好，我们去公园吧 ok";
        let chars: Vec<char> = text.chars().collect();
        for from in 0..chars.len() {
            for to in from + 1..=chars.len() {
                let part: String = chars[from..to].iter().collect();
                let words = words(&part);
                let cuts_ok = part.ends_with('o') || part == "k";
                assert!(words.is_empty() || words.are_in(text) || cuts_ok, "{part}");
                let terms = format!(" {} ", indexed(text));
                for term in words.terms() {
                    let is_there = match term {
                        Term::Whole("o" | "k") => true,
                        Term::Whole(term) => terms.contains(&format!(" {term} ")),
                        Term::Start(term) => terms.contains(&format!(" {term}")),
                    };
                    assert!(is_there, "{term:?} of {part}");
                }
            }
        }
    }

    #[test]
    fn a_search_that_is_too_long_is_refused() {
        assert!(Words::of(&"a".repeat(SEARCH_BYTES_MAX)).is_ok());
        let error = Words::of(&"a".repeat(SEARCH_BYTES_MAX + 1)).expect_err("too long");
        assert!(error.to_string().contains("4097 bytes"), "{error}");
    }
}
