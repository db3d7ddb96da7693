//! The shared part of the bundled programs: the contract with the tracer, and the data structures they exercise.

mod atomic;
pub mod clean;
pub mod contract;
pub mod hist;
pub mod packed;
#[cfg(not(loom))]
pub mod patterns;
pub mod ring;
pub mod sys;
pub mod timer;
