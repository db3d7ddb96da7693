//! Exports: a session in forms that other programs read.

mod build;
pub mod csv;
pub mod folded;
pub mod hlog;
pub mod html;
pub mod json;
#[cfg(test)]
pub mod schema;

pub use build::{distribution, ledger};
