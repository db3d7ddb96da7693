//! Cost of the measurement itself, as it is measured.

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    inline::InlineCost,
    valid::{self, LARGEST_COUNT, LARGEST_TIME_NS, Numbers, count, time},
};

/// Cost of the measurement itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overhead {
    /// Each BPF program.
    pub programs: Vec<ProgramCost>,
    /// Time for which the kernel's run statistics were on, ns: they cost time themselves, so they are sampled.
    #[serde(deserialize_with = "overhead_time")]
    pub measured_ns: u64,
    /// Memory that the maps take in the kernel, bytes.
    pub kernel_bytes: u64,
    /// CPU time of the tool itself, ns.
    #[serde(deserialize_with = "overhead_time")]
    pub tool_cpu_ns: u64,
    /// Resident memory of the tool, bytes.
    pub tool_bytes: u64,
    /// Time that the kernel's statistics add to each measured run, ns: the time an empty program shows.
    #[serde(default, deserialize_with = "valid::cost")]
    pub empty_program_ns: Option<f64>,
    /// The targets' system calls while the statistics were on, by their rate in each interval; `None` where calls
    /// are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "overhead_count")]
    pub sampled_calls: Option<u64>,
    /// Probes in the target's own code, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traps: Option<Traps>,
    /// Putting counters into processes and taking them out, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<InlineCost>,
}

fn overhead_count<'de, T: Numbers + Deserialize<'de>, D: Deserializer<'de>>(input: D) -> Result<T, D::Error> {
    valid::up_to(LARGEST_COUNT, "a count of the overhead is too large", input)
}

fn overhead_time<'de, T: Numbers + Deserialize<'de>, D: Deserializer<'de>>(input: D) -> Result<T, D::Error> {
    valid::up_to(LARGEST_TIME_NS, "a time of the overhead is too long", input)
}

/// Cost of the probes in a target's own code.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Traps {
    /// One hit, measured on this machine, ns.
    #[serde(deserialize_with = "valid::cost")]
    pub trap_ns: f64,
    /// Times that a probe was hit.
    #[serde(deserialize_with = "count")]
    pub hits: u64,
    /// CPU time of the targets while the probes were in, ns.
    #[serde(deserialize_with = "time")]
    pub target_cpu_ns: u64,
    /// Time for which the probes were attached, ns.
    #[serde(deserialize_with = "time")]
    pub attached_ns: u64,
    /// Largest allowed share of the target's CPU time, percent; `None` for any.
    #[serde(default, deserialize_with = "valid::cost")]
    pub budget_percent: Option<f64>,
    /// Time since which they are detached because they cost more than that, ns since the session began; `None` again
    /// once the user has had them attached again.
    #[serde(default, deserialize_with = "time")]
    pub detached_at_ns: Option<u64>,
    /// Mutex holds are followed in one of this many equal parts of the time; `None` where hold times were
    /// not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_one_in: Option<u32>,
}

/// Factor by which a program takes longer with traps in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slowdown {
    /// By this factor.
    Factor(f64),
    /// The traps take most of its CPU time: it is more than twice, and no more can be told.
    Most {
        /// Their share of it; above one where their cost was estimated too high.
        share: f64,
    },
}

impl Slowdown {
    /// The factor, where it can be told.
    #[must_use]
    pub const fn factor(self) -> Option<f64> {
        match self {
            Self::Factor(factor) => Some(factor),
            Self::Most { .. } => None,
        }
    }

    /// In words, to stand behind "slow-down".
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Factor(factor) if factor < 1.005 => "below 1.01x".to_owned(),
            Self::Factor(factor) => format!("about {factor:.2}x"),
            Self::Most { share } if share > 0.985 => {
                "more than 2x, probes took nearly all of the targets' CPU time".to_owned()
            }
            Self::Most { share } => {
                format!("more than 2x, probes took {:.0}% of the targets' CPU time", share * 100.0)
            }
        }
    }
}

/// Cost of one BPF program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramCost {
    /// Name of the program.
    pub name: String,
    /// Number of runs while the statistics were on; `None` where they could not be switched on.
    #[serde(default, deserialize_with = "overhead_count")]
    pub events: Option<u64>,
    /// Time spent in those runs, ns, the statistics' own cost included.
    #[serde(default, deserialize_with = "overhead_time")]
    pub run_ns: Option<u64>,
    /// Runs that the kernel skipped, because the program was running on that CPU already.
    #[serde(deserialize_with = "overhead_count")]
    pub missed: u64,
}

impl Overhead {
    /// Adds another interval; sizes are those of the newest.
    pub fn merge(&mut self, other: &Self) {
        for theirs in &other.programs {
            match self.programs.iter_mut().find(|mine| mine.name == theirs.name) {
                Some(mine) => {
                    mine.events = mine.events.zip(theirs.events).map(|(a, b)| a + b);
                    mine.run_ns = mine.run_ns.zip(theirs.run_ns).map(|(a, b)| a + b);
                    mine.missed += theirs.missed;
                }
                None => self.programs.push(theirs.clone()),
            }
        }
        self.measured_ns += other.measured_ns;
        self.kernel_bytes = other.kernel_bytes;
        self.tool_cpu_ns += other.tool_cpu_ns;
        self.tool_bytes = other.tool_bytes;
        self.empty_program_ns = other.empty_program_ns.or(self.empty_program_ns);
        if let Some(theirs) = other.sampled_calls {
            *self.sampled_calls.get_or_insert_default() += theirs;
        }
        if let Some(theirs) = &other.inline {
            self.inline.get_or_insert_default().merge(theirs);
        }
        match (&mut self.traps, &other.traps) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (mine @ None, theirs) => mine.clone_from(theirs),
            (Some(_), None) => {}
        }
    }
}

impl Traps {
    /// The factor by which the traps slow the target down, as far as hits and their cost tell: waiting for a thread
    /// that is in a trap comes on top. Nothing of a target that had no CPU time.
    ///
    /// From a share of one half on, a small error of the cost is a large one of what is left beside it.
    #[must_use]
    pub fn slowdown(&self) -> Option<Slowdown> {
        let cost = self.hits as f64 * self.trap_ns;
        let share = cost / self.target_cpu_ns as f64;
        (self.target_cpu_ns > 0).then(|| match share {
            share if share > 0.5 => Slowdown::Most { share },
            share => Slowdown::Factor(1.0 / (1.0 - share)),
        })
    }

    fn merge(&mut self, other: &Self) {
        self.trap_ns = other.trap_ns;
        self.hits += other.hits;
        self.target_cpu_ns += other.target_cpu_ns;
        self.attached_ns += other.attached_ns;
        self.budget_percent = other.budget_percent;
        self.detached_at_ns = other.detached_at_ns;
        self.hold_one_in = other.hold_one_in.or(self.hold_one_in);
    }
}
