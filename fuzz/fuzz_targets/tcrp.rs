//! See `src/tcrp.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parlance_fuzz::tcrp::run(bytes));
