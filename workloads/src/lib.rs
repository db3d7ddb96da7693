//! The shared part of the bundled programs: the contract with the tracer, and the data structures they exercise.

pub mod clean;
pub mod contract;
pub mod hist;
pub mod ring;
pub mod sys;
