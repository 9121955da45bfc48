//! See `src/engine.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parlance_fuzz::engine::run(bytes));
