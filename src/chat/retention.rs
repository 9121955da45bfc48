//! How much of what was said in a room is kept, and how much of it is shown to whoever comes in.

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use super::UnixMillis;
use crate::limits::HISTORY_KEEP_MESSAGES_DEFAULT;

/// What holds for one room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HistoryRule {
    /// Messages that are kept, the newest. 0: none, nothing is stored.
    pub keep_messages: u64,
    /// Days for which they are kept. 0: for ever.
    pub keep_days: u32,
    /// Messages shown to whoever joins.
    pub on_join: u32,
}

/// The rules of all rooms.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HistoryRules {
    /// For rooms that no other rule is for.
    pub default: HistoryRule,
    /// For the rooms whose name matches: the first that does counts.
    pub rooms: Vec<(RoomPattern, HistoryRule)>,
}

/// A pattern for names of rooms: `*` stands for any characters, `?` for one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct RoomPattern(WildMatch);

impl HistoryRule {
    /// What was said before then is too old to be kept.
    pub fn oldest_kept(&self, now: UnixMillis) -> UnixMillis {
        const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;
        match self.keep_days {
            0 => UnixMillis(0),
            days => UnixMillis(now.0.saturating_sub(u64::from(days) * DAY_MILLIS)),
        }
    }
}

/// How many of a room's oldest messages are too old, from the times of its messages in their order. A time
/// that is later than now comes from a clock that was ahead: that message counts as old as the one behind it.
pub fn too_old(times: impl Iterator<Item = UnixMillis>, oldest_kept: UnixMillis, now: UnixMillis) -> usize {
    let mut count = 0;
    for (index, at) in times.enumerate() {
        if at < oldest_kept {
            count = index + 1;
        } else if at <= now {
            break;
        }
    }
    count
}

impl Default for HistoryRule {
    fn default() -> Self {
        Self { keep_messages: HISTORY_KEEP_MESSAGES_DEFAULT, keep_days: 0, on_join: 0 }
    }
}

impl HistoryRules {
    /// The rule for a room.
    pub fn of(&self, room: &str) -> HistoryRule {
        let own = self.rooms.iter().find(|(pattern, _)| pattern.matches(room));
        own.map_or(self.default, |&(_, rule)| rule)
    }

    /// Nothing is kept of any room.
    pub fn none() -> Self {
        Self { default: HistoryRule { keep_messages: 0, keep_days: 0, on_join: 0 }, rooms: Vec::new() }
    }
}

impl RoomPattern {
    /// Whether a room's name matches.
    pub fn matches(&self, room: &str) -> bool {
        self.0.matches(room)
    }
}

impl Eq for RoomPattern {}

impl From<String> for RoomPattern {
    fn from(text: String) -> Self {
        Self(WildMatch::new(&text))
    }
}

impl From<RoomPattern> for String {
    fn from(pattern: RoomPattern) -> Self {
        pattern.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_from_the_future_is_as_old_as_the_one_behind_it() {
        let count =
            |times: &[u64]| too_old(times.iter().copied().map(UnixMillis), UnixMillis(50), UnixMillis(100));
        for (times, expected) in [
            (&[][..], 0),
            (&[50, 10], 0),
            (&[10, 49, 50], 2),
            (&[900, 901, 10, 60], 3),
            (&[900, 60, 10], 0),
            (&[10, 900], 1),
        ] {
            assert_eq!(count(times), expected, "{times:?}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let rule = |keep_messages| HistoryRule { keep_messages, keep_days: 0, on_join: 0 };
        let pattern = |text: &str| RoomPattern::from(text.to_owned());
        let rules = HistoryRules {
            default: rule(1),
            rooms: vec![
                (pattern("event-*"), rule(2)),
                (pattern("event-1"), rule(3)),
                (pattern("?"), rule(4)),
            ],
        };
        let kept = ["lobby", "event-1", "event-", "x", "é", "xy"].map(|room| rules.of(room).keep_messages);
        assert_eq!(kept, [1, 2, 2, 4, 4, 1]);
        assert_eq!(HistoryRules::none().of("lobby").keep_messages, 0);
    }
}
