//! The slash dialect.

use parlance::wire::Dialect;

use super::lines;

/// See `lines.rs`.
pub fn run(bytes: &[u8]) {
    lines::run(Dialect::Slash, bytes);
}
