//! The accounts of the `sched` probe, as raw values of the kernel side.

use std::{
    mem::offset_of,
    sync::atomic::Ordering::{Acquire, Relaxed},
};

use aya::{
    Ebpf,
    maps::{HashMap, MapData, Queue, RingBuf},
};
use bytemuck::Zeroable as _;
use pulse_trace_common::{
    pool::{owner, purpose},
    probes::sched::{CpuTime, Edge, Ended, MAX_PROGRAMS, Sched, SchedRow, edge_parts, initial, state},
    target::{COMM_LEN, Thread},
};

use super::{
    Kernel,
    attach::settle,
    limits::Limits,
    loaded::{LoadError, filled, map, typed},
    mapped::Mapped,
};

/// Purposes of a row's histograms, in the order of [`SchedRow::histograms`].
const PURPOSES: [u64; 4] =
    [purpose::WAKEUP_TO_RUN, purpose::PREEMPTED_TO_RUN, purpose::ON_CPU, purpose::OFF_CPU];

/// Maps of the probe.
pub(super) struct SchedMaps {
    pub(super) seats: Mapped<Sched>,
    rows: Mapped<SchedRow>,
    cpus: Mapped<CpuTime>,
    edges: Mapped<Edge>,
    free_edges: Queue<MapData, u32>,
    edge_ids: HashMap<MapData, u64, u32>,
    ended: RingBuf<MapData>,
    per_row: u32,
}

impl SchedMaps {
    pub(super) fn open(
        ebpf: &mut Ebpf,
        maps: &mut Vec<MapData>,
        limits: &Limits,
        cpus: u32,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            seats: map(ebpf, maps, "SCHED")?,
            rows: map(ebpf, maps, "SCHED_ROWS")?,
            cpus: map(ebpf, maps, "CPU_TIMES")?,
            edges: map(ebpf, maps, "EDGES")?,
            free_edges: filled(ebpf, "FREE_EDGES", 1..=limits.edges)?,
            edge_ids: typed(ebpf, "EDGE_IDS")?,
            ended: typed(ebpf, "ENDED")?,
            per_row: cpus,
        })
    }
}

impl Kernel {
    /// Opens the accounts of the threads that were given a seat by userspace, and returns those threads. To be called
    /// once the hooks are attached.
    pub fn open_accounts(&self, now: u64) -> Vec<(u32, u32)> {
        let mut opened = Vec::new();
        for (seat, thread) in self.seated() {
            let (Some(open), Some(since), Some(began), Some(off_in_calls)) = (
                self.sched.seats.word(seat as usize, offset_of!(Sched, open)),
                self.sched.seats.double(seat as usize, offset_of!(Sched, since_ns)),
                self.sched.seats.double(seat as usize, offset_of!(Sched, began_ns)),
                self.sched.seats.double(seat as usize, offset_of!(Sched, off_in_calls_ns)),
            ) else {
                continue;
            };
            // Accounts of threads born during the session are open already; that of a held command is opened on its
            // `exec`.
            if open.load(Relaxed) == 0 && thread.phase != pulse_trace_common::target::phase::HELD {
                since.store(now, Relaxed);
                began.store(now, Relaxed);
                // Its time in earlier calls is no part of these accounts.
                off_in_calls.store(self.in_calls_ns(seat, now).unwrap_or(0), Relaxed);
                open.store(1, Relaxed);
                opened.push((seat, thread.tid));
            }
        }
        opened
    }

    /// Closes all accounts, so that no program writes to them any more, and returns their contents.
    pub fn close_accounts(&self) -> Vec<(u32, Thread, Sched)> {
        let seated: Vec<(u32, Thread)> = self.seated().collect();
        let open = |seat: u32| self.sched.seats.word(seat as usize, offset_of!(Sched, open));
        let closed =
            seated.into_iter().filter(|(seat, _)| open(*seat).is_some_and(|open| open.swap(0, Relaxed) != 0));
        let closed: Vec<(u32, Thread)> = closed.collect();
        settle();
        let whole = closed.into_iter().filter_map(|(seat, before)| {
            let thread = self.threads.read(seat as usize)?;
            // Another thread may have the seat by now, with accounts of its own.
            (thread.tid == before.tid).then_some((seat, thread, self.sched.seats.read(seat as usize)?))
        });
        whole.collect()
    }

