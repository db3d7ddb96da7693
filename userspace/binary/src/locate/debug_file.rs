//! Debug information of a file: in it, or in a file of its own.

use std::{fs::File, io::Read as _};

use super::elf::Image;
use crate::{
    files::{Directories, Files, Origin, Wanted},
    input,
};

/// Most of a debug file that is read: those of C libraries have 5 to 10 MB.
const LARGEST: u64 = 512 << 20;

/// Source of debug files.
pub trait DebugFiles {
    /// Contents of files that may be the one, best first. Whether one is, is checked by the caller.
    fn candidates(&self, wanted: &Wanted) -> Vec<Vec<u8>>;
}

/// Source without any debug files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nowhere;

impl DebugFiles for Nowhere {
    fn candidates(&self, _wanted: &Wanted) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

impl DebugFiles for Directories {
    fn candidates(&self, wanted: &Wanted) -> Vec<Vec<u8>> {
        let files = self.paths(wanted).into_iter().filter_map(|path| input::regular(&path).ok());
        files.filter_map(|file| read(file, wanted)).collect()
    }
}

/// Debug files of a file that a process has mapped.
pub struct Beside<'a> {
    /// Opens the debug files.
    pub files: &'a dyn Files,
    /// The file that they belong to.
    pub origin: &'a Origin,
}

impl DebugFiles for Beside<'_> {
    fn candidates(&self, wanted: &Wanted) -> Vec<Vec<u8>> {
        let files = self.files.debug(self.origin, wanted).into_iter();
        files.filter_map(|file| read(file, wanted)).collect()
    }
}

/// All of a file that may be the one: what has another build id is not read.
fn read(file: File, wanted: &Wanted) -> Option<Vec<u8>> {
    if let Some(wanted) = &wanted.build_id {
        return (input::build_id(&file)? == *wanted).then(|| input::binary(&file, LARGEST).ok())?;
    }
    // The checksum is that of all of it.
    let len = file.metadata().ok()?.len();
    let mut bytes = Vec::new();
    (len <= LARGEST).then(|| file.take(len).read_to_end(&mut bytes).ok())??;
    Some(bytes)
}

/// Keys by which a file's debug file is asked for.
#[must_use]
pub fn wanted(image: &Image<'_>) -> Wanted {
    use object::Object as _;
    let link = image.file.gnu_debuglink().ok().flatten();
    let link = link.and_then(|(name, sum)| Some((std::str::from_utf8(name).ok()?.to_owned(), sum)));
    Wanted { build_id: image.build_id(), link }
}

/// Reports whether a file holds the debug information of the one that asked: by build id, or without one by checksum.
#[must_use]
pub fn fits(wanted: &Wanted, bytes: &[u8]) -> bool {
    let Ok(image) = Image::parse(bytes) else { return false };
    match (&wanted.build_id, image.build_id()) {
        (Some(wanted), Some(found)) => *wanted == found,
        (None, None) => wanted.link.as_ref().is_some_and(|(_, sum)| *sum == checksum(bytes)),
        _ => false,
    }
}

/// CRC-32 as `.gnu_debuglink` has it.
fn checksum(bytes: &[u8]) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|index| {
        let step = |value: u32| if value & 1 == 0 { value >> 1 } else { 0xedb8_8320 ^ (value >> 1) };
        (0..8).fold(u32::try_from(index).unwrap_or_default(), |value, _| step(value))
    });
    let next = |sum: u32, byte: &u8| table[usize::from(sum as u8 ^ byte)] ^ (sum >> 8);
    !bytes.iter().fold(u32::MAX, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
        assert_eq!(checksum(b""), 0);
    }
}
