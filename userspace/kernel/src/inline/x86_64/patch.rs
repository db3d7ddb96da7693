//! Puts counters into a process.

use std::{fs::File, io, sync::Arc, thread, time::Duration};

use binary::locate::replaceable::JUMP;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::{
    About, Counts, Detail, Everything, Helper, InlineError, Jump, Removal,
    call::{Caller, Gadgets},
    code::{Code, jump},
    counters::Counters,
    halt::{Halted, apart},
    heirs::Inheritance,
    layout::{self, Entry, Header, Layout},
    library::{self, Library},
    memory::Memory,
    owner,
    pad::{Setting, pad},
    ptrace, refusal, removal, sharers,
    stub::{self, Stub},
};
use crate::inline::error::LACKS_LIBRARY;

/// Counters in a process, until [`Patch::remove`].
pub struct Patch {
    /// Properties of the counters.
    pub about: About,
    memory: Memory,
    counters: Counters,
    /// The helper process that has put them in and removes them, if there is one.
    helper: Option<Arc<Helper>>,
    removed: bool,
}

/// The first thread of a process, as the process knows it.
#[derive(Clone, Copy, Default)]
struct Leader {
    /// Address of its thread data; 0 where that is not known.
    address: u64,
    /// Thread id in the process's own PID namespace; 0 where that is not known.
    id: u32,
}

impl Leader {
    fn of(pid: u32, halted: &Halted, memory: &Memory, thread_id: Option<u32>) -> Self {
        let look = || {
            // The first thread may have ended before the others.
            let tid = halted.threads().find(|tid| *tid == pid)?;
            let address = ptrace::registers(tid).ok()?.fs_base;
            let id = memory.bytes(address.checked_add(thread_id?.into())?, 4).ok()?;
            Some(Self { address, id: u32::from_le_bytes(id.try_into().ok()?) })
        };
        look().unwrap_or_default()
    }
}

const PR_GET_MDWE: u64 = 66;
/// Number of attempts to find a thread that can be made to execute calls.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(5);

impl Patch {
    /// Puts counters into a process.
    ///
    /// # Errors
    /// The reason for the failure; the process is as it was.
    pub fn put_in(pid: u32, detail: Detail) -> Result<Self, InlineError> {
        apart(pid, || Self::put_in_here(pid, detail))
    }

    /// Puts counters into a program that has just begun, once its loader has mapped the C library.
    ///
    /// # Errors
    /// As for [`Patch::put_in`]; before that, the error of a process without a C library.
    pub fn put_in_loaded(pid: u32, detail: Detail) -> Result<Self, InlineError> {
        if !Library::is_loaded(pid)? {
            return Err(InlineError::refused(pid, LACKS_LIBRARY, "leave --inline away"));
        }
        Self::put_in(pid, detail)
    }

