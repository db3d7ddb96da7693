//! The files with code that a process has mapped: opened so that each is the very one, and read for places to probe.

use std::{fs::File, io, path::PathBuf};

use binary::{
    files::Origin,
    input,
    locate::{
        maps::{Candidate, Mapping, candidates},
        plan::Planned,
        site::FilePlan,
    },
    maps::Maps,
};
use kernel::{sandbox, target};

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

/// Identity of a file that a process has mapped.
pub const fn id(candidate: &Candidate) -> FileId {
    (candidate.device, candidate.inode)
}

/// An open file and what was found in it.
pub struct Examined {
    /// Kept open: attaching by its descriptor cannot meet another file.
    pub file: File,
    /// Name: the C library with its release, or the last part of its path.
    pub library: String,
    /// Sites that can be probed.
    pub plan: FilePlan,
}

/// Opens and reads a file of a process.
///
/// # Errors
/// When it is not to be had any more, or not for this user.
pub fn examine(pid: u32, candidate: &Candidate) -> io::Result<Examined> {
    read(open(pid, candidate)?, Origin { pid, path: PathBuf::from(&candidate.path) })
}

/// Has an open file read.
pub fn read(file: File, origin: Origin) -> io::Result<Examined> {
    let Planned { library, plan } = sandbox::plan(&file, origin)?;
    Ok(Examined { file, library, plan })
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

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
