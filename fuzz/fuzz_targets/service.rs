//! Feeds the target of this name; `pulse_trace::fuzzing` says what it reads.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pulse_trace_fuzz::feed("service", data));
