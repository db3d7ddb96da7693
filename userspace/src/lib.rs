//! The library behind `pulse-trace`: its commands. What they are made of are the crates beside it;
//! `docs/architecture.md` draws them.
#![forbid(unsafe_code)]

pub mod bench;
pub mod cli;
pub mod doctor;
pub mod fuzzing;
pub mod selftest;
pub mod session;
