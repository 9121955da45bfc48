//! Detects names that look alike (Unicode Technical Standard #39, section 4).

use unicode_security::confusable_detection::skeleton;

/// The appearance of a name: two names that look alike have the same skeleton.
///
/// It is made from the name as typed, because users see that spelling. It ignores case. In addition to the
/// standard it maps `i`, which is `I` in capitals, to `l`: a name is unique without regard to case, so either
/// spelling may be shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Skeleton(Box<str>);

impl Skeleton {
    /// The skeleton of a name.
    pub fn of(name: &str) -> Self {
        if name.is_ascii() {
            return Self(of_ascii(name).into());
        }
        Self(of_any(name).into())
    }
}

fn of_any(name: &str) -> String {
    // The lower-case result of the first pass may be confusable again: `M` becomes `m`, and `m` becomes `rn`.
    let lower = skeleton(name).collect::<String>().to_lowercase();
    skeleton(&lower).map(without_case).collect()
}

fn without_case(c: char) -> char {
    match c.to_ascii_lowercase() {
        'i' => 'l',
        c => c,
    }
}

/// A fast path for printable ASCII, which nearly all names are. (A test compares the two.)
fn of_ascii(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match c.to_ascii_lowercase() {
            'm' => text.push_str("rn"),
            'i' | '1' | '|' => text.push('l'),
            '0' => text.push('o'),
            '"' => text.push_str("''"),
            '`' => text.push('\''),
            '%' => text.push_str("\u{b0}/\u{2080}"),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_is_as_the_library_has_it() {
        for c in (0x21..0x7f_u8).map(char::from) {
            let name = format!("a{c}b");
            assert_eq!(of_ascii(&name), of_any(&name), "{name}");
        }
    }

    #[test]
    fn names_that_look_alike_have_one_skeleton() {
        for (one, other) in [
            ("admin", "ADMlN"),
            ("admin", "adm1n"),
            ("admin", "\u{430}dmin"),
            ("ADMIN", "\u{410}DM\u{406}N"),
            ("moderator", "rnoderator"),
            ("Moderator", "rn0derat0r"),
            ("root", "r00t"),
            ("victor", "\u{3bd}ictor"),
            ("bob", "\u{392}OB"),
            ("paypal", "\u{440}\u{430}yp\u{430}l"),
            ("l33t", "I33t"),
        ] {
            assert_eq!(Skeleton::of(one), Skeleton::of(other), "{one} {other}");
        }
        for (one, other) in [("alice", "alicia"), ("bob", "rob"), ("zoe", "zo\u{eb}"), ("a1", "a2")] {
            assert_ne!(Skeleton::of(one), Skeleton::of(other), "{one} {other}");
        }
    }
}
