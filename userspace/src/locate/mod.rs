//! Finds places in programs and libraries.

pub mod libc;
