//! What the generator must know of a dialect beyond its codec.

use clap::ValueEnum;
use parlance::limits::LINE_BYTES_MAX;
use parlance::wire;
use serde::Serialize;

/// The dialects that the generator speaks. (Its own type, so that a dialect without a client side can be left out.)
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Dialect {
    /// One command a line (port 4000).
    Line,
    /// Slash commands (port 7000).
    Slash,
}

impl Dialect {
    /// The codec.
    pub(crate) fn wire(self) -> wire::Dialect {
        match self {
            Self::Line => wire::Dialect::Line,
            Self::Slash => wire::Dialect::Slash,
        }
    }

    pub(crate) fn default_port(self) -> u16 {
        match self {
            Self::Line => 4000,
            Self::Slash => 7000,
        }
    }

    /// Whether its speakers can go to a room other than the first one.
    pub(crate) fn has_rooms(self) -> bool {
        match self {
            Self::Line => false,
            Self::Slash => true,
        }
    }

    /// The most bytes of text that one message carries.
    pub(crate) fn text_bytes_max(self) -> usize {
        match self {
            Self::Line => LINE_BYTES_MAX - "MSG \n".len(),
            Self::Slash => LINE_BYTES_MAX - "\n".len(),
        }
    }
}
