//! Wire types of the `sched` probe.

#[cfg(feature = "user")]
use bytemuck::{Pod, Zeroable};

use crate::target::COMM_LEN;

/// Scheduling states of a thread, as far as they were seen.
pub mod state {
    /// It has not moved since it is followed: on a CPU, waiting for one, or blocked.
    pub const UNKNOWN: u32 = 0;
    /// On a CPU.
    pub const RUNNING: u32 = 1;
    /// Off the CPU until it is woken.
    pub const BLOCKED: u32 = 2;
    /// Woken, and waiting for a CPU.
    pub const WOKEN: u32 = 3;
    /// The CPU was taken from it; it waits to get one again.
    pub const PREEMPTED: u32 = 4;
    /// Born, but not yet let loose.
    pub const BORN: u32 = 5;
}

/// Activities other than a system call, as userspace or the kernel side found them: see [`Sched::initial`].
pub mod initial {
    /// Nothing is known of its activity.
    pub const NOTHING: u32 = 0;
    /// It was running or waiting for a CPU.
    pub const RUNNABLE: u32 = u32::MAX - 1;
    /// It was blocked outside of any system call.
    pub const OUTSIDE: u32 = super::OUTSIDE;
    /// It was stopped, traced or frozen.
    pub const STOPPED: u32 = u32::MAX - 3;
}

/// Places of blocked time that a thread can tell apart.
pub const PLACES: usize = 8;

/// A call in [`Place::call`] that means: outside of any.
pub const OUTSIDE: u32 = u32::MAX;

/// A place that is no [`Place`]: the thread is in a call or not, and this kernel does not tell.
pub const SOMEWHERE: u32 = u32::MAX - 2;

/// Blocked time in one system call.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Place {
    /// The call's index plus one, or [`OUTSIDE`]; 0 marks a free place.
    pub call: u32,
    /// Times that it was left; wraps.
    pub count: u32,
    /// Blocked time, ns.
    pub ns: u64,
}

/// A thread's scheduling and the time it has spent in each state. One per seat; the totals are written on the CPU that
/// the thread is switched in or out on, the time of the wakeup on its waker's.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Sched {
    /// Beginning of the present state, ns.
    pub since_ns: u64,
    /// Time of the last wakeup, ns.
    pub woken_ns: u64,
    /// One of the constants in [`state`].
    pub state: u32,
    /// Nonzero while its time is accounted: threads that are there already are opened once all hooks are in place.
    pub open: u32,
    /// The CPU that it last ran on, plus one.
    pub cpu: u32,
    /// The edge of its last waker; 0 for none.
    pub edge: u32,
    /// The key of that edge.
    pub edge_key: u64,
    /// The system call that it was in when the session began, or when it was last blocked without one having been seen
    /// to begin: its index plus one, or one of [`initial`].
    pub initial: u32,
    /// A wakeup came while it seemed to be running.
    pub racing: u32,
    /// Beginning of its accounting, ns.
    pub began_ns: u64,
    /// Time on a CPU.
    pub on_cpu_ns: u64,
    /// Time off the CPU within system calls.
    pub off_in_calls_ns: u64,
    /// Time between being woken and running.
    pub woken_wait_ns: u64,
    /// Time between being preempted and running.
    pub preempted_wait_ns: u64,
    /// Time of which it cannot be said.
    pub unknown_ns: u64,
    /// Blocked time beyond what [`Self::places`] can tell apart.
    pub elsewhere_ns: u64,
    /// Times that it was.
    pub elsewhere_count: u32,
    /// Times that it gave the CPU up; this and the following wrap.
    pub voluntary: u32,
    /// Times that the CPU was taken from it.
    pub involuntary: u32,
    /// Times that it went on on another CPU.
    pub migrations: u32,
    /// Blocked time by system call.
    pub places: [Place; PLACES],
    /// Its name when it last left a CPU, every now and then.
    pub comm: [u8; COMM_LEN],
    /// Time stopped by a signal or a tracer, or frozen.
    pub stopped_ns: u64,
    /// 1 if it left its CPU for that.
    pub stopped: u32,
    /// Fills the word.
    pub padding: u32,
    /// Time on a CPU in page faults outside of system calls, where they are measured.
    pub faults_ns: u64,
    /// Fills the last cache line.
    pub reserved: [u64; 4],
}

/// Histograms and counters of a row.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct SchedRow {
    /// Histograms in the pool, in the order of the purposes from [`crate::pool::purpose::WAKEUP_TO_RUN`] on.
    pub histograms: [u32; 4],
    /// Programs that are told apart among its wakers.
    pub programs: u32,
    /// Keeps the size a multiple of eight.
    pub padding: u32,
}

/// Activity of a row on one CPU; only that CPU writes to it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct CpuTime {
    /// Time of the stretches that ended.
    pub ns: u64,
    /// Number of uninterrupted runs on the CPU.
    pub stretches: u64,
}

/// A waker and the row that it wakes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Edge {
    /// See [`edge_key`]; 0 marks a free one.
    pub key: u64,
    /// Its histogram in the pool.
    pub histogram: u32,
    /// Keeps the size a multiple of eight.
    pub padding: u32,
    /// Name of the thread that first woke.
    pub comm: [u8; COMM_LEN],
}

