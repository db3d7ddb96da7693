//! Copied stacks, as they come out of their ring.

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use pulse_trace_common::stack::Copied;

use super::{
    Kernel,
    loaded::{LoadError, typed},
};

/// Size of the ring where stacks are taken, in bytes: a busy program fills it in about a second.
pub(super) const RING: u32 = 2 << 20;

/// Ring buffer of copied stacks.
pub(super) struct StackRing(RingBuf<MapData>);

impl StackRing {
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        typed(ebpf, "STACKS").map(Self)
    }
}

impl Kernel {
    /// Passes on every stack that was copied since the last call.
    pub fn take_stacks(&mut self, mut taken: impl FnMut(&Copied)) {
        while let Some(record) = self.stacks.0.next() {
            // A record of another length is not a stack.
            if let Ok(copied) = bytemuck::try_pod_read_unaligned::<Copied>(&record) {
                taken(&copied);
            }
        }
    }
}
