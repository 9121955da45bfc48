//! Import and export, through the library: what is taken from files of other programs and what is left, that a second time
//! changes nothing, and that an export gives the same again.

mod foreign;
mod owners;
mod stores;
mod trips;
