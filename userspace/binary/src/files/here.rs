//! Opened by this very process, with the rights that it has.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
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
    /// Places that [`WrittenNames`] refer to by index.
    places: RefCell<HashMap<u32, Place>>,
    next: Cell<u32>,
}

const DEBUG: &str = "usr/lib/debug";

impl Here {
    /// Closes what is kept open for these names.
    pub fn forget_names(&self, of: WrittenNames) {
        self.places.borrow_mut().remove(&of.0);
    }
}

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
        let number = self.next.replace(self.next.get().wrapping_add(1));
        self.places.borrow_mut().insert(number, place);
        Some(WrittenNames(number))
    }

    fn open_names(&self, of: WrittenNames) -> Option<File> {
        self.places.borrow().get(&of.0)?.open()
    }

    /// The process may live in another root; the machine's own may hold it too, and stays when the process is gone.
    fn debug(&self, of: &Origin, wanted: &Wanted) -> Vec<File> {
        let own = (of.pid != 0).then(|| PathBuf::from(format!("/proc/{}/root", of.pid)));
        let roots = own.into_iter().chain([PathBuf::from("/")]);
        let beside = of.path.parent().map(Path::to_owned);
        let directories = Directories { debug: vec![PathBuf::from(DEBUG)], root: PathBuf::new(), beside };
        let paths = directories.paths(wanted);
        let files = roots.flat_map(|root| {
            let open = |path: &PathBuf| input::regular_below(&root, path).ok();
            paths.iter().filter_map(open).collect::<Vec<_>>()
        });
        files.collect()
    }
}
