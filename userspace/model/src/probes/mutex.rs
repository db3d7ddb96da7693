//! The probe `mutex`.

use super::Spec;

pub(super) const SPEC: Spec = Spec {
    name: "mutex",
    summary: "contended locks, seen in the targets' own code: who spun, for how long, gave up, and went to the kernel",
    elsewhere: "uprobe:contended paths of the lock library",
    needs: "CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE; Linux 5.15, from 6.10 on the probes are out at once; x86-64",
    cost: "a trap per contended acquisition, and as many again where it had to wait; out above --budget, of which \
           200 ms may be drawn in advance: a hot lock took up to 2.4 times as long until then",
    takes_stacks: true,
    ..Spec::NONE
};
