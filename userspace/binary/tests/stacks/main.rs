//! Stacks of real programs, taken from outside: registers from `/proc/PID/task/TID/syscall`, bytes from
//! `/proc/PID/mem`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod chain;
mod damaged;
mod debug_file;
mod languages;
mod library;
mod limits;
mod waiting;

use pulse_trace_testing::need;
