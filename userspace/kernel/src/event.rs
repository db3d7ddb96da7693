//! Opens perf events of the kernel, for counters and for probes.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

use aya::util::online_cpus;

/// The second published form of `perf_event_attr`, which every kernel takes.
#[repr(C)]
#[derive(Default)]
pub(super) struct Attributes {
    pub(super) kind: u32,
    pub(super) size: u32,
    pub(super) config: u64,
    pub(super) sample_period: u64,
    pub(super) sample_type: u64,
    pub(super) read_format: u64,
    pub(super) flags: u64,
    pub(super) wakeup: u32,
    pub(super) breakpoint: u32,
    /// Argument that depends on the kind of event: for a uprobe, the address of the file's path.
    pub(super) address: u64,
    /// Offset in that file.
    pub(super) offset: u64,
}

/// `disabled` flag: the event begins when it is enabled.
pub(super) const DISABLED: u64 = 1;
const CLOSE_ON_EXEC: libc::c_ulong = 1 << 3;
/// Family of the kernel's own events.
pub(super) const SOFTWARE: u32 = 1;
/// `PERF_EVENT_IOC_ENABLE`: the request that starts a counter.
pub(super) const ENABLE: libc::Ioctl = 0x2400;
/// `PERF_EVENT_IOC_DISABLE`.
const DISABLE: libc::Ioctl = 0x2401;
/// `PERF_EVENT_IOC_SET_BPF`.
const SET_PROGRAM: libc::Ioctl = 0x4004_2408;

impl Attributes {
    /// Opens an event of one thread, on all CPUs. The memory that `address` points to must stay valid during the call.
    pub(super) fn open(self, tid: u32) -> io::Result<OwnedFd> {
        self.open_on(tid.cast_signed(), -1)
    }

    /// Opens an event of a thread or of all (-1), on a CPU or on all (-1). Memory as for [`Self::open`].
    fn open_on(mut self, tid: i32, cpu: i32) -> io::Result<OwnedFd> {
        self.size = size_of::<Self>() as u32;
        let no_group = -1;
        // SAFETY: the attributes, and what they point to, outlive the call and carry their size; the result is a new
        // descriptor or -1.
        owned(unsafe {
            libc::syscall(libc::SYS_perf_event_open, &raw const self, tid, cpu, no_group, CLOSE_ON_EXEC)
        })
    }
}

/// Attaches a program to a software event on each CPU that is online, each time that the event is counted.
pub(super) fn on_each_cpu(number: u64, program: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    let attributes =
        || Attributes { kind: SOFTWARE, config: number, sample_period: 1, ..Attributes::default() };
    let cpus = online_cpus().map_err(|(_, error)| error)?;
    let open = |cpu: u32| {
        let event = Attributes { flags: DISABLED, ..attributes() }.open_on(-1, cpu.cast_signed())?;
        for (request, argument) in [(SET_PROGRAM, program.as_raw_fd()), (ENABLE, 0)] {
            // SAFETY: these requests take a number, and touch no memory of ours.
            if unsafe { libc::ioctl(event.as_raw_fd(), request, argument) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(event)
    };
    cpus.into_iter().map(open).collect()
}

/// Stops an event, and tells how often it was counted.
pub(super) fn count_at_end(event: &OwnedFd) -> u64 {
    // SAFETY: this request takes no memory of ours.
    unsafe { libc::ioctl(event.as_raw_fd(), DISABLE, 0) };
    let mut count = [0; size_of::<u64>()];
    match rustix::io::read(event, &mut count) {
        Ok(read) if read == count.len() => u64::from_ne_bytes(count),
        _ => 0,
    }
}

/// Takes ownership of the descriptor that a system call returned.
pub(super) fn owned(descriptor: libc::c_long) -> io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as i32) })
}

const _: () = assert!(size_of::<Attributes>() == 72);
