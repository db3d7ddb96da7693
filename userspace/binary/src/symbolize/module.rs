//! One file that code was loaded from, and everything that was ever read of it.

use std::{
    collections::HashMap,
    mem,
    rc::Rc,
    sync::{Arc, OnceLock},
};

use super::{
    bytes::{Blob, Pool},
    calls,
    cfi::{Cfi, Row, Scratch},
    elf::{Elf, Machine},
    epilogue,
    names::{Beside, Named, Names},
    perf_map::PerfMap,
};
use crate::{
    files::{Files, Origin},
    input::Identity,
};

/// Rows and calls that a module keeps; beyond it all are forgotten and read again.
const MOST_ROWS: usize = 4096;
/// The smallest page of memory.
const PAGE: u64 = 4096;

/// A file, or memory with code in it.
pub struct Module {
    /// Last part of its path.
    pub name: Arc<str>,
    /// Its path in a process that it was seen in, for finding what lies beside it.
    pub origin: Origin,
    /// Identity of the file, which no other file has.
    pub identity: Option<Identity>,
    /// Its bytes; `None` where it could not be opened.
    pub blob: Option<Arc<Blob>>,
    files: Rc<dyn Files>,
    elf: OnceLock<Option<Elf>>,
    cfi: OnceLock<Option<Cfi>>,
    names: Option<Names>,
    /// Names that its runtime gives code made at run time; of memory without a file.
    perf_map: Option<PerfMap>,
    /// True once the file of names has been looked at since the last rest.
    is_fresh: bool,
    rows: HashMap<u64, Option<Arc<Row>>>,
    rows_by_code: HashMap<u64, Option<Arc<Row>>>,
    calls: HashMap<u64, Option<bool>>,
}

impl Module {
    /// A module of which nothing has been read yet.
    pub fn new(name: &str, origin: Origin, identity: Option<Identity>, files: Rc<dyn Files>) -> Self {
        Self {
            name: Arc::from(name),
            origin,
            identity,
            blob: None,
            files,
            elf: OnceLock::new(),
            cfi: OnceLock::new(),
            names: None,
            perf_map: None,
            is_fresh: false,
            rows: HashMap::new(),
            rows_by_code: HashMap::new(),
            calls: HashMap::new(),
        }
    }

    /// Its headers, read on first use.
    pub fn elf(&self) -> Option<&Elf> {
        let parse = || {
            self.about_to_read();
            Elf::parse(self.blob.as_ref()?)
        };
        self.elf.get_or_init(parse).as_ref()
    }

    /// Processor that it was compiled for.
    pub fn machine(&self) -> Option<Machine> {
        Some(self.elf()?.machine)
    }

    /// The row of unwind information for a place in the file.
    pub fn row(&mut self, scratch: &mut Scratch, offset: u64) -> Option<Arc<Row>> {
        if let Some(row) = self.rows.get(&offset) {
            return row.clone();
        }
        self.about_to_read();
        let row = self.read_row(scratch, offset).map(Arc::new);
        if self.rows.len() >= MOST_ROWS {
            self.rows.clear();
        }
        self.rows.insert(offset, row.clone());
        row
    }

    fn read_row(&self, scratch: &mut Scratch, offset: u64) -> Option<Row> {
        let (elf, blob) = (self.elf()?, self.blob.as_ref()?);
        let cfi = self.cfi.get_or_init(|| Cfi::open(elf, blob)).as_ref()?;
        cfi.row(scratch, elf.address_of(offset)?)
    }

    /// The row for a place in the file by the code behind it.
    pub fn row_by_code(&mut self, offset: u64) -> Option<Arc<Row>> {
        if let Some(row) = self.rows_by_code.get(&offset) {
            return row.clone();
        }
        self.about_to_read();
        let row = self.read_code(offset).and_then(|(begins, code)| epilogue::row(&code, begins, offset));
        let row = row.map(Arc::new);
        if self.rows_by_code.len() >= MOST_ROWS {
            self.rows_by_code.clear();
        }
        self.rows_by_code.insert(offset, row.clone());
        row
    }

    fn about_to_read(&self) {
        if self.blob.is_some() || self.perf_map.is_some() {
            let file = self.identity.filter(|_| self.perf_map.is_none());
            self.files.reading(&self.name, file, self.origin.pid);
        }
    }

