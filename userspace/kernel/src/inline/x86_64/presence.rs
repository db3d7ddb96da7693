//! Finds threads of a target that are inside of the code that it was given, or will return to it.

use std::ops::Range;

use binary::maps::{Backing, Maps};

use super::{
    call::RED_ZONE,
    halt::{Halted, is_over},
    memory::Memory,
    ptrace,
};

/// Most bytes of a stack that are searched.
const DEEPEST: u64 = 64 << 20;
const CHUNK: usize = 1 << 16;

/// The threads that are in a range of addresses: now, or after the signal handlers that they are in. All words on the
/// stacks are taken for addresses; a thread whose stack cannot be read is taken to be inside.
pub fn inside(halted: &Halted, memory: &Memory, maps: &Maps, range: &Range<u64>) -> Vec<u32> {
    let is_inside = |tid: &u32| {
        let Ok(regs) = ptrace::registers(*tid) else { return !is_over(*tid) };
        let own = own_stack(maps, halted.pid() == *tid, regs.fs_base);
        range.contains(&regs.rip) || on_stacks(memory, maps, range, regs.rsp, own).unwrap_or(true)
    };
    halted.threads().filter(is_inside).collect()
}

/// The stack that a thread was born with, up to its own data, as far as that is known. Behind the data, in the same
/// mapping, the guard page of the next thread's stack may lie, which cannot be read.
fn own_stack(maps: &Maps, is_first: bool, thread: u64) -> Option<Range<u64>> {
    let first = || maps.all().iter().find(|it| it.backing == Backing::Named("[stack]".to_owned()));
    match is_first {
        true => first().map(|it| it.start..it.end),
        false => maps.at(thread).map(|it| it.start..thread),
    }
}

/// Searches the stacks of a thread. A thread may be on an alternate stack; then its interrupted frames lie on its own
/// stack, from the lowest address on that the alternate stack mentions. `None` where that cannot be read.
fn on_stacks(
    memory: &Memory,
    maps: &Maps,
    range: &Range<u64>,
    rsp: u64,
    own: Option<Range<u64>>,
) -> Option<bool> {
    let here = maps.at(rsp)?;
    let begin = rsp.saturating_sub(RED_ZONE).max(here.start);
    let is_word = |word: u64| range.contains(&word);
    if let Some(own) = own.clone().filter(|own| own.contains(&rsp)) {
        return search(memory, begin..own.end.min(here.end), is_word);
    }
    let mut lowest = None;
    let found = search(memory, begin..here.end.min(rsp.saturating_add(DEEPEST)), |word| {
        if own.as_ref().is_some_and(|own| own.contains(&word)) {
            lowest = Some(lowest.map_or(word, |known: u64| known.min(word)));
        }
        is_word(word)
    })?;
    match own.zip(lowest) {
        Some((own, from)) if !found => search(memory, (from & !7)..own.end, is_word),
        _ => Some(found),
    }
}

fn search(memory: &Memory, area: Range<u64>, mut is: impl FnMut(u64) -> bool) -> Option<bool> {
    let mut at = area.start & !7;
    while at < area.end {
        let len = CHUNK.min((area.end - at) as usize);
        let bytes = memory.bytes(at, len).ok()?;
        // All words are visited, also after a hit: `is` has side effects.
        let hits = bytes.chunks_exact(8).filter(|chunk| {
            let word = <[u8; 8]>::try_from(*chunk).map_or(0, u64::from_le_bytes);
            is(word)
        });
        if hits.count() > 0 {
            return Some(true);
        }
        at += len as u64;
    }
    Some(false)
}
