//! The kernel side as userspace sees it: loads the programs, attaches them, reads their maps; [`target`], the traced
//! processes; [`inline`], counters inside of them. No other crate uses `aya`, and no other holds `unsafe`.
#![expect(unsafe_code, reason = "memory that is shared with the kernel, ptrace, and the user database")]

mod attach;
mod cells;
mod cpu_clock;
pub mod descriptors;
mod errors;
mod event;
mod event_cells;
mod futex;
mod heap;
pub mod inline;
pub mod limits;
mod loaded;
mod lockdown;
mod log;
mod mapped;
mod mutex;
mod object;
pub mod perf;
mod pool;
pub mod privileges;
mod program;
mod readings;
pub mod sandbox;
mod sched;
mod seats;
mod seen;
mod settings;
mod stacks;
pub mod target;
mod trap;
mod uprobe;
mod watch;

pub use attach::{Attached, LIFECYCLE, hooks_of};
pub use cells::CellCounts;
pub use cpu_clock::process_cpu_ns;
pub use errors::Errors;
pub use event_cells::EventCounts;
pub use futex::FreedFutexes;
pub use heap::give_back;
pub use loaded::{Kernel, LoadError, Setup};
pub use lockdown::lockdown;
pub use mutex::FreedMutexes;
pub use readings::{RunStats, switch_on_statistics};
pub use seats::{Candidate, Seat, Seating};
pub use seen::Histograms;
pub use trap::TrapCosts;
pub use uprobe::{PROGRAM as SITES, Spot, Uprobes, lacks_cookies};
pub use watch::watch;
