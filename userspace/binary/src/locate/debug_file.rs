//! Where the debug information of a file is: in it, or in a file of its own.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use super::elf::Image;
use crate::input;

/// Most of a debug file that is read: those of C libraries have 5 to 10 MB.
const LARGEST: u64 = 512 << 20;

/// What a debug file is asked for by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Build id of the file that was stripped.
    pub build_id: Option<String>,
    /// Name that the file itself gives, and the checksum of the whole debug file.
    pub link: Option<(String, u32)>,
}

/// Somebody who may have debug files.
pub trait DebugFiles {
    /// Contents of files that may be the one, best first. Whether one is, is checked by the caller.
    fn candidates(&self, wanted: &Wanted) -> Vec<Vec<u8>>;
}

/// Has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nowhere;

impl DebugFiles for Nowhere {
    fn candidates(&self, _wanted: &Wanted) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// The directories where distributions put them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// Such as `/usr/lib/debug`, or the same below `/proc/PID/root`.
    pub roots: Vec<PathBuf>,
    /// The directory of the file itself, as seen from inside of the root.
    pub beside: Option<PathBuf>,
}

impl DebugFiles for Directories {
    fn candidates(&self, wanted: &Wanted) -> Vec<Vec<u8>> {
        self.paths(wanted).iter().filter_map(|path| read(path, wanted)).collect()
    }
}

impl Directories {
    fn paths(&self, wanted: &Wanted) -> Vec<PathBuf> {
        let by_id = wanted.build_id.as_deref().and_then(|id| id.split_at_checked(2)).map(|(first, rest)| {
            let name = format!(".build-id/{first}/{rest}.debug");
            self.roots.iter().map(move |root| root.join(&name))
        });
        // A name with a slash would lead out of the directories that are meant.
        let name = wanted.link.as_ref().map(|(name, _)| name).filter(|name| !name.contains('/'));
        let by_name = name.zip(self.beside.as_ref()).map(|(name, beside)| {
            let inside = beside.strip_prefix("/").unwrap_or(beside);
            let below = self.roots.iter().map(|root| root.join(inside).join(name));
            [beside.join(name), beside.join(".debug").join(name)].into_iter().chain(below).collect::<Vec<_>>()
        });
        by_id.into_iter().flatten().chain(by_name.into_iter().flatten()).collect()
    }
}

/// All of a file that may be the one: what has another build id is not read.
fn read(path: &Path, wanted: &Wanted) -> Option<Vec<u8>> {
    let file = input::regular(path).ok()?;
    if let Some(wanted) = &wanted.build_id {
        return (input::build_id(&file)? == *wanted).then(|| input::binary(&file, LARGEST).ok())?;
    }
    // The checksum is that of all of it.
    let len = file.metadata().ok()?.len();
    let mut bytes = Vec::new();
    (len <= LARGEST).then(|| file.take(len).read_to_end(&mut bytes).ok())??;
    Some(bytes)
}

/// What to ask for.
#[must_use]
pub fn wanted(image: &Image<'_>) -> Wanted {
    use object::Object as _;
    let link = image.file.gnu_debuglink().ok().flatten();
    let link = link.and_then(|(name, sum)| Some((std::str::from_utf8(name).ok()?.to_owned(), sum)));
    Wanted { build_id: image.build_id(), link }
}

/// Whether a file holds the debug information of the one that asked: by build id, or without one by checksum.
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

    #[test]
    fn paths_are_those_of_distributions() {
        let directories =
            Directories { roots: vec!["/usr/lib/debug".into()], beside: Some("/lib/x86_64".into()) };
        let wanted = |name: &str| Wanted { build_id: Some("ab12".into()), link: Some((name.into(), 1)) };
        let paths: Vec<String> =
            directories.paths(&wanted("c.debug")).iter().map(|path| path.display().to_string()).collect();
        assert_eq!(
            paths,
            [
                "/usr/lib/debug/.build-id/ab/12.debug",
                "/lib/x86_64/c.debug",
                "/lib/x86_64/.debug/c.debug",
                "/usr/lib/debug/lib/x86_64/c.debug",
            ]
        );
        assert_eq!(directories.paths(&wanted("../../etc/shadow")).len(), 1);
    }
}
