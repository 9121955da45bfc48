//! Names that need an account, because other users take their holder for an administrator.

use super::{Folded, Name, Skeleton};

/// The reserved names of every server. An operator gives one of them an account with `parlance account add`.
pub const RESERVED_NAMES: [&str; 11] = [
    "admin",
    "administrator",
    "moderator",
    "operator",
    "parlance",
    "root",
    "server",
    "staff",
    "support",
    "sysop",
    "system",
];

/// The reserved names of a server: [`RESERVED_NAMES`], and its own. Bounded by
/// [`RESERVED_NAMES_MAX`](crate::limits::RESERVED_NAMES_MAX).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReservedNames {
    /// Sorted.
    folded: Box<[Box<str>]>,
    /// Sorted.
    skeletons: Box<[Skeleton]>,
}

impl ReservedNames {
    /// Adds names to [`RESERVED_NAMES`]. A text that is not a name reserves nothing.
    pub fn with(more: &[String]) -> Self {
        let names = || RESERVED_NAMES.iter().copied().chain(more.iter().map(String::as_str));
        let folded = names().filter_map(|name| Name::parse(name).ok()).map(|(_, folded)| (&*folded).into());
        let mut folded: Vec<Box<str>> = folded.collect();
        folded.sort_unstable();
        folded.dedup();
        let mut skeletons: Vec<Skeleton> = names().map(Skeleton::of).collect();
        skeletons.sort_unstable();
        skeletons.dedup();
        Self { folded: folded.into(), skeletons: skeletons.into() }
    }

    /// Whether a name is reserved.
    pub fn contains(&self, folded: &Folded) -> bool {
        self.folded.binary_search_by(|name| (**name).cmp(folded.as_str())).is_ok()
    }

    /// Whether a name looks like a reserved one.
    pub fn resembles(&self, skeleton: &Skeleton) -> bool {
        self.skeletons.binary_search(skeleton).is_ok()
    }
}

impl Default for ReservedNames {
    fn default() -> Self {
        Self::with(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_are_known_in_any_case_and_by_their_looks() {
        let names = ReservedNames::with(&["Boss".to_owned()]);
        let contains = |name: &str| names.contains(&Name::parse(name).expect(name).1);
        for name in RESERVED_NAMES.into_iter().chain(["ADMIN", "Root", "boss", "BOSS"]) {
            assert!(contains(name), "{name}");
        }
        assert!(!contains("alice") && !contains("adm1n"));
        let resembles = |name: &str| names.resembles(&Skeleton::of(name));
        assert!(resembles("adm1n") && resembles("b0ss") && resembles("admin") && !resembles("alice"));
    }
}
