//! A separate file with symbols and debug information, found by what identifies the build.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    input,
    symbolize::{
        bytes::{Blob, Pool},
        elf::Elf,
    },
};

/// Where a file lies, to look beside it.
pub struct Beside<'a> {
    /// A process that has it mapped, or had.
    pub pid: u32,
    /// Its path there.
    pub path: &'a Path,
    /// Last part of it.
    pub name: &'a str,
}

const DIRECTORY: &str = "usr/lib/debug";

/// The file with the rest. Only one of the very same build is taken: names of another would be wrong.
pub fn find(elf: &Elf, blob: &Arc<Blob>, beside: &Beside<'_>, pool: &Pool) -> Option<(Elf, Arc<Blob>)> {
    let id = elf.build_id(blob)?;
    let link = elf.section(".gnu_debuglink").and_then(|section| elf.bytes(blob, section)?.text_at(0));
    // The process may live in another root; the host's own may hold it too, and stays when the process is gone.
    let roots = [PathBuf::from(format!("/proc/{}/root", beside.pid)), PathBuf::from("/")];
    let relative = candidates(&id, link.as_deref(), beside.path);
    let paths = roots.iter().flat_map(|root| relative.iter().map(|path| root.join(path)));
    paths.filter_map(|path| opened(&path, pool)).find(|(elf, blob)| elf.build_id(blob).as_ref() == Some(&id))
}

fn opened(path: &Path, pool: &Pool) -> Option<(Elf, Arc<Blob>)> {
    let blob = Blob::file(input::regular(path).ok()?, pool)?;
    Some((Elf::parse(&blob)?, blob))
}

fn candidates(id: &[u8], link: Option<&str>, path: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    if let [first, rest @ ..] = id {
        let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
        all.push(PathBuf::from(format!("{DIRECTORY}/.build-id/{first:02x}/{rest}.debug")));
    }
    let directory = path.strip_prefix("/").ok().and_then(Path::parent);
    if let (Some(link), Some(directory)) = (link.filter(|link| !link.contains('/')), directory) {
        let places = [directory.to_owned(), directory.join(".debug"), Path::new(DIRECTORY).join(directory)];
        all.extend(places.map(|place| place.join(link)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_places_are_tried_in_the_usual_order() {
        let found = candidates(&[0xab, 0xcd, 0x01], Some("x.debug"), Path::new("/opt/a/x"));
        let found: Vec<&str> = found.iter().filter_map(|path| path.to_str()).collect();
        let expected = [
            "usr/lib/debug/.build-id/ab/cd01.debug",
            "opt/a/x.debug",
            "opt/a/.debug/x.debug",
            "usr/lib/debug/opt/a/x.debug",
        ];
        assert_eq!(found, expected);
        assert_eq!(candidates(&[1, 2], Some("../../etc/passwd"), Path::new("/a/b")).len(), 1);
    }
}
