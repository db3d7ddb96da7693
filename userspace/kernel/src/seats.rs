//! The thread table from userspace. Each followed thread has a seat, its slot in the table: userspace gives one to
//! threads that run already; the kernel side to those born later.

use std::{mem::offset_of, sync::atomic::Ordering::Relaxed};

use bytemuck::{Pod, Zeroable as _};
use pulse_trace_common::{
    probes::sched::Sched,
    target::{COMM_LEN, Row, TIDS_PER_BLOCK, Thread, UNTRACKED, phase, row_flag},
};

use super::{Kernel, mapped::Mapped};

/// The kernel's flag for an insertion that must not replace anything.
const NO_EXIST: u64 = 1;

/// The row of all processes that find no row of their own. No process has this id.
pub(super) fn others() -> Row {
    Row { tgid: u32::MAX, flags: row_flag::OTHERS, comm: *b"[others]\0\0\0\0\0\0\0\0", ..Row::zeroed() }
}

/// A thread that is to be followed.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Thread id in the initial PID namespace.
    pub tid: u32,
    /// Process id in the initial PID namespace.
    pub tgid: u32,
    /// The row of its process; `None` where there was none left.
    pub process: Option<u32>,
    /// One of the constants in [`pulse_trace_common::target::phase`].
    pub phase: u32,
    /// Bits of [`pulse_trace_common::target::thread_flag`].
    pub flags: u16,
    /// Name of the thread.
    pub comm: [u8; COMM_LEN],
}

/// Result of giving a candidate a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seating {
    /// The thread has this seat now.
    Seated(Seat),
    /// The kernel side had given it a seat already.
    Known,
    /// There is no seat, or no row, left.
    Full,
}

/// A seat that userspace gave, to be confirmed once the thread is known to have been alive afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    id: u32,
    tid: u32,
    process: u32,
}

impl Kernel {
    /// Opens a row for a process, and lets the kernel side find it by process id. One that the kernel side has opened
    /// already is named and kept.
    pub fn open_process(&mut self, opening: Row) -> Option<u32> {
        let tgid = opening.tgid;
        if let Some(known) = self.process(tgid) {
            return Some(self.name_process(known, &opening));
        }
        let Some(id) = self.open_row(opening) else {
            let others = (self.others != 0).then_some(self.others)?;
            let _ = self.processes.insert(tgid, others, NO_EXIST);
            return Some(others);
        };
        if self.processes.insert(tgid, id, NO_EXIST).is_ok() {
            return Some(id);
        }
        self.free_row(id);
        let known = self.process(tgid)?;
        Some(self.name_process(known, &opening))
    }

    /// The row of a process that is followed.
    #[must_use]
    pub fn process(&self, tgid: u32) -> Option<u32> {
        self.processes.get(&tgid, 0).ok()
    }

    fn name_process(&self, id: u32, opening: &Row) -> u32 {
        if self.row(id).is_some_and(|row| row.comm[0] == 0) {
            write_name(&self.rows, id, offset_of!(Row, comm), opening.comm);
        }
        id
    }

    /// Takes back the row of a process that had ended before the row was opened: the kernel side will not see its end.
    pub fn abandon_process(&mut self, tgid: u32) {
        let Some(id) = self.process(tgid) else { return };
        let is_untouched = |row: &Row| row.tgid == tgid && row.exited_ns == 0 && row.live == 0;
        if id != self.others && !self.row(id).is_some_and(|row| is_untouched(&row)) {
            return;
        }
        if self.processes.remove(&tgid).is_ok() && id != self.others {
            self.free_row(id);
        }
    }

    fn open_row(&mut self, row: Row) -> Option<u32> {
        let id = self.free_rows.pop(0).ok()?;
        self.rows.write(id as usize, row);
        Some(id)
    }

    fn seat_word(&self, tid: u32) -> Option<&std::sync::atomic::AtomicU32> {
        let (block, place) = (tid as usize / TIDS_PER_BLOCK, tid as usize % TIDS_PER_BLOCK);
        self.tids.word(block, place * size_of::<u32>())
    }

    /// Gives a seat to a thread that was alive a moment ago.
    pub fn seat(&mut self, candidate: &Candidate, joined_ns: u64) -> Seating {
        match self.seat_word(candidate.tid).map(|word| word.load(Relaxed)) {
            Some(0) => {}
            Some(_) => return Seating::Known,
            None => return Seating::Full,
        }
        let &Candidate { tid, tgid, process, phase, flags, comm } = candidate;
        let row = match process {
            Some(process) if self.per_thread && process != self.others => {
                self.open_row(Row { tgid, tid, joined_ns, comm, ..Row::zeroed() })
            }
            row => row,
        };
        let (Some(process), Some(row), Ok(id)) = (process, row, self.free_threads.pop(0)) else {
            return self.refuse(tid);
        };
        let thread = Thread { tid, tgid, process, row, phase, flags, seat: id, ..Thread::zeroed() };
        self.sched.seats.write(id as usize, Sched { comm, ..Sched::zeroed() });
        self.threads.write(id as usize, thread);
        let seat = Seat { id, tid, process };
        self.count_thread(process, 1);
        if let Some(word) = self.rows.word(process as usize, offset_of!(Row, threads)) {
            word.fetch_add(1, Relaxed);
        }
        let seated =
            self.seat_word(tid).is_some_and(|word| word.compare_exchange(0, id, Relaxed, Relaxed).is_ok());
        if seated {
            return Seating::Seated(seat);
        }
        self.take_back(seat);
        Seating::Known
    }

