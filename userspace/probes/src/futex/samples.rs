//! `__spins` of adaptive mutexes, read from a target's memory at random times: as waits begin it is another one.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, ErrorKind},
    os::unix::fs::FileExt as _,
};

use model::locks::{LockPlace, SpinSamples};
use pulse_trace_common::{
    probes::futex::{Futex, kind},
    target::Row,
};

/// Mutexes that are looked at, those with the most waits.
const MOST: usize = 8;
/// One is given up for another that has so many times as many waits.
const BUSIER: u64 = 2;
/// Samples after which an unchanged value is not used.
const STILL: u32 = 20;
/// A `pthread_mutex_t` up to what is read of it, and where in it that lies.
const SIZE: usize = 24;
const KIND: usize = 16;
const SPINS: usize = 20;

/// The mutexes that are looked at, and what was found.
#[derive(Default)]
pub struct Samples {
    watched: HashMap<u32, Watched>,
    /// Rows of processes whose memory may not be read.
    refused: HashSet<u32>,
    note: Option<String>,
}

/// One mutex whose memory is looked at.
struct Watched {
    memory: File,
    place: LockPlace,
    address: u64,
    kind: u32,
    waits: u64,
    last: Option<u64>,
    /// Samples that were like the one before.
    still: u32,
    found: SpinSamples,
}

impl Samples {
    /// True if a futex is one to be looked at: of the kind that spins, and nothing else.
    pub fn is_wanted(futex: &Futex) -> bool {
        futex.kind & (kind::FORM | kind::ROBUST | kind::INHERITS | kind::PROTECTS) == kind::ADAPTIVE
    }

    /// Takes a mutex in, if it is among those with the most waits. `now` tells the row of its process anew.
    pub fn consider(
        &mut self,
        id: u32,
        futex: &Futex,
        place: &LockPlace,
        row: &Row,
        now: impl FnOnce() -> Option<Row>,
    ) {
        if let Some(known) = self.watched.get_mut(&id) {
            known.waits = futex.count;
            return;
        }
        if row.exited_ns != 0 || self.refused.contains(&futex.row) || self.is_known(place) {
            return;
        }
        let Some(given_up) = self.room(futex.count) else { return };
        let memory = match File::open(format!("/proc/{}/mem", row.tgid)) {
            Ok(memory) => memory,
            Err(cause) => return self.refuse(futex.row, row.tgid, &cause),
        };
        // Opened while it lived and ran this program: the file is of its memory and no other's, for good.
        if now()
            .is_some_and(|now| now.exited_ns == 0 && (now.joined_ns, now.execs) == (row.joined_ns, row.execs))
        {
            let (address, kind, waits, place) = (futex.address, futex.kind, futex.count, place.clone());
            let found = SpinSamples::default();
            let watched = Watched { memory, place, address, kind, waits, last: None, still: 0, found };
            given_up.and_then(|id| self.watched.remove(&id));
            self.watched.insert(id, watched);
        }
    }

    /// Another process has the same lock.
    fn is_known(&self, place: &LockPlace) -> bool {
        matches!(place, LockPlace::Shared { .. }) && self.watched.values().any(|it| it.place == *place)
    }

    /// Room for one with so many waits: `None` if there is none, else the mutex that is given up for it, if one
    /// has to be.
    fn room(&self, waits: u64) -> Option<Option<u32>> {
        if self.watched.len() < MOST {
            return Some(None);
        }
        let idle = |it: &(&u32, &Watched)| it.1.waits * BUSIER < waits && it.1.found.is_empty();
        self.watched.iter().filter(idle).min_by_key(|it| it.1.waits).map(|it| Some(*it.0))
    }

    fn refuse(&mut self, row: u32, pid: u32, cause: &io::Error) {
        if cause.kind() == ErrorKind::PermissionDenied && self.refused.insert(row) {
            self.note.get_or_insert_with(|| {
                format!(
                "futex: cannot read the memory of process {pid}: {cause}; the mean of __spins over time is missing, \
                 CAP_SYS_PTRACE allows it"
                )
            });
        }
    }

    /// True if there is anything to look at.
    pub fn is_any(&self) -> bool {
        !self.watched.is_empty()
    }

    /// Looks at all of them once.
    pub fn look(&mut self) {
        self.watched.retain(|_, mutex| mutex.look());
    }

    /// Samples of a mutex since the last call.
    pub fn take(&mut self, id: u32) -> SpinSamples {
        self.watched.get_mut(&id).map_or_else(SpinSamples::default, |it| std::mem::take(&mut it.found))
    }

    /// Forgets a row that was given back.
    pub fn forget_row(&mut self, row: u32) {
        self.refused.remove(&row);
    }

