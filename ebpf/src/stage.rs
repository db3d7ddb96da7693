//! Stage of the session. Its hooks are in place before it begins and after it has ended; what they see then is no
//! part of it.

use aya_ebpf::{macros::map, maps::Array};
use pulse_trace_common::target::stage;

/// One of the [`stage`] constants, set by userspace.
#[map]
static STAGE: Array<u64> = Array::with_max_entries(1, 0);

#[inline(always)]
fn now() -> u64 {
    STAGE.get(0).map_or(stage::BEFORE, |stage| *stage)
}

/// Reports whether the session has begun. Threads that were seen in a call since need not ask.
#[inline(always)]
pub fn has_begun() -> bool {
    now() != stage::BEFORE
}

/// Reports whether the hooks on the beginnings of calls are being detached: calls that begin now are not part
/// of the session.
#[inline(always)]
pub fn is_closing() -> bool {
    now() >= stage::CLOSING
}

/// Reports whether this moment is part of the session.
#[inline(always)]
pub fn is_session() -> bool {
    matches!(now(), stage::OPEN | stage::CLOSING)
}
