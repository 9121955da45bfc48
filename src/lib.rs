//! Parlance: one chat server that speaks many wire dialects into one set of names and rooms.
//!
//! Imports point one way: [`chat`] ← [`wire`] ← [`engine`] ← [`reactor`] ← the binary. Bounds stand in [`limits`], what an
//! operator decides in [`config`].

pub mod chat;
pub mod client;
pub mod config;
pub mod engine;
pub mod limits;
pub mod reactor;
pub mod ready;
pub mod telemetry;
pub mod wire;

pub use reactor::{StartupError, serve};
