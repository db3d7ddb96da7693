//! The probe `futex`.

use super::{Spec, syscalls};

pub(super) const SPEC: Spec = Spec {
    name: "futex",
    summary: "every futex by address and operation: outcomes, waits, wakes; whose mutex it is and who held it",
    hooks: syscalls::HOOKS,
    needs: "CAP_BPF and CAP_PERFMON; Linux 5.10 with BTF; `sched` to tell blocked from waiting for a CPU",
    default: true,
    cost: "30 ns per waking call of a target, 200 ns per waiting one, those of the call itself included",
    takes_stacks: true,
    ..Spec::NONE
};
