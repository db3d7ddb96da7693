//! Shared memory beside the queue: how far everybody is, and the common log.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use pulse_trace_workloads::contract::{Refusal, cannot};
use pulse_trace_workloads::sys::robust::RobustMutex;
use pulse_trace_workloads::sys::shm::{self, Shape, SharedMap};
use rustix::thread::futex;

/// Steps that the producers may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Setup,
    WarmUp,
    Measure,
    Stop,
}

/// Progress of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    Starting,
    Ready,
    Warm,
    Finished,
}

const PRODUCERS: usize = 0;
/// Words of one producer: a cache line.
const LINE: usize = 8;
const PROGRESS: usize = 0;
const SENT: usize = 1;
/// Most producers there is room for.
const MOST: usize = 64;
const LOG: usize = PRODUCERS + MOST * LINE;
/// Words of the common log, the first of which counts the used ones. Its text stays small enough for the allocator to
/// use the same memory again instead of mapping new pages each time.
const LOG_WORDS: usize = 1 << 12;
const SHAPE: Shape = Shape { locks: 1, cells: 1, words: LOG + LOG_WORDS };

/// Longest sleep of a producer that waits: how late it notices a stop. Not short, or the tracer would see it tick.
const NAP: futex::Timespec = futex::Timespec { tv_sec: 0, tv_nsec: 250_000_000 };

#[derive(Debug)]
pub struct Board(SharedMap);

impl Board {
    pub fn create() -> Result<(Self, File), Refusal> {
        let bytes = SHAPE.bytes().unwrap_or(usize::MAX);
        let remedy = "free some space in /dev/shm";
        let file =
            shm::unnamed(bytes).map_err(|error| cannot("get shared memory for the run", error, remedy))?;
        let board = Self::attach(&file)?;
        board.0.locks()[0].init().map_err(|error| cannot("make the lock of the log", error, remedy))?;
        Ok((board, file))
    }

    pub fn attach(file: &File) -> Result<Self, Refusal> {
        let map = SharedMap::of(file, SHAPE);
        map.map(Self)
            .map_err(|error| cannot("map the run's memory", error, "let casq start its workers itself"))
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        &self.0.words()[index]
    }

    pub fn stage(&self) -> Stage {
        match self.stage_cell().load(Acquire) {
            0 => Stage::Setup,
            1 => Stage::WarmUp,
            2 => Stage::Measure,
            _ => Stage::Stop,
        }
    }

    pub fn set_stage(&self, stage: Stage) {
        self.stage_cell().fetch_max(stage as u32, Release);
        // A stage that no producer waits for needs no wake.
        let _ = futex::wake(self.stage_cell(), futex::Flags::empty(), i32::MAX.unsigned_abs());
    }

    /// Waits until the stage is reached; the setter also ends a wait for nothing with [`Stage::Stop`].
    pub fn await_stage(&self, stage: Stage, stopping: impl Fn() -> bool) {
        loop {
            let now = self.stage_cell().load(Acquire);
            if now >= stage as u32 || stopping() {
                return;
            }
            // Woken, timed out, interrupted, or the stage changed before it slept: it looks again.
            let _ = futex::wait(self.stage_cell(), futex::Flags::empty(), now, Some(&NAP));
        }
    }

    fn stage_cell(&self) -> &AtomicU32 {
        &self.0.cells()[0]
    }

    pub fn progress(&self, id: u32) -> Progress {
        match self.word(PRODUCERS + id as usize * LINE + PROGRESS).load(Acquire) {
            0 => Progress::Starting,
            1 => Progress::Ready,
            2 => Progress::Warm,
            _ => Progress::Finished,
        }
    }

    pub fn set_progress(&self, id: u32, progress: Progress) {
        self.word(PRODUCERS + id as usize * LINE + PROGRESS).store(progress as u64, Release);
    }

    /// Messages that producer `id` has published.
    pub fn sent(&self, id: u32) -> u64 {
        self.word(PRODUCERS + id as usize * LINE + SENT).load(Acquire)
    }

    #[inline]
    pub fn set_sent(&self, id: u32, sent: u64) {
        self.word(PRODUCERS + id as usize * LINE + SENT).store(sent, Release);
    }

    /// Adds words to the common log, under its mutex. A full log is handed to `flush` first.
    pub fn log(&self, entry: &[u64], flush: impl FnMut(&[u64]) -> io::Result<()>) -> io::Result<()> {
        let _guard = self.log_lock().lock()?;
        if self.log_used() + entry.len() > LOG_WORDS - 1 {
            self.drain(flush)?;
        }
        let used = self.log_used();
        for (word, value) in self.0.words()[LOG + 1 + used..].iter().zip(entry) {
            word.store(*value, Relaxed);
        }
        self.word(LOG).store((used + entry.len()) as u64, Relaxed);
        Ok(())
    }

    /// Hands what is left in the common log to `flush`.
    pub fn flush_log(&self, flush: impl FnMut(&[u64]) -> io::Result<()>) -> io::Result<()> {
        let _guard = self.log_lock().lock()?;
        self.drain(flush)
    }

    fn log_lock(&self) -> &RobustMutex {
        &self.0.locks()[0]
    }

    fn log_used(&self) -> usize {
        (self.word(LOG).load(Relaxed) as usize).min(LOG_WORDS - 1)
    }

    fn drain(&self, mut flush: impl FnMut(&[u64]) -> io::Result<()>) -> io::Result<()> {
        let used = self.log_used();
        let entries: Vec<u64> =
            self.0.words()[LOG + 1..][..used].iter().map(|word| word.load(Relaxed)).collect();
        self.word(LOG).store(0, Relaxed);
        flush(&entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_only_go_forward() {
        let (board, file) = Board::create().unwrap();
        let other = Board::attach(&file).unwrap();
        board.set_stage(Stage::Stop);
        board.set_stage(Stage::WarmUp);
        assert_eq!(other.stage(), Stage::Stop);
        other.set_sent(63, 9);
        other.set_progress(63, Progress::Warm);
        assert_eq!(
            (board.sent(63), board.progress(63), board.progress(0)),
            (9, Progress::Warm, Progress::Starting)
        );
    }

    #[test]
    fn the_common_log_loses_nothing_when_it_runs_over() {
        let (board, _file) = Board::create().unwrap();
        let mut written = Vec::new();
        let entries = LOG_WORDS as u64;
        for n in 0..entries {
            board
                .log(&[n, n + 1, n + 2], |words| {
                    written.extend_from_slice(words);
                    Ok(())
                })
                .unwrap();
        }
        board
            .flush_log(|words| {
                written.extend_from_slice(words);
                Ok(())
            })
            .unwrap();
        assert_eq!(written.len() as u64, entries * 3);
        assert!(written.chunks(3).zip(0..).all(|(entry, n)| entry == [n, n + 1, n + 2]));
    }
}
