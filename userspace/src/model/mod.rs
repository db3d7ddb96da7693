//! What was measured, as plain values: no kernel, no terminal, no files.

pub mod frame;
pub mod hist;
pub mod session;
