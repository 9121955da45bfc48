//! See `src/gob.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parlance_fuzz::gob::run(bytes));
