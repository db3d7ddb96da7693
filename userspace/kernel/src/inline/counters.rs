//! Reads the counters from the shared memory without stopping any thread.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
};

use binary::locate::replaceable::Passing;

use super::layout::{
    ALL_LOCKS, COMMON, FIRST, LARGE, MOST_PROCESSES, NOWHERE, NUMBERS, ROW, ROW_SHIFT, ROW_TOTALS, ROWS,
    SPINS, STRIPE, THREAD_BITS, TOTALS, area_len, word,
};

/// Counts of all passings up to one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Words of a stripe, added up; the first word is unused.
    totals: [u64; TOTALS as usize],
    /// Number of times that each spin count occurred; as long as the largest spin count.
    pub spins: Vec<u64>,
}

impl Counts {
    /// Number of passings of a probe site, for all sites but the end of the spin.
    pub fn of(&self, passing: Passing) -> u64 {
        word(passing).map_or_else(|| self.spins.iter().sum(), |word| self.totals[word as usize])
    }

    /// Difference to an earlier state.
    pub fn since(&self, before: &Self) -> Self {
        let spins = self.spins.iter().enumerate();
        let was = |at: usize| before.spins.get(at).copied().unwrap_or(0);
        Self {
            totals: std::array::from_fn(|at| self.totals[at].saturating_sub(before.totals[at])),
            spins: spins.map(|(at, count)| count.saturating_sub(was(at))).collect(),
        }
    }

    /// True if all counters are zero.
    pub fn is_nothing(&self) -> bool {
        self.totals.iter().all(|count| *count == 0) && self.spins.iter().all(|count| *count == 0)
    }

    /// Adds the counts of another set.
    pub fn merge(&mut self, other: &Self) {
        self.totals.iter_mut().zip(other.totals).for_each(|(mine, theirs)| *mine += theirs);
        if self.spins.len() < other.spins.len() {
            self.spins.resize(other.spins.len(), 0);
        }
        self.spins.iter_mut().zip(&other.spins).for_each(|(mine, theirs)| *mine += theirs);
    }

    fn add(&mut self, word: u64, count: u64) {
        match word.checked_sub(TOTALS) {
            None => self.totals[word as usize] += count,
            Some(spin) => {
                let spin = spin as usize;
                if self.spins.len() <= spin {
                    self.spins.resize(spin + 1, 0);
                }
                self.spins[spin] += count;
            }
        }
    }
}

/// Counts of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Id of the thread that counted first, as the process itself knows it; 0 where that is not known.
    pub thread: u32,
    /// Id of the first thread, as far as the process knows: that of the target where another thread has forked; 0 where
    /// that is not known.
    pub leader: u32,
    /// Counts of all locks together.
    pub all: Counts,
    /// Counts by lock, where locks are told apart.
    pub locks: BTreeMap<u64, Counts>,
}

/// Counts of the target and of its forked children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Everything {
    /// By process number: [`FIRST`] is the process that the counters were put into, the others were forked since.
    pub processes: BTreeMap<u16, Own>,
    /// Counts of the first process outside of rows: where locks are told apart, those that are in no row.
    pub outside: Counts,
    /// Counts of forked children for which no row was free: the process is not known.
    pub nobodys: Counts,
}

/// The number of the process that the counters were put into.
pub const TARGET: u16 = FIRST as u16;

/// The shared memory. It stays readable when the target is gone.
pub struct Counters {
    file: File,
    len: u64,
}

/// Bytes that are read at once.
const CHUNK: usize = ROW as usize;

impl Counters {
    /// Takes shared memory that a process has created, resizes it, with room for so many rows, and allocates every
    /// page. No limit of the process is changed: a write to the memory can neither fail nor be refused.
    pub fn furnish(file: File, rows: u64) -> io::Result<Self> {
        use rustix::fs::{FallocateFlags, SealFlags, fallocate, fcntl_add_seals, fcntl_get_seals};
        // Another process may share the descriptors, and have put another file in its place.
        let about = file.metadata()?;
        let is_new = about.is_file() && about.len() == 0 && about.nlink() == 0;
        if !is_new || fcntl_get_seals(&file)? != SealFlags::empty() {
            return Err(io::Error::other("the descriptor leads to something else"));
        }
        let len = area_len(rows);
        fallocate(&file, FallocateFlags::empty(), 0, len)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(Self { file, len })
    }

