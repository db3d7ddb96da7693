//! Opened by this very process, with the rights that it has.

use std::{
    cell::RefCell,
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{Directories, Files, Origin, Place, Wanted, WrittenNames};
use crate::{input, maps::Mapping};

/// Opens everything itself.
#[derive(Default)]
pub struct Here {
    /// By number.
    places: RefCell<Vec<Place>>,
}

const DEBUG: &str = "usr/lib/debug";

impl Files for Here {
    fn maps(&self, pid: u32) -> io::Result<Vec<u8>> {
        fs::read(format!("/proc/{pid}/maps"))
    }

    fn mapped(&self, pid: u32, mapping: &Mapping) -> io::Result<File> {
        let path = mapping.path().unwrap_or(Path::new(""));
        input::mapped(pid, (mapping.start, mapping.end), path, mapping.identity())
    }

    fn code(&self, pid: u32, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        File::open(format!("/proc/{pid}/mem"))?.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    fn written_names(&self, pid: u32) -> Option<WrittenNames> {
        let place = Place::of(pid)?;
        let mut places = self.places.borrow_mut();
        places.push(place);
        Some(WrittenNames(places.len() as u32 - 1))
    }

    fn open_names(&self, of: WrittenNames) -> Option<File> {
        self.places.borrow().get(of.0 as usize)?.open()
    }

    /// The process may live in another root; the machine's own may hold it too, and stays when the process is gone.
    fn debug(&self, of: &Origin, wanted: &Wanted) -> Vec<File> {
        let own = (of.pid != 0).then(|| PathBuf::from(format!("/proc/{}/root", of.pid)));
        let roots = own.into_iter().chain([PathBuf::from("/")]);
        let paths = roots.flat_map(|root| {
            let debug = vec![root.join(DEBUG)];
            Directories { debug, root, beside: of.path.parent().map(Path::to_owned) }.paths(wanted)
        });
        paths.filter_map(|path| input::regular(&path).ok()).collect()
    }
}
