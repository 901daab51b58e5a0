#![no_main]

#[path = "../../tests/support/decoding.rs"]
mod decoding;

libfuzzer_sys::fuzz_target!(|body: &[u8]| decoding::check(&milepost::providers::DASH, body));