    /// Wraps shared memory that was resized already.
    pub fn of(file: File, rows: u64) -> Self {
        Self { file, len: area_len(rows) }
    }

    /// Descriptor of the memory, for another process that reads it.
    pub fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Counts of the process that the counters were put into.
    pub fn read(&self) -> io::Result<Counts> {
        let mut all = self.read_all()?;
        Ok(all.processes.remove(&TARGET).unwrap_or_default().all)
    }

    /// Reads all counters. Pages that were never written are skipped.
    pub fn read_all(&self) -> io::Result<Everything> {
        let mut all = Everything::default();
        let mut at = 0;
        let mut bytes = [0; CHUNK];
        while at < self.len {
            let Some(data) = next_data(&self.file, at)? else { break };
            at = data - data % CHUNK as u64;
            if at >= self.len {
                break;
            }
            self.file.read_exact_at(&mut bytes, at)?;
            let words = bytes.chunks_exact(8).map(|chunk| chunk.try_into().map_or(0, u64::from_le_bytes));
            match at {
                at if at < NUMBERS => all.add_stripe(at, words),
                at if at < ROWS => all.add_numbers((at - NUMBERS) / 8, words),
                _ => all.add_row(&words.collect::<Vec<u64>>()),
            }
            at += CHUNK as u64;
        }
        let outside = all.outside.clone();
        all.processes.entry(TARGET).or_default().all.merge(&outside);
        Ok(all)
    }

    /// Device and inode of this memory, which identify it.
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        self.file.metadata().map(|it| (it.dev(), it.ino()))
    }
}

impl Everything {
    fn add_stripe(&mut self, from: u64, words: impl Iterator<Item = u64>) {
        let (begin, len, whose) = match from {
            from if from < COMMON => (0, STRIPE, &mut self.outside),
            from if from < NOWHERE => (COMMON, LARGE, &mut self.outside),
            _ => (NOWHERE, LARGE, &mut self.nobodys),
        };
        for (place, value) in ((from - begin) / 8..).zip(words) {
            let word = place % (len / 8);
            // The first word of a stripe is the thread that it belongs to.
            if word > 0 && value > 0 {
                whose.add(word, value);
            }
        }
    }

    fn add_numbers(&mut self, from: u64, words: impl Iterator<Item = u64>) {
        // The first word is the number of forked children.
        for (number, thread) in (from..).zip(words).filter(|(number, thread)| *number > 0 && *thread > 0) {
            let own = self.processes.entry(number as u16).or_default();
            (own.thread, own.leader) = (thread as u32, (thread >> 32) as u32);
        }
    }

    fn add_row(&mut self, words: &[u64]) {
        let (lock, number) = (words[0], words[1] >> THREAD_BITS);
        // The row has been claimed, and does not carry its thread yet.
        if number == 0 || number >= MOST_PROCESSES {
            return;
        }
        let mut counts = Counts::default();
        for (word, value) in (0..).zip(words).skip(2).filter(|(_, value)| **value > 0) {
            let word = if word < ROW_TOTALS { word - ROW_SHIFT } else { word - ROW_TOTALS + TOTALS };
            counts.add(word, *value);
        }
        let own = self.processes.entry(number as u16).or_default();
        own.all.merge(&counts);
        if lock != ALL_LOCKS {
            own.locks.entry(lock).or_default().merge(&counts);
        }
    }
}

/// Offset of the next page that was written, from here on.
fn next_data(file: &File, from: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(from)) {
        Ok(at) => Ok(Some(at)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// The largest spin count that is told apart; larger ones are counted as this one.
pub const LARGEST: u64 = SPINS - 1;
