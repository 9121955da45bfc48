//! The typed codec: both directions, both tag sets, in whatever pieces it arrives, and whatever arrives.

#[path = "../support/allocations.rs"]
mod allocations;
mod costs;
#[path = "../support/dice.rs"]
mod dice;
mod feed;
mod hostile;
mod layout;
mod shapes;
mod trips;
