//! Loads the BPF object.

use std::{
    error::Error,
    fs, io,
    ops::RangeInclusive,
    os::fd::{AsFd as _, AsRawFd as _, RawFd},
    thread,
};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, Queue, RingBuf},
    programs::ProgramError,
    util::nr_cpus,
};
use binary::btf::{Btf, BtfError};
use bytemuck::Pod;
use model::probes::ProbeSet;
use pulse_trace_common::{
    loss::SLOTS,
    probes::{
        EVENT_KINDS,
        futex::OTHER_ENTRIES,
        syscalls::{Cell, Directory},
    },
    target::{Row, TIDS_PER_BLOCK, Thread},
};
use rustix::system::uname;

use super::{
    event_cells::EventMaps,
    futex::FutexMaps,
    limits::Limits,
    log::KernelLog,
    mapped::Mapped,
    mutex::MutexMaps,
    object,
    pool::Pool,
    privileges, sandbox,
    sched::SchedMaps,
    seats, settings,
    stacks::{RING, StackRing},
    uprobe::Sites,
};

/// Requirements of a session on the kernel side.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Capacities of the maps.
    pub limits: Limits,
    /// Probes to load.
    pub probes: ProbeSet,
    /// Stacks of a sample of waits and events are taken.
    pub stacks: bool,
    /// Processes forked by a target are targets.
    pub follow_children: bool,
    /// Every process is a target but the tool.
    pub everybody: bool,
    /// Threads have rows of their own.
    pub per_thread: bool,
    /// The kernel side writes a log of what it does.
    pub debug: bool,
}

/// Error of loading or attaching.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The kernel's type information is missing or unusable.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// The object or a map was refused.
    #[error(
        "cannot load the BPF object: {}; {}",
        causes(.0),
        remedy(.0)
    )]
    Object(#[from] aya::EbpfError),
    /// A program was refused.
    #[error(
        "cannot load BPF program {name}: {}; {}",
        verdict(cause),
        out_of_something(cause).unwrap_or(
            "this kernel refuses it, please report that with the output of `pulse-trace doctor`"
        )
    )]
    Program {
        /// Name of the program.
        name: &'static str,
        /// Error of the kernel or of `aya`.
        #[source]
        cause: ProgramError,
    },
    /// A program cannot be attached to an event.
    #[error(
        "cannot attach BPF program {name} to an event: {cause}; `pulse-trace doctor` tells what this kernel allows"
    )]
    Event {
        /// Name of the program.
        name: &'static str,
        /// Error of the kernel.
        #[source]
        cause: io::Error,
    },
    /// A program cannot be attached.
    #[error(
        "cannot attach BPF program {name}: {}; see `pulse-trace doctor` for what this kernel allows",
        causes(cause)
    )]
    Attach {
        /// Name of the program.
        name: &'static str,
        /// Error of the kernel or of `aya`.
        #[source]
        cause: ProgramError,
    },
    /// The object is not the one that this binary was built with.
    #[error("cannot find {name} in the BPF object: the build is broken")]
    Missing {
        /// Name of the missing program or map.
        name: &'static str,
    },
    /// A map is not as expected.
    #[error(
        "cannot use BPF map {name}: {}; see `pulse-trace doctor` for what this kernel allows",
        causes(cause)
    )]
    Map {
        /// Name of the map.
        name: &'static str,
        /// Error of the kernel or of `aya`.
        #[source]
        cause: MapError,
    },
    /// The session was ended before it began.
    #[error(
        "cannot trace: it was ended before all threads were followed; start it again and wait for its first numbers"
    )]
    Stopped,
    /// The number of CPUs could not be read.
    #[error("cannot count the CPUs of this machine: {0}; is /sys mounted?")]
    Cpus(#[source] io::Error),
    /// A map cannot be mapped into memory.
    #[error("cannot map the memory of BPF map {name}: {cause}; set less room with --limit")]
    Memory {
        /// Name of the map.
        name: &'static str,
        /// Error of the kernel.
        #[source]
        cause: io::Error,
    },
}

