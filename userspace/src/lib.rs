//! The library behind `pulse-trace`. `docs/architecture.md` tells the ranks; a module imports only lower ones.

pub mod bench;
pub mod cli;
pub mod compare;
pub mod doctor;
pub mod export;
pub mod files;
pub mod fuzzing;
pub mod inline;
mod input;
pub mod kernel;
pub mod locate;
pub mod model;
pub mod probes;
mod random;
pub mod record;
pub mod report;
pub mod selftest;
pub mod session;
pub mod source;
pub mod stats;
pub mod symbolize;
pub mod target;
pub mod tui;
