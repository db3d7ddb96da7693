//! Source lines, and functions that the compiler wrote into others, from debug information.

use std::sync::Arc;

use addr2line::Context;
use gimli::{Dwarf, Reader as _, SectionId};

use super::{Named, demangle};
use crate::symbolize::{
    bytes::{Blob, View},
    elf::Elf,
};

/// The sections that names and lines come from; places of variables are not among them.
const USED: [SectionId; 11] = [
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugAranges,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLineStr,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
    SectionId::DebugTypes,
];

/// Debug information of a file.
pub struct Lines {
    elf_sections: Vec<(SectionId, View)>,
    empty: View,
    context: Option<Context<View>>,
    lookups: usize,
}

/// Look-ups after which parsed units are dropped: what is kept only grows.
const KEPT_FOR: usize = 512;

/// Debug information larger than this is left alone: to parse its table of contents alone would take more memory than
/// all the rest of this program.
const LARGEST: u64 = 32 << 20;

impl Lines {
    /// Finds it; `None` where there is none.
    pub fn open(elf: &Elf, blob: &Arc<Blob>) -> Option<Self> {
        let info = elf.section(SectionId::DebugInfo.name())?;
        if info.size > LARGEST {
            return None;
        }
        let view = |id: &SectionId| Some((*id, elf.bytes(blob, elf.section(id.name())?)?));
        let elf_sections = USED.iter().filter_map(view).collect();
        Some(Self { elf_sections, empty: blob.view(0, 0), context: None, lookups: 0 })
    }

    /// The functions at an address, innermost first.
    pub fn at(&mut self, address: u64) -> Vec<Named> {
        self.lookups += 1;
        if self.lookups.is_multiple_of(KEPT_FOR) {
            self.context = None;
        }
        if self.context.is_none() {
            self.context = self.parse();
        }
        self.context.as_ref().and_then(|context| frames(context, address)).unwrap_or_default()
    }

    /// Drops what was parsed.
    pub fn rest(&mut self) {
        self.context = None;
    }

    fn parse(&self) -> Option<Context<View>> {
        let find = |id: SectionId| self.elf_sections.iter().find(|(of, _)| *of == id);
        let view = |id: SectionId| find(id).map_or_else(|| self.empty.clone(), |(_, view)| view.clone());
        let dwarf = Dwarf::load(|id| Ok::<_, gimli::Error>(view(id))).ok()?;
        Context::from_dwarf(dwarf).ok()
    }
}

fn frames(context: &Context<View>, address: u64) -> Option<Vec<Named>> {
    let mut frames = context.find_frames(address).skip_all_loads().ok()?;
    let mut named = Vec::new();
    while let Ok(Some(frame)) = frames.next() {
        let function = frame.function.and_then(|function| {
            function.name.to_string_lossy().map(|name| Arc::from(demangle::demangled(&name))).ok()
        });
        let location = frame.location.and_then(|place| Some((Arc::from(place.file?), place.line?)));
        named.push(Named { function, start: None, location, inlined: true });
    }
    if let Some(outermost) = named.last_mut() {
        outermost.inlined = false;
    }
    Some(named)
}
