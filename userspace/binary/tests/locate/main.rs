//! Probe sites in libraries of other releases, in damaged files and in other runtimes.
//!
//! `cargo xtask libraries` fetches the specimens; without them these tests are skipped.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod damaged;
mod debug_files;
mod glibc;
mod replaceable;
mod runtimes;
mod specimens;
