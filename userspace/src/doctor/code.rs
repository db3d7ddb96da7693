//! Files with code that a target has mapped, as it has them: also those that have been replaced on disk.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
};

use binary::{
    input,
    maps::{Mapping, Maps},
};
use kernel::target;

/// Larger files are not read whole.
const LARGEST: u64 = 256 << 20;
/// Beginnings of names of a C library's files: those with functions that tracers usually probe.
const LIBRARIES: [&str; 5] = ["libc.so", "libc-2.", "libpthread", "ld-musl-", "libc.musl-"];

/// A file with code in a process.
pub struct CodeFile {
    /// Its executable mapping.
    pub mapping: Mapping,
    pid: u32,
}

/// The files with code of a process in the order of its memory, each once; `None` where this user may not look.
pub fn files(pid: u32) -> Option<Vec<CodeFile>> {
    let maps = Maps::parse(&target::maps(pid)?);
    let mut found: Vec<CodeFile> = Vec::new();
    for mapping in maps.all().iter().filter(|it| it.executable && it.inode != 0 && it.path().is_some()) {
        let file = |it: &Mapping| (it.device, it.inode);
        if !found.iter().any(|known| file(&known.mapping) == file(mapping)) {
            found.push(CodeFile { mapping: mapping.clone(), pid });
        }
    }
    Some(found)
}

impl CodeFile {
    /// True if it belongs to the C library.
    pub fn is_c_library(&self) -> bool {
        let name = self.mapping.name();
        LIBRARIES.iter().any(|library| name.starts_with(library))
    }

    /// The very file that is mapped, even if its path leads elsewhere by now.
    pub fn open(&self) -> io::Result<File> {
        let Mapping { start, end, .. } = self.mapping;
        input::regular(format!("/proc/{}/map_files/{start:x}-{end:x}", self.pid).as_ref())
    }

    /// Its code as the process runs it, and as the file has it.
    pub fn both(&self) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let Mapping { start, end, offset, .. } = self.mapping;
        let file = self.open()?;
        let length = (end - start).min(file.metadata()?.len().saturating_sub(offset)).min(LARGEST);
        let (mut running, mut written) = (vec![0; length as usize], vec![0; length as usize]);
        file.read_exact_at(&mut written, offset)?;
        fs::File::open(format!("/proc/{}/mem", self.pid))?.read_exact_at(&mut running, start)?;
        Ok((running, written))
    }
}
