//! Parlance.
