//! Shows what the kernel's own statistics add to every measured run.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

/// Does nothing. Never attached: userspace has the kernel run it.
#[raw_tracepoint]
pub fn calibration_empty(_: RawTracePointContext) -> i32 {
    0
}
