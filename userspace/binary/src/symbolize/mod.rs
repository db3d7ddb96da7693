//! User stacks and their names: from copied registers and a copied piece of stack to functions and source lines.
//! Nothing is parsed before the first stack arrives, and files are read a page at a time.

mod bytes;
mod calls;
mod cfi;
mod elf;
mod epilogue;
pub mod folded;
mod frame;
mod internals;
pub mod merged;
mod module;
mod modules;
mod names;
mod perf_map;
mod process;
mod rows;
mod runtime;
mod stack;
mod unwind;

use std::{
    collections::HashMap,
    io,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use thiserror::Error;

use self::{
    bytes::{Blob, Pool},
    cfi::{Cfi, Row, Scratch},
    elf::{Elf, Machine},
    module::Module,
    modules::{ModuleId, Modules},
    names::{Beside, Names},
    process::Process,
    unwind::{Code, Ended},
};
pub use self::{
    frame::{Frame, caller, first_outside},
    runtime::Runtime,
    stack::{End, Spot, Stack},
    unwind::{Reached, Registers},
};
use crate::{
    files::{Files, Here, Origin},
    maps::Maps,
    service::Described,
};

/// Reason for which a process could not be observed.
#[derive(Debug, Error)]
pub enum SymbolizeError {
    /// Its maps cannot be read.
    #[error("cannot read /proc/{pid}/maps: {cause}; its stacks go without names")]
    Maps {
        /// Id of the process.
        pid: u32,
        /// Error of the kernel.
        cause: io::Error,
    },
    /// There are none: it has ended, or is a thread of the kernel.
    #[error(
        "cannot see any code of process {pid}: it has ended or has none of its own; its stacks go without names"
    )]
    Empty {
        /// Id of the process.
        pid: u32,
    },
}

/// Bytes of symbol tables that are kept; beyond it all are forgotten and read again.
const MOST_SYMBOLS: usize = 16 << 20;

/// A process is read again for an address in nothing known, but not more often than this.
const READ_AGAIN: Duration = Duration::from_millis(100);

/// Turns copied stacks into names.
pub struct Symbolizer {
    files: Rc<dyn Files>,
    machine: Option<Machine>,
    processes: HashMap<u32, Arc<Process>>,
    /// Time at which a process was last read for an address in nothing known.
    read_again: HashMap<u32, Instant>,
    modules: Modules,
    scratch: Scratch,
}

/// Reads all that is ever read of a binary, as if a stack led through the addresses that its last bytes name.
pub fn read_binary(bytes: &[u8]) {
    let pool = Pool::default();
    let blob = Blob::memory(Arc::from(bytes));
    let Some(elf) = Elf::parse(&blob) else { return };
    let origin = Origin { pid: 0, path: "/binary".into() };
    let beside = Beside { files: &Here::default(), origin: &origin, name: "binary" };
    let (cfi, mut names) = (Cfi::open(&elf, &blob), Names::open(&elf, &blob, &beside, &pool));
    let mut scratch = Scratch::new();
    for word in bytes.rchunks_exact(8).take(16) {
        let address = word.try_into().map_or(0, u64::from_le_bytes);
        cfi.as_ref().and_then(|cfi| cfi.row(&mut scratch, address));
        names.at(address);
    }
}

/// Reads a file of names that a runtime has written (`perf-PID.map`).
pub fn read_perf_map(bytes: &[u8]) {
    std::hint::black_box(perf_map::count(bytes));
}

