//! Variants side by side: what a comparison is, how it comes about, and the forms in which it is shown.
//!
//! Everything goes through [`json::Comparison`]: the table, the Markdown, the CSV and the page show its numbers and
//! compute none of their own.

mod build;
mod convert;
pub mod json;
mod measure;
mod sample;
#[cfg(test)]
mod schema;
pub mod synthetic;
mod warnings;

pub use build::{Frame, build};
pub use convert::{HistError, values};
pub use measure::{Selection, measures};
pub use sample::{Distribution, Measure, Sample, Variant, anatomy_measures};
