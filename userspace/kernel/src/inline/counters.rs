//! What has been counted, read from the shared memory without stopping anybody.

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

/// Everything that was counted up to a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Words of a stripe, added up; the first means nothing.
    totals: [u64; TOTALS as usize],
    /// How often each spin count occurred; as long as the largest.
    pub spins: Vec<u64>,
}

impl Counts {
    /// How often a place was passed, for all but the end of the spin.
    pub fn of(&self, passing: Passing) -> u64 {
        word(passing).map_or_else(|| self.spins.iter().sum(), |word| self.totals[word as usize])
    }

    /// What came on top of another state.
    pub fn since(&self, before: &Self) -> Self {
        let spins = self.spins.iter().enumerate();
        let was = |at: usize| before.spins.get(at).copied().unwrap_or(0);
        Self {
            totals: std::array::from_fn(|at| self.totals[at].saturating_sub(before.totals[at])),
            spins: spins.map(|(at, count)| count.saturating_sub(was(at))).collect(),
        }
    }

    /// Whether nothing was counted.
    pub fn is_nothing(&self) -> bool {
        self.totals.iter().all(|count| *count == 0) && self.spins.iter().all(|count| *count == 0)
    }

    /// Adds others.
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

/// What one process counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// The id of the thread that counted first, as the process itself knows it; 0 where that is not known.
    pub thread: u32,
    /// The id of the first thread, as far as the process knows: that of the target where another thread has forked; 0 where
    /// that is not known.
    pub leader: u32,
    /// All of it.
    pub all: Counts,
    /// By lock, where locks are told apart.
    pub locks: BTreeMap<u64, Counts>,
}

/// Everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Everything {
    /// By number: [`FIRST`] is the process that the counters were put into, the others were born since.
    pub processes: BTreeMap<u16, Own>,
    /// Of the first process, what stands outside of rows: what belongs to no lock, where those are told apart.
    pub outside: Counts,
    /// Of processes that were born since, what found no room: it cannot be told whose it is.
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
    /// Makes shared memory that a process has made as large as it has to be, with room for so many rows. Every page is
    /// there from then on, and no limit of the process's is touched: a write to it can neither fail nor be refused.
    pub fn furnish(file: File, rows: u64) -> io::Result<Self> {
        use rustix::fs::{FallocateFlags, SealFlags, fallocate, fcntl_add_seals, fcntl_get_seals};
        // Another process may share the descriptors, and have put something else in its place.
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

    /// Shared memory that was furnished already.
    pub fn of(file: File, rows: u64) -> Self {
        Self { file, len: area_len(rows) }
    }

    /// The memory, for another process that reads it.
    pub fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// What the process counted that they were put into.
    pub fn read(&self) -> io::Result<Counts> {
        let mut all = self.read_all()?;
        Ok(all.processes.remove(&TARGET).unwrap_or_default().all)
    }

    /// Reads all. Only what was ever written is looked at: the rest takes no memory, and shall not.
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

    /// What tells this memory from any other: device and inode.
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
            // The first word of a stripe is whose it is.
            if word > 0 && value > 0 {
                whose.add(word, value);
            }
        }
    }

    fn add_numbers(&mut self, from: u64, words: impl Iterator<Item = u64>) {
        // The first word is how many were born.
        for (number, thread) in (from..).zip(words).filter(|(number, thread)| *number > 0 && *thread > 0) {
            let own = self.processes.entry(number as u16).or_default();
            (own.thread, own.leader) = (thread as u32, (thread >> 32) as u32);
        }
    }

    fn add_row(&mut self, words: &[u64]) {
        let (lock, number) = (words[0], words[1] >> THREAD_BITS);
        // It has been claimed, and is not its thread's yet.
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

/// Where something was written next, from here on.
fn next_data(file: &File, from: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(from)) {
        Ok(at) => Ok(Some(at)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// The largest spin count that is told apart; larger ones are counted as this one.
pub const LARGEST: u64 = SPINS - 1;
