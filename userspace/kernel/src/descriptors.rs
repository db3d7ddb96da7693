//! Limit of open files: performance counters take one descriptor for each thread.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files as far as it can be raised without a privilege.
pub fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // If this fails, the caller finds out when descriptors run out.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Number of further files that this process can open.
#[must_use]
pub fn free() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_file_takes_room() {
        raise_limit();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert!(free() > 0);
    }
}