    fn put_in_here(pid: u32, detail: Detail) -> Result<Self, InlineError> {
        refusal::check(pid)?;
        // Counters of a killed tool are in the way.
        let repaired = removal::repair_here(pid)?.is_some();
        let library = Library::of(pid)?;
        if detail == Detail::Locks {
            tells_locks(pid, &library)?;
        }
        let memory = Memory::open(pid).map_err(InlineError::unreadable(pid))?;
        let gadgets = Gadgets::of(&memory, library.text).ok_or_else(|| {
            let reason = format!("{} has no code to make calls with", library.name);
            InlineError::refused(pid, reason, "leave --inline away")
        })?;
        let rows = if detail == Detail::Locks { layout::LOCK_ROWS } else { layout::KIND_ROWS };
        refusal::check_limits(pid, layout::whole(rows))?;
        let mut cut_short = 0;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                thread::sleep(PAUSE);
            }
            // Work while the process is stopped is kept to a minimum.
            let mut halted = Halted::all(pid)?;
            let leader = Leader::of(pid, &halted, &memory, library.replacements.thread_id);
            let made = make(pid, &mut halted, &memory, &library, gadgets, (detail, rows, leader.address));
            let stood = halted.release();
            cut_short += stood.cut_short;
            let Some((layout, counters, jumps)) = made? else { continue };
            let about = About {
                pid,
                layout,
                jumps,
                stopped: stood.time,
                cut_short,
                generation: library.generation,
                left_out: library.replacements.left_out,
                repaired,
                own_id: leader.id,
            };
            return Ok(Self { about, memory, counters, helper: None, removed: false });
        }
        let reason = "none of its threads stands on a stack of its own and outside of restartable sequences";
        Err(InlineError::refused(pid, reason, "try again, or leave --inline away"))
    }

    /// Counters that a helper has put in.
    pub(in crate::inline) fn of_helper(
        about: About,
        counters: File,
        helper: Arc<Helper>,
    ) -> Result<Self, InlineError> {
        let memory = Memory::open(about.pid).map_err(InlineError::unreadable(about.pid))?;
        let counters = Counters::of(counters, about.layout.rows);
        Ok(Self { about, memory, counters, helper: Some(helper), removed: false })
    }

    /// Descriptor of the shared memory, for another process that reads it.
    pub(in crate::inline) fn counters_file(&self) -> io::Result<File> {
        self.counters.file()
    }

    /// True if another program has removed the counters from the program that they were put into.
    #[must_use]
    pub fn has_vanished(&self) -> bool {
        let differs =
            |(address, jump): &Jump| self.memory.bytes(*address, JUMP).is_ok_and(|there| there != jump);
        self.about.jumps.iter().any(differs)
    }

    /// Counts up to now.
    ///
    /// # Errors
    /// When the shared memory cannot be read.
    pub fn read(&self) -> std::io::Result<Counts> {
        self.counters.read()
    }

    /// Counts up to now, with forked children, and by lock.
    ///
    /// # Errors
    /// When the shared memory cannot be read.
    pub fn read_all(&self) -> std::io::Result<Everything> {
        self.counters.read_all()
    }

    /// The running process that counts under a number, by the thread of it that counted first.
    #[must_use]
    pub fn process(&self, number: u16, thread: u32) -> Option<u32> {
        self.inheritance()?.process(number, thread)
    }

    /// Kind of a mutex, read from its memory, as the library's bits.
    #[must_use]
    pub fn kind(&self, mutex: u64) -> Option<u32> {
        const KIND: u64 = 16;
        let bytes = self.memory.bytes(mutex + KIND, 4).ok()?;
        bytes.try_into().ok().map(u32::from_le_bytes)
    }

    fn inheritance(&self) -> Option<Inheritance> {
        let (_, inode) = self.counters.identity().ok()?;
        Some(Inheritance { layout: self.about.layout, inode })
    }

    /// Removes the counters, also from processes that were forked since. The counts stay readable.
    ///
    /// # Errors
    /// The reason for a failure; what is left is harmless.
    pub fn remove(&mut self) -> Result<Removal, InlineError> {
        self.removed = true;
        let About { pid, layout, .. } = self.about;
        if let Some(done) = self.helper.as_ref().and_then(|helper| helper.remove(pid, layout.base)) {
            return done;
        }
        let done = apart(pid, || removal::remove(pid, &self.memory, layout));
        let heirs = apart(pid, || Ok(self.inheritance().map_or((0, 0), Inheritance::remove)));
        let (heirs, heirs_left) = heirs?;
        done.map(|done| Removal { heirs, heirs_left, ..done })
    }
}

impl Drop for Patch {
    fn drop(&mut self) {
        if !self.removed {
            // There is no caller to report an error to; memory that stays is harmless and found by its signature.
            let _ = self.remove();
        }
    }
}

