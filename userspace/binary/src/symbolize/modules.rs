//! The files that code was loaded from, shared by all processes that map them and open for as long as this lives: what
//! was removed, replaced, or belonged to a process that is gone can still be read.

use std::{collections::HashMap, path::Path, rc::Rc, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    bytes::{Blob, Pool},
    module::Module,
    process::{Process, Region},
};
use crate::{
    files::{Files, Origin},
    maps::{Backing, Device, Mapping, Maps},
};

/// Names a module for as long as its `Modules` live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ModuleId(u32);

impl ModuleId {
    /// Number of the module.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

/// Files held open at once; the usual limit of a process is 1,024, and others need some.
const MOST_FILES: usize = 384;

/// Largest image that is copied out of a process: the kernel's own code in it.
const LARGEST_IMAGE: u64 = 64 << 10;

#[derive(PartialEq, Eq, Hash)]
enum Key {
    File(Device, u64),
    Vdso,
    /// Memory of one process, by the name that it has there.
    Memory(u32, String),
}

/// All modules ever seen.
pub struct Modules {
    who: Rc<dyn Files>,
    /// Number of the first one.
    first: u32,
    all: Vec<Module>,
    known: HashMap<Key, ModuleId>,
    files: usize,
    /// Files that could not be opened for want of descriptors.
    pub refused: usize,
    /// Pages of all of them.
    pub pool: Pool,
}

impl Modules {
    /// None yet; the first will have this number.
    pub fn new(who: Rc<dyn Files>, first: u32) -> Self {
        Self {
            who,
            first,
            all: Vec::new(),
            known: HashMap::new(),
            files: 0,
            refused: 0,
            pool: Pool::default(),
        }
    }

    fn at(&self, id: ModuleId) -> usize {
        id.0.wrapping_sub(self.first) as usize
    }

    /// Module of an id.
    pub fn get(&self, id: ModuleId) -> Option<&Module> {
        self.all.get(self.at(id))
    }

    /// A module, to read more of it.
    pub fn get_mut(&mut self, id: ModuleId) -> Option<&mut Module> {
        let at = self.at(id);
        self.all.get_mut(at)
    }

    /// Drops parsed debug information of all.
    pub fn rest(&mut self) {
        self.all.iter_mut().for_each(Module::rest);
    }

    /// Drops all tables of symbols once they take more bytes than this together.
    pub fn keep_symbols_below(&mut self, most: usize) {
        if self.all.iter().map(Module::held).sum::<usize>() > most {
            self.all.iter_mut().for_each(Module::forget_names);
        }
    }

    /// Opens what is executable in a process.
    pub fn take(&mut self, pid: u32, maps: &Maps) -> Process {
        let executable = maps.all().iter().filter(|mapping| mapping.executable);
        let regions = executable.map(|mapping| self.region(pid, mapping)).collect();
        Process::new(maps, regions)
    }

    fn region(&mut self, pid: u32, mapping: &Mapping) -> Region {
        let (start, end) = (mapping.start, mapping.end);
        let (key, offset) = match &mapping.backing {
            Backing::File { path, .. } if is_doubly_mapped(path) => (Key::Memory(pid, mapping.name()), start),
            Backing::File { .. } => (Key::File(mapping.device, mapping.inode), mapping.offset),
            Backing::Named(name) if name == "[vdso]" => (Key::Vdso, 0),
            // Without a file, the address itself is the best name of a place.
            _ => (Key::Memory(pid, mapping.name()), start),
        };
        let module = match self.known.get(&key) {
            Some(known) => *known,
            None => self.add(key, pid, mapping),
        };
        self.open(module, pid, mapping);
        Region { start, end, offset, module }
    }

    fn add(&mut self, key: Key, pid: u32, mapping: &Mapping) -> ModuleId {
        let id = ModuleId(self.first.wrapping_add(self.all.len() as u32));
        let origin = Origin { pid, path: mapping.path().unwrap_or(Path::new("")).to_owned() };
        let identity = (mapping.inode != 0).then(|| mapping.identity());
        self.all.push(Module::new(&mapping.name(), origin, identity, Rc::clone(&self.who)));
        self.known.insert(key, id);
        id
    }

    fn open(&mut self, id: ModuleId, pid: u32, mapping: &Mapping) {
        let at = self.at(id);
        let Some(module) = self.all.get_mut(at).filter(|module| module.blob.is_none()) else {
            return;
        };
        match &mapping.backing {
            Backing::File { path, .. } if is_doubly_mapped(path) => self.files += module.name_by(pid),
            Backing::File { .. } if self.files >= MOST_FILES => self.refused += 1,
            Backing::File { .. } => {
                let file = self.who.mapped(pid, mapping).ok();
                if let Some(blob) = file.and_then(|file| Blob::file(file, &self.pool)) {
                    self.files += 1;
                    module.open(pid, blob);
                }
            }
            Backing::Named(name) if name == "[vdso]" => {
                if let Some(image) = image(&*self.who, pid, mapping) {
                    module.open(pid, Blob::memory(image));
                }
            }
            Backing::Anonymous if self.files < MOST_FILES => self.files += module.name_by(pid),
            Backing::Named(name) if name.starts_with("[anon") && self.files < MOST_FILES => {
                self.files += module.name_by(pid);
            }
            _ => {}
        }
    }

    /// Forgets the code that a process has made at run time: it is another program now.
    pub fn forget_memory(&mut self, pid: u32) {
        self.known.retain(|key, _| !matches!(key, Key::Memory(owner, _) if *owner == pid));
    }
}

/// True of memory of the runtime of .NET, which writes its code through another mapping.
fn is_doubly_mapped(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().starts_with(b"/memfd:doublemapper")
}

fn image(files: &dyn Files, pid: u32, mapping: &Mapping) -> Option<Arc<[u8]>> {
    let len = mapping.end - mapping.start;
    (len <= LARGEST_IMAGE).then(|| files.code(pid, mapping.start, len as usize).ok().map(Arc::from))?
}
