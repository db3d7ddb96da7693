//! Attaches probes to the code of one process, and detaches them.
//!
//! The kernel keeps a probe by file and offset. It puts the trap into the process wherever the process maps the file,
//! now or later, through `exec` too, and removes it when the last descriptor is closed, in any process.
//!
//! Linux 6.10 and newer attach all probes of a file at once, and remove their traps within microseconds; but the call
//! that detaches them waits, for 14 to 165 ms on a busy 6.18, while the process goes on. Older ones have an event for each, and
//! wait for some 100 ms with each one that is detached. Probes that 6.6 to 6.9 attach at once are meant for one thread
//! only, where that has not been repaired.

use std::{
    ffi::{CStr, CString},
    fs, io,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use aya::programs::{Program, ProgramError, UProbe};

use super::{
    Kernel, LoadError,
    event::{Attributes, DISABLED, owned},
    program,
};

/// Name of the program on every site.
pub const PROGRAM: &str = "mutex_site";
/// File with the kernel's type number of uprobe events.
const KIND: &str = "/sys/bus/event_source/devices/uprobe/type";

/// End of the verifier's complaint about an unknown helper: its number, here that of `bpf_get_attach_cookie`.
const ATTACH_COOKIE: &str = "#174";

/// Attributes of `BPF_LINK_CREATE` for an event.
#[repr(C)]
struct EventLink {
    program: u32,
    event: u32,
    attach_type: u32,
    flags: u32,
    cookie: u64,
}

/// Attributes of `BPF_LINK_CREATE` for many offsets of a file.
#[repr(C)]
struct ManyLink {
    program: u32,
    nothing: u32,
    attach_type: u32,
    flags: u32,
    path: u64,
    offsets: u64,
    counters: u64,
    cookies: u64,
    length: u32,
    way: u32,
    pid: u32,
    padding: u32,
}

const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_PERF_EVENT: u32 = 41;
const BPF_TRACE_UPROBE_MULTI: u32 = 48;

/// Offset in a file, and the cookie that its hits carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Offset in the file.
    pub offset: u64,
    /// Value that the program gets with each hit.
    pub cookie: u64,
}

/// Attached probes; dropping this detaches them.
#[derive(Debug)]
pub struct Uprobes {
    _links: Vec<OwnedFd>,
}

/// Method of attaching the program on this kernel.
pub(super) enum Sites {
    /// The program is attached to many sites at once.
    Many(OwnedFd),
    /// The program is attached to one site after the other.
    Each,
}

impl Kernel {
    /// Has the kernel verify the program that runs on sites. Returns true if it can be attached to many at once.
    ///
    /// # Errors
    /// When the kernel refuses the program.
    pub fn load_sites(&mut self) -> Result<bool, LoadError> {
        if let Ok(program) = program::load(PROGRAM, BPF_TRACE_UPROBE_MULTI, &self.map_descriptors)
            && takes_many(&program)
        {
            self.sites = Some(Sites::Many(program));
            return Ok(true);
        }
        self.site_program()?.load().map_err(|cause| LoadError::Program { name: PROGRAM, cause })?;
        self.sites = Some(Sites::Each);
        Ok(false)
    }

    fn site_program(&mut self) -> Result<&mut UProbe, LoadError> {
        match self.ebpf.program_mut(PROGRAM) {
            Some(Program::UProbe(program)) => Ok(program),
            _ => Err(LoadError::Missing { name: PROGRAM }),
        }
    }

    /// The descriptor of the program on sites, where aya does not have it.
    pub(super) fn site_descriptor(&self) -> Option<RawFd> {
        match &self.sites {
            Some(Sites::Many(program)) => Some(program.as_raw_fd()),
            _ => None,
        }
    }

