//! The only place with `unsafe`: one small file per topic, each a safe wrapper.
//!
//! What `rustix` offers safely is called directly where it is needed and has no wrapper here.

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
