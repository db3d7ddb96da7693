//! What this user may do.

use std::fs;

/// A capability that tracing needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Its name.
    pub name: &'static str,
    bit: u32,
    /// What it is for.
    pub purpose: &'static str,
    /// Whether nothing works without it.
    pub required: bool,
}

const SYS_ADMIN: u32 = 21;

/// The capabilities, in the order of their importance.
pub const CAPABILITIES: [Capability; 6] = [
    Capability { name: "CAP_BPF", bit: 39, purpose: "load BPF programs and maps", required: true },
    Capability { name: "CAP_PERFMON", bit: 38, purpose: "attach them to tracepoints", required: true },
    Capability {
        name: "CAP_SYS_PTRACE",
        bit: 19,
        purpose: "look at processes of other users",
        required: false,
    },
    Capability {
        name: "CAP_DAC_READ_SEARCH",
        bit: 2,
        purpose: "read programs and libraries that their owner alone may read, for the names of functions",
        required: false,
    },
    Capability {
        name: "CAP_CHECKPOINT_RESTORE",
        bit: 40,
        purpose: "open files as targets have them mapped, also those that were replaced or deleted",
        required: false,
    },
    Capability {
        name: "CAP_SYS_ADMIN",
        bit: SYS_ADMIN,
        purpose: "switch the kernel's BPF statistics on, to measure the tool's own cost",
        required: false,
    },
];

/// The effective capabilities of this process, as the kernel's bit set.
fn effective() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bits = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
}

impl Capability {
    /// Whether it was once a part of `CAP_SYS_ADMIN`, which still stands for it.
    fn is_split_off(&self) -> bool {
        const FIRST: u32 = 38;
        self.bit >= FIRST
    }

    /// Whether this process has it. `CAP_SYS_ADMIN` still stands for those that were split off from it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        let effective = effective();
        let has = |bit: u32| effective >> bit & 1 != 0;
        has(self.bit) || (self.is_split_off() && has(SYS_ADMIN))
    }
}

/// Names of required capabilities that are missing.
#[must_use]
pub fn missing() -> Vec<&'static str> {
    CAPABILITIES.iter().filter(|one| one.required && !one.is_held()).map(|one| one.name).collect()
}

/// How to get capabilities, and what giving them away means.
#[must_use]
pub fn advice(capabilities: &str) -> String {
    format!(
        "run it with sudo; or, for a group whose members may then read every process: `chgrp GROUP FILE; chmod 750 FILE; \
         setcap {capabilities}+ep FILE`, FILE being the program"
    )
}

/// Whether the user namespace is the one that the machine began with: root in another one may not trace.
#[must_use]
pub fn in_initial_user_namespace() -> bool {
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| is_whole(&map))
}

fn is_whole(map: &str) -> bool {
    let words: Vec<&str> = map.split_ascii_whitespace().collect();
    words == ["0", "0", "4294967295"]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_namespace_is_told_by_its_map() {
        assert!(is_whole("         0          0 4294967295\n"));
        assert!(!is_whole("         0       1000          1\n"));
        assert!(!is_whole("0 0 1000\n1000 1000 4294966295\n"));
    }
}
