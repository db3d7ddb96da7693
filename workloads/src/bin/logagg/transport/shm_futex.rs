//! `shm-futex`: the same ring as `shm`, but who finds it empty or full sleeps on a futex and is woken. On tokio the
//! aggregator sits in a thread of its own, as with any blocking interface.

use std::io;

use pulse_trace_workloads::contract::Refusal;

use super::ring::{self, SLOT, private_place};
use super::{Bound, Outlet, Role, Transport, Tuning};

/// A ring in shared memory with a futex to sleep on.
pub struct ShmFutex;

impl Transport for ShmFutex {
    fn name(&self) -> &'static str {
        "shm-futex"
    }

    fn largest_write(&self, _producers: u64) -> usize {
        SLOT
    }

    fn usual_address(&self, _role: Role) -> String {
        "/dev/shm/pulse-trace-logagg.shm-futex".to_owned()
    }

    fn private_address(&self) -> String {
        private_place()
    }

    fn bind(&self, at: &str, tuning: &Tuning) -> Result<Bound, Refusal> {
        ring::bind(at, tuning, true)
    }

    fn connect(&self, at: &str, tuning: &Tuning) -> io::Result<Outlet> {
        ring::connect(at, tuning, true)
    }
}
