//! `shmemq` from end to end: every lock, every way to die, every wrong word; and against its twin in C.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly and say what they skip")]

mod by_hand;
mod deaths;
mod harness;
mod locks;
mod placement;
mod refusals;
mod twin;
