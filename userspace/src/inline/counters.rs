//! What has been counted, read from the shared memory without stopping anybody.

use std::{
    fs::File,
    io::{self, Seek as _, SeekFrom},
    os::unix::fs::FileExt as _,
};

use super::layout::{AREA, SPINS, STRIPE, STRIPES, TOTALS, word};
use crate::locate::replaceable::Passing;

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

    fn add(&mut self, from: u64, words: &[u64]) {
        for (at, count) in (from..).zip(words).filter(|(_, count)| **count > 0) {
            match at.checked_sub(TOTALS) {
                None => self.totals[at as usize] += count,
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
}

/// The shared memory. It stays readable when the target is gone.
pub struct Counters(pub File);

/// Bytes that are read at once.
const CHUNK: usize = 4096;

impl Counters {
    /// Reads all. Only what was ever written is looked at: the rest takes no memory, and shall not.
    pub fn read(&self) -> io::Result<Counts> {
        let mut counts = Counts::default();
        let mut file = &self.0;
        let mut at = 0;
        let mut bytes = [0; CHUNK];
        while at < AREA {
            at = match file.seek(SeekFrom::Start(at)).and_then(|_| next_data(&self.0, at)) {
                Ok(Some(data)) => data,
                Ok(None) => break,
                Err(cause) => return Err(cause),
            };
            let len = CHUNK.min((AREA - at) as usize);
            self.0.read_exact_at(&mut bytes[..len], at)?;
            for (place, chunk) in (at / 8..).zip(bytes[..len].chunks_exact(8)) {
                let value = chunk.try_into().map_or(0, u64::from_le_bytes);
                let (stripe, word) = (place / (STRIPE / 8), place % (STRIPE / 8));
                // The first word of a stripe is whose it is.
                if stripe < STRIPES && word > 0 && value > 0 {
                    counts.add(word, &[value]);
                }
            }
            at += len as u64;
        }
        Ok(counts)
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
