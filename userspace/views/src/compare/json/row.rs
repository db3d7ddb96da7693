//! A row of the table.

use serde::{Deserialize, Serialize};

use crate::export::json as hist;

/// A quantity, in every variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Row {
    /// Its key in each round's values, and in `--fail-if`.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Where it belongs.
    pub section: Section,
    /// What it is measured in.
    pub unit: Unit,
    /// Which way is better; null where neither is.
    pub better: Option<Better>,
    /// True in the sections of throughput (wall time, too) and latency; the others are exploratory.
    #[serde(default)]
    pub primary: bool,
    /// Half the width of the histogram's bucket that a quantile lies in, as a share of it; 0 for exact numbers.
    #[serde(default)]
    pub resolution: f64,
    /// Distance between neighbouring values of a count; 0 where it has none.
    #[serde(default)]
    pub step: f64,
    /// It grows with the time that was traced.
    #[serde(default)]
    pub total: bool,
    /// One entry per column; null where the variant has no such number.
    pub cells: Vec<Option<Cell>>,
    /// One entry per column: its difference to the reference; null for the reference itself and where either is null.
    pub differences: Vec<Option<Difference>>,
    /// The column that is better than every other one, if that is more than chance.
    pub best: Option<usize>,
}

/// A mean over the rounds of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cell {
    /// The mean over rounds.
    pub mean: f64,
    /// Lower end of its interval; null with a single round.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// How many rounds have this number.
    pub rounds: usize,
}

/// A difference to the reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Difference {
    /// This variant less the reference.
    pub absolute: f64,
    /// That, in percent of the reference; null where the reference is zero.
    pub percent: Option<f64>,
    /// Lower end of the interval of the absolute difference; null with a single round.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// How much more often a round of this variant is above one of the reference than below it, -1 to 1.
    pub cliffs_delta: f64,
    /// What may be said about it.
    pub verdict: Verdict,
    /// For an undecided one: rounds of each variant, on top of those there are, that would probably decide it; null where
    /// no reasonable number would.
    pub more_rounds: Option<usize>,
}

/// What may be said about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Real, and for the better.
    Better,
    /// Real, and for the worse.
    Worse,
    /// Real; neither way is better.
    Different,
    /// All rounds of both agree to the last digit.
    Same,
    /// Within what chance does, or of fewer rounds than a verdict takes.
    Undecided,
    /// There is a single round: nothing can be said about chance.
    Unknown,
}

/// Where a row belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// What the program achieved.
    Throughput,
    /// How long a message or an operation took.
    Latency,
    /// What went missing.
    Losses,
    /// What it cost, per message or operation where the program counts them.
    Cost,
    /// System calls.
    Syscalls,
    /// Scheduling.
    Scheduling,
    /// Locks.
    Locks,
    /// Events, such as page faults.
    Events,
    /// Who woke whom.
    Wakers,
    /// What the mean end-to-end time is made of.
    Anatomy,
}

impl Section {
    /// The numbers that a comparison is about; the others explain them.
    #[must_use]
    pub const fn is_primary(self) -> bool {
        matches!(self, Self::Throughput | Self::Latency)
    }
}

/// What a number is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// A number of things.
    Count,
    /// Per second.
    PerSecond,
    /// Bytes.
    Bytes,
    /// Percent.
    Percent,
    /// Units of the program's own clock: of the time-stamp counter on x86, which are not the processor's cycles.
    Cycles,
}

impl Unit {
    /// The unit of a distribution of such numbers.
    #[must_use]
    pub fn of_distribution(self) -> hist::Unit {
        match self {
            Self::Ns => hist::Unit::Ns,
            Self::Cycles => hist::Unit::Cycles,
            Self::Count | Self::PerSecond | Self::Bytes | Self::Percent => hist::Unit::Count,
        }
    }
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Less.
    Lower,
    /// More.
    Higher,
}
