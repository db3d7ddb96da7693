//! Whether a thread of a target is inside of the code that it was given, or will come back to it.

use std::ops::Range;

use super::{halt::Halted, memory::Memory, ptrace};
use crate::model::maps::Maps;

/// Most of a stack that is looked at.
const DEEPEST: u64 = 64 << 20;
const CHUNK: usize = 1 << 16;

/// Whether any thread is in a range of addresses: now, or after the signal handlers that it is in. What lies on the
/// stacks is taken for addresses, whatever it is.
pub fn anybody_in(halted: &Halted, memory: &Memory, maps: &Maps, range: &Range<u64>) -> bool {
    halted.threads().any(|tid| {
        let Ok(regs) = ptrace::registers(tid) else { return false };
        range.contains(&regs.rip) || on_stacks(memory, maps, range, regs.rsp, regs.fs_base)
    })
}

/// A thread may be on an alternate stack; then what it interrupted lies where its thread's own data are, from the lowest
/// address on that the alternate stack mentions.
fn on_stacks(memory: &Memory, maps: &Maps, range: &Range<u64>, rsp: u64, thread: u64) -> bool {
    let Some(here) = maps.at(rsp) else { return false };
    let own = maps.at(thread).filter(|own| own.start != here.start);
    let mut lowest = None;
    let stack = rsp.saturating_sub(128).max(here.start)..here.end.min(rsp.saturating_add(DEEPEST));
    let found = search(memory, stack, |word| {
        if own.is_some_and(|own| own.contains(word)) {
            lowest = Some(lowest.map_or(word, |known: u64| known.min(word)));
        }
        range.contains(&word)
    });
    let other = own.zip(lowest).map(|(own, from)| (from & !7)..own.end);
    found || other.is_some_and(|other| search(memory, other, |word| range.contains(&word)))
}

fn search(memory: &Memory, area: Range<u64>, mut is: impl FnMut(u64) -> bool) -> bool {
    let mut at = area.start & !7;
    while at < area.end {
        let len = CHUNK.min((area.end - at) as usize);
        let Ok(bytes) = memory.bytes(at, len) else { return false };
        // All of it is looked at: `is` takes notes.
        let hits = bytes.chunks_exact(8).filter(|chunk| {
            let word = <[u8; 8]>::try_from(*chunk).map_or(0, u64::from_le_bytes);
            is(word)
        });
        if hits.count() > 0 {
            return true;
        }
        at += len as u64;
    }
    false
}
