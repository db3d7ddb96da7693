//! One file per probe; the body of each stands apart from the hooks that call it.

mod lifecycle;
mod syscalls;
