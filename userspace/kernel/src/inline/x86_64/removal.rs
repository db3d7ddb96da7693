//! Removes counters from a process: those of this tool, or of one that was killed.

use std::{thread, time::Duration};

use binary::{
    locate::replaceable::JUMP,
    maps::{Backing, Mapping, Maps},
};

use super::{
    InlineError, Removal,
    call::{Caller, Gadgets},
    halt::{Halted, apart},
    layout::{CODE, Entry, HEADER, Header, Layout, PAGE},
    library,
    memory::Memory,
    owner, presence, refusal, sharers,
};

/// Number of attempts to find no thread inside.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(1);

/// Removes the counters at an address. After an `exec` or the end of the process there is nothing to remove.
///
/// Every thread is stopped once, while the instructions are written back. From then on only threads can be inside that
/// were inside then, so only they are stopped again.
pub fn remove(pid: u32, memory: &Memory, layout: Layout) -> Result<Removal, InlineError> {
    let mut done = Removal::default();
    let Some(Header { entries, .. }) = header(memory, layout.base) else { return Ok(done) };
    let gadgets = gadgets(memory, &library::maps(pid)?, &entries).ok_or_else(|| {
        InlineError::refused(pid, "its C library is not where it was", "what is left is harmless")
    })?;
    let mut suspects: Option<Vec<u32>> = None;
    for _ in 0..ATTEMPTS {
        let halted = match suspects.as_deref() {
            Some(threads) if !threads.is_empty() => Halted::only(pid, threads),
            _ => Halted::all(pid),
        };
        let mut halted = match halted {
            Err(InlineError::Gone(_)) => return Ok(done),
            halted => halted?,
        };
        if let Some(tid) = halted.helpers().first() {
            memory.through(*tid);
        }
        if suspects.is_none() {
            if let Some(other) = sharers::of(pid) {
                let reason = format!("process {other} has the same memory (CLONE_VM)");
                return Err(InlineError::refused(pid, reason, "what is left is harmless"));
            }
            done.restored = restore(pid, memory, layout, &entries)?;
        }
        let maps = library::maps(pid)?;
        let inside = presence::inside(&halted, memory, &maps, &(layout.base..layout.base + CODE));
        // A process that has forbidden itself system calls since cannot unmap the memory, now or later.
        let filtered = refusal::has_filter(pid);
        let is_empty = inside.is_empty() && !filtered;
        let removed = is_empty && give_back(pid, &mut halted, memory, &maps, (gadgets, layout))?;
        let stood = halted.release();
        done.stopped = done.stopped.max(stood.time);
        done.cut_short += stood.cut_short;
        if removed {
            return Ok(done);
        }
        if filtered {
            break;
        }
        suspects = Some(inside);
        thread::sleep(PAUSE);
    }
    done.memory_left = true;
    Ok(done)
}

/// Has a thread unmap the memory; `false` where no thread can be made to now.
fn give_back(
    pid: u32,
    halted: &mut Halted,
    memory: &Memory,
    maps: &Maps,
    (gadgets, layout): (Gadgets, Layout),
) -> Result<bool, InlineError> {
    let Some(mut caller) = Caller::of(halted, pid, memory, maps, gadgets)? else { return Ok(false) };
    unmap(pid, &mut caller, layout)?;
    caller.finish()?;
    Ok(true)
}

/// Removes the counters that a killed tool has left; `None` where there are none. Counters of a running tool
/// are left alone.
///
/// # Errors
/// The reason for a failure.
pub fn repair(pid: u32) -> Result<Option<Removal>, InlineError> {
    apart(pid, || repair_here(pid))
}

/// As [`repair`], on the calling thread.
pub fn repair_here(pid: u32) -> Result<Option<Removal>, InlineError> {
    let maps = library::maps(pid)?;
    let candidates: Vec<u64> = maps.all().iter().filter(|it| is_code(it)).map(|it| it.start).collect();
    if candidates.is_empty() {
        return Ok(None);
    }
    let memory = Memory::open(pid).map_err(InlineError::unreadable(pid))?;
    let mut found = None;
    for Header { layout, owner, .. } in candidates.into_iter().filter_map(|base| header(&memory, base)) {
        if owner::is_another(owner) {
            return Err(InlineError::Owned { pid, owner: owner.pid });
        }
        found = Some(remove(pid, &memory, layout)?);
    }
    Ok(found)
}

