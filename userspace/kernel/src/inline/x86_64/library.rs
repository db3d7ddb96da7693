//! The C library of a target: its address, and the instructions that can be replaced in it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use binary::{
    input,
    locate::{
        replaceable::{Offer, Replacements},
        site::Generation,
    },
    maps::{Backing, Mapping, Maps},
};

use super::InlineError;
use crate::{inline::error::LACKS_LIBRARY, sandbox};

/// C library that is mapped in a process.
pub struct Library {
    /// Instructions that can be replaced.
    pub replacements: Replacements,
    /// Address in memory minus address in the file.
    pub bias: u64,
    /// Range of the executable mapping.
    pub text: (u64, u64),
    /// Generation of its spin loop.
    pub generation: Option<Generation>,
    /// Name for the user.
    pub name: String,
}

/// Mappings of a process.
pub fn maps(pid: u32) -> Result<Maps, InlineError> {
    let text = fs::read(format!("/proc/{pid}/maps")).map_err(InlineError::unreadable(pid))?;
    // A process that is ending, or dead and not yet waited for, has lost its memory before its directory.
    if text.is_empty() { Err(InlineError::Gone(pid)) } else { Ok(Maps::parse(&text)) }
}

impl Library {
    /// Finds the library, and the instructions that can be replaced in it.
    pub fn of(pid: u32) -> Result<Self, InlineError> {
        let maps = maps(pid)?;
        let mut reason = format!("{LACKS_LIBRARY}: a static program, or one with a runtime of its own");
        let candidates = maps.all().iter().filter(|mapping| mapping.executable && is_candidate(mapping));
        let mut found: Vec<Self> = Vec::new();
        for mapping in candidates {
            match Self::in_mapping(pid, mapping) {
                Ok(library) => found.extend(library),
                Err(why) => reason = why,
            }
        }
        // If there are two, one can be unloaded (`dlclose`), and the other would not be counted in.
        if found.len() > 1 {
            "it has more than one C library mapped (dlmopen)".clone_into(&mut reason);
            found.clear();
        }
        match found.pop() {
            Some(library) => Ok(library),
            // A missing mapping may be due to the process having ended between two reads.
            None => Err(self::maps(pid)
                .err()
                .unwrap_or_else(|| InlineError::refused(pid, reason, "leave --inline away"))),
        }
    }

    /// True once the loader has mapped the last part of it, which is writable.
    pub fn is_loaded(pid: u32) -> Result<bool, InlineError> {
        Ok(maps(pid)?.all().iter().any(|mapping| mapping.writable && is_candidate(mapping)))
    }

    /// Library of which this mapping is the code; `None` where its code is mapped elsewhere, `Err` with the reason
    /// where it cannot be used.
    fn in_mapping(pid: u32, mapping: &Mapping) -> Result<Option<Self>, String> {
        let Some(path) = mapping.path() else { return Ok(None) };
        let name = mapping.name();
        if !name.starts_with("lib") {
            return Err("its C library is musl, which does not spin adaptively".to_owned());
        }
        let file = input::mapped(pid, (mapping.start, mapping.end), path, mapping.identity());
        let offer = file.and_then(|file| self::offer(&file, path));
        let offer = offer.map_err(|cause| format!("its {name} cannot be read ({cause})"))?;
        let Some(code) = offer.replacements.code.first() else {
            // In older releases the mutexes are in a library of their own.
            return Err(offer.refusal.unwrap_or_else(|| format!("{name} has no mutexes")));
        };
        let Some(offset) = offer.offset else { return Ok(None) };
        if !(mapping.offset..mapping.offset + (mapping.end - mapping.start)).contains(&offset) {
            return Ok(None);
        }
        let in_memory = mapping.start + (offset - mapping.offset);
        Ok(Some(Self {
            bias: in_memory.wrapping_sub(code.address),
            text: (mapping.start, mapping.end),
            generation: offer.generation,
            replacements: offer.replacements,
            name,
        }))
    }
}

/// A version of a file: identity, length, time of the last change.
type State = (input::Identity, u64, (i64, i64));

/// Number of files that are cached.
const MOST: usize = 16;

/// Instructions that a file offers for replacement: searched once, for as long as the file stays the same.
fn offer(file: &File, path: &Path) -> io::Result<Offer> {
    static KNOWN: Mutex<Vec<(State, Offer)>> = Mutex::new(Vec::new());
    let about = file.metadata()?;
    let state = (input::identity(file)?, about.len(), (about.ctime(), about.ctime_nsec()));
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, offer)) = known().iter().find(|(it, _)| *it == state) {
        return Ok(offer.clone());
    }
    let offer = sandbox::offer(file, path)?;
    let mut known = known();
    if known.len() == MOST {
        known.remove(0);
    }
    known.push((state, offer.clone()));
    Ok(offer)
}

