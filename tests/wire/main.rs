//! The codecs of both dialects, both directions: what they say byte for byte, in whatever pieces it arrives.

mod controls;
mod feed;
mod lines;
mod openings;
mod rows;
mod segments;
mod telnet;
mod trips;
