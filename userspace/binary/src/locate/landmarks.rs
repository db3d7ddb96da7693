//! Findings of both methods about a function, in a form in which they can be compared.

use serde::{Deserialize, Serialize};

use std::fmt;

use super::{register::Reg, site::Generation};

/// The places of one function that spins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landmarks {
    /// Name of the function, as the plan has it.
    pub function: &'static str,
    /// Its first and its last address plus one.
    pub range: (u64, u64),
    /// Address at which every contended acquisition begins to spin.
    pub contended: u64,
    /// First address of the statement that ends every spin.
    pub spin_end: u64,
    /// The register that holds the count there.
    pub count: Option<Reg>,
    /// First address of the last attempt.
    pub gave_up: u64,
    /// Address to which control returns after the wait for an adaptive mutex.
    pub adaptive_return: u64,
    /// Addresses to which control returns after any wait, sorted.
    pub returns: Vec<u64>,
    /// Way in which the spin counts.
    pub generation: Generation,
}

/// Result of a comparison of both methods for one function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// They found the same.
    Agree,
    /// They found the same, but at the very statement debug information has lost the count; one byte before, it has it.
    AgreeButCountLost,
    /// They did not, in these points.
    Disagree(String),
    /// There is no debug information, or not of this function.
    NoDwarf(String),
    /// The code is not understood, only its debug information is.
    NoSignature(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agree => f.write_str("code and debug information agree"),
            Self::AgreeButCountLost => {
                f.write_str("code and debug information agree; of the count only the code knows")
            }
            Self::Disagree(points) => write!(f, "code and debug information disagree: {points}"),
            Self::NoDwarf(why) => write!(f, "by the code alone: {why}"),
            Self::NoSignature(why) => write!(f, "by debug information alone: {why}"),
        }
    }
}

/// Compares the landmarks of both methods.
#[must_use]
pub fn compare(signature: &Landmarks, dwarf: &Landmarks, count_lost: bool) -> Verdict {
    let place = |name: &str, mine: u64, theirs: u64| {
        (mine != theirs)
            .then(|| format!("{name} is at {mine:#x} by the code and at {theirs:#x} by debug information"))
    };
    let mut points: Vec<String> = [
        place("its begin", signature.range.0, dwarf.range.0),
        place("its end", signature.range.1, dwarf.range.1),
        place("the begin of the spin", signature.contended, dwarf.contended),
        place("the end of the spin", signature.spin_end, dwarf.spin_end),
        place("the last attempt", signature.gave_up, dwarf.gave_up),
        place("the wait", signature.adaptive_return, dwarf.adaptive_return),
    ]
    .into_iter()
    .flatten()
    .collect();
    if signature.returns != dwarf.returns {
        points.push(format!("its waits return to {:x?} and {:x?}", signature.returns, dwarf.returns));
    }
    if signature.generation != dwarf.generation {
        points.push(format!("the spin is {} and {}", signature.generation, dwarf.generation));
    }
    match (signature.count, dwarf.count) {
        (Some(mine), Some(theirs)) if mine == theirs => {}
        (mine, theirs) => {
            let name = |of: Option<Reg>| of.map_or("nowhere", Reg::name);
            points.push(format!("the count is in {} and {}", name(mine), name(theirs)));
        }
    }
    match (points.is_empty(), count_lost) {
        (true, false) => Verdict::Agree,
        (true, true) => Verdict::AgreeButCountLost,
        (false, _) => Verdict::Disagree(points.join("; ")),
    }
}
