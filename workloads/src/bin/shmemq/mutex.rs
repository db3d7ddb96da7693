//! The kinds of lock the queue can be given: one list for the command line, the workers and the truth.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Kind of lock that protects the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Mutex {
    /// pthread, default kind: one attempt, then the kernel
    #[serde(rename = "plain")]
    Plain,
    /// pthread, adaptive: spins for a while, then the kernel
    #[serde(rename = "adaptive")]
    Adaptive,
    /// pthread, priority inheritance: the kernel hands the lock over
    #[serde(rename = "pi")]
    Pi,
    /// pthread, robust: the next owner learns that the last one died
    #[serde(rename = "robust")]
    Robust,
    /// pthread, recursive
    #[serde(rename = "recursive")]
    Recursive,
    /// pthread, error checking
    #[serde(rename = "errorcheck")]
    Errorcheck,
    /// ours: test and test-and-set, never sleeps
    #[serde(rename = "spin")]
    Spin,
    /// ours: tickets, first come, first served, never sleeps
    #[serde(rename = "ticket")]
    Ticket,
    /// ours: three-state futex word, no spinning
    #[serde(rename = "futex")]
    Futex,
    /// no lock: one writer and one reader per queue
    #[serde(rename = "lockfree")]
    Lockfree,
    /// ours: the adaptive loop of glibc 2.22 (one pause per try), counted exactly
    #[value(name = "adaptive-restated-2.22")]
    #[serde(rename = "adaptive-restated-2.22")]
    Restated222,
    /// ours: the adaptive loop of glibc 2.36 (back-off and jitter), counted exactly
    #[value(name = "adaptive-restated-2.36")]
    #[serde(rename = "adaptive-restated-2.36")]
    Restated236,
}

impl Mutex {
    /// The name on the command line and in the truth.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Adaptive => "adaptive",
            Self::Pi => "pi",
            Self::Robust => "robust",
            Self::Recursive => "recursive",
            Self::Errorcheck => "errorcheck",
            Self::Spin => "spin",
            Self::Ticket => "ticket",
            Self::Futex => "futex",
            Self::Lockfree => "lockfree",
            Self::Restated222 => "adaptive-restated-2.22",
            Self::Restated236 => "adaptive-restated-2.36",
        }
    }

    /// True when it spins within the limit that `--spin-tunable` sets.
    pub fn spins_up_to_the_tunable(self) -> bool {
        matches!(self, Self::Adaptive | Self::Restated222 | Self::Restated236)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_one_name_everywhere() {
        for kind in Mutex::value_variants() {
            let typed = kind.to_possible_value().unwrap();
            assert_eq!(typed.get_name(), kind.name());
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
