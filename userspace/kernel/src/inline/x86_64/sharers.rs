//! Processes that have the memory of another without being threads of it: `clone(CLONE_VM)`, and `vfork` before its
//! `exec`.

use super::ptrace;
use crate::target;

/// One process that shares the memory, if there is any: it keeps running while the threads of the process are stopped.
/// Without `kcmp(2)` in the kernel the result is `None`.
pub fn of(pid: u32) -> Option<u32> {
    let others = target::processes().unwrap_or_default();
    others.into_iter().find(|other| *other != pid && ptrace::shares_memory(pid, *other))
}
