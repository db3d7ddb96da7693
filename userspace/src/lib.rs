//! The library behind `pulse-trace`. `docs/architecture.md` tells the ranks; a module imports only lower ones.

pub mod cli;
pub mod kernel;
pub mod model;
pub mod probes;
pub mod report;
pub mod session;
pub mod source;
pub mod target;
