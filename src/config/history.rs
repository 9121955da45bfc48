//! What is kept of rooms of some names: a table of the file.

use serde::de::{self, Deserialize, Deserializer};
use serde::{Deserialize as DeriveDeserialize, Serialize};

use super::field;
use crate::chat::{HistoryRule, RoomPattern};
use crate::limits::HISTORY_ROOMS_MAX;

/// A `[[history-rooms]]` table. What it leaves out is as for all rooms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, DeriveDeserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HistoryRoom {
    /// The rooms that it is for.
    #[serde(rename = "match", deserialize_with = "field::pattern")]
    pub pattern: RoomPattern,
    /// In place of `history-keep-messages`.
    #[serde(default, deserialize_with = "some_keep_messages", skip_serializing_if = "Option::is_none")]
    pub keep_messages: Option<u64>,
    /// In place of `history-keep-days`.
    #[serde(default, deserialize_with = "some_keep_days", skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<u32>,
    /// In place of `history-on-join`.
    #[serde(default, deserialize_with = "some_on_join", skip_serializing_if = "Option::is_none")]
    pub on_join: Option<u32>,
}

impl HistoryRoom {
    /// The rule that it makes of the general one.
    pub fn rule(&self, general: HistoryRule) -> HistoryRule {
        HistoryRule {
            keep_messages: self.keep_messages.unwrap_or(general.keep_messages),
            keep_days: self.keep_days.unwrap_or(general.keep_days),
            on_join: self.on_join.unwrap_or(general.on_join),
        }
    }
}

pub(super) fn rooms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<HistoryRoom>, D::Error> {
    let rooms = Vec::deserialize(deserializer)?;
    if rooms.len() > HISTORY_ROOMS_MAX {
        let remedy =
            format!("use at most {HISTORY_ROOMS_MAX} tables: `*` in `match` stands for any characters");
        return Err(de::Error::custom(remedy));
    }
    Ok(rooms)
}

fn some_keep_messages<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    field::keep_messages(deserializer).map(Some)
}

fn some_keep_days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    field::keep_days(deserializer).map(Some)
}

fn some_on_join<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    field::on_join(deserializer).map(Some)
}
