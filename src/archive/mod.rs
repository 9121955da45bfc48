//! What is kept, in files of other programs and of this one: taken in, and written out.
//!
//! Import has two steps. [`Material`] reads files, whatever their format, and has what they say. [`Material::plan`] compares
//! that with what a store has, and makes [`Op`](crate::chat::Op)s of what is new, for one commit, with a [`Report`] of what was taken and
//! what was left, and why. The same files twice change nothing the second time: ids of other programs become the same
//! [`OpId`](crate::chat::OpId)s again.
//!
//! The formats are documented in `docs/storage.md`. Nothing here opens a file or a store.

mod accounts;
mod export;
mod foreign_id;
mod json;
mod line;
mod material;
mod plan;
mod report;
mod rooms;

pub use accounts::{AccountError, Accounts};
pub use export::{ExportError, export_json, export_jsonl};
pub use material::{Format, Material, ReadError};
pub use plan::Plan;
pub use report::{Counts, Left, Report};
