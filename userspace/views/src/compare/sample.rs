//! One round of one variant, before anything is compared.

use model::{frame::Ledger, hist::Hist, stats::Grain};

use crate::compare::json::{Better, Section, Unit};

/// A number of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// Its key: the same in every round of every variant.
    pub key: String,
    /// Its name for readers.
    pub name: String,
    /// The section of the table that it belongs to.
    pub section: Section,
    /// Unit of the value.
    pub unit: Unit,
    /// The direction that is better; `None` if neither is.
    pub better: Option<Better>,
    /// Its resolution: the bucket of a quantile, the step of a count.
    pub grain: Grain,
    /// It grows with the time that is traced.
    pub total: bool,
    /// The number, in its unit.
    pub value: f64,
}

/// A distribution of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Its key: the same in every round of every variant.
    pub key: String,
    /// Its name for readers.
    pub name: String,
    /// Unit of the values.
    pub unit: Unit,
    /// Histogram of the values.
    pub values: Hist,
}

/// Results of one round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Its place among all rounds of all variants.
    pub position: u32,
    /// Start, ns since 1970.
    pub start_unix_ns: u64,
    /// From the first instruction of the program to its end, ns.
    pub wall_ns: u64,
    /// The program's exit status.
    pub status: Option<i32>,
    /// Measures of the round.
    pub measures: Vec<Measure>,
    /// Distributions of the round.
    pub distributions: Vec<Distribution>,
    /// Numbers of events that were counted and of those that were not.
    pub ledger: Option<Ledger>,
    /// CPU time of tracing, percent of one CPU.
    pub tracer_cpu_percent: Option<f64>,
    /// Notes of the tracer and of the program.
    pub notes: Vec<String>,
}

/// All rounds of a variant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Variant {
    /// Label of the variant.
    pub label: String,
    /// The command that was run, or the files that were read.
    pub source: Vec<String>,
    /// Rounds with tracing.
    pub rounds: Vec<Sample>,
    /// One without tracing.
    pub untraced: Option<Sample>,
}

/// Key of the mean end-to-end time.
pub const WHOLE: &str = "latency.mean";
/// Parts of the end-to-end time: key, name.
pub const PARTS: [(&str, &str); 5] = [
    ("sender_call", "sender call"),
    ("blocked", "blocked"),
    ("run_queue", "run queue"),
    ("receiver_call", "receiver call"),
    ("user_code", "user code and page faults"),
];

impl Measure {
    /// One that is exact.
    #[must_use]
    pub fn exact(key: impl Into<String>, name: impl Into<String>, section: Section, value: f64) -> Self {
        let (key, name) = (key.into(), name.into());
        Self {
            key,
            name,
            section,
            unit: Unit::Count,
            better: Some(Better::Lower),
            grain: Grain::EXACT,
            total: false,
            value,
        }
    }

    /// The same, measured in something else.
    #[must_use]
    pub fn in_unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    /// The same, counted in whole things.
    #[must_use]
    pub fn counted(self) -> Self {
        Self { grain: Grain { step: 1.0, ..self.grain }, ..self }
    }

    /// The same per so many.
    #[must_use]
    pub fn divided(self, by: f64) -> Self {
        let grain = Grain { step: self.grain.step / by, ..self.grain };
        Self { value: self.value / by, grain, ..self }
    }

    /// The same, with another sense of better.
    #[must_use]
    pub fn with_better(self, better: Option<Better>) -> Self {
        Self { better, ..self }
    }
}

impl Sample {
    /// The value of a key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<f64> {
        self.measures.iter().find(|measure| measure.key == key).map(|measure| measure.value)
    }
}

/// The parts of the end-to-end time of a round, in the order of [`PARTS`].
#[must_use]
pub fn anatomy_measures(parts: [f64; 5]) -> Vec<Measure> {
    let measure = |((key, name), ns): (&(&str, &str), f64)| {
        Measure::exact(format!("anatomy.{key}"), *name, Section::Anatomy, ns).in_unit(Unit::Ns)
    };
    PARTS.iter().zip(parts).map(measure).collect()
}
