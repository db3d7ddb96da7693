//! The tool that reads the counters in a process: while it runs, other instances leave them alone.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    process,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use super::layout::Owner;
use crate::target;

/// Inode of the initial PID namespace, in which all processes are visible.
const INITIAL: u32 = 0xefff_fffc;

/// Process id of the tool that this process works for; 0 where it is the tool itself.
static TOOL: AtomicU32 = AtomicU32::new(0);

/// Notes that this process works for its parent.
pub fn act_for_parent() {
    let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get().cast_unsigned());
    TOOL.store(parent, Relaxed);
}

/// Identity of the tool: this process, or the one that it works for.
pub fn me() -> Owner {
    let pid = Some(TOOL.load(Relaxed)).filter(|pid| *pid != 0).unwrap_or_else(process::id);
    let started = target::stat(pid).map_or(0, |stat| stat.started);
    Owner { pid, namespace: namespace(pid).unwrap_or(0), started }
}

/// True if the owner is another tool that runs. A process that is not visible from here is taken to run.
pub fn is_another(owner: Owner) -> bool {
    if owner == me() {
        return false;
    }
    let mine = namespace(process::id());
    if mine == Some(owner.namespace) {
        return target::stat(owner.pid).is_some_and(|stat| stat.started == owner.started && !stat.is_dead());
    }
    let is_it = |pid: &u32| {
        let started =
            || target::stat(*pid).is_some_and(|stat| stat.started == owner.started && !stat.is_dead());
        let calls_itself = || {
            target::status_field(*pid, "NSpid:")
                .is_some_and(|ids| ids.split_ascii_whitespace().next_back() == Some(&owner.pid.to_string()))
        };
        started() && namespace(*pid).is_none_or(|it| it == owner.namespace) && calls_itself()
    };
    mine != Some(INITIAL) || target::processes().unwrap_or_default().iter().any(is_it)
}

fn namespace(pid: u32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}/ns/pid")).ok().and_then(|it| u32::try_from(it.ino()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_is_one_that_lives_and_is_not_this_process() {
        let me = me();
        assert!(me.pid != 0 && me.namespace != 0 && !is_another(me));
        // One with its id that began before has ended.
        assert!(!is_another(Owner { started: me.started - 1, ..me }));
        let parent = rustix::process::getppid().unwrap().as_raw_nonzero().get().cast_unsigned();
        let started = target::stat(parent).unwrap().started;
        assert!(is_another(Owner { pid: parent, started, ..me }));
    }
}
