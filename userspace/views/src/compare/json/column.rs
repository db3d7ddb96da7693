//! A variant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::export::json::{Hist, Ledger};

/// A variant: its rounds, and what they add up to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Column {
    /// Its name.
    pub label: String,
    /// What was run, or the files that were read.
    pub source: Vec<String>,
    /// Traced rounds, in the order in which they were run.
    pub rounds: Vec<Round>,
    /// One round without tracing; null where there was none.
    pub untraced: Option<Round>,
    /// Distributions, all traced rounds together.
    pub histograms: Vec<Histogram>,
    /// What the mean end-to-end time is made of; null where that is not known.
    pub anatomy: Option<Anatomy>,
    /// What was counted and what was not, all traced rounds together.
    pub ledger: Option<Ledger>,
    /// What tracing itself took, percent of one CPU; null without run statistics.
    pub tracer_cpu_percent: Option<f64>,
    /// What the tracer and the programs have to say.
    pub notes: Vec<String>,
}

impl Column {
    /// The shortest and the longest of its rounds, ns.
    #[must_use]
    pub fn durations(&self) -> Option<(u64, u64)> {
        let of = || self.rounds.iter().map(|round| round.wall_ns);
        Some((of().min()?, of().max()?))
    }
}

/// One round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Round {
    /// Its place among all rounds of all variants, from 0.
    pub position: u32,
    /// Start, ns since 1970.
    pub start_unix_ns: u64,
    /// From the first instruction of the program to its end, ns.
    pub wall_ns: u64,
    /// The program's exit status; null where it is not known.
    pub status: Option<i32>,
    /// Every number of this round by the key of its row.
    pub values: BTreeMap<String, f64>,
}

/// A distribution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Histogram {
    /// Its key: `latency` for end to end, `syscall.write`, `lock.NAME`, ...
    pub key: String,
    /// Its name in words.
    pub name: String,
    /// The values.
    pub values: Hist,
}

/// What the mean end-to-end time is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Anatomy {
    /// The mean end-to-end time of all messages, as the receiver measured it, ns.
    pub whole_ns: f64,
    /// Its parts, in the order in which a message meets them.
    pub parts: Vec<Part>,
    /// What the parts add up to, percent of the whole.
    pub explained_percent: f64,
}

/// A part of the end-to-end time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Part {
    /// `sender_call`, `blocked`, `run_queue`, `receiver_call` or `user_code`.
    pub key: String,
    /// Its name in words.
    pub name: String,
    /// Mean per message, ns.
    pub ns: f64,
}
