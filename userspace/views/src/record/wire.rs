//! The records as they stand in the file: the model, and what a file needs besides.

use model::{
    frame::{Frame, ProcessFrame},
    session,
};
use pulse_trace_common::hist;
use serde::{Deserialize, Serialize};

/// A line: one of its parts is there. A line of which none is known comes from a later addition and is passed over.
#[derive(Default, Serialize, Deserialize)]
pub struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Header>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
}

#[derive(Serialize)]
pub struct Header {
    pub schema: String,
    pub geometry: Geometry,
    #[serde(flatten)]
    pub session: session::Header,
}

model::read_beside! {
    Header needs { schema: String, geometry: Geometry } has {} beside session;
    Self { schema, geometry, session }
}

/// Meaning of the bucket numbers.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
pub struct Geometry {
    pub sub_buckets: u64,
    pub max_bits: u32,
}

impl Geometry {
    /// That of this program.
    pub const OURS: Self = Self { sub_buckets: hist::SUB_BUCKETS, max_bits: hist::MAX_BITS };
}

/// Some processes of a frame that is too large for one line; the frame itself follows.
#[derive(Serialize, Deserialize)]
pub struct Part {
    pub sequence: u64,
    pub processes: Vec<ProcessFrame>,
}

#[derive(Serialize, Deserialize)]
pub struct End {
    /// Frames in the recording.
    pub frames: u64,
}
