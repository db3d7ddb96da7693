//! Measured data as plain values: no kernel, no terminal, no files.
#![forbid(unsafe_code)]

pub mod cost;
pub mod counters;
pub mod errno;
pub mod events;
pub mod flat;
pub mod fold;
pub mod frame;
pub mod glance;
pub mod grade;
pub mod hist;
pub mod inline;
pub mod locks;
pub mod merge;
pub mod probes;
pub mod random;
pub mod scatter;
pub mod sched;
pub mod session;
pub mod stats;
pub mod status;
pub mod synthetic;
pub mod syscalls;
pub mod text;
pub mod units;
pub mod valid;
mod whole;
