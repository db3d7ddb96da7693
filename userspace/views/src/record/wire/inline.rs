//! Mutexes as counters inside of a process saw them.

use model::{
    hist::Hist,
    inline::{self, InlineFrame, InlineKind, InlineStats},
    valid::is_default,
};
use serde::{Deserialize, Serialize};

use super::{
    hist::weight,
    limits::{Impossible, counts, times},
    text_weight,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Adaptive,
    Normal,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inline {
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
    pub acquisitions: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub contended: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub gave_up: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub went_to_kernel: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub spins: Hist,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct InlineCost {
    pub put_in_ns: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub taken_out_ns: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub programs: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub late: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub late_cpu_ns: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub left_alone: u64,
}

impl Inline {
    /// Bytes that it takes in a line, at most.
    pub fn weight(&self) -> usize {
        300 + self.generation.as_deref().map_or(0, text_weight) + weight(&self.spins)
    }
}

impl From<&InlineFrame> for Inline {
    fn from(frame: &InlineFrame) -> Self {
        let stats = &frame.stats;
        Self {
            kind: match frame.kind {
                InlineKind::Adaptive => Kind::Adaptive,
                InlineKind::Normal => Kind::Normal,
            },
            generation: frame.generation.clone(),
            acquisitions: stats.acquisitions,
            contended: stats.contended,
            gave_up: stats.gave_up,
            went_to_kernel: stats.went_to_kernel,
            spins: stats.spins.clone(),
        }
    }
}

impl TryFrom<Inline> for InlineFrame {
    type Error = Impossible;

    fn try_from(read: Inline) -> Result<Self, Impossible> {
        counts([read.acquisitions, read.contended, read.gave_up, read.went_to_kernel])?;
        let kind = match read.kind {
            Kind::Adaptive => InlineKind::Adaptive,
            Kind::Normal => InlineKind::Normal,
        };
        let stats = InlineStats {
            acquisitions: read.acquisitions,
            contended: read.contended,
            gave_up: read.gave_up,
            went_to_kernel: read.went_to_kernel,
            spins: read.spins,
        };
        Ok(Self { kind, generation: read.generation, stats })
    }
}

impl From<&inline::InlineCost> for InlineCost {
    fn from(cost: &inline::InlineCost) -> Self {
        let &inline::InlineCost { put_in_ns, taken_out_ns, programs, late, late_cpu_ns, left_alone } = cost;
        Self { put_in_ns, taken_out_ns, programs, late, late_cpu_ns, left_alone }
    }
}

impl TryFrom<InlineCost> for inline::InlineCost {
    type Error = Impossible;

    fn try_from(read: InlineCost) -> Result<Self, Impossible> {
        let InlineCost { put_in_ns, taken_out_ns, programs, late, late_cpu_ns, left_alone } = read;
        times([put_in_ns, taken_out_ns, late_cpu_ns])?;
        counts([programs, late, left_alone])?;
        Ok(Self { put_in_ns, taken_out_ns, programs, late, late_cpu_ns, left_alone })
    }
}