fn make(
    pid: u32,
    halted: &mut Halted,
    memory: &Memory,
    library: &Library,
    gadgets: Gadgets,
    (detail, rows, leader): (Detail, u64, u64),
) -> Result<Option<(Layout, Counters, Vec<Jump>)>, InlineError> {
    is_as_expected(pid, library, memory)?;
    if let Some(other) = sharers::of(pid) {
        let reason = format!("process {other} has the same memory (CLONE_VM)");
        return Err(InlineError::refused(pid, reason, "leave --inline away"));
    }
    // The process may have installed a filter since the check.
    if refusal::has_filter(pid) {
        return Err(InlineError::refused(
            pid,
            "a seccomp filter forbids it system calls",
            "leave --inline away",
        ));
    }
    let maps = library::maps(pid)?;
    let base = library::hole(&maps, library.text, layout::whole(rows)).ok_or_else(|| {
        InlineError::refused(pid, "there is no room within reach of its C library", "leave --inline away")
    })?;
    let layout = Layout { base, rows };
    let Some(mut caller) = Caller::of(halted, pid, memory, &maps, gadgets)? else { return Ok(None) };
    may(pid, &mut caller)?;
    map_code(pid, &mut caller, layout)?;
    let made = furnish(pid, &mut caller, memory, layout).and_then(|counters| {
        caller.finish()?;
        write_jumps(pid, memory, library, layout, (detail, leader)).map(|jumps| (layout, counters, jumps))
    });
    match made {
        Ok(made) => Ok(Some(made)),
        Err(cause) => {
            // The thread that has done the rest can do this too.
            if let Some(mut caller) = Caller::of(halted, pid, memory, &maps, gadgets)? {
                removal::unmap(pid, &mut caller, layout)?;
                caller.finish()?;
            }
            Err(cause)
        }
    }
}

/// Opens the file behind a descriptor of another process. It is never opened by its own name: that could be a file of
/// another user, opened with the tool's rights.
fn descriptor(pid: u32, number: u64) -> io::Result<File> {
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    let process = pidfd_open(id, PidfdFlags::empty())?;
    let number = number.try_into().map_err(io::Error::other)?;
    Ok(pidfd_getfd(process, number, PidfdGetfdFlags::empty())?.into())
}

/// Locks are told apart at all sites or at none: rows without some of the events would be wrong.
fn tells_locks(pid: u32, library: &Library) -> Result<(), InlineError> {
    match library.replacements.places.iter().find(|place| place.lock.is_none()) {
        None => Ok(()),
        Some(place) => {
            let (name, function, passing) = (&library.name, &place.function, place.passing);
            let reason = format!("{function} of {name} does not tell where the mutex is at {passing:?}");
            Err(InlineError::refused(pid, reason, "take --inline without per-lock"))
        }
    }
}

/// Checks that the functions in memory are those of the file: a debugger or a tracer may have changed them.
fn is_as_expected(pid: u32, library: &Library, memory: &Memory) -> Result<(), InlineError> {
    for function in &library.replacements.code {
        let there = memory.bytes(function.address.wrapping_add(library.bias), function.bytes.len());
        let there = there.map_err(InlineError::step(pid, "reading its code"))?;
        if there != function.bytes {
            let reason = format!(
                "the code of {} in its memory is not that of the file: another program has changed it",
                library.name
            );
            return Err(InlineError::refused(
                pid,
                reason,
                "end other debuggers and uprobes; `pulse-trace doctor -p` names those that it sees",
            ));
        }
    }
    Ok(())
}

/// Asks the kernel, from inside the process, for limits that only the process itself can query.
fn may(pid: u32, caller: &mut Caller<'_>) -> Result<(), InlineError> {
    if caller.call(libc::SYS_prctl, [libc::PR_GET_DUMPABLE as u64, 0, 0, 0, 0, 0])? != 1 {
        let reason = "it is not dumpable: it does not want to be looked into";
        return Err(InlineError::refused(pid, reason, "leave --inline away"));
    }
    // Kernels before 6.3 do not know this request and return an error.
    if caller.call(libc::SYS_prctl, [PR_GET_MDWE, 0, 0, 0, 0, 0])? > 0 {
        let reason = "its memory may not become executable (PR_SET_MDWE)";
        return Err(InlineError::refused(pid, reason, "leave --inline away"));
    }
    Ok(())
}

