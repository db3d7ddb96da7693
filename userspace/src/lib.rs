//! The library behind `pulse-trace`. `docs/architecture.md` tells the ranks; a module imports only lower ones.

pub mod kernel;
pub mod model;
