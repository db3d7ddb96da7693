//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use pulse_trace_workloads::contract::CommonArgs;

/// Fights for three locks, each a known number of times and for a known time, to hold a tracer against.
///
/// For each lock a holder takes it, makes sure that a waiter sleeps in the kernel for it, keeps it for so long, and
/// lets go. A fourth thread waits for a condition all the while.
#[derive(Clone, Debug, Parser)]
#[command(name = "holds", version, max_term_width = 110)]
pub struct Args {
    /// Whose locks
    #[arg(long, value_enum, default_value = "pthread")]
    pub lock: Kind,
    /// How often each of the three is fought for
    #[arg(long, value_name = "N,N,N", value_delimiter = ',', default_value = "41,23,11")]
    pub times: Vec<u32>,
    /// For how long each is kept once a waiter sleeps for it, milliseconds
    #[arg(long, value_name = "MS,MS,MS", value_delimiter = ',', default_value = "8,5,3")]
    pub hold_ms: Vec<u64>,
    #[command(flatten)]
    pub common: CommonArgs,
}

/// The library that provides the locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The C library's ordinary mutex.
    Pthread,
    /// The C library's mutex that inherits priorities.
    Pi,
    /// The C library's mutex that survives its holder.
    Robust,
    /// Rust's standard library.
    Std,
    /// `parking_lot`.
    ParkingLot,
}

impl Args {
    /// Times and time of the lock of a number.
    pub fn plan(&self, number: usize) -> Option<(u32, Duration)> {
        Some((*self.times.get(number)?, Duration::from_millis(*self.hold_ms.get(number)?)))
    }
}
