//! Processes that have the memory of another without being threads of it: `clone(CLONE_VM)`, and `vfork` before its `exec`.

use super::ptrace;
use crate::target;

/// One of them, if there is any: it runs on while the threads of the process stand still. A kernel without `kcmp(2)` cannot
/// tell.
pub fn of(pid: u32) -> Option<u32> {
    let others = target::processes().unwrap_or_default();
    others.into_iter().find(|other| *other != pid && ptrace::shares_memory(pid, *other))
}
