//! See `src/ucrp.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parlance_fuzz::ucrp::run(bytes));
