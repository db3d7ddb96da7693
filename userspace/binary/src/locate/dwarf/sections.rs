//! The sections of debug information, unpacked.

use std::borrow::Cow;

use gimli::{Dwarf, DwarfSections, EndianSlice, LittleEndian, SectionId};
use object::{CompressionFormat, Object as _, ObjectSection as _};

use super::Slice;
use crate::locate::elf::Image;

/// The largest debug section of a C library has 12 MB; what claims more than this is not unpacked.
const LARGEST: u64 = 1 << 30;
/// No compressor gets further than this with debug information.
const RATIO: u64 = 2_000;

/// All sections that are there, unpacked.
pub struct Sections<'a>(DwarfSections<Cow<'a, [u8]>>);

impl<'a> Sections<'a> {
    /// Unpacks the sections of debug information.
    ///
    /// # Errors
    /// The section that cannot be unpacked.
    pub fn load(image: &Image<'a>) -> Result<Self, String> {
        DwarfSections::load(|id| section(image, id)).map(Self)
    }

    /// Borrows the sections for reading.
    #[must_use]
    pub fn dwarf(&self) -> Dwarf<Slice<'_>> {
        self.0.borrow(|bytes| EndianSlice::new(bytes, LittleEndian))
    }
}

fn section<'a>(image: &Image<'a>, id: SectionId) -> Result<Cow<'a, [u8]>, String> {
    let Some(section) = image.file.section_by_name(id.name()) else { return Ok(Cow::default()) };
    let bad = |cause: String| format!("{} cannot be unpacked: {cause}", id.name());
    let data = section.compressed_data().map_err(|error| bad(error.to_string()))?;
    let packed = data.data.len() as u64;
    let plausible = data.uncompressed_size <= LARGEST && data.uncompressed_size / RATIO <= packed;
    if data.format != CompressionFormat::None && !plausible {
        return Err(bad(format!("{} bytes out of {packed} cannot be", data.uncompressed_size)));
    }
    data.decompress().map_err(|error| bad(error.to_string()))
}
