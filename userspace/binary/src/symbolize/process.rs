//! Mappings of one process, as far as code and stacks need them.

use super::modules::ModuleId;
use crate::maps::Maps;

/// Executable memory and the module that it shows.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// First address of the mapping.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// Offset in the module of its first byte.
    pub offset: u64,
    /// Module that is mapped.
    pub module: ModuleId,
}

/// One process and its mappings.
pub struct Process {
    regions: Vec<Region>,
    /// Memory that a stack may lie in.
    writable: Vec<(u64, u64)>,
}

/// A stack grows below the mapping that was seen last; no further than this.
const GROWTH: u64 = 16 << 20;

impl Process {
    /// From all mappings and the executable ones among them.
    pub fn new(maps: &Maps, regions: Vec<Region>) -> Self {
        let writable = maps.all().iter().filter(|mapping| mapping.writable);
        let writable = writable.map(|mapping| (mapping.start, mapping.end)).collect();
        Self { regions, writable }
    }

    /// The module at an address, and where in it the address lies.
    pub fn at(&self, address: u64) -> Option<(ModuleId, u64)> {
        let behind = self.regions.partition_point(|region| region.start <= address);
        let region = self.regions.get(behind.checked_sub(1)?)?;
        (address < region.end).then(|| (region.module, address - region.start + region.offset))
    }

    /// Mapped modules, by address.
    pub fn modules(&self) -> impl Iterator<Item = ModuleId> + '_ {
        self.regions.iter().map(|region| region.module)
    }

    /// First address behind the memory that a stack lies in.
    pub fn stack_end(&self, sp: u64) -> Option<u64> {
        let at = self.writable.partition_point(|(_, end)| *end <= sp);
        let (start, end) = self.writable.get(at)?;
        (start.saturating_sub(sp) < GROWTH).then_some(*end)
    }
}
