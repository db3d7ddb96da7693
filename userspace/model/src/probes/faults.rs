//! The probe `faults`.

use pulse_trace_common::probes::faults;

use super::{EventKind, EventTable, Hook, Point, Spec, hook};

pub(super) const SPEC: Spec = Spec {
    name: "faults",
    summary: "page faults by kind, the time that the kernel took for each, and the code that caused them",
    hooks: &[
        Hook {
            program: "faults_minor",
            fallback: None,
            point: Point::Software("minor-faults", MINOR_FAULTS),
        },
        Hook {
            program: "faults_major",
            fallback: None,
            point: Point::Software("major-faults", MAJOR_FAULTS),
        },
        hook("faults_begin", "page_fault_user"),
        Hook {
            fallback: Some("faults_begin_in_call_old"),
            ..hook("faults_begin_in_call", "page_fault_kernel")
        },
    ],
    only_on: Some("x86_64"),
    needs: "CAP_BPF and CAP_PERFMON; Linux 5.10 with BTF; x86-64",
    cost: "0.44 us per page fault of a target, 0.18 us of it in these programs; 0.22 us per page fault of any other process",
    takes_stacks: true,
    events: Some(&EVENTS),
    ..Spec::NONE
};

const EVENTS: EventTable = EventTable {
    noun: "page faults",
    first: faults::FIRST,
    kinds: &[
        kind("major", "the page came from storage", true),
        kind("read", "a page that was not mapped was read", true),
        kind("write", "a page that was not mapped was written to", true),
        kind("copy", "a page that was mapped for reading was written to: most are copies after a fork", true),
        kind("major in calls", "the page came from storage, for a system call", false),
        kind("read in calls", "a page that was not mapped was read by a system call", false),
        kind("write in calls", "a page that was not mapped was written to by a system call", false),
        kind("copy in calls", "a page that was mapped for reading was written to by a system call", false),
    ],
    thread_maps: &["FAULTING"],
    missing: &[("faults_unseen", "page faults whose beginning was not seen; they are counted nowhere")],
};

/// Numbers of `enum perf_sw_ids`.
const MINOR_FAULTS: u64 = 5;
const MAJOR_FAULTS: u64 = 6;

const fn kind(name: &'static str, meaning: &'static str, in_user_time: bool) -> EventKind {
    EventKind { name, meaning, in_user_time }
}