/// Message of an error with its sources, each sentence once.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// The system error among the sources of an error.
fn system_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let behind =
        |error: &&'a (dyn Error + 'static)| -> Option<&'a (dyn Error + 'static)> { (*error).source() };
    std::iter::successors(Some(error), behind).find_map(|error| error.downcast_ref())
}

/// Advice for an error of the machine or of a limit that has no room left; `None` for other errors.
fn out_of_something(error: &(dyn Error + 'static)) -> Option<&'static str> {
    match system_error(error)?.raw_os_error()? {
        libc::EMFILE | libc::ENFILE => Some("the limit of open files is reached: raise it with `ulimit -n`"),
        libc::ENOMEM => {
            Some("the machine or its cgroup is out of memory: trace less, or set less room with --limit")
        }
        _ => None,
    }
}

/// Advice for an object that cannot be loaded.
fn remedy(error: &(dyn Error + 'static)) -> &'static str {
    const FORBIDDEN: &str =
        "a security policy, a seccomp filter or lockdown forbids it: `pulse-trace doctor` tells what it sees";
    let is_forbidden =
        || system_error(error).is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    out_of_something(error).unwrap_or_else(|| match is_forbidden() {
        true => FORBIDDEN,
        false => "Linux 5.10 or newer is needed, `pulse-trace doctor` tells what is missing",
    })
}

/// Complaint of the verifier: the line before its statistics.
fn verdict(cause: &ProgramError) -> String {
    let ProgramError::LoadError { io_error, verifier_log } = cause else { return causes(cause) };
    let log = verifier_log.to_string();
    let statistics = ["verification time", "stack depth", "processed "];
    let decisive = log
        .lines()
        .rev()
        .find(|line| !line.is_empty() && !statistics.iter().any(|start| line.starts_with(start)));
    decisive.map_or_else(|| io_error.to_string(), |line| format!("{io_error}: {line}"))
}

impl LoadError {
    /// True if a missing privilege is the cause.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        let refused = system_error(self).is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
        refused && (!privileges::missing().is_empty() || !privileges::in_initial_user_namespace())
    }

    /// Sentence for the user about a missing privilege.
    #[must_use]
    pub fn privilege_sentence(&self) -> String {
        if !privileges::in_initial_user_namespace() {
            return "cannot load BPF programs: this is a user namespace, and the kernel allows no tracing from within one; \
                    run it on the host, or in a container without a user namespace of its own"
                .to_owned();
        }
        let missing = privileges::missing().join(" and ");
        let advice = privileges::advice("cap_bpf,cap_perfmon,cap_sys_ptrace");
        format!("cannot load BPF programs: this user lacks {missing}; {advice}")
    }
}

/// The loaded programs and their maps.
pub struct Kernel {
    pub(super) ebpf: Ebpf,
    /// The kernel's type information, once a program needed it.
    pub(super) btf: Option<aya::Btf>,
    pub(super) tids: Mapped<[u32; TIDS_PER_BLOCK]>,
    pub(super) threads: Mapped<Thread>,
    pub(super) rows: Mapped<Row>,
    pub(super) directories: Mapped<Directory>,
    pub(super) cells: Mapped<Cell>,
    pub(super) pool: Pool,
    pub(super) sched: SchedMaps,
    pub(super) futex: FutexMaps,
    pub(super) stacks: StackRing,
    pub(super) mutex: MutexMaps,
    pub(super) events: EventMaps,
    pub(super) free_threads: Queue<MapData, u32>,
    pub(super) free_rows: Queue<MapData, u32>,
    pub(super) free_cells: Queue<MapData, u32>,
    pub(super) free_lean_cells: Queue<MapData, u32>,
    pub(super) processes: HashMap<MapData, u32, u32>,
    pub(super) finished: RingBuf<MapData>,
    pub(super) log: Option<KernelLog>,
    pub(super) loss: PerCpuArray<MapData, [u64; SLOTS]>,
    pub(super) stage: Array<MapData, u64>,
    pub(super) limits: Limits,
    pub(super) per_thread: bool,
    pub(super) kernel_bytes: u64,
    /// Row of processes that find no row of their own; 0 where there is none.
    pub(super) others: u32,
    /// Method of attaching the program on probe sites, once that program is loaded.
    pub(super) sites: Option<Sites>,
    /// Descriptors of the maps, by name.
    pub(super) map_descriptors: std::collections::HashMap<String, RawFd>,
    /// Until the programs are loaded, their instructions name the maps by these descriptors.
    _maps: Vec<MapData>,
}

/// Largest thread id plus one.
fn pid_max() -> u32 {
    let text = fs::read_to_string("/proc/sys/kernel/pid_max").unwrap_or_default();
    text.trim().parse().unwrap_or(1 << 22)
}

impl Kernel {
    /// Loads the object with the maps sized for the session. Nothing is attached yet.
    ///
    /// # Errors
    /// When this kernel or this user cannot.
    pub fn load(setup: &Setup) -> Result<Self, LoadError> {
        if setup.stacks {
            sandbox::start_ahead();
        }
        // Parsing all of the kernel's types takes a while, and is needed only when programs are loaded.
        let types = thread::Builder::new().spawn(|| aya::Btf::from_sys_fs().ok());
        let limits = setup.limits.of_use_with(setup.probes);
        // Where processes come and go, those that find no row have one together, behind all others.
        let grows = setup.follow_children || setup.everybody;
        let others = if grows && limits.rows > 0 { limits.rows + 1 } else { 0 };
        let cpus = nr_cpus().map_err(|(_, cause)| LoadError::Cpus(cause))? as u32;
        let mut constants = settings::offsets(&Btf::of_kernel()?)?;
        constants.extend(constants_of(setup, &limits, cpus, others));
        let blocks = pid_max().div_ceil(TIDS_PER_BLOCK as u32);
        let mut loader = loader(setup, &constants, &lengths(setup, &limits, blocks, cpus));
        let mut ebpf = loader.load(&object::for_kernel(uname().release().to_string_lossy().as_ref()))?;
        let kernel_bytes = ebpf.maps().filter_map(|(_, map)| memory_of(map)).sum();
        let map_descriptors = descriptors(&ebpf);
        let mut maps = Vec::new();
        let mut kernel = Self {
            tids: map(&mut ebpf, &mut maps, "TIDS")?,
            threads: map(&mut ebpf, &mut maps, "THREADS")?,
            rows: map(&mut ebpf, &mut maps, "ROWS")?,
            directories: map(&mut ebpf, &mut maps, "DIRECTORIES")?,
            cells: map(&mut ebpf, &mut maps, "CELLS")?,
            pool: Pool::open(&mut ebpf, &mut maps, &limits)?,
            sched: SchedMaps::open(&mut ebpf, &mut maps, &limits, cpus)?,
            futex: FutexMaps::open(&mut ebpf, &mut maps, &limits)?,
            stacks: StackRing::open(&mut ebpf)?,
            mutex: MutexMaps::open(&mut ebpf, &mut maps, &limits)?,
            events: EventMaps::open(&mut ebpf, &mut maps)?,
            free_threads: filled(&mut ebpf, "FREE_THREADS", 1..=limits.threads)?,
            free_rows: filled(&mut ebpf, "FREE_ROWS", 1..=limits.rows)?,
            free_cells: filled(&mut ebpf, "FREE_CELLS", 1..=limits.histograms)?,
            free_lean_cells: filled(&mut ebpf, "FREE_LEAN_CELLS", limits.histograms + 1..=limits.cells())?,
            processes: typed(&mut ebpf, "PROCESSES")?,
            finished: typed(&mut ebpf, "FINISHED")?,
            log: setup.debug.then(|| KernelLog::open(&mut ebpf)).flatten(),
            loss: typed(&mut ebpf, "LOSS")?,
            stage: typed(&mut ebpf, "STAGE")?,
            ebpf,
            btf: None,
            sites: None,
            map_descriptors,
            limits,
            per_thread: setup.per_thread,
            kernel_bytes,
            others,
            _maps: maps,
        };
        if others != 0 {
            kernel.rows.write(others as usize, seats::others());
        }
        kernel.btf = types.ok().and_then(|types| types.join().ok()).flatten();
        Ok(kernel)
    }
}

/// A loader for a session, with constants of the programs and lengths of the maps.
fn loader<'a>(
    setup: &Setup,
    constants: &'a [(&'static str, u32)],
    lengths: &[(&'static str, u32)],
) -> EbpfLoader<'a> {
    let mut loader = EbpfLoader::new();
    // The programs carry no relocations; parsing the kernel's types for them would cost a tenth of a second.
    loader.btf(None);
    for (name, value) in constants {
        loader.override_global(name, value, true);
    }
    // Below the lowest level, the verifier removes every line of the log.
    const LOG_LEVELS: [u8; 2] = [0, u8::MAX];
    loader.override_global("AYA_LOG_LEVEL", &LOG_LEVELS[usize::from(setup.debug)], true);
    for (name, length) in lengths {
        loader.map_max_entries(name, *length);
    }
    loader
}

/// Constants of the programs, for this session.
fn constants_of(setup: &Setup, limits: &Limits, cpus: u32, others: u32) -> [(&'static str, u32); 13] {
    [
        ("LANE_MASK", limits.lanes - 1),
        ("FOLLOW_CHILDREN", u32::from(setup.follow_children)),
        ("EVERYBODY", u32::from(setup.everybody)),
        ("PER_THREAD", u32::from(setup.per_thread)),
        ("OWN_TGID", std::process::id()),
        ("READER_TGID", if setup.everybody && setup.stacks { sandbox::start() } else { 0 }),
        ("CPUS", cpus),
        ("CELL_HISTOGRAMS", limits.histograms),
        ("OTHERS", others),
        ("PROBE_SYSCALLS", u32::from(setup.probes.has("syscalls"))),
        ("PROBE_FUTEX", u32::from(setup.probes.has("futex"))),
        ("TAKE_STACKS", u32::from(setup.stacks)),
        ("PROBE_MUTEX", u32::from(setup.probes.has("mutex"))),
    ]
}

/// Lengths of the maps; a map that is not listed keeps the length of the object.
fn lengths(setup: &Setup, limits: &Limits, blocks: u32, cpus: u32) -> Vec<(&'static str, u32)> {
    let where_used = |used: bool, length: u32| if used { length + 1 } else { 1 };
    let rows = limits.rows + 1;
    let [syscalls, sched, futex, mutex] =
        ["syscalls", "sched", "futex", "mutex"].map(|name| setup.probes.has(name));
    let events = setup.probes.specs().filter_map(|spec| spec.events);
    let of_events = events.flat_map(|table| table.thread_maps).map(|name| (*name, limits.threads + 1));
    let mut lengths = vec![
        ("TIDS", blocks),
        ("THREADS", limits.threads + 1),
        ("FREE_THREADS", limits.threads.max(1)),
        ("ROWS", rows + 1),
        ("FREE_ROWS", limits.rows.max(1)),
        ("PROCESSES", limits.rows.max(1) + limits.threads),
        ("DIRECTORIES", where_used(syscalls, rows)),
        ("CELLS", limits.cells() + 1),
        ("FREE_CELLS", limits.histograms.max(1)),
        ("FREE_LEAN_CELLS", limits.lean_cells.max(1)),
        ("HISTOGRAMS", (limits.all_histograms() + 1) * limits.lanes),
        ("FREE_HISTOGRAMS", limits.distributions.max(1)),
        ("OWNERS", limits.distributions.max(1)),
        ("SCHED", where_used(sched, limits.threads)),
        ("SCHED_ROWS", where_used(sched, rows)),
        ("CPU_TIMES", where_used(sched, rows) * cpus),
        ("EDGES", limits.edges + 1),
        ("FREE_EDGES", limits.edges.max(1)),
        ("EDGE_IDS", limits.edges.max(1)),
        ("FUTEXES", limits.all_futexes() + 1),
        ("FREE_FUTEXES", limits.futexes.max(1)),
        ("FREE_OTHER_FUTEXES", OTHER_ENTRIES),
        ("FUTEX_IDS", limits.all_futexes().max(1)),
        ("HOLDERS", where_used(futex, limits.holders)),
        ("FREE_HOLDERS", limits.holders.max(1)),
        ("HOLDER_IDS", limits.holders.max(1)),
        ("WAITING", where_used(futex, limits.threads)),
        ("NAMED", where_used(futex, limits.threads)),
        ("MUTEXES", where_used(mutex, limits.mutexes)),
        ("FREE_MUTEXES", limits.mutexes.max(1)),
        ("MUTEX_IDS", limits.mutexes.max(1)),
        ("SPINNING", where_used(mutex, limits.threads)),
        ("HOLDING", where_used(mutex, limits.threads)),
        ("EVENTS", where_used(setup.probes.counts_events(), rows) * EVENT_KINDS),
        ("FINISHED", 1 << 16),
        ("STACKS", if setup.stacks { RING } else { 1 << 12 }),
        ("AYA_LOGS", if setup.debug { 1 << 20 } else { 1 << 12 }),
    ];
    lengths.extend(of_events);
    lengths
}

/// Converts a map to its type.
pub(super) fn typed<T: TryFrom<Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<T, LoadError> {
    let map = ebpf.take_map(name).ok_or(LoadError::Missing { name })?;
    T::try_from(map).map_err(|cause| LoadError::Map { name, cause })
}

/// A queue of free ids with all ids in it.
pub(super) fn filled(
    ebpf: &mut Ebpf,
    name: &'static str,
    ids: RangeInclusive<u32>,
) -> Result<Queue<MapData, u32>, LoadError> {
    let mut queue: Queue<MapData, u32> = typed(ebpf, name)?;
    for id in ids {
        queue.push(id, 0).map_err(|cause| LoadError::Map { name, cause })?;
    }
    Ok(queue)
}

/// An array map, mapped into memory.
pub(super) fn map<T: Pod>(
    ebpf: &mut Ebpf,
    maps: &mut Vec<MapData>,
    name: &'static str,
) -> Result<Mapped<T>, LoadError> {
    let Some(Map::Array(data)) = ebpf.take_map(name) else { return Err(LoadError::Missing { name }) };
    let len = data.info().map_err(|cause| LoadError::Map { name, cause })?.max_entries();
    let mapped = Mapped::new(data.fd().as_fd(), len as usize);
    maps.push(data);
    mapped.map_err(|cause| LoadError::Memory { name, cause })
}

/// Descriptors of all maps, which stay open during the session.
fn descriptors(ebpf: &Ebpf) -> std::collections::HashMap<String, RawFd> {
    let of = |(name, map): (&str, &Map)| Some((name.to_owned(), data_of(map)?.fd().as_fd().as_raw_fd()));
    ebpf.maps().filter_map(of).collect()
}

fn data_of(map: &Map) -> Option<&MapData> {
    match map {
        Map::Array(data)
        | Map::PerCpuArray(data)
        | Map::HashMap(data)
        | Map::Queue(data)
        | Map::RingBuf(data) => Some(data),
        _ => None,
    }
}

/// Memory of a map as the kernel reports it, in bytes.
fn memory_of(map: &Map) -> Option<u64> {
    let data = data_of(map)?;
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", data.fd().as_fd().as_raw_fd())).ok()?;
    info.lines().find_map(|line| line.strip_prefix("memlock:")?.trim().parse().ok())
}
