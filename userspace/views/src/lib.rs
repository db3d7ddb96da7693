//! What a session is made into: a text report, exports, recordings, comparisons; and how such files are written safely.
#![forbid(unsafe_code)]

pub mod compare;
pub mod export;
pub mod files;
pub mod record;
pub mod report;
