//! The probe `counters`.

use super::Spec;

pub(super) const SPEC: Spec = Spec {
    name: "counters",
    summary: "CPU time, switches, migrations, page faults; cycles, stalls, instructions, branches and cache misses",
    elsewhere: "perf_event_open, per thread",
    needs: "CAP_PERFMON; Linux 5.13, or --children; a processor that shows its counters",
    cost: "0.6 us per context switch and 0.1 us per page fault of a target",
    ..Spec::NONE
};
