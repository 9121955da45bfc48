//! Parlance: one chat server that speaks many wire dialects into one set of names and rooms.
//!
//! Imports point one way: [`chat`] ← [`wire`] ← `engine` ← `reactor` ← the binary.

pub mod chat;
pub mod engine;
pub mod limits;
pub mod wire;
