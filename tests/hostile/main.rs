//! Peers that reset, stall, flood or come in thousands: nobody else is hurt, and nothing is left behind.
//!
//! A module a kind of attack. In most tests attackers of that kind meet a few [bystanders](bystanders::Bystanders) of several
//! dialects, who talk throughout and miss nothing, at a server in a [process of its own](child::Child), which is held to
//! what it counted, to its memory, and to the descriptors that it had before. How much longer bystanders wait while that
//! goes on is for `benches/hostile` to measure.

#[path = "../support/dice.rs"]
mod dice;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/mod.rs"]
mod support;

mod bystanders;
mod child;

mod accounts;
mod announced;
mod answers;
mod connects;
mod datagrams;
mod descriptors;
mod mail;
mod names;
mod owners;
mod passwords;
mod publishers;
mod readers;
mod resets;
mod rooms;
mod silent;
mod totals;
