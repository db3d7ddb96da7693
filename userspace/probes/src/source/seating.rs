//! Attaching of threads that exist already. With thousands of them this takes a while, and the user sees the progress.

use bytemuck::Zeroable as _;
use kernel::{Candidate, Kernel, Seat, Seating, target};
use pulse_trace_common::target::{Row, phase, row_flag, thread_flag};

use super::{host, live::Target};

/// Progress of getting ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Name of the step.
    pub doing: &'static str,
    /// For how many threads it is done.
    pub done: usize,
    /// Number of threads in this step; those that are born meanwhile seat themselves.
    pub of: usize,
}

/// Hears how far it has come, and says whether to go on.
pub type Onlooker<'a> = dyn FnMut(Progress) -> bool + 'a;

/// After so many threads the onlooker hears of it.
const STRIDE: usize = 64;

/// Counts threads for an onlooker.
pub(super) struct Meter<'a, 'b> {
    onlooker: &'a mut Onlooker<'b>,
    now: Progress,
    goes_on: bool,
}

impl<'a, 'b> Meter<'a, 'b> {
    /// Begins to count; the onlooker hears that at once.
    pub(super) fn begin(onlooker: &'a mut Onlooker<'b>, doing: &'static str, of: usize) -> Self {
        let now = Progress { doing, done: 0, of };
        let goes_on = onlooker(now);
        Self { onlooker, now, goes_on }
    }

    /// One more is done. Tells whether to go on.
    pub(super) fn step(&mut self) -> bool {
        self.now.done += 1;
        if self.now.done.is_multiple_of(STRIDE) {
            self.now.of = self.now.of.max(self.now.done);
            self.goes_on &= (self.onlooker)(self.now);
        }
        self.goes_on
    }

    /// False once the onlooker has said stop.
    pub(super) fn goes_on(&self) -> bool {
        self.goes_on
    }
}

/// Outcome of attaching to the threads of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seated {
    /// Time at which it joined, ns of the monotonic clock.
    pub joined_ns: u64,
    /// Threads that have a seat from this on.
    pub seated: u64,
    /// Threads that found no room.
    pub refused: u64,
    /// True if it was alive when all of its threads were seated.
    pub alive: bool,
}

/// Seats all threads of a target, which this process has forked if that is known. The kernel side seats those born
/// meanwhile, so a pass that finds no new one has found all.
pub(super) fn seat(
    kernel: &mut Kernel,
    target: &Target<'_>,
    parent: u32,
    meter: &mut Meter<'_, '_>,
) -> Seated {
    let (pinned, now) = (target.pinned, host::monotonic_ns());
    let alone = pinned.only_thread.is_some();
    let flags = if alone { row_flag::ALONE } else { 0 };
    let (tgid, comm) = (pinned.pid, pinned.comm);
    let process = kernel.open_process(Row { tgid, comm, parent, flags, joined_ns: now, ..Row::zeroed() });
    let joined_ns = process.and_then(|id| kernel.row(id)).map_or(now, |row| row.joined_ns);
    let mut taken = Seated { joined_ns, seated: 0, refused: 0, alive: true };
    loop {
        let mut seats: Vec<(u32, Seat)> = Vec::new();
        for tid in pinned.threads() {
            let candidate = Candidate {
                tid,
                tgid: pinned.pid,
                process,
                phase: if target.held { phase::HELD } else { phase::FRESH },
                flags: if alone { thread_flag::ALONE } else { 0 },
                comm: pinned.thread_comm(tid),
            };
            match kernel.seat(&candidate, joined_ns) {
                Seating::Seated(seat) => seats.push((tid, seat)),
                Seating::Full => taken.refused += 1,
                Seating::Known => continue,
            }
            if !meter.step() {
                return taken;
            }
        }
        taken.seated += seats.len() as u64;
        taken.alive = pinned.is_alive();
        for (tid, seat) in &seats {
            if taken.alive {
                kernel.name(*seat, || pinned.thread_comm(*tid));
            }
            kernel.confirm(*seat, taken.alive && pinned.has_thread(*tid));
        }
        if seats.is_empty() || !taken.alive {
            return taken;
        }
    }
}

/// Begins the accounts of all threads, and finds out what those are doing that do not move. Returns false once the
/// onlooker has said stop.
pub(super) fn open_accounts(kernel: &Kernel, now_ns: u64, onlooker: &mut Onlooker<'_>) -> bool {
    let opened = kernel.open_accounts(now_ns);
    let mut meter = Meter::begin(onlooker, "looking at what they do", opened.len());
    for (seat, tid) in opened {
        if kernel.is_unmoved(seat)
            && let Some(doing) = target::doing(tid)
        {
            kernel.set_initial(seat, doing.index());
        }
        if !meter.step() {
            break;
        }
    }
    meter.goes_on()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_onlooker_hears_at_once_and_then_now_and_again_and_is_heeded() {
        let mut heard = Vec::new();
        let mut onlooker = |progress: Progress| {
            heard.push(progress.done);
            progress.done < 2 * STRIDE
        };
        let mut meter = Meter::begin(&mut onlooker, "attaching", 1000);
        let steps = (1..=1000).find(|_| !meter.step());
        assert!(!meter.goes_on());
        assert_eq!(steps, Some(2 * STRIDE));
        assert_eq!(heard, [0, STRIDE, 2 * STRIDE]);
    }
}