    /// Code around a place; where the file or the memory ends close by, only what lies behind the place.
    fn read_code(&self, offset: u64) -> Option<(u64, Vec<u8>)> {
        let reach = epilogue::REACH as u64;
        let windows =
            [(offset.saturating_sub(reach), 2 * reach), (offset, reach), (offset, PAGE - offset % PAGE)];
        windows.into_iter().find_map(|(begins, length)| {
            let mut code = vec![0; length as usize];
            self.read(begins, &mut code)?;
            Some((begins, code))
        })
    }

    /// Bytes of the file, or of the process's memory where the code was made at run time.
    fn read(&self, offset: u64, into: &mut [u8]) -> Option<()> {
        match &self.blob {
            Some(blob) => blob.read(offset, into),
            None if self.is_made_at_run_time() => {
                let code = self.files.code(self.origin.pid, offset, into.len()).ok()?;
                into.copy_from_slice(code.get(..into.len())?);
                Some(())
            }
            None => None,
        }
    }

    /// True where its code is made at run time, and has its names from elsewhere.
    pub fn is_made_at_run_time(&self) -> bool {
        self.perf_map.is_some()
    }

    /// True where its code is made at run time and has no names.
    pub fn lacks_names(&self) -> bool {
        self.perf_map.as_ref().is_some_and(PerfMap::is_empty)
    }

    /// Takes names of code that is made at run time from where this process writes them; how many files that opened.
    pub fn name_by(&mut self, pid: u32) -> usize {
        if self.perf_map.is_some() {
            return 0;
        }
        self.perf_map = self.files.written_names(pid).map(PerfMap::new);
        usize::from(self.perf_map.is_some())
    }

    /// True if a call stands before a place in the file.
    pub fn follows_call(&mut self, offset: u64) -> Option<bool> {
        if let Some(known) = self.calls.get(&offset) {
            return *known;
        }
        self.about_to_read();
        let found = self.read_call(offset);
        if self.calls.len() >= MOST_ROWS {
            self.calls.clear();
        }
        self.calls.insert(offset, found);
        found
    }

    fn read_call(&self, offset: u64) -> Option<bool> {
        let machine = self.machine()?;
        let mut before = [0; calls::LONGEST];
        let len = usize::try_from(offset).map_or(calls::LONGEST, |offset| offset.min(calls::LONGEST));
        let before = &mut before[..len];
        self.read(offset - len as u64, before)?;
        Some(calls::ends_with_call(machine, before))
    }

    /// Takes the bytes, once they could be had.
    pub fn open(&mut self, pid: u32, blob: Arc<Blob>) {
        let name = self.name.clone();
        let origin = Origin { pid, path: mem::take(&mut self.origin.path) };
        *self = Self::new(&name, origin, self.identity, Rc::clone(&self.files));
        self.blob = Some(blob);
    }

    /// The functions at a place in the file, and its address as the file counts.
    pub fn named(&mut self, offset: u64, asked: u64, pool: &Pool) -> Option<(u64, Vec<Named>)> {
        self.about_to_read();
        if let Some(map) = &mut self.perf_map {
            if !mem::replace(&mut self.is_fresh, true)
                && let Some(file) = self.files.open_names(map.of)
            {
                map.refresh(file);
            }
            let (function, start) = map.at_address(asked)?;
            let named =
                Named { function: Some(function), start: Some(start), location: None, inlined: false };
            return Some((offset, vec![named]));
        }
        let shift = offset - asked;
        let address = self.elf()?.address_of(asked)?;
        if self.names.is_none() {
            let beside = Beside { files: &*self.files, origin: &self.origin, name: &self.name };
            self.names = Some(Names::open(self.elf()?, self.blob.as_ref()?, &beside, pool));
        }
        Some((address + shift, self.names.as_mut()?.at(address)))
    }

    /// Bytes that its tables of symbols take.
    pub fn held(&self) -> usize {
        self.names.as_ref().map_or(0, Names::held)
    }

    /// Drops what can be parsed again.
    pub fn rest(&mut self) {
        self.is_fresh = false;
        if self.is_made_at_run_time() {
            self.rows_by_code.clear();
            self.calls.clear();
        }
        if let Some(names) = &mut self.names {
            names.rest();
        }
    }

    /// Drops the names; they can be had again.
    pub fn forget_names(&mut self) {
        self.names = None;
    }
}