impl Default for Symbolizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Symbolizer {
    /// One that knows of no process yet, and opens files itself.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Rc::new(Here::default()), 0)
    }

    /// One for which others open files, and whose first module has this number.
    #[must_use]
    pub fn with(files: Rc<dyn Files>, first_module: u32) -> Self {
        Self {
            machine: Machine::here(),
            processes: HashMap::new(),
            read_again: HashMap::new(),
            modules: Modules::new(Rc::clone(&files), first_module),
            files,
            scratch: Scratch::new(),
        }
    }

    /// Notes what a process has mapped and opens the files, without reading them: at attach, and again after it has
    /// started another program.
    ///
    /// # Errors
    /// When it cannot be seen.
    pub fn observe(&mut self, pid: u32) -> Result<(), SymbolizeError> {
        let text = self.files.maps(pid);
        let maps = Maps::parse(&text.map_err(|cause| SymbolizeError::Maps { pid, cause })?);
        if maps.all().is_empty() {
            return Err(SymbolizeError::Empty { pid });
        }
        let process = self.modules.take(pid, &maps);
        self.processes.insert(pid, Arc::new(process));
        Ok(())
    }

    /// A process was forked: until it starts another program, it has mapped what its parent has.
    pub fn inherit(&mut self, pid: u32, parent: u32) {
        if let Some(process) = self.processes.get(&parent) {
            self.processes.insert(pid, process.clone());
        }
    }

    /// Forgets what a process has mapped; its stacks keep their names.
    pub fn forget(&mut self, pid: u32) {
        self.modules.forget_memory(pid);
        self.processes.remove(&pid);
        self.read_again.remove(&pid);
    }

    /// Files that were left out as too many were open: their functions have no names.
    #[must_use]
    pub fn files_refused(&self) -> usize {
        self.modules.refused
    }

    /// The runtime of a process.
    #[must_use]
    pub fn runtime(&self, pid: u32) -> Runtime {
        let mapped = self.processes.get(&pid).into_iter().flat_map(|process| process.modules());
        Runtime::of(&self.modules, mapped)
    }

    /// True of a stack through code that was made at run time and has no names.
    #[must_use]
    pub fn lacks_names(&self, stack: &Stack) -> bool {
        stack.frames.iter().any(|spot| self.modules.get(spot.module).is_some_and(Module::lacks_names))
    }

    /// Follows a copied stack, whose first byte is the one that the stack pointer points to.
    pub fn unwind(&mut self, pid: u32, taken: &Registers, stack: &[u8]) -> Stack {
        if !self.processes.contains_key(&pid) && self.observe(pid).is_err() {
            return Stack::unobserved();
        }
        let (found, missed) = self.walk(pid, taken, stack);
        if missed && self.may_read_again(pid) && self.observe(pid).is_ok() {
            self.read_again.insert(pid, Instant::now());
            return self.walk(pid, taken, stack).0;
        }
        found
    }

    /// True if this process has not been read again just now: a library may have come since.
    fn may_read_again(&self, pid: u32) -> bool {
        self.read_again.get(&pid).is_none_or(|at| at.elapsed() > READ_AGAIN)
    }

    fn walk(&mut self, pid: u32, taken: &Registers, bytes: &[u8]) -> (Stack, bool) {
        let (Some(process), Some(machine)) = (self.processes.get(&pid), self.machine) else {
            return (Stack::unobserved(), false);
        };
        let mut code = Mapped { process, modules: &mut self.modules, scratch: &mut self.scratch, machine };
        let (found, ended) = unwind::walk(&mut code, machine, taken, bytes);
        let spots: Vec<Spot> = found
            .iter()
            .filter_map(|(address, reached)| {
                let (module, offset) = process.at(*address)?;
                Some(Spot { module, offset, reached: *reached })
            })
            .collect();
        let last = spots.last().and_then(|spot| self.modules.get(spot.module));
        let module = last.map_or_else(|| Arc::from("[anon]"), |module| module.name.clone());
        let end = match ended {
            Ended::Complete => End::Complete,
            Ended::CutByCopy => End::CutByCopy,
            Ended::NoUnwindInfo => End::NoUnwindInfo(module),
            Ended::UnknownRegister => End::UnknownRegister(module),
            Ended::Implausible => End::Implausible,
        };
        let missed = matches!(ended, Ended::Implausible | Ended::NoUnwindInfo);
        (Stack { frames: spots, end }, missed)
    }

    /// The functions at a place, and how far to trust that.
    pub fn described(&mut self, spot: Spot) -> Described {
        let frames = stack::frames_at(&mut self.modules, spot).into();
        let module = self.modules.get(spot.module);
        // Code that is made at run time may be named later, or become another function.
        let is_final = !module.is_some_and(Module::is_made_at_run_time);
        let lacks_names = module.is_some_and(Module::lacks_names);
        self.modules.keep_symbols_below(MOST_SYMBOLS);
        Described { frames, is_final, lacks_names }
    }

    /// The functions of a stack, the innermost first; also after its process has ended.
    pub fn describe(&mut self, stack: &Stack) -> Vec<Frame> {
        let mut frames = Vec::new();
        for spot in &stack.frames {
            frames.extend_from_slice(&self.described(*spot).frames);
        }
        frames
    }

    /// Gives back the memory of parsed debug information, which further names parse again: to be called when a batch of
    /// stacks has been described.
    pub fn rest(&mut self) {
        self.modules.rest();
    }
}

/// The code of one process, as the walk asks for it.
struct Mapped<'a> {
    process: &'a Process,
    modules: &'a mut Modules,
    scratch: &'a mut Scratch,
    machine: Machine,
}

impl Mapped<'_> {
    fn at(&self, address: u64) -> Option<(ModuleId, u64)> {
        self.process.at(address)
    }
}

impl Code for Mapped<'_> {
    fn is_executable(&self, address: u64) -> bool {
        self.at(address).is_some()
    }

    fn row(&mut self, address: u64) -> Option<Arc<Row>> {
        let (module, offset) = self.at(address)?;
        let module = self.modules.get_mut(module)?;
        if module.machine()? != self.machine {
            return None;
        }
        module.row(self.scratch, offset)
    }

    fn row_by_code(&mut self, address: u64) -> Option<Arc<Row>> {
        let (module, offset) = self.at(address)?;
        let module = self.modules.get_mut(module)?;
        // musl is built without unwind information, and what is made at run time has none that can be read.
        let is_without = match module.machine() {
            Some(machine) => machine == Machine::X86_64 && internals::is_library(&module.name),
            None => self.machine == Machine::X86_64 && module.is_made_at_run_time(),
        };
        if is_without { module.row_by_code(offset) } else { None }
    }

    fn follows_call(&mut self, address: u64) -> Option<bool> {
        let (module, offset) = self.at(address)?;
        let module = self.modules.get_mut(module)?;
        // A program of 32 bits has another kind of stack: nothing in it is a return address to us.
        let is_foreign = module.blob.is_some() && module.machine() != Some(self.machine);
        if is_foreign { Some(false) } else { module.follows_call(offset) }
    }

    fn stack_end(&self, sp: u64) -> Option<u64> {
        self.process.stack_end(sp)
    }
}

#[cfg(test)]
mod tests;
