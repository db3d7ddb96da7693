//! Marks that a library carries itself: the notes of `<sys/sdt.h>`.

use serde::{Deserialize, Serialize};

use object::read::elf::{FileHeader as _, SectionHeader as _};

use super::{
    elf::Image,
    instruction::{Class, classify},
};

/// The type of such a note.
const STAPSDT: u32 = 3;

/// A marked place, a nop in the code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Provider of the mark, such as `libc`.
    pub provider: String,
    /// Name of the mark, such as `mutex_entry`.
    pub name: String,
    /// In the file's own address space.
    pub address: u64,
    /// In the file.
    pub file_offset: u64,
    /// Address of the counter that has to be raised for the mark to be passed at all.
    pub semaphore: Option<u64>,
    /// Locations of the arguments, as the note writes them: `8@%rdi -4@$7`.
    pub arguments: String,
    /// Cost class of a hit.
    pub class: Class,
}

/// All marks whose address is in the code, in the order of the notes.
#[must_use]
pub fn marks(image: &Image<'_>) -> Vec<Mark> {
    let endian = image.file.endian();
    let bytes = image.file.data();
    // The base tells how far the file has been moved (prelinked) since the notes were written.
    let base = image.section(".stapsdt.base").map(|(address, _)| address);
    let mut found = Vec::new();
    let Ok(sections) = image.file.elf_header().sections(endian, bytes) else { return found };
    for section in sections.iter() {
        let Ok(Some(mut notes)) = section.notes(endian, bytes) else { continue };
        while let Ok(Some(note)) = notes.next() {
            if note.name() == b"stapsdt" && note.n_type(endian).0 == STAPSDT {
                found.extend(parse(image, base, note.desc()));
            }
        }
    }
    found
}

fn parse(image: &Image<'_>, base: Option<u64>, note: &[u8]) -> Option<Mark> {
    let (head, texts) = note.split_at_checked(24)?;
    let word = |at: usize| head.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    let (address, written_base, semaphore) = (word(0)?, word(8)?, word(16)?);
    let moved = base.map_or(0, |base| base.wrapping_sub(written_base));
    let mut texts = texts.split(|byte| *byte == 0).map(|text| std::str::from_utf8(text).ok());
    let mut text = || texts.next().flatten().map(str::to_owned);
    let (provider, name, arguments) = (text()?, text()?, text()?);
    let address = address.wrapping_add(moved);
    Some(Mark {
        provider,
        name,
        address,
        file_offset: image.offset_of(address)?,
        semaphore: (semaphore != 0).then(|| semaphore.wrapping_add(moved)),
        arguments,
        class: classify(image.code_from(address, 15)),
    })
}
