//! Entries that are taken away from cold futexes, so that hot ones that come late find room.
//!
//! A call that has just looked its entry up may still add to it: it is read for a while before another futex gets it.

use std::{cmp::Reverse, collections::HashMap};

use kernel::{FreedFutexes, Kernel};
use pulse_trace_common::probes::futex::{Futex, OTHERS};

/// Time for which an entry is still read. A program of the kernel side runs for microseconds.
pub const GRACE_NS: u64 = 50_000_000;

/// An entry that was taken away.
pub struct Entry {
    /// The row of its process.
    pub row: u32,
    /// Time at which it was taken away, ns of the monotonic clock.
    pub at_ns: u64,
}

/// All of them, by id.
#[derive(Default)]
pub struct Retired(HashMap<u32, Entry>);

impl Retired {
    /// The entries as they are now, as those of their futexes.
    pub fn read(&self, kernel: &Kernel) -> Vec<(u32, Futex)> {
        let entry = |(id, of): (&u32, &Entry)| Some((*id, Futex { row: of.row, ..kernel.futex(*id)? }));
        self.0.iter().filter_map(entry).collect()
    }

    /// Gives some back, and tells what they had.
    pub fn give_back(&mut self, kernel: &mut Kernel, is_due: impl Fn(&Entry) -> bool) -> FreedFutexes {
        if self.0.is_empty() {
            return FreedFutexes::default();
        }
        let due: Vec<u32> = self.0.iter().filter(|(_, entry)| is_due(entry)).map(|(id, _)| *id).collect();
        let due: Vec<(u32, Futex)> = due
            .into_iter()
            .filter_map(|id| self.0.remove(&id).and_then(|_| Some((id, kernel.futex(id)?))))
            .collect();
        kernel.free_entries(&due)
    }

    /// Takes entries away from the futexes that were used longest ago where less than a quarter is free, until half
    /// is. What a thread waits for now keeps its entry.
    pub fn retire(&mut self, kernel: &mut Kernel, now_ns: u64) {
        let room = kernel.room_for_futexes();
        let used = kernel.futexes().filter(|(_, futex)| futex.address != OTHERS).count() + self.0.len();
        if used * 4 <= room * 3 {
            return;
        }
        let in_calls = kernel.futexes_in_calls();
        let mut cold: Vec<(u32, Futex)> = kernel
            .futexes()
            .filter(|(id, futex)| futex.address != OTHERS && futex.count != 0 && !in_calls.contains(id))
            .collect();
        cold.sort_unstable_by_key(|(_, futex)| Reverse(futex.last_ns));
        for (id, futex) in cold.split_off(cold.len().min(room / 2)) {
            kernel.retire_futex(id, &futex);
            self.0.insert(id, Entry { row: futex.row, at_ns: now_ns });
        }
    }
}
