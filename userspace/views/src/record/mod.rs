//! Recordings: a session frame by frame in a file, one JSON record per line, readable after the tool was killed.
//!
//! `docs/formats/recording.md` describes the format.

#[cfg(test)]
mod golden;
mod line;
mod portions;
mod reader;
#[cfg(test)]
mod tests;
mod wire;
mod writer;

pub use reader::{ReadError, Reader, Replay};
pub use writer::Recorder;

/// Name and version of the format.
pub const SCHEMA: &str = "pulse-trace-recording/1";
/// The name without the version.
const FAMILY: &str = "pulse-trace-recording/";