fn is_candidate(mapping: &Mapping) -> bool {
    let name = mapping.name();
    let glibc = ["libc.so.6", "libc-2.", "libpthread-2.", "libpthread.so.0"];
    glibc.iter().any(|start| name.starts_with(start)) || name.starts_with("ld-musl-")
}

/// Longest distance of a jump, with room for the code itself.
const REACH: u64 = (2 << 30) - (64 << 20);

/// End of the addresses that a process can map.
const TOP: u64 = 0x7fff_ffff_f000;
/// Room for the growth of the heap and of the first thread's stack.
const GROWTH: u64 = 1 << 30;

/// Unmapped address range of so many bytes near the library, with a page to spare on either side: at the upper or the
/// lower end of a gap, the nearest one.
pub fn hole(maps: &Maps, text: (u64, u64), len: u64) -> Option<u64> {
    const SPARE: u64 = 0x1000;
    const LOWEST: u64 = 0x10000;
    let named = |mapping: &Mapping, name: &str| matches!(&mapping.backing, Backing::Named(it) if it == name);
    let is_stack = |start: u64| maps.at(start).is_some_and(|it| named(it, "[stack]"));
    let is_heap = |end: u64| maps.at(end - 1).is_some_and(|it| named(it, "[heap]"));
    let (mut below, mut candidates) = (LOWEST, Vec::new());
    for (start, end) in maps.all().iter().map(|it| (it.start, it.end)).chain([(TOP, TOP)]) {
        let from = below + if is_heap(below) { GROWTH } else { SPARE };
        let to = start.min(TOP).saturating_sub(if is_stack(start) { GROWTH } else { SPARE });
        if to.saturating_sub(from) >= len {
            candidates.extend([from, to - len]);
        }
        below = below.max(end);
    }
    let farthest = |base: u64| text.1.abs_diff(base).max(text.0.abs_diff(base + len));
    candidates.into_iter().filter(|base| farthest(*base) < REACH).min_by_key(|base| farthest(*base))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_has_ended_is_gone_and_not_refused() {
        let mut child = Command::new("true").spawn().unwrap();
        let stat = format!("/proc/{}/stat", child.id());
        // The process has ended, and is not reaped.
        while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
            std::thread::yield_now();
        }
        let error = Library::of(child.id()).err().unwrap();
        assert!(matches!(error, InlineError::Gone(_)), "{error}");
        child.wait().unwrap();
        assert!(matches!(Library::of(child.id()).err().unwrap(), InlineError::Gone(_)));
    }

    const LEN: u64 = 6 << 20;
    const TEXT: (u64, u64) = (0x7f00_2000_2000, 0x7f00_2010_0000);
    const MAPS: &str = "\
7f0000000000-7f0000001000 r--p 00000000 00:00 0
7f0020000000-7f0020001000 r--p 00000000 00:00 0
7f0020002000-7f0020100000 r-xp 00000000 fe:00 1 /lib/libc.so.6
7fff00000000-7fff00001000 rw-p 00000000 00:00 0 [stack]
";

    fn found(text: &str) -> Option<u64> {
        hole(&Maps::parse(text.as_bytes()), TEXT, LEN)
    }

    #[test]
    fn the_nearest_hole_that_is_large_enough_is_taken() {
        // Right above the library, which is nearer to its beginning than what lies below is to its end.
        assert_eq!(found(MAPS), Some(0x7f00_2010_1000));
        // Something right above it: right below it is nearest.
        let walled =
            MAPS.replace("7fff00000000", "7f0020100000-7f0100000000 r--p 00000000 00:00 0\n7fff00000000");
        assert_eq!(found(&walled), Some(0x7f00_2000_0000 - 0x1000 - LEN));
    }

    #[test]
    fn the_lower_end_of_a_gap_is_as_good_as_the_upper() {
        // The mapping below reaches down for 4 GiB, and the gap above is larger than a jump.
        let java = MAPS.replace("7f0000000000-7f0000001000", "7e0000000000-7f001fffffff");
        assert_eq!(found(&java), Some(0x7f00_2010_1000));
        // No gap is within reach.
        let crowded =
            java.replace("7fff00000000", "7f0020100000-7f0200000000 r--p 00000000 00:00 0\n7fff00000000");
        assert_eq!(found(&crowded), None);
    }

    #[test]
    fn stack_and_heap_keep_room_to_grow() {
        let below_stack = MAPS.replace("7fff00000000-7fff00001000", "7f0030000000-7f0030001000");
        assert_eq!(found(&below_stack), Some(0x7f00_2000_0000 - 0x1000 - LEN));
        let above_heap = "\
7f001f000000-7f0020000000 rw-p 00000000 00:00 0 [heap]
7f0020002000-7f0020100000 r-xp 00000000 fe:00 1 /lib/libc.so.6
";
        assert_eq!(found(above_heap), Some(0x7f00_2010_1000));
    }
}