    /// Counts the calls of a thread without a seat as lost, at least.
    fn refuse(&self, tid: u32) -> Seating {
        let word = self.seat_word(tid);
        match word.map(|word| word.compare_exchange(0, UNTRACKED, Relaxed, Relaxed)) {
            Some(Err(_)) => Seating::Known,
            _ => Seating::Full,
        }
    }

    fn count_thread(&self, process: u32, change: i32) {
        if let Some(word) = self.rows.word(process as usize, offset_of!(Row, live)) {
            word.fetch_add(change as u32, Relaxed);
        }
    }

    /// Writes the name of a thread that was just given a seat, and with the first thread's name its process's. A change
    /// before that was not seen, so the name is read again until it equals the one that is written; a limited number of
    /// times, since it may keep changing.
    pub fn name(&self, seat: Seat, comm: impl Fn() -> [u8; COMM_LEN]) {
        let Some(thread) = self.threads.read(seat.id as usize) else { return };
        let mut written = None;
        for _ in 0..8 {
            let now = comm();
            if written == Some(now) {
                break;
            }
            write_name(&self.sched.seats, seat.id, offset_of!(Sched, comm), now);
            if thread.row != seat.process || thread.tid == thread.tgid {
                write_name(&self.rows, thread.row, offset_of!(Row, comm), now);
            }
            if thread.tid == thread.tgid {
                write_name(&self.rows, seat.process, offset_of!(Row, comm), now);
            }
            written = Some(now);
        }
    }

    /// Confirms or removes a seat afterwards. A thread that was dead before has no seat any more, and one that was
    /// given a seat by the kernel side at the same moment keeps only that one.
    pub fn confirm(&mut self, seat: Seat, alive: bool) {
        let holds = self.seat_word(seat.tid).is_some_and(|word| word.load(Relaxed) == seat.id);
        if holds && !alive {
            if let Some(word) = self.seat_word(seat.tid) {
                word.store(0, Relaxed);
            }
            self.take_back(seat);
        } else if !holds && self.threads.read(seat.id as usize).is_some_and(|thread| thread.tid == seat.tid) {
            // Overwritten by the kernel side. Had the thread died instead, its seat would be marked as free.
            self.take_back(seat);
        }
    }

    fn take_back(&mut self, seat: Seat) {
        self.threads.write(seat.id as usize, Thread::zeroed());
        self.count_thread(seat.process, -1);
        if let Some(word) = self.rows.word(seat.process as usize, offset_of!(Row, threads)) {
            word.fetch_sub(1, Relaxed);
        }
        // The queue was sized for all seats: there is always room for one that is returned.
        let _ = self.free_threads.push(seat.id, 0);
    }

    /// A row as it is now; `None` where it is free.
    #[must_use]
    pub fn row(&self, id: u32) -> Option<Row> {
        self.rows.read(id as usize).filter(|row| row.tgid != 0)
    }

    /// Ids of the rows in use.
    pub fn rows(&self) -> impl Iterator<Item = (u32, Row)> + '_ {
        (1..self.rows.len() as u32).filter_map(|id| Some((id, self.row(id)?)))
    }

    /// The rows of processes, each of one.
    pub fn process_rows(&self) -> impl Iterator<Item = (u32, Row)> + '_ {
        self.rows().filter(|(_, row)| row.tid == 0 && row.flags & row_flag::OTHERS == 0)
    }

    /// Threads that are inside a call now: their row and the index that the call is counted under.
    pub fn in_flight(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        (1..self.threads.len())
            .filter_map(|id| self.threads.read(id))
            .filter(|thread| thread.tid != 0 && thread.call != 0 && thread.phase == phase::SEEN)
            .map(|thread| (thread.row, thread.counted.into()))
    }

    /// Forgets the calls that threads are in; to be called while no hook on calls is attached. Each thread is then like
    /// one that was found at the start: its next call may end without having been seen to begin.
    pub fn forget_calls(&self) {
        for seat in 1..self.threads.len() {
            let word = |offset| self.threads.word(seat, offset);
            let (Some(call), Some(stage)) = (word(offset_of!(Thread, call)), word(offset_of!(Thread, phase)))
            else {
                continue;
            };
            call.store(0, Relaxed);
            if matches!(stage.load(Relaxed), phase::SEEN | phase::LEFT) {
                stage.store(phase::FRESH, Relaxed);
            }
        }
    }

    /// Number of processes, and of threads where these have rows, that have rows at the same time.
    #[must_use]
    pub fn room_for_rows(&self) -> usize {
        self.limits.rows as usize
    }

    /// Frees a finished row, after everything in it has been read.
    pub fn free_row(&mut self, id: u32) {
        self.rows.write(id as usize, Row::zeroed());
        // The queue holds all rows, so there is always room.
        let _ = self.free_rows.push(id, 0);
    }
}

fn write_name<T: Pod>(map: &Mapped<T>, at: u32, offset: usize, comm: [u8; COMM_LEN]) {
    for (nth, bytes) in comm.as_chunks().0.iter().enumerate() {
        if let Some(word) = map.word(at as usize, offset + nth * size_of::<u32>()) {
            word.store(u32::from_ne_bytes(*bytes), Relaxed);
        }
    }
}