fn map_code(pid: u32, caller: &mut Caller<'_>, layout: Layout) -> Result<(), InlineError> {
    let protection = (libc::PROT_READ | libc::PROT_EXEC) as u64;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE) as u64;
    let answer = caller.call(libc::SYS_mmap, [layout.base, layout::CODE, protection, flags, u64::MAX, 0])?;
    match answer {
        _ if answer as u64 == layout.base => Ok(()),
        denied if denied == -i64::from(libc::EACCES) || denied == -i64::from(libc::EPERM) => {
            Err(InlineError::refused(
                pid,
                "a security policy forbids it memory that can be executed",
                "leave --inline away",
            ))
        }
        _ => Err(failed(pid, "mapping code", answer)),
    }
}

fn failed(pid: u32, step: &'static str, answer: i64) -> InlineError {
    let errno = i32::try_from(-answer).unwrap_or(0);
    InlineError::Step { pid, step: step.into(), cause: io::Error::from_raw_os_error(errno) }
}

/// Has the target create memory for the counters, and opens it here too.
fn furnish(
    pid: u32,
    caller: &mut Caller<'_>,
    memory: &Memory,
    layout: Layout,
) -> Result<Counters, InlineError> {
    let writing = InlineError::step(pid, "writing code");
    let Stub { bytes, entry, results, shared, end } = stub::stub(layout.base + layout::STUB, layout);
    let header = Header { layout, owner: owner::me(), entries: Vec::new() };
    memory.write(layout.base, &header.bytes()).map_err(&writing)?;
    memory.write(entry - stub::NAME.len() as u64, &stub::NAME).map_err(&writing)?;
    memory.write(entry, &bytes).map_err(&writing)?;
    let mut counters = None;
    let mut wrong = None;
    caller.execute(entry, end, |regs| {
        let answer = regs.rax as i64;
        if let Some((_, step)) =
            results.iter().find(|(address, _)| *address == regs.rip).filter(|_| answer < 0)
        {
            wrong.get_or_insert_with(|| failed(pid, step, answer));
        }
        if regs.rip == shared && wrong.is_none() {
            let furnished = descriptor(pid, regs.rax).and_then(|file| Counters::furnish(file, layout.rows));
            match furnished {
                Ok(furnished) => counters = Some(furnished),
                Err(cause) => wrong = Some(InlineError::step(pid, "making room for counters")(cause)),
            }
        }
    })?;
    match (wrong, counters) {
        (Some(wrong), _) => Err(wrong),
        (None, Some(counters)) => Ok(counters),
        (None, None) => Err(InlineError::Gone(pid)),
    }
}

/// Writes the jumps, after everything else is in place; if the tool is killed between two of these writes, the target
/// still runs correctly.
fn write_jumps(
    pid: u32,
    memory: &Memory,
    library: &Library,
    layout: Layout,
    (detail, leader): (Detail, u64),
) -> Result<Vec<Jump>, InlineError> {
    let writing = InlineError::step(pid, "writing code");
    let number = layout::FIRST << layout::THREAD_BITS;
    memory.write(layout.number(), &number.to_le_bytes()).map_err(&writing)?;
    let mut code = Code::at(layout.base + layout::PADS);
    let (mut entries, mut jumps) = (Vec::new(), Vec::new());
    let setting = Setting {
        layout,
        bias: library.bias,
        thread_id: library.replacements.thread_id,
        leader,
        by_lock: detail == Detail::Locks,
    };
    for place in &library.replacements.places {
        let address = place.address.wrapping_add(library.bias);
        let too_far = || {
            InlineError::refused(pid, "there is no room within reach of its C library", "leave --inline away")
        };
        jumps.push((address, jump(address, code.here()).ok_or_else(too_far)?));
        let original: [u8; JUMP] = std::array::from_fn(|at| place.bytes[at]);
        entries.push(Entry { address, original });
        pad(&mut code, place, setting);
    }
    if code.here() > layout.number() || entries.len() > layout::ENTRIES {
        return Err(InlineError::refused(pid, "its library has too many places", "report this"));
    }
    memory.write(layout.base + layout::PADS, &code.finish()).map_err(&writing)?;
    memory.write(layout.base, &Header { layout, owner: owner::me(), entries }.bytes()).map_err(&writing)?;
    for (address, bytes) in &jumps {
        memory.write(*address, bytes).map_err(&writing)?;
    }
    Ok(jumps)
}