    /// Clears all accounts, so that they can be opened again; to be called while no hook is attached.
    pub fn clear_accounts(&self) {
        for (seat, _) in self.seated() {
            if let Some(old) = self.sched.seats.read(seat as usize) {
                self.sched.seats.write(seat as usize, Sched { comm: old.comm, ..Sched::zeroed() });
            }
        }
    }

    /// Time that a thread has spent in system calls so far, including its present call; wraps.
    fn in_calls_ns(&self, seat: u32, now: u64) -> Option<u64> {
        let mut before = self.threads.read(seat as usize)?;
        for _ in 0..8 {
            let after = self.threads.read(seat as usize)?;
            let same = after.in_calls_ns == before.in_calls_ns
                && (after.call, after.entered_ns) == (before.call, before.entered_ns);
            if same {
                let running = if after.call == 0 { 0 } else { now.saturating_sub(after.entered_ns) };
                return Some(after.in_calls_ns.wrapping_add(running));
            }
            before = after;
        }
        None
    }

    /// True if no event of a thread was recorded since its accounts were opened.
    #[must_use]
    pub fn is_unmoved(&self, seat: u32) -> bool {
        let word = self.sched.seats.word(seat as usize, offset_of!(Sched, state));
        word.is_some_and(|word| word.load(Relaxed) == state::UNKNOWN)
    }

    /// Records the activity of a thread at the opening of its accounts: the index of the system call plus one, or
    /// one of [`pulse_trace_common::probes::sched::initial`].
    pub fn set_initial(&self, seat: u32, what: u32) {
        if let Some(word) = self.sched.seats.word(seat as usize, offset_of!(Sched, initial)) {
            // The kernel side may have seen the thread leave its CPU meanwhile; its own record is newer then.
            let _ = word.compare_exchange(initial::NOTHING, what, Relaxed, Relaxed);
        }
    }

