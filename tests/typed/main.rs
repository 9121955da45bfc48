//! The typed codec: both directions, both tag sets, in whatever pieces it arrives, and whatever arrives.

mod costs;
mod feed;
mod hostile;
mod shapes;
mod trips;
