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
pub const CAPABILITIES: [Capability; 4] = [
    Capability { name: "CAP_BPF", bit: 39, purpose: "load BPF programs and maps", required: true },
    Capability { name: "CAP_PERFMON", bit: 38, purpose: "attach them to tracepoints", required: true },
    Capability {
        name: "CAP_SYS_PTRACE",
        bit: 19,
        purpose: "look at processes of other users",
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
    /// Whether this process has it. `CAP_SYS_ADMIN` still stands for the two that were split off from it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        let effective = effective();
        let has = |bit: u32| effective >> bit & 1 != 0;
        has(self.bit) || (self.required && has(SYS_ADMIN))
    }
}

/// Names of required capabilities that are missing.
#[must_use]
pub fn missing() -> Vec<&'static str> {
    CAPABILITIES.iter().filter(|one| one.required && !one.is_held()).map(|one| one.name).collect()
}
