//! The C library of a target: what can be replaced in it, and where it lies.

use std::{fs, path::PathBuf};

use super::{InlineError, layout::WHOLE};
use crate::{
    inline::error::LACKS_LIBRARY,
    locate::{
        debug_file::Nowhere,
        plan::plan,
        replaceable::{self, Replacements},
        site::Generation,
    },
    model::maps::{Backing, Mapping, Maps},
};

/// It.
pub struct Library {
    /// What can be replaced.
    pub replacements: Replacements,
    /// Address in memory minus address in the file.
    pub bias: u64,
    /// The executable mapping.
    pub text: (u64, u64),
    /// How its spin counts.
    pub generation: Option<Generation>,
    /// What it is called.
    pub name: String,
}

/// Mappings of a process.
pub fn maps(pid: u32) -> Result<Maps, InlineError> {
    let text = fs::read(format!("/proc/{pid}/maps")).map_err(InlineError::unreadable(pid))?;
    // A process that is ending, or dead and not yet waited for, has lost its memory before its directory.
    if text.is_empty() { Err(InlineError::Gone(pid)) } else { Ok(Maps::parse(&text)) }
}

impl Library {
    /// Finds it, and what can be replaced in it.
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
        // Of two, one can go again (`dlclose`), and the other would not be counted in.
        if found.len() > 1 {
            "it has more than one C library mapped (dlmopen)".clone_into(&mut reason);
            found.clear();
        }
        match found.pop() {
            Some(library) => Ok(library),
            // What was missing may have gone with the process, between two reads.
            None => Err(self::maps(pid)
                .err()
                .unwrap_or_else(|| InlineError::refused(pid, reason, "leave --inline away"))),
        }
    }

    /// True once the loader has mapped the last part of it, which is writable.
    pub fn is_loaded(pid: u32) -> Result<bool, InlineError> {
        Ok(maps(pid)?.all().iter().any(|mapping| mapping.writable && is_candidate(mapping)))
    }

    /// The one whose code is mapped here; `None` where that is elsewhere, else why it cannot be made use of.
    fn in_mapping(pid: u32, mapping: &Mapping) -> Result<Option<Self>, String> {
        let Some(path) = mapping.path() else { return Ok(None) };
        let name = mapping.name();
        if !name.starts_with("lib") {
            return Err("its C library is musl, which does not spin adaptively".to_owned());
        }
        let inside = PathBuf::from(format!("/proc/{pid}/root{}", path.display()));
        let direct = format!("/proc/{pid}/map_files/{:x}-{:x}", mapping.start, mapping.end);
        let gone = matches!(mapping.backing, Backing::File { deleted: true, .. });
        let bytes = fs::read(if gone { PathBuf::from(direct) } else { inside });
        let bytes = bytes.map_err(|_| format!("its {name} cannot be read"))?;
        let plan = plan(&bytes, &Nowhere);
        let replacements = replaceable::find(&bytes, &plan);
        let Some(code) = replacements.code.first() else {
            let why = plan.refusals.into_iter().chain(replacements.left_out).next();
            // In older releases the mutexes are in a library of their own.
            return Err(why.unwrap_or_else(|| format!("{name} has no mutexes")));
        };
        let Some(offset) = file_offset(&bytes, code.address) else { return Ok(None) };
        if !(mapping.offset..mapping.offset + (mapping.end - mapping.start)).contains(&offset) {
            return Ok(None);
        }
        let in_memory = mapping.start + (offset - mapping.offset);
        Ok(Some(Self {
            bias: in_memory.wrapping_sub(code.address),
            text: (mapping.start, mapping.end),
            generation: plan.generation,
            replacements,
            name,
        }))
    }
}

fn file_offset(bytes: &[u8], address: u64) -> Option<u64> {
    crate::locate::elf::Image::parse(bytes).ok()?.offset_of(address)
}

fn is_candidate(mapping: &Mapping) -> bool {
    let name = mapping.name();
    let glibc = ["libc.so.6", "libc-2.", "libpthread-2.", "libpthread.so.0"];
    glibc.iter().any(|start| name.starts_with(start)) || name.starts_with("ld-musl-")
}

/// Farthest that a jump may lead, with room for the code itself.
const REACH: u64 = (2 << 30) - (64 << 20);

/// A hole near the library that everything fits into, with a page to spare on either side.
pub fn hole(maps: &Maps, text: (u64, u64)) -> Option<u64> {
    const SPARE: u64 = 0x1000;
    const LOWEST: u64 = 0x10000;
    let mut below = LOWEST;
    let mut best: Option<u64> = None;
    for mapping in maps.all() {
        let stack = mapping.backing == Backing::Named("[stack]".to_owned());
        if mapping.start.saturating_sub(below) >= WHOLE + 2 * SPARE && !stack {
            let base = mapping.start - WHOLE - SPARE;
            let farthest =
                text.1.abs_diff(base).max(text.0.abs_diff(base)).max(text.1.abs_diff(base + WHOLE));
            let nearer = best.is_none_or(|best| text.0.abs_diff(base) < text.0.abs_diff(best));
            if farthest < REACH && nearer {
                best = Some(base);
            }
        }
        below = below.max(mapping.end);
    }
    best
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_has_ended_is_gone_and_not_refused() {
        let mut child = Command::new("true").spawn().unwrap();
        let stat = format!("/proc/{}/stat", child.id());
        // Ended, but not waited for.
        while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
            std::thread::yield_now();
        }
        let error = Library::of(child.id()).err().unwrap();
        assert!(matches!(error, InlineError::Gone(_)), "{error}");
        child.wait().unwrap();
        assert!(matches!(Library::of(child.id()).err().unwrap(), InlineError::Gone(_)));
    }

    #[test]
    fn the_nearest_hole_that_is_large_enough_is_taken() {
        let text = "\
7f0000000000-7f0000001000 r--p 00000000 00:00 0
7f0020000000-7f0020001000 r--p 00000000 00:00 0
7f0020002000-7f0020100000 r-xp 00000000 fe:00 1 /lib/libc.so.6
7fff00000000-7fff00001000 rw-p 00000000 00:00 0 [stack]
";
        let maps = Maps::parse(text.as_bytes());
        let base = hole(&maps, (0x7f00_2000_2000, 0x7f00_2010_0000)).unwrap();
        assert_eq!(base + WHOLE + 0x1000, 0x7f00_2000_0000);
        // Nothing else is within reach.
        let crowded = text.replace("7f0000000000-7f0000001000", "7e0000000000-7f001ff00000");
        assert_eq!(hole(&Maps::parse(crowded.as_bytes()), (0x7f00_2000_2000, 0x7f00_2010_0000)), None);
    }
}