/// Contexts in which a wakeup is made.
pub mod context {
    /// By a task of a target.
    pub const TASK: u64 = 0;
    /// By an interrupt.
    pub const INTERRUPT: u64 = 1;
    /// By a task of a program that is no target.
    pub const PROGRAM: u64 = 2;
}

/// Sources of interrupts.
pub mod source {
    /// The function of a high-resolution timer.
    pub const TIMER: u32 = 1;
    /// The first softirq; those after it follow in the kernel's order.
    pub const SOFTIRQ: u32 = 0x100;
    /// A device; its number is in the bits below.
    pub const DEVICE: u32 = 0x8000;
}

/// Programs that are told apart among the wakers of one row; the rest are [`OTHERS`].
pub const MAX_PROGRAMS: u32 = 16;

/// The value of all programs beyond those.
pub const OTHERS: u64 = 0;

/// Bits of a value: a process id, a [`source`], or a [`program`].
const VALUE_BITS: u32 = 38;

/// A waker, its context and the row that it wakes.
#[inline(always)]
#[must_use]
pub const fn edge_key(row: u32, context: u64, value: u64) -> u64 {
    (row as u64) << (VALUE_BITS + 2) | context << VALUE_BITS | value & ((1 << VALUE_BITS) - 1)
}

/// Row, context and value of a key.
#[inline(always)]
#[must_use]
pub const fn edge_parts(key: u64) -> (u32, u64, u64) {
    ((key >> (VALUE_BITS + 2)) as u32, key >> VALUE_BITS & 3, key & ((1 << VALUE_BITS) - 1))
}

/// The value of a program, by its name as two words of memory. Names of the kernel's workers go on with CPU and queue:
/// all of them are one.
#[inline(always)]
#[must_use]
pub const fn program(name: [u64; 2]) -> u64 {
    const KWORKER: u64 = u64::from_le_bytes(*b"kworker/");
    let (first, ends) = before_zero(name[0]);
    let rest = if ends || first == KWORKER { 0 } else { before_zero(name[1]).0 };
    let mixed = first.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ rest.rotate_left(29);
    mixed.wrapping_mul(0xd6e8_feb8_6659_fd93) >> (u64::BITS - VALUE_BITS) | 1
}

/// The bytes before the first zero, and whether there is one: older kernels leave parts of older names behind it.
#[inline(always)]
const fn before_zero(word: u64) -> (u64, bool) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let zeros = word.wrapping_sub(ONES) & !word & (ONES << 7);
    if zeros == 0 {
        return (word, false);
    }
    let lowest = zeros & zeros.wrapping_neg();
    (word & (lowest >> 7).wrapping_sub(1), true)
}

/// A thread that died, with all that is known of its time.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Ended {
    /// Its last accounts, closed.
    pub sched: Sched,
    /// The parts of the record that are not accounts.
    pub rest: EndedRest,
}

/// Details of a dead thread besides its accounts.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct EndedRest {
    /// Time of its death, ns.
    pub at_ns: u64,
    /// Time in system calls that ended.
    pub in_calls_ns: u64,
    /// The row that its calls are accounted to.
    pub row: u32,
    /// The row of its process.
    pub process: u32,
    /// Thread id in the initial PID namespace.
    pub tid: u32,
    /// Process id in the initial PID namespace.
    pub tgid: u32,
    /// The seat that it had.
    pub seat: u32,
    /// Fills the last cache line.
    pub reserved: [u32; 7],
}

const _: () = assert!(size_of::<Place>() == 16 && size_of::<Sched>() == 320 && size_of::<Ended>() == 384);
const _: () = assert!(size_of::<Edge>() == 32 && size_of::<CpuTime>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_comes_back_from_its_key() {
        let device = (source::DEVICE | 36) as u64;
        for (row, context, value) in
            [(1, context::TASK, 4_194_303), (70_000, context::PROGRAM, program([1, 2])), (3, 1, device)]
        {
            assert_eq!(edge_parts(edge_key(row, context, value)), (row, context, value));
        }
    }

    #[test]
    fn a_program_is_what_its_name_says() {
        let name = |bytes: &[u8; 16]| {
            let (first, rest) = bytes.split_at(8);
            program([first, rest].map(|half| u64::from_le_bytes(half.try_into().unwrap())))
        };
        assert_eq!(name(b"rm\0ld\0name\0\0\0\0\0\0"), name(b"rm\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
        assert_eq!(name(b"postgres: w\0\0\0\0\0"), name(b"postgres: w\0rest"));
        assert_eq!(name(b"kworker/u8:2-ev\0"), name(b"kworker/0:1H\0\0\0\0"));
        let others: [&[u8; 16]; 4] = [
            b"postgres: v\0\0\0\0\0",
            b"kworker\0\0\0\0\0\0\0\0\0",
            b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"ls\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ];
        for (at, one) in others.iter().enumerate() {
            assert_ne!(name(one), OTHERS);
            assert!(others.iter().skip(at + 1).all(|other| name(other) != name(one)), "{one:?}");
        }
    }
}
