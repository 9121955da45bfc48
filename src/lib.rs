//! Parlance: one chat server that speaks many wire dialects into one set of names, rooms and mailboxes.
//!
//! Imports point one way: [`chat`] ← [`wire`] ← [`fanout`] ← [`engine`] ← [`reactor`] ← the binary; [`chat`] ← `state` ← [`engine`] and [`store`];
//! [`store`] ← [`reactor`]; `state` and [`store`] ← [`archive`] ← the binary. Bounds stand in [`limits`], what an
//! operator decides in [`config`].

// `println!` panics where the output is closed or full.
#![warn(clippy::print_stdout, clippy::print_stderr)]

#[cfg(test)]
#[path = "../tests/support/allocations.rs"]
mod allocations;
pub mod archive;
pub mod chat;
pub mod client;
pub mod config;
#[cfg(test)]
#[path = "../tests/support/dice.rs"]
mod dice;
pub mod engine;
pub mod fanout;
pub mod limits;
pub mod reactor;
pub mod ready;
pub mod signals;
mod state;
pub mod store;
pub mod telemetry;
mod text_encoding;
pub mod wire;

pub use reactor::{HashError, StartupError, hash_password, serve};
