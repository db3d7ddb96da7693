//! Capabilities of this user.

use std::fs;

/// A capability that tracing needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Its name in capitals, with `CAP_`.
    pub name: &'static str,
    bit: u32,
    /// Purpose for which the tool needs it.
    pub purpose: &'static str,
    /// True if tracing is impossible without it.
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
    /// True if it was once a part of `CAP_SYS_ADMIN`, which still includes it.
    fn is_split_off(&self) -> bool {
        const FIRST: u32 = 38;
        self.bit >= FIRST
    }

    /// True if this process has it. `CAP_SYS_ADMIN` includes those that were split off from it.
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

/// Advice on granting capabilities, and on the consequences.
#[must_use]
pub fn advice(capabilities: &str) -> String {
    format!(
        "run it with sudo; or, for a group whose members may then read every process: `chgrp GROUP FILE; chmod 750 FILE; \
         setcap {capabilities}+ep FILE`, FILE being the program"
    )
}

/// True if the user namespace is the initial one: root in another one may not trace.
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
