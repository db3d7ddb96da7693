//! One file per probe; the body of each stands apart from the hooks that call it.

mod accounts;
mod calibration;
mod faults;
pub mod futex;
mod futex2;
mod interrupts;
pub mod lifecycle;
mod mmaplock;
mod moment;
mod mutex;
pub mod sched;
mod syscalls;
mod wakers;
