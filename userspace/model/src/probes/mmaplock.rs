//! The probe `mmaplock`.

use pulse_trace_common::probes::mmaplock;

use super::{EventKind, EventTable, Spec, hook};

pub(super) const SPEC: Spec = Spec {
    name: "mmaplock",
    summary: "the kernel's lock of each process's memory map (mmap_lock): waits for it, and how long it was held",
    hooks: &[
        hook("mmaplock_released", "mmap_lock_released"),
        hook("mmaplock_taken", "mmap_lock_acquire_returned"),
        hook("mmaplock_wanted", "mmap_lock_start_locking"),
    ],
    since: (5, 11),
    needs: "CAP_BPF and CAP_PERFMON; Linux 5.11 with BTF",
    cost: "0.6 us per acquisition of a target, 0.4 us per acquisition of any other process",
    events: Some(&EVENTS),
    ..Spec::NONE
};

const EVENTS: EventTable = EventTable {
    noun: "lock of the memory map (mmap_lock)",
    first: mmaplock::FIRST,
    kinds: &[
        kind("wait to read", "from wanting the lock for reading to having it"),
        kind("wait to write", "from wanting the lock for writing to having it"),
        kind("held to read", "how long a thread had it for reading: others may read meanwhile"),
        kind(
            "held to write",
            "how long a thread had it for writing: mmap, munmap, mprotect, brk, fork and others wait",
        ),
    ],
    thread_maps: &["LOCKING"],
    missing: &[],
};

const fn kind(name: &'static str, meaning: &'static str) -> EventKind {
    EventKind { name, meaning, in_user_time: false }
}
