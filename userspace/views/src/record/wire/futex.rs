//! Wire format of futexes.

use model::{
    hist::Hist,
    locks::{FutexFrame, FutexStats, MutexSeen, SpinSamples, StackCount},
    valid::is_default,
};
use serde::{Deserialize, Serialize};

use super::{
    hist::weight,
    limits::{Impossible, counts, times},
    place::{LockPlace, MutexKind, stack_weight},
    text_weight,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Futex {
    pub place: LockPlace,
    pub address: u64,
    pub op: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub count: u64,
    /// Pairs of errno and count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<(u32, u64)>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: Hist,
    #[serde(default, skip_serializing_if = "is_default")]
    pub blocked: Hist,
    #[serde(default, skip_serializing_if = "is_default")]
    pub run_queue: Hist,
    #[serde(default, skip_serializing_if = "is_default")]
    pub woken: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub vain: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_ns: Option<(u64, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutex: Option<Seen>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub unlike_mutex: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub sampled: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stacks: Vec<StackCount>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub kind: MutexKind,
    /// Thread id, name, and how many waits found it so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<(u32, String, u64)>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub spins: Hist,
    #[serde(default, skip_serializing_if = "is_default")]
    pub sampled: Hist,
    #[serde(default, skip_serializing_if = "is_default")]
    pub moved: Hist,
}

/// Parts of a futex that can be spread over several lines.
enum Rest {
    Holder((u32, String, u64)),
    Stack(StackCount),
}

impl Futex {
    /// Bytes that it takes in a line, at most.
    pub fn weight(&self) -> usize {
        let hists = weight(&self.wait) + weight(&self.blocked) + weight(&self.run_queue);
        let seen = self.mutex.as_ref().map_or(0, |seen| {
            let hists = weight(&seen.spins) + weight(&seen.sampled) + weight(&seen.moved);
            200 + hists + seen.holders.iter().map(holder_weight).sum::<usize>()
        });
        let stacks: usize = self.stacks.iter().map(stack_weight).sum();
        400 + self.place.weight() + text_weight(&self.op) + self.errors.len() * 36 + hists + seen + stacks
    }

    /// The same in pieces that are not heavier than wanted, as far as holders and stacks are what makes it heavy.
    pub fn pieces(mut self, largest: usize) -> Vec<Self> {
        if self.weight() <= largest {
            return vec![self];
        }
        let holders = self.mutex.as_mut().map_or_else(Vec::new, |seen| std::mem::take(&mut seen.holders));
        let stacks = std::mem::take(&mut self.stacks);
        let follow_up = self.follow_up();
        let mut weight = self.weight();
        let mut pieces = vec![self];
        let rest = holders.into_iter().map(Rest::Holder).chain(stacks.into_iter().map(Rest::Stack));
        for part in rest {
            if weight + part.weight() > largest {
                weight = follow_up.weight();
                pieces.push(follow_up.clone());
            }
            weight += part.weight();
            if let Some(piece) = pieces.last_mut() {
                piece.take(part);
            }
        }
        pieces
    }

    fn take(&mut self, part: Rest) {
        match (part, &mut self.mutex) {
            (Rest::Stack(stack), _) => self.stacks.push(stack),
            (Rest::Holder(holder), Some(seen)) => seen.holders.push(holder),
            (Rest::Holder(_), None) => {}
        }
    }

    /// The same futex without numbers.
    fn follow_up(&self) -> Self {
        let seen = self.mutex.as_ref().map(|seen| Seen { kind: seen.kind, ..Seen::default() });
        Self {
            place: self.place.clone(),
            address: self.address,
            op: self.op.clone(),
            count: 0,
            errors: Vec::new(),
            wait: Hist::default(),
            blocked: Hist::default(),
            run_queue: Hist::default(),
            woken: 0,
            vain: 0,
            seen_ns: None,
            mutex: seen,
            unlike_mutex: 0,
            sampled: 0,
            stacks: Vec::new(),
        }
    }
}

impl Rest {
    fn weight(&self) -> usize {
        match self {
            Self::Holder(holder) => holder_weight(holder),
            Self::Stack(stack) => stack_weight(stack),
        }
    }
}

fn holder_weight((_, comm, _): &(u32, String, u64)) -> usize {
    40 + text_weight(comm)
}

impl From<&FutexFrame> for Futex {
    fn from(frame: &FutexFrame) -> Self {
        let stats = &frame.stats;
        let holder = |((tid, comm), count): (&(u32, String), &u64)| (*tid, comm.clone(), *count);
        let seen = |seen: &MutexSeen| Seen {
            kind: seen.kind.into(),
            holders: seen.holders.iter().map(holder).collect(),
            spins: seen.spins.clone(),
            sampled: seen.sampled.all.clone(),
            moved: seen.sampled.moved.clone(),
        };
        Self {
            place: LockPlace::from(&frame.place),
            address: frame.address,
            op: frame.op.clone(),
            count: stats.count,
            errors: stats.errors.iter().map(|(errno, count)| (*errno, *count)).collect(),
            wait: stats.wait.clone(),
            blocked: stats.blocked.clone(),
            run_queue: stats.run_queue.clone(),
            woken: stats.woken,
            vain: stats.vain,
            seen_ns: stats.seen_ns,
            mutex: stats.mutex.as_ref().map(seen),
            unlike_mutex: stats.unlike_mutex,
            sampled: stats.sampled,
            stacks: stats.stacks.clone(),
        }
    }
}

impl TryFrom<Futex> for FutexFrame {
    type Error = Impossible;

    fn try_from(read: Futex) -> Result<Self, Impossible> {
        counts([read.count, read.woken, read.vain, read.unlike_mutex, read.sampled])?;
        counts(read.errors.iter().map(|(_, count)| *count))?;
        if let Some((first, last)) = read.seen_ns {
            times([first, last])?;
            if first > last {
                return Err(Impossible("a first call comes after the last"));
            }
        }
        let stats = FutexStats {
            count: read.count,
            errors: read.errors.into_iter().collect(),
            wait: read.wait,
            blocked: read.blocked,
            run_queue: read.run_queue,
            woken: read.woken,
            vain: read.vain,
            seen_ns: read.seen_ns,
            mutex: read.mutex.map(MutexSeen::try_from).transpose()?,
            unlike_mutex: read.unlike_mutex,
            sampled: read.sampled,
            stacks: read.stacks,
        };
        Ok(Self { place: read.place.into(), address: read.address, op: read.op, stats })
    }
}

impl TryFrom<Seen> for MutexSeen {
    type Error = Impossible;

    fn try_from(read: Seen) -> Result<Self, Impossible> {
        counts(read.holders.iter().map(|(_, _, count)| *count))?;
        let holders = read.holders.into_iter().map(|(tid, comm, count)| ((tid, comm), count)).collect();
        let sampled = SpinSamples { all: read.sampled, moved: read.moved };
        Ok(Self { kind: read.kind.into(), holders, spins: read.spins, sampled })
    }
}
