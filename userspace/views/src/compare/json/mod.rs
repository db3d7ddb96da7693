//! The comparison as JSON, schema `pulse-trace-comparison/1`: names are stable, adding is allowed, renaming is a new
//! version.
//!
//! `docs/formats/comparison.md` explains each field; `docs/formats/pulse-trace-comparison-1.schema.json` is made from
//! these types.

mod column;
mod row;

pub use column::{Anatomy, Column, Histogram, Part, Round};
pub use row::{Better, Cell, Difference, Row, Section, Unit, Verdict};
use serde::{Deserialize, Serialize};

use crate::export::json::Tool;

/// Name and version of the format.
pub const SCHEMA: &str = "pulse-trace-comparison/1";

/// A whole comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Comparison {
    /// `pulse-trace-comparison/1`.
    pub schema: String,
    /// What made it.
    pub tool: Tool,
    /// What is compared, in a few words.
    pub title: String,
    /// Where, and under which conditions.
    pub environment: Environment,
    /// How it was done.
    pub method: Method,
    /// The variants, in the order in which they are to be shown.
    pub columns: Vec<Column>,
    /// Which column the differences are to.
    pub reference: usize,
    /// The table.
    pub rows: Vec<Row>,
    /// What the reader must know before believing it.
    pub warnings: Vec<Warning>,
    /// Whether all rounds that were asked for were done; false after Ctrl-C.
    pub finished: bool,
    /// Reason why totals are not compared: sessions of unequal length; null where they are.
    #[serde(default)]
    pub uneven: Option<String>,
    /// The result in three lines: primary numbers, exploratory ones, and reasons against believing them.
    #[serde(default)]
    pub summary: Vec<String>,
}

/// The machine and what else it did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Environment {
    /// Release of the kernel.
    pub kernel: String,
    /// Architecture as the kernel names it.
    pub arch: String,
    /// CPUs that were online.
    pub cpus: u32,
    /// Clock source.
    pub clock: String,
    /// Name of the processor; null where it was not asked for or not to be had.
    pub processor: Option<String>,
    /// Load average of the last minute at the start; null for comparisons of files.
    pub load_before: Option<f64>,
    /// The same at the end.
    pub load_after: Option<f64>,
    /// Share of the CPU time that the hypervisor gave to others meanwhile, percent.
    pub stolen_percent: Option<f64>,
    /// Share of the CPU time that went to programs which had nothing to do with it, percent.
    #[serde(default)]
    pub others_percent: Option<f64>,
    /// Share of the time in which a thread waited for a CPU, percent; null where the kernel does not tell.
    #[serde(default)]
    pub pressure_percent: Option<f64>,
    /// How often CPUs were slowed down because of their temperature; null where the kernel does not tell.
    #[serde(default)]
    pub throttled: Option<u64>,
    /// What decides the frequency of the CPUs; null where the kernel does not.
    #[serde(default)]
    pub governor: Option<String>,
}

/// How a comparison was done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Method {
    /// The command line.
    pub command: Vec<String>,
    /// Start, ns since 1970.
    pub start_unix_ns: u64,
    /// How long it took, ns; null for comparisons of files.
    pub duration_ns: Option<u64>,
    /// Seed of the order of rounds; null for comparisons of files.
    pub seed: Option<u64>,
    /// Rounds of each variant that were asked for; null for comparisons of files.
    pub rounds: Option<u32>,
    /// Confidence of every interval, percent.
    pub confidence_percent: f64,
    /// Differences that share the error the comparison as a whole may make.
    pub family: usize,
    /// Those of them that are of primary numbers, which have four fifths of that error.
    #[serde(default)]
    pub primary: usize,
    /// Rounds of each variant below which there is no verdict.
    #[serde(default)]
    pub least_rounds: usize,
    /// What costs are given per: `message`, `round trip`, ...; null where they are those of a whole round.
    pub per: Option<String>,
    /// The probes that ran.
    pub probes: Vec<String>,
}

/// What the reader must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Warning {
    /// Which sort.
    pub kind: WarningKind,
    /// Number of the column it is about; null when it is about all.
    pub column: Option<usize>,
    /// In words.
    pub text: String,
}

/// Sorts of warnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// Values rise or fall from round to round.
    Drift,
    /// A round unlike the others.
    Outlier,
    /// Too few rounds to say much.
    FewRounds,
    /// The machine slowed down, or gave its time to others.
    Throttling,
    /// Tracing changed what it measured by more than 5 %.
    Perturbation,
    /// Numbers are missing or incomplete.
    Incomplete,
    /// The variants were not run on equal terms.
    Unequal,
    /// A program failed, and what it ended is incomplete.
    Failed,
}
