//! Exports: a session in forms that other programs read.

mod build;
pub mod json;
#[cfg(test)]
mod schema;