/// Addresses of the instructions that counters of any tool have replaced; nothing is stopped or changed.
pub fn replaced(pid: u32) -> Vec<u64> {
    let (Ok(maps), Ok(memory)) = (library::maps(pid), Memory::open(pid)) else { return Vec::new() };
    let headers = maps.all().iter().filter(|it| is_code(it)).filter_map(|it| header(&memory, it.start));
    headers.flat_map(|header| header.entries).map(|entry| entry.address).collect()
}

fn is_code(mapping: &Mapping) -> bool {
    let modes = (mapping.readable, mapping.writable, mapping.executable, mapping.shared);
    let anonymous = matches!(&mapping.backing, Backing::Anonymous);
    anonymous && modes == (true, false, true, false) && mapping.end - mapping.start == CODE
}

fn header(memory: &Memory, base: u64) -> Option<Header> {
    Header::parse(base, &memory.bytes(base, HEADER).ok()?)
}

/// Writes the original instructions back where a jump of this tool stands.
fn restore(pid: u32, memory: &Memory, layout: Layout, entries: &[Entry]) -> Result<usize, InlineError> {
    let failed = InlineError::step(pid, "putting instructions back");
    let mut restored = 0;
    for entry in entries {
        let there = memory.bytes(entry.address, JUMP).map_err(&failed)?;
        if there == entry.original {
            continue;
        } else if leads_into(&there, entry.address, layout) {
            memory.write(entry.address, &entry.original).map_err(&failed)?;
            restored += 1;
        } else {
            // If a debugger removes a breakpoint from there, it restores the jump: the target of the jump has to stay.
            let reason = format!("another program has changed the instruction at {:#x} since", entry.address);
            let remedy =
                "end other debuggers and uprobes, and attach with --inline once more: that removes the rest";
            return Err(InlineError::refused(pid, reason, remedy));
        }
    }
    Ok(restored)
}

fn leads_into(bytes: &[u8], address: u64, layout: Layout) -> bool {
    let [0xe9, distance @ ..] = bytes else { return false };
    let Ok(distance) = <[u8; 4]>::try_from(distance) else { return false };
    let target = (address + JUMP as u64).wrapping_add_signed(i32::from_le_bytes(distance).into());
    (layout.base..layout.base + CODE).contains(&target)
}

/// Code for system calls, from the library that the instructions belong to.
fn gadgets(memory: &Memory, maps: &Maps, entries: &[Entry]) -> Option<Gadgets> {
    let known = entries.first().and_then(|entry| maps.at(entry.address));
    // If nothing was replaced yet: any C library.
    let any = || maps.all().iter().filter(|it| it.executable && it.name().starts_with("libc"));
    known.into_iter().chain(any()).find_map(|text| Gadgets::of(memory, (text.start, text.end)))
}

/// Has the target unmap the memory that it was given, as far as it is mapped.
pub fn unmap(pid: u32, caller: &mut Caller<'_>, layout: Layout) -> Result<(), InlineError> {
    let maps = library::maps(pid)?;
    let mut parts = Vec::new();
    let shared = maps.at(layout.area()).filter(|it| it.name().starts_with("memfd:pulse-trace"));
    if shared.is_some_and(|it| it.start == layout.area()) {
        parts.push((layout.area(), layout.area_len()));
    }
    let own = maps.at(layout.number()).filter(|it| it.writable && it.backing == Backing::Anonymous);
    if own.is_some_and(|it| it.start == layout.number() && it.end == layout.area()) {
        parts.push((layout.number(), PAGE));
    }
    parts.push((layout.base, CODE));
    for (address, len) in parts {
        let answer = caller.call(libc::SYS_munmap, [address, len, 0, 0, 0, 0])?;
        if answer != 0 {
            let cause = std::io::Error::from_raw_os_error(i32::try_from(-answer).unwrap_or(0));
            return Err(InlineError::step(pid, "giving memory back")(cause));
        }
    }
    Ok(())
}
