//! The library behind `pulse-trace`.