    /// Forgets mutexes whose entries were given back.
    pub fn forget(&mut self, ids: &HashSet<u32>) {
        self.watched.retain(|id, _| !ids.contains(id));
    }

    /// Note for the reader, once.
    pub fn take_note(&mut self) -> Option<String> {
        self.note.take()
    }
}

impl Watched {
    /// Takes a sample; false if it cannot be looked at again: the program may have ended, or be another one now.
    fn look(&mut self) -> bool {
        let mut mutex = [0; SIZE];
        match self.memory.read_at(&mut mutex, self.address) {
            Ok(SIZE) => {}
            Err(cause) if cause.kind() == ErrorKind::Interrupted => return true,
            // What was found is taken by the next frame, as long as it is kept.
            Ok(_) | Err(_) => return !self.found.is_empty(),
        }
        let [.., a, b, c, d, e, f, _, _] = mutex;
        const { assert!(KIND + 4 == SPINS && SPINS + 4 == SIZE) };
        if u32::from_ne_bytes([a, b, c, d]) == self.kind
            && let Ok(spins) = u64::try_from(i16::from_ne_bytes([e, f]))
        {
            self.note(spins);
        }
        true
    }

    fn note(&mut self, spins: u64) {
        let moved = self.last.replace(spins).is_some_and(|last| last != spins);
        self.still = if moved { 0 } else { self.still + 1 };
        if self.still <= STILL {
            self.found.all.record(spins);
        }
        if moved {
            self.found.moved.record(spins);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use bytemuck::Zeroable as _;

    use super::*;

    /// A mutex in memory of this process.
    #[repr(C, align(8))]
    struct Memory([AtomicU32; 6]);

    impl Memory {
        fn adaptive(spins: u32) -> Self {
            Self([2, 0, 77, 1, 3, spins].map(AtomicU32::new))
        }
    }

    fn own_row() -> Row {
        Row { tgid: std::process::id(), ..Row::zeroed() }
    }

    fn futex(address: u64, count: u64) -> Futex {
        Futex { address, kind: 3, count, ..Futex::zeroed() }
    }

    fn add(samples: &mut Samples, id: u32, futex: &Futex, row: &Row, now: Row) -> bool {
        samples.consider(id, futex, &LockPlace::Private { address: futex.address }, row, || Some(now));
        samples.watched.contains_key(&id)
    }

    fn watching(memory: &Memory) -> Samples {
        let mut samples = Samples::default();
        let address = std::ptr::from_ref(memory).addr() as u64;
        assert!(add(&mut samples, 1, &futex(address, 1), &own_row(), own_row()));
        samples
    }

    #[test]
    fn what_stands_in_memory_is_found_as_long_as_it_is_a_mutex() {
        let memory = Memory::adaptive(40);
        let mut samples = watching(&memory);
        samples.look();
        memory.0[5].store(0xabcd_0030, Relaxed);
        samples.look();
        memory.0[4].store(4, Relaxed);
        samples.look();
        let found = samples.take(1);
        assert_eq!((found.all.count(), found.all.sum, found.moved.sum), (2, 40 + 48, 48));
        assert!(samples.take(1).is_empty());
        samples.forget(&HashSet::from([1]));
        assert!(!samples.is_any());
    }

    #[test]
    fn an_unused_mutex_is_not_counted_on_and_on() {
        let memory = Memory::adaptive(12);
        let mut samples = watching(&memory);
        (0..100).for_each(|_| samples.look());
        assert_eq!(samples.take(1).all.count(), u64::from(STILL));
    }

    #[test]
    fn only_the_busiest_are_looked_at_and_the_dead_never() {
        let memory = Memory::adaptive(40);
        let mut samples = watching(&memory);
        let row = own_row();
        assert!(!add(&mut samples, 2, &futex(2, 5), &Row { exited_ns: 1, ..row }, row));
        assert!(!add(&mut samples, 2, &futex(2, 5), &row, Row { execs: 1, ..row }));
        for id in 2..=MOST as u32 {
            assert!(add(&mut samples, id, &futex(id.into(), 5), &row, row));
        }
        assert!(!add(&mut samples, 20, &futex(20, 2), &row, row));
        assert!(add(&mut samples, 21, &futex(21, 3), &row, row));
    }

    #[test]
    fn a_refusal_is_told_once() {
        let mut samples = Samples::default();
        samples.refuse(1, 7, &ErrorKind::PermissionDenied.into());
        assert!(samples.take_note().is_some_and(|note| note.contains("process 7")));
        assert_eq!(samples.take_note(), None);
        let mut gone = Samples::default();
        gone.refuse(1, 7, &ErrorKind::NotFound.into());
        assert_eq!((gone.take_note(), gone.refused.is_empty()), (None, true));
    }
}
