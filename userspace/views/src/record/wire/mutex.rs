//! Wire format of mutexes.

use model::{
    hist::Hist,
    locks::{MutexFrame, MutexStats, StackCount},
    valid::is_default,
};
use serde::{Deserialize, Serialize};

use super::{
    hist::weight,
    limits::{Impossible, counts},
    place::{LockPlace, MutexKind, stack_weight},
    text_weight,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mutex {
    pub place: LockPlace,
    pub address: u64,
    pub runtime: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<MutexKind>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub calls: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub contended: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub gave_up: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub went_to_kernel: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub spin_count: Hist,
    #[serde(default, skip_serializing_if = "is_default")]
    pub spin_time: Hist,
    #[serde(default, skip_serializing_if = "is_default")]
    pub hold: Hist,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stacks: Vec<StackCount>,
}

impl Mutex {
    /// Bytes that it takes in a line, at most.
    pub fn weight(&self) -> usize {
        let texts = text_weight(&self.runtime) + self.generation.as_deref().map_or(0, text_weight);
        let stacks: usize = self.stacks.iter().map(stack_weight).sum();
        400 + self.place.weight()
            + texts
            + weight(&self.spin_count)
            + weight(&self.spin_time)
            + weight(&self.hold)
            + stacks
    }

    /// The same in pieces that are not heavier than wanted, as far as stacks are what makes it heavy.
    pub fn pieces(mut self, largest: usize) -> Vec<Self> {
        if self.weight() <= largest {
            return vec![self];
        }
        let stacks = std::mem::take(&mut self.stacks);
        let empty = MutexStats::default();
        let follow_up = Self {
            calls: empty.calls,
            contended: empty.contended,
            gave_up: empty.gave_up,
            went_to_kernel: empty.went_to_kernel,
            spin_count: Hist::default(),
            spin_time: Hist::default(),
            hold: Hist::default(),
            ..self.clone()
        };
        let mut weight = self.weight();
        let mut pieces = vec![self];
        for stack in stacks {
            if weight + stack_weight(&stack) > largest {
                weight = follow_up.weight();
                pieces.push(follow_up.clone());
            }
            weight += stack_weight(&stack);
            if let Some(piece) = pieces.last_mut() {
                piece.stacks.push(stack);
            }
        }
        pieces
    }
}

impl From<&MutexFrame> for Mutex {
    fn from(frame: &MutexFrame) -> Self {
        let stats = &frame.stats;
        Self {
            place: LockPlace::from(&frame.place),
            address: frame.address,
            runtime: frame.runtime.clone(),
            generation: frame.generation.clone(),
            kind: frame.kind.map(Into::into),
            calls: stats.calls,
            contended: stats.contended,
            gave_up: stats.gave_up,
            went_to_kernel: stats.went_to_kernel,
            spin_count: stats.spin_count.clone(),
            spin_time: stats.spin_time.clone(),
            hold: stats.hold.clone(),
            stacks: stats.stacks.clone(),
        }
    }
}

impl TryFrom<Mutex> for MutexFrame {
    type Error = Impossible;

    fn try_from(read: Mutex) -> Result<Self, Impossible> {
        counts([read.calls, read.contended, read.gave_up, read.went_to_kernel])?;
        let stats = MutexStats {
            calls: read.calls,
            contended: read.contended,
            gave_up: read.gave_up,
            went_to_kernel: read.went_to_kernel,
            spin_count: read.spin_count,
            spin_time: read.spin_time,
            hold: read.hold,
            stacks: read.stacks,
        };
        Ok(Self {
            place: read.place.into(),
            address: read.address,
            runtime: read.runtime,
            generation: read.generation,
            kind: read.kind.map(Into::into),
            stats,
        })
    }
}
