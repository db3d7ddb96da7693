//! The tool whose counters are in a process: while it lives they are left alone.

use std::{fs, os::unix::fs::MetadataExt as _, process};

use super::layout::Owner;
use crate::target;

/// Inode of the PID namespace in which everything is seen.
const INITIAL: u32 = 0xefff_fffc;

/// This process.
pub fn me() -> Owner {
    let pid = process::id();
    let started = target::stat(pid).map_or(0, |stat| stat.started);
    Owner { pid, namespace: namespace(pid).unwrap_or(0), started }
}

/// Whether it lives. One that cannot be seen from here is taken to live.
pub fn is_alive(owner: Owner) -> bool {
    let mine = namespace(process::id());
    if mine == Some(owner.namespace) {
        return target::stat(owner.pid).is_some_and(|stat| stat.started == owner.started && !stat.is_dead());
    }
    let is_it = |pid: &u32| {
        let started =
            || target::stat(*pid).is_some_and(|stat| stat.started == owner.started && !stat.is_dead());
        namespace(*pid) == Some(owner.namespace) && started()
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
    fn this_process_lives_and_one_with_its_id_that_began_before_does_not() {
        let me = me();
        assert!(me.pid != 0 && me.namespace != 0 && is_alive(me));
        assert!(!is_alive(Owner { started: me.started - 1, ..me }));
    }
}
