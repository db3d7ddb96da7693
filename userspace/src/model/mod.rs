//! What was measured, as plain values: no kernel, no terminal, no files.

pub mod cost;
pub mod counters;
pub mod errno;
pub mod fold;
pub mod frame;
pub mod glance;
pub mod grade;
pub mod hist;
pub mod inline;
pub mod locks;
pub mod maps;
pub mod merge;
pub mod scatter;
pub mod sched;
pub mod session;
pub mod spec;
pub mod status;
pub mod synthetic;
pub mod syscalls;
pub mod text;
pub mod units;