    /// Threads in their seats.
    pub fn seated(&self) -> impl Iterator<Item = (u32, Thread)> + '_ {
        (1..self.threads.len() as u32)
            .filter_map(|seat| Some((seat, self.threads.read(seat as usize)?)))
            .filter(|(_, thread)| thread.tid != 0)
    }

    /// The name of the thread in a seat.
    #[must_use]
    pub fn name_of(&self, seat: u32) -> [u8; COMM_LEN] {
        self.sched.seats.read(seat as usize).map_or([0; COMM_LEN], |sched| sched.comm)
    }

    /// Seats whose accounts are open, the thread and the accounts, each read together. Accounts that are written all
    /// the time may be left out.
    pub fn accounts(&self) -> impl Iterator<Item = (u32, Thread, Sched)> + '_ {
        let open = |seat: &usize| {
            let word = self.sched.seats.word(*seat, offset_of!(Sched, open));
            word.is_some_and(|word| word.load(Relaxed) != 0)
        };
        (1..self.sched.seats.len()).filter(open).filter_map(|seat| self.account(seat))
    }

    /// True if a seat still belongs to the thread whose accounts began then. If not, the time until the end of that
    /// thread is among [`Self::ended_threads`] already.
    #[must_use]
    pub fn is_seated(&self, seat: u32, began_ns: u64) -> bool {
        let tid = self.threads.word(seat as usize, offset_of!(Thread, tid));
        let began = self.sched.seats.double(seat as usize, offset_of!(Sched, began_ns));
        tid.is_some_and(|tid| tid.load(Acquire) != 0)
            && began.is_some_and(|began| began.load(Relaxed) == began_ns)
    }

    fn account(&self, seat: usize) -> Option<(u32, Thread, Sched)> {
        let mut before = self.sched.seats.read(seat)?;
        // The kernel side may be writing: two equal copies are a whole one.
        for _ in 0..8 {
            let thread = self.threads.read(seat)?;
            let after = self.sched.seats.read(seat)?;
            if after == before {
                return (after.open != 0 && thread.tid != 0).then_some((seat as u32, thread, after));
            }
            before = after;
        }
        None
    }

    /// Accounts of threads that died since the last call.
    pub fn ended_threads(&mut self) -> Vec<Ended> {
        let mut ended = Vec::new();
        while let Some(record) = self.sched.ended.next() {
            if let Ok(record) = bytemuck::try_pod_read_unaligned::<Ended>(&record) {
                ended.push(record);
            }
        }
        ended
    }

    /// A row's histograms in the pool; 0 where there is none yet.
    #[must_use]
    pub fn row_histograms(&self, row: u32) -> [u32; 4] {
        self.sched.rows.read(row as usize).map_or([0; 4], |row| row.histograms)
    }

    /// CPU time of a row on each CPU.
    pub fn cpu_times(&self, row: u32) -> impl Iterator<Item = (u32, CpuTime)> + '_ {
        (0..self.sched.per_row).filter_map(move |cpu| {
            let time = self.sched.cpus.read((row * self.sched.per_row + cpu) as usize)?;
            (time.stretches != 0).then_some((cpu, time))
        })
    }

    /// Pairs of waker and woken row in use.
    pub fn edges(&self) -> impl Iterator<Item = (u32, Edge)> + '_ {
        (1..self.sched.edges.len()).filter_map(|id| {
            let used = self.sched.edges.double(id, offset_of!(Edge, key))?.load(Relaxed) != 0;
            if used { Some((id as u32, self.sched.edges.read(id)?)) } else { None }
        })
    }

    /// True if so many programs are told apart among the wakers of a row that further ones are not.
    #[must_use]
    pub fn has_all_programs(&self, row: u32) -> bool {
        let programs = self.sched.rows.word(row as usize, offset_of!(SchedRow, programs));
        programs.is_some_and(|programs| programs.load(Relaxed) >= MAX_PROGRAMS)
    }

    /// Removes a program from the wakers that are told apart. Its histogram may still be written to for a moment: it is
    /// to be read once more before it is freed.
    pub fn retire_edge(&mut self, id: u32, key: u64) {
        let _ = self.sched.edge_ids.remove(&key);
        if let Some(word) = self.sched.edges.double(id as usize, offset_of!(Edge, key)) {
            word.store(0, Relaxed);
        }
        let row = edge_parts(key).0 as usize;
        if let Some(programs) = self.sched.rows.word(row, offset_of!(SchedRow, programs)) {
            programs.fetch_sub(1, Relaxed);
        }
    }

    /// The histogram of a pair that was retired.
    #[must_use]
    pub fn retired_histogram(&self, id: u32) -> u32 {
        self.sched.edges.read(id as usize).map_or(0, |edge| edge.histogram)
    }

    /// Frees a retired pair.
    pub fn free_edge(&mut self, id: u32) {
        self.pool.free(owner(purpose::EDGE, id), self.retired_histogram(id));
        self.sched.edges.write(id as usize, Edge::zeroed());
        let _ = self.sched.free_edges.push(id, 0);
    }

    /// Frees the histograms and edges of a finished row, and returns the ids of both.
    pub fn free_sched(&mut self, row: u32) -> Vec<u32> {
        let mut freed = Vec::new();
        for (purpose, id) in PURPOSES.into_iter().zip(self.row_histograms(row)) {
            self.pool.free(owner(purpose, row), id);
            freed.push(id);
        }
        self.sched.rows.write(row as usize, SchedRow::zeroed());
        for cpu in 0..self.sched.per_row {
            self.sched.cpus.write((row * self.sched.per_row + cpu) as usize, CpuTime::zeroed());
        }
        let mine: Vec<(u32, Edge)> = self.edges().filter(|(_, edge)| edge_parts(edge.key).0 == row).collect();
        for (id, edge) in mine {
            self.pool.free(owner(purpose::EDGE, id), edge.histogram);
            freed.push(edge.histogram);
            self.sched.edges.write(id as usize, Edge::zeroed());
            // Both had room for it before.
            let _ = self.sched.edge_ids.remove(&edge.key);
            let _ = self.sched.free_edges.push(id, 0);
        }
        freed
    }
}
