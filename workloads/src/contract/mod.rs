//! Promises of every bundled program: it says when it is set up, waits for the go, does a known amount of work, and
//! ends by printing what it knows (its *truth*) as one JSON line or as a table.

mod args;
mod clock;
mod cpus;
mod handshake;
mod name;
mod parent;
mod progress;
mod refusal;
mod run;
mod truth;

pub use args::{CommonArgs, Warmup};
pub use clock::{cpu_ns, now_ns};
pub use cpus::CpuList;
pub use handshake::Handshake;
pub use name::name_this_process;
pub use parent::tie_to_parent;
pub use progress::Progress;
pub use refusal::{Refusal, cannot};
pub use run::{EXIT_REFUSED, EXIT_UNTRUE, main};
pub use truth::{Truth, print};

pub use crate::sys::signal::{stop, stopping};
