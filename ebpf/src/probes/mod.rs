//! One file per probe; the body of each stands apart from the hooks that call it.

mod calibration;
mod lifecycle;
mod syscalls;