    /// Attaches probes to offsets of a file, for one process.
    ///
    /// # Errors
    /// As `perf_event_open(2)` and `bpf(2)` have them. No probe is attached then.
    pub fn put(&mut self, pid: u32, file: &Path, spots: &[Spot]) -> io::Result<Uprobes> {
        let path = CString::new(file.as_os_str().as_bytes())?;
        if let Some(Sites::Many(program)) = &self.sites {
            return Ok(Uprobes { _links: vec![many(program, pid, &path, spots)?] });
        }
        let program = self.site_program().map_err(io::Error::other)?.fd().map_err(io::Error::other)?;
        let program = program.as_fd().as_raw_fd();
        let put = |spot: &Spot| link(program, &open(pid, &path, spot.offset)?, spot.cookie);
        Ok(Uprobes { _links: spots.iter().map(put).collect::<io::Result<_>>()? })
    }
}

/// True if a kernel is too old for programs that ask for the cookie of the site.
#[must_use]
pub fn lacks_cookies(error: &LoadError) -> bool {
    match error {
        LoadError::Program { name: PROGRAM, cause: ProgramError::LoadError { verifier_log, .. } } => {
            verifier_log
                .to_string()
                .lines()
                .any(|line| line.contains("func") && line.ends_with(ATTACH_COOKIE))
        }
        _ => false,
    }
}

fn many(program: &OwnedFd, pid: u32, path: &CStr, spots: &[Spot]) -> io::Result<OwnedFd> {
    let (offsets, cookies): (Vec<u64>, Vec<u64>) =
        spots.iter().map(|spot| (spot.offset, spot.cookie)).unzip();
    let link = ManyLink {
        program: number(program.as_raw_fd()),
        nothing: 0,
        attach_type: BPF_TRACE_UPROBE_MULTI,
        flags: 0,
        path: path.as_ptr() as u64,
        offsets: offsets.as_ptr() as u64,
        counters: 0,
        cookies: cookies.as_ptr() as u64,
        length: spots.len() as u32,
        way: 0,
        pid,
        padding: 0,
    };
    // SAFETY: the attributes, and what they point to, outlive the call, which is told their size; the result is a new
    // descriptor or -1.
    owned(unsafe { libc::syscall(libc::SYS_bpf, BPF_LINK_CREATE, &raw const link, size_of::<ManyLink>()) })
}

/// Checks that the kernel attaches many at once. A kernel without this attach type loads the program all the same, and
/// the first kernels with it took the process id for a thread id.
fn takes_many(program: &OwnedFd) -> bool {
    const NO_PROCESS: u32 = u32::MAX;
    let nowhere = [Spot { offset: 0, cookie: 0 }];
    let refused = |pid| many(program, pid, c"/", &nowhere).err().and_then(|error| error.raw_os_error());
    // EBADF: the path is no regular file. EINVAL: the process id is invalid.
    refused(0) == Some(libc::EBADF) && refused(NO_PROCESS) == Some(libc::EINVAL)
}

fn open(pid: u32, path: &CString, offset: u64) -> io::Result<OwnedFd> {
    let kind = fs::read_to_string(KIND)?.trim().parse().map_err(|_| io::ErrorKind::Unsupported)?;
    // Disabled: the trap is in all the same, and the scheduler has no event to switch.
    Attributes { kind, address: path.as_ptr() as u64, offset, flags: DISABLED, ..Attributes::default() }
        .open(pid)
}

fn link(program: RawFd, event: &OwnedFd, cookie: u64) -> io::Result<OwnedFd> {
    let link = EventLink {
        program: number(program),
        event: number(event.as_raw_fd()),
        attach_type: BPF_PERF_EVENT,
        flags: 0,
        cookie,
    };
    // SAFETY: the attributes outlive the call, which is told their size; the result is a new descriptor or -1.
    owned(unsafe { libc::syscall(libc::SYS_bpf, BPF_LINK_CREATE, &raw const link, size_of::<EventLink>()) })
}

/// A descriptor in the type of the attributes.
const fn number(descriptor: RawFd) -> u32 {
    descriptor.cast_unsigned()
}

const _: () = assert!(size_of::<EventLink>() == 24 && size_of::<ManyLink>() == 64);
