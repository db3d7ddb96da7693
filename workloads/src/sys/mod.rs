//! The only place with `unsafe`: one small file per topic, each a safe wrapper.
//!
//! Functions that `rustix` offers safely are called directly where they are needed and have no wrapper here.

pub mod calls;
pub mod condition;
pub mod epoch;
#[cfg(not(loom))]
pub mod epoll;
pub mod fd;
pub mod fork;
pub mod jitter;
pub mod mqueue;
pub mod pages;
pub mod perf;
pub mod prefetch;
pub mod pthread;
pub mod queue_map;
pub mod robust;
pub mod seccomp;
pub mod shm;
pub mod signal;
pub mod tracepoint;
pub mod tsc;
pub mod usage;
