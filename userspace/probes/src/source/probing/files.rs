//! The files with code that a process has mapped: opened so that each is the very one, and read for places to probe.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use binary::{
    input,
    locate::{
        debug_file::Directories,
        maps::{Candidate, Mapping, candidates},
        plan::plan,
        site::FilePlan,
    },
    maps::Maps,
};
use kernel::target;

/// Nobody's program is larger; what says so is no file to be read.
const LARGEST: u64 = 2 << 30;

/// A file by device and number.
pub type FileId = input::Identity;

/// The files of a process; empty where it cannot be looked at.
pub fn of_process(pid: u32) -> Vec<Candidate> {
    let maps = target::maps(pid).map(|text| Maps::parse(&text)).unwrap_or_default();
    let mapping = |of: &binary::maps::Mapping| {
        let deleted = matches!(of.backing, binary::maps::Backing::File { deleted: true, .. });
        let path = of.path()?.to_str()?;
        Some(Mapping {
            start: of.start,
            end: of.end,
            executable: of.executable,
            offset: of.offset,
            device: (of.device.major, of.device.minor),
            inode: of.inode,
            path: if deleted { format!("{path} (deleted)") } else { path.to_owned() },
        })
    };
    let mappings: Vec<Mapping> = maps.all().iter().filter_map(mapping).collect();
    candidates(&mappings)
}

/// What identifies a file that a process has mapped.
pub const fn id(candidate: &Candidate) -> FileId {
    (candidate.device, candidate.inode)
}

/// An open file and what was found in it.
pub struct Examined {
    /// Kept open: attaching by its descriptor cannot meet another file.
    pub file: File,
    /// What it is called: the C library with its release, or the last part of its path.
    pub library: String,
    /// Where it can be probed.
    pub plan: FilePlan,
}

/// Opens and reads a file of a process.
///
/// # Errors
/// When it is not to be had any more, or not for this user.
pub fn examine(pid: u32, candidate: &Candidate) -> io::Result<Examined> {
    let file = open(pid, candidate)?;
    read(file, Path::new(&candidate.path), &format!("/proc/{pid}/root"))
}

/// Reads an open file that has this path below a root.
pub fn read(file: File, path: &Path, root: &str) -> io::Result<Examined> {
    let bytes = input::binary(&file, LARGEST)?;
    let inside = |path: &Path| PathBuf::from(format!("{root}{}", path.display()));
    let debug = Directories {
        roots: vec![inside(Path::new("/usr/lib/debug")), "/usr/lib/debug".into()],
        beside: path.parent().map(inside),
    };
    let plan = plan(&bytes, &debug);
    Ok(Examined { file, library: library(&bytes, path), plan })
}

/// Opens the very file that is mapped: a path may lead to a newer one by now.
fn open(pid: u32, candidate: &Candidate) -> io::Result<File> {
    let mut refused = io::Error::from(io::ErrorKind::NotFound);
    for source in candidate.sources(pid) {
        match input::regular(source.as_ref()) {
            Ok(file) if source.starts_with(format!("/proc/{pid}/map_files")) => return Ok(file),
            Ok(file) if input::is(&file, id(candidate))? => return Ok(file),
            Ok(_) => {}
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// The release of the GNU C library, as that says it itself, or else the file's name.
fn library(bytes: &[u8], path: &Path) -> String {
    const SAYS: &[u8] = b"stable release version ";
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(release) = name.strip_prefix("libpthread-").and_then(|rest| rest.strip_suffix(".so")) {
        return format!("glibc {release}");
    }
    let Some(at) = bytes.windows(SAYS.len()).position(|window| window == SAYS) else { return name };
    let is_number = |byte: &&u8| byte.is_ascii_digit() || **byte == b'.';
    let release: String =
        bytes[at + SAYS.len()..].iter().take_while(is_number).map(|byte| char::from(*byte)).collect();
    format!("glibc {}", release.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_says_which_release_it_is() {
        let bytes = b"..GNU C Library (Distro 2.36-9) stable release version 2.36.\nCopyright";
        assert_eq!(library(bytes, Path::new("/lib/libc.so.6")), "glibc 2.36");
        assert_eq!(library(b"", Path::new("/lib/libpthread-2.31.so")), "glibc 2.31");
        assert_eq!(library(b"", Path::new("/usr/bin/server")), "server");
    }

    #[test]
    fn the_files_of_this_process_are_found_and_are_the_right_ones() {
        let own = std::process::id();
        let files = of_process(own);
        let program = std::env::current_exe().unwrap();
        let found = files.iter().find(|file| Path::new(&file.path) == program).unwrap();
        assert!(input::is(&open(own, found).unwrap(), id(found)).unwrap());
        let other = Candidate { inode: found.inode + 1, range: (0, 1), ..found.clone() };
        assert!(open(own, &other).is_err());
    }
}
