//! Extents of functions without a symbol, by the unwind table that every library carries.

use gimli::{BaseAddresses, CieOrFde, EhFrame, LittleEndian, UnwindSection as _};

use super::elf::Image;

/// Ranges of addresses, sorted; the unwind table has one for each function (or part of one).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extents(Vec<(u64, u64)>);

impl Extents {
    /// Reads the unwind table as far as it can be read.
    #[must_use]
    pub fn of(image: &Image<'_>) -> Self {
        let Some((address, bytes)) = image.section(".eh_frame") else { return Self::default() };
        let mut bases = BaseAddresses::default().set_eh_frame(address);
        if let Some((text, _)) = image.section(".text") {
            bases = bases.set_text(text);
        }
        if let Some((header, _)) = image.section(".eh_frame_hdr") {
            bases = bases.set_eh_frame_hdr(header);
        }
        let table = EhFrame::new(bytes, LittleEndian);
        let mut ranges = Vec::new();
        let mut entries = table.entries(&bases);
        // A damaged entry ends the walk: what follows it cannot be told from noise.
        while let Ok(Some(entry)) = entries.next() {
            let CieOrFde::Fde(partial) = entry else { continue };
            let Ok(entry) = partial.parse(|table, bases, offset| table.cie_from_offset(bases, offset)) else {
                break;
            };
            let (from, len) = (entry.initial_address(), entry.len());
            if let Some(to) = from.checked_add(len).filter(|to| *to > from) {
                ranges.push((from, to));
            }
        }
        ranges.sort_unstable();
        Self(ranges)
    }

    /// The size of the function that begins here.
    #[must_use]
    pub fn size_at(&self, address: u64) -> Option<u64> {
        let at = self.0.partition_point(|(from, _)| *from < address);
        let (from, to) = self.0.get(at)?;
        (*from == address).then(|| to - from)
    }

    /// The function, or part of one, that holds an address.
    #[must_use]
    pub fn around(&self, address: u64) -> Option<(u64, u64)> {
        let after = self.0.partition_point(|(from, _)| *from <= address);
        let (from, to) = self.0.get(after.checked_sub(1)?)?;
        (address < *to).then_some((*from, *to))
    }
}
