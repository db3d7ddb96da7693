//! Variants side by side: what a comparison is, how it comes about, and the forms in which it is shown.
//!
//! Everything goes through [`json::Comparison`]: the table, the Markdown, the CSV and the page show its numbers and
//! compute none of their own.

mod build;
mod convert;
mod files;
mod format;
#[cfg(test)]
mod golden;
pub mod json;
mod measure;
mod overlay;
mod sample;
#[cfg(test)]
mod schema;
mod summary;
pub mod synthetic;
mod tables;
mod terms;
pub mod text;
mod threshold;
mod warnings;

pub use build::{Frame, build};
pub use convert::{HistError, values};
pub use files::{CompareError, Given, Matching, of_bytes, of_files};
pub use measure::{BUCKET, Selection, measures, rate_key};
pub use sample::{Distribution, Measure, Sample, Variant, anatomy_measures};
pub use tables::{csv, markdown};
pub use threshold::Threshold;
