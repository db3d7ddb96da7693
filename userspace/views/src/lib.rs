//! Views of a session: a text report, exports, recordings, comparisons; and safe writing of such files.
#![forbid(unsafe_code)]

pub mod compare;
pub mod export;
pub mod files;
pub mod record;
pub mod report;
