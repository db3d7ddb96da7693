//! `shm`: a compare-and-swap ring in shared memory. No system call per message; who finds it empty or full looks again
//! later, so an idle aggregator costs CPU time and adds up to a millisecond of latency.

use std::io;

use pulse_trace_workloads::contract::Refusal;

use super::ring::{self, SLOT, private_place};
use super::{Bound, Outlet, Role, Transport, Tuning};

/// A ring in shared memory without a futex.
pub struct Shm;

impl Transport for Shm {
    fn name(&self) -> &'static str {
        "shm"
    }

    fn largest_write(&self, _producers: u64) -> usize {
        SLOT
    }

    fn usual_address(&self, _role: Role) -> String {
        "/dev/shm/pulse-trace-logagg.shm".to_owned()
    }

    fn private_address(&self) -> String {
        private_place()
    }

    fn bind(&self, at: &str, tuning: &Tuning) -> Result<Bound, Refusal> {
        ring::bind(at, tuning, false)
    }

    fn connect(&self, at: &str, tuning: &Tuning) -> io::Result<Outlet> {
        ring::connect(at, tuning, false)
    }
}
